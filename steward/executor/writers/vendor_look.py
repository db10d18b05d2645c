"""The reading half of a writer over a vendor's API: what plan needs, with the read-only credential.

Left to others: writing (``writers.vendor``), the calls themselves (the reader of ``steward.crm``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from steward.crm.base import Capabilities
from steward.crm.vendor import VendorReader
from steward.executor.ports import Reading
from steward.executor.writers.sql_rows import by_object
from steward.records import Absent, Link, Record, RecordKey, Scalar

ISO = "%Y-%m-%dT%H:%M:%SZ"


class VendorLook:
    """Reads records and what refers to them through a vendor's reader.

    Parameters
    ----------
    reader : VendorReader
        Closed with this.
    """

    def __init__(self, reader: VendorReader) -> None:
        self.reader = reader
        self.mapping = reader.mapping
        self.capabilities: Capabilities = reader.capabilities

    def read(self, keys: Sequence[RecordKey], *, links_of: Sequence[RecordKey] = ()) -> Reading:
        """Return records of ``keys`` and of every mapped record that refers to ``links_of``.

        A reference from what the mapping does not know is a link too: its child has no record, and blocks.
        """
        links: dict[RecordKey, list[Link]] = {}
        hidden: dict[RecordKey, list[Link]] = {}
        wanted: dict[RecordKey, None] = dict.fromkeys(keys)
        for object, ids in by_object(links_of).items():
            for link in self.reader.children(object, ids):
                links.setdefault(link.parent, []).append(link)
                if link.child.object in self.mapping.objects:
                    wanted[link.child] = None
            for link in self.reader.hidden(object, ids):
                hidden.setdefault(link.parent, []).append(link)
                wanted[link.child] = None
        records: dict[RecordKey, Record | Absent] = {}
        for object, ids in by_object(list(wanted)).items():
            for id, found in self.reader.fetch(object, ids).items():
                records[RecordKey(object, id)] = found
        return Reading(records, links, hidden)

    @property
    def requests(self) -> int:
        """Calls sent so far: what reading costs is measured, not guessed."""
        return self.reader.wire.requests

    def value_for(self, object: str, field: str, text: str | None, now: datetime) -> Scalar:
        """Return ``text`` as it is; None means ``now``, in the form of the mapping or as ISO 8601."""
        if text is not None:
            return text
        form = self.mapping.objects[object].dates.get(field, ISO)
        return now.astimezone(UTC).strftime(form)

    def untouchable(self, record: Record) -> str:
        """Return a code of why a record must not be written now; empty where it may be."""
        return self.reader.untouchable(record)

    def count(self, object: str) -> int:
        """Return how many live records the vendor says there are."""
        return self.reader.count(object)

    def close(self) -> None:
        """Release connections."""
        self.reader.close()


__all__ = ["ISO", "VendorLook"]
