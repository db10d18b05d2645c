"""What became of clusters between two runs: unchanged, grown, shrunk, merged, split, overlapping, new, gone.

Runs are compared by their members alone, so that another snapshot, definition or machine makes no difference.

Left to others: reading clusters (``steward.store``), showing the outcome (``steward.commands.compare_clusters``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Fate = Literal["unchanged", "grown", "shrunk", "merged", "split", "overlapping", "new", "gone"]

FATES: tuple[Fate, ...] = ("unchanged", "grown", "shrunk", "merged", "split", "overlapping", "new", "gone")


@dataclass(frozen=True, slots=True)
class Change:
    """Clusters before and after that share members, and what that makes of them.

    Attributes
    ----------
    before, after : tuple of tuple of str
        Members, sorted; several where clusters were merged, split or reshuffled.
    """

    fate: Fate
    before: tuple[tuple[str, ...], ...]
    after: tuple[tuple[str, ...], ...]


def compare(before: Iterable[Iterable[str]], after: Iterable[Iterable[str]]) -> list[Change]:
    """Return what became of each cluster, groups of clusters that share members together.

    Parameters
    ----------
    before, after : iterable of clusters
        Members of each; a record belongs to one cluster of a run at most.

    Raises
    ------
    ValueError
        A record is in two clusters of one run.
    """
    old, new = _sorted(before), _sorted(after)
    home = {member: i for i, cluster in enumerate(new) for member in cluster}
    back = {member: i for i, cluster in enumerate(old) for member in cluster}
    changes: list[Change] = []
    seen_old: set[int] = set()
    for start in range(len(old)):
        if start in seen_old:
            continue
        olds, news = {start}, set()
        todo = [start]
        while todo:
            for member in old[todo.pop()]:
                target = home.get(member)
                if target is None or target in news:
                    continue
                news.add(target)
                for other in new[target]:
                    source = back.get(other)
                    if source is not None and source not in olds:
                        olds.add(source)
                        todo.append(source)
        seen_old |= olds
        changes.append(_change([old[i] for i in sorted(olds)], [new[i] for i in sorted(news)]))
    touched = {member for cluster in old for member in cluster}
    changes += [Change("new", (), (cluster,)) for cluster in new if not touched & set(cluster)]
    return sorted(changes, key=lambda c: (FATES.index(c.fate), c.before, c.after))


def _sorted(clusters: Iterable[Iterable[str]]) -> list[tuple[str, ...]]:
    out = sorted(tuple(sorted(set(c))) for c in clusters)
    members = [m for c in out for m in c]
    if len(members) != len(set(members)):
        raise ValueError("a record is in two clusters of one run")
    return out


def _change(old: Sequence[tuple[str, ...]], new: Sequence[tuple[str, ...]]) -> Change:
    fate: Fate
    if not new:
        fate = "gone"
    elif len(old) == len(new) == 1:
        a, b = set(old[0]), set(new[0])
        fate = "unchanged" if a == b else "grown" if a < b else "shrunk" if b < a else "overlapping"
    elif len(new) == 1:
        fate = "merged"
    elif len(old) == 1:
        fate = "split"
    else:
        fate = "overlapping"
    return Change(fate, tuple(old), tuple(new))
