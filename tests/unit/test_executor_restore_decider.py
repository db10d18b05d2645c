"""What a restore decides on a system with a recycle bin, record by record: out of the bin, made anew, left alone, impossible."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pytest

from steward.crm.base import Capabilities
from steward.crm.mapping import parse_mapping
from steward.executor.ports import Effect, Reading, State, Work
from steward.executor.restore import RestoreDecider
from steward.records import Absent, Record, RecordKey, Scalar

MAPPING = parse_mapping(
    'format = "steward-mapping/1"\nsystem = "s"\ntenant = "t"\nenvironment = "e"\n'
    '[objects.company]\nkey = "id"\n[objects.contact]\nkey = "id"\nparents = { company = "company", chief = "contact" }\n'
)
ME = "steward-executor"


def record(object: str, id: str, *, deleted: bool = False, by: str | None = None, **fields: Scalar) -> Record:
    return Record(RecordKey(object, id), {"id": id, **fields}, "1", deleted, by)


class Crm:
    """Holds what is there now."""

    def __init__(self, *now: Record, keeps: bool = False, renumbers: bool = True) -> None:
        self.now = {r.key: r for r in now}
        self.capabilities = Capabilities("bin", recycle_bin=True, restore_keeps_id=keeps, transactional=keeps, batch_size=10)
        self.renumbers = renumbers

    def read(self, keys: Sequence[RecordKey], *, links_of: Sequence[RecordKey] = ()) -> Reading:
        return Reading({k: self.now.get(k, Absent(k, "404")) for k in keys})

    def value_for(self, object: str, field: str, text: str | None, now: datetime) -> Scalar:
        return text

    def can_renumber(self, object: str) -> bool:
        return self.renumbers

    def moving(self, object: str) -> frozenset[str]:
        return frozenset()


class Frames:
    """The backup: item → its effects."""

    def __init__(self, *effects: Effect) -> None:
        self._effects = effects

    def of(self, seq: int) -> list[Effect]:
        return [e for e in self._effects if e.seq == seq]

    def untouched(self, seq: int, key: RecordKey) -> bool:
        return False


def decide(crm: Crm, effects: Sequence[Effect], ids: Mapping[tuple[str, str], str] | None = None, **more: Any) -> Any:
    moved = ids or {}
    decider = RestoreDecider(crm, MAPPING, Frames(*effects), lambda o, i: moved.get((o, i)), actor=ME, **more)  # type: ignore[arg-type]
    own = [e for e in effects if e.role == "item"]
    works = [
        Work(n, e.before.key.object, e.before.key.id, "restore", of_seq=e.seq)
        for n, e in enumerate(sorted(own, key=lambda e: -e.seq))
    ]
    units, verdicts, later = decider.decide(works)
    return [e for u in units for e in u.effects], [(v.state, v.code) for v in verdicts], later, decider


ADA = record("contact", "1", name="Ada", company="7", chief=None)
GONE = Effect(0, "item", "bin", ADA)


def in_bin(by: str | None, **changed: Scalar) -> Record:
    return dataclasses.replace(ADA, deleted=True, deleted_by=by, fields={**ADA.fields, **changed})


@pytest.mark.parametrize("by", [ME, None])
def test_what_lies_in_the_bin_comes_out_of_it(by: str | None) -> None:
    (back,), verdicts, _, _ = decide(Crm(in_bin(by), record("company", "7")), [GONE])
    assert (back.op, back.before.key, verdicts) == ("unbin", ADA.key, [])


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (in_bin("a person"), "not_by_us"),
        (in_bin(ME, name="Edited"), "changed_since"),
        (dataclasses.replace(ADA, fields={**ADA.fields, "name": "Other"}), "recreated"),
    ],
)
def test_what_people_did_stays(now: Record, code: str) -> None:
    effects, verdicts, _, _ = decide(Crm(now, record("company", "7")), [GONE])
    assert effects == [] and verdicts == [(State.CONFLICT, code)]


def test_what_is_there_already_is_done() -> None:
    assert decide(Crm(ADA), [GONE])[1] == [(State.DONE, "already")]


def test_out_of_the_bin_for_ever_it_is_made_anew_or_cannot_come_back() -> None:
    (back,), _, _, _ = decide(Crm(record("company", "7")), [GONE])
    assert (back.op, back.renumber) == ("insert", True)
    (back,), _, _, _ = decide(Crm(record("company", "7"), keeps=True), [GONE])
    assert (back.op, back.renumber) == ("insert", False)
    assert decide(Crm(record("company", "7"), renumbers=False), [GONE])[1] == [(State.CONFLICT, "no_new_id")]


def test_children_wait_for_their_parents_and_theirs_for_them() -> None:
    """Company, its contact, and that contact's underling: three batches, each with the new id of the one before."""
    company, chief = record("company", "7", name="Birch"), dataclasses.replace(ADA, fields={**ADA.fields, "company": "7"})
    under = record("contact", "2", name="Ben", company=None, chief="1")
    taken = [Effect(0, "item", "delete", under), Effect(1, "item", "delete", chief), Effect(2, "item", "delete", company)]
    effects, verdicts, later, _ = decide(Crm(), taken)
    assert [e.before.key for e in effects] == [company.key] and not verdicts
    assert [w.key for w in later] == [chief.key, under.key], "neither is made with an empty link in the meantime"
    moved = {("company", "7"): "70"}
    effects, verdicts, later, _ = decide(Crm(record("company", "70", name="Birch")), taken[:2], moved)
    assert [e.before.key for e in effects] == [chief.key] and effects[0].changes == {"company": "70"}
    assert [w.key for w in later] == [under.key]


def test_a_parent_that_is_gone_makes_the_link_impossible_and_it_is_said() -> None:
    effects, _, _, decider = decide(Crm(), [GONE])
    assert effects[0].changes == {"company": None}
    assert [(x.field, x.why) for x in decider.impossible] == [("company", "parent_gone")]
    effects, _, _, decider = decide(Crm(), [GONE], assumed={RecordKey("company", "7")})
    assert effects[0].changes == {} and not decider.impossible


def test_a_link_that_was_moved_goes_back_only_where_it_still_is_as_we_left_it() -> None:
    child = record("contact", "9", name="Cy", company="7", chief=None)
    moved = Effect(0, "child", "update", child, {"company": "8"})
    left = dataclasses.replace(child, fields={**child.fields, "company": "8"})
    there = (ADA, record("company", "7"), record("company", "8"))
    effects, _, _, _ = decide(Crm(left, *there), [GONE, moved])
    assert [(e.before.key, dict(e.changes)) for e in effects] == [(child.key, {"company": "7"})]
    theirs = dataclasses.replace(child, fields={**child.fields, "company": "5"})
    assert decide(Crm(theirs, *there), [GONE, moved])[0] == []
