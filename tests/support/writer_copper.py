"""The Copper writer over the Copper sandbox, for the conformance suite of writers: real HTTP, no time passes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from steward.crm.copper import CopperReader
from steward.crm.examples import example_mapping
from steward.crm.mapping import Mapping, parse_mapping
from steward.crm.profiles import Profile
from steward.executor.ports import Hook, no_hook
from steward.executor.steps import StepLog
from steward.executor.writers.copper import CopperWriter
from steward.executor.writers.vendor_look import VendorLook
from steward.sandbox.copper import ADMIN_KEY
from tests.support.copper_sandbox import Copies, Sandbox
from tests.support.writer_case import Fault, WriterCase

SOFT_TEXT = example_mapping("copper")
HARD_TEXT = "\n".join(line for line in SOFT_TEXT.splitlines() if not line.startswith("soft_delete"))
"""The same without a mark: what goes is gone for good."""

MARK = "steward:pending-delete"
FAULTS = {"lost": "cut_before", "applied": "cut_after", "throttled": "429"}
WRITES = ("PUT", "POST", "DELETE")


class Clock:
    """A clock that nobody waits for."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Between(httpx.BaseTransport):
    """Does something before or after calls that write; a call is handed on unless the act says otherwise."""

    def __init__(self) -> None:
        self.inner = httpx.HTTPTransport()
        self.before: Callable[[httpx.Request], httpx.Response | None] = lambda request: None
        self.calls: list[tuple[str, str]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Hand a call on."""
        path = request.url.path.removeprefix("/developer_api/v1")
        self.calls.append((request.method, path))
        if writes(request.method, path) and (said := self.before(request)) is not None:
            return said
        return self.inner.handle_request(request)

    def close(self) -> None:
        """Close connections."""
        self.inner.close()


def writes(method: str, path: str) -> bool:
    """Say whether a call changes something."""
    return method in WRITES and not path.endswith("/search")


def mapping(*, soft: bool) -> Mapping:
    """The mapping that ships, or the same without marks."""
    return parse_mapping(SOFT_TEXT if soft else HARD_TEXT)


def open_reader(
    box: Sandbox, found: Mapping, *, transport: httpx.BaseTransport | None = None, clock: Any = None, **options: str
) -> CopperReader:
    """Open a reader on a sandbox; the credential may write."""
    key = {"user": box.mail(1), "token": ADMIN_KEY}
    profile = Profile(
        system="copper", tenant="default", environment="production", address=box.base, read=key, write=key,
        options={"requests_per_minute": "1000000"} | options, name="t",
    )  # fmt: skip
    return CopperReader(profile, found, write=True, transport=transport, clock=clock or Clock())


def open_writer(
    box: Sandbox, found: Mapping, db: Any, *, transport: httpx.BaseTransport | None = None, hook: Hook = no_hook, **options: str
) -> CopperWriter:
    """Open a writer on a sandbox."""
    return CopperWriter(open_reader(box, found, transport=transport, **options), StepLog(db), hook=hook)


class People:
    """What people do in the web app."""

    def __init__(self, box: Sandbox) -> None:
        self.box = box

    def new(self, kind: str, **fields: Any) -> str:
        """Make a record."""
        answer = self.box.call("POST", f"/{kind}", fields)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def edit(self, kind: str, id: str, **changes: Any) -> None:
        """Change a record."""
        self.box.control("edit", {"kind": kind, "id": int(id), "changes": changes})

    def remove(self, kind: str, id: str) -> None:
        """Delete a record."""
        self.box.control("remove", {"kind": kind, "id": int(id)})

    def row(self, kind: str, id: str) -> dict[str, Any] | None:
        """A record as it is."""
        return self.box.state.get(kind, int(id))


@contextmanager
def case_on(box: Sandbox, *, soft: bool = False, between: Between | None = None, **options: str) -> Iterator[WriterCase]:
    """Open a writer's case on a sandbox that runs already.

    Parameters
    ----------
    soft : bool
        What goes only gets a mark; else it is gone for good, for that is what Copper itself knows.
    """
    db = sqlite3.connect(":memory:", isolation_level=None)
    found, people, between = mapping(soft=soft), People(box), between or Between()
    writer = open_writer(box, found, db, transport=between, **options)
    look = VendorLook(open_reader(box, found, **options))

    def fault(kind: Fault) -> None:
        if kind == "refused":

            def once(request: httpx.Request) -> httpx.Response:
                between.before = lambda request: None
                said = {"success": False, "status": 422, "message": "Invalid input: Validation errors: Name: Ada Lovelace"}
                return httpx.Response(422, json=said)

            between.before = once
            return

        def plan(request: httpx.Request) -> None:
            between.before = lambda request: None
            path = request.url.path.removeprefix("/developer_api/v1")
            box.control("faults", {"kind": FAULTS[kind], "method": request.method, "path": path})

        between.before = plan

    def gone(id: str) -> bool:
        row = people.row("people", id)
        return row is None or MARK in row["tags"]

    try:
        yield WriterCase(
            "copper", writer, look, StepLog(db), found, "contact", ("deal", "primary_contact_id"), "title",
            new_person=lambda text: people.new("people", name="Ada Example", title=text),
            new_child=lambda id: people.new("opportunities", name="Deal", primary_contact_id=int(id)),
            edit=lambda id, text: people.edit("people", id, title=text),
            remove=lambda id: people.remove("people", id), gone=gone, fault=fault, late=lambda: box.control("late"),
        )  # fmt: skip
    finally:
        writer.close()
        look.close()
        db.close()


@contextmanager
def open_case(folder: Path) -> Iterator[WriterCase]:
    """Open the case of the conformance suite."""
    with Copies(folder, 40).running() as box, case_on(box) as case:
        yield case


__all__ = ["MARK", "Between", "Clock", "People", "case_on", "mapping", "open_case", "open_reader", "open_writer", "writes"]
