"""Differences, survivorship, words: the parts of a case, each without database and browser."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.crm.mapping import ObjectMapping, SoftDelete
from steward.errors import DecisionError
from steward.messages import choose_language
from steward.records import RecordKey
from steward.review.difference import difference
from steward.review.survivor import choosable, preview, trusted_rules
from steward.review.words import bulk_sentence, cases, records, words

A, B, C = (RecordKey("contact", x) for x in "abc")


@pytest.mark.parametrize(
    ("value", "reference", "state", "pieces"),
    [
        ("Müller", "Müller", "same", [("same", "Müller")]),
        ("Mueller", "Müller", "differs", [("same", "M"), ("differs", "ue"), ("same", "ller")]),
        (None, "x", "missing", []),
        ("  ", "x", "missing", []),
        ("x", None, "differs", [("differs", "x")]),
        ("ab", "abc", "differs", [("differs", "ab")]),  # only something absent: the whole value is marked
        ("王晓明", "王小明", "differs", [("same", "王"), ("differs", "晓"), ("same", "明")]),
        ("e\u0301a", "ea", "differs", [("differs", "e\u0301"), ("same", "a")]),  # an accent is never torn from its letter
    ],
)
def test_a_difference_is_marked_to_the_character(
    value: str | None, reference: str | None, state: str, pieces: list[tuple[str, str]]
) -> None:
    assert difference(value, reference) == (state, pieces)


@given(st.text(max_size=60), st.text(max_size=60))
def test_the_pieces_give_the_value_back_and_a_difference_always_shows(value: str, reference: str) -> None:
    state, pieces = difference(value, reference)
    assert (state == "missing") == (not value.strip())
    if state != "missing":
        assert "".join(text for _, text in pieces) == value
        assert any(mark == "differs" for mark, _ in pieces) == (value != reference)


def test_long_texts_are_marked_between_their_common_ends() -> None:
    state, pieces = difference("a" * 5000 + "X" + "b" * 5000, "a" * 5000 + "Y" + "b" * 5000)
    assert (state, pieces[1]) == ("differs", ("differs", "X"))


PEOPLE = {
    A: {"name": "Ann", "phone": None, "mail": "a@x", "t": "2024"},
    B: {"name": "Anna Maria", "phone": "1", "mail": "a@x", "t": "2026"},
    C: {"name": "Ann", "phone": "2", "mail": "c@x", "t": "2025"},
}
FIELDS = ["name", "phone", "mail"]


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        ("survivor", {"name": "Ann", "phone": "1", "mail": "a@x"}),
        ("most_recent", {"name": "Anna Maria", "phone": "1", "mail": "a@x"}),
        ("longest", {"name": "Anna Maria", "phone": "1", "mail": "a@x"}),
        ("most_common", {"name": "Ann", "phone": "1", "mail": "a@x"}),
    ],
)
def test_a_rule_proposes_the_survivors_values_and_never_an_empty_one(rule: str, values: dict[str, str]) -> None:
    result = preview(PEOPLE, A, FIELDS, rule=rule, modified="t")
    assert {f: result.values[f] for f in FIELDS} == values


def test_a_person_changes_a_field_and_sees_what_would_be_lost() -> None:
    result = preview(PEOPLE, A, FIELDS, modified="t", by_hand={"mail": "c"})
    assert result.values["mail"] == "c@x"
    assert result.taken_from == {"phone": "b", "mail": "c"}
    assert [(x.field, x.key, x.value) for x in result.lost] == [
        ("name", B, "Anna Maria"),
        ("phone", C, "2"),
        ("mail", A, "a@x"),
    ]


def test_case_and_blanks_alone_are_no_loss() -> None:
    assert preview({A: {"name": "Ann  Lee"}, B: {"name": "ann lee "}}, A, ["name"]).lost == ()


@pytest.mark.parametrize(("field", "member"), [("t", "b"), ("name", "zz")])
def test_a_field_that_is_not_free_and_a_stranger_are_refused(field: str, member: str) -> None:
    with pytest.raises(DecisionError):
        preview(PEOPLE, A, FIELDS, by_hand={field: member})


def test_key_version_times_and_deletion_marks_are_never_chosen() -> None:
    entry = ObjectMapping(
        key="id", modified="t", version="v", soft_delete=SoftDelete(column="gone", deleted="1"), writable=("name", "v")
    )
    assert choosable(entry, ["id", "t", "v", "gone", "name", "mail"]) == ["name"]


def test_a_trusted_source_goes_first_and_columns_that_say_a_source_are_found() -> None:
    people = {
        A: {"name": "Ann", "phone": "1", "source": "web", "t": "2026"},
        B: {"name": "Anna", "phone": None, "source": "ERP", "t": "2020"},
        C: {"name": "Anne", "phone": "3", "source": "web", "t": "2025"},
    }
    assert trusted_rules(people) == ["trusted:source=ERP", "trusted:source=web"]
    result = preview(people, A, ["name", "phone"], rule="trusted:source=ERP", modified="t")
    assert result.values["name"] == "Anna" and result.values["phone"] == "1"  # an empty value never goes before a value
    assert result.taken_from == {"name": "b"}
    for wrong in ("trusted", "trusted:source", "best"):
        with pytest.raises(DecisionError):
            preview(people, A, ["name"], rule=wrong)


def test_values_that_nobody_can_choose_are_lost_in_sight() -> None:
    result = preview(PEOPLE, A, ["name"], modified="t", shown=["name", "mail"])
    assert [(x.field, x.value, x.savable) for x in result.lost] == [("name", "Anna Maria", True), ("mail", "c@x", False)]


@pytest.mark.parametrize(
    ("tongue", "one", "two"),
    [("en", "1 record", "2 records"), ("de", "1 Datensatz", "2 Datensätze"), ("zh_CN", "1 条记录", "2 条记录")],
)
def test_plural_forms_in_three_languages(tongue: str, one: str, two: str) -> None:
    choose_language(tongue)
    try:
        assert (records(1), records(2)) == (one, two)
        said = {n: (records(n), cases(n), bulk_sentence(n, n, n)) for n in (0, 1, 2, 21, 101)}
    finally:
        choose_language("en")
    for n in (0, 21, 101):  # everything but one is many, in both languages that know a difference
        assert [x.replace(str(n), "2") for x in said[n][:2]] == list(said[2][:2])
    assert all("{" not in x for texts in said.values() for x in texts)


def test_a_word_with_a_count_never_bends_a_noun_in_the_browser() -> None:
    """Plural forms are made by gettext alone; what the front fills in stands beside no noun that would have to agree."""
    choose_language("en")
    counted = {name for name, text in words().items() if "{count}" in text or "{n}" in text}
    assert counted == {"open_business", "marked_count"}


def test_counts_are_whole_sentences_in_the_right_number() -> None:
    assert bulk_sentence(1, 1, 0) == "This decides on 1 record in 1 case."
    assert bulk_sentence(12, 5, 1).endswith("1 case needs a look of its own and is left out.")
    assert all(words().values())
