"""Review: a pure state (queue, case, decide, undo, redo, progress, impact) and one thin panel over it.

Importing this loads neither widget nor database; the names below are fetched when they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steward.review.cases import CaseState, View
    from steward.review.intent import ConfirmationNeededError, Intent
    from steward.review.panel import review_panel
    from steward.review.rules import decide_by_rule, parse_rules
    from steward.review.session import ReviewSession

_HOME = {
    "CaseState": "cases", "View": "cases", "ConfirmationNeededError": "intent", "Intent": "intent", "review_panel": "panel",
    "decide_by_rule": "rules", "parse_rules": "rules", "ReviewSession": "session",
}  # fmt: skip

__all__ = [
    "CaseState",
    "ConfirmationNeededError",
    "Intent",
    "ReviewSession",
    "View",
    "decide_by_rule",
    "parse_rules",
    "review_panel",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(name)
    import importlib

    return getattr(importlib.import_module(f"steward.review.{_HOME[name]}"), name)
