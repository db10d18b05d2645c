"""What changed in a Fxiaoke object: by ``last_modified_time``, and every voided record; deletions for good are told by nobody.

What is peculiar, each with a test of its name:

* A page of ids holds a hundred records, like a page of whole ones, and calls are what is limited. So an object is read
  whole, unless the profile says that the vendor's totals are exact (``counts = "exact"``): where what was not voided is as
  many as we know, nothing was deleted, and the changes are all there is.
* Whether voiding moves the time is not documented, so all voided records are read each time. Nor is whether they are shown
  at all: as long as none ever was, one that is recovered could hide one that is deleted from a total, and none is trusted.
* Formulas, roll-ups and quoted fields change without a moved time: an object that has one is read whole.

Left to others: reading whole (``steward.crm.fxiaoke``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from steward.crm.changes import Before, Rereading
from steward.crm.fxiaoke import FxiaokeReader
from steward.crm.mapping import ObjectMapping
from steward.crm.pages import Row
from steward.records import Record

_UNSTAMPED = frozenset({"formula", "count", "quote"})


class FxiaokeChanges(Rereading):
    """Answers about one object."""

    reader: FxiaokeReader
    shows_deleted = True

    def __init__(self, reader: FxiaokeReader, entry: ObjectMapping, before: Before) -> None:
        super().__init__(reader, entry, before)
        self._exact = reader.options["counts"] == "exact"
        kinds = {str(field.get("type")) for field in reader.fields(entry).values()}
        if entry.key != "_id" or entry.soft_delete is None or reader.options["voided"] != "ask" or _UNSTAMPED & kinds:
            return
        if (self._exact and before.marked) or not before.deletions_matter:
            self.way = "changes"

    def changed(self) -> Iterator[Sequence[Record]]:
        """Yield what was modified since, and what is voided."""
        for rows in self.reader.touched(self.entry, self.before.since):
            yield self._records(rows)

    def read(self, ids: Sequence[str]) -> Iterator[Sequence[Record]]:
        """Yield the records of ids."""
        for rows in self.reader.known(self.entry, ids):
            yield self._records(rows)

    def live(self) -> int | None:
        """Return how many records are not voided, where the profile trusts the vendor's totals."""
        return self.reader.unvoided(self.entry) if self._exact and self.before.marked else None

    def _records(self, rows: Sequence[Row]) -> list[Record]:
        columns = self.reader.columns(self.entry.name)
        return [self.reader.record(self.entry, columns, row) for row in rows]
