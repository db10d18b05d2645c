"""One reviewer in a process of its own, for tests of several kernels at once. Imports no browser, so that it starts quickly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from steward.decisions import DecisionAction
from steward.review.cases import View
from steward.review.intent import Intent
from steward.review.session import ReviewSession
from steward.store.decision_log import DecisionLog
from steward.store.workspace import Workspace


def work_through(folder: Path, place: str, who: str, action: DecisionAction, barrier: Any) -> None:
    """Decide on whatever cluster is offered until none is left; begin when everybody is there."""
    with Workspace.open(folder, read_only=True) as ws, DecisionLog.open(place) as log:
        work = ReviewSession(ws, ws.snapshot(), log, who)
        work.select(View(kind="duplicate"))
        barrier.wait()
        while True:
            work.refresh()
            lines = work.reserve(count=2)
            if not lines:
                break
            work.decide(work.page(lines[0], lines[0] + 1)[0].case_id, Intent(action))
        work.close()
