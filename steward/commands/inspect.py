"""``steward inspect``: show what a manifest will do, from its verified bytes."""

from __future__ import annotations

import argparse
from pathlib import Path

from steward.approval import Approval
from steward.commands import _show, _signing
from steward.errors import UsageError
from steward.manifest_files import write_file
from steward.messages import N_, _
from steward.screen import Screen
from steward.signing import TrustStore
from steward.signing.interop import sigstore_bundle

HELP = N_("show what a manifest will do, from its verified bytes")
EXAMPLE = "steward inspect manifests/01ARZ3NDEKTSV4RRFFQ69G5FAV --trust trust"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words of this verb."""
    parser.add_argument("folder", type=Path, metavar="DIR", help=_("the manifest's folder"))
    parser.add_argument(
        "--items", type=int, default=_show.SHOWN, metavar="N", help=_("show so many of the riskiest and as many at random (20)")
    )
    parser.add_argument(
        "--against", type=Path, metavar="DIR", help=_("compare with this manifest; by default with the last one beside it")
    )
    parser.add_argument(
        "--sigstore-bundle", metavar="NAME", help=_("write this person's signature as a Sigstore bundle, for cosign")
    )
    parser.add_argument("--to", type=Path, metavar="FILE", help=_("file for the bundle; the public key goes beside it"))
    _signing.add_policy_argument(parser)
    _signing.add_trust_arguments(parser)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Check and show."""
    trust = _signing.open_trust(args)
    with Approval.open(
        args.folder,
        trust=trust,
        policies=_signing.open_policies(args),
        now=_signing.now(),
        workspace=_signing.workspace_or_none(args),
        against=args.against,
        shown=args.items,
    ) as approval:
        _show.show(screen, approval.summary, approval.plan_problem)
    if args.sigstore_bundle:
        _write_bundle(args, screen, approval.envelope, trust)
    complete = approval.summary.complete
    screen.next(f"steward-executor plan {args.folder}" if complete else f"steward sign {args.folder} --key FILE")
    screen.result(approval.summary.facts())
    return 0


def _write_bundle(args: argparse.Namespace, screen: Screen, envelope: bytes, trust: TrustStore) -> None:
    """Write one person's signature for cosign, and the public key in PEM."""
    if args.to is None:
        raise UsageError(N_("Where to? Give --to FILE."))
    person = trust.person(args.sigstore_bundle)
    bundle = next((b for k in (person.keys if person else ()) if (b := sigstore_bundle(envelope, k.key)) is not None), None)
    if bundle is None:
        raise UsageError(N_("{person} has not signed with a key that cosign can check."), person=args.sigstore_bundle)
    raw, pem = bundle
    write_file(args.to, raw)
    write_file(args.to.with_suffix(".pem"), pem)
    screen.say(N_("Bundle written to {file}, public key to {pem}."), file=args.to, pem=args.to.with_suffix(".pem"))
