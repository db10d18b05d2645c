"""``steward score``: find duplicate, stale and invalid records in the latest snapshot."""

from __future__ import annotations

import argparse
from pathlib import Path

from steward.commands.common import workspace_of
from steward.errors import ScoringError
from steward.messages import N_, _
from steward.screen import Screen

EXAMPLE = "steward score --workspace w\nsteward score --object contact --only duplicate --workspace w"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words of this verb."""
    parser.add_argument("--object", action="append", default=[], metavar="NAME", help=_("score only this object (repeatable)"))
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        choices=("duplicate", "stale", "invalid"),
        help=_("look for this alone (repeatable)"),
    )
    parser.add_argument(
        "--definition", type=Path, metavar="FILE", help=_("linkage definition; by default proposed from the data")
    )
    parser.add_argument("--policy", type=Path, metavar="FILE", help=_("policy; by default the one that ships"))
    parser.add_argument(
        "--holds", type=Path, metavar="FILE", help=_("legal hold list; without one every record counts as protected")
    )
    parser.add_argument("--suites", type=Path, metavar="DIR", help=_("suites of expectations; by default those that ship"))
    parser.add_argument("--seed", type=int, default=0, help=_("for sampling; the same seed gives the same result"))


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Score, and print one line per object and reason."""
    from steward.policy import parse_policy
    from steward.workbench import open_workspace

    policy = parse_policy(args.policy.read_text(encoding="utf-8"), where=args.policy.name) if args.policy else None
    with open_workspace(workspace_of(args), create=False) as bench, screen.progress(N_("scoring"), None) as advance:
        lines = bench.score(
            args.object,
            kinds=args.only or ("duplicate", "stale", "invalid"),
            policy=policy,
            holds=args.holds,
            suites=args.suites,
            definition=args.definition,
            seed=args.seed,
            progress=advance,
        )
    names = {"duplicate": _("duplicate"), "stale": _("stale"), "invalid": _("invalid")}
    screen.table(
        N_("What was found"),
        (N_("reason"), N_("object"), N_("records"), N_("proposed"), N_("note")),
        [
            (names[line.kind], line.object, line.records, "–" if line.found is None else f"{line.found:,}", line.note)
            for line in lines
        ],
    )
    screen.result(
        {
            "lines": [
                {
                    "kind": x.kind,
                    "object": x.object,
                    "records": x.records,
                    "proposed": x.found,
                    "note": x.note,
                    "complete": x.complete,
                }
                for x in lines
            ]
        }
    )
    broken = [x for x in lines if not x.complete]
    if broken:
        raise ScoringError(
            N_("The suite of {object} did not run whole; nothing can be drafted from this snapshot."),
            next_step=N_("Mend the rule it names and score again."),
            object=", ".join(x.object for x in broken),
        )
    screen.next(f"steward review --workspace {workspace_of(args)}")
    return 0
