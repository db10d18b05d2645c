"""SSHSIG: signatures by SSH keys, agents and FIDO2 tokens, in a namespace of their own (OpenSSH PROTOCOL.sshsig).

What is signed is ``SSHSIG ‖ namespace ‖ reserved ‖ sha512 ‖ H(message)``. The namespace ``steward-manifest@v1`` is
compulsory, so that a signature made for a commit or a file by the same key is none here. An SSHSIG is another object
than a raw signature; cosign cannot read it.

Left to others: running ssh-keygen (``steward.ssh_keygen``), which key belongs to whom (``trust``).
"""

from __future__ import annotations

import hashlib
import struct

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from steward.errors import BadSignatureError, UntrustedKeyError
from steward.messages import N_

NAMESPACE = b"steward-manifest@v1"
_MAGIC = b"SSHSIG"
_KINDS = {"sshsig-ed25519": b"ssh-ed25519", "sshsig-sk-ed25519": b"sk-ssh-ed25519@openssh.com"}
_FLAG_PRESENT = 1


def _string(raw: bytes) -> bytes:
    return struct.pack(">I", len(raw)) + raw


class _Reader:
    """Reads length-prefixed strings; short input is a refusal."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.at = 0

    def take(self, n: int) -> bytes:
        part = self.raw[self.at : self.at + n]
        if len(part) != n:
            raise ValueError("short")
        self.at += n
        return part

    def string(self) -> bytes:
        (n,) = struct.unpack(">I", self.take(4))
        return self.take(n)

    def end(self) -> None:
        if self.at != len(self.raw):
            raise ValueError("long")


def _wire(raw: bytes, scheme: str) -> tuple[bytes, bytes]:
    """Return the 32 key bytes and the application (FIDO2) of a public key in SSH wire form."""
    kind = _KINDS[scheme]
    reader = _Reader(raw)
    if reader.string() != kind:
        raise ValueError("kind")
    public = reader.string()
    application = reader.string() if scheme == "sshsig-sk-ed25519" else b""
    reader.end()
    if len(public) != 32:
        raise ValueError("length")
    return public, application


def public_of_wire(raw: bytes, scheme: str) -> bytes:
    """Return the 32 bytes of the Ed25519 key inside an SSH public key.

    Raises
    ------
    UntrustedKeyError
    """
    try:
        return _wire(raw, scheme)[0]
    except (ValueError, KeyError, struct.error):
        raise UntrustedKeyError(N_("A public key cannot be read.")) from None


def message_to_sign(message: bytes, namespace: bytes = NAMESPACE) -> bytes:
    """Return the bytes an SSH key signs for ``message``."""
    return _MAGIC + _string(namespace) + _string(b"") + _string(b"sha512") + _string(hashlib.sha512(message).digest())


def verify_sshsig(wire: bytes, scheme: str, signature: bytes, message: bytes) -> None:
    """Raise :class:`BadSignatureError` unless ``signature`` is an SSHSIG of this key over ``message`` in our namespace.

    A FIDO2 signature must say that a person was present.
    """
    try:
        public, application = _wire(wire, scheme)
        reader = _Reader(signature)
        if reader.take(6) != _MAGIC or reader.take(4) != struct.pack(">I", 1):
            raise ValueError("magic")
        if reader.string() != wire or reader.string() != NAMESPACE or reader.string() != b"" or reader.string() != b"sha512":
            raise ValueError("namespace")
        blob = _Reader(reader.string())
        reader.end()
        if blob.string() != _KINDS[scheme]:
            raise ValueError("kind")
        raw = blob.string()
        signed = message_to_sign(message)
        if scheme == "sshsig-sk-ed25519":
            flags, counter = blob.take(1), blob.take(4)
            if not flags[0] & _FLAG_PRESENT:
                raise ValueError("presence")
            signed = hashlib.sha256(application).digest() + flags + counter + hashlib.sha256(signed).digest()
        blob.end()
        Ed25519PublicKey.from_public_bytes(public).verify(raw, signed)
    except (ValueError, KeyError, struct.error, InvalidSignature):
        raise BadSignatureError(N_("The SSH signature does not match the bytes, or was made for another use.")) from None
