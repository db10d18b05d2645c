"""What the sandbox remembers, in SQLite: apps, forms, widgets, records with their recycle bin, members, keys, logs.

Records are kept by ``_widget_`` name, so that a changed alias changes nothing but what the wire says. A deleted record
stays in its row with ``delete_time`` set: that is the recycle bin, which no call of the interface can see. The clock is the
sandbox's own and can be set or moved from the control side.

Left to others: what a value looks like on the wire (``values``), who may call (``gate``), what calls do.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

SETTINGS: Json = {
    "over_limit": "refuse",  # what more than 100 rows in one page do: refuse (3005) or cap
    "filters": "silent",  # silent: what is not understood is ignored; strict: 4815
    "system_filters": False,  # whether _id and the times can be filtered with (the page and the observation disagree)
    "missing_single": "4001",  # 4001, 4042 or success
    "missing_batch": "count",  # count: a lower number; error: nothing is deleted
    "bin": True,  # whether a delete by the interface lands in the recycle bin
    "running_delete": "allow",  # refuse: 4042 while the flow runs
    "running_update": "allow",  # refuse: 50031 while the flow runs
    "flow_starts": "always",  # asked: a new record of a workflow form starts its flow only where the call says so
    "busy_seconds": 0,  # how long a form is locked after a bulk job
    "language": "random",  # language of msg: random, zh, en
    "audit": False,  # whether the edition has the audit interface
    "integrated": False,  # whether members come from another service and cannot be written
    "list_lag": 0,  # seconds that pages lag behind what was made, changed or deleted; single reads never do
    "rates": True,  # documented limits per path and company
    "company_rate": 50,
    "concurrency": 0,  # calls at one time before 429; 0 is without bound
    "empties": "typed",  # typed, null or absent
    "usage_code": 0,  # 7103, 7206, 7212 or 7221: the plan is used up
}

_TABLES = """
CREATE TABLE apps(app_id TEXT PRIMARY KEY, name TEXT NOT NULL, short TEXT NOT NULL);
CREATE TABLE forms(entry_id TEXT PRIMARY KEY, app_id TEXT NOT NULL, name TEXT NOT NULL, tab TEXT NOT NULL, flow INTEGER NOT NULL,
  preset INTEGER NOT NULL, modified REAL NOT NULL, busy_until REAL NOT NULL DEFAULT 0, sn INTEGER NOT NULL DEFAULT 0);
CREATE TABLE widgets(entry_id TEXT NOT NULL, widget_name TEXT NOT NULL, alias TEXT NOT NULL, label TEXT NOT NULL, kind TEXT NOT NULL,
  target TEXT NOT NULL, parent TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY(entry_id, widget_name));
CREATE TABLE records(data_id TEXT PRIMARY KEY, entry_id TEXT NOT NULL, body TEXT NOT NULL, creator TEXT NOT NULL, updater TEXT NOT NULL,
  created REAL NOT NULL, updated REAL NOT NULL, deleter TEXT, deleted REAL, purged INTEGER NOT NULL DEFAULT 0, flow_state INTEGER,
  marked INTEGER NOT NULL DEFAULT 0);
CREATE INDEX records_by_form ON records(entry_id, data_id);
CREATE TABLE members(username TEXT PRIMARY KEY, name TEXT NOT NULL, status INTEGER NOT NULL, kind INTEGER NOT NULL, dept INTEGER NOT NULL);
CREATE TABLE departments(dept_no INTEGER PRIMARY KEY, name TEXT NOT NULL, parent INTEGER);
CREATE TABLE keys(word TEXT PRIMARY KEY, enabled INTEGER NOT NULL, apps TEXT, apis TEXT, ips TEXT);
CREATE TABLE log(n INTEGER PRIMARY KEY, at REAL NOT NULL, path TEXT NOT NULL, body TEXT NOT NULL, status INTEGER NOT NULL, code INTEGER);
CREATE TABLE events(n INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, actor TEXT NOT NULL, app_id TEXT NOT NULL,
  entry_id TEXT NOT NULL, data_id TEXT NOT NULL);
CREATE TABLE pushes(n INTEGER PRIMARY KEY, body TEXT NOT NULL, query TEXT NOT NULL, signature TEXT NOT NULL);
CREATE TABLE earlier(data_id TEXT NOT NULL, until REAL NOT NULL, body TEXT NOT NULL, updater TEXT NOT NULL, updated REAL NOT NULL);
CREATE TABLE transactions(word TEXT PRIMARY KEY, kind TEXT NOT NULL, ids TEXT NOT NULL, until REAL NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Field:
    """A widget as it stands: ``key`` is the name the wire knows it by."""

    name: str
    alias: str
    label: str
    kind: str
    target: str
    parent: str

    @property
    def key(self) -> str:
        """Alias where one is set, else the ``_widget_`` name."""
        return self.alias or self.name


@dataclass(slots=True)
class Fault:
    """A trap that is armed: what, on which paths (by their end), after how many calls, how often."""

    kind: str
    path: str = ""
    after: int = 0
    times: int = 1
    code: int = 9004
    seconds: float = 0.0


@dataclass
class State:
    """One company of the sandbox; not for several threads.

    Parameters
    ----------
    path : str
        A SQLite file, new or left by an earlier company, or ``:memory:``.

    Raises
    ------
    sqlite3.DatabaseError
        The file holds something else.
    """

    path: str = ":memory:"
    settings: Json = field(default_factory=lambda: dict(SETTINGS))
    faults: list[Fault] = field(default_factory=list)
    secret: str = "sandbox-webhook-secret"  # noqa: S105 - opens nothing but a sandbox
    offset: float = 0.0
    frozen: float | None = None
    running: int = 0
    calls: dict[str, list[float]] = field(default_factory=dict)
    held: list[Callable[[], object]] = field(default_factory=list)  # calls that take effect late

    def __post_init__(self) -> None:
        self.db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self.db.execute("PRAGMA synchronous=OFF")  # a sandbox: a power cut may lose it
        self.db.row_factory = sqlite3.Row
        held = {r[0] for r in self.db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        self.new = not held
        if self.new:
            self.db.executescript(_TABLES)
        elif "widgets" not in held:
            raise sqlite3.DatabaseError("another kind of file")
        self.file_secret = secrets.token_bytes(16)
        self._counter = 0 if self.new else time.time_ns()  # never an id twice, however long the sandbox was away

    # -- clock and ids -----------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Seconds since 1970 by the sandbox's clock."""
        return self.frozen if self.frozen is not None else time.time() + self.offset

    def new_id(self, at: float | None = None) -> str:
        """Return 24 hex digits that grow with time, as the vendor's do."""
        self._counter += 1
        return f"{int(self.now() if at is None else at):08x}{self._counter:016x}"

    # -- looking up --------------------------------------------------------------------------------------------------

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """All rows of a query."""
        return self.db.execute(sql, values).fetchall()

    def row(self, sql: str, *values: object) -> sqlite3.Row | None:
        """Return the first row of a query, or nothing."""
        found = self.rows(sql, *values)
        return found[0] if found else None

    def run(self, sql: str, *values: object) -> int:
        """Carry out a statement; return how many rows it touched."""
        return self.db.execute(sql, values).rowcount

    def fields(self, entry_id: str) -> list[Field]:
        """Widgets of a form and the columns of its subforms, in order."""
        return [
            Field(r["widget_name"], r["alias"], r["label"], r["kind"], r["target"], r["parent"])
            for r in self.rows("SELECT * FROM widgets WHERE entry_id = ? ORDER BY n", entry_id)
        ]

    def record(self, entry_id: str, data_id: str) -> sqlite3.Row | None:
        """A record that is not deleted."""
        return self.row("SELECT * FROM records WHERE entry_id = ? AND data_id = ? AND deleted IS NULL", entry_id, data_id)

    def scan(self, entry_id: str, after: str) -> Iterator[sqlite3.Row]:
        """Records of a form that are not deleted, by ascending id, those behind ``after`` only; as they were a while ago
        where pages lag."""
        lag = float(self.settings["list_lag"])
        if lag:
            then = self.now() - lag
            yield from self.rows(
                "SELECT r.data_id, r.entry_id, coalesce(e.body, r.body) AS body, r.creator, coalesce(e.updater, r.updater) AS updater, "
                "r.created, coalesce(e.updated, r.updated) AS updated, r.flow_state FROM records r LEFT JOIN "
                "(SELECT *, min(until) FROM earlier WHERE until > ? GROUP BY data_id) e ON e.data_id = r.data_id "
                "WHERE r.entry_id = ? AND r.data_id > ? AND (r.deleted IS NULL OR r.deleted > ?) AND r.created <= ? ORDER BY r.data_id",
                then, entry_id, after, then, then,
            )  # fmt: skip
            return
        yield from self.db.cursor().execute(
            "SELECT * FROM records WHERE entry_id = ? AND data_id > ? AND deleted IS NULL ORDER BY data_id", (entry_id, after)
        )

    # -- changing ----------------------------------------------------------------------------------------------------

    def touch(self, entry_id: str) -> None:
        """Move the form's ``dataModifyTime``, always forward."""
        self.run("UPDATE forms SET modified = max(?, modified + 0.001) WHERE entry_id = ?", self.now(), entry_id)

    def insert(
        self, entry_id: str, body: Json, who: str, *, data_id: str | None = None, at: float | None = None, flow: bool = True
    ) -> str:
        """Write a new record and return its id; ``flow`` says whether a workflow form's flow starts."""
        moment = self.now() if at is None else at
        key = data_id or self.new_id(moment)
        flows = bool(self.rows("SELECT 1 FROM forms WHERE entry_id = ? AND flow = 1", entry_id))
        running = None if not flows else 0 if flow or self.settings["flow_starts"] == "always" else 1
        self.run(
            "INSERT INTO records(data_id, entry_id, body, creator, updater, created, updated, flow_state) VALUES (?,?,?,?,?,?,?,?)",
            key, entry_id, json.dumps(body, ensure_ascii=False), who, who, moment, moment, running,
        )  # fmt: skip
        self.event("data.record.create", who, entry_id, key)
        if running == 0:
            self.event("workflow.start", who, entry_id, key)
        self.touch(entry_id)
        return key

    def update(self, entry_id: str, data_id: str, body: Json, who: str) -> None:
        """Replace a record's body."""
        if self.settings["list_lag"]:
            self.run(
                "INSERT INTO earlier SELECT data_id, ?, body, updater, updated FROM records WHERE data_id = ?",
                self.now(),
                data_id,
            )
        self.run(
            "UPDATE records SET body = ?, updater = ?, updated = max(?, updated + 0.001) WHERE data_id = ?",
            json.dumps(body, ensure_ascii=False), who, self.now(), data_id,
        )  # fmt: skip
        self.event("data.record.update", who, entry_id, data_id)
        self.touch(entry_id)

    def delete(self, entry_id: str, data_id: str, who: str, *, to_bin: bool) -> bool:
        """Delete a record; return whether there was one."""
        done = self.run(
            "UPDATE records SET deleted = ?, deleter = ?, purged = ? WHERE entry_id = ? AND data_id = ? AND deleted IS NULL",
            self.now(), who, int(not to_bin), entry_id, data_id,
        )  # fmt: skip
        if done:
            self.event("data.record.delete", who, entry_id, data_id)
            self.touch(entry_id)
        return bool(done)

    def event(self, kind: str, who: str, entry_id: str, data_id: str) -> None:
        """Write the company's audit trail."""
        form = self.row("SELECT app_id FROM forms WHERE entry_id = ?", entry_id)
        self.run(
            "INSERT INTO events(at, kind, actor, app_id, entry_id, data_id) VALUES (?,?,?,?,?,?)",
            self.now(), kind, who, form["app_id"] if form else "", entry_id, data_id,
        )  # fmt: skip


def iso(moment: float) -> str:
    """Moment as the wire says it: UTC, milliseconds, Z."""
    return datetime.fromtimestamp(round(moment, 3), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
