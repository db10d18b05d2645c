"""The manifest: what will happen, record by record, in bytes that can be signed.

``format`` has the types, ``codec`` the strict reading and writing, ``chunks`` the item file, ``merkle`` the tree heads,
``draft`` the way from decisions to items. No disk, no network, no clock: bytes, ids and ``now`` are arguments.

Left to others: files and folders (``steward.manifest_files``), keys, signatures and verification (``steward.signing``).
"""

from __future__ import annotations

from steward.manifest.chunks import BytesSource, ItemSource, ItemsSummary, check_items, encode_item, ids_digest, write_items
from steward.manifest.codec import decode, encode
from steward.manifest.format import (
    ACTIONS,
    CHECKPOINT_TYPE,
    MANIFEST_TYPE,
    PLAN_TYPE,
    RECEIPT_TYPE,
    RESTORE_TYPE,
    VETO_TYPE,
    Action,
    Doc,
    FieldChange,
    HeldBack,
    Item,
    ItemsInfo,
    Limits,
    ManifestPredicate,
    ManifestStatement,
    RelatedSet,
    Statement,
    Subject,
    Survivor,
    VetoPredicate,
)

__all__ = [
    "ACTIONS",
    "CHECKPOINT_TYPE",
    "MANIFEST_TYPE",
    "PLAN_TYPE",
    "RECEIPT_TYPE",
    "RESTORE_TYPE",
    "VETO_TYPE",
    "Action",
    "BytesSource",
    "Doc",
    "FieldChange",
    "HeldBack",
    "Item",
    "ItemSource",
    "ItemsInfo",
    "ItemsSummary",
    "Limits",
    "ManifestPredicate",
    "ManifestStatement",
    "RelatedSet",
    "Statement",
    "Subject",
    "Survivor",
    "VetoPredicate",
    "check_items",
    "decode",
    "encode",
    "encode_item",
    "ids_digest",
    "write_items",
]
