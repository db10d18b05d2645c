"""The linkage definition an expert writes: own levels, conditions, standard forms, weights; and what it refuses."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from steward.errors import ScoringError, TooManyPairsError
from steward.scoring.duplicates.columns import build
from steward.scoring.duplicates.conditions import NotUnderstoodError, evaluate, holds, parse
from steward.scoring.duplicates.definition import Definition, Field, Rule, parse_definition
from steward.scoring.duplicates.levels import compare_codes
from steward.scoring.duplicates.link import LinkResult, link
from steward.scoring.duplicates.own import level_name
from steward.scoring.duplicates.plan import Plan
from steward.scoring.duplicates.stored import with_model
from tests.integration.test_duplicates_metamorphic import people

HEAD = 'format = "steward-linkage/1"\n'
RULE = '[[index]]\nkeys = ["a"]\n'


def _env(**columns: list[object]) -> dict[str, np.ndarray]:
    return {k: np.array(v, object) for k, v in columns.items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_l = a_r", [True, False, False, False]),
        ("a_l IS NULL OR a_r IS NULL", [False, False, True, False]),
        ("NOT a_l = a_r", [False, True, False, True]),
        ("a_l <> a_r AND a_l IS NOT NULL", [False, True, False, True]),
        ("jaro_winkler_similarity(\"a_l\", \"a_r\") >= 0.9", [True, True, False, False]),
        ("levenshtein(lower(a_l), a_r) <= 1", [True, True, False, False]),
        ("substr(a_l, 1, 2) || 'x' = concat(left(a_r, 2), 'x')", [True, True, False, False]),
        ("COALESCE(a_l, 'none') = 'none'", [False, False, True, False]),
        ("NULLIF(a_l, 'anna') IS NULL", [True, True, True, False]),
        ("length(a_l) BETWEEN 4 AND 5 AND -1 < 0", [True, True, False, True]),
        ("abs(CAST(length(a_l) AS DOUBLE) - length(a_r)) * 2 >= 2", [False, True, False, False]),
        ("regexp_extract(a_l, '^(.)', 1) = 'b'", [False, False, False, True]),
        ("date_diff('day', try_strptime('2020-01-01', '%Y-%m-%d'), '2020-01-31'::date) = 30", [True, True, True, True]),
    ],
)  # fmt: skip
def test_conditions_mean_what_they_mean_in_sql(text: str, expected: list[bool]) -> None:
    env = _env(a_l=["anna", "anna", None, "bernd"], a_r=["anna", "annas", "x", "carla"])
    assert holds(parse(text), env, 4).tolist() == expected


def test_a_condition_that_is_null_does_not_hold_and_its_negation_neither() -> None:
    env = _env(a_l=[None], a_r=["x"])
    for text in ("a_l = a_r", "NOT a_l = a_r", "a_l <> a_r", "NOT (a_l = a_r AND a_r = 'x')"):
        assert not holds(parse(text), env, 1).any()
    assert holds(parse("a_l = a_r OR a_r = 'x'"), env, 1).all()


@pytest.mark.parametrize(
    "text",
    ["list_intersect(a_l, a_r)", "a_l = ", "(a_l", "a_l ~ a_r", "CASE WHEN a THEN b END", "a_l; DROP TABLE x", "cast(a_l AS blob)",
     "(" * 500 + "a_l" + ")" * 500, "substr(a_l)", "a_l = a_r a_l", "x" * 30_000, "SELECT 1"],
)  # fmt: skip
def test_what_is_not_understood_is_refused_by_name(text: str) -> None:
    with pytest.raises(NotUnderstoodError):
        parse(text)


def test_values_of_conditions_are_compared_by_characters() -> None:
    env = _env(a_l=["王伟", "müller"], a_r=["王芳", "mueller"])
    assert evaluate(parse("levenshtein(a_l, a_r)"), env, 2).tolist() == [1, 2]


def _levels(field: Field, rows: list[dict[str, str | None]]) -> list[int]:
    """Return the level of the first record against each of the others."""
    frame = pl.DataFrame([{"id": str(i), **r} for i, r in enumerate(rows)])
    table = build(frame, Definition((field,), (Rule(()),)), ids="id")
    at = {str(name): row for row, name in enumerate(table.ids)}
    left = np.array([at["0"]] * (len(rows) - 1))
    right = np.array([at[str(i)] for i in range(1, len(rows))])
    codes = table.columns[0].codes
    return compare_codes(table.columns[0], codes[left], codes[right]).tolist()


@pytest.mark.parametrize(
    ("levels", "values", "expected"),
    [
        (("jarowinkler 0.92", "jarowinkler 0.8"), ["anna maria", "anna marie", "anna mxxyy", "zoe", "", "anna maria"], [2, 1, 0, -1, 3]),
        (("levenshtein 1", "damerau_levenshtein 1"), ["abcd", "abce", "abdc", "axyd"], [2, 1, 0]),
        (("levenshtein 0.75",), ["abcd", "abce", "abxy"], [1, 0]),
        (("numeric 2",), ["10", "11.5", "13", "x"], [1, 0, 0]),
        (("days 30",), ["2020-01-01", "30.01.2020", "2021-01-01", "2020-02-30"], [1, 0, 0]),
        (("start 3", "initial"), ["anna", "annika", "a", "b"], [2, 1, 0]),
        (("words 0.9",), ["acme trading", "trading acme inc", "other"], [1, 0]),
        (("sound",), ["meier", "mayer", "huber"], [1, 0]),
        (("qgram 0.5",), ["abcdef", "abcdxx", "zzzzzz"], [1, 0]),
    ],
)  # fmt: skip
def test_own_levels_the_first_that_fits_wins(levels: tuple[str, ...], values: list[str], expected: list[int]) -> None:
    field = Field("a", "text", ("a",), standard="written", levels=levels)
    assert _levels(field, [{"a": v} for v in values]) == expected


def test_a_condition_over_two_columns_and_equal_values_with_a_part_missing() -> None:
    field = Field(
        "name", "text", ("f", "l"), standard="written", missing="(f_l IS NULL OR f_r IS NULL) AND (l_l IS NULL OR l_r IS NULL)",
        levels=("when f_l = l_r AND l_l = f_r", "when l_l = l_r"),
    )  # fmt: skip
    rows = [{"f": "anna", "l": "meier"}, {"f": "anna", "l": "meier"}, {"f": "meier", "l": "anna"}, {"f": "x", "l": "meier"}, {"f": None, "l": None},
            {"f": None, "l": "meier"}, {"f": "anna", "l": None}, {"f": "bea", "l": "huber"}]  # fmt: skip
    assert _levels(field, rows) == [3, 2, 1, -1, 1, 0, 0]
    partly = [{"f": None, "l": "meier"}, {"f": None, "l": "meier"}, {"f": "meier", "l": None}]
    assert _levels(field, partly) == [1, -1]


def test_a_standard_form_of_ones_own_and_a_value_made_of_another() -> None:
    written = Field("a", "family", ("a",), standard="written")
    assert _levels(written, [{"a": "Müller"}, {"a": "MÜLLER"}, {"a": "Müller"}]) == [0, 1]
    made = Field("y", "text", ("a",), take="substr(a, 1, 4)")
    assert _levels(made, [{"a": "1970-01-02"}, {"a": "1970-12-31"}, {"a": "1971-01-02"}]) == [1, 0]
    assert (
        level_name("jarowinkler 0.92") == "jarowinkler 0.92 or more"
        and level_name("levenshtein 2") == "levenshtein 2 or fewer edits"
    )


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ('levels = ["jarowinker 0.9"]', "begins with none of"), ('levels = ["jaro 1.2"]', "between 0 and 1"), ('levels = ["jaro"]', "one number"),
        ('levels = ["when b_l = b_r"]\nstandard = "written"', "column b"), ('levels = ["when a_l = a_r"]', 'standard = "written"'),
        ('standard = "famly"', "famly"), ("m = [0.5, 0.5]", "it has 2"), ('levels = ["jaro 0.9"]\nu = [1.0, 0.0, 0.0]', "positive"),
        ('take = "nosuch(a)"', "nosuch"), ('take = "substr(b, 1)"', "column b"), ('missing = "a_l IS NULL"\nstandard = "written"', "no levels of its own"),
        ('levels = ["when list_intersect(a_l, a_r)"]\nstandard = "written"', "list_intersect"),
    ],
)  # fmt: skip
def test_expert_settings_that_cannot_be_meant_are_refused_with_their_field(entry: str, words: str) -> None:
    text = f'{HEAD}[[compare]]\nfield = "a"\nkind = "family"\n{entry}\n{RULE}'
    with pytest.raises(ScoringError, match="cannot be used") as error:
        parse_definition(text, where="d.toml")
    assert words in str(error.value) and "d.toml" in str(error.value)


def test_related_classes_and_a_prior_are_checked() -> None:
    body = f'[[compare]]\nfield = "a"\nkind = "text"\n{RULE}'
    with pytest.raises(ScoringError, match="hosehold"):
        parse_definition(f"{HEAD}{body}[related]\nhosehold = 1.0\n")
    with pytest.raises(ScoringError, match="prior must lie"):
        parse_definition(f"{HEAD}prior = 1.5\n{body}")


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    return people(300, 4)


@pytest.fixture(scope="module")
def found(table: pl.DataFrame) -> LinkResult:
    return link(table, ids="id")


def test_a_definition_that_holds_its_model_gives_the_same_pairs_and_weights(table: pl.DataFrame, found: LinkResult) -> None:
    assert found.model is not None
    stored = parse_definition(with_model(found.definition, found.model, cut=found.cut).toml())
    assert stored.trained and stored.digest != found.definition.digest
    again = link(table, stored, ids="id", seed=99)
    assert again.pairs_frame().equals(found.pairs_frame()) and again.groups() == found.groups()
    assert again.model is not None and again.model.rules_heard == []


def test_a_definition_of_kinds_alone_keeps_its_digest() -> None:
    plain = Definition((Field("a", "text", ("a",)),), (Rule((("a", "whole"),)),))
    assert (
        plain.digest == "3a806e0b4b59daa63d6466f67594d5536a808fa91802111ec6d93f0f030022c3"
    )  # as before there were expert settings
    expert = Definition((Field("a", "text", ("a",), levels=("jaro 0.9",)),), plain.rules)
    assert expert.digest != plain.digest and parse_definition(expert.toml()) == expert


def test_weights_given_for_one_field_are_taken_and_the_rest_is_estimated(table: pl.DataFrame, found: LinkResult) -> None:
    assert found.model is not None
    given = Field("mail", "email", ("email",), m=(0.1, 0.1, 0.1, 0.7), u=(0.9, 0.05, 0.04, 0.01))
    definition = Definition((Field("last_name", "family", ("last_name",)), given), (Rule(()),))
    result = link(table, definition, ids="id")
    assert result.model is not None
    assert result.model.m[1].tolist() == [0.1, 0.1, 0.1, 0.7] and result.model.u[1].tolist() == [0.9, 0.05, 0.04, 0.01]
    assert 0 < result.model.u[0][-1] < 0.2


def test_the_plan_is_told_before_any_pair_is_compared_and_may_stop_the_run(table: pl.DataFrame) -> None:
    class StopError(Exception):
        pass

    plans: list[Plan] = []

    def stop(plan: Plan) -> None:
        plans.append(plan)
        raise StopError

    compared: list[int] = []
    with pytest.raises(StopError):
        link(table, ids="id", before=stop, progress=compared.append)
    (plan,) = plans
    assert compared == [] and plan.proposed and plan.records == table.height
    assert {f.name for f in plan.fields} == {"first_name", "last_name", "email", "birthday", "city", "phone"}
    assert plan.rules and plan.pairs >= table.height * (table.height - 1) // 2
    assert parse_definition(plan.definition).rules


def test_a_rule_that_explodes_is_refused_with_the_rule_to_use_instead(table: pl.DataFrame) -> None:
    fields = (Field("city", "city", ("city",)), Field("last_name", "family", ("last_name",)))
    definition = Definition(fields, (Rule((("city", "whole"),)),), pairs_at_most=2_000)
    with pytest.raises(TooManyPairsError, match="would compare") as error:
        link(table, definition, ids="id")
    sentence = str(error.value)
    assert "city + last_name" in sentence and 'keys = ["city", "last_name' in sentence
    keys = sentence.split("keys = [")[1].split("]")[0]
    mended = parse_definition(definition.toml().replace('keys = ["city"]', f"keys = [{keys}]"))
    assert link(table, mended, ids="id").compared > 0
    hopeless = Definition((Field("city", "city", ("city",)),), (Rule((("city", "whole"),)),), pairs_at_most=100)
    with pytest.raises(TooManyPairsError, match="Add a second key to the rule"):
        link(table, hopeless, ids="id")
