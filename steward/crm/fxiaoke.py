"""Reads Fxiaoke (纷享销客, abroad ShareCRM), OpenAPI v2. Reads only.

What is peculiar, each with a test of its name:

* Every answer is status 200; ``errorCode`` says what happened. Texts change and are never looked at.
* Preset objects and custom ones (``…__c``) live under two paths; the wrong one fails.
* Deep reading is ordered by ``_id`` with a filter *greater than the last*, offset 0. Ids have two shapes, 24 and 32
  hexadecimal digits, and are compared as text. A short page is no end; an empty one is.
* NULL fields are left out of an answer unless asked for.
* Whether voided records show in a query is not documented: both are asked for, and a record that comes twice is one.
* ``x-fs-userid`` decides what is seen. A read is doubtful until the profile says ``sees_everything = "yes"``.
* An id that is refused is absent only for one who sees everything, by a code that is not one of the wire's own.
* Many ids are asked for by an IN filter; what it does not show is asked for one by one, which alone proves anything.
* Filters and orders may be ignored: pages that do not ascend by ``_id`` stop the read, they would lose records or never end.
* Personnel records may be hidden even from an administrator: none at all is a doubt. People are named by number.
* Fields with the endings ``__r __l __o __v __p __e __relation_ids`` are the server's own renderings and no values.

Left to others: changing anything (``steward.executor.writers.fxiaoke``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from steward.crm.base import Capabilities
from steward.crm.fxiaoke_wire import OF_THE_WIRE, OPTIONS, FxiaokeApi
from steward.crm.mapping import Mapping as CrmMapping
from steward.crm.mapping import ObjectMapping
from steward.crm.pages import Page, Row
from steward.crm.profiles import Profile
from steward.crm.vendor import Access, VendorReader, switches
from steward.crm.wire import WireClock, clock_of, unexpected
from steward.records import Absent, Fields, Record, RecordKey, Scalar, canonical_text

PAGE = 100
_IN = 20
"""Ids of one IN filter; the longest list is not documented, so it is kept short."""

FXIAOKE_CAPABILITIES = Capabilities(
    system="fxiaoke",
    conditional_delete=False,
    transactional=False,
    recycle_bin=True,
    recycle_days=None,
    restore_keeps_id=True,
    restore_moves_version=True,
    tells_who_deleted=False,
    per_id_result=False,
    batch_size=20,
    requests_per_minute=300,
    request_lifetime=90.0,
    side_effects=("triggerWorkFlow", "triggerApprovalFlow"),
    bin_call=True,
    source="developer.fxiaoke.com/openapi_v2; docs/reference/fxiaoke.md",
)

VOID = "invalid"
_RENDERINGS = ("__r", "__l", "__o", "__v", "__p", "__e", "__relation_ids")
TIMES = frozenset({"date_time", "date", "create_time", "last_modified_time"})
PEOPLE = frozenset({"employee", "department", "employee_many", "department_many", "owner", "out_owner"})


class FxiaokeReader(VendorReader):
    """Implements :class:`steward.crm.base.CrmReader` for Fxiaoke.

    Parameters
    ----------
    profile : Profile
        ``[read]``: ``app_id``, ``app_secret``, ``permanent_code`` and ``user_id`` (the employee whose sight is used).

    Attributes
    ----------
    exact : bool
        Fetch each record by a call of its own: a query may show it as it was a moment ago.
    """

    connector_version = "fxiaoke/1"
    counts_exactly = False

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
        self.capabilities = FXIAOKE_CAPABILITIES
        self.api = FxiaokeApi(profile, write=write, transport=transport, clock=clock)
        super().__init__(mapping, self.api.wire, kept=kept)
        self.exact = False
        self._described: dict[str, dict[str, Mapping[str, Any]]] = {}
        if self.options["sees_everything"] != "yes":
            self.doubts.append("fxiaoke: what is read is what one employee sees; nothing says whether that is all")

    def close(self) -> None:
        """Release connections."""
        self.api.close()

    def access(self) -> Access:
        """Return the enterprise, the acting employee and which objects they reach."""
        said, headers = self.api.read("cgi/crm/v2/object/list", {})
        known = {str(o.get("describeApiName")) for o in said.get("data", {}).get("objects", ()) if isinstance(o, dict)}
        missing = tuple(e.name for e in self.mapping.objects.values() if e.source not in known)
        return Access(
            organisation=self.api.enterprise, acts_as=self.api.acts_as, clock_seconds=clock_of(headers), missing=missing
        )

    def fields(self, entry: ObjectMapping) -> dict[str, Mapping[str, Any]]:
        """Return the object's fields as the tenant describes them, renderings left out."""
        if entry.name not in self._described:
            said, _ = self.api.read(
                "cgi/crm/v2/object/describe",
                {"includeDetail": False, "data": {"apiName": entry.source, "includeDetail": False}},
            )
            found = said.get("data", {}).get("describe", {}).get("fields", {})
            if not isinstance(found, dict) or not found:
                raise unexpected(self.wire.host, 200, "describe")
            self._described[entry.name] = {n: f for n, f in found.items() if not n.endswith(_RENDERINGS)}
        return self._described[entry.name]

    def describe(self, entry: ObjectMapping) -> tuple[str, ...]:
        """Return the id's column and the tenant's fields, sorted."""
        return (id_column(entry), *sorted(n for n in self.fields(entry) if n != "_id"))

    def pages(self, entry: ObjectMapping, cursor: Any) -> Iterator[Page]:
        """Yield pages in the order of ``_id``, first what a plain query shows, then what is voided."""
        passes = ["plain", "void"] if entry.soft_delete is not None and self.options["voided"] == "ask" else ["plain"]
        stage, last = cursor or (passes[0], None)
        while True:
            filters = [] if stage == "plain" else [condition("life_status", "EQ", [VOID])]
            if last is not None:
                filters.append(condition("_id", "GT", [last]))
            rows = self._query(entry, filters)
            if not rows:
                if stage == passes[-1]:
                    yield Page((), None)
                    return
                stage, last = "void", None
                continue
            last = self._ascended(rows, last)
            yield Page(rows, [stage, last])

    def touched(self, entry: ObjectMapping, since: datetime) -> Iterator[list[dict[str, Any]]]:
        """Yield rows that were changed since, and every voided one: whether voiding moves the time is not documented."""
        wanted = [condition("last_modified_time", "GTE", [str(int(since.timestamp() * 1000))])]
        voided = entry.soft_delete is not None and self.options["voided"] == "ask"
        for filters in [wanted, [condition("life_status", "EQ", [VOID])]] if voided else [wanted]:
            yield from self.matching(entry, filters)

    def matching(self, entry: ObjectMapping, filters: Sequence[Mapping[str, Any]]) -> Iterator[list[dict[str, Any]]]:
        """Yield pages of rows that pass filters, in the order of ``_id``; a filter may have been ignored."""
        last: str | None = None
        while rows := self._query(entry, [*filters, *([condition("_id", "GT", [last])] if last else [])]):
            yield rows
            last = self._ascended(rows, last)

    def known(self, entry: ObjectMapping, ids: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
        """Yield rows by id, voided ones too."""
        for start in range(0, len(ids), _IN):
            same = condition("_id", "IN", ids[start : start + _IN])
            yield self._query(entry, [same])
            yield self._query(entry, [same, condition("life_status", "EQ", [VOID])])

    def unvoided(self, entry: ObjectMapping) -> int | None:
        """Return the vendor's total of records that are not voided; None where it gives none."""
        said = self._ask(entry, [condition("life_status", "N", [VOID])], limit=1, count=True).get("total")
        return said if isinstance(said, int) else None

    def scan(self, object: str, *, batch: int = 5_000) -> Iterator[list[Record]]:
        """Yield every record once; employees of whom none is shown are a doubt, also where the read was resumed."""
        came = False
        for records in super().scan(object, batch=batch):
            came = True
            yield records
        if not came and self.entry(object).source == "PersonnelObj":
            self.doubts.append("fxiaoke: PersonnelObj shows nobody; it is hidden from this employee")

    def count(self, object: str) -> int:
        """Return the total of records that are not voided, as the vendor counts; 0 where it gives none."""
        return self.unvoided(self.entry(object)) or 0

    def fetch(self, object: str, ids: Sequence[str]) -> Mapping[str, Record | Absent]:
        """Return what each id is now, twenty in one or two queries; what those do not show is asked for by itself."""
        wanted = list(dict.fromkeys(ids))
        if self.exact or len(wanted) < 2:
            return super().fetch(object, wanted)
        entry, columns = self.entry(object), self.columns(object)
        rows: dict[str, Row] = {}
        for start in range(0, len(wanted), _IN):
            missing = [i for i in wanted[start : start + _IN] if i]
            for voided in ([], [condition("life_status", "EQ", [VOID])]):
                if missing:
                    shown = self._query(entry, [condition(entry.key, "IN", missing), *voided])
                    rows |= {key: row for row in shown if (key := canonical_text(row.get(entry.key))) in missing}
                    missing = [i for i in missing if i not in rows]
        found: dict[str, Record | Absent] = {}
        for id in wanted:
            said = rows[id] if id in rows else self.one(entry, id)
            if said is not None:
                found[id] = said if isinstance(said, Absent) else self.record(entry, columns, said)
        return found

    def record(self, entry: ObjectMapping, columns: Sequence[str], row: Row) -> Record:
        """Return the record of a row; who voided it is its last editor, where the profile says that voiding stamps that."""
        found = super().record(entry, columns, row)
        if found.deleted and self.options["who_voided"] == "stamped":
            return replace(found, deleted_by=canonical_text(found.fields.get("last_modified_by")))
        return found

    def untouchable(self, record: Record) -> str:
        """Return why a record must not be written now: locked, under approval, not in force."""
        return refusal(record.fields)

    def one(self, entry: ObjectMapping, id: str) -> Row | Absent | None:
        """Ask for one record. A refusal alone proves nothing; three answers that do not know the id together do."""
        if entry.key != "_id":  # ``get`` knows record ids alone; that a hidden object shows nothing is no absence
            return self._shown(entry, entry.key, id)
        body = {"includeNull": True, "data": {"dataObjectApiName": entry.source, "objectDataId": id}}
        said, _ = self.api.patiently(f"{path_of(entry)}/get", body)
        code = said.get("errorCode")
        self.api.check_day(code)
        if code == 0:
            row = said.get("data")
            return row if isinstance(row, dict) and row.get("_id") == id else None
        if code in OF_THE_WIRE:
            return None
        found = self._shown(entry, "_id", id)
        if found is not None or self.options["sees_everything"] != "yes":
            return found
        return Absent(RecordKey(entry.name, id), how=f"errorCode {code}, and in no query")

    def _shown(self, entry: ObjectMapping, column: str, value: str) -> Row | None:
        same = condition(column, "EQ", [value])
        for filters in ([same], [same, condition("life_status", "EQ", [VOID])]):
            for row in self._query(entry, filters):
                if row.get(column) == value:
                    return row
        return None

    def _ascended(self, rows: Sequence[Row], last: str | None) -> str:
        """Return the last id of a page that ascends from ``last``; anything else means filter or order was ignored."""
        for row in rows:
            id = row.get("_id")
            if not isinstance(id, str) or not id or (last is not None and id <= last):
                raise unexpected(self.wire.host, 200, "order")
            last = id
        assert last is not None
        return last

    def referring(self, child: ObjectMapping, column: str, ids: Sequence[str]) -> Iterator[Row]:
        """Yield rows of the child object whose lookup holds one of ``ids``."""
        wanted = [i for i in ids if i]
        for start in range(0, len(wanted), _IN):
            for rows in self.matching(child, [condition(column, "IN", wanted[start : start + _IN])]):
                yield from rows

    def _query(self, entry: ObjectMapping, filters: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        rows = self._ask(entry, filters, limit=PAGE, count=False).get("dataList")
        if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
            raise unexpected(self.wire.host, 200, "dataList")
        return rows

    def _ask(self, entry: ObjectMapping, filters: Sequence[Mapping[str, Any]], *, limit: int, count: bool) -> dict[str, Any]:
        body = {
            "includeNull": True,
            "data": {
                "dataObjectApiName": entry.source,
                "find_explicit_total_num": count,
                "search_query_info": {
                    "limit": limit, "offset": 0, "filters": list(filters), "orders": [{"fieldName": "_id", "isAsc": True}],
                },
            },
        }  # fmt: skip
        said, _ = self.api.read(f"{path_of(entry)}/query", body)
        data = said.get("data")
        if not isinstance(data, dict):
            raise unexpected(self.wire.host, 200, "query")
        return data

    def flatten(self, entry: ObjectMapping, row: Row) -> dict[str, Scalar]:
        """Return the columns of a row: times as ISO 8601, one person as one id, renderings left out."""
        kinds = {name: str(field.get("type", "")) for name, field in self.fields(entry).items()}
        named = {"_id": id_column(entry)}
        return {named.get(n, n): plain(kinds.get(n, ""), n, v) for n, v in row.items() if not n.endswith(_RENDERINGS)}


def plain(kind: str, name: str, value: Any) -> Scalar:
    """Return a field's value as a record holds it."""
    if value in ("", None) or value == [] or value == {}:
        return None
    if (kind in TIMES or name in TIMES) and isinstance(value, int) and not isinstance(value, bool):
        moment = datetime.fromtimestamp(value / 1000, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if (kind in PEOPLE or name in PEOPLE) and isinstance(value, list) and len(value) == 1:
        return str(value[0])
    return value  # type: ignore[no-any-return]  # JSON values are scalars


def refusal(fields: Fields) -> str:
    """Return why a record must not be written now: locked, or not in force; empty where it may be."""
    if str(fields.get("lock_status") or "0") != "0":
        return "locked"
    status = fields.get("life_status")
    if status in (None, "", "normal", "invalid"):
        return ""
    return "not_in_force" if status == "ineffective" else "in_approval"


def condition(field: str, operator: str, values: Sequence[str]) -> dict[str, Any]:
    """Return one filter."""
    return {"field_name": field, "operator": operator, "field_values": list(values)}


def id_column(entry: ObjectMapping) -> str:
    """Return the column of ``_id``: a workspace keeps that name for the key, so beside another key it is ``record_id``."""
    return "_id" if entry.key == "_id" else "record_id"


def path_of(entry: ObjectMapping) -> str:
    """Return the path of an object's data calls: custom objects have their own."""
    return "cgi/crm/custom/v2/data" if entry.source.endswith("__c") else "cgi/crm/v2/data"
