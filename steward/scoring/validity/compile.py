"""From a suite to DuckDB SQL: one scan that gives, per record and line, the rules it fails.

Meaning is Great Expectations' on pandas, decided explicitly per rule: a NULL passes everything but ``not_be_null``; the
empty text is a value. Every column is text; a bound that is a number or an ISO date casts the column, and a value that
cannot be cast fails the rule. Regular expressions are searched, and only the part that Python and RE2 read alike is let in.

Left to others: the suite (``suite``), the field's own rules (``fields``), the oracle (``oracle``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from steward.errors import SuiteInvalidError
from steward.messages import N_
from steward.scoring.validity.fields import FIELD_RULES
from steward.scoring.validity.suite import Expectation, Suite
from steward.store.sql import literal, quote

_IDENTIFIER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_SELECT = re.compile(r"^\s*(select|with)\b", re.IGNORECASE)
_FORBIDDEN = re.compile(
    r"\b(insert|update|delete|create|drop|alter|attach|detach|copy|export|import|install|load|pragma|set|call|checkpoint|"
    r"read_[a-z_]+|parquet_scan|glob|getenv|query|query_table)\b|;|--|/\*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A compiled expectation.

    Attributes
    ----------
    expectation : Expectation
    predicate : str
        SQL over a row, true where the rule fails, never NULL. Set rules refer to counts in ``twice``.
    twice : tuple of (str, tuple of str, str)
        Name of a count, the quoted columns whose values stand together more than once, and which rows are counted; the
        count is NULL for a row whose values stand once.
    query : str
        For custom SQL: the statement that returns ``_id`` of failing records; then ``predicate`` is empty.
    """

    expectation: Expectation
    predicate: str
    twice: tuple[tuple[str, tuple[str, ...], str], ...] = ()
    query: str = ""


def compile_suite(suite: Suite, columns: Sequence[str], tables: Mapping[str, str]) -> list[Rule]:
    """Return the rules of a suite as SQL.

    Parameters
    ----------
    columns : sequence of str
        Columns of the object's table.
    tables : mapping of str to str
        Object → quoted table name, for custom SQL: ``{batch}`` is the suite's object, ``{contact}`` another one.

    Raises
    ------
    SuiteInvalidError
        A column the table does not have, a regular expression that the two engines could read differently, custom SQL
        that is not one SELECT.
    """
    known = set(columns)
    rules = []
    for number, expectation in enumerate(suite.expectations):
        for column in (*expectation.columns, *expectation.condition_columns):
            if column not in known:
                raise _refuse(suite, expectation, N_("{where}, line {line}: {object} has no column {column}."), column=column)
        rules.append(_rule(suite, expectation, number, tables))
    return rules


def scan_sql(rules: Sequence[Rule], table: str) -> str:
    """Return one statement that gives ``_id, _line, failed`` (list of rule numbers) of live records that fail a rule."""
    # Values that stand more than once are few, so joining them costs a tenth of counting in a window over every row.
    counts, joins = "", ""
    for name, columns, where in (twice for rule in rules for twice in rule.twice):
        alias = quote(f"d{name}")
        keys = ", ".join(f"{column} AS c{n}" for n, column in enumerate(columns))
        same = " AND ".join(f"s.{column} IS NOT DISTINCT FROM {alias}.c{n}" for n, column in enumerate(columns))
        counts += f", {alias}.n AS {quote(name)}"
        joins += (
            f" LEFT JOIN (SELECT {keys}, count(*) AS n FROM {table} WHERE NOT _deleted AND ({where}) "  # noqa: S608 - quoted
            f"GROUP BY {', '.join(columns)} HAVING count(*) > 1) {alias} ON {same}"
        )
    source = f"(SELECT s.*{counts} FROM (SELECT * FROM {table} WHERE NOT _deleted) s{joins})"  # noqa: S608 - quoted names only
    row_rules = [(n, r) for n, r in enumerate(rules) if r.predicate]
    if not row_rules:
        return f"SELECT _id, _line, []::INTEGER[] AS failed FROM {table} WHERE false"  # noqa: S608
    cases = ", ".join(f"CASE WHEN {rule.predicate} THEN {n} END" for n, rule in row_rules)
    anything = " OR ".join(f"({rule.predicate})" for _n, rule in row_rules)
    failed = f"list_filter([{cases}], lambda x: x IS NOT NULL)"
    return f"SELECT _id, _line, {failed} AS failed FROM {source} WHERE {anything}"  # noqa: S608


def _refuse(suite: Suite, expectation: Expectation, template: str, **facts: object) -> SuiteInvalidError:
    return SuiteInvalidError(
        template,
        next_step=N_("Mend the file; docs/reference/suites.md lists every expectation and its keywords."),
        **{"where": suite.where, "line": expectation.line, "object": suite.object, **facts},
    )


def _rule(suite: Suite, expectation: Expectation, number: int, tables: Mapping[str, str]) -> Rule:
    kwargs, kind = expectation.kwargs, expectation.type
    condition = condition_sql(kwargs["row_condition"]) if "row_condition" in kwargs else ""

    def ready(predicate: str, *twice: tuple[str, tuple[str, ...], str]) -> Rule:
        whole = f"coalesce({predicate}, false)"
        return Rule(expectation, f"({condition}) AND {whole}" if condition else whole, twice)

    if kind in FIELD_RULES:
        first = quote(expectation.columns[0])
        second = f", coalesce({quote(expectation.columns[1])}, '')" if len(expectation.columns) == 2 else ", ''"
        failing = f"SELECT (a, b) FROM {quote(failing_table(number))}"  # noqa: S608
        return ready(f"{first} IS NOT NULL AND ({first}{second}) IN ({failing})")
    if kind == "unexpected_rows_expectation":
        return Rule(expectation, "", (), _custom(suite, expectation, tables))
    if kind == "expect_compound_columns_to_be_unique":
        names = [quote(c) for c in kwargs["column_list"]]
        missing = {"any_value_is_missing": " OR ", "all_values_are_missing": " AND ", "never": ""}[
            kwargs.get("ignore_row_if", "all_values_are_missing")
        ]
        present = "NOT (" + missing.join(f"{n} IS NULL" for n in names) + ")" if missing else "true"
        counted = f"({condition or 'true'}) AND {present}"
        return ready(f"{present} AND {quote(f'_w{number}')} > 1", (f"_w{number}", tuple(names), counted))
    if "column_A" in kwargs:
        a, b = quote(kwargs["column_A"]), quote(kwargs["column_B"])
        match kind:
            case "expect_column_pair_values_a_to_be_greater_than_b":
                return ready(f"{a} {'<' if kwargs.get('or_equal') else '<='} {b}")
            case "expect_column_pair_values_to_be_equal":
                return ready(f"{a} <> {b}")
            case _:
                pairs = ", ".join(f"({literal(x)}, {literal(y)})" for x, y in kwargs["value_pairs_set"])
                return ready(f"{a} IS NOT NULL AND {b} IS NOT NULL AND ({a}, {b}) NOT IN ({pairs})")
    column = quote(kwargs["column"])
    match kind:
        case "expect_column_values_to_not_be_null":
            return ready(f"{column} IS NULL")
        case "expect_column_values_to_be_null":
            return ready(f"{column} IS NOT NULL")
        case "expect_column_values_to_be_unique":
            counted = f"({condition or 'true'}) AND {column} IS NOT NULL"
            return ready(f"{column} IS NOT NULL AND {quote(f'_w{number}')} > 1", (f"_w{number}", (column,), counted))
        case "expect_column_values_to_be_in_set":
            return ready(f"{column} NOT IN ({_literals(kwargs['value_set'])})")
        case "expect_column_values_to_not_be_in_set":
            return ready(f"{column} IN ({_literals(kwargs['value_set'])})")
        case "expect_column_values_to_match_regex":
            return ready(f"NOT regexp_matches({column}, {literal(_regex(suite, expectation))})")
        case "expect_column_values_to_not_match_regex":
            return ready(f"regexp_matches({column}, {literal(_regex(suite, expectation))})")
        case "expect_column_value_lengths_to_be_between":
            return ready(_bounds(suite, expectation, f"length({column})"))
    cast = bound_kind(kwargs)
    if cast == "mixed":
        raise _refuse(suite, expectation, N_("{where}, line {line}: both bounds must be numbers, or both ISO dates."))
    typed = f"TRY_CAST({column} AS {'DOUBLE' if cast == 'number' else 'TIMESTAMP'})"
    return ready(f"{column} IS NOT NULL AND ({typed} IS NULL OR isnan({typed}) OR {_bounds(suite, expectation, typed)})"
                 if cast == "number" else f"{column} IS NOT NULL AND ({typed} IS NULL OR {_bounds(suite, expectation, typed)})")  # fmt: skip


def failing_table(number: int) -> str:
    """Name of the temporary table with the distinct values that fail a field rule."""
    return f"_steward_failing_{number}"


def bound_kind(kwargs: Mapping[str, Any]) -> str:
    """Return ``number``, ``date`` or ``mixed`` for the bounds of an expectation."""
    bounds = [kwargs[w] for w in ("min_value", "max_value") if kwargs.get(w) is not None]
    if bounds and all(isinstance(b, (int, float)) for b in bounds):
        return "number"
    try:
        for bound in bounds:
            datetime.fromisoformat(bound)
    except (TypeError, ValueError):
        return "mixed"
    return "date" if bounds else "mixed"


def _bounds(suite: Suite, expectation: Expectation, value: str) -> str:
    kwargs = expectation.kwargs
    parts = []
    for word, strict, outside in (("min_value", "strict_min", "<"), ("max_value", "strict_max", ">")):
        bound = kwargs.get(word)
        if bound is None:
            continue
        text = repr(bound) if isinstance(bound, (int, float)) else f"TIMESTAMP {literal(bound)}"
        parts.append(f"{value} {outside}{'=' if kwargs.get(strict) else ''} {text}")
    if not parts:
        raise _refuse(suite, expectation, N_("{where}, line {line}: give min_value, max_value or both."))
    return "(" + " OR ".join(parts) + ")"


def _literals(values: Sequence[str]) -> str:
    return ", ".join(literal(v) for v in values)


def condition_sql(node: Mapping[str, Any]) -> str:
    """Return a checked row condition as SQL that is true or false and never NULL."""
    if "conditions" in node:
        return "(" + f" {node['type'].upper()} ".join(condition_sql(part) for part in node["conditions"]) + ")"
    column = quote(node["column"]["name"])
    if node["type"] == "nullity":
        return f"({column} IS {'' if node['is_null'] else 'NOT '}NULL)"
    return f"({column} IS {'NOT ' if node['operator'] == '==' else ''}DISTINCT FROM {literal(node['parameter'])})"


def _regex(suite: Suite, expectation: Expectation) -> str:
    """Return the regular expression for RE2, or refuse what Python and RE2 read differently."""
    pattern = expectation.kwargs["regex"]
    try:
        re.compile(pattern)
        out, at, in_class = [], 0, False
        while at < len(pattern):
            char = pattern[at]
            if char == "\\":
                following = pattern[at + 1]
                if following == "Z":
                    out.append(r"\z")
                elif following in "dDwWsSbBAzkgpPQEC" or following.isdigit():
                    raise ValueError(f"\\{following} has two readings; write the characters out")
                else:
                    out.append(char + following)
                at += 2
                continue
            if in_class:
                in_class = char != "]" or pattern[at - 1] == "["
                if pattern[at : at + 2] == "[:":
                    raise ValueError("[: has two readings")
            elif char == "[":
                in_class = True
            elif char == "$":
                out.append(r"(?:\n?\z)")
                at += 1
                continue
            elif char == "(" and pattern[at + 1 : at + 2] == "?" and pattern[at + 1 : at + 3] != "?:":
                raise ValueError("of the (?…) forms only (?:…) is read alike")
            out.append(char)
            at += 1
    except (re.error, ValueError, IndexError) as error:
        raise _refuse(
            suite, expectation, N_("{where}, line {line}: the regular expression cannot be used: {problem}"), problem=error
        ) from None
    return "".join(out)


def _custom(suite: Suite, expectation: Expectation, tables: Mapping[str, str]) -> str:
    """Return custom SQL with its tables filled in; it must be one SELECT that names nothing but mapped objects."""
    query = expectation.kwargs["unexpected_rows_query"]
    bare = re.sub(r"'(?:[^']|'')*'", "''", query)
    if not _SELECT.match(query) or _FORBIDDEN.search(bare):
        raise _refuse(suite, expectation, N_("{where}, line {line}: custom SQL must be one SELECT and nothing else."))

    def fill(found: re.Match[str]) -> str:
        name = suite.object if found[1] == "batch" else found[1]
        if name not in tables:
            raise _refuse(suite, expectation, N_("{where}, line {line}: the snapshot has no object {name}."), name=name)
        return f"(SELECT * FROM {tables[name]} WHERE NOT _deleted)"  # noqa: S608 - tables the store named

    return _IDENTIFIER.sub(fill, query)
