"""One reviewer at work on one snapshot: queue, case, decide, undo, redo, bulk, progress. No widget, no browser.

Everything that holds is in the decision log; a session is only what the log and the snapshot say, kept up to date. It is
on disk when :meth:`ReviewSession.decide` returns, and a new session on the same log stands where the old one stood.

Left to others: the log (``steward.store``), the screen (``steward.review.panel``), what becomes of decisions
(``steward.manifest``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from steward.decisions import DESTRUCTIVE, Decision, DecisionAction
from steward.errors import ConflictingDecisionsError, DecisionError, LimitExceededError, ProtectedError
from steward.messages import N_
from steward.records import RecordKey
from steward.review.cases import CaseState, QueueRow
from steward.review.intent import Concern, ConfirmationNeededError, Draft, Facts, Intent, concerns, drafts, hard
from steward.review.queue import Progress, ReviewQueue

RISKIEST = 20

__all__ = ["RISKIEST", "Bulk", "Group", "Progress", "ReviewSession"]


@dataclass(frozen=True, slots=True)
class Group:
    """What one keystroke put into the log."""

    id: str
    case_id: str
    action: DecisionAction
    records: int
    cases: int


@dataclass(frozen=True, slots=True)
class Bulk:
    """A bulk action before it is confirmed.

    Attributes
    ----------
    records : int
        Records that would be changed (destructive) or decided on: the number to type.
    left_out : tuple of (case id, Concern)
        Cases with a refusal or a warning; they are decided one by one.
    riskiest : tuple of QueueRow
        At most twenty, least certain first; to be looked at before confirming.
    """

    intent: Intent
    cases: int
    records: int
    left_out: tuple[tuple[str, Concern], ...]
    riskiest: tuple[QueueRow, ...]
    made: tuple[tuple[Facts, tuple[Draft, ...]], ...]
    hard: Concern | None = None
    """Why the action must be confirmed once more beside the number; None where it need not."""


class ReviewSession(ReviewQueue):
    """A reviewer's work on a snapshot; made with the words of :class:`steward.review.queue.ReviewQueue`."""

    # ------------------------------------------------------------------ deciding

    def decide(self, case_id: str, intent: Intent) -> Group:
        """Record a decision; it is on disk when this returns.

        Raises
        ------
        ProtectedError
            Policy keeps a record, or a merge would lose its survivor.
        ConfirmationNeededError
            There are warnings and ``intent.confirmed`` is False.
        DecisionError
            The intent does not fit the case, or the log cannot be written. Nothing is recorded in all three.
        """
        self.refresh()
        [facts] = self.source.facts([self.index.place(case_id)])
        made = drafts(facts, intent)
        self.claims.look_around()
        found = self._concerns_of(facts, intent, made)
        for concern in found:
            if concern.level == "refused":
                raise ProtectedError(concern.template, **dict(concern.facts))
        if found and not intent.confirmed:
            raise ConfirmationNeededError(found)
        if case_id in self.claims.taken:
            self.claims.claim([case_id], take_over=True)
        return self._record([(facts, tuple(made))], intent, replace=intent.confirmed)

    def _record(self, made: Sequence[tuple[Facts, tuple[Draft, ...]]], intent: Intent, *, replace: bool) -> Group:
        group, at = self._new_id(), self._now()
        entries: list[Decision] = []
        for facts, parts in made:
            for draft in parts:
                before = (
                    [d for d in self._others(draft.fact.key) if (d.action, d.target) != (draft.action, draft.target)]
                    if replace and draft.action is not DecisionAction.COMMENT  # a comment takes nothing from anybody
                    else []
                )
                entries.append(
                    Decision(
                        id=self._new_id(),
                        group=group,
                        case_id=facts.case_id,
                        key=draft.fact.key,
                        action=draft.action,
                        reviewer=self.reviewer,
                        at=at,
                        reason=intent.reason,
                        evidence_digest=facts.evidence_digest,
                        snapshot_digest=self.snapshot.digest,
                        record_digest=draft.fact.digest,
                        target=draft.target,
                        until=intent.until if draft.action is DecisionAction.DEFER else None,
                        choices=draft.choices,
                        supersedes=" ".join(d.id for d in before) or None,
                    )
                )
        self._append(entries)
        return Group(group, made[0][0].case_id, intent.action, len(entries), len(made))

    def _others(self, key: RecordKey) -> list[Decision]:
        """Return the last decision of each other person on a record."""
        last: dict[str, Decision] = {}
        for entry in self.live.counting(key):
            if entry.action is not DecisionAction.COMMENT and entry.reviewer != self.reviewer and not entry.by_rule:
                last[entry.reviewer] = entry
        return list(last.values())

    # ------------------------------------------------------------------ bulk

    def plan_bulk(self, intent: Intent, lines: Iterable[int] | None = None) -> Bulk:
        """Work out a bulk action over lines of the view (all open cases of the view where None); records nothing."""
        places = self._rows if lines is None else np.array([self.place_at(n) for n in lines], dtype=np.int64)
        places = places[self.index.state[places] == CaseState.OPEN]
        return self.plan_bulk_places(intent, [int(p) for p in places])

    def plan_bulk_places(self, intent: Intent, places: Sequence[int]) -> Bulk:
        """As :meth:`plan_bulk`, over places of the index."""
        made: list[tuple[Facts, tuple[Draft, ...]]] = []
        left_out: list[tuple[str, Concern]] = []
        self.claims.look_around()
        where = dict(zip(self.index.case_ids(places), places, strict=True))
        for facts in self.source.facts(places):
            try:
                parts = drafts(facts, intent)
            except DecisionError as error:
                key = facts.members[0].key
                left_out.append((facts.case_id, Concern("refused", key, error.template, error.facts)))
                continue
            found = concerns(parts, self.standing_of_all(facts, intent), self.live.merged_into, self.reviewer)
            found += self._claimed_by_other(facts)
            if found:
                left_out.append((facts.case_id, found[0]))
            else:
                made.append((facts, tuple(parts)))
        kept = np.array([where[facts.case_id] for facts, _ in made], dtype=np.int64)
        # Riskiest first: protected, then least certain, then largest. Lexsort takes the last key first.
        order = np.lexsort((-self.index.size[kept], self.index.score[kept], ~self.index.protected[kept]))[:RISKIEST]
        rows = [self.index.row(int(p)) for p in kept[order]]
        changing = intent.action in DESTRUCTIVE
        records = sum(1 for _, parts in made for d in parts if not changing or d.action in DESTRUCTIVE)
        return Bulk(intent, len(made), records, tuple(left_out), tuple(rows), tuple(made), self._hard_one(intent, made))

    @staticmethod
    def _hard_one(intent: Intent, made: Sequence[tuple[Facts, tuple[Draft, ...]]]) -> Concern | None:
        return next((c for facts, _ in made if (c := hard(facts, intent)) is not None), None)

    def decide_bulk(self, bulk: Bulk, typed: int, *, sure: bool = False) -> Group:
        """Record a bulk action as one group, which one undo takes back.

        Raises
        ------
        LimitExceededError
            ``typed`` is not the number of records.
        ConfirmationNeededError
            The action asks twice (``bulk.hard``) and ``sure`` is False.
        ConflictingDecisionsError
            Somebody has decided on one of the records in the meantime.
        """
        if typed != bulk.records or not bulk.made:
            raise LimitExceededError(
                N_("{typed} was typed, but the action concerns {records} records; nothing was decided."),
                typed=typed,
                records=bulk.records,
            )
        if bulk.hard is not None and not sure:
            raise ConfirmationNeededError([bulk.hard])
        changed = self.refresh()
        if changed & {d.fact.key for _, parts in bulk.made for d in parts}:
            raise ConflictingDecisionsError(
                N_("Somebody has decided on some of these records in the meantime; nothing was decided."),
                next_step=N_("Begin the bulk action again."),
            )
        return self._record(bulk.made, bulk.intent, replace=False)

    # ------------------------------------------------------------------ undo, redo

    def undo(self) -> Group | None:
        """Take back this reviewer's last decision that counts; None where there is none."""
        self.refresh()
        return self._mark(DecisionAction.UNDO, self.history.done)

    def redo(self) -> Group | None:
        """Make the last undone decision count again; None where there is none."""
        self.refresh()
        return self._mark(DecisionAction.REDO, self.history.undone)

    def _mark(self, action: DecisionAction, stack: list[str]) -> Group | None:
        if not stack:
            return None
        group = stack[-1]
        keys = self.live.keys_of_group(group)
        first = self.live.first_of_group(group)
        if action is DecisionAction.REDO:
            self._check_redo(group, keys)
        self._append(
            [
                Decision(
                    id=self._new_id(),
                    group=self._new_id(),
                    case_id=first.case_id,
                    key=first.key,
                    action=action,
                    reviewer=self.reviewer,
                    at=self._now(),
                    snapshot_digest=self.snapshot.digest,
                    undoes=group,
                )
            ]
        )
        return Group(group, first.case_id, action, len(keys), len({d.case_id for d in self.live.entries_of_group(group)}))

    def _check_redo(self, group: str, keys: list[RecordKey]) -> None:
        """Refuse a redo that would bring back a merge whose survivor is to go by now, or the reverse."""
        coming = {d.key: d for d in self.live.entries_of_group(group)}
        for key, entry in coming.items():
            if entry.action in DESTRUCTIVE and (self.live.merged_into.get(key, set()) - set(keys)):
                raise ProtectedError(N_("{key} is the survivor of another merge; undo that first."), key=key)
            if entry.action is DecisionAction.MERGE and entry.target is not None:
                target = RecordKey(key.object, entry.target)
                other = self.live.by_key.get(target)
                if other is not None and target not in coming and other.action in DESTRUCTIVE:
                    raise ProtectedError(N_("The survivor {key} is itself to go; undo that first."), key=target)

    def may_write(self) -> None:
        """Refuse where the person may only look.

        Raises
        ------
        DecisionError
        """
        if self.looking:
            raise DecisionError(
                N_("{reviewer} may look and not decide; nothing was decided."),
                next_step=N_("Your role stands in people.toml; a steward signs what others decided."),
                reviewer=self.reviewer,
            )

    def _append(self, entries: list[Decision]) -> None:
        """Put entries on disk, then take them in; they are read back only where somebody else wrote in between."""
        self.may_write()
        head = self.log.append(entries)
        if head.seq == self._seq + len(entries):
            self._seq = head.seq
            self._take_in(entries)
        else:
            self.refresh()
