"""Calls that read: apps, forms, widgets, one record, a page of records; and the filter that fails open.

What a filter does not understand it leaves out, and answers with more rows, never with an error (``filters = silent``).
Left to others: how a value looks (``values``).
"""

from __future__ import annotations

import json
from typing import Any

from steward.sandbox.jiandaoyun.gate import Call, Refused
from steward.sandbox.jiandaoyun.state import Field, Json, State, iso
from steward.sandbox.jiandaoyun.values import shown

MOST = 100
_SIMPLE = frozenset({"eq", "ne", "in", "nin", "empty", "not_empty"})
_METHODS = {
    **dict.fromkeys(("text", "textarea", "radiogroup", "combo", "sn", "sale_stage"), _SIMPLE | {"like"}),
    "number": frozenset({"eq", "ne", "range", "gt", "lt", "empty", "not_empty"}),
    "datetime": frozenset({"eq", "ne", "range", "empty", "not_empty"}),
    "user": _SIMPLE,
    "lookup": _SIMPLE,
    "phone": frozenset({"like", "verified", "unverified", "empty", "not_empty"}),
    "checkboxgroup": frozenset({"in", "all", "eq", "empty", "not_empty"}),
    "combocheck": frozenset({"in", "all", "eq", "empty", "not_empty"}),
}
_BARE = frozenset({"empty", "not_empty"})


def apps(state: State, body: Json, base: str) -> Json:
    """``/v5/app/list``."""
    skip, limit = _window(body)
    found = state.rows("SELECT * FROM apps ORDER BY app_id LIMIT ? OFFSET ?", limit, skip)
    return {"apps": [{"name": r["name"], "app_id": r["app_id"]} for r in found]}


def forms(state: State, body: Json, base: str) -> Json:
    """``/v5/app/entry/list``."""
    skip, limit = _window(body)
    if "app_id" not in body:
        raise Refused(3005)
    found = state.rows("SELECT * FROM forms WHERE app_id = ? ORDER BY entry_id LIMIT ? OFFSET ?", body["app_id"], limit, skip)
    return {"forms": [{"name": r["name"], "app_id": r["app_id"], "entry_id": r["entry_id"]} for r in found]}


def widgets(state: State, body: Json, base: str) -> Json:
    """``/v5/app/entry/widget/list``: no option lists, no dividers, and nothing about where a link points."""
    entry = asked(body)
    fields = state.fields(entry)
    made = []
    for f in fields:
        if f.parent or f.kind == "separator":
            continue
        one: Json = {"name": f.key, "widgetName": f.name, "label": f.label, "type": f.kind}
        if f.kind == "subform":
            one["items"] = [
                {"name": c.key, "widgetName": c.name, "label": c.label, "type": c.kind} for c in fields if c.parent == f.name
            ]
        made.append(one)
    form = state.row("SELECT modified FROM forms WHERE entry_id = ?", entry)
    assert form is not None
    system = ("_id", "creator", "updater", "createTime", "updateTime")
    return {"widgets": made, "sysWidgets": [{"name": n} for n in system], "dataModifyTime": iso(form["modified"])}


def get(state: State, body: Json, base: str) -> Json:
    """``/v5/app/entry/data/get``."""
    record = state.record(asked(body), text(body, "data_id"))
    if record is None:
        raise Refused(4001)
    return {"data": shown(state, record, base)}


def page(state: State, body: Json, base: str) -> Json:
    """``/v5/app/entry/data/list``: ascending by id behind a cursor, ten rows unless told, no total."""
    entry = asked(body)
    limit = body.get("limit", 10)
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise Refused(3005)
    if limit > MOST:
        if state.settings["over_limit"] != "cap":
            raise Refused(3005)
        limit = MOST
    fields = state.fields(entry)
    known = {f.key for f in fields if not f.parent and f.kind != "separator"}
    named = frozenset(n for n in body.get("fields") or () if isinstance(n, str) and n in known)
    keep = _filter(state, fields, body.get("filter"))
    made: list[Json] = []
    for record in state.scan(entry, str(body.get("data_id") or "")):
        if keep(record):
            made.append(shown(state, record, base, named or None))
            if len(made) == limit:
                break
    return {"data": made}


def asked(body: Json) -> str:
    """Return the form a call is about; the gate has looked it up."""
    text(body, "app_id")
    return text(body, "entry_id")


def text(body: Json, name: str) -> str:
    """Return a parameter that must be text."""
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise Refused(3005)
    return value


def _window(body: Json) -> tuple[int, int]:
    skip, limit = body.get("skip", 0), body.get("limit", 100)
    if not isinstance(skip, int) or not isinstance(limit, int) or skip < 0 or not 1 <= limit <= MOST:
        raise Refused(3005)
    return skip, limit


# -- filters ---------------------------------------------------------------------------------------------------------------


def _filter(state: State, fields: list[Field], given: Any) -> Any:
    if not given:
        return lambda record: True
    strict = state.settings["filters"] == "strict"
    conds = given.get("cond") if isinstance(given, dict) else None
    if not isinstance(conds, list) or given.get("rel", "and") not in ("and", "or"):
        if strict:
            raise Refused(4815)
        return lambda record: True
    by_key = {f.key: f for f in fields if not f.parent}
    tests = []
    for cond in conds:
        made = _condition(state, by_key, cond)
        if made is None:
            if strict:
                raise Refused(4815)
            continue
        tests.append(made)
    if not tests:
        return lambda record: True
    together = any if given.get("rel") == "or" else all
    return lambda record: together(t(record) for t in tests)


def _condition(state: State, by_key: dict[str, Field], cond: Any) -> Any:
    """Return a test of one record, or nothing where the condition is not understood."""
    if not isinstance(cond, dict):
        return None
    name, method, values = cond.get("field"), cond.get("method"), cond.get("value")
    wanted = values if isinstance(values, list) else [] if values is None else [values]
    if name == "_id" and state.settings["system_filters"] and method in ("eq", "in"):
        return lambda record: record["data_id"] in wanted
    f = by_key.get(str(name))
    if f is None or method not in _METHODS.get(f.kind, _BARE):
        return None
    if f.kind == "number" and not all(isinstance(v, int | float) or v is None for v in wanted):
        return None
    if f.kind not in ("number",) and not all(isinstance(v, str) or v is None for v in wanted):
        return None
    if (
        f.kind == "user"
        and method == "nin"
        and any(state.row("SELECT 1 FROM members WHERE username = ?", v) is None for v in wanted)
    ):
        return None
    if method not in _BARE and method not in ("verified", "unverified") and (not wanted or len(wanted) > 1_000):
        return None
    return lambda record: _holds(method, json.loads(record["body"]).get(f.name), wanted)


def _holds(method: str, value: Any, wanted: list[Any]) -> bool:
    empty = value in (None, "", [], {})
    held = value if isinstance(value, list) else [value]
    match method:
        case "empty":
            return empty
        case "not_empty":
            return not empty
        case "eq":
            return not empty and (value == wanted if isinstance(value, list) else value == wanted[0])
        case "ne":
            return bool(value != wanted[0])
        case "in":
            return any(v in wanted for v in held)
        case "nin":
            return not any(v in wanted for v in held)
        case "all":
            return all(w in held for w in wanted)
        case "like":
            return not empty and str(wanted[0]).lower() in str(value).lower()
        case "gt":
            return not empty and value > wanted[0]
        case "lt":
            return not empty and value < wanted[0]
        case "range":
            low, high = (*wanted, None)[:2]
            return not empty and (low is None or value >= low) and (high is None or value <= high)
        case "unverified":
            return not empty
    return False


CALLS: dict[str, Call] = {
    "/v5/app/list": apps,
    "/v5/app/entry/list": forms,
    "/v5/app/entry/widget/list": widgets,
    "/v5/app/entry/data/get": get,
    "/v5/app/entry/data/list": page,
}
