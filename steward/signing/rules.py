"""The rules a manifest must keep, one function each: where, when, how much, with whose recovery, and never twice.

Pure predicates that raise. The order in which they are asked is in ``steward.signing.verify``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from steward.errors import (
    AlreadyAppliedError,
    ExpiredError,
    LimitExceededError,
    MalformedManifestError,
    NotYetValidError,
    PolicyInvalidError,
    TrustError,
    UntrustedKeyError,
    VetoedError,
    WrongTargetError,
)
from steward.manifest.format import IRREVERSIBLE, ManifestPredicate
from steward.messages import N_
from steward.policy import Policy, hundredths
from steward.signing.approvals import Extra
from steward.signing.statements import verify_veto
from steward.signing.trust import TrustStore

SKEW = timedelta(minutes=5)
MAX_LIFE = timedelta(days=30)
GRACE_SOFT = timedelta(hours=24)
GRACE_HARD = timedelta(days=7)
MAX_SNAPSHOT_AGE = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What the replay ledger knows of a manifest id."""

    digest: str
    finished: bool


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """What verification needs of a policy; its digest is the key it stands under.

    Attributes
    ----------
    max_records : int or None
        None is a missing limit and refuses.
    max_percent_of_object : int or None
        Hundredths of a percent; None refuses.
    grace_soft, grace_hard : timedelta
        Only what is longer than the built-in minimum counts.
    max_snapshot_age : timedelta
        Only what is shorter than 14 days counts.
    extra : Extra
        Seats beyond the minimum.
    """

    max_records: int | None
    max_percent_of_object: int | None
    grace_soft: timedelta = GRACE_SOFT
    grace_hard: timedelta = GRACE_HARD
    grace_sandbox: timedelta = timedelta(0)
    max_life: timedelta = MAX_LIFE
    max_snapshot_age: timedelta = MAX_SNAPSHOT_AGE
    max_of_object: Mapping[str, int] = field(default_factory=dict)
    extra: Extra = field(default_factory=Extra)

    @classmethod
    def of(cls, policy: Policy) -> PolicyInForce:
        """Return what verification needs of a policy."""
        return cls(
            max_records=policy.limits.max_records,
            max_percent_of_object=hundredths(policy.limits.max_percent_of_object),
            grace_soft=timedelta(hours=policy.grace.soft_hours),
            grace_hard=timedelta(hours=policy.grace.hard_hours),
            grace_sandbox=timedelta(hours=policy.grace.sandbox_hours),
            max_life=timedelta(days=policy.grace.expires_days),
            max_snapshot_age=timedelta(days=policy.snapshot.max_age_days),
            max_of_object=policy.limits.objects,
            extra=Extra(
                soft_alone=policy.approvals.soft_alone,
                owner_above=policy.approvals.owner_above,
                owner_above_percent=hundredths(policy.approvals.owner_above_percent),
                seats=policy.approvals.seats,
                roles=policy.approvals.roles,
            ),
        )


@dataclass(frozen=True, slots=True)
class VerifyContext:
    """What the verifier knows by itself, and the manifest must agree with.

    Attributes
    ----------
    tenant, system, environment : str
        Of the executor's own configuration.
    now : datetime
        Aware; the largest of the clocks the caller has.
    policies : mapping of str to PolicyInForce
        By digest; also each digest must stand in the trust store.
    tool_version : str
        Of the verifying program.
    ledger : mapping of str to LedgerEntry
        Manifest id → what is known of it. A finished one never runs again; a begun one only with the same bytes.
    vetoes : sequence of bytes
        Every veto envelope found beside the manifest or received otherwise.
    id_patterns : mapping of str to str
        Object → regular expression its ids must match in full, where the connector has one.
    """

    tenant: str
    system: str
    environment: str
    now: datetime
    policies: Mapping[str, PolicyInForce]
    tool_version: str
    ledger: Mapping[str, LedgerEntry] = field(default_factory=dict)
    vetoes: Sequence[bytes] = ()
    id_patterns: Mapping[str, str] = field(default_factory=dict)


def check_tool(trust: TrustStore, version: str) -> None:
    """Refuse where this program is older than the trust store allows."""
    if _numbers(version) < _numbers(trust.document.minimum_tool):
        raise TrustError(
            N_("This is steward {version}; the trust store asks for {minimum} or newer."),
            next_step=N_("Install a newer steward."),
            version=version,
            minimum=trust.document.minimum_tool,
        )


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(n) for n in re.findall(r"\d+", version.split("+")[0])[:4]]
    return tuple(numbers + [0] * (4 - len(numbers)))


def check_target(said: ManifestPredicate, trust: TrustStore, context: VerifyContext) -> None:
    """Refuse a manifest for another tenant, system or environment, or of a newer trust store, or a revoked one."""
    for what, found, here in (
        ("tenant", said.tenant, context.tenant),
        ("system", said.system, context.system),
        ("environment", said.environment, context.environment),
    ):
        if found != here:
            raise WrongTargetError(
                N_("The manifest is for the {what} {found}; this is {here}."),
                next_step=N_("A manifest runs only where it was proposed for."),
                what=what,
                found=found,
                here=here,
            )
    if not trust.knows_environment(said.environment):
        raise WrongTargetError(N_("The trust store names no environment {found}."), found=said.environment)
    if said.trust_version > trust.version:
        raise TrustError(
            N_("The manifest was proposed under trust version {said}; here is version {here}."),
            next_step=N_("Get the newest trust store first."),
            said=said.trust_version,
            here=trust.version,
        )
    if said.manifest_id in trust.document.revoked.manifests:
        raise VetoedError(N_("The trust store has revoked this manifest."))


def policy_in_force(said: ManifestPredicate, trust: TrustStore, context: VerifyContext) -> PolicyInForce:
    """Return the policy a manifest names; it must stand in the trust store and be known here."""
    if said.policy.digest not in trust.document.policies:
        raise PolicyInvalidError(
            N_("The trust store does not know the policy {digest}."),
            next_step=N_("Add it with: steward trust add policy FILE."),
            digest=said.policy.digest[:16],
        )
    policy = context.policies.get(said.policy.digest)
    if policy is None:
        raise PolicyInvalidError(
            N_("The policy {digest} is not in force here."),
            next_step=N_("Install the policy file the manifest was proposed under, or propose again."),
            digest=said.policy.digest[:16],
        )
    return policy


def check_times(said: ManifestPredicate, trust: TrustStore, policy: PolicyInForce, now: datetime) -> None:
    """Check every time rule but the start."""
    times = (said.created_at, said.not_before, said.expires_at, said.snapshot.taken_at)
    if any(t.microsecond or t.utcoffset() != timedelta(0) for t in times):
        raise MalformedManifestError(N_("Times in a manifest are whole seconds in UTC."))
    if not said.created_at <= said.not_before < said.expires_at:
        raise MalformedManifestError(N_("The times of the manifest contradict each other."))
    if said.snapshot.taken_at > said.created_at:
        raise MalformedManifestError(N_("The snapshot is younger than the manifest made from it."))
    life = min(MAX_LIFE, policy.max_life)
    if said.expires_at - said.created_at > life:
        raise MalformedManifestError(N_("A manifest is valid for {days} days at most."), days=life.days)
    hard = any(kind.split("/", 1)[1] in IRREVERSIBLE for kind in said.counts if "/" in kind)
    grace = max(GRACE_HARD, policy.grace_hard) if hard else max(GRACE_SOFT, policy.grace_soft)
    if trust.is_sandbox(said.environment):
        grace = policy.grace_sandbox
    if said.not_before - said.created_at < grace:
        raise MalformedManifestError(
            N_("The manifest gives owners {given} hours to object; {needed} are needed."),
            given=(said.not_before - said.created_at) // timedelta(hours=1),
            needed=grace // timedelta(hours=1),
        )
    if said.created_at > now + SKEW:
        raise NotYetValidError(N_("The manifest was made at {when}, which is in the future."), when=said.created_at.isoformat())
    if now >= said.expires_at:
        raise ExpiredError(
            N_("The manifest expired at {when}."),
            next_step=N_("Take a new snapshot and propose again."),
            when=said.expires_at.isoformat(),
        )
    if now - said.snapshot.taken_at > min(MAX_SNAPSHOT_AGE, policy.max_snapshot_age):
        raise ExpiredError(
            N_("The snapshot of {when} is too old to delete by."),
            next_step=N_("Take a new one and propose again."),
            when=said.snapshot.taken_at.isoformat(),
        )


def check_start(said: ManifestPredicate, now: datetime) -> None:
    """Refuse before the grace period has passed."""
    if now < said.not_before:
        raise NotYetValidError(
            N_("The grace period of this manifest ends at {when}."),
            next_step=N_("Until then owners may object and anyone entitled may veto. Run it again afterwards."),
            when=said.not_before.isoformat(),
        )


def check_proposer(said: ManifestPredicate, trust: TrustStore) -> str:
    """Return the proposer's id; refuse one the trust store does not know."""
    if trust.person(said.proposer.person) is None:
        raise UntrustedKeyError(
            N_("The proposer {person} is not in the trust store."),
            next_step=N_("Add the person with: steward trust add."),
            person=said.proposer.person,
        )
    return said.proposer.person


def check_replay(manifest_id: str, digest: str, context: VerifyContext) -> None:
    """Refuse what has run to its end, and other bytes under an id that has begun."""
    entry = context.ledger.get(manifest_id)
    if entry is None:
        return
    if entry.digest != digest:
        raise AlreadyAppliedError(N_("Another manifest with the id {id} is known here."), id=manifest_id)
    if entry.finished:
        raise AlreadyAppliedError(
            N_("The manifest {id} has run already; a manifest runs once."),
            next_step=N_("Propose again what is still wanted."),
            id=manifest_id,
        )


def collect_vetoes(said: ManifestPredicate, trust: TrustStore, context: VerifyContext, *, refuse: bool) -> frozenset[int]:
    """Return the vetoed items; a veto of the whole refuses, and so does one that cannot be read."""
    stopped: set[int] = set()
    for raw in context.vetoes:
        veto = verify_veto(
            raw, trust=trust, now=context.now, tenant=said.tenant, objects={k.split("/", 1)[0] for k in said.counts}
        )
        if veto.manifest_id != said.manifest_id:
            continue
        if veto.scope == "all":
            if refuse:
                raise VetoedError(
                    N_("{person} has vetoed the manifest."),
                    next_step=N_("A veto is not taken back: talk, then propose again."),
                    person=veto.person,
                )
            stopped.update(range(said.items.records))
        else:
            stopped.update(veto.scope)
    return frozenset(s for s in stopped if s < said.items.records)


def check_limits(said: ManifestPredicate, policy: PolicyInForce) -> None:
    """Apply the least of the manifest's and the policy's limits. No limit given means refuse; zero means zero."""
    if policy.max_records is None or policy.max_percent_of_object is None:
        raise PolicyInvalidError(
            N_("The policy sets no limit for {what}, so nothing may be deleted."),
            next_step=N_("Set it under [limits]; zero means zero."),
            what="max_records" if policy.max_records is None else "max_percent_of_object",
        )
    total = sum(said.counts.values())
    limit = min(said.limits.max_records, policy.max_records)
    if total > limit:
        raise LimitExceededError(
            N_("The manifest has {found} records; the limit is {limit}."),
            next_step=N_("Split it, or change the policy."),
            found=total,
            limit=limit,
        )
    percent = min(said.limits.max_percent_of_object, policy.max_percent_of_object)
    per_object: dict[str, int] = {}
    for kind, n in said.counts.items():
        object = kind.split("/", 1)[0]
        per_object[object] = per_object.get(object, 0) + n
    for object, n in per_object.items():
        size = said.snapshot.objects.get(object, 0)
        most = policy.max_of_object.get(object)
        if most is not None and n > most:
            raise LimitExceededError(
                N_("The manifest has {found} records of {object}; the limit is {limit}."), object=object, found=n, limit=most
            )
        if n > size or n * 10_000 > size * percent:
            raise LimitExceededError(
                N_("{found} of {size} records of {object} are above the limit of {limit} %."),
                next_step=N_("Split it, or change the policy."),
                object=object,
                found=n,
                size=size,
                limit=percent / 100,
            )


def check_backup(said: ManifestPredicate, trust: TrustStore) -> None:
    """Refuse unless two or more different recipients of the trust store can open the backup."""
    known = trust.recipients()
    unknown = [r for r in said.backup.recipients if r not in known]
    if unknown or len(set(said.backup.recipients)) < 2:
        raise TrustError(
            N_("The backup needs two recipients that the trust store knows; {unknown} is none."),
            next_step=N_("Add recipients with: steward trust add recipient."),
            unknown=", ".join(unknown) or "-",
        )
