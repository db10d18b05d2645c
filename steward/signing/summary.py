"""What a person is shown before signing, computed from bytes that were just checked; a terminal and a page show the same.

:func:`summarise` takes an :class:`~steward.signing.verify.ExaminedManifest` and returns a :class:`Summary`: what happens to
how many records of each object, the riskiest and some random items, who has signed and who must, how it differs from the
last manifest and from the executor's plan. :meth:`Summary.facts` is the same for machines.

How it is called, by ``steward inspect``, ``steward sign`` and the sign page alike (they open files through
``steward.approval``, which returns the summary and later signs exactly the bytes that it was made of)::

    approval = Approval.open(folder, trust=store, policies=policies, now=now, workspace=workspace)
    approval.summary.lines, .riskiest, .sample, .signed_by, .missing, .since_last, .plan, .stake
    approval.sign(signer, typed="1,234", now=now)      # refuses unless the number is the number of records

Strings are as they stand in the manifest: whoever renders them escapes them. Left to others: files (``steward.approval``),
rendering (``steward.commands._show``, the sign page).
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec

from steward.errors import MalformedManifestError, StewardError, TrustError
from steward.manifest.chunks import ItemSource, check_items, parse_chunk, walk_chunks
from steward.manifest.codec import check_text, texts
from steward.manifest.format import IRREVERSIBLE, MANIFEST_TYPE, PLAN_TYPE, Item, ManifestPredicate
from steward.messages import N_
from steward.signing.approvals import open_seats
from steward.signing.statements import check_signatures, parse_statement, signed_envelope, verify_statement
from steward.signing.trust import TrustStore
from steward.signing.verify import ExaminedManifest

RISK = {"hard_delete": 5, "anonymise": 4, "merge_into": 3, "deactivate_user": 2, "soft_delete": 1, "reassign": 0}
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One object and action: how many, and how much of the object that is.

    Attributes
    ----------
    size : int
        Live records of the object in the snapshot; 0 where it is not known.
    reversible : bool
        False for what a restore cannot bring back in the CRM by itself.
    """

    object: str
    action: str
    records: int
    size: int
    reversible: bool

    @property
    def share(self) -> float | None:
        """Percent of the object, or None where its size is not known."""
        return 100 * self.records / self.size if self.size else None


@dataclass(frozen=True, slots=True)
class Stake:
    """What hangs on the records, from the snapshot of the same digest: sum of amounts, and number of records."""

    amount: str
    hanging: int


@dataclass(frozen=True, slots=True)
class PastManifest:
    """An earlier manifest, for comparing. Its items are those of its own statement; it grants nothing.

    Attributes
    ----------
    signed_by : tuple of str or None
        Who had signed it; None where its signatures cannot be checked with today's trust store.
    """

    predicate: ManifestPredicate
    source: ItemSource
    signed_by: tuple[str, ...] | None

    @property
    def items(self) -> Iterator[Item]:
        """Its items, each chunk hashed anew."""
        for raw in walk_chunks(self.source, self.predicate.items):
            yield from parse_chunk(raw)


@dataclass(frozen=True, slots=True)
class Difference:
    """A manifest beside the last one for the same tenant, system and environment.

    Attributes
    ----------
    kinds : dict
        ``object/action`` → (records then, records now).
    new, gone, changed, same : int
        Records only in this one, only in the last, in both with another action or target, in both alike.
    new_items : tuple of Item
    gone_items : tuple of (str, str, str)
        Object, id, action; a sample.
    """

    manifest_id: str
    created_at: datetime
    signed_by: tuple[str, ...] | None
    kinds: dict[str, tuple[int, int]]
    new: int
    gone: int
    changed: int
    same: int
    new_items: tuple[Item, ...]
    gone_items: tuple[tuple[str, str, str], ...]

    def facts(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "manifest_id": self.manifest_id,
            "created_at": self.created_at.isoformat(),
            "signed_by": None if self.signed_by is None else list(self.signed_by),
            "kinds": {k: list(v) for k, v in self.kinds.items()},
            "new": self.new,
            "gone": self.gone,
            "changed": self.changed,
            "same": self.same,
            "new_items": [_item_facts(i) for i in self.new_items],
            "gone_items": [{"object": o, "id": i, "action": a} for o, i, a in self.gone_items],
        }


class SeenPlan(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What of an executor's plan is shown. Members that a newer executor adds are passed over: nothing is decided by it."""

    manifest_id: str
    statement: str
    at: datetime
    executor: str
    records: int
    verdicts: dict[str, int]
    related: dict[str, int] = {}
    requests: int = 0
    credits: int = 0
    seconds: int = 0


@dataclass(frozen=True, slots=True)
class PlanDifference:
    """What the executor found when it read the records: how many would be applied, and why the others would not.

    Attributes
    ----------
    applies : int
    stays : dict of str to int
        State (``drift``, ``missing``, ``blocked``, ``vetoed`` …) → records that would not be touched.
    related : dict of str to int
        ``object.field/rule`` → records that hang on them.
    requests, credits, seconds : int
        What it would cost: calls to the CRM, its credits, time; 0 where the executor does not say.
    """

    at: datetime
    executor: str
    records: int
    applies: int
    stays: dict[str, int]
    related: dict[str, int]
    requests: int = 0
    credits: int = 0
    seconds: int = 0

    def facts(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "at": self.at.isoformat(),
            "executor": self.executor,
            "records": self.records,
            "applies": self.applies,
            "stays": self.stays,
            "related": self.related,
            "requests": self.requests,
            "credits": self.credits,
            "seconds": self.seconds,
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything a person is shown before signing. See the module for how it is called."""

    manifest_id: str
    digest: str
    tenant: str
    system: str
    environment: str
    proposer: str
    created_at: datetime
    not_before: datetime
    expires_at: datetime
    snapshot: str
    snapshot_taken: datetime
    records: int
    counts: dict[str, int]
    lines: tuple[Line, ...]
    held_back: dict[str, int]
    held_records: tuple[tuple[str, str, str], ...]
    riskiest: tuple[Item, ...]
    sample: tuple[Item, ...]
    signed_by: tuple[str, ...]
    needed: dict[str, tuple[str, ...]]
    missing: dict[str, list[str]]
    stake: Stake | None
    since_last: Difference | None
    plan: PlanDifference | None
    side_effects: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """True where nobody has to sign any more."""
        return not any(self.missing.values())

    def facts(self) -> dict[str, Any]:
        """Return it for machines; at most 1,000 of the records that were held back."""
        return {
            "manifest_id": self.manifest_id,
            "digest": self.digest,
            "records": self.records,
            "counts": self.counts,
            "held_back": self.held_back,
            "held_back_records": [{"object": o, "id": i, "code": c} for o, i, c in self.held_records[:1000]],
            "signed_by": list(self.signed_by),
            "needed": {o: list(s) for o, s in self.needed.items()},
            "missing": self.missing,
            "not_before": self.not_before.isoformat(),
            "expires_at": self.expires_at.isoformat(),
            "side_effects": list(self.side_effects),
            "value_at_stake": None if self.stake is None else {"amount": self.stake.amount, "hanging": self.stake.hanging},
            "riskiest": [_item_facts(i) for i in self.riskiest],
            "since_last": None if self.since_last is None else self.since_last.facts(),
            "plan": None if self.plan is None else self.plan.facts(),
        }


def _item_facts(item: Item) -> dict[str, Any]:
    return {"seq": item.seq, "object": item.object, "id": item.id, "action": item.action}


def choose(items: Iterable[Item], seed: int, shown: int = SHOWN) -> tuple[list[Item], list[Item]]:
    """Return the riskiest items and as many random ones, ``shown`` of each, in one pass.

    Risk orders by action, then by what hangs on the record, then by how weak the evidence is.
    """
    dice = random.Random(seed)  # noqa: S311  # a sample for people, not a secret
    sample: list[Item] = []
    worst: list[tuple[tuple[int, int, int, int], Item]] = []
    for at, item in enumerate(items):
        risk = (RISK[item.action], sum(r.count for r in item.related), -item.score, -item.seq)
        if len(worst) < shown:
            heapq.heappush(worst, (risk, item))
        elif risk > worst[0][0]:
            heapq.heapreplace(worst, (risk, item))
        if len(sample) < shown:
            sample.append(item)
        elif (spot := dice.randrange(at + 1)) < shown:
            sample[spot] = item
    return [item for _risk, item in sorted(worst, key=lambda pair: pair[0], reverse=True)], sorted(sample, key=lambda i: i.seq)


def missing_seats(manifest: ExaminedManifest, trust: TrustStore) -> dict[str, list[str]]:
    """Return the seats of each object that nobody has taken yet; the proposer's signature takes none."""
    people = [p for p in manifest.signers if p.id != manifest.predicate.proposer.person]
    return {o: open_seats(seats, people, trust, manifest.predicate.tenant, o) for o, seats in manifest.needed.items()}


def read_past(envelope: bytes, source: ItemSource, trust: TrustStore) -> PastManifest:
    """Open an earlier manifest for comparing: its items must be those its statement names.

    Its time is over and keys may have run out, so it is not examined as one that shall run.

    Raises
    ------
    ManifestError, TrustError
    """
    payload, signatures = signed_envelope(envelope, least=0)
    statement, _digest = parse_statement(payload, MANIFEST_TYPE, ManifestPredicate)
    said = statement.predicate
    check_items(source, said.items, statement.subject[0].digest["sha256"])
    signed_by: tuple[str, ...] | None
    try:
        people = check_signatures(payload, signatures, trust, said.created_at)
        signed_by = tuple(sorted(p.id for p, _key in people if p.id != said.proposer.person))
    except TrustError:
        signed_by = None
    return PastManifest(said, source, signed_by)


def compare(now: ExaminedManifest, last: PastManifest, *, shown: int = SHOWN) -> Difference | None:
    """Compare record by record; None where the last one's items have changed since they were read.

    Memory is some 100 bytes per record of the last manifest.

    Raises
    ------
    ManifestError
        The items of ``now`` were changed since it was examined.
    """
    kinds = sorted(set(last.predicate.counts) | set(now.predicate.counts))
    # A 64-bit hash stands for a record: should two ever meet, a number shown is off by one and nothing is decided by it.
    try:
        before = {hash((i.object, i.id)): hash((i.action, i.target)) for i in last.items}
    except StewardError:
        return None
    tally: Counter[str] = Counter()
    fresh: list[tuple[tuple[int, int], Item]] = []
    for item in now.items:
        found = before.pop(hash((item.object, item.id)), None)
        if found is None:
            tally["new"] += 1
            risk = (RISK[item.action], -item.seq)
            if len(fresh) < shown:
                heapq.heappush(fresh, (risk, item))
            elif risk > fresh[0][0]:
                heapq.heapreplace(fresh, (risk, item))
        else:
            tally["same" if found == hash((item.action, item.target)) else "changed"] += 1
    gone: list[tuple[str, str, str]] = []
    if before:
        left = ((i.object, i.id, i.action) for i in last.items if hash((i.object, i.id)) in before)
        try:
            gone = list(islice(left, shown))
        except StewardError:
            return None
    return Difference(
        manifest_id=last.predicate.manifest_id,
        created_at=last.predicate.created_at,
        signed_by=last.signed_by,
        kinds={k: (last.predicate.counts.get(k, 0), now.predicate.counts.get(k, 0)) for k in kinds},
        new=tally["new"],
        gone=len(before),
        changed=tally["changed"],
        same=tally["same"],
        new_items=tuple(i for _risk, i in sorted(fresh, key=lambda pair: pair[0], reverse=True)),
        gone_items=tuple(gone),
    )


def read_plan(envelope: bytes, manifest: ExaminedManifest, trust: TrustStore, now: datetime) -> PlanDifference:
    """Open the plan that an executor of the tenant has signed for exactly this manifest.

    Raises
    ------
    TrustError
        Not signed by an executor of the tenant, or for another manifest.
    MalformedManifestError
    """
    found = verify_statement(
        envelope,
        trust=trust,
        now=now,
        predicate_type=PLAN_TYPE,
        predicate=msgspec.Raw,
        by="executors",
        tenant=manifest.predicate.tenant,
    )
    try:
        plan = msgspec.json.decode(found.predicate, type=SeenPlan)
    except (msgspec.MsgspecError, ValueError):
        raise MalformedManifestError(N_("The executor's plan cannot be read.")) from None
    for text in texts(plan):
        check_text(text, what="plan")
    subjects = {s.digest["sha256"] for s in found.subject}
    if manifest.digest not in subjects or plan.statement != manifest.digest or plan.manifest_id != manifest.id:
        raise TrustError(
            N_("The plan beside the manifest is for another one."), next_step=N_("Have it made with: steward-executor plan.")
        )
    stays: Counter[str] = Counter()
    for verdict, n in plan.verdicts.items():
        if n and verdict.split("/", 1)[0] != "apply":
            stays[verdict] += n
    return PlanDifference(
        at=plan.at,
        executor=plan.executor,
        records=plan.records,
        applies=sum(n for v, n in plan.verdicts.items() if v.split("/", 1)[0] == "apply"),
        stays=dict(sorted(stays.items())),
        related=dict(sorted(plan.related.items())),
        requests=plan.requests,
        credits=plan.credits,
        seconds=plan.seconds,
    )


def summarise(
    manifest: ExaminedManifest,
    trust: TrustStore,
    *,
    seed: int,
    held: Iterable[tuple[str, str, str]] = (),
    stake: Callable[[ExaminedManifest], Stake | None] | None = None,
    last: PastManifest | None = None,
    plan: PlanDifference | None = None,
    shown: int = SHOWN,
) -> Summary:
    """Summarise a manifest that was just checked.

    Parameters
    ----------
    seed : int
        Of the random sample; take it from the operating system, so that nobody who drafts can tell which items are shown.
    held : iterable of (str, str, str)
        Object, id and code of what was held back, from the list whose digest is signed.
    stake : callable, optional
        Returns what hangs on the records, where the snapshot is at hand.
    last : PastManifest, optional
        From :func:`read_past`.
    plan : PlanDifference, optional
        From :func:`read_plan`.
    shown : int
        So many of the riskiest items, and as many at random.

    Raises
    ------
    ManifestError
        The item file was changed since it was checked.
    """
    said = manifest.predicate
    riskiest, sample = choose(manifest.items, seed, shown)
    lines = []
    for kind, n in said.counts.items():
        object, action = kind.split("/", 1)
        lines.append(Line(object, action, n, said.snapshot.objects.get(object, 0), action not in IRREVERSIBLE))
    return Summary(
        manifest_id=manifest.id,
        digest=manifest.digest,
        tenant=said.tenant,
        system=said.system,
        environment=said.environment,
        proposer=said.proposer.person,
        created_at=said.created_at,
        not_before=said.not_before,
        expires_at=said.expires_at,
        snapshot=said.snapshot.digest,
        snapshot_taken=said.snapshot.taken_at,
        records=len(manifest),
        counts=said.counts,
        lines=tuple(lines),
        held_back=said.held_back.by_code,
        held_records=tuple(held),
        riskiest=tuple(riskiest),
        sample=tuple(sample) if len(manifest) > shown else (),
        signed_by=tuple(sorted(p.id for p in manifest.signers)),
        needed=manifest.needed,
        missing=missing_seats(manifest, trust),
        side_effects=said.side_effects,
        stake=None if stake is None else stake(manifest),
        since_last=None if last is None else compare(manifest, last, shown=shown),
        plan=plan,
    )
