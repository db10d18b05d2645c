"""Written rules on a real workspace: what they take, what they leave, and that they never pass for a person."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from steward.cli import main
from steward.decisions import DecisionAction as A
from steward.errors import IncompleteSnapshotError, PolicyInvalidError
from steward.policy import Protection, parse_holds
from steward.records import Snapshot
from steward.review.intent import Intent
from steward.review.rules import decide_by_rule, default_rules, parse_rules
from steward.review.session import ReviewSession
from steward.store.decision_log import DecisionLog
from steward.store.workspace import Workspace
from tests.support.review import key, make_workspace, ordinary

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
Desk = tuple[Workspace, Snapshot]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Clusters at .9945, .9845, …; person 30 is on hold, person 31 has an open deal."""
    ws, snapshot = make_workspace(
        tmp_path,
        ordinary(40),
        clusters=[(0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11), (12, 13), (14, 15), (16, 17, 18, 19, 20, 21)],
        stale=[30, 31, 32],
        invalid=[33],
        deals=[(31, "10", "open"), (1, "5", "open")],
        protections={30: Protection("legal_hold", "keep", "Held."), 31: Protection("open_deal", "keep", "An open deal."),
                     1: Protection("open_deal", "keep", "An open deal.")},
    )  # fmt: skip
    yield ws, snapshot
    ws.close()


def test_the_rules_that_ship_take_the_clear_cases_under_their_own_name(desk: Desk, tmp_path: Path) -> None:
    with DecisionLog.open(tmp_path) as log:
        outcome = decide_by_rule(*desk, log, default_rules(), now=NOW)
        assert outcome.decided == {("duplicate", "merge_into"): 2, ("stale", "delete"): 1, ("invalid", "delete"): 1}
        standing = log.standing()
        assert {d.reviewer for d in log.read()} == {"rule:clear-cases"} and all(d.by_rule for d in log.read())
        assert standing.by_key[key(1)].action is A.MERGE  # its open deal moves with it
        assert key(30) not in standing.by_key and key(31) not in standing.by_key
        again = decide_by_rule(*desk, log, default_rules(), now=NOW)
        assert again.cases == 0  # nothing twice


def test_a_rule_leaves_what_a_person_decided_and_a_person_overrules_a_rule(desk: Desk, tmp_path: Path) -> None:
    with DecisionLog.open(tmp_path) as log:
        anna = ReviewSession(*desk, log, "anna", now=lambda: NOW)
        anna.decide("dup-00000", Intent(A.NOT_DUPLICATE))
        decide_by_rule(*desk, log, default_rules(), now=NOW)
        assert log.standing().by_key[key(1)].action is A.NOT_DUPLICATE
        anna.decide(f"stale:contact:{key(32).id}", Intent(A.KEEP))
        assert log.standing().by_key[key(32)].action is A.KEEP and not log.standing().conflicts


def test_protections_none_leaves_every_protected_record(desk: Desk, tmp_path: Path) -> None:
    text = 'format = "steward-rules/1"\nname = "strict"\n[[rule]]\nkind = "duplicate"\nmin_probability = 0.99\naction = "merge_into"\n'
    with DecisionLog.open(tmp_path) as log:
        assert decide_by_rule(*desk, log, parse_rules(text), now=NOW).decided == {("duplicate", "merge_into"): 1}


def test_a_hold_list_of_today_is_heeded(desk: Desk, tmp_path: Path) -> None:
    holds = parse_holds(f"contact/{key(32).id}\tlegal_hold\n")
    with DecisionLog.open(tmp_path) as log:
        outcome = decide_by_rule(*desk, log, default_rules(), now=NOW, holds=holds)
        assert ("stale", "delete") not in outcome.decided and outcome.left["legal_hold"] >= 1


def test_protections_that_were_not_computed_protect(tmp_path: Path) -> None:
    ws, snapshot = make_workspace(tmp_path, ordinary(4), clusters=[(0, 1)])
    ws.connection.execute("DELETE FROM runs WHERE kind = 'stale'")
    with DecisionLog.open(tmp_path) as log:
        outcome = decide_by_rule(ws, snapshot, log, default_rules(), now=NOW)
        assert (outcome.cases, dict(outcome.left)) == (0, {"protections_unknown": 1})
        ws.connection.execute("UPDATE runs SET complete = false")
        with pytest.raises(IncompleteSnapshotError):
            decide_by_rule(ws, snapshot, log, default_rules(), now=NOW)
        assert log.head().seq == 0
    ws.close()


@pytest.mark.parametrize(
    "text",
    [
        "",
        'format = "steward-rules/9"\nname = "x"\n[[rule]]\nkind = "stale"\nmin_score = 0.5\naction = "delete"\n',
        'format = "steward-rules/1"\nname = "x"\nrule = []\n',
        'format = "steward-rules/1"\nname = "x"\n[[rule]]\nkind = "stale"\naction = "delete"\n',
        'format = "steward-rules/1"\nname = "x"\n[[rule]]\nkind = "stale"\nmin_score = 1.5\naction = "delete"\n',
        'format = "steward-rules/1"\nname = "x"\n[[rule]]\nkind = "stale"\nmin_score = nan\naction = "delete"\n',
        'format = "steward-rules/1"\nname = "x"\n[[rule]]\nkind = "stale"\nmin_score = 0.5\naction = "merge_into"\n',
        'format = "steward-rules/1"\nname = "x"\n[[rule]]\nkind = "stale"\nmin_score = 0.5\naction = "delete"\nunless = "x"\n',
        'format = "steward-rules/1"\nname = "../x"\n[[rule]]\nkind = "stale"\nmin_score = 0.5\naction = "delete"\n',
        'format = "steward-rules/1"\nname = "x"\n[[rule]]\nkind = "duplicate"\nmin_probability = 0.9\naction = "hard_delete"\n',
    ],
)
def test_rules_that_could_be_misread_are_refused(text: str) -> None:
    with pytest.raises(PolicyInvalidError):
        parse_rules(text)


def test_the_command_decides_and_says_what_is_next(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    ws, _ = desk
    ws.close()
    assert main(["decide", "--workspace", str(ws.path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["cases"] == 4 and said["reviewer"] == "rule:clear-cases" and said["log"]["seq"] == 6
    assert main(["decide", "--workspace", str(ws.path), "--show-rules"]) == 0
    assert "steward-rules/1" in capsys.readouterr().out
