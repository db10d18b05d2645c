"""A lead checks the work of others: a seeded sample of decided cases, decided again blind, and what came of it.

The draw is a pure function of the seed and the decided cases, so that anybody can repeat it: cases in the order of
sha256(seed, case id), the first ``size`` of them. The lead decides in a log of their own (``DecisionLog.checks``) without
seeing what was decided, so a check changes nothing that holds; where the lead differs, somebody decides again by name.

Pure. Left to others: keeping samples and checks (``steward.store``), the screen (``steward.review.conversation``).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from steward.decisions import Decision, DecisionAction, fold
from steward.errors import DecisionError
from steward.messages import N_
from steward.records import RecordKey
from steward.store.samples import Sample

_ASIDE = frozenset({DecisionAction.DEFER, DecisionAction.ESCALATE, DecisionAction.COMMENT})


@dataclass(frozen=True, slots=True)
class Differing:
    """One record on which the lead decided otherwise: each side's action and target."""

    key: RecordKey
    case_id: str
    reviewer: str
    decided: tuple[str, str | None]
    checked: tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a checked sample says.

    Attributes
    ----------
    cases : int
        Cases of the sample that were checked so far.
    wrong : int
        Those with at least one record on which the lead differs.
    low, high : float
        95 % interval (Wilson) of the share of such cases among all decided cases; 0 and 1 where nothing was checked.
    differing : tuple of Differing
    """

    cases: int
    wrong: int
    low: float
    high: float
    differing: tuple[Differing, ...]


def draw(
    log: Iterable[Decision],
    *,
    snapshot: str,
    lead: str,
    reviewer: str = "",
    seed: str,
    size: int,
    drawn_at: datetime,
    id: str,
) -> Sample:
    """Draw a sample of the cases that others have decided.

    Parameters
    ----------
    log : iterable of Decision
        The whole decision log.
    snapshot : str
        Digest; only decisions on this snapshot count.
    reviewer : str
        Whose decisions (a rule's too, ``rule:<name>``); everybody's but the lead's where empty.
    seed : str
        Any text; the same seed over the same decided cases draws the same sample.
    size : int
        At least 1.

    Raises
    ------
    DecisionError
        Nothing was decided that could be checked, or somebody would check the own work.
    """
    if reviewer == lead:
        raise DecisionError(N_("{lead} cannot check the own decisions."), lead=lead)
    decided = sorted(_decided(log, snapshot, lead, reviewer))
    if not decided or size < 1:
        raise DecisionError(N_("There is no decided case to draw a sample from."))
    ordered = sorted(decided, key=lambda case_id: hashlib.sha256(f"{seed}\n{case_id}".encode()).digest())
    return Sample(id, snapshot, lead, reviewer, seed, len(decided), tuple(ordered[:size]), drawn_at)


def _decided(log: Iterable[Decision], snapshot: str, lead: str, reviewer: str) -> set[str]:
    return {
        d.case_id
        for d in fold(log).by_key.values()
        if d.snapshot_digest == snapshot
        and d.action not in _ASIDE
        and (d.reviewer == reviewer if reviewer else d.reviewer != lead)
    }


def finding(sample: Sample, log: Iterable[Decision], checks: Iterable[Decision]) -> Finding:
    """Compare a lead's checks with what stands decided; cases that the lead left for later are not counted."""
    standing = fold(log).by_key
    ours = fold(d for d in checks if d.reviewer == sample.lead).by_key
    wanted = set(sample.cases)
    seen: set[str] = set()
    differing: list[Differing] = []
    for key, check in sorted(ours.items()):
        theirs = standing.get(key)
        if check.case_id not in wanted or check.action in _ASIDE or theirs is None or theirs.case_id != check.case_id:
            continue
        seen.add(check.case_id)
        a, b = (theirs.action.value, theirs.target), (check.action.value, check.target)
        if a != b:
            differing.append(Differing(key, check.case_id, theirs.reviewer, a, b))
    wrong = len({d.case_id for d in differing})
    low, high = wilson(wrong, len(seen))
    return Finding(len(seen), wrong, low, high, tuple(differing))


def wilson(hits: int, of: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the interval of a share after Wilson (1927), without correction for continuity; (0, 1) where ``of`` is 0."""
    if not of:
        return 0.0, 1.0
    p, square = hits / of, z * z
    middle = (p + square / (2 * of)) / (1 + square / of)
    half = z * math.sqrt(p * (1 - p) / of + square / (4 * of * of)) / (1 + square / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def newest(samples: Sequence[Sample], lead: str, snapshot: str) -> Sample | None:
    """Return the sample that a lead drew last from a snapshot."""
    return next((s for s in reversed(samples) if s.lead == lead and s.snapshot == snapshot), None)
