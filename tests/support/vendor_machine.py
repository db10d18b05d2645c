"""The machine on which a vendor's real writer works over real HTTP while the power fails, calls fail and people act.

:class:`Machine` starts executors until one comes to its end, first with the deletion, then with the restore, and hands what the
journal says to a judge. Its disk loses unsynced bytes; before and after every call it may die, and somebody may act. A vendor
gives the scene, the faults of a call, what people do, how a writer is opened, and both judges. :func:`execute` is one executor
on any journal and disk; :func:`merge`, :func:`removal` and :func:`moves` write works down as a review does.
"""

from __future__ import annotations

import contextlib
import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar

import apsw
import httpx

from steward.crm.mapping import Mapping as CrmMapping
from steward.errors import StewardError
from steward.executor.audit import AuditLog
from steward.executor.backup import BackupReader
from steward.executor.brakes import Brakes
from steward.executor.engine import Engine
from steward.executor.journal import Journal, prepare
from steward.executor.plan import LiveDecider
from steward.executor.ports import Clock, Decider, Disk, Work
from steward.executor.restore import FrameEffects, RestoreDecider
from steward.executor.steps import StepLog
from steward.executor.writers.vendor import VendorWriter
from steward.manifest.chunks import ids_digest
from steward.manifest.format import RelatedSet, Survivor
from steward.records import Record
from tests.support.crash import _OPS, MANIFEST, RECIPIENTS
from tests.support.powercut import MemoryDisk, MemoryFiles, MemoryVfs, PowerCut
from tests.support.signing import signer

RESTORE = "01HARNESS0000000000RESTORE"
DONE = ("done", "done_inferred")
TAKEN = (*DONE, "partly")
OPEN = ("pending", "intent", "doubt")


@dataclass
class Tally:
    """What a loop came to."""

    runs: int = 0
    cuts: int = 0
    calls: int = 0
    acts: int = 0
    states: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    violations: list[tuple[int, str]] = field(default_factory=list)


# works ------------------------------------------------------------------------------------------------------------------


def moves(object: str, column: str, ids: Sequence[str]) -> tuple[RelatedSet, ...]:
    """Return that these children follow the survivor; nothing where there are none."""
    if not ids:
        return ()
    return (RelatedSet(object=object, field=column, rule="move", target=None, count=len(ids), digest=ids_digest(ids)),)


def merge(seq: int, loser: Record, survivor: Record, choices: Mapping[str, str], related: tuple[RelatedSet, ...]) -> Work:
    """Return the work of a merge, as both records were reviewed."""
    object, id = loser.key.object, survivor.key.id
    kept = Survivor(version=survivor.version, preimage=survivor.digest)
    return Work(
        seq, object, loser.key.id, "merge_into", id, loser.version, loser.digest, kept, choices, related, f"{object}>{id}"
    )


def removal(seq: int, record: Record, action: Any) -> Work:
    """Return the work of a deletion, as the record was reviewed."""
    return Work(seq, record.key.object, record.key.id, action, None, record.version, record.digest)


def went(journal: Journal) -> list[int]:
    """Items of the deletion of which anything was done, in the order of their restore."""
    return [row[0] for row in reversed(list(journal.outcomes(MANIFEST))) if row[5] in TAKEN]


def execute(
    manifest: str,
    journal: Journal,
    disk: Disk,
    writer: VendorWriter,
    mapping: CrmMapping,
    works: Sequence[Work],
    clock: Clock,
    *,
    actor: Callable[[], str] = lambda: "",
    **more: Any,
) -> None:
    """Let one executor do the deletion, or restore what it did; the manifest is received where it was not yet.

    Parameters
    ----------
    works : sequence of Work
        Those of the deletion.
    actor : callable
        Asked for the name of our own deletions in a recycle bin, before a restore alone: it may take a call.
    **more
        Words of the engine.
    """
    decider: Decider
    if manifest == MANIFEST:
        kind, mine = "deletion", list(works)
        decider = LiveDecider(
            writer, mapping, "steward-executor", clock.now, {}, vetoed=frozenset, held=frozenset, privacy=True,
            pending=lambda key: journal.is_open(manifest, key.object, key.id),
        )  # fmt: skip
    else:
        kind = "restore"
        mine = [
            Work(n, works[of].object, works[of].id, "restore", unit=works[of].unit, of_seq=of)
            for n, of in enumerate(went(journal))
        ]
        effects = FrameEffects(journal, BackupReader(disk, [_OPS]), MANIFEST)
        decider = RestoreDecider(writer, mapping, effects, journal.new_id, actor=actor())
    if journal.manifest(manifest) is None:
        journal.receive(manifest, "d" * 64, mine, kind=kind, at=datetime.now(UTC).isoformat(), retain_days=90)
    Engine(
        manifest, journal, disk, RECIPIENTS, writer, decider, AuditLog(journal, signer("machine"), origin="t/machine"),
        Brakes(1_000, overridden=True), lambda n: None, clock, batch=4, **more,
    ).run()  # fmt: skip


# the machine ------------------------------------------------------------------------------------------------------------


class LateClock:
    """Waiting takes no time, and lets calls that were held back take effect: none lives longer than we wait for it."""

    def __init__(self, late: Callable[[], None]) -> None:
        self.late, self.at = late, 0.0

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds
        if seconds >= 60:
            self.late()


class HostileWire(httpx.BaseTransport):
    """Every call passes here: :meth:`Machine.before_call` comes before it, :meth:`Machine.step` after it."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.inner = machine, httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        machine = self.machine
        machine.before_call(request)
        try:
            response = self.inner.handle_request(request)
            try:
                body = response.read()
            finally:
                response.close()
        except httpx.TransportError:
            if machine.steps_after_loss:
                machine.step()
            raise
        machine.step()
        headers = [(n, v) for n, v in response.headers.raw if n.lower() not in (b"content-length", b"transfer-encoding")]
        return httpx.Response(response.status_code, headers=headers, content=body)

    def close(self) -> None:
        self.inner.close()


@dataclass(kw_only=True)
class Machine(ABC):
    """One CRM that is worked on until the end.

    Attributes
    ----------
    seed : int
        Decides everything that happens.
    people : float
        How likely somebody acts just before or after a call.
    quiet : bool
        Nothing happens any more: every run has an end.
    left : int
        Steps until the power fails; negative where it does not.
    files : MemoryFiles
        The disk.
    restoring : bool
    steps_between_cuts : int
        The power fails after so many steps at the most.
    steps_after_loss : bool
        It may also fail after a call without an answer.
    engine : dict
        More words of the engine.
    """

    seed: int
    tally: Tally
    people: float = 0.02
    quiet: bool = False
    left: int = -1
    files: MemoryFiles = field(default_factory=MemoryFiles)
    restoring: bool = False

    steps_between_cuts: ClassVar[int] = 150
    steps_after_loss: ClassVar[bool] = False
    engine: ClassVar[dict[str, Any]] = {}

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.works: list[Work] = []
        self.mapping: CrmMapping
        self.clock: Any

    # what a vendor gives ---------------------------------------------------------------------------------------------

    @abstractmethod
    def before_call(self, request: httpx.Request) -> None:
        """Step, count the call, and decide what goes wrong with it."""

    @abstractmethod
    def open(self, steps: StepLog) -> VendorWriter:
        """Return a writer whose calls pass :class:`HostileWire`."""

    @abstractmethod
    def somebody(self, id: str = "") -> None:
        """Let somebody do something to a record, or to any."""

    @abstractmethod
    def judge(self, said: dict[int, str]) -> list[str]:
        """Compare what the journal says of the deletion with the CRM; return violations."""

    @abstractmethod
    def judge_restore(self, states: dict[int, str], said: dict[int, str], journal: Journal) -> list[str]:
        """Compare what the journal says of the restore with the CRM; ``states``: what it said of the deletion."""

    def actor(self, writer: VendorWriter) -> str:
        """Name of our own deletions in a recycle bin."""
        return ""

    def late(self) -> None:
        """Let calls that were held back take effect."""
        return

    # the machine -----------------------------------------------------------------------------------------------------

    def step(self, *, alone: bool = False) -> None:
        """Just before and after a call; ``alone``: nobody acts now."""
        if self.files.dead:
            raise PowerCut
        self.left -= 1
        if self.left == 0:
            self.files.cut()
            raise PowerCut
        if not self.quiet and not alone and self.random.random() < self.people:
            self.somebody()

    def go(self) -> list[str]:
        """Work to the end, twice; return violations."""
        found: list[str] = []
        states: dict[int, str] = {}
        for manifest in (MANIFEST, RESTORE):
            self.restoring = manifest == RESTORE
            cuts = self.random.randint(0, 3)
            for attempt in range(60):
                self.quiet = attempt > 12
                self.left = self.random.randint(1, self.steps_between_cuts) if attempt < cuts else -1
                if self._boot(manifest):
                    break
                if self.files.dead:
                    self.tally.cuts += 1
                    self.files = self.files.after_cut(self.random)
                else:
                    self.files = self.files.reopened()
            else:
                return [*found, f"NEVER-ENDS {manifest}"]
            self.late()
            self.files = self.files.reopened()
            db = MemoryVfs(self.files).open()
            journal = Journal(db)
            said = {row[0]: row[5] for row in journal.outcomes(manifest)}
            self.tally.states.update(f"{manifest[-7:]} {s}" for s in said.values())
            found += self.judge_restore(states, said, journal) if self.restoring else self.judge(said)
            states = states or said
            db.close()
            self.files = self.files.reopened()
        return found

    def _boot(self, manifest: str) -> bool:
        db: Any = None
        writer: VendorWriter | None = None
        try:
            db = MemoryVfs(self.files).open()
            prepare(db)
            journal, disk = Journal(db), MemoryDisk(self.files)
            writer = self.open(StepLog(db))
            actor = partial(self.actor, writer)
            execute(manifest, journal, disk, writer, self.mapping, self.works, self.clock, actor=actor, **self.engine)
            return True
        except (PowerCut, StewardError, apsw.Error, OSError):
            return False
        finally:
            self.left = -1
            if writer is not None:
                writer.close()
            if db is not None:
                with contextlib.suppress(PowerCut, apsw.Error, OSError):
                    db.close(True) if self.files.dead else db.close()
