"""Birthdays in three columns, a year alone, and dates without a header that says whose they are."""

from __future__ import annotations

import random

import polars as pl
import pytest

from steward.scoring.duplicates.birthdays import birth_parts, lie_like_birthdays
from steward.scoring.duplicates.link import link
from steward.scoring.duplicates.profile import header_words, propose


def _parts(columns: dict[str, list[str | None]]) -> dict[str, str]:
    return birth_parts({c: header_words(c) for c in columns}, pl.DataFrame(columns))


@pytest.mark.parametrize(
    "headers",
    [("by", "bm", "bd"), ("birth_year", "birth_month", "birth_day"), ("YearOfBirth", "MonthOfBirth", "DayOfBirth"),
     ("Geburtsjahr", "Geburtsmonat", "Geburtstag"), ("出生年", "出生月", "出生日")],
)  # fmt: skip
def test_a_birthday_in_three_columns_is_one_field(headers: tuple[str, str, str]) -> None:
    year, month, day = headers
    assert _parts({year: ["1949", "1968", None], month: ["7", "07", None], day: ["22", "3", None]}) == {
        "year": year, "month": month, "day": day,
    }  # fmt: skip


def test_columns_that_hold_no_numbers_of_a_date_are_none() -> None:
    assert _parts({"by": ["Anna", "Max"], "bm": ["x", "y"], "bd": ["1", "2"]}) == {}
    assert _parts({"birth_year": ["1949", "1968"], "birth_month": ["13", "77"], "birth_day": ["1", "2"]}) == {
        "year": "birth_year"
    }
    assert _parts({"birthday": ["1949-07-22", "1968-05-03"]}) == {}


def test_two_people_of_one_name_are_told_apart_by_a_birthday_in_three_columns() -> None:
    dice = random.Random(4)
    rows = []
    for number in range(300):
        row = {
            "first": dice.choice(["Anna", "Ben", "Carl", "Dora", "Emil", "Fritz", "Gerda"]),
            "last": dice.choice(["Adler", "Berg", "Cramer", "Dorn", "Eich", "Falk", "Gruber", "Haas"]),
            "by": str(dice.randint(1940, 2000)), "bm": str(dice.randint(1, 12)), "bd": str(dice.randint(1, 28)),
        }  # fmt: skip
        rows.append({"id": f"a{number}", **row})
        if number % 6 == 0:
            rows.append({"id": f"b{number}", **row})
    found = link(pl.DataFrame(rows), ids="id")
    assert [f.kind for f in found.definition.fields] == ["given", "family", "birthdate"]
    assert found.definition.fields[2].columns == ("by", "bm", "bd")
    assert sorted(found.groups()) == sorted([f"a{n}", f"b{n}"] for n in range(0, 300, 6))


def test_dates_without_a_header_are_birthdays_where_they_lie_as_birthdays_do() -> None:
    dice = random.Random(5)
    births = pl.Series([f"{dice.randint(1935, 2004)}-{dice.randint(1, 12):02d}-{dice.randint(1, 28):02d}" for _ in range(400)])
    visits = pl.Series([f"{dice.randint(2016, 2026)}-{dice.randint(1, 12):02d}-{dice.randint(1, 28):02d}" for _ in range(400)])
    assert lie_like_birthdays(births) and not lie_like_birthdays(visits)
    assert not lie_like_birthdays(births.head(5)) and not lie_like_birthdays(pl.Series(["x"] * 50 + list("abcdefghijkl")))
    frame = pl.DataFrame(
        {"id": [str(i) for i in range(400)], "c1": births, "c2": visits, "c3": ["Anna Berg", "Ben Haas"] * 200}
    )
    used = {c.column: c.used_as for c in propose(frame, ids="id").columns}
    assert used["c1"] == "birthdate" and used["c2"] == ""


def test_a_full_name_that_merely_repeats_its_parts_is_left_to_them() -> None:
    frame = pl.DataFrame(
        {
            "id": ["1", "2", "3", "4"], "full_name": ["Ann Lee", "Bo Ray", None, "Cy Day"],
            "first_and_surname": ["Ann Lee", "Bo Ray", None, "Cy Day"], "first_name": ["Ann", None, None, "Cy"],
            "surname": ["Lee", "Ray", None, "Day"], "birth_place": ["Hull", "York", "Hull", "Ely"],
        }
    )  # fmt: skip
    assert [(f.name, f.kind) for f in propose(frame, ids="id").definition.fields] == [
        ("first_name", "given"), ("surname", "family"), ("birth_place", "city"),
    ]  # fmt: skip
    some = frame.with_columns(pl.when(pl.col("id") == "3").then(pl.lit("Di Fox")).otherwise("full_name").alias("full_name"))
    assert propose(some, ids="id").definition.fields[0].kind == "person"
