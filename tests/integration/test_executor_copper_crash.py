"""Copper's writer under power cuts, faults and people: nothing is lost, done twice or falsely reported.

A slice; the long run is by hand (docs/reference/copper.md has its figures).
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.copper_crash import SABOTAGE, loop
from tests.support.copper_sandbox import Copies, Sandbox

FIRST = {"nothing is compared before a call": 7, "a record is made again without looking": 3}
"""Where looking for a defect begins, so that it does not take long; 40 runs must find it."""
RUNS = int(os.environ.get("COPPER_RUNS", "8"))


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Copies(tmp_path_factory.mktemp("copper"), 10).running() as sandbox:
        yield sandbox


def test_nothing_is_lost_done_twice_or_falsely_reported(box: Sandbox) -> None:
    tally = loop(box, range(RUNS))
    print(f"\n{tally.runs} runs, {tally.cuts} cuts, {tally.calls:,} calls, {tally.acts} acts of people, {dict(tally.faults)}")
    print(dict(tally.states))
    assert tally.violations == []
    assert tally.cuts and tally.acts and len(tally.faults) >= 5, "it was hostile"


@pytest.mark.parametrize("defect", SABOTAGE)
def test_a_sabotaged_writer_is_found_out(box: Sandbox, defect: str) -> None:
    first = FIRST.get(defect, 0)
    for seed in range(first, first + 40):
        if loop(box, range(seed, seed + 1), kind=SABOTAGE[defect]).violations:
            return
    raise AssertionError(f"40 runs did not find: {defect}")
