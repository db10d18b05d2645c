"""Reads delimited text (CSV, TSV and their kin) without losing a byte: a line is loaded, or it is a reject.

A line that cannot be read is rejected alone, also where a quote was never closed: the lines after it are read again from
the next line on. An unquoted empty value is NULL, ``""`` is the empty text, and every other value is what stands there.

Left to others: the fast way for large clean files (``bulk``), the encoding (``encodings``), the table (``writing``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from steward.errors import SchemaMismatchError, SnapshotError
from steward.messages import N_
from steward.store.encodings import Encoding

DELIMITERS = (",", ";", "\t", "|")
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "|"}
LONGEST = 1 << 20
"""Most characters of one record that runs over several lines; a quote open for longer was never meant."""


@dataclass(frozen=True, slots=True)
class Line:
    """A physical line: number from 1, its bytes with the line end, its text without."""

    number: int
    raw: bytes
    text: str | None
    end: str = "\n"


@dataclass(frozen=True, slots=True)
class Row:
    """A record: line where it begins, how many lines and bytes it takes, its values."""

    line: int
    lines: int
    size: int
    values: list[str | None]


@dataclass(frozen=True, slots=True)
class Broken:
    """A line that cannot be read, with its bytes."""

    line: int
    problem: str
    text: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Shape:
    """How a delimited file is cut.

    Attributes
    ----------
    delimiter : str
    columns : tuple of str
    skip : int
        Lines before the first record: a ``sep=`` line, blank lines and the header.
    body : int
        Bytes before the first record.
    notes : tuple of str
    """

    delimiter: str
    columns: tuple[str, ...]
    skip: int
    body: int
    notes: tuple[str, ...] = ()


def lines_of(path: Path, encoding: Encoding, *, shown: str) -> Iterator[Line]:
    """Yield the physical lines of a file; ``text`` is None where the bytes are no characters of the encoding.

    Raises
    ------
    SnapshotError
        UTF-16 or UTF-32 that is damaged: nothing after the damage could be trusted.
    """
    if encoding.wide:
        yield from _wide_lines(path, encoding, shown)
        return
    strict = encoding.name
    ending = _line_end(path)
    with path.open("rb") as reading:
        reading.seek(encoding.bom)
        for number, raw in enumerate(_split(reading, ending), 1):
            body, end = _strip(raw, ending)
            try:
                text: str | None = body.decode(strict)
            except UnicodeDecodeError:
                text = None
            yield Line(number, raw, text, end)


def _line_end(path: Path) -> bytes:
    """``\\n`` in all files but those of old Macintosh programs, which know only ``\\r``."""
    with path.open("rb") as reading:
        head = reading.read(1 << 20)
    return b"\r" if b"\n" not in head and b"\r" in head else b"\n"


def _split(reading: object, ending: bytes) -> Iterator[bytes]:
    if ending == b"\n":
        yield from reading  # type: ignore[misc]  # a binary file yields its lines
        return
    rest = b""
    while block := reading.read(1 << 20):  # type: ignore[attr-defined]  # a binary file
        *whole, rest = (rest + block).split(ending)
        for line in whole:
            yield line + ending
    if rest:
        yield rest


def _strip(raw: bytes, ending: bytes) -> tuple[bytes, str]:
    if not raw.endswith(ending):
        return raw, ""
    if raw.endswith(b"\r\n"):
        return raw[:-2], "\r\n"
    return raw[:-1], ending.decode()


def _wide_lines(path: Path, encoding: Encoding, shown: str) -> Iterator[Line]:
    with path.open("rb") as binary:
        binary.seek(encoding.bom)
        import io

        try:
            with io.TextIOWrapper(binary, encoding=encoding.name, errors="strict", newline="") as reading:
                rest, number = "", 0
                for piece in reading:  # ends at \n, \r or \r\n; a lone \r is a value's own where \n is used
                    rest += piece
                    if piece.endswith("\n"):
                        number += 1
                        end = "\r\n" if rest.endswith("\r\n") else "\n"
                        yield Line(number, rest.encode(encoding.name), rest[: -len(end)], end)
                        rest = ""
                if rest:
                    for piece in rest.split("\r") if "\r" in rest else [rest]:
                        number += 1
                        yield Line(number, piece.encode(encoding.name), piece, "\r")
        except UnicodeDecodeError:
            raise SnapshotError(
                N_("{file} is damaged: it is not {encoding} throughout."), file=shown, encoding=encoding.name
            ) from None


class OpenQuoteError(Exception):
    """A quoted value does not end on this line."""


class BadLineError(Exception):
    """The line breaks the rules of quoting; the text says how."""


def parse(text: str, delimiter: str) -> list[str | None]:
    """Cut one record into values.

    Raises
    ------
    OpenQuoteError, BadLineError
    """
    if '"' not in text:
        return [value or None for value in text.split(delimiter)]
    values: list[str | None] = []
    at = 0
    while True:
        if text.startswith('"', at):
            value, at = _quoted(text, at + 1)
            values.append(value)
            if at == len(text):
                return values
            if not text.startswith(delimiter, at):
                raise BadLineError(N_("text follows a closing quote"))
        else:
            found = text.find(delimiter, at)
            end = len(text) if found < 0 else found
            values.append(text[at:end] or None)
            at = end
            if found < 0:
                return values
        at += len(delimiter)


def _quoted(text: str, at: int) -> tuple[str, int]:
    """Return the value of a quoted field and the place after its closing quote."""
    parts = []
    while True:
        found = text.find('"', at)
        if found < 0:
            raise OpenQuoteError
        parts.append(text[at:found])
        if not text.startswith('"', found + 1):
            return '"'.join(parts), found + 1
        at = found + 2


class _Cutter:
    """Cuts lines into records; keeps what was read ahead while it is not known whether a quoted value goes on."""

    def __init__(self, lines: Iterator[Line], delimiter: str, width: int | None, shown: str) -> None:
        self.lines, self.delimiter, self.width, self.shown = lines, delimiter, width, shown
        self.ahead: deque[Line] = deque()
        self.vain = 0

    def __iter__(self) -> Iterator[Row | Broken]:
        while True:
            line = self.ahead.popleft() if self.ahead else next(self.lines, None)
            if line is None:
                return
            if line.text is None:
                yield _broken(line, N_("the bytes are no characters of the file's encoding"))
            elif line.text.strip("\r"):
                try:
                    yield self._record(line, line.text)
                except BadLineError as bad:
                    yield _broken(line, str(bad))

    def _record(self, line: Line, text: str) -> Row:
        used = 1
        size = len(line.raw)
        try:
            values = parse(text, self.delimiter)
        except OpenQuoteError:
            values, text, used, size = self._further(line, text)
        if "\0" in text:
            raise BadLineError(N_("holds a zero character"))
        if self.width is not None and len(values) != self.width:
            raise BadLineError(
                N_("has more values than the header") if len(values) > self.width else N_("has fewer values than the header")
            )
        for _ in range(used - 1):
            self.ahead.popleft()
        return Row(line.number, used, size, values)

    def _further(self, line: Line, text: str) -> tuple[list[str | None], str, int, int]:
        """Add lines until the open quote is closed."""
        parts, end, length, size, used = [text], line.end, len(text), len(line.raw), 1
        while length <= LONGEST:
            if used > len(self.ahead):
                following = next(self.lines, None)
                if following is None:
                    break
                self.ahead.append(following)
            following = self.ahead[used - 1]
            if following.text is None:
                break
            parts += [end, following.text]
            end, length, size, used = following.end, length + len(following.text) + 1, size + len(following.raw), used + 1
            if following.text.count('"') % 2:  # an even number closes nothing that it does not open again
                whole = "".join(parts)
                with suppress(OpenQuoteError):
                    return parse(whole, self.delimiter), whole, used, size
        self.vain += used > 1_000
        if self.vain > 100:  # each such line costs a long look ahead; a file full of them would take hours
            raise SnapshotError(
                N_("{file} opens quotes without closing them in more than {count} places; it cannot be cut into records."),
                next_step=N_("Check the delimiter, or export it again with quotes doubled."), file=self.shown, count=100,
            )  # fmt: skip
        raise BadLineError(N_("a quote is opened and never closed"))


def records(lines: Iterator[Line], delimiter: str, width: int | None, *, shown: str = "") -> Iterator[Row | Broken]:
    """Cut lines into records and rejects; blank lines are skipped.

    Parameters
    ----------
    width : int or None
        Number of values a record must have; None accepts any (for looking at the header).
    shown : str
        The file's name, for messages.

    Raises
    ------
    SnapshotError
        The quotes of the file make no sense at all.
    """
    return iter(_Cutter(lines, delimiter, width, shown))


def _broken(line: Line, problem: str) -> Broken:
    text = line.text if line.text is not None else line.raw.rstrip(b"\r\n").decode("ascii", "backslashreplace")
    return Broken(line.number, problem, text, line.raw)


def shape_of(path: Path, encoding: Encoding, delimiter: str | None, *, shown: str) -> Shape:
    """Find delimiter and header.

    Parameters
    ----------
    delimiter : str or None
        Declared; None recognises it.
    shown : str
        The file's name, for messages.

    Raises
    ------
    SchemaMismatchError
        No header, a header without rows, a column named twice, or no delimiter that fits.
    """
    sample: list[Line] = []
    size = 0
    for line in lines_of(path, encoding, shown=shown):
        sample.append(line)
        size += len(line.raw)
        if size > 1 << 18 and len(sample) > 50:
            break
    start = next((i for i, line in enumerate(sample) if line.text is None or line.text.strip("\r")), None)
    if start is None:
        raise SchemaMismatchError(N_("{file} holds only blank lines."), file=shown)
    first = sample[start].text
    if first is not None and first.lower().startswith("sep=") and len(first.rstrip("\r")) == 5:
        delimiter, start = delimiter or first[4], start + 1  # a line for spreadsheet programs
    chosen = delimiter if delimiter is not None else _recognise(sample[start:], shown)
    header = next(records(iter(sample[start:]), chosen, None), None)
    if not isinstance(header, Row):
        raise SchemaMismatchError(N_("The first line of {file} is no header that can be read."), file=shown)
    columns, notes = _name_columns(header.values, shown)
    last = header.line + header.lines - 1
    body = encoding.bom + sum(len(line.raw) for line in sample[:last])
    return Shape(chosen, columns, last, body, notes)


def _name_columns(values: list[str | None], shown: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    names, notes = [], []
    for place, value in enumerate(values, 1):
        if not value:
            notes.append(f"{shown}: column {place} has no name and is called column_{place}")
        names.append(value or f"column_{place}")
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise SchemaMismatchError(
            N_("{file} has several columns named {column}."),
            next_step=N_("Rename them in the file; guessing which is meant could lose values."),
            file=shown,
            column=", ".join(twice),
        )
    return tuple(names), tuple(notes)


def _recognise(sample: list[Line], shown: str) -> str:
    """Choose the delimiter by which most lines have as many values as the header."""
    fits: list[tuple[float, int, str]] = []
    for candidate in DELIMITERS:
        rows = [r for r in records(iter(sample), candidate, None) if isinstance(r, Row)]
        if not rows or len(rows[0].values) < 2:
            continue
        width = len(rows[0].values)
        same = sum(1 for r in rows if len(r.values) == width)
        fits.append((same / len(rows), width, candidate))
    good = sorted((f for f in fits if f[0] >= 0.8), reverse=True)
    if len(good) == 1 or (len(good) > 1 and good[0][:2] != good[1][:2] and (good[0][1] > good[1][1] or good[1][0] < 0.9)):
        return good[0][2]
    if len(fits) == 1:
        return fits[0][2]  # nothing else cuts the header; lines that do not fit it become rejects
    if not fits:
        return ","  # one column; the missing id column will say so where that is wrong
    raise SchemaMismatchError(
        N_("{file}: the lines could be cut at {candidates}."),
        next_step=N_("Say which it is with --delimiter."),
        file=shown,
        candidates=" / ".join(_NAMES[f[2]] for f in sorted(fits, reverse=True)),
    )
