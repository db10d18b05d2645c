"""The plan: every item read as it is now and sorted, nothing written. A dry run is the plan, printed.

Uses the reading half of a writer only. What earlier items would take away counts as gone, so that a record's children
that go before it do not block it here when they would not block it then. Left to others: signing and printing
(``runner``, ``cli``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from steward.crm.base import Capabilities
from steward.crm.mapping import Mapping as CrmMapping
from steward.executor.effects import unit_of
from steward.executor.judge import Rules, Verdict, judge, keys_to_read
from steward.executor.ports import Progress, Reading, State, Unit, Work
from steward.executor.verdict import Stop
from steward.manifest.format import FieldChange, Item
from steward.records import Record, RecordKey, Scalar, tag

_GOES = ("soft_delete", "hard_delete", "merge_into")


class Look(Protocol):
    """The reading half of a writer."""

    capabilities: Capabilities

    def read(self, keys: Sequence[RecordKey], *, links_of: Sequence[RecordKey] = ()) -> Reading:
        """See :class:`steward.executor.ports.Writer`."""
        ...

    def value_for(self, object: str, field: str, text: str | None, now: datetime) -> Scalar:
        """See :class:`steward.executor.ports.Writer`."""
        ...

    def close(self) -> None:
        """See :class:`steward.executor.ports.Writer`."""
        ...


@dataclass(slots=True)
class LiveDecider:
    """Reads a batch and judges it: the decider of plan and apply.

    Attributes
    ----------
    vetoed, held, kept : callables
        Return what the gates found last.
    pending : callable
        True for records that are open items of the same manifest.
    patient : bool
        Let an item wait for such records; False where nothing else is left, and it is blocked.
    privacy : bool
        Somebody with the role ``privacy`` has approved: what no system could bring back may go.
    """

    look: Look
    mapping: CrmMapping
    actor: str
    now: Callable[[], datetime]
    anonymise: Mapping[str, Sequence[FieldChange]]
    vetoed: Callable[[], frozenset[int]]
    held: Callable[[], frozenset[RecordKey]]
    kept: Callable[[], Mapping[RecordKey, str]] = dict
    reviewed_at: datetime | None = None
    pending: Callable[[RecordKey], bool] = lambda key: False
    patient: bool = True
    privacy: bool = False
    assume_gone: set[RecordKey] | None = None

    def decide(self, works: Sequence[Work]) -> tuple[list[Unit], list[Verdict], list[Work]]:
        """Return units, verdicts and what must wait; see :func:`steward.executor.judge.judge`."""
        keys, parents = keys_to_read(works)
        reading = self.look.read(keys, links_of=parents)
        if self.assume_gone is not None:
            gone = self.assume_gone
            links = {p: [x for x in found if x.child not in gone] for p, found in reading.links.items()}
            reading = Reading(reading.records, links, reading.hidden)
        return judge(works, reading, self._rules())

    def rest(self, works: Sequence[Work]) -> Unit | None:
        """Return what is left to do of a merge or deletion that was interrupted, from what hangs on it now.

        Whether each change is one that was written down before is compared by the writer.
        """
        keys, parents = keys_to_read(works)
        reading = self.look.read(keys, links_of=parents)
        halves = {w.key for w in works if w.action == "hard_delete" and self.look.capabilities.bin_call}
        if any(not isinstance(found := reading.records.get(k), Record) or (found.deleted and k not in halves) for k in keys):
            return None  # what lies in the bin may only be on its way to be deleted for good
        try:
            return unit_of(works, reading, self._rules())
        except Stop:
            return None

    def _rules(self) -> Rules:
        return Rules(
            self.mapping, self.look.value_for, self.actor, self.now(), self.anonymise, vetoed=self.vetoed(), held=self.held(),
            kept=self.kept(), reviewed_at=self.reviewed_at, capabilities=self.look.capabilities, privacy=self.privacy,
            pending=self.pending if self.patient else lambda key: False,
            untouchable=getattr(self.look, "untouchable", lambda record: ""),
        )  # fmt: skip


@dataclass(slots=True)
class Plan:
    """What would happen."""

    verdicts: Counter[str] = field(default_factory=Counter)
    related: Counter[str] = field(default_factory=Counter)
    by_action: Counter[str] = field(default_factory=Counter)
    stopped: list[Verdict] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0
    records: int = 0

    @property
    def applies(self) -> int:
        """Items that would be applied."""
        return self.verdicts["apply"]


SHOWN = 1_000
"""Items with a reason to stay that a plan keeps; all are counted."""


def works_of(items: Iterable[Item]) -> Iterable[Work]:
    """Return signed items as the journal's; losers of one survivor share a unit."""
    for i in items:
        unit = f"{i.object}>{i.target}" if i.action == "merge_into" else ""
        yield Work(i.seq, i.object, i.id, i.action, i.target, i.version, i.preimage, i.survivor, i.choices, i.related, unit)


def make_plan(works: Iterable[Work], decider: LiveDecider, *, batch: int = 500, progress: Progress = None) -> Plan:
    """Sort all items. Memory is proportional to the items that would go."""
    plan = Plan()
    decider.assume_gone = set()
    units: dict[str, list[Work]] = {}
    pending: list[Work] = []

    def run(part: list[Work]) -> None:
        while part:
            done, verdicts, later = decider.decide(part)
            _count(plan, done, verdicts)
            gone = {w.key for u in done for w in u.works if w.action in _GOES}
            assert decider.assume_gone is not None
            decider.assume_gone |= gone
            if progress is not None:
                progress(len(part) - len(later))
            part = later

    for work in works:
        plan.records += 1
        if work.unit:
            units.setdefault(work.unit, []).append(work)
            continue
        pending.append(work)
        if len(pending) >= batch:
            run(pending)
            pending = []
    run(pending)
    merges = [w for group in units.values() for w in group]
    for start in range(0, len(merges), batch):
        run(merges[start : start + batch])
    return plan


def _count(plan: Plan, units: Sequence[Unit], verdicts: Sequence[Verdict]) -> None:
    for unit in units:
        for work in unit.works:
            plan.verdicts["apply"] += 1
            plan.by_action[f"{work.object}/{work.action}"] += 1
            for related in work.related:
                plan.related[f"{related.object}.{related.field}/{related.rule}"] += related.count
        for effect in unit.effects:
            plan.rows += 1
            plan.bytes += sum(len(name) + len(tag(value)) for name, value in effect.before.fields.items())
    for verdict in verdicts:
        state = {State.VETO: "vetoed", State.HELD: "held"}.get(verdict.state, verdict.state.value)
        plan.verdicts[state] += 1
        if len(plan.stopped) < SHOWN:
            plan.stopped.append(verdict)
