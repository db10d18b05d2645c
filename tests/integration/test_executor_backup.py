"""Backups that end: expiry with a receipt, one record erased, samples; and where the audit log's checkpoints go."""

from __future__ import annotations

import email
import hashlib
import hmac
import http.server
import json
import re
import shutil
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from steward.errors import BackupUnreadableError, JournalCorruptError, NotFoundError, UsageError
from steward.executor.documents import SHRED_TYPE, ShredPredicate
from steward.executor.erasure import erase
from steward.executor.expiry import expire
from steward.executor.home import Config, open_home, write_config
from steward.manifest.format import FieldChange
from steward.records import RecordKey
from steward.sandbox import build_crm
from steward.signing import verify_statement
from tests.integration.test_executor_sql import childless, live, run_sql
from tests.support.executor import World
from tests.support.signing import signer


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("crm") / "crm.sqlite"
    build_crm(f"sqlite:///{file}", customers=60, seed=5)
    return file


@pytest.fixture
def world(crm: Path, tmp_path: Path) -> World:
    shutil.copy(crm, tmp_path / "crm.sqlite")
    return World(tmp_path, f"sqlite:///{tmp_path / 'crm.sqlite'}", batch=5)


def shred_said(world: World, path: Path) -> ShredPredicate:
    with world.executor() as executor:
        return verify_statement(
            path.read_bytes(), trust=executor.trust(), now=executor.now(), predicate_type=SHRED_TYPE, predicate=ShredPredicate,
            by="executors", tenant=world.mapping.tenant,
        ).predicate  # fmt: skip


def test_expiry_shreds_by_the_signed_time_and_says_so_in_a_signed_receipt(world: World) -> None:
    chosen = childless(world, "activity")[:20]
    manifests = [world.manifest(dict.fromkeys(part, "delete")) for part in (chosen[:10], chosen[10:])]
    with world.executor() as executor:
        done = [executor.apply(m) for m in manifests]
        with executor.journal.commit():
            executor.journal.db.execute(
                "UPDATE manifest SET finished = '2020-01-01T00:00:00+00:00' WHERE id = ?", (manifests[0].name,)
            )
        found = expire(executor)
        assert found["expired"] == [manifests[0].name] and found["kept"] == 1
        with pytest.raises(BackupUnreadableError, match="expired"):
            executor.restore(done[0].receipt, signer("bob"), identities=[world.identity])
        assert executor.restore(done[1].receipt, signer("bob"), identities=[world.identity]).counts == {"done": 10}
        executor.audit_verify()
    said = shred_said(world, Path(found["receipt"]))
    assert (said.why, said.manifest_ids, said.keys) == ("expired", (manifests[0].name,), found["keys"])


def test_one_record_is_erased_from_all_backups_and_the_rest_comes_back(world: World) -> None:
    before = world.rows()
    loser, survivor, gone = live(world, "contact")[:3]
    others = childless(world, "activity")[:20]
    first = world.manifest({loser: ("merge_into", survivor.id), **dict.fromkeys(others[:12], "delete")})
    with world.executor() as executor:
        one = executor.apply(first)
        second = world.manifest({**dict.fromkeys(others[12:], "delete"), gone: "anonymise"}, anonymise=ANONYMISE)
        executor.apply(second)
        secret = others[3]
        done = erase(executor, secret, identities=[world.identity])
        assert done.manifests == (first.name,) and done.rows == 1 and done.keys >= 1
        with pytest.raises(NotFoundError):
            erase(executor, secret, identities=[world.identity])
        checked = executor.backup_verify([world.identity])
        assert checked["rows"] > 20
        back = executor.restore(one.receipt, signer("bob"), identities=[world.identity])
        assert back.counts == {"done": 12, "failed": 1}
        executor.audit_verify()
    said = shred_said(world, done.receipt)
    assert (said.why, said.record, said.kept) == ("erased", str(secret), done.rewritten)
    now = world.rows()
    assert now["activity"][secret.id] != before["activity"][secret.id]
    assert all(now["activity"][k.id] == before["activity"][k.id] for k in others[:12] if k != secret)
    assert now["contact"][loser.id] == before["contact"][loser.id]


ANONYMISE = {"contact": (FieldChange(field="email", method="null"),)}


def test_an_erasure_that_was_killed_is_finished_by_the_next_call(world: World) -> None:
    chosen = childless(world, "activity")[:6]
    manifest = world.manifest(dict.fromkeys(chosen, "delete"))

    def stop(name: str) -> None:
        if name == "erase.noted":
            raise KeyboardInterrupt

    with world.executor() as executor:
        receipt = executor.apply(manifest).receipt
    keys = set((world.home / "backup" / "keys").iterdir())
    with world.executor(hook=stop) as executor, pytest.raises(KeyboardInterrupt):
        erase(executor, chosen[0], identities=[world.identity])
    assert keys <= set((world.home / "backup" / "keys").iterdir()), "noted, and not yet removed"
    with world.executor() as executor:
        expire(executor)
        assert not keys & set((world.home / "backup" / "keys").iterdir())
        back = executor.restore(receipt, signer("bob"), identities=[world.identity])
    assert back.counts == {"done": 5, "failed": 1}


def test_a_running_manifest_and_a_wrong_identity_are_not_erased_from(world: World, tmp_path: Path) -> None:
    import pyrage

    chosen = childless(world, "activity")[:10]
    manifest = world.manifest(dict.fromkeys(chosen, "delete"))
    stranger = tmp_path / "stranger.agekey"
    stranger.write_text(str(pyrage.x25519.Identity.generate()))

    def stop(name: str) -> None:
        if name == "outcome":
            raise KeyboardInterrupt

    with world.executor(hook=stop) as executor, pytest.raises(KeyboardInterrupt):
        executor.apply(manifest)
    with world.executor() as executor:
        with pytest.raises(UsageError):
            erase(executor, chosen[0], identities=[world.identity])
        executor.apply(manifest)
        files = sorted(p.name for p in (world.home / "backup").rglob("*"))
        with pytest.raises(BackupUnreadableError):
            erase(executor, chosen[0], identities=[stranger])
        assert sorted(p.name for p in (world.home / "backup").rglob("*")) == files


def test_a_sample_finds_a_damaged_frame_in_its_turn(world: World) -> None:
    manifest = world.manifest(dict.fromkeys(childless(world, "activity")[:60], "delete"))
    with world.executor() as executor:
        executor.apply(manifest)
        part = executor.backup_verify([world.identity], percent=30)
        assert 0 < part["checked"] < part["frames"]
        for segment in (world.home / "backup").glob("*.frames"):
            raw = bytearray(segment.read_bytes())
            raw[-1] ^= 1
            segment.write_bytes(raw)
        with pytest.raises(BackupUnreadableError):
            executor.backup_verify([world.identity])


# Checkpoints ------------------------------------------------------------------------------------------------------------


class _Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server: Any = self.server
        answer = server.answers.pop(0) if server.answers else 200
        if answer == 200:
            server.got.append(body)
            server.headers.append(dict(self.headers))
        self.send_response(answer)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


class _Mailbox(socketserver.StreamRequestHandler):
    """As much SMTP as it takes to receive one message."""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            word = line.split()[0].upper() if line.split() else b""
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                parts = []
                while (line := self.rfile.readline()) != b".\r\n":
                    parts.append(line)
                self.server.got.append(b"".join(parts))  # type: ignore[attr-defined]
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
            if word == b"QUIT":
                return


def _serve(server: Any) -> Any:
    server.got, server.answers, server.headers = [], [], []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture
def webhook() -> Iterator[Any]:
    server = _serve(http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hook))
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def mailbox() -> Iterator[Any]:
    server = _serve(socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Mailbox))
    yield server
    server.shutdown()
    server.server_close()


def configure(world: World, **words: Any) -> None:
    import msgspec

    config: Config = open_home(world.home).config
    (world.home / "config.toml").chmod(0o600)
    write_config(world.home, msgspec.structs.replace(config, **words))


def _git(*words: str) -> None:
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *words], check=True, capture_output=True)


def test_checkpoints_go_to_folder_webhook_mail_and_git_and_show_a_rewritten_log(
    world: World, tmp_path: Path, webhook: Any, mailbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"):
        monkeypatch.setenv(name, "steward")
    for name in ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(name, "steward@example.org")
    remote, clone, folder = tmp_path / "remote.git", tmp_path / "clone", tmp_path / "far"
    folder.mkdir()
    _git("init", "-q", "--bare", "-b", "main", str(remote))
    _git("clone", "-q", str(remote), str(clone))
    _git("-C", str(clone), "checkout", "-q", "-b", "main")
    _git("-C", str(clone), "commit", "-q", "--allow-empty", "-m", "first")
    _git("-C", str(clone), "push", "-q", "-u", "origin", "main")
    places = (
        str(folder),
        f"http://127.0.0.1:{webhook.server_address[1]}/steward?token=secret-token",
        f"mailto:auditor@example.org?server=127.0.0.1:{mailbox.server_address[1]}&from=steward@example.org",
        f"git:{clone}",
    )
    configure(world, checkpoints=places)
    webhook.answers = [503]  # the first time nobody answers; it waits and comes later
    with world.executor() as executor:
        executor.apply(world.manifest(dict.fromkeys(childless(world, "activity")[:12], "delete")))
        kept = [envelope for _, envelope in executor.journal.checkpoints()]
        assert set(executor.status()["checkpoints_waiting"].values()) == {0}
        assert "secret-token" not in json.dumps(executor.status())
    assert len(kept) >= 4
    assert (folder / "checkpoints.ndjson").read_text().splitlines() == kept
    assert b"".join(webhook.got).decode().splitlines() == kept
    mails = [email.message_from_bytes(raw) for raw in mailbox.got]
    attached = [p for m in mails for p in m.walk() if p.get_filename() == "checkpoints.ndjson"]
    assert b"".join(p.get_payload(decode=True) for p in attached).decode().splitlines() == kept  # type: ignore[misc, arg-type]
    copy = tmp_path / "copy"
    _git("clone", "-q", str(remote), str(copy))
    assert (copy / "checkpoints.ndjson").read_text().splitlines() == kept

    with world.executor() as executor:  # the machine is taken over: log cut, its own copies cut with it
        with executor.journal.commit():
            executor.journal.db.execute("DELETE FROM event WHERE n >= 3")
            executor.journal.db.execute("DELETE FROM checkpoint WHERE n > 3")
        (folder / "checkpoints.ndjson").unlink()
        (clone / "checkpoints.ndjson").unlink()
        assert executor.audit_verify().external == 0, "the log alone cannot know"
        with pytest.raises(JournalCorruptError):
            executor.audit_verify([copy / "checkpoints.ndjson"])


def test_a_place_that_never_answers_stops_nothing_and_waits(world: World, webhook: Any) -> None:
    webhook.answers = [500] * 50
    configure(world, checkpoints=(f"http://127.0.0.1:{webhook.server_address[1]}/x",))
    with world.executor() as executor:
        assert executor.apply(world.manifest(dict.fromkeys(childless(world, "activity")[:7], "delete"))).counts == {"done": 7}
        waiting = executor.status()["checkpoints_waiting"]
        assert next(iter(waiting.values())) == len(executor.journal.checkpoints())


@pytest.mark.parametrize("place", ["http://example.org/x", "mailto:x", "mailto:a@b?server=h", "git:relative", "https://"])
def test_a_place_that_could_never_be_reached_or_would_tell_in_the_clear_is_refused(world: World, place: str) -> None:
    configure(world, checkpoints=(place,))
    with pytest.raises(UsageError, match="pushed"):
        world.executor()


# Ids --------------------------------------------------------------------------------------------------------------------


def test_merges_publish_which_id_became_which_and_undoing_takes_it_back(world: World, webhook: Any) -> None:
    secret = world.home / "webhook.secret"
    secret.write_text("not a secret: test\n")
    secret.chmod(0o400)
    configure(world, id_map_webhook=f"http://127.0.0.1:{webhook.server_address[1]}/ids")
    webhook.answers = [500]
    contacts = live(world, "contact")
    manifest = world.manifest({contacts[0]: ("merge_into", contacts[2].id), contacts[1]: ("merge_into", contacts[2].id)})
    with world.executor() as executor:
        done = executor.apply(manifest)
        assert not webhook.got, "refused once: it waits"
        back = executor.restore(done.receipt, signer("bob"), identities=[world.identity])
    merged = {(contacts[0].id, contacts[2].id, "merged"), (contacts[1].id, contacts[2].id, "merged")}
    unmerged = {(k.id, k.id, "unmerged") for k in contacts[:2]}
    for name, wanted in ((done.manifest, merged), (back.manifest, unmerged)):
        lines = [json.loads(x) for x in (world.home / "receipts" / f"{name}.idmap.ndjson").read_bytes().splitlines()]
        assert {(x["old"], x["new"], x["why"]) for x in lines} == wanted
    told = [json.loads(raw) for raw in webhook.got]
    assert {(x["old"], x["new"], x["why"]) for t in told for x in map(json.loads, t["lines"])} == merged | unmerged
    assert len({t["id"] for t in told}) == len(told)
    engine_rows = _rows(world, "SELECT old_id, new_id, why FROM steward_id_map")
    assert set(engine_rows) == merged | unmerged
    for raw, headers in zip(webhook.got, webhook.headers, strict=True):
        seconds, said = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", headers["X-Steward-Signature"]).groups()  # type: ignore[union-attr]
        assert said == hmac.new(b"not a secret: test", seconds.encode() + b"." + raw, hashlib.sha256).hexdigest()
        assert headers["X-Steward-Id"] == json.loads(raw)["id"]


def _rows(world: World, statement: str) -> list[tuple[Any, ...]]:
    import sqlite3

    with sqlite3.connect(world.folder / "crm.sqlite") as db:
        return list(db.execute(statement))


def test_an_edit_between_two_manifests_is_in_the_second_backup_alone(world: World) -> None:
    """A record that was restored and taken again comes back as it was the second time."""
    key: RecordKey = childless(world, "activity")[0]
    with world.executor() as executor:
        first = executor.apply(world.manifest({key: "delete"}))
        executor.restore(first.receipt, signer("bob"), identities=[world.identity])
        run_sql(world, "UPDATE activity SET subject = 'second', row_version = row_version + 1 WHERE id = :id", id=key.id)
        before = world.rows()
        second = executor.apply(world.manifest({key: "delete"}))
        executor.restore(second.receipt, signer("bob"), identities=[world.identity])
    assert world.rows() == before


def test_a_checkpoint_that_a_full_disk_cut_off_spoils_neither_the_file_nor_the_check(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "far"
    folder.mkdir()
    configure(world, checkpoints=(str(folder),))
    chosen = childless(world, "activity")[:4]
    with world.executor() as executor:
        executor.apply(world.manifest(dict.fromkeys(chosen[:2], "delete")))
        file = folder / "checkpoints.ndjson"
        whole = file.read_bytes()
        file.write_bytes(whole + whole.splitlines()[-1][:300])
        executor.apply(world.manifest(dict.fromkeys(chosen[2:], "delete")))
        kept = [envelope.encode() for _, envelope in executor.journal.checkpoints()]
        lines = file.read_bytes().splitlines()
        assert [line for line in lines if line in kept] == kept and len(lines) == len(kept) + 1
        assert executor.audit_verify().external == len(kept)
