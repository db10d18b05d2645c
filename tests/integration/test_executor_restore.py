"""Bringing back by record, object, time and scope; under new ids; typed columns to the last bit; rehearsed in a scratch CRM."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from steward.crm.sql_engine import open_engine
from steward.executor.choosing import Scope
from steward.executor.rehearse import rehearse
from steward.executor.writers.sql import SqlWriter
from steward.manifest.format import FieldChange
from steward.records import RecordKey
from steward.sandbox import build_crm
from tests.integration.test_executor_sql import childless, live, run_sql
from tests.support.executor import World
from tests.support.signing import signer

TYPED = """\
format = "steward-mapping/1"
system = "sql"
tenant = "typed"
environment = "sandbox"
[objects.account]
key = "id"
role = "company"
label = ["name"]
parents = { parent_id = "account" }
on_delete = { parent_id = "detach" }
[objects.person]
key = "id"
role = "person"
label = ["name"]
parents = { account_id = "account" }
on_delete = { account_id = "cascade" }
[objects.remark]
key = "id"
role = "note"
label = ["body"]
parents = { person_id = "person" }
on_delete = { person_id = "cascade" }
"""
_SQLITE = (
    "CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT, parent_id INTEGER REFERENCES account(id) ON DELETE SET NULL)",
    "CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, account_id INTEGER REFERENCES account(id) ON DELETE CASCADE, "
    "shout TEXT GENERATED ALWAYS AS (upper(name)) STORED, pay REAL, raw BLOB, flag BOOLEAN)",
    "CREATE TABLE remark (id INTEGER PRIMARY KEY, body TEXT, person_id INTEGER REFERENCES person(id) ON DELETE CASCADE)",
    "INSERT INTO account VALUES (1, 'Amber', NULL), (2, 'Birch', 1), (3, 'Cedar', 2)",
    "INSERT INTO person (id, name, account_id, pay, raw, flag) VALUES (10, 'Ada', 2, 0.1, x'00ff', 1), (11, 'Ben', 2, NULL, NULL, 0)",
    "INSERT INTO remark VALUES (100, 'one', 10), (101, 'two\u2028lines', 10), (102, NULL, 11)",
)
_POSTGRES = (
    "CREATE TYPE mood AS ENUM ('calm', 'cross')",
    "CREATE TABLE account (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name varchar(40), "
    "parent_id bigint REFERENCES account(id) ON DELETE SET NULL)",
    "CREATE TABLE person (id serial PRIMARY KEY, name text, account_id bigint REFERENCES account(id) ON DELETE CASCADE, "
    "shout text GENERATED ALWAYS AS (upper(name)) STORED, pay numeric(30, 12), seen timestamptz, born date, at time, took interval, "
    "raw bytea, doc jsonb, tags text[], sums numeric[], days date[], mark uuid, flag boolean, feel mood, far double precision, place inet)",
    "CREATE TABLE remark (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), body text, "
    "person_id integer REFERENCES person(id) ON DELETE CASCADE)",
    "INSERT INTO account (name, parent_id) VALUES ('Amber', NULL), ('Birch', 1), ('Cedar', 2)",
    "INSERT INTO person (name, account_id, pay, seen, born, at, took, raw, doc, tags, sums, days, mark, flag, feel, far, place) VALUES "
    "('Ada', 2, 12345678901234567.123456789012, '2026-03-29 01:59:59.999999+00', '0044-03-15', '23:59:59.5', '1 day 02:00', "
    "'\\x00ff', '{\"a\": [1, 2.50, 12345678901234567.123, null, \"\u4e2d\"]}', '{x,\"y z\",NULL}', '{1.50,-0.001,NULL}', '{0044-03-15}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', true, 'cross', 0.1, '10.0.0.1/8'), "
    "('Ben', 2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, false, NULL, NULL, NULL)",
    "INSERT INTO remark (body, person_id) VALUES ('one', 1), ('two\u2028lines', 1), (NULL, 2)",
)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def typed(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """A small CRM whose columns have every type and whose ids the database gives."""
    sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'crm.sqlite'}" if sqlite else request.getfixturevalue("postgres_database")
    engine, _ = open_engine(url, write=True)
    with engine.connect() as connection:
        for statement in _SQLITE if sqlite else _POSTGRES:
            connection.execute(text(statement.replace(":", "\\:")))
        if not sqlite:
            connection.commit()
    engine.dispose()
    return World(tmp_path, url, TYPED)


@pytest.fixture
def world(tmp_path: Path) -> World:
    build_crm(f"sqlite:///{tmp_path / 'crm.sqlite'}", customers=60, seed=5)
    return World(tmp_path, f"sqlite:///{tmp_path / 'crm.sqlite'}")


def rows(world: World) -> dict[str, list[tuple[Any, ...]]]:
    """Every table as the database itself prints it: nothing of ours in between."""
    engine, _ = open_engine(world.url)
    found = {}
    with engine.connect() as connection:
        for name in ("account", "person", "remark"):
            query = f"SELECT t::text FROM {name} t" if engine.dialect.name == "postgresql" else f"SELECT * FROM {name}"
            found[name] = sorted((tuple(r) for r in connection.execute(text(query))), key=repr)
    engine.dispose()
    return found


HARD = ("account", "person", "remark")


def birch(world: World) -> tuple[RecordKey, Path]:
    """Delete the company in the middle with all that hangs on it, for good; return it and the receipt."""
    key = next(k for k, r in world.records().items() if k.object == "account" and r.fields["name"] == "Birch")
    manifest = world.manifest({key: "delete"}, hard=HARD)
    with world.executor() as executor:
        done = executor.apply(manifest)
    assert done.counts == {"done": 6}
    return key, done.receipt


def test_every_type_comes_back_to_the_last_bit(typed: World) -> None:
    before = rows(typed)
    _, receipt = birch(typed)
    assert len(rows(typed)["person"]) == 0
    with typed.executor() as executor:
        found = executor.rehearse(receipt, identities=[typed.identity])
        assert found.records == found.equal == 7 and not found.different, "six that go and the one that is detached"
        back = executor.restore(receipt, signer("bob"), identities=[typed.identity])
    assert rows(typed) == before
    assert {line.outcome for line in back.lines} == {"restored"}


def test_what_cannot_keep_its_id_is_made_anew_and_everything_follows(typed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system whose restore gives new ids: the same rows, the same tree of links, and a map from old to new."""
    old = typed.records()
    _, receipt = birch(typed)
    whole = SqlWriter.__init__

    def forgets(self: SqlWriter, *words: Any, **more: Any) -> None:
        whole(self, *words, **more)
        self.capabilities = dataclasses.replace(self.capabilities, restore_keeps_id=False)

    monkeypatch.setattr(SqlWriter, "__init__", forgets)
    with typed.executor() as executor:
        said = executor.restore(receipt, signer("bob"), identities=[typed.identity], dry_run=True)
        assert said.counts == {"restore": 6, "new_id": 6} and not said.lines
        back = executor.restore(receipt, signer("bob"), identities=[typed.identity])
        moved = {(o, a): b for o, a, b, why, _ in executor.journal.id_map(back.manifest) if why == "recreated"}
    assert back.counts == {"done": 6} and len(moved) == 6 and {line.outcome for line in back.lines} == {"restored"}
    now = typed.records()
    assert len(now) == len(old)
    for was in old.values():
        entry = typed.mapping.objects[was.key.object]
        here = now[RecordKey(was.key.object, moved.get((was.key.object, was.key.id), was.key.id))]
        for name, value in was.fields.items():
            if name in entry.parents and value is not None:
                parent = (entry.parents[name], str(value))
                assert str(here.fields[name]) == moved.get(parent, str(value)), "links lead to where the parent is now"
            elif name != entry.key:
                assert here.fields[name] == value
    published = receipt.parent / f"{back.manifest}.idmap.ndjson"
    lines = [json.loads(line) for line in published.read_bytes().splitlines()]
    assert {(line["object"], line["old"]): line["new"] for line in lines} == moved
    engine, _ = open_engine(typed.url)
    with engine.connect() as connection:
        table = {(o, a): b for o, a, b in connection.execute(text("SELECT object, old_id, new_id FROM steward_id_map"))}
    engine.dispose()
    assert table == moved
    with typed.executor() as executor:  # once more: everything is there already, under its new id
        again = executor.restore(receipt, signer("bob"), identities=[typed.identity])
    assert again.counts == {"done": 6} and len(typed.records()) == len(old)


def test_an_id_that_somebody_else_has_now_is_a_conflict_or_a_new_id(typed: World) -> None:
    if "postgresql" in typed.url:
        statement = "INSERT INTO account (id, name) OVERRIDING SYSTEM VALUE VALUES (:id, 'Somebody')"
    else:
        statement = "INSERT INTO account (id, name) VALUES (:id, 'Somebody')"
    key, receipt = birch(typed)
    run_sql(typed, statement, id=int(key.id))
    with typed.executor() as executor:
        said = executor.restore(receipt, signer("bob"), identities=[typed.identity], dry_run=True)
        assert (said.lines[0].record, said.lines[0].why) == (key, "recreated"), "said before anything is done"
        back = executor.restore(receipt, signer("bob"), identities=[typed.identity], new_ids=True)
        new = executor.journal.new_id("account", key.id)
    assert back.counts == {"done": 6} and new is not None and new != key.id
    now = typed.records()
    assert now[key].fields["name"] == "Somebody" and now[RecordKey("account", new)].fields["name"] == "Birch"
    people = [r for k, r in now.items() if k.object == "person"]
    assert len(people) == 2 and {str(r.fields["account_id"]) for r in people} == {new}
    cedar = next(r for k, r in now.items() if k.object == "account" and r.fields["name"] == "Cedar")
    assert str(cedar.fields["parent_id"]) == new, "what was detached follows too"


def test_scopes_by_object_time_and_what_hangs_together(typed: World) -> None:
    before = rows(typed)
    _, receipt = birch(typed)
    now = datetime.now(UTC)
    with typed.executor() as executor:

        def would(scope: Scope) -> int:
            said = executor.restore(receipt, signer("bob"), identities=[typed.identity], scope=scope, dry_run=True)
            return said.counts.get("restore", 0)

        assert would(Scope(objects=frozenset({"person"}))) == 2
        assert would(Scope(since=now - timedelta(hours=1), until=now + timedelta(hours=1))) == 6
        lone = next(json.loads(x) for x in executor_lines(receipt) if json.loads(x)["object"] == "person")
        one = frozenset({f"{lone['object']}/{lone['id']}"})
        assert would(Scope(ids=one)) == 1
        hanging = Scope(ids=one, with_related=True)
        assert would(hanging) in (3, 4), "the person, its remarks, and the company it was of"
        executor.restore(receipt, signer("bob"), identities=[typed.identity], scope=hanging)
        executor.restore(receipt, signer("bob"), identities=[typed.identity])
    assert rows(typed) == before


def executor_lines(receipt: Path) -> list[bytes]:
    return receipt.with_name(receipt.name.replace(".receipt.dsse.json", ".outcomes.ndjson")).read_bytes().splitlines()


def test_a_link_that_cannot_come_back_is_said_beforehand_and_afterwards(typed: World) -> None:
    _, receipt = birch(typed)
    with typed.executor() as executor:
        scope = Scope(objects=frozenset({"person"}))
        said = executor.restore(receipt, signer("bob"), identities=[typed.identity], scope=scope, dry_run=True)
        assert {(line.what, line.field, line.why) for line in said.lines} == {("link", "account_id", "parent_gone")}
        back = executor.restore(receipt, signer("bob"), identities=[typed.identity], scope=scope)
    links = [line for line in back.lines if line.what == "link"]
    assert len(links) == 2 and {(line.outcome, line.why) for line in links} == {("impossible", "parent_gone")}


def test_a_rehearsal_of_all_kinds_of_actions_leaves_nothing_behind(world: World, tmp_path: Path) -> None:
    contacts, users = live(world, "contact"), live(world, "user")
    records = world.records()
    other = next(u for u in users if u.id != records[contacts[4]].fields["owner_id"])
    changed: dict[RecordKey, Any] = {
        contacts[0]: ("merge_into", contacts[1].id, {"email": contacts[0].id}),
        contacts[2]: "anonymise",
        contacts[4]: ("reassign", other.id),
        users[-1]: "deactivate_user",
        **dict.fromkeys(childless(world, "activity")[:20], "delete"),
        **dict.fromkeys(childless(world, "ticket")[:5], "delete"),
    }
    changes = {"contact": (FieldChange(field="email", method="null"),)}
    manifest = world.manifest(changed, hard=["ticket"], anonymise=changes)
    with world.executor() as executor:
        done = executor.apply(manifest)
        during = world.rows()
        memory = tmp_path / "memory"
        memory.mkdir()
        found = rehearse(executor, done.receipt, identities=[world.identity], memory=memory)
    assert found.records == found.equal > 28 and not found.different
    assert world.rows() == during, "the CRM is not asked"
    assert not list(memory.iterdir())


def test_a_rehearsal_tells_what_a_damaged_backup_would_not_bring_back(world: World) -> None:
    from steward.errors import BackupUnreadableError

    manifest = world.manifest(dict.fromkeys(childless(world, "activity")[:6], "delete"))
    with world.executor() as executor:
        done = executor.apply(manifest)
        frames = next((world.home / "backup").glob("*.frames"))
        raw = bytearray(frames.read_bytes())
        raw[-5] ^= 1
        frames.write_bytes(raw)
        with pytest.raises(BackupUnreadableError):
            executor.rehearse(done.receipt, identities=[world.identity])
