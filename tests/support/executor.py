"""A whole world for the executor: a generated CRM, an executor's home, people, manifests drafted from decisions.

Nothing is faked: SQL, files, keys, signatures and the clock are real. Keys are deterministic by name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyrage

from steward.crm.mapping import Mapping as CrmMapping
from steward.crm.mapping import parse_mapping
from steward.crm.sql import SqlReader
from steward.decisions import Decision, DecisionAction, fold
from steward.executor.home import init_home, pin_trust
from steward.executor.runner import Executor
from steward.manifest.draft import DraftRules, RecordState, draft, new_manifest_id, whole_second
from steward.manifest.format import Proposer
from steward.manifest_files import ManifestFolder, write_draft, write_trust
from steward.policy import parse_policy
from steward.records import Link, ObjectStats, Record, RecordKey, Snapshot
from steward.sandbox import demo_mapping
from steward.signing import (
    Environment,
    Recipient,
    Revoked,
    Root,
    RootHolder,
    Trust,
    cosign_statement,
    draft_trust,
    read_trust,
    sign_trust,
    trusted_key,
)
from steward.signing import Executor as TrustedExecutor
from tests.support.signing import person, signer

POLICY = """\
format = "steward-policy/1"
name = "tests"
version = "1"
[limits]
max_records = 1000000
max_percent_of_object = 100
max_drift_percent = 100
max_error_percent = 100
canary = 5
rate_per_minute = 1000000
window = "any"
"""


@dataclass
class World:
    """One CRM, one home, one set of people."""

    folder: Path
    url: str
    mapping_text: str = field(default_factory=demo_mapping)
    policy_text: str = POLICY
    batch: int = 20
    nonce: int = 0
    key: Any = None

    def __post_init__(self) -> None:
        self.mapping: CrmMapping = parse_mapping(self.mapping_text)
        self.home = self.folder / "executor"
        self.identity = self.folder / "ops.agekey"
        ops, dpo = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
        self.identity.write_text(str(ops))
        self.recipients = (str(ops.to_public()), str(dpo.to_public()))
        self.public = init_home(
            self.home, executor="machine", url=self.url, mapping=self.mapping_text, policy=self.policy_text, batch=self.batch
        )
        self.policy = parse_policy(self.policy_text)
        now = datetime.now(UTC).replace(microsecond=0)
        span = {"from_": now - timedelta(days=2), "to": now + timedelta(days=100)}

        def key(name: str) -> Any:
            return trusted_key(signer(name).public_key, **span)

        self.document = Trust(
            version=1, issued=now - timedelta(days=1), expires=now + timedelta(days=90), previous=None,
            root=Root(threshold=2, holders=(RootHolder(person="ria", key=key("root ria")), RootHolder(person="rex", key=key("root rex")))),
            people=tuple(
                person(name, *roles, keys=[key(name)])
                for name, roles in (("ada", ("analyst",)), ("bob", ("steward",)), ("cid", ("steward",)), ("dan", ("privacy",)), ("eve", ("owner",)))
            ),
            executors=(TrustedExecutor(id="machine", tenant=self.mapping.tenant, keys=(trusted_key(self.public, **span),)),),
            recipients=tuple(Recipient(id=n, recipient=r) for n, r in zip(("ops", "dpo"), self.recipients, strict=True)),
            policies=(self.policy.digest,),
            environments=(Environment(name=self.mapping.environment, sandbox=True),),
            revoked=Revoked(keys=(), manifests=()), minimum_tool="0.1",
        )  # fmt: skip
        raw = draft_trust(self.document)
        for name in ("root ria", "root rex"):
            raw = sign_trust(raw, signer(name))
        write_trust(self.folder / "trust", 1, raw)
        pin_trust(self.home, self.folder / "trust", read_trust(raw)[1])

    def executor(self, **words: Any) -> Executor:
        """Open the executor. Its key is opened once: that takes half a second, by design."""
        made = Executor(self.home, **words)
        if self.key is None:
            self.key = made.signer
        made._signer = self.key
        return made

    def rows(self) -> dict[str, dict[str, str]]:
        """Every row of every table, whole, as text: what "row by row identical" compares."""
        with SqlReader(self.url, self.mapping) as reader:
            return {
                o.name: {
                    r.key.id: json.dumps(r.fields, default=str, sort_keys=True) for part in reader.scan(o.name) for r in part
                }
                for o in reader.objects()
            }

    def records(self) -> dict[RecordKey, Record]:
        """Every record."""
        with SqlReader(self.url, self.mapping) as reader:
            return {r.key: r for o in reader.objects() for part in reader.scan(o.name) for r in part}

    def manifest(
        self,
        actions: Mapping[RecordKey, str | tuple[str, str] | tuple[str, str, Mapping[str, str]]],
        *,
        signed: Sequence[str] = ("bob", "cid", "dan", "eve"),
        hard: Iterable[str] = (),
        anonymise: Mapping[str, Any] | None = None,
        reassign_to: Mapping[str, str] | None = None,
        singles: Sequence[Sequence[Link]] = (),
    ) -> Path:
        """Draft a manifest by decisions from the CRM as it is now, sign it, return its folder."""
        records = self.records()
        children: dict[RecordKey, list[Link]] = {}
        for key, record in records.items():
            if record.deleted:
                continue
            for name, parent in self.mapping.objects[key.object].parents.items():
                value = record.fields[name]
                if value is not None:
                    children.setdefault(RecordKey(parent, str(value)), []).append(
                        Link(key, name, RecordKey(parent, str(value)))
                    )
        now = datetime.now(UTC)
        log = []
        for n, (key, said) in enumerate(actions.items()):
            action, target, choices = (said, None, {}) if isinstance(said, str) else (*said, {})[:3]
            log.append(
                Decision(
                    id=f"d{n}",
                    group=f"g{n}",
                    case_id=f"c{n}",
                    key=key,
                    action=DecisionAction(action),
                    reviewer="bob",
                    at=now,
                    record_digest=records[key].digest,
                    target=target,
                    choices=choices or {},
                )
            )
        sizes = {o: sum(1 for k, r in records.items() if k.object == o and not r.deleted) for o in self.mapping.objects}
        snapshot = Snapshot(
            "5" * 64, now - timedelta(minutes=5), self.mapping.system, self.mapping.tenant, self.mapping.environment, "sql/1",
            tuple(ObjectStats(o, n, "0" * 64) for o, n in sizes.items()),
        )  # fmt: skip
        rules = DraftRules(
            policy_digest=self.policy.digest, policy_version="1", max_records=1_000_000, max_percent_of_object=10_000,
            max_drift_percent=10_000, max_error_percent=10_000, canary=5, rate_per_minute=1_000_000, recipients=("ops", "dpo"),
            hard=frozenset(hard), anonymise=anonymise or {}, reassign_to=reassign_to or {}, grace_sandbox=timedelta(0),
        )  # fmt: skip
        self.nonce += 1
        made = draft(
            fold(log), snapshot, {k: RecordState(r.digest, r.version, r.deleted) for k, r in records.items()},
            dict.fromkeys(records, ()), children, rules, objects=self.mapping.objects,
            proposer=Proposer(person="ada", tool="steward", notebook_digest=None), now=whole_second(now),
            manifest_id=new_manifest_id(os.urandom(8) + self.nonce.to_bytes(8, "big")), trust_version=1, sandbox=True, sizes=sizes,
            singles=singles,
        )  # fmt: skip
        self.held = made.held_back
        folder = write_draft(self.folder / "manifests", made)
        self.sign(folder, signed)
        return folder.path

    def sign(self, folder: ManifestFolder, names: Sequence[str]) -> None:
        """Add approvals."""
        envelope = folder.envelope()
        for name in names:
            envelope = cosign_statement(envelope, signer(name))
        folder.write_envelope(envelope)
