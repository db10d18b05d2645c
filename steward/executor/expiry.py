"""Expiry: backups whose time has passed are made unreadable by removing their data keys, with a signed receipt.

The frames stay where they are: without their key they are noise, and the receipts that name their digests stay true. A
copy of a key file elsewhere (a snapshot of the volume, a solid-state disk's spare blocks) defeats this; keep ``keys`` on a
volume of its own. Left to others: how long is kept (signed in the manifest), erasing one record (``erasure``).
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from steward.executor.audit import AuditLog
from steward.executor.backup import key_name
from steward.executor.disk import RealDisk
from steward.executor.documents import SHRED_TYPE, ShredPredicate
from steward.executor.gates import TenantLock
from steward.executor.parts import Parts
from steward.executor.receipt import head_of
from steward.manifest.draft import new_manifest_id, whole_second
from steward.manifest.format import Subject
from steward.manifest_files import write_file
from steward.signing import sign_statement

PENDING = "erase.keys"


def expire(parts: Parts) -> dict[str, Any]:
    """Shred the keys of every manifest whose ``retainDays`` have passed since it ended; return what was done.

    The journal says so before the keys go: after a crash the rest is removed by the next call.
    """
    lock = TenantLock(parts.home.path / "lock")
    try:
        trust = parts.trust()
        now = parts.clock.now()
        journal = parts.journal
        disk = parts.backup_disk
        audit = parts.audit(trust)
        remove_pending(parts, disk)
        expired, kept, keys_gone, frames = [], 0, 0, 0
        for known in journal.manifests():
            if known["finished"] is None:
                continue
            ends = datetime.fromisoformat(known["finished"]) + timedelta(days=known["retain_days"])
            if known["expired"] is None and now < ends:
                kept += 1
                continue
            refs = journal.frames(known["id"])
            keys = sorted({ref.key for ref in refs.values()})
            left = [k for k in keys if disk.size(key_name(k)) is not None]
            if known["expired"] is not None and not left:
                continue
            with journal.commit():
                journal.db.execute("UPDATE manifest SET expired=? WHERE id=?", (now.isoformat(), known["id"]))
            for key in left:
                disk.remove(key_name(key))
                keys_gone += 1
            frames += len(refs)
            expired.append(known["id"])
        receipt = None
        if expired:
            receipt = shred_receipt(parts, audit, tuple(expired), why="expired", record=None, keys=keys_gone, frames=frames)
        return {"expired": expired, "kept": kept, "keys": keys_gone, "receipt": None if receipt is None else str(receipt)}
    finally:
        lock.release()


def remove_pending(parts: Parts, disk: RealDisk) -> int:
    """Remove the keys that an erasure had decided on before the machine stopped."""
    said = parts.journal.get(PENDING)
    keys: list[str] = json.loads(said) if said else []
    gone = 0
    for key in keys:
        if disk.size(key_name(key)) is not None:
            disk.remove(key_name(key))
            gone += 1
    if keys:
        with parts.journal.commit():
            parts.journal.put(PENDING, "[]")
    return gone


def shred_receipt(
    parts: Parts,
    audit: AuditLog,
    manifests: tuple[str, ...],
    *,
    why: str,
    record: str | None,
    keys: int,
    frames: int,
    kept: int = 0,
) -> Path:
    """Log that keys are gone, checkpoint it, sign a receipt; return its path."""
    now = parts.clock.now()
    with parts.journal.commit():
        audit.add("shredded", now, manifests=list(manifests), why=why, record=record, keys=keys, frames=frames)
        envelope = audit.checkpoint(now)
    parts.push(envelope, last=True)
    head = head_of(envelope)
    c = parts.home.config
    said = ShredPredicate(
        manifest_ids=manifests, tenant=c.tenant, executor=c.executor, why=why, record=record, keys=keys, frames=frames,  # type: ignore[arg-type]  # one of the literals
        kept=kept, at=whole_second(now), checkpoint=head,
    )  # fmt: skip
    name = new_manifest_id(bytes.fromhex(head.head[:32]))
    path = parts.home.path / "receipts" / f"{name}.shred.dsse.json"
    subject = Subject(name="audit", digest={"sha256": head.head})
    write_file(path, sign_statement([parts.signer], subject=[subject], predicate_type=SHRED_TYPE, predicate=said), mode=0o600)
    return path


__all__ = ["expire", "remove_pending", "shred_receipt"]
