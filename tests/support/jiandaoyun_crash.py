"""Power cuts, faults and people while Jiandaoyun's real writer works over real HTTP against its sandbox.

Each run is one company, one journal and one backup on a disk that loses unsynced bytes. Before and after every call the
machine may die, people may edit, delete and bring back, and the call itself may be throttled, cut off before it works, after
it, in the middle of a batch, or take effect later. Executors are started until one comes to its end, first with the deletion,
then with the restore; then the sandbox's own tables and its trail are compared with what the journal says.

A vendor that neither compares before it deletes nor shows what it deleted leaves a window: from the last look at a record to
its call. What people do within it is not held against the writer; :data:`WINDOW` says how long it may be.
"""

from __future__ import annotations

import contextlib
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from steward.crm.jiandaoyun import JiandaoyunReader
from steward.crm.mapping import Mapping
from steward.crm.profiles import Profile
from steward.executor.journal import Journal
from steward.executor.ports import Work
from steward.executor.steps import Step, StepLog
from steward.executor.writers.jiandaoyun import JiandaoyunWriter
from steward.executor.writers.vendor import FRESH_SECONDS
from steward.records import Record
from steward.sandbox.jiandaoyun.gate import Refused
from steward.sandbox.jiandaoyun.state import Fault, State
from steward.sandbox.jiandaoyun.values import taken
from tests.support.jiandaoyun_company import Company
from tests.support.vendor_machine import DONE, OPEN, TAKEN, HostileWire, LateClock, Machine, Tally, merge, moves, removal, went

TICK = 1.5
"""Seconds of the wire's clock that a call takes."""
WINDOW = FRESH_SECONDS + 3 * TICK
_FAULTS = ("cut_before", "cut_after", "http_429", "http_502", "late", "code")


@dataclass
class Run(Machine):
    """One company that is worked on until the end."""

    company: Company
    state: State
    mapping: Mapping
    profile: Profile
    kind: type[JiandaoyunWriter] = JiandaoyunWriter

    def __post_init__(self) -> None:
        super().__post_init__()
        self.clock = LateClock(self.late)
        self.entry, self.tickets = self.company.entry("person"), self.company.entry("ticket")
        self.name, self.mail = self.company.widget("person", "名"), self.company.widget("person", "电子邮箱")
        self.contact = self.company.widget("ticket", "联系人")
        self.state.held.clear()
        self.state.faults.clear()
        choice = self.random.choice
        self.state.settings |= {
            "rates": False, "missing_single": choice(["4001", "4042"]), "missing_batch": choice(["count", "error"]),
            "bin": choice([True, False]), "empties": choice(["typed", "null", "absent"]), "system_filters": choice([True, False]),
        }  # fmt: skip
        for entry in (self.entry, self.tickets):  # what the run before left is nobody's here
            self.state.run("DELETE FROM records WHERE entry_id = ?", entry)
        self.state.run("DELETE FROM events")
        self.acts: dict[str, float] = {}
        self.mails: dict[str, str] = {}
        self.lost: list[str] = []
        self._cases()

    # the scene ----------------------------------------------------------------------------------------------------

    def _put(self, entry: str, **values: Any) -> str:
        data = {k: {"value": v} for k, v in values.items()}
        return self.state.insert(entry, taken(self.state, self.state.fields(entry), data), "operator")

    def _person(self, name: str) -> str:
        key = self.company.key
        return self._put(
            self.entry,
            **{
                key("person", "名"): f"{name} {self.seed}", key("person", "姓"): "陈", key("person", "职务"): name,
                key("person", "电子邮箱"): f"{name.replace(' ', '')}@example.org", key("person", "手机"): {"phone": f"138{self.random.randrange(10**8):08d}"},
            },
        )  # fmt: skip

    def _cases(self) -> None:
        self.merges: dict[str, tuple[str, list[str]]] = {}
        for n in range(2):
            loser, survivor = self._person(f"Loser {n}"), self._person(f"Survivor {n}")
            key = self.company.key("ticket", "联系人")
            tickets = [self._put(self.tickets, **{key: {"link_id": loser}}) for _ in range(self.random.randint(0, 2))]
            self.merges[loser] = (survivor, tickets)
        deletes = [self._person(f"Gone {n}") for n in range(4)]
        reader = JiandaoyunReader(self.profile, self.mapping, write=True, clock=self.clock)
        try:
            ids = [*self.merges, *(s for s, _ in self.merges.values()), *deletes]
            self.before = {i: r for i, r in reader.fetch("person", ids).items() if isinstance(r, Record)}
        finally:
            reader.close()
        job = self.company.widget("person", "职务")
        for loser, (survivor, tickets) in self.merges.items():
            row, kept = self.before[loser], self.before[survivor]
            related = moves("ticket", self.contact, tickets)
            self.works.append(merge(len(self.works), row, kept, {job: loser}, related))
        for id in deletes:
            self.works.append(removal(len(self.works), self.before[id], "hard_delete"))

    # what happens in between ----------------------------------------------------------------------------------------

    def late(self) -> None:
        """Let calls that were held back take effect."""
        while self.state.held:
            with contextlib.suppress(Refused):
                self.state.held.pop(0)()

    def before_call(self, request: httpx.Request) -> None:
        """Step; what people did to a record that is about to go must have been seen."""
        self.step()
        self.tally.calls += 1
        self.clock.at += TICK
        path = request.url.path.rpartition("/")[2]
        writes = path in ("update", "delete", "batch_create", "batch_delete")
        if path in ("delete", "batch_delete"):
            body = json.loads(request.content)
            self.going([body["data_id"]] if path == "delete" else body["data_ids"])
        self.state.faults.clear()
        if not self.quiet and self.random.random() < (0.25 if writes else 0.02):
            kind = self.random.choice([*_FAULTS, "cut_half"] if writes else ["cut_before", "cut_after", "http_429", "http_502"])
            self.tally.faults[kind] += 1
            self.state.faults[:] = [Fault(kind, "", 0, 1, self.random.choice([9004, 9007, 4012, 8304, 4000]))]

    def somebody(self, id: str = "") -> None:
        """Somebody edits another field than ours, deletes, or brings back from the page's bin."""
        rows = self.state.rows("SELECT * FROM records WHERE entry_id = ? ORDER BY data_id", self.entry)
        row = self.random.choice(rows)
        id = str(row["data_id"])
        self.tally.acts += 1
        self.acts[id] = self.clock.at
        if row["deleted"] is not None:
            if not row["purged"] and not self.restoring:
                self.state.run("UPDATE records SET deleted = NULL, deleter = NULL, updated = updated + 5 WHERE data_id = ?", id)
                self.state.event("data.record.recover", "operator", self.entry, id)
                self.state.touch(self.entry)
        elif self.random.random() < 0.7 or self.restoring:
            self.mails[id] = f"people{self.random.randrange(10**6)}@example.org"
            body = {**json.loads(row["body"]), self.mail: self.mails[id]}
            self.state.update(self.entry, id, body, "operator")
            self.state.run("UPDATE records SET updated = updated + 5 WHERE data_id = ?", id)
        else:
            self.state.delete(self.entry, id, "operator", to_bin=True)

    def going(self, ids: list[str]) -> None:
        """Before a deletion: what people did to the records longer ago than the window must have been seen."""
        if not self.quiet and self.random.random() < 10 * self.people:  # and somebody else may be faster
            id = self.random.choice(ids)
            self.acts[id] = self.clock.at
            self.state.delete(self.entry, id, "operator", to_bin=True)
        for id in ids:
            row = self.state.record(self.entry, id)
            seen = self.acts.get(id)
            old = seen is not None and seen < self.clock.at - WINDOW - (len(ids) - 1) * TICK  # looked at one after another
            if row is not None and old and json.loads(row["body"]).get(self.mail) != self.before[id].fields[self.mail]:
                self.lost.append("EDIT-LOST")

    def open(self, steps: StepLog) -> JiandaoyunWriter:
        """Return a writer on this company."""
        wire = HostileWire(self)
        return self.kind(JiandaoyunReader(self.profile, self.mapping, write=True, transport=wire, clock=self.clock), steps)

    def go(self) -> list[str]:
        """Work to the end, twice; return violations, and edits that were deleted unseen."""
        return [*super().go(), *self.lost]

    # the oracle -----------------------------------------------------------------------------------------------------

    def _trail(self, id: str) -> list[tuple[str, str]]:
        rows = self.state.rows("SELECT kind, actor FROM events WHERE data_id = ? ORDER BY n", id)
        return [(str(r["kind"]).rpartition(".")[2], str(r["actor"])) for r in rows]

    def _body(self, entry: str, id: str) -> dict[str, Any] | None:
        row = self.state.record(entry, id)
        return None if row is None else dict(json.loads(row["body"]))

    def judge(self, said: dict[int, str]) -> list[str]:
        found: list[str] = []
        for work in self.works:
            state, trail = said[work.seq], self._trail(work.id)
            last = next((x for x in reversed(trail) if x[0] in ("delete", "recover")), ("", ""))
            gone, ours = self._body(self.entry, work.id) is None, last == ("delete", "api")
            if state in OPEN:
                found.append(f"UNFINISHED {work.action}")
            elif state in DONE and not gone and work.id not in self.acts:
                found.append(f"FALSE-DONE {work.action} {trail}")
            elif state not in TAKEN and gone and ours:
                found.append(f"REPORTED-KEPT {work.action} {state} {trail}")
            elif state == "done" and ("delete", "api") not in trail:
                found.append(f"NOT-OURS {work.action} {trail}")
            deletes, backs = trail.count(("delete", "api")), trail.count(("recover", "operator"))
            if deletes > 1 + backs:
                found.append(f"DOUBLE {work.action} {trail}")
            if work.action == "merge_into":
                found += self._judge_merge(work, state)
        return found

    def _judge_merge(self, work: Work, state: str) -> list[str]:
        survivor, tickets = self.merges[work.id]
        moved = [t for t in tickets if (self._body(self.tickets, t) or {}).get(self.contact) == survivor]
        kept = self._body(self.entry, survivor) or {}
        job = self.company.widget("person", "职务")
        written = kept.get(job) == self.before[work.id].fields[job]
        if state in DONE and survivor not in self.acts and (len(moved) < len(tickets) or not written):
            return ["HALF-CALLED-DONE merge"]
        return ["HALF-NOT-SAID merge"] if state not in TAKEN and (moved or written) else []

    def judge_restore(self, states: dict[int, str], said: dict[int, str], journal: Journal) -> list[str]:
        found = [f"UNFINISHED restore {s}" for s in said.values() if s in OPEN]
        rows = self.state.rows("SELECT * FROM records WHERE entry_id = ? AND deleted IS NULL", self.entry)
        live = Counter(str(json.loads(r["body"]).get(self.name)) for r in rows)
        order = went(journal)
        for work in self.works:
            name = str(self.before[work.id].fields[self.name])
            if live[name] > 1:
                found.append(f"TWICE {work.action} {self._trail(work.id)}")
            if states[work.seq] not in TAKEN:
                continue
            outcome = said[order.index(work.seq)]
            now = journal.new_id("person", work.id) or work.id
            body = self._body(self.entry, now)
            if outcome in DONE and body is None and now not in self.acts:
                found.append(f"FALSE-BACK {work.action}")
            people = any(i in self.acts for i in (work.id, work.target, now)) or self.acts
            if outcome not in DONE and not people:
                found.append(f"NOT-BACK {work.action} {outcome}")
            if outcome in DONE and body is not None and now not in self.acts and work.id not in self.acts:
                wrong = [
                    n for n, v in self.before[work.id].fields.items() if n.startswith("_widget") and v and body.get(n) != v
                ]
                found += [f"NOT-AS-IT-WAS {work.action} {wrong}"] if wrong else []
            if work.action == "merge_into" and outcome in DONE and states[work.seq] in DONE and not self.acts:
                tickets = self.merges[work.id][1]
                found += ["LINK-NOT-BACK" for t in tickets if (self._body(self.tickets, t) or {}).get(self.contact) != now]
        for id, mail in self.mails.items():
            body = self._body(self.entry, id)
            if body is not None and body.get(self.mail) != mail:
                found.append("EDIT-WRITTEN-OVER")
        return found


def loop(
    company: Company,
    state: State,
    seeds: range,
    *,
    kind: type[JiandaoyunWriter] = JiandaoyunWriter,
    people: Sequence[float] = (0.0, 0.02, 0.05),
) -> Tally:
    """Run once for each seed; every other with deletions in batches.

    Parameters
    ----------
    people : sequence of float
        How likely somebody acts between two calls, by turns.
    """
    tally = Tally()
    mapping = company.mapping(members=False)
    for seed in seeds:
        # Whether a form is read again depends on the hour; here it always is, so that a seed is a run.
        chosen = {"delete_by": ("one", "batch")[seed % 2], "absence": ("asked", "page")[seed // 2 % 2], "unmoved": "read"}
        chosen["lists"] = ("lag", "current")[seed // 4 % 2]
        profile = company.profile(**chosen)
        run = Run(company, state, mapping, profile, kind, seed=seed, tally=tally, people=people[seed % len(people)])
        tally.violations += [(seed, v) for v in run.go()]
        tally.runs += 1
    return tally


# sabotage ------------------------------------------------------------------------------------------------------------


class KeyAlone(JiandaoyunWriter):
    """Looks for no record that may have been made: no defect, for the vendor knows our key."""

    def _state_of_insert(self, step: Step, manifest: str) -> tuple[str, str | None, str | None]:
        return ("made", None, step.became) if step.became else ("open", None, None)


class MakesAgain(KeyAlone):
    """Neither looks nor keeps to its key."""

    def _key(self) -> str:
        return str(random.random())

    def _found(self, *words: Any) -> None:
        return None


class TrustsTheCount(JiandaoyunWriter):
    """Takes every batch for done that answers at all."""

    def _batch(self, entry: Any, records: Any) -> Any:
        from steward.executor.ports import Answer, Result

        super()._batch(entry, records)
        return {r.key.id: Result(Answer.DONE) for r in records}


class NeverLooksAgain(JiandaoyunWriter):
    """Compares nothing before a call."""

    def _compare(self, effect: Any) -> None:
        return None


class ForgetsTheHalf(JiandaoyunWriter):
    """Says of merges that stopped in their middle that they are for later."""

    def _let_go(self, ready: Any, manifest: str) -> Any:
        from steward.executor.ports import Answer, Result

        said = super()._let_go(ready, manifest)
        return {w.seq: Result(Answer.LATER) for unit, _ in ready for w in unit.works} | said


SABOTAGE = (MakesAgain, NeverLooksAgain, ForgetsTheHalf, TrustsTheCount)
