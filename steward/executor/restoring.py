"""``restore``: from a signed receipt to a signed restore manifest to records and links read back.

Left to others: what goes back where (``restore``), the order of writes (``engine``, the same as for deletions).
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from steward.errors import (
    BackupUnreadableError,
    ExecutionError,
    ExpiredError,
    JournalCorruptError,
    PartialExecutionError,
    UsageError,
)
from steward.executor.backup import BackupReader, load_identities
from steward.executor.brakes import Brakes
from steward.executor.choosing import Scope, choose
from steward.executor.documents import RestorePredicate
from steward.executor.engine import Engine
from steward.executor.gates import Gates, TenantLock
from steward.executor.parts import Parts
from steward.executor.ports import APPLIED, Progress, Work, Writer
from steward.executor.receipt import read_receipt
from steward.executor.restore import FrameEffects, Line, RestoreDecider
from steward.executor.restore_report import line_document, report
from steward.manifest.codec import encode
from steward.manifest.draft import new_manifest_id, whole_second
from steward.manifest.format import RESTORE_TYPE, Subject
from steward.manifest_files import read_file, write_file
from steward.messages import N_
from steward.signing import Signer, TrustStore, sign_statement, verify_statement
from steward.signing.trust import Role

EVERYTHING = Scope()
REPORT_BATCH = 200
RESTORE_ROLES: tuple[Role, ...] = ("steward", "privacy", "owner")


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore came to: items by state, and what was read back.

    For a forecast ``lines`` is what cannot come back, or not as it was, and why.
    """

    manifest: str
    counts: dict[str, int]
    receipt: Path | None
    lines: list[Line]


def restore_receipt(
    parts: Parts,
    receipt: Path,
    signer: Signer,
    *,
    identities: Sequence[Path] = (),
    scope: Scope = EVERYTHING,
    new_ids: bool = False,
    dry_run: bool = False,
    progress: Progress = None,
) -> Restored:
    """Draft, sign and apply a restore of a receipt's items, all or some.

    Parameters
    ----------
    signer : Signer
        Of a steward; one suffices, making things safer is cheap.
    identities : sequence of Path
        Files that open the backup; those of ``config.toml`` where none is given.
    scope : Scope
        What to bring back.
    new_ids : bool
        Make a record anew under another id where somebody else has its own now.
    dry_run : bool
        Say what would come back, and what cannot; change nothing.

    Raises
    ------
    TrustError
        The receipt is not one of an executor of this tenant, or the key is no steward's.
    BackupUnreadableError
        No identity opens the backup, or it has expired.
    """
    lock = TenantLock(parts.home.path / "lock")
    try:
        trust = parts.trust()
        now = parts.now()
        checked, lines = read_receipt(receipt, trust, parts.home.config.tenant, now)
        said = checked.predicate
        if said.kind != "deletion":
            raise UsageError(N_("This is the receipt of a restore."), next_step=N_("Give the receipt of a deletion."))
        if parts.journal.manifest(said.manifest_id) is None:
            raise JournalCorruptError(
                N_("This home does not know the manifest of the receipt."),
                next_step=N_("Run it in the home that has its backup."),
            )
        reader = BackupReader(parts.backup_disk, identities_of(parts, identities))
        effects = FrameEffects(parts.journal, reader, said.manifest_id)
        chosen = choose(lines, scope, effects, parts.home.mapping)
        works = restore_works(parts, said.manifest_id, chosen)
        writer = parts.writer()
        try:
            decider = RestoreDecider(writer, parts.home.mapping, effects, parts.journal.new_id, new_ids, parts.actor(writer))
            if dry_run:
                return Restored("", *forecast(works, decider))
            running = next(
                (m for m in parts.journal.manifests() if m["of"] == said.manifest_id and m["state"] == "running"), None
            )
            envelope_path = _restore_envelope(parts, running, checked.digest, said.manifest_id, works, signer)
            return _restore(parts, envelope_path, trust, lock, writer, decider, effects, works, progress)
        finally:
            writer.close()
    finally:
        lock.release()


def identities_of(parts: Parts, paths: Sequence[Path]) -> list[Any]:
    places = list(paths) or [parts.outside(p) for p in parts.home.config.identities]
    if not places:
        raise BackupUnreadableError(
            N_("The executor cannot open its own backups."),
            next_step=N_("Give the identity of a recipient: --identity FILE."),
        )
    return [i for p in places for i in load_identities(read_file(p, limit=1 << 16).decode())]


def restore_works(parts: Parts, deletion: str, chosen: list[dict[str, Any]]) -> list[Work]:
    works = []
    for seq, line in enumerate(chosen):
        original = parts.journal.item(deletion, line["seq"])
        assert original is not None
        unit = original.unit
        works.append(
            Work(
                seq,
                line["object"],
                line["id"],
                "restore",
                None,
                original.version,
                original.preimage,
                unit=unit,
                of_seq=line["seq"],
            )
        )
    return works


def _restore_envelope(
    parts: Parts, running: dict[str, Any] | None, receipt: str, deletion: str, works: Sequence[Work], signer: Signer
) -> Path:
    """Write and sign the restore manifest; a begun restore is gone on with."""
    parent = parts.home.path / "restores"
    parent.mkdir(exist_ok=True)
    if running is not None:
        return parent / str(running["id"]) / "restore.dsse.json"
    person, _ = parts.trust().person_of(signer.keyid, parts.now())
    id = new_manifest_id(secrets.token_bytes(16))
    counts: dict[str, int] = {}
    for work in works:
        counts[f"{work.object}/restore"] = counts.get(f"{work.object}/restore", 0) + 1
    raw = b"".join(
        encode({"seq": w.seq, "object": w.object, "id": w.id, "of": w.of_seq, "preimage": w.preimage}) + b"\n" for w in works
    )
    now = whole_second(parts.clock.now())
    c = parts.home.config
    said = RestorePredicate(
        manifest_id=id, receipt=receipt, deletion=deletion, system=c.system, tenant=c.tenant, environment=c.environment,
        person=person.id, created_at=now, expires_at=now + timedelta(days=7), records=len(works), counts=counts,
    )  # fmt: skip
    folder = parent / id
    folder.mkdir()
    write_file(folder / "items.ndjson", raw)
    subject = Subject(name="items.ndjson", digest={"sha256": hashlib.sha256(raw).hexdigest()})
    path = folder / "restore.dsse.json"
    write_file(path, sign_statement([signer], subject=[subject], predicate_type=RESTORE_TYPE, predicate=said))
    return path


def _restore(
    parts: Parts,
    envelope: Path,
    trust: TrustStore,
    lock: TenantLock,
    writer: Writer,
    decider: RestoreDecider,
    effects: FrameEffects,
    works: list[Work],
    progress: Progress,
) -> Restored:
    raw = read_file(envelope.parent / "items.ndjson", limit=1 << 32)
    lines = [json.loads(line) for line in raw.split(b"\n")[:-1]]
    c = parts.home.config
    checked = verify_statement(
        read_file(envelope, limit=4 << 20), trust=trust, now=parts.now(), predicate_type=RESTORE_TYPE, predicate=RestorePredicate,
        by="people", tenant=c.tenant, roles=RESTORE_ROLES, objects={line["object"] for line in lines},
    )  # fmt: skip
    said = checked.predicate
    here = (c.system, c.tenant, c.environment)
    if (said.system, said.tenant, said.environment) != here or checked.subject[0].digest["sha256"] != hashlib.sha256(
        raw
    ).hexdigest():
        raise ExecutionError(N_("The restore manifest is not for here, or its items are not those that were signed."))
    if parts.clock.now() >= said.expires_at and parts.journal.manifest(said.manifest_id) is None:
        raise ExpiredError(N_("The restore manifest has expired."))
    if [(w.seq, w.of_seq) for w in works] != [(line["seq"], line["of"]) for line in lines]:
        works = restore_works(
            parts, said.deletion, [{"seq": line["of"], "object": line["object"], "id": line["id"]} for line in lines]
        )
    names = parts.journal.manifest(said.deletion)
    assert names is not None
    disk = parts.backup_disk
    try:
        audit = parts.audit(trust)
        now = parts.clock.now().isoformat()
        parts.journal.receive(
            said.manifest_id,
            checked.digest,
            works,
            kind="restore",
            at=now,
            retain_days=names["retain_days"],
            of=said.deletion,
        )
        parts.say(audit, "restore", said.manifest_id, None)
        gates = Gates(
            parts.journal, disk, parts.clock, parts.home.frozen, parts.home.path / "holds.txt", refresh=frozenset, lock=lock,
            reserve=parts.home.config.reserve_bytes, need_holds=False,
        )  # fmt: skip
        brakes = Brakes(len(works), drift=10_000, error=10_000, missing=10_000, in_a_row=len(works))
        engine = Engine(
            said.manifest_id, parts.journal, disk, list(trust.recipients().values()), writer, decider, audit, brakes, gates,
            parts.clock, batch=c.batch, pushed=parts.push, hook=parts.hook, progress=progress,
        )  # fmt: skip
        counts = engine.run()
        found: list[Line] = []
        unmoved = writer.moving if not writer.capabilities.transactional else lambda object: frozenset()
        for start in range(0, len(works), REPORT_BATCH):
            part = [e for w in works[start : start + REPORT_BATCH] if w.of_seq is not None for e in effects.of(w.of_seq)]
            found += report(part, lambda keys: writer.read(keys).records, parts.home.mapping, parts.journal.new_id, unmoved)
        text = b"".join(encode(line_document(entry)) + b"\n" for entry in found)
        write_file(parts.home.path / "receipts" / f"{said.manifest_id}.report.ndjson", text, mode=0o600)
        parts.hook("report")
        path, _ = parts.finish(disk, audit, said.manifest_id, "restore", checked.subject[0], "finished")
        return Restored(said.manifest_id, counts, path, found)
    finally:
        disk.close()


def forecast(works: Sequence[Work], decider: RestoreDecider) -> tuple[dict[str, int], None, list[Line]]:
    """Return what would happen by kind, and, record by record and link by link, what cannot come back and why."""
    counts: dict[str, int] = {}
    lost: list[Line] = []
    left = list(works)
    while left:
        part, left = left[:200], left[200:]
        units, verdicts, later = decider.decide(part)
        left = later + left
        decider.assumed |= decider.promised()
        counts["restore"] = counts.get("restore", 0) + sum(len(u.works) for u in units)
        for unit in units:
            counts["new_id"] = counts.get("new_id", 0) + sum(1 for e in unit.effects if e.renumber)
        for verdict in verdicts:
            name = f"{verdict.state.value}/{verdict.code}"
            counts[name] = counts.get(name, 0) + 1
            if verdict.state not in APPLIED:
                lost.append(Line(verdict.work.seq, "item", verdict.work.key, "", "impossible", why=verdict.code))
        if not units and not verdicts:
            raise PartialExecutionError(N_("No item of the batch can go on."), count=len(later))
    return {n: c for n, c in counts.items() if c}, None, [*lost, *decider.impossible]
