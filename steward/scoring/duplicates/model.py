"""The match model: recordlinkage's ECM on pattern counts, with many levels, a missing state and look-alike classes.

:class:`WeightedECM` extends recordlinkage's own kernel by what Fellegi and Sunter's model needs at scale: it takes each
distinct comparison vector once with its count, more than two levels per field, ``-1`` for missing (no term in the
likelihood), a fixed u, and further classes of *related non-matches* (relatives in one household, branches of one
company) that share some fields as matches do and the others as strangers do. Without any of these it computes what
recordlinkage's kernel computes.

Left to others: u from the data (``train``), the levels (``levels``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Levels = npt.NDArray[np.int8]

MISSING = -1


def patterns(levels: Levels) -> tuple[Levels, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return distinct comparison vectors, the position of each pair's vector, and their counts.

    Parameters
    ----------
    levels : array (n_pairs, n_fields) of int8
        ``-1`` for missing.

    Notes
    -----
    Vectors are packed into 64-bit words (four bits a field) where they fit; otherwise rows are compared whole.
    """
    n, fields = levels.shape
    if n == 0:
        return levels, np.zeros(0, np.int64), np.zeros(0, np.int64)
    if fields <= 16:
        word = np.zeros(n, np.uint64)
        for column in range(fields):
            word = (word << np.uint64(4)) | (levels[:, column] + 1).astype(np.uint64)
        _, first, inverse, counts = np.unique(word, return_index=True, return_inverse=True, return_counts=True)
        return levels[first], inverse.astype(np.int64), counts.astype(np.int64)
    distinct, inverse, counts = np.unique(levels, axis=0, return_inverse=True, return_counts=True)
    return distinct, inverse.reshape(-1).astype(np.int64), counts.astype(np.int64)


class PatternECM:
    """Expectation conditional maximisation over distinct comparison vectors.

    Parameters
    ----------
    sizes : sequence of int
        Number of levels per field.
    related : sequence of sequence of (bool or array)
        One entry per class of related non-matches: True where the class shares the field as matches do, False where it is
        as among strangers, an array where it has probabilities of its own.
    smoothing : float
        Pseudo-matches that hold m near its start; 0 gives plain maximum likelihood.
    max_iter, atol
        As in recordlinkage.

    Attributes
    ----------
    class_log_prior_ : array (2,)
        Log share of non-matches (related ones among them) and matches, as in recordlinkage.
    shares_ : array (2 + n_related,)
        Share of matches, strangers and each related class.
    m_, u_ : list of array
        Probability of each level per field, among matches and among strangers.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        related: Sequence[Sequence[bool | Floats]] = (),
        smoothing: float = 0.0,
        max_iter: int = 200,
        atol: float = 1e-7,
    ) -> None:
        self.max_iter = max_iter
        self.atol = atol
        self.sizes = tuple(sizes)
        self.related = tuple(tuple(row) for row in related)
        self.smoothing = smoothing

    def fit(
        self,
        X: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        *,
        m: Sequence[Floats],
        u: Sequence[Floats],
        fix_u: bool = True,
        shares: Sequence[float] | None = None,
    ) -> Self:
        """Estimate m (and u where not fixed) and the shares of the classes.

        Parameters
        ----------
        X : array (n_patterns, n_fields) of int
            Distinct comparison vectors, ``-1`` for missing.
        sample_weight : array (n_patterns,), optional
            How often each occurs; 1 where not given.
        m, u : sequence of array
            Start values; u stays as it is with ``fix_u``.
        shares : sequence of float, optional
            Start shares of matches, strangers and each related class.
        """
        levels = np.asarray(X, dtype=np.int64)
        weight = np.ones(len(levels)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        start = [np.asarray(p, dtype=np.float64) for p in m]
        self.m_ = [p.copy() for p in start]
        self.u_ = [np.asarray(p, dtype=np.float64).copy() for p in u]
        extra = len(self.related)
        self.shares_ = np.asarray(
            shares if shares is not None else [0.1, 0.9 - 0.05 * extra] + [0.05] * extra, dtype=np.float64
        )
        self.classes_ = np.array([0, 1])
        total = weight.sum()
        hot = one_hot(levels, self.sizes)
        ends = np.cumsum(self.sizes)[:-1]
        self.n_iter_ = 0
        for _ in range(self.max_iter):
            self.n_iter_ += 1
            mass = _responsibilities(hot, self.m_, self.u_, self.related, self.shares_) * weight[:, None]
            sums = mass.sum(axis=0)
            new_shares = (sums + self.smoothing * 1e-3) / (total + self.smoothing * 1e-3 * len(sums))
            moved = float(np.abs(new_shares - self.shares_).max())
            seen = np.split(hot.T @ mass[:, :2], ends)
            new_m, new_u = [], []
            for f, counts in enumerate(seen):
                new_m.append(_shares(counts[:, 0] + self.smoothing * start[f], start[f]))
                new_u.append(self.u_[f] if fix_u else _shares(counts[:, 1], self.u_[f]))
                moved = max(moved, float(np.abs(new_m[f] - self.m_[f]).max()), float(np.abs(new_u[f] - self.u_[f]).max()))
            self.shares_, self.m_, self.u_ = new_shares, new_m, new_u
            if moved < self.atol:
                break
        others = float(self.shares_[1:].sum())
        with np.errstate(divide="ignore"):
            self.class_log_prior_ = np.log([others, float(self.shares_[0])])
            self.feature_log_prob_ = np.log(np.vstack([np.concatenate(self.u_), np.concatenate(self.m_)]))
        return self

    def class_log_likelihoods(self, X: npt.ArrayLike) -> Floats:
        """Return the log likelihood of each vector under matches, strangers and each related class."""
        return log_likelihoods(one_hot(np.asarray(X, dtype=np.int64), self.sizes), self.m_, self.u_, self.related)

    def responsibilities(self, X: npt.ArrayLike) -> Floats:
        """Return the probability of each class for each vector, shape (n_patterns, 2 + n_related)."""
        return _responsibilities(
            one_hot(np.asarray(X, dtype=np.int64), self.sizes), self.m_, self.u_, self.related, self.shares_
        )

    def predict_proba(self, X: npt.ArrayLike) -> Floats:
        """Return the probabilities of non-match and match, as recordlinkage orders them."""
        match = self.responsibilities(X)[:, 0]
        return np.column_stack([1.0 - match, match])


def one_hot(levels: npt.NDArray[np.integer[Any]], sizes: Sequence[int]) -> Floats:
    """Return vectors as 0 and 1 per field and level, shape (n, sum of sizes); a missing field is all 0, so it adds nothing."""
    columns = [levels[:, f, None] == np.arange(size) for f, size in enumerate(sizes)]
    return np.hstack(columns).astype(np.float64) if columns else np.zeros((len(levels), 0))


def log_likelihoods(
    hot: Floats, m: Sequence[Floats], u: Sequence[Floats], related: Sequence[Sequence[bool | Floats]]
) -> Floats:
    """Return log likelihoods (n, 2 + n_related) of vectors as :func:`one_hot` gives them."""
    ways = [list(m), list(u)]
    for shared in related:
        ways.append([how if isinstance(how, np.ndarray) else m[f] if how else u[f] for f, how in enumerate(shared)])
    probabilities = np.column_stack([np.concatenate(way) for way in ways]) if m else np.zeros((0, len(ways)))
    logs: Floats = hot @ np.log(np.maximum(probabilities, 1e-300))
    return logs


def class_probabilities(logs: Floats, shares: Floats) -> Floats:
    """Return the probability of each class from log likelihoods and shares."""
    joint = logs + np.log(np.maximum(shares, 1e-300))
    joint -= joint.max(axis=1, keepdims=True)
    np.exp(joint, out=joint)
    joint /= joint.sum(axis=1, keepdims=True)
    return joint


def _responsibilities(
    hot: Floats, m: Sequence[Floats], u: Sequence[Floats], related: Sequence[Sequence[bool | Floats]], shares: Floats
) -> Floats:
    return class_probabilities(log_likelihoods(hot, m, u, related), shares)


def _shares(counts: Floats, otherwise: Floats) -> Floats:
    whole = counts.sum()
    return counts / whole if whole > 0 else otherwise


if TYPE_CHECKING:
    pass


def __getattr__(name: str) -> Any:
    """Return the classes that stand on recordlinkage's; loading them takes longer than scoring a small table."""
    if name in ("WeightedECM", "PatternECMClassifier"):
        from steward.scoring.duplicates import recordlinkage_parts

        return getattr(recordlinkage_parts, name)
    raise AttributeError(name)
