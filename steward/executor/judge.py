"""From what was signed and what the CRM holds now to what would happen, item by item. Pure: plan and apply share it.

Every item gets a verdict: apply with its effects, or why not. Whatever differs from what people reviewed (version,
pre-image, survivor, any set of children) is drift and stays as it is. Nothing here reads, writes or waits.

Left to others: words of verdicts (``verdict``), rows that change (``effects``), reading (``writers``), order of steps
(``engine``), bringing back (``restore``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from steward.executor.business import opened_since
from steward.executor.effects import unit_of
from steward.executor.ports import Reading, State, Unit, Work
from steward.executor.verdict import CODES, Later, Rules, Stop, Verdict
from steward.manifest.chunks import ids_digest
from steward.records import Absent, Record, RecordKey


def keys_to_read(works: Iterable[Work]) -> tuple[list[RecordKey], list[RecordKey]]:
    """Return what must be read for these items: records, and records whose children must be read."""
    keys: dict[RecordKey, None] = {}
    parents: dict[RecordKey, None] = {}
    for work in works:
        keys[work.key] = None
        if work.action in ("soft_delete", "hard_delete", "merge_into"):
            parents[work.key] = None
        if work.action == "merge_into" and work.target is not None:
            keys[RecordKey(work.object, work.target)] = None
    return list(keys), list(parents)


def units_of(works: Sequence[Work]) -> list[list[Work]]:
    """Group items that belong together, in order of their first."""
    groups: dict[str, list[Work]] = {}
    for work in works:
        groups.setdefault(work.unit or f"#{work.seq}", []).append(work)
    return list(groups.values())


def judge(works: Sequence[Work], reading: Reading, rules: Rules) -> tuple[list[Unit], list[Verdict], list[Work]]:
    """Sort a batch.

    Returns
    -------
    units : list of Unit
        What may be applied now; no two touch the same row.
    verdicts : list of Verdict
        Items that are not applied, and why.
    later : list of Work
        Items that touch a row an earlier one of this batch changes; they belong to the next batch.
    """
    units: list[Unit] = []
    verdicts: list[Verdict] = []
    later: list[Work] = []
    touched: set[RecordKey] = set()
    for group in units_of(works):
        needs = {k for w in group for k in keys_to_read([w])[0]}
        needs |= {link.child for w in group for link in reading.links.get(w.key, ())}
        if needs & touched:
            later += group
            continue
        stopped, going = [], []
        try:
            for work in group:
                try:
                    _check(work, reading, rules)
                    going.append(work)
                except Stop as stop:
                    stopped.append(Verdict(work, stop.state, stop.code))
        except Later:
            later += group
            continue
        verdicts += stopped
        # One loser that stays does not stop the others, unless a value was to come from it.
        try:
            if going:
                unit = unit_of(going, reading, rules)
                units.append(unit)
                touched |= {e.before.key for e in unit.effects} | {w.key for w in going}
        except Stop as stop:
            verdicts += [Verdict(w, stop.state, stop.code) for w in going]
    return units, verdicts, later


def _check(work: Work, reading: Reading, rules: Rules) -> None:
    """Compare one item with what is there now."""
    if work.seq in rules.vetoed:
        raise Stop(State.VETO, "veto")
    if work.key in rules.held:
        raise Stop(State.HELD, "held")
    if work.key in rules.kept:
        raise Stop(State.HELD, f"kept_{rules.kept[work.key]}")
    found = reading.records.get(work.key)
    if found is None:
        raise Stop(State.FAILED, "no_answer")
    if isinstance(found, Absent):
        raise Stop(State.MISSING, "absent")
    if found.deleted:
        raise Stop(State.MISSING, "deleted_meanwhile")
    if found.digest != work.preimage or found.version != work.version:
        raise Stop(State.DRIFT, "changed")
    if code := rules.untouchable(found):
        raise Stop(State.BLOCKED, code)
    if work.action == "merge_into":
        _check_survivor(work, reading, rules)
    if work.action in ("soft_delete", "hard_delete", "merge_into"):
        _check_children(work, reading, rules)
    if work.action in ("soft_delete", "hard_delete") and rules.reviewed_at is not None:
        children = [reading.records.get(link.child) for link in reading.links.get(work.key, ()) if link.child != work.key]
        if any(isinstance(c, Record) and opened_since(c, rules.mapping, rules.reviewed_at) for c in children):
            raise Stop(State.HELD, "open_business")


def _check_survivor(work: Work, reading: Reading, rules: Rules) -> None:
    assert work.target is not None
    key = RecordKey(work.object, work.target)
    if key in rules.held:
        raise Stop(State.HELD, "held")
    found = reading.records.get(key)
    if found is None:
        raise Stop(State.FAILED, "no_answer")
    if (
        isinstance(found, Absent)
        or found.deleted
        or work.survivor is None
        or found.digest != work.survivor.preimage
        or found.version != work.survivor.version
    ):
        raise Stop(State.DRIFT, "survivor_changed")
    if code := rules.untouchable(found):
        raise Stop(State.BLOCKED, code)


def _check_children(work: Work, reading: Reading, rules: Rules) -> None:
    """Every set of children must be the reviewed one; those that go with it are items of their own and gone by now."""
    now: dict[tuple[str, str], list[str]] = {}
    for link in reading.links.get(work.key, ()):
        if link.child != work.key:
            now.setdefault((link.child.object, link.field), []).append(link.child.id)
    reviewed = {(r.object, r.field): r for r in work.related}
    for place, ids in now.items():
        related = reviewed.get(place)
        if related is not None and ids_digest(ids) == related.digest:
            continue
        left = [i for i in ids if not rules.pending(RecordKey(place[0], i))]
        if len(left) < len(ids) and (ids_digest(left) == related.digest if related is not None else not left):
            raise Later
        raise Stop(State.BLOCKED, "children_remain") if related is None else Stop(State.DRIFT, "children_changed")
    if any(place not in now for place in reviewed):
        raise Stop(State.DRIFT, "children_changed")


__all__ = ["CODES", "Rules", "Verdict", "judge", "keys_to_read", "units_of"]
