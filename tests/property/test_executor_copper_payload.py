"""What Copper's rows become, and the bodies that are written back, are each other's inverse, whatever stands in them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from steward.crm.copper_fields import ADDRESS, DELETED_TAG, FIELDS, FIRST_SECOND, LAST_SECOND, SECONDS, columns_of, moment
from steward.crm.copper_fields import day as day_of
from steward.executor.writers.copper_payload import Payload, encode, writable_columns
from steward.records import canonical_text

CUSTOM: list[dict[str, Any]] = [
    {"id": n, "data_type": kind, "available_on": ["person", "company", "lead", "opportunity", "project", "task"]}
    for n, kind in ((1, "Date"), (2, "Checkbox"), (3, "String"), (4, "MultiSelect"), (5, "Float"))
]
SOURCES = ("people", "companies", "leads", "opportunities", "projects", "tasks", "activities")

text = st.text(min_size=1, max_size=20)
seconds = st.integers(FIRST_SECOND, LAST_SECOND)
day = st.one_of(
    st.dates().map(lambda d: f"{d.month:02d}/{d.day:02d}/{d.year:04d}"), st.integers(0, 40_000).map(lambda n: n * 86_400)
)
number = st.decimals(0, 10**9, places=2, allow_nan=False, allow_infinity=False).map(lambda d: Decimal(str(d)))
id_ = st.integers(1, 10**9)
kinds = st.sampled_from(("person", "company", "lead", "opportunity", "project"))
custom = st.fixed_dictionaries(
    {}, optional={1: day, 2: st.booleans(), 3: text, 4: st.lists(id_, min_size=1, max_size=3), 5: number}
)


def entries(word: str) -> st.SearchStrategy[list[dict[str, str]]]:
    return st.lists(st.fixed_dictionaries({word: text, "category": text}), min_size=1, max_size=3)


def value(source: str, name: str) -> st.SearchStrategy[Any]:
    match name:
        case "address":
            return st.dictionaries(st.sampled_from(ADDRESS), text, min_size=1).map(lambda d: {**dict.fromkeys(ADDRESS), **d})
        case "emails" | "phone_numbers" | "socials" | "websites":
            return entries({"emails": "email", "phone_numbers": "number"}.get(name, "url"))
        case "email" if source == "leads":
            return st.fixed_dictionaries({"email": text, "category": text})
        case "tags":
            return st.lists(st.one_of(text, st.just(DELETED_TAG)), min_size=1, max_size=3, unique=True).map(
                lambda tags: [t for t in tags if t != DELETED_TAG] + [t for t in tags if t == DELETED_TAG]
            )
        case "custom_fields":
            return custom.map(lambda d: [{"custom_field_definition_id": n, "value": v} for n, v in d.items()])
        case "parent" | "related_resource":
            return st.fixed_dictionaries({"id": id_, "type": kinds})
        case "type":
            return st.fixed_dictionaries({"id": id_, "category": st.just("user")})
        case "monetary_value" | "win_probability":
            return number
        case "close_date" | "due_date" | "reminder_date" | "completed_date":
            return day
        case _ if name in SECONDS:
            return seconds
        case _ if name.endswith("_id"):
            return id_
    return text


@st.composite
def rows(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    source = draw(st.sampled_from(SOURCES))
    names = draw(st.sets(st.sampled_from([n for n in FIELDS[source] if n != "id"])))
    return source, {"id": 1, **{name: draw(value(source, name)) for name in sorted(names)}}


def columns(source: str, row: dict[str, Any]) -> dict[str, Any]:
    return columns_of(source, row, lambda: frozenset({1}), DELETED_TAG)


@settings(max_examples=200, deadline=None)
@given(rows(), st.booleans())
def test_a_record_that_is_made_again_has_the_same_columns(found: tuple[str, dict[str, Any]], in_seconds: bool) -> None:
    source, row = found
    payload = Payload(lambda: frozenset({1}), DELETED_TAG, seconds=in_seconds)
    can = writable_columns(source, CUSTOM, create=True)
    before = {n: v for n, v in columns(source, row).items() if n in can}
    body = json.loads(encode(payload.create(source, before)), parse_float=Decimal)
    after = columns(source, body)
    assert set(body) <= set(FIELDS[source])
    for name in can:
        assert canonical_text(after.get(name)) == canonical_text(before.get(name)), name


@settings(max_examples=200, deadline=None)
@given(rows(), rows(), st.booleans())
def test_an_update_leads_from_one_record_to_the_other_and_names_nothing_else(
    old: tuple[str, dict[str, Any]], new: tuple[str, dict[str, Any]], in_seconds: bool
) -> None:
    source, row = old
    payload = Payload(lambda: frozenset({1}), DELETED_TAG, seconds=in_seconds)
    can = writable_columns(source, CUSTOM, create=False)
    before = columns(source, row)
    wanted = {n: v for n, v in columns(source, new[1] if new[0] == source else {"id": 1}).items() if n in can}
    changes = {n: wanted.get(n) for n in can}
    body = json.loads(encode(payload.update(source, before, changes)), parse_float=Decimal)
    after = columns(source, {**row, **body})
    for name in can:
        assert canonical_text(after.get(name)) == canonical_text(wanted.get(name)), name
    same = {n: before.get(n) for n in can}
    assert payload.update(source, before, same) == {}, "what is as it is to be is not sent"


@given(st.one_of(st.integers(), st.floats(), st.text(), st.none(), st.booleans()))
def test_whatever_stands_where_a_time_should_is_read(found: Any) -> None:
    for read in (moment, day_of):
        said = read(found)
        assert isinstance(said, str) or said is found
