"""``steward snapshot --since``: go on from an earlier snapshot, and say from which and how.

Left to others: what a vendor can be asked (``steward.crm.changes``), the records (``steward.store.onward``).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from steward.errors import UsageError
from steward.messages import N_, _
from steward.screen import Screen

if TYPE_CHECKING:
    from steward.crm.base import CrmReader
    from steward.records import Snapshot
    from steward.store import Workspace

LAST = "last"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words."""
    parser.add_argument(
        "--since",
        metavar="SNAPSHOT",
        help=_("go on from an earlier snapshot: 'last', or the beginning of its digest; only what changed is read"),
    )
    parser.add_argument(
        "--without-deletions",
        action="store_true",
        help=_("with --since: do not look for deletions where only a whole read would tell; nothing can be deleted then"),
    )


def refuse_with_files(args: argparse.Namespace) -> None:
    """Refuse the words for export files.

    Raises
    ------
    UsageError
    """
    if args.since is not None:
        raise UsageError(N_("--since is for a CRM; export files are always read whole."))


def check(args: argparse.Namespace) -> None:
    """Refuse words that do not go together.

    Raises
    ------
    UsageError
    """
    if args.without_deletions and args.since is None:
        raise UsageError(N_("--without-deletions goes with --since; a whole read sees what was deleted."))


def take(ws: Workspace, reader: CrmReader, args: argparse.Namespace, now: datetime, advance: Callable[[int], None]) -> Snapshot:
    """Take a snapshot, whole or from an earlier one on."""
    if args.since is None:
        return ws.take_snapshot(reader, taken_at=now, progress=advance)
    return ws.next_snapshot(
        reader,
        taken_at=now,
        since=None if args.since == LAST else ws.snapshot(args.since),
        deletions_matter=not args.without_deletions,
        progress=advance,
    )


def show(ws: Workspace, snapshot: Snapshot, screen: Screen) -> dict[str, Any] | None:
    """Say from which snapshot the latest reading went on, and return that for machines; None where it was read whole."""
    found = ws.readings(snapshot)
    if not found or found[-1].origin is None:
        return None
    reading = found[-1]
    assert reading.origin is not None
    screen.say(N_("It goes on from snapshot {digest}; what changed since was read."), digest=reading.origin[:12])
    words = {
        "whole": _("whole"), "unchanged": _("not at all: nothing moved"), "stamps": _("what differs"),
        "feed": _("what changed and went"), "changes": _("what changed"),
    }  # fmt: skip
    screen.table(
        N_("How it was read"),
        (N_("object"), N_("read"), N_("records read"), N_("carried over"), N_("gone")),
        [(name, words.get(way.way, way.way), way.read, way.carried, way.gone) for name, way in sorted(reading.ways.items())],
    )
    return {
        "since": reading.origin,
        "deletions_known": reading.deletions_known,
        "objects": {name: asdict(way) for name, way in sorted(reading.ways.items())},
    }
