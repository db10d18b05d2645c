"""Answers the sign page: shows what was checked, and signs it when the number of records was typed. No widget, no browser.

A passphrase is in one message, becomes a :class:`~steward.signing.Secret` at once and is neither kept, logged nor sent back.
After signing the folder is opened anew, so that what is shown next was checked next. Left to others: checking and signing
(``steward.approval``), the widget.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from steward.approval import Approval, Signed, open_policies, open_trust
from steward.errors import MalformedManifestError, StewardError, UntrustedKeyError, UsageError
from steward.messages import N_, _, ngettext
from steward.review.numbers import number
from steward.review.sign.shown import SEATS, facts, sections
from steward.review.sign.ways import Way
from steward.signing import Person, Secret

Message = dict[str, Any]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the page is about: said by whoever starts it, never by the page. Holds no secret."""

    folder: str
    trust: str
    pin: str | None = None
    policies: tuple[str, ...] = ()
    workspace: str | None = None
    against: str | None = None
    digest: str | None = None
    require_plan: bool = False
    way: Way = Way()


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


class SignTalk:
    """Answers the page's messages: ``ready`` and ``sign``.

    Parameters
    ----------
    wanted : Wanted
    send : callable
        Takes one dictionary for the front.
    now : callable, optional
        Returns the time, aware.
    """

    def __init__(self, wanted: Wanted, send: Callable[[Message], None], *, now: Callable[[], datetime] = _now) -> None:
        self._wanted, self._send, self._now = wanted, send, now
        self._approval: Approval | None = None

    def close(self) -> None:
        """Close the manifest's files."""
        if self._approval is not None:
            self._approval.close()
            self._approval = None

    def handle(self, message: Mapping[str, Any]) -> None:
        """Answer one message; a refusal or defect becomes a sentence. Nothing that was typed is repeated."""
        kind = message.get("type")
        try:
            if kind == "ready":
                self._show()
            elif kind == "sign":
                self._sign(str(message.get("typed") or ""), Secret(str(message.get("secret") or "").encode()))
        except StewardError as error:
            self._send({"type": "refused", "sentence": error.render(_)})
        except Exception as error:  # the page must say so; an exception in a widget callback is shown nowhere
            sentence = _("A defect in the page ({kind}). Nothing was signed.").format(kind=type(error).__name__)
            self._send({"type": "refused", "sentence": sentence})

    def _open(self) -> Approval:
        self.close()
        trust = open_trust(Path(self._wanted.trust), now=self._now(), pin=self._wanted.pin)
        self._approval = Approval.open(
            Path(self._wanted.folder),
            trust=trust,
            policies=open_policies([Path(p) for p in self._wanted.policies]),
            now=self._now(),
            workspace=None if self._wanted.workspace is None else Path(self._wanted.workspace),
            against=None if self._wanted.against is None else Path(self._wanted.against),
        )
        if self._wanted.digest and self._wanted.digest != self._approval.summary.digest:
            raise MalformedManifestError(
                N_("The digest is {found}, not the one you gave."), found=self._approval.summary.digest
            )
        return self._approval

    def _show(self, done: Signed | None = None) -> None:
        approval = self._open()
        found = approval.summary
        problem = self._problem(approval)
        self._send(
            {
                "type": "manifest",
                "title": _("Manifest {id}").format(id=found.manifest_id),
                "lead": ngettext("{n} record will be changed.", "{n} records will be changed.", found.records).format(
                    n=number(found.records)
                ),
                "facts": facts(found),
                "sections": sections(found, approval.plan_problem),
                "who": self._who(approval),
                "can_sign": problem == "" and done is None,
                "problem": problem,
                "asks": self._wanted.way.asks,
                "count": number(found.records),
                "done": [] if done is None else self._done(done),
            }
        )

    def _problem(self, approval: Approval) -> str:
        """Why nobody can sign here now, in a sentence; empty where somebody can."""
        if not self._wanted.way.any:
            return _("This page was opened without a key: it only shows.")
        person = self._person(approval)
        if person is not None and person.id in approval.summary.signed_by:
            return _("{person} has signed already.").format(person=person.id)
        try:
            approval.check_signable()
            if self._wanted.require_plan:
                approval.require_plan()
        except StewardError as error:
            return error.render(_)
        return ""

    def _person(self, approval: Approval) -> Person | None:
        """Whose key it is, from the public key beside it and the trust store; the signature itself decides."""
        key = self._wanted.way.public()
        try:
            return None if key is None else approval.trust.person_of(key.keyid, self._now())[0]
        except UntrustedKeyError:
            return None

    def _who(self, approval: Approval) -> str:
        """Say as whom the key signs."""
        person = self._person(approval)
        if person is None:
            known = self._wanted.way.public() is None
            return "" if known else "⚠ " + _("The trust store does not know this key: its signature would be refused.")
        roles = ", ".join(_(SEATS.get(r, r)) for r in sorted({str(g.role) for g in person.roles}))
        said = _("You sign as {person} ({roles}).").format(person=person.id, roles=roles)
        if person.id == approval.summary.proposer:
            said += " ⚠ " + _("You proposed this manifest: your signature does not count as an approval.")
        return said

    def _sign(self, typed: str, secret: Secret) -> None:
        approval = self._approval
        if approval is None:
            raise UsageError(N_("Nothing was shown yet; nothing was signed."))
        approval.check_signable()
        approval.check_typed(typed)
        if self._wanted.require_plan:
            approval.require_plan()
        with ExitStack() as closing:
            signer = self._wanted.way.open(secret, closing)
            done = approval.sign(signer, typed=typed, now=self._now())
        self._show(done)

    def _done(self, done: Signed) -> list[str]:
        out = [_("Signed as {person}: {digest}").format(person=done.person, digest=done.digest)]
        if not done.counts:
            out.append(
                _("{person} proposed this manifest; the signature does not count as an approval.").format(person=done.person)
            )
        for object, seats in done.missing.items():
            names = ", ".join(_(SEATS.get(s, s)) for s in seats)
            out.append(_("{object} still needs: {seats}.").format(object=object, seats=names))
        if not done.missing:
            out.append(_("Nobody has to sign any more. The executor can plan it."))
        return out


WORDS = {
    "title": N_("Sign a manifest"),
    "loading": N_("Checking the manifest…"),
    "typed": N_("Type the number of records to sign"),
    "passphrase": N_("Passphrase of your key"),
    "pin": N_("PIN of your token"),
    "sign": N_("Sign"),
    "signing": N_("Signing…"),
    "checked": N_("Everything on this page comes from bytes that were just checked."),
    "again": N_("Check again"),
}
