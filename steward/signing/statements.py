"""Signed statements of any kind: receipts, plans, checkpoints, restore manifests and vetoes go through here.

:func:`sign_statement` makes an envelope, :func:`verify_statement` opens one for those who may sign it. A deletion
manifest has a verifier of its own (``verify``), which uses the same parts.

Left to others: what a predicate means.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Generic, Literal, TypeVar, cast

import msgspec

from steward.errors import ThresholdNotMetError, UntrustedKeyError, WrongPayloadTypeError
from steward.manifest.codec import decode, encode
from steward.manifest.format import MAX_STATEMENT, STATEMENT_TYPE, VETO_TYPE, Statement, Subject, VetoPredicate
from steward.messages import N_
from steward.signing.dsse import STATEMENT_PAYLOAD, Signer, add_signature, pae, read_envelope, seal, unbase64
from steward.signing.trust import Person, Role, TrustedKey, TrustStore

P = TypeVar("P")

VETO_ROLES: tuple[Role, ...] = ("steward", "privacy", "owner")


@dataclass(frozen=True, slots=True)
class VerifiedStatement(Generic[P]):
    """A statement that people or executors of the trust store have signed.

    Attributes
    ----------
    predicate : P
    subject : tuple of Subject
    digest : str
        sha256 of the statement's bytes.
    signers : tuple of str
        Ids of people or executors, sorted, each once.
    """

    predicate: P
    subject: tuple[Subject, ...]
    digest: str
    signers: tuple[str, ...]


@lru_cache(maxsize=32)
def _decoder(predicate: Hashable) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(Statement[predicate])  # type: ignore[valid-type]  # the type is an argument


def statement_bytes(subject: Sequence[Subject], predicate_type: str, predicate: object) -> bytes:
    """Return the bytes of a statement."""
    return encode(Statement(subject=tuple(subject), predicate_type=predicate_type, predicate=predicate))


def parse_statement(payload: bytes, predicate_type: str, predicate: type[P]) -> tuple[Statement[P], str]:
    """Decode a statement strictly; return it and the digest of its bytes.

    Raises
    ------
    WrongPayloadTypeError
        Another kind of statement, e.g. a restore where a deletion is expected.
    MalformedManifestError, UnknownFieldError
    """
    _check_kind(payload, predicate_type)
    statement: Statement[P] = decode(payload, _decoder(cast(Hashable, predicate)), limit=MAX_STATEMENT, what="statement")
    return statement, hashlib.sha256(payload).hexdigest()


class _Kind(msgspec.Struct):
    predicateType: str = ""


_KIND = msgspec.json.Decoder(_Kind)


def _check_kind(payload: bytes, wanted: str) -> None:
    """Say early and clearly that it is another document; the strict decoding follows and decides."""
    if len(payload) > MAX_STATEMENT:
        return
    try:
        found = _KIND.decode(payload).predicateType
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return
    if found != wanted:
        raise WrongPayloadTypeError(
            N_("The envelope holds another kind of document: {found} instead of {wanted}."), found=found, wanted=wanted
        )


def sign_statement(signers: Sequence[Signer], *, subject: Sequence[Subject], predicate_type: str, predicate: object) -> bytes:
    """Return the envelope of a statement signed by each of ``signers`` (none gives an unsigned draft)."""
    payload = statement_bytes(subject, predicate_type, predicate)
    message = pae(STATEMENT_PAYLOAD, payload)
    return seal(payload, STATEMENT_PAYLOAD, [(s.keyid, s.sign(message)) for s in signers])


def cosign_statement(envelope: bytes, signer: Signer) -> bytes:
    """Return the envelope with one more signature over the same bytes."""
    return add_signature(envelope, STATEMENT_PAYLOAD, signer)


def signed_envelope(raw: bytes, *, least: int = 1) -> tuple[bytes, tuple[tuple[str, bytes], ...]]:
    """Return payload and signatures of an envelope, strictly decoded, not yet checked by anyone's key."""
    envelope = read_envelope(raw, STATEMENT_PAYLOAD)
    if len(envelope.signatures) < least:
        raise ThresholdNotMetError(N_("Nobody has signed."), next_step=N_("Sign it with: steward sign."))
    return envelope.body, tuple((s.keyid, unbase64(s.sig)) for s in envelope.signatures)


def check_signatures(
    payload: bytes, signatures: Iterable[tuple[str, bytes]], trust: TrustStore, now: datetime
) -> tuple[tuple[Person, TrustedKey], ...]:
    """Check **every** signature by a person's key; return the people, each once.

    Raises
    ------
    UntrustedKeyError, BadSignatureError
        One bad or strange signature refuses the whole.
    """
    message = pae(STATEMENT_PAYLOAD, payload)
    people: dict[str, tuple[Person, TrustedKey]] = {}
    materials: dict[str, str] = {}
    for keyid, raw in signatures:
        person, key = trust.person_of(keyid, now)
        key.key.verify(raw, message)
        # The trust store refuses one key under two names; this holds even if that check were ever lost.
        if materials.setdefault(key.key.material, person.id) != person.id:
            raise UntrustedKeyError(N_("One key has signed under two names."))
        people.setdefault(person.id, (person, key))
    return tuple(people.values())


def verify_statement(
    envelope: bytes,
    *,
    trust: TrustStore,
    now: datetime,
    predicate_type: str,
    predicate: type[P],
    by: Literal["people", "executors"],
    tenant: str,
    roles: Sequence[Role] = (),
    objects: Iterable[str] = (),
    threshold: int = 1,
    not_counted: Iterable[str] = (),
) -> VerifiedStatement[P]:
    """Open a statement signed by at least ``threshold`` distinct people or executors.

    Parameters
    ----------
    predicate : type
        A ``steward.manifest.Doc``.
    by : {'people', 'executors'}
        Whose keys may sign.
    tenant : str
        Executors must be of this tenant; people need their role in it.
    roles : sequence of Role
        For people: one of these, for every one of ``objects``. Empty means anyone of the trust store.
    not_counted : iterable of str
        People whose signature does not count, e.g. the proposer.

    Raises
    ------
    WrongPayloadTypeError, MalformedManifestError, UnknownFieldError
    UntrustedKeyError, BadSignatureError, ThresholdNotMetError
    """
    payload, signatures = signed_envelope(envelope)
    if by == "executors":
        message = pae(STATEMENT_PAYLOAD, payload)
        counted: set[str] = set()
        for keyid, raw in signatures:
            executor, key = trust.executor_of(keyid, now)
            key.key.verify(raw, message)
            if executor.tenant == tenant:
                counted.add(executor.id)
    else:
        asked, out = tuple(objects) or ("*",), set(not_counted)
        counted = {
            person.id
            for person, _ in check_signatures(payload, signatures, trust, now)
            if person.id not in out and (not roles or any(trust.has_role(person, r, tenant, asked) for r in roles))
        }
    statement, digest = parse_statement(payload, predicate_type, predicate)
    if len(counted) < max(1, threshold):
        raise ThresholdNotMetError(
            N_("{found} of {needed} distinct signers with the right role have signed."),
            found=len(counted),
            needed=max(1, threshold),
        )
    return VerifiedStatement(statement.predicate, statement.subject, digest, tuple(sorted(counted)))


def subject_of_executor_statement(
    envelope: bytes, *, trust: TrustStore, now: datetime, tenant: str, predicate_type: str
) -> tuple[str, ...]:
    """Return the subject digests of a statement an executor of the tenant has signed, whatever its predicate says."""
    found = verify_statement(
        envelope, trust=trust, now=now, predicate_type=predicate_type, predicate=msgspec.Raw, by="executors", tenant=tenant
    )
    return tuple(s.digest["sha256"] for s in found.subject if "sha256" in s.digest)


def make_veto(signer: Signer, veto: VetoPredicate, subject: Subject) -> bytes:
    """Return a signed veto; ``subject`` is that of the manifest."""
    return sign_statement([signer], subject=[subject], predicate_type=VETO_TYPE, predicate=veto)


def verify_veto(envelope: bytes, *, trust: TrustStore, now: datetime, tenant: str, objects: Iterable[str]) -> VetoPredicate:
    """Open a veto. One person with the role steward, privacy or owner for any object of the manifest suffices.

    Raises
    ------
    TrustError, ManifestError
        A veto that cannot be read refuses too: it may be a damaged one that was meant.
    """
    payload, signatures = signed_envelope(envelope)
    people = [p for p, _ in check_signatures(payload, signatures, trust, now)]
    statement, _digest = parse_statement(payload, VETO_TYPE, VetoPredicate)
    veto = statement.predicate
    asked = tuple(objects)
    entitled = {p.id for p in people if any(trust.has_role(p, r, tenant, (o,)) for r in VETO_ROLES for o in asked)}
    if veto.person not in entitled:
        raise UntrustedKeyError(
            N_("The veto of {person} is not signed by that person, or the person may not veto here."),
            next_step=N_("Ask the person; a veto that is not understood stops the manifest."),
            person=veto.person,
        )
    return veto


__all__ = [
    "STATEMENT_TYPE",
    "VerifiedStatement",
    "check_signatures",
    "cosign_statement",
    "make_veto",
    "parse_statement",
    "sign_statement",
    "signed_envelope",
    "statement_bytes",
    "subject_of_executor_statement",
    "verify_statement",
    "verify_veto",
]
