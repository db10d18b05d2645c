"""Power cuts, faults and people while Jiandaoyun's writer works: nothing lost, nothing twice, nothing said that is not so.

A bounded slice; by hand with more runs: ``JIANDAOYUN_RUNS=2000 pytest tests/integration/test_executor_jiandaoyun_crash.py -s``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from steward.executor.writers.jiandaoyun import JiandaoyunWriter
from steward.sandbox.jiandaoyun import create_app
from steward.sandbox.jiandaoyun.state import State
from tests.support.jiandaoyun_company import Company
from tests.support.jiandaoyun_crash import SABOTAGE, KeyAlone, loop
from tests.support.vendor_sandbox import serve

RUNS = int(os.environ.get("JIANDAOYUN_RUNS", "8"))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Company, State]]:
    app = create_app(customers=10)
    with serve(app) as address:
        company = Company(address, tmp_path_factory.mktemp("scene"))
        yield company, app.state.company
        company.close()


def test_nothing_is_lost_doubled_or_said_falsely(scene: tuple[Company, State]) -> None:
    tally = loop(*scene, range(RUNS))
    print(
        f"\n{tally.runs} runs, {tally.cuts} cuts, {tally.calls} calls, {tally.acts} acts of people, {dict(tally.faults)}, {dict(tally.states)}"
    )
    assert tally.violations == []
    assert tally.cuts and tally.acts and len(tally.faults) >= 4 and tally.states["RESTORE done"]


def test_the_key_of_a_create_alone_keeps_it_from_being_made_twice(scene: tuple[Company, State]) -> None:
    assert not [v for v in loop(*scene, range(100, 100 + RUNS // 2), kind=KeyAlone).violations if v[1].startswith("TWICE")]


FIRST = {"NeverLooksAgain": 21, "ForgetsTheHalf": 22, "TrustsTheCount": 17}
"""The first run that shows a defect; what follows is tried where the writer has changed since."""


@pytest.mark.parametrize("kind", SABOTAGE, ids=lambda kind: kind.__name__)
def test_a_writer_with_a_defect_is_caught(scene: tuple[Company, State], kind: type[JiandaoyunWriter]) -> None:
    for seed in range(first := FIRST.get(kind.__name__, 0), first + 60):
        if loop(*scene, range(seed, seed + 1), kind=kind, people=(0.02, 0.08)).violations:
            return
    raise AssertionError("the harness proves nothing")
