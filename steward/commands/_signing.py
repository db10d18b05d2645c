"""What the signing verbs share: passphrases, keys, the trust folder, the policy, and what a person is shown.

A passphrase comes from a prompt, from a file closed to others, or from ``STEWARD_PASSPHRASE``; never from the command
line, where every process of the machine could read it. Left to others: the verbs.
"""

from __future__ import annotations

import argparse
import base64
import getpass
import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from steward import __version__
from steward.errors import TrustError, UntrustedKeyError, UsageError
from steward.manifest.codec import problem_of
from steward.manifest.format import ManifestPredicate
from steward.manifest_files import ManifestFolder, read_file, read_key, read_secret, read_trust_folder
from steward.messages import N_, _
from steward.policy import Policy, parse_policy
from steward.signing import FileSigner, PolicyInForce, PublicKey, Secret, TrustStore, VerifyContext, load_key, load_trust

_DEFAULT_POLICY = Path(__file__).parent.parent / "default_policy.toml"
_SHA = re.compile(r"[0-9a-f]{64}")


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


def add_key_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--key`` and ``--passphrase-file``."""
    parser.add_argument("--key", type=Path, required=True, metavar="FILE", help=_("your key file"))
    parser.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help=_("file with the passphrase, closed to others (mode 0400)")
    )


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


def pin_file(folder: Path) -> Path:
    """The file beside (not in) a trust folder that holds the pin."""
    return folder.with_name(folder.name + ".pin")


def pin_of(args: argparse.Namespace, folder: Path) -> str:
    """Return the pin; there is no trust at first sight."""
    pin = args.pin or ""
    if not pin:
        path = pin_file(folder)
        if not path.exists():
            raise TrustError(
                N_("Nothing says which trust store is the right one."),
                next_step=N_("Get the digest of its first version another way than the files, and give it with --pin."),
            )
        pin = read_file(path, limit=200).decode("ascii", "replace").strip()
    if not _SHA.fullmatch(pin):
        raise UsageError(N_("A pin is 64 hexadecimal digits."))
    return str(pin)


def open_trust(args: argparse.Namespace) -> TrustStore:
    """Return the checked trust store."""
    folder = trust_folder(args)
    return load_trust(read_trust_folder(folder), pin=pin_of(args, folder), now=now())


def open_policies(args: argparse.Namespace) -> list[Policy]:
    """Return the policies in force here: those given, or the one that ships."""
    paths = args.policy or [_DEFAULT_POLICY]
    found = []
    for path in paths:
        raw = read_file(path, limit=1 << 20)
        try:
            found.append(parse_policy(raw.decode("utf-8"), where=path.name))
        except UnicodeDecodeError:
            raise UsageError(N_("{path} is not UTF-8 text."), path=path) from None
    return found


def in_force(policies: list[Policy]) -> Mapping[str, PolicyInForce]:
    """Return policies as verification takes them."""
    return {p.digest: PolicyInForce.of(p) for p in policies}


def passphrase(args: argparse.Namespace, *, new: bool = False, name: str = "") -> Secret:
    """Return the passphrase from file, environment or prompt."""
    if args.passphrase_file is not None:
        return read_secret(args.passphrase_file)
    if os.environ.get("STEWARD_PASSPHRASE"):
        return Secret(os.environ["STEWARD_PASSPHRASE"].encode())
    if not sys.stdin.isatty():
        raise UsageError(
            N_("A passphrase is needed."), next_step=N_("Give --passphrase-file FILE (mode 0400), or run it in a terminal.")
        )
    first = getpass.getpass(_("Passphrase of {name}: ").format(name=name))
    if new and getpass.getpass(_("Again: ")) != first:
        raise UsageError(N_("The two passphrases differ; nothing was written."))
    return Secret(first.encode())


def open_key(args: argparse.Namespace) -> FileSigner:
    """Return the signer of ``--key``."""
    raw = read_key(args.key)
    return load_key(raw, passphrase(args, name=args.key.name))


def read_public(path: Path, *, ssh: bool = False) -> PublicKey:
    """Read a public key file in OpenSSH's one-line form.

    Parameters
    ----------
    ssh : bool
        The key signs through ssh-keygen or an agent (SSHSIG) instead of a key file of steward.

    Raises
    ------
    UntrustedKeyError
    """
    words = read_file(path, limit=4_096).decode("utf-8", "replace").split()
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


def context_of(folder: ManifestFolder, said: ManifestPredicate, policies: Mapping[str, PolicyInForce]) -> VerifyContext:
    """Return a context for showing and signing: where it runs is what the statement says, and is shown for that."""
    return VerifyContext(
        tenant=said.tenant,
        system=said.system,
        environment=said.environment,
        now=now(),
        policies=policies,
        tool_version=__version__,
        vetoes=folder.vetoes(),
    )


def need_text(value: str, what: str) -> str:
    """Return ``value`` if it may stand in a document."""
    if problem_of(value) or not value:
        raise UsageError(N_("The {what} holds characters that a signed document may not carry."), what=what)
    return value
