"""Reads XLSX cell by cell from its XML, as the file has it: no number is rounded on the way, no entity is expanded.

Spreadsheets keep 15 digits of a number. An id that stands there as a longer number was damaged before we saw it, so a key
column with such a cell is refused. Dates become ISO 8601 by the cell's format; text stays as it is.

Left to others: the table (``writing``), accounting (``source``).
"""

from __future__ import annotations

import posixpath
import re
import zipfile
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from xml.parsers import expat

from steward.errors import SchemaMismatchError, SnapshotError
from steward.messages import N_

_LIMIT = 4 << 30
_RATIO = 500
_PIECE = 1 << 16
_BUILT_IN_DATES = {14: "date", 15: "date", 16: "date", 17: "date", 18: "time", 19: "time", 20: "time", 21: "time", 22: "moment",
                   27: "date", 30: "date", 36: "date", 45: "time", 46: "time", 47: "time", 50: "date", 57: "date"}  # fmt: skip
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_NOT_CODE = re.compile(r'"[^"]*"|\\.|\[(?!h|m|s)[^\]]*\]|_.|\*.', re.IGNORECASE)

Cell = tuple[str, str | None]
"""(kind, text): kind is ``text``, ``number``, ``date``, ``bool`` or ``error``."""


class _Refused(Exception):
    """XML with a document type, where entities could be declared."""


class Xlsx:
    """An open workbook.

    Raises
    ------
    SnapshotError
        Not a workbook, damaged, protected by a password, or made to exhaust the machine.
    """

    def __init__(self, path: Path, *, shown: str) -> None:
        self.shown = shown
        try:
            self._zip = zipfile.ZipFile(path)
            infos = self._zip.infolist()
        except (zipfile.BadZipFile, OSError, ValueError):
            raise self._damaged() from None
        total = sum(i.file_size for i in infos)
        packed = sum(i.compress_size for i in infos)
        if total > _LIMIT or (total > 100 << 20 and total > _RATIO * max(1, packed)):
            self.close()
            raise SnapshotError(
                N_("{file} unpacks to more than {ratio} times its size; it is taken for an attack."),
                next_step=N_("Export it as CSV if you trust it."), file=shown, ratio=_RATIO,
            )  # fmt: skip
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

    def __enter__(self) -> Xlsx:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _damaged(self) -> SnapshotError:
        return SnapshotError(
            N_("{file} is damaged, or no XLSX workbook."), next_step=N_("Save it again as XLSX or CSV."), file=self.shown
        )

    def _open(self) -> None:
        names = set(self._zip.namelist())
        if "xl/workbook.xml" not in names:
            raise self._damaged()
        links: dict[str, str] = {}
        self._walk(
            "xl/_rels/workbook.xml.rels",
            lambda n, a: links.__setitem__(a.get("Id", ""), a.get("Target", "")) if n == "Relationship" else None,
        )
        self.sheets: dict[str, str] = {}
        self._since = datetime(1899, 12, 30)

        def workbook(name: str, attributes: dict[str, str]) -> None:
            if name == "sheet":
                target = links.get(next((v for k, v in attributes.items() if k.endswith(":id") or k == "id"), ""), "")
                place = target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join("xl", target))
                if place in names and "worksheets" in place:
                    self.sheets[attributes.get("name", "")] = place
            elif name == "workbookPr" and attributes.get("date1904") in ("1", "true"):
                self._since = datetime(1904, 1, 1)

        self._walk("xl/workbook.xml", workbook)
        self._texts = self._shared_texts() if "xl/sharedStrings.xml" in names else []
        self._formats = self._cell_formats() if "xl/styles.xml" in names else []

    # ------------------------------------------------------------------ XML

    def _walk(self, member: str, start: Any, end: Any = None, data: Any = None) -> None:
        """Feed one member to a parser that knows no document types."""
        for _ in self._parse(member, start, end, data):
            pass

    def _parse(self, member: str, start: Any, end: Any, data: Any) -> Iterator[None]:
        parser = expat.ParserCreate(namespace_separator=None)
        parser.buffer_text = True

        def refuse(*_: object) -> None:
            raise _Refused

        parser.StartDoctypeDeclHandler = refuse
        parser.EntityDeclHandler = refuse
        parser.StartElementHandler = lambda name, attributes: start(name.rpartition(":")[2], attributes)
        if end is not None:
            parser.EndElementHandler = lambda name: end(name.rpartition(":")[2])
        if data is not None:
            parser.CharacterDataHandler = data
        try:
            with self._zip.open(member) as reading:
                while piece := reading.read(_PIECE):
                    parser.Parse(piece, False)
                    yield
                parser.Parse(b"", True)
                yield
        except _Refused:
            raise SnapshotError(
                N_("{file} declares XML entities, which no spreadsheet program writes; it is taken for an attack."),
                file=self.shown,
            ) from None
        except RuntimeError:  # encrypted member
            raise SnapshotError(
                N_("{file} is protected by a password."), next_step=N_("Save it without one."), file=self.shown
            ) from None
        except (expat.ExpatError, zipfile.BadZipFile, zlib.error, KeyError, EOFError, NotImplementedError, OSError):
            raise self._damaged() from None

    def _shared_texts(self) -> list[str]:
        texts: list[str] = []
        parts: list[str] = []
        inside = {"t": False, "rPh": False}

        def start(name: str, _: dict[str, str]) -> None:
            if name == "si":
                parts.clear()
            elif name in inside:
                inside[name] = True

        def end(name: str) -> None:
            if name == "si":
                texts.append(_unescape("".join(parts)))
            elif name in inside:
                inside[name] = False

        def data(text: str) -> None:
            if inside["t"] and not inside["rPh"]:  # rPh is reading help over the text, not the text
                parts.append(text)

        self._walk("xl/sharedStrings.xml", start, end, data)
        return texts

    def _cell_formats(self) -> list[str | None]:
        own: dict[int, str] = {}
        formats: list[str | None] = []
        inside = False

        def start(name: str, attributes: dict[str, str]) -> None:
            nonlocal inside
            if name == "numFmt":
                own[int(attributes.get("numFmtId", "0"))] = attributes.get("formatCode", "")
            elif name == "cellXfs":
                inside = True
            elif name == "xf" and inside:
                number = int(attributes.get("numFmtId", "0"))
                formats.append(_date_kind(own[number]) if number in own else _BUILT_IN_DATES.get(number))

        def end(name: str) -> None:
            nonlocal inside
            if name == "cellXfs":
                inside = False

        self._walk("xl/styles.xml", start, end)
        return formats

    # ------------------------------------------------------------------ cells

    def choose(self, sheet: str | None) -> str:
        """Return the sheet to read: the one that is named, or the only one that holds anything.

        Raises
        ------
        SchemaMismatchError
        """
        if sheet is not None:
            if sheet not in self.sheets:
                raise SchemaMismatchError(
                    N_("{file} has no sheet {sheet}; it has: {sheets}."),
                    file=self.shown,
                    sheet=sheet,
                    sheets=", ".join(self.sheets),
                )
            return sheet
        filled = [name for name in self.sheets if self._holds_rows(name)]
        if not filled:
            raise SchemaMismatchError(N_("{file} holds only empty sheets."), file=self.shown)
        if len(filled) > 1:
            raise SchemaMismatchError(
                N_("{file} has several sheets with rows: {sheets}."), next_step=N_("Say which is meant with --sheet."),
                file=self.shown, sheets=", ".join(filled),
            )  # fmt: skip
        return filled[0]

    def _holds_rows(self, sheet: str) -> bool:
        with closing(self.rows(sheet)) as rows:
            return next(rows, None) is not None

    def rows(self, sheet: str) -> Generator[tuple[int, dict[int, Cell]], None, None]:
        """Yield (row number, cells by column from 0) of every row that holds something."""
        done: list[tuple[int, dict[int, Cell]]] = []
        cells: dict[int, Cell] = {}
        row, column, style, kind = 0, -1, 0, "n"
        parts: list[str] = []
        inside = {"v": False, "t": False, "rPh": False}

        def start(name: str, attributes: dict[str, str]) -> None:
            nonlocal row, column, style, kind
            if name == "c":
                reference = attributes.get("r", "")
                letters = reference.rstrip("0123456789")
                column = _column(letters) if letters else column + 1
                kind = attributes.get("t", "n")
                style = int(attributes.get("s", "0"))
                parts.clear()
            elif name == "row":
                row = int(attributes.get("r") or row + 1)
                column = -1
            elif name in inside:
                inside[name] = True

        def end(name: str) -> None:
            nonlocal cells
            if name == "c":
                text = "".join(parts)
                if text or kind in ("inlineStr", "str"):
                    cells[column] = self._cell(kind, style, text)
            elif name == "row":
                if any(text not in (None, "") for _, text in cells.values()):
                    done.append((row, cells))
                cells = {}
            elif name in inside:
                inside[name] = False

        def data(text: str) -> None:
            if inside["v"] or (inside["t"] and not inside["rPh"]):
                parts.append(text)

        for _ in self._parse(self.sheets[sheet], start, end, data):
            yield from done
            done.clear()

    def merges(self, sheet: str) -> list[tuple[int, int, int, int]]:
        """Return the merged cells of a sheet: first and last row from 1, first and last column from 0."""
        found: list[tuple[int, int, int, int]] = []

        def start(name: str, attributes: dict[str, str]) -> None:
            if name == "mergeCell" and (cells := re.fullmatch(r"([A-Z]+)(\d+):([A-Z]+)(\d+)", attributes.get("ref", ""))):
                found.append((int(cells[2]), int(cells[4]), _column(cells[1]), _column(cells[3])))

        self._walk(self.sheets[sheet], start)
        return found

    def _cell(self, kind: str, style: int, text: str) -> Cell:
        try:
            if kind == "s":
                return "text", self._texts[int(text)]
            if kind in ("inlineStr", "str"):
                return "text", _unescape(text)
            if kind == "b":
                return "bool", "true" if text == "1" else "false"
            if kind == "e":
                return "error", text
            if kind == "d":
                return "date", text
            dated = self._formats[style] if style < len(self._formats) else None
            if dated is not None:
                return "date", self._moment(float(text), dated)
            return "number", number_text(text)
        except (ValueError, IndexError, OverflowError):
            raise self._damaged() from None

    def _moment(self, serial: float, kind: str) -> str:
        # 1900 counts a 29 February that never was; days before it are one off.
        days = serial + 1 if self._since.year == 1899 and 0 < serial < 60 and kind != "time" else serial
        moment = self._since + timedelta(milliseconds=round(days * 86_400_000))
        if kind == "time" and serial < 1:
            return moment.time().isoformat()
        if kind == "date" and serial == int(serial):
            return moment.date().isoformat()
        return moment.isoformat()


def number_text(text: str) -> str:
    """Return a number as a person would write it: whole numbers without point or exponent, others the shortest way."""
    if re.fullmatch(r"-?\d+", text):
        return text
    value = float(text)
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def unsafe_number(text: str) -> bool:
    """Whether a number may have lost digits: 2^53 or more, more than 15 digits, or no whole number."""
    return not re.fullmatch(r"-?\d{1,15}", text)


def _unescape(text: str) -> str:
    return _ESCAPED.sub(lambda m: chr(int(m[1], 16)), text) if "_x" in text else text


def _date_kind(code: str) -> str | None:
    """``date``, ``time``, ``moment`` or None for a number format."""
    plain = _NOT_CODE.sub("", code.split(";")[0]).lower()
    day, clock = bool(re.search(r"[yd]|mmm", plain)), bool(re.search(r"[hs]", plain))
    return ("moment" if clock else "date") if day else ("time" if clock else None)


def _column(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number - 1


def header_of(rows: Iterator[tuple[int, dict[int, Cell]]], shown: str) -> tuple[tuple[str, ...], tuple[int, ...], int]:
    """Return column names, their places and the row of the header.

    Raises
    ------
    SchemaMismatchError
        No header, or a column named twice.
    """
    first = next(rows, None)
    if first is None:
        raise SchemaMismatchError(N_("{file} is empty."), file=shown)
    number, cells = first
    places = tuple(place for place in sorted(cells) if cells[place][1])
    names = tuple(str(cells[place][1]) for place in places)
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise SchemaMismatchError(
            N_("{file} has several columns named {column}."), next_step=N_("Rename them in the file; guessing which is meant could lose values."),
            file=shown, column=", ".join(twice),
        )  # fmt: skip
    return names, places, number


def refuse_damaged_ids(names: Sequence[str], keys: Sequence[str], row: int, cells: dict[str, Cell], shown: str) -> None:
    """Refuse a numeric id that a spreadsheet cannot hold exactly.

    Raises
    ------
    SchemaMismatchError
    """
    for key in keys:
        kind, text = cells.get(key, ("text", None))
        if kind == "number" and text is not None and unsafe_number(text):
            raise SchemaMismatchError(
                N_("{file}, row {row}: the id in column {column} is a number of more than 15 digits, which spreadsheets do not keep."),
                next_step=N_("Export the ids as text, or as CSV straight from the CRM."), file=shown, row=row, column=key,
            )  # fmt: skip
