"""The executor on a real Tryton server: what was observed of it, trap by trap, with what people do in between."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from steward.crm.examples import example_mapping
from steward.crm.tryton import TrytonReader
from steward.errors import CrmError
from steward.executor.journal import Journal, connect
from steward.executor.ports import Answer, Effect, Result, Unit, Work
from steward.executor.steps import StepLog
from steward.executor.writers.vendor import Refused
from steward.manifest.format import FieldChange
from steward.records import Record, RecordKey
from tests.support.tryton import TrytonServer
from tests.support.tryton_world import TrytonWorld, differing, open_world
from tests.support.writer_tryton import Between, profile_of, writer_of

MOVED = {"_timestamp", "write_date", "write_uid", "last_modified_at", "last_modification"}
"""What Tryton moves at every write."""
ANEW = MOVED | {"id", "create_date", "create_uid", "file_id"}
"""What a record that was made anew cannot have again."""
OLD = "2015-03-01 10:00:00"
EVERYTHING = ("contact", "address", "mechanism", "identifier", "relation", "note", "attachment", "deal")


@pytest.fixture(scope="module")
def server() -> Iterator[TrytonServer]:
    found = TrytonServer()
    try:
        found.company()
        yield found
    finally:
        found.close()


@pytest.fixture(scope="module")
def world(server: TrytonServer, tmp_path_factory: pytest.TempPathFactory) -> TrytonWorld:
    return open_world(tmp_path_factory.mktemp("world"), server, batch=100)


class Crm:
    """What people do."""

    def __init__(self, server: TrytonServer) -> None:
        self.server = server

    def make(self, model: str, **values: Any) -> int:
        return int(self.server.call(f"model.{model}.create", [values])[0])

    def write(self, model: str, id: int, **values: Any) -> None:
        self.server.call(f"model.{model}.write", [id], values)

    def party(self, name: str, **values: Any) -> int:
        return self.make("party.party", name=name, **values)

    def deal(self, party: int, **values: Any) -> int:
        return self.make("sale.opportunity", party=party, description="d", company=1, currency=1, **values)

    def there(self, model: str, id: int) -> bool:
        found = self.server.call(f"model.{model}.search_count", [["id", "=", id], ["active", "in", [True, False]]])
        return bool(found)

    def full(self, name: str) -> dict[str, int]:
        """Make a party with one of everything that hangs on it."""
        server = self.server
        other = self.party(f"{name} other")
        (category,) = server.call("model.party.category.create", [{"name": f"Category {name}"}])
        german = server.call("model.ir.lang.search", [["code", "=", "de"]], 0, 1, None)[0]
        id = self.party(name, lang=german, categories=[["add", [category]]], code=f"OLD-{name}")
        found = {
            "contact": id,
            "address": self.make("party.address", party=id, street_name="Höhenweg", building_number="7a", city="Köln", postal_code="50667"),
            "mechanism": self.make("party.contact_mechanism", party=id, type="email", value="a@example.org", name="work", sequence=3),
            "identifier": self.make("party.identifier", party=id, code=f"ID {name}"),
            "note": self.make("ir.note", resource=f"party.party,{id}", message="旧 note\nsecond line"),
            "attachment": self.make(
                "ir.attachment", resource=f"party.party,{id}", name="face.bin", description="of 2019",
                data={"__class__": "bytes", "base64": "AAECAwQF/w=="},
            ),
            "deal": self.deal(id),
        }  # fmt: skip
        kind = server.call("model.party.relation.type.create", [{"name": f"knows {name}"}])[0]
        found["relation"] = int(server.call("model.party.relation.all.create", [{"from_": id, "to": other, "type": kind}])[0])
        return found


@pytest.fixture(scope="module")
def crm(server: TrytonServer) -> Crm:
    return Crm(server)


def key(object: str, id: int) -> RecordKey:
    return RecordKey(object, str(id))


# what is deleted, and what that means ---------------------------------------------------------------------------------


def test_everything_is_equal_after_archiving_and_restoring(world: TrytonWorld, crm: Crm) -> None:
    made = crm.full("Archived")
    crm.write("sale.opportunity", made["deal"], party=None)
    before = world.records()
    applied = world.apply(world.manifest({key("contact", made["contact"]): "delete"}))
    assert applied.counts == {"done": 4}, world.outcomes(applied)
    gone = world.records()
    assert {o for o in EVERYTHING if gone[key(o, made[o])].deleted} == {"contact", "address", "mechanism", "identifier"}
    assert differing(before[key("note", made["note"])], gone[key("note", made["note"])]) == set(), "a note stays with its party"
    said = world.restore(applied.receipt)
    after = world.records()
    assert {n for o in EVERYTHING for n in differing(before[key(o, made[o])], after[key(o, made[o])])} <= MOVED
    assert all(line.outcome == "restored" for line in said.lines), said.lines


def test_everything_is_made_anew_after_deleting_for_good(world: TrytonWorld, crm: Crm) -> None:
    """Addresses, mechanisms, identifiers, relations, notes, files' contents, categories and language; new ids, the old code."""
    made = crm.full("Deleted")
    crm.write("sale.opportunity", made["deal"], party=None)
    before = world.records()
    hard = ("contact", "address", "mechanism", "identifier")
    applied = world.apply(world.manifest({key("contact", made["contact"]): "delete"}, hard=hard))
    assert applied.counts == {"done": 7}, world.outcomes(applied)
    assert not any(key(o, made[o]) in world.records() for o in EVERYTHING if o != "deal")
    world.restore(applied.receipt)
    with world.executor() as executor:
        now = {o: key(o, int(executor.journal.new_id(o, str(made[o])) or made[o])) for o in EVERYTHING}
    after = world.records()
    for object in EVERYTHING:
        was, is_now = before[key(object, made[object])], after[now[object]]
        assert differing(was, is_now) <= ANEW | {"party", "resource", "from_"}, object
    assert after[now["contact"]].fields["code"] == "OLD-Deleted"
    assert after[now["contact"]].fields["more"] == before[key("contact", made["contact"])].fields["more"] != {}
    for object, column in (("address", "party"), ("mechanism", "party"), ("identifier", "party"), ("note", "resource"),
                           ("attachment", "resource"), ("relation", "from_")):  # fmt: skip
        assert str(after[now[object]].fields[column]) == now["contact"].id, object
    data = crm.server.call("model.ir.attachment.read", [int(now["attachment"].id)], ["data"])[0]["data"]
    assert data["base64"].strip() == "AAECAwQF/w=="


def test_a_deal_that_was_detached_is_led_to_the_new_id(
    server: TrytonServer, crm: Crm, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = example_mapping("tryton").replace(
        'on_delete = { party = "block", address', 'on_delete = { party = "detach", address', 1
    )
    world = open_world(tmp_path_factory.mktemp("detached"), server, mapping_text=text)
    party = crm.party("Detached", code="D-1")
    deal = crm.deal(party)
    with sqlite3.connect(server.database) as connection:  # business that was opened a moment ago would protect the party
        connection.execute(
            f"UPDATE sale_opportunity SET create_date = '{OLD}', write_date = '{OLD}', start_date = '2015-03-01' WHERE id = {deal}"
        )
    applied = world.apply(world.manifest({key("contact", party): "delete"}, hard=("contact",)))
    assert applied.counts == {"done": 1}, world.outcomes(applied)
    assert crm.server.call("model.sale.opportunity.read", [deal], ["party"])[0]["party"] is None
    said = world.restore(applied.receipt)
    (new,) = crm.server.call("model.party.party.search", [["code", "=", "D-1"]], 0, None, None)
    assert new != party and crm.server.call("model.sale.opportunity.read", [deal], ["party"])[0]["party"] == new
    lines = {(line.what, line.field): (line.outcome, set(line.fields)) for line in said.lines}
    assert lines["item", ""] == ("changed", {"create_date"}) and lines["link", "party"][0] == "restored", lines


def test_what_was_reviewed_and_is_not_so_any_more_stays(world: TrytonWorld, crm: Crm) -> None:
    """Archiving: with a sale, with a deal, with what is not mapped, with a changed e-mail, merged by Tryton, gone already.

    ``_timestamp`` of a party does not move when its e-mail is rewritten, nor when a deal appears.
    """
    free, sold, dealt, hired, mailed, merged, gone, target = (crm.party(f"End {n}") for n in range(8))
    mail = crm.make("party.contact_mechanism", party=mailed, type="email", value="old@example.org")
    manifest = world.manifest({key("contact", i): "delete" for i in (free, sold, dealt, hired, mailed, merged, gone)})
    crm.make("sale.sale", party=sold, company=1, currency=1)
    crm.deal(dealt)
    crm.make("company.employee", party=hired, company=1)
    crm.write("party.contact_mechanism", mail, value="new@example.org")
    crm.write("party.party", merged, name="End 7")  # Tryton warns where names differ, and a warning is a person's to answer
    session = crm.server.call("wizard.party.replace.create")[0]
    crm.server.call("wizard.party.replace.execute", session, {"ask": {"source": merged, "destination": target}}, "replace")
    crm.server.call("model.party.party.delete", [gone])
    applied = world.apply(manifest)
    assert world.outcomes(applied) == {
        f"contact/{free}": "done", f"contact/{sold}": "blocked/children_remain", f"contact/{dealt}": "blocked/children_remain",
        f"contact/{hired}": "blocked/children_remain", f"mechanism/{mail}": "drift/changed",
        f"contact/{mailed}": "blocked/children_remain", f"contact/{merged}": "missing/deleted_meanwhile",
        f"contact/{gone}": "missing/absent",
    }  # fmt: skip
    active = {r["id"] for r in crm.server.call("model.party.party.search_read", [["active", "=", True]], 0, None, None, ["id"])}
    assert {sold, dealt, hired, mailed} <= active and free not in active


def test_nothing_is_emptied_or_taken_along_by_a_deletion_for_good(world: TrytonWorld, crm: Crm) -> None:
    """A deal would lose its customer without a word, in the last moment too; an archived address would go unseen."""
    dealt, late, old, edited, *free = (crm.party(f"Hard {n}") for n in range(10))
    address = crm.make("party.address", party=old, city="Old")
    crm.write("party.address", address, active=False)
    hard = ("contact", "address")
    manifest = world.manifest({key("contact", i): "delete" for i in (dealt, late, old, edited, *free)}, hard=hard)
    deals = [crm.deal(dealt)]

    def hook(name: str) -> None:
        if name == "vendor.steps" and len(deals) == 1:
            deals.append(crm.deal(late))
        if name == "vendor.call":
            crm.write("party.party", edited, name="Edited in between")

    applied = world.apply(manifest, hook=hook)
    outcomes = world.outcomes(applied)
    assert outcomes.pop(f"contact/{dealt}") == "blocked/children_remain"
    assert outcomes.pop(f"contact/{late}") == "drift/children_changed"
    assert outcomes.pop(f"contact/{old}") == "blocked/hidden_children"
    assert outcomes.pop(f"contact/{edited}") == "drift/changed", "Tryton itself compares, and one refusal stops no other"
    assert set(outcomes.values()) == {"done"} and len(outcomes) == 6
    assert [r["party"] for r in crm.server.call("model.sale.opportunity.read", deals, ["party"])] == [dealt, late]
    assert crm.there("party.address", address)
    assert [crm.there("party.party", i) for i in (dealt, late, old, edited, *free)] == [True] * 4 + [False] * 6


def test_the_version_is_compared_by_tryton_itself(world: TrytonWorld, crm: Crm) -> None:
    party, other = crm.party("Conditional"), crm.party("Conditional too")
    manifest = world.manifest({key("contact", i): "delete" for i in (party, other)})

    def hook(name: str) -> None:
        if name == "vendor.call":
            crm.write("party.party", party, name="Edited in between")

    applied = world.apply(manifest, hook=hook)
    assert world.outcomes(applied) == {f"contact/{party}": "drift/changed", f"contact/{other}": "done"}
    found = crm.server.call("model.party.party.read", [party, other], ["name", "active"])
    assert {f["id"]: (f["name"], bool(f["active"])) for f in found} == {
        party: ("Edited in between", True), other: ("Conditional too", False),
    }  # fmt: skip


# merging --------------------------------------------------------------------------------------------------------------


def test_a_merge_moves_what_may_move_keeps_the_rest_and_is_undone(world: TrytonWorld, crm: Crm) -> None:
    loser, survivor = crm.full("Loser"), crm.party("Survivor")
    before = world.records()
    manifest = world.manifest(
        {key("contact", loser["contact"]): ("merge_into", str(survivor), {"name": str(loser["contact"])})}
    )
    applied = world.apply(manifest)
    assert applied.counts == {"done": 1}, world.outcomes(applied)
    after = world.records()
    led = {o: str(after[key(o, loser[o])].fields[c]) for o, c in
           (("deal", "party"), ("identifier", "party"), ("note", "resource"), ("attachment", "resource"), ("relation", "from_"))}  # fmt: skip
    assert set(led.values()) == {str(survivor)}, led
    assert {str(after[key(o, loser[o])].fields["party"]) for o in ("address", "mechanism")} == {str(loser["contact"])}
    assert after[key("contact", survivor)].fields["name"] == "Loser" and after[key("contact", loser["contact"])].deleted
    said = world.restore(applied.receipt)
    again = world.records()
    assert {n for k in before for n in differing(before[k], again[k])} <= MOVED
    assert {line.outcome for line in said.lines} == {"restored"}


def test_a_merge_that_tryton_would_refuse_halfway_is_refused_before_its_first_step(world: TrytonWorld, crm: Crm) -> None:
    """A closed deal is read-only, and a deal with an address of its party cannot change the party."""
    closed, tied, survivor = crm.party("Closed"), crm.party("Tied"), crm.party("Stays")
    crm.make("ir.note", resource=f"party.party,{closed}", message="moves first")
    deal = crm.deal(closed)
    crm.server.call("model.sale.opportunity.lost", [deal])
    address = crm.make("party.address", party=tied, city="x")
    crm.deal(tied, address=address)
    before = world.records()
    manifest = world.manifest({key("contact", i): ("merge_into", str(survivor)) for i in (closed,)})
    assert world.outcomes(world.apply(manifest)) == {f"contact/{closed}": "failed/read_only"}
    manifest = world.manifest({key("contact", tied): ("merge_into", str(survivor))})
    assert world.outcomes(world.apply(manifest)) == {f"contact/{tied}": "failed/tied"}
    after = world.records()
    assert [k for k in before if differing(before[k], after[k])] == []


# persons --------------------------------------------------------------------------------------------------------------


def test_a_user_is_deactivated_and_never_deleted(world: TrytonWorld, crm: Crm) -> None:
    user = crm.make("res.user", name="Leaver", login="leaver", password="a-word-nobody-guesses")
    other = crm.make("res.user", name="Stayer", login="stayer", password="a-word-nobody-guesses")
    before = world.records()[key("user", user)]
    assert not any("password" in n for n in before.fields), "no secret is read"
    applied = world.apply(world.manifest({key("user", user): "deactivate_user"}))
    assert applied.counts == {"done": 1}
    active = {r["id"]: bool(r["active"]) for r in crm.server.call("model.res.user.read", [user, other], ["active"])}
    assert active == {user: False, other: True}
    world.restore(applied.receipt)
    assert crm.server.call("model.res.user.read", [user], ["active"])[0]["active"]
    applied = world.apply(world.manifest({key("user", other): "delete"}))
    assert world.outcomes(applied) == {f"user/{other}": "failed/users_stay"}


def test_a_customer_is_anonymised(world: TrytonWorld, crm: Crm) -> None:
    party = crm.party("To be forgotten")
    fields = {"contact": (FieldChange(field="name", method="token"),)}
    applied = world.apply(world.manifest({key("contact", party): "anonymise"}, anonymise=fields))
    assert applied.counts == {"done": 1}, world.outcomes(applied)
    assert str(crm.server.call("model.party.party.read", [party], ["name"])[0]["name"]).startswith("anon-")


def test_erasing_is_a_switch_that_is_signed_and_is_tryton_s_own(world: TrytonWorld, crm: Crm) -> None:
    """The wizard takes the name, and what addresses and contact mechanisms say, for ever; without the switch they stay."""
    kept, erased = crm.full("Kept"), crm.full("Erased")
    with world.executor() as executor:
        for made, switches in ((kept, frozenset()), (erased, frozenset({"party_erase"}))):
            writer = executor.writer(switches)
            try:
                id = RecordKey("contact", str(made["contact"]))
                before = writer.read([id]).records[id]
                assert isinstance(before, Record)
                work = Work(made["contact"], "contact", id.id, "anonymise")
                unit = Unit(f"#{work.seq}", (work,), (Effect(work.seq, "item", "update", before, {"name": None}),))
                said = writer.apply([unit], manifest="0000000000000000000000000A", attempt=1)
                assert said[work.seq].answer is Answer.DONE
            finally:
                writer.close()
    values = {
        made["contact"]: crm.server.call("model.party.contact_mechanism.read", [made["mechanism"]], ["value"])[0]["value"]
        for made in (kept, erased)
    }
    assert values[kept["contact"]] == "a@example.org" != values[erased["contact"]]
    parties = crm.server.call("model.party.party.read", [kept["contact"], erased["contact"]], ["name", "active"])
    assert {(p["id"], p["name"], bool(p["active"])) for p in parties} == {
        (kept["contact"], None, True), (erased["contact"], None, False),
    }  # fmt: skip


def test_a_file_that_is_too_large_to_back_up_keeps_its_record(
    world: TrytonWorld, crm: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = crm.full("Large")
    crm.write("sale.opportunity", made["deal"], party=None)
    monkeypatch.setattr("steward.crm.tryton.MOST_BYTES", 6)
    hard = ("contact", "address", "mechanism", "identifier")
    outcomes = world.outcomes(world.apply(world.manifest({key("contact", made["contact"]): "delete"}, hard=hard)))
    assert outcomes[f"attachment/{made['attachment']}"] == "failed/file_too_large"
    assert outcomes[f"contact/{made['contact']}"] == "blocked/children_remain"
    assert crm.there("party.party", made["contact"])


def test_a_user_who_is_no_administrator_sees_the_same_records(
    world: TrytonWorld, crm: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Notes and files are listed for him only below what they hang on; one that is gone is not told from one that is not shown."""
    made = crm.full("Seen")
    crm.server.reader("looker", "another-word-for-tests", [o.source for o in world.mapping.objects.values()])
    monkeypatch.setenv("LOOKER", "another-word-for-tests")
    profile = msgspec.structs.replace(profile_of(crm.server), read={"user": "looker", "password": "${LOOKER}"})
    everything = world.records()
    with TrytonReader(profile, world.mapping) as looker:
        seen = {r.key: r for o in looker.objects() for part in looker.scan(o.name) for r in part}
        assert {k: r.digest for k, r in seen.items()} == {k: r.digest for k, r in everything.items()}
        assert looker.count("note") == sum(k.object == "note" for k in everything)
        note = looker.fetch("note", [str(made["note"]), "999999"])
        assert set(note) == {str(made["note"])} and note[str(made["note"])].key == key("note", made["note"])
        links = {link.child for link in looker.children("contact", [str(made["contact"])])}
        assert {key(o, made[o]) for o in EVERYTHING if o != "contact"} <= links


class Says(Between):
    """Answers the next call that writes with an error of Tryton's form; the server does not see it."""

    def __init__(self, error: list[Any]) -> None:
        super().__init__()
        self.error: list[Any] | None = error

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """See the class."""
        said = json.loads(request.read())
        if self.error is None or not said["method"].endswith(".write"):
            return super().handle_request(request)
        error, self.error = self.error, None
        return httpx.Response(200, json={"id": 1, "error": error}, request=request)


@pytest.mark.parametrize(
    ("error", "code"), [(["UserWarning", ["party.replace name 1 2", "Ada Secret?", ""]], "warning"), (["Ada Secret", ""], None)]
)
def test_a_warning_is_a_stop_and_an_unknown_error_is_read_and_never_told(
    world: TrytonWorld, crm: Crm, tmp_path: Path, error: list[Any], code: str | None
) -> None:
    party = key("contact", crm.party("Warned"))
    between = Says(error)
    journal = Journal(connect(tmp_path / "journal.sqlite"))
    writer = writer_of(crm.server, world.mapping, StepLog(journal.db), between)
    try:
        before = writer.read([party]).records[party]
        assert isinstance(before, Record)
        work = Work(1, "contact", party.id, "soft_delete")
        unit = Unit("#1", (work,), (Effect(1, "item", "update", before, {"active": "false"}),))
        said = writer.apply([unit], manifest="0000000000000000000000000A", attempt=1)
        assert said == ({} if code is None else {1: Result(Answer.REFUSED, code)})
        assert writer.settle([work], manifest="0000000000000000000000000A")[1].state == "again"
        assert not any("warning" in method for method in between.calls), "it is a person's to answer"
        between.error = error
        with pytest.raises((Refused, CrmError)) as stop:
            writer.send_update(writer.mapping.objects["contact"], before, {"active": "false"})
        assert "Secret" not in str(stop.value) + repr(stop.value)
    finally:
        writer.close()
        journal.db.close()


# crashes --------------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize(("count", "hard", "point"), [(300, (), "vendor.called"), (120, ("contact",), "vendor.called")])
def test_the_executor_dies_in_the_middle_of_three_hundred_and_goes_on(
    world: TrytonWorld, crm: Crm, count: int, hard: tuple[str, ...], point: str
) -> None:
    ids = [int(i) for i in crm.server.call("model.party.party.create", [{"name": f"Many {n}"} for n in range(count)])]
    manifest = world.manifest({key("contact", i): "delete" for i in ids}, hard=hard)
    calls = 0

    def hook(name: str) -> None:
        nonlocal calls
        calls += name == point
        if calls == 2:
            raise Killed

    with pytest.raises(Killed):
        world.apply(manifest, hook=hook)
    assert 0 < crm.server.call("model.party.party.search_count", [["id", "in", ids]]) < count, "it died in the middle"
    stamps = {r["id"]: r["_timestamp"] for r in crm.server.call("model.party.party.search_read",
              [["id", "in", ids], ["active", "=", False]], 0, None, None, ["_timestamp"])}  # fmt: skip
    applied = world.apply(manifest)
    assert sum(applied.counts.values()) == count and set(applied.counts) <= {"done", "done_inferred"}
    assert crm.server.call("model.party.party.search_count", [["id", "in", ids]]) == 0
    now = {r["id"]: r["_timestamp"] for r in crm.server.call("model.party.party.search_read",
           [["id", "in", ids], ["active", "=", False]], 0, None, None, ["_timestamp"])}  # fmt: skip
    assert all(now[i] == stamps[i] for i in stamps), "nothing was done twice"
    assert len(now) == (0 if hard else count)
