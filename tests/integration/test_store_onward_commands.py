"""``steward snapshot --since``: what it says, and which words do not go together."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from steward.cli import main
from steward.sandbox import demo_mapping
from tests.support.crm import CrmTemplates


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> CrmTemplates:
    return CrmTemplates(tmp_path_factory.mktemp("crm"))


@pytest.fixture
def crm(templates: CrmTemplates, tmp_path: Path) -> list[str]:
    path, _ = templates.copy(tmp_path, customers=40)
    (tmp_path / "mapping.toml").write_text(demo_mapping(), encoding="utf-8")
    return [
        "snapshot", "--mapping", str(tmp_path / "mapping.toml"), "--from", f"sqlite:///{path}", "--workspace", str(tmp_path / "w")
    ]  # fmt: skip


def said(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_it_goes_on_from_the_last_and_says_so(crm: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = said(crm, capsys)
    assert first["onward"] is None
    with sqlite3.connect(tmp_path / "crm.sqlite") as connection:
        connection.execute(
            "UPDATE contact SET city = 'Oslo', row_version = row_version + 1 WHERE id = (SELECT min(id) FROM contact)"
        )
    made = said([*crm, "--since", "last"], capsys)
    assert made["complete"] is True and made["known"] is False
    onward = made["onward"]
    assert isinstance(onward, dict)
    assert onward["since"] == first["digest"] and onward["deletions_known"] is True
    assert onward["objects"]["contact"]["read"] == 1 and onward["objects"]["contact"]["way"] == "stamps"
    again = said([*crm, "--since", str(first["digest"])[:8]], capsys)
    assert again["digest"] == made["digest"]
    assert main([*crm, "--since", "last"]) == 0
    shown = capsys.readouterr().out
    assert f"It goes on from snapshot {str(made['digest'])[:12]}" in shown and "carried over" in shown


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--since", "last"], "There is no earlier snapshot of this CRM to go on from."),
        (["--without-deletions"], "--without-deletions goes with --since"),
    ],
)
def test_refusals(crm: list[str], words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*crm, *words]) != 0
    out = capsys.readouterr()
    assert sentence in " ".join((out.out + out.err).split())


def test_export_files_are_always_read_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "people.csv"
    file.write_text("id,name\n1,A\n", encoding="utf-8")
    assert main(["snapshot", str(file), "--id", "id", "--since", "last", "--workspace", str(tmp_path / "w")]) == 2
    assert "export files are always read whole" in " ".join(capsys.readouterr().err.split())
