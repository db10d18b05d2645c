"""Signing with a key that never leaves its token: PKCS#11, ECDSA on P-256.

The PIN is a :class:`steward.signing.Secret` and is given to the token alone. Needs the package ``python-pkcs11`` (extra
``keys``).

Left to others: making the key on the token (its vendor's tool), who the key belongs to (``steward.signing.trust``).
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from steward.errors import MissingExtraError, TrustError
from steward.messages import N_
from steward.signing import PublicKey, Secret

_P256 = bytes.fromhex("06082a8648ce3d030107")  # the curve as PKCS#11 names it: DER of its object identifier


class TokenSigner:
    """Signs through a token. Use it as a context manager; leaving it closes the session.

    Parameters
    ----------
    module : Path
        The vendor's PKCS#11 library.
    token : str
        Label of the token.
    label : str
        Label of the key pair.
    pin : Secret

    Raises
    ------
    TrustError
        No such token or key, a wrong PIN, or a key that is not on P-256. The token's own words are not repeated.
    """

    def __init__(self, module: Path, token: str, label: str, pin: Secret) -> None:
        try:
            import pkcs11
        except ImportError:
            raise MissingExtraError("keys", "python-pkcs11") from None
        self._session: Any = None
        self._mechanism = pkcs11.Mechanism.ECDSA
        try:
            self._session = pkcs11.lib(str(module)).get_token(token_label=token).open(user_pin=pin.reveal().decode())
            self._private = self._session.get_key(label=label, object_class=pkcs11.ObjectClass.PRIVATE_KEY)
            public = self._session.get_key(label=label, object_class=pkcs11.ObjectClass.PUBLIC_KEY)
            curve, point = bytes(public[pkcs11.Attribute.EC_PARAMS]), bytes(public[pkcs11.Attribute.EC_POINT])
        except (pkcs11.PKCS11Error, RuntimeError, UnicodeDecodeError, KeyError):
            self.close()
            raise TrustError(
                N_("The token {token} has no usable key {label}, or the PIN is wrong."),
                next_step=N_("See what it holds with the vendor's tool; too many wrong PINs lock it."),
                token=token,
                label=label,
            ) from None
        if point[:2] == b"\x04\x41":  # wrapped as an octet string
            point = point[2:]
        if curve != _P256 or len(point) != 65:
            self.close()
            raise TrustError(N_("The key {label} of the token is not on the curve P-256."), label=label)
        self.public_key = PublicKey("ecdsa-sha2-nistp256", base64.b64encode(point).decode())
        self.public_key.check()

    @property
    def keyid(self) -> str:
        """Id of the public key."""
        return self.public_key.keyid

    def sign(self, message: bytes) -> bytes:
        """Return the DER signature of ``message``, checked before it is returned."""
        raw = bytes(self._private.sign(hashlib.sha256(message).digest(), mechanism=self._mechanism))
        half = len(raw) // 2
        signature = encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))
        self.public_key.verify(signature, message)
        return signature

    def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def __enter__(self) -> TokenSigner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return "TokenSigner(***)"
