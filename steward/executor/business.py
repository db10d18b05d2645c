"""Open business at the moment of execution: a deal or ticket that was opened, or touched while open, since the review.

The set of children is compared by ids; this looks at what they are. Left to others: all other protections, which the
keep list carries (``steward.executor.keeping``).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from steward.crm.mapping import Mapping as CrmMapping
from steward.crm.mapping import ObjectMapping
from steward.records import Record, Scalar, canonical_text


def is_open(record: Record, mapping: CrmMapping) -> bool:
    """True where the mapping says that a live record is business still open."""
    entry = mapping.objects.get(record.key.object)
    rule = None if entry is None else entry.open_when
    if rule is None or rule.column not in record.fields or record.deleted:
        return False
    value = canonical_text(record.fields[rule.column])
    return value in rule.values if rule.values else value not in rule.not_in


def opened_since(record: Record, mapping: CrmMapping, reviewed_at: datetime) -> bool:
    """True where a record is open business and was changed after ``reviewed_at``, or cannot say when it was.

    Parameters
    ----------
    reviewed_at : datetime
        When the snapshot was taken, UTC.
    """
    if not is_open(record, mapping):
        return False
    entry = mapping.objects[record.key.object]
    if entry.modified is None:
        return False  # without a time of change the set of children and the CRM's own version must do
    at = moment(record.fields.get(entry.modified), entry, entry.modified)
    return at is None or at > reviewed_at


def moment(value: Scalar, entry: ObjectMapping, column: str) -> datetime | None:
    """Return a stored time in UTC; None where it is none. A date is its end: the careful reading."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, date):
        return datetime.combine(value, time.max, UTC)
    if not isinstance(value, str):
        return None
    for form in filter(None, entry.dates.get(column, "").split("|")):
        try:
            found = datetime.strptime(value, form)
        except ValueError:
            continue
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    if len(value) <= 10:
        return datetime.combine(found.date(), time.max, UTC)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


__all__ = ["is_open", "moment", "opened_since"]
