"""``steward_id_map`` in the CRM's database: which id became which, in the transaction that made it so.

Warehouses and other systems that copied an id can follow it there: a loser of a merge leads to its survivor, a record
that was re-created to its new id. Where the account may not make the table, merges go on without it and the map stands
beside the receipt alone; re-creation under a new id is refused, for a lost answer could not be settled.

Left to others: the map as a file and to a webhook (``steward.executor.idmap``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, Text, inspect, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import SQLAlchemyError

from steward.executor.writers.sql_rows import CHUNK

ID_MAP = "steward_id_map"

_metadata = MetaData()
_table = Table(
    ID_MAP,
    _metadata,
    Column("manifest", Text, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("object", Text, nullable=False),
    Column("old_id", Text, nullable=False),
    Column("new_id", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("at", Text, nullable=False),
)


class IdTable:
    """The table, made where it may be."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        try:
            self.there = inspect(engine).has_table(ID_MAP)
            if not self.there:
                with engine.begin() as connection:
                    _metadata.create_all(connection)
                self.there = True
        except SQLAlchemyError:
            self.there = False

    def add(self, connection: Connection, manifest: str, rows: Sequence[tuple[int, str, str, str, str]]) -> None:
        """Add ``(seq, object, old id, new id, why)`` inside the caller's transaction; again is nothing."""
        if not self.there or not rows:
            return
        at = datetime.now(UTC).isoformat()
        into = postgres_insert if self._engine.dialect.name == "postgresql" else sqlite_insert
        connection.execute(
            into(_table).on_conflict_do_nothing(),
            [
                {"manifest": manifest, "seq": seq, "object": object, "old_id": old, "new_id": new, "why": why, "at": at}
                for seq, object, old, new, why in rows
            ],
        )

    def became(self, connection: Connection, manifest: str, seqs: Sequence[int]) -> Mapping[int, str]:
        """Return the new ids of items of a manifest that were re-created."""
        found: dict[int, str] = {}
        if not self.there:
            return found
        for start in range(0, len(seqs), CHUNK):
            query = select(_table.c.seq, _table.c.new_id).where(
                _table.c.manifest == manifest, _table.c.seq.in_(seqs[start : start + CHUNK]), _table.c.why == "recreated"
            )
            found |= {int(seq): str(new) for seq, new in connection.execute(query)}
        return found


__all__ = ["ID_MAP", "IdTable"]
