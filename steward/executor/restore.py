"""Bringing back: from a receipt's items and their backup frames to rows and links as they were.

A restore is the deletion's effects in reverse, parents first. A field goes back to its old value only where the row
still holds what we left there; whatever people have changed since is reported and stays. A row that is brought back
whole gets its old version too, so that it is the same row to the last column. Where ids do not survive, or somebody else
has the id now, it is made anew under another; everything that refers to it is led there, parents first. Where a parent
is gone for good the link is reported as impossible.

Left to others: the order of writes (``engine``, the same as for deletions), the signed restore manifest (``restoring``), what is said at the
end (``restore_report``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from steward.crm.mapping import Mapping as CrmMapping
from steward.executor.backup import BackupReader
from steward.executor.journal import Journal
from steward.executor.judge import Verdict, units_of
from steward.executor.ports import Effect, Reading, State, Unit, Work, Writer
from steward.executor.steps import content
from steward.records import Absent, Record, RecordKey, Scalar, canonical_text

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""Time that :meth:`Writer.value_for` does not ask for where a text is given."""

NewId = Callable[[str, str], str | None]

CODES = {
    "already": "it is as it was before",
    "recreated": "somebody has made a record with this id since",
    "changed_since": "people have changed what we left",
    "row_gone": "the record is not there any more",
    "parent_gone": "the record it belonged to is not there any more",
    "no_answer": "the CRM did not say what the record is",
    "not_by_us": "somebody else changed it; nothing of ours is to be undone",
    "taken": "somebody has made a record since that has its e-mail address, or another value that exists only once",
    "no_new_id": "its id is taken, or lost, and the CRM gives it no new one that could be told for certain",
    "no_backup": "the backup does not hold it, or it was erased from it",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report: a record or a link, by id and field name.

    ``outcome`` is ``restored``, ``changed`` (in ``fields``) or ``impossible`` (``why`` says it); ``became`` is the new id
    of a record that was made anew.
    """

    seq: int
    what: str
    record: RecordKey
    field: str
    outcome: str
    fields: tuple[str, ...] = ()
    became: str | None = None
    why: str = ""


class FrameEffects:
    """Effects of deletion items from the backup, frame by frame; the last frame stays opened."""

    def __init__(self, journal: Journal, reader: BackupReader, manifest: str) -> None:
        self._journal, self._reader, self._manifest = journal, reader, manifest
        self._at: int | None = None
        self._effects: dict[int, list[Effect]] = {}

    def of(self, seq: int) -> list[Effect]:
        """Return the effects of one item in the order they were applied.

        Raises
        ------
        BackupUnreadableError
        """
        work = self._journal.item(self._manifest, seq)
        if work is None or work.frame is None:
            return []
        if work.frame != self._at:
            ref = self._journal.find_frame(self._manifest, work.frame)
            if ref is None:
                return []  # erased
            grouped: dict[int, list[Effect]] = {}
            for effect in self._reader.read(self._manifest, ref):
                grouped.setdefault(effect.seq, []).append(effect)
            self._at, self._effects = work.frame, grouped
        return self._effects.get(seq, [])

    def untouched(self, seq: int, key: RecordKey) -> bool:
        """True where an item was done in part and the step on its own record was not made: what is there is people's."""
        made = self._journal.made_in_part(self._manifest, seq)
        return made is not None and not any(m == str(key) or m.startswith(f"{key} ") for m in made)


@dataclass(slots=True)
class RestoreDecider:
    """Implements :class:`steward.executor.engine.Decider` for restores.

    Attributes
    ----------
    new_id : callable
        Where a record is now that was made anew under another id; None where it was not.
    new_ids : bool
        A record whose id somebody else has now is made anew under another, instead of being a conflict.
    actor : str
        Name of our own deletions in a recycle bin.
    impossible : list of Line
        Links that cannot come back, as they are decided on.
    assumed : set of RecordKey
        For a forecast: what earlier batches would have brought back.
    """

    writer: Writer
    mapping: CrmMapping
    effects: FrameEffects
    new_id: NewId = lambda object, id: None
    new_ids: bool = False
    actor: str = ""
    impossible: list[Line] = field(default_factory=list)
    assumed: set[RecordKey] = field(default_factory=set)
    patient: bool = False
    _promised: set[RecordKey] = field(default_factory=set)
    _renumbered: set[RecordKey] = field(default_factory=set)

    def decide(self, works: Sequence[Work]) -> tuple[list[Unit], list[Verdict], list[Work]]:
        """Sort a batch; see :func:`steward.executor.judge.judge`."""
        originals = {w.seq: self.effects.of(w.of_seq) for w in works if w.of_seq is not None}
        keys = list(dict.fromkeys(self._now_at(e.before.key) for found in originals.values() for e in found))
        reading = self.writer.read(keys)
        parents = list(dict.fromkeys(self._now_at(p) for p in self._parents(originals)))
        around = self.writer.read([p for p in parents if p not in reading.records])
        known = Reading({**around.records, **reading.records})
        units: list[Unit] = []
        verdicts: list[Verdict] = []
        later: list[Work] = []
        touched: set[RecordKey] = set()
        self._promised, self._renumbered = set(), set()
        waiting: set[RecordKey] = set()
        for group in units_of(works):
            mine = {e.before.key for w in group for e in originals.get(w.seq, ())}
            refers = set(self._parents({w.seq: originals.get(w.seq, ()) for w in group})) - mine
            # A child waits for the batch after its parent's, when the parent is there and its new id is known.
            if mine & touched or refers & (self._renumbered | waiting):
                later += group
                waiting |= mine
                continue
            effects: list[Effect] = []
            going: list[Work] = []
            for work in reversed(group) if len(group) > 1 else group:
                state, code, found = self._item(work, originals.get(work.seq, []), known)
                if state is not State.PENDING:
                    verdicts.append(Verdict(work, state, code))
                else:
                    going.append(work)
                    effects += found
            if going:
                merged = _merged(effects)
                units.append(Unit(group[0].unit or f"#{group[0].seq}", tuple(going), tuple(merged)))
                touched |= mine
        return units, verdicts, later

    def rest(self, works: Sequence[Work]) -> Unit | None:
        """Never asked: what is left of a restore is found anew from the backup."""
        return None

    def _parents(self, originals: Mapping[int, Sequence[Effect]]) -> Iterator[RecordKey]:
        for effects in originals.values():
            for e in effects:
                for name, object in self.mapping.objects[e.before.key.object].parents.items():
                    id = canonical_text(e.before.fields.get(name))
                    if id is not None:
                        yield RecordKey(object, id)

    def _item(self, work: Work, originals: Sequence[Effect], reading: Reading) -> tuple[State, str, list[Effect]]:
        """Return what brings one item back; PENDING means: apply."""
        own = next((e for e in originals if e.role == "item"), None)
        if own is None:
            return State.FAILED, "no_backup", []
        found = reading.records.get(self._now_at(own.before.key))
        if found is None or any(reading.records.get(self._now_at(e.before.key)) is None for e in originals):
            return State.FAILED, "no_answer", []
        live = isinstance(found, Record) and not found.deleted
        if live and work.of_seq is not None and self.effects.untouched(work.of_seq, own.before.key):
            first: Effect | str = "already"  # whatever people did with it; what hung on it is led back
        else:
            first = self._own(work, own, found, reading)
        if isinstance(first, str):
            if first != "already":
                return State.CONFLICT, first, []
            back: list[Effect] = []
        else:
            back = [first]
            if first.op in ("insert", "unbin"):
                self._promised.add(first.before.key)
            if first.renumber:
                self._renumbered.add(first.before.key)
        for e in originals:
            if e.role == "item":
                continue
            current = reading.records.get(self._now_at(e.before.key))
            if isinstance(current, Record):
                undone = self._undo(work.seq, e, current, reading)
                if undone is not None:
                    back.append(undone)
        if not back:
            return State.DONE, "already", []
        return State.PENDING, "", back

    def _there(self, key: RecordKey) -> bool:
        return key in self._promised or key in self.assumed

    def promised(self) -> set[RecordKey]:
        """Return what the last batch brings back."""
        return set(self._promised)

    def _now_at(self, key: RecordKey) -> RecordKey:
        """Return where a record is now: at its own id, or at the one it was made anew under."""
        new = self.new_id(key.object, key.id)
        return key if new is None else RecordKey(key.object, new)

    def _link_to(self, parent: RecordKey) -> RecordKey:
        """Return where a link leads; to what is made anew just now it leads by the old id, and the writer puts the new one in.

        An id that an earlier attempt had made is none any more where people have deleted that record since.
        """
        return parent if parent in self._renumbered else self._now_at(parent)

    def _own(self, work: Work, e: Effect, found: Record | Absent, reading: Reading) -> Effect | str:
        if e.op in ("delete", "bin"):
            return self._back(work, e, found, reading)
        before = e.before
        if isinstance(found, Absent):
            return "row_gone"
        entry = self.mapping.objects[before.key.object]
        mark = entry.soft_delete
        if mark is not None and mark.column in e.changes:
            # A deletion's marks go back together: half an undeletion is none.
            names = {n for n in (mark.column, mark.at, mark.by) if n is not None and n in e.changes}
            if not found.deleted:
                return "already" if self._same(found, before) else "changed_since"
            if any(not equal(found.fields.get(n), e.changes[n]) for n in names):
                return "not_by_us"
        undone = self._undo(work.seq, e, found, reading)
        if undone is None:
            return "already" if self._same(found, before) else "changed_since"
        return undone

    def _same(self, found: Record, before: Record) -> bool:
        """Compare a row with what it was; what a vendor moves by itself cannot be put back, and says nothing."""
        if self.writer.capabilities.transactional:
            return found.digest == before.digest
        moving = self.writer.moving(before.key.object)
        return content(found.fields, moving) == content(before.fields, moving)

    def _back(self, work: Work, e: Effect, found: Record | Absent, reading: Reading) -> Effect | str:
        """Bring a record back that is gone: out of the bin where it lies there, else made anew."""
        before, caps = e.before, self.writer.capabilities
        if isinstance(found, Record):
            if found.key != before.key:
                return "already"  # made anew by an earlier restore
            if found.deleted and (e.op == "bin" or caps.bin_call):  # a deletion for good may have ended in the bin
                if found.deleted_by is not None and self.actor and found.deleted_by != self.actor:
                    return "not_by_us"
                return Effect(work.seq, "item", "unbin", found) if self._same(found, before) else "changed_since"
            if self._same(found, before):
                return "already"
            if not self.new_ids:
                return "recreated"
        elif found.binned:
            if found.deleted_by is not None and self.actor and found.deleted_by != self.actor:
                return "not_by_us"
            return Effect(work.seq, "item", "unbin", before)
        renumber = isinstance(found, Record) or not caps.restore_keeps_id or not caps.transactional
        if renumber and not self.writer.can_renumber(before.key.object):
            return "no_new_id"
        taken = getattr(self.writer, "taken", None)  # a database refuses by itself
        ours = frozenset(x.before.key.id for x in self.effects.of(e.seq) if x.role == "survivor")  # it gives back what it took
        if renumber and taken is not None and taken(self.mapping.objects[before.key.object], before.fields, but=ours):
            return "taken"
        return Effect(work.seq, "item", "insert", before, self._links_now(work, before, reading, renumber), renumber)

    def _links_now(self, work: Work, before: Record, reading: Reading, renumber: bool) -> dict[str, Scalar]:
        """Return the links of a row that cannot be as they were: parents under new ids, and parents that are gone."""
        changes: dict[str, Scalar] = {}
        for name, object in self.mapping.objects[before.key.object].parents.items():
            id = canonical_text(before.fields.get(name))
            if id is None:
                continue
            parent = RecordKey(object, id)
            if parent == before.key:
                if renumber:
                    changes[name] = None
                    self.impossible.append(Line(work.seq, "link", before.key, name, "impossible", why="self_link"))
                continue
            now = self._link_to(parent)
            if now != parent:
                changes[name] = self.writer.value_for(before.key.object, name, now.id, EPOCH)
            elif not self._there(parent) and isinstance(reading.records.get(parent), Absent):
                changes[name] = None
                self.impossible.append(Line(work.seq, "link", before.key, name, "impossible", why="parent_gone"))
        return changes

    def _undo(self, seq: int, e: Effect, now: Record, reading: Reading) -> Effect | None:
        """Return the update that puts our changes back where they still stand; None where there is none."""
        entry = self.mapping.objects[e.before.key.object]
        moving = self.writer.moving(e.before.key.object) | {n for n in (entry.version, entry.modified) if n}
        changes: dict[str, Scalar] = {}
        for name, left in e.changes.items():
            if name in moving:
                continue
            current, old = now.fields.get(name), e.before.fields.get(name)
            if equal(current, old) or not equal(current, left):
                continue
            if name in entry.parents and old is not None:
                parent = RecordKey(entry.parents[name], canonical_text(old) or "")
                at = self._link_to(parent)
                if at != parent:
                    old = self.writer.value_for(e.before.key.object, name, at.id, EPOCH)
                elif not self._there(parent) and isinstance(reading.records.get(parent), Absent):
                    self.impossible.append(Line(seq, "link", e.before.key, name, "impossible", why="parent_gone"))
                    continue
            changes[name] = old
        if not self.writer.capabilities.transactional:
            return Effect(seq, e.role, "update", now, changes) if changes else None
        result = {**now.fields, **changes}
        same = all(equal(result[n], e.before.fields.get(n)) for n in result if n not in moving)
        if same:  # nobody has touched it: the same row, with its old version
            changes |= {n: e.before.fields[n] for n in sorted(moving) if not equal(now.fields.get(n), e.before.fields[n])}
        elif changes and entry.version is not None:
            version = now.fields.get(entry.version)
            if isinstance(version, int) and not isinstance(version, bool):
                changes[entry.version] = version + 1
        if not changes:
            return None
        return Effect(seq, e.role, "update", now, changes)


def _merged(effects: Sequence[Effect]) -> list[Effect]:
    """One effect per row: what comes back first, then what refers to it."""
    by_key: dict[RecordKey, Effect] = {}
    for e in effects:
        known = by_key.get(e.before.key)
        by_key[e.before.key] = (
            e if known is None else Effect(known.seq, known.role, known.op, known.before, {**known.changes, **e.changes})
        )
    found = list(by_key.values())
    return [e for e in found if e.role == "item"] + [e for e in found if e.role != "item"]


def equal(left: object, right: object) -> bool:
    return canonical_text(left) == canonical_text(right)  # type: ignore[arg-type]  # both are field values
