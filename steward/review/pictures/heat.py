"""How long customers have been silent, by what they are worth: where stale records cost nothing and where they cost much.

Silence is counted as staleness counts it (``steward.scoring.staleness.activity``): from the last thing the person began.
Worth is the sum of the amounts that hang directly on the record. A record without any known activity has its own column
and is never taken for an old one.

Left to others: whether a record is stale (its evidence says so), protections.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from steward.messages import N_, _, ngettext
from steward.policy import parse_policy
from steward.records import Snapshot
from steward.review.numbers import number
from steward.review.pictures.scene import Mark, Rect, Scene, Text, columns_of, fit
from steward.store.sql import literal, quote

if TYPE_CHECKING:
    from steward.store import Workspace

AGES = (6, 12, 24, 36, 60, 96)
"""Upper ends of the columns, in months; then longer, then not known."""
WORTHS = (0, 1_000, 10_000, 100_000)
"""Upper ends of the rows, in the currency of the source; nothing first, then more."""
_ROLES = ("person", "company", "lead")
_DEFAULT_POLICY = Path(__file__).resolve().parent.parent.parent / "default_policy.toml"
_CELL_W, _CELL_H, _LEFT, _TOP = 82.0, 46.0, 120.0, 44.0


@dataclass(frozen=True, slots=True)
class Heat:
    """Records of one object by silence and worth; ``cells[worth][age]`` is ``(records, of them stale, of those free)``."""

    object: str
    cells: tuple[tuple[tuple[int, int, int], ...], ...]
    scored: bool


def objects_of(ws: Workspace, snapshot: Snapshot) -> list[str]:
    """Return the objects that stand for customers, the largest first."""
    mapping = ws.mapping(snapshot)
    found = [o for o in snapshot.objects if (e := mapping.objects.get(o.name)) is not None and e.role in _ROLES]
    return [o.name for o in sorted(found, key=lambda o: (-o.rows, o.name))]


def collect(ws: Workspace, snapshot: Snapshot, object: str) -> Heat:
    """Count the live records of an object by months of silence and by what hangs on them."""
    from steward.scoring.staleness.activity import life, look

    cursor = ws.connection.cursor()
    try:
        policy = parse_policy(_DEFAULT_POLICY.read_text(encoding="utf-8"), where=_DEFAULT_POLICY.name)
        view = look(ws, snapshot, policy, cursor)
        lives = life(view, object)
        worth = _worth(ws, snapshot, object)
        as_of = f"TIMESTAMP {literal(view.as_of.isoformat(sep=' '))}"
        ages = " ".join(f"WHEN l.last_at > {as_of} - to_months({m}) THEN {i}" for i, m in enumerate(AGES))
        worths = " ".join(f"WHEN coalesce(w.worth, 0) <= {top} THEN {i}" for i, top in enumerate(WORTHS))
        rows = cursor.execute(
            f"""
            SELECT CASE {worths} ELSE {len(WORTHS)} END AS worth,
                   CASE WHEN l.last_at IS NULL THEN {len(AGES) + 1} {ages} ELSE {len(AGES)} END AS age,
                   count(*), count(e.record_id), count(e.record_id) FILTER (WHERE p.record_id IS NULL)
            FROM {ws.table(snapshot, object)} t LEFT JOIN {lives} l ON l._id = t._id LEFT JOIN ({worth}) w ON w.record_id = t._id
            LEFT JOIN (SELECT DISTINCT record_id FROM evidence WHERE snapshot = $s AND object = $o AND kind = 'stale') e
              ON e.record_id = t._id
            LEFT JOIN (SELECT DISTINCT record_id FROM protections WHERE snapshot = $s AND object = $o) p ON p.record_id = t._id
            WHERE NOT t._deleted GROUP BY ALL
            """,  # noqa: S608 - names come quoted from the workspace, numbers are ours
            {"s": snapshot.digest, "o": object},
        ).fetchall()
    finally:
        cursor.close()
    cells = [[(0, 0, 0)] * (len(AGES) + 2) for _w in range(len(WORTHS) + 1)]
    for row, column, *counts in rows:
        cells[row][column] = (counts[0], counts[1], counts[2])
    scored = any(run["kind"] == "stale" and run["object"] == object for run in ws.runs(snapshot))
    return Heat(object, tuple(tuple(r) for r in cells), scored)


def _worth(ws: Workspace, snapshot: Snapshot, object: str) -> str:
    known = {o.name for o in snapshot.objects}
    parts = [
        f"SELECT {quote(column)} AS record_id, try_cast({quote(child.amount)} AS DOUBLE) AS amount "  # noqa: S608 - quoted
        f"FROM {ws.table(snapshot, child.name)} WHERE NOT _deleted AND {quote(column)} IS NOT NULL"
        for child, column in ws.mapping(snapshot).children_of(object)
        if child.name in known and child.amount
    ]
    if not parts:
        return "SELECT NULL::VARCHAR AS record_id, 0::DOUBLE AS worth WHERE false"
    return f"SELECT record_id, sum(amount) AS worth FROM ({' UNION ALL '.join(parts)}) GROUP BY record_id"  # noqa: S608 - quoted


_MONTHS = N_("to {n} months")


def draw(found: Heat) -> Scene:
    """Draw one object: darker is more records, and the numbers stand in the cells."""
    ages = [_(_MONTHS).format(n=m) for m in AGES] + [_("longer"), _("not known")]
    worths = [_("nothing")] + [_("to {amount}").format(amount=number(top)) for top in WORTHS[1:]] + [_("more")]
    most = max((n for row in found.cells for n, _s, _f in row), default=0)
    marks: list[Mark] = [
        Text(_LEFT, 14, _("last activity"), 11, "start", "soft"),
        Text(_LEFT - 10, _TOP - 8, _("worth"), 11, "end", "soft"),
    ]
    for c, word in enumerate(ages):
        marks.append(Text(_LEFT + c * _CELL_W + _CELL_W / 2, _TOP - 8, fit(word, _CELL_W, 11), 11, "middle", "ink"))
    rows = []
    for r in range(len(worths) - 1, -1, -1):
        y = _TOP + (len(worths) - 1 - r) * _CELL_H
        marks.append(Text(_LEFT - 10, y + _CELL_H / 2 + 4, fit(worths[r], _LEFT - 14), 12, "end", "ink"))
        line = [worths[r]]
        for c, (n, stale, free) in enumerate(found.cells[r]):
            x = _LEFT + c * _CELL_W
            said = f"{worths[r]} · {ages[c]}: {number(n)}"
            marks.append(Rect(x + 1, y + 1, _CELL_W - 2, _CELL_H - 2, "bed", "solid", 1, 3, said))
            if n:
                strength = 0.10 + 0.32 * math.log1p(n) / math.log1p(most)
                marks.append(Rect(x + 1, y + 1, _CELL_W - 2, _CELL_H - 2, "accent", "solid", strength, 3, said))
            marks.append(Text(x + _CELL_W / 2, y + 20, number(n) if n else "·", 13, "middle", "ink" if n else "soft", bool(n)))
            if stale:
                words = ngettext("{n} stale", "{n} stale", stale).format(n=number(stale))
                marks.append(Text(x + _CELL_W / 2, y + 36, fit(words, _CELL_W - 6, 10.5), 10.5, "middle", "ink"))
            line.append(number(n) + (f" ({number(stale)} / {number(free)})" if stale else ""))
        rows.append(tuple(line))
    total = sum(n for row in found.cells for n, _s, _f in row)
    stale = sum(s for row in found.cells for _n, s, _f in row)
    free = sum(f for row in found.cells for _n, _s, f in row)
    # Worth more than nothing, and still counted as stale: the cell to look at before anything goes.
    costly = sum(s for row in found.cells[1:] for _n, s, _f in row)
    text = (
        _(
            "{records} records of {object}; {stale} are stale, {free} of them free to go, and {costly} stale ones are worth something."
        ).format(records=number(total), object=found.object, stale=number(stale), free=number(free), costly=number(costly))
        if found.scored
        else _("{records} records of {object}; staleness was not scored.").format(records=number(total), object=found.object)
    )
    table = columns_of(rows, (_("worth \\ last activity (in brackets: stale / free to go)"), *ages))
    return Scene(
        _LEFT + len(ages) * _CELL_W + 6, _TOP + len(worths) * _CELL_H + 6, _("Silence by worth: {object}").format(object=found.object),
        text, tuple(marks), table,
    )  # fmt: skip
