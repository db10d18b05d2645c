"""The survivor of each cluster of a snapshot: what the rules look at, read from the workspace, and what they propose.

Left to others: the rules (``survivor``), storing the proposals (``adapter``), choosing otherwise (``steward.review``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

from steward.records import Snapshot
from steward.scoring.duplicates.cluster import cluster_id
from steward.scoring.duplicates.survivor import Facts, Survivor, choose, differing, golden_values, reason
from steward.store.sql import quote

if TYPE_CHECKING:
    from steward.crm.mapping import ObjectMapping
    from steward.store import Workspace

Records = Mapping[str, Mapping[str, str | None]]

SCHEMA = {
    "cluster_id": pl.String, "record_id": pl.String, "rule": pl.String, "steerable": pl.Boolean, "reason": pl.String,
    "values_json": pl.String, "differing_json": pl.String,
}  # fmt: skip


def propose_survivors(
    ws: Workspace, snapshot: Snapshot, object: str, frame: pl.DataFrame, groups: Sequence[Sequence[str]], rules: Sequence[str]
) -> tuple[dict[str, Survivor], pl.DataFrame]:
    """Return the survivor of each group under its first member, and the table of proposals.

    Parameters
    ----------
    frame : DataFrame
        Records with ``_id``, text columns.
    groups : sequence of sequence of str
        Ids, each group sorted.
    rules : sequence of str
        See :mod:`steward.scoring.duplicates.survivor`.
    """
    members = [m for g in groups for m in g]
    if not members:
        return {}, pl.DataFrame(schema=SCHEMA)
    mapped = ws.mapping(snapshot).objects.get(object)
    part = frame.filter(pl.col("_id").is_in(members))
    records: dict[str, Mapping[str, str | None]] = {
        row["_id"]: {k: v for k, v in row.items() if k != "_id"} for row in part.iter_rows(named=True)
    }
    linked, active = _hanging(ws, snapshot, object, members)
    created, modified = _times(ws, snapshot, object, mapped, members, records)
    facts = {
        m: Facts(
            linked.get(m, 0), sum(v not in (None, "") for v in records[m].values()), created.get(m), modified.get(m),
            records[m], active.get(m),
        )
        for m in members
    }  # fmt: skip
    chosen = {g[0]: choose({m: facts[m] for m in g}, rules) for g in groups}
    fixed = _not_for_people(mapped)
    rows = [_row(object, g, chosen[g[0]], records, fixed) for g in groups]
    return chosen, pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _row(
    object: str, group: Sequence[str], survivor: Survivor, records: Records, fixed: set[str]
) -> tuple[str, str, str, bool, str, str, str]:
    values = {m: {c: v for c, v in records[m].items() if c not in fixed} for m in group}
    golden = {c: list(taken) for c, taken in golden_values(group, survivor.id, values).items()}
    return (
        cluster_id(object, group), survivor.id, survivor.rule, survivor.steerable, reason(survivor),
        json.dumps(golden, ensure_ascii=False), json.dumps(differing(group, values), ensure_ascii=False),
    )  # fmt: skip


def _not_for_people(mapped: ObjectMapping | None) -> set[str]:
    """Return columns no merge carries over: the key, marks of time, version and deletion, what the mapping protects."""
    if mapped is None:
        return set()
    fixed = {mapped.key, mapped.created, mapped.modified, mapped.version}
    if mapped.soft_delete:
        fixed |= {mapped.soft_delete.column, mapped.soft_delete.at, mapped.soft_delete.by}
    return {c for c in fixed if c}


def _times(
    ws: Workspace, snapshot: Snapshot, object: str, mapped: ObjectMapping | None, members: Sequence[str], records: Records
) -> tuple[dict[str, str], dict[str, str]]:
    """Return creation and change of each member as text that sorts; read by the mapping's formats where it can be."""
    out: list[dict[str, str]] = []
    for column in (mapped.created if mapped else None, mapped.modified if mapped else None):
        if not column or column not in ws.columns(snapshot, object):
            out.append({})
            continue
        dated = quote(column + "__date")
        sql = f"SELECT _id, strftime({dated}, '%Y-%m-%dT%H:%M:%S.%f') FROM {ws.typed(snapshot, object)} WHERE _id IN (SELECT unnest(?))"  # noqa: S608 - quoted
        found = {i: t for i, t in ws.connection.execute(sql, [list(members)]).fetchall() if t}
        out.append(found)
    return out[0], out[1]


def _hanging(ws: Workspace, snapshot: Snapshot, object: str, members: Sequence[str]) -> tuple[dict[str, int], dict[str, str]]:
    """Count the records of other objects that refer to each member, and find the time of the latest of them."""
    counts: dict[str, int] = {}
    latest: dict[str, str] = {}
    held = {o.name for o in snapshot.objects}
    for child, column in ws.mapping(snapshot).children_of(object):
        if child.name not in held or column not in ws.columns(snapshot, child.name):
            continue
        event = child.event if child.event in ws.columns(snapshot, child.name) else None
        time = f"strftime(max({quote(event + '__date')}), '%Y-%m-%dT%H:%M:%S.%f')" if event else "NULL"
        sql = (
            f"SELECT {quote(column)}, count(*), {time} FROM {ws.typed(snapshot, child.name)} "  # noqa: S608 - identifiers are quoted
            f"WHERE {quote(column)} IN (SELECT unnest(?)) AND NOT coalesce(_deleted, false) GROUP BY 1"
        )
        for name, number, at in ws.connection.execute(sql, [list(members)]).fetchall():
            counts[name] = counts.get(name, 0) + int(number)
            if at:
                latest[name] = max(latest.get(name, ""), at)
    return counts, latest
