"""The executor's small parts, each alone: pace, breaker, what a receipt says, open business, scopes, streamed files."""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from steward.crm.mapping import parse_mapping
from steward.errors import BreakerTrippedError, ExecutionError, PartialExecutionError
from steward.executor.brakes import Brakes
from steward.executor.business import moment, opened_since
from steward.executor.choosing import Scope
from steward.executor.did import changes_of
from steward.executor.files import StreamedFile, lines_of
from steward.executor.judge import Verdict
from steward.executor.ports import Effect, State, Unit, Work
from steward.executor.privacy import leave_no_dumps
from steward.executor.rate import Rate
from steward.records import Record, RecordKey
from tests.support.rates import LIMITS, VirtualClock, work_against


@pytest.mark.parametrize(("limit", "batch"), LIMITS)
def test_the_pace_uses_a_documented_limit_and_is_never_throttled(limit: int, batch: int) -> None:
    for seed in range(3):
        used, throttled = work_against(limit, batch, minutes=60, seed=seed)
        assert used >= 0.95 and throttled == 0


def test_a_pace_without_margin_would_be_throttled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steward.executor.rate.MARGIN", 0.0)
    assert sum(work_against(180, 1, minutes=60, share=1.0, seed=s)[1] for s in range(3)) > 0


def test_a_pace_of_zero_runs_nothing_and_more_than_a_window_is_spread() -> None:
    with pytest.raises(PartialExecutionError):
        Rate(0, VirtualClock()).take(1)
    clock = VirtualClock()
    Rate(100, clock, 1.0).take(350)
    assert 180 <= clock.at - 1_000 <= 184


def _verdicts(state: State, count: int, code: str = "") -> list[Verdict]:
    return [Verdict(Work(n, "contact", str(n), "soft_delete"), state, code) for n in range(count)]


def _rows(state: State, count: int) -> list[tuple[int, State, str, str | None]]:
    return [(n, state, "", None) for n in range(count)]


def test_the_breaker_trips_on_each_kind_and_a_person_may_override() -> None:
    trips: dict[str, Any] = {
        "drift": lambda b: b.before([], _verdicts(State.DRIFT, 60)),
        "missing": lambda b: b.before([], _verdicts(State.MISSING, 250)),
        "no_answer": lambda b: b.before([], _verdicts(State.FAILED, 1, "no_answer")),
        "failed_in_a_row": lambda b: b.after(_rows(State.FAILED, 11)),
        "failed": lambda b: [b.after([*_rows(State.FAILED, 5), *_rows(State.DONE, 1)]) for _ in range(6)],
        "outcome_unknown": lambda b: [b.after([*_rows(State.DONE, 3), *_rows(State.DOUBT, 1)]) for _ in range(4)],
        "deleted_by_another": lambda b: b.by_others(1),
        "objects": lambda b: b.count("contact", 40, 100),
    }
    for name, act in trips.items():
        with pytest.raises(BreakerTrippedError) as caught:
            act(Brakes(1_000))
        assert name in (caught.value.facts.get("name"), "objects")
        act(Brakes(1_000, overridden=True))
    with pytest.raises(BreakerTrippedError):
        Brakes(1_000, overridden=True).canary(1)  # a lie of the CRM is no matter of opinion
    calm = Brakes(1_000)
    for _ in range(9):
        calm.after(_rows(State.DOUBT, 1))
        if _ % 3 == 2:
            calm.after(_rows(State.DONE, 1))
        calm.before([], _verdicts(State.DRIFT, 1))
    calm.count("contact", 95, 100)


MAPPING = parse_mapping(
    'format = "steward-mapping/1"\nsystem = "s"\ntenant = "t"\nenvironment = "e"\n[objects.deal]\nkey = "id"\nrole = "deal"\n'
    'modified = "m"\nopen_when = { column = "stage", not_in = ["won"] }\ndates = { m = "%d.%m.%Y %H:%M" }\n'
)


@pytest.mark.parametrize(
    ("value", "opened"),
    [
        ("24.11.2026 09:00", False),
        ("25.11.2026 13:00", True),
        ("2026-11-25T13:00:00+01:00", False),
        ("2026-11-25", True),
        (datetime(2026, 11, 25, 11, 0), False),
        (datetime(2026, 11, 25, 12, 1, tzinfo=UTC), True),
        (date(2026, 11, 25), True),
        ("gestern", True),
        (None, True),
    ],
)
def test_business_is_open_since_where_its_time_says_so_or_says_nothing(value: Any, opened: bool) -> None:
    at = datetime(2026, 11, 25, 12, tzinfo=UTC)
    deal = Record(RecordKey("deal", "1"), {"id": "1", "stage": "new", "m": value})
    assert opened_since(deal, MAPPING, at) is opened
    won = Record(RecordKey("deal", "1"), {"id": "1", "stage": "won", "m": value})
    assert not opened_since(won, MAPPING, at)
    assert moment("2026-11-25T13:00:00+01:00", MAPPING.objects["deal"], "m") == at


def test_a_receipt_names_what_changed_and_never_a_value() -> None:
    secret = "Zanzibar"
    row = Record(RecordKey("contact", "1"), {"id": "1", "name": secret, "mail": secret, "gone": None, "v": 3}, "3")
    child = Record(RecordKey("note", "9"), {"id": "9", "contact_id": "1", "body": secret})

    def said(action: Any, *effects: Effect) -> dict[str, Any]:
        unit = Unit("u", (Work(0, "contact", "1", action),), effects)
        text = changes_of([unit], transactional=True)[0]
        assert secret not in text
        found: dict[str, Any] = json.loads(text)
        assert found.pop("tx")
        return found

    assert said("hard_delete", Effect(0, "item", "delete", row)) == {"op": "delete", "removed": ["id", "mail", "name", "v"]}
    changes = {"mail": None, "name": "anon-1", "v": 4}
    assert said("anonymise", Effect(0, "item", "update", row, changes)) == {
        "op": "update",
        "removed": ["mail"],
        "replaced": ["name", "v"],
        "kept": ["id"],
    }
    moved = said("merge_into", Effect(0, "child", "update", child, {"contact_id": "2"}), Effect(0, "item", "bin", row))
    assert moved == {"moved": {"note.contact_id": 1}, "op": "bin", "kept": "row"}
    assert said("merge_into", Effect(0, "survivor", "update", row, {"mail": secret}))["survivor"] == ["mail"]
    assert said("restore", Effect(0, "item", "insert", row)) == {"op": "insert", "written": ["id", "mail", "name", "v"]}


def test_scopes_mean_what_they_say() -> None:
    line = {"seq": 4, "object": "contact", "id": "7", "at": "2026-11-25T12:00:00+00:00"}
    at = datetime(2026, 11, 25, 12, tzinfo=UTC)
    for scope, meant in (
        (Scope(), True),
        (Scope(ids=frozenset({"7"})), True),
        (Scope(ids=frozenset({"contact/7"})), True),
        (Scope(ids=frozenset({"deal/7"})), False),
        (Scope(ids=frozenset({"deal/7"}), seqs=frozenset({4})), True),
        (Scope(objects=frozenset({"deal"})), False),
        (Scope(since=at, until=at + timedelta(seconds=1)), True),
        (Scope(until=at), False),
        (Scope(since=at + timedelta(seconds=1)), False),
    ):
        assert scope.means(line) is meant, scope


def test_a_streamed_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with pytest.raises(RuntimeError), StreamedFile(path) as file:
        file.write(b"half\n")
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    with StreamedFile(path) as file:
        file.write(b"one\n")
        file.write(b"two\n")
    assert list(lines_of(path, limit=8)) == [b"one", b"two"] and file.size == 8
    with pytest.raises(ExecutionError):
        list(lines_of(path, limit=7))
    path.write_bytes(b"one\ntw")
    with pytest.raises(ExecutionError):
        list(lines_of(path, limit=8))
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(ExecutionError):
        list(lines_of(tmp_path / "link", limit=8))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ExecutionError):
        list(lines_of(tmp_path / "pipe", limit=8))


def test_a_crash_of_the_process_writes_no_core(tmp_path: Path) -> None:
    import resource
    import signal

    pid = os.fork()
    if pid == 0:
        os.chdir(tmp_path)
        leave_no_dumps()
        quiet = resource.getrlimit(resource.RLIMIT_CORE)[0] == 0
        os.kill(os.getpid(), signal.SIGABRT if quiet else signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGABRT and not os.WCOREDUMP(status)
    assert not list(tmp_path.iterdir())


def test_finding_the_next_batch_costs_the_same_however_much_is_done(tmp_path: Path) -> None:
    """Left to itself the database would walk past every finished item: the square of a million."""
    from steward.executor.journal import Journal, connect

    journal = Journal(connect(tmp_path / "journal.sqlite"))
    works = [Work(n, "contact", str(n), "soft_delete") for n in range(20_000)]
    journal.receive("M", "d" * 64, works, kind="deletion", at="now", retain_days=1)

    def steps() -> int:
        seen = [0]

        def count() -> int:
            seen[0] += 1
            return 0

        journal.db.set_progress_handler(count, 50)
        assert len(journal.works("M", (State.PENDING,), 20)) == 20
        journal.doubt_intents("M")
        journal.db.set_progress_handler(None, 0)
        return seen[0]

    early = steps()
    with journal.commit():
        journal.db.execute("UPDATE item SET state='done' WHERE seq < 19900")
    assert steps() <= early + 3
    journal.db.close()
