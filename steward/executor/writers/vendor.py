"""What writers over a vendor's API have in common: one call at a time, looked at before and written down as steps.

No vendor offers transactions. So each unit's steps are written down with digests before its first call
(``steward.executor.steps``); every record is compared with what was reviewed directly before its own call, unless it was
read a moment ago; a call whose answer is lost ends the batch, and what became of it is read, never guessed. Children are
led elsewhere before what they hung on goes, and it goes only when nothing mapped refers to it any more.

Left to others: each vendor's calls (its own module), reading (``vendor_look``), what to change (``judge``, ``restore``), when
and how often (``engine``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from steward.crm.mapping import ObjectMapping
from steward.crm.vendor import VendorReader
from steward.errors import CrmError, DeniedError, OutcomeUnknownError, ThrottledError, UnavailableError
from steward.executor.ports import Answer, Effect, Hook, Reading, Result, Settled, Unit, Work, no_hook
from steward.executor.steps import Step, StepLog, content, part_of
from steward.executor.writers.vendor_look import VendorLook
from steward.messages import N_
from steward.records import Absent, Fields, Record, RecordKey, canonical_text

FRESH_SECONDS = 2.0
"""A record read so short a time ago is not read again before its own call."""
CLOCKS = timedelta(minutes=5)
"""How far the vendor's clock may run before or behind ours when a record that was made is looked for."""


class Refused(Exception):
    """A call, or a look before it, that certainly changed nothing. ``code`` is ours, never the vendor's text."""

    def __init__(self, code: str, answer: Answer = Answer.REFUSED) -> None:
        super().__init__(code)
        self.code, self.answer = code, answer


class _Half(Exception):
    """Some steps of a unit were made, and the next one certainly was not."""


class VendorWriter(VendorLook, ABC):
    """Implements :class:`steward.executor.ports.Writer` but for a vendor's own calls.

    Parameters
    ----------
    reader : VendorReader
        With the credential to write.
    steps : StepLog

    Attributes
    ----------
    side_effects : frozenset of str
        Switches of ``capabilities.side_effects`` that the manifest turns on; the others are off.
    """

    def __init__(self, reader: VendorReader, steps: StepLog, *, hook: Hook = no_hook) -> None:
        super().__init__(reader)
        self._steps = steps
        self._hook = hook
        self._seen: dict[RecordKey, tuple[float, str | None]] = {}
        self.side_effects: frozenset[str] = frozenset()

    # what a vendor gives ----------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def me(self) -> str:
        """Id under which the vendor says who deleted; empty where it does not say."""

    @abstractmethod
    def writable(self, entry: ObjectMapping, *, create: bool) -> frozenset[str]:
        """Return the columns that a call may set, when a record is made or when it is changed."""

    @abstractmethod
    def send_update(self, entry: ObjectMapping, record: Record, changes: Fields) -> None:
        """Set columns of one record.

        Raises
        ------
        Refused, DeniedError, ThrottledError, UnavailableError
            Certainly not done.
        CrmError
            Any other: nobody knows.
        """

    @abstractmethod
    def send_delete(self, entry: ObjectMapping, records: Sequence[Record], op: str) -> Mapping[str, Result]:
        """Move records to the recycle bin (``bin``) or delete them for good (``delete``), in one call of the vendor's.

        Returns
        -------
        mapping of str to Result
            By id; an id that the answer does not name clearly is left out. Raises as :meth:`send_update`.
        """

    @abstractmethod
    def send_unbin(self, entry: ObjectMapping, id: str) -> None:
        """Bring one record back out of the recycle bin; raises as :meth:`send_update`."""

    @abstractmethod
    def send_insert(self, entry: ObjectMapping, fields: Fields) -> str:
        """Make a record and return its id; raises as :meth:`send_update`."""

    @abstractmethod
    def made_since(self, entry: ObjectMapping, since: datetime) -> Iterable[Record]:
        """Return every live record that was made since a moment; where the vendor says who made it, ours alone."""

    def moved_columns(self, entry: ObjectMapping) -> frozenset[str]:
        """Return columns, beside version and time of modification, that the vendor itself moves at a write."""
        return frozenset()

    def taken(self, entry: ObjectMapping, fields: Fields, *, but: frozenset[str] = frozenset()) -> bool:
        """Say whether a record whose id is not in ``but`` has a value of these that exists only once: then no second is made."""
        return False

    def at_once(self, entry: ObjectMapping, op: str) -> int:
        """Return how many records one call takes; those of a group are compared before it and share its fate."""
        return self.capabilities.batch_size

    # what is common ---------------------------------------------------------------------------------------------

    def moving(self, object: str) -> frozenset[str]:
        """Return every column that moves by itself when a record is written."""
        entry = self.mapping.objects[object]
        return frozenset(n for n in (entry.version, entry.modified) if n) | self.moved_columns(entry)

    def can_renumber(self, object: str) -> bool:
        """True where a record can be made anew."""
        return bool(self.writable(self.mapping.objects[object], create=True))

    def read(self, keys: Sequence[RecordKey], *, links_of: Sequence[RecordKey] = ()) -> Reading:
        """Read as for a plan, and remember when."""
        at = self.reader.wire.clock.monotonic()
        reading = super().read(keys, links_of=links_of)
        self._seen = {k: (at, self._content(r)) for k, r in reading.records.items()}
        return reading

    def apply(self, units: Sequence[Unit], *, manifest: str, attempt: int) -> Mapping[int, Result]:
        """Make units, one call after another; those of one deletion each go together as far as the vendor takes them."""
        self._steps.begin(manifest, [step for unit in units for step in self._steps_of(unit)])
        self._hook("vendor.steps")
        return self._make(units, manifest)

    def go_on(self, units: Sequence[Unit], *, manifest: str) -> Mapping[int, Result]:
        """Make the rest of interrupted units; a change that was not written down before is refused."""
        known = {
            (s.key, s.op, s.found, s.leaves)
            for steps in self._steps.of(manifest, [u.name for u in units]).values()
            for s in steps
        }
        going = [u for u in units if all((s.key, s.op, s.found, s.leaves) in known for s in self._steps_of(u))]
        refused = {w.seq: Result(Answer.CHANGED, "changed") for u in units if u not in going for w in u.works}
        return refused | self._make(going, manifest)

    def _make(self, units: Sequence[Unit], manifest: str) -> dict[int, Result]:
        results: dict[int, Result] = {}
        later = begun = False
        for group in self._grouped(units):
            if later:
                results |= {w.seq: Result(Answer.LATER, "stopped") for u in group for w in u.works}
                continue
            try:
                results |= self._together(group) if len(group) > 1 or _alone(group[0]) else self._unit(group[0], manifest)
            except ThrottledError as error:
                if not begun:
                    raise  # nothing was sent at all
                wait = error.facts.get("retry_after")
                self.reader.wire.clock.sleep(float(wait) if isinstance(wait, int | float) else 1.0)
                results |= {w.seq: Result(Answer.LATER, "throttled") for u in group for w in u.works}
                later = True
            except UnavailableError:
                results |= {w.seq: Result(Answer.LATER, "unavailable") for u in group for w in u.works}
                later = True
            except DeniedError:
                results |= {w.seq: Result(Answer.REFUSED, "denied") for u in group for w in u.works}
            except CrmError:
                later = True  # it had left: these stay without an answer, and nothing more is sent before it is read
            begun = True
        return results

    def _grouped(self, units: Sequence[Unit]) -> Iterator[list[Unit]]:
        """Yield units that one call deletes together, and every other by itself, in order."""
        group: list[Unit] = []
        for unit in units:
            if group and not (_alone(unit) and _kind(unit) == _kind(group[0])):
                yield group
                group = []
            group.append(unit)
            most = 1
            if _alone(unit):
                object, op = _kind(unit)
                most = self.at_once(self.mapping.objects[object], op)
            if len(group) >= most:
                yield group
                group = []
        if group:
            yield group

    def _together(self, units: Sequence[Unit]) -> dict[int, Result]:
        """Delete records of one object in one call."""
        effects = [u.effects[0] for u in units]
        entry = self.mapping.objects[effects[0].before.key.object]
        results: dict[int, Result] = {}
        going: list[Effect] = []
        self._look_again([e.before.key for e in effects])
        for effect in effects:
            try:
                self._compare(effect)
            except Refused as stop:
                results[effect.seq] = Result(stop.answer, stop.code)
            else:
                going.append(effect)
        if going:
            self._hook("vendor.call")
            try:
                said = self.send_delete(entry, [e.before for e in going], effects[0].op)
            except Refused as stop:
                said = {e.before.key.id: Result(stop.answer, stop.code) for e in going}
            self._hook("vendor.called")
            results |= {e.seq: said[e.before.key.id] for e in going if e.before.key.id in said}
            for effect in going:
                self._seen.pop(effect.before.key, None)
        return results

    def _unit(self, unit: Unit, manifest: str) -> dict[int, Result]:
        try:
            became = self._walk(unit, manifest)
        except Refused as stop:
            return {w.seq: Result(stop.answer, stop.code) for w in unit.works}
        except _Half:
            return {}  # reading shows which steps were made; the engine goes on with them or says that it cannot
        return {w.seq: Result(Answer.DONE, became=became.get(w.seq)) for w in unit.works}

    def _walk(self, unit: Unit, manifest: str) -> dict[int, str]:
        """Make a unit's steps in order; return new ids by item."""
        became: dict[int, str] = {}
        renamed: dict[RecordKey, str] = {}
        steps = {s.key: s for s in self._steps.of(manifest, [unit.name])[unit.name]}
        for n, meant in enumerate(unit.effects):
            effect = self._led(meant, renamed)
            step = steps.get(effect.before.key)
            if effect is not meant and step is not None:
                self._steps.replace(manifest, [replace(step, leaves=self._leaves(effect, step.fields))])
            try:
                if len(unit.effects) > 1 and self._goes(effect, unit):
                    self._none_refers(effect, unit)  # may take many calls: the record itself is looked at after it
                if effect.op != "insert":
                    self._look_again([effect.before.key])
                    self._compare(effect)
                self._hook("vendor.call")
                new = self._call(effect)
                self._hook("vendor.called")
            except (Refused, DeniedError, ThrottledError, UnavailableError):
                if n:
                    raise _Half from None
                raise
            self._seen.pop(effect.before.key, None)
            if new is not None:
                became[effect.seq] = renamed[effect.before.key] = new
                if step is not None:
                    self._steps.made(manifest, step, new)
        return became

    def _call(self, effect: Effect) -> str | None:
        entry = self.mapping.objects[effect.before.key.object]
        match effect.op:
            case "update":
                changes = {n: effect.changes[n] for n in self._sent(effect)}
                if changes:
                    self.send_update(entry, effect.before, changes)
            case "insert":
                fields = effect.after()
                return self.send_insert(entry, {n: fields[n] for n in self._sent(effect)})
            case "unbin":
                self.send_unbin(entry, effect.before.key.id)
            case op:
                said = self.send_delete(entry, [effect.before], op).get(effect.before.key.id)
                if said is None:
                    raise OutcomeUnknownError(N_("The CRM's answer does not say what became of a record."))
                if said.answer is not Answer.DONE:
                    raise Refused(said.code or "refused", said.answer)
        return None

    def _sent(self, effect: Effect) -> tuple[str, ...]:
        """Return the columns that a call sets.

        Raises
        ------
        Refused
            An update of a column that cannot be written.
        """
        key = effect.before.key
        entry = self.mapping.objects[key.object]
        if effect.op == "insert":
            can = self.writable(entry, create=True)
            return tuple(sorted(n for n, v in effect.after().items() if n in can and v is not None))
        if effect.op != "update":
            return ()
        can = self.writable(entry, create=False)
        names = sorted(set(effect.changes) - self.moving(key.object))
        if any(n not in can for n in names):
            raise Refused("not_writable")
        return tuple(names)

    def _led(self, effect: Effect, renamed: Mapping[RecordKey, str]) -> Effect:
        """Lead a reference to a record that got a new id in this unit to that id."""
        changes = dict(effect.changes)
        source = effect.after() if effect.op == "insert" else effect.changes
        for name, parent in self.mapping.objects[effect.before.key.object].parents.items():
            new = renamed.get(RecordKey(parent, canonical_text(source.get(name)) or "")) if name in source else None
            if new is not None:
                changes[name] = new
        return effect if changes == dict(effect.changes) else replace(effect, changes=changes)

    # looking ----------------------------------------------------------------------------------------------------

    def _content(self, found: Record | Absent) -> str | None:
        return content(found.fields, self.moving(found.key.object)) if isinstance(found, Record) else None

    def _look_again(self, keys: Sequence[RecordKey]) -> None:
        """Read what was not read a moment ago."""
        now = self.reader.wire.clock.monotonic()
        old = [k for k in keys if k not in self._seen or now - self._seen[k][0] > FRESH_SECONDS]
        if not old:
            return
        kept = dict(self._seen)
        records = self.read(old).records
        self._seen = {**kept, **{k: (now, self._content(records[k])) for k in old if k in records}}
        for key in old:
            if key not in records:
                self._seen.pop(key, None)

    def _compare(self, effect: Effect) -> None:
        """Compare a record with what its change was planned on."""
        key = effect.before.key
        if key not in self._seen:
            raise Refused("no_answer")
        now = self._seen[key][1]
        if effect.op == "unbin":
            return
        if now is None:
            raise Refused("absent", Answer.ABSENT if effect.role == "item" else Answer.CHANGED)
        if now != content(effect.before.fields, self.moving(key.object)):
            raise Refused("changed", Answer.CHANGED)

    def _goes(self, effect: Effect, unit: Unit) -> bool:
        """Say whether a step takes away a record from which children were led elsewhere, be it by a mark."""
        if effect.op in ("delete", "bin"):
            return True
        mark = self.mapping.objects[effect.before.key.object].soft_delete
        return (
            unit.works[0].action == "merge_into"
            and effect.role == "item"
            and effect.op == "update"
            and mark is not None
            and mark.column in effect.changes
        )

    def _none_refers(self, effect: Effect, unit: Unit) -> None:
        """Ask that nothing refers any more to what goes now, but what goes with it, and what was reviewed to stay below it."""
        key = effect.before.key
        going = {e.before.key for e in unit.effects if self._goes(e, unit)}
        kept = {(r.object, r.field) for w in unit.works for r in w.related if r.rule == "keep"}
        left = [x for x in self.reader.children(key.object, [key.id]) if x.child not in going]
        if any((x.child.object, x.field) not in kept for x in left):
            raise Refused("children_changed", Answer.CHANGED)

    # steps ------------------------------------------------------------------------------------------------------

    def _steps_of(self, unit: Unit) -> list[Step]:
        at = datetime.now(UTC).isoformat()
        steps = []
        for n, effect in enumerate(unit.effects):
            try:
                names = self._sent(effect)
            except Refused:
                names = tuple(sorted(effect.changes))  # refused again, and answered, when its turn comes; never taken for made
            before = effect.before
            steps.append(
                Step(
                    unit.name, effect.seq, n, before.key, effect.role, effect.op, names, content(before.fields, self.moving(before.key.object)),
                    part_of(before.fields, names), self._leaves(effect, names), at,
                )
            )  # fmt: skip
        return steps

    def _leaves(self, effect: Effect, names: Sequence[str]) -> str:
        return part_of(effect.after(), names) if effect.op in ("update", "insert") else ""

    # settling ---------------------------------------------------------------------------------------------------

    def settle(self, works: Sequence[Work], *, manifest: str) -> Mapping[int, Settled]:
        """Read every record that a step was to change, and say from all of them what became of each item."""
        units = {w.seq: w.unit or f"#{w.seq}" for w in works}
        steps = self._steps.of(manifest, list(dict.fromkeys(units.values())))
        keys = list(dict.fromkeys(s.key for found in steps.values() for s in found if s.op != "insert"))
        records = self.read(keys).records
        found: dict[int, Settled] = {}
        for work in works:
            said = self._settled(work, steps[units[work.seq]], records, manifest)
            if said is not None:
                found[work.seq] = said
        return found

    def _settled(
        self, work: Work, steps: Sequence[Step], records: Mapping[RecordKey, Record | Absent], manifest: str
    ) -> Settled | None:
        mine = [s for s in steps if s.role != "item" or s.key == work.key or s.seq == work.seq]
        if not mine:
            return Settled("again")  # the intent was written and nothing was sent
        by: str | None = None
        became: str | None = None
        states: dict[Step, str] = {}
        for step in mine:
            state, who, new = self._state(step, records.get(step.key), manifest)
            states[step] = state
            if step.role == "item":
                by, became = who, new
        if "unknown" in states.values():
            return None
        self._by_order(states)
        made = tuple(
            f"{s.key}" + (f" {','.join(s.fields)}" if s.fields else "") for s, state in states.items() if state == "made"
        )
        if all(state == "made" for state in states.values()):
            return Settled("done", by=by, became=became)
        if "edited" in states.values():
            return Settled("edited", by=by, made=made)
        if work.action == "restore":  # what is left is found anew from backup and records
            return Settled("again", became=became)
        if not made:
            own = next((state for s, state in states.items() if s.role == "item"), "open")
            return Settled({"open": "again", "gone": "gone"}.get(own, "changed"), by=by)  # type: ignore[arg-type]  # its words
        return Settled("partly", by=by, became=became, made=made)

    def _by_order(self, states: dict[Step, str]) -> None:
        """Read states together: a step is sent only when all before it were made.

        So what people have changed after a step that a later one proves was made is none the less made; and a record that
        is gone while a step before was not made was taken by somebody else.
        """
        order = sorted(states, key=lambda s: s.n)
        last = max((n for n, step in enumerate(order) if states[step] == "made"), default=-1)
        if last < 0:
            return
        if any(states[step] == "open" for step in order[:last]):
            for step in order[: last + 1]:
                if states[step] == "made" and step.op in ("delete", "bin") and not self.me:
                    states[step] = "gone"
            return
        for step in order[:last]:
            if states[step] in ("other", "gone"):
                states[step] = "made"

    def _state(self, step: Step, found: Record | Absent | None, manifest: str) -> tuple[str, str | None, str | None]:
        """Return ``made``, ``open``, ``other``, ``gone``, ``edited`` or ``unknown``, who did it, and a new id."""
        if step.op == "insert":
            return self._state_of_insert(step, manifest)
        if found is None:
            return "unknown", None, None
        moving = self.moving(step.key.object)
        match step.op, found:
            case "update", Record():
                mark = self.mapping.objects[step.key.object].soft_delete
                if found.deleted and (mark is None or mark.column not in step.fields):  # the step itself may set the mark
                    return "gone", found.deleted_by, None
                now = part_of(found.fields, step.fields)
                return ("made" if now == step.leaves else "open" if now == step.part else "other"), None, None
            case "unbin", Record():
                return ("open" if found.deleted else "made"), None, None
            case "unbin", Absent():
                return ("open" if found.binned else "gone"), found.deleted_by, None
            case _, Absent():
                ours = step.op != "update" and (not self.me or found.deleted_by in (None, self.me))
                return ("made" if ours else "gone"), found.deleted_by, None
            case _, Record():
                same = content(found.fields, moving) == step.found
                if not found.deleted:
                    return ("open" if same else "other"), None, None
                if self.me and found.deleted_by not in (None, self.me):
                    return "gone", found.deleted_by, None
                return ("made" if same else "edited"), found.deleted_by, None
        return "unknown", None, None

    def _state_of_insert(self, step: Step, manifest: str) -> tuple[str, str | None, str | None]:
        """Look for the record that a call without an answer may have made.

        Two that are alike are no answer. One that is ours and is not alike may be it with values that the vendor rewrote:
        no answer either.
        """
        if step.became is not None:
            return "made", None, step.became
        entry = self.mapping.objects[step.key.object]
        known = self._steps.new_ids(manifest, step.key.object)
        since = datetime.fromisoformat(step.at) - CLOCKS
        others = [r for r in self.made_since(entry, since) if r.key.id not in known]
        alike = [r for r in others if part_of(r.fields, step.fields) == step.leaves]
        if len(alike) == 1:
            self._steps.made(manifest, step, alike[0].key.id)
            return "made", None, alike[0].key.id
        return ("unknown" if alike or (others and self.me) else "open"), None, None

    def put_back(self, work: Work, *, manifest: str) -> bool:
        """Undo our own deletion of a record that people had edited just before, where the recycle bin holds it."""
        entry = self.mapping.objects[work.object]
        found = self.read([work.key]).records.get(work.key)
        binned = found.deleted if isinstance(found, Record) else found is not None and found.binned
        if found is None or not binned or (self.me and found.deleted_by not in (None, self.me)):
            return False
        try:
            self.send_unbin(entry, work.id)
        except (Refused, CrmError):
            return False
        now = self.read([work.key]).records.get(work.key)
        return isinstance(now, Record) and not now.deleted


def _alone(unit: Unit) -> bool:
    return len(unit.effects) == 1 and unit.effects[0].op in ("delete", "bin") and len(unit.works) == 1


def _kind(unit: Unit) -> tuple[str, str]:
    return unit.effects[0].before.key.object, unit.effects[0].op


__all__ = ["FRESH_SECONDS", "Refused", "VendorWriter"]
