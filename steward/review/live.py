"""The fold of a decision log kept up to date entry by entry, and the undo history of one reviewer.

:func:`steward.decisions.fold` is the definition; this gives the same answer (a property test holds them together)
without reading the whole log after each keystroke. Both are pure functions of the log: a restart, or a second kernel,
that reads the same entries stands at the same place.

Left to others: the log (``steward.store``), cases and the queue (``steward.review.session``).
"""

from __future__ import annotations

from collections.abc import Iterable

from steward.decisions import Conflict, Decision, DecisionAction, Standing, fold
from steward.records import RecordKey

_MARKS = frozenset({DecisionAction.UNDO, DecisionAction.REDO})


class LiveFold:
    """What a log says now, updated by :meth:`add`.

    Attributes
    ----------
    by_key : dict of RecordKey to Decision
        As ``Standing.by_key``.
    conflicts : dict of RecordKey to Conflict
    undone : set of str
        Groups that count as never made.
    """

    def __init__(self, log: Iterable[Decision] = ()) -> None:
        self.by_key: dict[RecordKey, Decision] = {}
        self.conflicts: dict[RecordKey, Conflict] = {}
        self.undone: set[str] = set()
        self.merged_into: dict[RecordKey, set[RecordKey]] = {}
        self._entries: list[Decision] = []
        self._place: dict[str, int] = {}
        self._of_key: dict[RecordKey, list[Decision]] = {}
        self._of_group: dict[str, list[Decision]] = {}
        self._superseding: dict[str, list[Decision]] = {}
        self._key_of_id: dict[str, RecordKey] = {}
        self._pairs: frozenset[tuple[RecordKey, RecordKey]] | None = frozenset()
        self.add(log)

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entries: Iterable[Decision]) -> set[RecordKey]:
        """Take in the next entries of the log, in its order; return the keys whose standing may have changed."""
        touched: set[RecordKey] = set()
        for entry in entries:
            self._place[entry.id] = len(self._entries)
            self._entries.append(entry)
            self._pairs = None
            if entry.action in _MARKS:
                group = entry.undoes or ""
                before = group in self.undone
                (self.undone.add if entry.action is DecisionAction.UNDO else self.undone.discard)(group)
                if before != (group in self.undone):
                    touched.update(self._affected_by_group(group))
                continue
            self._of_key.setdefault(entry.key, []).append(entry)
            self._of_group.setdefault(entry.group, []).append(entry)
            self._key_of_id[entry.id] = entry.key
            touched.add(entry.key)
            if entry.supersedes and entry.action is not DecisionAction.COMMENT:
                for name in entry.supersedes.split():
                    self._superseding.setdefault(name, []).append(entry)
                    if name in self._key_of_id:
                        touched.add(self._key_of_id[name])
        for key in touched:
            self._refold(key)
        return touched

    def counting(self, key: RecordKey) -> list[Decision]:
        """Return the entries on one record that are not undone, comments among them, oldest first."""
        return [d for d in self._of_key.get(key, ()) if d.group not in self.undone]

    def order_of(self, decision: Decision) -> int:
        """Return where an entry stands in the log; the clock never decides."""
        return self._place[decision.id]

    def keys_of_group(self, group: str) -> list[RecordKey]:
        """Return the records that one keystroke decided on."""
        return [d.key for d in self._of_group.get(group, ())]

    def entries_of_group(self, group: str) -> list[Decision]:
        """Return the entries of one keystroke."""
        return list(self._of_group.get(group, ()))

    def first_of_group(self, group: str) -> Decision:
        """Return the first entry of one keystroke; ``KeyError`` where there is none."""
        return self._of_group[group][0]

    def not_duplicates(self) -> frozenset[tuple[RecordKey, RecordKey]]:
        """Return the pairs that may never be proposed again."""
        if self._pairs is None:
            self._pairs = fold(e for e in self._entries if self._speaks_of_pairs(e)).not_duplicates
        return self._pairs

    def standing(self) -> Standing:
        """Return the same as :func:`steward.decisions.fold` of the whole log."""
        conflicts = tuple(self.conflicts[key] for key in sorted(self.conflicts))
        return Standing(dict(self.by_key), conflicts, self.not_duplicates(), frozenset(self.undone))

    @staticmethod
    def _speaks_of_pairs(entry: Decision) -> bool:
        return entry.action in _MARKS or entry.action in (DecisionAction.NOT_DUPLICATE, DecisionAction.MERGE)

    def _affected_by_group(self, group: str) -> set[RecordKey]:
        entries = self._of_group.get(group, ())
        keys = {d.key for d in entries}
        for entry in entries:
            if entry.supersedes:
                keys.update(self._key_of_id[n] for n in entry.supersedes.split() if n in self._key_of_id)
        return keys

    def _is_replaced(self, decision: Decision) -> bool:
        return any(s.group not in self.undone for s in self._superseding.get(decision.id, ()))

    def _refold(self, key: RecordKey) -> None:
        before = self.by_key.pop(key, None)
        self.conflicts.pop(key, None)
        if before is not None and before.target is not None and before.action is DecisionAction.MERGE:
            self.merged_into.get(RecordKey(key.object, before.target), set()).discard(key)
        mine: dict[str, Decision] = {}
        for entry in self.counting(key):
            if entry.action is not DecisionAction.COMMENT:
                mine.pop(entry.reviewer, None)
                mine[entry.reviewer] = entry
        alive = [d for d in mine.values() if not self._is_replaced(d)]
        standing = [d for d in alive if not d.by_rule] or alive
        if not standing:
            return
        self.by_key[key] = standing[-1]
        for other in standing[1:]:
            if (other.action, other.target) != (standing[0].action, standing[0].target):
                self.conflicts[key] = Conflict(key, standing[0], other)
                break
        last = standing[-1]
        if last.action is DecisionAction.MERGE and last.target is not None:
            self.merged_into.setdefault(RecordKey(key.object, last.target), set()).add(key)


class History:
    """Undo and redo of one reviewer, read from the log: without limit, and the same after a restart."""

    def __init__(self, reviewer: str) -> None:
        self.reviewer = reviewer
        self.done: list[str] = []
        self.undone: list[str] = []
        self._known: set[str] = set()

    def add(self, entries: Iterable[Decision]) -> None:
        """Take in the next entries of the log, in its order. A new decision of the reviewer ends what can be redone."""
        for entry in entries:
            group = entry.undoes if entry.action in _MARKS else entry.group
            if group is None:
                continue
            if entry.action is DecisionAction.UNDO:
                if group in self.done:
                    self.done.remove(group)
                    self.undone.append(group)
            elif entry.action is DecisionAction.REDO:
                if group in self.undone:
                    self.undone.remove(group)
                if group in self._known and group not in self.done:  # also one that this reviewer could no longer redo
                    self.done.append(group)
            elif entry.reviewer == self.reviewer and group not in self._known:
                self._known.add(group)
                self.done.append(group)
                self.undone.clear()
