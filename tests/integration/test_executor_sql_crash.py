"""The SQL writer killed at every step, on SQLite and PostgreSQL, and PostgreSQL stopped under it: exactly once.

A trigger in the database counts every deletion, so that a second one cannot hide; after each kill every deleted row must
have an equal frame on the disk.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import text

from steward.crm.sql import SqlReader
from steward.crm.sql_engine import open_engine
from steward.errors import StewardError
from steward.executor.backup import BackupReader, load_identities
from steward.executor.disk import RealDisk
from steward.executor.runner import Executor
from steward.records import RecordKey
from steward.sandbox import build_crm
from tests.conftest import PostgresServer
from tests.support.executor import World
from tests.support.signing import signer

pytestmark = pytest.mark.crash


def _sql(url: str, *statements: str) -> list[tuple[object, ...]]:
    engine, _ = open_engine(url, write=True)
    try:
        with engine.connect() as connection:
            found: list[tuple[object, ...]] = []
            for statement in statements:
                result = connection.execute(text(statement))
                found = [tuple(r) for r in result] if result.returns_rows else []
            if engine.dialect.name == "postgresql":
                connection.commit()
            return found
    finally:
        engine.dispose()


COUNT = {
    "sqlite": (
        "CREATE TABLE told (id TEXT)",
        "CREATE TRIGGER tell AFTER UPDATE ON activity WHEN NEW.is_deleted = 1 AND OLD.is_deleted = 0 BEGIN INSERT INTO told VALUES (NEW.id); END",
    ),
    "postgresql": (
        "CREATE TABLE told (id TEXT)",
        "CREATE FUNCTION tell() RETURNS trigger AS $$ BEGIN INSERT INTO told VALUES (NEW.id); RETURN NEW; END $$ LANGUAGE plpgsql",
        "CREATE TRIGGER tell AFTER UPDATE ON activity FOR EACH ROW WHEN (NEW.is_deleted = 1 AND OLD.is_deleted = 0) EXECUTE FUNCTION tell()",
    ),
}


def _child(world: World, manifest: Path, kill_at: int) -> int:
    """Fork an executor that kills itself at the n-th step; return its process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 5
    try:
        left = [kill_at]

        def hook(name: str) -> None:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        with Executor(world.home, hook=hook) as executor:
            executor._signer = world.key  # type: ignore[attr-defined]  # opening it takes half a second, by design
            executor.apply(manifest)
        code = 0
    except StewardError:
        code = 4
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def _check_backed(world: World, manifest: str) -> None:
    """Every row that is gone has an equal frame on the disk, whatever the journal says."""
    told = {str(r[0]) for r in _sql(world.url, "SELECT id FROM told")}
    if not told:
        return
    from steward.executor.backup import decode_effects, open_frame, split_frames

    disk = RealDisk(world.home / "backup")
    reader = world.reader
    saved: dict[str, set[str]] = {}
    for name in disk.names():
        if name.endswith(".frames"):
            for index, frame in enumerate(split_frames(disk.read(name))):
                for effect in decode_effects(open_frame(frame, reader.key, manifest, name.removesuffix(".frames"), index)):
                    saved.setdefault(effect.before.key.id, set()).add(effect.before.digest)
    for id in told:
        assert world.before[id] in saved.get(id, set()), f"{id} is gone and has no backup"


def _world(tmp_path: Path, url: str) -> tuple[World, Path, list[RecordKey]]:
    build_crm(url, customers=60, seed=11, truth_file=tmp_path / "truth.json")
    _sql(url, *COUNT["sqlite" if url.startswith("sqlite") else "postgresql"])
    world = World(tmp_path, url, batch=5)
    records = world.records()
    chosen = sorted(k for k, r in records.items() if k.object == "activity" and not r.deleted)[:40]
    world.before = {k.id: records[k].digest for k in chosen}
    with world.executor() as executor:
        world.key = executor.signer
    world.reader = BackupReader(RealDisk(world.home / "backup"), load_identities(world.identity.read_text()))
    return world, world.manifest(dict.fromkeys(chosen, "delete")), chosen


def _finish(world: World, manifest: Path, chosen: list[RecordKey], rows: dict[str, dict[str, str]]) -> None:
    told = Counter(str(r[0]) for r in _sql(world.url, "SELECT id FROM told"))
    assert told == Counter({k.id: 1 for k in chosen}), "each exactly once"
    with world.executor() as executor:
        counts = Counter(r[5] for r in executor.journal.outcomes(manifest.name))
        assert counts == {"done": len(chosen)}
        receipt = world.home / "receipts" / f"{manifest.name}.receipt.dsse.json"
        executor.audit_verify()
        _sql(world.url, "DROP TRIGGER tell" + ("" if world.url.startswith("sqlite") else " ON activity"))
        executor.restore(receipt, signer("bob"), identities=[world.identity])
    assert world.rows() == rows


@pytest.mark.parametrize("system", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_client_killed_at_every_step(system: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = f"sqlite:///{tmp_path / 'crm.sqlite'}" if system == "sqlite" else request.getfixturevalue("postgres_database")
    world, manifest, chosen = _world(tmp_path, url)
    rows = world.rows()
    rng, kills = random.Random(4), 0
    for attempt in range(200):
        pid = _child(world, manifest, rng.randint(3, 22) if attempt < 16 else -1)
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            kills += 1
            _check_backed(world, manifest.name)
            continue
        if os.WEXITSTATUS(status) == 0:
            break
        assert os.WEXITSTATUS(status) == 4
    assert kills >= 8
    _finish(world, manifest, chosen, rows)


@pytest.mark.postgres
def test_server_stopped_at_once_while_the_client_writes(tmp_path: Path) -> None:
    server = PostgresServer()
    try:
        world, manifest, chosen = _world(tmp_path, server.create())
        rows = world.rows()
        rng, ended = random.Random(9), False
        for attempt in range(40):
            pid = _child(world, manifest, -1)
            if attempt < 4:
                time.sleep(0.25 + rng.random() * 0.5)
                server.stop("immediate")
            _, status = os.waitpid(pid, 0)
            if attempt < 4:
                server.start()
                with contextlib.suppress(StewardError):
                    _check_backed(world, manifest.name)
            if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0:
                ended = True
                break
            assert os.WEXITSTATUS(status) in (4,), status
        assert ended
        _finish(world, manifest, chosen, rows)
    finally:
        server.stop()


def test_readers_and_writers_agree_on_what_is_there(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'crm.sqlite'}"
    build_crm(url, customers=20, seed=1, truth_file=tmp_path / "truth.json")
    world = World(tmp_path, url)
    from steward.executor.writers.sql import SqlLook

    look = SqlLook(url, world.mapping)
    with SqlReader(url, world.mapping) as reader:
        for part in reader.scan("contact"):
            read = look.read([r.key for r in part]).records
            assert {k: getattr(v, "digest", None) for k, v in read.items()} == {r.key: r.digest for r in part}
    look.close()
