"""The typed view of a snapshot table: beside each date column its parsed value, the original text kept.

Nothing is guessed: a column is parsed by the formats its mapping declares, or, where the mapping calls it a business
date, creation or change, as ISO 8601 and nothing else.

Left to others: what a date that cannot be read means (``steward.scoring``).
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from steward.crm.mapping import ObjectMapping
from steward.store.sql import literal, quote

_ISO = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?)?(Z|[+-]\d{2}:?\d{2})?$"


def iso_sql(column: str) -> str:
    """Return SQL that reads a quoted text column as ISO 8601 in UTC; NULL where it is something else."""
    zoned = f"regexp_matches({column}, '(Z|[+-]\\d{{2}}:?\\d{{2}})$') AND length({column}) > 10"
    return (
        f"CASE WHEN NOT regexp_matches({column}, {literal(_ISO)}) THEN NULL "
        f"WHEN {zoned} THEN try_cast({column} AS TIMESTAMPTZ) AT TIME ZONE 'UTC' ELSE try_cast({column} AS TIMESTAMP) END"
    )


def date_sql(column: str, formats: str | None) -> str:
    """Return SQL of the parsed value of a quoted text column.

    Parameters
    ----------
    formats : str or None
        ``strptime`` formats joined by ``|``; None reads ISO 8601. A value that two formats read differently is NULL.
    """
    if formats is None:
        return iso_sql(column)
    tried = [
        iso_sql(column) if f.strip() == "iso" else f"try_strptime({column}, {literal(f.strip())})" for f in formats.split("|")
    ]
    if len(tried) == 1:
        return tried[0]
    distinct = f"list_distinct([{', '.join(tried)}])"  # leaves NULLs out
    return f"CASE WHEN len({distinct}) = 1 THEN {distinct}[1] END"


def dated_columns(entry: ObjectMapping) -> dict[str, str | None]:
    """Return the columns that get a parsed value, with their formats; None is ISO 8601."""
    found: dict[str, str | None] = dict(entry.dates)
    for column in (entry.created, entry.modified, entry.event):
        if column:
            found.setdefault(column, None)
    return found


def view_name(schema: str, object: str) -> str:
    """Return the quoted, qualified name of the typed view."""
    return f"{quote(schema)}.{quote(object + '__typed')}"


def create_typed_view(connection: duckdb.DuckDBPyConnection, schema: str, entry: ObjectMapping, columns: Sequence[str]) -> None:
    """Make or replace the view of one object."""
    extra = [
        f"{date_sql(quote(column), formats)} AS {quote(column + '__date')}"
        for column, formats in dated_columns(entry).items()
        if column in columns and column + "__date" not in columns
    ]
    body = ", ".join(["*", *extra])
    connection.execute(
        f"CREATE OR REPLACE VIEW {view_name(schema, entry.name)} AS SELECT {body} FROM {quote(schema)}.{quote(entry.name)}"
    )
