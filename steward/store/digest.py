"""Content digests computed in SQL, equal to those of ``steward.records``.

The record digest stands in column ``_digest`` of every snapshot table (see :func:`steward.store.sql.record_digest_sql`).
An object's digest is taken over 4,096 buckets, so that no text longer than a bucket is ever built.

Left to others: the definition (``steward.records``), writing the columns (``intake``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import duckdb

from steward.errors import IntegrityError
from steward.messages import N_
from steward.store.sql import literal, one

_BUCKETS = 4_096
_AT_ONCE = 1_000_000
_WIDTH = 64


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
        where = f" WHERE _digest >= {literal(low)} AND _digest < {literal(high)}" if total > _AT_ONCE else ""
        digests = _sorted(connection.sql(f"SELECT _digest FROM {table}{where}").to_arrow_table().column(0))
        counted += len(digests)
        lines += _bucket_lines(digests)
    if counted != total:
        raise IntegrityError(N_("The digests of {object} cannot be read."), object=name)
    head = f"steward.object.v1\n{len(name.encode())}:{name}\n{total}\n"
    return hashlib.sha256((head + "\n".join(lines)).encode()).hexdigest(), total


def _sorted(column: Any) -> Any:
    """Return an Arrow column of digests as a sorted NumPy array of 64 bytes each."""
    import numpy as np

    texts = b"".join(
        memoryview(chunk.buffers()[2])[chunk.offset * _WIDTH : (chunk.offset + len(chunk)) * _WIDTH]
        for chunk in column.chunks
        if len(chunk)
    )
    digests = np.frombuffer(texts, dtype=f"S{_WIDTH}") if texts else np.empty(0, dtype=f"S{_WIDTH}")
    if not len(digests):
        return digests
    # Sorting by the first eight bytes costs a third of sorting texts, and is the same where those bytes differ.
    first = np.ascontiguousarray(np.frombuffer(texts, dtype="S16")[:: _WIDTH // 16])
    heads = np.frombuffer(bytes.fromhex(first.tobytes().decode("ascii")), dtype=">u8").astype("u8")
    order = np.argsort(heads, kind="stable")
    if (np.diff(heads[order]) == 0).any():
        return np.sort(digests)
    return digests[order]


def _bucket_lines(digests: Any) -> list[str]:
    """Return one line per bucket that holds anything: its three digits, and the digest of its digests."""
    import numpy as np

    places = np.array([f"{n:03x}".encode() for n in range(_BUCKETS)] + [b"g"], dtype=f"S{_WIDTH}")
    edges = np.searchsorted(digests, places)
    texts: Any = np.ascontiguousarray(digests).view("u1")
    return [
        f"{n:03x}:{hashlib.sha256(texts[edges[n] * _WIDTH : edges[n + 1] * _WIDTH]).hexdigest()}"
        for n in range(_BUCKETS)
        if edges[n] < edges[n + 1]
    ]


def _parts(rows: int) -> Iterator[tuple[str, str]]:
    """Yield ranges of digests, in order, that hold some million rows each: more at once would not fit into memory."""
    parts = min(_BUCKETS, max(1, -(-rows // _AT_ONCE)))
    edges = [_BUCKETS * n // parts for n in range(parts)]
    for low, high in zip(edges, [*edges[1:], _BUCKETS], strict=True):
        yield f"{low:03x}", f"{high:03x}" if high < _BUCKETS else "g"
