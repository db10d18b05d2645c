"""The review state on a real workspace and a real log: decide, undo, redo, restart, second reviewer, bulk, protections."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from steward.decisions import DecisionAction as A
from steward.decisions import fold
from steward.errors import ConflictingDecisionsError, DecisionError, LimitExceededError, ProtectedError, UsageError
from steward.policy import Protection
from steward.records import Snapshot
from steward.review.cases import CaseState, View
from steward.review.intent import ConfirmationNeededError, Intent
from steward.review.session import ReviewSession
from steward.store.decision_log import DecisionLog
from steward.store.workspace import Workspace
from tests.support.review import key, make_workspace, ordinary

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
Desk = tuple[Workspace, Snapshot]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Six clusters (the last of five), four stale, two invalid; person 1 has an open deal, person 21 is on hold."""
    ws, snapshot = make_workspace(
        tmp_path_factory.mktemp("desk"),
        ordinary(40),
        clusters=[(0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11, 12, 13, 14)],
        stale=[0, 20, 21, 22],
        invalid=[22, 23],
        deals=[(1, "1200.50", "open"), (1, "99.50", "won"), (0, "10", "won")],
        protections={21: Protection("legal_hold", "keep", "It is on the hold list.")},
    )
    yield ws, snapshot
    ws.close()


def session(desk: Desk, log: DecisionLog, reviewer: str = "anna") -> ReviewSession:
    """A reviewer at the desk."""
    return ReviewSession(*desk, log, reviewer, now=lambda: NOW)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[DecisionLog]:
    """A fresh log."""
    with DecisionLog.open(tmp_path) as opened:
        yield opened


def stale(i: int) -> str:
    """Case id of a stale person."""
    return f"stale:contact:{key(i).id}"


def test_a_merge_keeps_the_survivor_and_is_on_disk_when_decide_returns(desk: Desk, log: DecisionLog) -> None:
    work = session(desk, log)
    group = work.decide("dup-00001", Intent(A.MERGE, reason="same mail"))
    with DecisionLog.open(Path(str(log.engine.url.database))) as elsewhere:
        read = elsewhere.read()
    assert [(d.key, d.action, d.target) for d in read] == [(key(3), A.MERGE, key(2).id), (key(2), A.KEEP, None)]
    assert {d.group for d in read} == {group.id} and read[0].reviewer == "anna" and read[0].at == NOW
    assert read[0].snapshot_digest == desk[1].digest and len(read[0].record_digest) == len(read[0].evidence_digest) == 64
    assert work.progress("duplicate").decided == 1


def test_the_evidence_digest_is_that_of_the_evidence_shown(desk: Desk, log: DecisionLog) -> None:
    from steward.evidence import evidence_digest

    work = session(desk, log)
    sheet = work.sheet("dup-00005")
    assert sheet.facts.evidence_digest == evidence_digest(sheet.evidence) and len(sheet.evidence) == 4


def test_undo_and_redo_go_on_after_a_restart(desk: Desk, log: DecisionLog) -> None:
    first = session(desk, log)
    for n in range(3):
        first.decide(f"dup-0000{n}", Intent(A.KEEP))
    assert first.undo() is not None
    again = session(desk, log)
    assert again.progress("duplicate").decided == 2
    assert again.undo() is not None and again.progress("duplicate").decided == 1
    assert again.redo() is not None and again.redo() is not None and again.redo() is None
    assert session(desk, log).progress("duplicate").decided == 3
    again.undo()
    again.decide("dup-00004", Intent(A.KEEP))
    assert again.redo() is None  # a new decision ends what could be redone


def test_a_member_is_taken_out_and_told_apart_while_the_rest_is_merged(desk: Desk, log: DecisionLog) -> None:
    work = session(desk, log)
    work.decide("dup-00005", Intent(A.MERGE, survivor=key(11).id, out=frozenset([key(13).id]), choices={"phone": key(10).id}))
    standing = log.standing()
    assert {k: (d.action, d.target) for k, d in standing.by_key.items()} == {
        key(10): (A.MERGE, key(11).id), key(12): (A.MERGE, key(11).id), key(14): (A.MERGE, key(11).id),
        key(11): (A.KEEP, None), key(13): (A.NOT_DUPLICATE, None),
    }  # fmt: skip
    assert standing.not_duplicates == {tuple(sorted((key(13), key(i)))) for i in (10, 11, 12, 14)}
    assert standing.by_key[key(10)].choices == {"phone": key(10).id}
    work.undo()
    assert log.standing().not_duplicates == frozenset()


def test_a_merge_needs_a_survivor_that_stays_and_someone_to_merge(desk: Desk, log: DecisionLog) -> None:
    work = session(desk, log)
    for bad in (
        Intent(A.MERGE, out=frozenset([key(0).id])),
        Intent(A.MERGE, out=frozenset([key(1).id])),
        Intent(A.MERGE, survivor="stranger"),
        Intent(A.REASSIGN),
        Intent(A.DEACTIVATE),
        Intent(A.UNDO),
    ):
        with pytest.raises(DecisionError):
            work.decide("dup-00000", bad)
    with pytest.raises(DecisionError):
        work.decide(stale(20), Intent(A.MERGE))
    with pytest.raises(DecisionError, match="not in this snapshot"):
        work.decide("dup-99999", Intent(A.KEEP))
    assert log.head().seq == 0


def test_a_hold_refuses_and_what_blocks_a_delete_asks_twice(desk: Desk, log: DecisionLog) -> None:
    work = session(desk, log)
    with pytest.raises(ProtectedError, match="hold list"):
        work.decide(stale(21), Intent(A.DELETE, confirmed=True))
    with pytest.raises(ConfirmationNeededError) as asked:
        work.decide(stale(0), Intent(A.DELETE))
    assert [c.facts["count"] for c in asked.value.concerns] == [1]
    assert log.head().seq == 0
    work.decide(stale(0), Intent(A.DELETE, confirmed=True))
    assert log.head().seq == 1


def test_a_record_is_never_both_survivor_and_gone(desk: Desk, log: DecisionLog) -> None:
    work = session(desk, log)
    work.decide("dup-00000", Intent(A.MERGE))
    with pytest.raises(ProtectedError, match="survivor of another merge"):
        work.decide(stale(0), Intent(A.DELETE, confirmed=True))
    work.undo()
    work.decide(stale(0), Intent(A.DELETE, confirmed=True))
    with pytest.raises(ProtectedError, match="itself to go"):
        work.decide("dup-00000", Intent(A.MERGE, survivor=key(0).id, only=key(1).id))
    work.undo()
    assert work.progress().mine == 0
    # undo the merge, delete the survivor, and the merge cannot come back by redo
    work.decide("dup-00000", Intent(A.MERGE))
    other = session(desk, log, "boris")
    work.undo()
    other.decide(stale(0), Intent(A.DELETE, confirmed=True))
    assert other.live.by_key[key(0)].action is A.DELETE
    assert (
        work.redo() is not None
    )  # redoes keep on person 0 as well: a conflict that a person must resolve, never a silent loss
    assert key(0) in work.live.conflicts


def test_impact_says_how_many_how_much_and_what_would_happen(desk: Desk, log: DecisionLog) -> None:
    sheet = session(desk, log).sheet("dup-00000")
    deals = next(c for c in sheet.impact[key(1)] if c.object == "deal")
    assert (deals.count, float(deals.amount or 0), deals.open, deals.on_delete) == (2, 1300.0, 1, "block")
    assert [c.object for c in sheet.impact[key(0)]] == ["deal", "activity"]
    assert sheet.result is not None and [x.field for x in sheet.result.lost] == ["name", "city"]
    assert dict(sheet.result.taken_from) == {"note": key(1).id}


def test_two_reviewers_conflict_and_a_third_resolves_by_name(desk: Desk, log: DecisionLog) -> None:
    anna, boris, chief = (session(desk, log, n) for n in ("anna", "boris", "chief"))
    anna.decide(stale(20), Intent(A.DELETE))
    with pytest.raises(ConfirmationNeededError):
        boris.decide(stale(20), Intent(A.KEEP))  # he has not seen it, and the log tells
    log.append(_raw(boris, stale(20), Intent(A.KEEP)))  # two kernels at the very same moment
    anna.refresh()
    assert anna.index.state[anna.index.place(stale(20))] == CaseState.CONFLICT
    assert log.standing().destructive() == ()
    with pytest.raises(ConfirmationNeededError):
        chief.decide(stale(20), Intent(A.ANONYMISE))
    chief.decide(stale(20), Intent(A.ANONYMISE, confirmed=True))
    standing = log.standing()
    assert standing.conflicts == () and standing.by_key[key(20)].reviewer == "chief"
    assert len((standing.by_key[key(20)].supersedes or "").split()) == 2
    chief.undo()
    assert len(log.standing().conflicts) == 1


def _raw(work: ReviewSession, case: str, intent: Intent) -> list:  # type: ignore[type-arg]  # decisions
    """Entries as a kernel would write them that has not read the log's end."""
    from steward.decisions import Decision

    [facts] = work.source.facts([work.index.place(case)])
    return [Decision(f"raw-{m.key.id}", "raw", case, m.key, intent.action, work.reviewer, NOW) for m in facts.members]


def test_a_rules_decision_gives_way_to_a_persons(desk: Desk, log: DecisionLog) -> None:
    session(desk, log, "rule:x").decide(stale(20), Intent(A.DELETE))
    session(desk, log).decide(stale(20), Intent(A.KEEP))
    assert log.standing().by_key[key(20)].action is A.KEEP and not log.standing().conflicts


def test_a_deferred_case_comes_back_on_its_day(desk: Desk, log: DecisionLog) -> None:
    work = session(desk, log)
    work.decide(stale(20), Intent(A.DEFER, until=date(2026, 12, 1)))
    assert work.progress("stale").deferred == 1
    later = ReviewSession(*desk, log, "anna", now=lambda: datetime(2026, 12, 2, tzinfo=UTC))
    assert later.progress("stale").deferred == 0 and later.progress("stale").open == 4


def test_keeping_a_stale_record_does_not_answer_whether_it_is_a_duplicate(desk: Desk, log: DecisionLog) -> None:
    work = session(desk, log)
    work.decide(stale(0), Intent(A.KEEP))
    assert work.progress("duplicate").decided == 0
    work.decide("dup-00000", Intent(A.MERGE))
    assert work.progress("stale").decided == 1
    work.decide(stale(22), Intent(A.DELETE))
    assert work.progress("invalid").decided == 1  # the same record is gone from the other queue too


def test_a_comment_decides_nothing(desk: Desk, log: DecisionLog) -> None:
    work = session(desk, log)
    work.decide(stale(20), Intent(A.COMMENT, reason="ask sales"))
    assert work.progress("stale").open == 4 and log.read()[0].reason == "ask sales"


def test_bulk_asks_for_the_number_shows_the_riskiest_and_is_one_undo(desk: Desk, log: DecisionLog) -> None:
    work = session(desk, log)
    work.select(View(kind="stale"))
    bulk = work.plan_bulk(Intent(A.DELETE))
    assert (bulk.records, bulk.cases) == (2, 2)  # one is held, one would be blocked by a deal
    assert {concern.level for _, concern in bulk.left_out} == {"refused", "warning"}
    for typed in (0, 1, 3):
        with pytest.raises(LimitExceededError):
            work.decide_bulk(bulk, typed)
    assert log.head().seq == 0
    group = work.decide_bulk(bulk, 2)
    assert group.records == 2 and work.progress("stale").decided == 2
    work.undo()
    assert work.progress("stale").decided == 0
    work.select(View(kind="duplicate"))
    merge = work.plan_bulk(Intent(A.MERGE))
    assert (merge.cases, merge.records) == (6, 9)
    assert [r.score for r in merge.riskiest] == sorted(r.score for r in merge.riskiest)


def test_bulk_stops_when_somebody_decided_in_the_meantime(desk: Desk, log: DecisionLog) -> None:
    work = session(desk, log)
    work.select(View(kind="stale"))
    bulk = work.plan_bulk(Intent(A.DELETE))
    session(desk, log, "boris").decide(stale(20), Intent(A.KEEP))
    with pytest.raises(ConflictingDecisionsError):
        work.decide_bulk(bulk, bulk.records)
    assert log.head().seq == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("müller", ["dup-00000", "dup-00005"]),
        ("王小明", ["dup-00002"]),
        ("müller -p0@", ["dup-00005"]),
        ("name:müllere", ["dup-00000", "dup-00005"]),
        ("note:twice jörg", ["dup-00000", "dup-00005"]),
        ("' OR 1=1 --", []),
        ("nobody", []),
    ],
)
def test_search_finds_words_fields_and_absence(desk: Desk, log: DecisionLog, text: str, found: list[str]) -> None:
    work = session(desk, log)
    work.select(View(kind="duplicate", text=text))
    assert sorted(r.case_id for r in work.page(0, 99)) == found


def test_orders_and_states(desk: Desk, log: DecisionLog) -> None:
    work = session(desk, log)
    scores = {
        o: [r.score for r in work.page(0, 99)]
        for o in ("certainty", "learning")
        if work.select(View(kind="duplicate", order=o)) or True
    }
    assert scores["certainty"] == sorted(scores["certainty"], reverse=True) and scores["learning"] == sorted(scores["learning"])
    work.select(View(kind="duplicate", order="size"))
    assert work.page(0, 1)[0].size == 5
    work.select(View(kind="duplicate", order="impact"))
    assert work.page(0, 1)[0].case_id == "dup-00000"
    work.decide("dup-00000", Intent(A.KEEP))
    assert work.select(View(kind="duplicate", states=frozenset([CaseState.DECIDED]))) == 1
    with pytest.raises(UsageError):
        work.select(View(order="alphabet"))  # type: ignore[arg-type]  # what a front could send


def test_next_open_goes_round(desk: Desk, log: DecisionLog) -> None:
    work = session(desk, log)
    assert work.next_open(4, 3) == [5, 0, 1]
    work.decide(work.page(5, 6)[0].case_id, Intent(A.KEEP))
    assert work.next_open(4, 3) == [0, 1, 2]


class TwoDesks(RuleBasedStateMachine):
    """Two reviewers with two sessions on one log; restarts at will. What both see is the fold of the log."""

    desk: Desk
    folder: Path
    runs = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).runs += 1
        self.log = DecisionLog.open(self.folder / f"{type(self).runs}.sqlite")
        self.people = {n: session(self.desk, self.log, n) for n in ("anna", "boris")}
        self.cases = ["dup-00000", "dup-00001", "dup-00005", stale(0), stale(20), stale(21), f"invalid:contact:{key(22).id}"]

    @rule(who=st.sampled_from(["anna", "boris"]), case=st.integers(0, 6), action=st.sampled_from([A.MERGE, A.DELETE, A.KEEP, A.NOT_DUPLICATE, A.ANONYMISE]),
          sure=st.booleans())  # fmt: skip
    def decide(self, who: str, case: int, action: A, sure: bool) -> None:
        before = self.log.head()
        try:
            self.people[who].decide(self.cases[case], Intent(action, confirmed=sure))
        except DecisionError:
            assert self.log.head() == before
        except ProtectedError:
            assert self.log.head() == before

    @rule(who=st.sampled_from(["anna", "boris"]))
    def undo(self, who: str) -> None:
        done = len(self.people[who].history.done)
        assert (self.people[who].undo() is not None) == bool(done)

    @rule(who=st.sampled_from(["anna", "boris"]))
    def redo(self, who: str) -> None:
        try:
            self.people[who].redo()
        except ProtectedError:
            return

    @precondition(lambda self: len(self.log.read()) > 0)
    @rule(who=st.sampled_from(["anna", "boris"]))
    def restart(self, who: str) -> None:
        before = self.people[who]
        before.refresh()
        after = session(self.desk, self.log, who)
        assert (after.history.done, after.history.undone) == (before.history.done, before.history.undone)
        assert (after.index.state == before.index.state).all()
        before.close()
        self.people[who] = after

    @invariant()
    def everybody_sees_the_fold(self) -> None:
        truth = fold(self.log.read())
        for person in self.people.values():
            person.refresh()
            assert person.live.standing() == truth

    @invariant()
    def nobody_merges_into_what_goes(self) -> None:
        standing = self.log.standing()
        going = {d.key: d for d in standing.destructive()}
        for d in going.values():
            if d.action is A.MERGE:
                assert not any(k.id == d.target for k in going)

    def teardown(self) -> None:
        for person in self.people.values():
            person.close()
        self.log.close()


def test_any_sequence_of_two_reviewers_is_the_fold_of_the_log(desk: Desk, tmp_path: Path) -> None:
    TwoDesks.desk, TwoDesks.folder = desk, tmp_path
    run_state_machine_as_test(
        TwoDesks,
        settings=settings(max_examples=15, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)),
    )
