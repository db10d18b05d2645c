"""Duplicate scoring without settings on data sets with truth; the floors are what was measured, less a margin."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from steward.scoring.duplicates.link import link
from tests.support.duplicates import fake1000, pairs_of_groups, precision_recall_f1, read_csv, restaurants, truthset

pytestmark = pytest.mark.real_data


def _offered(result, at_least: float) -> set[tuple[str, str]]:
    kept = result.pairs_frame().filter(pl.col("probability") >= at_least)
    return set(kept.select("left_id", "right_id").iter_rows())


def test_fake1000_is_found_without_settings(real_data: Path) -> None:
    frame, true = fake1000(real_data)
    result = link(frame, ids="unique_id")
    assert {f.kind for f in result.definition.fields} == {"given", "family", "email", "birthdate", "city"}
    assert precision_recall_f1(_offered(result, 0.5), true)[2] >= 0.87
    precision, _, f1 = precision_recall_f1(pairs_of_groups(result.groups()), true)
    assert precision >= 0.97 and f1 >= 0.85


def test_restaurants_link_across_guides_only(real_data: Path) -> None:
    frame, true = restaurants(real_data)
    result = link(frame, ids="id", source="guide")
    found = _offered(result, 0.5)
    assert all(a[0] != b[0] for a, b in found)
    assert precision_recall_f1(found, true)[2] >= 0.96


def test_truthset_offers_true_pairs_and_proposes_no_wrong_merge(real_data: Path) -> None:
    frame, true = truthset(real_data)
    result = link(frame, ids="RECORD_ID")
    found = _offered(result, 0.0)
    assert len(found & true) / len(true) >= 0.95
    assert pairs_of_groups(result.groups()) - true == set()
    assert len(result.groups()) >= 10


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
