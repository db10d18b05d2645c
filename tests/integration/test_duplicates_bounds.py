"""Scoring holds its memory and loads little: measured on whole processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench import duplicate_data

SCORE = """
import json, resource, sys
import polars as pl
from steward.scoring.duplicates import blocks
from steward.scoring.duplicates.definition import Definition, Field, Rule
from steward.scoring.duplicates.link import link
from tests.support.memory import peak_mib

blocks.CHUNK = 100_000
people = pl.read_csv(sys.argv[1], infer_schema=False)
fields = tuple(Field(c, k, (c,)) for c, k in json.loads(sys.argv[2]).items())
rules = tuple(Rule(tuple((c, "whole") for c in rule)) for rule in json.loads(sys.argv[3]))
before = peak_mib()
limit = int(float(sys.argv[4]) * 2**20)
with open("/proc/self/statm") as stat:
    mapped = int(stat.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (mapped + limit, mapped + limit))
found = link(people, Definition(fields, rules, cut=0.95, pairs_at_most=10**9, block_at_most=10**6), ids="unique_id")
print(json.dumps({"compared": found.compared, "pairs": len(found.pairs), "grown": peak_mib() - before}))
"""

FIELDS = {
    "first_name": "given",
    "last_name": "family",
    "email": "email",
    "birth_date": "birthdate",
    "postcode": "postcode",
    "city": "city",
}


def _grown(table: Path, rules: list[list[str]], limit_mib: float) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", SCORE, str(table), json.dumps(FIELDS), json.dumps(rules), str(limit_mib)],
        capture_output=True, text=True, check=False, env={"PATH": "", "PYTHONPATH": str(Path(__file__).parents[2]), "POLARS_MAX_THREADS": "2"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def test_millions_of_pairs_are_scored_within_a_limit(tmp_path: Path) -> None:
    home = tmp_path / "people"
    duplicate_data.write(duplicate_data.generated(12_000, 5), duplicate_data.PEOPLE, home, 5)
    few = _grown(home / "people.csv", [["email"]], 1_500)
    many = _grown(home / "people.csv", [["email"], ["city"]], 1_500)
    assert many["compared"] > 1_000_000 and few["compared"] < 20_000
    assert many["grown"] < few["grown"] + 60  # all pairs at once would add 130


def test_scoring_loads_neither_recordlinkage_nor_what_it_stands_on() -> None:
    code = "import steward.scoring.duplicates.link, sys, json; print(json.dumps(sorted(m.split('.')[0] for m in sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert "polars" in loaded
    assert not loaded & {"recordlinkage", "pandas", "scipy", "sklearn", "duckdb", "pyarrow", "pypinyin", "matplotlib"}


def test_recordlinkage_users_find_its_classes_where_they_were() -> None:
    code = (
        "import recordlinkage; from recordlinkage.algorithms.nb_sklearn import ECM;"
        "from steward.scoring.duplicates.model import WeightedECM, PatternECMClassifier;"
        "from steward.scoring.duplicates.blocks import KeyIndex; from steward.scoring.duplicates.levels import LevelFeature;"
        "assert issubclass(WeightedECM, ECM) and issubclass(PatternECMClassifier, recordlinkage.ECMClassifier);"
        "assert issubclass(KeyIndex, recordlinkage.base.BaseIndexAlgorithm);"
        "assert issubclass(LevelFeature, recordlinkage.base.BaseCompareFeature); print('ok')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "ok\n", done.stderr
