"""Weights of candidate pairs, a chunk at a time, with only as much text compared as can still matter.

First integers alone: which fields agree exactly, which are missing. That bounds every pair's weight from above; pairs
whose bound is below the threshold are dropped, then fields are compared as text, the most telling first, and the bound is
drawn tighter after each. Nothing above the threshold is lost by it (tests compare it with scoring every pair in full).

Left to others: the model (``train``), clusters (``cluster``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from steward.scoring.duplicates.blocks import Blocks
from steward.scoring.duplicates.columns import Column, Table
from steward.scoring.duplicates.levels import compare_codes
from steward.scoring.duplicates.model import Floats
from steward.scoring.duplicates.sieve import Sieve
from steward.scoring.duplicates.train import Model, see_whole_names

Positions = npt.NDArray[np.int64]


@dataclass(slots=True)
class Scored:
    """Pairs above the threshold, ``left < right`` as positions in the table.

    Attributes
    ----------
    weight : array (n,) of float64
        Sum in bits, look-alike correction included.
    correction : array (n,) of float32
        Bits taken off because relatives, colleagues or branches share what agrees; 0 or less.
    levels : array (n, n_fields) of int8
    bits : array (n, n_fields) of float32
    rule : array (n,) of int16
    """

    left: Positions
    right: Positions
    rule: npt.NDArray[np.int16]
    weight: npt.NDArray[np.float64]
    correction: npt.NDArray[np.float32]
    levels: npt.NDArray[np.int8]
    bits: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.left)

    @property
    def probability(self) -> npt.NDArray[np.float64]:
        """Match probability in [0, 1]."""
        return 1.0 / (1.0 + np.exp2(-np.clip(self.weight, -1000, 1000)))

    def take(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Scored:
        """Return some of the pairs."""
        return Scored(
            self.left[rows], self.right[rows], self.rule[rows], self.weight[rows], self.correction[rows], self.levels[rows], self.bits[rows]
        )  # fmt: skip


def joined_pairs(parts: list[Scored], fields: int) -> Scored:
    """Return the pairs of all chunks."""
    if not parts:
        none = np.zeros(0, np.int64)
        return Scored(
            none, none, np.zeros(0, np.int16), np.zeros(0), np.zeros(0, np.float32), np.zeros((0, fields), np.int8),
            np.zeros((0, fields), np.float32),
        )  # fmt: skip
    return Scored(
        *(np.concatenate([getattr(p, name) for p in parts])
          for name in ("left", "right", "rule", "weight", "correction", "levels", "bits"))
    )  # fmt: skip


class Scorer:
    """Weights under one model.

    Parameters
    ----------
    table : Table
    model : Model
    threshold_bits : float
        Pairs below are dropped.
    """

    def __init__(self, table: Table, model: Model, threshold_bits: float) -> None:
        self.table = table
        self.model = model
        self.threshold = threshold_bits
        self.bits = model.bits()
        self.rarity = [
            _rarity(c, u, model.prior * len(table) * float(m[-1]))
            for c, u, m in zip(table.columns, model.u, model.m, strict=True)
        ]
        self.sieve = Sieve(table, self.bits, self.rarity, model.prior_bits, threshold_bits)
        self.order = self.sieve.order()

    def score(self, left: Positions, right: Positions, rule: int, *, keep_all: bool = False) -> Scored:
        """Return the pairs at or above the threshold, or every pair with ``keep_all``."""
        table, fields = self.table, len(self.table.columns)
        if keep_all:
            levels = np.empty((len(left), fields), np.int8)
            for f, column in enumerate(table.columns):
                levels[:, f] = compare_codes(column, column.codes[left], column.codes[right])
        else:
            left, right = self.sieve.keep(left, right)
            left, right, levels = self._compare(left, right)
        see_whole_names(table, left, right, levels)
        bits = np.empty((len(left), fields), np.float32)
        for f in range(fields):
            bits[:, f] = self._field_bits(f, left, levels[:, f])
        correction = self._correction(bits, levels)
        weight = self.model.prior_bits + bits.sum(axis=1, dtype=np.float64) + correction
        out = Scored(left, right, np.full(len(left), rule, np.int16), weight, correction.astype(np.float32), levels, bits)
        return out if keep_all else out.take(weight >= self.threshold)

    def _compare(self, left: Positions, right: Positions) -> tuple[Positions, Positions, npt.NDArray[np.int8]]:
        """Compare as text what can still matter; return the pairs that may still reach the threshold, and their levels."""
        sieve, columns = self.sieve, self.table.columns
        gains = sieve.gains(left, right)
        bound = np.full(len(left), self.model.prior_bits) + np.sum(gains, axis=0, dtype=np.float64)
        levels = np.full((len(left), len(columns)), -1, np.int8)
        for fields in self.order:
            told = np.zeros(len(left), np.float32)
            for f in fields:
                levels[:, f] = compare_codes(columns[f], columns[f].codes[left], columns[f].codes[right])
                told += sieve.told(f, levels[:, f], self._field_bits(f, left, levels[:, f]))
            if fields == sieve.names:
                told = sieve.names_told(left, right, levels, told)
            bound += told - gains[fields[0]]
            kept = bound >= sieve.threshold
            if not kept.all():
                left, right, bound, levels = left[kept], right[kept], bound[kept], levels[kept]
                gains = [g[kept] for g in gains]
        return left, right, levels

    def _field_bits(self, f: int, left: Positions, level: npt.NDArray[np.int8]) -> Floats:
        column = self.table.columns[f]
        out: Floats = self.bits[f][level]
        if column.kind.rare_counts_more:
            exact = level == column.kind.exact
            out[exact] += self.rarity[f][column.codes[left[exact]]]
        return out

    def _correction(self, bits: npt.NDArray[np.float32], levels: npt.NDArray[np.int8]) -> Floats:
        """Return what the look-alike classes take off: ``-log2(1 + sum of their odds)``, never positive."""
        odds = np.zeros(len(bits))
        for shared, ratio in zip(self.model.related, self.model.related_odds, strict=True):
            own = np.full(len(bits), self.model.prior_bits + np.log2(ratio))
            for f, how in enumerate(shared):
                if isinstance(how, np.ndarray):
                    likely = np.append(np.log2(how / self.model.m[f]), 0.0)
                    own += bits[:, f] + likely[levels[:, f]]
                elif how:
                    own += bits[:, f]
            odds += np.exp2(np.clip(own, -500, 500))
        taken: Floats = -np.log2(1.0 + odds)
        return taken


def _rarity(column: Column, u: Floats, own: float) -> Floats:
    """Return the bits that exact agreement on each value is worth beyond the field's average; common values get fewer.

    Parameters
    ----------
    own : float
        Records that a record's own customer is expected to have under the same value; they do not make it common.
    """
    if not column.kind.rare_counts_more or not len(column.key):
        return np.zeros(max(len(column.key), 1))
    if column.field.plain_frequency:  # as Splink counts: the share of the table, the record itself among it
        plain: Floats = np.log2(u[column.kind.exact] * max(column.filled, 1) / np.maximum(column.counts, 1.0))
        return plain
    usual = float(u[column.kind.exact])
    # a small table cannot tell rare from common by itself: it is read as part of a larger one with values of usual commonness
    unseen = min(1.0 / usual, 2.0 * column.filled)
    share = np.maximum(column.counts - 1.0 - own, 1.0) / (column.filled + unseen)
    rarity: Floats = np.clip(np.log2(usual / share), -12.0, 8.0)
    return rarity


def score_blocks(scorer: Scorer, blocks: Blocks, progress: Callable[[int], None] | None = None) -> tuple[Scored, int]:
    """Return all candidate pairs above the threshold and how many were looked at."""
    parts, seen = [], 0
    for rule, left, right in blocks.pairs():
        seen += len(left)
        found = scorer.score(left, right, rule)
        if len(found):
            parts.append(found)
        if progress is not None:
            progress(len(left))
    return joined_pairs(parts, len(scorer.table.columns)), seen
