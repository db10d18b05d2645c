"""A signed receipt as an executor writes it, for tests of the side that reads it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from steward.executor.documents import CheckpointRef, FileRef, ReceiptPredicate
from steward.manifest.codec import encode
from steward.manifest.format import RECEIPT_TYPE, Subject
from steward.records import RecordKey
from steward.signing import Executor, TrustStore, sign_statement
from tests.support import signing as world

TENANT = "t"


def trust_of(tenant: str = TENANT) -> TrustStore:
    """A trust store whose executor ``machine`` is of this tenant."""
    return world.trust(world.trust_document(executors=(Executor(id="machine", tenant=tenant, keys=(world.key("machine"),)),)))


def write_receipt(
    folder: Path,
    gone: Mapping[RecordKey, str],
    *,
    started: datetime,
    finished: datetime,
    manifest: str = "01JD0000000000000000000001",
    tenant: str = TENANT,
    environment: str = "sandbox",
    signer: str = "machine",
    failed: Mapping[RecordKey, str] | None = None,
) -> Path:
    """Write outcomes and receipt; ``gone`` maps records to actions, ``failed`` to the state they ended in instead."""
    lines = []
    for seq, (key, action) in enumerate(sorted(gone.items()), start=1):
        state = (failed or {}).get(key, "done")
        lines.append(
            encode(
                {"seq": seq, "object": key.object, "id": key.id, "action": action, "target": None, "state": state, "code": None,
                 "by": None, "at": started.isoformat(), "did": {}, "of": None}
            )
        )  # fmt: skip
    raw = b"".join(line + b"\n" for line in lines)
    name = f"{manifest}.outcomes.ndjson"
    (folder / name).write_bytes(raw)
    counts: dict[str, int] = {}
    for line in lines:
        state = json.loads(line)["state"]
        counts[state] = counts.get(state, 0) + 1
    digest = hashlib.sha256(raw).hexdigest()
    said = ReceiptPredicate(
        manifest_id=manifest, kind="deletion", statement="a" * 64, system="files", tenant=tenant, environment=environment,
        executor="machine", tool="steward/1", state="finished", counts=counts,
        outcomes=FileRef(name=name, bytes=len(raw), sha256=digest), item_root="b" * 64, backup=(), retain_days=30,
        started=started, finished=finished, checkpoint=CheckpointRef(size=1, head="c" * 64), restores=None,
    )  # fmt: skip
    subjects = [Subject(name=name, digest={"sha256": digest})]
    path = folder / f"{manifest}.receipt.dsse.json"
    path.write_bytes(sign_statement([world.signer(signer)], subject=subjects, predicate_type=RECEIPT_TYPE, predicate=said))
    return path
