"""Reads JSON and NDJSON with every number as the text that stands there: no id loses a digit, no amount its zeros.

A list of objects, an object with one list of objects in it (``{"data": […]}``), or one object per line. A line of NDJSON
that cannot be read is a reject; a list that breaks off is refused, since nothing after the break could be trusted.

Left to others: the table (``writing``), accounting (``source``).
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from steward.errors import SchemaMismatchError, SnapshotError
from steward.messages import N_
from steward.store.delimited import Broken
from steward.store.encodings import Encoding

LARGEST = 64 << 20
"""Most characters of one object."""

_BLOCK = 1 << 20


class _Number(str):
    """A JSON number as its text; different from a string only where it stands inside a list or object."""

    __slots__ = ()


class _TwiceError(ValueError):
    """An object has one name twice."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _TwiceError
    return found


_DECODER = json.JSONDecoder(parse_int=_Number, parse_float=_Number, parse_constant=_Number, object_pairs_hook=_pairs)


def text_of(value: Any) -> str | None:
    """Return the text form of a JSON value, equal to :func:`steward.records.canonical_text` but for numbers kept as written."""
    if value is None or type(value) is str:
        return value
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return _nested(value)


def _nested(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k, ensure_ascii=False)}:{_nested(value[k])}" for k in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_nested, value)) + "]"
    if isinstance(value, _Number):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def objects_of(path: Path, encoding: Encoding, *, shown: str) -> Iterator[tuple[int, dict[str, str | None]] | Broken]:
    """Yield (place, object) with values as text, or what is broken. The place is the line or the element, from 1.

    Raises
    ------
    SchemaMismatchError, SnapshotError
        No list of objects; the list is damaged.
    """
    if _by_lines(path, encoding):
        for number, raw in enumerate(_raw_lines(path, encoding), 1):
            yield from _one_line(number, raw, encoding)
        return
    for number, (value, text) in enumerate(_elements(path, encoding, shown), 1):
        yield _checked(number, value, text)


def _raw_lines(path: Path, encoding: Encoding) -> Iterator[bytes]:
    with path.open("rb") as reading:
        reading.seek(encoding.bom)
        yield from reading


def _by_lines(path: Path, encoding: Encoding) -> bool:
    if encoding.wide:
        return False
    if path.suffix.lower() in (".ndjson", ".jsonl"):
        return True
    with path.open("rb") as reading:
        reading.seek(encoding.bom)
        lines = [line for line in reading.read(1 << 20).split(b"\n")[:50] if line.strip()]
    if len(lines) < 2 or not lines[0].lstrip().startswith(b"{") or not lines[1].lstrip().startswith(b"{"):
        return False
    try:
        json.loads(lines[0])
    except (ValueError, RecursionError):
        return False
    return True


def _one_line(number: int, raw: bytes, encoding: Encoding) -> Iterator[tuple[int, dict[str, str | None]] | Broken]:
    try:
        text = raw.decode(encoding.name)
    except UnicodeDecodeError:
        shown = raw.rstrip(b"\r\n").decode("ascii", "backslashreplace")
        yield Broken(number, N_("the bytes are no characters of the file's encoding"), shown, raw)
        return
    if not text.strip():
        return
    try:
        value = _DECODER.decode(text)
    except _TwiceError:
        yield Broken(number, N_("names a value twice"), text.rstrip("\r\n"), raw)
    except (ValueError, RecursionError):
        yield Broken(number, N_("is no JSON"), text.rstrip("\r\n"), raw)
    else:
        yield _checked(number, value, text.rstrip("\r\n"))


def _checked(number: int, value: Any, text: str) -> tuple[int, dict[str, str | None]] | Broken:
    raw = text.encode("utf-8", "surrogatepass")
    if isinstance(value, _TwiceError):
        return Broken(number, N_("names a value twice"), text, raw)
    if not isinstance(value, dict):
        return Broken(number, N_("is no JSON object"), text, raw)
    try:
        flat = {name: text_of(member) for name, member in value.items()}
        for name, member in flat.items():
            name.encode()
            if member is not None:
                member.encode()
                if "\0" in member:
                    return Broken(number, N_("holds a zero character"), text, raw)
    except UnicodeEncodeError:
        return Broken(number, N_("holds half a character (a lone surrogate)"), text, raw)
    except RecursionError:
        return Broken(number, N_("is nested too deeply"), text[:10_000], raw)
    return number, flat


def _elements(path: Path, encoding: Encoding, shown: str) -> Iterator[tuple[Any, str]]:
    """Yield the elements of the list, reading as much as one needs."""
    buffer, at = "", 0
    pieces = _pieces(path, encoding, shown)

    def more() -> bool:
        nonlocal buffer, at
        piece = next(pieces, None)
        if piece is None:
            return False
        buffer, at = buffer[at:] + piece, 0
        return True

    def skip() -> str:
        """Skip white space and return the next character; empty at the end."""
        nonlocal at
        while True:
            while at < len(buffer) and buffer[at] in " \t\r\n":
                at += 1
            if at < len(buffer):
                return buffer[at]
            if not more():
                return ""

    first = skip()
    if first == "{":
        yield from _wrapped(path, encoding, shown)
        return
    if first != "[":
        raise SchemaMismatchError(N_("{file} holds no list of JSON objects."), file=shown)
    at += 1
    if skip() == "]":
        at += 1
    else:
        place = 0
        while True:
            place += 1
            skip()
            while True:
                try:
                    value, end = _DECODER.raw_decode(buffer, at)
                    if end == len(buffer) and more():  # a number could go on
                        continue
                    break
                except _TwiceError:
                    value, end = _TwiceError(), _end_of_object(buffer, at)
                    if end:
                        break
                except (ValueError, RecursionError):
                    pass
                if len(buffer) - at > LARGEST or not more():
                    raise _damaged(shown, place)
            yield value, buffer[at:end]
            at = end
            following = skip()
            at += 1
            if following == "]":
                break
            if following != ",":
                raise _damaged(shown, place + 1)
    if skip():
        raise SnapshotError(N_("{file} goes on after its list has ended."), file=shown)


def _end_of_object(buffer: str, at: int) -> int:
    """End of a JSON value that is well formed but for a name that occurs twice; 0 where it is not all there yet."""
    try:
        return json.JSONDecoder().raw_decode(buffer, at)[1]
    except (ValueError, RecursionError):
        return 0


def _damaged(shown: str, place: int) -> SnapshotError:
    return SnapshotError(
        N_("{file} is no JSON from element {place} on; it may have been cut off."),
        next_step=N_("Export it again."),
        file=shown,
        place=place,
    )


def _pieces(path: Path, encoding: Encoding, shown: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding.name)()
    try:
        with path.open("rb") as reading:
            reading.seek(encoding.bom)
            while block := reading.read(_BLOCK):
                yield decoder.decode(block)
            yield decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise SnapshotError(
            N_("{file} is damaged: it is not {encoding} throughout."), file=shown, encoding=encoding.name
        ) from None


def _wrapped(path: Path, encoding: Encoding, shown: str) -> Iterator[tuple[Any, str]]:
    """Elements of the one list of objects inside an object."""
    if path.stat().st_size > 4 * LARGEST:
        raise SnapshotError(
            N_("{file} is one JSON object of more than {size} MB; it cannot be read piece by piece."),
            next_step=N_("Export a list, or one object per line."),
            file=shown,
            size=4 * LARGEST >> 20,
        )
    text = "".join(_pieces(path, encoding, shown))
    try:
        whole = _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise SnapshotError(
            N_("{file} is no JSON; it may have been cut off."), next_step=N_("Export it again."), file=shown
        ) from None
    lists = [v for v in whole.values() if isinstance(v, list) and any(isinstance(e, dict) for e in v)]
    if len(lists) > 1 or not lists:
        raise SchemaMismatchError(
            N_("{file} holds {count} lists of JSON objects, not one."),
            next_step=N_("Export each object of the CRM to a file of its own."),
            file=shown,
            count=len(lists),
        )
    for element in lists[0]:
        yield element, _nested(element) if not isinstance(element, str) else element
