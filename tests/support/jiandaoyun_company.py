"""A Jiandaoyun sandbox with a mapping, readers and writers, and people who work past them; for tests of the writer."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from steward.crm.jiandaoyun import JiandaoyunReader
from steward.crm.mapping import Mapping, parse_mapping
from steward.crm.profiles import Profile
from steward.errors import CrmError, ThrottledError
from steward.executor.journal import Journal, connect
from steward.executor.plan import LiveDecider
from steward.executor.ports import Answer, Effect, Hook, Result, State, Unit, Work, no_hook
from steward.executor.restore import RestoreDecider
from steward.executor.steps import StepLog
from steward.executor.writers.jiandaoyun import JiandaoyunWriter
from steward.executor.writers.vendor_look import VendorLook
from steward.manifest.chunks import ids_digest
from steward.manifest.format import RelatedSet, Survivor
from steward.records import Absent, Record, RecordKey
from steward.sandbox.jiandaoyun import FULL_KEY, READ_KEY, create_app
from tests.support.vendor_sandbox import serve

FORMS = {
    "company": "客户",
    "person": "联系人",
    "deal": "商机",
    "order": "订单",
    "activity": "跟进记录",
    "ticket": "工单",
    "invoice": "发票",
}
_LABEL = {"company": ("客户名称",), "person": ("姓", "名"), "deal": ("商机名称",), "ticket": ("主题",)}
_WORDS = {
    "deal": (("amount", "金额"), ("event", "预计成交日期")),
    "order": (("amount", "金额"), ("event", "订单日期")),
    "activity": (("event", "跟进时间"),),
    "invoice": (("amount", "金额"), ("event", "开票日期")),
}
_OPEN = {
    "deal": ("阶段", "not_in", ("won", "lost")),
    "order": ("flowState", "values", ("0",)),
    "ticket": ("状态", "not_in", ("closed", "solved")),
    "invoice": ("状态", "not_in", ("paid", "void", "cancelled", "written_off")),
}
UNWRITABLE = ("linkdata", "sn", "upload", "image", "separator")


class Quick:
    """A clock that does not wait, and adds up how long it should have."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


@dataclass
class Company:
    """One sandbox over HTTP, and the levers behind the writer's back."""

    address: str
    folder: Path
    clock: Quick = field(default_factory=Quick)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.address, timeout=10)
        self.form = {f["name"]: f for f in self.http.get("/_control/forms").json()}
        self.journal = Journal(connect(self.folder / "journal.sqlite"))
        self.steps = StepLog(self.journal.db)
        self.control("settings", rates=False)

    def close(self) -> None:
        self.journal.db.close()
        self.http.close()

    # what people and the operator do ------------------------------------------------------------------------------

    def control(self, name: str, **body: Any) -> Any:
        answer = self.http.post(f"/_control/{name}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def entry(self, object: str) -> str:
        return str(self.form[FORMS[object]]["entry_id"])

    def _field(self, object: str, label: str) -> Any:
        return next(f for f in self.form[FORMS[object]]["fields"] if f["label"] == label and not f["in"])

    def widget(self, object: str, label: str) -> str:
        """Widget name: what the mapping and records call a field."""
        return str(self._field(object, label)["widget"])

    def key(self, object: str, label: str) -> str:
        """Name on the wire: alias, or widget name."""
        return str(self._field(object, label)["key"])

    def make(self, object: str, **values: Any) -> str:
        """Somebody makes a record; values by label."""
        data = {self.key(object, label): value for label, value in values.items()}
        return str(self.control("create", entry_id=self.entry(object), data=data)["data_id"])

    def edit(self, object: str, id: str, **values: Any) -> None:
        data = {self.key(object, label): value for label, value in values.items()}
        self.control("edit", entry_id=self.entry(object), data_id=id, data=data)

    def remove(self, object: str, id: str) -> None:
        self.control("delete", entry_id=self.entry(object), data_id=id)

    def rows(self, object: str) -> dict[str, dict[str, Any]]:
        """What the sandbox itself holds: id → values by widget name."""
        found = self.http.get("/_control/records", params={"entry_id": self.entry(object)}).json()
        return {r["_id"]: r["body"] for r in found}

    def calls(self, *paths: str) -> list[dict[str, Any]]:
        """Calls so far whose path ends in one of these, with their bodies."""
        log = self.http.get("/_control/log").json()
        return [{**r, "body": _body(r["body"])} for r in log if not paths or r["path"].endswith(paths)]

    def events(self, kind: str) -> list[str]:
        return [e["data_id"] for e in self.http.get("/_control/events").json() if e["kind"] == kind]

    # reading and writing ------------------------------------------------------------------------------------------

    def mapping_text(self, *, members: bool = True, soft: str = "", along: Sequence[tuple[str, str]] = ()) -> str:
        """The mapping of this company.

        Parameters
        ----------
        soft : str
            Label of a customer's field whose value 暂停 means deleted.
        along : sequence of tuple of str
            Objects and labels of references whose records go with what they refer to.
        """
        text = 'format = "steward-mapping/1"\nsystem = "jiandaoyun"\ntenant = "demo"\nenvironment = "sandbox"\n'
        by_entry = {self.form[label]["entry_id"]: name for name, label in FORMS.items()}
        for name, label in FORMS.items():
            form = self.form[label]
            top = [f for f in form["fields"] if not f["in"]]
            parents = {f["widget"]: by_entry[f["target"]] for f in top if f["target"]}
            if members:
                parents |= {f["widget"]: "user" for f in top if f["type"] == "user"}
            inner = {f["in"] for f in form["fields"] if f["in"] and f["type"] in UNWRITABLE}
            writable = [f["widget"] for f in top if f["type"] not in UNWRITABLE and f["widget"] not in inner]
            text += f'\n[objects.{name}]\ntable = "{form["app_id"]}/{form["entry_id"]}"\nkey = "_id"\nrole = "{name}"\n'
            text += 'created = "createTime"\nmodified = "updateTime"\nversion = "updateTime"\n'
            text += "parents = { " + ", ".join(f'{k} = "{v}"' for k, v in parents.items()) + " }\n"
            if gone := [self.widget(name, label) for object, label in along if object == name]:
                text += "on_delete = { " + ", ".join(f'{column} = "cascade"' for column in gone) + " }\n"
            if _LABEL.get(name):
                text += f"label = {json.dumps([self.widget(name, n) for n in _LABEL[name]])}\n"
            owner = next((f["widget"] for f in top if f["label"] in ("负责人", "跟进人")), None)
            text += f'owner = "{owner}"\n' if owner else ""
            text += "".join(f'{word} = "{self.widget(name, at)}"\n' for word, at in _WORDS.get(name, ()))
            if name in _OPEN:
                at, word, values = _OPEN[name]
                column = at if at == "flowState" else self.widget(name, at)
                text += f'open_when = {{ column = "{column}", {word} = {json.dumps(values)} }}\n'
            if soft and name == "person":
                text += f'soft_delete = {{ column = "{self.widget(name, soft)}", deleted = "暂停" }}\n'
            text += f"writable = {json.dumps(writable)}\n"
        if members:
            text += '\n[objects.user]\ntable = "members"\nkey = "username"\nrole = "user"\nlabel = ["name"]\n'
            text += 'active_when = { column = "status", not_in = ["-1"] }\nwritable = ["status"]\n'
        return text

    def mapping(self, **words: Any) -> Mapping:
        return parse_mapping(self.mapping_text(**words))

    def profile(self, **options: str) -> Profile:
        key = self.folder / "keys"
        key.mkdir(exist_ok=True, mode=0o700)
        for name, word in (("read", READ_KEY), ("write", FULL_KEY)):
            (key / name).touch(mode=0o600)
            (key / name).write_text(word, encoding="utf-8")
        return Profile(
            system="jiandaoyun", tenant="demo", environment="sandbox", address=f"{self.address}/api", name="j",
            read={"token": f"${{file:{key / 'read'}}}"}, write={"token": f"${{file:{key / 'write'}}}"}, options=options,
        )  # fmt: skip

    def reader(self, mapping: Mapping | None = None, *, write: bool = False, **options: str) -> JiandaoyunReader:
        return JiandaoyunReader(self.profile(**options), mapping or self.mapping(), write=write, clock=self.clock)

    def writer(self, mapping: Mapping | None = None, *, hook: Hook = no_hook, **options: str) -> JiandaoyunWriter:
        return JiandaoyunWriter(self.reader(mapping, write=True, **options), self.steps, hook=hook)

    def look(self, mapping: Mapping | None = None, **options: str) -> VendorLook:
        return VendorLook(self.reader(mapping, **options))


def _body(text: str) -> dict[str, Any]:
    """The log keeps the beginning of a long body only, which is no JSON any more."""
    try:
        return dict(json.loads(text))
    except ValueError:
        return {}


@contextmanager
def open_company(folder: Path, *, customers: int = 20, seed: int = 3) -> Iterator[Company]:
    """Serve a new company."""
    with serve(create_app(customers=customers, seed=seed)) as address:
        company = Company(address, folder)
        try:
            yield company
        finally:
            company.close()


class Frames:
    """A backup in memory: item → its effects."""

    def __init__(self, effects: Sequence[Effect]) -> None:
        self._effects = effects

    def of(self, seq: int) -> list[Effect]:
        return [e for e in self._effects if e.seq == seq]

    def untouched(self, seq: int, key: RecordKey) -> bool:
        """No item here was done in part."""
        return False


@dataclass
class Desk:
    """A writer and what the engine would do with it: decide, apply, settle, bring back."""

    company: Company
    writer: JiandaoyunWriter
    manifest: str = "0000000000000000000000000A"
    _seq: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def record(self, object: str, id: str) -> Record:
        found = self.now(object, id)
        assert isinstance(found, Record), found
        return found

    def now(self, object: str, id: str) -> Record | Absent | None:
        self.writer._seen.clear()
        return self.writer.read([RecordKey(object, id)]).records.get(RecordKey(object, id))

    def work(
        self, id: str, action: Any = "hard_delete", *, object: str = "person", target: str | None = None, **choices: str
    ) -> Work:
        found = self.record(object, id)
        key = RecordKey(object, id)
        places: dict[tuple[str, str], list[str]] = {}
        if action in ("hard_delete", "soft_delete", "merge_into"):
            for link in self.writer.read([], links_of=[key]).links.get(key, ()):
                if "." not in link.field:  # what the store knows, and so what is reviewed
                    places.setdefault((link.child.object, link.field), []).append(link.child.id)
        rule: Any = "move" if action == "merge_into" else "detach"
        related = tuple(
            RelatedSet(object=o, field=f, rule=rule, target=None, count=len(ids), digest=ids_digest(ids))
            for (o, f), ids in sorted(places.items())
        )
        survivor = None
        if action == "merge_into" and target is not None:
            kept = self.record(object, target)
            survivor = Survivor(version=kept.version, preimage=kept.digest)
        unit = f"{object}>{target}" if action == "merge_into" else ""
        return Work(next(self._seq), object, id, action, target, found.version, found.digest, survivor, choices, related, unit)

    def decide(
        self, *works: Work, privacy: bool = True, anonymise: Any = None
    ) -> tuple[list[Unit], dict[int, tuple[State, str]]]:
        decider = LiveDecider(
            self.writer, self.writer.mapping, "steward-executor", lambda: datetime.now(UTC), anonymise or {}, vetoed=frozenset,
            held=frozenset, patient=False, privacy=privacy,
        )  # fmt: skip
        units, verdicts, later = decider.decide(works)
        assert not later
        return units, {v.work.seq: (v.state, v.code) for v in verdicts}

    def units(self, *works: Work, **words: Any) -> list[Unit]:
        units, verdicts = self.decide(*works, **words)
        assert not verdicts, verdicts
        return units

    def apply(self, units: Sequence[Unit], *, attempt: int = 1) -> dict[int, Result]:
        try:
            return dict(self.writer.apply(units, manifest=self.manifest, attempt=attempt))
        except ThrottledError:
            return {w.seq: Result(Answer.LATER, "throttled") for u in units for w in u.works}
        except CrmError:
            return {}

    def settle(self, *works: Work) -> dict[int, str]:
        self.writer._seen.clear()
        return {seq: said.state for seq, said in self.writer.settle(works, manifest=self.manifest).items()}

    def back(self, effects: Sequence[Effect], moved: dict[tuple[str, str], str]) -> tuple[list[Work], list[Unit]]:
        """Return what brings effects back."""
        decider = RestoreDecider(
            self.writer, self.writer.mapping, Frames(effects), lambda o, i: moved.get((o, i)), actor="",  # type: ignore[arg-type]  # the backup
        )  # fmt: skip
        works = [
            Work(next(self._seq), e.before.key.object, e.before.key.id, "restore", of_seq=e.seq)
            for e in effects
            if e.role == "item"
        ]
        units, verdicts, _later = decider.decide(works)
        assert not verdicts, [(v.work.key, v.code) for v in verdicts]
        return works, units

    def update(self, object: str, id: str, **changes: Any) -> dict[int, Result]:
        """Set columns of a record, as an item of its own."""
        before = self.record(object, id)
        work = Work(next(self._seq), object, id, "anonymise", None, before.version, before.digest)
        unit = Unit(f"#{work.seq}", (work,), (Effect(work.seq, "item", "update", before, changes),))
        self.last = work
        return self.apply([unit])
