"""A Splink settings or model file as a linkage definition, every loss listed; refused where a whole comparison would be lost.

Splink's JSON of versions 3, 4 and 5 (``save_model_to_json`` or a settings dictionary) names comparisons, their levels as
SQL conditions with m and u, and blocking rules. Levels become levels of one's own on the text as written, rules become
keys, m, u and the prior are taken as they stand. A level that cannot be read is left out and named; a comparison of which
no level is left would change the model silently, so the file is refused.

Left to others: the conditions (``conditions``), blocking rules (``splink_rules``), running the definition (``link``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from steward.errors import ScoringError
from steward.messages import N_
from steward.scoring.duplicates.conditions import Node, NotUnderstoodError, parse
from steward.scoring.duplicates.definition import Definition, Field, Rule, parse_definition
from steward.scoring.duplicates.splink_rules import key_field, shared_expressions

LEAST_SHARE = 1e-9
"""An m or u of 0 would make a level infinitely telling; Splink writes 0 where a level was never seen."""

_SILENT = {
    "linker_uid", "sql_dialect", "retain_matching_columns", "retain_intermediate_calculation_columns", "additional_columns_to_retain",
    "bayes_factor_column_prefix", "term_frequency_adjustment_column_prefix", "comparison_vector_value_column_prefix", "em_convergence",
    "max_iterations", "unique_id_column_name", "source_dataset_column_name", "salting_partitions", "splink_version", "version",
}  # fmt: skip
_READ = {"comparisons", "blocking_rules_to_generate_predictions", "probability_two_random_records_match", "link_type"}
_LEVEL_READ = {"sql_condition", "label_for_charts", "is_null_level", "m_probability", "u_probability", "tf_adjustment_column",
               "fix_m_probability", "fix_u_probability", "max_m_prob", "description"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """Something of the file that is not the same here.

    Attributes
    ----------
    where : str
        Place in the file, e.g. ``comparisons[1].comparison_levels[2]``.
    what : str
        One sentence.
    loss : bool
        True where weights or pairs may differ from Splink's; False for what only differs in form.
    """

    where: str
    what: str
    loss: bool


@dataclass(slots=True)
class SplinkImport:
    """A definition and what became of the rest."""

    definition: Definition
    findings: list[Finding] = field(default_factory=list)
    trained: bool = False


def looks_like_splink(text: str) -> bool:
    """Tell a JSON file from a definition in TOML."""
    return text.lstrip("\ufeff \t\r\n").startswith("{")


def read_splink(text: str, *, where: str = "splink.json") -> SplinkImport:
    """Read a settings or model file of Splink.

    Raises
    ------
    ScoringError
        Not such a file; a comparison or every blocking rule would be lost.
    """
    try:
        settings = json.loads(text.lstrip("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise _refused(where, f"it is not JSON ({type(error).__name__})") from None
    if isinstance(settings, Mapping) and isinstance(settings.get("settings"), Mapping):
        settings = settings["settings"]  # some write the settings one level down
    if not isinstance(settings, Mapping) or not isinstance(settings.get("comparisons"), list) or not settings["comparisons"]:
        raise _refused(where, "it has no list named comparisons")
    found: list[Finding] = []
    _settings_notes(settings, found)
    fields = [_comparison(c, i, where, found) for i, c in enumerate(settings["comparisons"])]
    fields = _named_apart(fields)
    rules, keys = _rules(settings.get("blocking_rules_to_generate_predictions") or [], fields, where, found)
    trained = all(f.m and f.u for f in fields)
    prior = settings.get("probability_two_random_records_match")
    if isinstance(prior, (int, float)) and not isinstance(prior, bool) and 0 < prior < 1 and trained:
        definition = Definition(tuple(fields + keys), tuple(rules), block_at_most=100_000, prior=float(prior))
    else:
        definition = Definition(tuple(fields + keys), tuple(rules), block_at_most=100_000)
        found.append(
            Finding(
                "probability_two_random_records_match",
                "the prior is estimated here, for the file holds no whole model"
                if not trained
                else "no prior in the file: estimated here",
                True,
            )
        )
    found.append(
        Finding(
            "comparisons",
            "text is trimmed and empty text counts as missing; strings are compared by characters, not bytes",
            False,
        )
    )
    # What was written must be readable again; this also checks every level as a definition's own.
    return SplinkImport(parse_definition(definition.toml(), where=where), found, definition.trained)


def _refused(where: str, why: str) -> ScoringError:
    return ScoringError(
        N_("The Splink file {where} cannot be taken over: {why}."),
        next_step=N_("Mend that part of the file, or write a linkage definition; nothing was imported."),
        where=where,
        why=why,
    )


def _settings_notes(settings: Mapping[str, Any], found: list[Finding]) -> None:
    link_type = settings.get("link_type", "dedupe_only")
    if link_type != "dedupe_only":
        found.append(
            Finding(
                "link_type", f"{str(link_type)[:40]}: name the two sources with steward link; here one table is searched", False
            )
        )
    for key in sorted(settings):
        if key not in _READ and key not in _SILENT:
            found.append(Finding(str(key)[:60], "a setting that has no counterpart here", False))


def _comparison(entry: Any, position: int, where: str, found: list[Finding]) -> Field:
    place = f"comparisons[{position}]"
    levels = entry.get("comparison_levels") if isinstance(entry, Mapping) else None
    if not isinstance(levels, list) or not levels or not all(isinstance(x, Mapping) for x in levels):
        raise _refused(where, f"{place} holds no comparison_levels; a comparison made in Python must be saved with its levels")
    name = str(entry.get("output_column_name") or entry.get("comparison_description") or "")[:60]
    read = [_read_level(level, f"{place}.comparison_levels[{i}]", found) for i, level in enumerate(levels)]
    usable = [x for x in read if x.node is not None and not x.null]
    if not usable:
        why = next((x.why for x in read if x.why), "no level says when two values are alike")
        raise _refused(where, f"the comparison {name or place} would be lost whole, because of {why}")
    columns = list(dict.fromkeys(c for x in read if x.node is not None for c in _bases(x, where, place)))
    missing = _missing([x for x in read if x.null and x.node is not None], columns)
    exact = next((x for x in usable if _is_equality(x.node, columns)), None)
    kept: list[_Level] = []
    for x in read:
        if x.null:
            continue
        if x.node is None and not x.otherwise:  # its pairs fall to the next level; so do its shares
            continue
        kept.append(x)
    if not any(x.otherwise for x in kept):
        found.append(Finding(place, "no ELSE level: pairs that fit none count as differing", True))
        kept.append(_Level(place, None, otherwise=True, m=LEAST_SHARE, u=LEAST_SHARE))
    between = [x for x in kept if x is not exact and not x.otherwise]
    _fill_unseen(kept, found)
    texts = tuple(_level_text(x, columns) for x in between)
    m, u = _weights(read, exact, between, kept)
    rare = _term_frequencies(read, exact, columns, place, found)
    fallback = " + ".join(columns)
    return Field(name or fallback, "text", tuple(columns), False, "written", texts, missing, "", m, u, rare, rare)


@dataclass(slots=True)
class _Level:
    place: str
    node: Node | None
    text: str = ""
    null: bool = False
    otherwise: bool = False
    m: float | None = None
    u: float | None = None
    tf: str = ""
    why: str = ""


def _read_level(level: Mapping[str, Any], place: str, found: list[Finding]) -> _Level:
    condition = str(level.get("sql_condition") or "").strip()
    out = _Level(place, None, condition, bool(level.get("is_null_level")))
    out.m, out.u = _share(level.get("m_probability")), _share(level.get("u_probability"))
    out.tf = str(level.get("tf_adjustment_column") or "")
    if condition.upper() == "ELSE":
        out.otherwise = True
        return out
    for key in sorted(level):
        if key not in _LEVEL_READ and level[key] not in (None, False, 1.0):
            found.append(Finding(place, f"{str(key)[:40]} has no counterpart here", key.startswith("tf_")))
    try:
        out.node = parse(condition)
        for column in out.node.columns():
            if column[-2:].lower() not in ("_l", "_r"):
                raise NotUnderstoodError(f"the name {column}")
    except NotUnderstoodError as error:
        out.node, out.why = None, str(error)
        label = str(level.get("label_for_charts") or condition)[:80]
        found.append(
            Finding(place, f"the level “{label}” is left out: it needs {error}; its pairs fall to the level below", True)
        )
    return out


def _share(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        return None
    return max(float(value), LEAST_SHARE)


def _bases(level: _Level, where: str, place: str) -> list[str]:
    assert level.node is not None
    return [c[:-2] for c in level.node.columns()]


def _missing(levels: Sequence[_Level], columns: Sequence[str]) -> str:
    """Return the condition under which the comparison is missing; empty for the plain one of a single column."""
    if not levels:
        return ""
    if len(columns) == 1 and all(_is_plain_null(x.node) for x in levels):
        return ""
    return " OR ".join(f"({x.text})" for x in levels)


def _is_plain_null(node: Node | None) -> bool:
    if node is None:
        return False
    if node.kind == "or":
        return all(_is_plain_null(p) for p in node.parts)
    return node.kind == "null" and node.parts[0].kind == "column"


def _is_equality(node: Node | None, columns: Sequence[str]) -> bool:
    """Tell whether a condition says no more and no less than that every column is equal."""
    equal: set[str] = set()

    def walk(part: Node) -> bool:
        if part.kind == "and":
            return all(walk(p) for p in part.parts)
        if part.kind != "compare" or part.value != "=" or any(p.kind != "column" for p in part.parts):
            return False
        one, two = (str(p.value) for p in part.parts)
        if one[:-2] != two[:-2] or {one[-2:].lower(), two[-2:].lower()} != {"_l", "_r"}:
            return False
        equal.add(one[:-2])
        return True

    return node is not None and walk(node) and equal == set(columns)


_WORDS = {"jaro_winkler_similarity": "jarowinkler", "jaro_winkler": "jarowinkler", "jaro_winkler_sim": "jarowinkler",
          "jaro_similarity": "jaro", "jaro_sim": "jaro", "levenshtein": "levenshtein", "damerau_levenshtein": "damerau_levenshtein"}  # fmt: skip


def _level_text(level: _Level, columns: Sequence[str]) -> str:
    """Return a level in recordlinkage's words where it has them, else as a condition."""
    node = level.node
    assert node is not None
    if len(columns) == 1 and node.kind == "compare" and node.parts[0].kind == "call" and node.parts[1].kind == "constant":
        call, limit = node.parts[0], node.parts[1].value
        word = _WORDS.get(str(call.value))
        sides = [str(p.value) for p in call.parts if p.kind == "column"]
        if word and len(sides) == 2 and {s[:-2] for s in sides} == set(columns) and isinstance(limit, float):
            edits = word in ("levenshtein", "damerau_levenshtein")
            if edits and node.value == "<=" and limit >= 1 and limit.is_integer():
                return f"{word} {int(limit)}"
            if not edits and node.value == ">=" and 0 < limit <= 1:
                return f"{word} {limit:g}" if "." in f"{limit:g}" else f"{word} {limit:.1f}"
    return f"when {level.text}"


def _fill_unseen(kept: Sequence[_Level], found: list[Finding]) -> None:
    """Give levels that training never saw the m that Splink itself uses for them: .05 shared out over all levels but one."""
    if all(x.m is None for x in kept) or any(x.u is None for x in kept):
        return
    for x in kept:
        if x.m is None:
            x.m = 0.05 / max(len(kept) - 1, 1)
            found.append(Finding(x.place, f"never seen in training: m is {x.m:.4g}, as Splink takes it", False))


def _weights(
    read: Sequence[_Level], exact: _Level | None, between: Sequence[_Level], kept: Sequence[_Level]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return m and u from *differs* to *exact*, or nothing where the comparison is not trained whole."""
    if any(x.m is None or x.u is None for x in kept):
        return (), ()
    shares: dict[int, list[float]] = {id(x): [x.m or 0.0, x.u or 0.0] for x in kept}
    waiting = [0.0, 0.0]
    for x in read:  # a level left out hands its shares to the next one below
        if x.null:
            continue
        if id(x) not in shares:
            waiting = [waiting[0] + (x.m or 0.0), waiting[1] + (x.u or 0.0)]
        else:
            shares[id(x)] = [shares[id(x)][0] + waiting[0], shares[id(x)][1] + waiting[1]]
            waiting = [0.0, 0.0]
    otherwise = next(x for x in kept if x.otherwise)
    shares[id(otherwise)] = [a + b for a, b in zip(shares[id(otherwise)], waiting, strict=True)]
    if exact is None:  # equal values reach the first level; half of its shares keep its weight
        first = shares[id(between[0])]
        top = [first[0] / 2, first[1] / 2]
        shares[id(between[0])] = list(top)
    else:
        top = shares[id(exact)]
    order = [shares[id(otherwise)], *(shares[id(x)] for x in reversed(between)), top]
    m, u = tuple(s[0] for s in order), tuple(s[1] for s in order)
    if not (0.9 <= sum(m) <= 1.1 and 0.9 <= sum(u) <= 1.1):
        return tuple(x / sum(m) for x in m), tuple(x / sum(u) for x in u)
    return m, u


def _term_frequencies(
    read: Sequence[_Level], exact: _Level | None, columns: Sequence[str], place: str, found: list[Finding]
) -> bool:
    adjusted = [x for x in read if x.tf]
    for x in adjusted:
        if x is exact and len(columns) == 1:
            found.append(
                Finding(x.place, "term frequencies are counted in this table; a file of frequencies is not carried over", False)
            )
        else:
            found.append(
                Finding(
                    x.place,
                    f"the term frequency of {x.tf[:40]} on a level other than one field's exact one is not taken over",
                    True,
                )
            )
    return any(x is exact for x in adjusted) and len(columns) == 1


def _named_apart(fields: list[Field]) -> list[Field]:
    from dataclasses import replace

    seen: dict[str, int] = {}
    out = []
    for f in fields:
        seen[f.name] = seen.get(f.name, 0) + 1
        out.append(f if seen[f.name] == 1 else replace(f, name=f"{f.name} ({seen[f.name]})"))
    return out


def _rules(entries: Any, fields: list[Field], where: str, found: list[Finding]) -> tuple[list[Rule], list[Field]]:
    """Return blocking rules, and fields of no weight for keys that are not compared."""
    if not isinstance(entries, list) or not entries:
        raise _refused(where, "it has no blocking_rules_to_generate_predictions, so no pair would be compared")
    rules: list[Rule] = []
    keys: list[Field] = []
    for i, entry in enumerate(entries):
        place = f"blocking_rules_to_generate_predictions[{i}]"
        text = str(entry.get("blocking_rule") if isinstance(entry, Mapping) else entry)
        if isinstance(entry, Mapping) and entry.get("arrays_to_explode"):
            found.append(Finding(place, "the rule is left out: it looks into lists", True))
            continue
        try:
            parts, rest = shared_expressions(parse(text))
        except NotUnderstoodError as error:
            found.append(Finding(place, f"the rule is left out: it needs {error}", True))
            continue
        if not parts:
            found.append(Finding(place, "the rule is left out: it names no value that both records share", True))
            continue
        if rest:
            found.append(
                Finding(place, "further conditions of the rule are not applied: it proposes more pairs than in Splink", False)
            )
        rules.append(Rule(tuple((key_field(expression, columns, fields, keys), "whole") for expression, columns in parts)))
    if not rules:
        raise _refused(where, "every blocking rule would be lost")
    return list(dict.fromkeys(rules)), keys
