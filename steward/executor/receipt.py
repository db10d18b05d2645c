"""Receipts: a signed statement of every outcome, the file of outcomes beside it, and proofs for one record.

An outcome line is canonical JSON: ``seq, object, id, action, target, state, code, by, at, did, of``; ``did`` names the
fields and links that changed, never a value. Left to others: when a run is finished (``runner``).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from steward import __version__
from steward.errors import MalformedManifestError, NotFoundError
from steward.executor.backup import segment_name
from steward.executor.documents import CheckpointRef, FileRef, ReceiptPredicate
from steward.executor.journal import Journal
from steward.executor.ports import Disk
from steward.manifest.codec import encode
from steward.manifest.format import RECEIPT_TYPE, Subject
from steward.manifest.merkle import Accumulator, includes, inclusion_proof
from steward.manifest_files import read_file, write_file
from steward.messages import N_
from steward.records import RecordKey
from steward.signing import Signer, TrustStore, VerifiedStatement, sign_statement, verify_statement

MAX_OUTCOMES = 4 << 30


def outcome_lines(journal: Journal, manifest: str) -> Iterator[bytes]:
    """Yield the outcome lines without their line feeds."""
    for seq, object, id, action, target, state, code, by, at, _frame, _version, _preimage, did, of in journal.outcomes(
        manifest
    ):
        yield encode(
            {
                "seq": seq, "object": object, "id": id, "action": action, "target": target, "state": state, "code": code,
                "by": by, "at": at, "did": json.loads(did) if did else {}, "of": of,
            }
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
) -> tuple[Path, ReceiptPredicate]:
    """Write outcomes and receipt, the receipt last; return its path and content. Running it again gives the same outcomes."""
    tree, whole, size = Accumulator(), hashlib.sha256(), 0
    counts: dict[str, int] = {}
    name = f"{manifest}.outcomes.ndjson"
    parts: list[bytes] = []
    for line in outcome_lines(journal, manifest):
        tree.append(line)
        raw = line + b"\n"
        whole.update(raw)
        size += len(raw)
        parts.append(raw)
        found = json.loads(line)["state"]
        counts[found] = counts.get(found, 0) + 1
    write_file(folder / name, b"".join(parts), mode=0o600)
    known = journal.manifest(manifest)
    assert known is not None
    backup = []
    for segment, end in sorted(journal.segment_ends(manifest).items()):
        raw = disk.read(segment_name(segment), 0, end)
        backup.append(FileRef(name=segment_name(segment), bytes=len(raw), sha256=hashlib.sha256(raw).hexdigest()))
    said = ReceiptPredicate(
        manifest_id=manifest,
        kind=kind,  # type: ignore[arg-type]  # one of the literals
        statement=known["digest"],
        tool=f"steward/{__version__}",
        state=state,  # type: ignore[arg-type]  # one of the literals
        counts=counts,
        outcomes=FileRef(name=name, bytes=size, sha256=whole.hexdigest()),
        item_root=tree.root().hex(),
        backup=tuple(backup),
        retain_days=known["retain_days"],
        started=datetime.fromisoformat(known["started"]).replace(microsecond=0),
        finished=now.replace(microsecond=0),
        checkpoint=checkpoint,
        restores=known["of"],
        **facts,
    )
    subjects = [subject, Subject(name=name, digest={"sha256": whole.hexdigest()})]
    envelope = sign_statement([signer], subject=subjects, predicate_type=RECEIPT_TYPE, predicate=said)
    path = folder / f"{manifest}.receipt.dsse.json"
    write_file(path, envelope, mode=0o600)
    return path, said


def read_receipt(
    path: Path, trust: TrustStore, tenant: str, now: datetime
) -> tuple[VerifiedStatement[ReceiptPredicate], list[bytes]]:
    """Open a receipt and its outcomes; both must be what was signed.

    Raises
    ------
    TrustError, MalformedManifestError
    """
    checked = open_receipt(read_file(path, limit=4 << 20), trust, tenant, now)
    said = checked.predicate.outcomes
    raw = read_file(
        path.parent / f"{checked.predicate.manifest_id}.outcomes.ndjson", limit=min(MAX_OUTCOMES, said.bytes + 1), empty=True
    )
    lines = raw.split(b"\n")[:-1]
    tree = Accumulator()
    for line in lines:
        tree.append(line)
    if hashlib.sha256(raw).hexdigest() != said.sha256 or tree.root().hex() != checked.predicate.item_root:
        raise MalformedManifestError(N_("The outcomes beside the receipt are not those that were signed."))
    return checked, lines


def open_receipt(envelope: bytes, trust: TrustStore, tenant: str, now: datetime) -> VerifiedStatement[ReceiptPredicate]:
    """Verify a receipt's signature by an executor of the tenant."""
    return verify_statement(
        envelope, trust=trust, now=now, predicate_type=RECEIPT_TYPE, predicate=ReceiptPredicate, by="executors", tenant=tenant
    )


def certificate(envelope: bytes, said: ReceiptPredicate, lines: list[bytes], key: RecordKey) -> dict[str, object]:
    """Return what proves one record's outcome and shows nobody else's: receipt, one line, its path in the tree.

    Raises
    ------
    NotFoundError
        The receipt is not about the record.
    """
    for index, line in enumerate(lines):
        found = json.loads(line)
        if (found["object"], found["id"]) == (key.object, key.id):
            proof = inclusion_proof(lines, index)
            return {
                "format": "steward-certificate/1",
                "receipt": json.loads(envelope),
                "line": line.decode(),
                "index": index,
                "size": len(lines),
                "proof": [step.hex() for step in proof],
            }
    raise NotFoundError(N_("The receipt is not about {key}."), key=key)


def check_certificate(
    document: dict[str, Any], opened: Callable[[bytes], VerifiedStatement[ReceiptPredicate]]
) -> tuple[ReceiptPredicate, dict[str, Any]]:
    """Verify a certificate; return receipt and outcome.

    Raises
    ------
    TrustError, MalformedManifestError
    """
    try:
        envelope = json.dumps(document["receipt"], separators=(",", ":")).encode()
        line, index, size = document["line"].encode(), document["index"], document["size"]
        proof = [bytes.fromhex(step) for step in document["proof"]]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise MalformedManifestError(N_("This is not a certificate.")) from None
    said = opened(envelope).predicate
    if not isinstance(index, int) or not isinstance(size, int) or size != sum(said.counts.values()):
        raise MalformedManifestError(N_("The certificate does not belong to its receipt."))
    if not includes(line, index, size, proof, bytes.fromhex(said.item_root)):
        raise MalformedManifestError(N_("The certificate does not belong to its receipt."))
    outcome: dict[str, Any] = json.loads(line)
    return said, outcome


def head_of(envelope: bytes) -> CheckpointRef:
    """Return size and head of a checkpoint's envelope."""
    payload = json.loads(base64.b64decode(json.loads(envelope)["payload"]))["predicate"]
    return CheckpointRef(size=payload["size"], head=payload["head"])
