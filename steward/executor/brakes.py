"""The breaker: stops a run when what happens is not what a healthy run looks like; a person must look then.

Limits are in hundredths of a percent of the manifest's items; zero means zero. Left to others: gates that are asked
before every batch (``gates``), what an item's state means (``ports``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from steward.errors import BreakerTrippedError
from steward.executor.judge import Verdict
from steward.executor.ports import State, Unit
from steward.messages import N_

SMALL = 3
"""A percentage of a small manifest is less than one record; so many are allowed where the limit is not zero."""


@dataclass(slots=True)
class Brakes:
    """Counts of one run and the limits they may not pass.

    Attributes
    ----------
    records : int
        Items of the manifest.
    drift, error, missing : int
        Limits in hundredths of a percent.
    in_a_row : int
        Failures in a row.
    unknown_batches : int
        Batches in a row with outcomes that the CRM did not tell.
    overridden : bool
        A person has looked and said so; the reason is in the audit log.
    """

    records: int
    drift: int = 500
    error: int = 200
    missing: int = 2_000
    in_a_row: int = 10
    unknown_batches: int = 3
    overridden: bool = False
    counts: dict[State, int] = field(default_factory=dict)
    _row: int = 0
    _doubtful: int = 0

    def before(self, units: Sequence[Unit], verdicts: Sequence[Verdict]) -> None:
        """Look at a batch before anything of it is written or sent; a trip leaves its items as they were.

        Raises
        ------
        BreakerTrippedError
        """
        total = sum(len(u.works) for u in units) + len(verdicts)
        for state, limit, name in ((State.MISSING, self.missing, "missing"), (State.DRIFT, self.drift, "drift")):
            here = sum(1 for v in verdicts if v.state is state)
            if not here:
                continue
            allowed = self._allowed(limit)
            so_far = self.counts.get(state, 0) + here
            # Half of a batch that is not what was reviewed is a wrong snapshot or a CRM that answers with nothing.
            if not self.overridden and (so_far > allowed or (here > SMALL and here * 2 > total)):
                raise self._trip(name, so_far, allowed)
            self.counts[state] = so_far
        unanswered = sum(1 for v in verdicts if v.code == "no_answer")
        if unanswered and not self.overridden:
            raise self._trip("no_answer", unanswered, 0)

    def after(self, rows: Sequence[tuple[int, State, str, str | None]]) -> None:
        """Look at the outcomes of a batch.

        Raises
        ------
        BreakerTrippedError
        """
        doubtful = False
        for _, state, _, _ in rows:
            self.counts[state] = self.counts.get(state, 0) + 1
            self._row = self._row + 1 if state in (State.FAILED, State.PARTLY) else 0
            doubtful = doubtful or state is State.DOUBT
            if self._row > self.in_a_row and not self.overridden:
                raise self._trip("failed_in_a_row", self._row, self.in_a_row)
        self._doubtful = self._doubtful + 1 if doubtful else 0
        if self._doubtful > self.unknown_batches and not self.overridden:
            raise self._trip("outcome_unknown", self._doubtful, self.unknown_batches)
        failed = self.counts.get(State.FAILED, 0) + self.counts.get(State.PARTLY, 0)
        if failed > self._allowed(self.error) and not self.overridden:
            raise self._trip("failed", failed, self._allowed(self.error))

    def canary(self, lied: int) -> None:
        """Stop where records of the first batch are still there although the CRM said they were gone."""
        if lied:
            raise self._trip("said_but_not_done", lied, 0)

    def by_others(self, count: int) -> None:
        """Stop where the CRM says that somebody else deleted what we did: the account is not ours alone, or it lies."""
        if count and not self.overridden:
            raise self._trip("deleted_by_another", count, 0)

    def count(self, object: str, found: int, expected: int) -> None:
        """Stop where an object has implausibly many or few records; the CRM may not be the one that was reviewed.

        Raises
        ------
        BreakerTrippedError
        """
        if abs(found - expected) > max(SMALL, expected // 10) and not self.overridden:
            raise BreakerTrippedError(
                N_("{object} has {found} records; about {expected} were expected from the snapshot."),
                next_step=N_(
                    "See whether this is the right CRM, or whether something else deletes. Then: apply --override REASON."
                ),
                object=object,
                found=found,
                expected=expected,
            )

    def _allowed(self, limit: int) -> int:
        return max(self.records * limit // 10_000, min(SMALL, self.records)) if limit else 0

    def _trip(self, name: str, found: int, allowed: int) -> BreakerTrippedError:
        return BreakerTrippedError(
            N_("Stopped: {found} records are '{name}', and {allowed} are allowed."),
            next_step=N_("A person must look: steward-executor status. Then run again, or with --override REASON."),
            name=name,
            found=found,
            allowed=allowed,
        )
