"""Deleting, the bin, restoring, purging and mass deletion, with the vendor's verdicts.

Notes and attachments follow their parent into the bin and back; records that look a deleted one up survive, unless the switch
``cascade`` says otherwise. Left to others: merges and users (``people``).
"""

from __future__ import annotations

import json
import random
from typing import Any

from starlette.responses import Response

from steward.sandbox.zoho.answers import Call, Refusal, answer, envelope, nothing, verdicts
from steward.sandbox.zoho.auth import require
from steward.sandbox.zoho.changing import taken
from steward.sandbox.zoho.model import FOLLOWING, RELATED
from steward.sandbox.zoho.reading import known, missing, number
from steward.sandbox.zoho.state import State

_LOCKED = "You cannot perform this operation as the record is locked."


def drop(state: State, module: str, ident: int, user: int, source: str, *, workflow: bool | None = None) -> None:
    """Move a live record to the bin, and what goes along."""
    now = state.now()
    state.db.execute("UPDATE record SET life = 'bin', deleted = ?, deleted_by = ?, workflow = ? WHERE id = ?",
                     (now, user, workflow, ident))  # fmt: skip
    state.remember(ident, "deleted", source, user)
    for name, (child, look) in RELATED.get(module, {}).items():
        if name in FOLLOWING or f"{module}>{child}" in state.switches["cascade"]:
            state.db.execute(
                "UPDATE record SET life = 'bin', deleted = ?, deleted_by = ?, dragged_by = ? WHERE module = ? AND life = 'live' "  # noqa: S608
                f"AND json_extract(doc, '$.{look}.id') = ?",
                (now, user, ident, child, str(ident)),
            )


def _delete_one(
    state: State, call: Call, module: str, ident: int, details: dict[str, Any], message: str, source: str
) -> dict[str, Any]:
    found = state.get(ident, module=module)
    if found is None:
        return envelope("INVALID_DATA", "record not deleted", details, "error")
    lock = found[1]["lock"]
    if lock == "RECORD_LOCKED":
        return envelope("RECORD_LOCKED", _LOCKED, {"action": "record_locking", "id": str(ident)}, "error")
    if lock == "NOT_APPROVED":
        return envelope("NOT_APPROVED", "cannot delete record that is not approved yet", {}, "error")
    if lock == "NO_PERMISSION":
        return envelope(
            "NO_PERMISSION", "Permission denied to delete", {"permissions": [f"Crm_Implied_Delete_{module}"]}, "error"
        )
    drop(state, module, ident, call.user, source, workflow=call.query.get("wf_trigger", "true") != "false")
    return envelope("SUCCESS", message, {"id": str(ident)}, "success")


def delete(state: State, call: Call, module: str, ident: str = "") -> Response:
    """``DELETE /{module}/{id}`` and ``DELETE /{module}?ids=``."""
    require(call, "ZohoCRM.modules.DELETE", module=known(module))
    refused = state.switches.get("refuse_delete")
    if refused == "NO_PERMISSION":
        raise Refusal(403, "NO_PERMISSION", "Permission denied to delete", {"permissions": [f"Crm_Implied_Delete_{module}"]})
    if refused == "AUTHORIZATION_FAILED":
        raise Refusal(400, "AUTHORIZATION_FAILED", "User does not have sufficient privilege to delete records")
    if ident:
        number(ident)
        wrong = {"id": ident} if state.switches["verdict"] == "id" else {"resource_path_index": 1}
        return verdicts("data", [_delete_one(state, call, module, int(ident), wrong, "record deleted", "crm_api")])
    idents = [number(i) for i in call.query.get("ids", "").split(",") if i]
    if not idents:
        raise missing(state, "ids")
    if len(idents) > 100:
        raise Refusal(400, "LIMIT_EXCEEDED", "maximum limit of ids exceeded", {"limit": 100, "param_name": "ids"})
    items = [_delete_one(state, call, module, i, {"id": str(i)}, "record deleted", "crm_api") for i in idents]
    if state.switches["shuffle"]:
        random.Random(len(items)).shuffle(items)  # noqa: S311 - an order, not a secret
    return verdicts("data", items)


def mass_delete(state: State, call: Call, module: str) -> Response:
    """``POST /{module}/actions/mass_delete`` by ids (at once) or by view (a job)."""
    require(call, "ZohoCRM.mass_delete.DELETE", module=known(module))
    body = call.body if isinstance(call.body, dict) else {}
    if "cvid" in body:
        if state.db.execute("SELECT 1 FROM job WHERE kind = 'mass' AND polls < 2").fetchone():
            raise Refusal(400, "ALREADY_SCHEDULED", "a mass delete is already scheduled")
        job = state.new_id()
        state.db.execute(
            "INSERT INTO job (id, kind, user, doc) VALUES (?, 'mass', ?, ?)", (job, call.user, json.dumps({"module": module}))
        )
        return answer({"data": [envelope("SCHEDULED", "mass delete has been scheduled", {"job_id": str(job)}, "success")]}, 202)
    idents = [number(str(i)) for i in body.get("ids") or ()]
    if not idents:
        raise missing(state, "ids")
    if len(idents) > 500:
        raise Refusal(400, "LIMIT_EXCEEDED", "maximum limit of ids exceeded", {"limit": 500, "param_name": "ids"})
    return verdicts("data", [
        _delete_one(state, call, module, i, {"id": str(i)}, "record is deleted", "mass_delete_via_crm_api") for i in idents
    ])  # fmt: skip


def mass_status(state: State, call: Call, module: str) -> Response:
    """``GET /{module}/actions/mass_delete?job_id=``: SCHEDULED, RUNNING, then COMPLETED; never which."""
    require(call, "ZohoCRM.mass_delete.READ", module=known(module))
    job = number(call.query.get("job_id", ""))
    row = state.db.execute("SELECT polls, user FROM job WHERE id = ? AND kind = 'mass'", (job,)).fetchone()
    if row is None:
        raise Refusal(400, "INVALID_DATA", "the id given seems to be invalid", {"param_name": "job_id"})
    total = 0
    if row[0] == 1:
        live = [
            i for (i,) in state.db.execute("SELECT id FROM record WHERE module = ? AND life = 'live' AND lock = ''", (module,))
        ]
        for ident in live:
            drop(state, module, ident, row[1], "mass_delete_via_crm_api")
        total = len(live)
    state.db.execute("UPDATE job SET polls = polls + 1 WHERE id = ?", (job,))
    status = ("SCHEDULED", "RUNNING", "COMPLETED")[min(row[0] + 1, 2)]
    return answer({"data": [{"Status": status, "Total_Count": total, "Deleted_Count": total, "Failed_Count": 0}]})


# the bin


def _entry(state: State, row: dict[str, Any]) -> dict[str, Any]:
    module: Any = row["module"]
    if state.switches["bin_module"] == "object":
        module = {"api_name": row["module"], "id": "0"}
    return {"id": str(row["id"]), "display_name": state.display(row), "module": module,
            "owner": json.loads(row["doc"]).get("Owner"), "deleted_by": state.person(row["deleted_by"]),
            "deleted_time": state.moment(row["deleted"])}  # fmt: skip


def _filter(state: State, filters: Any) -> tuple[str, list[Any]]:
    """SQL of the bin's filters: only AND, only what the vendor names."""
    wrong = Refusal(400 if state.switches["api"] == "v8" else 403, "INVALID_DATA", "the filters given seem to be invalid")
    if isinstance(filters, str):
        try:
            filters = json.loads(filters)
        except ValueError:
            raise wrong from None
    if not isinstance(filters, dict):
        raise wrong
    group = filters.get("group", [filters])
    if str(filters.get("group_operator", "AND")).upper() != "AND":
        raise wrong
    parts, values = ["1"], []
    for one in group:
        name = one.get("field", {}).get("api_name")
        column = {"module": "module", "deleted_by": "deleted_by", "id": "id"}.get(name)
        if column is None or one.get("comparator") not in {"equal", "in"}:
            raise wrong
        held = one["value"] if isinstance(one["value"], list) else [one["value"]]
        parts.append(f"{column} IN ({', '.join('?' * len(held))})")
        values += [h if column == "module" else int(h) for h in held]
    return " AND ".join(parts), values


def bin_list(state: State, call: Call, ident: str = "") -> Response:
    """``GET /settings/recycle_bin`` and ``/{id}``."""
    require(call, "ZohoCRM.settings.recycle_bin.READ")
    state.age()
    page, per_page = int(number(call.query.get("page", "1"))), min(200, int(number(call.query.get("per_page", "200"))))
    where, values = ("id = ?", [number(ident)]) if ident else ("1", [])
    if not ident and "filters" in call.query:
        where, values = _filter(state, call.query["filters"])
    found = list(state.query(
        f"SELECT * FROM record WHERE life = 'bin' AND dragged_by IS NULL AND {where} ORDER BY deleted DESC, id DESC LIMIT ? OFFSET ?",  # noqa: S608
        [*values, per_page + 1, (page - 1) * per_page],
    ))  # fmt: skip
    if not found:
        return nothing()
    return answer({"recycle_bin": [_entry(state, r) for r in found[:per_page]],
                   "info": {"per_page": per_page, "count": min(len(found), per_page), "page": page,
                            "more_records": len(found) > per_page}})  # fmt: skip


def _v8(state: State) -> None:
    if state.switches["api"] != "v8":
        raise Refusal(404, "INVALID_URL_PATTERN", "Please check if the URL trying to access is a correct one")


def bin_count(state: State, call: Call) -> Response:
    """``GET /settings/recycle_bin/actions/count``."""
    _v8(state)
    require(call, "ZohoCRM.settings.recycle_bin.READ")
    state.age()
    ((n,),) = state.db.execute("SELECT count(*) FROM record WHERE life = 'bin' AND dragged_by IS NULL").fetchall()
    return answer({"count": n})


def revive(state: State, ident: int, user: int) -> None:
    """Bring a record back out of the bin, and what went along."""
    state.db.execute("UPDATE record SET life = 'live', deleted = NULL, deleted_by = NULL, dragged_by = NULL WHERE life = 'bin' "
                     "AND (id = ? OR dragged_by = ?)", (ident, ident))  # fmt: skip
    state.remember(ident, "restored", "crm_api", user)


def _weight(state: State, idents: list[int]) -> int:
    marks = ", ".join("?" * len(idents))
    ((n,),) = state.db.execute(
        f"SELECT count(*) FROM record WHERE life = 'bin' AND (id IN ({marks}) OR dragged_by IN ({marks}))", idents * 2  # noqa: S608
    ).fetchall()  # fmt: skip
    return int(n)


def _restore_one(state: State, ident: int, user: int, message: str, *, scheduled: bool) -> dict[str, Any]:
    found = state.get(ident, life="bin")
    if found is None:
        return envelope("INVALID_DATA", "the id given seems to be invalid", {"id": str(ident)}, "error")
    parent = json.loads(found[1]["doc"]).get("Parent_Id") if found[0] in FOLLOWING else None
    if found[1]["dragged_by"] is not None or (parent and state.get(int(parent["id"])) is None):
        return envelope(
            "CANNOT_RESTORE_WITHOUT_PARENT", "cannot restore without the parent record", {"id": str(ident)}, "error"
        )
    if taken(state, found[0], json.loads(found[1]["doc"]), ident) is not None:
        return envelope("DUPLICATE_DATA", "duplicate data", {"id": str(ident)}, "error")
    revive(state, ident, user)
    if scheduled:
        return envelope("SCHEDULED", "record has been scheduled for restoration", {"id": str(ident)}, "success")
    return envelope("SUCCESS", message, {"id": str(ident)}, "success")


def restore(state: State, call: Call, ident: str = "") -> Response:
    """``POST /settings/recycle_bin[/{id}]/actions/restore``."""
    _v8(state)
    require(call, "ZohoCRM.settings.recycle_bin.UPDATE")
    state.age()
    if ident:
        return verdicts("recycle_bin", [_restore_one(state, number(ident), call.user, "Restored", scheduled=False)])
    body = call.body if isinstance(call.body, dict) else {}
    if len([k for k in ("ids", "filters", "restore_all_records") if k in body]) != 1:
        raise Refusal(400, "INVALID_DATA", "exactly one of ids, filters and restore_all_records is expected")
    if "ids" in body:
        idents = [number(str(i)) for i in body["ids"]]
        if not 1 <= len(idents) <= 200:
            raise Refusal(400, "LIMIT_EXCEEDED", "maximum limit of ids exceeded", {"limit": 200})
        scheduled = _weight(state, idents) > int(state.switches["bulk_threshold"])
        return verdicts(
            "recycle_bin", [_restore_one(state, i, call.user, "record restored", scheduled=scheduled) for i in idents]
        )
    where, values = _filter(state, body["filters"]) if "filters" in body else ("1", [])
    found = state.db.execute(f"SELECT id FROM record WHERE life = 'bin' AND dragged_by IS NULL AND {where}", values)  # noqa: S608
    for (one,) in found.fetchall():
        revive(state, one, call.user)
    message = "Bulk restoration of records based on filters has been scheduled"
    return answer({"recycle_bin": [envelope("SCHEDULED", message, {}, "success")]}, 202)


def _purge_one(state: State, ident: int) -> None:
    state.db.execute(
        "UPDATE record SET life = 'gone', doc = '{}' WHERE life = 'bin' AND (id = ? OR dragged_by = ?)", (ident, ident)
    )


def purge(state: State, call: Call, ident: str = "") -> Response:
    """``DELETE /settings/recycle_bin``: by id, by ids, or (always scheduled) by filters."""
    require(call, "ZohoCRM.settings.recycle_bin.DELETE")
    state.age()
    idents = [number(i) for i in (ident or call.query.get("ids", "")).split(",") if i]
    if not idents and "filters" in call.query:
        where, values = _filter(state, call.query["filters"])
        found = state.db.execute(f"SELECT id FROM record WHERE life = 'bin' AND {where}", values)  # noqa: S608
        for (one,) in found.fetchall():
            _purge_one(state, one)
        message = "Bulk deletion of records based on filters has been scheduled"
        return answer({"recycle_bin": [envelope("SCHEDULED", message, {}, "success")]}, 202)
    if not idents:
        raise missing(state, "ids")
    if len(idents) > 100:
        raise Refusal(400, "LIMIT_EXCEEDED", "maximum limit of ids exceeded", {"limit": 100, "param_name": "ids"})
    scheduled = _weight(state, idents) > int(state.switches["bulk_threshold"])
    items = []
    for one in idents:
        if state.get(one, life="bin") is None:
            items.append(envelope("INVALID_DATA", "the id given seems to be invalid", {"id": str(one)}, "error"))
            continue
        _purge_one(state, one)
        code, message = ("SCHEDULED", "record has been scheduled for deletion") if scheduled else ("SUCCESS", "record deleted")
        items.append(envelope(code, message, {"id": str(one)}, "success"))
    return verdicts("recycle_bin", items)


def empty(state: State, call: Call) -> Response:
    """``POST /settings/recycle_bin/actions/empty``: admins only."""
    _v8(state)
    require(call, "ZohoCRM.settings.recycle_bin.UPDATE")
    if not state.switches["admin"]:
        raise Refusal(400, "AUTHORIZATION_FAILED", "User does not have sufficient privilege to empty the recycle bin")
    ((n,),) = state.db.execute("SELECT count(*) FROM record WHERE life = 'bin'").fetchall()
    state.db.execute("UPDATE record SET life = 'gone', doc = '{}' WHERE life = 'bin'")
    if n > int(state.switches["bulk_threshold"]):
        return answer({"recycle_bin": [envelope("SCHEDULED", "recycle bin clearing has been scheduled", {}, "success")]}, 202)
    return answer({"recycle_bin": [envelope("SUCCESS", "recyclebin is cleared", {}, "success")]})
