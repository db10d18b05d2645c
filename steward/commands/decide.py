"""``steward decide``: let a written rule decide the clear cases; people decide the rest in ``steward review``."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from steward.commands.common import workspace_of
from steward.messages import N_, _
from steward.screen import Screen

HELP = N_("let a written rule decide clear cases")
EXAMPLE = "steward decide --workspace w\nsteward decide --rule rules.toml --holds holds.txt --workspace w"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words of this verb."""
    parser.add_argument("--rule", type=Path, metavar="FILE", help=_("rules file; by default the one that ships"))
    parser.add_argument("--holds", type=Path, metavar="FILE", help=_("legal hold list of today; its records are left alone"))
    parser.add_argument("--log", metavar="URL", help=_("decision log in PostgreSQL; by default the file in the workspace"))
    parser.add_argument("--snapshot", metavar="DIGEST", help=_("beginning of a snapshot's digest; by default the latest"))
    parser.add_argument("--show-rules", action="store_true", help=_("print the rules that ship, and decide nothing"))


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Decide, and say how many and what is left."""
    from steward.policy import parse_holds
    from steward.review import rules as written
    from steward.store import Workspace
    from steward.store.decision_log import DecisionLog

    if args.show_rules:
        text = Path(written.__file__).with_name("default_rules.toml").read_text(encoding="utf-8")
        for line in text.splitlines():
            screen.say("{line}", line=line)
        return 0
    rules = (
        written.parse_rules(args.rule.read_text(encoding="utf-8"), where=args.rule.name)
        if args.rule
        else written.default_rules()
    )
    holds = parse_holds(args.holds.read_text(encoding="utf-8"), where=args.holds.name) if args.holds else None
    where = workspace_of(args)
    with Workspace.open(where, read_only=True) as ws, DecisionLog.open(args.log or where) as log:
        snapshot = ws.snapshot(args.snapshot)
        with screen.progress(N_("deciding"), None) as advance:
            outcome = written.decide_by_rule(ws, snapshot, log, rules, now=datetime.now(UTC), holds=holds, progress=advance)
        head = log.head()
    screen.say(
        N_("{reviewer} decided {cases} cases; the log names it as a rule, never as a person."),
        reviewer=outcome.reviewer,
        cases=f"{outcome.cases:,}",
    )
    names = {"duplicate": _("duplicate"), "stale": _("stale"), "invalid": _("invalid")}
    screen.table(
        N_("Decided by rule"),
        (N_("reason"), N_("action"), N_("records")),
        [(names[kind], action, n) for (kind, action), n in sorted(outcome.decided.items())],
    )
    if outcome.left:
        screen.table(N_("Left to people"), (N_("why"), N_("cases")), sorted(outcome.left.items()))
    screen.result(
        {
            "reviewer": outcome.reviewer,
            "cases": outcome.cases,
            "decided": [
                {"kind": kind, "action": action, "records": n} for (kind, action), n in sorted(outcome.decided.items())
            ],
            "left": dict(outcome.left),
            "log": {"seq": head.seq, "digest": head.digest},
        }
    )
    screen.next(f"steward review --workspace {where}")
    return 0
