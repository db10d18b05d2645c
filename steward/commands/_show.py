"""Showing a manifest from its verified bytes: what it does, its riskiest and some random items, who has signed and who must.

Nothing shown comes from anywhere but bytes that were just checked. Left to others: the verbs.
"""

from __future__ import annotations

import heapq
import os
import random
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from steward.errors import StewardError
from steward.manifest.format import IRREVERSIBLE, MANIFEST_TYPE, Item, ManifestPredicate
from steward.messages import N_, _
from steward.screen import Screen
from steward.signing import ExaminedManifest, TrustStore
from steward.signing.approvals import open_seats
from steward.signing.statements import parse_statement, signed_envelope

_RISK = {"hard_delete": 5, "anonymise": 4, "merge_into": 3, "deactivate_user": 2, "soft_delete": 1, "reassign": 0}
SHOWN = 20


def predicate_of(envelope: bytes) -> ManifestPredicate:
    """Return what an envelope's payload says, **not yet trusted**; for finding the context to check it in."""
    return parse_statement(signed_envelope(envelope, least=0)[0], MANIFEST_TYPE, ManifestPredicate)[0].predicate


def choose(items: Any, seed: int, shown: int = SHOWN) -> tuple[list[Item], list[Item]]:
    """Return the riskiest items and as many random ones, ``shown`` of each, in one pass.

    Risk orders by action, then by what hangs on the record, then by how weak the evidence is.
    """
    dice = random.Random(seed)  # noqa: S311  # a sample for people, not a secret
    sample: list[Item] = []
    worst: list[tuple[tuple[int, int, int, int], Item]] = []
    for at, item in enumerate(items):
        risk = (_RISK[item.action], sum(r.count for r in item.related), -item.score, -item.seq)
        if len(worst) < shown:
            heapq.heappush(worst, (risk, item))
        elif risk > worst[0][0]:
            heapq.heapreplace(worst, (risk, item))
        if len(sample) < shown:
            sample.append(item)
        elif (spot := dice.randrange(at + 1)) < shown:
            sample[spot] = item
    return [item for _risk, item in sorted(worst, key=lambda pair: pair[0], reverse=True)], sorted(sample, key=lambda i: i.seq)


def row(item: Item) -> tuple[object, ...]:
    """One item as cells."""
    hangs = ", ".join(f"{r.count} {r.object} → {r.rule}" for r in item.related)
    target = "" if item.target is None else f" → {item.target}"
    return (
        item.seq,
        str(item.key),
        item.action + target,
        f"{item.score / 10_000:.2f}",
        ", ".join(item.reasons[:3]),
        hangs or "–",
        item.reviewer,
    )


def missing_seats(manifest: ExaminedManifest, trust: TrustStore) -> dict[str, list[str]]:
    """Return the seats of each object that nobody has taken yet."""
    people = [p for p in manifest.signers if p.id != manifest.predicate.proposer.person]
    return {o: open_seats(seats, people, trust, manifest.predicate.tenant, o) for o, seats in manifest.needed.items()}


def value_at_stake(workspace: Path | None, manifest: ExaminedManifest) -> dict[str, Any] | None:
    """Return amounts and counts that hang on the records, from the workspace's snapshot of the same digest, where it is here."""
    if workspace is None or not (workspace / "snapshots.duckdb").exists():
        return None
    try:
        from steward.store import Workspace

        with Workspace.open(workspace, read_only=True) as store:
            snapshot = store.snapshot(manifest.predicate.snapshot.digest)
            keys = [i.key for i in manifest.items]
            amount, hanging = Decimal(0), 0
            for start in range(0, len(keys), 20_000):
                for impact in store.impact(snapshot, keys[start : start + 20_000]).values():
                    amount += impact.amount
                    hanging += impact.count
            return {"amount": str(amount), "hanging": hanging}
    except (StewardError, ImportError):
        return None


def show(
    screen: Screen,
    manifest: ExaminedManifest,
    trust: TrustStore,
    *,
    held: Sequence[tuple[str, str, str]],
    workspace: Path | None,
    shown: int = SHOWN,
) -> dict[str, Any]:
    """Render a manifest; return the same for machines."""
    said = manifest.predicate
    screen.heading(
        N_("Manifest {id} for {tenant} / {system} / {environment}"),
        id=manifest.id,
        tenant=said.tenant,
        system=said.system,
        environment=said.environment,
    )
    screen.say(
        N_("{records} records. Proposed by {person} on {day}; runs from {start} until {end}."),
        records=len(manifest),
        person=said.proposer.person,
        day=said.created_at.date(),
        start=said.not_before.isoformat(),
        end=said.expires_at.isoformat(),
    )
    screen.say(
        N_("Reviewed on snapshot {digest} of {taken}. Digest that is signed: {signed}"),
        digest=said.snapshot.digest[:16],
        taken=said.snapshot.taken_at.isoformat(),
        signed=manifest.digest,
    )
    rows = []
    for kind, n in said.counts.items():
        object, action = kind.split("/", 1)
        size = said.snapshot.objects.get(object, 0)
        rows.append(
            (
                object,
                action,
                n,
                f"{100 * n / size:.2f} %" if size else "–",
                _("for good") if action in IRREVERSIBLE else _("can be undone"),
            )
        )
    screen.table(N_("What it does"), (N_("object"), N_("action"), N_("records"), N_("of object"), N_("restore")), rows)
    stake = value_at_stake(workspace, manifest)
    if stake is not None:
        screen.say(N_("Value at stake: {amount} in {hanging} records that hang on these."), **stake)
    else:
        screen.say(N_("Value at stake is not known here: the snapshot is not in this workspace."))
    risky, sample = choose(manifest.items, int.from_bytes(os.urandom(8), "big"), shown)
    columns = (N_("seq"), N_("record"), N_("action"), N_("score"), N_("reasons"), N_("hangs on it"), N_("reviewer"))
    screen.table(N_("The riskiest"), columns, [row(i) for i in risky])
    if len(manifest) > shown:
        screen.table(N_("Some at random"), columns, [row(i) for i in sample])
    if said.held_back.records:
        screen.table(N_("Held back"), (N_("reason"), N_("records")), list(said.held_back.by_code.items()))
    missing = missing_seats(manifest, trust)
    screen.say(N_("Signed by: {people}."), people=", ".join(sorted(p.id for p in manifest.signers)) or _("nobody"))
    for object, seats in manifest.needed.items():
        lacking = missing[object]
        screen.say(
            N_("{object} needs {seats}; {state}."),
            object=object,
            seats=", ".join(seats),
            state=_("complete") if not lacking else _("missing: ") + ", ".join(lacking),
        )
    return {
        "manifest_id": manifest.id,
        "digest": manifest.digest,
        "records": len(manifest),
        "counts": said.counts,
        "held_back": said.held_back.by_code,
        "held_back_records": [{"object": o, "id": i, "code": c} for o, i, c in held[:1000]],
        "signed_by": sorted(p.id for p in manifest.signers),
        "needed": {o: list(s) for o, s in manifest.needed.items()},
        "missing": missing,
        "not_before": said.not_before.isoformat(),
        "expires_at": said.expires_at.isoformat(),
        "value_at_stake": stake,
        "riskiest": [{"seq": i.seq, "object": i.object, "id": i.id, "action": i.action} for i in risky],
    }
