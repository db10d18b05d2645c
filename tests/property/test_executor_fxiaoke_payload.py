"""What Fxiaoke is sent is the inverse of what is read, for every value that a record may hold."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.crm.fxiaoke import PEOPLE, TIMES, plain
from steward.crm.mapping import parse_mapping
from steward.executor.writers.fxiaoke_payload import as_read, as_sent, columns_to_set, is_user
from steward.sandbox.fxiaoke import sandbox_mapping

people = st.text("0123456789", min_size=1, max_size=6)
stored = st.one_of(
    st.tuples(st.sampled_from(sorted(TIMES)), st.integers(-62_000_000_000_000, 253_000_000_000_000)),
    st.tuples(st.sampled_from(sorted(PEOPLE)), st.lists(people, min_size=1, max_size=4)),
    st.tuples(st.sampled_from(["select_many", "file_attachment"]), st.lists(st.text(min_size=1), min_size=1, max_size=4)),
    st.tuples(st.sampled_from(["text", "select_one", "object_reference"]), st.text(min_size=1)),
    st.tuples(st.sampled_from(["number", "currency"]), st.decimals(allow_nan=False, allow_infinity=False).map(str)),
    st.tuples(st.just("location"), st.dictionaries(st.text(min_size=1), st.decimals(allow_nan=False, allow_infinity=False), min_size=1)),
    st.tuples(st.just("true_or_false"), st.booleans()),
)  # fmt: skip


@given(stored)
def test_what_is_read_is_sent_as_it_was_stored(found: tuple[str, Any]) -> None:
    kind, value = found
    read = plain(kind, "field__c", value)
    assert as_sent(kind, "field__c", read) == value
    assert as_read(kind, "field__c", read) == read


@given(st.sampled_from([None, "", []]), st.sampled_from(["text", "date", "employee", "select_many", "number"]))
def test_nothing_is_sent_as_what_empties_a_field_and_read_as_nothing(value: Any, kind: str) -> None:
    assert as_sent(kind, "field__c", value, empty="") == "" and as_sent(kind, "field__c", value) is None
    assert as_read(kind, "field__c", value) is None


@given(st.text(min_size=1).filter(lambda t: not t[:4].isdigit()))
def test_a_text_where_a_time_belongs_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        as_sent("date", "close_date", text)


@given(
    st.dictionaries(
        st.sampled_from(["name", "owner", "_id", "version", "life_status", "create_time", "a__c", "b__c", "status"]),
        st.sampled_from(["text", "formula", "count", "quote", "auto_number", "master_detail", "employee"]).map(
            lambda k: {"type": k}
        ),
    ),
    st.booleans(),
    st.booleans(),
)
def test_no_call_sets_what_the_vendor_stamps_or_computes(fields: dict[str, dict[str, str]], create: bool, stops: bool) -> None:
    for entry in parse_mapping(sandbox_mapping()).objects.values():
        can = columns_to_set(entry, fields, create=create, stops_users=stops)
        assert not can & {"_id", "version", "life_status"}
        assert not {
            n
            for n in can
            if n not in ("owner", "create_time")
            and fields.get(n, {}).get("type") in ("formula", "count", "quote", "auto_number")
        }
        if is_user(entry):
            assert can <= ({"status"} if stops and not create else set())
        else:
            assert ("create_time" in can) == (create and "create_time" in fields)


def test_decimals_of_json_travel_as_numbers() -> None:
    assert as_sent("location", "at__c", {"lat": Decimal("1.50")}) == {"lat": Decimal("1.50")}
