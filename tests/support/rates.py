"""A server that counts calls in a rolling minute as vendors document it, and a clock that costs no time."""

from __future__ import annotations

import random
from collections import deque
from datetime import UTC, datetime, timedelta

from steward.executor.rate import Rate

LIMITS = ((60, 1), (100, 100), (180, 1), (180, 6), (600, 1), (5_000, 100))
"""``(calls a minute, calls that go together)``."""


class VirtualClock:
    """Implements :class:`steward.executor.ports.Clock`; waiting takes no time."""

    def __init__(self) -> None:
        self.at = 1_000.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.at)

    def monotonic(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        assert seconds > 0, "a wait that waits for nothing"
        self.at += seconds


class Server:
    """Answers 429 where more than ``limit`` calls arrived within sixty seconds."""

    def __init__(self, limit: int) -> None:
        self.limit, self.taken, self.throttled = limit, 0, 0
        self._calls: deque[float] = deque()

    def call(self, at: float) -> None:
        """One call that arrives at this time."""
        while self._calls and self._calls[0] <= at - 60:
            self._calls.popleft()
        if len(self._calls) >= self.limit:
            self.throttled += 1
        else:
            self._calls.append(at)
            self.taken += 1


def work_against(limit: int, batch: int, *, minutes: int, share: float = 0.97, seed: int = 1) -> tuple[float, int]:
    """Work as fast as the pace allows; return the share of the documented limit that was used, and the throttled calls.

    Each call is on its way between 20 and 400 ms, so that a burst arrives closer together than it was sent.
    """
    clock, server, rng = VirtualClock(), Server(limit), random.Random(seed)
    rate = Rate(limit, clock, share)
    start, arrivals = clock.at, []
    size = min(batch, rate.most)
    while clock.at - start < minutes * 60:
        rate.take(size)
        for _ in range(size):
            arrivals.append(clock.at + rng.uniform(0.02, 0.4))
        clock.at += 0.001
    for at in sorted(arrivals):
        server.call(at)
    return server.taken / (limit * minutes), server.throttled
