"""What refers to a record, counted before and after a change, so that nothing a database does by itself stays unseen.

Before: every reference to a record that goes must be one the unit deals with; a child made since the plan would be
cascaded or nulled in silence. After: the references must be those from before, less what the unit moved; one too few is a
cascade or a nulled parent, one too many a child made this moment. Tables outside the mapping are asked for too: nobody
has a backup of their rows. Left to others: the rows of the unit themselves (``writers.sql`` reads them back).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, and_, column, inspect, literal, select, table

from steward.crm.mapping import Mapping as CrmMapping
from steward.crm.mapping import SoftDelete
from steward.crm.sql import TableShape, is_deleted
from steward.executor.ports import Answer, Effect, Unit
from steward.executor.writers.sql_rows import CHUNK, bind_type, by_object, fetch_rows, id_value, text_of
from steward.records import RecordKey, canonical_text

References = dict[tuple[RecordKey, str], RecordKey]
"""``(child, column)`` → parent."""


class Refused(Exception):
    """A unit must not be applied; its transaction is rolled back."""

    def __init__(self, unit: Unit, answer: Answer, code: str) -> None:
        super().__init__(code)
        self.unit, self.answer, self.code = unit, answer, code


class LinkCheck:
    """References to the records of one transaction's units.

    Parameters
    ----------
    units : sequence of Unit
        What is about to change. References to records that go, and to survivors of merges, are watched.
    """

    def __init__(self, mapping: CrmMapping, shapes: Mapping[str, TableShape], units: Sequence[Unit]) -> None:
        self._mapping, self._shapes = mapping, shapes
        self._going = {key: unit for unit in units for key in unit.expect_free}
        self._watched = dict(self._going)
        for unit in units:
            for work in unit.works:
                if work.action == "merge_into" and work.target is not None:
                    self._watched.setdefault(RecordKey(work.object, work.target), unit)
        self._effects: dict[RecordKey, Effect] = {e.before.key: e for u in units for e in u.effects}
        self._before: References = {}

    def before(self, connection: Connection) -> None:
        """Read the references; raise :class:`Refused` where a record that goes has one nobody deals with."""
        if not self._watched:
            return
        self._before = self._read(connection)
        unknown = [
            (child, parent)
            for (child, _), parent in self._before.items()
            if parent in self._going and child not in self._effects and child != parent
        ]
        live = self._live(connection, [c for c, p in unknown if self._effects[p].op != "delete"])
        for child, parent in unknown:
            if self._effects[parent].op == "delete" or child in live:
                raise Refused(self._going[parent], Answer.CHANGED, "children_changed")

    def after(self, connection: Connection) -> None:
        """Read them again; raise :class:`Refused` where they are not what the units alone make of them."""
        if not self._watched:
            return
        now = self._read(connection)
        meant = {place: parent for place, parent in self._expected().items() if parent in self._watched}
        for place, parent in meant.items():
            if now.get(place) != parent:
                raise Refused(self._watched[parent], Answer.REFUSED, "side_effect")
        for place, parent in now.items():
            if place not in meant:
                raise Refused(self._watched[parent], Answer.CHANGED, "children_changed")
        left = [(child, parent) for (child, _), parent in now.items() if parent in self._going and child != parent]
        live = self._live(connection, [child for child, _ in left])
        for child, parent in left:
            if child in live:
                raise Refused(self._going[parent], Answer.CHANGED, "children_changed")

    def _expected(self) -> References:
        """What the references become: those from before, those that are moved, without those of rows that go."""
        found = dict(self._before)
        for key, effect in self._effects.items():
            parents = self._mapping.objects[key.object].parents
            for name, object in parents.items():
                if effect.op == "delete":
                    found.pop((key, name), None)
                elif name in effect.changes or effect.op == "insert":
                    id = canonical_text(effect.after().get(name))
                    found.pop((key, name), None)
                    if id is not None:
                        found[key, name] = RecordKey(object, id)
        return found

    def _read(self, connection: Connection) -> References:
        found: References = {}
        for object, ids in by_object(list(self._watched)).items():
            parent = self._shapes[object]
            for child, name in self._mapping.children_of(object):
                shape = self._shapes[child.name]
                for start in range(0, len(ids), CHUNK):
                    wanted = [literal(id_value(parent, i), type_=bind_type(shape, name)) for i in ids[start : start + CHUNK]]
                    query = select(shape.col(child.key), shape.col(name)).where(shape.col(name).in_(wanted))
                    for key, value in connection.execute(query):
                        found[RecordKey(child.name, text_of(key) or ""), name] = RecordKey(object, text_of(value) or "")
        return found

    def _live(self, connection: Connection, children: Sequence[RecordKey]) -> set[RecordKey]:
        """Those that are not in the recycle bin: a deleted child's reference to what is soft-deleted is none."""
        live = set()
        for key, row in fetch_rows(connection, self._shapes, children, lock=False).items():
            mark: SoftDelete | None = self._mapping.objects[key.object].soft_delete
            if mark is None or not is_deleted(mark, row[mark.column]):
                live.add(key)
        return live


class ForeignTables:
    """References from tables or columns that the mapping does not know."""

    def __init__(self, engine: Engine, mapping: CrmMapping) -> None:
        self._found = _foreign_keys(engine, mapping)

    def check(self, connection: Connection, unit: Unit, effect: Effect) -> None:
        """Raise :class:`Refused` where such a table refers to the row: it would be cascaded or nulled, and has no backup."""
        for child, names, parents in self._found.get(effect.before.key.object, ()):
            values = [effect.before.fields.get(p) for p in parents]
            match = and_(*(child.c[n] == literal(v) for n, v in zip(names, values, strict=True)))
            if connection.execute(select(literal(1)).select_from(child).where(match).limit(1)).first():
                raise Refused(unit, Answer.REFUSED, "unmapped_children")


def _foreign_keys(engine: Engine, mapping: CrmMapping) -> dict[str, list[tuple[Any, list[str], list[str]]]]:
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


__all__ = ["ForeignTables", "LinkCheck", "References", "Refused"]
