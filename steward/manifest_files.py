"""Manifest folders, trust folders and key files on disk.

A manifest is one folder: ``items.ndjson``, ``held_back.ndjson``, ``manifest.dsse.json``, and later ``veto-*.dsse.json``
and receipts. Names are derived here and nothing inside a file is ever used as a path. Every file is opened without
following a link, must be a regular file, and is read up to a limit; whatever is written is written beside, flushed, and
renamed.

Left to others: what the bytes mean (``steward.manifest``, ``steward.signing``).
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

from steward.errors import MalformedManifestError, TrustError, UsageError, WeakKeyError
from steward.manifest.draft import Draft
from steward.manifest.format import ITEMS_NAME, MAX_ENVELOPE
from steward.messages import N_
from steward.signing.dsse import STATEMENT_PAYLOAD, seal
from steward.signing.keys import Secret
from steward.signing.trust import MAX_ROTATIONS, MAX_TRUST

ENVELOPE_NAME = "manifest.dsse.json"
HELD_NAME = "held_back.ndjson"
PLAN_NAME = "plan.dsse.json"
MAX_VETOES = 1_000
MAX_KEY = 16_384
MAX_SECRET = 4_096
MAX_TRUST_FILE = MAX_TRUST * 2

_VETO = re.compile(r"veto-[0-9a-f]{16}\.dsse\.json")
_TRUST = re.compile(r"([1-9][0-9]{0,8})\.dsse\.json")


class FileItems:
    """An item file, open for reading; an :class:`steward.manifest.ItemSource`.

    Parameters
    ----------
    path : Path
        A regular file; a link, pipe, device or folder is refused.
    """

    def __init__(self, path: Path) -> None:
        self._fd = _open_regular(path)
        self._size = os.fstat(self._fd).st_size

    @property
    def size(self) -> int:
        """Length in bytes when it was opened."""
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        """Return these bytes, fewer where the file ends."""
        parts: list[bytes] = []
        while length > 0 and (part := os.pread(self._fd, length, offset)):
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> FileItems:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class ManifestFolder:
    """One manifest's folder.

    Parameters
    ----------
    path : Path
        Must be a folder, not a link to one.
    """

    def __init__(self, path: Path) -> None:
        if path.is_symlink() or not path.is_dir():
            raise MalformedManifestError(
                N_("{path} is not a manifest folder."), path=path, code="link" if path.is_symlink() else "folder"
            )
        self.path = path

    def envelope(self) -> bytes:
        """Return the envelope's bytes, 4 MiB at most."""
        return read_file(self.path / ENVELOPE_NAME, limit=MAX_ENVELOPE)

    def items(self) -> FileItems:
        """Open the item file."""
        return FileItems(self.path / ITEMS_NAME)

    def held_back(self) -> bytes:
        """Return the list of what was held back; empty where there is none."""
        path = self.path / HELD_NAME
        return read_file(path, limit=1 << 30, empty=True) if path.exists() else b""

    def vetoes(self) -> list[bytes]:
        """Return every veto in the folder, by name. A name like a veto that is not one of ours refuses.

        Raises
        ------
        MalformedManifestError
            More than 1,000, or a file that only looks like a veto.
        """
        names = sorted(p.name for p in self.path.iterdir() if p.name.startswith("veto"))
        if len(names) > MAX_VETOES or not all(_VETO.fullmatch(n) for n in names):
            raise MalformedManifestError(
                N_("The folder holds files that look like vetoes and are none."),
                next_step=N_("Ask who put them there; until they are gone nothing runs."),
                code="veto_name",
            )
        return [read_file(self.path / n, limit=MAX_ENVELOPE) for n in names]

    def plan(self) -> bytes | None:
        """Return the executor's signed plan where it stands beside the manifest."""
        path = self.path / PLAN_NAME
        return read_file(path, limit=MAX_ENVELOPE) if path.exists() or path.is_symlink() else None

    def write_envelope(self, raw: bytes) -> None:
        """Replace the envelope."""
        write_file(self.path / ENVELOPE_NAME, raw)

    def write_veto(self, raw: bytes, nonce: str) -> Path:
        """Write a veto under a name made of 16 hexadecimal digits; return it."""
        path = self.path / f"veto-{nonce}.dsse.json"
        write_file(path, raw, exclusive=True)
        return path


def write_draft(parent: Path, draft: Draft, *, advance: Callable[[int], None] | None = None) -> ManifestFolder:
    """Write a draft as a new folder ``parent/<manifest id>`` and return it.

    The envelope, unsigned, comes last: a folder without one is not a manifest.

    Raises
    ------
    UsageError
        The folder exists.
    """
    parent.mkdir(parents=True, exist_ok=True)
    folder = parent / draft.manifest_id
    try:
        folder.mkdir()
    except FileExistsError:
        raise UsageError(N_("The manifest folder {path} exists already."), path=folder) from None
    with _new_file(folder / ITEMS_NAME) as fd:

        def sink(raw: bytes) -> None:
            _write_all(fd, raw)
            if advance is not None:
                advance(raw.count(b"\n"))

        statement = draft.write(sink)
    write_file(folder / HELD_NAME, draft.held_lines())
    made = ManifestFolder(folder)
    made.write_envelope(seal(statement, STATEMENT_PAYLOAD))
    return made


def read_trust_folder(path: Path) -> list[bytes]:
    """Return every version in a trust folder, in order; a gap refuses.

    Raises
    ------
    TrustError
        No version, a gap, too many.
    """
    if path.is_symlink() or not path.is_dir():
        raise TrustError(N_("{path} is not a trust folder."), next_step=N_("Make one with: steward trust init."), path=path)
    versions = sorted(int(m.group(1)) for p in path.iterdir() if (m := _TRUST.fullmatch(p.name)))
    if not versions:
        raise TrustError(N_("{path} holds no trust store."), next_step=N_("Make one with: steward trust init."), path=path)
    if versions != list(range(versions[0], versions[0] + len(versions))) or len(versions) > MAX_ROTATIONS:
        raise TrustError(N_("{path} lacks a version of the trust store."), path=path)
    return [read_file(path / f"{v}.dsse.json", limit=MAX_TRUST_FILE) for v in versions]


def write_trust(path: Path, version: int, raw: bytes) -> Path:
    """Write one version into a trust folder; return the file."""
    path.mkdir(parents=True, exist_ok=True)
    file = path / f"{version}.dsse.json"
    write_file(file, raw)
    return file


def read_key(path: Path) -> bytes:
    """Return a key file's bytes; one that others may read is refused.

    Raises
    ------
    WeakKeyError
    """
    _check_private(path)
    return read_file(path, limit=MAX_KEY)


def read_secret(path: Path) -> Secret:
    """Return the passphrase in a file (its first line); the file must be closed to others (0400 or 0600)."""
    _check_private(path)
    return Secret(read_file(path, limit=MAX_SECRET).split(b"\n")[0].rstrip(b"\r"))


def _check_private(path: Path) -> None:
    mode = stat.S_IMODE(path.lstat().st_mode)
    if mode & 0o077:
        raise WeakKeyError(
            N_("{path} can be read by others (mode {mode})."),
            next_step=N_("Run: chmod 400 on it."),
            path=path,
            mode=f"{mode:04o}",
        )


def read_file(path: Path, *, limit: int, empty: bool = False) -> bytes:
    """Read a regular file of at most ``limit`` bytes; the size is looked at before anything is read.

    Raises
    ------
    MalformedManifestError
        Not a regular file, too large, or empty where it may not be.
    """
    fd = _open_regular(path)
    try:
        size = os.fstat(fd).st_size
        if size > limit:
            raise MalformedManifestError(
                N_("{path} has {size} bytes; {limit} are allowed."), path=path, size=size, limit=limit, code="too_large"
            )
        parts: list[bytes] = []
        left = limit + 1
        while left > 0 and (part := os.read(fd, min(left, 1 << 20))):
            parts.append(part)
            left -= len(part)
    finally:
        os.close(fd)
    raw = b"".join(parts)
    if len(raw) > limit:
        raise MalformedManifestError(
            N_("{path} has {size} bytes; {limit} are allowed."), path=path, size=len(raw), limit=limit, code="too_large"
        )
    if not raw and not empty:
        raise MalformedManifestError(N_("{path} is empty."), path=path, code="empty")
    return raw


def _open_regular(path: Path) -> int:
    """Open for reading without following a link or waiting for a pipe."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise MalformedManifestError(
            N_("{path} cannot be read: {problem}."),
            path=path,
            problem=(error.strerror or "error").lower(),
            code="link" if error.errno == errno.ELOOP else "unreadable",
        ) from None
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        os.close(fd)
        kind = "pipe" if stat.S_ISFIFO(mode) else "folder" if stat.S_ISDIR(mode) else "device"
        raise MalformedManifestError(N_("{path} is not a regular file."), path=path, code=kind)
    return fd


@contextlib.contextmanager
def _new_file(path: Path, mode: int = 0o644) -> Iterator[int]:
    """Open a new file for writing; flushed with its folder when left without an error."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        yield fd
        os.fsync(fd)
    finally:
        os.close(fd)
    _sync_folder(path.parent)


def _write_all(fd: int, raw: bytes) -> None:
    view = memoryview(raw)
    while view:
        view = view[os.write(fd, view) :]


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_file(path: Path, raw: bytes, *, mode: int = 0o644, exclusive: bool = False) -> None:
    """Write a whole file so that it is there whole or not at all.

    Raises
    ------
    UsageError
        ``exclusive`` and it exists.
    """
    if exclusive and (path.exists() or path.is_symlink()):
        raise UsageError(N_("{path} exists already."), path=path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with contextlib.suppress(FileNotFoundError):
        beside.unlink()
    with _new_file(beside, mode) as fd:
        _write_all(fd, raw)
    if exclusive:
        try:
            os.link(beside, path)
        except FileExistsError:
            raise UsageError(N_("{path} exists already."), path=path) from None
        finally:
            beside.unlink()
    else:
        beside.replace(path)
    _sync_folder(path.parent)
