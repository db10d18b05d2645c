"""With what a person signs: a key file, an SSH key or agent or FIDO2 token, a PKCS#11 token, a key in a cloud or Vault.

A passphrase or PIN comes from a prompt, from a file closed to others, from the system's keyring, or from
``STEWARD_PASSPHRASE``; never from the command line, where every process of the machine could read it. Left to others: the
verbs, and each way of signing (``steward.signing.keys``, ``steward.ssh_keygen``, ``steward.pkcs11_signer``,
``steward.kms_signer``).
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from contextlib import ExitStack
from pathlib import Path

from steward.commands import _signing
from steward.errors import UsageError
from steward.manifest_files import read_key, read_secret
from steward.messages import N_, _
from steward.signing import Secret, Signer, load_key

_WAYS = ("key", "ssh_key", "pkcs11", "kms")


def add_signer_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the words that say with what to sign."""
    group = parser.add_argument_group(_("with what to sign, one of"))
    group.add_argument("--key", type=Path, metavar="FILE", help=_("your key file"))
    group.add_argument(
        "--ssh-key",
        type=Path,
        metavar="FILE",
        help=_("sign with ssh-keygen instead: a private key, or a public one whose key an agent or token holds"),
    )
    add_token_arguments(group)
    group.add_argument("--kms-public", type=Path, metavar="FILE.pem", help=_("public key of the key in the service"))
    add_passphrase_arguments(parser)


def add_token_arguments(group: argparse._ActionsContainer) -> None:
    """Add the words that name a key outside of files: on a token, or in a service."""
    group.add_argument(
        "--pkcs11",
        type=Path,
        metavar="MODULE",
        help=_("sign with a token through this PKCS#11 library; the passphrase is its PIN"),
    )
    group.add_argument("--token", default="", metavar="LABEL", help=_("label of the token"))
    group.add_argument("--key-label", default="", metavar="LABEL", help=_("label of the key on the token"))
    group.add_argument(
        "--kms",
        metavar="REFERENCE",
        help=_("sign with a key in a service: awskms:…, gcpkms:…, azurekms://… or hv:NAME/VERSION"),
    )


def add_passphrase_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--passphrase-file`` and ``--keyring``."""
    parser.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help=_("file with the passphrase, closed to others (mode 0400)")
    )
    parser.add_argument(
        "--keyring", action="store_true", help=_("take the passphrase from the system's keyring (see: steward keys remember)")
    )


def passphrase(args: argparse.Namespace, *, new: bool = False, name: str = "", account: str = "") -> Secret:
    """Return the passphrase from file, keyring, environment or prompt.

    Parameters
    ----------
    new : bool
        It is asked for twice.
    name : str
        Whose it is, for the prompt.
    account : str
        Where it stands in the keyring.

    Raises
    ------
    UsageError
        None is given and nobody can be asked.
    """
    if args.passphrase_file is not None:
        return read_secret(args.passphrase_file)
    if getattr(args, "keyring", False) and account:
        from steward.keyring_store import recall

        return recall(account)
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


def check_one_way(args: argparse.Namespace) -> None:
    """Refuse unless exactly one way of signing is named.

    Raises
    ------
    UsageError
    """
    if [getattr(args, way) for way in _WAYS].count(None) != len(_WAYS) - 1:
        raise UsageError(N_("Give one of --key, --ssh-key, --pkcs11 and --kms."))


def open_signer(args: argparse.Namespace, closing: ExitStack) -> Signer:
    """Return the signer that the words name; what it holds open is closed with ``closing``.

    Raises
    ------
    UsageError
        None or more than one is named.
    TrustError
        It cannot be opened.
    """
    check_one_way(args)
    if args.ssh_key is not None:
        from steward.ssh_keygen import SshKeygenSigner

        return SshKeygenSigner(args.ssh_key)
    if args.pkcs11 is not None:
        from steward.pkcs11_signer import TokenSigner

        pin = passphrase(args, name=args.token, account=f"pkcs11 {args.token}")
        return closing.enter_context(TokenSigner(args.pkcs11, args.token, args.key_label, pin))
    if args.kms is not None:
        from steward.kms_signer import ServiceSigner

        if args.kms_public is None:
            raise UsageError(
                N_("Which key is it? Give --kms-public FILE.pem."),
                next_step=N_("Get it with: steward keys fetch --kms REFERENCE."),
            )
        return ServiceSigner(args.kms, _signing.read_public(args.kms_public))
    from steward.keyring_store import account_of

    raw = read_key(args.key)
    return load_key(raw, passphrase(args, name=args.key.name, account=account_of(raw)))
