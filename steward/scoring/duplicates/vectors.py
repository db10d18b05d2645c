"""A user's ``recordlinkage.Compare`` computed as it stands, on distinct value pairs: equal vectors, less work.

A feature that looks at each pair alone gives the same for the same two values, so it is run once per distinct pair of
values and the result handed out. ``String`` with an edit or Jaro distance is compiled to rapidfuzz where both texts are
plain letters (jellyfish counts grapheme clusters, rapidfuzz code points: there the two agree); everything else runs the
feature's own code. A feature that looks at the whole column (``Frequency``, or one of the user's that gives another result
for half of the pairs) is run whole.

Left to others: pairs and classifiers (``objects``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import recordlinkage
from rapidfuzz import process
from rapidfuzz.distance import DamerauLevenshtein, Jaro, JaroWinkler, Levenshtein
from recordlinkage.base import BaseCompareFeature
from recordlinkage.compare import Date, Exact, Frequency, FrequencyA, FrequencyB, Geographic, Numeric, String, Variable
from recordlinkage.utils import fillna, listify

Positions = npt.NDArray[np.int64]

EACH_PAIR_ALONE = (Exact, String, Numeric, Geographic, Date, Variable)
WHOLE_COLUMN = (Frequency, FrequencyA, FrequencyB)

PROBED = 400
"""Pairs on which a feature nobody knows is tried whole and in halves."""

_COMPILED: dict[str, tuple[Any, bool]] = {
    "jaro": (Jaro.similarity, False), "jarowinkler": (JaroWinkler.similarity, False), "jaro_winkler": (JaroWinkler.similarity, False),
    "jw": (JaroWinkler.similarity, False), "levenshtein": (Levenshtein.distance, True),
    "dameraulevenshtein": (DamerauLevenshtein.distance, True), "damerau_levenshtein": (DamerauLevenshtein.distance, True),
    "dl": (DamerauLevenshtein.distance, True),
}  # fmt: skip

_PLAIN = r"^[ -~\u00a0-\u00ac\u00ae-\u024f\u0391-\u03c9\u0410-\u044f\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff]+$"
"""Texts in which a grapheme cluster is one code point; no combining marks, joiners or emoji."""


def compute(
    compare: recordlinkage.Compare, pairs: pd.MultiIndex, x: pd.DataFrame, x_link: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return what ``compare.compute(pairs, x, x_link)`` returns.

    Parameters
    ----------
    compare : recordlinkage.Compare
        As the user built it.
    pairs : MultiIndex
        Labels of the two records of each pair.
    x, x_link : DataFrame
        As for recordlinkage.
    """
    other = x if x_link is None else x_link
    left, right = positions(pairs, 0, x), positions(pairs, 1, other)
    results = [(_feature(f, pairs, x, other, left, right), f.label) for f in compare.features]
    frame: pd.DataFrame = compare._union(results, pairs)
    return frame


def positions(pairs: pd.MultiIndex, level: int, frame: pd.DataFrame) -> Positions:
    """Return the rows of a frame that one side of the pairs names."""
    rows = frame.index.get_indexer(pairs.levels[level])[pairs.codes[level]]
    out: Positions = np.asarray(rows, np.int64)
    return out


def _feature(
    feature: BaseCompareFeature, pairs: pd.MultiIndex, x: pd.DataFrame, other: pd.DataFrame, left: Positions, right: Positions
) -> Any:
    labels = (_labels(feature.labels_left), _labels(feature.labels_right))
    if not len(left) or isinstance(feature, WHOLE_COLUMN) or labels == ([], []):
        return _run(feature, pairs, x, other, left, right)
    keys = _distinct(labels, x, other, left, right)
    if keys is None:
        return _run(feature, pairs, x, other, left, right)
    if type(feature) not in EACH_PAIR_ALONE and not _looks_at_each_pair_alone(feature, pairs, x, other, left, right):
        return _run(feature, pairs, x, other, left, right)
    first, inverse = keys
    if type(feature) is String and feature.method in _COMPILED:
        a, b = x[labels[0][0]].iloc[left[first]], other[labels[1][0]].iloc[right[first]]
        return _strings(feature, a, b).iloc[inverse].reset_index(drop=True)
    found = _run(feature, pairs[first], x, other, left[first], right[first])
    return _handed_out(found, inverse)


def _labels(labels: Any) -> list[Any]:
    return [] if labels is None else list(listify(labels))


def _run(
    feature: BaseCompareFeature, pairs: pd.MultiIndex, x: pd.DataFrame, other: pd.DataFrame, left: Positions, right: Positions
) -> Any:
    """Run a feature's own code on some pairs, with the data as recordlinkage hands them over."""
    sides = []
    for labels, frame, rows in ((feature.labels_left, x, left), (feature.labels_right, other, right)):
        if labels is None:
            sides.append(())
            continue
        part = frame[_labels(labels)].iloc[rows] if _labels(labels) else frame[[]].iloc[rows]
        part.index = pairs
        sides.append(tuple(part[label] for label in _labels(labels)) if _labels(labels) else (part,))
    return feature._compute(*sides)


def _distinct(
    labels: tuple[list[Any], list[Any]], x: pd.DataFrame, other: pd.DataFrame, left: Positions, right: Positions
) -> tuple[Positions, Positions] | None:
    """Return the first pair of each distinct combination of values and the combination of each pair; None where values cannot be told apart."""
    key = np.zeros(len(left), np.int64)
    width = 1
    for names, frame, rows in ((labels[0], x, left), (labels[1], other, right)):
        for name in names:
            column = frame[name]
            if column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) not in ("string", "empty"):
                return None  # 1 and True, lists: equal or without a hash, and yet not the same to a function
            codes, values = pd.factorize(column)
            size = len(values) + 1
            if width > (1 << 62) // size:
                key = np.unique(key, return_inverse=True)[1].astype(np.int64)
                width = int(key.max(initial=0)) + 1
            key = key * size + (codes[rows] + 1)
            width *= size
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    return first.astype(np.int64), inverse.astype(np.int64)


def _looks_at_each_pair_alone(
    feature: BaseCompareFeature, pairs: pd.MultiIndex, x: pd.DataFrame, other: pd.DataFrame, left: Positions, right: Positions
) -> bool:
    """Tell whether a feature gives each of some pairs the same, whichever others it is shown with."""
    rows = np.unique(np.linspace(0, len(left) - 1, min(PROBED, len(left))).astype(np.int64))
    if len(rows) < 2:
        return False
    whole = _parts(_run(feature, pairs[rows], x, other, left[rows], right[rows]))
    halves: list[list[npt.NDArray[Any]]] = []
    for part in (rows[::2], rows[1::2]):
        halves.append(_parts(_run(feature, pairs[part], x, other, left[part], right[part])))
    if len({len(h) for h in (whole, *halves)}) > 1:
        return False
    for column, even, odd in zip(whole, *halves, strict=True):
        joined = np.empty(len(rows), object)
        joined[::2], joined[1::2] = even, odd
        if not all(a == b or (pd.isna(a) and pd.isna(b)) for a, b in zip(column, joined, strict=True)):
            return False
    return True


def _parts(found: Any) -> list[npt.NDArray[Any]]:
    """Return the columns of whatever a feature gave back."""
    if isinstance(found, tuple):
        return [c for part in found for c in _parts(part)]
    if isinstance(found, pd.DataFrame):
        return [found.iloc[:, i].to_numpy() for i in range(found.shape[1])]
    array = np.asarray(found)
    return [array] if array.ndim < 2 else [array[:, i] for i in range(array.shape[1])]


def _handed_out(found: Any, inverse: Positions) -> Any:
    if isinstance(found, tuple):
        return tuple(_handed_out(part, inverse) for part in found)
    if isinstance(found, pd.Series | pd.DataFrame):
        return found.iloc[inverse].reset_index(drop=True)
    return np.asarray(found)[inverse]


def _strings(feature: String, a: pd.Series[Any], b: pd.Series[Any]) -> pd.Series[Any]:
    """Return ``String`` on distinct pairs: rapidfuzz for plain texts, the feature's own code for the rest."""
    a, b = a.reset_index(drop=True), b.reset_index(drop=True)
    plain = (_plain(a) & _plain(b)).to_numpy()
    scorer, edits = _COMPILED[feature.method]
    out = np.full(len(a), np.nan)
    rows = np.flatnonzero(plain)
    left, right = a.iloc[rows].tolist(), b.iloc[rows].tolist()
    if edits:
        distance = process.cpdist(left, right, scorer=scorer, dtype=np.int32).astype(np.float64)
        longest = np.array([max(len(p), len(q)) for p, q in zip(left, right, strict=True)], np.float64)
        out[rows] = 1 - distance / longest if len(rows) else out[rows]
    else:
        out[rows] = process.cpdist(left, right, scorer=scorer, dtype=np.float64)
    near = np.zeros(len(a), bool)
    if feature.threshold is not None:  # the last digit of a float must not decide
        near = np.abs(out - feature.threshold) < 1e-9
    own = np.flatnonzero(~plain | near)
    series = pd.Series(out)
    if feature.threshold is not None:
        series = series.where((series < feature.threshold) | series.isnull(), other=1.0)
        series = series.where((series >= feature.threshold) | series.isnull(), other=0.0)
    found: pd.Series[Any] = fillna(series, feature.missing_value)
    if len(own):
        theirs = feature._compute_vectorized(a.iloc[own].reset_index(drop=True), b.iloc[own].reset_index(drop=True))
        if found.dtype != np.asarray(theirs).dtype:
            found = found.astype(object) if np.asarray(theirs).dtype == object else found
        found.iloc[own] = np.asarray(theirs)
    return found


def _plain(values: pd.Series[Any]) -> pd.Series[bool]:
    text = values.where(values.notnull(), "")
    return text.str.fullmatch(_PLAIN).fillna(False).astype(bool)


def labels_of(frame: pd.DataFrame) -> Sequence[str]:
    """Return the columns of vectors as text."""
    return [str(c) for c in frame.columns]
