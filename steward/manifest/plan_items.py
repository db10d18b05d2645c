"""Which decisions become items, in which order, and why the others are held back.

Works from the leaves up: before a record is planned, whatever hangs on it is. A record whose child must stay, stays; a
child that a cascade takes along is an item of its own; children that a merge moves or a delete detaches are counted and
digested, so that the executor can tell whether they are still the same.

Left to others: limits, times and the statement (``draft``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from steward.decisions import Decision, DecisionAction
from steward.evidence import Evidence
from steward.manifest.chunks import ids_digest
from steward.manifest.codec import problem_of
from steward.manifest.draft_rules import DraftRules, ObjectRules, RecordState
from steward.manifest.format import Action, Item, RelatedSet, Rule, Survivor
from steward.messages import N_
from steward.policy import Protection, blocking
from steward.records import Link, RecordKey

_GOES = frozenset({"soft_delete", "hard_delete", "merge_into"})
_DEEPEST = 64
_CODE = re.compile(r"[^A-Za-z0-9_.:-]+")

SENTENCES = {
    "not_in_snapshot": N_("The record is not in the snapshot."),
    "already_deleted": N_("The record is deleted already."),
    "not_reviewed": N_("The decision does not say which state of the record was seen."),
    "changed_since_review": N_("The record has changed since it was reviewed."),
    "protections_unknown": N_("Nobody has computed what protects the record."),
    "unusable_id": N_("The record's id or version holds characters that a manifest may not carry."),
    "unknown_object": N_("The mapping does not know the object."),
    "open_children": N_("Records that must not lose it hang on the record."),
    "child_held_back": N_("A record that would have to go with it is held back."),
    "no_new_owner": N_("What hangs on the record needs a new owner, and none is named."),
    "circle": N_("The records refer to each other in a circle."),
    "survivor_missing": N_("The survivor is not in the snapshot, or is deleted."),
    "survivor_goes": N_("The survivor is to be deleted itself."),
    "survivor_contested": N_("Reviewers disagree about the survivor."),
    "survivor_restricted": N_("The survivor may not be changed."),
    "link_twice": N_(
        "The survivor, or another record merged into it, has a link that may exist only once; one of the two must go first."
    ),
    "choice_unknown": N_("A value is to come from a record that is not merged into the same survivor."),
    "no_anonymise_rule": N_("The policy does not say which fields of the object are emptied."),
    "not_a_user": N_("Only users can be deactivated."),
}
"""Code → sentence, for everything that is held back here; protections bring their own."""


class Why(NamedTuple):
    """One reason to hold back."""

    key: RecordKey
    code: str
    sentence: str


class Planner:
    """Plans items from decisions; see :func:`steward.manifest.draft.draft` for the arguments.

    Attributes
    ----------
    held : list of Why
    """

    def __init__(
        self,
        decisions: Mapping[RecordKey, Decision],
        states: Mapping[RecordKey, RecordState],
        protections: Mapping[RecordKey, Sequence[Protection]],
        children: Mapping[RecordKey, Sequence[Link]],
        objects: Mapping[str, ObjectRules],
        rules: DraftRules,
        evidence: Mapping[RecordKey, Sequence[Evidence]],
        contested: frozenset[RecordKey] = frozenset(),
        spoken: frozenset[RecordKey] = frozenset(),
        singles: Sequence[Sequence[Link]] = (),
    ) -> None:
        self.decisions = decisions
        self.states = states
        self.protections = protections
        self.children = children
        self.objects = objects
        self.rules = rules
        self.evidence = evidence
        self.contested = contested
        self.singles = singles
        self._twins: dict[RecordKey, list[RecordKey]] = {}
        """Record → links that must go before a link of its own can move."""
        for group in singles:
            for link in group:
                self._twins.setdefault(link.parent, []).extend(x.child for x in group if x.parent != link.parent)
        self.spoken = spoken | contested | frozenset(decisions)
        self.held: list[Why] = []
        self._items: dict[RecordKey, Item] = {}
        self._refused: dict[RecordKey, Why] = {}
        self._survivors: dict[RecordKey, RecordKey] = {}

    def plan(self) -> list[Item]:
        """Return the items in order of work, numbered; what is not among them is in :attr:`held`.

        A merge that loses the donor of a chosen value is refused afterwards, and whatever was planned on it is planned
        anew, until nothing changes.
        """
        refused: dict[RecordKey, Why] = {}
        while True:
            self._items, self._refused = {}, dict(refused)
            for key in sorted(self.decisions):
                if self.decisions[key].action is DecisionAction.MERGE and key not in refused:
                    found = self._resolve(key)
                    if isinstance(found, Why):
                        self._refused[key] = found
                    else:
                        self._survivors[key] = found
            for key in sorted(self.decisions):
                self._walk(key)
            more = self._lost_choices() | self._links_twice()
            if not more:
                break
            refused.update(more)
        self.held += [self._refused[k] for k in sorted(self._refused) if k in self.decisions]
        return [replace(item, seq=seq) for seq, item in enumerate(self._items.values())]

    # Merges ---------------------------------------------------------------------------------------------------------

    def _resolve(self, key: RecordKey) -> RecordKey | Why:
        """Follow a chain of merges to the record that stays."""
        seen, at = {key}, key
        while (decision := self.decisions.get(at)) is not None and decision.action is DecisionAction.MERGE:
            assert decision.target is not None
            at = RecordKey(at.object, decision.target)
            if at in seen:
                return _why(key, "circle")
            seen.add(at)
        state = self.states.get(at)
        if state is None or state.deleted:
            return _why(key, "survivor_missing")
        if at in self.contested:
            return _why(key, "survivor_contested")
        if decision is not None and decision.action in (DecisionAction.DELETE, DecisionAction.ANONYMISE):
            return _why(key, "survivor_goes")
        if at not in self.protections:
            return _why(key, "protections_unknown")
        if blocking("reassign", self.protections[at]):  # what stops a change of owner stops a change of fields
            return _why(key, "survivor_restricted")
        if problem_of(at.id):
            return _why(key, "unusable_id")
        return at

    def _lost_choices(self) -> dict[RecordKey, Why]:
        """Return merges whose chosen values come from a record that is not merged into the same survivor."""
        members: dict[RecordKey, set[str]] = {}
        for key, item in self._items.items():
            if item.action == "merge_into" and item.target is not None:
                members.setdefault(RecordKey(key.object, item.target), {item.target}).add(key.id)
        return {
            key: _why(key, "choice_unknown")
            for key, item in self._items.items()
            if item.target is not None
            and item.choices
            and not set(item.choices.values()) <= members[RecordKey(key.object, item.target)]
        }

    def _links_twice(self) -> dict[RecordKey, Why]:
        """Return merges after which the survivor would have a link twice that may exist only once.

        The database would refuse such a merge when it is carried out, or one of the two links would be lost in silence. Where
        one of them goes by a decision of its own, the other can move.
        """
        found: dict[RecordKey, Why] = {}
        for group in self.singles:
            ends: dict[RecordKey, list[RecordKey]] = {}
            for link in group:
                going = self._items.get(link.child)
                if going is not None and going.action in _GOES:
                    continue
                item = self._items.get(link.parent)
                merged = item is not None and item.action == "merge_into"
                ends.setdefault(self._survivors[link.parent] if merged else link.parent, []).append(link.parent)
            for survivor, parents in ends.items():
                if len(parents) > 1:
                    found |= {key: _why(key, "link_twice") for key in parents if key != survivor}
        return found

    # Everything -----------------------------------------------------------------------------------------------------

    def _walk(self, start: RecordKey) -> None:
        """Plan a record after all that hangs on it; iterative, since chains can be long."""
        stack: list[tuple[RecordKey, bool]] = [(start, False)]
        path: set[RecordKey] = set()
        while stack:
            key, ready = stack.pop()
            if key in self._items or key in self._refused:
                path.discard(key) if ready else None
                continue
            if ready:
                path.discard(key)
                self._settle(key)
                continue
            path.add(key)
            stack.append((key, True))
            for link in self._bound(key):
                child = link.child
                if child in path:
                    if child != key:
                        self._refused.setdefault(key, _why(key, "circle"))
                elif child not in self._items and child not in self._refused and child in self.decisions:
                    stack.append((child, False))
            # A link of the survivor that goes must be gone before its twin takes its place.
            stack += [
                (x, False)
                for x in self._twins.get(key, ())
                if x in self.decisions and x not in path and x not in self._items and x not in self._refused
            ]

    def _bound(self, key: RecordKey) -> Sequence[Link]:
        return self.children.get(key, ())

    def _settle(self, key: RecordKey) -> None:
        planned = self._cascade(key, self.decisions[key], frozenset())
        if isinstance(planned, Why):
            self._refused[key] = planned
        else:
            self._items.update(planned)

    def _cascade(self, key: RecordKey, decision: Decision, above: frozenset[RecordKey]) -> dict[RecordKey, Item] | Why:
        """Return the item of ``key`` after those of the children it takes along, or why it stays."""
        own = key == decision.key
        action = self._action(key, decision)
        if isinstance(action, Why):
            return action
        problem = self._problem(key, decision if own else None, action)
        if problem is not None:
            return problem
        along: dict[RecordKey, Item] = {}
        related: dict[tuple[str, str, Rule], tuple[str | None, list[str]]] = {}
        if action in _GOES:
            for link in sorted(set(self._bound(key)), key=lambda x: (x.child, x.field)):
                answer = self._child(link, key, decision, action, above | {key}, along)
                if isinstance(answer, Why):
                    return answer
                if answer is not None:
                    rule, to = answer
                    related.setdefault((link.child.object, link.field, rule), (to, []))[1].append(link.child.id)
        state = self.states[key]
        target, survivor, choices = decision.target, None, dict(decision.choices) if own else {}
        if action == "merge_into":
            kept = self._survivors[key]
            stays = self.states[kept]
            target, survivor = kept.id, Survivor(version=stays.version, preimage=stays.digest)
        elif action != "reassign":
            target, choices = None, {}
        along[key] = Item(
            seq=0,
            object=key.object,
            id=key.id,
            action=action,
            target=target,
            version=state.version,
            preimage=state.digest,
            survivor=survivor,
            choices=dict(sorted(choices.items())),
            related=tuple(
                RelatedSet(object=o, field=f, rule=rule, target=to, count=len(ids), digest=ids_digest(ids))
                for (o, f, rule), (to, ids) in sorted(related.items())
            ),
            reasons=self._reasons(key, own),
            score=self._score(key),
            evidence=decision.evidence_digest,
            decision=decision.id,
            reviewer=decision.reviewer,
        )
        return along

    def _child(
        self,
        link: Link,
        key: RecordKey,
        decision: Decision,
        action: Action,
        above: frozenset[RecordKey],
        along: dict[RecordKey, Item],
    ) -> tuple[Rule, str | None] | Why | None:
        """Return what becomes of one reference: a rule and a target, None where the child goes first, or a refusal."""
        child = link.child
        gone = self._items.get(child) or along.get(child)
        if child == key or (gone is not None and gone.action in _GOES):
            return None
        if child in above:
            return _why(key, "circle")
        entry = self.objects.get(child.object)
        marked = getattr(self.objects.get(key.object), "soft_delete", None) is not None  # it stays in its place
        if action == "merge_into" and entry is not None and entry.on_merge.get(link.field) == "keep":
            return ("keep", None) if marked and child != self._survivors[key] else _why(key, "open_children")
        if action == "merge_into":  # a survivor that hung on the record cannot be made to hang on itself
            return ("detach" if child == self._survivors[key] else "move"), None
        rule = entry.on_delete.get(link.field, "block") if entry is not None else "block"
        if rule == "keep":
            if action == "soft_delete" and marked:
                return "keep", None
            rule = "cascade"
        if entry is not None and rule == "detach":
            return "detach", None
        if entry is not None and rule == "reassign":
            target = self.rules.reassign_to.get(entry.parents.get(link.field, ""))
            return ("reassign", target) if target and target != key.id else _why(key, "no_new_owner")
        if entry is not None and rule == "cascade":
            if child in self.spoken or len(above) > _DEEPEST:  # a person decided something else about the child
                return _why(key, "child_held_back")
            taken = self._cascade(child, decision, above)
            if isinstance(taken, Why):
                return _why(key, "child_held_back")
            along.update(taken)
            return None
        return _why(key, "open_children")

    def _action(self, key: RecordKey, decision: Decision) -> Action | Why:
        entry = self.objects.get(key.object)
        if entry is None:
            return _why(key, "unknown_object")
        match decision.action:
            case DecisionAction.MERGE if key == decision.key:
                return "merge_into"
            case DecisionAction.ANONYMISE if key == decision.key:
                return "anonymise" if self.rules.anonymise.get(key.object) else _why(key, "no_anonymise_rule")
            case DecisionAction.DEACTIVATE:
                return "deactivate_user" if getattr(entry, "role", "user") == "user" else _why(key, "not_a_user")
            case DecisionAction.REASSIGN:
                return "reassign"
        bin = entry.soft_delete is not None or self.rules.recycle_bin
        return "soft_delete" if bin and key.object not in self.rules.hard else "hard_delete"

    def _problem(self, key: RecordKey, decision: Decision | None, action: Action) -> Why | None:
        """Return why the record itself must stay; ``decision`` is None for a child that a cascade takes along."""
        state = self.states.get(key)
        if state is None:
            return _why(key, "not_in_snapshot")
        if state.deleted:
            return _why(key, "already_deleted")
        if decision is not None:
            if not decision.record_digest:
                return _why(key, "not_reviewed")
            if decision.record_digest != state.digest:
                return _why(key, "changed_since_review")
        words = [key.id, state.version or ""]
        if decision is not None:
            words += [decision.target or "", decision.id, decision.reviewer, *decision.choices, *decision.choices.values()]
        if not key.id or any(problem_of(w) or len(w) > 255 for w in words):
            return _why(key, "unusable_id")
        if key not in self.protections:
            return _why(key, "protections_unknown")
        for protection in blocking(action, self.protections[key]):
            return Why(key, _CODE.sub("_", protection.code)[:100] or "protected", protection.sentence)
        return None

    def _reasons(self, key: RecordKey, own: bool) -> tuple[str, ...]:
        # A rule that is named after its kind already is not named twice.
        named = (
            r if r.startswith((k + ".", k + "ness")) else f"{k}.{r}"
            for k, r in ((e.kind, e.rule_id) for e in self.evidence.get(key, ()))
        )
        codes = {_CODE.sub("_", name)[:100] for name in named}
        if not own:
            codes.add("cascade")
        return tuple(sorted(codes))[:64]

    def _score(self, key: RecordKey) -> int:
        return max((max(0, min(10_000, round(e.score * 10_000))) for e in self.evidence.get(key, ())), default=0)


def _why(key: RecordKey, code: str) -> Why:
    return Why(key, code, SENTENCES[code])
