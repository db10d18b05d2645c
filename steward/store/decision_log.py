"""The decision log: append-only, durable on return, chained by digest, open to many writers.

One table in SQLite (``decisions.sqlite`` in the workspace, WAL, ``synchronous=FULL``) or in PostgreSQL by URL; the same
code and the same tests for both. Order is the log's sequence, which is given under a lock together with the digest of
the entry before, so that sequence, chain and order of commits are one and the same. Triggers refuse to change or remove
an entry; whoever goes around them breaks the chain, which :meth:`DecisionLog.verify` finds. A chain alone cannot show
that its end was cut off: note :meth:`DecisionLog.head` elsewhere (a manifest does) and give it to ``verify``.

Left to others: what the entries mean (``steward.decisions``), who is working on which case (``steward.store.claims``).
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import IntegrityError as SqlIntegrityError

from steward.decisions import Decision, DecisionAction, Standing, fold
from steward.errors import DecisionError, IntegrityError, UsageError
from steward.messages import N_
from steward.records import RecordKey

FORMAT = "steward-decision-log/1"
FILE_NAME = "decisions.sqlite"
GENESIS = hashlib.sha256(FORMAT.encode()).hexdigest()
"""Digest that stands before the first entry."""

_LOCK = 7_348_201_155  # PostgreSQL advisory lock: one appender at a time, so that sequence order is commit order
_BUSY_MS = 30_000

metadata = sa.MetaData()


def _table(name: str) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("group_id", sa.Text, nullable=False, index=True),
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("object", sa.Text, nullable=False),
        sa.Column("record_id", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("reviewer", sa.Text, nullable=False),
        sa.Column("decided_at", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("evidence_digest", sa.Text, nullable=False),
        sa.Column("snapshot_digest", sa.Text, nullable=False),
        sa.Column("record_digest", sa.Text, nullable=False),
        sa.Column("target", sa.Text),
        sa.Column("until", sa.Text),
        sa.Column("choices", sa.Text, nullable=False),
        sa.Column("undoes", sa.Text),
        sa.Column("supersedes", sa.Text),
        sa.Column("previous", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
    )


entries = _table("decision_log")
checks = _table("check_log")
"""Blind second opinions, in the same form. They never enter what holds: no manifest reads them."""
about = sa.Table(
    "decision_log_about", metadata, sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False)
)


def append_only(table: str, dialect: str) -> list[str]:
    """Return the statements that make the database itself refuse to change or remove a row of ``table``."""
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER IF NOT EXISTS {table}_no_{verb} BEFORE {verb.upper()} ON {table} "
            "BEGIN SELECT RAISE(ABORT, 'the decision log is append-only'); END"
            for verb in ("update", "delete")
        ]
    return [
        "CREATE OR REPLACE FUNCTION decision_log_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the decision log is append-only'; END $$",
        f"CREATE OR REPLACE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION decision_log_refuse()",
    ]


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a log: how many entries, and the digest of the last one (:data:`GENESIS` for an empty log)."""

    seq: int
    digest: str


class DecisionLog:
    """A decision log; make one with :meth:`open`.

    Safe for several threads of one process, several processes, and (PostgreSQL) several machines.
    """

    def __init__(self, engine: Engine, where: str, table: sa.Table = entries) -> None:
        self.engine = engine
        self.where = where
        self.table = table
        self._cache: list[Decision] = []
        self._cache_lock = threading.Lock()

    @classmethod
    def open(cls, url_or_path: str | Path) -> DecisionLog:
        """Open a log and create what is missing.

        Parameters
        ----------
        url_or_path : str or Path
            A workspace folder, the path of a SQLite file, or an SQLAlchemy URL (``sqlite:///…``,
            ``postgresql+psycopg://…``).

        Raises
        ------
        UsageError
            Another kind of database.
        IntegrityError
            Not a decision log, or one of a newer version.
        DecisionError
            The database does not answer or cannot be written.
        """
        url = _as_url(url_or_path)
        if url.get_backend_name() not in ("sqlite", "postgresql"):
            raise UsageError(
                N_("A decision log lives in SQLite or PostgreSQL, not in {backend}."), backend=url.get_backend_name()
            )
        where = url.render_as_string(hide_password=True)
        engine = sa.create_engine(url, **_engine_options(url))
        if url.get_backend_name() == "sqlite":
            sa.event.listen(engine, "connect", _prepare_sqlite)
            sa.event.listen(engine, "begin", _begin_sqlite)
        log = cls(engine, where)
        try:
            log._create()
        except BaseException:
            engine.dispose()
            raise
        return log

    def checks(self) -> DecisionLog:
        """Return the log of blind second opinions beside this one; created where missing, closed with this one.

        Raises
        ------
        DecisionError
            The database cannot be written.
        """
        beside = DecisionLog(self.engine, self.where, checks)
        beside._create()
        return beside

    def close(self) -> None:
        """Release connections."""
        self.engine.dispose()

    def __enter__(self) -> DecisionLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------ writing

    def append(self, decisions: Sequence[Decision]) -> Head:
        """Append entries in their order, all or none; they are on disk when this returns.

        Raises
        ------
        DecisionError
            The log cannot be written (full disk, lock, lost connection), an id is already there, or a text holds
            characters that no database keeps (NUL, half a surrogate pair). Nothing was appended then; after a lost
            connection to PostgreSQL, read the log to learn whether it was.
        """
        for decision in decisions:
            _check_text(decision)
        with self.transaction(write=True) as connection:
            head = self._head(connection)
            rows: list[dict[str, Any]] = []
            seq, previous = head.seq, head.digest
            for decision in decisions:
                seq += 1
                row = _row(decision)
                digest = entry_digest(seq, previous, row)
                rows.append({"seq": seq, **row, "previous": previous, "digest": digest})
                previous = digest
            if rows:
                connection.exec_driver_sql(self._insert, [tuple(row.values()) for row in rows])
        return Head(seq, previous)

    # ------------------------------------------------------------------ reading

    def read(self) -> list[Decision]:
        """Return every entry in the log's order. Entries already read are kept, so that a second call is quick."""
        with self._cache_lock:
            self._cache.extend(decision for _, decision in self.read_after(len(self._cache)))
            return list(self._cache)

    def read_after(self, seq: int) -> list[tuple[int, Decision]]:
        """Return the entries after ``seq`` with their sequence numbers, oldest first."""
        with self.transaction(write=False) as connection:
            t = self.table
            found = connection.execute(sa.select(t).where(t.c.seq > seq).order_by(t.c.seq))
            return [(row["seq"], _decision(row)) for row in found.mappings()]

    def standing(self) -> Standing:
        """Return what the log says now (:func:`steward.decisions.fold`)."""
        return fold(self.read())

    def head(self) -> Head:
        """Return the end of the log."""
        with self.transaction(write=False) as connection:
            return self._head(connection)

    def verify(self, noted: Head | None = None) -> Head:
        """Recompute the whole chain and return its end.

        Parameters
        ----------
        noted : Head, optional
            An end noted earlier, elsewhere: the log must still contain it.

        Raises
        ------
        IntegrityError
            An entry was changed, removed, moved or put in; or the log is shorter than, or different from, ``noted``.
        """
        seq, previous, at_noted = 0, GENESIS, GENESIS
        with self.transaction(write=False) as connection:
            for row in connection.execute(sa.select(self.table).order_by(self.table.c.seq)).mappings():
                seq += 1
                if row["seq"] != seq or row["previous"] != previous or entry_digest(seq, previous, row) != row["digest"]:
                    raise IntegrityError(
                        N_("The decision log {where} was changed at entry {seq}: its chain of digests is broken."),
                        next_step=N_("Do not propose from it; compare it with a backup."),
                        where=self.where,
                        seq=seq,
                    )
                previous = row["digest"]
                if noted is not None and seq == noted.seq:
                    at_noted = previous
        if noted is not None and (seq < noted.seq or at_noted != noted.digest):
            raise IntegrityError(
                N_("The decision log {where} does not contain entry {seq} as it was noted: its end was cut off or rewritten."),
                next_step=N_("Do not propose from it; compare it with a backup."),
                where=self.where,
                seq=noted.seq,
            )
        return Head(seq, previous)

    # ------------------------------------------------------------------ the database

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[Connection]:
        """Open a transaction on the log's database; for what lives beside the log (``claims``, ``checks``).

        Raises
        ------
        DecisionError
            As :meth:`append`.
        """
        try:
            with self.engine.connect().execution_options(steward_write=write) as connection, connection.begin():
                if write and self.engine.dialect.name == "postgresql":
                    # Durable on return whatever the server's default is; one appender at a time.
                    connection.execute(sa.text("SET LOCAL synchronous_commit = on"))
                    connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
                yield connection
        except SqlIntegrityError as error:
            raise DecisionError(N_("An entry with this id is already in the decision log; nothing was appended.")) from error
        except DBAPIError as error:
            raise self._refusal(error) from error

    def _refusal(self, error: DBAPIError) -> DecisionError | IntegrityError:
        text = str(error.orig).lower()
        if "not a database" in text or "malformed" in text:
            return IntegrityError(
                N_("{where} is not a decision log, or it is damaged."),
                next_step=N_("Put a backup in its place."),
                where=self.where,
            )
        if "append-only" in text:
            return DecisionError(N_("The decision log is append-only."))
        return DecisionError(
            N_("The decision log {where} did not answer or could not be written ({problem}); nothing was saved."),
            next_step=N_("Check disk space, rights and connection, then decide again."),
            where=self.where,
            problem=type(error.orig).__name__,
        )

    def _create(self) -> None:
        with self.transaction(write=True) as connection:
            tables = set(sa.inspect(connection).get_table_names())
            if entries.name not in tables:
                metadata.create_all(connection, tables=[entries, about])
                connection.execute(sa.insert(about), [{"name": "format", "value": FORMAT}])
            else:
                found = (
                    connection.execute(sa.select(about.c.value).where(about.c.name == "format")).scalar()
                    if about.name in tables
                    else None
                )
                if found != FORMAT:
                    raise IntegrityError(
                        N_("The decision log {where} has format {found}; this version reads {known}."),
                        next_step=N_("Use the version of steward that wrote it, or a newer one."),
                        where=self.where,
                        found=found,
                        known=FORMAT,
                    )
            if self.table.name not in tables:
                metadata.create_all(connection, tables=[self.table])
            for statement in append_only(self.table.name, self.engine.dialect.name):
                connection.execute(sa.text(statement))

    def _head(self, connection: Connection) -> Head:
        t = self.table
        row = connection.execute(sa.select(t.c.seq, t.c.digest).order_by(t.c.seq.desc()).limit(1)).first()
        return Head(row.seq, row.digest) if row else Head(0, GENESIS)

    @property
    def _insert(self) -> str:
        """An insert in the driver's own words: a third of the time of one that is compiled for ten thousand rows."""
        place = "?" if self.engine.dialect.name == "sqlite" else "%s"
        names = [c.name for c in self.table.columns]
        return f"INSERT INTO {self.table.name} ({', '.join(names)}) VALUES ({', '.join([place] * len(names))})"


def entry_digest(seq: int, previous: str, row: Mapping[Any, Any]) -> str:
    """Return the hexadecimal sha256 of one entry: its place, the digest before it, and every column.

    The bytes are the JSON array of ``["steward.decision.v1", seq, previous, columns…]`` in ASCII without blanks, the
    columns in the order of the table.
    """
    body = ["steward.decision.v1", seq, previous, *(row[name] for name in _COLUMNS)]
    return hashlib.sha256(_ascii(body).encode()).hexdigest()


_ascii = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
_ACTIONS = {action.value: action for action in DecisionAction}  # ten times quicker than asking the class
_COLUMNS = tuple(c.name for c in entries.columns if c.name not in ("seq", "previous", "digest"))


def _as_url(url_or_path: str | Path) -> URL:
    if isinstance(url_or_path, str) and "://" in url_or_path:
        return make_url(url_or_path)
    path = Path(url_or_path)
    return URL.create("sqlite", database=str(path / FILE_NAME if path.is_dir() else path))


def _engine_options(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": _BUSY_MS / 1000, "check_same_thread": False, "isolation_level": None}}
    return {"pool_pre_ping": True, "connect_args": {"connect_timeout": 10}}


def _prepare_sqlite(connection: Any, _record: object) -> None:
    for pragma in (f"busy_timeout={_BUSY_MS}", "synchronous=FULL", "trusted_schema=OFF"):
        connection.execute(f"PRAGMA {pragma}").close()
    # SQLite does not wait while several open a new file at once: changing to WAL then fails at once as "locked".
    until = time.monotonic() + _BUSY_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.02)


def _begin_sqlite(connection: Connection) -> None:
    # IMMEDIATE: a writer waits for its turn here, instead of failing when it wants to write what it has read.
    write = connection.get_execution_options().get("steward_write", True)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _check_text(decision: Decision) -> None:
    parts = [decision.id, decision.group, decision.case_id, decision.key.object, decision.key.id, decision.reviewer, decision.reason,
             decision.target or "", *decision.choices, *decision.choices.values()]  # fmt: skip
    if any(
        "\x00" in part or any(0xD800 <= ord(c) <= 0xDFFF for c in part)
        for part in parts
        if not part.isascii() or "\x00" in part
    ):
        raise DecisionError(N_("A decision holds characters that cannot be stored (NUL or half a surrogate pair)."))


def _row(d: Decision) -> dict[str, Any]:
    return {
        "id": d.id, "group_id": d.group, "case_id": d.case_id, "object": d.key.object, "record_id": d.key.id,
        "action": d.action.value, "reviewer": d.reviewer, "decided_at": d.at.astimezone(UTC).isoformat(), "reason": d.reason,
        "evidence_digest": d.evidence_digest, "snapshot_digest": d.snapshot_digest, "record_digest": d.record_digest,
        "target": d.target, "until": d.until.isoformat() if d.until else None,
        "choices": json.dumps(dict(d.choices), ensure_ascii=False, sort_keys=True, separators=(",", ":")) if d.choices else "{}",
        "undoes": d.undoes, "supersedes": d.supersedes,
    }  # fmt: skip


def _decision(row: Mapping[Any, Any]) -> Decision:
    return Decision(
        id=row["id"], group=row["group_id"], case_id=row["case_id"], key=RecordKey(row["object"], row["record_id"]),
        action=_ACTIONS[row["action"]], reviewer=row["reviewer"], at=datetime.fromisoformat(row["decided_at"]),
        reason=row["reason"], evidence_digest=row["evidence_digest"], snapshot_digest=row["snapshot_digest"],
        record_digest=row["record_digest"], target=row["target"], until=date.fromisoformat(row["until"]) if row["until"] else None,
        choices=json.loads(row["choices"]) if row["choices"] != "{}" else {}, undoes=row["undoes"], supersedes=row["supersedes"],
    )  # fmt: skip
