"""From a table to scored pairs and clusters, in one call that knows nothing of workspaces.

Left to others: reading a snapshot and writing evidence (``adapter``), the proposal (``profile``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from steward.scoring.duplicates.blocks import Blocks
from steward.scoring.duplicates.cluster import cluster
from steward.scoring.duplicates.columns import Table, build
from steward.scoring.duplicates.cut import choose_cut
from steward.scoring.duplicates.definition import Definition
from steward.scoring.duplicates.plan import Plan, plan_of
from steward.scoring.duplicates.profile import Proposal, choose_rules, propose
from steward.scoring.duplicates.repeats import find_repeats
from steward.scoring.duplicates.score import Scored, Scorer, score_blocks
from steward.scoring.duplicates.stored import stored_model, with_given
from steward.scoring.duplicates.together import hold_together
from steward.scoring.duplicates.train import Model, fit


@dataclass(slots=True)
class LinkResult:
    """What linking found.

    Attributes
    ----------
    table : Table
        Records in content order; pairs and labels count in it.
    pairs : Scored
        Pairs from ``definition.review_from`` up, best first.
    labels : array (n_records,) of int64
        Cluster of each record; its smallest position.
    cut : float
        Match probability from which records are proposed as duplicates.
    compared : int
        Candidate pairs looked at.
    proposal : Proposal or None
        What was chosen without settings, and why.
    """

    table: Table
    definition: Definition
    model: Model | None
    pairs: Scored
    labels: npt.NDArray[np.int64]
    cut: float
    compared: int
    blocks: Blocks | None = None
    proposal: Proposal | None = None
    notes: list[str] = field(default_factory=list)

    def pairs_frame(self) -> pl.DataFrame:
        """Return ``left_id, right_id, match_weight, probability, rule``, ids in text order within a pair."""
        names = np.array([r.name for r in self.definition.rules] or [""], object)
        a, b = self.table.ids[self.pairs.left], self.table.ids[self.pairs.right]
        swap = np.array([x > y for x, y in zip(a, b, strict=True)], bool)
        return pl.DataFrame(
            {
                "left_id": pl.Series(np.where(swap, b, a).tolist(), dtype=pl.String),
                "right_id": pl.Series(np.where(swap, a, b).tolist(), dtype=pl.String),
                "match_weight": self.pairs.weight,
                "probability": self.pairs.probability,
                "rule": pl.Series(names[self.pairs.rule].tolist(), dtype=pl.String),
            }
        )

    def groups(self) -> list[list[str]]:
        """Return the ids of each cluster of two or more, sorted."""
        members: dict[int, list[str]] = {}
        sizes = np.bincount(self.labels, minlength=len(self.labels)) if len(self.labels) else np.zeros(0)
        for row in np.flatnonzero(sizes[self.labels] > 1) if len(self.labels) else ():
            members.setdefault(int(self.labels[row]), []).append(str(self.table.ids[row]))
        return sorted(sorted(m) for m in members.values())


def link(
    frame: pl.DataFrame,
    definition: Definition | None = None,
    seed: int = 0,
    apart: Iterable[tuple[str, str]] = (),
    *,
    ids: str = "_id",
    together: Iterable[tuple[str, str]] = (),
    role: str | None = None,
    references: Sequence[str] = (),
    source: str | None = None,
    progress: Callable[[int], None] | None = None,
    before: Callable[[Plan], None] | None = None,
    index: Any = None,
    compare: Any = None,
    classifier: Any = None,
) -> LinkResult:
    """Find records of the same customer.

    Parameters
    ----------
    frame : DataFrame
        One row per record, text columns.
    definition : Definition, optional
        Fields and rules; None proposes them from the data.
    seed : int
        Of the one sample that is drawn.
    apart : iterable of (id, id)
        Pairs that a person rejected; they never share a cluster.
    ids : str
        Column with the record ids, unique.
    together : iterable of (id, id)
        Pairs that a person merged; they share a cluster whatever they weigh.
    role : str, optional
        ``person`` or ``company`` where known.
    references : sequence of str
        Columns that are not about the customer.
    source : str, optional
        Column naming two sources; only pairs across them are compared.
    progress : callable, optional
        Called with the number of pairs scored.
    before : callable, optional
        Called once with the plan of the run, before any pair is compared; what it raises stops the run.
    index, compare, classifier : recordlinkage objects, optional
        A user's own ``Index``, ``Compare`` and classifier, taken as they are instead of a definition
        (:func:`steward.scoring.duplicates.objects.link_objects`).

    Returns
    -------
    LinkResult
        The same for the same contents, whatever the order of rows.
    """
    if index is not None or compare is not None:
        from steward.scoring.duplicates.objects import link_objects

        return link_objects(frame, index, compare, classifier, ids=ids, apart=apart)
    proposal = None
    if definition is None:
        proposal = propose(frame, ids=ids, role=role, references=references, source=source)
        definition = proposal.definition
    apart, together = list(apart), list(together)
    whole = table = build(frame, definition, ids=ids, source=source)
    repeats = find_repeats(table, {name for pair in (*apart, *together) for name in pair})
    if repeats is not None:
        table = repeats.part(whole)
        if proposal is not None:  # rules that the repeated records alone made explode are fine without them
            proposal.rules, rules = choose_rules(table, definition)
            proposal.definition = definition = replace(definition, rules=tuple(rules))
    n = len(table)
    empty = LinkResult(table, definition, None, _none(len(definition.fields)), np.arange(n), 0.5, 0, proposal=proposal)
    if n < 2 or not definition.fields:
        if before is not None:
            before(plan_of(n, definition, None, proposal))
        return empty
    blocks = Blocks(table, definition)
    if before is not None:
        before(plan_of(n, definition, blocks, proposal))
    model = stored_model(table, definition) or with_given(fit(table, blocks, seed), definition)
    threshold = float(np.log2(definition.review_from / (1 - definition.review_from)))
    scorer = Scorer(table, model, threshold)
    pairs, compared = score_blocks(scorer, blocks, progress)
    cut = definition.cut if definition.cut is not None else choose_cut(pairs, n)
    cut_bits = float(np.log2(cut / (1 - cut)))
    row_of = {str(name): row for row, name in enumerate(table.ids)} if apart or together else {}
    barred = [(row_of[a], row_of[b]) for a, b in apart if a in row_of and b in row_of]

    def margins(left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        return np.concatenate(
            [scorer.score(left[s : s + 500_000], right[s : s + 500_000], 0, keep_all=True).weight for s in range(0, len(left), 500_000)]
        ) - cut_bits  # fmt: skip

    labels = cluster(
        n, pairs.left, pairs.right, pairs.weight - cut_bits, apart=barred, all_pairs=None if source else margins, above_even=cut_bits
    )  # fmt: skip
    labels = hold_together(labels, [(row_of[a], row_of[b]) for a, b in together if a in row_of and b in row_of], barred)
    if repeats is not None:
        pairs, labels = repeats.follow(whole, scorer, blocks, pairs, labels, cut_bits)
    best = np.lexsort((pairs.right, pairs.left, -pairs.weight))
    return LinkResult(whole, definition, model, pairs.take(best), labels, cut, compared, blocks, proposal)


def _none(fields: int) -> Scored:
    from steward.scoring.duplicates.score import joined_pairs

    return joined_pairs([], fields)
