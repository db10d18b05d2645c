"""Staleness over generated lives: more activity, a protection, a later day and the same snapshot do what they must.

Taking and scoring a snapshot costs a hundred times what generating does (a connection kept open would save a fifth of it). So
each example is a small CRM of several people, compared person by person, and where the day is the same both lives lie in one
snapshot: people as they are, and beside them twins of whom one thing is different, in companies of their own.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steward.policy import Holds, blocking, parse_holds
from steward.records import RecordKey
from steward.scoring.staleness import score_staleness
from steward.store import Workspace
from tests.support.reasons import AS_OF, World

MANY = settings(max_examples=25, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
FEW = settings(max_examples=5, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
BEFORE = st.integers(min_value=0, max_value=20 * 365)  # days before the snapshot
PERSON = st.fixed_dictionaries(
    {
        "created": BEFORE,
        "activity": st.lists(BEFORE, max_size=3),
        "order": st.lists(BEFORE, max_size=2),
        "email": st.sampled_from([None, "a@b.de"]),
        "owner": st.sampled_from(["U1", "U9", None]),
        "company": st.sampled_from(["K1", "K2", None]),
    }
)
PEOPLE = st.lists(PERSON, min_size=5, max_size=12)
Person = dict[str, Any]


def _day(before: int) -> str:
    return (AS_OF - timedelta(days=before)).date().isoformat()


def world_of(people: list[Person], twins: list[Person] | None = None, *, whole: bool = False) -> World:
    """Return a CRM of people P0, P1, … in companies K1 and K2, and of twins T0, T1, … in companies L1 and L2.

    Only ``whole`` has every source of protection.
    """
    world = World()
    if not whole:
        for object in ("invoice", "deal", "quote", "contract", "ticket"):
            world.without(object)
    first = {name: rows[0] for name, rows in world.records.items()}
    world.records["contact"], number = [], 0
    if twins is not None:
        world.records["company"] += [{**row, "id": _twin(str(row["id"]))} for row in world.records["company"]]
    named = [(f"P{n}", p["company"], p) for n, p in enumerate(people)]
    named += [(f"T{n}", p["company"] and _twin(p["company"]), p) for n, p in enumerate(twins or [])]
    for id, company, person in named:
        own = {"id": id, "created": _day(person["created"]), "email": person["email"], "owner_id": person["owner"]}
        world.records["contact"].append({**first["contact"], **own, "company_id": company})
        for object in ("activity", "order"):
            for before in person[object]:
                number += 1
                world.records[object].append({**first[object], "id": f"X{number}", "day": _day(before), "contact_id": id})
    return world


def _twin(id: str) -> str:
    return id.translate(str.maketrans("PK", "TL"))


def scored(
    world: World, *, object: str = "contact", as_of: datetime = AS_OF, holds: Holds | None = None, threads: int = 2
) -> tuple[dict[str, float], set[str], bytes, str]:
    """Return score per stale record, the stale records that may be deleted, the bytes of all evidence, and the snapshot."""
    with tempfile.TemporaryDirectory() as name, Workspace.open(Path(name) / "w", create=True) as ws:
        ws.connection.execute(f"SET threads = {threads}")
        snapshot = world.snapshot(ws, Path(name) / "files", as_of)
        score_staleness(ws, snapshot, object, world.policy, holds=holds or Holds())
        stale = {e.key.id: e.score for e in ws.evidence(snapshot, kind="stale", object=object)}
        kept = ws.protections(snapshot)
        free = {id for id in stale if not blocking("delete", kept.get(RecordKey(object, id), []))}
        rows = [ws.connection.sql(f"SELECT * FROM {table} ORDER BY ALL").fetchall() for table in ("evidence", "protections")]
        return stale, free, repr(rows).encode(), snapshot.digest


def never_staler(before: dict[str, float], after: dict[str, float]) -> None:
    """Every record that is stale after was stale before, with at least as many points."""
    assert {id: score for id, score in after.items() if score > before.get(id, -1)} == {}


def halves(scores: dict[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """Return the scores of the people, and those of their twins under the people's ids."""
    people = {id: score for id, score in scores.items() if id[0] in "PK"}
    back = str.maketrans("TL", "PK")
    return people, {id.translate(back): score for id, score in scores.items() if id not in people}


@MANY
@given(PEOPLE, st.data())
def test_more_activity_never_makes_staler(people: list[Person], data: st.DataObject) -> None:
    dormant = {"created": 7000, "activity": [], "order": [], "email": None, "owner": "U9", "company": None}
    people = [*people, dormant, dormant]  # somebody is stale, and grows fresher by most of what is drawn
    more = [
        {**p, "activity": [*p["activity"], *data.draw(st.lists(BEFORE, min_size=1, max_size=2))], "order": p["order"] + data.draw(st.lists(BEFORE, max_size=1))}
        for p in people
    ]  # fmt: skip
    object = data.draw(st.sampled_from(["contact", "contact", "company"]))
    never_staler(*halves(scored(world_of(people, more), object=object)[0]))


@FEW
@given(PEOPLE, st.sampled_from(["contact", "company"]))
def test_twins_without_a_difference_are_alike(people: list[Person], object: str) -> None:
    """What the comparison of twins rests on; and somebody is stale, or else nothing is compared."""
    dormant = {"created": 7000, "activity": [], "order": [], "email": None, "owner": "U9", "company": None}
    world = world_of([*people, dormant], [*people, dormant], whole=True)
    stale, free, *_rest = scored(world, object=object)
    mine, theirs = halves(stale)
    assert mine == theirs and (mine or object == "company")
    assert {_twin(id) for id in free if id[0] in "PK"} == {id for id in free if id[0] in "TL"}


def test_an_activity_from_before_a_record_was_made_does_not_age_it() -> None:
    nobody: Person = {"created": 40 * 30, "activity": [], "order": [], "email": None, "owner": "U9", "company": "K1"}
    without = scored(world_of([nobody]))[0]
    imported = scored(world_of([{**nobody, "activity": [15 * 365]}]))[0]
    assert without["P0"] > imported.get("P0", -1)
    young = [{**nobody, "created": 300}]
    young_too = [{**nobody, "created": 300, "activity": [15 * 365]}]
    never_staler(scored(world_of(young), object="company")[0], scored(world_of(young_too), object="company")[0])


PROTECT: dict[str, Callable[[World, str], None]] = {
    "deal": lambda w, id: w.add("deal", contact_id=id, state="open", day="2009-01-01"),
    "order": lambda w, id: w.add("order", contact_id=id, state="sent", day="2009-01-01"),
    "ticket": lambda w, id: w.add("ticket", contact_id=id, state=None, day="2009-01-01"),
    "letter": lambda w, id: w.add("order", contact_id=id, state="done", day="2021-01-01"),
    "new": lambda w, id: w.change("contact", id, created="2026-01-30"),
    "hold": lambda w, id: None,
}


@MANY
@given(PEOPLE, st.sampled_from(sorted(PROTECT)), st.data())
def test_a_protection_never_makes_deletable(people: list[Person], what: str, data: st.DataObject) -> None:
    dormant = {"created": 6000, "activity": [], "order": [], "email": None, "owner": "U9", "company": None}
    people = [*people, dormant]
    one = data.draw(st.sampled_from([f"P{n}" for n in range(len(people))]))
    world = world_of(people, people, whole=True)
    PROTECT[what](world, _twin(one))
    found = scored(world, holds=parse_holds(f"contact/{_twin(one)}\n") if what == "hold" else None)[1]
    free = {_twin(id) for id in found if id[0] == "P"}
    assert _twin(f"P{len(people) - 1}") in free
    assert {id for id in found if id[0] == "T"} <= free - {_twin(one)}


@MANY
@given(PEOPLE, st.integers(min_value=1, max_value=3_000), st.sampled_from(["contact", "company"]))
def test_a_later_day_never_makes_fresher(people: list[Person], days: int, object: str) -> None:
    """Nothing happened between the two days: every date of the snapshot lies before the earlier one."""
    world = world_of(people)
    earlier, later = scored(world, object=object)[0], scored(world, object=object, as_of=AS_OF + timedelta(days=days))[0]
    never_staler(later, earlier)


@FEW
@given(PEOPLE, st.randoms(use_true_random=False))
def test_the_same_snapshot_and_policy_give_the_same_bytes(people: list[Person], dice: random.Random) -> None:
    """Whatever the order of rows in the files and the number of threads."""
    world = world_of(people, whole=True)
    *_rest, first, snapshot = scored(world)
    for rows in world.records.values():
        dice.shuffle(rows)
    *_rest, second, again = scored(world, threads=1)
    assert snapshot == again
    assert first == second


def test_the_day_is_the_snapshots() -> None:
    person: Person = {"created": 6000, "activity": [1100], "order": [], "email": None, "owner": "U9", "company": None}
    world = world_of([person])
    assert scored(world, as_of=datetime(2024, 6, 1, tzinfo=UTC))[0] == {}
    assert set(scored(world)[0]) == {"P0"}


def test_an_import_of_many_rows_at_one_instant_is_no_activity_and_people_are() -> None:
    people: list[Person] = [
        {"created": 6000, "activity": [5000], "order": [], "email": None, "owner": "U9", "company": None} for _ in range(4)
    ]
    for n, person in enumerate(people):
        person["activity"] = [5000 + 7 * (4 * k + n) for k in range(120)] + [10]  # each day is a person's own but the last
    world = world_of(people)
    assert scored(world)[0] == {}  # four on one day are people
    world.policy_text = world.policy_text.replace("[staleness]\n", "[staleness]\nbulk_rows = 4\n")
    assert scored(world)[0] == {}  # and so they are where four is the floor, for other days have as many as one
    for n in range(4):
        for _ in range(40):
            world.add("activity", contact_id=f"P{n}", day=_day(10))
    assert set(scored(world)[0]) == {f"P{n}" for n in range(4)}  # 164 of 645 rows lie on one day
    world.policy_text = world.policy_text.replace("bulk_rows = 4\n", "bulk_rows = 165\n")
    assert scored(world)[0] == {}
