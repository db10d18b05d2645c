"""Power cuts, faults and people while Copper's real writer works over real HTTP against its sandbox.

Each run is one account, one journal and one backup on a disk that loses unsynced bytes. Before and after every call the
machine may die, people may edit, delete, take our tag away and add deals, and the call itself may be throttled, cut off before
it works, after it, or take effect later. Executors are started until one comes to its end, first with the deletion, then with
the restore; then the sandbox's own records are compared with what the journal says.

Copper takes no condition and shows nothing of what it deleted. What people do between the last look at a record and its
``DELETE``, or while a call of ours is still on its way, is therefore not held against the writer; everything else is.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from steward.errors import OutcomeUnknownError
from steward.executor.journal import Journal
from steward.executor.ports import Answer, Result, Work
from steward.executor.steps import Step, StepLog
from steward.executor.writers.copper import CopperWriter
from steward.executor.writers.vendor_look import VendorLook
from steward.records import Record, RecordKey
from steward.sandbox.copper.switches import Fault, Switches
from tests.support.copper_sandbox import Sandbox
from tests.support.vendor_machine import DONE, OPEN, TAKEN, HostileWire, LateClock, Machine, Tally, merge, moves, removal, went
from tests.support.writer_copper import MARK, mapping, open_reader, writes

FAULTS = ("429", "500", "cut_before", "cut_after", "late")
STILL = frozenset({"id", "date_created", "date_modified", "company_name", "interaction_count", "date_last_contacted"})


@dataclass
class Run(Machine):
    """One account that is worked on until the end."""

    box: Sandbox
    kind: type[CopperWriter] = CopperWriter
    on_its_way: set[str] = field(default_factory=set)
    touched: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)
    excused: set[str] = field(default_factory=set)
    edits: dict[str, str] = field(default_factory=dict)

    steps_between_cuts = 160
    steps_after_loss = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.soft = self.seed % 2 == 0
        self.mapping = mapping(soft=self.soft)
        self.clock = LateClock(self.late)
        state = self.state = self.box.state
        state.switches, state.faults[:], state.late[:] = Switches(per_minute=1_000_000), [], []
        choice = self.random.choice
        state.switches.turn({"second_delete": choice(["404", "200"]), "rate_body": choice(["empty", "envelope"]),
                             "keep_given_dates": choice([True, False]), "custom_fields": choice(["merge", "replace"])})  # fmt: skip
        for table in ("record", "gone", "relation", "link", "file"):  # what the run before left is nobody's here
            state.query(f"DELETE FROM {table}" + (" WHERE kind != 'users'" if table == "record" else ""))
        self._cases()

    # the scene ----------------------------------------------------------------------------------------------------

    def _new(self, kind: str, **fields: Any) -> str:
        answer = self.box.call("POST", f"/{kind}", fields)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def _person(self, name: str) -> str:
        mail = {"email": f"{name.replace(' ', '')}@crash.example", "category": "work"}
        return self._new("people", name=name, title=name, details="as it was", emails=[mail], tags=["a", "b"],
                         custom_fields=[{"custom_field_definition_id": 2, "value": True}, {"custom_field_definition_id": 3, "value": 31}])  # fmt: skip

    def _cases(self) -> None:
        self.merges: dict[str, tuple[str, list[tuple[str, str]]]] = {}
        for n in range(2):
            loser, survivor = self._person(f"Loser {n}"), self._person(f"Survivor {n}")
            parent = {"id": int(loser), "type": "person"}
            children = [("opportunities", self._new("opportunities", name=f"Deal {i}", primary_contact_id=int(loser)))
                        for i in range(self.random.randint(0, 2))]  # fmt: skip
            if self.random.random() < 0.5:
                children.append(
                    ("activities", self._new("activities", parent=parent, type={"id": 0, "category": "user"}, details="n"))
                )
            self.merges[loser] = (survivor, children)
        self.deletes = [self._person(f"Gone {n}") for n in range(3)]
        ids = [*self.merges, *(s for s, _ in self.merges.values()), *self.deletes]
        look = VendorLook(open_reader(self.box, self.mapping))
        try:
            keys = [RecordKey("contact", i) for i in ids]
            reading = look.read(keys, links_of=keys)
        finally:
            look.close()
        self.before = {k.id: r for k, r in reading.records.items() if isinstance(r, Record) and k.object == "contact"}
        takes = not self.soft and self.random.random() < 0.5
        for loser, (survivor, _) in self.merges.items():
            row, kept = self.before[loser], self.before[survivor]
            places: dict[tuple[str, str], list[str]] = {}
            for link in reading.links.get(row.key, ()):
                places.setdefault((link.child.object, link.field), []).append(link.child.id)
            related = tuple(r for (o, f), i in sorted(places.items()) for r in moves(o, f, i))
            choices = dict.fromkeys(("title", *(("emails", "email") if takes else ())), loser)
            self.works.append(merge(len(self.works), row, kept, choices, related))
        for id in self.deletes:
            self.works.append(removal(len(self.works), self.before[id], "soft_delete" if self.soft else "hard_delete"))

    # what happens in between ----------------------------------------------------------------------------------------

    def late(self) -> None:
        """Let calls that were held back take effect."""
        self.box.control("late")
        self.on_its_way.clear()

    def before_call(self, request: httpx.Request) -> None:
        """Step; between the last look at a record and its deletion nobody acts."""
        path = request.url.path.removeprefix("/developer_api/v1")
        changes = writes(request.method, path)
        self.step(alone=request.method == "DELETE")
        if path.endswith("/files"):
            self.at_it(path.split("/")[2])
        self.tally.calls += 1
        self.clock.at += 0.33
        self.box.state.faults.clear()
        if not self.quiet and self.random.random() < (0.25 if changes else 0.02):
            kind = self.random.choice(FAULTS if changes else ("429", "500", "cut_before"))
            self.tally.faults[kind] += 1
            self.box.state.faults.append(Fault(kind))
            if kind == "late":
                self.on_its_way.add(path)

    def at_it(self, id: str) -> None:
        """Before the last look at a record that is about to go: somebody works on just that one."""
        if not self.quiet and id in self.before and self.random.random() < 6 * self.people:
            self.somebody(id)

    def somebody(self, id: str = "") -> None:
        """Somebody edits another field than ours, deletes, takes a tag away, or adds a deal."""
        id = id or self.random.choice(list(self.before))
        row = self.state.get("people", int(id))
        if row is None:
            return
        self.tally.acts += 1
        self.touched.add(id)
        if f"/people/{id}" in self.on_its_way:
            self.excused.add(id)
        what = self.random.random()
        if what < 0.6 or self.restoring:
            self.edits[id] = f"edited {self.random.randrange(10**6)}"
            self.state.change("people", int(id), {"details": self.edits[id]})
        elif what < 0.75:
            self.box.control("remove", {"kind": "people", "id": int(id)})
            self.dropped.add(id)
        elif what < 0.85 and MARK in row["tags"]:
            self.state.change("people", int(id), {"tags": [t for t in row["tags"] if t != MARK]})
        else:
            self._new("opportunities", name="New deal", primary_contact_id=int(id))

    def open(self, steps: StepLog) -> CopperWriter:
        """Return a writer on this account."""
        return self.kind(open_reader(self.box, self.mapping, transport=HostileWire(self), clock=self.clock), steps)

    # the oracle -----------------------------------------------------------------------------------------------------

    def judge(self, said: dict[int, str]) -> list[str]:
        found: list[str] = []
        for work in self.works:
            state, id = said[work.seq], work.id
            row = self.state.get("people", int(id))
            marked = row is not None and MARK in row["tags"]
            gone = marked if self.soft else row is None and id not in self.dropped
            if state in OPEN:
                found.append(f"UNFINISHED {work.action}")
            elif (state in DONE and row is not None and not marked and id not in self.touched) or (
                state in DONE and not self.soft and row is not None
            ):
                found.append(f"FALSE-DONE {work.action}")
            elif state not in TAKEN and gone:
                found.append(f"REPORTED-KEPT {work.action} {state}")
            if work.action == "merge_into":
                found += self._judge_merge(work, state)
        return found + self._edits_lost()

    def _edits_lost(self) -> list[str]:
        found = []
        for id, text in self.edits.items():
            row = self.state.get("people", int(id))
            if row is not None and row["details"] != text:
                found.append("EDIT-WRITTEN-OVER")
            elif row is None and id not in self.dropped | self.excused:
                found.append("EDIT-LOST")
        return found

    def _place(self, kind: str, id: str) -> str:
        row = self.state.get(kind, int(id)) or {}
        at = row.get("primary_contact_id") if kind == "opportunities" else (row.get("parent") or {}).get("id")
        return str(at)

    def _judge_merge(self, work: Work, state: str) -> list[str]:
        survivor, children = self.merges[work.id]
        moved = [c for c in children if self._place(*c) == survivor]
        kept = self.state.get("people", int(survivor)) or {}
        written = kept.get("title") == self.before[work.id].fields["title"]
        people = {work.id, survivor} & self.touched
        if state in DONE and not people and (len(moved) < len(children) or not written):
            return ["HALF-CALLED-DONE merge"]
        return [f"HALF-NOT-SAID merge {state}"] if state not in TAKEN and (moved or written) else []

    def judge_restore(self, states: dict[int, str], said: dict[int, str], journal: Journal) -> list[str]:
        found = [f"UNFINISHED restore {s}" for s in said.values() if s in OPEN]
        live = Counter(str(row["name"]) for row in self.state.all("people"))
        order = went(journal)
        reader = open_reader(self.box, self.mapping)
        try:
            for work in self.works:
                if live[str(self.before[work.id].fields["name"])] > 1:
                    found.append(f"TWICE {work.action}")
                if states[work.seq] not in TAKEN:
                    continue
                outcome = said[order.index(work.seq)]
                now = journal.new_id("contact", work.id) or work.id
                row = reader.fetch("contact", [now]).get(now)
                people = {work.id, work.target, now} & (self.touched | self.dropped)
                if outcome in DONE and not isinstance(row, Record) and not people:
                    found.append(f"FALSE-BACK {work.action}")
                if outcome not in DONE and not people:
                    found.append(f"NOT-BACK {work.action} {outcome}")
                if outcome in DONE and isinstance(row, Record) and not people:
                    old, new = self.before[work.id].fields, row.fields
                    wrong = sorted(n for n in old if n not in STILL and old[n] != new.get(n))
                    found += [f"NOT-AS-IT-WAS {work.action} {wrong}"] if wrong or row.deleted else []
                if work.action == "merge_into" and outcome in DONE and states[work.seq] in DONE and not people:
                    found += ["LINK-NOT-BACK" for c in self.merges[work.id][1] if self._place(*c) != now]
        finally:
            reader.close()
        return found + self._edits_lost()


def loop(box: Sandbox, seeds: range, *, kind: type[CopperWriter] = CopperWriter) -> Tally:
    """Run once for each seed; every other with marks."""
    tally = Tally()
    for seed in seeds:
        run = Run(box, kind, seed=seed, tally=tally, people=(0.0, 0.02, 0.05)[seed % 3])
        tally.violations += [(seed, v) for v in run.go()]
        tally.runs += 1
    return tally


# sabotage -----------------------------------------------------------------------------------------------------------


class NeverLooksAgain(CopperWriter):
    """Compares nothing before a call."""

    def _compare(self, effect: Any) -> None:
        return None


class MakesAgain(CopperWriter):
    """Makes a record again without looking for it, nor for its address."""

    def _state_of_insert(self, step: Step, manifest: str) -> tuple[str, str | None, str | None]:
        return ("made", None, step.became) if step.became else ("open", None, None)

    def taken(self, *words: Any, **more: Any) -> bool:
        return False


class OwnTagsAlone(CopperWriter):
    """Sends its own tag without those there are."""

    def send_update(self, entry: Any, record: Record, changes: Any) -> None:
        super().send_update(entry, Record(record.key, {**record.fields, "tags": None}, record.version), changes)


class BelievesSilence(CopperWriter):
    """Takes a call without an answer for done."""

    def send_delete(self, entry: Any, records: Any, op: str) -> Any:
        try:
            return super().send_delete(entry, records, op)
        except OutcomeUnknownError:
            return {r.key.id: Result(Answer.DONE) for r in records}

    def settle(self, works: Any, *, manifest: str) -> Any:
        from steward.executor.ports import Settled

        return {w.seq: Settled("done") for w in works}


SABOTAGE: dict[str, type[CopperWriter]] = {
    "nothing is compared before a call": NeverLooksAgain, "a record is made again without looking": MakesAgain,
    "tags there are are not sent": OwnTagsAlone, "silence is taken for done": BelievesSilence,
}  # fmt: skip
