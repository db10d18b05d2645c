"""What stands on recordlinkage's own classes: an index, a comparison, an estimator and a classifier for its users.

Our own way through a table needs none of them, and loading recordlinkage takes longer than scoring ten thousand records:
``blocks``, ``levels`` and ``model`` offer these names and load this module only when one is asked for.

Left to others: the work itself (``blocks``, ``levels``, ``model``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import recordlinkage
from recordlinkage.algorithms.nb_sklearn import ECM
from recordlinkage.base import BaseCompareFeature, BaseIndexAlgorithm

from steward.errors import ScoringError
from steward.messages import N_
from steward.scoring.duplicates.blocks import Positions, enumerate_pairs
from steward.scoring.duplicates.columns import Column, encode
from steward.scoring.duplicates.definition import Field
from steward.scoring.duplicates.kinds import KINDS
from steward.scoring.duplicates.levels import compare_codes
from steward.scoring.duplicates.model import Floats, PatternECM


class WeightedECM(PatternECM, ECM):  # type: ignore[misc]  # recordlinkage has no types
    """recordlinkage's kernel over distinct comparison vectors; parameters and attributes as :class:`PatternECM`."""

    def __init__(
        self,
        sizes: Sequence[int],
        related: Sequence[Sequence[bool | Floats]] = (),
        smoothing: float = 0.0,
        max_iter: int = 200,
        atol: float = 1e-7,
    ) -> None:
        ECM.__init__(self, init="given", max_iter=max_iter, binarize=None, atol=atol)
        PatternECM.__init__(self, sizes, related, smoothing, max_iter, atol)


class PatternECMClassifier(recordlinkage.ECMClassifier):  # type: ignore[misc]  # recordlinkage has no types
    """recordlinkage's classifier over :class:`WeightedECM`; ``prob`` and ``predict`` work on a pandas table of levels."""

    def __init__(self, kernel: WeightedECM) -> None:
        super().__init__()
        self.kernel = kernel


class KeyIndex(BaseIndexAlgorithm):  # type: ignore[misc]  # recordlinkage has no types
    """A blocking rule over equal columns for ``recordlinkage.Index``: sorted blocks instead of a merge.

    Parameters
    ----------
    on : str or list of str
    """

    def __init__(self, on: str | list[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.on = [on] if isinstance(on, str) else list(on)

    def _codes(self, frames: list[pd.DataFrame]) -> Positions:
        try:
            both = pd.concat([f[self.on] for f in frames], ignore_index=True)
        except KeyError as error:
            raise ScoringError(
                N_("The blocking rule names a column that the table does not have: {column}."), column=str(error)
            ) from None
        codes = both.groupby(self.on, sort=False, dropna=True).ngroup().to_numpy().astype(np.int64)
        return np.where(both.isna().any(axis=1).to_numpy(), -1, codes)

    def _dedup_index(self, df_a: pd.DataFrame) -> pd.MultiIndex:
        found = list(enumerate_pairs(self._codes([df_a])))
        left = np.concatenate([a for a, _ in found]) if found else np.zeros(0, np.int64)
        right = np.concatenate([b for _, b in found]) if found else np.zeros(0, np.int64)
        high, low = np.maximum(left, right), np.minimum(left, right)
        return pd.MultiIndex.from_arrays([df_a.index.to_numpy()[high], df_a.index.to_numpy()[low]])

    def _link_index(self, df_a: pd.DataFrame, df_b: pd.DataFrame) -> pd.MultiIndex:
        key, cut = self._codes([df_a, df_b]), len(df_a)
        lefts, rights = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for a, b in enumerate_pairs(key):
            low, high = np.minimum(a, b), np.maximum(a, b)
            across = (low < cut) & (high >= cut)
            lefts.append(low[across])
            rights.append(high[across] - cut)
        left, right = np.concatenate(lefts), np.concatenate(rights)
        return pd.MultiIndex.from_arrays([df_a.index.to_numpy()[left], df_b.index.to_numpy()[right]])


class LevelFeature(BaseCompareFeature):  # type: ignore[misc]  # recordlinkage has no types
    """One of our comparisons as a feature of ``recordlinkage.Compare``; gives levels, ``-1`` for missing.

    Parameters
    ----------
    left_on, right_on : str
        Columns.
    kind : str
        Name of a kind, e.g. ``given`` or ``company``.
    """

    name = "level"
    description = "Comparison levels of steward."

    def __init__(self, left_on: str, right_on: str, kind: str, label: str | None = None) -> None:
        super().__init__(left_on, right_on, label=label)
        self.kind = kind

    def _compute_vectorized(self, s_left: pd.Series[Any], s_right: pd.Series[Any]) -> pd.Series[Any]:
        both = pl.Series([None if pd.isna(v) else str(v) for v in [*s_left, *s_right]], dtype=pl.String)
        codes, key, latin = encode(both.str.strip_chars().replace("", None), self.kind)
        counts = np.bincount(codes[codes >= 0], minlength=len(key)).astype(np.int64)
        column = Column(
            Field(str(self.label or "x"), self.kind), KINDS[self.kind], codes, key, latin, counts, np.zeros(len(key), bool)
        )
        level = compare_codes(column, codes[: len(s_left)], codes[len(s_left) :])
        return pd.Series(level, index=s_left.index)
