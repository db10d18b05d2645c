"""Reads Jiandaoyun (简道云, abroad Jodoo), API v5. Reads only.

A form is an object; the mapping names it as ``APP_ID/ENTRY_ID`` and its columns by widget name (``_widget_…``), which
does not move when somebody renames an alias. What is peculiar, each with a test of its name:

* Filters fail open: a filter that is not understood gives the whole form with status 200. No filter is trusted; every
  row is compared here.
* Pages are ascending by id and have no total; a page may be cut by a limit nobody states, so reading ends at an empty
  page and never at a short one, and a page that does not move on is refused.
* The file links of an attachment change with every read: names, sizes and types are the value, links are not; that holds
  inside a subform too.
* An alias may change while a form is read, and a field then comes under another name, or two swap theirs. Rows are put
  under their widget names page by page, an unknown name makes the form be described again, and a form that is described
  otherwise at the end than at the beginning leaves a doubt.
* ``lookup`` fields point nowhere in particular and may dangle; the mapping says which form they mean.
* There is no count. Reading to the empty page is the only proof of completeness.
* A key sees the whole company as far as its scopes go; what it may not see answers with a code, never with silence.

* A reference inside a subform holds a record back, whether the mapping knows of it or not: an id that stands there is one.
* The rows of a subform get new ids with every write of it: their ids are no value.

Left to others: changing anything (``steward.executor.writers.jiandaoyun``), proposing a mapping
(``steward.crm.jiandaoyun_map``), the wire and its codes (``jiandaoyun_wire``), many records at once (``jiandaoyun_many``),
members (``jiandaoyun_members``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from steward.crm import jiandaoyun_members as members
from steward.crm.base import Capabilities
from steward.crm.jiandaoyun_many import ASKED, REFERENCES, ById, FilterOffError, Pointers, inside
from steward.crm.jiandaoyun_wire import BAD_FILTER, BAD_KEY, DENIED, NO_FORM, NO_RECORD, answer, code_of, form_of, open_wire
from steward.crm.mapping import Mapping as CrmMapping
from steward.crm.mapping import ObjectMapping
from steward.crm.pages import Page, Row
from steward.crm.profiles import Profile
from steward.crm.vendor import Access, VendorReader, switches
from steward.crm.wire import WireClock, clock_of, refused, unexpected
from steward.errors import SchemaMismatchError
from steward.messages import N_
from steward.records import Absent, Link, Record, RecordKey, Scalar, canonical_text

PAGE = 100

JIANDAOYUN_CAPABILITIES = Capabilities(
    system="jiandaoyun",
    conditional_delete=False,
    transactional=False,
    recycle_bin=False,
    restore_keeps_id=False,
    restore_moves_version=True,
    tells_who_deleted=False,
    per_id_result=False,
    batch_size=100,
    requests_per_minute=600,
    request_lifetime=90.0,
    empty_is_null=True,
    side_effects=("is_start_trigger", "is_start_workflow"),
    source="hc.jiandaoyun.com/open/11261 and the pages below it (API v5); docs/reference/jiandaoyun.md",
)

OPTIONS: Mapping[str, tuple[str, ...]] = {
    "absence": ("asked", "page"),
    "delete_by": ("one", "batch"),
    "lists": ("lag", "current"),
    "running_flow": ("stays", "goes"),
    "unmoved": ("skip", "read"),
}
"""Switches of a profile and their values, the careful one first.

``absence``: whether a record is absent only where the vendor, asked for it, says so, or also where a page that should hold it
does not. ``delete_by``: one call each, which answers for its record and is logged, or 100 in a call that answers with a
count. ``lists``: whether pages of records may lag behind a write, so that a writer asks for each record by itself, or show what
is. ``running_flow``: whether a record goes whose flow is running. ``unmoved``: whether a form that the vendor says did not
change since it was read is not read again (that this time moves with every write was observed), or is read all the same.
"""

SYSTEM = ("_id", "creator", "updater", "createTime", "updateTime", "flowState")
_ID = re.compile(r"[0-9a-f]{24}")

_KNOWN = frozenset({*SYSTEM, "appId", "entryId", "deleter", "deleteTime", "ext"})
"""What a row carries beside its widgets."""

WRITABLE = frozenset(
    {
        "text", "textarea", "number", "datetime", "radiogroup", "combo", "checkboxgroup", "combocheck", "sale_stage", "phone",
        "address", "location", "user", "usergroup", "dept", "deptgroup", "lookup", "linkobject",
    }
)  # fmt: skip
"""Kinds of field that a call may set; a subform beside them, as far as its columns are of these kinds."""

_FILES = frozenset({"image", "upload", "signature"})
_FILTERED = frozenset({"lookup", "user", "text", "combo", "radiogroup"})


class JiandaoyunReader(VendorReader):
    """Implements :class:`steward.crm.base.CrmReader` for Jiandaoyun.

    Parameters
    ----------
    profile : Profile
        ``token`` of ``[read]``: a key whose scope has list, get and widget calls only.
    """

    connector_version = "jiandaoyun/1"
    counts_exactly = False
    counts = False

    def __init__(
        self,
        profile: Profile,
        mapping: CrmMapping,
        *,
        kept: Path | None = None,
        write: bool = False,
        transport: httpx.BaseTransport | None = None,
        clock: WireClock | None = None,
    ) -> None:
        self.options = switches(profile, OPTIONS)
        one = self.options["delete_by"] == "one"
        self.capabilities = replace(JIANDAOYUN_CAPABILITIES, per_id_result=one) if one else JIANDAOYUN_CAPABILITIES
        super().__init__(mapping, open_wire(profile, write=write, transport=transport, clock=clock), kept=kept)
        self._widgets: dict[str, list[Mapping[str, Any]]] = {}
        self._moved: dict[str, str] = {}
        self._renamed: set[str] = set()
        self._single = write and self.options["lists"] == "lag"
        self._by_id = ById(self, self.options["absence"] == "page")
        self._pointers = Pointers(self)
        for entry in mapping.objects.values():
            if not members.is_members(entry):
                form_of(entry)

    def access(self) -> Access:
        """Return which mapped forms the key reaches; the vendor tells neither its name nor what else it may."""
        missing, headers = [], {}
        for entry in self.mapping.objects.values():
            if members.is_members(entry):
                missing += [] if members.reached(self.wire) else [entry.name]
                continue
            reply = self.wire.read("POST", "v5/app/entry/widget/list", json=form_of(entry))
            headers = dict(reply.headers)
            if code_of(reply) in BAD_KEY:
                raise refused(self.wire.host, reply.status, str(code_of(reply)))
            if code_of(reply) in DENIED | NO_FORM:
                missing.append(entry.name)
        return Access(clock_seconds=clock_of(headers), missing=tuple(missing))

    def widgets(self, entry: ObjectMapping) -> list[Mapping[str, Any]]:
        """Return the form's fields as the vendor describes them."""
        if entry.name not in self._widgets:
            said = answer(self.wire.read("POST", "v5/app/entry/widget/list", json=form_of(entry)), self.wire)
            self._moved[entry.name] = str(said.get("dataModifyTime") or "")
            self._widgets[entry.name] = [w for w in said.get("widgets", ()) if isinstance(w, dict) and w.get("widgetName")]
        return self._widgets[entry.name]

    def moved(self, entry: ObjectMapping) -> str | None:
        """Return when any record of the form last changed, as the vendor says now; None where it does not say."""
        if members.is_members(entry):
            return None
        self._describe_again(entry)
        return self._moved[entry.name] or None

    def describe(self, entry: ObjectMapping) -> tuple[str, ...]:
        """Return system fields and widget names."""
        if members.is_members(entry):
            return members.COLUMNS
        return (*SYSTEM, *(str(w["widgetName"]) for w in self.widgets(entry)))

    def pages(self, entry: ObjectMapping, cursor: Any) -> Iterator[Page]:
        """Yield pages ascending by id; the cursor is the last id seen. Rows are under their widget names already."""
        if members.is_members(entry):
            yield Page(members.all_members(self.wire), None)
            return
        before = _names(self._describe_again(entry))
        if cursor is None and self._moved[entry.name]:
            self.marks[entry.name] = self._moved[entry.name]
        last: str | None = cursor
        for rows in self.walk(entry, last):
            yield Page(rows, str(rows[-1]["_id"]))
        if _names(self._describe_again(entry)) != before or entry.name in self._renamed:
            self._renamed.discard(entry.name)
            self.doubts.append(f"{entry.name}: its fields were renamed while it was read")
        yield Page((), None)

    def walk(
        self, entry: ObjectMapping, last: str | None = None, filter: Mapping[str, Any] | None = None
    ) -> Iterator[list[dict[str, Any]]]:
        """Yield filled pages behind ``last``, refusing pages that do not move on."""
        while rows := self.page(entry, last, filter):
            ids = [str(r.get("_id", "")) for r in rows]
            if ids != sorted(set(ids)) or (last is not None and ids[0] <= last):
                raise SchemaMismatchError(
                    N_("{object}: the pages do not move on in the order of ids; records could be lost."), object=entry.name
                )
            last = ids[-1]
            yield rows

    def count(self, object: str) -> int:
        """Return 0: the vendor counts nothing."""
        self.entry(object)
        return 0

    def one(self, entry: ObjectMapping, id: str) -> Row | Absent | None:
        """Ask for one record; code 4001 is evidence of absence, an empty answer is none."""
        if members.is_members(entry):
            return members.member(self.wire, entry, id)
        key = RecordKey(entry.name, id)
        if not _ID.fullmatch(id):
            return Absent(key, how="no Jiandaoyun id")
        reply = self.wire.read("POST", "v5/app/entry/data/get", json={**form_of(entry), "data_id": id})
        if code_of(reply) == NO_RECORD:
            return Absent(key, how=str(NO_RECORD))
        row = answer(reply, self.wire).get("data")
        return self.by_widget(entry, row) if isinstance(row, dict) and row.get("_id") == id else None

    def fetch(self, object: str, ids: Sequence[str]) -> Mapping[str, Record | Absent]:
        """Return what each id is now, many in one page where that is worth it and a page may be believed.

        An id without a clear answer is left out.
        """
        entry, columns = self.entry(object), self.columns(object)
        wanted = [] if members.is_members(entry) or self._single else [i for i in ids if _ID.fullmatch(i)]
        rows, absent = self._by_id.find(entry, wanted)
        found: dict[str, Record | Absent] = {i: self.record(entry, columns, row) for i, row in rows.items()}
        found |= {i: Absent(RecordKey(object, i), how="page") for i in absent}
        found |= super().fetch(object, [i for i in ids if i not in found])
        return {i: found[i] for i in ids if i in found}

    def children(self, object: str, ids: Sequence[str]) -> Sequence[Link]:
        """Return every live reference of mapped objects to these records, those inside subforms too, mapped or not."""
        wanted, of_members = set(ids), members.is_members(self.entry(object))
        links: set[Link] = set()
        for child in self.mapping.objects.values():
            columns, mark = self.columns(child.name), self.moved(child)  # described anew, once for all that is asked of it
            kinds = {} if members.is_members(child) else self.kinds(child)
            named = {c for c, parent in child.parents.items() if parent == object}
            indexed = {c for c in named if kinds.get(c) in REFERENCES - _FILTERED}
            for column in sorted(named - indexed):
                for row in self._referring(child, column, ids):
                    record = self.record(child, columns, row)
                    parent = canonical_text(record.fields[column])
                    if parent in wanted and not record.deleted:
                        links.add(Link(record.key, column, RecordKey(object, parent)))
            if wanted and kinds and (indexed or (inside(self.widgets(child)) and not of_members)):
                for p in self._pointers.to(child, wanted, mark):
                    if p.column in indexed or "." in p.column:
                        links.add(Link(RecordKey(child.name, p.child), p.column, RecordKey(object, p.to)))
        return sorted(links, key=lambda link: (link.parent, link.child, link.field))

    def kinds(self, entry: ObjectMapping) -> dict[str, str]:
        """Return the kind of every field of a form by its widget name."""
        return {str(w["widgetName"]): str(w.get("type")) for w in self.widgets(entry)}

    def referring(self, child: ObjectMapping, column: str, ids: Sequence[str]) -> Iterator[Row]:
        """Yield rows of the child's form; those that refer to ``ids`` are among them, whether the filter works or not."""
        self._describe_again(child)
        yield from self._referring(child, column, ids)

    def _referring(self, child: ObjectMapping, column: str, ids: Sequence[str]) -> Iterator[Row]:
        widget = next((w for w in self.widgets(child) if w["widgetName"] == column), None)
        kind = str(widget.get("type")) if widget is not None else ""
        wanted = [i for i in ids if i]
        if widget is not None and kind in _FILTERED and wanted:
            yield from self._filtered(child, column, str(widget.get("name") or column), kind, wanted)
            return
        for rows in self.walk(child):
            yield from rows

    def _filtered(self, child: ObjectMapping, column: str, said: str, kind: str, wanted: Sequence[str]) -> Iterator[Row]:
        """Ask with a filter, by the name the wire knows; once it lets others through it is off, and one whole read does."""
        for start in range(0, len(wanted), ASKED):
            some = wanted[start : start + ASKED]
            condition = {"field": said, "type": kind, "method": "in", "value": some}
            asked = set(some)
            try:
                for rows in self.walk(child, None, {"rel": "and", "cond": [condition]}):
                    if any(plain(kind, r.get(column)) not in asked for r in rows):
                        raise FilterOffError
                    yield from rows
            except FilterOffError:
                for rows in self.walk(child):
                    yield from rows
                return

    def page(self, entry: ObjectMapping, last: str | None, filter: Mapping[str, Any] | None) -> list[dict[str, Any]]:
        """Return one page behind ``last``, under widget names; :class:`FilterOffError` where the filter is refused."""
        body: dict[str, Any] = {**form_of(entry), "limit": PAGE}
        if last is not None:
            body["data_id"] = last
        if filter is not None:
            body["filter"] = filter
        reply = self.wire.read("POST", "v5/app/entry/data/list", json=body)
        if filter is not None and code_of(reply) == BAD_FILTER:
            raise FilterOffError
        rows = answer(reply, self.wire).get("data")
        if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
            raise unexpected(self.wire.host, reply.status, "list")
        return [self.by_widget(entry, r) for r in rows]

    def _describe_again(self, entry: ObjectMapping) -> list[Mapping[str, Any]]:
        self._widgets.pop(entry.name, None)
        return self.widgets(entry)

    def by_widget(self, entry: ObjectMapping, row: Row) -> dict[str, Any]:
        """Return a row under widget names, its subforms' columns too; describe the form again for a name not known."""
        names = _names(self.widgets(entry))
        if any(said not in names and said not in _KNOWN for said in row):
            before, names = names, _names(self._describe_again(entry))
            if names != before:
                self._renamed.add(entry.name)
        made: dict[str, Any] = {}
        for said, value in row.items():
            name = names.get(said, said)
            if isinstance(value, list) and any(n.startswith(f"{name}.") for n in names.values()):
                value = [
                    {names.get(f"{name}.{k}", f".{k}").partition(".")[2]: v for k, v in line.items()}
                    if isinstance(line, dict)
                    else line
                    for line in value
                ]
            made[name] = value
        return made

    def flatten(self, entry: ObjectMapping, row: Row) -> dict[str, Scalar]:
        """Return the columns of a row: references as ids, people as user names, files without their passing links."""
        if members.is_members(entry):
            return {name: None if value in ("", [], {}) else value for name, value in row.items()}
        widgets = {str(w["widgetName"]): w for w in self.widgets(entry)}
        flat: dict[str, Scalar] = {}
        for name, value in row.items():
            if name in ("appId", "entryId", "deleter", "deleteTime"):
                continue
            if name in ("creator", "updater"):
                flat[name] = _username(value)
                continue
            widget = widgets.get(name, {})
            columns = {str(c.get("widgetName")): str(c.get("type")) for c in widget.get("items") or () if isinstance(c, dict)}
            flat[name] = plain(str(widget.get("type", "")), value, columns)
        return flat


def _names(widgets: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return what the wire may say → the widget's own name; a subform's column as ``subform.column``."""
    found: dict[str, str] = {}
    for said in ("widgetName", "name"):  # an alias outweighs a widget name that somebody gave another field as its alias
        for widget in widgets:
            name = str(widget["widgetName"])
            found[str(widget.get(said))] = name
            for column in widget.get("items") or ():
                if isinstance(column, dict) and column.get("widgetName"):
                    found[f"{name}.{column.get(said)}"] = f"{name}.{column['widgetName']}"
    return found


def plain(kind: str, value: Any, columns: Mapping[str, str] | None = None) -> Scalar:
    """Return the value of a widget as a record holds it; the vendor's several kinds of empty are all NULL.

    Parameters
    ----------
    columns : mapping or None
        Of a subform: column → its kind.
    """
    if value in ("", None) or value == [] or value == {}:
        return None
    match kind:
        case "phone" if isinstance(value, dict):
            return value.get("phone") or None
        case "user" if isinstance(value, dict):
            return _username(value)
        case "usergroup" if isinstance(value, list):
            return [_username(v) for v in value]
        case "dept" if isinstance(value, dict):
            return value.get("dept_no")
        case "deptgroup" if isinstance(value, list):
            return [v.get("dept_no") if isinstance(v, dict) else v for v in value]
        case "linkobject" if isinstance(value, dict):
            return value.get("link_id") or None
        case "linkdata" if isinstance(value, dict):
            return value.get("id") or None
    if kind in _FILES:
        files = value if isinstance(value, list) else [value]
        return [{k: v for k, v in f.items() if k != "url"} if isinstance(f, dict) else f for f in files]
    if kind == "subform" and isinstance(value, list):
        kinds = columns or {}
        lines = [{k: plain(kinds.get(k, ""), v) for k, v in r.items()} if isinstance(r, dict) else r for r in value]
        return [{k: v for k, v in r.items() if v is not None and k != "_id"} if isinstance(r, dict) else r for r in lines]
    return value  # type: ignore[no-any-return]  # JSON values are scalars


def _username(value: Any) -> Scalar:
    return value.get("username") if isinstance(value, dict) else value


__all__ = ["JIANDAOYUN_CAPABILITIES", "OPTIONS", "SYSTEM", "WRITABLE", "JiandaoyunReader", "plain"]
