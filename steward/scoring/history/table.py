"""The history table of a workspace: lines about customers that are gone or lost their segment, added once per execution.

An execution is named by the ids of its manifests, so that the same receipts never count twice. Lines are only ever added.

Left to others: the lines (``anonymous``), what goes (``figures``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from steward.errors import AlreadyAppliedError, ScoringError
from steward.messages import N_
from steward.policy import Policy
from steward.records import RecordKey
from steward.scoring.history.anonymous import Line, lines_of, moved_lines
from steward.scoring.history.figures import contributions, moves
from steward.scoring.receipts import Receipt, snapshots_around
from steward.store import Workspace

TABLES = """
CREATE TABLE IF NOT EXISTS history(
    customers_of VARCHAR NOT NULL, figure VARCHAR NOT NULL, first_year INTEGER NOT NULL, last_year INTEGER NOT NULL,
    segment VARCHAR NOT NULL, customers BIGINT NOT NULL, records BIGINT NOT NULL, amount DECIMAL(38, 6));
CREATE TABLE IF NOT EXISTS history_executions(manifest VARCHAR NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Added:
    """What some executions added: lines, and the figures that could not be kept (object, figure, customers)."""

    lines: tuple[Line, ...]
    withheld: tuple[tuple[str, str, int], ...]


def add_executions(ws: Workspace, receipts: Sequence[Receipt], policy: Policy, *, withhold: bool = False) -> Added:
    """Add to the history what went with some executions.

    Parameters
    ----------
    receipts : sequence of Receipt
        Several are taken together where one stands for too few customers.
    withhold : bool
        Leave out figures behind which too few customers stand, instead of refusing.

    Raises
    ------
    AlreadyAppliedError
        One of the executions is in the history.
    ScoringError
        Too few customers stand behind a figure; nothing was written.
    WrongTargetError
        The workspace holds no snapshot from before.
    """
    ws.connection.execute(TABLES)
    known = {m for (m,) in ws.connection.execute("SELECT manifest FROM history_executions").fetchall()}
    for receipt in receipts:
        if receipt.manifest_id in known:
            raise AlreadyAppliedError(N_("What went with manifest {id} is in the history already."), id=receipt.manifest_id)
    before, _after = snapshots_around(ws, receipts)
    gone = {key for receipt in receipts for key, action in receipt.gone.items() if action != "merge_into"}
    emptied: dict[RecordKey, frozenset[str]] = {}
    for receipt in receipts:
        for key, fields in receipt.emptied.items():
            emptied[key] = emptied.get(key, frozenset()) | fields
    rules = policy.history
    lines, withheld = lines_of(
        contributions(ws, before, policy, gone), smallest=rules.smallest, largest_percent=rules.largest_percent
    )
    moved, too_few = lines_of(
        moves(ws, before, policy, gone, emptied), smallest=rules.smallest, largest_percent=rules.largest_percent
    )
    withheld += too_few
    lines = sorted(
        (*lines, *moved_lines(moved)),
        key=lambda x: (x.customers_of, x.figure, x.first_year, x.last_year, x.segment, x.customers, x.records),
    )
    if withheld and not withhold:
        raise ScoringError(
            N_("Only {count} customers stand behind {figure} of {object}; the least is {least}, so nothing was written."),
            next_step=N_("Give the receipts of several executions in one go, or leave such figures out with --withhold."),
            object=withheld[0][0], figure=withheld[0][1], count=withheld[0][2], least=rules.smallest,
        )  # fmt: skip
    ws.connection.execute("BEGIN")
    try:
        for line in lines:
            ws.connection.execute(
                "INSERT INTO history VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [line.customers_of, line.figure, line.first_year, line.last_year, line.segment, line.customers, line.records, line.amount],
            )  # fmt: skip
        for receipt in receipts:
            ws.connection.execute("INSERT INTO history_executions VALUES (?)", [receipt.manifest_id])
        ws.connection.execute("COMMIT")
    except BaseException:
        ws.connection.execute("ROLLBACK")
        raise
    return Added(tuple(lines), tuple(withheld))


def read_history(ws: Workspace) -> list[Line]:
    """Return the lines of a workspace, sorted; one that never had an execution has none."""
    there = ws.connection.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'history'").fetchall()
    if not there[0][0]:
        return []
    rows = ws.connection.execute("SELECT * FROM history ORDER BY ALL").fetchall()
    return [Line(a, b, c, d, e, f, g, None if amount is None else Decimal(amount)) for a, b, c, d, e, f, g, amount in rows]
