"""What is done in part is said in words, with the steps that were made and the command to run next, until a restore ends with it."""

from __future__ import annotations

import errno
import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from steward.executor.cli import main
from steward.executor.journal import Journal
from steward.executor.outbox import notice_of
from steward.sandbox import build_crm
from tests.integration.test_executor_sql import childless, live
from tests.support.executor import World
from tests.support.signing import signer


@pytest.fixture
def world(tmp_path: Path) -> World:
    build_crm(f"sqlite:///{tmp_path / 'crm.sqlite'}", customers=20, seed=5)
    return World(tmp_path, f"sqlite:///{tmp_path / 'crm.sqlite'}", batch=5)


def _status(world: World, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["status", "--home", str(world.home), *words]) == 0
    return capsys.readouterr().out


def test_status_says_what_was_made_and_what_to_run_until_a_restore_ends_with_it(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    before = world.rows()
    loser, survivor, other = live(world, "contact")[:3]
    manifest = world.manifest({loser: ("merge_into", survivor.id, {"email": loser.id}), other: "delete"})
    with world.executor() as executor:
        done = executor.apply(manifest)
        made = [f"{loser} deleted_at", f"{survivor} email", *(f"note/{n} contact_id" for n in range(1, 5))]
        with executor.journal.commit():
            executor.journal.db.execute(
                "UPDATE item SET state='partly', code='partly', did=? WHERE manifest=? AND id=?",
                (json.dumps({"made": made}), manifest.name, loser.id),
            )
            seq = executor.journal.partly(manifest.name)[0][0]
    text = " ".join(_status(world, capsys).split())
    assert "Done in part: 1 of the records" in text and "done in part: 1" in text
    assert f"{survivor} email" in text and "2 more" in text
    command = text.partition("Next: ")[2]
    assert shlex.split(command)[:3] == ["steward-executor", "restore", str(done.receipt)] and f"--seq {seq} " in command
    entry = json.loads(_status(world, capsys, "--json"))["manifests"][0]
    assert entry["partly_open"] == 1 and entry["partly"][0] == {
        "seq": seq, "of_seq": seq, "record": str(loser), "made": made,
    }  # fmt: skip

    with world.executor() as executor:  # a person signs the restore of that number; the rest of the receipt stays as it is
        back = executor.restore(done.receipt, signer("bob"), identities=[world.identity], seqs=[seq])
    assert back.counts == {"done": 1}
    assert "Done in part" not in _status(world, capsys)
    now = world.rows()
    assert (
        now["contact"][loser.id] == before["contact"][loser.id]
        and now["contact"][survivor.id] == before["contact"][survivor.id]
    )


@pytest.mark.parametrize("where", ["backup", "journal"])
def test_a_full_disk_is_said_in_words_and_the_same_command_goes_on(
    where: str, world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = world.manifest(dict.fromkeys(childless(world, "activity")[:4], "delete"))
    with monkeypatch.context() as full:
        if where == "backup":

            def fails(fd: int) -> None:
                raise OSError(errno.ENOSPC, "injected")

            full.setattr("os.fdatasync", fails)
        else:
            whole = Journal.intend

            def tight(self: Journal, *words: Any) -> None:
                pages = self.db.execute("PRAGMA page_count").fetchone()[0]
                self.db.execute(f"PRAGMA max_page_count={pages}")
                self.db.execute("CREATE TABLE more(x)")
                self.db.execute("INSERT INTO more VALUES (zeroblob(4000000))")
                whole(self, *words)

            full.setattr(Journal, "intend", tight)
        assert main(["apply", str(manifest), "--home", str(world.home)]) == 10
    assert "The disk refuses" in capsys.readouterr().err
    assert main(["apply", str(manifest), "--home", str(world.home)]) == 0
    with world.executor() as executor:
        assert executor.journal.counts(manifest.name) == {"done": 4}


def test_a_notice_says_that_something_was_done_in_part() -> None:
    text = notice_of("finished", "0A", {"done": 3, "partly": 1}, mark="x").text
    assert "done in part: 1" in text and "steward-executor status" in text
    assert "status" not in notice_of("finished", "0A", {"done": 4}, mark="x").text


def test_a_restore_that_ends_in_part_says_to_run_it_once_more(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    key = childless(world, "activity")[2]
    manifest = world.manifest({key: "delete"})
    with world.executor() as executor:
        done = executor.apply(manifest)
        back = executor.restore(done.receipt, signer("bob"), identities=[world.identity])
        with executor.journal.commit():
            executor.journal.db.execute("UPDATE item SET state='partly', did='{}' WHERE manifest=?", (back.manifest,))
    text = " ".join(_status(world, capsys).split())
    assert "run the restore once more" in text and str(done.receipt) in text
    with world.executor() as executor:
        executor.restore(done.receipt, signer("bob"), identities=[world.identity])
    assert "once more" not in _status(world, capsys)
