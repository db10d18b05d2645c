"""What belongs to a Tryton record beside its stored columns: lists, values per company, rows of its own, files' contents.

``more`` of a record holds, so that a backup is whole and an edit of them is noticed:

* lists of references (``categories``), as sorted ids;
* values that Tryton keeps in a table per company (``lang``, ``account_payable``), as the profile's company sees them;
* rows of models that are not mapped and belong to the record alone (``lines``), without their ids.

The content of a file (``data`` of an attachment) is no column of a snapshot. A reader that is told so gives it beside the
reviewed columns, in a :class:`Whole` record whose digest is the reviewed one: it is backed up and never reviewed.

Left to others: calls (``steward.crm.tryton``), writing them again (``steward.executor.writers.tryton_payload``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from steward.records import Record, Scalar, canonical_text

Kinds = Mapping[str, Mapping[str, Any]]
"""Name of a field → what ``fields_get`` says of it."""

MOST_BYTES = 32 << 20
"""Bytes of one file that are backed up; a larger one keeps its record from being deleted."""

TOO_LARGE = "too_large"
"""Stands, with the number of bytes, for the content of such a file."""

_PER_COMPANY = frozenset({"many2one", "selection"})
_OWN_FIELDS = frozenset(
    {"id", "company", "create_date", "create_uid", "write_date", "write_uid", "last_modified_at", "rec_name", "xml_id"}
)
_SCALARS = frozenset(
    {
        "boolean", "integer", "biginteger", "char", "text", "fulltext", "float", "numeric", "date", "datetime", "timestamp",
        "time", "timedelta", "selection", "many2one", "reference", "multiselection",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Whole(Record):
    """A record with contents of files beside the columns that were reviewed.

    Attributes
    ----------
    reviewed : str
        Digest of the reviewed columns: what a manifest names.
    """

    reviewed: str = ""

    @property
    def digest(self) -> str:
        """Digest of the reviewed columns."""
        return self.reviewed


@dataclass(frozen=True, slots=True)
class Parts:
    """Which fields of a model are what.

    Attributes
    ----------
    lists : tuple of str
        Lists of references.
    values : tuple of str
        Values that are kept per company.
    rows : mapping of str to mapping
        Field → columns of the rows below it, by name, with what ``fields_get`` says of them.
    files : tuple of str
        Fields with a file's content.
    """

    lists: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    rows: Mapping[str, Kinds] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    def names(self) -> tuple[str, ...]:
        """Return what to ask for beside the columns."""
        below = [f"{field}.{name}" for field, kinds in self.rows.items() for name in kinds]
        return (*self.lists, *self.values, *below)


def parts_of(fields: Kinds, models: Iterable[str], below: Mapping[str, Kinds]) -> Parts:
    """Return the parts of a model.

    Parameters
    ----------
    fields : mapping
        Of the model.
    models : iterable of str
        Mapped models: their rows are records of their own.
    below : mapping of str to mapping
        Model → its fields, for models that rows belong to; one that is not there cannot be read.
    """
    own = set(models)
    writable = {n: f for n, f in sorted(fields.items()) if not f.get("readonly")}
    values = tuple(
        n for n, f in writable.items() if f.get("type") in _PER_COMPANY and not f.get("searchable") and not f.get("sortable")
    )
    lists = tuple(n for n, f in writable.items() if f.get("type") == "many2many" and f.get("searchable"))
    files = tuple(n for n, f in writable.items() if f.get("type") == "binary" and f.get("sortable"))
    rows: dict[str, Kinds] = {}
    for name, said in writable.items():
        model = str(said.get("relation"))
        if said.get("type") != "one2many" or model in own or model not in below or not said.get("searchable"):
            continue
        kinds = {
            n: f
            for n, f in sorted(below[model].items())
            if f.get("type") in _SCALARS and f.get("searchable") and f.get("sortable") and not f.get("readonly")
            and n not in _OWN_FIELDS and n != said.get("relation_field")
        }  # fmt: skip
        if kinds and not set(kinds) <= set(values):  # else they are where the values per company are kept
            rows[name] = kinds
    return Parts(lists, values, rows, files)


def owned(fields: Kinds) -> frozenset[str]:
    """Return models whose rows a field of this model lists: they belong to it."""
    return frozenset(str(f["relation"]) for f in fields.values() if f.get("type") == "one2many" and f.get("relation"))


def more_of(parts: Parts, row: Mapping[str, Any], plain: Any) -> dict[str, Scalar]:
    """Return the parts' values of a row as it came.

    Parameters
    ----------
    plain : callable
        From a value of Tryton's JSON to a plain one.
    """
    found: dict[str, Scalar] = {}
    for name in parts.lists:
        if row.get(name):
            ids: list[object] = [*sorted(int(i) for i in row[name])]
            found[name] = ids
    for name in parts.values:
        value = plain(row.get(name))
        if value is not None:
            found[name] = value
    for name, kinds in parts.rows.items():
        below = [
            {n: v for n in kinds if (v := plain(one.get(n))) is not None}
            for one in row.get(f"{name}.") or ()
            if isinstance(one, dict)
        ]
        if below:
            found[name] = [*sorted(below, key=lambda r: json.dumps(r, sort_keys=True, default=canonical_text))]
    return found


__all__ = ["MOST_BYTES", "TOO_LARGE", "Kinds", "Parts", "Whole", "more_of", "owned", "parts_of"]
