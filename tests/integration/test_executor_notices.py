"""Notices and hours of the real executor: begun, stopped, finished, vetoed; sent to real servers, again until they are taken."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from steward.errors import FrozenError, PartialExecutionError, UsageError
from steward.executor import logs
from steward.executor.outbox import due
from steward.sandbox import build_crm
from tests.support.executor import World
from tests.support.post import Hook, web_server


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("crm") / "crm.sqlite"
    build_crm(f"sqlite:///{file}", customers=60, seed=5)
    return file


@pytest.fixture
def world(crm: Path, tmp_path: Path) -> World:
    shutil.copy(crm, tmp_path / "crm.sqlite")
    return World(tmp_path, f"sqlite:///{tmp_path / 'crm.sqlite'}")


@pytest.fixture
def hooks() -> Iterator[tuple[Hook, Hook]]:
    with web_server() as one, web_server() as two:
        yield one, two


def configure(world: World, name: str, value: str) -> None:
    """Set a word of the home's configuration."""
    path = world.home / "config.toml"
    path.chmod(0o600)
    text, found = re.subn(rf"(?m)^{name} = .*$", lambda _m: f"{name} = {value}", path.read_text())
    assert found == 1
    path.write_text(text)


def post(world: World, *hooks: Hook) -> None:
    """Name the servers in the home."""
    (world.home / "post.toml").write_text(
        "".join(f'[[webhook]]\nurl = "http://127.0.0.1:{hook.port}/{n}"\n' for n, hook in enumerate(hooks))
    )
    configure(world, "post", '"post.toml"')


def tickets(world: World, n: int = 10) -> Path:
    keys = sorted(k for k, r in world.records().items() if k.object == "ticket" and not r.deleted)[:n]
    return world.manifest(dict.fromkeys(keys, "delete"))


def test_beginning_and_end_are_told_with_counts_and_no_record(world: World, hooks: tuple[Hook, Hook]) -> None:
    post(world, hooks[0])
    folder = tickets(world)
    with world.executor() as executor:
        executor.apply(folder)
    said = [document for _path, _headers, document, _raw in hooks[0].calls]
    assert [d["kind"] for d in said] == ["received", "finished"]
    assert said[1]["counts"] == {"done": 10} and all(d["manifest"] == folder.name for d in said)
    raw = b"".join(raw for *_rest, raw in hooks[0].calls).decode()
    for record in world.records():
        if record.object == "ticket":
            assert f'"{record.id}"' not in raw and f"ticket/{record.id}" not in raw


def test_what_was_not_taken_is_sent_again_under_the_same_id_and_holds_up_nothing(
    world: World, hooks: tuple[Hook, Hook]
) -> None:
    post(world, *hooks)
    hooks[0].answers = [(500, b"")] * 50
    folder = tickets(world)
    with world.executor() as executor:
        executor.apply(folder)
    assert [c[2]["kind"] for c in hooks[1].calls] == ["received", "finished"]
    failed = [c[2]["id"] for c in hooks[0].calls]
    assert failed, "it was tried"
    hooks[0].answers = []
    hooks[0].calls.clear()
    with world.executor() as executor:
        later = datetime.now(UTC) + timedelta(hours=7)
        assert executor.outbox.deliver(later) == 0
        assert executor.outbox.deliver(later) == 0
    again = [c[2]["id"] for c in hooks[0].calls]
    assert len(again) == len(set(again)) == 2 and set(failed) <= set(again)


def test_a_stop_is_told_by_its_kind(world: World, hooks: tuple[Hook, Hook]) -> None:
    post(world, hooks[0])
    folder = tickets(world)
    (world.home / "FREEZE").touch()
    with pytest.raises(FrozenError), world.executor() as executor:
        executor.apply(folder)
    assert [c[2].get("why", "") for c in hooks[0].calls][-1] == "FrozenError"
    (world.home / "FREEZE").unlink()
    with world.executor() as executor:
        assert executor.apply(folder).counts == {"done": 10}
    assert [c[2]["kind"] for c in hooks[0].calls] == ["received", "stopped", "resumed", "finished"]


def test_a_line_for_each_event_of_fixed_words_where_lines_are_asked_for(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tickets(world)
    (world.home / "FREEZE").touch()
    with pytest.raises(FrozenError), world.executor() as executor:
        executor.apply(folder)
    assert capsys.readouterr().err == "", "nobody asked"
    monkeypatch.setenv("STEWARD_LOG", "json")
    with pytest.raises(FrozenError), world.executor() as executor:
        executor.apply(folder)
    (world.home / "FREEZE").unlink()
    with world.executor() as executor:
        executor.apply(folder)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [
        ("resumed", "info"), ("stopped", "warning"), ("resumed", "info"), ("finished", "info"),
    ]  # fmt: skip
    assert lines[1]["why"] == "FrozenError" and lines[-1]["counts"] == {"done": 10}
    assert all(set(line) <= set(logs.WORDS) and line["manifest"] == folder.name for line in lines)
    logs.write("x", datetime.now(UTC), manifest="m", place={"tenant": "t\n{}", "password": "canary"}, counts={})
    (line,) = capsys.readouterr().err.splitlines()
    assert "canary" not in line and json.loads(line)["tenant"] == "t\n{}"


def test_outside_its_hours_nothing_starts_and_the_next_opening_is_said(world: World) -> None:
    now = datetime.now(UTC)
    day = (now + timedelta(days=3)).strftime("%a")
    configure(world, "hours", f'["{day} 03:00-04:00 UTC"]')
    folder, before = tickets(world), world.rows()
    with pytest.raises(PartialExecutionError, match=r"begin again at .*T03:00") as caught, world.executor() as executor:
        executor.apply(folder)
    assert caught.value.exit_code == 11 and world.rows() == before
    configure(world, "hours", '["Mon-Sun 00:00-24:00 UTC"]')
    with world.executor() as executor:
        assert executor.apply(folder).counts == {"done": 10}


def test_hours_that_are_none_refuse_before_anything_is_sent(world: World) -> None:
    configure(world, "hours", '["at night"]')
    folder, before = tickets(world), world.rows()
    with pytest.raises(UsageError, match="hours"), world.executor() as executor:
        executor.apply(folder)
    assert world.rows() == before


def test_tries_come_after_longer_and_longer_times() -> None:
    at = datetime(2026, 11, 25, 12, tzinfo=UTC)
    waits = []
    for attempts in range(1, 12):
        minutes = 0
        while not due(at, attempts, at + timedelta(minutes=minutes)):
            minutes += 1
        waits.append(minutes)
    assert waits[:5] == [1, 3, 7, 15, 31] and waits == sorted(waits)
    assert all(b - a <= 360 for a, b in itertools.pairwise(waits)), "six hours at most between two tries"
    assert due(at, 0, at)
