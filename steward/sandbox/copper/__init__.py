"""A local server that speaks the Developer API v1 of Copper, to train, rehearse and test on.

Written from the contract page alone and apart from the connector (``steward.crm.copper``), with which it shares no code, so
that one misreading is not made twice. What the contract leaves unverified is a switch (``switches``). Needs the extra
``sandbox``. Left to others: the generated customers (``steward.sandbox``), the command (``steward.commands.sandbox``).
"""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette

from steward.sandbox.copper.app import serve_state
from steward.sandbox.copper.seeding import seed as fill
from steward.sandbox.copper.state import ADMIN_KEY, APPLICATION, RESTRICTED_KEY, State
from steward.sandbox.copper.switches import Switches

__all__ = ["ADMIN_KEY", "APPLICATION", "RESTRICTED_KEY", "State", "Switches", "create_app", "fill", "serve_state"]


def create_app(state: Path | None = None, *, customers: int = 1_000, seed: int = 0) -> Starlette:
    """Build a sandbox and return its server as an ASGI application.

    Parameters
    ----------
    state : Path or None
        SQLite file that keeps it; one that holds something already is continued. None keeps it in memory.
    customers : int
        People and leads together, at least 10.
    seed : int
        The same seed builds the same CRM.
    """
    held = State(state)
    if not held.query("SELECT 1 FROM record LIMIT 1"):
        fill(held, customers=customers, number=seed)
    return serve_state(held)
