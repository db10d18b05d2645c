"""The cut without truth: from which probability on records are proposed as duplicates.

The model's own probabilities say how many of the pairs above a cut are wrong. The cut is the lowest at which the expected
share of wrong pairs among those proposed stays under three in a hundred, and never below .6: a missed duplicate stays
visible for review, a wrong merge destroys a customer.
"""

from __future__ import annotations

import numpy as np

from steward.scoring.duplicates.score import Scored

WRONG_AT_MOST = 0.03
LOWEST = 0.6
HIGHEST = 0.99


def choose_cut(pairs: Scored) -> float:
    """Return the cut in [0.6, 0.99]."""
    probability = np.sort(pairs.probability)[::-1]
    if not len(probability):
        return LOWEST
    wrong = np.cumsum(1.0 - probability) / np.arange(1, len(probability) + 1)
    fine = np.flatnonzero(wrong <= WRONG_AT_MOST)
    if not len(fine):
        return HIGHEST
    return float(np.clip(probability[fine[-1]], LOWEST, HIGHEST))
