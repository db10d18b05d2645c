"""What must not change the result: order of rows, names of records, an unrelated record. And the lossless tricks."""

# ruff: noqa: SIM905 - lists of names read best as text

from __future__ import annotations

import random

import numpy as np
import polars as pl
import pytest

from steward.scoring.duplicates.blocks import Blocks
from steward.scoring.duplicates.columns import build
from steward.scoring.duplicates.link import LinkResult, link
from steward.scoring.duplicates.profile import propose
from steward.scoring.duplicates.score import Scorer, joined_pairs
from steward.scoring.duplicates.train import fit

GIVEN = "Anna Bernd Clara David Emma Felix Greta Hugo Ida Jonas Karin Lukas Mia Nils Olga Paul Rosa Simon Tina Uwe 伟 芳 娜 敏 静".split()
FAMILY = "Becker Schulz Wagner Hoffmann Keller Braun Vogel Winter Smith Jones Taylor Müller 王 李 张 刘 陈 Köhler Groß Lindner".split()
CITIES = "Berlin Hamburg Köln London Leeds 北京 上海".split()


def people(n: int, seed: int) -> pl.DataFrame:
    """Return invented people; every sixth has a second record written a little differently."""
    rng = random.Random(seed)
    rows = []
    for i in range(n):
        given, family, city = rng.choice(GIVEN), rng.choice(FAMILY), rng.choice(CITIES)
        born = f"{rng.randint(1940, 2005)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
        row = {"first_name": given, "last_name": family, "email": f"p{i}x{rng.randint(1, 9999)}@mail{i % 7}.example", "birthday": born, "city": city,
               "phone": f"+49 30 {rng.randint(1000000, 9999999)}"}  # fmt: skip
        rows.append(row)
        if i % 6 == 0:
            other = dict(row)
            other[rng.choice(["email", "city", "phone"])] = ""
            other["last_name"] = family.upper() if i % 12 else family + "e"
            rows.append(other)
    return pl.DataFrame(rows).with_row_index("id").with_columns(("r" + pl.col("id").cast(pl.String)).alias("id"))


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    return people(500, 4)


@pytest.fixture(scope="module")
def found(table: pl.DataFrame) -> LinkResult:
    return link(table, ids="id")


def test_something_is_found(found: LinkResult) -> None:
    assert 60 <= len(found.groups()) <= 90


def test_shuffled_rows_give_the_same_pairs_weights_and_clusters(table: pl.DataFrame, found: LinkResult) -> None:
    again = link(table.sample(fraction=1.0, shuffle=True, seed=9), ids="id")
    assert again.groups() == found.groups()
    one, two = (r.pairs_frame().sort("left_id", "right_id") for r in (found, again))
    assert one.equals(two)


def test_renamed_records_give_the_same_clusters(table: pl.DataFrame, found: LinkResult) -> None:
    names = {f"r{i}": f"z{(i * 7919) % 100_003:06d}" for i in range(table.height)}
    again = link(table.with_columns(pl.col("id").replace_strict(names)), ids="id")
    assert again.groups() == sorted(sorted(names[m] for m in g) for g in found.groups())


def test_an_unrelated_record_changes_no_cluster(table: pl.DataFrame, found: LinkResult) -> None:
    stranger = {"id": "new", "first_name": "Quirinus", "last_name": "Zwyssig", "email": "quirinus@alm.example", "birthday": "1931-12-30",
                "city": "Andermatt", "phone": "+41 41 8871234"}  # fmt: skip
    again = link(pl.concat([table, pl.DataFrame([stranger], schema=table.schema)]), ids="id")
    assert again.groups() == found.groups()


def test_a_repeated_row_joins_its_original(table: pl.DataFrame, found: LinkResult) -> None:
    row = table[17].with_columns(pl.lit("copy").alias("id"))
    again = link(pl.concat([table, row]), ids="id")
    assert any({"copy", table["id"][17]} <= set(g) for g in again.groups())
    assert [g for g in again.groups() if "copy" not in g] == [g for g in found.groups() if table["id"][17] not in g]


def test_a_rejected_pair_stays_apart_and_others_stay_together(table: pl.DataFrame, found: LinkResult) -> None:
    first = found.groups()[0]
    again = link(table, ids="id", apart=[(first[0], first[1])])
    assert not any({first[0], first[1]} <= set(g) for g in again.groups())
    assert again.groups()[1:] == found.groups()[1:] or len(again.groups()) == len(found.groups()) - 1


def test_staged_scoring_loses_nothing_above_the_threshold(table: pl.DataFrame) -> None:
    definition = propose(table, ids="id").definition
    built = build(table, definition, ids="id")
    blocks = Blocks(built, definition)
    model = fit(built, blocks, 0)
    for threshold in (-6.6, 0.0, 6.0):
        quick, whole = Scorer(built, model, threshold), Scorer(built, model, threshold)
        staged, full = [], []
        for rule, left, right in blocks.pairs(chunk=20_000):
            staged.append(quick.score(left, right, rule))
            everything = whole.score(left, right, rule, keep_all=True)
            full.append(everything.take(everything.weight >= threshold))
        a, b = joined_pairs(staged, len(built.columns)), joined_pairs(full, len(built.columns))
        assert len(a) == len(b) > 0
        assert np.array_equal(a.left, b.left) and np.array_equal(a.right, b.right)
        assert np.array_equal(a.levels, b.levels)
        assert np.abs(a.weight - b.weight).max() == 0


def test_each_pair_is_proposed_once_whatever_the_chunk(table: pl.DataFrame) -> None:
    definition = propose(table, ids="id").definition
    built = build(table, definition, ids="id")
    blocks = Blocks(built, definition)
    seen = []
    for chunk in (100, 1_000_000):
        pairs = [(int(a), int(b)) for _, left, right in blocks.pairs(chunk=chunk) for a, b in zip(left, right, strict=True)]
        assert len(pairs) == len(set(pairs)) and all(a < b for a, b in pairs)
        seen.append(set(pairs))
    assert seen[0] == seen[1]
    assert len(seen[0]) == len(built) * (len(built) - 1) // 2
