"""Compiled SQL and Great Expectations on pandas name the same rows, for every supported expectation, on hostile values.

Great Expectations takes a good second to validate a batch whatever its size, so each example is one batch that carries
several hundred generated rows, and the row conditions are generated beside the values: every (rule, condition, rows) of it
is a case of its own.
"""

from __future__ import annotations

import json
import random
from typing import Any

import duckdb
import pytest

from steward.errors import ScoringError
from steward.scoring.validity import parse_suite
from steward.scoring.validity.compile import Rule, compile_suite
from steward.scoring.validity.oracle import run_gx
from steward.scoring.validity.score import _frame, cross_check, find_failing
from steward.scoring.validity.suite import TYPES

REASON = {"en": "x", "de": "x", "zh": "x"}
VALUES = [None, "", " ", "x", "X", "xx", "a@b.de", "a@mailinator.com", "test", "Müller", "MÃ¼ller", "ß", "ẞ", "İ", "𠀀", "e\u0301", "é",
          "NaN", "nan", "NULL", "None", "0", "-0", "1", "01", "1.0", "2", "2.5", "1e3", "inf", " 3", "3 ", "-1", "9" * 20, "2020-01-01",
          "2020-02-30", "1999-12-31 23:59:59", "2031-01-01T00:00:00", "\n", "x\n", "a\tb", "'", '"', "%", "\\", "$", "^x$", "DE", "US",
          "030 123456", "12345", "DE136695976", "DE136695977", "DE136695978", "\u200b", "\ufeff", "مرحبا", "测试"]  # fmt: skip
KEYWORDS: dict[str, list[dict[str, Any]]] = {
    "value_set": [{"value_set": ["x", "Müller", "1"]}, {"value_set": [""]}, {"value_set": ["'", '"', "NaN"]}],
    "regex": [{"regex": r} for r in ("^x", "x$", "^[a-z]+$", "[0-9]{2,}", "ü|ß", "^$", r"^\Z", ".", "^.$", "[^a-z]", "(?:x|1)+", r"\.")],
    "between": [{"min_value": 1}, {"max_value": 2.5}, {"min_value": 0, "max_value": 3, "strict_min": True, "strict_max": True},
                {"min_value": "2000-01-01"}, {"max_value": "2020-01-01"}, {"min_value": "2020-01-01", "max_value": "2025-01-01"}],
    "lengths": [{"min_value": 1}, {"max_value": 2}, {"min_value": 1, "max_value": 3, "strict_min": True}],
    "compound": [{"ignore_row_if": w} for w in ("any_value_is_missing", "all_values_are_missing", "never")] + [{}],
}  # fmt: skip


def _condition(rnd: random.Random, depth: int = 0) -> dict[str, Any]:
    column = {"name": rnd.choice("abc")}
    kind = rnd.randrange(4 if depth < 1 else 2)
    if kind == 0:
        return {
            "type": "comparison",
            "column": column,
            "operator": rnd.choice(["==", "!="]),
            "parameter": rnd.choice(["x", "X", "test", "Müller", "1", "NaN", "2.5", "DE", "测试"]),
        }
    if kind == 1:
        return {"type": "nullity", "column": column, "is_null": rnd.random() < 0.5}
    return {"type": "and" if kind == 2 else "or", "conditions": [_condition(rnd, depth + 1) for _ in range(2)]}


def _kwargs(rnd: random.Random, kind: str) -> dict[str, Any]:
    needed, _allowed = TYPES[kind]
    out: dict[str, Any] = {}
    if "column" in needed:
        out["column"] = rnd.choice("abc")
    if "column_A" in needed:
        out["column_A"], out["column_B"] = rnd.sample("abc", 2)
    if "column_list" in needed:
        out |= {"column_list": rnd.sample("abc", rnd.choice([2, 3])), **rnd.choice(KEYWORDS["compound"])}
    if "ignore_row_if" in needed:
        out["ignore_row_if"] = "either_value_is_missing"
    if "value_pairs_set" in needed:
        out["value_pairs_set"] = [[rnd.choice(VALUES[1:]), rnd.choice(VALUES[1:])] for _ in range(3)]
    if kind.endswith("greater_than_b") and rnd.random() < 0.5:
        out["or_equal"] = rnd.random() < 0.5
    for word in ("value_set", "regex"):
        if word in needed:
            out |= rnd.choice(KEYWORDS[word])
    if kind.endswith("lengths_to_be_between"):
        out |= rnd.choice(KEYWORDS["lengths"])
    elif kind.endswith("_between"):
        out |= rnd.choice(KEYWORDS["between"])
    if rnd.random() < 0.5:
        out["row_condition"] = _condition(rnd)
    return out


COMPARED = [k for k in TYPES if k != "unexpected_rows_expectation"]
PER_TYPE = 12
SEEDS = (1, 2)


def _world(seed: int) -> tuple[duckdb.DuckDBPyConnection, Any, list[Rule]]:
    rnd = random.Random(seed)
    expectations = [
        {"type": kind, "kwargs": _kwargs(rnd, kind), "meta": {"rule_id": f"{kind}.{n}", "reason": REASON}, "severity": "info"}
        for kind in COMPARED
        for n in range(PER_TYPE)
    ]
    suite = parse_suite(json.dumps({"name": "s", "meta": {"steward": {"object": "o"}}, "expectations": expectations}))
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE t(_id VARCHAR, _digest VARCHAR, _line BIGINT, _deleted BOOLEAN, a VARCHAR, b VARCHAR, c VARCHAR)"
    )
    few = rnd.sample(VALUES, 12)
    rows = [(str(i), f"{i:08d}", i, i % 17 == 0, rnd.choice(VALUES), rnd.choice(few), rnd.choice(few)) for i in range(400)]
    connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    return connection, suite, compile_suite(suite, ["a", "b", "c"], {"o": "t"})


@pytest.mark.parametrize("seed", SEEDS)
def test_equal_sets_of_row_and_rule(seed: int) -> None:
    connection, suite, rules = _world(seed)
    problems: list[str] = []
    assert find_failing(connection, rules, "t", problems) > 0
    assert problems == []
    assert cross_check(connection, suite, rules, "t", None) == []
    fired = {
        rules[n].expectation.type for (n,) in connection.execute("SELECT DISTINCT unnest(failed) FROM _steward_ours").fetchall()
    }
    assert fired == set(COMPARED)  # no type agreed by never failing


def test_a_difference_is_seen() -> None:
    """The oracle is no rubber stamp: a compiled rule that is wrong in one corner is named."""
    connection, suite, rules = _world(3)
    at = next(n for n, r in enumerate(rules) if r.expectation.type == "expect_column_values_to_not_be_null")
    find_failing(connection, rules, "t", [])
    column = rules[at].expectation.kwargs["column"]
    rules[at] = Rule(rules[at].expectation, f"({rules[at].predicate}) OR coalesce({column} = '', false)")
    assert cross_check(connection, suite, rules, "t", None) == [rules[at].expectation.rule_id]


def test_a_rule_that_raises_is_an_error_and_no_failure() -> None:
    connection, suite, rules = _world(4)
    find_failing(connection, rules, "t", [])
    cross_check(connection, suite, rules, "t", 5)
    frame = _frame(connection, rules, ["a", "b", "c"]).drop(columns="a")
    with pytest.raises(ScoringError, match="could not run"):
        run_gx(suite, [r for r in rules if r.expectation.columns == ("a",)], frame)
