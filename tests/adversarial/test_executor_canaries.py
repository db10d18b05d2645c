"""Canaries: a value of a record, a passphrase, a webhook's secret. After everything the executor can do none is anywhere
but in the CRM, the encrypted backup, and the files that hold the secrets."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest

from steward.errors import StewardError
from steward.executor.cli import main
from steward.executor.erasure import erase
from steward.executor.expiry import expire
from steward.executor.home import open_home, write_config
from steward.manifest.format import FieldChange
from steward.records import RecordKey
from steward.sandbox import build_crm
from tests.integration.test_executor_sql import childless, live, run_sql
from tests.support.executor import World
from tests.support.signing import signer

CANARY = "Zanzibar-Canary-7731"
SECRET = "hooks-canary-91a7"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    url = f"sqlite:///{tmp_path / 'crm.sqlite'}" if request.param == "sqlite" else request.getfixturevalue("postgres_database")
    build_crm(url, customers=60, seed=5)
    return World(tmp_path, url, batch=5)


def _plant(world: World) -> None:
    """Put the canary into every plain text that the CRM lets us change."""
    for table, columns in {
        "contact": ("first_name", "last_name", "email", "city"),
        "activity": ("subject", "body"),
        "note": ("body",),
        "ticket": ("subject",),
        "company": ("name",),
    }.items():
        known = {n for k, r in world.records().items() if k.object == table for n in r.fields}
        words = ", ".join(f"{c} = :v" for c in columns if c in known)
        run_sql(world, f"UPDATE {table} SET {words}", v=CANARY)


def test_no_canary_is_in_anything_the_executor_leaves_or_says(
    world: World, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    _plant(world)
    secret = world.home / "webhook.secret"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o400)
    config = open_home(world.home).config
    (world.home / "config.toml").chmod(0o600)
    places = (
        "http://127.0.0.1:9/x?token=" + SECRET,
        f"mailto:a@b.example?server=127.0.0.1:9&from=x@y&user={SECRET}&password-file=p",
    )
    write_config(world.home, msgspec.structs.replace(config, id_map_webhook="http://127.0.0.1:9/ids", checkpoints=places))
    contacts, users, home = live(world, "contact"), live(world, "user"), str(world.home)
    records = world.records()
    other = next(u for u in users if u.id != records[contacts[5]].fields["owner_id"])
    changed: dict[RecordKey, Any] = {
        contacts[0]: ("merge_into", contacts[1].id, {"email": contacts[0].id}),
        contacts[3]: "anonymise",
        contacts[5]: ("reassign", other.id),
        **dict.fromkeys(childless(world, "activity")[:8], "delete"),
        **dict.fromkeys(childless(world, "ticket")[:4], "delete"),
    }
    changes = {"contact": (FieldChange(field="email", method="null"), FieldChange(field="last_name", method="token"))}
    manifest = world.manifest(changed, hard=["ticket"], anonymise=changes)
    taken = next(k for k, a in changed.items() if k.object == "ticket" and a == "delete")
    said: list[str] = []

    def run(*words: str) -> None:
        main([*words, "--home", home])

    run("plan", str(manifest), "--json")
    run("apply", str(manifest))
    receipt = world.home / "receipts" / f"{manifest.name}.receipt.dsse.json"
    identity = str(world.identity)
    run("status")
    run("status", "--json")
    run("audit", "show")
    run("audit", "verify")
    run("audit", "certificate", str(receipt), "--id", str(contacts[3]))
    run("backup", "verify", "--identity", identity)
    run("restore", str(receipt), "--rehearse", "--identity", identity)
    run_sql(world, "UPDATE contact SET city = :v WHERE id = :id", v=CANARY + "-2", id=contacts[1].id)
    with world.executor() as executor:
        for dry in (True, False):
            done = executor.restore(receipt, signer("bob"), identities=[world.identity], dry_run=dry)
            said += [repr(done), str(done.lines)]
        erase(executor, taken, identities=[world.identity])
        expire(executor)
    _provoke(world, said)
    streams = capfd.readouterr()
    text = streams.out + streams.err + "".join(said) + caplog.text
    assert "Traceback" not in text and "done" in text
    for canary in (CANARY, SECRET):
        assert canary not in text
    values = {v for r in world.records().values() for v in r.fields.values()}
    assert CANARY in values, "the canary is in the CRM"
    roots = (world.home, world.folder / "manifests", world.folder / "trust")
    holders = {secret, world.home / "config.toml"}
    places_left = [p for root in roots for p in root.rglob("*") if p.is_file() and p not in holders]
    assert len(places_left) > 20
    for path in places_left:
        raw = path.read_bytes()
        assert CANARY.encode() not in raw and SECRET.encode() not in raw, path.name
    assert not list(Path("/dev/shm").glob("steward-rehearsal-*"))


def _provoke(world: World, said: list[str]) -> None:
    """Errors of the database name values in their details; ours must not."""
    chosen = childless(world, "activity")[-3:]
    manifest = world.manifest(dict.fromkeys(chosen, "delete"), hard=["activity"])
    with world.executor() as executor:
        done = executor.apply(manifest)
        run_sql(world, "CREATE TABLE kept (subject TEXT UNIQUE)")
        run_sql(world, "INSERT INTO kept VALUES (:v)", v=CANARY)
        if world.url.startswith("sqlite"):
            run_sql(world, "CREATE TRIGGER twice AFTER INSERT ON activity BEGIN INSERT INTO kept VALUES (NEW.subject); END")
        else:
            run_sql(
                world,
                "CREATE FUNCTION twice() RETURNS trigger AS $$ BEGIN INSERT INTO kept VALUES (NEW.subject); RETURN NEW; END $$ "
                "LANGUAGE plpgsql; CREATE TRIGGER twice AFTER INSERT ON activity FOR EACH ROW EXECUTE FUNCTION twice()",
            )
        try:
            back = executor.restore(done.receipt, signer("bob"), identities=[world.identity])
            said += [repr(back), str(back.lines)]
            assert back.counts == {"failed": 3}, "refused by the database, and nothing half done"
        except StewardError as error:
            said += [str(error), repr(error), str(error.facts)]
