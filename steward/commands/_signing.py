"""What the signing verbs share: the trust folder, the policy, public key files.

Left to others: the verbs, keys and passphrases (``_signers``), opening a manifest for approval (``steward.approval``).
"""

from __future__ import annotations

import argparse
import base64
import os
from datetime import UTC, datetime
from pathlib import Path

from steward import approval
from steward.approval import in_force, pin_file, read_pin
from steward.errors import UntrustedKeyError, UsageError
from steward.manifest.codec import problem_of
from steward.manifest_files import read_file
from steward.messages import N_, _
from steward.policy import Policy
from steward.signing import PublicKey, TrustStore

__all__ = [
    "add_policy_argument",
    "add_trust_arguments",
    "everywhere",
    "in_force",
    "need_text",
    "now",
    "open_policies",
    "open_trust",
    "pin_file",
    "pin_of",
    "read_public",
    "trust_folder",
    "workspace_or_none",
]


def now() -> datetime:
    """The time in UTC, whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def everywhere(parser: argparse.ArgumentParser) -> None:
    """Let the words every verb understands stand after a sub-verb too."""
    from steward.cli import common_arguments

    common_arguments(parser)
    for action in parser._actions:
        if action.dest in ("workspace", "json", "quiet", "language"):
            action.default = argparse.SUPPRESS


def add_trust_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--trust`` and ``--pin``."""
    parser.add_argument(
        "--trust", type=Path, metavar="DIR", help=_("trust folder (or STEWARD_TRUST; by default trust in the workspace)")
    )
    parser.add_argument("--pin", metavar="SHA256", help=_("digest of the first trust version (by default from DIR.pin)"))


def add_policy_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--policy``."""
    parser.add_argument("--policy", type=Path, action="append", metavar="FILE", help=_("policy; by default the one that ships"))


def trust_folder(args: argparse.Namespace) -> Path:
    """Return the trust folder the words name."""
    if args.trust is not None:
        return Path(args.trust)
    if os.environ.get("STEWARD_TRUST"):
        return Path(os.environ["STEWARD_TRUST"])
    where = args.workspace or os.environ.get("STEWARD_WORKSPACE")
    if not where:
        raise UsageError(N_("Which trust folder?"), next_step=N_("Give --trust DIR or set STEWARD_TRUST."))
    return Path(where) / "trust"


def pin_of(args: argparse.Namespace, folder: Path) -> str:
    """Return the pin; there is no trust at first sight."""
    return read_pin(folder, args.pin)


def open_trust(args: argparse.Namespace) -> TrustStore:
    """Return the checked trust store."""
    return approval.open_trust(trust_folder(args), now=now(), pin=args.pin)


def open_policies(args: argparse.Namespace) -> list[Policy]:
    """Return the policies in force here: those given, or the one that ships."""
    return approval.open_policies(args.policy or ())


def read_public(path: Path, *, ssh: bool = False) -> PublicKey:
    """Read a public key file: OpenSSH's one line, or PEM as tokens and services give it.

    Parameters
    ----------
    ssh : bool
        The key signs through ssh-keygen or an agent (SSHSIG) instead of a key file of steward.

    Raises
    ------
    UntrustedKeyError
    """
    text = read_file(path, limit=4_096).decode("utf-8", "replace")
    if "-----BEGIN PUBLIC KEY-----" in text:
        return PublicKey.from_pem(text.encode())
    words = text.split()
    if len(words) < 2:
        raise UntrustedKeyError(N_("{path} holds no public key."), path=path)
    kind, wire = words[0], words[1]
    try:
        raw = base64.b64decode(wire, validate=True)
    except ValueError:
        raise UntrustedKeyError(N_("{path} holds no public key."), path=path) from None
    if kind == "sk-ssh-ed25519@openssh.com":
        key = PublicKey("sshsig-sk-ed25519", wire)
    elif kind == "ssh-ed25519":
        key = PublicKey("sshsig-ed25519", wire)
        if not ssh:
            from steward.signing.sshsig import public_of_wire

            key = PublicKey("ed25519", base64.b64encode(public_of_wire(raw, "sshsig-ed25519")).decode())
    elif kind == "ecdsa-sha2-nistp256" and len(raw) > 65:
        key = PublicKey("ecdsa-sha2-nistp256", base64.b64encode(raw[-65:]).decode())
    else:
        raise UntrustedKeyError(N_("{path} holds a kind of key that is not used here."), path=path)
    key.check()
    return key


def need_text(value: str, what: str) -> str:
    """Return ``value`` if it may stand in a document."""
    if problem_of(value) or not value:
        raise UsageError(N_("The {what} holds characters that a signed document may not carry."), what=what)
    return value


def workspace_or_none(args: argparse.Namespace) -> Path | None:
    """The workspace where one is named."""
    where = args.workspace or os.environ.get("STEWARD_WORKSPACE")
    return Path(where) if where else None
