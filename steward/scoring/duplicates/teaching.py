"""Which undecided pairs would teach most: uncertain, common in kind, unlike those before them.

Left to others: what decisions change (``learning``), showing the pairs (``steward.review``).
"""

from __future__ import annotations

import heapq
import json
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from steward.decisions import Standing
from steward.records import Snapshot
from steward.scoring.duplicates.learning import labels_from

if TYPE_CHECKING:
    from steward.store import Workspace


def teach_most(
    pairs: Iterable[tuple[str, str, float, str]], decided: Iterable[tuple[str, str]] = (), limit: int | None = None
) -> list[tuple[str, str]]:
    """Return undecided pairs in the order in which deciding them teaches most.

    Parameters
    ----------
    pairs : iterable of (left id, right id, probability, pattern)
        ``pattern`` is anything equal for pairs whose fields reach the same levels.
    decided : iterable of (id, id)
        Pairs that have a decision; their patterns teach less.
    limit : int, optional

    Notes
    -----
    A pair teaches the more the less certain its outcome is (entropy), the more pairs share its pattern, and the fewer of
    that pattern are decided or stand before it in the list: value = entropy · log2(1 + sharing) / (1 + decided + placed).
    Ties by id. Deterministic.
    """
    known = {_pair(a, b) for a, b in decided}
    waiting: dict[str, list[tuple[float, str, str]]] = {}
    sharing: dict[str, int] = {}
    taken: dict[str, int] = {}
    for a, b, probability, pattern in pairs:
        sharing[pattern] = sharing.get(pattern, 0) + 1
        if _pair(a, b) in known:
            taken[pattern] = taken.get(pattern, 0) + 1
        else:
            waiting.setdefault(pattern, []).append((-_entropy(probability), *_pair(a, b)))
    for group in waiting.values():
        heapq.heapify(group)

    def value(pattern: str) -> tuple[float, str, str]:
        least, a, b = waiting[pattern][0]
        return (least * math.log2(1 + sharing[pattern]) / (1 + taken.get(pattern, 0)), a, b)

    heap = [(*value(p), p) for p in waiting]
    heapq.heapify(heap)
    order: list[tuple[str, str]] = []
    while heap and (limit is None or len(order) < limit):
        _, a, b, pattern = heapq.heappop(heap)
        order.append((a, b))
        heapq.heappop(waiting[pattern])
        taken[pattern] = taken.get(pattern, 0) + 1
        if waiting[pattern]:
            heapq.heappush(heap, (*value(pattern), pattern))
    return order


def _entropy(p: float) -> float:
    if not 0.0 < p < 1.0:
        return 0.0
    return -(p * math.log2(p) + (1 - p) * math.log2(1 - p))


def teaching_pairs(
    ws: Workspace, snapshot: Snapshot, object: str, standing: Standing, limit: int = 200
) -> list[tuple[str, str]]:
    """Return the pairs of a scored object that would teach most, for a queue to show first; at most 50,000 are looked at.

    Parameters
    ----------
    standing : Standing
        Decisions in force; decided pairs are left out.
    """
    cursor = ws.connection.cursor()
    try:
        rows = cursor.execute(
            "SELECT left_id, right_id, probability, weights_json FROM pairs WHERE snapshot = ? AND object = ? "
            "ORDER BY abs(probability - 0.5), left_id, right_id LIMIT 50000",
            [snapshot.digest, object],
        ).fetchall()
    finally:
        cursor.close()
    labels = labels_from(standing, object, rules_too=True)
    offered = ((a, b, p, "|".join(str(w["level"]) for w in json.loads(text))) for a, b, p, text in rows)
    return teach_most(offered, [*labels.together, *labels.apart], limit)


def _pair(a: str, b: str) -> tuple[str, str]:
    return (a, b) if a <= b else (b, a)
