"""The cut without truth: from which probability on records are proposed as duplicates.

The model's own probabilities say how many of the pairs above a cut are wrong. The cut is the lowest at which the expected
share of wrong pairs among those proposed stays under one in twenty-two, and never below .6: a missed duplicate stays
visible for review, a wrong merge destroys a customer. In a table of a few hundred records the model is assumption more than
measurement, and a person can look at every pair: there the cut is never below .95.
"""

from __future__ import annotations

import numpy as np

from steward.scoring.duplicates.score import Scored

WRONG_AT_MOST = 0.045
LOWEST = 0.6
HIGHEST = 0.99
FEW_RECORDS = 300
LOWEST_OF_FEW = 0.95


def choose_cut(pairs: Scored, records: int) -> float:
    """Return the cut in [0.6, 0.99] for pairs found among so many records."""
    lowest = LOWEST if records >= FEW_RECORDS else LOWEST_OF_FEW
    probability = np.sort(pairs.probability)[::-1]
    if not len(probability):
        return lowest
    wrong = np.cumsum(1.0 - probability) / np.arange(1, len(probability) + 1)
    fine = np.flatnonzero(wrong <= WRONG_AT_MOST)
    if not len(fine):
        return HIGHEST
    if fine[-1] == len(probability) - 1:
        return lowest
    return float(np.clip(probability[fine[-1]], lowest, HIGHEST))
