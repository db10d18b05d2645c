"""Zoho's kinds of fields and their values, in one form whether they came from a file, a list or a single record.

Left to others: asking for them (``steward.crm.zoho``), the way back (``steward.executor.writers.zoho_payload``).
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from steward.records import Scalar

ASIDE = frozenset({"subform", "multiselectlookup", "multiuserlookup"})
"""Kinds that neither a list nor a bulk file gives: they are asked for beside, and end in the column ``more``."""
LEFT_OUT = frozenset({
    "multi_module_lookup_list", "fileupload", "imageupload", "profileimage", "consent_lookup", "encrypted_health",
})  # fmt: skip
"""Kinds that are not read: files, pictures, consent, and what may be hidden from the token."""
COMPUTED = frozenset({"formula", "rollup_summary", "autonumber", "autonumber_value"})
"""Kinds that the vendor itself fills."""
WHOLE = frozenset({"integer", "bigint", "autonumber_value"})
DECIMAL = frozenset({"double", "currency", "percent", "decimal"})
LOOKUPS = frozenset({"lookup", "ownerlookup", "userlookup", "multi_module_lookup"})
_FORMED = DECIMAL | {"datetime", "boolean"}
_ROW = frozenset({"id", "Parent_Id", "Created_Time", "Modified_Time"})
"""Of a row of a subform: what the vendor gives it, and gives anew when the row is made again."""


def plain(kind: str, value: Any) -> Scalar:
    """Return a field's value as a record holds it: by the field's type, whatever it was written as."""
    if isinstance(value, str) and kind not in _FORMED:  # most values of a file
        return value or None
    if value is None or value == "" or value == [] or value == {}:
        return None
    if isinstance(value, dict):
        value = value.get("id") if kind in LOOKUPS or "id" in value else value
        return value if isinstance(value, dict) else (str(value) if value is not None else None)
    if isinstance(value, list):
        return ";".join(str(v.get("name")) if isinstance(v, dict) and "name" in v else str(v) for v in value)
    match kind:
        case "datetime":
            return moment(str(value))
        case "boolean":
            return str(value).lower() if str(value).lower() in ("true", "false") else str(value)
        case _ if kind in WHOLE:
            return str(value)
        case _ if kind in DECIMAL:
            return _number(value)
    return str(value)


def beside(value: Any) -> object:
    """Return the value of a field of :data:`ASIDE` as ``more`` holds it; None where there is nothing.

    Rows are without ids and times of their own, and a look-up in them has its id alone: its name is another record's.
    """
    if isinstance(value, list):
        return [beside(v) for v in value] or None
    if isinstance(value, dict):
        if set(value) <= {"id", "name", "email", "module"} and "id" in value:
            return {"id": str(value["id"])}
        return {n: beside(v) for n, v in sorted(value.items()) if n not in _ROW and not n.startswith("$")}
    if isinstance(value, Decimal):
        return _number(value)
    return value


def moment(text: str) -> str:
    """Return an ISO time with offset in UTC; anything else as it is."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return text
    return text if found.tzinfo is None else found.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _number(value: Any) -> str:
    try:
        return format(Decimal(str(value)).normalize(), "f")
    except InvalidOperation:
        return str(value)


__all__ = ["ASIDE", "COMPUTED", "DECIMAL", "LEFT_OUT", "LOOKUPS", "WHOLE", "beside", "moment", "plain"]
