"""A proposal for a table never seen: fields, kinds and blocking rules, each with its reason, and what was left out and why.

Headers are read first (``headers``); where one says nothing, the contents decide. Rules are all
sensible combinations of what was found, with their pairs counted before anything runs; one that would explode is refused
and a narrower one takes its place.

Left to others: running the definition (``link``).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from steward.scoring.duplicates.birthdays import birth_parts, lie_like_birthdays
from steward.scoring.duplicates.blocks import block_sizes, expected_pairs, rule_key
from steward.scoring.duplicates.columns import Table, build
from steward.scoring.duplicates.definition import Definition, Field, Rule
from steward.scoring.duplicates.headers import header_kind as header_kind
from steward.scoring.duplicates.headers import header_words as header_words
from steward.scoring.duplicates.standard import LONGEST, date_text
from steward.scoring.duplicates.words import HAN_LEGAL_FORMS, LEGAL_FORMS

EVERY_PAIR_UP_TO = 1_600
"""Rows up to which every pair is compared: no blocking rule can then lose one."""

_RECORD_NUMBER = r"\b(customer|member|account|client|loyalty|kunden|mitglieds|debitoren|kd)|编号|卡号"
"""Numbers that the system gives, one a record as a rule; a person's own papers tell people apart even where none is shared."""

_EMAIL = r"^[^@\s]+@[^@\s]+\.[^@\s]+$"
_PHONE = r"^[+(]?[\d][\d\s()./-]{5,}\d$"


@dataclass(slots=True)
class Choice:
    """What became of one column, for the summary."""

    column: str
    used_as: str
    reason: str


@dataclass(slots=True)
class RuleChoice:
    """What became of one blocking rule."""

    rule: str
    pairs: int
    used: bool
    reason: str


@dataclass(slots=True)
class Proposal:
    """A proposed definition with its reasons."""

    definition: Definition
    columns: list[Choice] = field(default_factory=list)
    rules: list[RuleChoice] = field(default_factory=list)


def _mean(values: pl.Series) -> float:
    """Return the mean of numbers or truth values, 0 of none."""
    found = values.mean()
    return float(found) if isinstance(found, (int, float)) else 0.0


def _content_kind(values: pl.Series) -> str | None:
    """Return the kind that values look like; None for text without a shape."""
    some = values.drop_nulls().unique().sort().head(2_000)
    if not len(some):
        return None
    if _mean(some.str.contains(_EMAIL)) > 0.8:
        return "email"
    dates = [date_text(v[:40], False) for v in some.head(300)]
    if sum(d is not None for d in dates) > 0.9 * len(dates):
        return "date"
    digits = some.str.count_matches(r"\d")
    if _mean(some.str.contains(_PHONE)) > 0.8 and _mean(digits) >= 8:
        return "phone"
    if _mean(some.str.contains(r"^-?[\d.,]+$")) > 0.9:
        return "number"
    return None


def _name_kind(values: pl.Series, role: str | None) -> str:
    """Tell companies from people by legal forms and roles."""
    if role in ("company", "person"):
        return role
    some = values.drop_nulls().unique().sort().head(2_000).str.to_lowercase()
    if not len(some):
        return "company"
    words = "|".join(sorted(LEGAL_FORMS - {"as", "und", "public", "co", "sa", "se", "sp", "pt", "cv", "mit", "private"}))
    legal = _mean(some.str.contains(rf"\b({words})\b") | some.str.contains("|".join(HAN_LEGAL_FORMS)))
    two = _mean(some.str.contains(r"^\p{L}[\p{L}.'’-]*,? \p{L}[\p{L}.'’-]*( \p{L}[\p{L}.'’-]*)?$"))
    han = _mean(some.str.contains(r"^[\u4e00-\u9fff]{2,4}$"))
    return "person" if legal < 0.05 and two + han > 0.7 else "company"


def propose(
    frame: pl.DataFrame, *, ids: str, role: str | None = None, references: Sequence[str] = (), source: str | None = None
) -> Proposal:
    """Propose a definition for a table.

    Parameters
    ----------
    frame : DataFrame
        Text columns.
    ids : str
        Column with the record ids; never compared.
    role : str, optional
        ``person`` or ``company`` where a mapping says so.
    references : sequence of str
        Columns that refer to other objects, and technical columns of the mapping.
    """
    found, choices = read_columns(frame, {ids, source}, role, references)
    fields = _fields(frame, found, choices)
    definition = Definition(tuple(fields), (Rule(()),))
    proposal = Proposal(definition, choices)
    if fields:
        table = build(frame, definition, ids=ids, source=source)
        proposal.rules, rules = choose_rules(table, definition)
        proposal.definition = Definition(tuple(fields), tuple(rules))
    return proposal


def read_columns(
    frame: pl.DataFrame, apart: Collection[str | None], role: str | None, references: Sequence[str]
) -> tuple[dict[str, list[str]], list[Choice]]:
    """Return the columns of each kind, and what became of every column; those in ``apart`` are not looked at."""
    choices: list[Choice] = []
    found: dict[str, list[str]] = {}
    n = max(frame.height, 1)
    open_ = {c: header_words(c) for c in frame.columns if c not in apart and c not in references}
    born = birth_parts(open_, frame)
    if born:
        found["born" if len(born) > 1 else "category"] = list(born.values())
        choices += [Choice(c, "birthdate" if len(born) > 1 else "category", f"{part} of birth") for part, c in born.items()]
    beside = {header_kind(c) for c in open_}
    for name in frame.columns:
        if name in apart or name in born.values() or name.startswith("__"):
            continue
        values = frame[name].cast(pl.String).str.strip_chars().replace("", None)
        kind, reason = _column_kind(name, values, n, role, references, beside)
        if kind is None:
            choices.append(Choice(name, "", reason))
        else:
            found.setdefault(kind, []).append(name)
            choices.append(Choice(name, kind, reason))
    return found, choices


def _column_kind(
    name: str, values: pl.Series, n: int, role: str | None, references: Sequence[str], beside: set[str | None]
) -> tuple[str | None, str]:
    """Return the kind of a column and why, or None and why not; ``beside`` are the kinds that the table's headers name."""
    filled = n - values.null_count()
    if filled == 0:
        return None, "empty"
    distinct = values.n_unique() - (1 if values.null_count() else 0)
    if distinct == 1 and filled > 0.5 * n:
        return None, "the same value everywhere"
    if name in references:
        return None, "refers to another object or is kept by the system"
    words = header_words(name)
    named = header_kind(name)
    content = _content_kind(values)
    if named == "skip":
        return None, "says nothing about who the customer is"
    if re.search(r"\bid$", words) and named not in ("identifier",):
        return None, "an id that refers elsewhere"
    if named == "name" and len(beside & {"given", "family"}) == 1 and _mean(~values.str.contains(r"\S \S+ \S|,")) > 0.8:
        other = "family" if "given" in beside else "given"  # Vorname, Name; nombre, apellidos
        if other == "given" or _mean(~values.str.contains(" ", literal=True)) > 0.6:
            return other, f"header says name, beside a column of the other half: {other}"
    if named == "name":
        named = _name_kind(values, role)
        return named, "header says name, contents say " + named
    if named in ("email",) and content != "email" and not values.str.contains("@", literal=True).any():
        return None, "header says e-mail, contents do not"
    if named == "identifier" and distinct == filled and filled > 1 and re.search(_RECORD_NUMBER, words):
        return None, "every record has its own: it tells no two records to be one"
    if named in ("person", "native"):
        return named, "header"
    if named in ("given", "family", "company", "address", "city", "category", "middle", "identifier", "email", "phone", "birthdate",
                 "postcode", "domain"):  # fmt: skip
        if named == "birthdate" and content not in ("date", None):
            return None, "header says date, contents do not"
        if named == "category" and distinct > max(300, 0.5 * filled):
            return "text", "header, many values"
        return named, "header"
    if content == "email":
        return "email", "contents"
    if content == "phone" and distinct > 0.3 * filled:
        return "phone", "contents"
    if content == "date" and distinct > 0.3 * filled and lie_like_birthdays(values):
        return "birthdate", "contents: dates that lie as birthdays do"
    if content in ("date", "number"):
        return None, "dates or numbers without a name that says whose"
    lengths = values.str.len_chars()
    if _mean(lengths) > 80 or bool((lengths > 4 * LONGEST).any()):
        return None, "long text"
    if distinct <= 2:
        return None, "two values at most"
    if distinct < 0.02 * filled:
        return "category", "contents: few values"
    return "text", "contents: text"


def _fields(frame: pl.DataFrame, found: Mapping[str, list[str]], choices: list[Choice]) -> list[Field]:
    """Turn columns into fields: parts of one thing are joined, several phones or e-mails stay apart."""
    fields: list[Field] = []
    n = max(frame.height, 1)

    def filled(columns: Sequence[str]) -> float:
        texts = [pl.col(c).cast(pl.String).str.strip_chars().replace("", None).is_not_null() for c in columns]
        return float(frame.select(pl.any_horizontal(texts).mean()).item() or 0.0)

    given, family = found.get("given", []), found.get("family", [])
    people = [*found.get("native", []), *found.get("person", [])]
    parts_alone = filled([*given[:1], *family[:1]]) if given and family else 0.0
    if given and family and people and filled([given[0], family[0], *people]) > parts_alone + 0.01:
        # a full name for some records and its parts for others: one name that all have
        fields.append(Field("full name", "person", (*people[:1], *people[1:], given[0], family[0]), True))
    else:
        fields.extend(Field(c, "given", (c,)) for c in given[:1])
        fields.extend(Field(c, "family", (c,)) for c in family[:1])
        if not (given and family):
            fields.extend(Field(c, "person", (c,)) for c in people)
    for spare in given[1:] + family[1:]:
        fields.append(Field(spare, "text", (spare,)))
    for column in found.get("middle", []):
        fields.append(Field(column, "given", (column,)))
    if "born" in found:
        fields.append(Field("birthday", "birthdate", tuple(found["born"])))
    for kind in ("company", "email", "phone", "birthdate", "domain", "identifier"):
        for column in found.get(kind, []):
            if filled([column]) * n >= 2:
                fields.append(Field(column, kind, (column,)))
    addresses = found.get("address", [])
    rest = [c for kind in ("city", "category", "postcode") for c in found.get(kind, []) if _is_place(c)]
    full = [c for c in addresses if re.search(r"\bfull\b", header_words(c))]
    if full and len(addresses) > 1:  # one column for all of it, others for the parts
        parts = [c for c in addresses if c not in full]
        fields.append(Field("address", "address", (full[0], *parts, *rest), True))
    else:
        for column in addresses:
            fields.append(Field(column, "address", (column,)))
        for kind in ("city", "postcode"):
            fields.extend(Field(c, kind, (c,)) for c in found.get(kind, []))
        rest = []
    for column in found.get("category", []):
        if column not in rest:
            fields.append(Field(column, "category", (column,)))
    for column in found.get("text", []):
        fields.append(Field(column, "text", (column,)))
    return fields[:24]


def _is_place(column: str) -> bool:
    return not re.search(r"gender|sex|geschlecht|性别|national|passport|licen", header_words(column))


_COMBINATIONS: tuple[tuple[tuple[str, str], ...], ...] = (
    (("identifier", "whole"),),
    (("email", "whole"),),
    (("phone", "whole"),),
    (("phone", "end"),),
    (("person", "whole"),),
    (("company", "whole"),),
    (("address", "whole"),),
    (("email", "mailbox"),),
    (("family", "whole"), ("given", "whole")),
    (("family", "whole"), ("birthdate", "whole")),
    (("given", "whole"), ("birthdate", "whole")),
    (("person", "words"),),
    (("company", "words"),),
    (("family", "whole"), ("postcode", "whole")),
    (("given", "whole"), ("postcode", "whole")),
    (("family", "sound"), ("given", "sound")),
    (("family", "sound"), ("given", "initial"), ("city", "whole")),
    (("family", "sound"), ("birthdate", "year")),
    (("given", "sound"), ("birthdate", "year")),
    (("company", "start"), ("city", "whole")),
    (("company", "sound"),),
    (("company", "start"), ("postcode", "whole")),
    (("person", "start"), ("city", "whole")),
    (("birthdate", "whole"),),
    (("domain", "whole"),),
    (("family", "whole"), ("city", "whole")),
    (("given", "whole"), ("city", "whole")),
    (("text", "whole"),),
    (("text", "whole"), ("city", "whole")),
    (("address", "words"),),
    (("given", "whole"), ("family", "initial")),
    (("family", "whole"), ("given", "initial")),
)
"""Rules in the order they are tried; those before an exploding one remain."""


def choose_rules(table: Table, definition: Definition) -> tuple[list[RuleChoice], list[Rule]]:
    """Return what became of every sensible rule, and the rules to use."""
    n = len(table)
    by_kind: dict[str, list[str]] = {}
    for column in table.columns:
        by_kind.setdefault(column.kind.name, []).append(column.field.name)
    budget_each = max(50_000, 8 * n)
    budget = max(400_000, 20 * n)
    chosen: list[Rule] = []
    report: list[RuleChoice] = []
    exploding: list[tuple[int, Rule]] = []
    spent = 0
    for combination in _COMBINATIONS:
        for rule in _instances(combination, by_kind):
            if any(set(r.keys) <= set(rule.keys) for r in chosen):
                continue
            sizes = block_sizes(rule_key(table, rule))
            pairs = expected_pairs(sizes, definition.block_at_most)
            whole = int((sizes.astype(object) * (sizes - 1) // 2).sum()) if len(sizes) else 0
            if whole == 0:
                report.append(RuleChoice(rule.name, 0, False, "no two records share it"))
            elif pairs > budget_each or whole > 4 * budget_each:
                exploding.append((len(report), rule))
                report.append(RuleChoice(rule.name, whole, False, "would explode"))
            elif spent + pairs > budget:
                report.append(RuleChoice(rule.name, pairs, False, "the rules before it find enough"))
            else:
                spent += pairs
                chosen.append(rule)
                report.append(RuleChoice(rule.name, pairs, True, ""))
    for place, rule in exploding:
        report[place].reason = f"would explode; {_instead(rule, chosen)}"
    if n <= EVERY_PAIR_UP_TO or not chosen:
        if n <= EVERY_PAIR_UP_TO:
            chosen.append(Rule(()))
            report.append(RuleChoice(Rule(()).name, n * (n - 1) // 2, True, "a small table"))
        elif table.columns:
            first = max(table.columns, key=lambda c: len(c.key))
            chosen.append(Rule(((first.field.name, "whole"),)))
            report.append(RuleChoice(chosen[-1].name, 0, True, "nothing else to go by; large blocks are left out"))
    return report, chosen


def _instead(rule: Rule, chosen: Sequence[Rule]) -> str:
    """Return which of the chosen rules find what a refused one would have found, the nearest first."""
    fields = {name for name, _ in rule.keys}
    near = sorted(
        (r for r in chosen if fields & {name for name, _ in r.keys}), key=lambda r: -len(fields & {n for n, _ in r.keys})
    )
    if not near:
        return "the other rules must do without it"
    return "instead: " + "; ".join(r.name for r in near[:3])


def _instances(combination: tuple[tuple[str, str], ...], by_kind: Mapping[str, list[str]]) -> list[Rule]:
    """Return the rules of a combination over the fields at hand; a kind with several fields gives several."""
    rules: list[tuple[tuple[str, str], ...]] = [()]
    for kind, transform in combination:
        names = by_kind.get(kind, [])[:3]
        rules = [(*r, (name, transform)) for r in rules for name in names]
    return [Rule(r) for r in rules if r]
