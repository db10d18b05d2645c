"""Signing with ssh-keygen: a key file, a key in an agent, a FIDO2 token that wants a touch. No Python dependency.

The signature is an SSHSIG in the namespace ``steward-manifest@v1``. ssh-keygen asks for passphrases and touches itself;
nothing secret passes through steward.

Left to others: checking such signatures (``steward.signing.sshsig``).
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from steward.errors import TrustError, UntrustedKeyError, UsageError
from steward.manifest_files import read_file
from steward.messages import N_
from steward.signing import PublicKey
from steward.signing.sshsig import NAMESPACE, verify_sshsig

_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_KINDS = {"ssh-ed25519": "sshsig-ed25519", "sk-ssh-ed25519@openssh.com": "sshsig-sk-ed25519"}


def ssh_public_key(path: Path) -> PublicKey:
    """Read an SSH public key for signing through ssh-keygen.

    Raises
    ------
    UntrustedKeyError
        Not an Ed25519 key, with or without a token.
    """
    words = read_file(path, limit=4_096).decode("utf-8", "replace").split()
    if len(words) < 2 or words[0] not in _KINDS:
        raise UntrustedKeyError(
            N_("{path} holds no Ed25519 SSH key."), next_step=N_("Make one with: ssh-keygen -t ed25519 -a 100."), path=path
        )
    key = PublicKey(_KINDS[words[0]], words[1])
    key.check()
    return key


def dearmor(text: str) -> bytes:
    """Return the bytes of an armoured SSH signature.

    Raises
    ------
    TrustError
    """
    lines = text.strip().splitlines()
    if len(lines) < 3 or lines[0] != _BEGIN or lines[-1] != _END:
        raise TrustError(N_("ssh-keygen gave no signature."))
    try:
        return base64.b64decode("".join(lines[1:-1]), validate=True)
    except ValueError:
        raise TrustError(N_("ssh-keygen gave no signature.")) from None


def armor(raw: bytes) -> str:
    """Return a signature in the form that ``ssh-keygen -Y verify`` reads."""
    text = base64.b64encode(raw).decode()
    return "\n".join([_BEGIN, *(text[i : i + 70] for i in range(0, len(text), 70)), _END]) + "\n"


class SshKeygenSigner:
    """Signs by running ``ssh-keygen -Y sign``.

    Parameters
    ----------
    key : Path
        A private key file with ``.pub`` beside it, or a public key file whose private key an agent holds.
    timeout : float
        Seconds to wait for passphrase or touch.
    """

    def __init__(self, key: Path, *, timeout: float = 120.0) -> None:
        self._key = key
        self._timeout = timeout
        self.public_key = ssh_public_key(key if key.suffix == ".pub" else key.with_name(key.name + ".pub"))

    @property
    def keyid(self) -> str:
        """Id of the public key."""
        return self.public_key.keyid

    def sign(self, message: bytes) -> bytes:
        """Return the SSHSIG of ``message``, checked before it is returned.

        Raises
        ------
        UsageError
            No ssh-keygen here.
        TrustError
            It failed, was not touched in time, or gave a signature of another key.
        """
        program = shutil.which("ssh-keygen")
        if program is None:
            raise UsageError(N_("ssh-keygen is not installed."), next_step=N_("Install OpenSSH, or sign with --key."))
        with tempfile.TemporaryDirectory(prefix="steward-") as folder:
            file = Path(folder) / "message"
            file.write_bytes(message)
            command = [program, "-Y", "sign", "-q", "-f", str(self._key), "-n", NAMESPACE.decode(), str(file)]
            kept = {name: value for name, value in os.environ.items() if name != "STEWARD_PASSPHRASE"}
            try:
                done = subprocess.run(
                    command, stdout=subprocess.DEVNULL, timeout=self._timeout, check=False, env=kept
                )  # fixed words; it may ask on the terminal
            except subprocess.TimeoutExpired:
                raise TrustError(N_("ssh-keygen did not sign in time.")) from None
            made = file.with_name("message.sig")
            if done.returncode != 0 or not made.exists():
                raise TrustError(N_("ssh-keygen did not sign; it said why above."))
            raw = dearmor(made.read_text(encoding="ascii"))
        verify_sshsig(self.public_key.raw, self.public_key.scheme, raw, message)
        return raw
