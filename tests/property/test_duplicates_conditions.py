"""Conditions against DuckDB, whose SQL they are written in: the same truth for every pair of plain values."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steward.scoring.duplicates.conditions import NotUnderstoodError, holds, parse

VALUE = (
    st.none()
    | st.text("abAB .@-1", max_size=7)
    | st.sampled_from(["2020-01-02", "2020-02-02", "2019-12-30", "anna", "annas", "nana"])
)

VALUES = (
    "a_l", "a_r", "b_l", "lower(a_l)", "upper(b_r)", "trim(a_r)", "substr(a_l, 1, 2)", "left(b_l, 3)", "right(a_r, 2)", "a_l || 'x'",
    "replace(b_r, 'a', 'b')", "coalesce(a_l, b_l)", "nullif(a_r, '')", "concat(a_l, b_l)", "regexp_extract(a_l, '^[^@]+', 0)", "'anna'",
    "regexp_replace(b_l, '[ab]', 'c')",
)  # fmt: skip
NUMBERS = (
    "length(a_l)", "levenshtein(a_l, a_r)", "damerau_levenshtein(a_l, b_r)", "jaro_similarity(a_l, a_r)", "jaro_winkler_similarity(b_l, b_r)", "1",
    "0.8", "abs(length(a_l) - length(b_r))", "length(a_l) * 2 - 1", "epoch(try_strptime(a_l, '%Y-%m-%d'))", "date_diff('day', try_strptime(a_l, "
    "'%Y-%m-%d'), try_strptime(a_r, '%Y-%m-%d'))", "CAST(length(b_l) AS DOUBLE) / 3",
)  # fmt: skip

_TRUTH = st.one_of(
    st.builds("{} {} {}".format, st.sampled_from(VALUES), st.sampled_from(["=", "<>", "<", ">="]), st.sampled_from(VALUES)),
    st.builds("{} {} {}".format, st.sampled_from(NUMBERS), st.sampled_from(["=", "<=", ">", ">="]), st.sampled_from(NUMBERS)),
    st.builds("{} IS {}NULL".format, st.sampled_from(VALUES + NUMBERS), st.sampled_from(["", "NOT "])),
    st.builds("{} BETWEEN {} AND {}".format, st.sampled_from(NUMBERS), st.sampled_from(NUMBERS), st.sampled_from(NUMBERS)),
)
CONDITION = st.recursive(
    _TRUTH,
    lambda inner: st.one_of(
        st.builds("({} AND {})".format, inner, inner),
        st.builds("({} OR {})".format, inner, inner),
        st.builds("NOT ({})".format, inner),
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


@given(condition=CONDITION, rows=st.lists(st.tuples(VALUE, VALUE, VALUE, VALUE), min_size=1, max_size=8))
@settings(max_examples=250, deadline=None)
def test_a_condition_holds_where_duckdb_says_so(
    database: duckdb.DuckDBPyConnection, condition: str, rows: list[tuple[str | None, ...]]
) -> None:
    names = ("a_l", "a_r", "b_l", "b_r")
    values = ", ".join(
        "(" + ", ".join("NULL::VARCHAR" if v is None else "'" + v.replace("'", "''") + "'" for v in row) + f", {i})"
        for i, row in enumerate(rows)
    )
    expected = database.execute(
        f"SELECT coalesce(({condition}), false) FROM (VALUES {values}) t(a_l, a_r, b_l, b_r, i) ORDER BY i"
    ).fetchall()
    env = {name: np.array([row[k] for row in rows], object) for k, name in enumerate(names)}
    assert holds(parse(condition), env, len(rows)).tolist() == [bool(e[0]) for e in expected]


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)*b", "((x*)y)+z", "a**", "(?P<", "(.*a){20}"])
def test_a_pattern_that_could_run_away_is_refused(pattern: str) -> None:
    with pytest.raises(NotUnderstoodError, match="regular expression"):
        parse(f"regexp_extract(a_l, '{pattern}', 0) = 'x'")


def test_the_patterns_that_splink_writes_are_taken() -> None:
    for pattern in ("^[^@]+", "@([^@]+)$", "^[A-Za-z]{1,2}[0-9][A-Za-z0-9]? [0-9]", "^[A-Za-z]{1,2}", "^(.)"):
        parse(f"NULLIF(regexp_extract(a_l, '{pattern}', 0), '') = a_r")
