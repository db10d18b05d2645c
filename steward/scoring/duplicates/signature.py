"""What two values can reach at best, told from a few machine words each, before any text is compared.

Each distinct value gets a *signature*: how often each letter occurs (64 bits), its length, its first characters, and one
word for what matters to its kind. From two of them follows how many characters cannot be matched, and so an upper bound on
the level the pair can reach. Most random pairs are thus known to *differ* for a few nanoseconds instead of a microsecond.

The bound must never be too low: tests compare it with the comparisons themselves, kind by kind. A kind without a rule here
can reach anything. Left to others: the comparisons (``levels``), weights (``score``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from steward.scoring.duplicates.columns import Column, Text

Bits = npt.NDArray[np.uint64]
Codes = npt.NDArray[np.integer[Any]]
Flags = npt.NDArray[np.bool_]

CHUNK = 16_384
"""Values whose letters are counted at a time."""

SLACK = 1e-4
"""Taken off every limit, so that rounding never makes a bound too low."""

DIGIT_KINDS = frozenset(("phone", "birthdate", "postcode", "identifier"))


@dataclass(slots=True)
class Signature:
    """Signatures of the distinct values of one column.

    Attributes
    ----------
    letters : array (n,) of uint64
        One bit for each character, one more for each repetition up to a limit; characters beyond the layout share bits.
    size : array (n,) of int16
        Number of characters.
    share : array (n,) of float32
        1 / size.
    head : array (n,) of uint32
        The first four characters, eight bits each.
    own : array (n,) of uint64
        By kind: short-form groups, last digits, month and day, first number.
    loose : array (n,) of bool
        Values that the rule does not hold for, or that need a look of their own.
    """

    letters: Bits
    size: npt.NDArray[np.int16]
    share: npt.NDArray[np.float32]
    head: npt.NDArray[np.uint32]
    own: Bits
    loose: Flags


def _layout(digits: bool) -> npt.NDArray[np.uint8]:
    """Return the class of each of 128 characters (and of the rest, in the last place): 0..35 letters and digits, then others."""
    table = np.full(129, 36, np.uint8)
    for i in range(128):
        table[i] = 36 + i % 2
    table[128] = 37
    table[ord("a") : ord("z") + 1] = np.arange(26)
    table[ord("0") : ord("9") + 1] = 26 + np.arange(10)
    if digits:  # digits first, all letters share a few classes
        table[ord("0") : ord("9") + 1] = np.arange(10)
        table[ord("a") : ord("z") + 1] = 10 + np.arange(26) % 12
        others = [i for i in range(129) if table[i] >= 36]
        table[others] = 22 + np.arange(len(others)) % 2
    return table


def _bits(counts: npt.NDArray[np.integer[Any]], digits: bool) -> Bits:
    """Return the signature words of counts (n, 64) per character class."""
    if digits:
        parts = [counts[:, :10] >= level for level in range(1, 6)] + [counts[:, 10:24] >= 1]
    else:
        parts = [counts[:, :26] >= 1, counts[:, :26] >= 2, counts[:, 26:38] >= 1]
    packed = np.packbits(np.hstack(parts), axis=1, bitorder="little")
    return packed.view(np.uint64).reshape(-1)


def build(texts: Text, digits: bool) -> Signature:
    """Return letters, size and head of texts; ``own`` and ``loose`` empty."""
    n = len(texts)
    letters, head = np.zeros(n, np.uint64), np.zeros(n, np.uint32)
    size = np.zeros(n, np.int32)
    table = _layout(digits)
    for start in range(0, n, CHUNK):
        part = texts[start : start + CHUNK].tolist()
        sizes = np.fromiter(map(len, part), np.int64, len(part))
        whole = "".join(part)
        if whole.isascii():
            chars = np.frombuffer(whole.encode("ascii"), np.uint8)
        else:
            chars = np.minimum(np.frombuffer(whole.encode("utf-32-le", "surrogatepass"), np.uint32), 128).astype(np.uint8)
        classes = table[chars].astype(np.int64)
        row = np.repeat(np.arange(len(part)), sizes)
        counts = np.bincount(row * 64 + classes, minlength=len(part) * 64).reshape(-1, 64)
        letters[start : start + len(part)] = _bits(counts, digits)
        size[start : start + len(part)] = sizes
        first = np.concatenate([[0], np.cumsum(sizes)[:-1]]) if len(part) else np.zeros(0, np.int64)
        padded = np.append(chars, np.zeros(4, np.uint8))
        word = np.zeros(len(part), np.uint32)
        for place in range(4):
            word |= np.where(sizes > place, padded[first + place], 0).astype(np.uint32) << np.uint32(8 * place)
        head[start : start + len(part)] = word
    with np.errstate(divide="ignore"):
        share = np.where(size > 0, 1.0 / size, 0.0).astype(np.float32)
    return Signature(letters, np.minimum(size, 32_000).astype(np.int16), share, head, np.zeros(n, np.uint64), size == 0)


def of_column(column: Column) -> Signature | None:
    """Return the signatures of a column, made once; None where its comparison has no rule."""
    if "signature" not in column.cache:
        column.cache["signature"] = _of_column(column)
    found: Signature | None = column.cache["signature"]
    return found


def _of_column(column: Column) -> Signature | None:
    from steward.scoring.duplicates.own import has_own_levels

    kind = column.kind.name
    if kind not in RULES or has_own_levels(column.field):
        return None
    texts = pl.Series(column.latin.tolist(), dtype=pl.String)
    if kind == "email":
        local = texts.str.replace("@[^@]*$", "")
        made = build(local.to_numpy().astype(object), False)
        made.own = local.hash(seed=1).to_numpy()
        made.loose |= ~texts.str.contains("@", literal=True).to_numpy()
        return made
    made = build(column.latin, kind in DIGIT_KINDS)
    if kind == "phone":
        made.own = texts.str.tail(7).hash(seed=1).to_numpy()
    elif kind == "address":
        made.own = texts.str.extract(r"(\d+)").fill_null("").hash(seed=1).to_numpy()
    elif kind == "birthdate":
        made.own = texts.str.slice(5).hash(seed=1).to_numpy()
        made.loose |= (texts.str.len_chars() != 10).to_numpy()
    elif kind in ("given", "family"):
        spaced = texts.str.contains(" ", literal=True).to_numpy()
        made.loose |= spaced
        if kind == "given":
            made.own = _groups(column.latin, spaced)
    return made


def _groups(names: Text, spaced: Flags) -> Bits:
    """Return the groups of usual short forms of each name and of its first word, folded into 64 bits."""
    from steward.scoring.duplicates.words import short_forms

    known = short_forms()
    out = np.zeros(len(names), np.uint64)
    for i, name in enumerate(names.tolist()):
        groups = known.get(name, ()) if not spaced[i] else {*known.get(name, ()), *known.get(name.split()[0], ())}
        for group in groups:
            out[i] |= np.uint64(1 << (group % 64))
    return out


def _unmatched(x: Signature, y: Signature, a: Codes, b: Codes) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return how many characters of each have no counterpart in the other, at least."""
    left, right = x.letters[a], y.letters[b]
    return np.bitwise_count(left & ~right), np.bitwise_count(right & ~left)


def _jaro_winkler(
    x: Signature, y: Signature, a: Codes, b: Codes, limit: float, open_a: npt.NDArray[np.uint8], open_b: npt.NDArray[np.uint8]
) -> Flags:
    """Tell which pairs may have a Jaro-Winkler similarity of ``limit``.

    Notes
    -----
    With m matching characters Jaro is at most ``(m/|a| + m/|b| + 1) / 3``, and a common prefix of p adds ``0.1 p`` of what
    is missing to one. m is at most the length less the characters without counterpart.
    """
    size_a, size_b = x.size[a], y.size[b]
    m = np.minimum(size_a - open_a, size_b - open_b).astype(np.float32)
    differ = x.head[a] ^ y.head[b]
    prefix = (differ & 0xFF) == 0
    prefixes = prefix.astype(np.uint8)
    for mask in (0xFFFF, 0xFFFFFF, 0xFFFFFFFF):
        prefixes += (differ & mask) == 0
    need = np.array([3 * (limit - 0.1 * p) / (1 - 0.1 * p) - 1 - SLACK for p in range(5)], np.float32)
    found: Flags = m * (x.share[a] + y.share[b]) >= need[prefixes]
    return found


def _same_start(x: Signature, y: Signature, a: Codes, b: Codes) -> Flags:
    same: Flags = ((x.head[a] ^ y.head[b]) & np.uint32(0xFF)) == 0
    return same


def _one_letter(x: Signature, y: Signature, a: Codes, b: Codes) -> Flags:
    one: Flags = (x.size[a] <= 1) | (y.size[b] <= 1)
    return one


def _given(s: Signature, a: Codes, b: Codes) -> Flags:
    loose = s.loose[a] | s.loose[b] | _one_letter(s, s, a, b)
    found: Flags = (
        _jaro_winkler(s, s, a, b, 0.8, *_unmatched(s, s, a, b))
        | (loose & _same_start(s, s, a, b))
        | ((s.own[a] & s.own[b]) != 0)
        | (s.size[a] == 0)
        | (s.size[b] == 0)
    )
    return found


def _family(s: Signature, a: Codes, b: Codes) -> Flags:
    return _jaro_winkler(s, s, a, b, 0.8, *_unmatched(s, s, a, b)) | s.loose[a] | s.loose[b]


def _text(s: Signature, a: Codes, b: Codes) -> Flags:
    return _jaro_winkler(s, s, a, b, 0.8, *_unmatched(s, s, a, b)) | s.loose[a] | s.loose[b]


def _share_of_edits(
    s: Signature, a: Codes, b: Codes, open_a: npt.NDArray[np.uint8], open_b: npt.NDArray[np.uint8], limit: float
) -> Flags:
    """Tell which pairs may differ in no more than this share of the longer's characters."""
    longest = np.maximum(s.size[a], s.size[b]).astype(np.float32)
    near: Flags = np.maximum(open_a, open_b) <= limit * longest + SLACK
    return near


def locals_near(column: Column, a: Codes, b: Codes) -> Flags:
    """Tell which addresses may differ in no more than a quarter of what stands before the @."""
    s = of_column(column)
    if s is None:
        return np.ones(len(a), bool)
    return _share_of_edits(s, a, b, *_unmatched(s, s, a, b), 0.25) | s.loose[a] | s.loose[b]


def _email(s: Signature, a: Codes, b: Codes) -> Flags:
    open_a, open_b = _unmatched(s, s, a, b)
    near = _share_of_edits(s, a, b, open_a, open_b, 0.25)
    return near | _jaro_winkler(s, s, a, b, 0.88, open_a, open_b) | s.loose[a] | s.loose[b]


def _one_edit(s: Signature, a: Codes, b: Codes) -> Flags:
    open_a, open_b = _unmatched(s, s, a, b)
    edit: Flags = (np.maximum(open_a, open_b) <= 1) & (np.abs(s.size[a] - s.size[b]) <= 1)
    return edit


def _phone(s: Signature, a: Codes, b: Codes) -> Flags:
    found: Flags = (s.own[a] == s.own[b]) | _one_edit(s, a, b)
    return found


def _birthdate(s: Signature, a: Codes, b: Codes) -> Flags:
    found: Flags = (s.head[a] == s.head[b]) | (s.own[a] == s.own[b]) | s.loose[a] | s.loose[b]
    return found


def _postcode(s: Signature, a: Codes, b: Codes) -> Flags:
    found: Flags = (((s.head[a] ^ s.head[b]) & np.uint32(0xFFFFFF)) == 0) | _one_edit(s, a, b)
    return found


def _city(s: Signature, a: Codes, b: Codes) -> Flags:
    open_a, open_b = _unmatched(s, s, a, b)
    found: Flags = (np.minimum(open_a, open_b) == 0) | _jaro_winkler(s, s, a, b, 0.88, open_a, open_b) | s.loose[a] | s.loose[b]
    return found


def _never(s: Signature, a: Codes, b: Codes) -> Flags:
    return np.zeros(len(a), bool)


def _always(s: Signature, a: Codes, b: Codes) -> Flags:
    return np.ones(len(a), bool)


RULES: dict[str, Callable[[Signature, Codes, Codes], Flags]] = {
    "given": _given, "family": _family, "email": _email, "phone": _phone, "birthdate": _birthdate, "postcode": _postcode,
    "identifier": _one_edit, "city": _city, "text": _text, "category": _never, "domain": _never, "address": _always,
}  # fmt: skip
"""Per kind: whether two different values may reach more than *differs*."""


def may_agree(column: Column, a: Codes, b: Codes) -> Flags | None:
    """Tell which pairs of different values may reach a level above *differs*; None where nothing can be told.

    Parameters
    ----------
    a, b : array (n,) of int
        Codes of the column, 0 or more.
    """
    signature = of_column(column)
    if signature is None or column.kind.name == "address":
        return None
    return RULES[column.kind.name](signature, a, b)


def at_best(column: Column, a: Codes, b: Codes) -> npt.NDArray[np.int8] | None:
    """Return the highest level that pairs of different values can reach; None where nothing can be told."""
    top = column.kind.exact - 1
    if column.kind.name == "address":  # without the same first number, no more than "some words agree"
        signature = of_column(column)
        if signature is None:
            return None
        return np.where(signature.own[a] == signature.own[b], top, 1).astype(np.int8)
    able = may_agree(column, a, b)
    return None if able is None else np.where(able, top, 0).astype(np.int8)


def may_cross(given: Column, family: Column, a: Codes, b: Codes) -> Flags | None:
    """Tell which given names may fit the family name beside them; see ``levels.names_cross``."""
    x, y = of_column(given), of_column(family)
    if x is None or y is None:
        return None
    near = _jaro_winkler(x, y, a, b, 0.87, *_unmatched(x, y, a, b))
    found: Flags = near | (_one_letter(x, y, a, b) & _same_start(x, y, a, b)) | (x.size[a] == 0) | (y.size[b] == 0)
    return found
