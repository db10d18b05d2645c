"""``steward suite``: a round trip with Great Expectations changes no rule, and a broken file is refused by name."""

from __future__ import annotations

import shutil
from pathlib import Path

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
