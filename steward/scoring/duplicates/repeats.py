"""Records that stand in a table hundreds of times over: a few stand for all while pairs are compared, the rest follow them.

Ten thousand copies of one record make fifty million pairs that all say the same, and no blocking rule survives them. Of
records whose standard forms are equal in every field, a hundred are compared like any others; each further one is compared
with the first of them alone and joins its cluster if that weight is above the cut.

Copies that share an e-mail address, a telephone number or an identifier are held to be one customer's: they do not make
their values common. Copies without one (ten thousand times *Max Mustermann* and nothing else) are counted in full, so that
they stay as unlike as namesakes are.

Left to others: pairs (``blocks``), weights (``score``), clusters (``cluster``).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from steward.scoring.duplicates.blocks import Blocks
from steward.scoring.duplicates.columns import Table
from steward.scoring.duplicates.score import Scored, Scorer, joined_pairs

Positions = npt.NDArray[np.int64]

MORE_THAN = 400
"""Copies of one record up to which all of them are compared."""

KEPT = 100
"""Copies that stand for the rest of a larger number."""


@dataclass(slots=True)
class Repeats:
    """Which records are compared, and whom the others follow; positions in the whole table.

    Attributes
    ----------
    kept : array (n_kept,)
        Ascending.
    rest, first : array (n_rest,)
        Records left out of the comparison, and the kept copy that each follows.
    one_customer : array (n_rest,) of bool
        Where the copies share a value that hardly two customers share.
    """

    kept: Positions
    rest: Positions
    first: Positions
    one_customer: npt.NDArray[np.bool_]

    def part(self, table: Table) -> Table:
        """Return the table of the records that are compared.

        Side effect: in both tables, copies that are one customer's no longer count towards how common their values are.
        """
        for c in table.columns:
            codes = c.codes[self.rest[self.one_customer]]
            c.counts = c.counts - np.bincount(codes[codes >= 0], minlength=len(c.counts)).astype(c.counts.dtype)
        columns = [replace(c, codes=c.codes[self.kept]) for c in table.columns]
        return Table(table.ids[self.kept], table.order[self.kept], table.source[self.kept], columns, table.hubs)

    def follow(
        self, table: Table, scorer: Scorer, blocks: Blocks, pairs: Scored, labels: npt.NDArray[np.int64], cut_bits: float
    ) -> tuple[Scored, npt.NDArray[np.int64]]:
        """Return pairs and clusters of the whole table; side effect: ``blocks`` counts in the whole table afterwards.

        Parameters
        ----------
        scorer : Scorer
            Of the part; its weights hold for the whole, since the fields are the same.
        """
        out = np.arange(len(table), dtype=np.int64)
        out[self.kept] = self.kept[labels]
        at = np.full(len(table), -1, np.int64)
        at[self.kept] = np.arange(len(self.kept))
        leader = at[self.first]
        second = leader + 1  # copies stand beside each other: the table is ordered by contents
        own = scorer.score(leader, second, 0, keep_all=True)
        found = replace(pairs, left=self.kept[pairs.left], right=self.kept[pairs.right])
        follows = own.weight >= cut_bits
        out[self.rest[follows]] = out[self.first[follows]]
        shown = own.weight >= scorer.threshold
        extra = own.take(shown)
        extra.left = np.minimum(self.first[shown], self.rest[shown])
        extra.right = np.maximum(self.first[shown], self.rest[shown])
        for key_number, key in enumerate(blocks.keys):
            whole = np.full(len(table), -1, key.dtype)
            whole[self.kept] = key
            whole[self.rest] = whole[self.first]
            blocks.keys[key_number] = whole
        blocks.table = table
        for number in range(len(blocks.rules) - 1, -1, -1):
            key = blocks.keys[number]
            extra.rule[(key[extra.left] == key[extra.right]) & (key[extra.left] >= 0)] = number
        return joined_pairs([found, extra], len(table.columns)), _smallest(out)


def find_repeats(table: Table, always: Collection[str] = ()) -> Repeats | None:
    """Return the records that need not be compared with everything; None in nearly every table.

    Parameters
    ----------
    always : collection of str
        Ids of records that are compared whatever happens, because a person decided about them.
    """
    n = len(table)
    if n <= MORE_THAN or not table.columns:
        return None
    same = np.ones(n - 1, bool)
    filled = np.zeros(n, bool)
    telling = np.zeros(n, bool)
    for column in table.columns:
        same &= column.codes[1:] == column.codes[:-1]
        filled |= column.codes >= 0
        if column.kind.strong:
            telling |= (column.codes >= 0) & ~np.append(column.shared, False)[column.codes]
    same &= table.source[1:] == table.source[:-1]
    begins = np.concatenate([[0], np.flatnonzero(~same) + 1])
    lengths = np.diff(np.concatenate([begins, [n]]))
    large = (lengths > MORE_THAN) & filled[begins]
    if not large.any():
        return None
    first = np.repeat(begins, lengths)
    place = np.arange(n) - first
    rest = np.repeat(large, lengths) & (place >= KEPT)
    if always:
        rest &= ~np.isin(table.ids.astype(str), np.array(sorted(always), dtype=str))
    rows = np.arange(n, dtype=np.int64)
    return Repeats(rows[~rest], rows[rest], first[rest].astype(np.int64), telling[rest])


def _smallest(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return labels that are the smallest position of their cluster."""
    least = np.full(len(labels), len(labels), np.int64)
    np.minimum.at(least, labels, np.arange(len(labels)))
    out: npt.NDArray[np.int64] = least[labels]
    return out
