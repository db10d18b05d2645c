"""What is assumed of look-alikes holds in small tables, fades in large ones that show none, and never hides those they show."""

from __future__ import annotations

import random

import polars as pl
import pytest

from steward.scoring.duplicates.link import LinkResult, link
from steward.scoring.duplicates.train import FADES_FROM, FLOOR_MATCHES, LEAST_ODDS, _assumed


@pytest.mark.parametrize(
    ("matches", "assumed"), [(10, 10), (FLOOR_MATCHES, FLOOR_MATCHES), (FADES_FROM, FLOOR_MATCHES), (10 * FADES_FROM, 0.6)]
)
def test_matches_for_which_look_alikes_are_assumed(matches: float, assumed: float) -> None:
    assert _assumed(matches) == pytest.approx(assumed)


def _odds(copies: int, twins: int, seed: int = 6) -> tuple[LinkResult, float]:
    """Link people with unlike names, ``copies`` of them twice with a slip, and ``twins`` of them with a twin at home."""
    dice = random.Random(seed)

    def name() -> str:
        return "".join(dice.choice("bdfgklmnprst") + dice.choice("aeiou") for _ in range(3))

    rows = []
    for number in range(3 * copies):
        day = f"{dice.randint(1930, 2004)}-{dice.randint(1, 12):02d}-{dice.randint(1, 28):02d}"
        row = {"given_name": name(), "surname": name(), "dob": day, "street": f"{name()} street {dice.randint(1, 90)}",
               "postcode": str(dice.randint(10000, 99999)), "ssn": str(dice.randint(10**8, 10**9))}  # fmt: skip
        rows.append({"id": f"a{number}", **row})
        if number < copies:
            slip = str(row["ssn"])[:-1] + "0"
            rows.append({"id": f"b{number}", **row, **({"ssn": slip} if number % 3 else {"surname": row["surname"][:-1]})})
        elif number < copies + twins:
            rows.append({"id": f"t{number}", **row, "given_name": name(), "ssn": str(dice.randint(10**8, 10**9))})
    found = link(pl.DataFrame(rows), ids="id")
    assert found.model is not None
    return found, found.model.related_odds[found.model.related_names.index("twins")]


def test_a_large_table_without_twins_is_hardly_assumed_to_hold_any() -> None:
    _, few = _odds(copies=50, twins=0)
    _, many = _odds(copies=900, twins=0)
    assert few == pytest.approx(LEAST_ODDS["twins"], rel=0.1)
    assert many < LEAST_ODDS["twins"] / 500


def test_twins_that_a_large_table_shows_are_seen_and_stay_apart() -> None:
    found, odds = _odds(copies=900, twins=60)
    assert odds > 0.04
    merged = {member for group in found.groups() for member in group}
    assert not {m for m in merged if m.startswith("t")} and len(merged) >= 1780
