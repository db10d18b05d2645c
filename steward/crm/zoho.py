"""Reads Zoho CRM (REST API v8). Reads only.

What is peculiar, each with a test of its name:

* A list answer cuts rich text at 500 characters and leaves subforms out: snapshots come from bulk read jobs, records by
  id are asked for in full, and all are brought to one form by the field's type, so that their digests agree.
* A refusal of the token service is status 200 with an *Access Denied* text: only an ``access_token`` is success.
* An empty answer is status 204 with no body. For one record it means *not live*; the recycle bin says who deleted it.
* Counts lag by minutes and are shown, never used. A bulk job says how many rows it wrote; the file must hold as many.
* ``search … equals`` means *contains*, so nothing here searches: references are asked for in COQL and compared again.
* Ids have up to 20 digits and are text from the first byte on.
* An organisation says whether it is a sandbox; a profile of the other kind is refused before a record is read.

Columns: every field of the module that all ways of reading give. Subforms and multi-select lookups are asked for beside
them and stand in ``more``, so that a backup is whole; files are not read, they move ``Modified_Time``, the version.

Left to others: changing anything (``steward.executor.writers.zoho``), tokens and errors (``steward.crm.zoho_wire``),
many ids at once (``steward.crm.zoho_many``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from steward.crm.base import Capabilities
from steward.crm.mapping import Mapping as CrmMapping
from steward.crm.mapping import ObjectMapping
from steward.crm.pages import Page, Row
from steward.crm.profiles import Profile
from steward.crm.vendor import Access, VendorReader, switches
from steward.crm.wire import WireClock, clock_of, unexpected
from steward.crm.zoho_file import file_rows
from steward.crm.zoho_many import FEW, ID, IN, ManyReads, bin_entry, chunks, lacking
from steward.crm.zoho_values import ASIDE, LEFT_OUT, beside, plain
from steward.crm.zoho_wire import OPTIONS, ZohoApi
from steward.errors import DeniedError, SchemaMismatchError, UnavailableError, WrongTargetError
from steward.messages import N_
from steward.records import Absent, Record, RecordKey, Scalar

__all__ = ["OPTIONS", "ZOHO_CAPABILITIES", "ZohoReader"]

ZOHO_CAPABILITIES = Capabilities(
    system="zoho",
    conditional_delete=False,
    transactional=False,
    recycle_bin=True,
    recycle_days=60,
    restore_keeps_id=True,
    restore_moves_version=True,
    tells_who_deleted=True,
    per_id_result=True,
    batch_size=100,
    requests_per_minute=None,
    request_lifetime=120.0,
    side_effects=("wf_trigger",),
    source="zoho.com/crm/developer/docs/api/v8: delete records, recycle bin, limits; docs/reference/zoho.md",
)

_COQL_ROWS = 200
_POLL_SECONDS = (1.0, 2.0, 5.0, 10.0, 15.0)
_POLLS = 400
_STALE_TOKEN = ("EXPIRED_VALUE", "TOKEN_BOUND_DATA_MISMATCH")
"""A page token is bound to the user and lives a day; after either, the read can only begin anew."""


class ZohoReader(VendorReader):
    """Implements :class:`steward.crm.base.CrmReader` for Zoho CRM.

    Parameters
    ----------
    profile : Profile
        ``[read]``: ``client_id``, ``client_secret``, ``refresh_token`` of a client without DELETE and UPDATE scopes.
    """

    connector_version = "zoho/2 full"
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
        # Version 7 lists and purges the recycle bin, and brings nothing back.
        self.capabilities = replace(ZOHO_CAPABILITIES, restore_keeps_id=self.options["api"] == "v8")
        self.connector_version = f"zoho/2 {self.options['subforms']}"  # what a record consists of
        self.api = ZohoApi(profile, write=write, transport=transport, clock=clock)
        super().__init__(mapping, self.api.wire, kept=kept)
        self._many = ManyReads(self.api)
        self._said: dict[str, dict[str, Mapping[str, Any]]] = {}
        self._fields: dict[str, dict[str, str]] = {}
        self._asides: dict[str, tuple[str, ...]] = {}
        self._organisation: Mapping[str, Any] | None = None

    def close(self) -> None:
        """Release connections."""
        self.api.close()

    # description ------------------------------------------------------------------------------------------------

    def access(self) -> Access:
        """Return organisation, its kind, scopes where the token says them, and modules that are not reached."""
        missing = []
        try:
            organisation = self.organisation()
        except DeniedError:
            organisation = {}
            missing.append("org")
        said = self.api.read("GET", "crm/v8/settings/modules")
        known = {str(m.get("api_name")) for m in said.get("modules", ()) if isinstance(m, dict)}
        for entry in self.mapping.objects.values():
            if entry.source == "users":
                continue
            if entry.source not in known:
                missing.append(entry.name)
                continue
            try:
                self.api.read("GET", f"crm/v8/{entry.source}", params={"fields": "id", "per_page": 1})
            except DeniedError:
                missing.append(entry.name)
        scopes = self.api.scopes
        return Access(
            organisation=str(organisation.get("company_name") or organisation.get("id") or ""),
            environment=str(organisation.get("type") or ""),
            acts_as=str(organisation.get("primary_zuid") or ""),
            scopes=scopes,
            may_write=any(s.endswith((".ALL", ".DELETE", ".UPDATE", ".CREATE", ".WRITE")) for s in scopes) if scopes else None,
            clock_seconds=clock_of(self.api.headers),
            missing=tuple(missing),
        )

    def organisation(self) -> Mapping[str, Any]:
        """Return what the organisation says of itself, and refuse where it is not of the profile's kind.

        Raises
        ------
        WrongTargetError
            A sandbox under a production profile, or the other way round.
        DeniedError, SchemaMismatchError
            The credential may not read it, or it does not say its kind.
        """
        if self._organisation is None:
            said = self.api.read("GET", "crm/v8/org").get("org") or [{}]
            found = said[0] if isinstance(said[0], dict) else {}
            kind = str(found.get("type") or "")
            if not kind:  # whether this is production is not known, so nothing is read
                raise unexpected(self.wire.host, 200, "org.type")
            if (kind == "production") != (self.environment == "production"):
                raise WrongTargetError(
                    N_("The organisation says it is {kind}, the profile says {environment}."),
                    next_step=N_("Mend the profile, or use the credential of the other organisation."),
                    kind=kind,
                    environment=self.environment,
                )
            self._organisation = found
        return self._organisation

    def kinds(self, entry: ObjectMapping) -> dict[str, str]:
        """Return the module's fields that both ways of reading give, with their types."""
        if entry.name not in self._fields:
            self.organisation()
            if entry.source == "users":
                self._fields[entry.name] = dict.fromkeys(("id", "full_name", "email", "status", "type__s"), "text")
            else:
                found = {n: str(f.get("data_type", "text")) for n, f in sorted(self.described(entry).items())}
                self._fields[entry.name] = {"id": "bigint_id"} | {n: k for n, k in found.items() if k not in ASIDE | LEFT_OUT}
        return self._fields[entry.name]

    def described(self, entry: ObjectMapping) -> Mapping[str, Mapping[str, Any]]:
        """Return what the vendor says of every field of a module, by name."""
        if entry.name not in self._said:
            said = self.api.read("GET", "crm/v8/settings/fields", params={"module": entry.source}).get("fields", [])
            self._said[entry.name] = {
                str(f["api_name"]): f
                for f in said
                if isinstance(f, dict) and f.get("api_name") and not str(f["api_name"]).startswith("$")
            }
        return self._said[entry.name]

    def asides(self, entry: ObjectMapping) -> tuple[str, ...]:
        """Return the fields that no list gives and that are asked for beside."""
        if entry.name not in self._asides:
            left_out = entry.source == "users" or self.options["subforms"] == "leave_out"
            said = {} if left_out else self.described(entry)
            self._asides[entry.name] = tuple(n for n, f in sorted(said.items()) if f.get("data_type") in ASIDE)
        return self._asides[entry.name]

    def describe(self, entry: ObjectMapping) -> tuple[str, ...]:
        """Return ``id`` and the fields, sorted."""
        return tuple(self.kinds(entry))

    # reading ----------------------------------------------------------------------------------------------------

    def pages(self, entry: ObjectMapping, cursor: Any) -> Iterator[Page]:
        """Yield the files of bulk read jobs as pages; the cursor is the next job's page token."""
        if entry.source == "users":
            yield from self._users(cursor)
            return
        begun = datetime.now(UTC)
        held = self._bin(entry, None) if cursor is None else None
        yield from self.bulk(entry, cursor)
        # What lies in the bin is not among the rows and may come back with its old time; some went there meanwhile.
        went = self._bin(entry, begun - timedelta(days=1)) if held is not None else None
        if held is not None and went is not None:
            self.marks[entry.name] = " ".join(sorted(held | went))

    def bulk(self, entry: ObjectMapping, cursor: str | None, criteria: Mapping[str, Any] | None = None) -> Iterator[Page]:
        """Yield the files of bulk read jobs as pages, all records or those of the criteria."""
        token: str | None = cursor
        while True:
            following = self._job(entry, token, criteria)
            if following is None:  # the vendor no longer takes the kept token: begin anew, what comes twice is given once
                token = None
                continue
            rows, token = following
            self._add_asides(entry, rows)
            yield Page(rows, token)
            if token is None:
                return

    def _add_asides(self, entry: ObjectMapping, rows: Sequence[dict[str, Any]]) -> None:
        """Put into the rows what the file leaves out.

        A record that went or changed meanwhile is told from its version later: what is here need not be of one moment.
        """
        names = self.asides(entry)
        if not names:
            return
        by_id = {str(row.get("id")): row for row in rows}
        if self.options["subforms"] == "single":
            for id, row in by_id.items():
                one = self.one(entry, id)
                if one is not None and not isinstance(one, Absent):
                    row |= {n: one.get(n) for n in names}
            return
        for part in chunks(list(by_id), 200):
            for id, more in self._many.full(entry.source, names, part).items():
                if len(more) < len(names):
                    raise lacking(entry.name, set(names) - more.keys())
                by_id[id] |= more

    def _bin(self, entry: ObjectMapping, since: datetime | None) -> set[str] | None:
        try:
            return set(self.binned(entry, since))
        except (DeniedError, SchemaMismatchError):  # then the next reading is a whole one
            return None

    def binned(self, entry: ObjectMapping, since: datetime | None, *, kind: str = "recycle") -> Iterator[str]:
        """Yield the ids that the vendor lists as deleted, all it still knows or those since a moment."""
        headers = {} if since is None else {"If-Modified-Since": since.isoformat(timespec="seconds")}
        number = 1
        while True:
            params = {"type": kind, "page": number, "per_page": 200}
            said = self.api.read("GET", f"crm/v8/{entry.source}/deleted", params=params, extra=headers)
            yield from (str(row["id"]) for row in said.get("data") or () if isinstance(row, dict) and row.get("id"))
            if not (said.get("info") or {}).get("more_records"):
                return
            number += 1

    def _job(
        self, entry: ObjectMapping, token: str | None, criteria: Mapping[str, Any] | None = None
    ) -> tuple[list[dict[str, Any]], str | None] | None:
        query: dict[str, Any] = {"module": {"api_name": entry.source}, "fields": list(self.kinds(entry))}
        if criteria is not None and token is None:
            query["criteria"] = criteria
        if token is None:
            query["page"] = 1
        else:
            query["page_token"] = token
        stale = _STALE_TOKEN if token is not None else ()
        said = self.api.read("POST", "crm/bulk/v8/read", absent=stale, json={"query": query, "file_type": "csv"})
        if stale and not said:
            return None
        job = str(said["data"][0]["details"]["id"])
        for attempt in range(_POLLS):
            state = self.api.read("GET", f"crm/bulk/v8/read/{job}")["data"][0]
            if state.get("state") == "COMPLETED":
                break
            if state.get("state") == "FAILURE":
                raise UnavailableError(N_("The bulk read of {object} failed at the CRM."), object=entry.name)
            self.wire.clock.sleep(_POLL_SECONDS[min(attempt, len(_POLL_SECONDS) - 1)])
        else:
            raise UnavailableError(N_("The bulk read of {object} does not come to an end at the CRM."), object=entry.name)
        result = state.get("result") or {}
        rows = file_rows(self.api.download(f"crm/bulk/v8/read/{job}/result"), entry.name, self.kinds(entry))
        if result.get("count") != len(rows):
            raise SchemaMismatchError(
                N_("{object}: the bulk read says {said} rows, its file holds {found}."),
                object=entry.name, said=result.get("count"), found=len(rows),
            )  # fmt: skip
        more = result.get("more_records")
        following = result.get("next_page_token") if more else None
        if more and not following:
            raise unexpected(self.wire.host, 200, "more_records")
        return rows, following

    def _users(self, cursor: Any) -> Iterator[Page]:
        number = cursor or 1
        while True:
            said = self.api.read("GET", "crm/v8/users", params={"type": "AllUsers", "page": number, "per_page": 200})
            rows = [u for u in said.get("users", ()) if isinstance(u, dict)]
            more = bool((said.get("info") or {}).get("more_records"))
            number += 1
            yield Page(rows, number if more else None)
            if not more:
                return

    def count(self, object: str) -> int:
        """Return the vendor's count, which lags by minutes."""
        entry = self.entry(object)
        if entry.source == "users":
            return sum(len(p.rows) for p in self._users(None))
        said = str(self.api.read("GET", f"crm/v8/{entry.source}/actions/count").get("count"))
        return int(said) if said.isdigit() else 0

    def one(self, entry: ObjectMapping, id: str) -> Row | Absent | None:
        """Read one record; not live is evidence together with what the recycle bin says of it."""
        key = RecordKey(entry.name, id)
        if not ID.fullmatch(id):
            return Absent(key, how="no Zoho id")
        said = self.api.read("GET", f"crm/v8/{entry.source}/{id}", absent=("INVALID_DATA",))
        rows = said.get("users" if entry.source == "users" else "data")
        if rows:
            row = rows[0]
            return row if isinstance(row, dict) and str(row.get("id")) == id else None
        if entry.source == "users":
            return Absent(key, how="not among users")
        try:
            bin = self.api.read("GET", f"crm/v8/settings/recycle_bin/{id}", absent=("INVALID_DATA",)).get("recycle_bin") or []
        except DeniedError:
            return Absent(key, how="not live; the recycle bin may not be read")
        found = bin_entry(entry, bin[0]) if bin else None
        if found is None or found.key != key:
            return Absent(key, how="not live, not in the recycle bin")
        return found

    def fetch(self, object: str, ids: Sequence[str]) -> Mapping[str, Record | Absent]:
        """Return what each id is now, a hundred in few calls; see :mod:`steward.crm.zoho_many`."""
        entry, columns = self.entry(object), self.columns(object)
        wanted = list(dict.fromkeys(ids))
        found: dict[str, Record | Absent] = {}
        if len(wanted) > FEW and entry.source != "users" and self.options["reads"] == "many":
            asides = self.asides(entry) if self.options["subforms"] == "full" else ()
            if bool(asides) == bool(self.asides(entry)):
                for id, row in self._many.rows(entry.source, list(self.kinds(entry)), asides, wanted).items():
                    found[id] = self.record(entry, columns, row)
            left = [i for i in wanted if i not in found]
            if len(left) > FEW:
                found |= self._many.binned(entry, left)
        left = [i for i in wanted if i not in found]
        return {**found, **super().fetch(object, left)} if left else found

    def referring(self, child: ObjectMapping, column: str, ids: Sequence[str]) -> Iterator[Row]:
        """Ask in COQL, which has no lag, for rows whose ``column`` is one of ``ids``."""
        wanted = [i for i in ids if ID.fullmatch(i)]
        for start in range(0, len(wanted), IN):
            listed = ", ".join(f"'{i}'" for i in wanted[start : start + IN])
            last = "0"
            while True:
                query = (
                    f"select id, {column} from {child.source} where ({column} in ({listed}) and id > {last}) "  # noqa: S608  digits only, and the mapping's names
                    f"order by id asc limit 0, {_COQL_ROWS}"
                )
                said = self.api.read("POST", "crm/v8/coql", json={"select_query": query})
                rows = said.get("data") or []
                yield from rows
                if not rows or (said.get("info") or {}).get("more_records") is False:
                    break
                last = str(rows[-1]["id"])

    # values -----------------------------------------------------------------------------------------------------

    def flatten(self, entry: ObjectMapping, row: Row) -> dict[str, Scalar]:
        """Return the columns of a row, in the same form whether it came from a file or from JSON."""
        kinds = self.kinds(entry)
        flat = {name: plain(kinds[name], row.get(name)) for name in kinds if name in row}
        for name in self.asides(entry):
            held = beside(row.get(name))
            if held is not None:
                flat[name] = held  # type: ignore[assignment]  # a JSON value
        return flat
