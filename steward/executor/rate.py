"""How fast: a sliding window that uses what a documented limit allows without passing it, and a budget per day.

A token bucket of a minute's worth may send two minutes' worth within one minute: its burst and its refill. A window that
remembers when each call went cannot. Durations are monotonic, the day is the journal's. Left to others: what is counted
(``engine``: items), who else uses the CRM (``share``).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from steward.errors import PartialExecutionError
from steward.executor.journal import Journal
from steward.executor.ports import Clock
from steward.messages import N_

MINUTE = 60.0
MARGIN = 0.5
"""Seconds a call may be on its way longer than the one before it: the server's window starts when it arrives."""


@dataclass(slots=True)
class Rate:
    """At most ``share`` of ``per_minute`` items in any sixty seconds, as the server counts them.

    Attributes
    ----------
    per_minute : int
        The documented limit; zero means that nothing runs.
    share : float
        How much of it is ours; the rest is left to people.
    """

    per_minute: int
    clock: Clock
    share: float = 0.97
    _sent: deque[tuple[float, int]] = field(default_factory=deque)
    _sum: int = 0

    @property
    def most(self) -> int:
        """Items in one window, at least one."""
        return max(1, int(self.per_minute * self.share))

    def take(self, count: int) -> None:
        """Wait until ``count`` items may go. More than a window holds is spread over as many windows as it takes.

        Raises
        ------
        PartialExecutionError
            The limit is zero.
        """
        if self.per_minute <= 0:
            raise PartialExecutionError(N_("The rate limit is zero, so nothing runs."))
        while count > 0:
            part = min(count, self.most)
            self._forget()
            while self._sum + part > self.most:
                self.clock.sleep(max(0.001, self._sent[0][0] + MINUTE + MARGIN - self.clock.monotonic()))
                self._forget()
            self._sent.append((self.clock.monotonic(), part))
            self._sum += part
            count -= part

    def _forget(self) -> None:
        now = self.clock.monotonic()
        while self._sent and self._sent[0][0] + MINUTE + MARGIN <= now:
            self._sum -= self._sent.popleft()[1]


@dataclass(slots=True)
class Budget:
    """Items of one UTC day, over all runs of this home: what an account's daily credits leave to us."""

    journal: Journal
    per_day: int

    def take(self, count: int, now: datetime) -> None:
        """Spend ``count`` items of today.

        Raises
        ------
        PartialExecutionError
            Today's are spent.
        """
        name = "spent.day"
        day, _, spent = (self.journal.get(name) or "").partition(" ")
        today = now.date().isoformat()
        used = int(spent) if day == today else 0
        if used + count > self.per_day:
            raise PartialExecutionError(
                N_("Today's budget of {budget} records is spent."),
                next_step=N_("Run the same command from {when} on."),
                budget=self.per_day,
                when=(now + timedelta(days=1)).date(),
            )
        with self.journal.commit():
            self.journal.put(name, f"{today} {used + count}")


__all__ = ["Budget", "Rate"]
