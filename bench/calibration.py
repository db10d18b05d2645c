"""Do probabilities mean what they say? Reliability of every set with truth, and the expected error of those above one half.

``python -m bench.calibration [--size N] [--seed S] [--svg FILE] [--json]``. Of the pairs that are given, say, 80 %, eight in
ten must be one customer. The table shows per set what was claimed and what was true in bins a tenth wide; ``--svg`` draws it.
The goal is an expected calibration error of at most .05 above one half on every set. The same seed gives the same figures.
"""

from __future__ import annotations

import argparse
import json
import os
from html import escape
from pathlib import Path

from bench.quality import SHARED, tables
from tests.support.linkage import reliability, run, scores

GOAL = 0.05

Curve = tuple[list[tuple[float, int, float, float]], float]


def drawn(curves: dict[str, Curve]) -> str:
    """Return reliability curves as one SVG drawing, a panel a set; a dot's area grows with its pairs."""
    side, gap, across = 150, 46, 4
    parts = []
    for number, (name, (rows, error)) in enumerate(curves.items()):
        x, y = gap + (number % across) * (side + gap), gap + (number // across) * (side + gap + 20)
        parts.append(
            f'<g transform="translate({x} {y})"><rect width="{side}" height="{side}" fill="none" stroke="#888"/>'
            f'<line x1="0" y1="{side}" x2="{side}" y2="0" stroke="#bbb" stroke-dasharray="3 3"/>'
            f'<text x="0" y="-8">{escape(name)} · {error:.3f}</text>'
            f'<text x="0" y="{side + 14}">.5</text><text x="{side}" y="{side + 14}" text-anchor="end">1</text>'
        )
        most = max((n for _, n, _, _ in rows), default=1)
        for _, n, claimed, true in rows:
            at, up = (claimed - 0.5) * 2 * side, side - max(true - 0.5, 0.0) * 2 * side
            size = 2 + 6 * (n / most) ** 0.5
            parts.append(
                f'<circle cx="{at:.1f}" cy="{up:.1f}" r="{size:.1f}" fill="#2b6cb0" fill-opacity=".7"><title>{n} pairs: '
                f"claimed {claimed:.3f}, true {true:.3f}</title></circle>"
            )
        parts.append("</g>")
    lines = (len(curves) + across - 1) // across
    width, height = gap + across * (side + gap), gap + lines * (side + gap + 20)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">'
        f"<title>Claimed and true share of matches, above one half</title>{''.join(parts)}</svg>\n"
    )


def main() -> int:
    """Measure, print, and return 0 where every set's error is small enough."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=880_219)
    parser.add_argument("--svg", type=Path)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    data = Path(os.environ.get("STEWARD_REAL_DATA") or SHARED)
    curves = {name: reliability(scores(run(t), t.true)) for name, t in tables(data, args.size, args.seed).items()}
    if args.json:
        print(json.dumps({name: {"bins": rows, "error": error} for name, (rows, error) in curves.items()}, indent=1))
    else:
        print(f"{'set':28}{'from':>6}{'pairs':>9}{'claimed':>10}{'true':>8}")
        for name, (rows, error) in curves.items():
            for start, n, claimed, true in rows:
                print(f"{name:28}{start:6.1f}{n:9}{claimed:10.3f}{true:8.3f}")
            print(f"{'':28}{'expected error':>33}  {error:.4f}\n")
    if args.svg:
        args.svg.write_text(drawn(curves), encoding="utf-8")
    worst = max(curves, key=lambda name: curves[name][1])
    met = data.is_dir() and curves[worst][1] <= GOAL
    absent = "" if data.is_dir() else ", the shared sets are absent"
    print(f"calibration: {curves[worst][1]:.4f} at worst, {worst}{absent} (goal {GOAL}) {'met' if met else 'missed'}")
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
