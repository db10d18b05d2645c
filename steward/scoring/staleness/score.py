"""Staleness of one object: points per signal, what would hold without each, and the evidence.

A record is stale when its points reach the policy's threshold, its last activity is at least one whole period old, enough
independent signals agree, and nothing about its activity is unreadable. Missing sources give no points: absence of data is
no evidence. Records with no activity at all are judged by the day they were created, under a rule of their own, so that
they form a queue of their own.

Left to others: reading activity (``activity``), what keeps a record (``protect``), storing (``steward.store``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from steward.crm.mapping import ObjectMapping
from steward.errors import ScoringError, UsageError
from steward.evidence import Evidence, ShownValue
from steward.messages import N_
from steward.policy import Holds, Policy
from steward.records import RecordKey, Snapshot
from steward.scoring.relations import of_roles
from steward.scoring.staleness.activity import BUSINESS, View, life, look, months_sql, newest_rows
from steward.scoring.staleness.expected import FIELD, estimates
from steward.scoring.staleness.protect import Protector
from steward.store import Workspace
from steward.store.findings import evidence_table
from steward.store.impact import holds_sql
from steward.store.sql import literal, quote

DAYS_PER_MONTH = 30.4375
RULE = "staleness"
RULE_NO_ACTIVITY = "staleness.no_activity"
_CHUNK = 20_000


@dataclass(frozen=True, slots=True)
class StalenessSummary:
    """What one staleness run found.

    Attributes
    ----------
    records : int
        Live records looked at.
    stale : int
        Records with evidence.
    protected : int
        Records that at least one protection keeps, stale or not.
    free : int
        Stale records that nothing keeps.
    by_protection : mapping of str to int
        Code → records.
    bulk : mapping of str to int
        Object → instants recognised as bulk changes.
    """

    object: str
    records: int
    stale: int
    protected: int
    free: int
    by_protection: Mapping[str, int]
    bulk: Mapping[str, int] = field(default_factory=dict)
    future_dates: int = 0
    unreadable: int = 0
    seconds: float = field(default=0.0, compare=False)

    @property
    def note(self) -> str:
        """One English sentence about what could not be known, or the empty text."""
        unknown = [code.removeprefix("unknown_") for code in self.by_protection if code.startswith("unknown_")]
        return f"every record is kept, for it is not known: {', '.join(unknown)}" if unknown else ""


@dataclass(frozen=True, slots=True)
class Signal:
    """One reason of a score: its independent group, its points, and what was seen."""

    name: str
    group: str
    points: float
    value: str | None
    limit: str
    source: str
    words: str


def score_staleness(
    ws: Workspace,
    snapshot: Snapshot,
    object: str,
    policy: Policy,
    *,
    holds: Holds | None = None,
    progress: Callable[[int], None] | None = None,
) -> StalenessSummary:
    """Score one object and store evidence of stale records and the protections of every record.

    Parameters
    ----------
    holds : Holds or None
        The legal hold list; None is a list that is not there, and protects.

    Raises
    ------
    UsageError
        The object is not mapped or not in the snapshot.
    ScoringError
        The database refuses.

    Notes
    -----
    The same snapshot, policy and hold list give the same bytes: no clock, no order of rows and no thread has a say.
    """
    begun = time.perf_counter()
    connection = ws.connection.cursor()
    try:
        view = look(ws, snapshot, policy, connection)
        entry = view.mapping.objects.get(object)
        if entry is None or object not in view.tables:
            raise UsageError(N_("The snapshot has no object {object} that is mapped."), object=object)
        protections = Protector(view, entry, holds if holds is not None else Holds.absent()).compute()
        numbers = find_stale(view, entry)
        known = Known(
            newest_rows(view, object, "_steward_stale"),
            newest_rows(view, object, "_steward_stale", business=True),
            estimates(view, entry, "_steward_stale"),
            next((u.name for u in of_roles(view.mapping, "user")), ""),
        )
        frames: list[pa.Table] = []
        for chunk in _evidence(view, entry, known):
            frames.append(evidence_table(chunk))
            if progress is not None:
                progress(len(chunk))
        kept = connection.sql(f"SELECT * FROM {protections} ORDER BY ALL").to_arrow_table()  # noqa: S608
        by_code = dict(
            connection.execute(
                f"SELECT code, count(DISTINCT record_id) FROM {protections} GROUP BY code ORDER BY code"  # noqa: S608
            ).fetchall()
        )
        row = connection.execute(
            f"SELECT (SELECT count(*) FROM {numbers}), (SELECT count(*) FROM _steward_stale), "  # noqa: S608
            f"(SELECT count(DISTINCT record_id) FROM {protections}), "
            f"(SELECT count(*) FROM _steward_stale s ANTI JOIN {protections} p ON p.record_id = s._id), "
            f"(SELECT coalesce(sum(future), 0)::BIGINT FROM {numbers}), (SELECT count(*) FROM {numbers} WHERE unreadable > 0)"
        ).fetchone()
        records, stale, protected, free, future, unreadable = row or (0,) * 6
        for name in {*view.made.values(), numbers, "_steward_stale"}:
            view.execute(f"DROP TABLE IF EXISTS {name}")
    except duckdb.Error as error:
        raise ScoringError(
            N_("The staleness of {object} could not be computed: {problem}"), object=object, problem=type(error).__name__
        ) from error
    finally:
        connection.close()
    bulk = {name: len(s.bulk) for name, s in view.sources.items() if s.bulk}
    summary = StalenessSummary(
        object, records, stale, protected, free, by_code, bulk, future, unreadable, round(time.perf_counter() - begun, 3)
    )
    ws.replace_evidence(
        snapshot,
        "stale",
        object,
        evidence=pa.concat_tables(frames) if frames else evidence_table([]),
        protections=kept,
        definition_digest=policy.digest,
        summary={
            "records": records, "stale": stale, "protected": protected, "free": free, "by_protection": by_code, "bulk": bulk,
            "future_dates": future, "unreadable": unreadable, "policy": f"{policy.name} {policy.version}",
        },
    )  # fmt: skip
    return summary


def find_stale(view: View, entry: ObjectMapping) -> str:
    """Fill the temporary table ``_steward_stale`` with the stale records of an object; return the table of all its records."""
    numbers = _numbers(view, entry)
    view.execute(
        f"CREATE OR REPLACE TEMP TABLE _steward_stale AS SELECT * FROM (SELECT *, {points_sql(view.policy)} FROM {numbers}) "  # noqa: S608 - quoted
        f"WHERE {_is_stale(view.policy)}"
    )
    return numbers


def _numbers(view: View, entry: ObjectMapping) -> str:
    """Make a temporary table with one row per live record and what its score rests on."""
    as_of = f"TIMESTAMP {literal(view.as_of.isoformat(sep=' '))}"
    table, name = view.tables[entry.name], "_steward_numbers"
    known_life = any(True for s in view.sources.values())
    known_business = any(s.entry.role in BUSINESS for s in view.sources.values())
    created = (
        f"t.{quote(entry.created + '__date')}" if entry.created and view.has(entry.name, entry.created) else "NULL::TIMESTAMP"
    )
    owner, users = _owner(view, entry)
    children, children_join = _children(view, entry, as_of)
    view.execute(
        f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT t._id, any_value(l.last_at) AS last_at, "  # noqa: S608 - quoted
        f"{'coalesce(any_value(l.times), 0)' if known_life else 'NULL::BIGINT'} AS times, coalesce(any_value(l.future), 0) AS future, "
        f"coalesce(any_value(l.unreadable), 0) AS unreadable, "
        f"{'coalesce(any_value(l.business), 0)' if known_business else 'NULL::BIGINT'} AS business, "
        f"any_value(l.last_business) AS last_business, max({created}) AS created, any_value({months_sql(view, entry)}) AS months, "
        f"{as_of} AS as_of, bool_and({owner}) AS owner_gone, any_value({_owner_cell(view, entry)}) AS owner, "
        f"bool_and({_unreachable(view, entry)}) AS unreachable, {children} "
        f"FROM {table} t LEFT JOIN {life(view, entry.name)} l ON l._id = t._id {users} {children_join} "
        "WHERE NOT t._deleted GROUP BY t._id"
    )
    return name


def _owner_cell(view: View, entry: ObjectMapping) -> str:
    return f"t.{quote(entry.owner)}" if entry.owner and view.has(entry.name, entry.owner) else "NULL::VARCHAR"


def _owner(view: View, entry: ObjectMapping) -> tuple[str, str]:
    """Return SQL that is true where the owner is missing or gone (false where it cannot be known), and its join."""
    if not entry.owner or not view.has(entry.name, entry.owner):
        return "false", ""
    cell = f"t.{quote(entry.owner)}"
    missing = f"({cell} IS NULL OR {cell} = '')"
    users = [u for u in of_roles(view.mapping, "user") if u.name in view.tables]
    rule = users[0].active_when if users else None
    if rule is None or not view.has(users[0].name, rule.column) or view.snapshot.object(users[0].name).rejects:
        return missing, ""
    active = holds_sql(f"u.{quote(rule.column)}", rule)
    return (
        f"({missing} OR u._id IS NULL OR u._deleted OR NOT {active})",
        f"LEFT JOIN {view.tables[users[0].name]} u ON u._id = {cell}",
    )


def _unreachable(view: View, entry: ObjectMapping) -> str:
    rule = view.policy.staleness.unreachable.get(entry.name)
    if rule is None:
        return "false"
    parts = []
    if rule.columns and all(view.has(entry.name, c) for c in rule.columns):
        parts.append("(" + " AND ".join(f"coalesce(trim(t.{quote(c)}), '') = ''" for c in rule.columns) + ")")
    if rule.status and view.has(entry.name, rule.status) and rule.values:
        values = ", ".join(literal(v) for v in rule.values)
        parts.append(f"coalesce(t.{quote(rule.status)} IN ({values}), false)")
    return "(" + " OR ".join(parts) + ")" if parts else "false"


def _children(view: View, entry: ObjectMapping, as_of: str) -> tuple[str, str]:
    """Return columns and join that say how many people belong to a company and whether all of them are silent."""
    pairs = [(e, c) for e, c in view.mapping.children_of(entry.name) if e.role == "person" and e.name in view.tables]
    if entry.role != "company" or len(pairs) != 1 or not view.has(pairs[0][0].name, pairs[0][1]):
        return "0::BIGINT AS people, false AS people_silent", ""
    child, column = pairs[0]
    months = view.policy.staleness.months_of(child.role)
    if months is None:
        return "0::BIGINT AS people, false AS people_silent", ""
    created = (
        f"c.{quote(child.created + '__date')}" if child.created and view.has(child.name, child.created) else "NULL::TIMESTAMP"
    )
    silent = f"coalesce(l.unreadable, 0) = 0 AND greatest(l.last_at, {created}) <= {as_of} - to_months({months})"
    inner = (
        f"SELECT c.{quote(column)} AS company, count(*) AS people, bool_and(coalesce({silent}, false)) AS silent "  # noqa: S608 - quoted
        f"FROM {view.tables[child.name]} c LEFT JOIN {life(view, child.name)} l ON l._id = c._id WHERE NOT c._deleted GROUP BY 1"
    )
    columns = "coalesce(any_value(k.people), 0) AS people, coalesce(bool_and(k.silent), false) AS people_silent"
    return columns, f"LEFT JOIN ({inner}) k ON k.company = t._id"


def points_sql(policy: Policy) -> str:
    """Return SQL columns with the points of each signal, over the columns of the table of numbers.

    Silence is counted from the last activity or from the record's creation, whichever is later: an old activity that was
    imported later must not make a record older than it was without any. (``greatest`` leaves out what is NULL.)
    ``recency`` rises from half the period to the whole one, and goes on to twice the period by ``long_silence``. Points
    are rounded to hundredths, so that a sum of floats is the same everywhere.
    """
    p = policy.staleness.points
    age = f"(date_diff('second', greatest(last_at, created), as_of) / 86400.0 / (months * {DAYS_PER_MONTH}))"
    recency = f"{p.recency} * least(1, greatest(0, ({age} - 0.5) / 0.5)) + {p.long_silence} * least(1, greatest(0, {age} - 1))"
    activity = f"CASE times WHEN 0 THEN {p.no_activity} WHEN 1 THEN {p.one_activity} ELSE 0 END"
    old = f"last_business IS NOT NULL AND date_diff('second', last_business, as_of) / 86400.0 >= months * {DAYS_PER_MONTH}"
    business = f"CASE WHEN business = 0 THEN {p.no_business} WHEN {old} THEN {min(p.old_business, p.no_business)} ELSE 0 END"
    return (
        f"{age} AS periods, coalesce(round({recency}, 2), 0) AS p_recency, coalesce({activity}, 0) AS p_activity, "
        f"coalesce({business}, 0) AS p_business, CASE WHEN owner_gone THEN {p.owner_gone} ELSE 0 END AS p_owner, "
        f"CASE WHEN unreachable THEN {p.unreachable} ELSE 0 END AS p_reach, "
        f"CASE WHEN people > 0 AND people_silent THEN {p.children_stale} ELSE 0 END AS p_children"
    )


def _is_stale(policy: Policy) -> str:
    total = "round(p_recency + p_activity + p_business + p_owner + p_reach + p_children, 2)"
    # Frequency is read off the same rows as recency, so both are one signal; of a company's people likewise.
    signals = "(p_recency > 0)::INT + (p_business > 0)::INT + (p_owner > 0)::INT + (p_reach > 0)::INT"
    return (
        f"months IS NOT NULL AND periods >= 1 AND unreadable = 0 AND times IS NOT NULL AND {total} >= {policy.staleness.threshold} "
        f"AND {signals} >= {policy.staleness.signals}"
    )


@dataclass(frozen=True, slots=True)
class Known:
    """What is looked up of stale records alone: the rows of the last activity and business, and what they may still buy."""

    newest: Mapping[str, str]
    business: Mapping[str, str]
    expected: Mapping[str, tuple[str, str]]
    users: str


def _evidence(view: View, entry: ObjectMapping, known: Known) -> Iterator[list[Evidence]]:
    """Yield evidence of stale records in chunks, sorted by id."""
    cursor = view.connection.execute("SELECT * FROM _steward_stale ORDER BY _id")
    names = [d[0] for d in cursor.description or ()]
    while rows := cursor.fetchmany(_CHUNK):
        yield [_one(view.policy, view.as_of, entry, dict(zip(names, row, strict=True)), known) for row in rows]


def signals_of(entry: ObjectMapping, row: Mapping[str, Any], known: Known) -> list[Signal]:
    """Return the signals of one record, strongest first."""
    source = known.newest.get(row["_id"], "")
    months = row["months"]
    last, created, own = row["last_at"], row["created"], f"{entry.name}/{row['_id']}"
    found: list[Signal] = []
    if last is None:
        day = created.date().isoformat()
        found.append(Signal("recency", "recency", row["p_recency"], day, f"{months} months", own,
                            f"no activity is known, and it was created on {day}"))  # fmt: skip
    elif created is not None and created > last:
        day = created.date().isoformat()
        found.append(Signal("recency", "recency", row["p_recency"], day, f"{months} months", own,
                            f"last activity {last.date().isoformat()}, and it was created on {day}"))  # fmt: skip
    else:
        day = last.date().isoformat()
        found.append(
            Signal("recency", "recency", row["p_recency"], day, f"{months} months", source or own, f"last activity {day}")
        )
    if row["p_activity"]:
        n = int(row["times"])
        words = "no activity ever" if n == 0 else "one activity ever"
        found.append(Signal("frequency", "recency", row["p_activity"], str(n), "2", own, words))
    if row["p_business"]:
        if row["business"] == 0:
            found.append(Signal("business", "business", row["p_business"], None, "any", own, "no deal, order or invoice ever"))
        else:
            day = row["last_business"].date().isoformat()
            found.append(
                Signal(
                    "business",
                    "business",
                    row["p_business"],
                    day,
                    f"{months} months",
                    known.business.get(row["_id"], own),
                    f"last business {day}",
                )
            )
    if row["p_owner"]:
        words = "it has no owner" if not row["owner"] else "its owner is no longer active"
        where = f"{known.users}/{row['owner']}" if row["owner"] and known.users else own
        found.append(Signal("owner", "owner", row["p_owner"], row["owner"], "active", where, words))
    if row["p_reach"]:
        found.append(Signal("reach", "reach", row["p_reach"], None, "reachable", own, "it cannot be reached"))
    if row["p_children"]:
        words = f"none of its {row['people']} people was active" if row["people"] > 1 else "its only contact was not active"
        found.append(Signal("children", "children", row["p_children"], str(row["people"]), "one active", own, words))
    return sorted(found, key=lambda s: (-s.points, s.name))


def without(policy: Policy, found: list[Signal], one: Signal, periods: float) -> tuple[float, bool]:
    """Return the points without one signal, and whether the record would still be stale."""
    rest = [s for s in found if s is not one]
    total = round(sum(s.points for s in rest), 2)
    groups = {s.group for s in rest if s.group != "children" and s.name != "frequency"}
    stale = total >= policy.staleness.threshold and len(groups) >= policy.staleness.signals and periods >= 1
    return total, stale and any(s.name == "recency" for s in rest)


def _points(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _one(policy: Policy, as_of: datetime, entry: ObjectMapping, row: Mapping[str, Any], known: Known) -> Evidence:
    found = signals_of(entry, row, known)
    total = round(sum(s.points for s in found), 2)
    values = []
    for signal in found:
        rest, stale = without(policy, found, signal, row["periods"])
        limit = f"{signal.limit}; without this: {_points(rest)}, {'still' if stale else 'not'} stale"
        values.append(ShownValue(signal.name, signal.value, limit, signal.source, signal.points))
    if row["_id"] in known.expected:
        number, where = known.expected[row["_id"]]
        values.append(ShownValue(FIELD, number, "in the next 12 months by BG/NBD; for information, no points", where))
    reasons = "; ".join(s.words for s in found)
    sentence = f"{reasons[:1].upper()}{reasons[1:]}, as of {as_of.date().isoformat()}: {_points(total)} points of 100, stale from {policy.staleness.threshold}."
    rule = RULE if row["last_at"] is not None else RULE_NO_ACTIVITY
    key = RecordKey(entry.name, row["_id"])
    return Evidence(
        "stale", key, rule, min(1.0, total / 100), sentence, tuple(values), f"stale:{entry.name}:{row['_id']}", policy.digest
    )
