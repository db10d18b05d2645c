"""The writer of SQL over SQLite, for the conformance suite."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from tests.support.writer_case import WriterCase
from tests.support.writer_database import open_database


def open_case(folder: Path) -> AbstractContextManager[WriterCase]:
    """Open the case on a new file."""
    return open_database("sqlite", f"sqlite:///{folder / 'crm.sqlite'}", folder)
