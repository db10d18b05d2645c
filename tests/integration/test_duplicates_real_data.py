"""Duplicate scoring without settings on data sets with truth; the floors are what was measured, less a margin."""

from __future__ import annotations

from pathlib import Path

import pytest

from steward.scoring.duplicates.link import link
from tests.support.duplicates import pairs_of_groups, read_csv, restaurants
from tests.support.linkage import febrl, figures, real_sets, run

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def measured(request: pytest.FixtureRequest) -> dict[str, dict[str, float]]:
    """Figures of every set of the folder, rows shuffled and records renamed."""
    data: Path = request.getfixturevalue("real_data")
    return {name: figures(run(table), table) for name, table in real_sets(data).items()}


def test_fake1000_is_found_without_settings(measured: dict[str, dict[str, float]]) -> None:
    found = measured["fake_1000"]
    assert found["f1@.5"] >= 0.92 and found["f1@.95"] >= 0.77
    assert found["cl. prec."] >= 0.99 and found["cl. f1"] >= 0.92 and found["b-cubed"] >= 0.94


def test_restaurants_link_across_guides_only(real_data: Path, measured: dict[str, dict[str, float]]) -> None:
    found = measured["fodors_zagats"]
    assert found["f1@.5"] >= 0.98
    assert found["cl. f1"] >= 0.965 and found["wrong"] == 0
    frame, _ = restaurants(real_data)
    pairs = link(frame, ids="id", source="guide").pairs_frame()
    assert all(a[0] != b[0] for a, b in pairs.select("left_id", "right_id").iter_rows())


def test_truthset_offers_true_pairs_and_proposes_no_wrong_merge(measured: dict[str, dict[str, float]]) -> None:
    found = measured["truthset"]
    assert found["offered"] >= 0.95
    assert found["wrong"] == 0 and found["cl. recall"] >= 0.55


def test_probabilities_above_one_half_mean_what_they_say(measured: dict[str, dict[str, float]]) -> None:
    errors = {name: found["ece"] for name, found in measured.items()} | {
        "febrl_1": figures(run(table := febrl(1)), table)["ece"]
    }
    assert max(errors.values()) <= 0.05, errors


def test_febrl_with_every_usable_field_and_no_settings() -> None:
    table = febrl(2)
    found = figures(run(table), table)
    assert found["f1@.5"] >= 0.998 and found["cl. f1"] >= 0.998 and found["b-cubed"] >= 0.999


def test_households_of_one_name_are_no_duplicates(real_data: Path) -> None:
    frame = read_csv(real_data / "crm_npsp" / "accounts.csv")
    result = link(frame, ids="id", role="company")
    name_of = dict(frame.select("id", "Name").iter_rows())
    street_of = dict(frame.select("id", "BillingStreet").iter_rows())
    for group in result.groups():
        for a, b in pairs_of_groups([group]):
            assert not (name_of[a] == name_of[b] and street_of[a] != street_of[b]), (name_of[a], street_of[a], street_of[b])


def test_northwind_has_no_duplicates(real_data: Path) -> None:
    frame = read_csv(real_data / "crm_northwind" / "customers.csv")
    result = link(frame, ids="CustomerID")
    assert result.groups() == []
