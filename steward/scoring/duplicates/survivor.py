"""Which record of a cluster should survive: an ordered list of rules, each a plain comparison with its reason.

Rules are tried in order; the first on which records differ decides. ``linked`` (most deals, orders, activities hang on
it), ``complete`` (most fields filled), ``oldest`` and ``newest`` (by creation and change), ``trusted:COLUMN=VALUE`` (a
source that is believed). A person may always choose another.

Left to others: counting what hangs on a record (``adapter``), decisions (``steward.review``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steward.errors import ScoringError
from steward.messages import N_

DEFAULT_RULES = ("linked", "complete", "oldest")

STEERABLE = frozenset({"complete", "newest"})
"""Rules that anyone who can add a record can bend: fill in every field, or write last."""


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
    """

    linked: int
    filled: int
    created: str | None
    modified: str | None
    values: Mapping[str, str | None]


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
        if rule in ("linked", "complete", "oldest", "newest") or (name == "trusted" and "=" in condition):
            continue
        raise ScoringError(
            N_("There is no survivor rule {rule}."),
            next_step=N_("Use linked, complete, oldest, newest or trusted:COLUMN=VALUE."),
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
            return Survivor(kept[0], rule, rule in STEERABLE)
        left = kept
    return Survivor(left[0], "id", False)


def _best(left: Sequence[str], members: Mapping[str, Facts], rule: str) -> list[str]:
    if rule in ("oldest", "newest"):
        times = {i: (members[i].created if rule == "oldest" else members[i].modified) or "" for i in left}
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
