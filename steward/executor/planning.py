"""``plan``: read everything a manifest names, sort it, estimate what applying costs, sign what was seen. Changes nothing.

Left to others: sorting (``plan``), printing (``cli``).
"""

from __future__ import annotations

from pathlib import Path

from steward.crm.base import Capabilities
from steward.errors import NotYetValidError, ThresholdNotMetError
from steward.executor.disk import RealDisk
from steward.executor.documents import PlanPredicate
from steward.executor.notices import Notices
from steward.executor.parts import Parts
from steward.executor.plan import LiveDecider, Plan, make_plan, works_of
from steward.executor.ports import Progress
from steward.manifest.draft import whole_second
from steward.manifest.format import PLAN_TYPE, Subject
from steward.manifest_files import PLAN_NAME, ManifestFolder, write_file
from steward.policy import parse_holds
from steward.signing import ExaminedManifest, VerifiedManifest, examine, sign_statement, verify


def plan_manifest(parts: Parts, manifest: Path, *, progress: Progress = None) -> tuple[Plan, PlanPredicate, Path]:
    """Read everything the manifest names and sort it; write and sign the plan, change nothing.

    A manifest that is not approved yet, or whose grace has not passed, is planned as well and says so: stewards may
    want to see it before they sign.
    """
    folder = ManifestFolder(manifest)
    trust = parts.trust()
    context = parts.context(folder)
    with folder.items() as items:
        checked: ExaminedManifest
        try:
            checked = verify(folder.envelope(), items, trust, context)
        except (ThresholdNotMetError, NotYetValidError):
            checked = examine(folder.envelope(), items, trust, context)
        vetoed = checked.vetoed if isinstance(checked, VerifiedManifest) else frozenset()
        vetoed |= Notices(parts.home.path).vetoed(checked.id)
        look = parts.look()
        try:
            held = frozenset(parse_holds(parts.holds_text()).entries)
            kept = parts.keep_file().read(parts.clock.now())
            decider = LiveDecider(
                look, parts.home.mapping, parts.home.config.actor, parts.clock.now, checked.predicate.anonymise,
                vetoed=lambda: vetoed, held=lambda: held, kept=lambda: kept, reviewed_at=checked.predicate.snapshot.taken_at,
                privacy=checked.approved_as("privacy", trust),
            )  # fmt: skip
            started, before = parts.clock.monotonic(), getattr(look, "requests", None)
            plan = make_plan(works_of(checked.items), decider, progress=progress)
            took = parts.clock.monotonic() - started
            capabilities = look.capabilities
            asked = None if before is None else look.requests - before  # type: ignore[attr-defined]  # a vendor's has it
        finally:
            look.close()
    said = _said(parts, checked, plan, took, capabilities, asked)
    envelope = sign_statement(
        [parts.signer],
        subject=[Subject(name="statement", digest={"sha256": checked.digest})],
        predicate_type=PLAN_TYPE,
        predicate=said,
    )
    path = parts.home.path / "plans" / f"{checked.id}.plan.dsse.json"
    path.parent.mkdir(exist_ok=True)
    write_file(path, envelope, mode=0o600)
    write_file(manifest / PLAN_NAME, envelope)
    return plan, said, path


def _said(
    parts: Parts, checked: ExaminedManifest, plan: Plan, took: float, capabilities: Capabilities, asked: int | None
) -> PlanPredicate:
    batch = parts.home.config.batch
    limits = parts.home.config.limits
    rate = min(checked.predicate.limits.rate_per_minute, limits.rate_per_minute) or 1
    disk = RealDisk(parts.home.path / "backup")
    applies = plan.applies
    batches = -(-applies // batch)
    # Read, read what hangs on it, write, and for the canary read again: per batch and call size of the system.
    calls = -(-batch // max(1, min(batch, capabilities.batch_size)))
    requests = batches * calls * 3 + (1 if applies else 0)
    pace = rate * limits.rate_share / 10_000
    seconds = max(took * 3, applies * 60 / pace)
    if asked is not None and applies:  # over an API: what this reading took, and each row looked at again, written, read back
        requests = asked + plan.rows * 3
        if capabilities.requests_per_minute:
            seconds = max(seconds, requests * 60 * 10_000 / (capabilities.requests_per_minute * limits.rate_share))
    return PlanPredicate(
        manifest_id=checked.id,
        statement=checked.digest,
        approved=isinstance(checked, VerifiedManifest),
        at=whole_second(parts.clock.now()),
        executor=parts.home.config.executor,
        records=plan.records,
        verdicts=dict(sorted(plan.verdicts.items())),
        related=dict(sorted(plan.related.items())),
        batches=batches,
        requests=requests,
        credits=requests * limits.credits_per_request,
        seconds=int(seconds + parts.home.config.canary_wait) + 1 if applies else 0,
        backup_bytes=plan.bytes // 3 + 200 * (applies // batch + 1),
        free_bytes=disk.free(),
    )
