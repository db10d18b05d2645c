"""Bulk read: jobs that take a few polls, results as ZIP with one CSV, page tokens beyond a page.

A result is what the module held when the job was completed. Left to others: single reads (``reading``).
"""

from __future__ import annotations

import base64
import csv
import io
import json
import zipfile
from typing import Any

from starlette.responses import Response

from steward.sandbox.zoho import coql, rows
from steward.sandbox.zoho.answers import Call, Refusal, answer
from steward.sandbox.zoho.auth import require
from steward.sandbox.zoho.model import MODULES, ONLY_SINGLE, Field, field_of
from steward.sandbox.zoho.reading import known, number
from steward.sandbox.zoho.state import DAY, State

_COMPARE = {"equal": "=", "not_equal": "!=", "greater_than": ">", "less_than": "<", "greater_equal": ">=", "less_equal": "<="}
_STATES = ("ADDED", "QUEUED", "IN PROGRESS")


def create(state: State, call: Call) -> Response:
    """``POST /crm/bulk/v8/read``."""
    require(call, "ZohoCRM.bulk.READ")
    asked = call.body.get("query") if isinstance(call.body, dict) else None
    if not isinstance(asked, dict):
        raise Refusal(400, "MANDATORY_NOT_FOUND", "required field not found", {"api_name": "query"})
    after = 0
    if "page_token" in asked:
        held = _open(state, str(asked["page_token"]), call.user)
        asked, after = held["query"], held["after"]
    module = asked.get("module")
    known(name := str(module.get("api_name") if isinstance(module, dict) else module))
    require(call, "ZohoCRM.modules.READ", module=name)
    for field in asked.get("fields") or ():
        if field_of(name, str(field)) is None:
            raise Refusal(400, "INVALID_DATA", "the field given seems to be invalid", {"api_name": field})
    condition(name, asked.get("criteria"))  # refused now rather than when it runs
    ident = state.new_id()
    doc = {
        "query": asked,
        "after": after,
        "page": int(asked.get("page") or 1),
        "created": state.now(),
        "token": "page_token" in asked,
    }
    state.db.execute("INSERT INTO job (id, kind, user, doc) VALUES (?, 'bulk', ?, ?)", (ident, call.user, json.dumps(doc)))
    by = state.person(call.user)
    return answer({"data": [{"status": "success", "code": "ADDED_SUCCESSFULLY", "message": "Added successfully.",
                             "details": {"id": str(ident), "operation": "read", "state": "ADDED",
                                         "created_by": {"id": by["id"], "name": by["name"]},
                                         "created_time": state.moment(state.now())}}], "info": {}}, 201)  # fmt: skip


def condition(module: str, criteria: Any) -> tuple[str, list[Any]]:
    """SQL of a job's criteria, values bound."""
    if criteria is None:
        return "1", []
    if not isinstance(criteria, dict):
        raise Refusal(400, "INVALID_DATA", "invalid criteria", {"api_name": "criteria"})
    if "group" in criteria:
        parts = [condition(module, c) for c in criteria["group"]]
        word = " OR " if str(criteria.get("group_operator", "and")).lower() == "or" else " AND "
        return "(" + word.join(p for p, _ in parts) + ")", [v for _, held in parts for v in held]
    name = criteria.get("field") or criteria
    found = field_of(module, str(name.get("api_name") if isinstance(name, dict) else name))
    comparator, held = criteria.get("comparator"), criteria.get("value")
    if found is None or comparator not in {*_COMPARE, "in", "between"}:
        raise Refusal(400, "INVALID_DATA", "invalid criteria", {"api_name": "criteria"})
    column = coql.column(found)
    if comparator in {"in", "between"}:
        values = [coql.bound(found, v) for v in held or ()]
        if comparator == "between":
            return f"{column} BETWEEN ? AND ?", values
        return f"{column} IN ({', '.join('?' * len(values))})", values
    return f"{column} {_COMPARE[comparator]} ?", [coql.bound(found, held)]


def _open(state: State, token: str, user: int) -> dict[str, Any]:
    try:
        held = json.loads(base64.urlsafe_b64decode(token))
    except ValueError:
        raise Refusal(400, "INVALID_DATA", "the page_token given seems to be invalid", {"api_name": "page_token"}) from None
    if held["user"] != user:
        raise Refusal(400, "TOKEN_BOUND_DATA_MISMATCH", "the page_token belongs to another user", {"api_name": "page_token"})
    if held["ends"] <= state.now():
        raise Refusal(400, "EXPIRED_VALUE", "the page_token has expired", {"api_name": "page_token"})
    return dict(held)


def _job(state: State, call: Call, ident: str) -> tuple[int, int, dict[str, Any]]:
    require(call, "ZohoCRM.bulk.READ")
    row = state.db.execute(
        "SELECT id, polls, doc FROM job WHERE id = ? AND kind = 'bulk' AND user = ?", (number(ident), call.user)
    )
    found = row.fetchone()
    if found is None:
        raise Refusal(404, "RESOURCE_NOT_FOUND", "The requested resource doesn't exist.")
    return found[0], found[1], json.loads(found[2])


def status(state: State, call: Call, ident: str) -> Response:
    """``GET /crm/bulk/v8/read/{id}``: a job moves on with every poll."""
    job, polls, doc = _job(state, call, ident)
    needed = int(state.switches["bulk_polls"])
    if "result" not in doc and polls >= needed and not doc.get("failed"):
        if state.switches.get("bulk_failures", 0) > 0:
            state.switches["bulk_failures"] -= 1
            doc["failed"] = True
        else:
            doc["result"], packed = _run(state, job, doc, call.user)
            state.db.execute("UPDATE job SET result = ? WHERE id = ?", (packed, job))
    state.db.execute("UPDATE job SET polls = polls + 1, doc = ? WHERE id = ?", (json.dumps(doc), job))
    now = "COMPLETED" if "result" in doc else "FAILURE" if doc.get("failed") else _STATES[min(polls, 2)]
    by = state.person(call.user)
    body = {"id": str(job), "operation": "read", "state": now, "query": doc["query"], "file_type": "csv",
            "created_by": {"id": by["id"], "name": by["name"]}, "created_time": state.moment(doc["created"])}  # fmt: skip
    if "result" in doc:
        body["result"] = doc["result"]
    return answer({"data": [body]})


def _run(state: State, job: int, doc: dict[str, Any], user: int) -> tuple[dict[str, Any], bytes]:
    asked = doc["query"]
    held = asked["module"]
    module = str(held["api_name"] if isinstance(held, dict) else held)
    names = asked.get("fields") or [f.name for f in MODULES[module]]
    wanted = [f for f in (field_of(module, n) for n in names) if f is not None and f.kind not in ONLY_SINGLE and f.name != "id"]
    size = int(state.switches["bulk_page"])
    where, values = condition(module, asked.get("criteria"))
    skip = 0 if doc["after"] else (doc["page"] - 1) * size
    found = list(state.query(
        f"SELECT * FROM record WHERE module = ? AND life = 'live' AND id > ? AND {where} ORDER BY id LIMIT ? OFFSET ?",  # noqa: S608
        [module, doc["after"], *values, size + 1, skip],
    ))  # fmt: skip
    page = found[:size]
    text = io.StringIO(newline="")
    out = csv.writer(text, lineterminator="\n")
    out.writerow(["id", *(f.name for f in wanted)])
    for row in page:
        values_of = json.loads(row["doc"])
        out.writerow([row["id"], *(_cell(f, rows.value(state, row, values_of, f)) for f in wanted)])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr(f"{job}.csv", text.getvalue().encode())
    more = len(found) > size
    token = None
    if more:
        held_token = {"query": asked, "after": page[-1]["id"], "user": user, "ends": state.now() + DAY}
        token = base64.urlsafe_b64encode(json.dumps(held_token).encode()).decode()
    api = state.switches["api"]
    return {"page": doc["page"], "count": len(page), "download_url": f"/crm/bulk/{api}/read/{job}/result", "per_page": size,
            "more_records": more, "next_page_token": token}, packed.getvalue()  # fmt: skip


def _cell(found: Field, held: Any) -> str:
    if held is None:
        return ""
    if found.kind in {"lookup", "ownerlookup"}:
        return str(held["id"])
    if found.kind == "boolean":
        return "true" if held else "false"
    if isinstance(held, list):
        return ";".join(str(h) for h in held)
    return str(held)


def result(state: State, call: Call, ident: str) -> Response:
    """``GET /crm/bulk/v8/read/{id}/result``: ten downloads a minute."""
    job, _, doc = _job(state, call, ident)
    if "result" not in doc or doc["created"] + DAY < state.now():
        raise Refusal(404, "RESOURCE_NOT_FOUND", "The requested resource doesn't exist.")
    if not state.stamp("download", 60, int(state.switches["bulk_downloads"])):
        raise Refusal(429, "TOO_MANY_REQUESTS", "Too many requests fired")
    ((packed,),) = state.db.execute("SELECT result FROM job WHERE id = ?", (job,)).fetchall()
    return Response(packed, 200, {"Content-Disposition": f"attachment; filename={job}.zip"}, media_type="application/zip")
