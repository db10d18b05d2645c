"""Erase one record from every backup: the frames under its keys are written anew without it, then the old keys go.

For a person who may demand that the copy goes too. It needs an identity that opens the backups; what else the frames hold
stays restorable. Order: every frame is opened, new frames are durable and read back, then the journal points to them and
names the keys that must go (one commit), then the keys are removed. A crash in between leaves either the old or the new;
the next call finishes.

Left to others: expiry of whole manifests (``expiry``), removing the keys and saying so (``shredding``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from steward.errors import NotFoundError, UsageError
from steward.executor.backup import BackupReader, BackupSegment, FrameRef
from steward.executor.gates import TenantLock
from steward.executor.parts import Parts
from steward.executor.ports import Disk, Progress
from steward.executor.restoring import identities_of
from steward.executor.shredding import Shredded, Shredding, decide, drop_loose_keys, finish
from steward.messages import N_
from steward.records import RecordKey
from steward.signing import TrustStore


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure came to: manifests touched, keys gone, frames written anew, rows of the record taken out."""

    manifests: tuple[str, ...]
    keys: int
    rewritten: int
    rows: int
    receipt: Path


def erase(parts: Parts, key: RecordKey, *, identities: Sequence[Path] = (), progress: Progress = None) -> Erased:
    """Erase a record from every backup that is still kept; an earlier call that was stopped is finished first.

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
        with closing(parts.backup_disk) as disk:
            trust = parts.trust()
            earlier = finish(parts, disk, trust)
            _all_ended(parts)
            drop_loose_keys(parts, disk)
            reader = BackupReader(disk, identities_of(parts, identities))
            found = _keys_with(parts, reader, key, progress)
            if not found:
                if earlier is not None and earlier.said.record == str(key):
                    return _erased(earlier)
                raise NotFoundError(N_("No backup that is still kept holds {key}."), key=key)
            _rewrite(parts, disk, trust, reader, key, found)
            parts.hook("erase.noted")
            done = finish(parts, disk, trust)
            assert done is not None
            return _erased(done)
    finally:
        lock.release()


def _erased(done: Shredded) -> Erased:
    said = done.said
    return Erased(said.manifests, len(said.keys), said.kept, said.rows, done.receipt)


def _all_ended(parts: Parts) -> None:
    for known in parts.journal.manifests():
        if known["state"] == "running" and not known["expired"]:
            raise UsageError(
                N_("The manifest {manifest} is not finished; its backup cannot be changed now."),
                next_step=N_("Finish it first: steward-executor apply."),
                manifest=known["id"],
            )


def _keys_with(parts: Parts, reader: BackupReader, key: RecordKey, progress: Progress) -> dict[str, set[str]]:
    """Return, by manifest, the data keys of frames that hold the record, as an item or as something that hung on one."""
    found: dict[str, set[str]] = {}
    for known in parts.journal.manifests():
        if known["expired"]:
            continue
        for ref in parts.journal.frames(known["id"]).values():
            if any(e.before.key == key for e in reader.read(known["id"], ref)):
                found.setdefault(known["id"], set()).add(ref.key)
            if progress is not None:
                progress(1)
    return found


def _rewrite(
    parts: Parts, disk: Disk, trust: TrustStore, reader: BackupReader, key: RecordKey, found: Mapping[str, set[str]]
) -> None:
    """Write the frames under these keys anew, then point the journal there and name the keys that must go."""
    recipients = list(trust.recipients().values())
    changed: dict[str, dict[int, FrameRef | None]] = {}
    rows = 0
    for manifest, keys in found.items():
        segment = _segment(parts, disk, manifest, recipients)
        new = changed.setdefault(manifest, {})
        for n, ref in parts.journal.frames(manifest).items():
            if ref.key not in keys:
                continue
            effects = reader.read(manifest, ref)
            left = [e for e in effects if e.before.key != key]
            rows += len(effects) - len(left)
            new[n] = segment.write(left) if left else None
    refs = [ref for manifest in changed.values() for ref in manifest.values()]
    parts.hook("erase.written")
    with parts.journal.commit():
        for manifest, replaced in changed.items():
            parts.journal.replace_frames(manifest, replaced)
        decide(
            parts,
            Shredding(
                manifests=tuple(found), why="erased", record=str(key), keys=tuple(sorted(set().union(*found.values()))),
                frames=len(refs), kept=sum(1 for ref in refs if ref is not None), rows=rows,
            ),
        )  # fmt: skip


def _segment(parts: Parts, disk: Disk, manifest: str, recipients: Sequence[str]) -> BackupSegment:
    number = parts.journal.next_segment(manifest)
    return BackupSegment(
        disk,
        manifest,
        f"{manifest}.{number}",
        recipients,
        note=lambda key: parts.journal.note_key(manifest, key),
        hook=parts.hook,
    )


__all__ = ["Erased", "erase"]
