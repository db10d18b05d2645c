"""The trust store: who may do what, with which keys, until when; after the shape of TUF's root.

Each version is an envelope of its own. Version N+1 holds only if it names the digest of N, is exactly N+1, and is signed
by the threshold of root holders of N **and** of N+1, counted as distinct people with distinct key material. The first
version is pinned by its digest, which travels another way than the file. Whoever keeps a store also keeps the highest
version seen, and refuses an older one.

Left to others: the files (``steward.manifest_files``), the commands (``steward.commands.trust``), the decision about a
manifest (``verify``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from steward.errors import ExpiredError, MalformedManifestError, ThresholdNotMetError, TrustError, UntrustedKeyError
from steward.manifest.codec import decode, encode
from steward.manifest.format import Doc, Hex, ManifestId, Name, Positive, Time
from steward.messages import N_
from steward.signing.dsse import TRUST_PAYLOAD, Signer, add_signature, pae, read_envelope, seal, unbase64
from steward.signing.keys import PublicKey

MAX_TRUST = 512_000
MAX_ROTATIONS = 256
MAX_LIFE = timedelta(days=366)

Role = Literal["analyst", "steward", "privacy", "owner", "executor", "auditor"]
ROLES: tuple[Role, ...] = ("analyst", "steward", "privacy", "owner", "executor", "auditor")


class TrustedKey(Doc, frozen=True):
    """A public key and the time it counts."""

    keyid: Hex
    scheme: Annotated[str, Meta(max_length=40)]
    public: Annotated[str, Meta(min_length=1, max_length=1000)]
    from_: Time = msgspec.field(name="from")
    to: Time

    @property
    def key(self) -> PublicKey:
        """The public key itself."""
        return PublicKey(self.scheme, self.public)

    def valid_at(self, moment: datetime) -> bool:
        """True from ``from`` on and before ``to``."""
        return self.from_ <= moment < self.to


class Grant(Doc, frozen=True):
    """A role, for one tenant or ``*``, for one object or ``*``."""

    role: Role
    tenant: Name
    object: Annotated[str, Meta(pattern=r"^(\*|[a-z][a-z0-9_]{0,62})\Z", max_length=63)]

    def covers(self, role: str, tenant: str, object: str) -> bool:
        """True where this grant gives ``role`` for ``object`` of ``tenant``; ``*`` asked for needs ``*`` granted."""
        return self.role == role and self.tenant in ("*", tenant) and self.object in ("*", object)


class Person(Doc, frozen=True):
    """Someone, with roles and keys. ``executor`` is a role of machines and stands under ``executors``."""

    id: Name
    roles: tuple[Grant, ...]
    keys: tuple[TrustedKey, ...]


class Executor(Doc, frozen=True):
    """A machine that applies manifests, with the keys its receipts are signed by. Never an approver."""

    id: Name
    tenant: Name
    keys: tuple[TrustedKey, ...]


class RootHolder(Doc, frozen=True):
    """A person who may change this store, with the key for it."""

    person: Name
    key: TrustedKey


class Root(Doc, frozen=True):
    """How many of whom must sign the next version."""

    threshold: Annotated[int, Meta(ge=2, le=8)]
    holders: Annotated[tuple[RootHolder, ...], Meta(min_length=2, max_length=8)]


class Recipient(Doc, frozen=True):
    """Someone who can open backups: an age or SSH public key."""

    id: Name
    recipient: Annotated[str, Meta(min_length=10, max_length=1000)]


class Environment(Doc, frozen=True):
    """An environment by name. Only a ``sandbox`` may do without grace."""

    name: Name
    sandbox: bool


class Revoked(Doc, frozen=True):
    """What no longer counts: key ids, manifest ids."""

    keys: tuple[Hex, ...]
    manifests: tuple[ManifestId, ...]


class Trust(Doc, frozen=True):
    """One version of the store."""

    version: Positive
    issued: Time
    expires: Time
    previous: Hex | None
    root: Root
    people: tuple[Person, ...]
    executors: tuple[Executor, ...]
    recipients: tuple[Recipient, ...]
    policies: tuple[Hex, ...]
    environments: tuple[Environment, ...]
    revoked: Revoked
    minimum_tool: Annotated[str, Meta(pattern=r"^[0-9]{1,6}(\.[0-9]{1,6}){0,3}\Z")]


_DECODER = msgspec.json.Decoder(Trust)
_TOKEN = object()


class TrustStore:
    """A version of the store that was checked back to its pin. Only :func:`load_trust` makes one.

    Attributes
    ----------
    document : Trust
    digest : str
        Of the payload's bytes; what ``previous`` of the next version must be.
    """

    __slots__ = ("_executors", "_people", "digest", "document")

    def __init__(self, document: Trust, digest: str, *, token: object = None) -> None:
        if token is not _TOKEN:
            raise TypeError("a TrustStore is made by load_trust alone")
        self.document = document
        self.digest = digest
        revoked = set(document.revoked.keys)
        self._people = {k.keyid: (p, k) for p in document.people for k in p.keys if k.keyid not in revoked}
        self._executors = {k.keyid: (e, k) for e in document.executors for k in e.keys if k.keyid not in revoked}

    @property
    def version(self) -> int:
        """Version number."""
        return self.document.version

    def person(self, id: str) -> Person | None:
        """Return a person by id."""
        return next((p for p in self.document.people if p.id == id), None)

    def person_of(self, keyid: str, moment: datetime) -> tuple[Person, TrustedKey]:
        """Return who a signing key belongs to.

        Raises
        ------
        UntrustedKeyError
            Unknown, revoked, or out of its time.
        """
        found = self._people.get(keyid)
        if found is None or not found[1].valid_at(moment):
            raise _untrusted(keyid)
        return found

    def executor_of(self, keyid: str, moment: datetime) -> tuple[Executor, TrustedKey]:
        """Return the executor a key belongs to; refuses like :meth:`person_of`."""
        found = self._executors.get(keyid)
        if found is None or not found[1].valid_at(moment):
            raise _untrusted(keyid)
        return found

    def has_role(self, person: Person, role: str, tenant: str, objects: Iterable[str]) -> bool:
        """True where the person has the role for every one of ``objects``."""
        return all(any(g.covers(role, tenant, o) for g in person.roles) for o in objects)

    def is_sandbox(self, environment: str) -> bool:
        """True where the store names the environment as a sandbox; an unknown one is none."""
        return any(e.name == environment and e.sandbox for e in self.document.environments)

    def knows_environment(self, environment: str) -> bool:
        """True where the store names the environment."""
        return any(e.name == environment for e in self.document.environments)

    def recipients(self) -> dict[str, str]:
        """Backup recipients: id → public key."""
        return {r.id: r.recipient for r in self.document.recipients}


def _untrusted(keyid: str) -> UntrustedKeyError:
    return UntrustedKeyError(
        N_("The key {keyid} is unknown, revoked or out of its time."),
        next_step=N_("See who may sign with: steward trust show."),
        keyid=keyid[:16],
    )


def trusted_key(key: PublicKey, *, from_: datetime, to: datetime) -> TrustedKey:
    """Return the entry of a key for the store."""
    return TrustedKey(keyid=key.keyid, scheme=key.scheme, public=key.public, from_=from_, to=to)


def payload_digest(payload: bytes) -> str:
    """Return the digest that pins a version."""
    return hashlib.sha256(payload).hexdigest()


def draft_trust(document: Trust) -> bytes:
    """Return the unsigned envelope of a version after checking that it does not contradict itself."""
    payload = encode(document)
    check_document(_parse(payload))
    return seal(payload, TRUST_PAYLOAD)


def sign_trust(envelope: bytes, signer: Signer) -> bytes:
    """Return the envelope with one more signature, of a root holder of this version or of the one before."""
    return add_signature(envelope, TRUST_PAYLOAD, signer)


def read_trust(envelope: bytes) -> tuple[Trust, str]:
    """Return document and digest of an envelope **without trusting it**: for drafts and for showing."""
    payload = read_envelope(envelope, TRUST_PAYLOAD).body
    document = _parse(payload)
    check_document(document)
    return document, payload_digest(payload)


def _parse(payload: bytes) -> Trust:
    return decode(payload, _DECODER, limit=MAX_TRUST, what="trust store")


def load_trust(envelopes: Sequence[bytes], *, pin: str, now: datetime, at_least: int = 0) -> TrustStore:
    """Check a chain of versions and return the last.

    Parameters
    ----------
    envelopes : sequence of bytes
        The pinned version and all later ones, in order.
    pin : str
        Hexadecimal digest of the first one's payload; got by another way than the files.
    now : datetime
        Aware. Only the last version must not be expired.
    at_least : int
        Highest version ever seen here; an older store is a rollback.

    Raises
    ------
    TrustError, ExpiredError, MalformedManifestError
    """
    if not envelopes or len(envelopes) > MAX_ROTATIONS:
        raise TrustError(
            N_("The trust store has {count} versions; from 1 to {limit} are read."), count=len(envelopes), limit=MAX_ROTATIONS
        )
    current: Trust | None = None
    digest = ""
    for raw in envelopes:
        envelope = read_envelope(raw, TRUST_PAYLOAD)
        payload = envelope.body
        document = _parse(payload)
        check_document(document)
        found = payload_digest(payload)
        signatures = [(s.keyid, unbase64(s.sig)) for s in envelope.signatures]
        message = pae(TRUST_PAYLOAD, payload)
        if current is None:
            if found != pin:
                raise TrustError(
                    N_("The trust store is not the pinned one."),
                    next_step=N_("Compare the digest with the one you were given another way: {pin}."),
                    pin=pin,
                )
            known = {h.key.keyid: h.key for h in document.root.holders}
        else:
            if document.version != current.version + 1:
                raise TrustError(
                    N_("Trust version {found} follows {before}; exactly one more is allowed."),
                    found=document.version,
                    before=current.version,
                )
            if document.previous != digest:
                raise TrustError(
                    N_("Trust version {found} does not follow the one before it: its digest differs."), found=document.version
                )
            if document.issued < current.issued:
                raise TrustError(N_("Trust version {found} is older than the one before it."), found=document.version)
            known = {h.key.keyid: h.key for d in (current, document) for h in d.root.holders}
        valid = _check_all(signatures, known, message)
        for part in (document,) if current is None else (current, document):
            _check_root(part, valid, revoked=set(document.revoked.keys), issued=document.issued)
        current, digest = document, found
    assert current is not None
    if current.version < at_least:
        raise TrustError(
            N_("The trust store is at version {found}, and version {seen} has been seen here."),
            next_step=N_("An old copy was put back; get the newest."),
            found=current.version,
            seen=at_least,
        )
    if not current.issued <= now < current.expires:
        raise ExpiredError(
            N_("The trust store of {issued} is valid until {expires}, not now."),
            next_step=N_("Issue the next version with: steward trust rotate."),
            issued=current.issued.isoformat(),
            expires=current.expires.isoformat(),
        )
    return TrustStore(current, digest, token=_TOKEN)


def _check_all(signatures: Sequence[tuple[str, bytes]], known: dict[str, TrustedKey], message: bytes) -> set[str]:
    """Check every signature; a stranger's or a broken one refuses the whole."""
    for keyid, raw in signatures:
        if keyid not in known:
            raise _untrusted(keyid)
        known[keyid].key.verify(raw, message)
    return {keyid for keyid, _ in signatures}


def _check_root(document: Trust, valid: set[str], *, revoked: set[str], issued: datetime) -> None:
    people = {
        h.person: h.key.key.material
        for h in document.root.holders
        if h.key.keyid in valid and h.key.keyid not in revoked and h.key.valid_at(issued)
    }
    found = min(len(people), len(set(people.values())))
    if found < document.root.threshold:
        raise ThresholdNotMetError(
            N_("{found} of {needed} root holders of trust version {version} have signed."),
            next_step=N_("Have more of them run: steward trust sign."),
            found=found,
            needed=document.root.threshold,
            version=document.version,
        )


def check_document(document: Trust) -> None:
    """Raise where a version contradicts itself or could be turned against its readers."""

    refuse = MalformedManifestError
    if (document.version == 1) != (document.previous is None):
        raise refuse(N_("The first trust version names no previous one, and every other does."))
    if not timedelta(0) < document.expires - document.issued <= MAX_LIFE:
        raise refuse(N_("A trust version is valid for a year at most."))
    if len({h.person for h in document.root.holders}) != len(document.root.holders):
        raise refuse(N_("A root holder stands twice; one person has one say."))
    if len(document.root.holders) < document.root.threshold:
        raise refuse(N_("The trust store asks for more root holders than it has."))
    ids = [p.id for p in document.people] + [e.id for e in document.executors]
    if len(set(ids)) != len(ids):
        raise refuse(N_("A person or executor stands twice in the trust store."))
    for person in document.people:
        if any(g.role == "executor" for g in person.roles):
            raise refuse(N_("{person} has the role executor, which machines have alone."), person=person.id)
    owner_of: dict[str, str] = {}
    for who, entry in _all_keys(document):
        entry.key.check()
        if entry.keyid != entry.key.keyid or not entry.from_ < entry.to:
            raise refuse(N_("A key of {person} has a wrong id or no time in which it counts."), person=who)
        material = entry.key.material
        if owner_of.setdefault(material, who) != who:
            raise UntrustedKeyError(
                N_("One key stands under two names: {first} and {second}."), first=owner_of[material], second=who
            )
    for keys in [p.keys for p in document.people] + [e.keys for e in document.executors]:
        materials = [k.key.material for k in keys]
        if len(set(materials)) != len(materials):
            raise UntrustedKeyError(N_("One key stands under two key ids."))
    names = [r.id for r in document.recipients]
    if len(set(names)) != len(names) or len({r.recipient for r in document.recipients}) != len(names):
        raise refuse(N_("A backup recipient stands twice in the trust store."))
    for words in (
        document.policies,
        document.revoked.keys,
        document.revoked.manifests,
        [e.name for e in document.environments],
    ):
        if len(set(words)) != len(words):
            raise refuse(N_("The trust store lists something twice."))


def _all_keys(document: Trust) -> Iterator[tuple[str, TrustedKey]]:
    for holder in document.root.holders:
        yield holder.person, holder.key
    for person in document.people:
        for key in person.keys:
            yield person.id, key
    for executor in document.executors:
        for key in executor.keys:
            yield f"executor:{executor.id}", key
