"""Chooses the format of a column of dates from a sample of it; what could be read in two ways is read in none.

Left to others: reading the dates (``steward.store.typed``), which columns are dates (``steward.crm.exports.propose``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

ENOUGH = 0.95
"""Share of the sample that a format must read."""

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?)?(Z|[+-]\d{2}:?\d{2})?")
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_FAMILIES: tuple[tuple[str, ...], ...] = (
    ("iso",),
    *(
        tuple(day + clock for clock in _CLOCKS)
        for day in ("%Y/%m/%d", "%Y年%m月%d日", "%Y.%m.%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%m-%d-%Y", "%d-%m-%Y", "%b %d, %Y", "%d %b %Y", "%d-%b-%Y")
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a sample says.

    Attributes
    ----------
    formats : str or None
        ``strptime`` formats joined by ``|``, or ``iso``; None where nothing was chosen.
    ambiguous : bool
        More than one order of day and month fits, with other dates.
    unread : bool
        There are values, and no known format reads them.
    """

    formats: str | None
    ambiguous: bool = False
    unread: bool = False


def choose(values: Iterable[str | None], *, preferred: Sequence[str] = ()) -> Chosen:
    """Choose the formats of a column.

    Parameters
    ----------
    values : iterable of str or None
        A sample; empty values say nothing.
    preferred : sequence of str
        Formats the vendor is known for; they decide between readings that fit equally well.
    """
    sample = [v.strip() for v in values if v and v.strip()]
    if not sample:
        return Chosen(None)
    readings = [(family, [_read(v, family) for v in sample]) for family in _FAMILIES]
    best = max(sum(r is not None for r in read) for _, read in readings)
    if best < ENOUGH * len(sample):
        return Chosen(None, unread=True)
    good = [(family, read) for family, read in readings if sum(r is not None for r in read) == best]
    known = [g for g in good if set(preferred) & set(g[0])]
    chosen = good if len(good) == 1 else known or good
    moments = [[r[1] if r else None for r in read] for _, read in chosen]
    if any(m != moments[0] for m in moments[1:]):
        return Chosen(None, ambiguous=True)
    used = {r[0] for r in chosen[0][1] if r}
    return Chosen("|".join(f for f in chosen[0][0] if f in used))


def _read(value: str, family: Sequence[str]) -> tuple[str, datetime] | None:
    """Return the format of a family that reads a value, and the moment without its zone."""
    for form in family:
        if form == "iso":
            if not _ISO.fullmatch(value):
                continue
            try:
                return form, datetime.fromisoformat(value).replace(tzinfo=None)
            except ValueError:
                continue
        try:
            return form, datetime.strptime(value, form)
        except ValueError:
            continue
    return None
