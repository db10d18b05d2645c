"""Accuracy beside the peers is counted rightly: pairs, clusters, what a peer's cut connects, and the goals."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.duplicate_accuracy import cluster_accuracy, components, pair_accuracy
from bench.duplicate_data import CUSTOMERS, RESTAURANTS, restaurants, truthset, write
from bench.peers import SETS, compared, table


def _truth(clusters: list[int]) -> pl.DataFrame:
    return pl.DataFrame({"unique_id": [f"r{i}" for i in range(len(clusters))], "cluster": clusters})


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=14))
def test_clusters_are_counted_as_one_by_one(both: list[tuple[int, int]]) -> None:
    true, found = [t for t, _ in both], [f for _, f in both]
    frame = pl.DataFrame({"record": [f"r{i}" for i in range(len(both))], "cluster": [f"c{f}" for f in found]})
    got = cluster_accuracy(frame, _truth(true))
    pairs = list(combinations(range(len(both)), 2))
    hit = sum(true[a] == true[b] and found[a] == found[b] for a, b in pairs)
    wrong = sum(true[a] != true[b] and found[a] == found[b] for a, b in pairs)
    missed = sum(true[a] == true[b] and found[a] != found[b] for a, b in pairs)
    assert got["cluster_wrong"] == wrong
    assert got["cluster_f1"] == pytest.approx(2 * hit / (2 * hit + wrong + missed) if hit + wrong + missed else 0.0)
    precision = sum(sum(true[b] == t for b in range(len(both)) if found[b] == f) / found.count(f) for t, f in both) / len(both)
    recall = sum(sum(found[b] == f for b in range(len(both)) if true[b] == t) / true.count(t) for t, f in both) / len(both)
    assert got["b_cubed"] == pytest.approx(2 * precision * recall / (precision + recall))


def test_a_record_without_a_cluster_stands_alone() -> None:
    got = cluster_accuracy(pl.DataFrame({"record": ["r0", "r1"], "cluster": ["x", "x"]}), _truth([1, 1, 1, 2]))
    assert (got["cluster_precision"], got["cluster_recall"]) == (1.0, pytest.approx(1 / 3))


def test_pairs_of_equal_probability_go_together(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("a,b,p\nr0,r1,0.96\nr0,r2,0.5\nr1,r3,0.5\nr2,r3,0.2\n", encoding="utf-8")
    got = pair_accuracy(tmp_path / "pairs.csv", _truth([1, 1, 1, 2]))
    assert got["f1_95"] == pytest.approx(2 / 4) and got["f1_50"] == pytest.approx(4 / 6) and got["best"] == got["f1_50"]
    (tmp_path / "none.csv").write_text("a,b,p\n", encoding="utf-8")
    assert pair_accuracy(tmp_path / "none.csv", _truth([1, 1]))["best"] == 0.0


def test_a_peer_s_clusters_are_what_its_pairs_connect() -> None:
    pairs = pl.DataFrame({"left": ["r0", "r1", "r3"], "right": ["r1", "r2", "r4"], "probability": [0.9, 0.5, 0.4]})
    found = dict(components(pairs, _truth([1] * 5), 0.5).iter_rows())
    assert found["r0"] == found["r1"] == found["r2"] and len(set(found.values())) == 3


def test_goals_name_each_figure_that_is_below() -> None:
    row = dict.fromkeys(("pairs .5", "pairs .95", "clusters .5", "clusters .95", "b3 .5", "b3 .95"), 0.9)
    alone = {"pairs .5": 0.9, "pairs .95": 0.9, "clusters own": 0.95, "b3 own": 0.97}
    found = {
        "ours": {**row, "clusters .95": 0.89}, "splink5": {**row, "clusters .5": 0.96}, "recordlinkage": "over 300 s",
        "ours-zero": alone, "goldenmatch-zero": {**alone, "pairs .5": 0.99}, "goldenmatch-fellegi-sunter": "over 300 s",
    }  # fmt: skip
    goals = compared("a set", found)  # type: ignore[arg-type]  # rows and reasons mixed, as they are measured
    assert [w for w, by in goals["same fields, fixed cuts"] if by < -0.001] == [
        "a set clusters .5 splink5", "a set clusters .95 splink5",
    ]  # fmt: skip
    assert [(w, round(by, 3)) for w, by in goals["no settings, own cut"]] == [
        ("a set clusters splink5", -0.01), ("a set b3 goldenmatch-zero", 0.0),
    ]  # fmt: skip
    assert [w for w, by in goals["no settings, pairs"] if by < 0] == ["a set pairs .5 goldenmatch-zero"]


def test_tables_are_shuffled_with_ids_that_tell_nothing(tmp_path: Path, real_data: Path) -> None:
    for rows, columns, records, pairs in ((restaurants, RESTAURANTS, 864, 112), (truthset, CUSTOMERS, 120, 68)):
        folder = tmp_path / columns[0]
        assert write(rows(real_data), columns, folder, 5) == records
        truth = pl.read_csv(folder / "truth.csv")
        sizes = truth.group_by("cluster").len()["len"]
        assert int((sizes * (sizes - 1) // 2).sum()) == pairs
        people = pl.read_csv(folder / "people.csv", infer_schema=False)
        assert people.columns == ["unique_id", *columns] and people["unique_id"].str.contains(r"^r\d{9}$").all()
    assert table("fake_1000", tmp_path, real_data, 5) == table("fake_1000", tmp_path, real_data, 5)
    assert all(set(case.fields) <= set(columns) for case, _, columns in SETS.values())
