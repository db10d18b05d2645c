"""The journal: what is meant, what was done, what is not known yet. One SQLite file, WAL, ``synchronous=FULL``.

It is also the replay ledger (a manifest's id stays for ever), the audit log's table and the outbox, so that an outcome
and the event that tells of it are one commit. Ids, digests and states only: never a value of a record.

The connection is given from outside and spoken to in the common words of ``sqlite3`` and ``apsw``, so that the power-cut
harness runs this very code over a disk that loses unsynced bytes. Left to others: order of steps (``engine``), events'
content and signatures (``audit``).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from steward.errors import AlreadyAppliedError, JournalCorruptError
from steward.executor.backup import FrameRef
from steward.executor.ports import OPEN, State, Work
from steward.manifest.format import RelatedSet, Survivor
from steward.messages import N_

FORMAT = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS manifest(
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, digest TEXT NOT NULL, state TEXT NOT NULL, first_seen TEXT NOT NULL,
  started TEXT, finished TEXT, records INTEGER NOT NULL DEFAULT 0, segments INTEGER NOT NULL DEFAULT 0,
  retain_days INTEGER NOT NULL DEFAULT 90, expired TEXT, receipt TEXT, of TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS item(
  manifest TEXT NOT NULL, seq INTEGER NOT NULL, object TEXT NOT NULL, id TEXT NOT NULL, action TEXT NOT NULL, target TEXT,
  version TEXT, preimage TEXT NOT NULL, more BLOB, unit TEXT, state TEXT NOT NULL, code TEXT, attempts INTEGER NOT NULL DEFAULT 0,
  frame INTEGER, by TEXT, at TEXT, of_seq INTEGER, did TEXT, PRIMARY KEY(manifest, seq)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS item_open ON item(manifest, seq) WHERE state IN ('pending', 'intent', 'doubt');
CREATE INDEX IF NOT EXISTS item_unit ON item(manifest, unit) WHERE unit IS NOT NULL;
CREATE INDEX IF NOT EXISTS item_record ON item(object, id);
CREATE TABLE IF NOT EXISTS frame(
  manifest TEXT NOT NULL, n INTEGER NOT NULL, segment TEXT NOT NULL, idx INTEGER NOT NULL, offset INTEGER NOT NULL,
  length INTEGER NOT NULL, sha256 TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY(manifest, n)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS datakey(key TEXT PRIMARY KEY, manifest TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS datakey_manifest ON datakey(manifest);
CREATE TABLE IF NOT EXISTS event(n INTEGER PRIMARY KEY, body TEXT NOT NULL, hash TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS checkpoint(n INTEGER PRIMARY KEY, envelope TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS idmap(
  manifest TEXT NOT NULL, seq INTEGER NOT NULL, object TEXT NOT NULL, old TEXT NOT NULL, new TEXT NOT NULL, at TEXT NOT NULL,
  PRIMARY KEY(manifest, seq)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS idmap_old ON idmap(object, old);
CREATE TABLE IF NOT EXISTS outbox(
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL, at TEXT NOT NULL, sent TEXT, attempts INTEGER NOT NULL DEFAULT 0);
"""

_OPEN = "state IN ('pending', 'intent', 'doubt')"
_COLUMNS = "seq, object, id, action, target, version, preimage, more, unit, state, attempts, frame, of_seq"


class _More(msgspec.Struct, array_like=True):
    survivor: Survivor | None
    choices: dict[str, str]
    related: tuple[RelatedSet, ...]


_ENCODE = msgspec.json.Encoder()
_DECODE = msgspec.json.Decoder(_More)


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open the journal's file with the settings durability rests on.

    Raises
    ------
    JournalCorruptError
        Not a database, or the settings could not be had.
    """
    try:
        if read_only:
            db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None, timeout=30)
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return db
        db = sqlite3.connect(path, isolation_level=None, timeout=30)
        path.chmod(0o600)
        prepare(db)
    except sqlite3.DatabaseError as error:
        raise _corrupt(path.name) from error
    return db


def _corrupt(what: str) -> JournalCorruptError:
    return JournalCorruptError(
        N_("The journal {what} cannot be used."),
        next_step=N_("Do not delete it: keep a copy and look at docs/how-to/run-the-executor.md."),
        what=what,
    )


def prepare(db: Any, *, synchronous: str = "FULL") -> None:
    """Set WAL and ``synchronous`` and make the tables.

    Parameters
    ----------
    synchronous : str
        ``FULL``. Anything else is for the sabotage tests, which show why.
    """
    mode = db.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    db.execute(f"PRAGMA synchronous={synchronous}")
    db.execute("PRAGMA wal_autocheckpoint=1000")
    if str(mode).lower() != "wal":
        raise _corrupt("(no WAL)")
    with transaction(db):
        for statement in _SCHEMA.split(";\n"):
            if statement.strip():
                db.execute(statement)
        found = db.execute("SELECT value FROM meta WHERE name='format'").fetchone()
        if found is None:
            db.execute("INSERT INTO meta VALUES ('format', ?)", (str(FORMAT),))
        elif found[0] != str(FORMAT):
            raise JournalCorruptError(
                N_("The journal has format {found}; this version knows {known}."), found=found[0], known=FORMAT
            )


@contextmanager
def transaction(db: Any) -> Iterator[None]:
    """One commit, durable when the block is left."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        # Errors of the disk end the transaction themselves; a second rollback would hide the first error.
        if getattr(db, "in_transaction", True):
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


class Journal:
    """All reads and commits of the journal."""

    def __init__(self, db: Any) -> None:
        self.db = db

    @contextmanager
    def commit(self) -> Iterator[None]:
        """One durable commit; the methods that write are called inside."""
        with transaction(self.db):
            yield

    # meta -------------------------------------------------------------------------------------------------------

    def get(self, name: str) -> str | None:
        """Return a remembered word."""
        row = self.db.execute("SELECT value FROM meta WHERE name=?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def put(self, name: str, value: str) -> None:
        """Remember a word."""
        self.db.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT(name) DO UPDATE SET value=excluded.value", (name, value))

    def forget(self, name: str) -> None:
        """Remember it no more; the caller holds the commit."""
        self.db.execute("DELETE FROM meta WHERE name=?", (name,))

    # manifests --------------------------------------------------------------------------------------------------

    def manifest(self, id: str) -> dict[str, Any] | None:
        """Return what is known of a manifest."""
        names = (
            "id",
            "kind",
            "digest",
            "state",
            "first_seen",
            "started",
            "finished",
            "records",
            "segments",
            "retain_days",
            "expired",
            "receipt",
            "of",
        )
        row = self.db.execute(f"SELECT {', '.join(names)} FROM manifest WHERE id=?", (id,)).fetchone()  # noqa: S608  names of ours
        return None if row is None else dict(zip(names, row, strict=True))

    def manifests(self) -> list[dict[str, Any]]:
        """Return all manifests ever seen, oldest first."""
        ids = [row[0] for row in self.db.execute("SELECT id FROM manifest ORDER BY first_seen, id").fetchall()]
        return [m for i in ids if (m := self.manifest(i)) is not None]

    def receive(
        self, id: str, digest: str, works: Iterable[Work], *, kind: str, at: str, retain_days: int, of: str | None = None
    ) -> bool:
        """Enter a manifest and all its items in one commit; True where it is new.

        Raises
        ------
        AlreadyAppliedError
            Finished before, or another manifest under the same id.
        """
        known = self.manifest(id)
        if known is not None:
            if known["digest"] != digest:
                raise AlreadyAppliedError(N_("Another manifest with the id {manifest} was here before."), manifest=id)
            if known["state"] != "running":
                raise AlreadyAppliedError(
                    N_("The manifest {manifest} has run: it is {state}."),
                    next_step=N_("A manifest runs once; propose anew."),
                    manifest=id,
                    state=known["state"],
                )
            return False
        with self.commit():
            self.db.execute(
                "INSERT INTO manifest(id, kind, digest, state, first_seen, started, retain_days, of) VALUES (?,?,?,'running',?,?,?,?)",
                (id, kind, digest, at, at, retain_days, of),
            )
            count = 0

            def rows() -> Iterator[tuple[Any, ...]]:
                nonlocal count
                for w in works:
                    count += 1
                    more = None
                    if w.survivor is not None or w.choices or w.related:
                        more = _ENCODE.encode(_More(w.survivor, dict(w.choices), w.related))
                    yield (
                        id,
                        w.seq,
                        w.object,
                        w.id,
                        w.action,
                        w.target,
                        w.version,
                        w.preimage,
                        more,
                        w.unit or None,
                        w.state.value,
                        w.of_seq,
                    )

            self.db.executemany(
                "INSERT INTO item(manifest, seq, object, id, action, target, version, preimage, more, unit, state, of_seq) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                rows(),
            )
            self.db.execute("UPDATE manifest SET records=? WHERE id=?", (count, id))
        return True

    def end(self, id: str, state: str, at: str, receipt: str | None) -> None:
        """Close a manifest for ever."""
        self.db.execute("UPDATE manifest SET state=?, finished=?, receipt=? WHERE id=?", (state, at, receipt, id))

    def expire(self, ids: Sequence[str], at: str) -> None:
        """Say that these manifests' backups are to be opened no more; the caller holds the commit."""
        self.db.executemany("UPDATE manifest SET expired=? WHERE id=?", [(at, id) for id in ids])

    def next_segment(self, id: str) -> int:
        """Return the number of a segment of its own for this run; counts up in a commit of its own."""
        with self.commit():
            self.db.execute("UPDATE manifest SET segments=segments+1 WHERE id=?", (id,))
        return int(self.db.execute("SELECT segments FROM manifest WHERE id=?", (id,)).fetchone()[0])

    # items ------------------------------------------------------------------------------------------------------

    def works(self, manifest: str, states: Sequence[State], limit: int = -1) -> list[Work]:
        """Return items in these states by seq; with a limit, completed to whole units."""
        marks = ",".join("?" * len(states))
        values = [s.value for s in states]
        # The partial index is named: left to itself SQLite walks the primary key, past every finished item.
        only_open = set(states) <= set(OPEN)
        inside = f"{_OPEN} AND " if only_open else ""
        index = "INDEXED BY item_open" if only_open else ""
        sql = f"SELECT {_COLUMNS} FROM item {index} WHERE manifest=? AND {inside}state IN ({marks}) ORDER BY seq LIMIT ?"  # noqa: S608  marks only
        found = [_work(row) for row in self.db.execute(sql, (manifest, *values, limit)).fetchall()]
        if limit >= 0 and (units := {w.unit for w in found if w.unit}):
            have = {w.seq for w in found}
            for unit in sorted(units):
                sql = f"SELECT {_COLUMNS} FROM item WHERE manifest=? AND unit=? AND state IN ({marks})"  # noqa: S608  marks only
                found += [_work(r) for r in self.db.execute(sql, (manifest, unit, *values)).fetchall() if r[0] not in have]
            found.sort(key=lambda w: w.seq)
        return found

    def item(self, manifest: str, seq: int) -> Work | None:
        """Return one item."""
        row = self.db.execute(f"SELECT {_COLUMNS} FROM item WHERE manifest=? AND seq=?", (manifest, seq)).fetchone()  # noqa: S608
        return None if row is None else _work(row)

    def outcomes(self, manifest: str) -> Iterator[tuple[Any, ...]]:
        """Yield ``(seq, object, id, action, target, state, code, by, at, frame, version, preimage, did, of_seq)`` by seq."""
        yield from self.db.execute(
            "SELECT seq, object, id, action, target, state, code, by, at, frame, version, preimage, did, of_seq FROM item WHERE manifest=? ORDER BY seq",
            (manifest,),
        )

    def find(self, object: str, id: str) -> list[tuple[str, int, str]]:
        """Return ``(manifest, seq, state)`` of every item that was this record."""
        return [
            tuple(r)
            for r in self.db.execute("SELECT manifest, seq, state FROM item WHERE object=? AND id=?", (object, id)).fetchall()
        ]

    def partly(self, manifest: str) -> list[tuple[int, str, str, str | None, int | None]]:
        """Return ``(seq, object, id, did, of_seq)`` of the items that were changed in part."""
        sql = "SELECT seq, object, id, did, of_seq FROM item WHERE manifest=? AND state='partly' ORDER BY seq"
        return [tuple(r) for r in self.db.execute(sql, (manifest,)).fetchall()]

    def made_in_part(self, manifest: str, seq: int) -> list[str] | None:
        """Return which steps of an item were made that was done in part; None where it is in another state."""
        sql = "SELECT did FROM item WHERE manifest=? AND seq=? AND state='partly'"
        row = self.db.execute(sql, (manifest, seq)).fetchone()
        return None if row is None else list(json.loads(row[0] or "{}").get("made", ()))

    def brought_back(self, manifest: str, *, since: str | None = None) -> set[int]:
        """Return the numbers of a deletion's items that a restore has ended with, brought back or as a conflict.

        Parameters
        ----------
        since : str or None
            Only restores that were begun after this one.
        """
        sql = (
            "SELECT i.of_seq FROM manifest m JOIN item i ON i.manifest=m.id WHERE m.of=? AND i.state IN ('done', 'done_inferred', 'conflict') "
            "AND m.first_seen > coalesce((SELECT first_seen FROM manifest WHERE id=?), '')"
        )
        return {row[0] for row in self.db.execute(sql, (manifest, since)).fetchall()}

    def is_open(self, manifest: str, object: str, id: str) -> bool:
        """True where a record is an item of the manifest whose outcome is still open."""
        row = self.db.execute(
            "SELECT 1 FROM item WHERE object=? AND id=? AND manifest=? AND state IN ('pending', 'intent', 'doubt')",
            (object, id, manifest),
        ).fetchone()
        return row is not None

    def counts(self, manifest: str) -> dict[str, int]:
        """Return items by state."""
        return dict(self.db.execute("SELECT state, count(*) FROM item WHERE manifest=? GROUP BY state", (manifest,)).fetchall())

    def intend(self, manifest: str, works: Sequence[Work], frame: FrameRef, did: Mapping[int, str]) -> None:
        """Say which items will be sent now, where their backup is, and which fields and links they change (names only)."""
        n = self.db.execute("SELECT coalesce(max(n), -1) + 1 FROM frame WHERE manifest=?", (manifest,)).fetchone()[0]
        self.db.execute(
            "INSERT INTO frame VALUES (?,?,?,?,?,?,?,?)",
            (manifest, n, frame.segment, frame.index, frame.offset, frame.length, frame.sha256, frame.key),
        )
        self.db.executemany(
            "UPDATE item SET state='intent', attempts=attempts+1, frame=?, did=? WHERE manifest=? AND seq=?",
            [(n, did.get(w.seq), manifest, w.seq) for w in works],
        )

    def resolve(self, manifest: str, rows: Sequence[tuple[int, State, str, str | None]], at: str) -> None:
        """Set states: ``(seq, state, code, by)``."""
        self.db.executemany(
            "UPDATE item SET state=?, code=?, by=?, at=? WHERE manifest=? AND seq=?",
            [(state.value, code or None, by, at, manifest, seq) for seq, state, code, by in rows],
        )

    def did(self, manifest: str, did: Mapping[int, str]) -> None:
        """Say anew what became of items (names only); the caller holds the commit."""
        self.db.executemany("UPDATE item SET did=? WHERE manifest=? AND seq=?", [(d, manifest, n) for n, d in did.items()])

    def became(self, manifest: str, new_ids: Mapping[int, str], at: str) -> None:
        """Note the new ids of items that were re-created, the last one where that was done again; the caller holds the commit."""
        self.db.executemany(
            "INSERT INTO idmap SELECT manifest, seq, object, id, ?, ? FROM item WHERE manifest=? AND seq=? "
            "ON CONFLICT(manifest, seq) DO UPDATE SET new=excluded.new, at=excluded.at",
            [(new, at, manifest, seq) for seq, new in new_ids.items()],
        )

    def new_id(self, object: str, id: str) -> str | None:
        """Return the id a record has now where it was re-created under another; None where it was not."""
        found: str | None = None
        seen = {id}
        while True:
            row = self.db.execute(
                "SELECT new FROM idmap WHERE object=? AND old=? ORDER BY at DESC LIMIT 1", (object, id)
            ).fetchone()
            if row is None or row[0] in seen:
                return found
            id = found = str(row[0])
            seen.add(id)

    def id_map(self, manifest: str) -> Iterator[tuple[str, str, str, str, str]]:
        """Yield ``(object, old, new, why, at)`` of a manifest: losers of merges that were done, records re-created."""
        yield from self.db.execute(
            "SELECT object, id, target, 'merged', at FROM item WHERE manifest=? AND action='merge_into' "
            "AND state IN ('done', 'done_inferred') ORDER BY seq",
            (manifest,),
        )
        yield from self.db.execute(
            "SELECT object, old, new, 'recreated', at FROM idmap WHERE manifest=? ORDER BY seq", (manifest,)
        )
        yield from self.db.execute(
            "SELECT object, id, id, 'unmerged', at FROM item WHERE manifest=? AND action='restore' AND unit IS NOT NULL "
            "AND state IN ('done', 'done_inferred') ORDER BY seq",
            (manifest,),
        )

    def doubt_intents(self, manifest: str) -> int:
        """After a crash: everything that was meant may have happened."""
        with self.commit():
            sql = f"UPDATE item INDEXED BY item_open SET state='doubt' WHERE manifest=? AND {_OPEN} AND state='intent'"  # noqa: S608  words of ours
            self.db.execute(sql, (manifest,))
        return len(self.works(manifest, (State.DOUBT,)))

    # frames -------------------------------------------------------------------------------------------

    def note_key(self, manifest: str, key: str) -> None:
        """Name a data key in a commit of its own, before it is written: no key is there that nobody knows of."""
        with self.commit():
            self.db.execute("INSERT INTO datakey VALUES (?,?)", (key, manifest))

    def keys_of(self, manifest: str) -> set[str]:
        """Return every data key that a manifest's backups were ever written under, also of frames that a crash left over."""
        sql = "SELECT key FROM datakey WHERE manifest=? UNION SELECT key FROM frame WHERE manifest=?"
        return {str(row[0]) for row in self.db.execute(sql, (manifest, manifest)).fetchall()}

    def frames(self, manifest: str) -> dict[int, FrameRef]:
        """Return all frames of a manifest by number."""
        rows = self.db.execute(
            "SELECT n, segment, idx, offset, length, sha256, key FROM frame WHERE manifest=? ORDER BY n", (manifest,)
        ).fetchall()
        return {r[0]: FrameRef(*r[1:]) for r in rows}

    def find_frame(self, manifest: str, n: int) -> FrameRef | None:
        """Return one frame; None where everything in it was erased."""
        row = self.db.execute(
            "SELECT segment, idx, offset, length, sha256, key FROM frame WHERE manifest=? AND n=?", (manifest, n)
        ).fetchone()
        return None if row is None else FrameRef(*row)

    def replace_frames(self, manifest: str, frames: Mapping[int, FrameRef | None]) -> None:
        """Point frames elsewhere, or drop them (None); the caller holds the commit."""
        for n, ref in frames.items():
            self.db.execute("DELETE FROM frame WHERE manifest=? AND n=?", (manifest, n))
            if ref is not None:
                row = (manifest, n, ref.segment, ref.index, ref.offset, ref.length, ref.sha256, ref.key)
                self.db.execute("INSERT INTO frame VALUES (?,?,?,?,?,?,?,?)", row)

    def segment_ends(self, manifest: str) -> dict[str, int]:
        """Return how far each segment is known to be good."""
        return dict(
            self.db.execute(
                "SELECT segment, max(offset + length) FROM frame WHERE manifest=? GROUP BY segment", (manifest,)
            ).fetchall()
        )

    # events -----------------------------------------------------------------------------------------------------

    def add_event(self, n: int, body: str, hash: str) -> None:
        """Append one event of the audit log."""
        self.db.execute("INSERT INTO event VALUES (?,?,?)", (n, body, hash))

    def events(self, start: int = 0) -> Iterator[tuple[int, str, str]]:
        """Yield ``(n, body, hash)`` from ``start`` on, read in parts so that nothing stays open in between."""
        while True:
            part = self.db.execute("SELECT n, body, hash FROM event WHERE n>=? ORDER BY n LIMIT 1000", (start,)).fetchall()
            yield from part
            if len(part) < 1000:
                return
            start = part[-1][0] + 1

    def add_checkpoint(self, n: int, envelope: str) -> None:
        """Keep a signed checkpoint over the first ``n`` events."""
        self.db.execute("INSERT OR REPLACE INTO checkpoint VALUES (?,?)", (n, envelope))

    def checkpoints(self) -> list[tuple[int, str]]:
        """Return all checkpoints."""
        return [tuple(r) for r in self.db.execute("SELECT n, envelope FROM checkpoint ORDER BY n").fetchall()]

    def checkpoints_after(self, n: int, limit: int) -> list[tuple[int, str]]:
        """Return the checkpoints over more than ``n`` events, the first ``limit`` of them."""
        sql = "SELECT n, envelope FROM checkpoint WHERE n>? ORDER BY n LIMIT ?"
        return [tuple(r) for r in self.db.execute(sql, (n, limit)).fetchall()]

    def count_checkpoints_after(self, n: int) -> int:
        """Return how many checkpoints cover more than ``n`` events."""
        return int(self.db.execute("SELECT count(*) FROM checkpoint WHERE n>?", (n,)).fetchone()[0])


def _work(row: tuple[Any, ...]) -> Work:
    more = _DECODE.decode(row[7]) if row[7] is not None else None
    return Work(
        seq=row[0], object=row[1], id=row[2], action=row[3], target=row[4], version=row[5], preimage=row[6],
        survivor=more.survivor if more else None, choices=more.choices if more else {}, related=more.related if more else (),
        unit=row[8] or "", state=State(row[9]), attempts=row[10], frame=row[11], of_seq=row[12],
    )  # fmt: skip
