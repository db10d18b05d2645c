"""What hangs on a record, per child object and column: how many, how much money, how recent, and what a deletion does.

Left to others: showing it (``steward.review``), acting on it (the executor, which reads the CRM anew).
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import duckdb
import pyarrow as pa

from steward.crm.mapping import Mapping, ObjectMapping, OpenWhen
from steward.records import RecordKey
from steward.store.model import ChildImpact, Impact
from steward.store.sql import literal, quote


def open_sql(entry: ObjectMapping) -> str | None:
    """Return SQL that is true for open business; None where the mapping does not say which records are open."""
    rule = entry.open_when
    return None if rule is None else holds_sql(quote(rule.column), rule)


def holds_sql(cell: str, rule: OpenWhen) -> str:
    """Return SQL, never NULL, of a rule over a quoted text column; a state that is not known counts as open."""
    nothing = f"coalesce(trim({cell}), '') = ''"
    if rule.empty:
        return f"({nothing})"
    values = ", ".join(literal(v) for v in rule.values or rule.not_in)
    return f"({nothing} OR {cell} {'IN' if rule.values else 'NOT IN'} ({values}))"


def read_impact(
    connection: duckdb.DuckDBPyConnection, mapping: Mapping, schema: str, keys: Iterable[RecordKey]
) -> dict[RecordKey, Impact]:
    """Return the impact of each key, also of those on which nothing hangs."""
    wanted = sorted(set(keys))
    by_object: dict[str, list[str]] = {}
    for key in wanted:
        by_object.setdefault(key.object, []).append(key.id)
    children: dict[RecordKey, list[ChildImpact]] = {key: [] for key in wanted}
    cursor = connection.cursor()
    try:
        for name, ids in by_object.items():
            cursor.register("steward_parents", pa.table({"id": pa.array(ids, pa.string())}))
            for child, column in mapping.children_of(name):
                for found, one in _children(cursor, schema, child, column):
                    children[RecordKey(name, found)].append(one)
    finally:
        cursor.close()
    return {key: Impact(key, tuple(children[key])) for key in wanted}


def _children(
    cursor: duckdb.DuckDBPyConnection, schema: str, child: ObjectMapping, column: str
) -> list[tuple[str, ChildImpact]]:
    opened = open_sql(child)
    amount = f"try_cast(trim(c.{quote(child.amount)}) AS DECIMAL(38, 6))" if child.amount else "NULL::DECIMAL(38, 6)"
    given = f"nullif(trim(c.{quote(child.amount)}), '')" if child.amount else "NULL"
    latest = f"max(c.{quote(child.event + '__date')})" if child.event else "NULL"
    rows = cursor.execute(
        f"""
        SELECT p.id, count(c._id), {f"count_if({opened})" if opened else "NULL"}, sum({amount}),
               count({given}) - count({amount}), {latest}
        FROM steward_parents p LEFT JOIN (
            SELECT * FROM {quote(schema)}.{quote(child.name + "__typed")} WHERE NOT _deleted) c ON c.{quote(column)} = p.id
        GROUP BY p.id
        """
    ).fetchall()
    on_delete = child.on_delete.get(column, "block")
    return [
        (
            str(parent),
            ChildImpact(
                child.name, column, child.role, count, (opens if count else 0) if opened else None,
                _plain(total, count) if child.amount else None, unreadable, last.isoformat() if last is not None else None, on_delete,
            ),
        )
        for parent, count, opens, total, unreadable, last in rows
    ]  # fmt: skip


def _plain(total: Decimal | None, count: int) -> Decimal:
    """A sum without trailing zeros; no amount at all is zero."""
    if total is None or not count:
        return Decimal(0)
    whole = total.normalize()
    return whole.quantize(Decimal(1)) if whole == whole.to_integral_value() else whole
