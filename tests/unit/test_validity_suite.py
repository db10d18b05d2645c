"""Suites that would not run exactly as written are refused, with file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from steward.errors import SuiteInvalidError
from steward.scoring.validity import Suite, format_suite, load_suite, parse_suite
from steward.scoring.validity.compile import compile_suite
from steward.scoring.validity.oracle import load_in_gx

FOLDER = Path(__file__).resolve().parents[2] / "expectations"
REASON = {"en": "wrong", "de": "falsch", "zh": "错误"}


def one(type: str = "expect_column_values_to_not_be_null", rule: str = "r1", **kwargs: Any) -> dict[str, Any]:
    return {
        "type": type,
        "kwargs": kwargs or {"column": "a"},
        "meta": {"rule_id": rule, "reason": REASON},
        "severity": "warning",
    }


def text(*expectations: dict[str, Any], **more: Any) -> str:
    document = {"name": "s", "meta": {"steward": {"object": "o"}}, "expectations": list(expectations), **more}
    return json.dumps(document, ensure_ascii=False, indent=1)


def less(expectation: dict[str, Any], *path: str) -> dict[str, Any]:
    copy = json.loads(json.dumps(expectation))
    inner = copy
    for word in path[:-1]:
        inner = inner[word]
    del inner[path[-1]]
    return copy


PAIR = {"column_A": "a", "column_B": "b"}


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (one("expect_column_values_to_be_cool"), "unknown expectation expect_column_values_to_be_cool"),
        (one("expect_table_row_count_to_equal", value=3), "unknown expectation"),
        (one(column="a", mostly=0.9), "does not know the keyword mostly"),
        (one(colunm="a"), "needs the keyword column"),
        (one("expect_column_values_to_be_in_set", column="a"), "needs the keyword value_set"),
        (one("expect_column_values_to_be_in_set", column="a", value_set=[]), "keyword value_set .* wrong value"),
        (one("expect_column_values_to_be_in_set", column="a", value_set=[1]), "keyword value_set .* wrong value"),
        (one("expect_compound_columns_to_be_unique", column_list=["a"]), "keyword column_list"),
        (one("expect_column_pair_values_to_be_equal", **PAIR), "needs the keyword ignore_row_if"),
        (one("expect_column_pair_values_to_be_equal", **PAIR, ignore_row_if="neither"), "keyword ignore_row_if"),
        (one(column="a", row_condition="b == 1"), "keyword row_condition"),
        (one(column="a", row_condition={"type": "comparison", "column": {"name": "b"}, "operator": "<", "parameter": "1"}), "row_condition"),
        (less(one(), "meta", "rule_id"), "needs meta.rule_id"),
        (less(one(), "meta", "reason", "zh"), "rule r1 needs meta.reason"),
        ({**one(), "severity": "fatal"}, "rule r1 needs a severity"),
        (less(one(), "severity"), "rule r1 needs a severity"),
        ({**one(), "kwarg": {}}, "nothing else"),
        (one(rule="good"), "rule_id good is already used in line 9"),
    ],
)  # fmt: skip
def test_refused_with_file_and_line(bad: dict[str, Any], says: str) -> None:
    with pytest.raises(SuiteInvalidError, match=says) as caught:
        parse_suite(text(one(rule="good"), bad), where="contact.json")
    assert "contact.json, line 24:" in str(caught.value)


@pytest.mark.parametrize(
    ("whole", "says"),
    [
        ("{", "line 1: not JSON"),
        ('{"name": "s",\n"name": "t"}', "a word stands twice"),
        (text(one()).replace('"warning"', "NaN"), "no JSON number"),
        (text(), "not empty"),
        (text(one(), surprise=1), "unknown word surprise"),
        (text(one(), meta={}), "meta.steward"),
        (text(one(), meta={"steward": {"object": "o", "tennant": "x"}}), "meta.steward"),
        (text(one(), name=""), "needs a name"),
    ],
)
def test_refused_whole(whole: str, says: str) -> None:
    with pytest.raises(SuiteInvalidError, match=says):
        parse_suite(whole, where="s.json")


@pytest.mark.parametrize(
    ("expectation", "says"),
    [
        (one(column="gone"), "o has no column gone"),
        (one(column="a", row_condition={"type": "nullity", "column": {"name": "gone"}, "is_null": True}), "no column gone"),
        (one("expect_column_values_to_match_regex", column="a", regex="("), "regular expression"),
        (one("expect_column_values_to_match_regex", column="a", regex=r"\d"), "two readings"),
        (one("expect_column_values_to_match_regex", column="a", regex="(?=x)"), "only"),
        (one("expect_column_values_to_be_between", column="a"), "bounds"),
        (one("expect_column_values_to_be_between", column="a", min_value="soon"), "bounds"),
        (one("expect_column_values_to_be_between", column="a", min_value=1, max_value="2020-01-01"), "bounds"),
        (one("unexpected_rows_expectation", unexpected_rows_query="DELETE FROM {batch}"), "one SELECT"),
        (one("unexpected_rows_expectation", unexpected_rows_query="SELECT _id FROM {batch}; DROP TABLE x"), "one SELECT"),
        (one("unexpected_rows_expectation", unexpected_rows_query="SELECT * FROM read_csv('/etc/passwd')"), "one SELECT"),
        (one("unexpected_rows_expectation", unexpected_rows_query="SELECT _id FROM {nowhere}"), "no object nowhere"),
    ],
)  # fmt: skip
def test_refused_against_the_table(expectation: dict[str, Any], says: str) -> None:
    suite = parse_suite(text(expectation), where="s.json")
    with pytest.raises(SuiteInvalidError, match=says):
        compile_suite(suite, ["a", "b"], {"o": "t"})


def test_every_shipped_suite_is_canonical_and_loads_in_great_expectations() -> None:
    suites = [load_suite(path) for path in sorted(FOLDER.rglob("*.json"))]
    assert len(suites) >= 20
    assert len({(s.object, s.tenant) for s in suites}) == len(suites)
    for path, suite in zip(sorted(FOLDER.rglob("*.json")), suites, strict=True):
        assert path.read_text(encoding="utf-8") == format_suite(suite.document), path.name
        assert len(load_in_gx(suite).expectations) == len(suite.expectations)


def test_what_great_expectations_drops_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It drops an unknown type without a word; here one is smuggled past our own list."""
    suite = parse_suite(text(one()))
    smuggled = Suite(suite.name, suite.object, "", (suite.expectations[0], _alien(suite)), "", "s.json")
    with pytest.raises(SuiteInvalidError, match=r"Great Expectations (loaded 1 of 2|refuses)"):
        load_in_gx(smuggled)


def _alien(suite: Suite) -> Any:
    from dataclasses import replace

    return replace(suite.expectations[0], type="expect_column_values_to_be_cool", rule_id="r2")


def test_digest_ignores_what_tools_add_and_sees_every_rule() -> None:
    plain = parse_suite(text(one()))
    noisy = {**one(), "id": "7b5c", "notes": None}
    assert parse_suite(text(noisy, id="x", notes="y")).digest == plain.digest
    assert parse_suite(text(one(column="b"))).digest != plain.digest
    assert parse_suite(text({**one(), "severity": "info"})).digest != plain.digest
