"""Receipts: a signed statement of every outcome, and the file of outcomes beside it.

An outcome line is canonical JSON: ``seq, object, id, action, target, state, code, by, at, did, of, readBack``. ``did``
names what was removed, replaced, moved and kept, never a value (``steward.executor.did``); it stands only where the change
was made, and for a change that was made in part it lists the steps that were. ``readBack`` is true where the record was seen afterwards to be so: by the transaction that made the change, or
by settling; an answer of the CRM alone is no sight. Files are written and read line by line. Left to others: when a run is
finished (``parts``).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from steward import __version__
from steward.errors import ExecutionError, MalformedManifestError
from steward.executor.backup import segment_name
from steward.executor.documents import CheckpointRef, FileRef, ReceiptPredicate
from steward.executor.files import StreamedFile, lines_of
from steward.executor.journal import Journal
from steward.executor.ports import APPLIED, Disk, State
from steward.manifest.codec import encode
from steward.manifest.format import RECEIPT_TYPE, Subject
from steward.manifest.merkle import Accumulator
from steward.manifest_files import read_file, write_file
from steward.messages import N_
from steward.signing import Signer, TrustStore, VerifiedStatement, sign_statement, verify_statement

MAX_OUTCOMES = 4 << 30
_PART = 16 << 20
_WENT = frozenset(s.value for s in APPLIED)


def outcome_lines(journal: Journal, manifest: str) -> Iterator[tuple[str, bytes]]:
    """Yield state and outcome line, without its line feed, of every item."""
    for seq, object, id, action, target, state, code, by, at, _frame, _version, _preimage, did, of in journal.outcomes(
        manifest
    ):
        went = state in _WENT
        said = json.loads(did) if did and (went or state == State.PARTLY) else {}
        seen = (went or state == State.PARTLY) and (
            said.pop("tx", False) or state == State.DONE_INFERRED or code in ("settled", "already", "compared", "partly")
        )
        yield (
            state,
            encode(
                {
                    "seq": seq, "object": object, "id": id, "action": action, "target": target, "state": state, "code": code,
                    "by": by, "at": at, "did": said, "of": of, "readBack": bool(seen),
                }
            ),
        )  # fmt: skip


def write_receipt(
    folder: Path,
    journal: Journal,
    disk: Disk,
    signer: Signer,
    *,
    manifest: str,
    kind: str,
    subject: Subject,
    facts: dict[str, Any],
    state: str,
    now: datetime,
    checkpoint: CheckpointRef,
    more: Sequence[Subject] = (),
) -> tuple[Path, ReceiptPredicate]:
    """Write outcomes and receipt, the receipt last; return its path and content. Running it again gives the same outcomes."""
    tree = Accumulator()
    counts: dict[str, int] = {}
    name = f"{manifest}.outcomes.ndjson"
    with StreamedFile(folder / name) as file:
        for found, line in outcome_lines(journal, manifest):
            tree.append(line)
            file.write(line + b"\n")
            counts[found] = counts.get(found, 0) + 1
    known = journal.manifest(manifest)
    assert known is not None
    backup = []
    for segment, end in sorted(journal.segment_ends(manifest).items()):
        backup.append(_segment_ref(disk, segment_name(segment), end))
    said = ReceiptPredicate(
        manifest_id=manifest,
        kind=kind,  # type: ignore[arg-type]  # one of the literals
        statement=known["digest"],
        tool=f"steward/{__version__}",
        state=state,  # type: ignore[arg-type]  # one of the literals
        counts=counts,
        outcomes=FileRef(name=name, bytes=file.size, sha256=file.sha256),
        item_root=tree.root().hex(),
        backup=tuple(backup),
        retain_days=known["retain_days"],
        started=datetime.fromisoformat(known["started"]).replace(microsecond=0),
        finished=now.replace(microsecond=0),
        checkpoint=checkpoint,
        restores=known["of"],
        **facts,
    )
    subjects = [subject, Subject(name=name, digest={"sha256": file.sha256}), *more]
    envelope = sign_statement([signer], subject=subjects, predicate_type=RECEIPT_TYPE, predicate=said)
    path = folder / f"{manifest}.receipt.dsse.json"
    write_file(path, envelope, mode=0o600)
    return path, said


def _segment_ref(disk: Disk, name: str, end: int) -> FileRef:
    digest, at = hashlib.sha256(), 0
    while at < end and (part := disk.read(name, at, min(_PART, end - at))):
        digest.update(part)
        at += len(part)
    return FileRef(name=name, bytes=at, sha256=digest.hexdigest())


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The outcome lines beside a receipt; each iteration reads the file from its beginning."""

    path: Path
    size: int

    def __iter__(self) -> Iterator[bytes]:
        return lines_of(self.path, limit=min(MAX_OUTCOMES, self.size))


def read_receipt(
    path: Path, trust: TrustStore, tenant: str, now: datetime
) -> tuple[VerifiedStatement[ReceiptPredicate], Outcomes]:
    """Open a receipt and its outcomes; both must be what was signed.

    Raises
    ------
    TrustError, MalformedManifestError
    """
    checked = open_receipt(read_file(path, limit=4 << 20), trust, tenant, now)
    said = checked.predicate.outcomes
    lines = Outcomes(path.parent / f"{checked.predicate.manifest_id}.outcomes.ndjson", said.bytes)
    tree, whole = Accumulator(), hashlib.sha256()
    try:
        for line in lines:
            tree.append(line)
            whole.update(line + b"\n")
    except ExecutionError:
        raise _not_signed() from None
    if whole.hexdigest() != said.sha256 or tree.root().hex() != checked.predicate.item_root:
        raise _not_signed()
    return checked, lines


def _not_signed() -> MalformedManifestError:
    return MalformedManifestError(N_("The outcomes beside the receipt are not those that were signed."))


def open_receipt(envelope: bytes, trust: TrustStore, tenant: str, now: datetime) -> VerifiedStatement[ReceiptPredicate]:
    """Verify a receipt's signature by an executor of the tenant."""
    return verify_statement(
        envelope, trust=trust, now=now, predicate_type=RECEIPT_TYPE, predicate=ReceiptPredicate, by="executors", tenant=tenant
    )


def head_of(envelope: bytes) -> CheckpointRef:
    """Return size and head of a checkpoint's envelope."""
    payload = json.loads(base64.b64decode(json.loads(envelope)["payload"]))["predicate"]
    return CheckpointRef(size=payload["size"], head=payload["head"])
