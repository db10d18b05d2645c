"""Calls about the company: members, departments, workflow instances and the audit trail.

Removing a member sets its status to -1 and leaves every record as it was. Left to others: records.
"""

from __future__ import annotations

from datetime import datetime

from steward.sandbox.jiandaoyun.gate import Call, Refused
from steward.sandbox.jiandaoyun.reading import text
from steward.sandbox.jiandaoyun.state import Json, State, iso
from steward.sandbox.jiandaoyun.values import member

_AUDIT_DAYS = 31


def user_get(state: State, body: Json, base: str) -> Json:
    """``/v5/corp/user/get``."""
    found = member(state, text(body, "username"))
    if found is None:
        raise Refused(1010)
    return {"user": found}


def users(state: State, body: Json, base: str) -> Json:
    """``/v5/corp/department/user/list``: members of a department, and below it where asked; those who left are not in it."""
    wanted = {body.get("dept_no")}
    if state.row("SELECT 1 FROM departments WHERE dept_no = ?", body.get("dept_no")) is None:
        raise Refused(6002)
    if body.get("has_child"):
        for row in state.rows("SELECT * FROM departments ORDER BY dept_no"):
            if row["parent"] in wanted:
                wanted.add(row["dept_no"])
    found = state.rows("SELECT * FROM members WHERE status >= 0 ORDER BY username")
    return {"users": [member(state, r["username"]) for r in found if r["dept"] in wanted]}


def departments(state: State, body: Json, base: str) -> Json:
    """``/v6/corp/department/list``."""
    found = state.rows("SELECT * FROM departments ORDER BY dept_no")
    return {"departments": [{"dept_no": r["dept_no"], "name": r["name"], "parent_no": r["parent"]} for r in found]}


def user_delete(state: State, body: Json, base: str) -> Json:
    """``/v5/corp/user/delete``."""
    _remove(state, [text(body, "username")])
    return {"status": "success"}


def user_batch_delete(state: State, body: Json, base: str) -> Json:
    """``/v5/corp/user/batch_delete``."""
    names = body.get("usernames")
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise Refused(3005)
    _remove(state, names)
    return {"status": "success"}


def _remove(state: State, names: list[str]) -> None:
    if state.settings["integrated"]:
        raise Refused(8302)
    if any(member(state, name) is None for name in names):
        raise Refused(1010)
    for name in names:
        state.run("UPDATE members SET status = -1 WHERE username = ?", name)


def instance(state: State, body: Json, base: str) -> Json:
    """``/v6/workflow/instance/get``: an instance's id is its record's id."""
    row = _flow(state, body)
    return {"instance_id": row["data_id"], "status": row["flow_state"], "tasks": []}


def close(state: State, body: Json, base: str) -> Json:
    """``/v1/workflow/instance/close``: ends a running flow by hand."""
    return _set_flow(state, body, 0, 2)


def activate(state: State, body: Json, base: str) -> Json:
    """``/v1/workflow/instance/activate``: opens an ended flow again."""
    return _set_flow(state, body, 2, 0)


def _flow(state: State, body: Json) -> Json:
    row = state.row(
        "SELECT * FROM records WHERE data_id = ? AND deleted IS NULL AND flow_state IS NOT NULL", text(body, "instance_id")
    )
    if row is None:
        raise Refused(50016)
    return dict(row)


def _set_flow(state: State, body: Json, before: int, after: int) -> Json:
    row = _flow(state, body)
    if row["flow_state"] != before:
        raise Refused(4008)
    state.run("UPDATE records SET flow_state = ? WHERE data_id = ?", after, row["data_id"])
    state.touch(row["entry_id"])
    return {"status": "success"}


def audit_domains(state: State, body: Json, base: str) -> Json:
    """``/v1/audit_log/domains``."""
    _edition(state)
    return {"domains": [{"domain": d} for d in ("login", "platform", "app_builder", "kms")]}


def audit(state: State, body: Json, base: str) -> Json:
    """``/v1/audit_log/list``: newest first, 31 days at most, an unknown filter is an error."""
    _edition(state)
    if body.get("domain") not in ("login", "platform", "app_builder", "kms"):
        raise Refused(3005)
    window, filters, limit = body.get("time_range"), body.get("filters") or {}, body.get("limit", 200)
    if not isinstance(window, dict) or not isinstance(filters, dict) or not isinstance(limit, int) or not 1 <= limit <= 200:
        raise Refused(3005)
    if set(filters) - {"app_ids", "entry_ids"}:
        raise Refused(3005)
    try:
        start, end = (datetime.fromisoformat(window[k]).timestamp() for k in ("start", "end"))
        before = int(body.get("cursor") or 1 << 60)
    except (KeyError, TypeError, ValueError):
        raise Refused(3005) from None
    if end < start or end - start > _AUDIT_DAYS * 86_400:
        raise Refused(3005)
    if body["domain"] != "platform":
        return {"has_more": False, "cursor": "", "items": []}
    found = state.rows("SELECT * FROM events WHERE n < ? AND at BETWEEN ? AND ? ORDER BY n DESC", before, start, end)
    kinds = body.get("event_types")
    kept = [
        r for r in found
        if (not kinds or r["kind"] in kinds)
        and ("app_ids" not in filters or r["app_id"] in filters["app_ids"])
        and ("entry_ids" not in filters or r["entry_id"] in filters["entry_ids"])
    ]  # fmt: skip
    items = [
        {
            "event_id": str(r["n"]), "event_time": iso(r["at"]), "event_type": r["kind"], "domain": "platform", "actor": r["actor"],
            "event": r["kind"], "resource": {"app_id": r["app_id"], "entry_id": r["entry_id"], "data_id": r["data_id"]}, "detail": {},
        }
        for r in kept[:limit]
    ]  # fmt: skip
    return {"has_more": len(kept) > limit, "cursor": items[-1]["event_id"] if items else "", "items": items}


def _edition(state: State) -> None:
    if not state.settings["audit"]:
        raise Refused(8302, 403)


CALLS: dict[str, Call] = {
    "/v5/corp/user/get": user_get,
    "/v5/corp/department/user/list": users,
    "/v6/corp/department/list": departments,
    "/v5/corp/user/delete": user_delete,
    "/v5/corp/user/batch_delete": user_batch_delete,
    "/v6/workflow/instance/get": instance,
    "/v1/workflow/instance/close": close,
    "/v1/workflow/instance/activate": activate,
    "/v1/audit_log/domains": audit_domains,
    "/v1/audit_log/list": audit,
}
