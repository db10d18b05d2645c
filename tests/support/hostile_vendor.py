"""A vendor's CRM without transactions that does to a program what such a CRM may: the multi-step changes' worst enemy.

Contacts, and deals that refer to them. One call changes one record. Calls are throttled, fail, time out without being
applied, after it, or are applied later; between any two calls people edit, relink, delete and restore. Every write of the
executor is compared with the backup on the disk at that moment. What people did is remembered, and at the end the oracle
says whether anything of it was lost, whether something was done twice, and whether what is reported is what is there.

:class:`HostileVendorWriter` is the real base of vendors' writers over it. Variants: a recycle bin that shows its records,
one that hides them, none at all.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from steward.crm.base import Capabilities
from steward.crm.mapping import ObjectMapping, parse_mapping
from steward.errors import OutcomeUnknownError, ThrottledError, UnavailableError
from steward.executor.ports import Answer, Hook, Result
from steward.executor.steps import StepLog
from steward.executor.writers.vendor import Refused, VendorWriter
from steward.records import Absent, Fields, Link, Record, RecordKey, canonical_text
from tests.support.hostile_crm import ME, Backed

WINDOW = 10
Bin = Literal["shows", "hides", "none"]
MAPPING = parse_mapping(
    'format = "steward-mapping/1"\nsystem = "hostile"\ntenant = "t"\nenvironment = "e"\n'
    '[objects.contact]\nkey = "id"\nversion = "version"\n'
    '[objects.deal]\nkey = "id"\nversion = "version"\nparents = { contact = "contact" }\non_delete = { contact = "detach" }\n'
)


@dataclass
class Row:
    """A record in the CRM."""

    fields: dict[str, str | None]
    deleted: bool = False
    by: str | None = None
    made_by: str = "human"


@dataclass
class HostileVendor:
    """The server's side; ``handle`` answers one call."""

    seed: int
    bin: Bin = "shows"
    faults: float = 0.2
    people: float = 0.04
    backed: Backed = lambda id, digest: "equal"
    on_step: Callable[[str], None] = lambda name: None
    rows: dict[RecordKey, Row] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    touched: set[RecordKey] = field(default_factory=set)
    taken_once: set[RecordKey] = field(default_factory=set)
    looked: dict[RecordKey, int] = field(default_factory=dict)
    edited: dict[tuple[RecordKey, str], tuple[int, str | None]] = field(default_factory=dict)
    left: dict[tuple[RecordKey, str], str | None] = field(default_factory=dict)
    ours: dict[RecordKey, list[str]] = field(default_factory=dict)
    late: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    windows: int = 0
    writes: int = 0
    steps: int = 0
    quiet: bool = False
    restoring: bool = False

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def add(self, object: str, id: str, **fields: str | None) -> RecordKey:
        """Put a record there."""
        key = RecordKey(object, id)
        self.rows[key] = Row({"id": id, "version": "1", **fields})
        return key

    def record(self, key: RecordKey) -> Record:
        """As a reader gives it."""
        row = self.rows[key]
        return Record(key, dict(row.fields), row.fields["version"], row.deleted, row.by)

    def handle(self, request: dict[str, Any]) -> Any:
        """Answer a call; None means that the connection breaks without an answer."""
        self._time_passes()
        op = request["op"]
        if op == "tick":
            while self.late:
                self._apply(self.late.pop(0)[1])
            return {}
        if op in ("get", "children", "made"):
            return getattr(self, f"_{op}")(**{n: v for n, v in request.items() if n != "op"})
        return self._write(request)

    # people -----------------------------------------------------------------------------------------------------

    def _time_passes(self) -> None:
        self.steps += 1
        self.late = [(n - 1, r) for n, r in self.late]
        while self.late and self.late[0][0] <= 0:
            self._apply(self.late.pop(0)[1])
        if self.quiet or self.random.random() >= self.people:
            return
        key = self.random.choice(list(self.rows))
        row = self.rows[key]
        self.touched.add(key)
        what = self.random.random()
        if row.deleted:
            if self.bin != "none":
                row.deleted, row.by = False, None
        elif what < 0.5:
            name = self.random.choice(("text", "city"))
            row.fields[name] = f"People {self.random.random()}"
            self.edited[key, name] = (self.steps, row.fields[name])
        elif what < 0.75 and key.object == "deal":
            others = [k.id for k, r in self.rows.items() if k.object == "contact" and not r.deleted]
            others = [i for i in others if i not in (row.fields["contact"], f"l{key.id[1]}")]  # what it was is no edit
            row.fields["contact"] = self.random.choice([*others, None])
            self.edited[key, "contact"] = (self.steps, row.fields["contact"])
        else:
            row.deleted, row.by = True, "human"
            self.taken_once.add(key)
        self._bump(row)

    @staticmethod
    def _bump(row: Row) -> None:
        row.fields["version"] = str(int(row.fields["version"] or 0) + 1)

    # reading ----------------------------------------------------------------------------------------------------

    def _get(self, keys: Sequence[RecordKey]) -> Any:
        if not self.quiet and self.random.random() < 0.02:
            return None
        found: dict[RecordKey, Record | Absent] = {}
        for key in keys:
            if not self.quiet and self.random.random() < 0.01:
                continue  # no clear answer
            row = self.rows.get(key)
            self.looked[key] = self.steps
            if row is None or (row.deleted and self.bin == "none"):
                found[key] = Absent(key, "404")
            elif row.deleted and self.bin == "hides":
                found[key] = Absent(key, "in the bin", row.by, binned=True)
            else:
                found[key] = self.record(key)
        return found

    def _children(self, object: str, ids: Sequence[str]) -> Any:
        return sorted(
            (
                Link(k, "contact", RecordKey("contact", str(r.fields["contact"])))
                for k, r in self.rows.items()
                if object == "contact" and k.object == "deal" and not r.deleted and r.fields["contact"] in ids
            ),
            key=lambda link: (link.parent, link.child),
        )

    def _made(self, object: str) -> Any:
        return [self.record(k) for k, r in self.rows.items() if k.object == object and r.made_by == ME and not r.deleted]

    # writing ----------------------------------------------------------------------------------------------------

    def _write(self, request: dict[str, Any]) -> Any:
        looked = self.looked.get(request["key"], -1)
        # Whoever looks directly before the call has a window of some calls; what was read before that is long ago.
        request["looked"] = looked if self.steps - looked <= WINDOW else self.steps - 1
        fault = ""
        if not self.quiet and self.random.random() < self.faults:
            fault = self.random.choice(["429", "500", "lost", "applied", "late", "refused"])
        if fault in ("429", "500", "refused"):
            return {"error": fault}
        if fault == "lost":
            return None
        if fault == "late":
            self.late.append((self.random.randint(1, 4), request))
            return None
        self.on_step("crm.before")
        answer = self._apply(request)
        self.on_step("crm.after")
        return None if fault == "applied" else answer

    def _apply(self, request: dict[str, Any]) -> dict[str, Any]:
        op, key = request["op"], request["key"]
        row = self.rows.get(key)
        if op == "insert":
            new = RecordKey(key.object, f"n{len(self.rows):03d}")
            self.rows[new] = Row({**request["fields"], "id": new.id, "version": "1"}, made_by=ME)
            self.ours.setdefault(key, []).append("insert")
            return {"id": new.id}
        if row is None or (row.deleted and op != "unbin"):
            return {"absent": True}
        if op == "unbin":
            if not row.deleted:
                return {}
            if row.by != ME:
                self.violations.append(f"RESURRECTED {key}")
            row.deleted, row.by = False, None
            self.ours.setdefault(key, []).append("unbin")
            self._bump(row)
            return {}
        self._look_at_backup(key)
        self.writes += 1
        if op == "update":
            for name, value in request["changes"].items():
                at, said = self.edited.get((key, name), (-1, None))
                same = said == self.left.get((key, name)) or (name == "contact" and said == f"s{key.id[1]}")
                if row.fields.get(name) == said and at > 0 and value != said and not same:  # they did what we would have done
                    if at <= request["looked"]:
                        self.violations.append(f"EDIT-LOST {key} {name}")
                    else:
                        self.windows += 1  # between the last look and the call: no vendor's call can be conditional
                row.fields[name] = self.left[key, name] = value
        else:
            lost = [at for (k, name), (at, said) in self.edited.items() if k == key and row.fields.get(name) == said]
            if lost and min(lost) <= request["looked"]:
                self.violations.append(f"EDIT-LOST {key}")
            self.windows += bool(lost)
            row.deleted, row.by = True, ME
        self.ours.setdefault(key, []).append(op)
        self._bump(row)
        return {}

    def _look_at_backup(self, key: RecordKey) -> None:
        if not self.restoring and self.backed(key.id, self.record(key).digest) == "none":
            self.violations.append(f"UNBACKED {key}")


@dataclass
class _Clock:
    """Waiting is told to the CRM."""

    call: Callable[[dict[str, Any]], Any]
    at: float = 0.0

    def monotonic(self) -> float:
        self.at += 0.3  # what was read some calls ago is read again
        return self.at

    def sleep(self, seconds: float) -> None:
        self.call({"op": "tick"})


@dataclass
class _Wire:
    clock: _Clock


class HostileReader:
    """What a writer needs of a vendor's reader."""

    def __init__(self, call: Callable[[dict[str, Any]], Any], bin: Bin) -> None:
        self.call, self.mapping, self.wire = call, MAPPING, _Wire(_Clock(call))
        self.capabilities = Capabilities(
            "hostile", recycle_bin=bin != "none", restore_keeps_id=bin != "none", restore_moves_version=True,
            tells_who_deleted=bin != "none", per_id_result=True, batch_size=6, request_lifetime=1.0,
        )  # fmt: skip

    def ask(self, **request: Any) -> Any:
        for _ in range(30):
            answer = self.call(request)
            if answer is not None:
                return answer
        raise UnavailableError("no answer")

    def fetch(self, object: str, ids: Sequence[str]) -> Mapping[str, Record | Absent]:
        return {k.id: r for k, r in self.ask(op="get", keys=[RecordKey(object, i) for i in ids]).items()}

    def children(self, object: str, ids: Sequence[str]) -> Sequence[Link]:
        found: Sequence[Link] = self.ask(op="children", object=object, ids=list(ids))
        return found

    def hidden(self, object: str, ids: Sequence[str]) -> Sequence[Link]:
        return ()

    def count(self, object: str) -> int:
        return 0

    def untouchable(self, record: Record) -> str:
        return ""

    def close(self) -> None: ...


class HostileVendorWriter(VendorWriter):
    """The base of vendors' writers over the hostile vendor."""

    def __init__(self, call: Callable[[dict[str, Any]], Any], steps: StepLog, *, bin: Bin, hook: Hook) -> None:
        super().__init__(HostileReader(call, bin), steps, hook=hook)  # type: ignore[arg-type]  # what is needed of a reader
        self._call_vendor, self._bin = call, bin

    @property
    def me(self) -> str:
        return "" if self._bin == "none" else ME

    def writable(self, entry: ObjectMapping, *, create: bool) -> frozenset[str]:
        return frozenset({"text", "city", "contact"}) if entry.name == "deal" else frozenset({"text", "city"})

    def _ask(self, **request: Any) -> dict[str, Any]:
        answer = self._call_vendor(request)
        if answer is None or answer.get("error") == "500":
            raise OutcomeUnknownError("no answer")
        if answer.get("error") == "429":
            raise ThrottledError("429", retry_after=0.0)
        if answer.get("error") == "refused":
            raise Refused("busy")
        assert isinstance(answer, dict)
        return answer

    def send_update(self, entry: ObjectMapping, record: Record, changes: Fields) -> None:
        if self._ask(op="update", key=record.key, changes=dict(changes)).get("absent"):
            raise Refused("absent", Answer.ABSENT)

    def send_delete(self, entry: ObjectMapping, records: Sequence[Record], op: str) -> Mapping[str, Result]:
        said: dict[str, Result] = {}
        for record in records:
            try:
                answer = self._ask(op="delete", key=record.key)
            except Refused as stop:
                said[record.key.id] = Result(stop.answer, stop.code)
                continue
            except (OutcomeUnknownError, ThrottledError):
                if not said:
                    raise
                break  # the rest has no answer
            if not answer.get("absent"):  # an explicit absence may be our own earlier call: reading decides
                said[record.key.id] = Result(Answer.DONE)
        return said

    def send_unbin(self, entry: ObjectMapping, id: str) -> None:
        self._ask(op="unbin", key=RecordKey(entry.name, id))

    def send_insert(self, entry: ObjectMapping, fields: Fields) -> str:
        return str(self._ask(op="insert", key=RecordKey(entry.name, "?"), fields=dict(fields))["id"])

    def made_since(self, entry: ObjectMapping, since: datetime) -> Iterable[Record]:
        found: list[Record] = self.reader.ask(op="made", object=entry.name)  # type: ignore[attr-defined]  # ours
        return found


def text_of(row: Row, name: str) -> str | None:
    """A field as text."""
    return canonical_text(row.fields.get(name))
