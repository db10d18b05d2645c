"""Fxiaoke's writer under power cuts, faults and people: nothing is lost, done twice or falsely reported.

A slice; the long run is by hand (docs/reference/fxiaoke.md has its figures).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from steward.sandbox.fxiaoke import create_app
from steward.sandbox.fxiaoke.world import World
from tests.support.fxiaoke_crash import SABOTAGE, Tally, one_run
from tests.support.vendor_sandbox import serve

RUNS = 8
FIRST = {
    "a half is called whole": 1,
    "a record is made again without looking": 1,
    "what went is not compared": 3,
    "what others voided is taken for ours": 28,
}
"""Where looking for a defect begins, so that it does not take long; 40 runs must find it."""


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[World, str]]:
    app = create_app(customers=10, seed=11)
    app.state.world.clock.freeze()
    with serve(app) as address:
        app.state.world.db.execute("UPDATE employee SET stopped = 0 WHERE number IN ('1000', '1001', '1002')")
        yield app.state.world, address


def test_nothing_is_lost_done_twice_or_falsely_reported(served: tuple[World, str]) -> None:
    tally = Tally()
    for seed in range(RUNS):
        one_run(seed, *served, tally)
    assert tally.violations == []
    assert tally.cuts and tally.acts and len(tally.faults) >= 6, "it was hostile"
    assert {"RESTORE done", "0000000 done", "0000000 done_inferred"} & set(tally.states)


@pytest.mark.parametrize("defect", SABOTAGE)
def test_a_sabotaged_writer_is_found_out(served: tuple[World, str], defect: str) -> None:
    tally, first = Tally(), FIRST.get(defect, 0)
    for seed in range(first, first + 40):
        one_run(seed, *served, tally, SABOTAGE[defect])
        if tally.violations:
            return
    raise AssertionError(f"40 runs did not find: {defect}")
