"""Rows of subforms that stand below their record, as form builders export them: one record over several rows.

A row begins a record where its id is another than that of the row before; a row without anything but a subform's values, or
with the same id and the same values, belongs to the record above. A row of which neither is true has no owner and becomes a
reject, and so do the rows after it until a record begins: a row of a subform must never be given to another record.

Left to others: reading the cells (``delimited``, ``xlsx``), the objects this makes (``steward.crm.exports.propose``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from steward.messages import N_
from steward.store.delimited import Broken

Row = Mapping[str, str | None]
HeaderCells = Mapping[int, str]
Merge = tuple[int, int, int, int]

_DOTTED = re.compile(r"(?P<title>\S(?:.*\S)?)\.(?P<name>\S(?:.*\S)?)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the file after it was cut.

    Attributes
    ----------
    number : int
        Line or row in the file.
    values : mapping of str to str or None
    key : str
        Id of its record.
    begins : bool
        The record begins here.
    places : mapping of str to int
        Subform → number of this row in its record, from 1; only those that hold something.
    """

    number: int
    values: Row
    key: str
    begins: bool
    places: Mapping[str, int]


@dataclass(slots=True)
class _Open:
    """The record that further rows belong to."""

    key: str
    values: Row
    counts: dict[str, int] = field(default_factory=dict)
    doubted: bool = False
    """The row before claimed to be of this record and had other values: a row without an id could be of either."""


def cut(rows: Iterable[tuple[int, Row] | Broken], key: str, subforms: Mapping[str, Sequence[str]]) -> Iterator[Line | Broken]:
    """Cut rows into records and rows of subforms.

    Parameters
    ----------
    rows : iterable
        (line, values by column), or a line that could not be read.
    key : str
        The id column.
    subforms : mapping of str to sequence of str
        Subform → its columns.
    """
    inside = {c for columns in subforms.values() for c in columns}
    current: _Open | None = None
    for item in rows:
        if isinstance(item, Broken):
            current = None  # it may have begun a record
            yield item
            continue
        number, values = item
        own = {c: v for c, v in values.items() if c not in inside and v not in (None, "")}
        identifier = values.get(key)
        begins = identifier not in (None, "") and (current is None or identifier != current.key)
        if begins:
            current = _Open(str(identifier), values)
        elif current is None or (own and key not in own):
            current = None
            yield _broken(number, N_("has no id"), values)
            continue
        elif not own and current.doubted:
            yield _broken(number, N_("has no id"), values)
            continue
        elif any(value != current.values.get(column) for column, value in own.items()):
            current.doubted = True
            yield _broken(number, N_("has other values than the row its record begins with"), values)
            continue
        current.doubted = False
        places = {}
        for title, columns in subforms.items():
            if any(values.get(c) not in (None, "") for c in columns):
                current.counts[title] = places[title] = current.counts.get(title, 0) + 1
        yield Line(number, values, current.key, begins, places)


def _broken(number: int, problem: str, values: Row) -> Broken:
    text = ",".join(v or "" for v in values.values())
    return Broken(number, problem, text.encode("utf-8", "backslashreplace").decode(), text.encode("utf-8", "surrogatepass"))


def dotted(
    columns: Sequence[str], sample: Sequence[Row], key: str | None, *, sure: frozenset[str] = frozenset()
) -> dict[str, tuple[str, ...]]:
    """Return the subforms of a header with columns like ``Items.Price``; none where no record has more than one row.

    Parameters
    ----------
    sample : sequence of mapping
        Some rows; only rows that go on below their record show that such columns are a subform's.
    key : str or None
        The id column.
    sure : frozenset of str
        Titles that are known to be subforms, whatever the rows show.
    """
    found: dict[str, list[str]] = {}
    for column in columns:
        named = _DOTTED.fullmatch(column)
        if named and not re.search(r"\d\.\d", column) and named["title"] not in columns:
            found.setdefault(named["title"].split(".")[0], []).append(column)
    if not found or key is None:
        return {}
    goes_on = any(row.get(key) in (None, "", before.get(key)) for before, row in pairwise(sample))
    return {title: tuple(names) for title, names in found.items() if goes_on or title in sure}


def two_rows(
    first: HeaderCells, second: HeaderCells, merges: Iterable[Merge], row: int
) -> tuple[dict[int, str], dict[str, tuple[str, ...]]] | None:
    """Return the columns by place and the subforms of a header of two rows; None where it is one row.

    Parameters
    ----------
    first, second : mapping of int to str
        Place → text of both rows.
    merges : iterable of Merge
        Merged cells of the sheet.
    row : int
        Number of the first row.
    """
    tall = {c for top, bottom, left, right in merges if top == row and bottom == row + 1 for c in range(left, right + 1)}
    wide = {left: right for top, bottom, left, right in merges if top == bottom == row and right > left}
    if not (tall or wide) or not second or set(second) & tall:
        return None
    titles: dict[int, str] = {}
    for place, title in first.items():
        if place not in tall:
            titles |= dict.fromkeys(range(place, wide.get(place, place) + 1), title)
    if not set(second) <= set(titles) or not all(place in second for place in titles if place in wide or place in first):
        return None
    columns: dict[int, str] = {place: text for place, text in first.items() if place in tall}
    groups: dict[str, list[str]] = {}
    for place, name in second.items():
        columns[place] = f"{titles[place]}.{name}"
        groups.setdefault(titles[place], []).append(columns[place])
    return dict(sorted(columns.items())), {title: tuple(names) for title, names in groups.items()}
