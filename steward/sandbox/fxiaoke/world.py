"""State of one Fxiaoke sandbox: records, employees, tokens, change log and request log in SQLite; clock and switches.

One connection, used from the server's event loop alone, so that requests are served one after the other. Only the
clock may be moved from outside. Left to others: rows (``seed``), rules of the calls (``gateway``, ``reading``,
``actions``).
"""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal, cast, get_type_hints

from steward.sandbox.fxiaoke.objects import Json

_TABLES = """
CREATE TABLE IF NOT EXISTS record (api TEXT, id TEXT, modified INTEGER, doc TEXT, PRIMARY KEY (api, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS record_modified ON record (api, modified);
CREATE TABLE IF NOT EXISTS employee (number TEXT PRIMARY KEY, open_id TEXT UNIQUE, mobile TEXT, name TEXT, stopped INTEGER);
CREATE TABLE IF NOT EXISTS token (token TEXT PRIMARY KEY, style TEXT, made REAL);
CREATE TABLE IF NOT EXISTS change_log (n INTEGER PRIMARY KEY, api TEXT, id TEXT, at INTEGER, kind TEXT, employee TEXT);
CREATE TABLE IF NOT EXISTS request_log (n INTEGER PRIMARY KEY, at INTEGER, path TEXT, employee TEXT, object TEXT, code INTEGER);
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT);
"""


class Refusal(Exception):
    """A call is answered with an error code other than 0."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Switches:
    """What the contract leaves open, and what a tenant may have turned on. Codes nobody has published begin with 9."""

    app_id: str = "FSAID_sandbox"
    app_secret: str = "sandbox-secret"  # noqa: S105 - opens nothing but this sandbox
    permanent_code: str = "sandbox-code"
    ea: str = "sandbox01"
    corp_id: str = "FSCID_sandbox"
    trace_id_required: bool = True
    voided_in_query: Literal["yes", "no", "filtered"] = "no"
    void_moves_time: bool = True
    void_needs_normal: bool = True
    void_refuses_locked: bool = True
    approval_on_void: bool = False
    approval_status: Literal["in_change", "under_review"] = "in_change"
    repeat_void_is_ok: bool = False
    partial_lists: bool = False
    list_limit: int = 20
    void_names: bool = True
    get_shows_voided: bool = True
    query_lags: bool = False
    approval_on_edit: bool = False
    null_clears: Literal["null", "empty"] = "null"
    rewrites_numbers: bool = False
    specified_time_is_change: bool = False
    create_tells_id: bool = True
    personnel_editable: bool = False
    personnel_visible: bool = True
    unknown_filter_ignored: bool = False
    ignored_filters: list[str] = field(default_factory=list)
    order_ignored: bool = False
    limited_users: list[str] = field(default_factory=list)
    limit_code: int = 30004
    calls_per_window: int = 100
    window_seconds: float = 20.0
    token_limit_code: int = 30004
    tokens_per_minute: int = 10
    token_seconds: float = 0.0
    daily_quota: int = 100_000
    no_pack: bool = False
    permission_code: int = 900403
    not_found_code: int = 900404
    state_code: int = 900409
    wrong_path_code: int = 900410
    locked_code: int = 900423

    def change(self, wanted: Json) -> None:
        """Take new values; nothing is taken where one name or value is wrong.

        Raises
        ------
        ValueError
            An unknown name, or a value of another type.
        """
        kinds = get_type_hints(type(self))
        for name, value in wanted.items():
            kind = kinds.get(name)
            choices = getattr(kind, "__args__", ()) if kind is not None and not isinstance(kind, type) else ()
            if kind is None:
                raise ValueError(f"no switch {name!r}")
            if name in ("limited_users", "ignored_filters"):
                good = isinstance(value, list) and all(isinstance(v, str) for v in value)
            elif choices:
                good = value in choices
            elif kind is float:
                good = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
            else:
                good = type(value) is kind
            if not good:
                raise ValueError(f"wrong value for the switch {name!r}")
        for name, value in wanted.items():
            setattr(self, name, value)

    def shown(self) -> Json:
        """Return all values."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


FAULTS = ("code", "code_after", "cut", "cut_after", "html", "html_after", "late")


@dataclass
class Fault:
    """Something that goes wrong on the next matching calls.

    Attributes
    ----------
    kind : str
        ``code`` answers a code and does nothing; ``code_after`` does it and then answers the code (50009);
        ``cut`` and ``cut_after`` break the connection before or after; ``html`` and ``html_after`` answer a page instead of
        JSON; ``late`` breaks the connection, and the call takes effect when the lever ``late`` is pulled.
    path : str
        Part of the path it applies to, or several joined by ``|``; empty applies to all.
    code : int
        Answered code.
    skip, times : int
        Calls let through first, then calls hit.
    """

    kind: str
    path: str = ""
    code: int = -1
    skip: int = 0
    times: int = 1


class Clock:
    """Seconds since 1970 with an offset a test can move; frozen where real time must not matter."""

    def __init__(self) -> None:
        self.offset, self.frozen_at = 0.0, cast("float | None", None)

    def now(self) -> float:
        """Return the sandbox's time in seconds."""
        return (time.time() if self.frozen_at is None else self.frozen_at) + self.offset

    def advance(self, seconds: float) -> None:
        """Move the clock on."""
        self.offset += seconds

    def freeze(self) -> None:
        """Stop the clock; from here on it moves by :meth:`advance` alone."""
        if self.frozen_at is None:
            self.frozen_at = time.time()


class World:
    """Everything one sandbox knows."""

    def __init__(self, database: Path | None = None) -> None:
        self.db = sqlite3.connect(str(database) if database else ":memory:", check_same_thread=False, isolation_level=None)
        self.db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;" + _TABLES)
        self.clock, self.switches = Clock(), Switches()
        self.faults: list[Fault] = []
        self.late: list[Callable[[], object]] = []
        self.lagging: dict[tuple[str, str], Json | None] = {}
        self.windows: dict[str, deque[float]] = {}
        self.day, self.day_calls = "", 0
        self.token_running = False
        self.random = random.Random(20260911)  # noqa: S311 - wording of messages only

    def close(self) -> None:
        """Close the database."""
        self.db.close()

    def now_ms(self) -> int:
        """Return the time in epoch milliseconds."""
        return int(self.clock.now() * 1000)

    # ------------------------------------------------------------------------------------------ records

    def get(self, api: str, key: str) -> Json | None:
        """Return a record as stored, nulls included, or None."""
        row = self.db.execute("SELECT doc FROM record WHERE api = ? AND id = ?", (api, key)).fetchone()
        return cast(Json, json.loads(row[0])) if row else None

    def put(self, api: str, doc: Json) -> None:
        """Store a record."""
        self.put_many(api, [doc])

    def put_many(self, api: str, docs: Iterable[Json]) -> None:
        """Store records."""
        if self.switches.query_lags:
            docs = list(docs)
            for doc in docs:
                self._lag(api, str(doc["_id"]))
        self.db.executemany(
            "INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?)",
            ((api, d["_id"], d["last_modified_time"], json.dumps(d, ensure_ascii=False)) for d in docs),
        )

    def drop(self, api: str, key: str) -> None:
        """Forget a record for good."""
        if self.switches.query_lags:
            self._lag(api, key)
        self.db.execute("DELETE FROM record WHERE api = ? AND id = ?", (api, key))

    def records(self, api: str, *, after: str | None = None, since: int | None = None) -> Iterator[Json]:
        """Give the records of an object by ascending id, from an id or a moment on (exclusive, inclusive)."""
        where, values = "api = ?", [cast(object, api)]
        if after is not None:
            where, values = where + " AND id > ?", [*values, after]
        if since is not None:
            where, values = where + " AND modified >= ?", [*values, since]
        for (doc,) in self.db.execute(f"SELECT doc FROM record WHERE {where} ORDER BY id", values):  # noqa: S608 - fixed words
            yield cast(Json, json.loads(doc))

    def _lag(self, api: str, key: str) -> None:
        """Keep what a record was for queries that lag behind; None where there was none."""
        self.lagging.setdefault((api, key), self.get(api, key))

    def queried(self, api: str, *, after: str | None = None, since: int | None = None) -> Iterator[Json]:
        """Give the records that a query finds, by ascending id: as they are, or as they were while queries lag."""
        if not self.switches.query_lags:
            self.lagging.clear()
        old = {key: doc for (name, key), doc in self.lagging.items() if name == api}
        if not old:
            return self.records(api, after=after, since=since)
        found = {str(d["_id"]): d for d in self.records(api, after=after, since=since) if str(d["_id"]) not in old}
        for key, doc in old.items():
            if (
                doc is not None
                and (after is None or key > after)
                and (since is None or cast(int, doc["last_modified_time"]) >= since)
            ):
                found[key] = doc
        return iter([found[key] for key in sorted(found)])

    def touch(self, doc: Json, employee: str, *, moves: bool = True, names: bool = True) -> None:
        """Note who changed a record, and when."""
        if names:
            doc["last_modified_by"] = [employee]
        doc["version"] = str(int(str(doc.get("version") or "0")) + 1)
        if moves:
            doc["last_modified_time"] = max(self.now_ms(), int(cast(int, doc["last_modified_time"])) + 1)

    def note(self, api: str, key: str, kind: str, employee: str) -> None:
        """Add a line to the change log of a record."""
        self.db.execute(
            "INSERT INTO change_log (api, id, at, kind, employee) VALUES (?, ?, ?, ?, ?)",
            (api, key, self.now_ms(), kind, employee),
        )

    # ------------------------------------------------------------------------------------------ employees

    def employee(self, number: str = "", *, open_id: str = "", mobile: str = "") -> Json | None:
        """Find an employee by number, open id or mobile number."""
        for column, value in (("number", number), ("open_id", open_id), ("mobile", mobile)):
            if value:
                row = self.db.execute(
                    f"SELECT number, open_id, mobile, name, stopped FROM employee WHERE {column} = ?",  # noqa: S608 - fixed words
                    (value,),
                ).fetchone()
                return dict(zip(("number", "open_id", "mobile", "name", "stopped"), row, strict=True)) if row else None
        return None

    def employees(self) -> list[Json]:
        """Return all employees by number."""
        rows = self.db.execute("SELECT number, open_id, mobile, name, stopped FROM employee ORDER BY number")
        return [dict(zip(("number", "open_id", "mobile", "name", "stopped"), row, strict=True)) for row in rows]

    # ------------------------------------------------------------------------------------------ limits and faults

    def fault(self, path: str) -> Fault | None:
        """Take the fault that hits this call, if one does."""
        for fault in self.faults:
            if any(part in path for part in fault.path.split("|")):
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                if fault.times <= 0:
                    self.faults.remove(fault)
                return fault
        return None

    def within(self, name: str, calls: int, seconds: float) -> bool:
        """Count a call and tell whether it stays within so many calls in the last seconds."""
        now, window = self.clock.now(), self.windows.setdefault(name, deque())
        while window and window[0] <= now - seconds:
            window.popleft()
        if len(window) >= calls:
            return False
        window.append(now)
        return True

    def count_day(self) -> None:
        """Count a call against the day's quota, which begins anew at midnight in China.

        Raises
        ------
        Refusal
            30003 without a pack, 30002 with a used one.
        """
        if self.switches.no_pack:
            raise Refusal(30003)
        day = time.strftime("%Y-%m-%d", time.gmtime(self.clock.now() + 8 * 3600))
        if day != self.day:
            self.day, self.day_calls = day, 0
        if self.day_calls >= self.switches.daily_quota:
            raise Refusal(30002)
        self.day_calls += 1
