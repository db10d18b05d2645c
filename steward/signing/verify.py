"""The one way from bytes to a :class:`VerifiedManifest`. Numbers in comments are the steps of the format page.

Everything is checked in a fixed order, nothing is parsed before its size is, the first failure refuses, and nothing of
the outside is touched: bytes, ``now``, what the ledger knows and what policies are in force are arguments.

:func:`examine` looks at a manifest nobody has approved yet, for showing, for signing and for a dry run. :func:`verify`
is the same and all the rest; only its result may be applied.

Left to others: opening files (``steward.manifest_files``), the ledger and the clock (``steward.executor``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from steward.errors import MalformedManifestError
from steward.manifest.chunks import ItemSource, check_counts, check_items, check_table, parse_chunk, read_chunk
from steward.manifest.format import ACTIONS, ITEMS_NAME, MANIFEST_TYPE, Item, ManifestPredicate
from steward.messages import N_
from steward.signing import rules
from steward.signing.approvals import check_seats, seats_needed
from steward.signing.rules import VerifyContext
from steward.signing.statements import check_signatures, parse_statement, signed_envelope
from steward.signing.trust import Person, TrustStore

_KIND = re.compile(r"[a-z][a-z0-9_]{0,62}/(" + "|".join(ACTIONS) + r")")
_TOKEN = object()


class ExaminedManifest:
    """A manifest whose bytes are whole and consistent; **not** approved. Made by :func:`examine` alone.

    Attributes
    ----------
    predicate : ManifestPredicate
    digest : str
        sha256 of the statement's bytes: what a person signs and what a receipt names.
    signers : tuple of Person
        Everyone who has signed, each once, the proposer and people without a fitting role among them.
    needed : dict
        Object → seats.
    """

    __slots__ = ("_source", "digest", "needed", "predicate", "signers")

    def __init__(
        self,
        predicate: ManifestPredicate,
        digest: str,
        signers: tuple[Person, ...],
        needed: dict[str, tuple[str, ...]],
        source: ItemSource,
        *,
        token: object = None,
    ) -> None:
        if token is not _TOKEN:
            raise TypeError(f"a {type(self).__name__} is made by verify() or examine() alone")
        self.predicate = predicate
        self.digest = digest
        self.signers = signers
        self.needed = needed
        self._source = source

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a checked manifest is not pickled; check the bytes again")

    @property
    def id(self) -> str:
        """The manifest id."""
        return self.predicate.manifest_id

    @property
    def approvers(self) -> tuple[str, ...]:
        """Ids of those who signed and are not the proposer, sorted."""
        return tuple(sorted(p.id for p in self.signers if p.id != self.predicate.proposer.person))

    def approved_as(self, role: str, trust: TrustStore) -> bool:
        """True where somebody who signed, and is not the proposer, has a role for every object of the manifest."""
        said = self.predicate
        objects = {kind.partition("/")[0] for kind in said.counts}
        people = [p for p in self.signers if p.id != said.proposer.person]
        return any(trust.has_role(p, role, said.tenant, objects) for p in people)

    def __len__(self) -> int:
        return self.predicate.items.records

    def chunk(self, number: int) -> list[Item]:
        """Return the items of one chunk, read and hashed anew: a file swapped after verification is refused.

        Raises
        ------
        MalformedManifestError
        """
        chunks = self.predicate.items.chunks
        offset = sum(c.bytes for c in chunks[:number])
        return parse_chunk(read_chunk(self._source, offset, chunks[number], number))

    @property
    def items(self) -> Iterator[Item]:
        """All items in order; each chunk is hashed anew when it is read."""
        offset = 0
        for number, chunk in enumerate(self.predicate.items.chunks):
            yield from parse_chunk(read_chunk(self._source, offset, chunk, number))
            offset += chunk.bytes


class VerifiedManifest(ExaminedManifest):
    """An approved manifest whose time has come. Made by :func:`verify` alone; the only thing that may be applied.

    Attributes
    ----------
    vetoed : frozenset of int
        Sequence numbers of items that must not run.
    trust_version : int
        Version of the trust store it was verified with.
    """

    __slots__ = ("trust_version", "vetoed")

    vetoed: frozenset[int]
    trust_version: int


def examine(envelope: bytes, items: ItemSource, trust: TrustStore, context: VerifyContext) -> ExaminedManifest:
    """Check everything but approvals, start time, replay and vetoes.

    Parameters
    ----------
    envelope : bytes
        ``manifest.dsse.json``; may carry no signature yet.
    items : ItemSource
        ``items.ndjson``.

    Raises
    ------
    ManifestError, TrustError, PolicyError
    """
    checked = _check(envelope, items, trust, context, approved=False)
    return ExaminedManifest(checked.said, checked.digest, checked.signers, checked.needed, items, token=_TOKEN)


def verify(envelope: bytes, items: ItemSource, trust: TrustStore, context: VerifyContext) -> VerifiedManifest:
    """Check a manifest whole; see :func:`examine` for the parameters.

    Raises
    ------
    MalformedManifestError, UnknownFieldError
        Not the bytes of a manifest, or they contradict each other.
    WrongPayloadTypeError, BadSignatureError, UntrustedKeyError, ThresholdNotMetError, VetoedError, TrustError
        Not approved by those it needs.
    WrongTargetError, NotYetValidError, ExpiredError, AlreadyAppliedError
        Not for here, or not for now.
    LimitExceededError, PolicyInvalidError
        Beyond the limits, or there are none.
    """
    checked = _check(envelope, items, trust, context, approved=True)
    verified = VerifiedManifest(checked.said, checked.digest, checked.signers, checked.needed, items, token=_TOKEN)
    verified.vetoed = checked.vetoed
    verified.trust_version = trust.version
    return verified


@dataclass(frozen=True, slots=True)
class _Checked:
    said: ManifestPredicate
    digest: str
    signers: tuple[Person, ...]
    needed: dict[str, tuple[str, ...]]
    vetoed: frozenset[int]


def _check(envelope: bytes, items: ItemSource, trust: TrustStore, context: VerifyContext, *, approved: bool) -> _Checked:
    if context.now.tzinfo is None:
        raise ValueError("now must be aware")
    rules.check_tool(trust, context.tool_version)
    # 1–5: size, envelope, type, and every signature by a trusted key.
    payload, signatures = signed_envelope(envelope, least=1 if approved else 0)
    signers = tuple(person for person, _ in check_signatures(payload, signatures, trust, context.now))
    # 6: the statement.
    statement, digest = parse_statement(payload, MANIFEST_TYPE, ManifestPredicate)
    said = statement.predicate
    if len(statement.subject) != 1 or statement.subject[0].name != ITEMS_NAME:
        raise MalformedManifestError(N_("A manifest is about one subject, items.ndjson."))
    _check_kinds(said)
    _check_anonymise(said)
    _check_side_effects(said)
    # 7: where it may run.
    rules.check_target(said, trust, context)
    # 8: when.
    policy = rules.policy_in_force(said, trust, context)
    rules.check_times(said, trust, policy, context.now)
    if approved:
        rules.check_start(said, context.now)
    # 9: whom it needs; the proposer never counts.
    proposer = rules.check_proposer(said, trust)
    needed = seats_needed(said.counts, said.snapshot.objects, policy.extra)
    if approved:
        check_seats(needed, [p for p in signers if p.id != proposer], trust, said.tenant)
        # 10: never twice, and not against a veto.
        rules.check_replay(said.manifest_id, digest, context)
    vetoed = rules.collect_vetoes(said, trust, context, refuse=approved)
    # 11–12: the items, to the byte and to the letter.
    check_table(said.items)
    check_counts(said.counts, check_items(items, said.items, statement.subject[0].digest["sha256"]))
    # 13: limits and brakes.
    rules.check_limits(said, policy)
    rules.check_backup(said, trust)
    checked = _Checked(said, digest, signers, needed, vetoed)
    if context.id_patterns:
        _check_ids(ExaminedManifest(said, digest, signers, needed, items, token=_TOKEN), context)
    return checked


def _check_kinds(said: ManifestPredicate) -> None:
    """Refuse counts that are not ``object/action`` before anything is decided by them."""
    for kind in said.counts:
        if not _KIND.fullmatch(kind):
            raise MalformedManifestError(N_("The counts of the manifest name something that is no object and action."))


def _check_anonymise(said: ManifestPredicate) -> None:
    """Refuse unless exactly the objects that are anonymised name their fields, each once: what is emptied is signed."""
    objects = {kind.split("/", 1)[0] for kind in said.counts if kind.endswith("/anonymise")}
    fields = [[change.field for change in changes] for changes in said.anonymise.values()]
    if objects != set(said.anonymise) or not all(fields) or any(len(set(f)) != len(f) for f in fields):
        raise MalformedManifestError(
            N_("The manifest does not say which fields of which objects are anonymised, each once."), code="anonymise"
        )


def _check_side_effects(said: ManifestPredicate) -> None:
    """Refuse switches that are not sorted, each once: one meaning has one encoding."""
    names = [name.encode() for name in said.side_effects]
    if sorted(set(names)) != names:
        raise MalformedManifestError(
            N_("The manifest does not name the side effects that stay on in order, each once."), code="side_effects"
        )


def _check_ids(manifest: ExaminedManifest, context: VerifyContext) -> None:
    patterns = {object: re.compile(pattern) for object, pattern in context.id_patterns.items()}
    for item in manifest.items:
        pattern = patterns.get(item.object)
        if pattern is not None and not pattern.fullmatch(item.id):
            raise MalformedManifestError(
                N_("Item {seq} has an id that {object} cannot have."), seq=item.seq, object=item.object
            )
