"""Which pictures a scorecard carries, as scenes with a name: scores, silence by worth, before and after, one customer.

A customer is drawn only when asked for, by key and counts and without any value. Left to others: counting and drawing
(``steward.review.pictures``), the page (``page``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from steward.errors import UsageError
from steward.messages import N_
from steward.records import RecordKey, Snapshot
from steward.review.pictures import execution, heat, related, scores, waterfall
from steward.review.pictures.scene import Scene

if TYPE_CHECKING:
    from steward.store import Workspace
    from steward.store.decision_log import DecisionLog

MOST_PAIRS = 6
"""Pairs of one customer that are drawn, the strongest first."""
RULE_CUT = 0.99
"""Where the threshold is drawn: where the rules that ship begin to decide."""


def of_snapshot(ws: Workspace, snapshot: Snapshot, log: DecisionLog | None) -> list[tuple[str, Scene]]:
    """Return the pictures of a whole snapshot; one that was not scored has fewer."""
    out: list[tuple[str, Scene]] = []
    kinds = {run["kind"] for run in ws.runs(snapshot)}
    if "duplicate" in kinds:
        found = scores.collect(ws, snapshot, None if log is None else log.standing())
        if found.pairs.any():
            out.append(("scores", scores.draw(found, cut=scores.bar_of(RULE_CUT))))
    if "stale" in kinds:
        out += [(f"heat-{i}", heat.draw(heat.collect(ws, snapshot, n))) for i, n in enumerate(heat.objects_of(ws, snapshot))]
    return out


def of_execution(
    ws: Workspace, before: Snapshot, after: Snapshot, signed: Iterable[RecordKey] | None = None
) -> tuple[str, Scene]:
    """Return the picture of what an execution changed."""
    return "before-and-after", execution.draw(execution.collect(ws, before, after, signed))


def of_customer(ws: Workspace, snapshot: Snapshot, key: RecordKey) -> list[tuple[str, Scene]]:
    """Return what hangs on one customer and the pairs that hold it together with others.

    Raises
    ------
    UsageError
        The snapshot has no such record.
    """
    known = {o.name for o in snapshot.objects}
    if key.object not in known or key.id not in ws.records(snapshot, key.object, [key.id]):
        raise UsageError(N_("The snapshot has no record {key}."), key=key)
    out = [("customer", related.draw(related.collect(ws, snapshot, key)))]
    cluster = next((c for c in ws.clusters(snapshot, key.object) if key in c.members), None)
    if cluster is not None:
        pairs = [p for p in ws.pairs_of(snapshot, key.object, cluster.id) if key in (p.pair.left, p.pair.right)]
        strongest = sorted(pairs, key=lambda p: (-p.match_weight, p.pair))[:MOST_PAIRS]
        out += [(f"pair-{i}", waterfall.draw(p)) for i, p in enumerate(strongest)]
    return out
