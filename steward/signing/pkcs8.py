"""Encrypted PKCS#8 key files: how well their passphrase is guarded, read before it is tried.

Such a file names the function that turns the passphrase into a key (PBES2, RFC 8018). Only scrypt (RFC 7914) is accepted,
with enough work and memory per guess: N ≥ 2^14, r ≥ 8 and N·r·p ≥ 2^19, which is 16 MiB and some 0.2 s a guess::

    openssl genpkey -algorithm ed25519 | openssl pkcs8 -topk8 -scrypt -scrypt_N 16384 -scrypt_r 8 -scrypt_p 8 -out KEY

PBKDF2, what most libraries write, is refused whatever its rounds: graphics cards guess it by the billion. Work without bound
is refused as well, so that a file cannot hold up whoever opens it.

Left to others: opening the file (``keys``).
"""

from __future__ import annotations

import base64
import binascii

from steward.errors import WeakKeyError
from steward.messages import N_

BEGIN, END = b"-----BEGIN ENCRYPTED PRIVATE KEY-----", b"-----END ENCRYPTED PRIVATE KEY-----"
MIN_N, MIN_R, MIN_WORK = 1 << 14, 8, 1 << 19
MAX_MEMORY, MAX_WORK = 1 << 29, 1 << 26

_PBES2 = bytes.fromhex("2a864886f70d01050d")
_SCRYPT = bytes.fromhex("2b06010401da47040b")
_NAMES = {
    bytes.fromhex("2a864886f70d01050c"): "PBKDF2",
    bytes.fromhex("2a864886f70d010503"): "PBES1",
    bytes.fromhex("2a864886f70d01050a"): "PBES1",
    bytes.fromhex("2a864886f70d010c0103"): "PKCS#12 3DES",
}
_AES_CBC = frozenset(bytes.fromhex(f"60864801650304{end}") for end in ("0102", "0116", "012a"))
_SEQUENCE, _OCTETS, _INTEGER, _OID = 0x30, 0x04, 0x02, 0x06


class _Der:
    """Reads the few DER forms that stand in the head of such a file; anything else is a ``ValueError``."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.at = 0

    def take(self, tag: int) -> bytes:
        """Return the content of the next element, which must have this tag."""
        if self.at + 2 > len(self.raw) or self.raw[self.at] != tag:
            raise ValueError("tag")
        length, self.at = self.raw[self.at + 1], self.at + 2
        if length >= 0x80:
            octets = length & 0x7F
            if not 1 <= octets <= 2:
                raise ValueError("length")
            length = int.from_bytes(self.raw[self.at : self.at + octets], "big")
            self.at += octets
        part = self.raw[self.at : self.at + length]
        if len(part) != length:
            raise ValueError("short")
        self.at += length
        return part

    def inside(self, tag: int = _SEQUENCE) -> _Der:
        """Return a reader of the next element's content."""
        return _Der(self.take(tag))

    def integer(self) -> int:
        """Return a positive integer of at most 8 bytes."""
        raw = self.take(_INTEGER)
        if not 1 <= len(raw) <= 8 or raw[0] & 0x80:
            raise ValueError("integer")
        return int.from_bytes(raw, "big")


def is_pkcs8(raw: bytes) -> bool:
    """True where a file says that it is an encrypted PKCS#8 key."""
    return raw.lstrip().startswith(BEGIN)


def check_scrypt(raw: bytes) -> tuple[int, int, int]:
    """Return N, r and p of an encrypted PKCS#8 file.

    Raises
    ------
    WeakKeyError
        Another function than scrypt, too little work, work without bound, or a damaged file.
    """
    lines = raw.strip().split(b"\n")
    if len(raw) > 16_384 or len(lines) < 3 or lines[0].strip() != BEGIN or lines[-1].strip() != END:
        raise _damaged()
    try:
        body = _Der(base64.b64decode(b"".join(line.strip() for line in lines[1:-1]), validate=True)).inside()
        algorithm = body.inside()
        kind = algorithm.take(_OID)
        if kind != _PBES2:
            raise _weak(_NAMES.get(kind, "?"))
        both = algorithm.inside()
        derivation = both.inside()
        kind = derivation.take(_OID)
        if kind != _SCRYPT:
            raise _weak(_NAMES.get(kind, "?"))
        scrypt = derivation.inside()
        scrypt.take(_OCTETS)
        n, r, p = scrypt.integer(), scrypt.integer(), scrypt.integer()
        cipher = both.inside().take(_OID)
    except (ValueError, binascii.Error):
        raise _damaged() from None
    if cipher not in _AES_CBC:
        raise _weak("scrypt, ?")
    if n < MIN_N or n & (n - 1) or r < MIN_R or not p or n * r * p < MIN_WORK:
        raise _weak(f"scrypt, N={n}, r={r}, p={p}")
    if 128 * n * r > MAX_MEMORY or n * r * p > MAX_WORK:
        raise WeakKeyError(N_("The key file asks for more work than anyone needs; it is refused."))
    return n, r, p


def _weak(what: str) -> WeakKeyError:
    return WeakKeyError(
        N_("The key file is weakly protected ({what}); scrypt with N·r·p of at least {least} is asked for."),
        next_step=N_("Make a key with: steward keys new. Or encrypt it anew: openssl pkcs8 -topk8 -scrypt -scrypt_p 8."),
        what=what,
        least=MIN_WORK,
    )


def _damaged() -> WeakKeyError:
    return WeakKeyError(N_("The key file is damaged."))
