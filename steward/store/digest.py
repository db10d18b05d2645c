"""Content digests computed in SQL, equal to those of ``steward.records``.

The record digest stands in column ``_digest`` of every snapshot table (see :func:`steward.store.sql.record_digest_sql`).
An object's digest is taken over 4,096 buckets, so that no text longer than a bucket is ever built.

Left to others: the definition (``steward.records``), writing the columns (``intake``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import duckdb

from steward.errors import IntegrityError
from steward.messages import N_
from steward.store.sql import one

_BUCKETS = 4_096
_AT_ONCE = 2_000_000


def object_digest(connection: duckdb.DuckDBPyConnection, table: str, name: str) -> tuple[str, int]:
    """Return digest and number of rows of one snapshot table.

    Parameters
    ----------
    table : str
        Quoted and qualified.
    name : str
        The object's name, which is part of the digest.
    """
    total = int(one(connection, f"SELECT count(*) FROM {table}")[0])
    lines: list[str] = []
    counted = 0
    for low, high in _parts(total):
        row = one(
            connection,
            f"""
            WITH bucket AS (
                SELECT substr(_digest, 1, 3) AS place, sha256(string_agg(_digest, '' ORDER BY _digest)) AS digest, count(*) AS rows
                FROM {table} WHERE _digest >= ? AND _digest < ? GROUP BY place)
            SELECT string_agg(place || ':' || digest, chr(10) ORDER BY place), coalesce(sum(rows), 0) FROM bucket
            """,
            [low, high],
        )
        counted += int(row[1])
        if row[0]:
            lines.append(str(row[0]))
    if counted != total:
        raise IntegrityError(N_("The digests of {object} cannot be read."), object=name)
    head = f"steward.object.v1\n{len(name.encode())}:{name}\n{total}\n"
    return hashlib.sha256((head + "\n".join(lines)).encode()).hexdigest(), total


def _parts(rows: int) -> Iterator[tuple[str, str]]:
    """Yield ranges of digests, in order, that hold some two million rows each: more at once would not fit into memory."""
    parts = min(_BUCKETS, max(1, -(-rows // _AT_ONCE)))
    edges = [_BUCKETS * n // parts for n in range(parts)]
    for low, high in zip(edges, [*edges[1:], _BUCKETS], strict=True):
        yield f"{low:03x}", f"{high:03x}" if high < _BUCKETS else "g"
