"""When and how the records of each snapshot were read: what the next reading may go on from.

A snapshot is content and may be read several times; each reading has a line of its own. It says when its oldest page was
asked for, how the vendor's clock stood, by whose eyes, from which snapshot it went on, and what the vendor said of each object.

Left to others: going on (``onward``), the transaction (``intake``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import duckdb

from steward.errors import SnapshotError
from steward.messages import N_
from steward.records import Snapshot


@dataclass(frozen=True, slots=True)
class Way:
    """How one object of a snapshot came to be.

    Attributes
    ----------
    way : str
        As in :mod:`steward.crm.changes`.
    why : str
        Why it was read whole, where that was not the vendor's way; else empty.
    read, carried, gone : int
        Records read anew, taken over from the earlier snapshot, and found deleted.
    """

    way: str
    why: str = ""
    read: int = 0
    carried: int = 0
    gone: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a CRM.

    Attributes
    ----------
    began : datetime
        When the oldest page was asked for, by our clock; UTC.
    clock_seconds : float or None
        The vendor's clock minus ours.
    sight : str
        Digest of the profile that was read with.
    sound : bool
        Nothing that may be missing, but for deletions nobody looked for.
    deletions_known : bool
    origin : str or None
        Digest of the snapshot it went on from.
    marks : mapping of str to str
        Object → what the vendor said of it before it was read.
    ways : mapping of str to Way
        Object → how it was read; empty where all was read whole.
    """

    began: datetime
    clock_seconds: float | None = None
    sight: str = ""
    sound: bool = True
    deletions_known: bool = True
    origin: str | None = None
    marks: Mapping[str, str] = field(default_factory=dict)
    ways: Mapping[str, Way] = field(default_factory=dict)


def reading_of(source: Any, taken_at: datetime, *, sound: bool) -> Reading | None:
    """Return what a source tells of its reading; None for export files, which are always read whole."""
    reader = getattr(source, "reader", source)
    if not hasattr(reader, "scan"):
        return None
    oldest = getattr(reader, "began", None)
    began = taken_at if oldest is None else min(taken_at, datetime.fromtimestamp(oldest, UTC))
    wire = getattr(reader, "wire", None)
    return Reading(
        began.astimezone(UTC),
        getattr(wire, "clock_seconds", None),
        str(getattr(reader, "sight", "")),
        sound,
        bool(getattr(source, "deletions_known", True)),
        getattr(source, "origin", None),
        dict(getattr(reader, "marks", {})),
        dict(getattr(source, "ways", {})),
    )


def write(connection: duckdb.DuckDBPyConnection, digest: str, reading: Reading) -> None:
    """Add a reading of a snapshot."""
    ways = {name: asdict(way) for name, way in reading.ways.items()}
    connection.execute(
        "INSERT INTO readings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [digest, reading.began.replace(tzinfo=None), reading.clock_seconds, reading.sight, reading.sound, reading.deletions_known,
         reading.origin, json.dumps(dict(reading.marks)), json.dumps(ways)],
    )  # fmt: skip


def read(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, Reading]]:
    """Return every reading with its snapshot's digest, the latest last; none of a workspace that is older than they are."""
    if not connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'readings'").fetchall():
        return []
    rows = connection.execute(
        "SELECT snapshot, began, clock_seconds, sight, sound, deletions_known, origin, marks_json, ways_json FROM readings "
        "ORDER BY began, rowid"
    ).fetchall()
    return [
        (
            row[0],
            Reading(
                row[1].replace(tzinfo=UTC), row[2], row[3], row[4], row[5], row[6], json.loads(row[7]),
                {name: Way(**way) for name, way in json.loads(row[8]).items()},
            ),
        )
        for row in rows
    ]  # fmt: skip


def ground(
    readings: list[tuple[str, Reading]], snapshots: list[Snapshot], wanted: Snapshot | None, now: datetime
) -> tuple[Snapshot, Reading]:
    """Return the snapshot and the reading to go on from.

    Parameters
    ----------
    snapshots : list of Snapshot
        Those of the CRM that is to be read.
    wanted : Snapshot or None
        None takes the latest that may be gone on from.

    Raises
    ------
    SnapshotError
        There is none, or the wanted one may not be gone on from.
    """
    full = N_("Take a full snapshot: leave --since out.")
    by_digest = {s.digest: s for s in snapshots}
    chosen = [(by_digest[d], r) for d, r in readings if d in by_digest and (wanted is None or d == wanted.digest)]
    if not chosen:
        if wanted is not None and wanted.digest not in by_digest:
            raise SnapshotError(
                N_("Snapshot {digest} is of another CRM ({tenant}, {environment})."), next_step=full,
                digest=wanted.digest[:12], tenant=wanted.tenant, environment=wanted.environment,
            )  # fmt: skip
        raise SnapshotError(N_("There is no earlier snapshot of this CRM to go on from."), next_step=full)
    sound = [(s, r) for s, r in chosen if r.sound]
    if not sound:
        raise SnapshotError(
            N_("Snapshot {digest} may be partial; what it lacks would be lacking for ever."),
            next_step=N_("Resolve what it warns of, then take a full snapshot: leave --since out."),
            digest=chosen[-1][0].digest[:12],
        )  # fmt: skip
    snapshot, reading = sound[-1]
    if reading.began > now:
        raise SnapshotError(
            N_("Snapshot {digest} was taken at {time}, which is yet to come: a clock is wrong."), next_step=full,
            digest=snapshot.digest[:12], time=reading.began.isoformat(timespec="seconds"),
        )  # fmt: skip
    return snapshot, reading
