"""The example mappings fit the data they are for: every column, key, parent, date and state."""

from __future__ import annotations

import csv
from datetime import datetime
from pathlib import Path

import pytest

from steward.crm.examples import NAMES, example_mapping
from steward.crm.mapping import Mapping, compose_id, parse_mapping
from steward.store.writing import mapped_columns

FOLDER = {"npsp": "crm_npsp", "northwind": "crm_northwind"}


def load(folder: Path, mapping: Mapping) -> dict[str, list[dict[str, str]]]:
    found = {}
    for name, entry in mapping.objects.items():
        (file,) = entry.files
        with (folder / file).open(encoding="utf-8", newline="") as stream:
            found[name] = list(csv.DictReader(stream))
    return found


@pytest.mark.real_data
@pytest.mark.parametrize("name", NAMES)
def test_an_example_fits_its_data(name: str, real_data: Path) -> None:
    mapping = parse_mapping(example_mapping(name), where=name)
    rows = load(real_data / FOLDER[name], mapping)
    for key, entry in mapping.objects.items():
        assert set(mapped_columns(entry)) <= set(rows[key][0])
        ids = [compose_id([r[c] for c in entry.key_columns]) for r in rows[key]]
        assert all(ids) and len(ids) == len(set(ids))
        for column, parent in entry.parents.items():
            known = {r[mapping.objects[parent].key] for r in rows[parent]}
            assert {r[column] for r in rows[key] if r[column]} <= known, (key, column)
        for column, form in entry.dates.items():
            for row in rows[key]:
                if row[column]:
                    datetime.strptime(row[column], form)


@pytest.mark.real_data
def test_every_file_of_the_samples_is_mapped_or_named(real_data: Path) -> None:
    for name in NAMES:
        text = example_mapping(name)
        for file in (real_data / FOLDER[name]).glob("*.csv"):
            assert file.name in text


def test_an_unknown_example_is_refused() -> None:
    with pytest.raises(ValueError, match="northwind"):
        example_mapping("../../secret")
