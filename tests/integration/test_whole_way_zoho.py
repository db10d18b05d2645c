"""The main job over Zoho's API, end to end over real HTTP: snapshot, score, decide, propose, sign, plan, apply under faults,
verify, restore, compare record by record and link by link.

Known duplicates and stale people are planted by the generator; a named person decides on exactly these. While the manifest is
applied, calls are throttled, lost and cut off, people edit, and the process dies twice. Waiting takes no time here; nothing
else is made easier. By hand with 5,000 customers: ``ZOHO_WAY=5000 pytest tests/integration/test_whole_way_zoho.py``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from steward.crm.mapping import parse_mapping
from steward.executor.runner import Applied
from steward.executor.writers.zoho_payload import MOVING
from steward.records import RecordKey
from steward.sandbox import Truth
from steward.sandbox.zoho import ZohoSandbox
from steward.sandbox.zoho.auth import CLIENT
from steward.sandbox.zoho.seed import fill
from steward.sandbox.zoho.state import State
from tests.support.vendor_deaths import hurry_the_wire, until_done
from tests.support.vendor_sandbox import serve
from tests.support.vendor_way import VendorWay, differences, key_of, links_follow_the_survivor
from tests.support.writer_zoho import WRITES, mapping_text

CUSTOMERS = int(os.environ.get("ZOHO_WAY", "300"))
PROFILE = """
address = "{address}"

[profiles.vendor.read]
client_id = "{client_id}"
client_secret = "${{ZOHO_SECRET}}"
refresh_token = "${{ZOHO_READER}}"

[profiles.vendor.write]
client_id = "{client_id}"
client_secret = "${{ZOHO_SECRET}}"
refresh_token = "${{ZOHO_EXECUTOR}}"

[profiles.vendor.options]
data_centre = "eu"
accounts = "{address}"
"""


@pytest.fixture
def crm(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, State, Truth]]:
    state = State()
    truth = fill(state, CUSTOMERS, 7)
    # How often the token service gives a token, and a file may be fetched, is another test's.
    state.switches.update(bulk_polls=0, bulk_downloads=1_000, search_lag=0)
    for name, secret in (("SECRET", CLIENT["client_secret"]), ("READER", "1000.reader"), ("EXECUTOR", "1000.executor")):
        monkeypatch.setenv(f"ZOHO_{name}", secret)
    with serve(ZohoSandbox(state)) as address:
        yield address, state, truth


def test_what_was_planted_goes_and_comes_back_record_by_record_and_link_by_link(
    crm: tuple[str, State, Truth], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    address, state, truth = crm
    hurry_the_wire(monkeypatch)
    began = time.process_time()
    way = VendorWay.start(
        tmp_path / "way", "zoho", mapping_text(), PROFILE.format(address=address, **CLIENT), switched_off=("active_contract", "open_quote"),
    )  # fmt: skip
    before = way.records()
    contacts = {k.id for k in before if k.object == "contact"}
    way.snapshot()
    way.score()
    pairs = [sorted(c) for c in truth.duplicate_clusters["contact"] if len(c) == 2 and set(c) <= contacts]
    merges = {loser: survivor for survivor, loser in pairs}
    stale = frozenset(truth.stale["contact"]) & contacts - merges.keys() - set(merges.values())
    decided = way.decide_on(merges, stale, "contact")
    assert len(decided & set(merges)) >= 5 and len(decided - set(merges)) >= 5
    way.propose()
    items = way.items()
    assert {str(i["id"]) for i in items if i["object"] == "contact"} <= decided
    way.sign()
    plan = way.plan()
    assert plan["verdicts"] == {"apply": len(items)}, plan
    assert way.records() == before, "until the executor applies, nothing in the CRM has changed"

    state.db.execute("DELETE FROM stamp WHERE kind LIKE 'token%'")
    edited = _somebody_edits(state, items)
    spent, calls = state.used_credits, _calls(state)
    said = _apply_under_faults(way, address)
    spent, calls = state.used_credits - spent, _calls(state) - calls
    assert said.counts.get("done", 0) + said.counts.get("done_inferred", 0) == len(items) - len(edited), said.counts
    assert said.counts.get("drift", 0) == len(edited), said.counts
    way.facts["receipt"] = said.receipt

    after = way.records()
    gone = {k for k in before if k not in after}
    meant = {key_of(i) for i in items if i["action"] in ("soft_delete", "merge_into")}
    assert gone == meant - edited
    assert not [k for k in after if k not in before]
    moved = links_follow_the_survivor(parse_mapping(mapping_text()), items, before, after, stays=lambda key, parent: True)
    assert moved >= 5, "links that had to follow"
    way.audit()

    state.db.execute("DELETE FROM stamp WHERE kind LIKE 'token%'")
    spent_back, calls_back = state.used_credits, _calls(state)
    back = way.restore()
    spent_back, calls_back = state.used_credits - spent_back, _calls(state) - calls_back
    restored = way.records()
    without = dict.fromkeys(parse_mapping(mapping_text()).objects, MOVING)  # the sandbox computes nothing else
    assert set(differences(before, restored, without=without)) == edited, back
    assert all(restored[k].fields["Title"] == "Edited by people" for k in edited)
    way.audit()
    print(
        f"\n{CUSTOMERS:,} customers, {len(before):,} records, {len(items):,} items: apply {spent:,} credits in {calls:,} calls, "
        f"restore {spent_back:,} in {calls_back:,}; {time.process_time() - began:.0f} s of this process"
    )


def _somebody_edits(state: State, items: list[dict[str, object]]) -> set[RecordKey]:
    """Two records are edited after they were reviewed; whatever was decided about them, they stay."""
    free = [i for i in items if i["object"] == "contact" and i["action"] == "soft_delete" and not i.get("related")][:2]
    (boss,) = state.db.execute("SELECT id FROM person ORDER BY id LIMIT 1").fetchone()
    for item in free:
        assert state.edit(int(str(item["id"])), {"Title": "Edited by people"}, state.person(boss))
    assert len(free) == 2
    return {RecordKey("contact", str(i["id"])) for i in free}


def _apply_under_faults(way: VendorWay, address: str) -> Applied:
    """Apply; the process dies twice, calls fail in every way, and each time the same command goes on."""
    faults = [
        {"kind": "cut_after", "method": "DELETE|PUT", "skip": 3}, {"kind": "429", "method": "DELETE|PUT", "skip": 5},
        {"kind": "cut_before", "method": "DELETE|PUT", "skip": 8}, {"kind": "500", "method": "DELETE|PUT", "skip": 12},
        {"kind": "partial", "method": "DELETE", "skip": 1}, {"kind": "500", "method": "GET|POST", "path": "coql|recycle_bin", "skip": 9},
        {"kind": "cut_before", "method": "GET|POST", "path": "coql|Contacts", "skip": 30}, {"kind": "429", "path": "coql", "skip": 40},
    ]  # fmt: skip
    with httpx.Client(base_url=address, trust_env=False) as control:
        for fault in faults:
            assert control.post("/_control/faults", json={"path": WRITES, **fault}).status_code == 200
    return until_done(way, lambda executor: executor.apply(way.manifest), (("vendor.called", 4), ("answered", 3)), most=12)


def _calls(state: State) -> int:
    (n,) = state.db.execute("SELECT count(*) FROM log").fetchone()
    return int(n)
