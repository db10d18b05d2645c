"""``steward request``: ask for approval of a manifest by e-mail, webhook or chat.

What is sent says how many records of what, and the digest that is to be signed; nothing of a record, a person, a tenant or a
place. Whoever gets it finds the manifest where it always lies and checks it: a request is a reminder and proves nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from steward.approval import Approval
from steward.commands import _signing
from steward.messages import N_, _
from steward.post import DeliveryError, Mailbox, Notice, deliver
from steward.post_settings import read_channels
from steward.screen import Screen
from steward.signing.summary import Summary

HELP = N_("ask for approval of a manifest")
EXAMPLE = "steward request manifests/01ARZ3NDEKTSV4RRFFQ69G5FAV --post post.toml --trust trust"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words of this verb."""
    parser.add_argument("folder", type=Path, metavar="DIR", help=_("the manifest's folder"))
    parser.add_argument(
        "--post",
        type=Path,
        required=True,
        metavar="FILE",
        help=_("settings of mail server and webhooks (see docs/how-to/notify.md)"),
    )
    parser.add_argument(
        "--to", action="append", default=[], metavar="ADDRESS", help=_("who gets the e-mail; by default those in the settings")
    )
    _signing.add_policy_argument(parser)
    _signing.add_trust_arguments(parser)


def request_of(summary: Summary) -> Notice:
    """Return the notice for a manifest: counts and digest alone."""
    counts = "\n".join(f"  {kind}: {n:,}" for kind, n in summary.counts.items())
    text = "\n".join(
        [
            _("Approval is asked for a manifest of {records} records:").format(records=f"{summary.records:,}"),
            "",
            counts,
            "",
            _("Digest that is signed: {digest}").format(digest=summary.digest),
            "",
            _("Look at it with: steward inspect. Sign it with: steward sign --digest {digest}").format(digest=summary.digest),
            _("This message proves nothing. Sign only what steward shows you, never what a message says."),
            "",
        ]
    )
    return Notice(
        id=f"approval-{summary.digest}",
        subject=_("Approval is asked for {records} records").format(records=f"{summary.records:,}"),
        text=text,
        document={"kind": "approval-request", "records": summary.records, "counts": summary.counts, "digest": summary.digest},
    )


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Check the manifest, and ask."""
    channels = read_channels(args.post, to=tuple(args.to))
    trust = _signing.open_trust(args)
    moment = _signing.now()
    with Approval.open(args.folder, trust=trust, policies=_signing.open_policies(args), now=moment) as approval:
        approval.check_signable()
        summary = approval.summary
    failed = deliver(channels, request_of(summary), moment)
    for _channel, problem in failed:
        screen.warn("{problem}", problem=problem.render(_))
    sent = [c for c in channels if all(c is not other for other, _problem in failed)]
    for channel in sent:
        screen.say(
            N_("Asked {count} people by e-mail through {host}.")
            if isinstance(channel, Mailbox)
            else N_("Asked through {host}."),
            count=len(channel.to) if isinstance(channel, Mailbox) else 1,
            host=channel.host,
        )
    if failed:
        raise DeliveryError(
            N_("{count} of {all} requests were not taken."), count=len(failed), all=len(channels), next_step=N_("Run it again.")
        )
    screen.result({"digest": summary.digest, "sent": len(sent)})
    screen.next(f"steward inspect {args.folder}")
    return 0
