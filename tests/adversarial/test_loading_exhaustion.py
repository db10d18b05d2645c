"""Files made to exhaust time or memory are read in bounded time, or refused."""

from __future__ import annotations

import gzip
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from steward.errors import SnapshotError, StewardError
from steward.store import FileSource, Workspace
from tests.support.store import text_cell, xlsx

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _take(tmp_path: Path, name: str, content: bytes) -> tuple[int, int]:
    (tmp_path / name).write_bytes(content)
    with Workspace.open(tmp_path / "w", create=True) as ws:
        taken = ws.take_snapshot(FileSource(tmp_path / name, key="id", object="o"), taken_at=NOW)
        return taken.rows, len(ws.rejects(taken))


def test_one_open_quote_before_many_lines(tmp_path: Path) -> None:
    start = time.process_time()
    assert _take(tmp_path, "a.csv", b'id,a\n0,"open\n' + b"".join(b"%d,x\n" % n for n in range(1, 100_000))) == (99_999, 1)
    assert time.process_time() - start < 20


def test_every_line_opens_a_quote_that_looks_closed(tmp_path: Path) -> None:
    start = time.process_time()
    with pytest.raises(SnapshotError, match="opens quotes"):
        _take(tmp_path, "b.csv", b"id,a,b\n1,x,y\n" + b'a",b,"c\n' * 150_000)
    assert time.process_time() - start < 60


@pytest.mark.parametrize("body", [b"[" * 200_000, b'[{"id":' + b"[" * 100_000 + b"]" * 100_000 + b"}]"])
def test_deep_json(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(StewardError) as caught:
        _take(tmp_path, "c.json", body)
    assert "\n" not in caught.value.render()


def test_deep_line_of_ndjson_is_a_reject(tmp_path: Path) -> None:
    assert _take(tmp_path, "d.ndjson", b'{"id": 1}\n{"id": 2, "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n") == (1, 1)


def test_a_number_of_a_million_digits_stays_text(tmp_path: Path) -> None:
    assert _take(tmp_path, "e.ndjson", b'{"id": 1, "n": ' + b"9" * 1_000_000 + b"}\n") == (1, 0)


def test_gzip_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steward.store.raw._GZIP_LIMIT", 1 << 20)
    with pytest.raises(SnapshotError, match="attack"):
        _take(tmp_path, "f.csv.gz", gzip.compress(b"id\n" + b"0" * (20 << 20)))


def test_workbook_bomb(tmp_path: Path) -> None:
    path = tmp_path / "g.xlsx"
    path.write_bytes(xlsx(f'<row r="1">{text_cell("A1", "id")}</row>'))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as z, z.open("xl/pad.xml", "w") as pad:
        for _ in range(120):
            pad.write(b"\0" * (1 << 20))
    with pytest.raises(SnapshotError, match="attack"):
        _take(tmp_path, "g.xlsx", path.read_bytes())


def test_hostile_names_cannot_reach_other_files(tmp_path: Path) -> None:
    """Column names and file names that would mean something in SQL or in a path pattern."""
    (tmp_path / "x1.csv").write_text("id,a\n9,other file\n")
    name = "x[1]*'; DROP TABLE snapshots; --.csv"
    columns = 'id,"a""; DROP TABLE snapshots; --","\'","*"\n'
    (tmp_path / name).write_text(columns + "1,x,y,z\n")
    with Workspace.open(tmp_path / "w", create=True) as ws:
        taken = ws.take_snapshot(FileSource(tmp_path / name, key="id", object="o"), taken_at=NOW)
        assert ws.records(taken, "o", ["1"]) == {"1": {"id": "1", 'a"; DROP TABLE snapshots; --': "x", "'": "y", "*": "z"}}
        assert len(ws.snapshots()) == 1


def test_hostile_names_on_the_fast_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steward.store.bulk.LARGE", 0)
    test_hostile_names_cannot_reach_other_files(tmp_path)
