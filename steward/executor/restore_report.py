"""What a restore came to, read back per record and per link: nothing is claimed that was not seen.

Left to others: bringing back (``restore``), what cannot come back, said beforehand (``restoring``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from steward.crm.mapping import Mapping as CrmMapping
from steward.executor.ports import Effect
from steward.executor.restore import Line, NewId, equal
from steward.records import Absent, Record, RecordKey, Scalar, canonical_text

ReadRows = Callable[[Sequence[RecordKey]], Mapping[RecordKey, Record | Absent]]


def report(
    effects: Sequence[Effect],
    read: ReadRows,
    mapping: CrmMapping,
    new_id: NewId,
    moving: Callable[[str], frozenset[str]] = lambda object: frozenset(),
) -> list[Line]:
    """Read back what is there now and say it per record and per link.

    Outcomes are ``restored`` (as it was to the last column, but for ids that had to change), ``changed`` (there, with
    differences in the named fields) and ``impossible`` (not there, or a link to what is gone).

    Parameters
    ----------
    effects : sequence of Effect
        Of the deletion: what each row was.
    read : callable
        Gives rows by key as they are now.
    new_id : callable
        Where a record is now that was made anew.
    moving : callable
        Columns of an object that the system moves by itself and nobody can put back.
    """

    def at(key: RecordKey) -> RecordKey:
        new = new_id(key.object, key.id)
        return key if new is None else RecordKey(key.object, new)

    rows = read(list(dict.fromkeys(at(e.before.key) for e in effects)))
    lines: list[Line] = []
    for e in effects:
        entry = mapping.objects[e.before.key.object]
        place = at(e.before.key)
        now = rows.get(place)
        meant = _meant(e.before, mapping, at)
        still = moving(e.before.key.object)
        became = place.id if place != e.before.key else None
        if isinstance(now, Record):
            names = tuple(sorted(n for n in meant if n not in still and not equal(now.fields.get(n), meant[n])))
            outcome, why = ("changed", "") if names else ("restored", "")
        else:
            names, outcome, why = (), "impossible", "row_gone" if isinstance(now, Absent) else "no_answer"
        if e.role in ("item", "survivor"):
            lines.append(Line(e.seq, e.role, e.before.key, "", outcome, names, became, why))
        if e.role == "item":
            links = [n for n in entry.parents if e.before.fields.get(n) is not None and e.op in ("delete", "bin")]
        else:
            links = [n for n in e.changes if n in entry.parents]
        for name in links:
            lines.append(Line(e.seq, "link", e.before.key, name, *_link(now, meant, name)))
    return lines


def _meant(before: Record, mapping: CrmMapping, at: Callable[[RecordKey], RecordKey]) -> dict[str, Scalar]:
    """Return the fields as they shall be: the old ones, with ids that had to change led to the new ones."""
    entry = mapping.objects[before.key.object]
    fields = dict(before.fields)
    if at(before.key) != before.key:
        fields[entry.key] = at(before.key).id
    for name, object in entry.parents.items():
        id = canonical_text(before.fields.get(name))
        if id is not None and at(RecordKey(object, id)).id != id:
            fields[name] = at(RecordKey(object, id)).id
    return fields


def _link(now: Record | Absent | None, meant: Mapping[str, Scalar], name: str) -> tuple[str, tuple[str, ...], None, str]:
    if not isinstance(now, Record):
        return "impossible", (), None, "row_gone"
    if equal(now.fields.get(name), meant.get(name)):
        return "restored", (), None, ""
    return ("impossible", (), None, "parent_gone") if now.fields.get(name) is None else ("changed", (), None, "")


def line_document(entry: Line) -> dict[str, object]:
    """Return a line as a document."""
    return {
        "seq": entry.seq, "what": entry.what, "object": entry.record.object, "id": entry.record.id, "field": entry.field,
        "outcome": entry.outcome, "fields": list(entry.fields), "became": entry.became, "why": entry.why,
    }  # fmt: skip


__all__ = ["ReadRows", "line_document", "report"]
