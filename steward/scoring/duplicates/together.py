"""What people decided holds: records that a person merged share a cluster, pairs that a person rejected never do.

Left to others: clusters by weight (``cluster``), reading decisions (``learning``).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.int64]


def hold_together(labels: Labels, together: Iterable[tuple[int, int]], apart: Iterable[tuple[int, int]] = ()) -> Labels:
    """Return clusters in which every pair of ``together`` shares one, and no pair of ``apart`` does.

    Parameters
    ----------
    labels : array (n,) of int64
        Cluster of each record, its smallest position.
    together, apart : iterable of (int, int)
        What people decided. Where the two contradict each other through several records, ``apart`` holds and the pair
        whose joining would break it stays as it was.

    Notes
    -----
    Two clusters become one only through a person's pair. Where that would bring a rejected pair together, the two records
    alone leave their clusters and form one of their own, if that keeps every rejected pair apart.
    """
    wanted = sorted({(min(a, b), max(a, b)) for a, b in together})
    if not wanted:
        return labels
    barred: dict[int, set[int]] = {}
    for a, b in apart:
        barred.setdefault(a, set()).add(b)
        barred.setdefault(b, set()).add(a)
    out = labels.copy()
    members: dict[int, set[int]] = {}
    for label in {int(out[i]) for pair in wanted for i in pair}:
        members[label] = set(np.flatnonzero(out == label).tolist())
    held: dict[int, set[int]] = {}  # records bound to each other by decisions so far
    for a, b in wanted:
        bound = held.get(a, {a}) | held.get(b, {b})
        if _broken(bound, barred):
            continue
        for member in bound:
            held[member] = bound
        one, two = int(out[a]), int(out[b])
        if one == two:
            continue
        joined = members[one] | members[two]
        if _broken(joined, barred):
            joined = bound
        for label in {int(out[m]) for m in joined}:
            left = members.setdefault(label, set(np.flatnonzero(out == label).tolist())) - joined
            members.pop(label)
            if left:
                first = min(left)
                members[first] = left
                out[sorted(left)] = first
        members[min(joined)] = joined
        out[sorted(joined)] = min(joined)
    return out


def _broken(group: set[int], barred: dict[int, set[int]]) -> bool:
    return any(barred.get(member, set()) & group for member in group)
