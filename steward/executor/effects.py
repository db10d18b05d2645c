"""From items that may go to the rows that change: deletions, what hangs on them, survivors, replacements.

Children and survivors come before what goes, whatever a database would do by itself. Pure. Left to others: whether an item
may go (``judge``), writing (``writers``).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from steward.crm.mapping import ObjectMapping
from steward.executor.ports import Effect, Reading, State, Unit, Work
from steward.executor.verdict import Rules, Stop
from steward.manifest.format import RelatedSet
from steward.records import Link, Record, RecordKey, Scalar, canonical_text


def unit_of(works: Sequence[Work], reading: Reading, rules: Rules) -> Unit:
    """Return what changes together for these items.

    Raises
    ------
    Stop
        It cannot be done as reviewed.
    """
    first = works[0]
    effects: dict[RecordKey, Effect] = {}
    for work in works:
        entry = rules.mapping.objects.get(work.object)
        if entry is None:
            raise Stop(State.BLOCKED, "no_rule")
        found = _record(reading, work.key)
        match work.action:
            case "soft_delete":
                effects[work.key] = _soft(work, found, entry, rules)
            case "hard_delete":
                effects[work.key] = _hard(work, found, rules)
            case "merge_into":
                bin = entry.soft_delete is not None or (rules.capabilities.recycle_bin and not rules.capabilities.transactional)
                effects[work.key] = _soft(work, found, entry, rules) if bin else _hard(work, found, rules)
            case "anonymise":
                effects[work.key] = _anonymise(work, found, entry, rules)
            case "reassign":
                if entry.owner is None or work.target is None:
                    raise Stop(State.BLOCKED, "no_rule")
                value = rules.value_for(work.object, entry.owner, work.target, rules.now)
                effects[work.key] = _update(work, "item", found, {entry.owner: value}, entry, rules)
            case "deactivate_user":
                effects[work.key] = _deactivate(work, found, entry, rules)
            case _:
                raise Stop(State.BLOCKED, "no_rule")
    children: dict[RecordKey, Effect] = {}
    for work in works:
        _children(work, works, reading, rules, effects, children)
    if first.action == "merge_into":
        survivor = _survivor(works, reading, rules)
        if survivor is not None:
            children = {survivor.before.key: survivor, **children}
    kept = {w.key for w in works if any(r.rule == "keep" for r in w.related)}
    going = tuple(w.key for w in works if w.action in ("soft_delete", "hard_delete", "merge_into") and w.key not in kept)
    # Children and survivor first: a database would otherwise cascade, or refuse.
    return Unit(first.unit or f"#{first.seq}", tuple(works), (*children.values(), *effects.values()), going)


def _record(reading: Reading, key: RecordKey) -> Record:
    found = reading.records.get(key)
    if not isinstance(found, Record):
        raise Stop(State.DRIFT, "children_changed")
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
    now = [link for link in reading.links.get(work.key, ()) if link.child != work.key]
    if any((link.child.object, link.field) not in reviewed for link in now):  # of a unit that was interrupted
        raise Stop(State.DRIFT, "children_changed")
    links = [(link, reviewed[link.child.object, link.field]) for link in now]
    if own[work.key].op == "delete":
        links += [(link, _hidden_rule(link, work, reviewed, rules)) for link in reading.hidden.get(work.key, ())]
    members = {w.key for w in works}
    for link, related in links:
        if related.rule == "keep":
            if own[work.key].op != "update":  # the record would not stay, and they could not
                raise Stop(State.BLOCKED, "children_remain")
            continue
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
            raise Stop(State.BLOCKED, "self_link")
        if work.action == "merge_into" and link.child == RecordKey(work.object, work.target or ""):
            raise Stop(State.BLOCKED, "self_link")
        value = None if target is None else rules.value_for(link.child.object, link.field, target, rules.now)
        before = _record(reading, link.child)
        if link.field in before.fields and canonical_text(before.fields[link.field]) != work.id:
            raise Stop(State.DRIFT, "children_changed")  # somebody led it elsewhere between the two reads
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
    raise Stop(State.BLOCKED, "hidden_children")


def _survivor(works: Sequence[Work], reading: Reading, rules: Rules) -> Effect | None:
    first = works[0]
    key = RecordKey(first.object, first.target or "")
    before = _record(reading, key)
    members = {w.id: _record(reading, w.key) for w in works} | {key.id: before}
    changes: dict[str, Scalar] = {}
    for work in works:
        for name, member in work.choices.items():
            if member not in members or name not in before.fields:
                raise Stop(State.BLOCKED, "no_choice")
            value = members[member].fields[name]
            if changes.setdefault(name, value) != value:
                raise Stop(State.BLOCKED, "no_choice")
    changes = {n: v for n, v in changes.items() if canonical_text(v) != canonical_text(before.fields[n])}
    if not changes:
        return None
    return _update(first, "survivor", before, changes, rules.mapping.objects[first.object], rules)


def _soft(work: Work, found: Record, entry: ObjectMapping, rules: Rules) -> Effect:
    mark = None if rules.capabilities.bin_call else entry.soft_delete
    if mark is None:
        if not rules.capabilities.recycle_bin or rules.capabilities.transactional:
            raise Stop(State.BLOCKED, "no_recycle_bin")
        return Effect(work.seq, "item", "bin", found)
    changes: dict[str, Scalar] = {mark.column: rules.value_for(work.object, mark.column, mark.deleted, rules.now)}
    if mark.at is not None and mark.at != mark.column:
        changes[mark.at] = rules.value_for(work.object, mark.at, None, rules.now)
    if mark.by is not None and mark.by != mark.column:
        changes[mark.by] = rules.value_for(work.object, mark.by, rules.actor, rules.now)
    return Effect(work.seq, "item", "update", found, {**changes, **_bump(found, entry, rules)})


def _hard(work: Work, found: Record, rules: Rules) -> Effect:
    """Delete for good; where nothing guards the last moment and nothing brings it back, privacy must have approved."""
    if rules.final and not rules.privacy:
        raise Stop(State.BLOCKED, "needs_privacy")
    return Effect(work.seq, "item", "delete", found)


def _update(work: Work, role: str, before: Record, changes: Mapping[str, Scalar], entry: ObjectMapping, rules: Rules) -> Effect:
    names = [n for n in changes if n != entry.version]
    if entry.key in names or not all(entry.writes(n) for n in names):
        raise Stop(State.BLOCKED, "not_writable")
    if any(n not in before.fields for n in names):
        raise Stop(State.BLOCKED, "no_rule")
    return Effect(work.seq, role, "update", before, {**changes, **_bump(before, entry, rules)})  # type: ignore[arg-type]  # roles are literals


def _bump(before: Record, entry: ObjectMapping, rules: Rules) -> dict[str, Scalar]:
    """Move the version on, so that other programs see the change; a version of unknown form is left to the CRM."""
    name = entry.version
    value = before.fields.get(name) if name else None
    if name is None or isinstance(value, bool) or not rules.capabilities.transactional:
        return {}  # a vendor moves it by itself
    if isinstance(value, int):
        return {name: value + 1}
    if name == entry.modified:
        return {name: rules.value_for(before.key.object, name, None, rules.now)}
    return {}


def _anonymise(work: Work, found: Record, entry: ObjectMapping, rules: Rules) -> Effect:
    fields = rules.anonymise.get(work.object)
    if not fields:
        raise Stop(State.BLOCKED, "no_rule")
    changes: dict[str, Scalar] = {}
    for change in fields:
        if change.method == "null":
            changes[change.field] = None
        elif change.method == "blank":
            changes[change.field] = None if rules.capabilities.empty_is_null else ""
        else:
            changes[change.field] = "anon-" + secrets.token_hex(8)  # random: nothing leads back to the value
    return _update(work, "item", found, changes, entry, rules)


def _deactivate(work: Work, found: Record, entry: ObjectMapping, rules: Rules) -> Effect:
    active = entry.active_when
    if active is None or active.column not in found.fields:
        raise Stop(State.BLOCKED, "no_rule")
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
        raise Stop(State.BLOCKED, "no_rule")
    if canonical_text(off) in active.values:
        raise Stop(State.BLOCKED, "no_rule")
    return _update(work, "item", found, {active.column: off}, entry, rules)
