"""``steward review``: the review panel as a page in the browser, without code; or how far the review is."""

from __future__ import annotations

import argparse
import getpass

from steward.commands import _checks, _page
from steward.commands.common import workspace_of
from steward.errors import UsageError
from steward.messages import N_, _, language
from steward.screen import Screen

HELP = N_("review cases in the browser")
EXAMPLE = "steward review --reviewer anna --workspace w\nsteward review --status --workspace w --json\nsteward review --reviewer lead --check --sample 50 --of anna --workspace w"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words of this verb."""
    parser.add_argument(
        "--reviewer",
        metavar="NAME",
        help=_("name that every decision will carry; by default that of people.toml, or the user's"),
    )
    parser.add_argument("--log", metavar="URL", help=_("decision log in PostgreSQL; by default the file in the workspace"))
    parser.add_argument("--blind", action="store_true", help=_("hide scores and reasons, for checks of quality"))
    _page.add_page_arguments(parser)
    parser.add_argument("--status", action="store_true", help=_("print how far the review is, and open nothing"))
    _checks.add_check_arguments(parser)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Open the page and wait until it is closed."""
    from steward.review import ReviewSession
    from steward.review.people import people_of
    from steward.store import Workspace
    from steward.store.decision_log import DecisionLog

    where = workspace_of(args)
    people = people_of(where)
    reviewer = (args.reviewer or people.reviewer or getpass.getuser()).strip()
    if reviewer.startswith("rule:"):
        raise UsageError(N_("A review needs the name of a person."))
    people.role(reviewer)  # whoever is not named does not even count the cases
    if args.check or args.checked or args.sample is not None:
        people.check(reviewer)
    with Workspace.open(where, read_only=True) as ws, DecisionLog.open(args.log or where) as log:
        if args.agreement:
            return _checks.say_agreement(log, args.agreement, screen)
        if args.checked:
            return _checks.say_checked(log, ws.snapshot(), reviewer, screen)
        if args.sample is not None:
            _checks.draw_sample(log, ws.snapshot(), reviewer, args, screen)
            if args.json:
                return 0
        work = ReviewSession(ws, ws.snapshot(), log, reviewer, looking=people.looks_only(reviewer))
        counts = {kind: work.progress(kind) for kind in work.index.kinds}
        work.close()
    if not counts:
        raise UsageError(
            N_("There is nothing to review: the snapshot has no evidence."), next_step=N_("Run: steward score --workspace DIR.")
        )
    names = {"duplicate": _("duplicate"), "stale": _("stale"), "invalid": _("invalid")}
    screen.table(
        N_("Cases"),
        (N_("reason"), N_("open"), N_("decided"), N_("deferred"), N_("escalated"), N_("in conflict")),
        [(names[k], p.open, p.decided, p.deferred, p.escalated, p.conflicts) for k, p in counts.items()],
    )
    screen.result(
        {
            "cases": {
                k: {
                    "open": p.open,
                    "decided": p.decided,
                    "deferred": p.deferred,
                    "escalated": p.escalated,
                    "conflicts": p.conflicts,
                }
                for k, p in counts.items()
            }
        }
    )
    if args.status or args.json:
        screen.next(f"steward propose --workspace {where}")
        return 0
    from steward.review.page import REVIEW, review_environment

    environment = review_environment(
        where, reviewer, log=args.log, blind=args.blind, check=args.check or args.sample is not None, language=language()
    )
    return _page.serve(
        args, "review", REVIEW, environment, N_("The review page is at {address}; close it with Ctrl-C."), screen
    )
