"""Decisions by a written rule, for the demo and for scheduled runs: the same entries, named as a rule's and never a person's.

A rules file is TOML that a steward can read aloud::

    format = "steward-rules/1"
    name = "clear-cases"

    [[rule]]
    kind = "duplicate"
    min_probability = 0.99
    action = "merge_into"
    reason = "Same person beyond doubt, and nothing protects the record."

The first rule that fits a case decides. A case with a protection, a refusal or a warning is left to people, as is one on
which anybody has decided. A person's decision always goes before a rule's (:func:`steward.decisions.fold`).

Left to others: what a rule's decision becomes (``steward.manifest``), the command (``steward.commands.decide``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import numpy as np

from steward.decisions import DecisionAction
from steward.errors import IncompleteSnapshotError, PolicyInvalidError
from steward.messages import N_
from steward.policy import Holds
from steward.records import Snapshot
from steward.review.cases import CaseState
from steward.review.intent import Intent
from steward.review.session import ReviewSession

if TYPE_CHECKING:
    from steward.store import Workspace
    from steward.store.decision_log import DecisionLog

FORMAT = "steward-rules/1"
CHUNK = 5_000

_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One rule: which cases, and what is decided.

    Attributes
    ----------
    kind : {'duplicate', 'stale', 'invalid'}
    object : str or None
        Only cases of this object.
    min_probability : float or None
        Required for ``duplicate``: every link of the cluster reaches it.
    min_score : float or None
        Required for ``stale``: in [0, 1].
    severity : str or None
        Required for ``invalid``: every failed expectation that counts has it.
    max_members : int
        Larger clusters are left to people.
    protections : {'none', 'policy'}
        ``none`` leaves every protected record to people; ``policy`` only those whose protection stops the action.
    reason : str
        Stands in the log with each decision.
    """

    kind: Literal["duplicate", "stale", "invalid"]
    action: Literal["merge_into", "delete", "anonymise", "keep", "escalate"]
    object: str | None = None
    min_probability: _Share | None = None
    min_score: _Share | None = None
    severity: Literal["delete_candidate", "fix", "warn"] | None = None
    max_members: Annotated[int, msgspec.Meta(ge=1, le=50)] = 5
    protections: Literal["none", "policy"] = "none"
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)] = "by rule"


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rules file."""

    format: str
    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{0,62}\Z")]
    rule: Annotated[tuple[Rule, ...], msgspec.Meta(min_length=1)]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the rules decided.

    Attributes
    ----------
    decided : mapping of (kind, action) to int
        Records; members kept as survivors are not counted.
    cases : int
    left : mapping of str to int
        Why cases that a rule fitted were left to people → how many.
    """

    reviewer: str
    decided: Mapping[tuple[str, str], int]
    cases: int
    left: Mapping[str, int]


def parse_rules(text: str, *, where: str = "rules") -> Rules:
    """Read a rules file's text.

    Raises
    ------
    PolicyInvalidError
        Not TOML, an unknown word, no rule, or a rule without the bound its kind needs.
    """

    def refuse(template: str, /, **facts: object) -> PolicyInvalidError:
        return PolicyInvalidError(
            template,
            next_step=N_("Mend the file; docs/how-to/review.md shows one."),
            **({"where": where} | facts),
        )

    try:
        rules = msgspec.toml.decode(text, type=Rules, strict=True)
    except (msgspec.MsgspecError, ValueError) as error:
        raise refuse(N_("The rules {where} cannot be used: {problem}"), problem=str(error)) from None
    if rules.format != FORMAT:
        raise refuse(
            N_("The rules {where} say format {format}; this version reads {known}."), format=rules.format, known=FORMAT
        )
    for n, rule in enumerate(rules.rule, 1):
        needed = {"duplicate": "min_probability", "stale": "min_score", "invalid": "severity"}[rule.kind]
        if getattr(rule, needed) is None:
            raise refuse(N_("Rule {n} of {where} needs {word}: without a bound it would fit every case."), n=n, word=needed)
        if any(v is not None and not math.isfinite(v) for v in (rule.min_probability, rule.min_score)):
            raise refuse(N_("Rule {n} of {where}: a bound is a number from 0 to 1."), n=n)
        if rule.action == "merge_into" and rule.kind != "duplicate":
            raise refuse(N_("Rule {n} of {where}: only duplicates can be merged."), n=n)
    return rules


def default_rules() -> Rules:
    """Return the rules that ship with steward."""
    shipped = Path(__file__).with_name("default_rules.toml")
    return parse_rules(shipped.read_text(encoding="utf-8"), where=shipped.name)


def decide_by_rule(
    ws: Workspace,
    snapshot: Snapshot,
    log: DecisionLog,
    rules: Rules,
    *,
    now: datetime,
    holds: Holds | None = None,
    progress: Callable[[int], None] | None = None,
) -> Outcome:
    """Decide on every open case that a rule fits; each batch is on disk before the next begins.

    Parameters
    ----------
    now : datetime
        Time of the decisions, UTC.
    holds : Holds, optional
        A hold list as it is today; its records are left alone beside those that scoring found protected.
    progress : callable, optional
        Called with the number of cases done since the last call.

    Raises
    ------
    IncompleteSnapshotError
        A scoring that a rule rests on did not run whole. Where protections were not computed at all (``steward score``
        without ``stale``), cases are left to people: what is not known protects.
    """
    session = ReviewSession(ws, snapshot, log, f"rule:{rules.name}", now=lambda: now, holds=holds)
    decided: dict[tuple[str, str], int] = {}
    left: dict[str, int] = {}
    cases = 0
    try:
        unknown = _without_protections(ws, snapshot, rules, session)
        taken = np.zeros(len(session.index), dtype=bool)
        for rule in rules.rule:
            fits = _fitting(ws, snapshot, session, rule) & ~taken
            taken |= fits
            if rule.action in ("merge_into", "delete", "anonymise"):
                for name in unknown:
                    here = fits & session.index.of_object(name)
                    if here.any():
                        left["protections_unknown"] = left.get("protections_unknown", 0) + int(here.sum())
                        fits = fits & ~here
            places = np.flatnonzero(fits & (session.index.state == CaseState.OPEN))
            for start in range(0, len(places), CHUNK):
                chunk = [int(p) for p in places[start : start + CHUNK]]
                bulk = session.plan_bulk_places(Intent(DecisionAction(rule.action), reason=rule.reason), chunk)
                for _, concern in bulk.left_out:
                    why = str(concern.facts.get("code") or "warning")
                    left[why] = left.get(why, 0) + 1
                if bulk.made:
                    session.decide_bulk(bulk, bulk.records)
                    decided[rule.kind, rule.action] = decided.get((rule.kind, rule.action), 0) + bulk.records
                    cases += bulk.cases
                if progress:
                    progress(len(chunk))
    finally:
        session.close()
    return Outcome(session.reviewer, decided, cases, left)


def _without_protections(ws: Workspace, snapshot: Snapshot, rules: Rules, session: ReviewSession) -> frozenset[str]:
    """Return the objects for which nobody computed what protects a record: rules leave them to people.

    Raises
    ------
    IncompleteSnapshotError
        A scoring that a rule rests on did not run whole.
    """
    unknown: set[str] = set()
    runs = {(r["kind"], r["object"]): bool(r["complete"]) for r in ws.runs(snapshot)}
    for rule in rules.rule:
        if rule.action not in ("merge_into", "delete", "anonymise"):
            continue
        for name in [rule.object] if rule.object else session.index.objects_of(rule.kind):
            if ("stale", name) not in runs:  # the scoring of staleness computes protections
                unknown.add(name)
            for kind in (rule.kind, "stale"):
                if not runs.get((kind, name), kind == "stale"):
                    raise IncompleteSnapshotError(
                        N_(
                            "A rule would take away {object} records, but {kind} of {object} was not scored completely; no rule decides then."
                        ),
                        next_step=N_("Run steward score again, with every kind."),
                        object=name,
                        kind=kind,
                    )
    return frozenset(unknown)


def _fitting(
    ws: Workspace, snapshot: Snapshot, session: ReviewSession, rule: Rule
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    index = session.index
    fits: np.ndarray[tuple[int], np.dtype[np.bool_]] = index.of_kind(rule.kind) & (index.size <= rule.max_members)
    if rule.protections == "none":
        fits = fits & ~index.protected
    if rule.object:
        fits = fits & index.of_object(rule.object)
    bound = rule.min_probability if rule.kind == "duplicate" else rule.min_score
    if bound is not None:
        fits = fits & (index.score >= bound)
    if rule.kind == "duplicate":
        fits = fits & index.linked_from(rule.min_probability or 1.0)
    if rule.severity is not None:
        fits = fits & index.with_severity(rule.severity)
    return fits
