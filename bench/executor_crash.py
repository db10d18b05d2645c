"""Crash harnesses beside deletions, at any length: shredding and restores, and changes of many calls over a vendor's API.

``python -m bench.executor --shreds N`` ends ``backup erase``, ``backup expire`` and a restore at every named step, fails every
write and sync of them with both errors, then cuts the power N times and kills a tenth as many processes on the real disk.
``python -m bench.executor --vendor-cuts N`` cuts the power N times in merges, deletions and restores over a hostile vendor.

Left to others: the harnesses themselves (``tests.support.shred_crash``, ``tests.support.vendor_crash``).
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.support import shred_crash, vendor_crash
from tests.support.crash import Tally


def shreds(goal: int, seed: int) -> dict[str, Any]:
    """Run every step and every failure once, then power cuts and kills; return tallies by kind and way."""
    found: dict[str, Any] = {"first_seed": seed}
    # A process that is killed loses nothing it has written: memory is as good a place as a disk, and costs less.
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="steward-shred-", dir=memory) as folder:
        made = shred_crash.scene(Path(folder))
        for kind in shred_crash.KINDS:
            ways: dict[str, Tally] = {"steps": Tally(), "failures": Tally(), "cuts": Tally(), "kills": Tally()}
            n = 1
            while not shred_crash.stop_run(made, n, kind, ways["steps"]):
                n += 1
            for failure in shred_crash.FAILURES:
                n = 1
                while not shred_crash.fault_run(made, n, failure, kind, ways["failures"]):
                    n += 1
            at = seed
            while ways["cuts"].crashes < goal // len(shred_crash.KINDS):
                shred_crash.cut_run(made, at, kind, ways["cuts"])
                at += 1
            while ways["kills"].crashes < goal // len(shred_crash.KINDS) // 10:
                shred_crash.kill_run(made, at, kind, ways["kills"])
                at += 1
            found[kind] = {
                way: {"crashes": t.crashes, "runs": t.runs, "violations": t.violations} for way, t in ways.items()
            } | {"last_seed": at - 1}
    return found


def vendor_cuts(goal: int, seed: int) -> dict[str, Any]:
    """Cut the power until it was cut so often; return what it came to."""
    tally, at, begun = Tally(), seed, time.process_time()
    while tally.crashes < goal:
        vendor_crash.cut_run(at, tally)
        at += 1
    return {
        "first_seed": seed, "last_seed": at - 1, "runs": tally.runs, "crashes": tally.crashes, "writes": tally.deletes,
        "states": dict(tally.states), "windows": tally.windows, "violations": tally.violations,
        "processor_seconds": round(time.process_time() - begun, 1),
    }  # fmt: skip


def tell_shreds(goal: int, seed: int, *, as_json: bool) -> int:
    """Print the figures; 0 where nothing was lost, kept or said twice."""
    found = shreds(goal, seed)
    kinds = {kind: found[kind] for kind in shred_crash.KINDS}
    wrong = sum(len(way["violations"]) for kind in kinds.values() for way in kind.values() if isinstance(way, dict))
    if as_json:
        print(json.dumps(found))
    else:
        for kind, ways in kinds.items():
            print(f"{kind}: " + ", ".join(f"{n} {w['crashes']}" for n, w in ways.items() if isinstance(w, dict)), end="")
            print(f", seeds {seed}..{ways['last_seed']}")
            for name, way in ways.items():
                if isinstance(way, dict) and way["violations"]:
                    print(f"  {name}: {way['violations'][:10]}")
    print(f"executor: {wrong} violations (goal 0) {'met' if not wrong else 'missed'}")
    return 0 if not wrong else 1


def tell_vendor_cuts(goal: int, seed: int, *, as_json: bool) -> int:
    """Print the figures; 0 where there was no violation."""
    found = vendor_cuts(goal, seed)
    wrong = len(found["violations"])
    if as_json:
        print(json.dumps(found))
    else:
        print(
            f"vendor: {found['crashes']} crashes in {found['runs']} runs, {found['writes']} writes, {found['windows']} edits between "
            f"the last look and the call, seeds {seed}..{found['last_seed']}, {found['processor_seconds']} s of processor"
        )
        print(f"  outcomes {found['states']}")
        print(f"  violations {found['violations'][:10]}")
    print(f"executor: {wrong} violations (goal 0) {'met' if not wrong else 'missed'}")
    return 0 if not wrong else 1


__all__ = ["shreds", "tell_shreds", "tell_vendor_cuts", "vendor_cuts"]
