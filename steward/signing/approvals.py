"""How many of whom must approve: the built-in minimum, what policy adds to it, and whether the people are there.

Approval is counted in **seats**. Each seat asks for a role, and each is taken by another person. A person's second key
takes no second seat, the proposer takes none, and silence takes none. Seats are asked for per object, since roles are.

======================================================  ==========================================
batch                                                   seats
======================================================  ==========================================
soft delete or reassign, up to 10,000 of all objects    steward
more of them, any merge or deactivation of a user       steward, steward
any hard delete or anonymising                          steward, privacy
more than 5 % of an object, or more than 100,000        two of the above, and an owner beside them
======================================================  ==========================================

Policy can ask for more, never for less. Left to others: whose key it was (``trust``), reading policy (``steward.policy``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steward.errors import ThresholdNotMetError
from steward.messages import N_
from steward.signing.trust import Person, TrustStore

SOFT_ALONE = 10_000
OWNER_ABOVE = 100_000
OWNER_ABOVE_PERCENT = 500  # hundredths of a percent


@dataclass(frozen=True, slots=True)
class Extra:
    """What policy adds to the minimum.

    Attributes
    ----------
    soft_alone : int or None
        Most records that one steward approves alone; the less of this and 10,000 holds.
    owner_above : int or None
        Records above which an owner signs too; the less of this and 100,000 holds.
    owner_above_percent : int or None
        The same in hundredths of a percent of an object; the less of this and 500 holds.
    seats : int
        Least number of people for any batch.
    roles : tuple of str
        Roles asked for in any batch, each a seat of its own.
    """

    soft_alone: int | None = None
    owner_above: int | None = None
    owner_above_percent: int | None = None
    seats: int = 1
    roles: tuple[str, ...] = ()


def _least(given: int | None, built_in: int) -> int:
    return built_in if given is None else min(given, built_in)


def seats_needed(counts: Mapping[str, int], sizes: Mapping[str, int], extra: Extra | None = None) -> dict[str, tuple[str, ...]]:
    """Return the seats of each object of a manifest.

    Parameters
    ----------
    counts : mapping of str to int
        ``object/action`` → records, as signed.
    sizes : mapping of str to int
        Object → live records in the snapshot. An object without a size needs an owner.
    """
    extra = extra or Extra()
    total = sum(counts.values())
    per_object: Counter[str] = Counter()
    actions: dict[str, set[str]] = {}
    for kind, n in counts.items():
        object, action = kind.split("/", 1)
        per_object[object] += n
        actions.setdefault(object, set()).add(action)
    needed: dict[str, tuple[str, ...]] = {}
    for object, n in per_object.items():
        grave = total > _least(extra.soft_alone, SOFT_ALONE) or bool(actions[object] - {"soft_delete", "reassign"})
        irreversible = bool(actions[object] & {"hard_delete", "anonymise"})
        size = sizes.get(object, 0)
        large = total > _least(extra.owner_above, OWNER_ABOVE) or n * 10_000 > size * _least(
            extra.owner_above_percent, OWNER_ABOVE_PERCENT
        )
        seats = ["steward"]
        if irreversible:
            seats.append("privacy")
        elif grave or large:
            seats.append("steward")
        if large:
            seats.append("owner")
        for role in extra.roles:
            if role not in seats:
                seats.append(role)
        seats += ["steward"] * (extra.seats - len(seats))
        needed[object] = tuple(seats)
    return dict(sorted(needed.items()))


def open_seats(seats: Sequence[str], people: Sequence[Person], trust: TrustStore, tenant: str, object: str) -> list[str]:
    """Return the seats nobody can take when each person takes one at most, chosen so that the most are taken."""
    can = [[trust.has_role(p, role, tenant, (object,)) for p in people] for role in seats]
    taken: dict[int, int] = {}  # person → seat

    def place(seat: int, tried: set[int]) -> bool:
        for at in range(len(people)):
            if can[seat][at] and at not in tried:
                tried.add(at)
                if at not in taken or place(taken[at], tried):
                    taken[at] = seat
                    return True
        return False

    return [role for seat, role in enumerate(seats) if not place(seat, set())]


def check_seats(needed: Mapping[str, Sequence[str]], people: Sequence[Person], trust: TrustStore, tenant: str) -> None:
    """Raise :class:`ThresholdNotMetError` unless distinct people take every seat of every object."""
    for object, seats in needed.items():
        missing = open_seats(seats, people, trust, tenant, object)
        if missing:
            raise ThresholdNotMetError(
                N_("For {object}, {needed} people must approve ({roles}); missing: {missing}."),
                next_step=N_(
                    "The proposer never counts, and a second key of one person never does. They sign with: steward sign."
                ),
                object=object,
                needed=len(seats),
                roles=", ".join(seats),
                missing=", ".join(missing),
            )
