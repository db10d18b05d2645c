"""Takes a file into the workspace byte for byte and looks at its bytes once: digest, kind, zero bytes, UTF-8.

The copy is named by its content (``raw/<sha256>/<name>``), written beside its place and moved there when it is whole, so
that an interrupted run leaves no half file under a name that promises a digest.

Left to others: what the bytes mean (``encodings``, ``delimited``, ``xlsx``, ``json_files``, ``parquet``).
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from steward.errors import SnapshotError
from steward.messages import N_

BLOCK = 1 << 22
_GZIP_LIMIT = 1 << 30
_GZIP_RATIO = 200


@dataclass(frozen=True, slots=True)
class RawFile:
    """A file in the workspace.

    Attributes
    ----------
    path : Path
        The copy in the workspace.
    name : str
        The name the file had.
    sha256 : str
    size : int
        Bytes.
    head : bytes
        The first 64 KiB.
    utf8 : bool
        Every byte decodes as UTF-8.
    zeros : bool
        Holds zero bytes.
    """

    path: Path
    name: str
    sha256: str
    size: int
    head: bytes
    utf8: bool
    zeros: bool


def keep(source: Path, folder: Path) -> RawFile:
    """Copy ``source`` into the workspace ``folder`` and return what one look at its bytes tells.

    Raises
    ------
    SnapshotError
        The file is empty or no plain file.
    """
    if not source.is_file():
        raise SnapshotError(N_("{file} is not a file."), file=source.name)
    raw = folder / "raw"
    raw.mkdir(exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=raw, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as writing:
            seen = look(source, source.name, writing)
            writing.flush()
            os.fsync(writing.fileno())
        target = raw / seen.sha256 / source.name
        target.parent.mkdir(exist_ok=True)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return replace(seen, path=target)


def look(source: Path, name: str, copy: BinaryIO | None = None) -> RawFile:
    """Read a file once from end to end, writing what is read to ``copy``."""
    sha, size, head, zeros = hashlib.sha256(), 0, b"", False
    decoder: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()
    with source.open("rb") as reading:
        while block := reading.read(BLOCK):
            sha.update(block)
            if copy is not None:
                copy.write(block)
            size += len(block)
            head = head or block[: 1 << 16]
            zeros = zeros or 0 in block
            if decoder is not None:
                try:
                    decoder.decode(block)
                except UnicodeDecodeError:
                    decoder = None
    if size == 0:
        raise SnapshotError(N_("{file} is empty."), file=name)
    whole = decoder is not None and not decoder.getstate()[0]  # nothing is left of a character that was cut off
    return RawFile(source, name, sha.hexdigest(), size, head, whole, zeros)


@contextmanager
def scratch(folder: Path, suffix: str) -> Iterator[Path]:
    """Give a temporary file in the workspace, removed at the end."""
    place = folder / "tmp"
    place.mkdir(exist_ok=True)
    handle, name = tempfile.mkstemp(dir=place, prefix="read-", suffix=suffix)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def unzip(raw: RawFile, target: Path) -> None:
    """Write the content of a gzip file to ``target``; its checksum is checked, and a bomb is refused.

    Raises
    ------
    SnapshotError
    """
    size = 0
    try:
        with gzip.open(raw.path, "rb") as reading, target.open("wb") as writing:
            while block := reading.read(BLOCK):
                size += len(block)
                if size > _GZIP_LIMIT and size > _GZIP_RATIO * raw.size:
                    raise SnapshotError(
                        N_("{file} unpacks to more than {ratio} times its size; it is taken for an attack."),
                        next_step=N_("Unpack it yourself if you trust it."),
                        file=raw.name,
                        ratio=_GZIP_RATIO,
                    )
                writing.write(block)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise SnapshotError(
            N_("{file} is damaged: the gzip checksum is wrong or the file is cut off."),
            next_step=N_("Export or download it again."),
            file=raw.name,
        ) from None
