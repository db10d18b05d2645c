"""What a Fxiaoke call to change carries: the inverse of how records are read, and which columns a call may set.

Records hold times as ISO 8601 and one person as one id; the vendor wants milliseconds and lists. Renderings, computed
fields and what the vendor itself stamps are never sent. Left to others: sending (``writers.fxiaoke``).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from steward.crm.fxiaoke import PEOPLE, TIMES, plain, refusal
from steward.crm.mapping import ObjectMapping
from steward.records import Scalar

USERS = frozenset({"PersonnelObj", "DepartmentObj"})
"""Objects of the company itself: never deleted, made or moved, whatever a mapping calls them."""

COMPUTED = frozenset({"formula", "count", "quote"})
"""Kinds that change when something else does."""

MOVED = frozenset(
    {
        "life_status", "life_status_before_invalid", "is_deleted", "version", "last_modified_time", "last_modified_by",
        "owner_department",
    }
)  # fmt: skip
"""Columns that the vendor itself moves at a write, a void or a change of owner."""

_GIVEN = MOVED | {
    "_id",
    "record_id",
    "more",
    "lock_status",
    "lock_rule",
    "lock_user",
    "created_by",
    "create_time",
    "record_type",
    "owner",
}
_READ_ONLY = COMPUTED | {"auto_number", "embedded_object", "embedded_object_list", "group", "signature"}
_FIXED = frozenset({"master_detail"})
_AT_CREATION = frozenset({"owner", "create_time", "record_type"})


def is_user(entry: ObjectMapping) -> bool:
    """True where an object holds the company's own people, by its table or by what the mapping says."""
    return entry.source in USERS or entry.role == "user"


def columns_to_set(
    entry: ObjectMapping, fields: Mapping[str, Mapping[str, Any]], *, create: bool, stops_users: bool
) -> frozenset[str]:
    """Return the columns that a call may set.

    Parameters
    ----------
    fields : mapping
        As the tenant describes them.
    stops_users : bool
        The profile says that an employee can be stopped by editing the personnel record.
    """
    if is_user(entry):
        stored = fields.get("status", {}).get("type", "formula") not in _READ_ONLY
        stops = stops_users and not create and stored and entry.source == "PersonnelObj"
        return frozenset({"status"} if stops else ())
    found = {
        name
        for name, field in fields.items()
        if name not in _GIVEN and field.get("type") not in _READ_ONLY and (create or field.get("type") not in _FIXED)
    }
    return frozenset(found | ((_AT_CREATION & fields.keys()) if create else {"owner"} & fields.keys()))


def computed(fields: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """Return the columns whose values follow from other records."""
    return frozenset(name for name, field in fields.items() if field.get("type") in COMPUTED)


def as_sent(kind: str, name: str, value: Scalar, *, empty: Any = None) -> Any:
    """Return a value as the vendor wants it.

    Parameters
    ----------
    empty
        What empties a field.

    Raises
    ------
    ValueError
        No time where one belongs.
    """
    if value in (None, "") or value == []:
        return empty
    if (kind in TIMES or name in TIMES) and isinstance(value, str):
        at = datetime.fromisoformat(value)
        return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    if (kind in PEOPLE or name in PEOPLE) and not isinstance(value, list):
        return [str(value)]
    return value


def as_read(kind: str, name: str, value: Scalar) -> Scalar:
    """Return a value as it will be read once it was sent."""
    return plain(kind, name, as_sent(kind, name, value))


def kinds(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the type of each field."""
    return {name: str(field.get("type", "")) for name, field in fields.items()}


__all__ = ["MOVED", "USERS", "as_read", "as_sent", "columns_to_set", "computed", "is_user", "kinds", "refusal"]
