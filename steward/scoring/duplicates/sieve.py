"""Candidate pairs that cannot reach the threshold, dropped before any text is compared.

Field by field, the most telling first, each pair's best possible weight is drawn tighter: exact agreement and missing
values are integer comparisons, and what differs gets the best level its signatures allow (``signature``). A pair is
dropped as soon as its bound falls below the threshold. Nothing that would reach it is lost: tests compare with scoring
every pair in full.

Left to others: the exact weights (``score``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from steward.scoring.duplicates.columns import Column, Table
from steward.scoring.duplicates.model import Floats
from steward.scoring.duplicates.own import has_own_levels
from steward.scoring.duplicates.signature import at_best, may_cross

Positions = npt.NDArray[np.int64]
Gains = npt.NDArray[np.float32]

SLACK = 0.01
"""Bits that a bound may lie below the threshold, so that rounding never drops a pair."""


class Sieve:
    """The bound of one model over one table.

    Parameters
    ----------
    table : Table
    bits : sequence of array
        Bits per field and level, 0 for missing in the last place.
    rarity : sequence of array
        Bits that exact agreement on each value is worth beyond the level's.
    prior_bits, threshold : float
    """

    def __init__(
        self, table: Table, bits: Sequence[Floats], rarity: Sequence[Floats], prior_bits: float, threshold: float
    ) -> None:
        self.columns = table.columns
        self.threshold = threshold - SLACK
        self.exact: list[Gains] = []
        self.best: list[Gains] = []
        for column, per_level, rare in zip(table.columns, bits, rarity, strict=True):
            top = column.kind.exact
            loose = has_own_levels(column.field)
            best = np.maximum.accumulate(per_level[:top])
            if column.kind.name in ("given", "family"):
                best[1:] = np.maximum(best[1:], 0.0)
            if column.kind.name == "email" and top > 1:  # a mailbox that repeats a name counts as missing
                best[1:] = np.maximum(best[1:], 0.0)
            if loose:  # its own rules may call a pair missing, or equal values less than exact
                best[:] = max(float(best.max()), 0.0)
            exact = per_level[top] + rare[: len(column.key)]
            exact = np.where(column.shared, 0.0, exact) if len(column.key) else np.zeros(0)
            if loose:
                exact = np.maximum(exact, float(best.max()))
            elif column.kind.name == "given":  # father and son of one name count as different
                exact = np.maximum(exact, float(best[0]))
            self.exact.append(np.append(exact, 0.0).astype(np.float32))  # the last is what -1, missing, finds
            self.best.append(best.astype(np.float32))
        kinds = [c.kind.name for c in table.columns]
        self.names = (kinds.index("given"), kinds.index("family")) if {"given", "family"} <= set(kinds) else None
        self.crossed = sum(max(float(self.best[f].max()), 0.0) for f in self.names) if self.names else 0.0
        self.most = [max(float(e.max()), float(b.max()), 0.0) for e, b in zip(self.exact, self.best, strict=True)]
        self.start = prior_bits + sum(self.most)
        if self.names:  # both names are read together; crossed ones may be worth more than either alone
            self.most_of_names = max(sum(self.most[f] for f in self.names), self.crossed)
            self.start += self.most_of_names - sum(self.most[f] for f in self.names)
        rest = [f for f in range(len(kinds)) if not self.names or f not in self.names]
        self.rest = sorted(rest, key=lambda f: -(self.most[f] - float(self.best[f][0])))

    def order(self) -> list[tuple[int, ...]]:
        """Return the fields in the order in which text is compared: what tells most for its cost first, names together."""
        groups: list[tuple[int, ...]] = [(f,) for f in range(len(self.columns)) if not self.names or f not in self.names]
        groups += [self.names] if self.names else []
        cost = {"address": 6.0, "company": 8.0, "person": 8.0, "email": 5.0, "birthdate": 0.5}

        def telling(group: tuple[int, ...]) -> float:
            span = sum(float(self.best[f].max() - self.best[f][0]) for f in group)
            return span / sum(cost.get(self.columns[f].kind.name, 1.0) for f in group)

        return sorted(groups, key=telling, reverse=True)

    def gains(self, left: Positions, right: Positions) -> list[Gains]:
        """Return the most that each field may add to each pair; what both names may add stands at the given name."""
        out = [
            np.zeros(len(left), np.float32) if self.names and f in self.names else self._field(f, left, right)[0]
            for f in range(len(self.columns))
        ]
        if self.names:
            out[self.names[0]] = self._names(left, right)
        return out

    def told(self, f: int, level: npt.NDArray[np.int8], bits: Floats) -> Floats:
        """Return the most that a field may add once its level is known: names may still take part of it back.

        A mailbox that follows from a name will count as missing, a given name of another generation as different.
        """
        kind = self.columns[f].kind.name
        if kind == "email":
            return np.where((level > 0) & (level < self.columns[f].kind.exact), np.maximum(bits, 0.0), bits)
        if kind == "given":
            return np.where(level > 0, np.maximum(bits, float(self.best[f][0])), bits)
        return bits

    def names_told(self, left: Positions, right: Positions, levels: npt.NDArray[np.int8], told: Gains) -> Gains:
        """Return the most that both names may add once their levels are known; ``told`` is what these levels say."""
        assert self.names is not None
        g, f = self.names
        open_ = np.flatnonzero((levels[:, g] <= 0) & (levels[:, f] <= 0))
        if len(open_):
            given, family = self.columns[g].codes, self.columns[f].codes
            a, b = left[open_], right[open_]
            rows = open_[self._cross(given[a], family[b]) | self._cross(given[b], family[a])]
            told[rows] = np.maximum(told[rows], np.float32(self.crossed))
        return told

    def keep(self, left: Positions, right: Positions) -> tuple[Positions, Positions]:
        """Return the pairs that may reach the threshold, in their order."""
        bound = np.full(len(left), self.start, np.float32)
        if self.names:
            bound += self._names(left, right) - np.float32(self.most_of_names)
            left, right, bound = self._drop(left, right, bound)
        for f in self.rest:
            if not len(left):
                break
            gain, _, _ = self._field(f, left, right)
            bound += gain - np.float32(self.most[f])
            left, right, bound = self._drop(left, right, bound)
        kept = bound >= self.threshold
        return left[kept], right[kept]

    def _drop(self, left: Positions, right: Positions, bound: Gains) -> tuple[Positions, Positions, Gains]:
        kept = np.flatnonzero(bound >= self.threshold)
        if len(kept) > 0.8 * len(left):
            return left, right, bound
        return left[kept], right[kept], bound[kept]

    def _field(self, f: int, left: Positions, right: Positions) -> tuple[Gains, npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Return the most that a field may add, and its codes."""
        column = self.columns[f]
        a, b = column.codes[left], column.codes[right]
        equal = a == b
        gain = self.exact[f][np.where(equal, a, -1)]
        differ = np.flatnonzero(~equal & ((a | b) >= 0))
        gain[differ] = self._unequal(column, f, a[differ], b[differ])
        return gain, a, b

    def _unequal(self, column: Column, f: int, a: npt.NDArray[np.int32], b: npt.NDArray[np.int32]) -> Gains | np.float32:
        level = at_best(column, a, b)
        found: Gains | np.float32 = np.float32(self.best[f].max()) if level is None else self.best[f][level]
        return found

    def _names(self, left: Positions, right: Positions) -> Gains:
        """Return the most that both names may add together, in each other's column as well."""
        assert self.names is not None
        g, f = self.names
        given, a, b = self._field(g, left, right)
        family, x, y = self._field(f, left, right)
        both = given + family
        open_ = np.flatnonzero((a != b) & (x != y))
        if len(open_):
            able = self._cross(a[open_], y[open_]) | self._cross(b[open_], x[open_])
            rows = open_[able]
            both[rows] = np.maximum(both[rows], np.float32(self.crossed))
        return both

    def _cross(self, given: npt.NDArray[np.int32], family: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        assert self.names is not None
        g, f = self.names
        out = np.zeros(len(given), bool)
        there = np.flatnonzero((given | family) >= 0)
        able = may_cross(self.columns[g], self.columns[f], given[there], family[there])
        out[there] = True if able is None else able
        return out
