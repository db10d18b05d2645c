"""Reads a CRM that lives in SQL (SQLite, PostgreSQL) through a mapping file. Reads only.

* Values come exactly as stored: no column type is applied on our side, so SQLite's text dates stay text, PostgreSQL's
  numerics are ``Decimal``. Ids are text.
* :meth:`SqlReader.scan` pages by key inside one repeatable-read transaction that spans all objects until
  every object has been read, an object is scanned again, or :meth:`SqlReader.close`: a snapshot is one moment of the CRM.
* :meth:`SqlReader.fetch` and :meth:`SqlReader.children` always look at the present.

Left to others: opening databases and naming their errors (``steward.crm.sql_engine``), writing (the executor).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    and_,
    column,
    func,
    inspect,
    literal,
    not_,
    null,
    or_,
    select,
    table,
)
from sqlalchemy import types as sqltypes
from sqlalchemy.engine.reflection import Inspector
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql.expression import TableClause

from steward.crm.base import Capabilities
from steward.crm.mapping import Mapping as CrmMapping
from steward.crm.mapping import ObjectMapping, SoftDelete
from steward.crm.sql_engine import crm_error, open_engine, place_of
from steward.errors import SchemaMismatchError, StewardError
from steward.messages import N_
from steward.records import Absent, Link, Record, RecordKey, Scalar, canonical_text

CHUNK = 300
"""Ids per query: three storage classes each stay below the 999 parameters of old SQLite builds."""

_PLAIN = (str, int, float, bool, Decimal, bytes, datetime, date, time, timedelta, uuid.UUID, list, dict)
_TRUE, _FALSE = ("1", "true", "t", "yes", "y"), ("0", "false", "f", "no", "n")

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


@dataclass(frozen=True, slots=True)
class TableShape:
    """What reflection found of one mapped object."""

    mapping: ObjectMapping
    dialect: str
    source: TableClause
    columns: tuple[str, ...]
    types: Mapping[str, sqltypes.TypeEngine[object]]
    key_is_unique: bool

    def col(self, name: str) -> ColumnElement[object]:
        """Return an untyped column, so that no conversion happens on our side."""
        return self.source.c[name]


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
        query = select(func.count()).select_from(shape.source).where(_live(shape))
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
        connection = self._begin(object)
        with self._errors():
            self._check_key(connection, shape)
        key = shape.col(shape.mapping.key)
        page = select(*(shape.col(c) for c in shape.columns)).order_by(key).limit(batch)
        place = shape.columns.index(shape.mapping.key)
        query = page
        while True:
            try:
                with self._errors():
                    rows = connection.execute(query).all()
            except StewardError:
                self._end()  # a broken moment is not continued
                raise
            if rows:
                yield [_record(shape, row) for row in rows]
            if len(rows) < batch:
                break
            query = page.where(key > literal(rows[-1][place], type_=_bind_type(shape, shape.mapping.key)))
        self._finished.add(object)
        if self._snapshot is connection and self._finished >= self._shapes.keys():
            self._end()  # all is read: writers are no longer held up

    def fetch(self, object: str, ids: Sequence[str]) -> Mapping[str, Record | Absent]:
        """Return what each id is now; a missing row is positive evidence, since the database answered for the id."""
        shape = self._shape(object)
        key = shape.mapping.key
        found: dict[str, Record | Absent] = {}
        with self._now() as connection:
            for chunk in _chunks(list(dict.fromkeys(ids))):
                natives = [n for i in chunk for n in _natives(shape, key, i)]
                if natives:
                    query = select(*(shape.col(c) for c in shape.columns)).where(_is_in(shape, key, natives))
                    for row in connection.execute(query):
                        record = _record(shape, row)
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
                    natives = [n for i in chunk for n in _natives(shape, name, i)]
                    if not natives:
                        continue
                    query = select(shape.col(child.key), shape.col(name)).where(_is_in(shape, name, natives))
                    if not deleted_too:
                        query = query.where(_live(shape))
                    for key, parent in connection.execute(query):
                        text = _id(parent)
                        # The database matched it, perhaps by a collation that ignores case or trailing blanks.
                        parent_id = wanted.get(text) or folded.get(text.strip().casefold())
                        if parent_id is not None:
                            links.append(Link(RecordKey(child.name, _id(key)), name, RecordKey(object, parent_id)))
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
                    text = _id(value)
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


def reflect(engine: Engine, mapping: CrmMapping) -> dict[str, TableShape]:
    """Return the shape of every mapped object.

    Raises
    ------
    SchemaMismatchError
        Names every missing table and column at once, and what is there instead.
    """
    shapes: dict[str, TableShape] = {}
    missing: list[str] = []
    try:
        inspector = inspect(engine)
        names: dict[str | None, set[str]] = {None: set(inspector.get_table_names()) | set(inspector.get_view_names())}
        for name, entry in mapping.objects.items():
            schema, source = _split(entry.source, names[None])
            if schema is not None and schema not in names:
                names[schema] = set(inspector.get_table_names(schema)) | set(inspector.get_view_names(schema))
            if source not in names[schema]:
                missing.append(f"{entry.source} (table)")
                continue
            found = inspector.get_columns(source, schema=schema)
            if len(entry.key_columns) > 1 and entry.key not in {c["name"] for c in found}:
                raise SchemaMismatchError(
                    N_("{object}: a key of several columns ({column}) can be read from files, not from a database."),
                    next_step=N_("Make a view with one column that joins them, and map the view."),
                    object=name,
                    column=entry.key,
                )
            columns = tuple(str(c["name"]) for c in found)
            absent = [c for c in _named_columns(entry) if c not in columns]
            missing += [f"{entry.source}.{c}" for c in absent]
            if absent:
                continue
            clause = table(source, *(column(c) for c in columns), schema=schema)
            unique = _is_unique(inspector, source, schema, entry.key)
            shapes[name] = TableShape(
                entry, engine.dialect.name, clause, columns, {str(c["name"]): c["type"] for c in found}, unique
            )
    except SQLAlchemyError as error:
        raise crm_error(error, engine) from None
    if missing:
        raise SchemaMismatchError(
            N_("{where} lacks what the mapping names: {missing}. It has the tables: {known}."),
            next_step=N_("Mend the mapping, or propose a new one with: steward connectors map --from URL."),
            where=place_of(engine),
            missing=", ".join(missing),
            known=", ".join(sorted(names[None])) or "-",
        )
    return shapes


def _split(source: str, known: set[str]) -> tuple[str | None, str]:
    """Return schema and table; a dot is part of the name where such a table exists."""
    if source in known or "." not in source:
        return None, source
    schema, _, name = source.partition(".")
    return schema, name


def _named_columns(entry: ObjectMapping) -> list[str]:
    """Return every column the mapping names for an object."""
    names: list[str | None] = [
        entry.key,
        *entry.label,
        *entry.parents,
        entry.created,
        entry.modified,
        entry.version,
        entry.owner,
    ]
    names += [entry.event, entry.amount, *entry.dates, *(entry.writable or ())]
    names += [rule.column for rule in (entry.open_when, entry.active_when, entry.begun_by_person) if rule is not None]
    if entry.soft_delete is not None:
        names += [entry.soft_delete.column, entry.soft_delete.at, entry.soft_delete.by]
    return list(dict.fromkeys(n for n in names if n is not None))


def _is_unique(inspector: Inspector, source: str, schema: str | None, key: str) -> bool:
    if inspector.get_pk_constraint(source, schema=schema).get("constrained_columns") == [key]:
        return True
    unique: list[list[str | None]] = [[*u["column_names"]] for u in inspector.get_unique_constraints(source, schema=schema)]
    unique += [i["column_names"] for i in inspector.get_indexes(source, schema=schema) if i.get("unique") and not _partial(i)]
    return [key] in unique


def _partial(index: object) -> bool:
    options = index.get("dialect_options", {}) if isinstance(index, dict) else {}
    return any(name.endswith("_where") for name in options)


# ---------------------------------------------------------------------------------------------- values


def _scalar(value: object) -> Scalar:
    if value is None or isinstance(value, _PLAIN):
        return value
    if isinstance(value, memoryview):
        return bytes(value)
    return str(value)  # network addresses, ranges and the like: their text


def _id(value: object) -> str:
    text = canonical_text(_scalar(value))
    assert text is not None
    return text


def _record(shape: TableShape, row: Sequence[object]) -> Record:
    fields = {name: _scalar(value) for name, value in zip(shape.columns, row, strict=True)}
    entry = shape.mapping
    mark = entry.soft_delete
    deleted = mark is not None and is_deleted(mark, fields[mark.column])
    by = canonical_text(fields[mark.by]) if deleted and mark is not None and mark.by else None
    version = canonical_text(fields[entry.version]) if entry.version else None
    return Record(RecordKey(entry.name, _id(fields[entry.key])), fields, version=version, deleted=deleted, deleted_by=by)


def is_deleted(mark: SoftDelete, value: Scalar) -> bool:
    """Return whether a row with ``value`` in the soft-delete column counts as deleted."""
    text = canonical_text(value)
    if mark.deleted is None:
        return text is not None and not _same(text, mark.live, value)
    return _same(text, mark.deleted, value)


def _same(text: str | None, said: str | None, value: Scalar) -> bool:
    if isinstance(value, bool) and said is not None:
        return said.lower() in (_TRUE if value else _FALSE)
    return text == said


def _live(shape: TableShape) -> ColumnElement[bool]:
    """Return the condition under which a row is live, the same as ``not is_deleted``."""
    mark = shape.mapping.soft_delete
    if mark is None:
        return literal(1) == literal(1)
    col = shape.col(mark.column)

    def equals(said: str) -> ColumnElement[bool]:
        natives = _natives(shape, mark.column, said)
        return _is_in(shape, mark.column, natives) if natives else literal(1) == literal(0)

    if mark.deleted is not None:
        return or_(col.is_(null()), not_(equals(mark.deleted)))
    return col.is_(null()) if mark.live is None else or_(col.is_(null()), equals(mark.live))


def _natives(shape: TableShape, name: str, text: str) -> list[object]:
    """Return the values a column may hold whose text form is ``text``; none where no stored value can have it.

    SQLite stores what it is given whatever the column says, so every storage class is asked for there.
    """
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair: no database stores that as text
        return []
    if shape.dialect == "sqlite":
        return [text, *_storage_classes(text)]
    kind = shape.types[name]
    try:
        if isinstance(kind, sqltypes.Boolean):
            return [True] if text.lower() in _TRUE else [False] if text.lower() in _FALSE else []
        if isinstance(kind, sqltypes.Integer):
            number = int(text)
            return [number] if str(number) == text and -(2**63) <= number < 2**63 else []
        if isinstance(kind, sqltypes.Uuid):
            return [uuid.UUID(text)] if str(uuid.UUID(text)) == text else []
        if isinstance(kind, sqltypes.Float):
            return [float(text)]
        if isinstance(kind, sqltypes.Numeric):
            number_ = Decimal(text)
            return [number_] if number_.is_finite() else []
        if isinstance(kind, sqltypes.LargeBinary):
            return [bytes.fromhex(text.removeprefix("\\x"))]
    except (ValueError, InvalidOperation):
        return []
    return [] if "\x00" in text else [text]  # PostgreSQL text cannot hold NUL


def _storage_classes(text: str) -> Iterator[object]:
    """Yield the numbers and bytes whose text form is ``text``."""
    try:
        number = int(text)
        if str(number) == text and -(2**63) <= number < 2**63:
            yield number
    except ValueError:
        pass
    try:
        real = float(text)
        if repr(real) == text:
            yield real
    except ValueError:
        pass
    if text.startswith("\\x"):
        with suppress(ValueError):
            yield bytes.fromhex(text[2:])


def _bind_type(shape: TableShape, name: str) -> sqltypes.TypeEngine[Any]:
    """Return the type to bind with; SQLite binds what it is given."""
    kind = shape.types[name]
    return kind if isinstance(kind, (sqltypes.Uuid, sqltypes.Boolean, sqltypes.Integer)) else sqltypes.NullType()


def _is_in(shape: TableShape, name: str, natives: Sequence[object]) -> ColumnElement[bool]:
    kind = _bind_type(shape, name)
    return and_(shape.col(name).in_([literal(n, type_=kind) for n in natives]))


def _in_transaction(connection: Connection) -> bool:
    return bool(getattr(connection.connection.dbapi_connection, "in_transaction", False))


def _chunks(items: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]
