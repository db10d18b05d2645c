"""Clusters that no single weak link can chain: greedy correlation clustering by average weight.

Records start alone. The strongest link is taken first; two groups join only if a pair across them reaches the cut and the
*average* over all pairs across them speaks for it, each pair's weight bounded so that no one pair outvotes the rest. What
speaks for or against is evidence, and evidence is counted from even odds: the cut says how sure the link must be that begins
a join, and a pair that is likely but does not reach it is no witness against (counted from a cut of .95, a pair at .9 would
be, and the members of one customer would come apart the more, the surer one asked the links to be). A pair that was never a
candidate counts against, a pair that a person rejected forbids. A hotline number that links two families is thus outvoted by everything
else that differs, and one bad link cannot carry hundreds of others with it.

Left to others: weights (``score``), which record survives (``survivor``).
"""

from __future__ import annotations

import hashlib
import heapq
import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from steward.scoring.duplicates.components import components

Positions = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int64]
Across = tuple[float, int, bool]  # between two groups: bits of the pairs looked at, how many, whether one is a link

BOUND = 12.0
"""Bits that one pair may weigh at most, for or against."""

BEYOND = 1e-4
"""Share of a weight that counts beyond the bound, so that of two sure links the surer one comes first."""

STRANGERS = -6.0
"""Bits of a pair that no rule proposed and that was not looked at."""

WHOLE_UP_TO = 120
"""Members of a linked group up to which every pair in it is scored before it is split."""


def cluster(
    n: int,
    left: Positions,
    right: Positions,
    margin: npt.NDArray[np.float64],
    *,
    apart: Iterable[tuple[int, int]] = (),
    all_pairs: Callable[[Positions, Positions], npt.NDArray[np.float64]] | None = None,
    above_even: float = 0.0,
) -> Labels:
    """Return the cluster of each record.

    Parameters
    ----------
    n : int
        Records.
    left, right : array (n_pairs,)
    margin : array (n_pairs,) of float64
        Bits above the cut; negative speaks against.
    apart : iterable of (int, int)
        Pairs that never share a cluster.
    all_pairs : callable, optional
        Returns margins of pairs that were not candidates; used within linked groups of moderate size.
    above_even : float
        Bits by which the cut lies above even odds; below 0 counts as 0.

    Returns
    -------
    labels : array (n,) of int64
        Equal for members of one cluster; the smallest member's position.
    """
    labels = np.arange(n, dtype=np.int64)
    linked = margin > 0
    if not linked.any():
        return labels
    component = components(n, left[linked], right[linked])
    sizes = np.bincount(component)
    forbidden = {(min(a, b), max(a, b)) for a, b in apart}
    inside = (component[left] == component[right]) & (sizes[component[left]] > 1)
    left, right, margin = left[inside], right[inside], margin[inside]
    order = np.argsort(component[left], kind="stable")
    left, right, margin = left[order], right[order], margin[order]
    at = component[left]
    edges = np.flatnonzero(np.diff(at)) + 1
    starts = np.concatenate([[0], edges])
    ends = np.concatenate([edges, [len(at)]])
    held_apart = {int(component[a]) for pair in forbidden for a in pair}
    counts = ends - starts
    size = sizes[at[starts]]
    lowest = np.minimum.reduceat(margin, starts)
    whole = (counts == size * (size - 1) // 2) & (lowest > 0)  # every pair is linked: nothing to weigh
    quick = np.array([bool(w) and int(at[s]) not in held_apart for w, s in zip(whole, starts, strict=True)])
    for s, e in zip(starts[quick], ends[quick], strict=True):
        first = min(int(left[s:e].min()), int(right[s:e].min()))
        labels[left[s:e]] = first
        labels[right[s:e]] = first
    slow = [(int(s), int(e)) for s, e in zip(starts[~quick], ends[~quick], strict=True)]
    known = [(left[s:e], right[s:e], margin[s:e]) for s, e in slow]
    if all_pairs is not None:
        known = _complete(known, all_pairs)
    for part in known:
        for members in _agglomerate(*part, forbidden, max(above_even, 0.0)):
            labels[members] = min(members)
    return labels


def _complete(
    known: Sequence[tuple[Positions, Positions, npt.NDArray[np.float64]]],
    all_pairs: Callable[[Positions, Positions], npt.NDArray[np.float64]],
) -> list[tuple[Positions, Positions, npt.NDArray[np.float64]]]:
    """Score the pairs within each moderate group that were not candidates, all groups in one call."""
    missing_left, missing_right, cuts = [], [], [0]
    for left, right, _ in known:
        members = np.unique(np.concatenate([left, right]))
        if len(members) > WHOLE_UP_TO:
            cuts.append(cuts[-1])
            continue
        i, j = np.triu_indices(len(members), 1)
        a, b = members[i], members[j]
        width = int(members.max()) + 1
        new = ~np.isin(a * width + b, np.minimum(left, right) * width + np.maximum(left, right))
        missing_left.append(a[new])
        missing_right.append(b[new])
        cuts.append(cuts[-1] + int(new.sum()))
    if not cuts[-1]:
        return list(known)
    a, b = np.concatenate(missing_left), np.concatenate(missing_right)
    margins = all_pairs(a, b)
    return [
        (np.concatenate([left, a[s:e]]), np.concatenate([right, b[s:e]]), np.concatenate([margin, margins[s:e]]))
        for (left, right, margin), s, e in zip(known, cuts[:-1], cuts[1:], strict=True)
    ]


def _agglomerate(
    left: Positions,
    right: Positions,
    margin: npt.NDArray[np.float64],
    forbidden: set[tuple[int, int]],
    above_even: float,
) -> list[list[int]]:
    """Join groups by average margin, best first; ties by the smallest members, so that order never matters."""
    evidence = margin + above_even
    bounded = np.clip(evidence, -BOUND, BOUND) + BEYOND * evidence
    groups: dict[int, list[int]] = {}
    sums: dict[int, dict[int, Across]] = {}
    for a, b, weight, link in zip(left.tolist(), right.tolist(), bounded.tolist(), (margin > 0).tolist(), strict=True):
        a, b = (a, b) if a < b else (b, a)
        groups.setdefault(a, [a])
        groups.setdefault(b, [b])
        sums.setdefault(a, {})[b] = (weight, 1, link)
        sums.setdefault(b, {})[a] = (weight, 1, link)
    barred: dict[int, set[int]] = {}
    for a, b in forbidden:
        if a in groups and b in groups:
            barred.setdefault(a, set()).add(b)
            barred.setdefault(b, set()).add(a)

    def mean(a: int, b: int) -> float:
        total, known, linked = sums[a][b]
        if not linked:
            return -math.inf
        pairs = len(groups[a]) * len(groups[b])
        return (total + STRANGERS * (pairs - known)) / pairs

    heap = [(-mean(a, b), min(a, b), max(a, b)) for a, others in sums.items() for b in others if a < b and mean(a, b) > 0]
    heapq.heapify(heap)
    while heap:
        score, a, b = heapq.heappop(heap)
        if (
            a not in groups
            or b not in groups
            or b not in sums[a]
            or not abs(mean(a, b) + score) <= 1e-9
            or b in barred.get(a, ())
        ):
            continue
        groups[a] += groups.pop(b)
        absorbed = sums.pop(b)
        sums[a].pop(b, None)
        for other, (total, known, linked) in absorbed.items():
            if other == a:
                continue
            before = sums[a].get(other, (0.0, 0, False))
            both = (before[0] + total, before[1] + known, before[2] or linked)
            sums[a][other] = both
            sums[other].pop(b, None)
            sums[other][a] = both
        if b in barred:
            for other in barred.pop(b):
                barred.setdefault(a, set()).add(other)
                barred[other].discard(b)
                barred[other].add(a)
        for other in sums[a]:
            value = mean(a, other)
            sums[other][a] = sums[a][other]
            if value > 0:
                heapq.heappush(heap, (-value, min(a, other), max(a, other)))
    return [members for members in groups.values() if len(members) > 1]


def cluster_id(object: str, members: Iterable[str]) -> str:
    """Return a cluster's id: by its first member in natural order, so that it stays when later records join or leave."""
    first = min(members, key=lambda m: (len(m), m))
    return "dup-" + hashlib.sha256(f"steward.cluster.v1\n{object}\n{first}".encode()).hexdigest()[:16]
