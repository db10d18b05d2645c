"""Zoho's recycle bin: back out of it, or out of it for good, each step read.

A restore of more than a thousand rows is scheduled, without a job to ask: the record itself is looked at until it is there.
A purge takes only what the bin says we put there. Where the timeline of a record tells of an edit after the version that was
reviewed, the record is brought back instead; a timeline that says nothing of records in the bin does not hold a purge up.
A record with attachments is not purged at all unless the profile says so: no backup holds them.

Left to others: moving records into the bin (``writers.zoho``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from steward.crm.mapping import ObjectMapping
from steward.crm.zoho import ZohoReader
from steward.crm.zoho_many import IN, chunks
from steward.errors import CrmError, DeniedError, OutcomeUnknownError, SchemaMismatchError
from steward.executor.ports import Answer, Result
from steward.executor.writers.vendor import Refused
from steward.executor.writers.zoho_answers import one, ours, unclear, verdicts
from steward.records import Absent, Record

POLLS = (1.0, 2.0, 5.0, 10.0, 15.0, 15.0, 15.0, 15.0, 15.0, 15.0)
"""Seconds between looks at what the vendor has scheduled; after the last the outcome is unknown, and settled later."""
_COUNTS = "get_related_records_count"
_TOUCHED = frozenset({"updated", "find_and_merge_duplicate", "added_subform", "tag_added"})


class Bin:
    """The recycle bin of one organisation.

    Parameters
    ----------
    reader : ZohoReader
        With the credential to write.
    hook : callable
        Called with ``zoho.purge`` and ``zoho.purged`` around each purge.
    """

    def __init__(self, reader: ZohoReader, hook: Callable[[str], None]) -> None:
        self._reader, self._hook = reader, hook

    @property
    def _host(self) -> str:
        return self._reader.wire.host

    def restore(self, entry: ObjectMapping, id: str) -> None:
        """Bring one record back and return when it is there.

        Raises
        ------
        Refused
            ``no_restore``: this version of the API has none; ``parent_gone``; ``absent``: it does not lie there.
        OutcomeUnknownError
            Scheduled, and not there yet.
        """
        if self._reader.options["api"] != "v8":
            raise Refused("no_restore")
        reply = self._reader.api.write("POST", "crm/v8/settings/recycle_bin/actions/restore", json={"ids": [id]})
        code = one(verdicts(reply, "recycle_bin", self._host, [id]), id, self._host)
        if code == "SUCCESS":
            return
        if code != "SCHEDULED":
            raise unclear(self._host)
        for pause in POLLS:
            if isinstance(self._now(entry, [id]).get(id), Record):
                return
            self._reader.wire.clock.sleep(pause)
        raise unclear(self._host)

    def attached(self, entry: ObjectMapping, ids: Sequence[str]) -> set[str]:
        """Return which records have what no backup holds: attachments, and notes that are not mapped.

        Where the vendor does not say how many there are, there may be some.
        """
        if self._reader.options["attachments"] == "lose":
            return set()
        noted = any(o.source == "Notes" and entry.name in o.parents.values() for o in self._reader.mapping.objects.values())
        lists = ("Attachments",) if noted else ("Attachments", "Notes")
        asked = {_COUNTS: [{"related_list": {"api_name": name}} for name in lists]}
        return {id for id in ids if not self._none(f"crm/v8/{entry.source}/{id}/actions/{_COUNTS}", asked, lists)}

    def _none(self, path: str, asked: Mapping[str, object], lists: Sequence[str]) -> bool:
        try:
            said = self._reader.api.read("POST", path, json=asked).get(_COUNTS)
        except (SchemaMismatchError, DeniedError):  # a list that is hidden in the layout is not answered
            return False
        nested = said if isinstance(said, list) else []
        found = [x for part in nested for x in (part if isinstance(part, list) else [part]) if isinstance(x, dict)]
        counts = {str((x.get("related_list") or {}).get("api_name")): str(x.get("count")) for x in found}
        return all(counts.get(name) == "0" for name in lists)

    def purge(self, entry: ObjectMapping, versions: Mapping[str, str | None], me: str) -> dict[str, Result]:
        """Delete for good what lies in the bin by our hand.

        Parameters
        ----------
        versions : mapping of str to str or None
            Id → the version that was reviewed.

        Returns
        -------
        dict of str to Result
            By id; what is not certain is left out.
        """
        found: dict[str, Result] = {}
        now = self._now(entry, list(versions))
        mine = []
        for id in versions:
            at = now.get(id)
            if isinstance(at, Absent) and at.binned and at.deleted_by in (None, me):
                if self._edited(entry, id, versions[id]):
                    self._put_back(entry, id, found)
                else:
                    mine.append(id)
        for part in chunks(mine, IN):
            found |= self._purge(entry, part, me)
        return found

    def _purge(self, entry: ObjectMapping, ids: list[str], me: str) -> dict[str, Result]:
        self._hook("zoho.purge")
        try:
            reply = self._reader.api.write("DELETE", "crm/v8/settings/recycle_bin", params={"ids": ",".join(ids)})
            said = verdicts(reply, "recycle_bin", self._host, ids)
        except OutcomeUnknownError:
            return {}
        self._hook("zoho.purged")
        refused = {i: Result(Answer.REFUSED, ours(item)) for i, item in said.by_id.items() if item.get("status") == "error"}
        going = [i for i, item in said.by_id.items() if item.get("status") == "success"]
        scheduled = any(said.by_id[i].get("code") == "SCHEDULED" for i in going)
        for pause in POLLS if scheduled else POLLS[:1]:
            now = self._now(entry, going)
            left = [i for i in going if not _is_gone(now.get(i))]
            if not left:
                break
            if scheduled:
                self._reader.wire.clock.sleep(pause)
        found = {i: Result(Answer.DONE, by=me) for i in going if _is_gone(now.get(i))}
        for i, answer in refused.items():  # gone already, or brought back by somebody: it is read
            if answer.code != "not_a_value":
                found[i] = answer
        return found

    def _now(self, entry: ObjectMapping, ids: list[str]) -> Mapping[str, Record | Absent]:
        return self._reader.fetch(entry.name, ids) if ids else {}

    def _put_back(self, entry: ObjectMapping, id: str, found: dict[str, Result]) -> None:
        try:
            self.restore(entry, id)
        except (Refused, CrmError):
            found[id] = Result(Answer.REFUSED, "edited")
        else:
            found[id] = Result(Answer.CHANGED, "changed")

    def _edited(self, entry: ObjectMapping, id: str, version: str | None) -> bool:
        """Say whether the timeline tells of an edit after a version."""
        if self._reader.options["timeline"] == "off" or version is None:
            return False
        try:
            said = self._reader.api.read(
                "GET", f"crm/v8/{entry.source}/{id}/__timeline", absent=("INVALID_DATA", "INVALID_URL_PATTERN")
            )
            then = datetime.fromisoformat(version)
            lines = [x for x in said.get("__timeline") or () if isinstance(x, dict) and x.get("action") in _TOUCHED]
            return any(datetime.fromisoformat(str(x.get("audited_time"))) > then for x in lines)
        except (SchemaMismatchError, ValueError, TypeError):
            return False


def _is_gone(found: Record | Absent | None) -> bool:
    return isinstance(found, Absent) and not found.binned


__all__ = ["POLLS", "Bin"]
