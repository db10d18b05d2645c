"""Values and rules of Tryton: what is read is written back as it was, and what may not change is known beforehand."""

from __future__ import annotations

import json
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.crm.tryton import untype
from steward.crm.tryton_parts import Parts, Whole, more_of, parts_of
from steward.executor.writers.tryton_payload import locked, moment, parts_typed, typed
from steward.records import Record, RecordKey, Scalar, canonical_text


def field(kind: str) -> dict[str, Any]:
    return {"type": kind}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("boolean", True), ("boolean", False), ("integer", 7), ("many2one", 12), ("float", 0.25), ("numeric", Decimal("10.50")),
        ("char", "Zoë ,\n'"), ("text", "1"), ("selection", "lead"), ("bytes", b"\x00\xff"), ("multiselection", ["a", "b"]),
        ("char", None),
    ],
)  # fmt: skip
def test_a_plain_value_is_written_as_it_was_read(kind: str, value: Scalar) -> None:
    assert untype(typed(field(kind), value)) == value


@given(st.dates(min_value=date(1, 1, 1)))
def test_a_day_goes_and_comes(day: date) -> None:
    assert untype(typed(field("date"), day.isoformat())) == day.isoformat()


@given(st.datetimes(min_value=datetime(1, 1, 1)))
def test_a_time_goes_and_comes_to_the_microsecond(at: datetime) -> None:
    assert untype(typed(field("timestamp"), at.isoformat())) == at.isoformat()
    assert moment(at)["microsecond"] == at.microsecond


def test_a_time_of_day_and_a_length_of_time() -> None:
    assert untype(typed(field("time"), time(3, 4, 5).isoformat())) == "03:04:05"
    assert typed(field("timedelta"), "90.5") == {"__class__": "timedelta", "seconds": 90.5}


def test_an_id_becomes_the_reference_it_was() -> None:
    assert typed(field("reference"), "5", "party.party") == "party.party,5"
    assert typed(field("reference"), "sale.sale,5", "party.party") == "sale.sale,5"


@pytest.mark.parametrize(
    ("kind", "value"), [("boolean", "perhaps"), ("integer", "1; drop"), ("date", "soon"), ("many2one", "x")]
)
def test_what_a_field_cannot_hold_is_refused(kind: str, value: str) -> None:
    with pytest.raises(ValueError):
        typed(field(kind), value)


def evaluated(name: str, **more: Any) -> dict[str, Any]:
    return {"__class__": name, **more}


ARCHIVED = evaluated("Not", v=evaluated("Eval", v="active", d=True))
CLOSED = evaluated("In", k=evaluated("Eval", v="state", d=""), v=["lost", "converted"])
MADE = evaluated("Greater", s1=evaluated("Eval", v="id", d=0), s2=0, e=False)


@pytest.mark.parametrize(
    ("rule", "record", "said"),
    [
        (ARCHIVED, {"active": True}, False), (ARCHIVED, {"active": False}, True), (ARCHIVED, {"active": None}, False),
        (CLOSED, {"state": "lost"}, True), (CLOSED, {"state": "lead"}, False), (MADE, {"id": 5}, True), (MADE, {"id": "5"}, True),
        (evaluated("Or", s=[CLOSED, ARCHIVED]), {"state": "lead", "active": False}, True),
        (evaluated("And", s=[CLOSED, ARCHIVED]), {"state": "lead", "active": False}, False),
        (evaluated("If", c=CLOSED, t=True, e=False), {"state": "lost"}, True),
        (evaluated("Equal", s1=evaluated("Eval", v="state", d=""), s2="draft"), {"state": "draft"}, True),
        (evaluated("Less", s1=1, s2=1, e=True), {}, True), (evaluated("Bool", v=evaluated("Eval", v="x", d=0)), {"x": ""}, False),
        (CLOSED, {}, False), (evaluated("Date"), {}, False), (True, {}, True),
    ],
)  # fmt: skip
def test_whether_a_field_is_locked_is_worked_out_or_left_to_tryton(rule: Any, record: dict[str, Scalar], said: bool) -> None:
    assert locked({"states": json.dumps({"readonly": rule})}, record) is said


def test_a_field_without_rules_or_with_a_strange_one_is_not_locked() -> None:
    assert (
        not locked({}, {})
        and not locked({"states": "{"}, {})
        and not locked({"states": '{"readonly": {"__class__": "Eval"}}'}, {})
    )


FIELDS: dict[str, dict[str, Any]] = {
    "name": {"type": "char", "searchable": True, "sortable": True},
    "email": {"type": "char", "readonly": False},
    "lang": {"type": "many2one", "relation": "ir.lang"},
    "currency": {"type": "many2one", "readonly": True},
    "categories": {"type": "many2many", "relation": "party.category", "searchable": True},
    "langs": {"type": "one2many", "relation": "party.party.lang", "relation_field": "party", "searchable": True},
    "lines": {"type": "one2many", "relation": "line", "relation_field": "party", "searchable": True},
    "addresses": {"type": "one2many", "relation": "party.address", "relation_field": "party", "searchable": True},
    "data": {"type": "binary", "sortable": True},
}
STORED = {"searchable": True, "sortable": True}
BELOW: dict[str, dict[str, dict[str, Any]]] = {
    "party.party.lang": {"lang": {"type": "many2one", **STORED}, "party": {"type": "many2one", **STORED}},
    "line": {
        "quantity": {"type": "float", **STORED}, "id": {"type": "integer", **STORED}, "party": {"type": "many2one", **STORED},
        "total": {"type": "numeric", "searchable": True},
    },
    "party.address": {"city": {"type": "char", **STORED}},
}  # fmt: skip


def test_what_belongs_to_a_record_and_what_is_a_record_of_its_own() -> None:
    parts = parts_of(FIELDS, {"party.party", "party.address"}, BELOW)
    assert (parts.lists, parts.values, parts.files) == (("categories",), ("lang",), ("data",))
    assert {n: set(k) for n, k in parts.rows.items()} == {"lines": {"quantity"}}
    assert parts.names() == ("categories", "lang", "lines.quantity")
    assert Parts().names() == ()


def test_more_is_made_again_as_it_was() -> None:
    parts = parts_of(FIELDS, {"party.party", "party.address"}, BELOW)
    row = {"categories": [3, 1], "lang": 5, "lines.": [{"id": 9, "quantity": 2.0}, {"id": 8, "quantity": 1.0}]}
    more = more_of(parts, row, untype)
    assert more == {"categories": [1, 3], "lang": 5, "lines": [{"quantity": 1.0}, {"quantity": 2.0}]}
    assert more_of(parts, {}, untype) == {}
    assert parts_typed(parts, FIELDS, more) == {
        "categories": [["add", [1, 3]]], "lang": 5, "lines": [["create", [{"quantity": 1.0}, {"quantity": 2.0}]]],
    }  # fmt: skip


def test_the_content_of_a_file_is_backed_up_and_not_reviewed() -> None:
    plain = Record(RecordKey("attachment", "1"), {"id": 1, "name": "x"}, "v")
    whole = Whole(plain.key, {**plain.fields, "data": b"x"}, "v", reviewed=plain.digest)
    assert whole.digest == plain.digest and canonical_text(whole.fields["data"]) == "\\x78"
