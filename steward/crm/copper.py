"""Reads Copper (Developer API v1). Reads only.

What is peculiar, each with a test of its name:

* Collections are read by ``POST /{entity}/search`` in pages of 200; a page may be short or empty before the end, hold nothing
  but stubs of deleted activities, and overlap with the one before. Reading ends at an empty page that lies past the total,
  never at a short one; a record that comes twice is taken once.
* Page numbers shift when a record before them is deleted, and one search shows at most 100,000 records. So each search
  begins anew from just before the last ``date_created`` read. Activities and users have no such filter: they are read by page
  number; more of them than one search shows is a doubt, and so is a total that falls meanwhile.
* ``X-PW-TOTAL`` is an upper bound and may be missing: it only keeps a read going. Without it a count is made by reading.
* A key sees what its owner sees and says nothing about the rest. Where the account has team permissions, a read is
  doubtful until the profile says ``sees_everything = "yes"``.
* Leads that were converted are left out unless asked for; the spelling of the switch is unverified, so it is an option.
* Connect fields are in no record. ``children`` asks for them, and what they link counts as a child.
* Times are Unix seconds; some dates come as ``mm/dd/yyyy`` and some as seconds. Both become ISO 8601.

Left to others: changing anything (``steward.executor.writers.copper``), the mapping's words (``steward.crm.mapping``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from steward.crm.base import Capabilities
from steward.crm.mapping import Mapping as CrmMapping
from steward.crm.mapping import ObjectMapping
from steward.crm.pages import Page, Row
from steward.crm.profiles import Profile, address, credential
from steward.crm.vendor import Access, VendorReader, switches
from steward.crm.wire import Limit, Reply, Throttle, Wire, WireClock, clock_of, refused, unexpected
from steward.errors import SchemaMismatchError, UsageError
from steward.messages import N_
from steward.records import Absent, Link, RecordKey, Scalar

ADDRESS = "https://api.copper.com/developer_api/v1"
PAGE = 200
CEILING = 100_000
"""Records that one search shows, however it is paged."""

_UNBOUNDED = ("activities", "users")
"""Entities without a filter on the moment of creation."""

COPPER_CAPABILITIES = Capabilities(
    system="copper",
    conditional_delete=False,
    transactional=False,
    recycle_bin=False,
    restore_keeps_id=False,
    restore_moves_version=True,
    tells_who_deleted=False,
    per_id_result=True,
    batch_size=1,
    requests_per_minute=180,
    request_lifetime=90.0,
    side_effects=(),
    source="developer.copper.com: requests, people, activities (Developer API v1); docs/reference/copper.md",
)

OPTIONS: Mapping[str, tuple[str, ...]] = {
    "sees_everything": ("no", "yes"),
    "converted_leads": ("include_converted_leads", "none"),
    "connect_fields": ("check", "ignore"),
    "requests_per_minute": (),
    "sort_by": (),
}
"""Switches of a profile and their values, the careful one first; without values: free text."""

_NAMES = ("prefix", "first_name", "middle_name", "last_name", "suffix")
_ADDRESS = ("street", "city", "state", "postal_code", "country")
_COMMON = (
    "id",
    "name",
    "assignee_id",
    "details",
    "tags",
    "custom_fields",
    "date_created",
    "date_modified",
    "interaction_count",
)
_REACH = ("address", "emails", "phone_numbers", "socials", "websites")

FIELDS: Mapping[str, tuple[str, ...]] = {
    "people": (
        *_COMMON, *_NAMES, *_REACH, "company_id", "company_name", "contact_type_id", "title", "date_last_contacted",
        "leads_converted_from", "date_lead_created",
    ),
    "companies": (*_COMMON, *_REACH, "contact_type_id", "email_domain", "primary_contact_id"),
    "leads": (
        *_COMMON, *_NAMES, "address", "email", "phone_numbers", "socials", "websites", "company_name", "customer_source_id",
        "monetary_value", "monetary_unit", "status", "status_id", "title", "date_last_contacted", "converted_at",
        "converted_contact_id", "converted_opportunity_id",
    ),
    "opportunities": (
        *_COMMON, "close_date", "company_id", "company_name", "customer_source_id", "date_last_contacted",
        "date_stage_changed", "leads_converted_from", "loss_reason_id", "monetary_value", "monetary_unit", "pipeline_id",
        "pipeline_stage_id", "primary_contact_id", "priority", "status", "win_probability",
    ),
    "projects": (*_COMMON, "related_resource", "status"),
    "tasks": (*_COMMON, "related_resource", "due_date", "reminder_date", "completed_date", "status", "priority"),
    "activities": ("id", "type", "parent", "details", "user_id", "activity_date", "old_value", "new_value",
                   "date_created", "date_modified"),
    "users": ("id", "name", "email", "groups"),
}  # fmt: skip
"""What the contract says each entity has. ``address``, ``custom_fields``, ``parent`` and the like become several columns."""

TYPES = {
    "people": "person", "companies": "company", "leads": "lead", "opportunities": "opportunity", "projects": "project",
    "tasks": "task", "activities": "activity_log", "users": "user",
}  # fmt: skip
_BY_TYPE = {v: k for k, v in TYPES.items()}
_PARENTS = ("person", "company", "lead", "opportunity", "project")

_SECONDS = frozenset({
    "date_created", "date_modified", "date_last_contacted", "date_lead_created", "date_stage_changed", "converted_at",
    "activity_date",
})  # fmt: skip
_DAYS = frozenset({"close_date", "due_date", "reminder_date", "completed_date"})

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


class CopperReader(VendorReader):
    """Implements :class:`steward.crm.base.CrmReader` for Copper.

    Parameters
    ----------
    profile : Profile
        ``user`` and ``token`` of ``[read]``, or ``bearer``.
    transport, clock
        For tests.
    """

    connector_version = "copper/2"
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
        self.capabilities = COPPER_CAPABILITIES
        super().__init__(mapping, open_wire(profile, write=write, transport=transport, clock=clock), kept=kept)
        for entry in mapping.objects.values():
            if entry.source not in FIELDS:
                raise SchemaMismatchError(
                    N_("Copper has no {table}; it has: {known}."), table=entry.source, known=", ".join(FIELDS)
                )
        self._custom: list[Mapping[str, Any]] | None = None
        self._asked_account = False
        self._sees_part = False

    def access(self) -> Access:
        """Return account and user; Copper does not say what a key may."""
        reply = self.wire.read("GET", "account")
        account = answer(reply, self.wire)
        user = answer(self.wire.read("GET", "users/me"), self.wire)
        missing = []
        for entry in self.mapping.objects.values():
            said = self.wire.read("POST", f"{entry.source}/search", json={"page_number": 1, "page_size": 1})
            if said.status in (401, 403):
                missing.append(entry.name)
        return Access(
            organisation=str(account.get("name") or account.get("id") or ""),
            acts_as=str(user.get("id") or ""),
            may_write=None,
            clock_seconds=clock_of(reply.headers),
            missing=tuple(missing),
        )

    # description ------------------------------------------------------------------------------------------------

    def describe(self, entry: ObjectMapping) -> tuple[str, ...]:
        """Return the contract's columns and one ``cf_<id>`` for each of the account's custom fields."""
        self._ask_account()
        found: list[str] = []
        for name in FIELDS[entry.source]:
            if name == "address":
                found += [f"address_{part}" for part in _ADDRESS]
            elif name == "custom_fields":
                found += [f"cf_{d['id']}" for d in self._definitions() if TYPES[entry.source] in d.get("available_on", ())]
            elif name in ("parent", "related_resource"):
                found += [f"{kind}_id" for kind in _PARENTS]
            elif name == "type":
                found += ["type_id", "category"]
            elif name == "emails":
                found += ["emails", "email"]
            elif name == "phone_numbers":
                found += ["phone_numbers", "phone"]
            else:
                found.append(name)
        return tuple(found)

    def _definitions(self) -> list[Mapping[str, Any]]:
        if self._custom is None:
            said = answer(self.wire.read("GET", "custom_field_definitions"), self.wire)
            self._custom = sorted((d for d in said if isinstance(d, dict)), key=lambda d: int(d["id"]))
        return self._custom

    def _day_fields(self) -> frozenset[int]:
        return frozenset(int(d["id"]) for d in self._definitions() if d.get("data_type") == "Date")

    def _ask_account(self) -> None:
        """A key of somebody with restricted teams looks exactly like one that sees all."""
        if self._asked_account:
            return
        self._asked_account = True
        said = answer(self.wire.read("GET", "account"), self.wire)
        settings = said.get("settings") if isinstance(said, dict) else None
        restricted = settings.get("setting_team_permissions_enabled") if isinstance(settings, dict) else None
        if restricted is not False and self.options["sees_everything"] != "yes":
            self._sees_part = True
            self.doubts.append("copper: the account has team permissions, so this key may see only part of the records")

    # reading ----------------------------------------------------------------------------------------------------

    def pages(self, entry: ObjectMapping, cursor: Any) -> Iterator[Page]:
        """Yield pages; the cursor is the next page's number, the ``date_created`` searched from and the total told."""
        number, since, told = cursor or (1, None, None)
        order = self.options["sort_by"] or "date_created"
        windows = entry.source not in _UNBOUNDED and order == "date_created"
        while True:
            body: dict[str, Any] = {"page_number": number, "page_size": PAGE}
            if entry.source != "users":
                body |= {"sort_by": order, "sort_direction": "asc"}
            if since is not None:
                body["minimum_created_date"] = since
            body |= self._converted(entry)
            found, total = self._search(entry.source, body)
            if not windows and told is not None and total is not None and total < told:
                self.doubts.append(f"{entry.name}: records went away during the read, so pages shifted; some may be missing")
                told = None  # said once
            elif total is not None:
                told = total
            if not found and number * PAGE >= min(total or 0, CEILING):
                yield Page((), None)
                return
            if number * PAGE >= CEILING:
                self.doubts.append(f"{entry.name}: more records than one search shows; some may be missing")
                yield Page(_live(found), None)
                return
            begin = _begin(found) if windows else None
            if begin is not None and (since is None or begin > since):
                number, since = 1, begin
            else:
                number += 1
            yield Page(_live(found), [number, since, told])

    def touched(self, entry: ObjectMapping, bound: str, order: str, since: int) -> Iterator[list[dict[str, Any]]]:
        """Yield rows whose time ``order`` is not before ``since``, Unix seconds; one that is changed meanwhile comes again."""
        number = 1
        while True:
            body: dict[str, Any] = {
                "page_number": number,
                "page_size": PAGE,
                "sort_by": order,
                "sort_direction": "asc",
                bound: since,
            }
            found, total = self._search(entry.source, body | self._converted(entry))
            if not found and number * PAGE >= min(total or 0, CEILING):
                return
            if number * PAGE >= CEILING:
                self.doubts.append(f"{entry.name}: more records than one search shows; some may be missing")
                return
            yield _live(found)
            begin = _begin(found, order)
            if begin is not None and begin > since:
                number, since = 1, begin
            else:
                number += 1

    def known(self, entry: ObjectMapping, ids: Sequence[str]) -> Iterator[list[Row]]:
        """Yield rows by id, as search sees them."""
        for start in range(0, len(ids), _IDS_A_SEARCH):
            yield list(self._all(entry.source, {"ids": [int(i) for i in ids[start : start + _IDS_A_SEARCH]]}))

    def count(self, object: str) -> int:
        """Return the upper bound that the vendor gives; where it gives none, how many records a read finds."""
        entry = self.entry(object)
        body: dict[str, Any] = {"page_number": 1, "page_size": 1, **self._converted(entry)}
        _, total = self._search(entry.source, body)
        if total is not None:
            return total
        return len({row.get("id") for page in self.pages(entry, None) for row in page.rows})

    def _converted(self, entry: ObjectMapping) -> dict[str, bool]:
        asked = entry.source == "leads" and self.options["converted_leads"] != "none"
        return {self.options["converted_leads"]: True} if asked else {}

    def one(self, entry: ObjectMapping, id: str) -> Row | Absent | None:
        """Ask for one record; 404 and the stub of a deleted activity are evidence of absence.

        A key that may see only part of the records may be told 404 of one that is there: then it is no evidence.
        """
        key = RecordKey(entry.name, id)
        if not _ID.fullmatch(id):
            return Absent(key, how="no Copper id")
        reply = self.wire.read("GET", f"{entry.source}/{id}")
        if reply.status == 404:
            self._ask_account()
            return Absent(key, how="404") if is_unknown_record(reply) and not self._sees_part else None
        row = answer(reply, self.wire)
        if not isinstance(row, dict):
            return None
        return Absent(key, how="stub") if row.get("is_deleted") is True else row

    def referring(self, child: ObjectMapping, column: str, ids: Sequence[str]) -> Iterator[Row]:
        """Yield rows that refer to ``ids``: by a filter where the entity has one, else through the parent."""
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
        """Return mapped references, and what only ``/related`` and connect fields know; those carry the field's name."""
        links = set(super().children(object, ids))
        source = self.entry(object).source
        objects = {entry.source: entry.name for entry in self.mapping.objects.values()}
        known = {(link.child, link.parent) for link in links}
        for id in ids:
            if not _ID.fullmatch(id) or source in ("users", "activities"):
                continue
            parent = RecordKey(object, id)
            for kind in ("opportunities", "projects", "tasks"):
                if kind in objects and objects[kind] != object:
                    for other in self._related(source, int(id), kind):
                        child = RecordKey(objects[kind], str(other))
                        if (child, parent) not in known:
                            links.add(Link(child, "related", parent))
            if self.options["connect_fields"] == "check":
                links |= self._connected(source, parent, objects)
        return sorted(links, key=lambda link: (link.parent, link.child, link.field))

    def _connected(self, source: str, parent: RecordKey, objects: Mapping[str, str]) -> set[Link]:
        reply = self.wire.read("GET", "related_links", params={"source_type": source, "source_id": parent.id})
        found: set[Link] = set()
        for link in answer(reply, self.wire):
            for end in (link.get("source"), link.get("target")):
                if not isinstance(end, dict):
                    continue
                module = str(end.get("entity_type", ""))
                module = _BY_TYPE.get(module, module)
                child = RecordKey(objects.get(module, module), str(end.get("id")))
                if child != parent:
                    found.add(Link(child, f"connect_{link.get('custom_field_definition_id')}", parent))
        return found

    def _related(self, source: str, id: int, kind: str) -> list[int]:
        reply = self.wire.read("GET", f"{source}/{id}/related/{kind}")
        if reply.status == 404 and is_unknown_record(reply):
            return []
        return [int(link["id"]) for link in answer(reply, self.wire) if link.get("type") == TYPES[kind]]

    def _all(self, source: str, body: Mapping[str, Any]) -> Iterator[Row]:
        number = 1
        sort = {} if source == "users" else {"sort_by": "date_created", "sort_direction": "asc"}
        while True:
            found, total = self._search(source, {**body, **sort, "page_number": number, "page_size": PAGE})
            if not found and number * PAGE >= min(total or 0, CEILING):
                return
            yield from _live(found)
            number += 1

    def _search(self, source: str, body: Mapping[str, Any]) -> tuple[list[dict[str, Any]], int | None]:
        reply = self.wire.read("POST", f"{source}/search", json=body)
        rows = answer(reply, self.wire)
        if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
            raise unexpected(self.wire.host, reply.status, "search")
        total = reply.headers.get("x-pw-total", "")
        return rows, int(total) if total.isdigit() else None

    # values -----------------------------------------------------------------------------------------------------

    def flatten(self, entry: ObjectMapping, row: Row) -> dict[str, Scalar]:
        """Return the columns of a row; see :data:`FIELDS`."""
        flat: dict[str, Scalar] = {}
        for name, value in row.items():
            if name == "address" and isinstance(value, dict):
                flat |= {f"address_{part}": v for part, v in value.items()}
            elif name == "custom_fields" and isinstance(value, list):
                days = self._day_fields()
                for field in value:
                    id, held = field["custom_field_definition_id"], field.get("value")
                    flat[f"cf_{id}"] = day(held) if id in days else held
            elif name in ("parent", "related_resource") and isinstance(value, dict):
                flat[f"{value.get('type')}_id"] = value.get("id")
            elif name == "type" and isinstance(value, dict):
                flat |= {"type_id": value.get("id"), "category": value.get("category")}
            elif name in ("emails", "phone_numbers") and isinstance(value, list):
                flat[name] = value or None
                flat["email" if name == "emails" else "phone"] = _first(value, "email" if name == "emails" else "number")
            elif name == "email" and isinstance(value, dict):  # a lead's; kept whole beside its address
                flat |= {"email": value.get("email"), "email_category": value.get("category")}
            elif name in _SECONDS:
                flat[name] = moment(value)
            elif name in _DAYS:
                flat[name] = day(value)
            else:
                flat[name] = value or None if isinstance(value, (list, dict)) else value
        return flat


def _first(values: Sequence[Any], name: str) -> str | None:
    for value in values:
        if isinstance(value, dict) and value.get(name):
            return str(value[name])
    return None


def _live(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row.get("is_deleted") is not True]


def _begin(rows: Sequence[Mapping[str, Any]], name: str = "date_created") -> int | None:
    """Return from when the next search is to begin: a second before the last row, in case the bound does not count itself
    in. None where the page does not stand in order, for then rows that were made earlier may still come."""
    made = [one for row in rows if isinstance(one := row.get(name), int)]
    return made[-1] - 1 if made and len(made) == len(rows) and made == sorted(made) else None


def moment(value: Any) -> Scalar:
    """Return Unix seconds as ISO 8601 in UTC; anything else as it is."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 40:
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return value  # type: ignore[no-any-return]  # JSON values are scalars


def day(value: Any) -> Scalar:
    """Return a day that comes as ``mm/dd/yyyy`` or as Unix seconds as ISO 8601; anything else as it is."""
    if isinstance(value, str) and (match := re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{4})", value)):
        return f"{match[3]}-{int(match[1]):02d}-{int(match[2]):02d}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 40:
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d")
    return value  # type: ignore[no-any-return]  # JSON values are scalars


# the wire --------------------------------------------------------------------------------------------------------


def open_wire(
    profile: Profile, *, write: bool = False, transport: httpx.BaseTransport | None = None, clock: WireClock | None = None
) -> Wire:
    """Return the wire of a profile with its credential."""
    secrets = credential(profile, write=write)
    headers: Callable[[], Mapping[str, str]]
    if "bearer" in secrets:
        bearer = secrets["bearer"]

        def headers() -> Mapping[str, str]:
            return {"Authorization": f"Bearer {bearer.reveal().decode()}", "Content-Type": "application/json"}
    elif {"user", "token"} <= secrets.keys():
        user, token = secrets["user"], secrets["token"]

        def headers() -> Mapping[str, str]:
            return {
                "X-PW-AccessToken": token.reveal().decode(),
                "X-PW-UserEmail": user.reveal().decode(),
                "X-PW-Application": "developer_api",
                "Content-Type": "application/json",
            }
    else:
        raise UsageError(N_("A Copper credential is 'user' and 'token', or 'bearer'."))
    said = switches(profile, OPTIONS)["requests_per_minute"]
    per_minute = int(said) if said.isdigit() and said != "0" else COPPER_CAPABILITIES.requests_per_minute or 1
    limits = (Limit(per_minute, 60.0), Limit(3, 1.0, "bulk"))
    real: dict[str, Any] = {} if clock is None else {"clock": clock}
    return Wire(address(profile, ADDRESS), headers, Throttle(limits, clock=clock), transport=transport, **real)


def answer(reply: Reply, wire: Wire) -> Any:
    """Return the JSON of an answer.

    Raises
    ------
    DeniedError
        401 or 403: credential, permissions, or a feature that is off.
    SchemaMismatchError
        Any other refusal: a body key or value the vendor does not know.
    """
    if reply.status in (401, 403):
        raise refused(wire.host, reply.status, "")
    if reply.status != 200:
        raise unexpected(wire.host, reply.status, "")
    return reply.json()


def is_unknown_record(reply: Reply) -> bool:
    """Say whether a 404 speaks of the record; ``{"error": …}`` speaks of a path that does not exist."""
    said = reply.json()
    return isinstance(said, dict) and said.get("success") is False and said.get("status") == 404
