"""Before and after an execution: live records of two snapshots of the same CRM, beside what a manifest said would go.

The CRM itself is asked, by taking a snapshot afterwards; what a receipt claims is not needed for it. A record is gone where
it is no longer there or carries the deletion mark. What went without standing in the manifest, and what stands in it and is
still there, is counted by itself, for both want an explanation.

Left to others: taking snapshots (``steward.store``), receipts and their proofs (the executor).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from steward.messages import _
from steward.records import RecordKey, Snapshot
from steward.review.numbers import number
from steward.review.pictures.scene import Line, Mark, Rect, Scene, Text, columns_of, fit

if TYPE_CHECKING:
    from steward.store import Workspace

_ROW, _LEFT, _PLOT = 58.0, 130.0, 380.0


@dataclass(frozen=True, slots=True)
class Change:
    """One object.

    Attributes
    ----------
    before, after : int
        Live records.
    gone, came : int
        Live before and not after, and the reverse.
    signed : int or None
        Records that the manifest takes away; None where no manifest was given.
    unsigned, still : int or None
        Gone without standing in the manifest; standing in it and still live.
    """

    object: str
    before: int
    after: int
    gone: int
    came: int
    signed: int | None
    unsigned: int | None
    still: int | None


def collect(ws: Workspace, before: Snapshot, after: Snapshot, signed: Iterable[RecordKey] | None = None) -> list[Change]:
    """Compare two snapshots object by object.

    Parameters
    ----------
    signed : iterable of RecordKey, optional
        The records that a verified manifest takes away.
    """
    cursor = ws.connection.cursor()
    try:
        keys = None if signed is None else list(signed)
        cursor.register(
            "steward_signed",
            pa.table({"object": pa.array([k.object for k in keys or ()], pa.string()), "id": pa.array([k.id for k in keys or ()], pa.string())}),
        )  # fmt: skip
        out = []
        names = {o.name: None for o in before.objects} | {o.name: None for o in after.objects}
        for name in names:
            sides = [
                f"SELECT DISTINCT _id FROM {ws.table(s, name)} WHERE NOT _deleted"  # noqa: S608 - quoted by the workspace
                if any(o.name == name for o in s.objects)
                else "SELECT NULL::VARCHAR AS _id WHERE false"
                for s in (before, after)
            ]
            row = cursor.execute(
                f"""
                WITH b AS ({sides[0]}), a AS ({sides[1]}), s AS (SELECT DISTINCT id AS _id FROM steward_signed WHERE object = $o),
                gone AS (SELECT _id FROM b ANTI JOIN a USING (_id))
                SELECT (SELECT count(*) FROM b), (SELECT count(*) FROM a), (SELECT count(*) FROM gone),
                       (SELECT count(*) FROM a ANTI JOIN b USING (_id)), (SELECT count(*) FROM s),
                       (SELECT count(*) FROM gone ANTI JOIN s USING (_id)), (SELECT count(*) FROM a SEMI JOIN s USING (_id))
                """,  # noqa: S608 - quoted by the workspace
                {"o": name},
            ).fetchall()[0]
            known = row[4:] if keys is not None else (None, None, None)
            out.append(Change(name, row[0], row[1], row[2], row[3], *known))
        return out
    finally:
        cursor.close()


def draw(changes: list[Change]) -> Scene:
    """Draw two bars per object: live before, live after."""
    shown = [c for c in changes if c.before or c.after]
    most = max((max(c.before, c.after) for c in shown), default=1) or 1
    marks: list[Mark] = []
    for i, c in enumerate(shown):
        y = 10 + i * _ROW
        marks.append(Text(_LEFT - 10, y + 26, fit(c.object, _LEFT - 14), 12, "end", "ink", True))
        for j, (word, value) in enumerate(((_("before"), c.before), (_("after"), c.after))):
            top = y + 6 + j * 20
            long = max(1.5 if value else 0.0, _PLOT * value / most)
            marks.append(Rect(_LEFT, top, long, 15, "soft" if j == 0 else "accent", "hatch" if j == 0 else "solid", 1, 2))
            marks.append(Text(_LEFT + long + 8, top + 12, f"{number(value)} {word}", 11, "start", "ink"))
        parts = []
        if c.gone:
            parts.append("− " + number(c.gone))
        if c.came:
            parts.append("+ " + number(c.came))
        odd = bool(c.unsigned or c.still)
        if odd:
            parts.append("⚠")
        marks.append(Text(_LEFT + _PLOT + 190, y + 26, " ".join(parts) or "±0", 13, "end", "hot" if odd else "ink", True))
        marks.append(Line(((6, y + _ROW - 4), (_LEFT + _PLOT + 190, y + _ROW - 4)), "rule"))
    signed = sum(c.signed or 0 for c in shown)
    unsigned, still = sum(c.unsigned or 0 for c in shown), sum(c.still or 0 for c in shown)
    gone = sum(c.gone for c in shown)
    if any(c.signed is not None for c in shown):
        text = _("{gone} records are gone; {signed} were signed for.").format(gone=number(gone), signed=number(signed))
        text += " " + (
            _("{unsigned} went without being signed for, and {still} that were signed for are still there.").format(
                unsigned=number(unsigned), still=number(still)
            )
            if unsigned or still
            else _("Nothing else went, and nothing signed for is left.")
        )
    else:
        text = _("{gone} records are gone. No manifest was given to compare with.").format(gone=number(gone))
    table = columns_of(
        [
            (c.object, *(number(v) for v in (c.before, c.after, c.gone, c.came, c.signed, c.unsigned, c.still)))
            for c in shown
        ],
        (_("object"), _("before"), _("after"), _("gone"), _("came"), _("signed for"), _("gone, not signed for"), _("signed for, still there")),
    )  # fmt: skip
    return Scene(_LEFT + _PLOT + 200, 14 + len(shown) * _ROW, _("Before and after"), text, tuple(marks), table)
