"""Owners of records are told by a real mail server before anything goes, and object on a real page; what they hold stays."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from steward.errors import ExecutionError, UsageError
from steward.executor.cli import main
from steward.executor.notices import Mine, Notices, read_settings
from steward.executor.objections import page, serve
from steward.records import RecordKey
from steward.sandbox import build_crm
from tests.support.executor import World
from tests.support.post import MailServer, mail_server


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("crm") / "crm.sqlite"
    build_crm(f"sqlite:///{file}", customers=60, seed=5)
    return file


@pytest.fixture(scope="module")
def mail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    with mail_server(tmp_path_factory.mktemp("mail")) as server:
        yield server


@pytest.fixture
def world(crm: Path, tmp_path: Path, mail: MailServer) -> World:
    """A home that tells owners, at a page on this machine."""
    mail.messages.clear()
    mail.refuse.clear()
    mail.down = False
    shutil.copy(crm, tmp_path / "crm.sqlite")
    made = World(tmp_path, f"sqlite:///{tmp_path / 'crm.sqlite'}", batch=2)
    (made.home / "mail.password").write_text("mail secret")
    (made.home / "mail.password").chmod(0o400)
    (made.home / "post.toml").write_text(
        f'[mail]\nhost = "localhost"\nport = {mail.port}\nfrom = "steward@example.org"\nto = ["ops@example.org"]\n'
        f'user = "steward"\npassword_file = "mail.password"\nca_file = "{mail.ca}"\n'
    )
    path = made.home / "config.toml"
    path.chmod(0o600)
    path.write_text(re.sub(r"(?m)^post = .*$", 'post = "post.toml"', path.read_text()))
    (made.home / "notices.toml").write_text('link = "http://127.0.0.1:1"\nhours = 0\n')
    return made


def owned(world: World) -> tuple[Path, dict[str, list[RecordKey]]]:
    """Deals of three owners, a manifest that gives them to somebody else, and who owns which."""
    by_owner: dict[str, list[RecordKey]] = {}
    for key, record in sorted(world.records().items()):
        if key.object == "deal" and not record.deleted and record.fields["owner_id"] is not None:
            by_owner.setdefault(str(record.fields["owner_id"]), []).append(key)
    users = sorted(k.id for k, r in world.records().items() if k.object == "user" and not r.deleted)
    chosen = {owner: keys[:3] for owner, keys in sorted(by_owner.items())[:3]}
    heir = next(u for u in users if u not in chosen)
    folder = world.manifest({key: ("reassign", heir) for keys in chosen.values() for key in keys})
    return folder, chosen


def links(mail: MailServer) -> dict[str, str]:
    """Recipient → secret part of the link."""
    found = {}
    for people, message in mail.messages:
        match = re.search(r"/o/([a-z2-7]{32})\b", message.get_content())
        if match:
            found[people[0]] = match[1]
    return found


def tell(world: World, folder: Path, capsys: pytest.CaptureFixture[str], code: int = 0) -> Any:
    import json

    assert main(["notify", str(folder), "--home", str(world.home), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_owners_are_told_how_many_and_an_objection_keeps_theirs(
    world: World, mail: MailServer, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, chosen = owned(world)
    with pytest.raises(ExecutionError, match="told"), world.executor() as executor:
        executor.apply(folder)
    said = tell(world, folder, capsys)
    assert said["owners"] == said["sent"] == 3 and said["waiting"] == 0 and said["records_without_owner"] == 0
    records = world.records()
    address = {owner: str(records[RecordKey("user", owner)].fields["email"]) for owner in chosen}
    told = {p[0]: m for p, m in mail.messages if "/o/" in m.get_content()}
    assert set(told) == set(address.values())
    for owner, keys in chosen.items():
        text = told[address[owner]].get_content()
        assert f"deal/reassign: {len(keys)}" in text
        assert not any(k.id in text for keys in chosen.values() for k in keys)
    assert tell(world, folder, capsys)["sent"] == 3 and len(links(mail)) == 3 and len(told) == 3, "nobody is told twice"
    assert sum("/o/" in m.get_content() for _p, m in mail.messages) == 3
    first, *rest = chosen
    notices = Notices(world.home)
    with serve(notices, "127.0.0.1", 0, lambda: datetime.now(UTC)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        base = f"http://127.0.0.1:{server.server_address[1]}"
        link = f"{base}/o/{links(mail)[address[first]]}"
        seen = httpx.get(link, trust_env=False)
        assert (
            seen.status_code == 200
            and "script" not in seen.text
            and "default-src 'none'" in seen.headers["content-security-policy"]
        )
        assert all(f"deal/{k.id}" in seen.text for k in chosen[first])
        assert not any(f"deal/{k.id}" in seen.text for owner in rest for k in chosen[owner])
        assert notices.vetoed(folder.name) == frozenset(), "opening the page objects to nothing"
        assert httpx.post(link, trust_env=False).status_code == 200
        assert (
            "You have objected" in httpx.get(link, trust_env=False).text
            and "<form" not in httpx.get(link, trust_env=False).text
        )
        for bad in (f"{base}/", f"{base}/o/{'a' * 32}", f"{base}/o/../o/x", link + "x", f"{base}/o/%00"):
            assert httpx.get(bad, trust_env=False).status_code == 404 and httpx.post(bad, trust_env=False).status_code == 404
        assert httpx.post(link, content=b"x" * 5_000, trust_env=False).status_code == 413
        server.shutdown()
        thread.join()
    assert len(notices.vetoed(folder.name)) == len(chosen[first])
    with world.executor() as executor:
        plan, _said, _path = executor.plan(folder)
        assert plan.verdicts["vetoed"] == len(chosen[first])
        done = executor.apply(folder)
    assert done.counts["veto"] == len(chosen[first]) and done.counts["done"] == sum(len(chosen[o]) for o in rest)
    after = world.records()
    assert all(after[k] == records[k] for k in chosen[first])
    assert all(after[k].fields["owner_id"] != records[k].fields["owner_id"] for o in rest for k in chosen[o])


def test_an_objection_in_the_middle_of_the_run_counts_until_the_last_batch(
    world: World, mail: MailServer, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, chosen = owned(world)
    tell(world, folder, capsys)
    before, notices = world.records(), Notices(world.home)
    left = set(links(mail).values())

    def progress(_n: int) -> None:
        while left:
            assert notices.object(left.pop(), datetime.now(UTC))

    with world.executor() as executor:
        counts = executor.apply(folder, progress=progress).counts
    total = sum(map(len, chosen.values()))
    assert 0 < counts["done"] < total and counts["done"] + counts["veto"] == total
    changed = sum(world.records()[k] != before[k] for keys in chosen.values() for k in keys)
    assert changed == counts["done"]


def test_a_mail_that_was_not_taken_holds_up_the_run_until_it_is(
    world: World, mail: MailServer, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, chosen = owned(world)
    mail.down = True
    assert tell(world, folder, capsys)["waiting"] == 3
    with pytest.raises(ExecutionError, match="3 owners"), world.executor() as executor:
        executor.apply(folder)
    mail.down = False
    settings, notices = read_settings(world.home), Notices(world.home)
    assert settings is not None
    from steward.executor.notices import mailbox_of
    from steward.post_settings import read_channels

    mailbox = mailbox_of(read_channels(world.home / "post.toml"))
    with world.executor() as executor:
        look = executor.look()
        try:
            assert notices.send(folder.name, settings, mailbox, look, datetime.now(UTC)).waiting == 3, "not yet due again"
            assert notices.send(folder.name, settings, mailbox, look, datetime.now(UTC) + timedelta(hours=1)).waiting == 0
        finally:
            look.close()
        later = (world.home / "notices.toml").read_text().replace("hours = 0", "hours = 24")
        (world.home / "notices.toml").write_text(later)
        with pytest.raises(ExecutionError, match="less than 24 hours"):
            executor.apply(folder)
    assert sum(map(len, chosen.values())) > 3


def test_an_owner_without_an_address_is_counted_and_no_header_is_added(
    world: World, mail: MailServer, capsys: pytest.CaptureFixture[str]
) -> None:
    import sqlite3

    folder, chosen = owned(world)
    first, second, _third = chosen
    with sqlite3.connect(world.folder / "crm.sqlite") as db:
        db.execute("UPDATE user SET email=? WHERE id=?", ("x@example.org\r\nBcc: y@example.org", first))
        db.execute("UPDATE user SET email='' WHERE id=?", (second,))
    said = tell(world, folder, capsys)
    assert said["unreachable"] == 2 and said["sent"] == 1 and said["waiting"] == 0
    assert len(links(mail)) == 1


def test_nothing_about_people_is_kept(world: World, mail: MailServer, capsys: pytest.CaptureFixture[str]) -> None:
    folder, chosen = owned(world)
    tell(world, folder, capsys)
    records = world.records()
    state = b"".join(
        p.read_bytes() for p in world.home.rglob("*") if p.is_file() and p.name.startswith(("notices.sqlite", "journal"))
    )
    for owner in chosen:
        assert str(records[RecordKey("user", owner)].fields["email"]).encode() not in state
    for link in links(mail).values():
        assert link.encode() not in state, "links are kept as digests"


@pytest.mark.parametrize(
    "text", ["link = 'ftp://x'", "link = 'https://x/?a'", "hours = 1", "link = 'https://x'\nsecret = 'y'", "link"]
)
def test_settings_that_are_wrong_are_not_taken_for_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "notices.toml").write_text(text)
    with pytest.raises(UsageError):
        read_settings(tmp_path)
    assert read_settings(tmp_path / "elsewhere") is None


def test_what_the_crm_says_is_escaped_on_the_page() -> None:
    hostile = "<script>alert(1)</script>'\""
    text = page(Mine("m", datetime(2026, 11, 25, tzinfo=UTC), {hostile: 2}, (("deal", hostile),), False))
    assert "<script" not in text and "&lt;script&gt;" in text and "and 1 more" in text
