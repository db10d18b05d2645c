"""Power cuts, faults and people while Fxiaoke's real writer works over real HTTP against the sandbox.

Each run is one sandbox, one journal and one backup on a disk that loses unsynced bytes. Before and after every call the
machine may die, people may edit, void and recover, and the call itself may be throttled, refused, cut off before it works,
after it, or take effect later. Executors are started until one comes to its end, first with the deletion, then with the
restore; then the sandbox's own store and change log are compared with what the journal says. By hand:
``python -m tests.support.fxiaoke_crash FIRST LAST``.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import httpx

from steward.crm.fxiaoke import FxiaokeReader
from steward.crm.mapping import parse_mapping
from steward.errors import OutcomeUnknownError
from steward.executor.journal import Journal
from steward.executor.ports import Answer, Result, Work
from steward.executor.steps import Step, StepLog
from steward.executor.writers.fxiaoke import FxiaokeWriter
from steward.executor.writers.vendor import Refused, VendorWriter
from steward.records import Record
from steward.sandbox.fxiaoke import create_app, sandbox_mapping
from steward.sandbox.fxiaoke.reading import Refusal
from steward.sandbox.fxiaoke.world import Fault, Switches, World
from tests.support.vendor_machine import DONE, OPEN, TAKEN, HostileWire, Machine, Tally, merge, moves, removal
from tests.support.vendor_sandbox import serve
from tests.support.writer_fxiaoke import CHANGES, OWN_CODE, Opened, SandboxClock, profile

CONTACT, DEAL = "ContactObj", "NewOpportunityObj"
MAPPING = parse_mapping(sandbox_mapping())
OURS, PEOPLE = "1002", "1001"


class HostileClock(SandboxClock):
    """Waiting lets calls that were held back take effect."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        for call in self.world.late:
            with contextlib.suppress(Refusal):
                call()
        self.world.late.clear()


@dataclass
class Run(Machine):
    """One sandbox that is worked on until the end."""

    world: World
    address: str
    kind: type[FxiaokeWriter] = FxiaokeWriter
    people: float = field(default=0.03, kw_only=True)
    touched: set[str] = field(default_factory=set)

    mapping = MAPPING
    steps_between_cuts = 120
    engine = {"settle_seconds": 90.0}

    def __post_init__(self) -> None:
        super().__post_init__()
        self.clock = HostileClock(self.world)
        self.box = Opened(self.world, self.address, self.clock, MAPPING, None, None, None)  # type: ignore[arg-type]  # people only
        w = self.world
        w.switches, w.faults[:], w.late[:] = Switches(), [], []
        w.switches.void_names = self.random.random() < 0.5
        w.switches.void_moves_time = self.random.random() < 0.5
        w.switches.voided_in_query = self.random.choice(["no", "filtered", "yes"])  # type: ignore[assignment]  # its words
        w.switches.repeat_void_is_ok = False
        w.switches.partial_lists = self.random.random() < 0.5
        w.switches.specified_time_is_change = self.random.random() < 0.5
        w.clock.advance(120)
        w.db.execute("DELETE FROM record WHERE api IN (?, ?)", (CONTACT, DEAL))  # what the run before left is nobody's here
        w.db.execute("DELETE FROM change_log WHERE api IN (?, ?)", (CONTACT, DEAL))
        self.made: list[str] = []
        self._cases()

    # the scene ---------------------------------------------------------------------------------------------------

    def _new(self, name: str) -> str:
        self.made.append(id := self.box.new(CONTACT, name=f"{name} {self.seed}", job_title=name, helpers__c=["1000", "1001"]))
        return id

    def _cases(self) -> None:
        self.merges: list[tuple[str, str, list[str]]] = []
        for n in range(2):
            loser, survivor = self._new(f"Loser {n}"), self._new(f"Survivor {n}")
            deals = [self.box.new(DEAL, name=f"Deal {i}", contact__c=loser) for i in range(self.random.randint(0, 2))]
            self.merges.append((loser, survivor, deals))
        self.deletes = [(self._new(f"Soft {n}"), "soft_delete") for n in range(2)]
        self.deletes += [(self._new(f"Hard {n}"), "hard_delete") for n in range(2)]
        reader = FxiaokeReader(profile(self.address), MAPPING, write=True, clock=self.clock)
        try:
            found = reader.fetch("contact", self.made)
        finally:
            reader.close()
        self.before = {id: r for id, r in found.items() if isinstance(r, Record)}
        for loser, survivor, deals in self.merges:
            row, kept = self.before[loser], self.before[survivor]
            related = moves("deal", "contact__c", deals)
            self.works.append(merge(len(self.works), row, kept, {"job_title": loser}, related))
        for id, action in self.deletes:
            self.works.append(removal(len(self.works), self.before[id], action))

    # what happens in between ---------------------------------------------------------------------------------------

    def before_call(self, request: httpx.Request) -> None:
        """Step; the sandbox's clock goes on by a third of a second with each call."""
        self.step()
        self.tally.calls += 1
        self.world.clock.advance(0.3)
        changes = any(part in request.url.path for part in CHANGES.split("|"))
        if request.url.path.endswith("data/invalid"):
            self.in_between(str(json.loads(request.content)["data"]["object_data_id"]))
        self.world.faults.clear()
        often = 0.6 if request.url.path.endswith("data/create") else 0.25 if changes else 0.03
        if not self.quiet and self.random.random() < often:
            kinds = ["cut", "cut_after", "throttled", *(["late", "refused", "busy", "html_after"] if changes else ["html"])]
            kind = self.random.choice(kinds)
            code = {"throttled": 30004, "refused": OWN_CODE, "busy": 50009}.get(kind, 0)
            self.tally.faults[kind] += 1
            self.world.faults[:] = [
                Fault("code_after" if kind == "busy" and self.random.random() < 0.5 else "code" if code else kind, "", code)
            ]

    def in_between(self, id: str) -> None:
        """Between the last look and the void of a record: somebody is at it."""
        if not self.quiet and self.random.random() < 4 * self.people:
            self.somebody(id)

    def somebody(self, id: str = "") -> None:
        """Somebody edits another field than ours, voids, or recovers."""
        id = id or self.random.choice(self.made)
        doc = self.world.get(CONTACT, id)
        if doc is None:
            return
        self.tally.acts += 1
        self.touched.add(id)
        if doc["life_status"] == "invalid":
            self.box.recover(CONTACT, id)
        elif self.random.random() < 0.7:
            self.box.edit(CONTACT, id, email=f"p{self.random.randrange(10**6)}@example.org")
        else:
            self.box.void(CONTACT, id)

    def open(self, steps: StepLog) -> FxiaokeWriter:
        """Return a writer on this sandbox."""
        wire = HostileWire(self)
        return self.kind(FxiaokeReader(profile(self.address), MAPPING, write=True, transport=wire, clock=self.clock), steps)

    def actor(self, writer: VendorWriter) -> str:
        """Return whom the vendor names beside a void of ours."""
        return writer.me

    # the oracle ----------------------------------------------------------------------------------------------------

    def _lines(self, id: str) -> list[tuple[str, str]]:
        rows = self.world.db.execute("SELECT kind, employee FROM change_log WHERE id = ? ORDER BY n", (id,)).fetchall()
        return [(str(kind), str(who)) for kind, who in rows]

    def _went(self, id: str) -> bool:
        """Say whether a record is voided or deleted, by us and last."""
        doc, lines = self.world.get(CONTACT, id), [x for x in self._lines(id) if x[0] in ("invalid", "delete", "recover")]
        return (doc is None or doc["life_status"] == "invalid") and bool(lines) and lines[-1][1] == OURS

    def judge(self, said: dict[int, str]) -> list[str]:
        found: list[str] = []
        for work in self.works:
            state, id = said[work.seq], work.id
            doc, went = self.world.get(CONTACT, id), self._went(id)
            lines = self._lines(id)
            if state in OPEN:
                found.append(f"UNFINISHED {work.action}")
            elif state in DONE and not any(who == OURS for kind, who in lines if kind in ("invalid", "delete")):
                found.append(f"NOT-OURS {work.action} {state} {lines}")
            elif state in DONE and not went and id not in self.touched:
                found.append(f"FALSE-DONE {work.action} {lines}")
            elif state in DONE and work.action == "hard_delete" and doc is not None and id not in self.touched:
                found.append(f"HALF-CALLED-DONE {work.action} {lines}")
            elif state not in TAKEN and went:
                found.append(f"REPORTED-KEPT {work.action} {state} {lines}")
            voids = [n for n, (kind, who) in enumerate(lines) if (kind, who) == ("invalid", OURS)]
            backs = [n for n, (kind, _) in enumerate(lines) if kind == "recover"]
            if len(voids) - len(backs) > 1:
                found.append(f"DOUBLE {work.action} {lines}")
            edits = [n for n, (kind, who) in enumerate(lines) if (kind, who) == ("update", PEOPLE)]
            if edits and went and voids and (not backs or max(backs) < max(voids)) and max(edits) < max(voids):
                found.append(f"EDIT-LOST {work.action} {state} {lines}")
            if work.action == "merge_into":
                found += self._judge_merge(work, state)
        return found

    def _judge_merge(self, work: Work, state: str) -> list[str]:
        loser, survivor, deals = next(m for m in self.merges if m[0] == work.id)
        kept = self.world.get(CONTACT, survivor)
        moved = [d for d in deals if (row := self.world.get(DEAL, d)) and row["contact__c"] == survivor]
        written = kept is not None and kept["job_title"] == f"Loser {self.merges.index((loser, survivor, deals))}"
        if state in DONE and not {loser, survivor} & self.touched and (len(moved) < len(deals) or not written):
            return ["HALF-CALLED-DONE merge"]
        if state not in TAKEN and (moved or written):
            return [f"HALF-NOT-SAID merge {state}"]
        return []

    def judge_restore(self, states: dict[int, str], said: dict[int, str], journal: Journal) -> list[str]:
        found = [f"UNFINISHED restore {s}" for s in said.values() if s in OPEN]
        live = Counter(str(d["name"]) for d in self.world.records(CONTACT) if not d["is_deleted"])
        reader = FxiaokeReader(profile(self.address), MAPPING, write=True, clock=self.clock)
        self.world.faults.clear()
        try:
            for work in self.works:
                name = str(self.before[work.id].fields["name"])
                if live[name] > 1:
                    found.append(f"TWICE {work.action}")
                if states[work.seq] not in DONE or {work.id, work.target} & self.touched:
                    continue
                outcome = said[[s for s, _ in self._order(states)].index(work.seq)]
                if outcome not in DONE:
                    if outcome not in ("failed", "conflict", "partly"):
                        found.append(f"NOT-BACK {work.action} {outcome}")
                    continue
                now = journal.new_id("contact", work.id) or work.id
                row = reader.fetch("contact", [now]).get(now)
                found += self._same(work, row)
        finally:
            reader.close()
        for loser, _survivor, deals in self.merges:
            for deal in deals:
                doc = self.world.get(DEAL, deal)
                index = next(w.seq for w in self.works if w.id == loser)
                if doc is None or (
                    states[index] in DONE and not {loser, _survivor} & self.touched and doc["contact__c"] != loser
                    and said[[s for s, _ in self._order(states)].index(index)] in DONE
                ):  # fmt: skip
                    found.append("LINK-NOT-BACK")
        return found

    @staticmethod
    def _order(states: dict[int, str]) -> list[tuple[int, str]]:
        return [(s, x) for s, x in reversed(list(states.items())) if x in TAKEN]

    def _same(self, work: Work, row: Any) -> list[str]:
        if not isinstance(row, Record) or row.deleted:
            return [f"FALSE-BACK {work.action}"]
        anew = row.key.id != work.id
        skip = {"_id", "version", "last_modified_by", "last_modified_time", "life_status_before_invalid"} | (
            {"created_by", "owner_department"} if anew else set()
        )
        before = self.before[work.id].fields
        names = sorted(n for n in before if n not in skip and before[n] != row.fields.get(n))
        return [f"NOT-AS-IT-WAS {work.action} {names}"] if names else []


# Sabotage -----------------------------------------------------------------------------------------------------------


class _HalfIsWhole(FxiaokeWriter):
    """Takes a voided record for one that is deleted for good."""

    def _settled(self, *words: Any) -> Any:
        return VendorWriter._settled(self, *words)

    def _state(self, *words: Any) -> Any:
        return VendorWriter._state(self, *words)


class _MakesAgain(FxiaokeWriter):
    """Makes a record again without looking for it."""

    def _state_of_insert(self, step: Step, manifest: str) -> tuple[str, str | None, str | None]:
        return ("made", None, step.became) if step.became else ("open", None, None)


class _NeverCompares(FxiaokeWriter):
    """Believes that what went is what was reviewed."""

    def _unedited(self, entry: Any, record: Record, results: Any) -> bool:
        self._went.pop(record.key)
        return True

    def _void(self, entry: Any, record: Record) -> Result | None:
        said = super()._void(entry, record)
        if record.key in self._went:
            self._went[record.key] = replace(record, deleted=True)
        return said


class _TakesCredit(FxiaokeWriter):
    """Takes what somebody else voided for its own."""

    def _void(self, entry: Any, record: Record) -> Result | None:
        said = super()._void(entry, record)
        if said is None or said.answer is not Answer.ABSENT:
            return said
        self._went[record.key] = replace(record, deleted=True)
        return Result(Answer.DONE)


class _TroubleIsRefusal(FxiaokeWriter):
    """Takes the vendor's own trouble for a refusal."""

    def _send(self, *words: Any, **top: Any) -> Any:
        try:
            return super()._send(*words, **top)
        except OutcomeUnknownError:
            raise Refused("refused") from None


SABOTAGE: dict[str, type[FxiaokeWriter]] = {
    "a half is called whole": _HalfIsWhole,
    "a record is made again without looking": _MakesAgain,
    "what went is not compared": _NeverCompares,
    "what others voided is taken for ours": _TakesCredit,
    "the vendor's trouble is taken for a refusal": _TroubleIsRefusal,
}
"""Defects that the harness must find."""


def one_run(seed: int, world: World, address: str, tally: Tally, kind: type[FxiaokeWriter] = FxiaokeWriter) -> None:
    """Delete and restore once, and count."""
    run = Run(world, address, kind, seed=seed, tally=tally)
    tally.violations += [(seed, text) for text in run.go()]
    tally.runs += 1


def main(first: int, last: int) -> int:
    """Run seeds by hand and print what they came to; 1 where something is wrong."""
    app = create_app(customers=10, seed=11)
    app.state.world.clock.freeze()
    tally = Tally()
    with serve(app) as address:
        for seed in range(first, last):
            one_run(seed, app.state.world, address, tally)
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(
        f"{tally.runs} runs, {tally.calls:,} calls, {tally.cuts} power cuts, {sum(tally.faults.values()):,} faults of {len(tally.faults)} kinds,"
        f" {tally.acts:,} acts of people, {used.ru_utime + used.ru_stime:.0f} s: {len(tally.violations)} violations"
    )
    print(*(f"{n} {state}" for state, n in sorted(tally.states.items())), sep="\n")
    print(*tally.violations, sep="\n")
    return int(bool(tally.violations))


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]), int(sys.argv[2])))


__all__ = ["SABOTAGE", "Run", "Tally", "one_run"]
