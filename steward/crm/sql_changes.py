"""What changed in a table: key, version, time of change, marks and references of all rows, in the snapshot's own moment.

What is peculiar, each with a test of its name:

* Two edits within one tick leave the same time. A row whose time is not older than the earlier reading by a day (a database
  may write local time) is read again; so is one without a time, or with one that cannot be read. A counter needs none of this.
* ``ON DELETE SET NULL`` moves no time: references are compared too.
* A row that was deleted and made again begins its counter anew: the time of its making is compared too.
* A table without a mapped version or time of change is read whole.

What nobody can see: a row that was changed by a program that keeps its time of change and its version.

Left to others: reading whole (``steward.crm.sql``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime

from steward.crm.changes import Before, Rereading, Swept, settled, time_of
from steward.crm.mapping import ObjectMapping
from steward.crm.sql import SqlReader
from steward.records import Record, Scalar, canonical_text

_COUNTER = re.compile(r"[0-9]{1,9}")
"""A version that is no time: a time as a number has ten digits or more."""


class SqlChanges(Rereading):
    """Answers about one table."""

    reader: SqlReader

    def __init__(self, reader: SqlReader, entry: ObjectMapping, before: Before) -> None:
        super().__init__(reader, entry, before)
        if entry.modified is None and entry.version is None:
            return
        self.way = "stamps"
        mark = entry.soft_delete
        names = (entry.version, entry.modified, entry.created, *entry.parents, mark.column if mark is not None else None)
        self.compared = tuple(dict.fromkeys(name for name in names if name is not None and name != entry.key))

    def sweep(self) -> Iterator[Sequence[Swept]]:
        """Yield every row's key with what is compared."""
        for rows in self.reader.sweep(self.entry.name, self.compared):
            yield [Swept(id, tuple(canonical_text(v) for v in values), again=self._again(values)) for id, values in rows]

    def read(self, ids: Sequence[str]) -> Iterator[Sequence[Record]]:
        """Yield the rows of ids, from the same moment as the sweep."""
        yield from self.reader.pick(self.entry.name, ids)

    def _again(self, values: Sequence[Scalar]) -> bool:
        said = dict(zip(self.compared, values, strict=True))
        version, modified = self.entry.version, self.entry.modified
        if version is not None and version != modified and _COUNTER.fullmatch(canonical_text(said[version]) or ""):
            return False
        held = said[modified] if modified is not None else said[version or ""]
        return not settled(moment_of(held), self.before)


def moment_of(value: Scalar) -> datetime | None:
    """Return the time that a stored value is: typed, ISO 8601 text, or seconds or milliseconds since 1970."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = value / 1000 if abs(value) >= 1e11 else value
        return datetime.fromtimestamp(seconds, UTC) if 0 < seconds < 1e11 else None
    if isinstance(value, (datetime, date, str)):
        return time_of(value if isinstance(value, str) else value.isoformat())
    return None
