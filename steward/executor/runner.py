"""One executor over its home: plan, apply, restore, status, audit, backup verification. The library behind the command.

Puts the parts together and in order: verify, lock, claim, replay ledger, engine, receipt. Left to others: each part.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from steward import __version__
from steward.errors import (
    BackupUnreadableError,
    ExecutionError,
    ExpiredError,
    JournalCorruptError,
    MalformedManifestError,
    NotYetValidError,
    PartialExecutionError,
    ThresholdNotMetError,
    UsageError,
    VetoedError,
)
from steward.executor.audit import AuditLog, Checked, Checkpoint, verify_log
from steward.executor.backup import BackupReader, load_identities
from steward.executor.brakes import Brakes
from steward.executor.disk import RealDisk
from steward.executor.documents import CheckpointRef, PlanPredicate, ReceiptPredicate, RestorePredicate
from steward.executor.engine import Engine
from steward.executor.gates import Gates, Rate, TenantLock, claim
from steward.executor.home import Home, open_home
from steward.executor.journal import Journal, connect
from steward.executor.plan import LiveDecider, Plan, make_plan, works_of
from steward.executor.ports import APPLIED, Clock, Hook, Progress, State, SystemClock, Work, no_hook
from steward.executor.receipt import certificate, check_certificate, open_receipt, read_receipt, write_receipt
from steward.executor.restore import FrameEffects, Line, RestoreDecider, report
from steward.executor.writers.sql import SqlLook, SqlWriter
from steward.manifest.codec import encode
from steward.manifest.draft import new_manifest_id, whole_second
from steward.manifest.format import CHECKPOINT_TYPE, PLAN_TYPE, RESTORE_TYPE, Subject
from steward.manifest_files import ENVELOPE_NAME, PLAN_NAME, ManifestFolder, read_file, write_file
from steward.messages import N_
from steward.policy import parse_holds
from steward.records import RecordKey
from steward.signing import (
    ExaminedManifest,
    FileSigner,
    LedgerEntry,
    Signer,
    TrustStore,
    VerifiedManifest,
    VerifyContext,
    examine,
    sign_statement,
    verify,
    verify_statement,
)
from steward.signing.statements import parse_statement, signed_envelope
from steward.signing.trust import Role

RESTORE_ROLES: tuple[Role, ...] = ("steward", "privacy", "owner")


@dataclass(frozen=True, slots=True)
class Applied:
    """What a run came to."""

    manifest: str
    counts: dict[str, int]
    receipt: Path
    predicate: ReceiptPredicate


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore came to: items by state, and what was read back."""

    manifest: str
    counts: dict[str, int]
    receipt: Path | None
    lines: list[Line]


class Executor:
    """The executor of one home. Nothing is opened before it is needed, and nothing twice.

    Parameters
    ----------
    home : Path
    clock : Clock
    hook : Hook
        For crash harnesses.

    Raises
    ------
    UsageError
        Not a home.
    """

    def __init__(self, home: Path, *, clock: Clock | None = None, hook: Hook = no_hook) -> None:
        self.home: Home = open_home(home)
        self.clock: Clock = clock or SystemClock()
        self._hook = hook
        self._journal: Journal | None = None
        self._signer: FileSigner | None = None

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.db.close()
            self._journal = None

    # parts ------------------------------------------------------------------------------------------------------

    @property
    def journal(self) -> Journal:
        """The journal, opened at first use."""
        if self._journal is None:
            self._journal = Journal(connect(self.home.journal))
        return self._journal

    @property
    def signer(self) -> FileSigner:
        """The executor's own key, opened at first use."""
        if self._signer is None:
            self._signer = self.home.signer()
        return self._signer

    def _now(self) -> datetime:
        """The later of the clock and what the journal has seen: a clock set back does not make anything valid again."""
        now = self.clock.now()
        seen = self.journal.get("clock.high")
        return max(now, datetime.fromisoformat(seen)) if seen else now

    def trust(self) -> TrustStore:
        """Load the trust store; older than one seen before is refused, and so is one that does not name this executor."""
        now = self._now()
        store = self.home.trust(now, int(self.journal.get("trust.version") or 0))
        if store.version > int(self.journal.get("trust.version") or 0):
            with self.journal.commit():
                self.journal.put("trust.version", str(store.version))
        found, _ = store.executor_of(self.signer.keyid, now)
        if found.id != self.home.config.executor or found.tenant != self.home.config.tenant:
            raise ExecutionError(
                N_("The trust store knows this executor's key under another name or tenant."),
                next_step=N_("Compare 'executor' in config.toml with: steward trust show."),
            )
        return store

    def _context(self, folder: ManifestFolder) -> VerifyContext:
        ledger = {m["id"]: LedgerEntry(m["digest"], m["state"] != "running") for m in self.journal.manifests()}
        c = self.home.config
        return VerifyContext(
            tenant=c.tenant, system=c.system, environment=c.environment, now=self._now(), policies=self.home.policies,
            tool_version=__version__, ledger=ledger, vetoes=folder.vetoes(),
        )  # fmt: skip

    def look(self) -> SqlLook:
        """Open the CRM for reading."""
        self._check_system()
        return SqlLook(self.home.url(read=True), self.home.mapping)

    def writer(self) -> SqlWriter:
        """Open the CRM for writing."""
        self._check_system()
        return SqlWriter(self.home.url(), self.home.mapping, hook=self._hook)

    def _check_system(self) -> None:
        if self.home.config.system != "sql":
            raise UsageError(
                N_("There is no writer for the system {system}."), next_step=N_("Known: sql."), system=self.home.config.system
            )

    # plan -------------------------------------------------------------------------------------------------------

    def plan(self, manifest: Path, *, progress: Progress = None) -> tuple[Plan, PlanPredicate, Path]:
        """Read everything the manifest names and sort it; write and sign the plan, change nothing.

        A manifest that is not approved yet, or whose grace has not passed, is planned as well and says so: stewards may
        want to see it before they sign.
        """
        folder = ManifestFolder(manifest)
        trust = self.trust()
        context = self._context(folder)
        with folder.items() as items:
            checked: ExaminedManifest
            try:
                checked = verify(folder.envelope(), items, trust, context)
            except (ThresholdNotMetError, NotYetValidError):
                checked = examine(folder.envelope(), items, trust, context)
            vetoed = checked.vetoed if isinstance(checked, VerifiedManifest) else frozenset()
            look = self.look()
            try:
                held = frozenset(parse_holds(self._holds_text()).entries)
                decider = LiveDecider(
                    look, self.home.mapping, self.home.config.actor, self.clock.now, checked.predicate.anonymise,
                    vetoed=lambda: vetoed, held=lambda: held,
                )  # fmt: skip
                started = self.clock.monotonic()
                plan = make_plan(works_of(checked.items), decider, progress=progress)
                took = self.clock.monotonic() - started
            finally:
                look.close()
        said = self._plan_said(checked, plan, took)
        envelope = sign_statement(
            [self.signer],
            subject=[Subject(name="statement", digest={"sha256": checked.digest})],
            predicate_type=PLAN_TYPE,
            predicate=said,
        )
        path = self.home.path / "plans" / f"{checked.id}.plan.dsse.json"
        path.parent.mkdir(exist_ok=True)
        write_file(path, envelope, mode=0o600)
        write_file(manifest / PLAN_NAME, envelope)
        return plan, said, path

    def _holds_text(self) -> str:
        path = self.home.path / "holds.txt"
        if not path.is_file():
            from steward.errors import PolicyInvalidError

            raise PolicyInvalidError(
                N_("The hold list {path} cannot be read, so everything must stay."),
                next_step=N_("Put it back; an empty list is a list."),
                path=path.name,
            )
        return read_file(path, limit=256 << 20, empty=True).decode()

    def _plan_said(self, checked: ExaminedManifest, plan: Plan, took: float) -> PlanPredicate:
        batch = self.home.config.batch
        rate = min(checked.predicate.limits.rate_per_minute, self.home.config.limits.rate_per_minute) or 1
        disk = RealDisk(self.home.path / "backup")
        applies = plan.applies
        return PlanPredicate(
            manifest_id=checked.id,
            statement=checked.digest,
            approved=isinstance(checked, VerifiedManifest),
            at=whole_second(self.clock.now()),
            executor=self.home.config.executor,
            records=plan.records,
            verdicts=dict(sorted(plan.verdicts.items())),
            related=dict(sorted(plan.related.items())),
            batches=-(-applies // batch),
            seconds=int(max(took * 3, applies * 60 / (rate * 0.9))) + 1 if applies else 0,
            backup_bytes=plan.bytes // 3 + 200 * (applies // batch + 1),
            free_bytes=disk.free(),
        )

    # apply ------------------------------------------------------------------------------------------------------

    def apply(self, manifest: Path, *, override: str | None = None, progress: Progress = None) -> Applied:
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
        lock = TenantLock(self.home.path / "lock")
        try:
            trust = self.trust()
            with folder.items() as items:
                try:
                    verified = verify(folder.envelope(), items, trust, self._context(folder))
                except (VetoedError, ExpiredError) as error:
                    self._close_stopped(folder, "vetoed" if isinstance(error, VetoedError) else "expired")
                    raise
                claim(manifest, self.home.config.executor, self.home.path)
                return self._apply(folder, verified, trust, lock, override, progress)
        finally:
            lock.release()

    def _apply(
        self,
        folder: ManifestFolder,
        verified: VerifiedManifest,
        trust: TrustStore,
        lock: TenantLock,
        override: str | None,
        progress: Progress,
    ) -> Applied:
        said, limits = verified.predicate, self.home.config.limits
        recipients = [trust.recipients()[name] for name in said.backup.recipients]
        disk = RealDisk(self.home.path / "backup")
        writer = self.writer()
        try:
            audit = self._audit(trust)
            now = self.clock.now()
            new = self.journal.receive(
                verified.id,
                verified.digest,
                works_of(verified.items),
                kind="deletion",
                at=now.isoformat(),
                retain_days=said.backup.retain_days,
            )
            self._hook("received")
            self._say(audit, "received" if new else "resumed", verified.id, override)
            gates = Gates(
                self.journal, disk, self.clock, self.home.frozen, self.home.path / "holds.txt",
                refresh=self._refresher(folder, verified), lock=lock, expires=said.expires_at, window=said.limits.window,
                reserve=self.home.config.reserve_bytes,
                rate=Rate(min(said.limits.rate_per_minute, limits.rate_per_minute), self.clock),
            )  # fmt: skip
            brakes = Brakes(
                len(verified), drift=min(said.limits.max_drift_percent, limits.drift),
                error=min(said.limits.max_error_percent, limits.error), missing=limits.missing, overridden=bool(override),
            )  # fmt: skip
            self._sanity(brakes, writer, said.snapshot.objects, verified.id)
            decider = LiveDecider(
                writer, self.home.mapping, self.home.config.actor, self.clock.now, said.anonymise,
                vetoed=lambda: gates.vetoed, held=lambda: gates.held,
            )  # fmt: skip
            engine = Engine(
                verified.id, self.journal, disk, recipients, writer, decider, audit, brakes, gates, self.clock,
                batch=self.home.config.batch, canary=min(said.limits.canary, limits.canary) or 1,
                canary_wait=self.home.config.canary_wait, pushed=self.push, hook=self._hook, progress=progress,
            )  # fmt: skip
            counts = engine.run()
            subject = _subject_of(folder)
            path, predicate = self._finish(disk, audit, verified.id, "deletion", subject, "finished")
            write_file(folder.path / "receipt.dsse.json", path.read_bytes())
            return Applied(verified.id, counts, path, predicate)
        finally:
            disk.close()
            writer.close()

    def _refresher(self, folder: ManifestFolder, verified: VerifiedManifest) -> Callable[[], frozenset[int]]:
        """Look at trust store and vetoes before each batch; verify anew, whole, where either has changed."""
        seen: list[Any] = [self._fingerprint(folder), verified.vetoed]

        def refresh() -> frozenset[int]:
            found = self._fingerprint(folder)
            if found != seen[0]:
                with folder.items() as items:
                    again = verify(folder.envelope(), items, self.trust(), self._context(folder))
                if again.digest != verified.digest:
                    raise ExecutionError(N_("The manifest in the folder is another one now; nothing more is sent."))
                seen[:] = [found, again.vetoed]
            vetoed: frozenset[int] = seen[1]
            return vetoed

        return refresh

    def _fingerprint(self, folder: ManifestFolder) -> tuple[Any, ...]:
        places = [
            folder.path / ENVELOPE_NAME,
            *sorted(folder.path.glob("veto*")),
            *sorted((self.home.path / "trust").iterdir()),
        ]
        return tuple((p.name, s.st_mtime_ns, s.st_size, s.st_ino) for p in places if (s := p.lstat()))

    def _sanity(self, brakes: Brakes, writer: SqlWriter, snapshot: dict[str, int], manifest: str) -> None:
        """Compare how many records there are with how many were reviewed, less what this manifest has taken."""
        gone: dict[str, int] = {}
        for work in self.journal.works(manifest, APPLIED):
            if work.action in ("soft_delete", "hard_delete", "merge_into"):
                gone[work.object] = gone.get(work.object, 0) + 1
        objects = {
            row[0]
            for row in self.journal.db.execute("SELECT DISTINCT object FROM item WHERE manifest=?", (manifest,)).fetchall()
        }
        for object in sorted(objects):
            if object in snapshot:
                brakes.count(object, writer.count(object), snapshot[object] - gone.get(object, 0))

    def _close_stopped(self, folder: ManifestFolder, state: str) -> None:
        """A run that was stopped for good gets its receipt too: what was done must be restorable."""
        payload, _ = signed_envelope(folder.envelope())
        digest = hashlib.sha256(payload).hexdigest()
        known = next((m for m in self.journal.manifests() if m["digest"] == digest and m["state"] == "running"), None)
        if known is None:
            return
        disk = RealDisk(self.home.path / "backup")
        try:
            if self.journal.works(known["id"], (State.INTENT, State.DOUBT), 1):
                return  # what was sent must be settled first; that needs the CRM and a person's look
            audit = AuditLog(self.journal, self.signer, origin=self.origin())
            with self.journal.commit():
                left = self.journal.works(known["id"], (State.PENDING,))
                self.journal.resolve(
                    known["id"], [(w.seq, State.VETO, state, None) for w in left], self.clock.now().isoformat()
                )
            self._finish(disk, audit, known["id"], "deletion", _subject_of(folder), state)
        finally:
            disk.close()

    # shared endings ---------------------------------------------------------------------------------------------

    def origin(self) -> str:
        """Name of the audit log."""
        return f"{self.home.config.tenant}/{self.home.config.executor}"

    def _audit(self, trust: TrustStore) -> AuditLog:
        return AuditLog(self.journal, self.signer, origin=self.origin(), trust_version=trust.version)

    def _say(self, audit: AuditLog, event: str, manifest: str, override: str | None) -> None:
        now = self.clock.now()
        with self.journal.commit():
            audit.add(event, now, manifest=manifest)
            if override:
                audit.add("override", now, manifest=manifest, reason=override[:500])
            self.journal.put("clock.high", now.isoformat())
            envelope = audit.checkpoint(now)
        self.push(envelope)

    def push(self, envelope: bytes) -> None:
        """Copy a checkpoint to every folder of the configuration; one that cannot be reached does not stop the run."""
        line = envelope + b"\n"
        for folder in (self.home.path / "audit", *(self._outside(c) for c in self.home.config.checkpoints)):
            try:
                with (folder / "checkpoints.ndjson").open("ab") as file:
                    file.write(line)
            except OSError:
                continue  # `audit verify` says which folder lacks the newest

    def _outside(self, text: str) -> Path:
        path = Path(text)
        return path if path.is_absolute() else self.home.path / path

    def _finish(
        self, disk: RealDisk, audit: AuditLog, manifest: str, kind: str, subject: Subject, state: str
    ) -> tuple[Path, ReceiptPredicate]:
        """Sign the receipt, then close the manifest for ever: a crash between the two makes the receipt again."""
        now = self.clock.now()
        with self.journal.commit():
            audit.add("finished", now, manifest=manifest, state=state, counts=self.journal.counts(manifest))
            envelope = audit.checkpoint(now)
        self.push(envelope)
        self._hook("receipt")
        head = json.loads(base64.b64decode(json.loads(envelope)["payload"]))["predicate"]
        c = self.home.config
        path, said = write_receipt(
            self.home.path / "receipts", self.journal, disk, self.signer, manifest=manifest, kind=kind, subject=subject,
            facts={"system": c.system, "tenant": c.tenant, "environment": c.environment, "executor": c.executor},
            state=state, now=now, checkpoint=CheckpointRef(size=head["size"], head=head["head"]),
        )  # fmt: skip
        self._hook("receipt.written")
        with self.journal.commit():
            self.journal.end(manifest, state, now.isoformat(), hashlib.sha256(path.read_bytes()).hexdigest())
        return path, said

    # restore ----------------------------------------------------------------------------------------------------

    def restore(
        self,
        receipt: Path,
        signer: Signer,
        *,
        identities: Sequence[Path] = (),
        ids: Iterable[str] = (),
        seqs: Iterable[int] = (),
        dry_run: bool = False,
        progress: Progress = None,
    ) -> Restored:
        """Draft, sign and apply a restore of a receipt's items, all or some.

        Parameters
        ----------
        signer : Signer
            Of a steward; one suffices, making things safer is cheap.
        identities : sequence of Path
            Files that open the backup; those of ``config.toml`` where none is given.
        ids : iterable of str
            ``object/id`` or an id; with ``seqs``, what to bring back. Empty brings back all.

        Raises
        ------
        TrustError
            The receipt is not one of an executor of this tenant, or the key is no steward's.
        BackupUnreadableError
            No identity opens the backup, or it has expired.
        """
        lock = TenantLock(self.home.path / "lock")
        try:
            trust = self.trust()
            now = self._now()
            checked, lines = read_receipt(receipt, trust, self.home.config.tenant, now)
            said = checked.predicate
            if said.kind != "deletion":
                raise UsageError(N_("This is the receipt of a restore."), next_step=N_("Give the receipt of a deletion."))
            if self.journal.manifest(said.manifest_id) is None:
                raise JournalCorruptError(
                    N_("This home does not know the manifest of the receipt."),
                    next_step=N_("Run it in the home that has its backup."),
                )
            chosen = _choose(lines, set(ids), set(seqs))
            if not chosen:
                raise UsageError(
                    N_("None of the receipt's deleted records is meant."), next_step=N_("See: steward-executor status.")
                )
            reader = BackupReader(RealDisk(self.home.path / "backup"), self._identities(identities))
            effects = FrameEffects(self.journal, reader, said.manifest_id)
            works = self._restore_works(said.manifest_id, chosen)
            writer = self.writer()
            try:
                decider = RestoreDecider(writer, self.home.mapping, effects)
                if dry_run:
                    return Restored("", _forecast(works, decider), None, [])
                running = next(
                    (m for m in self.journal.manifests() if m["of"] == said.manifest_id and m["state"] == "running"), None
                )
                envelope_path = self._restore_envelope(running, checked.digest, said.manifest_id, works, signer)
                return self._restore(envelope_path, trust, lock, writer, decider, effects, works, progress)
            finally:
                writer.close()
        finally:
            lock.release()

    def _identities(self, paths: Sequence[Path]) -> list[Any]:
        places = list(paths) or [self._outside(p) for p in self.home.config.identities]
        if not places:
            raise BackupUnreadableError(
                N_("The executor cannot open its own backups."),
                next_step=N_("Give the identity of a recipient: --identity FILE."),
            )
        return [i for p in places for i in load_identities(read_file(p, limit=1 << 16).decode())]

    def _restore_works(self, deletion: str, chosen: list[dict[str, Any]]) -> list[Work]:
        works = []
        for seq, line in enumerate(sorted(chosen, key=lambda entry: -int(entry["seq"]))):
            original = self.journal.item(deletion, line["seq"])
            assert original is not None
            unit = original.unit
            works.append(
                Work(
                    seq,
                    line["object"],
                    line["id"],
                    "restore",
                    None,
                    original.version,
                    original.preimage,
                    unit=unit,
                    of_seq=line["seq"],
                )
            )
        return works

    def _restore_envelope(
        self, running: dict[str, Any] | None, receipt: str, deletion: str, works: Sequence[Work], signer: Signer
    ) -> Path:
        """Write and sign the restore manifest; a begun restore is gone on with."""
        parent = self.home.path / "restores"
        parent.mkdir(exist_ok=True)
        if running is not None:
            return parent / str(running["id"]) / "restore.dsse.json"
        person, _ = self.trust().person_of(signer.keyid, self._now())
        id = new_manifest_id(secrets.token_bytes(16))
        counts: dict[str, int] = {}
        for work in works:
            counts[f"{work.object}/restore"] = counts.get(f"{work.object}/restore", 0) + 1
        raw = b"".join(
            encode({"seq": w.seq, "object": w.object, "id": w.id, "of": w.of_seq, "preimage": w.preimage}) + b"\n"
            for w in works
        )
        now = whole_second(self.clock.now())
        c = self.home.config
        said = RestorePredicate(
            manifest_id=id, receipt=receipt, deletion=deletion, system=c.system, tenant=c.tenant, environment=c.environment,
            person=person.id, created_at=now, expires_at=now + timedelta(days=7), records=len(works), counts=counts,
        )  # fmt: skip
        folder = parent / id
        folder.mkdir()
        write_file(folder / "items.ndjson", raw)
        subject = Subject(name="items.ndjson", digest={"sha256": hashlib.sha256(raw).hexdigest()})
        path = folder / "restore.dsse.json"
        write_file(path, sign_statement([signer], subject=[subject], predicate_type=RESTORE_TYPE, predicate=said))
        return path

    def _restore(
        self,
        envelope: Path,
        trust: TrustStore,
        lock: TenantLock,
        writer: SqlWriter,
        decider: RestoreDecider,
        effects: FrameEffects,
        works: list[Work],
        progress: Progress,
    ) -> Restored:
        raw = read_file(envelope.parent / "items.ndjson", limit=1 << 32)
        lines = [json.loads(line) for line in raw.split(b"\n")[:-1]]
        c = self.home.config
        checked = verify_statement(
            read_file(envelope, limit=4 << 20), trust=trust, now=self._now(), predicate_type=RESTORE_TYPE, predicate=RestorePredicate,
            by="people", tenant=c.tenant, roles=RESTORE_ROLES, objects={line["object"] for line in lines},
        )  # fmt: skip
        said = checked.predicate
        here = (c.system, c.tenant, c.environment)
        if (said.system, said.tenant, said.environment) != here or checked.subject[0].digest["sha256"] != hashlib.sha256(
            raw
        ).hexdigest():
            raise ExecutionError(N_("The restore manifest is not for here, or its items are not those that were signed."))
        if self.clock.now() >= said.expires_at and self.journal.manifest(said.manifest_id) is None:
            raise ExpiredError(N_("The restore manifest has expired."))
        if [(w.seq, w.of_seq) for w in works] != [(line["seq"], line["of"]) for line in lines]:
            works = self._restore_works(
                said.deletion, [{"seq": line["of"], "object": line["object"], "id": line["id"]} for line in lines]
            )
        names = self.journal.manifest(said.deletion)
        assert names is not None
        disk = RealDisk(self.home.path / "backup")
        try:
            audit = self._audit(trust)
            now = self.clock.now().isoformat()
            self.journal.receive(
                said.manifest_id,
                checked.digest,
                works,
                kind="restore",
                at=now,
                retain_days=names["retain_days"],
                of=said.deletion,
            )
            self._say(audit, "restore", said.manifest_id, None)
            gates = Gates(
                self.journal, disk, self.clock, self.home.frozen, self.home.path / "holds.txt", refresh=frozenset, lock=lock,
                reserve=self.home.config.reserve_bytes, need_holds=False,
            )  # fmt: skip
            brakes = Brakes(len(works), drift=10_000, error=10_000, missing=10_000, in_a_row=len(works))
            engine = Engine(
                said.manifest_id, self.journal, disk, list(trust.recipients().values()), writer, decider, audit, brakes, gates,
                self.clock, batch=c.batch, pushed=self.push, hook=self._hook, progress=progress,
            )  # fmt: skip
            counts = engine.run()
            found: list[Line] = []
            for work in works:
                assert work.of_seq is not None
                found += report(effects.of(work.of_seq), lambda keys: writer.read(keys).records, self.home.mapping)
            path, _ = self._finish(disk, audit, said.manifest_id, "restore", checked.subject[0], "finished")
            text = b"".join(encode(_line(entry)) + b"\n" for entry in found)
            write_file(path.with_name(f"{said.manifest_id}.report.ndjson"), text, mode=0o600)
            return Restored(said.manifest_id, counts, path, found)
        finally:
            disk.close()

    # looking ----------------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """Return what is known, without taking the lock: safe beside a running executor."""
        if not self.home.journal.exists():
            return {"home": str(self.home.path), "frozen": self.home.frozen.exists(), "manifests": []}
        journal = self._journal or Journal(connect(self.home.journal, read_only=True))
        try:
            found = [
                {
                    **{n: m[n] for n in ("id", "kind", "state", "records", "started", "finished", "of")},
                    "items": journal.counts(m["id"]),
                }
                for m in journal.manifests()
            ]
            events = journal.db.execute("SELECT count(*) FROM event").fetchone()[0]
        finally:
            if journal is not self._journal:
                journal.db.close()
        return {"home": str(self.home.path), "frozen": self.home.frozen.exists(), "manifests": found, "events": events}

    def audit_verify(self, outside: Sequence[Path] = ()) -> Checked:
        """Verify the audit log against its own checkpoints and those kept elsewhere.

        Raises
        ------
        JournalCorruptError
            Something was changed, cut off or put back.
        """
        trust = self.trust()
        said = [self._checkpoint(envelope.encode(), trust) for _, envelope in self.journal.checkpoints()]
        places = [self._outside(c) / "checkpoints.ndjson" for c in self.home.config.checkpoints] + list(outside)
        external = 0
        for place in places:
            if place.is_file():
                for raw in place.read_bytes().splitlines():
                    said.append(self._checkpoint(raw, trust))
                    external += 1
        return verify_log(self.journal.events(), said, external=external)

    def certificate(self, receipt: Path, record: str) -> dict[str, object]:
        """Return the proof of one record's outcome; see :func:`steward.executor.receipt.certificate`."""
        trust = self.trust()
        checked, lines = read_receipt(receipt, trust, self.home.config.tenant, self._now())
        object, _, id = record.partition("/")
        return certificate(read_file(receipt, limit=4 << 20), checked.predicate, lines, RecordKey(object, id))

    def check_certificate(self, path: Path) -> dict[str, Any]:
        """Verify a certificate and return the outcome it proves."""
        try:
            document = json.loads(read_file(path, limit=8 << 20))
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise MalformedManifestError(N_("This is not a certificate."))
        trust, now, tenant = self.trust(), self._now(), self.home.config.tenant
        _, outcome = check_certificate(document, lambda raw: open_receipt(raw, trust, tenant, now))
        return outcome

    def _checkpoint(self, envelope: bytes, trust: TrustStore) -> Checkpoint:
        checked = verify_statement(
            envelope, trust=trust, now=self._now(), predicate_type=CHECKPOINT_TYPE, predicate=Checkpoint, by="executors",
            tenant=self.home.config.tenant,
        )  # fmt: skip
        if checked.predicate.origin != self.origin():
            raise JournalCorruptError(N_("A checkpoint belongs to another executor."))
        return checked.predicate

    def backup_verify(self, identities: Sequence[Path], *, percent: int = 100, progress: Progress = None) -> dict[str, int]:
        """Open frames and compare each with the journal; return counts.

        Raises
        ------
        BackupUnreadableError
            Names the first frame that cannot be opened.
        """
        reader = BackupReader(RealDisk(self.home.path / "backup"), self._identities(identities))
        checked = frames = rows = expired = 0
        for known in self.journal.manifests():
            if known["expired"]:
                expired += 1
                continue
            for number, ref in self.journal.frames(known["id"]).items():
                frames += 1
                if percent < 100 and int(hashlib.sha256(f"{known['id']}{number}".encode()).hexdigest(), 16) % 100 >= percent:
                    continue
                rows += len(reader.read(known["id"], ref))
                checked += 1
                if progress is not None:
                    progress(1)
        return {"frames": frames, "checked": checked, "rows": rows, "expired": expired}


def _subject_of(folder: ManifestFolder) -> Subject:
    from steward.manifest.format import MANIFEST_TYPE, ManifestPredicate

    payload, _ = signed_envelope(folder.envelope())
    statement, _ = parse_statement(payload, MANIFEST_TYPE, ManifestPredicate)
    return statement.subject[0]


def _choose(lines: Sequence[bytes], ids: set[str], seqs: set[int]) -> list[dict[str, Any]]:
    chosen = []
    for raw in lines:
        line = json.loads(raw)
        if line["state"] not in (s.value for s in APPLIED):
            continue
        if (ids or seqs) and line["seq"] not in seqs and line["id"] not in ids and f"{line['object']}/{line['id']}" not in ids:
            continue
        chosen.append(line)
    return chosen


def _forecast(works: Sequence[Work], decider: RestoreDecider) -> dict[str, int]:
    counts: dict[str, int] = {}
    left = list(works)
    while left:
        part, left = left[:200], left[200:]
        units, verdicts, later = decider.decide(part)
        left = later + left
        counts["restore"] = counts.get("restore", 0) + sum(len(u.works) for u in units)
        for verdict in verdicts:
            name = f"{verdict.state.value}/{verdict.code}"
            counts[name] = counts.get(name, 0) + 1
        if not units and not verdicts:
            raise PartialExecutionError(N_("No item of the batch can go on."), count=len(later))
    return counts


def _line(entry: Line) -> dict[str, object]:
    return {
        "seq": entry.seq, "what": entry.what, "object": entry.record.object, "id": entry.record.id, "field": entry.field,
        "outcome": entry.outcome, "fields": list(entry.fields),
    }  # fmt: skip


__all__ = ["Applied", "Executor", "Restored"]
