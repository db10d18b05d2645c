"""The main job over Copper's API, end to end over real HTTP: snapshot, score, decide, propose, sign, plan, apply under faults,
verify, restore, compare record by record and link by link. Losers of merges get
a tag, stale people go for good with their notes and come back under new ids.

Known duplicates and stale people are planted by the generator; a named person decides on exactly these. While the manifest is
applied, calls are throttled, lost and cut off, people edit, and the process dies twice. Waiting takes no time here; nothing
else is made easier. By hand with 5,000 customers, and once more with losers gone for good as well:
``COPPER_WAY=5000 pytest tests/integration/test_whole_way_copper.py -s -o timeout=0``.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from steward.crm.mapping import parse_mapping
from steward.executor.runner import Applied
from steward.records import RecordKey
from steward.sandbox.copper import ADMIN_KEY, State, serve_state
from steward.sandbox.copper.seeding import Planted, seed
from tests.support.vendor_deaths import hurry_the_wire, until_done
from tests.support.vendor_sandbox import serve
from tests.support.vendor_way import VendorWay, differences, key_of, links_follow_the_survivor, under_old_ids
from tests.support.writer_copper import HARD_TEXT, MARK, SOFT_TEXT

PROFILE = """
address = "{address}/developer_api/v1"

[profiles.vendor.read]
user = "{user}"
token = "${{COPPER_READER}}"

[profiles.vendor.write]
user = "{user}"
token = "${{COPPER_EXECUTOR}}"

[profiles.vendor.options]
requests_per_minute = "10000000"
system_activities = "apart"
"""
MOVED = frozenset({"date_modified", "company_name", "date_stage_changed"})
MADE_ANEW = MOVED | {"date_created", "date_last_contacted", "interaction_count"}


@dataclass
class Crm:
    """A sandbox that is served, and what the generator planted in it."""

    address: str
    state: State
    pairs: dict[str, str]
    stale: frozenset[str]

    @property
    def calls(self) -> int:
        """Calls so far, of every process."""
        return int(self.state.query("SELECT coalesce(max(n), 0) FROM log")[0][0])


@pytest.fixture
def crm(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crm]:
    state, planted = State(), Planted()
    seed(state, customers=request.param, number=7, truth=(tmp_path / "truth.json", planted))
    state.switches.turn({"per_minute": 10_000_000})
    truth = json.loads((tmp_path / "truth.json").read_text())
    people = {old: str(id) for (kind, id), old in planted.items() if kind == "people"}
    pairs = [c for c in truth["duplicate_clusters"]["contact"] if len(c) == 2 and set(c) <= set(people)]
    stale = frozenset(people[i] for i in truth["stale"]["contact"] if i in people)
    for id in sorted(stale, key=int)[:6]:
        _old_note(state, int(id))
    for name in ("READER", "EXECUTOR"):
        monkeypatch.setenv(f"COPPER_{name}", ADMIN_KEY)
    with serve(serve_state(state)) as address:
        yield Crm(address, state, {people[b]: people[a] for a, b in pairs}, stale)
    state.close()


def _old_note(state: State, person: int) -> None:
    """Somebody wrote a note about a person long ago."""
    long_ago = 1_388_534_400
    note = {"id": state.new_id("activities"), "type": {"id": 0, "category": "user"}, "parent": {"id": person, "type": "person"}}
    more = {
        "details": "Met at the fair",
        "user_id": 1,
        "activity_date": long_ago,
        "date_created": long_ago,
        "date_modified": long_ago,
    }
    state.put("activities", {**note, **more, "old_value": None, "new_value": None})


CUSTOMERS = int(os.environ.get("COPPER_WAY", "300"))
WAYS = [pytest.param(CUSTOMERS, True, id="losers are marked")]
if "COPPER_WAY" in os.environ:
    WAYS.append(pytest.param(CUSTOMERS, False, id="all goes for good"))


@pytest.mark.parametrize(("crm", "soft"), WAYS, indirect=["crm"])
def test_what_was_planted_goes_and_comes_back_record_by_record_and_link_by_link(
    crm: Crm, soft: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hurry_the_wire(monkeypatch)
    began = time.process_time()
    text = (SOFT_TEXT if soft else HARD_TEXT).replace('tenant = "default"', 'tenant = "demo"')
    text = text.replace('environment = "production"', 'environment = "sandbox"')
    user = str((crm.state.get("users", 1) or {})["email"])
    way = VendorWay.start(
        tmp_path / "way", "copper", text, PROFILE.format(address=crm.address, user=user),
        more_propose=("--hard", "contact"), switched_off=("active_contract", "open_order", "open_quote", "open_ticket", "retention", "unpaid_invoice"),
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
    assert {i["object"] for i in items if i["action"] == "hard_delete"} == {"contact", "activity"}
    way.sign()
    plan = way.plan()
    stays = _what_only_related_knows(crm, items)
    lost = _what_nothing_brings_back(crm, items) - stays
    if not soft:
        stays, lost = stays | lost, set()
    verdicts = plan["verdicts"]
    assert verdicts == {"apply": len(items) - len(stays), **({"blocked": len(stays)} if stays else {})}, (plan, stays)
    assert int(str(plan["requests"])) > 7 * (len(items) - len(stays)), "what its own reading took, and three calls a row"
    assert way.records() == before, "until the executor applies, nothing in the CRM has changed"

    edited = _somebody_edits(crm, [i for i in items if key_of(i) not in stays | lost]) | lost
    calls = crm.calls
    said = _apply_under_faults(way, crm, soft=soft)
    calls = crm.calls - calls
    done = [i for i in items if key_of(i) not in edited | stays]
    counts = {name: n for name, n in said.counts.items() if n}
    assert counts.pop("done", 0) + counts.pop("done_inferred", 0) == len(done)
    assert counts == {"drift": len(edited)} | ({"blocked": len(stays)} if stays else {})
    edited -= lost
    way.facts["receipt"] = said.receipt

    after = way.records()
    assert {k for k in before if k not in after} == {key_of(i) for i in done if i["action"] != "anonymise"}
    assert not [k for k in after if k not in before]
    for item in [i for i in done if i["action"] == "merge_into"] if soft else ():
        assert MARK in crm.state.get(KINDS[str(item["object"])], int(str(item["id"])))["tags"]  # type: ignore[index]
    moved = links_follow_the_survivor(parse_mapping(text), done, before, after, stays=lambda key, parent: parent == "contact")
    assert moved >= 3, "links that had to follow"
    way.audit()

    back_calls = crm.calls
    back = way.restore()
    back_calls = crm.calls - back_calls
    found = under_old_ids(way, parse_mapping(text), way.records(), column="id", typed=int)
    assert set(found) == set(before)
    without = dict.fromkeys(KINDS, MADE_ANEW)
    other = differences(before, found, without=without)
    nameless = {k for k, r in before.items() if "name" in r.fields and not str(r.fields["name"] or "").strip()}
    assert set(other) - nameless == edited, (back, other)
    assert all(other[k] == ("name",) for k in nameless & set(other) - edited), "Copper makes no record without a name"
    assert all(found[k].fields["title"] == "Edited by people" for k in edited)
    way.audit()
    print(
        f"\n{len(before):,} records, {len(items):,} items ({len(stays)} stay): apply {calls:,} calls, restore {back_calls:,};"
        f" {time.process_time() - began:.0f} s of this process"
    )


KINDS = {
    "user": "users", "company": "companies", "contact": "people", "lead": "leads", "deal": "opportunities",
    "project": "projects", "task": "tasks", "activity": "activities",
}  # fmt: skip


def _what_only_related_knows(crm: Crm, items: list[dict[str, object]]) -> set[RecordKey]:
    """People who belong to a project, which no column of either says: the plan says that they stay."""
    rows = crm.state.query("SELECT a_id FROM relation WHERE a = 'people' AND b = 'projects'")
    in_projects = {str(row[0]) for row in rows}
    return {key_of(i) for i in items if i["object"] == "contact" and i["id"] in in_projects}


def _what_nothing_brings_back(crm: Crm, items: list[dict[str, object]]) -> set[RecordKey]:
    """People with files or connect fields: where the mapping knows a mark, the writer finds them at the last moment."""
    rows = crm.state.query("SELECT a_id FROM link WHERE a = 'people' UNION SELECT owner FROM file WHERE kind = 'people'")
    found = {str(row[0]) for row in rows}
    return {key_of(i) for i in items if i["object"] == "contact" and i["id"] in found}


def _somebody_edits(crm: Crm, items: list[dict[str, object]]) -> set[RecordKey]:
    """Two records are edited after they were reviewed; whatever was decided about them, they stay."""
    free = [i for i in items if i["object"] == "contact" and i["action"] != "merge_into"][:2]
    for item in free:
        assert crm.state.change("people", int(str(item["id"])), {"title": "Edited by people"})
    assert len(free) == 2
    return {key_of(i) for i in free}


def _apply_under_faults(way: VendorWay, crm: Crm, *, soft: bool) -> Applied:
    """Apply; the process dies twice, calls fail in every way, and each time the same command goes on."""
    verb = "PUT" if soft else "DELETE"
    faults = [
        {"kind": "cut_after", "method": verb, "skip": 1}, {"kind": "429", "method": verb, "skip": 2}, {"kind": "cut_before", "method": verb, "skip": 3},
        {"kind": "500", "method": verb, "skip": 5}, {"kind": "cut_after", "method": "PUT", "skip": 2}, {"kind": "500", "method": "GET", "skip": 30},
        {"kind": "cut_before", "method": "POST", "path": "search", "skip": 30}, {"kind": "429", "method": "GET", "skip": 60},
    ]  # fmt: skip
    with httpx.Client(base_url=crm.address, trust_env=False) as control:
        for fault in faults:
            assert control.post("/_control/faults", json=fault).status_code == 200
    deaths = (("vendor.called", 4), ("answered", 3), ("vendor.call", 5))
    return until_done(way, lambda executor: executor.apply(way.manifest), deaths, most=20)
