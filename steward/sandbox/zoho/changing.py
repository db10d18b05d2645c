"""Updates, changes of owner, and the audit export that proves them. Left to others: deletions (``removing``), users (``people``)."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from starlette.responses import Response

from steward.sandbox.zoho.answers import Call, Refusal, answer, envelope, nothing, verdicts
from steward.sandbox.zoho.auth import require
from steward.sandbox.zoho.model import NAME_OF, field_of
from steward.sandbox.zoho.reading import known, missing, number
from steward.sandbox.zoho.state import DAY, State, parse_moment

_FIXED = frozenset({"id", "Created_Time", "Modified_Time", "Created_By", "Modified_By"})


def update(state: State, call: Call, module: str, ident: str) -> Response:
    """``PUT /{module}/{id}``: 412 where the record changed after ``If-Modified-Since``."""
    require(call, "ZohoCRM.modules.UPDATE", module=known(module))
    sent = call.body.get("data") if isinstance(call.body, dict) else None
    if not isinstance(sent, list) or len(sent) != 1 or not isinstance(sent[0], dict):
        raise Refusal(400, "MANDATORY_NOT_FOUND", "required field not found", {"api_name": "data"})
    found = state.get(number(ident), module=module)
    wrong: dict[str, Any] = {"resource_path_index": 1}
    if found is None:
        return verdicts("data", [envelope("INVALID_DATA", "the id given seems to be invalid", wrong, "error")])
    if found[1]["lock"] == "RECORD_LOCKED":
        details = {"action": "record_locking", "id": ident}
        return verdicts(
            "data", [envelope("RECORD_LOCKED", "You cannot perform this operation as the record is locked.", details, "error")]
        )
    since = call.headers.get("if-modified-since")
    if since and int(found[1]["modified"]) > parse_moment(since):
        raise Refusal(412, "PRECONDITION_FAILED", "the record was modified in the meantime")
    values = {k: v for k, v in sent[0].items() if k not in _FIXED and field_of(module, k) is not None}
    state.edit(int(ident), values, state.person(call.user))
    state.remember(int(ident), "updated", "crm_api", call.user)
    now = state.moment(state.now())
    return verdicts("data", [envelope("SUCCESS", "record updated", {"id": ident, "Modified_Time": now}, "success")])


def change_owner(state: State, call: Call, module: str) -> Response:
    """``POST /{module}/actions/change_owner``: up to 500 ids to one user."""
    require(call, "ZohoCRM.change_owner.CREATE")
    known(module)
    body = call.body if isinstance(call.body, dict) else {}
    idents = [number(str(i)) for i in body.get("ids") or ()]
    if not idents:
        raise missing(state, "ids")
    if len(idents) > 500:
        raise Refusal(400, "LIMIT_EXCEEDED", "maximum limit of ids exceeded", {"limit": 500, "param_name": "ids"})
    owner = number(str((body.get("owner") or {}).get("id", "")))
    row = state.db.execute("SELECT json_extract(doc, '$.status') FROM person WHERE id = ?", (owner,)).fetchone()
    if row is None or row[0] != "active":
        raise Refusal(400, "INVALID_DATA", "the owner given seems to be invalid", {"api_name": "owner"})
    items = []
    for one in idents:
        if state.get(one, module=module) is None:
            items.append(envelope("INVALID_DATA", "the id given seems to be invalid", {"id": str(one)}, "error"))
            continue
        state.edit(one, {"Owner": state.person(owner)}, state.person(call.user))
        state.remember(one, "updated", "crm_api", call.user)
        items.append(envelope("SUCCESS", "owner updated", {"id": str(one)}, "success"))
    return verdicts("data", items)


# the audit export


def export(state: State, call: Call) -> Response:
    """``POST /settings/audit_log_export``: a job over what the sandbox was asked to do."""
    require(call, "ZohoCRM.settings.audit_logs.CREATE")
    job = state.new_id()
    state.db.execute("INSERT INTO job (id, kind, user, doc) VALUES (?, 'audit', ?, '{}')", (job, call.user))
    details = {"id": str(job)}
    return answer({"audit_log_export": [envelope("SCHEDULED", "audit log export scheduled", details, "success")]}, 201)


def export_status(state: State, call: Call, ident: str) -> Response:
    """``GET /settings/audit_log_export/{id}``: Scheduled, Progress, Finished with its link."""
    require(call, "ZohoCRM.settings.audit_logs.READ")
    row = state.db.execute("SELECT polls FROM job WHERE id = ? AND kind = 'audit'", (number(ident),)).fetchone()
    if row is None:
        return nothing()
    state.db.execute("UPDATE job SET polls = polls + 1 WHERE id = ?", (number(ident),))
    status = ("Scheduled", "Progress", "Finished")[min(row[0], 2)]
    links = [f"{call.host}/crm/v8/settings/audit_log_export/{ident}/file"] if status == "Finished" else []
    body = {"id": ident, "status": status, "download_links": links, "expiry_date": state.moment(state.now() + DAY)}
    return answer({"audit_log_export": [body]})


def export_file(state: State, call: Call, ident: str) -> Response:
    """The CSV: who did what to which record, when and by which way."""
    require(call, "ZohoCRM.settings.audit_logs.READ")
    number(ident)
    text = io.StringIO(newline="")
    out = csv.writer(text, lineterminator="\n")
    out.writerow(["Audited Time", "Done By", "Action", "Module", "Record Id", "Record Name", "Source"])
    for e in state.query(
        "SELECT event.*, record.module AS module, record.doc AS doc FROM event LEFT JOIN record ON record.id = event.id "
        "ORDER BY event.moment, event.rowid"
    ):
        doc = json.loads(e["doc"] or "{}")
        name = doc.get(NAME_OF.get(e["module"] or "", "")) or ""
        who = state.person(e["user"])["name"]
        out.writerow([state.moment(e["moment"]), who, e["action"], e["module"] or "", e["id"], name, e["source"]])
    return Response(text.getvalue().encode(), 200, media_type="text/csv")
