"""A whole run of the executor at growing size, without a CRM: time per item, memory, one record found in the backup.

``python -m bench.executor --items 1000000`` runs each size in a process of its own, so that each has its own peak of
memory. Measured are: entering the items into the journal, the run (backup written, read back, journal, audit log,
checkpoints), the receipt, and the longest time to find and open one record's backup, cold, without and with its key.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyrage

from steward.crm.base import Capabilities
from steward.executor.audit import AuditLog
from steward.executor.backup import BackupReader
from steward.executor.brakes import Brakes
from steward.executor.disk import RealDisk
from steward.executor.documents import CheckpointRef
from steward.executor.engine import Engine
from steward.executor.journal import Journal, connect
from steward.executor.plan import LiveDecider
from steward.executor.ports import Answer, Reading, Result, Settled, SystemClock, Unit, Work
from steward.executor.receipt import write_receipt
from steward.executor.restore import FrameEffects
from steward.manifest.format import Subject
from steward.records import Record, RecordKey, Scalar
from tests.support.crash import MAPPING
from tests.support.memory import peak_mib
from tests.support.signing import signer

MANIFEST = "01GR0WTH000000000000000000"
LOOKUPS = 300


def record(key: RecordKey) -> Record:
    """A record of about 700 bytes made from its number alone: a million of them need no memory."""
    n = int(key.id)
    words = random.Random(n)
    note = " ".join(f"Musterstraße {words.randrange(999)}, 张江路 {words.randrange(99)}号" for _ in range(8 + n % 8))
    fields: dict[str, Scalar] = {"id": key.id, "name": f"Person {n}", "email": f"person{n}@example.org", "note": note}
    return Record(key, fields, "1")


class EndlessCrm:
    """Answers at once, from numbers."""

    def __init__(self) -> None:
        self.capabilities = Capabilities("endless", conditional_delete=True, per_id_result=True, batch_size=1_000)

    def read(self, keys: Sequence[RecordKey], *, links_of: Sequence[RecordKey] = ()) -> Reading:
        return Reading({k: record(k) for k in keys})

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
        return 0

    def close(self) -> None: ...


def works(items: int) -> Iterator[Work]:
    """Items as a manifest gives them, one after the other."""
    for n in range(items):
        key = RecordKey("contact", f"{n:07d}")
        yield Work(n, key.object, key.id, "hard_delete", version="1", preimage=record(key).digest)


def whole_run(items: int) -> dict[str, Any]:
    """One run in this process."""
    ops, dpo = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    recipients = [str(ops.to_public()), str(dpo.to_public())]
    crm, now = EndlessCrm(), datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as name:
        folder = Path(name)
        journal = Journal(connect(folder / "journal.sqlite"))
        disk = RealDisk(folder / "backup")
        spent: dict[str, float] = {}

        def timed(step: str, start: float) -> None:
            spent[step] = time.process_time() - start

        start = time.process_time()
        journal.receive(MANIFEST, "d" * 64, works(items), kind="deletion", at=now.isoformat(), retain_days=90)
        timed("entered", start)
        decider = LiveDecider(crm, MAPPING, "bench", lambda: datetime.now(UTC), {}, vetoed=frozenset, held=frozenset)
        key = signer("machine")
        engine = Engine(
            MANIFEST, journal, disk, recipients, crm, decider, AuditLog(journal, key, origin="bench"), Brakes(items),
            lambda n: None, SystemClock(), batch=100,
        )  # fmt: skip
        start = time.process_time()
        assert engine.run() == {"done": items}
        timed("run", start)
        start = time.process_time()
        facts = {"system": "sql", "tenant": "t", "environment": "e", "executor": "machine"}
        _, said = write_receipt(
            folder, journal, disk, key, manifest=MANIFEST, kind="deletion", subject=Subject(name="items.ndjson", digest={"sha256": "0" * 64}),
            facts=facts, state="finished", now=now, checkpoint=CheckpointRef(size=1, head="0" * 64),
        )  # fmt: skip
        timed("receipt", start)
        peak = peak_mib()
        rng, cold, warm = random.Random(7), [], []
        for _ in range(LOOKUPS):
            wanted = f"{rng.randrange(items):07d}"
            reader = BackupReader(disk, [ops])
            for into in (cold, warm):
                begin = time.process_time()
                ((manifest, seq, _state),) = journal.find("contact", wanted)
                (effect,) = FrameEffects(journal, reader, manifest).of(seq)
                into.append((time.process_time() - begin) * 1000)
                assert effect.before.fields == record(RecordKey("contact", wanted)).fields
        found = {
            "items": items, "peak_mib": round(peak), "backup_mb": round(sum(f.bytes for f in said.backup) / 1e6),
            "receipt_mb": round(said.outcomes.bytes / 1e6), "find_ms": round(max(cold), 1), "find_warm_ms": round(max(warm), 1),
            **{f"{n}_us": round(s * 1e6 / items, 1) for n, s in spent.items()},
        }  # fmt: skip
        disk.close()
        journal.db.close()
    return found


def growth(largest: int) -> list[dict[str, Any]]:
    """Run a tenth, and the whole, each in its own process."""
    rows = []
    for items in (max(1_000, largest // 10), largest):
        done = subprocess.run(
            [sys.executable, "-c", f"import json; from bench.executor_growth import whole_run; print(json.dumps(whole_run({items})))"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        rows.append(json.loads(done.stdout))
    return rows
