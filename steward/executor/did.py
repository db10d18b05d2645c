"""What a receipt may say of a change: names of fields and counts of links, never a value.

``removed``: fields whose values are gone. ``replaced``: fields that hold something else now. ``kept``: ``row`` where the
whole record lies in the recycle bin or only changed hands, else the fields that stay as they were. ``moved``: per link
field how many records were led elsewhere or detached. ``survivor``: fields that a merge wrote. ``written``: a restore's.

Left to others: whether it was made and seen (``receipt``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from steward.executor.ports import Effect, Unit, Work


def changes_of(units: Sequence[Unit], *, transactional: bool = False) -> dict[int, str]:
    """Return, per item, what its unit changes, as JSON.

    Parameters
    ----------
    transactional : bool
        The change is read back by the transaction that makes it, or is not made at all.
    """
    said: dict[int, dict[str, object]] = {}
    for unit in units:
        works = {w.seq: w for w in unit.works}
        for e in unit.effects:
            entry = said.setdefault(e.seq, {"tx": True} if transactional else {})
            if e.role == "item":
                entry |= _own(e, works.get(e.seq))
            elif e.role == "survivor":
                entry["survivor"] = sorted(e.changes)
            else:
                moved = entry.setdefault("moved", {})
                assert isinstance(moved, dict)
                for name in e.changes:
                    moved[f"{e.before.key.object}.{name}"] = moved.get(f"{e.before.key.object}.{name}", 0) + 1
    return {seq: json.dumps(entry, sort_keys=True, separators=(",", ":")) for seq, entry in said.items()}


def _own(e: Effect, work: Work | None) -> dict[str, object]:
    filled = sorted(n for n, v in e.before.fields.items() if v is not None)
    match e.op:
        case "delete":
            return {"op": e.op, "removed": filled}
        case "bin":
            return {"op": e.op, "kept": "row"}
        case "insert" | "unbin":
            return {"op": e.op, "written": filled}
    emptied = sorted(n for n, v in e.changes.items() if v is None and e.before.fields.get(n) is not None)
    found: dict[str, object] = {"op": e.op, "replaced": sorted(set(e.changes) - set(emptied))}
    if emptied:
        found["removed"] = emptied
    if work is not None and work.action == "anonymise":
        found["kept"] = [n for n in filled if n not in e.changes]
    else:
        found["kept"] = "row"
    return found


__all__ = ["changes_of"]
