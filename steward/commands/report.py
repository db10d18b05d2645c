"""``steward report``: write the scorecard of a snapshot as one page.

Left to others: what it counts and how it looks (``steward.scorecard``).
"""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from steward.commands.common import workspace_of
from steward.errors import UsageError
from steward.messages import N_, _
from steward.screen import Screen

EXAMPLE = "steward report --workspace w --to scorecard.html\nsteward report --snapshot 3fa9c1 --workspace w --to october.html"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words of this verb."""
    parser.add_argument("--to", required=True, type=Path, metavar="FILE", help=_("page to write, ending in .html"))
    parser.add_argument("--snapshot", metavar="DIGEST", help=_("beginning of a snapshot's digest; by default the latest"))
    parser.add_argument("--log", metavar="URL", help=_("decision log in PostgreSQL; by default the file in the workspace"))


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Write the page, replacing one that is there."""
    from steward.scorecard import collect, write
    from steward.store import Workspace
    from steward.store.decision_log import DecisionLog

    target: Path = args.to
    if target.suffix.lower() not in (".html", ".htm"):
        raise UsageError(N_("{file}: a scorecard is a page and ends in .html."), file=target.name)
    if not target.parent.is_dir():
        raise UsageError(N_("There is no folder {folder}."), folder=str(target.parent))
    folder = workspace_of(args)
    now = datetime.now(UTC)
    with Workspace.open(folder, read_only=True) as ws:
        snapshot = ws.snapshot(args.snapshot)
        # A log that is not there is not made: looking changes nothing.
        there = args.log or (folder / "decisions.sqlite").exists()
        with DecisionLog.open(args.log or folder) if there else nullcontext() as log:
            card = collect(ws, snapshot, log, now=lambda: now)
    write(card, target, now=now)
    if not card.runs:
        screen.warn(
            N_("Snapshot {digest} was not scored; the page says so. Score it with: steward score"), digest=snapshot.digest[:12]
        )
    screen.say(N_("The scorecard of snapshot {digest} is in {file}."), digest=snapshot.digest[:12], file=str(target))
    screen.result(
        {
            "file": str(target),
            "snapshot": snapshot.digest,
            "records": card.records,
            "rejects": card.rejects,
            "complete": snapshot.complete,
            "objects": [asdict(line) for line in card.objects],
            "rules": [asdict(line) for line in card.rules],
            "protections": [asdict(line) for line in card.protections],
            "cases": [asdict(line) for line in card.cases],
            "trend": [asdict(point) for point in card.trend],
        }
    )
    return 0
