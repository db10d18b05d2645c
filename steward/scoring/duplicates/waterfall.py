"""From the prior to the final weight of a pair, one step per field: data for a waterfall chart, and the chart as plain SVG.

Left to others: the weights (``score``), panels (``steward.review``).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from steward.evidence import ComparisonVector

PRIOR = "prior"
TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Step:
    """One bar.

    Attributes
    ----------
    name : str
        ``prior``, a field, ``look-alikes`` or ``total``.
    agreement : str
        Of the field: agree, partly, disagree, missing; empty for prior and total.
    level : str
        Level reached.
    bits : float
        Height of the bar.
    start, end : float
        Where it begins and ends, in bits; the end of one bar is the beginning of the next, the total begins at 0.
    left, right : str or None
        Values compared.
    """

    name: str
    agreement: str
    level: str
    bits: float
    start: float
    end: float
    left: str | None = None
    right: str | None = None


def waterfall(vector: ComparisonVector) -> list[Step]:
    """Return the bars of a pair: the prior, each field in the order of the definition, the total.

    The total is exactly the sum of the bars before it.
    """
    at = vector.prior_bits
    steps = [Step(PRIOR, "", "two records drawn at random", at, 0.0, at)]
    for w in vector.weights:
        steps.append(Step(w.field, w.agreement, w.level, w.bits, at, at + w.bits, w.left, w.right))
        at += w.bits
    steps.append(Step(TOTAL, "", f"probability {vector.probability:.4f}", at, 0.0, at))
    return steps


def waterfall_document(vector: ComparisonVector) -> dict[str, Any]:
    """Return a pair with its bars for machines."""
    return {
        "left": vector.pair.left.id,
        "right": vector.pair.right.id,
        "rule": vector.pair.rule,
        "probability": vector.probability,
        "match_weight": vector.match_weight,
        "steps": [asdict(s) for s in waterfall(vector)],
    }


def waterfall_svg(vector: ComparisonVector, *, width: int = 720) -> str:
    """Return the chart as SVG that needs nothing else; every value is escaped, and said in words beside its bar."""
    steps = waterfall(vector)
    low = min(0.0, *(min(s.start, s.end) for s in steps))
    high = max(0.0, *(max(s.start, s.end) for s in steps))
    margin, row = 170, 26
    scale = (width - margin - 190) / max(high - low, 1e-9)
    height = row * len(steps) + 30

    def x(bits: float) -> float:
        return margin + (bits - low) * scale

    colours = {"": "#5b6470", "agree": "#1b7f4d", "partly": "#3a6ea5", "disagree": "#b3402a", "missing": "#9aa1a9"}
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'font-family="sans-serif" font-size="12"><title>{escape(f"{vector.match_weight:+.1f} bits in all")}</title>',
        f'<line x1="{x(0):.1f}" x2="{x(0):.1f}" y1="4" y2="{height - 24}" stroke="#9aa1a9" stroke-dasharray="3 3"/>',
    ]
    for i, s in enumerate(steps):
        y = 6 + i * row
        left, right = sorted((x(s.start), x(s.end)))
        said = " ↔ ".join(_short(v) for v in (s.left, s.right)) if s.left is not None or s.right is not None else ""
        colour = colours[s.agreement if s.bits >= 0 or s.agreement in ("", "missing") else "disagree"]
        lines.append(f'<text x="4" y="{y + 14}">{escape(_short(s.name, 24))}</text>')
        lines.append(
            f'<rect x="{left:.1f}" y="{y}" width="{max(right - left, 1):.1f}" height="{row - 8}" fill="{colour}">'
            f"<title>{escape(s.level)}{escape(': ' + said) if said else ''}</title></rect>"
        )
        lines.append(f'<text x="{right + 6:.1f}" y="{y + 14}">{s.bits:+.1f} {escape(_short(s.level, 30))}</text>')
    lines.append(f'<text x="{margin}" y="{height - 8}" fill="#5b6470">bits: each doubles or halves the odds</text></svg>')
    return "\n".join(lines)


def _short(text: str | None, longest: int = 40) -> str:
    shown = "–" if text is None else "".join(c if c.isprintable() else "·" for c in text)
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"
