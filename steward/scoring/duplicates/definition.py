"""The linkage definition: which fields are compared as what, and which blocking rules propose pairs; a TOML file.

Written in recordlinkage's words: *index* rules name the keys that a candidate pair shares, *compare* entries name a field,
its columns and its kind, and where an expert wants it the levels, the standard form and the weights. Everything has a
default, everything is checked, and an unknown word is refused with its place.

Left to others: proposing one for a table never seen (``profile``), levels of one's own (``own``), running it (``link``).
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import dataclass
from typing import Any

import msgspec

from steward.errors import ScoringError
from steward.messages import N_
from steward.scoring.duplicates.kinds import KINDS

FORMAT = "steward-linkage/1"

TRANSFORMS = ("whole", "sound", "start", "initial", "mailbox", "year", "words", "end")
"""What a blocking key may take of a value: all of it, its sound, its first four letters, its initial, the part before the
@, the year, its two rarest words in order, its last seven characters."""


LOOK_ALIKES = ("household", "twins", "colleague", "town", "namesake", "namesake in town", "branch", "neighbour")
"""Classes of look-alikes that a stored model may name."""


@dataclass(frozen=True, slots=True)
class Field:
    """What is compared.

    Attributes
    ----------
    name : str
        As shown to people.
    kind : str
        One of :data:`steward.scoring.duplicates.kinds.KINDS`.
    columns : tuple of str
        Columns of the snapshot whose texts make the value.
    first_filled : bool
        Take the first column where it is filled, else the others joined.
    standard : str
        Standard form compared: a kind's name, or ``written`` for the text as it stands; empty for that of ``kind``.
    levels : tuple of str
        Levels between *exact* and *differs*, best first, such as ``jarowinkler 0.92``
        (:mod:`steward.scoring.duplicates.own`); empty for those of the kind.
    missing : str
        Condition under which a pair of values counts as missing, for levels of one's own; empty: where a value is missing.
    take : str
        Expression over the columns that makes the value, such as ``substr(name, 1, 3)``; empty: the columns' text.
    m, u : tuple of float
        Probability of each level from *differs* to *exact*, among matches and among strangers; empty: the data say.
    rare_counts_more : bool or None
        Whether agreeing on a rare value weighs more; None: as usual for the kind.
    plain_frequency : bool
        A value is as rare as its share of the table says, the record itself counted in, as in Splink.
    other : tuple of str
        Columns of the second source where two are linked; empty: those of the same names.
    other_first_filled : bool
        As ``first_filled``, for the second source.
    """

    name: str
    kind: str
    columns: tuple[str, ...] = ()
    first_filled: bool = False
    standard: str = ""
    levels: tuple[str, ...] = ()
    missing: str = ""
    take: str = ""
    m: tuple[float, ...] = ()
    u: tuple[float, ...] = ()
    rare_counts_more: bool | None = None
    plain_frequency: bool = False
    other: tuple[str, ...] = ()
    other_first_filled: bool = False

    @property
    def plain(self) -> bool:
        """True where nothing but the kind says how the field is compared."""
        return (
            not (
                self.standard
                or self.levels
                or self.missing
                or self.take
                or self.m
                or self.u
                or self.plain_frequency
                or self.other
            )
            and self.rare_counts_more is None
        )

    @property
    def form(self) -> str:
        """The standard form in force: a kind's name or ``written``."""
        return self.standard or self.kind


@dataclass(frozen=True, slots=True)
class Rule:
    """A blocking rule: records that share all keys are candidate pairs.

    Attributes
    ----------
    keys : tuple of (field name, transform)
        Empty: every pair.
    """

    keys: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """The rule in words, e.g. ``family + given (initial)``."""
        if not self.keys:
            return "every pair"
        return " + ".join(f if t == "whole" else f"{f} ({t})" for f, t in self.keys)

    def written(self) -> list[str]:
        """Return the keys as a file holds them, quoted."""
        return [_quoted(f if t == "whole" and ":" not in f else f"{f}:{t}") for f, t in self.keys]


@dataclass(frozen=True, slots=True)
class Definition:
    """A whole linkage definition.

    Attributes
    ----------
    cut : float or None
        Match probability from which records are proposed as duplicates; None lets the data decide.
    review_from : float
        Match probability from which a pair is kept for people to look at.
    pairs_at_most : int
        A rule that would compare more pairs than this is refused.
    block_at_most : int
        Records in one block; a larger block is left out and named.
    prior : float or None
        Probability that two random records match; None: the data say. With it and m and u of every field nothing is trained.
    related : tuple of (str, float)
        Look-alike classes and their pairs per match, for a stored model; see :mod:`steward.scoring.duplicates.train`.
    """

    fields: tuple[Field, ...]
    rules: tuple[Rule, ...]
    cut: float | None = None
    review_from: float = 0.01
    pairs_at_most: int = 40_000_000
    block_at_most: int = 1_500
    prior: float | None = None
    related: tuple[tuple[str, float], ...] = ()

    @property
    def trained(self) -> bool:
        """True where the definition holds a whole model: prior, m and u of every field."""
        return self.prior is not None and bool(self.fields) and all(f.m and f.u for f in self.fields)

    @property
    def digest(self) -> str:
        """Hexadecimal sha256 of the definition's contents."""
        body: list[Any] = [
            FORMAT, [[f.name, f.kind, list(f.columns), f.first_filled] for f in self.fields],
            [[list(k) for k in r.keys] for r in self.rules], self.cut, self.review_from, self.pairs_at_most, self.block_at_most,
        ]  # fmt: skip
        if not all(f.plain for f in self.fields) or self.prior is not None or self.related:
            body.append([
                [[f.standard, list(f.levels), f.missing, f.take, list(f.m), list(f.u), f.rare_counts_more, f.plain_frequency, list(f.other), f.other_first_filled] for f in self.fields],
                self.prior, [list(r) for r in self.related],
            ])  # fmt: skip
        return hashlib.sha256(json.dumps(body, ensure_ascii=True, separators=(",", ":")).encode()).hexdigest()

    def toml(self) -> str:
        """Return the definition as a file's text; :func:`parse_definition` reads it back."""
        lines = [f"format = {json.dumps(FORMAT)}"]
        if self.cut is not None:
            lines.append(f"cut = {self.cut!r}")
        lines += [
            f"review_from = {self.review_from!r}",
            f"pairs_at_most = {self.pairs_at_most}",
            f"block_at_most = {self.block_at_most}",
        ]
        if self.prior is not None:
            lines.append(f"prior = {self.prior!r}")
        for f in self.fields:
            lines += ["", "[[compare]]", f"field = {_quoted(f.name)}", f"kind = {_quoted(f.kind)}"]
            lines.append(f"columns = [{', '.join(_quoted(c) for c in f.columns)}]")
            if f.first_filled:
                lines.append("first_filled = true")
            lines += [
                f"{key} = {_quoted(text)}"
                for key, text in (("standard", f.standard), ("missing", f.missing), ("take", f.take))
                if text
            ]
            if f.levels:
                lines.append(f"levels = [{', '.join(_quoted(x) for x in f.levels)}]")
            lines += [f"{key} = [{', '.join(repr(x) for x in shares)}]" for key, shares in (("m", f.m), ("u", f.u)) if shares]
            if f.rare_counts_more is not None:
                lines.append(f"rare_counts_more = {str(f.rare_counts_more).lower()}")
            if f.plain_frequency:
                lines.append("plain_frequency = true")
            if f.other:
                lines.append(f"other_columns = [{', '.join(_quoted(c) for c in f.other)}]")
            if f.other_first_filled:
                lines.append("other_first_filled = true")
        for r in self.rules:
            lines += ["", "[[index]]", f"keys = [{', '.join(r.written())}]"]
        if self.related:
            lines += ["", "[related]", *(f"{_quoted(name)} = {odds!r}" for name, odds in self.related)]
        return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Return a TOML basic string; JSON escapes are valid TOML ones, DEL must be escaped as well."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


class _Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    pass


class _Compare(_Strict):
    field: str
    kind: str
    columns: tuple[str, ...] = ()
    first_filled: bool = False
    standard: str = ""
    levels: tuple[str, ...] = ()
    missing: str = ""
    take: str = ""
    m: tuple[float, ...] = ()
    u: tuple[float, ...] = ()
    rare_counts_more: bool | None = None
    plain_frequency: bool = False
    other_columns: tuple[str, ...] = ()
    other_first_filled: bool = False


class _Index(_Strict):
    keys: tuple[str, ...] = ()


class _File(_Strict):
    format: str
    compare: tuple[_Compare, ...]
    index: tuple[_Index, ...]
    cut: float | None = None
    review_from: float = 0.01
    pairs_at_most: int = 40_000_000
    block_at_most: int = 1_500
    prior: float | None = None
    related: dict[str, float] = {}


def parse_definition(text: str, *, where: str = "linkage definition") -> Definition:
    """Read a definition.

    Raises
    ------
    ScoringError
        Not TOML, an unknown word, kind, field or transform, a number out of range; with the place.
    """
    try:
        raw: Any = tomllib.loads(text)
        file = msgspec.convert(raw, _File, strict=False)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise _wrong(where, str(error)) from None
    if file.format != FORMAT:
        raise _wrong(where, f"format must be {FORMAT}")
    names = [c.field for c in file.compare]
    if not names or len(set(names)) != len(names):
        raise _wrong(where, "each [[compare]] needs a field name of its own, and one is needed")
    for c in file.compare:
        if c.kind not in KINDS:
            raise _wrong(where, f"kind {c.kind!r} is none of {', '.join(sorted(KINDS))}")
    rules = []
    for entry in file.index:
        keys = []
        for key in entry.keys:
            field, _, transform = (
                key.rpartition(":") if key.rpartition(":")[2] in TRANSFORMS and ":" in key else (key, "", "whole")
            )
            if field not in names:
                raise _wrong(where, f"index key {key!r} names no field")
            keys.append((field, transform))
        rules.append(Rule(tuple(keys)))
    if not rules:
        raise _wrong(where, "one [[index]] rule is needed")
    if file.cut is not None and not 0 < file.cut < 1:
        raise _wrong(where, "cut must lie between 0 and 1")
    if not 0 < file.review_from < 1 or file.pairs_at_most < 1 or file.block_at_most < 2:
        raise _wrong(where, "review_from must lie between 0 and 1, limits must be positive")
    if file.prior is not None and not 0 < file.prior < 1:
        raise _wrong(where, "prior must lie between 0 and 1")
    fields = tuple(
        Field(
            c.field, c.kind, c.columns or (c.field,), c.first_filled, c.standard, c.levels, c.missing, c.take, c.m, c.u,
            c.rare_counts_more, c.plain_frequency, c.other_columns, c.other_first_filled,
        )
        for c in file.compare
    )  # fmt: skip
    for f in fields:
        _check_expert(f, where)
    related = tuple(sorted(file.related.items()))
    for label, odds in related:
        if label not in LOOK_ALIKES or not 0 <= odds < float("inf"):
            raise _wrong(where, f"related {label!r} is none of {', '.join(LOOK_ALIKES)}, or its number is negative")
    return Definition(
        fields, tuple(rules), file.cut, file.review_from, file.pairs_at_most, file.block_at_most, file.prior, related
    )


def _check_expert(f: Field, where: str) -> None:
    """Refuse expert settings that cannot be meant: a level nobody knows, shares that are no probabilities."""
    from steward.scoring.duplicates.own import check_field

    if f.standard and f.standard != "written" and f.standard not in KINDS:
        raise _wrong(
            where, f"standard {f.standard!r} of field {f.name!r} is neither 'written' nor one of {', '.join(sorted(KINDS))}"
        )
    size = check_field(f, lambda problem: _wrong(where, problem))
    for key, shares in (("m", f.m), ("u", f.u)):
        if not shares:
            continue
        if len(shares) != size:
            raise _wrong(
                where, f"{key} of field {f.name!r} needs {size} numbers, from 'differs' to 'exact'; it has {len(shares)}"
            )
        if min(shares) <= 0 or not 0.9 <= sum(shares) <= 1.1:
            raise _wrong(where, f"{key} of field {f.name!r} must be positive numbers that sum to 1")


def _wrong(where: str, problem: str) -> ScoringError:
    return ScoringError(
        N_("The linkage definition {where} cannot be used: {problem}."),
        next_step=N_("Mend the file, or leave it out: fields and rules are then chosen from the data."),
        where=where,
        problem=problem,
    )
