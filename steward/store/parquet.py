"""Reads Parquet files: typed values become their text form, as ``steward.records`` defines it.

Left to others: the table (``writing``), accounting (``source``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from steward.errors import SchemaMismatchError, SnapshotError
from steward.messages import N_
from steward.records import canonical_text

Batch = tuple[int, dict[str, list[str | None]]]


def columns_of(path: Path, keys: Sequence[str], *, shown: str) -> tuple[tuple[str, ...], int]:
    """Return columns and number of rows.

    Raises
    ------
    SnapshotError
        Damaged.
    SchemaMismatchError
        A column twice; ids stored as floating point numbers, which keep 15 digits only.
    """
    try:
        file = pq.ParquetFile(path)
        schema, rows = file.schema_arrow, file.metadata.num_rows
    except (pa.ArrowException, OSError, ValueError):
        raise _damaged(shown) from None
    names = tuple(schema.names)
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise SchemaMismatchError(
            N_("{file} has several columns named {column}."),
            next_step=N_("Rename them in the file; guessing which is meant could lose values."),
            file=shown,
            column=", ".join(twice),
        )
    for key in keys:
        if key in names and pa.types.is_floating(schema.field(key).type):
            raise SchemaMismatchError(
                N_("{file} holds the ids of column {column} as floating point numbers, which keep 15 digits only."),
                next_step=N_("Export the ids as text."),
                file=shown,
                column=key,
            )
    return names, rows


def batches(path: Path, columns: Sequence[str], *, shown: str) -> Iterator[Batch]:
    """Yield (number of the first row from 1, values as text by column)."""
    at = 1
    try:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=20_000):
            yield at, {name: _texts(batch.column(i)) for i, name in enumerate(columns)}
            at += batch.num_rows
    except (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError, ValueError):
        raise _damaged(shown) from None


def _texts(array: pa.Array) -> list[str | None]:
    kind = array.type
    if pa.types.is_dictionary(kind):
        array = array.dictionary_decode()
        kind = array.type
    if pa.types.is_integer(kind):
        array = array.cast(pa.string())
    values = array.to_pylist()
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind):
        return list(values)
    if pa.types.is_map(kind):
        values = [None if v is None else dict(v) for v in values]
    return [canonical_text(v) for v in values]


def _damaged(shown: str) -> SnapshotError:
    return SnapshotError(
        N_("{file} is damaged, or no Parquet file that can be read."), next_step=N_("Export it again."), file=shown
    )
