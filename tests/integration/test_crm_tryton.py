"""The reader of Tryton against a real server: everything, exactly, and what nobody told it."""

from __future__ import annotations

import csv
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from steward.crm.examples import example_mapping
from steward.crm.mapping import parse_mapping
from steward.crm.profiles import Profile
from steward.crm.registry import mapping_of, open_reader
from steward.crm.tryton import TrytonReader
from steward.errors import DeniedError, SchemaMismatchError
from steward.records import Absent, Record, RecordKey, Snapshot
from tests.support.onward import Pair
from tests.support.tryton import PASSWORD, TrytonServer

PEOPLE = 300


@pytest.fixture(scope="module")
def server(real_data: Path) -> Iterator[TrytonServer]:
    found = TrytonServer()
    try:
        company = found.company()
        with (real_data / "persons_fake1000" / "persons.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))[:PEOPLE]
        names = [f"{r['first_name']} {r['surname']}".strip() or "?" for r in rows]
        ids = found.call("model.party.party.create", [{"name": n} for n in names])
        reach = [
            {"party": i, "type": "email", "value": r["email"]}
            for i, r in zip(ids, rows, strict=True)
            if "@" in (r["email"] or "")
        ]
        found.call("model.party.contact_mechanism.create", reach)
        found.call(
            "model.party.address.create", [{"party": i, "city": r["city"] or None} for i, r in zip(ids, rows, strict=True)]
        )
        deals = [{"party": i, "description": f"deal {n}", "company": company, "currency": 1} for n, i in enumerate(ids[:60])]
        found.call("model.sale.opportunity.create", deals)
        found.call("model.ir.note.create", [{"resource": f"party.party,{ids[0]}", "message": "旧 note"}])
        found.call("model.party.party.write", ids[10:15], {"active": False})
        yield found
    finally:
        found.close()


def profile(server: TrytonServer, user: str = "admin", password: str = "${TRYTON_PASSWORD}") -> Profile:
    return Profile(
        system="tryton", tenant="demo", environment="sandbox", address=server.address,
        read={"user": user, "password": password}, name="t",
    )  # fmt: skip


@pytest.fixture
def reader(server: TrytonServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrytonReader]:
    monkeypatch.setenv("TRYTON_PASSWORD", PASSWORD)
    with open_reader(profile(server)) as found:
        assert isinstance(found, TrytonReader)
        yield found


def rows(server: TrytonServer, sql: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(f"file:{server.database}?mode=ro", uri=True) as connection:
        return connection.execute(sql).fetchall()


def everything(reader: TrytonReader, name: str, batch: int = 97) -> dict[str, Record]:
    found: dict[str, Record] = {}
    for records in reader.scan(name, batch=batch):
        assert 0 < len(records) <= batch
        for record in records:
            assert record.key.id not in found
            found[record.key.id] = record
    return found


def test_every_party_is_read_archived_ones_among_them(server: TrytonServer, reader: TrytonReader) -> None:
    found = everything(reader, "contact")
    stored = {str(i): (name, bool(active)) for i, name, active in rows(server, "select id, name, active from party_party")}
    assert len(found) == len(stored) >= PEOPLE
    assert {i: (r.fields["name"], not r.deleted) for i, r in found.items()} == stored
    assert sum(r.deleted for r in found.values()) == 5


def test_count_counts_live_records(server: TrytonServer, reader: TrytonReader) -> None:
    assert reader.count("contact") == rows(server, "select count(*) from party_party where active")[0][0]
    assert reader.count("deal") == 60


def test_a_record_is_the_same_by_scan_and_by_fetch(reader: TrytonReader) -> None:
    for name in ("contact", "deal", "mechanism", "note", "address"):
        scanned = everything(reader, name)
        fetched = reader.fetch(name, sorted(scanned)[:7])
        for id, record in fetched.items():
            assert isinstance(record, Record)
            assert (record.digest, record.version) == (scanned[id].digest, scanned[id].version)


def test_children_are_found_by_key_and_by_text_reference(server: TrytonServer, reader: TrytonReader) -> None:
    first = str(rows(server, "select party from sale_opportunity order by id limit 1")[0][0])
    found = {(link.child.object, link.field) for link in reader.children("contact", [first])}
    assert found >= {("deal", "party"), ("address", "party"), ("note", "resource")}
    assert {link.parent for link in reader.children("contact", [first])} == {RecordKey("contact", first)}


def test_the_version_moves_with_an_edit_and_not_with_a_childs(server: TrytonServer, reader: TrytonReader) -> None:
    id = int(str(rows(server, "select id from party_party order by id limit 1 offset 40")[0][0]))
    before = reader.fetch("contact", [str(id)])[str(id)]
    address = rows(server, f"select id from party_address where party = {id} limit 1")[0][0]
    server.call("model.party.address.write", [address], {"city": "Elsewhere"})
    same = reader.fetch("contact", [str(id)])[str(id)]
    server.call("model.party.party.write", [id], {"name": "Edited"})
    after = reader.fetch("contact", [str(id)])[str(id)]
    assert isinstance(before, Record) and isinstance(same, Record) and isinstance(after, Record)
    assert before.version == same.version != after.version
    assert before.digest == same.digest != after.digest


def test_a_deleted_party_is_positive_absence(server: TrytonServer, reader: TrytonReader) -> None:
    (id,) = server.call("model.party.party.create", [{"name": "Passing"}])
    assert isinstance(reader.fetch("contact", [str(id)])[str(id)], Record)
    server.call("model.party.party.delete", [id])
    assert isinstance(reader.fetch("contact", [str(id)])[str(id)], Absent)


@pytest.mark.parametrize("odd", ["", "' OR 1=1 --", "0", "-1", "1e3", "\x00", "💥", "9" * 40])
def test_a_strange_id_is_absent_and_harmless(reader: TrytonReader, odd: str) -> None:
    assert isinstance(reader.fetch("contact", [odd])[odd], Absent)


def test_the_check_says_that_a_user_could_write(
    server: TrytonServer, reader: TrytonReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert reader.access().may_write is True
    models = [o.source for o in parse_mapping(example_mapping("tryton")).objects.values()]
    server.reader("looker", "another-word-for-tests", models)
    monkeypatch.setenv("LOOKER", "another-word-for-tests")
    with open_reader(profile(server, "looker", "${LOOKER}")) as careful:
        assert careful.access().may_write is False
        assert careful.count("contact") > PEOPLE - 10


def test_a_wrong_password_is_refused_in_one_sentence(server: TrytonServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WRONG", "not-the-word-at-all")
    with open_reader(profile(server, password="${WRONG}")) as reader, pytest.raises(DeniedError) as refusal:
        reader.count("contact")
    assert "not-the-word" not in str(refusal.value)


def test_a_column_that_tryton_lacks_is_named(server: TrytonServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRYTON_PASSWORD", PASSWORD)
    mapping = mapping_of(profile(server))
    text = example_mapping("tryton").replace('label = ["name", "code"]', 'label = ["nickname"]')
    with TrytonReader(profile(server), parse_mapping(text)) as reader, pytest.raises(SchemaMismatchError, match="nickname"):
        list(reader.scan("contact"))
    assert mapping.tenant == "demo"


# ------------------------------------------------------------------------------------------------ going on from a snapshot


@dataclass
class Onward:
    """One reading that goes on after everything below happened; that it equals a whole read is checked where it is made."""

    pair: Pair
    made: Snapshot
    edited: str
    archived: str
    gone: str
    orphan: str

    def party(self, id: str) -> tuple[str, str | None, bool]:
        return self.pair.onward.record_digests(self.made, "contact", [id])[id]


@pytest.fixture(scope="module")
def onward(server: TrytonServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Onward]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRYTON_PASSWORD", PASSWORD)
        pair = Pair(tmp_path_factory.mktemp("onward"), lambda: open_reader(profile(server)))
        edited, archived = (str(server.call("model.party.party.create", [{"name": name}])[0]) for name in ("First", "Archived"))
        server.call("model.party.party.write", [int(archived)], {"active": False})
        ((gone,),) = rows(server, "select max(party) from sale_opportunity")
        ((orphan,),) = rows(server, f"select max(id) from sale_opportunity where party = {gone}")
        pair.begin()
        server.call("model.party.party.write", [int(edited)], {"name": "Second"})
        server.call("model.party.party.write", [int(archived)], {"active": True})
        server.call("model.party.party.delete", [gone])
        chance = random.Random(4)
        ids = [i for (i,) in rows(server, "select id from party_party where active") if isinstance(i, int)]
        for id in chance.sample(ids, 5):
            server.call("model.party.party.write", [id], {"name": f"随 {chance.random()}", "active": chance.random() < 0.8})
        server.call("model.party.party.create", [{"name": "Newcomer"}])
        server.call("model.party.address.write", [rows(server, "select max(id) from party_address")[0][0]], {"city": "Moved"})
        yield Onward(pair, pair.same(), edited, archived, str(gone), str(orphan))
        pair.close()


def test_it_goes_on_equal_to_a_whole_read_and_reads_what_differs(onward: Onward) -> None:
    ways = onward.pair.onward.readings(onward.made)[-1].ways
    assert {name for name, way in ways.items() if way.way != "stamps"} <= {name for name, w in ways.items() if not w.read}
    assert 6 <= ways["contact"].read <= 8 and ways["contact"].gone == 1 and ways["address"].read == 1


def test_a_deal_that_silently_loses_its_customer_is_noticed(onward: Onward) -> None:
    deal = onward.pair.onward.records(onward.made, "deal", [onward.orphan])[onward.orphan]
    assert deal["party"] is None
    assert not onward.pair.onward.records(onward.made, "contact", [onward.gone])


def test_two_edits_within_a_second_have_two_timestamps(onward: Onward) -> None:
    assert onward.pair.onward.records(onward.made, "contact", [onward.edited])[onward.edited]["name"] == "Second"


def test_restored_from_the_archive(onward: Onward) -> None:
    assert onward.party(onward.archived)[2] is False
