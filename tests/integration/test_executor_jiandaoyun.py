"""The writer of Jiandaoyun against its sandbox, over real HTTP: each peculiarity and each unverified fact by a test of its name.

What every writer must do stands in the conformance suite; the sandbox's own tables say what is true.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from steward.crm import jiandaoyun_many
from steward.errors import DeniedError
from steward.executor.ports import Answer, Effect, State, Unit, Work
from steward.records import Absent, Record, RecordKey, canonical_text
from tests.support.jiandaoyun_company import Company, Desk, open_company


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with open_company(tmp_path_factory.mktemp("company")) as company:
        yield company


NUMBERS = itertools.count(1)


@pytest.fixture
def company(shared: Company) -> Iterator[Company]:
    """The company of the module, calm and with its first switches; every test makes records of its own."""
    settings = shared.http.get("/_control/settings").json()
    yield shared
    shared.control("calm")
    shared.control("late")
    shared.control("settings", **settings)


@pytest.fixture
def desk(company: Company) -> Iterator[Desk]:
    with_writer = open_desk(company)
    yield with_writer
    with_writer.writer.close()


def open_desk(company: Company, *, soft: str = "", **options: str) -> Desk:
    """A desk whose writer has these switches, and a manifest of its own."""
    return Desk(company, company.writer(company.mapping(soft=soft), **options), manifest=f"{next(NUMBERS):026d}")


def person(company: Company, name: str, **more: Any) -> str:
    return company.make("person", 姓="陈", 名=name, 手机={"phone": f"138{next(NUMBERS):08d}"}, **more)


def calls_since(company: Company, start: int, *paths: str) -> list[dict[str, Any]]:
    return company.calls()[start:] if not paths else [c for c in company.calls()[start:] if c["path"].endswith(paths)]


def count(company: Company) -> int:
    return len(company.calls())


# what restricts a plan ------------------------------------------------------------------------------------------------


def test_deleting_for_good_needs_privacy_and_deleting_softly_needs_a_field(desk: Desk) -> None:
    id = person(desk.company, "privacy")
    hard, soft = desk.work(id), desk.work(id, "soft_delete")
    assert desk.decide(hard, privacy=False)[1] == {hard.seq: (State.BLOCKED, "needs_privacy")}
    assert desk.decide(soft)[1] == {soft.seq: (State.BLOCKED, "no_recycle_bin")}
    assert len(desk.decide(hard)[0]) == 1


def test_a_mapped_status_is_the_soft_delete_and_comes_back(company: Company) -> None:
    desk = open_desk(company, soft="邮箱状态")
    id = person(company, "soft", 邮箱状态="ok")
    work = desk.work(id, "soft_delete")
    units = desk.units(work, privacy=False)
    start = count(company)
    assert desk.apply(units)[work.seq].answer is Answer.DONE
    assert desk.settle(work) == {work.seq: "done"}
    assert [
        c["path"].rpartition("/")[2]
        for c in calls_since(company, start)
        if "data/" in c["path"] and "list" not in c["path"] and "get" not in c["path"]
    ] == ["update"]
    assert desk.record("person", id).deleted and id in company.rows("person")
    works, back = desk.back(units[0].effects, {})
    assert desk.apply(back)[works[0].seq].answer is Answer.DONE
    assert company.rows("person")[id][company.widget("person", "邮箱状态")] == "ok"
    desk.writer.close()


def test_a_reference_inside_a_subform_holds_a_record_back(desk: Desk) -> None:
    lines = desk.company._field("order", "收货明细")["widget"]
    row = next(r for r in desk.company.rows("order").values() if r.get(lines))
    inner = next(f["widget"] for f in desk.company.form["订单"]["fields"] if f["label"] == "收货人")
    held = row[lines][0][inner]
    link = next(x for x in desk.writer.reader.children("person", [held]) if x.field == f"{lines}.{inner}")
    assert link.child.object == "order" and link.parent == RecordKey("person", held)
    for work in (desk.work(held), desk.work(held, "merge_into", target=person(desk.company, "target"))):
        assert desk.decide(work)[1] == {work.seq: (State.BLOCKED, "children_remain")}


def test_a_reference_that_appears_inside_a_subform_after_the_plan_is_seen(desk: Desk) -> None:
    company, id = desk.company, person(desk.company, "late child")
    work = desk.work(id)
    assert desk.units(work)
    ways = company.key("person", "其他联系方式")  # any write moves the form; the order's lines cannot be written by a call
    assert ways
    order = next(iter(company.rows("order")))
    company.control("line", entry_id=company.entry("order"), data_id=order, column="收货人", value=id)
    assert desk.decide(work)[1] == {work.seq: (State.BLOCKED, "children_remain")}


@pytest.mark.parametrize(("stood", "unmoved"), [(True, "skip"), (False, "skip"), (True, "read")])
def test_a_form_that_did_not_move_is_not_read_again_for_its_references(
    company: Company, monkeypatch: pytest.MonkeyPatch, stood: bool, unmoved: str
) -> None:
    reader = company.reader(write=True, unmoved=unmoved)
    kept = stood and unmoved == "skip"
    ids = [person(company, f"index {n}") for n in range(2)]
    # A form that moved a moment ago may move again within the same tick, and is read again.
    monkeypatch.setattr(jiandaoyun_many, "_TICK", timedelta(seconds=-10) if stood else timedelta(days=1))

    def whole_reads(id: str) -> set[str]:
        start = count(company)
        reader.children("person", [id])
        return {c["body"]["entry_id"] for c in calls_since(company, start, "data/list") if not c["body"].get("filter")}

    forms = {company.entry(n) for n in ("order", "activity", "invoice")}
    first, second = whole_reads(ids[0]), whole_reads(ids[1])
    assert forms <= first and (forms & second) == (set() if kept else forms)
    company.edit("activity", next(iter(company.rows("activity"))), 方向="out")
    assert forms & whole_reads(ids[0]) == ({company.entry("activity")} if kept else forms)
    reader.close()


def test_what_cannot_be_written_blocks_a_merge_that_would_have_to_move_it(desk: Desk) -> None:
    company = desk.company
    contact = company.widget("activity", "联系人")
    held = next(r[contact] for r in company.rows("activity").values() if contact in r and r[contact] in company.rows("person"))
    if any("." in x.field for x in desk.writer.reader.children("person", [held])):
        held = next(
            r[contact] for r in company.rows("activity").values()
            if contact in r and r[contact] in company.rows("person") and not any("." in x.field for x in desk.writer.reader.children("person", [r[contact]]))
        )  # fmt: skip
    work = desk.work(held, "merge_into", target=person(company, "survivor"))
    assert desk.decide(work)[1] == {work.seq: (State.BLOCKED, "not_writable")}


# deleting -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bin", [True, False])
@pytest.mark.parametrize("delete_by", ["one", "batch"])
def test_a_deletion_is_final_whether_or_not_the_page_has_a_bin(company: Company, bin: bool, delete_by: str) -> None:
    company.control("settings", bin=bin)
    desk = open_desk(company, delete_by=delete_by)
    ids = [person(company, f"{bin}{delete_by}{n}") for n in range(3)]
    works = [desk.work(i) for i in ids]
    start = count(company)
    said = desk.apply(desk.units(*works))
    assert {r.answer for r in said.values()} == {Answer.DONE} and len(said) == 3
    paths = [c["path"].rpartition("/")[2] for c in calls_since(company, start, "delete", "batch_delete")]
    assert paths == (["delete"] * 3 if delete_by == "one" else ["batch_delete"])
    assert not desk.writer.put_back(works[0], manifest=desk.manifest)
    assert isinstance(desk.now("person", ids[0]), Absent)
    assert desk.writer.capabilities.per_id_result is (delete_by == "one")
    desk.writer.close()


@pytest.mark.parametrize("missing", ["count", "error"])
def test_a_batch_that_counts_less_says_nothing_of_what_is_gone(company: Company, missing: str) -> None:
    company.control("settings", missing_batch=missing)
    desk = open_desk(company, delete_by="batch")
    ids = [person(company, f"batch {n}") for n in range(4)]
    works = [desk.work(i) for i in ids]
    units = desk.units(*works)
    desk.writer._hook = lambda said: (
        company.remove("person", ids[1]) if said == "vendor.call" and ids[1] in company.rows("person") else None
    )
    said = desk.apply(units)
    assert works[1].seq not in said, "somebody else has taken it, and nobody says who"
    gone = {w.seq for w in works} - {works[1].seq}
    if missing == "error":  # nothing was deleted by the batch: the others went one by one
        assert {s: r.answer for s, r in said.items()} == dict.fromkeys(gone, Answer.DONE)
    else:
        assert not said
    assert not set(ids) & set(company.rows("person"))
    assert set(desk.settle(*works).values()) == {"done"}
    desk.writer.close()


def test_one_refused_record_does_not_hold_up_a_batch_and_an_edit_is_seen(company: Company) -> None:
    desk = open_desk(company, delete_by="batch")
    ids = [person(company, f"marked {n}") for n in range(4)]
    works = [desk.work(i) for i in ids]
    units = desk.units(*works)
    company.control("mark", data_id=ids[2])

    def between(said: str) -> None:
        if said == "vendor.call":
            desk.writer._hook = lambda said: None
            company.edit("person", ids[3], 名="edited")

    desk.writer._hook = between
    said = desk.apply(units)
    assert [said[w.seq].answer for w in works] == [Answer.DONE, Answer.DONE, Answer.REFUSED, Answer.CHANGED]
    assert said[works[2].seq].code == "aggregate_check"
    assert {i in company.rows("person") for i in ids[:2]} == {False} and {i in company.rows("person") for i in ids[2:]} == {
        True
    }
    desk.writer.close()


def test_a_batch_that_was_cut_in_its_middle_is_read_record_by_record(company: Company) -> None:
    desk = open_desk(company, delete_by="batch")
    works = [desk.work(person(company, f"half {n}")) for n in range(6)]
    units = desk.units(*works)
    company.control("fault", kind="cut_half", path="batch_delete")
    assert desk.apply(units) == {}
    states = desk.settle(*works)
    assert [states[w.seq] for w in works] == ["done"] * 3 + ["again"] * 3
    left = [desk.work(w.id) for w in works[3:]]
    assert {r.answer for r in desk.apply(desk.units(*left)).values()} == {Answer.DONE}
    desk.writer.close()


@pytest.mark.parametrize("lists", ["lag", "current"])
def test_many_go_as_many_at_a_time_as_can_be_looked_at(company: Company, lists: str) -> None:
    desk = open_desk(company, delete_by="batch", lists=lists)
    ids = [person(company, f"many {n}") for n in range(230)]
    records = desk.writer.read([RecordKey("person", i) for i in ids]).records
    works = [
        Work(n, "person", i, "hard_delete", None, r.version, r.digest)
        for n, (i, r) in enumerate(zip(ids, records.values(), strict=True))
        if isinstance(r, Record)
    ]
    start = count(company)
    said = desk.apply(desk.units(*works))
    assert len(said) == 230 and {r.answer for r in said.values()} == {Answer.DONE}
    assert [len(c["body"]["data_ids"]) for c in calls_since(company, start, "batch_delete")] == (
        [100, 100, 30] if lists == "current" else [60, 40, 60, 40, 30]
    )
    desk.writer.close()


@pytest.mark.parametrize("missing", ["4001", "4042", "success"])
def test_a_record_that_is_gone_is_said_to_be_absent_where_the_vendor_says_so(desk: Desk, missing: str) -> None:
    company = desk.company
    company.control("settings", missing_single=missing)
    id = person(company, missing)
    work = desk.work(id)
    units = desk.units(work)
    desk.writer._hook = lambda said: company.remove("person", id) if said == "vendor.call" else None
    said = desk.apply(units)[work.seq]
    assert said.answer is (Answer.DONE if missing == "success" else Answer.ABSENT)  # success of nothing: nobody can tell


@pytest.mark.parametrize("refuses", ["allow", "refuse"])
@pytest.mark.parametrize("running_flow", ["stays", "goes"])
def test_a_record_whose_flow_runs_stays_unless_the_profile_lets_it_go(
    company: Company, running_flow: str, refuses: str
) -> None:
    company.control("settings", running_delete=refuses)
    desk = open_desk(company, running_flow=running_flow)
    id = company.make("order", 订单号="flow", 状态="confirmed")
    work = desk.work(id, object="order")
    said = desk.apply(desk.units(work))[work.seq]
    if running_flow == "stays":
        assert (said.answer, said.code) == (Answer.REFUSED, "flow_runs")
    elif refuses == "refuse":
        assert (said.answer, said.code) == (Answer.REFUSED, "delete_failed")
    else:
        assert said.answer is Answer.DONE
    assert (id in company.rows("order")) is (said.answer is Answer.REFUSED)
    desk.writer.close()


def test_a_flow_that_refuses_a_write_is_a_refusal(desk: Desk) -> None:
    company = desk.company
    company.control("settings", running_update="refuse")
    id = company.make("order", 订单号="flow write", 状态="confirmed")
    said = desk.update("order", id, **{company.widget("order", "状态"): "shipped"})
    assert [(r.answer, r.code) for r in said.values()] == [(Answer.REFUSED, "flow_refuses")]


def test_what_people_bring_back_from_the_bin_is_not_deleted_again(desk: Desk) -> None:
    company, id = desk.company, person(desk.company, "recovered")
    work = desk.work(id)
    units = desk.units(work)
    desk.apply(units)
    company.control("recover", data_id=id)
    assert desk.settle(work) == {work.seq: "again"}
    assert desk.decide(work)[1] == {work.seq: (State.DRIFT, "changed")}, "its time of change has moved"


# side effects ---------------------------------------------------------------------------------------------------------


def test_automations_and_flows_are_off_in_every_call_that_could_start_them(desk: Desk) -> None:
    company, id = desk.company, person(desk.company, "quiet")
    before = (company.events("automation.start"), company.events("workflow.start"))
    start = count(company)
    desk.update("person", id, **{company.widget("person", "名"): "still quiet"})
    company.control("settings", flow_starts="asked")
    order = company.make("order", 订单号="quiet", 状态="done")
    company.control("flow", data_id=order, state=1)
    before = (before[0], company.events("workflow.start"))
    work, work2 = desk.work(id), desk.work(order, object="order")
    units = desk.units(work, work2)
    desk.apply(units)
    _, back = desk.back([e for u in units for e in u.effects], {})
    desk.apply(back)
    assert (company.events("automation.start"), company.events("workflow.start")) == before
    sent = calls_since(company, start, "data/update", "data/delete", "batch_create")
    assert {c["path"].rpartition("/")[2] for c in sent} == {"update", "delete", "batch_create"}
    assert all(c["body"].get("is_start_trigger", c["body"].get("is_start_workflow")) is False for c in sent)


def test_a_switch_of_the_manifest_starts_them_and_makes_batches_single_calls(company: Company) -> None:
    desk = open_desk(company, delete_by="batch")
    desk.writer.side_effects = frozenset({"is_start_trigger", "is_start_workflow"})
    ids = [person(company, f"loud {n}") for n in range(2)]
    works = [desk.work(i) for i in ids]
    units = desk.units(*works)
    desk.apply(units)
    assert set(ids) <= set(company.events("automation.start")), "a batch would have started none"
    company.control("settings", flow_starts="asked")
    order = company.make("order", 订单号="loud", 状态="done")
    company.control("flow", data_id=order, state=1)
    work = desk.work(order, object="order")
    units = desk.units(work)
    desk.apply(units)
    works, back = desk.back(units[0].effects, {})
    made = desk.apply(back)[works[0].seq].became
    assert made in company.events("workflow.start")
    desk.writer.close()


# values ---------------------------------------------------------------------------------------------------------------

NOT_BACK = {
    "company": {"客户编号", "合同附件"},
    "person": {"名片"},
    "order": {"收货明细"},
    "ticket": set(),
    "deal": set(),
}


@pytest.mark.parametrize("object", sorted(NOT_BACK))
def test_every_kind_of_value_comes_back_but_for_those_nobody_can_write(desk: Desk, object: str) -> None:
    company = desk.company
    rows = company.rows(object)
    fullest = sorted(rows, key=lambda i: (company.control("flow", data_id=i, state=1)["changed"] >= 0, len(rows[i])))[-3:]
    for id in fullest:
        before = desk.record(object, id)
        effect = Effect(900 + next(NUMBERS), "item", "delete", before)
        company.remove(object, id)
        works, back = desk.back([effect], {})
        became = desk.apply(back)[works[0].seq].became
        assert became is not None and became != id
        after = desk.record(object, became)
        left = desk.record("user", str(before.fields["creator"])).fields["status"] == -1
        allowed = {"creator"} if left else set()
        parents = desk.writer.mapping.objects[object].parents
        dangling = {n for n, p in parents.items() if p != "user" and before.fields[n] not in company.rows(p)}
        allowed |= dangling | (
            {company.widget(object, label) for label in NOT_BACK[object]}
            | desk.writer.moving(object)
            | {"_id", "createTime", "flowState"}
        )
        gone = {p for p in before.fields if before.fields[p] is not None and p in company.rows(object)[became]}
        assert gone
        assert [
            n for n in before.fields if n not in allowed and canonical_text(before.fields[n]) != canonical_text(after.fields[n])
        ] == []


def test_a_subform_comes_back_without_the_columns_that_cannot_be_written(desk: Desk) -> None:
    company = desk.company
    lines = company.widget("order", "收货明细")
    id = next(i for i, r in company.rows("order").items() if r.get(lines))
    before = desk.record("order", id)
    company.remove("order", id)
    works, back = desk.back([Effect(950 + next(NUMBERS), "item", "delete", before)], {})
    after = desk.record("order", str(desk.apply(back)[works[0].seq].became))
    number = next(f["widget"] for f in company.form["订单"]["fields"] if f["label"] == "数量")
    old, new = before.fields[lines], after.fields[lines]
    assert isinstance(old, list) and new == [{n: v for n, v in line.items() if n == number} for line in old]


@pytest.mark.parametrize("empties", ["typed", "null", "absent"])
def test_a_cleared_field_is_empty_whatever_empty_looks_like(desk: Desk, empties: str) -> None:
    company = desk.company
    company.control("settings", empties=empties)
    firm = next(iter(company.rows("company")))
    id = person(company, f"clear {empties}", 所属客户=firm, 生日="1980-01-02", 地址={"city": "Köln"}, 负责人="api")
    names = [company.widget("person", n) for n in ("名", "所属客户", "生日", "地址", "负责人", "手机")]
    said = desk.update("person", id, **dict.fromkeys(names))
    assert [r.answer for r in said.values()] == [Answer.DONE]
    assert desk.settle(desk.last) == {desk.last.seq: "done"}
    assert not any(company.rows("person")[id].get(n) for n in names)
    assert desk.record("person", id).fields[company.widget("person", "姓")] == "陈"


def test_blanking_is_clearing_where_an_empty_text_is_stored_as_nothing(desk: Desk) -> None:
    from steward.manifest.format import FieldChange

    company = desk.company
    id, name = person(company, "blank"), company.widget("person", "名")
    work = desk.work(id, "anonymise")
    units = desk.units(work, anonymise={"person": [FieldChange(field=name, method="blank")]})
    desk.apply(units)
    assert desk.settle(work) == {work.seq: "done"}
    assert not company.rows("person")[id].get(name)


@pytest.mark.parametrize(
    ("label", "value", "code"),
    [
        ("负责人", "nobody", "no_member"),
        ("生日", "soon", "wrong_value"),
        ("所属客户", "x", "wrong_value"),
        ("手机", 5, "wrong_value"),
        ("名片", [], "not_writable"),
    ],
)
def test_a_wrong_value_is_refused_before_it_is_stored_as_nothing(desk: Desk, label: str, value: Any, code: str) -> None:
    company, id = desk.company, person(desk.company, "wrong")
    start = count(company)
    said = desk.update("person", id, **{company.widget("person", label): value})
    assert [(r.answer, r.code) for r in said.values()] == [(Answer.REFUSED, code)]
    assert not calls_since(company, start, "data/update")


def test_what_the_vendor_did_not_take_is_put_back_even_where_names_were_swapped(desk: Desk) -> None:
    company, id = desk.company, person(desk.company, "swapped", 电子邮箱="a@b.example")
    entry, first, last = company.entry("person"), company.widget("person", "名"), company.widget("person", "姓")
    old = (company.key("person", "名"), company.key("person", "姓"))

    def swap(said: str) -> None:
        if said == "vendor.call":
            desk.writer._hook = lambda said: None
            company.control("alias", entry_id=entry, widget=first, alias=old[1])
            company.control("alias", entry_id=entry, widget=last, alias=old[0])

    desk.writer._hook = swap
    before = dict(company.rows("person")[id])
    try:
        said = desk.update("person", id, **{first: "written into the wrong field"})
        assert [(r.answer, r.code) for r in said.values()] == [(Answer.REFUSED, "not_taken")]
        assert company.rows("person")[id] == before
    finally:
        company.control("alias", entry_id=entry, widget=first, alias=old[0])
        company.control("alias", entry_id=entry, widget=last, alias=old[1])


def test_a_field_renamed_since_is_written_under_its_new_name(desk: Desk) -> None:
    company, id = desk.company, person(desk.company, "renamed")
    entry, name, old = company.entry("person"), company.widget("person", "名"), company.key("person", "名")
    company.control("alias", entry_id=entry, widget=name, alias="another_name")
    try:
        desk.update("person", id, **{name: "under a new name"})
        assert company.rows("person")[id][name] == "under a new name"
    finally:
        company.control("alias", entry_id=entry, widget=name, alias=old)


# making a record ------------------------------------------------------------------------------------------------------


def deleted(desk: Desk, name: str, **more: Any) -> tuple[str, list[Work], list[Unit]]:
    """A customer who is gone, and what brings it back."""
    id = person(desk.company, name, **more)
    work = desk.work(id)
    units = desk.units(work)
    desk.apply(units)
    assert id not in desk.company.rows("person")
    works, back = desk.back(units[0].effects, {})
    return id, works, back


def named(company: Company, name: str) -> list[str]:
    return [i for i, r in company.rows("person").items() if r.get(company.widget("person", "名")) == name]


@pytest.mark.parametrize("kind", ["cut_before", "cut_after", "late"])
def test_a_create_in_doubt_can_be_repeated_and_makes_one_record(desk: Desk, kind: str) -> None:
    company, name = desk.company, f"once {kind}"
    _, works, back = deleted(desk, name)
    company.control("fault", kind=kind, path="batch_create")
    assert desk.apply(back) == {}
    state = desk.settle(works[0])[works[0].seq]
    assert state == ("done" if kind == "cut_after" else "again")
    if kind == "late":  # the first call takes effect just before the second
        company.control("late")
    if state == "again":
        assert desk.apply(back, attempt=2)[works[0].seq].became in named(company, name)
    assert len(named(company, name)) == 1
    if kind == "cut_before":  # or the second just before it
        company.control("late")
        assert len(named(company, name)) == 1


def test_a_call_that_takes_effect_after_its_repetition_writes_the_same_record(desk: Desk) -> None:
    company, name = desk.company, "late after"
    _, works, back = deleted(desk, name)
    company.control("fault", kind="late", path="batch_create")
    desk.apply(back)
    assert desk.apply(back, attempt=2)[works[0].seq].answer is Answer.DONE
    company.control("late")
    assert len(named(company, name)) == 1


def test_the_vendor_itself_finds_the_repetition_where_we_could_not_see_the_first(desk: Desk) -> None:
    company, name = desk.company, "unseen"
    _, works, back = deleted(desk, name)
    company.control("fault", kind="cut_after", path="batch_create")
    desk.apply(back)
    start = count(company)
    said = desk.apply(back)[works[0].seq]  # a first attempt looks for nothing before its call
    assert said.answer is Answer.DONE and named(company, name) == [said.became]
    assert len(calls_since(company, start, "batch_create")) == 1


def test_what_people_did_to_a_record_that_may_be_ours_is_not_written_over(desk: Desk) -> None:
    company, name = desk.company, "edited since"
    _, works, back = deleted(desk, name, 电子邮箱="old@example.org", 职务="Chef")
    company.control("fault", kind="cut_after", path="batch_create")
    desk.apply(back)
    (id,) = named(company, name)
    company.control("clock", advance=5)
    company.edit("person", id, 电子邮箱="new@example.org")
    company.control("clock", advance=-5)
    assert desk.settle(works[0]) == {works[0].seq: "again"}
    said = desk.apply(back, attempt=2)[works[0].seq]
    assert (said.answer, said.code) == (Answer.REFUSED, "perhaps_made")
    assert company.rows("person")[id][company.widget("person", "电子邮箱")] == "new@example.org"
    assert len(named(company, name)) == 1


@pytest.mark.parametrize("hours", [0, 2])
def test_a_record_of_ours_that_people_removed_is_not_made_again_under_the_same_key(desk: Desk, hours: int) -> None:
    company, name = desk.company, f"removed since {hours}"
    _, works, back = deleted(desk, name)
    company.control("fault", kind="cut_after", path="batch_create")
    desk.apply(back)
    company.remove("person", named(company, name)[0])
    company.control("clock", advance=hours * 3_600)
    said = desk.apply(back, attempt=2)[works[0].seq]
    company.control("clock", advance=-hours * 3_600)
    assert (said.answer, said.code) == (Answer.REFUSED, "key_used")
    assert not named(company, name)
    other = Desk(company, desk.writer, manifest=f"{next(NUMBERS):026d}")  # another restore has another key
    other._seq = itertools.count(5_000)
    assert other.apply(back)[works[0].seq].answer is Answer.DONE
    assert len(named(company, name)) == 1


def test_twins_of_one_manifest_are_two_records(desk: Desk) -> None:
    company = desk.company
    pairs = [deleted(desk, "twin") for _ in range(2)]
    for _, works, back in pairs:
        company.control("fault", kind="cut_after", path="batch_create")
        desk.apply(back)
        assert desk.settle(works[0]) == {works[0].seq: "done"}
    assert len(named(company, "twin")) == 2


def test_who_made_a_record_is_kept_unless_they_have_left(desk: Desk) -> None:
    company = desk.company
    members = {r.key.id: r.fields["status"] for part in desk.writer.reader.scan("user") for r in part}
    there = next(u for u, status in members.items() if status == 1 and u != "api")
    rows = company.rows("person")
    made = next(i for i in rows if desk.record("person", i).fields["creator"] == there)
    before = desk.record("person", made)
    company.remove("person", made)
    works, back = desk.back([Effect(3_000 + next(NUMBERS), "item", "delete", before)], {})
    after = desk.record("person", str(desk.apply(back)[works[0].seq].became))
    assert after.fields["creator"] == there


# members --------------------------------------------------------------------------------------------------------------


def test_a_member_leaves_and_stays_in_every_record(company: Company) -> None:
    desk = open_desk(company)
    name = next(r.key.id for part in desk.writer.reader.scan("user") for r in part if r.key.id != "api")
    owned = [i for i, r in company.rows("person").items() if r.get(company.widget("person", "负责人")) == name]
    work = desk.work(name, "deactivate_user", object="user")
    units = desk.units(work)
    start = count(company)
    assert desk.apply(units)[work.seq].answer is Answer.DONE
    assert [c["body"] for c in calls_since(company, start, "corp/user/delete")] == [{"username": name}]
    assert desk.settle(work) == {work.seq: "done"}
    assert desk.record("user", name).fields["status"] == -1
    assert [company.rows("person")[i][company.widget("person", "负责人")] for i in owned] == [name] * len(owned)
    works, back = desk.back(units[0].effects, {})
    said = desk.apply(back)[works[0].seq]
    assert (said.answer, said.code) == (Answer.REFUSED, "nobody_comes_back")
    desk.writer.close()


def test_members_that_come_from_another_service_cannot_be_made_to_leave(desk: Desk) -> None:
    desk.company.control("settings", integrated=True)
    name = next(r.key.id for part in desk.writer.reader.scan("user") for r in part if r.key.id != "api")
    work = desk.work(name, "deactivate_user", object="user")
    said = desk.apply(desk.units(work))[work.seq]
    assert (said.answer, said.code) == (Answer.REFUSED, "denied")
    assert desk.record("user", name).fields["status"] == 1


@pytest.mark.parametrize("delete_by", ["one", "batch"])
def test_a_form_of_users_is_never_deleted_from_whatever_the_mapping_says(company: Company, delete_by: str) -> None:
    from steward.crm.mapping import parse_mapping

    text = company.mapping_text().replace('role = "person"', 'role = "user"')
    desk = Desk(company, company.writer(parse_mapping(text), delete_by=delete_by), manifest=f"{next(NUMBERS):026d}")
    ids = [person(company, f"user {n}") for n in range(2)]
    works = [desk.work(i) for i in ids]
    said = desk.apply(desk.units(*works))
    assert [(r.answer, r.code) for r in said.values()] == [(Answer.REFUSED, "user_object")] * 2
    assert set(ids) <= set(company.rows("person"))
    desk.writer.close()


def test_a_customer_goes_to_a_colleague_who_is_there(desk: Desk) -> None:
    company, owner = desk.company, desk.company.widget("person", "负责人")
    id = person(company, "reassigned", 负责人="api")
    name = next(r.key.id for part in desk.writer.reader.scan("user") for r in part if r.key.id != "api")
    work = desk.work(id, "reassign", target=name)
    assert desk.apply(desk.units(work))[work.seq].answer is Answer.DONE
    assert company.rows("person")[id][owner] == name
    work = desk.work(id, "reassign", target="nobody")
    assert desk.apply(desk.units(work))[work.seq].code == "no_member"
    assert company.rows("person")[id][owner] == name


# reading many ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("absence", ["asked", "page"])
@pytest.mark.parametrize(("filters", "on_ids"), [("silent", False), ("strict", False), ("silent", True)])
def test_many_are_read_in_few_calls_and_absence_as_the_profile_says(
    company: Company, absence: str, filters: str, on_ids: bool
) -> None:
    company.control("settings", filters=filters, system_filters=on_ids)
    desk = open_desk(company, absence=absence, lists="current")
    ids = [person(company, f"near {n}") for n in range(41)]
    del ids[20]  # a neighbour that nobody asks for
    gone = ids[5:15]
    for id in gone:
        company.remove("person", id)
    start = count(company)
    found = desk.writer.reader.fetch("person", [*ids, "no id"])
    calls = calls_since(company, start, "data/list", "data/get")
    assert list(found) == [*ids, "no id"]
    assert {i for i, r in found.items() if isinstance(r, Absent)} == {*gone, "no id"}
    assert all(r == desk.record("person", i) for i, r in list(found.items())[:3])
    by_page = absence == "page" and not on_ids
    assert len(calls) <= (3 if by_page else 3 + len(gone))
    assert {r.how for i, r in found.items() if i in gone and isinstance(r, Absent)} == {"page" if by_page else "4001"}
    desk.writer.close()


@pytest.mark.parametrize("lists", ["lag", "current"])
def test_records_of_another_form_are_not_ours_in_a_page_either(company: Company, lists: str) -> None:
    desk = open_desk(company, lists=lists)
    firms = sorted(company.rows("company"))[:5]
    assert {type(r) for r in desk.writer.reader.fetch("person", firms).values()} == {Absent}
    desk.writer.close()


def test_pages_that_lag_neither_hide_an_edit_nor_undo_a_deletion(company: Company) -> None:
    desk = open_desk(company)
    ids = [person(company, f"lag {n}") for n in range(4)]
    company.control("clock", advance=120)
    company.control("settings", list_lag=60)
    works = [desk.work(i) for i in ids]
    units = desk.units(*works)
    company.edit("person", ids[3], 名="edited, and no page shows it")
    desk.writer._seen.clear()
    said = desk.apply(units)
    assert [said[w.seq].answer for w in works] == [*[Answer.DONE] * 3, Answer.CHANGED]
    shown = {r.key.id for part in company.reader().scan("person") for r in part}
    assert set(ids) <= shown, "pages still show what is gone"
    assert desk.settle(*works[:3]) == {w.seq: "done" for w in works[:3]}
    company.control("clock", advance=-120)
    desk.writer.close()


def test_a_record_that_pages_do_not_show_yet_is_not_made_twice(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    company, name = desk.company, "lag anew"
    _, works, back = deleted(desk, name)
    company.control("settings", list_lag=5)
    company.control("fault", kind="cut_after", path="batch_create")
    assert desk.apply(back) == {}
    assert desk.settle(works[0]) == {works[0].seq: "again"}, "nobody can see it"
    # The vendor's clock goes on while we wait.
    waited = company.clock.sleep
    monkeypatch.setattr(company.clock, "sleep", lambda seconds: (waited(seconds), company.control("clock", advance=seconds))[0])
    said = desk.apply(back, attempt=2)[works[0].seq]
    assert said.answer is Answer.DONE and named(company, name) == [said.became]


def test_customers_are_counted_by_reading(desk: Desk) -> None:
    assert desk.writer.count("person") == len(desk.company.rows("person"))


# codes ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [9004, 9007, 4000, 9999])
def test_codes_that_leave_a_write_open_are_a_doubt_and_never_wait_and_again(desk: Desk, code: int) -> None:
    company, id = desk.company, person(desk.company, f"open {code}")
    work = desk.work(id)
    units = desk.units(work)
    company.control("fault", kind="code", code=code, path="writes")
    start = count(company)
    assert desk.apply(units) == {}
    assert len(calls_since(company, start, "delete")) == 1
    assert desk.settle(work) == {work.seq: "again"}


@pytest.mark.parametrize("code", [8303, 8304, 4012])
def test_codes_that_mean_wait_have_certainly_done_nothing(desk: Desk, code: int) -> None:
    company = desk.company
    works = [desk.work(person(company, f"wait {code} {n}")) for n in range(3)]
    units = desk.units(*works)
    company.control("fault", kind="code", code=code, path="writes", after=1)
    said = desk.apply(units)
    assert [said[w.seq].answer for w in works] == [Answer.DONE, Answer.LATER, Answer.LATER]
    assert works[1].id in company.rows("person")


@pytest.mark.parametrize("code", [1058, 4025, 8302, 17053, 17054, 30002, 7103])
def test_codes_that_mean_no_are_refusals(desk: Desk, code: int) -> None:
    company, id = desk.company, person(desk.company, f"no {code}")
    work = desk.work(id)
    units = desk.units(work)
    company.control("fault", kind="code", code=code, path="writes")
    assert desk.apply(units)[work.seq].answer is Answer.REFUSED
    assert id in company.rows("person")


def test_the_key_that_only_reads_can_write_nothing(company: Company) -> None:
    from steward.executor.writers.jiandaoyun import JiandaoyunWriter

    desk = Desk(company, JiandaoyunWriter(company.reader(), company.steps), manifest=f"{next(NUMBERS):026d}")
    id = person(company, "read only")
    work = desk.work(id)
    said = desk.apply(desk.units(work))[work.seq]
    assert (said.answer, said.code) == (Answer.REFUSED, "denied")
    with pytest.raises(DeniedError):
        desk.writer.send_update(
            desk.writer.mapping.objects["person"], desk.record("person", id), {company.widget("person", "名"): "x"}
        )
    desk.writer.close()


# merging --------------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process ends here."""


def three_merges(desk: Desk, name: str) -> tuple[list[Work], list[tuple[str, str, str]]]:
    """Three merges that move a ticket each and keep the loser's given name; losers, survivors and tickets."""
    company, given = desk.company, desk.company.widget("person", "名")
    made, works = [], []
    for n in range(3):
        survivor, loser = person(company, f"{name} survivor {n}"), person(company, f"{name} loser {n}")
        ticket = company.make("ticket", 联系人={"link_id": loser}, 主题="moves")
        made.append((loser, survivor, ticket))
        works.append(desk.work(loser, "merge_into", target=survivor, **{given: loser}))
    return works, made


def all_merged(company: Company, made: list[tuple[str, str, str]], name: str) -> None:
    people, tickets = company.rows("person"), company.rows("ticket")
    given, contact = company.widget("person", "名"), company.widget("ticket", "联系人")
    for n, (loser, survivor, ticket) in enumerate(made):
        assert loser not in people and people[survivor][given] == f"{name} loser {n}" and tickets[ticket][contact] == survivor


@pytest.mark.parametrize("delete_by", ["one", "batch"])
def test_merges_of_one_batch_share_one_reading_of_what_still_refers(company: Company, delete_by: str) -> None:
    desk = open_desk(company, delete_by=delete_by)
    works, made = three_merges(desk, f"shared {delete_by}")
    units = desk.units(*works)
    start = count(company)
    said = desk.apply(units)
    assert {r.answer for r in said.values()} == {Answer.DONE} and len(said) == 3
    assert set(desk.settle(*works).values()) == {"done"}
    all_merged(company, made, f"shared {delete_by}")
    whole = [
        c
        for c in calls_since(company, start, "data/list")
        if c["body"].get("entry_id") == company.entry("ticket") and "data_id" not in c["body"]
    ]
    assert len(whole) == 1, "tickets were read once for three merges"
    desk.writer.close()


@pytest.mark.parametrize("at", [1, 3, 6, 8, 11, 13, 14, 16, 18])
def test_merges_that_were_cut_off_anywhere_are_gone_on_with(desk: Desk, at: int) -> None:
    company, name = desk.company, f"cut {at}"
    works, made = three_merges(desk, name)
    units = desk.units(*works)
    seen = 0

    def hook(said: str) -> None:
        nonlocal seen
        seen += said.startswith("vendor.call")
        if seen == at:
            raise Killed

    desk.writer._hook = hook
    with pytest.raises(Killed):
        desk.apply(units)
    desk.writer._hook = lambda said: None
    for _ in range(3):
        states = desk.settle(*works)
        again = [w for w in works if states[w.seq] == "again"]
        halves = [w for w in works if states[w.seq] == "partly"]
        assert set(states.values()) <= {"again", "partly", "done"}
        if halves:
            rest = [u for w in halves if (u := decider_of(desk).rest([w])) is not None]
            assert len(rest) == len(halves)
            desk.writer.go_on(rest, manifest=desk.manifest)
        elif again:
            desk.apply(desk.units(*again))
        else:
            break
    all_merged(company, made, name)


def decider_of(desk: Desk) -> Any:
    from datetime import UTC, datetime

    from steward.executor.plan import LiveDecider

    return LiveDecider(
        desk.writer, desk.writer.mapping, "steward-executor", lambda: datetime.now(UTC), {}, vetoed=frozenset, held=frozenset,
        patient=False, privacy=True,
    )  # fmt: skip


def test_what_people_lead_to_a_loser_in_the_middle_of_merges_keeps_it(desk: Desk) -> None:
    company, name = desk.company, "led"
    works, made = three_merges(desk, name)
    units = desk.units(*works)
    moves = 0

    def hook(said: str) -> None:
        nonlocal moves
        moves += said == "vendor.called"
        if said == "vendor.called" and moves == 2:  # the first merge's survivor and ticket are written
            company.make("ticket", 联系人={"link_id": made[0][0]}, 主题="came since")

    desk.writer._hook = hook
    said = desk.apply(units)
    desk.writer._hook = lambda said: None
    assert works[0].seq not in said and made[0][0] in company.rows("person"), "the loser stays where somebody works with it"
    assert [said[w.seq].answer for w in works[1:]] == [Answer.DONE] * 2
    assert desk.settle(*works) == {works[0].seq: "partly", works[1].seq: "done", works[2].seq: "done"}


@pytest.mark.parametrize(
    ("kind", "after"),
    [("cut_after", 3), ("cut_after", 7), ("cut_before", 0), ("cut_before", 6), ("http_429", 3), ("http_429", 8), ("code", 6)],
)
def test_a_fault_anywhere_in_merges_leaves_nothing_said_that_is_not_so(desk: Desk, kind: str, after: int) -> None:
    company, name = desk.company, f"fault {kind} {after}"
    works, made = three_merges(desk, name)
    units = desk.units(*works)
    company.control("fault", kind=kind, code=9004, path="writes", after=after)
    said = desk.apply(units)
    people = company.rows("person")
    for work, (loser, _, ticket) in zip(works, made, strict=True):
        led = company.rows("ticket")[ticket][company.widget("ticket", "联系人")] != loser
        answer = said[work.seq].answer if work.seq in said else None
        assert (answer is Answer.DONE) == (loser not in people) or answer is None
        assert answer is not Answer.LATER or not led, "what was begun is never said to be for later"
