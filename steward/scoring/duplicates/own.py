"""Levels of one's own: a field compared as an expert says, in recordlinkage's words, between *exact* and *differs*.

Each level is a short text, best first; the first that fits wins::

    levels = ["jarowinkler 0.92", "levenshtein 2", "start 4"]

``jaro``, ``jarowinkler``, ``qgram``, ``cosine``, ``smith_waterman``, ``lcs`` and ``words`` take a similarity in (0, 1] that
is reached at least; ``levenshtein`` and ``damerau_levenshtein`` take a whole number of edits at most, or a similarity;
``numeric`` and ``days`` take a difference at most; ``start`` a number of first characters; ``sound`` and ``initial`` nothing;
``when`` a condition (:mod:`steward.scoring.duplicates.conditions`). Two equal standard forms are *exact*.

Left to others: the levels that come with a kind (``levels``), what a level is worth (``model``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from steward.errors import ScoringError
from steward.scoring.duplicates.conditions import Node, NotUnderstoodError, evaluate, holds, parse
from steward.scoring.duplicates.definition import Field
from steward.scoring.duplicates.kinds import KINDS, Kind, Level

if TYPE_CHECKING:
    import polars as pl

    from steward.scoring.duplicates.columns import Column

SEPARATOR = "\x1f"
"""Stands between the columns of a value that conditions look at one by one."""

SIMILARITY = ("jaro", "jarowinkler", "qgram", "cosine", "smith_waterman", "lcs", "words")
EDITS = ("levenshtein", "damerau_levenshtein")
DIFFERENCE = ("numeric", "days")
BARE = ("sound", "initial")

Text = npt.NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class OwnLevel:
    """One level: its method, its limit or its condition."""

    method: str
    limit: float = 0.0
    edits: bool = False
    condition: Node | None = None


@lru_cache(maxsize=512)
def read_level(text: str) -> OwnLevel:
    """Read one level.

    Raises
    ------
    ValueError
        Not a level; says why.
    """
    method, _, rest = text.strip().partition(" ")
    rest = rest.strip()
    if method == "when":
        return OwnLevel("when", condition=parse(rest))
    if method in BARE and not rest:
        return OwnLevel(method)
    known = (*SIMILARITY, *EDITS, *DIFFERENCE, "start", *BARE, "when")
    if method not in known:
        raise ValueError(f"level {text!r} begins with none of {', '.join(known)}")
    if not re.fullmatch(r"\d+(\.\d+)?", rest):
        raise ValueError(f"level {text!r} needs one number after {method}")
    limit = float(rest)
    edits = method in EDITS and "." not in rest
    if method in SIMILARITY or (method in EDITS and not edits):
        if not 0 < limit <= 1:
            raise ValueError(f"level {text!r}: a similarity lies between 0 and 1")
    elif limit <= 0 and method != "numeric":
        raise ValueError(f"level {text!r} needs a number above 0")
    return OwnLevel(method, limit, edits)


def check_field(f: Field, wrong: Callable[[str], ScoringError]) -> int:
    """Return the number of levels of a field from a file, or raise what ``wrong`` makes of the problem."""
    try:
        levels = [read_level(text) for text in f.levels]
        for node in (x.condition for x in levels):
            if node is not None:
                _bound_columns(node, f)
        if f.missing:
            _bound_columns(parse(f.missing), f)
        if f.take:
            for name in parse(f.take).columns():
                if name not in f.columns:
                    raise NotUnderstoodError(f"the column {name}, which is not among the field's columns")
    except NotUnderstoodError as error:
        raise wrong(f"field {f.name!r} holds a condition with {error}, which is not known here") from None
    except ValueError as error:
        raise wrong(f"field {f.name!r}: {error}") from None
    conditions = bool(f.missing) or any(x.method == "when" for x in levels)
    if conditions and (f.form != "written" or f.take):
        raise wrong(f'field {f.name!r} has conditions, which need standard = "written" and no take')
    if f.missing and not f.levels:
        raise wrong(f"field {f.name!r} says when it is missing but has no levels of its own")
    return len(f.levels) + 2 if f.levels or f.form == "written" or f.take else len(KINDS[f.kind].levels)


def _bound_columns(node: Node, f: Field) -> list[tuple[str, int, str]]:
    """Return (name as written, position in the field's columns, side) of each column of a condition."""
    out = []
    for name in node.columns():
        base, side = name[:-2], name[-2:].lower()
        if side not in ("_l", "_r"):
            raise NotUnderstoodError(f"the name {name}, which ends in neither _l nor _r")
        if base not in f.columns:
            raise NotUnderstoodError(f"the column {base}, which is not among the field's columns")
        out.append((name, f.columns.index(base), side))
    return out


def has_own_levels(f: Field) -> bool:
    """True where the levels of the field's kind do not apply."""
    return bool(f.levels) or f.form == "written" or bool(f.take)


@lru_cache(maxsize=512)
def kind_of(f: Field) -> Kind:
    """Return the kind that a field is compared as: that of :data:`KINDS`, or one made of its own levels.

    A kind of one's own is named ``own …``, so that nothing that counts on the levels of a kind mistakes it for that one.
    """
    base = KINDS[f.kind]
    if not has_own_levels(f):
        if f.rare_counts_more is None or f.rare_counts_more == base.rare_counts_more:
            return base
        return _replaced(base, f.rare_counts_more)
    middle = len(f.levels)
    share = 0.2 / middle if middle else 0.0
    levels = [Level("differs", "disagree", 0.1 if middle else 0.2)]
    levels += [Level(level_name(text), "partly", share) for text in reversed(f.levels)]
    levels += [Level("exact", "agree", 0.7 if middle else 0.8)]
    rare = base.rare_counts_more if f.rare_counts_more is None else f.rare_counts_more
    return Kind(f"own {base.name}", tuple(levels), rare, base.individual, base.local, base.strong, (), (), base.random_at_most)


def _replaced(base: Kind, rare: bool) -> Kind:
    from dataclasses import replace

    return replace(base, rare_counts_more=rare)


def level_name(text: str) -> str:
    """Return a level as people read it."""
    level = read_level(text)
    if level.method == "when":
        return text.strip()[5:].strip()
    if level.method in BARE:
        return {"sound": "sounds the same", "initial": "fits as an initial"}[level.method]
    number = f"{level.limit:g}"
    if level.edits:
        return f"{level.method} {number} or fewer edits"
    if level.method in DIFFERENCE:
        return f"{level.method} differ by {number} at most"
    if level.method == "start":
        return f"first {number} characters agree"
    return f"{level.method} {number} or more"


def parts_complete(column: Column) -> npt.NDArray[np.bool_]:
    """Return which values have all their columns filled; a part that is absent makes two equal values less than exact."""
    if len(column.field.columns) < 2 or column.field.form != "written" or not column.field.levels:
        return np.ones(len(column.key), bool)
    return np.array(["" not in str(k).split(SEPARATOR) for k in column.key], bool)


def compare_own(column: Column, a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
    """Return the level of pairs of values under the field's own levels; ``-1`` where its ``missing`` says so."""
    f = column.field
    out = np.zeros(len(a), np.int8)
    left, right = column.latin[a], column.latin[b]
    todo = np.ones(len(a), bool)
    env = _Sides(f, left, right)
    if f.missing:
        absent = env.where(parse(f.missing))
        out[absent] = -1
        todo &= ~absent
    for position, text in enumerate(f.levels):
        rows = np.flatnonzero(todo)
        if not len(rows):
            break
        level = read_level(text)
        if level.condition is not None:
            fits = env.where(level.condition, rows)
        else:
            fits = _fits(level, left[rows], right[rows])
        out[rows[fits]] = len(f.levels) - position
        todo[rows[fits]] = False
    return out


class _Sides:
    """The columns of both records' values, as conditions name them."""

    def __init__(self, f: Field, left: Text, right: Text) -> None:
        self.field = f
        self.values = {"_l": left, "_r": right}
        self.made: dict[tuple[int, str], Text] = {}

    def column(self, position: int, side: str) -> Text:
        if (position, side) not in self.made:
            width = len(self.field.columns)
            parts = [str(v).split(SEPARATOR) if width > 1 else [str(v)] for v in self.values[side]]
            self.made[position, side] = np.array([p[position] or None for p in parts], object)
        return self.made[position, side]

    def where(self, node: Node, rows: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.bool_]:
        size = len(self.values["_l"]) if rows is None else len(rows)
        env = {}
        for name, position, side in _bound_columns(node, self.field):
            values = self.column(position, side)
            env[name] = values if rows is None else values[rows]
        return holds(node, env, size)


def taken(f: Field, raw: list[str]) -> list[str | None]:
    """Return what the field's ``take`` makes of values whose columns are joined by :data:`SEPARATOR`."""
    node = parse(f.take)
    width = len(f.columns)
    parts = [v.split(SEPARATOR) if width > 1 else [v] for v in raw]
    env = {c: np.array([p[i] or None for p in parts], object) for i, c in enumerate(f.columns)}
    made = evaluate(node, {name: env[name] for name in node.columns()}, len(raw))
    return [None if v is None else str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) or None for v in made]


def text_of(frame: pl.DataFrame, f: Field) -> pl.Series:
    """Return the text of a field that is compared as an expert says; columns stay apart where conditions look at them.

    Parameters
    ----------
    frame : DataFrame
        Text columns as the snapshot holds them.
    """
    import polars as pl

    from steward.scoring.duplicates.columns import joined

    if not f.take and (f.form != "written" or len(f.columns) < 2):
        return joined(frame, f.columns, f.first_filled)
    parts = [pl.col(c).cast(pl.String).str.strip_chars().fill_null("") for c in f.columns]
    some = pl.any_horizontal([p != "" for p in parts])
    text = frame.select(pl.when(some).then(pl.concat_str(parts, separator=SEPARATOR)).alias("text")).to_series()
    if not f.take:
        return text
    raw = text.unique().drop_nulls().sort()
    return text.replace_strict(raw, pl.Series(taken(f, raw.to_list()), dtype=pl.String), default=None, return_dtype=pl.String)


def _fits(level: OwnLevel, a: Text, b: Text) -> npt.NDArray[np.bool_]:
    from rapidfuzz import fuzz, process
    from rapidfuzz.distance import DamerauLevenshtein, Jaro, JaroWinkler, Levenshtein

    left, right = a.tolist(), b.tolist()
    scorers: dict[str, Any] = {
        "jaro": Jaro.similarity,
        "jarowinkler": JaroWinkler.similarity,
        "levenshtein": Levenshtein.distance if level.edits else Levenshtein.normalized_similarity,
        "damerau_levenshtein": DamerauLevenshtein.distance if level.edits else DamerauLevenshtein.normalized_similarity,
    }
    if level.method in scorers:
        if level.edits:
            edits: npt.NDArray[np.bool_] = (
                process.cpdist(left, right, scorer=scorers[level.method], dtype=np.int32) <= level.limit
            )
            return edits
        near: npt.NDArray[np.bool_] = process.cpdist(left, right, scorer=scorers[level.method], dtype=np.float64) >= level.limit
        return near
    if level.method == "words":
        words: npt.NDArray[np.bool_] = (
            process.cpdist(left, right, scorer=fuzz.token_set_ratio, dtype=np.float64) >= 100 * level.limit
        )
        return words
    if level.method in ("qgram", "cosine", "smith_waterman", "lcs"):
        import pandas as pd
        from recordlinkage.compare import String

        found = String("a", "b", method=level.method)._compute_vectorized(pd.Series(left), pd.Series(right))
        return np.asarray(found, float) >= level.limit
    if level.method == "numeric":
        return _differ([_as_number(v) for v in left], [_as_number(v) for v in right], level.limit)
    if level.method == "days":
        return _differ([_as_day(v) for v in left], [_as_day(v) for v in right], level.limit)
    if level.method == "start":
        n = int(level.limit)
        return np.array([len(x) >= n and x[:n] == y[:n] for x, y in zip(left, right, strict=True)], bool)
    if level.method == "initial":
        return np.array(
            [bool(x and y) and min(len(x), len(y)) == 1 and x[0] == y[0] for x, y in zip(left, right, strict=True)], bool
        )
    import polars as pl

    from steward.scoring.duplicates.blocks import sound

    one, two = sound(pl.Series(left, dtype=pl.String)), sound(pl.Series(right, dtype=pl.String))
    return ((one == two) & (one != "")).fill_null(False).to_numpy()


def _differ(a: list[float | None], b: list[float | None], limit: float) -> npt.NDArray[np.bool_]:
    return np.array([x is not None and y is not None and abs(x - y) <= limit for x, y in zip(a, b, strict=True)], bool)


def _as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _as_day(text: str) -> float | None:
    from steward.scoring.duplicates.standard import date_text

    found = date_text(text[:40], False)
    try:
        return None if found is None else float(date.fromisoformat(found[:10]).toordinal())
    except ValueError:
        return None
