"""A snapshot that goes on from an earlier one against one that is read whole: requests, waiting for the vendor's limits, processor.

Run: ``python -m bench.incremental [--customers 5000] [--changes 0.01] [--only NAME …]``. Every sandbox is filled, read whole, then
changed (seven in ten edits, two deletions, one new record, in every object alike), read on, and read whole once more; the
two digests must be one. Waiting is counted on a virtual clock. Processor seconds are those of this process without the
server's thread. ``tryton`` starts a real server and takes minutes to fill; it runs only where it is named.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


class Virtual:
    """Nobody waits; what would have been waited is counted."""

    def __init__(self, also: Callable[[float], object] | None = None) -> None:
        self.now, self.also = 0.0, also

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.also is not None:
            self.also(seconds)


@dataclass
class World:
    """One vendor: how a reader is opened on a clock, and how one object's record is changed."""

    name: str
    opened: Callable[[Virtual], Any]
    clock: Callable[[], Virtual]
    change: Callable[[random.Random, float], int]
    server: threading.Thread | None = None
    how: dict[str, bool] | None = None
    credits: Callable[[], int] = int


@dataclass
class Cost:
    requests: int
    waited: float
    processor: float
    credits: int

    def __str__(self) -> str:
        credits = f", {self.credits} credits" if self.credits else ""
        return f"{self.requests} requests{credits}, {self.waited:.1f} s waited, {self.processor:.1f} s of processor"


def of_thread(thread: threading.Thread | None) -> float:
    if thread is None or thread.ident is None:
        return 0.0
    return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))


def measured(world: World, read: Callable[[Any], Any]) -> tuple[Any, Cost]:
    clock = world.clock()
    server, ours, credits = of_thread(world.server), time.process_time(), world.credits()
    with world.opened(clock) as reader:
        found = read(reader)
        spent = time.process_time() - ours - (of_thread(world.server) - server)
        wire = getattr(reader, "wire", None)
        return found, Cost(getattr(wire, "requests", 0), clock.now, spent, world.credits() - credits)


def compare(world: World, folder: Path, share: float) -> tuple[Cost, Cost, int, dict[str, str]]:
    from steward.store import Workspace

    folder.mkdir()
    with Workspace.open(folder / "onward", create=True) as ws, Workspace.open(folder / "whole", create=True) as other:
        measured(world, lambda reader: ws.take_snapshot(reader, taken_at=datetime.now(UTC)))
        changed = world.change(random.Random(7), share)
        made, onward = measured(world, lambda reader: ws.next_snapshot(reader, taken_at=datetime.now(UTC), **(world.how or {})))
        again, whole = measured(world, lambda reader: other.take_snapshot(reader, taken_at=datetime.now(UTC)))
        if world.how is None and (made.digest != again.digest or made.complete != again.complete):
            raise SystemExit(f"{world.name}: the two snapshots differ")
        return whole, onward, changed, {n: w.way for n, w in ws.readings(made)[-1].ways.items()}


def spread(chance: random.Random, ids: list[Any], share: float, edit: Any, drop: Any, add: Any) -> int:
    """Change a share of ``ids``."""
    chosen = chance.sample(ids, round(len(ids) * share))
    for n, id in enumerate(chosen):
        (drop if n % 10 in (3, 7) else add if n % 10 == 9 else edit)(id)
    return len(chosen)


# ---------------------------------------------------------------------------------------------- worlds


@contextmanager
def served(app: Any) -> Iterator[tuple[str, threading.Thread]]:
    from tests.support.vendor_sandbox import serve

    before = set(threading.enumerate())
    with serve(app) as address:
        thread = next(t for t in threading.enumerate() if t not in before)
        yield address, thread


@contextmanager
def copper(customers: int, folder: Path, *, careless: bool = False) -> Iterator[World]:
    from steward.crm.copper import CopperReader
    from steward.crm.examples import example_mapping
    from steward.crm.mapping import parse_mapping
    from steward.crm.profiles import Profile
    from steward.sandbox.copper import ADMIN_KEY, State, fill, serve_state

    state = State()
    fill(state, customers=customers, number=3)
    state.switches.per_minute = 1_000_000
    os.environ |= {"BENCH_USER": str((state.get("users", 1) or {})["email"]), "BENCH_TOKEN": ADMIN_KEY}
    with served(serve_state(state)) as (address, thread):
        profile = Profile(
            system="copper", tenant="default", environment="production", address=f"{address}/developer_api/v1", name="b",
            read={"user": "${BENCH_USER}", "token": "${BENCH_TOKEN}"},
        )  # fmt: skip

        def change(chance: random.Random, share: float) -> int:
            done = 0
            for kind in ("people", "companies", "leads", "opportunities", "projects", "tasks"):

                def edit(id: int, kind: str = kind) -> None:
                    state.change(kind, id, {"details": "changed"})

                def drop(id: int, kind: str = kind) -> None:
                    state.drop(kind, id)

                def add(id: int, kind: str = kind) -> None:
                    now = int(state.now())
                    state.put(
                        kind,
                        (state.get(kind, id) or {}) | {"id": state.new_id(kind), "date_created": now, "date_modified": now},
                    )

                done += spread(chance, [b["id"] for b in state.all(kind)], share, edit, edit if careless else drop, add)
            return done

        yield World(
            "copper, deletions not looked for" if careless else "copper",
            lambda clock: CopperReader(profile, parse_mapping(example_mapping("copper")), clock=clock),
            Virtual, change, thread, {"deletions_matter": False} if careless else None,
        )  # fmt: skip


@contextmanager
def zoho(customers: int, folder: Path) -> Iterator[World]:
    from steward.crm.mapping import parse_mapping
    from steward.crm.profiles import Profile
    from steward.crm.zoho import ZohoReader
    from steward.sandbox.zoho import make
    from steward.sandbox.zoho.auth import CLIENT
    from tests.integration.test_crm_zoho import MAPPING

    app = make(customers=customers, seed=7)
    state = app.state
    state.switches["bulk_downloads"] = 10_000
    with served(app) as (address, thread):
        profile = Profile(
            system="zoho", tenant="demo", environment="sandbox", address=address, name="b",
            read={**CLIENT, "refresh_token": "1000.reader"}, options={"data_centre": "eu", "accounts": address},
        )  # fmt: skip
        person = {"id": "1", "name": "S", "email": "s@crm.example"}

        def change(chance: random.Random, share: float) -> int:
            from steward.sandbox.zoho.removing import drop as into_bin

            done = 0
            for module in ("Accounts", "Contacts", "Leads", "Deals", "Tasks", "Notes"):
                ids = [i for (i,) in state.db.execute("SELECT id FROM record WHERE module = ? AND life = 'live'", (module,))]

                def drop(id: int, module: str = module) -> None:
                    into_bin(state, module, id, 1, "crm_api")

                def add(id: int, module: str = module) -> None:
                    found = state.get(id)
                    if found is not None:
                        now = state.now()
                        state.put(module, state.new_id(), json.loads(found[1]["doc"]), created=now, modified=now)

                done += spread(chance, ids, share, lambda id: state.edit(id, {"Description": "changed"}, person), drop, add)
            return done

        yield World(
            "zoho", lambda clock: ZohoReader(profile, parse_mapping(MAPPING), clock=clock), Virtual, change, thread,
            credits=lambda: state.used_credits,
        )  # fmt: skip


@contextmanager
def fxiaoke(customers: int, folder: Path, *, counts: str = "doubted") -> Iterator[World]:
    from steward.crm.fxiaoke import FxiaokeReader
    from steward.crm.mapping import parse_mapping
    from steward.crm.profiles import Profile
    from steward.sandbox.fxiaoke import create_app, sandbox_mapping
    from steward.sandbox.fxiaoke.objects import OBJECTS
    from tests.integration.test_crm_fxiaoke import KEYS

    app = create_app(customers=customers, seed=5)
    world = app.state.world
    world.switches.voided_in_query = "filtered"
    world.clock.freeze()

    def void(api: str, id: str) -> None:
        doc = world.get(api, id)
        doc["life_status"] = "invalid"
        world.touch(doc, "1000")
        world.put(api, doc)

    void("ContactObj", next(str(d["_id"]) for d in world.records("ContactObj")))
    with served(app) as (address, thread):
        profile = Profile(
            system="fxiaoke", tenant="sandbox01", environment="sandbox", address=address, name="b", read=KEYS,
            options={"sees_everything": "yes", "counts": counts},
        )  # fmt: skip

        def change(chance: random.Random, share: float) -> int:
            done = 0
            for api in (a for a in OBJECTS if a != "PersonnelObj"):
                ids = [str(d["_id"]) for d in world.records(api) if d["life_status"] == "normal"]

                def edit(id: str, api: str = api) -> None:
                    doc = world.get(api, id)
                    doc["name"] = "changed"
                    world.touch(doc, "1000")
                    world.put(api, doc)

                def add(id: str, api: str = api) -> None:
                    doc = dict(world.get(api, id))
                    doc |= {
                        "_id": f"{chance.getrandbits(96):024x}",
                        "create_time": world.now_ms(),
                        "last_modified_time": world.now_ms(),
                    }
                    world.put(api, doc)

                done += spread(chance, ids, share, edit, lambda id, api=api: void(api, id), add)
            return done

        yield World(
            "fxiaoke, totals exact" if counts == "exact" else "fxiaoke",
            lambda clock: FxiaokeReader(profile, parse_mapping(sandbox_mapping()), clock=clock),
            lambda: Virtual(world.clock.advance), change, thread,
        )  # fmt: skip


@contextmanager
def jiandaoyun(customers: int, folder: Path, *, forms: int = 0) -> Iterator[World]:
    from steward.crm.jiandaoyun import JiandaoyunReader, open_wire
    from steward.crm.jiandaoyun_map import propose_forms
    from steward.crm.mapping import parse_mapping
    from steward.crm.profiles import Profile
    from steward.sandbox.jiandaoyun import READ_KEY, create_app

    app = create_app(folder / f"company{forms}.sqlite", customers=customers)
    state = app.state.company
    state.settings["rates"] = False
    state.run("UPDATE forms SET modified = modified - 7200")
    os.environ["BENCH_KEY"] = READ_KEY
    with served(app) as (address, thread):
        profile = Profile(
            system="jiandaoyun",
            tenant="acme",
            environment="sandbox",
            address=f"{address}/api",
            name="b",
            read={"token": "${BENCH_KEY}"},
        )
        wire = open_wire(profile, clock=Virtual())
        mapping = parse_mapping(propose_forms(wire).to_toml(tenant="acme", environment="sandbox"))
        wire.close()

        def change(chance: random.Random, share: float) -> int:
            done = 0
            every = [r["entry_id"] for r in state.rows("SELECT entry_id FROM forms ORDER BY entry_id")]
            for entry in every[:forms] if forms else every:
                ids = [
                    r["data_id"]
                    for r in state.rows("SELECT data_id FROM records WHERE entry_id = ? AND deleted IS NULL", entry)
                ]

                def edit(id: str, entry: str = entry) -> None:
                    state.update(entry, id, json.loads(state.record(entry, id)["body"]), "operator")

                def add(id: str, entry: str = entry) -> None:
                    state.insert(entry, json.loads(state.record(entry, id)["body"]), "operator")

                done += spread(chance, ids, share, edit, lambda id, e=entry: state.delete(e, id, "operator", to_bin=True), add)
            return done

        yield World(
            f"jiandaoyun, changes in {forms} of {len(mapping.objects)} forms" if forms else "jiandaoyun, changes in every form",
            lambda clock: JiandaoyunReader(profile, mapping, clock=clock), Virtual, change, thread,
        )  # fmt: skip


@contextmanager
def sql(customers: int, folder: Path) -> Iterator[World]:
    from steward.crm.mapping import parse_mapping
    from steward.crm.sql import SqlReader
    from steward.sandbox import build_crm, demo_mapping

    path = folder / "crm.sqlite"
    build_crm(f"sqlite:///{path}", customers=customers, seed=7)

    def change(chance: random.Random, share: float) -> int:
        done = 0
        with sqlite3.connect(path) as db:
            for table, column in (
                ("company", "city"),
                ("contact", "city"),
                ("deal", "name"),
                ("activity", "subject"),
                ("note", "body"),
            ):
                ids = [i for (i,) in db.execute(f"SELECT id FROM {table} ORDER BY id")]

                def edit(id: str, table: str = table, column: str = column) -> None:
                    db.execute(f"UPDATE {table} SET {column} = 'changed', row_version = row_version + 1 WHERE id = ?", (id,))

                def drop(id: str, table: str = table) -> None:
                    if table in ("activity", "note"):
                        db.execute(f"DELETE FROM {table} WHERE id = ?", (id,))
                    else:
                        db.execute(f"UPDATE {table} SET is_deleted = 1, row_version = row_version + 1 WHERE id = ?", (id,))

                done += spread(chance, ids, share, edit, drop, edit)
        return done

    yield World("sql (SQLite)", lambda clock: SqlReader(f"sqlite:///{path}", parse_mapping(demo_mapping())), Virtual, change)


@contextmanager
def tryton(customers: int, folder: Path) -> Iterator[World]:
    from steward.crm.profiles import Profile
    from steward.crm.registry import mapping_of
    from steward.crm.tryton import TrytonReader
    from tests.support.tryton import PASSWORD, TrytonServer

    os.environ["BENCH_WORD"] = PASSWORD
    server = TrytonServer()
    try:
        ids: list[int] = []
        for start in range(0, customers, 500):
            names = [{"name": f"Party {n}"} for n in range(start, min(start + 500, customers))]
            ids += server.call("model.party.party.create", names)
        profile = Profile(
            system="tryton", tenant="demo", environment="sandbox", address=server.address, name="b",
            read={"user": "admin", "password": "${BENCH_WORD}"},
        )  # fmt: skip

        def change(chance: random.Random, share: float) -> int:
            return spread(
                chance, ids, share, lambda id: server.call("model.party.party.write", [id], {"name": "changed"}),
                lambda id: server.call("model.party.party.delete", [id]),
                lambda id: server.call("model.party.party.create", [{"name": "new"}]),
            )  # fmt: skip

        yield World("tryton", lambda clock: TrytonReader(profile, mapping_of(profile), clock=clock), Virtual, change)
    finally:
        server.close()


WORLDS: dict[str, Callable[[int, Path], Any]] = {
    "sql": sql,
    "zoho": zoho,
    "copper": copper,
    "copper-careless": lambda n, f: copper(n, f, careless=True),
    "fxiaoke": fxiaoke,
    "fxiaoke-exact": lambda n, f: fxiaoke(n, f, counts="exact"),
    "jiandaoyun": jiandaoyun,
    "jiandaoyun-two": lambda n, f: jiandaoyun(n, f, forms=2),
    "tryton": tryton,
}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--customers", "--size", type=int, default=5_000)
    options.add_argument("--changes", type=float, default=0.01)
    options.add_argument("--only", nargs="*", choices=tuple(WORLDS), default=[w for w in WORLDS if w != "tryton"])
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as name:
        for one in chosen.only:
            with WORLDS[one](chosen.customers, Path(name)) as world:
                whole, onward, changed, ways = compare(world, Path(name) / one, chosen.changes)
                rows.append((world.name, changed, whole, onward, ways))
                if not chosen.json:
                    print(f"{world.name}: {changed} changes; whole {whole}; onward {onward}; {ways}", flush=True)
    if chosen.json:
        print(
            json.dumps([{"world": n, "changes": c, "whole": vars(w), "onward": vars(o), "ways": y} for n, c, w, o, y in rows])
        )
    fewest = min((o.requests / w.requests for _, _, w, o, _ in rows if w.requests), default=1.0)
    print(f"incremental: {fewest:.2f} of the requests at best (goal none) met")
    return 0


if __name__ == "__main__":
    sys.exit(main())
