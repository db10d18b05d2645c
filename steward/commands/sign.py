"""``steward sign``: approve a manifest.

Checks the folder as the executor will, shows what was checked, asks for the number of records, and signs exactly those
bytes. It never signs what it has not verified itself.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from steward.commands import _show, _signing
from steward.commands.inspect import held_records, workspace_or_none
from steward.errors import MalformedManifestError, TrustError, UsageError, VetoedError
from steward.manifest.format import PLAN_TYPE
from steward.manifest_files import ManifestFolder
from steward.messages import N_, _
from steward.screen import Screen
from steward.signing import Signer, TrustStore, cosign_statement, examine
from steward.signing.statements import check_signatures, signed_envelope

HELP = N_("approve a manifest")
EXAMPLE = "steward sign manifests/01ARZ3NDEKTSV4RRFFQ69G5FAV --key bob.key --trust trust"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words of this verb."""
    parser.add_argument("folder", type=Path, metavar="DIR", help=_("the manifest's folder"))
    parser.add_argument("--key", type=Path, metavar="FILE", help=_("your key file"))
    parser.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help=_("file with the passphrase, closed to others (mode 0400)")
    )
    parser.add_argument(
        "--ssh-key",
        type=Path,
        metavar="FILE",
        help=_("sign with ssh-keygen instead: a private key, or a public one whose key an agent or token holds"),
    )
    parser.add_argument(
        "--pkcs11",
        type=Path,
        metavar="MODULE",
        help=_("sign with a token through this PKCS#11 library; the passphrase is its PIN"),
    )
    parser.add_argument("--token", default="", metavar="LABEL", help=_("label of the token"))
    parser.add_argument("--key-label", default="", metavar="LABEL", help=_("label of the key on the token"))
    parser.add_argument(
        "--count", type=int, metavar="N", help=_("the number of records, for scripts; in a terminal you are asked")
    )
    parser.add_argument("--digest", metavar="SHA256", help=_("sign only if this is the digest"))
    parser.add_argument(
        "--require-plan", action="store_true", help=_("sign only if the executor's signed plan is beside the manifest")
    )
    _signing.add_policy_argument(parser)
    _signing.add_trust_arguments(parser)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Check, show, ask, sign."""
    with ExitStack() as closing:
        return _run(args, screen, closing)


def _run(args: argparse.Namespace, screen: Screen, closing: ExitStack) -> int:
    if [args.key, args.ssh_key, args.pkcs11].count(None) != 2:
        raise UsageError(N_("Give one of --key, --ssh-key and --pkcs11."))
    trust = _signing.open_trust(args)
    policies = _signing.in_force(_signing.open_policies(args))
    folder = ManifestFolder(args.folder)
    envelope = folder.envelope()
    with folder.items() as items:
        context = _signing.context_of(folder, _show.predicate_of(envelope), policies)
        manifest = examine(envelope, items, trust, context)
        if context.vetoes:
            raise VetoedError(
                N_("There is a veto beside the manifest {id}."),
                next_step=N_("Talk to whoever vetoed, then propose again."),
                id=manifest.id,
            )
        if args.digest and args.digest != manifest.digest:
            raise MalformedManifestError(N_("The digest is {found}, not the one you gave."), found=manifest.digest)
        if args.require_plan:
            _check_plan(folder, trust, manifest.digest, context.tenant)
        held = held_records(folder, manifest.predicate.held_back)
        _show.show(screen, manifest, trust, held=held, workspace=workspace_or_none(args))
    typed = args.count
    if typed is None:
        if not sys.stdin.isatty():
            raise UsageError(
                N_("Signing asks for the number of records."), next_step=N_("Run it in a terminal, or give --count N.")
            )
        answer = input(_("Type the number of records that will be changed to sign: ")).strip().replace(",", "").replace(" ", "")
        typed = int(answer) if answer.isdecimal() and len(answer) < 16 else -1
    if typed != len(manifest):
        raise UsageError(
            N_("The manifest has {found} records; {typed} was typed. Nothing was signed."), found=len(manifest), typed=typed
        )
    signer: Signer
    if args.ssh_key is not None:
        from steward.ssh_keygen import SshKeygenSigner

        signer = SshKeygenSigner(args.ssh_key)
    elif args.pkcs11 is not None:
        from steward.pkcs11_signer import TokenSigner

        pin = _signing.passphrase(args, name=args.token)
        signer = closing.enter_context(TokenSigner(args.pkcs11, args.token, args.key_label, pin))
    else:
        signer = _signing.open_key(args)
    person, _key = trust.person_of(signer.keyid, context.now)
    signed = cosign_statement(envelope, signer)
    payload, signatures = signed_envelope(signed)
    check_signatures(payload, signatures, trust, context.now)
    if folder.envelope() != envelope:
        raise TrustError(N_("Someone else signed meanwhile; nothing was written."), next_step=N_("Run the same command again."))
    folder.write_envelope(signed)
    if person.id == manifest.predicate.proposer.person:
        screen.warn(N_("{person} proposed this manifest; the signature does not count as an approval."), person=person.id)
    with folder.items() as items:
        again = examine(signed, items, trust, context)
    missing = {o: seats for o, seats in _show.missing_seats(again, trust).items() if seats}
    screen.say(N_("Signed as {person}: {digest}"), person=person.id, digest=manifest.digest)
    for object, seats in missing.items():
        screen.say(N_("{object} still needs: {seats}."), object=object, seats=", ".join(seats))
    screen.next(f"steward-executor plan {args.folder}" if not missing else f"steward inspect {args.folder}")
    screen.result({"manifest_id": manifest.id, "digest": manifest.digest, "signed_as": person.id, "missing": missing})
    return 0


def _check_plan(folder: ManifestFolder, trust: TrustStore, digest: str, tenant: str) -> None:
    """Refuse unless an executor of the tenant has signed a plan for exactly this manifest."""
    from steward.signing.statements import subject_of_executor_statement

    raw = folder.plan()
    if raw is None:
        raise TrustError(
            N_("There is no plan of the executor beside the manifest."),
            next_step=N_("Have it made with: steward-executor plan."),
        )
    subjects = subject_of_executor_statement(raw, trust=trust, now=_signing.now(), tenant=tenant, predicate_type=PLAN_TYPE)
    if digest not in subjects:
        raise TrustError(N_("The plan beside the manifest is for another one."))
