"""What every command of the executor needs: home, clock, journal, key, trust, CRM, audit log and the receipt's ending.

Nothing is opened before it is needed, and nothing twice. Left to others: what is done with them (``planning``,
``applying``, ``restoring``, ``looking``), the facade over all (``runner``).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from steward import __version__
from steward.errors import ExecutionError, PolicyInvalidError, UsageError
from steward.executor.audit import AuditLog
from steward.executor.disk import RealDisk
from steward.executor.documents import CheckpointRef, ReceiptPredicate
from steward.executor.home import Home, open_home
from steward.executor.journal import Journal, connect
from steward.executor.keeping import KeepFile
from steward.executor.ports import Clock, Hook, SystemClock, no_hook
from steward.executor.receipt import write_receipt
from steward.executor.writers.sql import SqlLook, SqlWriter
from steward.manifest.format import MANIFEST_TYPE, ManifestPredicate, Subject
from steward.manifest_files import ManifestFolder, read_file
from steward.messages import N_
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.db.close()
            self._journal = None

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

    def look(self) -> SqlLook:
        """Open the CRM for reading, with the read-only credential where there is one."""
        self._check_system()
        return SqlLook(self.home.url(read=True), self.home.mapping)

    def writer(self) -> SqlWriter:
        """Open the CRM for writing."""
        self._check_system()
        return SqlWriter(self.home.url(), self.home.mapping, hook=self.hook)

    def _check_system(self) -> None:
        if self.home.config.system != "sql":
            raise UsageError(
                N_("There is no writer for the system {system}."), next_step=N_("Known: sql."), system=self.home.config.system
            )

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
        self.push(envelope)

    def push(self, envelope: bytes) -> None:
        """Copy a checkpoint to every folder of the configuration; one that cannot be reached does not stop the run."""
        line = envelope + b"\n"
        for folder in (self.home.path / "audit", *(self.outside(c) for c in self.home.config.checkpoints)):
            try:
                with (folder / "checkpoints.ndjson").open("ab") as file:
                    file.write(line)
            except OSError:
                continue  # `audit verify` says which folder lacks the newest

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
    ) -> tuple[Path, ReceiptPredicate]:
        """Sign the receipt, then close the manifest for ever: a crash between the two makes the receipt again."""
        now = self.clock.now()
        with self.journal.commit():
            audit.add("finished", now, manifest=manifest, state=state, counts=self.journal.counts(manifest))
            envelope = audit.checkpoint(now)
        self.push(envelope)
        self.hook("receipt")
        head = json.loads(base64.b64decode(json.loads(envelope)["payload"]))["predicate"]
        c = self.home.config
        path, said = write_receipt(
            self.home.path / "receipts", self.journal, disk, self.signer, manifest=manifest, kind=kind, subject=subject,
            facts={"system": c.system, "tenant": c.tenant, "environment": c.environment, "executor": c.executor},
            state=state, now=now, checkpoint=CheckpointRef(size=head["size"], head=head["head"]),
        )  # fmt: skip
        self.hook("receipt.written")
        with self.journal.commit():
            self.journal.end(manifest, state, now.isoformat(), hashlib.sha256(path.read_bytes()).hexdigest())
        return path, said


def subject_of(folder: ManifestFolder) -> Subject:
    """Return what a manifest is about: its item file, by digest."""
    payload, _ = signed_envelope(folder.envelope())
    statement, _ = parse_statement(payload, MANIFEST_TYPE, ManifestPredicate)
    return statement.subject[0]


Refresh = Callable[[], frozenset[int]]

__all__ = ["Parts", "Refresh", "subject_of"]
