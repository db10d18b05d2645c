"""Making backups unreadable, each time once: what was decided, the keys gone, the audit event, the signed receipt.

Erasure and expiry decide in one commit of the journal; from there on only this module goes on, and wherever it is stopped
the next ``backup erase`` or ``backup expire`` finishes it: keys are removed until none is left, the event and its
checkpoint are one commit, and a receipt that is made again after a crash is the same to the last byte.

A data key that no frame of a finished manifest is under protects nothing but what a crash left over; it goes as well.
Left to others: which keys go and why (``erasure``, ``expiry``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from steward.executor.backup import key_name
from steward.executor.documents import SHRED_TYPE, CheckpointRef, ShredPredicate
from steward.executor.parts import Parts
from steward.executor.ports import Disk
from steward.executor.receipt import head_of
from steward.manifest.draft import new_manifest_id
from steward.manifest.format import Subject
from steward.manifest_files import write_file
from steward.signing import TrustStore, sign_statement

_NAME = "shredding"


class Shredding(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided.

    Attributes
    ----------
    record : str or None
        For an erasure, ``object/id``.
    keys : tuple of str
        Data keys that must go.
    frames, kept, rows : int
        Frames under them; how many were written anew; rows of the record that were taken out.
    at, checkpoint : datetime, CheckpointRef or None
        Set when the keys are gone and the audit log says so.
    """

    manifests: tuple[str, ...]
    why: Literal["expired", "erased"]
    record: str | None
    keys: tuple[str, ...]
    frames: int
    kept: int = 0
    rows: int = 0
    at: datetime | None = None
    checkpoint: CheckpointRef | None = None


@dataclass(frozen=True, slots=True)
class Shredded:
    """What was done, and where its receipt is."""

    said: Shredding
    receipt: Path


def decide(parts: Parts, said: Shredding) -> None:
    """Note what must go; the caller holds the commit that makes it right. None may be unfinished."""
    parts.journal.put(_NAME, msgspec.json.encode(said).decode())


def finish(parts: Parts, disk: Disk, trust: TrustStore) -> Shredded | None:
    """Do what was decided, or the rest of it after a crash; None where nothing was. The caller holds the lock."""
    text = parts.journal.get(_NAME)
    if not text:
        return None
    said = msgspec.json.decode(text, type=Shredding)
    if said.checkpoint is None:
        _remove(parts, disk, said.keys)
        parts.hook("shred.removed")
        said = _log(parts, said, trust)
    parts.hook("shred.logged")
    path = _write_receipt(parts, said)
    parts.hook("shred.receipt")
    with parts.journal.commit():
        parts.journal.forget(_NAME)
    return Shredded(said, path)


def drop_loose_keys(parts: Parts, disk: Disk) -> int:
    """Remove the keys that no frame is under, of manifests that have ended; return how many.

    A run that was killed between a frame and the commit that names it leaves an encrypted copy that nobody will ask for,
    and that neither expiry nor an erasure would reach. Keys that this journal has never named stay: after an old copy of
    the journal was put back they may be all that is left.
    """
    loose: set[str] = set()
    for known in parts.journal.manifests():
        if known["state"] != "running":
            loose |= parts.journal.keys_of(known["id"]) - {ref.key for ref in parts.journal.frames(known["id"]).values()}
    return _remove(parts, disk, sorted(loose))


def _remove(parts: Parts, disk: Disk, keys: tuple[str, ...] | list[str]) -> int:
    gone = 0
    for key in keys:
        if disk.size(key_name(key)) is not None:
            parts.hook("shred.key")
            disk.remove(key_name(key))
            gone += 1
    return gone


def _log(parts: Parts, said: Shredding, trust: TrustStore) -> Shredding:
    now = parts.clock.now().replace(microsecond=0)
    audit = parts.audit(trust)
    with parts.journal.commit():
        audit.add(
            "shredded", now, manifests=list(said.manifests), why=said.why, record=said.record, keys=len(said.keys),
            frames=said.frames,
        )  # fmt: skip
        envelope = audit.checkpoint(now)
        said = msgspec.structs.replace(said, at=now, checkpoint=head_of(envelope))
        decide(parts, said)
    parts.push(envelope, last=True)
    return said


def _write_receipt(parts: Parts, said: Shredding) -> Path:
    """Sign what was done. Name, time and content come from the journal, so that a second time makes the same file."""
    head, at = said.checkpoint, said.at
    assert head is not None and at is not None
    c = parts.home.config
    statement = ShredPredicate(
        manifest_ids=said.manifests, tenant=c.tenant, executor=c.executor, why=said.why, record=said.record, keys=len(said.keys),
        frames=said.frames, kept=said.kept, at=at, checkpoint=head,
    )  # fmt: skip
    path = parts.home.path / "receipts" / f"{new_manifest_id(bytes.fromhex(head.head[:32]))}.shred.dsse.json"
    subject = Subject(name="audit", digest={"sha256": head.head})
    envelope = sign_statement([parts.signer], subject=[subject], predicate_type=SHRED_TYPE, predicate=statement)
    write_file(path, envelope, mode=0o600)
    return path


__all__ = ["Shredded", "Shredding", "decide", "drop_loose_keys", "finish"]
