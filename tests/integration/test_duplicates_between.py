"""One source found in another, on real data: an import list in the CRM, guides of restaurants, people and their companies."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from steward.cli import main
from steward.errors import ScoringError
from steward.scoring.duplicates.between import BetweenResult, Side, link_between
from steward.scoring.duplicates.definition import parse_definition
from steward.scoring.duplicates.plan import Plan
from tests.support.duplicates import fake1000, precision_recall_f1, read_csv


def _above(result: BetweenResult) -> set[tuple[str, str]]:
    frame = result.pairs_frame().filter(pl.col("probability") >= result.result.cut)
    return set(frame.select("left_id", "right_id").iter_rows())


def _split(folder: Path) -> tuple[Side, Side, set[tuple[str, str]]]:
    """Return fake1000 in two sources, the second with German headers and one column for the whole name."""
    frame, true = fake1000(folder)
    rows = frame.with_row_index("row")
    left = rows.filter(pl.col("row") % 2 == 0).drop("row")
    whole = (pl.col("first_name").fill_null("") + " " + pl.col("surname").fill_null("")).str.strip_chars().alias("Name")
    right = rows.filter(pl.col("row") % 2 == 1).select(
        pl.col("unique_id").alias("Nr"), whole, pl.col("dob").alias("Geburtsdatum"), pl.col("city").alias("Ort"), pl.col("email").alias("E-Mail")
    )  # fmt: skip
    ours = set(left["unique_id"])
    across = {(a, b) if a in ours else (b, a) for a, b in true if (a in ours) != (b in ours)}
    return Side("crm", left, "unique_id"), Side("list", right, "Nr"), across


@pytest.fixture(scope="module")
def linked(real_data: Path) -> tuple[BetweenResult, set[tuple[str, str]], list[Plan]]:
    left, right, true = _split(real_data)
    plans: list[Plan] = []
    return link_between(left, right, before=plans.append), true, plans


def test_two_lists_with_other_headers_are_brought_together(
    linked: tuple[BetweenResult, set[tuple[str, str]], list[Plan]],
) -> None:
    result, true, plans = linked
    (plan,) = plans
    assert {(f.name, f.kind) for f in plan.fields} == {
        ("name", "person"),
        ("dob", "birthdate"),
        ("city", "city"),
        ("email", "email"),
    }
    assert plan.proposed and plan.pairs > 0
    precision, recall, _ = precision_recall_f1(_above(result), true)
    assert precision >= 0.97 and recall >= 0.65


def test_only_pairs_across_the_sources_are_compared_and_each_left_record_has_a_state(
    linked: tuple[BetweenResult, set[tuple[str, str]], list[Plan]],
) -> None:
    result, _, _ = linked
    pairs = result.pairs_frame()
    ours, theirs = set(result.left.frame["unique_id"]), set(result.right.frame["Nr"])
    assert set(pairs["left_id"]) <= ours and set(pairs["right_id"]) <= theirs
    found = result.found()
    assert found["left_id"].to_list() == result.left.frame["unique_id"].to_list()
    sure = pairs.filter(pl.col("probability") >= result.result.cut)
    assert set(found.filter(pl.col("state").is_in(["found", "several"]))["left_id"]) == set(sure["left_id"])
    assert found.filter(pl.col("state") == "new")["right_id"].null_count() == (found["state"] == "new").sum()
    best = dict(found.select("left_id", "right_id").iter_rows())
    top = pairs.group_by("left_id", maintain_order=True).agg(pl.col("probability").max())
    by_pair = {(a, b): p for a, b, p in pairs.select("left_id", "right_id", "probability").iter_rows()}
    assert all(by_pair[a, str(best[a])] == p for a, p in top.iter_rows())


def test_row_order_and_the_saved_definition_change_nothing(
    real_data: Path, linked: tuple[BetweenResult, set[tuple[str, str]], list[Plan]]
) -> None:
    result, _, plans = linked
    left, right, _ = _split(real_data)
    definition = parse_definition(plans[0].definition)
    shuffled = replace(left, frame=left.frame.sample(fraction=1.0, shuffle=True, seed=3))
    again = link_between(shuffled, replace(right, frame=right.frame.reverse()), definition)
    order = ["left_id", "right_id"]
    assert again.pairs_frame().sort(order).equals(result.pairs_frame().sort(order))
    assert parse_definition(again.definition.toml()).digest == definition.digest


def test_a_rejected_pair_is_not_found_again(
    real_data: Path, linked: tuple[BetweenResult, set[tuple[str, str]], list[Plan]]
) -> None:
    result, _, plans = linked
    left, right, _ = _split(real_data)
    pair = sorted(_above(result))[0]
    again = link_between(left, right, parse_definition(plans[0].definition), apart=[pair])
    assert pair not in set(again.pairs_frame().select("left_id", "right_id").iter_rows())
    assert again.pairs_frame().height == result.pairs_frame().height - 1


def test_two_guides_of_restaurants(real_data: Path) -> None:
    home = real_data / "businesses_fodors_zagats"
    one, two = read_csv(home / "fodors.csv"), read_csv(home / "zagats.csv")
    result = link_between(Side("fodors", one, "id", "company"), Side("zagats", two, "id", "company"))
    precision, recall, _ = precision_recall_f1(_above(result), set(read_csv(home / "matches.csv").iter_rows()))
    assert precision >= 0.97 and recall >= 0.90
    reasons = result.pairs_frame(reasons=True)
    assert reasons["sentence"][0].startswith("Probably the same customer as zagats/") and "bits" in reasons["sentence"][0]


def test_customers_and_suppliers_of_one_firm_are_not_confused(real_data: Path) -> None:
    home = real_data / "crm_northwind"
    customers, suppliers = read_csv(home / "customers.csv"), read_csv(home / "suppliers.csv")
    result = link_between(
        Side("customers", customers, "CustomerID", "company"), Side("suppliers", suppliers, "SupplierID", "company")
    )
    assert not _above(result)
    copied = {"CompanyName": "Alfred's Futterkiste GmbH", "ContactName": "Anders, Maria", "Phone": "030 / 0074321", "Address": "Obere Straße 57",
              "City": "Berlin", "PostalCode": "12209", "Country": "Germany"}  # fmt: skip
    first = pl.col("SupplierID") == "1"
    planted = suppliers.with_columns(pl.when(first).then(pl.lit(v)).otherwise(pl.col(c)).alias(c) for c, v in copied.items())
    again = link_between(
        Side("customers", customers, "CustomerID", "company"), Side("suppliers", planted, "SupplierID", "company")
    )
    top = again.pairs_frame().row(0, named=True)
    assert (top["left_id"], top["right_id"]) == ("ALFKI", "1") and top["probability"] >= 0.9


def test_names_of_one_person_across_scripts_are_the_first_to_look_at(real_data: Path) -> None:
    pairs = read_csv(real_data / "names_multilingual" / "name_pairs.csv").filter(
        (pl.col("schema") == "Person") & (pl.col("is_match") == "true")
    )
    pairs = (
        pairs.unique("name1", keep="first", maintain_order=True).unique("name2", keep="first", maintain_order=True).head(300)
    )
    left = pairs.select(pl.int_range(pl.len()).cast(pl.String).alias("id"), pl.col("name1").alias("full name"))
    right = pairs.select(pl.int_range(pl.len()).cast(pl.String).alias("id"), pl.col("name2").alias("Name")).reverse()
    definition = parse_definition(
        'format = "steward-linkage/1"\nreview_from = 0.0001\n[[compare]]\nfield = "name"\nkind = "person"\ncolumns = ["full name"]\n'
        'other_columns = ["Name"]\n[[index]]\nkeys = []\n'
    )
    found = link_between(Side("a", left, "id"), Side("b", right, "id"), definition).found()
    right_first = found.filter(pl.col("left_id") == pl.col("right_id")).height
    assert right_first >= 0.75 * found.height


def test_people_find_the_company_they_write_from() -> None:
    companies = pl.DataFrame(
        {"id": [str(i) for i in range(40)], "Firma": [f"{n} GmbH" for n in _WORDS[:40]], "Website": [f"https://www.{n.lower()}.example/de" for n in _WORDS[:40]]}
    )  # fmt: skip
    people = pl.DataFrame(
        {"id": [str(i) for i in range(60)], "Vorname": [w.title() for w in reversed(_WORDS[:60])], "Nachname": [f"{w}er" for w in _WORDS[:60]],
         "E-Mail": [f"{w.lower()}@{_WORDS[i % 50].lower()}.example" for i, w in enumerate(_WORDS[:60])]}
    )  # fmt: skip
    plans: list[Plan] = []
    result = link_between(
        Side("contact", people, "id", "person"), Side("account", companies, "id", "company"), before=plans.append
    )
    assert [(f.kind, f.columns) for f in plans[0].fields] == [("domain", ("E-Mail", "↔", "Website"))]
    best = dict(result.pairs_frame().select("left_id", "right_id").iter_rows())
    assert best == {str(i): str(i % 50) for i in range(60) if i % 50 < 40}
    assert {x.name for x in plans[0].left_out} >= {"contact: Vorname", "account: Firma"}


_WORDS = """Adler Birke Canto Delta Eiche Falke Gamma Hafen Insel Jaspis Kiefer Lambda Mauer Nadel Orion Pappel Quarz Rampe Sigma Tanne
Ulmen Viola Weide Xenon Ypsen Zirbe Ahorn Basalt Cedern Dolmen Elster Flieder Granit Hasel Iltis Jura Krokus Linde Marmor Nelke Opal
Pinie Quelle Robin Silber Topas Umbra Veilchen Wacholder Zinnober Amsel Buche Cello Distel Efeu Finken Ginster Heide Ibis Jolle""".split()  # noqa: SIM905


def test_sources_without_a_common_column_and_ids_that_repeat_are_refused() -> None:
    one = Side("a", pl.DataFrame({"id": ["1", "2"], "email": ["a@x.example", "b@x.example"]}), "id")
    two = Side("b", pl.DataFrame({"id": ["1", "2"], "phone": ["+49 30 1234567", "+49 30 7654321"]}), "id")
    with pytest.raises(ScoringError, match="no column in common"):
        link_between(one, two)
    with pytest.raises(ScoringError, match="ids of b repeat"):
        link_between(one, replace(two, frame=pl.DataFrame({"id": ["1", "1"], "email": ["a", "b"]})))


def test_an_import_list_against_the_crm_from_the_terminal(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = real_data / "crm_npsp"
    for name in ("contacts.csv", "accounts.csv"):
        shutil.copy(home / name, tmp_path / name)
    contacts = read_csv(home / "contacts.csv").filter(pl.col("Email").is_not_null())
    taken = contacts[::9].head(40)
    listed = pl.DataFrame(
        {
            "number": [f"N{i}" for i in range(60)],
            "姓名": [f"{f} {n}".upper() for f, n in taken.select("FirstName", "LastName").iter_rows()]
            + [f"Neu {w}mann" for w in _WORDS[:20]],
            "电子邮件": [e.upper() for e in taken["Email"]] + [f"{w.lower()}@neu.example" for w in _WORDS[:20]],
        }
    )
    listed.write_csv(tmp_path / "liste.csv", separator=";")
    w = str(tmp_path / "w")
    assert (
        main(["snapshot", str(tmp_path / "contacts.csv"), str(tmp_path / "accounts.csv"), "--id", "id", "--workspace", w]) == 0
    )
    before = (tmp_path / "w" / "snapshots.duckdb").read_bytes()
    capsys.readouterr()
    words = ["link", str(tmp_path / "liste.csv"), "contacts", "--id", "number", "--workspace", w]
    assert main([*words, "--to", str(tmp_path / "found.csv"), "--save-definition", str(tmp_path / "d.toml"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    expected = {f"N{i}": str(k) for i, k in enumerate(taken["id"])}
    assert {f["left_id"]: f["right_id"] for f in said["found"]} == expected
    assert said["counts"]["new"] + said["counts"]["unsure"] == 20
    pairs = read_csv(tmp_path / "found.csv")
    assert pairs.columns == ["left_id", "right_id", "match_weight", "probability", "rule", "sentence"] and pairs.height >= 40
    assert main([*words, "--definition", str(tmp_path / "d.toml"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"] == said["counts"]
    assert main([*words, "--plan"]) == 0
    assert "Blocking rules" in capsys.readouterr().out
    assert (tmp_path / "w" / "snapshots.duckdb").read_bytes() == before
    assert main(["link", str(tmp_path / "liste.csv"), "contacts", "--workspace", w]) == 2
    assert main(["link", "contacts", "contacts", "--workspace", w]) == 2
    assert main(["link", "nowhere", "contacts", "--workspace", w]) != 0
