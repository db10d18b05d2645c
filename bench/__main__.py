"""Run every measurement and write ``docs/figures.md`` from what came out."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

NAMES = (
    "loading",
    "duplicates",
    "quality",
    "calibration",
    "peers",
    "evidence",
    "oracle",
    "staleness",
    "review",
    "manifest",
    "executor",
    "connectors",
)
ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def machine() -> str:
    """Cores, memory and interpreter, without the machine's name."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return (
        f"{os.cpu_count()} cores, {pages:.0f} GiB, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    )


def main() -> int:
    """Run all or the named ones; exit 0 only where every goal is met."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", help="only these: " + ", ".join(NAMES))
    words = parser.parse_args()
    present = [n for n in NAMES if (ROOT / "bench" / f"{n}.py").exists()]
    missed, parts = [], [f"Measured {datetime.now(UTC):%Y-%m-%d} on {machine()}.\n"]
    for name in words.names or present:
        print(f"== {name}", flush=True)
        done = subprocess.run([sys.executable, "-m", f"bench.{name}"], cwd=ROOT, capture_output=True, text=True, check=False)
        print(done.stdout[-4000:], flush=True)
        if done.returncode:
            missed.append(name)
            print(done.stderr[-2000:], file=sys.stderr)
        parts.append(f"\n## {name}\n\n`python -m bench.{name}`\n\n```\n{done.stdout.strip()}\n```\n")
    page = ROOT / "docs" / "figures.md"
    if not words.names:
        text = page.read_text(encoding="utf-8")
        head, tail = text.split(BEGIN)[0], text.split(END)[1]
        page.write_text(head + BEGIN + "\n" + "".join(parts) + END + tail, encoding="utf-8")
    print("missed: " + ", ".join(missed) if missed else "every goal is met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
