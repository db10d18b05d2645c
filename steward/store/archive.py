"""Takes the files out of a ZIP archive, such as the result of a bulk read or a data backup.

No name in the archive is ever used as a path: each member goes into a folder of its own under a name made harmless, and is
called by its full name in the archive. Archives that unpack to much more than they are, are refused.

Left to others: what the files are (``steward.store.peek``).
"""

from __future__ import annotations

import re
import shutil
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from steward.errors import SnapshotError
from steward.messages import N_

_LIMIT = 4 << 30
_SMALL = 100 << 20
_RATIO = 500


def is_archive(path: Path) -> bool:
    """Whether a file is a ZIP archive that is no workbook."""
    with path.open("rb") as reading:
        if reading.read(4) not in (b"PK\x03\x04", b"PK\x05\x06"):
            return False
    try:
        with zipfile.ZipFile(path) as archive:
            return "xl/workbook.xml" not in archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return path.suffix.lower() == ".zip"


def unpack(path: Path, folder: Path) -> list[tuple[str, Path]]:
    """Write the files of an archive into ``folder`` and return (name in the archive, path) of each.

    Raises
    ------
    SnapshotError
        Damaged, protected by a password, empty, or made to exhaust the machine.
    """
    found: list[tuple[str, Path]] = []
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [i for i in archive.infolist() if not i.filename.endswith("/")]  # is_dir fails on an empty name
            total, packed = sum(i.file_size for i in infos), sum(i.compress_size for i in infos)
            if total > _LIMIT or (total > _SMALL and total > _RATIO * max(1, packed)):
                raise SnapshotError(
                    N_("{file} unpacks to more than {ratio} times its size; it is taken for an attack."),
                    next_step=N_("Unpack it yourself if you trust it."), file=path.name, ratio=_RATIO,
                )  # fmt: skip
            for number, info in enumerate(infos):
                target = folder / str(number) / harmless(info.filename)
                target.parent.mkdir(parents=True)
                with archive.open(info) as reading, target.open("wb") as writing:
                    shutil.copyfileobj(reading, writing, 1 << 20)
                found.append((f"{path.name}/{info.filename}", target))
    except RuntimeError:  # encrypted member
        raise SnapshotError(
            N_("{file} is protected by a password."), next_step=N_("Save it without one."), file=path.name
        ) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError):
        raise SnapshotError(
            N_("{file} is damaged, or no ZIP archive."), next_step=N_("Export or download it again."), file=path.name
        ) from None
    if not found:
        raise SnapshotError(N_("{file} is empty."), file=path.name)
    return found


def harmless(name: str) -> str:
    """Return a file name that is one: no folder, no drive, no sign a system reads in its own way."""
    base = PurePosixPath(name.replace("\\", "/")).name
    plain = re.sub(r"[^\w.() -]", "_", base)[-120:].strip(". ")
    return plain or "file"
