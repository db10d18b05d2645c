"""``steward keys``: make a signing key, show a public one."""

from __future__ import annotations

import argparse
from pathlib import Path

from steward.commands import _signing as shared
from steward.manifest_files import write_file
from steward.messages import N_, _
from steward.screen import Screen
from steward.signing import generate_key
from steward.signing.keys import MIN_ROUNDS

HELP = N_("make a signing key")
EXAMPLE = "steward keys new --person bob --to ~/.steward/bob.key"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words of this verb."""
    verbs = parser.add_subparsers(dest="what", required=True, metavar="new|show")
    new = verbs.add_parser("new", help=_("make a key file, protected by a passphrase"))
    new.add_argument("--person", required=True, metavar="NAME", help=_("whose key it is"))
    new.add_argument(
        "--to", type=Path, required=True, metavar="FILE", help=_("key file to write; the public key goes to FILE.pub")
    )
    new.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help=_("file with the passphrase, closed to others (mode 0400)")
    )
    new.add_argument("--rounds", type=int, default=MIN_ROUNDS, help=_("rounds of bcrypt; 64 take some 0.4 s to open"))
    show = verbs.add_parser("show", help=_("show the id of a public key"))
    show.add_argument("file", type=Path, metavar="FILE.pub")
    show.add_argument("--ssh", action="store_true", help=_("the key signs through ssh-keygen or an agent"))
    for each in (new, show):
        shared.everywhere(each)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Make or show a key."""
    if args.what == "show":
        key = shared.read_public(args.file, ssh=args.ssh)
        screen.say(N_("{file}: {scheme}, key id {keyid}"), file=args.file, scheme=key.scheme, keyid=key.keyid)
        screen.result({"keyid": key.keyid, "scheme": key.scheme})
        return 0
    person = shared.need_text(args.person, "name")
    secret = shared.passphrase(args, new=True, name=person)
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
    screen.say(N_("Key id {keyid}. Without its passphrase the key is lost; there is no other copy."), keyid=public.keyid)
    screen.next(f"steward trust add person {person} --role steward --pub {pub}")
    screen.result({"person": person, "keyid": public.keyid, "key": str(args.to), "public": str(pub)})
    return 0
