"""What to write instead of a blocking rule that would explode: the rule with one more key that keeps the most pairs.

Left to others: refusing the rule (``blocks``), rules for a table without settings (``profile``).
"""

from __future__ import annotations

from steward.scoring.duplicates.columns import Table
from steward.scoring.duplicates.definition import Rule

_PARTS: dict[str, tuple[str, ...]] = {
    "given": ("whole", "sound", "initial"), "family": ("whole", "sound", "initial"), "person": ("words", "start", "initial"),
    "company": ("words", "start", "initial"), "birthdate": ("whole", "year"), "email": ("whole", "mailbox"), "phone": ("whole", "end"),
}  # fmt: skip
"""Parts of a value worth trying, by kind; whole values for the rest."""


def narrower(table: Table, rule: Rule, *, pairs_at_most: int, block_at_most: int) -> tuple[Rule, int] | None:
    """Return a rule that adds one key to ``rule`` and its pairs; None where none stays within the limit.

    Parameters
    ----------
    pairs_at_most : int
        Limit that the rule exceeded.
    block_at_most : int
        Records of one block; larger blocks are left out of the count as they are of the run.
    """
    from steward.scoring.duplicates.blocks import block_sizes, expected_pairs, rule_key

    used = {name for name, _ in rule.keys}
    best: tuple[Rule, int] | None = None
    for column in table.columns:
        if column.field.name in used or not column.filled:
            continue
        for part in _PARTS.get(column.kind.base, ("whole",)):
            longer = Rule((*rule.keys, (column.field.name, part)))
            sizes = block_sizes(rule_key(table, longer))
            pairs = expected_pairs(sizes, block_at_most)
            if 0 < pairs <= pairs_at_most and (best is None or pairs > best[1]):
                best = (longer, pairs)
    return best
