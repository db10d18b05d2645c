"""Whether compiled SQL and Great Expectations name the same rows, over many generated rules of every kind.

``python -m bench.oracle [--size N] [--seed S] [--json]``: at least N cases (200 by default) of every kind of expectation, each a
generated rule, mostly with a row condition, over 400 rows of hostile values that are new for every batch; Great Expectations
runs them on pandas, and custom SQL, which pandas cannot run, on SQLite. Goal: no difference in any set of (row, rule).
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from tests.support.oracle_cases import COMPARED, CUSTOM, compare, compare_custom

PER_BATCH = 20
PER_CUSTOM = 50


def main() -> int:
    """Compare, print, and return 0 where there is no difference."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=200, help="least cases of every kind")
    parser.add_argument("--seed", type=int, default=20_261_125)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    start = time.process_time()
    batches, custom = -(-args.size // PER_BATCH), -(-args.size // PER_CUSTOM)
    differences: list[str] = []
    fired: set[str] = set()
    named = 0
    for number in range(batches):
        kinds, found = compare(args.seed + number, PER_BATCH)
        fired |= kinds
        differences += [f"{args.seed + number}: {rule}" for rule in found]
        print(f"batch {number + 1} of {batches}: {len(found)} differences", file=sys.stderr, flush=True)
    for number in range(custom):
        rows, found = compare_custom(args.seed + number, PER_CUSTOM)
        named += rows
        differences += [f"{args.seed + number}: {rule}" for rule in found]
    silent = sorted(set(COMPARED) - fired) + ([] if named else [CUSTOM])
    kinds_of = len(COMPARED) + 1
    cases = batches * PER_BATCH * len(COMPARED) + custom * PER_CUSTOM
    met = not differences and not silent
    seconds = time.process_time() - start
    if args.json:
        print(
            json.dumps(
                {
                    "kinds": kinds_of,
                    "cases": cases,
                    "differences": differences,
                    "silent": silent,
                    "seconds": seconds,
                    "met": met,
                }
            )
        )
        return 0 if met else 1
    print(f"{kinds_of} kinds, {cases:,} cases of at least {args.size} each, seed {args.seed}; {seconds:.0f} processor seconds")
    for line in [*differences[:20], *(f"never failed a row: {kind}" for kind in silent)]:
        print(f"  {line}")
    print(f"oracle: {len(differences)} differences (goal 0) {'met' if met else 'missed'}")
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
