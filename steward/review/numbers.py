"""Counts, shares and amounts as the language in force writes them.

Left to others: plural sentences (``steward.messages.ngettext``), numbers that the front writes (the browser's own rules).
"""

from __future__ import annotations

from decimal import Decimal

from steward.messages import language

_POINT = {"de": "."}


def number(value: int | None) -> str:
    """Return a count as the language in force writes it; an en dash where there is none."""
    return "–" if value is None else f"{value:,}".replace(",", _POINT.get(language(), ","))


def share(part: float, of: float) -> str:
    """Return a share in per cent; what is there never shows as 0 and what lacks something never as 100."""
    if of <= 0:
        return "–"
    per_cent = 100 * part / of
    text = "< 0.1" if 0 < per_cent < 0.1 else "> 99.9" if 99.9 < per_cent < 100 else f"{per_cent:.1f}"
    return (text.replace(".", ",") + " %") if language() == "de" else text + "%"


def decimal(value: float, places: int = 1, *, sign: bool = False) -> str:
    """Return a number with ``places`` digits behind the point, which is a comma in German; ``sign`` writes the plus too."""
    text = f"{value:+,.{places}f}" if sign else f"{value:,.{places}f}"
    text = text.replace("-", "−")
    return text.translate(str.maketrans(",.", ".,")) if language() == "de" else text


def amount(value: Decimal | float) -> str:
    """Return a sum of money without its cents: the place is for comparing, the exact value stands in the records."""
    return number(round(value))
