"""``steward veto``: stop a manifest, or single items of it. It cannot be taken back."""

from __future__ import annotations

import argparse
import hashlib
import os
from contextlib import ExitStack
from pathlib import Path

from steward.approval import predicate_of
from steward.commands import _signers, _signing
from steward.errors import UsageError
from steward.manifest.format import Subject, VetoPredicate
from steward.manifest_files import ManifestFolder
from steward.messages import N_, _
from steward.screen import Screen
from steward.signing import make_veto, verify_veto
from steward.signing.statements import signed_envelope

HELP = N_("stop a manifest, or single items of it")
EXAMPLE = 'steward veto manifests/01ARZ3NDEKTSV4RRFFQ69G5FAV --reason "contract under negotiation" --key eve.key --trust trust'


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words of this verb."""
    parser.add_argument("folder", type=Path, metavar="DIR", help=_("the manifest's folder"))
    parser.add_argument("--reason", required=True, help=_("why; no personal data, it is kept for good"))
    parser.add_argument("--item", type=int, action="append", metavar="SEQ", help=_("stop only this item (repeatable)"))
    _signers.add_signer_arguments(parser)
    _signing.add_trust_arguments(parser)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Sign a veto and put it beside the manifest. A broken or expired manifest can be vetoed as well."""
    with ExitStack() as closing:
        return _run(args, screen, closing)


def _run(args: argparse.Namespace, screen: Screen, closing: ExitStack) -> int:
    trust = _signing.open_trust(args)
    folder = ManifestFolder(args.folder)
    said = predicate_of(folder.envelope())
    if args.item and not all(0 <= seq < said.items.records for seq in args.item):
        raise UsageError(N_("The manifest has items 0 to {last}."), last=said.items.records - 1)
    signer = _signers.open_signer(args, closing)
    moment = _signing.now()
    person, _key = trust.person_of(signer.keyid, moment)
    veto = VetoPredicate(
        manifest_id=said.manifest_id,
        scope=tuple(sorted(set(args.item))) if args.item else "all",
        reason=_signing.need_text(args.reason, "reason"),
        person=person.id,
        at=moment,
    )
    payload = signed_envelope(folder.envelope(), least=0)[0]
    raw = make_veto(signer, veto, Subject(name="manifest", digest={"sha256": hashlib.sha256(payload).hexdigest()}))
    objects = {kind.split("/", 1)[0] for kind in said.counts}
    verify_veto(raw, trust=trust, now=moment, tenant=said.tenant, objects=objects)
    path = folder.write_veto(raw, os.urandom(8).hex())
    screen.say(
        N_("{person} has vetoed {what} of {id}."),
        person=person.id,
        what=_("the whole") if veto.scope == "all" else _("{n} items").format(n=len(veto.scope)),
        id=said.manifest_id,
    )
    screen.say(N_("The executor must see {file}: put it where it reads the manifest."), file=path.name)
    screen.result({"manifest_id": said.manifest_id, "person": person.id, "scope": veto.scope, "file": str(path)})
    return 0
