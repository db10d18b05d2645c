"""Two names by GoldenMatch's and the guides' comparisons, pair by pair: ``SCRIPT NAME_PAIRS.csv OUT.json``.

Jaro-Winkler is what Splink, recordlinkage and GoldenMatch compare names by; words in any order is GoldenMatch's other way.
Names are lower-cased first, as the guides advise.
"""

import csv
import json
import sys
from pathlib import Path

import goldenmatch

SCORERS = {
    "Jaro-Winkler (Splink, recordlinkage, GoldenMatch)": "jaro_winkler",
    "words in any order (GoldenMatch)": "token_sort",
}


def main():
    with Path(sys.argv[1]).open(encoding="utf-8", newline="") as stream:
        rows = [(r["name1"].lower(), r["name2"].lower()) for r in csv.DictReader(stream)]
    found = {said: [goldenmatch.score_strings(a, b, scorer) for a, b in rows] for said, scorer in SCORERS.items()}
    Path(sys.argv[2]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
