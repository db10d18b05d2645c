"""The decision log: one suite, on SQLite and on PostgreSQL."""

from __future__ import annotations

import multiprocessing
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from steward.decisions import Decision, DecisionAction, fold
from steward.errors import DecisionError, IntegrityError, UsageError
from steward.records import RecordKey
from steward.store.decision_log import GENESIS, DecisionLog, Head, entries

AT = datetime(2026, 11, 25, 9, 30, 0, 123456, tzinfo=UTC)


def decision(n: int, action: DecisionAction = DecisionAction.DELETE, **more: object) -> Decision:
    """One entry with ids made from ``n``."""
    words: dict[str, object] = {
        "id": f"d{n}", "group": f"g{n}", "case_id": f"c{n}", "key": RecordKey("contact", f"00{n}"), "action": action,
        "reviewer": "anna", "at": AT,
    }  # fmt: skip
    return Decision(**(words | more))  # type: ignore[arg-type]  # built from a dictionary of words


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a fresh log goes."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_database"))
    return str(tmp_path / "decisions.sqlite")


@pytest.fixture
def log(place: str) -> Iterator[DecisionLog]:
    """A fresh log."""
    with DecisionLog.open(place) as opened:
        yield opened


def test_every_field_comes_back_as_it_was_written(log: DecisionLog) -> None:
    written = [
        decision(1, reason="„Müller“ und 王小明 are one\n<b>", evidence_digest="e", snapshot_digest="s", record_digest="r"),
        decision(2, DecisionAction.MERGE, target="001", choices={"E-Mail": "002", "名字": "001"}),
        decision(3, DecisionAction.DEFER, until=date(2027, 1, 31)),
        decision(4, DecisionAction.UNDO, undoes="g1"),
        decision(5, DecisionAction.KEEP, reviewer="rule:safe", supersedes="d1 d2"),
        decision(6, at=AT.astimezone(UTC) + timedelta(hours=3)),
    ]
    log.append(written)
    assert log.read() == written
    assert log.standing() == fold(written)


def test_a_second_opening_reads_what_the_first_wrote_and_goes_on_in_sequence(log: DecisionLog, place: str) -> None:
    assert log.head() == Head(0, GENESIS)
    first = log.append([decision(1), decision(2)])
    assert first.seq == 2
    with DecisionLog.open(place) as again:
        assert again.head() == first
        second = again.append([decision(3)])
        assert second.seq == 3
    assert [d.id for d in log.read()] == ["d1", "d2", "d3"]
    assert log.verify(noted=first) == second


def test_order_is_the_logs_order_and_never_the_clocks(log: DecisionLog) -> None:
    log.append([decision(1, action=DecisionAction.KEEP, key=RecordKey("contact", "x"), at=AT + timedelta(days=9))])
    log.append([decision(2, key=RecordKey("contact", "x"), at=AT - timedelta(days=9))])
    assert log.standing().by_key[RecordKey("contact", "x")].action is DecisionAction.DELETE


def test_an_append_is_whole_or_nothing(log: DecisionLog) -> None:
    before = log.append([decision(1)])
    with pytest.raises(DecisionError, match="already in the decision log"):
        log.append([decision(2), decision(1)])
    assert log.head() == before
    assert [d.id for d in log.read()] == ["d1"]


@pytest.mark.parametrize("text", ["a\x00b", "half \ud83d pair"])
def test_characters_that_no_database_keeps_are_refused_before_anything_is_written(log: DecisionLog, text: str) -> None:
    with pytest.raises(DecisionError, match="cannot be stored"):
        log.append([decision(1, reason=text)])
    assert log.head().seq == 0


@pytest.mark.parametrize("statement", ["UPDATE decision_log SET reviewer = 'eve'", "DELETE FROM decision_log"])
def test_the_database_itself_refuses_to_change_or_remove_an_entry(log: DecisionLog, statement: str) -> None:
    log.append([decision(1)])
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), log.engine.begin() as connection:
        connection.execute(sa.text(statement))
    assert [d.reviewer for d in log.read()] == ["anna"]


def _without_guards(log: DecisionLog, *statements: str) -> None:
    with log.engine.begin() as connection:
        if log.engine.dialect.name == "sqlite":
            connection.execute(sa.text("DROP TRIGGER decision_log_no_update"))
            connection.execute(sa.text("DROP TRIGGER decision_log_no_delete"))
        else:
            connection.execute(sa.text("ALTER TABLE decision_log DISABLE TRIGGER ALL"))
        for statement in statements:
            connection.execute(sa.text(statement))


@pytest.mark.parametrize("column", [c.name for c in entries.columns if c.name != "seq"])
def test_tampering_with_any_column_is_found(log: DecisionLog, column: str) -> None:
    log.append([decision(n) for n in range(1, 6)])
    _without_guards(log, f"UPDATE decision_log SET {column} = 'forged' WHERE seq = 3")
    with pytest.raises(IntegrityError, match=r"at entry [34]"):
        log.verify()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM decision_log WHERE seq = 2",
        "DELETE FROM decision_log WHERE seq = 1",
        "UPDATE decision_log SET seq = 99 WHERE seq = 5",
    ],
)
def test_removed_and_moved_entries_are_found(log: DecisionLog, statement: str) -> None:
    log.append([decision(n) for n in range(1, 6)])
    _without_guards(log, statement)
    with pytest.raises(IntegrityError):
        log.verify()


def test_a_cut_end_is_found_by_the_head_that_was_noted_elsewhere(log: DecisionLog) -> None:
    noted = log.append([decision(n) for n in range(1, 6)])
    _without_guards(log, "DELETE FROM decision_log WHERE seq > 3")
    assert log.verify().seq == 3  # the chain alone cannot know
    with pytest.raises(IntegrityError, match="cut off or rewritten"):
        log.verify(noted)


def _write_many(place: str, who: str, count: int, start: object) -> None:
    start.wait()  # type: ignore[attr-defined]  # a multiprocessing barrier
    with DecisionLog.open(place) as log:
        for n in range(count):
            log.append([decision(0, id=f"{who}-{n}-{k}", group=f"{who}-{n}", reviewer=who) for k in range(2)])


def test_many_writers_at_once_lose_nothing_and_keep_one_chain(place: str) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(4)
    writers = [context.Process(target=_write_many, args=(place, f"w{i}", 25, barrier)) for i in range(4)]
    for process in writers:
        process.start()
    for process in writers:
        process.join(60)
        assert process.exitcode == 0
    with DecisionLog.open(place) as log:
        assert log.verify().seq == 200
        found = [d.id for d in log.read()]
        for i in range(4):  # each writer's own order is kept, and a group is never torn apart
            mine = [x for x in found if x.startswith(f"w{i}-")]
            assert mine == [f"w{i}-{n}-{k}" for n in range(25) for k in range(2)]
        assert all(found[i].rsplit("-", 1)[0] == found[i + 1].rsplit("-", 1)[0] for i in range(0, 200, 2))


_KILLED = """
import sys
sys.path.insert(0, {root!r})
from tests.integration.test_decision_log_both import DecisionLog, decision
log = DecisionLog.open({place!r})
n = 0
while True:
    n += 1
    log.append([decision(n)])
    print(n, flush=True)
"""


@pytest.mark.crash
def test_what_append_returned_for_is_there_after_the_process_was_killed(place: str) -> None:
    root = str(Path(__file__).resolve().parents[2])
    DecisionLog.open(place).close()
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED.format(root=root, place=place)], stdout=subprocess.PIPE, text=True, cwd=root
    ) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline())]
        time.sleep(0.3)
        writer.kill()
        acknowledged += [int(line) for line in writer.stdout if line.endswith("\n")]
    with DecisionLog.open(place) as log:
        assert log.verify().seq >= acknowledged[-1] > 1
        assert [d.id for d in log.read()][: acknowledged[-1]] == [f"d{n}" for n in acknowledged]


def test_ten_thousand_entries_are_one_append(log: DecisionLog) -> None:
    head = log.append([decision(n, group="bulk") for n in range(10_000)])
    log.append([decision(10_000, DecisionAction.UNDO, undoes="bulk")])
    assert head.seq == 10_000
    assert log.standing().by_key == {}


def test_a_folder_means_the_file_inside_and_sqlite_waits_for_the_disk(tmp_path: Path) -> None:
    with DecisionLog.open(tmp_path) as log:
        assert (tmp_path / "decisions.sqlite").exists()
        with log.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_a_file_that_is_something_else_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "decisions.sqlite"
    wrong.write_bytes(b"these are not the rows you are looking for" * 100)
    with pytest.raises(IntegrityError):
        DecisionLog.open(wrong)


def test_a_log_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    DecisionLog.open(tmp_path).close()
    with sqlite3.connect(tmp_path / "decisions.sqlite") as connection:
        connection.execute("UPDATE decision_log_about SET value = 'steward-decision-log/9' WHERE name = 'format'")
    connection.close()
    with pytest.raises(IntegrityError, match="steward-decision-log/9"):
        DecisionLog.open(tmp_path)


def test_other_databases_are_refused_and_a_password_is_never_shown(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="mysql"):
        DecisionLog.open("mysql://u:secret@h/d")
    with pytest.raises(DecisionError) as refused:
        DecisionLog.open("postgresql+psycopg://u:secret@127.0.0.1:9/d?connect_timeout=1")
    assert "secret" not in str(refused.value)


def test_a_full_or_read_only_disk_is_a_refusal_and_nothing_is_kept(tmp_path: Path) -> None:
    with DecisionLog.open(tmp_path) as log:
        log.append([decision(1)])
        with log.engine.connect() as connection:
            pages = int(connection.exec_driver_sql("PRAGMA page_count").scalar() or 0)

        def cap(dbapi: sqlite3.Connection, *_: object) -> None:
            dbapi.execute(f"PRAGMA max_page_count={pages + 1}").close()

        log.engine.dispose()
        sa.event.listen(log.engine, "connect", cap)
        with pytest.raises(DecisionError, match="nothing was saved"):
            log.append([decision(n, reason="x" * 900) for n in range(2, 200)])
        assert [d.id for d in log.read()] == ["d1"]
        assert log.verify().seq == 1
