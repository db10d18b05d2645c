"""Look-alikes that are two customers, hubs that join nobody, and true pairs beside them that must still be found."""

# ruff: noqa: SIM905 - lists of names read best as text

from __future__ import annotations

import random

import polars as pl
import pytest

from steward.scoring.duplicates.link import link
from tests.integration.test_duplicates_metamorphic import people

FIELDS = ("first_name", "last_name", "email", "birthday", "city", "phone", "street")

Planted = list[tuple[str, bool, dict[str, str], dict[str, str]]]


def _person(**values: str) -> dict[str, str]:
    return {field: values.get(field, "") for field in FIELDS}


def _cases() -> Planted:
    """Return (name, same customer?, one record, the other)."""
    home = {"city": "Leeds", "street": "12 Kirkgate Mews", "phone": "+44 113 4960123"}
    kin = _person(first_name="Robert", last_name="Ackroyd", birthday="1951-03-02", email="robert.ackroyd@mail.example", **home)
    flat = {"city": "Hamburg", "street": "Elbchaussee 41", "phone": "+49 40 66969812"}
    twin = _person(first_name="Lena", last_name="Brodersen", birthday="1992-07-19", email="lena.b@mail.example", **flat)
    work = {"city": "Berlin", "street": "Torstraße 9", "phone": "+49 30 23125000"}
    colleague = _person(
        first_name="Jana", last_name="Wiegand", birthday="1980-01-30", email="jana.wiegand@firma.example", **work
    )
    sister = _person(
        first_name="晓明", last_name="王", birthday="1985-05-05", city="北京", street="长安街88号", phone="+86 138 0000 1188"
    )
    alone = _person(first_name="Peter", last_name="Quandt", birthday="1966-11-23", email="peter.quandt@web.example", city="Köln",
                    street="Domplatz 3", phone="+49 221 4710815")  # fmt: skip
    return [
        ("father and son of one name", False, kin, {**kin, "birthday": "1979-10-21", "email": "rob.ackroyd79@post.example"}),
        ("father and son, marked", False, {**kin, "last_name": "Ackroyd Sr", "birthday": ""}, {**kin, "last_name": "Ackroyd Jr", "birthday": "1979-10-21"}),
        ("man and wife", False, kin, {**kin, "first_name": "Margery", "birthday": "1953-08-14", "email": "margery.ackroyd@mail.example"}),
        ("twins", False, twin, {**twin, "first_name": "Lukas", "email": "lukas.b@mail.example"}),
        ("twins with similar names", False, twin, {**twin, "first_name": "Lina", "email": "lina.brodersen@post.example"}),
        ("colleagues", False, colleague, {**colleague, "first_name": "Torben", "last_name": "Hahnemann", "birthday": "1971-06-06",
                                          "email": "torben.hahnemann@firma.example"}),
        ("namesakes", False, alone, {**alone, "birthday": "1991-02-02", "email": "pq91@mail.example", "city": "Leeds",
                                     "street": "4 Mill Lane", "phone": "+44 113 4960999"}),
        ("sisters who share a character", False, sister, {**sister, "first_name": "晓红", "birthday": "1988-09-01"}),
        ("homophones at one address", False, {**sister, "first_name": "伟"}, {**sister, "first_name": "薇", "birthday": "1990-12-12"}),
        ("names in each other's column", True, alone, {**alone, "first_name": "Quandt", "last_name": "Peter", "street": ""}),
        ("names crossed, with a slip", True, alone, {**alone, "first_name": "Quant", "last_name": "Petre", "phone": ""}),
        ("a short form and a slip", True, kin, {**kin, "first_name": "Bob", "last_name": "Akroyd", "email": ""}),
        ("pinyin and characters", True, sister, {**sister, "first_name": "Xiaoming", "last_name": "Wang", "street": ""}),
        ("moved house", True, twin, {**twin, "city": "Berlin", "street": "Ackerstraße 7", "phone": "+49 30 2312 5987"}),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def others() -> pl.DataFrame:
    """People who stand around each case."""
    dice = random.Random(77)
    base = people(300, 31)
    streets = [
        f"{dice.choice('Ahorn Birken Eichen Linden Ulmen Tannen'.split())}weg {dice.randint(1, 180)}"
        for _ in range(base.height)
    ]
    return base.with_columns(pl.Series("street", streets))


@pytest.mark.parametrize(("case", "same", "one", "other"), _cases(), ids=[name for name, *_ in _cases()])
def test_case(others: pl.DataFrame, case: str, same: bool, one: dict[str, str], other: dict[str, str]) -> None:
    both = pl.DataFrame([{"id": "one", **one}, {"id": "other", **other}])
    result = link(pl.concat([others, both], how="diagonal"), ids="id")
    together = any({"one", "other"} <= set(group) for group in result.groups())
    assert together == same
    assert sum(bool({"one", "other"} & set(g)) for g in result.groups()) == int(same)


def test_a_reception_number_and_info_address_join_nobody() -> None:
    dice = random.Random(5)
    base = people(400, 12)
    desk = base.head(40).with_columns(
        ("d" + pl.col("id")).alias("id"), pl.lit("+49 30 1234567").alias("phone"), pl.lit("info@amt.example").alias("email"),
        pl.Series("first_name", [f"{dice.choice('Ada Bea Cleo Dora Edda Fips Gesa Hilke'.split())}{chr(97 + i % 26)}" for i in range(40)]),
        pl.Series("last_name", [f"{chr(65 + i % 26)}{dice.choice('ohlwein uckermann eiffert indhorst apetan'.split())}{i}" for i in range(40)]),
        pl.Series("birthday", [f"19{50 + i}-0{1 + i % 9}-1{i % 9}" for i in range(40)]),
    )  # fmt: skip
    result = link(pl.concat([base, desk]), ids="id")
    assert not any(len([m for m in g if m.startswith("d")]) > 1 for g in result.groups())
    assert {(name, value) for name, value, _ in result.table.hubs} >= {("phone", "301234567"), ("email", "info@amt.example")}


def _places(dice: random.Random) -> pl.DataFrame:
    names = [
        f"{a}{b} {c} GmbH"
        for a in "Nord Süd West Ost Berg Tal".split()
        for b in "mann hof bach stein".split()
        for c in "Druck Bau Holz".split()
    ]
    rows = [
        {"id": f"c{i}", "name": name, "street": f"{dice.choice('Markt Hafen Bahnhof Kirch'.split())}straße {i + 1}", "city": dice.choice("Kiel Bonn Ulm".split()),
         "phone": f"+49 431 77{i:05d}", "owner": ""}
        for i, name in enumerate(names)
    ]  # fmt: skip
    copies = [{**r, "id": f"x{r['id']}", "name": r["name"].replace(" GmbH", " G.m.b.H."), "phone": ""} for r in rows[::6]]
    chain = [{"id": f"f{i}", "name": "Brezelkorb GmbH & Co. KG", "street": f"Ladenzeile {10 + 7 * i}", "city": city, "phone": f"+49 89 5550{i}10", "owner": ""}
             for i, city in enumerate("Kiel Bonn Ulm Köln Trier Jena".split())]  # fmt: skip
    return pl.DataFrame(rows + copies + chain)


def test_branches_of_a_chain_stay_apart_and_copies_are_found() -> None:
    result = link(_places(random.Random(2)), ids="id", role="company")
    groups = result.groups()
    assert not any(sum(m.startswith("f") for m in g) > 1 for g in groups)
    assert sum(any({m, f"x{m}"} <= set(g) for g in groups) for m in [f"c{i}" for i in range(0, 72, 6)]) >= 11


def test_a_company_is_not_its_owner() -> None:
    dice = random.Random(8)
    rows = []
    families = [
        a + b
        for a in "Korn Ravn Holst Bruun Mertz Ost Petri Quast Rahn Seidl".split()
        for b in "feld burg mann rode thal wick".split()
    ]
    for i, family in enumerate(families):
        given = dice.choice("Anna Bernd Clara David Emma Felix Greta Hugo Ida Jonas".split())
        street = f"{dice.choice('Deich Markt Hafen Ring Mühlen Kirch'.split())}weg {dice.randint(1, 200)}"
        shared = {
            "phone": f"+49 40 {dice.randint(10**7, 10**8 - 1)}",
            "street": street,
            "city": dice.choice(["Husum", "Kiel", "Lübeck"]),
        }
        rows.append({"id": f"p{i}", "name": f"{given} {family}", "email": f"{given}.{family}@post.example".lower(), **shared})
        rows.append({"id": f"f{i}", "name": f"{family} Bau GmbH", "email": f"kontakt@{family}-bau.example".lower(), **shared})
    result = link(pl.DataFrame(rows), ids="id")
    assert result.groups() == []
