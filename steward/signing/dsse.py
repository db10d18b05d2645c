"""The envelope (DSSE v1): one payload as raw bytes, its type, one to eight signatures over ``PAE(type, payload)``.

Reading is strict: standard base 64 with padding and no spare bits, members in order, nothing else in it, the one
encoding. Key ids are hints to find a key and nothing is ever decided by them.

Left to others: which keys count (``trust``), what the payload means (``steward.manifest``), the decision (``verify``).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from steward.errors import MalformedManifestError, WrongPayloadTypeError
from steward.manifest.codec import decode, encode
from steward.manifest.format import MAX_ENVELOPE
from steward.messages import N_

STATEMENT_PAYLOAD = "application/vnd.in-toto+json"
TRUST_PAYLOAD = "application/vnd.steward.trust+json"
MAX_SIGNATURES = 8

KeyId = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z", max_length=64)]


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One signature: a hint to the key and the bytes in base 64."""

    keyid: KeyId
    sig: Annotated[str, Meta(min_length=4, max_length=4096)]


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The envelope as it stands in a file."""

    payload: Annotated[str, Meta(min_length=4)]
    payload_type: Annotated[str, Meta(max_length=100)] = msgspec.field(name="payloadType")
    signatures: Annotated[tuple[Signature, ...], Meta(max_length=MAX_SIGNATURES)]

    @property
    def body(self) -> bytes:
        """The payload's raw bytes; what is signed and parsed."""
        return unbase64(self.payload)


_DECODER = msgspec.json.Decoder(Envelope)


class Signer(Protocol):
    """Something that can sign: a key file, an agent, a token, a service."""

    @property
    def keyid(self) -> str:
        """Id of the public key."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the signature of ``message`` in the scheme of the key."""
        ...


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the pre-authentication encoding: what is signed. Lengths are in bytes."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def unbase64(text: str) -> bytes:
    """Decode standard base 64 strictly: one spelling for each value.

    Raises
    ------
    MalformedManifestError
    """
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not raw or base64.b64encode(raw) != text.encode("ascii", "replace"):
        raise MalformedManifestError(
            N_("The envelope holds text that is not base 64 as a steward tool writes it."), code="not_base64"
        )
    return raw


def read_envelope(raw: bytes, payload_type: str) -> Envelope:
    """Decode an envelope's bytes strictly. Nothing of its payload is parsed.

    Parameters
    ----------
    payload_type : str
        What the caller expects; anything else is refused.

    Raises
    ------
    MalformedManifestError, UnknownFieldError
        See :func:`steward.manifest.decode`.
    WrongPayloadTypeError
    """
    envelope = decode(raw, _DECODER, limit=MAX_ENVELOPE, what="envelope")
    if envelope.payload_type != payload_type:
        raise WrongPayloadTypeError(
            N_("The envelope holds another kind of document: {found} instead of {wanted}."),
            found=envelope.payload_type,
            wanted=payload_type,
        )
    ids = [s.keyid for s in envelope.signatures]
    if len(set(ids)) != len(ids):
        raise MalformedManifestError(N_("A key stands twice among the signatures."), code="key_twice")
    return envelope


def seal(payload: bytes, payload_type: str, signatures: Sequence[tuple[str, bytes]] = ()) -> bytes:
    """Return the envelope's bytes for a payload and its ``(keyid, signature)`` pairs, sorted by key id."""
    made = tuple(Signature(keyid, base64.b64encode(raw).decode()) for keyid, raw in sorted(signatures))
    return encode(Envelope(base64.b64encode(payload).decode(), payload_type, made))


def add_signature(raw: bytes, payload_type: str, signer: Signer) -> bytes:
    """Return the envelope with one more signature; what is in it already stays as it is.

    Raises
    ------
    MalformedManifestError
        The key has signed before, or eight signatures are there.
    """
    envelope = read_envelope(raw, payload_type)
    if any(s.keyid == signer.keyid for s in envelope.signatures):
        raise MalformedManifestError(N_("This key has signed already."), code="key_twice")
    if len(envelope.signatures) >= MAX_SIGNATURES:
        raise MalformedManifestError(
            N_("The envelope holds {limit} signatures already; no more fit."), limit=MAX_SIGNATURES, code="signatures_full"
        )
    body = envelope.body
    there = [(s.keyid, unbase64(s.sig)) for s in envelope.signatures]
    return seal(body, payload_type, [*there, (signer.keyid, signer.sign(pae(payload_type, body)))])
