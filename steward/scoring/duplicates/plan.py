"""What a run is about to do, known before any pair is compared: fields, rules with their pairs and cost, what was left out.

Left to others: showing it (``steward.commands``), doing it (``link``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from steward.scoring.duplicates.blocks import Blocks
    from steward.scoring.duplicates.definition import Definition
    from steward.scoring.duplicates.profile import Proposal

PAIRS_PER_SECOND = 1_000_000
"""Candidate pairs that one core scores in a second, about: 3.3 million measured on invented people whose fields mostly differ,
fewer where many texts must be compared. The cautious figure is told, for people to see the order of magnitude."""


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """A field that will be compared, as what, from which columns, and why."""

    name: str
    kind: str
    columns: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class RulePlan:
    """A blocking rule that will run.

    Attributes
    ----------
    pairs : int
        Pairs it proposes, those that earlier rules find as well included.
    largest : int
        Records in its largest block.
    records_left_out : int
        Records in blocks above the limit, which are not paired by this rule.
    seconds : float
        About what it costs on one core; an order of magnitude, not a promise.
    """

    rule: str
    pairs: int
    largest: int
    records_left_out: int
    seconds: float


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A column or a rule that will not be used, with the pairs it would have cost where it is a rule."""

    what: str
    name: str
    reason: str
    pairs: int | None = None


@dataclass(slots=True)
class Plan:
    """A run of one object.

    Attributes
    ----------
    proposed : bool
        True where the definition was chosen from the data.
    trained : bool
        True where the definition holds its model, so that nothing is estimated.
    definition : str
        The definition in force as a file's text, to save, change and give back.
    """

    object: str
    records: int
    proposed: bool
    trained: bool
    fields: list[FieldPlan] = field(default_factory=list)
    rules: list[RulePlan] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    definition: str = ""

    @property
    def pairs(self) -> int:
        """Pairs of all rules together, at most: a pair that two rules propose is compared once."""
        return sum(r.pairs for r in self.rules)


def plan_of(records: int, definition: Definition, blocks: Blocks | None, proposal: Proposal | None, object: str = "") -> Plan:
    """Return the plan of a run whose blocks have been counted; without blocks there is nothing to compare."""
    reasons = {c.column: c.reason for c in proposal.columns} if proposal is not None else {}
    plan = Plan(object, records, proposal is not None, definition.trained, definition=definition.toml())
    for f in definition.fields:
        said = [reasons[c] for c in f.columns if reasons.get(c)]
        plan.fields.append(FieldPlan(f.name, f.kind, f.columns, "; ".join(dict.fromkeys(said)) or "the definition"))
    if blocks is not None:
        plan.rules = [RulePlan(c.rule.name, c.pairs, c.largest, c.left_out, c.pairs / PAIRS_PER_SECOND) for c in blocks.costs]
    if proposal is not None:
        plan.left_out = [LeftOut("column", c.column, c.reason) for c in proposal.columns if not c.used_as]
        plan.left_out += [LeftOut("rule", c.rule, c.reason, c.pairs) for c in proposal.rules if not c.used]
    return plan
