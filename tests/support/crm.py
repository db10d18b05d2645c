"""Generated CRMs for tests: built once per session and copied, so that each test may break its own."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import create_engine, text

from steward.crm.mapping import Mapping, parse_mapping
from steward.sandbox import Truth, build_crm, demo_mapping


def mapping() -> Mapping:
    return parse_mapping(demo_mapping())


class CrmTemplates:
    """Builds each (customers, seed) once and hands out copies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: dict[tuple[int, int], Path] = {}

    def original(self, customers: int, seed: int) -> Path:
        if (customers, seed) not in self._made:
            folder = self.folder / f"{customers}-{seed}"
            folder.mkdir()
            build_crm(f"sqlite:///{folder / 'crm.sqlite'}", customers=customers, seed=seed)
            self._made[customers, seed] = folder / "crm.sqlite"
        return self._made[customers, seed]

    def copy(self, into: Path, customers: int = 400, seed: int = 7) -> tuple[Path, Truth]:
        original = self.original(customers, seed)
        target = into / "crm.sqlite"
        shutil.copy(original, target)
        return target, Truth.load(original.with_name("truth.json"))


def sqlite_execute(path: Path) -> Callable[[str], None]:
    """Return what runs one statement on a file, as another program would."""

    def execute(sql: str) -> None:
        connection = sqlite3.connect(path)
        try:
            with connection:
                connection.execute(sql)
        finally:
            connection.close()

    return execute


def postgres_execute(url: str) -> Callable[[str], None]:
    engine = create_engine(url)

    def execute(sql: str) -> None:
        with engine.begin() as connection:
            connection.execute(text(sql))
        engine.dispose()

    return execute
