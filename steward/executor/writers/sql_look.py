"""The reading half of the SQL writer: what ``plan`` needs, over a connection that the database itself keeps from writing.

Left to others: writing (``writers.sql``), what is read of a table (``steward.crm.sql``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import types

from steward.crm.base import Capabilities
from steward.crm.mapping import Mapping as CrmMapping
from steward.crm.sql import SqlReader, TableShape, reflect
from steward.crm.sql_engine import open_engine
from steward.executor.ports import Reading
from steward.executor.writers.sql_rows import by_object
from steward.records import Absent, Link, Record, RecordKey, Scalar


class SqlLook:
    """The reading half: what plan needs, over a connection that the database itself keeps from writing.

    Parameters
    ----------
    url : str
        Of the database; SELECT on the mapped tables suffices.
    mapping : Mapping
    """

    def __init__(self, url: str, mapping: CrmMapping) -> None:
        self.mapping = mapping
        self._reader = SqlReader(url, mapping)
        self.capabilities: Capabilities = self._reader.capabilities
        self._looking, self._looking_ours = open_engine(url)
        self.shapes: Mapping[str, TableShape] = {}
        try:
            self.shapes = reflect(self._looking, mapping)
        except BaseException:
            self.close()
            raise

    def read(self, keys: Sequence[RecordKey], *, links_of: Sequence[RecordKey] = ()) -> Reading:
        """Return whole rows of ``keys`` and of every record that refers to ``links_of``, deleted ones among them."""
        links: dict[RecordKey, list[Link]] = {}
        hidden: dict[RecordKey, list[Link]] = {}
        found: list[Link] = []
        for object, ids in by_object(links_of).items():
            found += self._reader.children(object, ids, deleted_too=True)
        records: dict[RecordKey, Record | Absent] = {}
        for object, ids in by_object([*keys, *(link.child for link in found)]).items():
            for record in self._reader.fetch(object, ids).values():
                records[record.key] = record
        for link in found:
            child = records.get(link.child)
            into = hidden if isinstance(child, Record) and child.deleted else links
            into.setdefault(link.parent, []).append(link)
        return Reading(records, links, hidden)

    def count(self, object: str) -> int:
        """Return the number of live records."""
        return self._reader.count(object)

    def value_for(self, object: str, field: str, text: str | None, now: datetime) -> Scalar:
        """Return ``text`` as the type of the column; None means ``now``, in the form of the mapping or as ISO 8601."""
        kind = self.shapes[object].types[field]
        if text is None:
            moment = now.astimezone(UTC).replace(microsecond=0)
            if self._looking.dialect.name != "sqlite":
                if isinstance(kind, types.DateTime):
                    return moment if kind.timezone else moment.replace(tzinfo=None)
                if isinstance(kind, types.Date):
                    return moment.date()
            form = self.mapping.objects[object].dates.get(field, "%Y-%m-%dT%H:%M:%SZ")
            return moment.strftime(form)
        if isinstance(kind, types.Boolean) and self._looking.dialect.name != "sqlite":
            return text.lower() in ("1", "true", "t", "yes", "y")
        if isinstance(kind, types.Integer | types.Boolean):
            with contextlib.suppress(ValueError):
                return int(text)
        return text

    def close(self) -> None:
        """Release connections."""
        self._reader.close()
        if self._looking_ours:
            self._looking.dispose()


__all__ = ["SqlLook"]
