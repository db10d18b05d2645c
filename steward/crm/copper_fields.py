"""Columns of Copper's entities: which there are, and how a row of the vendor's becomes them.

Times in Unix seconds and dates in either form become ISO 8601. A tag of ours that marks a record for deletion is a column of
its own, ``pending_delete``, and is left out of ``tags``: so the mark can be set and taken away as the mapping's deletion
mark, and the other tags say the same before and after.

Left to others: calls and pages (``steward.crm.copper``), the way back (``steward.executor.writers.copper_payload``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from steward.crm.pages import Row
from steward.records import Scalar

DELETED_TAG = "steward:pending-delete"
"""What marks a record for deletion where the profile names no other tag."""

PENDING = "pending_delete"
"""Column: whether the record carries that tag."""

NAMES = ("prefix", "first_name", "middle_name", "last_name", "suffix")
ADDRESS = ("street", "city", "state", "postal_code", "country")
_COMMON = (
    "id",
    "name",
    "assignee_id",
    "details",
    "tags",
    "custom_fields",
    "date_created",
    "date_modified",
    "interaction_count",
)
_REACH = ("address", "emails", "phone_numbers", "socials", "websites")

FIELDS: Mapping[str, tuple[str, ...]] = {
    "people": (
        *_COMMON, *NAMES, *_REACH, "company_id", "company_name", "contact_type_id", "title", "date_last_contacted",
        "leads_converted_from", "date_lead_created",
    ),
    "companies": (*_COMMON, *_REACH, "contact_type_id", "email_domain", "primary_contact_id"),
    "leads": (
        *_COMMON, *NAMES, "address", "email", "phone_numbers", "socials", "websites", "company_name", "customer_source_id",
        "monetary_value", "monetary_unit", "status", "status_id", "title", "date_last_contacted", "converted_at",
        "converted_contact_id", "converted_opportunity_id",
    ),
    "opportunities": (
        *_COMMON, "close_date", "company_id", "company_name", "customer_source_id", "date_last_contacted",
        "date_stage_changed", "leads_converted_from", "loss_reason_id", "monetary_value", "monetary_unit", "pipeline_id",
        "pipeline_stage_id", "primary_contact_id", "priority", "status", "win_probability",
    ),
    "projects": (*_COMMON, "related_resource", "status"),
    "tasks": (*_COMMON, "related_resource", "due_date", "reminder_date", "completed_date", "status", "priority"),
    "activities": ("id", "type", "parent", "details", "user_id", "activity_date", "old_value", "new_value",
                   "date_created", "date_modified"),
    "users": ("id", "name", "email", "groups"),
}  # fmt: skip
"""What the contract says each entity has. ``address``, ``custom_fields``, ``parent`` and the like become several columns."""

TYPES = {
    "people": "person", "companies": "company", "leads": "lead", "opportunities": "opportunity", "projects": "project",
    "tasks": "task", "activities": "activity_log", "users": "user",
}  # fmt: skip
BY_TYPE = {v: k for k, v in TYPES.items()}
PARENTS = ("person", "company", "lead", "opportunity", "project")

SLOTS: Mapping[str, Mapping[str, str]] = {
    "projects": {"person": "person_id", "company": "company_id", "opportunity": "opportunity_id"},
    "opportunities": {"person": "related_person_id"},
}
"""Entity and type → column of the only record of that type that is related to it and stands in no field of it."""

SECONDS = frozenset({
    "date_created", "date_modified", "date_last_contacted", "date_lead_created", "date_stage_changed", "converted_at",
    "activity_date",
})  # fmt: skip
DAYS = frozenset({"close_date", "due_date", "reminder_date", "completed_date"})


def names_of(source: str, custom: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the columns of an entity.

    Parameters
    ----------
    custom : sequence of mapping
        The account's definitions of custom fields; connect fields are in no record.
    """
    found: list[str] = []
    for name in FIELDS[source]:
        match name:
            case "address":
                found += [f"address_{part}" for part in ADDRESS]
            case "custom_fields":
                own = [d for d in custom if TYPES[source] in d.get("available_on", ()) and d.get("data_type") != "Connect"]
                found += [f"cf_{d['id']}" for d in own]
            case "parent" | "related_resource":
                found += [f"{kind}_id" for kind in PARENTS]
            case "type":
                found += ["type_id", "category"]
            case "emails":
                found += ["emails", "email"]
            case "email" if source == "leads":
                found += ["email", "email_category"]
            case "phone_numbers":
                found += ["phone_numbers", "phone"]
            case "tags":
                found += ["tags", PENDING]
            case "primary_contact_id" if source == "opportunities":
                found += [name, "related_person_id"]
            case _:
                found.append(name)
    return tuple(found)


def columns_of(
    source: str, row: Row, days: Callable[[], frozenset[int]], tag: str, *, apart: bool = False
) -> dict[str, Scalar]:
    """Return the columns of a row; names that :func:`names_of` does not give are what the contract does not know.

    Parameters
    ----------
    days : callable
        Gives the ids of custom fields that hold a day.
    tag : str
        What marks a record for deletion.
    apart : bool
        A system activity hangs on nothing: its parent is the text ``about``.
    """
    flat: dict[str, Scalar] = {}
    if "tags" in FIELDS[source]:
        flat[PENDING] = False
    for name, value in row.items():
        if name == "address" and isinstance(value, dict):
            flat |= {f"address_{part}": v for part, v in value.items()}
        elif name == "custom_fields" and isinstance(value, list):
            for field in value:
                id, held = field["custom_field_definition_id"], field.get("value")
                flat[f"cf_{id}"] = day(held) if id in days() else held
        elif name in ("parent", "related_resource") and isinstance(value, dict):
            if apart and is_system(row):
                flat["about"] = f"{value.get('type')}/{value.get('id')}"
            else:
                flat[f"{value.get('type')}_id"] = value.get("id")
        elif name == "type" and isinstance(value, dict):
            flat |= {"type_id": value.get("id"), "category": value.get("category")}
        elif name in ("emails", "phone_numbers") and isinstance(value, list):
            flat[name] = value or None
            flat["email" if name == "emails" else "phone"] = _first(value, "email" if name == "emails" else "number")
        elif name == "email" and isinstance(value, dict):  # a lead's
            flat |= {"email": value.get("email"), "email_category": value.get("category")}
        elif name == "related" and isinstance(value, list):
            flat |= _slots(source, row, value)
        elif name == "tags" and isinstance(value, list):
            flat[PENDING] = tag in value
            flat[name] = [one for one in value if one != tag] or None
        elif name in SECONDS:
            flat[name] = moment(value)
        elif name in DAYS:
            flat[name] = day(value)
        else:
            flat[name] = value or None if isinstance(value, (list, dict)) else value
    return flat


def _slots(source: str, row: Row, related: Sequence[Any]) -> dict[str, Scalar]:
    """Return the columns of what is related; several of one type are no column's value and stay together in ``related``."""
    flat: dict[str, Scalar] = {}
    several: list[object] = []
    for type, column in SLOTS.get(source, {}).items():
        ids = [id for kind, id in related if kind == type and id != row.get("primary_contact_id")]
        if len(ids) == 1:
            flat[column] = ids[0]
        else:
            several += [f"{type}/{id}" for id in ids]
    return flat | ({"related": several} if several else {})


def is_system(row: Row) -> bool:
    """Say whether an activity was written by the vendor itself; it can neither be changed nor made."""
    kind = row.get("type")
    return isinstance(kind, dict) and kind.get("category") == "system"


def _first(values: Sequence[Any], name: str) -> str | None:
    for value in values:
        if isinstance(value, dict) and value.get(name):
            return str(value[name])
    return None


FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_799
"""Years 1 to 9999; any other number is no time."""


def moment(value: Any) -> Scalar:
    """Return Unix seconds as ISO 8601 in UTC; anything else as it is."""
    if isinstance(value, int) and not isinstance(value, bool) and FIRST_SECOND <= value <= LAST_SECOND:
        return datetime.fromtimestamp(value, UTC).replace(tzinfo=None).isoformat() + "Z"
    return value  # type: ignore[no-any-return]  # JSON values are scalars


def day(value: Any) -> Scalar:
    """Return a day that comes as ``mm/dd/yyyy`` or as Unix seconds as ISO 8601; anything else as it is."""
    if isinstance(value, str) and (match := re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{4})", value)):
        return f"{match[3]}-{int(match[1]):02d}-{int(match[2]):02d}"
    if isinstance(value, int) and not isinstance(value, bool) and FIRST_SECOND <= value <= LAST_SECOND:
        return datetime.fromtimestamp(value, UTC).date().isoformat()
    return value  # type: ignore[no-any-return]  # JSON values are scalars
