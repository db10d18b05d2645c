"""How the match weight of one pair came about, field by field, from the prior to the sum.

Left to others: the weights (``steward.scoring.duplicates``). No value of a record is drawn, only fields and bits.
"""

from __future__ import annotations

from steward.evidence import ComparisonVector
from steward.messages import N_, _
from steward.review.numbers import decimal, share
from steward.review.pictures.scene import Line, Mark, Rect, Scene, Text, columns_of, fit

AGREEMENTS = {"agree": N_("agrees"), "partly": N_("agrees partly"), "disagree": N_("disagrees"), "missing": N_("missing")}
_ROW, _NAME, _PLOT, _NOTE = 26.0, 150.0, 300.0, 200.0


def draw(pair: ComparisonVector) -> Scene:
    """Draw one pair: each step begins where the one before ended; against the match is hatched and has a minus."""
    steps = [(_("before comparing"), pair.prior_bits, "", False)]
    for w in pair.weights:
        note = _(AGREEMENTS[w.agreement]) + (f" · {w.level}" if w.level and w.agreement != "missing" else "")
        steps.append((w.field, w.bits, note, w.agreement == "missing"))
    reached, lows, highs = 0.0, [0.0], [0.0]
    for _name, bits, _note, _missing in steps:
        reached += bits
        lows.append(reached)
        highs.append(reached)
    low, high = min(lows) - 0.5, max(highs) + 0.5
    scale = _PLOT / (high - low)

    def x(bits: float) -> float:
        return _NAME + (bits - low) * scale

    top = 8.0
    height = top + _ROW * (len(steps) + 1) + 10
    marks: list[Mark] = [Line(((x(0), top), (x(0), height - 6)), "rule", 1, True)]
    reached, rows = 0.0, []
    for i, (name, bits, note, missing) in enumerate(steps):
        y = top + i * _ROW
        after = reached + bits
        marks.append(Text(_NAME - 10, y + 17, fit(name, _NAME - 14), 12, "end", "ink"))
        if bits:
            said = f"{name}: {decimal(bits, 1, sign=True)}"
            marks.append(
                Rect(min(x(reached), x(after)), y + 5, max(1.5, abs(bits) * scale), _ROW - 10, "accent" if bits > 0 else "warm",
                     "solid" if bits > 0 else "hatch", 1.0, 2, said)
            )  # fmt: skip
        marks.append(Line(((x(after), y + 5), (x(after), y + _ROW + 5)), "soft"))
        text = ("∅ " if missing else "") + note
        marks.append(Text(_NAME + _PLOT + 52, y + 17, decimal(bits, 1, sign=True) if bits else "0", 12, "end", "ink"))
        marks.append(Text(_NAME + _PLOT + 62, y + 17, fit(text, _NOTE), 11, "start", "soft"))
        rows.append((name, decimal(bits, 1, sign=True) if bits else "0", note))
        reached = after
    y = top + len(steps) * _ROW
    total = f"{decimal(reached, 1, sign=True)}"
    marks += [
        Text(_NAME - 10, y + 17, _("sum"), 12, "end", "ink", True),
        Rect(min(x(0), x(reached)), y + 9, max(1.5, abs(reached) * scale), 8, "ink", "solid", 1, 2),
        Text(_NAME + _PLOT + 52, y + 17, total, 12, "end", "ink", True),
        Text(_NAME + _PLOT + 62, y + 17, share(pair.probability, 1), 12, "start", "ink", True),
    ]
    rows.append((_("sum"), total, share(pair.probability, 1)))
    title = _("Why {left} and {right} belong together").format(left=pair.pair.left.id, right=pair.pair.right.id)
    text = _("The sum of {bits} bits is a match probability of {share}.").format(bits=total, share=share(pair.probability, 1))
    table = columns_of(rows, (_("field"), _("bits"), _("compared")))
    return Scene(_NAME + _PLOT + _NOTE + 70, height, title, text, tuple(marks), table)
