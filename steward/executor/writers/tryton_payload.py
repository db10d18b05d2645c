"""From a record's columns to what Tryton's JSON-RPC wants, and whether Tryton would let a column change now.

The inverse of the reader's ``untype`` and ``flatten``. ``fields_get`` gives, as an expression (PYSON), when a field may not be
written; where that can be worked out from the record, a change that Tryton would refuse is refused before the first call of
its unit. What cannot be worked out is left to Tryton.

Left to others: calls (``writers.tryton``).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from steward.crm.tryton_parts import Parts
from steward.records import Scalar, canonical_text


def typed(field: Mapping[str, Any], value: object, model: str = "") -> Any:
    """Return a value as Tryton's JSON has it.

    Parameters
    ----------
    field : mapping
        What ``fields_get`` says of the field.
    model : str
        For a text reference that the reader made an id: the model it refers to.

    Raises
    ------
    ValueError
        The value cannot be one of this field.
    """
    if value is None:
        return None
    if isinstance(value, list):
        return [str(v) for v in value]  # multiselection
    if isinstance(value, bytes):
        return {"__class__": "bytes", "base64": base64.b64encode(value).decode()}
    text = canonical_text(value) or ""  # type: ignore[arg-type]  # a field's value
    match field.get("type"):
        case "boolean":
            if text.lower() not in ("true", "false", "1", "0"):
                raise ValueError("no truth value")
            return text.lower() in ("true", "1")
        case "integer" | "biginteger" | "many2one":
            return int(text)
        case "float":
            return float(text)
        case "numeric":
            return {"__class__": "Decimal", "decimal": format(Decimal(text), "f")}
        case "date":
            day = date.fromisoformat(text)
            return {"__class__": "date", "year": day.year, "month": day.month, "day": day.day}
        case "datetime" | "timestamp":
            return moment(datetime.fromisoformat(text))
        case "time":
            at = time.fromisoformat(text)
            return {
                "__class__": "time",
                "hour": at.hour,
                "minute": at.minute,
                "second": at.second,
                "microsecond": at.microsecond,
            }
        case "timedelta":
            return {"__class__": "timedelta", "seconds": float(text)}
        case "reference":
            return text if "," in text else f"{model},{int(text)}"
    return text


def moment(at: datetime) -> dict[str, Any]:
    """Return a time as Tryton's JSON has it; it has no zone and means UTC."""
    return {
        "__class__": "datetime", "year": at.year, "month": at.month, "day": at.day, "hour": at.hour, "minute": at.minute,
        "second": at.second, "microsecond": at.microsecond,
    }  # fmt: skip


def parts_typed(parts: Parts, fields: Mapping[str, Mapping[str, Any]], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``more`` holds as Tryton wants it when the record is made."""
    made: dict[str, Any] = {}
    for name, value in more.items():
        if name in parts.lists:
            made[name] = [["add", [int(i) for i in value]]]
        elif name in parts.values:
            made[name] = typed(fields[name], value)
        elif name in parts.rows:
            kinds = parts.rows[name]
            made[name] = [["create", [{n: typed(kinds[n], v) for n, v in row.items() if n in kinds} for row in value]]]
    return made


class _NotKnownError(Exception):
    """An expression asks for what the record does not say."""


def locked(field: Mapping[str, Any], record: Mapping[str, Scalar]) -> bool:
    """Say whether Tryton would not let a field of this record change now; False where that cannot be worked out."""
    try:
        states = json.loads(field.get("states") or "{}")
        return bool(_value(states["readonly"], record)) if "readonly" in states else False
    except (_NotKnownError, TypeError, ValueError, KeyError, AttributeError):
        return False


def _value(expression: Any, record: Mapping[str, Scalar]) -> Any:
    if not isinstance(expression, dict) or "__class__" not in expression:
        return expression
    of = {n: v for n, v in expression.items() if n != "__class__"}
    match expression["__class__"]:
        case "Eval":
            name = str(of["v"])
            if name not in record:
                raise _NotKnownError
            found = record[name]
            return int(found) if name == "id" and isinstance(found, str) else of.get("d") if found is None else found
        case "Not":
            return not _value(of["v"], record)
        case "Bool":
            return bool(_value(of["v"], record))
        case "And":
            return all(_value(s, record) for s in of["s"])
        case "Or":
            return any(_value(s, record) for s in of["s"])
        case "Equal":
            return _value(of["s1"], record) == _value(of["s2"], record)
        case "Greater" | "Less" as name:
            left, right = _value(of["s1"], record), _value(of["s2"], record)
            return (left > right if name == "Greater" else left < right) or (bool(of.get("e")) and left == right)
        case "If":
            return _value(of["t"] if _value(of["c"], record) else of["e"], record)
        case "In":
            return _value(of["k"], record) in _value(of["v"], record)
    raise _NotKnownError


__all__ = ["locked", "moment", "parts_typed", "typed"]
