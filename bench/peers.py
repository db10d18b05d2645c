"""Accuracy beside the peers: pairs and clusters of Splink 4 and 5, GoldenMatch, plain recordlinkage and ours, set by set.

``python -m bench.peers [--sets NAME ...] [--cache FOLDER] [--seed N] [--json FILE]``. Every tool reads the same table, shuffled
and with new opaque ids, in a process of its own with a fresh home folder; a tool that takes longer than ``--limit`` seconds is
stopped, and that is what is said of it.

* ``ours-zero``, ``goldenmatch-zero``, ``goldenmatch-fellegi-sunter`` get the table and nothing else; clusters are each tool's
  own, at the cut it chooses.
* ``ours``, ``splink4``, ``splink5``, ``recordlinkage`` get the same fields and blocking keys; the peers compare them as their
  guides do (``duplicate_tools``). Clusters are made at each of ``CUTS``; the peers' are the records that pairs at or above the
  cut connect, as their own functions do.

Told are F1 over pairs at .5, at .95 and at the best cut, and F1 over the pairs within clusters and B-cubed F1 at .5, at .95
and at the best of ``CUTS``. Two goals, each counted figure by figure with ``SLACK``: with the same fields no figure at a fixed
cut is below any peer's; without settings neither clusters nor B-cubed are below the better of GoldenMatch's two ways and
Splink 5 (at its better cut). ``people_new``, ``people_sparse`` (names, birthdays and towns alone) and ``people_50k`` are made anew
for each ``--seed``.

Left to others: speed (``duplicates``), the tables (``duplicate_data``), the goals in absolute figures (``quality``).
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import polars as pl

from bench import duplicate_data as data
from bench.duplicate_accuracy import cluster_accuracy, components, pair_accuracy, read_pairs, read_truth
from bench.duplicates import CASES, PERSON_FIELDS, SMALL, TOOLS, WIDE, Case, interpreter, run, spec_of
from bench.quality import SHARED, auc, beyond_latin
from steward.scoring.duplicates.names import Sort, compare_names

PLACE_FIELDS = {"name": "company", "addr": "address", "city": "city", "phone": "phone"}
PLACE_RULES = (("phone",), ("name",), ("addr",), ("city",))
CUSTOMER_FIELDS = {
    "PRIMARY_NAME_FIRST": "given", "PRIMARY_NAME_LAST": "family", "PRIMARY_NAME_ORG": "company", "DATE_OF_BIRTH": "birthdate",
    "EMAIL_ADDRESS": "email", "PHONE_NUMBER": "phone", "ADDR_LINE1": "address", "ADDR_POSTAL_CODE": "postcode",
}  # fmt: skip
CUSTOMER_RULES = (
    ("PRIMARY_NAME_LAST",), ("PRIMARY_NAME_FIRST",), ("PRIMARY_NAME_ORG",), ("DATE_OF_BIRTH",), ("EMAIL_ADDRESS",),
    ("PHONE_NUMBER",), ("ADDR_LINE1",),
)  # fmt: skip


SPARSE_FIELDS = {
    "first_name": "given", "last_name": "family", "birth_date": "birthdate", "postcode": "postcode", "city": "city",
}  # fmt: skip
SPARSE_RULES = (
    ("first_name", "last_name"), ("last_name", "birth_date"), ("first_name", "birth_date"), ("last_name", "postcode"),
    ("first_name", "postcode"), ("postcode", "birth_date"),
)  # fmt: skip


def _sparse(seed: int) -> Iterable[tuple[str, data.Row]]:
    """Yield generated people without e-mail, telephone and street, as old registers have them."""
    at = [data.PEOPLE.index(c) for c in SPARSE_FIELDS]
    return ((cluster, tuple(row[i] for i in at)) for cluster, row in data.generated(10_000, seed))


def _people(size: int) -> Case:
    return Case(size, PERSON_FIELDS, WIDE, CASES["10k"].sure, CASES["10k"].training, SMALL, ())


def _febrl(size: int) -> Case:
    like = CASES["febrl3"]
    return Case(size, like.fields, like.rules, like.sure, like.training, SMALL, (), like.dates)


SETS: dict[str, tuple[Case, Callable[[Path, int], Iterable[tuple[str, data.Row]]], tuple[str, ...]]] = {
    "truthset": (
        Case(
            120, CUSTOMER_FIELDS, CUSTOMER_RULES,
            (("PRIMARY_NAME_FIRST", "PRIMARY_NAME_LAST", "DATE_OF_BIRTH"), ("EMAIL_ADDRESS",)),
            (("PRIMARY_NAME_LAST",), ("DATE_OF_BIRTH",)), SMALL, (), "%m/%d/%Y",
        ),
        lambda shared, seed: data.truthset(shared), data.CUSTOMERS,
    ),
    "fake_1000": (CASES["fake_1000"], lambda shared, seed: data.fake1000(shared), data.FAKE),
    "fodors_zagats": (
        Case(864, PLACE_FIELDS, PLACE_RULES, (("phone",), ("name", "city")), (("city",), ("phone",)), SMALL, ()),
        lambda shared, seed: data.restaurants(shared), data.RESTAURANTS,
    ),
    "febrl1": (_febrl(1_000), lambda shared, seed: data.febrl(1), data.FEBRL),
    "febrl2": (_febrl(5_000), lambda shared, seed: data.febrl(2), data.FEBRL),
    "febrl3": (_febrl(5_000), lambda shared, seed: data.febrl(3), data.FEBRL),
    "febrl4": (_febrl(10_000), lambda shared, seed: data.febrl(4), data.FEBRL),
    "people_10k": (_people(10_000), lambda shared, seed: data.generated(10_000, 7919), data.PEOPLE),
    "people_new": (_people(10_000), lambda shared, seed: data.generated(10_000, seed), data.PEOPLE),
    "people_sparse": (
        Case(
            10_000, SPARSE_FIELDS, SPARSE_RULES, (("first_name", "last_name", "birth_date"),),
            (("first_name", "last_name"), ("birth_date",)), SMALL, (),
        ),
        lambda shared, seed: _sparse(seed), tuple(SPARSE_FIELDS),
    ),
    "people_50k": (_people(50_000), lambda shared, seed: data.generated(50_000, seed), data.PEOPLE),
}  # fmt: skip
"""Case, rows and columns of each set; small ones first."""

ALONE = ("ours-zero", "goldenmatch-zero", "goldenmatch-fellegi-sunter")
TOLD = ("ours", "splink4", "splink5", "recordlinkage")
CUTS = (0.5, 0.8, 0.9, 0.95, 0.99)
SLACK = 0.001
FIXED = ("pairs .5", "pairs .95", "clusters .5", "clusters .95")
COLUMNS = (
    "pairs .5", "pairs .95", "pairs best", "clusters .5", "clusters .95", "clusters best", "clusters own", "b3 .5", "b3 .95",
    "b3 best", "b3 own", "wrong",
)  # fmt: skip

Figures = dict[str, float]


def table(name: str, cache: Path, shared: Path, seed: int) -> Path:
    """Return the folder with the set's table and truth, made where it is not there yet."""
    case, rows, columns = SETS[name]
    folder = cache / "peer_tables" / f"{name}-{case.size}-{seed}"
    if not (folder / "truth.csv").exists():
        data.write(rows(shared, seed), columns, folder, seed)
    return folder


def figures(tool: str, folder: Path, truth: pl.DataFrame) -> Figures:
    """Return what a tool's files come to."""
    pairs = pair_accuracy(folder / "pairs.csv", truth)
    out = {"pairs .5": pairs["f1_50"], "pairs .95": pairs["f1_95"], "pairs best": pairs["best"]}
    if tool in ALONE:
        own = cluster_accuracy(pl.read_csv(folder / "clusters.csv", infer_schema=False), truth)
        return out | {"clusters own": own["cluster_f1"], "b3 own": own["b_cubed"], "wrong": own["cluster_wrong"]}
    kept = read_pairs(folder / "pairs.csv")
    at = {}
    for cut in CUTS:
        own_file = folder / f"clusters-{cut}.csv"
        found = pl.read_csv(own_file, infer_schema=False) if own_file.exists() else components(kept, truth, cut)
        at[cut] = cluster_accuracy(found, truth)
    for said, part in (("clusters", "cluster_f1"), ("b3", "b_cubed")):
        out |= {f"{said} .5": at[0.5][part], f"{said} .95": at[0.95][part], f"{said} best": max(a[part] for a in at.values())}
    return out | {"wrong": at[0.95]["cluster_wrong"]}


def measure(name: str, tools: Iterable[str], cache: Path, shared: Path, seed: int, limit: float) -> dict[str, Figures | str]:
    """Return each tool's figures on a set, or why there are none."""
    case = SETS[name][0]
    folder = table(name, cache, shared, seed)
    truth = read_truth(folder / "truth.csv")
    out: dict[str, Figures | str] = {}
    with tempfile.TemporaryDirectory(prefix="steward-peers-") as scratch:
        for tool in tools:
            spec = spec_of(case, folder, tool, {})
            if tool == "ours":
                spec["cuts"] = CUTS
            found = run(tool, spec, Path(scratch) / tool, interpreter(tool, cache), limit, 20.0)
            if found.stopped:
                said = (found.folder / "log.txt").read_text(errors="replace").strip().splitlines()[-1:]
                out[tool] = f"{found.stopped}{': ' + said[0][:90] if said and found.stopped.startswith('exit') else ''}"
            else:
                out[tool] = figures(tool, found.folder, truth) | {"cpu": round(found.cpu, 2)}
    return out


def shown(name: str, found: dict[str, Figures | str]) -> str:
    """Return a set's table as text."""
    lines = [f"{name}", f"  {'':28}" + "".join(f"{c:>14}" for c in (*COLUMNS, "cpu"))]
    for tool, row in found.items():
        if isinstance(row, str):
            lines.append(f"  {tool:28}  no result: {row}")
            continue
        cells = (f"{row[c]:.0f}" if c in row and c == "wrong" else f"{row[c]:.4f}" if c in row else "" for c in COLUMNS)
        lines.append(f"  {tool:28}" + "".join(f"{c:>14}" for c in cells) + f"{row['cpu']:14.1f}")
    return "\n".join(lines)


def compared(name: str, found: dict[str, Figures | str]) -> dict[str, list[tuple[str, float]]]:
    """Return, per goal, each comparison made and by how much ours is above the peer's figure."""
    rows = {tool: row for tool, row in found.items() if not isinstance(row, str)}
    goals: dict[str, list[tuple[str, float]]] = {
        "same fields, fixed cuts": [],
        "no settings, own cut": [],
        "no settings, pairs": [],
    }
    for peer in ("splink4", "splink5", "recordlinkage"):
        if peer in rows and "ours" in rows:
            goals["same fields, fixed cuts"] += [
                (f"{name} {part} {peer}", rows["ours"][part] - rows[peer][part]) for part in FIXED
            ]
    if "ours-zero" not in rows:
        return goals
    ours = rows["ours-zero"]
    for part in ("clusters", "b3"):
        beside = {peer: rows[peer][f"{part} own"] for peer in ALONE[1:] if peer in rows}
        if "splink5" in rows:
            beside["splink5"] = max(rows["splink5"][f"{part} .5"], rows["splink5"][f"{part} .95"])
        if beside:
            best = max(beside, key=lambda peer: beside[peer])
            goals["no settings, own cut"].append((f"{name} {part} {best}", ours[f"{part} own"] - beside[best]))
    for peer in ALONE[1:]:
        if peer in rows:
            goals["no settings, pairs"] += [(f"{name} {part} {peer}", ours[part] - rows[peer][part]) for part in FIXED[:2]]
    return goals


def names(shared: Path, cache: Path) -> dict[str, tuple[float, float]]:
    """Return AUC on the multilingual name pairs, all and those not in Latin letters, of ours and the peers' comparisons."""
    file = shared / "names_multilingual" / "name_pairs.csv"
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    truth = [r["is_match"] == "true" for r in rows]
    sorts: list[Sort] = ["person" if r["schema"] == "Person" else "company" for r in rows]
    scores = {"ours": [compare_names(r["name1"], r["name2"], s) for r, s in zip(rows, sorts, strict=True)]}
    with tempfile.TemporaryDirectory(prefix="steward-peers-") as scratch:
        out = Path(scratch) / "scores.json"
        script = TOOLS / "names_with_goldenmatch.py"
        environment = {**os.environ, "HOME": scratch}
        subprocess.run([interpreter("goldenmatch", cache), str(script), str(file), str(out)], check=True, env=environment)
        scores |= json.loads(out.read_text(encoding="utf-8"))
    foreign = [i for i, r in enumerate(rows) if beyond_latin(r["name1"] + r["name2"])]
    return {
        tool: (auc(truth, score), auc([truth[i] for i in foreign], [score[i] for i in foreign]))
        for tool, score in scores.items()
    }


def main() -> int:
    """Measure, print, and return 0 where both goals are met on every set measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="*", choices=(*SETS, "names"), default=[*SETS, "names"])
    parser.add_argument("--tools", nargs="+", choices=(*ALONE, *TOLD), default=[*ALONE, *TOLD])
    parser.add_argument("--cache", type=Path, help="where environments and tables are kept")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds a process may take")
    parser.add_argument("--seed", type=int, default=515_253, help="of people_new, people_50k and the shuffling")
    parser.add_argument("--json", type=Path, help="keep every figure there; sets that are there already are renewed one by one")
    args = parser.parse_args()
    shared = Path(os.environ.get("STEWARD_REAL_DATA") or SHARED)
    known: dict[str, Any] = json.loads(args.json.read_text(encoding="utf-8")) if args.json and args.json.exists() else {}
    met = True
    with tempfile.TemporaryDirectory(prefix="steward-peers-cache-") as temporary:
        cache = args.cache or Path(temporary)
        cache.mkdir(parents=True, exist_ok=True)
        goals: dict[str, list[tuple[str, float]]] = {}
        for name in args.sets:
            if name == "names":
                for tool, (whole, foreign) in names(shared, cache).items():
                    print(f"names: AUC {whole:.3f}, not Latin {foreign:.3f}  {tool}", flush=True)
                continue
            found = measure(name, args.tools, cache, shared, args.seed, args.limit)
            known.setdefault(name, {}).update(found)
            print(shown(name, known[name]), flush=True)
            for goal, parts in compared(name, known[name]).items():
                goals.setdefault(goal, []).extend(parts)
            if args.json:
                args.json.write_text(json.dumps(known, indent=1), encoding="utf-8")
    for goal, parts in goals.items():
        below = [f"{what} {by:+.4f}" for what, by in parts if by < -SLACK]
        above = sum(by > 0 for _, by in parts)
        verdict = "met" if not below else "missed"
        met &= not below
        print(f"{goal}: {verdict}; {len(parts) - len(below)} of {len(parts)} not below (slack {SLACK}), {above} above")
        print("".join(f"  below: {b}\n" for b in below), end="", flush=True)
    print(f"peers: {'met' if met else 'missed'}")
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
