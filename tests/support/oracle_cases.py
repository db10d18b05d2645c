"""Generated rules over hostile values: what compiled SQL and Great Expectations must agree on.

Every (rule, row condition, rows) is a case of its own; many go into one batch, since Great Expectations takes a second for
each batch whatever its size. Custom SQL, which its pandas engine cannot run, is compared with its SQLite engine.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import duckdb

from steward.scoring.validity import parse_suite
from steward.scoring.validity.compile import Rule, compile_suite
from steward.scoring.validity.score import cross_check, find_failing
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
CUSTOM = "unexpected_rows_expectation"


def world(seed: int, per_type: int = 12) -> tuple[duckdb.DuckDBPyConnection, Any, list[Rule]]:
    """Return a table ``t`` of hostile values with a suite of ``per_type`` generated rules of every kind but custom SQL."""
    rnd = random.Random(seed)
    expectations = [
        {"type": kind, "kwargs": _kwargs(rnd, kind), "meta": {"rule_id": f"{kind}.{n}", "reason": REASON}, "severity": "info"}
        for kind in COMPARED
        for n in range(per_type)
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


def compare(seed: int, per_type: int) -> tuple[set[str], list[str]]:
    """Run one batch through both; return the kinds that failed at least one row, and the rules on which they differ."""
    connection, suite, rules = world(seed, per_type)
    problems: list[str] = []
    find_failing(connection, rules, "t", problems)
    problems += cross_check(connection, suite, rules, "t", None)
    numbers = connection.execute("SELECT DISTINCT unnest(failed) FROM _steward_ours").fetchall()
    connection.close()
    return {rules[n].expectation.type for (n,) in numbers}, problems


def _query(rnd: random.Random) -> str:
    """One SELECT over the object and another one, in the dialect that DuckDB and SQLite share."""
    x, y = rnd.sample("abc", 2)
    value = rnd.choice(["x", "Müller", "1", "DE", "", "''", "测试"])
    return rnd.choice(
        [
            f"SELECT t._id FROM {{batch}} t LEFT JOIN {{other}} p ON p._id = t.{x} WHERE t.{x} IS NOT NULL AND p._id IS NULL",
            f"SELECT _id FROM {{batch}} WHERE {x} = '{value}'",
            f"SELECT _id FROM {{batch}} WHERE {x} <> '{value}' OR {y} IS NULL",
            f"SELECT _id FROM {{batch}} WHERE {x} > {y}",
            f"SELECT _id FROM {{batch}} WHERE {x} IN (SELECT {y} FROM {{batch}} WHERE {y} <> '{value}')",
            f"SELECT _id FROM {{batch}} WHERE length({x}) > {rnd.randrange(6)} AND {y} IS NOT NULL",
            f"SELECT t._id FROM {{batch}} t JOIN (SELECT {x}, count(*) AS n FROM {{batch}} GROUP BY {x}) d ON d.{x} = t.{x} WHERE d.n > {rnd.randrange(1, 9)}",
            f"WITH o AS (SELECT _id FROM {{other}} WHERE kind = '{rnd.choice('mn')}') SELECT _id FROM {{batch}} WHERE {x} IN (SELECT _id FROM o)",
            f"SELECT _id FROM {{batch}} WHERE coalesce({x}, {y}, '{value}') = '{value}'",
            f"SELECT _id FROM {{batch}} WHERE upper({x}) = upper({y}) UNION SELECT _id FROM {{batch}} WHERE substr({x}, 1, 1) = '{rnd.choice('x1')}'",
        ]
    )


def compare_custom(seed: int, cases: int) -> tuple[int, list[str]]:
    """Run generated custom SQL through DuckDB and Great Expectations on SQLite; return how many named a row, and differences."""
    rnd = random.Random(seed)
    few = [
        "x",
        "X",
        "xx",
        "Müller",
        "1",
        "2",
        "10",
        "DE",
        "de",
        "",
        " ",
        "测试",
        "'",
        None,
    ]  # upper() of the two agrees on these
    rows = [(str(i), *(rnd.choice(few) for _ in "abc")) for i in range(150)]
    others = [(v, rnd.choice("mn")) for v in ("x", "1", "DE", "测试")]
    expectations = [
        {"type": CUSTOM, "kwargs": {"unexpected_rows_query": _query(rnd)}, "meta": {"rule_id": f"q{n}", "reason": REASON}, "severity": "info"}
        for n in range(cases)
    ]  # fmt: skip
    suite = parse_suite(json.dumps({"name": "s", "meta": {"steward": {"object": "o"}}, "expectations": expectations}))
    connection = duckdb.connect()
    connection.execute("CREATE TABLE t(_id VARCHAR, _line BIGINT, _deleted BOOLEAN, a VARCHAR, b VARCHAR, c VARCHAR)")
    connection.executemany("INSERT INTO t VALUES (?, 0, false, ?, ?, ?)", rows)
    connection.execute("CREATE TABLE p(_id VARCHAR, _deleted BOOLEAN, kind VARCHAR)")
    connection.executemany("INSERT INTO p VALUES (?, false, ?)", others)
    rules = compile_suite(suite, ["a", "b", "c"], {"o": "t", "other": "p"})
    problems: list[str] = []
    find_failing(connection, rules, "t", problems)
    ours: dict[str, set[str]] = {r.expectation.rule_id: set() for r in rules}
    for number, id in connection.execute("SELECT unnest(failed), _id FROM _steward_failed").fetchall():
        ours[rules[number].expectation.rule_id].add(id)
    connection.close()
    theirs = _on_sqlite(rows, others, expectations)
    return sum(bool(ids) for ids in ours.values()), problems + sorted(r for r in ours if ours[r] != theirs.get(r))


def _on_sqlite(rows: list[Any], others: list[Any], expectations: list[dict[str, Any]]) -> dict[str, set[str]]:
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    given = [
        {**e, "kwargs": {"unexpected_rows_query": e["kwargs"]["unexpected_rows_query"].replace("{other}", "p")}}
        for e in expectations
    ]
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stderr(io.StringIO()):
        path = Path(name) / "o.sqlite"
        with contextlib.closing(sqlite3.connect(path)) as db, db:
            db.execute("CREATE TABLE t(_id text, a text, b text, c text)")
            db.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows)
            db.execute("CREATE TABLE p(_id text, kind text)")
            db.executemany("INSERT INTO p VALUES (?, ?)", others)
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        asset = context.data_sources.add_sqlite("s", connection_string=f"sqlite:///{path}").add_table_asset("t", table_name="t")
        batch = asset.add_batch_definition_whole_table("whole").get_batch()
        result = batch.validate(gx.ExpectationSuite(name="s", expectations=given), result_format="COMPLETE")
        found = {}
        for part in result.results:
            assert not part.exception_info.get("raised_exception"), part.exception_info
            rule = part.expectation_config.meta["rule_id"]
            found[rule] = {row["_id"] for row in part.result["details"]["unexpected_rows"]}
    return found
