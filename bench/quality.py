"""Accuracy without settings on every set with truth, at fixed thresholds and at the default cut.

``python -m bench.quality [--size N] [--json]``; ``--size`` is the number of generated contacts (seed 1009, not used while
developing). The goal is met where fake_1000 reaches .87 and fodors .98 at p = .5, and the truthset has no wrong merge.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import tempfile
from pathlib import Path

import polars as pl

from steward.sandbox import build_crm
from steward.scoring.duplicates.link import LinkResult, link
from tests.support.duplicates import fake1000, pairs_of_groups, precision_recall_f1, restaurants, truthset

Pairs = set[tuple[str, str]]


def figures(result: LinkResult, true: Pairs) -> dict[str, float]:
    """Return pairs F1 at .5 and .95, the default clusters' precision, recall, F1 and wrong pairs, and the recall offered."""
    frame = result.pairs_frame()
    at = {p: set(frame.filter(pl.col("probability") >= p).select("left_id", "right_id").iter_rows()) for p in (0.0, 0.5, 0.95)}
    clusters = pairs_of_groups(result.groups())
    precision, recall, f1 = precision_recall_f1(clusters, true)
    return {
        "pairs_f1_50": precision_recall_f1(at[0.5], true)[2],
        "pairs_f1_95": precision_recall_f1(at[0.95], true)[2],
        "cut": result.cut,
        "cluster_precision": precision,
        "cluster_recall": recall,
        "cluster_f1": f1,
        "wrong": float(len(clusters - true)),
        "offered": precision_recall_f1(at[0.0], true)[1],
    }


def generated(size: int, seed: int) -> tuple[pl.DataFrame, Pairs]:
    """Return the contacts of a generated CRM and its true pairs."""
    with tempfile.TemporaryDirectory() as home:
        file = Path(home) / "crm.db"
        truth = build_crm(f"sqlite:///{file}", customers=size, seed=seed)
        with sqlite3.connect(file) as connection:
            frame = pl.read_database("SELECT * FROM contact WHERE is_deleted = 0", connection, infer_schema_length=None)
        connection.close()
    live = set(frame["id"])
    true = {p for p in pairs_of_groups(truth.duplicate_clusters["contact"]) if set(p) <= live}
    return frame.cast(pl.String), true


SYSTEM_COLUMNS = ("company_id", "owner_id", "created_at", "updated_at", "row_version", "is_deleted", "deleted_at", "deleted_by")


def main() -> int:
    """Measure, print, and return 0 where the goal is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=5_000)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    data = Path(os.environ.get("STEWARD_REAL_DATA") or Path(__file__).parents[2] / "shared" / "data")
    rows: dict[str, dict[str, float]] = {}
    if data.is_dir():
        frame, true = fake1000(data)
        rows["fake_1000"] = figures(link(frame, ids="unique_id"), true)
        frame, true = restaurants(data)
        rows["fodors_zagats"] = figures(link(frame, ids="id", source="guide"), true)
        frame, true = truthset(data)
        rows["truthset"] = figures(link(frame, ids="RECORD_ID"), true)
    frame, true = generated(args.size, 1009)
    rows[f"generated {args.size}"] = figures(link(frame, ids="id", role="person", references=SYSTEM_COLUMNS), true)
    if args.json:
        print(json.dumps(rows, indent=1))
    else:
        names = list(next(iter(rows.values())))
        print(f"{'set':18}" + "".join(f"{n:>19}" for n in names))
        for name, row in rows.items():
            print(f"{name:18}" + "".join(f"{row[n]:19.4f}" for n in names))
    if "fake_1000" not in rows:
        print("quality: the data sets are absent (goal not measured) missed")
        return 1
    fake, fodors, wrong = rows["fake_1000"]["pairs_f1_50"], rows["fodors_zagats"]["pairs_f1_50"], rows["truthset"]["wrong"]
    met = fake >= 0.87 and fodors >= 0.98 and wrong == 0
    print(f"quality: {fake:.3f} / {fodors:.3f} / {wrong:.0f} wrong (goal .870 / .980 / 0 wrong) {'met' if met else 'missed'}")
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
