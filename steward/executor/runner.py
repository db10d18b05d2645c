"""One executor over its home: plan, apply, restore, status, audit, backup verification. The library behind the command.

A facade: each method is one function of a module of its own (``planning``, ``applying``, ``restoring``, ``looking``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from steward.executor import applying, looking, planning, restoring
from steward.executor.applying import Applied
from steward.executor.audit import Checked
from steward.executor.choosing import Scope
from steward.executor.documents import PlanPredicate
from steward.executor.parts import Parts
from steward.executor.plan import Plan
from steward.executor.ports import Progress
from steward.executor.rehearse import Rehearsed, rehearse
from steward.executor.restoring import Restored
from steward.signing import Signer


class Executor(Parts):
    """The executor of one home; see :class:`steward.executor.parts.Parts` for its parameters."""

    def plan(self, manifest: Path, *, progress: Progress = None) -> tuple[Plan, PlanPredicate, Path]:
        """Read everything the manifest names and sort it; see :func:`steward.executor.planning.plan_manifest`."""
        return planning.plan_manifest(self, manifest, progress=progress)

    def apply(self, manifest: Path, *, override: str | None = None, progress: Progress = None) -> Applied:
        """Apply a verified manifest to its end; see :func:`steward.executor.applying.apply_manifest`."""
        return applying.apply_manifest(self, manifest, override=override, progress=progress)

    def restore(
        self,
        receipt: Path,
        signer: Signer,
        *,
        identities: Sequence[Path] = (),
        ids: Iterable[str] = (),
        seqs: Iterable[int] = (),
        scope: Scope | None = None,
        new_ids: bool = False,
        dry_run: bool = False,
        progress: Progress = None,
    ) -> Restored:
        """Bring back what a receipt says was taken; see :func:`steward.executor.restoring.restore_receipt`.

        Parameters
        ----------
        ids, seqs : iterables
            Short for a scope of these alone.
        """
        meant = scope or Scope(ids=frozenset(ids), seqs=frozenset(seqs))
        return restoring.restore_receipt(
            self, receipt, signer, identities=identities, scope=meant, new_ids=new_ids, dry_run=dry_run, progress=progress
        )

    def rehearse(self, receipt: Path, *, identities: Sequence[Path] = (), progress: Progress = None) -> Rehearsed:
        """Restore into a scratch CRM and compare; see :func:`steward.executor.rehearse.rehearse`."""
        return rehearse(self, receipt, identities=identities, progress=progress)

    def status(self) -> dict[str, Any]:
        """Return what is known; see :func:`steward.executor.looking.status`."""
        return looking.status(self)

    def audit_verify(self, outside: Sequence[Path] = ()) -> Checked:
        """Verify the audit log; see :func:`steward.executor.looking.audit_verify`."""
        return looking.audit_verify(self, outside)

    def certificate(self, receipt: Path, *records: str) -> dict[str, object]:
        """Return the proof of what became of one person's records, each ``object/id``."""
        return looking.certify(self, receipt, records)

    def check_certificate(self, path: Path) -> list[dict[str, Any]]:
        """Verify a certificate and return the outcomes it proves."""
        return looking.check_certificate_file(self, path)

    def backup_verify(self, identities: Sequence[Path], *, percent: int = 100, progress: Progress = None) -> dict[str, int]:
        """Open frames and compare each with the journal; see :func:`steward.executor.looking.backup_verify`."""
        return looking.backup_verify(self, identities, percent=percent, progress=progress)


__all__ = ["Applied", "Executor", "Restored"]
