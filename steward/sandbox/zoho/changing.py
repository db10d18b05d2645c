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
    """``PUT /{module}/{id}``: 412 where the record changed after ``If-Unmodified-Since``."""
    require(call, "ZohoCRM.modules.UPDATE", module=known(module))
    sent = _sent(call, 1)[0]
    found = state.get(number(ident), module=module)
    wrong: dict[str, Any] = {"resource_path_index": 1}
    if found is None:
        return verdicts("data", [envelope("INVALID_DATA", "the id given seems to be invalid", wrong, "error")])
    lock = found[1]["lock"]
    if lock == "RECORD_LOCKED":
        details = {"action": "record_locking", "id": ident}
        return verdicts(
            "data", [envelope("RECORD_LOCKED", "You cannot perform this operation as the record is locked.", details, "error")]
        )
    if lock == "NOT_APPROVED":
        raise Refusal(400, "NOT_APPROVED", "record is not approved yet", wrong)
    if lock == "NO_PERMISSION":
        raise Refusal(403, "NO_PERMISSION", "Permission denied to update", {"permissions": [f"Crm_Implied_Edit_{module}"]})
    since = call.headers.get(str(state.switches["guard"]))
    if since and int(found[1]["modified"]) > parse_moment(since):
        return _too_late(state, module, found[1])
    values = {k: v for k, v in sent.items() if k not in _FIXED and field_of(module, k) is not None}
    if module == "Notes" and "Parent_Id" in values and state.switches["note_moves"] != "yes":
        del values["Parent_Id"]
        if state.switches["note_moves"] == "refused":
            wrong = {"api_name": "Parent_Id", "json_path": "$.data[0].Parent_Id"}
            return verdicts("data", [envelope("NOT_ALLOWED", "the field cannot be changed", wrong, "error")])
    state.edit(int(ident), {k: _held(state, module, k, v) for k, v in values.items()}, state.person(call.user))
    state.remember(int(ident), "updated", "crm_api", call.user)
    _fired(state, call, int(ident))
    return verdicts("data", [envelope("SUCCESS", "record updated", _stamps(state, module, int(ident)), "success")])


def insert(state: State, call: Call, module: str) -> Response:
    """``POST /{module}``: up to a hundred records, each with a verdict in the order of the request."""
    require(call, "ZohoCRM.modules.CREATE", module=known(module))
    items = []
    for n, sent in enumerate(_sent(call, 100)):
        values = {k: v for k, v in sent.items() if k not in _FIXED and field_of(module, k) is not None and v is not None}
        lacking = next((f for f in _of(state, "mandatory", module) if f not in values), None)
        if lacking is not None:
            place = {"api_name": lacking, "json_path": f"$.data[{n}].{lacking}"}
            items.append(envelope("MANDATORY_NOT_FOUND", "required field not found", place, "error"))
            continue
        double = taken(state, module, values)
        if double is not None:
            items.append(envelope("DUPLICATE_DATA", "duplicate data", double, "error"))
            continue
        ident, now, by = state.new_id(), state.now(), state.person(call.user)
        doc = {k: _held(state, module, k, v) for k, v in values.items()}
        state.put(module, ident, {"Owner": by, **doc, "Created_By": by, "Modified_By": by}, created=now, modified=now)
        state.remember(ident, "added", "crm_api", call.user)
        _fired(state, call, ident)
        items.append(envelope("SUCCESS", "record added", _stamps(state, module, ident), "success"))
    answered = verdicts("data", items)
    answered.status_code = 201 if answered.status_code == 200 else answered.status_code
    return answered


def taken(state: State, module: str, values: dict[str, Any], but: int = 0) -> dict[str, Any] | None:
    """Details of the live record that holds a value which the organisation allows once; None where there is none."""
    for name in _of(state, "unique", module):
        row = state.db.execute(
            f"SELECT id FROM record WHERE module = ? AND life = 'live' AND id <> ? AND json_extract(doc, '$.{name}') = ?",  # noqa: S608
            (module, but, values.get(name)),
        ).fetchone()
        if row is not None:
            return {
                "api_name": name,
                "json_path": f"$.data[0].{name}",
                "duplicate_record": {"id": str(row[0])},
                "more_records": False,
            }
    return None


def _of(state: State, switch: str, module: str) -> list[str]:
    return [name for held, _, name in (str(s).partition(".") for s in state.switches[switch]) if held == module]


def _sent(call: Call, most: int) -> list[dict[str, Any]]:
    sent = call.body.get("data") if isinstance(call.body, dict) else None
    if not isinstance(sent, list) or not 1 <= len(sent) <= most or not all(isinstance(s, dict) for s in sent):
        raise Refusal(400, "MANDATORY_NOT_FOUND", "required field not found", {"api_name": "data", "json_path": "$.data"})
    return sent


def _held(state: State, module: str, name: str, value: Any) -> Any:
    """A value as it is kept: look-ups with the name of what they lead to, moments in UTC, rows of a subform with ids."""
    found = field_of(module, name)
    if found is None or value is None:
        return value
    if found.kind == "ownerlookup":
        return state.person(number(str(value["id"])))
    if found.kind == "lookup":
        ident = number(str(value["id"]))
        row = next(iter(state.query("SELECT * FROM record WHERE id = ?", [ident])), None)
        if row is None or row["life"] != "live":
            place = {"api_name": name, "json_path": f"$.data[0].{name}"}
            raise Refusal(400, "INVALID_DATA", "the related id given seems to be invalid", place)
        return {"id": str(ident), "name": state.display(row)}
    if found.kind in {"subform", "multiselectlookup"}:
        return [{**row, "id": str(row.get("id") or state.new_id())} for row in value]
    return value


def _fired(state: State, call: Call, ident: int) -> None:
    """Note whether anything that is automated began: without ``trigger`` all of it does."""
    sent = call.body.get("trigger") if isinstance(call.body, dict) else None
    state.db.execute("UPDATE record SET workflow = ? WHERE id = ?", (sent is None or bool(sent), ident))


def _stamps(state: State, module: str, ident: int) -> dict[str, Any]:
    found = state.get(ident, module=module)
    if found is None:
        raise KeyError(ident)
    doc, row = json.loads(found[1]["doc"]), found[1]
    by = {n: {"name": doc[n]["name"], "id": doc[n]["id"]} for n in ("Created_By", "Modified_By") if n in doc}
    return {
        "id": str(ident),
        "Modified_Time": state.moment(row["modified"]),
        "Created_Time": state.moment(row["created"]),
        **by,
    }


def _too_late(state: State, module: str, row: dict[str, Any]) -> Response:
    message = "record updated time has already passed if-unmodified-since time"
    if state.switches["guard_shape"] == "top":
        raise Refusal(412, "ALREADY_MODIFIED", message)
    items = [envelope("ALREADY_MODIFIED", message, _stamps(state, module, row["id"]), "error")]
    return answer({"data": items}, 412)


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
