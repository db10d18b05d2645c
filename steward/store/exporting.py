"""Writes what a workspace holds to a file: CSV, Parquet, NDJSON or XLSX, by the ending of its name.

A spreadsheet program runs a cell that begins with ``=``, ``+``, ``-`` or ``@`` as a formula. In CSV such text gets an
apostrophe in front, also behind a semicolon, a tab or a line break inside the text; in XLSX it is written as text, which is not run. Plain numbers stay as they are.

Left to others: which rows (``steward.commands.export``).
"""

from __future__ import annotations

import csv
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from steward.errors import UsageError
from steward.messages import N_

Rows = Iterable[Sequence[Any]]

FORMATS = (".csv", ".parquet", ".ndjson", ".xlsx")
_SHEET_ROWS = 1_048_575
_CELL = 32_767
_INSIDE = re.compile(r"([;\t\r\n] *\"*)([=+\-@＝＋－＠])")
"""A formula behind what other countries' programs split cells by: to them it begins a cell, quoted or not."""
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?")


def export(path: Path, columns: Sequence[str], kinds: Sequence[type], rows: Rows) -> int:
    """Write rows to a file and return how many.

    Parameters
    ----------
    columns, kinds
        Names, and for each ``str``, ``float``, ``int`` or ``bool``.

    Raises
    ------
    UsageError
        A name with another ending; more rows or longer text than a sheet takes.

    Notes
    -----
    The file appears when it is whole; an older one of that name is replaced.
    """
    writers: dict[str, Callable[[Path, Sequence[str], Sequence[type], Rows], int]] = {
        ".csv": _csv, ".parquet": _parquet, ".ndjson": _ndjson, ".xlsx": _xlsx,
    }  # fmt: skip
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise UsageError(N_("{file} should end in one of {formats}."), file=path.name, formats=", ".join(FORMATS))
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".export-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        count = writer(temporary, columns, kinds, rows)
        temporary.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    return count


def harmless(text: str) -> str:
    """Return text that no spreadsheet program runs as a formula."""
    if not text or _NUMBER.fullmatch(text):
        return text
    text = _INSIDE.sub(r"\1'\2", text)
    first = text.lstrip(" ")[:1] or text[0]
    return "'" + text if first in "=+-@\t\r\n＝＋－＠" else text


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return harmless(value) if isinstance(value, str) else value


def _csv(path: Path, columns: Sequence[str], kinds: Sequence[type], rows: Rows) -> int:
    count = 0
    # Without a byte order mark, which programs take for a part of the first column's name; XLSX is there for Excel.
    with path.open("w", encoding="utf-8", newline="") as writing:
        out = csv.writer(writing, lineterminator="\r\n")
        out.writerow([harmless(c) for c in columns])
        for row in rows:
            out.writerow([_plain(v) for v in row])
            count += 1
    return count


def _ndjson(path: Path, columns: Sequence[str], kinds: Sequence[type], rows: Rows) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as writing:
        for row in rows:
            writing.write(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) + "\n")
            count += 1
    return count


def _parquet(path: Path, columns: Sequence[str], kinds: Sequence[type], rows: Rows) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrow = {str: pa.string(), float: pa.float64(), int: pa.int64(), bool: pa.bool_()}
    schema = pa.schema([(name, arrow[kind]) for name, kind in zip(columns, kinds, strict=True)])
    count = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as out:
        for batch in _batches(rows):
            out.write_batch(
                pa.record_batch(
                    [pa.array(v, t) for v, t in zip(zip(*batch, strict=True), schema.types, strict=True)], schema=schema
                )
            )
            count += len(batch)
    return count


def _batches(rows: Rows, size: int = 20_000) -> Iterator[list[Sequence[Any]]]:
    batch: list[Sequence[Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _xlsx(path: Path, columns: Sequence[str], kinds: Sequence[type], rows: Rows) -> int:
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    book = Workbook(write_only=True)
    sheet = book.create_sheet("export")

    def cell(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if len(value) > _CELL:
            raise UsageError(
                N_("A text is longer than the {limit} characters a sheet keeps."),
                next_step=N_("Export to Parquet or CSV."),
                limit=_CELL,
            )
        made = WriteOnlyCell(sheet, ILLEGAL_CHARACTERS_RE.sub(lambda m: f"_x{ord(m[0]):04X}_", value))
        made.data_type = "s"  # text, also where it looks like a formula; ids keep their digits
        made.quotePrefix = True
        return made

    count = 0
    sheet.append([cell(c) for c in columns])
    for row in rows:
        if count == _SHEET_ROWS:
            book.close()
            raise UsageError(
                N_("A sheet takes at most {limit} rows."), next_step=N_("Export to Parquet or CSV."), limit=_SHEET_ROWS
            )
        sheet.append([cell(v) for v in row])
        count += 1
    book.save(path)
    return count
