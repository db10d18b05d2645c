"""Tables of a workspace and the settings of its database.

``snapshots``, ``snapshot_objects``, ``snapshot_files``, ``readings`` and ``rejects`` describe what was taken in; one schema
``take_<n>`` per snapshot holds a table per object. ``runs``, ``evidence``, ``pairs``, ``clusters``, ``survivors`` and ``protections``
hold what scoring found.

Left to others: filling them (``intake``, ``findings``).
"""

from __future__ import annotations

import os
from pathlib import Path

import duckdb

from steward.errors import IntegrityError, SnapshotError
from steward.messages import N_
from steward.store.sql import literal

FORMAT = "steward-workspace/1"

LEADING = ("_id", "_digest", "_version", "_deleted", "_file", "_line")
"""Columns that every snapshot table begins with."""

TABLES = """
CREATE TABLE IF NOT EXISTS workspace_format(format VARCHAR NOT NULL);
CREATE TABLE IF NOT EXISTS snapshots(
    digest VARCHAR NOT NULL, take INTEGER NOT NULL, taken_at TIMESTAMP NOT NULL, system VARCHAR NOT NULL,
    tenant VARCHAR NOT NULL, environment VARCHAR NOT NULL, connector_version VARCHAR NOT NULL, complete BOOLEAN NOT NULL,
    notes_json VARCHAR NOT NULL, mapping_json VARCHAR NOT NULL);
CREATE TABLE IF NOT EXISTS snapshot_objects(
    snapshot VARCHAR NOT NULL, object VARCHAR NOT NULL, rows BIGINT NOT NULL, digest VARCHAR NOT NULL,
    rejects BIGINT NOT NULL, columns_json VARCHAR NOT NULL);
CREATE TABLE IF NOT EXISTS snapshot_files(
    snapshot VARCHAR NOT NULL, object VARCHAR NOT NULL, file VARCHAR NOT NULL, sha256 VARCHAR NOT NULL, bytes BIGINT NOT NULL,
    kind VARCHAR NOT NULL, encoding VARCHAR, delimiter VARCHAR, rows_in_file BIGINT NOT NULL, rows_loaded BIGINT NOT NULL,
    rejects BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS rejects(
    snapshot VARCHAR NOT NULL, object VARCHAR NOT NULL, file VARCHAR NOT NULL, line BIGINT NOT NULL, problem VARCHAR NOT NULL,
    text VARCHAR NOT NULL, raw BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS readings(
    snapshot VARCHAR NOT NULL, began TIMESTAMP NOT NULL, clock_seconds DOUBLE, sight VARCHAR NOT NULL, sound BOOLEAN NOT NULL,
    deletions_known BOOLEAN NOT NULL, origin VARCHAR, marks_json VARCHAR NOT NULL, ways_json VARCHAR NOT NULL);
CREATE TABLE IF NOT EXISTS runs(
    snapshot VARCHAR NOT NULL, kind VARCHAR NOT NULL, object VARCHAR NOT NULL, definition_digest VARCHAR NOT NULL,
    summary_json VARCHAR NOT NULL, complete BOOLEAN NOT NULL);
CREATE TABLE IF NOT EXISTS evidence(
    snapshot VARCHAR NOT NULL, kind VARCHAR NOT NULL, object VARCHAR NOT NULL, record_id VARCHAR NOT NULL,
    case_id VARCHAR NOT NULL, rule_id VARCHAR NOT NULL, score DOUBLE NOT NULL, sentence VARCHAR NOT NULL,
    values_json VARCHAR NOT NULL DEFAULT '[]', severity VARCHAR NOT NULL DEFAULT '', policy_digest VARCHAR NOT NULL DEFAULT '',
    digest VARCHAR NOT NULL);
CREATE TABLE IF NOT EXISTS pairs(
    snapshot VARCHAR NOT NULL, object VARCHAR NOT NULL, left_id VARCHAR NOT NULL, right_id VARCHAR NOT NULL,
    match_weight DOUBLE NOT NULL, probability DOUBLE NOT NULL, rule VARCHAR NOT NULL DEFAULT '',
    weights_json VARCHAR NOT NULL DEFAULT '[]');
CREATE TABLE IF NOT EXISTS clusters(
    snapshot VARCHAR NOT NULL, object VARCHAR NOT NULL, cluster_id VARCHAR NOT NULL, record_id VARCHAR NOT NULL,
    survivor BOOLEAN NOT NULL);
CREATE TABLE IF NOT EXISTS survivors(
    snapshot VARCHAR NOT NULL, object VARCHAR NOT NULL, cluster_id VARCHAR NOT NULL, record_id VARCHAR NOT NULL,
    rule VARCHAR NOT NULL, steerable BOOLEAN NOT NULL, reason VARCHAR NOT NULL, values_json VARCHAR NOT NULL,
    differing_json VARCHAR NOT NULL);
CREATE TABLE IF NOT EXISTS protections(
    snapshot VARCHAR NOT NULL, object VARCHAR NOT NULL, record_id VARCHAR NOT NULL, code VARCHAR NOT NULL,
    outcome VARCHAR NOT NULL, sentence VARCHAR NOT NULL);
"""


def connect(folder: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """Open the workspace's database, closed to the network and to every file outside the workspace.

    Raises
    ------
    SnapshotError
        Another process holds it, or it is already open in this process in another mode.
    IntegrityError
        The file is no DuckDB database, or was written by another format of workspace.

    Notes
    -----
    At most ``STEWARD_MEMORY`` (by default 2GB) is held in memory; the rest spills to ``tmp/`` in the workspace.
    """
    file = folder / "snapshots.duckdb"
    settings: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "memory_limit": os.environ.get("STEWARD_MEMORY") or "2GB",
        "temp_directory": str(folder / "tmp"),
    }
    try:
        connection = duckdb.connect(str(file), read_only=read_only, config=settings)
    except duckdb.IOException as error:
        if "lock" in str(error).lower():
            raise SnapshotError(
                N_("The workspace {folder} is in use by another program that writes to it."),
                next_step=N_("Wait until it has finished, or close it. Several programs can read at once."),
                folder=folder.name,
            ) from None
        raise IntegrityError(N_("The workspace {folder} holds no readable database."), folder=folder.name) from None
    except duckdb.ConnectionException:
        raise SnapshotError(
            N_("The workspace {folder} is already open here in another mode."),
            next_step=N_("Close it first: read-only and writing do not go together in one program."),
            folder=folder.name,
        ) from None
    except duckdb.InvalidInputException as error:
        raise SnapshotError(
            N_("The workspace {folder} cannot be opened: {problem}"), folder=folder.name, problem=str(error)
        ) from None
    try:
        # Suites may hold SQL of their own, so the database can touch nothing but the workspace, and no setting can change it.
        # A second connection of this program shares the first one's settings, which are closed already.
        if connection.execute("SELECT current_setting('enable_external_access')").fetchall() == [(True,)]:
            connection.execute(f"SET allowed_directories = [{literal(str(folder))}]")
            connection.execute("SET enable_external_access = false")
        connection.execute("SET enable_progress_bar = false")
        connection.execute("SET TimeZone = 'UTC'")
        if not read_only:
            connection.execute(TABLES)
            connection.execute(
                f"INSERT INTO workspace_format SELECT {literal(FORMAT)} WHERE NOT EXISTS (SELECT 1 FROM workspace_format)"
            )
        found = connection.execute("SELECT format FROM workspace_format").fetchall()
        if found != [(FORMAT,)]:
            raise IntegrityError(N_("The workspace {folder} was written by another version of steward."), folder=folder.name)
    except duckdb.CatalogException:
        connection.close()
        raise IntegrityError(N_("The workspace {folder} was not made by steward."), folder=folder.name) from None
    except BaseException:
        connection.close()
        raise
    return connection
