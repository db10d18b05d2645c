"""What the executor's parts promise each other: disk, clock, hooks, writer, and the small values that pass between them.

The protocol loop (``steward.executor.engine``) knows only these. A crash harness puts a disk that loses unsynced bytes,
a clock that jumps and a CRM that lies behind the same words.

Left to others: doing any of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, Protocol

from steward.crm.base import Capabilities
from steward.manifest.format import RelatedSet, Survivor
from steward.records import Absent, Fields, Link, Record, RecordKey, Scalar

if TYPE_CHECKING:
    from steward.executor.verdict import Verdict

Hook = Callable[[str], None]
"""Called with the name of each step just before and after it; a harness may end the process there."""


def no_hook(name: str) -> None:
    """Do nothing: the hook of real runs."""


class Clock(Protocol):
    """Wall time for documents, monotonic time for durations; locks use neither."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class Disk(Protocol):
    """Append-only files of one folder, and when their bytes are durable."""

    def append(self, name: str, data: bytes) -> int:
        """Append and return the offset the bytes begin at. Not durable before :meth:`sync`."""
        ...

    def sync(self, name: str) -> None:
        """Return when every appended byte of the file, and its name, would survive a power cut.

        After an error the file must not be written to again: what the kernel kept of it is not known.
        """
        ...

    def write_new(self, name: str, data: bytes) -> None:
        """Write a whole new file: after a crash it is there entirely or not at all. Durable on return."""
        ...

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return bytes as the disk has them; fewer where the file ends. ``FileNotFoundError`` where there is none."""
        ...

    def size(self, name: str) -> int | None:
        """Return the length, None where there is no such file."""
        ...

    def truncate(self, name: str, size: int) -> None:
        """Cut a torn tail off, durably."""
        ...

    def names(self, prefix: str = "") -> list[str]:
        """Return the names of files, sorted."""
        ...

    def remove(self, name: str) -> None:
        """Overwrite and remove a file, durably."""
        ...

    def free(self) -> int:
        """Return free bytes of the volume."""
        ...


class State(StrEnum):
    """Where an item is. The first six are on the way, the others are final."""

    PENDING = "pending"
    INTENT = "intent"  # backed up, and perhaps sent
    DOUBT = "doubt"  # sent, and the answer did not say
    DONE = "done"
    DONE_INFERRED = "done_inferred"
    DRIFT = "drift"
    MISSING = "missing"
    FAILED = "failed"
    VETO = "veto"
    BLOCKED = "blocked"
    HELD = "held"
    CONFLICT = "conflict"  # restore: people changed it since
    PARTLY = "partly"  # some steps of it were made, the rest cannot be any more; a restore brings it back


OPEN = (State.PENDING, State.INTENT, State.DOUBT)
APPLIED = (State.DONE, State.DONE_INFERRED)
TOUCHED = (*APPLIED, State.PARTLY)
"""States in which the CRM is not as it was: what a restore brings back."""

Action = Literal["soft_delete", "hard_delete", "merge_into", "anonymise", "reassign", "deactivate_user", "restore"]


@dataclass(frozen=True, slots=True)
class Work:
    """One item as the journal holds it: no values, only ids, digests and rules."""

    seq: int
    object: str
    id: str
    action: Action
    target: str | None = None
    version: str | None = None
    preimage: str = ""
    survivor: Survivor | None = None
    choices: Mapping[str, str] = field(default_factory=dict)
    related: tuple[RelatedSet, ...] = ()
    unit: str = ""
    state: State = State.PENDING
    attempts: int = 0
    frame: int | None = None
    of_manifest: str | None = None
    of_seq: int | None = None

    @property
    def key(self) -> RecordKey:
        """Identity of the record."""
        return RecordKey(self.object, self.id)


@dataclass(frozen=True, slots=True)
class Effect:
    """One row that changes: what it is now, whole, and what becomes of it.

    Attributes
    ----------
    seq : int
        The item it belongs to.
    role : str
        ``item`` itself, ``survivor`` of a merge, or ``child``.
    op : str
        ``update`` writes ``changes``; ``delete`` removes the row; ``bin`` moves it to the system's recycle bin;
        ``insert`` brings a removed row back, ``unbin`` a record out of the recycle bin (restore).
    before : Record
        The whole row as read; for ``insert`` the row to write.
    changes : mapping
        Field → new value.
    renumber : bool
        For ``insert``: the system gives the row a new id.
    """

    seq: int
    role: Literal["item", "survivor", "child"]
    op: Literal["update", "delete", "bin", "insert", "unbin"]
    before: Record
    changes: Fields = field(default_factory=dict)
    renumber: bool = False

    def after(self) -> dict[str, Any]:
        """Return the fields as they shall be."""
        return {**self.before.fields, **self.changes}


@dataclass(frozen=True, slots=True)
class Unit:
    """Items that change together or not at all: one item, or every loser of one survivor."""

    name: str
    works: tuple[Work, ...]
    effects: tuple[Effect, ...]
    expect_free: tuple[RecordKey, ...] = ()
    """Records that no mapped record may refer to when the unit is done."""


class Answer(StrEnum):
    """What the CRM said about one item."""

    DONE = "done"
    CHANGED = "changed"  # a conditional write was refused
    ABSENT = "absent"
    REFUSED = "refused"  # the CRM, or our check of what it did, said no: nothing was changed
    LATER = "later"  # throttled: certainly not done


@dataclass(frozen=True, slots=True)
class Result:
    """Answer for one item; an item without one is in doubt. ``became`` is the new id of a record that was re-created."""

    answer: Answer
    code: str = ""
    by: str | None = None
    became: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a set of records is now.

    ``records`` has whole rows; a key that is not in it is *unknown*. ``links`` are the live references to the records
    asked about, ``hidden`` those of soft-deleted records, which a foreign key of the database counts too.
    """

    records: Mapping[RecordKey, Record | Absent]
    links: Mapping[RecordKey, Sequence[Link]] = field(default_factory=dict)
    hidden: Mapping[RecordKey, Sequence[Link]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settled:
    """What reading showed about an item in doubt.

    ``state``: ``done`` (the ledger or the recycle bin says so), ``again`` (as it was before: send again), ``changed``,
    ``gone`` (not there, and not by us), ``edited`` (we deleted a record that people had just edited: put it back),
    ``partly`` (some steps of its unit were made and others not), or ``unknown`` (no answer: ask later).
    """

    state: Literal["done", "again", "changed", "gone", "edited", "partly", "unknown"]
    by: str | None = None
    inferred: bool = True
    became: str | None = None
    made: tuple[str, ...] = ()
    """For ``partly``: which steps were made, as ``object/id`` and the names of fields; never a value."""


class Decider(Protocol):
    """Reads what items are now and says what happens to them.

    Attributes
    ----------
    patient : bool
        Let an item wait for records of the same manifest; False where nothing else is left.
    """

    patient: bool

    def decide(self, works: Sequence[Work]) -> tuple[list[Unit], list[Verdict], list[Work]]:
        """Return units to apply, verdicts of the others, and items for a later batch."""
        ...

    def rest(self, works: Sequence[Work]) -> Unit | None:
        """Return what is left to do of a unit that was interrupted; None where it cannot be done any more."""
        ...


class Writer(Protocol):
    """The only things that change a CRM. Every write is conditional on what was read where the system can."""

    capabilities: Capabilities

    @property
    def me(self) -> str:
        """Id under which the system itself says who deleted; empty where it does not, or the executor writes it."""
        ...

    def moving(self, object: str) -> frozenset[str]:
        """Return the columns that the system itself moves when a record is written."""
        ...

    def read(self, keys: Sequence[RecordKey], *, links_of: Sequence[RecordKey] = ()) -> Reading:
        """Return whole rows of ``keys`` and of every child that refers to ``links_of``. A key without an answer is left out."""
        ...

    def value_for(self, object: str, field: str, text: str | None, now: datetime) -> Scalar:
        """Return ``text`` as the type the field has; None means the time ``now`` in the field's own form."""
        ...

    def apply(self, units: Sequence[Unit], *, manifest: str, attempt: int) -> Mapping[int, Result]:
        """Send a batch once, never repeating by itself; return answers by item.

        Raises
        ------
        ThrottledError
            Nothing was done.
        OutcomeUnknownError, UnavailableError
            Something may have been done.
        """
        ...

    def settle(self, works: Sequence[Work], *, manifest: str) -> Mapping[int, Settled]:
        """Read what became of items that were sent, changing nothing. The caller has waited ``request_lifetime``.

        After a ``DONE`` of a system without conditional writes it is also asked, to compare what went with what was
        backed up.
        """
        ...

    def go_on(self, units: Sequence[Unit], *, manifest: str) -> Mapping[int, Result]:
        """Make the steps that are left of units that were interrupted; what is not one of their steps is refused.

        Never asked of a system with transactions.
        """
        ...

    def can_renumber(self, object: str) -> bool:
        """True where a record of this object can be made anew under an id that the system gives."""
        ...

    def put_back(self, work: Work, *, manifest: str) -> bool:
        """Undo our own recycle-bin deletion of a record that people had edited just before; True where done."""
        ...

    def count(self, object: str) -> int:
        """Return how many live records the system says it has."""
        ...

    def close(self) -> None:
        """Release connections."""
        ...


Progress = Callable[[int], None] | None
Rows = Iterable[tuple[Any, ...]]
