"""Values as Jiandaoyun takes them: the inverse of what the reader makes of a row.

Every value is wrapped, ``{"value": …}``. What the vendor does not understand it stores as nothing and answers success, so
that a value which is not of its field's kind is refused here, before it is sent. Nothing clears a field like an empty object.

Left to others: sending (``jiandaoyun``), what a row is (``steward.crm.jiandaoyun``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from steward.crm.jiandaoyun import WRITABLE
from steward.executor.writers.vendor import Refused
from steward.records import Fields, Scalar, canonical_text

_ID = re.compile(r"[0-9a-f]{24}")
_TEXTS = frozenset({"text", "textarea", "radiogroup", "combo", "sale_stage", "user"})
_LISTS = frozenset({"checkboxgroup", "combocheck", "usergroup"})

Widget = Mapping[str, Any]


def columns_of(widget: Widget) -> list[Widget]:
    """Return the columns of a subform; none of any other field."""
    return [c for c in widget.get("items") or () if isinstance(c, dict) and c.get("widgetName")]


def settable(widgets: Sequence[Widget], *, create: bool) -> frozenset[str]:
    """Return the fields that a call may set.

    A subform is replaced with all its rows: in a record that is there it is set only where no column of it would be lost;
    of a record that is made anew the columns that cannot be written are left out.
    """
    found = set()
    for widget in widgets:
        kind, columns = widget.get("type"), columns_of(widget)
        if kind == "subform" and columns:
            able = [c.get("type") in WRITABLE for c in columns]
            if any(able) if create else all(able):
                found.add(str(widget["widgetName"]))
        elif kind in WRITABLE:
            found.add(str(widget["widgetName"]))
    return frozenset(found)


def wrapped(widgets: Sequence[Widget], fields: Fields) -> dict[str, Any]:
    """Return the ``data`` of a call, by the names that the wire knows now.

    Raises
    ------
    Refused
        A value is not of its field's kind, or the field is not there any more.
    """
    known = {str(w["widgetName"]): w for w in widgets}
    made: dict[str, Any] = {}
    for name, value in fields.items():
        widget = known.get(name)
        if widget is None:
            raise Refused("no_such_field")
        made[str(widget.get("name") or name)] = {"value": _given(widget, value)}
    return made


def _given(widget: Widget, value: Scalar) -> Any:
    kind = str(widget.get("type"))
    if value is None or value in ("", [], {}):
        return {}
    if kind == "subform":
        if not isinstance(value, list):
            raise Refused("wrong_value")
        columns = {str(c["widgetName"]): c for c in columns_of(widget) if c.get("type") in WRITABLE}
        lines = [line for line in value if isinstance(line, dict)]
        if len(lines) != len(value):
            raise Refused("wrong_value")
        return [
            {str(columns[n].get("name") or n): {"value": _given(columns[n], v)} for n, v in line.items() if n in columns}
            for line in lines
        ]
    made = _single(kind, value)
    if made is None:
        raise Refused("wrong_value")
    return made


def _single(kind: str, value: Any) -> Any:
    """Return a value in the vendor's form; None where it is none of this kind."""
    if kind in _TEXTS:
        return value if isinstance(value, str) else None
    if kind in _LISTS:
        return value if isinstance(value, list) and all(isinstance(v, str) for v in value) else None
    match kind:
        case "number":
            return _number(value)
        case "datetime":
            return value if _is_time(value) else None
        case "phone":
            return {"phone": value} if isinstance(value, str) else None
        case "address" | "location":
            return value if isinstance(value, dict) else None
        case "lookup":
            return value if isinstance(value, str) and _ID.fullmatch(value) else None
        case "linkobject":
            return {"link_id": value} if isinstance(value, str) and _ID.fullmatch(value) else None
        case "dept":
            return _whole(value)
        case "deptgroup":
            numbers = [_whole(v) for v in value] if isinstance(value, list) else [None]
            return None if None in numbers else numbers
    return None


def _number(value: Any) -> int | Decimal | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    try:
        found = Decimal(canonical_text(value) or "")
    except (InvalidOperation, TypeError):
        return None
    return found if found.is_finite() else None


def _whole(value: Any) -> int | None:
    text = canonical_text(value) if not isinstance(value, bool) else None
    return int(text) if text is not None and re.fullmatch(r"-?\d{1,15}", text) else None


def _is_time(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def comes_back(widget: Widget, value: Scalar) -> Scalar:
    """Return what a value reads as after it was written: a subform without the columns that cannot be."""
    if widget.get("type") != "subform" or not isinstance(value, list):
        return None if value in ("", [], {}) else value
    able = {str(c["widgetName"]) for c in columns_of(widget) if c.get("type") in WRITABLE}
    return [
        {n: v for n, v in line.items() if n in able and v not in (None, "", [], {})} if isinstance(line, dict) else line
        for line in value
    ]


__all__ = ["Widget", "columns_of", "comes_back", "settable", "wrapped"]
