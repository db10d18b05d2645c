"""With what the page signs: a key file, an SSH key or agent, a token, or a key in a service; chosen before the page opens.

Left to others: the same in a terminal (``steward.commands._signers``), each way of signing itself.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import msgspec

from steward.errors import StewardError, UsageError
from steward.manifest_files import read_file, read_key
from steward.messages import N_
from steward.signing import PublicKey, Secret, Signer, load_key


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """One way of signing; exactly one of the four is named, or none for a page that only shows."""

    key: str | None = None
    ssh_key: str | None = None
    pkcs11: str | None = None
    token: str = ""
    key_label: str = ""
    kms: str | None = None
    kms_public: str | None = None

    @property
    def asks(self) -> Literal["", "passphrase", "pin"]:
        """What the page asks for besides the number."""
        return "passphrase" if self.key else "pin" if self.pkcs11 else ""

    @property
    def any(self) -> bool:
        """Whether it can sign at all."""
        return any((self.key, self.ssh_key, self.pkcs11, self.kms))

    def public(self) -> PublicKey | None:
        """Return the public key that lies beside the private one; None where none can be read. It decides nothing."""
        from steward.commands._signing import read_public

        where = self.kms_public or self.ssh_key or self.key
        if where is None:
            return None
        path = Path(where)
        beside = path if path.suffix in (".pub", ".pem") else path.with_name(path.name + ".pub")
        try:
            return read_public(beside, ssh=self.ssh_key is not None) if beside.exists() else None
        except (StewardError, OSError):
            return None

    def open(self, secret: Secret, closing: ExitStack) -> Signer:
        """Return the signer; what it holds open is closed with ``closing``.

        Raises
        ------
        UsageError
            The page was opened without a key.
        TrustError
            It cannot be opened.
        """
        if self.key is not None:
            return load_key(read_key(Path(self.key)), secret)
        if self.ssh_key is not None:
            from steward.ssh_keygen import SshKeygenSigner

            return SshKeygenSigner(Path(self.ssh_key))
        if self.pkcs11 is not None:
            from steward.pkcs11_signer import TokenSigner

            return closing.enter_context(TokenSigner(Path(self.pkcs11), self.token, self.key_label, secret))
        if self.kms is not None and self.kms_public is not None:
            from steward.kms_signer import ServiceSigner

            return ServiceSigner(self.kms, PublicKey.from_pem(read_file(Path(self.kms_public), limit=16_384)))
        raise UsageError(N_("This page was opened without a key: it only shows."), next_step=N_("Open it with --key FILE."))
