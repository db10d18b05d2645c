"""Accuracy without settings on every set with truth: pairs at fixed thresholds, clusters at the default cut, names in any script.

``python -m bench.quality [--size N] [--seed S] [--json]``; ``--size`` is the number of generated contacts of each further
seed. Rows are shuffled and records renamed before anything is scored. Sets marked ``*`` were looked at while levels, classes
and limits were chosen; the others are reported only. The goal is met where every line of ``GOALS`` holds.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from steward.scoring.duplicates.names import Sort, compare_names
from tests.support.linkage import CHOOSING, Set, febrl, figures, generated, real_sets, run

GOALS: tuple[tuple[str, str, float, bool], ...] = (
    ("fake_1000", "f1@.5", 0.87, True),
    ("fodors_zagats", "f1@.5", 0.98, True),
    ("truthset", "wrong", 0, False),
    ("truthset", "offered", 0.95, True),
    ("febrl_3", "cl. f1", 0.9984, True),
    ("febrl_3", "b-cubed", 0.9986, True),
    ("generated", "cl. f1", 0.97, True),
    ("names", "auc", 0.93, True),
    ("names, not Latin", "auc", 0.93, True),
)
"""Set, figure, limit, and whether the figure must be at least (else at most) the limit."""

SHARED = Path(__file__).parents[2] / "shared" / "data"
CHINESE = Path(__file__).parents[1] / "tests" / "data" / "chinese_pairs" / "pairs.csv"


def auc(right: Sequence[bool], score: Sequence[float]) -> float:
    """Return the share of (right, wrong) couples that the score orders rightly; ties count half."""
    from scipy.stats import rankdata

    truth, ranks = np.asarray(right, bool), rankdata(np.asarray(score, float))
    ones, zeros = int(truth.sum()), int((~truth).sum())
    return float((ranks[truth].sum() - ones * (ones + 1) / 2) / (ones * zeros)) if ones and zeros else 0.0


def beyond_latin(text: str) -> bool:
    """Tell whether a name holds a letter of another writing."""
    return any(c.isalpha() and ord(c) > 0x24F and not 0x1E00 <= ord(c) <= 0x1EFF for c in text)


def name_pairs(data: Path) -> dict[str, tuple[int, float]]:
    """Return pairs and AUC of the multilingual names: all, those not in Latin letters, and each half.

    Every second line of the file was read while the comparison was written; the other half was not.
    """
    with (data / "names_multilingual" / "name_pairs.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    sorts: list[Sort] = ["person" if r["schema"] == "Person" else "company" for r in rows]
    found = [compare_names(r["name1"], r["name2"], s) for r, s in zip(rows, sorts, strict=True)]
    truth = [r["is_match"] == "true" for r in rows]
    parts = {
        "names": range(len(rows)),
        "names, half chosen on": range(0, len(rows), 2),
        "names, half kept back": range(1, len(rows), 2),
        "names, not Latin": [i for i, r in enumerate(rows) if beyond_latin(r["name1"] + r["name2"])],
    }
    return {name: (len(part), auc([truth[i] for i in part], [found[i] for i in part])) for name, part in parts.items()}


def chinese_pairs() -> dict[str, tuple[int, float]]:
    """Return pairs and AUC of the judged Chinese pairs, people and companies."""
    with CHINESE.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    out = {}
    for sort in ("person", "company"):
        part = [r for r in rows if r["sort"] == sort]
        called: Sort = "person" if sort == "person" else "company"
        found = [compare_names(r["left"], r["right"], called) for r in part]
        out[f"Chinese, {sort}"] = (len(part), auc([r["same"] == "true" for r in part], found))
    return out


def tables(data: Path, size: int, seed: int) -> dict[str, Set]:
    """Return every set with truth by name."""
    sets = {f"febrl_{number}": febrl(number) for number in (1, 2, 3, 4)}
    if data.is_dir():
        sets |= real_sets(data)
    sets["contacts 5000 seed 1009"] = generated(5_000, 1009)
    sets[f"contacts {size} seed {seed}"] = generated(size, seed)
    sets[f"companies {size} seed {seed}"] = generated(size, seed, "company")
    return sets


def main() -> int:
    """Measure, print, and return 0 where the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=880_219)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    data = Path(os.environ.get("STEWARD_REAL_DATA") or SHARED)
    rows = {name: figures(run(table), table) for name, table in tables(data, args.size, args.seed).items()}
    names = chinese_pairs() | (name_pairs(data) if data.is_dir() else {})
    if args.json:
        print(json.dumps({"tables": rows, "names": names, "choosing": CHOOSING}, indent=1))
    else:
        columns = list(next(iter(rows.values())))
        print(f"{'set':28}" + "".join(f"{n:>13}" for n in columns))
        for name, row in rows.items():
            shown = "".join(
                f"{row[n]:13.0f}" if n in ("wrong", "alike", "alike merged") else f"{row[n]:13.4f}" for n in columns
            )
            print(f"{name + (' *' if name in CHOOSING else ''):28}{shown}")
        print(f"\n{'name pairs':28}{'pairs':>13}{'auc':>13}")
        for name, (pairs, area) in names.items():
            print(f"{name:28}{pairs:13}{area:13.4f}")
    rows["generated"] = rows[f"contacts {args.size} seed {args.seed}"]
    rows |= {name: {"auc": area} for name, (_, area) in names.items()}
    missed = []
    for name, figure, limit, at_least in GOALS:
        value = rows.get(name, {}).get(figure)
        if value is None or (value < limit if at_least else value > limit):
            missed.append(f"{name} {figure} {'not measured' if value is None else f'{value:.4f}'}")
    held = f"{len(GOALS) - len(missed)} of {len(GOALS)} lines hold" + (f"; missed: {', '.join(missed)}" if missed else "")
    print(f"quality: {held} (goal all) {'missed' if missed else 'met'}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
