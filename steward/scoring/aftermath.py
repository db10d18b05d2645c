"""The gate after an execution: whether the CRM is whole, seen from snapshots before and after and from the receipt.

Asked of the snapshot taken after: is what the receipt calls gone really gone; did anything else go; do live records refer to
records that are not there (orphans) or lie in the recycle bin (dangling parents), who did not before; do the counts come out.

Left to others: reading receipts (``receipts``), the gate before drafting (``gates``), mending (a restore).
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from steward.crm.mapping import ObjectMapping
from steward.messages import N_
from steward.policy import Reason
from steward.records import Snapshot
from steward.scoring.receipts import Receipt
from steward.store import Workspace
from steward.store.sql import quote


def aftermath(ws: Workspace, before: Snapshot, after: Snapshot, receipts: Sequence[Receipt]) -> list[Reason]:
    """Return what is not as the receipts say, or no longer hangs together; empty means that the CRM is whole.

    Parameters
    ----------
    before, after : Snapshot
        Of one source, around the executions.

    Notes
    -----
    Records that are new in ``after`` are no finding. Orphans and dangling parents count only where the reference was whole
    before: older damage is for a suite to tell.
    """
    mapping = ws.mapping(before)
    reasons: list[Reason] = []
    for stats in after.objects:
        if stats.rejects:
            reasons.append(
                Reason("unresolved_rejects", N_("{n} lines of {object} could not be read and are not resolved."), {"n": stats.rejects, "object": stats.name})
            )  # fmt: skip
    connection = ws.connection.cursor()
    try:
        keys = sorted({key for receipt in receipts for key in receipt.gone})
        connection.register(
            "steward_said_gone",
            pa.table(
                {"object": pa.array([k.object for k in keys], pa.string()), "id": pa.array([k.id for k in keys], pa.string())}
            ),
        )
        names = {o.name for o in before.objects} & set(mapping.objects)
        there = {o.name for o in after.objects}
        for name in sorted(names):
            if name not in there:
                reasons.append(Reason("object_gone", N_("The snapshot before had an object {object}, and this one has not."), {"object": name}))  # fmt: skip
                continue
            reasons += _counts(ws, connection, before, after, name)
            reasons += _references(ws, connection, before, after, mapping.objects[name], names & there)
    finally:
        connection.close()
    return reasons


def _number(connection: object, sql: str) -> int:
    return int(connection.execute(sql).fetchall()[0][0])  # type: ignore[attr-defined]  # a cursor of DuckDB


def _counts(ws: Workspace, connection: object, before: Snapshot, after: Snapshot, name: str) -> list[Reason]:
    old, new = ws.table(before, name), ws.table(after, name)
    said = f"(SELECT id FROM steward_said_gone WHERE object = '{name}')"  # noqa: S608 - names are [a-z0-9_]
    live_old, live_new = f"(SELECT _id FROM {old} WHERE NOT _deleted)", f"(SELECT _id FROM {new} WHERE NOT _deleted)"  # noqa: S608
    still = _number(connection, f"SELECT count(*) FROM {live_new} n SEMI JOIN {said} s ON s.id = n._id")  # noqa: S608
    others = _number(
        connection,
        f"SELECT count(*) FROM {live_old} o ANTI JOIN {live_new} n ON n._id = o._id ANTI JOIN {said} s ON s.id = o._id",  # noqa: S608
    )
    went = _number(connection, f"SELECT count(*) FROM {live_old} o SEMI JOIN {said} s ON s.id = o._id")  # noqa: S608
    came = _number(connection, f"SELECT count(*) FROM {live_new} n ANTI JOIN {live_old} o ON o._id = n._id")  # noqa: S608
    reasons = []
    if still:
        reasons.append(Reason("still_there", N_("{n} records of {object} that the receipt calls gone are still there."), {"n": still, "object": name}))  # fmt: skip
    if others:
        reasons.append(Reason("also_gone", N_("{n} records of {object} are gone that the receipt does not name."), {"n": others, "object": name}))  # fmt: skip
    was, now = _number(connection, f"SELECT count(*) FROM {live_old}"), _number(connection, f"SELECT count(*) FROM {live_new}")  # noqa: S608
    if now != was - went + came:
        reasons.append(
            Reason("counts", N_("{object} should have {expected} records and has {n}."), {"object": name, "expected": was - went + came, "n": now})
        )  # fmt: skip
    return reasons


def _references(
    ws: Workspace, connection: object, before: Snapshot, after: Snapshot, entry: ObjectMapping, names: set[str]
) -> list[Reason]:
    reasons = []
    for column, parent in entry.parents.items():
        if parent not in names or column not in ws.columns(after, entry.name) or column not in ws.columns(before, entry.name):
            continue
        cell = f"c.{quote(column)}"
        # A child that was whole before: its parent was live. A child that is new has to be whole as well.
        broken_before = (
            f"SELECT c._id FROM {ws.table(before, entry.name)} c ANTI JOIN (SELECT _id FROM {ws.table(before, parent)} WHERE NOT _deleted) p "  # noqa: S608
            f"ON p._id = {cell} WHERE NOT c._deleted AND coalesce({cell}, '') <> ''"
        )
        now = (
            f"SELECT c._id, p._deleted FROM {ws.table(after, entry.name)} c LEFT JOIN {ws.table(after, parent)} p ON p._id = {cell} "  # noqa: S608
            f"WHERE NOT c._deleted AND coalesce({cell}, '') <> '' AND (p._id IS NULL OR p._deleted)"
        )
        for code, which, template in (
            ("orphans", "_deleted IS NULL", N_("{n} records of {object} refer by {column} to a {parent} that is not there.")),
            ("dangling", "_deleted", N_("{n} records of {object} refer by {column} to a {parent} in the recycle bin.")),
        ):
            sql = f"SELECT count(*) FROM ({now}) n ANTI JOIN ({broken_before}) b ON b._id = n._id WHERE {which}"  # noqa: S608
            found = _number(connection, sql)
            if found:
                reasons.append(Reason(code, template, {"n": found, "object": entry.name, "column": column, "parent": parent}))
    return reasons
