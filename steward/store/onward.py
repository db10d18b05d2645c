"""The next snapshot from the one before and what changed since, equal to one that is read whole at the same moment.

Object by object: the rows of the earlier snapshot are copied but for those that changed or went, and what changed is read.
The vendor's questions and their traps are in ``steward.crm.changes``; here is what follows from the answers:

* What a vendor lists as deleted, and what may have come back, is asked for by its id before anything is believed.
* A record that refers to one that is gone is read anew: the CRM may have emptied the reference and moved no time.
* Where too much has to be read anew, the fields or the mapping are others, or an exact total does not agree, the object is
  read whole.

Left to others: which snapshot may be gone on from (``readings``), the transaction and the digests (``intake``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import duckdb
import msgspec
import pyarrow as pa

from steward.crm.base import CrmReader
from steward.crm.changes import SHARE, Before, Changes, Rereading, changes_of
from steward.crm.mapping import FORMAT, Mapping, ObjectMapping
from steward.records import Record, Snapshot
from steward.store.compare import difference
from steward.store.intake import Intake, append_records, read_all
from steward.store.model import Difference
from steward.store.readings import Reading, Way
from steward.store.schema import LEADING
from steward.store.sql import one, quote
from steward.store.writing import TableWriter

FEW = 200
"""Records that are always worth reading by their ids."""

MANY = 100_000
"""Records that are held in memory at once."""

MUCH = "much has changed"


class Onward:
    """A source (:class:`steward.store.intake.LoadsItself`) that goes on from an earlier snapshot.

    Parameters
    ----------
    connection : DuckDBPyConnection
        Of the workspace that holds ``earlier``.
    schema : str
        Schema of the earlier snapshot's tables.
    earlier, reading : Snapshot, Reading
        See :func:`steward.store.readings.ground`.
    mapping : Mapping
        With which the earlier snapshot was taken.
    deletions_matter : bool
        False does without knowing of deletions where a whole read alone would tell; such a snapshot is not complete.

    Attributes
    ----------
    ways : dict of str to Way
        Object → how it was read.
    doubts : list of str
        Why the snapshot may be partial.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        schema: str,
        reader: CrmReader,
        earlier: Snapshot,
        reading: Reading,
        mapping: Mapping,
        *,
        deletions_matter: bool = True,
    ) -> None:
        self.reader, self.origin = reader, earlier.digest
        self.connector_version = reader.connector_version
        objects = {o.name: o for o in reader.objects()}
        self.mapping = Mapping(
            format=FORMAT, system=reader.system, tenant=reader.tenant, environment=reader.environment, objects=objects
        )
        self.ways: dict[str, Way] = {}
        self.unknown: list[str] = []
        self._connection, self._schema = connection, schema
        self._earlier, self._reading, self._then = earlier, reading, mapping
        self._deletions_matter = deletions_matter
        self._tables: dict[str, str] = {}
        self._differences: dict[str, Difference] = {}
        self._marked: bool | None = None

    @property
    def deletions_known(self) -> bool:
        """Whether a record that is gone would have been noticed, of whatever object."""
        return not self.unknown

    @property
    def doubts(self) -> list[str]:
        """The reader's own, and deletions that nobody looked for."""
        return [*getattr(self.reader, "doubts", ()), *self.unknown]

    def load(self, entry: ObjectMapping, writer: TableWriter, intake: Intake) -> None:
        """Read one object in the cheapest way that misses nothing."""
        why = self._differs(entry)
        changes = None if why else changes_of(self.reader, entry, self._before(entry))
        if changes is not None and changes.way != "whole":
            why = self._carry(entry, writer, intake, changes)
            if not why:
                self._note(entry, writer)
                return
        if writer.columns:
            writer.restart()
        read_all(entry, writer, self.reader, intake)
        self.ways[entry.name] = Way("whole", why, read=self._rows(writer.table))
        self._note(entry, writer)

    # what is known ----------------------------------------------------------------------------------------------

    def _differs(self, entry: ObjectMapping) -> str:
        """Return why nothing can be carried over; empty where it can."""
        reader, then = self.reader, self._then.objects.get(entry.name)
        if self._reading.sight != getattr(reader, "sight", ""):
            return "the profile changed"
        if self._earlier.connector_version != reader.connector_version:
            return "the connector changed"
        if then is None or msgspec.json.encode(then) != msgspec.json.encode(entry):
            return "the mapping changed"
        if not self._earlier.object(entry.name).rows:
            return "it held nothing"
        columns = getattr(reader, "columns", None)
        if columns is None or tuple(columns(entry.name)) != self._earlier.object(entry.name).columns:
            return "the fields changed"
        return ""

    def _before(self, entry: ObjectMapping) -> Before:
        clocks = [self._reading.clock_seconds, getattr(getattr(self.reader, "wire", None), "clock_seconds", None)]
        known = [c for c in clocks if c is not None]
        return Before(
            self._reading.began,
            min(known) if len(known) == len(clocks) else None,
            self._earlier.object(entry.name).rows,
            self._reading.marks.get(entry.name),
            self._deletions_matter,
            self._any_marked(),
        )

    def _any_marked(self) -> bool:
        if self._marked is None:
            self._marked = any(self._rows(self._old(o.name), "_deleted") for o in self._earlier.objects)
        return self._marked

    def _old(self, object: str) -> str:
        return f"{quote(self._schema)}.{quote(object)}"

    def _note(self, entry: ObjectMapping, writer: TableWriter) -> None:
        self._tables[entry.name] = writer.table
        done = getattr(self.reader, "done", None)
        if done is not None:
            done(entry.name)

    def _rows(self, table: str, where: str = "true") -> int:
        return int(one(self._connection, f"SELECT count(*) FROM {table} WHERE {where}")[0])

    # carrying over ----------------------------------------------------------------------------------------------

    def _carry(self, entry: ObjectMapping, writer: TableWriter, intake: Intake, changes: Changes) -> str:
        """Write the object from what was and what changed; return why that could not be done, empty where it was."""
        if changes.way == "unchanged":
            self._write(entry, writer, intake, changes, {}, set())
            return ""
        assert isinstance(changes, Rereading), changes.way
        if changes.way == "stamps":
            return self._carry_swept(entry, writer, intake, changes)
        later = [p for p in entry.parents.values() if p not in self._tables and p != entry.name]
        if later:
            return "it refers to an object that is read after it"
        most = min(max(changes.before.rows // SHARE, FEW), MANY)
        old = self._old(entry.name)
        fresh: dict[str, Record] = {}
        for records in changes.changed():
            fresh |= {record.key.id: record for record in records}
            if len(fresh) > most:
                return MUCH
        wanted, asked, gone = self._ask(entry, old, changes, fresh), set[str](), set[str]()
        while wanted:
            asked |= wanted
            if len(asked) > (most if changes.read_most is None else changes.read_most):
                return MUCH
            found = {record.key.id: record for records in changes.read(sorted(wanted)) for record in records}
            fresh |= found
            went = wanted - found.keys()
            for id in went:
                fresh.pop(id, None)
            gone |= went
            wanted = self._referring(old, entry, entry.name, went) - asked - fresh.keys()
        self._write(entry, writer, intake, changes, fresh, gone)
        if changes.way == "changes":
            return self._agrees(entry, writer, changes)
        return ""

    def _carry_swept(self, entry: ObjectMapping, writer: TableWriter, intake: Intake, changes: Rereading) -> str:
        old = self._old(entry.name)
        wanted, gone = self._compare(old, changes)
        if len(wanted) > max(changes.before.rows // SHARE, FEW):
            return MUCH
        writer.start(self._earlier.object(entry.name).columns, where=entry.source)
        carried = self._copy(old, writer, gone | wanted)
        intake.progress(carried)
        missing = set(wanted)
        for records in changes.read(sorted(wanted)):  # written as it comes: a part of a large table may be large
            if records:
                append_records(entry, writer, records)
                intake.progress(len(records))
                missing -= {record.key.id for record in records}
        self.ways[entry.name] = Way("stamps", "", len(wanted) - len(missing), carried, self._held(old, gone | missing))
        if getattr(self.reader, "counts_exactly", True):
            live, expected = self._rows(writer.table, "NOT _deleted"), self.reader.count(entry.name)
            if live < expected:
                intake.incomplete = True
                intake.notes.append(f"{entry.name}: the system counts {expected} records, {live} were read")
        return ""

    def _write(
        self,
        entry: ObjectMapping,
        writer: TableWriter,
        intake: Intake,
        changes: Changes,
        fresh: dict[str, Record],
        gone: set[str],
    ) -> None:
        old = self._old(entry.name)
        writer.start(self._earlier.object(entry.name).columns, where=entry.source)
        carried = self._copy(old, writer, gone | fresh.keys())
        for batch in _batches(fresh.values()):
            append_records(entry, writer, batch)
        intake.progress(carried + len(fresh))
        self.ways[entry.name] = Way(str(changes.way), "", len(fresh), carried, self._held(old, gone))

    def _agrees(self, entry: ObjectMapping, writer: TableWriter, changes: Changes) -> str:
        """Return why deletions are not known although they matter; empty where they are, or do not."""
        total = changes.live()
        if total is not None:
            return "" if total == self._rows(writer.table, "NOT _deleted") else "the total does not agree"
        if self._deletions_matter:
            return "nobody tells what was deleted"
        since = changes.before.began.isoformat(timespec="minutes")
        self.unknown.append(f"{entry.name}: what was deleted since {since} was not looked for")
        return ""

    def _copy(self, old: str, writer: TableWriter, but: Iterable[str]) -> int:
        names = ", ".join(map(quote, (*LEADING, *writer.stored)))
        with _ids(self._connection, but) as skipped:
            self._connection.execute(
                f"INSERT INTO {writer.table}({names}) SELECT {names} FROM {old} ANTI JOIN {skipped} USING (_id)"
            )
        return self._rows(writer.table)

    def _held(self, old: str, ids: Iterable[str]) -> int:
        with _ids(self._connection, ids) as some:
            return self._rows(f"{old} SEMI JOIN {some} USING (_id)")

    def _compare(self, old: str, changes: Changes) -> tuple[set[str], set[str]]:
        """Sweep, and return which ids to read and which are gone."""
        connection = self._connection
        names = [f"c{n}" for n in range(len(changes.compared))]
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE steward_swept(id VARCHAR, again BOOLEAN"
            + "".join(f", {name} VARCHAR" for name in names)
            + ")"
        )
        try:
            for swept in changes.sweep():
                columns: dict[str, Any] = {
                    "id": pa.array([s.id for s in swept], pa.string()),
                    "again": pa.array([s.again for s in swept], pa.bool_()),
                }
                columns |= {name: pa.array([s.texts[n] for s in swept], pa.string()) for n, name in enumerate(names)}
                connection.register("steward_incoming", pa.table(columns))
                try:
                    connection.execute("INSERT INTO steward_swept SELECT * FROM steward_incoming")
                finally:
                    connection.unregister("steward_incoming")
            differs = " OR ".join(
                ["s.again", *(f"s.{n} IS DISTINCT FROM p.{quote(c)}" for n, c in zip(names, changes.compared, strict=True))]
            )
            wanted = connection.execute(
                f"SELECT DISTINCT s.id FROM steward_swept s LEFT JOIN {old} p ON p._id = s.id WHERE p._id IS NULL OR {differs}"
            ).fetchall()
            gone = connection.execute(f"SELECT p._id FROM {old} p ANTI JOIN steward_swept s ON s.id = p._id").fetchall()
        finally:
            connection.execute("DROP TABLE IF EXISTS steward_swept")
        return {row[0] for row in wanted}, {row[0] for row in gone}

    def _ask(self, entry: ObjectMapping, old: str, changes: Changes, fresh: dict[str, Record]) -> set[str]:
        """Return the ids of which neither what changed nor what stayed can be believed."""
        wanted = set(changes.left()) - fresh.keys()
        with _ids(self._connection, changes.gone()) as said:
            listed = self._connection.execute(f"SELECT _id FROM {old} SEMI JOIN {said} USING (_id)").fetchall()
            again = self._connection.execute(f"SELECT _id FROM {said}").fetchall() if fresh else []
        wanted |= {row[0] for row in listed} | ({row[0] for row in again} & fresh.keys())
        if changes.shows_deleted:  # whoever lay in the bin then and does not now came back, or is gone for good
            held = self._connection.execute(f"SELECT _id FROM {old} WHERE _deleted").fetchall()
            wanted |= {row[0] for row in held} - fresh.keys()
        for column, parent in entry.parents.items():
            if parent == entry.name:
                continue
            found = self._difference(parent)
            ids = {*found.gone, *(found.changed if column in changes.copied else ())}
            wanted |= self._holding(old, column, ids) - fresh.keys()
        return wanted

    def _difference(self, object: str) -> Difference:
        if object not in self._differences:
            held = object in self._then.objects
            self._differences[object] = (
                difference(self._connection, self._old(object), self._tables[object]) if held else Difference()
            )
        return self._differences[object]

    def _referring(self, old: str, entry: ObjectMapping, parent: str, gone: set[str]) -> set[str]:
        return {id for column, p in entry.parents.items() if p == parent for id in self._holding(old, column, gone)}

    def _holding(self, old: str, column: str, ids: set[str]) -> set[str]:
        if not ids:
            return set()
        with _ids(self._connection, ids) as said:
            rows = self._connection.execute(f"SELECT t._id FROM {old} t SEMI JOIN {said} w ON t.{quote(column)} = w._id")
            return {row[0] for row in rows.fetchall()}


class _ids:
    """A table ``_id`` of ids for the length of a ``with``."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, ids: Iterable[str]) -> None:
        self.connection, self.ids = connection, ids

    def __enter__(self) -> str:
        self.connection.register("steward_some", pa.table({"_id": pa.array(sorted(set(self.ids)), pa.string())}))
        return "steward_some"

    def __exit__(self, *_: object) -> None:
        self.connection.unregister("steward_some")


def _batches(records: Iterable[Record], size: int = 5_000) -> Iterator[list[Record]]:
    held: list[Record] = []
    for record in records:
        held.append(record)
        if len(held) == size:
            yield held
            held = []
    if held:
        yield held
