"""Levels of e-mail addresses from parts that are taken out once per value: the same as ``levels`` gives, for less.

Namesakes have similar addresses, so that this comparison is needed more often than any other in a large table. Each
address is split once; then the distances are computed in the order of their cost, each only where it can still decide.
Tests hold the levels against those of the plain comparison.

Left to others: what the levels mean (``levels``), which pairs are not worth a look (``signature``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from rapidfuzz import process
from rapidfuzz.distance import OSA, JaroWinkler

from steward.scoring.duplicates import signature
from steward.scoring.duplicates.columns import Column, Text

Level = npt.NDArray[np.int8]
Positions = npt.NDArray[np.int64]


@dataclass(slots=True)
class _Parts:
    """Per address: what stands before the @, its code and that of the domain, its first character and the lengths."""

    local: Text
    local_code: npt.NDArray[np.int64]
    domain_code: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    local_size: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]


def _codes(values: pl.Series) -> npt.NDArray[np.int64]:
    """Return a number per distinct text."""
    distinct = values.unique().alias("text")
    numbered = pl.DataFrame({"text": distinct, "code": np.arange(len(distinct))})
    return pl.DataFrame({"text": values}).join(numbered, on="text", how="left", maintain_order="left")["code"].to_numpy()


def _parts(column: Column) -> _Parts:
    if "email parts" not in column.cache:
        texts = pl.Series(column.latin.tolist(), dtype=pl.String)
        at = texts.str.contains("@", literal=True)
        local = pl.select(pl.when(at).then(texts.str.replace("@[^@]*$", "")).otherwise(pl.lit(""))).to_series()
        domain = texts.str.replace("^.*@", "")
        column.cache["email parts"] = _Parts(
            local.to_numpy().astype(object),
            _codes(local),
            _codes(domain),
            _codes(local.str.slice(0, 1)),
            local.str.len_chars().to_numpy().astype(np.int64),
            texts.str.len_chars().to_numpy().astype(np.int64),
        )
    found: _Parts = column.cache["email parts"]
    return found


def _measured(scorer: Any, a: Text, b: Text, dtype: Any) -> npt.NDArray[Any]:
    out: npt.NDArray[Any] = process.cpdist(a.tolist(), b.tolist(), scorer=scorer, dtype=dtype)
    return out


_NUMBER = re.compile(r"\d+")


def numbered_apart(a: str, b: str) -> bool:
    """Tell whether two mailboxes differ in their numbers alone: ``ethan.smith75@`` and ``ethan.smith76@`` are two people."""
    one, other = _NUMBER.findall(a), _NUMBER.findall(b)
    return (
        bool(one)
        and bool(other)
        and _NUMBER.sub("", a) == _NUMBER.sub("", b)
        and sorted("".join(one)) != sorted("".join(other))
    )


def email_levels(column: Column, a: Positions, b: Positions) -> Level:
    """Return the level of pairs of different addresses, given by their codes; see ``levels``."""
    parts = _parts(column)
    out = np.zeros(len(a), np.int8)
    equal = (parts.local_code[a] == parts.local_code[b]) & (parts.local_size[a] >= 4)
    domain = parts.domain_code[a] == parts.domain_code[b]
    _nearly_equal(column, parts, a, b, equal, domain, out)
    for i in np.flatnonzero((out == 2) & ~equal):
        if numbered_apart(parts.local[a[i]], parts.local[b[i]]):
            out[i] = 1
    rest = np.flatnonzero(out == 0)
    out[rest[equal[rest]]] = 1
    rest = rest[~equal[rest]]
    near = _measured(JaroWinkler.similarity, parts.local[a[rest]], parts.local[b[rest]], np.float32)
    out[rest[(near >= 0.88) & (domain[rest] | (near >= 0.94))]] = 1
    return out


def _nearly_equal(
    column: Column,
    parts: _Parts,
    a: Positions,
    b: Positions,
    equal: npt.NDArray[np.bool_],
    domain: npt.NDArray[np.bool_],
    out: Level,
) -> None:
    """Set the pairs that are nearly equal to 2."""
    close = (np.abs(parts.size[a] - parts.size[b]) <= 2) & (parts.first[a] == parts.first[b])
    rows = np.flatnonzero(close)
    rows = rows[equal[rows] | signature.locals_near(column, a[rows], b[rows])]
    edits = _measured(OSA.distance, column.latin[a[rows]], column.latin[b[rows]], np.int32)
    rows, edits = rows[edits <= 2], edits[edits <= 2]
    left, right = parts.local[a[rows]], parts.local[b[rows]]
    local = _measured(OSA.distance, left, right, np.int32)
    share = _measured(OSA.normalized_similarity, left, right, np.float32)
    two = (edits == 2) & np.where(domain[rows], share >= 0.8, local <= 1)
    out[rows[((edits <= 1) | two) & (equal[rows] | (share >= 0.75))]] = 2
