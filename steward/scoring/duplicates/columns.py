"""A table as the scoring holds it: one code per distinct standard form, and each form once.

Records are put into an order that depends on their contents alone, so that sampling, scores and clusters are the same
whatever the order of rows and whatever the records are called. Codes are 32 bits a record and field; texts are held once.

Left to others: choosing fields (``profile``), standard forms (``standard``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from steward.scoring.duplicates.definition import Definition, Field
from steward.scoring.duplicates.kinds import Kind
from steward.scoring.duplicates.own import kind_of, text_of
from steward.scoring.duplicates.standard import standardise
from steward.scoring.duplicates.words import ROLE_MAILBOXES

Codes = npt.NDArray[np.int32]
Text = npt.NDArray[np.object_]

SEPARATOR = "\x1f"


@dataclass(slots=True)
class Column:
    """One field of a table.

    Attributes
    ----------
    codes : array (n_records,) of int32
        Position in ``key`` and ``latin``; ``-1`` for missing.
    key, latin : array (n_distinct,) of str
        Key form and Latin form, sorted by key form.
    counts : array (n_distinct,) of int64
        Records per value.
    shared : array (n_distinct,) of bool
        Values that many different customers share (hubs): agreement on one says nothing.
    cache : dict
        What is derived from the values and kept: their signatures.
    """

    field: Field
    kind: Kind
    codes: Codes
    key: Text
    latin: Text
    counts: npt.NDArray[np.int64]
    shared: npt.NDArray[np.bool_]
    cache: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def filled(self) -> int:
        """Number of records with a value."""
        return int(self.counts.sum())


@dataclass(slots=True)
class Table:
    """Records ready for comparison, in content order.

    Attributes
    ----------
    ids : array (n_records,) of str
    order : array (n_records,) of int64
        Position of each record in the frame as it was given.
    source : array (n_records,) of int8
        Which of two linked sources a record is of; all 0 without linking.
    columns : list of Column
    """

    ids: Text
    order: npt.NDArray[np.int64]
    source: npt.NDArray[np.int8]
    columns: list[Column]
    hubs: list[tuple[str, str, int]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ids)

    def named(self, name: str) -> int:
        """Return the position of a field; ``KeyError`` where the table has none of that name."""
        for position, column in enumerate(self.columns):
            if column.field.name == name:
                return position
        raise KeyError(name)


def joined(frame: pl.DataFrame, columns: Sequence[str], first_filled: bool) -> pl.Series:
    """Return the text of a field: its columns joined by a space; empty text is missing.

    With ``first_filled``, the first column where it is filled, else the others joined.
    """
    parts = [pl.col(c).cast(pl.String).str.strip_chars().replace("", None) for c in columns]
    if len(parts) == 1:
        expression = parts[0]
    elif first_filled:
        rest = pl.concat_str(parts[1:], separator=" ", ignore_nulls=True).replace("", None)
        expression = pl.coalesce(parts[0], rest)
    else:
        expression = pl.concat_str(parts, separator=" ", ignore_nulls=True).replace("", None)
    return frame.select(expression.alias("text")).to_series()


def encode(text: pl.Series, kind: str) -> tuple[Codes, Text, Text]:
    """Return codes, key forms and Latin forms of a field's texts."""
    raw = text.unique().drop_nulls().sort()
    if len(raw) == 0:
        return np.full(len(text), -1, np.int32), np.zeros(0, object), np.zeros(0, object)
    key, latin = (raw, raw) if kind == "written" else standardise(raw, kind)
    order = key.arg_sort(nulls_last=True)  # of strings: by code point
    ordered = key.gather(order).head(len(key) - key.null_count())
    held = len(ordered)
    first = np.ones(held, bool)
    first[1:] = (ordered.slice(1) != ordered.slice(0, max(held - 1, 0))).to_numpy()
    per_raw = np.full(len(raw), -1, np.int32)
    places = order.to_numpy()[:held]
    per_raw[places] = np.cumsum(first, dtype=np.int32) - 1
    mapped = pl.DataFrame({"raw": raw, "code": per_raw})
    codes = pl.DataFrame({"raw": text}).join(mapped, on="raw", how="left", maintain_order="left")["code"]
    keys = ordered.filter(pl.Series(first)).to_numpy().astype(object)
    if latin is key:
        forms = keys
    else:
        least = pl.DataFrame({"code": per_raw, "latin": latin}).filter(pl.col("code") >= 0)
        if len(least) != len(keys):  # several ways of writing one key: the first Latin form in the alphabet stands for them
            least = least.group_by("code").agg(pl.col("latin").min())
        forms = least.sort("code")["latin"].fill_null("").to_numpy().astype(object)
    return codes.fill_null(-1).to_numpy().astype(np.int32), keys, forms


def content_order(codes: Sequence[Codes], ids: Text) -> npt.NDArray[np.int64]:
    """Return the order of records by a hash of their standard forms, ties by id."""
    word = np.zeros(len(ids), np.uint64)
    for column in codes:
        word = (word ^ (column.astype(np.int64) + 1).astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        word ^= word >> np.uint64(29)
    order = np.argsort(word, kind="stable")
    ordered = word[order]
    tied = np.flatnonzero(ordered[1:] == ordered[:-1])
    if len(tied):
        among = np.unique(np.concatenate([tied, tied + 1]))
        rows = order[among]
        frame = pl.DataFrame({"word": ordered[among], "id": pl.Series(ids[rows].tolist(), dtype=pl.String), "row": rows})
        order[among] = frame.sort("word", "id")["row"].to_numpy()
    return order.astype(np.int64)


def build(frame: pl.DataFrame, definition: Definition, *, ids: str, source: str | None = None) -> Table:
    """Return the table that a definition describes.

    Parameters
    ----------
    frame : DataFrame
        Text columns as the snapshot holds them.
    ids : str
        Column with the record ids.
    source : str, optional
        Column whose two values name the linked sources.
    """
    coded = [encode(text_of(frame, f), f.form) for f in definition.fields]
    names = frame[ids].cast(pl.String).fill_null("").to_numpy().astype(object)
    order = content_order([codes for codes, _, _ in coded], names)
    if source is None:
        side = np.zeros(len(names), np.int8)
    else:
        side = (frame[source].cast(pl.String).rank("dense").fill_null(1).to_numpy() - 1).astype(np.int8)
    columns = []
    for field_, (codes, key, latin) in zip(definition.fields, coded, strict=True):
        codes = codes[order]
        counts = np.bincount(codes[codes >= 0], minlength=len(key)).astype(np.int64)
        columns.append(Column(field_, kind_of(field_), codes, key, latin, counts, np.zeros(len(key), bool)))
    table = Table(names[order], order, side[order], columns)
    find_hubs(table)
    return table


def find_hubs(table: Table, least_names: int = 4) -> None:
    """Mark values that many customers share: role mailboxes and values under four or more different names.

    A family of three on one telephone is no hub. A reception's number, a call centre's, ``info@`` of an authority is: the
    records under it agree on nothing else. Side effect: fills ``shared`` and ``hubs``.
    """
    names = [c for c in table.columns if c.kind.name in ("person", "given", "company", "family")]
    chosen = next((c for kind in ("person", "given", "company", "family") for c in names if c.kind.name == kind), None)
    for column in table.columns:
        if column.kind.name not in ("email", "phone", "address") or not len(column.key):
            continue
        role = np.zeros(len(column.key), bool)
        if column.kind.name == "email":
            several = np.flatnonzero(column.counts > 1)
            role[several] = [str(k).split("@")[0].strip(".-_") in ROLE_MAILBOXES for k in column.key[several]]
        crowded = np.flatnonzero((column.counts >= least_names) | role)
        if chosen is None or not len(crowded):
            continue
        among = np.isin(column.codes, crowded) & (chosen.codes >= 0)
        pairs = np.unique(column.codes[among].astype(np.int64) * len(chosen.key) + chosen.codes[among])
        limits = np.where(role, 2, least_names if column.kind.name != "address" else 3 * least_names)
        pairs = _with_enough_initials(pairs, chosen, limits)
        different: dict[int, list[str]] = {}
        for value, name in zip((pairs // len(chosen.key)).tolist(), (pairs % len(chosen.key)).tolist(), strict=True):
            different.setdefault(value, []).append(str(chosen.latin[name]))
        for value, texts in different.items():
            limit = int(limits[value])
            if 4 * len(texts) >= column.counts[value] and _apart(texts, limit) >= limit:
                column.shared[value] = True
                table.hubs.append((column.field.name, str(column.key[value]), int(column.counts[value])))


def _with_enough_initials(pairs: npt.NDArray[np.int64], names: Column, limits: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the pairs of value and name whose value has as many initials as :func:`_apart` needs names; others cannot pass."""
    initial = pl.Series(names.latin.tolist(), dtype=pl.String).str.slice(0, 1).rank("dense").cast(pl.Int64).to_numpy()
    width = int(initial.max(initial=0)) + 1
    value = pairs // len(names.key)
    seen = np.unique(value * width + initial[pairs % len(names.key)]) // width
    return pairs[np.bincount(seen, minlength=len(limits))[value] >= limits[value]]


def _apart(texts: list[str], limit: int) -> int:
    """Count names that are unlike each other, up to ``limit``."""
    from rapidfuzz.distance import JaroWinkler

    kept: list[str] = []
    for text in texts[:200]:
        if all(JaroWinkler.similarity(text, other) < 0.75 and text[:1] != other[:1] for other in kept):
            kept.append(text)
            if len(kept) >= limit:
                break
    return len(kept)
