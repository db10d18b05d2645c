"""``steward suite``: a round trip with Great Expectations changes no rule, and a broken file is refused by name."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from steward.cli import main
from steward.scoring.validity import load_suite

SUITES = Path(__file__).resolve().parents[2] / "expectations"


def test_export_and_import_keep_the_digest(tmp_path: Path) -> None:
    assert main(["suite", "export", str(SUITES / "deal.json"), "--to", str(tmp_path / "gx"), "--quiet"]) == 0
    assert main(["suite", "import", str(tmp_path / "gx" / "deal.json"), "--to", str(tmp_path / "back"), "--quiet"]) == 0
    assert (tmp_path / "back" / "deal.json").read_bytes() == (SUITES / "deal.json").read_bytes()
    assert load_suite(tmp_path / "gx" / "deal.json").digest == load_suite(SUITES / "deal.json").digest
    assert main(["suite", "import", str(tmp_path / "gx" / "deal.json"), "--to", str(tmp_path / "back"), "--quiet"]) == 2


def test_check_names_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "deal.json"
    shutil.copy(SUITES / "deal.json", broken)
    broken.write_text(broken.read_text(encoding="utf-8").replace("to_be_unique", "to_be_unic"), encoding="utf-8")
    assert main(["suite", "check", str(broken)]) == 4
    shown = " ".join(capsys.readouterr().err.split())
    assert "deal.json, line 3: unknown expectation expect_column_values_to_be_unic" in shown


def test_fmt_writes_the_one_form(tmp_path: Path) -> None:
    file = tmp_path / "deal.json"
    file.write_text((SUITES / "deal.json").read_text(encoding="utf-8").replace("  ", "\t"), encoding="utf-8")
    assert main(["suite", "fmt", str(file), "--quiet"]) == 0
    assert file.read_bytes() == (SUITES / "deal.json").read_bytes()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that Great Expectations itself has made."""
    import great_expectations as gx

    folder = tmp_path_factory.mktemp("warehouse")
    with contextlib.redirect_stderr(io.StringIO()):
        gx.get_context(mode="file", project_root_dir=str(folder))
    assert (folder / "gx" / "great_expectations.yml").is_file()
    return folder


def _saved_by_gx(project: Path) -> dict[str, int]:
    """Load every suite of the project in Great Expectations and save it again, as its user would."""
    import great_expectations as gx

    with contextlib.redirect_stderr(io.StringIO()):
        context = gx.get_context(mode="file", project_root_dir=str(project))
        found = {}
        for suite in context.suites.all():
            suite.notes = "seen"
            suite.save()
            found[suite.name] = len(suite.expectations)
    return found


def test_every_suite_goes_through_a_project_of_great_expectations_and_back(project: Path, tmp_path: Path) -> None:
    assert main(["suite", "export", str(SUITES), "--to", str(project), "--quiet"]) == 0
    sys.path.insert(0, str(project / "gx" / "plugins"))
    try:
        importlib.import_module("steward_expectations")  # the module that the export put there
    finally:
        sys.path.pop(0)
    files = sorted(SUITES.rglob("*.json"))
    assert _saved_by_gx(project) == {s.name: len(s.expectations) for s in map(load_suite, files)}
    written = json.loads((project / "gx/expectations/demo_contact.json").read_text(encoding="utf-8"))
    assert written["id"] and written["notes"] == "seen" and written["meta"]["great_expectations_version"]
    assert main(["suite", "import", str(project), "--to", str(tmp_path / "back"), "--quiet"]) == 0
    back = {load_suite(p).name: p.read_bytes() for p in (tmp_path / "back").rglob("*.json")}
    assert back == {load_suite(p).name: p.read_bytes() for p in files}
    assert main(["suite", "export", str(SUITES), "--to", str(project), "--quiet"]) == 2  # nothing is overwritten

    from great_expectations.expectations import registry

    taken_out = registry._registered_expectations.pop("expect_column_values_to_be_valid_email")
    try:  # a Great Expectations that was not taught this kind
        assert _saved_by_gx(project)["demo_contact"] == len(load_suite(SUITES / "contact.json").expectations) - 1
    finally:
        registry._registered_expectations["expect_column_values_to_be_valid_email"] = taken_out
    assert main(["suite", "import", str(project), "--to", str(tmp_path / "again")]) == 4
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.replace("expect_column_values_to_be_unique", "expect_column_values_to_be_unic"), "line 3: unknown expectation"),
        (lambda t: t.replace('"column": "amount"', '"colum": "amount"'), "line 19: expect_column_values_to_be_between needs the keyword column"),
        (lambda t: t.replace("deal.amount.range", "deal.id.unique"), "line 19: rule_id deal.id.unique is already used in line 3"),
        (lambda t: t.replace('"object": "deal"', '"object": "deal", "rules": 7'), "line 1: 6 of 7 expectations are left"),
    ],
    ids=["unknown type", "wrong keyword", "duplicate id", "dropped"],
)  # fmt: skip
def test_refused_with_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Any, says: str) -> None:
    file = tmp_path / "deal.json"
    text = (SUITES / "deal.json").read_text(encoding="utf-8")
    file.write_text(change(text), encoding="utf-8")
    assert file.read_text(encoding="utf-8") != text
    for what in ("check", "fmt", "export", "import"):
        assert main(["suite", what, str(file), "--to", str(tmp_path / "out")]) == 4
        assert f"deal.json, {says}" in " ".join(capsys.readouterr().err.split())
    assert file.read_text(encoding="utf-8") == change(text) and not (tmp_path / "out").exists()
