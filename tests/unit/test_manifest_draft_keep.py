"""Children that stay below a record that is only marked as deleted: in the mapping, the draft, and what the executor does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from steward.crm.base import Capabilities
from steward.crm.mapping import Mapping, ObjectMapping, SoftDelete, parse_mapping
from steward.errors import MalformedManifestError, SchemaMismatchError
from steward.executor.effects import unit_of
from steward.executor.ports import Reading, State, Work
from steward.executor.verdict import Rules, Stop
from steward.manifest import chunks
from steward.manifest.draft import Draft
from steward.manifest.format import Item, RelatedSet
from steward.records import Link, Record, RecordKey
from tests.unit import test_manifest_draft as shared
from tests.unit.test_manifest_draft import RULES, World, held, order

SOFT = SoftDelete(column="active", deleted="false", live="true")
OBJECTS = {
    "contact": ObjectMapping(key="id", name="contact", soft_delete=SOFT),
    "company": ObjectMapping(key="id", name="company"),
    "note": ObjectMapping(key="id", name="note", parents={"contact_id": "contact"}, on_delete={"contact_id": "keep"}),
    "address": ObjectMapping(
        key="id", name="address", soft_delete=SOFT, parents={"contact_id": "contact", "company_id": "company"},
        on_delete={"contact_id": "cascade", "company_id": "keep"}, on_merge={"contact_id": "keep", "company_id": "keep"},
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def objects(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(shared, "OBJECTS", OBJECTS)
    yield


def rules_of(found: Draft, record: str) -> list[tuple[str, str, int]]:
    (item,) = [i for i in found.items if f"{i.object}/{i.id}" == record]
    return [(r.object, r.rule, r.count) for r in item.related]


def test_a_note_stays_with_a_contact_that_is_archived() -> None:
    w = World("contact/1", "note/1", "note/2")
    w.link("note/1", "contact_id", "contact/1")
    w.link("note/2", "contact_id", "contact/1")
    w.decide("contact/1")
    found = w.draft()
    assert order(found) == ["contact/1"] and rules_of(found, "contact/1") == [("note", "keep", 2)]


def test_a_note_goes_with_a_contact_that_is_deleted_for_good() -> None:
    w = World("contact/1", "note/1")
    w.link("note/1", "contact_id", "contact/1")
    w.decide("contact/1")
    found = w.draft(replace(RULES, hard=frozenset({"contact"})))
    assert [(i.object, i.action) for i in found.items] == [("note", "hard_delete"), ("contact", "hard_delete")]


def test_what_cannot_move_stays_with_the_merged_record_and_the_rest_moves() -> None:
    w = World("contact/1", "contact/2", "note/1", "address/1")
    w.link("note/1", "contact_id", "contact/1")
    w.link("address/1", "contact_id", "contact/1")
    w.decide("contact/1", "merge_into", "2")
    found = w.draft()
    assert rules_of(found, "contact/1") == [("address", "keep", 1), ("note", "move", 1)]


def test_nothing_is_kept_below_what_does_not_stay() -> None:
    w = World("company/1", "company/2", "address/1", "contact/1")
    w.link("address/1", "company_id", "company/1")
    w.decide("company/1", "merge_into", "2")
    w.decide("contact/1")  # something must be left to propose
    assert held(w.draft()) == {"company/1": "open_children"}


def test_a_set_that_is_kept_below_a_hard_delete_is_no_manifest() -> None:
    w = World("contact/1", "note/1")
    w.link("note/1", "contact_id", "contact/1")
    w.decide("contact/1")
    (item,) = w.draft().items
    wrong = Item(**{n: getattr(item, n) for n in item.__struct_fields__} | {"action": "hard_delete"})
    census: Any = object()
    with pytest.raises(MalformedManifestError):
        chunks._check_rare(wrong, census)


@pytest.mark.parametrize(("word", "place"), [("on_merge", "elsewhere"), ("on_delete", "elsewhere")])
def test_a_rule_for_a_column_that_is_no_parent_is_refused(word: str, place: str) -> None:
    text = (
        'format = "steward-mapping/1"\nsystem = "sql"\ntenant = "t"\nenvironment = "e"\n[objects.note]\nkey = "id"\n'
        f'{word} = {{ {place} = "keep" }}\n'
    )
    with pytest.raises(SchemaMismatchError):
        parse_mapping(text)


def executor_rules(**more: Any) -> Rules:
    mapping = Mapping(format="steward-mapping/1", system="x", tenant="t", environment="e", objects=OBJECTS)
    return Rules(
        mapping, lambda object, field, text, now: text, "me", datetime.now(UTC), {}, capabilities=Capabilities("x", **more)
    )


def reading() -> tuple[RecordKey, Reading]:
    parent, child = RecordKey("contact", "1"), RecordKey("note", "1")
    records = {parent: Record(parent, {"id": "1", "active": True}), child: Record(child, {"id": "1", "contact_id": "1"})}
    return parent, Reading(records, {parent: [Link(child, "contact_id", parent)]})


def test_the_executor_leaves_a_kept_child_alone() -> None:
    parent, found = reading()
    kept = RelatedSet(object="note", field="contact_id", rule="keep", target=None, count=1, digest="0" * 64)
    unit = unit_of([Work(0, "contact", "1", "soft_delete", related=(kept,))], found, executor_rules())
    assert [(e.before.key, e.op) for e in unit.effects] == [(parent, "update")]
    assert unit.expect_free == ()


def test_the_executor_keeps_nothing_below_what_goes_for_good() -> None:
    _, found = reading()
    kept = RelatedSet(object="note", field="contact_id", rule="keep", target=None, count=1, digest="0" * 64)
    with pytest.raises(Stop) as stop:
        unit_of([Work(0, "contact", "1", "hard_delete", related=(kept,))], found, executor_rules(conditional_delete=True))
    assert (stop.value.state, stop.value.code) == (State.BLOCKED, "children_remain")
