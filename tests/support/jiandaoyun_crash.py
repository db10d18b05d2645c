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
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import apsw
import httpx

from steward.crm.jiandaoyun import JiandaoyunReader
from steward.crm.mapping import Mapping
from steward.crm.profiles import Profile
from steward.errors import StewardError
from steward.executor.audit import AuditLog
from steward.executor.backup import BackupReader
from steward.executor.brakes import Brakes
from steward.executor.engine import Engine
from steward.executor.journal import Journal, prepare
from steward.executor.plan import LiveDecider
from steward.executor.ports import Decider, Work
from steward.executor.restore import FrameEffects, RestoreDecider
from steward.executor.steps import Step, StepLog
from steward.executor.writers.jiandaoyun import JiandaoyunWriter
from steward.executor.writers.vendor import FRESH_SECONDS
from steward.manifest.chunks import ids_digest
from steward.manifest.format import RelatedSet, Survivor
from steward.records import Record
from steward.sandbox.jiandaoyun.gate import Refused
from steward.sandbox.jiandaoyun.state import Fault, State
from steward.sandbox.jiandaoyun.values import taken
from tests.support.crash import _OPS, MANIFEST, RECIPIENTS
from tests.support.jiandaoyun_company import Company
from tests.support.powercut import MemoryDisk, MemoryFiles, MemoryVfs, PowerCut
from tests.support.signing import signer
from tests.support.vendor_crash import RESTORE

TICK = 1.5
"""Seconds of the wire's clock that a call takes."""
WINDOW = FRESH_SECONDS + 3 * TICK
DONE = ("done", "done_inferred")
TAKEN = (*DONE, "partly")
_FAULTS = ("cut_before", "cut_after", "http_429", "http_502", "late", "code")


@dataclass
class Tally:
    """What a loop came to."""

    runs: int = 0
    cuts: int = 0
    calls: int = 0
    acts: int = 0
    states: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    violations: list[tuple[int, str]] = field(default_factory=list)


class HostileClock:
    """Waiting takes no time, and lets calls that were held back take effect: none lives longer than we wait for it."""

    def __init__(self, run: Run) -> None:
        self.run, self.at = run, 0.0

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds
        if seconds >= 60:
            self.run.late()


class HostileWire(httpx.BaseTransport):
    """Every call passes here."""

    def __init__(self, run: Run) -> None:
        self.run, self.inner = run, httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        run, rng = self.run, self.run.random
        run.step()
        run.tally.calls += 1
        run.clock.at += TICK
        path = request.url.path.rpartition("/")[2]
        writes = path in ("update", "delete", "batch_create", "batch_delete")
        if path in ("delete", "batch_delete"):
            body = json.loads(request.content)
            run.going([body["data_id"]] if path == "delete" else body["data_ids"])
        run.state.faults.clear()
        if not run.quiet and rng.random() < (0.25 if writes else 0.02):
            kind = rng.choice([*_FAULTS, "cut_half"] if writes else ["cut_before", "cut_after", "http_429", "http_502"])
            run.tally.faults[kind] += 1
            run.state.faults[:] = [Fault(kind, "", 0, 1, rng.choice([9004, 9007, 4012, 8304, 4000]))]
        response = self.inner.handle_request(request)
        try:
            body_back = response.read()
        finally:
            response.close()
        run.step()
        headers = [(n, v) for n, v in response.headers.raw if n.lower() not in (b"content-length", b"transfer-encoding")]
        return httpx.Response(response.status_code, headers=headers, content=body_back)

    def close(self) -> None:
        self.inner.close()


@dataclass
class Run:
    """One company that is worked on until the end."""

    seed: int
    company: Company
    state: State
    mapping: Mapping
    profile: Profile
    tally: Tally
    kind: type[JiandaoyunWriter] = JiandaoyunWriter
    people: float = 0.02
    quiet: bool = False
    left: int = -1
    files: MemoryFiles = field(default_factory=MemoryFiles)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.clock = HostileClock(self)
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
        self.works: list[Work] = []
        job = self.company.widget("person", "职务")
        for loser, (survivor, tickets) in self.merges.items():
            row, kept = self.before[loser], self.before[survivor]
            moved = RelatedSet(
                object="ticket", field=self.contact, rule="move", target=None, count=len(tickets), digest=ids_digest(tickets)
            )
            self.works.append(
                Work(
                    len(self.works), "person", loser, "merge_into", survivor, row.version, row.digest,
                    Survivor(version=kept.version, preimage=kept.digest), {job: loser}, (moved,) if tickets else (), f"person>{survivor}",
                )
            )  # fmt: skip
        for id in deletes:
            row = self.before[id]
            self.works.append(Work(len(self.works), "person", id, "hard_delete", None, row.version, row.digest))

    # what happens in between ----------------------------------------------------------------------------------------

    def late(self) -> None:
        """Let calls that were held back take effect."""
        while self.state.held:
            with contextlib.suppress(Refused):
                self.state.held.pop(0)()

    def step(self) -> None:
        """Just before and after a call."""
        if self.files.dead:
            raise PowerCut
        self.left -= 1
        if self.left == 0:
            self.files.cut()
            raise PowerCut
        if not self.quiet and self.random.random() < self.people:
            self._somebody()

    def _somebody(self) -> None:
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

    restoring = False

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

    # executors ------------------------------------------------------------------------------------------------------

    def go(self) -> list[str]:
        """Work to the end, twice; return violations."""
        found: list[str] = []
        states: dict[int, str] = {}
        for manifest in (MANIFEST, RESTORE):
            self.restoring = manifest == RESTORE
            cuts = self.random.randint(0, 3)
            for attempt in range(60):
                self.quiet = attempt > 12
                self.left = self.random.randint(1, 150) if attempt < cuts else -1
                if self._boot(manifest):
                    break
                if self.files.dead:
                    self.tally.cuts += 1
                    self.files = self.files.after_cut(self.random)
                else:
                    self.files = self.files.reopened()
            else:
                return [*found, f"NEVER-ENDS {manifest}"]
            self.late()
            self.files = self.files.reopened()
            db = MemoryVfs(self.files).open()
            journal = Journal(db)
            said = {row[0]: row[5] for row in journal.outcomes(manifest)}
            self.tally.states.update(f"{manifest[-7:]} {s}" for s in said.values())
            found += self._judge_restore(states, said, journal) if self.restoring else self._judge(said)
            states = states or said
            db.close()
            self.files = self.files.reopened()
        return [*found, *self.lost]

    def _boot(self, manifest: str) -> bool:
        db: Any = None
        writer: JiandaoyunWriter | None = None
        try:
            db = MemoryVfs(self.files).open()
            prepare(db)
            journal, disk = Journal(db), MemoryDisk(self.files)
            reader = JiandaoyunReader(self.profile, self.mapping, write=True, transport=HostileWire(self), clock=self.clock)
            writer = self.kind(reader, StepLog(db))
            decider: Decider
            works = list(self.works)
            if manifest == MANIFEST:
                decider = LiveDecider(
                    writer, self.mapping, "steward-executor", self.clock.now, {}, vetoed=frozenset, held=frozenset, privacy=True,
                    pending=lambda key: journal.is_open(manifest, key.object, key.id),
                )  # fmt: skip
            else:
                works = [
                    Work(n, "person", self.works[of].id, "restore", unit=self.works[of].unit, of_seq=of)
                    for n, of in enumerate(self._order(journal))
                ]
                backup = FrameEffects(journal, BackupReader(disk, [_OPS]), MANIFEST)  # type: ignore[arg-type]  # an identity
                decider = RestoreDecider(writer, self.mapping, backup, journal.new_id)
            if journal.manifest(manifest) is None:
                journal.receive(
                    manifest, "d" * 64, works, kind="restore" if self.restoring else "deletion", at=datetime.now(UTC).isoformat(), retain_days=90,
                )  # fmt: skip
            Engine(
                manifest, journal, disk, RECIPIENTS, writer, decider, AuditLog(journal, signer("machine"), origin="t/machine"),
                Brakes(1_000, overridden=True), lambda n: None, self.clock, batch=4,
            ).run()  # fmt: skip
            return True
        except (PowerCut, StewardError, apsw.Error, OSError):
            return False
        finally:
            self.left = -1
            if writer is not None:
                writer.close()
            if db is not None:
                with contextlib.suppress(PowerCut, apsw.Error, OSError):
                    db.close(True) if self.files.dead else db.close()

    @staticmethod
    def _order(journal: Journal) -> list[int]:
        return [row[0] for row in reversed(list(journal.outcomes(MANIFEST))) if row[5] in TAKEN]

    # the oracle -----------------------------------------------------------------------------------------------------

    def _trail(self, id: str) -> list[tuple[str, str]]:
        rows = self.state.rows("SELECT kind, actor FROM events WHERE data_id = ? ORDER BY n", id)
        return [(str(r["kind"]).rpartition(".")[2], str(r["actor"])) for r in rows]

    def _body(self, entry: str, id: str) -> dict[str, Any] | None:
        row = self.state.record(entry, id)
        return None if row is None else dict(json.loads(row["body"]))

    def _judge(self, said: dict[int, str]) -> list[str]:
        found: list[str] = []
        for work in self.works:
            state, trail = said[work.seq], self._trail(work.id)
            last = next((x for x in reversed(trail) if x[0] in ("delete", "recover")), ("", ""))
            gone, ours = self._body(self.entry, work.id) is None, last == ("delete", "api")
            if state not in TAKEN and state in ("pending", "intent", "doubt"):
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

    def _judge_restore(self, states: dict[int, str], said: dict[int, str], journal: Journal) -> list[str]:
        found = [f"UNFINISHED restore {s}" for s in said.values() if s in ("pending", "intent", "doubt")]
        rows = self.state.rows("SELECT * FROM records WHERE entry_id = ? AND deleted IS NULL", self.entry)
        live = Counter(str(json.loads(r["body"]).get(self.name)) for r in rows)
        order = self._order(journal)
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
        run = Run(seed, company, state, mapping, profile, tally, kind=kind, people=people[seed % len(people)])
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
