"""Power cuts in the middle of changes that take many calls: merges, deletions and their undoing over a hostile vendor.

Each run is one CRM, one journal, one backup on a disk that loses unsynced bytes; the machine dies at random until one
executor comes to its end, first with the deletion, then with the restore. The oracle compares what the journal says with
what the CRM holds. :data:`SABOTAGE` are defects that the harness must find.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apsw

from steward.errors import StewardError
from steward.executor.journal import Journal, prepare
from steward.executor.ports import Result, Settled, State, Unit, Work
from steward.executor.steps import Step, StepLog
from steward.executor.writers.vendor import VendorWriter
from steward.records import RecordKey
from tests.support.crash import MANIFEST, DiskOracle, Tally, TickClock
from tests.support.hostile_crm import ME
from tests.support.hostile_vendor import MAPPING, Bin, HostileVendor, HostileVendorWriter, text_of
from tests.support.powercut import MemoryDisk, MemoryFiles, MemoryVfs, PowerCut
from tests.support.vendor_machine import DONE, OPEN, RESTORE, TAKEN, execute, merge, moves, removal

MERGES, DELETES = 3, 4


@dataclass(frozen=True)
class Case:
    """A merge: who goes, who stays, what hung on the one that goes."""

    loser: RecordKey
    survivor: RecordKey
    deals: tuple[RecordKey, ...]


def world(seed: int, bin: Bin, oracle: Any) -> tuple[HostileVendor, list[Case], list[RecordKey], list[Work]]:
    """Return a CRM, its merges and deletions, and the works as they were reviewed."""
    crm = HostileVendor(seed, bin=bin, backed=oracle, people=(0.0, 0.02, 0.06)[seed % 3])
    cases, deletes, works = [], [], []
    for n in range(MERGES):
        loser = crm.add("contact", f"l{n}", text=f"Loser {n}", city="Köln")
        survivor = crm.add("contact", f"s{n}", text=f"Survivor {n}", city="Bonn")
        deals = tuple(
            crm.add("deal", f"d{n}{i}", text="Deal", city=None, contact=loser.id) for i in range(crm.random.randint(0, 2))
        )
        cases.append(Case(loser, survivor, deals))
    for n in range(DELETES):
        deletes.append(crm.add("contact", f"x{n}", text=f"Stale {n}", city="Ulm"))
    action = "hard_delete" if bin == "none" else "soft_delete"
    for case in cases:
        before, kept = crm.record(case.loser), crm.record(case.survivor)
        related = moves("deal", "contact", [k.id for k in case.deals])
        works.append(merge(len(works), before, kept, {"text": case.loser.id}, related))
    for key in deletes:
        works.append(removal(len(works), crm.record(key), action))
    return crm, cases, deletes, works


# Sabotage ---------------------------------------------------------------------------------------------------------------


class _NoSteps(StepLog):
    def begin(self, manifest: str, steps: Sequence[Step]) -> None:
        """Writes nothing down."""


class _Fresh(HostileVendorWriter):
    """Believes what it read long ago."""

    def _look_again(self, keys: Sequence[RecordKey]) -> None: ...


class _NeverGoesOn(HostileVendorWriter):
    def _settled(self, work: Work, steps: Sequence[Step], records: Mapping[RecordKey, Any], manifest: str) -> Settled | None:
        said = super()._settled(work, steps, records, manifest)
        return Settled("changed") if said is not None and said.state == "partly" else said


class _LoserFirst(HostileVendorWriter):
    def apply(self, units: Sequence[Unit], *, manifest: str, attempt: int) -> Mapping[int, Result]:
        turned = [Unit(u.name, u.works, tuple(reversed(u.effects)), u.expect_free) for u in units]
        return super().apply(turned, manifest=manifest, attempt=attempt)


class _MakesAgain(HostileVendorWriter):
    def _state_of_insert(self, step: Step, manifest: str) -> tuple[str, str | None, str | None]:
        return ("made", None, step.became) if step.became else ("open", None, None)


class _AllOfAUnit(HostileVendorWriter):
    def _settled(self, work: Work, steps: Sequence[Step], records: Mapping[RecordKey, Any], manifest: str) -> Settled | None:
        said = super()._settled(work, steps, records, manifest)
        return Settled("done") if said is not None and said.state == "partly" else said


SABOTAGE: dict[str, dict[str, Any]] = {
    "steps are not written down": {"steps": _NoSteps},
    "what was read long ago is believed": {"writer": _Fresh, "people": 0.3},
    "a half is not gone on with": {"writer": _NeverGoesOn},
    "the loser goes first": {"writer": _LoserFirst},
    "a record is made again without looking": {"writer": _MakesAgain, "bin": "none"},
    "a half is called whole": {"writer": _AllOfAUnit},
}


# One run ----------------------------------------------------------------------------------------------------------------


def cut_run(seed: int, tally: Tally, *, bin: Bin | None = None, broken: Mapping[str, Any] | None = None) -> None:
    """Delete and restore on one CRM, with cuts."""
    broken = broken or {}
    rng = random.Random(seed)
    kind: Bin = broken.get("bin") or bin or ("shows", "hides", "none")[seed % 3]
    current = [MemoryFiles()]

    def durable(name: str) -> bytes | None:
        file = current[0].files.get(name)
        return None if file is None else file.durable

    oracle = DiskOracle(durable, lambda: sorted(n for n in current[0].files if n.endswith(".frames")))
    crm, cases, deletes, works = world(seed // 3, kind, oracle)
    crm.people = broken.get("people", crm.people)
    states: dict[int, str] = {}
    for manifest in (MANIFEST, RESTORE):
        crm.restoring = manifest == RESTORE
        cuts = rng.randint(1, 5)
        for attempt in range(150):
            crm.quiet = attempt > 50
            fs = current[0]
            fs.cut_at = rng.randint(1, 160) if attempt < cuts else None
            at_server = rng.randint(1, 14) if attempt < cuts and rng.random() < 0.5 else -1
            if _boot(fs, crm, manifest, works, kind, broken, at_server):
                break
            if fs.dead:
                tally.crashes += 1
                current[0] = fs.after_cut(rng)
            else:
                current[0] = fs.reopened()
        else:
            tally.violations.append((seed, f"NEVER-ENDS {manifest}"))
            return
        current[0] = current[0].reopened()
        db = MemoryVfs(current[0]).open()
        journal = Journal(db)
        said = {row[0]: row[5] for row in journal.outcomes(manifest)}
        tally.states.update(said.values())
        if manifest == MANIFEST:
            states = said
            found = judge(crm, cases, deletes, said)
        else:
            found = judge_restore(crm, cases, deletes, works, states, journal, said)
        db.close()
        current[0] = current[0].reopened()
        tally.violations += [(seed, f"{text} [{kind}]") for text in [*crm.violations, *found]]
        crm.violations.clear()
        crm.late.clear()
    tally.runs += 1
    tally.deletes += crm.writes
    tally.windows += crm.windows


def _boot(
    fs: MemoryFiles,
    crm: HostileVendor,
    manifest: str,
    works: Sequence[Work],
    bin: Bin,
    broken: Mapping[str, Any],
    at_server: int,
) -> bool:
    """One executor on this machine; True where it came to its end."""
    left = [at_server]

    def step(name: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            fs.cut()

    def call(request: dict[str, Any]) -> Any:
        if fs.dead:
            raise PowerCut
        return crm.handle(request)

    crm.on_step = step
    db = None
    try:
        db = MemoryVfs(fs).open()
        prepare(db)
        journal, disk = Journal(db), MemoryDisk(fs)
        writer: VendorWriter = broken.get("writer", HostileVendorWriter)(
            call, broken.get("steps", StepLog)(db), bin=bin, hook=lambda name: None
        )
        execute(manifest, journal, disk, writer, MAPPING, works, TickClock(call), actor=lambda: writer.me, settle_seconds=1.0)
        return True
    except (PowerCut, StewardError, apsw.Error, OSError):
        return False
    finally:
        crm.on_step = lambda name: None
        if db is not None:
            with contextlib.suppress(PowerCut, apsw.Error, OSError):
                if fs.dead:
                    db.close(True)
                else:
                    db.close()


# The oracle -------------------------------------------------------------------------------------------------------------


def judge(crm: HostileVendor, cases: Sequence[Case], deletes: Sequence[RecordKey], states: Mapping[int, str]) -> list[str]:
    """Compare what is said of each item with what is there; return violations."""
    found: list[str] = []
    for seq, case in enumerate(cases):
        state, row = states[seq], crm.rows[case.loser]
        went = row.deleted and row.by == ME
        touched = crm.touched & {case.loser, case.survivor, *case.deals}
        moved = [k for k in case.deals if text_of(crm.rows[k], "contact") == case.survivor.id and k not in crm.touched]
        written = text_of(crm.rows[case.survivor], "text") == f"Loser {seq}" and case.survivor not in crm.touched
        if state in OPEN:
            found.append(f"UNFINISHED {case.loser}")
        elif state in DONE:
            if not row.deleted and case.loser not in crm.touched:
                found.append(f"FALSE-DONE {case.loser}")
            if not touched and (len(moved) < len(case.deals) or not written):
                found.append(f"HALF-CALLED-DONE {case.loser}")
        elif state != "partly":
            if went:
                found.append(f"REPORTED-KEPT {case.loser} ({state})")
            if moved or written:
                found.append(f"HALF-NOT-SAID {case.loser} ({state})")
        elif went and not touched:
            found.append(f"PARTLY-BUT-GONE {case.loser}")
        found += _twice(crm, case.loser)
        found += _edit_lost(crm, case.loser)
    for n, key in enumerate(deletes):
        state, row = states[MERGES + n], crm.rows[key]
        if state in OPEN:
            found.append(f"UNFINISHED {key}")
        elif state in DONE:
            if not row.deleted and key not in crm.touched:
                found.append(f"FALSE-DONE {key}")
        elif row.deleted and row.by == ME:
            found.append(f"REPORTED-KEPT {key} ({state})")
        found += _twice(crm, key)
        found += _edit_lost(crm, key)
    return found


def _twice(crm: HostileVendor, key: RecordKey) -> list[str]:
    ops = crm.ours.get(key, [])
    if ops.count("delete") - ops.count("unbin") > 1 and key not in crm.touched:
        return [f"DOUBLE {key}"]
    return []


def _edit_lost(crm: HostileVendor, key: RecordKey) -> list[str]:
    """A record that we deleted after people had edited it: seen before the call, or shown by the bin afterwards."""
    row = crm.rows[key]
    if not (row.deleted and row.by == ME):
        return []
    lost = [name for (k, name), (_at, said) in crm.edited.items() if k == key and row.fields[name] == said]
    # Where the bin shows what lies in it, the edit is seen there and the record put back; elsewhere the call itself told.
    return [f"EDIT-LOST {key}"] if lost and crm.bin == "shows" else []


def judge_restore(
    crm: HostileVendor,
    cases: Sequence[Case],
    deletes: Sequence[RecordKey],
    works: Sequence[Work],
    states: Mapping[int, str],
    journal: Journal,
    said: Mapping[int, str],
) -> list[str]:
    """What went and nobody has touched is as it was; nothing is there twice."""
    found: list[str] = [f"UNFINISHED restore {seq}" for seq, state in said.items() if state in OPEN]
    went = [seq for seq, state in states.items() if state in TAKEN]
    outcome = {seq: said[n] for n, seq in enumerate(reversed(went))}

    def now(key: RecordKey) -> RecordKey:
        new = journal.new_id(key.object, key.id)
        return key if new is None else RecordKey(key.object, new)

    def back(key: RecordKey, text: str, seq: int) -> None:
        row = crm.rows[now(key)]
        if outcome[seq] == State.FAILED:
            return  # a clear refusal of the vendor, and said so
        if outcome[seq] != State.DONE and outcome[seq] != State.DONE_INFERRED:
            found.append(f"NOT-RESTORED {key} ({outcome[seq]})")
        elif row.deleted or text_of(row, "text") != text:
            found.append(f"FALSE-RESTORED {key}")

    for seq, case in enumerate(cases):
        kept = case.loser not in crm.taken_once | set(crm.ours) and states[seq] == "partly"
        if kept and case.loser in crm.touched and not crm.touched & {case.survivor, *case.deals}:
            # People have changed a loser that we never wrote to: that is no reason to leave its links where we moved them.
            left = [d for d in case.deals if text_of(crm.rows[d], "contact") != case.loser.id and outcome[seq] != State.FAILED]
            found += [f"LINK-LEFT {deal} ({outcome[seq]})" for deal in left]
        # People may also take away what was made anew, while its links are being led to it.
        anew = {
            k for k, r in crm.rows.items() if r.made_by == ME and k.object == "contact" and text_of(r, "text") == f"Loser {seq}"
        }
        if seq not in went or crm.touched & {case.loser, case.survivor, *case.deals, now(case.loser), *anew}:
            continue
        back(case.loser, f"Loser {seq}", seq)
        if outcome[seq] == State.FAILED:
            continue
        for deal in case.deals:
            if text_of(crm.rows[deal], "contact") != now(case.loser).id:
                found.append(f"LINK-LOST {deal}")
        if text_of(crm.rows[case.survivor], "text") != f"Survivor {seq}":
            found.append(f"SURVIVOR-NOT-BACK {case.survivor}")
    for n, key in enumerate(deletes):
        if MERGES + n in went and not crm.touched & {key, now(key)}:
            back(key, f"Stale {n}", MERGES + n)
    for key in [c.loser for c in cases] + list(deletes):
        made = crm.ours.get(RecordKey("contact", "?"), ())
        text = f"Loser {key.id[1:]}" if key.id[0] == "l" else f"Stale {key.id[1:]}"
        alike = [k for k, r in crm.rows.items() if r.made_by == ME and not r.deleted and text_of(r, "text") == text]
        if len(alike) + (not crm.rows[key].deleted) > 1 and made and not crm.touched & {key, *alike}:
            found.append(f"MADE-TWICE {key}")
    return found
