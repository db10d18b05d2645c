"""What changed in a Tryton model: ids with ``_timestamp`` and every reference of all records, which a search gives cheaply.

What is peculiar, each with a test of its name:

* ``_timestamp`` is what Tryton itself compares before a write, to the microsecond: no clock is asked.
* Deleting a party empties the reference of its deals without a word. Whoever does that, Tryton or the database, the
  references are compared too.

Left to others: reading whole (``steward.crm.tryton``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from steward.crm.changes import Before, Rereading, Swept, some
from steward.crm.mapping import ObjectMapping
from steward.crm.tryton import TrytonReader
from steward.errors import UnavailableError
from steward.messages import N_
from steward.records import Record, canonical_text

SWEEP = 5_000
"""Records of one call of a sweep; a few columns of them are no larger than a page of whole ones."""

_IN = 200
_REFERENCES = frozenset({"many2one", "reference"})


class TrytonChanges(Rereading):
    """Answers about one model."""

    reader: TrytonReader
    way = "stamps"

    def __init__(self, reader: TrytonReader, entry: ObjectMapping, before: Before) -> None:
        super().__init__(reader, entry, before)
        kinds = reader.kinds(entry)
        references = tuple(name for name, kind in kinds.items() if kind.get("type") in _REFERENCES)
        self.compared = ("_timestamp", *references) if reader.stamped(entry) else tuple(kinds)

    def sweep(self) -> Iterator[Sequence[Swept]]:
        """Yield every id with what is compared, in the order of ids."""
        for rows, _ in self.reader.listed(self.entry, 0, SWEEP, self.compared):
            flats = [(str(row["id"]), self.reader.flatten(self.entry, row)) for row in rows]
            yield [Swept(id, tuple(canonical_text(flat.get(name)) for name in self.compared)) for id, flat in flats]

    def read(self, ids: Sequence[str]) -> Iterator[Sequence[Record]]:
        """Yield the records of ids; one without a clear answer is not taken for gone."""
        for part in some(list(ids), _IN):
            found = self.reader.fetch(self.entry.name, part)
            if len(found) < len(part):
                raise UnavailableError(
                    N_("The CRM at {host} does not say what some records are now."),
                    next_step=N_("Take a full snapshot: leave --since out."),
                    host=self.reader.wire.host,
                )
            yield [r for r in found.values() if isinstance(r, Record)]
