"""Measures and tables for the tests and measurements of duplicate scoring."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl


def pairs_of_groups(groups: Iterable[Iterable[str]]) -> set[tuple[str, str]]:
    """Return every pair within the groups, smaller id first."""
    found = set()
    for group in groups:
        members = sorted(group)
        found |= {(a, b) for i, a in enumerate(members) for b in members[i + 1 :]}
    return found


def precision_recall_f1(found: set[tuple[str, str]], true: set[tuple[str, str]]) -> tuple[float, float, float]:
    """Return precision, recall and their harmonic mean; 0 where undefined."""
    hit = len(found & true)
    precision = hit / len(found) if found else 0.0
    recall = hit / len(true) if true else 0.0
    return precision, recall, (2 * precision * recall / (precision + recall) if hit else 0.0)


def read_csv(path: Path) -> pl.DataFrame:
    """Read a file of the data sets, every column as text."""
    return pl.read_csv(path, infer_schema=False)


def fake1000(folder: Path) -> tuple[pl.DataFrame, set[tuple[str, str]]]:
    """Return persons_fake1000 without its truth, and the true pairs."""
    frame = read_csv(folder / "persons_fake1000" / "persons.csv")
    groups = frame.group_by("cluster").agg("unique_id")["unique_id"].to_list()
    return frame.drop("cluster"), pairs_of_groups(groups)


def truthset(folder: Path) -> tuple[pl.DataFrame, set[tuple[str, str]]]:
    """Return the customers of customers_truthset and the true pairs among them."""
    frame = read_csv(folder / "customers_truthset" / "customers.csv")
    truth = read_csv(folder / "customers_truthset" / "truth.csv").filter(pl.col("DATA_SOURCE") == "CUSTOMERS")
    groups = truth.group_by("CLUSTER_ID").agg("RECORD_ID")["RECORD_ID"].to_list()
    return frame, pairs_of_groups(groups)


def restaurants(folder: Path) -> tuple[pl.DataFrame, set[tuple[str, str]]]:
    """Return both guides in one table with a ``guide`` column, ids prefixed, and the true pairs."""
    home = folder / "businesses_fodors_zagats"
    one = read_csv(home / "fodors.csv").with_columns(pl.lit("fodors").alias("guide"), ("f" + pl.col("id")).alias("id"))
    two = read_csv(home / "zagats.csv").with_columns(pl.lit("zagats").alias("guide"), ("z" + pl.col("id")).alias("id"))
    matches = read_csv(home / "matches.csv")
    return pl.concat([one, two]), {(f"f{a}", f"z{b}") for a, b in matches.iter_rows()}
