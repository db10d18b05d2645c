"""Steps of a change that a CRM cannot make in one transaction: what each shall do, without a value.

A merge over a vendor's API is many calls: children moved, survivor written, loser deleted. Before the first call every
step is written down with the digest of what it finds and of what it leaves. After a crash, reading the records says which
steps were made; the rest are made, or the item is reported as ``partly`` done and a restore brings it back.

A digest of a record leaves out the columns that the CRM itself moves at every write. Of an update only the changed fields
are in it. Left to others: the calls (``writers.vendor``), when (``engine``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steward.executor.journal import transaction
from steward.records import Fields, RecordKey, record_digest

_SCHEMA = """
CREATE TABLE IF NOT EXISTS step(
  manifest TEXT NOT NULL, unit TEXT NOT NULL, seq INTEGER NOT NULL, n INTEGER NOT NULL, object TEXT NOT NULL, id TEXT NOT NULL, role TEXT NOT NULL,
  op TEXT NOT NULL, fields TEXT NOT NULL, found TEXT NOT NULL, part TEXT NOT NULL, leaves TEXT NOT NULL, at TEXT NOT NULL,
  became TEXT, PRIMARY KEY(manifest, unit, n)) WITHOUT ROWID
"""
_COLUMNS = "unit, seq, n, object, id, role, op, fields, found, part, leaves, at, became"


@dataclass(frozen=True, slots=True)
class Step:
    """One call that changes one record.

    Attributes
    ----------
    unit : str
        Name of the unit it belongs to.
    seq, n : int
        Item, and the step's place in its unit.
    op : str
        As in :class:`steward.executor.ports.Effect`.
    fields : tuple of str
        What an update writes.
    found : str
        Digest of the whole record before, moving columns left out.
    part, leaves : str
        Digest of ``fields`` before and after; for ``insert`` ``leaves`` is the whole record to be made, without its id.
    at : str
        When it was written down, UTC, ISO 8601.
    became : str or None
        New id of a record that was made.
    """

    unit: str
    seq: int
    n: int
    key: RecordKey
    role: str
    op: str
    fields: tuple[str, ...]
    found: str
    part: str
    leaves: str
    at: str
    became: str | None = None


class StepLog:
    """The steps of the journal.

    Parameters
    ----------
    db : connection
        Of the journal.
    """

    def __init__(self, db: Any) -> None:
        self._db = db
        with transaction(db):
            db.execute(_SCHEMA)
            db.execute("CREATE INDEX IF NOT EXISTS step_record ON step(object, id)")

    def begin(self, manifest: str, steps: Sequence[Step]) -> None:
        """Write steps down, in one durable commit, instead of any that their units had before."""
        with transaction(self._db):
            for unit in dict.fromkeys(s.unit for s in steps):
                self._db.execute("DELETE FROM step WHERE manifest=? AND unit=?", (manifest, unit))
            self._db.executemany(
                "INSERT INTO step VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                [
                    (manifest, s.unit, s.seq, s.n, s.key.object, s.key.id, s.role, s.op, "\n".join(s.fields), s.found, s.part,
                     s.leaves, s.at, s.became)
                    for s in steps
                ],
            )  # fmt: skip

    def made(self, manifest: str, step: Step, new_id: str) -> None:
        """Write down the new id of a record that was made."""
        with transaction(self._db):
            self._db.execute(
                "UPDATE step SET became=? WHERE manifest=? AND unit=? AND n=?", (new_id, manifest, step.unit, step.n)
            )

    def replace(self, manifest: str, steps: Sequence[Step]) -> None:
        """Write steps again whose values have changed because a parent got a new id."""
        with transaction(self._db):
            self._db.executemany(
                "UPDATE step SET part=?, leaves=? WHERE manifest=? AND unit=? AND n=?",
                [(s.part, s.leaves, manifest, s.unit, s.n) for s in steps],
            )

    def new_ids(self, manifest: str | None, object: str) -> set[str]:
        """Return the ids of records of an object that this manifest, or any where it is None, has made."""
        sql = "SELECT became FROM step WHERE manifest=coalesce(?, manifest) AND object=? AND became IS NOT NULL"
        return {str(row[0]) for row in self._db.execute(sql, (manifest, object)).fetchall()}

    def taken(self, keys: Sequence[RecordKey]) -> set[RecordKey]:
        """Return which of these records some manifest's step was to delete."""
        sql = "SELECT 1 FROM step WHERE object=? AND id=? AND op IN ('bin', 'delete') LIMIT 1"
        return {k for k in keys if self._db.execute(sql, (k.object, k.id)).fetchone()}

    def of(self, manifest: str, units: Sequence[str]) -> dict[str, list[Step]]:
        """Return the steps of units, by name, in the order in which they are made; a unit without any has none."""
        found: dict[str, list[Step]] = {unit: [] for unit in units}
        for unit, steps in found.items():
            sql = f"SELECT {_COLUMNS} FROM step WHERE manifest=? AND unit=? ORDER BY n"  # noqa: S608  names of ours
            steps += [_step(row) for row in self._db.execute(sql, (manifest, unit)).fetchall()]
        return found


def _step(row: tuple[Any, ...]) -> Step:
    unit, seq, n, object, id, role, op, fields, found, part, leaves, at, became = row
    names = tuple(fields.split("\n")) if fields else ()
    return Step(unit, seq, n, RecordKey(object, id), role, op, names, found, part, leaves, at, became)


def content(fields: Fields, without: frozenset[str]) -> str:
    """Return the digest of a record without the columns that move by themselves."""
    return record_digest({n: v for n, v in fields.items() if n not in without})


def part_of(fields: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return the digest of some fields."""
    return record_digest({n: fields.get(n) for n in names})


__all__ = ["Step", "StepLog", "content", "part_of"]
