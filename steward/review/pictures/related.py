"""One customer and what hangs on it: what it belongs to at the left, what refers to it at the right, and what a deletion does.

Left to others: the counts (``Workspace.impact``), what is done with links (the executor). Ids and counts alone are drawn;
the customer's name only where the caller gives it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steward.messages import N_, _, ngettext
from steward.records import RecordKey, Snapshot
from steward.review.numbers import amount, number
from steward.review.pictures.scene import Line, Mark, Rect, Scene, Text, Tone, columns_of, fit
from steward.store.model import ChildImpact

if TYPE_CHECKING:
    from steward.store import Workspace

FATES = {
    "block": N_("⊗ blocks a deletion"),
    "detach": N_("✂ stays, loses its link"),
    "reassign": N_("→ passes to another"),
    "cascade": N_("✕ deleted with it"),
    "keep": N_("○ stays with it"),
}
_TONE: dict[str, Tone] = {"block": "hot", "detach": "warm", "reassign": "soft", "cascade": "warm", "keep": "soft"}
_BOX, _MIDDLE, _ROW, _GAP = 230.0, 250.0, 62.0, 10.0


@dataclass(frozen=True, slots=True)
class Related:
    """A record, the records it belongs to (object, column, id), and what refers to it."""

    key: RecordKey
    name: str
    above: tuple[tuple[str, str, str], ...]
    below: tuple[ChildImpact, ...]


def collect(ws: Workspace, snapshot: Snapshot, key: RecordKey, *, named: bool = False) -> Related:
    """Return what one record belongs to and what hangs on it.

    Parameters
    ----------
    named : bool
        Read the name by which people know the record; otherwise its key is its name.
    """
    entry = ws.mapping(snapshot).objects.get(key.object)
    values = ws.records(snapshot, key.object, [key.id]).get(key.id, {})
    above = tuple(
        (parent, column, value) for column, parent in (entry.parents if entry else {}).items() if (value := values.get(column))
    )
    name = " ".join(v for c in (entry.label if entry and named else ()) if (v := values.get(c))) or str(key)
    impact = ws.impact(snapshot, [key])[key]
    return Related(key, name, above, tuple(c for c in impact.children if c.count))


def draw(found: Related) -> Scene:
    """Draw one customer."""
    rows = max(len(found.below), len(found.above), 1)
    height = rows * (_ROW + _GAP) + 20
    middle, x_mid, x_right = height / 2, 250.0, 576.0
    marks: list[Mark] = []
    for i, (parent, column, id) in enumerate(found.above):
        y = _place(i, len(found.above), height)
        marks.append(Line(((190, y), (220, y), (220, middle), (x_mid, middle)), "soft"))
        marks += _box(6, y, 184, "soft", fit(parent, 170), fit(f"{column} = {id}", 170, 11))
    for i, child in enumerate(found.below):
        y = _place(i, len(found.below), height)
        tone = _TONE.get(child.on_delete, "soft")
        marks.append(
            Line(
                ((x_mid + _MIDDLE, middle), (x_mid + _MIDDLE + 45, middle), (x_mid + _MIDDLE + 45, y), (x_right, y)),
                tone, 2.5 if child.on_delete == "block" else 1.2, child.on_delete in ("detach", "cascade"),
            )
        )  # fmt: skip
        marks += _box(
            x_right, y, _BOX + 30, tone, f"{number(child.count)} × {fit(child.object, 150)}", fit(_more(child), _BOX + 14, 11),
            fit(_(FATES[child.on_delete]), _BOX + 14, 11) if child.on_delete in FATES else child.on_delete,
        )  # fmt: skip
    if not found.below:
        marks.append(Text(x_mid + _MIDDLE + 16, middle + 4, _("nothing hangs on it"), 12, "start", "soft"))
    marks += [
        Rect(x_mid, middle - 27, _MIDDLE, 54, "paper", "solid", 1, 8),
        Rect(x_mid, middle - 27, _MIDDLE, 54, "accent", "none", 1, 8),
        Text(x_mid + _MIDDLE / 2, middle - 2, fit(found.name, _MIDDLE - 14, 13), 13, "middle", "ink", True),
        Text(x_mid + _MIDDLE / 2, middle + 16, fit(str(found.key), _MIDDLE - 10, 10.5), 10.5, "middle", "soft"),
    ]
    n = sum(c.count for c in found.below)
    blocked = [c for c in found.below if c.on_delete == "block"]
    text = ngettext("{n} record hangs on it", "{n} records hang on it", n).format(n=number(n))
    text += "; " + (
        _("a deletion is blocked by: {objects}.").format(objects=", ".join(sorted({c.object for c in blocked})))
        if blocked
        else _("nothing blocks a deletion.")
    )
    table = columns_of(
        [
            (c.object, c.column, number(c.count), "–" if c.open is None else number(c.open), "–" if c.amount is None else amount(c.amount),
             (c.latest or "–")[:10], _(FATES[c.on_delete]) if c.on_delete in FATES else c.on_delete)
            for c in found.below
        ],
        (_("object"), _("through"), _("records"), _("open"), _("amount"), _("latest"), _("when it is deleted")),
    )  # fmt: skip
    return Scene(x_right + _BOX + 36, height, _("What hangs on {name}").format(name=found.name), text, tuple(marks), table)


def _place(i: int, of: int, height: float) -> float:
    """The middle of box ``i`` of ``of``, the column centred."""
    return height / 2 + (i - (of - 1) / 2) * (_ROW + _GAP)


def _box(x: float, y: float, w: float, tone: Tone, *lines: str) -> Sequence[Mark]:
    tall = 18 * len(lines) + 8
    top = y - tall / 2
    out: list[Mark] = [Rect(x, top, w, tall, "paper", "solid", 1, 6), Rect(x, top, w, tall, tone, "none", 1, 6)]
    for i, line in enumerate(lines):
        out.append(Text(x + 8, top + 17 + 17 * i, line, 12 if i == 0 else 11, "start", "ink" if i == 0 else "soft", i == 0))
    return out


def _more(child: ChildImpact) -> str:
    parts = []
    if child.open:
        parts.append(_("{count} open").format(count=number(child.open)))
    if child.amount:
        parts.append(amount(child.amount))
    if child.latest:
        parts.append(_("latest {date}").format(date=child.latest[:10]))
    return " · ".join(parts) or "–"
