"""The writer of Tryton over a real server, for the conformance suite and for the tests of its traps.

What people do is done by the tests' own client. A fault stands between writer and server: the call is not sent on (lost),
sent on and its answer thrown away (applied), answered 429 (throttled), or sent on without its parameters, which the server
itself refuses (refused).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from steward.crm.examples import example_mapping
from steward.crm.mapping import Mapping, parse_mapping
from steward.crm.profiles import Profile
from steward.crm.tryton import TrytonReader
from steward.executor.journal import Journal, connect
from steward.executor.steps import StepLog
from steward.executor.writers.tryton import TrytonWriter
from steward.executor.writers.vendor_look import VendorLook
from tests.support.tryton import PASSWORD, TrytonServer
from tests.support.writer_case import Fault, WriterCase

WRITES = (".write", ".create", ".delete", ".execute")


def profile_of(server: TrytonServer) -> Profile:
    """Return the profile of a server, for both credentials."""
    os.environ["TRYTON_TEST_WORD"] = PASSWORD
    who = {"user": "admin", "password": "${TRYTON_TEST_WORD}"}
    return Profile(
        system="tryton", tenant="default", environment="production", address=server.address, read=who, write=who, name="t"
    )


class Between(httpx.BaseTransport):
    """Passes calls on, and breaks the next one that writes.

    Attributes
    ----------
    next : Fault or None
    calls : list of str
        Methods of the calls that were asked for.
    """

    def __init__(self) -> None:
        self.next: Fault | None = None
        self.calls: list[str] = []
        self._inner = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """See the module's docstring."""
        said: dict[str, Any] = json.loads(request.read())
        self.calls.append(said["method"])
        if self.next is None or not said["method"].endswith(WRITES):
            return self._inner.handle_request(request)
        fault, self.next = self.next, None
        match fault:
            case "throttled":
                return httpx.Response(429, request=request)
            case "lost":
                raise httpx.ReadTimeout("", request=request)
            case "refused":
                said["params"] = [[999_999_999], {"name": "x"}, said["params"][-1]]  # what is not there cannot be written
                said["method"] = said["method"].rpartition(".")[0] + ".write"
                body = json.dumps(said).encode()
                headers = {k: v for k, v in request.headers.items() if k.lower() != "content-length"}
                return self._inner.handle_request(httpx.Request("POST", request.url, headers=headers, content=body))
        self._inner.handle_request(request).read()
        raise httpx.ReadTimeout("", request=request)

    def close(self) -> None:
        """Release connections."""
        self._inner.close()


class Clock:
    """Waits for nothing."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self.now += seconds


def writer_of(server: TrytonServer, mapping: Mapping, steps: StepLog, between: httpx.BaseTransport) -> TrytonWriter:
    """Open the writer."""
    reader = TrytonReader(profile_of(server), mapping, write=True, transport=between, clock=Clock())
    return TrytonWriter(reader, steps)


@contextmanager
def open_case(folder: Path) -> Iterator[WriterCase]:
    """Open the case on a server of its own."""
    server = TrytonServer()
    journal = Journal(connect(folder / "journal.sqlite"))
    between = Between()
    mapping = parse_mapping(example_mapping("tryton"))
    steps = StepLog(journal.db)
    writer = writer_of(server, mapping, steps, between)
    look = VendorLook(TrytonReader(profile_of(server), mapping))
    try:
        company = server.company()

        def new_child(id: str) -> str:
            deal = {"party": int(id), "description": "deal", "company": company, "currency": 1}
            return str(server.call("model.sale.opportunity.create", [deal])[0])

        def gone(id: str) -> bool:
            return not server.call("model.party.party.search_count", [["id", "=", int(id)]])

        def fault(kind: Fault) -> None:
            between.next = kind

        yield WriterCase(
            system="tryton", writer=writer, look=look, steps=steps, mapping=mapping, person="contact", child=("deal", "party"),
            text_field="name", new_person=lambda name: str(server.call("model.party.party.create", [{"name": name}])[0]),
            new_child=new_child, edit=lambda id, name: server.call("model.party.party.write", [int(id)], {"name": name}),
            remove=lambda id: server.call("model.party.party.delete", [int(id)]), gone=gone, fault=fault,
        )  # fmt: skip
    finally:
        writer.close()
        look.close()
        journal.db.close()
        server.close()
