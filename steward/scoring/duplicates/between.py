"""Linking one source to another: an import list to the CRM, leads to contacts, contacts to the accounts they belong to.

Columns of the two sides are brought together by what they hold: e-mail with e-mail, first and last name with a full name,
the domain of an e-mail with a web site. Then it is the same way as within one table: the same definitions, levels, weights
and reasons, with only pairs across the two sources compared.

Left to others: what is compared as what (``profile``), the linking itself (``link``), files (``steward.commands.link``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from steward.errors import ScoringError
from steward.messages import N_
from steward.records import RecordKey
from steward.scoring.duplicates.columns import build, joined
from steward.scoring.duplicates.definition import Definition, Field, Rule
from steward.scoring.duplicates.explain import read_weights, sentence, weights_json
from steward.scoring.duplicates.link import LinkResult, link
from steward.scoring.duplicates.own import has_own_levels
from steward.scoring.duplicates.plan import LeftOut, Plan
from steward.scoring.duplicates.profile import Choice, Proposal, _fields, choose_rules, header_words, read_columns

SOURCE = "__source"
ID = "__id"


@dataclass(slots=True)
class Side:
    """One of two sources.

    Attributes
    ----------
    name : str
        As shown to people: an object or a file.
    frame : DataFrame
        One row per record, text columns.
    ids : str
        Column with the record ids, unique within the side.
    role : str or None
        ``person`` or ``company`` where known.
    references : sequence of str
        Columns that are not about the customer.
    object : str
        What decisions call its records; by default ``name``.
    """

    name: str
    frame: pl.DataFrame
    ids: str = "_id"
    role: str | None = None
    references: Sequence[str] = ()
    object: str = ""


@dataclass(slots=True)
class BetweenResult:
    """What linking two sources found.

    Attributes
    ----------
    result : LinkResult
        Ids carry ``1/`` for the left source and ``2/`` for the right one.
    definition : Definition
        As it can be saved and given again: with the columns of both sides.
    told_apart : int
        Pairs that would have been kept and were left out because a person rejected them.
    """

    left: Side
    right: Side
    result: LinkResult
    definition: Definition
    left_out: list[LeftOut] = field(default_factory=list)
    _combined: pl.DataFrame = field(default_factory=pl.DataFrame)
    told_apart: int = 0

    def pairs_frame(self, *, reasons: bool = False) -> pl.DataFrame:
        """Return ``left_id, right_id, match_weight, probability, rule`` of each pair kept, best first; with its sentence if wanted."""
        pairs = self.result.pairs
        ids = self.result.table.ids
        across = self.result.table.source[pairs.left] == 0
        one = [str(ids[a if first else b])[2:] for a, b, first in zip(pairs.left, pairs.right, across, strict=True)]
        two = [str(ids[b if first else a])[2:] for a, b, first in zip(pairs.left, pairs.right, across, strict=True)]
        names = [r.name for r in self.result.definition.rules] or [""]
        frame = pl.DataFrame(
            {
                "left_id": pl.Series(one, dtype=pl.String),
                "right_id": pl.Series(two, dtype=pl.String),
                "match_weight": pairs.weight,
                "probability": pairs.probability,
                "rule": pl.Series([names[r] for r in pairs.rule.tolist()], dtype=pl.String),
            }
        )
        if not reasons:
            return frame
        ordered = self._combined[self.result.table.order.tolist()]
        raw = [joined(ordered, f.columns, f.first_filled) for f in self.result.definition.fields]
        related = self.result.model.related_names if self.result.model is not None else []
        texts: list[str] = weights_json(self.result.table, raw, pairs, related).to_list() if len(pairs) else []
        said = [
            sentence(f"{self.right.name}/{b}", p, read_weights(t), rule, total)
            for b, p, t, rule, total in zip(
                two,
                frame["probability"].to_list(),
                texts,
                frame["rule"].to_list(),
                frame["match_weight"].to_list(),
                strict=True,
            )
        ]
        return frame.with_columns(pl.Series("sentence", said, dtype=pl.String))

    def found(self) -> pl.DataFrame:
        """Return one row per left record: ``left_id, state, right_id, probability, others``.

        ``state`` is ``found`` (one record of the other side above the cut), ``several`` (more than one), ``unsure`` (none
        above the cut, some worth a look) or ``new`` (none). ``others`` counts further candidates in that state.
        """
        best = self.pairs_frame()
        sure = pl.col("probability") >= self.result.cut
        per = best.group_by("left_id", maintain_order=True).agg(
            pl.col("right_id").first(),
            pl.col("probability").first(),
            sure.sum().cast(pl.Int64).alias("sure"),
            pl.len().cast(pl.Int64).alias("all"),
        )
        ids = self.left.frame.select(pl.col(self.left.ids).cast(pl.String).alias("left_id"))
        state = (
            pl.when(pl.col("sure") > 1).then(pl.lit("several"))
            .when(pl.col("sure") == 1).then(pl.lit("found"))
            .when(pl.col("all") > 0).then(pl.lit("unsure"))
            .otherwise(pl.lit("new"))
        )  # fmt: skip
        others = pl.when(pl.col("sure") > 0).then(pl.col("sure") - 1).otherwise(pl.col("all").fill_null(1) - 1)
        return ids.join(per, on="left_id", how="left", maintain_order="left").select(
            "left_id", state.alias("state"), "right_id", "probability", others.clip(0).alias("others")
        )


def rejected_between(left: Side, right: Side, apart: Iterable[tuple[RecordKey, RecordKey]]) -> set[tuple[str, str]]:
    """Return the pairs (left id, right id) that people told apart, whichever way round they were told.

    Parameters
    ----------
    apart : iterable of (RecordKey, RecordKey)
        As :attr:`steward.decisions.Standing.not_duplicates` holds them; pairs of other objects are passed over.
    """
    ours, theirs = left.object or left.name, right.object or right.name
    return {(one.id, two.id) for a, b in apart for one, two in ((a, b), (b, a)) if one.object == ours and two.object == theirs}


def link_between(
    left: Side,
    right: Side,
    definition: Definition | None = None,
    *,
    seed: int = 0,
    apart: Iterable[tuple[str, str]] = (),
    progress: Callable[[int], None] | None = None,
    before: Callable[[Plan], None] | None = None,
) -> BetweenResult:
    """Find the records of one source in another.

    Parameters
    ----------
    definition : Definition, optional
        Fields with ``columns`` of the left and ``other`` columns of the right source; None proposes them from both.
    apart : iterable of (left id, right id)
        Pairs that a person rejected; they are left out of what is found.
    before : callable, optional
        As for :func:`steward.scoring.duplicates.link.link`.

    Raises
    ------
    ScoringError
        The sources have nothing in common, the definition names columns that are not there, or an id repeats.
    """
    for side in (left, right):
        if side.frame[side.ids].n_unique() != side.frame.height:
            raise ScoringError(N_("Record ids of {side} repeat; each record needs an id of its own."), side=side.name)
    choices: list[LeftOut] = []
    proposal: Proposal | None = None
    if definition is None:
        fields, choices = align(left, right)
        if not fields:
            raise ScoringError(
                N_("{left} and {right} have no column in common that says who a customer is."),
                next_step=N_("Name the columns of both sides in a linkage definition: columns and other_columns."),
                left=left.name,
                right=right.name,
            )
        definition = Definition(tuple(fields), (Rule(()),))
        frame, inner = combined(left, right, definition)
        table = build(frame, inner, ids=ID, source=SOURCE)
        report, rules = choose_rules(table, inner)
        definition = replace(definition, rules=tuple(rules))
        proposal = Proposal(definition, [Choice(x.name, "", x.reason) for x in choices], report)
    frame, inner = combined(left, right, definition)
    told = definition

    def tell(plan: Plan) -> None:
        plan.object = f"{left.name} – {right.name}"
        plan.proposed = proposal is not None
        plan.definition = told.toml()
        plan.fields = [
            replace(p, columns=(*f.columns, "↔", *(f.other or f.columns)), reason=p.reason)
            for p, f in zip(plan.fields, told.fields, strict=True)
        ]
        plan.left_out = choices + [
            LeftOut("rule", c.rule, c.reason, c.pairs) for c in (proposal.rules if proposal else []) if not c.used
        ]
        if before is not None:
            before(plan)

    rejected = {(a, b) for a, b in apart}
    barred = sorted((f"1/{a}", f"2/{b}") for a, b in rejected)
    result = link(frame, inner, seed, barred, ids=ID, source=SOURCE, progress=progress, before=tell)
    kept = len(result.pairs)
    if rejected:
        result = _without(result, rejected)
    return BetweenResult(left, right, result, definition, choices, frame, kept - len(result.pairs))


def _without(result: LinkResult, rejected: set[tuple[str, str]]) -> LinkResult:
    ids = result.table.ids
    kept = []
    for row, (a, b) in enumerate(zip(result.pairs.left.tolist(), result.pairs.right.tolist(), strict=True)):
        one, two = sorted((str(ids[a]), str(ids[b])))
        if (one[2:], two[2:]) not in rejected:
            kept.append(row)
    return replace(result, pairs=result.pairs.take(np.array(kept, np.int64)))


def combined(left: Side, right: Side, definition: Definition) -> tuple[pl.DataFrame, Definition]:
    """Return both sources in one table, and the definition over its columns.

    Raises
    ------
    ScoringError
        A column of the definition is missing on one side.
    """
    fields: list[Field] = []
    columns: list[dict[str, pl.Series]] = [{}, {}]
    for number, f in enumerate(definition.fields):
        for side, names in ((left, f.columns), (right, f.other or f.columns)):
            for name in names:
                if name not in side.frame.columns:
                    raise ScoringError(
                        N_("The linkage definition names the column {column}, which {object} does not have."),
                        next_step=N_("It has: {known}."),
                        column=name,
                        object=side.name,
                        known=", ".join(c for c in side.frame.columns if c != side.ids),
                    )
        if f.other and (f.take or f.missing or any(x.startswith("when ") for x in f.levels)):
            raise ScoringError(
                N_("The field {field} has conditions, which name columns that both sources must have."),
                next_step=N_("Rename the columns of one source, or leave out other_columns."),
                field=f.name,
            )
        if has_own_levels(f) and not f.other:  # conditions name the columns, so they stay as they are
            for at, side in enumerate((left, right)):
                columns[at].update({c: side.frame[c].cast(pl.String) for c in f.columns})
            fields.append(f)
            continue
        name = f"__field {number}"
        columns[0][name] = joined(left.frame, f.columns, f.first_filled)
        columns[1][name] = joined(right.frame, f.other or f.columns, f.other_first_filled if f.other else f.first_filled)
        fields.append(replace(f, columns=(name,), first_filled=False, other=(), other_first_filled=False))
    parts = []
    for at, side in enumerate((left, right)):
        ids = pl.Series(ID, [f"{at + 1}/{i}" for i in side.frame[side.ids].cast(pl.String)], dtype=pl.String)
        mark = pl.Series(SOURCE, [str(at + 1)] * side.frame.height, dtype=pl.String)
        parts.append(pl.DataFrame({ID: ids, SOURCE: mark, **columns[at]}))
    return pl.concat(parts), replace(definition, fields=tuple(fields))


def align(left: Side, right: Side) -> tuple[list[Field], list[LeftOut]]:
    """Return fields that both sources have, and what was left out and why."""
    out: list[LeftOut] = []
    sides: list[list[Field]] = []
    for side in (left, right):
        found, choices = read_columns(side.frame, {side.ids}, side.role, side.references)
        out += [LeftOut("column", f"{side.name}: {c.column}", c.reason) for c in choices if not c.used_as]
        sides.append(_fields(side.frame, found, []))
    fields: list[Field] = []
    ours, theirs = list(sides[0]), list(sides[1])
    _names(ours, theirs, fields)
    for kind in dict.fromkeys(f.kind for f in ours):
        _pair_up(kind, ours, theirs, fields)
    _domains(ours, theirs, fields)
    for side, rest in ((left, ours), (right, theirs)):
        out += [LeftOut("column", f"{side.name}: {', '.join(f.columns)}", "the other side has nothing like it") for f in rest]
    return _named_apart(fields), out


def _both(one: Field, two: Field, kind: str | None = None) -> Field:
    return Field(
        one.name, kind or one.kind, one.columns, one.first_filled, other=two.columns, other_first_filled=two.first_filled
    )


def _names(ours: list[Field], theirs: list[Field], fields: list[Field]) -> None:
    """Bring first and last name on one side together with a full name on the other."""
    for mine, other, turned in ((ours, theirs, False), (theirs, ours, True)):
        given = next((f for f in mine if f.kind == "given"), None)
        family = next((f for f in mine if f.kind == "family"), None)
        full = next((f for f in other if f.kind == "person"), None)
        if given is None or family is None or full is None or any(f.kind in ("given", "family") for f in other):
            continue
        whole = Field("name", "person", (*given.columns, *family.columns))
        fields.append(_both(full, whole) if turned else _both(whole, full))
        for f in (given, family):
            mine.remove(f)
        other.remove(full)
        return


def _pair_up(kind: str, ours: list[Field], theirs: list[Field], fields: list[Field]) -> None:
    """Pair fields of one kind: equal headers first, then in their order; free text and categories by header alone."""
    for by_header in (True, False):
        if not by_header and kind in ("text", "category"):
            return
        for f in [x for x in ours if x.kind == kind]:
            match = next(
                (t for t in theirs if t.kind == kind and (not by_header or header_words(t.name) == header_words(f.name))), None
            )
            if match is not None:
                fields.append(_both(f, match))
                ours.remove(f)
                theirs.remove(match)


def _domains(ours: list[Field], theirs: list[Field], fields: list[Field]) -> None:
    """Compare a web site on one side with the domain of the e-mail on the other, where the other has no web site."""
    for mine, other, turned in ((ours, theirs, False), (theirs, ours, True)):
        site = next((f for f in mine if f.kind == "domain"), None)
        mail = next((f for f in other if f.kind == "email"), None)
        if site is None or mail is None:
            continue
        fields.append(_both(mail, site, "domain") if turned else _both(site, mail, "domain"))
        mine.remove(site)
        other.remove(mail)


def _named_apart(fields: list[Field]) -> list[Field]:
    seen: dict[str, int] = {}
    out = []
    for f in fields:
        seen[f.name] = seen.get(f.name, 0) + 1
        out.append(f if seen[f.name] == 1 else replace(f, name=f"{f.name} ({seen[f.name]})"))
    return out
