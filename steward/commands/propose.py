"""``steward propose``: draft a manifest from the decisions in force.

Gathers from the workspace what :func:`steward.manifest.draft.draft` asks for. Signs nothing and changes no CRM.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steward import __version__
from steward.commands import _signing as shared
from steward.commands.common import workspace_of
from steward.errors import IncompleteSnapshotError, TrustError, UntrustedKeyError, UsageError
from steward.manifest.draft import Draft, DraftRules, RecordState, draft, new_manifest_id
from steward.manifest.format import FieldChange, Proposer
from steward.manifest_files import read_file, write_draft
from steward.messages import N_, _
from steward.policy import Holds, Policy, Protection, parse_holds
from steward.records import Link, RecordKey, Snapshot
from steward.screen import Screen

if TYPE_CHECKING:
    from steward.crm.mapping import Mapping as CrmMapping
    from steward.crm.mapping import ObjectMapping
    from steward.store import Workspace

HELP = N_("draft a manifest from the decisions")
EXAMPLE = "steward propose --workspace w --to manifests --proposer ada --trust trust"

_DEEPEST = 64


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words of this verb."""
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help=_("folder that gets the manifest's folder"))
    parser.add_argument(
        "--proposer", required=True, metavar="NAME", help=_("who proposes; a person of the trust store, never an approver")
    )
    parser.add_argument(
        "--holds", type=Path, metavar="FILE", help=_("legal hold list, for objects that were not scored for staleness")
    )
    parser.add_argument(
        "--hard", action="append", default=[], metavar="OBJECT", help=_("delete this object for good (repeatable)")
    )
    parser.add_argument(
        "--reassign", action="append", default=[], metavar="OBJECT=ID", help=_("who takes over what hangs on OBJECT")
    )
    parser.add_argument(
        "--side-effect", action="append", default=[], metavar="SWITCH",
        help=_("leave this switch of the CRM on, e.g. wf_trigger; all are off otherwise (repeatable)"),
    )  # fmt: skip
    parser.add_argument("--grace-hours", type=int, metavar="N", help=_("a longer grace than policy asks for"))
    parser.add_argument("--supersedes", metavar="ID", help=_("the manifest this one replaces"))
    parser.add_argument("--explain", action="store_true", help=_("list every record that is held back"))
    shared.add_policy_argument(parser)
    shared.add_trust_arguments(parser)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Draft, write the folder, and say what was held back."""
    trust = shared.open_trust(args)
    holds = (
        parse_holds(read_file(args.holds, limit=1 << 28, empty=True).decode("utf-8", "replace"), where=args.holds.name)
        if args.holds
        else None
    )
    drafted, folder = _propose(
        workspace_of(args),
        args.to,
        proposer=args.proposer,
        policies=args.policy,
        trust=trust,
        holds=holds,
        hard=args.hard,
        side_effects=args.side_effect,
        reassign_to=dict(word.split("=", 1) for word in args.reassign if "=" in word),
        grace=None if args.grace_hours is None else timedelta(hours=args.grace_hours),
        supersedes=args.supersedes,
    )
    screen.say(
        N_("Manifest {id}: {records} records, from {start} until {end}."),
        id=drafted.manifest_id,
        records=len(drafted.items),
        start=drafted.not_before.isoformat(),
        end=drafted.expires_at.isoformat(),
    )
    screen.table(
        N_("What it would do"),
        (N_("object"), N_("action"), N_("records")),
        [(*kind.split("/", 1), n) for kind, n in drafted.counts.items()],
    )
    if drafted.held_back:
        sentences: dict[str, str] = {}
        for held in drafted.held_back:
            sentences.setdefault(held.code, held.sentence)
        screen.table(
            N_("What was held back"),
            (N_("reason"), N_("records"), N_("for example")),
            [(code, n, _(sentences[code])) for code, n in drafted.held_by_code.items()],
        )
        if args.explain:
            screen.table(
                "", (N_("record"), N_("reason"), N_("sentence")), [(h.key, h.code, _(h.sentence)) for h in drafted.held_back]
            )
    screen.next(f"steward inspect {folder}")
    screen.result(
        {
            "manifest_id": drafted.manifest_id,
            "folder": str(folder),
            "records": len(drafted.items),
            "counts": drafted.counts,
            "held_back": drafted.held_by_code,
            "not_before": drafted.not_before.isoformat(),
            "expires_at": drafted.expires_at.isoformat(),
        }
    )
    return 0


def propose(
    workspace: Path,
    to: Path,
    *,
    proposer: str,
    policy: Path | None = None,
    trust: Path | None = None,
    pin: str | None = None,
    **options: Any,
) -> Path:
    """Draft a manifest and return its folder; what ``Workbench.propose`` and the demo call.

    Parameters
    ----------
    trust : Path, optional
        Trust folder; by default ``STEWARD_TRUST`` or ``trust`` in the workspace.
    pin : str, optional
        Digest of its first version; by default from the file beside it.
    **options
        ``holds``, ``hard``, ``reassign_to``, ``grace``, ``supersedes`` as :func:`steward.manifest.draft.draft` takes them.
    """
    words = argparse.Namespace(trust=trust, pin=pin, workspace=workspace)
    return _propose(
        workspace, to, proposer=proposer, policies=[policy] if policy else None, trust=shared.open_trust(words), **options
    )[1]


def _propose(
    workspace: Path,
    to: Path,
    *,
    proposer: str,
    policies: list[Path] | None,
    trust: Any,
    holds: Holds | None = None,
    hard: Iterable[str] = (),
    side_effects: Iterable[str] = (),
    reassign_to: Mapping[str, str] | None = None,
    grace: timedelta | None = None,
    supersedes: str | None = None,
) -> tuple[Draft, Path]:
    from steward.review.losses import singles
    from steward.store import Workspace
    from steward.store.decision_log import DecisionLog

    with Workspace.open(workspace, read_only=True) as store:
        _refuse_exports(store.mapping(store.snapshot()))
    policy = shared.open_policies(argparse.Namespace(policy=policies))[0]
    if trust.person(proposer) is None:
        raise UntrustedKeyError(
            N_("The proposer {person} is not in the trust store."),
            next_step=N_("Add the person with: steward trust add."),
            person=proposer,
        )
    if len(trust.recipients()) < 2:
        raise TrustError(
            N_("The trust store knows fewer than two backup recipients."),
            next_step=N_("Add recipients with: steward trust add recipient."),
        )
    with Workspace.open(workspace, read_only=True) as store, DecisionLog.open(workspace / "decisions.sqlite") as log:
        snapshot = store.snapshot()
        _open_gates(store, snapshot, policy)
        mapping = store.mapping(snapshot)
        standing = log.standing()
        known = _Gather(store, snapshot, mapping)
        keys = set(standing.by_key)
        known.states_of(
            keys | {RecordKey(k.object, d.target) for k, d in standing.by_key.items() if d.target and d.action == "merge_into"}
        )
        known.children_below([d.key for d in standing.destructive()])
        merged = [d for d in standing.destructive() if d.action == "merge_into" and d.target]
        ends = {d.key for d in merged} | {RecordKey(d.key.object, d.target) for d in merged if d.target}
        rules = DraftRules.of(
            policy,
            recipients=sorted(trust.recipients()),
            anonymise={n: anonymise_rule(o, store.columns(snapshot, n)) for n, o in mapping.objects.items()},
            reassign_to=reassign_to,
            hard=hard,
            recycle_bin=_recycle_bin(mapping.system),
            side_effects=_known_switches(mapping.system, side_effects),
        )
        drafted = draft(
            standing,
            snapshot,
            known.states,
            known.protections(holds),
            known.children,
            rules,
            objects=mapping.objects,
            evidence=known.evidence(keys),
            proposer=Proposer(person=proposer, tool=f"steward {__version__}", notebook_digest=None),
            now=shared.now(),
            manifest_id=new_manifest_id(os.urandom(16)),
            trust_version=trust.version,
            sandbox=trust.is_sandbox(snapshot.environment),
            sizes={name: known.live(name) for name in mapping.objects},
            grace=grace,
            supersedes=supersedes,
            singles=singles(store.connection, store, snapshot, mapping, ends),
        )
    return drafted, write_draft(to, drafted).path


def _refuse_exports(mapping: CrmMapping) -> None:
    """Refuse a vendor's export files: nothing is written back through them, and a manifest would be signed in vain.

    Raises
    ------
    UsageError
    """
    if mapping.system == "files" and "export" in mapping.options:
        raise UsageError(
            N_("This snapshot is of export files, and nothing is ever written back through them."),
            next_step=N_("Take a snapshot of the CRM itself, with --profile or in SQL, and review that one."),
        )


def _recycle_bin(system: str) -> bool:
    """Say whether a vendor's CRM has a recycle bin of its own; a database has one only where the mapping names it."""
    from steward.crm.registry import capabilities

    return any(c.recycle_bin and not c.transactional for c in capabilities() if c.system == system)


def _known_switches(system: str, asked: Iterable[str]) -> tuple[str, ...]:
    from steward.crm.registry import capabilities

    known = {switch for c in capabilities() if c.system == system for switch in c.side_effects}
    found = tuple(sorted(set(asked)))
    unknown = [s for s in found if s not in known]
    if unknown:
        raise UsageError(
            N_("{system} has no switch {unknown}; it has: {known}."),
            system=system, unknown=", ".join(unknown), known=", ".join(sorted(known)) or "-",
        )  # fmt: skip
    return found


def _open_gates(store: Workspace, snapshot: Snapshot, policy: Policy) -> None:
    """Refuse where the snapshot, a scoring of it or its protections may not be whole.

    Raises
    ------
    IncompleteSnapshotError
        With the first reason.
    """
    from steward.scoring.gates import gates

    closed = gates(store, snapshot, policy, now=shared.now())
    if closed:
        raise IncompleteSnapshotError(
            closed[0].template,
            next_step=N_("Nothing may be deleted so. See every reason with: steward gate."),
            **closed[0].facts,
        )


def anonymise_rule(entry: ObjectMapping, columns: Sequence[str]) -> tuple[FieldChange, ...]:
    """Return what anonymising empties: every writable field that does not hold the record in its place. Where the system
    wants a value, a pseudonym is written.

    Kept are the id, references, owner, times, version, deletion marks, amounts and states.
    """
    kept = {entry.key, *entry.parents, entry.created, entry.modified, entry.version, entry.owner, entry.event, entry.amount}
    for rule in (entry.open_when, entry.active_when, entry.begun_by_person):
        if rule is not None:
            kept.add(rule.column)
    if entry.soft_delete is not None:
        kept |= {entry.soft_delete.column, entry.soft_delete.at, entry.soft_delete.by}
    return tuple(
        FieldChange(field=c, method="token" if c in entry.required else "null")
        for c in columns
        if entry.writes(c) and c not in kept and not c.startswith("_")
    )


class _Gather:
    """Reads from one snapshot what a draft needs."""

    def __init__(self, store: Workspace, snapshot: Snapshot, mapping: CrmMapping) -> None:
        self.store = store
        self.snapshot = snapshot
        self.mapping = mapping
        self.states: dict[RecordKey, RecordState] = {}
        self.children: dict[RecordKey, list[Link]] = {}

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self.store.connection.execute(sql, list(values)).fetchall()
        return found

    def states_of(self, keys: Iterable[RecordKey]) -> None:
        """Read digest, version and deletion mark of records."""
        for name, ids in _by_object(keys).items():
            if name not in self.mapping.objects:
                continue
            table = self.store.table(self.snapshot, name)
            rows = self._rows(f"SELECT _id, _digest, _version, _deleted FROM {table} WHERE _id IN (SELECT unnest(?))", ids)  # noqa: S608  # the table name is quoted by the store
            for id, digest, version, deleted in rows:
                self.states[RecordKey(name, id)] = RecordState(digest, version, bool(deleted))

    def children_below(self, keys: Iterable[RecordKey]) -> None:
        """Read the live references to records and, where they cascade, to what hangs on those."""
        from steward.store.sql import quote

        level = set(keys)
        for _depth in range(_DEEPEST):
            below: set[RecordKey] = set()
            for name, ids in _by_object(level).items():
                if name not in self.mapping.objects:
                    continue
                for child, column in self.mapping.children_of(name):
                    table = self.store.table(self.snapshot, child.name)
                    quoted = quote(column)
                    sql = f"SELECT _id, {quoted} FROM {table} WHERE NOT _deleted AND {quoted} IN (SELECT unnest(?))"  # noqa: S608  # both names are quoted
                    rows = self._rows(sql, ids)
                    for id, parent in rows:
                        link = Link(RecordKey(child.name, id), column, RecordKey(name, parent))
                        self.children.setdefault(link.parent, []).append(link)
                        if child.on_delete.get(column) in ("cascade", "keep"):  # kept children go with one that goes for good
                            below.add(link.child)
            level = {k for k in below if k not in self.children}
            self.states_of(k for k in below if k not in self.states)
            if not level:
                return

    def protections(self, holds: Holds | None) -> dict[RecordKey, Sequence[Protection]]:
        """Return the protections of every record read so far; a record about which nothing is known is left out.

        An object that was scored for staleness has them in the workspace. Any other is covered by the hold list alone,
        and only where there is one: what it hangs on carries the protections of its business.
        """
        scored = {
            r[0]
            for r in self._rows(
                "SELECT object FROM runs WHERE snapshot = ? AND kind = 'stale' AND complete", self.snapshot.digest
            )
        }
        stored = self.store.protections(self.snapshot, list(self.states))
        found: dict[RecordKey, Sequence[Protection]] = {}
        for key in self.states:
            if key.object in scored:
                kept = tuple(stored.get(key, ()))
                late = None if holds is None else holds.entries.get(key)  # held since the scoring
                if late is not None and not any(p.code == late for p in kept):
                    kept = (*kept, Protection(late, "keep", N_("The record is on the hold list.")))
                found[key] = kept
            elif holds is not None and holds.loaded:
                held = holds.entries.get(key)
                found[key] = () if held is None else (Protection(held, "keep", N_("The record is on the hold list.")),)
        return found

    def evidence(self, keys: Iterable[RecordKey]) -> dict[RecordKey, list[Any]]:
        """Return the stored evidence of records."""
        found: dict[RecordKey, list[Any]] = {}
        for piece in self.store.evidence(self.snapshot, keys=list(keys)):
            found.setdefault(piece.key, []).append(piece)
        return found

    def live(self, name: str) -> int:
        """Number of live records of an object."""
        table = self.store.table(self.snapshot, name)
        return int(self._rows(f"SELECT count(*) FROM {table} WHERE NOT _deleted")[0][0])  # noqa: S608  # quoted by the store


def _by_object(keys: Iterable[RecordKey]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for key in keys:
        grouped.setdefault(key.object, []).append(key.id)
    return grouped
