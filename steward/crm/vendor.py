"""What readers over a vendor's API have in common: the order of objects, resuming, one set of columns, doubts.

A vendor's row becomes a :class:`Record` with the same columns for every record of an object: what the contract and the
tenant's own field descriptions name. Whatever else a row carries is kept as JSON in the column ``more``, so that a
backup is whole and a digest notices a change in it. A **doubt** is a reason why the read may be partial; a snapshot with
one is incomplete, and nothing is deleted from it.

Left to others: each vendor's paths, filters and traps (its own module), the wire (``steward.crm.wire``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from steward.crm.base import Capabilities
from steward.crm.mapping import Mapping as CrmMapping
from steward.crm.mapping import ObjectMapping
from steward.crm.pages import Page, PageLog, Row
from steward.crm.profiles import Profile
from steward.crm.wire import Wire
from steward.errors import SchemaMismatchError, UsageError
from steward.messages import N_
from steward.records import Absent, Link, Record, RecordKey, Scalar, canonical_text

MORE = "more"
"""Column with everything of a row that no other column holds, as JSON; NULL where there is nothing."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a credential is, as far as the vendor says.

    Attributes
    ----------
    organisation : str
        Name or id of the account.
    environment : str
        As the vendor calls it; empty where it does not say.
    acts_as : str
        Id of the user or key, never a name.
    scopes : tuple of str
        Granted scopes, where the vendor lists them.
    may_write : bool or None
        None: the vendor does not say.
    clock_seconds : float or None
        The vendor's clock minus ours, from the answer's date.
    missing : tuple of str
        What the profile's mapping needs and the credential does not reach.
    """

    organisation: str = ""
    environment: str = ""
    acts_as: str = ""
    scopes: tuple[str, ...] = ()
    may_write: bool | None = None
    clock_seconds: float | None = None
    missing: tuple[str, ...] = ()


class VendorReader(ABC):
    """Implements :class:`steward.crm.base.CrmReader` but for what a vendor does its own way.

    Parameters
    ----------
    mapping : Mapping
        Its ``table`` words are the vendor's modules.
    wire : Wire
        Closed with the reader.
    kept : Path or None
        Folder for pages of a broken read; None reads anew each time.

    Attributes
    ----------
    doubts : list of str
        Why what was read may be partial.
    counts_exactly : bool
        Whether the vendor's count may be held against what was read.
    counts : bool
        Whether the vendor counts at all.
    began : float or None
        Seconds since 1970 when the oldest page that was used was asked for; a read that went on has pages of yesterday.
    marks : dict of str to str
        Object → what the vendor said of it before it was read, which the next reading compares.
    sight : str
        Digest of the profile, whose address, credential and options decide what is seen; empty without one.
    """

    connector_version: str
    capabilities: Capabilities
    counts_exactly: bool = False
    counts: bool = True

    def __init__(self, mapping: CrmMapping, wire: Wire, *, kept: Path | None = None) -> None:
        self.mapping = mapping
        self.system, self.tenant, self.environment = mapping.system, mapping.tenant, mapping.environment
        self.wire = wire
        self.doubts: list[str] = []
        self.began: float | None = None
        self.marks: dict[str, str] = {}
        self.sight = ""
        self._kept = kept
        self._columns: dict[str, tuple[str, ...]] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.wire.host}, tenant={self.tenant!r})"

    def __enter__(self) -> VendorReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # what a vendor gives ----------------------------------------------------------------------------------------

    @abstractmethod
    def describe(self, entry: ObjectMapping) -> tuple[str, ...]:
        """Return the columns of an object, key among them, without ``more``."""

    @abstractmethod
    def pages(self, entry: ObjectMapping, cursor: Any) -> Iterator[Page]:
        """Yield every page from ``cursor`` on; None begins. The last page has the cursor None."""

    @abstractmethod
    def flatten(self, entry: ObjectMapping, row: Row) -> dict[str, Scalar]:
        """Return the columns' values of a vendor's row; names beside the columns end in ``more``."""

    @abstractmethod
    def one(self, entry: ObjectMapping, id: str) -> Row | Absent | None:
        """Return the row of an id now, evidence that it is not there, or None where the answer does not say."""

    @abstractmethod
    def referring(self, child: ObjectMapping, column: str, ids: Sequence[str]) -> Iterator[Row]:
        """Yield the live rows of ``child`` whose ``column`` refers to one of ``ids``; more may come, all must."""

    @abstractmethod
    def count(self, object: str) -> int:
        """Return how many live records the system says the object has."""

    @abstractmethod
    def access(self) -> Access:
        """Return what the credential is and may, reading no record."""

    def untouchable(self, record: Record) -> str:
        """Return a code of why a record must not be written now (locked, under approval); empty where it may be."""
        return ""

    # what is common ---------------------------------------------------------------------------------------------

    def objects(self) -> Sequence[ObjectMapping]:
        """Return the mapped objects, parents before children."""
        return self.mapping.ordered()

    def entry(self, object: str) -> ObjectMapping:
        """Return the mapping of an object.

        Raises
        ------
        SchemaMismatchError
            It has none.
        """
        try:
            return self.mapping.objects[object]
        except KeyError:
            raise SchemaMismatchError(
                N_("The mapping has no object {object}; it has: {known}."), object=object, known=", ".join(self.mapping.objects)
            ) from None

    def columns(self, object: str) -> tuple[str, ...]:
        """Return the columns of every record of the object.

        Raises
        ------
        SchemaMismatchError
            The mapping names a column that the vendor does not have.
        """
        if object not in self._columns:
            entry = self.entry(object)
            found = tuple(dict.fromkeys((*self.describe(entry), MORE)))
            missing = sorted(set(named_columns(entry)) - set(found))
            if missing:
                raise SchemaMismatchError(
                    N_("The mapping names columns of {object} that the CRM does not have: {missing}."),
                    next_step=N_("steward connectors check --profile NAME shows the columns there are."),
                    object=object,
                    missing=", ".join(missing),
                )
            self._columns[object] = found
        return self._columns[object]

    def scan(self, object: str, *, batch: int = 5_000) -> Iterator[list[Record]]:
        """Yield every record of the object once, resuming a read that broke off.

        Notes
        -----
        A vendor's pages may overlap: a record that came twice is given once, as it came first.
        """
        if batch < 1:
            raise ValueError("batch must be at least 1")
        entry = self.entry(object)
        columns = self.columns(object)
        log = PageLog(self._path(object), self._question(entry, columns))
        seen: set[str] = set()
        held: list[Record] = []
        cursor: Any = None
        finished = False
        for page in log.replay():
            cursor, finished = page.cursor, page.cursor is None
            held += self._records(entry, columns, page.rows, seen)
            while len(held) >= batch:
                yield held[:batch]
                del held[:batch]
        self.began = log.begun if self.began is None else min(self.began, log.begun)
        if not finished:
            for page in self.pages(entry, cursor):
                log.add(page)
                held += self._records(entry, columns, page.rows, seen)
                while len(held) >= batch:
                    yield held[:batch]
                    del held[:batch]
        if held:
            yield held

    def fetch(self, object: str, ids: Sequence[str]) -> Mapping[str, Record | Absent]:
        """Return what each id is now; an id without a clear answer is left out."""
        entry, columns = self.entry(object), self.columns(object)
        found: dict[str, Record | Absent] = {}
        for wanted in dict.fromkeys(ids):
            said = self.one(entry, wanted)
            if said is not None:
                found[wanted] = said if isinstance(said, Absent) else self.record(entry, columns, said)
        return {wanted: found[wanted] for wanted in ids if wanted in found}

    def children(self, object: str, ids: Sequence[str]) -> Sequence[Link]:
        """Return every live reference of mapped objects to these records; each row is compared here, whatever the
        vendor's filter let through."""
        wanted = set(ids)
        links: set[Link] = set()
        for child, column in self.mapping.children_of(object):
            columns = self.columns(child.name)
            for row in self.referring(child, column, ids):
                record = self.record(child, columns, row)
                parent = canonical_text(record.fields[column])
                if parent in wanted and not record.deleted:
                    links.add(Link(record.key, column, RecordKey(object, parent)))
        return sorted(links, key=lambda link: (link.parent, link.child, link.field))

    def hidden(self, object: str, ids: Sequence[str]) -> Sequence[Link]:
        """Return references of records that are marked as deleted, where a deletion of these would change or remove them."""
        return ()

    def record(self, entry: ObjectMapping, columns: Sequence[str], row: Row) -> Record:
        """Return the record of a vendor's row.

        Raises
        ------
        SchemaMismatchError
            The row has no id: nothing could be said about it.
        """
        flat = self.flatten(entry, row)
        id = canonical_text(flat.get(entry.key))
        if not id:
            raise SchemaMismatchError(N_("The CRM gave a row of {object} without its id."), object=entry.name)
        known = set(columns)
        more = {n: v for n, v in flat.items() if n not in known and v not in (None, "", [], {})}
        fields: dict[str, Scalar] = {name: flat.get(name) for name in columns if name != MORE}
        fields[MORE] = dict(sorted(more.items())) or None
        mark = entry.soft_delete
        deleted = False
        if mark is not None:
            text = canonical_text(fields[mark.column])
            deleted = text is not None if mark.deleted is None else text == mark.deleted
        by = canonical_text(fields[mark.by]) if deleted and mark is not None and mark.by else None
        version = canonical_text(fields[entry.version]) if entry.version else None
        return Record(RecordKey(entry.name, id), fields, version=version, deleted=deleted, deleted_by=by)

    def finished(self) -> None:
        """Throw away the kept pages: the snapshot stands."""
        for entry in self.mapping.objects.values():
            path = self._path(entry.name)
            if path is not None:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Release connections."""
        self.wire.close()

    def _records(self, entry: ObjectMapping, columns: Sequence[str], rows: Sequence[Row], seen: set[str]) -> list[Record]:
        found = []
        for row in rows:
            record = self.record(entry, columns, row)
            if record.key.id not in seen:
                seen.add(record.key.id)
                found.append(record)
        return found

    def _path(self, object: str) -> Path | None:
        return None if self._kept is None else self._kept / f"{object}.pages"

    def _question(self, entry: ObjectMapping, columns: Sequence[str]) -> str:
        return "\n".join(
            (
                self.connector_version,
                self.wire.base,
                self.tenant,
                self.environment,
                msgspec.json.encode(entry).decode(),
                *columns,
            )
        )


def named_columns(entry: ObjectMapping) -> list[str]:
    """Return every column that a mapping names."""
    named = [
        entry.key,
        *entry.label,
        *entry.parents,
        *entry.dates,
        *entry.must_be_there,
    ]
    named += [n for n in (entry.created, entry.modified, entry.version, entry.owner, entry.event, entry.amount) if n]
    for part in (entry.open_when, entry.begun_by_person, entry.active_when):
        if part is not None:
            named.append(part.column)
    if entry.soft_delete is not None:
        named += [n for n in (entry.soft_delete.column, entry.soft_delete.at, entry.soft_delete.by) if n]
    return named


def switches(profile: Profile, known: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Return every switch of a connector with its value.

    Parameters
    ----------
    known : mapping
        Switch → its values, the careful one first, which is the default; no values: free text, by default empty.

    Raises
    ------
    UsageError
        An unknown switch, or a value that it does not have.
    """
    found = {name: (values[0] if values else "") for name, values in known.items()}
    for name, value in profile.options.items():
        if name not in known:
            raise UsageError(
                N_("{system} has no option {name}; it has: {known}."),
                system=profile.system, name=name, known=", ".join(sorted(known)) or "-",
            )  # fmt: skip
        if known[name] and value not in known[name]:
            raise UsageError(N_("The option {name} is one of {known}."), name=name, known=", ".join(known[name]))
        found[name] = value
    return found
