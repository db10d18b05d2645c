"""Puts generated rows into an empty database in batches: executemany on SQLite, COPY on PostgreSQL.

Side effects: creates the tables of ``steward.sandbox.schema``; one transaction per run, so that an interrupted run
leaves nothing. Left to others: what the rows say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.exc import SQLAlchemyError

from steward.crm.sql_engine import crm_error
from steward.errors import UsageError
from steward.messages import N_
from steward.sandbox.schema import TABLES, metadata


class Writing:
    """A transaction that creates and fills the CRM's tables.

    Raises
    ------
    UsageError
        One of the tables is already there: nothing of anybody's is overwritten.
    """

    def __init__(self, engine: Engine, progress: Callable[[int], None] | None) -> None:
        self.engine, self.progress = engine, progress
        self.rows = {table.name: 0 for table in TABLES}
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        try:
            connection = self._connection = self.engine.connect()
            held = sorted(set(inspect(connection).get_table_names()) & set(self.rows))
            if held:
                connection.close()
                raise UsageError(
                    N_("The database already holds the table {table}; a CRM is built only into an empty one."),
                    next_step=N_("Name another file or database."),
                    table=held[0],
                )
            connection.rollback()
            if self.engine.dialect.name == "sqlite":
                # Rows come parents first and are checked at the end; the file is new, so a crash loses nothing of value.
                cursor = connection.connection.cursor()
                for pragma in (
                    "foreign_keys=OFF",
                    "journal_mode=MEMORY",
                    "synchronous=OFF",
                    "cache_size=-131072",
                    "temp_store=MEMORY",
                ):
                    cursor.execute(f"PRAGMA {pragma}")
                cursor.execute("BEGIN IMMEDIATE")
            metadata.create_all(connection)
        except SQLAlchemyError as error:
            raise crm_error(error, self.engine) from None
        return self

    def insert(self, table: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Write rows of one table, columns in the order of its definition."""
        if not rows:
            return
        assert self._connection is not None
        dialect = self.engine.dialect
        name = dialect.identifier_preparer.quote(table)
        columns = metadata.tables[table].columns
        cursor = self._connection.connection.cursor()
        try:
            if dialect.name == "sqlite":
                cursor.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})", rows)  # noqa: S608 - our own table
            else:
                names = ", ".join(dialect.identifier_preparer.quote(c.name) for c in columns)
                with cursor.copy(f"COPY {name} ({names}) FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row(row)
        except Exception as error:
            wrapped = error if isinstance(error, SQLAlchemyError) else None
            raise crm_error(wrapped or error, self.engine) from None
        self.rows[table] += len(rows)
        if self.progress is not None:
            self.progress(len(rows))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        connection = self._connection
        assert connection is not None
        try:
            if kind is not None:
                connection.rollback()
                if self.engine.dialect.name == "sqlite":
                    connection.connection.cursor().execute("ROLLBACK") if _in_transaction(connection) else None
                return
            for table in TABLES:  # the look-ups that foreign keys and child queries need
                for column in table.columns:
                    if column.foreign_keys:
                        quote = self.engine.dialect.identifier_preparer.quote
                        name = quote(f"ix_{table.name}_{column.name}")
                        connection.exec_driver_sql(f"CREATE INDEX {name} ON {quote(table.name)} ({quote(column.name)})")
            if self.engine.dialect.name == "sqlite":
                cursor = connection.connection.cursor()
                if cursor.execute("PRAGMA foreign_key_check").fetchone() is not None:
                    raise AssertionError("a generated row refers to nothing")
                cursor.execute("COMMIT")
                cursor.execute("PRAGMA synchronous=FULL")
            connection.commit()
        except SQLAlchemyError as caught:
            raise crm_error(caught, self.engine) from None
        finally:
            connection.close()


def _in_transaction(connection: Connection) -> bool:
    return bool(getattr(connection.connection.dbapi_connection, "in_transaction", False))
