"""Writes one object of a snapshot into its table: id, record digest, version and deletion mark are computed in SQL.

Rows come as Arrow batches of text or as a SELECT over a file; both go through the same statement, so that they cannot
differ in what they compute.

Left to others: reading sources (``source``, ``delimited``, …), the transaction around it (``intake``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb
import pyarrow as pa

from steward.crm.mapping import ObjectMapping
from steward.errors import SchemaMismatchError, SnapshotError
from steward.messages import N_
from steward.store.schema import LEADING
from steward.store.sql import literal, quote, record_digest_sql


def mapped_columns(entry: ObjectMapping) -> dict[str, str]:
    """Return every column a mapping entry names, with the word that names it."""
    found: dict[str, str] = {}
    for column in entry.key_columns:
        found.setdefault(column, "key")
    for word, names in (
        ("label", entry.label),
        ("parents", tuple(entry.parents)),
        ("dates", tuple(entry.dates)),
        ("writable", entry.must_be_there),
    ):
        for column in names:
            found.setdefault(column, word)
    for word in ("created", "modified", "version", "owner", "event", "amount"):
        named: str | None = getattr(entry, word)
        if named:
            found.setdefault(named, word)
    for word in ("open_when", "begun_by_person", "active_when"):
        rule = getattr(entry, word)
        if rule is not None:
            found.setdefault(rule.column, word)
    if entry.soft_delete is not None:
        for marked in (entry.soft_delete.column, entry.soft_delete.at, entry.soft_delete.by):
            if marked:
                found.setdefault(marked, "soft_delete")
    return found


class TableWriter:
    """One object's table while a snapshot is taken.

    Parameters
    ----------
    connection : DuckDBPyConnection
        Inside a transaction.
    schema : str
        Name of the snapshot's schema, unquoted.
    entry : ObjectMapping
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, schema: str, entry: ObjectMapping) -> None:
        self.connection = connection
        self.entry = entry
        self.table = f"{quote(schema)}.{quote(entry.name)}"
        self.columns: tuple[str, ...] = ()

    def start(self, columns: Sequence[str], *, where: str) -> None:
        """Make the table, or check that a further file of the object has the same columns.

        Parameters
        ----------
        where : str
            File or table the columns come from, for messages.

        Raises
        ------
        SchemaMismatchError
            A mapped column is not there; two columns differ only in case; a name is reserved; files disagree.
        """
        if self.columns:
            if set(columns) != set(self.columns):
                odd = sorted(set(columns) ^ set(self.columns))
                raise SchemaMismatchError(
                    N_("{file} has other columns than the files of {object} before it: {columns}."),
                    next_step=N_("Give files with other columns to an object of their own."),
                    file=where, object=self.entry.name, columns=", ".join(odd[:10]),
                )  # fmt: skip
            return
        folded: dict[str, str] = {}
        for name in columns:
            twin = folded.setdefault(name.casefold(), name)
            if twin is not name:
                raise SchemaMismatchError(
                    N_("{file} has two columns with one name: {first} and {second}."),
                    next_step=N_("Rename one of them in the file; guessing which is meant could lose values."),
                    file=where, first=twin, second=name,
                )  # fmt: skip
        missing = {column: word for column, word in mapped_columns(self.entry).items() if column not in columns}
        if missing:
            raise SchemaMismatchError(
                N_("{file} has no column {missing}, which {object} needs. It has: {columns}."),
                next_step=N_("Name the right column in the mapping or with --id; a wrong delimiter shows here too (--delimiter)."),
                file=where, object=self.entry.name, missing=", ".join(f"{c} ({w})" for c, w in missing.items()),
                columns=", ".join(columns[:20]),
            )  # fmt: skip
        reserved = [c for c in columns if c.casefold() in LEADING and not self._is_id(c)]
        if reserved:
            raise SchemaMismatchError(
                N_("{file} has a column {column}, a name that the workspace needs itself."),
                next_step=N_("Rename the column in the file."), file=where, column=reserved[0],
            )  # fmt: skip
        self.columns = tuple(columns)
        self.connection.execute(f"CREATE TABLE {self.table}({', '.join(self._definitions())})")

    def _is_id(self, column: str) -> bool:
        """A source may call its key ``_id`` (document databases do): then that column holds what ours would."""
        return column == "_id" and self.entry.key_columns == ("_id",)

    @property
    def stored(self) -> list[str]:
        """Columns of the source that have a column of their own in the table."""
        return [c for c in self.columns if not self._is_id(c)]

    def _definitions(self) -> list[str]:
        leading = {"_deleted": "BOOLEAN", "_line": "BIGINT"}
        return [f"{quote(c)} {leading.get(c, 'VARCHAR')}" for c in LEADING] + [f"{quote(c)} VARCHAR" for c in self.stored]

    def restart(self) -> None:
        """Empty the table, to read a file in another way."""
        self.connection.execute(f"DELETE FROM {self.table}")

    def id_sql(self) -> str:
        """SQL of the record id, equal to :func:`steward.crm.mapping.compose_id`; NULL where a part is NULL."""
        parts = [quote(c) for c in self.entry.key_columns]
        if len(parts) == 1:
            return parts[0]
        return " || '+' || ".join(f"replace(replace({p}, '\\', '\\\\'), '+', '\\+')" for p in parts)

    def _deleted_sql(self) -> str:
        mark = self.entry.soft_delete
        if mark is None:
            return "false"
        column = quote(mark.column)
        if mark.deleted is not None:
            return f"coalesce({column} = {literal(mark.deleted)}, false)"
        if mark.live is not None:
            return f"{column} IS DISTINCT FROM {literal(mark.live)}"
        return f"{column} IS NOT NULL"

    def insert(self, source: str, parameters: Sequence[object] = (), *, given: bool = False) -> None:
        """Insert rows from an SQL source that offers the columns, ``_file`` and ``_line``.

        Parameters
        ----------
        source : str
            What stands after FROM.
        given : bool
            The source also offers ``_id``, ``_version`` and ``_deleted`` (a reader knows them itself).
        """
        version = quote(self.entry.version) if self.entry.version else "NULL"
        leading = "_id, {d}, _version, _deleted" if given else f"{self.id_sql()}, {{d}}, {version}, {self._deleted_sql()}"
        leading = leading.replace("{d}", record_digest_sql(self.columns))
        columns = ", ".join([leading, "_file", "_line", *map(quote, self.stored)])
        self.connection.execute(f"INSERT INTO {self.table} SELECT {columns} FROM {source}", list(parameters))

    def append(self, batch: Mapping[str, Sequence[str | None]], *, file: str, lines: Sequence[int]) -> None:
        """Insert one batch of text columns from a file."""
        rows = pa.table(
            {
                **{name: pa.array(batch[name], pa.string()) for name in self.columns},
                "_file": pa.array([file] * len(lines), pa.string()),
                "_line": pa.array(lines, pa.int64()),
            }
        )
        self._append(rows, given=False)

    def append_given(
        self,
        batch: Mapping[str, Sequence[str | None]],
        *,
        ids: Sequence[str],
        versions: Sequence[str | None],
        deleted: Sequence[bool],
        origin: str,
    ) -> None:
        """Insert one batch from a reader, which knows id, version and deletion mark itself."""
        rows = pa.table(
            {
                **{name: pa.array(batch[name], pa.string()) for name in self.stored},
                "_id": pa.array(ids, pa.string()),
                "_version": pa.array(versions, pa.string()),
                "_deleted": pa.array(deleted, pa.bool_()),
                "_file": pa.array([origin] * len(ids), pa.string()),
                "_line": pa.nulls(len(ids), pa.int64()),
            }
        )
        self._append(rows, given=True)

    def _append(self, rows: pa.Table, *, given: bool) -> None:
        self.connection.register("steward_incoming", rows)
        try:
            self.insert("steward_incoming", given=given)
        finally:
            self.connection.unregister("steward_incoming")

    def repeated_ids(self, limit: int = 3) -> tuple[int, list[tuple[str, list[tuple[str, int | None]]]]]:
        """Return how many ids occur more than once, and a few of them with their places."""
        # Places are asked for in a second look: a list per id of ten million ids does not fit into memory, counts spill.
        shared = [
            str(i)
            for (i,) in self.connection.execute(
                f"SELECT _id FROM {self.table} GROUP BY _id HAVING count(*) > 1 ORDER BY _id"
            ).fetchall()
        ]
        some = []
        for id in shared[:limit]:
            places = self.connection.execute(
                f"SELECT _file, _line FROM {self.table} WHERE _id = ? ORDER BY _line LIMIT 3", [id]
            ).fetchall()
            some.append((id, [(str(f), n) for f, n in places]))
        return len(shared), some

    def take_out_repeated(self) -> list[tuple[str, int, str]]:
        """Remove every row that shares its id with another and return their files, lines and ids."""
        shared = f"_id IN (SELECT _id FROM {self.table} GROUP BY _id HAVING count(*) > 1)"
        rows = self.connection.execute(f"SELECT _file, _line, _id FROM {self.table} WHERE {shared} ORDER BY ALL").fetchall()
        if rows:
            self.connection.execute(f"DELETE FROM {self.table} WHERE {shared}")
        return [(str(f), int(n), str(i)) for f, n, i in rows]

    def refuse_repeated_ids(self) -> None:
        """Refuse when an id names two records: a deletion could hit the wrong one.

        Raises
        ------
        SnapshotError
        """
        many, some = self.repeated_ids()
        if many:
            where = "; ".join(
                f"{key} ({', '.join(f'{f}:{n}' if n is not None else f for f, n in places)})" for key, places in some
            )
            raise SnapshotError(
                N_("{object}: {count} ids occur more than once, for example {where}."),
                next_step=N_("Name another column as id, or keep such lines as rejects with --duplicate-ids reject."),
                object=self.entry.name, count=many, where=where,
            )  # fmt: skip
