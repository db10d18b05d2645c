"""The functions a condition may call: name → how many values it takes, what it does, whether it sees NULL.

The names are those of DuckDB, Spark and SQLite as they occur in Splink's comparisons. Regular expressions come from a
settings file: a value longer than :data:`LONGEST` is cut before one runs on it, so that none can run away.

Left to others: reading conditions (``conditions``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from rapidfuzz.distance import DamerauLevenshtein, Hamming, Jaro, JaroWinkler, Levenshtein

LONGEST = 400
"""Characters of a value that a regular expression looks at."""

_CODES = {"%Y", "%m", "%d", "%H", "%M", "%S", "%y", "%b", "%B", "%-d", "%-m"}


@lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def _extract(value: Any, pattern: Any, group: Any = 0) -> str | None:
    try:
        found = _pattern(str(pattern)).search(str(value)[:LONGEST])
        return "" if found is None else (found.group(int(float(group))) or "")
    except (re.error, IndexError):
        return None


def _replace(value: Any, pattern: Any, by: Any, *_: Any) -> str | None:
    try:
        return _pattern(str(pattern)).sub(str(by), str(value)[:LONGEST])
    except (re.error, IndexError):
        return None


def _part(value: Any, start: Any, length: Any = None) -> str:
    text, at = str(value), int(float(start))
    begin = at - 1 if at > 0 else max(len(text) + at, 0)
    return text[begin:] if length is None else text[begin : begin + int(float(length))]


def _date(value: Any, form: Any = None) -> datetime | None:
    if isinstance(value, datetime):
        return value
    text = str(value)
    try:
        if form is None:
            return datetime.combine(date.fromisoformat(text[:10]), datetime.min.time(), UTC)
        return datetime.strptime(text, str(form)).replace(tzinfo=UTC)
    except ValueError:
        return None


def _epoch(value: Any) -> float | None:
    found = _date(value)
    return None if found is None else found.timestamp()


def _days(part: Any, a: Any, b: Any) -> float | None:
    one, two = _date(a), _date(b)
    if one is None or two is None:
        return None
    months = (two.year - one.year) * 12 + two.month - one.month
    ways = {"day": float((two.date() - one.date()).days), "month": float(months), "year": float(two.year - one.year)}
    return ways.get(str(part).lower().rstrip("s"))


def _jaccard(a: Any, b: Any) -> float:
    one, two = set(str(a)), set(str(b))
    return len(one & two) / len(one | two) if one | two else 0.0


def _float(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _math(function: Callable[..., float]) -> Callable[..., float | None]:
    def compute(*values: Any) -> float | None:
        numbers = [_float(v) for v in values]
        try:
            return None if None in numbers else function(*numbers)
        except (ValueError, OverflowError, ZeroDivisionError):
            return None

    return compute


def _first(*values: Any) -> Any:
    return next((v for v in values if v is not None), None)


def _null_if(a: Any, b: Any) -> Any:
    return None if a is not None and a == b else a


def _joined(*values: Any) -> str:
    return "".join(str(v) for v in values if v is not None)


def _texts(function: Callable[[str, str], float]) -> Callable[[Any, Any], float]:
    return lambda a, b: function(str(a), str(b))


_jw = _texts(JaroWinkler.similarity)
_jaro = _texts(Jaro.similarity)
_damerau = _texts(DamerauLevenshtein.distance)
_levenshtein = _texts(Levenshtein.distance)

FUNCTIONS: dict[str, tuple[tuple[int, int], Callable[..., Any], bool]] = {
    "lower": ((1, 1), lambda v: str(v).lower(), False),
    "upper": ((1, 1), lambda v: str(v).upper(), False),
    "trim": ((1, 1), lambda v: str(v).strip(), False),
    "ltrim": ((1, 1), lambda v: str(v).lstrip(), False),
    "rtrim": ((1, 1), lambda v: str(v).rstrip(), False),
    "length": ((1, 1), lambda v: float(len(str(v))), False),
    "len": ((1, 1), lambda v: float(len(str(v))), False),
    "substr": ((2, 3), _part, False),
    "substring": ((2, 3), _part, False),
    "left": ((2, 2), lambda v, n: str(v)[: int(float(n))], False),
    "right": ((2, 2), lambda v, n: str(v)[-int(float(n)) :] if int(float(n)) else "", False),
    "replace": ((3, 3), lambda v, a, b: str(v).replace(str(a), str(b)), False),
    "regexp_extract": ((2, 3), _extract, False),
    "regexp_replace": ((3, 4), _replace, False),
    "concat": ((1, 20), _joined, True),
    "coalesce": ((1, 20), _first, True),
    "ifnull": ((2, 2), _first, True),
    "nullif": ((2, 2), _null_if, True),
    "jaro_winkler_similarity": ((2, 2), _jw, False),
    "jaro_winkler": ((2, 2), _jw, False),
    "jaro_winkler_sim": ((2, 2), _jw, False),
    "jaro_similarity": ((2, 2), _jaro, False),
    "jaro_sim": ((2, 2), _jaro, False),
    "levenshtein": ((2, 2), _levenshtein, False),
    "damerau_levenshtein": ((2, 2), _damerau, False),
    "hamming": ((2, 2), _texts(Hamming.distance), False),
    "jaccard": ((2, 2), _jaccard, False),
    "try_strptime": ((2, 2), _date, False),
    "strptime": ((2, 2), _date, False),
    "to_date": ((1, 2), _date, False),
    "as_date": ((1, 1), _date, False),
    "epoch": ((1, 1), _epoch, False),
    "unix_timestamp": ((1, 2), lambda v, form=None: _epoch(_date(v, form)), False),
    "date_diff": ((3, 3), _days, False),
    "datediff": ((3, 3), _days, False),
    "as_text": ((1, 1), lambda v: str(int(v)) if isinstance(v, float) and v.is_integer() else str(v), False),
    "as_number": ((1, 1), _float, False),
    "negative": ((1, 1), _math(lambda v: -v), False),
    "abs": ((1, 1), _math(abs), False),
    "round": ((1, 1), _math(round), False),
    "floor": ((1, 1), _math(math.floor), False),
    "sqrt": ((1, 1), _math(math.sqrt), False),
    "power": ((2, 2), _math(pow), False),
    "pow": ((2, 2), _math(pow), False),
    "radians": ((1, 1), _math(math.radians), False),
    "sin": ((1, 1), _math(math.sin), False),
    "cos": ((1, 1), _math(math.cos), False),
    "acos": ((1, 1), _math(math.acos), False),
    "greatest": ((1, 9), _math(max), False),
    "least": ((1, 9), _math(min), False),
}  # fmt: skip
