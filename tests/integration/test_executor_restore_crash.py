"""Merges, hard deletes and restores killed at every step, resumed, undone: the CRM ends as if nothing had happened.

Each process kills itself at a random step; the next goes on. Nothing may be there twice, not even a record that a restore
makes anew under an id that the database gives.
"""

from __future__ import annotations

import dataclasses
import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from steward.errors import StewardError
from steward.executor.runner import Executor
from steward.executor.writers.sql import SqlWriter
from steward.records import RecordKey
from steward.sandbox import build_crm
from tests.integration.test_executor_restore import birch, typed
from tests.integration.test_executor_sql import childless, live
from tests.support.executor import World
from tests.support.signing import signer

pytestmark = pytest.mark.crash
__all__ = ["typed"]  # the fixture


def until_done(world: World, act: Callable[[Executor], object], *, seed: int, kills: int, steps: int = 16) -> Counter[str]:
    """Fork executors that kill themselves at a random step, then one that lives; return where they died."""
    rng, died = random.Random(seed), Counter[str]()
    world.executor().close()
    for attempt in range(400):
        said, told = os.pipe()
        left = [rng.randint(1, steps) if sum(died.values()) < kills else -1]
        pid = os.fork()
        if pid == 0:
            code = 5
            try:

                def hook(name: str, left: list[int] = left, told: int = told) -> None:
                    left[0] -= 1
                    if left[0] == 0:
                        os.write(told, name.encode())
                        os.kill(os.getpid(), signal.SIGKILL)

                with world.executor(hook=hook) as executor:
                    act(executor)
                code = 0
            except StewardError as error:
                os.write(told, str(error).encode()[:900])
                code = 4
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        os.close(told)
        where = os.read(said, 1_000).decode()
        os.close(said)
        if os.WIFSIGNALED(status):
            died[where] += 1
        elif os.WEXITSTATUS(status) == 0:
            return died
        else:
            assert os.WEXITSTATUS(status) == 4, f"attempt {attempt}: {where}"
    raise AssertionError("never ends")


@pytest.mark.parametrize("system", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_merges_and_their_undoing_killed_at_every_step(system: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = f"sqlite:///{tmp_path / 'crm.sqlite'}" if system == "sqlite" else request.getfixturevalue("postgres_database")
    build_crm(url, customers=60, seed=11)
    world = World(tmp_path, url, batch=4)
    before, contacts = world.rows(), live(world, "contact")
    changed: dict[RecordKey, Any] = {}
    for n in range(0, 18, 3):
        one, two, survivor = contacts[n : n + 3]
        changed |= {one: ("merge_into", survivor.id, {"email": one.id}), two: ("merge_into", survivor.id)}
    changed |= dict.fromkeys(childless(world, "ticket")[:6], "delete")
    manifest = world.manifest(changed, hard=["ticket"])
    with world.executor() as executor:
        _, said, _ = executor.plan(manifest)
    died = until_done(world, lambda e: e.apply(manifest), seed=3, kills=10)
    receipt = world.home / "receipts" / f"{manifest.name}.receipt.dsse.json"
    with world.executor() as executor:
        counts = executor.journal.counts(manifest.name)
        assert counts == {"done" if n == "apply" else n: c for n, c in said.verdicts.items()}, "as the plan had said"
        assert counts["done"] >= 15
        assert len({new for _, _, new, why, _ in executor.journal.id_map(manifest.name) if why == "merged"}) == 6
    now = world.records()
    for name, parent in world.mapping.objects["note"].parents.items():
        for key, record in now.items():
            if key.object == "note" and not record.deleted and record.fields[name] is not None:
                assert not now[RecordKey(parent, str(record.fields[name]))].deleted, "every moved link leads to somebody"
    died += until_done(world, lambda e: e.restore(receipt, signer("bob"), identities=[world.identity]), seed=5, kills=10)
    assert world.rows() == before
    assert sum(died.values()) >= 12 and {"intent", "sql.committed", "outcome"} & set(died), died


def test_records_made_anew_are_made_once_whatever_is_killed(typed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new id is in the same transaction as the row: no kill makes a second copy or loses which id became which."""
    old = typed.records()
    _, receipt = birch(typed)
    whole = SqlWriter.__init__

    def forgets(self: SqlWriter, *words: Any, **more: Any) -> None:
        whole(self, *words, **more)
        self.capabilities = dataclasses.replace(self.capabilities, restore_keeps_id=False)

    monkeypatch.setattr(SqlWriter, "__init__", forgets)
    died = until_done(
        typed, lambda e: e.restore(receipt, signer("bob"), identities=[typed.identity]), seed=8, kills=12, steps=26
    )
    assert sum(died.values()) >= 10
    now = typed.records()
    assert Counter(k.object for k in now) == Counter(k.object for k in old), "none lost, none twice"
    with typed.executor() as executor:
        restore = next(m["id"] for m in executor.journal.manifests() if m["kind"] == "restore")
        moved = {(o, a): b for o, a, b, why, _ in executor.journal.id_map(restore) if why == "recreated"}
    assert len(moved) == 6
    for was in old.values():
        entry = typed.mapping.objects[was.key.object]
        here = now[RecordKey(was.key.object, moved.get((was.key.object, was.key.id), was.key.id))]
        for name, parent in entry.parents.items():
            value = was.fields[name]
            led = None if value is None else moved.get((parent, str(value)), str(value))
            assert (None if here.fields[name] is None else str(here.fields[name])) == led
