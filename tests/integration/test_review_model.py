"""The review against a model: any sequence of decide, undo, redo, restart and reviewers who have not read the log yet.

The model below knows nothing of the code under test: a list of what was pressed, and a few lines that say what then holds.
What sessions, their queues and the log itself say must be what it says, after every step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from steward.decisions import DecisionAction as A
from steward.decisions import fold
from steward.errors import DecisionError, ProtectedError
from steward.records import RecordKey, Snapshot
from steward.review.cases import CaseState
from steward.review.intent import Intent, drafts
from steward.review.session import ReviewSession
from steward.store.decision_log import DecisionLog
from steward.store.workspace import Workspace
from tests.support.review import key, make_workspace, ordinary

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
PEOPLE = ("anna", "boris", "chen")
CASES = {"dup-00000": (0, 1), "dup-00001": (2, 3, 4), **{f"stale:contact:{key(n).id}": (n,) for n in (0, 3, 6)}}
ACTIONS = (A.MERGE, A.DELETE, A.KEEP, A.NOT_DUPLICATE, A.ANONYMISE, A.DEFER, A.ESCALATE, A.COMMENT)
Answer = tuple[A, str | None]


@dataclass
class Pressed:
    """One keystroke: who, what it says of which record, and whose words it knowingly replaces."""

    who: str
    case: str
    says: dict[RecordKey, Answer]
    replaces: set[tuple[int, RecordKey]] = field(default_factory=set)
    counts: bool = True


class Model:
    """What holds, from the list of what was pressed and nothing else."""

    def __init__(self) -> None:
        self.pressed: list[Pressed] = []
        self.done: dict[str, list[int]] = {p: [] for p in PEOPLE}
        self.undone: dict[str, list[int]] = {p: [] for p in PEOPLE}

    def press(self, who: str, case: str, says: dict[RecordKey, Answer], *, knowingly: bool) -> None:
        """Decide; a person who knows replaces by name whatever others last said differently."""
        new = Pressed(who, case, says)
        for k, answer in says.items() if knowingly and A.COMMENT not in {a for a, _ in says.values()} else ():
            for other in PEOPLE:
                last = self._last(other, k)
                if other != who and last is not None and self.pressed[last].says[k] != answer:
                    new.replaces.add((last, k))
        self.pressed.append(new)
        self.done[who].append(len(self.pressed) - 1)
        self.undone[who] = []

    def undo(self, who: str) -> bool:
        """Take the last own keystroke back."""
        if not self.done[who]:
            return False
        n = self.done[who].pop()
        self.undone[who].append(n)
        self.pressed[n].counts = False
        return True

    def redo(self, who: str) -> None:
        """Make the last one taken back count again."""
        n = self.undone[who].pop()
        self.done[who].append(n)
        self.pressed[n].counts = True

    def _last(self, who: str, k: RecordKey) -> int | None:
        own = [
            n for n, p in enumerate(self.pressed) if p.counts and p.who == who and k in p.says and p.says[k][0] is not A.COMMENT
        ]
        return own[-1] if own else None

    def holds(self) -> tuple[dict[RecordKey, Answer], set[RecordKey]]:
        """Return the answer that stands for each record, and the records on which people differ."""
        replaced = {x for p in self.pressed if p.counts for x in p.replaces}
        stands: dict[RecordKey, Answer] = {}
        differ: set[RecordKey] = set()
        for k in {k for p in self.pressed for k in p.says}:
            last = sorted(n for who in PEOPLE if (n := self._last(who, k)) is not None and (n, k) not in replaced)
            if last:
                stands[k] = self.pressed[last[-1]].says[k]
                if len({self.pressed[n].says[k] for n in last}) > 1:
                    differ.add(k)
        return stands, differ


def meant(case: str, action: A) -> dict[RecordKey, Answer]:
    """Return what a key means for each record of a case: in a cluster the first stays."""
    members = [key(n) for n in CASES[case]]
    if not case.startswith("dup-") or action in (A.KEEP, A.NOT_DUPLICATE, A.DEFER, A.ESCALATE, A.COMMENT):
        return dict.fromkeys(members, (action, None))
    target = members[0].id if action is A.MERGE else None
    return {members[0]: (A.KEEP, None), **dict.fromkeys(members[1:], (action, target))}


class Team(RuleBasedStateMachine):
    """Three people, each with a session that may lag behind the log."""

    desk: tuple[Workspace, Snapshot]
    folder: Path
    runs = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).runs += 1
        self.log = DecisionLog.open(self.folder / f"{type(self).runs}.sqlite")
        self.sessions = {p: self._session(p) for p in PEOPLE}
        self.model = Model()

    def _session(self, who: str) -> ReviewSession:
        return ReviewSession(*self.desk, self.log, who, now=lambda: NOW)

    @rule(who=st.sampled_from(PEOPLE), case=st.sampled_from(sorted(CASES)), action=st.sampled_from(ACTIONS), sure=st.booleans())
    def decide(self, who: str, case: str, action: A, sure: bool) -> None:
        intent = Intent(action, until=date(2027, 1, 1) if action is A.DEFER else None, confirmed=sure)
        before = self.log.head()
        try:
            self.sessions[who].decide(case, intent)
        except (DecisionError, ProtectedError):
            assert self.log.head() == before
            return
        self.model.press(who, case, meant(case, action), knowingly=sure)

    @rule(who=st.sampled_from(PEOPLE), case=st.sampled_from(sorted(CASES)), action=st.sampled_from(ACTIONS[1:5]))
    def decide_without_having_read(self, who: str, case: str, action: A) -> None:
        """What two kernels do at the same moment: neither has seen the other's entry."""
        if action is A.NOT_DUPLICATE and not case.startswith("dup-"):
            return
        work = self.sessions[who]
        [facts] = work.source.facts([work.index.place(case)])
        work._record([(facts, tuple(drafts(facts, Intent(action))))], Intent(action), replace=False)
        self.model.press(who, case, meant(case, action), knowingly=False)

    @rule(who=st.sampled_from(PEOPLE))
    def undo(self, who: str) -> None:
        assert (self.sessions[who].undo() is not None) == self.model.undo(who)

    @rule(who=st.sampled_from(PEOPLE))
    def redo(self, who: str) -> None:
        before = self.log.head()
        try:
            done = self.sessions[who].redo()
        except ProtectedError:
            assert self.log.head() == before
            return
        assert (done is not None) == bool(self.model.undone[who])
        if done is not None:
            self.model.redo(who)

    @rule(who=st.sampled_from(PEOPLE))
    def restart(self, who: str) -> None:
        self.sessions[who].close()
        self.sessions[who] = self._session(who)

    @invariant()
    def everybody_sees_what_the_model_says(self) -> None:
        stands, differ = self.model.holds()
        folded = fold(self.log.read())
        assert {k: (d.action, d.target) for k, d in folded.by_key.items()} == stands
        assert {c.key for c in folded.conflicts} == differ
        for who, work in self.sessions.items():
            work.refresh()
            assert {k: (d.action, d.target) for k, d in work.live.by_key.items()} == stands and set(
                work.live.conflicts
            ) == differ
            assert (len(work.history.done), len(work.history.undone)) == (
                len(self.model.done[who]),
                len(self.model.undone[who]),
            )
            for case, members in CASES.items():
                state = work.index.state[work.index.place(case)]
                assert (state == CaseState.CONFLICT) == bool(differ & {key(n) for n in members})
                if any(key(n) not in stands for n in members) and state != CaseState.CONFLICT:
                    assert state == CaseState.OPEN

    @invariant()
    def the_chain_is_whole(self) -> None:
        assert self.log.verify().seq == len(self.log.read())

    def teardown(self) -> None:
        for work in self.sessions.values():
            work.close()
        self.log.close()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, Snapshot]]:
    """Two clusters and three stale records, some of them the same people."""
    ws, snapshot = make_workspace(tmp_path_factory.mktemp("model"), ordinary(8), clusters=[(0, 1), (2, 3, 4)], stale=[0, 3, 6])
    yield ws, snapshot
    ws.close()


def test_any_sequence_is_what_the_model_says(desk: tuple[Workspace, Snapshot], tmp_path: Path) -> None:
    Team.desk, Team.folder = desk, tmp_path
    run_state_machine_as_test(
        Team, settings=settings(max_examples=10, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck))
    )
