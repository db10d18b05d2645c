"""Looks at the beginning of an export file: its header, some of its rows, how it is cut; nothing is kept.

Left to others: what the header means (``steward.crm.exports``), loading (``steward.store.exports``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from steward.errors import EncodingUnknownError, SchemaMismatchError, SnapshotError
from steward.messages import N_
from steward.store import delimited, subforms
from steward.store import xlsx as sheets
from steward.store.encodings import Encoding
from steward.store.raw import RawFile, look, unzip
from steward.store.source import characters_of

SAMPLE = 2_000
"""Rows that are looked at."""

CHINESE = ("gb18030", "cp950")
"""Encodings that a header in Chinese may settle where the values alone do not."""

Told = Callable[[Sequence[str]], bool]


@dataclass(frozen=True, slots=True)
class Peek:
    """What the beginning of a file shows.

    Attributes
    ----------
    shown : str
        The file's name.
    columns : tuple of str
        Names of the columns; those of a subform are ``Subform.Column``.
    rows : tuple of mapping of str to str or None
        At most :data:`SAMPLE` of them.
    encoding : str or None
        Given only where the header told it and nothing else would.
    subforms : mapping of str to tuple of str
        Subform → its columns, where the header has two rows.
    tables : bool
        A delimited file or a workbook; nothing is said of other kinds.
    """

    shown: str
    columns: tuple[str, ...] = ()
    rows: tuple[Mapping[str, str | None], ...] = ()
    encoding: str | None = None
    subforms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tables: bool = True


def peek(
    path: Path, *, shown: str, scratch: Path, told: Told, forms: Told, encoding: str | None = None, delimiter: str | None = None,
    sheet: str | None = None,
) -> Peek:  # fmt: skip
    """Look at the beginning of a file.

    Parameters
    ----------
    scratch : Path
        Folder for what has to be unpacked.
    told : callable
        Whether a header is known; it decides between encodings that the values leave open.
    forms : callable
        Whether a header is one of a form builder, whose workbooks may have a second row of it.
    encoding, delimiter, sheet : str, optional
        Declared instead of recognised.

    Raises
    ------
    SnapshotError, SchemaMismatchError, EncodingUnknownError, UsageError
        As loading it would.
    """
    if not path.is_file():
        raise SnapshotError(N_("{file} is not a file."), file=shown)
    reading, name = look(path, path.name), path.name
    if reading.head.startswith(b"\x1f\x8b"):
        unpacked = scratch / "unpacked"
        unzip(reading, unpacked)
        name = name.removesuffix(".gz")
        reading = look(unpacked, name)
    head, suffix = reading.head, Path(name).suffix.lower()
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise SnapshotError(
            N_("{file} is an old or a protected Office file."),
            next_step=N_("Save it as XLSX or CSV, without a password."),
            file=shown,
        )
    if head.startswith(b"PK\x03\x04"):
        return _workbook(reading.path, shown, sheet, forms)
    if head.startswith(b"PAR1") or suffix in (".parquet", ".json", ".ndjson", ".jsonl"):
        return Peek(shown, tables=False)
    if suffix == ".xlsx":
        raise SnapshotError(N_("{file} is not what its name says."), next_step=N_("Export it again."), file=shown)
    return _delimited(reading, shown, encoding, delimiter or ("\t" if suffix == ".tsv" else None), told)


def _delimited(reading: RawFile, shown: str, wanted: str | None, delimiter: str | None, told: Told) -> Peek:
    found: list[tuple[Encoding, delimited.Shape]] = []
    failed: EncodingUnknownError | None = None
    try:
        encoding = characters_of(reading, wanted, shown)
        found.append((encoding, delimited.shape_of(reading.path, encoding, delimiter, shown=shown)))
    except EncodingUnknownError as error:
        failed = error
    settled: str | None = None
    if failed is not None or (found[0][0].how == "weighed" and not found[0][0].wide and not told(found[0][1].columns)):
        for name in CHINESE:
            other = Encoding(name, 0, "weighed")
            try:
                shape = delimited.shape_of(reading.path, other, delimiter, shown=shown)
            except SchemaMismatchError:
                continue
            if told(shape.columns) and not all(c.isascii() for c in shape.columns):
                found, failed, settled = [(other, shape)], None, name
                break
    if failed is not None:
        raise failed
    encoding, shape = found[0]
    lines = (line for line in delimited.lines_of(reading.path, encoding, shown=shown) if line.number > shape.skip)
    cut = delimited.records(lines, shape.delimiter, len(shape.columns), shown=shown)
    rows = tuple(
        dict(zip(shape.columns, row.values, strict=True)) for row in islice(cut, SAMPLE) if isinstance(row, delimited.Row)
    )
    return Peek(shown, shape.columns, rows, settled)


def _workbook(path: Path, shown: str, sheet: str | None, forms: Told) -> Peek:
    with sheets.Xlsx(path, shown=shown) as book:
        chosen = book.choose(sheet)
        names, groups, skipped = header_of_book(book, chosen, forms)
        with closing(book.rows(chosen)) as rows:
            sample = tuple(
                {name: cells[place][1] if place in cells else None for place, name in names.items()}
                for _, cells in islice(rows, skipped, skipped + SAMPLE)
            )
    columns = tuple(names.values())
    twice = sorted({n for n in columns if columns.count(n) > 1})
    if twice:
        raise SchemaMismatchError(
            N_("{file} has several columns named {column}."), next_step=N_("Rename them in the file; guessing which is meant could lose values."),
            file=shown, column=", ".join(twice),
        )  # fmt: skip
    return Peek(shown, columns, sample, None, groups)


def header_of_book(book: sheets.Xlsx, sheet: str, forms: Told) -> tuple[dict[int, str], dict[str, tuple[str, ...]], int]:
    """Return the columns of a sheet by place, its subforms, and how many rows its header has.

    Raises
    ------
    SchemaMismatchError
        The sheet is empty.
    """
    with closing(book.rows(sheet)) as rows:
        first, second = next(rows, None), next(rows, None)
    if first is None:
        raise SchemaMismatchError(N_("{file} is empty."), file=book.shown)
    top = {place: str(text) for place, (_, text) in sorted(first[1].items()) if text}
    if second is not None and second[0] == first[0] + 1 and forms(tuple(top.values())):
        below = {place: str(text) for place, (_, text) in sorted(second[1].items()) if text}
        both = subforms.two_rows(top, below, book.merges(sheet), first[0])
        if both is not None:
            return both[0], both[1], 2
    return top, {}, 1
