"""What it costs to take in a CSV file whole, beside reading its bytes.

``python -m bench.loading [--size N] [--json]``: writes a CSV of N rows and 12 columns (1,000,000 by default), reads it, and
loads it into a workspace: the original copied and hashed, its rows counted independently, every value as text in DuckDB
on the disk, odd lines kept as rejects. Goal: at most 40 times the processor time of reading the file. For comparison:
``polars.read_csv`` into memory, and a whole snapshot with the digest of every record.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

GOAL = 40.0
COLUMNS = "id,first_name,last_name,email,phone,street,city,postcode,country,birth_date,created_at,notes"


def write_file(path: Path, size: int) -> None:
    """Customers with 19-digit ids, phones with leading zeros, and a quoted note on every third."""
    dice = random.Random(7)
    with path.open("w", encoding="utf-8", newline="") as out:
        out.write(COLUMNS + "\n")
        for i in range(size):
            note = "" if i % 3 else f'"called, wants ""offer {i}"" back"'
            out.write(
                f"{4876876000000000000 + i * 17},Anna{i % 977},Müller{i % 5003},anna{i}@example.com,00{dice.randrange(10**10):010},"
                f"{i % 200} Long Street,City {i % 800},{dice.randrange(10**5):05},DE,19{i % 90 + 10}-0{i % 9 + 1}-1{i % 9},"
                f"2024-01-0{i % 9 + 1}T10:00:00Z,{note}\n"
            )


def cpu(action: Callable[[], object], times: int) -> float:
    """Least processor seconds of several runs, all threads together."""
    best = float("inf")
    for _ in range(times):
        start = time.process_time()
        action()
        best = min(best, time.process_time() - start)
    return best


def raw_load(path: Path, folder: Path) -> None:
    """Take the file in without record digests, which are another figure."""
    from steward.crm.mapping import ObjectMapping
    from steward.store import Workspace, bulk, writing
    from steward.store.delimited import shape_of
    from steward.store.encodings import Encoding
    from steward.store.raw import keep

    class Undigested(writing.TableWriter):
        def insert(self, source: str, parameters: Sequence[object] = (), *, given: bool = False) -> None:
            columns = ", ".join(map(writing.quote, self.stored))
            self.connection.execute(
                f"INSERT INTO {self.table} SELECT {self.id_sql()}, NULL, NULL, false, _file, _line, {columns} FROM {source}"
            )

    with Workspace.open(folder, create=True) as ws:
        ws.connection.execute("BEGIN; CREATE SCHEMA take_1")
        raw = keep(path, ws.path)
        shape = shape_of(raw.path, Encoding("utf-8", 0, "strict"), None, shown=path.name)
        writer = Undigested(ws.connection, "take_1", ObjectMapping(key="id", name="person"))
        writer.start(shape.columns, where=path.name)
        loaded = bulk.load_fast(writer, raw.path, shape, path.name)
        assert raw.utf8 and loaded is not None
        ws.connection.execute("COMMIT; CHECKPOINT")


def snapshot(path: Path, folder: Path) -> tuple[int, int]:
    """Take a whole snapshot; return rows and rejects."""
    from steward.store import FileSource, Workspace

    with Workspace.open(folder, create=True) as ws:
        taken = ws.take_snapshot(FileSource(path, key="id", object="person"), taken_at=datetime(2026, 1, 1, tzinfo=UTC))
        return taken.rows, len(ws.rejects(taken))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    import polars as pl

    with tempfile.TemporaryDirectory(prefix="steward-bench-") as name:
        folder = Path(name)
        path = folder / "people.csv"
        write_file(path, args.size)
        fresh = iter(range(100))
        raw_load(path, folder / f"w{next(fresh)}")  # imports and page cache
        read = cpu(path.read_bytes, 5)
        ours = cpu(lambda: raw_load(path, folder / f"w{next(fresh)}"), 3)
        polars = cpu(lambda: pl.read_csv(path, infer_schema=False), 3)
        whole = cpu(lambda: snapshot(path, folder / f"w{next(fresh)}"), 1)
        rows, rejects = snapshot(path, folder / f"w{next(fresh)}")
        size = path.stat().st_size
    assert (rows, rejects) == (args.size, 0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    table = [
        ("reading the file", read),
        ("polars, into memory", polars),
        ("raw load", ours),
        ("snapshot with record digests", whole),
    ]
    figure = ours / read
    met = figure <= GOAL
    if args.json:
        print(
            json.dumps(
                {
                    "size": args.size,
                    "bytes": size,
                    "cpu_seconds": dict(table),
                    "ratio": figure,
                    "goal": GOAL,
                    "peak_mb": peak,
                    "met": met,
                }
            )
        )
    else:
        print(f"{args.size:,} rows, {size / 1e6:.0f} MB; processor seconds")
        for label, seconds in table:
            print(f"  {label:<30} {seconds:8.2f}  {seconds / read:6.1f} x reading  {seconds / polars:5.1f} x polars")
        print(f"  peak memory of all together: {peak:,.0f} MB")
        print(f"loading: {figure:.1f} x reading (goal {GOAL:.0f}) {'met' if met else 'missed'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
