"""``POST …/search``: checks the body, filters, sorts and pages over what the index holds, with the vendor's habits.

Field names in the SQL are the module's own literals; every value is bound. Left to others: HTTP and visibility rules.
"""

from __future__ import annotations

import json
from typing import Any

from steward.sandbox.copper.shapes import DEFAULT_SORT, FIELDS, LISTS, PLURAL, SEARCH_KEYS, STATUS, bad_id, label
from steward.sandbox.copper.state import State

_DAY = 86_400
_BOUNDS = {
    "minimum_created_date": ("date_created", ">="), "maximum_created_date": ("date_created", "<="),
    "minimum_modified_date": ("date_modified", ">="), "maximum_modified_date": ("date_modified", "<="),
    "minimum_interaction_count": ("interaction_count", ">="), "maximum_interaction_count": ("interaction_count", "<="),
    "minimum_interaction_date": ("date_last_contacted", ">="), "maximum_interaction_date": ("date_last_contacted", "<="),
}  # fmt: skip
_IDS = {
    "ids": "id", "assignee_ids": "assignee_id", "company_ids": "company_id", "primary_contact_ids": "primary_contact_id",
}  # fmt: skip
_NONE = -2


class Invalid(Exception):
    """The body breaks a rule; ``problems`` are the vendor's sentences."""

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems = problems


def _at(field: str) -> str:
    return f"json_extract(indexed, '$.{field}')"


def _whole(body: dict[str, Any], key: str, default: int) -> int:
    value = body.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Invalid(f"{label(key)}: must be a positive integer")
    return value


def search(state: State, kind: str, body: dict[str, Any], seen: tuple[str, list[Any]] | None) -> tuple[list[Any], int]:
    """Return one page and the total.

    Parameters
    ----------
    seen : tuple of str and list, or None
        SQL condition and values that limit what the key may see; none for everything.

    Raises
    ------
    Invalid
        Unknown key or bad value: answered with 422.
    """
    unknown = [key for key in body if key not in SEARCH_KEYS[kind]]
    if unknown:
        raise Invalid(*(f"Base: Unrecognized attributes specified: {key}" for key in unknown))
    switches = state.switches
    number, size = _whole(body, "page_number", 1), _whole(body, "page_size", 20)
    if size > 200:
        if switches.page_size_over == "refuse":
            raise Invalid("Page Size: must be less than or equal to 200")
        size = 200
    where, values = ["kind = ?", "indexed IS NOT NULL"], [kind]
    for key, value in body.items():
        if value is None or key in ("page_number", "page_size", "sort_by", "sort_direction", "full_result"):
            continue
        condition, bound = _filter(state, key, value)
        where.append(condition)
        values += bound
    if kind == "leads" and not body.get("include_converted_leads"):
        where.append(f"{_at('converted_at')} IS NULL")
    if kind == "activities" and not switches.stubs_in_search:
        where.append(f"{_at('is_deleted')} IS NULL")
    if seen:
        where.append(seen[0])
        values += seen[1]
    condition = " AND ".join(where)
    total = int(state.query(f"SELECT count(*) FROM record WHERE {condition}", *values)[0][0])  # noqa: S608 - names are literals of this module
    if number > 1:
        if number <= 1 + switches.empty_pages:
            return [], total
        number -= switches.empty_pages
    # A short page leaves rows to the next one, so that nothing is lost; an overlap gives rows of the page before again.
    given = max(1, size - switches.short_by)
    again = switches.overlap_sorted if "sort_by" in body else switches.overlap
    start = (number - 1) * max(1, given - again)
    if start >= min(total, switches.ceiling):
        return [], total
    rows = state.query(
        f"SELECT indexed FROM record WHERE {condition} ORDER BY {_order(kind, body)} LIMIT ? OFFSET ?",  # noqa: S608 - names are literals of this module
        *values, min(given, switches.ceiling - start), start,
    )  # fmt: skip
    return [json.loads(row[0]) for row in rows], total


def _order(kind: str, body: dict[str, Any]) -> str:
    field = body.get("sort_by") or ("id" if kind == "users" else DEFAULT_SORT.get(kind, "name"))
    if field not in FIELDS.get(kind, ("id", "name")) or field in LISTS:
        raise Invalid(f"Sort By: is not included in the list: {field}")
    direction = body.get("sort_direction", "asc")
    if direction not in ("asc", "desc"):
        raise Invalid("Sort Direction: must be asc or desc")
    return f"{_at(field)} {direction}, id {direction}"


def _filter(state: State, key: str, value: Any) -> tuple[str, list[Any]]:
    if key in _BOUNDS:
        if not isinstance(value, int) or isinstance(value, bool):
            raise Invalid(f"{label(key)}: must be a number")
        field, sign = _BOUNDS[key]
        if state.switches.bounds == "exclusive":
            sign = sign[0]
        return f"{_at(field)} {sign} ?", [value]
    if key in _IDS:
        return _ids(_IDS[key], key, value)
    if key == "opportunity_ids":
        _ids("id", key, value)
        return (
            "id IN (SELECT json_extract(o.body, '$.primary_contact_id') FROM record o "
            "WHERE o.kind = 'opportunities' AND o.id IN (SELECT value FROM json_each(?)))"
        ), [json.dumps(value)]
    if key == "status_ids":
        if not isinstance(value, list) or not all(isinstance(n, int) and 0 <= n < len(STATUS) for n in value):
            raise Invalid("Status Ids: is not included in the list")
        return f"{_at('status')} IN (SELECT value FROM json_each(?))", [json.dumps([STATUS[n] for n in value])]  # noqa: S608 - names are literals of this module
    if key == "tags":
        return (
            "EXISTS (SELECT 1 FROM json_each(indexed, '$.tags') t JOIN json_each(?) w ON t.value = w.value)",
            [json.dumps(value if isinstance(value, list) else [value])],
        )
    if key == "emails":
        wanted = json.dumps([str(mail).lower() for mail in (value if isinstance(value, list) else [value])])
        return (
            "(EXISTS (SELECT 1 FROM json_each(indexed, '$.emails') e JOIN json_each(?) w "
            "ON lower(json_extract(e.value, '$.email')) = w.value) "
            "OR lower(json_extract(indexed, '$.email.email')) IN (SELECT value FROM json_each(?)))"
        ), [wanted, wanted]
    if key == "phone_number":
        return (
            "EXISTS (SELECT 1 FROM json_each(indexed, '$.phone_numbers') p "
            "WHERE instr(json_extract(p.value, '$.number'), ?) > 0)"
        ), [str(value)]
    if key == "age":
        if not isinstance(value, int) or isinstance(value, bool):
            raise Invalid("Age: must be a number of seconds")
        return f"{_at('date_created')} >= ?", [int(state.now()) - value]
    if key == "parent":
        return _parent(value)
    if key == "include_converted_leads" and isinstance(value, bool):
        return "1", []
    raise Invalid(f"{label(key)}: is invalid")


def _ids(field: str, key: str, value: Any) -> tuple[str, list[Any]]:
    if not isinstance(value, list):
        raise Invalid(f"{label(key)}: must be an array")
    problems = [bad for one in value if (one != _NONE or key == "ids") and (bad := bad_id(key, one))]
    if problems:
        raise Invalid(*problems)
    column = "id" if field == "id" else _at(field)
    condition = f"{column} IN (SELECT value FROM json_each(?))"  # noqa: S608 - names are literals of this module
    if _NONE in value:
        condition = f"({condition} OR {_at(field)} IS NULL)"
    return condition, [json.dumps([one for one in value if one != _NONE])]


def _parent(value: Any) -> tuple[str, list[Any]]:
    if not isinstance(value, dict) or set(value) != {"id", "type"} or value["type"] not in PLURAL:
        raise Invalid("Parent: is invalid")
    if problem := bad_id("id", value["id"]):
        raise Invalid(problem)
    return f"{_at('parent.id')} = ? AND {_at('parent.type')} = ?", [value["id"], value["type"]]
