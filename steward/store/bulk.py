"""The fast way for large delimited files: DuckDB cuts them, an independent count says whether it lost anything.

Where anything is odd (a reject, an error, a count that differs, a missing id) nothing of it is kept and the file is read
line by line instead (``delimited``), which knows the bytes of every line.

Left to others: encodings other than UTF-8 (transcoded before), the table (``writing``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from steward.store.delimited import Shape
from steward.store.sql import literal, one, quote
from steward.store.writing import TableWriter

LARGE = 8 << 20
"""Bytes from which a file is read the fast way."""

_BLOCK = 1 << 23


class ReadCarefullyError(Exception):
    """DuckDB failed in the middle, which ends the transaction: the snapshot begins anew, without the fast way."""


@dataclass(frozen=True, slots=True)
class Count:
    """What the counter found: records, and after which of them the line numbers jump."""

    records: int
    jumps: list[tuple[int, int]]
    """(record number from 1, lines it takes beyond one); records of one line are not listed."""


def count_records(path: Path, shape: Shape) -> Count | None:
    """Count the records of a UTF-8 file with ``\\n`` or ``\\r\\n`` line ends, independently of any CSV reader.

    Returns
    -------
    Count or None
        None where the bytes do not allow a sure count (blank lines, lone carriage returns, an open quote).

    Notes
    -----
    Only a quote at the beginning of a value opens one; line ends inside are no ends of records.
    """
    opens = b"\n" + shape.delimiter.encode()
    total, rest = 0, b""
    jumps: list[tuple[int, int]] = []
    with path.open("rb") as reading:
        reading.seek(shape.body)
        while True:
            block = reading.read(_BLOCK)
            data = rest + block
            if not data:
                return Count(total, jumps)
            step = _count_block(data, opens, final=not block)
            if step is None or len(data) > 4 * _BLOCK:
                return None
            used, found, inside = step
            jumps += [(total + record, extra) for record, extra in inside]
            total += found
            rest = data[used:]
            if not block:
                return Count(total, jumps) if not rest else None


def _count_block(data: bytes, opens: bytes, *, final: bool) -> tuple[int, int, list[tuple[int, int]]] | None:
    """Count the whole records at the beginning of ``data``, which starts with a record.

    Returns
    -------
    tuple
        Bytes used, records in them, and (record number, extra lines) of those that run over lines.
    """
    end = len(data)
    spans: list[tuple[int, int]] = []
    at = data.find(b'"')
    while at >= 0:
        if at and data[at - 1] not in opens:
            at = data.find(b'"', at + 1)  # a quote in the middle of a value is a character like any other
            continue
        close = data.find(b'"', at + 1)
        while close >= 0 and data[close + 1 : close + 2] == b'"':
            close = data.find(b'"', close + 2)
        # A quote at the end of the data may be the first half of a doubled one.
        if close < 0 or (close + 1 == len(data) and not final):
            if final:
                return None
            end = at
            break
        if data.find(b"\n", at, close) >= 0 or data.find(b"\r", at, close) >= 0:
            spans.append((at, close + 1))
        at = data.find(b'"', close + 1)
    # The last line end outside of quotes.
    if not final or end < len(data):
        end = data.rfind(b"\n", 0, end) + 1
        while spans and spans[-1][0] < end <= spans[-1][1]:
            end = data.rfind(b"\n", 0, spans.pop()[0]) + 1
        spans = [s for s in spans if s[1] <= end]
    records, at = 0, 0
    inside: list[tuple[int, int]] = []
    gaps = []
    for first, last in spans:
        records += data.count(b"\n", at, first)
        gaps.append(data[at:first])
        at = last
        extra = data.count(b"\n", first, last)
        if inside and inside[-1][0] == records + 1:
            inside[-1] = (records + 1, inside[-1][1] + extra)
        else:
            inside.append((records + 1, extra))
    records += data.count(b"\n", at, end)
    if final and end == len(data) and not data.endswith(b"\n"):
        records += 1
    outside = b'"'.join([*gaps, data[at:end]]) if spans else data[:end]
    return None if _blank(outside) else (end, records, [i for i in inside if i[1]])


def _blank(piece: bytes) -> bool:
    """Blank lines or lone carriage returns, of which readers think differently."""
    if piece.startswith((b"\n", b"\r\n")) or b"\n\n" in piece or b"\n\r\n" in piece:
        return True
    returns = piece.count(b"\r")
    return bool(returns) and returns != piece.count(b"\r\n")


def load_fast(writer: TableWriter, path: Path, shape: Shape, file: str) -> int | None:
    """Load a clean UTF-8 file and return the number of its records; None where it must be read line by line.

    Raises
    ------
    ReadCarefullyError
        The transaction is lost.
    """
    counted = count_records(path, shape)
    if counted is None:
        return None
    columns = ", ".join(f"{literal(c)}: 'VARCHAR'" for c in shape.columns)
    # The path is read as a pattern, so its special characters are put in brackets.
    pattern = re.sub(r"([\[*?])", r"[\1]", str(path))
    scan = (
        f"read_csv({literal(pattern)}, auto_detect = false, header = false, skip = {shape.skip}, delim = {literal(shape.delimiter)}, "
        f"quote = '\"', escape = '\"', columns = {{{columns}}}, allow_quoted_nulls = false, null_padding = false, "
        f"store_rejects = true, rejects_limit = 1, strict_mode = true, max_line_size = {8 << 20}, compression = 'none')"
    )
    own = ", ".join(quote(c) for c in shape.columns)
    if counted.jumps:
        total, later = 0, []
        for _, extra in counted.jumps:
            total += extra
            later.append(total)
        jumps = pa.table({"after": pa.array([r for r, _ in counted.jumps], pa.int64()), "extra": pa.array(later, pa.int64())})
        writer.connection.register("steward_jumps", jumps)
        source = (
            f"(SELECT {own}, {literal(file)} AS _file, n + {shape.skip} + coalesce(extra, 0) AS _line "
            f"FROM (SELECT {own}, row_number() OVER () AS n FROM {scan}) r ASOF LEFT JOIN steward_jumps j ON r.n > j.after)"
        )
    else:
        source = f"(SELECT {own}, {literal(file)} AS _file, row_number() OVER () + {shape.skip} AS _line FROM {scan})"
    before = _rows(writer)
    try:
        writer.insert(source)
    except (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.IOException, duckdb.InternalException) as error:
        raise ReadCarefullyError(file) from error
    finally:
        if counted.jumps:
            writer.connection.unregister("steward_jumps")
        writer.connection.execute("DROP TABLE IF EXISTS temp.reject_errors; DROP TABLE IF EXISTS temp.reject_scans")
    loaded = _rows(writer) - before
    mine = f"_file = {literal(file)}"
    nameless = one(writer.connection, f"SELECT count(*) FROM {writer.table} WHERE {mine} AND coalesce(_id, '') = ''")[0]
    if loaded != counted.records or nameless:
        writer.connection.execute(f"DELETE FROM {writer.table} WHERE {mine}")
        return None
    return loaded


def _rows(writer: TableWriter) -> int:
    return int(one(writer.connection, f"SELECT count(*) FROM {writer.table}")[0])
