"""The Zoho writer against the Zoho sandbox over real HTTP; the two share no code, and every answer is held against the contract.

One named test for every trap of writing. Whatever a test does, it never deletes by view, empties a bin, uses filters or the
vendor's own merge.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from steward.crm.mapping import Mapping as CrmMapping
from steward.crm.mapping import parse_mapping
from steward.errors import DeniedError, SchemaMismatchError, ThrottledError
from steward.executor.plan import LiveDecider
from steward.executor.ports import Answer, Effect, State, Unit, Work
from steward.records import Absent, Record, RecordKey, canonical_text
from tests.conformance.test_executor_writers import MANIFEST, Asked, Killed, restore
from tests.support.vendor_sandbox import serve
from tests.support.writer_zoho import Quick, ZohoCase, mapping_text, open_on
from tests.support.zoho_sandbox import Caller, Fresh

NEVER = ("cvid", "mass_delete", "/actions/empty", "filters=", "/actions/merge", "__composite")


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, Fresh]]:
    fresh = Fresh(60)
    with serve(fresh) as address:
        yield address, fresh


class Bench:
    """Opens cases on one sandbox."""

    def __init__(self, server: tuple[str, Fresh], folder: Path, stack: ExitStack) -> None:
        (self.address, self.fresh), self.folder, self.stack = server, folder, stack
        self.fresh.renew()
        self.opened = 0

    def open(self, *, mapping: CrmMapping | None = None, moving_clock: bool = False, **options: str) -> ZohoCase:
        self.opened += 1
        folder = self.folder / str(self.opened)
        folder.mkdir()
        clock = Quick(self.fresh) if moving_clock else None
        return self.stack.enter_context(open_on(self.fresh, self.address, folder, mapping=mapping, clock=clock, **options))


@pytest.fixture
def bench(server: tuple[str, Fresh], tmp_path: Path) -> Iterator[Bench]:
    with ExitStack() as stack:
        made = Bench(server, tmp_path, stack)
        yield made
        log = made.fresh.app.state.query("SELECT method, path FROM log")
        assert not [e for e in log if e["method"] != "GET" and any(word in e["path"] for word in NEVER)]


@pytest.fixture
def case(bench: Bench) -> ZohoCase:
    return bench.open()


@pytest.fixture
def ask(case: ZohoCase) -> Asked:
    return Asked(case)


def me(case: ZohoCase) -> str:
    (id,) = case.crm.state.db.execute("SELECT id FROM person ORDER BY id LIMIT 1 OFFSET 1").fetchone()
    return str(id)


def purge_unit(ask: Asked, *ids: str) -> tuple[list[Work], list[Unit]]:
    works = [ask.work(i, "hard_delete") for i in ids]
    return works, ask.units(*works)


def call(case: ZohoCase, object: str, id: str, op: str, *, action: str = "anonymise", **changes: Any) -> tuple[Work, Unit]:
    """One item that changes one record of any object."""
    found = case.writer.read([RecordKey(object, id)]).records[RecordKey(object, id)]
    assert isinstance(found, Record)
    Asked.seq += 1
    work = Work(Asked.seq, object, id, action, version=found.version, preimage=found.digest)  # type: ignore[arg-type]  # an action
    return work, Unit(f"#{work.seq}", (work,), (Effect(work.seq, "item", op, found, changes),))  # type: ignore[arg-type]  # an op


# who we are, and what starts -------------------------------------------------------------------------------------------


def test_we_are_the_user_of_the_token_and_the_bin_names_us(ask: Asked, case: ZohoCase) -> None:
    assert case.writer.me == me(case)
    id = case.new_person("Ann")
    work = ask.work(id)
    said = ask.apply(ask.units(work))[work.seq]
    assert (said.answer, said.by) == (Answer.DONE, me(case))
    found = case.look.read([RecordKey("contact", id)]).records[RecordKey("contact", id)]
    assert isinstance(found, Absent) and found.binned and found.deleted_by == me(case)


@pytest.mark.parametrize("on", [False, True])
def test_workflows_start_only_where_the_manifest_says_so(ask: Asked, case: ZohoCase, on: bool) -> None:
    case.writer.side_effects = frozenset({"wf_trigger"}) if on else frozenset()  # type: ignore[attr-defined]

    def fired(id: str) -> bool:
        return bool(case.crm.http.get(f"/_control/record/{id}").json()["workflow"])

    id = case.new_person("Wim")
    _, unit = call(case, "contact", id, "update", Last_Name="Wim 2")
    ask.apply([unit])
    assert fired(id) is on
    work = ask.work(id)
    ask.apply(ask.units(work))
    assert fired(id) is on
    deletes = [path for method, path in case.sent("DELETE")]
    assert deletes and all(f"wf_trigger={'true' if on else 'false'}" in path for path in deletes)
    entry = case.mapping.objects["contact"]
    made = case.writer.send_insert(entry, {"Last_Name": "New"})  # type: ignore[attr-defined]
    assert fired(made) is on


# deletions -------------------------------------------------------------------------------------------------------------


def test_verdicts_are_matched_by_id_and_not_by_place(ask: Asked, case: ZohoCase) -> None:
    case.crm.control("switches", shuffle=True)
    ids = [case.new_person(f"P{n}") for n in range(8)]
    works = [ask.work(i) for i in ids]
    units = ask.units(*works)
    case.crm.control("lock", id=ids[2], kind="RECORD_LOCKED")
    case.crm.control("remove", id=ids[5])
    said = ask.apply(units)
    assert [said[w.seq].answer for w in works] == [
        Answer.DONE, Answer.DONE, Answer.REFUSED, Answer.DONE, Answer.DONE, Answer.ABSENT, Answer.DONE, Answer.DONE,
    ]  # fmt: skip
    assert said[works[2].seq].code == "locked" and case.life(ids[2]) == "live"
    assert len(case.sent("DELETE")) == 1


def test_what_is_refused_without_an_id_is_asked_for_one_by_one(ask: Asked, case: ZohoCase) -> None:
    ids = [case.new_person(f"P{n}") for n in range(6)]
    works = [ask.work(i) for i in ids]
    units = ask.units(*works)
    case.crm.control("lock", id=ids[1], kind="NOT_APPROVED")
    case.crm.control("lock", id=ids[4], kind="NO_PERMISSION")
    said = ask.apply(units)
    assert said[works[1].seq].code == "in_approval" and said[works[4].seq].code == "denied"
    assert [said[w.seq].answer for w in works].count(Answer.DONE) == 4
    assert [case.life(i) for i in ids] == ["bin", "live", "bin", "bin", "live", "bin"]
    assert len(case.sent("DELETE")) == 3, "one for all, one for each that was refused without its id"


def test_a_break_while_asking_one_by_one_does_not_unsay_the_rest(ask: Asked, case: ZohoCase) -> None:
    ids = [case.new_person(f"P{n}") for n in range(4)]
    works = [ask.work(i) for i in ids]
    units = ask.units(*works)
    case.crm.control("lock", id=ids[0], kind="NOT_APPROVED")
    case.crm.control("lock", id=ids[1], kind="NO_PERMISSION")
    case.crm.control("faults", kind="cut_after", method="DELETE", skip=1)
    said = ask.apply(units)
    assert works[0].seq not in said and said[works[1].seq].answer is Answer.LATER
    assert said[works[2].seq].answer is said[works[3].seq].answer is Answer.DONE
    assert ask.settle(works[0])[works[0].seq].state == "again" and case.life(ids[0]) == "live"


def test_an_id_that_the_answer_leaves_out_is_read(ask: Asked, case: ZohoCase) -> None:
    ids = [case.new_person(f"P{n}") for n in range(3)]
    works = [ask.work(i) for i in ids]
    units = ask.units(*works)
    case.crm.control("faults", kind="partial", method="DELETE")
    said = ask.apply(units)
    assert works[2].seq not in said and said[works[0].seq].answer is Answer.DONE
    assert ask.settle(works[2])[works[2].seq].state == "done"


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"[]", b'{"data": 3}', b"{}", b'{"data": [{"code": "SUCCESS", "status": "success", "details": {"id": "7"}}]}'],
)
def test_an_answer_that_is_not_understood_is_no_answer(
    ask: Asked, case: ZohoCase, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy's page with status 200 says nothing of what became of the call: it must not count as *certainly not done*."""
    from steward.crm.wire import Reply

    id = case.new_person("Page")
    work = ask.work(id)
    units = ask.units(work)
    api = case.writer.reader.api  # type: ignore[attr-defined]
    real = api.write
    monkeypatch.setattr(
        api, "write", lambda *a, **k: replace(real(*a, **k), status=200, body=body) if real else Reply(200, {}, body)
    )
    assert ask.apply(units) == {}
    assert ask.settle(work)[work.seq].state == "done"


def test_a_second_delete_is_told_as_absent(ask: Asked, case: ZohoCase) -> None:
    id = case.new_person("Twice")
    entry = case.mapping.objects["contact"]
    record = ask.record(id)
    said = [case.writer.send_delete(entry, [record], "bin")[id].answer for _ in range(2)]  # type: ignore[attr-defined]
    assert said == [Answer.DONE, Answer.ABSENT]
    never = replace(record, key=RecordKey("contact", "123456789012345678"))
    assert case.writer.send_delete(entry, [never], "bin")[never.key.id].answer is Answer.ABSENT  # type: ignore[attr-defined]


def test_more_than_a_hundred_go_in_several_calls(ask: Asked, case: ZohoCase) -> None:
    ids = [case.new_person(f"P{n}") for n in range(120)]
    records = [r for r in case.writer.read([RecordKey("contact", i) for i in ids]).records.values() if isinstance(r, Record)]
    said = case.writer.send_delete(case.mapping.objects["contact"], records, "bin")  # type: ignore[attr-defined]
    assert set(said) == set(ids) and all(r.answer is Answer.DONE for r in said.values())
    assert len(case.sent("DELETE")) == 2


@pytest.mark.parametrize("refusal", ["NO_PERMISSION", "AUTHORIZATION_FAILED"])
def test_a_refusal_of_the_whole_call_changes_nothing(ask: Asked, case: ZohoCase, refusal: str) -> None:
    ids = [case.new_person(f"P{n}") for n in range(2)]
    works = [ask.work(i) for i in ids]
    units = ask.units(*works)
    case.crm.control("switches", refuse_delete=refusal)
    said = ask.apply(units)
    assert {said[w.seq].answer for w in works} == {Answer.REFUSED} and {case.life(i) for i in ids} == {"live"}


def test_a_call_that_takes_effect_late_is_seen_once_it_has(ask: Asked, case: ZohoCase) -> None:
    id = case.new_person("Late")
    work = ask.work(id)
    units = ask.units(work)
    case.crm.control("faults", kind="late", method="DELETE")
    assert ask.apply(units) == {}
    case.late()  # within the time that a request lives, which the engine waits before it asks
    assert ask.settle(work)[work.seq].state == "done" and len(case.sent("DELETE")) == 1


@pytest.mark.parametrize("cascade", [[], ["Contacts>Deals"]])
def test_what_goes_along_in_the_crm_comes_back_with_it(bench: Bench, cascade: list[str]) -> None:
    """Of a pair that nobody mapped nobody knows whether it goes along; either way the restore brings it back."""
    text = mapping_text()
    start = text.index("[objects.deal]")
    end = text.index("[objects.order]")
    text = (text[:start] + text[end:]).replace(', Deal_Name = "deal"', "").replace(', Deal_Name = "block"', "")
    case = bench.open(mapping=parse_mapping(text))
    case.crm.control("switches", cascade=cascade)
    ask = Asked(case)
    id = case.new_person("Parent")
    deal = case.new_child(id)
    work = ask.work(id)
    units = ask.units(work)
    ask.apply(units)
    assert case.life(id) == "bin" and case.life(deal) == ("bin" if cascade else "live")
    restore(ask, units[0].effects, {})
    assert case.life(id) == case.life(deal) == "live"


# purges ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [1000, 0])
def test_a_hard_deletion_is_bin_and_purge_also_where_the_vendor_schedules_it(
    ask: Asked, case: ZohoCase, threshold: int
) -> None:
    case.crm.control("switches", bulk_threshold=threshold)
    works, units = purge_unit(ask, *[case.new_person(f"P{n}") for n in range(3)])
    said = ask.apply(units)
    assert {said[w.seq].answer for w in works} == {Answer.DONE}
    assert {case.life(w.id) for w in works} == {"gone"}
    assert {ask.settle(w)[w.seq].state for w in works} == {"done"}
    assert [path.split("?")[0] for _, path in case.sent("DELETE")] == ["/crm/v8/Contacts", "/crm/v8/settings/recycle_bin"]


@pytest.mark.parametrize("point", ["vendor.call", "zoho.binned", "zoho.purge", "zoho.purged", "vendor.called"])
def test_a_hard_deletion_that_was_cut_off_is_gone_on_with(ask: Asked, case: ZohoCase, point: str) -> None:
    (work,), units = purge_unit(ask, case.new_person("Cut"))

    def hook(said: str) -> None:
        if said == point:
            raise Killed

    case.writer._hook = hook  # type: ignore[attr-defined]
    with pytest.raises(Killed):
        ask.apply(units)
    case.writer._hook = lambda said: None  # type: ignore[attr-defined]
    settled = ask.settle(work)[work.seq]
    if point == "vendor.call":
        assert settled.state == "again" and case.life(work.id) == "live"
    else:
        assert settled.state == "done" and case.life(work.id) == "gone"


@pytest.mark.parametrize("kind", ["cut_before", "cut_after", "429", "500", "partial"])
def test_a_purge_without_a_clear_answer_is_never_called_done_before_it_is(ask: Asked, case: ZohoCase, kind: str) -> None:
    (work,), units = purge_unit(ask, case.new_person("Doubt"))
    case.crm.control("faults", kind=kind, method="DELETE", path="recycle_bin")
    said = ask.apply(units)
    assert work.seq not in said, "in the bin, and nobody knows more"
    assert ask.settle(work)[work.seq].state == "done" and case.life(work.id) == "gone"


def test_a_purge_that_is_not_allowed_is_partly_done_and_never_called_unchanged(ask: Asked, case: ZohoCase) -> None:
    (work,), units = purge_unit(ask, case.new_person("Denied"))
    case.crm.control("faults", kind="403", method="DELETE", path="recycle_bin", times=5)
    assert work.seq not in ask.apply(units)
    settled = ask.settle(work)[work.seq]
    assert settled.state == "partly" and settled.made and case.life(work.id) == "bin"
    restore(ask, units[0].effects, {})
    assert case.life(work.id) == "live"


def test_what_people_put_into_the_bin_is_not_purged(ask: Asked, case: ZohoCase) -> None:
    (work,), units = purge_unit(ask, case.new_person("Theirs"))

    def hook(said: str) -> None:
        if said == "zoho.binned":
            case.crm.control("return", id=work.id)
            case.crm.control("remove", id=work.id)

    case.writer._hook = hook  # type: ignore[attr-defined]
    ask.apply(units)
    case.writer._hook = lambda said: None  # type: ignore[attr-defined]
    assert case.life(work.id) == "bin"
    assert ask.settle(work)[work.seq].state == "gone"


def test_what_people_brought_back_in_between_stays(ask: Asked, case: ZohoCase) -> None:
    (work,), units = purge_unit(ask, case.new_person("Saved"))

    def hook(said: str) -> None:
        if said in ("zoho.binned", "zoho.purge") and case.life(work.id) == "bin":
            case.crm.control("return", id=work.id)

    case.writer._hook = hook  # type: ignore[attr-defined]
    ask.apply(units)
    case.writer._hook = lambda said: None  # type: ignore[attr-defined]
    assert ask.settle(work)[work.seq].state in ("again", "changed") and case.life(work.id) == "live"


@pytest.mark.parametrize(("told", "option"), [(True, "ask"), (False, "ask"), (True, "off")])
def test_an_edit_of_the_last_moment_is_found_in_the_timeline_before_a_purge(bench: Bench, told: bool, option: str) -> None:
    case = bench.open(timeline=option)
    case.crm.control("switches", timeline_of_binned=told)
    ask = Asked(case)
    (work,), units = purge_unit(ask, case.new_person("Edited"))

    def hook(said: str) -> None:
        if said == "vendor.call":
            case.edit(work.id, "By people")

    case.writer._hook = hook  # type: ignore[attr-defined]
    ask.apply(units)
    case.writer._hook = lambda said: None  # type: ignore[attr-defined]
    settled = ask.settle(work)[work.seq]
    if told and option == "ask":
        assert settled.state == "changed" and case.life(work.id) == "live"
        assert case.values(work.id)["Last_Name"] == "By people"
    else:  # the vendor does not say: documented, and the window is one call
        assert settled.state == "done" and case.life(work.id) == "gone"


@pytest.mark.parametrize("option", ["keep", "lose"])
def test_a_record_with_attachments_is_not_purged_unless_the_profile_says_so(bench: Bench, option: str) -> None:
    case = bench.open(attachments=option)
    ask = Asked(case)
    ids = [case.new_person(f"P{n}") for n in range(3)]
    file = case.put("Attachments", File_Name="contract.pdf", Size="3", Parent_Id={"id": ids[1], "name": "x"})
    works, units = purge_unit(ask, *ids)
    said = ask.apply(units)
    if option == "keep":
        assert (said[works[1].seq].answer, said[works[1].seq].code) == (Answer.REFUSED, "attachments")
        assert [case.life(i) for i in (*ids, file)] == ["gone", "live", "gone", "live"]
    else:
        assert [case.life(i) for i in (*ids, file)] == ["gone"] * 4


@pytest.mark.parametrize("kind", ["403", "400"])
def test_attachments_that_are_not_counted_may_be_there(
    ask: Asked, case: ZohoCase, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from steward.sandbox.zoho import people

    (work,), units = purge_unit(ask, case.new_person("Hidden"))
    if kind == "403":
        case.crm.control("faults", kind="403", path="get_related_records_count")
    else:
        monkeypatch.setattr(people, "RELATED", {})
    said = ask.apply(units)[work.seq]
    assert (said.answer, said.code) == (Answer.REFUSED, "attachments") and case.life(work.id) == "live"


def test_notes_that_are_not_mapped_keep_a_record_from_its_purge(bench: Bench) -> None:
    text = mapping_text()
    case = bench.open(mapping=parse_mapping(text[: text.index("# Notes of contacts")]))
    ask = Asked(case)
    id = case.new_person("Noted")
    note = case.put("Notes", Note_Title="n", Parent_Id={"id": id, "name": "x"})
    (work,), units = purge_unit(ask, id)
    assert ask.apply(units)[work.seq].code == "attachments" and case.life(id) == case.life(note) == "live"
    soft = ask.work(id)
    units = ask.units(soft)
    ask.apply(units)
    assert case.life(note) == "bin"
    restore(ask, units[0].effects, {})
    assert case.life(id) == case.life(note) == "live"


def test_attachments_go_into_the_bin_with_their_record_and_come_back(ask: Asked, case: ZohoCase) -> None:
    id = case.new_person("Filed")
    file = case.put("Attachments", File_Name="contract.pdf", Parent_Id={"id": id, "name": "x"})
    work = ask.work(id)
    units = ask.units(work)
    ask.apply(units)
    assert case.life(file) == "bin"
    restore(ask, units[0].effects, {})
    assert case.life(file) == "live" and case.values(file)["Parent_Id"]["id"] == id


# back ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [1000, 0])
def test_what_went_comes_back_under_its_id_also_where_the_vendor_schedules_it(
    ask: Asked, case: ZohoCase, threshold: int
) -> None:
    case.crm.control("switches", bulk_threshold=threshold)
    id = case.new_person("Back")
    note = case.put("Notes", Note_Title="n", Note_Content="text", Parent_Id={"id": id, "name": "x"})
    before, deal = ask.record(id), case.new_child(id)
    _, unit = call(case, "contact", id, "bin", action="soft_delete")
    ask.apply([unit])
    assert case.life(note) == "bin", "notes follow"
    moved: dict[tuple[str, str], str] = {}
    assert [a.answer for a in restore(ask, unit.effects, moved).values()] == [Answer.DONE] and not moved
    after = ask.record(id)
    moving = case.writer.moving("contact")
    assert {n: v for n, v in after.fields.items() if n not in moving} == {
        n: v for n, v in before.fields.items() if n not in moving
    }
    assert case.life(note) == case.life(deal) == "live" and case.values(deal)["Contact_Name"]["id"] == id


def test_version_seven_has_no_restore_and_says_so(bench: Bench) -> None:
    case = bench.open(api="v7")
    case.crm.control("switches", api="v7")
    assert case.writer.capabilities.restore_keeps_id is False
    ask = Asked(case)
    id = case.new_person("Seven")
    work = ask.work(id)
    units = ask.units(work)
    ask.apply(units)
    assert case.life(id) == "bin"
    (said,) = restore(ask, units[0].effects, {}).values()
    assert (said.answer, said.code) == (Answer.REFUSED, "no_restore") and case.life(id) == "bin"
    assert not [p for _, p in case.sent() if "restore" in p] and all("/v7/" in p for _, p in case.sent())


def test_version_eight_asked_of_an_organisation_that_has_none_is_refused(ask: Asked, case: ZohoCase) -> None:
    id = case.new_person("Old")
    work = ask.work(id)
    units = ask.units(work)
    ask.apply(units)
    entry = case.mapping.objects["contact"]
    case.crm.control("switches", api="v7")
    from steward.executor.writers.vendor import Refused

    with pytest.raises(Refused) as caught:
        case.writer.send_unbin(entry, id)  # type: ignore[attr-defined]
    assert caught.value.code == "no_such_call"


def test_a_value_that_somebody_took_meanwhile_keeps_a_record_in_the_bin(ask: Asked, case: ZohoCase) -> None:
    case.crm.control("switches", unique=["Contacts.Email"])
    id = case.put("Contacts", Last_Name="One", Email="one@crm.example")
    work = ask.work(id)
    units = ask.units(work)
    ask.apply(units)
    case.put("Contacts", Last_Name="Other", Email="one@crm.example")
    (said,) = restore(ask, units[0].effects, {}).values()
    assert (said.answer, said.code) == (Answer.REFUSED, "duplicate") and case.life(id) == "bin"


def test_a_note_does_not_come_back_without_its_parent(case: ZohoCase) -> None:
    from steward.executor.writers.vendor import Refused

    id = case.new_person("Parent")
    note = case.put("Notes", Note_Title="n", Parent_Id={"id": id, "name": "x"})
    case.crm.control("remove", id=id)
    with pytest.raises(Refused) as caught:
        case.writer.send_unbin(case.mapping.objects["note"], note)  # type: ignore[attr-defined]
    assert caught.value.code == "parent_gone"


def test_what_was_purged_is_made_anew_with_every_kind_of_value(ask: Asked, case: ZohoCase) -> None:
    firm = case.put("Accounts", Account_Name="Firm")
    boss = case.new_person("Boss")
    id = case.put(
        "Contacts", Last_Name="Whole", First_Name="W", Email="w@crm.example", Email_Opt_Out=True, Score=-3, Weight=0.125, Interests=["Events", "Surveys"],
        Background="<i>y</i>" * 200, Date_of_Birth="1970-01-31", Account_Name={"id": firm, "name": "Firm"}, Reporting_To={"id": boss, "name": "Boss"},
        Visits=[{"id": "1", "Remark": "a", "Visited_On": "2025-01-01"}, {"id": "2", "Remark": "b"}],
        Partners=[{"id": "3", "Partners": {"id": firm, "name": "Firm"}}],
    )  # fmt: skip
    before = ask.record(id)
    assert before.fields["more"] == {
        "Partners": [{"Partners": {"id": firm}}], "Visits": [{"Remark": "a", "Visited_On": "2025-01-01"}, {"Remark": "b"}],
    }  # fmt: skip
    _, units = purge_unit(ask, id)
    ask.apply(units)
    assert case.life(id) == "gone"
    moved: dict[tuple[str, str], str] = {}
    restore(ask, units[0].effects, moved)
    after = ask.record(moved["contact", id])
    without = case.writer.moving("contact") | {"id", "Created_Time", "Created_By"}
    differ = {
        n for n in before.fields if n not in without and canonical_text(before.fields[n]) != canonical_text(after.fields[n])
    }
    assert differ == set()


def test_a_record_that_is_made_without_an_answer_is_told_from_other_peoples(ask: Asked, case: ZohoCase) -> None:
    id = case.new_person("Alike")
    _, units = purge_unit(ask, id)
    ask.apply(units)
    case.put("Contacts", Last_Name="Alike")  # somebody else makes one of that name
    case.fault("applied")
    moved: dict[tuple[str, str], str] = {}
    restore(ask, units[0].effects, moved)
    assert case.values(moved["contact", id])["Created_By"]["id"] == me(case)
    alike = [i for i in case.crm.ids("Contacts") if case.values(i).get("Last_Name") == "Alike"]
    assert len(alike) == 2


# updates ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("header", "option"), [
    ("if-unmodified-since", "if_unmodified_since"), ("if-modified-since", "if_modified_since"),
    ("if-unmodified-since", "if_modified_since"), ("none", "if_unmodified_since"), ("if-unmodified-since", "none"),
])  # fmt: skip
@pytest.mark.parametrize("shape", ["item", "top"])
def test_an_update_is_refused_where_somebody_was_faster(bench: Bench, header: str, option: str, shape: str) -> None:
    case = bench.open(update_guard=option)
    case.crm.control("switches", guard=header, guard_shape=shape)
    ask = Asked(case)
    id = case.new_person("Fast")
    work, unit = call(case, "contact", id, "update", Last_Name="Ours")
    case.writer._hook = lambda said: (
        case.crm.control("edit", id=id, values={"Title": "Theirs"}) if said == "vendor.call" else None
    )  # type: ignore[attr-defined]
    said = ask.apply([unit])
    heeded = header.replace("-", "_") == option
    assert said[work.seq].answer is (Answer.CHANGED if heeded else Answer.DONE)
    assert case.values(id)["Title"] == "Theirs", "another field is not touched in any case"
    assert case.values(id)["Last_Name"] == ("Fast" if heeded else "Ours")


@pytest.mark.parametrize(
    ("kind", "code"), [("RECORD_LOCKED", "locked"), ("NOT_APPROVED", "in_approval"), ("NO_PERMISSION", "denied")]
)
def test_a_locked_record_is_not_updated(ask: Asked, case: ZohoCase, kind: str, code: str) -> None:
    id = case.new_person("Locked")
    work, unit = call(case, "contact", id, "update", Last_Name="Ours")
    case.crm.control("lock", id=id, kind=kind)
    said = ask.apply([unit])[work.seq]
    assert (said.answer, said.code) == (Answer.REFUSED, code) and case.values(id)["Last_Name"] == "Locked"


def test_values_are_emptied_and_read_back_as_emptied(ask: Asked, case: ZohoCase) -> None:
    id = case.new_person("Blank")
    changes = {
        "Last_Name": "anon-1",
        "Email": None,
        "First_Name": "",
        "Date_of_Birth": None,
        "Interests": None,
        "Score": None,
        "Legal_Hold": "true",
    }
    work, unit = call(case, "contact", id, "update", **changes)
    ask.apply([unit])
    assert ask.settle(work)[work.seq].state == "done"
    values = case.values(id)
    assert (values["Email"], values["Interests"], values["Score"], values["Legal_Hold"]) == (None, [], None, True)


def test_a_value_that_is_none_of_its_field_is_refused_before_the_call(ask: Asked, case: ZohoCase) -> None:
    work, unit = call(case, "contact", case.new_person("Typed"), "update", Score="many")
    said = ask.apply([unit])[work.seq]
    assert (said.answer, said.code) == (Answer.REFUSED, "not_a_value") and not case.sent("PUT")


def test_a_record_changes_hands(ask: Asked, case: ZohoCase) -> None:
    id, to = case.new_person("Handed"), me(case)
    work, unit = call(case, "contact", id, "update", action="reassign", Owner=to)
    ask.apply([unit])
    assert case.values(id)["Owner"]["id"] == to and ask.settle(work)[work.seq].state == "done"


def test_a_look_up_that_may_lead_to_several_modules_says_which(case: ZohoCase) -> None:
    firm, id = case.put("Accounts", Account_Name="F"), case.new_person("Who")
    task, note = case.put("Tasks", Subject="t"), case.put("Notes", Note_Title="n")
    for object, ident, name, to in (("task", task, "What_Id", firm), ("note", note, "Parent_Id", id)):
        entry = case.mapping.objects[object]
        record = case.writer.read([RecordKey(object, ident)]).records[RecordKey(object, ident)]
        case.writer.send_update(entry, record, {name: to})  # type: ignore[attr-defined]
    bodies = [
        json.loads(e["body"])["data"][0] for e in case.crm.http.get("/_control/log").json()["log"] if e["method"] == "PUT"
    ]
    assert bodies == [
        {"What_Id": {"id": firm}, "$se_module": "Accounts"}, {"Parent_Id": {"id": id, "module": {"api_name": "Contacts"}}},
    ]  # fmt: skip


# merges ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moves", ["yes", "refused", "ignored"])
def test_a_note_that_cannot_be_moved_keeps_its_parent_from_going(ask: Asked, case: ZohoCase, moves: str) -> None:
    case.crm.control("switches", note_moves=moves)
    survivor, loser = case.new_person("Keep"), case.new_person("Lose")
    note = case.put("Notes", Note_Title="n", Parent_Id={"id": loser, "name": "x"})
    work = ask.work(loser, "merge_into", target=survivor)
    ask.apply(ask.units(work))
    state = ask.settle(work)[work.seq].state
    if moves == "yes":
        assert state == "done" and case.values(note)["Parent_Id"]["id"] == survivor and case.life(loser) == "bin"
    else:
        assert state in ("again", "partly") and case.life(loser) == "live" and case.values(note)["Parent_Id"]["id"] == loser


def test_the_mapping_that_ships_does_not_let_a_merge_lose_notes(bench: Bench) -> None:
    case = bench.open(mapping=parse_mapping(mapping_text(notes_move=False)))
    ask = Asked(case)
    survivor, loser = case.new_person("Keep"), case.new_person("Lose")
    case.put("Notes", Note_Title="n", Parent_Id={"id": loser, "name": "x"})
    units, verdicts = ask.decide(ask.work(loser, "merge_into", target=survivor))
    assert not units and [(v.state, v.code) for v in verdicts] == [(State.BLOCKED, "not_writable")]


def test_a_child_that_comes_up_in_the_last_moment_keeps_the_loser(ask: Asked, case: ZohoCase) -> None:
    survivor, loser = case.new_person("Keep"), case.new_person("Lose")
    case.new_child(loser)
    work = ask.work(loser, "merge_into", target=survivor, choices={"Last_Name": loser})
    units = ask.units(work)
    calls = 0

    def hook(said: str) -> None:
        nonlocal calls
        calls += said == "vendor.called"
        if calls == 2 and said == "vendor.called":
            case.new_child(loser)

    case.writer._hook = hook  # type: ignore[attr-defined]
    ask.apply(units)
    case.writer._hook = lambda said: None  # type: ignore[attr-defined]
    assert ask.settle(work)[work.seq].state == "partly" and case.life(loser) == "live"


# users -----------------------------------------------------------------------------------------------------------------


def decider(case: ZohoCase) -> LiveDecider:
    return Asked(case).decider


def test_a_user_is_deactivated_and_comes_back_and_customers_stay_as_they_are(ask: Asked, case: ZohoCase) -> None:
    user = str(case.crm("GET", "users?type=ActiveUsers").json()["users"][-1]["id"])
    found = case.writer.read([RecordKey("user", user)]).records[RecordKey("user", user)]
    assert isinstance(found, Record)
    Asked.seq += 1
    work = Work(Asked.seq, "user", user, "deactivate_user", version=found.version, preimage=found.digest)
    units, verdicts, _ = decider(case).decide([work])
    assert not verdicts
    assert ask.apply(units)[work.seq].answer is Answer.DONE and ask.settle(work)[work.seq].state == "done"
    assert case.crm("GET", f"users/{user}").json()["users"][0]["status"] == "inactive"
    restore(ask, units[0].effects, {})
    assert case.crm("GET", f"users/{user}").json()["users"][0]["status"] == "active"
    assert {m for m, p in case.sent() if "/users" in p} == {"PUT"}


@pytest.mark.parametrize(("which", "code"), [("primary", "primary_contact"), ("inactive", "already")])
def test_a_user_that_cannot_be_deactivated_is_said_so(ask: Asked, case: ZohoCase, which: str, code: str) -> None:
    people = case.crm("GET", "users?type=ActiveUsers").json()["users"]
    user = str(people[0 if which == "primary" else -1]["id"])
    work, unit = call(case, "user", user, "update", action="deactivate_user", status="inactive")
    if which == "inactive":
        case.crm("PUT", f"users/{user}", json={"users": [{"id": user, "status": "inactive"}]})
        unit = replace(
            unit,
            effects=(
                replace(unit.effects[0], before=case.writer.read([RecordKey("user", user)]).records[RecordKey("user", user)]),
            ),
        )  # type: ignore[arg-type]  # a record
    said = ask.apply([unit])[work.seq]
    assert (said.answer, said.code) == (Answer.REFUSED, code)


@pytest.mark.parametrize(
    ("role", "table"), [("person", "users"), ("person", "Users"), ("user", "Contacts"), ("person", "settings")]
)
def test_users_are_never_deleted_whatever_the_mapping_says(case: ZohoCase, role: str, table: str) -> None:
    from msgspec.structs import replace as with_

    from steward.executor.writers.vendor import Refused

    entry = with_(case.mapping.objects["contact"], table=table, role=role)
    user = str(case.crm("GET", "users").json()["users"][-1]["id"])
    record = Record(RecordKey("contact", user), {"id": user})
    writer: Any = case.writer
    for attempt in (
        lambda: writer.send_delete(entry, [record], "bin"), lambda: writer.send_delete(entry, [record], "delete"),
        lambda: writer.send_unbin(entry, user), lambda: writer.send_insert(entry, {}),
    ):  # fmt: skip
        with pytest.raises(Refused) as caught:
            attempt()
        assert caught.value.code == "users_stay"
    assert case.sent() == []


@pytest.mark.parametrize("table", ["../users", "Contacts/1", "Contacts?x", "users/5", ""])
def test_a_module_that_is_a_path_is_refused(case: ZohoCase, table: str) -> None:
    from msgspec.structs import replace as with_

    from steward.executor.writers.vendor import Refused

    entry = with_(case.mapping.objects["contact"], table=table or "?")
    with pytest.raises(Refused):
        case.writer.send_delete(entry, [Record(RecordKey("contact", "5"), {"id": "5"})], "bin")  # type: ignore[attr-defined]
    with pytest.raises(Refused):
        case.writer.send_delete(case.mapping.objects["contact"], [Record(RecordKey("contact", "5,6"), {})], "bin")  # type: ignore[attr-defined]
    assert case.sent() == []


def test_a_token_that_does_not_say_whose_it_is_stops_the_writer(case: ZohoCase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case.writer.reader.api, "read", lambda *a, **k: {"users": []})  # type: ignore[attr-defined]
    with pytest.raises(SchemaMismatchError):
        _ = case.writer.me


def test_a_token_that_may_only_read_writes_nothing(bench: Bench) -> None:
    case = bench.open()
    case.writer.reader.api._secrets["refresh_token"] = type(case.writer.reader.api._secrets["refresh_token"])(b"1000.reader")  # type: ignore[attr-defined]
    id = case.new_person("Reader")
    with pytest.raises(DeniedError):
        case.writer.send_delete(case.mapping.objects["contact"], [Record(RecordKey("contact", id), {"id": id})], "bin")  # type: ignore[attr-defined]
    assert case.life(id) == "live"


# cost ------------------------------------------------------------------------------------------------------------------


def test_a_hundred_deletions_cost_a_handful_of_credits(ask: Asked, case: ZohoCase) -> None:
    ids = [case.new_person(f"P{n}") for n in range(100)]
    works = [ask.work(ids[0])]
    for id in ids[1:]:
        works.append(replace(works[0], seq=works[0].seq + len(works), id=id, preimage=""))
    Asked.seq += 100
    found = case.writer.read([RecordKey("contact", i) for i in ids]).records
    works = [replace(w, preimage=r.digest, version=r.version) for w in works if isinstance(r := found[w.key], Record)]
    spent = case.crm.state.used_credits
    units = ask.units(*works)
    ask.apply(units)
    settled = case.writer.settle(works, manifest=MANIFEST)
    spent = case.crm.state.used_credits - spent
    assert {s.state for s in settled.values()} == {"done"} and len(settled) == 100
    assert spent <= 30, f"{spent} credits: read twice with what hangs on them, deleted once, the bin read"


def test_credits_that_are_used_up_stop_the_run_and_change_nothing(ask: Asked, case: ZohoCase) -> None:
    id = case.new_person("Spent")
    work = ask.work(id)
    units = ask.units(work)
    case.crm.control("switches", credits=case.crm.state.used_credits)
    assert ask.apply(units)[work.seq].answer is Answer.LATER and case.life(id) == "live"
    with pytest.raises(ThrottledError):
        case.writer.read([RecordKey("contact", id)])


@pytest.mark.parametrize("reserve", ["", "400"])
def test_credits_are_left_for_people(bench: Bench, reserve: str) -> None:
    case = bench.open(credits_reserve=reserve)
    id = case.new_person("Kept")
    case.crm.state.used_credits = 1_000  # the vendor tells from half of the credits on
    case.crm.control("switches", credits=1_300)
    entry, record = case.mapping.objects["contact"], Asked(case).record
    if reserve:
        with pytest.raises(ThrottledError) as caught:
            record(id)
            case.writer.send_delete(entry, [record(id)], "bin")  # type: ignore[attr-defined]
        assert caught.value.facts["reserve"] == 400 and case.life(id) == "live"
    else:
        case.writer.send_delete(entry, [record(id)], "bin")  # type: ignore[attr-defined]
        assert case.life(id) == "bin"
    case.look.read([RecordKey("contact", id)])  # a credential that only reads keeps nothing back


@pytest.mark.parametrize(
    ("switch", "code"), [({"mandatory": ["Contacts.Title"]}, "mandatory_field"), ({"unique": ["Contacts.Email"]}, "duplicate")]
)
def test_a_record_that_the_crm_does_not_take_anew_is_said_so(
    ask: Asked, case: ZohoCase, switch: dict[str, Any], code: str
) -> None:
    id = case.put("Contacts", Last_Name="Anew", Email="anew@crm.example")
    _, units = purge_unit(ask, id)
    ask.apply(units)
    case.put("Contacts", Last_Name="Other", Email="anew@crm.example")
    case.crm.control("switches", **switch)
    (said,) = restore(ask, units[0].effects, {}).values()
    assert (said.answer, said.code) == (Answer.REFUSED, code)


def test_no_word_of_the_vendors_stands_in_a_code() -> None:
    from steward.executor.writers.zoho_answers import CODES

    assert all(word.isascii() and word.islower() and " " not in word for word in CODES.values())


def test_the_sandbox_of_a_person_is_another_users(case: ZohoCase) -> None:
    person: Caller = case.crm
    assert person("GET", "users?type=CurrentUser").json()["users"][0]["id"] != case.writer.me
