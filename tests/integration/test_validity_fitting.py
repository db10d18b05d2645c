"""Suites that ship are made for any CRM: what does not fit one is left out and said; a team's own suite must fit whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from steward.cli import main
from steward.scoring import run


def _snapshot(tmp_path: Path) -> Path:
    table, workspace = tmp_path / "contact.csv", tmp_path / "w"
    table.write_text("id,first_name,email\n1,Ada,no address\n2,Ben,ben@b.example\n", encoding="utf-8")
    assert (
        main(
            [
                "snapshot",
                str(table),
                "--id",
                "id",
                "--object",
                "contact",
                "--role",
                "person",
                "--workspace",
                str(workspace),
                "--quiet",
            ]
        )
        == 0
    )
    return workspace


def _suites(tmp_path: Path) -> Path:
    """The contact suite that ships, made for any tenant."""
    shipped = json.loads((Path(__file__).resolve().parents[2] / "expectations" / "contact.json").read_text(encoding="utf-8"))
    shipped["meta"]["steward"].pop("tenant")
    folder = tmp_path / "suites"
    folder.mkdir()
    (folder / "contact.json").write_text(json.dumps(shipped), encoding="utf-8")
    return folder


def test_rules_for_columns_that_are_not_there_are_left_out_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, folder = _snapshot(tmp_path), _suites(tmp_path)
    monkeypatch.setattr(run, "default_suites", lambda: folder)
    capsys.readouterr()
    assert main(["score", "--only", "invalid", "--workspace", str(workspace), "--json"]) == 0
    (line,) = json.loads(capsys.readouterr().out)["lines"]
    assert line["proposed"] == 1 and line["complete"]
    assert "without the rules that ship" in line["note"] and "birth_date" in line["note"]


def test_a_suite_of_ones_own_must_fit_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = _snapshot(tmp_path)
    assert main(["score", "--only", "invalid", "--suites", str(_suites(tmp_path)), "--workspace", str(workspace)]) == 4
    assert "has no column" in capsys.readouterr().err
