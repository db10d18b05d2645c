"""Keys: public keys by scheme and material, and the passphrase-protected file a person signs with.

A key's id is sha256 of its scheme and material, so one key in one scheme has one id. Its **material** is the key itself
whatever the scheme: the same key as ``ed25519`` and as ``sshsig-ed25519`` is one material, and counts once.

Private keys stand in OpenSSH format with bcrypt of at least 64 rounds, or in PKCS#8 with strong scrypt (``pkcs8``). A file
without a passphrase, with fewer rounds, or whose passphrase is guessed fast (PKCS#8 as most libraries write it: 2,048 rounds
of PBKDF2) is refused. ``ssh-keygen -t ed25519 -a 100`` makes an acceptable file as well.

Left to others: reading files and asking for passphrases (``steward.commands``), signing through ssh-keygen, agents and
tokens (``steward.signing.sshsig`` and outside the core), who a key belongs to (``trust``).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from steward.errors import BadSignatureError, UntrustedKeyError, WeakKeyError
from steward.messages import N_
from steward.signing.pkcs8 import check_scrypt, is_pkcs8

MIN_ROUNDS = 64
MIN_PASSPHRASE = 8
SCHEMES = ("ed25519", "ecdsa-sha2-nistp256", "sshsig-ed25519", "sshsig-sk-ed25519")
"""Raw Ed25519; ECDSA P-256 with SHA-256, DER, for tokens and services; SSHSIG by an SSH key, by a FIDO2 key."""

_MAGIC = b"openssh-key-v1\x00"
_BEGIN, _END = b"-----BEGIN OPENSSH PRIVATE KEY-----", b"-----END OPENSSH PRIVATE KEY-----"


class Secret:
    """A value that no output shows: ``repr``, ``str``, ``format`` give ``***``, and it cannot be pickled.

    Parameters
    ----------
    value : bytes
    """

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """Return the value; keep it in no variable that outlives its use."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret is not pickled")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key in one scheme.

    Attributes
    ----------
    scheme : str
        One of :data:`SCHEMES`.
    public : str
        Base 64 of: 32 raw bytes (``ed25519``), an uncompressed point (``ecdsa-sha2-nistp256``), or the SSH wire form.
    """

    scheme: str
    public: str

    @classmethod
    def from_pem(cls, raw: bytes) -> PublicKey:
        """Return the key of a PEM file (SubjectPublicKeyInfo): raw Ed25519, or ECDSA on P-256.

        Raises
        ------
        UntrustedKeyError
            Not PEM, or another kind of key.
        """
        try:
            found = serialization.load_pem_public_key(raw)
        except (ValueError, UnsupportedAlgorithm):
            raise _unusable() from None
        if isinstance(found, Ed25519PublicKey):
            point = found.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            key = cls("ed25519", base64.b64encode(point).decode())
        elif isinstance(found, ec.EllipticCurvePublicKey) and isinstance(found.curve, ec.SECP256R1):
            point = found.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
            key = cls("ecdsa-sha2-nistp256", base64.b64encode(point).decode())
        else:
            raise UntrustedKeyError(
                N_("The public key is of a kind that is not used here."), next_step=N_("Use Ed25519, or ECDSA on P-256.")
            )
        key.check()
        return key

    @property
    def keyid(self) -> str:
        """Hexadecimal sha256 over scheme and material."""
        return hashlib.sha256(f"steward.key.v1\n{self.scheme}\n{self.public}\n".encode()).hexdigest()

    @property
    def raw(self) -> bytes:
        """The material's bytes.

        Raises
        ------
        UntrustedKeyError
            Not base 64.
        """
        try:
            raw = base64.b64decode(self.public.encode("ascii"), validate=True)
        except (binascii.Error, ValueError):
            raise _unusable() from None
        if base64.b64encode(raw).decode() != self.public:
            raise _unusable()
        return raw

    def openssh_line(self, comment: str) -> str:
        """Return a raw Ed25519 key as the one line that OpenSSH and ``steward trust add --pub`` read."""
        wire = struct.pack(">I", 11) + b"ssh-ed25519" + struct.pack(">I", 32) + self.raw
        return f"ssh-ed25519 {base64.b64encode(wire).decode()} {comment}\n"

    @property
    def material(self) -> str:
        """What the key is, whatever its scheme and name: equal for equal private keys."""
        if self.scheme in ("ed25519", "sshsig-ed25519", "sshsig-sk-ed25519"):
            return "ed25519:" + self._ed25519_bytes().hex()
        return "p256:" + self._point().hex()

    def _ed25519_bytes(self) -> bytes:
        if self.scheme == "ed25519":
            raw = self.raw
        else:
            from steward.signing.sshsig import public_of_wire

            raw = public_of_wire(self.raw, self.scheme)
        if len(raw) != 32:
            raise _unusable()
        return raw

    def _point(self) -> bytes:
        raw = self.raw
        if len(raw) != 65 or raw[0] != 4:
            raise _unusable()
        return raw

    def check(self) -> None:
        """Raise :class:`UntrustedKeyError` where this is not a usable public key."""
        if self.scheme not in SCHEMES:
            raise UntrustedKeyError(N_("A key has the unknown scheme {scheme}."), scheme=self.scheme)
        try:
            if self.scheme == "ecdsa-sha2-nistp256":
                ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), self._point())
            else:
                _strong_point(self._ed25519_bytes())
        except (ValueError, UnsupportedAlgorithm):
            raise _unusable() from None

    def verify(self, signature: bytes, message: bytes) -> None:
        """Raise :class:`BadSignatureError` unless ``signature`` is this key's over ``message``."""
        try:
            if self.scheme == "ed25519":
                Ed25519PublicKey.from_public_bytes(self._ed25519_bytes()).verify(signature, message)
            elif self.scheme == "ecdsa-sha2-nistp256":
                point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), self._point())
                point.verify(signature, message, ec.ECDSA(hashes.SHA256()))
            elif self.scheme in ("sshsig-ed25519", "sshsig-sk-ed25519"):
                from steward.signing.sshsig import verify_sshsig

                verify_sshsig(self.raw, self.scheme, signature, message)
            else:
                raise UntrustedKeyError(N_("A key has the unknown scheme {scheme}."), scheme=self.scheme)
        except (InvalidSignature, ValueError, UnsupportedAlgorithm):
            raise BadSignatureError(
                N_("The signature of key {keyid} does not match the bytes."), keyid=self.keyid[:16]
            ) from None


def _unusable() -> UntrustedKeyError:
    return UntrustedKeyError(N_("A public key cannot be read."))


# Points of small order: a "signature" by such a key can be made by anyone (RFC 8032 leaves the check to us).
_SMALL_ORDER = frozenset(
    bytes.fromhex(text)
    for text in (
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    )
)


def _strong_point(raw: bytes) -> None:
    if raw in _SMALL_ORDER:
        raise _unusable()
    Ed25519PublicKey.from_public_bytes(raw)


class FileSigner:
    """Signs with an Ed25519 key loaded from a file. Its ``repr`` shows the key id alone."""

    __slots__ = ("_key", "public_key")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.public_key = PublicKey("ed25519", base64.b64encode(raw).decode())

    @property
    def keyid(self) -> str:
        """Id of the public key."""
        return self.public_key.keyid

    def sign(self, message: bytes) -> bytes:
        """Return 64 bytes."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"FileSigner({self.keyid[:16]})"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a private key is not pickled")


def generate_key(passphrase: Secret, *, rounds: int = MIN_ROUNDS) -> tuple[bytes, PublicKey]:
    """Make an Ed25519 key; return the key file's bytes and the public key.

    Parameters
    ----------
    passphrase : Secret
        At least 8 characters.
    rounds : int
        Of bcrypt, 64 or more; 64 take some 0.4 s to open.

    Raises
    ------
    WeakKeyError
        Short passphrase or few rounds.
    """
    if len(passphrase.reveal()) < MIN_PASSPHRASE:
        raise WeakKeyError(N_("The passphrase is shorter than {least} characters."), least=MIN_PASSPHRASE)
    if rounds < MIN_ROUNDS:
        raise WeakKeyError(N_("A key file needs bcrypt with at least {least} rounds."), least=MIN_ROUNDS)
    key = Ed25519PrivateKey.generate()
    protection = serialization.PrivateFormat.OpenSSH.encryption_builder().kdf_rounds(rounds).build(passphrase.reveal())
    raw = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, protection)
    return raw, FileSigner(key).public_key


def load_key(raw: bytes, passphrase: Secret) -> FileSigner:
    """Open a key file.

    Raises
    ------
    WeakKeyError
        No passphrase, too few rounds, another format or another kind of key; the passphrase is not even tried.
    UntrustedKeyError
        Wrong passphrase or damaged file; which of the two cannot be told.
    """
    check_protection(raw)
    try:
        if is_pkcs8(raw):
            key: object = serialization.load_pem_private_key(raw, passphrase.reveal())
        else:
            key = serialization.load_ssh_private_key(raw, passphrase.reveal())
    except (ValueError, TypeError, UnsupportedAlgorithm, struct.error):
        raise UntrustedKeyError(
            N_("The key file cannot be opened: wrong passphrase, or the file is damaged."),
            next_step=N_("Try the passphrase again."),
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise WeakKeyError(N_("The key file holds no Ed25519 key."), next_step=N_("Make one with: steward keys new."))
    return FileSigner(key)


def check_protection(raw: bytes) -> int:
    """Return how much work a guess at a key file's passphrase is: rounds of bcrypt, or N·r·p of scrypt.

    Raises
    ------
    WeakKeyError
        Weakly or not protected, or in another format.
    """
    if is_pkcs8(raw):
        n, r, p = check_scrypt(raw)
        return n * r * p
    kind, kdf, rounds = _header(raw)
    if kind == "none" or kdf == "none":
        raise WeakKeyError(
            N_("The key file has no passphrase."),
            next_step=N_("Protect it with: ssh-keygen -p -a 100 -f FILE, or make a new key."),
        )
    if kdf != "bcrypt" or rounds < MIN_ROUNDS:
        raise WeakKeyError(
            N_("The key file is weakly protected: {kdf} with {rounds} rounds; bcrypt with at least {least} is asked for."),
            next_step=N_("Strengthen it with: ssh-keygen -p -a 100 -f FILE."),
            kdf=kdf,
            rounds=rounds,
            least=MIN_ROUNDS,
        )
    return rounds


def _header(raw: bytes) -> tuple[str, str, int]:
    """Return cipher, key derivation and rounds of an OpenSSH key file."""
    lines = raw.strip().split(b"\n")
    if len(raw) > 16_384 or len(lines) < 3 or lines[0].strip() != _BEGIN or lines[-1].strip() != _END:
        raise WeakKeyError(
            N_("The key file is neither in OpenSSH format nor an encrypted PKCS#8 file."),
            next_step=N_("Other formats guard their passphrase too weakly. Make a key with: steward keys new."),
        )
    try:
        body = base64.b64decode(b"".join(line.strip() for line in lines[1:-1]), validate=True)
        if not body.startswith(_MAGIC):
            raise ValueError
        at, parts = len(_MAGIC), []
        for _i in range(3):
            (size,) = struct.unpack_from(">I", body, at)
            part = body[at + 4 : at + 4 + size]
            if len(part) != size:
                raise ValueError
            parts.append(part)
            at += 4 + size
        options, rounds = parts[2], 0
        if options:
            (salt,) = struct.unpack_from(">I", options, 0)
            (rounds,) = struct.unpack_from(">I", options, 4 + salt)
        return parts[0].decode("ascii"), parts[1].decode("ascii"), rounds
    except (ValueError, struct.error, UnicodeDecodeError, binascii.Error):
        raise WeakKeyError(N_("The key file is damaged.")) from None
