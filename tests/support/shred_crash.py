"""``backup erase``, ``backup expire`` and restores, ended anywhere: killed, unplugged, on a disk that is full or broken.

One finished world is made once: a record that was deleted, restored, deleted again, and that lies also in a frame which a
killed run left over. Journal and backup are then put on a disk in memory that loses unsynced bytes, or the real home is
copied for a process that is killed. After each crash the next call must finish, and the oracle reads every byte that is
left: all other records are there as before, the erased one under no key, one receipt, one event. :data:`SABOTAGE` are
defects that the harness must find.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
import pyrage

from steward.errors import NotFoundError, StewardError
from steward.executor import erasure, expiry, shredding
from steward.executor.backup import BackupReader, key_name, load_identities, open_frame, segment_name, split_frames
from steward.executor.disk import RealDisk
from steward.executor.documents import SHRED_TYPE, ShredPredicate
from steward.executor.erasure import erase
from steward.executor.expiry import expire
from steward.executor.journal import Journal, prepare
from steward.executor.ports import Disk
from steward.executor.runner import Executor
from steward.records import RecordKey
from steward.sandbox import build_crm
from steward.signing import verify_statement
from tests.integration.test_executor_sql import childless
from tests.support.crash import Tally
from tests.support.executor import World
from tests.support.powercut import File, MemoryDisk, MemoryFiles, MemoryVfs, PowerCut
from tests.support.signing import signer

KINDS = ("erase", "expire", "restore")
_WRITES = {"erase": 130, "expire": 55, "restore": 170}
"""About how many writes and syncs each takes."""


class _Stop(BaseException):
    """The end of a run, as a kill would."""


@dataclass
class Scene:
    """A finished world and what its backups held."""

    world: World
    secret: RecordKey
    receipt: Path
    expires: str
    rows: dict[str, dict[str, str]]
    held: dict[str, Counter[tuple[Any, ...]]] = field(default_factory=dict)
    _kept: Path = field(default_factory=Path)

    def reset(self) -> None:
        """Put home and CRM back as they were made."""
        for name in ("executor", "crm.sqlite"):
            there, saved = self.world.folder / name, self._kept / name
            if saved.is_dir():
                shutil.rmtree(there, ignore_errors=True)
                shutil.copytree(saved, there)
            else:
                shutil.copy(saved, there)

    def keep(self) -> None:
        """Remember home and CRM as they are."""
        self._kept = Path(tempfile.mkdtemp(prefix="kept-", dir=self.world.folder.parent))
        shutil.copytree(self.world.home, self._kept / "executor")
        shutil.copy(self.world.folder / "crm.sqlite", self._kept / "crm.sqlite")


def scene(folder: Path) -> Scene:
    """Make a world: three finished manifests, one to expire, and a left-over frame with the record that shall be erased."""
    folder = folder / "scene"
    folder.mkdir()
    build_crm(f"sqlite:///{folder / 'crm.sqlite'}", customers=20, seed=5)
    world = World(folder, f"sqlite:///{folder / 'crm.sqlite'}", batch=3)
    rows = world.rows()
    chosen = childless(world, "activity")[:10]
    secret = chosen[1]
    first = world.manifest(dict.fromkeys(chosen[:5], "delete"))
    stops = {"backed": 1}

    def stop(name: str) -> None:
        stops[name] = stops.get(name, 0) - 1
        if stops[name] == 0:
            raise _Stop

    with world.executor(hook=stop) as executor, contextlib.suppress(_Stop):
        executor.apply(first)
    with world.executor() as executor:
        receipt = executor.apply(first).receipt
        executor.restore(receipt, signer("bob"), identities=[world.identity])
        second = world.manifest({secret: "delete", **dict.fromkeys(chosen[5:9], "delete")})
        done = executor.apply(second)
        with executor.journal.commit():
            executor.journal.db.execute("UPDATE manifest SET finished='2020-01-01T00:00:00+00:00' WHERE id=?", (first.name,))
    made = Scene(world, secret, done.receipt, first.name, rows)
    with world.executor() as executor:
        made.held = held(executor, executor.backup_disk)
        keys = executor.journal.keys_of(first.name)
    assert len(keys) == 2, "one of them is what the killed run left over"
    made.keep()
    return made


def held(executor: Executor, disk: Disk) -> dict[str, Counter[tuple[Any, ...]]]:
    """Return, by manifest that has not expired, every effect in its frames. Each frame must open and be what was noted."""
    identities = load_identities((executor.home.path.parent / "ops.agekey").read_text())
    reader = BackupReader(disk, identities)
    found: dict[str, Counter[tuple[Any, ...]]] = {}
    for known in executor.journal.manifests():
        if not known["expired"]:
            found[known["id"]] = Counter(
                (e.seq, e.role, e.op, e.before.key, e.before.digest, json.dumps(sorted(e.changes.items()), default=str))
                for ref in executor.journal.frames(known["id"]).values()
                for e in reader.read(known["id"], ref)
            )
    return found


# The machine ------------------------------------------------------------------------------------------------------------


class Machine(Executor):
    """An executor whose journal and backup lie in memory."""

    def __init__(self, world: World, fs: MemoryFiles, *, hook: Callable[[str], None], broken: Mapping[str, Any]) -> None:
        super().__init__(world.home, hook=hook)
        self._signer = world.key
        self._fs, self._broken = fs, broken

    @property
    def journal(self) -> Journal:
        if self._journal is None:
            db = MemoryVfs(self._fs).open()
            try:
                prepare(db, synchronous=self._broken.get("synchronous", "FULL"))
            except BaseException:
                _close(db, self._fs)
                raise
            self._journal = self._broken.get("journal", Journal)(db)
        return self._journal

    @property
    def backup_disk(self) -> Any:
        return MemoryDisk(self._fs, **self._broken.get("disk", {}))

    def close(self) -> None:
        if self._journal is not None:
            _close(self._journal.db, self._fs)
            self._journal = self._pusher = self._outbox = None


def _close(db: apsw.Connection, fs: MemoryFiles) -> None:
    with contextlib.suppress(PowerCut, apsw.Error, OSError):
        if fs.dead:
            db.close(True)
        else:
            db.close()


def loaded(home: Path) -> MemoryFiles:
    """Return the journal and backup of a home as files in memory, all durable."""
    fs = MemoryFiles()
    backup = home / "backup"
    files = {p.relative_to(backup).as_posix(): p for p in backup.rglob("*") if p.is_file()}
    for name, path in {**files, "journal.sqlite": home / "journal.sqlite"}.items():
        raw = path.read_bytes()
        fs.files[name] = File(bytearray(raw), raw)
    return fs


@contextlib.contextmanager
def counted(fs: MemoryFiles) -> Iterator[None]:
    """Let every write, sync and rename of the other files of the home count as one of this machine's."""
    names = ("write", "fsync", "replace", "rename", "link")
    real = {name: getattr(os, name) for name in names}

    def through(name: str) -> Callable[..., Any]:
        def call(*words: Any, **more: Any) -> Any:
            fs.step()
            return real[name](*words, **more)

        return call

    for name in names:
        setattr(os, name, through(name))
    try:
        yield
    finally:
        for name in names:
            setattr(os, name, real[name])


def act(scene: Scene, executor: Executor, kind: str) -> None:
    """Do what is under test; being told that nothing is left is an end as well where the oracle agrees."""
    identities = [scene.world.identity]
    match kind:
        case "erase":
            with contextlib.suppress(NotFoundError):
                erase(executor, scene.secret, identities=identities)
        case "expire":
            expire(executor)
        case "restore":
            executor.restore(scene.receipt, signer("bob"), identities=identities)


def boot(scene: Scene, fs: MemoryFiles, kind: str, broken: Mapping[str, Any], stop_at: int = -1) -> str:
    """One life of the executor on this machine; return "" where it came to its end, else why not."""
    left = [stop_at]

    def hook(name: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise _Stop(name)

    executor = Machine(scene.world, fs, hook=hook, broken=broken)
    try:
        with counted(fs):
            act(scene, executor, kind)
        return ""
    except (PowerCut, _Stop, StewardError, apsw.Error, OSError) as error:
        return f"{type(error).__name__} {error}"
    finally:
        executor.close()


# The oracle -------------------------------------------------------------------------------------------------------------


def judge(scene: Scene, executor: Executor, disk: Disk, kind: str) -> list[str]:
    """Read everything that is left; return violations."""
    wrong: list[str] = []
    journal = executor.journal
    try:
        now = held(executor, disk)
    except StewardError as error:
        return [f"LOST a frame does not open: {error.facts}"]
    for manifest, was in scene.held.items():
        if kind == "expire" and manifest == scene.expires:
            wrong += [f"KEPT {manifest} has not expired"] if manifest in now else []
            continue
        want = Counter({e: n for e, n in was.items() if kind != "erase" or e[3] != scene.secret})
        if now.get(manifest) != want:
            wrong.append(f"LOST {manifest}: {len(want - now.get(manifest, Counter()))} effects")
    readable = _readable(scene, disk)
    needed = {r.key for m in now for r in journal.frames(m).values()}
    wrong += [f"KEY {key} opens and nothing needs it" for key in readable if key not in needed and kind != "restore"]
    if kind == "erase" and (found := _frames_with(scene, executor, disk, readable)):
        wrong.append(f"READABLE in {found}")
    events = Counter(e["event"] for e in map(json.loads, (body for _, body, _ in journal.events())))
    executor.audit_verify()
    return wrong + (_judge_restore(scene, executor) if kind == "restore" else _judge_receipt(scene, executor, kind, events))


def _readable(scene: Scene, disk: Disk) -> dict[str, bytes]:
    identities = load_identities(scene.world.identity.read_text())
    found = {}
    for name in disk.names("keys/"):
        with contextlib.suppress(Exception):
            found[name[5:-4]] = pyrage.decrypt(disk.read(name), identities)
    return found


def _frames_with(scene: Scene, executor: Executor, disk: Disk, keys: Mapping[str, bytes]) -> list[str]:
    """Names of segments in which the record can be read, whether the journal knows the frame or not."""
    found = []
    for known in executor.journal.manifests():
        for number in range(1, known["segments"] + 1):
            segment = f"{known['id']}.{number}"
            if disk.size(segment_name(segment)) is None:
                continue
            for n, frame in enumerate(split_frames(disk.read(segment_name(segment)))):
                with contextlib.suppress(StewardError, LookupError):
                    if scene.secret.id.encode() in open_frame(frame, lambda k: keys[k], known["id"], segment, n):
                        found.append(f"{segment}#{n}")
    return found


def _judge_receipt(scene: Scene, executor: Executor, kind: str, events: Counter[str]) -> list[str]:
    receipts = list((scene.world.home / "receipts").glob("*.shred.dsse.json"))
    if len(receipts) != 1 or events["shredded"] != 1:
        return [f"RECEIPT {len(receipts)} receipts, {events['shredded']} events"]
    said = verify_statement(
        receipts[0].read_bytes(), trust=executor.trust(), now=executor.now(), predicate_type=SHRED_TYPE,
        predicate=ShredPredicate, by="executors", tenant=scene.world.mapping.tenant,
    ).predicate  # fmt: skip
    want = str(scene.secret) if kind == "erase" else None
    manifests = tuple(scene.held) if kind == "erase" else (scene.expires,)
    good = (said.record, set(said.manifest_ids)) == (want, set(manifests)) and said.keys >= len(manifests)
    return [] if good else [f"RECEIPT says {said.record} {said.manifest_ids} {said.keys}"]


def _judge_restore(scene: Scene, executor: Executor) -> list[str]:
    wrong = [] if scene.world.rows() == scene.rows else ["ROWS are not as before"]
    made = [m for m in executor.journal.manifests() if m["kind"] == "restore" and m["id"] not in scene.held]
    if {m["state"] for m in made} != {"finished"} or len(made) > 2:  # a second one where the first had ended unsaid
        return [*wrong, f"RESTORE {[m['state'] for m in made]}"]
    id = made[0]["id"]
    ends = [e for _, b, _ in executor.journal.events() if (e := json.loads(b))["event"] == "finished" and e["manifest"] == id]
    lines = scene.world.home / "receipts" / f"{id}.report.ndjson"
    counts = executor.journal.counts(id)
    if len(ends) != 1 or not (scene.world.home / "receipts" / f"{id}.receipt.dsse.json").exists():
        wrong.append(f"RECEIPT {len(ends)} endings")
    if not lines.exists() or len(lines.read_bytes().splitlines()) < 5:
        wrong.append("REPORT is missing")
    return wrong if set(counts) <= {"done", "done_inferred"} and sum(counts.values()) == 5 else [*wrong, f"STATES {counts}"]


def _ended(scene: Scene, fs: MemoryFiles, kind: str, *, whole: bool) -> list[str]:
    executor = Machine(scene.world, fs, hook=lambda name: None, broken={})
    try:
        wrong = judge(scene, executor, MemoryDisk(fs), kind)
        return wrong + (_bring_back(scene, executor) if whole and kind == "erase" and not wrong else [])
    finally:
        executor.close()


def _bring_back(scene: Scene, executor: Executor) -> list[str]:
    """Restore what the backup still holds: all rows but the erased one are as they were before anything."""
    counts = executor.restore(scene.receipt, signer("bob"), identities=[scene.world.identity]).counts
    now = scene.world.rows()
    now[scene.secret.object][scene.secret.id] = scene.rows[scene.secret.object][scene.secret.id]
    return [] if counts == {"done": 4, "failed": 1} and now == scene.rows else [f"LOST a restore says {counts}"]


# Loops ------------------------------------------------------------------------------------------------------------------


def cut_run(scene: Scene, seed: int, kind: str, tally: Tally, broken: Mapping[str, Any] | None = None) -> None:
    """The power fails at random, several times; then one executor comes to its end."""
    rng = random.Random(seed)
    scene.reset()
    fs = loaded(scene.world.home)
    for _ in range(rng.randint(1, 4)):
        fs.cut_at = rng.randint(1, _WRITES[kind])
        with sabotaged(broken or {}):
            if not boot(scene, fs, kind, broken or {}):
                break
        tally.crashes += fs.dead
        fs = fs.after_cut(rng) if fs.dead else fs.reopened()
    _finish(scene, fs.reopened(), seed, kind, tally, broken or {})


def stop_run(scene: Scene, n: int, kind: str, tally: Tally, broken: Mapping[str, Any] | None = None) -> bool:
    """A process is ended at its n-th named step; True where it came to its end before."""
    scene.reset()
    fs = loaded(scene.world.home)
    with sabotaged(broken or {}):
        why = boot(scene, fs, kind, broken or {}, stop_at=n)
    tally.crashes += bool(why)
    tally.hooks[why] += 1
    _finish(scene, fs.reopened(), n, kind, tally, broken or {})
    return not why


def fault_run(scene: Scene, n: int, failure: int, kind: str, tally: Tally) -> bool:
    """The n-th write or sync fails; True where there was none."""
    scene.reset()
    fs = loaded(scene.world.home)
    fs.fail_at, fs.failure = n, failure
    boot(scene, fs, kind, {})
    tally.crashes += fs.failed
    _finish(scene, fs.reopened(), n, kind, tally, {})
    return not fs.failed


def _finish(scene: Scene, fs: MemoryFiles, seed: int, kind: str, tally: Tally, broken: Mapping[str, Any]) -> None:
    """The next call, on a mended machine: it must come to its end."""
    tally.runs += 1
    with sabotaged(broken):
        why = boot(scene, fs, kind, broken)
    if why:
        tally.violations.append((seed, f"NEVER-ENDS {kind}: {why}"))
        return
    tally.violations += [(seed, f"{text} [{kind}]") for text in _ended(scene, fs.reopened(), kind, whole=seed % 5 == 0)]


def kill_run(scene: Scene, seed: int, kind: str, tally: Tally, *, at: int = 0) -> bool:
    """A forked executor on the real disk gets kill -9 at its ``at``-th step, or at any time; True where it lived.

    The next call is this process's own.
    """
    rng = random.Random(seed)
    scene.reset()
    pid = os.fork()
    if pid == 0:
        try:
            left = [at]

            def hook(name: str) -> None:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

            with scene.world.executor(hook=hook) as executor:
                act(scene, executor, kind)
            os._exit(0)
        finally:
            os._exit(5)
    if not at:
        time.sleep(rng.random() * 0.12)
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    tally.runs += 1
    tally.crashes += os.WIFSIGNALED(status)
    with scene.world.executor() as executor:
        try:
            act(scene, executor, kind)
            wrong = judge(scene, executor, RealDisk(scene.world.home / "backup"), kind)
        except StewardError as error:
            wrong = [f"NEVER-ENDS {error}"]
    tally.violations += [(seed, f"{text} [{kind}]") for text in wrong]
    return not os.WIFSIGNALED(status)


# Sabotage ---------------------------------------------------------------------------------------------------------------


class _NamesNoKey(Journal):
    def note_key(self, manifest: str, key: str) -> None:
        pass


def _forgets_first(parts: Any, disk: Any, trust: Any) -> Any:
    """As it was before: what must go is forgotten when it is gone, and the receipt comes afterwards."""
    text = parts.journal.get("shredding")
    if not text:
        return None
    said = shredding.msgspec.json.decode(text, type=shredding.Shredding)
    shredding._remove(parts, disk, said.keys)
    with parts.journal.commit():
        parts.journal.forget("shredding")
    parts.hook("shred.removed")
    said = shredding._log(parts, said, trust)
    path = shredding._write_receipt(parts, said)
    with parts.journal.commit():
        parts.journal.forget("shredding")
    return shredding.Shredded(said, path)


def _keys_first(parts: Any, disk: Any, trust: Any, reader: Any, key: Any, found: Any) -> None:
    """The keys go before the journal points elsewhere; the reader has them still."""
    for k in sorted(set().union(*found.values())):
        disk.remove(key_name(k))
    _rewrite(parts, disk, trust, reader, key, found)


_rewrite = erasure._rewrite

SABOTAGE: dict[str, dict[str, Any]] = {
    "forgets what it had decided": {"patch": {"finish": _forgets_first}},
    "removes keys before the journal points elsewhere": {"rewrite": _keys_first},
    "leaves what a killed run left": {"patch": {"drop_loose_keys": lambda parts, disk: 0}},
    "names no key": {"journal": _NamesNoKey},
    "new frames not synced": {"disk": {"sync": False}},
    "new data keys not synced": {"disk": {"sync_keys": False}},
    "synchronous=NORMAL": {"synchronous": "NORMAL"},
}
"""Name → what is broken."""


@contextlib.contextmanager
def sabotaged(broken: Mapping[str, Any]) -> Iterator[None]:
    """Break erasure and expiry as a variant says."""
    places = [(m, n, f) for n, f in broken.get("patch", {}).items() for m in (erasure, expiry)]
    if "rewrite" in broken:
        places.append((erasure, "_rewrite", broken["rewrite"]))
    real = [(m, n, getattr(m, n)) for m, n, _ in places]
    for module, name, function in places:
        setattr(module, name, function)
    try:
        yield
    finally:
        for module, name, function in real:
            setattr(module, name, function)


FAILURES = (errno.ENOSPC, errno.EIO)
