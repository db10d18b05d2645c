"""What kinds of field there are: their comparison levels, where a match usually lands, and who else shares them.

A kind says everything the scoring needs to know about a column before it has seen data: the levels from *differs* to
*exact*, the share of true matches that usually reach each level (a starting point that the data overrule), whether rare
values count more, and which look-alikes share the field without being the same customer.

Left to others: standard forms (``standard``), which column is of which kind (``profile``), the levels reached by a pair
of values (``levels``).
"""

from __future__ import annotations

from dataclasses import dataclass

from steward.evidence import Agreement
from steward.messages import N_


@dataclass(frozen=True, slots=True)
class Level:
    """One outcome of a comparison.

    Attributes
    ----------
    name : str
        What a reader sees, e.g. ``similar (0.92 or more)``.
    agreement : {'agree', 'partly', 'disagree'}
    match_share : float
        Share of true matches expected at this level before data are seen, in (0, 1); the levels of a kind sum to 1.
    """

    name: str
    agreement: Agreement
    match_share: float


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of field.

    Attributes
    ----------
    levels : tuple of Level
        From *differs* (0) to *exact* (last).
    rare_counts_more : bool
        Exact agreement on a rare value is worth more than on a common one.
    individual : bool
        Tells one person from their relatives and colleagues.
    local : bool
        Tells one branch of a company from another.
    strong : bool
        A value that hardly two customers share; its own blocking rule.
    kin : tuple of float
        For names: how often relatives, or firms under one roof, reach each level. Empty: as strangers do.
    twins : tuple of float
        The same for people who share a birthday and a home: hardly ever one name, though often a similar one.
    differs_at_most : float
        Upper limit of the share of matches that differ outright; a name that is another name is hardly ever the same customer,
        whatever coincidences of birthdays, or a street and a town that go together, suggest to a table.
    random_at_most : float
        Upper limit of the chance that two random customers agree exactly; small tables of duplicates overstate it.
    """

    name: str
    levels: tuple[Level, ...]
    rare_counts_more: bool = False
    individual: bool = False
    local: bool = False
    strong: bool = False
    kin: tuple[float, ...] = ()
    twins: tuple[float, ...] = ()
    random_at_most: float = 1.0
    differs_at_most: float = 1.0

    @property
    def exact(self) -> int:
        """Number of the highest level."""
        return len(self.levels) - 1

    @property
    def base(self) -> str:
        """The kind that this is, or that an expert's own levels stand in for."""
        return self.name.removeprefix("own ")


def _levels(*rows: tuple[str, Agreement, float]) -> tuple[Level, ...]:
    total = sum(share for _, _, share in rows)
    return tuple(Level(name, agreement, share / total) for name, agreement, share in rows)


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "given",
            _levels(
                (N_("differs"), "disagree", 0.03),
                (N_("one name in the other's column"), "partly", 0.005),
                (N_("swapped with the family name"), "partly", 0.02),
                (N_("fits as an initial"), "partly", 0.02),
                (N_("similar (0.8 or more)"), "partly", 0.05),
                (N_("short form"), "partly", 0.04),
                (N_("similar (0.92 or more)"), "partly", 0.08),
                (N_("exact"), "agree", 0.76),
            ),
            rare_counts_more=True,
            individual=True,
            kin=(0.783, 0.001, 0.001, 0.01, 0.09, 0.06, 0.025, 0.03),
            twins=(0.687, 0.001, 0.0002, 0.01, 0.22, 0.05, 0.03, 0.0018),
            differs_at_most=0.10,
        ),
        Kind(
            "family",
            _levels(
                (N_("differs"), "disagree", 0.04),
                (N_("one name in the other's column"), "partly", 0.005),
                (N_("similar (0.8 or more) or one part equal"), "partly", 0.06),
                (N_("similar (0.92 or more)"), "partly", 0.08),
                (N_("exact"), "agree", 0.82),
            ),
            rare_counts_more=True,
            differs_at_most=0.15,
        ),
        Kind(
            "person",
            _levels(
                (N_("differs"), "disagree", 0.03),
                (N_("some words agree"), "partly", 0.05),
                (N_("similar (0.9 or more)"), "partly", 0.10),
                (N_("same words, with initials or short forms"), "partly", 0.10),
                (N_("exact"), "agree", 0.72),
            ),
            rare_counts_more=True,
            individual=True,
            kin=(0.10, 0.74, 0.06, 0.06, 0.04),
            twins=(0.10, 0.65, 0.20, 0.048, 0.002),
            differs_at_most=0.06,
        ),
        Kind(
            "company",
            _levels(
                (N_("differs"), "disagree", 0.03),
                (N_("some words agree"), "partly", 0.07),
                (N_("similar (0.8 or more)"), "partly", 0.10),
                (N_("similar (0.92 or more) or contained"), "partly", 0.15),
                (N_("exact"), "agree", 0.65),
            ),
            rare_counts_more=True,
            kin=(0.53, 0.29, 0.09, 0.06, 0.03),
            differs_at_most=0.25,
        ),
        Kind(
            "email",
            _levels(
                (N_("differs"), "disagree", 0.12),
                (N_("same or similar name before the @"), "partly", 0.06),
                (N_("nearly equal"), "partly", 0.10),
                (N_("exact"), "agree", 0.72),
            ),
            rare_counts_more=True,
            strong=True,
            kin=(0.70, 0.08, 0.02, 0.20),
            twins=(0.70, 0.08, 0.02, 0.20),
            differs_at_most=0.70,
        ),
        Kind(
            "phone",
            _levels(
                (N_("differs"), "disagree", 0.25),
                (N_("last seven digits, or one digit differs"), "partly", 0.07),
                (N_("exact"), "agree", 0.68),
            ),
            rare_counts_more=True,
            local=True,
            strong=True,
            differs_at_most=0.80,
        ),
        Kind(
            "birthdate",
            _levels(
                (N_("differs"), "disagree", 0.03),
                (N_("same year"), "partly", 0.02),
                (N_("two of day, month and year agree"), "partly", 0.04),
                (N_("one digit differs, or day and month swapped"), "partly", 0.06),
                (N_("exact"), "agree", 0.85),
            ),
            rare_counts_more=True,
            individual=True,
            random_at_most=1 / 1000,
            differs_at_most=0.50,
        ),
        Kind(
            "address",
            _levels(
                (N_("differs"), "disagree", 0.18),
                (N_("some words agree"), "partly", 0.09),
                (N_("similar (0.88 or more), same numbers"), "partly", 0.15),
                (N_("exact"), "agree", 0.58),
            ),
            rare_counts_more=True,
            local=True,
            differs_at_most=0.70,
        ),
        Kind(
            "city",
            _levels(
                (N_("differs"), "disagree", 0.15),
                (N_("similar (0.88 or more) or contained"), "partly", 0.07),
                (N_("exact"), "agree", 0.78),
            ),
            rare_counts_more=True,
            local=True,
            differs_at_most=0.60,
        ),
        Kind(
            "postcode",
            _levels(
                (N_("differs"), "disagree", 0.12),
                (N_("same area, or one character differs"), "partly", 0.08),
                (N_("exact"), "agree", 0.80),
            ),
            rare_counts_more=True,
            local=True,
            differs_at_most=0.60,
        ),
        Kind(
            "identifier",
            _levels(
                (N_("differs"), "disagree", 0.05),
                (N_("one character differs"), "partly", 0.05),
                (N_("exact"), "agree", 0.90),
            ),
            individual=True,
            random_at_most=1 / 5000,
            local=True,
            strong=True,
            differs_at_most=0.50,
        ),
        Kind(
            "domain",
            _levels((N_("differs"), "disagree", 0.15), (N_("exact"), "agree", 0.85)),
            rare_counts_more=True,
            differs_at_most=0.60,
        ),
        Kind(
            "category",
            _levels((N_("differs"), "disagree", 0.12), (N_("exact"), "agree", 0.88)),
            rare_counts_more=True,
            differs_at_most=0.60,
        ),
        Kind(
            "text",
            _levels(
                (N_("differs"), "disagree", 0.25),
                (N_("similar (0.8 or more)"), "partly", 0.10),
                (N_("similar (0.92 or more)"), "partly", 0.10),
                (N_("exact"), "agree", 0.55),
            ),
            rare_counts_more=True,
            differs_at_most=0.70,
        ),
    )
}
"""All kinds by name."""
