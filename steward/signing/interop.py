"""What other tools read: one Sigstore bundle per signer, public keys in PEM.

A Sigstore bundle holds one signature, so a manifest with two approvals has two bundles; the envelope with all of them stays
the document. Nothing is read here: verification never goes through a bundle.
"""

from __future__ import annotations

import json

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from steward.errors import UntrustedKeyError
from steward.messages import N_
from steward.signing.dsse import STATEMENT_PAYLOAD, read_envelope
from steward.signing.keys import PublicKey

BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"


def pem(key: PublicKey) -> bytes:
    """Return a public key as PEM (SubjectPublicKeyInfo).

    Raises
    ------
    UntrustedKeyError
        SSH signatures are another object; no other tool reads them by a PEM key.
    """
    public: Ed25519PublicKey | ec.EllipticCurvePublicKey
    if key.scheme == "ed25519":
        public = Ed25519PublicKey.from_public_bytes(key.raw)
    elif key.scheme == "ecdsa-sha2-nistp256":
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key.raw)
    else:
        raise UntrustedKeyError(N_("A key of scheme {scheme} has no PEM form for other tools."), scheme=key.scheme)
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def sigstore_bundle(envelope: bytes, key: PublicKey) -> tuple[bytes, bytes] | None:
    """Return ``(bundle, pem)`` for the signature of ``key``; None where it has not signed or no other tool could check it."""
    found = read_envelope(envelope, STATEMENT_PAYLOAD)
    signature = next((s for s in found.signatures if s.keyid == key.keyid), None)
    if signature is None or key.scheme not in ("ed25519", "ecdsa-sha2-nistp256"):
        return None
    bundle = {
        "mediaType": BUNDLE_TYPE,
        "verificationMaterial": {"publicKey": {"hint": key.keyid}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": found.payload,
            "payloadType": found.payload_type,
            "signatures": [{"sig": signature.sig, "keyid": signature.keyid}],
        },
    }
    return json.dumps(bundle, separators=(",", ":")).encode(), pem(key)
