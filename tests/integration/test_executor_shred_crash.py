"""Erasing, expiring and restoring, killed, unplugged and starved: the next call finishes, nothing else is lost, one receipt.

A bounded slice of ``python -m bench.executor --shreds N``. Seeds and steps are in the message of a failure.
"""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from tests.support.crash import Tally
from tests.support.shred_crash import FAILURES, SABOTAGE, Scene, cut_run, fault_run, kill_run, scene, stop_run

pytestmark = [
    pytest.mark.crash,
    # SQLite tells of the injected errors while it closes a connection to a dead machine, where nobody can be told.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return scene(tmp_path_factory.mktemp("shred"))


@pytest.mark.parametrize(("kind", "stride"), [("erase", 1), ("expire", 1), ("restore", 6)])
def test_ended_at_every_named_step(made: Scene, kind: str, stride: int) -> None:
    tally, n = Tally(), 1
    while not stop_run(made, n, kind, tally):
        n += stride
    assert not tally.violations, tally.violations[:20]
    assert n > {"erase": 30, "expire": 6, "restore": 30}[kind]


@pytest.mark.parametrize(("kind", "stride"), [("erase", 2), ("expire", 1), ("restore", 20)])
def test_a_disk_that_is_full_or_broken_at_any_write_or_sync(made: Scene, kind: str, stride: int) -> None:
    tally, n = Tally(), 1
    while not fault_run(made, n, FAILURES[n // stride % 2], kind, tally):
        n += stride
    assert not tally.violations, tally.violations[:20]
    assert n > {"erase": 100, "expire": 40, "restore": 140}[kind]


@pytest.mark.parametrize(("kind", "runs"), [("erase", 20), ("expire", 10), ("restore", 3)])
def test_power_cuts(made: Scene, kind: str, runs: int) -> None:
    tally = Tally()
    for seed in range(runs):
        cut_run(made, seed, kind, tally)
    assert not tally.violations, tally.violations[:20]
    assert tally.crashes >= runs // 2


@pytest.mark.parametrize(("kind", "steps"), [("erase", (9, 28, 33)), ("expire", (4,))])
def test_kill_nine_on_a_real_disk(made: Scene, kind: str, steps: tuple[int, ...]) -> None:
    tally = Tally()
    for at in steps:
        assert not kill_run(made, at, kind, tally, at=at)
    assert not tally.violations, tally.violations


@pytest.mark.parametrize("name", SABOTAGE)
def test_the_harness_finds_what_is_broken(made: Scene, name: str) -> None:
    tally, seed = Tally(), 0
    while not tally.violations and seed < 200:
        cut_run(made, seed, "erase", tally, SABOTAGE[name])
        seed += 1
    assert tally.violations, f"{name} was not found in {tally.runs} runs and {tally.crashes} power cuts"


def test_a_lock_that_could_not_be_written_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from steward.executor.gates import TenantLock

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "injected")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="injected"):
        patched.setattr("os.fsync", full)
        TenantLock(tmp_path / "lock")
    TenantLock(tmp_path / "lock").release()
