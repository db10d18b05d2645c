"""Killed, unplugged, starved: no record lost, none deleted twice, none unbacked, none falsely reported.

A bounded slice of ``python -m bench.executor --kills 10000 --cuts 200000``. Seeds are printed; a failing one can be run
again by hand.
"""

from __future__ import annotations

import errno
import time
from pathlib import Path

import pytest

from tests.support.crash import SABOTAGE, Tally, cut_run, fault_run, kill_run

pytestmark = [
    pytest.mark.crash,
    # SQLite tells of the injected errors while it closes a connection to a dead machine, where nobody can be told.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.mark.parametrize("conditional", [True, False], ids=["conditional", "unconditional"])
def test_kill_nine_anywhere(conditional: bool) -> None:
    tally, seed = Tally(), 0
    while tally.crashes < 110:
        kill_run(seed, tally, conditional=conditional)
        seed += 1
    assert not tally.violations, tally.violations[:20]
    assert tally.deletes > 300 and tally.states["done"] > 100 and tally.states["done_inferred"] > 10
    assert len(tally.hooks) >= 14, tally.hooks


@pytest.mark.parametrize("conditional", [True, False], ids=["conditional", "unconditional"])
def test_power_cuts(conditional: bool) -> None:
    tally, seed = Tally(), 0
    while tally.crashes < 400:
        cut_run(seed, tally, conditional=conditional)
        seed += 1
    assert not tally.violations, tally.violations[:20]
    assert tally.deletes > 800 and tally.states["done_inferred"] > 30


@pytest.mark.parametrize("name", SABOTAGE)
def test_the_harness_finds_sabotage(name: str) -> None:
    broken = SABOTAGE[name]
    tally, seed, start = Tally(), 0, time.monotonic()
    while not tally.violations and time.monotonic() - start < 60:
        cut_run(seed, tally, conditional=broken.get("conditional", seed % 2 == 0), broken=broken)
        seed += 1
    assert tally.violations, f"{name} was not found in {tally.runs} runs and {tally.crashes} power cuts"


@pytest.mark.parametrize("name", [n for n in SABOTAGE if not SABOTAGE[n].get("cuts")][:4])
def test_the_kill_harness_finds_sabotage_too(name: str) -> None:
    broken = SABOTAGE[name]
    tally, seed, start = Tally(), 0, time.monotonic()
    while not tally.violations and time.monotonic() - start < 60:
        kill_run(seed, tally, conditional=broken.get("conditional", seed % 2 == 0), broken=broken)
        seed += 1
    assert tally.violations, f"{name} was not found in {tally.runs} runs and {tally.crashes} kills"


def test_a_backup_that_cannot_be_read_back_stops_before_the_first_delete() -> None:
    tally = Tally()
    cut_run(1, tally, broken={"disk": {"garbage": True}})
    assert tally.deletes == 0 and tally.violations == [(1, "NEVER-ENDS")]


@pytest.mark.parametrize(
    ("failure", "conditional"), [(errno.ENOSPC, True), (errno.EIO, False)], ids=["full", "io-error-unconditional"]
)
def test_every_write_and_sync_of_24_records_fails_once(failure: int, conditional: bool) -> None:
    """Exhaustive: each write and each fsync of journal and backup, one after the other, until a run meets none."""
    n = 0
    while True:
        n += 1
        untouched, violations = fault_run(n, failure, conditional=conditional, size=24)
        assert not violations, (n, violations)
        if untouched:
            break
    assert n > 240, "fewer operations failed than a run has"


def test_a_segment_shorter_than_the_journal_stops_everything(tmp_path: Path) -> None:
    from steward.errors import JournalCorruptError
    from steward.executor.disk import RealDisk
    from steward.executor.journal import Journal, connect
    from tests.support.crash import MANIFEST, execute, works_of
    from tests.support.hostile_crm import HostileCrm

    crm = HostileCrm(3, size=12, faults=0, people=0)
    journal = Journal(connect(tmp_path / "journal.sqlite"))
    disk = RealDisk(tmp_path / "backup")
    stops = [4]

    def call(request: dict[str, object]) -> object:
        stops[0] -= 1
        if stops[0] == 0:
            raise KeyboardInterrupt
        return crm.handle(request)

    with pytest.raises(KeyboardInterrupt):
        execute(journal, disk, call, works_of(crm), True, {}, lambda name: None)
    assert journal.segment_ends(MANIFEST)
    path = next((tmp_path / "backup").glob("*.frames"))
    whole = path.read_bytes()
    path.write_bytes(whole + b"torn tail")
    path.write_bytes(whole[:-1])
    before = crm.deletes
    with pytest.raises(JournalCorruptError):
        execute(journal, RealDisk(tmp_path / "backup"), crm.handle, works_of(crm), True, {}, lambda name: None)
    assert crm.deletes == before
    path.write_bytes(whole + b"torn tail")
    execute(journal, RealDisk(tmp_path / "backup"), crm.handle, works_of(crm), True, {}, lambda name: None)
    assert path.read_bytes() == whole
    assert set(journal.counts(MANIFEST)) <= {"done", "done_inferred"}
    assert crm.judge({r[2]: r[5] for r in journal.outcomes(MANIFEST)}) == []
    journal.db.close()
