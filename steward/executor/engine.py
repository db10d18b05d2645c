"""The protocol loop: in which order things are written so that a crash at any instruction loses and repeats nothing.

Per batch: gates (freeze, vetoes, holds, lock, clock, space) → fresh read and verdicts → backup frame, durable and read
back → journal says INTENT → the CRM is asked once → outcome per item with its audit event and a signed checkpoint.
What was not answered is DOUBT and is settled by reading after the longest time a request can live, never by repeating.
After a crash every INTENT is DOUBT. docs/explanation/write-order.md says the same in *must* and *should*.

Left to others: what shall happen to an item (``judge``, ``restore``), asking the CRM (``writers``), when to stop
(``brakes``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from steward.errors import CrmError, JournalCorruptError, PartialExecutionError, ThrottledError
from steward.executor.audit import AuditLog
from steward.executor.backup import BackupSegment, segment_name
from steward.executor.brakes import Brakes
from steward.executor.did import changes_of
from steward.executor.journal import Journal
from steward.executor.judge import Verdict, units_of
from steward.executor.ports import (
    APPLIED,
    Answer,
    Clock,
    Decider,
    Disk,
    Effect,
    Hook,
    Progress,
    Result,
    Settled,
    State,
    SystemClock,
    Unit,
    Work,
    Writer,
    no_hook,
)
from steward.messages import N_
from steward.records import Record

MAX_ATTEMPTS = 20
"""Batches an item may be sent in without being applied. One call that breaks ends its batch, and all that was behind it
counts an attempt; a CRM that never answers is the breaker's, which counts batches in a row."""
MAX_SETTLE_ROUNDS = 4

Row = tuple[int, State, str, str | None]


@dataclass(slots=True)
class Engine:
    """One run of one manifest.

    Attributes
    ----------
    gates : callable
        Gets the number of items and raises where the next batch may not start; called before every batch.
    batch : int
        Items per batch; never more than the writer's ``batch_size``.
    canary : int
        Items of the first batch, all of which are read back before the second.
    canary_wait : float
        Seconds between the first batch and the second.
    actor : str
        Name that deletions must carry where the CRM tells who deleted; empty asks nothing.
    pushed : callable
        Gets every signed checkpoint after its commit.
    """

    manifest: str
    journal: Journal
    disk: Disk
    recipients: Sequence[str]
    writer: Writer
    decider: Decider
    audit: AuditLog
    brakes: Brakes
    gates: Callable[[int], None]
    clock: Clock = field(default_factory=SystemClock)
    batch: int = 100
    canary: int = 0
    canary_wait: float = 0.0
    pushed: Callable[[bytes], None] = lambda envelope: None
    hook: Hook = no_hook
    progress: Progress = None
    actor: str = ""
    settle_seconds: float | None = None
    _segment: BackupSegment | None = None
    _became: dict[int, str] = field(default_factory=dict)

    def run(self) -> dict[str, int]:
        """Work until nothing is open; return items by state.

        Raises
        ------
        PartialExecutionError
            Outcomes could not be settled; running again goes on.
        BreakerTrippedError, FrozenError, VetoedError, ProtectedError
            From the gates and brakes; nothing is in flight then.
        JournalCorruptError, BackupUnreadableError
            Continuing could lose records.
        """
        self._recover()
        size = max(1, min(self.batch, self.writer.capabilities.batch_size))
        first = min(size, self.canary) if self.canary and not self._applied() else 0
        width = size
        while works := self.journal.works(self.manifest, (State.PENDING,), first or width):
            self.hook("batch")
            rows = self._batch(works, size)
            if rows is None:  # all of these wait for items whose turn comes later: look further
                if len(works) < (first or width):
                    self._settle_for_less(len(works))
                first, width = 0, max(width, len(works)) * 2
                continue
            width = size
            if first:
                self._look_at_canary(works, rows)
                first = 0
        return self.journal.counts(self.manifest)

    def _applied(self) -> bool:
        counts = self.journal.counts(self.manifest)
        return any(counts.get(s.value) for s in APPLIED)

    # recovery ---------------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        """Make the disk agree with the journal, and settle what a crash left open."""
        for segment, end in self.journal.segment_ends(self.manifest).items():
            size = self.disk.size(segment_name(segment))
            if size is None or size < end:
                raise JournalCorruptError(
                    N_("The backup {segment} is shorter than the journal says."),
                    next_step=N_("Nothing is done any more. Put the backup folder back whole, or ask the auditor."),
                    segment=segment,
                )
            if size > end:
                self.disk.truncate(segment_name(segment), end)
        self.hook("recover")
        if self.journal.doubt_intents(self.manifest):
            self._settle()

    # one batch --------------------------------------------------------------------------------------------------

    def _settle_for_less(self, left: int) -> None:
        """Nothing but items that wait for each other is left: they are judged as they stand.

        Raises
        ------
        PartialExecutionError
            They were judged so already.
        """
        if not self.decider.patient:
            raise PartialExecutionError(N_("No item of the batch can go on."), count=left)
        self.decider.patient = False

    def _batch(self, works: Sequence[Work], size: int) -> list[Row] | None:
        """Work on one batch; None where every item of it waits for another."""
        self.gates(min(len(works), size))
        self.hook("gates")
        units, verdicts, _later = self.decider.decide(works)
        self.hook("decided")
        units = _at_most(units, size)
        self.brakes.before(units, verdicts)
        now = self.clock.now()
        if not units:
            if not verdicts:
                return None
            self._commit([(v.work.seq, v.state, v.code, None) for v in verdicts])
            self._advance(verdicts)
            return []
        frame = self.segment.write([e for u in units for e in u.effects])
        self.hook("backed")
        going = [w for u in units for w in u.works]
        with self._commit_guard():
            at = now.isoformat()
            if verdicts:
                stopped: list[Row] = [(v.work.seq, v.state, v.code, None) for v in verdicts]
                self.journal.resolve(self.manifest, stopped, at)
                self._event(stopped)
            self.journal.intend(
                self.manifest, going, frame, changes_of(units, transactional=self.writer.capabilities.transactional)
            )
        self.hook("intent")
        results = self._send(units, going)
        self.hook("answered")
        rows = self._outcomes(going, results)
        if not self.writer.capabilities.transactional and not self.writer.capabilities.conditional_delete:
            rows = self._compare_what_went(going, rows)
        self._commit(rows)
        self.hook("outcome")
        self.brakes.after(rows)
        self._advance(verdicts)
        if any(state is State.DOUBT for _, state, _, _ in rows):
            self._settle()
        if self.progress is not None:
            self.progress(sum(1 for _, state, _, _ in rows if state not in (State.PENDING, State.DOUBT)))
        return rows

    def _advance(self, verdicts: Sequence[Verdict]) -> None:
        if self.progress is not None and verdicts:
            self.progress(len(verdicts))

    @property
    def segment(self) -> BackupSegment:
        """This run's segment, begun with the first frame."""
        if self._segment is None:
            number = self.journal.next_segment(self.manifest)
            self._segment = BackupSegment(
                self.disk, self.manifest, f"{self.manifest}.{number}", self.recipients,
                note=lambda key: self.journal.note_key(self.manifest, key), hook=self.hook,
            )  # fmt: skip
        return self._segment

    def _send(self, units: Sequence[Unit], going: Sequence[Work]) -> Mapping[int, Result]:
        attempt = max(w.attempts for w in going) + 1
        try:
            return self.writer.apply(units, manifest=self.manifest, attempt=attempt)
        except ThrottledError as error:
            wait = error.facts.get("retry_after")
            self.clock.sleep(float(wait) if isinstance(wait, int | float) else 1.0)
            return {w.seq: Result(Answer.LATER, "throttled") for w in going}
        except CrmError:
            return {}  # whatever it was, the request had left: the outcome is read, not guessed

    def _outcomes(self, going: Sequence[Work], results: Mapping[int, Result]) -> list[Row]:
        rows: list[Row] = []
        for work in going:
            result = results.get(work.seq)
            if result is not None and result.became is not None:
                self._became[work.seq] = result.became
            match result.answer if result is not None else None:
                case Answer.DONE:
                    assert result is not None
                    rows.append((work.seq, State.DONE, result.code, result.by))
                case Answer.CHANGED:
                    rows.append((work.seq, State.DRIFT, result.code if result else "changed", None))
                case Answer.ABSENT:
                    rows.append((work.seq, State.MISSING, "absent", None))
                case Answer.REFUSED:
                    rows.append((work.seq, State.FAILED, result.code if result else "refused", None))
                case Answer.LATER:
                    rows.append(self._again(work, "throttled", 100))
                case _:
                    rows.append((work.seq, State.DOUBT, "no_answer", None))
        return rows

    def _again(self, work: Work, code: str, limit: int = MAX_ATTEMPTS) -> Row:
        """Send again later, from the fresh read on, unless it was tried often enough."""
        if work.attempts + 1 >= limit:
            return (work.seq, State.FAILED, "gave_up", None)
        return (work.seq, State.PENDING, code, None)

    def _compare_what_went(self, going: Sequence[Work], rows: list[Row]) -> list[Row]:
        """Without conditional writes somebody may have edited between read and delete: compare, and put back."""
        by_seq = {w.seq: w for w in going}
        done = [by_seq[seq] for seq, state, _, _ in rows if state is State.DONE]
        if not done:
            return rows
        found = self._read_settled(done)
        fixed: list[Row] = []
        for seq, state, code, by in rows:
            said = found.get(seq)
            if state is not State.DONE:
                fixed.append((seq, state, code, by))
            elif said is not None and said.state == "done":
                fixed.append((seq, State.DONE, "compared", said.by))
            else:
                fixed.append(self._settled_row(by_seq[seq], said))
        return fixed

    def _read_settled(self, works: Sequence[Work]) -> Mapping[int, Settled]:
        try:
            return self.writer.settle(works, manifest=self.manifest)
        except CrmError:
            return {}

    # settling ---------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Decide every item in doubt by reading, after the last moment at which the request could still act."""
        wait = self.writer.capabilities.request_lifetime if self.settle_seconds is None else self.settle_seconds
        for turn in range(MAX_SETTLE_ROUNDS):
            works = self.journal.works(self.manifest, (State.DOUBT,))
            if not works:
                return
            self.hook("settle")
            if wait:
                self.clock.sleep(wait)
            found = self._read_settled(works)
            self.hook("settled")
            halves = [w for w in works if (said := found.get(w.seq)) is not None and said.state == "partly"]
            rows = [self._settled_row(w, found.get(w.seq)) for w in works if w not in halves]
            rows += self._go_on(halves, found, last=turn == MAX_SETTLE_ROUNDS - 1)
            self._commit([r for r in rows if r[1] is not State.DOUBT])
            self.hook("settled.outcome")
        if self.journal.works(self.manifest, (State.DOUBT,), 1):
            raise PartialExecutionError(
                N_("The CRM does not say what became of {count} records."),
                next_step=N_("Nothing is sent again before that is known. Run the same command when the CRM answers."),
                count=len(self.journal.works(self.manifest, (State.DOUBT,))),
            )

    def _go_on(self, works: Sequence[Work], found: Mapping[int, Settled], *, last: bool) -> list[Row]:
        """Make the rest of units that were interrupted: under the backup and the intent that they have already.

        What cannot be gone on with is ``partly`` done, and the receipt says which steps were made; the rest of a unit
        stays in doubt until it is read.
        """
        rows: list[Row] = []
        for group in units_of(works):
            unit = None if last else self.decider.rest(group)
            if unit is None:
                rows += [self._partly(w, found[w.seq]) for w in group]
                continue
            self.hook("go_on")
            try:
                self.writer.go_on([unit], manifest=self.manifest)
            except CrmError:
                continue
            again = self._read_settled(group)
            rows += [self._settled_row(w, said) for w in group if (said := again.get(w.seq)) and said.state == "done"]
        return rows

    def _partly(self, work: Work, said: Settled) -> Row:
        with self.journal.commit():
            self.journal.did(self.manifest, {work.seq: json.dumps({"made": list(said.made)})})
        return (work.seq, State.PARTLY, "partly", said.by)

    def _settled_row(self, work: Work, said: Settled | None) -> Row:
        if said is not None and said.became is not None:
            self._became[work.seq] = said.became
        match said.state if said is not None else "unknown":
            case "done":
                assert said is not None
                return (work.seq, State.DONE_INFERRED if said.inferred else State.DONE, "settled", said.by)
            case "again":
                # A ledger is certain that nothing was done; elsewhere a request that never works must end some time.
                return self._again(work, "not_applied", 100 if self.writer.capabilities.transactional else MAX_ATTEMPTS)
            case "changed":
                return (work.seq, State.DRIFT, "changed", None)
            case "gone":
                return (work.seq, State.MISSING, "absent", said.by if said else None)
            case "edited":
                assert said is not None
                row = self._put_back(work)
                return self._partly(work, said) if said.made and row[1] is State.DRIFT else row
            case "partly":  # found directly after the answer: the next settling goes on with it
                return (work.seq, State.DOUBT, "no_answer", None)
        return (work.seq, State.DOUBT, "no_answer", None)

    def _put_back(self, work: Work) -> Row:
        self.hook("put_back")
        try:
            restored = self.writer.put_back(work, manifest=self.manifest)
        except CrmError:
            restored = False
        return (work.seq, State.DRIFT, "edited_and_put_back", None) if restored else (work.seq, State.DOUBT, "no_answer", None)

    # commits ----------------------------------------------------------------------------------------------------

    def _commit_guard(self) -> _Guard:
        return _Guard(self)

    def _event(self, rows: Sequence[Row]) -> None:
        self.audit.add(
            "items",
            self.clock.now(),
            manifest=self.manifest,
            items=[[seq, state.value, code or ""] for seq, state, code, _ in rows],
        )

    def _commit(self, rows: Sequence[Row]) -> None:
        """Outcomes, their event and a signed checkpoint: one commit."""
        if not rows:
            return
        now = self.clock.now()
        with self._commit_guard():
            self.journal.resolve(self.manifest, rows, now.isoformat())
            new_ids = {seq: self._became[seq] for seq, _, _, _ in rows if seq in self._became}
            if new_ids:
                self.journal.became(self.manifest, new_ids, now.isoformat())
            self._event(rows)
            envelope = self.audit.checkpoint(now)
            self.journal.put("clock.high", now.isoformat())
        self.pushed(envelope)

    def _look_at_canary(self, works: Sequence[Work], rows: Sequence[Row]) -> None:
        """Read back every record of the first batch: a CRM that only says yes is found before it matters.

        What the ledger knew from an earlier run may have been brought back by people since; it is no lie.
        """
        done = {seq for seq, state, code, _ in rows if state in APPLIED and code != "ledger"}
        gone = [w for w in works if w.seq in done and w.action in ("soft_delete", "hard_delete", "merge_into")]
        if gone:
            reading = self.writer.read([w.key for w in gone])
            lied = [w for w in gone if isinstance(found := reading.records.get(w.key), Record) and not found.deleted]
            self.brakes.canary(len(lied))
            if self.actor:
                others = [
                    w
                    for w in gone
                    if isinstance(found := reading.records.get(w.key), Record) and found.deleted_by not in (None, self.actor)
                ]
                self.brakes.by_others(len(others))
        if self.canary_wait:
            self.clock.sleep(self.canary_wait)


def _at_most(units: Sequence[Unit], size: int) -> list[Unit]:
    """Return as many units as one call may hold, one at least."""
    chosen: list[Unit] = []
    count = 0
    for unit in units:
        count += len(unit.works)
        if chosen and count > size:
            break
        chosen.append(unit)
    return chosen


class _Guard:
    """A commit after whose failure the audit log's memory is read anew."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._commit = engine.journal.commit()

    def __enter__(self) -> None:
        self._commit.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            self._commit.__exit__(kind, error, trace)  # type: ignore[arg-type]  # the frame's own traceback
        finally:
            if kind is not None and issubclass(kind, Exception):
                self._engine.audit.reload()


__all__ = ["Decider", "Effect", "Engine"]
