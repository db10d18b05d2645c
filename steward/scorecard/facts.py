"""The counts of a scorecard, taken in SQL where they lie; nothing here reads a field of a record.

A score that was not computed is None and never zero. Left to others: drawing (``page``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from steward.records import Snapshot
from steward.review.cases import KINDS
from steward.review.session import ReviewSession

if TYPE_CHECKING:
    from steward.store import Workspace
    from steward.store.decision_log import DecisionLog

TREND = 24
"""Snapshots that the trend shows at most, the newest last."""


@dataclass(frozen=True, slots=True)
class ObjectLine:
    """Counts of one object, in records; None where the score was not computed.

    Attributes
    ----------
    records : int
        All rows of the snapshot, those with a deletion mark included.
    duplicates : int or None
        Members of clusters that are not the proposed survivor.
    free : int or None
        Stale records that no protection keeps.
    rejects : int
        Lines of the source that could not be taken in.
    """

    object: str
    role: str
    records: int
    duplicates: int | None
    clusters: int | None
    stale: int | None
    protected: int | None
    free: int | None
    invalid: int | None
    rejects: int


@dataclass(frozen=True, slots=True)
class RuleLine:
    """Records that fail one rule; ``reason`` holds the sentence by language (``en``, ``de``, ``zh``) and may be empty."""

    object: str
    rule: str
    severity: str
    reason: dict[str, str]
    records: int
    of: int


@dataclass(frozen=True, slots=True)
class ProtectionLine:
    """Records that one protection keeps."""

    object: str
    code: str
    outcome: str
    records: int
    of: int


@dataclass(frozen=True, slots=True)
class CaseLine:
    """Where the cases of one kind stand, and on how many records a decision holds, by people and by rules."""

    kind: str
    cases: int
    decided: int
    open: int
    deferred: int
    escalated: int
    conflicts: int
    by_person: int
    by_rule: int


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """One snapshot of the workspace: records in all, and proposed for each reason (None where not scored)."""

    digest: str
    taken_at: datetime
    records: int
    duplicates: int | None
    stale: int | None
    free: int | None
    invalid: int | None


@dataclass(frozen=True, slots=True)
class RunLine:
    """What an object was measured with: the digest of the linkage definition, policy or suite."""

    kind: str
    object: str
    definition: str
    complete: bool


@dataclass(frozen=True, slots=True)
class Scorecard:
    """Everything the page shows."""

    snapshot: Snapshot
    objects: tuple[ObjectLine, ...]
    rules: tuple[RuleLine, ...]
    rules_passed: int
    protections: tuple[ProtectionLine, ...]
    cases: tuple[CaseLine, ...]
    actions: tuple[tuple[str, int, int], ...]
    """Action, records by people, records by rules."""
    runs: tuple[RunLine, ...]
    trend: tuple[TrendPoint, ...]
    snapshots: int

    @property
    def records(self) -> int:
        """Records over all objects."""
        return self.snapshot.rows

    @property
    def rejects(self) -> int:
        """Lines that could not be taken in, over all objects."""
        return sum(o.rejects for o in self.snapshot.objects)

    def total(self, column: str) -> int | None:
        """Sum of a column of :attr:`objects`; None where no object was scored for it."""
        known = [value for line in self.objects if (value := getattr(line, column)) is not None]
        return sum(known) if known else None


_PER_OBJECT = {
    "duplicates": "SELECT object, count(*) FROM clusters WHERE snapshot = ? AND NOT survivor GROUP BY object",
    "clusters": "SELECT object, count(DISTINCT cluster_id) FROM clusters WHERE snapshot = ? GROUP BY object",
    "stale": "SELECT object, count(DISTINCT record_id) FROM evidence WHERE snapshot = ? AND kind = 'stale' GROUP BY object",
    "protected": "SELECT object, count(DISTINCT record_id) FROM protections WHERE snapshot = ? GROUP BY object",
    "free": "SELECT e.object, count(DISTINCT e.record_id) FROM evidence e ANTI JOIN protections p ON p.snapshot = e.snapshot "
            "AND p.object = e.object AND p.record_id = e.record_id WHERE e.snapshot = ? AND e.kind = 'stale' GROUP BY e.object",
    "invalid": "SELECT object, count(DISTINCT record_id) FROM evidence WHERE snapshot = ? AND kind = 'invalid' GROUP BY object",
}  # fmt: skip
_KIND_OF = {
    "duplicates": "duplicate", "clusters": "duplicate", "stale": "stale", "protected": "stale", "free": "stale", "invalid": "invalid",
}  # fmt: skip


def collect(ws: Workspace, snapshot: Snapshot, log: DecisionLog | None, *, now: Callable[[], datetime]) -> Scorecard:
    """Count what a scorecard shows.

    Parameters
    ----------
    log : DecisionLog or None
        None where nobody has decided yet; every case is open then.
    now : callable
        The time, aware: whether a deferred case has come back.

    Notes
    -----
    Where a case stands is asked of the review session itself, so that the page and the queue cannot differ.
    """
    mapping = ws.mapping(snapshot)
    roles = {o.name: o.role for o in mapping.ordered()}
    runs = ws.runs(snapshot)
    counted = _counts(ws, snapshot, {(run["kind"], run["object"]) for run in runs})
    objects = tuple(
        ObjectLine(
            o.name, roles.get(o.name) or "", o.rows, rejects=o.rejects, **{c: counted[c].get(o.name) for c in _PER_OBJECT}
        )
        for o in snapshot.objects
    )
    looked_at = {(run["kind"], run["object"]): int(run["summary"].get("records", 0)) for run in runs}
    described = {
        (run["object"], rule): about
        for run in runs
        if run["kind"] == "invalid"
        for rule, about in run["summary"].get("rules", {}).items()
    }
    rules = tuple(
        RuleLine(
            name,
            rule,
            severity,
            dict(described.get((name, rule), {}).get("reason", {})),
            n,
            looked_at.get(("invalid", name), 0),
        )
        for name, rule, severity, n in ws.connection.execute(
            "SELECT object, rule_id, max(severity), count(DISTINCT record_id) AS n FROM evidence WHERE snapshot = ? AND kind = 'invalid' "
            "GROUP BY object, rule_id ORDER BY object, n DESC, rule_id",
            [snapshot.digest],
        ).fetchall()
    )
    protections = tuple(
        ProtectionLine(name, code, outcome, n, looked_at.get(("stale", name), 0))
        for name, code, outcome, n in ws.connection.execute(
            "SELECT object, code, max(outcome), count(DISTINCT record_id) AS n FROM protections WHERE snapshot = ? "
            "GROUP BY object, code ORDER BY object, n DESC, code",
            [snapshot.digest],
        ).fetchall()
    )
    cases, actions = _decisions(ws, snapshot, log, now)
    every = ws.snapshots()
    return Scorecard(
        snapshot,
        objects,
        rules,
        len(described.keys() - {(r.object, r.rule) for r in rules}),
        protections,
        cases,
        actions,
        tuple(RunLine(run["kind"], run["object"], run["definition_digest"], run["complete"]) for run in runs),
        trend_points(ws, every[-TREND:]),
        len(every),
    )


def _counts(ws: Workspace, snapshot: Snapshot, scored: set[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """Return column → object → count; an object that was scored and has none found counts 0, one not scored is left out."""
    out: dict[str, dict[str, int]] = {}
    for column, statement in _PER_OBJECT.items():
        out[column] = {name: 0 for kind, name in scored if kind == _KIND_OF[column]}
        found = ws.connection.execute(statement, [snapshot.digest]).fetchall()
        out[column].update({name: n for name, n in found if name in out[column]})
    return out


def trend_points(ws: Workspace, snapshots: Sequence[Snapshot]) -> tuple[TrendPoint, ...]:
    """Return what the trend shows of each snapshot, in the order given."""
    return tuple(_point(ws, s) for s in snapshots)


def _point(ws: Workspace, snapshot: Snapshot) -> TrendPoint:
    counted = _counts(ws, snapshot, {(run["kind"], run["object"]) for run in ws.runs(snapshot)})
    sums = {
        column: sum(counted[column].values()) if counted[column] else None
        for column in ("duplicates", "stale", "free", "invalid")
    }
    return TrendPoint(snapshot.digest, snapshot.taken_at, snapshot.rows, **sums)


def _decisions(
    ws: Workspace, snapshot: Snapshot, log: DecisionLog | None, now: Callable[[], datetime]
) -> tuple[tuple[CaseLine, ...], tuple[tuple[str, int, int], ...]]:
    """Return where the cases stand by kind, and how many records each action concerns, by people and by rules."""
    if log is None:
        found = ws.connection.execute(
            "SELECT kind, count(DISTINCT (object, case_id)) FROM evidence WHERE snapshot = ? GROUP BY kind", [snapshot.digest]
        ).fetchall()
        return _ordered([CaseLine(kind, n, 0, n, 0, 0, 0, 0, 0) for kind, n in found]), ()
    standing = log.standing()
    session = ReviewSession(ws, snapshot, log, "report", now=now)  # looks; whoever looks decides nothing
    cursor = ws.connection.cursor()
    try:
        kept = list(standing.by_key.items())
        cursor.register(
            "steward_standing",
            pa.table(
                {
                    "object": pa.array([k.object for k, _ in kept], pa.string()),
                    "record_id": pa.array([k.id for k, _ in kept], pa.string()),
                    "case_id": pa.array([d.case_id for _, d in kept], pa.string()),
                    "action": pa.array([d.action.value for _, d in kept], pa.string()),
                    "by_rule": pa.array([d.by_rule for _, d in kept], pa.bool_()),
                }
            ),
        )
        rows = cursor.execute(
            "SELECT c.kind, s.action, count(*) FILTER (WHERE NOT s.by_rule), count(*) FILTER (WHERE s.by_rule) FROM steward_standing s "
            "JOIN (SELECT DISTINCT kind, object, case_id FROM evidence WHERE snapshot = ?) c USING (object, case_id) "
            "GROUP BY c.kind, s.action ORDER BY ALL",
            [snapshot.digest],
        ).fetchall()
        lines = []
        for kind in session.index.kinds:
            p = session.progress(kind)
            people, machine = (sum(r[at] for r in rows if r[0] == kind) for at in (2, 3))
            lines.append(CaseLine(kind, p.total, p.decided, p.open, p.deferred, p.escalated, p.conflicts, people, machine))
    finally:
        cursor.close()
        session.close()
    actions: dict[str, tuple[int, int]] = {}
    for _kind, action, people, machine in rows:
        before = actions.get(action, (0, 0))
        actions[action] = (before[0] + people, before[1] + machine)
    most_first = sorted(((name, a, b) for name, (a, b) in actions.items()), key=lambda x: (-x[1] - x[2], x[0]))
    return _ordered(lines), tuple(most_first)


def _ordered(lines: Sequence[CaseLine]) -> tuple[CaseLine, ...]:
    return tuple(sorted(lines, key=lambda line: (KINDS.index(line.kind) if line.kind in KINDS else len(KINDS), line.kind)))
