"""Score a snapshot: which objects are looked at for which reason, in one order, with what was left out and why.

Left to others: how each reason is computed (``duplicates``, ``staleness``, ``validity``), showing the outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from steward.errors import ScoringError, UsageError
from steward.messages import N_

if TYPE_CHECKING:
    from steward.policy import Policy
    from steward.records import RecordKey, Snapshot
    from steward.scoring.duplicates.plan import Plan
    from steward.store import Workspace

Progress = Callable[[int], None]

KINDS = ("duplicate", "stale", "invalid")
SUITES = Path(__file__).resolve().parents[1] / "expectations"

SCORED_ROLES = ("person", "company", "lead")
"""Roles whose records are looked at for duplicates and staleness; invalid values are looked for wherever a suite is."""


@dataclass(frozen=True, slots=True)
class ScoreLine:
    """What scoring one object for one reason came to.

    Attributes
    ----------
    found : int or None
        Records proposed; None where the score was not computed.
    note : str
        Why not, or what is worth knowing; English.
    complete : bool
        False where a rule raised or disagreed with its oracle: nothing may be drafted from it.
    """

    kind: str
    object: str
    records: int
    found: int | None
    note: str = ""
    complete: bool = True


def default_suites() -> Path:
    """Folder of the suites that ship: inside the installed package, or beside it in a checkout."""
    return SUITES if SUITES.is_dir() else SUITES.parents[1] / "expectations"


def scored_objects(store: Workspace, snapshot: Snapshot, objects: Sequence[str] = ()) -> list[str]:
    """Return the objects looked at for duplicates and staleness, in the mapping's order: those named, else by their role."""
    held = {o.name for o in snapshot.objects}
    ordered = store.mapping(snapshot).ordered()
    return [o.name for o in ordered if o.name in held and (o.name in objects or (not objects and o.role in SCORED_ROLES))]


def score_objects(
    store: Workspace,
    snapshot: Snapshot,
    *,
    apart: frozenset[tuple[RecordKey, RecordKey]] = frozenset(),
    together: frozenset[tuple[RecordKey, RecordKey]] = frozenset(),
    objects: Sequence[str] = (),
    kinds: Sequence[str] = KINDS,
    policy: Policy | None = None,
    holds: Path | None = None,
    suites: Path | None = None,
    definition: Path | None = None,
    engine: str = "sql",
    seed: int = 0,
    progress: Progress | None = None,
    survivor_rules: Sequence[str] = (),
    before: Callable[[Plan], None] | None = None,
) -> list[ScoreLine]:
    """Compute and store evidence; see :meth:`steward.workbench.Workbench.score`.

    Raises
    ------
    UsageError
        An object or a kind that the snapshot or steward does not know.
    ScoringError
        The snapshot holds nothing that could be scored.
    """
    held = {o.name for o in snapshot.objects}
    for name in objects:
        if name not in held:
            raise UsageError(
                N_("The snapshot has no object {object}; it has: {known}."), object=name, known=", ".join(sorted(held))
            )
    for kind in kinds:
        if kind not in KINDS:
            raise UsageError(N_("There is no kind {kind}; there are: {known}."), kind=kind, known=", ".join(KINDS))

    people = scored_objects(store, snapshot, objects)
    lines: list[ScoreLine] = []
    if "duplicate" in kinds:
        lines += [
            _duplicates(store, snapshot, name, definition, seed, (apart, together), progress, survivor_rules, before)
            for name in people
        ]
    if "stale" in kinds and people:
        lines += _stale(store, snapshot, people, policy, holds, progress)
    if "invalid" in kinds:
        lines += _invalid(store, snapshot, list(objects or sorted(held)), suites, engine, progress)
    if not lines:
        raise ScoringError(
            N_("Nothing to score: no object of the snapshot is a person, a company or a lead, and none has a suite."),
            next_step=N_("Give an object a role in the mapping, or name it with --object."),
        )
    return lines


def _duplicates(
    store: Workspace,
    snapshot: Snapshot,
    name: str,
    definition: Path | None,
    seed: int,
    decided: tuple[frozenset[tuple[RecordKey, RecordKey]], frozenset[tuple[RecordKey, RecordKey]]],
    progress: Progress | None,
    survivor_rules: Sequence[str],
    before: Callable[[Plan], None] | None,
) -> ScoreLine:
    from steward.scoring.duplicates import load_definition, score_duplicates
    from steward.scoring.duplicates.survivor import DEFAULT_RULES

    chosen = load_definition(definition) if definition is not None else None
    summary = score_duplicates(
        store, snapshot, name, definition=chosen, seed=seed, apart=decided[0], together=decided[1], survivor_rules=survivor_rules or DEFAULT_RULES,
        progress=progress, before=before,
    )  # fmt: skip
    return ScoreLine("duplicate", name, summary.records, summary.proposed, summary.note)


def _stale(
    store: Workspace,
    snapshot: Snapshot,
    names: Sequence[str],
    policy: Policy | None,
    holds: Path | None,
    progress: Progress | None,
) -> list[ScoreLine]:
    from steward.policy import default_policy
    from steward.scoring.staleness import read_holds, score_staleness

    in_force = policy if policy is not None else default_policy()
    listed = read_holds(holds)
    lines = []
    for name in names:
        summary = score_staleness(store, snapshot, name, in_force, holds=listed, progress=progress)
        lines.append(ScoreLine("stale", name, summary.records, summary.stale, summary.note))
    return lines


def _invalid(
    store: Workspace, snapshot: Snapshot, names: Sequence[str], folder: Path | None, engine: str, progress: Progress | None
) -> list[ScoreLine]:
    """Check suites: the team's own must fit to the last column; of those that ship, made for any CRM, what fits is taken."""
    from steward.scoring.validity import find_suite, fitting, score_validity

    mapping = store.mapping(snapshot)
    lines = []
    for name in names:
        suite = find_suite(folder or default_suites(), name, mapping)
        if suite is None:
            continue
        note = ""
        if folder is None:
            suite, missing = fitting(store, snapshot, suite)
            if missing:
                note = f"without the rules that ship for what this CRM does not have: {', '.join(missing)}"
            if not suite.expectations:
                lines.append(ScoreLine("invalid", name, snapshot.object(name).rows, None, note))
                continue
        summary = score_validity(store, snapshot, name, suite, engine=engine, progress=progress)
        lines.append(ScoreLine("invalid", name, summary.records, summary.failing, summary.note or note, summary.complete))
    return lines
