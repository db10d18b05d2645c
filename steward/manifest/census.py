"""What is counted and compared over all items of a manifest: that each record stands once, and that no survivor goes.

Left to others: reading the file and deciding by the keys themselves where hashes met (``chunks``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from operator import lt

from steward.manifest.format import Item


@dataclass(slots=True)
class Census:
    """What is counted and compared over all items.

    That no record stands twice is known at once while the ids of each object ascend, as a draft writes them. From the first
    that does not, or the first survivor, ids and survivors are kept as 64-bit hashes by object; ``ascending`` is False then,
    and whoever walks the file takes the chunks before anew (:meth:`restart`).
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    ascending: bool = True
    last: dict[str, str] = field(default_factory=dict)
    seen: dict[str, set[int]] = field(default_factory=dict)
    survivors: dict[str, set[int]] = field(default_factory=dict)
    records: int = 0

    def take(self, object: str, ids: list[str]) -> None:
        """Note the ids of one object in the order of the file; there is at least one."""
        if self.ascending:
            if ids[0] > self.last.get(object, "") and all(map(lt, ids, islice(ids, 1, None))):
                self.last[object] = ids[-1]
                return
            self.ascending = False
        self.seen.setdefault(object, set()).update(map(hash, ids))

    def restart(self, chunks: Iterable[list[Item]]) -> None:
        """Take the ids of all chunks so far anew, now as hashes."""
        self.seen.clear()
        for items in chunks:
            for object, ids in by_object([i.object for i in items], [i.id for i in items]):
                self.take(object, ids)

    def doubtful(self) -> bool:
        """True where two hashes have met: the keys themselves must tell then."""
        if self.ascending:
            return False
        if sum(map(len, self.seen.values())) != self.records:
            return True
        return any(hashes & self.seen.get(object, set()) for object, hashes in self.survivors.items())


def by_object(objects: list[str], ids: list[str]) -> list[tuple[str, list[str]]]:
    """Return ids grouped by object, in order."""
    names = set(objects)
    if len(names) == 1:
        return [(objects[0], ids)]
    grouped: dict[str, list[str]] = {name: [] for name in sorted(names)}
    for name, id in zip(objects, ids, strict=True):
        grouped[name].append(id)
    return list(grouped.items())
