"""What writers over a vendor's API have in common: one call at a time, looked at before and written down as steps.

No vendor offers transactions. So each unit's steps are written down with digests before its first call
(``steward.executor.steps``); every record is compared with what was reviewed directly before its own call, unless it was
read a moment ago; a call whose answer is lost ends the batch, and what became of it is read, never guessed. Children are
led elsewhere before what they hung on goes, and it goes only when nothing mapped refers to it any more.

Left to others: each vendor's calls (its own module), reading (``vendor_look``), what became of calls (``vendor_settling``), what to change (``judge``, ``restore``), when
and how often (``engine``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from steward.errors import CrmError, DeniedError, OutcomeUnknownError, ThrottledError, UnavailableError
from steward.executor.ports import Answer, Effect, Result, Unit
from steward.executor.steps import Step, content, part_of
from steward.executor.writers.vendor_calls import Refused
from steward.executor.writers.vendor_settling import CLOCKS, Settling
from steward.messages import N_
from steward.records import RecordKey, canonical_text

FRESH_SECONDS = 2.0
"""A record read so short a time ago is not read again before its own call."""


class _Half(Exception):
    """Some steps of a unit were made, and the next one certainly was not."""


class VendorWriter(Settling):
    """Implements :class:`steward.executor.ports.Writer` but for a vendor's own calls."""

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
                if effect.before.key not in self._live:  # else people have brought it back themselves
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

    def _look_again(self, keys: Sequence[RecordKey]) -> None:
        """Read what was not read a moment ago."""
        now = self.reader.wire.clock.monotonic()
        old = [k for k in keys if k not in self._seen or now - self._seen[k][0] > FRESH_SECONDS]
        if not old:
            return
        kept, taker, live = dict(self._seen), self._taker, self._live - set(old)
        records = self.read(old).records
        self._taker, self._live = {**taker, **self._taker}, live | self._live
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
            if self.me and self._taker.get(key) not in (None, self.me):  # since it was decided, people have taken it again
                raise Refused("not_by_us", Answer.CHANGED)
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


def _alone(unit: Unit) -> bool:
    return len(unit.effects) == 1 and unit.effects[0].op in ("delete", "bin") and len(unit.works) == 1


def _kind(unit: Unit) -> tuple[str, str]:
    return unit.effects[0].before.key.object, unit.effects[0].op


__all__ = ["CLOCKS", "FRESH_SECONDS", "Refused", "VendorWriter"]
