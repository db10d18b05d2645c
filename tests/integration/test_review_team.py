"""A team at one log, on SQLite (several kernels of one machine) and on PostgreSQL: claims, conflicts, a lead's checks."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from steward.cli import main
from steward.decisions import DecisionAction as A
from steward.errors import ConflictingDecisionsError, DecisionError
from steward.records import Snapshot
from steward.review.agreement import agreement
from steward.review.cases import CaseState, View
from steward.review.conversation import Conversation
from steward.review.intent import ConfirmationNeededError, Intent
from steward.review.panel import review_panel
from steward.review.sampling import draw, finding, newest
from steward.review.session import ReviewSession
from steward.store.claims import LEASE, Claims
from steward.store.decision_log import DecisionLog
from steward.store.samples import Samples
from steward.store.workspace import Workspace
from tests.support.review import key, make_workspace, ordinary
from tests.support.team import work_through

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
Desk = tuple[Workspace, Snapshot]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scored workspace that nobody has open: ten clusters and thirty stale records."""
    ws, _ = make_workspace(
        tmp_path_factory.mktemp("team"), ordinary(60), clusters=[(2 * n, 2 * n + 1) for n in range(10)], stale=range(30, 60)
    )
    ws.close()
    return ws.path


@pytest.fixture(scope="module")
def desk(folder: Path) -> Iterator[Desk]:
    """The workspace, read-only, as reviewers open it."""
    with Workspace.open(folder, read_only=True) as ws:
        yield ws, ws.snapshot()


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a fresh log goes."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_database"))
    return str(tmp_path / "decisions.sqlite")


@pytest.fixture
def log(place: str) -> Iterator[DecisionLog]:
    """A fresh log."""
    with DecisionLog.open(place) as opened:
        yield opened


def session(desk: Desk, log: DecisionLog, reviewer: str, **more: object) -> ReviewSession:
    """A reviewer at the stale queue."""
    work = ReviewSession(*desk, log, reviewer, now=lambda: NOW, **more)  # type: ignore[arg-type]  # passed through by name
    work.select(View(kind="stale"))
    return work


def test_a_claim_is_had_by_one_person_ends_by_itself_and_belongs_to_the_person(log: DecisionLog) -> None:
    clock = [1000.0]
    claims = Claims(log, "s1", now=lambda: clock[0])
    assert claims.claim("anna", ["a", "b"]) == {"a", "b"}
    assert claims.claim("boris", ["b", "c"]) == {"c"} and claims.others("boris") == {"a": "anna", "b": "anna"}
    assert claims.claim("anna", ["a"]) == {"a"}  # again, after a restart
    assert Claims(log, "s2", now=lambda: clock[0]).others("boris") == {}  # another snapshot
    assert claims.claim("boris", ["a"], take_over=True) == {"a"} and claims.others("anna") == {"a": "boris", "c": "boris"}
    clock[0] += LEASE + 1
    assert claims.others("anna") == {} and claims.claim("anna", ["a", "c"]) == {"a", "c"}
    claims.release("anna", ["a"])
    assert claims.others("boris") == {"c": "anna"}
    claims.release("anna")
    assert claims.others("boris") == {}


def test_two_reviewers_are_not_offered_the_same_case(desk: Desk, log: DecisionLog) -> None:
    anna, boris = session(desk, log, "anna"), session(desk, log, "boris")
    hers, his = anna.reserve(count=2), boris.reserve(count=2)
    assert (hers, his) == ([0, 1], [2, 3])
    assert anna.reserve(1, 6) == [4, 5, 6, 7, 8, 9]  # what she sees ahead passes over his
    assert boris.reserve(3, 2) == [6, 7]  # and only the nearest of it is hers already
    anna.close()  # she goes home: her cases are offered again
    assert boris.reserve(-1, 30) == list(range(30))
    boris.close()


def test_opening_somebody_elses_case_says_so_and_deciding_it_asks(desk: Desk, log: DecisionLog) -> None:
    anna, boris = session(desk, log, "anna"), session(desk, log, "boris")
    [line] = anna.reserve()
    case = anna.page(line, line + 1)[0].case_id
    assert anna.hold(case) is None and boris.hold(case) == "anna"
    said: list[dict[str, object]] = []
    talk = Conversation(boris, said.append)
    talk.handle({"type": "open", "line": line})
    assert next(c for m in said if m["type"] == "cases" for c in m["cases"] if c["case"] == case)["claimed"] == "anna"  # type: ignore[union-attr]  # a list
    with pytest.raises(ConfirmationNeededError) as asked:
        boris.decide(case, Intent(A.KEEP))
    assert [c.facts["code"] for c in asked.value.concerns] == ["claimed"]
    boris.decide(case, Intent(A.COMMENT, reason="a comment takes nothing from anybody"))
    boris.decide(case, Intent(A.KEEP, confirmed=True))
    assert anna.hold(case) == "boris"
    anna.refresh()
    assert anna.index.state[anna.index.place(case)] == CaseState.DECIDED
    left = anna.plan_bulk(Intent(A.KEEP), range(30)).left_out
    assert {c.facts["code"] for _, c in left} == {"claimed"}  # what he has on his screen is left out of her bulk
    anna.close()
    boris.close()


def test_two_kernels_at_once_share_the_work_and_nobody_decides_twice(folder: Path, place: str) -> None:
    context = multiprocessing.get_context("spawn")
    DecisionLog.open(place).close()
    barrier = context.Barrier(2)
    people = [
        context.Process(target=work_through, args=(folder, place, who, action, barrier))
        for who, action in (("anna", A.KEEP), ("boris", A.MERGE))
    ]
    for process in people:
        process.start()
    for process in people:
        process.join(120)
        assert process.exitcode == 0
    with DecisionLog.open(place) as log:
        read = log.read()
        assert log.verify().seq == len(read) == 20
        assert len({d.key for d in read}) == 20 and log.standing().conflicts == ()
        assert len({(d.case_id, d.reviewer) for d in read}) == 10


def test_a_conflict_is_resolved_by_a_named_person_and_never_by_the_clock(desk: Desk, log: DecisionLog) -> None:
    anna, boris, chief = (session(desk, log, n) for n in ("anna", "boris", "chief"))
    case = anna.page(0, 1)[0].case_id
    [facts] = anna.source.facts([anna.index.place(case)])
    made = {w.reviewer: w._record for w in (anna, boris)}
    from steward.review.intent import drafts

    for work, action in ((anna, A.DELETE), (boris, A.KEEP)):  # neither has read what the other wrote
        made[work.reviewer]([(facts, tuple(drafts(facts, Intent(action))))], Intent(action), replace=False)
    chief.refresh()
    assert chief.index.state[chief.index.place(case)] == CaseState.CONFLICT
    assert chief.select(View(kind="stale", states=frozenset([CaseState.CONFLICT]))) == 1
    said: list[dict[str, object]] = []
    Conversation(chief, said.append).handle({"type": "ready"})
    shown = next(c for m in said for c in m.get("cases", ()) if c["case"] == case)  # type: ignore[attr-defined]  # a list
    assert {shown["conflict"]["first"], shown["conflict"]["second"]} == {"anna", "boris"}
    with pytest.raises(ConfirmationNeededError):
        chief.decide(case, Intent(A.DELETE))
    chief.decide(case, Intent(A.DELETE, reason="they agreed on the phone", confirmed=True))
    standing = log.standing()
    assert standing.conflicts == () and standing.by_key[facts.members[0].key].reviewer == "chief"
    for work in (anna, boris, chief):
        work.close()


def test_a_bulk_action_stops_when_another_kernel_was_quicker(desk: Desk, log: DecisionLog) -> None:
    anna, boris = session(desk, log, "anna"), session(desk, log, "boris")
    bulk = anna.plan_bulk(Intent(A.KEEP))
    boris.decide(boris.page(3, 4)[0].case_id, Intent(A.DELETE))
    with pytest.raises(ConflictingDecisionsError):
        anna.decide_bulk(bulk, bulk.records)
    assert log.head().seq == 1
    anna.close()
    boris.close()


def test_a_lead_draws_a_sample_checks_it_blind_and_nothing_that_holds_changes(desk: Desk, log: DecisionLog) -> None:
    anna = session(desk, log, "anna")
    for n in range(20):
        anna.decide(anna.page(n, n + 1)[0].case_id, Intent(A.DELETE))
    held = log.head()
    words = {"snapshot": desk[1].digest, "lead": "lead", "seed": "7", "size": 8, "drawn_at": NOW, "id": "s1"}
    sample = draw(log.read(), **words)  # type: ignore[arg-type]  # passed through by name
    assert sample == draw(reversed(log.read()), **words) and sample.population == 20 and len(sample.cases) == 8  # type: ignore[arg-type]  # by name
    assert sample.cases != draw(log.read(), **(words | {"seed": "8"})).cases  # type: ignore[arg-type]  # by name
    Samples(log).add(sample)
    [kept] = Samples(log).read()
    assert kept == sample == newest(Samples(log).read(), "lead", desk[1].digest)
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), log.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM review_sample"))

    lead = session(desk, log.checks(), "lead", alone=True, only=sample.cases)
    assert len(lead) == 8 and lead.progress("stale").total == lead.progress("stale").open == 8
    for n, case in enumerate(sorted(sample.cases)):
        lead.decide(case, Intent(A.KEEP if n < 2 else A.DELETE))  # nothing asks: what anna decided is not known here
    assert lead.progress("stale").decided == 8
    assert log.head() == held and log.verify(held) == held
    found = finding(sample, log.read(), log.checks().read())
    assert (found.cases, found.wrong) == (8, 2) and 0.07 < found.low < 0.25 < found.high < 0.6
    assert {(d.reviewer, d.decided[0], d.checked[0]) for d in found.differing} == {("anna", "delete", "keep")}
    said = agreement(log.read(), "anna", "lead", checks=log.checks().read())
    assert (said.records, said.observed, said.kappa) == (8, 0.75, 0.0)
    lead.undo()
    assert finding(sample, log.read(), log.checks().read()).cases == 7
    with pytest.raises(DecisionError):
        draw(log.read(), **(words | {"reviewer": "lead"}))  # type: ignore[arg-type]  # by name
    with pytest.raises(DecisionError):
        draw([], **words)  # type: ignore[arg-type]  # by name


def test_a_second_opinion_takes_no_notice_of_other_second_opinions(desk: Desk, log: DecisionLog) -> None:
    for who, action in (("lead", A.KEEP), ("chief", A.DELETE)):
        session(desk, log.checks(), who, alone=True).decide(f"stale:contact:{key(30).id}", Intent(action))
    assert [d.reviewer for d in log.checks().read()] == ["lead", "chief"] and log.read() == []
    log.checks().verify()


def test_the_commands_of_a_check_from_the_terminal(folder: Path, place: str, capsys: pytest.CaptureFixture[str]) -> None:
    def say(*words: str) -> dict[str, object]:
        assert main(["review", *words, "--log", place, "--workspace", str(folder), "--json"]) == 0
        found: dict[str, object] = json.loads(capsys.readouterr().out)
        return found

    assert main(["review", "--reviewer", "lead", "--checked", "--log", place, "--workspace", str(folder)]) == 2
    assert "no sample" in capsys.readouterr().err
    with Workspace.open(folder, read_only=True) as ws, DecisionLog.open(place) as log:
        anna = session((ws, ws.snapshot()), log, "anna")
        for row in anna.page(0, 10):
            anna.decide(row.case_id, Intent(A.DELETE))
        anna.close()
    drawn = say("--reviewer", "lead", "--check", "--sample", "4", "--of", "anna", "--seed", "x")
    assert drawn["population"] == 10 and len(drawn["cases"]) == 4  # type: ignore[arg-type]  # a list
    assert say("--reviewer", "lead", "--check", "--sample", "4", "--of", "anna", "--seed", "x")["cases"] == drawn["cases"]
    with Workspace.open(folder, read_only=True) as ws, DecisionLog.open(place) as log:
        panel = review_panel(ws, "lead", log=log, check=True)
        assert sorted(r.case_id for r in panel.session.page(0, 99)) == sorted(drawn["cases"])  # type: ignore[call-overload]  # a list
        panel.session.decide(panel.session.page(0, 1)[0].case_id, Intent(A.KEEP))
        panel.session.close()
    found = say("--reviewer", "lead", "--checked")
    assert (found["checked"], found["wrong"], found["differing"][0]["decided"][0]) == (1, 1, "delete")  # type: ignore[index]  # a list
    assert say("--agreement", "anna", "lead")["observed"] == 0.0
