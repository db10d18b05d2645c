"""Suites of expectations: reading, checking and writing the files in ``expectations/``.

A suite is a JSON file in Great Expectations' own vocabulary. What is particular to steward stands in each expectation's
``meta``: ``rule_id`` (stable, unique), ``reason`` (English, German, Chinese) and ``owner``; the suite's ``meta.steward``
says which object of which tenant it is for. Great Expectations drops what it does not know and goes on; here an unknown
type, an unknown or missing keyword, a second use of a ``rule_id`` refuse the whole file, with the line.

Left to others: what the expectations mean in SQL (``compile``), in Great Expectations (``oracle``), for a value (``fields``).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from json.decoder import scanstring  # type: ignore[attr-defined]  # the decoder's own, so that both read alike
from pathlib import Path
from typing import Any

from steward.errors import SuiteInvalidError
from steward.messages import N_

SEVERITIES = {"critical": "delete_candidate", "warning": "fix", "info": "warn"}
"""Great Expectations' severity → what it means here."""

_COLUMN = ("column",)
_PAIR = ("column_A", "column_B")
_BOUNDS = ("min_value", "max_value", "strict_min", "strict_max")
IGNORE = {"any_value_is_missing", "all_values_are_missing", "never"}

TYPES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "expect_column_values_to_not_be_null": (_COLUMN, ()),
    "expect_column_values_to_be_null": (_COLUMN, ()),
    "expect_column_values_to_be_unique": (_COLUMN, ()),
    "expect_compound_columns_to_be_unique": (("column_list",), ("ignore_row_if",)),
    "expect_column_values_to_be_in_set": (("column", "value_set"), ()),
    "expect_column_values_to_not_be_in_set": (("column", "value_set"), ()),
    "expect_column_values_to_be_between": (_COLUMN, _BOUNDS),
    "expect_column_values_to_match_regex": (("column", "regex"), ()),
    "expect_column_values_to_not_match_regex": (("column", "regex"), ()),
    "expect_column_value_lengths_to_be_between": (_COLUMN, _BOUNDS),
    "expect_column_pair_values_a_to_be_greater_than_b": ((*_PAIR, "ignore_row_if"), ("or_equal",)),
    "expect_column_pair_values_to_be_equal": ((*_PAIR, "ignore_row_if"), ()),
    "expect_column_pair_values_to_be_in_set": ((*_PAIR, "value_pairs_set", "ignore_row_if"), ()),
    "unexpected_rows_expectation": (("unexpected_rows_query",), ()),
    # The field's own rules; ``fields`` defines them and ``oracle`` teaches them to Great Expectations.
    "expect_column_values_to_be_valid_email": (_COLUMN, ()),
    "expect_column_values_to_not_be_disposable_email": (_COLUMN, ()),
    "expect_column_values_to_not_be_placeholder": (_COLUMN, ()),
    "expect_column_pair_values_to_not_be_placeholder": (_PAIR, ()),
    "expect_column_values_to_not_be_mojibake": (_COLUMN, ()),
    "expect_column_values_to_be_possible_date": (_COLUMN, ()),
    "expect_column_values_to_be_valid_tax_id": (_COLUMN, ()),
    "expect_column_pair_values_to_be_valid_phone": (_PAIR, ()),
    "expect_column_pair_values_to_be_valid_postcode": (_PAIR, ()),
}
"""Expectation → keywords that must be there, keywords that may. ``row_condition`` may be added to all but custom SQL."""

_PLAIN = re.compile(r"[^'\"\\\x00-\x1f`@{}]+")
_WORDS = {"type", "kwargs", "meta", "severity", "description", "notes", "id"}


@dataclass(frozen=True, slots=True)
class Expectation:
    """One rule of a suite.

    Attributes
    ----------
    severity : {'delete_candidate', 'fix', 'warn'}
    reason : mapping of str to str
        Language → sentence.
    line : int
        Where it stands in the file.
    """

    rule_id: str
    type: str
    kwargs: Mapping[str, Any]
    severity: str
    reason: Mapping[str, str]
    owner: str = ""
    line: int = 0

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it looks at, without those of a row condition."""
        named = [self.kwargs[w] for w in ("column", "column_A", "column_B") if w in self.kwargs]
        return (*named, *self.kwargs.get("column_list", ()))

    @property
    def condition_columns(self) -> tuple[str, ...]:
        """The columns of its row condition."""
        return tuple(_condition_columns(self.kwargs.get("row_condition")))


@dataclass(frozen=True, slots=True)
class Suite:
    """A checked suite. ``digest`` is sha256 over its canonical JSON, without ids and notes of tools."""

    name: str
    object: str
    tenant: str
    expectations: tuple[Expectation, ...]
    digest: str
    where: str = ""
    document: Mapping[str, Any] = field(default_factory=dict, compare=False)


def _condition_columns(node: object) -> list[str]:
    if not isinstance(node, dict):
        return []
    if "conditions" in node:
        return [c for part in node["conditions"] for c in _condition_columns(part)]
    return [node["column"]["name"]]


class _Refusal:
    def __init__(self, where: str) -> None:
        self.where = where

    def __call__(self, template: str, line: int, **facts: object) -> SuiteInvalidError:
        return SuiteInvalidError(
            template,
            next_step=N_("Mend the file; docs/reference/suites.md lists every expectation and its keywords."),
            **{"where": self.where, "line": line, **facts},
        )


def load_suite(path: Path) -> Suite:
    """Read and check one suite file.

    Raises
    ------
    SuiteInvalidError
        Unreadable, or anything in it that would not be run exactly as written.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise SuiteInvalidError(N_("The suite {where} cannot be read as UTF-8 text."), where=path.name) from None
    return parse_suite(text, where=path.name)


def parse_suite(text: str, *, where: str = "suite") -> Suite:
    """Check a suite's text; see :func:`load_suite`."""
    refuse = _Refusal(where)
    try:
        document = json.loads(text, object_pairs_hook=_no_twins, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise refuse(N_("{where}, line {line}: not JSON: {problem}"), error.lineno, problem=error.msg) from None
    except (ValueError, RecursionError) as error:
        raise refuse(N_("{where}, line {line}: not JSON: {problem}"), 1, problem=error) from None
    if not isinstance(document, dict) or not isinstance(document.get("expectations"), list) or not document["expectations"]:
        raise refuse(N_("{where}, line {line}: a suite is an object with a list of expectations that is not empty."), 1)
    unknown = sorted(set(document) - {"name", "expectations", "meta", "notes", "id", "suite_parameters"})
    if unknown:
        raise refuse(N_("{where}, line {line}: unknown word {word}."), 1, word=unknown[0])
    meta = document.get("meta")
    ours = meta.get("steward") if isinstance(meta, dict) else None
    if not isinstance(ours, dict) or not isinstance(ours.get("object"), str) or set(ours) - {"object", "tenant", "rules"}:
        raise refuse(
            N_("{where}, line {line}: meta.steward must name the object, and may name the tenant, and nothing else."), 1
        )
    if "rules" in ours and ours["rules"] != len(document["expectations"]):
        raise refuse(
            N_("{where}, line {line}: {found} of {rules} expectations are left; a tool that does not know a kind drops it."),
            1,
            found=len(document["expectations"]),
            rules=ours["rules"],
        )
    lines = _lines_of_expectations(text)
    seen: dict[str, int] = {}
    expectations = []
    for raw, line in zip(document["expectations"], lines, strict=True):
        expectation = _expectation(raw, line, refuse)
        if expectation.rule_id in seen:
            raise refuse(
                N_("{where}, line {line}: rule_id {rule} is already used in line {first}."),
                line,
                rule=expectation.rule_id,
                first=seen[expectation.rule_id],
            )
        seen[expectation.rule_id] = line
        expectations.append(expectation)
    name = document.get("name")
    if not isinstance(name, str) or not name:
        raise refuse(N_("{where}, line {line}: a suite needs a name."), 1)
    digest = hashlib.sha256(json.dumps(canonical(document), ensure_ascii=True, separators=(",", ":")).encode()).hexdigest()
    return Suite(name, ours["object"], str(ours.get("tenant", "")), tuple(expectations), digest, where, document)


def canonical(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a suite as it is formatted and hashed: words sorted, without the ids and versions that tools add."""
    expectations = [
        {key: _sorted(value) for key, value in sorted(raw.items()) if key not in ("id", "notes") and value is not None}
        for raw in document["expectations"]
    ]
    meta = {
        key: _sorted(value) for key, value in sorted(document.get("meta", {}).items()) if key != "great_expectations_version"
    }
    meta["steward"] = {key: value for key, value in meta["steward"].items() if key != "rules"}
    return {"expectations": expectations, "meta": meta, "name": document["name"]}


def format_suite(document: Mapping[str, Any]) -> str:
    """Return the one text of a suite that ``steward suite fmt`` writes."""
    return json.dumps(canonical(document), ensure_ascii=False, indent=2) + "\n"


def exported(suite: Suite) -> str:
    """Return a suite's text as a Great Expectations project holds it.

    ``meta.steward.rules`` says how many expectations it left with: Great Expectations drops kinds it was not taught without a
    word when it loads and saves, and such a file is refused on its way back.
    """
    document = canonical(suite.document)
    meta = {**document["meta"], "steward": {**document["meta"]["steward"], "rules": len(suite.expectations)}}
    whole = {**document, "id": None, "meta": meta, "notes": None}
    return json.dumps(whole, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)  # Great Expectations writes the bound 0 as 0.0; it is the same rule
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _expectation(raw: object, line: int, refuse: _Refusal) -> Expectation:
    if not isinstance(raw, dict) or set(raw) - _WORDS or not isinstance(raw.get("kwargs"), dict):
        raise refuse(N_("{where}, line {line}: an expectation has type, kwargs, meta and severity, and nothing else."), line)
    kind, kwargs, meta = raw.get("type"), raw["kwargs"], raw.get("meta")
    if not isinstance(kind, str) or kind not in TYPES:
        raise refuse(N_("{where}, line {line}: unknown expectation {type}."), line, type=kind)
    needed, allowed = TYPES[kind]
    for word in needed:
        if word not in kwargs:
            raise refuse(N_("{where}, line {line}: {type} needs the keyword {word}."), line, type=kind, word=word)
    extra = () if kind == "unexpected_rows_expectation" else ("row_condition",)
    for word in kwargs:
        if word not in (*needed, *allowed, *extra):
            raise refuse(N_("{where}, line {line}: {type} does not know the keyword {word}."), line, type=kind, word=word)
    problem = _wrong_value(kwargs)
    if problem:
        raise refuse(N_("{where}, line {line}: the keyword {word} of {type} has a wrong value."), line, type=kind, word=problem)
    if not isinstance(meta, dict) or not isinstance(meta.get("rule_id"), str) or not meta["rule_id"]:
        raise refuse(N_("{where}, line {line}: every expectation needs meta.rule_id."), line)
    reason = meta.get("reason")
    if not isinstance(reason, dict) or not {"en", "de", "zh"} <= set(reason) or not all(reason.values()):
        raise refuse(N_("{where}, line {line}: rule {rule} needs meta.reason in en, de and zh."), line, rule=meta["rule_id"])
    if raw.get("severity") not in SEVERITIES:
        raise refuse(
            N_("{where}, line {line}: rule {rule} needs a severity: critical, warning or info."), line, rule=meta["rule_id"]
        )
    return Expectation(
        meta["rule_id"], kind, kwargs, SEVERITIES[raw["severity"]], dict(reason), str(meta.get("owner", "")), line
    )


def _wrong_value(kwargs: Mapping[str, Any]) -> str:
    """Return the keyword whose value has a wrong shape, or the empty text."""
    for word, value in kwargs.items():
        match word:
            case "column" | "column_A" | "column_B" | "regex" | "unexpected_rows_query":
                good = isinstance(value, str) and bool(value)
            case "column_list":
                good = _texts(value) and len(value) > 1
            case "value_set":
                good = _texts(value)
            case "value_pairs_set":
                good = isinstance(value, list) and bool(value) and all(_texts(pair) and len(pair) == 2 for pair in value)
            case "strict_min" | "strict_max" | "or_equal":
                good = isinstance(value, bool)
            case "min_value" | "max_value":
                good = isinstance(value, (int, float, str)) and not isinstance(value, bool)
            case "ignore_row_if":
                good = value == "either_value_is_missing" if "column_A" in kwargs else value in IGNORE
            case "row_condition":
                good = _condition(value)
            case _:
                good = False
        if not good:
            return word
    if ("strict_min" in kwargs or "strict_max" in kwargs) and not ({"min_value", "max_value"} & set(kwargs)):
        return "strict_min"
    return ""


def _texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


def _condition(node: object, inside: bool = False) -> bool:
    """Say whether a row condition is one of the forms that both engines understand alike."""
    if not isinstance(node, dict):
        return False
    match node.get("type"):
        case "and" | "or" if not inside:  # Great Expectations refuses some nestings, so none is let in
            parts = node.get("conditions")
            return (
                set(node) == {"type", "conditions"}
                and isinstance(parts, list)
                and len(parts) > 1
                and all(_condition(part, inside=True) for part in parts)
            )
        case "comparison":
            return (
                set(node) == {"type", "column", "operator", "parameter"}
                and _column(node["column"])
                and node["operator"] in ("==", "!=")
                and isinstance(node["parameter"], str)
                and bool(_PLAIN.fullmatch(node["parameter"]))  # pandas would read quotes and the like as code
            )
        case "nullity":
            return set(node) == {"type", "column", "is_null"} and _column(node["column"]) and isinstance(node["is_null"], bool)
    return False


def _column(node: object) -> bool:
    return isinstance(node, dict) and set(node) == {"name"} and isinstance(node["name"], str) and bool(node["name"])


def _no_twins(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError("a word stands twice in one object")
    return out


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _lines_of_expectations(text: str) -> list[int]:
    """Return the line on which each element of the top-level list ``expectations`` begins; ``text`` is valid JSON."""
    decoder = json.JSONDecoder()

    def blank(at: int) -> int:
        while text[at] in " \t\r\n":
            at += 1
        return at

    at = blank(0) + 1
    while True:
        at = blank(at)
        if text[at] == ",":
            at = blank(at + 1)
        key, at = scanstring(text, at + 1)
        at = blank(blank(at) + 1)
        if key != "expectations":
            _value, at = decoder.raw_decode(text, at)
            continue
        lines = []
        at = blank(at + 1)
        while text[at] != "]":
            if text[at] == ",":
                at = blank(at + 1)
            lines.append(text.count("\n", 0, at) + 1)
            _value, at = decoder.raw_decode(text, at)
            at = blank(at)
        return lines
