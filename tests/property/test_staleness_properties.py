"""Staleness over generated lives: more activity, a protection, a later day and the same snapshot do what they must.

Taking a snapshot costs more than generating, so each example is a small CRM of several people, compared person by person.
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


def world_of(people: list[Person], *, whole: bool = False) -> World:
    """Return a CRM of these people; only ``whole`` has every source of protection."""
    world = World()
    if not whole:
        for object in ("invoice", "deal", "quote", "contract", "ticket"):
            world.without(object)
    first = {name: rows[0] for name, rows in world.records.items()}
    world.records["contact"], number = [], 0
    for n, person in enumerate(people):
        own = {"id": f"P{n}", "created": _day(person["created"]), "email": person["email"], "owner_id": person["owner"]}
        world.records["contact"].append({**first["contact"], **own, "company_id": person["company"]})
        for object in ("activity", "order"):
            for before in person[object]:
                number += 1
                row = {**first[object], "id": f"X{number}", "day": _day(before), "contact_id": f"P{n}"}
                world.records[object].append(row)
    return world


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


@FEW
@given(PEOPLE, st.data())
def test_more_activity_never_makes_staler(people: list[Person], data: st.DataObject) -> None:
    more = [
        {**p, "activity": [*p["activity"], *data.draw(st.lists(BEFORE, max_size=2))], "order": p["order"] + data.draw(st.lists(BEFORE, max_size=1))}
        for p in people
    ]  # fmt: skip
    object = data.draw(st.sampled_from(["contact", "company"]))
    never_staler(scored(world_of(people), object=object)[0], scored(world_of(more), object=object)[0])


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


@FEW
@given(PEOPLE, st.sampled_from(sorted(PROTECT)), st.data())
def test_a_protection_never_makes_deletable(people: list[Person], what: str, data: st.DataObject) -> None:
    dormant = {"created": 6000, "activity": [], "order": [], "email": None, "owner": "U9", "company": None}
    people = [*people, dormant]
    one = data.draw(st.sampled_from([f"P{n}" for n in range(len(people))]))
    world = world_of(people, whole=True)
    free = scored(world)[1]
    assert f"P{len(people) - 1}" in free
    PROTECT[what](world, one)
    after = scored(world, holds=parse_holds(f"contact/{one}\n") if what == "hold" else None)[1]
    assert after <= free - {one}


@FEW
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
