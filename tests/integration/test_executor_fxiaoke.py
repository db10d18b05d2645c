"""Fxiaoke's writer against the sandbox over real HTTP: every trap of the contract page that concerns changes.

What is true afterwards is asked of the sandbox's own store, which shares no code with the writer. Facts that nobody has
verified on a live tenant are tested in both settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from steward.crm.fxiaoke import FxiaokeReader
from steward.errors import ThrottledError
from steward.executor.ports import Answer, Effect, Unit, Work
from steward.executor.steps import StepLog
from steward.executor.writers import fxiaoke_payload as payload
from steward.executor.writers.fxiaoke import FxiaokeWriter
from steward.executor.writers.vendor import Refused
from steward.records import Absent, Record, RecordKey
from steward.sandbox.fxiaoke import create_app
from steward.sandbox.fxiaoke.world import Fault, Switches, World
from tests.conformance.test_executor_writers import MANIFEST, Asked, Killed, restore
from tests.support.vendor_sandbox import serve
from tests.support.writer_case import WriterCase
from tests.support.writer_fxiaoke import CHANGES, OWN_CODE, Opened, open_sandbox, profile

CONTACT = "ContactObj"


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[World, str]]:
    app = create_app(customers=60, seed=11)
    app.state.world.clock.freeze()
    with serve(app) as address:
        yield app.state.world, address


class Box(Asked):
    """An opened sandbox that is asked as the engine asks."""

    def __init__(self, box: Opened) -> None:
        self.box, self.world, self.writer = box, box.world, box.writer
        self.case = _case(box)

    def person(self, text: str = "Ada", **values: Any) -> str:
        return self.box.new(CONTACT, job_title=text, name=text, **values)

    def stored(self, id: str, api: str = CONTACT) -> dict[str, Any]:
        return self.box.stored(api, id)

    def voided(self, id: str) -> bool:
        return bool(self.stored(id)["life_status"] == "invalid")

    def hooked(self, point: str, act: Any, nth: int = 1) -> None:
        """Do something at the n-th time the writer passes a point."""
        seen = 0

        def hook(name: str) -> None:
            nonlocal seen
            seen += name == point
            if name == point and seen == nth:
                self.writer._hook = lambda name: None
                act()

        self.writer._hook = hook

    def lines(self, kind: str, id: str) -> int:
        """Lines of a record's change log."""
        (n,) = self.world.db.execute("SELECT count(*) FROM change_log WHERE kind = ? AND id = ?", (kind, id)).fetchone()
        return int(n)

    def update(self, id: str, **changes: Any) -> tuple[Work, list[Unit]]:
        work = replace(self.work(id), action="anonymise", related=())
        return work, [Unit(f"#{work.seq}", (work,), (Effect(work.seq, "item", "update", self.record(id), changes),))]

    def going(self, id: str, action: str = "soft_delete") -> tuple[Work, list[Unit]]:
        work = self.work(id, action)
        return work, self.units(work)


def _case(box: Opened) -> Any:
    return WriterCase(
        system="fxiaoke", writer=box.writer, look=box.look, steps=box.steps, mapping=box.mapping, person="contact",
        child=("deal", "contact__c"), text_field="job_title", new_person=lambda text: "", new_child=lambda parent: "",
        edit=lambda id, text: None, remove=lambda id: None, gone=lambda id: False, fault=box.fault,
    )  # fmt: skip


@contextmanager
def opened(served: tuple[World, str], folder: Path, **options: str) -> Iterator[Box]:
    world, address = served
    world.switches, world.faults[:], world.late[:] = Switches(), [], []
    world.clock.advance(120)
    with open_sandbox(folder, options=options, served=(world, address)) as box:
        yield Box(box)


@pytest.fixture
def box(served: tuple[World, str], tmp_path: Path) -> Iterator[Box]:
    with opened(served, tmp_path) as found:
        yield found


# ------------------------------------------------------------------------------------------------ void


def test_trap_void_takes_one_record_a_call_and_each_is_read_back(box: Box) -> None:
    ids = [box.person(f"Ada {n}") for n in range(5)]
    works = [box.work(i) for i in ids]
    before = box.box.asked("data/invalid")
    said = box.apply(box.units(*works))
    assert {r.answer for r in said.values()} == {Answer.DONE} and len(said) == 5
    assert box.box.asked("data/invalid") - before == 5 and all(box.voided(i) for i in ids)


def test_trap_a_custom_object_is_voided_on_its_own_path(box: Box) -> None:
    ticket = box.box.new("x__c", name="Ticket")
    key = RecordKey("ticket", ticket)
    found = box.writer.read([key]).records[key]
    assert isinstance(found, Record)
    work = Work(900_001, "ticket", ticket, "soft_delete", None, found.version, found.digest)
    said = box.apply(box.units(work))
    assert said[work.seq].answer is Answer.DONE and box.stored(ticket, "x__c")["is_deleted"]


@pytest.mark.parametrize("status", ["in_change", "under_review"])
def test_trap_a_void_that_waits_for_approval_is_no_deletion(box: Box, status: Any) -> None:
    box.world.switches.approval_on_void, box.world.switches.approval_status = True, status
    id = box.person()
    work, units = box.going(id)
    said = box.apply(units)[work.seq]
    assert (said.answer, said.code) == (Answer.REFUSED, "awaits_approval") and not box.voided(id)


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [("lock_status", "1", "locked"), ("life_status", "in_change", "in_approval"), ("life_status", "under_review", "in_approval"),
     ("life_status", "ineffective", "not_in_force")],
)  # fmt: skip
def test_trap_what_is_locked_or_in_approval_is_left_alone_without_a_call(box: Box, column: str, value: str, code: str) -> None:
    box.world.switches.void_needs_normal = box.world.switches.void_refuses_locked = False  # the vendor would not refuse
    id, survivor = box.person(), box.person()
    box.box.edit(CONTACT, id, **{column: value})
    before = box.box.asked("data/invalid") + box.box.asked("data/update")
    work, merge = box.work(id), box.work(id, "merge_into", target=survivor, choices={"job_title": id})
    units = [Unit(f"#{work.seq}", (work,), (Effect(work.seq, "item", "bin", box.record(id)),))]
    changed, update = box.update(id, job_title="new")
    assert {v.code for v in box.decide(work)[1] + box.decide(merge)[1]} == {code}, "the plan says so"
    for said in (box.apply(units)[work.seq], box.apply(update)[changed.seq]):
        assert (said.answer, said.code) == (Answer.REFUSED, code)
    assert box.box.asked("data/invalid") + box.box.asked("data/update") == before


def test_trap_what_was_locked_between_look_and_call_is_refused(box: Box) -> None:
    id = box.person()
    work, units = box.going(id)
    box.hooked("vendor.call", lambda: box.box.edit(CONTACT, id, lock_status="1"))
    said = box.apply(units)[work.seq]
    assert said.answer is Answer.CHANGED and not box.voided(id)


@pytest.mark.parametrize("names", [True, False])
@pytest.mark.parametrize("moves", [True, False])
def test_a_void_is_compared_whatever_it_stamps(box: Box, names: bool, moves: bool) -> None:
    box.world.switches.void_names, box.world.switches.void_moves_time = names, moves
    id = box.person()
    work, units = box.going(id)
    assert box.apply(units)[work.seq].answer is Answer.DONE
    assert box.settle(work)[work.seq].state == "done" and box.voided(id)


def test_trap_an_edit_between_look_and_void_is_seen_and_the_record_recovered(box: Box) -> None:
    id = box.person()
    work, units = box.going(id)
    box.hooked("vendor.call", lambda: box.box.edit(CONTACT, id, job_title="Edited"))
    box.apply(units)
    assert box.settle(work)[work.seq].state == "edited"
    assert box.writer.put_back(work, manifest=MANIFEST)
    assert not box.voided(id) and box.stored(id)["job_title"] == "Edited"


def test_trap_a_refusal_is_looked_at_and_what_somebody_else_voided_is_not_ours(box: Box) -> None:
    id = box.person()
    work, units = box.going(id)
    box.hooked("vendor.call", lambda: box.box.void(CONTACT, id))
    assert box.apply(units)[work.seq].answer is Answer.ABSENT


def test_trap_a_limited_employee_is_refused_and_nothing_changes(box: Box) -> None:
    id = box.person(owner=["1002"])
    work, units = box.going(id)
    box.hooked("vendor.call", lambda: box.world.switches.limited_users.append("1002"))
    said = box.apply(units)[work.seq]
    assert (said.answer, said.code) == (Answer.REFUSED, "refused") and not box.voided(id)


@pytest.mark.parametrize(("voided", "answer"), [("no", Answer.REFUSED), ("filtered", Answer.DONE), ("yes", Answer.DONE)])
def test_trap_a_void_that_nothing_shows_cannot_be_compared_and_is_undone(box: Box, voided: Any, answer: Answer) -> None:
    box.world.switches.get_shows_voided, box.world.switches.voided_in_query = False, voided
    id = box.person()
    work, units = box.going(id)
    said = box.apply(units)[work.seq]
    assert said.answer is answer and box.voided(id) == (answer is Answer.DONE)
    assert answer is Answer.DONE or said.code == "void_is_hidden"


@pytest.mark.parametrize("code", [-1, -2, 50009])
@pytest.mark.parametrize("applied", [True, False])
def test_trap_a_code_of_the_vendors_own_trouble_says_nothing_of_the_void(box: Box, code: int, applied: bool) -> None:
    id, next_one = box.person(), box.person()
    works = [box.work(id), box.work(next_one)]
    units = box.units(*works)
    box.world.faults[:] = [Fault("code_after" if applied else "code", "data/invalid", code)]
    said = box.apply(units)
    assert works[0].seq not in said and said[works[1].seq].answer is Answer.LATER, "nothing more is sent before it is known"
    assert box.settle(works[0])[works[0].seq].state == ("done" if applied else "again") and not box.voided(next_one)


@pytest.mark.parametrize(("kind", "state"), [("html_after", "done"), ("html", "again"), ("late", "done")])
def test_trap_a_page_or_a_cut_answer_is_settled_by_reading(box: Box, kind: str, state: str) -> None:
    id = box.person()
    work, units = box.going(id)
    box.world.faults[:] = [Fault(kind, "data/invalid")]
    assert work.seq not in box.apply(units)
    for call in box.world.late:
        call()
    assert box.settle(work)[work.seq].state == state and box.voided(id) == (state == "done")


@pytest.mark.parametrize(("option", "names"), [("doubted", True), ("doubted", False), ("stamped", True)])
def test_trap_who_voided_a_record_whose_answer_was_lost(served: Any, tmp_path: Path, option: str, names: bool) -> None:
    with opened(served, tmp_path, who_voided=option) as box:
        box.world.switches.void_names = names
        ours, theirs = box.person("Ours"), box.person("Theirs")
        box.writer.read([RecordKey("contact", ours)])
        for id, kind in ((ours, "cut_after"), (theirs, "cut")):
            work, units = box.going(id)
            box.world.faults[:] = [Fault(kind, "data/invalid")]
            box.apply(units)
            if id == theirs:
                box.box.void(CONTACT, id)
            assert box.settle(work)[work.seq].state == ("done" if id == ours else "gone")


def test_a_day_that_is_used_up_sends_nothing_and_the_next_read_says_so(box: Box) -> None:
    id = box.person()
    work, units = box.going(id)
    box.world.count_day()
    box.world.switches.daily_quota = box.world.day_calls
    assert box.apply(units).get(work.seq, None) is None or not box.voided(id)
    with pytest.raises(ThrottledError):
        box.writer.read([RecordKey("contact", id)])
    assert not box.voided(id)


def test_a_token_that_ran_out_is_renewed_and_the_change_made_once(box: Box) -> None:
    id = box.person()
    work, units = box.going(id)
    box.hooked("vendor.call", lambda: box.world.clock.advance(7_300))
    assert box.apply(units)[work.seq].answer is Answer.DONE and box.lines("invalid", id) == 1


def test_voiding_uses_the_limit_and_never_passes_it(box: Box) -> None:
    ids = [box.person(f"Many {n}") for n in range(240)]
    box.world.switches.voided_in_query = "filtered"
    began, before = box.world.clock.now(), box.box.asked("data/invalid")
    for start in range(0, len(ids), 20):
        works = [box.work(i) for i in ids[start : start + 20]] if start == 0 else []
        keys = [RecordKey("contact", i) for i in ids[start : start + 20]]
        found = box.writer.read(keys, links_of=keys).records
        works = []
        for key in keys:
            record = found[key]
            assert isinstance(record, Record)
            Asked.seq += 1
            works.append(Work(Asked.seq, "contact", key.id, "soft_delete", None, record.version, record.digest))
        units = box.units(*works)
        said = box.apply(units)
        assert {r.answer for r in said.values()} == {Answer.DONE} and len(said) == 20
        assert {s.state for s in box.settle(*works).values()} == {"done"}
    took = box.world.clock.now() - began
    (refused,) = box.world.db.execute(
        "SELECT count(*) FROM request_log WHERE code = 30004 AND at >= ?", (began * 1000,)
    ).fetchone()
    assert refused == 0 and box.box.asked("data/invalid") - before == 240
    # Two full windows lie behind the 240th call; its share of the third is not waited for.
    assert took <= 2 * 20 / 0.95, took


# ------------------------------------------------------------------------------------------------ delete for good


def test_trap_delete_is_void_compare_delete_twenty_a_call(box: Box) -> None:
    ids = [box.person(f"Del {n}") for n in range(20)]
    works = [box.work(i, "hard_delete") for i in ids]
    before = box.box.asked("data/delete")
    said = box.apply(box.units(*works))
    assert {r.answer for r in said.values()} == {Answer.DONE} and len(said) == 20
    assert box.box.asked("data/delete") - before == 1 and all(box.world.get(CONTACT, i) is None for i in ids)
    assert {s.state for s in box.settle(*works).values()} == {"done"}


def test_trap_an_edit_before_a_final_delete_is_seen_while_nothing_is_final(box: Box) -> None:
    ids = [box.person(f"Del {n}") for n in range(3)]
    works = [box.work(i, "hard_delete") for i in ids]
    units = box.units(*works)
    box.hooked("vendor.call", lambda: box.box.edit(CONTACT, ids[1], job_title="Edited"))
    said = box.apply(units)
    assert [said[w.seq].answer for w in works] == [Answer.DONE, Answer.CHANGED, Answer.DONE]
    assert box.stored(ids[1])["job_title"] == "Edited" and not box.voided(ids[1])


def test_trap_a_list_that_was_done_in_part_is_read_back(box: Box) -> None:
    box.world.switches.partial_lists = True
    ids = [box.person(f"Del {n}") for n in range(3)]
    works = [box.work(i, "hard_delete") for i in ids]
    units = box.units(*works)
    box.hooked("vendor.call", lambda: box.box.recover(CONTACT, ids[1]), nth=4)  # three voids, then the list
    said = box.apply(units)
    assert [said[w.seq].answer for w in works] == [Answer.DONE, Answer.CHANGED, Answer.DONE]
    assert not box.voided(ids[1])


@pytest.mark.parametrize("nth", [1, 2, 3, 4])
@pytest.mark.parametrize("point", ["vendor.call", "vendor.called"])
def test_a_final_delete_that_was_cut_off_is_gone_on_with(box: Box, point: str, nth: int) -> None:
    ids = [box.person(f"Cut {n}") for n in range(3)]
    works = [box.work(i, "hard_delete") for i in ids]
    units = box.units(*works)

    def kill() -> None:
        raise Killed

    box.hooked(point, kill, nth)
    if point == "vendor.call" or nth == 1:
        with pytest.raises(Killed):
            box.apply(units)
    else:
        box.apply(units)
    box.writer._hook = lambda name: None
    settled = box.settle(*works)
    assert {s.state for s in settled.values()} <= {"again", "partly", "done"}
    for work in works:
        if settled[work.seq].state == "partly":
            rest = box.decider.rest([work])
            assert rest is not None
            box.writer.go_on([rest], manifest=MANIFEST)
        elif settled[work.seq].state == "again":
            assert not box.voided(work.id)
            box.apply(box.units(box.work(work.id, "hard_delete")))
        assert box.world.get(CONTACT, work.id) is None and box.lines("delete", work.id) == 1


def test_a_final_delete_that_is_refused_leaves_the_record_as_it_was(box: Box) -> None:
    id = box.person()
    work, units = box.going(id, "hard_delete")
    box.world.faults[:] = [Fault("code", "data/delete", OWN_CODE)]
    said = box.apply(units)[work.seq]
    assert (said.answer, said.code) == (Answer.REFUSED, "refused") and not box.voided(id)


@pytest.mark.parametrize(
    ("code", "answer"), [(20020, Answer.REFUSED), (15002, Answer.REFUSED), (OWN_CODE, Answer.REFUSED), (30004, Answer.LATER), (50009, None)]
)  # fmt: skip
def test_what_stops_a_list_in_its_middle_leaves_none_voided_and_unsaid(box: Box, code: int, answer: Answer | None) -> None:
    ids = [box.person(f"Del {n}") for n in range(3)]
    works = [box.work(i, "hard_delete") for i in ids]
    units = box.units(*works)
    box.world.faults[:] = [Fault("code", "data/invalid", code, skip=1)]
    said = box.apply(units)
    assert said[works[0].seq].answer is Answer.DONE and box.world.get(CONTACT, ids[0]) is None
    assert (said[works[1].seq].answer if works[1].seq in said else None) is answer and not box.voided(ids[1])
    last = said[works[2].seq].answer
    assert last is (Answer.DONE if answer is Answer.REFUSED else Answer.LATER)
    assert (box.world.get(CONTACT, ids[2]) is None) == (last is Answer.DONE)


@pytest.mark.parametrize("code", [20020, 15002])
def test_a_final_delete_that_is_denied_is_taken_back(box: Box, code: int) -> None:
    id = box.person()
    work, units = box.going(id, "hard_delete")
    box.world.faults[:] = [Fault("code", "data/delete", code)]
    assert box.apply(units)[work.seq].answer is Answer.REFUSED and not box.voided(id)


def test_a_record_of_somebody_who_has_left_is_made_anew_without_that_owner(box: Box) -> None:
    stopped = next(str(p["number"]) for p in box.world.employees() if p["stopped"])
    id, _before, effects = went(box, "hard_delete", owner=[stopped])
    moved: dict[tuple[str, str], str] = {}
    assert [a.answer for a in restore(box, effects, moved).values()] == [Answer.DONE]
    assert box.stored(moved["contact", id])["owner"] == ["1002"]


def test_a_final_delete_asked_to_wait_waits(box: Box) -> None:
    id = box.person()
    work, units = box.going(id, "hard_delete")
    box.world.faults[:] = [Fault("code", "data/delete", 14001, times=2)]
    assert box.apply(units)[work.seq].answer is Answer.DONE and box.world.get(CONTACT, id) is None


def test_a_final_delete_that_stays_half_is_said_and_a_restore_takes_it_back(box: Box) -> None:
    id = box.person()
    work, units = box.going(id, "hard_delete")
    box.world.faults[:] = [Fault("cut", "data/delete")]
    assert work.seq not in box.apply(units)
    said = box.settle(work)[work.seq]
    assert said.state == "partly" and said.made == (f"contact/{id} life_status",)
    moved: dict[tuple[str, str], str] = {}
    answers = restore(box, units[0].effects, moved)
    assert [a.answer for a in answers.values()] == [Answer.DONE] and not moved and not box.voided(id)


# ------------------------------------------------------------------------------------------------ update, owner


@pytest.mark.parametrize("on", [True, False])
def test_trap_workflows_and_approvals_are_off_unless_signed(box: Box, on: bool) -> None:
    box.world.switches.approval_on_edit = True
    box.writer.side_effects = frozenset({"triggerWorkFlow", "triggerApprovalFlow"} if on else ())
    id = box.person()
    work, units = box.update(id, job_title="New")
    box.apply(units)
    assert (box.stored(id)["job_title"] == "New") != on and box.lines("workflow", id) == box.lines("approval", id) == int(on)
    assert (box.settle(work)[work.seq].state == "done") != on


def test_trap_the_owner_has_a_call_of_its_own(box: Box) -> None:
    id = box.person()
    work, units = box.update(id, owner="1000", job_title="New")
    assert box.apply(units)[work.seq].answer is Answer.DONE
    assert box.stored(id)["owner"] == ["1000"] and box.stored(id)["job_title"] == "New"
    assert box.lines("changeOwner", id) == box.lines("update", id) == 1
    assert box.settle(work)[work.seq].state == "done"


@pytest.mark.parametrize("point", ["vendor.call", "vendor.called"])
@pytest.mark.parametrize("nth", [1, 2])
def test_an_update_with_a_change_of_owner_that_was_cut_off_is_gone_on_with(box: Box, point: str, nth: int) -> None:
    survivor, loser = box.person("Stays", owner=["1000"]), box.person("Goes")
    work = box.work(loser, "merge_into", target=survivor, choices={"job_title": loser, "owner": loser})
    units = box.units(work)

    def kill() -> None:
        raise Killed

    box.hooked(point, kill, nth)
    with pytest.raises(Killed):
        box.apply(units)
    state = box.settle(work)[work.seq].state
    if state == "partly":
        rest = box.decider.rest([work])
        assert rest is not None
        box.writer.go_on([rest], manifest=MANIFEST)
    else:
        assert state == "again" and (point, nth) == ("vendor.call", 1)
        work = box.work(loser, "merge_into", target=survivor, choices=work.choices)
        box.apply(box.units(work))
    assert box.settle(work)[work.seq].state == "done"
    assert box.stored(survivor)["owner"] == ["1001"] and box.stored(survivor)["job_title"] == "Goes" and box.voided(loser)
    assert box.lines("update", survivor) == box.lines("changeOwner", survivor) == box.lines("invalid", loser) == 1


def test_a_stopped_employee_becomes_no_owner(box: Box) -> None:
    stopped = next(str(p["number"]) for p in box.world.employees() if p["stopped"])
    id = box.person()
    for owner, code in ((stopped, "no_such_user"), ("9999", "no_such_user"), (None, "no_owner")):
        work, units = box.update(id, owner=owner)
        said = box.apply(units)[work.seq]
        assert (said.answer, said.code) == (Answer.REFUSED, code) and box.stored(id)["owner"] == ["1001"]


@pytest.mark.parametrize("empties", ["null", "empty"])
def test_trap_what_empties_a_field_is_the_tenants(served: Any, tmp_path: Path, empties: Any) -> None:
    with opened(served, tmp_path, empties=empties) as box:
        box.world.switches.null_clears = empties
        id = box.person()
        deal = box.box.new("NewOpportunityObj", contact__c=id)
        work = box.work(id)
        said = box.apply(box.units(work))
        assert said[work.seq].answer is Answer.DONE and box.settle(work)[work.seq].state == "done"
        assert box.stored(deal, "NewOpportunityObj")["contact__c"] is None
        other = box.person("Text")
        blanked, units = box.update(other, job_title="")
        box.apply(units)
        assert box.settle(blanked)[blanked.seq].state == "done" and box.stored(other)["job_title"] is None


def test_an_emptied_field_that_stays_full_is_never_called_done(box: Box) -> None:
    box.world.switches.null_clears = "empty"  # and the profile says null
    id = box.person("Text")
    work, units = box.update(id, job_title=None)
    box.apply(units)
    assert box.settle(work)[work.seq].state == "again" and box.stored(id)["job_title"] == "Text"


def test_values_travel_as_they_are_stored(box: Box) -> None:
    """What is read and sent again is what was there, for every field that a call may set."""
    compared = 0
    for entry in box.box.mapping.objects.values():
        kinds = payload.kinds(box.writer.reader.fields(entry))
        can = box.writer.writable(entry, create=True)
        stored = {str(d["_id"]): d for d in box.world.records(str(entry.source))}
        for part in box.writer.reader.scan(entry.name):
            for record in part:
                for name in can:
                    sent = payload.as_sent(kinds.get(name, ""), name, record.fields[name])
                    assert sent == stored[record.key.id][name], (entry.name, name)
                    compared += sent is not None
    assert compared > 2_000


# ------------------------------------------------------------------------------------------------ employees


def test_trap_employees_are_never_deleted_made_or_recovered_whatever_the_mapping_says(box: Box) -> None:
    entry = replace_entry(box, "user", role="person", key="_id")
    before = {str(d["_id"]): d for d in box.world.records("PersonnelObj")}
    assert box.writer.writable(entry, create=True) == box.writer.writable(entry, create=False) == frozenset()
    assert not box.writer.can_renumber("user")
    key = next(iter(before))
    for act in (
        lambda: box.writer.send_delete(entry, [Record(RecordKey("user", key), {})], "bin"),
        lambda: box.writer.send_delete(entry, [Record(RecordKey("user", key), {})], "delete"),
        lambda: box.writer.send_unbin(entry, key),
        lambda: box.writer.send_insert(entry, {"name": "Somebody"}),
    ):
        with pytest.raises(Refused, match="is_a_user"):
            act()
    assert {str(d["_id"]): d for d in box.world.records("PersonnelObj")} == before


def replace_entry(box: Box, name: str, **words: Any) -> Any:
    return msgspec.structs.replace(box.box.mapping.objects[name], **words)


@pytest.mark.parametrize(("option", "editable"), [("no", True), ("edit", True), ("edit", False)])
def test_trap_whether_an_employee_can_be_stopped_is_the_tenants(
    served: Any, tmp_path: Path, option: str, editable: bool
) -> None:
    with opened(served, tmp_path, stops_users=option) as box:
        box.world.switches.personnel_editable = editable
        number = next(str(p["number"]) for p in reversed(box.world.employees()) if not p["stopped"])
        key = RecordKey("user", number)
        found = box.writer.read([key]).records[key]
        assert isinstance(found, Record)
        Asked.seq += 1
        work = Work(Asked.seq, "user", number, "deactivate_user", None, found.version, found.digest)
        unit = Unit(f"#{work.seq}", (work,), (Effect(work.seq, "item", "update", found, {"status": "1"}),))
        said = box.apply([unit])[work.seq]
        person = box.world.employee(number)
        assert person is not None and bool(person["stopped"]) == (option == "edit" and editable)
        assert said.answer is (Answer.DONE if option == "edit" and editable else Answer.REFUSED)
        assert said.code == {"no": "not_writable", "edit": "" if editable else "refused"}[option]
        if person["stopped"]:
            assert box.settle(work)[work.seq].state == "done"
            box.world.db.execute("UPDATE employee SET stopped = 0 WHERE number = ?", (number,))


# ------------------------------------------------------------------------------------------------ bringing back


def went(box: Box, action: str, **values: Any) -> tuple[str, Record, Sequence[Effect]]:
    """A contact that has gone."""
    id = box.person("Gone", **values)
    before = box.record(id)
    work, units = box.going(id, action)
    assert box.apply(units)[work.seq].answer is Answer.DONE
    return id, before, units[0].effects


def test_recovering_keeps_the_id_and_every_field(box: Box) -> None:
    id, before, effects = went(box, "soft_delete", interests__c=["news"], helpers__c=["1000", "1001"], date_of_birth=86_400_000)
    moved: dict[tuple[str, str], str] = {}
    assert [a.answer for a in restore(box, effects, moved).values()] == [Answer.DONE] and not moved
    after = box.record(id)
    moving = box.writer.moving("contact")
    assert {n: v for n, v in after.fields.items() if n not in moving} == {
        n: v for n, v in before.fields.items() if n not in moving
    }


def test_trap_a_query_that_lags_claims_nothing_of_a_restore(box: Box) -> None:
    id, _before, effects = went(box, "soft_delete")
    other, _before, more = went(box, "soft_delete")
    box.box.recover(CONTACT, id)
    box.box.recover(CONTACT, other)
    box.world.switches.query_lags = True
    for key in (id, other):
        box.box.void(CONTACT, key)  # a query shows them live from here on
    answers = restore(box, [*effects, *more], {})
    assert [(a.answer, a.code) for a in answers.values()] == [(Answer.DONE, "")] * 2
    assert not box.voided(id) and not box.voided(other)


def test_what_somebody_has_deleted_for_good_since_is_made_anew(box: Box) -> None:
    id, before, effects = went(box, "soft_delete", helpers__c=["1000"], files__c=[{"path": "N_1", "ext": "pdf"}])
    box.world.drop(CONTACT, id)
    moved: dict[tuple[str, str], str] = {}
    assert [a.answer for a in restore(box, effects, moved).values()] == [Answer.DONE]
    doc = box.stored(moved["contact", id])
    assert doc["create_time"] == before_ms(before) and doc["created_by"] == ["1002"] and doc["owner"] == ["1001"]
    assert doc["helpers__c"] == ["1000"] and doc["files__c"] == [{"path": "N_1", "ext": "pdf"}]
    assert box.lines("workflow", str(doc["_id"])) == 0


def before_ms(record: Record) -> int:
    return int(payload.as_sent("date_time", "create_time", record.fields["create_time"]))


@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.parametrize("stamps", [True, False])
@pytest.mark.parametrize("kind", ["cut", "cut_after", "late", ""])
def test_trap_a_record_made_without_an_answer_is_found_by_its_author_not_by_its_time(
    box: Box, kind: str, stamps: bool, tells: bool
) -> None:
    box.world.switches.specified_time_is_change, box.world.switches.create_tells_id = stamps, tells
    id, _before, effects = went(box, "hard_delete")
    live = sum(not d["is_deleted"] for d in box.world.records(CONTACT))
    if kind:
        box.world.faults[:] = [Fault(kind, "data/create")]
    moved: dict[tuple[str, str], str] = {}
    settle = box.writer.settle

    def later(works: Sequence[Work], *, manifest: str) -> Any:
        for call in box.world.late:
            call()
        box.world.late.clear()
        return settle(works, manifest=manifest)

    box.writer.settle = later  # type: ignore[method-assign]  # the engine waits before it settles
    restore(box, effects, moved)
    assert box.stored(moved["contact", id])["name"] == "Gone"
    assert sum(not d["is_deleted"] for d in box.world.records(CONTACT)) == live + 1, "made once"


def test_trap_a_record_that_the_vendor_rewrote_is_not_made_a_second_time(box: Box) -> None:
    deal = box.box.new("NewOpportunityObj", name="Deal", amount="100.1", sales_stage="won")
    key = RecordKey("deal", deal)
    found = box.writer.read([key]).records[key]
    assert isinstance(found, Record)
    box.world.switches.rewrites_numbers = True
    box.world.faults[:] = [Fault("cut_after", "data/create")]
    Asked.seq += 1
    work = Work(Asked.seq, "deal", deal, "restore", of_seq=1)
    unit = Unit(f"#{work.seq}", (work,), (Effect(work.seq, "item", "insert", found, {}, True),))
    assert work.seq not in box.apply([unit])
    assert work.seq not in box.settle(work), "nobody knows, so nothing is sent again"


def test_trap_an_author_filter_that_fails_open_finds_nobody_elses_records(box: Box) -> None:
    box.world.switches.ignored_filters = ["created_by"]
    entry = box.box.mapping.objects["lead"]
    ours = {str(d["_id"]) for d in box.world.records("LeadsObj") if d["created_by"] == ["1002"] and not d["is_deleted"]}
    found = {r.key.id for r in box.writer.made_since(entry, datetime.now(UTC))}
    assert found == ours and 0 < len(ours) < len(list(box.world.records("LeadsObj")))


def test_a_person_who_recovers_first_is_no_failure(box: Box) -> None:
    id, _before, effects = went(box, "soft_delete")
    box.hooked("vendor.call", lambda: box.box.recover(CONTACT, id))
    assert [a.answer for a in restore(box, effects, {}).values()] == [Answer.DONE] and not box.voided(id)


def test_the_legacy_style_writes_too(box: Box) -> None:
    """There people are named by their open id, in calls and in answers."""
    acting, owner = box.world.employee("1002"), box.world.employee("1000")
    assert acting is not None and owner is not None
    keys = {"app_id": "FSAID_sandbox", "app_secret": "sandbox-secret", "permanent_code": "sandbox-code"}
    said = replace_profile(profile(box.box.address, style="body"), write={**keys, "user_id": str(acting["open_id"])})
    old = box.writer
    box.writer = FxiaokeWriter(FxiaokeReader(said, box.box.mapping, write=True, clock=box.box.clock), box.box.steps)
    try:
        id = box.person()
        work, units = box.update(id, owner=str(owner["open_id"]), job_title="New")
        assert box.apply(units)[work.seq].answer is Answer.DONE and box.settle(work)[work.seq].state == "done"
        assert (box.stored(id)["owner"], box.stored(id)["job_title"]) == (["1000"], "New")
        work, units = box.going(id, "hard_delete")
        assert box.apply(units)[work.seq].answer is Answer.DONE
        moved: dict[tuple[str, str], str] = {}
        assert [a.answer for a in restore(box, units[0].effects, moved).values()] == [Answer.DONE]
        assert box.stored(moved["contact", id])["created_by"] == ["1002"]
    finally:
        box.writer.close()
        box.writer = old


def replace_profile(profile: Any, **words: Any) -> Any:
    return msgspec.structs.replace(profile, **words)


def test_writer_and_reader_are_two_employees(box: Box, tmp_path: Path) -> None:
    assert box.writer.reader.access().acts_as == "1002" and box.box.look.reader.access().acts_as == "1000"
    stamped = profile(box.box.address, who_voided="stamped")
    other = FxiaokeWriter(FxiaokeReader(stamped, box.box.mapping, write=True), StepLog(box.box.steps._db))
    assert (box.writer.me, other.me) == ("", "1002")
    other.close()
    assert CHANGES.count("|") == 5 and isinstance(
        box.writer.read([RecordKey("contact", "0" * 24)]).records[RecordKey("contact", "0" * 24)], Absent
    )
