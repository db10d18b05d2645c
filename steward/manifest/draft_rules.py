"""What a draft is given: the rules of policy, what it needs to know of objects and records, and how it holds back.

Left to others: which decisions become items (``plan_items``), the draft itself (``draft``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from steward.manifest.format import FieldChange
from steward.policy import Policy, hundredths
from steward.records import RecordKey

GRACE_SOFT = timedelta(hours=24)
GRACE_HARD = timedelta(days=7)
MAX_LIFE = timedelta(days=30)


class ObjectRules(Protocol):
    """What a draft needs to know of a mapped object; ``steward.crm.mapping.ObjectMapping`` is one."""

    @property
    def soft_delete(self) -> object | None:
        """How the system marks a record as deleted; None means that a delete is for good."""
        ...

    @property
    def parents(self) -> Mapping[str, str]:
        """Column → object it refers to."""
        ...

    @property
    def on_delete(self) -> Mapping[str, str]:
        """Column → ``block``, ``detach``, ``reassign``, ``cascade`` or ``keep``."""
        ...

    @property
    def on_merge(self) -> Mapping[str, str]:
        """Column → ``move`` or ``keep``."""
        ...


@dataclass(frozen=True, slots=True)
class RecordState:
    """A record as the snapshot holds it."""

    digest: str
    version: str | None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """A record that was decided on and is not proposed."""

    key: RecordKey
    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class DraftRules:
    """What policy says to a draft. A limit that is None is missing, and a missing limit refuses.

    Attributes
    ----------
    max_percent_of_object, max_drift_percent, max_error_percent : int or None
        Hundredths of a percent.
    grace_soft, grace_hard : timedelta
        At least 24 hours and 7 days count outside a sandbox.
    recipients : tuple of str
        Ids in the trust store, two or more.
    anonymise : mapping
        Object → fields and methods; an object that is not named cannot be anonymised.
    reassign_to : mapping of str to str
        Object → id of the new owner or parent for children with the rule ``reassign``.
    hard : frozenset of str
        Objects that are deleted for good although the system has a recycle bin.
    recycle_bin : bool
        The system keeps what is deleted for a while by itself, whatever the mapping says.
    side_effects : tuple of str
        Switches of the system that stay on while the manifest runs.
    """

    policy_digest: str
    policy_version: str
    max_records: int | None
    max_percent_of_object: int | None
    max_drift_percent: int | None = 500
    max_error_percent: int | None = 200
    canary: int = 20
    rate_per_minute: int = 6_000
    window: str = "any"
    max_of_object: Mapping[str, int] = field(default_factory=dict)
    grace_soft: timedelta = GRACE_SOFT
    grace_hard: timedelta = GRACE_HARD
    grace_sandbox: timedelta = timedelta(0)
    max_life: timedelta = MAX_LIFE
    retain_days: int = 90
    recipients: tuple[str, ...] = ()
    anonymise: Mapping[str, Sequence[FieldChange]] = field(default_factory=dict)
    reassign_to: Mapping[str, str] = field(default_factory=dict)
    hard: frozenset[str] = frozenset()
    recycle_bin: bool = False
    side_effects: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        policy: Policy,
        *,
        recipients: Sequence[str],
        anonymise: Mapping[str, Sequence[FieldChange]] | None = None,
        reassign_to: Mapping[str, str] | None = None,
        hard: Iterable[str] = (),
        recycle_bin: bool = False,
        side_effects: Iterable[str] = (),
    ) -> DraftRules:
        """Return what a policy says to a draft, with what only the proposer can say."""
        limits = policy.limits
        return cls(
            policy_digest=policy.digest,
            policy_version=policy.version,
            max_records=limits.max_records,
            max_percent_of_object=hundredths(limits.max_percent_of_object),
            max_drift_percent=hundredths(limits.max_drift_percent),
            max_error_percent=hundredths(limits.max_error_percent),
            canary=limits.canary,
            rate_per_minute=limits.rate_per_minute,
            window=limits.window,
            max_of_object=limits.objects,
            grace_soft=timedelta(hours=policy.grace.soft_hours),
            grace_hard=timedelta(hours=policy.grace.hard_hours),
            grace_sandbox=timedelta(hours=policy.grace.sandbox_hours),
            max_life=timedelta(days=policy.grace.expires_days),
            retain_days=policy.backup.retain_days,
            recipients=tuple(recipients),
            anonymise=anonymise or {},
            reassign_to=reassign_to or {},
            hard=frozenset(hard),
            recycle_bin=recycle_bin,
            side_effects=tuple(sorted(set(side_effects))),
        )
