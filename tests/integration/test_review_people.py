"""Role and reviewer from ``people.toml``: an analyst decides, a lead checks too, a steward looks; nobody else takes a seat."""

from __future__ import annotations

from pathlib import Path

import pytest

from steward.cli import main
from steward.decisions import DecisionAction as A
from steward.errors import DecisionError, StewardError, UsageError
from steward.review import Intent, review_panel
from steward.review.people import people_of
from steward.store.decision_log import DecisionLog
from steward.store.workspace import Workspace
from tests.support.review import make_workspace, ordinary

PEOPLE = 'reviewer = "anna"\n[people]\nanna = "analyst"\nlena = "lead"\nsten = "steward"\n'


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one cluster and one stale record, and its people."""
    ws, _ = make_workspace(tmp_path_factory.mktemp("people"), ordinary(6), clusters=[(0, 1)], stale=[3])
    ws.close()
    (ws.path / "people.toml").write_text(PEOPLE, encoding="utf-8")
    return ws.path


@pytest.fixture(autouse=True)
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file named by the environment."""
    monkeypatch.delenv("STEWARD_PEOPLE", raising=False)


def test_an_analyst_decides_and_a_steward_looks_and_writes_nothing(made: Path, tmp_path: Path) -> None:
    with Workspace.open(made, read_only=True) as ws, DecisionLog.open(tmp_path) as log:
        analyst = review_panel(ws, "anna", log=log).session
        case = analyst.index.case_id(analyst.place_at(0))
        analyst.decide(case, Intent(A.MERGE))
        written = len(log.read())
        assert written == 2
        steward = review_panel(ws, "sten", log=log).session
        assert steward.sheet(case).title and steward.progress().decided == 1 and not steward.claims.used
        for attempt in (
            lambda: steward.decide(steward.index.case_id(1), Intent(A.KEEP)),
            lambda: steward.decide_bulk(steward.plan_bulk_places(Intent(A.KEEP), [1]), 1),
        ):
            with pytest.raises(DecisionError, match="may look and not decide"):
                attempt()
        assert steward.undo() is None and len(log.read()) == written
        analyst.close()
        steward.close()


def test_only_a_lead_checks(made: Path, tmp_path: Path) -> None:
    with Workspace.open(made, read_only=True) as ws, DecisionLog.open(tmp_path) as log:
        for name in ("anna", "sten"):
            with pytest.raises(UsageError, match="only a lead checks"):
                review_panel(ws, name, log=log, check=True)
        session = review_panel(ws, "lena", log=log, check=True).session
        session.decide(session.index.case_id(session.place_at(0)), Intent(A.MERGE))  # a lead decides too
        assert log.read() == [] and len(log.checks().read()) == 2
        session.close()
        with pytest.raises(UsageError, match=r"people\.toml names no role for otto"):
            review_panel(ws, "otto", log=log)


def test_the_command_takes_the_reviewer_from_the_file(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = ["review", "--status", "--workspace", str(made)]
    assert main(status) == 0  # anna, whoever runs the test
    assert main([*status, "--reviewer", "sten"]) == 0
    assert main([*status, "--reviewer", "otto"]) != 0
    assert "names no role for otto" in capsys.readouterr().err
    assert main([*status, "--checked", "--reviewer", "anna"]) != 0
    assert "only a lead checks" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[people]\nanna = "boss"\n', "there is no role boss; there are: analyst, lead, steward"),
        ('[people]\nanna = "analyst"\n[roles]\n', "unknown field"),
        ('[people]\nanna = 1\n', "Expected"),
        ("", "people"),
        ("people = [", "is not a TOML file"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_understood_refuses(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "people.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=said):
        people_of(tmp_path)


def test_without_a_file_all_is_as_before_and_a_named_file_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = people_of(tmp_path)
    people.check("anybody")
    assert people.reviewer is None and not people.looks_only("anybody")
    monkeypatch.setenv("STEWARD_PEOPLE", str(tmp_path / "gone.toml"))
    with pytest.raises(StewardError):
        people_of(tmp_path)
    (tmp_path / "other.toml").write_text(PEOPLE, encoding="utf-8")
    monkeypatch.setenv("STEWARD_PEOPLE", str(tmp_path / "other.toml"))
    assert people_of(tmp_path).looks_only("sten")
