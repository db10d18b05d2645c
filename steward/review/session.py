"""One reviewer at work on one snapshot: queue, case, decide, undo, redo, bulk, progress. No widget, no browser.

Everything that holds is in the decision log; a session is only what the log and the snapshot say, kept up to date. It is
on disk when :meth:`ReviewSession.decide` returns, and a new session on the same log stands where the old one stood.

Left to others: the log (``steward.store``), the screen (``steward.review.panel``), what becomes of decisions
(``steward.manifest``).
"""

from __future__ import annotations

import contextlib
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
from steward.review.cases import CaseIndex, CaseState, Mask, QueueRow, Rows, View
from steward.review.claiming import Claiming
from steward.review.intent import Concern, ConfirmationNeededError, Draft, Facts, Intent, concerns, drafts, hard
from steward.review.live import History, LiveFold
from steward.review.source import Sheet, Source
from steward.store.claims import Claims

if TYPE_CHECKING:
    from steward.store import Workspace
    from steward.store.decision_log import DecisionLog

RISKIEST = 20
NEAR = 2
"""Open cases claimed before they are on the screen."""
_STEP = 4096  # lines looked at together for the next open case


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
    hard: Concern | None = None
    """Why the action must be confirmed once more beside the number; None where it need not."""


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
    only : iterable of str, optional
        Ids of the cases to work on, in any order; all where not given.
    alone : bool
        Take no notice of what others decide in this log, and claim nothing: for a blind second opinion
        (``DecisionLog.checks``).
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
        only: Iterable[str] | None = None,
        alone: bool = False,
    ) -> None:
        if not reviewer.strip():
            raise DecisionError(N_("A decision needs a named reviewer."))
        self.ws, self.snapshot, self.log, self.reviewer = ws, snapshot, log, reviewer.strip()
        self._now, self._new_id = now, new_id
        self.index = CaseIndex(ws, snapshot)
        self.source = Source(ws, snapshot, self.index, holds)
        self.live = LiveFold()
        self.history = History(self.reviewer)
        self._seq = 0
        self.alone = alone
        self._within: Mask | None = None
        if only is not None:
            self._within = np.zeros(len(self.index), dtype=bool)
            self._within[[self.index.place(case_id) for case_id in only]] = True
        unclaimed = alone or self.reviewer.startswith("rule:")
        self.claims = Claiming(None if unclaimed else Claims(log, snapshot.digest), self.reviewer)
        self._waiting: list[int] | None = None
        self._rows: Rows = np.zeros(0, dtype=np.int64)
        self.view = View()
        self.refresh()
        self.select(View(kind=self.index.kinds[0] if self.index.kinds else None))

    def close(self) -> None:
        """Release claims and the session's tables; the log stays open."""
        with contextlib.suppress(DecisionError):  # a claim that cannot be given up ends by itself
            self.claims.let_go()
        self.index.close()
        self.source.close()

    def today(self) -> date:
        """Return the day, in UTC."""
        return self._now().date()

    # ------------------------------------------------------------------ queue

    def select(self, view: View) -> int:
        """Show a part of the queue and return how many cases it has."""
        rows = self.index.select(view)
        if self._within is not None:
            rows = rows[self._within[rows]]
        if view.mine:
            mine = np.zeros(len(self.index), dtype=bool)
            mine[self.waiting_for_me()] = True
            rows = rows[mine[rows]]
        self._rows = rows
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
        """Return the lines of the next open cases after a line of the view, going round at the end.

        Cases that somebody else has on the screen are passed over.
        """
        total = len(self._rows)
        others = {self.index.place(c) for c in self.claims.taken if self.knows(c)}
        out: list[int] = []
        for first, last in ((after + 1, total), (0, max(0, min(after, total)))):
            for start in range(max(0, first), last, _STEP):
                part = self._rows[start : min(last, start + _STEP)]
                for n in np.flatnonzero(self.index.state[part] == CaseState.OPEN):
                    if int(part[n]) not in others:
                        out.append(start + int(n))
                        if len(out) == count:
                            return out
        return out

    def knows(self, case_id: str) -> bool:
        """Tell whether this snapshot has the case."""
        try:
            self.index.place(case_id)
        except DecisionError:
            return False
        return True

    def waiting_for_me(self) -> list[int]:
        """Return the cases that this reviewer deferred, or that were escalated to this reviewer."""
        if self._waiting is None:
            places = np.flatnonzero(np.isin(self.index.state, (CaseState.DEFERRED, CaseState.ESCALATED)))
            members = self.index.members(places) if len(places) else {}
            self._waiting = [p for p, keys in members.items() if any(map(self._concerns_me, self._own(p, keys)))]
        return self._waiting

    def _own(self, place: int, keys: list[RecordKey]) -> list[Decision]:
        case_id = self.index.case_id(place)
        said = [[d for d in self.live.counting(key) if d.case_id == case_id and d.action is not DecisionAction.COMMENT] for key in keys]  # fmt: skip
        return [own[-1] for own in said if own]

    def _concerns_me(self, decision: Decision) -> bool:
        if decision.action is DecisionAction.DEFER:
            return decision.reviewer == self.reviewer
        return decision.action is DecisionAction.ESCALATE and decision.choices.get("to") == self.reviewer

    # ------------------------------------------------------------------ claims

    def reserve(self, after: int = -1, count: int = 1) -> list[int]:
        """Return the lines of the next open cases, the nearest claimed for this reviewer; what others have is passed over.

        Only :data:`NEAR` cases are claimed ahead, so that a small queue is not one person's; the rest is claimed when it
        comes to the screen (:meth:`hold`).
        """
        if not self.claims.used:
            return self.next_open(after, count)
        self.claims.look_around()
        for _ in range(3):  # somebody may be quicker in between; then the next ones are looked for
            lines = self.next_open(after, count)
            near = [self._case_at(n) for n in lines[:NEAR]]
            if all(self.claims.has(case_id) for case_id in near):
                return lines
            self.claims.claim(near)
        return [n for n in self.next_open(after, count) if self.claims.has(self._case_at(n))]

    def hold(self, case_id: str) -> str | None:
        """Claim the case on the screen; return who else has it, None where it is this reviewer's now."""
        self.claims.look_around()
        if self.index.state[self.index.place(case_id)] != CaseState.DECIDED and not self.claims.has(case_id):
            self.claims.claim([case_id])
        return self.claims.taken.get(case_id)

    def _case_at(self, line: int) -> str:
        return self.index.case_id(self.place_at(line))

    def _claimed_by_other(self, facts: Facts) -> list[Concern]:
        other = self.claims.taken.get(facts.case_id)
        if other is None:
            return []
        said = {"other": other, "code": "claimed"}
        return [Concern("warning", facts.members[0].key, N_("{other} has this case on the screen."), said)]

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
        return self._concerns_of(facts, intent, drafts(facts, intent))

    def _concerns_of(self, facts: Facts, intent: Intent, made: list[Draft]) -> list[Concern]:
        found = concerns(made, self.standing_of_all(facts, intent), self.live.merged_into, self.reviewer)
        if intent.action is not DecisionAction.COMMENT:
            found += self._claimed_by_other(facts)
        twice = hard(facts, intent)
        return found if twice is None else [*found, twice]

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

    # ------------------------------------------------------------------ keeping up

    def refresh(self) -> set[RecordKey]:
        """Take in what the log has gained, by whomever; return the records whose standing may have changed."""
        new = self.log.read_after(self._seq)
        if not new:
            return set()
        self._seq = new[-1][0]
        return self._take_in([d for _, d in new if not self.alone or d.reviewer == self.reviewer])

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
            today = self.today()
            for place, case_id in zip(places, self.index.case_ids(places), strict=True):
                self.index.state[place] = self._state(case_id, members[place], today)
            self._waiting = None
        return touched

    def _state(self, case_id: str, keys: list[RecordKey], today: date) -> CaseState:
        """Where a case stands: its own decisions count, and those of other cases that do away with a record."""
        if any(k in self.live.conflicts for k in keys):
            return CaseState.CONFLICT
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
        if self._within is None:
            state = self.index.state if kind is None else self.index.states_of(kind)
        else:
            state = self.index.state[self._within if kind is None else self._within & self.index.of_kind(kind)]
        found = np.bincount(state, minlength=len(CaseState))
        return Progress(
            total=len(state), open=int(found[CaseState.OPEN]), decided=int(found[CaseState.DECIDED]),
            deferred=int(found[CaseState.DEFERRED]), escalated=int(found[CaseState.ESCALATED]),
            conflicts=int(found[CaseState.CONFLICT]), mine=len(self.history.done),
        )  # fmt: skip
