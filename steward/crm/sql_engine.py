"""Opens SQL databases: read-only unless asked otherwise, and turns what a driver says into steward's errors.

A credential never reaches an error, a log or a ``repr``: places are named by :func:`place_of`, which knows only
driver, host, port and database. Left to others: what is read (``steward.crm.sql``) and written (the executor).
"""

from __future__ import annotations

import json
import sqlite3
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, NoSuchTableError
from sqlalchemy.pool import NullPool

from steward.errors import (
    CrmError,
    DeniedError,
    MissingExtraError,
    SchemaMismatchError,
    StewardError,
    UnavailableError,
    UsageError,
)
from steward.messages import N_

CONNECT_SECONDS = 15
LOCK_SECONDS = 30.0


def place_of(url: URL | Engine) -> str:
    """Return driver, host, port and database of ``url``: never user, password or options."""
    if isinstance(url, Engine):
        url = url.url
    host = f"{url.host}{f':{url.port}' if url.port else ''}" if url.host else ""
    return f"{url.drivername}://{host}/{url.database or ''}"


def parse_url(text: str | Path) -> URL:
    """Return the URL of a database; a bare file name means SQLite.

    Raises
    ------
    UsageError
        Not a URL, or a system that is not supported.
    """
    if isinstance(text, Path) or "://" not in text:
        return URL.create("sqlite", database=str(Path(text)))
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise UsageError(
            N_("The database address cannot be read."),
            next_step=N_("Write it like sqlite:///crm.sqlite or postgresql+psycopg://user@host:5432/database."),
        ) from None
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise UsageError(
            N_("Databases of the kind {kind} are not supported."),
            next_step=N_("Use SQLite or PostgreSQL, or export the tables to files and take the snapshot from those."),
            kind=url.get_backend_name(),
        )
    return url


def open_engine(where: str | Path | URL | Engine, *, write: bool = False) -> tuple[Engine, bool]:
    """Open a database.

    Parameters
    ----------
    where : str, Path, URL or Engine
        A URL, a SQLite file name, or an engine that stays the caller's.
    write : bool
        False opens SQLite with ``mode=ro`` and PostgreSQL with ``default_transaction_read_only``, so that the database
        itself refuses a write.

    Returns
    -------
    engine : Engine
    ours : bool
        True where the caller of this function must dispose it.

    Raises
    ------
    UsageError, MissingExtraError
        The address is wrong, or the driver is not installed.
    UnavailableError
        The SQLite file is not there (only when reading).
    """
    if isinstance(where, Engine):
        return where, False
    url = where if isinstance(where, URL) else parse_url(where)
    try:
        if url.get_backend_name() == "sqlite":
            return _open_sqlite(url, write), True
        options = "-c timezone=UTC" + ("" if write else " -c default_transaction_read_only=on")
        given = url.query.get("options")
        if given:
            options = f"{given if isinstance(given, str) else ' '.join(given)} {options}"
        engine = create_engine(
            url.difference_update_query(["options"]),
            connect_args={"options": options, "connect_timeout": CONNECT_SECONDS, "application_name": "steward"},
            isolation_level="READ COMMITTED" if write else "REPEATABLE READ",
            pool_size=2,
            pool_pre_ping=True,
            hide_parameters=True,
            json_serializer=write_json,
        )
        event.listen(engine, "connect", _exact_numbers)
        return engine, True
    except NoSuchModuleError:
        raise UsageError(N_("The database driver {driver} is not known."), driver=url.drivername) from None
    except ImportError:
        raise MissingExtraError("postgres", "psycopg") from None


def _exact_numbers(connection: Any, _record: object) -> None:
    """Numbers inside JSON are decimals: a double would drop their last digits, and a restore could not bring them back."""
    from psycopg.types.json import set_json_loads

    set_json_loads(partial(json.loads, parse_float=Decimal), connection)


def write_json(value: object) -> str:
    """Return JSON in which a decimal is a number with all its digits.

    Raises
    ------
    TypeError
        What JSON does not know.
    """
    match value:
        case Decimal():
            return format(value, "f")
        case dict():
            return "{" + ",".join(f"{json.dumps(str(k), ensure_ascii=False)}:{write_json(v)}" for k, v in value.items()) + "}"
        case list():
            return "[" + ",".join(map(write_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _open_sqlite(url: URL, write: bool) -> Engine:
    database = url.database or ""
    if database in ("", ":memory:"):
        raise UsageError(N_("A CRM in memory cannot be opened by name."), next_step=N_("Name a file: sqlite:///crm.sqlite."))
    path = Path(database.removeprefix("file:").partition("?")[0]) if database.startswith("file:") else Path(database)
    if not write and not path.is_file():
        raise UnavailableError(
            N_("There is no database file {where}."), next_step=N_("Check the name of the file."), where=path
        )
    if write and not path.parent.is_dir():
        raise UnavailableError(N_("There is no folder {where}."), next_step=N_("Make the folder first."), where=path.parent)

    def connect() -> sqlite3.Connection:
        mode = "rwc" if write else "ro"
        # isolation_level None: transactions begin where we say so and nowhere else.
        return sqlite3.connect(
            f"file:{quote(str(path))}?mode={mode}",
            uri=True,
            isolation_level=None,
            timeout=LOCK_SECONDS,
            check_same_thread=False,
        )

    engine = create_engine(URL.create("sqlite", database=str(path)), creator=connect, poolclass=NullPool, hide_parameters=True)
    if write:
        event.listen(engine, "connect", lambda connection, _record: connection.execute("PRAGMA foreign_keys=ON"))
    else:
        event.listen(engine, "connect", lambda connection, _record: connection.execute("PRAGMA query_only=ON"))
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def crm_error(error: Exception, engine: Engine) -> StewardError:
    """Return steward's error for what a driver raised; values and credentials stay out of it."""
    if isinstance(error, StewardError):
        return error
    where = place_of(engine)
    if isinstance(error, NoSuchTableError):
        return SchemaMismatchError(N_("{where} has no table {table}."), where=where, table=str(error))
    if isinstance(error, ImportError):
        return MissingExtraError("postgres", "psycopg")
    original = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(original, "sqlstate", None) or ""
    said = str(original).lower()
    if (
        state[:2] == "28"
        or state == "42501"
        or "password authentication" in said
        or "no pg_hba.conf" in said
        or "role " in said
    ):
        return DeniedError(
            N_("{where} refuses this user or this action."),
            next_step=N_("Check user, password and rights; reading needs SELECT on the mapped tables and nothing more."),
            where=where,
        )
    if state == "25006" or "readonly database" in said or "read-only" in said:
        return DeniedError(N_("{where} was opened for reading only and refused a write."), where=where)
    if state in ("42P01", "42703", "3F000") or "no such table" in said or "no such column" in said:
        return SchemaMismatchError(
            N_("{where} has changed: a table or column of the mapping is gone."),
            next_step=N_("Compare the mapping with: steward connectors check --mapping FILE --from URL."),
            where=where,
        )
    if state == "3D000" or ("database" in said and "does not exist" in said):
        return UnavailableError(
            N_("{where}: the server has no such database."), next_step=N_("Check the name of the database."), where=where
        )
    if "not a database" in said or "malformed" in said:
        return UnavailableError(
            N_("{where} is not a SQLite database, or it is damaged."),
            next_step=N_("Check the file; take it from a backup."),
            where=where,
        )
    if "could not decode" in said or state[:2] == "22" or type(original).__name__ in ("DataError", "OverflowError"):
        return SchemaMismatchError(
            N_("{where} holds a value that cannot be read as its column's type says."),
            next_step=N_("Find the row with the database's own tools and mend it, or leave the column out by a view."),
            where=where,
        )
    if "locked" in said or state in ("55P03", "57014"):
        return UnavailableError(
            N_("{where} is locked by another program."), next_step=N_("Try again when it has finished."), where=where
        )
    if isinstance(error, DBAPIError) or state or isinstance(error, (sqlite3.Error, OSError)) or "connect" in said:
        return UnavailableError(
            N_("{where} gives no answer ({kind})."),
            next_step=N_("Check that the server runs and can be reached, then try again."),
            where=where,
            kind=type(original).__name__,
        )
    return CrmError(N_("{where} failed ({kind})."), where=where, kind=type(original).__name__)
