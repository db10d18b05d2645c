"""``steward inspect``: show what a manifest will do, from its verified bytes."""

from __future__ import annotations

import argparse
import hashlib
import os
from pathlib import Path

import msgspec

from steward.commands import _show, _signing
from steward.errors import MalformedManifestError, UsageError
from steward.manifest.format import HeldBack
from steward.manifest_files import ManifestFolder, write_file
from steward.messages import N_, _
from steward.screen import Screen
from steward.signing import ExaminedManifest, TrustStore, examine
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
        "--sigstore-bundle", metavar="NAME", help=_("write this person's signature as a Sigstore bundle, for cosign")
    )
    parser.add_argument("--to", type=Path, metavar="FILE", help=_("file for the bundle; the public key goes beside it"))
    _signing.add_policy_argument(parser)
    _signing.add_trust_arguments(parser)


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    object: str
    id: str
    code: str


def held_records(folder: ManifestFolder, said: HeldBack) -> list[tuple[str, str, str]]:
    """Return ``(object, id, code)`` of what was held back, after comparing the list with its signed digest."""
    raw = folder.held_back()
    if hashlib.sha256(raw).hexdigest() != said.sha256:
        raise MalformedManifestError(N_("The list of what was held back is not the one that was signed."))
    try:
        lines = msgspec.json.Decoder(_Line).decode_lines(raw)
    except msgspec.MsgspecError:
        raise MalformedManifestError(N_("The list of what was held back cannot be read.")) from None
    return [(line.object, line.id, line.code) for line in lines]


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Check and show."""
    trust = _signing.open_trust(args)
    policies = _signing.in_force(_signing.open_policies(args))
    folder = ManifestFolder(args.folder)
    envelope = folder.envelope()
    with folder.items() as items:
        context = _signing.context_of(folder, _show.predicate_of(envelope), policies)
        manifest: ExaminedManifest = examine(envelope, items, trust, context)
        held = held_records(folder, manifest.predicate.held_back)
        result = _show.show(screen, manifest, trust, held=held, workspace=workspace_or_none(args), shown=max(1, args.items))
    if args.sigstore_bundle:
        _write_bundle(args, screen, envelope, trust)
    screen.next(f"steward sign {args.folder} --key FILE")
    screen.result(result)
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


def workspace_or_none(args: argparse.Namespace) -> Path | None:
    """The workspace where one is named."""
    where = args.workspace or os.environ.get("STEWARD_WORKSPACE")
    return Path(where) if where else None
