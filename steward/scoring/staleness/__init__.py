"""Staleness: age and silence in points, and the protections that are stronger than any score."""

from __future__ import annotations

from pathlib import Path

from steward.errors import PolicyInvalidError
from steward.messages import N_
from steward.policy import Holds, parse_holds
from steward.scoring.staleness.score import StalenessSummary, score_staleness

__all__ = ["StalenessSummary", "read_holds", "score_staleness"]


def read_holds(path: Path | None) -> Holds:
    """Read a hold list file; None is no list, which protects every record.

    Raises
    ------
    PolicyInvalidError
        The file was named and is not there, or a line of it cannot be read.
    """
    if path is None:
        return Holds.absent()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise PolicyInvalidError(
            N_("The hold list {where} cannot be read as UTF-8 text, so nothing may be deleted."), where=path.name
        ) from None
    return parse_holds(text, where=path.name)
