"""The writer of Zoho over its sandbox, for the conformance suite; people act through the sandbox's control API."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steward.crm.examples import example_mapping
from steward.crm.mapping import Mapping as CrmMapping
from steward.crm.mapping import parse_mapping
from steward.crm.profiles import Profile
from steward.crm.wire import WireClock
from steward.crm.zoho import ZohoReader
from steward.executor.journal import Journal, connect
from steward.executor.ports import Hook, no_hook
from steward.executor.steps import StepLog
from steward.executor.writers.vendor_look import VendorLook
from steward.executor.writers.zoho import ZohoWriter
from steward.sandbox.zoho.auth import CLIENT
from tests.support.vendor_sandbox import serve
from tests.support.writer_case import Fault, WriterCase
from tests.support.zoho_contract import Watched
from tests.support.zoho_sandbox import Caller, Fresh

_KIND: dict[Fault, str] = {"lost": "cut_before", "applied": "cut_after", "throttled": "429", "refused": "403"}
WRITES = r"^/crm/v8/(?!coql)"
"""Calls that write, by path; those that read and are a POST go elsewhere."""
NOTE_STAYS = 'writable = ["Note_Title", "Note_Content", "Owner"]\n'


class Quick:
    """A clock on which waiting takes no time; the sandbox's is moved along where one is given."""

    def __init__(self, fresh: Fresh | None = None) -> None:
        self.fresh, self.now, self.slept = fresh, 0.0, 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds
        if self.fresh is not None:
            self.fresh.app.state.advance(seconds)


def mapping_text(*, notes_move: bool = True) -> str:
    """The mapping that ships, for the tenant of tests."""
    text = example_mapping("zoho").replace('tenant = "default"', 'tenant = "demo"')
    text = text.replace('environment = "production"', 'environment = "sandbox"')
    return text.replace(NOTE_STAYS, "") if notes_move else text


def profile(address: str, **options: str) -> Profile:
    """A profile with both credentials."""
    return Profile(
        system="zoho", tenant="demo", environment="sandbox", address=address, name="z",
        read={**CLIENT, "refresh_token": "1000.reader"}, write={**CLIENT, "refresh_token": "1000.executor"},
        options={"data_centre": "eu", "accounts": address, **options},
    )  # fmt: skip


def open_writer(
    address: str,
    steps: StepLog,
    *,
    clock: WireClock,
    mapping: CrmMapping | None = None,
    hook: Hook = no_hook,
    kind: type[ZohoWriter] = ZohoWriter,
    **options: str,
) -> ZohoWriter:
    """Open a writer whose every answer is held against the vendor's contract."""
    reader = ZohoReader(
        profile(address, **options), mapping or parse_mapping(mapping_text()), write=True, clock=clock, transport=Watched()
    )
    return kind(reader, steps, hook=hook)


@dataclass
class ZohoCase(WriterCase):
    """A case with its sandbox at hand.

    Attributes
    ----------
    crm : Caller
        People's and the test's own way in.
    put : callable
        Somebody makes a record of a module with these values; returns its id.
    sent : callable
        Returns the calls so far that could write: method and path with its query.
    """

    crm: Caller = field(kw_only=True)
    put: Callable[..., str] = field(kw_only=True)

    def sent(self, method: str = "DELETE|PUT|POST") -> list[tuple[str, str]]:
        log = self.crm.http.get("/_control/log").json()["log"]
        return [(e["method"], e["path"]) for e in log if re.fullmatch(method, e["method"]) and re.search(WRITES, e["path"])]

    def life(self, id: str) -> str:
        return str(self.crm.http.get(f"/_control/record/{id}").json()["life"])

    def values(self, id: str) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.crm.http.get(f"/_control/record/{id}").json()["doc"])
        return said


@contextmanager
def open_case(folder: Path) -> Iterator[WriterCase]:
    """Open the case on a new sandbox."""
    fresh = Fresh(60)
    with serve(fresh) as address, open_on(fresh, address, folder) as case:
        yield case


@contextmanager
def open_on(
    fresh: Fresh,
    address: str,
    folder: Path,
    *,
    mapping: CrmMapping | None = None,
    clock: WireClock | None = None,
    **options: str,
) -> Iterator[ZohoCase]:
    """Open the case on a sandbox that is served already, as it stands."""
    mapping = mapping or parse_mapping(mapping_text())
    state = fresh.app.state
    crm = Caller(address, state, "1000.person")
    journal = Journal(connect(folder / "journal.sqlite"))
    steps = StepLog(journal.db)
    writer = open_writer(address, steps, clock=clock or Quick(), mapping=mapping, **options)
    look = VendorLook(ZohoReader(profile(address, **options), mapping, clock=clock or Quick()))
    numbers = itertools.count(8_000_000_000_000_000_000)
    (boss,) = state.db.execute("SELECT id FROM person ORDER BY id LIMIT 1").fetchone()

    def put(module: str, **values: object) -> str:
        ident, now, by = next(numbers), state.now() - 86_400, state.person(boss)
        state.put(module, ident, {"Owner": by, "Created_By": by, "Modified_By": by, **values}, created=now, modified=now)
        return str(ident)

    def person(text: str) -> str:
        return put(
            "Contacts", Last_Name=text, First_Name="A", Email="a@crm.example", Legal_Hold=False, Score=3, Weight=1.5, Interests=["Events", "Surveys"],
            Background="<b>x</b> " * 100, Date_of_Birth="1980-02-03", Visits=[{"id": "8500000000000000001", "Remark": "here"}],
        )  # fmt: skip

    def fault(kind: Fault) -> None:
        crm.http.delete("/_control/faults")
        crm.control("faults", kind=_KIND[kind], method="DELETE|PUT|POST", path=WRITES)

    try:
        yield ZohoCase(
            system="zoho", writer=writer, look=look, steps=steps, mapping=mapping, person="contact", child=("deal", "Contact_Name"),
            text_field="Last_Name", new_person=person,
            new_child=lambda of: put("Deals", Deal_Name="d", Stage="Won", Amount=12.5, Contact_Name={"id": of, "name": "x"}),
            edit=lambda id, said: crm.control("edit", id=id, values={"Last_Name": said}) and None,
            remove=lambda id: crm.control("remove", id=id) and None,
            gone=lambda id: crm.http.get(f"/_control/record/{id}").json()["life"] != "live",
            fault=fault, late=lambda: crm.control("late") and None, crm=crm, put=put,
        )  # fmt: skip
    finally:
        writer.close()
        look.close()
        crm.http.close()
        journal.db.close()
