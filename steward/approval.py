"""Opening a manifest folder for approval, and signing exactly what was shown; the terminal and the sign page both use it.

:meth:`Approval.open` reads the folder once, checks it as the executor will, and returns it with a
:class:`steward.signing.summary.Summary`. :meth:`Approval.sign` asks for the number that the person typed, signs the bytes that
were checked, and writes the envelope only if nobody else has changed it meanwhile::

    store = open_trust(trust_folder, now=now)                        # pinned; refuses without a pin
    approval = Approval.open(folder, trust=store, policies=open_policies(), now=now, workspace=workspace)
    show(approval.summary)                                           # escape every string of it
    done = approval.sign(signer, typed=text_field.value, now=now)    # a refusal is a StewardError with a sentence
    done.person, done.missing

What cannot be found (no earlier manifest, no plan, no snapshot here) is None in the summary; a plan that does not hold is in
:attr:`Approval.plan_problem`. Nothing here changes a CRM. Left to others: what the bytes mean (``steward.signing``), asking for
keys and passphrases (``steward.commands``), rendering.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import msgspec

from steward import __version__
from steward.errors import (
    MalformedManifestError,
    ManifestError,
    StewardError,
    TrustError,
    UsageError,
    VetoedError,
)
from steward.manifest.format import MANIFEST_TYPE, HeldBack, ManifestPredicate
from steward.manifest_files import ManifestFolder, read_file, read_trust_folder
from steward.messages import N_
from steward.policy import Policy, parse_policy
from steward.signing import (
    ExaminedManifest,
    PolicyInForce,
    Signer,
    TrustStore,
    VerifyContext,
    cosign_statement,
    examine,
    load_trust,
)
from steward.signing.statements import check_signatures, parse_statement, signed_envelope
from steward.signing.summary import (
    SHOWN,
    PastManifest,
    PlanDifference,
    Stake,
    Summary,
    missing_seats,
    read_past,
    read_plan,
    summarise,
)

DEFAULT_POLICY = Path(__file__).parent / "default_policy.toml"
MAX_NEIGHBOURS = 2_000
"""Folders beside a manifest that are looked at for the last one."""

_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_SHA = re.compile(r"[0-9a-f]{64}")


def pin_file(folder: Path) -> Path:
    """The file beside (not in) a trust folder that holds the pin."""
    return folder.with_name(folder.name + ".pin")


def read_pin(folder: Path, pin: str | None = None) -> str:
    """Return the pin: the one given, or the one beside the folder; there is no trust at first sight.

    Raises
    ------
    TrustError
        Nothing says which store is the right one.
    UsageError
        What is given is no digest.
    """
    if not pin:
        path = pin_file(folder)
        if not path.exists():
            raise TrustError(
                N_("Nothing says which trust store is the right one."),
                next_step=N_("Get the digest of its first version another way than the files, and give it with --pin."),
            )
        pin = read_file(path, limit=200).decode("ascii", "replace").strip()
    if not _SHA.fullmatch(pin):
        raise UsageError(N_("A pin is 64 hexadecimal digits."))
    return pin


def open_trust(folder: Path, *, now: datetime, pin: str | None = None) -> TrustStore:
    """Return the checked trust store of a folder; see :func:`read_pin` for the pin."""
    return load_trust(read_trust_folder(folder), pin=read_pin(folder, pin), now=now)


def open_policies(paths: Sequence[Path] = ()) -> list[Policy]:
    """Return the policies of these files, or the one that ships."""
    found = []
    for path in paths or [DEFAULT_POLICY]:
        raw = read_file(path, limit=1 << 20)
        try:
            found.append(parse_policy(raw.decode("utf-8"), where=path.name))
        except UnicodeDecodeError:
            raise UsageError(N_("{path} is not UTF-8 text."), path=path) from None
    return found


def in_force(policies: Sequence[Policy]) -> Mapping[str, PolicyInForce]:
    """Return policies as verification takes them."""
    return {p.digest: PolicyInForce.of(p) for p in policies}


def predicate_of(envelope: bytes) -> ManifestPredicate:
    """Return what an envelope's payload says, **not yet trusted**; for finding the context to check it in."""
    return parse_statement(signed_envelope(envelope, least=0)[0], MANIFEST_TYPE, ManifestPredicate)[0].predicate


def context_of(
    folder: ManifestFolder, said: ManifestPredicate, policies: Mapping[str, PolicyInForce], now: datetime
) -> VerifyContext:
    """Return a context for showing and signing: where it runs is what the statement says, and is shown for that."""
    return VerifyContext(
        tenant=said.tenant,
        system=said.system,
        environment=said.environment,
        now=now,
        policies=policies,
        tool_version=__version__,
        vetoes=folder.vetoes(),
    )


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


def last_folder(folder: Path, said: ManifestPredicate) -> Path | None:
    """Return the newest earlier manifest beside this one for the same tenant, system and environment.

    The one it supersedes comes first. Folders that are no manifests, or cannot be read, are passed over.
    """
    if said.supersedes is not None and (folder.parent / said.supersedes).is_dir():
        return folder.parent / said.supersedes
    best: tuple[datetime, Path] | None = None
    neighbours = [p for p in folder.resolve().parent.iterdir() if _ID.fullmatch(p.name) and p.name != said.manifest_id]
    for path in sorted(neighbours)[:MAX_NEIGHBOURS]:
        try:
            other = predicate_of(ManifestFolder(path).envelope())
        except StewardError:
            continue
        same = (other.tenant, other.system, other.environment) == (said.tenant, said.system, said.environment)
        if same and other.manifest_id == path.name and other.created_at <= said.created_at:
            best = max(best, (other.created_at, path)) if best else (other.created_at, path)
    return best[1] if best else None


def value_at_stake(workspace: Path | None, manifest: ExaminedManifest) -> Stake | None:
    """Return amounts and counts that hang on the records, from the workspace's snapshot of the same digest, where it is here."""
    if workspace is None or not (workspace / "snapshots.duckdb").exists():
        return None
    try:
        from steward.store import Workspace

        with Workspace.open(workspace, read_only=True) as store:
            snapshot = store.snapshot(manifest.predicate.snapshot.digest)
            keys = [i.key for i in manifest.items]
            amount, hanging = Decimal(0), 0
            for start in range(0, len(keys), 20_000):
                for impact in store.impact(snapshot, keys[start : start + 20_000]).values():
                    amount += impact.amount
                    hanging += impact.count
            return Stake(str(amount), hanging)
    except ManifestError:
        raise
    except (StewardError, ImportError):
        return None


def typed_number(text: str | int) -> int:
    """Return the number a person typed, with or without separators of thousands; −1 where it is none."""
    if isinstance(text, int):
        return text
    plain = re.sub(r"[\s,.'’]", "", text)
    return int(plain) if plain.isascii() and plain.isdecimal() and len(plain) < 16 else -1


@dataclass(frozen=True, slots=True)
class Signed:
    """What signing came to.

    Attributes
    ----------
    counts : bool
        False where the signer proposed the manifest, whose signature is no approval.
    missing : dict
        Object → seats that still wait for someone; empty where nobody has to sign any more.
    """

    person: str
    digest: str
    counts: bool
    missing: dict[str, list[str]]


class Approval:
    """A manifest folder as it was read, checked and summarised once. Use it as a context manager, or call :meth:`close`.

    Attributes
    ----------
    manifest : ExaminedManifest
    summary : Summary
    plan_problem : StewardError or None
        Why the plan beside the manifest does not hold, where there is one that does not.
    """

    def __init__(
        self,
        folder: ManifestFolder,
        envelope: bytes,
        manifest: ExaminedManifest,
        summary: Summary,
        context: VerifyContext,
        trust: TrustStore,
        plan_problem: StewardError | None,
        closing: ExitStack,
    ) -> None:
        self.folder = folder
        self.envelope = envelope
        self.manifest = manifest
        self.summary = summary
        self.context = context
        self.trust = trust
        self.plan_problem = plan_problem
        self._closing = closing

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        trust: TrustStore,
        policies: Sequence[Policy],
        now: datetime,
        workspace: Path | None = None,
        against: Path | None = None,
        shown: int = SHOWN,
    ) -> Approval:
        """Read and check a folder, and summarise it.

        Parameters
        ----------
        workspace : Path, optional
            Where the snapshot lies that was reviewed; for the value at stake.
        against : Path, optional
            The manifest to compare with; by default the last one beside it.
        shown : int
            So many of the riskiest items, and as many at random.

        Raises
        ------
        ManifestError, TrustError, PolicyError
            It would not run, whoever signs.
        """
        where = ManifestFolder(folder)
        envelope = where.envelope()
        with ExitStack() as closing:
            items = closing.enter_context(where.items())
            said = predicate_of(envelope)
            context = context_of(where, said, in_force(policies), now)
            manifest = examine(envelope, items, trust, context)
            plan, problem = _plan(where, manifest, trust, now)
            summary = summarise(
                manifest,
                trust,
                seed=int.from_bytes(os.urandom(8), "big"),
                held=held_records(where, manifest.predicate.held_back),
                stake=lambda m: value_at_stake(workspace, m),
                last=_past(closing, against, where.path, manifest.predicate, trust),
                plan=plan,
                shown=max(1, shown),
            )
            return cls(where, envelope, manifest, summary, context, trust, problem, closing.pop_all())

    def require_plan(self) -> None:
        """Refuse unless an executor of the tenant has signed a plan for exactly this manifest, and it lies beside it.

        Raises
        ------
        TrustError
        """
        if self.plan_problem is not None:
            raise self.plan_problem
        if self.summary.plan is None:
            raise TrustError(
                N_("There is no plan of the executor beside the manifest."),
                next_step=N_("Have it made with: steward-executor plan."),
            )

    def check_signable(self) -> None:
        """Refuse where someone has vetoed: talk first.

        Raises
        ------
        VetoedError
        """
        if self.folder.vetoes():  # read anew: one may have come while a person was looking
            raise VetoedError(
                N_("There is a veto beside the manifest {id}."),
                next_step=N_("Talk to whoever vetoed, then propose again."),
                id=self.manifest.id,
            )

    def check_typed(self, typed: str | int) -> None:
        """Refuse unless the number that was typed is the number of records.

        Raises
        ------
        UsageError
        """
        if typed_number(typed) != len(self.manifest):
            raise UsageError(
                N_("The manifest has {found} records; {typed} was typed. Nothing was signed."),
                found=len(self.manifest),
                typed=typed,
            )

    def sign(self, signer: Signer, *, typed: str | int, now: datetime) -> Signed:
        """Sign the bytes that were shown, and write the envelope.

        Parameters
        ----------
        typed : str or int
            The number of records, as the person typed it.

        Raises
        ------
        UsageError
            Another number.
        VetoedError
        UntrustedKeyError
            The key belongs to nobody in the trust store.
        TrustError
            Someone else signed meanwhile; nothing was written.
        MalformedManifestError
            The key has signed already, or the items were changed since they were shown.
        """
        self.check_signable()
        self.check_typed(typed)
        person, _key = self.trust.person_of(signer.keyid, now)
        signed = cosign_statement(self.envelope, signer)
        payload, signatures = signed_envelope(signed)
        check_signatures(payload, signatures, self.trust, now)
        with self.folder.items() as items:  # the bytes that lie there now, from the first to the last
            again = examine(signed, items, self.trust, self.context)
        if self.folder.envelope() != self.envelope:
            raise TrustError(
                N_("Someone else signed meanwhile; nothing was written."), next_step=N_("Run the same command again.")
            )
        self.folder.write_envelope(signed)
        self.envelope = signed
        missing = {o: seats for o, seats in missing_seats(again, self.trust).items() if seats}
        return Signed(person.id, again.digest, person.id != again.predicate.proposer.person, missing)

    def close(self) -> None:
        """Close the files."""
        self._closing.close()

    def __enter__(self) -> Approval:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _plan(
    folder: ManifestFolder, manifest: ExaminedManifest, trust: TrustStore, now: datetime
) -> tuple[PlanDifference | None, StewardError | None]:
    try:
        raw = folder.plan()
        return (None if raw is None else read_plan(raw, manifest, trust, now)), None
    except StewardError as error:
        return None, error


def _past(
    closing: ExitStack, against: Path | None, folder: Path, said: ManifestPredicate, trust: TrustStore
) -> PastManifest | None:
    """Open the manifest to compare with. One that was named must be readable; one that was found may be broken."""
    path = against or last_folder(folder, said)
    if path is None:
        return None
    with contextlib.nullcontext() if against is not None else contextlib.suppress(StewardError, OSError):
        other = ManifestFolder(path)
        return read_past(other.envelope(), closing.enter_context(other.items()), trust)
    return None


__all__ = [
    "Approval",
    "Signed",
    "context_of",
    "held_records",
    "in_force",
    "last_folder",
    "open_policies",
    "open_trust",
    "pin_file",
    "predicate_of",
    "read_pin",
    "typed_number",
    "value_at_stake",
]
