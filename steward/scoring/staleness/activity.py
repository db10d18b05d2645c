"""What the snapshot knows of each customer's life: last activity, how often, last business; and which changes were bulk.

Everything that the person began counts: activities (those of ``begun_by_person``), orders, payments, tickets by the time
they were opened, and dated business. Edits of the record, notes and files do not. Dates after ``as_of`` are counted, and
are no activity. An instant at which very many records of one object lie was an import or a mass edit, and is no activity.

Left to others: points and sentences (``score``), protections (``protect``), chains of references (``relations``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import duckdb

from steward.crm.mapping import Mapping, ObjectMapping
from steward.policy import Policy
from steward.records import Snapshot
from steward.scoring.relations import chains, joined
from steward.store import Workspace
from steward.store.sql import literal, quote

BUSINESS = ("deal", "quote", "order", "invoice", "payment", "contract")
LIFE = ("activity", "ticket", *BUSINESS)


@dataclass(frozen=True, slots=True)
class Source:
    """One object that tells of activity: its mapping, the date column, which rows count, which instants were bulk."""

    entry: ObjectMapping
    column: str
    where: str
    bulk: tuple[datetime, ...] = ()

    @property
    def date(self) -> str:
        """SQL of the date, for alias ``s``."""
        return f"s.{quote(self.column + '__date')}"

    @property
    def counts(self) -> str:
        """SQL that is true for rows that are activity, whatever their date."""
        if not self.bulk:
            return self.where
        instants = ", ".join(f"TIMESTAMP {literal(at.isoformat(sep=' '))}" for at in self.bulk)
        return f"{self.where} AND ({self.date} IS NULL OR {self.date} NOT IN ({instants}))"


@dataclass
class View:
    """A snapshot as scoring looks at it, with what was computed already.

    Attributes
    ----------
    as_of : datetime
        Naive UTC; from the snapshot, never the clock.
    tables : dict of str to str
        Object → typed view, for every object that is mapped and loaded.
    """

    ws: Workspace
    snapshot: Snapshot
    mapping: Mapping
    policy: Policy
    connection: duckdb.DuckDBPyConnection
    as_of: datetime
    tables: dict[str, str]
    columns: dict[str, frozenset[str]]
    sources: dict[str, Source] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)

    def has(self, object: str, column: str | None) -> bool:
        """Whether a column can be read."""
        return column is not None and column in self.columns.get(object, ())

    def one(self, sql: str) -> object:
        """First cell of a query."""
        row = self.connection.execute(sql).fetchone()
        return row[0] if row else None

    def execute(self, sql: str) -> None:
        """Run one statement."""
        self.connection.execute(sql)


def look(ws: Workspace, snapshot: Snapshot, policy: Policy, connection: duckdb.DuckDBPyConnection) -> View:
    """Return the view of a snapshot, with its sources of activity found."""
    mapping = ws.mapping(snapshot)
    held = {o.name: o for o in snapshot.objects}
    tables = {name: ws.typed(snapshot, name) for name in mapping.objects if name in held}
    columns = {name: frozenset(ws.columns(snapshot, name)) for name in tables}
    as_of = snapshot.taken_at.replace(tzinfo=None)
    view = View(ws, snapshot, mapping, policy, connection, as_of, tables, columns)
    for entry in mapping.objects.values():
        source = _source(view, entry) if entry.role in LIFE and entry.name in tables else None
        if source is not None:
            view.sources[entry.name] = source
    return view


def _source(view: View, entry: ObjectMapping) -> Source | None:
    column = (entry.created or entry.event) if entry.role == "ticket" else (entry.event or entry.created)
    if not view.has(entry.name, column) or column is None:
        return None
    where = "NOT s._deleted"
    if entry.begun_by_person is not None:
        if not view.has(entry.name, entry.begun_by_person.column):
            return None
        values = ", ".join(literal(v) for v in entry.begun_by_person.values)
        where += f" AND (s.{quote(entry.begun_by_person.column)} IN ({values}))"
    source = Source(entry, column, where)
    return Source(entry, column, where, bulk_instants(view, view.tables[entry.name], source.date, where))


def bulk_instants(view: View, table: str, date: str, where: str) -> tuple[datetime, ...]:
    """Return the instants with too many rows to be people: at least ``bulk_rows``, and 50 times what instants have on average.

    A hash of 16 bits is counted first, so that millions of different instants are never grouped; exact all the same. Where
    no value of the hash is heavy enough, which is the rule, one look at the column has to do.
    """
    rows_of = f"FROM {table} s WHERE {where}"
    heavy = view.connection.execute(
        f"SELECT hash({date}) % 65536 AS h, count({date}) AS n {rows_of} GROUP BY h HAVING n >= {view.policy.staleness.bulk_rows}"
    ).fetchall()
    if not heavy:
        return ()
    row = view.connection.execute(f"SELECT count({date}), approx_count_distinct({date}) {rows_of}").fetchone()
    rows, distinct = row or (0, 0)
    threshold = max(view.policy.staleness.bulk_rows, 50 * rows // max(distinct, 1))
    buckets = ", ".join(str(h) for h, n in heavy if n >= threshold)
    if not buckets:
        return ()
    found = view.connection.execute(
        f"SELECT {date} {rows_of} AND {date} IS NOT NULL AND hash({date}) % 65536 IN ({buckets}) "
        f"GROUP BY 1 HAVING count(*) >= {threshold} ORDER BY 1"
    ).fetchall()
    return tuple(at for (at,) in found)


def life(view: View, target: str) -> str:
    """Return a temporary table with one row per customer that has any source row.

    Columns: ``_id``, ``last_at``, ``times`` (0, 1, 2 = two or more), ``future``, ``unreadable``, ``business``,
    ``last_business``.
    """
    name = f"_steward_life_{target}"
    if name in view.made:
        return view.made[name]
    as_of = f"TIMESTAMP {literal(view.as_of.isoformat(sep=' '))}"
    parts = []
    for source in view.sources.values():
        reached = [
            c
            for c in chains(view.mapping, source.entry, target)
            if all(s in view.tables and view.has(s, k) for s, k in c.steps)
        ]
        ways = []
        for chain in reached:
            last = "arg_max(s_id, moment) FILTER (WHERE past)" if len(reached) > 1 else "NULL"
            rows = joined(
                chain,
                view.tables,
                f"s._id AS s_id, {source.date} AS moment, s.{quote(source.column)} IS NOT NULL AND {source.date} IS NULL AS bad, "
                f"{source.date} <= {as_of} AS past",
                source.counts,
            )
            what = (
                f"max(moment) FILTER (WHERE past) AS last_at, count(*) FILTER (WHERE past) AS times, {last} AS newest, "
                f"count(*) FILTER (WHERE moment > {as_of}) AS future, count(*) FILTER (WHERE bad) AS unreadable, count(*) AS n"
            )
            ways.append(f"SELECT target AS _id, {what} FROM ({rows}) GROUP BY 1")  # noqa: S608 - quoted
        if len(ways) > 1:
            # One row that two chains reach counts once: the most of any chain, or the number of different newest rows.
            ways = [
                "SELECT _id, max(last_at) AS last_at, greatest(max(times), count(DISTINCT newest)) AS times, NULL AS newest, "  # noqa: S608
                f"max(future) AS future, max(unreadable) AS unreadable, max(n) AS n FROM ({' UNION ALL '.join(ways)}) GROUP BY _id"
            ]
        business = "true" if source.entry.role in BUSINESS else "false"
        parts += [f"SELECT *, {business} AS is_business FROM ({way})" for way in ways]  # noqa: S608 - quoted
    if not parts:
        view.execute(
            f"CREATE OR REPLACE TEMP TABLE {quote(name)} (_id VARCHAR, last_at TIMESTAMP, times BIGINT, future BIGINT, "
            "unreadable BIGINT, business BIGINT, last_business TIMESTAMP)"
        )
    else:
        view.execute(
            f"CREATE OR REPLACE TEMP TABLE {quote(name)} AS WITH q AS ({' UNION ALL '.join(parts)}) "  # noqa: S608 - quoted
            "SELECT _id, max(last_at) AS last_at, least(sum(times), 2)::BIGINT AS times, sum(future)::BIGINT AS future, "
            "sum(unreadable)::BIGINT AS unreadable, coalesce(sum(n) FILTER (WHERE is_business), 0)::BIGINT AS business, "
            "max(last_at) FILTER (WHERE is_business) AS last_business FROM q GROUP BY _id"
        )
    view.made[name] = quote(name)
    return quote(name)


def newest_rows(view: View, target: str, wanted: str, *, business: bool = False) -> dict[str, str]:
    """Return customer id → ``object/id`` of the row that was the last activity, for the ids of a table ``wanted``.

    With ``business`` the row that was the last business.

    Of several rows at the same instant the smallest key is named, so that the answer does not depend on threads.
    """
    parts = []
    for source in view.sources.values():
        if business and source.entry.role not in BUSINESS:
            continue
        for chain in chains(view.mapping, source.entry, target):
            if all(step in view.tables and view.has(step, column) for step, column in chain.steps):
                rows = joined(chain, view.tables, f"s._id AS s_id, {source.date} AS moment", source.counts)
                parts.append(f"SELECT target, {literal(source.entry.name + '/')} || s_id AS source_row, moment FROM ({rows})")  # noqa: S608
    if not parts:
        return {}
    moment = "last_business" if business else "last_at"
    rows = f"({' UNION ALL '.join(parts)}) e ON e.target = w._id AND e.moment = w.{moment}"
    return dict(view.connection.execute(f"SELECT w._id, min(e.source_row) FROM {wanted} w JOIN {rows} GROUP BY 1").fetchall())  # noqa: S608


def months_sql(view: View, entry: ObjectMapping, alias: str = "t") -> str:
    """Return SQL of the months after which a record can be stale: the longest of its segments, else its role's."""
    months = view.policy.staleness.months_of(entry.role)
    base = "NULL" if months is None else str(months)
    cases = []
    for segment in view.policy.staleness.segments:
        if segment.object != entry.name:
            continue
        if not view.has(entry.name, segment.column):
            cases.append(str(segment.months))  # it cannot be told who belongs to it, so everybody gets the longer time
            continue
        cell = f"{alias}.{quote(segment.column)}"
        values = ", ".join(literal(v) for v in segment.values)
        cases.append(f"CASE WHEN {cell} IN ({values}) THEN {segment.months} END")
    if not cases:
        return base
    longest = f"list_max([{', '.join(cases)}])"
    return f"coalesce({longest}, {base})"


def loaded_rows(view: View, objects: Sequence[str]) -> dict[str, int]:
    """Live rows per object."""
    return {name: int(str(view.one(f"SELECT count(*) FROM {view.tables[name]} WHERE NOT _deleted"))) for name in objects}  # noqa: S608
