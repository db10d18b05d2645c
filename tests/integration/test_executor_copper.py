"""The Copper writer over the Copper sandbox, over real HTTP: each writing line and trap of the contract page has a test.

What every writer must do is asked by the conformance suite; here is what only Copper does, and what its contract leaves
unverified, in both settings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import httpx
import pytest

from steward.commands.propose import anonymise_rule
from steward.crm.copper_fields import names_of
from steward.executor.plan import LiveDecider
from steward.executor.ports import Answer, Effect, Reading, State, Unit, Work
from steward.executor.restore import RestoreDecider
from steward.executor.writers.copper import CopperWriter
from steward.records import Absent, Link, Record, RecordKey, canonical_text
from tests.conformance.test_executor_writers import MANIFEST, Asked, Frames, Killed, restore, same_but_for
from tests.support.copper_sandbox import Copies, Sandbox
from tests.support.writer_case import WriterCase
from tests.support.writer_copper import MARK, Between, People, case_on, open_reader, writes

Open = Callable[..., "Hand"]


class Hand(Asked):
    """One writer with its sandbox; ``of`` asks about another object than people."""

    def __init__(self, case: WriterCase, box: Sandbox, between: Between) -> None:
        super().__init__(case)
        self.box, self.between, self.people = box, between, People(box)
        assert isinstance(case.writer, CopperWriter)
        self.copper: CopperWriter = case.writer

    def of(self, object: str) -> Hand:
        return Hand(replace(self.case, person=object), self.box, self.between)

    def now(self, object: str, id: str) -> Record | Absent | None:
        return self.writer.read([RecordKey(object, id)]).records.get(RecordKey(object, id))

    def there(self, object: str, id: str) -> Record:
        found = self.now(object, id)
        assert isinstance(found, Record)
        return found

    def update(self, id: str, /, **changes: Any) -> tuple[Work, list[Unit]]:
        work = replace(self.work(id), action="anonymise", related=())
        return work, [Unit(f"#{work.seq}", (work,), (Effect(work.seq, "item", "update", self.record(id), changes),))]

    def for_good(self, id: str) -> tuple[Work, list[Unit]]:
        """A unit that deletes a record for good, past the judge."""
        work = replace(self.work(id), action="hard_delete", related=())
        return work, [Unit(f"#{work.seq}", (work,), (Effect(work.seq, "item", "delete", self.record(id)),))]

    def sent(self) -> list[tuple[str, str]]:
        """Calls that wrote, so far."""
        return [call for call in self.between.calls if writes(*call)]

    def before_write(self, act: Callable[[], object], method: str = "") -> None:
        """Do something after the last look, just before the next call that writes."""

        def once(request: httpx.Request) -> None:
            if not method or request.method == method:
                self.between.before = lambda request: None
                act()

        self.between.before = once


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Copies:
    return Copies(tmp_path_factory.mktemp("copper"), 60)


@pytest.fixture(scope="module")
def served(copies: Copies) -> Iterator[Sandbox]:
    with copies.running() as sandbox:
        yield sandbox


@pytest.fixture
def box(copies: Copies, served: Sandbox) -> Sandbox:
    copies.reset(served.state)
    return served


@pytest.fixture
def hand(box: Sandbox) -> Iterator[Open]:
    with ExitStack() as stack:

        def make(*, soft: bool = False, **options: str) -> Hand:
            between = Between()
            return Hand(stack.enter_context(case_on(box, soft=soft, between=between, **options)), box, between)

        yield make


def applied(ask: Hand, work: Work, units: list[Unit]) -> str:
    ask.apply(units)
    return ask.settle(work)[work.seq].state


# deleting softly ----------------------------------------------------------------------------------------------------


def test_a_soft_delete_is_a_tag_beside_the_tags_there_are_and_nothing_else(hand: Open) -> None:
    ask = hand(soft=True)
    id = ask.people.new("people", name="Ada", tags=["vip", "berlin"], details="kept")
    before, work = ask.record(id), ask.work(id)
    units = ask.units(work)
    assert work.action == "soft_delete" and applied(ask, work, units) == "done"
    assert ask.people.row("people", id)["tags"] == ["vip", "berlin", MARK]  # type: ignore[index]
    assert ask.sent() == [("PUT", f"/people/{id}")]
    restore(ask, units[0].effects, {})
    assert ask.people.row("people", id)["tags"] == ["vip", "berlin"]  # type: ignore[index]
    assert same_but_for(before, ask.record(id), "date_modified") == []


def test_an_edit_between_the_last_look_and_the_tag_is_kept(hand: Open) -> None:
    ask = hand(soft=True)
    id = ask.people.new("people", name="Ada", title="Old", tags=["vip"])
    work = ask.work(id)
    units = ask.units(work)
    ask.before_write(lambda: ask.people.edit("people", id, title="New"))
    assert applied(ask, work, units) == "done"
    row = ask.people.row("people", id)
    assert row is not None and (row["title"], row["tags"]) == ("New", ["vip", MARK])


def test_a_tag_that_somebody_has_set_since_the_review_is_drift(hand: Open) -> None:
    ask = hand(soft=True)
    id = ask.people.new("people", name="Ada", tags=["vip"])
    units = ask.units(work := ask.work(id))
    ask.people.edit("people", id, tags=["vip", "do not delete"])
    assert ask.apply(units)[work.seq].answer is Answer.CHANGED, "however short ago it was read"
    assert ask.sent() == []


@pytest.mark.parametrize("habit", ["replace", "add"])
def test_tags_that_are_added_and_not_replaced_are_never_called_taken_away(hand: Open, box: Sandbox, habit: str) -> None:
    ask = hand(soft=True)
    id = ask.people.new("people", name="Ada", tags=["vip"])
    units = ask.units(work := ask.work(id))
    assert applied(ask, work, units) == "done"
    box.state.switches.turn({"tags": habit})
    decider = RestoreDecider(ask.writer, ask.case.mapping, Frames(units[0].effects))  # type: ignore[arg-type]  # the backup
    back = Work(9_002, "contact", id, "restore", of_seq=work.seq)
    found, _, _ = decider.decide([back])
    ask.apply(found)
    assert (MARK in ask.people.row("people", id)["tags"]) == (habit == "add")  # type: ignore[index]
    assert (ask.settle(back)[back.seq].state == "done") == (habit == "replace")


def test_another_tag_may_be_named(hand: Open) -> None:
    ask = hand(soft=True, deleted_tag="zum Löschen")
    id = ask.people.new("people", name="Ada")
    work = ask.work(id)
    assert applied(ask, work, ask.units(work)) == "done"
    assert ask.people.row("people", id)["tags"] == ["zum Löschen"]  # type: ignore[index]


def test_what_hangs_on_a_marked_record_stays_below_it(hand: Open) -> None:
    ask = hand(soft=True)
    id = ask.people.new("people", name="Ada")
    note = ask.people.new(
        "activities", parent={"id": int(id), "type": "person"}, type={"id": 0, "category": "user"}, details="x"
    )
    work = ask.work(id)
    kept = replace(work, related=tuple(replace_rule(r) for r in work.related))
    assert applied(ask, kept, ask.units(kept)) == "done"
    assert ask.there("activity", note).fields["person_id"] == int(id)


def replace_rule(related: Any) -> Any:
    import msgspec

    return msgspec.structs.replace(related, rule="keep")


# deleting for good --------------------------------------------------------------------------------------------------


def test_a_deletion_is_one_call_and_the_record_was_read_directly_before(hand: Open) -> None:
    ask = hand()
    ids = [ask.people.new("people", name=f"Ada {n}") for n in range(3)]
    works = [ask.work(i) for i in ids]
    units = ask.units(*works)
    ask.between.calls.clear()
    ask.apply(units)
    for id in ids:
        at = ask.between.calls.index(("DELETE", f"/people/{id}"))
        assert ask.between.calls[at - 1] == ("GET", f"/people/{id}")
        assert ask.between.calls.count(("DELETE", f"/people/{id}")) == 1
    assert len(ask.sent()) == 3, "no bulk call, no second one"
    assert all(ask.settle(w)[w.seq].state == "done" for w in works)


def test_what_hangs_on_a_record_since_it_was_looked_at_keeps_it(hand: Open) -> None:
    ask = hand()
    id = ask.people.new("people", name="Ada")
    units = ask.units(work := ask.work(id))
    ask.people.new("opportunities", name="Deal", primary_contact_id=int(id))
    said = ask.apply(units)[work.seq]
    assert (said.answer, said.code) == (Answer.CHANGED, "children_changed") and ask.live(id)


@pytest.mark.parametrize("what", ["file", "connect field", "primary contact"])
def test_what_nothing_brings_back_keeps_a_record(hand: Open, box: Sandbox, what: str) -> None:
    company = People(box).new("companies", name="Acme")
    id = People(box).new("people", name="Ada", company_id=int(company))
    if what == "file":
        box.state.query("INSERT INTO file VALUES (NULL, 'people', ?, '{\"name\": \"a.pdf\"}')", int(id))
    elif what == "connect field":
        box.state.query("INSERT INTO link VALUES (NULL, 7, 'people', ?, 'people', 1)", int(id))
    else:
        People(box).edit("companies", company, primary_contact_id=int(id))
    _, verdicts = hand().decide(replace(hand().work(id), related=()))
    assert [(v.state, v.code) for v in verdicts] == [(State.BLOCKED, "children_remain")]
    ask = hand(soft=True)  # the plan that deletes for good although a mark would do does not know: the writer asks
    work, units = ask.for_good(id)
    assert ask.apply(units)[work.seq].answer is Answer.CHANGED and ask.live(id)
    work = ask.work(id, "merge_into", target=ask.people.new("people", name="Survivor"))
    said = ask.apply(ask.units(work))[work.seq]
    assert (said.answer, said.code) == (Answer.CHANGED, "children_remain") and ask.sent() == [] and ask.live(id)
    if what == "file":
        work, units = (free := hand(files="ignore")).for_good(id)
        assert free.apply(units)[work.seq].answer is Answer.DONE


def test_a_company_that_marked_people_still_refer_to_is_not_deleted_for_good(hand: Open) -> None:
    ask = hand(soft=True).of("company")
    id = ask.people.new("companies", name="Acme")
    ask.people.new("people", name="Ada", company_id=int(id), tags=[MARK])
    work = replace(ask.work(id), action="hard_delete")
    assert work.related == ()
    _, verdicts = ask.decide(work)
    assert [(v.state, v.code) for v in verdicts] == [(State.BLOCKED, "hidden_children")]


@pytest.mark.parametrize("second", ["404", "200"])
def test_a_record_that_goes_between_the_last_look_and_the_call(hand: Open, box: Sandbox, second: str) -> None:
    box.state.switches.turn({"second_delete": second})
    ask = hand()
    id = ask.people.new("people", name="Ada")
    units = ask.units(work := ask.work(id))
    ask.before_write(lambda: box.call("DELETE", f"/people/{id}"))
    said = ask.apply(units)[work.seq]
    assert said.answer is (Answer.ABSENT if second == "404" else Answer.DONE)


def test_at_a_second_attempt_an_unknown_record_may_be_our_own_work(hand: Open, box: Sandbox) -> None:
    ask = hand()
    id = ask.people.new("people", name="Ada")
    units = ask.units(work := ask.work(id))
    ask.before_write(lambda: box.call("DELETE", f"/people/{id}"))
    assert ask.writer.apply(units, manifest=MANIFEST, attempt=2) == {}
    assert ask.settle(work)[work.seq].state == "done"


def test_without_the_role_privacy_nothing_goes_for_good(hand: Open) -> None:
    ask = hand()
    work = ask.work(ask.people.new("people", name="Ada"))
    decider = replace(ask.decider, privacy=False)
    _, verdicts, _ = decider.decide([work])
    assert [(v.state, v.code) for v in verdicts] == [(State.BLOCKED, "needs_privacy")]
    assert isinstance(decider, LiveDecider)


@pytest.mark.parametrize("policy", ["orphan", "null", "cascade", "refuse"])
def test_whatever_copper_does_to_children_none_is_left_below_what_goes(hand: Open, box: Sandbox, policy: str) -> None:
    box.state.switches.turn({"on_delete": dict.fromkeys(("people.company", "opportunity.company", "task.related", "activity.parent"), policy)})  # fmt: skip
    ask = hand().of("company")
    survivor, loser = ask.people.new("companies", name="Acme"), ask.people.new("companies", name="ACME")
    children = {
        ("contact", "company_id"): ask.people.new("people", name="Ada", company_id=int(loser)),
        ("deal", "company_id"): ask.people.new("opportunities", name="Deal", company_id=int(loser)),
        ("task", "company_id"): ask.people.new("tasks", name="Call", related_resource={"id": int(loser), "type": "company"}),
        ("activity", "company_id"): ask.people.new(
            "activities", parent={"id": int(loser), "type": "company"}, type={"id": 0, "category": "user"}, details="note"
        ),
    }
    work = ask.work(loser, "merge_into", target=survivor)
    assert {(r.object, r.field) for r in work.related} == set(children)
    units = ask.units(work)
    assert applied(ask, work, units) == "done"
    assert not ask.live(loser)
    for (object, field), id in children.items():
        assert canonical_text(ask.there(object, id).fields[field]) == survivor, object
    moved: dict[tuple[str, str], str] = {}
    restore(ask, units[0].effects, moved)
    for (object, field), id in children.items():
        assert canonical_text(ask.there(object, id).fields[field]) == moved["company", loser], object


def test_a_deletion_that_search_does_not_see_yet_is_read_as_done(hand: Open, box: Sandbox) -> None:
    ask = hand()
    id = ask.people.new("people", name="Ada")
    units = ask.units(work := ask.work(id))
    box.state.switches.turn({"lag": True})
    box.state.faults.clear()
    ask.case.fault("applied")
    ask.apply(units)
    assert box.search("people", ids=[int(id)]) and ask.settle(work)[work.seq].state == "done"


def test_a_record_that_may_not_be_seen_is_never_settled_as_gone(box: Sandbox) -> None:
    with case_on(box) as case:
        ask = Hand(case, box, Between())
        id = ask.people.new("people", name="Ada", assignee_id=1)
        work = ask.work(id)
        ask.case.fault("lost")
        ask.apply(ask.units(work))
        box.state.switches.turn({"team_permissions": True})
        box.state.query("UPDATE access SET admin = 0")
        box.state.change("people", int(id), {"assignee_id": None})
        other = CopperWriter(open_reader(box, case.mapping), ask.copper._steps)
        assert other.read([RecordKey("contact", id)]).records == {}, "404 is no evidence here"
        assert other.settle([work], manifest=MANIFEST) == {}, "and so nobody says what became of it"
        other.close()


# answers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 202, 302, 418])
def test_an_answer_that_the_contract_does_not_have_says_nothing(hand: Open, status: int) -> None:
    ask = hand()
    id = ask.people.new("people", name="Ada")
    units = ask.units(work := ask.work(id))
    ask.between.before = lambda request: httpx.Response(status, text="<html>Well done</html>")
    assert ask.apply(units) == {}
    ask.between.before = lambda request: None
    assert ask.settle(work)[work.seq].state == "again" and ask.live(id)


@pytest.mark.parametrize("body", ["empty", "envelope"])
def test_429_is_not_repeated_by_the_writer(hand: Open, box: Sandbox, body: str) -> None:
    box.state.switches.turn({"rate_body": body})
    ask = hand()
    ids = [ask.people.new("people", name=f"Ada {n}") for n in range(2)]
    units = ask.units(*(works := [ask.work(i) for i in ids]))
    ask.case.fault("throttled")
    said = ask.apply(units)
    assert [said[w.seq].answer for w in works] == [Answer.LATER, Answer.LATER] and len(ask.sent()) == 1


def test_a_fault_with_a_page_of_html_leaves_it_open(hand: Open, box: Sandbox) -> None:
    ask = hand()
    id = ask.people.new("people", name="Ada")
    units = ask.units(work := ask.work(id))
    box.control("faults", {"kind": "500", "method": "DELETE"})
    assert ask.apply(units) == {} and ask.settle(work)[work.seq].state == "again"


@pytest.mark.parametrize("soft", [False, True], ids=["for good", "marked"])
def test_a_call_that_takes_effect_late_is_found_when_it_did(hand: Open, box: Sandbox, soft: bool) -> None:
    ask = hand(soft=soft)
    id = ask.people.new("people", name="Ada")
    units = ask.units(work := ask.work(id))
    box.control("faults", {"kind": "late", "method": "PUT" if soft else "DELETE"})
    assert ask.apply(units) == {}
    assert box.control("late") == {"applied": 1}, "the engine waits the longest life of a request before it reads"
    assert ask.settle(work)[work.seq].state == "done" and not ask.live(id)


def test_a_feature_that_is_off_is_a_refusal(hand: Open, box: Sandbox) -> None:
    ask = hand().of("lead")
    id = ask.people.new("leads", name="Ada")
    work, units = ask.for_good(id)
    ask.before_write(lambda: box.state.switches.turn({"leads": False}))
    said = ask.apply(units)[work.seq]
    assert (said.answer, said.code) == (Answer.REFUSED, "denied")


def test_no_text_of_copper_is_in_an_answer(hand: Open) -> None:
    ask = hand()
    id = ask.people.new("people", name="Ada")
    work, units = ask.update(id, name="   ")
    said = ask.apply(units)[work.seq]
    assert (said.answer, said.code) == (Answer.REFUSED, "refused")


# writing fields -----------------------------------------------------------------------------------------------------


def test_put_changes_what_it_names_and_null_clears(hand: Open, box: Sandbox) -> None:
    ask = hand()
    address = {"street": "Hauptstr. 1", "city": "Köln", "state": None, "postal_code": "50667", "country": "DE"}
    id = ask.people.new(
        "people", name="Ada", title="Dr", details="x", address=address, phone_numbers=[{"number": "1", "category": "work"}]
    )
    work, units = ask.update(id, title=None, address_city="Bonn", phone=None)
    assert applied(ask, work, units) == "done"
    row = ask.people.row("people", id)
    assert row is not None
    assert (row["title"], row["details"], row["address"]) == (None, "x", {**address, "city": "Bonn"})
    assert row["phone_numbers"] == []
    sent = [r for r in box.control("log", method="GET") if r["method"] == "PUT"][-1]["asked"]
    assert '"name"' not in sent and '"details"' not in sent


@pytest.mark.parametrize("habit", ["merge", "replace"])
def test_custom_fields_that_are_not_changed_stay(hand: Open, box: Sandbox, habit: str) -> None:
    box.state.switches.turn({"custom_fields": habit})
    ask = hand()
    fields = [{"custom_field_definition_id": n, "value": v} for n, v in ((1, "02/03/1990"), (2, True), (3, 31), (6, [61, 63]))]
    id = ask.people.new("people", name="Ada", custom_fields=fields)
    before = ask.record(id)
    work, units = ask.update(id, cf_3=32)
    assert applied(ask, work, units) == "done"
    assert same_but_for(before, ask.record(id), "date_modified") == ["cf_3"]


@pytest.mark.parametrize("form", ["us", "seconds"])
def test_days_are_written_in_the_form_that_the_profile_names(hand: Open, form: str) -> None:
    ask = hand(written_dates=form).of("task")
    id = ask.people.new("tasks", name="Call", due_date="02/03/2026")
    work, units = ask.update(id, due_date="2027-04-05")
    assert applied(ask, work, units) == "done"
    assert ask.people.row("tasks", id)["due_date"] == {"us": "04/05/2027", "seconds": 1806883200}[form]  # type: ignore[index]
    deal = ask.of("deal")
    id = deal.people.new("opportunities", name="Deal", close_date="02/03/2026")
    work, units = deal.update(id, close_date="2027-04-05")
    assert applied(deal, work, units) == "done"
    assert deal.people.row("opportunities", id)["close_date"] == "04/05/2027"  # type: ignore[index]


@pytest.mark.parametrize(
    "changes",
    [{"id": "7"}, {"date_created": "2020-01-01T00:00:00Z"}, {"interaction_count": 3}, {"cf_7": [1]},
     {"company_id": "anon-12"}, {"tags": "vip"}, {"emails": "a@example.com"}, {"more": {"x": 1}},
     {"email": "b@example.com", "emails": [{"email": "a@example.com", "category": "work"}]}],
    ids=lambda c: ",".join(c),
)  # fmt: skip
def test_what_a_column_cannot_hold_is_refused_before_the_call(hand: Open, changes: dict[str, Any]) -> None:
    ask = hand()
    id = ask.people.new("people", name="Ada")
    work, units = ask.update(id, **changes)
    said = ask.apply(units)[work.seq]
    assert (said.answer, said.code) == (Answer.REFUSED, "not_writable") and ask.sent() == []


def test_reassigning_changes_the_owner(hand: Open) -> None:
    ask = hand()
    id = ask.people.new("people", name="Ada", assignee_id=1)
    work = replace(ask.work(id), action="reassign", target="2", related=())
    assert applied(ask, work, ask.units(work)) == "done"
    assert ask.people.row("people", id)["assignee_id"] == 2  # type: ignore[index]


@pytest.mark.parametrize("object", ["contact", "company", "lead"])
def test_anonymising_leaves_nothing_of_the_person_and_is_read_back(hand: Open, object: str) -> None:
    ask = hand(soft=True).of(object)
    id = ask.people.new(KINDS[object], **whole(ask)[object])
    entry = ask.case.mapping.objects[object]
    rule = anonymise_rule(entry, ask.copper.reader.columns(object))
    work = replace(ask.work(id), action="anonymise", related=())
    units, verdicts, _ = replace(ask.decider, anonymise={object: rule}).decide([work])
    assert not verdicts and applied(ask, work, units) == "done"
    after = ask.record(id)
    name = after.fields["name"]
    assert isinstance(name, str) and name.startswith("anon-")
    left = {n for n, v in after.fields.items() if v not in (None, [], name, False)}
    kept = {"id", "date_created", "date_modified", "assignee_id", "company_id", "company_name", "status", "monetary_value"}
    assert left <= kept, left


# made again ---------------------------------------------------------------------------------------------------------

KINDS = {
    "contact": "people", "company": "companies", "lead": "leads", "deal": "opportunities", "project": "projects",
    "task": "tasks", "activity": "activities",
}  # fmt: skip


def whole(ask: Hand) -> dict[str, dict[str, Any]]:
    """A record of every kind in which everything that can be written is filled in."""
    company = ask.people.new("companies", name="Parent")
    person = ask.people.new("people", name="Parent")
    reach: dict[str, Any] = {
        "address": {"street": "Hauptstr. 1", "city": "Köln", "state": "NW", "postal_code": "50667", "country": "DE"},
        "phone_numbers": [{"number": "+49 1", "category": "work"}, {"number": "+49 2", "category": "mobile"}],
        "socials": [{"url": "https://social.example/ada", "category": "other"}],
        "websites": [{"url": "https://ada.example", "category": "personal"}],
    }
    common: dict[str, Any] = {"name": "Ada Byron", "assignee_id": 2, "details": 'a "quoted" line\nand 中文', "tags": ["b", "a"]}
    names = {"prefix": "Dr", "first_name": "Ada", "middle_name": "K", "last_name": "Byron", "suffix": "jr", "title": "Head"}
    fields = [{"custom_field_definition_id": n, "value": v} for n, v in ((1, "12/10/1815"), (2, True), (3, 31), (6, [61, 63]))]
    return {
        "contact": {
            **common, **reach, **names, "company_id": int(company), "contact_type_id": 4, "custom_fields": fields,
            "emails": [{"email": "ada@whole.example", "category": "work"}, {"email": "a@whole.example", "category": "personal"}],
        },
        "company": {**common, **reach, "email_domain": "whole.example", "contact_type_id": 4, "primary_contact_id": int(person)},
        "lead": {
            **common, **reach, **names, "email": {"email": "ada@lead.example", "category": "personal"}, "company_name": "Acme",
            "customer_source_id": 3, "monetary_value": 12.5, "monetary_unit": "EUR", "status": "New", "status_id": 1,
        },
        "deal": {
            **common, "status": "Lost", "pipeline_id": 1, "pipeline_stage_id": 2, "company_id": int(company), "priority": "High",
            "primary_contact_id": int(person), "close_date": "12/24/2026", "monetary_value": 1234.56, "win_probability": 40,
            "loss_reason_id": 5, "customer_source_id": 3,
        },
        "project": {**common, "status": "Open"},
        "task": {
            **common, "related_resource": {"id": int(person), "type": "person"}, "due_date": "12/24/2026", "reminder_date": "12/23/2026",
            "completed_date": "12/25/2026", "status": "Completed", "priority": "High",
        },
        "activity": {
            "type": {"id": 1, "category": "user"}, "parent": {"id": int(person), "type": "person"}, "details": "Rang", "user_id": 2,
            "activity_date": 1_700_000_000,
        },
    }  # fmt: skip


@pytest.mark.parametrize("dates_kept", [False, True], ids=["date of creation ignored", "date of creation honoured"])
@pytest.mark.parametrize("object", KINDS)
def test_everything_that_can_be_written_comes_back_under_a_new_id(
    hand: Open, box: Sandbox, object: str, dates_kept: bool
) -> None:
    box.state.switches.turn({"keep_given_dates": dates_kept})
    ask = hand().of(object)
    id = ask.people.new(KINDS[object], **whole(ask)[object])
    before = ask.record(id)
    filled = {n for n in ask.copper.writable(ask.case.mapping.objects[object], create=True) if before.fields[n] is None}
    assert filled <= {
        "cf_4",
        "cf_5",
        "project_id",
        "company_id",
        "lead_id",
        "opportunity_id",
        "cf_2",
        "cf_3",
        "emails",
        "email",
        "monetary_unit",
    }, filled
    if object == "company":
        ask.people.edit("companies", id, primary_contact_id=before.fields["primary_contact_id"])
        before = ask.record(id)
    work, units = ask.for_good(id)
    assert applied(ask, work, units) == "done"
    moved: dict[tuple[str, str], str] = {}
    answers = restore(ask, units[0].effects, moved)
    assert [a.answer for a in answers.values()] == [Answer.DONE]
    assert moved[object, id] != id
    after = ask.record(moved[object, id])
    assert same_but_for(before, after, "id", "date_created", "date_modified", "company_name") == []


@pytest.mark.parametrize(("first", "name"), [(None, "ada@noname.example"), ("Ada", "Ada")])
def test_a_record_without_a_name_comes_back_under_one(hand: Open, first: str | None, name: str) -> None:
    ask = hand()
    id = ask.people.new("people", name="x", first_name=first, emails=[{"email": "ada@noname.example", "category": "work"}])
    ask.people.edit("people", id, name="")
    work, units = ask.for_good(id)
    assert applied(ask, work, units) == "done"
    ask.case.fault("applied")
    restore(ask, units[0].effects, moved := {})
    assert ask.record(moved["contact", id]).fields["name"] == name


def test_an_address_that_somebody_has_entered_again_is_a_conflict_and_never_tried(hand: Open) -> None:
    ask = hand()
    id = ask.people.new("people", name="Ada", emails=[{"email": "ada@again.example", "category": "work"}])
    work, units = ask.for_good(id)
    assert applied(ask, work, units) == "done"
    ask.people.new("people", name="Ada anew", emails=[{"email": "ADA@again.example", "category": "work"}])
    ask.between.calls.clear()
    decider = RestoreDecider(ask.writer, ask.case.mapping, Frames(units[0].effects))  # type: ignore[arg-type]  # the backup
    found, verdicts, _ = decider.decide([Work(9_000, "contact", id, "restore", of_seq=work.seq)])
    assert not found and [(v.state, v.code) for v in verdicts] == [(State.CONFLICT, "taken")]
    assert ask.sent() == []


@pytest.mark.parametrize("seen", [True, False], ids=["between plan and call", "where search lags"])
def test_an_address_entered_again_at_the_last_moment_is_refused_once(hand: Open, box: Sandbox, seen: bool) -> None:
    ask = hand()
    mails = [{"email": "ada@again.example", "category": "work"}]
    id = ask.people.new("people", name="Ada", emails=mails)
    work, units = ask.for_good(id)
    assert applied(ask, work, units) == "done"
    back = Work(9_001, "contact", id, "restore", of_seq=work.seq)
    decider = RestoreDecider(ask.writer, ask.case.mapping, Frames(units[0].effects))  # type: ignore[arg-type]  # the backup
    (unit,), _, _ = decider.decide([back])
    box.state.switches.turn({"lag": not seen})
    ask.people.new("people", name="Ada anew", emails=mails)
    ask.between.calls.clear()
    said = ask.apply([unit])[back.seq]
    assert (said.answer, said.code) == ((Answer.CHANGED, "taken") if seen else (Answer.REFUSED, "refused"))
    assert len(ask.sent()) == (0 if seen else 1)


def test_a_domain_that_somebody_has_entered_again_is_refused_once(hand: Open) -> None:
    ask = hand().of("company")
    id = ask.people.new("companies", name="Acme", email_domain="again.example")
    work, units = ask.for_good(id)
    assert applied(ask, work, units) == "done"
    ask.people.new("companies", name="Acme anew", email_domain="again.example")
    ask.between.calls.clear()
    answers = restore(ask, units[0].effects, moved := {})
    assert [(a.answer, a.code) for a in answers.values()] == [(Answer.REFUSED, "refused")]
    assert not moved and ask.sent() == [("POST", "/companies")]


@pytest.mark.parametrize("fault", ["cut_before", "cut_after"])
@pytest.mark.parametrize("object", KINDS)
def test_a_record_whose_making_was_not_answered_is_made_once(hand: Open, box: Sandbox, object: str, fault: str) -> None:
    ask = hand().of(object)
    fields = whole(ask)[object]
    id = ask.people.new(KINDS[object], **fields)
    work, units = ask.for_good(id)
    assert applied(ask, work, units) == "done"
    box.control(
        "faults", {"kind": fault, "method": "POST", "path": f"/{KINDS[object]}", "skip": 1 if object == "contact" else 0}
    )
    restore(ask, units[0].effects, moved := {})
    text = "details"
    alike = [b for b in box.state.all(KINDS[object]) if b.get(text) == fields[text]]
    assert [str(b["id"]) for b in alike] == [moved[object, id]]


def test_children_are_led_to_the_new_id(hand: Open) -> None:
    ask = hand().of("company")
    id = ask.people.new("companies", name="Acme")
    person = ask.people.new("people", name="Ada", company_id=int(id))
    deal = ask.people.new("opportunities", name="Deal", company_id=int(id), primary_contact_id=int(person))
    reading = Reading(
        ask.writer.read([RecordKey("company", id), RecordKey("contact", person), RecordKey("deal", deal)]).records
    )
    effects = []
    for n, key in enumerate((RecordKey("deal", deal), RecordKey("contact", person), RecordKey("company", id))):
        found = reading.records[key]
        assert isinstance(found, Record)
        effects.append(Effect(n, "item", "delete", found))
        work = Work(n, key.object, key.id, "hard_delete")
        assert ask.apply([Unit(f"#{n}", (work,), (effects[-1],))])[n].answer is Answer.DONE, key
    moved: dict[tuple[str, str], str] = {}
    restore(ask, effects[::-1], moved)
    new = ask.there("deal", moved["deal", deal])
    assert canonical_text(new.fields["company_id"]) == moved["company", id]
    assert canonical_text(new.fields["primary_contact_id"]) == moved["contact", person]
    assert canonical_text(ask.there("contact", moved["contact", person]).fields["company_id"]) == moved["company", id]


# merging ------------------------------------------------------------------------------------------------------------


def pair(ask: Hand) -> tuple[str, str]:
    """A survivor without an address and a loser that has one."""
    mails = [{"email": "ada@merge.example", "category": "work"}]
    return ask.people.new("people", name="Ada", title="kept"), ask.people.new(
        "people", name="Ada B", emails=mails, title="lost"
    )


CHOSEN = ("emails", "email", "title")


def test_a_survivor_takes_over_the_losers_address_after_it_is_gone(hand: Open) -> None:
    ask = hand()
    survivor, loser = pair(ask)
    work = ask.work(loser, "merge_into", target=survivor, choices=dict.fromkeys(CHOSEN, loser))
    units = ask.units(work)
    assert applied(ask, work, units) == "done"
    assert ask.sent() == [("DELETE", f"/people/{loser}"), ("PUT", f"/people/{survivor}")]
    assert ask.record(survivor).fields["email"] == "ada@merge.example"
    restore(ask, units[0].effects, moved := {})
    assert (ask.record(survivor).fields["title"], ask.record(survivor).fields["email"]) == ("kept", None)
    back = ask.record(moved["contact", loser])
    assert (back.fields["title"], back.fields["email"]) == ("lost", "ada@merge.example")


def test_an_address_cannot_be_taken_from_a_loser_that_only_gets_a_mark(hand: Open) -> None:
    ask = hand(soft=True)
    survivor, loser = pair(ask)
    work = ask.work(loser, "merge_into", target=survivor, choices={"emails": loser, "email": loser})
    said = ask.apply(ask.units(work))[work.seq]
    assert (said.answer, said.code) == (Answer.CHANGED, "taken") and ask.sent() == []


def test_a_merge_stops_before_its_first_step_where_a_third_record_has_the_address(hand: Open) -> None:
    ask = hand()
    survivor, loser = pair(ask)
    work = ask.work(loser, "merge_into", target=survivor, choices={"emails": loser, "email": loser})
    units = ask.units(work)
    ask.box.state.change("people", 3, {"emails": [{"email": "ADA@merge.example", "category": "work"}]})
    said = ask.apply(units)[work.seq]
    assert (said.answer, said.code) == (Answer.CHANGED, "taken") and ask.sent() == [] and ask.live(loser)


def test_what_cannot_be_moved_stops_a_merge_before_its_first_step(hand: Open) -> None:
    ask = hand()
    survivor, loser = pair(ask)
    event = ask.people.new("activities", parent={"id": int(loser), "type": "person"}, type={"id": 0, "category": "user"})
    ask.people.edit("activities", event, type={"id": 9, "category": "system"})
    work = ask.work(loser, "merge_into", target=survivor, choices={"title": loser})
    said = ask.apply(ask.units(work))[work.seq]
    assert (said.answer, said.code) == (Answer.CHANGED, "read_only") and ask.sent() == []
    apart = hand(system_activities="apart")
    work = apart.work(loser, "merge_into", target=survivor, choices={"title": loser})
    assert applied(apart, work, apart.units(work)) == "done"


def test_activities_of_the_system_are_never_deleted_or_made(hand: Open) -> None:
    ask = hand().of("activity")
    id = next(str(b["id"]) for b in ask.box.state.all("activities") if b["type"]["category"] == "system")
    work, units = ask.for_good(id)
    assert ask.apply(units)[work.seq].code == "read_only"
    back = Unit("#1", (work,), (Effect(work.seq, "item", "insert", ask.record(id), renumber=True),))
    assert ask.apply([back])[work.seq].code == "read_only" and ask.sent() == []


@pytest.mark.parametrize("habit", ["changed", "ignored"])
@pytest.mark.parametrize("soft", [False, True], ids=["for good", "marked"])
def test_a_child_that_an_update_does_not_move_keeps_the_loser(hand: Open, box: Sandbox, habit: str, soft: bool) -> None:
    box.state.switches.turn({"parent_by_update": habit})
    ask = hand(soft=soft)
    survivor, loser = ask.people.new("people", name="Ada"), ask.people.new("people", name="Ada B")
    task = ask.people.new("tasks", name="Call", related_resource={"id": int(loser), "type": "person"})
    work = ask.work(loser, "merge_into", target=survivor)
    state = applied(ask, work, ask.units(work))
    assert (state == "done", ask.live(loser), led(ask.there("task", task))) == {
        "changed": (True, False, survivor), "ignored": (False, True, loser)
    }[habit]  # fmt: skip


@pytest.mark.parametrize("kind", ["cut_before", "cut_after"])
@pytest.mark.parametrize("soft", [False, True], ids=["for good", "marked"])
@pytest.mark.parametrize("at", range(5))
def test_a_merge_cut_off_at_any_call_is_gone_on_with_and_ends_right(hand: Open, kind: str, soft: bool, at: int) -> None:
    ask = hand(soft=soft)
    survivor, loser, children = whole_merge(ask)
    work = ask.work(loser, "merge_into", target=survivor, choices={"title": loser})
    ask.between.before = nth_write(ask.box, at, kind)
    work, state = carry_through(ask, work, survivor, loser)
    assert state == "done"
    for object, id in children.items():
        assert led(ask.there(object, id)) == survivor, object
    assert ask.record(survivor).fields["title"] == "lost" and not ask.live(loser)
    bodies = [b for b in ask.box.state.all("activities") if b.get("details") == "note of a merge"]
    assert len(bodies) == 1


@pytest.mark.parametrize("point", ["vendor.call", "vendor.called"])
@pytest.mark.parametrize("at", range(1, 6))
def test_a_merge_whose_process_dies_between_any_two_calls_ends_right(hand: Open, point: str, at: int) -> None:
    ask = hand()
    survivor, loser, children = whole_merge(ask)
    work = ask.work(loser, "merge_into", target=survivor, choices={"title": loser})
    units, seen = ask.units(work), 0

    def hook(said: str) -> None:
        nonlocal seen
        seen += said == point
        if said == point and seen == at:
            raise Killed

    ask.copper._hook = hook
    with pytest.raises(Killed):
        ask.apply(units)
    ask.copper._hook = lambda said: None
    work, state = carry_through(ask, work, survivor, loser, sent=True)
    assert state == "done" and not ask.live(loser)
    assert {led(ask.there(object, id)) for object, id in children.items()} == {survivor}


@pytest.mark.parametrize("kind", ["cut_before", "cut_after"])
def test_a_merge_cut_off_before_an_address_was_taken_over_is_said_to_be_partly_done(hand: Open, kind: str) -> None:
    ask = hand()
    survivor, loser = pair(ask)
    work = ask.work(loser, "merge_into", target=survivor, choices=dict.fromkeys(CHOSEN, loser))
    units = ask.units(work)
    ask.between.before = nth_write(ask.box, 1, kind)
    ask.apply(units)
    state = ask.settle(work)[work.seq]
    assert state.state == ("partly" if kind == "cut_before" else "done")
    if kind == "cut_before":
        assert ask.decider.rest([work]) is None and state.made == (f"contact/{loser}",)
        restore(ask, units[0].effects, moved := {})
        assert ask.record(moved["contact", loser]).fields["email"] == "ada@merge.example"


def whole_merge(ask: Hand) -> tuple[str, str, dict[str, str]]:
    survivor, loser = ask.people.new("people", name="Ada", title="kept"), ask.people.new("people", name="Ada B", title="lost")
    person = {"id": int(loser), "type": "person"}
    return survivor, loser, {
        "deal": ask.people.new("opportunities", name="Deal", primary_contact_id=int(loser)),
        "task": ask.people.new("tasks", name="Call", related_resource=person),
        "activity": ask.people.new("activities", parent=person, type={"id": 0, "category": "user"}, details="note of a merge"),
    }  # fmt: skip


def led(record: Record) -> str | None:
    return canonical_text(record.fields["primary_contact_id" if record.key.object == "deal" else "person_id"])


def nth_write(box: Sandbox, at: int, kind: str) -> Callable[[httpx.Request], httpx.Response | None]:
    count = -1

    def plan(request: httpx.Request) -> None:
        nonlocal count
        count += 1
        if count == at:
            path = request.url.path.removeprefix("/developer_api/v1")
            box.control("faults", {"kind": kind, "method": request.method, "path": path})

    return plan


def carry_through(ask: Hand, work: Work, survivor: str, loser: str, *, sent: bool = False) -> tuple[Work, str]:
    """Send, settle, go on and send again, as the engine does, until the item has an end."""
    state = ""
    for turn in range(6):
        if not (sent and turn == 0):
            ask.apply(ask.units(work))
        state = ask.settle(work)[work.seq].state
        if state == "partly":
            rest = ask.decider.rest([work])
            assert rest is not None
            ask.writer.go_on([rest], manifest=MANIFEST)
            state = ask.settle(work)[work.seq].state
        if state != "again":
            break
        work = ask.work(loser, "merge_into", target=survivor, choices=work.choices)
    return work, state


# relating -----------------------------------------------------------------------------------------------------------


def in_projects(box: Sandbox, person: str) -> set[int]:
    return {row[0] for row in box.state.query("SELECT b_id FROM relation WHERE a = 'people' AND a_id = ? AND b = 'projects'", int(person))} | {
        row[0] for row in box.state.query("SELECT a_id FROM relation WHERE b = 'people' AND b_id = ? AND a = 'projects'", int(person))
    }  # fmt: skip


def with_project(ask: Hand) -> tuple[str, str, str, str]:
    """Survivor, loser, and a project and a deal to which the loser alone is related."""
    survivor, loser = ask.people.new("people", name="Ada"), ask.people.new("people", name="Ada B")
    other = ask.people.new("people", name="Chief")
    project, deal = (
        ask.people.new("projects", name="Project"),
        ask.people.new("opportunities", name="Deal", primary_contact_id=int(other)),
    )
    for kind, id in (("projects", project), ("opportunities", deal)):
        assert ask.box.call("POST", f"/people/{loser}/related", {"resource": {"id": int(id), "type": kind[:-1].replace("opportunitie", "opportunity")}}).status_code == 200  # fmt: skip
    return survivor, loser, project, deal


@pytest.mark.parametrize("related", ["leave", "ask"])
def test_a_merge_relates_projects_and_deals_to_the_survivor_or_is_blocked(hand: Open, box: Sandbox, related: str) -> None:
    ask = hand(related=related)
    survivor, loser, project, deal = with_project(ask)
    work = ask.work(loser, "merge_into", target=survivor)
    if related == "leave":
        assert {r.field for r in work.related} == {"related"}
        _, verdicts = ask.decide(replace(work, related=()))
        assert [(v.state, v.code) for v in verdicts] == [(State.BLOCKED, "children_remain")]
        return
    assert {(r.object, r.field) for r in work.related} == {("project", "person_id"), ("deal", "related_person_id")}
    units = ask.units(work)
    assert applied(ask, work, units) == "done"
    assert in_projects(box, survivor) == {int(project)}
    assert canonical_text(ask.there("deal", deal).fields["related_person_id"]) == survivor
    restore(ask, units[0].effects, moved := {})
    back = moved["contact", loser]
    assert in_projects(box, back) == {int(project)} and in_projects(box, survivor) == set()
    assert canonical_text(ask.there("deal", deal).fields["related_person_id"]) == back


def test_a_project_of_several_people_holds_a_merge_back(hand: Open) -> None:
    ask = hand(related="ask")
    survivor, loser, project, _ = with_project(ask)
    ask.box.call("POST", f"/people/{survivor}/related", {"resource": {"id": int(project), "type": "project"}})
    found = ask.there("project", project)
    assert found.fields["person_id"] is None
    assert found.fields["more"] == {"related": sorted([f"person/{survivor}", f"person/{loser}"])}
    work = ask.work(loser, "merge_into", target=survivor)
    _, verdicts = ask.decide(replace(work, related=tuple(r for r in work.related if r.field != "related")))
    assert [(v.state, v.code) for v in verdicts] == [(State.BLOCKED, "children_remain")]


def test_the_second_person_of_a_deal_merges_into_its_primary_contact(hand: Open) -> None:
    ask = hand(related="ask")
    _, loser, _, deal = with_project(ask)
    chief = canonical_text(ask.there("deal", deal).fields["primary_contact_id"])
    work = ask.work(loser, "merge_into", target=chief)
    assert applied(ask, work, ask.units(work)) == "done"
    fields = ask.there("deal", deal).fields
    assert (canonical_text(fields["primary_contact_id"]), fields["related_person_id"]) == (chief, None)


@pytest.mark.parametrize("kind", ["cut_before", "cut_after"])
def test_cut_off_between_the_two_calls_of_a_relation_nothing_is_lost(hand: Open, box: Sandbox, kind: str) -> None:
    ask = hand(related="ask")
    survivor, loser, project, _ = with_project(ask)
    work = ask.work(loser, "merge_into", target=survivor)
    units = ask.units(work)
    box.control("faults", {"kind": kind, "method": "DELETE", "path": f"/projects/{project}/related"})
    ask.apply(units)
    state = ask.settle(work)[work.seq].state
    if state == "partly" and (rest := ask.decider.rest([work])) is not None:
        ask.writer.go_on([rest], manifest=MANIFEST)
        state = ask.settle(work)[work.seq].state
    assert in_projects(box, survivor) == {int(project)}, "the new one is there before the old one goes"
    if kind == "cut_after":
        assert state == "done" and not ask.live(loser)
    else:
        assert state != "done" and ask.live(loser) and in_projects(box, loser) == {int(project)}


# users --------------------------------------------------------------------------------------------------------------


def test_users_are_never_written_whatever_the_mapping_says(hand: Open) -> None:
    ask = hand().of("user")
    found = ask.there("user", "2")
    entry = ask.case.mapping.objects["user"]
    assert ask.copper.writable(entry, create=True) == ask.copper.writable(entry, create=False) == frozenset()
    assert not ask.copper.can_renumber("user")
    for op, changes in (("update", {"name": "x"}), ("delete", {}), ("insert", {})):
        work = Work(1, "user", "2", "hard_delete")
        unit = Unit("#1", (work,), (Effect(1, "item", op, found, changes),))  # type: ignore[arg-type]  # an operation
        assert ask.apply([unit])[1].answer is Answer.REFUSED, op
    assert ask.sent() == []


def test_deactivating_a_user_is_no_action_here(hand: Open) -> None:
    ask = hand().of("user")
    _, verdicts = ask.decide(replace(ask.work("2"), action="deactivate_user", related=()))
    assert [(v.state, v.code) for v in verdicts] == [(State.BLOCKED, "no_rule")]


# limits -------------------------------------------------------------------------------------------------------------


class Together:
    """One clock for writer and sandbox."""

    def __init__(self, box: Sandbox) -> None:
        self.box, self.began = box, box.state.now()
        box.state._clock = lambda: 0.0

    def monotonic(self) -> float:
        return self.box.state.ahead

    def sleep(self, seconds: float) -> None:
        self.box.state.ahead += seconds


@pytest.mark.parametrize("soft", [False, True], ids=["for good", "marked"])
def test_the_limit_of_180_a_minute_is_used_and_never_passed(hand: Open, box: Sandbox, soft: bool) -> None:
    ask = hand(soft=soft, requests_per_minute="180")
    ids = [ask.people.new("people", name=f"Ada {n}") for n in range(60)]
    box.state.switches.turn({"per_minute": 180})
    clock = Together(box)
    box.state.calls.clear()
    ask.copper.reader.wire.clock = ask.copper.reader.wire.throttle._clock = clock
    ask.between.calls.clear()
    for id in ids:
        work = ask.work(id)
        assert applied(ask, work, ask.units(work)) == "done"
    assert not [r for r in box.control("log", method="GET") if r["status"] == 429]
    calls, minutes = len(ask.between.calls), clock.monotonic() / 60
    assert calls / max(minutes, 1 / 60) >= 0.95 * 180


def test_names_of_columns_are_those_of_the_reader(hand: Open) -> None:
    ask = hand(related="ask")
    for object, kind in KINDS.items():
        assert set(names_of(kind, ask.copper._copper.definitions())) | {"more"} == set(ask.copper.reader.columns(object))
        entry = ask.case.mapping.objects[object]
        named = {w for w in entry.writable or () if not w.endswith("*")}
        assert named <= ask.copper.writable(entry, create=False), object


def test_links_are_links(hand: Open) -> None:
    ask = hand()
    id = ask.people.new("people", name="Ada")
    deal = ask.people.new("opportunities", name="Deal", primary_contact_id=int(id))
    key = RecordKey("contact", id)
    assert Link(RecordKey("deal", deal), "primary_contact_id", key) in ask.case.look.read([], links_of=[key]).links[key]
