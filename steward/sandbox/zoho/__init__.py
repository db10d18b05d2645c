"""A local server that speaks Zoho CRM's REST contract v8, to train and rehearse on; made input for tests too.

Written from the vendor's published contract alone; it shares no code with the connector that reads it, so that one
misreading is not made twice. Facts that the vendor leaves open are switches (``state.SWITCHES``).
"""

from __future__ import annotations

from pathlib import Path

from steward.sandbox.zoho.app import ZohoSandbox
from steward.sandbox.zoho.seed import fill
from steward.sandbox.zoho.state import State

__all__ = ["ZohoSandbox", "create_app", "make"]


def make(*, customers: int = 1_000, seed: int = 0, path: Path | None = None) -> ZohoSandbox:
    """Return an application filled by the generator.

    Parameters
    ----------
    customers : int
        Contacts and leads together, at least 10.
    seed : int
        The same seed gives the same records.
    path : Path or None
        A file for the state; None keeps it in memory. A file that already holds records is used as it is.
    """
    state = State(path)
    if state.db.execute("SELECT 1 FROM record LIMIT 1").fetchone() is None:
        fill(state, customers, seed)
    return ZohoSandbox(state)


def create_app(path: Path | None = None, *, customers: int = 1_000, seed: int = 0) -> ZohoSandbox:
    """Return the application for ``steward sandbox zoho``; see :func:`make`."""
    return make(customers=customers, seed=seed, path=path)
