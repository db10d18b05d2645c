"""``steward gate``: whether a snapshot may be used to delete, and whether an execution left the CRM whole.

Left to others: the gates themselves (``steward.scoring.gates``, ``steward.scoring.aftermath``). Looks; changes nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from steward.commands import _signing as shared
from steward.commands.common import workspace_of
from steward.errors import IncompleteSnapshotError, ScoringError, UsageError
from steward.messages import N_, _
from steward.policy import Reason
from steward.screen import Screen

EXAMPLE = (
    "steward gate --policy policy.toml --workspace w\nsteward gate --after ID.receipt.dsse.json --trust trust --workspace w"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words of this verb."""
    parser.add_argument(
        "--after", type=Path, action="append", default=[], metavar="RECEIPT",
        help=_("look whether this execution left the CRM whole; needs a snapshot taken since (repeatable)"),
    )  # fmt: skip
    shared.add_policy_argument(parser)
    shared.add_trust_arguments(parser)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Say every reason why the gate is closed; the exit code tells whether it is open."""
    from steward.store import Workspace

    with Workspace.open(workspace_of(args), read_only=True) as ws:
        if not args.after:
            from steward.scoring.gates import gates

            snapshot = ws.snapshot()
            closed = gates(ws, snapshot, shared.open_policies(args)[0], now=shared.now())
            digest = snapshot.digest
        else:
            from steward.scoring.aftermath import aftermath
            from steward.scoring.receipts import read_receipt, snapshots_around

            tenant = ws.snapshot().tenant
            receipts = [read_receipt(path, shared.open_trust(args), tenant, shared.now()) for path in args.after]
            before, after = snapshots_around(ws, receipts)
            if after is None:
                raise UsageError(
                    N_("There is no snapshot from after the execution yet."), next_step=N_("Take one with: steward snapshot.")
                )
            closed = aftermath(ws, before, after, receipts)
            digest = after.digest
    screen.result({"snapshot": digest, "open": not closed, "reasons": [{"code": r.code, **_plain(r)} for r in closed]})
    if not closed:
        screen.say(
            N_("The CRM is whole: what went is what the receipt says, and nothing hangs in the air.")
            if args.after
            else N_("Snapshot {digest} may be used to draft a manifest."),
            digest=digest[:12],
        )
        return 0
    screen.warn(
        N_("The gate is closed: nothing may be deleted so.") if not args.after else N_("The CRM is not as the receipt says.")
    )
    screen.table(N_("Why the gate is closed"), (N_("reason"), N_("sentence")), [(r.code, _said(r)) for r in closed])
    return (ScoringError if args.after else IncompleteSnapshotError).exit_code


def _said(reason: Reason) -> str:
    return _(reason.template).format_map({k: str(v) for k, v in reason.facts.items()})


def _plain(reason: Reason) -> dict[str, object]:
    return {"sentence": str(reason), "facts": {k: v if isinstance(v, (int, str)) else str(v) for k, v in reason.facts.items()}}
