"""Expiry: backups whose time has passed are made unreadable by removing their data keys, and that is receipted.

The frames stay where they are: without their key they are noise, and the receipts that name their digests stay true. A
copy of a key file elsewhere (a snapshot of the volume, a solid-state disk's spare blocks) defeats this; keep ``keys`` on a
volume of its own. Left to others: how long is kept (signed in the manifest).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from steward.executor.audit import AuditLog
from steward.executor.backup import key_name
from steward.executor.disk import RealDisk
from steward.executor.gates import TenantLock

if TYPE_CHECKING:
    from steward.executor.parts import Parts


def expire(executor: Parts) -> dict[str, Any]:
    """Shred the keys of every manifest whose ``retainDays`` have passed since it ended; return what was done.

    The journal says so before the keys go: after a crash the rest is removed by the next call.
    """
    lock = TenantLock(executor.home.path / "lock")
    try:
        trust = executor.trust()
        now = executor.clock.now()
        journal = executor.journal
        disk = RealDisk(executor.home.path / "backup")
        audit = AuditLog(journal, executor.signer, origin=executor.origin(), trust_version=trust.version)
        expired, kept, keys_gone = [], 0, 0
        for known in journal.manifests():
            if known["finished"] is None:
                continue
            ends = datetime.fromisoformat(known["finished"]) + timedelta(days=known["retain_days"])
            if known["expired"] is None and now < ends:
                kept += 1
                continue
            keys = sorted({ref.key for ref in journal.frames(known["id"]).values()})
            left = [k for k in keys if disk.size(key_name(k)) is not None]
            if known["expired"] is not None and not left:
                continue
            with journal.commit():
                journal.db.execute("UPDATE manifest SET expired=? WHERE id=?", (now.isoformat(), known["id"]))
            for key in left:
                disk.remove(key_name(key))
                keys_gone += 1
            with journal.commit():
                audit.add("shredded", now, manifest=known["id"], keys=len(keys))
                envelope = audit.checkpoint(now)
            executor.push(envelope)
            expired.append(known["id"])
        return {"expired": expired, "kept": kept, "keys": keys_gone}
    finally:
        lock.release()
