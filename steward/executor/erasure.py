"""Erase one record from every backup: the frames under its keys are written anew without it, then the old keys go.

For a person who may demand that the copy goes too. It needs an identity that opens the backups; what else the frames hold
stays restorable. Order: new frames durable and read back, then the journal points to them and names the keys that must go
(one commit), then the keys are removed. A crash in between leaves either the old or the new; the next call finishes.

Left to others: expiry of whole manifests (``expiry``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from steward.errors import NotFoundError, UsageError
from steward.executor.backup import BackupReader, BackupSegment, FrameRef
from steward.executor.disk import RealDisk
from steward.executor.expiry import PENDING, remove_pending, shred_receipt
from steward.executor.gates import TenantLock
from steward.executor.parts import Parts
from steward.executor.ports import Progress
from steward.executor.restoring import identities_of
from steward.messages import N_
from steward.records import RecordKey


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure came to: manifests touched, keys gone, frames written anew, rows of the record taken out."""

    manifests: tuple[str, ...]
    keys: int
    rewritten: int
    rows: int
    receipt: Path


def erase(parts: Parts, key: RecordKey, *, identities: Sequence[Path] = (), progress: Progress = None) -> Erased:
    """Erase a record from every backup that is still kept.

    Parameters
    ----------
    key : RecordKey
    identities : sequence of Path
        Files that open the backups.

    Raises
    ------
    NotFoundError
        No backup holds it.
    UsageError
        A run that is not finished has backups; finish it first.
    BackupUnreadableError
        A frame does not open: nothing was changed.
    """
    lock = TenantLock(parts.home.path / "lock")
    try:
        trust = parts.trust()
        disk = parts.backup_disk
        remove_pending(parts, disk)
        reader = BackupReader(disk, identities_of(parts, identities))
        recipients = list(trust.recipients().values())
        touched: list[str] = []
        keys: set[str] = set()
        changed: dict[str, dict[int, FrameRef | None]] = {}
        frames = rows = 0
        for known in parts.journal.manifests():
            if known["expired"]:
                continue
            if known["state"] == "running":
                raise UsageError(
                    N_("The manifest {manifest} is not finished; its backup cannot be changed now."),
                    next_step=N_("Finish it first: steward-executor apply."),
                    manifest=known["id"],
                )
            found = _frames_with(parts, reader, known["id"], key, progress)
            if not found:
                continue
            touched.append(known["id"])
            keys |= found
            segment = _segment(parts, disk, known["id"], recipients)
            new = changed.setdefault(known["id"], {})
            for n, ref in parts.journal.frames(known["id"]).items():
                if ref.key not in found:
                    continue
                effects = reader.read(known["id"], ref)
                left = [e for e in effects if e.before.key != key]
                rows += len(effects) - len(left)
                frames += 1
                new[n] = segment.write(left) if left else None
        if not touched:
            raise NotFoundError(N_("No backup that is still kept holds {key}."), key=key)
        with parts.journal.commit():
            for manifest, refs in changed.items():
                parts.journal.replace_frames(manifest, refs)
            parts.journal.put(PENDING, json.dumps(sorted(keys)))
        parts.hook("erase.noted")
        gone = remove_pending(parts, disk)
        kept = sum(1 for refs in changed.values() for ref in refs.values() if ref is not None)
        receipt = shred_receipt(
            parts, parts.audit(trust), tuple(touched), why="erased", record=str(key), keys=gone, frames=frames, kept=kept
        )
        return Erased(tuple(touched), gone, kept, rows, receipt)
    finally:
        lock.release()


def _frames_with(parts: Parts, reader: BackupReader, manifest: str, key: RecordKey, progress: Progress) -> set[str]:
    """Return the data keys of frames that hold the record, as an item or as something that hung on one."""
    found = set()
    for ref in parts.journal.frames(manifest).values():
        if any(e.before.key == key for e in reader.read(manifest, ref)):
            found.add(ref.key)
        if progress is not None:
            progress(1)
    return found


def _segment(parts: Parts, disk: RealDisk, manifest: str, recipients: Sequence[str]) -> BackupSegment:
    return BackupSegment(disk, manifest, f"{manifest}.{parts.journal.next_segment(manifest)}", recipients, hook=parts.hook)


__all__ = ["Erased", "erase"]
