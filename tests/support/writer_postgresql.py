"""The writer of SQL over a PostgreSQL server of its own, for the conformance suite."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import PostgresServer
from tests.support.writer_case import WriterCase
from tests.support.writer_database import open_database


@contextmanager
def open_case(folder: Path) -> Iterator[WriterCase]:
    """Open the case on a server that ends with it."""
    server = PostgresServer()
    try:
        with open_database("postgresql", server.create(), folder) as case:
            yield case
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)
