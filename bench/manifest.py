"""What signing and checking a manifest costs, beside reading and hashing the same file with sha256.

``python -m bench.manifest [--size N] [--json]``: writes N items (1,000,000 by default) to a temporary file, signs twice,
checks envelope, bytes and everything. Goals: signing twice and checking the envelope under 5 ms together; bytes at most
1.2 times sha256 of the same file (every chunk against its signed digest; the subject, a second digest of the same bytes, is
part of the full check); the full check at most 12 times; peak memory of the check at most 200 MB. The check
runs in a process of its own, so that its memory is its own. Times are processor seconds of all threads, which a machine that
does other work as well changes little; the second thread that hashes the whole file is counted too. ``--shuffled`` writes the
ids in no order, so that every one is kept and compared by its hash.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from steward.manifest import Item, write_items
from steward.manifest.chunks import check_bytes, check_items
from steward.manifest_files import FileItems
from steward.signing import seal, verify
from steward.signing.dsse import STATEMENT_PAYLOAD, pae
from tests.support import signing as world
from tests.support.memory import peak_mib

GOALS = {"sign and envelope (ms)": 5.0, "bytes / sha256": 1.2, "full / sha256": 12.0, "memory (MB)": 200.0}


def items(n: int, shuffled: bool = False) -> Iterator[Item]:
    """Soft deletes with ids of Zoho's length, as a staleness rule proposes them; ids ascend unless ``shuffled``."""
    order = list(range(n)) if shuffled else range(n)
    if isinstance(order, list):
        random.Random(7).shuffle(order)
    for seq, number in enumerate(order):
        yield world.item(seq, id=f"4150868000{number:010d}")


def raw_hash(path: Path) -> float:
    """Processor seconds to read and hash the file with sha256, in pieces of 4 MB."""
    start = time.process_time()
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while part := file.read(4 << 20):
            digest.update(part)
    return time.process_time() - start


def child(folder: Path, what: str) -> None:
    """Measure one kind of check; prints seconds, seconds of sha256 around it, and peak memory in MB."""
    info = json.loads((folder / "info.json").read_text())
    import msgspec

    from steward.manifest.format import ItemsInfo

    table = msgspec.json.decode(info["info"].encode(), type=ItemsInfo)
    path = folder / "items.ndjson"
    raw, took = [], []
    for _ in range(3 if what == "bytes" else 2):
        raw.append(raw_hash(path))
        with FileItems(path) as source:
            start = time.process_time()
            if what == "bytes":
                check_bytes(source, table)
            else:
                check_items(source, table, info["sha256"])
            took.append(time.process_time() - start)
        raw.append(raw_hash(path))
    print(json.dumps({"seconds": min(took), "raw": min(raw), "memory": peak_mib()}))


def measure(folder: Path, what: str) -> dict[str, float]:
    """Run :func:`child` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.manifest", "--child", what, str(folder)], capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--shuffled", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs=2, metavar=("WHAT", "FOLDER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(Path(args.child[1]), args.child[0])
        return 0
    import msgspec

    with tempfile.TemporaryDirectory(prefix="steward-bench-") as name:
        folder = Path(name)
        start = time.perf_counter()
        with (folder / "items.ndjson").open("wb") as file:
            summary = write_items(items(args.size, args.shuffled), file.write)
        write = time.perf_counter() - start
        (folder / "info.json").write_text(
            json.dumps({"info": msgspec.json.encode(summary.info).decode(), "sha256": summary.sha256})
        )
        predicate = world.predicate_of([world.item(0)], summary.info, summary.counts)
        payload = msgspec.json.encode(
            world.Statement(
                subject=(world.Subject(name="items.ndjson", digest={"sha256": summary.sha256}),),
                predicate_type=world.MANIFEST_TYPE,
                predicate=predicate,
            )
        )
        signers, message = [world.signer("bob"), world.signer("cid"), world.signer("eve")], pae(STATEMENT_PAYLOAD, payload)
        store = world.trust()
        times = []
        from steward.manifest.format import ManifestPredicate
        from steward.signing.statements import check_signatures, parse_statement, signed_envelope

        for _ in range(50):
            start = time.perf_counter()
            envelope = seal(payload, STATEMENT_PAYLOAD, [(s.keyid, s.sign(message)) for s in signers[:2]])
            body, signatures = signed_envelope(envelope)
            check_signatures(body, signatures, store, world.NOW)
            parse_statement(body, world.MANIFEST_TYPE, ManifestPredicate)
            times.append((time.perf_counter() - start) * 1000)
        if args.size <= 10_000:  # the whole verifier once, so that what is timed is what is used
            with FileItems(folder / "items.ndjson") as source:
                whole = seal(payload, STATEMENT_PAYLOAD, [(s.keyid, s.sign(message)) for s in signers])
                verify(whole, source, store, world.context())
        size = (folder / "items.ndjson").stat().st_size
        byte, full = measure(folder, "bytes"), measure(folder, "full")
    figures = {
        "sign and envelope (ms)": statistics.median(times),
        "bytes / sha256": byte["seconds"] / byte["raw"],
        "full / sha256": full["seconds"] / full["raw"],
        "memory (MB)": full["memory"],
    }
    met = all(figures[k] <= GOALS[k] for k in GOALS)
    if args.json:
        print(json.dumps({"size": args.size, "figures": figures, "goals": GOALS, "met": met}))
    else:
        print(
            f"{args.size:,} items, {size / 1e6:.0f} MB, envelope {len(envelope):,} bytes; written in {write:.1f} s ({args.size / write:,.0f}/s)"
        )
        print(
            f"sha256 alone {full['raw']:.3f} s; bytes {byte['seconds']:.3f} s; full {full['seconds']:.2f} s ({args.size / full['seconds']:,.0f} items/s)"
        )
        for key, value in figures.items():
            print(f"  {key:<24}{value:>9.2f}   goal {GOALS[key]:g}   {'met' if value <= GOALS[key] else 'missed'}")
        print(
            f"manifest: {figures['full / sha256']:.1f}x sha256 for the full check (goal {GOALS['full / sha256']:g}x) {'met' if met else 'missed'}"
        )
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
