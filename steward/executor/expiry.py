"""Expiry: backups whose time has passed are made unreadable by removing their data keys, with a signed receipt.

The frames stay where they are: without their key they are noise, and the receipts that name their digests stay true. A
copy of a key file elsewhere (a snapshot of the volume, a solid-state disk's spare blocks) defeats this; keep ``keys`` on a
volume of its own. Left to others: how long is kept (signed in the manifest), erasing one record (``erasure``), removing the
keys and saying so (``shredding``).
"""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

from steward.executor.backup import key_name
from steward.executor.gates import TenantLock
from steward.executor.parts import Parts
from steward.executor.shredding import Shredding, decide, drop_loose_keys, finish


def expire(parts: Parts) -> dict[str, Any]:
    """Shred the keys of every manifest whose ``retainDays`` have passed since it ended; return what was done.

    What an earlier call or an erasure had decided on before the machine stopped is finished first; ``finished`` is the path
    of its receipt.
    """
    lock = TenantLock(parts.home.path / "lock")
    try:
        with closing(parts.backup_disk) as disk:
            trust = parts.trust()
            earlier = finish(parts, disk, trust)
            drop_loose_keys(parts, disk)
            now = parts.clock.now()
            journal = parts.journal
            expired: list[str] = []
            keys: list[str] = []
            kept = frames = 0
            for known in journal.manifests():
                if known["finished"] is None:
                    continue
                ends = datetime.fromisoformat(known["finished"]) + timedelta(days=known["retain_days"])
                if known["expired"] is None and now < ends:
                    kept += 1
                    continue
                left = [k for k in sorted(journal.keys_of(known["id"])) if disk.size(key_name(k)) is not None]
                if known["expired"] is not None and not left:
                    continue  # otherwise somebody has put keys back
                keys += left
                frames += len(journal.frames(known["id"]))
                expired.append(known["id"])
            done = None
            if expired:
                with journal.commit():
                    journal.expire(expired, now.isoformat())
                    decide(
                        parts, Shredding(manifests=tuple(expired), why="expired", record=None, keys=tuple(keys), frames=frames)
                    )
                parts.hook("expire.noted")
                done = finish(parts, disk, trust)
            return {
                "expired": expired,
                "kept": kept,
                "keys": len(keys),
                "receipt": None if done is None else str(done.receipt),
                "finished": None if earlier is None else str(earlier.receipt),
            }
    finally:
        lock.release()


__all__ = ["expire"]
