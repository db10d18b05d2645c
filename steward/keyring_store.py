"""Passphrases in the system's keyring (Secret Service, KWallet, macOS Keychain, Windows Credential Locker), by the package
``keyring`` (extra ``keys``).

An entry stands under ``steward`` and a name made of the key file's digest, so that an entry of an older passphrase is not
found any more rather than tried. A backend that keeps secrets as plain text, or none at all, is refused.

Left to others: asking a person (``steward.commands._signers``).
"""

from __future__ import annotations

import hashlib
from typing import Any

from steward.errors import MissingExtraError, TrustError, WeakKeyError
from steward.messages import N_
from steward.signing import Secret

SERVICE = "steward"
_PLAIN = ("keyrings.alt.file.PlaintextKeyring", "keyring.backends.null.Keyring", "keyring.backends.fail.Keyring")


def account_of(key_file: bytes) -> str:
    """Return the name of a key file's entry: 32 hexadecimal digits of its digest."""
    return "key " + hashlib.sha256(key_file).hexdigest()[:32]


def _backend() -> Any:
    """Return a keyring that can be used, one that keeps secrets secret.

    Raises
    ------
    MissingExtraError, WeakKeyError
    """
    try:
        import keyring
        from keyring.backends.chainer import ChainerBackend
    except ImportError:
        raise MissingExtraError("keys", "keyring") from None
    found: Any = keyring.get_keyring()
    parts = found.backends if isinstance(found, ChainerBackend) else [found]
    kinds = {f"{type(p).__module__}.{type(p).__name__}" for p in parts}
    if not parts or kinds & set(_PLAIN):
        raise WeakKeyError(
            N_("This system has no keyring that keeps a secret."),
            next_step=N_("Unlock or install one, or use --passphrase-file FILE (mode 0400)."),
        )
    return found


def remember(account: str, secret: Secret) -> str:
    """Put a passphrase into the keyring; return the backend's name.

    Raises
    ------
    TrustError
        The keyring is locked or broken. Its own words are not repeated.
    WeakKeyError
        There is none that keeps a secret.
    """
    backend = _backend()
    try:
        backend.set_password(SERVICE, account, secret.reveal().decode())
    except Exception as error:  # backends raise what their systems raise; none of it may reach a screen
        raise _failed(error) from None
    return f"{type(backend).__module__}.{type(backend).__name__}"


def recall(account: str) -> Secret:
    """Return a passphrase from the keyring.

    Raises
    ------
    TrustError
        It holds none for this key, or is locked.
    """
    backend = _backend()
    try:
        found = backend.get_password(SERVICE, account)
    except Exception as error:  # see remember
        raise _failed(error) from None
    if not found:
        raise TrustError(
            N_("The keyring holds no passphrase for this key."), next_step=N_("Put it there with: steward keys remember FILE.")
        )
    return Secret(found.encode())


def forget(account: str) -> None:
    """Take a passphrase out of the keyring.

    Raises
    ------
    TrustError
        It holds none.
    """
    backend = _backend()
    try:
        backend.delete_password(SERVICE, account)
    except Exception as error:  # see remember
        raise _failed(error) from None


def _failed(error: Exception) -> TrustError:
    return TrustError(
        N_("The keyring did not do it ({kind})."),
        next_step=N_("Unlock it, or use --passphrase-file FILE (mode 0400)."),
        kind=type(error).__name__,
    )
