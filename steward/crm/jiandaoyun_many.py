"""Many records of a Jiandaoyun form at once, and the references that no filter finds.

*Records by id.* Pages are ascending by id behind a cursor, so a page that begins behind the id before a wanted one holds it,
if it is there, and its neighbours. A filter on ids is tried beside it; where it lets another record through it is off, and
the page serves all the same. What does not come this way is asked for by itself: a page that lacks a record is no evidence.

*References.* Linked objects and linked data at the top of a form, and whatever refers from inside a subform, cannot be
filtered. Such a form is read whole, once for as long as the vendor says that nothing of it moved.

Left to others: one page, one record (``steward.crm.jiandaoyun``).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from steward.crm.changes import time_of
from steward.crm.mapping import ObjectMapping
from steward.crm.pages import Row
from steward.records import canonical_text

if TYPE_CHECKING:
    from steward.crm.jiandaoyun import JiandaoyunReader

REFERENCES = frozenset({"lookup", "linkobject", "linkdata"})
ASKED = 200
"""Values of one ``in`` filter: pages of the vendor say 200 and 1,000; the smaller is taken."""
WORTH = 3
"""So many wanted records make a page worth its bytes; fewer are asked for one by one."""
KEPT = 200_000
"""References of one form that are kept in memory; a form with more is read whole for every question."""
_TICK = timedelta(seconds=5)
"""A form that moved so shortly before it was read may move again within the same tick of its clock."""


class FilterOffError(Exception):
    """A filter was refused, or let through what it should not."""


@dataclass(slots=True)
class ById:
    """Finds records of a form by page.

    Attributes
    ----------
    page_proves : bool
        A record that a page without filter should hold and does not is taken for absent.
    """

    reader: JiandaoyunReader
    page_proves: bool = False
    _filter_works: dict[str, bool] = field(default_factory=dict)

    def find(self, entry: ObjectMapping, ids: Iterable[str]) -> tuple[dict[str, Row], set[str]]:
        """Return the rows that pages held, and the ids that a page proved absent; nothing is said of the others."""
        left = sorted(set(ids))
        rows: dict[str, Row] = {}
        absent: set[str] = set()
        while len(left) >= WORTH:
            before = f"{max(int(left[0], 16) - 1, 0):024x}"
            filtered = self._filter_works.get(entry.name, True)
            asked = set(left[:ASKED])
            condition = {"field": "_id", "type": "text", "method": "in", "value": left[:ASKED]}
            try:
                page = self.reader.page(entry, before, {"rel": "and", "cond": [condition]} if filtered else None)
            except FilterOffError:
                self._filter_works[entry.name] = False
                continue
            got = [str(r["_id"]) for r in page]
            if filtered and not asked.issuperset(got):
                filtered = self._filter_works[entry.name] = False
            if filtered and not got:
                left = left[len(asked) :]
                continue
            if not got or got[0] <= before:
                break  # nothing behind it, or a cursor that is no record's is not understood here
            rows |= {i: r for i, r in zip(got, page, strict=True) if i in asked}
            passed = [i for i in left if i <= got[-1]]
            if not filtered and self.page_proves:
                absent |= set(passed) - set(got)
            left = left[len(passed) :]
            if not filtered and len(passed) < WORTH:
                break
        return rows, absent


@dataclass(frozen=True, slots=True)
class Pointer:
    """One reference: a live record of the form, the column it stands in (``subform.column`` inside one), and where to."""

    child: str
    column: str
    to: str


@dataclass(slots=True)
class Pointers:
    """References of forms that no filter finds."""

    reader: JiandaoyunReader
    _known: dict[str, tuple[str, dict[str, list[Pointer]]]] = field(default_factory=dict)

    def to(self, entry: ObjectMapping, wanted: Iterable[str], mark: str | None) -> Iterator[Pointer]:
        """Yield the references of a form to some records; ``mark`` is when it last moved, as the vendor says now."""
        asked = set(wanted)
        known = self._known.get(entry.name)
        if known is None or known[0] != mark:
            self._known.pop(entry.name, None)
            index = yield from self._read(entry, asked)
            keeps = self.reader.options["unmoved"] == "skip" and index is not None and mark is not None and self._stood(mark)
            if keeps and self.reader.moved(entry) == mark:
                assert index is not None and mark is not None
                self._known[entry.name] = (mark, index)
            return
        for id in sorted(asked & known[1].keys()):
            yield from known[1][id]

    def _read(self, entry: ObjectMapping, asked: set[str]) -> Generator[Pointer, None, dict[str, list[Pointer]] | None]:
        """Read the form whole; return all its references by what they point to, None where they are too many to keep."""
        index: dict[str, list[Pointer]] | None = {}
        count = 0
        for rows in self.reader.walk(entry):
            for row in rows:
                for pointer in pointers_of(entry, row, self.reader.widgets(entry)):
                    if pointer.to in asked:
                        yield pointer
                    count += 1
                    if index is not None:
                        index.setdefault(pointer.to, []).append(pointer)
            if count > KEPT:
                index = None
        return index

    def _stood(self, mark: str) -> bool:
        """Say whether the form last moved long enough ago that its mark cannot hide a later change."""
        at, clock = time_of(mark), self.reader.wire.clock_seconds
        return at is not None and clock is not None and at + _TICK < datetime.now(UTC) + timedelta(seconds=clock)


def inside(widgets: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the columns inside subforms that refer to records: ``subform.column`` → kind."""
    return {
        f"{w['widgetName']}.{c['widgetName']}": str(c.get("type"))
        for w in widgets
        for c in w.get("items") or ()
        if isinstance(c, dict) and c.get("widgetName") and c.get("type") in REFERENCES
    }


def pointers_of(entry: ObjectMapping, row: Row, widgets: Sequence[Mapping[str, Any]]) -> Iterator[Pointer]:
    """Yield the references of one row under widget names; a record that is marked as deleted has none."""
    from steward.crm.jiandaoyun import plain

    kinds = {str(w["widgetName"]): str(w.get("type")) for w in widgets}
    mark = entry.soft_delete
    if mark is not None:
        said = canonical_text(plain(kinds.get(mark.column, ""), row.get(mark.column)))
        if said is not None if mark.deleted is None else said == mark.deleted:
            return
    child = str(row["_id"])
    for name, kind in kinds.items():
        to = plain(kind, row.get(name)) if kind in REFERENCES else None
        if isinstance(to, str):
            yield Pointer(child, name, to)
    for place, kind in inside(widgets).items():
        name, _, column = place.partition(".")
        lines = row.get(name)
        found = (
            {plain(kind, line.get(column)) for line in lines if isinstance(line, dict)} if isinstance(lines, list) else set()
        )
        yield from (Pointer(child, place, to) for to in sorted(t for t in found if isinstance(t, str)))


__all__ = ["ASKED", "REFERENCES", "ById", "FilterOffError", "Pointer", "Pointers", "inside", "pointers_of"]
