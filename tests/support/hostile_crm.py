"""A CRM that does everything a CRM may do to a program, and remembers what really happened.

It deletes to a recycle bin, batch-wise, with an answer per id. Requests are throttled, fail, time out without being
applied, after being applied, half applied, or are applied later; answers lack ids. Between any two requests people edit,
restore and delete. At the moment a delete is applied the oracle is asked whether an equal backup is on the disk.

:class:`HostileWriter` is the executor's side: a :class:`steward.executor.ports.Writer` over any ``call(request)``.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from steward.crm.base import Capabilities
from steward.errors import OutcomeUnknownError, ThrottledError, UnavailableError
from steward.executor.ports import Answer, Reading, Result, Settled, Unit, Work
from steward.records import Absent, Record, RecordKey, Scalar

ME = "steward-executor"
OBJECT = "contact"


@dataclass
class Row:
    """A record in the CRM."""

    fields: dict[str, str]
    version: int = 1
    deleted: bool = False
    by: str | None = None

    def record(self, id: str) -> Record:
        """As a reader gives it."""
        return Record(RecordKey(OBJECT, id), dict(self.fields), str(self.version), self.deleted, self.by)


Backed = Callable[[str, str], str]
"""``(id, digest)`` → ``equal`` (on disk), ``other`` (another state of it is), ``none``."""


@dataclass
class HostileCrm:
    """The server's side; ``handle`` answers one request."""

    seed: int
    size: int = 24
    conditional: bool = True
    faults: float = 0.3
    people: float = 0.05
    backed: Backed = lambda id, digest: "equal"
    on_step: Callable[[str], None] = lambda name: None
    rows: dict[str, Row] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    applied: dict[str, int] = field(default_factory=dict)
    put_backs: dict[str, int] = field(default_factory=dict)
    restored_by_people: set[str] = field(default_factory=set)
    touched_by_people: set[str] = field(default_factory=set)
    ever_absent: set[str] = field(default_factory=set)
    window: dict[str, str] = field(default_factory=dict)
    reviewed: dict[str, str] = field(default_factory=dict)
    late: list[tuple[int, list[tuple[str, str]]]] = field(default_factory=list)
    deletes: int = 0
    quiet: bool = False

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        for n in range(self.size):
            self.rows[f"{n:04d}"] = Row({"id": f"{n:04d}", "name": f"Name {self.random.random()}", "city": "Köln"})
            self.reviewed[f"{n:04d}"] = self.rows[f"{n:04d}"].record(f"{n:04d}").digest

    def handle(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """Answer a request; None means the connection breaks without an answer."""
        self._time_passes()
        op = request["op"]
        if op == "tick":  # the executor waited the longest life of a request
            while self.late:
                self._apply(self.late.pop(0)[1])
            return {}
        if op == "get":
            return self._get(request["ids"])
        if op == "delete":
            return self._delete([tuple(x) for x in request["ids"]])
        if op == "restore":
            return self._restore(request["id"])
        raise ValueError(op)

    def _time_passes(self) -> None:
        self.late = [(n - 1, ids) for n, ids in self.late]
        while self.late and self.late[0][0] <= 0:
            self._apply(self.late.pop(0)[1])
        if self.quiet or self.random.random() >= self.people:
            return
        id = self.random.choice(list(self.rows))
        row = self.rows[id]
        self.touched_by_people.add(id)
        if row.deleted:
            if row.by == ME:
                self.restored_by_people.add(id)
            row.deleted, row.by, row.version = False, None, row.version + 1
        elif self.random.random() < 0.5:
            row.fields["city"] = f"City {self.random.random()}"
            row.version += 1
        else:
            row.deleted, row.by, row.version = True, "human", row.version + 1
            self.ever_absent.add(id)

    def _fault(self) -> str:
        if self.quiet or self.random.random() >= self.faults:
            return ""
        return self.random.choice(["429", "500", "lost", "applied", "partly", "late", "silent"])

    def _get(self, ids: Sequence[str]) -> dict[str, Any] | None:
        fault = self._fault() if self.random.random() < 0.2 else ""
        if fault in ("429", "500"):
            return {"error": fault}
        if fault == "lost":
            return None
        found = []
        for id in ids:
            if fault == "silent" and self.random.random() < 0.3:
                continue
            row = self.rows.get(id)
            found.append({"id": id, "absent": True} if row is None else {"id": id, **row.__dict__})
        return {"records": found}

    def _delete(self, ids: list[tuple[str, str]]) -> dict[str, Any] | None:
        fault = self._fault()
        if fault == "429":
            return {"error": "429"}
        if fault in ("500", "lost"):
            return {"error": "500"} if fault == "500" else None
        if fault == "late":
            self.late.append((self.random.randint(1, 5), ids))
            return None
        if fault == "partly":
            ids = [x for x in ids if self.random.random() < 0.5]
        self.on_step("crm.before")
        answers = self._apply(ids)
        self.on_step("crm.after")
        if fault in ("applied", "partly"):
            return None
        if fault == "silent":
            answers = [a for a in answers if self.random.random() < 0.6]
        return {"answers": answers}

    def _apply(self, ids: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
        answers = []
        for id, version in ids:
            row = self.rows[id]
            if row.deleted:
                answers.append({"id": id, "result": "absent"})
                continue
            if self.conditional and str(row.version) != version:
                answers.append({"id": id, "result": "changed"})
                continue
            digest = row.record(id).digest
            backed = self.backed(id, digest)
            if backed == "none" or (self.conditional and backed != "equal"):
                self.violations.append(f"UNBACKED {id}")
            elif backed == "other":
                self.window[id] = digest
            if self.conditional and digest != self.reviewed[id]:
                self.violations.append(f"DRIFT-IGNORED {id}")
            if id in self.restored_by_people and self.conditional:
                self.violations.append(f"DOUBLE {id}")
            self.deletes += 1
            self.applied[id] = self.applied.get(id, 0) + 1
            row.deleted, row.by, row.version = True, ME, row.version + 1
            answers.append({"id": id, "result": "done"})
        return answers

    def _restore(self, id: str) -> dict[str, Any] | None:
        row = self.rows[id]
        if self._fault() in ("500", "lost"):
            return {"error": "500"}
        if row.deleted:
            if row.by != ME:
                self.violations.append(f"RESURRECTED {id}")
            row.deleted, row.by, row.version = False, None, row.version + 1
            self.put_backs[id] = self.put_backs.get(id, 0) + 1
        return {"restored": True}

    def judge(self, outcomes: Mapping[str, str]) -> list[str]:
        """Compare what the executor says at the end with what happened; return violations."""
        found = list(self.violations)
        if self.late:
            self._apply(self.late.pop(0)[1])
        for id, state in outcomes.items():
            row = self.rows[id]
            ours = self.applied.get(id, 0)
            gone_by_us = row.deleted and row.by == ME
            if state in ("done", "done_inferred"):
                if not ours:
                    found.append(f"FALSE-DONE {id}")
                elif ours - self.put_backs.get(id, 0) > 1:
                    found.append(f"DOUBLE {id}")
                if gone_by_us and row.record(id).digest != self.reviewed[id]:
                    found.append(f"EDIT-LOST {id}")
                if ours and ours == self.put_backs.get(id, 0):
                    found.append(f"FALSE-DONE {id}")
            elif state in ("pending", "intent", "doubt"):
                found.append(f"UNFINISHED {id}")
            else:
                if gone_by_us:
                    found.append(f"REPORTED-KEPT {id} ({state})")
                if state == "missing" and id not in self.ever_absent and not ours:
                    found.append(f"FALSE-MISSING {id}")
                if state == "drift" and id not in self.touched_by_people:
                    found.append(f"FALSE-DRIFT {id}")
        return found


Call = Callable[[dict[str, Any]], dict[str, Any] | None]


class HostileWriter:
    """The executor's writer for it."""

    def __init__(self, call: Call, *, conditional: bool) -> None:
        self._call = call
        self.capabilities = Capabilities(
            "hostile", conditional_delete=conditional, recycle_bin=True, restore_keeps_id=True, restore_moves_version=True,
            tells_who_deleted=True, per_id_result=True, batch_size=8, request_lifetime=1.0,
        )  # fmt: skip

    def _ask(self, **request: Any) -> dict[str, Any]:
        answer = self._call(request)
        if answer is None:
            raise OutcomeUnknownError("no answer")
        if answer.get("error") == "429":
            raise ThrottledError("429", retry_after=0.0)
        if "error" in answer:
            raise UnavailableError("500")
        return answer

    def read(self, keys: Sequence[RecordKey], *, links_of: Sequence[RecordKey] = ()) -> Reading:
        """Ask until there is an answer; an id without one stays unknown."""
        for _ in range(30):
            try:
                found = self._ask(op="get", ids=[k.id for k in keys])["records"]
                break
            except (OutcomeUnknownError, UnavailableError, ThrottledError):
                continue
        else:
            raise UnavailableError("no answer")
        records: dict[RecordKey, Record | Absent] = {}
        for row in found:
            key = RecordKey(OBJECT, row["id"])
            records[key] = (
                Absent(key, "404")
                if row.get("absent")
                else Row(row["fields"], row["version"], row["deleted"], row["by"]).record(row["id"])
            )
        return Reading(records)

    def value_for(self, object: str, field: str, text: str | None, now: datetime) -> Scalar:
        """Plain text."""
        return text

    def apply(self, units: Sequence[Unit], *, manifest: str, attempt: int) -> Mapping[int, Result]:
        """Send once."""
        by_id = {e.before.key.id: e.seq for u in units for e in u.effects}
        ids = [(e.before.key.id, str(e.before.version)) for u in units for e in u.effects]
        said = {"done": Answer.DONE, "absent": Answer.ABSENT, "changed": Answer.CHANGED}
        answers = self._ask(op="delete", ids=ids)["answers"]
        # An explicit "absent" may be our own earlier, late request: it is settled by reading, like everything unclear.
        return {by_id[a["id"]]: Result(said[a["result"]]) for a in answers if a["result"] != "absent"}

    def settle(self, works: Sequence[Work], *, manifest: str) -> Mapping[int, Settled]:
        """Look at records and recycle bin."""
        records = self.read([w.key for w in works]).records
        found: dict[int, Settled] = {}
        for work in works:
            record = records.get(work.key)
            if record is None:
                continue
            if isinstance(record, Absent):
                found[work.seq] = Settled("gone")
            elif not record.deleted:
                same = record.digest == work.preimage and record.version == work.version
                found[work.seq] = Settled("again" if same else "changed")
            elif record.deleted_by == ME:
                found[work.seq] = Settled("done" if record.digest == work.preimage else "edited", by=ME)
            else:
                found[work.seq] = Settled("gone", by=record.deleted_by)
        return found

    me = ME

    def moving(self, object: str) -> frozenset[str]:
        """Nothing moves by itself but the version, which is no field."""
        return frozenset()

    def go_on(self, units: Sequence[Unit], *, manifest: str) -> Mapping[int, Result]:
        """Units of one effect have no halves."""
        return {}

    def put_back(self, work: Work, *, manifest: str) -> bool:
        """Restore what we deleted, after looking once more whose deletion it is."""
        record = self.read([work.key]).records.get(work.key)
        if not isinstance(record, Record) or not record.deleted or record.deleted_by != ME:
            return False
        return bool(self._ask(op="restore", id=work.id).get("restored"))

    def count(self, object: str) -> int:
        """Nothing is counted here."""
        return 0

    def close(self) -> None:
        """Nothing to close."""


def plain(row: dict[str, Any]) -> bytes:
    """One request or answer as a line."""
    return json.dumps(row).encode() + b"\n"
