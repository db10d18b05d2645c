"""Scores of all proposed pairs, and what each place to cut them would mean: how many would be right, how much is left to look at.

Precision at a cut is estimated: a pair on which people have decided counts as they decided, every other pair with its match
probability. It is an estimate of the weights as much as of the pairs; the decisions alone are counted beside it, and where
both differ the weights want calibrating. What is below the cut is the work: cases that a person has to look at.

Left to others: match weights (``steward.scoring``), changing the cut (a rule file of ``steward decide``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from steward.decisions import DecisionAction, Standing
from steward.messages import N_, _, language, ngettext
from steward.records import Snapshot
from steward.review.numbers import decimal, number, share
from steward.review.pictures.scene import Line, Mark, Rect, Scene, Text, columns_of

if TYPE_CHECKING:
    from steward.store import Workspace

LOWEST, HIGHEST, STEP = -10.0, 20.0, 0.5
"""Bits that the axis shows, and the width of a bar; what lies beyond is counted in the outermost bars."""
_BINS = int((HIGHEST - LOWEST) / STEP)
_LARGEST_GROUP = 60
_TICKS = (0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)
_LEFT, _TOP, _PLOT_W, _PLOT_H = 52.0, 30.0, 620.0, 190.0

Counts = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cut:
    """What a threshold means.

    Attributes
    ----------
    bits, probability : float
        The threshold: pairs from here on count as the same customer.
    pairs : int
        Pairs at or above.
    precision : float or None
        Estimated share of them that are right; None where there is none.
    same, different : int
        Pairs at or above on which people decided, by what they decided.
    cases_above, cases_below : int
        Cases whose weakest score is at or above, and those that are left to look at.
    """

    bits: float
    probability: float
    pairs: int
    precision: float | None
    same: int
    different: int
    cases_above: int
    cases_below: int


@dataclass(frozen=True, slots=True)
class Scores:
    """Counts per bar, lowest bits first; all arrays have one entry per bar."""

    pairs: Counts
    right: Counts
    """Sum of probabilities, 1 and 0 where people decided."""
    same: Counts
    different: Counts
    cases: Counts
    proposed_from: float | None
    """Probability from which scoring proposes a cluster, where every object has the same."""

    def at(self, bar: int) -> Cut:
        """Return what a cut at the lower edge of a bar means; ``bar`` in [0, number of bars]."""
        bits = LOWEST + bar * STEP
        n = int(self.pairs[bar:].sum())
        return Cut(
            bits, probability(bits), n, float(self.right[bar:].sum()) / n if n else None, int(self.same[bar:].sum()),
            int(self.different[bar:].sum()), int(self.cases[bar:].sum()), int(self.cases[:bar].sum()),
        )  # fmt: skip


def probability(bits: float) -> float:
    """The odds ``2**bits`` as a probability."""
    return 1.0 / (1.0 + math.exp2(-bits))


def bits_of(p: float) -> float:
    """log2 of the odds of a probability, within the axis."""
    return LOWEST if p <= 0 else HIGHEST if p >= 1 else min(HIGHEST, max(LOWEST, math.log2(p / (1 - p))))


def verdicts(standing: Standing) -> Iterable[tuple[str, str, str, bool]]:
    """Yield what people decided about pairs: ``(object, smaller id, larger id, the same?)``. Rules are no witnesses."""
    together: dict[tuple[str, str], set[str]] = {}
    for key, decision in standing.by_key.items():
        if decision.action is DecisionAction.MERGE and decision.target is not None and not decision.by_rule:
            together.setdefault((key.object, decision.target), {decision.target}).add(key.id)
    for (name, _target), ids in together.items():
        if len(ids) <= _LARGEST_GROUP:
            for left, right in combinations(sorted(ids), 2):
                yield name, left, right, True
    for a, b in standing.not_duplicates:
        left, right = sorted((a.id, b.id))
        yield a.object, left, right, False


def collect(ws: Workspace, snapshot: Snapshot, standing: Standing | None) -> Scores:
    """Count the pairs of a snapshot by match weight.

    Parameters
    ----------
    standing : Standing or None
        What people have decided so far; None where nobody has.
    """
    cursor = ws.connection.cursor()
    try:
        known = list(verdicts(standing)) if standing is not None else []
        cursor.register(
            "steward_verdicts",
            pa.table(
                {
                    "object": pa.array([v[0] for v in known], pa.string()), "a": pa.array([v[1] for v in known], pa.string()),
                    "b": pa.array([v[2] for v in known], pa.string()), "same": pa.array([v[3] for v in known], pa.bool_()),
                }
            ),
        )  # fmt: skip
        rows = cursor.execute(
            "SELECT least(greatest(floor((p.match_weight - $low) / $step), 0), $last)::INTEGER AS bar, count(*), "
            "sum(CASE WHEN v.same IS NULL THEN p.probability WHEN v.same THEN 1 ELSE 0 END), "
            "count(*) FILTER (WHERE v.same), count(*) FILTER (WHERE NOT v.same) FROM pairs p LEFT JOIN steward_verdicts v "
            "ON v.object = p.object AND v.a = least(p.left_id, p.right_id) AND v.b = greatest(p.left_id, p.right_id) "
            "WHERE p.snapshot = $s GROUP BY bar",
            {"low": LOWEST, "step": STEP, "last": _BINS - 1, "s": snapshot.digest},
        ).fetchall()
        scores = cursor.execute(
            "SELECT min(score) AS low FROM evidence WHERE snapshot = ? AND kind = 'duplicate' GROUP BY object, case_id",
            [snapshot.digest],
        ).fetchnumpy()["low"]
    finally:
        cursor.close()
    columns = np.zeros((4, _BINS))
    for bar, *counts in rows:
        columns[:, bar] = counts
    p = np.clip(np.asarray(scores, dtype=np.float64), 1e-9, 1 - 1e-9)
    bars = np.clip(np.floor((np.log2(p / (1 - p)) - LOWEST) / STEP), 0, _BINS - 1).astype(np.int64)
    cases = np.bincount(bars, minlength=_BINS).astype(np.float64)
    cuts = {run["summary"].get("cut") for run in ws.runs(snapshot) if run["kind"] == "duplicate"} - {None}
    return Scores(columns[0], columns[1], columns[2], columns[3], cases, float(cuts.pop()) if len(cuts) == 1 else None)


def bar_of(p: float) -> int:
    """Return the bar whose lower edge is nearest to a probability."""
    return max(0, min(_BINS, round((bits_of(p) - LOWEST) / STEP)))


def draw(found: Scores, *, cut: int | None = None) -> Scene:
    """Draw the distribution.

    Parameters
    ----------
    cut : int, optional
        The bar at whose lower edge a threshold is drawn; None leaves it to an interactive front, which gets every cut.
    """
    top = max(1.0, float(found.pairs.max()))
    step = _PLOT_W / _BINS
    base = _TOP + _PLOT_H
    marks: list[Mark] = []
    for part in (0.5, 1.0):
        y = base - _PLOT_H * part
        marks += [
            Line(((_LEFT, y), (_LEFT + _PLOT_W, y)), "rule"),
            Text(_LEFT - 6, y + 4, number(round(top * part)), 11, "end", "soft"),
        ]
    for i in range(_BINS):
        n = int(found.pairs[i])
        if not n:
            continue
        x, y = _LEFT + i * step, base
        said = _said(i, found)
        for count, tone, fill in (
            (int(found.same[i]), "ok", "solid"),
            (int(found.different[i]), "hot", "hatch"),
            (n - int(found.same[i]) - int(found.different[i]), "accent", "solid"),
        ):
            if count:
                tall = max(1.5, _PLOT_H * count / top)
                y -= tall
                marks.append(Rect(x + 0.5, y, step - 1, tall, tone, fill, 0.75 if tone == "accent" else 1.0, 0, said))  # type: ignore[arg-type]  # literals
    marks.append(Line(((_LEFT, base), (_LEFT + _PLOT_W, base)), "soft"))
    for p in _TICKS:
        x = _LEFT + (bits_of(p) - LOWEST) / STEP * step
        marks += [Line(((x, base), (x, base + 5)), "soft"), Text(x, base + 18, _tick(p), 11, "middle", "soft")]
    marks.append(Text(_LEFT + _PLOT_W, base + 36, _("match probability (the axis counts bits of evidence)"), 11, "end", "soft"))
    marks.append(Text(_LEFT, 14, _("pairs"), 11, "start", "soft"))
    at = _LEFT + 60
    for tone, fill, word in (
        ("accent", "solid", _("not decided")),
        ("ok", "solid", _("people: the same")),
        ("hot", "hatch", _("people: not the same")),
    ):
        marks += [Rect(at, 5, 11, 11, tone, fill), Text(at + 16, 14, word, 11, "start", "soft")]  # type: ignore[arg-type]  # literals
        at += 160
    if cut is not None:
        x = _LEFT + cut * step
        marks += [
            Line(((x, _TOP - 6), (x, base + 6)), "ink", 2),
            Text(
                min(x + 5, _LEFT + _PLOT_W - 70), _TOP + 4, share(probability(LOWEST + cut * STEP), 1), 12, "start", "ink", True
            ),
        ]
    shown = [found.at(bar_of(p)) for p in (0.5, 0.9, 0.99, 0.999)]
    table = columns_of(
        [
            (
                share(c.probability, 1), number(c.pairs), "–" if c.precision is None else share(c.precision, 1),
                _decided(c), number(c.cases_above), number(c.cases_below),
            )
            for c in shown
        ],
        (_("threshold"), _("pairs from there"), _("right, estimated"), _("of those decided"), _("cases above"), _("cases to look at")),
    )  # fmt: skip
    plot = {"x": _LEFT, "w": _PLOT_W, "top": _TOP, "base": base, "bars": _BINS, "start": bar_of(found.proposed_from or 0.5)}
    return Scene(
        _LEFT + _PLOT_W + 20, base + 46, _("Scores, and where to cut them"), describe(found), tuple(marks), table, plot
    )


def describe(found: Scores) -> str:
    """Return the sentence under the picture."""
    n, decided = int(found.pairs.sum()), int(found.same.sum() + found.different.sum())
    out = ngettext("{n} proposed pair by match weight.", "{n} proposed pairs by match weight.", n).format(n=number(n)) + " "
    if decided:
        return out + ngettext(
            "Right, estimated: {n} pair as people decided, all others by their probability.",
            "Right, estimated: {n} pairs as people decided, all others by their probability.",
            decided,
        ).format(n=number(decided))
    return out + _("Right, estimated: by probability alone, for nobody has decided on a pair yet.")


def cuts(found: Scores) -> list[dict[str, object]]:
    """Return every cut, in words, for a front with a threshold to drag."""
    out: list[dict[str, object]] = []
    for bar in range(_BINS + 1):
        c = found.at(bar)
        out.append(
            {
                "threshold": share(c.probability, 1),
                "bits": _("{bits} bits").format(bits=decimal(c.bits, 1, sign=True)),
                "pairs": number(c.pairs),
                "precision": "–" if c.precision is None else share(c.precision, 1),
                "decided": _decided(c),
                "above": number(c.cases_above),
                "below": number(c.cases_below),
            }
        )
    return out


CUT_WORDS = {
    "cut": N_("Threshold"),
    "cut_precision": N_("Right, estimated"),
    "cut_decided": N_("Right, of those that people decided"),
    "cut_pairs": N_("Pairs from there"),
    "cut_above": N_("Cases above: a rule could decide them"),
    "cut_below": N_("Cases below: to look at"),
}


def _decided(c: Cut) -> str:
    of = c.same + c.different
    return _("{part} of {all}").format(part=number(c.same), all=number(of)) if of else "–"


def _said(bar: int, found: Scores) -> str:
    low = LOWEST + bar * STEP
    return f"{_tick(probability(low))}–{_tick(probability(low + STEP))}: {number(int(found.pairs[bar]))}"


def _tick(p: float) -> str:
    """A probability on the axis, with as many digits as it takes to tell it from 0 and 1."""
    near = min(p, 1 - p)
    places = 0 if near > 0.0095 else max(0, min(6, math.ceil(-math.log10(near) - 2 - 1e-9)))
    return decimal(100 * p, places) + (" %" if language() == "de" else "%")


__all__ = ["CUT_WORDS", "Cut", "Scores", "bar_of", "collect", "cuts", "describe", "draw", "probability", "verdicts"]
