"""Values of Zoho fields there and back: what is read, written as the vendor wants it and read again is the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from steward.crm.zoho_values import beside, plain
from steward.executor.writers.zoho_payload import _value, body
from tests.support.zoho_contract import TIME

WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=";"), min_size=1, max_size=30)
CASES: dict[str, st.SearchStrategy[Any]] = {
    "text": WORDS,
    "textarea": WORDS,
    "email": WORDS,
    "picklist": WORDS,
    "boolean": st.booleans(),
    "integer": st.integers(-(2**31), 2**31),
    "bigint": st.integers(1, 2**63).map(str),
    "double": st.decimals(-(10**9), 10**9, allow_nan=False, places=4),
    "currency": st.decimals(0, 10**12, allow_nan=False, places=2),
    "percent": st.integers(0, 100),
    "date": st.dates().map(lambda d: d.isoformat()),
    "datetime": st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(
        lambda t: t.replace(microsecond=0).isoformat()
    ),
    "multiselectpicklist": st.lists(WORDS, max_size=4),
    "lookup": st.integers(1, 2**63).map(lambda i: {"id": str(i), "name": "x"}),
    "ownerlookup": st.integers(1, 2**63).map(lambda i: {"id": str(i), "name": "x", "email": "e"}),
}


@given(st.sampled_from(sorted(CASES)).flatmap(lambda kind: st.tuples(st.just(kind), st.none() | CASES[kind])))
@settings(max_examples=400, deadline=None)
def test_a_value_written_and_read_again_is_the_same(drawn: tuple[str, Any]) -> None:
    kind, value = drawn
    read = plain(kind, value)
    sent = json.loads(body({"f": _value(kind, None if read is None else str(read))}, workflows=False), parse_float=Decimal)
    assert sent["trigger"] == []
    again = sent["data"][0]["f"]
    assert plain(kind, again) == read
    if kind == "datetime" and again is not None:
        assert TIME.fullmatch(again), "the vendor takes times with a numeric offset"
    if kind in ("lookup", "ownerlookup") and again is not None:
        assert again == {"id": value["id"]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["id", "Parent_Id", "$editable", "Remark", "Partner", "Amount"]), JSON, max_size=5),
        max_size=4,
    )
)
@settings(max_examples=200, deadline=None)
def test_rows_of_a_subform_have_one_form(rows: list[dict[str, Any]]) -> None:
    once = beside(rows)
    assert beside(once) == once, "what was made so is not changed again"
    other = [{**row, "id": "9", "$editable": 1} for row in rows if set(row) - {"id"}]
    if len(other) == len(rows):
        assert beside(other) == once, "ids of rows are the vendor's"


@given(JSON, st.integers(1, 2**63))
@settings(max_examples=100, deadline=None)
def test_the_name_of_what_a_row_leads_to_is_not_part_of_it(name: Any, id: int) -> None:
    assert beside([{"Partners": {"id": str(id), "name": name}}]) == [{"Partners": {"id": str(id)}}]
