"""Strangers of one town are counted, so that a shared town and postcode are no second witness for one another."""

from __future__ import annotations

import random

import numpy as np
import polars as pl
import pytest

from steward.scoring.duplicates.columns import build
from steward.scoring.duplicates.definition import Definition, Field, Rule
from steward.scoring.duplicates.link import link
from steward.scoring.duplicates.towns import AT_MOST, Towns

TOWNS = (  # noqa: SIM905
    "aachen berlin coburg dresden essen fulda goslar hamburg iserlohn jena kiel luebeck mainz nuernberg oldenburg passau "
    "quedlinburg rostock stuttgart trier ulm vechta wismar xanten zwickau ypsilanti"
).split()


def _people(count: int, seed: int, towns: list[str]) -> tuple[pl.DataFrame, list[list[str]]]:
    """Return people of many towns, a postcode area each; every eighth has a copy, in half of them with a slip."""
    dice = random.Random(seed)
    rows, true = [], []
    for number in range(count):
        town = dice.randrange(len(towns))
        name = "".join(dice.choice("bdfgklmnprst") + dice.choice("aeiou") for _ in range(3))
        row = {
            "first_name": dice.choice(["anna", "ben", "carl", "dora", "emil", "fritz", "gerda", "hanna", "ida", "jan"]),
            "last_name": name, "city": towns[town], "postcode": f"{100 + town}{dice.randint(10, 99)}",
        }  # fmt: skip
        rows.append({"id": f"a{number}", **row})
        if number % 8 == 0:
            slip = name[:2] + name[3:] if number % 16 == 0 else name
            rows.append({"id": f"b{number}", **row, "last_name": slip})
            true.append([f"a{number}", f"b{number}"])
    return pl.DataFrame(rows), true


@pytest.mark.parametrize("count", [1, 4, 26])
def test_the_share_of_strangers_in_one_town_is_that_of_the_table(count: int) -> None:
    frame, _ = _people(1500, 3, TOWNS[:count])
    fields = tuple(Field(c, k, (c,)) for c, k in (("last_name", "family"), ("city", "city"), ("postcode", "postcode")))
    table = build(frame, Definition(fields, (Rule(()),)), ids="id")
    m = [np.array([0.05, 0.01, 0.04, 0.1, 0.8]), np.array([0.05, 0.05, 0.9]), np.array([0.05, 0.15, 0.8])]
    same = 1 / count
    u = [np.array([0.99, 0.001, 0.002, 0.002, 0.005]), np.array([1 - same, 1e-6, same]), np.array([0.98, 0.019, 0.001])]
    found = Towns(table, np.random.default_rng(1)).share(m, u, (False, True, True))
    if count == 26:
        assert 0.5 * same < found < 1.5 * same
    assert 0.0 <= found <= AT_MOST


def test_neighbours_of_one_given_name_are_not_taken_for_customers_who_changed_their_surname() -> None:
    frame, true = _people(2400, 11, TOWNS)
    found = link(frame, ids="id")
    merged = {tuple(g) for g in found.groups()}
    right = {tuple(t) for t in true}
    assert found.model is not None and found.model.related_odds[found.model.related_names.index("town")] > 10
    assert len(merged & right) >= 0.9 * len(right) and len(merged - right) <= 0.05 * len(right)


def test_what_people_of_one_town_share_is_read_from_the_table() -> None:
    frame, _ = _people(1500, 3, TOWNS)
    fields = tuple(Field(c, k, (c,)) for c, k in (("last_name", "family"), ("city", "city"), ("postcode", "postcode")))
    towns = Towns(build(frame, Definition(fields, (Rule(()),)), ids="id"), np.random.default_rng(1))
    classes: list[tuple[bool | np.ndarray, ...]] = [(False, True, True), (True, False, False), (True, True, True)]
    seen = towns.seen(classes, ["town", "namesake", "namesake in town"])
    assert seen[1] == classes[1] and seen[0][:2] == (False, True) and seen[2][:2] == (True, True)
    for shared in (seen[0], seen[2]):
        differs, area, exact = np.asarray(shared[2])
        assert differs < 0.02 and area > 0.9 and exact == pytest.approx(1 / 90, abs=0.02)
    few = build(frame.head(3), Definition(fields, (Rule(()),)), ids="id")
    assert Towns(few, np.random.default_rng(1)).seen(classes, ["town", "namesake", "namesake in town"])[1] == classes[1]
