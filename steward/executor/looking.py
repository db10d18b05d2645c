"""``status``, ``audit`` and ``backup verify``: everything that looks and changes nothing.

Left to others: what is looked at (``journal``, ``audit``, ``receipt``, ``backup``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from steward.errors import JournalCorruptError, MalformedManifestError
from steward.executor.audit import Checked, Checkpoint, verify_log
from steward.executor.backup import BackupReader
from steward.executor.certificate import certificate, check_certificate
from steward.executor.disk import RealDisk
from steward.executor.journal import Journal, connect
from steward.executor.parts import Parts
from steward.executor.ports import Progress, State
from steward.executor.pushing import FILE, Pusher, folders_of
from steward.executor.receipt import open_receipt, read_receipt
from steward.executor.restoring import identities_of
from steward.manifest.format import CHECKPOINT_TYPE
from steward.manifest_files import read_file
from steward.messages import N_
from steward.records import RecordKey
from steward.signing import TrustStore, verify_statement

SHOWN = 20
"""Records changed in part that a status names, per manifest."""


def status(parts: Parts) -> dict[str, Any]:
    """Return what is known, without taking the lock: safe beside a running executor."""
    if not parts.home.journal.exists():
        return {"home": str(parts.home.path), "frozen": parts.home.frozen.exists(), "manifests": []}
    journal = parts.opened_journal or Journal(connect(parts.home.journal, read_only=True))
    try:
        found = [_shown(journal, m) for m in journal.manifests()]
        events = journal.db.execute("SELECT count(*) FROM event").fetchone()[0]
        waiting = Pusher(journal, parts.home.path, parts.home.config.checkpoints, parts.origin(), parts.clock).behind()
    finally:
        if journal is not parts.opened_journal:
            journal.db.close()
    return {
        "home": str(parts.home.path),
        "frozen": parts.home.frozen.exists(),
        "manifests": found,
        "events": events,
        "checkpoints_waiting": waiting,
    }


def _shown(journal: Journal, known: Mapping[str, Any]) -> dict[str, Any]:
    partly = list(_partly(journal, known)) if (counts := journal.counts(known["id"])).get(State.PARTLY.value) else []
    return {
        **{n: known[n] for n in ("id", "kind", "state", "records", "started", "finished", "of")},
        "items": counts,
        "partly": partly[:SHOWN],
        "partly_open": len(partly),
    }


def _partly(journal: Journal, known: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the items that were changed in part and that no restore has ended with since."""
    original = known["of"] or known["id"]
    back = journal.brought_back(original, since=known["id"] if known["kind"] == "restore" else None)
    for seq, object, id, did, of in journal.partly(known["id"]):
        number = seq if of is None else of
        if number not in back:
            made = json.loads(did).get("made", []) if did else []
            yield {"seq": seq, "of_seq": number, "record": f"{object}/{id}", "made": made}


def partly_of(parts: Parts, manifest: str) -> dict[str, Any]:
    """Return a manifest's entry of :func:`status`."""
    known = parts.journal.manifest(manifest)
    assert known is not None
    return _shown(parts.journal, known)


def audit_verify(parts: Parts, outside: Sequence[Path] = ()) -> Checked:
    """Verify the audit log against its own checkpoints and those kept elsewhere.

    Raises
    ------
    JournalCorruptError
        Something was changed, cut off or put back.
    """
    trust = parts.trust()
    said = [_checkpoint(parts, envelope.encode(), trust) for _, envelope in parts.journal.checkpoints()]
    places = [f / FILE for f in folders_of(parts.home.path, parts.home.config.checkpoints)] + list(outside)
    external = 0
    for place in places:
        if place.is_file():
            for raw in place.read_bytes().splitlines():
                if not _whole(raw):
                    continue  # cut off by a full disk: no more than a checkpoint that never came
                said.append(_checkpoint(parts, raw, trust))
                external += 1
    return verify_log(parts.journal.events(), said, external=external)


def certify(parts: Parts, receipt: Path, records: Sequence[str]) -> dict[str, object]:
    """Return the proof of one person's records; see :func:`steward.executor.certificate.certificate`."""
    _, lines = read_receipt(receipt, parts.trust(), parts.home.config.tenant, parts.now())
    keys = [RecordKey(object, id) for object, _, id in (r.partition("/") for r in records)]
    return certificate(read_file(receipt, limit=4 << 20), lines, keys)


def check_certificate_file(parts: Parts, path: Path) -> list[dict[str, Any]]:
    """Verify a certificate and return the outcomes it proves."""
    try:
        document = json.loads(read_file(path, limit=8 << 20))
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise MalformedManifestError(N_("This is not a certificate."))
    trust, now, tenant = parts.trust(), parts.now(), parts.home.config.tenant
    _, outcomes = check_certificate(document, lambda raw: open_receipt(raw, trust, tenant, now))
    return outcomes


def _whole(raw: bytes) -> bool:
    try:
        return isinstance(json.loads(raw), dict)
    except ValueError:
        return False


def _checkpoint(parts: Parts, envelope: bytes, trust: TrustStore) -> Checkpoint:
    checked = verify_statement(
        envelope, trust=trust, now=parts.now(), predicate_type=CHECKPOINT_TYPE, predicate=Checkpoint, by="executors",
        tenant=parts.home.config.tenant,
    )  # fmt: skip
    if checked.predicate.origin != parts.origin():
        raise JournalCorruptError(N_("A checkpoint belongs to another executor."))
    return checked.predicate


def backup_verify(parts: Parts, identities: Sequence[Path], *, percent: int = 100, progress: Progress = None) -> dict[str, int]:
    """Open frames and compare each with the journal; return counts.

    Raises
    ------
    BackupUnreadableError
        Names the first frame that cannot be opened.
    """
    reader = BackupReader(RealDisk(parts.home.path / "backup"), identities_of(parts, identities))
    checked = frames = rows = expired = 0
    for known in parts.journal.manifests():
        if known["expired"]:
            expired += 1
            continue
        for number, ref in parts.journal.frames(known["id"]).items():
            frames += 1
            if percent < 100 and int(hashlib.sha256(f"{known['id']}{number}".encode()).hexdigest(), 16) % 100 >= percent:
                continue
            rows += len(reader.read(known["id"], ref))
            checked += 1
            if progress is not None:
                progress(1)
    return {"frames": frames, "checked": checked, "rows": rows, "expired": expired}
