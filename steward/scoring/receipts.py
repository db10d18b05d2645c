"""Receipts on this side of the line: which records an executor says are gone, read from its signed receipt.

The receipt and the file of outcomes beside it are read and checked; nothing here can change a CRM. Left to others: writing
receipts (the executor), what is made of them (``gates``, ``history``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from steward.errors import MalformedManifestError, WrongTargetError
from steward.manifest.format import RECEIPT_TYPE
from steward.manifest_files import read_file
from steward.messages import N_
from steward.records import RecordKey, Snapshot
from steward.signing import TrustStore, verify_statement
from steward.store import Workspace

_DONE = ("done", "done_inferred")
_GONE = ("soft_delete", "hard_delete", "merge_into")
_LARGEST = 4 << 30


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an executor did.

    Attributes
    ----------
    gone : mapping of RecordKey to str
        Record → action, for records that were deleted, or merged into another.
    emptied : mapping of RecordKey to frozenset of str
        Record → fields that hold something else since it was anonymised, by name. It is there still, with its documents.
    started, finished : datetime
        Aware.
    """

    manifest_id: str
    system: str
    tenant: str
    environment: str
    started: datetime
    finished: datetime
    gone: dict[RecordKey, str]
    emptied: dict[RecordKey, frozenset[str]] = field(default_factory=dict)


def read_receipt(path: Path, trust: TrustStore, tenant: str, now: datetime) -> Receipt:
    """Open a receipt of a deletion; its signature by an executor of the tenant and the digest of its outcomes must hold.

    Parameters
    ----------
    path : Path
        ``<manifest>.receipt.dsse.json``; ``<manifest>.outcomes.ndjson`` lies beside it.

    Raises
    ------
    TrustError, MalformedManifestError
        Not signed by an executor of this tenant, not a receipt of a deletion, or outcomes that were not signed.
    """
    checked = verify_statement(
        read_file(path, limit=4 << 20),
        trust=trust,
        now=now,
        predicate_type=RECEIPT_TYPE,
        predicate=msgspec.Raw,
        by="executors",
        tenant=tenant,
    )
    said: dict[str, Any] = json.loads(bytes(checked.predicate))
    if said["kind"] != "deletion":
        raise MalformedManifestError(N_("{path} is no receipt of a deletion."), path=path.name)
    outcomes = said["outcomes"]
    raw = read_file(
        path.parent / f"{said['manifestId']}.outcomes.ndjson", limit=min(_LARGEST, outcomes["bytes"] + 1), empty=True
    )
    if hashlib.sha256(raw).hexdigest() != outcomes["sha256"]:
        raise MalformedManifestError(N_("The outcomes beside the receipt are not those that were signed."))
    gone: dict[RecordKey, str] = {}
    emptied: dict[RecordKey, frozenset[str]] = {}
    for line in raw.splitlines():
        found = json.loads(line)
        if found["state"] in _DONE and found["action"] in _GONE:
            gone[RecordKey(found["object"], found["id"])] = found["action"]
        elif found["state"] in _DONE and found["action"] == "anonymise":
            emptied[RecordKey(found["object"], found["id"])] = _emptied(found["did"], path)
    return Receipt(
        said["manifestId"],
        said["system"],
        said["tenant"],
        said["environment"],
        datetime.fromisoformat(said["started"]),
        datetime.fromisoformat(said["finished"]),
        gone,
        emptied,
    )


def _emptied(did: Mapping[str, Any], path: Path) -> frozenset[str]:
    if "op" not in did:  # guessing which fields went would move figures that never moved
        raise MalformedManifestError(
            N_("The manifest does not say which fields of which objects are anonymised, each once."), path=path.name
        )
    return frozenset((*did.get("removed", ()), *did.get("replaced", ())))


def snapshots_around(ws: Workspace, receipts: Sequence[Receipt]) -> tuple[Snapshot, Snapshot | None]:
    """Return the newest snapshot from before the first of some executions, and the newest from after the last.

    Raises
    ------
    WrongTargetError
        The receipts are of different sources, or the workspace holds no snapshot from before.
    """
    sources = {(r.system, r.tenant, r.environment) for r in receipts}
    started, finished = min(r.started for r in receipts), max(r.finished for r in receipts)
    # The executor writes to the CRM itself; exports of the same CRM come from files, so the system may differ.
    (tenant, environment) = next(iter((t, e) for _s, t, e in sources))
    mine = [s for s in ws.snapshots() if (s.tenant, s.environment) == (tenant, environment)]
    before = [s for s in mine if s.taken_at <= started]
    if len({(t, e) for _s, t, e in sources}) != 1 or not before:
        raise WrongTargetError(
            N_("The workspace holds no snapshot of {tenant} from before {time}."),
            next_step=N_("Name the workspace that the manifest was drafted from."),
            tenant=tenant,
            time=started.isoformat(timespec="seconds"),
        )
    first = max(before, key=lambda s: s.taken_at)
    after = [s for s in mine if s.taken_at >= finished and s.system == first.system]
    return first, (max(after, key=lambda s: s.taken_at) if after else None)
