"""``apply``: verify, lock, claim, enter into the replay ledger, run the engine, sign the receipt.

A manifest that was vetoed or has expired after a part of it ran gets its receipt too: what was done must be restorable.
Left to others: the order of steps within a batch (``engine``), what happens to an item (``judge``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steward.errors import ExecutionError, ExpiredError, StewardError, VetoedError
from steward.executor.audit import AuditLog
from steward.executor.brakes import Brakes
from steward.executor.disk import RealDisk
from steward.executor.documents import ReceiptPredicate
from steward.executor.engine import Engine
from steward.executor.gates import Gates, TenantLock, claim
from steward.executor.hours import parse_hours
from steward.executor.notices import Notices, read_settings
from steward.executor.parts import Parts, subject_of
from steward.executor.plan import LiveDecider, works_of
from steward.executor.ports import APPLIED, Progress, State, Writer
from steward.executor.rate import Budget, Rate
from steward.manifest_files import ENVELOPE_NAME, ManifestFolder
from steward.messages import N_
from steward.signing import TrustStore, VerifiedManifest, verify
from steward.signing.statements import signed_envelope


@dataclass(frozen=True, slots=True)
class Applied:
    """What a run came to."""

    manifest: str
    counts: dict[str, int]
    receipt: Path
    predicate: ReceiptPredicate


def apply_manifest(parts: Parts, manifest: Path, *, override: str | None = None, progress: Progress = None) -> Applied:
    """Apply a verified manifest to its end, or go on where an earlier run stopped.

    Parameters
    ----------
    override : str or None
        Why a person lets it pass the breaker; goes into the audit log.

    Raises
    ------
    StewardError
        Of every kind that refuses; see docs/how-to/run-the-executor.md.
    """
    folder = ManifestFolder(manifest)
    lock = TenantLock(parts.home.path / "lock")
    try:
        trust = parts.trust()
        with folder.items() as items:
            try:
                verified = verify(folder.envelope(), items, trust, parts.context(folder))
            except (VetoedError, ExpiredError) as error:
                _close_stopped(parts, folder, "vetoed" if isinstance(error, VetoedError) else "expired")
                raise
            Notices(parts.home.path).check(verified.id, read_settings(parts.home.path), parts.now())
            claim(manifest, parts.home.config.executor, parts.home.path)
            try:
                return _apply(parts, folder, verified, trust, lock, override, progress)
            except (VetoedError, ExpiredError) as error:  # between two batches: nothing is in flight
                _close_stopped(parts, folder, "vetoed" if isinstance(error, VetoedError) else "expired")
                raise
            except StewardError as error:
                parts.tell("stopped", verified.id, why=type(error).__name__)
                raise
    finally:
        lock.release()


def _apply(
    parts: Parts,
    folder: ManifestFolder,
    verified: VerifiedManifest,
    trust: TrustStore,
    lock: TenantLock,
    override: str | None,
    progress: Progress,
) -> Applied:
    said, limits = verified.predicate, parts.home.config.limits
    recipients = [trust.recipients()[name] for name in said.backup.recipients]
    disk = RealDisk(parts.home.path / "backup")
    writer = parts.writer(frozenset(said.side_effects))
    try:
        audit = parts.audit(trust)
        now = parts.clock.now()
        new = parts.journal.receive(
            verified.id,
            verified.digest,
            works_of(verified.items),
            kind="deletion",
            at=now.isoformat(),
            retain_days=said.backup.retain_days,
        )
        parts.hook("received")
        parts.say(audit, "received" if new else "resumed", verified.id, override)
        rate = Rate(min(said.limits.rate_per_minute, limits.rate_per_minute), parts.clock, limits.rate_share / 10_000)
        gates = Gates(
            parts.journal, disk, parts.clock, parts.home.frozen, parts.home.path / "holds.txt",
            refresh=_refresher(parts, folder, verified), lock=lock, expires=said.expires_at, window=said.limits.window,
            reserve=parts.home.config.reserve_bytes, keeps=parts.keep_file(), rate=rate,
            budget=Budget(parts.journal, limits.records_per_day), hours=parse_hours(parts.home.config.hours, parts.home.config.closed),
        )  # fmt: skip
        brakes = Brakes(
            len(verified), drift=min(said.limits.max_drift_percent, limits.drift),
            error=min(said.limits.max_error_percent, limits.error), missing=limits.missing, overridden=bool(override),
        )  # fmt: skip
        _sanity(parts, brakes, writer, said.snapshot.objects, verified.id)
        decider = LiveDecider(
            writer, parts.home.mapping, parts.home.config.actor, parts.clock.now, said.anonymise,
            vetoed=lambda: gates.vetoed, held=lambda: gates.held, kept=lambda: gates.kept, reviewed_at=said.snapshot.taken_at,
                privacy=verified.approved_as("privacy", trust),
            pending=lambda key: parts.journal.is_open(verified.id, key.object, key.id),
        )  # fmt: skip
        engine = Engine(
            verified.id, parts.journal, disk, recipients, writer, decider, audit, brakes, gates, parts.clock,
            batch=min(parts.home.config.batch, rate.most), canary=min(said.limits.canary, limits.canary) or 1,
            canary_wait=parts.home.config.canary_wait, pushed=parts.push, hook=parts.hook, progress=progress,
            actor=parts.actor(writer),
        )  # fmt: skip
        counts = engine.run()
        subject = subject_of(folder)
        path, predicate = parts.finish(
            disk, audit, verified.id, "deletion", subject, "finished", folder.path / "receipt.dsse.json"
        )
        return Applied(verified.id, counts, path, predicate)
    finally:
        disk.close()
        writer.close()


def _refresher(parts: Parts, folder: ManifestFolder, verified: VerifiedManifest) -> Callable[[], frozenset[int]]:
    """Look at trust store, vetoes and owners' objections before each batch; verify anew, whole, where a file has changed."""
    seen: list[Any] = [_fingerprint(parts, folder), verified.vetoed]
    notices = Notices(parts.home.path)

    def refresh() -> frozenset[int]:
        found = _fingerprint(parts, folder)
        if found != seen[0]:
            with folder.items() as items:
                again = verify(folder.envelope(), items, parts.trust(), parts.context(folder))
            if again.digest != verified.digest:
                raise ExecutionError(N_("The manifest in the folder is another one now; nothing more is sent."))
            seen[:] = [found, again.vetoed]
        vetoed: frozenset[int] = seen[1]
        return vetoed | notices.vetoed(verified.id)

    return refresh


def _fingerprint(parts: Parts, folder: ManifestFolder) -> tuple[Any, ...]:
    places = [
        folder.path / ENVELOPE_NAME,
        *sorted(folder.path.glob("veto*")),
        *sorted((parts.home.path / "trust").iterdir()),
    ]
    return tuple((p.name, s.st_mtime_ns, s.st_size, s.st_ino) for p in places if (s := p.lstat()))


def _sanity(parts: Parts, brakes: Brakes, writer: Writer, snapshot: dict[str, int], manifest: str) -> None:
    """Compare how many records there are with how many were reviewed, less what this manifest has taken, or may have."""
    gone, perhaps = (_taken(parts, manifest, states) for states in (APPLIED, (State.INTENT, State.DOUBT)))
    objects = {
        row[0] for row in parts.journal.db.execute("SELECT DISTINCT object FROM item WHERE manifest=?", (manifest,)).fetchall()
    }
    for object in sorted(objects):
        if object in snapshot:
            found, most = writer.count(object), snapshot[object] - gone.get(object, 0)
            brakes.count(object, found, min(most, max(found, most - perhaps.get(object, 0))))


def _taken(parts: Parts, manifest: str, states: tuple[State, ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    for work in parts.journal.works(manifest, states):
        if work.action in ("soft_delete", "hard_delete", "merge_into"):
            found[work.object] = found.get(work.object, 0) + 1
    return found


def _close_stopped(parts: Parts, folder: ManifestFolder, state: str) -> None:
    """A run that was stopped for good gets its receipt too: what was done must be restorable."""
    payload, _ = signed_envelope(folder.envelope())
    digest = hashlib.sha256(payload).hexdigest()
    known = next((m for m in parts.journal.manifests() if m["digest"] == digest and m["state"] == "running"), None)
    if known is None:
        return
    disk = RealDisk(parts.home.path / "backup")
    try:
        if parts.journal.works(known["id"], (State.INTENT, State.DOUBT), 1):
            return  # what was sent must be settled first; that needs the CRM and a person's look
        audit = AuditLog(parts.journal, parts.signer, origin=parts.origin())
        with parts.journal.commit():
            left = parts.journal.works(known["id"], (State.PENDING,))
            parts.journal.resolve(known["id"], [(w.seq, State.VETO, state, None) for w in left], parts.clock.now().isoformat())
        parts.finish(disk, audit, known["id"], "deletion", subject_of(folder), state)
    finally:
        disk.close()
