"""``steward sign``: approve a manifest.

Checks the folder as the executor will, shows what was checked, asks for the number of records, and signs exactly those
bytes. It never signs what it has not verified itself.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from steward.approval import Approval
from steward.commands import _show, _signers, _signing
from steward.errors import MalformedManifestError, UsageError
from steward.messages import N_, _
from steward.screen import Screen

HELP = N_("approve a manifest")
EXAMPLE = "steward sign manifests/01ARZ3NDEKTSV4RRFFQ69G5FAV --key bob.key --trust trust"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words of this verb."""
    parser.add_argument("folder", type=Path, metavar="DIR", help=_("the manifest's folder"))
    _signers.add_signer_arguments(parser)
    parser.add_argument(
        "--count", type=int, metavar="N", help=_("the number of records, for scripts; in a terminal you are asked")
    )
    parser.add_argument("--digest", metavar="SHA256", help=_("sign only if this is the digest"))
    parser.add_argument(
        "--require-plan", action="store_true", help=_("sign only if the executor's signed plan is beside the manifest")
    )
    parser.add_argument(
        "--against", type=Path, metavar="DIR", help=_("compare with this manifest; by default with the last one beside it")
    )
    _signing.add_policy_argument(parser)
    _signing.add_trust_arguments(parser)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Check, show, ask, sign."""
    with ExitStack() as closing:
        return _run(args, screen, closing)


def _run(args: argparse.Namespace, screen: Screen, closing: ExitStack) -> int:
    _signers.check_one_way(args)
    trust = _signing.open_trust(args)
    approval = closing.enter_context(
        Approval.open(
            args.folder,
            trust=trust,
            policies=_signing.open_policies(args),
            now=_signing.now(),
            workspace=_signing.workspace_or_none(args),
            against=args.against,
        )
    )
    approval.check_signable()
    summary = approval.summary
    if args.digest and args.digest != summary.digest:
        raise MalformedManifestError(N_("The digest is {found}, not the one you gave."), found=summary.digest)
    if args.require_plan:
        approval.require_plan()
    _show.show(screen, summary, approval.plan_problem)
    typed: str | int | None = args.count
    if typed is None:
        if not sys.stdin.isatty():
            raise UsageError(
                N_("Signing asks for the number of records."), next_step=N_("Run it in a terminal, or give --count N.")
            )
        typed = input(_("Type the number of records that will be changed to sign: "))
    approval.check_typed(typed)
    signer = _signers.open_signer(args, closing)
    done = approval.sign(signer, typed=typed, now=_signing.now())
    if not done.counts:
        screen.warn(N_("{person} proposed this manifest; the signature does not count as an approval."), person=done.person)
    screen.say(N_("Signed as {person}: {digest}"), person=done.person, digest=done.digest)
    for object, seats in done.missing.items():
        screen.say(N_("{object} still needs: {seats}."), object=object, seats=", ".join(seats))
    screen.next(f"steward-executor plan {args.folder}" if not done.missing else f"steward inspect {args.folder}")
    screen.result(
        {"manifest_id": summary.manifest_id, "digest": done.digest, "signed_as": done.person, "missing": done.missing}
    )
    return 0
