"""The level each pair of values reaches, on distinct pairs of distinct standard forms.

Exact agreement and missing values are integer comparisons of codes. Only what is left is compared as text, each pair of
values once, with rapidfuzz, which compares characters. :class:`LevelFeature` offers the same comparison to recordlinkage's
``Compare``.

Left to others: what a level is worth (``model``), which pairs to compare (``blocks``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA, JaroWinkler

from steward.scoring.duplicates import han
from steward.scoring.duplicates.by_code import email_levels, numbered_apart
from steward.scoring.duplicates.columns import Column
from steward.scoring.duplicates.own import compare_own, has_own_levels, parts_complete
from steward.scoring.duplicates.signature import may_agree
from steward.scoring.duplicates.words import short_forms

Level = npt.NDArray[np.int8]
Text = npt.NDArray[np.object_]

CROSSED = 1
"""Level of ``given`` and of ``family`` where one of the names stands in the other's column."""

SWAPPED = 2
"""Level of ``given`` for names in each other's column."""

INITIAL = 3
"""Level of ``given`` for an initial that fits."""


def _similar(scorer: Any, a: Text, b: Text, dtype: Any = np.float32) -> npt.NDArray[np.float32]:
    out: npt.NDArray[np.float32] = process.cpdist(a.tolist(), b.tolist(), scorer=scorer, dtype=dtype)
    return out


@lru_cache(maxsize=1)
def _short() -> dict[str, frozenset[int]]:
    return short_forms()


def short_of(a: str, b: str) -> bool:
    """Tell whether one given name is an initial or a usual short form of the other."""
    if not a or not b:
        return False
    if len(a) == 1 or len(b) == 1:
        return a[0] == b[0]
    groups = _short()
    return bool(groups.get(a, frozenset()) & groups.get(b, frozenset()))


def _alike(a: Text, b: Text) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Return Jaro-Winkler similarities, and which pairs are at least loosely similar.

    Jaro-Winkler alone holds *Fichtenhofer* for *Teichhofer* and *Davidson* for *Davies*; so many letters may differ only
    where it is sure of the rest.
    """
    jw = _similar(JaroWinkler.similarity, a, b)
    loose = jw >= 0.88
    doubt = np.flatnonzero((jw >= 0.8) & ~loose)
    loose[doubt] = _similar(OSA.normalized_similarity, a[doubt], b[doubt]) >= 0.65
    return jw, loose


def names_cross(given: Text, family: Text) -> npt.NDArray[np.bool_]:
    """Tell which given names fit the family name beside them but for a slip or an initial."""
    fits = _similar(JaroWinkler.similarity, given, family) >= 0.87
    for i in np.flatnonzero(~fits):
        a, b = given[i], family[i]
        fits[i] = bool(a) and bool(b) and min(len(a), len(b)) == 1 and a[0] == b[0]
    return fits


def _given(a: Text, b: Text, same: npt.NDArray[np.bool_]) -> Level:
    jw, loose = _alike(a, b)
    out = np.where(jw >= 0.92, 6, np.where(loose, 4, 0)).astype(np.int8)
    out[same] = 6
    for i in np.flatnonzero(jw < 0.92):
        left, right = a[i], b[i]
        if min(len(left), len(right)) == 1:
            out[i] = INITIAL if left[0] == right[0] else 0
        elif short_of(left, right):
            out[i] = 5
        elif " " in left or " " in right:
            first, second = left.split(), right.split()
            if first and second and (first[0] == second[0] or short_of(first[0], second[0])):
                out[i] = 5
    _generations(a, b, out)
    return out


def _generations(a: Text, b: Text, out: Level) -> None:
    """Set pairs to *differs* whose names carry different marks of generation: father and son."""
    for i in np.flatnonzero(out > 0):
        left, right = generation(a[i]), generation(b[i])
        if left and right and left != right:
            out[i] = 0


def generation(name: str) -> str:
    """Return the mark that tells father from son within a name: ``1st`` for *Sr*, ``2nd`` for *Jr*; empty without one."""
    found = re.search(r"\b(1st|2nd|3rd|4th)\b", name)
    return found[0] if found else ""


def _family(a: Text, b: Text, same: npt.NDArray[np.bool_]) -> Level:
    jw, loose = _alike(a, b)
    out = np.where(jw >= 0.92, 3, np.where(loose, 2, 0)).astype(np.int8)
    out[same] = 3
    for i in np.flatnonzero(out < 2):
        left, right = a[i], b[i]
        if (" " in left or " " in right) and {w for w in left.split() if len(w) > 2} & {w for w in right.split() if len(w) > 2}:
            out[i] = 2
    return out


def _words_fit(left: list[str], right: list[str]) -> bool:
    """Tell whether every word of the shorter name has its own word in the longer: equal, similar, initial or short form."""
    if len(left) > len(right):
        left, right = right, left
    rest = list(right)
    whole = 0
    for word in sorted(left, key=len, reverse=True):
        fit = next((w for w in rest if w == word), None)
        if fit is None:
            fit = next((w for w in rest if short_of(word, w) or JaroWinkler.similarity(word, w) >= 0.92), None)
        if fit is None:
            return False
        rest.remove(fit)
        whole += len(word) > 1 and len(fit) > 1
    return whole >= min(2, len(left)) and (len(left) > 1 or len(right) == 1)


def _person(a: Text, b: Text, same: npt.NDArray[np.bool_]) -> Level:
    score = _similar(fuzz.token_sort_ratio, a, b) / 100
    loose = _similar(fuzz.token_set_ratio, a, b) / 100
    out = np.where(score >= 0.9, 2, np.where((score >= 0.72) | (loose >= 0.8), 1, 0)).astype(np.int8)
    out[same] = 2
    for i in np.flatnonzero((score >= 0.5) | (loose >= 0.6)):
        left, right = a[i].split(), b[i].split()
        if _words_fit(left, right) or "".join(left) == "".join(right):
            out[i] = 3
    _generations(a, b, out)
    return out


def _company(a: Text, b: Text, same: npt.NDArray[np.bool_]) -> Level:
    sort = _similar(fuzz.token_sort_ratio, a, b) / 100
    plain = _similar(JaroWinkler.similarity, a, b)
    sets = _similar(fuzz.token_set_ratio, a, b) / 100
    best = np.maximum(sort, np.where(plain >= 0.9, plain, 0))
    out = np.where(best >= 0.92, 3, np.where(best >= 0.8, 2, np.where((best >= 0.65) | (sets >= 0.75), 1, 0))).astype(np.int8)
    out[same] = 3
    for i in np.flatnonzero((sets >= 0.99) & (out < 3)):  # one name holds the other; a single short word is too little
        shorter = min(a[i], b[i], key=len)
        out[i] = 3 if len(shorter) >= 8 and " " in shorter else 2 if len(shorter) >= 5 else out[i]
    for i in np.flatnonzero(out < 3):
        left, right = a[i].replace(" ", ""), b[i].replace(" ", "")
        if left == right:
            out[i] = 3
    return out


_NUMBER = re.compile(r"\d+")


def _email(a: Text, b: Text, same: npt.NDArray[np.bool_]) -> Level:
    split_a = [v.rpartition("@")[::2] for v in a]
    split_b = [v.rpartition("@")[::2] for v in b]
    local_a, local_b = np.array([s[0] for s in split_a], object), np.array([s[0] for s in split_b], object)
    domain = np.array([x[1] == y[1] for x, y in zip(split_a, split_b, strict=True)])
    near = _similar(JaroWinkler.similarity, local_a, local_b)
    edits = _similar(OSA.distance, a, b, np.int32)
    local = _similar(OSA.distance, local_a, local_b, np.int32)
    share = _similar(OSA.normalized_similarity, local_a, local_b)
    equal = (local_a == local_b) & np.array([len(v) >= 4 for v in local_a])
    begins = np.array([x[:1] == y[:1] for x, y in zip(local_a, local_b, strict=True)])  # ajohnson@ is not kjohnson@
    two = (edits == 2) & np.where(domain, share >= 0.8, local <= 1)  # jwesford@ and jpemford@ are colleagues
    out = np.where(begins & ((edits <= 1) | two) & (equal | (share >= 0.75)), 2, 0)
    for i in np.flatnonzero((out == 2) & ~equal):
        if numbered_apart(local_a[i], local_b[i]):
            out[i] = 1
    return np.where((out == 0) & (equal | ((near >= 0.88) & (domain | (near >= 0.94)))), 1, out).astype(np.int8)


def _phone(a: Text, b: Text, same: npt.NDArray[np.bool_]) -> Level:
    ends = np.array([len(x) >= 7 and len(y) >= 7 and x[-7:] == y[-7:] for x, y in zip(a, b, strict=True)])
    edits = _similar(OSA.distance, a, b, np.int32)
    long = np.array([min(len(x), len(y)) >= 7 for x, y in zip(a, b, strict=True)])
    return np.where(ends | ((edits <= 1) & long), 1, 0).astype(np.int8)


def _birthdate(a: Text, b: Text, same: npt.NDArray[np.bool_]) -> Level:
    x, y = np.array(a.tolist(), dtype="U10"), np.array(b.tolist(), dtype="U10")
    left, right = (v.view("U1").reshape(len(v), 10) for v in (x, y))
    differ = left != right
    year, month, day = differ[:, :4].any(1), differ[:, 5:7].any(1), differ[:, 8:].any(1)
    digits = differ.sum(1)
    crossed = ~year & (left[:, 5:7] == right[:, 8:]).all(1) & (left[:, 8:] == right[:, 5:7]).all(1)
    two_equal = (year.astype(int) + month + day) <= 1
    return np.where((digits <= 1) | crossed, 3, np.where(two_equal, 2, np.where(~year, 1, 0))).astype(np.int8)


def _address(a: Text, b: Text, same: npt.NDArray[np.bool_]) -> Level:
    sort = _similar(fuzz.token_sort_ratio, a, b) / 100
    sets = _similar(fuzz.token_set_ratio, a, b) / 100
    out = np.where((sort >= 0.6) | (sets >= 0.75), 1, 0).astype(np.int8)
    for i in np.flatnonzero((sort >= 0.7) | (sets >= 0.88)):
        left, right = _NUMBER.findall(a[i]), _NUMBER.findall(b[i])
        fits = left[:1] == right[:1] if left and right else not left and not right
        letters_a, letters_b = _NUMBER.sub("", a[i]).split(), _NUMBER.sub("", b[i]).split()
        alike = fuzz.token_sort_ratio(" ".join(letters_a), " ".join(letters_b)) >= 75 or sets[i] >= 0.95
        if fits and alike and (sort[i] >= 0.88 or sets[i] >= 0.95 or bool(left)):
            out[i] = 2
    return out


def _city(a: Text, b: Text, same: npt.NDArray[np.bool_]) -> Level:
    jw = _similar(JaroWinkler.similarity, a, b)
    inside = np.array([min(len(x), len(y)) >= 4 and (x in y or y in x) for x, y in zip(a, b, strict=True)])
    return np.where((jw >= 0.88) | inside | same, 1, 0).astype(np.int8)


def _postcode(a: Text, b: Text, same: npt.NDArray[np.bool_]) -> Level:
    area = np.array([x[:3] == y[:3] for x, y in zip(a, b, strict=True)])
    return np.where(area | (_similar(OSA.distance, a, b, np.int32) <= 1), 1, 0).astype(np.int8)


def _identifier(a: Text, b: Text, same: npt.NDArray[np.bool_]) -> Level:
    long = np.array([min(len(x), len(y)) >= 6 for x, y in zip(a, b, strict=True)])
    return np.where((_similar(OSA.distance, a, b, np.int32) <= 1) & long, 1, 0).astype(np.int8)


def _nothing(a: Text, b: Text, same: npt.NDArray[np.bool_]) -> Level:
    return np.zeros(len(a), np.int8)


def _text(a: Text, b: Text, same: npt.NDArray[np.bool_]) -> Level:
    jw = _similar(JaroWinkler.similarity, a, b)
    return np.where((jw >= 0.92) | same, 2, np.where(jw >= 0.8, 1, 0)).astype(np.int8)


COMPARE: dict[str, Callable[[Text, Text, npt.NDArray[np.bool_]], Level]] = {
    "given": _given, "family": _family, "person": _person, "company": _company, "email": _email, "phone": _phone,
    "birthdate": _birthdate, "address": _address, "city": _city, "postcode": _postcode, "identifier": _identifier,
    "domain": _nothing, "category": _nothing, "text": _text,
}  # fmt: skip
"""Level below exact for aligned arrays of Latin forms; the third argument says where Latin forms are equal."""


def compare_codes(column: Column, left: npt.NDArray[np.int32], right: npt.NDArray[np.int32]) -> Level:
    """Return the level of each pair of codes of one column; ``-1`` where either is missing or a shared value."""
    out = np.full(len(left), -1, np.int8)
    if len(left) == 0:
        return out
    there = (left >= 0) & (right >= 0)
    if column.shared.any():
        padded = np.append(column.shared, False)
        there &= ~((left == right) & padded[left])
    exact = there & (left == right)
    if column.field.levels:  # an expert's field of several columns, one of them empty: equal, and yet not exact
        exact &= np.append(parts_complete(column), False)[left]
    out[exact] = column.kind.exact
    todo = np.flatnonzero(there & ~exact)
    if not len(todo):
        return out
    low, high = np.minimum(left[todo], right[todo]).astype(np.int64), np.maximum(left[todo], right[todo]).astype(np.int64)
    if column.kind.name in ("category", "domain"):
        out[todo] = 0
        return out
    pair, inverse = np.unique(low * len(column.key) + high, return_inverse=True)
    a, b = pair // len(column.key), pair % len(column.key)
    out[todo] = compare_values(column, a, b)[inverse]
    return out


def compare_values(column: Column, a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> Level:
    """Return the level of pairs of different values, given by their codes."""
    if has_own_levels(column.field):
        return np.minimum(compare_own(column, a, b), column.kind.exact - 1).astype(np.int8)
    out = np.zeros(len(a), np.int8)
    able = may_agree(column, a, b)
    if able is not None:  # most random pairs are seen to differ without a look at their text
        a, b = a[able], b[able]
        if not len(a):
            return out
    if column.kind.name == "email":
        level = email_levels(column, a, b)
    else:
        left, right = column.latin[a], column.latin[b]
        level = np.minimum(COMPARE[column.kind.name](left, right, left == right), column.kind.exact - 1).astype(np.int8)
    _by_character(column, a, b, level)
    if able is None:
        return level
    out[able] = level
    return out


_HAN_LEVELS: dict[str, tuple[tuple[float, int], ...]] = {
    "given": ((0.55, 6), (0.4, 4)),
    "family": ((0.4, 2),),
    "person": ((0.8, 3), (0.55, 2), (0.2, 1)),
    "company": ((0.8, 3), (0.55, 2), (0.3, 1)),
}
"""Level that two Chinese names reach at most, by how well their characters fit."""


def _by_character(column: Column, a: npt.NDArray[np.int64], b: npt.NDArray[np.int64], level: Level) -> None:
    """Lower the level of names that merely sound alike where both are written in Chinese characters."""
    kind = column.kind.name
    if kind not in _HAN_LEVELS:
        return
    written = _written_in_han(column)
    for i in np.flatnonzero(written[a] & written[b] & (level > 0)):
        left, right = column.key[a[i]], column.key[b[i]]
        if kind == "family":
            fit = 0.45 if column.latin[a[i]] == column.latin[b[i]] else 0.0
        elif kind == "given":
            fit = han.given_level(left, right)
        else:
            fit = han.keys_alike(left, right, kind == "company")
        level[i] = min(int(level[i]), next((reached for limit, reached in _HAN_LEVELS[kind] if fit >= limit), 0))


def _written_in_han(column: Column) -> npt.NDArray[np.bool_]:
    if "han" not in column.cache:
        column.cache["han"] = np.array([not k.isascii() and han.is_han(k) for k in column.key.tolist()], bool)
    found: npt.NDArray[np.bool_] = column.cache["han"]
    return found


if TYPE_CHECKING:
    pass


def __getattr__(name: str) -> Any:
    """Return :class:`LevelFeature`, which stands on recordlinkage and is loaded when asked for."""
    if name == "LevelFeature":
        from steward.scoring.duplicates.recordlinkage_parts import LevelFeature

        return LevelFeature
    raise AttributeError(name)
