"""Bringing a row back whole: columns that the database computes, ids that it gives, ids that it would not take.

A computed column is left out and comes back by itself. An id of ``GENERATED ALWAYS`` is written all the same
(``OVERRIDING SYSTEM VALUE``): it is the record's own. A new id is taken from the database where one is wanted. Left to
others: whether one is wanted (``steward.executor.restore``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, bindparam, insert, inspect, literal, text, types
from sqlalchemy.engine.reflection import Inspector

from steward.crm.sql import TableShape
from steward.executor.ports import Effect
from steward.executor.writers.sql_rows import bind_type, text_of


@dataclass(frozen=True, slots=True)
class _Table:
    computed: frozenset[str]
    always: bool
    gives: bool


class Inserter:
    """Inserts rows of mapped tables."""

    def __init__(self, engine: Engine, shapes: Mapping[str, TableShape]) -> None:
        self._engine, self._shapes = engine, shapes
        self._tables: dict[str, _Table] = {}

    def _table(self, object: str) -> _Table:
        found = self._tables.get(object)
        if found is None:
            shape = self._shapes[object]
            found = _look(inspect(self._engine), shape)
            self._tables[object] = found
        return found

    def gives_ids(self, object: str) -> bool:
        """True where a row without an id gets one."""
        return self._table(object).gives

    def __call__(self, connection: Connection, effect: Effect) -> str | None:
        """Insert the row as it was, changed as the effect says; return its id where it is a new one."""
        shape, known = self._shapes[effect.before.key.object], self._table(effect.before.key.object)
        key = shape.mapping.key
        row = {n: v for n, v in effect.after().items() if n not in known.computed and not (effect.renumber and n == key)}
        if known.always and not effect.renumber:
            self._overriding(connection, shape, row)
            return None
        values = {name: literal(value, type_=bind_type(shape, name, value)) for name, value in row.items()}
        statement = insert(shape.source).values(values)
        if not effect.renumber:
            connection.execute(statement)
            return None
        return text_of(connection.execute(statement.returning(shape.col(key))).scalar_one())

    def _overriding(self, connection: Connection, shape: TableShape, row: Mapping[str, object]) -> None:
        quote = self._engine.dialect.identifier_preparer.quote
        names = ", ".join(quote(n).replace(":", "\\:") for n in row)
        marks = ", ".join(f":v{n}" for n in range(len(row)))
        place = self._engine.dialect.identifier_preparer.format_table(shape.source)
        statement = text(f"INSERT INTO {place} ({names}) OVERRIDING SYSTEM VALUE VALUES ({marks})")  # noqa: S608  quoted by the dialect
        bound = [bindparam(f"v{n}", value, type_=bind_type(shape, name, value)) for n, (name, value) in enumerate(row.items())]
        connection.execute(statement.bindparams(*bound))


def _look(inspector: Inspector, shape: TableShape) -> _Table:
    columns = inspector.get_columns(shape.source.name, schema=shape.source.schema)
    key = next(c for c in columns if c["name"] == shape.mapping.key)
    computed = frozenset(str(c["name"]) for c in columns if c.get("computed"))
    identity: Mapping[str, object] = {**(key.get("identity") or {})}
    primary = inspector.get_pk_constraint(shape.source.name, schema=shape.source.schema).get("constrained_columns")
    rowid = shape.dialect == "sqlite" and primary == [shape.mapping.key] and isinstance(key["type"], types.INTEGER)
    gives = rowid or bool(identity) or (shape.dialect == "postgresql" and key.get("default") is not None)
    return _Table(computed, bool(identity.get("always")), gives)


__all__ = ["Inserter"]
