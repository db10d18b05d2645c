"""Score a snapshot: which objects are looked at for which reason, in one order, with what was left out and why.

Left to others: how each reason is computed (``duplicates``, ``staleness``, ``validity``), showing the outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from steward.errors import ScoringError, UsageError
from steward.messages import N_
from steward.workbench import SCORED_ROLES, ScoreLine

if TYPE_CHECKING:
    from steward.policy import Policy
    from steward.workbench import Workbench

KINDS = ("duplicate", "stale", "invalid")
SUITES = Path(__file__).resolve().parents[1] / "expectations"


def default_suites() -> Path:
    """Folder of the suites that ship: inside the installed package, or beside it in a checkout."""
    return SUITES if SUITES.is_dir() else SUITES.parents[1] / "expectations"


def score_objects(
    bench: Workbench,
    *,
    objects: Sequence[str] = (),
    kinds: Sequence[str] = KINDS,
    policy: Policy | None = None,
    holds: Path | None = None,
    suites: Path | None = None,
    definition: Path | None = None,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> list[ScoreLine]:
    """Compute and store evidence; see :meth:`steward.workbench.Workbench.score`.

    Raises
    ------
    UsageError
        An object or a kind that the snapshot or steward does not know.
    ScoringError
        The snapshot holds nothing that could be scored.
    """
    store, snapshot = bench.store, bench.snapshot()
    mapping = store.mapping(snapshot)
    held = {o.name for o in snapshot.objects}
    for name in objects:
        if name not in held:
            raise UsageError(N_("The snapshot has no object {object}; it has: {known}."), object=name, known=", ".join(sorted(held)))
    for kind in kinds:
        if kind not in KINDS:
            raise UsageError(N_("There is no kind {kind}; there are: {known}."), kind=kind, known=", ".join(KINDS))

    people = [o.name for o in mapping.ordered() if o.name in held and (o.name in objects or not objects and o.role in SCORED_ROLES)]
    lines: list[ScoreLine] = []
    if "duplicate" in kinds:
        lines += [_duplicates(bench, name, definition, seed, progress) for name in people]
    if "stale" in kinds and people:
        lines += _stale(bench, people, policy, holds, progress)
    if "invalid" in kinds:
        lines += _invalid(bench, [o for o in (objects or sorted(held))], suites or default_suites(), progress)
    if not lines:
        raise ScoringError(
            N_("Nothing to score: no object of the snapshot is a person, a company or a lead, and none has a suite."),
            next_step=N_("Give an object a role in the mapping, or name it with --object."),
        )
    return lines


def _duplicates(bench: Workbench, name: str, definition: Path | None, seed: int, progress: Callable[[int], None] | None) -> ScoreLine:
    from steward.scoring.duplicates import load_definition, score_duplicates

    apart = bench.log.standing().not_duplicates
    chosen = load_definition(definition) if definition is not None else None
    summary = score_duplicates(bench.store, bench.snapshot(), name, definition=chosen, seed=seed, apart=apart, progress=progress)
    return ScoreLine("duplicate", name, summary.records, summary.proposed, summary.note)


def _stale(
    bench: Workbench, names: Sequence[str], policy: Policy | None, holds: Path | None, progress: Callable[[int], None] | None
) -> list[ScoreLine]:
    from steward.policy import default_policy
    from steward.scoring.staleness import read_holds, score_staleness

    in_force = policy if policy is not None else default_policy()
    listed = read_holds(holds)
    lines = []
    for name in names:
        summary = score_staleness(bench.store, bench.snapshot(), name, in_force, holds=listed, progress=progress)
        lines.append(ScoreLine("stale", name, summary.records, summary.stale, summary.note))
    return lines


def _invalid(bench: Workbench, names: Sequence[str], folder: Path, progress: Callable[[int], None] | None) -> list[ScoreLine]:
    from steward.scoring.validity import find_suite, score_validity

    lines = []
    for name in names:
        suite = find_suite(folder, name, bench.mapping())
        if suite is None:
            continue
        summary = score_validity(bench.store, bench.snapshot(), name, suite, progress=progress)
        lines.append(ScoreLine("invalid", name, summary.records, summary.failing, summary.note, summary.complete))
    return lines
