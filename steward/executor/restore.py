"""Bringing back: from a receipt's items and their backup frames to rows and links as they were.

A restore is the deletion's effects in reverse, parents first. A field goes back to its old value only where the row
still holds what we left there; whatever people have changed since is reported and stays. A row that is brought back
whole gets its old version too, so that it is the same row to the last column. Where a parent is gone for good the link
is reported as impossible.

What it did is read back at the end, per record and per link: nothing is claimed that was not seen. Left to others: the
order of writes (``engine``, the same as for deletions), the signed restore manifest (``runner``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from steward.crm.mapping import Mapping as CrmMapping
from steward.executor.backup import BackupReader
from steward.executor.journal import Journal
from steward.executor.judge import Verdict, units_of
from steward.executor.ports import Effect, Reading, State, Unit, Work, Writer
from steward.records import Absent, Record, RecordKey, Scalar, canonical_text

ReadRows = Callable[[Sequence[RecordKey]], Mapping[RecordKey, Record | Absent]]

CODES = {
    "already": "it is as it was before",
    "recreated": "somebody has made a record with this id since",
    "changed_since": "people have changed what we left",
    "row_gone": "the record is not there any more",
    "parent_gone": "the record it belonged to is not there any more",
    "no_answer": "the CRM did not say what the record is",
    "not_by_us": "somebody else changed it; nothing of ours is to be undone",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report: a record or a link, by id and field name."""

    seq: int
    what: str
    record: RecordKey
    field: str
    outcome: str
    fields: tuple[str, ...] = ()


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
            grouped: dict[int, list[Effect]] = {}
            for effect in self._reader.read(self._manifest, self._journal.frame(self._manifest, work.frame)):
                grouped.setdefault(effect.seq, []).append(effect)
            self._at, self._effects = work.frame, grouped
        return self._effects.get(seq, [])


@dataclass(slots=True)
class RestoreDecider:
    """Implements :class:`steward.executor.engine.Decider` for restores."""

    writer: Writer
    mapping: CrmMapping
    effects: FrameEffects
    vetoed: Callable[[], frozenset[int]] = frozenset
    _promised: set[RecordKey] = field(default_factory=set)

    def decide(self, works: Sequence[Work]) -> tuple[list[Unit], list[Verdict], list[Work]]:
        """Sort a batch; see :func:`steward.executor.judge.judge`."""
        originals = {w.seq: self.effects.of(w.of_seq) for w in works if w.of_seq is not None}
        keys = list(dict.fromkeys(e.before.key for found in originals.values() for e in found))
        reading = self.writer.read(keys)
        parents = list(dict.fromkeys(self._parents(originals)))
        around = self.writer.read([p for p in parents if p not in reading.records])
        known = Reading({**around.records, **reading.records})
        units: list[Unit] = []
        verdicts: list[Verdict] = []
        later: list[Work] = []
        touched: set[RecordKey] = set()
        self._promised = set()
        for group in units_of(works):
            mine = {e.before.key for w in group for e in originals.get(w.seq, ())}
            if mine & touched:
                later += group
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
        found = reading.records.get(own.before.key)
        if found is None:
            return State.FAILED, "no_answer", []
        first = self._own(work, own, found, reading)
        if isinstance(first, str):
            if first != "already":
                return State.CONFLICT, first, []
            back: list[Effect] = []
        else:
            back = [first]
            if first.op == "insert":
                self._promised.add(first.before.key)
        for e in originals:
            if e.role == "item":
                continue
            current = reading.records.get(e.before.key)
            if isinstance(current, Record):
                undone = self._undo(work.seq, e, current, reading)
                if undone is not None:
                    back.append(undone)
        if not back:
            return State.DONE, "already", []
        return State.PENDING, "", back

    def _own(self, work: Work, e: Effect, found: Record | Absent, reading: Reading) -> Effect | str:
        before = e.before
        if e.op in ("delete", "bin"):
            if isinstance(found, Absent):
                changes = self._orphaned(before, reading)
                return Effect(work.seq, "item", "insert", before, changes)
            return "already" if found.digest == before.digest else "recreated"
        if isinstance(found, Absent):
            return "row_gone"
        entry = self.mapping.objects[before.key.object]
        mark = entry.soft_delete
        if mark is not None and mark.column in e.changes:
            # A deletion's marks go back together: half an undeletion is none.
            names = {n for n in (mark.column, mark.at, mark.by) if n is not None and n in e.changes}
            if not found.deleted:
                return "already" if found.digest == before.digest else "changed_since"
            if any(not _equal(found.fields.get(n), e.changes[n]) for n in names):
                return "not_by_us"
        undone = self._undo(work.seq, e, found, reading)
        if undone is None:
            return "already" if found.digest == before.digest else "changed_since"
        return undone

    def _orphaned(self, before: Record, reading: Reading) -> dict[str, Scalar]:
        """Links of a row to parents that are gone: they cannot come back."""
        changes: dict[str, Scalar] = {}
        for name, object in self.mapping.objects[before.key.object].parents.items():
            id = canonical_text(before.fields.get(name))
            if id is None:
                continue
            parent = RecordKey(object, id)
            if parent not in self._promised and parent != before.key and isinstance(reading.records.get(parent), Absent):
                changes[name] = None
        return changes

    def _undo(self, seq: int, e: Effect, now: Record, reading: Reading) -> Effect | None:
        """Return the update that puts our changes back where they still stand; None where there is none."""
        entry = self.mapping.objects[e.before.key.object]
        moving = {n for n in (entry.version, entry.modified) if n}
        changes: dict[str, Scalar] = {}
        for name, left in e.changes.items():
            if name in moving:
                continue
            current, old = now.fields.get(name), e.before.fields.get(name)
            if _equal(current, old) or not _equal(current, left):
                continue
            if name in entry.parents and old is not None:
                parent = RecordKey(entry.parents[name], canonical_text(old) or "")
                if parent not in self._promised and isinstance(reading.records.get(parent), Absent):
                    continue
            changes[name] = old
        result = {**now.fields, **changes}
        same = all(_equal(result[n], e.before.fields.get(n)) for n in result if n not in moving)
        if same:  # nobody has touched it: the same row, with its old version
            changes |= {n: e.before.fields[n] for n in sorted(moving) if not _equal(now.fields.get(n), e.before.fields[n])}
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


def _equal(left: object, right: object) -> bool:
    return canonical_text(left) == canonical_text(right)  # type: ignore[arg-type]  # both are field values


def report(effects: Sequence[Effect], read: ReadRows, mapping: CrmMapping) -> list[Line]:
    """Read back what is there now and say it per record and per link.

    Outcomes are ``restored`` (as it was to the last column), ``changed`` (there, with differences in the named fields)
    and ``impossible`` (not there).
    """
    rows = read(list(dict.fromkeys(e.before.key for e in effects)))
    lines: list[Line] = []
    for e in effects:
        entry = mapping.objects[e.before.key.object]
        now = rows.get(e.before.key)
        if not isinstance(now, Record):
            outcome: tuple[str, tuple[str, ...]] = ("impossible", ())
        else:
            names = tuple(sorted(n for n in e.before.fields if not _equal(now.fields.get(n), e.before.fields[n])))
            outcome = ("changed", names) if names else ("restored", ())
        if e.role in ("item", "survivor"):
            lines.append(Line(e.seq, e.role, e.before.key, "", *outcome))
        if e.role == "item":
            links = [n for n in entry.parents if e.before.fields.get(n) is not None and e.op in ("delete", "bin")]
        else:
            links = [n for n in e.changes if n in entry.parents]
        for name in links:
            lines.append(Line(e.seq, "link", e.before.key, name, _link(now, e.before, name)))
    return lines


def _link(now: Record | Absent | None, before: Record, name: str) -> str:
    if not isinstance(now, Record):
        return "impossible"
    if _equal(now.fields.get(name), before.fields.get(name)):
        return "restored"
    return "impossible" if now.fields.get(name) is None else "changed"
