"""Users (staff, never customers), merges, and the counts of related records. Left to others: records (``reading``, ``removing``)."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from steward.sandbox.zoho.answers import Call, Refusal, answer, envelope, nothing
from steward.sandbox.zoho.auth import require
from steward.sandbox.zoho.model import RELATED
from steward.sandbox.zoho.reading import known, number
from steward.sandbox.zoho.removing import drop
from steward.sandbox.zoho.state import State

_MERGED = frozenset({"Leads", "Contacts", "Accounts", "Deals"})
_STATUS = {"ActiveUsers": "active", "DeactiveUsers": "inactive", "DeletedUsers": "deleted"}


def users(state: State, call: Call, ident: str = "") -> Response:
    """``GET /users?type=`` and ``/users/{id}``."""
    require(call, "ZohoCRM.users.READ")
    page, per_page = int(number(call.query.get("page", "1"))), min(200, int(number(call.query.get("per_page", "200"))))
    kind = _STATUS.get(call.query.get("type", "AllUsers"))
    found = []
    for row in state.query("SELECT id, doc FROM person ORDER BY id"):
        doc = json.loads(row["doc"])
        if (ident and str(row["id"]) != ident) or (kind and not ident and doc["status"] != kind):
            continue
        if call.query.get("type") == "CurrentUser" and row["id"] != call.user:
            continue
        found.append({"id": str(row["id"]), **{k: v for k, v in doc.items() if k != "primary"}})
    shown = found[(page - 1) * per_page : page * per_page]
    if not shown:
        return nothing()
    return answer({"users": shown, "info": {"per_page": per_page, "count": len(shown), "page": page,
                                            "more_records": len(found) > page * per_page}})  # fmt: skip


def _user(state: State, ident: str) -> dict[str, Any]:
    row = state.db.execute("SELECT doc FROM person WHERE id = ?", (number(ident),)).fetchone()
    if row is None:
        raise Refusal(400, "INVALID_DATA", "the id given seems to be invalid", {"resource_path_index": 0})
    return dict(json.loads(row[0]))


def _save(state: State, ident: str, doc: dict[str, Any]) -> None:
    state.db.execute("UPDATE person SET doc = ? WHERE id = ?", (json.dumps(doc, ensure_ascii=False), number(ident)))


def deactivate(state: State, call: Call, ident: str) -> Response:
    """``PUT /users/{id}`` with ``status`` inactive or active."""
    require(call, "ZohoCRM.users.UPDATE")
    doc, sent = _user(state, ident), (call.body or {}).get("users", [{}])[0]
    status = sent.get("status")
    if status not in {"active", "inactive"}:
        raise Refusal(400, "INVALID_DATA", "invalid data", {"api_name": "status"})
    if doc.get("primary"):
        raise Refusal(400, "CANNOT_UPDATE_PRIMARY_CONTACT", "Primary contact cannot be deactivated")
    if status == "active" and doc["status"] == "active":
        raise Refusal(400, "ID_ALREADY_ACTIVATED", "User is already active", {"id": ident})
    if status == "inactive" and doc["status"] == "inactive":
        raise Refusal(400, "ID_ALREADY_DEACTIVATED", "User is already deactivated", {"id": ident})
    if doc["status"] == "deleted":
        raise Refusal(400, "ID_ALREADY_DELETED", "User is already deleted", {"id": ident})
    _save(state, ident, {**doc, "status": status})
    return answer({"users": [envelope("SUCCESS", "User updated", {"id": ident}, "success")]})


def remove(state: State, call: Call, ident: str) -> Response:
    """``DELETE /users/{id}``: not undone; records keep naming the owner."""
    require(call, "ZohoCRM.users.DELETE")
    doc = _user(state, ident)
    if doc["status"] == "deleted":
        return answer({"users": [envelope("ID_ALREADY_DELETED", "User is already deleted", {}, "error")]}, 400)
    if doc.get("primary"):
        raise Refusal(400, "CANNOT_DELETE_PRIMARY_CONTACT", "Primary contact cannot be deleted")
    _save(state, ident, {**doc, "status": "deleted"})
    return answer({"users": [envelope("SUCCESS", "User deleted", {}, "success")]})


def transfer(state: State, call: Call, ident: str) -> Response:
    """``POST /users/{id}/actions/transfer_and_delete``: a job that moves the records, then deletes."""
    require(call, "ZohoCRM.users.DELETE")
    doc = _user(state, ident)
    if doc["status"] == "deleted":
        raise Refusal(400, "ID_ALREADY_DELETED", "User is already deleted")
    to = state.person(number(str(call.body["transfer_and_delete"][0]["transfer"]["id"])))
    for (record,) in state.db.execute(
        "SELECT id FROM record WHERE life = 'live' AND json_extract(doc, '$.Owner.id') = ?", (ident,)
    ).fetchall():
        state.edit(record, {"Owner": to}, state.person(call.user))
    _save(state, ident, {**doc, "status": "deleted"})
    job = state.new_id()
    state.db.execute("INSERT INTO job (id, kind, user, doc) VALUES (?, 'transfer', ?, '{}')", (job, call.user))
    details = {str(state.switches["job_key"]): str(job)}
    return answer(
        {"transfer_and_delete": [envelope("SCHEDULED", "transfer and delete has been scheduled", details, "success")]}, 202
    )


def transfer_status(state: State, call: Call) -> Response:
    """``GET …/transfer_and_delete?job_id=``."""
    require(call, "ZohoCRM.users.READ")
    row = state.db.execute(
        "SELECT polls FROM job WHERE id = ? AND kind = 'transfer'", (number(call.query.get("job_id", "")),)
    ).fetchone()
    if row is None:
        raise Refusal(400, "INVALID_DATA", "the id given seems to be invalid", {"param_name": "job_id"})
    state.db.execute("UPDATE job SET polls = polls + 1 WHERE id = ?", (number(call.query["job_id"]),))
    return answer({"transfer_and_delete": [{"status": "in_progress" if row[0] == 0 else "completed"}]})


def merge(state: State, call: Call, module: str, ident: str) -> Response:
    """``POST /{module}/{master}/actions/merge``: at most two children, which are deleted; what hung on them moves."""
    require(call, "ZohoCRM.modules.UPDATE", module=known(module))
    sent = (call.body or {}).get("merge", [{}])[0].get("data", [])
    children = [number(str(c["id"])) for c in sent]
    if module not in _MERGED or not 1 <= len(children) <= 2:
        raise Refusal(400, "NOT_ALLOWED", "the records cannot be merged")
    found = [state.get(i, module=module) for i in (number(ident), *children)]
    if any(f is None for f in found) or len({int(ident), *children}) != len(children) + 1:
        raise Refusal(400, "INVALID_DATA", "the id given seems to be invalid", {"resource_path_index": 1})
    if any(f is not None and f[1]["lock"] for f in found):
        raise Refusal(400, "NOT_ALLOWED", "the records cannot be merged")
    master = {"id": ident, "name": state.display(found[0][1]) if found[0] else ""}
    moved = 0
    for child in children:
        for target, look in RELATED.get(module, {}).values():
            rows = state.db.execute(
                f"SELECT id FROM record WHERE module = ? AND life = 'live' AND json_extract(doc, '$.{look}.id') = ?",  # noqa: S608
                (target, str(child)),
            ).fetchall()  # fmt: skip
            moved += len(rows)
            for (one,) in rows:
                state.edit(one, {look: master}, state.person(call.user))
        drop(state, module, child, call.user, "find_and_merge")
        state.remember(child, "find_and_merge_duplicate", "crm_api", call.user)
    if moved > int(state.switches["bulk_threshold"]):
        return answer(
            {"merge": [envelope("SCHEDULED", "merge has been scheduled", {"job_id": str(state.new_id())}, "success")]}, 202
        )
    return answer({"merge": [envelope("SUCCESS", "records merged", {"id": ident}, "success")]})


def related_count(state: State, call: Call, module: str, ident: str) -> Response:
    """``POST /{module}/{id}/actions/get_related_records_count``; the answer nests arrays."""
    require(call, "ZohoCRM.modules.READ", module=known(module))
    asked = (call.body or {}).get("get_related_records_count") or []
    if not 1 <= len(asked) <= 20:
        raise Refusal(400, "LIMIT_EXCEEDED", "at most 20 related lists", {"limit": 20})
    out = []
    for n, one in enumerate(asked):
        name = one["related_list"]["api_name"]
        relation = RELATED.get(module, {}).get(name)
        if relation is None:
            raise Refusal(400, "INVALID_DATA", "the related list given seems to be invalid", {"api_name": name})
        ((held,),) = state.db.execute(
            f"SELECT count(*) FROM record WHERE module = ? AND life = 'live' AND json_extract(doc, '$.{relation[1]}.id') = ?",  # noqa: S608
            (relation[0], ident),
        ).fetchall()  # fmt: skip
        out.append({"count": held, "related_list": {"api_name": name, "id": str(7_200_000_000_000_000_000 + n)}})
    return answer({"get_related_records_count": [out]})
