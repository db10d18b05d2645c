"""Hostile values of customers on their way out: exports that a spreadsheet program opens, decisions, what a report says of them.

The panel itself is tested with the same values in a browser (``tests/browser/test_review_panel.py``). Cell types are read
back with openpyxl and from the sheet's own XML, CSV as a spreadsheet program splits it, by comma and by semicolon.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import pytest

from steward.cli import main
from steward.decisions import DecisionAction as A
from steward.review.conversation import clean
from steward.review.intent import Intent
from steward.review.session import ReviewSession
from steward.store.decision_log import DecisionLog
from tests.support.hostile_values import FORMULAS, HOSTILE
from tests.support.review import FIELDS, make_workspace

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?")
_BEGINS = tuple("=+-@＝＋－＠\t\r\n")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Every hostile value in every field of somebody, every one of them in a case, and decided on with it as the reason."""
    people = [dict.fromkeys(FIELDS, v) for v in HOSTILE]
    even = len(HOSTILE) // 2 * 2
    ws, snapshot = make_workspace(tmp_path_factory.mktemp("hostile"), people, clusters=[(n, n + 1) for n in range(0, even, 2)])
    with DecisionLog.open(ws.path) as log:
        for n, value in enumerate(HOSTILE[:even:2]):
            work = ReviewSession(ws, snapshot, log, clean(HOSTILE[2 * n + 1]) or "x", now=lambda: NOW) if n < 12 else work  # noqa: F821 - from the round before
            work.decide(f"dup-{n:05d}", Intent(A.KEEP, reason=clean(value)))
        assert log.verify().seq == even
    ws.close()
    yield ws.path


def test_there_are_more_than_a_hundred_and_no_two_are_the_same() -> None:
    assert len(HOSTILE) == len(set(HOSTILE)) >= 120 and len(FORMULAS) >= 30


@pytest.mark.parametrize("what", ["records", "decisions", "evidence", "clusters", "pairs"])
def test_no_cell_of_a_sheet_is_a_formula_and_every_text_comes_back(workspace: Path, tmp_path: Path, what: str) -> None:
    file = tmp_path / "out.xlsx"
    words = ["export", what, "--to", str(file), "--workspace", str(workspace)]
    assert main([*words, "--object", "contact"] if what == "records" else words) == 0
    sheet = openpyxl.load_workbook(file).active
    assert sheet is not None
    kinds = {cell.data_type for row in sheet.iter_rows() for cell in row}
    assert kinds <= {"s", "n", "b"} and "s" in kinds  # "f" would be a formula
    with zipfile.ZipFile(file) as parts:
        for name in parts.namelist():
            if name.startswith("xl/worksheets/"):
                assert not re.search(rb"<f[ >/]", parts.read(name))
        assert not any("externalLink" in n or "connections" in n for n in parts.namelist())
    if what == "records":
        head = [c.value for c in next(sheet.iter_rows(max_row=1))]
        names = {
            str(row[head.index("name")])
            for row in sheet.iter_rows(min_row=2, values_only=True)
            if row[head.index("name")] is not None
        }
        plain = {v for v in HOSTILE if not re.search(r"[\x00-\x08\x0b-\x1f\x7f\r]", v)}
        assert plain <= names | {"null"}


@pytest.mark.parametrize("what", ["records", "decisions", "evidence"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_no_cell_of_a_csv_begins_a_formula_however_a_program_splits_it(
    workspace: Path, tmp_path: Path, what: str, separator: str
) -> None:
    file = tmp_path / "out.csv"
    words = ["export", what, "--to", str(file), "--workspace", str(workspace)]
    assert main([*words, "--object", "contact"] if what == "records" else words) == 0
    text = file.read_text(encoding="utf-8")
    for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
        for cell in row:
            if separator == "," and _NUMBER.fullmatch(cell):
                continue
            shown = cell.lstrip(" ")  # a quotation mark that is shown makes the rest text
            assert not shown.startswith(_BEGINS) or _NUMBER.fullmatch(shown), repr(cell)


def test_hostile_reviewers_and_reasons_come_back_from_the_log_as_they_were(workspace: Path) -> None:
    with DecisionLog.open(workspace) as log:
        read = log.read()
    reasons = {d.reason for d in read}
    assert {clean(v) for v in HOSTILE[: len(HOSTILE) // 2 * 2 : 2]} == reasons
    assert len({d.reviewer for d in read}) >= 10


def test_a_handed_on_report_holds_none_of_them(workspace: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert main(["report", "--to", str(page), "--workspace", str(workspace)]) == 0
    html = page.read_text(encoding="utf-8")
    for value in HOSTILE:
        if len(value) > 12 and "executed" in value:
            assert value not in html
    assert "window.executed" not in html and "evil.example" not in html
