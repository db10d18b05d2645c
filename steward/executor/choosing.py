"""Which of a receipt's records a restore is about: by id, number, object, time, or with all that was taken with them.

Left to others: what becomes of them (``restore``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from steward.crm.mapping import Mapping as CrmMapping
from steward.errors import UsageError
from steward.executor.ports import TOUCHED
from steward.executor.restore import FrameEffects
from steward.messages import N_
from steward.records import RecordKey, canonical_text

_GONE = frozenset(s.value for s in TOUCHED)


@dataclass(frozen=True, slots=True)
class Scope:
    """What is meant. Everything empty means all; what is given must all hold.

    Attributes
    ----------
    ids : frozenset of str
        ``object/id``, or an id alone; together with ``seqs``: either suffices.
    seqs : frozenset of int
        Numbers of items of the deletion.
    objects : frozenset of str
    since, until : datetime or None
        When the record was taken, ``until`` itself excluded.
    with_related : bool
        Also what hung on these records, or what they hung on, and was taken by the same manifest.
    """

    ids: frozenset[str] = frozenset()
    seqs: frozenset[int] = frozenset()
    objects: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    with_related: bool = False

    def means(self, line: Mapping[str, Any]) -> bool:
        """True where an outcome line is meant."""
        if (self.ids or self.seqs) and not (
            line["seq"] in self.seqs or line["id"] in self.ids or f"{line['object']}/{line['id']}" in self.ids
        ):
            return False
        if self.objects and line["object"] not in self.objects:
            return False
        if self.since is None and self.until is None:
            return True
        at = datetime.fromisoformat(line["at"])
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)


def choose(lines: Iterable[bytes], scope: Scope, effects: FrameEffects, mapping: CrmMapping) -> list[dict[str, Any]]:
    """Return the outcome lines of records that were taken and are meant, by falling number: parents before children.

    Raises
    ------
    UsageError
        None is meant.
    BackupUnreadableError
        Related records are asked for and the backup does not open.
    """
    taken: dict[int, dict[str, Any]] = {}
    for raw in lines:
        line = json.loads(raw)
        if line["state"] in _GONE and (scope.with_related or scope.means(line)):
            taken[line["seq"]] = line
    chosen = {seq for seq, line in taken.items() if scope.means(line)}
    if not chosen:
        raise UsageError(N_("None of the receipt's deleted records is meant."), next_step=N_("See: steward-executor status."))
    if scope.with_related:
        chosen = _related(taken, chosen, effects, mapping)
    return [taken[seq] for seq in sorted(chosen, reverse=True)]


def _related(taken: Mapping[int, Mapping[str, Any]], chosen: set[int], effects: FrameEffects, mapping: CrmMapping) -> set[int]:
    """Follow references between taken records: all below the chosen ones, then all above those."""
    by_key = {RecordKey(line["object"], line["id"]): seq for seq, line in taken.items()}
    below: dict[int, set[int]] = {}
    above: dict[int, set[int]] = {}
    for seq in sorted(taken):
        for e in effects.of(seq):
            if e.role != "item":
                continue
            for name, object in mapping.objects[e.before.key.object].parents.items():
                id = canonical_text(e.before.fields.get(name))
                parent = None if id is None else by_key.get(RecordKey(object, id))
                if parent is not None and parent != seq:
                    below.setdefault(parent, set()).add(seq)
                    above.setdefault(seq, set()).add(parent)
    return _reach(_reach(chosen, below), above)


def _reach(start: set[int], edges: Mapping[int, set[int]]) -> set[int]:
    found, todo = set(start), list(start)
    while todo:
        for next_ in edges.get(todo.pop(), ()):
            if next_ not in found:
                found.add(next_)
                todo.append(next_)
    return found


__all__ = ["Scope", "choose"]
