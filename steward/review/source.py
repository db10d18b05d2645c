"""What one case shows: its records side by side, the evidence, the weights, protections and what hangs on each record.

Reads the workspace and computes; decides nothing. A :class:`Sheet` is complete: once it is at the screen, nothing more
has to be asked to paint it.

Left to others: the queue (``steward.review.cases``), what may be decided (``steward.review.intent``), words and
painting (the panel).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steward.crm.mapping import ObjectMapping
from steward.evidence import ComparisonVector, Evidence
from steward.messages import N_
from steward.policy import Holds, Protection
from steward.records import RecordKey, Snapshot
from steward.review.cases import CaseIndex
from steward.review.difference import CellState, Piece, difference
from steward.review.intent import Clash, Fact, Facts
from steward.review.losses import Membership, clashes, memberships, referred
from steward.review.survivor import Result, choosable, preview, technical
from steward.store.sql import quote

if TYPE_CHECKING:
    from steward.store import Workspace
    from steward.store.model import ChildImpact

MOST_MEMBERS = 50
"""Members shown side by side; a larger cluster says how many are left out."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of one member, compared with the survivor's."""

    state: CellState
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One field over all members, in the order of :attr:`Sheet.members`."""

    field: str
    differs: bool
    choosable: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """Why a survivor is proposed: an English clause, and whether somebody able to add records could have steered it."""

    reason: str
    steerable: bool


@dataclass(frozen=True, slots=True)
class Sheet:
    """One case, complete.

    Attributes
    ----------
    members : tuple of RecordKey
        The survivor first.
    hidden_members : int
        Members beyond :data:`MOST_MEMBERS`.
    lines : tuple of Line
        Fields that any member fills, in the order of the snapshot.
    weights : tuple of ComparisonVector
        The pairs that hold the cluster together, strongest first.
    weakest : ComparisonVector or None
    impact : mapping of RecordKey to tuple of ChildImpact
        Only children that exist.
    result : Result or None
        The survivor as a merge would leave it, for clusters.
    values : mapping of RecordKey to values
        The members shown, as the snapshot has them.
    memberships : mapping of RecordKey to tuple of Membership
        Lists, campaigns, groups that each member belongs to, with the role there.
    refers : mapping of (field, id) to str
        Labels of the records that lost values refer to.
    proposal : Proposal or None
        Why the scoring proposes this survivor; None where it did not say.
    """

    facts: Facts
    title: str
    members: tuple[RecordKey, ...]
    hidden_members: int
    lines: tuple[Line, ...]
    evidence: tuple[Evidence, ...]
    weights: tuple[ComparisonVector, ...]
    weakest: ComparisonVector | None
    impact: Mapping[RecordKey, tuple[ChildImpact, ...]]
    result: Result | None
    values: Mapping[RecordKey, Mapping[str, str | None]]
    memberships: Mapping[RecordKey, tuple[Membership, ...]]
    refers: Mapping[tuple[str, str], str]
    proposal: Proposal | None = None


class Source:
    """Reads cases of one snapshot."""

    def __init__(self, ws: Workspace, snapshot: Snapshot, index: CaseIndex, holds: Holds | None = None) -> None:
        self._ws, self._snapshot, self._index = ws, snapshot, index
        self._mapping = ws.mapping(snapshot)
        self._db = ws.connection.cursor()
        self._holds = holds
        # A workspace that an earlier version scored and nobody has written to since has no such table.
        told = self._db.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'survivors'").fetchall()
        self._told = bool(told)

    def close(self) -> None:
        """Release the database cursor."""
        self._db.close()

    def entry(self, object: str) -> ObjectMapping | None:
        """Return the mapping of an object; None for a file without one."""
        found: ObjectMapping | None = self._mapping.objects.get(object)
        return found

    def facts(self, places: Sequence[int]) -> list[Facts]:
        """Return what decisions need to know of many cases, with a fixed number of queries, in the order given."""
        members = self._index.members(places)
        by_object: dict[str, set[str]] = {}
        for keys in members.values():
            for key in keys:
                by_object.setdefault(key.object, set()).add(key.id)
        digests: dict[RecordKey, str] = {}
        protections: dict[RecordKey, list[Protection]] = {}
        survivors: dict[tuple[str, str], str] = {}
        seen = self._index.digests(places)
        several = {p: keys for p, keys in members.items() if self._index.kind_of(p) == "duplicate"}
        clashing: Mapping[int, Sequence[Clash]] = (
            clashes(self._db, self._ws, self._snapshot, self._mapping, several) if several else {}
        )
        blocked = {name: self._blocked(name, sorted(ids)) for name, ids in by_object.items()}
        for name, ids in by_object.items():
            wanted = {"ids": sorted(ids), "s": self._snapshot.digest, "o": name}
            table = self._ws.table(self._snapshot, name)
            found = self._db.execute(
                f"SELECT _id, _digest FROM {table} JOIN (SELECT unnest($ids::VARCHAR[]) AS _id) USING (_id)",  # noqa: S608 - quoted
                {"ids": wanted["ids"]},
            )
            digests.update({RecordKey(name, i): d for i, d in found.fetchall()})
            for record_id, code, outcome, sentence in self._db.execute(
                "SELECT record_id, code, outcome, sentence FROM protections p JOIN (SELECT unnest($ids::VARCHAR[]) AS record_id) USING (record_id) "
                "WHERE snapshot = $s AND object = $o ORDER BY code",
                wanted,
            ).fetchall():
                protections.setdefault(RecordKey(name, record_id), []).append(Protection(code, outcome, sentence))
            for record_id in ids if self._holds is not None else ():
                code = (
                    self._holds.entries.get(RecordKey(name, record_id))
                    if self._holds is not None and self._holds.loaded
                    else "unknown_legal_hold"
                )
                if code is not None:
                    held = Protection(code, "keep", N_("The record is on the hold list, or the list could not be read."))
                    protections.setdefault(RecordKey(name, record_id), []).append(held)
            for cluster, record_id in self._db.execute(
                "SELECT cluster_id, record_id FROM clusters JOIN (SELECT unnest($ids::VARCHAR[]) AS record_id) USING (record_id) "
                "WHERE snapshot = $s AND object = $o AND survivor",
                wanted,
            ).fetchall():
                survivors[name, cluster] = record_id
        out = []
        for place in places:
            case, kind, name = self._index.case_id(place), self._index.kind_of(place), self._index.object_of(place)
            survivor = survivors.get((name, case)) if kind == "duplicate" else None
            entry = self.entry(name)
            out.append(
                Facts(
                    case_id=case,
                    kind=kind,
                    object=name,
                    members=tuple(
                        Fact(
                            k,
                            digests.get(k, ""),
                            tuple(protections.get(k, ())),
                            blocked[k.object].get(k.id, {}),
                            tuple(c for c in clashing.get(place, ()) if k.id in c.members),
                        )
                        for k in members[place]
                    ),
                    survivor=RecordKey(name, survivor) if survivor is not None else None,
                    evidence_digest=case_digest(seen.get(place, [])),
                    user=entry is not None and entry.role == "user",
                    recycled=entry is None or entry.soft_delete is not None,
                )
            )
        return out

    def _blocked(self, name: str, ids: list[str]) -> dict[str, dict[str, int]]:
        """Return for each record how many children of each object would block its deletion."""
        out: dict[str, dict[str, int]] = {}
        known = {o.name for o in self._snapshot.objects}
        for child, column in self._mapping.children_of(name):
            if child.name not in known or child.on_delete.get(column, "block") != "block":
                continue
            parent = quote(column)
            found = self._db.execute(
                f"SELECT {parent}, count(*) FROM {self._ws.table(self._snapshot, child.name)} "  # noqa: S608 - quoted
                f"JOIN (SELECT unnest($ids::VARCHAR[]) AS parent_id) ON {parent} = parent_id WHERE NOT _deleted GROUP BY {parent}",
                {"ids": ids},
            )
            for parent_id, count in found.fetchall():
                counts = out.setdefault(parent_id, {})
                counts[child.name] = counts.get(child.name, 0) + count
        return out

    def sheet(
        self,
        place: int,
        *,
        survivor: str | None = None,
        out: frozenset[str] = frozenset(),
        by_hand: Mapping[str, str] | None = None,
        rule: str = "survivor",
    ) -> Sheet:
        """Return one case as it is to be painted.

        Parameters
        ----------
        survivor : str, optional
            Id of another member than the proposed one.
        out : frozenset of str
            Ids of members taken out; the preview of the merge leaves them out.
        by_hand : mapping of str to str, optional
            Field → id of the member whose value a person chose.
        """
        [facts] = self.facts([place])
        keys = [m.key for m in facts.members]
        first = next((k for k in keys if k.id == survivor), facts.survivor or keys[0])
        ordered = ([first] if first in keys else []) + [k for k in keys if k != first]
        shown = ordered[:MOST_MEMBERS]
        records = self._ws.records(self._snapshot, facts.object, [k.id for k in shown])
        columns = self._ws.columns(self._snapshot, facts.object)
        values = {k: records.get(k.id, {}) for k in shown}
        entry = self.entry(facts.object)
        free = choosable(entry, columns)
        lines = tuple(
            line
            for c in _for_the_eye(columns, entry)
            if c != (entry.key if entry else None) and (line := _line(c, shown, values, c in free)) is not None
        )
        evidence = tuple(
            e
            for e in self._ws.evidence(self._snapshot, kind=facts.kind, object=facts.object, keys=keys)
            if e.case_id == facts.case_id
        )
        weights: tuple[ComparisonVector, ...] = ()
        if facts.kind == "duplicate":
            weights = tuple(
                sorted(self._ws.pairs_of(self._snapshot, facts.object, facts.case_id), key=lambda v: (-v.match_weight, v.pair))
            )
        result = None
        if facts.kind == "duplicate":
            staying = {k: v for k, v in values.items() if k.id not in out or k == first}
            result = preview(
                staying,
                first,
                free,
                rule=rule,
                modified=entry.modified if entry else None,
                by_hand=by_hand,
                shown=[c for c in columns if c not in technical(entry)],
            )
        impact = self._ws.impact(self._snapshot, shown)
        gone: dict[str, set[str]] = {}
        for one in result.lost if result else ():
            if entry is not None and one.field in entry.parents:
                gone.setdefault(one.field, set()).add(one.value)
        return Sheet(
            facts=facts,
            title=self._index.row(place).title,
            members=tuple(shown),
            hidden_members=len(ordered) - len(shown),
            lines=lines,
            evidence=evidence,
            weights=weights,
            weakest=weights[-1] if weights else None,
            impact={k: tuple(c for c in i.children if c.count) for k, i in impact.items()},
            result=result,
            values=values,
            memberships=memberships(self._db, self._ws, self._snapshot, self._mapping, shown),
            refers=referred(self._db, self._ws, self._snapshot, self._mapping, facts.object, gone) if gone else {},
            proposal=self._proposal(facts),
        )

    def _proposal(self, facts: Facts) -> Proposal | None:
        """Read why this one cluster's survivor is proposed; the whole table would be too much for every case."""
        if facts.survivor is None or not self._told:
            return None
        rows = self._db.execute(
            "SELECT reason, steerable FROM survivors WHERE snapshot = $s AND object = $o AND cluster_id = $c AND record_id = $r",
            {"s": self._snapshot.digest, "o": facts.object, "c": facts.case_id, "r": facts.survivor.id},
        ).fetchall()
        if not rows:
            return None
        reason, steerable = rows[0]
        # The stored clause carries the warning as its last part; it is said in the reader's language where it is shown.
        return Proposal(reason.rpartition("; ")[0] or reason if steerable else reason, bool(steerable))


def _for_the_eye(columns: Sequence[str], entry: ObjectMapping | None) -> list[str]:
    """Return columns as they are read: what names the record first, what only the system keeps last, else as in the source."""
    label = entry.label if entry else ()
    kept_by_system = technical(entry)
    return sorted(columns, key=lambda c: (c in kept_by_system, label.index(c) if c in label else len(label)))


def case_digest(digests: Sequence[str]) -> str:
    """Return the digest of what a reviewer saw in a case, from the digests of its evidence; as ``evidence.evidence_digest``."""
    joined = "\n".join(sorted(digests))
    return hashlib.sha256(f"steward.case.v1\n{joined}".encode()).hexdigest()


def _line(
    field: str, members: Sequence[RecordKey], values: Mapping[RecordKey, Mapping[str, str | None]], free: bool
) -> Line | None:
    reference = values[members[0]].get(field)
    cells = []
    for i, key in enumerate(members):
        value = values[key].get(field)
        state, pieces = difference(value, reference)
        if i == 0 and state == "same":
            state = "reference"
        cells.append(Cell(state, tuple(pieces)))
    if all(c.state == "missing" for c in cells):
        return None
    return Line(field, len({values[k].get(field) for k in members}) > 1, free, tuple(cells))


__all__ = ["MOST_MEMBERS", "Cell", "Line", "Sheet", "Source", "case_digest"]
