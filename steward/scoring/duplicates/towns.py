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
        vectors, _, counts = patterns(levels)
        self.hot, self.counts = one_hot(vectors, self.sizes), counts.astype(np.float64)
        self.found = 0.0

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
