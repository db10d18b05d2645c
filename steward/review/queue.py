"""What one reviewer has in front: the queue, the case, what others hold on their screens, how far the work is.

Everything that holds is in the decision log; this is only what the log and the snapshot say, kept up to date.

Left to others: deciding (``steward.review.session``), the cases themselves (``steward.review.cases``, ``source``).
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import numpy as np

from steward.decisions import DESTRUCTIVE, Decision, DecisionAction
from steward.errors import DecisionError
from steward.messages import N_
from steward.policy import Holds
from steward.records import RecordKey, Snapshot
from steward.review.cases import CaseIndex, CaseState, Mask, QueueRow, Rows, View
from steward.review.claiming import Claiming
from steward.review.intent import Concern, Draft, Facts, Intent, concerns, drafts, hard
from steward.review.live import History, LiveFold
from steward.review.source import Sheet, Source
from steward.review.teaching import teaching_cases
from steward.store.claims import Claims

if TYPE_CHECKING:
    from steward.store import Workspace
    from steward.store.decision_log import DecisionLog

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


class ReviewQueue:
    """What one reviewer has in front: cases, their order and state, who else is at work, how far it is. Decides nothing.

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
    looking : bool
        The person may look and not decide: nothing is claimed, and every entry is refused.
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
        looking: bool = False,
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
        self.alone, self.looking = alone, looking
        self._within: Mask | None = None
        if only is not None:
            self._within = np.zeros(len(self.index), dtype=bool)
            self._within[[self.index.place(case_id) for case_id in only]] = True
        unclaimed = alone or looking or self.reviewer.startswith("rule:")
        self.claims = Claiming(None if unclaimed else Claims(log, snapshot.digest), self.reviewer)
        self._waiting: list[int] | None = None
        self._rows: Rows = np.zeros(0, dtype=np.int64)
        self.view = View()
        self._taught = -1  # entries of the log that the order "teaches most" knows of
        self.refresh()
        kinds = [k for k in self.index.kinds if self._within is None or bool((self._within & self.index.of_kind(k)).any())]
        self.select(View(kind=kinds[0] if kinds else None))

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
        if view.order == "learning" and self._taught != len(self.live):
            self.index.teach(teaching_cases(self.ws, self.snapshot, self.live.standing()))
            self._taught = len(self.live)
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

    # ------------------------------------------------------------------ keeping up

    def refresh(self) -> set[RecordKey]:
        """Take in what the log has gained, by whomever; return the records whose standing may have changed."""
        new = self.log.read_after(self._seq)
        if not new:
            return set()
        self._seq = new[-1][0]
        return self._take_in([d for _, d in new if not self.alone or d.reviewer == self.reviewer])

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
