"""``steward history``: keep the figures of customers that are gone, without anyone in them, and show them.

Left to others: computing and keeping them (``steward.scoring.history``).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from steward.commands import _signing as shared
from steward.commands.common import workspace_of
from steward.errors import UsageError
from steward.messages import N_, _
from steward.screen import Screen

EXAMPLE = (
    "steward history --add ID.receipt.dsse.json --trust trust --policy policy.toml --workspace w\n"
    "steward history --to history.csv --workspace w"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words of this verb."""
    parser.add_argument(
        "--add", type=Path, action="append", default=[], metavar="RECEIPT",
        help=_("keep the figures of what went with this execution (repeatable; taken together)"),
    )  # fmt: skip
    parser.add_argument("--withhold", action="store_true", help=_("leave out figures behind which too few customers stand"))
    parser.add_argument(
        "--to", type=Path, metavar="FILE", help=_("also write the whole history: .csv, .parquet, .ndjson, .xlsx")
    )
    shared.add_policy_argument(parser)
    shared.add_trust_arguments(parser)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Add where asked, then show what the history holds."""
    from steward.scoring.history import add_executions, read_history
    from steward.scoring.receipts import read_receipt
    from steward.store import Workspace
    from steward.store.exporting import export

    if args.withhold and not args.add:
        raise UsageError(N_("--withhold belongs to --add."))
    folder = workspace_of(args)
    added = None
    if args.add:
        policy, trust = shared.open_policies(args)[0], shared.open_trust(args)
        with Workspace.open(folder) as ws:
            tenant = ws.snapshot().tenant
            receipts = [read_receipt(path, trust, tenant, shared.now()) for path in args.add]
            added = add_executions(ws, receipts, policy, withhold=args.withhold)
    with Workspace.open(folder, read_only=True) as ws:
        lines = read_history(ws)
    columns = ("customers_of", "figure", "first_year", "last_year", "segment", "customers", "records", "amount")
    rows = [
        (x.customers_of, x.figure, x.first_year, x.last_year, x.segment, x.customers, x.records, "" if x.amount is None else format(x.amount.normalize(), "f"))
        for x in lines
    ]  # fmt: skip
    if args.to is not None:
        export(args.to, columns, (str, str, int, int, str, int, int, str), rows)
    screen.table(
        N_("Figures of customers that are gone"),
        (N_("customers"), N_("figure"), N_("years"), N_("segment"), N_("how many"), N_("records"), N_("amount")),
        [(r[0], r[1], f"{r[2]}" if r[2] == r[3] else f"{r[2]}–{r[3]}", r[4] or "–", r[5], r[6], r[7] or "–") for r in rows],
    )
    if added is not None:
        for object, figure, _count in added.withheld:
            screen.warn(
                N_("{figure} of {object} was left out: too few customers stand behind it."), figure=figure, object=object
            )
    screen.result(
        {
            "added": None if added is None else len(added.lines),
            "withheld": [] if added is None else [list(x[:2]) for x in added.withheld],
            "lines": [dict(zip(columns, row, strict=True)) for row in rows],
        }
    )
    return 0
