"""``recordlinkage.Index``, ``Compare`` and classifiers as a user built them, taken as they are.

Known index algorithms become sorted blocks, others run their own code; features run on distinct value pairs
(``vectors``); an ``ECMClassifier`` is fitted on distinct vectors with their counts and ends with the parameters it would
have on all of them, other classifiers are asked once per distinct vector. What comes out has pairs, probabilities and
clusters like every other run, and pairs a person rejected stay apart.

Left to others: our own fields, levels and weights (``link``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import recordlinkage
from recordlinkage.algorithms.nb_sklearn import NotFittedError
from recordlinkage.base import BaseIndexAlgorithm
from recordlinkage.index import Block, Full
from recordlinkage.utils import listify

from steward.errors import ScoringError, TooManyPairsError
from steward.evidence import MatchWeight
from steward.messages import N_
from steward.scoring.duplicates.blocks import block_sizes, enumerate_pairs
from steward.scoring.duplicates.cluster import cluster
from steward.scoring.duplicates.columns import Table
from steward.scoring.duplicates.definition import Definition, Rule
from steward.scoring.duplicates.link import LinkResult
from steward.scoring.duplicates.score import Scored
from steward.scoring.duplicates.vectors import Positions, compute, positions

CHUNK = 500_000
"""Pairs whose vectors are held at a time."""

Floats = npt.NDArray[np.float64]


@dataclass(slots=True)
class ObjectResult(LinkResult):
    """What a user's objects found; pairs, clusters and ids as in :class:`LinkResult`.

    Attributes
    ----------
    patterns : DataFrame
        Distinct comparison vectors, one column per feature.
    pattern_of : array (n_pairs,) of int64
        Which vector each pair has, in the order of ``pairs``.
    bits : array (n_patterns, n_features) of float64 or None
        log2(m/u) per feature, for an ``ECMClassifier``; None for others, which have no weights.
    classifier : recordlinkage classifier
        The user's, fitted.
    """

    patterns: pd.DataFrame = field(default_factory=pd.DataFrame)
    pattern_of: Positions = field(default_factory=lambda: np.zeros(0, np.int64))
    bits: Floats | None = None
    classifier: Any = None
    frames: tuple[pd.DataFrame, pd.DataFrame] | None = None
    compare: Any = None

    def vectors_frame(self) -> pd.DataFrame:
        """Return the comparison vector of each pair, indexed by the ids of its records in the order they were compared."""
        out = self.patterns.iloc[self.pattern_of].copy()
        ids = self.table.ids
        sides = [ids[self.pairs.right], ids[self.pairs.left]]
        name = self.frames[0].index.name if self.frames is not None else None
        if self.linked:
            sides.reverse()
        out.index = pd.MultiIndex.from_arrays(sides, names=None if name is None else [f"{name}_1", f"{name}_2"])
        return out

    @property
    def linked(self) -> bool:
        """True where two sources were compared."""
        return self.frames is not None and self.frames[0] is not self.frames[1]

    def explain(self, row: int) -> tuple[MatchWeight, ...]:
        """Return the weight of each feature of a pair, by its row in ``pairs``; empty for a classifier without weights."""
        if self.bits is None or self.frames is None:
            return ()
        pattern = int(self.pattern_of[row])
        later, earlier = int(self.pairs.right[row]), int(self.pairs.left[row])
        cut = len(self.frames[0])
        a = self.frames[0].iloc[earlier if self.linked else later]
        b = self.frames[1].iloc[later - cut if self.linked else earlier]
        out = []
        for i, label in enumerate(self.patterns.columns):
            value: Any = self.patterns.iloc[pattern, i]
            bits = float(self.bits[pattern, i])
            f = self.compare.features[i] if i < len(self.compare.features) else None
            left, right = (
                _shown(side, labels)
                for side, labels in ((a, getattr(f, "labels_left", None)), (b, getattr(f, "labels_right", None)))
            )
            missing = left is None or right is None
            agreement = "missing" if missing else "agree" if bits > 0 else "disagree"
            out.append(MatchWeight(str(label), cast(Any, agreement), f"{float(value):g}", bits, left, right))
        return tuple(out)


def _shown(record: pd.Series[Any], labels: Any) -> str | None:
    names: list[Any] = list(labels) if isinstance(labels, list | tuple) else [labels]
    texts = [str(record[n]) for n in names if n is not None and n in record.index and not pd.isna(record[n])]
    return " ".join(texts) or None


def link_objects(
    frame: pd.DataFrame | pl.DataFrame,
    index: recordlinkage.Index | None,
    compare: recordlinkage.Compare | None,
    classifier: Any = None,
    *,
    other: pd.DataFrame | pl.DataFrame | None = None,
    ids: str = "_id",
    matches: pd.MultiIndex | None = None,
    apart: Iterable[tuple[str, str]] = (),
    cut: float = 0.5,
    pairs_at_most: int = 40_000_000,
) -> ObjectResult:
    """Find records of the same customer with a user's own recordlinkage objects.

    Parameters
    ----------
    frame : DataFrame of pandas or polars
        A pandas frame may carry the ids as its index; otherwise ``ids`` names their column.
    index : recordlinkage.Index
    compare : recordlinkage.Compare
    classifier : recordlinkage classifier, optional
        Fitted or not; by default ``recordlinkage.ECMClassifier()``. Side effect: it is fitted where it was not.
    other : DataFrame, optional
        A second source; only pairs across the two are compared. Ids must not repeat between them.
    matches : MultiIndex, optional
        Known matches, for a classifier that learns from examples.
    apart : iterable of (id, id)
        Pairs a person rejected; they never share a cluster.
    cut : float
        Probability from which records are proposed as duplicates.
    pairs_at_most : int
        More candidate pairs are refused.

    Returns
    -------
    ObjectResult
        Parameters of an ``ECMClassifier`` are those of recordlinkage on all vectors, to 1e-12.

    Raises
    ------
    ScoringError
        Ids that repeat, a column that is not there, a feature without a value, a classifier that needs examples.
    TooManyPairsError
        More than ``pairs_at_most`` candidate pairs.
    """
    if index is None or compare is None:
        raise ScoringError(N_("An index and a comparison belong together; give both, or neither."))
    x = _indexed(frame, ids)
    y = x if other is None else _indexed(other, ids)
    names = x.index.tolist() if other is None else [*x.index.tolist(), *y.index.tolist()]
    if len(set(names)) != len(names):
        raise ScoringError(N_("The two sources share record ids; give one of them a prefix first."))
    left, right, rule, rules = _pairs(index, x, None if other is None else y, pairs_at_most)
    patterns, pattern_of = _patterns(compare, x, None if other is None else y, left, right)
    model = classifier if classifier is not None else recordlinkage.ECMClassifier()
    counts = np.bincount(pattern_of, minlength=len(patterns))
    _fit(model, patterns, counts, pattern_of, matches, x, y, left, right)
    bits = _bits(model, patterns)
    if bits is not None:  # a probability of nearly 1 has lost the weight it came from
        non_match, match = model.kernel.class_log_prior_ / np.log(2)
        odds = np.clip(match - non_match + bits.sum(axis=1), -1000.0, 1000.0)
    else:
        probability = _probability(model, patterns)
        with np.errstate(divide="ignore"):
            odds = np.clip(np.log2(probability) - np.log2(1.0 - probability), -1000.0, 1000.0)
    weight = odds[pattern_of] if len(patterns) else np.zeros(0)
    offset = 0 if other is None else len(x)
    low, high = (right, left) if other is None else (left, right + offset)
    cut_bits = float(np.log2(cut / (1 - cut)))
    labels = _clusters(names, low, high, weight - cut_bits, apart, cut_bits)
    best = np.lexsort((high, low, -weight))
    scored = Scored(
        low[best], high[best], rule[best], weight[best], np.zeros(len(best), np.float32), np.zeros((len(best), 0), np.int8),
        np.zeros((len(best), 0), np.float32),
    )  # fmt: skip
    side = np.zeros(len(names), np.int8)
    side[offset or len(names) :] = 1
    texts = np.array([str(n) for n in names], object)
    return ObjectResult(
        Table(texts, np.arange(len(names)), side, []), Definition((), tuple(rules)), None, scored, labels, cut, len(left),
        patterns=patterns, pattern_of=pattern_of[best], bits=bits, classifier=model, frames=(x, y), compare=compare,
    )  # fmt: skip


def _indexed(frame: pd.DataFrame | pl.DataFrame, ids: str) -> pd.DataFrame:
    out = frame.to_pandas() if isinstance(frame, pl.DataFrame) else frame
    if ids in out.columns:
        out = out.set_index(ids)
    if not out.index.is_unique or out.index.nlevels > 1:
        raise ScoringError(N_("Record ids repeat; each record needs an id of its own."))
    return out


def _pairs(
    index: recordlinkage.Index, x: pd.DataFrame, y: pd.DataFrame | None, at_most: int
) -> tuple[Positions, Positions, npt.NDArray[np.int16], list[Rule]]:
    """Return candidate pairs as rows, the algorithm that found each first, and the algorithms as rules."""
    if not index.algorithms:
        raise ScoringError(N_("The index has no algorithm; add one, such as index.block('email')."))
    width = max(len(x if y is None else y), 1)
    seen: list[npt.NDArray[np.int64]] = []
    order: list[npt.NDArray[np.int16]] = []
    total = 0
    for number, algorithm in enumerate(index.algorithms):
        a, b = _found(algorithm, x, y, at_most)
        total += len(a)
        if total > 4 * at_most:
            raise _too_many(repr(algorithm), total, at_most)
        seen.append(a * width + b)
        order.append(np.full(len(a), number, np.int16))
    key, first = np.unique(np.concatenate(seen), return_index=True)
    if len(key) > at_most:
        raise _too_many("+".join(type(a).__name__ for a in index.algorithms), len(key), at_most)
    rules = [Rule(((_name(a), "whole"),)) for a in index.algorithms]
    return key // width, key % width, np.concatenate(order)[first], rules


def _name(algorithm: BaseIndexAlgorithm) -> str:
    on = getattr(algorithm, "left_on", None) or getattr(algorithm, "on", None)
    text = " + ".join(map(str, on)) if isinstance(on, list | tuple) else str(on or "")
    return f"{type(algorithm).__name__} {text}".strip()


def _too_many(name: str, pairs: int, limit: int) -> TooManyPairsError:
    return TooManyPairsError(
        N_("The blocking rule “{rule}” would compare {pairs} pairs; the limit is {limit}."),
        next_step=N_("Add a second key to the rule, such as the first letters of a name or the year of a date."),
        rule=name,
        pairs=pairs,
        limit=limit,
    )


def _found(algorithm: BaseIndexAlgorithm, x: pd.DataFrame, y: pd.DataFrame | None, at_most: int) -> tuple[Positions, Positions]:
    """Return the pairs of one algorithm; known ones from sorted blocks, later record first as recordlinkage has it."""
    if _is_known(algorithm, linked=y is not None):
        key = _block_key(algorithm, x, y)
        sizes = block_sizes(key)
        expected = int((sizes.astype(object) * (sizes - 1) // 2).sum()) if len(sizes) else 0
        if y is None and expected > at_most:
            raise _too_many(_name(algorithm), expected, at_most)
        found = list(enumerate_pairs(key))
        one = np.concatenate([a for a, _ in found]) if found else np.zeros(0, np.int64)
        two = np.concatenate([b for _, b in found]) if found else np.zeros(0, np.int64)
        low, high = np.minimum(one, two), np.maximum(one, two)
        if y is None:
            return high, low
        across = (low < len(x)) & (high >= len(x))
        return low[across], high[across] - len(x)
    try:
        pairs = algorithm.index(x, y) if y is not None else algorithm.index(x)
    except KeyError as error:
        raise _no_column(error) from None
    return positions(pairs, 0, x), positions(pairs, 1, x if y is None else y)


def _is_known(algorithm: BaseIndexAlgorithm, *, linked: bool) -> bool:
    """Tell whether an algorithm is a set of blocks: a block over two different columns of one table is not."""
    if type(algorithm) is Full:
        return not linked
    if type(algorithm) is not Block:
        return False
    left, right = algorithm._get_left_and_right_on()
    return linked or left == right


def _block_key(algorithm: Any, x: pd.DataFrame, y: pd.DataFrame | None) -> Positions:
    if type(algorithm) is Full:
        return np.zeros(len(x), np.int64)
    left, right = ([n] if not isinstance(n, list | tuple) else list(n) for n in algorithm._get_left_and_right_on())
    for names, frame in ((left, x), (right, x if y is None else y)):
        for name in names:
            if name not in frame.columns:
                raise _no_column(name)
    parts = [x[left].set_axis(range(len(left)), axis=1)]
    if y is not None:
        parts.append(y[right].set_axis(range(len(right)), axis=1))
    both = pd.concat(parts, ignore_index=True)
    codes = both.groupby(list(both.columns), sort=False, dropna=True).ngroup().fillna(-1)
    out: Positions = np.where(both.isna().any(axis=1).to_numpy(), -1, codes.to_numpy().astype(np.int64))
    return out


def _no_column(name: object) -> ScoringError:
    text = str(name.args[0]) if isinstance(name, KeyError) and name.args else str(name)
    return ScoringError(N_("The table does not have the column {column}."), column=text)


def _patterns(
    compare: recordlinkage.Compare, x: pd.DataFrame, y: pd.DataFrame | None, left: Positions, right: Positions
) -> tuple[pd.DataFrame, Positions]:
    """Return the distinct comparison vectors and the vector of each pair, a chunk of pairs at a time."""
    other = x if y is None else y
    for f in compare.features:
        for names, frame in ((f.labels_left, x), (f.labels_right, other)):
            for name in [] if names is None else listify(names):
                if name not in frame.columns:
                    raise _no_column(name)
    whole = any(type(f).__name__.startswith("Frequency") for f in compare.features)
    size = max(len(left), 1) if whole else CHUNK
    held: Any = None
    parts: list[Positions] = []
    for start in range(0, max(len(left), 1), size):
        a, b = left[start : start + size], right[start : start + size]
        sides: Any = ([x.index, other.index], [a, b])
        pairs = pd.MultiIndex(levels=sides[0], codes=sides[1], verify_integrity=False)
        vectors = compute(compare, pairs, x, y)
        if vectors.isnull().to_numpy().any():
            raise ScoringError(
                N_("The feature {feature} has no value for some pairs."),
                next_step=N_("Give it a missing_value."),
                feature=str(vectors.columns[vectors.isnull().any().to_numpy()][0]),
            )
        both: Any = vectors.reset_index(drop=True) if held is None else pd.concat([held, vectors], ignore_index=True)
        codes = both.groupby(list(both.columns), sort=False).ngroup().to_numpy() if both.shape[1] else np.zeros(len(both), int)
        first = np.unique(codes, return_index=True)[1]
        parts.append(codes[0 if held is None else len(held) :].astype(np.int64))
        held = both.iloc[first].reset_index(drop=True)
    return held, np.concatenate(parts) if parts else np.zeros(0, np.int64)


def fit_counts(kernel: Any, vectors: npt.NDArray[Any], counts: npt.NDArray[Any]) -> None:
    """Fit recordlinkage's ECM kernel on distinct vectors with counts; the parameters are those on all vectors.

    Parameters
    ----------
    kernel : recordlinkage.algorithms.nb_sklearn.ECM
        As the user set it up. Side effect: fitted.
    vectors : array (n_distinct, n_features)
    counts : array (n_distinct,)
        How often each occurs.
    """
    kernel._binarizers = []  # recordlinkage adds to what an earlier fit left there
    hot = np.asarray(kernel._fit_data(vectors), np.float64)
    kernel.classes_ = np.array([0, 1])
    start = kernel._init_parameters_random if kernel.init == "random" else kernel._init_parameters_jaro
    kernel.class_log_prior_, kernel.feature_log_prob_ = start(hot)
    often = np.asarray(counts, np.float64)[:, None]
    for _ in range(kernel.max_iter):
        share = kernel.predict_proba(vectors) * often
        whole = share.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            prior = np.log(whole) - np.log(often.sum())
            likely = np.log(share.T @ hot) - np.log(whole[:, None])
        if np.all(np.isnan(likely)):
            break
        settled = kernel.atol is not None and all(
            np.allclose(np.exp(new), np.exp(old), atol=kernel.atol)
            for new, old in ((prior, kernel.class_log_prior_), (likely, kernel.feature_log_prob_))
        )
        kernel.class_log_prior_, kernel.feature_log_prob_ = prior, likely
        if settled:
            break


def _fit(
    model: Any, patterns: pd.DataFrame, counts: npt.NDArray[Any], pattern_of: Positions, matches: pd.MultiIndex | None,
    x: pd.DataFrame, y: pd.DataFrame, left: Positions, right: Positions,
) -> None:  # fmt: skip
    """Fit a classifier that is not fitted yet."""
    if not len(patterns):
        return
    if isinstance(model, recordlinkage.ECMClassifier):
        if hasattr(model.kernel, "feature_log_prob_"):
            return
        model._column_labels = patterns.columns.tolist()
        try:
            fit_counts(model.kernel, patterns.to_numpy(np.float64), counts)
        except ValueError as error:
            raise ScoringError(
                N_("The classifier cannot use these features: {problem}"),
                next_step=N_("Give each feature a threshold, or the classifier binarize=0.5."),
                problem=str(error),
            ) from None
        return
    try:
        model.predict(patterns)
    except (NotFittedError, AttributeError, ValueError):
        vectors = patterns.iloc[pattern_of]
        vectors.index = pd.MultiIndex.from_arrays([x.index.to_numpy()[left], y.index.to_numpy()[right]])
        try:
            model.fit(vectors) if matches is None else model.fit(vectors, matches)
        except (TypeError, ValueError, AttributeError) as error:
            raise ScoringError(
                N_("The classifier {name} cannot be fitted: {problem}"),
                next_step=N_("A classifier that learns from examples needs known matches, or to be fitted before."),
                name=type(model).__name__,
                problem=str(error),
            ) from None


def _probability(model: Any, patterns: pd.DataFrame) -> Floats:
    """Return the match probability of each distinct vector; 0 or 1 for a classifier that has none."""
    if not len(patterns):
        return np.zeros(0)
    try:
        return np.clip(np.asarray(model.prob(patterns), np.float64), 0.0, 1.0)
    except (AttributeError, NotImplementedError):
        said = model.predict(patterns)
        positive = patterns.index.isin(said) if isinstance(said, pd.Index) else np.asarray(said, bool)
        return np.asarray(positive, np.float64)


def _bits(model: Any, patterns: pd.DataFrame) -> Floats | None:
    """Return log2(m/u) per vector and feature of an ECM classifier."""
    kernel: Any = getattr(model, "kernel", None)
    if not isinstance(model, recordlinkage.ECMClassifier) or not len(patterns):
        return None
    hot = np.asarray(kernel._transform_data(patterns.to_numpy(np.float64)), np.float64)
    likely = np.nan_to_num(kernel.feature_log_prob_, neginf=-700.0)
    each = hot * (likely[1] - likely[0]) / np.log(2)
    sizes = [max(len(b.classes_), 1) for b in kernel._binarizers]
    ends: Sequence[int] = np.cumsum(sizes)[:-1].tolist()
    return np.column_stack([part.sum(axis=1) for part in np.split(each, ends, axis=1)])


def _clusters(
    names: list[Any], left: Positions, right: Positions, margin: Floats, apart: Iterable[tuple[str, str]], cut_bits: float
) -> npt.NDArray[np.int64]:
    row_of = {str(name): row for row, name in enumerate(names)}
    barred = [(row_of[a], row_of[b]) for a, b in apart if a in row_of and b in row_of]
    return cluster(len(names), left, right, margin, apart=barred, above_even=cut_bits)
