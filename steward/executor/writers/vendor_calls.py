"""What a writer over a vendor's API gives: its calls, what they may set, and what moves by itself.

Left to others: making units of them (``vendor``), what became of them (``vendor_settling``), reading (``vendor_look``), each
vendor's own calls (its own module).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from steward.crm.mapping import ObjectMapping
from steward.crm.vendor import VendorReader
from steward.executor.ports import Answer, Hook, Reading, Result, no_hook
from steward.executor.steps import StepLog, content
from steward.executor.writers.vendor_look import VendorLook
from steward.records import Absent, Fields, Record, RecordKey


class Refused(Exception):
    """A call, or a look before it, that certainly changed nothing. ``code`` is ours, never the vendor's text."""

    def __init__(self, code: str, answer: Answer = Answer.REFUSED) -> None:
        super().__init__(code)
        self.code, self.answer = code, answer


class VendorCalls(VendorLook, ABC):
    """What a vendor's writer gives, and what of it is the same for all.

    Parameters
    ----------
    reader : VendorReader
        With the credential to write.
    steps : StepLog

    Attributes
    ----------
    side_effects : frozenset of str
        Switches of ``capabilities.side_effects`` that the manifest turns on; the others are off.
    """

    def __init__(self, reader: VendorReader, steps: StepLog, *, hook: Hook = no_hook) -> None:
        super().__init__(reader)
        self._steps = steps
        self._hook = hook
        self._seen: dict[RecordKey, tuple[float, str | None]] = {}
        self._taker: dict[RecordKey, str | None] = {}
        self._live: set[RecordKey] = set()
        self.side_effects: frozenset[str] = frozenset()

    # what a vendor gives ----------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def me(self) -> str:
        """Id under which the vendor says who deleted; empty where it does not say."""

    @abstractmethod
    def writable(self, entry: ObjectMapping, *, create: bool) -> frozenset[str]:
        """Return the columns that a call may set, when a record is made or when it is changed."""

    @abstractmethod
    def send_update(self, entry: ObjectMapping, record: Record, changes: Fields) -> None:
        """Set columns of one record.

        Raises
        ------
        Refused, DeniedError, ThrottledError, UnavailableError
            Certainly not done.
        CrmError
            Any other: nobody knows.
        """

    @abstractmethod
    def send_delete(self, entry: ObjectMapping, records: Sequence[Record], op: str) -> Mapping[str, Result]:
        """Move records to the recycle bin (``bin``) or delete them for good (``delete``), in one call of the vendor's.

        Returns
        -------
        mapping of str to Result
            By id; an id that the answer does not name clearly is left out. Raises as :meth:`send_update`.
        """

    @abstractmethod
    def send_unbin(self, entry: ObjectMapping, id: str) -> None:
        """Bring one record back out of the recycle bin; raises as :meth:`send_update`."""

    @abstractmethod
    def send_insert(self, entry: ObjectMapping, fields: Fields) -> str:
        """Make a record and return its id; raises as :meth:`send_update`."""

    @abstractmethod
    def made_since(self, entry: ObjectMapping, since: datetime) -> Iterable[Record]:
        """Return every live record that was made since a moment; where the vendor says who made it, ours alone."""

    def moved_columns(self, entry: ObjectMapping) -> frozenset[str]:
        """Return columns, beside version and time of modification, that the vendor itself moves at a write."""
        return frozenset()

    def taken(self, entry: ObjectMapping, fields: Fields, *, but: frozenset[str] = frozenset()) -> bool:
        """Say whether a record whose id is not in ``but`` has a value of these that exists only once: then no second is made."""
        return False

    def at_once(self, entry: ObjectMapping, op: str) -> int:
        """Return how many records one call takes; those of a group are compared before it and share its fate."""
        return self.capabilities.batch_size

    # what is common ---------------------------------------------------------------------------------------------

    def moving(self, object: str) -> frozenset[str]:
        """Return every column that moves by itself when a record is written."""
        entry = self.mapping.objects[object]
        return frozenset(n for n in (entry.version, entry.modified) if n) | self.moved_columns(entry)

    def can_renumber(self, object: str) -> bool:
        """True where a record can be made anew."""
        return bool(self.writable(self.mapping.objects[object], create=True))

    def read(self, keys: Sequence[RecordKey], *, links_of: Sequence[RecordKey] = ()) -> Reading:
        """Read as for a plan, and remember when."""
        at = self.reader.wire.clock.monotonic()
        reading = super().read(keys, links_of=links_of)
        self._seen = {k: (at, self._content(r)) for k, r in reading.records.items()}
        self._taker = {k: r.deleted_by for k, r in reading.records.items()}
        self._live = {k for k, r in reading.records.items() if isinstance(r, Record) and not r.deleted}
        return reading

    def _content(self, found: Record | Absent) -> str | None:
        return content(found.fields, self.moving(found.key.object)) if isinstance(found, Record) else None


__all__ = ["Refused", "VendorCalls"]
