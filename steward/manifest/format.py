"""The documents of a manifest as types: statement, predicate, item. docs/reference/manifest-format.md is their text.

A manifest is an in-toto Statement whose one subject is ``items.ndjson`` and whose predicate says everything else: where
it may run, when, how much, with what brakes. Nothing in it is a value of a CRM record; ids are pseudonyms, reasons are
codes, evidence and decisions are pointers.

Members stand in the order given here, which is their order in bytes. Left to others: reading bytes (``codec``), the item
file (``chunks``), making one (``draft``), who must sign (``steward.signing``).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta, field

from steward.manifest.codec import SAFE_INTEGER
from steward.records import RecordKey

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
MANIFEST_TYPE = "urn:steward:deletion-manifest:v1"
VETO_TYPE = "urn:steward:veto:v1"
RESTORE_TYPE = "urn:steward:restore-manifest:v1"
PLAN_TYPE = "urn:steward:plan:v1"
RECEIPT_TYPE = "urn:steward:deletion-receipt:v1"
CHECKPOINT_TYPE = "urn:steward:audit-checkpoint:v1"

ITEMS_NAME = "items.ndjson"
MAX_STATEMENT = 3 * 1024 * 1024
MAX_ENVELOPE = 4 * 1024 * 1024
MAX_LINE = 16 * 1024
MAX_CHUNK_RECORDS = 10_000
MAX_CHUNK_BYTES = 64 * 1024 * 1024

Action = Literal["soft_delete", "hard_delete", "merge_into", "anonymise", "reassign", "deactivate_user"]
ACTIONS: tuple[Action, ...] = ("soft_delete", "hard_delete", "merge_into", "anonymise", "reassign", "deactivate_user")
WITH_TARGET = frozenset({"merge_into", "reassign"})
IRREVERSIBLE = frozenset({"hard_delete", "anonymise"})

Count = Annotated[int, Meta(ge=0, le=SAFE_INTEGER)]
Positive = Annotated[int, Meta(ge=1, le=SAFE_INTEGER)]
Percent = Annotated[int, Meta(ge=0, le=10_000)]
"""Hundredths of a percent: 500 is 5 %. Documents hold no floats."""
Hex = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z", max_length=64)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Word = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}\Z", max_length=100)]
ObjectName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,62}\Z", max_length=63)]
ManifestId = Annotated[str, Meta(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}\Z", max_length=26)]
"""128 random bits in Crockford's base 32."""
Time = Annotated[datetime, Meta(tz=True)]
"""UTC, whole seconds, written ``2026-11-25T12:00:00Z``."""


class Doc(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Base of all signed documents: immutable, unknown members refused, names in camel case."""


class Subject(Doc, frozen=True):
    """What a statement is about, by digest alone."""

    name: Name
    digest: Annotated[dict[Literal["sha256"], Hex], Meta(min_length=1)]


P = TypeVar("P")


class Statement(Doc, Generic[P], frozen=True, kw_only=True):
    """in-toto Statement v1 with a predicate of ours."""

    type_: Literal["https://in-toto.io/Statement/v1"] = field(name="_type", default="https://in-toto.io/Statement/v1")
    subject: Annotated[tuple[Subject, ...], Meta(min_length=1, max_length=16)]
    predicate_type: Name
    predicate: P


Rule = Literal["detach", "keep", "move", "reassign"]
"""``block`` holds a record back and ``cascade`` makes items of the children, so neither stands in an item.

``keep``: the children stay as they are below a record that the system only marks as deleted."""


class RelatedSet(Doc, frozen=True):
    """What hangs on a record through one field, as reviewed, and what becomes of it.

    Children that are items of the same manifest come before the record and are in no set.

    ``digest`` is over the sorted ids of the children (:func:`steward.manifest.chunks.ids_digest`): the executor reads
    them anew, and any other set is drift.
    """

    object: ObjectName
    field: Name
    rule: Rule
    target: Annotated[str, Meta(min_length=1, max_length=255)] | None
    count: Positive
    digest: Hex


class Survivor(Doc, frozen=True):
    """The record that others merge into, as reviewed."""

    version: Annotated[str, Meta(max_length=255)] | None
    preimage: Hex


class Item(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """One record and what happens to it: one line of ``items.ndjson``.

    Attributes
    ----------
    seq : int
        0, 1, 2 … without a gap; also the order of work, children before their parents.
    object, id : str
    action : Action
    target : str or None
        Survivor's id for ``merge_into``, new owner's id for ``reassign``; null for all others.
    version : str or None
        What the CRM changes with every edit, as reviewed.
    preimage : str
        Record digest as reviewed.
    survivor : Survivor or None
        For ``merge_into`` only.
    choices : dict
        For ``merge_into`` only: field → id of the member whose value the survivor shall carry.
    related : tuple of RelatedSet
        Every child set of the record, each with its rule, sorted by object, field and rule.
    reasons : tuple of str
        Codes of the evidence; never sentences.
    score : int
        In ten-thousandths.
    evidence, decision : str
        Pointers: evidence digest, decision id.
    reviewer : str
        Person or ``rule:<name>``.
    """

    seq: Annotated[int, Meta(ge=0, le=SAFE_INTEGER)]
    object: Annotated[str, Meta(min_length=1, max_length=63)]
    id: Annotated[str, Meta(min_length=1, max_length=255)]
    action: Action
    target: Annotated[str, Meta(min_length=1, max_length=255)] | None
    version: Annotated[str, Meta(max_length=255)] | None
    preimage: Annotated[str, Meta(min_length=64, max_length=64)]
    survivor: Survivor | None
    choices: dict[str, str]
    related: tuple[RelatedSet, ...]
    reasons: Annotated[tuple[str, ...], Meta(max_length=64)]
    score: Annotated[int, Meta(ge=0, le=10_000)]
    evidence: Annotated[str, Meta(max_length=255)]
    decision: Annotated[str, Meta(max_length=255)]
    reviewer: Annotated[str, Meta(min_length=1, max_length=255)]

    @property
    def key(self) -> RecordKey:
        """Identity of the record."""
        return RecordKey(self.object, self.id)


class Chunk(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """``[records, bytes, sha256]`` of consecutive lines."""

    records: Annotated[int, Meta(ge=1, le=MAX_CHUNK_RECORDS)]
    bytes: Annotated[int, Meta(ge=1, le=MAX_CHUNK_BYTES)]
    sha256: Hex


class ItemsInfo(Doc, frozen=True):
    """What the item file must be, to the byte."""

    bytes: Positive
    records: Positive
    chunk_records: Annotated[int, Meta(ge=1, le=MAX_CHUNK_RECORDS)]
    root: Hex
    chunks: Annotated[tuple[Chunk, ...], Meta(min_length=1)]


class SnapshotRef(Doc, frozen=True):
    """The copy of the CRM that was reviewed. ``objects`` gives live records per object, for the percentages."""

    digest: Hex
    taken_at: Time
    connector_version: Annotated[str, Meta(max_length=200)]
    objects: dict[ObjectName, Count]


class PolicyRef(Doc, frozen=True):
    """The policy in force, by digest."""

    digest: Hex
    version: Name


class Proposer(Doc, frozen=True):
    """Who proposed, with what. Never counts as an approver."""

    person: Name
    tool: Name
    notebook_digest: Hex | None


class FieldChange(Doc, frozen=True):
    """What anonymising does to one field: ``null`` empties it, ``blank`` writes the empty text, ``token`` a pseudonym."""

    field: Name
    method: Literal["null", "blank", "token"]


class Limits(Doc, frozen=True):
    """Brakes. The executor applies the least of manifest, policy and its own configuration; zero means zero."""

    max_records: Count
    max_percent_of_object: Percent
    max_drift_percent: Percent
    max_error_percent: Percent
    canary: Count
    rate_per_minute: Count
    window: Annotated[str, Meta(pattern=r"^(any|[0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9])\Z")]


class BackupRef(Doc, frozen=True):
    """Who can open the backup, and how long it is kept."""

    recipients: Annotated[tuple[Name, ...], Meta(min_length=2, max_length=16)]
    retain_days: Annotated[int, Meta(ge=1, le=3650)]


class HeldBack(Doc, frozen=True):
    """What was proposed and is not in the items: counts by code, and the digest of the list beside them."""

    records: Count
    sha256: Hex
    by_code: dict[Word, Positive]


class ManifestPredicate(Doc, frozen=True, omit_defaults=True):
    """Everything a deletion manifest says beside its items.

    ``side_effects`` are switches of the CRM that stay on while it runs, such as ``wf_trigger`` of Zoho: workflows, mails,
    webhooks. All others are turned off. Where none is on, the member is not there.
    """

    manifest_id: ManifestId
    system: Name
    tenant: Name
    environment: Name
    snapshot: SnapshotRef
    policy: PolicyRef
    trust_version: Positive
    created_at: Time
    not_before: Time
    expires_at: Time
    proposer: Proposer
    counts: dict[str, Positive]
    items: ItemsInfo
    anonymise: dict[ObjectName, tuple[FieldChange, ...]]
    held_back: HeldBack
    limits: Limits
    backup: BackupRef
    supersedes: ManifestId | None
    side_effects: Annotated[tuple[Name, ...], Meta(max_length=20)] = ()


class VetoPredicate(Doc, frozen=True):
    """A stop. ``scope`` is ``all`` or the sequence numbers that must not run. There is no way to take it back."""

    manifest_id: ManifestId
    scope: (
        Literal["all"]
        | Annotated[tuple[Annotated[int, Meta(ge=0, le=SAFE_INTEGER)], ...], Meta(min_length=1, max_length=100_000)]
    )
    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    person: Name
    at: Time


ManifestStatement = Statement[ManifestPredicate]
VetoStatement = Statement[VetoPredicate]
