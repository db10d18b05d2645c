"""The figures of reports, per customer, year and segment: what a snapshot holds, and what goes when records go.

A figure counts the rows of one object of business (orders, invoices, lines of orders) by the year of their business date, and
adds up their worth. A row belongs to every customer that its chains of references lead to; its date is its own, or that of
the first record on its way that has one. What goes with a set of records is every row that leads to a customer before and
does not after: because the customer went, the row itself went, or a record between them. What moves are rows that stay with a
customer who was anonymised out of a segment.

Left to others: which lines may be written (``anonymous``), keeping them (``table``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Pairs
from dataclasses import dataclass
from decimal import Decimal

import duckdb
import pyarrow as pa

from steward.crm.mapping import Mapping, ObjectMapping
from steward.errors import PolicyInvalidError
from steward.messages import N_
from steward.policy import Figure, Policy
from steward.records import RecordKey, Snapshot
from steward.scoring.history.anonymous import Contribution
from steward.scoring.relations import CUSTOMER_ROLES, Chain, chains
from steward.store import Workspace
from steward.store.sql import quote

BUSINESS = ("deal", "order", "invoice", "payment", "contract")
_GONE = "_steward_gone"
_PSEUDONYM = "^anon-[0-9a-f]{16}$"
"""What anonymising by a token leaves: another one in every record, so it is no segment (``steward.executor.effects``)."""


@dataclass(frozen=True, slots=True)
class YearFigure:
    """What a snapshot itself says of one figure, year and segment; for reports, not for the history table."""

    customers_of: str
    figure: str
    year: int
    segment: str
    customers: int
    records: int
    amount: Decimal | None


def figures_of(ws: Workspace, snapshot: Snapshot, policy: Policy) -> list[YearFigure]:
    """Return the figures as the live records of a snapshot give them, sorted."""
    connection = ws.connection.cursor()
    try:
        _register_gone(connection, ())
        found: list[YearFigure] = []
        for customers_of, figure, rows in _all(ws, snapshot, policy):
            found += [
                YearFigure(customers_of, figure, int(year), str(segment), int(customers), int(records), amount)
                for year, segment, customers, records, amount in connection.execute(
                    f"SELECT year, segment, count(DISTINCT target), count(DISTINCT row), sum(amount) FROM ({rows}) GROUP BY ALL ORDER BY ALL"  # noqa: S608
                ).fetchall()
            ]
    finally:
        connection.close()
    return sorted(found, key=lambda f: (f.customers_of, f.figure, f.year, f.segment))


def contributions(ws: Workspace, snapshot: Snapshot, policy: Policy, gone: Iterable[RecordKey]) -> list[Contribution]:
    """Return what goes from the figures when these records go, per customer, year and segment.

    Parameters
    ----------
    gone : iterable of RecordKey
        Records of the snapshot that were deleted. Of merged records leave the loser out: its rows went to the survivor.
    """
    connection = ws.connection.cursor()
    try:
        _register_gone(connection, gone)
        found: list[Contribution] = []
        for customers_of, figure, rows in _all(ws, snapshot, policy, without_gone=False):
            after = next(r for c, f, r in _all(ws, snapshot, policy, without_gone=True) if (c, f) == (customers_of, figure))
            found += [
                Contribution(customers_of, figure, str(target), int(year), str(segment), int(records), amount)
                for target, year, segment, records, amount in connection.execute(
                    f"SELECT b.target, b.year, b.segment, count(DISTINCT b.row), sum(b.amount) FROM ({rows}) b "  # noqa: S608 - quoted
                    f"ANTI JOIN ({after}) a ON a.target = b.target AND a.row = b.row GROUP BY ALL ORDER BY ALL"
                ).fetchall()
            ]
    finally:
        connection.close()
    return found


def moves(
    ws: Workspace, snapshot: Snapshot, policy: Policy, gone: Iterable[RecordKey], emptied: Pairs[RecordKey, frozenset[str]]
) -> list[Contribution]:
    """Return what leaves its segment because the customer was anonymised, per customer, year and segment it was in.

    Only rows that stay count (the others are ``contributions``), and only customers whose segment was among the fields that
    anonymising changed. Those that had none stay where they are.

    Parameters
    ----------
    gone : iterable of RecordKey
        As for ``contributions``.
    emptied : mapping of RecordKey to frozenset of str
        Anonymised record → names of the changed fields.
    """
    segments = policy.history.segments
    moved = {(k.object, k.id) for k, fields in emptied.items() if k.object in segments and segments[k.object] in fields}
    if not moved:
        return []
    connection = ws.connection.cursor()
    try:
        _register_gone(connection, gone)
        found = [
            Contribution(customers_of, figure, str(target), int(year), str(segment), int(records), amount)
            for customers_of, figure, rows in _all(ws, snapshot, policy, without_gone=True)
            for target, year, segment, records, amount in connection.execute(
                f"SELECT target, year, segment, count(DISTINCT row), sum(amount) FROM ({rows}) WHERE segment <> '' "  # noqa: S608
                "GROUP BY ALL ORDER BY ALL"
            ).fetchall()
            if (customers_of, str(target)) in moved
        ]
    finally:
        connection.close()
    return found


def _register_gone(connection: duckdb.DuckDBPyConnection, gone: Iterable[RecordKey]) -> None:
    keys = sorted(set(gone))
    connection.register(
        "steward_gone_keys",
        pa.table(
            {"object": pa.array([k.object for k in keys], pa.string()), "id": pa.array([k.id for k in keys], pa.string())}
        ),
    )
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {_GONE} AS SELECT object, id FROM steward_gone_keys")  # noqa: S608
    connection.unregister("steward_gone_keys")


def wanted_figures(mapping: Mapping, policy: Policy) -> tuple[Figure, ...]:
    """Return the figures of the policy; where it names none, every object of business that has a business date."""
    if policy.history.figures:
        return policy.history.figures
    return tuple(Figure(object=o.name) for o in mapping.objects.values() if o.role in BUSINESS and o.event)


def _all(ws: Workspace, snapshot: Snapshot, policy: Policy, *, without_gone: bool = False) -> list[tuple[str, str, str]]:
    """Return object of the customers, name of the figure, and SQL with ``target, row, year, segment, amount``; each row once."""
    mapping = ws.mapping(snapshot)
    held = {o.name: frozenset(o.columns) for o in snapshot.objects}

    def table(name: str) -> str:
        live = f"SELECT * FROM {ws.typed(snapshot, name)} WHERE NOT _deleted"  # noqa: S608 - quoted by the store
        if without_gone:
            live += f" AND _id NOT IN (SELECT id FROM {_GONE} WHERE object = '{name}')"  # noqa: S608 - names are [a-z0-9_]
        return f"({live})"

    out = []
    for figure in wanted_figures(mapping, policy):
        source = mapping.objects.get(figure.object)
        if source is None or source.name not in held:
            raise PolicyInvalidError(
                N_("The policy asks for figures of {object}, which the snapshot does not hold."), object=figure.object
            )
        worth = _worth(figure, source, held[source.name])
        for customer in (o for o in mapping.objects.values() if o.role in CUSTOMER_ROLES and o.name in held):
            reached = [c for c in chains(mapping, source, customer.name) if all(o in held and k in held[o] for o, k in c.steps)]
            ways = [w for c in reached if (w := _way(mapping, c, customer, policy, table, held, worth)) is not None]
            if ways:
                # A row that several chains lead to the same customer counts once.
                rows = f"SELECT target, row, any_value(year) AS year, any_value(segment) AS segment, any_value(amount) AS amount FROM ({' UNION ALL '.join(ways)}) GROUP BY target, row"  # noqa: S608
                out.append((customer.name, figure.name or figure.object, rows))
    return out


def _way(
    mapping: Mapping, chain: Chain, customer: ObjectMapping, policy: Policy, table: object, held: object, worth: str
) -> str | None:
    """Return SQL of one chain from rows to customers; None where no record on it has a business date."""
    assert callable(table) and isinstance(held, dict)
    names = [name for name, _column in chain.steps]
    dated = next(
        (
            f"p{n}.{quote(column + '__date')}"
            for n, name in enumerate(names)
            if (column := mapping.objects[name].event) is not None and column in held[name]
        ),
        None,
    )
    if dated is None:
        return None
    sql = [f"FROM {table(names[0])} p0"]
    for number, name in enumerate(names[1:], start=1):
        sql.append(f"JOIN {table(name)} p{number} ON p{number}._id = p{number - 1}.{quote(chain.steps[number - 1][1])}")
    sql.append(f"JOIN {table(customer.name)} c ON c._id = p{len(names) - 1}.{quote(chain.steps[-1][1])}")
    column = policy.history.segments.get(customer.name)
    if column is not None and (column not in held[customer.name] or column in customer.label or column in customer.key_columns):
        raise PolicyInvalidError(
            N_("The policy groups {object} by {column}, which is not there or names the record."),
            object=customer.name,
            column=column,
        )
    segment = f"regexp_replace(coalesce(trim(c.{quote(column)}), ''), '{_PSEUDONYM}', '')" if column else "''"
    return (
        f"SELECT c._id AS target, p0._id AS row, year({dated}) AS year, {segment} AS segment, {worth} AS amount "
        f"{' '.join(sql)} WHERE {dated} IS NOT NULL"
    )


def _worth(figure: Figure, source: ObjectMapping, columns: frozenset[str]) -> str:
    """Return SQL of the worth of a row, alias ``p0``; what cannot be read as a number has none."""
    names: Sequence[str] = figure.amount or ((source.amount,) if source.amount else ())
    for name in (*names, *((figure.less,) if figure.less else ())):
        if name not in columns:
            raise PolicyInvalidError(
                N_("The policy asks for {column} of {object}, which is not there."), column=name, object=source.name
            )
    if not names:
        return "NULL::DECIMAL(38, 6)"
    parts = [f"try_cast(trim(p0.{quote(n)}) AS DECIMAL(18, 6))" for n in names]
    if figure.less:
        parts.append(f"(1 - coalesce(try_cast(trim(p0.{quote(figure.less)}) AS DECIMAL(9, 6)), 0))")
    # Multiplied as double and rounded, since the scales of decimals add up beyond what is kept; cents stay exact.
    return (
        f"round({' * '.join(f'({p})::DOUBLE' for p in parts)}, 6)::DECIMAL(38, 6)"
        if len(parts) > 1
        else f"{parts[0]}::DECIMAL(38, 6)"
    )
