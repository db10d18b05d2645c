"""What is asked before every batch: freeze, trust, vetoes, holds, keeps, expiry, window, hours, lock, clock, space, rate.

Each either lets the batch pass or raises; nothing is in flight then. Left to others: limits on outcomes (``brakes``).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from steward.errors import (
    BreakerTrippedError,
    ExecutionError,
    ExpiredError,
    FrozenError,
    PartialExecutionError,
    PolicyInvalidError,
)
from steward.executor.hours import Hours
from steward.executor.journal import Journal
from steward.executor.keeping import KeepFile
from steward.executor.ports import Clock, Disk
from steward.executor.rate import Budget, Rate
from steward.messages import N_
from steward.policy import parse_holds
from steward.records import RecordKey

SKEW = timedelta(minutes=5)


class TenantLock:
    """One executor per home, by an operating-system lock; a dead holder's is free at once, no clock is asked.

    The file's descriptor stays open for the life of the lock; the number in it counts holders, and a holder whose number
    was overtaken stops before its next batch.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._fd)
            raise ExecutionError(
                N_("Another executor is at work in this home."), next_step=N_("Wait for it, or see: steward-executor status.")
            ) from None
        try:
            self.epoch = int(os.pread(self._fd, 20, 0).strip() or b"0") + 1
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, b"%d\n" % self.epoch, 0)
            os.fsync(self._fd)
        except BaseException:
            self.release()
            raise

    def check(self) -> None:
        """Raise where another holder has come since."""
        if int(os.pread(self._fd, 20, 0).strip() or b"0") != self.epoch:
            raise ExecutionError(N_("Another executor has taken over this home; this one stops."))

    def release(self) -> None:
        """Let the next one in."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def claim(folder: Path, executor: str, home: Path) -> None:
    """Claim a manifest for this executor: the first one writes the claim, any other is refused.

    Raises
    ------
    ExecutionError
    """
    said = f"{executor}\n".encode()
    path = folder / "claim"
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            found = os.read(fd, 400)
        finally:
            os.close(fd)
        # Empty: the machine stopped between making and filling it; the journal decides then.
        if found not in (b"", said):
            raise ExecutionError(
                N_("Another executor has claimed this manifest."),
                next_step=N_("It alone may run it; see the file 'claim' in the manifest's folder."),
            ) from None
        return
    try:
        os.write(fd, said)
        os.fsync(fd)
    finally:
        os.close(fd)


@dataclass(slots=True)
class Gates:
    """All gates of one run.

    Attributes
    ----------
    refresh : callable
        Looks at trust store and vetoes again and returns the vetoed items; raises where the manifest may not go on.
    keeps : KeepFile or None
        What reviewers decided since the manifest was signed; None for a restore, which keeps everything.
    vetoed, held, kept : as of the last call
    """

    journal: Journal
    disk: Disk
    clock: Clock
    freeze: Path
    holds: Path
    refresh: Callable[[], frozenset[int]]
    lock: TenantLock | None = None
    expires: datetime | None = None
    window: str = "any"
    reserve: int = 0
    rate: Rate | None = None
    budget: Budget | None = None
    hours: Hours | None = None
    keeps: KeepFile | None = None
    need_holds: bool = True
    vetoed: frozenset[int] = frozenset()
    held: frozenset[RecordKey] = frozenset()
    kept: Mapping[RecordKey, str] = field(default_factory=dict)
    _seen: tuple[int, int] = (-1, -1)
    _cache: frozenset[RecordKey] = field(default_factory=frozenset)

    def __call__(self, count: int) -> None:
        """Let ``count`` items pass or raise."""
        if self.freeze.exists() or self.freeze.is_symlink():
            raise FrozenError(
                N_("The freeze switch is set; nothing starts."),
                next_step=N_("Remove {path} when the reason is gone."),
                path=self.freeze,
            )
        if self.lock is not None:
            self.lock.check()
        now = self._time()
        if self.expires is not None and now >= self.expires:
            raise ExpiredError(
                N_("The manifest has expired in the middle of its run."),
                next_step=N_("What is done is done; propose the rest anew."),
            )
        if self.window != "any" and not _inside(self.window, now):
            raise PartialExecutionError(
                N_("It is outside the working window {window} (UTC)."),
                next_step=N_("Run the same command inside it."),
                window=self.window,
            )
        if self.hours is not None and not self.hours.is_open(now):
            opening = self.hours.next_opening(now)
            raise PartialExecutionError(
                N_("It is outside the hours of this executor; they begin again at {opening}."),
                next_step=N_("Run the same command then."),
                opening="-" if opening is None else opening.isoformat(timespec="minutes"),
            )
        self.vetoed = self.refresh()
        if self.need_holds:
            self.held = self._read_holds()
        if self.keeps is not None:
            self.kept = self.keeps.read(now)
        if self.disk.free() < self.reserve:
            raise BreakerTrippedError(
                N_("The volume of the backup has less than {bytes} bytes left."),
                next_step=N_("Free space, then run again."),
                bytes=self.reserve,
            )
        if self.budget is not None:
            self.budget.take(count, now)
        if self.rate is not None:
            self.rate.take(count)

    def _time(self) -> datetime:
        now = self.clock.now()
        seen = self.journal.get("clock.high")
        if seen is not None and now < datetime.fromisoformat(seen) - SKEW:
            raise BreakerTrippedError(
                N_("The clock says {now}, and the journal has been at {seen} already."),
                next_step=N_("Set the clock right, then run again."),
                now=now,
                seen=seen,
            )
        return now

    def _read_holds(self) -> frozenset[RecordKey]:
        try:
            found = self.holds.stat()
            seen = (found.st_mtime_ns, found.st_size)
            if seen != self._seen:
                self._cache = frozenset(parse_holds(self.holds.read_text(encoding="utf-8"), where=self.holds.name).entries)
                self._seen = seen
        except (OSError, UnicodeDecodeError) as error:
            raise PolicyInvalidError(
                N_("The hold list {path} cannot be read, so everything must stay."),
                next_step=N_("Put it back; an empty list is a list."),
                path=self.holds.name,
            ) from error
        return self._cache


def _inside(window: str, now: datetime) -> bool:
    start, _, end = window.partition("-")
    at = now.strftime("%H:%M")
    return start <= at < end if start <= end else at >= start or at < end
