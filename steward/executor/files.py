"""Files that are written line by line and are there whole or not at all; memory does not grow with them.

Left to others: what is in them (``receipt``, ``idmap``).
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from steward.errors import ExecutionError
from steward.messages import N_

_BUFFER = 1 << 20


class StreamedFile:
    """Written beside, flushed, renamed when the block ends without an error.

    Attributes
    ----------
    size : int
        Bytes written so far.
    sha256 : str
        Their digest.
    """

    def __init__(self, path: Path, *, mode: int = 0o600) -> None:
        self._path = path
        self._beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        self._mode = mode
        self._hash = hashlib.sha256()
        self.size = 0

    def __enter__(self) -> StreamedFile:
        fd = os.open(self._beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, self._mode)
        self._file: BinaryIO = os.fdopen(fd, "wb", buffering=_BUFFER)
        return self

    def write(self, data: bytes) -> None:
        """Append."""
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    @property
    def sha256(self) -> str:
        """Digest of what was written."""
        return self._hash.hexdigest()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self._file.flush()
                os.fsync(self._file.fileno())
        finally:
            self._file.close()
            if kind is not None:
                self._beside.unlink(missing_ok=True)
        if kind is None:
            self._beside.rename(self._path)
            fd = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)


def lines_of(path: Path, *, limit: int) -> Iterator[bytes]:
    """Yield lines without their line feeds, from a regular file that is no link.

    Raises
    ------
    ExecutionError
        Not there, not a regular file, longer than ``limit``, or its last line has no end.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        raise _unreadable(path) from None
    with os.fdopen(fd, "rb", buffering=_BUFFER) as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_size > limit:
            raise _unreadable(path)
        for line in file:
            if not line.endswith(b"\n"):
                raise _unreadable(path)
            yield line[:-1]


def _unreadable(path: Path) -> ExecutionError:
    return ExecutionError(N_("{path} cannot be read whole."), next_step=N_("Put the file back as it was."), path=path.name)


__all__ = ["StreamedFile", "lines_of"]
