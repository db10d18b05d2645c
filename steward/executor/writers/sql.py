"""Changes a CRM in SQL (SQLite, PostgreSQL): each batch is one transaction with its ledger rows, so exactly once.

Every row is locked and compared with the backed-up one before it is changed, and read back before the commit; what a
trigger or a foreign key did beyond that (a cascade, a silently nulled parent) is seen there and the unit is rolled back.
A commit whose answer was lost is decided by reading ``steward_ledger``. Columns outside the mapping are rows' parts too:
whole rows are compared, backed up and brought back.

Left to others: what to change (``judge``, ``restore``), when (``engine``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    Table,
    Text,
    and_,
    column,
    delete,
    insert,
    inspect,
    literal,
    select,
    table,
    text,
    types,
    update,
)
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from steward.crm.base import Capabilities
from steward.crm.mapping import Mapping as CrmMapping
from steward.crm.sql import SqlReader, TableShape, reflect
from steward.crm.sql_engine import crm_error, open_engine
from steward.errors import DeniedError, OutcomeUnknownError, SchemaMismatchError
from steward.executor.ports import Answer, Effect, Hook, Reading, Result, Settled, Unit, Work, no_hook
from steward.messages import N_
from steward.records import Absent, Link, Record, RecordKey, Scalar, canonical_text

LEDGER = "steward_ledger"
_LOCK = 0x5354_4557_4152_44  # "STEWARD": one executor per database
_CHUNK = 200

_metadata = MetaData()
_ledger = Table(
    LEDGER,
    _metadata,
    Column("manifest", Text, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("object", Text, nullable=False),
    Column("record", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("at", Text, nullable=False),
)


class _Refused(Exception):
    """A unit must not be applied; its transaction is rolled back."""

    def __init__(self, unit: Unit, answer: Answer, code: str) -> None:
        super().__init__(code)
        self.unit, self.answer, self.code = unit, answer, code


class SqlLook:
    """The reading half: what plan needs, over a connection that the database itself keeps from writing.

    Parameters
    ----------
    url : str
        Of the database; SELECT on the mapped tables suffices.
    mapping : Mapping
    """

    def __init__(self, url: str, mapping: CrmMapping) -> None:
        self.mapping = mapping
        self._reader = SqlReader(url, mapping)
        self.capabilities: Capabilities = self._reader.capabilities
        self._looking, self._looking_ours = open_engine(url)
        self._shapes: Mapping[str, TableShape] = {}
        try:
            self._shapes = reflect(self._looking, mapping)
        except BaseException:
            self.close()
            raise

    def read(self, keys: Sequence[RecordKey], *, links_of: Sequence[RecordKey] = ()) -> Reading:
        """Return whole rows of ``keys`` and of every record that refers to ``links_of``, deleted ones among them."""
        links: dict[RecordKey, list[Link]] = {}
        hidden: dict[RecordKey, list[Link]] = {}
        found: list[Link] = []
        for object, ids in _by_object(links_of).items():
            found += self._reader.children(object, ids, deleted_too=True)
        records: dict[RecordKey, Record | Absent] = {}
        for object, ids in _by_object([*keys, *(link.child for link in found)]).items():
            for record in self._reader.fetch(object, ids).values():
                records[record.key] = record
        for link in found:
            child = records.get(link.child)
            into = hidden if isinstance(child, Record) and child.deleted else links
            into.setdefault(link.parent, []).append(link)
        return Reading(records, links, hidden)

    def count(self, object: str) -> int:
        """Return the number of live records."""
        return self._reader.count(object)

    def value_for(self, object: str, field: str, text: str | None, now: datetime) -> Scalar:
        """Return ``text`` as the type of the column; None means ``now``, in the form of the mapping or as ISO 8601."""
        kind = self._shapes[object].types[field]
        if text is None:
            moment = now.astimezone(UTC).replace(microsecond=0)
            if self._looking.dialect.name != "sqlite":
                if isinstance(kind, types.DateTime):
                    return moment if kind.timezone else moment.replace(tzinfo=None)
                if isinstance(kind, types.Date):
                    return moment.date()
            form = self.mapping.objects[object].dates.get(field, "%Y-%m-%dT%H:%M:%SZ")
            return moment.strftime(form)
        if isinstance(kind, types.Boolean) and self._looking.dialect.name != "sqlite":
            return text.lower() in ("1", "true", "t", "yes", "y")
        if isinstance(kind, types.Integer | types.Boolean):
            with contextlib.suppress(ValueError):
                return int(text)
        return text

    def close(self) -> None:
        """Release connections."""
        self._reader.close()
        if self._looking_ours:
            self._looking.dispose()


class SqlWriter(SqlLook):
    """Implements :class:`steward.executor.ports.Writer` for SQL.

    Parameters
    ----------
    url : str
        Of the database; the user needs SELECT, UPDATE, DELETE and INSERT on mapped tables and on ``steward_ledger``.
    mapping : Mapping

    Raises
    ------
    DeniedError
        The ledger can neither be found nor made: without it there is no exactly-once, so nothing is written.
    """

    def __init__(self, url: str, mapping: CrmMapping, *, hook: Hook = no_hook) -> None:
        super().__init__(url, mapping)
        self._hook = hook
        self._engine, self._ours = open_engine(url, write=True)
        try:
            self._foreign = _foreign_keys(self._engine, mapping)
            self._prepare()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        try:
            if not inspect(self._engine).has_table(LEDGER):
                with self._begin() as connection:
                    _metadata.create_all(connection)
        except SQLAlchemyError as error:
            mapped = crm_error(error, self._engine)
            if isinstance(mapped, DeniedError):
                raise DeniedError(
                    N_("The table {table} cannot be made, and without it nothing is written exactly once."),
                    next_step=N_("Have the database's owner make it: docs/how-to/run-the-executor.md has the words."),
                    table=LEDGER,
                ) from None
            raise mapped from None

    @contextlib.contextmanager
    def _begin(self) -> Iterator[Connection]:
        """One transaction. SQLite takes its write lock at once; PostgreSQL an advisory lock that a dead client's
        unfinished commit still holds, so that the ledger is read after it and not before."""
        with self._engine.connect() as connection:
            if self._engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.exec_driver_sql("ROLLBACK")
                    raise
                connection.exec_driver_sql("COMMIT")
            else:
                with connection.begin():
                    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
                    yield connection

    # writing ----------------------------------------------------------------------------------------------------

    def apply(self, units: Sequence[Unit], *, manifest: str, attempt: int) -> Mapping[int, Result]:
        """Apply units in one transaction with their ledger rows; what must not be applied is left out and named."""
        refused: dict[int, Result] = {}
        left = list(units)
        while left:
            try:
                done = self._transaction(left, manifest)
            except _Refused as stop:
                left.remove(stop.unit)
                refused |= {w.seq: Result(stop.answer, stop.code) for w in stop.unit.works}
                continue
            return refused | done
        return refused

    def _transaction(self, units: Sequence[Unit], manifest: str) -> dict[int, Result]:
        sent = False
        current: Unit = units[0]
        try:
            with self._begin() as connection:
                already = self._already(connection, manifest, [w.seq for u in units for w in u.works])
                fresh = [u for u in units if not all(w.seq in already for w in u.works)]
                self._compare(connection, fresh)
                for current in fresh:
                    for effect in current.effects:
                        self._change(connection, current, effect)
                self._read_back(connection, fresh)
                at = datetime.now(UTC).isoformat()
                rows = [
                    {"manifest": manifest, "seq": w.seq, "object": w.object, "record": w.id, "action": w.action, "at": at}
                    for u in fresh
                    for w in u.works
                ]
                self._hook("sql.ledger")
                if rows:
                    into = postgres_insert if self._engine.dialect.name == "postgresql" else sqlite_insert
                    connection.execute(into(_ledger).on_conflict_do_nothing(), rows)
                self._hook("sql.commit")
                sent = True
            self._hook("sql.committed")
        except IntegrityError:
            raise _Refused(current, Answer.REFUSED, "foreign_key") from None
        except (SQLAlchemyError, OSError) as error:
            if sent or (isinstance(error, DBAPIError) and error.connection_invalidated):
                raise OutcomeUnknownError(N_("The database did not say whether the batch was committed.")) from None
            mapped = crm_error(error, self._engine)
            if isinstance(mapped, DeniedError | SchemaMismatchError):
                raise _Refused(current, Answer.REFUSED, "denied") from None
            raise mapped from None
        return {w.seq: Result(Answer.DONE, "ledger" if w.seq in already else "") for u in units for w in u.works}

    def _already(self, connection: Connection, manifest: str, seqs: Sequence[int]) -> set[int]:
        found: set[int] = set()
        for start in range(0, len(seqs), _CHUNK):
            part = seqs[start : start + _CHUNK]
            found |= set(
                connection.scalars(select(_ledger.c.seq).where(_ledger.c.manifest == manifest, _ledger.c.seq.in_(part)))
            )
        return found

    def _rows(self, connection: Connection, keys: Sequence[RecordKey], *, lock: bool) -> dict[RecordKey, dict[str, Scalar]]:
        found: dict[RecordKey, dict[str, Scalar]] = {}
        for object, ids in _by_object(keys).items():
            shape = self._shapes[object]
            names, place = shape.columns, shape.columns.index(shape.mapping.key)
            for start in range(0, len(ids), _CHUNK):
                wanted = [
                    literal(self._id(shape, i), type_=_bind(shape, shape.mapping.key)) for i in ids[start : start + _CHUNK]
                ]
                query = select(*(shape.col(n) for n in names)).where(shape.col(shape.mapping.key).in_(wanted))
                if lock and self._engine.dialect.name == "postgresql":
                    query = query.with_for_update()
                for raw in connection.execute(query):
                    row: list[Any] = list(raw)
                    id = canonical_text(row[place])
                    if id is not None:
                        found[RecordKey(object, id)] = dict(zip(names, row, strict=True))
        return found

    def _compare(self, connection: Connection, units: Sequence[Unit]) -> None:
        """Lock every row and compare it, whole, with the one in the backup."""
        now = self._rows(connection, [e.before.key for u in units for e in u.effects], lock=True)
        for unit in units:
            for effect in unit.effects:
                row = now.get(effect.before.key)
                if effect.op == "insert":
                    if row is not None:
                        raise _Refused(unit, Answer.CHANGED, "exists")
                elif row is None:
                    raise _Refused(unit, Answer.ABSENT if effect.role == "item" else Answer.CHANGED, "absent")
                elif not _same(row, effect.before.fields):
                    raise _Refused(unit, Answer.CHANGED, "changed")

    def _change(self, connection: Connection, unit: Unit, effect: Effect) -> None:
        shape = self._shapes[effect.before.key.object]
        target = shape.source
        where = shape.col(shape.mapping.key) == literal(
            self._key_of(shape, effect.before), type_=_bind(shape, shape.mapping.key)
        )
        match effect.op:
            case "update":
                values = {name: literal(value, type_=_bind(shape, name, value)) for name, value in effect.changes.items()}
                changed = connection.execute(update(target).where(where).values(values)).rowcount
            case "delete":
                self._check_foreign(connection, unit, effect)
                changed = connection.execute(delete(target).where(where)).rowcount
            case "insert":
                row = {name: literal(value, type_=_bind(shape, name, value)) for name, value in effect.after().items()}
                connection.execute(insert(target).values(row))
                changed = 1  # drivers do not all count inserts; the row is read back
            case _:
                raise _Refused(unit, Answer.REFUSED, "no_recycle_bin")
        if changed != 1:
            raise _Refused(unit, Answer.CHANGED, "changed")

    def _check_foreign(self, connection: Connection, unit: Unit, effect: Effect) -> None:
        """Tables outside the mapping that refer to the row would be cascaded or nulled, and nobody has a backup of them."""
        for child, names, parents in self._foreign.get(effect.before.key.object, ()):
            values = [effect.before.fields.get(p) for p in parents]
            match = and_(*(child.c[n] == literal(v) for n, v in zip(names, values, strict=True)))
            if connection.execute(select(literal(1)).select_from(child).where(match).limit(1)).first():
                raise _Refused(unit, Answer.REFUSED, "unmapped_children")

    def _read_back(self, connection: Connection, units: Sequence[Unit]) -> None:
        """Every row must be exactly what was meant, and nothing may refer to what is gone."""
        now = self._rows(connection, [e.before.key for u in units for e in u.effects], lock=False)
        for unit in units:
            for effect in unit.effects:
                row = now.get(effect.before.key)
                if (row is None) != (effect.op == "delete"):
                    raise _Refused(unit, Answer.REFUSED, "side_effect")
                if row is not None and not _same(row, effect.after(), self._moving(effect.before.key.object)):
                    raise _Refused(unit, Answer.REFUSED, "side_effect")
        self._check_free(connection, units)

    def _moving(self, object: str) -> frozenset[str]:
        """Columns that a trigger may set by itself at any change."""
        entry = self.mapping.objects[object]
        return frozenset(n for n in (entry.version, entry.modified) if n)

    def _check_free(self, connection: Connection, units: Sequence[Unit]) -> None:
        owner = {key: unit for unit in units for key in unit.expect_free}
        for object, ids in _by_object(list(owner)).items():
            for child, name in self.mapping.children_of(object):
                shape = self._shapes[child.name]
                for start in range(0, len(ids), _CHUNK):
                    parent = self._shapes[object]
                    wanted = [literal(self._id(parent, i), type_=_bind(shape, name)) for i in ids[start : start + _CHUNK]]
                    query = select(shape.col(child.key), shape.col(name)).where(shape.col(name).in_(wanted))
                    suspects = [
                        (RecordKey(child.name, _text(k) or ""), RecordKey(object, _text(p) or ""))
                        for k, p in connection.execute(query)
                    ]
                    self._judge_suspects(connection, suspects, owner)

    def _judge_suspects(
        self, connection: Connection, suspects: Sequence[tuple[RecordKey, RecordKey]], owner: Mapping[RecordKey, Unit]
    ) -> None:
        """A live reference to what is gone is a child made in the last moment; a deleted child's is none."""
        suspects = [(c, p) for c, p in suspects if c != p]
        if not suspects:
            return
        rows = self._rows(connection, [c for c, _ in suspects], lock=False)
        for child, parent in suspects:
            mark = self.mapping.objects[child.object].soft_delete
            row = rows.get(child)
            if row is None or (mark is not None and _is_deleted(mark.column, mark.deleted, mark.live, row)):
                continue
            raise _Refused(owner[parent], Answer.CHANGED, "children_changed")

    def _id(self, shape: TableShape, id: str) -> object:
        """Return an id as the key's own type."""
        kind = shape.types[shape.mapping.key]
        if isinstance(kind, types.Integer):
            with contextlib.suppress(ValueError):
                return int(id)
        if isinstance(kind, types.Uuid):
            import uuid

            with contextlib.suppress(ValueError):
                return uuid.UUID(id)
        return id

    @staticmethod
    def _key_of(shape: TableShape, before: Record) -> object:
        return before.fields[shape.mapping.key]

    # settling ---------------------------------------------------------------------------------------------------

    def settle(self, works: Sequence[Work], *, manifest: str) -> Mapping[int, Settled]:
        """Read the ledger: a row means done, none means not done. Both are certain."""
        try:
            with self._begin() as connection:
                done = self._already(connection, manifest, [w.seq for w in works])
        except (SQLAlchemyError, OSError) as error:
            raise crm_error(error, self._engine) from None
        return {w.seq: Settled("done", inferred=False) if w.seq in done else Settled("again") for w in works}

    def put_back(self, work: Work, *, manifest: str) -> bool:
        """Never needed: the change was conditional."""
        return False

    def close(self) -> None:
        """Release connections."""
        super().close()
        if self._ours:
            self._engine.dispose()


def _by_object(keys: Sequence[RecordKey]) -> dict[str, list[str]]:
    grouped: dict[str, dict[str, None]] = {}
    for key in keys:
        grouped.setdefault(key.object, {})[key.id] = None
    return {object: list(ids) for object, ids in grouped.items()}


def _same(row: Mapping[str, Any], fields: Mapping[str, Scalar], except_for: frozenset[str] = frozenset()) -> bool:
    if row.keys() != fields.keys():
        return False
    return all(_text(row[n]) == _text(fields[n]) for n in fields if n not in except_for)


def _text(value: Any) -> str | None:
    if isinstance(value, memoryview):
        value = bytes(value)
    try:
        return canonical_text(value)
    except TypeError:
        return str(value)


def _is_deleted(column: str, deleted: str | None, live: str | None, row: Mapping[str, Any]) -> bool:
    from steward.crm.mapping import SoftDelete
    from steward.crm.sql import is_deleted

    return is_deleted(SoftDelete(column=column, deleted=deleted, live=live), row[column])


def _bind(shape: TableShape, name: str, value: object = "") -> types.TypeEngine[Any]:
    """Return the type to bind with: JSON and arrays need their own, text must not be cast."""
    kind = shape.types[name]
    if isinstance(value, list | dict) or isinstance(kind, types.Uuid | types.Boolean | types.Integer):
        return kind if shape.dialect != "sqlite" else types.NullType()
    return types.NullType()


def _foreign_keys(engine: Engine, mapping: CrmMapping) -> dict[str, list[tuple[Any, list[str], list[str]]]]:
    """Return, per mapped object, references of tables or columns that the mapping does not know."""
    inspector = inspect(engine)
    mapped = {(o.source, c) for o in mapping.objects.values() for c in o.parents}
    by_table = {o.source: o.name for o in mapping.objects.values()}
    found: dict[str, list[tuple[Any, list[str], list[str]]]] = {}
    for name in inspector.get_table_names():
        for key in inspector.get_foreign_keys(name):
            object = by_table.get(key["referred_table"])
            names = [str(c) for c in key["constrained_columns"]]
            parents = [str(c) for c in key["referred_columns"]] or ([mapping.objects[object].key] if object else [])
            if object is None or (len(names) == 1 and (name, names[0]) in mapped):
                continue
            found.setdefault(object, []).append((table(name, *(column(n) for n in names)), names, parents))
    return found


__all__ = ["LEDGER", "SqlWriter"]
