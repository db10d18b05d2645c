"""Compiled SQL and Great Expectations name the same rows, for every supported expectation, on hostile values.

A bounded part of what ``python -m bench.oracle`` runs with at least 200 cases of every kind.
"""

from __future__ import annotations

import pytest

from steward.errors import ScoringError
from steward.scoring.validity.compile import Rule
from steward.scoring.validity.oracle import run_gx
from steward.scoring.validity.score import _frame, cross_check, find_failing
from tests.support.oracle_cases import COMPARED, compare, compare_custom, world


@pytest.mark.parametrize("seed", [1, 2])
def test_equal_sets_of_row_and_rule(seed: int) -> None:
    fired, differences = compare(seed, 12)
    assert differences == []
    assert fired == set(COMPARED)  # no kind agreed by never failing


def test_custom_sql_names_the_same_rows_on_another_engine() -> None:
    fired, differences = compare_custom(1, 60)
    assert differences == []
    assert fired >= 30


def test_a_difference_is_seen() -> None:
    """The oracle is no rubber stamp: a compiled rule that is wrong in one corner is named."""
    connection, suite, rules = world(3)
    at = next(n for n, r in enumerate(rules) if r.expectation.type == "expect_column_values_to_not_be_null")
    find_failing(connection, rules, "t", [])
    column = rules[at].expectation.kwargs["column"]
    rules[at] = Rule(rules[at].expectation, f"({rules[at].predicate}) OR coalesce({column} = '', false)")
    assert cross_check(connection, suite, rules, "t", None) == [rules[at].expectation.rule_id]


def test_a_rule_that_raises_is_an_error_and_no_failure() -> None:
    connection, suite, rules = world(4)
    find_failing(connection, rules, "t", [])
    cross_check(connection, suite, rules, "t", 5)
    frame = _frame(connection, rules, ["a", "b", "c"]).drop(columns="a")
    with pytest.raises(ScoringError, match="could not run"):
        run_gx(suite, [r for r in rules if r.expectation.columns == ("a",)], frame)
