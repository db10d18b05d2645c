"""What a merge would lose of links: those that cannot move, memberships of lists with their roles, links to oneself.

A link *conflicts* where the survivor (or another member) has the same one already and the system allows it once: both are
on one list, both are contacts of one deal. One of the two, with its role, would be gone: a person decides, nothing is
dropped in silence. A link from the survivor to a member would point to the survivor itself after the merge.

Which links exist once is said by the mapping (``unique``, and the parents of a ``membership``) or follows from a key of
several columns. Reads the workspace; decides nothing.

Left to others: values of fields (``steward.review.survivor``), what a deletion does to what hangs on a record
(``steward.store.impact``), what follows for a decision (``steward.review.intent``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steward.crm.mapping import Mapping as CrmMapping
from steward.crm.mapping import ObjectMapping
from steward.records import Link, RecordKey, Snapshot
from steward.review.intent import Clash, Twin
from steward.store.sql import quote

if TYPE_CHECKING:
    import duckdb

    from steward.store import Workspace

MOST_SHOWN = 40
"""Memberships and conflicts shown of one case; more are counted."""


@dataclass(frozen=True, slots=True)
class Membership:
    """One membership of a member: what it belongs to, and as what.

    Attributes
    ----------
    object, column : str
        The child object, and its column that refers to the member.
    id : str
        Id of the membership.
    to : str
        What it is a membership of, by its label; the id where it has none.
    role : tuple of (field, value)
        What the membership itself says: role, status, since when.
    conflicts : bool
        Another member has the same one: only one of the two can stay.
    """

    object: str
    column: str
    id: str
    to: str
    role: tuple[tuple[str, str], ...]
    conflicts: bool


def unique_links(entry: ObjectMapping, column: str) -> list[tuple[str, ...]]:
    """Return, for each rule under which a link through ``column`` exists only once, the other columns of the rule."""
    rules = [set(rule) for rule in entry.unique]
    if len(entry.key_columns) > 1:
        rules.append(set(entry.key_columns))
    if entry.role == "membership" and not entry.unique:
        rules.append({c for c in entry.parents if c != entry.owner})
    found = {tuple(sorted(rule - {column})) for rule in rules if column in rule}
    return sorted(rest for rest in found if rest)


def clashes(
    db: duckdb.DuckDBPyConnection,
    ws: Workspace,
    snapshot: Snapshot,
    mapping: CrmMapping,
    members: Mapping[int, Sequence[RecordKey]],
) -> dict[int, list[Clash]]:
    """Return for each case the links of its members that exclude each other, with a fixed number of queries.

    Parameters
    ----------
    members : mapping of int to sequence of RecordKey
        Place of the case → its records, all of one object.
    """
    out: dict[int, list[Clash]] = {}
    known = {o.name for o in snapshot.objects}
    for name in sorted({keys[0].object for keys in members.values() if keys}):
        pairs = [(place, k.id) for place, keys in members.items() if len(keys) > 1 and keys[0].object == name for k in keys]
        if not pairs:
            continue
        given = {"p": [p for p, _ in pairs], "i": [i for _, i in pairs]}
        for child, column in mapping.children_of(name):
            if child.name not in known:
                continue
            here = set(ws.columns(snapshot, child.name))
            table = ws.table(snapshot, child.name)
            for rest in unique_links(child, column):
                if not {column, *rest} <= here:
                    continue
                by = ", ".join(f"c.{quote(r)}" for r in rest)
                filled = " AND ".join(f"c.{quote(r)} IS NOT NULL" for r in rest)
                rows = db.execute(
                    f"SELECT k.place, list(c._id ORDER BY c._id), list(c.{quote(column)} ORDER BY c._id), list(c._digest ORDER BY c._id) FROM {table} c "  # noqa: S608 - names are quoted
                    f"JOIN (SELECT unnest($p::BIGINT[]) AS place, unnest($i::VARCHAR[]) AS id) k ON c.{quote(column)} = k.id "
                    f"WHERE NOT c._deleted AND {filled} GROUP BY k.place, {by} HAVING count(DISTINCT c.{quote(column)}) > 1",
                    given,
                ).fetchall()
                for place, ids, ends, digests in rows:
                    twins = tuple(Twin(*x) for x in zip(ids, ends, digests, strict=True))
                    out.setdefault(place, []).append(Clash(child.name, column, frozenset(ends), links=twins))
            if child.name == name:  # members that refer to each other
                rows = db.execute(
                    f"SELECT a.place, c._id, c.{quote(column)} FROM {table} c "  # noqa: S608 - names are quoted
                    f"JOIN (SELECT unnest($p::BIGINT[]) AS place, unnest($i::VARCHAR[]) AS id) a ON c._id = a.id "
                    f"JOIN (SELECT unnest($p::BIGINT[]) AS place, unnest($i::VARCHAR[]) AS id) b "
                    f"ON b.place = a.place AND c.{quote(column)} = b.id WHERE c._id <> c.{quote(column)}",
                    given,
                ).fetchall()
                for place, referring, referred in rows:
                    out.setdefault(place, []).append(Clash(name, column, frozenset({referring, referred}), referring))
    return out


def singles(
    db: duckdb.DuckDBPyConnection, ws: Workspace, snapshot: Snapshot, mapping: CrmMapping, keys: Iterable[RecordKey]
) -> list[tuple[Link, ...]]:
    """Return groups of live links, each group the same but for the record it refers to, of which a record may have only one.

    Parameters
    ----------
    keys : iterable of RecordKey
        Records that are merged, and those they are merged into. Only links to these are returned, and only groups of several.
    """
    known = {o.name for o in snapshot.objects}
    wanted: dict[str, set[str]] = {}
    for key in keys:
        wanted.setdefault(key.object, set()).add(key.id)
    out: list[tuple[Link, ...]] = []
    for name in sorted(wanted.keys() & mapping.objects.keys()):
        for child, column in mapping.children_of(name):
            if child.name not in known:
                continue
            here = set(ws.columns(snapshot, child.name))
            for rest in unique_links(child, column):
                if not {column, *rest} <= here:
                    continue
                by = ", ".join(f"c.{quote(r)}" for r in rest)
                filled = " AND ".join(f"c.{quote(r)} IS NOT NULL" for r in rest)
                rows = db.execute(
                    f"SELECT list(c._id ORDER BY c._id), list(c.{quote(column)} ORDER BY c._id) "  # noqa: S608 - names are quoted
                    f"FROM {ws.table(snapshot, child.name)} c JOIN (SELECT unnest($i::VARCHAR[]) AS id) k ON c.{quote(column)} = k.id "
                    f"WHERE NOT c._deleted AND {filled} GROUP BY {by} HAVING count(DISTINCT c.{quote(column)}) > 1 ORDER BY 1",
                    {"i": sorted(wanted[name])},
                ).fetchall()
                out += [
                    tuple(Link(RecordKey(child.name, i), column, RecordKey(name, p)) for i, p in zip(ids, parents, strict=True))
                    for ids, parents in rows
                ]
    return out


def memberships(
    db: duckdb.DuckDBPyConnection, ws: Workspace, snapshot: Snapshot, mapping: CrmMapping, members: Sequence[RecordKey]
) -> dict[RecordKey, tuple[Membership, ...]]:
    """Return what each member belongs to: records of role ``membership``, and of every object whose links exist once."""
    out: dict[RecordKey, list[Membership]] = {}
    known = {o.name for o in snapshot.objects}
    name = members[0].object if members else ""
    for child, column in mapping.children_of(name):
        if child.name not in known or not (child.role == "membership" or unique_links(child, column)):
            continue
        columns = ws.columns(snapshot, child.name)
        ends = [c for c in child.parents if c != column and c != child.owner and c in columns]
        silent = {*child.key_columns, *child.parents, child.owner, child.created, child.modified, child.version}
        if child.soft_delete:
            silent |= {child.soft_delete.column, child.soft_delete.at, child.soft_delete.by}
        told = [c for c in columns if c not in silent][:4]
        chosen = ", ".join(f"c.{quote(c)}" for c in (column, *ends, *told))
        rows = db.execute(
            f"SELECT c._id, {chosen} FROM {ws.table(snapshot, child.name)} c "  # noqa: S608 - names are quoted
            f"JOIN (SELECT unnest($i::VARCHAR[]) AS id) k ON c.{quote(column)} = k.id WHERE NOT c._deleted ORDER BY c._id LIMIT 500",
            {"i": [m.id for m in members]},
        ).fetchall()
        if not rows:
            continue
        labels = {end: _labels(db, ws, snapshot, mapping, child.parents[end], {r[2 + n] for r in rows if r[2 + n]}) for n, end in enumerate(ends)}  # fmt: skip
        apart = unique_links(child, column)
        taken: dict[tuple[Any, ...], set[str]] = {}
        for row in rows:
            said = dict(zip((column, *ends, *told), row[1:], strict=True))
            for rest in apart:
                taken.setdefault((rest, *(said.get(r) for r in rest)), set()).add(row[1])
        for row in rows:
            said = dict(zip((column, *ends, *told), row[1:], strict=True))
            to = ", ".join(labels[e].get(said[e], said[e]) for e in ends if said[e]) or row[0]
            role = tuple((c, str(said[c])) for c in told if said[c] not in (None, ""))
            double = any(
                len(taken[(rest, *(said.get(r) for r in rest))]) > 1 and all(said.get(r) is not None for r in rest)
                for rest in apart
            )
            out.setdefault(RecordKey(name, row[1]), []).append(Membership(child.name, column, row[0], to, role, double))
    return {
        key: tuple(sorted(found, key=lambda m: (not m.conflicts, m.object, m.to))[:MOST_SHOWN]) for key, found in out.items()
    }


def referred(
    db: duckdb.DuckDBPyConnection, ws: Workspace, snapshot: Snapshot, mapping: CrmMapping, object: str, wanted: Mapping[str, set[str]]
) -> dict[tuple[str, str], str]:  # fmt: skip
    """Return labels of the records that fields refer to: (field, id) → label, for those that have one.

    Parameters
    ----------
    wanted : mapping of str to set of str
        Field of ``object`` that refers to another object → ids.
    """
    entry = mapping.objects.get(object)
    out: dict[tuple[str, str], str] = {}
    for field, ids in wanted.items():
        parent = entry.parents.get(field) if entry else None
        if parent:
            out |= {(field, i): label for i, label in _labels(db, ws, snapshot, mapping, parent, ids).items()}
    return out


def _labels(
    db: duckdb.DuckDBPyConnection, ws: Workspace, snapshot: Snapshot, mapping: CrmMapping, object: str, ids: set[str]
) -> dict[str, str]:  # fmt: skip
    entry = mapping.objects.get(object)
    if entry is None or not ids or object not in {o.name for o in snapshot.objects}:
        return {}
    columns = [c for c in entry.label if c in ws.columns(snapshot, object)]
    if not columns:
        return {}
    label = ", ".join(f"nullif(trim(t.{quote(c)}), '')" for c in columns)
    rows = db.execute(
        f"SELECT t._id, nullif(concat_ws(' ', {label}), '') FROM {ws.table(snapshot, object)} t "  # noqa: S608 - names are quoted
        "JOIN (SELECT unnest($i::VARCHAR[]) AS id) k ON t._id = k.id",
        {"i": sorted(ids)},
    ).fetchall()
    return {i: text for i, text in rows if text is not None}
