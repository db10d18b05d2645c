"""``steward keys``: make a signing key, show a public one, fetch one from a token or service, keep a passphrase in the keyring."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from steward.commands import _signers
from steward.commands import _signing as shared
from steward.errors import UsageError
from steward.manifest_files import read_key, write_file
from steward.messages import N_, _
from steward.screen import Screen
from steward.signing import PublicKey, generate_key, load_key
from steward.signing.interop import pem
from steward.signing.keys import MIN_ROUNDS

HELP = N_("make a signing key")
EXAMPLE = (
    "steward keys new --person bob --to ~/.steward/bob.key\n"
    "steward keys fetch --kms awskms:alias/approvals --to approvals.pem\n"
    "steward keys remember ~/.steward/bob.key"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words of this verb."""
    verbs = parser.add_subparsers(dest="what", required=True, metavar="new|show|fetch|remember|forget")
    new = verbs.add_parser("new", help=_("make a key file, protected by a passphrase"))
    new.add_argument("--person", required=True, metavar="NAME", help=_("whose key it is"))
    new.add_argument(
        "--to", type=Path, required=True, metavar="FILE", help=_("key file to write; the public key goes to FILE.pub")
    )
    _signers.add_passphrase_arguments(new)
    new.add_argument("--rounds", type=int, default=MIN_ROUNDS, help=_("rounds of bcrypt; 64 take some 0.4 s to open"))
    show = verbs.add_parser("show", help=_("show the id of a public key"))
    show.add_argument("file", type=Path, metavar="FILE.pub")
    show.add_argument("--ssh", action="store_true", help=_("the key signs through ssh-keygen or an agent"))
    fetch = verbs.add_parser("fetch", help=_("get the public key of a key on a token or in a service"))
    _signers.add_token_arguments(fetch)
    _signers.add_passphrase_arguments(fetch)
    fetch.add_argument("--to", type=Path, required=True, metavar="FILE.pem", help=_("file to write"))
    remember = verbs.add_parser("remember", help=_("put the passphrase of a key file into the system's keyring"))
    forget = verbs.add_parser("forget", help=_("take the passphrase of a key file out of the system's keyring"))
    for each in (remember, forget):
        each.add_argument("file", type=Path, metavar="FILE", help=_("your key file"))
    remember.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help=_("file with the passphrase, closed to others (mode 0400)")
    )
    for each in (new, show, fetch, remember, forget):
        shared.everywhere(each)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Do one of them."""
    verbs: dict[str, Callable[[argparse.Namespace, Screen], int]] = {
        "new": _new,
        "show": _show,
        "fetch": _fetch,
        "remember": _remember,
        "forget": _forget,
    }
    return verbs[args.what](args, screen)


def _show(args: argparse.Namespace, screen: Screen) -> int:
    key = shared.read_public(args.file, ssh=args.ssh)
    screen.say(N_("{file}: {scheme}, key id {keyid}"), file=args.file, scheme=key.scheme, keyid=key.keyid)
    screen.result({"keyid": key.keyid, "scheme": key.scheme})
    return 0


def _new(args: argparse.Namespace, screen: Screen) -> int:
    person = shared.need_text(args.person, "name")
    secret = _signers.passphrase(args, new=True, name=person)
    raw, public = generate_key(secret, rounds=args.rounds)
    pub = args.to.with_name(args.to.name + ".pub")
    args.to.parent.mkdir(parents=True, exist_ok=True)
    write_file(args.to, raw, mode=0o400, exclusive=True)
    write_file(pub, public.openssh_line(person).encode())
    screen.say(
        N_("Key of {person} written to {file}; give {pub} to those who keep the trust store."),
        person=person,
        file=args.to,
        pub=pub,
    )
    if args.keyring:
        from steward.keyring_store import account_of, remember

        remember(account_of(raw), secret)
        screen.say(N_("Its passphrase is in the system's keyring."))
    screen.say(N_("Key id {keyid}. Without its passphrase the key is lost; there is no other copy."), keyid=public.keyid)
    screen.next(f"steward trust add person {person} --role steward --pub {pub}")
    screen.result({"person": person, "keyid": public.keyid, "key": str(args.to), "public": str(pub)})
    return 0


def _fetch(args: argparse.Namespace, screen: Screen) -> int:
    if (args.pkcs11 is None) == (args.kms is None):
        raise UsageError(N_("Give one of --pkcs11 and --kms."))
    reference, public = _from_token(args) if args.pkcs11 is not None else _from_service(args)
    write_file(args.to, pem(public))
    screen.say(N_("Public key of {what} written to {file}; key id {keyid}."), what=reference, file=args.to, keyid=public.keyid)
    screen.next(f"steward trust add person NAME --role steward --pub {args.to}")
    screen.result({"reference": reference, "keyid": public.keyid, "scheme": public.scheme, "public": str(args.to)})
    return 0


def _from_token(args: argparse.Namespace) -> tuple[str, PublicKey]:
    from steward.pkcs11_signer import TokenSigner

    pin = _signers.passphrase(args, name=args.token, account=f"pkcs11 {args.token}")
    with TokenSigner(args.pkcs11, args.token, args.key_label, pin) as signer:
        return args.key_label, signer.public_key


def _from_service(args: argparse.Namespace) -> tuple[str, PublicKey]:
    from steward.kms_signer import fetch_public

    return fetch_public(args.kms)


def _remember(args: argparse.Namespace, screen: Screen) -> int:
    from steward.keyring_store import account_of, remember

    raw = read_key(args.file)
    args.keyring = False
    secret = _signers.passphrase(args, name=args.file.name)
    key = load_key(raw, secret)  # a wrong passphrase is not worth remembering
    backend = remember(account_of(raw), secret)
    screen.say(N_("The passphrase of {file} is in the system's keyring ({backend})."), file=args.file, backend=backend)
    screen.next(f"steward sign DIR --key {args.file} --keyring")
    screen.result({"keyid": key.keyid, "backend": backend})
    return 0


def _forget(args: argparse.Namespace, screen: Screen) -> int:
    from steward.keyring_store import account_of, forget

    forget(account_of(read_key(args.file)))
    screen.say(N_("The passphrase of {file} is not in the system's keyring any more."), file=args.file)
    screen.result({"forgotten": str(args.file)})
    return 0
