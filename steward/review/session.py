"""One reviewer at work on one snapshot: queue, case, decide, undo, redo, bulk, progress. No widget, no browser.

Everything that holds is in the decision log; a session is only what the log and the snapshot say, kept up to date. It is
on disk when :meth:`ReviewSession.decide` returns, and a new session on the same log stands where the old one stood.

Left to others: the log (``steward.store``), the screen (``steward.review.panel``), what becomes of decisions
(``steward.manifest``).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import numpy as np

from steward.decisions import DESTRUCTIVE, Decision, DecisionAction
from steward.errors import ConflictingDecisionsError, DecisionError, LimitExceededError, ProtectedError
from steward.messages import N_
from steward.policy import Holds
from steward.records import RecordKey, Snapshot
from steward.review.cases import CaseIndex, CaseState, QueueRow, Rows, View
from steward.review.intent import Concern, ConfirmationNeededError, Draft, Facts, Intent, concerns, drafts
from steward.review.live import History, LiveFold
from steward.review.source import Sheet, Source

if TYPE_CHECKING:
    from steward.store import Workspace
    from steward.store.decision_log import DecisionLog

RISKIEST = 20


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the work is, over the cases of one kind (or all)."""

    total: int
    open: int
    decided: int
    deferred: int
    escalated: int
    conflicts: int
    mine: int
    """Groups of decisions by this reviewer that count."""


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


class ReviewSession:
    """A reviewer's work on a snapshot.

    Parameters
    ----------
    ws : Workspace
    snapshot : Snapshot
        Scored.
    log : DecisionLog
    reviewer : str
        Name of the person, or ``rule:<name>``.
    now : callable, optional
        Returns the time in UTC.
    new_id : callable, optional
        Returns a new unique text.
    holds : Holds, optional
        A hold list newer than the one the snapshot was scored with.
    """

    def __init__(
        self,
        ws: Workspace,
        snapshot: Snapshot,
        log: DecisionLog,
        reviewer: str,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
        holds: Holds | None = None,
    ) -> None:
        if not reviewer.strip():
            raise DecisionError(N_("A decision needs a named reviewer."))
        self.snapshot, self.log, self.reviewer = snapshot, log, reviewer.strip()
        self._now, self._new_id = now, new_id
        self.index = CaseIndex(ws, snapshot)
        self.source = Source(ws, snapshot, self.index, holds)
        self.live = LiveFold()
        self.history = History(self.reviewer)
        self._seq = 0
        self._rows: Rows = np.zeros(0, dtype=np.int64)
        self.view = View()
        self.refresh()
        self.select(View(kind=self.index.kinds[0] if self.index.kinds else None))

    def close(self) -> None:
        """Release the session's tables; the log stays open."""
        self.index.close()
        self.source.close()

    def today(self) -> date:
        """Return the day, in UTC."""
        return self._now().date()

    # ------------------------------------------------------------------ queue

    def select(self, view: View) -> int:
        """Show a part of the queue and return how many cases it has."""
        self._rows = self.index.select(view)
        self.view = view
        return len(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def page(self, start: int, stop: int) -> list[QueueRow]:
        """Return the lines ``start`` to ``stop`` (excluded) of the view."""
        return [self.index.row(int(p)) for p in self._rows[max(0, start) : max(0, stop)]]

    def position(self, place: int) -> int | None:
        """Return the line of a case in the view; None where the view does not show it."""
        found = np.flatnonzero(self._rows == place)
        return int(found[0]) if len(found) else None

    def next_open(self, after: int = -1, count: int = 1) -> list[int]:
        """Return the lines of the next open cases after a line of the view, going round at the end."""
        if not len(self._rows):
            return []
        open_lines = np.flatnonzero(self.index.state[self._rows] == CaseState.OPEN)
        later, earlier = open_lines[open_lines > after], open_lines[open_lines < after]
        return [int(n) for n in np.concatenate([later, earlier])[:count]]

    def place_at(self, line: int) -> int:
        """Return the case at a line of the view."""
        if not 0 <= line < len(self._rows):
            raise DecisionError(N_("The queue has no line {line}."), line=line + 1)
        return int(self._rows[line])

    # ------------------------------------------------------------------ case

    def sheet(self, case_id: str, **arranged: object) -> Sheet:
        """Return one case, complete; see :meth:`steward.review.source.Source.sheet`."""
        return self.source.sheet(self.index.place(case_id), **arranged)  # type: ignore[arg-type]  # passed through by name

    def standing_of(self, facts: Facts) -> dict[RecordKey, Decision]:
        """Return what holds now for each record of a case."""
        return {m.key: self.live.by_key[m.key] for m in facts.members if m.key in self.live.by_key}

    def concerns(self, facts: Facts, intent: Intent) -> list[Concern]:
        """Return what speaks against an intent, refusals first; empty means it can be decided at once."""
        return concerns(drafts(facts, intent), self.standing_of_all(facts, intent), self.live.merged_into, self.reviewer)

    def standing_of_all(self, facts: Facts, intent: Intent) -> dict[RecordKey, Decision]:
        """As :meth:`standing_of`, with the target of a merge."""
        found = self.standing_of(facts)
        if intent.survivor is not None:
            key = RecordKey(facts.object, intent.survivor)
            if key in self.live.by_key:
                found[key] = self.live.by_key[key]
        return found

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
        found = concerns(made, self.standing_of_all(facts, intent), self.live.merged_into, self.reviewer)
        for concern in found:
            if concern.level == "refused":
                raise ProtectedError(concern.template, **dict(concern.facts))
        if found and not intent.confirmed:
            raise ConfirmationNeededError(found)
        return self._record([(facts, tuple(made))], intent, replace=intent.confirmed)

    def _record(self, made: Sequence[tuple[Facts, tuple[Draft, ...]]], intent: Intent, *, replace: bool) -> Group:
        group, at = self._new_id(), self._now()
        entries: list[Decision] = []
        for facts, parts in made:
            for draft in parts:
                before = (
                    [d for d in self._others(draft.fact.key) if (d.action, d.target) != (draft.action, draft.target)]
                    if replace
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
        for facts in self.source.facts(places):
            try:
                parts = drafts(facts, intent)
            except DecisionError as error:
                key = facts.members[0].key
                left_out.append((facts.case_id, Concern("refused", key, error.template, error.facts)))
                continue
            found = concerns(parts, self.standing_of_all(facts, intent), self.live.merged_into, self.reviewer)
            if found:
                left_out.append((facts.case_id, found[0]))
            else:
                made.append((facts, tuple(parts)))
        kept = {facts.case_id for facts, _ in made}
        rows = sorted(
            (self.index.row(p) for p in places if self.index.case_id(p) in kept),
            key=lambda r: (not r.protected, r.score, -r.size),
        )
        changing = intent.action in DESTRUCTIVE
        records = sum(1 for _, parts in made for d in parts if not changing or d.action in DESTRUCTIVE)
        return Bulk(intent, len(made), records, tuple(left_out), tuple(rows[:RISKIEST]), tuple(made))

    def decide_bulk(self, bulk: Bulk, typed: int) -> Group:
        """Record a bulk action as one group, which one undo takes back.

        Raises
        ------
        LimitExceededError
            ``typed`` is not the number of records.
        ConflictingDecisionsError
            Somebody has decided on one of the records in the meantime.
        """
        if typed != bulk.records or not bulk.made:
            raise LimitExceededError(
                N_("{typed} was typed, but the action concerns {records} records; nothing was decided."),
                typed=typed,
                records=bulk.records,
            )
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

    # ------------------------------------------------------------------ keeping up

    def refresh(self) -> set[RecordKey]:
        """Take in what the log has gained, by whomever; return the records whose standing may have changed."""
        new = self.log.read_after(self._seq)
        if not new:
            return set()
        self._seq = new[-1][0]
        return self._take_in([d for _, d in new])

    def _append(self, entries: list[Decision]) -> None:
        """Put entries on disk, then take them in; they are read back only where somebody else wrote in between."""
        head = self.log.append(entries)
        if head.seq == self._seq + len(entries):
            self._seq = head.seq
            self._take_in(entries)
        else:
            self.refresh()

    def _take_in(self, entries: list[Decision]) -> set[RecordKey]:
        touched = self.live.add(entries)
        self.history.add(entries)
        if touched:
            places = self.index.places_of(touched)
            members = self.index.members(places)
            for place in places:
                self.index.state[place] = self._state(place, members[place])
        return touched

    def _state(self, place: int, keys: list[RecordKey]) -> CaseState:
        """Where a case stands: its own decisions count, and those of other cases that do away with a record."""
        if any(k in self.live.conflicts for k in keys):
            return CaseState.CONFLICT
        case_id, today = self.index.case_id(place), self._now().date()
        answers: list[Decision] = []
        for key in keys:
            standing = self.live.by_key.get(key)
            if standing is None:
                return CaseState.OPEN
            if standing.action in DESTRUCTIVE or standing.case_id == case_id:
                answers.append(standing)
                continue
            own = [d for d in self.live.counting(key) if d.case_id == case_id and d.action is not DecisionAction.COMMENT]
            if not own:
                return CaseState.OPEN
            answers.append(own[-1])
        if any(d.action is DecisionAction.ESCALATE for d in answers):
            return CaseState.ESCALATED
        if any(d.action is DecisionAction.DEFER for d in answers):
            return CaseState.DEFERRED if any(d.until and d.until > today for d in answers) else CaseState.OPEN
        return CaseState.DECIDED

    def progress(self, kind: str | None = None) -> Progress:
        """Return how far the work is."""
        state = self.index.state if kind is None else self.index.states_of(kind)
        found = np.bincount(state, minlength=len(CaseState))
        return Progress(
            total=len(state), open=int(found[CaseState.OPEN]), decided=int(found[CaseState.DECIDED]),
            deferred=int(found[CaseState.DEFERRED]), escalated=int(found[CaseState.ESCALATED]),
            conflicts=int(found[CaseState.CONFLICT]), mine=len(self.history.done),
        )  # fmt: skip
