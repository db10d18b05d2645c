"""Changes Zoho CRM (REST API v8; v7 without restores).

* A deletion goes to the recycle bin, a hundred ids a call; verdicts are matched by id. What is refused without an id is asked
  for again one by one: a refusal changed nothing.
* A hard deletion is two steps, bin and purge, and the bin is read between them: only what we put there is purged, and nothing
  that was changed after it was reviewed as far as the timeline says so. A purge that was cut off is gone on with when it is
  settled; by id it is safe to repeat.
* Workflows, approvals and the like start only where the manifest's ``wf_trigger`` says so.
* Users are deactivated and never deleted, whatever the mapping calls them.
* Never used: deletion by view or of a whole bin, filters, composite calls, and the vendor's own merge, which is not undone
  and names no moved record.

Left to others: order and looks (``writers.vendor``), values (``zoho_payload``), answers (``zoho_answers``), the way back out
of the bin and the purge (``zoho_bin``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from steward.crm.mapping import ObjectMapping
from steward.crm.wire import Reply, unexpected
from steward.crm.zoho import ZohoReader
from steward.crm.zoho_many import ID, IN, chunks
from steward.errors import CrmError, DeniedError, ThrottledError, UnavailableError
from steward.executor.ports import Answer, Effect, Hook, Result, Settled, Work, no_hook
from steward.executor.steps import Step, StepLog, part_of
from steward.executor.writers.vendor import Refused, VendorWriter
from steward.executor.writers.zoho_answers import Verdicts, made, one, result, unclear, verdicts
from steward.executor.writers.zoho_bin import Bin
from steward.executor.writers.zoho_payload import body, moved, payload, writable
from steward.records import Absent, Fields, Record, RecordKey

JSON = {"Content-Type": "application/json"}
_MODULE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,49}")
_COQL_ROWS = 200


class ZohoWriter(VendorWriter):
    """Implements :class:`steward.executor.ports.Writer` for Zoho CRM.

    Parameters
    ----------
    reader : ZohoReader
        With the credential to write.
    """

    reader: ZohoReader

    def __init__(self, reader: ZohoReader, steps: StepLog, *, hook: Hook = no_hook) -> None:
        super().__init__(reader, steps, hook=hook)
        self._bin = Bin(reader, self._hooked)
        self._me: str | None = None
        self._stuck: set[RecordKey] = set()

    def _hooked(self, name: str) -> None:
        self._hook(name)

    @property
    def me(self) -> str:
        """Id of the token's user, asked once.

        Raises
        ------
        SchemaMismatchError
            The vendor does not say: then our deletions could not be told from other people's.
        """
        if self._me is None:
            users = self.reader.api.read("GET", "crm/v8/users", params={"type": "CurrentUser"}).get("users") or []
            id = str(users[0].get("id") or "") if len(users) == 1 and isinstance(users[0], dict) else ""
            if not ID.fullmatch(id):
                raise unexpected(self.reader.wire.host, 200, "CurrentUser")
            self._me = id
        return self._me

    def writable(self, entry: ObjectMapping, *, create: bool) -> frozenset[str]:
        """Return the columns that a call may set; of a user whether it is active, and nothing else."""
        return writable(self.reader, entry, create=create)

    def moved_columns(self, entry: ObjectMapping) -> frozenset[str]:
        """Return times, last editor and computed fields."""
        return moved(self.reader, entry)

    # calls ------------------------------------------------------------------------------------------------------

    def send_update(self, entry: ObjectMapping, record: Record, changes: Fields) -> None:
        """Set fields of a record, refused by the vendor where it was changed since it was read."""
        id = _id(record.key.id)
        if entry.source == "users":
            status = str(changes["status"])
            if set(changes) != {"status"} or status not in ("active", "inactive"):
                raise Refused("not_writable")
            content = {"users": [{"id": id, "status": status}]}
            self._one(self.reader.api.write("PUT", f"crm/v8/users/{id}", json=content), "users", id)
            return
        sent = payload(self.reader, self.mapping, entry, changes)
        guard = self.reader.options["update_guard"]
        seen = record.fields.get("Modified_Time")
        extra = dict(JSON)
        if guard != "none" and isinstance(seen, str):
            extra[guard.replace("_", "-").title()] = seen.replace("Z", "+00:00")
        reply = self.reader.api.write(
            "PUT", f"crm/v8/{_module(entry)}/{id}", content=body(sent, workflows=self._workflows), extra=extra
        )
        self._one(reply, "data", id)

    def send_delete(self, entry: ObjectMapping, records: Sequence[Record], op: str) -> Mapping[str, Result]:
        """Move records to the bin, and for a hard deletion purge them from it."""
        module = _customers(entry)
        found: dict[str, Result] = {}
        ids = [_id(r.key.id) for r in records]
        if op == "delete":
            found = dict.fromkeys(self._bin.attached(entry, ids), Result(Answer.REFUSED, "attachments"))
            ids = [i for i in ids if i not in found]
        for part in chunks(ids, IN):
            found |= self._delete(module, part)
        if op == "delete":
            gone = {r.key.id: r.version for r in records if r.key.id in found and found[r.key.id].answer is Answer.DONE}
            for id in gone:
                del found[id]  # until the purge has been read
            self._hook("zoho.binned")
            try:
                said = self._bin.purge(entry, gone, self.me)
            except (CrmError, Refused):
                said = {}  # they lie in the bin: whatever stopped the purge, it is not true that nothing was changed
            found |= {i: r for i, r in said.items() if r.answer is not Answer.REFUSED}
        return found

    def _delete(self, module: str, ids: Sequence[str]) -> dict[str, Result]:
        params = {"ids": ",".join(ids), "wf_trigger": "true" if self._workflows else "false"}
        said = verdicts(self.reader.api.write("DELETE", f"crm/v8/{module}", params=params), "data", self._host, ids)
        if said.status >= 500:
            raise unclear(self._host)
        found = {id: r for id, item in said.by_id.items() if (r := result(item, self.me)) is not None}
        unnamed = [i for i in ids if i not in said.by_id]
        if not unnamed or len(said.nameless) != len(unnamed):
            return found  # an id that nothing was said of is read
        if len(ids) == 1:
            answer = result(said.nameless[0], self.me)
            return {ids[0]: answer} if answer is not None else {}
        return found | self._one_by_one(module, unnamed)

    def _one_by_one(self, module: str, ids: Sequence[str]) -> dict[str, Result]:
        """Ask again for what was refused without its id: the refusals are certain, only whose they are is not."""
        found: dict[str, Result] = {}
        for n, id in enumerate(ids):
            try:
                found |= self._delete(module, [id])
            except Refused as stop:
                found[id] = Result(stop.answer, stop.code)
            except DeniedError:
                found[id] = Result(Answer.REFUSED, "denied")
            except (ThrottledError, UnavailableError):
                return found | {i: Result(Answer.LATER, "throttled") for i in ids[n:]}
            except CrmError:  # this one is read; the others were refused the first time and not sent again
                return found | {i: Result(Answer.LATER, "stopped") for i in ids[n + 1 :]}
        return found

    def send_unbin(self, entry: ObjectMapping, id: str) -> None:
        """Bring a record back out of the bin under its own id."""
        _customers(entry)
        self._bin.restore(entry, _id(id))

    def send_insert(self, entry: ObjectMapping, fields: Fields) -> str:
        """Make a record."""
        module = _customers(entry)
        sent = payload(self.reader, self.mapping, entry, fields)
        reply = self.reader.api.write(
            "POST", f"crm/v8/{module}", content=body(sent, workflows=self._workflows), extra=dict(JSON)
        )
        return made(reply, self._host)

    def made_since(self, entry: ObjectMapping, since: datetime) -> Iterable[Record]:
        """Yield the live records that our user made since."""
        columns, module = self.reader.columns(entry.name), _customers(entry)
        ids = list(self._made(module, since.isoformat(timespec="seconds")))
        for part in chunks(ids, IN):
            for found in self.reader.fetch(entry.name, part).values():
                if isinstance(found, Record) and set(found.fields) == set(columns):
                    yield found

    def _made(self, module: str, since: str) -> Iterator[str]:
        last = "0"
        while True:
            query = (
                f"select id, Created_By from {module} where (Created_Time >= '{since}' and id > {last}) "  # noqa: S608  a module's name, a time, digits
                f"order by id asc limit 0, {_COQL_ROWS}"
            )
            rows = self.reader.api.read("POST", "crm/v8/coql", json={"select_query": query}).get("data") or []
            yield from (str(r["id"]) for r in rows if str((r.get("Created_By") or {}).get("id") or self.me) == self.me)
            if not rows:
                return
            last = str(rows[-1]["id"])

    # settling ---------------------------------------------------------------------------------------------------

    def settle(self, works: Sequence[Work], *, manifest: str) -> Mapping[int, Settled]:
        """Go on with purges that were cut off, then read as every vendor's writer does."""
        names = {w.seq: w.unit or f"#{w.seq}" for w in works}
        steps = self._steps.of(manifest, list(dict.fromkeys(names.values())))
        going = {s.key for found in steps.values() for s in found if s.op == "delete"}
        versions = {w.key: w.version for w in works}
        if going:
            binned = [k for k, r in self.read(sorted(going)).records.items() if isinstance(r, Absent) and r.binned]
            for entry in self.mapping.objects.values():
                self._finish(entry, {k.id: versions.get(k) for k in binned if k.object == entry.name})
        return super().settle(works, manifest=manifest)

    def _finish(self, entry: ObjectMapping, ids: Mapping[str, str | None]) -> None:
        if not ids:
            return
        keys = {RecordKey(entry.name, i) for i in ids}
        self._stuck -= keys
        try:
            said = self._bin.purge(entry, ids, self.me)
        except (DeniedError, Refused):
            self._stuck |= keys
        else:
            self._stuck |= {RecordKey(entry.name, i) for i, r in said.items() if r.answer is Answer.REFUSED}

    def _settled(
        self, work: Work, steps: Sequence[Step], records: Mapping[RecordKey, Record | Absent], manifest: str
    ) -> Settled | None:
        if work.key in self._stuck:  # in the bin, and no further: a restore brings it back
            return Settled("partly", by=self.me, made=(f"{work.key} bin",))
        return super()._settled(work, steps, records, manifest)

    def _state(self, step: Step, found: Record | Absent | None, manifest: str) -> tuple[str, str | None, str | None]:
        """A hard deletion is not made while the record lies in the bin."""
        if step.op == "delete" and isinstance(found, Absent) and found.binned:
            return ("unknown" if found.deleted_by in (None, self.me) else "gone"), found.deleted_by, None
        return super()._state(step, found, manifest)

    # small ------------------------------------------------------------------------------------------------------

    def _leaves(self, effect: Effect, names: Sequence[str]) -> str:
        """An empty text is read back as nothing."""
        if effect.op not in ("update", "insert"):
            return ""
        return part_of({n: None if v == "" else v for n, v in effect.after().items()}, names)

    @property
    def _workflows(self) -> bool:
        return "wf_trigger" in self.side_effects

    @property
    def _host(self) -> str:
        return self.reader.wire.host

    def _one(self, reply: Reply, name: str, id: str) -> None:
        found: Verdicts = verdicts(reply, name, self._host, [id])
        if one(found, id, self._host) != "SUCCESS":
            raise unclear(self._host)


def _module(entry: ObjectMapping) -> str:
    """Return the module's name for a path; ``Refused`` where it is none."""
    if not _MODULE.fullmatch(entry.source):
        raise Refused("not_a_module")
    return entry.source


def _customers(entry: ObjectMapping) -> str:
    """Return the module, which is not that of users."""
    module = _module(entry)
    if module.lower() in ("users", "user", "settings") or entry.role == "user":
        raise Refused("users_stay")
    return module


def _id(id: str) -> str:
    if not ID.fullmatch(id):
        raise Refused("not_an_id")
    return id


__all__ = ["ZohoWriter"]
