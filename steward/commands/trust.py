"""``steward trust``: who may approve what. Every change is a new version that root holders sign.

A change goes into ``draft.dsse.json``; several changes can go into one draft. It becomes the next version once the root
holders of both versions have signed it (``steward trust sign``); until then the version before is in force.
"""

from __future__ import annotations

import argparse
import re
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from steward.commands import _signers
from steward.commands import _signing as shared
from steward.errors import StewardError, ThresholdNotMetError, TrustError, UsageError
from steward.manifest_files import MAX_TRUST_FILE, read_file, read_trust_folder, write_file, write_trust
from steward.messages import N_, _
from steward.policy import parse_policy
from steward.screen import Screen
from steward.signing import (
    Environment,
    Executor,
    Grant,
    Person,
    Recipient,
    Revoked,
    Root,
    RootHolder,
    Trust,
    TrustedKey,
    draft_trust,
    load_trust,
    read_trust,
    sign_trust,
    trusted_key,
)
from steward.signing.trust import ROLES

HELP = N_("say who may approve what")
EXAMPLE = (
    "steward trust init --trust trust --root ria=ria.pub --root rex=rex.pub --sandbox training\n"
    "steward trust add person bob --role steward --pub bob.key.pub --trust trust\n"
    "steward trust sign --key ria.key --trust trust"
)
DRAFT_NAME = "draft.dsse.json"
KINDS = ("person", "executor", "recipient", "policy", "environment")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words of this verb."""
    verbs = parser.add_subparsers(dest="what", required=True, metavar="init|add|remove|rotate|sign|pin|show")
    init = verbs.add_parser("init", help=_("begin a trust store"))
    init.add_argument(
        "--root", action="append", default=[], metavar="PERSON=FILE.pub", help=_("who may change the store; two or more")
    )
    init.add_argument("--threshold", type=int, default=2, help=_("how many of them must sign; two or more"))
    init.add_argument(
        "--environment", action="append", default=[], metavar="NAME", help=_("an environment where grace is compulsory")
    )
    init.add_argument("--sandbox", action="append", default=[], metavar="NAME", help=_("an environment for training"))
    add = verbs.add_parser("add", help=_("add someone or something"))
    add.add_argument("kind", choices=KINDS)
    add.add_argument("name", help=_("id; for a policy its file"))
    add.add_argument(
        "--role", action="append", default=[], metavar="ROLE[:TENANT[:OBJECT]]", help=_("one of: ") + ", ".join(ROLES)
    )
    add.add_argument("--pub", type=Path, action="append", default=[], metavar="FILE.pub", help=_("public key"))
    add.add_argument("--ssh", action="store_true", help=_("the key signs through ssh-keygen or an agent"))
    add.add_argument("--days", type=int, default=365, help=_("how long the key counts"))
    add.add_argument("--tenant", default="", help=_("of an executor"))
    add.add_argument("--recipient", default="", metavar="AGE", help=_("age or SSH public key that opens backups"))
    add.add_argument("--as-sandbox", action="store_true", help=_("the environment is for training"))
    remove = verbs.add_parser("remove", help=_("remove someone, or revoke a key or a manifest"))
    remove.add_argument("kind", choices=(*KINDS, "key", "manifest"))
    remove.add_argument("name", help=_("id"))
    rotate = verbs.add_parser("rotate", help=_("renew the store, or replace its root holders"))
    rotate.add_argument(
        "--root", action="append", default=[], metavar="PERSON=FILE.pub", help=_("the new root holders, all of them")
    )
    rotate.add_argument("--threshold", type=int, help=_("how many of them must sign; two or more"))
    sign = verbs.add_parser("sign", help=_("sign the draft as a root holder"))
    _signers.add_signer_arguments(sign)
    pin = verbs.add_parser("pin", help=_("remember the digest of the first version, got another way than the files"))
    pin.add_argument("digest")
    verbs.add_parser("show", help=_("show the store and whether it holds"))
    for each in (init, rotate):
        each.add_argument(
            "--root-ssh",
            action="append",
            default=[],
            metavar="PERSON=FILE.pub",
            help=_("the same for a key that signs through ssh-keygen, an agent or a FIDO2 token"),
        )
        each.add_argument("--valid-days", type=int, default=365, help=_("how long the version is valid, a year at most"))
    for each in (init, add, remove, rotate, sign, pin, verbs.choices["show"]):
        shared.add_trust_arguments(each)
        shared.everywhere(each)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Do one of them."""
    folder = shared.trust_folder(args)
    if args.what == "init":
        return _init(args, screen, folder)
    if args.what == "pin":
        args.pin = args.digest
        pin = shared.pin_of(args, folder)
        write_file(shared.pin_file(folder), (pin + "\n").encode())
        screen.say(N_("Pinned {pin}."), pin=pin)
        screen.result({"pin": pin})
        return 0
    if args.what == "show":
        return _show(args, screen, folder)
    if args.what == "sign":
        return _sign(args, screen, folder)
    chain = _versions(folder)
    document, drafted = _open_draft(args, folder, chain)
    changed = {"add": _add, "remove": _remove, "rotate": _rotate}[args.what](args, document)
    return _write(args, screen, folder, changed, drafted)


def _versions(folder: Path) -> list[bytes]:
    """The versions in force; none while the first is a draft."""
    return [] if (folder / DRAFT_NAME).exists() and not (folder / "1.dsse.json").exists() else read_trust_folder(folder)


def _init(args: argparse.Namespace, screen: Screen, folder: Path) -> int:
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(N_("{path} is not empty."), path=folder)
    moment = shared.now()
    environments = [Environment(name=n, sandbox=False) for n in args.environment or ["production"]]
    environments += [Environment(name=n, sandbox=True) for n in args.sandbox]
    document = Trust(
        version=1,
        issued=moment,
        expires=moment + timedelta(days=args.valid_days),
        previous=None,
        root=_root(args.root, args.threshold, moment, args.root_ssh),
        people=(),
        executors=(),
        recipients=(),
        policies=(),
        environments=tuple(environments),
        revoked=Revoked(keys=(), manifests=()),
        minimum_tool="0.1",
    )
    return _write(args, screen, folder, document, False)


def _root(words: list[str], threshold: int, moment: datetime, by_ssh: list[str]) -> Root:
    holders = []
    for word, ssh in [*((w, False) for w in words), *((w, True) for w in by_ssh)]:
        person, equals, path = word.partition("=")
        if not equals or not person:
            raise UsageError(N_("{word} is not PERSON=FILE.pub."), word=word)
        key = shared.read_public(Path(path), ssh=ssh)
        holders.append(
            RootHolder(
                person=shared.need_text(person, "name"), key=trusted_key(key, from_=moment, to=moment + timedelta(days=3650))
            )
        )
    if not 2 <= threshold <= 8 or len(holders) < threshold:
        raise UsageError(N_("At least two root holders must sign, and there must be as many."))
    return Root(threshold=threshold, holders=tuple(holders))


def _open_draft(args: argparse.Namespace, folder: Path, chain: list[bytes]) -> tuple[Trust, bool]:
    """Return the version to change: the draft where there is one, else what follows the last."""
    if (folder / DRAFT_NAME).exists():
        return read_trust(read_file(folder / DRAFT_NAME, limit=MAX_TRUST_FILE))[0], True
    load_trust(chain, pin=shared.pin_of(args, folder), now=read_trust(chain[-1])[0].issued)
    last, digest = read_trust(chain[-1])
    moment = shared.now()
    life = last.expires - last.issued
    return msgspec.structs.replace(last, version=last.version + 1, previous=digest, issued=moment, expires=moment + life), False


def _write(args: argparse.Namespace, screen: Screen, folder: Path, document: Trust, drafted: bool) -> int:
    raw = draft_trust(document)
    digest = read_trust(raw)[1]
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / DRAFT_NAME, raw)
    if document.version == 1:
        write_file(shared.pin_file(folder), (digest + "\n").encode())
        screen.say(
            N_("The pin of the store is {pin}. Tell it to every signer and executor another way than the files."), pin=digest
        )
    if drafted:
        screen.say(N_("The draft was changed; signatures it had are gone."))
    needed = sorted({h.person for h in document.root.holders})
    screen.say(
        N_("Version {version} is a draft until {threshold} of {people} have signed it."),
        version=document.version,
        threshold=document.root.threshold,
        people=", ".join(needed),
    )
    screen.next(f"steward trust sign --key FILE --trust {folder}")
    screen.result({"version": document.version, "digest": digest, "signatures": 0})
    return 0


def _sign(args: argparse.Namespace, screen: Screen, folder: Path) -> int:
    with ExitStack() as closing:
        return _sign_with(args, screen, folder, closing)


def _sign_with(args: argparse.Namespace, screen: Screen, folder: Path, closing: ExitStack) -> int:
    if not (folder / DRAFT_NAME).exists():
        raise UsageError(N_("There is no draft to sign."), next_step=N_("See what is in force with: steward trust show."))
    chain = _versions(folder)
    draft = read_file(folder / DRAFT_NAME, limit=MAX_TRUST_FILE)
    document, _digest = read_trust(draft)
    holders = {h.key.keyid: h.person for h in document.root.holders}
    if chain:
        holders |= {h.key.keyid: h.person for h in read_trust(chain[-1])[0].root.holders}
    _tell(screen, document)
    signer = _signers.open_signer(args, closing)
    if signer.keyid not in holders:
        raise TrustError(
            N_("This key belongs to no root holder of the store."),
            next_step=N_("Root holders are: {people}."),
            people=", ".join(sorted(set(holders.values()))),
        )
    signed = sign_trust(draft, signer)
    try:
        load_trust([*chain, signed], pin=shared.pin_of(args, folder), now=max(document.issued, shared.now()))
        holds = True
        write_trust(folder, document.version, signed)
        (folder / DRAFT_NAME).unlink()
        screen.say(N_("Version {version} is signed by enough root holders and is in force."), version=document.version)
    except ThresholdNotMetError as error:
        holds = False
        write_file(folder / DRAFT_NAME, signed)
        screen.say(N_("Signed as {person}. {rest}"), person=holders[signer.keyid], rest=error.render(_))
    screen.result({"version": document.version, "signed_as": holders[signer.keyid], "holds": holds})
    return 0


def _grants(words: list[str]) -> tuple[Grant, ...]:
    grants = []
    for word in words:
        role, tenant, object = [*word.split(":"), "*", "*"][:3]
        if role not in ROLES or role == "executor":
            raise UsageError(
                N_("{role} is no role of people; there are {known}."),
                role=role,
                known=", ".join(r for r in ROLES if r != "executor"),
            )
        grants.append(Grant(role=role, tenant=tenant or "*", object=object or "*"))
    return tuple(sorted(grants, key=lambda g: (g.role, g.tenant, g.object)))


def _keys(args: argparse.Namespace) -> tuple[TrustedKey, ...]:
    start = shared.now()
    return tuple(
        trusted_key(shared.read_public(p, ssh=args.ssh), from_=start, to=start + timedelta(days=args.days)) for p in args.pub
    )


def _add(args: argparse.Namespace, document: Trust) -> Trust:
    name = shared.need_text(args.name, "name")
    replace = msgspec.structs.replace
    if args.kind == "person":
        there = next((p for p in document.people if p.id == name), None)
        roles = _grants(args.role) or (there.roles if there else ())
        if not roles:
            raise UsageError(N_("Which role? Give --role."))
        person = Person(id=name, roles=roles, keys=(*(there.keys if there else ()), *_keys(args)))
        rest = [p for p in document.people if p.id != name]
        return replace(document, people=tuple(sorted([*rest, person], key=lambda p: p.id)))
    if args.kind == "executor":
        if not args.tenant or not args.pub:
            raise UsageError(N_("An executor needs --tenant and --pub."))
        machine = Executor(id=name, tenant=args.tenant, keys=_keys(args))
        others = [e for e in document.executors if e.id != name]
        return replace(document, executors=tuple(sorted([*others, machine], key=lambda e: e.id)))
    if args.kind == "recipient":
        if not re.fullmatch(r"age1[a-z0-9]{20,}|ssh-(ed25519|rsa) \S+( .*)?", args.recipient):
            raise UsageError(N_("A recipient is an age or SSH public key; give --recipient."))
        opener = Recipient(id=name, recipient=args.recipient)
        kept = [r for r in document.recipients if r.id != name]
        return replace(document, recipients=tuple(sorted([*kept, opener], key=lambda r: r.id)))
    if args.kind == "policy":
        path = Path(args.name)
        digest = parse_policy(read_file(path, limit=1 << 20).decode("utf-8", "strict"), where=path.name).digest
        return replace(document, policies=tuple(sorted({*document.policies, digest})))
    known = [e for e in document.environments if e.name != name]
    return replace(document, environments=(*known, Environment(name=name, sandbox=args.as_sandbox)))


def _remove(args: argparse.Namespace, document: Trust) -> Trust:
    name, replace = args.name, msgspec.structs.replace
    if args.kind == "key":
        return replace(document, revoked=replace(document.revoked, keys=tuple(sorted({*document.revoked.keys, name}))))
    if args.kind == "manifest":
        return replace(
            document, revoked=replace(document.revoked, manifests=tuple(sorted({*document.revoked.manifests, name})))
        )
    changed = replace(
        document,
        people=tuple(p for p in document.people if args.kind != "person" or p.id != name),
        executors=tuple(e for e in document.executors if args.kind != "executor" or e.id != name),
        recipients=tuple(r for r in document.recipients if args.kind != "recipient" or r.id != name),
        policies=tuple(d for d in document.policies if args.kind != "policy" or not (len(name) >= 8 and d.startswith(name))),
        environments=tuple(e for e in document.environments if args.kind != "environment" or e.name != name),
    )
    if changed == document:
        raise UsageError(N_("The trust store holds no {kind} {name}."), kind=args.kind, name=name)
    return changed


def _rotate(args: argparse.Namespace, document: Trust) -> Trust:
    root = document.root
    if args.root or args.root_ssh:
        root = _root(args.root, args.threshold or root.threshold, shared.now(), args.root_ssh)
    elif args.threshold:
        root = Root(threshold=args.threshold, holders=root.holders)
    return msgspec.structs.replace(document, root=root, expires=document.issued + timedelta(days=args.valid_days))


def _show(args: argparse.Namespace, screen: Screen, folder: Path) -> int:
    chain = _versions(folder)
    if (folder / DRAFT_NAME).exists():
        screen.warn(
            N_("A draft waits for signatures; what follows is {what}."), what=_("in force") if chain else _("that draft")
        )
    document, digest = read_trust(chain[-1] if chain else read_file(folder / DRAFT_NAME, limit=MAX_TRUST_FILE))
    _tell(screen, document)
    try:
        load_trust(chain, pin=shared.pin_of(args, folder), now=shared.now())
        problem = ""
        screen.say(N_("The store holds: every version up to {version} is signed as it must be."), version=document.version)
    except StewardError as error:
        problem = error.render(_)
        screen.warn(N_("The store does not hold: {problem}"), problem=problem)
    screen.result(
        {
            "version": document.version,
            "digest": digest,
            "holds": not problem,
            "problem": problem,
            "document": msgspec.to_builtins(document),
        }
    )
    return 0 if not problem else 8


def _tell(screen: Screen, document: Trust) -> None:
    screen.heading(
        N_("Trust store, version {version}, valid until {expires}"), version=document.version, expires=document.expires.date()
    )
    screen.say(
        N_("Root: {threshold} of {people}"),
        threshold=document.root.threshold,
        people=", ".join(h.person for h in document.root.holders),
    )
    rows = []
    revoked, moment = set(document.revoked.keys), datetime.now(UTC)
    for person in document.people:
        roles = ", ".join(
            g.role + ("" if (g.tenant, g.object) == ("*", "*") else f" ({g.tenant}/{g.object})") for g in person.roles
        )
        for key in person.keys or (None,):
            state = (
                "–"
                if key is None
                else _("revoked")
                if key.keyid in revoked
                else key.to.date().isoformat()
                if key.valid_at(moment)
                else _("out of time")
            )
            rows.append((person.id, roles, key.scheme if key else "–", key.keyid[:16] if key else "–", state))
    for machine in document.executors:
        rows += [
            (
                machine.id,
                f"executor ({machine.tenant})",
                k.scheme,
                k.keyid[:16],
                _("revoked") if k.keyid in revoked else k.to.date().isoformat(),
            )
            for k in machine.keys
        ]
    screen.table(N_("Who may do what"), (N_("who"), N_("roles"), N_("scheme"), N_("key id"), N_("counts until")), rows)
    screen.say(
        N_("Backup recipients: {recipients}. Policies: {policies}. Environments: {environments}."),
        recipients=", ".join(r.id for r in document.recipients) or "–",
        policies=", ".join(d[:12] for d in document.policies) or "–",
        environments=", ".join(e.name + (_(" (sandbox)") if e.sandbox else "") for e in document.environments),
    )
