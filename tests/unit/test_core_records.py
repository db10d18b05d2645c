"""Identity, text form, tagged form and digests."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.records import (
    ObjectStats,
    Record,
    RecordKey,
    canonical_text,
    object_digest,
    record_digest,
    snapshot_digest,
    tag,
    untag,
)

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXT, st.binary(max_size=20), st.dates(), st.times(),
    st.decimals(allow_nan=False, allow_infinity=False), st.datetimes(), st.datetimes(timezones=st.just(UTC)), st.uuids(),
    st.timedeltas(min_value=timedelta(days=-9999), max_value=timedelta(days=9999)),
    st.lists(st.one_of(st.none(), st.booleans(), st.integers(), TEXT), max_size=4), st.dictionaries(TEXT, TEXT, max_size=4),
)  # fmt: skip


@given(SCALARS)
def test_tagged_form_reads_back_as_the_same_value_and_type(value: object) -> None:
    back = untag(tag(value))  # type: ignore[arg-type]  # hypothesis gives object
    assert back == value and type(back) is type(value)


@pytest.mark.parametrize("broken", ["", "s", "b:yes", "q:1", "i:one", "t:yesterday", "x:zz"])
def test_a_broken_tag_is_refused(broken: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        untag(broken)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None), ("", ""), (True, "true"), (9007199254740993, "9007199254740993"), (Decimal("1E+3"), "1000"),
        (Decimal("2.50"), "2.50"), (0.1, "0.1"), (date(2026, 11, 25), "2026-11-25"), (time(8, 5), "08:05:00"),
        (datetime(2026, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=8))), "2026-01-01T19:04:00Z"),
        (datetime(2026, 1, 2, 3, 4), "2026-01-02T03:04:00"), (b"\x00\xff", "\\x00ff"),
        ({"b": 1, "a": "王"}, '{"a":"王","b":1}'), (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)  # fmt: skip
def test_text_form(value: object, text: str | None) -> None:
    assert canonical_text(value) == text  # type: ignore[arg-type]  # parametrised as object


def test_digest_is_what_the_docstring_says() -> None:
    by_hand = b"4:name=S6:\xe7\x8e\x8b\xe4\xbc\x9f;5:phone=N;"
    assert record_digest({"phone": None, "name": "王伟"}) == hashlib.sha256(by_hand).hexdigest()


@given(
    st.dictionaries(TEXT, st.one_of(st.none(), TEXT), max_size=5), st.dictionaries(TEXT, st.one_of(st.none(), TEXT), max_size=5)
)
def test_different_fields_never_share_a_digest(a: dict[str, str | None], b: dict[str, str | None]) -> None:
    assert (record_digest(a) == record_digest(b)) == (a == b)


def test_null_is_not_empty_and_values_cannot_imitate_delimiters() -> None:
    digests = {
        record_digest(f)
        for f in ({"a": None}, {"a": ""}, {"a": "N;"}, {"a": "x", "b": "y"}, {"a": "x;1:b=S1:y"}, {"a": "S1:x;"})
    }
    assert len(digests) == 6


@given(st.lists(st.integers(0, 400).map(lambda n: hashlib.sha256(str(n).encode()).hexdigest()), max_size=60), st.randoms())
def test_object_digest_ignores_order_and_keeps_multiplicity(digests: list[str], random: object) -> None:
    shuffled = list(digests)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # a random.Random
    assert object_digest("contact", digests) == object_digest("contact", shuffled)
    assert object_digest("contact", digests) != object_digest("company", digests)
    if digests:
        assert object_digest("contact", digests) != object_digest("contact", [*digests, digests[0]])


def test_snapshot_digest_changes_with_any_object() -> None:
    a, b = ObjectStats("contact", 2, "aa"), ObjectStats("company", 1, "bb")
    assert snapshot_digest([a, b]) == snapshot_digest([b, a])
    assert snapshot_digest([a]) != snapshot_digest([a, b])
    assert snapshot_digest([a]) != snapshot_digest([ObjectStats("contact", 3, "aa")])


def test_a_key_is_text_to_the_last_digit() -> None:
    key = RecordKey("contact", "00487687600000123456")
    assert str(key) == "contact/00487687600000123456"
    assert Record(key, {"id": key.id}).digest == record_digest({"id": key.id})
