"""What every command of the executor needs: home, clock, journal, key, trust, CRM, audit log and the receipt's ending.

Nothing is opened before it is needed, and nothing twice. Left to others: what is done with them (``planning``,
``applying``, ``restoring``, ``looking``), the facade over all (``runner``).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from steward import __version__
from steward.errors import ExecutionError, PolicyInvalidError, StewardError
from steward.executor import logs
from steward.executor.audit import AuditLog
from steward.executor.connectors import open_look, open_writer
from steward.executor.disk import RealDisk
from steward.executor.documents import CheckpointRef, ReceiptPredicate
from steward.executor.home import Home, open_home
from steward.executor.idmap import deliver_id_maps, queue_id_map, write_id_map
from steward.executor.journal import Journal, connect
from steward.executor.keeping import KeepFile
from steward.executor.outbox import Outbox, notice_of
from steward.executor.plan import Look
from steward.executor.ports import Clock, Hook, SystemClock, Writer, no_hook
from steward.executor.pushing import Pusher
from steward.executor.receipt import head_of, write_receipt
from steward.executor.steps import StepLog
from steward.manifest.format import MANIFEST_TYPE, ManifestPredicate, Subject
from steward.manifest_files import ManifestFolder, read_file, read_secret, write_file
from steward.messages import N_
from steward.post_settings import read_channels
from steward.signing import FileSigner, LedgerEntry, TrustStore, VerifyContext
from steward.signing.statements import parse_statement, signed_envelope


class Parts:
    """The parts of one home.

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
        self.hook: Hook = hook
        self._journal: Journal | None = None
        self._signer: FileSigner | None = None
        self._pusher: Pusher | None = None
        self._outbox: Outbox | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.db.close()
            self._journal = self._pusher = self._outbox = None

    @property
    def journal(self) -> Journal:
        """The journal, opened at first use."""
        if self._journal is None:
            self._journal = Journal(connect(self.home.journal))
        return self._journal

    @property
    def opened_journal(self) -> Journal | None:
        """The journal where it is open already."""
        return self._journal

    @property
    def signer(self) -> FileSigner:
        """The executor's own key, opened at first use."""
        if self._signer is None:
            self._signer = self.home.signer()
        return self._signer

    @property
    def backup_disk(self) -> RealDisk:
        """A new look at the backup folder."""
        return RealDisk(self.home.path / "backup")

    def now(self) -> datetime:
        """Return the later of the clock and what the journal has seen: a clock set back makes nothing valid again."""
        now = self.clock.now()
        seen = self.journal.get("clock.high")
        return max(now, datetime.fromisoformat(seen)) if seen else now

    def trust(self) -> TrustStore:
        """Load the trust store; older than one seen before is refused, and so is one that does not name this executor."""
        now = self.now()
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

    def context(self, folder: ManifestFolder) -> VerifyContext:
        """Return what a manifest is verified against: this place, this moment, the replay ledger, the vetoes."""
        ledger = {m["id"]: LedgerEntry(m["digest"], m["state"] != "running") for m in self.journal.manifests()}
        c = self.home.config
        return VerifyContext(
            tenant=c.tenant, system=c.system, environment=c.environment, now=self.now(), policies=self.home.policies,
            tool_version=__version__, ledger=ledger, vetoes=folder.vetoes(),
        )  # fmt: skip

    # the CRM ----------------------------------------------------------------------------------------------------

    def look(self) -> Look:
        """Open the CRM for reading, with the read-only credential where there is one."""
        return open_look(self.home)

    def writer(self, side_effects: frozenset[str] = frozenset()) -> Writer:
        """Open the CRM for writing."""
        return open_writer(self.home, StepLog(self.journal.db), side_effects=side_effects, hook=self.hook)

    def actor(self, writer: Writer) -> str:
        """Return under which name or id our own deletions stand in the CRM; empty where it does not say."""
        return self.home.config.actor if self.home.config.system == "sql" else writer.me

    def holds_text(self) -> str:
        """Return the hold list's text.

        Raises
        ------
        PolicyInvalidError
            There is none, so everything must stay.
        """
        path = self.home.path / "holds.txt"
        if not path.is_file():
            raise PolicyInvalidError(
                N_("The hold list {path} cannot be read, so everything must stay."),
                next_step=N_("Put it back; an empty list is a list."),
                path=path.name,
            )
        return read_file(path, limit=256 << 20, empty=True).decode()

    def keep_file(self) -> KeepFile:
        """Return the home's keep list, to be read before every batch."""
        c = self.home.config
        age = timedelta(hours=c.keeps_max_age_hours) if c.keeps_max_age_hours else None
        return KeepFile(self.outside(c.keeps), c.tenant, age)

    # the audit log ----------------------------------------------------------------------------------------------

    def origin(self) -> str:
        """Name of the audit log."""
        return f"{self.home.config.tenant}/{self.home.config.executor}"

    def audit(self, trust: TrustStore | None = None) -> AuditLog:
        """Open the audit log for writing."""
        return AuditLog(self.journal, self.signer, origin=self.origin(), trust_version=trust.version if trust else 0)

    def say(self, audit: AuditLog, event: str, manifest: str, override: str | None) -> None:
        """Log the beginning of a run, and why a person lets it pass the breaker; checkpoint it."""
        now = self.clock.now()
        with self.journal.commit():
            audit.add(event, now, manifest=manifest)
            if override:
                audit.add("override", now, manifest=manifest, reason=override[:500])
            self.journal.put("clock.high", now.isoformat())
            envelope = audit.checkpoint(now)
            self._queue(event, manifest, now)
        self.push(envelope)
        self.outbox.deliver(now)

    @property
    def outbox(self) -> Outbox:
        """Notices that go out; without settings there is nobody to send to."""
        if self._outbox is None:
            post = self.home.config.post
            self._outbox = Outbox(self.journal, read_channels(self.outside(post)) if post else ())
        return self._outbox

    def tell(self, event: str, manifest: str, *, why: str = "") -> None:
        """Tell people of something that has no commit of its own. No failure is raised: what stopped the run is said first."""
        now = self.clock.now()
        with contextlib.suppress(sqlite3.Error, OSError, StewardError):
            with self.journal.commit():
                self._queue(event, manifest, now, why=why)
            self.outbox.deliver(now)

    def _queue(self, event: str, manifest: str, now: datetime, *, why: str = "") -> None:
        """Put a notice into the outbox and write a line for those who watch; the caller holds the commit."""
        counts = self.journal.counts(manifest)
        mark = hashlib.sha256(json.dumps([now.isoformat(timespec="seconds"), why], sort_keys=True).encode()).hexdigest()[:12]
        self.outbox.queue(notice_of(event, manifest, counts, mark=mark, why=why), now)
        c = self.home.config
        place = {"tenant": c.tenant, "environment": c.environment, "executor": c.executor}
        logs.write(event, now, manifest=manifest, place=place, counts=counts, why=why)

    @property
    def pusher(self) -> Pusher:
        """Delivers checkpoints; one for the life of this object."""
        if self._pusher is None:
            self._pusher = Pusher(self.journal, self.home.path, self.home.config.checkpoints, self.origin(), self.clock)
        return self._pusher

    def push(self, envelope: bytes, *, last: bool = False) -> None:
        """Deliver a committed checkpoint to every place of the configuration; see :mod:`steward.executor.pushing`."""
        self.pusher.push(envelope, last=last)

    def outside(self, text: str) -> Path:
        """Return a path of the configuration; relative ones are below the home."""
        path = Path(text)
        return path if path.is_absolute() else self.home.path / path

    # the ending -------------------------------------------------------------------------------------------------

    def finish(
        self,
        disk: RealDisk,
        audit: AuditLog,
        manifest: str,
        kind: str,
        subject: Subject,
        state: str,
        beside: Path | None = None,
    ) -> tuple[Path, ReceiptPredicate]:
        """Sign the receipt, then close the manifest for ever.

        A crash between the two makes the receipt again, the same to the last byte; ``beside`` is where a copy goes.
        """
        now, head = self._finished(audit, manifest, state)
        self.hook("receipt")
        c = self.home.config
        receipts = self.home.path / "receipts"
        ids = write_id_map(receipts, self.journal, manifest)
        path, said = write_receipt(
            receipts, self.journal, disk, self.signer, manifest=manifest, kind=kind, subject=subject,
            facts={"system": c.system, "tenant": c.tenant, "environment": c.environment, "executor": c.executor},
            state=state, now=now, checkpoint=head, more=() if ids is None else (ids,),
        )  # fmt: skip
        if beside is not None:
            write_file(beside, path.read_bytes())
        self.hook("receipt.written")
        with self.journal.commit():
            self.journal.forget(f"finishing.{manifest}")
            self.journal.end(manifest, state, now.isoformat(), hashlib.sha256(path.read_bytes()).hexdigest())
            if c.id_map_webhook:
                queue_id_map(self.journal, manifest, now)
            self._queue(state, manifest, now)
        self.deliver()
        return path, said

    def _finished(self, audit: AuditLog, manifest: str, state: str) -> tuple[datetime, CheckpointRef]:
        """Log that a manifest has ended, once; return when it did and the checkpoint that says so."""
        noted = self.journal.get(f"finishing.{manifest}")
        if noted and (said := json.loads(noted))["state"] == state:
            return datetime.fromisoformat(said["at"]), CheckpointRef(size=said["size"], head=said["head"])
        now = self.clock.now()
        with self.journal.commit():
            audit.add("finished", now, manifest=manifest, state=state, counts=self.journal.counts(manifest))
            envelope = audit.checkpoint(now)
            head = head_of(envelope)
            note = {"state": state, "at": now.isoformat(), "size": head.size, "head": head.head}
            self.journal.put(f"finishing.{manifest}", json.dumps(note))
        self.push(envelope, last=True)
        return now, head

    def deliver(self) -> None:
        """Send notices and id maps that wait; what cannot be sent now waits for the next run."""
        c = self.home.config
        self.outbox.deliver(self.clock.now())
        if c.id_map_webhook:
            secret = read_secret(self.outside(c.webhook_secret_file)).reveal()
            deliver_id_maps(self.journal, c.id_map_webhook, secret, self.clock.now())


def subject_of(folder: ManifestFolder) -> Subject:
    """Return what a manifest is about: its item file, by digest."""
    payload, _ = signed_envelope(folder.envelope())
    statement, _ = parse_statement(payload, MANIFEST_TYPE, ManifestPredicate)
    return statement.subject[0]


Refresh = Callable[[], frozenset[int]]

__all__ = ["Parts", "Refresh", "subject_of"]
