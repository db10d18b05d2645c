"""``steward snapshot`` and ``steward export`` as people and machines use them."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import polars as pl
import pytest

from steward.cli import main
from steward.decisions import Decision, DecisionAction
from steward.records import RecordKey
from steward.store import FileSource, Workspace
from steward.store.decision_log import DecisionLog
from steward.store.exporting import harmless

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PEOPLE = 'unique_id,first_name,surname,note\n0012345678901234567890,Ann,=1+1,x\n2,Bob,+49 30,\n3,-7,@SUM(A1),""\n'


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STEWARD_WORKSPACE", raising=False)
    (tmp_path / "people.csv").write_text(PEOPLE)
    return tmp_path


def _json(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_a_file_nobody_has_seen_goes_through(people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["snapshot", "people.csv", "--id", "unique_id", "--workspace", "w"]) == 0
    shown = capsys.readouterr().out
    assert "steward score --workspace w" in shown and "person" in shown
    again = _json(capsys, "snapshot", "people.csv", "--id", "unique_id", "--workspace", "w")
    assert again["known"] is True and again["rows"] == 3 and again["complete"] is True
    assert again["objects"][0]["role"] == "person"  # type: ignore[index]  # JSON
    with Workspace.open("w") as ws:
        assert ws.mapping(ws.snapshot()).objects["people"].label == ("first_name", "surname")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["people.csv", "--workspace", "w"], 2, "--id"),
        (["none.csv", "--id", "x", "--workspace", "w"], 2, "none.csv"),
        (["people.csv", "--id", "x", "--workspace", "w"], 3, "no column x"),
        (["people.csv", "--id", "unique_id"], 2, "STEWARD_WORKSPACE"),
        (["--workspace", "w"], 2, "What should be copied"),
        (["people.csv", "--id", "unique_id", "--encoding", "klingon", "--workspace", "w"], 2, "klingon"),
        (["people.csv", "--id", "unique_id", "--delimiter", "xx", "--workspace", "w"], 2, "delimiter"),
    ],
)
def test_refusals_say_what_to_do(
    people: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, says: str
) -> None:
    assert main(["snapshot", *words]) == code
    error = capsys.readouterr().err
    assert says in error and "Traceback" not in error and error.count("\n") == 1


def test_rejects_are_shown_without_their_text(people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (people / "bad.csv").write_text("id,name\n1,a\nsecret-value\n")
    assert main(["snapshot", "bad.csv", "--id", "id", "--workspace", "w"]) == 0
    shown = capsys.readouterr()
    assert "1 line was rejected" in shown.out and "export rejects" in shown.out
    assert "secret-value" not in shown.out + shown.err
    assert main(["export", "rejects", "--to", "r.csv", "--workspace", "w"]) == 0
    with (people / "r.csv").open(encoding="utf-8", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["line"], row["text"], row["file"]) == ("3", "secret-value", "bad.csv")


def test_comparison(people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["snapshot", "people.csv", "--id", "unique_id", "--workspace", "w", "--quiet"]) == 0
    assert main(["snapshot", "--compare", "--workspace", "w"]) == 2
    (people / "people.csv").write_text(PEOPLE.replace("Bob", "Rob").replace("3,-7", "4,-7"))
    assert main(["snapshot", "people.csv", "--id", "unique_id", "--workspace", "w", "--quiet"]) == 0
    found = _json(capsys, "snapshot", "--compare", "--workspace", "w")
    assert found["objects"] == {"people": {"added": ["4"], "changed": ["2"], "gone": ["3"]}}


@pytest.mark.parametrize("ending", ["csv", "xlsx", "parquet", "ndjson"])
def test_records_survive_the_way_out_and_in(people: Path, ending: str) -> None:
    assert main(["snapshot", "people.csv", "--id", "unique_id", "--workspace", "w", "--quiet"]) == 0
    assert main(["export", "records", "--to", f"out.{ending}", "--workspace", "w", "--quiet"]) == 0
    with Workspace.open("w") as ws:
        first = ws.snapshot()
        if ending in ("parquet", "ndjson"):
            assert (
                ws.take_snapshot(FileSource(people / f"out.{ending}", key="unique_id", object="people"), taken_at=NOW).digest
                == first.digest
            )
        else:  # neither CSV for spreadsheets nor XLSX tell NULL from the empty text
            again = ws.take_snapshot(FileSource(people / f"out.{ending}", key="unique_id", object="people"), taken_at=NOW)
            kept = ws.records(again, "people", ["0012345678901234567890"])["0012345678901234567890"]
            assert kept["surname"] == ("'=1+1" if ending == "csv" else "=1+1")


def test_nothing_that_is_exported_is_run_by_a_spreadsheet(people: Path) -> None:
    assert main(["snapshot", "people.csv", "--id", "unique_id", "--workspace", "w", "--quiet"]) == 0
    assert main(["export", "records", "--to", "o.csv", "--workspace", "w", "--quiet"]) == 0
    with (people / "o.csv").open(encoding="utf-8", newline="") as stream:
        cells = [c for row in csv.reader(stream) for c in row]
    assert "'=1+1" in cells and "'@SUM(A1)" in cells and "'+49 30" in cells and "-7" in cells
    assert main(["export", "records", "--to", "o.xlsx", "--workspace", "w", "--quiet"]) == 0
    sheet = openpyxl.load_workbook(people / "o.xlsx").active
    assert sheet is not None
    assert {cell.data_type for row in sheet.iter_rows() for cell in row if cell.value is not None} == {"s"}
    assert sheet["A2"].value == "0012345678901234567890"


def test_harmless_text() -> None:
    for text in ("=1", "+cmd", "-x", "@a", " =1", "＝1", "-1+2"):
        assert harmless(text) == "'" + text
    assert harmless("\t=1") == "'\t'=1"  # one apostrophe alone would stand in a cell of its own where tabs separate
    assert harmless("\r=1") == "'\r'=1" and harmless("x; =1;y") == "x; '=1;y"  # what begins a cell elsewhere
    for text in ("", "a=1", "-1", "+49", "-1.5", "1e5", "x"):
        assert harmless(text) == text


def test_evidence_pairs_clusters_and_decisions(people: Path) -> None:
    assert main(["snapshot", "people.csv", "--id", "unique_id", "--workspace", "w", "--quiet"]) == 0
    with Workspace.open("w") as ws:
        pairs = pl.DataFrame(
            {"left_id": ["2"], "right_id": ["3"], "match_weight": [1.5], "probability": [0.75], "rule": ["=r"]}
        )
        clusters = pl.DataFrame({"cluster_id": ["c", "c"], "record_id": ["2", "3"], "survivor": [True, False]})
        evidence = pl.DataFrame(
            {
                "record_id": ["3"],
                "case_id": ["c"],
                "rule_id": ["r"],
                "score": [0.75],
                "sentence": ["Same name."],
                "digest": ["d"],
            }
        )
        ws.replace_evidence(
            ws.snapshot(),
            "duplicate",
            "people",
            evidence=evidence,
            pairs=pairs,
            clusters=clusters,
            definition_digest="x",
            summary={},
        )
    log = DecisionLog.open(people / "w" / "decisions.sqlite")
    log.append([Decision("d1", "g", "c", RecordKey("people", "3"), DecisionAction.KEEP, "ann", NOW, reason="=HYPERLINK(1)")])
    log.close()
    for what in ("pairs", "clusters", "evidence", "decisions"):
        assert main(["export", what, "--to", f"{what}.parquet", "--workspace", "w", "--quiet"]) == 0
    read = {what: pl.read_parquet(people / f"{what}.parquet") for what in ("pairs", "clusters", "evidence", "decisions")}
    assert read["pairs"].columns == ["left_id", "right_id", "match_weight", "probability", "rule"]
    assert read["pairs"].row(0) == ("2", "3", 1.5, 0.75, "=r")
    assert read["clusters"].columns == ["record_id", "cluster_id", "survivor"]
    assert read["clusters"].rows() == [("2", "c", True), ("3", "c", False)]
    assert read["evidence"].row(0) == ("people", "3", "duplicate", "r", 0.75, "Same name.")
    assert read["decisions"].row(0, named=True)["reviewer"] == "ann"
    assert main(["export", "decisions", "--to", "d.csv", "--workspace", "w", "--quiet"]) == 0
    assert "'=HYPERLINK(1)" in (people / "d.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "words",
    [["pairs", "--to", "x.doc"], ["pairs", "--to", "none/x.csv"], ["records", "--object", "nobody", "--to", "x.csv"], ["pairs", "--kind", "stale", "--to", "x.csv"],
     ["decisions", "--to", "x.csv"], ["pairs", "--snapshot", "ffffffff", "--to", "x.csv"]],
)  # fmt: skip
def test_exports_that_are_refused(people: Path, words: list[str]) -> None:
    assert main(["snapshot", "people.csv", "--id", "unique_id", "--workspace", "w", "--quiet"]) == 0
    before = sorted(p.name for p in people.iterdir())
    assert main(["export", *words, "--workspace", "w"]) == 2
    assert sorted(p.name for p in people.iterdir()) == before
