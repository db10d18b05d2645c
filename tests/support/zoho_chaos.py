"""Merges and deletions over the Zoho sandbox while everything goes wrong: the real engine, writer, journal, disk and HTTP.

Before any call people may edit, relink, delete or bring back; calls are throttled, fail, time out before they were applied,
after it, or are applied later; verdicts are missing; the process dies at any named point. The oracle reads the sandbox's own
database: what people did is never undone, nothing is called done that is not, nothing that was done is not said, and a
restore brings back what nobody has touched. By hand: ``python -m tests.support.zoho_chaos FIRST LAST``.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steward.errors import StewardError
from steward.executor.disk import RealDisk
from steward.executor.journal import Journal, connect
from steward.executor.ports import SystemClock, Work
from steward.executor.steps import StepLog
from steward.executor.writers.zoho import ZohoWriter
from steward.records import Record, RecordKey
from tests.support.crash import MANIFEST
from tests.support.vendor_deaths import Died
from tests.support.vendor_machine import DONE, OPEN, RESTORE, TAKEN, execute, merge, moves, removal
from tests.support.vendor_sandbox import serve
from tests.support.writer_zoho import WRITES, Quick, ZohoCase, open_on, open_writer
from tests.support.zoho_sandbox import Fresh

MERGES, DELETES, PURGES = 3, 3, 2


class Chaos(Fresh):
    """A sandbox in whose way everything comes."""

    def __init__(self) -> None:
        super().__init__(20)
        self.writer: type[ZohoWriter] = ZohoWriter
        self.options: dict[str, str] = {}
        self.quiet = True
        self.random = random.Random(0)
        self.people = self.faults = 0.0
        self.play: list[str] = []
        self.deals: list[str] = []
        self.survivors: list[str] = []
        self.edited: dict[tuple[str, str], str] = {}
        self.touched: set[str] = set()
        self.countdown = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Let things happen, then answer."""
        if scope["type"] == "http" and scope["path"].startswith("/crm/") and not self.quiet:
            self._late()
            if self.random.random() < self.people:
                self._somebody()
            if self.random.random() < self.faults:
                self._fault(scope["method"], scope["path"])
        await self.app(scope, receive, send)

    def _late(self) -> None:
        self.countdown -= 1
        if self.countdown <= 0:
            self.settle()

    def settle(self) -> None:
        """What was held back takes effect."""
        held, self.app.late = self.app.late, []
        for one in held:
            self.app._serve(*one)

    def _somebody(self) -> None:
        state = self.app.state
        id = self.random.choice([*self.play, *self.deals])
        (boss,) = state.db.execute("SELECT id FROM person ORDER BY id LIMIT 1").fetchone()
        (life, module) = state.db.execute("SELECT life, module FROM record WHERE id = ?", (int(id),)).fetchone()
        from steward.sandbox.zoho import removing

        if life == "gone":
            return
        self.touched.add(id)
        what = self.random.random()
        if life == "bin":
            removing.revive(state, int(id), boss)
        elif what < 0.5 or (module == "Contacts" and what < 0.75):
            name = "Title" if module == "Contacts" and what < 0.25 else "Last_Name" if module == "Contacts" else "Stage"
            value = f"People {self.random.random()}"
            state.edit(int(id), {name: value}, state.person(boss))
            state.remember(int(id), "updated", "crm_ui", boss)
            self.edited[id, name] = value
        elif what < 0.75:
            other = self.random.choice(self.survivors)
            state.edit(int(id), {"Contact_Name": {"id": other, "name": "x"}}, state.person(boss))
            state.remember(int(id), "updated", "crm_ui", boss)
            self.edited[id, "Contact_Name"] = other
        else:
            removing.drop(state, module, int(id), boss, "crm_ui")

    def _fault(self, method: str, path: str) -> None:
        writes = method != "GET" and "coql" not in path
        kinds = ["429", "500", "cut_before", "cut_after"] + (["late", "partial", "403"] if writes else [])
        kind = self.random.choice(kinds)
        if kind == "late":
            self.countdown = self.random.randint(1, 4)
        self.app.state.faults = [{"kind": kind, "method": method, "path": WRITES if writes else ".", "times": 1, "skip": 0}]


@dataclass
class Merge:
    """Who goes, who stays, what hung on the one that goes."""

    loser: str
    survivor: str
    deals: list[str]


@dataclass
class Tally:
    """What a series of runs came to."""

    runs: int = 0
    deaths: int = 0
    boots: int = 0
    states: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)


class _Clock(SystemClock):
    """Waiting takes no time, and what was held back takes effect in it."""

    def __init__(self, chaos: Chaos) -> None:
        self._chaos = chaos

    def sleep(self, seconds: float) -> None:
        """Return when the longest request has come to its end."""
        if seconds > 60:
            self._chaos.settle()


def one_run(chaos: Chaos, address: str, seed: int, folder: Path, tally: Tally) -> None:
    """Delete and restore on one CRM."""
    chaos.quiet = True
    chaos.renew()
    chaos.random = rng = random.Random(seed)
    chaos.people, chaos.faults = (0.0, 0.02, 0.06)[seed % 3], (0.1, 0.25)[seed % 2]
    chaos.edited, chaos.touched, chaos.countdown = {}, set(), 0
    with ExitStack() as stack:
        case = stack.enter_context(open_on(chaos, address, folder))
        merges = [_merge(case, n, rng) for n in range(MERGES)]
        deletes = [case.new_person(f"Stale {n}") for n in range(DELETES)]
        purges = [case.new_person(f"Purge {n}") for n in range(PURGES)]
        chaos.survivors = [m.survivor for m in merges]
        chaos.deals = [d for m in merges for d in m.deals]
        chaos.play = [*(m.loser for m in merges), *chaos.survivors, *deletes, *purges]
        works = _works(case, merges, deletes, purges)
        before = {i: case.values(i) for i in [*chaos.play, *chaos.deals]}
        for manifest in (MANIFEST, RESTORE):
            if not _to_the_end(chaos, case, address, folder, manifest, works, rng, tally):
                tally.violations.append(f"{seed}: never ends {manifest}")
                return
            chaos.quiet = True
            journal = Journal(connect(folder / "run.sqlite"))
            said = {row[0]: row[5] for row in journal.outcomes(manifest)}
            for state in said.values():
                tally.states[state] = tally.states.get(state, 0) + 1
            if manifest == MANIFEST:
                states = said
                found = _judge(chaos, case, merges, [*deletes, *purges], works, said)
            else:
                found = _judge_restore(chaos, case, merges, works, states, said, before, journal)
            journal.db.close()
            tally.violations += [f"{seed}: {text}" for text in found]
        tally.runs += 1


def _merge(case: ZohoCase, n: int, rng: random.Random) -> Merge:
    survivor, loser = case.new_person(f"Survivor {n}"), case.new_person(f"Loser {n}")
    return Merge(loser, survivor, [case.new_child(loser) for _ in range(rng.randint(0, 2))])


def _works(case: ZohoCase, merges: Sequence[Merge], deletes: Sequence[str], purges: Sequence[str]) -> list[Work]:
    ids = [*(m.loser for m in merges), *(m.survivor for m in merges), *deletes, *purges]
    found = case.look.read([RecordKey("contact", i) for i in ids]).records
    works: list[Work] = []
    for m in merges:
        before, kept = found[RecordKey("contact", m.loser)], found[RecordKey("contact", m.survivor)]
        assert isinstance(before, Record) and isinstance(kept, Record)
        works.append(merge(len(works), before, kept, {"Last_Name": m.loser}, moves("deal", "Contact_Name", m.deals)))
    for id in [*deletes, *purges]:
        record = found[RecordKey("contact", id)]
        assert isinstance(record, Record)
        works.append(removal(len(works), record, "hard_delete" if id in purges else "soft_delete"))
    return works


def _to_the_end(
    chaos: Chaos,
    case: ZohoCase,
    address: str,
    folder: Path,
    manifest: str,
    works: Sequence[Work],
    rng: random.Random,
    tally: Tally,
) -> bool:
    deaths = rng.randint(0, 4)
    for boot in range(80):
        tally.boots += 1
        left = [rng.randint(1, 60) if boot < deaths else -1]

        def hook(name: str, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise Died

        chaos.app.state.db.execute("DELETE FROM stamp")  # how often a token is given is another test's
        chaos.quiet = boot > 40
        try:
            if _boot(chaos, address, folder, manifest, works, hook):
                return True
        except Died:
            tally.deaths += 1
    return False


def _boot(chaos: Chaos, address: str, folder: Path, manifest: str, works: Sequence[Work], hook: Any) -> bool:
    journal = Journal(connect(folder / "run.sqlite"))
    (folder / "backup").mkdir(exist_ok=True)
    disk = RealDisk(folder / "backup")
    writer = open_writer(address, StepLog(journal.db), clock=Quick(), hook=hook, kind=chaos.writer, **chaos.options)
    try:
        execute(manifest, journal, disk, writer, writer.mapping, works, _Clock(chaos), actor=lambda: writer.me, hook=hook)
        return True
    except StewardError:
        return False
    finally:
        writer.close()
        disk.close()
        journal.db.close()


# The oracle --------------------------------------------------------------------------------------------------------------


def _events(chaos: Chaos, id: str) -> list[tuple[str, str]]:
    rows = chaos.app.state.db.execute("SELECT action, source FROM event WHERE id = ? ORDER BY rowid", (int(id),))
    return [(str(action), str(source)) for action, source in rows.fetchall()]


def _judge(chaos: Chaos, case: ZohoCase, merges: Sequence[Merge], singles: Sequence[str], works: Sequence[Work], said: dict[int, str]) -> list[str]:  # fmt: skip
    found = [f"unfinished {works[s].id}" for s, state in said.items() if state in OPEN]
    for work in works:
        state, life, touched = said[work.seq], case.life(work.id), work.id in chaos.touched
        done = state in DONE
        ours = [e for e in _events(chaos, work.id) if e[0] in ("deleted", "restored")][-1:] == [("deleted", "crm_api")]
        if done and life == "live" and not touched:
            found.append(f"called done and is live {work.id}")
        if done and work.action == "hard_delete" and life == "bin" and not touched:
            found.append(f"called purged and lies in the bin {work.id}")
        if not done and state != "partly" and life != "live" and ours:
            found.append(f"deleted by us and called {state} {work.id}")
        deleted = 0
        for action, source in _events(chaos, work.id):
            deleted = deleted + 1 if (action, source) == ("deleted", "crm_api") else 0 if action == "restored" else deleted
            if deleted > 1:
                found.append(f"deleted twice {work.id}")
    for m, work in zip(merges, works, strict=False):
        state = said[work.seq]
        near = chaos.touched & {m.loser, m.survivor, *m.deals}
        moved = [d for d in m.deals if case.values(d)["Contact_Name"]["id"] == m.survivor and d not in chaos.touched]
        written = case.values(m.survivor)["Last_Name"].startswith("Loser") and m.survivor not in chaos.touched
        if state in DONE and not near and (len(moved) < len(m.deals) or not written):
            found.append(f"half a merge called done {m.loser}")
        if state not in TAKEN and (moved or written):
            found.append(f"half a merge not said ({state}) {m.loser}")
    for (id, name), value in chaos.edited.items():
        if case.life(id) == "gone":
            continue  # a purge: the timeline is asked, and it tells whole seconds only
        now = case.values(id)[name]
        now = now["id"] if isinstance(now, dict) else now
        if now != value:
            found.append(f"an edit of people is lost: {id} {name}")
    return found


def _judge_restore(
    chaos: Chaos, case: ZohoCase, merges: Sequence[Merge], works: Sequence[Work], states: dict[int, str], said: dict[int, str],
    before: dict[str, dict[str, Any]], journal: Journal,
) -> list[str]:  # fmt: skip
    found = [f"restore unfinished {s}" for s, state in said.items() if state in OPEN]
    went = [seq for seq, state in states.items() if state in TAKEN]
    for n, seq in enumerate(reversed(went)):
        work = works[seq]
        if work.id in chaos.touched or said[n] not in DONE:
            continue
        id = journal.new_id("contact", work.id) or work.id
        if case.life(id) != "live":
            found.append(f"not back {work.id}")
            continue
        now = case.values(id)
        for name, value in before[work.id].items():
            if (
                name not in ("Modified_By", "Created_By")
                and name != "Visits"
                and json.dumps(now.get(name)) != json.dumps(value)
            ):
                found.append(f"not as it was {work.id} {name}")
        for m in merges:
            if m.loser == work.id and not chaos.touched & {m.survivor, *m.deals}:
                found += [f"link not back {d}" for d in m.deals if case.values(d)["Contact_Name"]["id"] != id]
                if not case.values(m.survivor)["Last_Name"].startswith("Survivor"):
                    found.append(f"survivor not as it was {m.survivor}")
    made = [i for i in case.crm.ids("Contacts") if _events(chaos, i)[:1] == [("added", "crm_api")]]
    names = [case.values(i)["Last_Name"] for i in made]
    if len(names) != len(set(names)):
        found.append("made twice")
    return found


def series(seeds: Sequence[int], writer: type[ZohoWriter] = ZohoWriter, **options: str) -> Tally:
    """Run seeds one after another on one server, until one is violated."""
    tally, chaos = Tally(), Chaos()
    chaos.writer, chaos.options = writer, options
    with serve(chaos) as address:
        for seed in seeds:
            with tempfile.TemporaryDirectory(prefix="steward-chaos-") as folder:
                one_run(chaos, address, seed, Path(folder), tally)
            if tally.violations:
                break
    return tally


if __name__ == "__main__":
    result = series(range(int(sys.argv[1]), int(sys.argv[2])))
    sys.stdout.write(f"{result}\n")
    sys.exit(bool(result.violations))
