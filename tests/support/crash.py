"""Two crash harnesses around the executor's real engine: kill -9 of a forked process, and power cuts in this one.

Each run is one CRM, one journal, one backup, and as many executors as it takes: every one but the last is ended at a
random place. The oracle is asked at the moment a delete is applied, and again at the end. :data:`SABOTAGE` are defects
the harness must find; a harness that finds none of them proves nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw
import pyrage

from steward.crm.mapping import parse_mapping
from steward.errors import CrmError, StewardError
from steward.executor.audit import AuditLog
from steward.executor.backup import FrameRef, decode_effects, key_name, open_frame, split_frames
from steward.executor.brakes import Brakes
from steward.executor.disk import RealDisk
from steward.executor.engine import Engine, Row
from steward.executor.journal import Journal, connect, prepare
from steward.executor.plan import LiveDecider
from steward.executor.ports import Answer, Disk, Reading, Result, Settled, State, Unit, Work
from steward.records import Absent
from tests.support.hostile_crm import OBJECT, HostileCrm, HostileWriter, plain
from tests.support.powercut import MemoryDisk, MemoryFiles, MemoryVfs, PowerCut
from tests.support.signing import signer

MANIFEST = "01HARNESS00000000000000000"
_OPS, _DPO = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
RECIPIENTS = (str(_OPS.to_public()), str(_DPO.to_public()))
MAPPING = parse_mapping(
    'format = "steward-mapping/1"\nsystem = "hostile"\ntenant = "t"\nenvironment = "e"\n[objects.contact]\nkey = "id"\n'
)


@dataclass
class Tally:
    """What a loop came to."""

    runs: int = 0
    crashes: int = 0
    deletes: int = 0
    windows: int = 0
    states: Counter[str] = field(default_factory=Counter)
    hooks: Counter[str] = field(default_factory=Counter)
    violations: list[tuple[int, str]] = field(default_factory=list)

    def kinds(self) -> Counter[str]:
        """Violations by their first word."""
        return Counter(text.split()[0] for _, text in self.violations)


class TickClock:
    """Waiting is told to the CRM, so that what comes late has come when the wait is over."""

    def __init__(self, call: Callable[[dict[str, Any]], Any] | None) -> None:
        self._call = call
        self._at = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        self._at += 0.001
        return self._at

    def sleep(self, seconds: float) -> None:
        if self._call is not None:
            self._call({"op": "tick"})


class DiskOracle:
    """Reads the backup as it is on the disk at this moment."""

    def __init__(self, read: Callable[[str], bytes | None], names: Callable[[], list[str]]) -> None:
        self._read, self._names = read, names
        self._known: dict[str, tuple[int, int]] = {}
        self._states: dict[str, dict[str, set[str]]] = {}

    def __call__(self, id: str, digest: str) -> str:
        for name in self._names():
            self._take(name)
        found: set[str] = set()
        for states in self._states.values():
            found |= states.get(id, set())
        return "equal" if digest in found else "other" if found else "none"

    def _take(self, name: str) -> None:
        raw = self._read(name) or b""
        done, count = self._known.get(name, (0, 0))
        if len(raw) < done:
            done, count = 0, 0
            self._states[name] = {}
        states = self._states.setdefault(name, {})
        for frame in split_frames(raw[done:]):
            try:
                plain_text = open_frame(frame, self._key, MANIFEST, name.removesuffix(".frames"), count)
                for effect in decode_effects(plain_text):
                    states.setdefault(effect.before.key.id, set()).add(effect.before.digest)
            except (StewardError, LookupError):
                pass  # unreadable is not a backup
            done += len(frame)
            count += 1
        self._known[name] = (done, count)

    def _key(self, key: str) -> bytes:
        wrapped = self._read(key_name(key))
        if wrapped is None:
            raise LookupError(key)
        try:
            opened: bytes = pyrage.decrypt(wrapped, [_OPS])
        except Exception as error:
            raise LookupError(key) from error
        return opened


# Sabotage ---------------------------------------------------------------------------------------------------------------


class _NoIntent(Journal):
    def intend(self, manifest: str, works: Sequence[Work], frame: FrameRef, did: Mapping[int, str]) -> None:
        super().intend(manifest, works, frame, did)
        self.db.executemany("UPDATE item SET state='pending' WHERE manifest=? AND seq=?", [(manifest, w.seq) for w in works])


class _Optimist(Journal):
    def intend(self, manifest: str, works: Sequence[Work], frame: FrameRef, did: Mapping[int, str]) -> None:
        super().intend(manifest, works, frame, did)
        self.db.executemany("UPDATE item SET state='done' WHERE manifest=? AND seq=?", [(manifest, w.seq) for w in works])


class _ForgetsDoubt(Journal):
    def doubt_intents(self, manifest: str) -> int:
        with self.commit():
            self.db.execute("UPDATE item SET state='pending' WHERE manifest=? AND state IN ('intent', 'doubt')", (manifest,))
        return 0


class _BlindRetry(HostileWriter):
    def apply(self, units: Sequence[Unit], *, manifest: str, attempt: int) -> Mapping[int, Result]:
        found: dict[int, Result] = {}
        ids = [(e.before.key.id, str(e.before.version)) for u in units for e in u.effects]
        seqs = {e.before.key.id: e.seq for u in units for e in u.effects}
        for _ in range(20):
            with contextlib.suppress(CrmError):
                answers = self._ask(op="delete", ids=ids)["answers"]
                said = {"done": Answer.DONE, "absent": Answer.DONE, "changed": Answer.CHANGED}
                found |= {seqs[a["id"]]: Result(said[a["result"]]) for a in answers}
                break
        return found


class _PutsBackAnyone(HostileWriter):
    def put_back(self, work: Work, *, manifest: str) -> bool:
        return bool(self._ask(op="restore", id=work.id).get("restored"))

    def settle(self, works: Sequence[Work], *, manifest: str) -> Mapping[int, Settled]:
        found = dict(super().settle(works, manifest=manifest))
        return {seq: Settled("edited") if said.state == "gone" else said for seq, said in found.items()}


class _SilenceIsAbsence(HostileWriter):
    def read(self, keys: Sequence[Any], *, links_of: Sequence[Any] = ()) -> Reading:
        found = super().read(keys)
        return Reading({**{k: Absent(k, "nothing") for k in keys}, **found.records})


class _BlindSettle(Engine):
    def _read_settled(self, works: Sequence[Work]) -> Mapping[int, Settled]:
        return {w.seq: Settled("again") for w in works}


class _AllIsDone(Engine):
    def _outcomes(self, going: Sequence[Work], results: Mapping[int, Result]) -> list[Row]:
        return [(w.seq, State.DONE, "", None) for w in going]


class _NeverCompares(Engine):
    def _compare_what_went(self, going: Sequence[Work], rows: list[Row]) -> list[Row]:
        return rows


class _BackupLater(Engine):
    @property
    def segment(self) -> Any:
        real = Engine.segment.__get__(self)
        waiting: list[Any] = self.__dict__.setdefault("waiting", [])

        class Later:
            @staticmethod
            def write(effects: Any) -> FrameRef:
                for old in waiting:
                    real.write(old)
                waiting[:] = [effects]
                return FrameRef("none", 0, 0, 0, "0" * 64, "0" * 32)

        return Later()


class _NoDrift(LiveDecider):
    def decide(self, works: Sequence[Work]) -> Any:
        now = self.look.read([w.key for w in works]).records
        blind = [
            replace(w, preimage=now[w.key].digest, version=now[w.key].version) if hasattr(now.get(w.key), "digest") else w
            for w in works
        ]
        return super().decide(blind)


SABOTAGE: dict[str, dict[str, Any]] = {
    "no intent": {"journal": _NoIntent},
    "done before it is": {"journal": _Optimist},
    "recovery forgets what was sent": {"journal": _ForgetsDoubt},
    "retries without reading": {"writer": _BlindRetry},
    "settles without reading": {"engine": _BlindSettle},
    "does not wait before settling": {"no_wait": True},
    "a partial answer is a whole one": {"engine": _AllIsDone},
    "deletes first, backs up later": {"engine": _BackupLater},
    "ignores drift": {"decider": _NoDrift},
    "no answer is absence": {"writer": _SilenceIsAbsence},
    "does not compare what went": {"engine": _NeverCompares, "conditional": False},
    "puts back what people deleted": {"writer": _PutsBackAnyone, "conditional": False},
    "backup not synced": {"disk": {"sync": False}, "cuts": True},
    "data key not synced": {"disk": {"sync_keys": False}, "cuts": True},
    "synchronous=NORMAL": {"synchronous": "NORMAL", "cuts": True},
}
"""Name → what is broken. ``cuts`` marks what only a power cut can show."""


def engine_of(
    journal: Journal,
    disk: Disk,
    call: Callable[[dict[str, Any]], dict[str, Any] | None],
    conditional: bool,
    broken: Mapping[str, Any],
    hook: Any,
) -> Engine:
    """The real engine over these parts, or a sabotaged one."""
    writer = broken.get("writer", HostileWriter)(call, conditional=conditional)
    clock = TickClock(None if broken.get("no_wait") else call)
    decider = broken.get("decider", LiveDecider)(
        writer, MAPPING, "steward-executor", clock.now, {}, vetoed=frozenset, held=frozenset
    )
    audit = AuditLog(journal, signer("machine"), origin="t/machine")
    return broken.get("engine", Engine)(
        MANIFEST, journal, disk, RECIPIENTS, writer, decider, audit, Brakes(1_000, overridden=True), lambda n: None, clock,
        batch=4, hook=hook, settle_seconds=1.0,
    )  # fmt: skip


def works_of(crm: HostileCrm) -> list[Work]:
    """Every record, as reviewed before anybody touched it."""
    return [
        Work(n, OBJECT, id, "soft_delete", version=str(row.version), preimage=row.record(id).digest)
        for n, (id, row) in enumerate(sorted(crm.rows.items()))
    ]


def execute(
    journal: Journal, disk: Disk, call: Any, works: Sequence[Work], conditional: bool, broken: Mapping[str, Any], hook: Any
) -> None:
    """One executor's life, if nothing ends it."""
    known = journal.manifest(MANIFEST)
    if known is None:
        journal.receive(MANIFEST, "d" * 64, works, kind="deletion", at=datetime.now(UTC).isoformat(), retain_days=90)
    engine_of(journal, disk, call, conditional, broken, hook).run()


def outcomes_of(journal: Journal) -> dict[str, str]:
    """Record id → state."""
    return {row[2]: row[5] for row in journal.outcomes(MANIFEST)}


NAMED = (
    "recover", "batch", "gates", "decided", "backup.key", "backup.key.done", "backup.append", "backup.sync", "backup.read",
    "backed", "intent", "answered", "put_back", "outcome", "settle", "settled", "settled.outcome",
)  # fmt: skip
"""Every step of the engine that has a name; ``crm.before`` and ``crm.after`` are the server's."""


# Harness A: kill -9 -----------------------------------------------------------------------------------------------------


def kill_run(
    seed: int, tally: Tally, *, conditional: bool = True, broken: Mapping[str, Any] | None = None, size: int = 16
) -> None:
    """One CRM; executors are killed at random until one lives to the end."""
    rng = random.Random(seed)
    broken = broken or {}
    # In memory where there is such a folder: a killed process loses nothing that was written, so the disk adds only time.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="steward-kill-", dir=memory))
    backup = folder / "backup"
    backup.mkdir()

    def read(name: str) -> bytes | None:
        try:
            return (backup / name).read_bytes()
        except FileNotFoundError:
            return None

    oracle = DiskOracle(read, lambda: sorted(p.name for p in backup.glob("*.frames")))
    crm = HostileCrm(seed, size=size, conditional=conditional, backed=oracle, people=(0.05, 0.2)[seed % 4 // 2])
    works = works_of(crm)
    try:
        kills = rng.randint(1, 6)
        for attempt in range(200):
            crm.quiet = attempt > 60
            died = _one_life(folder, crm, works, conditional, broken, rng if attempt < kills else None, tally)
            if not died:
                break
        else:
            tally.violations.append((seed, "NEVER-ENDS"))
        journal = Journal(connect(folder / "journal.sqlite"))
        found = outcomes_of(journal)
        journal.db.close()
        if found:
            tally.states.update(found.values())
            tally.violations += [(seed, text) for text in crm.judge(found)]
        tally.runs += 1
        tally.deletes += crm.deletes
    finally:
        shutil.rmtree(folder)


def _one_life(
    folder: Path,
    crm: HostileCrm,
    works: Sequence[Work],
    conditional: bool,
    broken: Mapping[str, Any],
    rng: random.Random | None,
    tally: Tally,
) -> bool:
    """Fork an executor and serve it; True where it did not come to its end."""
    mine, theirs = socket.socketpair()
    said, told = os.pipe()
    how = rng.choice(["hook", "hook", "named", "server", "async"]) if rng else "none"
    at = rng.randint(1, 60) if rng else 0
    name = rng.choice(NAMED) if rng and how == "named" else ""
    child = os.fork()
    if child == 0:
        mine.close()
        os.close(said)
        _live(
            folder, theirs, works, conditional, broken, (name, at % 3 + 1) if name else ("", at if how == "hook" else -1), told
        )
    theirs.close()
    os.close(told)

    class Killed(Exception):
        pass

    left = [at if how == "server" else -1]

    def step(name: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(child, signal.SIGKILL)
            tally.hooks[name] += 1
            raise Killed

    crm.on_step = step
    requests = at if how == "async" else -1
    try:
        with contextlib.suppress(ConnectionError), mine, mine.makefile("rb") as lines:
            for line in lines:
                requests -= 1
                if requests == 0:  # while the request is on its way, or a moment later
                    time.sleep((rng or random).random() * 0.002)
                    os.kill(child, signal.SIGKILL)
                    tally.hooks["async"] += 1
                try:
                    answer = crm.handle(json.loads(line))
                except Killed:
                    continue
                with contextlib.suppress(OSError):
                    mine.sendall(plain({"lost": True} if answer is None else answer))
    finally:
        crm.on_step = lambda name: None
        _, status = os.waitpid(child, 0)
        hooks = os.read(said, 100)
        os.close(said)
    if os.WIFSIGNALED(status):
        tally.crashes += 1
        if hooks:
            tally.hooks[hooks.decode()] += 1
        return True
    return os.WEXITSTATUS(status) != 0


def _live(
    folder: Path,
    server: socket.socket,
    works: Sequence[Work],
    conditional: bool,
    broken: Mapping[str, Any],
    kill_at: tuple[str, int],
    told: int,
) -> None:
    """The executor's process; never returns. It ends at the n-th step, or at the n-th of a name."""
    code = 3
    try:
        wanted, left = kill_at[0], [kill_at[1]]

        def hook(name: str) -> None:
            left[0] -= not wanted or name == wanted
            if left[0] == 0:
                os.write(told, name.encode())
                os.kill(os.getpid(), signal.SIGKILL)

        lines = server.makefile("rb")

        def call(request: dict[str, Any]) -> dict[str, Any] | None:
            server.sendall(plain(request))
            answer = json.loads(lines.readline())
            return None if "lost" in answer else answer

        journal = broken.get("journal", Journal)(connect(folder / "journal.sqlite"))
        execute(journal, RealDisk(folder / "backup"), call, works, conditional, broken, hook)
        code = 0
    except StewardError:
        code = 4
    except BaseException:
        if os.environ.get("STEWARD_HARNESS_DEBUG"):
            import traceback

            traceback.print_exc()
        code = 5
    finally:
        os._exit(code)


def _silence_dead_machines() -> None:
    """SQLite reports errors of closing a connection to a dead machine where nobody can act on them."""
    told = sys.unraisablehook

    def hook(found: Any) -> None:
        if not isinstance(found.exc_value, apsw.Error | PowerCut):
            told(found)

    sys.unraisablehook = hook


_silence_dead_machines()


# Harness B: power cuts --------------------------------------------------------------------------------------------------


def cut_run(
    seed: int, tally: Tally, *, conditional: bool = True, broken: Mapping[str, Any] | None = None, size: int = 12
) -> None:
    """One CRM; the executor's machine loses power at random until one executor comes to its end."""
    rng = random.Random(seed)
    broken = broken or {}
    fs = MemoryFiles()
    current = [fs]

    def durable(name: str) -> bytes | None:
        file = current[0].files.get(name)
        return None if file is None else file.durable

    oracle = DiskOracle(durable, lambda: sorted(n for n in current[0].files if n.endswith(".frames")))
    crm = HostileCrm(seed, size=size, conditional=conditional, backed=oracle, people=(0.05, 0.2)[seed % 4 // 2])
    works = works_of(crm)
    cuts = rng.randint(1, 6)
    for attempt in range(200):
        crm.quiet = attempt > 60
        fs = current[0]
        fs.cut_at = rng.randint(1, 220) if attempt < cuts else None
        at_server = rng.randint(1, 12) if attempt < cuts and rng.random() < 0.3 else -1
        if _one_boot(fs, crm, works, conditional, broken, at_server):
            break
        if fs.dead:
            tally.crashes += 1
            current[0] = fs.after_cut(rng)
        else:
            current[0] = fs.reopened()
    else:
        tally.violations.append((seed, "NEVER-ENDS"))
        return
    db = MemoryVfs(current[0].reopened()).open()
    found = outcomes_of(Journal(db))
    db.close()
    tally.states.update(found.values())
    tally.violations += [(seed, text) for text in crm.judge(found)]
    tally.runs += 1
    tally.deletes += crm.deletes


def _one_boot(
    fs: MemoryFiles, crm: HostileCrm, works: Sequence[Work], conditional: bool, broken: Mapping[str, Any], at_server: int
) -> bool:
    """One executor on this machine; True where it came to its end."""
    left = [at_server]

    def step(name: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            fs.cut()

    def call(request: dict[str, Any]) -> dict[str, Any] | None:
        if fs.dead:
            raise PowerCut
        return crm.handle(request)

    crm.on_step = step
    db = None
    try:
        db = MemoryVfs(fs).open()
        prepare(db, synchronous=broken.get("synchronous", "FULL"))
        journal = broken.get("journal", Journal)(db)
        disk = MemoryDisk(fs, **broken.get("disk", {}))
        execute(journal, disk, call, works, conditional, broken, lambda name: None)
        return True
    except (PowerCut, StewardError, apsw.Error, OSError):
        return False
    finally:
        crm.on_step = lambda name: None
        if db is not None:
            with contextlib.suppress(PowerCut, apsw.Error, OSError):
                if fs.dead:
                    db.close(True)
                else:
                    db.close()


def fault_run(n: int, failure: int, *, conditional: bool = True, size: int = 8) -> tuple[bool, list[str]]:
    """A small run whose n-th write or sync fails, then a second on the mended disk; True where nothing failed any more."""
    fs = MemoryFiles(fail_at=n, failure=failure)
    current = [fs]

    def seen(name: str) -> bytes | None:
        file = current[0].files.get(name)
        return None if file is None else bytes(file.data)

    oracle = DiskOracle(seen, lambda: sorted(x for x in current[0].files if x.endswith(".frames")))
    crm = HostileCrm(n, size=size, people=0.1, conditional=conditional, backed=oracle)
    works = works_of(crm)
    ended = _one_boot(fs, crm, works, conditional, {}, -1)
    untouched = not fs.failed
    for _ in range(100):
        if ended:
            break
        current[0] = current[0].reopened()
        ended = _one_boot(current[0], crm, works, conditional, {}, -1)
    if not ended:
        return untouched, ["NEVER-ENDS"]
    db = MemoryVfs(current[0].reopened()).open()
    found = outcomes_of(Journal(db))
    db.close()
    return untouched, crm.judge(found)
