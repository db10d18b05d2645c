"""The mapping file: which tables, columns or files are which objects, keys, parents, dates, owner and deletion flag.

One TOML file per source, the same for a CRM in SQL, a vendor's API and a folder of exports. Everything that is written
is checked, and an unknown word is refused with its place in the file, for it might have been a restriction.

Example
-------
::

    format = "steward-mapping/1"
    system = "sql"
    tenant = "demo"
    environment = "sandbox"

    [objects.contact]
    table = "contact"
    key = "id"
    role = "person"
    label = ["first_name", "last_name"]
    modified = "updated_at"
    version = "row_version"
    owner = "owner_id"
    parents = { company_id = "company", owner_id = "user" }
    soft_delete = { column = "is_deleted", deleted = "1", live = "0" }

Left to others: reading what it points to (``steward.crm.sql``, ``steward.crm.files``), proposing one from a schema.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as MappingABC
from collections.abc import Sequence
from typing import Literal

import msgspec

from steward.errors import SchemaMismatchError
from steward.messages import N_

FORMAT = "steward-mapping/1"

Role = Literal[
    "person", "company", "user", "lead", "deal", "quote", "order", "invoice", "payment", "contract", "ticket",
    "activity", "note", "file", "membership", "other",
]  # fmt: skip
"""What an object is to the business; impact, staleness and protections follow it."""

OnDelete = Literal["block", "detach", "reassign", "cascade", "keep"]
OnMerge = Literal["move", "keep"]

_NAME = re.compile(r"^[a-z][a-z0-9_]{0,62}$")


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of mapping parts: immutable, keyword only, unknown words refused."""


class SoftDelete(_Strict, frozen=True):
    """How the system marks a record as deleted.

    Attributes
    ----------
    column : str
    deleted, live : str or None
        Text forms of the marks. ``deleted`` None means: any value that is not NULL (a time of deletion); ``live``
        None means NULL.
    at, by : str or None
        Columns to stamp with time and user, where the system has them.
    """

    column: str
    deleted: str | None = None
    live: str | None = None
    at: str | None = None
    by: str | None = None


class OpenWhen(_Strict, frozen=True):
    """Which records are open business: ``column`` holds one of ``values``, or ``not_in`` none of them, or is ``empty``.

    With ``values`` and ``not_in`` a column that holds nothing counts as open, for its state is not known. ``empty`` is for
    columns that are filled when the business ends, such as the day of shipping: open is what holds nothing.
    """

    column: str
    values: tuple[str, ...] = ()
    not_in: tuple[str, ...] = ()
    empty: bool = False


class ActivityBy(_Strict, frozen=True):
    """Which activities the person began: ``column`` holds one of ``values`` (a reply, a login, a call, a click)."""

    column: str
    values: tuple[str, ...]


class ObjectMapping(_Strict, frozen=True):
    """One object of a source.

    Attributes
    ----------
    table : str or None
        Table (SQL) or module (vendor). None: the object's name.
    files : tuple of str
        For exports: file names or patterns relative to the mapping file's folder.
    key : str
        Column of the id. A record that only several columns name together has them joined by ``+``
        (``OrderID+ProductID``); a plus sign that belongs to a column's name is written ``\\+``.
    role : Role
    label : tuple of str
        Columns that name the record to people.
    parents : mapping of str to str
        Column → object it refers to.
    unique : tuple of tuple of str
        Sets of columns, each with a column of ``parents``, whose values together the system allows only once among live
        records (one membership per person and list). A merge that would break this is shown as a conflict. For a
        ``membership`` without any: all of its parents but the owner.
    on_delete : mapping of str to OnDelete
        Column of ``parents`` → what happens to this record when that parent is deleted; ``block`` where not given. ``keep``:
        it stays below a parent that is only marked as deleted, and goes along (``cascade``) with one that is deleted for good.
    on_merge : mapping of str to OnMerge
        Column of ``parents`` → what happens to this record when that parent merges into another: ``move`` where not given;
        ``keep`` where the system does not let the column change: it stays below the parent, which is marked as deleted.
    created, modified, version, owner : str or None
        Columns.
    event : str or None
        Column with the business date (closing date, invoice date, time of the activity).
    amount : str or None
        Column with a money amount, for impact and value at stake.
    open_when : OpenWhen or None
        Required for roles whose open records protect, else the protection counts as not loaded and protects.
    begun_by_person : ActivityBy or None
        For ``activity``; None counts every activity as begun by the person.
    active_when : OpenWhen or None
        For ``user``: which users are active.
    soft_delete : SoftDelete or None
    dates : mapping of str to str
        Column → ``strptime`` format, or several joined by ``|``; a value that two of them read differently is no date.
        Columns that are not listed stay text; nothing is guessed.
    encoding, delimiter, sheet : str or None
        For files: declared instead of recognised.
    writable : tuple of str or None
        Columns the executor may write; None means all but the key. ``cf_*`` stands for all that begin so.
    required : tuple of str
        Columns that the system does not let be empty: anonymising writes a pseudonym there.
    retention : str or None
        Name of the retention rule of the policy that linked documents of this object fall under.
    """

    key: str
    table: str | None = None
    files: tuple[str, ...] = ()
    role: Role = "other"
    label: tuple[str, ...] = ()
    parents: dict[str, str] = {}
    unique: tuple[tuple[str, ...], ...] = ()
    on_delete: dict[str, OnDelete] = {}
    on_merge: dict[str, OnMerge] = {}
    created: str | None = None
    modified: str | None = None
    version: str | None = None
    owner: str | None = None
    event: str | None = None
    amount: str | None = None
    open_when: OpenWhen | None = None
    begun_by_person: ActivityBy | None = None
    active_when: OpenWhen | None = None
    soft_delete: SoftDelete | None = None
    dates: dict[str, str] = {}
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    writable: tuple[str, ...] | None = None
    required: tuple[str, ...] = ()
    retention: str | None = None
    name: str = ""  # filled in from the table's heading

    @property
    def source(self) -> str:
        """Table or module name."""
        return self.table or self.name

    def writes(self, column: str) -> bool:
        """Say whether the executor may write a column."""
        if self.writable is None:
            return True
        return any(column == w or (w.endswith("*") and column.startswith(w[:-1])) for w in self.writable)

    @property
    def must_be_there(self) -> tuple[str, ...]:
        """Columns that ``writable`` and ``required`` name by their whole names."""
        return (*(w for w in self.writable or () if not w.endswith("*")), *self.required)

    @property
    def key_columns(self) -> tuple[str, ...]:
        """Columns of the id: one, or those that are joined by ``+``."""
        return tuple(part.replace("\\+", "+") for part in re.split(r"(?<!\\)\+", self.key))


def compose_id(parts: Sequence[str]) -> str:
    """Return the id of a record whose key has several columns; one part alone is the id as it is.

    Parts are joined by ``+``; a plus sign or backslash inside a part gets a backslash, so that two different keys never
    give one id.
    """
    if len(parts) == 1:
        return parts[0]
    return "+".join(part.replace("\\", "\\\\").replace("+", "\\+") for part in parts)


class Mapping(_Strict, frozen=True):
    """A whole mapping file."""

    format: str
    system: str
    tenant: str
    environment: str
    objects: dict[str, ObjectMapping]
    options: dict[str, str] = {}

    def ordered(self) -> tuple[ObjectMapping, ...]:
        """Objects with parents before children; objects in a cycle keep the order of the file."""
        done: dict[str, ObjectMapping] = {}
        pending = dict(self.objects)
        while pending:
            ready = [n for n, o in pending.items() if all(p in done or p == n or p not in pending for p in o.parents.values())]
            for name in ready or [next(iter(pending))]:
                done[name] = pending.pop(name)
        return tuple(done.values())

    def children_of(self, name: str) -> tuple[tuple[ObjectMapping, str], ...]:
        """Objects and columns that refer to ``name``."""
        return tuple((o, c) for o in self.objects.values() for c, p in o.parents.items() if p == name)


def parse_mapping(text: str, *, where: str = "mapping") -> Mapping:
    """Read a mapping file's text.

    Parameters
    ----------
    where : str
        Name of the file, for messages.

    Raises
    ------
    SchemaMismatchError
        Not TOML, an unknown word, a missing key, a name that is not ``[a-z][a-z0-9_]*``, a parent that is not mapped.
    """
    try:
        raw = msgspec.toml.decode(text, type=Mapping, strict=True)
    except (msgspec.MsgspecError, ValueError) as error:
        raise SchemaMismatchError(
            N_("The mapping {where} cannot be used: {problem}"),
            next_step=N_("Mend the file; docs/reference/mapping.md describes every word."),
            where=where,
            problem=str(error),
        ) from None
    if raw.format != FORMAT:
        raise SchemaMismatchError(
            N_("The mapping {where} says format {format}; this version reads {known}."),
            where=where,
            format=raw.format,
            known=FORMAT,
        )
    if not raw.objects:
        raise SchemaMismatchError(N_("The mapping {where} names no object."), where=where)
    objects: dict[str, ObjectMapping] = {}
    for name, entry in raw.objects.items():
        _check(name, entry, raw.objects, where)
        objects[name] = msgspec.structs.replace(entry, name=name)
    return msgspec.structs.replace(raw, objects=objects)


def _check(name: str, entry: ObjectMapping, objects: MappingABC[str, ObjectMapping], where: str) -> None:
    def refuse(problem: str, **facts: str) -> SchemaMismatchError:
        return SchemaMismatchError(problem, where=where, object=name, **facts)

    if not _NAME.match(name):
        raise refuse(N_("The mapping {where} names an object {object}; names are lower-case letters, digits and _."))
    if entry.name:
        raise refuse(N_("The mapping {where} sets 'name' inside {object}; the heading is the name."))
    for column, parent in entry.parents.items():
        if parent not in objects:
            raise refuse(
                N_("The mapping {where}: {object}.{column} refers to {parent}, which is not mapped."),
                column=column,
                parent=parent,
            )
    for column in entry.on_delete:
        if column not in entry.parents:
            raise refuse(
                N_("The mapping {where}: on_delete of {object} names {column}, which is not in its parents."), column=column
            )
    for column in entry.on_merge:
        if column not in entry.parents:
            raise refuse(
                N_("The mapping {where}: on_merge of {object} names {column}, which is not in its parents."), column=column
            )
    for columns in entry.unique:
        if not set(columns) & set(entry.parents):
            raise refuse(
                N_("The mapping {where}: 'unique' of {object} names no column of its parents: {columns}."),
                columns=", ".join(columns),
            )
    for rule in (entry.open_when, entry.active_when):
        if rule is not None and sum((bool(rule.values), bool(rule.not_in), rule.empty)) != 1:
            raise refuse(N_("The mapping {where}: {object} needs exactly one of 'values', 'not_in' and 'empty'."))
