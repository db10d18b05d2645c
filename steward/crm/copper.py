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
* Connect fields and files are in no record. ``children`` asks for them, and what they link counts as a child wherever
  deleting is for good; a record that only gets a mark keeps them.

Left to others: columns (``copper_fields``), changing anything (``steward.executor.writers.copper``), the mapping's words
(``steward.crm.mapping``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from steward.crm.copper_around import _ID, _IDS_A_SEARCH, CopperAround
from steward.crm.copper_fields import DELETED_TAG, FIELDS, columns_of, names_of
from steward.crm.copper_wire import COPPER_CAPABILITIES, OPTIONS, answer, is_unknown_record, open_wire
from steward.crm.mapping import Mapping as CrmMapping
from steward.crm.mapping import ObjectMapping
from steward.crm.pages import Page, Row
from steward.crm.profiles import Profile
from steward.crm.vendor import Access, switches
from steward.crm.wire import WireClock, clock_of, unexpected
from steward.errors import SchemaMismatchError
from steward.messages import N_
from steward.records import Absent, RecordKey, Scalar

PAGE = 200
CEILING = 100_000
"""Records that one search shows, however it is paged."""

_UNBOUNDED = ("activities", "users")
"""Entities without a filter on the moment of creation."""


class CopperReader(CopperAround):
    """Implements :class:`steward.crm.base.CrmReader` for Copper.

    Parameters
    ----------
    profile : Profile
        ``user`` and ``token`` of ``[read]``, or ``bearer``.
    transport, clock
        For tests.
    """

    connector_version = "copper/3"
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
        self.deleted_tag = self.options["deleted_tag"] or DELETED_TAG
        self.apart = self.options["system_activities"] == "apart"
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
        return names_of(entry.source, self.definitions())

    def definitions(self) -> list[Mapping[str, Any]]:
        """Return the account's custom fields, by id."""
        if self._custom is None:
            said = answer(self.wire.read("GET", "custom_field_definitions"), self.wire)
            self._custom = sorted((d for d in said if isinstance(d, dict)), key=lambda d: int(d["id"]))
        return self._custom

    def day_fields(self) -> frozenset[int]:
        """Return the ids of custom fields that hold a day."""
        return frozenset(int(d["id"]) for d in self.definitions() if d.get("data_type") == "Date")

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

    def made_since(self, entry: ObjectMapping, since: int) -> Iterator[Row]:
        """Yield rows that were made at or after ``since``, Unix seconds, as search sees them."""
        if entry.source not in _UNBOUNDED:
            yield from self._all(entry.source, {"minimum_created_date": since - 1} | self._converted(entry))
            return
        number = 1
        while entry.source == "activities":
            body = {"page_number": number, "page_size": PAGE, "sort_by": "date_created", "sort_direction": "desc"}
            found, total = self._search(entry.source, body)
            made = [at for row in found if isinstance(at := row.get("date_created"), int)]
            yield from (row for row in _live(found) if (row.get("date_created") or since) >= since)
            if (made and min(made) < since) or (not found and number * PAGE >= min(total or 0, CEILING)):
                return
            number += 1

    def with_emails(self, emails: Sequence[str]) -> Iterator[Row]:
        """Yield people who have one of the addresses now; one whom search does not know yet is missed."""
        wanted = {mail.casefold() for mail in emails}
        people = ObjectMapping(key="id", table="people", name="people")
        for hit in self._all("people", {"emails": list(emails)}):
            row = self.one(people, str(hit.get("id")))
            if isinstance(row, Mapping) and wanted & {
                str(one.get("email", "")).casefold() for one in row.get("emails") or [] if isinstance(one, dict)
            }:
                yield row

    def count(self, object: str) -> int:
        """Return the upper bound that the vendor gives, without those that are marked for deletion; where it gives none, how
        many records a read finds."""
        entry = self.entry(object)
        body: dict[str, Any] = {"page_number": 1, "page_size": 1, **self._converted(entry)}
        _, total = self._search(entry.source, body)
        if total is None:
            rows = {row.get("id"): row for page in self.pages(entry, None) for row in page.rows}
            return sum(
                1 for row in rows.values() if not (self.only_marks(entry) and self.deleted_tag in (row.get("tags") or ()))
            )
        if not self.only_marks(entry):
            return total
        _, marked = self._search(entry.source, {**body, "tags": [self.deleted_tag]})
        return total - (marked or 0)

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
        return Absent(key, how="stub") if row.get("is_deleted") is True else self.whole(entry.source, row)

    def _all(self, source: str, body: Mapping[str, Any]) -> Iterator[Row]:
        """Yield every row of a search: to an empty page past the total, or until as many came as the upper bound allows."""
        number = 1
        seen: set[Any] = set()
        sort = {} if source == "users" else {"sort_by": "date_created", "sort_direction": "asc"}
        while True:
            found, total = self._search(source, {**body, **sort, "page_number": number, "page_size": PAGE})
            if not found and number * PAGE >= min(total or 0, CEILING):
                return
            yield from _live(found)
            seen |= {row.get("id") for row in found}
            if total is not None and len(seen) >= total:
                return
            number += 1

    def _search(self, source: str, body: Mapping[str, Any]) -> tuple[list[dict[str, Any]], int | None]:
        reply = self.wire.read("POST", f"{source}/search", json=body)
        rows = answer(reply, self.wire)
        if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
            raise unexpected(self.wire.host, reply.status, "search")
        rows = [self.whole(source, row) for row in rows]
        total = reply.headers.get("x-pw-total", "")
        return rows, int(total) if total.isdigit() else None

    # values -----------------------------------------------------------------------------------------------------

    def flatten(self, entry: ObjectMapping, row: Row) -> dict[str, Scalar]:
        """Return the columns of a row; see :func:`steward.crm.copper_fields.columns_of`."""
        return columns_of(entry.source, row, self.day_fields, self.deleted_tag, apart=self.apart)


def _live(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row.get("is_deleted") is not True]


def _begin(rows: Sequence[Mapping[str, Any]], name: str = "date_created") -> int | None:
    """Return from when the next search is to begin: a second before the last row, in case the bound does not count itself
    in. None where the page does not stand in order, for then rows that were made earlier may still come."""
    made = [one for row in rows if isinstance(one := row.get(name), int)]
    return made[-1] - 1 if made and len(made) == len(rows) and made == sorted(made) else None
