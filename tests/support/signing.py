"""A small world to sign in: people with keys, a trust store, a policy, manifests at will. Everything real but the clock.

Keys are deterministic by name, so that a failing case can be made again by hand; they are never written to a file here.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from steward.manifest import BytesSource, Item, write_items
from steward.manifest.draft import new_manifest_id
from steward.manifest.format import (
    MANIFEST_TYPE,
    BackupRef,
    FieldChange,
    HeldBack,
    Limits,
    ManifestPredicate,
    PolicyRef,
    Proposer,
    SnapshotRef,
    Statement,
    Subject,
)
from steward.signing import (
    Environment,
    Executor,
    FileSigner,
    Grant,
    Person,
    PolicyInForce,
    Recipient,
    Revoked,
    Root,
    RootHolder,
    Trust,
    TrustStore,
    VerifyContext,
    draft_trust,
    load_trust,
    read_trust,
    seal,
    sign_trust,
    trusted_key,
)
from steward.signing.dsse import STATEMENT_PAYLOAD, pae

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
POLICY = hashlib.sha256(b"policy of the tests").hexdigest()
POLICIES = {POLICY: PolicyInForce(max_records=1_000_000, max_percent_of_object=10_000)}


def signer(name: str) -> FileSigner:
    """The key of that name, always the same."""
    return FileSigner(Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"key of {name}".encode()).digest()))


def key(name: str, start: datetime = NOW - timedelta(days=100), end: datetime = NOW + timedelta(days=300)) -> Any:
    """Entry of the key of that name."""
    return trusted_key(signer(name).public_key, from_=start, to=end)


def person(id: str, *roles: str, tenant: str = "*", object: str = "*", keys: Sequence[Any] | None = None) -> Person:
    """A person with roles everywhere and the key of the same name."""
    grants = tuple(Grant(role=r, tenant=tenant, object=object) for r in roles)
    return Person(id=id, roles=grants, keys=tuple(keys if keys is not None else [key(id)]))


def trust_document(**changes: Any) -> Trust:
    """Version 1: ada proposes, bob and cid are stewards, dan is privacy, eve owns, rex and ria hold the root."""
    document = Trust(
        version=1,
        issued=NOW - timedelta(days=30),
        expires=NOW + timedelta(days=200),
        previous=None,
        root=Root(
            threshold=2, holders=(RootHolder(person="ria", key=key("root ria")), RootHolder(person="rex", key=key("root rex")))
        ),
        people=(
            person("ada", "analyst", "steward"),
            person("bob", "steward"),
            person("cid", "steward"),
            person("dan", "privacy"),
            person("eve", "owner"),
            person("fay", "steward", object="deal"),
            person("gus", "auditor"),
            person("hal", "steward", tenant="other"),
        ),
        executors=(Executor(id="machine", tenant="acme", keys=(key("machine"),)),),
        recipients=(Recipient(id="ops", recipient="age1" + "q" * 58), Recipient(id="dpo", recipient="age1" + "p" * 58)),
        policies=(POLICY,),
        environments=(Environment(name="production", sandbox=False), Environment(name="training", sandbox=True)),
        revoked=Revoked(keys=(), manifests=()),
        minimum_tool="0.1",
    )
    return msgspec.structs.replace(document, **changes)


def sealed_trust(document: Trust, signers: Sequence[str] = ("root ria", "root rex")) -> bytes:
    """The envelope of a version, signed by the named keys."""
    raw = draft_trust(document)
    for name in signers:
        raw = sign_trust(raw, signer(name))
    return raw


def trust(document: Trust | None = None, now: datetime = NOW) -> TrustStore:
    """A checked store of one version."""
    raw = sealed_trust(document or trust_document())
    return load_trust([raw], pin=read_trust(raw)[1], now=now)


def item(seq: int, **changes: Any) -> Item:
    """A plain soft delete."""
    made = Item(
        seq=seq,
        object="contact",
        id=f"4150868000{seq:010d}",
        action="soft_delete",
        target=None,
        version="7",
        preimage=hashlib.sha256(b"record %d" % seq).hexdigest(),
        survivor=None,
        choices={},
        related=(),
        reasons=("stale.no_activity",),
        score=9_312,
        evidence=hashlib.sha256(b"evidence %d" % seq).hexdigest(),
        decision=f"d-{seq}",
        reviewer="bob",
    )
    return msgspec.structs.replace(made, **changes)


def context(**changes: Any) -> VerifyContext:
    """What the executor of acme's production knows."""
    known: dict[str, Any] = {
        "tenant": "acme",
        "system": "sql",
        "environment": "production",
        "now": NOW,
        "policies": POLICIES,
        "tool_version": "0.1.0",
    }
    return VerifyContext(**{**known, **changes})


@dataclass
class Made:
    """A manifest as bytes, and what it was made of."""

    predicate: ManifestPredicate
    payload: bytes
    items: bytes
    envelope: bytes = b""
    source: BytesSource = field(init=False)

    def __post_init__(self) -> None:
        self.source = BytesSource(self.items)

    def signed(self, *names: str) -> bytes:
        """The envelope signed by the keys of these names."""
        message = pae(STATEMENT_PAYLOAD, self.payload)
        self.envelope = seal(self.payload, STATEMENT_PAYLOAD, [(signer(n).keyid, signer(n).sign(message)) for n in names])
        return self.envelope


def predicate_of(items: Sequence[Item], info: Any, counts: dict[str, int], nonce: int = 1, **changes: Any) -> ManifestPredicate:
    """A predicate that fits the items, two days old and in force."""
    made = ManifestPredicate(
        manifest_id=new_manifest_id(nonce.to_bytes(16, "big")),
        system="sql",
        tenant="acme",
        environment="production",
        snapshot=SnapshotRef(
            digest="5" * 64,
            taken_at=NOW - timedelta(days=10),
            connector_version="sql/1",
            objects=dict.fromkeys(sorted({i.object for i in items}), 100_000),
        ),
        policy=PolicyRef(digest=POLICY, version="1"),
        trust_version=1,
        created_at=NOW - timedelta(days=8),
        not_before=NOW - timedelta(hours=1),
        expires_at=NOW + timedelta(days=6),
        proposer=Proposer(person="ada", tool="steward 0.1.0", notebook_digest=None),
        counts=counts,
        items=info,
        anonymise={
            o: (FieldChange(field="email", method="null"), FieldChange(field="name", method="token"))
            for o in sorted({i.object for i in items if i.action == "anonymise"})
        },
        held_back=HeldBack(records=0, sha256=hashlib.sha256(b"").hexdigest(), by_code={}),
        limits=Limits(
            max_records=1_000_000,
            max_percent_of_object=10_000,
            max_drift_percent=500,
            max_error_percent=200,
            canary=20,
            rate_per_minute=600,
            window="any",
        ),
        backup=BackupRef(recipients=("ops", "dpo"), retain_days=90),
        supersedes=None,
    )
    return msgspec.structs.replace(made, **changes)


def manifest(
    items: Sequence[Item] | int = 5,
    *,
    chunk_records: int = 10_000,
    nonce: int = 1,
    edit: Callable[[ManifestPredicate], ManifestPredicate] | None = None,
    subject: Sequence[Subject] | None = None,
    **changes: Any,
) -> Made:
    """A manifest over these items (or so many plain ones), with predicate fields replaced at will; not signed."""
    things = [item(n) for n in range(items)] if isinstance(items, int) else list(items)
    out: list[bytes] = []
    summary = write_items(things, out.append, chunk_records=chunk_records)
    predicate = msgspec.structs.replace(predicate_of(things, summary.info, summary.counts, nonce), **changes)
    if edit is not None:
        predicate = edit(predicate)
    about = tuple(subject) if subject is not None else (Subject(name="items.ndjson", digest={"sha256": summary.sha256}),)
    payload = msgspec.json.Encoder(order="deterministic").encode(
        Statement(subject=about, predicate_type=MANIFEST_TYPE, predicate=predicate)
    )
    return Made(predicate, payload, b"".join(out))


def ssh_wire(name: str) -> str:
    """The public key of that name in SSH wire form, base 64."""
    raw = signer(name).public_key.raw
    return base64.b64encode(b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20" + raw).decode()
