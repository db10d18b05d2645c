"""``steward sign``: approve a manifest.

Checks the folder as the executor will, shows what was checked, asks for the number of records, and signs exactly those
bytes. It never signs what it has not verified itself. With ``--page`` the same is shown and asked in the browser.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from steward.approval import Approval
from steward.commands import _page, _show, _signers, _signing
from steward.errors import MalformedManifestError, UsageError
from steward.messages import N_, _, language
from steward.screen import Screen

HELP = N_("approve a manifest")
EXAMPLE = """steward sign manifests/01ARZ3NDEKTSV4RRFFQ69G5FAV --key bob.key --trust trust
steward sign manifests/01ARZ3NDEKTSV4RRFFQ69G5FAV --key bob.key --trust trust --page"""


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
    parser.add_argument("--page", action="store_true", help=_("show and sign it in the browser; without a key it only shows"))
    _page.add_page_arguments(parser)
    _signing.add_policy_argument(parser)
    _signing.add_trust_arguments(parser)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Check, show, ask, sign."""
    if args.page:
        return _serve(args, screen)
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


def _serve(args: argparse.Namespace, screen: Screen) -> int:
    """Open the sign page. The passphrase is typed there; neither it nor a file with it is handed to the page's server."""
    import msgspec

    from steward.approval import read_pin
    from steward.review.page import SIGN, page_environment
    from steward.review.sign.talk import Wanted
    from steward.review.sign.ways import Way

    if args.passphrase_file is not None or args.keyring or args.count is not None:
        raise UsageError(
            N_("On the page the number and the passphrase are typed; leave out --count, --passphrase-file and --keyring.")
        )
    ways = {name: getattr(args, name) for name in ("key", "ssh_key", "pkcs11", "kms", "kms_public")}
    if sum(ways[name] is not None for name in ("key", "ssh_key", "pkcs11", "kms")) > 1:
        raise UsageError(N_("Give one of --key, --ssh-key, --pkcs11 and --kms."))
    trust = _signing.trust_folder(args)
    workspace = _signing.workspace_or_none(args)
    wanted = Wanted(
        folder=str(args.folder.resolve()),
        trust=str(trust.resolve()),
        pin=read_pin(trust, args.pin),
        policies=tuple(str(p.resolve()) for p in args.policy or ()),
        workspace=None if workspace is None else str(workspace.resolve()),
        against=None if args.against is None else str(args.against.resolve()),
        digest=args.digest,
        require_plan=args.require_plan,
        way=Way(
            **{n: None if v is None else v if n == "kms" else str(v.resolve()) for n, v in ways.items()},
            token=args.token,
            key_label=args.key_label,
        ),
    )
    environment = page_environment(language(), STEWARD_SIGN_PAGE=msgspec.json.encode(wanted).decode())
    return _page.serve(args, "sign", SIGN, environment, N_("The sign page is at {address}; close it with Ctrl-C."), screen)
