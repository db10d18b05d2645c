"""The state of one sandbox in SQLite: records as they are and as search sees them, relations, files, keys, the request log.

A record has two bodies: ``body`` is what ``GET`` answers, ``indexed`` what search lists; they differ only while the switch
``lag`` is on. Nothing here knows HTTP. Left to others: the first content (``seeding``), the rules (``writing``).
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from steward.sandbox.copper.shapes import FIELDS
from steward.sandbox.copper.switches import Fault, Switches

ADMIN_KEY = "sandbox-admin-key"
RESTRICTED_KEY = "sandbox-restricted-key"
APPLICATION = "developer_api"
_LOG_KEPT = 5_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS record (kind TEXT NOT NULL, id INTEGER NOT NULL, body TEXT, indexed TEXT, PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_modified ON record (kind, json_extract(indexed, '$.date_modified'), id);
CREATE INDEX IF NOT EXISTS by_created ON record (kind, json_extract(indexed, '$.date_created'), id);
CREATE INDEX IF NOT EXISTS by_parent ON record (kind, json_extract(indexed, '$.parent.id')) WHERE kind = 'activities';
CREATE TABLE IF NOT EXISTS last_id (kind TEXT PRIMARY KEY, id INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS relation (a TEXT NOT NULL, a_id INTEGER NOT NULL, b TEXT NOT NULL, b_id INTEGER NOT NULL, PRIMARY KEY (a, a_id, b, b_id));
CREATE TABLE IF NOT EXISTS link (id INTEGER PRIMARY KEY, field INTEGER NOT NULL, a TEXT NOT NULL, a_id INTEGER NOT NULL,
  b TEXT NOT NULL, b_id INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS file (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, owner INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS definition (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS access (secret TEXT PRIMARY KEY, way TEXT NOT NULL, user INTEGER NOT NULL, admin INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS webhook (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS gone (kind TEXT NOT NULL, id INTEGER NOT NULL, at INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS log (n INTEGER PRIMARY KEY, at REAL NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL, asked TEXT NOT NULL,
  status INTEGER NOT NULL, note TEXT NOT NULL);
"""
Body = dict[str, Any]


class State:
    """One sandbox. Used from one thread at a time, as an event loop does.

    Parameters
    ----------
    path : Path or None
        SQLite file, made or continued; none keeps it in memory.
    clock : callable
        Seconds since 1970.
    """

    def __init__(self, path: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self._clock, self.ahead = clock, 0.0
        self.switches, self.faults = Switches(), list[Fault]()
        self.calls: dict[str, deque[float]] = {}
        self.codes: dict[str, int] = {}
        self.notices: list[Body] = []
        self.late: list[Callable[[], None]] = []
        self.db = sqlite3.connect(":memory:" if path is None else path, check_same_thread=False, isolation_level=None)
        self.db.execute("PRAGMA journal_mode=MEMORY")
        self.db.execute("PRAGMA synchronous=OFF")
        self.db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the database."""
        self.db.close()

    def now(self) -> float:
        """Seconds since 1970, as far ahead of the clock as a test moved it."""
        return self._clock() + self.ahead

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Run one statement and return all rows."""
        with closing(self.db.execute(sql, values)) as cursor:
            return cursor.fetchall()

    # ------------------------------------------------------------------------------------------ records

    def get(self, kind: str, id_: int) -> Body | None:
        """Return the record as it is now."""
        rows = self.query("SELECT body FROM record WHERE kind = ? AND id = ? AND body IS NOT NULL", kind, id_)
        return json.loads(rows[0][0]) if rows else None

    def all(self, kind: str) -> Iterator[Body]:
        """Yield all records of one kind, as they are now."""
        for (body,) in self.query("SELECT body FROM record WHERE kind = ? AND body IS NOT NULL ORDER BY id", kind):
            yield json.loads(body)

    def new_id(self, kind: str) -> int:
        """Return an id that no record of this kind ever had."""
        return int(
            self.query(
                "INSERT INTO last_id VALUES (?, 1) ON CONFLICT (kind) DO UPDATE SET id = id + 1 RETURNING id", kind
            )[0][0]
        )  # fmt: skip

    def put(self, kind: str, body: Body) -> None:
        """Store a record; search sees it at once unless it lags."""
        text = json.dumps(body, ensure_ascii=False)
        self.query(
            "INSERT INTO record VALUES (?1, ?2, ?3, CASE ?4 WHEN 1 THEN NULL ELSE ?3 END) ON CONFLICT (kind, id) "
            "DO UPDATE SET body = excluded.body, indexed = CASE ?4 WHEN 1 THEN indexed ELSE excluded.body END",
            kind, body["id"], text, int(self.switches.lag),
        )  # fmt: skip

    def drop(self, kind: str, id_: int) -> None:
        """Remove a record for good; search may list it while it lags."""
        body = self.get(kind, id_)
        if body is None:
            return
        self.query("INSERT INTO gone VALUES (?, ?, ?, ?)", kind, id_, int(self.now()), json.dumps(body, ensure_ascii=False))
        if self.switches.lag:
            self.query("UPDATE record SET body = NULL WHERE kind = ? AND id = ?", kind, id_)
        else:
            self.query("DELETE FROM record WHERE kind = ? AND id = ?", kind, id_)

    def settle(self) -> None:
        """Let search see everything as it is."""
        self.query("DELETE FROM record WHERE body IS NULL")
        self.query("UPDATE record SET indexed = body WHERE indexed IS NOT body")

    def change(self, kind: str, id_: int, changes: Body) -> Body | None:
        """Change fields of a record and move ``date_modified`` on; answers the record, or nothing when there is none."""
        body = self.get(kind, id_)
        if body is None:
            return None
        body.update(changes)
        if "date_modified" in FIELDS.get(kind, ()):
            body["date_modified"] = max(int(self.now()), (body.get("date_modified") or 0) + 1)
        self.put(kind, body)
        return body

    # ------------------------------------------------------------------------------------------ keys and log

    def grant(self, secret: str, way: str, user: int, *, admin: bool) -> None:
        """Let a key (``way`` = ``key``) or token (``bearer``) act as a user."""
        self.query("INSERT OR REPLACE INTO access VALUES (?, ?, ?, ?)", secret, way, user, int(admin))

    def token(self, user: int) -> str:
        """Issue an OAuth token for a user and return it."""
        token = secrets.token_urlsafe(24)
        admin = self.query("SELECT max(admin) FROM access WHERE user = ?", user)[0][0]
        self.grant(token, "bearer", user, admin=bool(admin))
        return token

    def write_down(self, method: str, path: str, asked: str, status: int, note: str) -> None:
        """Add a call to the log; headers, and so keys, are never in it."""
        self.query("INSERT INTO log VALUES (NULL, ?, ?, ?, ?, ?, ?)", self.now(), method, path, asked[:2_000], status, note)
        self.query("DELETE FROM log WHERE n <= (SELECT max(n) FROM log) - ?", _LOG_KEPT)
