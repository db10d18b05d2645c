"""Each protection alone stops a deletion, and each stops it as well where its source is missing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from steward.policy import HELD, PROTECTIONS, Holds, blocking, default_policy, parse_holds
from steward.records import RecordKey
from steward.scoring.staleness import StalenessSummary, score_staleness
from steward.store import Workspace
from tests.support.reasons import AS_OF, C1, K1, World, codes

NO_HOLDS = Holds()
Change = Callable[[World], None]


def score(
    tmp_path: Path, world: World, holds: Holds = NO_HOLDS, key: RecordKey = C1
) -> tuple[list[str], StalenessSummary, Workspace]:
    ws = Workspace.open(tmp_path / "w", create=True)
    snapshot = world.snapshot(ws, tmp_path / "files")
    summary = score_staleness(ws, snapshot, key.object, world.policy, holds=holds)
    return codes(ws, snapshot, key), summary, ws


def test_the_dormant_contact_is_stale_and_free(tmp_path: Path) -> None:
    found, summary, ws = score(tmp_path, World())
    assert found == []
    assert (summary.records, summary.free) == (2, 2)  # the other one never did anything, which is another rule
    (evidence,) = [e for e in ws.evidence(ws.snapshot(), kind="stale") if e.key == C1]
    assert evidence.score == 0.85
    assert [(v.field, v.points) for v in evidence.values] == [("recency", 60), ("business", 10), ("reach", 10), ("owner", 5)]
    assert evidence.values[0].compared_with == "36 months; without this: 25, not stale"
    assert evidence.values[0].source == "activity/A1"
    assert "as of 2026-01-31" in evidence.sentence
    assert evidence.policy_digest == World().policy.digest


def _row(object: str, **cells: str | None) -> Change:
    return lambda world: world.add(object, **cells)


def _set(object: str, id: str, **cells: str | None) -> Change:
    return lambda world: world.change(object, id, **cells)


def _alone(world: World) -> None:
    world.change("contact", "C2", company_id="K2")
    world.objects["order"]["parents"]["company_id"] = "company"
    world.records["order"] = [{**r, "company_id": None} for r in world.records["order"]]
    world.add("order", contact_id=None, company_id="K1", day="2025-12-01", state="done")


def _mark(code: str, outcome: str = "keep") -> Change:
    def change(world: World) -> None:
        world.policy_text += (
            f'\n[[marked]]\ncode = "{code}"\nobject = "contact"\ncolumn = "hold"\nvalues = ["1"]\noutcome = "{outcome}"\n'
        )
        world.change("contact", "C1", hold="1")

    return change


ALONE: list[tuple[str, Change]] = [
    ("open_deal", _row("deal", state="open", day="2009-01-01")),
    ("open_quote", _row("quote", state="open", day="2009-01-01")),
    ("open_order", _row("order", state="sent", day="2009-01-01")),
    ("open_order", _row("order", state=None, day="2009-01-01")),
    ("unpaid_invoice", _row("invoice", state="disputed", day="2009-01-01")),
    ("active_contract", _row("contract", state="active", day="2009-01-01")),
    ("open_ticket", _row("ticket", state="waiting", day="2009-01-01")),
    ("retention", _row("invoice", day="2018-01-01")),
    ("retention", _row("invoice", day="not a day")),
    ("created_recently", _set("contact", "C1", created="2025-12-31")),
    ("created_recently", _set("contact", "C1", created="31.12.1999")),
    ("created_recently", _set("contact", "C1", created=None)),
    ("only_contact", _alone),
    ("legal_hold", _mark("legal_hold")),
    ("data_subject_request", _mark("data_subject_request")),
    ("opt_out", _mark("opt_out", "anonymise")),
    ("allow_list", _mark("allow_list")),
    ("other_role", _mark("other_role")),
]


@pytest.mark.parametrize(("code", "change"), ALONE, ids=[f"{n}-{c}" for n, (c, _) in enumerate(ALONE)])
def test_each_alone_stops_a_deletion(tmp_path: Path, code: str, change: Change) -> None:
    world = World()
    change(world)
    found, _summary, ws = score(tmp_path, world)
    assert found == [code]
    protections = ws.protections(ws.snapshot(), [C1])[C1]
    assert blocking("delete", protections) == tuple(protections)
    assert all(p.sentence.endswith(".") for p in protections)


@pytest.mark.parametrize("code", ["legal_hold", "data_subject_request", "opt_out", "allow_list", "other_role"])
def test_each_list_entry_stops_a_deletion(tmp_path: Path, code: str) -> None:
    found, _summary, _ws = score(tmp_path, World(), parse_holds(f"contact/C1\t{code}\n"))
    assert found == [code]


def test_a_hold_on_another_object_or_id_does_not_protect(tmp_path: Path) -> None:
    found, _summary, _ws = score(tmp_path, World(), parse_holds("company/C1\ncontact/C1x\n"))
    assert found == []


def test_parent_of_something_protected(tmp_path: Path) -> None:
    world = World()
    world.add("deal", contact_id="C2", state="open")
    found, _summary, _ws = score(tmp_path, world, key=K1)
    assert "parent_of_protected" in found
    assert "open_deal" in found  # followed from deal over contact to company


def test_protection_climbs_a_tree_of_companies(tmp_path: Path) -> None:
    world = World()
    world.change("company", "K1", parent_id="K2")
    world.change("company", "K2", parent_id="K1")  # a cycle ends as well
    world.records["contact"] = [{**r, "company_id": None} for r in world.records["contact"]]
    found, _summary, ws = score(tmp_path, world, parse_holds("company/K1\n"), key=K1)
    assert "legal_hold" in found
    assert codes(ws, ws.snapshot(), RecordKey("company", "K2")) == ["parent_of_protected"]


def _bin(world: World, object: str) -> None:
    """Put every row of an object into the recycle bin; an export without any row is refused before."""
    world.objects[object]["soft_delete"] = {"column": "gone", "deleted": "1", "live": "0"}
    world.records[object] = [{**r, "gone": "1"} for r in world.records[object]]


OBJECT_OF = {"open_deal": "deal", "open_quote": "quote", "open_order": "order", "unpaid_invoice": "invoice",
             "active_contract": "contract", "open_ticket": "ticket"}  # fmt: skip
MISSING: list[tuple[str, str, Change]] = []
for _code, _object in OBJECT_OF.items():
    MISSING += [
        (_code, "not mapped", lambda w, o=_object: w.without(o)),
        (_code, "empty", lambda w, o=_object: _bin(w, o)),
        (_code, "no rule", lambda w, o=_object: w.objects[o].pop("open_when")),
        (_code, "unreadable", lambda w, o=_object: w.broken.add(o)),
        (_code, "no link", lambda w, o=_object: w.objects[o].pop("parents")),
        (_code, "too few rows", lambda w, c=_code: setattr(w, "policy_text", w.policy_text + f"\n[protections.{c}]\nminimum_rows = 9\n")),
    ]  # fmt: skip
MISSING += [
    ("retention", "not mapped", lambda w: (w.without("invoice"), w.without("order"))),
    ("retention", "no date", lambda w: w.objects["invoice"].pop("event")),
    ("retention", "unknown rule", lambda w: w.objects["invoice"].__setitem__("retention", "unheard_of")),
    ("retention", "unreadable", lambda w: w.broken.add("invoice")),
    ("retention", "empty", lambda w: _bin(w, "invoice")),
    ("retention", "too few rows", lambda w: _expect(w, "retention", 9)),
    ("retention", "no link", lambda w: (w.objects["invoice"].pop("parents"), w.without("order"))),
    ("created_recently", "not mapped", lambda w: w.objects["contact"].pop("created")),
    ("only_contact", "not mapped", lambda w: w.without("company")),
    ("only_contact", "empty", lambda w: _bin(w, "company")),
    ("only_contact", "too few rows", lambda w: _expect(w, "only_contact", 9)),
    ("only_contact", "unreadable", lambda w: w.broken.add("company")),
]  # fmt: skip
for _code in HELD:
    MISSING += [
        (_code, "no column", lambda w, c=_code: _column(w, c, "gone")),
        (_code, "marks too few", lambda w, c=_code: (_column(w, c, "hold"), _expect(w, c, 1))),
        (_code, "list too short", lambda w, c=_code: _expect(w, c, 3)),
    ]  # fmt: skip


def _expect(world: World, code: str, rows: int) -> None:
    world.policy_text += f"\n[protections.{code}]\nminimum_rows = {rows}\n"


def _column(world: World, code: str, column: str) -> None:
    world.policy_text += f'\n[[marked]]\ncode = "{code}"\nobject = "contact"\ncolumn = "{column}"\nvalues = ["1"]\n'


@pytest.mark.parametrize(("code", "how", "change"), MISSING, ids=[f"{c}-{h}" for c, h, _ in MISSING])
def test_each_with_its_source_missing_stops_it_too(tmp_path: Path, code: str, how: str, change: Change) -> None:
    world = World()
    change(world)
    found, summary, _ws = score(tmp_path, world)
    assert f"unknown_{code}" in found, how
    assert summary.free == 0
    assert code in summary.note


def test_no_hold_list_protects_everything(tmp_path: Path) -> None:
    found, summary, _ws = score(tmp_path, World(), Holds.absent())
    assert found == sorted(f"unknown_{code}" for code in HELD)
    assert summary.protected == summary.records


@pytest.mark.parametrize("code", HELD)
def test_a_list_that_is_not_there_protects_unless_a_column_tells(tmp_path: Path, code: str) -> None:
    world = World()
    _column(world, code, "hold")
    found, summary, _ws = score(tmp_path, world, Holds.absent())
    assert found == sorted(f"unknown_{other}" for other in HELD if other != code)
    assert summary.free == 0


def test_every_protection_has_a_test_alone_and_one_without_its_source() -> None:
    alone = {code for code, _ in ALONE} | {"parent_of_protected"}
    without = {code for code, _, _ in MISSING} | {"parent_of_protected"}
    assert alone == without == set(PROTECTIONS)


@pytest.mark.parametrize("how", ["not mapped", "unreadable", "empty"])
def test_a_company_without_known_people_is_kept(tmp_path: Path, how: str) -> None:
    world = World()
    {"not mapped": world.without, "unreadable": world.broken.add, "empty": lambda o: _bin(world, o)}[how]("contact")
    found, _summary, _ws = score(tmp_path, world, key=K1)
    assert "unknown_parent_of_protected" in found


@pytest.mark.parametrize("code", [c for c in PROTECTIONS if c in OBJECT_OF])
def test_one_that_does_not_apply_is_left_out_only_with_a_reason(tmp_path: Path, code: str) -> None:
    world = World()
    world.without(OBJECT_OF[code])
    world.policy_text += f'\n[protections.{code}]\napplies = false\nbecause = "This CRM has none."\n'
    found, _summary, _ws = score(tmp_path, world)
    assert f"unknown_{code}" not in found


def test_outcomes_of_retention_and_what_may_still_be_done(tmp_path: Path) -> None:
    world = World()
    world.change("order", "O1", day="2020-05-05")
    _found, _summary, ws = score(tmp_path, world)
    (protection,) = ws.protections(ws.snapshot(), [C1])[C1]
    assert (protection.code, protection.outcome) == ("retention", "anonymise")
    assert protection.sentence == "order/O1 must be kept until 2026-12-31 (law B)."
    assert not blocking("anonymise", [protection])
    assert blocking("delete", [protection])


def test_a_document_in_the_recycle_bin_is_still_a_document(tmp_path: Path) -> None:
    world = World()
    world.objects["invoice"]["soft_delete"] = {"column": "gone", "deleted": "1", "live": "0"}
    world.records["invoice"] = [{**r, "gone": "0"} for r in world.records["invoice"]]
    world.add("invoice", day="2020-01-01", gone="1", state="open")
    found, _summary, _ws = score(tmp_path, world)
    assert found == ["retention"]  # and it is no open business any more


def test_an_unknown_country_keeps_for_the_longest_time(tmp_path: Path) -> None:
    world = World()
    world.policy_text += '\n[retention.invoice.countries.XX]\nvalues = ["Xland"]\nyears = 40\ncitation = "law X"\n'
    world.change("invoice", "I1", day="2012-01-01")
    assert score(tmp_path / "de", world)[0] == []
    world.change("contact", "C1", country=None)
    assert score(tmp_path / "none", world)[0] == ["retention"]
    world.change("contact", "C1", country="xland ")
    _found, _summary, ws = score(tmp_path / "x", world)
    assert ws.protections(ws.snapshot(), [C1])[C1][0].sentence == "invoice/I1 must be kept until 2052-12-31 (law X)."


def test_what_an_empty_column_means_is_the_mapping_s_to_say(tmp_path: Path) -> None:
    """A column that is filled when the business ends: open is what holds nothing, and a value is never open."""
    world = World()
    world.objects["order"]["open_when"] = {"column": "shipped", "empty": True}
    world.records["order"] = [{**r, "shipped": "2010-02-01"} for r in world.records["order"]]
    assert score(tmp_path / "shipped", world)[0] == []
    world.change("order", "O1", shipped=None)
    assert score(tmp_path / "null", world)[0] == ["open_order"]
    world.change("order", "O1", shipped=" ")
    assert score(tmp_path / "blank", world)[0] == ["open_order"]


def test_who_came_back_is_kept(tmp_path: Path) -> None:
    """Restored recently: an earlier snapshot lacks the record, or holds it as deleted, and one before had it."""
    for how in ("absent", "deleted"):
        world = World()
        world.objects["contact"]["soft_delete"] = {"column": "gone", "deleted": "1", "live": "0"}
        world.records["contact"] = [{**r, "gone": "0"} for r in world.records["contact"]]
        ws = Workspace.open(tmp_path / how, create=True)
        world.snapshot(ws, tmp_path / f"{how}1", AS_OF - timedelta(days=200))
        missing = World()
        missing.objects, missing.records = world.objects, copy.deepcopy(world.records)
        missing.add("contact", id="C3")
        if how == "absent":
            missing.records["contact"] = [r for r in missing.records["contact"] if r["id"] != "C1"]
        else:
            missing.change("contact", "C1", gone="1")
        for days, codes_then in ((120, []), (60, ["created_recently"])):
            missing.change("contact", "C3", email=f"{days}@x.de")
            missing.snapshot(ws, tmp_path / f"{how}{days}", AS_OF - timedelta(days=days))
            back = World()
            back.objects, back.records = world.objects, copy.deepcopy(world.records)
            back.change("contact", "C2", email=f"{days}@x.de")
            snapshot = back.snapshot(ws, tmp_path / f"{how}{days}b", AS_OF - timedelta(days=20 if days == 120 else 0))
            score_staleness(ws, snapshot, "contact", back.policy, holds=NO_HOLDS)
            assert codes(ws, snapshot) == codes_then
            assert codes(ws, snapshot, RecordKey("contact", "C2")) == []
        ws.close()


def test_periods_and_citations_of_the_default_policy(tmp_path: Path) -> None:
    """Each period with its law: German vouchers 8 years, letters 6, books 10; in China 30, and PIPL leaves storage alone."""
    rules = default_policy().retention
    assert {n: r.years for n, r in rules.items()} == {"books": 10, "invoice": 8, "letter": 6}
    assert all("HGB" in r.citation and "AO" in r.citation for r in rules.values())
    text = World().policy_text
    cases = [("DE", "2018-03-05", "2026-12-31", "GDPR Art. 17(3)(b)"), ("中国", "1997-03-05", "2027-12-31", "PIPL Art. 47(2)"),
             ("DE", "2017-12-31", None, ""), (None, "1997-03-05", "2027-12-31", "PIPL Art. 47(2)")]  # fmt: skip
    for number, (country, day, until, law) in enumerate(cases):
        world = World()
        shipped = (Path(__file__).parents[2] / "steward/default_policy.toml").read_text(encoding="utf-8")
        world.policy_text = shipped
        world.change("contact", "C1", country=country)
        world.change("invoice", "I1", day=day)
        _found, _summary, ws = score(tmp_path / str(number), world)
        kept = [p for p in ws.protections(ws.snapshot(), [C1]).get(C1, []) if p.code == "retention"]
        if until is None:
            assert kept == []
            continue
        (protection,) = kept
        assert protection.outcome == "restrict" and blocking("anonymise", kept) and blocking("delete", kept)
        assert f"invoice/I1 must be kept until {until}" in protection.sentence and law in protection.sentence
    world = World()
    world.policy_text = text + '\n[retention.books]\nyears = 10\ncitation = "law C"\n'
    world.objects["invoice"]["retention"] = "books"
    world.change("invoice", "I1", day="2016-01-01")
    _found, _summary, ws = score(tmp_path / "books", world)
    assert ws.protections(ws.snapshot(), [C1])[C1][0].sentence == "invoice/I1 must be kept until 2026-12-31 (law C)."


SEGMENT = '\n[[staleness.segments]]\nname = "{name}"\nobject = "contact"\ncolumn = "{column}"\nvalues = ["{value}"]\nmonths = {months}\n'


def test_segments_and_countries_have_a_time_of_their_own(tmp_path: Path) -> None:
    world = World()
    world.change("activity", "A1", day="2022-06-01")  # 44 months before
    stale: dict[str, list[str]] = {}
    for how, text in {
        "role": "",
        "country": SEGMENT.format(name="german", column="country", value="DE", months=60),
        "other": SEGMENT.format(name="french", column="country", value="FR", months=60),
        "longest": SEGMENT.format(name="short", column="country", value="DE", months=12)
        + SEGMENT.format(name="long", column="hold", value="0", months=48),
        "no column": SEGMENT.format(name="lost", column="gone", value="x", months=60),
    }.items():
        world.policy_text = World().policy_text + text
        _found, _summary, ws = score(tmp_path / how, world)
        stale[how] = [e.key.id for e in ws.evidence(ws.snapshot(), kind="stale")]
    assert {how: "C1" in ids for how, ids in stale.items()} == {
        "role": True, "country": False, "other": True, "longest": False, "no column": False,
    }  # fmt: skip


def test_each_signal_names_its_row(tmp_path: Path) -> None:
    _found, _summary, ws = score(tmp_path, World())
    (evidence,) = [e for e in ws.evidence(ws.snapshot(), kind="stale") if e.key == C1]
    assert {v.field: v.source for v in evidence.values} == {
        "recency": "activity/A1", "business": "contract/V1", "reach": "contact/C1", "owner": "user/U9",
    }  # fmt: skip
    assert all("without this: " in str(v.compared_with) for v in evidence.values)
