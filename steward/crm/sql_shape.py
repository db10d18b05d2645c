"""The shape of mapped tables, and how stored values, ids and marks meet their text forms.

Reflection finds what the mapping names, or says all that is missing at once. Ids come as text; :func:`natives` gives the
values that a column may hold for such a text, so that a question never misses a row for its type. Left to others:
asking (``steward.crm.sql``), opening (``steward.crm.sql_engine``).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import ColumnElement, Engine, column, inspect, literal, not_, null, or_, table
from sqlalchemy import types as sqltypes
from sqlalchemy.engine.reflection import Inspector
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql.expression import TableClause

from steward.crm.mapping import Mapping as CrmMapping
from steward.crm.mapping import ObjectMapping, SoftDelete
from steward.crm.sql_engine import crm_error, place_of
from steward.errors import SchemaMismatchError
from steward.messages import N_
from steward.records import Record, RecordKey, Scalar, canonical_text

_PLAIN = (str, int, float, bool, Decimal, bytes, datetime, date, time, timedelta, uuid.UUID, list, dict)
_TRUE, _FALSE = ("1", "true", "t", "yes", "y"), ("0", "false", "f", "no", "n")


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
            absent = [c for c in named_columns(entry) if c not in columns]
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


def named_columns(entry: ObjectMapping) -> list[str]:
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
    names += [entry.event, entry.amount, *entry.dates, *entry.must_be_there]
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


def scalar(value: object) -> Scalar:
    """Return a driver's value as one of ours; what we have no type for becomes its text."""
    if value is None or isinstance(value, _PLAIN):
        return value
    if isinstance(value, memoryview):
        return bytes(value)
    return str(value)  # network addresses, ranges and the like: their text


def id_of(value: object) -> str:
    """Return the id that a key or reference column's value is."""
    text = canonical_text(scalar(value))
    assert text is not None
    return text


def record_of(shape: TableShape, row: Sequence[object]) -> Record:
    """Return a row, columns in the order of ``shape.columns``, as a record."""
    fields = {name: scalar(value) for name, value in zip(shape.columns, row, strict=True)}
    entry = shape.mapping
    mark = entry.soft_delete
    deleted = mark is not None and is_deleted(mark, fields[mark.column])
    by = canonical_text(fields[mark.by]) if deleted and mark is not None and mark.by else None
    version = canonical_text(fields[entry.version]) if entry.version else None
    return Record(RecordKey(entry.name, id_of(fields[entry.key])), fields, version=version, deleted=deleted, deleted_by=by)


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


def live(shape: TableShape) -> ColumnElement[bool]:
    """Return the condition under which a row is live, the same as ``not is_deleted``."""
    mark = shape.mapping.soft_delete
    if mark is None:
        return literal(1) == literal(1)
    col = shape.col(mark.column)

    def equals(said: str) -> ColumnElement[bool]:
        held = natives(shape, mark.column, said)
        return is_in(shape, mark.column, held) if held else literal(1) == literal(0)

    if mark.deleted is not None:
        return or_(col.is_(null()), not_(equals(mark.deleted)))
    return col.is_(null()) if mark.live is None else or_(col.is_(null()), equals(mark.live))


def natives(shape: TableShape, name: str, text: str) -> list[object]:
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


def bind_type(shape: TableShape, name: str) -> sqltypes.TypeEngine[Any]:
    """Return the type to bind with; SQLite binds what it is given."""
    kind = shape.types[name]
    return kind if isinstance(kind, (sqltypes.Uuid, sqltypes.Boolean, sqltypes.Integer)) else sqltypes.NullType()


def is_in(shape: TableShape, name: str, values: Sequence[object]) -> ColumnElement[bool]:
    """Return the condition that a column holds one of ``values``."""
    kind = bind_type(shape, name)
    return shape.col(name).in_([literal(n, type_=kind) for n in values])
