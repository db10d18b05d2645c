"""The fast way and the careful way read the same file alike, and Python's csv module agrees with both."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steward.records import record_digest
from steward.store import FileSource, Workspace, bulk, delimited
from steward.store.encodings import Encoding
from steward.store.sql import quote

NOW = datetime(2026, 1, 1, tzinfo=UTC)
UTF8 = Encoding("utf-8", 0, "strict")
AWKWARD = [
    "",
    "x",
    '""',
    "a,b",
    "a;b",
    "line\nline",
    "cr\r\nlf",
    '"',
    " lead",
    "trail ",
    "NULL",
    "é",
    "张伟",
    "007",
    "1e5",
    "'",
    "\t",
    "\\",
    "=1+1",
    "😀",
]


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    with Workspace.open(tmp_path_factory.mktemp("bulk") / "w", create=True) as opened:
        yield opened


def _read(ws: Workspace, path: Path, monkeypatch: pytest.MonkeyPatch, *, fast: bool) -> list[tuple[object, ...]]:
    monkeypatch.setattr(bulk, "LARGE", 0 if fast else 1 << 60)
    used: list[object] = []
    real = bulk.load_fast
    monkeypatch.setattr(bulk, "load_fast", lambda *a: used.append(real(*a)) or used[-1])
    snapshot = ws.take_snapshot(FileSource(path, key="id", object=f"o{random.getrandbits(60)}"), taken_at=NOW)
    monkeypatch.undo()
    assert used == ([snapshot.rows] if fast else [])
    name = snapshot.objects[0].name
    columns = ", ".join(map(quote, ws.columns(snapshot, name)))
    rows: list[tuple[object, ...]] = ws.connection.execute(
        f"SELECT _line, _digest, _file, {columns} FROM {ws.table(snapshot, name)} ORDER BY _line"
    ).fetchall()
    return rows


def _write(path: Path, rows: list[list[str]], ending: str, delimiter: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator=ending, delimiter=delimiter).writerows(rows)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_both_ways_give_the_same_table(
    ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, delimiter: str
) -> None:
    dice = random.Random(f"{ending!r}{delimiter}")
    rows = [["id", "Näme", "b", "c"]]
    rows += [[str(10**19 + n), *(dice.choice(AWKWARD) for _ in range(3))] for n in range(3_000)]
    path = tmp_path / "a.csv"
    _write(path, rows, ending, delimiter)
    fast = _read(ws, path, monkeypatch, fast=True)
    careful = _read(ws, path, monkeypatch, fast=False)
    assert fast == careful
    assert [[v or "" for v in row[3:]] for row in fast] == rows[1:]
    for row in fast[:50]:
        assert row[1] == record_digest(dict(zip(rows[0], row[3:], strict=True)))


def test_lines_are_those_of_an_editor(ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "l.csv"
    path.write_text('id,a,b\n1,x,y\n2,"p\nq","r\n\ns"\n3,x,y\n4,"u\nv",w\n5,x,y\n', newline="")
    assert [row[0] for row in _read(ws, path, monkeypatch, fast=True)] == [2, 3, 7, 8, 10]


@pytest.mark.parametrize(
    "broken",
    ["2,y\n", "2,x,y,z\n", '2,"open,y\n', '2,"x"y,z\n', ",x,y\n", "\n2,x,y\n", "2,x\ry,z\n"],
    ids=["short", "long", "open", "after", "no id", "blank", "cr"],
)
def test_what_is_odd_goes_the_careful_way(ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    path = tmp_path / "b.csv"
    path.write_text(
        "id,a,b\n" + "".join(f"a{n},x,{n}\n" for n in range(2_000)) + broken + "".join(f"b{n},x,{n}\n" for n in range(2_000)),
        newline="",
    )
    monkeypatch.setattr(bulk, "LARGE", 0)
    snapshot = ws.take_snapshot(FileSource(path, key="id", object=f"o{random.getrandbits(60)}"), taken_at=NOW)
    (entry,) = ws.files(snapshot)
    kept = broken in ("\n2,x,y\n", "2,x\ry,z\n")
    assert (entry.rows_loaded, entry.rejects) == ((4_001, 0) if kept else (4_000, 1))
    assert [r.raw.decode().strip() for r in ws.rejects(snapshot)] == ([] if kept else [broken.strip()])


field = st.text(alphabet=st.sampled_from('ab",\n\r é'), max_size=6)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(field, field), min_size=1, max_size=12), block=st.integers(1, 40), last=st.booleans())
def test_the_counter_counts_like_python(tmp_path: Path, rows: list[tuple[str, str]], block: int, last: bool) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_MINIMAL).writerows([(f"k{a}", b) for a, b in rows])
    text = out.getvalue()
    path = tmp_path / "c.csv"
    path.write_bytes(("id,b\n" + (text if last else text[:-1])).encode())
    shape = delimited.Shape(",", ("id", "b"), 1, 5)
    before = bulk._BLOCK
    bulk._BLOCK = block
    try:
        counted = bulk.count_records(path, shape)
    finally:
        bulk._BLOCK = before
    if counted is not None:  # None sends the file the careful way
        assert counted.records == len(rows)
        assert counted.jumps == [(n, extra) for n, (a, b) in enumerate(rows, 1) if (extra := a.count("\n") + b.count("\n"))]


@settings(max_examples=300, deadline=None)
@given(text=st.text(alphabet=st.sampled_from('ab",;\n\r é'), max_size=60))
def test_no_byte_is_lost_whatever_stands_there(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("x") / "f.csv"
    path.write_bytes(text.encode())
    lines = list(delimited.lines_of(path, UTF8, shown="f.csv"))
    assert b"".join(line.raw for line in lines) == text.encode()
    blank = sum(len(line.raw) for line in lines if not (line.text or "").strip("\r"))
    size = 0
    for item in delimited.records(iter(lines), ",", 2):
        if isinstance(item, delimited.Row):
            size += item.size
            assert len(item.values) == 2
        else:
            size += len(item.raw)
    inside = size + blank - len(text.encode())
    assert 0 <= inside <= blank  # blank lines inside quotes belong to a record
