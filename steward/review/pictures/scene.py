"""What a picture is made of, and the same as SVG.

A scene is a list of rectangles, lines and texts with *tones* instead of colours: the page that shows it gives each tone a
colour for light and for dark. What a tone tells is told by a sign, a hatch or a text as well. Every scene carries a title,
a sentence and a table with its numbers, for those who do not see it.

Left to others: what is drawn (the other modules of this room), painting in a browser (``front/common.js``).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Literal

from steward.errors import printable

Tone = Literal["ink", "soft", "rule", "bed", "paper", "accent", "warm", "hot", "ok"]
TONES: tuple[Tone, ...] = ("ink", "soft", "rule", "bed", "paper", "accent", "warm", "hot", "ok")

FONTS = (
    'system-ui, -apple-system, "Segoe UI", "Noto Sans", "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", '
    '"Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", sans-serif'
)
_LIGHT: dict[Tone, str] = {
    "ink": "#1b242d", "soft": "#56626e", "rule": "#cfd5d9", "bed": "#ebeeed", "paper": "#ffffff", "accent": "#0b62b8",
    "warm": "#9a4a00", "hot": "#a8201a", "ok": "#17663a",
}  # fmt: skip
_DARK: dict[Tone, str] = {
    "ink": "#e7ebee", "soft": "#a6b1bb", "rule": "#46505a", "bed": "#2a3036", "paper": "#1a1e22", "accent": "#78b5fb",
    "warm": "#ffbd70", "hot": "#ff9d94", "ok": "#78cf9f",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rect:
    """A filled (``solid``, ``hatch``) or outlined (``none``) rectangle; ``strength`` in [0, 1] is its opacity."""

    x: float
    y: float
    w: float
    h: float
    tone: Tone
    fill: Literal["solid", "hatch", "none"] = "solid"
    strength: float = 1.0
    round: float = 0.0
    says: str = ""
    """What the pointer is told; the table says it too."""


@dataclass(frozen=True, slots=True)
class Line:
    """Straight strokes through two or more points."""

    points: tuple[tuple[float, float], ...]
    tone: Tone
    width: float = 1.0
    dash: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text; ``y`` is its baseline."""

    x: float
    y: float
    text: str
    size: float = 12.0
    anchor: Literal["start", "middle", "end"] = "start"
    tone: Tone = "ink"
    bold: bool = False


Mark = Rect | Line | Text


@dataclass(frozen=True, slots=True)
class Table:
    """The numbers of a picture; cells are texts in the language in force."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture.

    Attributes
    ----------
    width, height : float
        Units of the drawing; one unit is one pixel at full size.
    title : str
    text : str
        What the picture shows, in a sentence or two.
    plot : mapping
        Numbers of the drawing that an interactive front needs (the place of an axis); may be empty.
    """

    width: float
    height: float
    title: str
    text: str
    marks: tuple[Mark, ...]
    table: Table
    plot: dict[str, Any] = field(default_factory=dict)

    def message(self) -> dict[str, Any]:
        """Return the scene for the front."""
        return {
            "w": self.width, "h": self.height, "title": self.title, "text": self.text, "plot": self.plot,
            "marks": [_message(m) for m in self.marks],
            "table": {"columns": list(self.table.columns), "rows": [list(r) for r in self.table.rows]},
        }  # fmt: skip

    def svg(self, key: str, *, standalone: bool = False) -> str:
        """Return the scene as SVG.

        Parameters
        ----------
        key : str
            Tells this drawing's ids from those of others on the page; letters, digits and ``-``.
        standalone : bool
            Bring its own style, for a file of its own; otherwise the page has :func:`style` once.
        """
        space = ' xmlns="http://www.w3.org/2000/svg"' if standalone else ""  # a page in HTML knows it
        head = (
            f'<svg class="pic"{space} viewBox="0 0 {_n(self.width)} {_n(self.height)}" '
            f'role="img" aria-label="{_t(self.title + ". " + self.text)}">'
        )
        body = [head, f'<title id="{key}-title">{_t(self.title)}</title>', f'<desc id="{key}-text">{_t(self.text)}</desc>']
        if standalone:
            body.append(f"<style>{style()}</style>")
        hatched = sorted({m.tone for m in self.marks if isinstance(m, Rect) and m.fill == "hatch"})
        if hatched:
            body.append(
                "<defs>"
                + "".join(
                    f'<pattern id="{key}-{tone}" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
                    f'<rect class="pic-{tone}" width="6" height="6" opacity=".22"/><rect class="pic-{tone}" width="2.4" height="6"/></pattern>'
                    for tone in hatched
                )
                + "</defs>"
            )
        body += [_svg(m, key) for m in self.marks]
        return "".join([*body, "</svg>"])


def style() -> str:
    """Return the style sheet of the drawings: a colour per tone, in light and in dark."""
    light = "".join(f"--pic-{tone}:{colour};" for tone, colour in _LIGHT.items())
    dark = "".join(f"--pic-{tone}:{colour};" for tone, colour in _DARK.items())
    rules = "".join(
        f".pic-{tone}{{fill:var(--pic-{tone})}}.pic-line-{tone}{{stroke:var(--pic-{tone});fill:none}}" for tone in TONES
    )
    return (
        f".pic{{{light}display:block;max-width:100%;height:auto;font-family:{FONTS.replace(chr(34), chr(39))}}}"
        f"@media (prefers-color-scheme:dark){{.pic{{{dark}}}}}@media print{{.pic{{{light}}}}}{rules}"
    )


def wide(text: str, size: float = 12.0) -> float:
    """Return about how wide a text is: a full em for Chinese, somewhat more than half for others."""
    return sum(size if unicodedata.east_asian_width(c) in "WF" else 0.56 * size for c in text)


def fit(text: str, room: float, size: float = 12.0) -> str:
    """Return the text, cut with an ellipsis where it is wider than ``room``; what cannot be printed is made visible."""
    text = printable(text, 300)
    if wide(text, size) <= room:
        return text
    while text and wide(text, size) + size > room:
        text = text[:-1]
    return text.rstrip() + "…"


def columns_of(rows: Sequence[Sequence[str]], names: Sequence[str]) -> Table:
    """Return a table of texts."""
    return Table(tuple(names), tuple(tuple(r) for r in rows))


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _t(text: str) -> str:
    return escape(printable(text, 2_000), quote=True)


def _svg(mark: Mark, key: str) -> str:
    match mark:
        case Rect():
            box = f'x="{_n(mark.x)}" y="{_n(mark.y)}" width="{_n(mark.w)}" height="{_n(mark.h)}"'
            if mark.round:
                box += f' rx="{_n(mark.round)}"'
            if mark.strength < 1:
                box += f' opacity="{_n(mark.strength)}"'
            paint = {
                "solid": f'class="pic-{mark.tone}"', "hatch": f'fill="url(#{key}-{mark.tone})"', "none": f'class="pic-line-{mark.tone}"',
            }[mark.fill]  # fmt: skip
            return f"<rect {box} {paint}><title>{_t(mark.says)}</title></rect>" if mark.says else f"<rect {box} {paint}/>"
        case Line():
            points = " ".join(f"{_n(x)},{_n(y)}" for x, y in mark.points)
            dash = ' stroke-dasharray="4 3"' if mark.dash else ""
            return f'<polyline points="{points}" class="pic-line-{mark.tone}" stroke-width="{_n(mark.width)}"{dash}/>'
        case Text():
            bold = ' font-weight="600"' if mark.bold else ""
            return (
                f'<text x="{_n(mark.x)}" y="{_n(mark.y)}" font-size="{_n(mark.size)}" text-anchor="{mark.anchor}" '
                f'class="pic-{mark.tone}"{bold}>{_t(mark.text)}</text>'
            )


def _message(mark: Mark) -> dict[str, Any]:
    match mark:
        case Rect():
            return {"k": "r", "x": mark.x, "y": mark.y, "w": mark.w, "h": mark.h, "tone": mark.tone, "fill": mark.fill,
                    "o": mark.strength, "r": mark.round, "says": mark.says}  # fmt: skip
        case Line():
            return {"k": "l", "p": [list(p) for p in mark.points], "tone": mark.tone, "w": mark.width, "dash": mark.dash}
        case Text():
            return {"k": "t", "x": mark.x, "y": mark.y, "t": mark.text, "size": mark.size, "a": mark.anchor, "tone": mark.tone,
                    "b": mark.bold}  # fmt: skip
