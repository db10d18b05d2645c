"""Reads a CRM that lives in SQL (SQLite, PostgreSQL) through a mapping file. Reads only.

* Values come exactly as stored: no column type is applied on our side, so SQLite's text dates stay text, PostgreSQL's
  numerics are ``Decimal``. Ids are text.
* :meth:`SqlReader.scan` pages by key inside one repeatable-read transaction that spans all objects until
  every object has been read, an object is scanned again, or :meth:`SqlReader.close`: a snapshot is one moment of the CRM.
* :meth:`SqlReader.fetch` and :meth:`SqlReader.children` always look at the present.

Left to others: what tables look like and how values become ids (``steward.crm.sql_shape``), opening databases and naming
their errors (``steward.crm.sql_engine``), writing (the executor).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, func, literal, null, select
from sqlalchemy.exc import SQLAlchemyError

from steward.crm.base import Capabilities
from steward.crm.mapping import Mapping as CrmMapping
from steward.crm.mapping import ObjectMapping
from steward.crm.sql_engine import crm_error, open_engine, place_of
from steward.crm.sql_shape import TableShape, bind_type, id_of, is_deleted, is_in, live, natives, record_of, reflect, scalar
from steward.errors import SchemaMismatchError, StewardError
from steward.messages import N_
from steward.records import Absent, Link, Record, RecordKey, Scalar

__all__ = ["SQL_CAPABILITIES", "SqlReader", "TableShape", "is_deleted", "reflect"]

CHUNK = 300
"""Ids per query: three storage classes each stay below the 999 parameters of old SQLite builds."""

SQL_CAPABILITIES = Capabilities(
    system="sql",
    conditional_delete=True,
    transactional=True,
    recycle_bin=False,
    restore_keeps_id=True,
    restore_moves_version=False,
    tells_who_deleted=False,
    per_id_result=True,
    batch_size=1_000,
    requests_per_minute=None,
    request_lifetime=0.0,
    side_effects=(),
    source="docs/reference/mapping.md; a soft-delete column in the mapping gives a recycle bin without time limit",
)


class SqlReader:
    """Implements :class:`steward.crm.base.CrmReader` for SQL.

    Parameters
    ----------
    where : str, Path, URL or Engine
        A database URL, a SQLite file, or an engine that stays the caller's (then its own settings decide whether the
        connection could write; nothing here writes).
    mapping : Mapping

    Raises
    ------
    SchemaMismatchError
        A table or column of the mapping is missing; all that is missing is named.
    UsageError, MissingExtraError, UnavailableError, DeniedError
        See :func:`steward.crm.sql_engine.open_engine`.
    """

    connector_version = "sql/1"

    def __init__(self, where: str | Path | URL | Engine, mapping: CrmMapping) -> None:
        self.mapping = mapping
        self.system, self.tenant, self.environment = mapping.system, mapping.tenant, mapping.environment
        self._engine, self._ours = open_engine(where)
        self._snapshot: Connection | None = None
        self._scanned: set[str] = set()
        self._finished: set[str] = set()
        try:
            self._shapes = reflect(self._engine, mapping)
        except BaseException:
            self.close()
            raise
        flagged = [o.soft_delete for o in mapping.objects.values()]
        self.capabilities = _capabilities(all(flagged), any(s is not None and s.by for s in flagged))

    def __repr__(self) -> str:
        return f"SqlReader({place_of(self._engine)}, tenant={self.tenant!r}, objects={len(self._shapes)})"

    def __enter__(self) -> SqlReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def objects(self) -> Sequence[ObjectMapping]:
        """Return the mapped objects, parents before children."""
        return self.mapping.ordered()

    def columns(self, object: str) -> tuple[str, ...]:
        """Return the columns of an object's table, in the table's order."""
        return self._shape(object).columns

    def count(self, object: str) -> int:
        """Return the number of live records, in the snapshot's moment while one is being read."""
        shape = self._shape(object)
        query = select(func.count()).select_from(shape.source).where(live(shape))
        if self._snapshot is not None:
            with self._errors():
                return int(self._snapshot.execute(query).scalar_one())
        with self._now() as connection:
            return int(connection.execute(query).scalar_one())

    def scan(self, object: str, *, batch: int = 5_000) -> Iterator[list[Record]]:
        """Yield every record of the object, live and deleted, in the order of its key.

        Raises
        ------
        SchemaMismatchError
            The key is empty or repeated in some rows: paging by it would lose records.
        """
        if batch < 1:
            raise ValueError("batch must be at least 1")
        shape = self._shape(object)
        for rows in self._pages(shape, shape.columns, batch):
            yield [record_of(shape, row) for row in rows]
        self.done(object)

    def sweep(
        self, object: str, names: Sequence[str], *, batch: int = 20_000
    ) -> Iterator[list[tuple[str, tuple[Scalar, ...]]]]:
        """Yield id and the named columns of every record, in the snapshot's moment; the object is then not read yet."""
        shape = self._shape(object)
        for rows in self._pages(shape, (shape.mapping.key, *names), batch):
            yield [(id_of(row[0]), tuple(scalar(value) for value in row[1:])) for row in rows]
        self._scanned.discard(object)  # a scan after it is of the same moment

    def pick(self, object: str, ids: Sequence[str]) -> Iterator[list[Record]]:
        """Yield the records of ids in the snapshot's moment; one that is not there does not come."""
        shape = self._shape(object)
        connection = self._snapshot if self._snapshot is not None else self._begin(object)
        for chunk in _chunks(list(ids)):
            held = [n for i in chunk for n in natives(shape, shape.mapping.key, i)]
            if not held:
                continue
            query = select(*(shape.col(c) for c in shape.columns)).where(is_in(shape, shape.mapping.key, held))
            with self._errors():
                yield [record_of(shape, row) for row in connection.execute(query).all()]

    def done(self, object: str) -> None:
        """Note that an object is read; after the last one the moment ends, and writers are no longer held up."""
        self._finished.add(object)
        if self._snapshot is not None and self._finished >= self._shapes.keys():
            self._end()

    def _pages(self, shape: TableShape, names: Sequence[str], batch: int) -> Iterator[Sequence[Sequence[object]]]:
        connection = self._begin(shape.mapping.name)
        with self._errors():
            self._check_key(connection, shape)
        key = shape.col(shape.mapping.key)
        page = select(*(shape.col(c) for c in names)).order_by(key).limit(batch)
        place = names.index(shape.mapping.key)
        query = page
        while True:
            try:
                with self._errors():
                    rows = connection.execute(query).all()
            except StewardError:
                self._end()  # a broken moment is not continued
                raise
            if rows:
                yield rows
            if len(rows) < batch:
                break
            query = page.where(key > literal(rows[-1][place], type_=bind_type(shape, shape.mapping.key)))

    def fetch(self, object: str, ids: Sequence[str]) -> Mapping[str, Record | Absent]:
        """Return what each id is now; a missing row is positive evidence, since the database answered for the id."""
        shape = self._shape(object)
        key = shape.mapping.key
        found: dict[str, Record | Absent] = {}
        with self._now() as connection:
            for chunk in _chunks(list(dict.fromkeys(ids))):
                held = [n for i in chunk for n in natives(shape, key, i)]
                if held:
                    query = select(*(shape.col(c) for c in shape.columns)).where(is_in(shape, key, held))
                    for row in connection.execute(query):
                        record = record_of(shape, row)
                        found[record.key.id] = record
                for wanted in chunk:
                    found.setdefault(wanted, Absent(RecordKey(object, wanted), how="no row"))
        return {wanted: found[wanted] for wanted in ids}

    def children(self, object: str, ids: Sequence[str], *, deleted_too: bool = False) -> Sequence[Link]:
        """Return the references of mapped objects to these records, in a fixed order.

        Parameters
        ----------
        deleted_too : bool
            Also those of soft-deleted children: a foreign key of the database counts them.
        """
        self._shape(object)
        links: list[Link] = []
        wanted = {i: i for i in ids}
        folded = {i.strip().casefold(): i for i in ids}
        with self._now() as connection:
            for child, name in self.mapping.children_of(object):
                shape = self._shape(child.name)
                for chunk in _chunks(sorted(wanted)):
                    held = [n for i in chunk for n in natives(shape, name, i)]
                    if not held:
                        continue
                    query = select(shape.col(child.key), shape.col(name)).where(is_in(shape, name, held))
                    if not deleted_too:
                        query = query.where(live(shape))
                    for key, parent in connection.execute(query):
                        text = id_of(parent)
                        # The database matched it, perhaps by a collation that ignores case or trailing blanks.
                        parent_id = wanted[text] if text in wanted else folded.get(text.strip().casefold())
                        if parent_id is not None:
                            links.append(Link(RecordKey(child.name, id_of(key)), name, RecordKey(object, parent_id)))
        return sorted(links, key=lambda link: (link.parent, link.child, link.field))

    def close(self) -> None:
        """End the snapshot's transaction and release connections."""
        self._end()
        if self._ours:
            self._engine.dispose()

    # ------------------------------------------------------------------------------------------ inside

    def _shape(self, object: str) -> TableShape:
        try:
            return self._shapes[object]
        except KeyError:
            raise SchemaMismatchError(
                N_("The mapping has no object {object}; it has: {known}."), object=object, known=", ".join(self._shapes)
            ) from None

    def _begin(self, object: str) -> Connection:
        """Return the snapshot's connection; an object that is scanned again begins a new moment."""
        if self._snapshot is not None and object in self._scanned:
            self._end()
        if self._snapshot is None:
            with self._errors():
                connection = self._connect()
                connection.begin()
                if self._engine.dialect.name == "sqlite" and not _in_transaction(connection):
                    connection.exec_driver_sql("BEGIN")  # a caller's engine leaves reads outside transactions
                self._snapshot = connection
        self._scanned.add(object)
        return self._snapshot

    def _end(self) -> None:
        if self._snapshot is not None:
            self._snapshot.close()
        self._snapshot = None
        self._scanned, self._finished = set(), set()

    def _connect(self) -> Connection:
        connection = self._engine.connect()
        if self._engine.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        return connection

    @property
    def engine(self) -> Engine:
        """The engine that is read through."""
        return self._engine

    @contextmanager
    def look(self) -> Iterator[Connection]:
        """Yield a connection that sees the present, in a read-only transaction."""
        with self._now() as connection:
            yield connection

    @contextmanager
    def _now(self) -> Iterator[Connection]:
        with self._errors(), self._connect() as connection:
            yield connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise crm_error(error, self._engine) from None

    @staticmethod
    def _check_key(connection: Connection, shape: TableShape) -> None:
        key = shape.col(shape.mapping.key)
        facts = {"object": shape.mapping.name, "column": shape.mapping.key}
        if connection.execute(select(literal(1)).select_from(shape.source).where(key.is_(null())).limit(1)).first():
            raise SchemaMismatchError(N_("{object}: some rows have no value in the key {column}."), **facts)
        if shape.dialect == "sqlite":
            kinds = select(func.typeof(key)).distinct().limit(2)
            if len(connection.execute(kinds).all()) > 1:  # 5 and '5' are two keys to SQLite, and one id to everybody else
                seen: set[str] = set()
                for (value,) in connection.execute(select(key)):
                    text = id_of(value)
                    if text in seen:
                        raise SchemaMismatchError(
                            N_("{object}: the key {column} holds one id in two forms, as a number and as text."),
                            next_step=N_("Mend the rows: one id, one record."),
                            **facts,
                        )
                    seen.add(text)
        if shape.key_is_unique:
            return
        twice = select(literal(1)).select_from(shape.source).group_by(key).having(func.count() > 1).limit(1)
        if connection.execute(twice).first():
            raise SchemaMismatchError(
                N_("{object}: the key {column} is not unique, so records would be confused."),
                next_step=N_("Name another column as key, or mend the rows."),
                **facts,
            )


def _capabilities(recycle_bin: bool, tells_who: bool) -> Capabilities:
    """Return the capabilities of a SQL source whose objects all have (or lack) a soft-delete mark."""
    return replace(SQL_CAPABILITIES, recycle_bin=recycle_bin, tells_who_deleted=recycle_bin and tells_who)


def _in_transaction(connection: Connection) -> bool:
    return bool(getattr(connection.connection.dbapi_connection, "in_transaction", False))


def _chunks(items: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]
