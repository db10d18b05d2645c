"""What a merge would make of a cluster: which value each field of the survivor gets, and what no survivor would keep.

The rules propose, a person changes field by field, and both see the result and the loss before anything is decided.
An empty value never overwrites a value.

Left to others: reading the records (``steward.review.source``), carrying it out (``steward.executor``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from steward.crm.mapping import ObjectMapping
from steward.errors import DecisionError
from steward.messages import N_
from steward.records import RecordKey

Values = Mapping[str, str | None]

RULES = ("survivor", "most_recent", "most_complete", "longest", "most_common")
"""Beside these ``trusted:COLUMN=VALUE``: values of the members whose ``COLUMN`` says ``VALUE`` go first."""

_SOURCE = re.compile(r"(^|_)(source|origin|system|herkunft|quelle|来源|系统)($|_|system)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Lost:
    """A value that would be on no record any more."""

    field: str
    key: RecordKey
    value: str
    savable: bool = True
    """False where nobody can choose this value for the survivor: the system or the mapping keeps the field."""


@dataclass(frozen=True, slots=True)
class Result:
    """The survivor as it would be.

    Attributes
    ----------
    values : mapping of str to str or None
    taken_from : mapping of str to str
        Field → id of the member, for fields whose value does not come from the survivor itself; the ``choices`` of a
        merge decision.
    lost : tuple of Lost
    """

    values: Values
    taken_from: Mapping[str, str]
    lost: tuple[Lost, ...]


def choosable(entry: ObjectMapping | None, columns: Sequence[str]) -> list[str]:
    """Return the fields whose value a person may choose: not the key, marks of time, version and deletion, nor what the mapping protects."""
    if entry is None:
        return list(columns)
    fixed = technical(entry)
    return [c for c in columns if c not in fixed and entry.writes(c)]


def technical(entry: ObjectMapping | None) -> set[str]:
    """Return the columns whose values say nothing of the customer: key, marks of time, version and deletion."""
    if entry is None:
        return set()
    fixed = {*entry.key_columns, entry.key, entry.created, entry.modified, entry.version}
    if entry.soft_delete:
        fixed |= {entry.soft_delete.column, entry.soft_delete.at, entry.soft_delete.by}
    return {c for c in fixed if c}


def preview(
    members: Mapping[RecordKey, Values],
    survivor: RecordKey,
    fields: Sequence[str],
    *,
    rule: str = "survivor",
    modified: str | None = None,
    by_hand: Mapping[str, str] | None = None,
    shown: Sequence[str] = (),
) -> Result:
    """Return the survivor as a merge of ``members`` would leave it.

    Parameters
    ----------
    members : mapping of RecordKey to values
        Only those that are merged, the survivor among them.
    fields : sequence of str
        Fields that may be chosen (:func:`choosable`); all others keep the survivor's value.
    rule : str
        One of :data:`RULES`, or ``trusted:COLUMN=VALUE``. ``survivor``: its own value, blanks filled from the most recent
        member. The others choose among all members.
    shown : sequence of str, optional
        Fields whose loss is shown beside ``fields``: those that nobody can choose.
    modified : str, optional
        Column with the time of the last change; records without it count as oldest.
    by_hand : mapping of str to str, optional
        Field → id of the member whose value a person chose; goes before the rule.

    Raises
    ------
    DecisionError
        An unknown rule, field or member.
    """
    check_rule(rule)
    by_hand = by_hand or {}
    ids = {k.id: k for k in members}
    for field, member in by_hand.items():
        if field not in fields or member not in ids:
            raise DecisionError(N_("The value of {field} cannot be taken from {member}."), field=field, member=member)
    pick = _picker(rule, members, survivor, modified)
    values = dict(members[survivor])
    taken: dict[str, str] = {}
    for field in fields:
        source = ids[by_hand[field]] if field in by_hand else pick(field)
        value = members[source].get(field)
        if source != survivor and (not _blank(value) or field in by_hand) and value != members[survivor].get(field):
            values[field] = value
            taken[field] = source.id
    fixed = [replace(x, savable=False) for x in lost(members, values, [f for f in shown if f not in fields])]
    return Result(values, taken, (*lost(members, values, fields), *fixed))


def check_rule(rule: str) -> None:
    """Refuse a rule that is unknown; a misspelt one would silently choose other values.

    Raises
    ------
    DecisionError
    """
    name, _, condition = rule.partition(":")
    if rule not in RULES and not (name == "trusted" and "=" in condition):
        known = ", ".join((*RULES, "trusted:COLUMN=VALUE"))
        raise DecisionError(N_("There is no survivor rule {rule}; there are: {known}."), rule=rule, known=known)


def trusted_rules(members: Mapping[RecordKey, Values]) -> list[str]:
    """Return the rules of a trusted source that these members offer: columns that say where a record comes from."""
    found = {
        f"trusted:{field}={value}"
        for values in members.values()
        for field, value in values.items()
        if _SOURCE.search(field) and value and value.strip() and len(value) <= 80
    }
    return sorted(found)[:20]


def lost(members: Mapping[RecordKey, Values], kept: Values, fields: Sequence[str]) -> tuple[Lost, ...]:
    """Return the values of members that are not in ``kept``; differences of case and blanks alone are not a loss."""
    out: list[Lost] = []
    for field in fields:
        seen = {_plain(kept.get(field))}
        for key, values in members.items():
            value = values.get(field)
            if not _blank(value) and _plain(value) not in seen:
                seen.add(_plain(value))
                out.append(Lost(field, key, str(value)))
    return tuple(out)


def _picker(
    rule: str, members: Mapping[RecordKey, Values], survivor: RecordKey, modified: str | None
) -> Callable[[str], RecordKey]:
    recent = sorted(members, key=lambda k: (members[k].get(modified) or "") if modified else "", reverse=True)
    full = sorted(members, key=lambda k: -sum(not _blank(v) for v in members[k].values()))
    if rule.startswith("trusted:"):
        column, _, wanted = rule.removeprefix("trusted:").partition("=")
        trusted = [k for k in recent if members[k].get(column) == wanted]
        recent = [*trusted, *(k for k in [survivor, *recent] if k not in trusted)]
    first = {"survivor": [survivor, *recent], "most_recent": recent, "most_complete": full}.get(
        rule, recent if rule.startswith("trusted:") else [survivor, *recent]
    )

    def pick(field: str) -> RecordKey:
        filled = [k for k in first if not _blank(members[k].get(field))]
        if not filled:
            return survivor
        if rule == "longest":
            return max(filled, key=lambda k: len(members[k].get(field) or ""))
        if rule == "most_common":
            plain = [_plain(members[k].get(field)) for k in filled]
            return max(filled, key=lambda k: plain.count(_plain(members[k].get(field))))
        return filled[0]

    return pick


def _blank(value: str | None) -> bool:
    return value is None or not value.strip()


def _plain(value: str | None) -> str:
    return " ".join((value or "").casefold().split())
