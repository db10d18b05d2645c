"""steward: delete customer records from a CRM so that it can be defended, proved and undone.

Importing this package loads nothing heavy; the names below are fetched when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_LAZY = {
    "Workbench": "steward.workbench",
    "open_workspace": "steward.workbench",
    "StewardError": "steward.errors",
    "RecordKey": "steward.records",
    "Snapshot": "steward.records",
}

__all__ = ["RecordKey", "Snapshot", "StewardError", "Workbench", "__version__", "open_workspace"]

if TYPE_CHECKING:
    from steward.errors import StewardError
    from steward.records import RecordKey, Snapshot
    from steward.workbench import Workbench, open_workspace


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'steward' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
