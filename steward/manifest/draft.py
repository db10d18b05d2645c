"""From decisions to a draft: what will be proposed, in which order, and what is held back and why.

A draft takes what people decided, the records as the snapshot holds them, what protects them and what hangs on them.
Each decision becomes an item or is held back with a code and a sentence; nothing is left out in silence. Children come
before their parents, so that at no time a live record refers to one that is gone.

Limits refuse the whole draft: deleting the first thousand of too many would be a decision nobody made.

Left to others: reading all this (``steward.commands.propose``, ``steward.workbench``), writing the folder
(``steward.manifest_files``), signing (``steward.signing``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from steward.decisions import DecisionAction, Standing
from steward.errors import IncompleteSnapshotError, LimitExceededError, PolicyInvalidError, UsageError
from steward.evidence import Evidence
from steward.manifest.chunks import ItemsSummary, write_items
from steward.manifest.codec import encode
from steward.manifest.draft_rules import GRACE_HARD, GRACE_SOFT, MAX_LIFE, DraftRules, Held, ObjectRules, RecordState
from steward.manifest.format import (
    IRREVERSIBLE,
    ITEMS_NAME,
    MANIFEST_TYPE,
    BackupRef,
    HeldBack,
    Item,
    Limits,
    ManifestPredicate,
    PolicyRef,
    Proposer,
    SnapshotRef,
    Statement,
    Subject,
)
from steward.manifest.plan_items import Planner
from steward.messages import N_
from steward.policy import Protection
from steward.records import Link, RecordKey, Snapshot

DEFAULT_LIFE = timedelta(days=14)

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class Draft:
    """A manifest before it is bytes.

    Attributes
    ----------
    items : tuple of Item
        In order of work.
    held_back : tuple of Held
        Sorted by key and code.
    """

    items: tuple[Item, ...]
    held_back: tuple[Held, ...]
    snapshot: Snapshot
    rules: DraftRules
    proposer: Proposer
    manifest_id: str
    created_at: datetime
    not_before: datetime
    expires_at: datetime
    trust_version: int
    sizes: Mapping[str, int]
    supersedes: str | None = None

    @property
    def counts(self) -> dict[str, int]:
        """``object/action`` → records."""
        return dict(sorted(Counter(f"{i.object}/{i.action}" for i in self.items).items()))

    @property
    def held_by_code(self) -> dict[str, int]:
        """Code → records held back for it."""
        return dict(sorted(Counter(h.code for h in self.held_back).items()))

    def held_lines(self) -> bytes:
        """Return ``held_back.ndjson``: object, id and code per line; sentences stay in the workspace, they may name amounts."""
        return b"".join(encode({"object": h.key.object, "id": h.key.id, "code": h.code}) + b"\n" for h in self.held_back)

    def statement(self, summary: ItemsSummary) -> bytes:
        """Return the bytes that people will sign."""
        predicate = ManifestPredicate(
            manifest_id=self.manifest_id,
            system=self.snapshot.system,
            tenant=self.snapshot.tenant,
            environment=self.snapshot.environment,
            snapshot=SnapshotRef(
                digest=self.snapshot.digest,
                taken_at=whole_second(self.snapshot.taken_at),
                connector_version=self.snapshot.connector_version,
                objects=dict(self.sizes),
            ),
            policy=PolicyRef(digest=self.rules.policy_digest, version=self.rules.policy_version),
            trust_version=self.trust_version,
            created_at=self.created_at,
            not_before=self.not_before,
            expires_at=self.expires_at,
            proposer=self.proposer,
            counts=summary.counts,
            items=summary.info,
            anonymise={
                o: tuple(self.rules.anonymise[o]) for o in sorted({i.object for i in self.items if i.action == "anonymise"})
            },
            held_back=HeldBack(
                records=len(self.held_back), sha256=sha256(self.held_lines()).hexdigest(), by_code=self.held_by_code
            ),
            limits=Limits(
                max_records=self.rules.max_records or 0,
                max_percent_of_object=self.rules.max_percent_of_object or 0,
                max_drift_percent=self.rules.max_drift_percent or 0,
                max_error_percent=self.rules.max_error_percent or 0,
                canary=self.rules.canary,
                rate_per_minute=self.rules.rate_per_minute,
                window=self.rules.window,
            ),
            backup=BackupRef(recipients=self.rules.recipients, retain_days=self.rules.retain_days),
            supersedes=self.supersedes,
            side_effects=self.rules.side_effects,
        )
        subject = Subject(name=ITEMS_NAME, digest={"sha256": summary.sha256})
        return encode(Statement(subject=(subject,), predicate_type=MANIFEST_TYPE, predicate=predicate))

    def write(self, sink: Callable[[bytes], object]) -> bytes:
        """Write ``items.ndjson`` chunk by chunk to ``sink`` and return the statement's bytes."""
        return self.statement(write_items(self.items, sink))


def new_manifest_id(random: bytes) -> str:
    """Return a manifest id from 16 random bytes: 26 characters of Crockford's base 32."""
    if len(random) != 16:
        raise ValueError("a manifest id needs 16 random bytes")
    number = int.from_bytes(random, "big")
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


def whole_second(moment: datetime) -> datetime:
    """Return ``moment`` in UTC without its fraction."""
    if moment.tzinfo is None:
        raise ValueError("times must be aware")
    return moment.astimezone(UTC).replace(microsecond=0)


def draft(
    standing: Standing,
    snapshot: Snapshot,
    states: Mapping[RecordKey, RecordState],
    protections: Mapping[RecordKey, Sequence[Protection]],
    children: Mapping[RecordKey, Sequence[Link]],
    rules: DraftRules,
    *,
    objects: Mapping[str, ObjectRules],
    evidence: Mapping[RecordKey, Sequence[Evidence]] | None = None,
    proposer: Proposer,
    now: datetime,
    manifest_id: str,
    trust_version: int,
    sandbox: bool = False,
    sizes: Mapping[str, int] | None = None,
    grace: timedelta | None = None,
    life: timedelta = DEFAULT_LIFE,
    supersedes: str | None = None,
    only: Iterable[RecordKey] | None = None,
    singles: Sequence[Sequence[Link]] = (),
) -> Draft:
    """Draft a manifest from what stands decided.

    Parameters
    ----------
    standing : Standing
        The folded decision log.
    states : mapping of RecordKey to RecordState
        Every record decided on, every survivor, and every child a cascade may reach. One that is not here is not in the
        snapshot, and is held back.
    protections : mapping of RecordKey to sequence
        Every record of ``states`` must be a key, with an empty sequence where nothing protects it: a record whose
        protections were never computed is held back.
    children : mapping of RecordKey to sequence of Link
        Live references to each record.
    objects : mapping of str to ObjectRules
        The mapping's objects.
    evidence : mapping, optional
        For scores and reason codes.
    now : datetime
        Aware; becomes ``createdAt``.
    sandbox : bool
        True where the trust store names the environment a sandbox; only there the grace may be shorter.
    sizes : mapping of str to int, optional
        Live records per object; the snapshot's rows where not given.
    grace : timedelta, optional
        Longer than policy and built-in minimum ask for.
    life : timedelta
        From start to expiry; expiry is 30 days after ``now`` at most.
    only : iterable of RecordKey, optional
        Propose these decisions alone.
    singles : sequence of sequence of Link
        Groups of links of which one record may have only one; a merge after which its survivor had two is held back.

    Returns
    -------
    Draft

    Raises
    ------
    IncompleteSnapshotError
        The snapshot has rejects.
    LimitExceededError, PolicyInvalidError
        Beyond a limit, or a limit is missing.
    UsageError
        Nothing is left to propose.
    """
    if not snapshot.complete:
        raise IncompleteSnapshotError(
            N_("The snapshot {digest} is not complete, so nothing may be deleted by it."),
            next_step=N_("See its rejects with: steward export rejects. Mend the source and take a new snapshot."),
            digest=snapshot.digest[:12],
        )
    created = whole_second(now)
    wanted = None if only is None else set(only)
    held: list[Held] = []
    for conflict in standing.conflicts:
        if wanted is None or conflict.key in wanted:
            held.append(
                Held(conflict.key, "conflict", N_("Two reviewers decided differently; a named person must resolve it."))
            )
    decisions = {d.key: d for d in standing.destructive() if wanted is None or d.key in wanted}
    planner = Planner(
        decisions,
        states,
        protections,
        children,
        objects,
        rules,
        evidence or {},
        contested=frozenset(c.key for c in standing.conflicts),
        spoken=frozenset(k for k, d in standing.by_key.items() if d.action is not DecisionAction.NOT_DUPLICATE),
        singles=singles,
    )
    items = planner.plan()
    held += [Held(key, code, sentence) for key, code, sentence in planner.held]
    sizes = dict(sizes) if sizes is not None else {o.name: o.rows for o in snapshot.objects}
    held.sort(key=lambda h: (h.key, h.code))
    _check_limits(items, sizes, rules)
    if not items:
        raise UsageError(
            N_("Nothing is left to propose: {held} decided records are held back."),
            next_step=N_("See why with: steward propose --explain."),
            held=len(held),
        )
    least = rules.grace_sandbox if sandbox else _grace(items, rules)
    if grace is None:
        grace = least
    grace = max(grace, least)
    start = created + grace
    expiry = min(start + life, created + min(MAX_LIFE, rules.max_life))
    if expiry <= start:
        raise UsageError(N_("The grace period is as long as a manifest may live."))
    return Draft(
        items=tuple(items),
        held_back=tuple(held),
        snapshot=snapshot,
        rules=rules,
        proposer=proposer,
        manifest_id=manifest_id,
        created_at=created,
        not_before=start,
        expires_at=expiry,
        trust_version=trust_version,
        sizes=dict(sorted(sizes.items())),
        supersedes=supersedes,
    )


def _grace(items: Sequence[Item], rules: DraftRules) -> timedelta:
    if any(i.action in IRREVERSIBLE for i in items):
        return max(GRACE_HARD, rules.grace_hard)
    return max(GRACE_SOFT, rules.grace_soft)


def _check_limits(items: Sequence[Item], sizes: Mapping[str, int], rules: DraftRules) -> None:
    for name in ("max_records", "max_percent_of_object", "max_drift_percent", "max_error_percent"):
        if getattr(rules, name) is None:
            raise PolicyInvalidError(
                N_("The policy sets no limit for {what}, so nothing may be deleted."),
                next_step=N_("Set it under [limits]; zero means zero."),
                what=name,
            )
    assert rules.max_records is not None and rules.max_percent_of_object is not None
    if len(items) > rules.max_records:
        raise LimitExceededError(
            N_("{found} records would go; the limit is {limit}."),
            next_step=N_("Propose a part of them, or change the policy."),
            found=len(items),
            limit=rules.max_records,
        )
    for object, n in Counter(i.object for i in items).items():
        size, most = sizes.get(object, 0), rules.max_of_object.get(object)
        if most is not None and n > most:
            raise LimitExceededError(
                N_("{found} records of {object} would go; the limit is {limit}."),
                next_step=N_("Propose a part of them, or change the policy."),
                object=object,
                found=n,
                limit=most,
            )
        if n * 10_000 > size * rules.max_percent_of_object:
            raise LimitExceededError(
                N_("{found} of {size} records of {object} would go; the limit is {limit} %."),
                next_step=N_("Propose a part of them, or change the policy."),
                object=object,
                found=n,
                size=size,
                limit=rules.max_percent_of_object / 100,
            )


__all__ = [
    "Draft",
    "DraftRules",
    "Held",
    "ObjectRules",
    "RecordState",
    "draft",
    "new_manifest_id",
    "whole_second",
]
