"""Fxiaoke's writer over its sandbox, for the conformance suite of writers and for tests of its own.

What people do is done in the sandbox's own state. Waiting moves the sandbox's clock and takes no time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from steward.crm.fxiaoke import FxiaokeReader
from steward.crm.mapping import Mapping as CrmMapping
from steward.crm.mapping import parse_mapping
from steward.crm.profiles import Profile
from steward.executor.journal import connect
from steward.executor.steps import StepLog
from steward.executor.writers.fxiaoke import FxiaokeWriter
from steward.executor.writers.vendor_look import VendorLook
from steward.sandbox.fxiaoke import create_app, sandbox_mapping
from steward.sandbox.fxiaoke.objects import OBJECTS
from steward.sandbox.fxiaoke.world import Fault, World
from tests.support.vendor_sandbox import serve
from tests.support.writer_case import Fault as Wanted
from tests.support.writer_case import WriterCase

CHANGES = "data/invalid|data/delete|data/recover|data/create|data/update|changeOwner"
"""Every call that changes something."""
OWN_CODE = 900_499
"""A code that nobody has published."""
KEYS = {"app_id": "FSAID_sandbox", "app_secret": "sandbox-secret", "permanent_code": "sandbox-code"}


class SandboxClock:
    """Waiting moves the sandbox's clock and nothing else."""

    def __init__(self, world: World) -> None:
        self.world, self.slept = world, 0.0

    def monotonic(self) -> float:
        return self.world.clock.now()

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.world.clock.advance(seconds)


@dataclass
class Opened:
    """A sandbox with a writer and a look, and people who work in it."""

    world: World
    address: str
    clock: SandboxClock
    mapping: CrmMapping
    writer: FxiaokeWriter
    look: VendorLook
    steps: StepLog
    made = count(1)

    def new(self, api: str, **values: Any) -> str:
        """Make a record as somebody would on the screen."""
        key = hashlib.sha256(f"{api}/{next(self.made)}".encode()).hexdigest()[:24]
        now = self.world.now_ms()
        doc: dict[str, Any] = dict.fromkeys(OBJECTS[api])
        doc.update(
            _id=key, name=key[:6], owner=["1001"], created_by=["1001"], create_time=now - 5_000, last_modified_by=["1001"],
            last_modified_time=now - 5_000, life_status="normal", lock_status="0", is_deleted=False, version="1",
            record_type="default__c",
        )  # fmt: skip
        doc.update(values)
        self.world.put(api, doc)
        return key

    def edit(self, api: str, key: str, **values: Any) -> None:
        """Change a record as somebody would."""
        doc = self.stored(api, key)
        doc.update(values)
        self.world.touch(doc, "1001")
        self.world.put(api, doc)
        self.world.note(api, key, "update", "1001")

    def void(self, api: str, key: str) -> None:
        """Void a record as somebody would."""
        doc = self.stored(api, key)
        doc.update(life_status_before_invalid=doc["life_status"], life_status="invalid", is_deleted=True)
        self.world.touch(doc, "1001", names=self.world.switches.void_names)
        self.world.put(api, doc)
        self.world.note(api, key, "invalid", "1001")

    def recover(self, api: str, key: str) -> None:
        """Recover a voided record as somebody would."""
        doc = self.stored(api, key)
        doc.update(life_status=doc["life_status_before_invalid"] or "normal", life_status_before_invalid=None, is_deleted=False)
        self.world.touch(doc, "1001", names=self.world.switches.void_names)
        self.world.put(api, doc)
        self.world.note(api, key, "recover", "1001")

    def stored(self, api: str, key: str) -> dict[str, Any]:
        """Return a record as the sandbox holds it."""
        doc = self.world.get(api, key)
        assert doc is not None, f"{api}/{key} is not there any more"
        return dict(doc)

    def asked(self, part: str) -> int:
        """Return how many calls went to paths with this part."""
        (n,) = self.world.db.execute("SELECT count(*) FROM request_log WHERE path LIKE ?", (f"%{part}%",)).fetchone()
        return int(n)

    def fault(self, wanted: Wanted) -> None:
        """Set what becomes of the next call that changes something."""
        kind, code = {"lost": ("cut", 0), "applied": ("cut_after", 0), "throttled": ("code", 30004)}.get(
            wanted, ("code", OWN_CODE)
        )
        self.world.faults[:] = [Fault(kind, CHANGES, code)]


def profile(address: str, **options: str) -> Profile:
    """Return a profile of the sandbox: employee 1000 reads, 1002 writes."""
    return Profile(
        system="fxiaoke", tenant="sandbox01", environment="sandbox", address=address, name="sandbox",
        read={**KEYS, "user_id": "1000"}, write={**KEYS, "user_id": "1002"}, options={"sees_everything": "yes", **options},
    )  # fmt: skip


@contextmanager
def open_sandbox(
    folder: Path, *, customers: int = 60, options: Mapping[str, str] | None = None, served: Any = None
) -> Iterator[Opened]:
    """Serve a sandbox and open writer and look on it; ``served`` is a world and its address instead."""
    if served is not None:
        yield from _opened(folder, *served, options or {})
        return
    app = create_app(customers=customers, seed=11)
    app.state.world.clock.freeze()
    with serve(app) as address:
        yield from _opened(folder, app.state.world, address, options or {})


def _opened(folder: Path, world: World, address: str, options: Mapping[str, str]) -> Iterator[Opened]:
    world.db.execute("UPDATE employee SET stopped = 0 WHERE number IN ('1000', '1001', '1002')")
    clock, mapping = SandboxClock(world), parse_mapping(sandbox_mapping())
    steps = StepLog(connect(folder / "journal.sqlite"))
    said = profile(address, **options)
    writer = FxiaokeWriter(FxiaokeReader(said, mapping, write=True, clock=clock), steps)
    look = VendorLook(FxiaokeReader(said, mapping, clock=clock))
    try:
        yield Opened(world, address, clock, mapping, writer, look, steps)
    finally:
        writer.close()
        look.close()


@contextmanager
def open_case(folder: Path) -> Iterator[WriterCase]:
    """Open the case of the conformance suite."""
    with open_sandbox(folder) as box:
        yield WriterCase(
            system="fxiaoke", writer=box.writer, look=box.look, steps=box.steps, mapping=box.mapping, person="contact",
            child=("deal", "contact__c"), text_field="job_title",
            new_person=lambda text: box.new("ContactObj", job_title=text, name=text),
            new_child=lambda parent: box.new("NewOpportunityObj", contact__c=parent, sales_stage="prospecting"),
            edit=lambda id, text: box.edit("ContactObj", id, job_title=text),
            remove=lambda id: box.void("ContactObj", id),
            gone=lambda id: (doc := box.world.get("ContactObj", id)) is None or doc["life_status"] == "invalid",
            fault=box.fault,
        )  # fmt: skip
