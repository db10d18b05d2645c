"""Rendering the summary of a manifest on a terminal.

Nothing shown comes from anywhere but bytes that were just checked (``steward.signing.summary``). Left to others: the verbs.
"""

from __future__ import annotations

from steward.errors import StewardError
from steward.manifest.format import Item
from steward.messages import N_, _
from steward.screen import Screen
from steward.signing.summary import SHOWN, Difference, PlanDifference, Summary

__all__ = ["SHOWN", "row", "show"]

_COLUMNS = (N_("seq"), N_("record"), N_("action"), N_("score"), N_("reasons"), N_("hangs on it"), N_("reviewer"))


def row(item: Item) -> tuple[object, ...]:
    """One item as cells."""
    hangs = ", ".join(f"{r.count} {r.object} → {r.rule}" for r in item.related)
    target = "" if item.target is None else f" → {item.target}"
    return (
        item.seq,
        str(item.key),
        item.action + target,
        f"{item.score / 10_000:.2f}",
        ", ".join(item.reasons[:3]),
        hangs or "–",
        item.reviewer,
    )


def show(screen: Screen, summary: Summary, plan_problem: StewardError | None = None) -> None:
    """Render a summary."""
    screen.heading(
        N_("Manifest {id} for {tenant} / {system} / {environment}"),
        id=summary.manifest_id,
        tenant=summary.tenant,
        system=summary.system,
        environment=summary.environment,
    )
    screen.say(
        N_("{records} records. Proposed by {person} on {day}; runs from {start} until {end}."),
        records=summary.records,
        person=summary.proposer,
        day=summary.created_at.date(),
        start=summary.not_before.isoformat(),
        end=summary.expires_at.isoformat(),
    )
    screen.say(
        N_("Reviewed on snapshot {digest} of {taken}. Digest that is signed: {signed}"),
        digest=summary.snapshot[:16],
        taken=summary.snapshot_taken.isoformat(),
        signed=summary.digest,
    )
    screen.table(
        N_("What it does"),
        (N_("object"), N_("action"), N_("records"), N_("of object"), N_("restore")),
        [
            (
                line.object,
                line.action,
                line.records,
                "–" if line.share is None else f"{line.share:.2f} %",
                _("can be undone") if line.reversible else _("for good"),
            )
            for line in summary.lines
        ],
    )
    if summary.stake is not None:
        screen.say(
            N_("Value at stake: {amount} in {hanging} records that hang on these."),
            amount=summary.stake.amount,
            hanging=summary.stake.hanging,
        )
    else:
        screen.say(N_("Value at stake is not known here: the snapshot is not in this workspace."))
    if summary.side_effects:
        screen.say(
            N_("Side effects of the CRM stay on: {switches}. Workflows, mails and webhooks may run for every record."),
            switches=", ".join(summary.side_effects),
        )
    screen.table(N_("The riskiest"), _COLUMNS, [row(i) for i in summary.riskiest])
    if summary.sample:
        screen.table(N_("Some at random"), _COLUMNS, [row(i) for i in summary.sample])
    if summary.held_back:
        screen.table(N_("Held back"), (N_("reason"), N_("records")), list(summary.held_back.items()))
    _show_difference(screen, summary.since_last)
    _show_plan(screen, summary.plan, plan_problem)
    screen.say(N_("Signed by: {people}."), people=", ".join(summary.signed_by) or _("nobody"))
    for object, seats in summary.needed.items():
        lacking = summary.missing[object]
        screen.say(
            N_("{object} needs {seats}; {state}."),
            object=object,
            seats=", ".join(seats),
            state=_("complete") if not lacking else _("missing: ") + ", ".join(lacking),
        )
    if not summary.complete:
        screen.say(N_("They must have signed by {end}. Who has not signed has not agreed."), end=summary.expires_at.isoformat())


def _show_difference(screen: Screen, found: Difference | None) -> None:
    if found is None:
        screen.say(N_("There is no earlier manifest beside this one to compare with."))
        return
    if found.signed_by is None:
        signed = _("its signatures cannot be checked any more")
    elif found.signed_by:
        signed = _("signed by {people}").format(people=", ".join(found.signed_by))
    else:
        signed = _("never approved")
    screen.say(
        N_("Since the last manifest ({id} of {day}, {signed}): {new} records are new, {gone} are not in it any more, "
           "{changed} have another action or target, {same} are the same."),
        id=found.manifest_id, day=found.created_at.date(), signed=signed,
        new=found.new, gone=found.gone, changed=found.changed, same=found.same,
    )  # fmt: skip
    rows = []
    for kind, (then, now) in found.kinds.items():
        object, action = kind.split("/", 1)
        rows.append((object, action, then, now, f"{now - then:+d}"))
    screen.table(N_("Beside the last manifest"), (N_("object"), N_("action"), N_("then"), N_("now"), N_("difference")), rows)
    if found.new and found.same + found.changed:
        screen.table(N_("New since then"), _COLUMNS, [row(i) for i in found.new_items])


def _show_plan(screen: Screen, plan: PlanDifference | None, problem: StewardError | None) -> None:
    if problem is not None:
        screen.warn(N_("The plan beside the manifest does not hold: {problem}"), problem=problem.render(_))
        return
    if plan is None:
        screen.say(N_("The executor has not planned it yet; what the records are now is not known here."))
        return
    screen.say(
        N_("The executor {executor} read the records at {at}: {applies} of {records} would be applied."),
        executor=plan.executor,
        at=plan.at.isoformat(),
        applies=plan.applies,
        records=plan.records,
    )
    if plan.seconds:
        screen.say(
            N_("It would take some {seconds} seconds and {requests} calls to the CRM."),
            seconds=plan.seconds,
            requests=plan.requests,
        )
    if plan.stays:
        screen.table(N_("What would stay"), (N_("state"), N_("records")), list(plan.stays.items()))
    if plan.related:
        screen.table(N_("What hangs on them now"), (N_("field and rule"), N_("records")), list(plan.related.items()))
