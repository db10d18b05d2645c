"""Changes Copper (Developer API v1): one record, one call; nothing is done twice and nothing is taken for granted.

What is peculiar, each with a test of its name:

* A deletion is for good, one record a call, without a condition. So the record is read directly before its own call, however
  short ago it was read, and asked once more for what hangs on it. Connect fields and files go with it and cannot be brought
  back: a record that has any stays.
* Deleting softly is a tag. All tags are sent, those just read and ours; a person's edit of another field is never touched.
* ``PUT`` changes what it names and ``null`` clears. A record that is made again has another id.
* The e-mail address of a person and the domain of a company exist once. A merge that gives the survivor the loser's therefore
  writes the survivor after the loser is gone; where the loser only gets a mark, it is refused. A record that cannot be made
  again because somebody has made one with its address since is a conflict, never tried again.
* A project's people, companies and deals, and a deal's second person, are related and stand in no field. Such a link is
  led elsewhere by two calls, the new one first: cut off between them, both are there and nothing is lost.
* Activities that Copper writes itself can be neither changed nor made: no merge moves them and nothing deletes them.
* Users are never written.

Left to others: bodies (``copper_payload``), the order of steps and what a lost answer means (``writers.vendor``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from steward.crm.copper import CopperReader
from steward.crm.copper_fields import SLOTS
from steward.crm.copper_wire import is_unknown_record
from steward.crm.mapping import ObjectMapping
from steward.crm.vendor import VendorReader
from steward.crm.wire import Reply, refused
from steward.errors import CrmError, OutcomeUnknownError, UnavailableError
from steward.executor.ports import Answer, Effect, Hook, Result, Unit, no_hook
from steward.executor.steps import StepLog
from steward.executor.writers.copper_payload import Payload, encode, resource, writable_columns
from steward.executor.writers.vendor import Refused, VendorWriter
from steward.messages import N_
from steward.records import Fields, Record, RecordKey, canonical_text

UNIQUE = {"people": frozenset({"emails", "email"}), "companies": frozenset({"email_domain"})}
"""Columns whose values exist once in an account."""


class CopperWriter(VendorWriter):
    """Implements :class:`steward.executor.writers.vendor.VendorWriter` for Copper."""

    def __init__(self, reader: VendorReader, steps: StepLog, *, hook: Hook = no_hook) -> None:
        super().__init__(reader, steps, hook=hook)
        self._copper = cast(CopperReader, reader)
        options = self._copper.options
        self._payload = Payload(
            self._copper.day_fields, self._copper.deleted_tag, seconds=options["written_dates"] == "seconds"
        )
        self._attempt = 1

    # what a vendor gives ----------------------------------------------------------------------------------------

    @property
    def me(self) -> str:
        """Return nothing: Copper does not say who deleted."""
        return ""

    def writable(self, entry: ObjectMapping, *, create: bool) -> frozenset[str]:
        """Return the columns that a call may set; none of a user's."""
        related = self._copper.options["related"] == "ask"
        return writable_columns(entry.source, self._copper.definitions(), create=create, related=related)

    def moved_columns(self, entry: ObjectMapping) -> frozenset[str]:
        """Return Copper's copy of the company's name, and the moment at which a deal's stage changed."""
        moved = {"people": ("company_name",), "opportunities": ("company_name", "date_stage_changed")}
        return frozenset(moved.get(entry.source, ()))

    def send_update(self, entry: ObjectMapping, record: Record, changes: Fields) -> None:
        """Set columns of a record by ``PUT``, and what is related to it by relating the new one before the old one goes."""
        self._never_users(entry)
        _never_system(record)
        path = f"{entry.source}/{record.key.id}"
        slots = {column: type for type, column in SLOTS.get(entry.source, {}).items() if column in changes}
        body = self._payload.update(entry.source, record.fields, {n: v for n, v in changes.items() if n not in slots})
        calls: list[tuple[str, str, dict[str, Any]]] = [("PUT", path, body)] if body else []
        for column, type in slots.items():
            old, new = record.fields.get(column), changes[column]
            if canonical_text(old) != canonical_text(new):
                ends = (("POST", new), ("DELETE", old))
                calls += [(verb, f"{path}/related", {"resource": resource(type, id)}) for verb, id in ends if id is not None]
        for n, (verb, place, asked) in enumerate(calls):
            try:
                reply = self.reader.wire.write(verb, place, content=encode(asked))
                if reply.status == 404 and is_unknown_record(reply):
                    raise Refused("absent", Answer.CHANGED)
                _done(reply, self.reader.wire.host)
            except (Refused, CrmError):
                if n:  # one call of several was made: what is there now must be read
                    raise OutcomeUnknownError(N_("The CRM's answer does not say what became of a record.")) from None
                raise

    def send_delete(self, entry: ObjectMapping, records: Sequence[Record], op: str) -> Mapping[str, Result]:
        """Delete a record for good.

        A second call would answer *unknown record* too, so that answer says *not ours* at a first attempt only; later it is
        left out and read.
        """
        self._never_users(entry)
        if op != "delete":
            raise Refused("no_recycle_bin")
        (record,) = records
        _never_system(record)
        reply = self.reader.wire.write("DELETE", f"{entry.source}/{record.key.id}")
        if reply.status == 404 and is_unknown_record(reply):
            return {record.key.id: Result(Answer.ABSENT, "absent")} if self._attempt == 1 else {}
        _done(reply, self.reader.wire.host)
        said = _said(reply)
        named = said.get("is_deleted") is True and str(said.get("id")) == record.key.id
        return {record.key.id: Result(Answer.DONE)} if named else {}

    def send_unbin(self, entry: ObjectMapping, id: str) -> None:
        """Refuse: there is no recycle bin."""
        raise Refused("no_recycle_bin")

    def send_insert(self, entry: ObjectMapping, fields: Fields) -> str:
        """Make a record by ``POST`` and return its new id."""
        self._never_users(entry)
        if entry.source == "activities" and fields.get("category") == "system":
            raise Refused("read_only")
        if self.taken(entry, fields):
            raise Refused("taken", Answer.CHANGED)
        reply = self.reader.wire.write("POST", entry.source, content=encode(self._payload.create(entry.source, fields)))
        _done(reply, self.reader.wire.host)
        id = _said(reply).get("id")
        if not isinstance(id, int):
            raise OutcomeUnknownError(N_("The CRM's answer does not say what became of a record."))
        return str(id)

    def made_since(self, entry: ObjectMapping, since: datetime) -> Iterator[Record]:
        """Yield what was made since. Activities have no such filter: they are read from the youngest on."""
        columns = self.reader.columns(entry.name)
        for row in self._copper.made_since(entry, int(since.timestamp())):
            yield self.reader.record(entry, columns, row)

    def taken(self, entry: ObjectMapping, fields: Fields, *, but: frozenset[str] = frozenset()) -> bool:
        """Say whether somebody else, whose id is not in ``but``, has an e-mail address of these fields.

        Search does not know the domain of a company: there Copper's own refusal says so.
        """
        mails = [str(e["email"]) for e in _entries(fields.get("emails")) if e.get("email")] if entry.source == "people" else []
        return bool(mails) and any(str(row.get("id")) not in but for row in self._copper.with_emails(mails))

    # what is refused before the first step ----------------------------------------------------------------------

    def apply(self, units: Sequence[Unit], *, manifest: str, attempt: int) -> Mapping[int, Result]:
        """Make units as the base does, merges in Copper's order."""
        self._attempt = attempt
        return super().apply([self._ordered(u) for u in units], manifest=manifest, attempt=attempt)

    def go_on(self, units: Sequence[Unit], *, manifest: str) -> Mapping[int, Result]:
        """Make the rest of interrupted units; what a lost call may have done is read, as at a second attempt."""
        self._attempt = 2
        return super().go_on([self._ordered(u) for u in units], manifest=manifest)

    def _ordered(self, unit: Unit) -> Unit:
        """Put a survivor that takes over a unique value after the record that has it, and before it when it gives it back."""
        unit = replace(unit, effects=tuple(_named(_no_second_primary(e)) for e in unit.effects))
        survivor = next((e for e in unit.effects if e.role == "survivor"), None)
        if survivor is None or not self._unique(survivor):
            return unit
        others = tuple(e for e in unit.effects if e is not survivor)
        back = any(e.op == "insert" for e in others)
        return replace(unit, effects=(survivor, *others) if back else (*others, survivor))

    def _unique(self, effect: Effect) -> bool:
        return bool(UNIQUE.get(self.mapping.objects[effect.before.key.object].source, frozenset()) & set(effect.changes))

    def _walk(self, unit: Unit, manifest: str) -> dict[int, str]:
        if unit.works[0].action == "merge_into":
            self._check_merge(unit)
        return super()._walk(unit, manifest)

    def _check_merge(self, unit: Unit) -> None:
        """Let a merge be that would stop half way, or lose what cannot move: nothing fails, it stays as it is."""
        losers = [e for e in unit.effects if e.role == "item"]
        survivor = next((e for e in unit.effects if e.role == "survivor"), None)
        for e in unit.effects:
            if e.role == "child" and is_system(e.before):
                raise Refused("read_only", Answer.CHANGED)
        for e in losers:
            if self._copper.lost_with(e.before.key.object, [e.before.key.id]):
                raise Refused("children_remain", Answer.CHANGED)
        if survivor is None or not self._unique(survivor):
            return
        if any(e.op == "update" for e in losers):
            raise Refused("taken", Answer.CHANGED)
        ours = frozenset({survivor.before.key.id, *(w.id for w in unit.works)})
        if self.taken(self.mapping.objects[survivor.before.key.object], survivor.changes, but=ours):
            raise Refused("taken", Answer.CHANGED)

    def _together(self, units: Sequence[Unit]) -> dict[int, Result]:
        """Delete a record for good: nothing may hang on it, not even since it was looked at."""
        (unit,) = units
        key = unit.effects[0].before.key
        if self._hangs(key):
            return {w.seq: Result(Answer.CHANGED, "children_changed") for w in unit.works}
        return super()._together(units)

    def _none_refers(self, effect: Effect, unit: Unit) -> None:
        """Ask as the base does, and look at the record once more: asking took several calls."""
        super()._none_refers(effect, unit)
        self._look_again([effect.before.key])
        self._compare(effect)

    def _hangs(self, key: RecordKey) -> bool:
        if self.mapping.objects[key.object].source in ("users", "activities"):
            return False
        if self.reader.children(key.object, [key.id]):
            return True
        # Where the mapping knows a mark, nobody has asked for what is lost with it.
        return self._copper.only_marks(self.mapping.objects[key.object]) and bool(self._copper.lost_with(key.object, [key.id]))

    def at_once(self, entry: ObjectMapping, op: str) -> int:
        """Return 1: there is no call that deletes several."""
        return 1

    def _look_again(self, keys: Sequence[RecordKey]) -> None:
        """Read, always: no condition guards the call, and the tags that are sent are those just read."""
        for key in keys:
            self._seen.pop(key, None)
        super()._look_again(keys)

    # answers ----------------------------------------------------------------------------------------------------

    def _never_users(self, entry: ObjectMapping) -> None:
        if entry.source == "users":
            raise Refused("not_writable")


def _done(reply: Reply, host: str) -> None:
    """Tell a clear refusal from an answer that nobody knows.

    Raises
    ------
    Refused, DeniedError
        Copper looked at the call and did nothing.
    OutcomeUnknownError
        An answer that its contract does not have.
    """
    if reply.status == 200:
        return
    if reply.status in (401, 403):
        raise refused(host, reply.status, "")
    if reply.status in (400, 404, 405, 409, 415, 422):
        raise Refused("refused")
    raise OutcomeUnknownError(N_("The CRM's answer does not say what became of a record."))


def _said(reply: Reply) -> dict[str, Any]:
    """Return an answer's object; an answer that is none says nothing, although the call was made."""
    try:
        said = reply.json()
    except UnavailableError:
        said = None
    return said if isinstance(said, dict) else {}


def _no_second_primary(effect: Effect) -> Effect:
    """Let the second person of a deal go where it would become the primary contact, who is not told a second time."""
    after = effect.after()
    second = canonical_text(effect.changes.get("related_person_id"))
    if effect.op != "update" or second is None or second != canonical_text(after.get("primary_contact_id")):
        return effect
    return replace(effect, changes={**effect.changes, "related_person_id": None})


def _named(effect: Effect) -> Effect:
    """Give a record that is made again a name where it had none: Copper would not take it, and a report says the difference."""
    fields = effect.after()
    if effect.op != "insert" or "name" not in fields or str(fields["name"] or "").strip():
        return effect
    words = [str(fields[n]) for n in ("first_name", "last_name") if fields.get(n)]
    name = " ".join(words) or str(fields.get("email") or "") or f"#{effect.before.key.id}"
    return replace(effect, changes={**effect.changes, "name": name})


def is_system(record: Record) -> bool:
    """Say whether a record is an activity that Copper wrote itself."""
    return record.fields.get("category") == "system"


def _never_system(record: Record) -> None:
    if is_system(record):
        raise Refused("read_only")


def _entries(value: object) -> list[dict[str, object]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


__all__ = ["UNIQUE", "CopperWriter"]
