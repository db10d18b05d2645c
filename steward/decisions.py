"""Decisions: what people (or a named rule) made of the evidence, and how a log of them folds into what holds now.

The log is append-only. A decision is superseded, never overwritten; undo and redo are entries too. What holds now is a
pure function of the log (:func:`fold`), so that a restart, a second reviewer or an auditor sees the same.

Left to others: storing the log (``steward.store``), the queue and the screen (``steward.review``), what becomes of the
decisions (``steward.manifest``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from steward.errors import DecisionError
from steward.messages import N_
from steward.records import RecordKey


class DecisionAction(StrEnum):
    """What a reviewer can decide for one record."""

    DELETE = "delete"
    MERGE = "merge_into"
    ANONYMISE = "anonymise"
    DEACTIVATE = "deactivate_user"
    REASSIGN = "reassign"
    KEEP = "keep"
    NOT_DUPLICATE = "not_duplicate"
    DEFER = "defer"
    ESCALATE = "escalate"
    COMMENT = "comment"
    UNDO = "undo"
    REDO = "redo"


DESTRUCTIVE = frozenset(
    {DecisionAction.DELETE, DecisionAction.MERGE, DecisionAction.ANONYMISE, DecisionAction.DEACTIVATE, DecisionAction.REASSIGN}
)
"""Decisions that propose a change of the CRM; the rest leave it as it is."""

_NEEDS_TARGET = frozenset({DecisionAction.MERGE, DecisionAction.REASSIGN})
_LOG_ONLY = frozenset({DecisionAction.UNDO, DecisionAction.REDO, DecisionAction.COMMENT})


@dataclass(frozen=True, slots=True)
class Decision:
    """One entry of the decision log.

    Attributes
    ----------
    id : str
        Unique in the log.
    group : str
        Entries made by one keystroke (a cluster, a bulk action) share a group and are undone together.
    case_id : str
        The case that was on the screen.
    key : RecordKey
        The record decided on. For ``undo`` and ``redo`` the key of the case's first record.
    action : DecisionAction
    reviewer : str
        Person, or ``rule:<name>`` for a headless policy: never mistaken for a person.
    at : datetime
        UTC, for the record only: order is the log's order, never the clock's.
    reason : str
        Free text of the reviewer; may hold personal data and never enters a manifest.
    evidence_digest : str
        What was seen.
    snapshot_digest : str
        What it was seen in.
    record_digest : str
        Pre-image of the record as reviewed.
    target : str or None
        Survivor id for ``merge_into``, owner id for ``reassign``; None for all others.
    until : date or None
        For ``defer``.
    choices : mapping of str to str
        For ``merge_into``: field name → id of the member whose value the survivor shall carry. For ``not_duplicate``:
        id of each record of the same object that this one is told apart from → ``apart``; empty means all records of
        the group.
    undoes : str or None
        For ``undo`` and ``redo``: the group concerned.
    supersedes : str or None
        The decision id of another reviewer that this one knowingly replaces; several ids are separated by blanks, so
        that one named person can resolve a conflict between two others.
    """

    id: str
    group: str
    case_id: str
    key: RecordKey
    action: DecisionAction
    reviewer: str
    at: datetime
    reason: str = ""
    evidence_digest: str = ""
    snapshot_digest: str = ""
    record_digest: str = ""
    target: str | None = None
    until: date | None = None
    choices: Mapping[str, str] = field(default_factory=dict)
    undoes: str | None = None
    supersedes: str | None = None

    def __post_init__(self) -> None:
        if not self.reviewer:
            raise DecisionError(N_("A decision needs a named reviewer."))
        if self.at.tzinfo is None:
            raise ValueError("decision time must be aware")
        if (self.action in _NEEDS_TARGET) != (self.target is not None):
            raise DecisionError(
                N_("Decision {action} on {key}: a target is needed for merge_into and reassign, and only there."),
                action=self.action,
                key=self.key,
            )
        if self.action is DecisionAction.MERGE and self.target == self.key.id:
            raise DecisionError(N_("{key} cannot be merged into itself."), key=self.key)
        if (self.action is DecisionAction.DEFER) != (self.until is not None):
            raise DecisionError(N_("A deferred case needs a date, and no other decision has one."), key=self.key)
        if (self.action in (DecisionAction.UNDO, DecisionAction.REDO)) != (self.undoes is not None):
            raise DecisionError(N_("Undo and redo name the group they concern, and no other decision does."), key=self.key)

    @property
    def by_rule(self) -> bool:
        """True where a headless policy decided, not a person."""
        return self.reviewer.startswith("rule:")


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two reviewers decided differently on one record, and neither superseded the other knowingly."""

    key: RecordKey
    first: Decision
    second: Decision


@dataclass(frozen=True, slots=True)
class Standing:
    """What a log says now: one decision per record, conflicts, and pairs that may never be proposed again."""

    by_key: Mapping[RecordKey, Decision]
    conflicts: tuple[Conflict, ...]
    not_duplicates: frozenset[tuple[RecordKey, RecordKey]]
    undone_groups: frozenset[str]

    def destructive(self) -> tuple[Decision, ...]:
        """Decisions that propose a change, sorted by key; records in conflict are left out."""
        contested = {c.key for c in self.conflicts}
        return tuple(d for k, d in sorted(self.by_key.items()) if d.action in DESTRUCTIVE and k not in contested)


def fold(log: Iterable[Decision]) -> Standing:
    """Fold a decision log, in its order, into what holds now.

    Rules
    -----
    * The last entry of one reviewer on a record supersedes that reviewer's earlier one.
    * Entries of different reviewers on one record that differ in action or target are a conflict, unless the later
      names the earlier in ``supersedes``. The clock never decides.
    * An undone group counts as if it had never been made; ``redo`` makes it count again.
    * ``comment`` changes nothing. ``not_duplicate`` separates the record from those named in ``choices`` (one member
      taken out of a cluster), or, where ``choices`` is empty, every two keys of the group from each other. The pairs
      are remembered until the same reviewer, or a decision that knowingly supersedes, merges exactly these two.
    * A person's decision supersedes a rule's, and never the reverse.
    """
    entries = list(log)
    undone: set[str] = set()
    for entry in entries:
        if entry.action is DecisionAction.UNDO and entry.undoes:
            undone.add(entry.undoes)
        elif entry.action is DecisionAction.REDO and entry.undoes:
            undone.discard(entry.undoes)

    per_key: dict[RecordKey, dict[str, Decision]] = {}
    replaced: set[str] = set()
    together: dict[str, list[RecordKey]] = {}
    apart: dict[tuple[RecordKey, RecordKey], str] = {}
    for entry in entries:
        if entry.action in _LOG_ONLY or entry.group in undone:
            continue
        if entry.supersedes:
            replaced.update(entry.supersedes.split())
        mine = per_key.setdefault(entry.key, {})
        mine.pop(entry.reviewer, None)  # re-insert at the end: order is the log's order
        mine[entry.reviewer] = entry
        if entry.action is DecisionAction.NOT_DUPLICATE:
            group = together.setdefault(entry.group, [])
            others = [RecordKey(entry.key.object, i) for i in entry.choices] or group
            apart.update({pair_of(entry.key, other): entry.reviewer for other in others if other != entry.key})
            group.append(entry.key)
        elif entry.action is DecisionAction.MERGE and entry.target is not None:
            merged = pair_of(entry.key, RecordKey(entry.key.object, entry.target))
            if entry.supersedes or apart.get(merged) == entry.reviewer:
                apart.pop(merged, None)

    by_key: dict[RecordKey, Decision] = {}
    conflicts: list[Conflict] = []
    for key, by_reviewer in per_key.items():
        alive = [d for d in by_reviewer.values() if d.id not in replaced]
        people = [d for d in alive if not d.by_rule]
        standing = people or alive
        if not standing:
            continue
        by_key[key] = standing[-1]
        first = standing[0]
        for other in standing[1:]:
            if (other.action, other.target) != (first.action, first.target):
                conflicts.append(Conflict(key, first, other))
                break
    return Standing(by_key, tuple(sorted(conflicts, key=lambda c: c.key)), frozenset(apart), frozenset(undone))


def pair_of(a: RecordKey, b: RecordKey) -> tuple[RecordKey, RecordKey]:
    """Return two keys in their order, so that a pair has one name."""
    return (a, b) if a <= b else (b, a)
