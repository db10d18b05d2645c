"""Writes to Fxiaoke (纷享销客), OpenAPI v2: void, delete, recover, update, change of owner, create.

What is peculiar, each with a test of its name:

* Void (作废) is the recycle bin, one record a call. A voided record shows its fields and nobody can edit it, so each is read
  back by a call of its own and compared; one that was edited just before is recovered.
* Delete (删除) is final and takes voided records only, up to 20 a call. So it is void, compare, delete: an edit of the last
  moment is seen before anything is final. One that was cut off between is gone on with.
* Success says nothing of single records, and a list may be done in part: each is read back.
* Success of a void may mean that an approval waits. That is no deletion, and is said.
* A refusal with a code that nobody has published proves nothing by itself; the record is looked at.
* Records that are locked, under approval or not in force are left alone.
* The owner has a call of its own; an update that sets more is two steps.
* Workflows and approvals stay off unless the manifest turns them on. Voiding has no such switch.
* Employees are never deleted, made or recovered; whether one can be stopped by an edit is the profile's to say.

Left to others: calls that change one record (``fxiaoke_calls``), payloads (``fxiaoke_payload``), who voided (``fxiaoke_trace``),
what all vendors have in common (``vendor``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from steward.crm.fxiaoke import FxiaokeReader
from steward.crm.mapping import ObjectMapping
from steward.errors import CrmError, DeniedError, ThrottledError, UnavailableError
from steward.executor.ports import Answer, Effect, Hook, Reading, Result, Settled, Unit, Work, no_hook
from steward.executor.steps import Step, StepLog, part_of
from steward.executor.writers import fxiaoke_payload as payload
from steward.executor.writers.fxiaoke_calls import FxiaokeCalls
from steward.executor.writers.fxiaoke_trace import CLOCKS, Trace
from steward.executor.writers.vendor import Refused
from steward.records import Absent, Record, RecordKey

_PATIENCE = 3
_REMEMBERED = 20_000
_BORN = ("create_time",)


class FxiaokeWriter(FxiaokeCalls):
    """Implements :class:`steward.executor.ports.Writer` for Fxiaoke.

    Parameters
    ----------
    reader : FxiaokeReader
        With the credential of ``[write]``: an employee of its own, who sees and may change everything.
    steps : StepLog
    """

    reader: FxiaokeReader

    def __init__(self, reader: FxiaokeReader, steps: StepLog, *, hook: Hook = no_hook) -> None:
        super().__init__(reader, steps, hook=hook)
        self._trace = Trace(reader)
        self._states: dict[RecordKey, str] = {}
        self._went: dict[RecordKey, Record | Absent] = {}
        self._sure: set[RecordKey] = set()
        self._left: dict[str, bool] = {}

    # looking ------------------------------------------------------------------------------------------------------

    def read(self, keys: Sequence[RecordKey], *, links_of: Sequence[RecordKey] = ()) -> Reading:
        """Read, remember what state records are in, and ask singly for those that we took and a query still shows."""
        self._sure = {k for k in keys if k in self._went and self.reader.exact}  # only settling asks what went
        if len(self._states) > _REMEMBERED:
            self._states.clear()
        reading = super().read([k for k in keys if k not in self._sure], links_of=links_of)
        records = {**{k: self._went.pop(k) for k in self._sure}, **reading.records}
        shown = [k for k, r in records.items() if isinstance(r, Record) and not r.deleted]
        for key in () if self.reader.exact or len(records) < 2 else self._steps.taken(shown):
            records.pop(key)
            records |= {RecordKey(key.object, i): r for i, r in self.reader.fetch(key.object, [key.id]).items()}
        for key, found in records.items():
            self._seen[key] = (self._seen[key][0] if key in self._seen else 0.0, self._content(found))
            if isinstance(found, Record):
                self._states[key] = "voided" if found.deleted else payload.refusal(found.fields)
        return Reading(records, reading.links, reading.hidden)

    def _compare(self, effect: Effect) -> None:
        """Compare as everywhere, and leave alone what is voided, locked or waits for approval."""
        state = self._states.get(effect.before.key, "")
        if effect.op != "unbin" and state == "voided" and not effect.before.deleted:
            raise Refused("absent", Answer.ABSENT if effect.role == "item" else Answer.CHANGED)
        super()._compare(effect)
        if effect.op != "unbin" and state not in ("", "voided"):
            raise Refused(state)

    # units --------------------------------------------------------------------------------------------------------

    def apply(self, units: Sequence[Unit], *, manifest: str, attempt: int) -> Mapping[int, Result]:
        """Make units; a change of the owner beside other columns is a step of its own."""
        self._went.clear()
        self._left.clear()
        return super().apply([self._prepared(u) for u in units], manifest=manifest, attempt=attempt)

    def go_on(self, units: Sequence[Unit], *, manifest: str) -> Mapping[int, Result]:
        """Make the rest of interrupted units."""
        self._went.clear()
        return super().go_on([self._prepared(u) for u in units], manifest=manifest)

    def _unit(self, unit: Unit, manifest: str) -> dict[int, Result]:
        """Begin no unit of which a record cannot be written."""
        held = [payload.refusal(e.before.fields) for e in unit.effects if e.op not in ("insert", "unbin")]
        code = next((c for c in held if c), "")
        return {w.seq: Result(Answer.REFUSED, code) for w in unit.works} if code else super()._unit(unit, manifest)

    def _prepared(self, unit: Unit) -> Unit:
        effects: list[Effect] = []
        for effect in unit.effects:
            entry = self.mapping.objects[effect.before.key.object]
            kinds = payload.kinds(self.reader.fields(entry))
            try:
                changes = {n: payload.as_read(kinds.get(n, ""), n, v) for n, v in effect.changes.items()}
            except ValueError:
                changes = dict(effect.changes)  # refused with its own code when its turn comes
            if effect.op == "insert" and self._has_left(entry, effect.after().get("owner")):
                changes["owner"] = None  # no record is made in the name of somebody who has left; it becomes ours
            effect = replace(effect, changes=changes)
            if effect.op == "update" and "owner" in changes and len(changes) > 1:
                rest = {n: v for n, v in changes.items() if n != "owner"}
                effects.append(replace(effect, changes=rest))
                half = replace(effect.before, fields={**effect.before.fields, **rest})
                effect = replace(effect, before=half, changes={"owner": changes["owner"]})
            effects.append(effect)
        return replace(unit, effects=tuple(effects))

    def _has_left(self, entry: ObjectMapping, owner: object) -> bool:
        """Say whether an owner is a stopped employee (停用员工), or none at all, as far as employees are mapped and shown."""
        users = self.mapping.objects.get(entry.parents.get("owner", ""))
        if users is None or users.source != "PersonnelObj" or not isinstance(owner, str):
            return False
        if owner not in self._left:
            found = self._see(users, owner)
            self._left[owner] = isinstance(found, Absent) or (isinstance(found, Record) and found.fields.get("status") == "1")
        return self._left[owner]

    # voiding and deleting -----------------------------------------------------------------------------------------

    def send_delete(self, entry: ObjectMapping, records: Sequence[Record], op: str) -> Mapping[str, Result]:
        """Void records, or void, compare and delete them for good; each is read back."""
        self._no_users(entry)
        results: dict[str, Result] = {}
        going: list[Record] = []
        for n, record in enumerate(records):
            if op == "delete" and record.deleted:  # an interrupted deletion is gone on with
                going.append(record)
                continue
            said: Result | None = None
            stopped = False
            try:
                if n:
                    self._hook("vendor.call")
                said = self._void(entry, record)
            except Refused as stop:
                said = Result(stop.answer, stop.code)
            except DeniedError:
                said = Result(Answer.REFUSED, "denied")
            except CrmError as error:
                if len(records) == 1:
                    raise
                stopped = True
                said = Result(Answer.LATER, "stopped") if isinstance(error, ThrottledError | UnavailableError) else None
            if said is not None and (said.answer is not Answer.DONE or op == "bin"):
                results[record.key.id] = said
            elif said is not None and self._unedited(entry, record, results):
                going.append(record)
            if stopped or said is None:  # nothing more is sent before what was sent is known
                results |= {r.key.id: Result(Answer.LATER, "stopped") for r in records[n + 1 :] if not r.deleted}
                going += [r for r in records[n + 1 :] if r.deleted]
                break
        return results | (self._delete(entry, going) if going else {})

    def _void(self, entry: ObjectMapping, record: Record) -> Result | None:
        """Void one record and read it back; None where nobody knows."""
        key, sent = record.key, datetime.now(UTC)
        code, _ = self._send(entry, "invalid", {"dataObjectApiName": entry.source, "object_data_id": key.id})
        found = self._see(entry, key.id)
        if isinstance(found, Record) and found.deleted:
            if code == 0:
                self._went[key] = found
                return Result(Answer.DONE)
            ours = self._trace.stamped(record, found) or self._trace.named(entry, key.id, sent)
            return None if ours else Result(Answer.ABSENT, "absent")
        if code != 0:
            if isinstance(found, Absent):
                return Result(Answer.ABSENT, "absent")
            if not isinstance(found, Record):
                return None
            same = self._content(found) == self._content(record)
            return Result(Answer.REFUSED, "refused") if same else Result(Answer.CHANGED, "changed")
        if isinstance(found, Record) and payload.refusal(found.fields) == "in_approval":
            return Result(Answer.REFUSED, "awaits_approval")
        if isinstance(found, Absent) and self._recovered(entry, key.id):
            return Result(Answer.REFUSED, "void_is_hidden")  # what went could not be compared
        return None

    def _unedited(self, entry: ObjectMapping, record: Record, results: dict[str, Result]) -> bool:
        """Compare what was voided with what was reviewed; recover it where somebody had edited it."""
        went = self._went.pop(record.key)
        if self._content(went) == self._content(record):
            return True
        if self._recovered(entry, record.key.id):
            results[record.key.id] = Result(Answer.CHANGED, "edited_and_put_back")
        return False

    def _recovered(self, entry: ObjectMapping, id: str) -> bool:
        try:
            self.send_unbin(entry, id)
        except (Refused, CrmError):
            return False
        found = self._see(entry, id)
        return isinstance(found, Record) and not found.deleted

    def _delete(self, entry: ObjectMapping, records: Sequence[Record]) -> dict[str, Result]:
        """Delete voided records for good. One that is still voided has no result: settling goes on with it."""
        results: dict[str, Result] = {}
        self._hook("vendor.call")
        try:
            code = self._delete_call(entry, [r.key.id for r in records])
        except (Refused, DeniedError):
            code = -1
        except CrmError:
            return results
        for record in records:
            found = self._see(entry, record.key.id)
            if isinstance(found, Absent):
                self._went[record.key] = found
                results[record.key.id] = Result(Answer.DONE)
            elif isinstance(found, Record) and not found.deleted:  # somebody recovered it in between
                results[record.key.id] = Result(Answer.CHANGED, "changed")
            elif isinstance(found, Record) and code != 0 and self._recovered(entry, record.key.id):
                results[record.key.id] = Result(Answer.REFUSED, "refused")
        return results

    def _delete_call(self, entry: ObjectMapping, ids: Sequence[str]) -> int:
        """Send the list; asked to wait, wait: these records are voided already."""
        for attempt in range(1, _PATIENCE + 1):
            try:
                return self._send(entry, "delete", {"dataObjectApiName": entry.source, "idList": list(ids)})[0]
            except ThrottledError:
                if attempt == _PATIENCE:
                    raise
                self.reader.wire.clock.sleep(5.0 * attempt)
        raise AssertionError("unreachable")

    # settling -----------------------------------------------------------------------------------------------------

    def settle(self, works: Sequence[Work], *, manifest: str) -> Mapping[int, Settled]:
        """Settle by single reads: a query may still show a record as it was."""
        self.reader.exact = True
        try:
            return super().settle(works, manifest=manifest)
        finally:
            self.reader.exact = False

    def _settled(
        self, work: Work, steps: Sequence[Step], records: Mapping[RecordKey, Record | Absent], manifest: str
    ) -> Settled | None:
        """A deletion for good that has only voided its record is partly made."""
        said = super()._settled(work, steps, records, manifest)
        halves = [s for s in steps if s.op == "delete" and s.key == work.key and self._is_half(s, records.get(s.key))]
        if said is None or not halves or said.state not in ("again", "changed", "partly"):
            return said
        return Settled("partly", by=said.by, made=(*said.made, f"{work.key} life_status"))

    def _is_half(self, step: Step, found: Record | Absent | None) -> bool:
        return isinstance(found, Record) and found.deleted and self._content(found) == step.found

    def _state(self, step: Step, found: Record | Absent | None, manifest: str) -> tuple[str, str | None, str | None]:
        state = super()._state(step, found, manifest)
        if step.op == "update" and state[0] == "gone" and isinstance(found, Record):
            # The bin shows that our values went with a record that somebody voided since.
            return ("made" if part_of(found.fields, step.fields) == step.leaves else "gone"), None, None
        if step.op not in ("bin", "delete") or state[0] != "made" or self.me:
            return state
        if step.key not in self._sure:
            at = datetime.fromisoformat(step.at)
            if self._trace.named(self.mapping.objects[step.key.object], step.key.id, at) is False:
                return "gone", None, None
        if step.op == "delete" and isinstance(found, Record):
            return "open", None, None
        return state

    def _state_of_insert(self, step: Step, manifest: str) -> tuple[str, str | None, str | None]:
        """Look for the record that a call without an answer may have made, among all whose author we are."""
        if step.became is not None:
            return "made", None, step.became
        since = (datetime.fromisoformat(step.at) - CLOCKS).isoformat()
        others = [
            r
            for r in self._made_by_us(self.mapping.objects[step.key.object])
            if part_of(r.fields, _BORN) == step.part or str(r.fields.get("create_time") or "") >= since
        ]
        alike = [r.key.id for r in others if part_of(r.fields, step.fields) == step.leaves]
        if len(alike) == 1:
            self._steps.made(manifest, step, alike[0])
            return "made", None, alike[0]
        return ("unknown" if others else "open"), None, None

    def _steps_of(self, unit: Unit) -> list[Step]:
        """Note of a record that is made anew when it was first made: what the vendor rewrites, it is not that."""
        steps = super()._steps_of(unit)
        born = {e.before.key: part_of(e.after(), _BORN) for e in unit.effects if e.op == "insert"}
        return [replace(s, part=born[s.key]) if s.op == "insert" else s for s in steps]


__all__ = ["FxiaokeWriter"]
