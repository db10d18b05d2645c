"""From what was signed and what the CRM holds now to what would happen, item by item. Pure: plan and apply share it.

Every item gets a verdict: apply with its effects, or why not. Whatever differs from what people reviewed (version,
pre-image, survivor, any set of children) is drift and stays as it is. Nothing here reads, writes or waits.

Left to others: reading (``writers``), order of steps (``engine``), bringing back (``restore``).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from steward.crm.mapping import Mapping as CrmMapping
from steward.crm.mapping import ObjectMapping
from steward.executor.business import opened_since
from steward.executor.ports import Effect, Reading, State, Unit, Work
from steward.manifest.chunks import ids_digest
from steward.manifest.format import FieldChange, RelatedSet
from steward.records import Absent, Link, Record, RecordKey, Scalar, canonical_text

ValueFor = Callable[[str, str, str | None, datetime], Scalar]

CODES = {
    "changed": "the record is not as it was reviewed",
    "deleted_meanwhile": "somebody has deleted the record since",
    "absent": "the CRM says there is no such record",
    "no_answer": "the CRM did not say what the record is",
    "survivor_changed": "the survivor is not as it was reviewed",
    "children_changed": "what hangs on the record is not what was reviewed",
    "children_remain": "records hang on it that had to go first, or that nobody reviewed",
    "hidden_children": "deleted records still refer to it and no rule says what becomes of them",
    "self_link": "the survivor refers to the record that merges into it",
    "no_choice": "a chosen value comes from a record that is not part of the merge",
    "no_rule": "neither mapping nor manifest says how this is done",
    "not_writable": "the mapping does not allow writing a field",
    "veto": "vetoed",
    "held": "on the hold list",
    "kept_keep": "a reviewer has decided since that it stays",
    "kept_not_duplicate": "a reviewer has decided since that it is no duplicate",
    "kept_defer": "a reviewer has put it off since",
    "kept_escalate": "a reviewer has passed it on since",
    "kept_conflict": "two reviewers disagree since",
    "kept_withdrawn": "the decision was undone since",
    "kept_protected": "it is protected since",
    "open_business": "business that hangs on it was opened or changed since",
}
"""Code → what it means, for screens and docs."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one item. ``state`` PENDING means: apply."""

    work: Work
    state: State
    code: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the judge needs beside the items.

    Attributes
    ----------
    vetoed : set of int
    held : set of RecordKey
        The hold list as it is this moment.
    kept : mapping of RecordKey to str
        The keep list as it is this moment: what reviewers decided since, by code.
    reviewed_at : datetime or None
        When the snapshot was taken; business that was opened or changed after it protects. None asks nothing.
    """

    mapping: CrmMapping
    value_for: ValueFor
    actor: str
    now: datetime
    anonymise: Mapping[str, Sequence[FieldChange]]
    vetoed: frozenset[int] = frozenset()
    held: frozenset[RecordKey] = frozenset()
    kept: Mapping[RecordKey, str] = field(default_factory=dict)
    reviewed_at: datetime | None = None


class _Stop(Exception):
    def __init__(self, state: State, code: str) -> None:
        super().__init__(code)
        self.state, self.code = state, code


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
        for work in group:
            try:
                _check(work, reading, rules)
                going.append(work)
            except _Stop as stop:
                stopped.append(Verdict(work, stop.state, stop.code))
        verdicts += stopped
        # One loser that stays does not stop the others, unless a value was to come from it.
        try:
            if going:
                unit = _unit(going, reading, rules)
                units.append(unit)
                touched |= {e.before.key for e in unit.effects} | {w.key for w in going}
        except _Stop as stop:
            verdicts += [Verdict(w, stop.state, stop.code) for w in going]
    return units, verdicts, later


def _check(work: Work, reading: Reading, rules: Rules) -> None:
    """Compare one item with what is there now."""
    if work.seq in rules.vetoed:
        raise _Stop(State.VETO, "veto")
    if work.key in rules.held:
        raise _Stop(State.HELD, "held")
    if work.key in rules.kept:
        raise _Stop(State.HELD, f"kept_{rules.kept[work.key]}")
    found = reading.records.get(work.key)
    if found is None:
        raise _Stop(State.FAILED, "no_answer")
    if isinstance(found, Absent):
        raise _Stop(State.MISSING, "absent")
    if found.deleted:
        raise _Stop(State.MISSING, "deleted_meanwhile")
    if found.digest != work.preimage or found.version != work.version:
        raise _Stop(State.DRIFT, "changed")
    if work.action == "merge_into":
        _check_survivor(work, reading, rules)
    if work.action in ("soft_delete", "hard_delete", "merge_into"):
        _check_children(work, reading)
    if work.action in ("soft_delete", "hard_delete") and rules.reviewed_at is not None:
        children = [reading.records.get(link.child) for link in reading.links.get(work.key, ()) if link.child != work.key]
        if any(isinstance(c, Record) and opened_since(c, rules.mapping, rules.reviewed_at) for c in children):
            raise _Stop(State.HELD, "open_business")


def _check_survivor(work: Work, reading: Reading, rules: Rules) -> None:
    assert work.target is not None
    key = RecordKey(work.object, work.target)
    if key in rules.held:
        raise _Stop(State.HELD, "held")
    found = reading.records.get(key)
    if found is None:
        raise _Stop(State.FAILED, "no_answer")
    if (
        isinstance(found, Absent)
        or found.deleted
        or work.survivor is None
        or found.digest != work.survivor.preimage
        or found.version != work.survivor.version
    ):
        raise _Stop(State.DRIFT, "survivor_changed")


def _check_children(work: Work, reading: Reading) -> None:
    """Every set of children must be the reviewed one; those that go with it are items of their own and gone by now."""
    now: dict[tuple[str, str], list[str]] = {}
    for link in reading.links.get(work.key, ()):
        if link.child != work.key:
            now.setdefault((link.child.object, link.field), []).append(link.child.id)
    reviewed = {(r.object, r.field): r for r in work.related}
    for place, ids in now.items():
        related = reviewed.get(place)
        if related is None:
            raise _Stop(State.BLOCKED, "children_remain")
        if ids_digest(ids) != related.digest:
            raise _Stop(State.DRIFT, "children_changed")
    if any(place not in now for place in reviewed):
        raise _Stop(State.DRIFT, "children_changed")


def _unit(works: Sequence[Work], reading: Reading, rules: Rules) -> Unit:
    first = works[0]
    effects: dict[RecordKey, Effect] = {}
    for work in works:
        entry = rules.mapping.objects.get(work.object)
        if entry is None:
            raise _Stop(State.BLOCKED, "no_rule")
        found = _record(reading, work.key)
        match work.action:
            case "soft_delete":
                effects[work.key] = _soft(work, found, entry, rules)
            case "hard_delete":
                effects[work.key] = Effect(work.seq, "item", "delete", found)
            case "merge_into":
                hard = entry.soft_delete is None
                effects[work.key] = Effect(work.seq, "item", "delete", found) if hard else _soft(work, found, entry, rules)
            case "anonymise":
                effects[work.key] = _anonymise(work, found, entry, rules)
            case "reassign":
                if entry.owner is None or work.target is None:
                    raise _Stop(State.BLOCKED, "no_rule")
                value = rules.value_for(work.object, entry.owner, work.target, rules.now)
                effects[work.key] = _update(work, "item", found, {entry.owner: value}, entry, rules)
            case "deactivate_user":
                effects[work.key] = _deactivate(work, found, entry, rules)
            case _:
                raise _Stop(State.BLOCKED, "no_rule")
    children: dict[RecordKey, Effect] = {}
    for work in works:
        _children(work, works, reading, rules, effects, children)
    if first.action == "merge_into":
        survivor = _survivor(works, reading, rules)
        if survivor is not None:
            children = {survivor.before.key: survivor, **children}
    going = tuple(w.key for w in works if w.action in ("soft_delete", "hard_delete", "merge_into"))
    # Children and survivor first: a database would otherwise cascade, or refuse.
    return Unit(first.unit or f"#{first.seq}", tuple(works), (*children.values(), *effects.values()), going)


def _record(reading: Reading, key: RecordKey) -> Record:
    found = reading.records.get(key)
    if not isinstance(found, Record):
        raise _Stop(State.DRIFT, "children_changed")
    return found


def _children(
    work: Work,
    works: Sequence[Work],
    reading: Reading,
    rules: Rules,
    own: dict[RecordKey, Effect],
    children: dict[RecordKey, Effect],
) -> None:
    reviewed = {(r.object, r.field): r for r in work.related}
    links = [
        (link, reviewed[link.child.object, link.field]) for link in reading.links.get(work.key, ()) if link.child != work.key
    ]
    if own[work.key].op == "delete":
        links += [(link, _hidden_rule(link, work, reviewed, rules)) for link in reading.hidden.get(work.key, ())]
    members = {w.key for w in works}
    for link, related in links:
        match related.rule:
            case "detach":
                target = None
            case "reassign":
                target = related.target
            case _:
                target = work.target
        if link.child in members:
            if own[link.child].op in ("delete", "bin"):
                continue
            raise _Stop(State.BLOCKED, "self_link")
        if work.action == "merge_into" and link.child == RecordKey(work.object, work.target or ""):
            raise _Stop(State.BLOCKED, "self_link")
        value = None if target is None else rules.value_for(link.child.object, link.field, target, rules.now)
        before = _record(reading, link.child)
        entry = rules.mapping.objects[link.child.object]
        known = children.get(link.child)
        changes = {**(known.changes if known else {}), link.field: value}
        children[link.child] = _update(work, "child", before, changes, entry, rules)


def _hidden_rule(link: Link, work: Work, reviewed: Mapping[tuple[str, str], RelatedSet], rules: Rules) -> RelatedSet:
    """Soft-deleted children were reviewed by nobody; they are touched only where the rule keeps them."""
    related = reviewed.get((link.child.object, link.field))
    if related is not None:
        return related
    if work.action == "merge_into":
        return RelatedSet(object=link.child.object, field=link.field, rule="move", target=None, count=1, digest="0" * 64)
    if rules.mapping.objects[link.child.object].on_delete.get(link.field) == "detach":
        return RelatedSet(object=link.child.object, field=link.field, rule="detach", target=None, count=1, digest="0" * 64)
    raise _Stop(State.BLOCKED, "hidden_children")


def _survivor(works: Sequence[Work], reading: Reading, rules: Rules) -> Effect | None:
    first = works[0]
    key = RecordKey(first.object, first.target or "")
    before = _record(reading, key)
    members = {w.id: _record(reading, w.key) for w in works} | {key.id: before}
    changes: dict[str, Scalar] = {}
    for work in works:
        for name, member in work.choices.items():
            if member not in members or name not in before.fields:
                raise _Stop(State.BLOCKED, "no_choice")
            value = members[member].fields[name]
            if changes.setdefault(name, value) != value:
                raise _Stop(State.BLOCKED, "no_choice")
    changes = {n: v for n, v in changes.items() if canonical_text(v) != canonical_text(before.fields[n])}
    if not changes:
        return None
    return _update(first, "survivor", before, changes, rules.mapping.objects[first.object], rules)


def _soft(work: Work, found: Record, entry: ObjectMapping, rules: Rules) -> Effect:
    mark = entry.soft_delete
    if mark is None:
        return Effect(work.seq, "item", "bin", found)
    changes: dict[str, Scalar] = {mark.column: rules.value_for(work.object, mark.column, mark.deleted, rules.now)}
    if mark.at is not None and mark.at != mark.column:
        changes[mark.at] = rules.value_for(work.object, mark.at, None, rules.now)
    if mark.by is not None and mark.by != mark.column:
        changes[mark.by] = rules.value_for(work.object, mark.by, rules.actor, rules.now)
    return Effect(work.seq, "item", "update", found, {**changes, **_bump(found, entry, rules)})


def _update(work: Work, role: str, before: Record, changes: Mapping[str, Scalar], entry: ObjectMapping, rules: Rules) -> Effect:
    writable = entry.writable
    names = [n for n in changes if n != entry.version]
    if entry.key in names or (writable is not None and any(n not in writable for n in names)):
        raise _Stop(State.BLOCKED, "not_writable")
    if any(n not in before.fields for n in names):
        raise _Stop(State.BLOCKED, "no_rule")
    return Effect(work.seq, role, "update", before, {**changes, **_bump(before, entry, rules)})  # type: ignore[arg-type]  # roles are literals


def _bump(before: Record, entry: ObjectMapping, rules: Rules) -> dict[str, Scalar]:
    """Move the version on, so that other programs see the change; a version of unknown form is left to the CRM."""
    name = entry.version
    value = before.fields.get(name) if name else None
    if name is None or isinstance(value, bool):
        return {}
    if isinstance(value, int):
        return {name: value + 1}
    if name == entry.modified:
        return {name: rules.value_for(before.key.object, name, None, rules.now)}
    return {}


def _anonymise(work: Work, found: Record, entry: ObjectMapping, rules: Rules) -> Effect:
    fields = rules.anonymise.get(work.object)
    if not fields:
        raise _Stop(State.BLOCKED, "no_rule")
    changes: dict[str, Scalar] = {}
    for change in fields:
        if change.method == "null":
            changes[change.field] = None
        elif change.method == "blank":
            changes[change.field] = ""
        else:
            changes[change.field] = "anon-" + secrets.token_hex(8)  # random: nothing leads back to the value
    return _update(work, "item", found, changes, entry, rules)


def _deactivate(work: Work, found: Record, entry: ObjectMapping, rules: Rules) -> Effect:
    active = entry.active_when
    if active is None or active.column not in found.fields:
        raise _Stop(State.BLOCKED, "no_rule")
    value = found.fields[active.column]
    off: Scalar
    if active.not_in:
        off = rules.value_for(work.object, active.column, active.not_in[0], rules.now)
    elif isinstance(value, bool):
        off = False
    elif isinstance(value, int):
        off = 0
    elif isinstance(value, str) and value.lower() in ("true", "1", "yes", "t", "y"):
        off = {"true": "false", "1": "0", "yes": "no", "t": "f", "y": "n"}[value.lower()]
    else:
        raise _Stop(State.BLOCKED, "no_rule")
    if canonical_text(off) in active.values:
        raise _Stop(State.BLOCKED, "no_rule")
    return _update(work, "item", found, {active.column: off}, entry, rules)


def with_state(work: Work, state: State) -> Work:
    """Return the item in another state."""
    return replace(work, state=state)
