"""From decisions to a draft: order, cascades, merges, what is held back, limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from steward.crm.mapping import ObjectMapping, SoftDelete
from steward.decisions import Decision, DecisionAction, fold
from steward.errors import IncompleteSnapshotError, LimitExceededError, PolicyInvalidError, UsageError
from steward.manifest import BytesSource, check_items, ids_digest
from steward.manifest.draft import Draft, DraftRules, RecordState, draft, new_manifest_id
from steward.manifest.format import FieldChange, ManifestStatement, Proposer
from steward.policy import Protection
from steward.records import Link, ObjectStats, RecordKey, Snapshot

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SOFT = SoftDelete(column="deleted", deleted="1", live="0")
OBJECTS = {
    "company": ObjectMapping(key="id", name="company", role="company", soft_delete=SOFT),
    "contact": ObjectMapping(
        key="id",
        name="contact",
        role="person",
        soft_delete=SOFT,
        parents={"company_id": "company"},
        on_delete={"company_id": "cascade"},
    ),
    "note": ObjectMapping(
        key="id", name="note", soft_delete=SOFT, parents={"contact_id": "contact"}, on_delete={"contact_id": "cascade"}
    ),
    "deal": ObjectMapping(
        key="id",
        name="deal",
        role="deal",
        parents={"contact_id": "contact", "owner_id": "user"},
        on_delete={"owner_id": "reassign"},
    ),
    "ticket": ObjectMapping(key="id", name="ticket", parents={"contact_id": "contact"}, on_delete={"contact_id": "detach"}),
    "user": ObjectMapping(key="id", name="user", role="user", soft_delete=SOFT),
}
RULES = DraftRules(
    policy_digest="1" * 64, policy_version="1", max_records=1000, max_percent_of_object=10_000, recipients=("dpo", "ops")
)


def key(text: str) -> RecordKey:
    object, id = text.split("/")
    return RecordKey(object, id)


def digest(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()


class World:
    """Records, links, protections and decisions by short names."""

    def __init__(self, *records: str) -> None:
        self.states = {key(r): RecordState(digest(r), "1") for r in records}
        self.protections: dict[RecordKey, tuple[Protection, ...]] = {key(r): () for r in records}
        self.children: dict[RecordKey, list[Link]] = {}
        self.log: list[Decision] = []

    def link(self, child: str, field: str, parent: str) -> None:
        self.children.setdefault(key(parent), []).append(Link(key(child), field, key(parent)))

    def decide(self, record: str, action: str = "delete", target: str | None = None, who: str = "bob", **more: Any) -> None:
        n = len(self.log)
        given = {"record_digest": digest(record), "evidence_digest": "e" * 64, **more}
        self.log.append(
            Decision(
                id=f"d{n}",
                group=f"g{n}",
                case_id="c",
                key=key(record),
                action=DecisionAction(action),
                reviewer=who,
                at=NOW,
                target=target,
                **given,
            )
        )

    def draft(self, rules: DraftRules = RULES, complete: bool = True, **more: Any) -> Draft:
        sizes = {name: sum(k.object == name for k in self.states) for name in OBJECTS}
        snapshot = Snapshot(
            "5" * 64,
            NOW - timedelta(hours=1),
            "sql",
            "acme",
            "production",
            "sql/1",
            tuple(ObjectStats(n, s, "0" * 64) for n, s in sizes.items()),
            complete,
        )
        return draft(
            fold(self.log), snapshot, self.states, self.protections, self.children, rules,
            objects=OBJECTS, proposer=Proposer(person="ada", tool="t", notebook_digest=None), now=NOW,
            manifest_id=new_manifest_id(b"\x07" * 16), trust_version=1, **more,
        )  # fmt: skip


def order(found: Draft) -> list[str]:
    return [f"{i.object}/{i.id}" for i in found.items]


def held(found: Draft) -> dict[str, str]:
    return {str(h.key): h.code for h in found.held_back}


def test_a_cascade_makes_items_of_all_children_and_they_come_first() -> None:
    w = World("company/1", "contact/1", "contact/2", "note/1")
    w.link("contact/1", "company_id", "company/1")
    w.link("contact/2", "company_id", "company/1")
    w.link("note/1", "contact_id", "contact/1")
    w.decide("company/1")
    found = w.draft()
    assert order(found) == ["note/1", "contact/1", "contact/2", "company/1"]
    assert [i.seq for i in found.items] == [0, 1, 2, 3]
    assert found.items[0].reasons == ("cascade",) and found.items[3].reasons == ()
    assert all(i.related == () for i in found.items)
    assert found.counts == {"company/soft_delete": 1, "contact/soft_delete": 2, "note/soft_delete": 1}


@pytest.mark.parametrize("spoil", ["protected", "kept", "unknown", "blocking grandchild", "contested"])
def test_one_child_that_must_stay_keeps_its_parent_and_takes_no_sibling_along(spoil: str) -> None:
    w = World("company/1", "contact/1", "contact/2", "deal/1", "contact/9")
    w.link("contact/1", "company_id", "company/1")
    w.link("contact/2", "company_id", "company/1")
    w.decide("company/1")
    w.decide("contact/9")
    if spoil == "protected":
        w.protections[key("contact/2")] = (Protection("open_deal", "keep", "An open deal."),)
    elif spoil == "kept":
        w.decide("contact/2", "keep")
    elif spoil == "contested":
        w.decide("contact/2")
        w.decide("contact/2", "keep", who="cid")
    elif spoil == "unknown":
        del w.states[key("contact/2")]
    else:
        w.link("deal/1", "contact_id", "contact/2")
    found = w.draft()
    assert order(found) == ["contact/9"]
    assert held(found)["company/1"] == "child_held_back"


def test_children_block_unless_the_mapping_says_otherwise() -> None:
    w = World("contact/1", "contact/2", "deal/1", "ticket/1", "ticket/2")
    w.link("deal/1", "contact_id", "contact/1")
    w.link("ticket/2", "contact_id", "contact/2")
    w.link("ticket/1", "contact_id", "contact/2")
    w.decide("contact/1")
    w.decide("contact/2")
    found = w.draft()
    assert held(found) == {"contact/1": "open_children"}
    (only,) = found.items
    (related,) = only.related
    assert (related.object, related.field, related.rule, related.count) == ("ticket", "contact_id", "detach", 2)
    assert related.digest == ids_digest(["1", "2"]) == ids_digest(["2", "1"])


def test_a_blocking_child_that_goes_itself_does_not_block() -> None:
    w = World("contact/1", "deal/1")
    w.link("deal/1", "contact_id", "contact/1")
    w.decide("contact/1")
    w.decide("deal/1")
    found = w.draft()
    assert order(found) == ["deal/1", "contact/1"]
    assert found.items[0].action == "hard_delete", "deals have no recycle bin here"
    assert found.not_before - found.created_at == timedelta(days=7)


def test_what_hangs_on_a_user_gets_a_new_owner_or_the_user_stays() -> None:
    w = World("user/1", "deal/1")
    w.link("deal/1", "owner_id", "user/1")
    w.decide("user/1")
    with pytest.raises(UsageError):
        w.draft()
    from dataclasses import replace

    found = w.draft(replace(RULES, reassign_to={"user": "7"}))
    assert found.items[0].related[0].target == "7"
    w.log.clear()
    w.decide("user/1", "deactivate_user")
    assert w.draft().items[0].related == ()


def test_merge_chains_end_at_the_record_that_stays() -> None:
    w = World("contact/1", "contact/2", "contact/3", "deal/1")
    w.link("deal/1", "contact_id", "contact/1")
    w.decide("contact/1", "merge_into", "2")
    w.decide("contact/2", "merge_into", "3", choices={"email": "1", "phone": "3"})
    found = w.draft()
    assert [(i.id, i.target) for i in found.items] == [("1", "3"), ("2", "3")]
    assert found.items[0].related[0].rule == "move"
    survivor = found.items[0].survivor
    assert survivor is not None and survivor.preimage == digest("contact/3")


def test_merges_that_cannot_be() -> None:
    w = World(*(f"contact/{n}" for n in range(1, 12)))
    w.decide("contact/1", "merge_into", "2")
    w.decide("contact/2")  # the survivor goes
    w.decide("contact/3", "merge_into", "4")
    w.decide("contact/4", "merge_into", "3")  # a circle
    w.decide("contact/5", "merge_into", "99")  # no such record
    w.decide("contact/6", "merge_into", "7", choices={"email": "8"})  # a value from outside
    w.decide("contact/9", "merge_into", "10")
    w.protections[key("contact/10")] = (Protection("legal_hold", "keep", "Held."),)
    found = w.draft()
    assert held(found) == {
        "contact/1": "survivor_goes", "contact/3": "circle", "contact/4": "circle", "contact/5": "survivor_missing",
        "contact/6": "choice_unknown", "contact/9": "survivor_restricted",
    }  # fmt: skip
    assert order(found) == ["contact/2"]


def test_a_donor_that_is_held_back_takes_the_merge_that_wants_its_value_with_it() -> None:
    w = World("contact/1", "contact/2", "contact/3", "contact/4")
    w.decide("contact/1", "merge_into", "3", record_digest="0" * 64)  # changed since review
    w.decide("contact/2", "merge_into", "3", choices={"email": "1"})
    w.decide("contact/4", "merge_into", "3")
    found = w.draft()
    assert held(found) == {"contact/1": "changed_since_review", "contact/2": "choice_unknown"}
    assert order(found) == ["contact/4"]


def test_why_a_record_is_held_back() -> None:
    w = World(*(f"contact/{n}" for n in range(1, 10)))
    w.decide("contact/1")
    w.decide("contact/1", "keep", who="cid")
    w.decide("contact/2", record_digest="0" * 64)
    w.decide("contact/3", record_digest="")
    w.decide("contact/4")
    w.states[key("contact/4")] = RecordState(digest("contact/4"), "1", deleted=True)
    w.decide("contact/5")
    del w.protections[key("contact/5")]
    w.decide("contact/6")
    w.protections[key("contact/6")] = (Protection("unpaid_invoice", "keep", "An unpaid invoice."),)
    w.decide("contact/7", "anonymise")
    w.decide("contact/77")
    w.decide("gadget/1")
    w.decide("contact/8", "deactivate_user")
    w.decide("contact/9")
    found = w.draft()
    assert held(found) == {
        "contact/1": "conflict", "contact/2": "changed_since_review", "contact/3": "not_reviewed", "contact/4": "already_deleted",
        "contact/5": "protections_unknown", "contact/6": "unpaid_invoice", "contact/7": "no_anonymise_rule", "contact/77": "not_in_snapshot",
        "gadget/1": "unknown_object", "contact/8": "not_a_user",
    }  # fmt: skip
    assert order(found) == ["contact/9"]


@pytest.mark.parametrize("id", ["a\u202eb", "a\u200bb", "e\u0301", "a\nb", "\ufeff1", "x" * 256])
def test_ids_that_a_manifest_may_not_carry(id: str) -> None:
    w = World("contact/1")
    w.decide("contact/1")
    w.states[RecordKey("contact", id)] = RecordState(digest("x"), "1")
    w.protections[RecordKey("contact", id)] = ()
    w.log.append(
        Decision(
            id="x",
            group="x",
            case_id="c",
            key=RecordKey("contact", id),
            action=DecisionAction.DELETE,
            reviewer="bob",
            at=NOW,
            record_digest=digest("x"),
        )
    )
    found = w.draft()
    assert [h.code for h in found.held_back] == ["unusable_id"]


def test_references_in_a_circle_keep_each_other() -> None:
    w = World("contact/1", "deal/1", "contact/9")
    w.link("deal/1", "contact_id", "contact/1")
    w.link("contact/1", "company_id", "deal/1")
    w.decide("contact/1")
    w.decide("deal/1")
    w.decide("contact/9")
    found = w.draft()
    assert set(held(found)) == {"contact/1", "deal/1"}
    assert order(found) == ["contact/9"]


def test_limits_refuse_the_whole_and_a_missing_one_does_too() -> None:
    from dataclasses import replace

    w = World(*(f"contact/{n}" for n in range(10)))
    for n in range(3):
        w.decide(f"contact/{n}")
    for rules in (
        replace(RULES, max_records=2),
        replace(RULES, max_percent_of_object=2_999),
        replace(RULES, max_of_object={"contact": 2}),
        replace(RULES, max_records=0),
    ):
        with pytest.raises(LimitExceededError):
            w.draft(rules)
    assert len(w.draft(replace(RULES, max_records=3, max_percent_of_object=3_000)).items) == 3
    for name in ("max_records", "max_percent_of_object", "max_drift_percent", "max_error_percent"):
        with pytest.raises(PolicyInvalidError):
            w.draft(replace(RULES, **{name: None}))


def test_nothing_from_an_incomplete_snapshot_and_nothing_out_of_nothing() -> None:
    w = World("contact/1")
    with pytest.raises(UsageError):
        w.draft()
    w.decide("contact/1")
    with pytest.raises(IncompleteSnapshotError):
        w.draft(complete=False)


def test_the_statement_says_what_was_drafted_and_its_items_pass_the_verifier() -> None:
    from dataclasses import replace

    w = World("contact/1", "contact/2", "contact/3")
    w.decide("contact/1", "anonymise")
    w.decide("contact/2", record_digest="0" * 64)
    w.decide("contact/3")
    found = w.draft(replace(RULES, anonymise={"contact": (FieldChange(field="email", method="null"),), "deal": ()}))
    out: list[bytes] = []
    said = msgspec.json.decode(found.write(out.append), type=ManifestStatement)
    raw = b"".join(out)
    assert check_items(BytesSource(raw), said.predicate.items, said.subject[0].digest["sha256"]) == said.predicate.counts
    assert said.predicate.counts == {"contact/anonymise": 1, "contact/soft_delete": 1}
    assert list(said.predicate.anonymise) == ["contact"]
    assert said.predicate.held_back.by_code == {"changed_since_review": 1}
    assert said.predicate.manifest_id == new_manifest_id(b"\x07" * 16) and len(said.predicate.manifest_id) == 26
    assert found.held_lines() == b'{"code":"changed_since_review","id":"2","object":"contact"}\n'


def test_the_same_decisions_in_another_order_draft_the_same_bytes() -> None:
    import random

    def build(seed: int) -> bytes:
        w = World(*(f"contact/{n}" for n in range(30)), *(f"note/{n}" for n in range(30)))
        for n in range(30):
            w.link(f"note/{n}", "contact_id", f"contact/{n % 7}")
        names = [f"contact/{n}" for n in range(0, 30, 2)]
        random.Random(seed).shuffle(names)
        for links in w.children.values():
            random.Random(seed).shuffle(links)
        for name in names:
            w.decide(name)
        for d in list(w.log):
            w.log[w.log.index(d)] = Decision(**{f: getattr(d, f) for f in d.__dataclass_fields__} | {"id": f"d-{d.key.id}"})
        out: list[bytes] = []
        statement = w.draft().write(out.append)
        return b"".join(out) + statement

    assert len({build(seed) for seed in range(5)}) == 1


def twins(*links: str) -> list[Link]:
    """Links ``child>parent`` of which one record may have only one."""
    return [Link(key(child), "contact_id", key(parent)) for child, _, parent in (x.partition(">") for x in links)]


def test_a_merge_after_which_a_link_would_exist_twice_is_held_back() -> None:
    world = World(
        "contact/1", "contact/2", "contact/3", "contact/4", "contact/5", "ticket/a", "ticket/b", "ticket/c", "ticket/d"
    )
    world.decide("contact/2", "merge_into", "1")
    world.decide("contact/3", "merge_into", "4")
    world.decide("contact/5")
    singles = [twins("ticket/a>contact/1", "ticket/b>contact/2"), twins("ticket/c>contact/3", "ticket/d>contact/5")]
    found = world.draft(singles=singles)
    assert [(h.key, h.code) for h in found.held_back] == [(key("contact/2"), "link_twice")]
    assert sorted(order(found)) == ["contact/3", "contact/5"]  # records that end apart have each one link
    assert "link_twice" not in world.draft().held_by_code


def test_two_merged_into_one_may_not_bring_the_same_link_twice_even_through_a_chain() -> None:
    world = World("contact/1", "contact/2", "contact/3", "contact/9", "ticket/a", "ticket/b")
    world.decide("contact/3", "merge_into", "2")
    world.decide("contact/2", "merge_into", "1")
    world.decide("contact/9")
    found = world.draft(singles=[twins("ticket/a>contact/1", "ticket/b>contact/3")])
    assert [(h.key.id, h.code) for h in found.held_back] == [("3", "link_twice")]
    assert order(found) == ["contact/2", "contact/9"]
    both = world.draft(singles=[twins("ticket/a>contact/2", "ticket/b>contact/3")])
    assert [(h.key.id, h.code) for h in both.held_back] == [("2", "link_twice"), ("3", "link_twice")]


@pytest.mark.parametrize("going", ["ticket/a", "ticket/b"])
def test_a_link_that_goes_by_its_own_decision_goes_before_the_merge(going: str) -> None:
    world = World("contact/1", "contact/2", "ticket/a", "ticket/b")
    world.link("ticket/a", "contact_id", "contact/1")
    world.link("ticket/b", "contact_id", "contact/2")
    world.decide("contact/2", "merge_into", "1")
    world.decide(going)
    found = world.draft(singles=[twins("ticket/a>contact/1", "ticket/b>contact/2")])
    assert found.held_back == () and order(found) == [going, "contact/2"]
    [merge] = [i for i in found.items if i.action == "merge_into"]
    assert [(r.object, r.rule, r.count) for r in merge.related] == ([("ticket", "move", 1)] if going == "ticket/a" else [])
