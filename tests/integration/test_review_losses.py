"""What a merge would lose is said before it is decided: values, memberships with roles, links that exist once, links to oneself."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from steward.crm.mapping import parse_mapping
from steward.crm.sql import SqlReader
from steward.decisions import DecisionAction as A
from steward.errors import DecisionError, ProtectedError, SchemaMismatchError
from steward.evidence import Evidence
from steward.manifest.draft_rules import DraftRules, RecordState
from steward.manifest.plan_items import Planner
from steward.records import Link, RecordKey, Snapshot
from steward.review.conversation import Conversation
from steward.review.intent import ConfirmationNeededError, Intent
from steward.review.losses import singles, unique_links
from steward.review.rules import decide_by_rule, parse_rules
from steward.review.session import ReviewSession
from steward.store.decision_log import DecisionLog
from steward.store.workspace import Workspace

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
MAPPING = """
format = "steward-mapping/1"
system = "sql"
tenant = "test"
environment = "sandbox"
[objects.company]
key = "id"
role = "company"
label = ["name"]
[objects.contact]
key = "id"
role = "person"
label = ["name"]
modified = "updated_at"
parents = { company_id = "company", manager_id = "contact" }
writable = ["name", "phone", "company_id"]
[objects.campaign]
key = "id"
label = ["title"]
[objects.campaign_member]
key = "id"
role = "membership"
parents = { contact_id = "contact", campaign_id = "campaign" }
[objects.deal]
key = "id"
role = "deal"
label = ["title"]
[objects.deal_role]
key = "id"
parents = { deal_id = "deal", contact_id = "contact" }
unique = [["deal_id", "contact_id"]]
[objects.seat]
key = "id"
parents = { contact_id = "contact" }
unique = [["contact_id", "room"]]
"""


def key(i: str) -> RecordKey:
    """A contact."""
    return RecordKey("contact", i)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, Snapshot]]:
    """Four clusters: double links; a link to oneself; a membership that moves; nothing at stake."""
    folder = tmp_path_factory.mktemp("losses")
    with sqlite3.connect(folder / "crm.sqlite") as db:
        db.executescript(
            """
            CREATE TABLE company(id TEXT PRIMARY KEY, name TEXT);
            CREATE TABLE contact(id TEXT PRIMARY KEY, name TEXT, phone TEXT, score TEXT, company_id TEXT, manager_id TEXT, updated_at TEXT);
            CREATE TABLE campaign(id TEXT PRIMARY KEY, title TEXT);
            CREATE TABLE campaign_member(id TEXT PRIMARY KEY, contact_id TEXT, campaign_id TEXT, status TEXT);
            CREATE TABLE deal(id TEXT PRIMARY KEY, title TEXT);
            CREATE TABLE deal_role(id TEXT PRIMARY KEY, deal_id TEXT, contact_id TEXT, role TEXT);
            CREATE TABLE seat(id TEXT PRIMARY KEY, contact_id TEXT, room TEXT);
            INSERT INTO company VALUES ('k1', 'Müller GmbH'), ('k2', '<b>Weiß AG</b>');
            INSERT INTO contact VALUES
              ('a1', 'Ann', '1', '90', 'k1', NULL, '2026-01-01'), ('a2', 'Ann', '2', '10', 'k2', NULL, '2026-02-01'),
              ('b1', 'Bob', '3', NULL, NULL, 'b2', '2026-01-01'), ('b2', 'Bob', '3', NULL, NULL, NULL, '2026-02-01'),
              ('c1', 'Cem', '4', NULL, NULL, NULL, '2026-01-01'), ('c2', 'Cem', '4', NULL, NULL, NULL, '2026-02-01'),
              ('d1', 'Dan', '5', NULL, NULL, NULL, '2026-01-01'), ('d2', 'Dan', '5', NULL, NULL, NULL, '2026-02-01');
            INSERT INTO campaign VALUES ('s', 'Spring'), ('w', 'Winter');
            INSERT INTO campaign_member VALUES ('m1', 'a1', 's', 'sent'), ('m2', 'a2', 's', 'responded'), ('m3', 'a2', 'w', 'sent'), ('m4', 'c2', 'w', 'sent');
            INSERT INTO deal VALUES ('x', 'Big deal');
            INSERT INTO deal_role VALUES ('r1', 'x', 'a1', 'buyer'), ('r2', 'x', 'a2', 'payer');
            INSERT INTO seat VALUES ('t1', 'a1', '12'), ('t2', 'a2', '13'), ('t3', 'd1', NULL), ('t4', 'd2', NULL);
            """
        )
    db.close()
    ws = Workspace.open(folder / "w", create=True)
    reader = SqlReader(f"sqlite:///{folder / 'crm.sqlite'}", parse_mapping(MAPPING))
    snapshot = ws.take_snapshot(reader, taken_at=NOW)
    reader.close()
    pairs = [(f"{x}1", f"{x}2") for x in "abcd"]
    ws.replace_evidence(
        snapshot, "duplicate", "contact",
        evidence=[Evidence("duplicate", key(b), "linkage", 0.999, "Same name.", (), f"dup-{b[0]}", "l") for _, b in pairs],
        pairs=pl.DataFrame([(a, b, 9.0, 0.999, "name", "[]") for a, b in pairs], orient="row",
                           schema=["left_id", "right_id", "match_weight", "probability", "rule", "weights_json"]),
        clusters=pl.DataFrame([(f"dup-{i[0]}", i, i.endswith("1")) for p in pairs for i in p], orient="row",
                              schema=["cluster_id", "record_id", "survivor"]),
        definition_digest="l", summary={},
    )  # fmt: skip
    ws.replace_evidence(snapshot, "stale", "contact", evidence=[], protections=pl.DataFrame(schema=dict.fromkeys(("record_id", "code", "outcome", "sentence"), pl.String)),
                        definition_digest="p", summary={})  # fmt: skip
    yield ws, snapshot
    ws.close()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[DecisionLog]:
    """A fresh log."""
    with DecisionLog.open(tmp_path) as opened:
        yield opened


def session(desk: tuple[Workspace, Snapshot], log: DecisionLog) -> ReviewSession:
    """A reviewer."""
    return ReviewSession(*desk, log, "anna", now=lambda: NOW)


def test_links_that_exist_once_ask_before_a_merge_and_a_person_decides(
    desk: tuple[Workspace, Snapshot], log: DecisionLog
) -> None:
    work = session(desk, log)
    with pytest.raises(ConfirmationNeededError) as asked:
        work.decide("dup-a", Intent(A.MERGE))
    assert {c.facts["code"]: c.facts["count"] for c in asked.value.concerns} == {
        "link_conflict_campaign_member": 1,
        "link_conflict_deal_role": 1,  # the seats are in two rooms
    }
    assert log.head().seq == 0
    work.decide("dup-a", Intent(A.DELETE, confirmed=True))  # a deletion moves nothing, so nothing collides
    work.undo()
    work.decide("dup-a", Intent(A.MERGE, confirmed=True))
    assert log.standing().by_key[key("a2")].action is A.MERGE
    for quiet in ("dup-c", "dup-d"):  # it only moves; no value is no conflict
        work.decide(quiet, Intent(A.MERGE))


def test_a_survivor_that_refers_to_the_merged_record_is_refused_and_the_other_way_round_is_not(
    desk: tuple[Workspace, Snapshot], log: DecisionLog
) -> None:
    work = session(desk, log)
    with pytest.raises(ProtectedError, match="refer to itself"):
        work.decide("dup-b", Intent(A.MERGE, confirmed=True))
    work.decide("dup-b", Intent(A.MERGE, survivor="b2"))


def test_bulk_and_rules_leave_conflicts_to_people(desk: tuple[Workspace, Snapshot], log: DecisionLog) -> None:
    work = session(desk, log)
    bulk = work.plan_bulk(Intent(A.MERGE))
    assert bulk.cases == 2 and {case for case, _ in bulk.left_out} == {"dup-a", "dup-b"}
    work.close()
    rules = parse_rules(
        'format = "steward-rules/1"\nname = "x"\n[[rule]]\nkind = "duplicate"\nmin_probability = 0.9\naction = "merge_into"\nprotections = "policy"\n'
    )
    outcome = decide_by_rule(*desk, log, rules, now=NOW)
    assert outcome.cases == 2 and {d.case_id for d in log.read()} == {"dup-c", "dup-d"}


def test_the_panel_is_told_of_lists_roles_and_every_value_that_would_be_lost(
    desk: tuple[Workspace, Snapshot], log: DecisionLog
) -> None:
    said: list[dict[str, object]] = []
    talk = Conversation(session(desk, log), said.append)
    case = talk.shown.case("dup-a", {})
    second = next(m for m in case["members"] if m["id"] == "a2")
    shown = {(m["object"], m["to"], m["conflicts"], *(v for _, v in m["role"])) for m in second["memberships"]}
    assert shown == {
        ("campaign_member", "Spring", True, "responded"), ("campaign_member", "Winter", False, "sent"),
        ("deal_role", "Big deal", True, "payer"), ("seat", "t2", False, "13"),
    }  # fmt: skip
    lost = {(x["field"], x["value"], x["refers"], x["free"]) for x in case["result"]["lost"]}
    assert lost == {("phone", "2", None, True), ("company_id", "k2", "<b>Weiß AG</b>", True), ("score", "10", None, False)}
    assert [c["level"] for c in case["concerns"]["merge_into"]] == ["warning", "warning"]


def test_a_merge_that_takes_a_value_by_hand_loses_the_other(desk: tuple[Workspace, Snapshot], log: DecisionLog) -> None:
    talk = Conversation(session(desk, log), lambda _m: None)
    case = talk.shown.case("dup-a", {"choices": {"phone": "a2"}})
    assert {(x["field"], x["value"]) for x in case["result"]["lost"]} >= {("phone", "1")}
    assert [(x["field"], x["id"], x["value"]) for x in case["result"]["taken"]] == [("phone", "a2", "2")]


def test_which_links_exist_once_follows_from_the_mapping() -> None:
    objects = parse_mapping(MAPPING).objects
    assert unique_links(objects["campaign_member"], "contact_id") == [("campaign_id",)]
    assert unique_links(objects["deal_role"], "contact_id") == [("deal_id",)]
    by_key = MAPPING.replace('key = "id"\nparents = { deal_id', 'key = "deal_id+contact_id"\nparents = { deal_id').replace(
        'unique = [["deal_id", "contact_id"]]', ""
    )
    assert unique_links(parse_mapping(by_key).objects["deal_role"], "contact_id") == [("deal_id",)]
    assert unique_links(objects["seat"], "contact_id") == [("room",)]
    assert unique_links(objects["contact"], "company_id") == []
    with pytest.raises(SchemaMismatchError, match="unique"):
        parse_mapping(MAPPING.replace('[["contact_id", "room"]]', '[["room"]]'))


def test_links_of_which_a_record_may_have_only_one_are_told_to_the_draft(desk: tuple[Workspace, Snapshot]) -> None:
    ws, snapshot = desk
    mapping = ws.mapping(snapshot)
    found = singles(ws.connection, ws, snapshot, mapping, [key("a1"), key("a2"), key("c2"), key("d1"), key("d2")])
    assert [[(x.child.object, x.child.id, x.parent.id) for x in group] for group in found] == [
        [("campaign_member", "m1", "a1"), ("campaign_member", "m2", "a2")],
        [("campaign_member", "m3", "a2"), ("campaign_member", "m4", "c2")],
        [("deal_role", "r1", "a1"), ("deal_role", "r2", "a2")],
    ]
    assert singles(ws.connection, ws, snapshot, mapping, [key("d1"), key("d2")]) == []  # rooms are empty


def test_a_person_chooses_which_of_two_links_stays_and_the_draft_lets_the_other_go_first(
    desk: tuple[Workspace, Snapshot], log: DecisionLog
) -> None:
    ws, snapshot = desk
    work = session(desk, log)
    with pytest.raises(DecisionError, match="must stay"):
        work.decide("dup-a", Intent(A.MERGE, links=frozenset({"campaign_member/m1", "campaign_member/m2"})))
    with pytest.raises(DecisionError, match="none of the links"):
        work.decide("dup-a", Intent(A.MERGE, links=frozenset({"campaign_member/m3"}), confirmed=True))
    with pytest.raises(ConfirmationNeededError) as asked:  # the role in the deal is still open
        work.decide("dup-a", Intent(A.MERGE, links=frozenset({"campaign_member/m2"})))
    assert [c.facts["code"] for c in asked.value.concerns] == ["link_conflict_deal_role"]
    assert log.head().seq == 0

    group = work.decide("dup-a", Intent(A.MERGE, links=frozenset({"campaign_member/m2", "deal_role/r1"})))
    standing = log.standing()
    member, role = RecordKey("campaign_member", "m2"), RecordKey("deal_role", "r1")
    assert [(standing.by_key[k].action, standing.by_key[k].choices) for k in (member, role)] == [
        (A.DELETE, {"stays": "m1"}),
        (A.DELETE, {"stays": "r2"}),
    ]
    assert group.records == 4 and work.progress("duplicate").decided == 1

    mapping = ws.mapping(snapshot)
    states, children = {}, {}
    for name in ("contact", "campaign_member", "deal_role"):
        table = ws.table(snapshot, name)
        for i, digest, version in ws.connection.execute(f"SELECT _id, _digest, _version FROM {table}").fetchall():
            states[RecordKey(name, i)] = RecordState(digest, version)
        if name != "contact":
            for i, parent in ws.connection.execute(f"SELECT _id, contact_id FROM {table} ORDER BY _id").fetchall():
                children.setdefault(key(parent), []).append(Link(RecordKey(name, i), "contact_id", key(parent)))
    rules = DraftRules(policy_digest="1" * 64, policy_version="1", max_records=9, max_percent_of_object=10_000)
    planner = Planner(
        {d.key: d for d in standing.destructive()}, states, dict.fromkeys(states, ()), children, mapping.objects, rules, {},
        singles=singles(ws.connection, ws, snapshot, mapping, [key("a1"), key("a2")]),
    )  # fmt: skip
    items = planner.plan()
    assert planner.held == []
    assert {(i.object, i.id, i.action) for i in items[:2]} == {(*_pair(k), "hard_delete") for k in (member, role)}
    assert (items[2].id, items[2].action) == ("a2", "merge_into")
    assert [(r.object, r.rule, r.count) for r in items[2].related] == [("campaign_member", "move", 1), ("deal_role", "move", 1)]

    work.undo()
    assert log.standing().by_key == {} and work.progress("duplicate").decided == 0


def _pair(of: RecordKey) -> tuple[str, str]:
    return of.object, of.id
