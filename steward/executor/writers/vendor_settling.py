"""What became of calls over a vendor's API: read from every record that a step was to change, never guessed.

The steps of a unit are read together: one is sent only when all before it were made, so a later one proves the earlier.
Left to others: making steps (``vendor``), what the engine does with an answer (``engine``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from steward.errors import CrmError
from steward.executor.ports import Settled, Work
from steward.executor.steps import Step, content, part_of
from steward.executor.writers.vendor_calls import Refused, VendorCalls
from steward.records import Absent, Record, RecordKey

CLOCKS = timedelta(minutes=5)
"""How far the vendor's clock may run before or behind ours when a record that was made is looked for."""


class Settling(VendorCalls):
    """The half of a vendor's writer that reads what became of items; it changes nothing but to put back."""

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
                now = part_of(found.fields, step.fields)
                if found.deleted and (mark is None or mark.column not in step.fields):  # the step itself may set the mark
                    return ("made" if now == step.leaves else "gone"), found.deleted_by, None
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


__all__ = ["CLOCKS", "Settling"]
