"""Differences, survivorship, words: the parts of a case, each without database and browser."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.crm.mapping import ObjectMapping, SoftDelete
from steward.errors import DecisionError
from steward.records import RecordKey
from steward.review.difference import difference
from steward.review.survivor import choosable, preview
from steward.review.words import bulk_sentence, words

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


def test_counts_are_whole_sentences_in_the_right_number() -> None:
    assert bulk_sentence(1, 1, 0) == "This decides on 1 record in 1 case."
    assert bulk_sentence(12, 5, 1).endswith("1 case needs a look of its own and is left out.")
    assert all(words().values())
