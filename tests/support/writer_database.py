"""The writer of SQL as the conformance suite drives it: the embedded CRM, people by SQL of their own, faults by hooks.

A database is asked in transactions, so that a fault is what breaks one: the connection before the commit (lost) or after
it (applied), a constraint (refused). It never says *wait*; the fault stands for a server that says it cannot take more.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError

from steward.crm.mapping import parse_mapping
from steward.errors import ThrottledError
from steward.executor.journal import Journal, connect
from steward.executor.steps import StepLog
from steward.executor.writers.sql import SqlLook, SqlWriter
from steward.messages import N_
from steward.sandbox import build_crm, demo_mapping
from tests.support.writer_case import Fault, WriterCase

_AT: dict[Fault, str] = {"lost": "sql.ledger", "applied": "sql.committed", "throttled": "sql.ledger", "refused": "sql.ledger"}


class Breaks:
    """A hook that breaks the next transaction at one place."""

    def __init__(self) -> None:
        self.next: Fault | None = None

    def __call__(self, name: str) -> None:
        if self.next is None or name != _AT[self.next]:
            return
        fault, self.next = self.next, None
        match fault:
            case "throttled":
                raise ThrottledError(N_("The CRM at {host} asks to wait."), host="test", retry_after=None)
            case "refused":
                raise IntegrityError("", {}, Exception("a constraint"))
        raise ConnectionResetError


@contextmanager
def open_database(system: str, url: str, folder: Path) -> Iterator[WriterCase]:
    """Yield the case of a database that is empty."""
    build_crm(url, customers=20, seed=3)
    mapping = parse_mapping(demo_mapping())
    people = create_engine(url)
    breaks = Breaks()
    writer = SqlWriter(url, mapping, hook=breaks)
    look = SqlLook(url, mapping)
    journal = Journal(connect(folder / "journal.sqlite"))
    numbers = itertools.count(1)

    def run(sql: str, **values: object) -> list[tuple[object, ...]]:
        with people.begin() as connection:
            answer = connection.execute(text(sql), values)
            return [tuple(row) for row in answer] if answer.returns_rows else []

    def copy(table: str, of: str, **values: object) -> str:
        """Make a row like one that is there, so that every column that must be filled is."""
        id = f"{table[0]}new{next(numbers)}"
        with people.begin() as connection:
            row = dict(connection.execute(text(f'SELECT * FROM "{table}" WHERE {of} LIMIT 1')).mappings().one())
            row |= {"id": id, "is_deleted": 0, "deleted_at": None, "deleted_by": None, **values}
            names = ", ".join(f'"{n}"' for n in row)
            connection.execute(text(f'INSERT INTO "{table}" ({names}) VALUES ({", ".join(":" + n for n in row)})'), row)
        return id

    def fault(kind: Fault) -> None:
        breaks.next = kind

    try:
        yield WriterCase(
            system=system, writer=writer, look=look, steps=StepLog(journal.db), mapping=mapping, person="contact",
            child=("deal", "contact_id"), text_field="last_name",
            new_person=lambda name: copy("contact", "is_deleted = 0", last_name=name),
            new_child=lambda of: copy("deal", "is_deleted = 0", contact_id=of),
            edit=lambda id, said: run("UPDATE contact SET last_name = :said, row_version = row_version + 1 WHERE id = :id", id=id, said=said) and None,
            remove=lambda id: run("DELETE FROM contact WHERE id = :id", id=id) and None,
            gone=lambda id: not run("SELECT 1 FROM contact WHERE id = :id AND is_deleted = 0", id=id),
            fault=fault,
        )  # fmt: skip
    finally:
        writer.close()
        look.close()
        journal.db.close()
        people.dispose()
