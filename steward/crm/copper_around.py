"""What hangs on a record of Copper: by columns, by *related* alone, by connect fields, files, and as primary contact.

``/related`` of a record gives all that is linked to it in one call. Two kinds of links stand in no record: projects with
people, companies and deals, and deals with more people than their primary contact. The option ``related = "ask"`` reads them,
one call for each project and deal: the only one of its kind becomes a column, which a merge can lead elsewhere. What has
several, or is not asked for, is a link that holds the record back.

Left to others: pages and searches (``steward.crm.copper``).
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from steward.crm.copper_fields import BY_TYPE, PENDING, SLOTS, TYPES
from steward.crm.copper_wire import answer, is_unknown_record
from steward.crm.mapping import ObjectMapping
from steward.crm.pages import Row
from steward.crm.vendor import VendorReader
from steward.records import Link, RecordKey, canonical_text

_FILTERS: Mapping[tuple[str, str], str] = {
    ("people", "company_id"): "company_ids",
    ("people", "assignee_id"): "assignee_ids",
    ("companies", "assignee_id"): "assignee_ids",
    ("leads", "assignee_id"): "assignee_ids",
    ("opportunities", "assignee_id"): "assignee_ids",
    ("opportunities", "company_id"): "company_ids",
    ("opportunities", "primary_contact_id"): "primary_contact_ids",
    ("projects", "assignee_id"): "assignee_ids",
    ("tasks", "assignee_id"): "assignee_ids",
}
"""Entity and column → body key that narrows a search to referring rows; others are found by other calls."""

_IDS_A_SEARCH = 100
_ID = re.compile(r"[1-9][0-9]{0,18}")


class CopperAround(VendorReader):
    """The half of :class:`steward.crm.copper.CopperReader` that looks around a record.

    Attributes
    ----------
    options : dict of str to str
        Switches of the profile.
    deleted_tag : str
        What marks a record for deletion.
    """

    options: dict[str, str]
    deleted_tag: str
    _at_hand: dict[tuple[str, int], list[tuple[str, int]]] | None = None
    _marked: tuple[tuple[str, tuple[str, ...]], Sequence[Link]] = (("", ()), ())

    @abstractmethod
    def _all(self, source: str, body: Mapping[str, Any]) -> Iterator[Row]: ...

    def only_marks(self, entry: ObjectMapping) -> bool:
        """Say whether deleting a record of the object is no more than marking it with a tag."""
        return entry.soft_delete is not None and entry.soft_delete.column == PENDING

    def whole(self, source: str, row: dict[str, Any]) -> dict[str, Any]:
        """Return a row with what is related to it and stands in no column, where that is asked for."""
        if source not in SLOTS or self.options["related"] != "ask" or not isinstance(row.get("id"), int):
            return row
        return row | {"related": sorted(self._linked(source, row["id"]))}

    def referring(self, child: ObjectMapping, column: str, ids: Sequence[str]) -> Iterator[Row]:
        """Yield rows that refer to ``ids``: by a filter where the entity has one, else through the parent."""
        if column == "related_person_id" and self.options["related"] != "ask":
            return
        filter = _FILTERS.get((child.source, column))
        wanted = [int(i) for i in ids if _ID.fullmatch(i)]
        parent = child.parents[column]
        if filter is not None:
            for start in range(0, len(wanted), _IDS_A_SEARCH):
                yield from self._all(child.source, {filter: wanted[start : start + _IDS_A_SEARCH]})
        elif child.source == "activities" and self.entry(parent).source == "users":
            yield from self._all("activities", {})  # no filter knows the author; the caller compares each row
        elif child.source == "activities":
            kind = TYPES[self.entry(parent).source]
            for id in wanted:
                yield from self._all("activities", {"parent": {"id": id, "type": kind}})
        elif child.source == "companies" and column == "primary_contact_id":
            for id in wanted:  # the company of a person is where the person can be primary contact
                person = self.one(self.entry(parent), str(id))
                if isinstance(person, Mapping) and person.get("company_id"):
                    company = self.one(child, str(person["company_id"]))
                    if isinstance(company, Mapping):
                        yield company
        else:
            for id in wanted:
                for link in self._related(self.entry(parent).source, id, child.source):
                    row = self.one(child, str(link))
                    if isinstance(row, Mapping):
                        yield row

    def children(self, object: str, ids: Sequence[str]) -> Sequence[Link]:
        """Return mapped references, and what only ``/related`` knows; where deleting is for good, connect fields and files too.

        What is in no mapped column carries a name of its own: ``related``, ``connect_<id>``, ``files``.
        """
        self._at_hand = {}
        try:
            links, hidden = self._by_columns(object, ids)
            self._marked = ((object, tuple(ids)), sorted(hidden, key=lambda link: (link.parent, link.child, link.field)))
            links |= self._related_alone(object, ids, {(link.child, link.parent) for link in links | hidden})
        finally:
            self._at_hand = None
        if not self.only_marks(self.entry(object)):
            links |= self.lost_with(object, ids)
        return sorted(links, key=lambda link: (link.parent, link.child, link.field))

    def hidden(self, object: str, ids: Sequence[str]) -> Sequence[Link]:
        """Return references of records that are marked for deletion: what Copper does to them when a parent goes is unknown."""
        if self._marked[0] != (object, tuple(ids)):
            self.children(object, ids)
        return self._marked[1]

    def _by_columns(self, object: str, ids: Sequence[str]) -> tuple[set[Link], set[Link]]:
        """Return references by mapped columns: of live records, and of those that are marked."""
        wanted = set(ids)
        live: set[Link] = set()
        marked: set[Link] = set()
        for child, column in self.mapping.children_of(object):
            columns = self.columns(child.name)
            for row in self.referring(child, column, ids):
                record = self.record(child, columns, row)
                parent = canonical_text(record.fields[column])
                if parent in wanted:
                    (marked if record.deleted else live).add(Link(record.key, column, RecordKey(object, parent)))
        return live, marked

    def _related_alone(self, object: str, ids: Sequence[str], known: set[tuple[RecordKey, RecordKey]]) -> set[Link]:
        """Return what is linked to records by no column of either; what is marked for deletion is none."""
        source = self.entry(object).source
        objects = {entry.source: entry for entry in self.mapping.objects.values()}
        links: set[Link] = set()
        for id in ids if source not in ("users", "activities") else ():
            if not _ID.fullmatch(id):
                continue
            parent = RecordKey(object, id)
            for kind in ("opportunities", "projects", "tasks"):
                entry = objects.get(kind)
                if entry is None or entry.name == object:
                    continue
                for other in self._related(source, int(id), kind):
                    child = RecordKey(entry.name, str(other))
                    if (child, parent) not in known and not self._is_marked(entry, child.id):
                        links.add(Link(child, "related", parent))
        return links

    def _is_marked(self, entry: ObjectMapping, id: str) -> bool:
        row = self.one(entry, id) if self.only_marks(entry) else None
        return isinstance(row, Mapping) and self.deleted_tag in (row.get("tags") or ())

    def lost_with(self, object: str, ids: Sequence[str]) -> set[Link]:
        """Return what a deletion for good takes along, or leaves pointing at nothing, and nothing brings back.

        Connect fields, files, and being a company's primary contact where the mapping does not know that column.
        """
        source = self.entry(object).source
        objects = {entry.source: entry.name for entry in self.mapping.objects.values()}
        links: set[Link] = set()
        for id in ids if source not in ("users", "activities") else ():
            if not _ID.fullmatch(id):
                continue
            parent = RecordKey(object, id)
            links |= self._primary_of(source, parent, objects)
            if self.options["connect_fields"] == "check":
                links |= self._connected(source, parent, objects)
            if self.options["files"] == "check":
                reply = self.wire.read("GET", f"{source}/{id}/files")
                if reply.status != 404:  # the record, or files of its kind, are not there
                    links |= {
                        Link(RecordKey("files", str(file.get("id"))), "files", parent) for file in answer(reply, self.wire)
                    }
        return links

    def _primary_of(self, source: str, person: RecordKey, objects: Mapping[str, str]) -> set[Link]:
        name = objects.get("companies")
        if source != "people" or name is None or "primary_contact_id" in self.entry(name).parents:
            return set()
        entry = ObjectMapping(key="id", table="companies", name=name, parents={"primary_contact_id": person.object})
        rows = self.referring(entry, "primary_contact_id", [person.id])
        return {
            Link(RecordKey(name, str(row["id"])), "primary_contact_id", person)
            for row in rows
            if str(row.get("primary_contact_id")) == person.id
        }

    def _connected(self, source: str, parent: RecordKey, objects: Mapping[str, str]) -> set[Link]:
        reply = self.wire.read("GET", "related_links", params={"source_type": source, "source_id": parent.id})
        found: set[Link] = set()
        for link in answer(reply, self.wire):
            for end in (link.get("source"), link.get("target")):
                if not isinstance(end, dict):
                    continue
                module = str(end.get("entity_type", ""))
                module = BY_TYPE.get(module, module)
                child = RecordKey(objects.get(module, module), str(end.get("id")))
                if child != parent:
                    found.add(Link(child, f"connect_{link.get('custom_field_definition_id')}", parent))
        return found

    def _related(self, source: str, id: int, kind: str) -> list[int]:
        if self._at_hand is not None and (source, id) in self._at_hand:
            found = self._at_hand[source, id]
        else:
            found = self._linked(source, id)
            if self._at_hand is not None:
                self._at_hand[source, id] = found
        return [other for type, other in found if type == TYPES[kind]]

    def _linked(self, source: str, id: int) -> list[tuple[str, int]]:
        """Return type and id of everything that is linked to a record."""
        reply = self.wire.read("GET", f"{source}/{id}/related")
        if reply.status == 404 and is_unknown_record(reply):
            return []
        return [(str(link.get("type")), int(link["id"])) for link in answer(reply, self.wire)]
