"""The pictures of a snapshot in a notebook: one small widget that asks Python for each picture.

Scenes travel as messages and are never part of the widget's state, so a saved notebook holds none. Left to others:
counting, drawing and words (the other modules of this room), painting (``front/``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from steward.errors import UsageError
from steward.messages import N_, language
from steward.review.panel import FRONT, front
from steward.review.pictures.talk import NOTEBOOK, PictureTalk
from steward.review.pictures.words import words
from steward.store.decision_log import DecisionLog

if TYPE_CHECKING:
    from steward.records import Snapshot
    from steward.store import Workspace


class PicturePanel(anywidget.AnyWidget):
    """The pictures; make one with :func:`picture_panel`."""

    _esm = front("pictures.js")
    _css = FRONT / "panel.css"
    words = traitlets.Dict().tag(sync=True)
    names: traitlets.List[str] = traitlets.List().tag(sync=True)

    def __init__(self, ws: Workspace, snapshot: Snapshot, log: DecisionLog | None, names: tuple[str, ...]) -> None:
        super().__init__(words=words() | {"lang": language().replace("_", "-")}, names=list(names))
        self._talk = PictureTalk(ws, snapshot, self.send, lambda: None if log is None else log.standing(), log=log)
        self.on_msg(self._heard)

    def _heard(self, _widget: object, content: Mapping[str, Any], _buffers: object) -> None:
        self._talk.handle(content)

    def __repr__(self) -> str:
        return f"<pictures: {', '.join(self.names)}>"


def picture_panel(
    ws: Workspace, *names: str, snapshot: Snapshot | None = None, log: DecisionLog | str | Path | None = None
) -> PicturePanel:
    """Return the pictures of a snapshot.

    Parameters
    ----------
    names : str
        Of ``scores``, ``heat``, ``stand``, ``execution``; all of them where none is given.
    snapshot : Snapshot, optional
        The newest where not given.
    log : DecisionLog, str or Path, optional
        A log, or the URL or path of one; the workspace's own, where there is one, if not given.

    Raises
    ------
    UsageError
        There is no such picture.
    """
    unknown = sorted(set(names) - set(NOTEBOOK))
    if unknown:
        raise UsageError(N_("There is no picture {name}; there are: {known}."), name=unknown[0], known=", ".join(NOTEBOOK))
    own = ws.path / "decisions.sqlite"
    where = log if log is not None else (own if own.exists() else None)
    opened = where if isinstance(where, DecisionLog) or where is None else DecisionLog.open(where)
    return PicturePanel(ws, snapshot or ws.snapshot(), opened, names or NOTEBOOK)
