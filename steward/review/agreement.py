"""How far two reviewers agree: observed agreement and Cohen's kappa over the records both decided on.

Both must decide without seeing the other: the second decides in the log of blind second opinions. Pure; left to others:
sampling cases (``steward.review.sampling``), showing the figure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from steward.decisions import Decision, DecisionAction, fold
from steward.records import RecordKey

_COUNTED = frozenset(DecisionAction) - {DecisionAction.DEFER, DecisionAction.ESCALATE, DecisionAction.COMMENT}


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of two reviewers.

    Attributes
    ----------
    records : int
        Records both decided on.
    observed : float
        Share with the same action and target, in [0, 1]; 0 where there are none.
    kappa : float or None
        In [-1, 1]: 1 full agreement, 0 what chance would give. None where chance alone would give full agreement.
    differ : tuple of RecordKey
        Records on which they differ, sorted.
    """

    records: int
    observed: float
    kappa: float | None
    differ: tuple[RecordKey, ...]


def agreement(log: Iterable[Decision], first: str, second: str, *, checks: Iterable[Decision] = ()) -> Agreement:
    """Compare what two reviewers say, each by their own last decision that counts.

    Parameters
    ----------
    checks : iterable of Decision
        Blind second opinions; where a reviewer has given any, these are compared and not what the reviewer decided in the
        log itself, where the other's decision was on the screen.
    """
    entries, blind = list(log), list(checks)
    answers = [_answers(blind if any(d.reviewer == who for d in blind) else entries, who) for who in (first, second)]
    both = sorted(answers[0].keys() & answers[1].keys())
    if not both:
        return Agreement(0, 0.0, None, ())
    same = [k for k in both if answers[0][k] == answers[1][k]]
    observed = len(same) / len(both)
    one, two = (Counter(a[k][0] for k in both) for a in answers)
    chance = sum(one[x] * two[x] for x in one) / len(both) ** 2
    kappa = None if chance == 1.0 else (observed - chance) / (1.0 - chance)
    return Agreement(len(both), observed, kappa, tuple(k for k in both if answers[0][k] != answers[1][k]))


def _answers(entries: list[Decision], who: str) -> dict[RecordKey, tuple[DecisionAction, str | None]]:
    mine = fold(d for d in entries if d.reviewer == who)
    return {k: (d.action, d.target) for k, d in mine.by_key.items() if d.action in _COUNTED}
