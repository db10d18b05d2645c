"""How right a tool's pairs and clusters are, counted from the files it wrote; no pair of a cluster is ever listed.

Left to others: running the tools (``duplicates``).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl


def accuracy(folder: Path, truth_file: Path) -> dict[str, float]:
    """Return F1 of pairs at .5, at .95 and at the best cut, F1 of clusters' pairs, and B-cubed F1."""
    truth = read_truth(truth_file)
    clusters = pl.read_csv(folder / "clusters.csv", infer_schema=False)
    return pair_accuracy(folder / "pairs.csv", truth) | cluster_accuracy(clusters, truth)


def read_truth(file: Path) -> pl.DataFrame:
    """Return ``unique_id`` and ``cluster`` of every record."""
    return pl.read_csv(file, infer_schema=False).with_columns(pl.col("cluster").cast(pl.Int64))


def read_pairs(file: Path) -> pl.DataFrame:
    """Return ``left``, ``right`` and ``probability`` of the pairs that a tool kept."""
    pairs = pl.read_csv(file, infer_schema=False)
    pairs.columns = ["left", "right", "probability"]
    if not len(pairs):
        pairs = pl.DataFrame({"left": [], "right": [], "probability": []}, schema=dict.fromkeys(pairs.columns, pl.String))
    return pairs.with_columns(pl.col("probability").cast(pl.Float64))


def pair_accuracy(file: Path, truth: pl.DataFrame) -> dict[str, float]:
    """Return the number of pairs and their F1 at .5, at .95 and at the best cut."""
    all_true = _pairs(truth.group_by("cluster").len()["len"])
    pairs = (
        read_pairs(file)
        .join(truth.rename({"cluster": "a"}), left_on="left", right_on="unique_id")
        .join(truth.rename({"cluster": "b"}), left_on="right", right_on="unique_id")
        .sort("probability", descending=True)
    )
    right = (pairs["a"] == pairs["b"]).to_numpy().astype(np.float64)
    probability = pairs["probability"].to_numpy()
    hits, kept = np.cumsum(right), np.arange(1, len(right) + 1)
    f1 = 2 * hits / (kept + all_true)
    ends = np.append(probability[1:] != probability[:-1], True) if len(probability) else np.zeros(0, bool)  # ties go together

    def at(cut: float) -> float:
        n = int((probability >= cut).sum())
        return float(f1[n - 1]) if n else 0.0

    return {
        "pairs": float(len(pairs)),
        "f1_50": at(0.5),
        "f1_95": at(0.95),
        "best": float(f1[ends].max()) if len(f1) else 0.0,
    }


def cluster_accuracy(clusters: pl.DataFrame, truth: pl.DataFrame) -> dict[str, float]:
    """Return precision, recall and F1 of the pairs within clusters, wrong pairs among them, and B-cubed F1.

    Parameters
    ----------
    clusters : DataFrame
        A record's id and its cluster, in this order; a record that is absent stands alone.
    """
    all_true = _pairs(truth.group_by("cluster").len()["len"])
    clusters = clusters.rename(dict(zip(clusters.columns, ("unique_id", "found"), strict=True))).cast(pl.String)
    both = truth.join(clusters, on="unique_id", how="left").with_columns(
        pl.col("found").fill_null("alone " + pl.col("unique_id"))
    )
    cells = both.group_by("cluster", "found").len()
    found = both.group_by("found").len()
    hit = _pairs(cells["len"])
    all_found = _pairs(found["len"])
    sized = cells.join(found.rename({"len": "of_found"}), on="found").join(
        both.group_by("cluster").len().rename({"len": "of_true"}), on="cluster"
    )
    n = len(both)
    precision = float((sized["len"] ** 2 / sized["of_found"]).sum()) / n
    recall = float((sized["len"] ** 2 / sized["of_true"]).sum()) / n
    return {
        "cluster_precision": hit / all_found if all_found else 0.0,
        "cluster_recall": hit / all_true if all_true else 0.0,
        "cluster_f1": 2 * hit / (all_found + all_true) if all_found + all_true else 0.0,
        "cluster_wrong": all_found - hit,
        "b_cubed": 2 * precision * recall / (precision + recall),
    }


def components(pairs: pl.DataFrame, truth: pl.DataFrame, cut: float) -> pl.DataFrame:
    """Return what the rivals call clusters at a cut: records that pairs at or above it connect."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    position = truth.select("unique_id").with_row_index("at")
    linked = (
        pairs.filter(pl.col("probability") >= cut)
        .join(position, left_on="left", right_on="unique_id")
        .join(position.rename({"at": "to"}), left_on="right", right_on="unique_id")
    )
    graph = coo_matrix((np.ones(len(linked), np.int8), (linked["at"], linked["to"])), shape=(len(truth), len(truth)))
    return pl.DataFrame({"unique_id": truth["unique_id"], "found": connected_components(graph, directed=False)[1]})


def _pairs(sizes: pl.Series) -> float:
    many = sizes.cast(pl.Float64)
    return float((many * (many - 1) / 2).sum())
