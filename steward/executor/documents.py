"""The executor's own signed documents as types: plan, receipt, restore manifest. Never a value of a record in any.

docs/explanation/write-order.md is their text. Left to others: filling them (``plan``, ``receipt``, ``restore``).
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from steward.manifest.format import Count, Doc, Hex, ManifestId, Name, Time, Word


class PlanPredicate(Doc, frozen=True):
    """What would happen now, and what it costs: calls to the CRM, credits, seconds, bytes of backup. ``verdicts`` counts items by ``state`` or ``state/code``; ``related`` by ``object.field/rule``."""

    manifest_id: ManifestId
    statement: Hex
    approved: bool
    at: Time
    executor: Name
    records: Count
    verdicts: dict[str, Count]
    related: dict[str, Count]
    batches: Count
    requests: Count
    credits: Count
    seconds: Count
    backup_bytes: Count
    free_bytes: Count


class FileRef(Doc, frozen=True):
    """A file by name, size and digest."""

    name: Name
    bytes: Count
    sha256: Hex


class CheckpointRef(Doc, frozen=True):
    """The audit log as it was when the document was made."""

    size: Count
    head: Hex


class ReceiptPredicate(Doc, frozen=True):
    """What became of every item.

    ``itemRoot`` is the RFC 6962 tree head over the lines of the outcomes file without their line feeds, so that one
    line can be proved to one person without the others. ``done`` was answered, ``done_inferred`` was read back later.
    """

    manifest_id: ManifestId
    kind: Literal["deletion", "restore"]
    statement: Hex
    system: Name
    tenant: Name
    environment: Name
    executor: Name
    tool: Name
    state: Literal["finished", "vetoed", "expired"]
    counts: dict[Word, Count]
    outcomes: FileRef
    item_root: Hex
    backup: tuple[FileRef, ...]
    retain_days: Annotated[int, Meta(ge=1, le=3650)]
    started: Time
    finished: Time
    checkpoint: CheckpointRef
    restores: ManifestId | None


class RestorePredicate(Doc, frozen=True):
    """What is to be brought back: items of one receipt, by sequence number of the deletion manifest."""

    manifest_id: ManifestId
    receipt: Hex
    deletion: ManifestId
    system: Name
    tenant: Name
    environment: Name
    person: Name
    created_at: Time
    expires_at: Time
    records: Count
    counts: dict[str, Count]


SHRED_TYPE = "urn:steward:shred-receipt:v1"


class ShredPredicate(Doc, frozen=True):
    """Which backups cannot be opened any more, and why: their time had passed, or one record was erased from them.

    ``keys`` counts removed data keys, ``frames`` the frames under them; ``kept`` frames were written anew, without the
    erased record, under new keys.
    """

    manifest_ids: tuple[ManifestId, ...]
    tenant: Name
    executor: Name
    why: Literal["expired", "erased"]
    record: Annotated[str, Meta(max_length=400)] | None
    keys: Count
    frames: Count
    kept: Count
    at: Time
    checkpoint: CheckpointRef
