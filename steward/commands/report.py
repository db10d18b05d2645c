"""``steward report``: write the scorecard of a snapshot as one page.

Left to others: what it counts and how it looks (``steward.scorecard``).
"""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from steward.commands import _signing
from steward.commands.common import workspace_of
from steward.errors import TrustError, UsageError
from steward.manifest_files import ManifestFolder, write_file
from steward.messages import N_, _
from steward.records import RecordKey
from steward.screen import Screen

EXAMPLE = """steward report --workspace w --to scorecard.html
steward report --before 3fa9c1 --manifest manifests/01ARZ3NDEKTSV4RRFFQ69G5FAV --workspace w --to after.html"""
_TAKES_AWAY = frozenset({"soft_delete", "hard_delete", "merge_into"})


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words of this verb."""
    parser.add_argument("--to", required=True, type=Path, metavar="FILE", help=_("page to write, ending in .html"))
    parser.add_argument("--snapshot", metavar="DIGEST", help=_("beginning of a snapshot's digest; by default the latest"))
    parser.add_argument("--before", metavar="DIGEST", help=_("draw what changed since this snapshot, after an execution"))
    parser.add_argument("--manifest", type=Path, metavar="DIR", help=_("with --before: the manifest that was executed"))
    parser.add_argument("--customer", metavar="OBJECT/ID", help=_("draw one customer as well: its key then stands on the page"))
    parser.add_argument("--svg", type=Path, metavar="DIR", help=_("write every picture as a file of its own, too"))
    _signing.add_trust_arguments(parser)
    parser.add_argument("--log", metavar="URL", help=_("decision log in PostgreSQL; by default the file in the workspace"))


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Write the page, replacing one that is there."""
    from steward.scorecard import collect, write
    from steward.scorecard.pictures import of_customer, of_execution, of_snapshot
    from steward.store import Workspace
    from steward.store.decision_log import DecisionLog

    target: Path = args.to
    if target.suffix.lower() not in (".html", ".htm"):
        raise UsageError(N_("{file}: a scorecard is a page and ends in .html."), file=target.name)
    if not target.parent.is_dir():
        raise UsageError(N_("There is no folder {folder}."), folder=str(target.parent))
    if args.manifest is not None and not args.before:
        raise UsageError(N_("--manifest goes with --before."))
    if args.svg is not None and not args.svg.is_dir():
        raise UsageError(N_("There is no folder {folder}."), folder=str(args.svg))
    folder = workspace_of(args)
    now = datetime.now(UTC)
    with Workspace.open(folder, read_only=True) as ws:
        snapshot = ws.snapshot(args.snapshot)
        # A log that is not there is not made: looking changes nothing.
        there = args.log or (folder / "decisions.sqlite").exists()
        with DecisionLog.open(args.log or folder) if there else nullcontext() as log:
            card = collect(ws, snapshot, log, now=lambda: now)
            pictures = of_snapshot(ws, snapshot, log)
        if args.before:
            signed = None if args.manifest is None else _signed(args)
            pictures.insert(0, of_execution(ws, ws.snapshot(args.before), snapshot, signed))
        if args.customer:
            pictures += of_customer(ws, snapshot, _key(args.customer))
    write(card, target, now=now, pictures=pictures)
    if args.svg is not None:
        for name, picture in pictures:
            write_file(args.svg / f"{name}.svg", picture.svg(name, standalone=True).encode())
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
            "pictures": {name: {"title": p.title, "text": p.text, **asdict(p.table)} for name, p in pictures},
        }
    )
    return 0


def _key(text: str) -> RecordKey:
    object, slash, id = text.partition("/")
    if not slash or not object or not id:
        raise UsageError(N_("A customer is named OBJECT/ID, not {text}."), text=text)
    return RecordKey(object, id)


def _signed(args: argparse.Namespace) -> list[RecordKey]:
    """Return the records that a manifest takes away: its items are those of its own statement, and somebody signed it."""
    from steward.signing.summary import read_past

    folder = ManifestFolder(args.manifest)
    with folder.items() as items:
        past = read_past(folder.envelope(), items, _signing.open_trust(args))
        if not past.signed_by:
            raise TrustError(
                N_("Nobody's signature under the manifest can be checked; it says nothing about what was signed for.")
            )
        return [i.key for i in past.items if i.action in _TAKES_AWAY]
