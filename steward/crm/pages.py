"""Pages of a long read, kept on disk so that a broken read goes on where it stopped.

One file per object in a folder of the workspace, readable by its owner alone: each line is one page with the cursor that
leads to the next, sealed by a checksum. A torn last line is dropped. A file that belongs to another question (another
mapping, connector version or address), or is older than a day, is thrown away: pages of two moments are not one snapshot.
The folder is emptied when the snapshot stands; until then it holds customer data like the workspace itself.

Left to others: reading (``steward.crm.vendor``), the snapshot (``steward.store``).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

Row = Mapping[str, Any]
MAX_AGE = 86_400.0
"""Seconds after which a broken read begins anew; page tokens of vendors live as long."""

_decoder = msgspec.json.Decoder(float_hook=Decimal)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one call, and where the next call goes on; ``cursor`` None: this was the last."""

    rows: Sequence[Row]
    cursor: Any


class PageLog:
    """Pages of one object of one read.

    Parameters
    ----------
    path : Path or None
        None keeps nothing.
    question : str
        What was asked; another question does not go on with these pages.
    """

    def __init__(self, path: Path | None, question: str, *, now: float | None = None) -> None:
        self._path = path
        self._head = hashlib.sha256(question.encode()).hexdigest()
        self._now = time.time() if now is None else now
        self.begun = self._now
        """Seconds since 1970 when the oldest of these pages was asked for."""

    def replay(self) -> Iterator[Page]:
        """Yield the pages that a broken read left, oldest first."""
        if self._path is None or not self._path.exists():
            return
        good = 0
        try:
            with self._path.open("rb") as file:
                head = json.loads(file.readline() or b"{}")
                if head.get("question") != self._head or not 0 <= self._now - float(head.get("begun", 0)) <= MAX_AGE:
                    raise ValueError
                good = file.tell()
                for line in file:
                    page = _open(line)
                    if page is None:
                        break
                    good += len(line)
                    self.begun = float(head["begun"])
                    yield page
        except (ValueError, AttributeError, TypeError):
            good = 0
        if good:
            os.truncate(self._path, good)
        else:
            self.forget()

    def add(self, page: Page) -> None:
        """Keep a page; durable enough for a crash of the program, which is all that is promised."""
        if self._path is None:
            return
        if not self._path.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            head = json.dumps({"question": self._head, "begun": self._now}).encode() + b"\n"
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            self._path.write_bytes(head)
        raw = msgspec.json.encode([page.rows, page.cursor])
        with self._path.open("ab") as file:
            file.write(hashlib.sha256(raw).hexdigest()[:16].encode() + b" " + raw + b"\n")

    def forget(self) -> None:
        """Remove what was kept."""
        if self._path is not None:
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()


def _open(line: bytes) -> Page | None:
    seal, space, raw = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or not space or hashlib.sha256(raw).hexdigest()[:16].encode() != seal:
        return None
    rows, cursor = _decoder.decode(raw)
    return Page(rows, cursor)
