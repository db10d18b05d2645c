"""Candidate pairs from sorted blocks, rule by rule, each pair once.

A rule gives every record a key; records are sorted by it and pairs are enumerated within equal keys, a bounded chunk at a
time. A pair that an earlier rule has found is recognised by comparing two integers, so no set of pairs is ever held.
:class:`KeyIndex` is the same as an algorithm of ``recordlinkage.Index``.

Left to others: which rules (``profile``), comparing (``levels``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from steward.errors import TooManyPairsError
from steward.messages import N_
from steward.scoring.duplicates.columns import Column, Table
from steward.scoring.duplicates.definition import Definition, Rule

Positions = npt.NDArray[np.int64]

CHUNK = 1_000_000
"""Pairs in memory at a time."""


def sound(values: pl.Series) -> pl.Series:
    """Return a coarse sound of Latin forms: like letters merged, vowels after the first letter and doubles dropped."""
    text = values.str.replace_all(" ", "")
    for pattern, to in (
        ("ph", "f"), ("[ck]h?s?h?", "k"), ("q", "k"), ("[sz]ch|sh|zh|[sz]", "s"), ("[dt]h?", "t"), ("[bp]", "b"),
        ("[vw]", "f"), ("[gj]h?", "g"), ("x", "ks"), ("[mn]", "n"), ("y", "i"),
    ):  # fmt: skip
        text = text.str.replace_all(pattern, to)
    head, tail = text.str.slice(0, 1), text.str.slice(1).str.replace_all("[aeiouh]", "")
    head = head.str.replace("[aeiou]", "a")
    whole = head + tail
    for letter in "fkstbgnlr":
        whole = whole.str.replace_all(letter + letter + "+", letter)
    return whole.str.slice(0, 6)


def transformed(column: Column, transform: str) -> tuple[npt.NDArray[np.int64], bool]:
    """Return the key part of each distinct value as an integer (``-1``: none), and whether it is the value itself."""
    if transform == "whole":
        out = np.arange(len(column.key), dtype=np.int64)
        out[column.shared] = -1
        return out, True
    latin = pl.Series(column.latin.tolist(), dtype=pl.String)
    match transform:
        case "sound":
            part = sound(latin)
        case "start":
            part = latin.str.replace_all(" ", "").str.slice(0, 4)
        case "initial":
            part = latin.str.slice(0, 1)
        case "mailbox":
            part = latin.str.replace("@.*$", "")
        case "year":
            part = latin.str.slice(0, 4)
        case "end":
            part = pl.select(pl.when(latin.str.len_chars() >= 7).then(latin.str.slice(-7))).to_series()
        case _:
            part = _rare_words(latin, column.counts)
    codes = part.replace("", None).rank("dense").cast(pl.Int64).fill_null(0).to_numpy() - 1
    codes = codes.astype(np.int64)
    codes[column.shared] = -1
    return codes, False


def _rare_words(latin: pl.Series, counts: npt.NDArray[np.int64]) -> pl.Series:
    """Return the two rarest words of each value, longest first among equals, in alphabetical order."""
    frame = pl.DataFrame({"row": np.arange(len(latin)), "text": latin, "n": counts})
    words = (
        frame.with_columns(pl.col("text").str.split(" ").alias("word"))
        .explode("word")
        .filter(pl.col("word").str.len_chars() > 1)
    )
    seen = words.group_by("word").agg(pl.col("n").sum().alias("seen"))
    ranked = words.join(seen, on="word").sort(
        "row", "seen", pl.col("word").str.len_chars(), "word", descending=[False, False, True, False]
    )
    best = ranked.group_by("row", maintain_order=True).agg(pl.col("word").head(2).sort().str.join(" ").alias("part"))
    return frame.select("row").join(best, on="row", how="left", maintain_order="left")["part"]


def rule_key(table: Table, rule: Rule) -> Positions:
    """Return the key of each record under a rule; ``-1`` where a part is missing."""
    n = len(table)
    if not rule.keys:
        return np.zeros(n, np.int64)
    key = np.zeros(n, np.int64)
    missing = np.zeros(n, bool)
    for name, transform in rule.keys:
        column = table.columns[table.named(name)]
        per_value, _ = transformed(column, transform)
        part = np.append(per_value, -1)[column.codes]
        missing |= part < 0
        width = int(per_value.max(initial=0)) + 1
        if len(rule.keys) > 1 and key.max(initial=0) > (1 << 62) // max(width, 1):
            key = np.unique(key, return_inverse=True)[1].astype(np.int64)
        key = key * width + part
    key[missing] = -1
    return key


def block_sizes(key: Positions) -> npt.NDArray[np.int64]:
    """Return the sizes of all blocks of two or more records."""
    kept = key[key >= 0]
    if not len(kept):
        return np.zeros(0, np.int64)
    kept = np.sort(kept)
    edges = np.flatnonzero(np.diff(kept)) + 1
    sizes = np.diff(np.concatenate([[0], edges, [len(kept)]]))
    return sizes[sizes > 1].astype(np.int64)


def expected_pairs(sizes: npt.NDArray[np.int64], at_most: int) -> int:
    """Return the pairs of a rule whose blocks above ``at_most`` records are left out."""
    used = sizes[sizes <= at_most].astype(object)
    return int((used * (used - 1) // 2).sum()) if len(used) else 0


@dataclass(slots=True)
class RuleCost:
    """What a rule costs, known before it runs.

    Attributes
    ----------
    pairs : int
        Pairs in blocks up to the limit, those that earlier rules find as well included.
    left_out : int
        Records in blocks above the limit.
    largest : int
        Records in the largest block.
    """

    rule: Rule
    pairs: int
    left_out: int
    largest: int


class Blocks:
    """The blocks of a definition over one table.

    Parameters
    ----------
    table : Table
    definition : Definition
    """

    def __init__(self, table: Table, definition: Definition) -> None:
        self.table = table
        self.rules = definition.rules
        self.keys: list[Positions] = []
        self.costs: list[RuleCost] = []
        for rule in definition.rules:
            key = rule_key(table, rule)
            sizes = block_sizes(key)
            limit = definition.block_at_most if rule.keys else max(definition.block_at_most, len(table))
            cost = RuleCost(rule, expected_pairs(sizes, limit), int(sizes[sizes > limit].sum()), int(sizes.max(initial=0)))
            if cost.pairs > definition.pairs_at_most:
                raise _too_many(table, definition, cost)
            if cost.left_out:
                key = _without_large(key, limit)
            self.keys.append(key)
            self.costs.append(cost)

    def pairs(self, chunk: int | None = None) -> Iterator[tuple[int, Positions, Positions]]:
        """Yield (rule, left, right) with ``left < right``, at most about ``chunk`` pairs at a time, each pair once."""
        for number, key in enumerate(self.keys):
            for left, right in enumerate_pairs(key, chunk or CHUNK):
                left, right = self._new(number, left, right)
                if len(left):
                    yield number, left, right

    def found_by(self, left: Positions, right: Positions) -> list[str]:
        """Return the name of the first rule that proposes each pair; empty where none does."""
        names = np.full(len(left), "", object)
        for key, rule in zip(reversed(self.keys), reversed(self.rules), strict=True):
            names[(key[left] == key[right]) & (key[left] >= 0)] = rule.name
        return [str(n) for n in names]

    def _new(self, number: int, left: Positions, right: Positions) -> tuple[Positions, Positions]:
        """Drop pairs within one linked source and pairs that an earlier rule found."""
        keep = np.ones(len(left), bool)
        if self.table.source.any():
            keep &= self.table.source[left] != self.table.source[right]
        for earlier in self.keys[:number]:
            at = earlier[left]
            keep &= (at != earlier[right]) | (at < 0)
        left, right = left[keep], right[keep]
        return np.minimum(left, right), np.maximum(left, right)

    def sample(self, number: int, size: int, only_new: bool) -> tuple[Positions, Positions, float]:
        """Return up to ``size`` pairs of a rule and how many pairs each stands for.

        Blocks are taken in the order of a fixed scramble of their keys, so that the choice does not depend on row order.
        """
        key = self.keys[number]
        sizes = block_sizes(key)
        whole = int((sizes.astype(object) * (sizes - 1) // 2).sum()) if len(sizes) else 0
        if whole > 2 * size:  # keep a share of the records' blocks, whole blocks at a time
            share = 1.5 * size / whole
            scrambled = (key.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)
            key = np.where(scrambled < np.uint64(int(share * 2**32)), key, -1)
        lefts, rights = [], []
        for left, right in enumerate_pairs(key, CHUNK):
            lefts.append(left)
            rights.append(right)
        left = np.concatenate(lefts) if lefts else np.zeros(0, np.int64)
        right = np.concatenate(rights) if rights else np.zeros(0, np.int64)
        taken = len(left)
        if taken > 4 * size:
            step = taken // (2 * size)
            left, right = left[::step], right[::step]
        drawn = len(left)
        if only_new:
            left, right = self._new(number, left, right)
        elif self.table.source.any():
            apart = self.table.source[left] != self.table.source[right]
            left, right = left[apart], right[apart]
        return left, right, (whole / drawn if drawn else 0.0)


def _too_many(table: Table, definition: Definition, cost: RuleCost) -> TooManyPairsError:
    """Return the refusal of a rule that would explode, with the rule to use instead where there is one."""
    from steward.scoring.duplicates.narrower import narrower

    better = narrower(table, cost.rule, pairs_at_most=definition.pairs_at_most, block_at_most=definition.block_at_most)
    if better is None:
        return TooManyPairsError(
            N_("The blocking rule “{rule}” would compare {pairs} pairs; the limit is {limit}."),
            next_step=N_("Add a second key to the rule, such as the first letters of a name or the year of a date."),
            rule=cost.rule.name,
            pairs=cost.pairs,
            limit=definition.pairs_at_most,
        )
    return TooManyPairsError(
        N_("The blocking rule “{rule}” would compare {pairs} pairs; the limit is {limit}."),
        next_step=N_("Add a second key: “{narrower}” compares {fewer} pairs, keys = [{keys}]."),
        rule=cost.rule.name,
        pairs=cost.pairs,
        limit=definition.pairs_at_most,
        narrower=better[0].name,
        fewer=better[1],
        keys=", ".join(better[0].written()),
    )


def _without_large(key: Positions, limit: int) -> Positions:
    kept = key >= 0
    _, inverse, counts = np.unique(key[kept], return_inverse=True, return_counts=True)
    out = key.copy()
    part = out[kept]
    part[counts[inverse] > limit] = -1
    out[kept] = part
    return out


def enumerate_pairs(key: Positions, chunk: int = CHUNK) -> Iterator[tuple[Positions, Positions]]:
    """Yield all pairs of equal non-negative keys in chunks; memory is bounded by ``chunk`` plus one pass over the records."""
    rows = np.flatnonzero(key >= 0)
    if len(rows) < 2:
        return
    rows = rows[np.argsort(key[rows], kind="stable")]
    ordered = key[rows]
    alive = np.flatnonzero(ordered[:-1] == ordered[1:])
    lefts: list[Positions] = []
    rights: list[Positions] = []
    held, offset = 0, 1
    while len(alive):
        for start in range(0, len(alive), chunk):
            part = alive[start : start + chunk]
            lefts.append(rows[part])
            rights.append(rows[part + offset])
            held += len(part)
            if held >= chunk:
                yield np.concatenate(lefts), np.concatenate(rights)
                lefts, rights, held = [], [], 0
        offset += 1
        alive = alive[alive + offset < len(rows)]
        alive = alive[ordered[alive] == ordered[alive + offset]]
    if held:
        yield np.concatenate(lefts), np.concatenate(rights)


if TYPE_CHECKING:
    pass


def __getattr__(name: str) -> Any:
    """Return :class:`KeyIndex`, which stands on recordlinkage and is loaded when asked for."""
    if name == "KeyIndex":
        from steward.scoring.duplicates.recordlinkage_parts import KeyIndex

        return KeyIndex
    raise AttributeError(name)
