"""Changes a CRM in SQL (SQLite, PostgreSQL): each batch is one transaction with its ledger rows, so exactly once.

Every row is locked and compared with the backed-up one before it is changed, and read back before the commit; what a
trigger or a foreign key did beyond that (a cascade, a silently nulled parent) is seen there and the unit is rolled back.
A commit whose answer was lost is decided by reading ``steward_ledger``. Columns outside the mapping are rows' parts too:
whole rows are compared, backed up and brought back.

Left to others: reading (``sql_look``), references (``sql_links``), ids that change (``sql_ids``), columns that the
database fills (``sql_insert``), what to change (``judge``, ``restore``), when (``engine``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    Table,
    Text,
    delete,
    inspect,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from steward.crm.mapping import Mapping as CrmMapping
from steward.crm.sql_engine import crm_error, open_engine
from steward.errors import DeniedError, OutcomeUnknownError, SchemaMismatchError
from steward.executor.ports import Answer, Effect, Hook, Result, Settled, Unit, Work, no_hook
from steward.executor.writers.sql_ids import IdTable
from steward.executor.writers.sql_insert import Inserter
from steward.executor.writers.sql_links import ForeignTables, LinkCheck, Refused
from steward.executor.writers.sql_lock import DatabaseLock
from steward.executor.writers.sql_look import SqlLook
from steward.executor.writers.sql_rows import CHUNK, bind_type, fetch_rows, key_of, same, text_of
from steward.messages import N_
from steward.records import RecordKey

LEDGER = "steward_ledger"
_LOCK = 0x5354_4557_4152_44  # "STEWARD": one transaction of ours at a time

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
    ExecutionError
        Another executor is at work in this database.
    """

    def __init__(self, url: str, mapping: CrmMapping, *, hook: Hook = no_hook) -> None:
        self._alone, self._ours = DatabaseLock(), False  # close() asks for them, whatever fails below
        super().__init__(url, mapping)
        self._hook = hook
        self._engine, self._ours = open_engine(url, write=True)
        try:
            self._alone.take(self._engine)
            self._foreign = ForeignTables(self._engine, mapping)
            self._prepare()
            self._ids = IdTable(self._engine)
            self._insert = Inserter(self._engine, self.shapes)
        except SQLAlchemyError as error:
            self.close()
            raise crm_error(error, self._engine) from None
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

    def can_renumber(self, object: str) -> bool:
        """True where the database gives ids by itself and the new one can be told for certain."""
        return self._ids.there and self._insert.gives_ids(object)

    def apply(self, units: Sequence[Unit], *, manifest: str, attempt: int) -> Mapping[int, Result]:
        """Apply units in one transaction with their ledger rows; what must not be applied is left out and named."""
        refused: dict[int, Result] = {}
        left = list(units)
        while left:
            try:
                done = self._transaction(left, manifest)
            except Refused as stop:
                left.remove(stop.unit)
                refused |= {w.seq: Result(stop.answer, stop.code) for w in stop.unit.works}
                continue
            return refused | done
        return refused

    def _transaction(self, units: Sequence[Unit], manifest: str) -> dict[int, Result]:
        sent = False
        current: Unit = units[0]
        became: dict[int, str] = {}
        renamed: dict[RecordKey, str] = {}
        try:
            with self._begin() as connection:
                already = self._already(connection, manifest, [w.seq for u in units for w in u.works])
                became |= self._ids.became(connection, manifest, sorted(already))
                fresh = [u for u in units if not all(w.seq in already for w in u.works)]
                self._compare(connection, fresh)
                links = LinkCheck(self.mapping, self.shapes, fresh)
                links.before(connection)
                made: list[tuple[Unit, Effect]] = []
                for current in fresh:
                    for meant in current.effects:
                        effect = self._led(meant, renamed)
                        made.append((current, effect))
                        new_id = self._change(connection, current, effect)
                        if new_id is not None:
                            became[effect.seq] = renamed[effect.before.key] = new_id
                self._read_back(connection, made, became)
                links.after(connection)
                self._hook("sql.ledger")
                self._note(connection, fresh, manifest, became)
                self._hook("sql.commit")
                sent = True
            self._hook("sql.committed")
        except IntegrityError:
            raise Refused(current, Answer.REFUSED, "foreign_key") from None
        except (SQLAlchemyError, OSError) as error:
            if sent or (isinstance(error, DBAPIError) and error.connection_invalidated):
                raise OutcomeUnknownError(N_("The database did not say whether the batch was committed.")) from None
            mapped = crm_error(error, self._engine)
            if isinstance(mapped, DeniedError | SchemaMismatchError):
                raise Refused(current, Answer.REFUSED, "denied") from None
            raise mapped from None
        return {
            w.seq: Result(Answer.DONE, "ledger" if w.seq in already else "", became=became.get(w.seq))
            for u in units
            for w in u.works
        }

    def _led(self, effect: Effect, renamed: Mapping[RecordKey, str]) -> Effect:
        """Lead a reference to a record that got a new id in this transaction to that id."""
        if not renamed:
            return effect
        object = effect.before.key.object
        changes = dict(effect.changes)
        for name, parent in self.mapping.objects[object].parents.items():
            new = renamed.get(RecordKey(parent, text_of(effect.after().get(name)) or ""))
            if new is not None:
                changes[name] = self.value_for(object, name, new, datetime.now(UTC))
        return replace(effect, changes=changes)

    def _note(self, connection: Connection, units: Sequence[Unit], manifest: str, became: Mapping[int, str]) -> None:
        """Ledger and id map, in the same transaction as what they tell of."""
        at = datetime.now(UTC).isoformat()
        works = [w for u in units for w in u.works]
        rows = [
            {"manifest": manifest, "seq": w.seq, "object": w.object, "record": w.id, "action": w.action, "at": at}
            for w in works
        ]
        if rows:
            into = postgres_insert if self._engine.dialect.name == "postgresql" else sqlite_insert
            connection.execute(into(_ledger).on_conflict_do_nothing(), rows)
        told = [(w.seq, w.object, w.id, w.target, "merged") for w in works if w.action == "merge_into" and w.target]
        told += [(w.seq, w.object, w.id, became[w.seq], "recreated") for w in works if w.seq in became]
        told += [(w.seq, w.object, w.id, w.id, "unmerged") for w in works if w.action == "restore" and ">" in w.unit]
        self._ids.add(connection, manifest, told)

    def _already(self, connection: Connection, manifest: str, seqs: Sequence[int]) -> set[int]:
        found: set[int] = set()
        for start in range(0, len(seqs), CHUNK):
            part = seqs[start : start + CHUNK]
            found |= set(
                connection.scalars(select(_ledger.c.seq).where(_ledger.c.manifest == manifest, _ledger.c.seq.in_(part)))
            )
        return found

    def _compare(self, connection: Connection, units: Sequence[Unit]) -> None:
        """Lock every row and compare it, whole, with the one in the backup."""
        now = fetch_rows(connection, self.shapes, [e.before.key for u in units for e in u.effects], lock=True)
        for unit in units:
            for effect in unit.effects:
                row = now.get(effect.before.key)
                if effect.op == "insert":
                    if row is not None and not effect.renumber:
                        raise Refused(unit, Answer.CHANGED, "exists")
                elif row is None:
                    raise Refused(unit, Answer.ABSENT if effect.role == "item" else Answer.CHANGED, "absent")
                elif not same(row, effect.before.fields):
                    raise Refused(unit, Answer.CHANGED, "changed")

    def _change(self, connection: Connection, unit: Unit, effect: Effect) -> str | None:
        """Make one change; return the new id where the row got one."""
        shape = self.shapes[effect.before.key.object]
        target = shape.source
        key = shape.mapping.key
        match effect.op:
            case "update":
                where = shape.col(key) == literal(key_of(shape, effect.before), type_=bind_type(shape, key))
                values = {name: literal(value, type_=bind_type(shape, name, value)) for name, value in effect.changes.items()}
                changed = connection.execute(update(target).where(where).values(values)).rowcount
            case "delete":
                self._foreign.check(connection, unit, effect)
                where = shape.col(key) == literal(key_of(shape, effect.before), type_=bind_type(shape, key))
                changed = connection.execute(delete(target).where(where)).rowcount
            case "insert":
                if effect.renumber and not self.can_renumber(effect.before.key.object):
                    raise Refused(unit, Answer.REFUSED, "no_new_id")
                return self._insert(connection, effect)  # drivers do not all count inserts; the row is read back
            case _:
                raise Refused(unit, Answer.REFUSED, "no_recycle_bin")
        if changed != 1:
            raise Refused(unit, Answer.CHANGED, "changed")
        return None

    def _read_back(self, connection: Connection, made: Sequence[tuple[Unit, Effect]], became: Mapping[int, str]) -> None:
        """Every row must be exactly what was meant."""

        def key_now(effect: Effect) -> RecordKey:
            key = effect.before.key
            return RecordKey(key.object, became[effect.seq]) if effect.renumber else key

        now = fetch_rows(connection, self.shapes, [key_now(e) for _, e in made], lock=False)
        for unit, effect in made:
            row = now.get(key_now(effect))
            if (row is None) != (effect.op == "delete"):
                raise Refused(unit, Answer.REFUSED, "side_effect")
            moving = self.moving(effect.before.key.object)
            if effect.renumber:
                moving |= {self.mapping.objects[effect.before.key.object].key}
            if row is not None and not same(row, effect.after(), moving):
                raise Refused(unit, Answer.REFUSED, "side_effect")

    me = ""
    """A database does not say who deleted; the executor writes its name where the mapping has a column for it."""

    def moving(self, object: str) -> frozenset[str]:
        """Return the columns that a trigger may set by itself at any change."""
        entry = self.mapping.objects[object]
        return frozenset(n for n in (entry.version, entry.modified) if n)

    # settling ---------------------------------------------------------------------------------------------------

    def settle(self, works: Sequence[Work], *, manifest: str) -> Mapping[int, Settled]:
        """Read the ledger: a row means done, none means not done. Both are certain."""
        try:
            with self._begin() as connection:
                done = self._already(connection, manifest, [w.seq for w in works])
                became = self._ids.became(connection, manifest, sorted(done))
        except (SQLAlchemyError, OSError) as error:
            raise crm_error(error, self._engine) from None
        return {
            w.seq: Settled("done", inferred=False, became=became.get(w.seq)) if w.seq in done else Settled("again")
            for w in works
        }

    def go_on(self, units: Sequence[Unit], *, manifest: str) -> Mapping[int, Result]:
        """Never needed: a transaction is made whole or not at all."""
        return {}

    def put_back(self, work: Work, *, manifest: str) -> bool:
        """Never needed: the change was conditional."""
        return False

    def close(self) -> None:
        """Release connections and the lock."""
        super().close()
        self._alone.release()
        if self._ours:
            self._engine.dispose()


__all__ = ["LEDGER", "SqlLook", "SqlWriter"]
