"""A data subject's certificate: what became of one person's records, proved against the receipt, naming nobody else's.

It holds the signed receipt (counts and digests), the outcome lines of the records asked for, and each line's path in the
receipt's tree. Whoever has the trust store can check it without the other lines. Left to others: receipts (``receipt``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from steward.errors import MalformedManifestError, NotFoundError
from steward.executor.documents import ReceiptPredicate
from steward.manifest.merkle import includes, leaf_hash, proof_of_hashes
from steward.messages import N_
from steward.records import RecordKey
from steward.signing import VerifiedStatement

FORMAT = "steward-certificate/2"
MAX_RECORDS = 1_000


def certificate(envelope: bytes, lines: Iterable[bytes], keys: Sequence[RecordKey]) -> dict[str, object]:
    """Return the certificate over these records.

    Parameters
    ----------
    envelope : bytes
        The receipt.
    lines : iterable of bytes
        All its outcome lines; kept as 32 bytes each.
    keys : sequence of RecordKey
        The records of one person.

    Raises
    ------
    NotFoundError
        The receipt is not about one of them.
    """
    wanted = set(keys)
    hashes: list[bytes] = []
    mine: list[tuple[int, bytes]] = []
    found: set[RecordKey] = set()
    for index, line in enumerate(lines):
        hashes.append(leaf_hash(line))
        if any(k.id.encode() in line for k in wanted) or b"\\u" in line:
            said = json.loads(line)
            key = RecordKey(said["object"], said["id"])
            if key in wanted:
                mine.append((index, line))
                found.add(key)
    for key in sorted(wanted - found):
        raise NotFoundError(N_("The receipt is not about {key}."), key=key)
    return {
        "format": FORMAT,
        "receipt": json.loads(envelope),
        "size": len(hashes),
        "records": [
            {"line": line.decode(), "index": index, "proof": [step.hex() for step in proof_of_hashes(hashes, index)]}
            for index, line in mine
        ],
    }


def check_certificate(
    document: dict[str, Any], opened: Callable[[bytes], VerifiedStatement[ReceiptPredicate]]
) -> tuple[ReceiptPredicate, list[dict[str, Any]]]:
    """Verify a certificate; return receipt and outcomes.

    Raises
    ------
    TrustError, MalformedManifestError
    """
    try:
        envelope = json.dumps(document["receipt"], separators=(",", ":")).encode()
        size, records = document["size"], document["records"]
        entries = [(r["line"].encode(), r["index"], [bytes.fromhex(step) for step in r["proof"]]) for r in records]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise MalformedManifestError(N_("This is not a certificate.")) from None
    if document.get("format") != FORMAT or not 1 <= len(entries) <= MAX_RECORDS:
        raise MalformedManifestError(N_("This is not a certificate."))
    said = opened(envelope).predicate
    outcomes: list[dict[str, Any]] = []
    for line, index, proof in entries:
        belongs = isinstance(index, int) and isinstance(size, int) and size == sum(said.counts.values())
        if not belongs or not includes(line, index, size, proof, bytes.fromhex(said.item_root)):
            raise MalformedManifestError(N_("The certificate does not belong to its receipt."))
        outcomes.append(json.loads(line))
    return said, outcomes


__all__ = ["FORMAT", "certificate", "check_certificate"]
