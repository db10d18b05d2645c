"""What changed in a Jiandaoyun form: the vendor says when any of it last changed, and nothing more that can be trusted.

A filter on the time of change is ignored in silence, deletions are told by nobody, and a page of ids holds as many records
as a page of whole ones. So a form that did not move since before the earlier reading is not read at all, and one that moved
is read whole.

Left to others: reading whole (``steward.crm.jiandaoyun``).
"""

from __future__ import annotations

from steward.crm.changes import Before, Changes, settled, time_of
from steward.crm.jiandaoyun import JiandaoyunReader
from steward.crm.mapping import ObjectMapping


class JiandaoyunChanges(Changes):
    """Answers about one form."""

    reader: JiandaoyunReader

    def __init__(self, reader: JiandaoyunReader, entry: ObjectMapping, before: Before) -> None:
        super().__init__(reader, entry, before)
        if reader.options["unmoved"] == "read":
            return
        moved = reader.moved(entry)
        if moved is not None and moved == before.mark and settled(time_of(moved), before):
            self.way = "unchanged"
            reader.marks[entry.name] = moved
