"""Rows, ids and values between the executor's words and SQL: how a row is found, locked, bound and compared.

Left to others: what is changed (``writers.sql``), what refers to what (``writers.sql_links``).
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, literal, select, types

from steward.crm.sql import TableShape
from steward.records import Record, RecordKey, Scalar, canonical_text

CHUNK = 200


def by_object(keys: Sequence[RecordKey]) -> dict[str, list[str]]:
    """Group ids by object, each once, in order."""
    grouped: dict[str, dict[str, None]] = {}
    for key in keys:
        grouped.setdefault(key.object, {})[key.id] = None
    return {object: list(ids) for object, ids in grouped.items()}


def id_value(shape: TableShape, id: str) -> object:
    """Return an id as the key's own type."""
    kind = shape.types[shape.mapping.key]
    if isinstance(kind, types.Integer):
        with contextlib.suppress(ValueError):
            return int(id)
    if isinstance(kind, types.Uuid):
        with contextlib.suppress(ValueError):
            return uuid.UUID(id)
    return id


def key_of(shape: TableShape, before: Record) -> object:
    """Return a row's key as the database gave it."""
    return before.fields[shape.mapping.key]


def bind_type(shape: TableShape, name: str, value: object = "") -> types.TypeEngine[Any]:
    """Return the type to bind with: JSON and arrays need their own, text must not be cast."""
    kind = shape.types[name]
    if isinstance(value, list | dict) or isinstance(kind, types.Uuid | types.Boolean | types.Integer):
        return kind if shape.dialect != "sqlite" else types.NullType()
    return types.NullType()


def text_of(value: Any) -> str | None:
    """Return the canonical text of whatever a driver gives."""
    if isinstance(value, memoryview):
        value = bytes(value)
    try:
        return canonical_text(value)
    except TypeError:
        return str(value)


def same(row: Mapping[str, Any], fields: Mapping[str, Scalar], except_for: frozenset[str] = frozenset()) -> bool:
    """True where a row holds exactly these fields."""
    if row.keys() != fields.keys():
        return False
    return all(text_of(row[n]) == text_of(fields[n]) for n in fields if n not in except_for)


def fetch_rows(
    connection: Connection, shapes: Mapping[str, TableShape], keys: Sequence[RecordKey], *, lock: bool
) -> dict[RecordKey, dict[str, Scalar]]:
    """Return whole rows by key, locked against others where asked and where the database can; absent ones are left out."""
    found: dict[RecordKey, dict[str, Scalar]] = {}
    for object, ids in by_object(keys).items():
        shape = shapes[object]
        names, place = shape.columns, shape.columns.index(shape.mapping.key)
        for start in range(0, len(ids), CHUNK):
            wanted = [
                literal(id_value(shape, i), type_=bind_type(shape, shape.mapping.key)) for i in ids[start : start + CHUNK]
            ]
            query = select(*(shape.col(n) for n in names)).where(shape.col(shape.mapping.key).in_(wanted))
            if lock and shape.dialect == "postgresql":
                # In the order of their keys, so that two of us, or a person's transaction, never wait for each other.
                query = query.order_by(shape.col(shape.mapping.key)).with_for_update()
            for raw in connection.execute(query):
                row: list[Any] = list(raw)
                id = canonical_text(row[place])
                if id is not None:
                    found[RecordKey(object, id)] = dict(zip(names, row, strict=True))
    return found


__all__ = ["CHUNK", "bind_type", "by_object", "fetch_rows", "id_value", "key_of", "same", "text_of"]
