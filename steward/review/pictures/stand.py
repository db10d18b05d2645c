"""How a snapshot stands and how that went: records, duplicates, stale and invalid, one small chart each.

Left to others: the counts (``steward.scorecard.facts``, handed in), the page (``steward.scorecard.page``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from steward.messages import N_, _, ngettext
from steward.review.numbers import number
from steward.review.pictures.scene import Line, Mark, Rect, Scene, Text, Tone, columns_of, fit

MEASURES = {
    "records": N_("Records"),
    "duplicates": N_("Duplicates proposed"),
    "stale": N_("Stale"),
    "free": N_("Stale, free to go"),
    "invalid": N_("Invalid"),
}
_TONES: dict[str, Tone] = {"records": "soft", "duplicates": "accent", "stale": "warm", "free": "hot", "invalid": "hot"}
_W, _H, _GAP = 168.0, 92.0, 22.0


@dataclass(frozen=True, slots=True)
class Point:
    """One snapshot: when, and a count per measure (None where it was not scored)."""

    taken_at: datetime
    counts: dict[str, int | None]


def draw(points: Sequence[Point]) -> Scene:
    """Draw one chart per measure, the newest snapshot at the right; what was not scored is a dashed stroke, never a zero."""
    marks: list[Mark] = []
    for at, (name, words) in enumerate(MEASURES.items()):
        x = at * (_W + _GAP) + 4
        values = [p.counts.get(name) for p in points]
        marks.append(Text(x, 16, fit(_(words), _W, 12), 12, "start", "soft"))
        last, change = (values[-1] if values else None), _change(values)
        marks.append(Text(x, 40, number(last), 20, "start", "ink", True))
        marks.append(Text(x + _W, 40, change, 12, "end", "soft"))
        marks.append(Line(((x, 50 + _H), (x + _W, 50 + _H)), "rule"))
        top = max((v for v in values if v), default=0)
        step = _W / max(len(values), 6)
        wide = min(step * 0.7, 26)
        for i, value in enumerate(values):
            bar_x = x + _W - step * (len(values) - i) + (step - wide)
            if value is None:
                marks.append(Line(((bar_x, 50 + _H - 2), (bar_x + wide, 50 + _H - 2)), "soft", 1.5, True))
            elif value:
                tall = max(2.0, _H * value / top)
                said = f"{points[i].taken_at.astimezone(UTC):%Y-%m-%d}: {number(value)}"
                marks.append(
                    Rect(bar_x, 50 + _H - tall, wide, tall, _TONES[name], "solid", 1 if i == len(values) - 1 else 0.4, 1, said)
                )
    rows = [
        (f"{p.taken_at.astimezone(UTC):%Y-%m-%d %H:%M}", *(number(p.counts.get(name)) for name in MEASURES)) for p in points
    ]
    text = ngettext("{n} snapshot, the newest at the right.", "{n} snapshots, the newest at the right.", len(points)).format(
        n=number(len(points))
    )
    return Scene(
        len(MEASURES) * (_W + _GAP), 50 + _H + 10, _("How the snapshot stands, and the trend"), text, tuple(marks),
        columns_of(rows, (_("snapshot"), *(_(w) for w in MEASURES.values()))),
    )  # fmt: skip


def _change(values: Sequence[int | None]) -> str:
    if len(values) < 2 or values[-1] is None or values[-2] is None:
        return ""
    difference = values[-1] - values[-2]
    return "±0" if not difference else ("+" if difference > 0 else "−") + number(abs(difference))
