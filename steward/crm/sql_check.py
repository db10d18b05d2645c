"""Says what would be read from a SQL source before anything is: objects, counts, rights, clock.

Left to others: reading (``steward.crm.sql``), showing it (``steward.commands.connectors``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from steward.crm.sql import SqlReader
from steward.crm.sql_engine import crm_error, place_of


@dataclass(frozen=True, slots=True)
class ObjectCheck:
    """One object: live records, columns, and which columns the mapping does not name."""

    name: str
    table: str
    live: int
    columns: tuple[str, ...]
    writable_by_user: bool | None


@dataclass(frozen=True, slots=True)
class SourceCheck:
    """What a source is.

    Attributes
    ----------
    read_only : bool
        The database itself refuses writes on this connection.
    clock_seconds : float or None
        Server's clock minus ours; None where the database has none of its own (SQLite).
    """

    where: str
    system: str
    tenant: str
    environment: str
    read_only: bool
    clock_seconds: float | None
    objects: tuple[ObjectCheck, ...]


def check_source(reader: SqlReader) -> SourceCheck:
    """Look at a source through its reader, without reading a record.

    Raises
    ------
    UnavailableError, DeniedError
        It cannot be looked at.
    """
    engine = reader.engine
    try:
        with reader.look() as connection:
            postgres = engine.dialect.name == "postgresql"
            if postgres:
                read_only = connection.execute(text("SELECT current_setting('transaction_read_only')")).scalar_one() == "on"
                theirs = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
                clock = (theirs - datetime.now(UTC)).total_seconds()
            else:
                read_only = connection.execute(text("PRAGMA query_only")).scalar_one() == 1
                clock = None
            objects = tuple(
                ObjectCheck(
                    o.name,
                    o.source,
                    reader.count(o.name),
                    reader.columns(o.name),
                    _may_write(connection, o.source) if postgres else None,
                )
                for o in reader.objects()
            )
    except SQLAlchemyError as error:
        raise crm_error(error, engine) from None
    return SourceCheck(place_of(engine), reader.system, reader.tenant, reader.environment, read_only, clock, objects)


def _may_write(connection: Connection, source: str) -> bool:
    quoted = connection.dialect.identifier_preparer.quote_identifier(source)
    query = text("SELECT has_table_privilege(to_regclass(:t), 'INSERT, UPDATE, DELETE, TRUNCATE')")
    return bool(connection.execute(query, {"t": quoted}).scalar())
