"""From one keystroke to entries of the log: which records it concerns, what forbids it, what must be confirmed.

Pure: facts in, concerns and drafts out. A *refusal* cannot be overridden here; a *warning* must be confirmed by the
person who decides. Policy is applied again when a manifest is drafted and when it runs; here it saves the reviewer from
deciding what would be held back.

Left to others: reading facts (``steward.review.source``), writing entries (``steward.review.session``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from steward.decisions import DESTRUCTIVE, Decision, DecisionAction
from steward.errors import DecisionError, StewardError
from steward.messages import N_
from steward.policy import Protection, blocking
from steward.records import RecordKey


@dataclass(frozen=True, slots=True)
class Twin:
    """One of the links of a clash: its own id and digest, and the member it refers to."""

    id: str
    member: str
    digest: str


@dataclass(frozen=True, slots=True)
class Clash:
    """Links of members of one cluster that cannot all be the survivor's.

    Attributes
    ----------
    child, column : str
        The object that refers, and its column.
    members : frozenset of str
        Ids of the members whose links exclude each other.
    referring : str or None
        For a link between two members: the one that refers to the other.
    links : tuple of Twin
        The links that exclude each other, sorted by id; empty for a link between two members.
    """

    child: str
    column: str
    members: frozenset[str]
    referring: str | None = None
    links: tuple[Twin, ...] = ()


@dataclass(frozen=True, slots=True)
class Fact:
    """What a decision needs to know of one record."""

    key: RecordKey
    digest: str
    protections: tuple[Protection, ...] = ()
    blocked_by: Mapping[str, int] = field(default_factory=dict)
    """Child object → number of records whose policy blocks a delete."""
    clashes: tuple[Clash, ...] = ()
    """Those in which the record takes part."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a decision needs to know of one case."""

    case_id: str
    kind: str
    object: str
    members: tuple[Fact, ...]
    survivor: RecordKey | None
    evidence_digest: str
    user: bool = False
    """True where the object's records are users of the CRM."""
    recycled: bool = True
    """True where a deletion can be taken back in the CRM itself (a recycle bin, a mark)."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What a person asks for.

    Attributes
    ----------
    action : DecisionAction
    survivor : str or None
        Id of the member that stays, for ``merge_into`` and ``delete`` in a cluster; None takes the proposed one.
    out : frozenset of str
        Ids of members taken out of the cluster: told apart from all others.
    split : bool
        The members taken out are told apart from those that stay, not from each other: the cluster is two.
    only : str or None
        Id of the one member concerned; None concerns the whole case.
    owner : str or None
        For ``reassign``.
    to : str or None
        For ``escalate``: the person who shall decide.
    until : date or None
        For ``defer``.
    choices : mapping of str to str
        For ``merge_into``: field → id of the member whose value the survivor gets.
    links : frozenset of str
        For ``merge_into``: ``object/id`` of links that go, where two exclude each other and the person chose which stays.
    confirmed : bool
        The person has seen the warnings. Standing decisions of others are then superseded by name.
    """

    action: DecisionAction
    survivor: str | None = None
    out: frozenset[str] = frozenset()
    only: str | None = None
    owner: str | None = None
    to: str | None = None
    until: date | None = None
    reason: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)
    confirmed: bool = False
    split: bool = False
    links: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Concern:
    """A reason to stop, or to ask twice. ``template`` is English and marked for translation."""

    level: Literal["refused", "warning"]
    key: RecordKey
    template: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Draft:
    """One entry in the making."""

    fact: Fact
    action: DecisionAction
    target: str | None = None
    choices: Mapping[str, str] = field(default_factory=dict)


class ConfirmationNeededError(DecisionError):
    """The decision was not recorded: the person must see the warnings and decide again."""

    def __init__(self, concerns: list[Concern]) -> None:
        self.concerns = concerns
        super().__init__(
            N_("{count} warnings must be confirmed before this is decided."),
            next_step=N_("Decide again to confirm."),
            count=len(concerns),
        )


_ACTIONS = {
    "duplicate": {DecisionAction.MERGE, DecisionAction.NOT_DUPLICATE},
    "stale": set[DecisionAction](),
    "invalid": set[DecisionAction](),
}
_ALWAYS = {DecisionAction.DELETE, DecisionAction.ANONYMISE, DecisionAction.KEEP, DecisionAction.DEFER, DecisionAction.ESCALATE,
           DecisionAction.COMMENT, DecisionAction.REASSIGN}  # fmt: skip


def possible(facts: Facts) -> set[DecisionAction]:
    """Return the actions that a case of this kind and object offers."""
    actions = _ALWAYS | _ACTIONS.get(facts.kind, set())
    return actions | {DecisionAction.DEACTIVATE} if facts.user else actions


def drafts(facts: Facts, intent: Intent) -> list[Draft]:
    """Return the entries that an intent means, one per record.

    In a cluster ``merge_into``, ``delete`` and ``anonymise`` concern every member but the survivor, who is kept, and those taken
    out, who are told apart from the others.

    Raises
    ------
    DecisionError
        The action does not fit the case, or names a record that is not in it.
    """
    action = intent.action
    if action not in possible(facts):
        raise DecisionError(N_("{action} cannot be decided here."), action=action.value)
    by_id = {m.key.id: m for m in facts.members}
    for name in [intent.survivor, intent.only, *intent.out]:
        if name is not None and name not in by_id:
            raise DecisionError(N_("{id} is not in this case."), id=name)
    if intent.only is not None:
        one = _one(by_id[intent.only], facts, intent)
        return [one, *_links(facts, intent, {intent.only, one.target or ""})]
    if facts.kind != "duplicate" or action in (
        DecisionAction.KEEP,
        DecisionAction.DEFER,
        DecisionAction.ESCALATE,
        DecisionAction.COMMENT,
    ):
        return [_one(m, facts, intent) for m in facts.members]
    if action is DecisionAction.NOT_DUPLICATE:
        return [_apart(m, facts) for m in facts.members]
    survivor = intent.survivor or (facts.survivor.id if facts.survivor else None)
    if survivor is None or survivor in intent.out:
        raise DecisionError(N_("Choose a survivor that stays in the cluster."))
    losers = [m for m in facts.members if m.key.id != survivor and m.key.id not in intent.out]
    if not losers:
        raise DecisionError(N_("No member is left besides the survivor."), next_step=N_("Decide 'not a duplicate' instead."))
    result = [_one(m, facts, intent, survivor) for m in losers]
    result += _links(facts, intent, {survivor, *(m.key.id for m in losers)})
    result.append(Draft(by_id[survivor], DecisionAction.KEEP))
    staying = [m for m in facts.members if m.key.id not in intent.out] if intent.split else None
    result += [_apart(by_id[name], facts, staying) for name in sorted(intent.out)]
    return result


def _one(fact: Fact, facts: Facts, intent: Intent, survivor: str | None = None) -> Draft:
    if intent.action is DecisionAction.MERGE:
        target = survivor or intent.survivor or (facts.survivor.id if facts.survivor else None)
        if target is None or target == fact.key.id:
            raise DecisionError(N_("{key} cannot be merged into itself."), key=fact.key)
        return Draft(fact, intent.action, target, intent.choices)
    if intent.action is DecisionAction.REASSIGN:
        if not intent.owner:
            raise DecisionError(N_("Name the owner who takes over."))
        return Draft(fact, intent.action, intent.owner)
    if intent.action is DecisionAction.NOT_DUPLICATE:
        return _apart(fact, facts)
    if intent.action is DecisionAction.ESCALATE and intent.to:
        return Draft(fact, intent.action, choices={"to": intent.to})
    return Draft(fact, intent.action)


def _links(facts: Facts, intent: Intent, merging: set[str]) -> list[Draft]:
    """Return the deletions of the links that a person lets go so that their twins can stay; each says which one stays."""
    if intent.action is not DecisionAction.MERGE or not intent.links:
        return []
    found: dict[str, Draft] = {}
    for clash in {c: None for m in facts.members for c in m.clashes if c.referring is None and len(c.members & merging) > 1}:
        twins = [x for x in clash.links if x.member in merging]
        stay = [x for x in twins if f"{clash.child}/{x.id}" not in intent.links]
        if not stay:
            raise DecisionError(N_("One of the links must stay."))
        for x in twins:
            fact = Fact(RecordKey(clash.child, x.id), x.digest)
            found[f"{clash.child}/{x.id}"] = Draft(fact, DecisionAction.DELETE, choices={"stays": stay[0].id})
    for name in intent.links - found.keys():
        raise DecisionError(N_("{link} is none of the links to choose from."), link=name)
    return [found[name] for name in sorted(intent.links)]


def _apart(fact: Fact, facts: Facts, others: Sequence[Fact] | None = None) -> Draft:
    told = facts.members if others is None else others
    return Draft(fact, DecisionAction.NOT_DUPLICATE, choices={m.key.id: "apart" for m in told if m.key != fact.key})


_POLICY_WORD = {DecisionAction.DELETE: "soft_delete"}


def concerns(
    made: list[Draft], standing: Mapping[RecordKey, Decision], merged: Mapping[RecordKey, set[RecordKey]], reviewer: str
) -> list[Concern]:
    """Return what speaks against these entries, refusals first.

    Parameters
    ----------
    standing : mapping of RecordKey to Decision
        What holds now.
    merged : mapping of RecordKey to set of RecordKey
        Survivor → records that standing decisions merge into it.
    """
    found: list[Concern] = []
    concerned = {d.fact.key for d in made}
    merging: dict[str, set[str]] = {}
    going = {d.fact.key for d in made if d.action is DecisionAction.DELETE}
    for draft in made:
        if draft.action is DecisionAction.MERGE and draft.target is not None:
            merging.setdefault(draft.target, {draft.target}).add(draft.fact.key.id)
    for draft in made:
        key, action = draft.fact.key, draft.action
        if action in DESTRUCTIVE and (merged.get(key, set()) - concerned):
            found.append(
                Concern(
                    "refused",
                    key,
                    N_("{key} is the survivor of another merge; undo that first."),
                    {"key": key, "code": "survivor"},
                )
            )
        if draft.target is not None and action is DecisionAction.MERGE:
            other = standing.get(RecordKey(key.object, draft.target))
            if other is not None and other.action in DESTRUCTIVE and other.key not in concerned:
                found.append(
                    Concern(
                        "refused",
                        key,
                        N_("The survivor {key} is itself to go; undo that first."),
                        {"key": other.key, "code": "survivor_goes"},
                    )
                )
        if draft.target is not None and action is DecisionAction.MERGE:
            found.extend(_link_concerns(draft.fact, draft.target, merging[draft.target], going))
        if action in DESTRUCTIVE:
            found.extend(
                Concern(
                    "refused", key, N_("{key} is protected: {sentence}"), {"key": key, "sentence": p.sentence, "code": p.code}
                )
                for p in blocking(_POLICY_WORD.get(action, action.value), draft.fact.protections)
            )
        if action is DecisionAction.DELETE:
            for child, count in draft.fact.blocked_by.items():
                facts: dict[str, object] = {"key": key, "count": count, "child": child, "code": f"blocked_by_{child}"}
                found.append(Concern("warning", key, N_("{key}: {count} × {child} would block the deletion."), facts))
        before = standing.get(key)
        if before is None or before.reviewer == reviewer or before.by_rule or action is DecisionAction.COMMENT:
            continue
        if (before.action, before.target) != (action, draft.target):
            facts = {"key": key, "other": before.reviewer, "action": before.action.value, "code": "other_decision"}
            found.append(
                Concern("warning", key, N_("{other} decided {action} for {key}; your decision replaces it by name."), facts)
            )
    return sorted(found, key=lambda c: c.level)


def _link_concerns(fact: Fact, target: str, merging: set[str], going: set[RecordKey]) -> list[Concern]:
    """Return what a merge would do to links that exist only once: refused where it cannot be carried out at all."""
    out: list[Concern] = []
    double: dict[str, int] = {}
    for clash in fact.clashes:
        if clash.referring is None:
            left = {x.member for x in clash.links if RecordKey(clash.child, x.id) not in going}
            if len(left & merging) > 1:
                double[clash.child] = double.get(clash.child, 0) + 1
        elif clash.referring == target and clash.members == {target, fact.key.id}:
            out.append(
                Concern(
                    "refused",
                    fact.key,
                    N_(
                        "The survivor {survivor} refers to {key} by {column}, and would refer to itself: change that in the CRM, or choose another survivor."
                    ),
                    {"key": fact.key, "survivor": target, "column": clash.column, "code": "self_link"},
                )
            )
    for child, count in double.items():
        facts: dict[str, object] = {"key": fact.key, "count": count, "child": child, "code": f"link_conflict_{child}"}
        out.append(
            Concern(
                "warning",
                fact.key,
                N_(
                    "{key}: {count} × {child} cannot move, for the merged record has the same one already; the merge is held back until one of the two is gone."
                ),
                facts,
            )
        )
    return out


HARD = frozenset({DecisionAction.ANONYMISE, DecisionAction.DEACTIVATE})
"""Decisions that ask twice whatever the case: what they change cannot be put back, or takes a person's access away."""


def hard(facts: Facts, intent: Intent) -> Concern | None:
    """Return why an action asks twice by its nature; None where it does not."""
    if intent.action in HARD or (intent.action is DecisionAction.DELETE and not facts.recycled):
        return Concern(
            "warning",
            facts.members[0].key,
            N_("{action} cannot be taken back in the CRM; only a backup could restore it."),
            {"action": intent.action.value, "code": "hard"},
        )
    return None


def sentence(concern: Concern, translate: object = None) -> str:
    """Return a concern as a sentence, translated by ``translate`` where given."""
    return StewardError(concern.template, **dict(concern.facts)).render(translate)
