"""What changed in Copper: by ``minimum_modified_date`` and ``minimum_interaction_date``; deletions are told by nobody.

What is peculiar, each with a test of its name:

* A search gives whole records, 200 at a time, so a sweep of ids is a whole read: that is what is done, and it notices
  everything. Where a person does without knowing of deletions, changes alone are read, and nothing may be deleted then.
* ``date_modified`` does not move with an interaction, nor with the name of a company that its people show. People who were
  contacted are asked for by that time; whose company was edited is read by id.
* Activities and users have no such filter and are read whole.

Left to others: reading whole (``steward.crm.copper``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from steward.crm.changes import Before, Rereading
from steward.crm.copper import CopperReader
from steward.crm.copper_fields import FIELDS, SLOTS
from steward.crm.mapping import ObjectMapping
from steward.crm.pages import Row
from steward.records import Record


class CopperChanges(Rereading):
    """Answers about one entity."""

    reader: CopperReader

    def __init__(self, reader: CopperReader, entry: ObjectMapping, before: Before) -> None:
        super().__init__(reader, entry, before)
        asked = reader.options["related"] == "ask" and entry.source in SLOTS  # a new relation moves no date
        if not before.deletions_matter and entry.source not in ("activities", "users") and not asked:
            self.way = "changes"
        if "company_name" in FIELDS[entry.source]:
            self.copied = frozenset({"company_id"})

    def changed(self) -> Iterator[Sequence[Record]]:
        """Yield what was modified since, then who was contacted since."""
        since = int(self.before.since.timestamp())
        for rows in self.reader.touched(self.entry, "minimum_modified_date", "date_modified", since):
            yield self._records(rows)
        if "date_last_contacted" in FIELDS[self.entry.source]:
            for rows in self.reader.touched(self.entry, "minimum_interaction_date", "date_last_contacted", since):
                yield self._records(rows)

    def read(self, ids: Sequence[str]) -> Iterator[Sequence[Record]]:
        """Yield the records of ids."""
        for rows in self.reader.known(self.entry, ids):
            yield self._records(rows)

    def _records(self, rows: Sequence[Row]) -> list[Record]:
        columns = self.reader.columns(self.entry.name)
        return [self.reader.record(self.entry, columns, row) for row in rows]
