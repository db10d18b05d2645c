"""A process that dies at a named point, calls that fail, and the same command given again until it comes to its end.

Waiting takes no time: neither the executor's clock (:class:`Hurried`) nor the wire's (:func:`hurry_the_wire`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest

from steward.crm import wire
from steward.errors import PartialExecutionError
from steward.executor.ports import SystemClock
from steward.executor.runner import Executor
from tests.support.vendor_way import VendorWay

T = TypeVar("T")
Death = tuple[str, int]
"""A named point, and at which of its times the process dies there; an empty name: it lives."""
LIVES: Death = ("", 0)


class Hurried(SystemClock):
    """Waiting takes no time."""

    def sleep(self, seconds: float) -> None:
        """Return at once."""


class Died(BaseException):
    """The process ends here."""


def hurry_the_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the wire's clock go on when somebody waits for it."""
    ahead = [0.0]

    def sleep(self: object, seconds: float) -> None:
        ahead[0] += seconds

    monkeypatch.setattr(wire._RealClock, "sleep", sleep)
    monkeypatch.setattr(wire._RealClock, "monotonic", lambda self: time.monotonic() + ahead[0])


def dying(death: Death) -> Callable[[str], None]:
    """Return a hook that ends the process."""
    point, at = death
    seen = 0

    def hook(name: str) -> None:
        nonlocal seen
        seen += name == point
        if point and name == point and seen == at:
            raise Died

    return hook


def until_done(
    way: VendorWay,
    run: Callable[[Executor], T],
    deaths: Sequence[Death],
    *,
    most: int,
    stops: tuple[type[Exception], ...] = (PartialExecutionError,),
    between: Callable[[], None] = lambda: None,
) -> T:
    """Start executors, one after another, until one comes to its end.

    Parameters
    ----------
    deaths : sequence of tuple
        Where the first ones die; those after them live.
    most : int
        It must have come to its end by then.
    stops : tuple of type
        Errors after which a person gives the same command again.
    between : callable
        Called after each that did not.
    """
    coming = iter(deaths)
    for _ in range(most):
        with Executor(way.path("executor"), clock=Hurried(), hook=dying(next(coming, LIVES))) as executor:
            try:
                return run(executor)
            except (Died, *stops):
                between()
    raise AssertionError("it never came to an end")
