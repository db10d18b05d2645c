"""Each protection alone stops a deletion, and each stops it as well where its source is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from steward.policy import HELD, PROTECTIONS, Holds, blocking, parse_holds
from steward.records import RecordKey
from steward.scoring.staleness import StalenessSummary, score_staleness
from steward.store import Workspace
from tests.support.reasons import C1, K1, World, codes

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
    ("created_recently", "not mapped", lambda w: w.objects["contact"].pop("created")),
    ("only_contact", "not mapped", lambda w: w.without("company")),
    ("only_contact", "unreadable", lambda w: w.broken.add("company")),
    ("legal_hold", "no column", lambda w: setattr(w, "policy_text", w.policy_text + '\n[[marked]]\ncode = "legal_hold"\nobject = "contact"\ncolumn = "gone"\nvalues = ["1"]\n')),
    ("opt_out", "no column", lambda w: setattr(w, "policy_text", w.policy_text + '\n[[marked]]\ncode = "opt_out"\nobject = "contact"\ncolumn = "gone"\nvalues = ["1"]\n')),
]  # fmt: skip


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


@pytest.mark.parametrize("how", ["not mapped", "unreadable"])
def test_a_company_without_known_people_is_kept(tmp_path: Path, how: str) -> None:
    world = World()
    world.without("contact") if how == "not mapped" else world.broken.add("contact")
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
