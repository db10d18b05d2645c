"""Changes Tryton 8.2 over JSON-RPC. Every write is conditional: Tryton compares ``_timestamp`` itself.

* A deletion for good is refused while anything refers to the record, mapped or not, live or archived: Tryton would empty the
  references of deals without a word and take addresses, notes and attachments along. They are looked for right before.
* Deleting what is gone already answers the same as deleting: what is gone is searched for afterwards.
* Records that change alike go in one call, which is one transaction. One refusal undoes the whole call, so a group that was
  refused is halved until the one that cannot go stands alone.
* A warning for people is a stop: it is never answered for them.
* Merges are made of single steps. Tryton's own (``party.replace``) is not used: what it merged away can never be active again.
* Users are never deleted and never made; of a user only ``active`` is ever written.

With the switch ``party_erase`` a party whose name is removed is archived and erased by Tryton's wizard, with its addresses and
contact mechanisms. That is for ever, and no backup of those is made: it is meant for requests to be forgotten.

Left to others: order and comparing (``vendor``), values (``tryton_payload``), reading (``steward.crm.tryton``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, cast

from steward.crm.mapping import ObjectMapping
from steward.crm.tryton import TrytonReader, TrytonRefusal
from steward.crm.vendor import MORE, VendorReader
from steward.errors import DeniedError, OutcomeUnknownError
from steward.executor.ports import Answer, Effect, Hook, Result, Unit, no_hook
from steward.executor.steps import StepLog
from steward.executor.writers.tryton_payload import locked, moment, parts_typed, typed
from steward.executor.writers.vendor import Refused, VendorWriter
from steward.messages import N_
from steward.records import Absent, Fields, Record, RecordKey, canonical_text

USERS = "res.user"
PARTIES = "party.party"
_MOVED = ("write_date", "write_uid", "last_modification")
_CODES = {"ConcurrencyException": ("changed", Answer.CHANGED), "UserWarning": ("warning", Answer.REFUSED)}


class TrytonWriter(VendorWriter):
    """Implements :class:`steward.executor.ports.Writer` for Tryton."""

    def __init__(self, reader: VendorReader, steps: StepLog, *, hook: Hook = no_hook) -> None:
        super().__init__(reader, steps, hook=hook)
        self._tryton = cast(TrytonReader, reader)
        self._tryton.with_files = True

    @property
    def me(self) -> str:
        """Id of the user: the latest writer of an archived record."""
        return str(self._tryton.api.signed_in())

    def writable(self, entry: ObjectMapping, *, create: bool) -> frozenset[str]:
        """Return stored fields that are not computed; of a new record also what belongs to it."""
        if _is_user(entry):
            return frozenset() if create else frozenset({"active"})
        names = {n for n, f in self._tryton.kinds(entry).items() if not f.get("readonly") and n != "id"}
        return frozenset(names | ({MORE, *self._tryton.parts(entry).files} if create else set()))

    def moved_columns(self, entry: ObjectMapping) -> frozenset[str]:
        """Return who wrote last and when."""
        return frozenset(n for n in _MOVED if n in self._tryton.kinds(entry))

    # a call each --------------------------------------------------------------------------------------------------

    def send_update(self, entry: ObjectMapping, record: Record, changes: Fields) -> None:
        """Write fields of one record under the condition that it is as it was read."""
        values = self._values(entry, changes)
        self._write(entry, f"model.{entry.source}.write", [[int(record.key.id)], values], [record])
        if "party_erase" in self.side_effects and entry.source == PARTIES and "name" in changes and not changes["name"]:
            self._erase(int(record.key.id))

    def send_delete(self, entry: ObjectMapping, records: Sequence[Record], op: str) -> Mapping[str, Result]:
        """Delete records for good, all in one transaction; halved where one of them is refused."""
        if _is_user(entry):
            raise Refused("users_stay")
        if op != "delete":
            raise Refused("no_recycle_bin")
        results: dict[str, Result] = {}
        files = self._tryton.parts(entry).files
        bound = {
            link.parent.id
            for find in (self._tryton.children, self._tryton.hidden)
            for link in find(entry.name, [r.key.id for r in records])
            if link.child not in {r.key for r in records}
        }
        going = []
        for record in records:
            if record.key.id in bound:
                results[record.key.id] = Result(Answer.CHANGED, "children_changed")
            elif any(isinstance(record.fields.get(n), dict) for n in files):  # its size stands there
                results[record.key.id] = Result(Answer.REFUSED, "file_too_large")
            else:
                going.append(record)
        said = self._halving(entry, "delete", [], going)
        ids = [int(i) for i, r in said.items() if r.answer is Answer.DONE]
        left = {str(i) for i in self._tryton.api.call(f"model.{entry.source}.search", [[["id", "in", ids]], 0, None, None])}
        return results | {i: r for i, r in said.items() if i not in left}

    def _halving(self, entry: ObjectMapping, method: str, more: list[Any], records: Sequence[Record]) -> dict[str, Result]:
        """Change records in one transaction; in two where one of them is refused."""
        if not records:
            return {}
        try:
            self._write(entry, f"model.{entry.source}.{method}", [[int(r.key.id) for r in records], *more], records)
        except Refused as stop:
            if len(records) == 1:
                return {records[0].key.id: Result(stop.answer, stop.code)}
            half = len(records) // 2
            parts = (records[:half], records[half:])
            return {i: r for part in parts for i, r in self._halving(entry, method, more, part).items()}
        return {r.key.id: Result(Answer.DONE) for r in records}

    def send_unbin(self, entry: ObjectMapping, id: str) -> None:
        """Refuse: an archived record comes back by a write."""
        raise Refused("no_recycle_bin")

    def send_insert(self, entry: ObjectMapping, fields: Fields) -> str:
        """Make a record with what belongs to it."""
        if _is_user(entry):
            raise Refused("users_stay")
        made = self._write(entry, f"model.{entry.source}.create", [[self._values(entry, fields)]], [])
        if not isinstance(made, list) or len(made) != 1:
            raise OutcomeUnknownError(N_("The CRM's answer does not say what became of a record."))
        return str(made[0])

    def made_since(self, entry: ObjectMapping, since: datetime) -> Iterable[Record]:
        """Yield what this user has made."""
        at = moment(since.astimezone(UTC).replace(tzinfo=None))
        domain = [["create_date", ">=", at], ["create_uid", "=", self._tryton.api.signed_in()]]
        ids = self._tryton.api.call(f"model.{entry.source}.search", [domain, 0, None, None])
        for found in self._tryton.fetch(entry.name, [str(i) for i in ids]).values():
            if isinstance(found, Record):
                yield found

    # what only Tryton needs ---------------------------------------------------------------------------------------

    def _grouped(self, units: Sequence[Unit]) -> Iterator[list[Unit]]:
        """Put units together too that each write the same into one record."""
        for alike, found in groupby(units, _alike):
            part = list(found)
            if alike is None:
                yield from super()._grouped(part)
                continue
            most = self.capabilities.batch_size
            for start in range(0, len(part), most):
                yield part[start : start + most]

    def _together(self, units: Sequence[Unit]) -> dict[int, Result]:
        """Write the same into several records, or delete them, in one call."""
        if units[0].effects[0].op != "update":
            return super()._together(units)
        results: dict[int, Result] = {}
        going: list[Effect] = []
        self._look_again([u.effects[0].before.key for u in units])
        for unit in units:
            (effect,) = unit.effects
            code = self._forbidden(effect, unit)
            try:
                if code is not None:
                    raise Refused(code)
                self._compare(effect)
                self._sent(effect)
            except Refused as stop:
                results[effect.seq] = Result(stop.answer, stop.code)
            else:
                going.append(effect)
        if going:
            entry = self.mapping.objects[going[0].before.key.object]
            values = self._values(entry, {n: going[0].changes[n] for n in self._sent(going[0])})
            self._hook("vendor.call")
            said = self._halving(entry, "write", [values], [e.before for e in going])
            self._hook("vendor.called")
            results |= {e.seq: said[e.before.key.id] for e in going if e.before.key.id in said}
            for effect in going:
                self._seen.pop(effect.before.key, None)
        return results

    def _unit(self, unit: Unit, manifest: str) -> dict[int, Result]:
        """Refuse a unit whose steps Tryton would not all allow, before the first of them."""
        for effect in unit.effects:
            code = self._forbidden(effect, unit)
            if code is not None:
                return {w.seq: Result(Answer.REFUSED, code) for w in unit.works}
        return super()._unit(unit, manifest)

    def _forbidden(self, effect: Effect, unit: Unit) -> str | None:
        if effect.op != "update":
            return None
        entry = self.mapping.objects[effect.before.key.object]
        kinds = self._tryton.kinds(entry)
        changes = {n: v for n, v in effect.changes.items() if n not in self.moving(entry.name)}
        if any(n in kinds and locked(kinds[n], effect.before.fields) for n in changes):
            return "read_only"
        for name in changes:
            parent = entry.parents.get(name)
            if parent is not None and self._tied(effect, entry, name, parent, unit):
                return "tied"
        return None

    def _tied(self, effect: Effect, entry: ObjectMapping, name: str, parent: str, unit: Unit) -> bool:
        """Say whether another reference of the record would still belong to the old parent, as a deal's address does."""
        old = canonical_text(effect.before.fields.get(name))
        for column, object in entry.parents.items():
            own = next((n for n, p in self.mapping.objects[object].parents.items() if p == parent), None)
            id = canonical_text(effect.before.fields.get(column))
            if column in effect.changes or own is None or id is None or old is None or object == parent:
                continue
            key = RecordKey(object, id)
            if any(e.before.key == key and own in e.changes for e in unit.effects):
                continue
            found = self._tryton.fetch(object, [id])[id]
            if isinstance(found, Record) and canonical_text(found.fields.get(own)) == old:
                return True
        return False

    def _values(self, entry: ObjectMapping, fields: Fields) -> dict[str, Any]:
        """Return columns as Tryton's JSON has them.

        Raises
        ------
        Refused
            A value that its field cannot hold.
        """
        kinds, everything = self._tryton.kinds(entry), self._tryton.all_fields(entry)
        values: dict[str, Any] = {}
        try:
            for name, value in fields.items():
                if name == MORE:
                    values |= parts_typed(self._tryton.parts(entry), everything, value if isinstance(value, dict) else {})
                    continue
                parent = entry.parents.get(name)
                model = self.mapping.objects[parent].source if parent is not None else ""
                values[name] = typed(kinds.get(name) or everything[name], value, model)
        except (ValueError, ArithmeticError, KeyError):
            raise Refused("wrong_value") from None
        return values

    def _write(self, entry: ObjectMapping, method: str, params: list[Any], records: Sequence[Record]) -> Any:
        """Call once, under the condition that the records are as they were read.

        Raises
        ------
        Refused
            Tryton refused, and so changed nothing.
        OutcomeUnknownError
            An error of a class that is not known: what it left is read.
        """
        stamps = {
            f"{entry.source},{r.key.id}": r.version for r in records if r.version is not None and entry.version == "_timestamp"
        }
        try:
            return self._tryton.api.call(method, params, context={"_timestamp": stamps} if stamps else None, write=True)
        except TrytonRefusal as error:
            if error.code == "error":
                raise OutcomeUnknownError(
                    N_("The CRM did not say what became of a call ({problem})."), problem="error"
                ) from None
            code, answer = _CODES.get(error.code, ("refused", Answer.REFUSED))
            if len(records) == 1 and isinstance(self._tryton.fetch(entry.name, [records[0].key.id])[records[0].key.id], Absent):
                code, answer = "absent", Answer.ABSENT
            raise Refused(code, answer) from None
        except DeniedError:
            raise Refused("denied") from None

    def _erase(self, party: int) -> None:
        """Archive a party, which Tryton demands, and let its wizard erase it."""
        api = self._tryton.api
        api.call("model.party.party.write", [[party], {"active": False}], write=True)
        session = api.call("wizard.party.erase.create", [], write=True)[0]
        about = {"active_model": PARTIES, "active_id": party, "active_ids": [party]}
        try:
            api.call("wizard.party.erase.execute", [session, {"ask": {"party": party}}, "erase"], context=about, write=True)
        except TrytonRefusal:
            raise OutcomeUnknownError(N_("The CRM did not say what became of a call ({problem})."), problem="erase") from None
        finally:
            api.call("wizard.party.erase.delete", [session], write=True)


def _alike(unit: Unit) -> tuple[str, str] | None:
    """Return what a unit writes where that is one record's deletion mark or owner, so that others can go with it."""
    if len(unit.effects) != 1 or len(unit.works) != 1 or unit.effects[0].op != "update":
        return None
    effect = unit.effects[0]
    if unit.works[0].action not in ("soft_delete", "reassign", "deactivate_user", "restore"):
        return None
    return effect.before.key.object, repr(sorted((n, canonical_text(v)) for n, v in effect.changes.items()))


def _is_user(entry: ObjectMapping) -> bool:
    return entry.source == USERS or entry.role == "user"


__all__ = ["TrytonWriter"]
