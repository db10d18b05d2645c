"""The executor on a real Tryton server: what was observed of it, trap by trap, with what people do in between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from steward.records import RecordKey
from tests.support.tryton import TrytonServer
from tests.support.tryton_world import TrytonWorld, differing, open_world

MOVED = {"_timestamp", "write_date", "write_uid", "last_modified_at", "last_modification"}
"""What Tryton moves at every write."""
ANEW = MOVED | {"id", "create_date", "create_uid"}
"""What a record that was made anew cannot have again."""
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

    def is_there(self, model: str, id: int) -> bool:
        return bool(self.server.call(f"model.{model}.search_count", [["id", "=", id]]))

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


def test_a_deal_does_not_lose_its_customer_without_a_word(world: TrytonWorld, crm: Crm) -> None:
    party = crm.party("With deal")
    manifest = world.manifest({key("contact", party): "delete"}, hard=("contact",))
    deal = crm.deal(party)  # after the review
    applied = world.apply(manifest)
    assert world.outcomes(applied) == {f"contact/{party}": "blocked/children_remain"}
    assert crm.server.call("model.sale.opportunity.read", [deal], ["party"])[0]["party"] == party


def test_a_deal_that_appears_in_the_last_moment_keeps_its_customer(world: TrytonWorld, crm: Crm) -> None:
    party = crm.party("Last moment")
    manifest = world.manifest({key("contact", party): "delete"}, hard=("contact",))
    deals: list[int] = []

    def hook(name: str) -> None:
        if name == "vendor.call" and not deals:
            deals.append(crm.deal(party))

    applied = world.apply(manifest, hook=hook)
    assert world.outcomes(applied) == {f"contact/{party}": "drift/children_changed"}
    assert crm.server.call("model.sale.opportunity.read", deals, ["party"])[0]["party"] == party


def test_what_refers_and_is_not_mapped_keeps_a_record(world: TrytonWorld, crm: Crm) -> None:
    party = crm.party("Employee")
    manifest = world.manifest({key("contact", party): "delete"})
    employee = crm.make("company.employee", party=party, company=1)
    applied = world.apply(manifest)
    assert world.outcomes(applied) == {f"contact/{party}": "blocked/children_remain"}
    crm.server.call("model.company.employee.delete", [employee])


def test_an_archived_address_is_not_taken_along_unseen(world: TrytonWorld, crm: Crm) -> None:
    party = crm.party("Old address")
    address = crm.make("party.address", party=party, city="Old")
    crm.write("party.address", address, active=False)
    applied = world.apply(world.manifest({key("contact", party): "delete"}, hard=("contact", "address")))
    assert world.outcomes(applied) == {f"contact/{party}": "blocked/hidden_children"}
    assert crm.there("party.address", address)


def test_a_child_that_was_changed_since_keeps_its_parent(world: TrytonWorld, crm: Crm) -> None:
    """``_timestamp`` of the party does not move when its e-mail is rewritten."""
    party = crm.party("Changed child")
    mail = crm.make("party.contact_mechanism", party=party, type="email", value="old@example.org")
    manifest = world.manifest({key("contact", party): "delete"})
    crm.write("party.contact_mechanism", mail, value="new@example.org")
    applied = world.apply(manifest)
    assert world.outcomes(applied) == {
        f"mechanism/{mail}": "drift/changed", f"contact/{party}": "blocked/children_remain",
    }  # fmt: skip
    assert crm.server.call("model.party.party.read", [party], ["active"])[0]["active"]


def test_four_different_ends(world: TrytonWorld, crm: Crm) -> None:
    """With a sale, with a deal, merged by Tryton itself, already gone; and one that goes."""
    free, sold, dealt, merged, gone = (crm.party(f"End {n}") for n in range(5))
    target = crm.party("End 3")
    manifest = world.manifest({key("contact", i): "delete" for i in (free, sold, dealt, merged, gone)})
    crm.make("sale.sale", party=sold, company=1, currency=1)
    crm.deal(dealt)
    session = crm.server.call("wizard.party.replace.create")[0]
    ask = {"ask": {"source": merged, "destination": target}}
    crm.server.call("wizard.party.replace.execute", session, ask, "replace")
    crm.server.call("model.party.party.delete", [gone])
    applied = world.apply(manifest)
    assert world.outcomes(applied) == {
        f"contact/{free}": "done", f"contact/{sold}": "blocked/children_remain", f"contact/{dealt}": "blocked/children_remain",
        f"contact/{merged}": "missing/deleted_meanwhile", f"contact/{gone}": "missing/absent",
    }  # fmt: skip


def test_one_refusal_does_not_stop_the_others_of_the_call(world: TrytonWorld, crm: Crm) -> None:
    parties = [crm.party(f"Batch {n}") for n in range(9)]
    manifest = world.manifest({key("contact", i): "delete" for i in parties}, hard=("contact",))

    def hook(name: str) -> None:
        if name == "vendor.call":
            crm.write("party.party", parties[7], name="Edited in between")

    applied = world.apply(manifest, hook=hook)
    outcomes = world.outcomes(applied)
    assert outcomes.pop(f"contact/{parties[7]}") == "drift/changed"
    assert set(outcomes.values()) == {"done"} and len(outcomes) == 8
    assert [crm.there("party.party", i) for i in parties] == [i == parties[7] for i in parties]


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
    from steward.manifest.format import FieldChange

    party = crm.party("To be forgotten")
    fields = {"contact": (FieldChange(field="name", method="token"),)}
    applied = world.apply(world.manifest({key("contact", party): "anonymise"}, anonymise=fields))
    assert applied.counts == {"done": 1}, world.outcomes(applied)
    assert str(crm.server.call("model.party.party.read", [party], ["name"])[0]["name"]).startswith("anon-")


# crashes --------------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize(
    ("hard", "point"), [((), "vendor.called"), (("contact",), "vendor.call"), (("contact",), "vendor.called")]
)
def test_the_executor_dies_in_the_middle_of_three_hundred_and_goes_on(
    world: TrytonWorld, crm: Crm, hard: tuple[str, ...], point: str
) -> None:
    ids = [int(i) for i in crm.server.call("model.party.party.create", [{"name": f"Many {n}"} for n in range(300)])]
    manifest = world.manifest({key("contact", i): "delete" for i in ids}, hard=hard)
    calls = 0

    def hook(name: str) -> None:
        nonlocal calls
        calls += name == point
        if calls == 3:
            raise Killed

    with pytest.raises(Killed):
        world.apply(manifest, hook=hook)
    left = [bool(r) for r in (crm.server.call("model.party.party.search_count", [["id", "in", ids]]),)]
    assert left == [True], "it died in the middle"
    stamps = {r["id"]: r["_timestamp"] for r in crm.server.call("model.party.party.search_read",
              [["id", "in", ids], ["active", "=", False]], 0, None, None, ["_timestamp"])}  # fmt: skip
    applied = world.apply(manifest)
    assert sum(applied.counts.values()) == 300 and set(applied.counts) <= {"done", "done_inferred"}
    assert crm.server.call("model.party.party.search_count", [["id", "in", ids]]) == 0
    now = {r["id"]: r["_timestamp"] for r in crm.server.call("model.party.party.search_read",
           [["id", "in", ids], ["active", "=", False]], 0, None, None, ["_timestamp"])}  # fmt: skip
    assert all(now[i] == stamps[i] for i in stamps), "nothing was done twice"
    assert len(now) == (0 if hard else 300)
