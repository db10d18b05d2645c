"""The main job on a real Tryton server, end to end with the commands people type: snapshot by a profile, score, decide, propose,
sign, plan, apply under faults, verify, restore, compare record by record and link by link.

Copies of customers and customers nobody heard of for years are planted; a named person decides on exactly these. While the
manifest is applied, calls are lost, cut off and throttled between executor and server, people edit, and the process dies. By hand
with 5,000 customers: ``TRYTON_WAY=5000 pytest tests/integration/test_whole_way_tryton.py -s``.
"""

from __future__ import annotations

import itertools
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from steward.crm import wire
from steward.crm.examples import example_mapping
from steward.crm.mapping import parse_mapping
from steward.errors import BreakerTrippedError, PartialExecutionError
from steward.executor.runner import Applied, Executor
from steward.records import RecordKey, canonical_text
from steward.sandbox import build_crm
from tests.support.tryton import PASSWORD, TrytonServer
from tests.support.tryton_world import PatientClock
from tests.support.vendor_deaths import LIVES, Died, dying
from tests.support.vendor_way import VendorWay, differences, key_of
from tests.support.writer_tryton import Between

CUSTOMERS = int(os.environ.get("TRYTON_WAY", "300"))
PLANTED = max(6, CUSTOMERS // 50)
MOVED = frozenset({"_timestamp", "write_date", "write_uid", "last_modification"})
PROFILE = """
address = "{address}"

[profiles.vendor.read]
user = "looker"
password = "${{TRYTON_LOOKER}}"

[profiles.vendor.write]
user = "admin"
password = "${{TRYTON_ADMIN}}"
"""
LINKAGE = """
format = "steward-linkage/1"
prior = 0.01
cut = 0.9

[[compare]]
field = "name"
kind = "text"
columns = ["name"]
standard = "written"
levels = []
rare_counts_more = false
m = [0.01, 0.99]
u = [0.9999, 0.0001]

[[index]]
keys = ["name"]
"""
"""A party has little but its name; what else is known of it hangs on it."""
LOOKER = "a-word-only-for-reading"


@dataclass
class Crm:
    """A server with customers, and what was planted among them."""

    server: TrytonServer
    pairs: dict[str, str] = field(default_factory=dict)
    stale: frozenset[str] = frozenset()

    def make(self, model: str, rows: list[dict[str, Any]]) -> list[int]:
        """Make records, a thousand to a call."""
        made: list[int] = []
        for start in range(0, len(rows), 1_000):
            made += self.server.call(f"model.{model}.create", rows[start : start + 1_000])
        return made

    def fill(self, folder: Path) -> None:
        """Make customers with addresses, mail addresses, notes and deals; plant copies and forgotten ones."""
        company = self.server.company()
        url = folder / "names.sqlite"
        build_crm(f"sqlite:///{url}", customers=CUSTOMERS, seed=11)
        with sqlite3.connect(url) as connection:
            rows = connection.execute(
                "SELECT first_name, last_name, city, email FROM contact WHERE is_deleted = 0 ORDER BY id"
            ).fetchall()
        rng = random.Random(5)
        names = list(dict.fromkeys(f"{f or ''} {n or ''}".strip() or "?" for f, n, _, _ in rows))[:CUSTOMERS]
        ids = self.make("party.party", [{"name": n} for n in names])
        copies = rng.sample(range(len(ids)), 2 * PLANTED)
        twins = self.make("party.party", [{"name": names[n]} for n in copies[:PLANTED]])
        forgotten = [ids[n] for n in copies[PLANTED:]]
        self.pairs = {str(twin): str(ids[n]) for twin, n in zip(twins, copies, strict=False)}
        self.stale = frozenset(map(str, forgotten))
        everybody = [*ids, *twins]
        towns = itertools.cycle([r[2] for r in rows if r[2]])
        self.make("party.address", [{"party": i, "city": next(towns), "street_name": f"Street {i}"} for i in everybody])
        self.make("party.contact_mechanism", [{"party": i, "type": "email", "value": f"p{i}@example.org"} for i in everybody])
        self.make("ir.note", [{"resource": f"party.party,{i}", "message": f"note of {i}"} for i in (*twins, *forgotten[:4])])
        busy = [i for i in ids if i not in forgotten][:40] + twins[: PLANTED // 2]
        deal = {"company": company, "currency": 1, "description": "deal"}
        self.make("sale.opportunity", [{"party": i, **deal} for i in busy])
        self.make("sale.sale", [{"party": busy[0], "company": company, "currency": 1}])
        models = [o.source for o in parse_mapping(example_mapping("tryton")).objects.values()]
        self.server.reader("looker", LOOKER, models)
        long_ago = "2015-03-01 10:00:00"
        with sqlite3.connect(self.server.database) as connection:  # nobody can tell Tryton that something was long ago
            for table, column in (("party_party", "id"), ("party_address", "party"), ("party_contact_mechanism", "party")):
                marks = ",".join("?" * len(forgotten))
                connection.execute(
                    f"UPDATE {table} SET create_date = ?, write_date = ? WHERE {column} IN ({marks})",
                    (long_ago, long_ago, *forgotten),
                )
            references = [f"party.party,{i}" for i in forgotten]
            connection.execute(
                f"UPDATE ir_note SET create_date = ?, write_date = ? WHERE resource IN ({','.join('?' * len(references))})",
                (long_ago, long_ago, *references),
            )


@pytest.fixture
def crm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crm]:
    monkeypatch.setenv("TRYTON_LOOKER", LOOKER)
    monkeypatch.setenv("TRYTON_ADMIN", PASSWORD)
    found = Crm(TrytonServer())
    try:
        found.fill(tmp_path)
        yield found
    finally:
        found.server.close()


def test_what_was_planted_goes_and_comes_back_record_by_record_and_link_by_link(crm: Crm, tmp_path: Path) -> None:
    began = time.process_time()
    text = example_mapping("tryton").replace('tenant = "default"', 'tenant = "demo"')
    text = text.replace('environment = "production"', 'environment = "sandbox"')
    way = VendorWay.start(
        tmp_path / "way", "tryton", text, PROFILE.format(address=crm.server.address),
        switched_off=("active_contract", "only_contact", "open_quote", "open_ticket", "retention", "unpaid_invoice"),
    )  # fmt: skip
    before = way.records()
    way.snapshot()
    definition = tmp_path / "linkage.toml"
    definition.write_text(LINKAGE)
    way.score("--object", "contact", "--definition", definition)
    decided = way.decide_on(crm.pairs, crm.stale, "contact")
    assert decided & set(crm.pairs) and decided & crm.stale
    way.propose()
    items = way.items()
    assert {str(i["id"]) for i in items if i["object"] == "contact"} == decided
    assert {str(i["action"]) for i in items} == {"merge_into", "soft_delete"}
    way.sign()
    assert way.plan()["verdicts"] == {"apply": len(items)}
    assert way.records() == before, "until the executor applies, nothing in the CRM has changed"

    edited = sorted(decided & crm.stale, key=int)[:2]
    for id in edited:
        crm.server.call("model.party.party.write", [int(id)], {"name": f"Edited by people {id}"})
    said, calls = apply_under_faults(way)
    counts = {name: n for name, n in said.counts.items() if n}
    drift = counts.pop("drift")
    assert drift == len(edited) and counts.pop("done", 0) + counts.pop("done_inferred", 0) == len(items) - drift and not counts
    way.facts["receipt"] = said.receipt

    after = way.records()
    gone = {key_of(i) for i in items} - {RecordKey("contact", i) for i in edited}
    assert set(before) - set(after) == gone and not set(after) - set(before)
    moved = 0
    merged = {str(i["id"]): str(i["target"]) for i in items if i["action"] == "merge_into"}
    for key, record in after.items():
        for name, parent in parse_mapping(text).objects[key.object].parents.items():
            was, now = canonical_text(before[key].fields.get(name)), canonical_text(record.fields.get(name))
            stays = key.object in ("address", "mechanism")
            assert now == (merged.get(was or "", was) if parent == "contact" and not stays else was), (key, name)
            moved += now != was
    assert moved >= len(merged), "every copy had a note, and half of them a deal"
    way.audit()

    way.restore()
    other = differences(before, way.records(), without=dict.fromkeys(parse_mapping(text).objects, MOVED))
    assert other == {RecordKey("contact", i): ("name",) for i in edited}
    way.audit()
    print(
        f"\n{len(before):,} records, {len(items):,} items: apply {calls:,} calls; {time.process_time() - began:.0f} s of this process"
    )


def apply_under_faults(way: VendorWay) -> tuple[Applied, int]:
    """Apply; the process dies twice, calls fail in every way, and each time the same command goes on."""
    faults: Iterator[str] = iter(["", "applied", "", "throttled", "", "", "lost", "", "applied"])
    deaths = iter((("vendor.called", 3), ("answered", 2)))
    passed, override = 0, None
    for _ in range(40):
        between, dies = Between(), dying(next(deaths, LIVES))

        def hook(name: str, between: Between = between, dies: Callable[[str], None] = dies) -> None:
            if name == "vendor.call":
                between.next = next(faults, "") or None  # type: ignore[assignment]  # words of the class
            dies(name)

        with Executor(way.path("executor"), clock=PatientClock(), hook=hook) as executor, behind(between):
            try:
                return executor.apply(way.manifest, override=override), passed + len(between.calls)
            except (Died, PartialExecutionError):
                passed += len(between.calls)
            except BreakerTrippedError:  # answers that were lost in a row: a person has looked, and lets it go on
                passed, override = passed + len(between.calls), "the line was down"
    raise AssertionError("it never came to an end")


@contextmanager
def behind(between: Between) -> Iterator[None]:
    """Put the faults between executor and server: at the transport of every call of this process."""
    client = httpx.Client

    def made(**words: Any) -> httpx.Client:
        return client(**{**words, "transport": between})

    wire.httpx.Client = made  # type: ignore[misc, assignment]  # the wire has no other door
    try:
        yield
    finally:
        wire.httpx.Client = client  # type: ignore[misc]  # as it was
