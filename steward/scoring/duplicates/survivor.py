"""Which record of a cluster should survive: an ordered list of rules, each a plain comparison with its reason.

Rules are tried in order; the first on which records differ decides. ``linked`` (most deals, orders, activities hang on
it), ``active`` (the latest activity), ``complete`` (most fields filled), ``oldest`` and ``newest`` (by creation and change),
``trusted:COLUMN=VALUE`` (a source that is believed). A person may always choose another.

Whoever can add records can bend ``complete``, ``newest`` and ``active``: add a fuller, later, busier copy, and it takes the
place of the record it copies. Where such a rule decided for a record that is not the oldest, the proposal says so.

Left to others: counting what hangs on a record (``proposals``), decisions (``steward.review``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steward.errors import ScoringError
from steward.messages import N_

DEFAULT_RULES = ("linked", "complete", "oldest")

STEERABLE = frozenset({"complete", "newest", "active"})
"""Rules that anyone who can add a record can bend: fill in every field, write last, or leave an activity."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules look at.

    Attributes
    ----------
    linked : int
        Records of other objects that refer to this one.
    filled : int
        Fields with a value.
    created, modified : str or None
        Text forms of times; ISO 8601 sorts by itself.
    values : mapping of str to str or None
        The record, for ``trusted``.
    active : str or None
        Text form of the time of its latest activity.
    """

    linked: int
    filled: int
    created: str | None
    modified: str | None
    values: Mapping[str, str | None]
    active: str | None = None


@dataclass(frozen=True, slots=True)
class Survivor:
    """The proposed survivor, the rule that decided, and whether adding a record could have steered it."""

    id: str
    rule: str
    steerable: bool


def check_rules(rules: Sequence[str]) -> None:
    """Refuse rules that are unknown; a misspelt rule would silently choose another survivor."""
    for rule in rules:
        name, _, condition = rule.partition(":")
        if rule in ("linked", "active", "complete", "oldest", "newest") or (name == "trusted" and "=" in condition):
            continue
        raise ScoringError(
            N_("There is no survivor rule {rule}."),
            next_step=N_("Use linked, active, complete, oldest, newest or trusted:COLUMN=VALUE."),
            rule=rule,
        )


def choose(members: Mapping[str, Facts], rules: Sequence[str] = DEFAULT_RULES) -> Survivor:
    """Return the survivor of a cluster; the id in natural order decides where no rule does.

    Parameters
    ----------
    members : mapping of id to Facts
        Two or more.
    rules : sequence of str
        See the module's docstring.
    """
    check_rules(rules)
    left = sorted(members, key=lambda i: (len(i), i))
    for rule in rules:
        kept = _best(left, members, rule)
        if len(kept) == 1:
            return Survivor(kept[0], rule, rule in STEERABLE and not _oldest(kept[0], members))
        left = kept
    return Survivor(left[0], "id", False)


def _oldest(chosen: str, members: Mapping[str, Facts]) -> bool:
    """Tell whether a record is known to be older than all others, so that no later addition can have taken its place."""
    times = {i: f.created for i, f in members.items()}
    own = times.pop(chosen)
    return bool(own) and all(t is not None and t > (own or "") for t in times.values())


def _best(left: Sequence[str], members: Mapping[str, Facts], rule: str) -> list[str]:
    if rule in ("oldest", "newest", "active"):
        column = {"oldest": "created", "newest": "modified", "active": "active"}[rule]
        times = {i: getattr(members[i], column) or "" for i in left}
        known = [t for t in times.values() if t]
        if not known:
            return list(left)
        wanted = min(known) if rule == "oldest" else max(known)
        return [i for i in left if times[i] == wanted]
    if rule.startswith("trusted:"):
        column, _, value = rule.removeprefix("trusted:").partition("=")
        trusted = [i for i in left if members[i].values.get(column) == value]
        return trusted or list(left)
    counts = {i: members[i].linked if rule == "linked" else members[i].filled for i in left}
    most = max(counts.values())
    return [i for i in left if counts[i] == most]


REASONS = {
    "linked": N_("most records hang on it"),
    "active": N_("it has the latest activity"),
    "complete": N_("most of its fields are filled"),
    "oldest": N_("it is the oldest"),
    "newest": N_("it was changed last"),
    "trusted": N_("it comes from a trusted source"),
    "id": N_("no rule tells them apart; its id comes first"),
}
"""Why a record is proposed as the survivor, by the rule that decided; English templates."""


def reason(survivor: Survivor) -> str:
    """Return the English reason for a survivor, with the warning where someone able to add records could steer it."""
    text = REASONS[survivor.rule.partition(":")[0]]
    if survivor.steerable:
        text += "; it is not the oldest, so whoever can add records could have steered this"
    return text


def differing(members: Sequence[str], values: Mapping[str, Mapping[str, str | None]]) -> list[str]:
    """Return the columns in which two members have different values, so that a merge would lose one."""
    columns = list(dict.fromkeys(c for m in members for c in values[m]))
    return [
        c
        for c in columns
        if len({" ".join(v.casefold().split()) for m in members if (v := values[m].get(c)) and v.strip()}) > 1
    ]


def golden_values(
    members: Sequence[str], survivor: str, values: Mapping[str, Mapping[str, str | None]]
) -> dict[str, tuple[str, str]]:
    """Return values that the survivor lacks and another member has: column → (value, id it comes from).

    A value is taken only where all members that have one agree; where they differ a person must choose.
    """
    out: dict[str, tuple[str, str]] = {}
    for column, own in values[survivor].items():
        if own not in (None, ""):
            continue
        offered = {v: i for i in reversed(members) if i != survivor and (v := values[i].get(column)) not in (None, "")}
        if len(offered) == 1:
            ((value, giver),) = offered.items()
            out[column] = (str(value), giver)
    return out
