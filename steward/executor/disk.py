"""One folder of append-only files on a real disk, with the fsyncs that make bytes and names survive a power cut.

Regular files only, symbolic links refused, names derived by us and never read from a document. Left to others: what is
in the files (``steward.executor.backup``, ``steward.executor.audit``).
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from steward.errors import ExecutionError
from steward.messages import N_

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_APPEND = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW


class RealDisk:
    """Files below one folder; each file that is appended to stays open once, until :meth:`close`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._open: dict[str, int] = {}
        self._new: set[str] = set()
        self._broken: set[str] = set()

    def _path(self, name: str) -> Path:
        parts = name.split("/")
        if any(p in ("", ".", "..") for p in parts) or "\\" in name or "\0" in name:
            raise ValueError("not a name of ours")
        return self.folder.joinpath(*parts)

    def _handle(self, name: str) -> int:
        if name in self._broken:
            raise ExecutionError(
                N_("Writing {name} failed before; it is not written to again."),
                next_step=N_("Free space or mend the disk, then run again."),
                name=name,
            )
        fd = self._open.get(name)
        if fd is None:
            path = self._path(name)
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh = not path.exists()
            fd = os.open(path, _APPEND, 0o600)
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                os.close(fd)
                raise ExecutionError(N_("{name} is not a regular file."), name=name)
            self._open[name] = fd
            if fresh:
                self._new.add(name)
        return fd

    def append(self, name: str, data: bytes) -> int:
        """Append and return the offset the bytes begin at."""
        fd = self._handle(name)
        offset = os.fstat(fd).st_size
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(fd, view) :]
        except OSError:
            self._broken.add(name)
            raise
        return offset

    def sync(self, name: str) -> None:
        """Make bytes and, for a new file, its name durable."""
        try:
            os.fdatasync(self._handle(name))
            if name in self._new:
                self._sync_folder(self._path(name).parent)
                self._new.discard(name)
        except OSError:
            # After a failed fsync the kernel may have dropped the pages: a second try would say yes and mean nothing.
            self._broken.add(name)
            raise

    def _sync_folder(self, folder: Path) -> None:
        while True:
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
            if folder == self.folder:
                return
            folder = folder.parent

    def write_new(self, name: str, data: bytes) -> None:
        """Write a whole new file by temporary name, fsync, rename, fsync of the folder."""
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(fd, view) :]
                os.fsync(fd)
            finally:
                os.close(fd)
            temporary.rename(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        self._sync_folder(path.parent)

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return bytes as the disk has them, asking the kernel to forget its copy first."""
        fd = os.open(self._path(name), _READ)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise ExecutionError(N_("{name} is not a regular file."), name=name)
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(fd, offset, length or 0, os.POSIX_FADV_DONTNEED)
            end = os.fstat(fd).st_size if length is None else offset + length
            parts = []
            while offset < end and (part := os.pread(fd, min(end - offset, 1 << 24), offset)):
                parts.append(part)
                offset += len(part)
            return b"".join(parts)
        finally:
            os.close(fd)

    def size(self, name: str) -> int | None:
        """Return the length, None where there is no such file."""
        try:
            return self._path(name).lstat().st_size
        except FileNotFoundError:
            return None

    def truncate(self, name: str, size: int) -> None:
        """Cut a torn tail off, durably."""
        fd = self._handle(name)
        os.ftruncate(fd, size)
        os.fsync(fd)

    def names(self, prefix: str = "") -> list[str]:
        """Return the names of files, sorted; unfinished temporary files are not among them."""
        found = []
        for root, _, files in os.walk(self.folder):
            for file in files:
                name = (Path(root) / file).relative_to(self.folder).as_posix()
                if name.startswith(prefix) and not file.endswith(".tmp"):
                    found.append(name)
        return sorted(found)

    def remove(self, name: str) -> None:
        """Overwrite and remove a file, durably."""
        if (fd := self._open.pop(name, None)) is not None:
            os.close(fd)
        path = self._path(name)
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            left = os.fstat(fd).st_size
            os.pwrite(fd, os.urandom(left), 0)
            os.fsync(fd)
        finally:
            os.close(fd)
        path.unlink()
        self._sync_folder(path.parent)

    def free(self) -> int:
        """Return free bytes of the volume."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    def close(self) -> None:
        """Close every file."""
        while self._open:
            os.close(self._open.popitem()[1])
