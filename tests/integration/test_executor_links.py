"""A merge of two records that each have a link which may exist only once, on real SQLite and PostgreSQL with the constraint."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from steward.crm.sql_engine import open_engine
from steward.records import Link
from steward.sandbox import build_crm
from tests.support.executor import World
from tests.support.signing import signer


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """A CRM in which a contact has a ticket of one subject once."""
    url = f"sqlite:///{tmp_path / 'crm.sqlite'}" if request.param == "sqlite" else request.getfixturevalue("postgres_database")
    build_crm(url, customers=60, seed=5, truth_file=tmp_path / "truth.json")
    return World(tmp_path, url)


def test_the_link_that_was_let_go_makes_room_for_its_twin(world: World) -> None:
    records = world.records()
    contacts = sorted(k for k, r in records.items() if k.object == "contact" and not r.deleted)
    tickets = sorted(k for k, r in records.items() if k.object == "ticket")
    losers, survivors = contacts[10:12], contacts[12:14]
    pairs = [(tickets[n], losers[n // 2] if n % 2 == 0 else survivors[n // 2]) for n in range(4)]
    engine, _ = open_engine(world.url, write=True)
    with engine.connect() as connection:
        connection.execute(text("UPDATE ticket SET subject = id"))
        for ticket, contact in pairs:
            connection.execute(
                text("UPDATE ticket SET contact_id = :c, subject = 'same' WHERE id = :t"), {"c": contact.id, "t": ticket.id}
            )
        connection.execute(text("CREATE UNIQUE INDEX once ON ticket(contact_id, subject)"))
        if engine.dialect.name == "postgresql":
            connection.commit()
    engine.dispose()
    before = world.rows()
    links = [Link(t, "contact_id", c) for t, c in pairs]
    twins = [links[:2], links[2:]]
    merges = {loser: ("merge_into", survivor.id) for loser, survivor in zip(losers, survivors, strict=True)}
    going, staying = (tickets[1], tickets[2]), (tickets[0], tickets[3])  # once the survivor's goes, once the other

    world.manifest({**merges, tickets[9]: "delete"}, hard=["ticket"], singles=twins)
    assert {(h.key, h.code) for h in world.held} == {(loser, "link_twice") for loser in losers}  # nobody has chosen

    manifest = world.manifest({**merges, **dict.fromkeys(going, "delete")}, hard=["ticket"], singles=twins)
    assert world.held == ()
    with world.executor() as executor:
        done = executor.apply(manifest)
    assert done.counts == {"done": 4}
    now = world.records()
    assert not now.keys() & set(going) and all(now[loser].deleted for loser in losers)
    assert [str(now[t].fields["contact_id"]) for t in staying] == [s.id for s in survivors]
    with world.executor() as executor:
        back = executor.restore(done.receipt, signer("bob"), identities=[world.identity])
    assert set(back.counts) == {"done"} and world.rows() == before
