"""``steward inspect``: show what a manifest will do, from its verified bytes."""

from __future__ import annotations

import argparse
import hashlib
import os
from pathlib import Path

import msgspec

from steward.commands import _show, _signing
from steward.errors import MalformedManifestError
from steward.manifest.format import HeldBack
from steward.manifest_files import ManifestFolder
from steward.messages import N_, _
from steward.screen import Screen
from steward.signing import ExaminedManifest, examine

HELP = N_("show what a manifest will do, from its verified bytes")
EXAMPLE = "steward inspect manifests/01ARZ3NDEKTSV4RRFFQ69G5FAV --trust trust"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words of this verb."""
    parser.add_argument("folder", type=Path, metavar="DIR", help=_("the manifest's folder"))
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
        result = _show.show(screen, manifest, trust, held=held, workspace=workspace_or_none(args))
    screen.next(f"steward sign {args.folder} --key FILE")
    screen.result(result)
    return 0


def workspace_or_none(args: argparse.Namespace) -> Path | None:
    """The workspace where one is named."""
    where = args.workspace or os.environ.get("STEWARD_WORKSPACE")
    return Path(where) if where else None
