"""The SQL reader against the suite for readers, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from steward.crm.sql import SqlReader
from steward.sandbox import build_crm
from tests.conformance.reader_suite import MomentSuite, ReaderSuite, ReaderWorld
from tests.support.crm import CrmTemplates, mapping, postgres_execute, sqlite_execute


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> CrmTemplates:
    return CrmTemplates(tmp_path_factory.mktemp("crm"))


class TestSqlite(ReaderSuite, MomentSuite):
    @pytest.fixture
    def world(self, templates: CrmTemplates, tmp_path: Path) -> Iterator[ReaderWorld]:
        path, _ = templates.copy(tmp_path)
        sqlite_execute(path)("PRAGMA journal_mode=WAL")  # a writer may work while the reader's moment is open
        reader = SqlReader(f"sqlite:///{path}", mapping())
        yield ReaderWorld(
            reader, templates.original(400, 7), sqlite_execute(path), lambda: SqlReader(f"sqlite:///{path}", mapping())
        )
        reader.close()


@pytest.mark.postgres
class TestPostgres(ReaderSuite, MomentSuite):
    @pytest.fixture
    def world(self, templates: CrmTemplates, postgres_database: str) -> Iterator[ReaderWorld]:
        build_crm(postgres_database, customers=400, seed=7)
        reader = SqlReader(postgres_database, mapping())
        yield ReaderWorld(
            reader,
            templates.original(400, 7),
            postgres_execute(postgres_database),
            lambda: SqlReader(postgres_database, mapping()),
        )
        reader.close()
