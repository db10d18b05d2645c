"""The claims of one reviewer at work: taken a few at a time, renewed in time, given up at the end.

A claim keeps a case from being offered to somebody else while it is on a screen. It never decides anything, and whoever
opens a claimed case by hand is told so and may go on.

Left to others: where claims are kept (``steward.store.claims``), which case comes next (``steward.review.session``).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from steward.store.claims import LEASE, Claims


class Claiming:
    """What one reviewer has claimed, and what others have.

    Attributes
    ----------
    taken : mapping of str to str
        Case ids that somebody else has on the screen → by whom; as of the last :meth:`look_around`.
    """

    def __init__(self, claims: Claims | None, reviewer: str) -> None:
        self._claims, self._reviewer = claims, reviewer
        self._mine: dict[str, float] = {}  # case → when claimed, monotonic
        self.taken: Mapping[str, str] = {}

    @property
    def used(self) -> bool:
        """False where nothing is claimed at all: a rule, a blind second opinion."""
        return self._claims is not None

    def look_around(self) -> None:
        """Learn what others have on their screens."""
        if self._claims is not None:
            self.taken = self._claims.others(self._reviewer)
            for case_id in self.taken:
                self._mine.pop(case_id, None)

    def claim(self, case_ids: Sequence[str], *, take_over: bool = False) -> None:
        """Claim cases; which of them were free shows in :meth:`has`."""
        if self._claims is None:
            return
        now = time.monotonic()
        mine = self._claims.claim(self._reviewer, case_ids, take_over=take_over)
        self._mine |= dict.fromkeys(mine, now)
        if len(mine) < len(set(case_ids)):
            self.look_around()

    def has(self, case_id: str) -> bool:
        """Tell whether a case is this reviewer's, and not about to end."""
        return time.monotonic() - self._mine.get(case_id, -LEASE) < LEASE / 2

    def let_go(self) -> None:
        """Give up every claim of this reviewer."""
        if self._claims is not None and self._mine:
            self._claims.release(self._reviewer)
            self._mine.clear()
