"""Which undecided pairs, and which clusters, would teach most: uncertain, common in kind, unlike those before them.

Left to others: what decisions change (``learning``), showing the pairs (``steward.review``).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from steward.decisions import Standing
from steward.records import Snapshot
from steward.scoring.duplicates.learning import labels_from

if TYPE_CHECKING:
    from steward.store import Workspace

LOOKED_AT = 50_000
"""Pairs nearest to even odds among which those that teach most are looked for."""


class _Weight(msgspec.Struct):
    level: str


_WEIGHTS = msgspec.json.Decoder(list[_Weight])


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
    """Return the pairs of a scored object that would teach most, for a person to decide first.

    Parameters
    ----------
    standing : Standing
        Decisions in force; decided pairs are left out.

    Notes
    -----
    At most :data:`LOOKED_AT` pairs are looked at, those nearest to even odds.
    """
    cursor = ws.connection.cursor()
    try:
        rows = cursor.execute(
            "SELECT left_id, right_id, probability, weights_json FROM pairs WHERE snapshot = ? AND object = ? "
            "ORDER BY abs(probability - 0.5), left_id, right_id LIMIT ?",
            [snapshot.digest, object, LOOKED_AT],
        ).fetchall()
    finally:
        cursor.close()
    labels = labels_from(standing, object, rules_too=True)
    offered = ((a, b, p, _pattern(text)) for a, b, p, text in rows)
    return teach_most(offered, [*labels.together, *labels.apart], limit)


def teaching_clusters(ws: Workspace, snapshot: Snapshot, objects: Sequence[str], standing: Standing) -> list[tuple[str, str]]:
    """Return the proposed clusters in the order in which deciding them would teach most: (object, cluster id).

    Parameters
    ----------
    objects : sequence of str
        Objects that were scored with a model; their clusters are ordered together.
    standing : Standing
        Decisions in force. Clusters whose every pair is decided are left out, since they teach nothing more.

    Notes
    -----
    A cluster stands where the first of its pairs stands in :func:`teach_most`. Pairs that join two clusters, or none, are not
    shown to anybody as a case and count for nothing here. At most :data:`LOOKED_AT` pairs are looked at, those nearest to
    even odds, so a cluster of nothing but sure pairs may be left out of a very large queue.
    """
    cursor = ws.connection.cursor()
    try:
        rows = cursor.execute(
            """
            SELECT p.object, a.cluster_id, p.left_id, p.right_id, p.probability, p.weights_json FROM pairs p
              JOIN clusters a ON a.snapshot = p.snapshot AND a.object = p.object AND a.record_id = p.left_id
              JOIN clusters b ON b.snapshot = p.snapshot AND b.object = p.object AND b.record_id = p.right_id
            WHERE p.snapshot = $s AND p.object IN (SELECT unnest($o::VARCHAR[])) AND a.cluster_id = b.cluster_id
            ORDER BY abs(p.probability - 0.5), p.object, p.left_id, p.right_id LIMIT $n
            """,
            {"s": snapshot.digest, "o": list(objects), "n": LOOKED_AT},
        ).fetchall()
    finally:
        cursor.close()
    cluster_of = {_pair(f"{o}/{a}", f"{o}/{b}"): (str(o), str(cluster)) for o, cluster, a, b, _, _ in rows}
    decided: list[tuple[str, str]] = []
    for name in objects:
        labels = labels_from(standing, name, rules_too=True)
        decided += [(f"{name}/{a}", f"{name}/{b}") for a, b in (*labels.together, *labels.apart)]
    offered = ((f"{o}/{a}", f"{o}/{b}", p, f"{o}|{_pattern(text)}") for o, _, a, b, p, text in rows)
    return list(dict.fromkeys(cluster_of[pair] for pair in teach_most(offered, decided)))


def _pattern(weights_json: str) -> str:
    """Return what is equal for pairs whose fields reach the same levels."""
    return "|".join(w.level for w in _WEIGHTS.decode(weights_json))


def _pair(a: str, b: str) -> tuple[str, str]:
    return (a, b) if a <= b else (b, a)
