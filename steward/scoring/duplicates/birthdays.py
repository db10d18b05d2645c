"""Birthdays where no header says so: a date in three columns, a year alone, and dates that lie as birthdays do.

Left to others: headers that name a birthday (``profile``), reading a date (``standard``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import polars as pl

from steward.scoring.duplicates.standard import date_text, day_comes_first

_PARTS = {
    "year": r"^(by|yob|(birth|dob|born|birth ?date) ?(year|yr|y)|year of birth|birth|geb(urts)? ?jahr|jahrgang)$|出生年份?$",
    "month": r"^(bm|mob|(birth|dob|born|birth ?date) ?(month|mon|m)|month of birth|geb(urts)? ?monat)$|出生月份?$",
    "day": r"^(bd|(birth|dob|born|birth ?date) ?(day|d)|day of birth|geb(urts)? ?tag)$|出生日$",
}
_RANGE = {"year": (1850, 2030), "month": (1, 12), "day": (1, 31)}

SAMPLE = 1_000
"""Distinct dates that are read to tell birthdays from other dates."""

SPAN = 20
"""Years between the earliest and the latest tenth of birthdays at least; orders, visits and contracts lie closer together."""

GROWN = 2010
"""Year in which the middle one of them lies at the latest."""


def birth_parts(headers: Mapping[str, str], frame: pl.DataFrame) -> dict[str, str]:
    """Return the columns that hold parts of a birthday: ``year``, ``month`` and ``day``, or the year alone, or nothing.

    Parameters
    ----------
    headers : mapping
        Columns and their headers as words.
    frame : DataFrame
        Text columns.
    """
    found: dict[str, str] = {}
    for part, pattern in _PARTS.items():
        low, high = _RANGE[part]
        for column, words in headers.items():
            if part in found or not re.search(pattern, words):
                continue
            numbers = (
                frame[column].cast(pl.String).str.strip_chars().replace("", None).drop_nulls().cast(pl.Int64, strict=False)
            )
            if len(numbers) and float(numbers.is_between(low, high).fill_null(False).mean() or 0.0) > 0.9:  # type: ignore[arg-type]  # of truth values
                found[part] = column
    if len(found) == 3:
        return found
    return {"year": found["year"]} if "year" in found else {}


def lie_like_birthdays(values: pl.Series) -> bool:
    """Tell whether dates spread over the years as people's birthdays do."""
    some = values.drop_nulls().unique().sort()
    if len(some) < 10:
        return False
    step = max(1, len(some) // SAMPLE)
    day_first = day_comes_first(some)
    read = (date_text(v[:40], day_first) for v in some.gather_every(step))
    years = sorted(int(d[:4]) for d in read if d is not None)
    if not years:
        return False
    early, middle, late = (years[int(share * (len(years) - 1))] for share in (0.1, 0.5, 0.9))
    return early >= 1850 and late - early >= SPAN and middle <= GROWN
