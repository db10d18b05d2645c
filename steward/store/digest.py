"""Content digests computed in SQL, equal to those of ``steward.records``.

The record digest stands in column ``_digest`` of every snapshot table (see :func:`steward.store.sql.record_digest_sql`).
An object's digest is taken over 4,096 buckets, so that no text longer than a bucket is ever built.

Left to others: the definition (``steward.records``), writing the columns (``intake``).
"""

from __future__ import annotations

import hashlib

import duckdb

from steward.store.sql import one


def object_digest(connection: duckdb.DuckDBPyConnection, table: str, name: str) -> tuple[str, int]:
    """Return digest and number of rows of one snapshot table.

    Parameters
    ----------
    table : str
        Quoted and qualified.
    name : str
        The object's name, which is part of the digest.
    """
    row = one(
        connection,
        f"""
        WITH bucket AS (
            SELECT substr(_digest, 1, 3) AS place, sha256(string_agg(_digest, '' ORDER BY _digest)) AS digest, count(*) AS rows
            FROM {table} GROUP BY place)
        SELECT coalesce(string_agg(place || ':' || digest, chr(10) ORDER BY place), ''), coalesce(sum(rows), 0) FROM bucket
        """,
    )
    lines, rows = str(row[0]), int(row[1])
    head = f"steward.object.v1\n{len(name.encode())}:{name}\n{rows}\n"
    return hashlib.sha256((head + lines).encode()).hexdigest(), rows
