"""Structured log lines for whoever collects them: one JSON object a line on standard error, with ``STEWARD_LOG=json``.

A line says when, what happened, of which manifest, and counts. Its words are a fixed list, so that nothing else can ever get into
a log: no id of a record or person, no value, no address, no sentence of an error (which may name a record). The audit log in the
home is the record of what was done; these lines are for watching. Left to others: metrics (``metrics``), notices (``outbox``).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from datetime import datetime

WORDS = ("time", "level", "event", "tenant", "environment", "executor", "manifest", "why", "counts")
"""Every word a line may hold, in its order."""

_LEVELS = {"stopped": "warning", "vetoed": "warning", "expired": "warning"}


def is_on() -> bool:
    """True where the environment asks for lines."""
    return os.environ.get("STEWARD_LOG", "").lower() == "json"


def write(
    event: str, at: datetime, *, manifest: str, place: Mapping[str, str], counts: Mapping[str, int], why: str = ""
) -> None:
    """Write one line, where lines are asked for. A standard error that is closed or full stops nothing.

    Parameters
    ----------
    place : mapping of str to str
        ``tenant``, ``environment``, ``executor``; other words are dropped.
    counts : mapping of str to int
        State → records.
    why : str
        Kind of a refusal, never its sentence.
    """
    if not is_on():
        return
    said: dict[str, object] = {
        **place,
        "time": at.isoformat(timespec="milliseconds"),
        "level": _LEVELS.get(event, "info"),
        "event": event,
        "manifest": manifest,
        "counts": dict(sorted(counts.items())),
    }
    if why:
        said["why"] = why
    line = json.dumps({word: said[word] for word in WORDS if word in said}, ensure_ascii=True, separators=(",", ":"))
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return
