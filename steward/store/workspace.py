"""The workspace folder: snapshots that never change, and the evidence found in them.

::

    <workspace>/
      snapshots.duckdb     snapshots and evidence; one program writes, or many read
      decisions.sqlite     the decision log (``decision_log``)
      raw/<sha256>/<name>  every file that was taken in, byte for byte
      tmp/                 what does not fit into memory while something is computed

Left to others: how a source is read (``intake``, ``source``), what is computed (``steward.scoring``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import pyarrow as pa

from steward.crm.base import CrmReader
from steward.crm.mapping import Mapping as CrmMapping
from steward.errors import SnapshotError, UsageError
from steward.evidence import Cluster, ComparisonVector, Evidence
from steward.messages import N_
from steward.records import ObjectStats, RecordKey, Snapshot
from steward.store import findings, intake, readings, schema
from steward.store.compare import difference
from steward.store.impact import read_impact
from steward.store.model import Difference, Impact, Reject
from steward.store.readings import Reading
from steward.store.sql import one, quote
from steward.store.typed import view_name

if TYPE_CHECKING:
    import duckdb
    import polars as pl

    from steward.policy import Protection
    from steward.store.source import FileSource

    Frame: TypeAlias = pl.DataFrame | pa.Table


def _nothing(_: int) -> None:
    """Progress that nobody watches."""


class Workspace:
    """An open workspace. Made by :meth:`open`; use as a context manager.

    Attributes
    ----------
    path : Path
    read_only : bool
    connection : duckdb.DuckDBPyConnection
        For SELECT statements of scoring and review; it can reach no file outside the workspace and no network.
    """

    def __init__(self, path: Path, connection: duckdb.DuckDBPyConnection, *, read_only: bool) -> None:
        self.path = path
        self._takes: dict[str, str] = {}
        self._mappings: dict[str, CrmMapping] = {}
        self.connection = connection
        self.read_only = read_only

    @classmethod
    def open(cls, path: str | Path, *, create: bool = False, read_only: bool = False) -> Workspace:
        """Open a workspace folder.

        Parameters
        ----------
        create : bool
            Make it where there is none.
        read_only : bool
            Several programs can then look at once.

        Raises
        ------
        UsageError
            There is no workspace.
        SnapshotError, IntegrityError
            See :func:`steward.store.schema.connect`.
        """
        folder = Path(path).resolve()
        if not (folder / "snapshots.duckdb").exists():
            if not create or read_only:
                raise UsageError(
                    N_("There is no workspace at {folder}."),
                    next_step=N_("Take a snapshot first: steward snapshot people.csv --id ID --workspace {folder}"),
                    folder=str(path),
                )
            folder.mkdir(parents=True, exist_ok=True)
        if not read_only:
            (folder / "raw").mkdir(exist_ok=True)
        return cls(folder, schema.connect(folder, read_only=read_only), read_only=read_only)

    def close(self) -> None:
        """Close the database; safe to call twice."""
        self.connection.close()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------ snapshots

    def take_snapshot(
        self, source: CrmReader | FileSource, *, taken_at: datetime, progress: Callable[[int], None] | None = None
    ) -> Snapshot:
        """Copy a CRM or export files into the workspace.

        Parameters
        ----------
        taken_at : datetime
            Aware. The ``as_of`` of every score.
        progress : callable, optional
            Told how many records more were read.

        Returns
        -------
        Snapshot
            Named by its content digest. The same records once more give the snapshot that is there, with its time.
            If its mapping differs, the new mapping counts and its evidence is dropped; rejects follow the last reading.

        Raises
        ------
        SnapshotError
            And its subclasses: the source cannot be taken in; then the workspace is as it was.
        """
        digest = intake.take(self.connection, self.path, source, taken_at, progress or _nothing)
        return self.snapshot(digest)

    def next_snapshot(
        self,
        reader: CrmReader,
        *,
        taken_at: datetime,
        since: Snapshot | None = None,
        deletions_matter: bool = True,
        progress: Callable[[int], None] | None = None,
    ) -> Snapshot:
        """Make a snapshot from an earlier one and what changed since; it equals one that is read whole.

        Parameters
        ----------
        taken_at : datetime
            Aware; when this reading begins.
        since : Snapshot, optional
            By default the latest of this CRM that may be gone on from.
        deletions_matter : bool
            False does without knowing of deletions where a whole read alone would tell. Such a snapshot is not complete.

        Returns
        -------
        Snapshot
            Where nothing changed, the one that is there. :meth:`readings` says from which it was made, and how.

        Raises
        ------
        SnapshotError
            There is none to go on from, or it is too old for what the vendor remembers. The workspace is as it was.
        """
        from steward.store.onward import Onward

        of = (reader.system, reader.tenant, reader.environment)
        mine = [s for s in self.snapshots() if (s.system, s.tenant, s.environment) == of]
        earlier, reading = readings.ground(readings.read(self.connection), mine, since, taken_at)
        source = Onward(
            self.connection, self._schema(earlier), reader, earlier, reading, self.mapping(earlier),
            deletions_matter=deletions_matter,
        )  # fmt: skip
        return self.snapshot(intake.take(self.connection, self.path, source, taken_at, progress or _nothing))

    def readings(self, snapshot: Snapshot) -> list[Reading]:
        """Return every reading that found this snapshot, the latest last; none for export files."""
        return [found for digest, found in readings.read(self.connection) if digest == snapshot.digest]

    def snapshots(self) -> list[Snapshot]:
        """Return all snapshots, the newest last."""
        objects: dict[str, list[ObjectStats]] = {}
        for digest, name, rows, content, rejects, columns in self.connection.execute(
            "SELECT snapshot, object, rows, digest, rejects, columns_json FROM snapshot_objects ORDER BY object"
        ).fetchall():
            objects.setdefault(digest, []).append(ObjectStats(name, rows, content, rejects, tuple(json.loads(columns))))
        found = self.connection.execute(
            "SELECT digest, taken_at, system, tenant, environment, connector_version, complete, notes_json FROM snapshots ORDER BY take"
        ).fetchall()
        return [
            Snapshot(
                r[0],
                r[1].replace(tzinfo=UTC),
                r[2],
                r[3],
                r[4],
                r[5],
                tuple(objects.get(r[0], ())),
                r[6],
                tuple(json.loads(r[7])),
            )
            for r in found
        ]

    def snapshot(self, name: str | None = None) -> Snapshot:
        """Return one snapshot.

        Parameters
        ----------
        name : str or None
            The beginning of its digest, at least four characters; None is the latest.

        Raises
        ------
        UsageError
            There is none, or several begin so.
        """
        every = self.snapshots()
        if not every:
            raise UsageError(
                N_("The workspace {folder} holds no snapshot yet."),
                next_step=N_("Take one with: steward snapshot"),
                folder=self.path.name,
            )
        if name is None:
            return every[-1]
        found = [s for s in every if len(name) >= 4 and s.digest.startswith(name.lower())]
        if len(found) != 1:
            raise UsageError(
                N_("{count} snapshots begin with {name}. There are: {known}."),
                count=len(found), name=name, known=", ".join(s.digest[:12] for s in every),
            )  # fmt: skip
        return found[0]

    def _schema(self, snapshot: Snapshot) -> str:
        known = self._takes.get(snapshot.digest)  # a snapshot never moves; a panel asks a dozen times for each case
        if known is not None:
            return known
        row = one(self.connection, "SELECT take FROM snapshots WHERE digest = ?", [snapshot.digest])
        if row is None:
            raise SnapshotError(N_("Snapshot {digest} is not in this workspace."), digest=snapshot.digest[:12])
        return self._takes.setdefault(snapshot.digest, f"take_{row[0]}")

    def mapping(self, snapshot: Snapshot) -> CrmMapping:
        """Return the mapping that is stored with a snapshot."""
        known = self._mappings.get(snapshot.digest)
        if known is not None:
            return known
        row = one(self.connection, "SELECT mapping_json FROM snapshots WHERE digest = ?", [snapshot.digest])
        if row is None:
            raise SnapshotError(N_("Snapshot {digest} is not in this workspace."), digest=snapshot.digest[:12])
        return self._mappings.setdefault(snapshot.digest, msgspec.json.decode(row[0], type=CrmMapping))

    def _has(self, snapshot: Snapshot, object: str) -> ObjectStats:
        try:
            return snapshot.object(object)
        except KeyError:
            raise UsageError(
                N_("The snapshot has no object {object}; it has: {known}."),
                object=object,
                known=", ".join(o.name for o in snapshot.objects),
            ) from None

    def table(self, snapshot: Snapshot, object: str) -> str:
        """Return the quoted, qualified table: ``_id, _digest, _version, _deleted, _file, _line`` and every field as text."""
        self._has(snapshot, object)
        return f"{quote(self._schema(snapshot))}.{quote(object)}"

    def typed(self, snapshot: Snapshot, object: str) -> str:
        """Return the view that adds ``<column>__date`` TIMESTAMP (UTC) for date columns; the text stays beside it."""
        self._has(snapshot, object)
        return view_name(self._schema(snapshot), object)

    def columns(self, snapshot: Snapshot, object: str) -> list[str]:
        """Return the object's own columns, in the order of the source."""
        return list(self._has(snapshot, object).columns)

    def records(self, snapshot: Snapshot, object: str, ids: Iterable[str]) -> dict[str, dict[str, str | None]]:
        """Return records by id, every field as text; an id that is not there is left out."""
        columns = self.columns(snapshot, object)
        table = self.table(snapshot, object)
        cursor = self.connection.cursor()
        try:
            cursor.register("steward_wanted", pa.table({"_id": pa.array(sorted(set(ids)), pa.string())}))
            rows = cursor.execute(
                f"SELECT t._id, {', '.join('t.' + quote(c) for c in columns)} FROM {table} t SEMI JOIN steward_wanted USING (_id)"
            ).fetchall()
        finally:
            cursor.close()
        return {row[0]: dict(zip(columns, row[1:], strict=True)) for row in rows}

    def record_digests(self, snapshot: Snapshot, object: str, ids: Iterable[str]) -> dict[str, tuple[str, str | None, bool]]:
        """Return digest, version and deletion mark by id; an id that is not there is left out."""
        table = self.table(snapshot, object)
        cursor = self.connection.cursor()
        try:
            cursor.register("steward_wanted", pa.table({"_id": pa.array(sorted(set(ids)), pa.string())}))
            rows = cursor.execute(
                f"SELECT t._id, t._digest, t._version, t._deleted FROM {table} t SEMI JOIN steward_wanted USING (_id)"
            ).fetchall()
        finally:
            cursor.close()
        return {row[0]: (row[1], row[2], row[3]) for row in rows}

    def rejects(self, snapshot: Snapshot) -> list[Reject]:
        """Return what could not be taken in, by object, file and line."""
        rows = self.connection.execute(
            "SELECT object, file, line, problem, text, raw FROM rejects WHERE snapshot = ? ORDER BY object, file, line",
            [snapshot.digest],
        ).fetchall()
        return [Reject(*row) for row in rows]

    def files(self, snapshot: Snapshot) -> list[intake.FileEntry]:
        """Return the files a snapshot was read from, with how they were read and how many rows they hold."""
        rows = self.connection.execute(
            "SELECT object, file, sha256, bytes, kind, encoding, delimiter, rows_in_file, rows_loaded, rejects FROM snapshot_files "
            "WHERE snapshot = ? ORDER BY object, file",
            [snapshot.digest],
        ).fetchall()
        return [intake.FileEntry(*row) for row in rows]

    def compare(self, before: Snapshot, after: Snapshot) -> dict[str, Difference]:
        """Return per object which ids came, changed and went."""
        old, new = ({o.name: o for o in s.objects} for s in (before, after))
        return {
            name: Difference()
            if name in old and name in new and old[name].digest == new[name].digest and self._same_marks(before, after, name)
            else difference(
                self.connection,
                self.table(before, name) if name in old else None,
                self.table(after, name) if name in new else None,
            )
            for name in sorted(old.keys() | new.keys())
        }

    def _same_marks(self, before: Snapshot, after: Snapshot, object: str) -> bool:
        """Whether as many records carry the deletion mark; where a field tells it, the digest has told already."""
        counts = [one(self.connection, f"SELECT count(*) FROM {self.table(s, object)} WHERE _deleted") for s in (before, after)]
        return all(count == (0,) for count in counts)

    # ------------------------------------------------------------------ evidence

    def replace_evidence(
        self,
        snapshot: Snapshot,
        kind: str,
        object: str,
        *,
        evidence: Frame | Sequence[Evidence],
        pairs: Frame | None = None,
        clusters: Frame | None = None,
        survivors: Frame | None = None,
        protections: Frame | None = None,
        definition_digest: str,
        summary: Mapping[str, object],
        complete: bool = True,
    ) -> None:
        """Replace what one scoring said about one object, in one transaction.

        Parameters
        ----------
        evidence, pairs, clusters, survivors, protections : pl.DataFrame or pa.Table
            Columns as in :mod:`steward.store.schema` without ``snapshot``, ``kind`` and ``object``. Evidence may also be
            a list of :class:`Evidence`, whose digests are computed here.
        complete : bool
            False where a rule failed to run; such a run must not feed a manifest.
        """
        self._has(snapshot, object)
        first: Any = findings.evidence_table(evidence) if isinstance(evidence, list | tuple) else evidence
        frames = {"evidence": first, "pairs": pairs, "clusters": clusters, "survivors": survivors, "protections": protections}
        findings.replace(
            self.connection, snapshot.digest, kind, object, frames,
            definition_digest=definition_digest, summary=summary, complete=complete,
        )  # fmt: skip

    def runs(self, snapshot: Snapshot) -> list[dict[str, Any]]:
        """Return the scorings of a snapshot: kind, object, definition_digest, summary, complete."""
        rows = self.connection.execute(
            "SELECT kind, object, definition_digest, summary_json, complete FROM runs WHERE snapshot = ? ORDER BY ALL",
            [snapshot.digest],
        ).fetchall()
        return [
            {"kind": k, "object": o, "definition_digest": d, "summary": json.loads(s), "complete": c} for k, o, d, s, c in rows
        ]

    def evidence(
        self, snapshot: Snapshot, *, kind: str | None = None, object: str | None = None, keys: Iterable[RecordKey] | None = None
    ) -> list[Evidence]:
        """Return evidence, sorted by kind, object, record and rule."""
        return findings.read_evidence(self.connection, snapshot.digest, kind, object, keys)

    def clusters(self, snapshot: Snapshot, object: str) -> list[Cluster]:
        """Return the clusters of an object with their links, sorted by id."""
        return findings.read_clusters(self.connection, snapshot.digest, object)

    def survivors(self, snapshot: Snapshot, object: str) -> dict[str, findings.SurvivorProposal]:
        """Return the proposed survivor of each cluster by cluster id, with its reason and the values it would take over."""
        return findings.read_survivors(self.connection, snapshot.digest, object)

    def pairs_of(self, snapshot: Snapshot, object: str, cluster_id: str) -> list[ComparisonVector]:
        """Return the compared pairs inside one cluster, strongest first."""
        return findings.read_pairs(self.connection, snapshot.digest, object, cluster_id)

    def protections(self, snapshot: Snapshot, keys: Iterable[RecordKey] | None = None) -> dict[RecordKey, list[Protection]]:
        """Return protections by record; whether protections were computed at all is told by :meth:`runs`."""
        return findings.read_protections(self.connection, snapshot.digest, keys)

    def impact(self, snapshot: Snapshot, keys: Iterable[RecordKey]) -> dict[RecordKey, Impact]:
        """Return what hangs on each record, per child object and column."""
        wanted = list(keys)
        for name in {k.object for k in wanted}:
            self._has(snapshot, name)
        return read_impact(self.connection, self.mapping(snapshot), self._schema(snapshot), wanted)
