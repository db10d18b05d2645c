"""Small helpers for SQL text: identifiers and literals are quoted here and nowhere else in this room.

Left to others: the statements.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb


def quote(identifier: str) -> str:
    """Return ``identifier`` as a quoted SQL identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return ``text`` as an SQL string literal, for the few places where a parameter cannot be bound."""
    return "'" + text.replace("'", "''") + "'"


def record_digest_sql(columns: Sequence[str], *, prefix: str = "") -> str:
    """Return the SQL expression of :func:`steward.records.record_digest` over text columns.

    Parameters
    ----------
    columns : sequence of str
        Original column names, in any order.
    prefix : str
        Table alias with its dot, quoted by the caller.
    """
    parts = []
    for name in sorted(columns, key=lambda n: n.encode()):
        column = prefix + quote(name)
        head = f"{len(name.encode())}:{name}="
        # One flat concat, which leaves NULLs out: a nested one per column costs a sixth more.
        parts.append(
            f"CASE WHEN {column} IS NULL THEN {literal(head + 'N;')} ELSE {literal(head + 'S')} END, strlen({column}), "
            f"CASE WHEN {column} IS NULL THEN '' ELSE ':' END, {column}, CASE WHEN {column} IS NULL THEN '' ELSE ';' END"
        )
    return f"sha256(concat({', '.join(parts)}))"


def one(connection: duckdb.DuckDBPyConnection, statement: str, parameters: Sequence[object] | dict[str, object] = ()) -> Any:
    """Run a statement and return its first row, or None.

    The result is read to its end: DuckDB refuses further work on a connection with an unfinished result.
    """
    rows = connection.execute(statement, parameters).fetchall()
    return rows[0] if rows else None
