"""Apply and restore on real SQLite and real PostgreSQL: what comes back is the same, row by row, to the last column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from steward.crm.sql_engine import open_engine
from steward.errors import (
    AlreadyAppliedError,
    BreakerTrippedError,
    FrozenError,
    PolicyInvalidError,
    ThresholdNotMetError,
)
from steward.executor.ports import State
from steward.manifest.format import FieldChange
from steward.records import Record, RecordKey
from steward.sandbox import build_crm
from tests.support.executor import World
from tests.support.signing import signer


def run_sql(world: World, statement: str, **values: object) -> None:
    """What a person does in the CRM meanwhile."""
    engine, _ = open_engine(world.url, write=True)
    with engine.connect() as connection:
        connection.execute(text(statement), values)
        if engine.dialect.name == "postgresql":
            connection.commit()
    engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    url = f"sqlite:///{tmp_path / 'crm.sqlite'}" if request.param == "sqlite" else request.getfixturevalue("postgres_database")
    build_crm(url, customers=120, seed=5, truth_file=tmp_path / "truth.json")
    yield World(tmp_path, url)


def live(world: World, object: str) -> list[RecordKey]:
    return sorted(k for k, r in world.records().items() if k.object == object and not r.deleted)


def states(world: World, manifest: str) -> Counter[tuple[str, str]]:
    with world.executor() as executor:
        return Counter((row[5], row[6] or "") for row in executor.journal.outcomes(manifest))


def childless(world: World, object: str) -> list[RecordKey]:
    """Records nothing refers to."""
    parents = {
        RecordKey(p, str(v))
        for k, r in world.records().items()
        for f, p in world.mapping.objects[k.object].parents.items()
        if (v := r.fields[f]) is not None
    }
    return [k for k in live(world, object) if k not in parents]


def test_every_action_goes_and_comes_back_row_by_row(world: World) -> None:
    before = world.rows()
    contacts, users, companies = live(world, "contact"), live(world, "user"), live(world, "company")
    records = world.records()
    bare = [k for k in childless(world, "contact") if k not in contacts[:30]]
    merges = contacts[30:34]
    changed: dict[RecordKey, object] = dict.fromkeys(contacts[:20], "delete")
    changed |= {merges[0]: ("merge_into", merges[1].id, {"email": merges[0].id, "phone": merges[2].id})}
    changed |= {merges[2]: ("merge_into", merges[1].id)}
    other = next(u for u in users if u.id != records[contacts[40]].fields["owner_id"])
    changed |= {contacts[40]: ("reassign", other.id), contacts[41]: "anonymise", users[-1]: "deactivate_user"}
    changed |= dict.fromkeys(live(world, "ticket")[:5], "delete")
    assert bare and companies
    manifest = world.manifest(
        changed,
        hard=["ticket"],
        anonymise={"contact": (FieldChange(field="email", method="null"), FieldChange(field="last_name", method="token"))},
    )
    with world.executor() as executor:
        _, said, _ = executor.plan(manifest)
        assert world.rows() == before, "a plan changes nothing"
        done = executor.apply(manifest)
    assert done.counts == {"done": said.records} and said.verdicts == {"apply": said.records}
    during = world.rows()
    now = world.records()
    assert now[merges[1]].fields["email"] == records[merges[0]].fields["email"]
    assert now[merges[1]].fields["phone"] == records[merges[2]].fields["phone"]
    assert now[merges[0]].deleted and now[merges[2]].deleted
    assert now[contacts[40]].fields["owner_id"] == other.id
    assert now[contacts[41]].fields["email"] is None and str(now[contacts[41]].fields["last_name"]).startswith("anon-")
    assert now[users[-1]].fields["is_active"] == 0
    assert sum(len(v) for v in during.values()) < sum(len(v) for v in before.values()), "tickets are gone for good"
    for key, record in now.items():  # nothing live refers to what is gone
        if not record.deleted:
            for name, parent in world.mapping.objects[key.object].parents.items():
                value = record.fields[name]
                target = None if value is None else now.get(RecordKey(parent, str(value)))
                assert value is None or (target is not None and (not target.deleted or records[target.key].deleted))
    with world.executor() as executor:
        back = executor.restore(done.receipt, signer("bob"), identities=[world.identity])
    assert set(back.counts) == {"done"}
    assert world.rows() == before
    assert {line.outcome for line in back.lines} == {"restored"}
    assert any(line.what == "link" for line in back.lines) and any(line.what == "survivor" for line in back.lines)
    with world.executor() as executor:
        assert executor.audit_verify().events > 5
        assert executor.backup_verify([world.identity])["rows"] > 30


def test_hard_delete_of_parents_with_cascading_children_comes_back_in_order(world: World) -> None:
    before = world.rows()
    kinds = ["contact", "ticket", "activity", "note", "company"]
    changed: dict[RecordKey, str] = dict.fromkeys(live(world, "contact")[:25], "delete")
    manifest = world.manifest(changed, hard=kinds)
    with world.executor() as executor:
        done = executor.apply(manifest)
    found = done.counts
    assert found.get("done", 0) > 25, "children that go along are items of their own"
    gone = sum(len(v) for v in before.values()) - sum(len(v) for v in world.rows().values())
    assert gone == found["done"], "exactly the items are gone: nothing was cascaded in silence"
    with world.executor() as executor:
        executor.restore(done.receipt, signer("cid"), identities=[world.identity])
    assert world.rows() == before


def test_restore_of_one_record_brings_it_and_its_links_alone(world: World) -> None:
    before = world.rows()
    chosen = live(world, "contact")[:12]
    manifest = world.manifest(dict.fromkeys(chosen, "delete"))
    with world.executor() as executor:
        done = executor.apply(manifest)
        wanted = next(k for k in chosen if world.records()[k].deleted)
        back = executor.restore(done.receipt, signer("bob"), identities=[world.identity], ids=[str(wanted)])
    assert back.counts == {"done": 1}
    now = world.rows()
    assert now["contact"][wanted.id] == before["contact"][wanted.id]
    assert sum(1 for k in chosen if now["contact"][k.id] == before["contact"][k.id]) == 1 + len(world.held)


def test_what_people_changed_since_is_reported_and_never_overwritten(world: World) -> None:
    contacts = live(world, "contact")
    loser, survivor = contacts[50], contacts[51]
    bare = childless(world, "contact")[:3]
    manifest = world.manifest(
        {loser: ("merge_into", survivor.id, {"email": loser.id, "city": loser.id}), **dict.fromkeys(bare, "delete")}
    )
    with world.executor() as executor:
        done = executor.apply(manifest)
    run_sql(world, "UPDATE contact SET email = 'new@example.org', row_version = row_version + 1 WHERE id = :id", id=survivor.id)
    run_sql(
        world,
        "UPDATE contact SET is_deleted = 0, deleted_at = NULL, deleted_by = NULL, city = 'Ulm' WHERE id = :id",
        id=bare[0].id,
    )
    run_sql(world, "UPDATE contact SET deleted_by = 'somebody' WHERE id = :id", id=bare[1].id)
    with world.executor() as executor:
        back = executor.restore(done.receipt, signer("bob"), identities=[world.identity])
    now = world.records()
    assert now[survivor].fields["email"] == "new@example.org"
    assert not now[loser].deleted
    assert now[bare[0]].fields["city"] == "Ulm" and now[bare[1]].deleted and not now[bare[2]].deleted
    assert back.counts == {"done": 2, "conflict": 2}
    outcome = {(line.record, line.what): line for line in back.lines}
    assert outcome[survivor, "survivor"].outcome == "changed" and "email" in outcome[survivor, "survivor"].fields


def test_an_edit_after_signing_is_drift_and_stays(world: World) -> None:
    chosen = childless(world, "activity")[:6]
    manifest = world.manifest(dict.fromkeys(chosen, "delete"))
    run_sql(world, "UPDATE activity SET subject = 'Emden' WHERE id = :id", id=chosen[0].id)  # without moving the version
    run_sql(world, "DELETE FROM activity WHERE id = :id", id=chosen[1].id)
    with world.executor() as executor:
        _, said, _ = executor.plan(manifest)
        assert said.verdicts == {"apply": 4, "drift": 1, "missing": 1}
        done = executor.apply(manifest)
    assert done.counts == {"done": 4, "drift": 1, "missing": 1}
    assert world.records()[chosen[0]].fields["subject"] == "Emden"


def test_a_child_that_came_since_stops_its_parent(world: World) -> None:
    chosen = childless(world, "contact")[0]
    manifest = world.manifest({chosen: "delete"})
    run_sql(
        world,
        "INSERT INTO note (id, contact_id, body, created_at, updated_at, row_version, is_deleted) "
        "VALUES ('n-new', :id, 'call back', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z', 1, 0)",
        id=chosen.id,
    )
    with world.executor() as executor:
        done = executor.apply(manifest)
    assert done.counts == {"blocked": 1} and not world.records()[chosen].deleted


def test_a_trigger_that_takes_children_along_is_caught_and_rolled_back(world: World) -> None:
    chosen = childless(world, "contact")[:2]
    victim = live(world, "ticket")[0]
    if world.url.startswith("sqlite"):
        run_sql(
            world,
            "CREATE TRIGGER quiet AFTER UPDATE OF is_deleted ON contact BEGIN UPDATE contact SET city = 'gone' WHERE id = NEW.id; END",
        )
    else:
        run_sql(
            world,
            "CREATE FUNCTION quiet() RETURNS trigger AS $$ BEGIN NEW.city := 'gone'; RETURN NEW; END $$ LANGUAGE plpgsql; "
            "CREATE TRIGGER quiet BEFORE UPDATE ON contact FOR EACH ROW EXECUTE FUNCTION quiet()",
        )
    before = world.rows()
    manifest = world.manifest(dict.fromkeys(chosen, "delete"))
    with world.executor() as executor:
        done = executor.apply(manifest)
    assert done.counts == {"failed": 2} and states(world, done.manifest) == {("failed", "side_effect"): 2}
    assert world.rows() == before and victim in world.records()


def test_rows_of_tables_outside_the_mapping_block_a_hard_delete(world: World) -> None:
    chosen = childless(world, "contact")[:2]
    run_sql(world, "CREATE TABLE badge (id TEXT PRIMARY KEY, contact_id TEXT REFERENCES contact(id) ON DELETE CASCADE)")
    run_sql(world, "INSERT INTO badge VALUES ('b1', :id)", id=chosen[0].id)
    manifest = world.manifest(dict.fromkeys(chosen, "delete"), hard=["contact"])
    with world.executor() as executor:
        done = executor.apply(manifest)
    assert states(world, done.manifest) == {("failed", "unmapped_children"): 1, ("done", ""): 1}
    assert isinstance(world.records()[chosen[0]], Record)


def test_a_manifest_runs_once_with_and_without_its_journal(world: World) -> None:
    chosen = childless(world, "activity")[:4]
    manifest = world.manifest(dict.fromkeys(chosen, "delete"))
    with world.executor() as executor:
        done = executor.apply(manifest)
        with pytest.raises(AlreadyAppliedError):
            executor.apply(manifest)
    run_sql(
        world,
        "UPDATE activity SET is_deleted = 0, deleted_at = NULL, deleted_by = NULL, row_version = row_version - 1 WHERE id = :id",
        id=chosen[0].id,
    )
    for file in world.home.glob("journal.sqlite*"):  # the host is lost; the ledger in the CRM is not
        file.unlink()
    with world.executor() as executor:
        again = executor.apply(manifest)
    assert not world.records()[chosen[0]].deleted, "a person's undeletion stands"
    assert again.counts.get("done", 0) <= 1 and done.counts == {"done": 4}


def test_freeze_holds_vetoes_and_missing_hold_list_stop_it(world: World) -> None:
    from datetime import UTC, datetime

    from steward.manifest.format import Subject, VetoPredicate
    from steward.manifest_files import ManifestFolder
    from steward.signing import make_veto

    chosen = childless(world, "activity")[:5]
    manifest = world.manifest(dict.fromkeys(chosen, "delete"))
    before = world.rows()
    with world.executor() as executor:
        (world.home / "FREEZE").touch()
        with pytest.raises(FrozenError):
            executor.apply(manifest)
        (world.home / "FREEZE").unlink()
        holds = (world.home / "holds.txt").read_text()
        (world.home / "holds.txt").unlink()
        with pytest.raises(PolicyInvalidError):
            executor.apply(manifest)
        assert world.rows() == before
        (world.home / "holds.txt").write_text(holds + f"{chosen[2]}\n")
        veto = VetoPredicate(
            manifest_id=manifest.name,
            scope=(1,),
            reason="customer called",
            person="bob",
            at=datetime.now(UTC).replace(microsecond=0),
        )
        ManifestFolder(manifest).write_veto(
            make_veto(signer("bob"), veto, Subject(name="items.ndjson", digest={"sha256": "0" * 64})), "0" * 16
        )
        done = executor.apply(manifest)
    assert done.counts == {"done": 3, "veto": 1, "held": 1}


def test_an_unapproved_manifest_is_planned_and_not_applied(world: World) -> None:
    manifest = world.manifest(dict.fromkeys(childless(world, "activity")[:3], "delete"), signed=())
    before = world.rows()
    with world.executor() as executor:
        _, said, _ = executor.plan(manifest)
        assert not said.approved and said.verdicts == {"apply": 3}
        with pytest.raises(ThresholdNotMetError):
            executor.apply(manifest)
    assert world.rows() == before


def test_a_crm_that_answers_with_nothing_trips_the_breaker_before_anything_is_sent(world: World) -> None:
    chosen = childless(world, "activity")[:12]
    manifest = world.manifest(dict.fromkeys(chosen, "delete"))
    for key in chosen[:8]:
        run_sql(world, "DELETE FROM activity WHERE id = :id", id=key.id)
    with world.executor() as executor:
        with pytest.raises(BreakerTrippedError):
            executor.apply(manifest)
        assert not any(world.records()[k].deleted for k in chosen[8:])
        done = executor.apply(manifest, override="the eight were deleted by hand, ticket 41")
    assert done.counts == {State.MISSING.value: 8, "done": 4}


def test_certificate_proves_one_record_and_names_no_other(world: World) -> None:
    chosen = childless(world, "activity")[:7]
    manifest = world.manifest(dict.fromkeys(chosen, "delete"))
    with world.executor() as executor:
        done = executor.apply(manifest)
        document = executor.certificate(done.receipt, str(chosen[3]))
        import json

        text = json.dumps(document)
        assert not any(k.id in text for k in chosen if k != chosen[3])
        path = world.folder / "certificate.json"
        path.write_text(text)
        (outcome,) = executor.check_certificate(path)
        assert (outcome["id"], outcome["state"], outcome["readBack"]) == (chosen[3].id, "done", True)
        two = executor.certificate(done.receipt, str(chosen[1]), str(chosen[5]))
        assert not any(k.id in json.dumps(two) for n, k in enumerate(chosen) if n not in (1, 5))
        path.write_text(json.dumps(two))
        assert [o["id"] for o in executor.check_certificate(path)] == [chosen[1].id, chosen[5].id]
        path.write_text(text)
        path.write_text(text.replace(chosen[3].id, chosen[4].id))
        from steward.errors import MalformedManifestError

        with pytest.raises(MalformedManifestError):
            executor.check_certificate(path)
