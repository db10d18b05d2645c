"""From columns back to what Copper takes: the inverse of ``steward.crm.copper_fields``, and which columns may be written.

What Copper replaces as a whole is sent as a whole, with what the record holds beside the change: an address, tags, a list of
e-mail addresses. Custom fields are sent all together as well, so that it does not matter whether the vendor changes them one
by one. The first e-mail address and telephone number are columns of their own beside their lists; a change of both must agree.

Left to others: calls (``writers.copper``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from steward.crm.copper_fields import ADDRESS, DAYS, FIELDS, PARENTS, PENDING, SECONDS, SLOTS, names_of
from steward.executor.writers.vendor import Refused
from steward.records import Fields, canonical_text

READ_ONLY = frozenset({
    "id", "date_created", "date_modified", "date_last_contacted", "date_lead_created", "date_stage_changed",
    "interaction_count", "leads_converted_from", "converted_at", "converted_contact_id", "converted_opportunity_id",
    "old_value", "new_value",
})  # fmt: skip
_IDS = frozenset({
    "assignee_id", "company_id", "primary_contact_id", "contact_type_id", "customer_source_id", "pipeline_id",
    "pipeline_stage_id", "loss_reason_id", "status_id", "user_id", "type_id",
})  # fmt: skip
_NUMBERS = frozenset({"monetary_value", "win_probability"})
_LISTS = frozenset({"emails", "phone_numbers", "socials", "websites", "tags"})
_FIRST = {"emails": ("email", "email"), "phone_numbers": ("phone", "number")}
"""List → column of its first entry, and the entry's word for it."""
_DERIVED = {column: name for name, (column, _) in _FIRST.items()}
_CLOSE = "close_date"
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def encode(body: Mapping[str, Any]) -> bytes:
    """Return a body as JSON; decimals stay exact numbers."""
    return _ENCODER.encode(body)


def writable_columns(
    source: str, custom: Sequence[Mapping[str, Any]], *, create: bool, related: bool = False
) -> frozenset[str]:
    """Return the columns of an entity that a call may set. Users are never written.

    Parameters
    ----------
    custom : sequence of mapping
        Definitions of custom fields.
    related : bool
        What is related and in no field is read, so that a change of it can be read back; a record is made without it.
    """
    if source == "users":
        return frozenset()
    names = set(names_of(source, custom)) - READ_ONLY
    if source != "leads":
        names.discard("company_name")  # the vendor's copy of another record's name
    if source == "projects":
        names -= {f"{kind}_id" for kind in PARENTS}  # told by the vendor, set by relating alone
    names -= set(SLOTS.get(source, {}).values())
    if related and not create:
        names |= set(SLOTS.get(source, {}).values())
    if source == "activities" and not create:
        names -= {"type_id", "category"}
    return frozenset(names)


class Payload:
    """Writes bodies for one account.

    Parameters
    ----------
    days : callable
        Gives the ids of custom fields that hold a day.
    tag : str
        What marks a record for deletion.
    seconds : bool
        Days of tasks and custom fields are written as Unix seconds; else as ``mm/dd/yyyy``, as the vendor documents.
    """

    def __init__(self, days: Callable[[], frozenset[int]], tag: str, *, seconds: bool) -> None:
        self._days, self._tag, self._seconds = days, tag, seconds

    def update(self, source: str, before: Fields, changes: Fields) -> dict[str, Any]:
        """Return the body that changes columns of a record; what is not in it, or is as it is to be already, stays.

        Raises
        ------
        Refused
            A value that the column cannot hold, or two that contradict each other.
        """
        fields = {**before, **changes}
        body: dict[str, Any] = {}
        for name, value in changes.items():
            if canonical_text(value) != canonical_text(before.get(name)):
                self._put(source, name, fields, changes, body)
        return body

    def create(self, source: str, fields: Fields) -> dict[str, Any]:
        """Return the body that makes a record; raises as :meth:`update`."""
        body: dict[str, Any] = {}
        for name, value in fields.items():
            if value is not None:
                self._put(source, name, fields, fields, body)
        return {key: value for key, value in body.items() if value not in (None, [])}

    def _put(self, source: str, name: str, fields: Fields, changes: Fields, body: dict[str, Any]) -> None:
        value = fields.get(name)
        if name.startswith("address_"):
            parts = {part: fields.get(f"address_{part}") for part in ADDRESS}
            body["address"] = parts if any(v is not None for v in parts.values()) else None
        elif name.startswith("cf_"):
            held = {n: v for n, v in fields.items() if n.startswith("cf_") and (v is not None or n in changes)}
            body["custom_fields"] = [self._custom(int(n[3:]), v) for n, v in sorted(held.items())]
        elif name in ("tags", PENDING):
            marked = canonical_text(fields.get(PENDING)) == "true"
            tags = [one for one in _list(fields.get("tags")) if one != self._tag]
            body["tags"] = [*tags, self._tag] if marked else tags
        elif source == "leads" and name in ("email", "email_category"):
            mail = fields.get("email")
            body["email"] = {"email": mail, "category": fields.get("email_category") or "work"} if mail else None
        elif name in _FIRST or name in _DERIVED:
            list_name = _DERIVED.get(name, name)
            body[list_name] = _entries(list_name, fields, changes)
        elif name in _LISTS:
            body[name] = _list(value)
        elif name in ("type_id", "category"):
            body["type"] = {"id": _id(fields.get("type_id")), "category": fields.get("category")}
        elif _points(source, name):
            body["parent" if source == "activities" else "related_resource"] = _points_at(fields)
        elif name in SECONDS:
            body[name] = _moment(value)
        elif name in DAYS:
            body[name] = self._day(value, us=name == _CLOSE)
        elif name in _IDS:
            body[name] = _id(value)
        elif name in _NUMBERS:
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float | Decimal)):
                raise Refused("not_writable")
            body[name] = value
        else:
            body[name] = value

    def _custom(self, id: int, value: Any) -> dict[str, Any]:
        held = self._day(value) if id in self._days() else value
        return {"custom_field_definition_id": id, "value": held}

    def _day(self, value: Any, *, us: bool = False) -> Any:
        if value is None:
            return None
        try:
            day = datetime.strptime(str(value), "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            raise Refused("not_writable") from None
        return int(day.timestamp()) if self._seconds and not us else f"{day.month:02d}/{day.day:02d}/{day.year:04d}"


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise Refused("not_writable")
    return value


def _entries(name: str, fields: Fields, changes: Fields) -> list[Any]:
    """Return a list of e-mail addresses or numbers from the list, from its first entry, or from both where they agree."""
    column, word = _FIRST[name]
    entries = [dict(one) for one in _list(fields.get(name)) if isinstance(one, dict)]
    wanted = canonical_text(fields.get(column))
    first = next((one for one in entries if one.get(word)), None)
    if column not in changes:
        return entries
    if name in changes:
        if (canonical_text(first[word]) if first is not None else None) != wanted:
            raise Refused("not_writable")
        return entries
    if wanted is None:  # the next one would take its place
        return []
    if first is None:
        return [{word: wanted, "category": "work"}]
    first[word] = wanted
    return entries


def _points(source: str, name: str) -> bool:
    return name in {f"{kind}_id" for kind in PARENTS} and ({"parent", "related_resource"} & set(FIELDS[source])) != set()


def _points_at(fields: Fields) -> dict[str, Any] | None:
    """Return the one record that an activity or task hangs on."""
    ends = [(kind, _id(v)) for kind in PARENTS if (v := fields.get(f"{kind}_id")) is not None]
    if len(ends) > 1:
        raise Refused("not_writable")
    return {"id": ends[0][1], "type": ends[0][0]} if ends else None


def resource(type: str, id: Any) -> dict[str, Any]:
    """Return how a call names another record; raises :class:`Refused` where it is no id."""
    return {"id": _id(id), "type": type}


def _id(value: Any) -> int | None:
    if value is None:
        return None
    text = canonical_text(value) or ""
    if not (text.isascii() and text.isdigit()):
        raise Refused("not_writable")
    return int(text)


def _moment(value: Any) -> int | None:
    if value is None:
        return None
    try:
        return int(datetime.fromisoformat(str(value)).timestamp())
    except ValueError:
        raise Refused("not_writable") from None


__all__ = ["READ_ONLY", "Payload", "encode", "resource", "writable_columns"]
