"""Every file of the torture corpus: rows in file = loaded + rejected, no byte altered, or one clear sentence."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from steward.errors import StewardError
from steward.records import Snapshot
from steward.store import FileSource, Workspace
from steward.store.guess import object_name
from tests.support.store import CORPUS, Torture, write

OTHERWISE = {"open.csv", "after.csv", "inch.csv", "zero.csv", "badline.csv", "sep.csv"}
"""Where Python's csv module has another opinion of what a record is: stray and open quotes, bytes that do not decode."""

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """One workspace for the whole corpus: what one file leaves behind would show in the next."""
    with Workspace.open(tmp_path_factory.mktemp("torture") / "w", create=True) as opened:
        yield opened


def _load(ws: Workspace, tmp_path: Path, torture: Torture) -> Snapshot:
    path = write(tmp_path, torture)
    name = object_name(torture.name)
    return ws.take_snapshot(FileSource(path, key="id", object=name, **torture.words), taken_at=NOW)


@pytest.mark.parametrize("torture", [t for t in CORPUS if t.refused is None], ids=lambda t: t.name)
def test_rows_come_out_as_they_are(ws: Workspace, tmp_path: Path, torture: Torture) -> None:
    snapshot = _load(ws, tmp_path, torture)
    name = snapshot.objects[0].name
    names = ws.columns(snapshot, name)
    found = ws.connection.execute(
        f"SELECT {', '.join(chr(34) + n + chr(34) for n in names)}, _line FROM {ws.table(snapshot, name)} ORDER BY _line"
    ).fetchall()
    assert [dict(zip(names, row[:-1], strict=True)) for row in found] == torture.rows
    if torture.lines is not None:
        assert tuple(row[-1] for row in found) == torture.lines
    rejects = ws.rejects(snapshot)
    assert tuple((r.line, r.raw) for r in rejects) == torture.rejects
    assert all(r.problem and r.file == torture.file for r in rejects)
    assert snapshot.complete == (not torture.rejects)
    (entry,) = ws.files(snapshot)
    assert entry.rows_in_file == entry.rows_loaded + entry.rejects == len(torture.rows) + len(torture.rejects)
    kept = ws.path / "raw" / hashlib.sha256(torture.content).hexdigest() / torture.file
    assert kept.read_bytes() == torture.content


@pytest.mark.parametrize("torture", [t for t in CORPUS if t.refused is not None], ids=lambda t: t.name)
def test_refusals_are_one_sentence_and_leave_nothing(ws: Workspace, tmp_path: Path, torture: Torture) -> None:
    assert torture.refused is not None
    before = [s.digest for s in ws.snapshots()]
    with pytest.raises(StewardError) as caught:
        _load(ws, tmp_path, torture)
    assert type(caught.value) is torture.refused
    sentence = caught.value.render()
    assert torture.says in sentence
    assert "\n" not in sentence and "{" not in sentence
    assert [s.digest for s in ws.snapshots()] == before
    schemas = ws.connection.execute("SELECT count(*) FROM duckdb_schemas() WHERE schema_name LIKE 'take_%'").fetchall()
    assert schemas == [(len(before),)]
    assert not list((ws.path / "raw").glob(".part-*"))
    assert not list(ws.path.glob("tmp/read-*"))


def test_the_corpus_is_large_enough() -> None:
    assert len(CORPUS) >= 25
    assert len({t.name for t in CORPUS}) == len({t.file for t in CORPUS}) == len(CORPUS)


@pytest.mark.parametrize(
    "torture",
    [t for t in CORPUS if t.refused is None and t.file.endswith((".csv", ".txt")) and t.file not in OTHERWISE],
    ids=lambda t: t.name,
)
def test_python_counts_the_same_rows(ws: Workspace, tmp_path: Path, torture: Torture) -> None:
    """An independent count of the rows in the file."""
    (entry,) = ws.files(_load(ws, tmp_path, torture))
    text = torture.content.removeprefix(b"\xef\xbb\xbf").decode(
        "utf-16" if torture.content[:2] == b"\xff\xfe" else str(entry.encoding)
    )
    counted = sum(1 for row in csv.reader(io.StringIO(text, newline=""), delimiter=str(entry.delimiter)) if row) - 1
    assert entry.rows_in_file == counted
