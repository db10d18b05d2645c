"""State of the sandbox in one SQLite database: records, users, tokens, jobs, switches, faults, request log and the clock.

A record is live, in the bin, or gone; its values are one JSON document with moments in UTC. All calls come from one
event loop, so that a connection suffices. Left to others: what a caller may see of it (``reading``, ``removing``).
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from steward.sandbox.zoho.model import MODULES, NAME_OF

DAY = 86_400
BIN_DAYS, TRACE_DAYS = 60, 120
FIRST_ID = 9_007_199_254_740_993_000

SWITCHES: dict[str, Any] = {
    "api": "v8",  # v7: no restore, no empty, no count of the bin
    "org_type": "sandbox",
    "zone_minutes": 330,  # the caller's zone in every moment of an answer
    "token_seconds": 3600,
    "token_scope": False,  # the token answer names its scopes (unverified)
    "expired_code": "INVALID_TOKEN",  # or INVALID_OAUTHTOKEN
    "missing_single": 204,  # or 400
    "record_cap": 100_000,  # rows reachable by page tokens
    "bulk_page": 200_000,
    "bulk_polls": 3,  # polls until a job is completed
    "bulk_downloads": 10,  # downloads per minute
    "coql_depth": 10_000,
    "search_lag": 0,  # seconds until a change is found by search
    "count_lag": 0,  # seconds until a change is counted
    "count_text": False,  # the older OpenAPI types the count as text
    "param_key": "param",  # or param_name
    "bin_module": "object",  # or string
    "job_key": "jobId",  # or job_id
    "server_error": "INTERNAL_ERROR",  # or INTERNAL_SERVER_ERROR
    "verdict": "id",  # or resource_path_index, for the single form
    "shuffle": False,  # verdicts of a batch in another order
    "guard": "if-unmodified-since",  # header that an update heeds; or if-modified-since (as another page has it), or none
    "guard_shape": "item",  # 412 inside data[]; or top
    "note_moves": "yes",  # an update of a note's parent: yes, ignored, or refused (unverified)
    "mandatory": [],  # "Contacts.Last_Name": an insert without it is refused
    "unique": [],  # "Contacts.Email": an insert or restore of a second one is refused (on restore unverified)
    "timeline_of_binned": True,  # unverified
    "cascade": [],  # "Accounts>Contacts": children that go along
    "admin": True,
    "bulk_threshold": 1000,  # rows beyond which the vendor schedules
    "credits": 5_000_000,
    "concurrency": 10,
    "latency_ms": 0,
    "dc": "eu",
}


class State:
    """The database behind one sandbox.

    Parameters
    ----------
    path : Path or None
        File of the database; None keeps it in memory.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self.db.executescript(
            """
            PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF;
            CREATE TABLE IF NOT EXISTS record (id INTEGER PRIMARY KEY, module TEXT NOT NULL, doc TEXT NOT NULL, modified REAL NOT NULL,
              created REAL NOT NULL, life TEXT NOT NULL DEFAULT 'live', deleted REAL, deleted_by INTEGER, dragged_by INTEGER,
              lock TEXT NOT NULL DEFAULT '', workflow INTEGER);
            CREATE INDEX IF NOT EXISTS by_module ON record (module, life, id);
            CREATE TABLE IF NOT EXISTS person (id INTEGER PRIMARY KEY, doc TEXT NOT NULL);
            CREATE TABLE IF NOT EXISTS token (token TEXT PRIMARY KEY, refresh TEXT, scope TEXT, user INTEGER, dc TEXT, made REAL, ends REAL);
            CREATE TABLE IF NOT EXISTS job (id INTEGER PRIMARY KEY, kind TEXT, user INTEGER, polls INTEGER DEFAULT 0, doc TEXT, result BLOB);
            CREATE TABLE IF NOT EXISTS stamp (kind TEXT, moment REAL, amount INTEGER);
            CREATE TABLE IF NOT EXISTS event (id INTEGER, moment REAL, action TEXT, source TEXT, user INTEGER);
            CREATE TABLE IF NOT EXISTS log (n INTEGER PRIMARY KEY, moment REAL, method TEXT, path TEXT, status INTEGER, body TEXT);
            """
        )
        for number, name in enumerate(
            sorted({f.name for fields in MODULES.values() for f in fields if f.kind == "lookup"})
        ):  # children are asked for by their look-up
            self.db.execute(f"CREATE INDEX IF NOT EXISTS look_{number} ON record (module, json_extract(doc, '$.{name}.id'))")
        self.switches: dict[str, Any] = dict(SWITCHES)
        self.faults: list[dict[str, Any]] = []
        self.shift = 0.0
        self.used_credits = 0
        self.flying = 0
        (last,) = self.db.execute("SELECT coalesce(max(id), ?) FROM job", (FIRST_ID,)).fetchone()  # a kept state goes on
        self.last_id = int(last) - FIRST_ID

    # the clock

    def now(self) -> float:
        """Seconds since the epoch on the sandbox's clock."""
        return time.time() + self.shift

    def advance(self, seconds: float) -> None:
        """Move the clock forward and let the bin age."""
        self.shift += seconds
        self.age()

    def age(self) -> None:
        """Sixty days in the bin, then gone; a hundred and twenty after the deletion no trace is left."""
        now = self.now()
        self.db.execute(
            "UPDATE record SET life = 'gone', doc = '{}' WHERE life = 'bin' AND deleted < ?", (now - BIN_DAYS * DAY,)
        )
        self.db.execute("DELETE FROM record WHERE life = 'gone' AND deleted < ?", (now - TRACE_DAYS * DAY,))

    def moment(self, seconds: float) -> str:
        """Write a moment with the offset of the caller's zone."""
        zone = timezone(timedelta(minutes=int(self.switches["zone_minutes"])))
        return datetime.fromtimestamp(int(seconds), zone).isoformat()

    # counts over time: token requests, downloads

    def stamp(self, kind: str, window: float, most: int) -> bool:
        """Count one more use of a kind; False when the window is full already (then it is not counted)."""
        now = self.now()
        self.db.execute("DELETE FROM stamp WHERE kind = ? AND moment <= ?", (kind, now - window))
        (held,) = self.db.execute("SELECT count(*) FROM stamp WHERE kind = ?", (kind,)).fetchone()
        if held >= most:
            return False
        self.db.execute("INSERT INTO stamp VALUES (?, ?, 1)", (kind, now))
        return True

    def new_id(self) -> int:
        """Return an id beyond what a double can hold."""
        self.last_id += 1
        return FIRST_ID + self.last_id

    # records

    def put(self, module: str, ident: int, doc: dict[str, Any], *, created: float, modified: float) -> None:
        """Write one live record as it is."""
        self.db.execute(
            "INSERT INTO record (id, module, doc, created, modified) VALUES (?, ?, ?, ?, ?)",
            (ident, module, json.dumps(doc, ensure_ascii=False), created, modified),
        )

    def edit(self, ident: int, values: dict[str, Any], user: dict[str, Any]) -> bool:
        """Change a live record as a person would."""
        row = self.db.execute("SELECT doc FROM record WHERE id = ? AND life = 'live'", (ident,)).fetchone()
        if row is None:
            return False
        doc = {**json.loads(row[0]), **values, "Modified_By": user}
        self.db.execute(
            "UPDATE record SET doc = ?, modified = ? WHERE id = ?", (json.dumps(doc, ensure_ascii=False), self.now(), ident)
        )
        return True

    def get(self, ident: int, *, module: str | None = None, life: str = "live") -> tuple[str, dict[str, Any]] | None:
        """Return the module and the raw row of a record in one state of life."""
        cursor = self.db.execute("SELECT * FROM record WHERE id = ? AND life = ?", (ident, life))
        row = cursor.fetchone()
        if row is None:
            return None
        raw = dict(zip((c[0] for c in cursor.description), row, strict=True))
        return None if module is not None and raw["module"] != module else (raw["module"], raw)

    def query(self, sql: str, values: Iterable[Any] = ()) -> Iterator[dict[str, Any]]:
        """Rows of a statement as mappings."""
        cursor = self.db.execute(sql, tuple(values))
        names = [c[0] for c in cursor.description]
        for row in cursor.fetchall():
            yield dict(zip(names, row, strict=True))

    def display(self, row: dict[str, Any]) -> str:
        """Name of a record as lists show it."""
        return str(json.loads(row["doc"]).get(NAME_OF[row["module"]]) or "")

    def person(self, ident: int) -> dict[str, Any]:
        """``{id, name, email}`` of a user; also of one deleted since."""
        row = self.db.execute("SELECT doc FROM person WHERE id = ?", (ident,)).fetchone()
        doc = json.loads(row[0]) if row else {"full_name": "", "email": ""}
        return {"id": str(ident), "name": doc["full_name"], "email": doc["email"]}

    def remember(self, ident: int, action: str, source: str, user: int) -> None:
        """Note what was done to a record, for its timeline."""
        self.db.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?)", (ident, self.now(), action, source, user))


def parse_moment(text: str) -> float:
    """Seconds since the epoch of an ISO 8601 moment; one without offset is UTC.

    Raises
    ------
    ValueError
        It is not a moment.
    """
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
