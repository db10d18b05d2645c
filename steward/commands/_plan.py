"""Showing what a scoring run is about to do: fields, rules with pairs and cost, what was left out and why.

Left to others: making the plan (``steward.scoring.duplicates.plan``), the verbs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from steward.messages import N_, _
from steward.screen import Screen

if TYPE_CHECKING:
    from steward.scoring.duplicates.plan import Plan
    from steward.scoring.duplicates.splink_import import Finding

SHOWN = 30


def show_plan(screen: Screen, plan: Plan) -> None:
    """Print a plan before it runs."""
    screen.heading(
        N_("{object}: {records} records, duplicates looked for by what is found in the data")
        if plan.proposed
        else N_("{object}: {records} records, duplicates looked for by the definition given"),
        object=plan.object,
        records=f"{plan.records:,}",
    )
    if not plan.fields:
        screen.say(N_("No column says who a customer is; nothing is compared."))
    else:
        screen.table(
            N_("Compared"),
            (N_("field"), N_("as"), N_("columns"), N_("why")),
            [(f.name, f.kind, ", ".join(f.columns), f.reason) for f in plan.fields],
        )
    if plan.rules:
        screen.table(
            N_("Blocking rules, counted before they run"),
            (N_("records that share"), N_("pairs"), N_("about"), N_("largest block"), N_("records left out")),
            [(r.rule, r.pairs, duration(r.seconds), r.largest, r.records_left_out) for r in plan.rules],
        )
        screen.say(
            N_("{pairs} pairs at most; time on one core: {time}."),
            pairs=f"{plan.pairs:,}",
            time=duration(sum(r.seconds for r in plan.rules)),
        )
    if plan.left_out:
        names = {"column": _("column"), "rule": _("rule")}
        screen.table(
            N_("Left out"),
            (N_("what"), N_("name"), N_("why"), N_("pairs")),
            [(names[x.what], x.name, x.reason, "" if x.pairs is None else f"{x.pairs:,}") for x in plan.left_out[:SHOWN]],
        )
        if len(plan.left_out) > SHOWN:
            screen.say(N_("{more} more; --json lists all."), more=len(plan.left_out) - SHOWN)
    if plan.trained:
        screen.say(N_("The definition holds its weights; nothing is estimated."))


def duration(seconds: float) -> str:
    """Return a duration as an order of magnitude."""
    if seconds < 1:
        return _("under 1 s")
    return f"{seconds:,.0f} s" if seconds < 120 else f"{seconds / 60:,.0f} min"


def show_findings(screen: Screen, file: str, findings: Sequence[Finding]) -> None:
    """Print what is not the same here as in a Splink file, losses first."""
    if not findings:
        return
    screen.table(
        N_("What is not the same here as in Splink"),
        (N_("where"), N_("what"), N_("loss")),
        [(f.where, f.what, _("yes") if f.loss else _("no")) for f in sorted(findings, key=lambda f: not f.loss)],
    )
    losses = sum(f.loss for f in findings)
    if losses:
        screen.warn(N_("{file}: {losses} losses; weights or pairs differ from Splink's there."), file=file, losses=losses)


def plan_document(plan: Plan) -> dict[str, Any]:
    """Return a plan for machines."""
    from dataclasses import asdict

    return {**asdict(plan), "pairs": plan.pairs}
