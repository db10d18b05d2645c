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

Left to others: changing anything (``steward.executor.writers.jiandaoyun``), proposing a mapping
(``steward.crm.jiandaoyun_map``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec

from steward.crm.base import Capabilities
from steward.crm.mapping import Mapping as CrmMapping
from steward.crm.mapping import ObjectMapping
from steward.crm.pages import Page, Row
from steward.crm.profiles import Profile, address, credential
from steward.crm.vendor import Access, VendorReader, switches
from steward.crm.wire import Limit, Reply, Throttle, Wire, WireClock, clock_of, refused, unexpected
from steward.errors import SchemaMismatchError, UsageError
from steward.messages import N_
from steward.records import Absent, RecordKey, Scalar

ADDRESS = "https://api.jiandaoyun.com/api"
PAGE = 100
_IN = 200
"""Values of one ``in`` filter: pages of the vendor say 200 and 1,000; the smaller is taken."""

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
    side_effects=("is_start_trigger",),
    source="hc.jiandaoyun.com/open/11261 and the pages below it (API v5); docs/reference/jiandaoyun.md",
)

OPTIONS: Mapping[str, tuple[str, ...]] = {
    "missing_record": ("4001", "4042"),
}
"""Switches of a profile and their values, the careful one first."""

SYSTEM = ("_id", "creator", "updater", "createTime", "updateTime", "flowState")
_TABLE = re.compile(r"([0-9a-f]{24})/([0-9a-f]{24})")
_ID = re.compile(r"[0-9a-f]{24}")

_WAIT = frozenset({8303, 8304, 4012, 9004, 9007})
_DENIED = frozenset({1058, 4025, 8302, 8017, 8301, 17018, 17052, 17053, 17054, 30002, 7103, 7206, 7212, 7221})
_BAD_KEY = frozenset({8017, 8301, 17018, 17052})
_NO_FORM = frozenset({2004, 3000})
_BAD_FILTER = 4815
NO_RECORD = 4001

_KNOWN = frozenset({*SYSTEM, "appId", "entryId", "deleter", "deleteTime", "ext"})
"""What a row carries beside its widgets."""

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
        switches(profile, OPTIONS)
        self.capabilities = JIANDAOYUN_CAPABILITIES
        super().__init__(mapping, open_wire(profile, write=write, transport=transport, clock=clock), kept=kept)
        self._widgets: dict[str, list[Mapping[str, Any]]] = {}
        self._moved: dict[str, str] = {}
        self._renamed: set[str] = set()
        for entry in mapping.objects.values():
            form_of(entry)

    def access(self) -> Access:
        """Return which mapped forms the key reaches; the vendor tells neither its name nor what else it may."""
        missing, headers = [], {}
        for entry in self.mapping.objects.values():
            reply = self.wire.read("POST", "v5/app/entry/widget/list", json=form_of(entry))
            headers = dict(reply.headers)
            if code_of(reply) in _BAD_KEY:
                raise refused(self.wire.host, reply.status, str(code_of(reply)))
            if code_of(reply) in _DENIED | _NO_FORM:
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
        self._describe_again(entry)
        return self._moved[entry.name] or None

    def describe(self, entry: ObjectMapping) -> tuple[str, ...]:
        """Return system fields and widget names."""
        return (*SYSTEM, *(str(w["widgetName"]) for w in self.widgets(entry)))

    def pages(self, entry: ObjectMapping, cursor: Any) -> Iterator[Page]:
        """Yield pages ascending by id; the cursor is the last id seen. Rows are under their widget names already."""
        before = _names(self._describe_again(entry))
        if cursor is None and self._moved[entry.name]:
            self.marks[entry.name] = self._moved[entry.name]
        last: str | None = cursor
        for rows in self._walk(entry, last, None):
            yield Page(rows, str(rows[-1]["_id"]))
        if _names(self._describe_again(entry)) != before or entry.name in self._renamed:
            self._renamed.discard(entry.name)
            self.doubts.append(f"{entry.name}: its fields were renamed while it was read")
        yield Page((), None)

    def _walk(self, entry: ObjectMapping, last: str | None, filter: Mapping[str, Any] | None) -> Iterator[list[dict[str, Any]]]:
        """Yield filled pages behind ``last``, refusing pages that do not move on."""
        while rows := self._list(entry, last, filter):
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
        key = RecordKey(entry.name, id)
        if not _ID.fullmatch(id):
            return Absent(key, how="no Jiandaoyun id")
        reply = self.wire.read("POST", "v5/app/entry/data/get", json={**form_of(entry), "data_id": id})
        if code_of(reply) == NO_RECORD:
            return Absent(key, how=str(NO_RECORD))
        row = answer(reply, self.wire).get("data")
        return self._by_widget(entry, row) if isinstance(row, dict) and row.get("_id") == id else None

    def referring(self, child: ObjectMapping, column: str, ids: Sequence[str]) -> Iterator[Row]:
        """Yield rows of the child's form; those that refer to ``ids`` are among them, whether the filter works or not."""
        widget = next((w for w in self._describe_again(child) if w["widgetName"] == column), None)
        kind = str(widget.get("type")) if widget is not None else ""
        wanted = [i for i in ids if i]
        if widget is not None and kind in _FILTERED and wanted:
            yield from self._filtered(child, column, str(widget.get("name") or column), kind, wanted)
            return
        for rows in self._walk(child, None, None):
            yield from rows

    def _filtered(self, child: ObjectMapping, column: str, said: str, kind: str, wanted: Sequence[str]) -> Iterator[Row]:
        """Ask with a filter, by the name the wire knows; once it lets others through it is off, and one whole read does."""
        for start in range(0, len(wanted), _IN):
            some = wanted[start : start + _IN]
            condition = {"field": said, "type": kind, "method": "in", "value": some}
            asked = set(some)
            try:
                for rows in self._walk(child, None, {"rel": "and", "cond": [condition]}):
                    if any(plain(kind, r.get(column)) not in asked for r in rows):
                        raise _FilterOffError
                    yield from rows
            except _FilterOffError:
                for rows in self._walk(child, None, None):
                    yield from rows
                return

    def _list(self, entry: ObjectMapping, last: str | None, filter: Mapping[str, Any] | None) -> list[dict[str, Any]]:
        body: dict[str, Any] = {**form_of(entry), "limit": PAGE}
        if last is not None:
            body["data_id"] = last
        if filter is not None:
            body["filter"] = filter
        reply = self.wire.read("POST", "v5/app/entry/data/list", json=body)
        if filter is not None and code_of(reply) == _BAD_FILTER:
            raise _FilterOffError
        rows = answer(reply, self.wire).get("data")
        if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
            raise unexpected(self.wire.host, reply.status, "list")
        return [self._by_widget(entry, r) for r in rows]

    def _describe_again(self, entry: ObjectMapping) -> list[Mapping[str, Any]]:
        self._widgets.pop(entry.name, None)
        return self.widgets(entry)

    def _by_widget(self, entry: ObjectMapping, row: Row) -> dict[str, Any]:
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


class _FilterOffError(Exception):
    """A filter was refused, or let through what it should not."""


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
        return [{k: v for k, v in r.items() if v is not None} if isinstance(r, dict) else r for r in lines]
    return value  # type: ignore[no-any-return]  # JSON values are scalars


def _username(value: Any) -> Scalar:
    return value.get("username") if isinstance(value, dict) else value


# the wire --------------------------------------------------------------------------------------------------------


def form_of(entry: ObjectMapping) -> dict[str, str]:
    """Return ``app_id`` and ``entry_id`` of an object.

    Raises
    ------
    SchemaMismatchError
        Its table is not ``APP_ID/ENTRY_ID``.
    """
    match = _TABLE.fullmatch(entry.source)
    if match is None:
        raise SchemaMismatchError(
            N_("{object}: the table of a Jiandaoyun form is APP_ID/ENTRY_ID, both of 24 hexadecimal digits."),
            next_step=N_("Propose a mapping with: steward connectors map --profile NAME"),
            object=entry.name,
        )
    return {"app_id": match[1], "entry_id": match[2]}


def open_wire(
    profile: Profile, *, write: bool = False, transport: httpx.BaseTransport | None = None, clock: WireClock | None = None
) -> Wire:
    """Return the wire of a profile with its key. All calls are POST; limits are those the vendor documents."""
    secrets = credential(profile, write=write)
    if "token" not in secrets:
        raise UsageError(N_("A Jiandaoyun credential is 'token': the API key."))
    token = secrets["token"]
    limits = (Limit(50, 1.0), Limit(30, 1.0, "*"), Limit(20, 1.0, "single"), Limit(10, 1.0, "batch"))
    real: dict[str, Any] = {} if clock is None else {"clock": clock}
    return Wire(
        address(profile, ADDRESS),
        lambda: {"Authorization": f"Bearer {token.reveal().decode()}", "Content-Type": "application/json"},
        Throttle(limits, clock=clock),
        throttled=lambda reply: reply.status == 429 or code_of(reply) in _WAIT,
        transport=transport,
        **real,
    )


def code_of(reply: Reply) -> int | None:
    """Return the vendor's code of a refusal; None where the answer has none, which is what success looks like."""
    if reply.status == 200:
        return None
    try:
        said = msgspec.json.decode(reply.body)
    except msgspec.MsgspecError:
        return None
    code = said.get("code") if isinstance(said, dict) else None
    return code if isinstance(code, int) else None


def answer(reply: Reply, wire: Wire) -> dict[str, Any]:
    """Return the JSON object of a good answer.

    Raises
    ------
    DeniedError
        The key, its scope or the plan does not allow the call.
    SchemaMismatchError
        The form is gone, or the answer is none of the contract's.
    """
    code = code_of(reply)
    if code in _DENIED or reply.status in (401, 403):
        raise refused(wire.host, reply.status, str(code or ""))
    if reply.status != 200:
        raise unexpected(wire.host, reply.status, str(code or ""))
    said = reply.json()
    if not isinstance(said, dict) or "code" in said:
        raise unexpected(wire.host, reply.status, str(said.get("code", "")) if isinstance(said, dict) else "")
    return said
