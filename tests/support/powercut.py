"""A disk in memory that loses power: what was not synced survives as nothing, a prefix or a random subset, torn at 512 B.

One :class:`MemoryFiles` serves SQLite (through an apsw VFS) and the backup (:class:`MemoryDisk`), so that both lose power
at the same instant. It can also be full or broken at the n-th write or sync.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import apsw

SECTOR = 512


class PowerCut(BaseException):
    """The lights are out; no handler of the program runs usefully after this."""


@dataclass
class File:
    """One file: what reads see, what is durable, and what was written since."""

    data: bytearray = field(default_factory=bytearray)
    durable: bytes | None = None
    pending: list[tuple[str, int, bytes]] = field(default_factory=list)

    def write(self, offset: int, raw: bytes) -> None:
        if len(self.data) < offset:
            self.data.extend(bytes(offset - len(self.data)))
        self.data[offset : offset + len(raw)] = raw
        self.pending.append(("w", offset, bytes(raw)))

    def truncate(self, size: int) -> None:
        del self.data[size:]
        if len(self.data) < size:
            self.data.extend(bytes(size - len(self.data)))
        self.pending.append(("t", size, b""))

    def sync(self) -> None:
        self.durable = bytes(self.data)
        self.pending.clear()

    def after_cut(self, rng: random.Random) -> bytes | None:
        """What is found after the power is back."""
        if self.durable is None and rng.random() < 0.5:
            return None  # not even the name
        found = bytearray(self.durable or b"")
        how = rng.choice(["nothing", "prefix", "subset", "all"])
        pieces: list[tuple[str, int, bytes]] = []
        for kind, offset, raw in self.pending:
            if kind == "t":
                pieces.append((kind, offset, raw))
                continue
            at = 0
            while at < len(raw):
                step = SECTOR - (offset + at) % SECTOR
                pieces.append(("w", offset + at, raw[at : at + step]))
                at += step
        if how == "nothing":
            pieces = []
        elif how == "prefix":
            pieces = pieces[: rng.randint(0, len(pieces))]
        elif how == "subset":
            pieces = [p for p in pieces if rng.random() < 0.5]
            if rng.random() < 0.5:
                rng.shuffle(pieces)
        for kind, offset, raw in pieces:
            if kind == "t":
                del found[offset:]
            else:
                if len(found) < offset:
                    found.extend(bytes(offset - len(found)))
                found[offset : offset + len(raw)] = raw
        return bytes(found)


class MemoryFiles:
    """All files of one machine."""

    def __init__(self, *, cut_at: int | None = None, fail_at: int | None = None, failure: int = errno.ENOSPC) -> None:
        self.files: dict[str, File] = {}
        self.operations = 0
        self.cut_at = cut_at
        self.fail_at = fail_at
        self.failure = failure
        self.failed = False
        self.dead = False

    def step(self) -> None:
        """Count one write or sync; the power may fail at it, or the disk."""
        if self.dead:
            raise PowerCut
        self.operations += 1
        if self.cut_at is not None and self.operations >= self.cut_at:
            self.dead = True
            raise PowerCut
        if self.fail_at is not None and self.operations == self.fail_at:
            self.failed = True
            raise OSError(self.failure, "injected")

    def cut(self) -> None:
        """Cut the power now."""
        self.dead = True
        raise PowerCut

    def after_cut(self, rng: random.Random) -> MemoryFiles:
        """The machine after the power is back."""
        fresh = MemoryFiles()
        for name, file in self.files.items():
            found = file.after_cut(rng)
            if found is not None:
                fresh.files[name] = File(bytearray(found), found)
        return fresh

    def reopened(self) -> MemoryFiles:
        """The same bytes in a new process: nothing was lost, nothing more fails."""
        fresh = MemoryFiles()
        for name, file in self.files.items():
            fresh.files[name] = File(bytearray(file.data), bytes(file.data))
        return fresh


class MemoryDisk:
    """Implements :class:`steward.executor.ports.Disk`."""

    def __init__(self, files: MemoryFiles, *, sync: bool = True, sync_keys: bool = True, garbage: bool = False) -> None:
        self.fs = files
        self._sync, self._sync_keys, self._garbage = sync, sync_keys, garbage
        self._broken: set[str] = set()

    def append(self, name: str, data: bytes) -> int:
        if name in self._broken:
            raise OSError(errno.EIO, "not written to again")
        file = self.fs.files.get(name)
        offset = len(file.data) if file else 0
        try:
            self.fs.step()
        except OSError:
            self._broken.add(name)
            raise
        file = self.fs.files.setdefault(name, File())
        file.write(offset, bytes(len(data)) if self._garbage else data)
        return offset

    def sync(self, name: str) -> None:
        try:
            self.fs.step()
        except OSError:
            self._broken.add(name)
            raise
        if self._sync:
            self.fs.files[name].sync()

    def write_new(self, name: str, data: bytes) -> None:
        self.fs.step()
        file = File()
        file.write(0, data)
        self.fs.files[name] = file
        self.fs.step()
        if self._sync_keys:
            file.sync()

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        if name not in self.fs.files:
            raise FileNotFoundError(name)
        data = self.fs.files[name].data
        return bytes(data[offset : None if length is None else offset + length])

    def size(self, name: str) -> int | None:
        return len(self.fs.files[name].data) if name in self.fs.files else None

    def truncate(self, name: str, size: int) -> None:
        self.fs.step()
        self.fs.files[name].truncate(size)
        self.fs.files[name].sync()

    def names(self, prefix: str = "") -> list[str]:
        return sorted(n for n in self.fs.files if n.startswith(prefix))

    def remove(self, name: str) -> None:
        self.fs.step()
        file = self.fs.files[name]
        file.write(0, random.randbytes(len(file.data)))
        self.fs.step()
        file.sync()
        self.fs.step()
        del self.fs.files[name]

    def close(self) -> None: ...

    def free(self) -> int:
        return 1 << 40


def _guarded(action: Callable[[], Any]) -> Any:
    try:
        return action()
    except PowerCut:  # SQLite is told of an I/O error; whoever looks at ``dead`` knows better
        raise apsw.IOError("power cut") from None
    except OSError as error:
        raise (apsw.FullError("full") if error.errno == errno.ENOSPC else apsw.IOError("I/O error")) from None


class _VfsFile:
    def __init__(self, fs: MemoryFiles, name: str) -> None:
        self._fs, self._name = fs, name
        if name not in fs.files:
            fs.files[name] = File()

    @property
    def _file(self) -> File:
        return self._fs.files[self._name]

    def excepthook(self, kind: Any, error: Any, trace: Any) -> None:
        """Errors while closing on a dead machine reach nobody; nothing is printed for them."""

    def xRead(self, amount: int, offset: int) -> bytes:
        return bytes(self._file.data[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        _guarded(self._fs.step)
        self._file.write(offset, data)

    def xTruncate(self, size: int) -> None:
        _guarded(self._fs.step)
        self._file.truncate(size)

    def xSync(self, flags: int) -> None:
        _guarded(self._fs.step)
        self._file.sync()

    def xFileSize(self) -> int:
        return len(self._file.data)

    def xClose(self) -> None: ...

    def xLock(self, level: int) -> None: ...

    def xUnlock(self, level: int) -> None: ...

    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, op: int, pointer: int) -> bool:
        return False

    def xSectorSize(self) -> int:
        return SECTOR

    def xDeviceCharacteristics(self) -> int:
        return 0


class MemoryVfs(apsw.VFS):
    """SQLite's view of the files. WAL works without shared memory because the lock is exclusive."""

    _count = 0

    def __init__(self, fs: MemoryFiles) -> None:
        MemoryVfs._count += 1
        self.name = f"powercut{MemoryVfs._count}"
        self.fs = fs
        super().__init__(self.name, "")

    def excepthook(self, kind: Any, error: Any, trace: Any) -> None:
        """As for files."""

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        path = name.filename() if isinstance(name, apsw.URIFilename) else (name or f"temp{random.random()}")
        flags[1] = flags[0]
        return _VfsFile(self.fs, str(path))

    def xAccess(self, path: str, flags: int) -> bool:
        return path in self.fs.files and len(self.fs.files[path].data) > 0

    def xDelete(self, path: str, sync: bool) -> None:
        _guarded(self.fs.step)
        self.fs.files.pop(path, None)

    def xFullPathname(self, name: str) -> str:
        return name

    def open(self) -> apsw.Connection:
        """A connection to the journal on these files."""
        db = apsw.Connection("journal.sqlite", vfs=self.name)
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA cache_spill=OFF")
        return db
