"""The widget: carries messages between the front and a :class:`steward.review.pictures.talk.Desk`, no more.

Left to others: everything that is decided (``steward.review.session``), everything that is painted (``front/``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from steward.errors import UsageError
from steward.messages import N_
from steward.review.people import people_of
from steward.review.pictures.talk import Desk
from steward.review.sampling import newest
from steward.review.session import ReviewSession
from steward.review.words import words
from steward.store.decision_log import DecisionLog
from steward.store.samples import Samples

if TYPE_CHECKING:
    from steward.records import Snapshot
    from steward.store import Workspace

FRONT = Path(__file__).with_name("front")


def front(name: str) -> str:
    """Return the module of a front: what all of them share, and its own part. Nothing is imported from anywhere."""
    parts = ("common.js", "cards.js", name) if name == "panel.js" else ("common.js", name)
    return "\n".join((FRONT / part).read_text(encoding="utf-8") for part in parts)


class ReviewPanel(anywidget.AnyWidget):
    """The review panel; make one with :func:`review_panel`."""

    _esm = front("panel.js")
    _css = FRONT / "panel.css"
    words = traitlets.Dict().tag(sync=True)
    reviewer = traitlets.Unicode().tag(sync=True)

    def __init__(self, ws: Workspace, session: ReviewSession, *, blind: bool = False) -> None:
        super().__init__(words=words(), reviewer=session.reviewer)
        self.session = session
        self._desk = Desk(ws, session, self.send, blind=blind)
        self.on_msg(self._heard)

    def _heard(self, _widget: object, content: Mapping[str, Any], _buffers: object) -> None:
        self._desk.handle(content)

    def __repr__(self) -> str:
        return f"<review panel of {self.reviewer}: {len(self.session.index)} cases>"


def review_panel(
    ws: Workspace,
    reviewer: str,
    *,
    snapshot: Snapshot | None = None,
    log: DecisionLog | str | Path | None = None,
    blind: bool = False,
    check: bool = False,
) -> ReviewPanel:
    """Return the review panel over a workspace.

    Parameters
    ----------
    ws : Workspace
        May be open read-only: decisions go to the log beside it.
    reviewer : str
        Name of the person who decides.
    snapshot : Snapshot, optional
        The newest where not given.
    log : DecisionLog, str or Path, optional
        A log, or the URL or path of one; the workspace's own where not given.
    blind : bool
        Hide scores, weights and reasons, for checks of quality.
    check : bool
        A blind second opinion: nothing of what others decided is shown, decisions go to the log of second opinions and
        change nothing that holds. Shows the cases of the sample that the reviewer drew last, or all where none was drawn.

    Raises
    ------
    UsageError
        The snapshot has not been scored; ``people.toml`` does not name the person, or as somebody who may not do this.
    """
    people = people_of(ws.path)
    if check:
        people.check(reviewer.strip())
    looking = people.looks_only(reviewer.strip())
    chosen = snapshot or ws.snapshot()
    opened = log if isinstance(log, DecisionLog) else DecisionLog.open(log or ws.path)
    if check:
        sample = newest(Samples(opened).read(), reviewer, chosen.digest)
        only = sample.cases if sample else None
        session = ReviewSession(ws, chosen, opened.checks(), reviewer, alone=True, only=only)
    else:
        session = ReviewSession(ws, chosen, opened, reviewer, looking=looking)
    if not len(session.index):
        raise UsageError(
            N_("There is nothing to review: the snapshot has no evidence."), next_step=N_("Run: steward score --workspace DIR.")
        )
    return ReviewPanel(ws, session, blind=blind or check)
