"""``steward compare-clusters``: which clusters stayed, merged or split between two runs."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from steward.commands.common import workspace_of
from steward.errors import ScoringError
from steward.messages import N_, _
from steward.screen import Screen

EXAMPLE = "steward compare-clusters contact --before 3fa9 --workspace w\nsteward compare-clusters contact --before-workspace old --workspace w"

SHOWN = 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words of this verb."""
    parser.add_argument("object", help=_("the object whose clusters are compared"))
    parser.add_argument("--before", metavar="DIGEST", help=_("the earlier snapshot; by default the one before the last"))
    parser.add_argument("--after", metavar="DIGEST", help=_("the later snapshot; by default the last"))
    parser.add_argument("--before-workspace", type=Path, metavar="DIR", help=_("take the earlier run from this workspace"))


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Compare, count by fate, and list the clusters that changed."""
    from steward.scoring.duplicates.changes import FATES, compare

    after = _clusters(workspace_of(args), args.object, args.after, 1)
    earlier = args.before_workspace
    before = _clusters(earlier or workspace_of(args), args.object, args.before, 1 if earlier else 2)
    changes = compare(before, after)
    counts = Counter(c.fate for c in changes)
    names = {
        "unchanged": _("unchanged"),
        "grown": _("grown"),
        "shrunk": _("shrunk"),
        "merged": _("merged"),
        "split": _("split"),
        "overlapping": _("overlapping"),
        "new": _("new"),
        "gone": _("gone"),
    }
    screen.table(N_("What became of the clusters"), (N_("fate"), N_("clusters")), [(names[f], counts.get(f, 0)) for f in FATES])
    changed = [c for c in changes if c.fate != "unchanged"]
    if changed:
        rows = [(names[c.fate], _members(c.before), _members(c.after)) for c in changed[:SHOWN]]
        screen.table(N_("What changed"), (N_("fate"), N_("before"), N_("after")), rows)
    if len(changed) > SHOWN:
        screen.say(N_("{more} more; --json lists all."), more=len(changed) - SHOWN)
    screen.result(
        {
            "object": args.object,
            "counts": {f: counts.get(f, 0) for f in FATES},
            "changes": [
                {"fate": c.fate, "before": [list(x) for x in c.before], "after": [list(x) for x in c.after]} for c in changed
            ],
        }
    )
    return 0


def _members(clusters: tuple[tuple[str, ...], ...]) -> str:
    return " | ".join(", ".join(c[:6]) + (" …" if len(c) > 6 else "") for c in clusters[:4]) or "–"


def _clusters(folder: Path, name: str, digest: str | None, back: int) -> list[list[str]]:
    from steward.store import Workspace

    with Workspace.open(folder, read_only=True) as ws:
        if digest is None:
            taken = ws.snapshots()
            if len(taken) < back:
                raise ScoringError(
                    N_("The workspace holds one snapshot only; there is nothing to compare."),
                    next_step=N_("Take another, or name the earlier run's workspace with --before-workspace."),
                )
            snapshot = taken[-back]
        else:
            snapshot = ws.snapshot(digest)
        if not any(o.name == name for o in snapshot.objects):
            raise ScoringError(
                N_("The snapshot has no object {object}; it has: {known}."),
                object=name,
                known=", ".join(o.name for o in snapshot.objects),
            )
        return [[m.id for m in c.members] for c in ws.clusters(snapshot, name)]
