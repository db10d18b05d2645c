"""The workspace: immutable snapshots and evidence in DuckDB, and the decision log.

The only room with statements that change a snapshot or an evidence table. Names are loaded at first use, so that the
decision log can be had without DuckDB.

Left to others: computing evidence (``steward.scoring``), deciding (``steward.review``).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from steward.store.exports import ExportSource
    from steward.store.model import ChildImpact, Difference, Impact, Reject
    from steward.store.source import FileSource
    from steward.store.workspace import Workspace

__all__ = ["ChildImpact", "Difference", "ExportSource", "FileSource", "Impact", "Reject", "Workspace"]

_HOME = {
    "ChildImpact": "steward.store.model",
    "Difference": "steward.store.model",
    "ExportSource": "steward.store.exports",
    "FileSource": "steward.store.source",
    "Impact": "steward.store.model",
    "Reject": "steward.store.model",
    "Workspace": "steward.store.workspace",
}


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
