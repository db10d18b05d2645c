"""What two records' fields say together and not one by one: names in each other's column, fathers and sons, mailboxes.

Levels of single fields are changed in place after they are known. Left to others: the levels (``levels``), weights (``train``).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from steward.scoring.duplicates.columns import Column, Table
from steward.scoring.duplicates.levels import CROSSED, SWAPPED, generation, names_cross

Positions = npt.NDArray[np.int64]


def see_whole_names(table: Table, left: Positions, right: Positions, levels: npt.NDArray[np.int8]) -> None:
    """Look at what fields say together: names in each other's column, and mailboxes that merely repeat a name."""
    _see_swaps(table, left, right, levels)
    _see_generations(table, left, right, levels)
    _see_names_in_mail(table, left, right, levels)


def _see_generations(table: Table, left: Positions, right: Positions, levels: npt.NDArray[np.int8]) -> None:
    """Let *Sr* and *Jr* beside a family name tell father from son: it is the person that differs, not the family."""
    kinds = [c.kind.name for c in table.columns]
    if "given" not in kinds or "family" not in kinds:
        return
    g, family = kinds.index("given"), table.columns[kinds.index("family")]
    if "generation" not in family.cache:
        marks = [generation(str(k)) for k in family.key.tolist()]
        family.cache["generation"] = np.array([*(int(m[0]) if m else 0 for m in marks), 0], np.int8) if any(marks) else None
    marked = family.cache["generation"]
    if marked is None:
        return
    a, b = marked[family.codes[left]], marked[family.codes[right]]
    levels[(a > 0) & (b > 0) & (a != b) & (levels[:, g] > 0), g] = 0


def _see_names_in_mail(table: Table, left: Positions, right: Positions, levels: npt.NDArray[np.int8]) -> None:
    """Let a similar mailbox count for nothing where it follows from the names.

    ``anna.meier@`` follows from Anna Meier where a name agrees already. Where two family names are merely similar, or other
    ones, and each stands in its own mailbox, nearly equal mailboxes say no more than the names do: Verby and Harby.
    """
    kinds = [c.kind.name for c in table.columns]
    names = np.zeros(len(levels), bool)
    for f, kind in enumerate(kinds):
        if kind in ("given", "family", "person", "company"):
            names |= levels[:, f] > 0
    family = kinds.index("family") if "family" in kinds else None
    for f, kind in enumerate(kinds):
        if kind != "email":
            continue
        levels[names & (levels[:, f] == 1), f] = -1
        if family is None:
            continue
        column = table.columns[family]
        open_ = np.flatnonzero((levels[:, f] == 2) & (levels[:, family] >= 0) & (levels[:, family] < column.kind.exact))
        for i in open_:
            sides = ((column.codes[row], table.columns[f].codes[row]) for row in (left[i], right[i]))
            if all(
                str(column.latin[name]).replace(" ", "") in str(table.columns[f].latin[mail]).partition("@")[0]
                for name, mail in sides
            ):
                levels[i, f] = -1


def _see_swaps(table: Table, left: Positions, right: Positions, levels: npt.NDArray[np.int8]) -> None:
    """Recognise names in each other's column, slips and initials included, and one name in the other's column."""
    names = [c.kind.name for c in table.columns]
    if "given" not in names or "family" not in names:
        return
    g, f = names.index("given"), names.index("family")
    given, family = table.columns[g], table.columns[f]
    doubt = np.flatnonzero((levels[:, g] <= 0) & (levels[:, f] <= 0) & ((levels[:, g] == 0) | (levels[:, f] == 0)))
    if not len(doubt):
        return
    a, b = left[doubt], right[doubt]
    one, other = _crossing(given, family, a, b), _crossing(given, family, b, a)
    both_open = (levels[doubt, g] == 0) & (levels[doubt, f] == 0)
    whole = both_open & one & other
    levels[doubt[whole], g] = SWAPPED
    part = (one | other) & ~whole
    for at, rows in ((g, doubt[part & (levels[doubt, g] == 0)]), (f, doubt[part & (levels[doubt, g] != 0)])):
        levels[rows, at] = CROSSED
    levels[doubt[whole | (part & both_open)], f] = -1


def _crossing(given: Column, family: Column, a: Positions, b: Positions) -> npt.NDArray[np.bool_]:
    """Tell for which pairs the given name of the one fits the family name of the other; each pair of names once."""
    x, y = given.codes[a].astype(np.int64), family.codes[b].astype(np.int64)
    there = np.flatnonzero((x >= 0) & (y >= 0))
    out = np.zeros(len(a), bool)
    if not len(there):
        return out
    pair, inverse = np.unique(x[there] * len(family.key) + y[there], return_inverse=True)
    out[there] = names_cross(given.latin[pair // len(family.key)], family.latin[pair % len(family.key)])[inverse]
    return out
