"""Takes a snapshot: one transaction from the first row to the entry in the list, so that nothing half is ever seen.

Left to others: reading export files (``source``), the table of an object (``writing``), digests (``digest``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

import duckdb
import msgspec
import pyarrow as pa

from steward.crm.base import CrmReader
from steward.crm.mapping import FORMAT, Mapping, ObjectMapping
from steward.errors import SchemaMismatchError, SnapshotError
from steward.messages import N_
from steward.records import ObjectStats, Record, Snapshot, canonical_text, snapshot_digest
from steward.store import readings
from steward.store.bulk import ReadCarefullyError
from steward.store.digest import object_digest
from steward.store.model import Reject
from steward.store.readings import Reading, reading_of
from steward.store.sql import literal, one, quote
from steward.store.typed import create_typed_view
from steward.store.writing import TableWriter

Progress = Callable[[int], None]


@dataclass(slots=True)
class FileEntry:
    """What was read from one file: its identity, how it was read, and the count that must come out."""

    object: str
    file: str
    sha256: str
    bytes: int
    kind: str
    encoding: str | None
    delimiter: str | None
    rows_in_file: int
    rows_loaded: int
    rejects: int


@dataclass(slots=True)
class Intake:
    """What a source tells while it is read."""

    folder: Path
    progress: Progress
    rejects: list[Reject] = field(default_factory=list)
    files: list[FileEntry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    incomplete: bool = False
    careful: bool = False
    """Read every file line by line: the fast way has failed."""


@runtime_checkable
class LoadsItself(Protocol):
    """A source that writes its objects into their tables itself, such as export files."""

    mapping: Mapping
    connector_version: str

    def load(self, entry: ObjectMapping, writer: TableWriter, intake: Intake) -> None:
        """Read one object whole."""
        ...


def take(
    connection: duckdb.DuckDBPyConnection, folder: Path, source: CrmReader | LoadsItself, taken_at: datetime, progress: Progress
) -> str:
    """Copy a source into the workspace and return the digest of the snapshot.

    See :meth:`steward.store.workspace.Workspace.take_snapshot`.
    """
    if taken_at.tzinfo is None:
        raise ValueError("taken_at must be aware")
    try:
        return _take(connection, source, taken_at, Intake(folder, progress))
    except ReadCarefullyError:
        return _take(connection, source, taken_at, Intake(folder, progress, careful=True))


def _take(connection: duckdb.DuckDBPyConnection, source: CrmReader | LoadsItself, taken_at: datetime, intake: Intake) -> str:
    mapping = _mapping_of(source)
    connection.execute("BEGIN")
    try:
        number = int(one(connection, "SELECT coalesce(max(take), 0) + 1 FROM snapshots")[0])
        schema = f"take_{number}"
        connection.execute(f"CREATE SCHEMA {quote(schema)}")
        stats = []
        for entry in mapping.ordered():
            stats.append(_take_object(connection, schema, entry, source, intake))
        if doubts := getattr(source, "doubts", ()):  # a vendor's reader knows why it may not have seen everything
            intake.incomplete = True
            intake.notes += list(dict.fromkeys(doubts))
        mapping = _mapping_of(source)  # files without a mapping get their roles from the headers
        digest = snapshot_digest(stats)
        complete = not (intake.incomplete or intake.rejects)
        unknown = set(getattr(source, "unknown", ()))  # deletions nobody looked for are no ground against going on
        reading = reading_of(source, taken_at, sound=complete or (not intake.rejects and set(intake.notes) <= unknown))
        snapshot = Snapshot(
            digest, taken_at.astimezone(UTC), mapping.system, mapping.tenant, mapping.environment, source.connector_version,
            tuple(sorted(stats, key=lambda s: s.name)), complete, tuple(intake.notes),
        )  # fmt: skip
        known = one(connection, "SELECT tenant, system, environment, mapping_json FROM snapshots WHERE digest = ?", [digest])
        if known is not None:
            connection.execute("ROLLBACK")
            _taken_again(connection, snapshot, mapping, intake, known, reading)
            return digest
        for entry in mapping.objects.values():
            create_typed_view(connection, schema, entry, next(s.columns for s in stats if s.name == entry.name))
        connection.execute(
            "INSERT INTO snapshots VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [digest, number, snapshot.taken_at.replace(tzinfo=None), mapping.system, mapping.tenant, mapping.environment,
             source.connector_version, complete, json.dumps(snapshot.notes), _encode(mapping)],
        )  # fmt: skip
        for s in snapshot.objects:
            connection.execute(
                "INSERT INTO snapshot_objects VALUES (?, ?, ?, ?, ?, ?)",
                [digest, s.name, s.rows, s.digest, s.rejects, json.dumps(s.columns, ensure_ascii=False)],
            )
        _write_files_and_rejects(connection, digest, intake)
        if reading is not None:
            readings.write(connection, digest, reading)
        connection.execute("COMMIT")
    except BaseException:
        _rollback(connection)
        raise
    return digest


def _mapping_of(source: CrmReader | LoadsItself) -> Mapping:
    if isinstance(source, LoadsItself):
        return source.mapping
    objects = {o.name: o for o in source.objects()}
    return Mapping(format=FORMAT, system=source.system, tenant=source.tenant, environment=source.environment, objects=objects)


def _encode(mapping: Mapping) -> str:
    return msgspec.json.encode(mapping).decode()


def _take_object(
    connection: duckdb.DuckDBPyConnection, schema: str, entry: ObjectMapping, source: CrmReader | LoadsItself, intake: Intake
) -> ObjectStats:
    writer = TableWriter(connection, schema, entry)
    before = len(intake.rejects)
    if isinstance(source, LoadsItself):
        source.load(entry, writer, intake)
    else:
        read_all(entry, writer, source, intake)
    writer.refuse_repeated_ids()
    digest, rows = object_digest(connection, writer.table, entry.name)
    return ObjectStats(entry.name, rows, digest, len(intake.rejects) - before, writer.columns)


def read_all(entry: ObjectMapping, writer: TableWriter, reader: CrmReader, intake: Intake) -> None:
    """Read one object of a CRM whole, and hold what came against what the system counts, where it counts exactly."""
    counted = reader.count(entry.name)
    live = 0
    for batch in reader.scan(entry.name):
        if not batch:
            continue
        if not writer.columns:
            writer.start(tuple(batch[0].fields), where=entry.source)
        append_records(entry, writer, batch)
        live += sum(not record.deleted for record in batch)
        intake.progress(len(batch))
    if not writer.columns:
        writer.start(tuple(dict.fromkeys(_all_columns(entry))), where=entry.source)
    # Records may come and go while a vendor's API is paged; fewer than both counts means that some were not shown to us.
    if getattr(reader, "counts_exactly", True):
        expected = min(counted, reader.count(entry.name))
        if live < expected:
            intake.incomplete = True
            intake.notes.append(f"{entry.name}: the system counts {expected} records, {live} were read")


def _all_columns(entry: ObjectMapping) -> list[str]:
    from steward.store.writing import mapped_columns

    return list(mapped_columns(entry))


def append_records(entry: ObjectMapping, writer: TableWriter, batch: Sequence[Record]) -> None:
    """Write records of a reader.

    Raises
    ------
    SnapshotError, SchemaMismatchError
        Text that cannot be kept; a record with other fields than those before it.
    """
    names = set(writer.columns)
    for record in batch:
        if record.fields.keys() != names:
            raise SchemaMismatchError(
                N_("{object}: record {key} came with other fields than the first record."),
                next_step=N_("The reader must give every mapped field of every record, empty ones as NULL."),
                object=entry.name, key=record.key,
            )  # fmt: skip
    try:
        writer.append_given(
            {name: [canonical_text(record.fields[name]) for record in batch] for name in writer.columns},
            ids=[r.key.id for r in batch],
            versions=[r.version for r in batch],
            deleted=[r.deleted for r in batch],
            origin=entry.source,
        )
    except (UnicodeEncodeError, pa.ArrowInvalid):
        raise SnapshotError(
            N_("{object} holds text that is no valid Unicode (lone surrogates); it cannot be kept to the last byte."),
            object=entry.name,
        ) from None


def _taken_again(
    connection: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    mapping: Mapping,
    intake: Intake,
    known: tuple[object, ...],
    reading: Reading | None,
) -> None:
    """The same records once more: only what was read beside them (rejects, mapping) is brought up to date."""
    if known[:3] != (snapshot.tenant, snapshot.system, snapshot.environment):
        raise SnapshotError(
            N_("The same records are already in this workspace, but from {tenant} ({system}, {environment})."),
            next_step=N_("Keep each tenant and environment in a workspace of its own."),
            tenant=known[0], system=known[1], environment=known[2],
        )  # fmt: skip
    digest = snapshot.digest
    number = one(connection, "SELECT take FROM snapshots WHERE digest = ?", [digest])[0]
    connection.execute("BEGIN")
    try:
        if known[3] != _encode(mapping):
            # Another mapping gives other scores and protections; evidence of the old one must not be mistaken for them.
            for table in ("runs", "evidence", "pairs", "clusters", "protections"):
                connection.execute(f"DELETE FROM {table} WHERE snapshot = ?", [digest])
            connection.execute("UPDATE snapshots SET mapping_json = ? WHERE digest = ?", [_encode(mapping), digest])
            for entry in mapping.objects.values():
                create_typed_view(connection, f"take_{number}", entry, snapshot.object(entry.name).columns)
        if reading is None or reading.deletions_known or not reading.sound:  # who did not look for deletions saw none: no news
            connection.execute(
                "UPDATE snapshots SET complete = ?, notes_json = ? WHERE digest = ?",
                [snapshot.complete, json.dumps(snapshot.notes), digest],
            )
        if reading is not None:
            readings.write(connection, digest, reading)
        for s in snapshot.objects:
            connection.execute(
                "UPDATE snapshot_objects SET rejects = ? WHERE snapshot = ? AND object = ?", [s.rejects, digest, s.name]
            )
        connection.execute("DELETE FROM rejects WHERE snapshot = ?", [digest])
        connection.execute("DELETE FROM snapshot_files WHERE snapshot = ?", [digest])
        _write_files_and_rejects(connection, digest, intake)
        connection.execute("COMMIT")
    except BaseException:
        _rollback(connection)
        raise


def _write_files_and_rejects(connection: duckdb.DuckDBPyConnection, digest: str, intake: Intake) -> None:
    for f in intake.files:
        connection.execute(
            "INSERT INTO snapshot_files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                digest,
                f.object,
                f.file,
                f.sha256,
                f.bytes,
                f.kind,
                f.encoding,
                f.delimiter,
                f.rows_in_file,
                f.rows_loaded,
                f.rejects,
            ],
        )
    if intake.rejects:
        columns = {
            name: pa.array([getattr(r, name) for r in intake.rejects])
            for name in ("object", "file", "line", "problem", "text", "raw")
        }
        connection.register("steward_rejects", pa.table(columns))
        try:
            connection.execute(
                f"INSERT INTO rejects SELECT {literal(digest)}, object, file, line, problem, text, raw FROM steward_rejects"
            )
        finally:
            connection.unregister("steward_rejects")


def _rollback(connection: duckdb.DuckDBPyConnection) -> None:
    with suppress(duckdb.TransactionException):  # the failed statement may have ended it
        connection.execute("ROLLBACK")
