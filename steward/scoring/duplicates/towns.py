"""How many pairs of strangers live in one town: counted on random pairs, since no rule proposes them.

City and postcode go together whoever lives there. Blocking rules see only those of one town who share a name or a birthday as
well; read from these alone, such pairs look like customers whose other fields have changed.

Left to others: what else look-alikes share (``train``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from steward.scoring.duplicates.columns import Table
from steward.scoring.duplicates.levels import compare_codes
from steward.scoring.duplicates.model import Floats, class_probabilities, log_likelihoods, one_hot, patterns

PAIRS = 40_000
"""Random pairs that are looked at."""

AT_MOST = 0.5
"""Share of all pairs that live in one town, at most; where nearly everybody does, a town tells nothing."""

ENOUGH = 50
"""Random pairs of one city from which on they say what its people share."""

IN_TOWN = ("town", "namesake in town")

TURNS = 10

PLACES = frozenset({"city", "postcode", "category"})


class Towns:
    """Levels of random pairs on the fields that say where somebody lives.

    Parameters
    ----------
    table : Table
    rng : Generator
        Draws the pairs.
    """

    def __init__(self, table: Table, rng: np.random.Generator) -> None:
        n, fields = len(table), len(table.columns)
        self.sizes = [len(c.kind.levels) for c in table.columns]
        size = PAIRS if n > 1 and any(c.kind.base in PLACES for c in table.columns) else 0
        left, right = rng.integers(0, max(n, 1), size), rng.integers(0, max(n, 1), size)
        left, right = left[left != right], right[left != right]
        levels = np.full((len(left), fields), -1, np.int8)
        for f, column in enumerate(table.columns):
            if column.kind.base in PLACES:
                levels[:, f] = compare_codes(column, column.codes[left], column.codes[right])
        self.within = self._within(table, levels)
        vectors, _, counts = patterns(levels)
        self.hot, self.counts = one_hot(vectors, self.sizes), counts.astype(np.float64)
        self.found = 0.0

    def _within(self, table: Table, levels: npt.NDArray[np.int8]) -> dict[int, Floats]:
        """Return how often pairs of one city reach each level of the other fields; nothing where too few were drawn."""
        cities = [f for f, c in enumerate(table.columns) if c.kind.base == "city"]
        if not cities:
            return {}
        same = levels[:, cities[0]] == table.columns[cities[0]].kind.exact
        found = {}
        for f, column in enumerate(table.columns):
            seen = levels[same, f]
            seen = seen[seen >= 0]
            if f != cities[0] and len(seen) >= ENOUGH:
                counts = np.bincount(seen, minlength=len(column.kind.levels)) + 0.5
                found[f] = counts / counts.sum()
        return found

    def seen(self, related: Sequence[tuple[bool | Floats, ...]], labels: Sequence[str]) -> list[tuple[bool | Floats, ...]]:
        """Return the classes with what people of one town share as the table shows it: a city has more than one postcode."""
        return [
            tuple(self.within.get(f, how) if how is True else how for f, how in enumerate(shared))
            if label in IN_TOWN
            else shared
            for shared, label in zip(related, labels, strict=True)
        ]

    def share(self, m: Sequence[Floats], u: Sequence[Floats], town: Sequence[bool | Floats], matches: float = 0.0) -> float:
        """Return the share of all pairs that are strangers of one town under a model; it starts from what it found before.

        Parameters
        ----------
        matches : float
            Share of all pairs that are matches: they live in one town as well.
        """
        if not len(self.counts):
            return 0.0
        logs: npt.NDArray[np.float64] = log_likelihoods(self.hot, m, u, [town])[:, 1:]
        share = self.found or 0.01
        for _ in range(TURNS):
            given = class_probabilities(logs, np.array([1.0 - share, share]))
            share = min(float(given[:, 1] @ self.counts) / float(self.counts.sum()), AT_MOST)
        self.found = share
        return max(share - matches, 0.0)
