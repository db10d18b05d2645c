"""Merges, deletions and restores over a vendor without transactions, cut off anywhere: nothing lost, doubled or unsaid.

A bounded slice; ``python -m bench.executor --vendor-cuts N`` runs it longer.
"""

from __future__ import annotations

import pytest

from steward.executor.effects import unit_of
from steward.executor.ports import Reading, State, Work
from steward.executor.verdict import Rules, Stop
from steward.manifest.chunks import ids_digest
from steward.manifest.format import RelatedSet, Survivor
from steward.records import Link, Record, RecordKey
from tests.support.crash import Tally
from tests.support.hostile_vendor import MAPPING, HostileReader
from tests.support.vendor_crash import SABOTAGE, cut_run

pytestmark = pytest.mark.crash


def test_what_was_cut_off_is_gone_on_with_or_said_and_comes_back() -> None:
    tally = Tally()
    for seed in range(50_000, 50_120):
        cut_run(seed, tally)
    assert not tally.violations
    assert tally.crashes > 300 and tally.states["partly"] and tally.states["done_inferred"]


@pytest.mark.parametrize("name", SABOTAGE)
def test_the_harness_finds_what_is_broken(name: str) -> None:
    tally = Tally()
    for seed in range(800):
        cut_run(seed, tally, broken=SABOTAGE[name])
        if tally.violations:
            return
    raise AssertionError("a harness that finds none of them proves nothing")


def test_a_child_that_was_led_elsewhere_between_two_reads_is_not_taken_along() -> None:
    loser, survivor, deal = RecordKey("contact", "1"), RecordKey("contact", "2"), RecordKey("deal", "7")

    def record(key: RecordKey, **fields: str) -> Record:
        return Record(key, {"id": key.id, "version": "1", "text": "x", **fields}, "1")

    now = {k: record(k) for k in (loser, survivor)} | {deal: record(deal, contact="3")}
    work = Work(
        0, "contact", "1", "merge_into", "2", "1", now[loser].digest, Survivor(version="1", preimage=now[survivor].digest), {},
        (RelatedSet(object="deal", field="contact", rule="move", target=None, count=1, digest=ids_digest(["7"])),), "contact>2",
    )  # fmt: skip
    rules = Rules(
        MAPPING, lambda o, f, text, at: text, "steward-executor", None, {},  # type: ignore[arg-type]  # no time is asked for
        capabilities=HostileReader(lambda r: None, "shows").capabilities,
    )  # fmt: skip
    with pytest.raises(Stop) as stopped:
        unit_of([work], Reading(now, {loser: [Link(deal, "contact", loser)]}), rules)
    assert (stopped.value.state, stopped.value.code) == (State.DRIFT, "children_changed")


@pytest.mark.parametrize(
    "seed", [400_193, 400_245, 400_390, 400_508, 400_613, 1_001_462, 1_002_283, 1_003_219, 1_004_146, 2_002_740]
)
def test_what_longer_runs_have_found(seed: int) -> None:
    """Links left at the survivor where people had worked on a loser done in part; links to a new id that people had deleted."""
    tally = Tally()
    cut_run(seed, tally)
    assert not tally.violations
