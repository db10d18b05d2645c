"""The main job over Fxiaoke's API, end to end over real HTTP: snapshot, score, decide, propose, sign, plan, apply under faults,
verify, restore, compare record by record and link by link. Losers of merges are voided and recovered; stale people are
deleted for good and made anew under other ids.

Known duplicates and stale people are planted by the generator; a named person decides on exactly these. While the manifest is
applied, calls are throttled, refused, lost, cut off and answered with pages, people edit, and the process dies three times.
Waiting takes no time here; nothing else is made easier. By hand with 5,000 customers, and once more with nobody deleted for
good: ``FXIAOKE_WAY=5000 pytest tests/integration/test_whole_way_fxiaoke.py -s``.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from steward.crm.mapping import parse_mapping
from steward.errors import PartialExecutionError, UnavailableError
from steward.executor.runner import Applied
from steward.records import RecordKey
from steward.sandbox.build import build_crm
from steward.sandbox.fxiaoke import create_app, sandbox_mapping
from steward.sandbox.fxiaoke.seed import record_id
from steward.sandbox.fxiaoke.world import Fault, World
from tests.support.vendor_deaths import hurry_the_wire, until_done
from tests.support.vendor_sandbox import serve
from tests.support.vendor_way import VendorWay, differences, key_of, links_follow_the_survivor, under_old_ids
from tests.support.writer_fxiaoke import CHANGES, OWN_CODE

PROFILE = """
address = "{address}"

[profiles.vendor.read]
app_id = "FSAID_sandbox"
app_secret = "${{FXIAOKE_SECRET}}"
permanent_code = "${{FXIAOKE_CODE}}"
user_id = "1000"

[profiles.vendor.write]
app_id = "FSAID_sandbox"
app_secret = "${{FXIAOKE_SECRET}}"
permanent_code = "${{FXIAOKE_CODE}}"
user_id = "1002"

[profiles.vendor.options]
sees_everything = "yes"
calls_per_20_seconds = "1000000"
"""
MAPPING = sandbox_mapping().replace('tenant = "sandbox01"', 'tenant = "demo"')
MAPPED = parse_mapping(MAPPING)
MOVED = frozenset({"version", "last_modified_time", "last_modified_by", "life_status_before_invalid"})
MADE_ANEW = MOVED | {"created_by", "owner_department"}
EDITED = "Edited by people"
SEED = 7


@dataclass
class Crm:
    """A sandbox that is served, and what the generator planted in it."""

    address: str
    world: World
    pairs: dict[str, str]
    stale: frozenset[str]

    @property
    def calls(self) -> int:
        """Calls so far, of every process."""
        return int(self.world.db.execute("SELECT coalesce(max(n), 0) FROM request_log").fetchone()[0])


@pytest.fixture
def crm(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crm]:
    app = create_app(customers=request.param, seed=SEED)
    build_crm(tmp_path / "crm.sqlite", customers=request.param, seed=SEED)
    truth = json.loads((tmp_path / "truth.json").read_text())
    world: World = app.state.world
    world.db.execute("UPDATE employee SET stopped = 0 WHERE number = '1002'")
    world.switches.calls_per_window, world.switches.tokens_per_minute, world.switches.daily_quota = 10**9, 10**6, 10**9
    live = {str(d["_id"]) for d in world.records("ContactObj") if not d["is_deleted"]}
    pairs = [[record_id("contact", i) for i in c] for c in truth["duplicate_clusters"]["contact"] if len(c) == 2]
    monkeypatch.setenv("FXIAOKE_SECRET", "sandbox-secret")
    monkeypatch.setenv("FXIAOKE_CODE", "sandbox-code")
    led = {str(d["contact_id"]) for d in world.records("LeadsObj")}  # an open lead protects
    stale = (frozenset(record_id("contact", i) for i in truth["stale"]["contact"]) & live) - led
    with serve(app) as address:
        yield Crm(address, world, {b: a for a, b in pairs if {a, b} <= live}, stale)
    world.close()


CUSTOMERS = int(os.environ.get("FXIAOKE_WAY", "300"))
WAYS = [pytest.param(CUSTOMERS, True, id="stale people go for good")]
if "FXIAOKE_WAY" in os.environ:
    WAYS.append(pytest.param(CUSTOMERS, False, id="everybody is voided"))


@pytest.mark.parametrize(("crm", "hard"), WAYS, indirect=["crm"])
def test_what_was_planted_goes_and_comes_back_record_by_record_and_link_by_link(
    crm: Crm, hard: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hurry_the_wire(monkeypatch)
    began = time.process_time()
    way = VendorWay.start(
        tmp_path / "way", "fxiaoke", MAPPING, PROFILE.format(address=crm.address), more_propose=("--hard", "contact") if hard else (),
        switched_off=("active_contract", "open_order", "open_quote", "open_ticket", "retention", "unpaid_invoice"),
    )  # fmt: skip
    before = way.records()
    way.snapshot()
    way.score()
    stale = crm.stale - crm.pairs.keys() - set(crm.pairs.values())
    decided = way.decide_on(crm.pairs, stale, "contact")
    assert decided & set(crm.pairs) and decided & stale
    way.propose()
    items = way.items()
    assert {str(i["id"]) for i in items if i["object"] == "contact"} <= decided
    gone_for_good = {key_of(i) for i in items if i["action"] == "hard_delete"}
    assert bool(gone_for_good) == hard
    way.sign()
    plan = way.plan()
    assert plan["verdicts"] == {"apply": len(items)}, plan
    assert way.records() == before, "until the executor applies, nothing in the CRM has changed"

    edited = _somebody_edits(crm, items)
    calls = crm.calls
    said = _apply_under_faults(way, crm)
    calls = crm.calls - calls
    done = [i for i in items if key_of(i) not in edited]
    counts = {name: n for name, n in said.counts.items() if n}
    refused = counts.pop("failed", 0)
    assert counts.pop("done", 0) + counts.pop("done_inferred", 0) == len(done) - refused
    assert counts == {"drift": len(edited)} and refused == 1, "one void was refused by the vendor, and that is said"
    way.facts["receipt"] = said.receipt

    after = way.records()
    gone = {k for k in before if k not in after}
    stayed = {key_of(i) for i in done} - gone
    assert len(stayed) == 1 and gone == {key_of(i) for i in done} - stayed and not [k for k in after if k not in before]
    assert all(crm.world.get("ContactObj", k.id) is None for k in gone & gone_for_good)
    assert all(crm.world.get("ContactObj", k.id) is not None for k in gone - gone_for_good if k.object == "contact")
    merges = [i for i in done if key_of(i) in gone]
    moved = links_follow_the_survivor(MAPPED, merges, before, after, stays=lambda key, parent: parent == "contact")
    assert moved >= 3, "links that had to follow"
    assert not crm.world.db.execute("SELECT 1 FROM change_log WHERE kind IN ('workflow', 'approval')").fetchall()
    way.audit()

    back_calls = crm.calls
    back = way.restore()
    back_calls = crm.calls - back_calls
    found = under_old_ids(way, MAPPED, way.records(), column="_id")
    assert set(found) == set(before)
    anew = gone & gone_for_good
    other = differences(before, found, without=dict.fromkeys(MAPPED.objects, MOVED))
    assert {k for k in other if k not in anew} == edited, (back, other)
    assert {n for k in anew for n in other.get(k, ())} <= MADE_ANEW | {"owner"}, other
    left = {str(p["number"]) for p in crm.world.employees() if p["stopped"]}
    others = {k for k in anew if "owner" in other.get(k, ())}
    assert others == {k for k in anew if before[k].fields["owner"] in left}, "who has left owns nothing anew"
    assert {found[k].fields["owner"] for k in others} <= {"1002"}
    assert all(found[k].fields["job_title"] == EDITED for k in edited)
    way.audit()
    print(
        f"\n{len(before):,} records, {len(items):,} items ({len(gone_for_good)} for good): plan and apply; apply {calls:,} calls,"
        f" restore {back_calls:,}; {time.process_time() - began:.0f} s of this process"
    )


def _somebody_edits(crm: Crm, items: list[dict[str, object]]) -> set[RecordKey]:
    """Two records are edited after they were reviewed; whatever was decided about them, they stay."""
    free = [i for i in items if i["object"] == "contact" and i["action"] != "merge_into"][:2]
    for item in free:
        doc = crm.world.get("ContactObj", str(item["id"]))
        assert doc is not None
        doc["job_title"] = EDITED
        crm.world.touch(doc, "1001")
        crm.world.put("ContactObj", doc)
    assert len(free) == 2
    return {key_of(i) for i in free}


def _apply_under_faults(way: VendorWay, crm: Crm) -> Applied:
    """Apply; the process dies three times, calls fail in every way, and each time the same command goes on."""
    crm.world.faults[:] = [
        Fault("code", "data/query", 30004, skip=3), Fault("cut_after", "data/invalid", skip=1), Fault("code", CHANGES, 30004, skip=4),
        Fault("cut", CHANGES, skip=6), Fault("code_after", CHANGES, 50009, skip=9), Fault("html_after", "data/update", skip=1),
        Fault("cut_after", "data/delete"), Fault("html", "data/query", skip=40), Fault("cut", "data/get", skip=12),
        Fault("code", "data/invalid", OWN_CODE, skip=12),
    ]  # fmt: skip
    deaths = (("vendor.called", 4), ("answered", 3), ("vendor.call", 5))
    stops = (PartialExecutionError, UnavailableError)
    return until_done(way, lambda executor: executor.apply(way.manifest), deaths, most=20, stops=stops)
