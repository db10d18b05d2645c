"""The executor's own cost, and its crash harness at any length.

``python -m bench.executor`` measures overhead per record without the CRM, at batch 1 and 100, on the real disk.
``python -m bench.executor --kills 10000 --cuts 200000`` runs the harness that ``make test`` runs a slice of.
``python -m bench.executor --shreds 3000`` and ``--vendor-cuts 10000`` run those of ``bench.executor_crash``.
``python -m bench.executor --items 1000000`` runs whole manifests of a tenth and of all of these (``bench.executor_growth``).
``python -m bench.executor --rate`` works against documented rate limits on a clock that costs no time.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from steward.crm.base import Capabilities
from steward.executor.audit import AuditLog
from steward.executor.brakes import Brakes
from steward.executor.disk import RealDisk
from steward.executor.engine import Engine
from steward.executor.journal import Journal, connect
from steward.executor.plan import LiveDecider
from steward.executor.ports import Answer, Reading, Result, Settled, SystemClock, Unit, Work
from steward.records import Record, RecordKey, Scalar
from tests.support.crash import MAPPING, RECIPIENTS, Tally, cut_run, kill_run
from tests.support.signing import signer

GOAL_1, GOAL_100 = 10.0, 0.3


class InstantCrm:
    """Answers at once: what is left is the executor."""

    def __init__(self, size: int) -> None:
        self.capabilities = Capabilities(
            "instant", conditional_delete=True, recycle_bin=True, per_id_result=True, batch_size=1_000
        )
        text = "Musterstraße 12, 张江路 88号, +49 30 5550 1234 " * 10
        self.rows = {
            RecordKey("contact", f"{n:07d}"): Record(
                RecordKey("contact", f"{n:07d}"),
                {"id": f"{n:07d}", "name": f"Person {n}", "email": f"person{n}@example.org", "note": text[: 300 + n % 300]},
                "1",
            )
            for n in range(size)
        }

    def read(self, keys: Sequence[RecordKey], *, links_of: Sequence[RecordKey] = ()) -> Reading:
        return Reading({k: self.rows[k] for k in keys})

    def value_for(self, object: str, field: str, text: str | None, now: datetime) -> Scalar:
        return text

    def apply(self, units: Sequence[Unit], *, manifest: str, attempt: int) -> Mapping[int, Result]:
        return {w.seq: Result(Answer.DONE) for u in units for w in u.works}

    me = ""

    def moving(self, object: str) -> frozenset[str]:
        return frozenset()

    def go_on(self, units: Sequence[Unit], *, manifest: str) -> Mapping[int, Result]:
        return {}

    def settle(self, works: Sequence[Work], *, manifest: str) -> Mapping[int, Settled]:
        return {}

    def put_back(self, work: Work, *, manifest: str) -> bool:
        return False

    def can_renumber(self, object: str) -> bool:
        return False

    def count(self, object: str) -> int:
        return len(self.rows)

    def close(self) -> None: ...


def overhead(size: int, batch: int) -> tuple[float, float]:
    """Milliseconds per record on the clock, waiting for the disk included, and of processor time."""
    crm = InstantCrm(size)
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as folder:
        journal = Journal(connect(Path(folder) / "journal.sqlite"))
        works = [
            Work(n, k.object, k.id, "soft_delete", version="1", preimage=r.digest) for n, (k, r) in enumerate(crm.rows.items())
        ]
        id = "01BENCH0000000000000000000"
        journal.receive(id, "d" * 64, works, kind="deletion", at=datetime.now(UTC).isoformat(), retain_days=90)
        decider = LiveDecider(crm, MAPPING, "bench", lambda: datetime.now(UTC), {}, vetoed=frozenset, held=frozenset)
        disk = RealDisk(Path(folder) / "backup")
        engine = Engine(
            id, journal, disk, RECIPIENTS, crm, decider, AuditLog(journal, signer("machine"), origin="bench"), Brakes(size),
            lambda n: None, SystemClock(), batch=batch,
        )  # fmt: skip
        start, begun = time.perf_counter(), time.process_time()
        counts = engine.run()
        took, worked = time.perf_counter() - start, time.process_time() - begun
        assert counts == {"done": size}, counts
        disk.close()
        journal.db.close()
    return took * 1000 / size, worked * 1000 / size


def crash(kills: int, cuts: int, seed: int) -> dict[str, Any]:
    """Run both harnesses until so many crashes have happened."""
    found: dict[str, Any] = {"first_seed": seed}
    for name, loop, goal in (("kills", kill_run, kills), ("cuts", cut_run, cuts)):
        tally, at, start = Tally(), seed, time.monotonic()
        while tally.crashes < goal:
            loop(at, tally, conditional=at % 2 == 0)
            at += 1
        found[name] = {
            "crashes": tally.crashes, "runs": tally.runs, "last_seed": at - 1, "deletes": tally.deletes, "states": dict(tally.states),
            "hooks": dict(tally.hooks), "violations": tally.violations, "seconds": round(time.monotonic() - start, 1),
        }  # fmt: skip
    return found


def grow(items: int, *, as_json: bool) -> int:
    """Print the growth; 0 where it is linear, memory stays low and a record is found in time."""
    from bench.executor_growth import growth

    small, large = rows = growth(items)
    if as_json:
        print(json.dumps(rows))
    else:
        names = list(small)
        print("  ".join(f"{n:>12}" for n in names))
        for row in rows:
            print("  ".join(f"{row[n]:>12}" for n in names))
    per_item = [sum(row[f"{n}_us"] for n in ("entered", "run", "receipt")) for row in rows]
    ratio = per_item[1] / per_item[0]
    met = ratio <= 1.2 and large["peak_mib"] < 300 and large["find_ms"] < 100
    print(
        f"executor: {items:,} items cost {ratio:.2f} times as much each as a tenth of them (goal 1.2), {large['peak_mib']} MiB (goal 300), "
        f"one record found in {large['find_ms']} ms (goal 100) {'met' if met else 'missed'}"
    )
    return 0 if met else 1


def pace(*, as_json: bool) -> int:
    """Print the share of documented rate limits that is used; 0 where it is 95 % and nothing was throttled."""
    from tests.support.rates import LIMITS, work_against

    rows = [(limit, *work_against(limit, batch, minutes=300)) for limit, batch in LIMITS]
    if as_json:
        print(json.dumps(rows))
    else:
        print("per minute  used %  throttled")
        for limit, share, throttled in rows:
            print(f"{limit:>10}  {share * 100:>6.1f}  {throttled:>9}")
    worst, throttled = min(r[1] for r in rows), sum(r[2] for r in rows)
    met = worst >= 0.95 and not throttled
    print(
        f"executor: {worst * 100:.1f} % of the documented rate used, {throttled} answers 429 (goal 95 and 0) {'met' if met else 'missed'}"
    )
    return 0 if met else 1


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures; 0 where the goals are met."""
    parser = argparse.ArgumentParser(prog="python -m bench.executor", description=__doc__)
    parser.add_argument("--size", type=int, default=5_000)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--cuts", type=int, default=0)
    parser.add_argument("--shreds", type=int, default=0)
    parser.add_argument("--vendor-cuts", type=int, default=0)
    parser.add_argument("--items", type=int, default=0)
    parser.add_argument("--rate", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    if args.kills or args.cuts:
        found = crash(args.kills, args.cuts, args.seed)
        wrong = sum(len(found[n]["violations"]) for n in ("kills", "cuts"))
        if args.json:
            print(json.dumps(found))
        else:
            for name in ("kills", "cuts"):
                f = found[name]
                print(
                    f"{name}: {f['crashes']} crashes in {f['runs']} runs, {f['deletes']} deletes, seeds {args.seed}..{f['last_seed']}, {f['seconds']} s"
                )
                print(f"  outcomes {f['states']}")
                print(f"  violations {f['violations'][:10]}")
        print(f"executor: {wrong} violations (goal 0) {'met' if not wrong else 'missed'}")
        return 0 if not wrong else 1
    if args.shreds or args.vendor_cuts:
        from bench.executor_crash import tell_shreds, tell_vendor_cuts

        codes = [tell_shreds(args.shreds, args.seed, as_json=args.json)] if args.shreds else []
        codes += [tell_vendor_cuts(args.vendor_cuts, args.seed, as_json=args.json)] if args.vendor_cuts else []
        return max(codes)
    if args.items:
        return grow(args.items, as_json=args.json)
    if args.rate:
        return pace(as_json=args.json)
    rows = {
        batch: min(overhead(size, batch) for _ in range(3))
        for batch, size in ((1, min(300, args.size)), (10, min(1_000, args.size)), (100, args.size))
    }
    if args.json:
        print(json.dumps({str(b): r for b, r in rows.items()}))
    else:
        print("batch  ms/record  of it processor  records/s")
        for batch, (ms, worked) in rows.items():
            print(f"{batch:>5}  {ms:>9.3f}  {worked:>15.3f}  {1000 / ms:>9.0f}")
    met = rows[1][0] <= GOAL_1 and rows[100][0] <= GOAL_100
    print(
        f"executor: {rows[100][0]:.3f} ms/record at batch 100, {rows[1][0]:.2f} at batch 1 (goal {GOAL_100} and {GOAL_1:g}) "
        f"{'met' if met else 'missed'}"
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
