"""A summary as the page shows it: sentences and tables in the language in force, for a front that only paints.

Strings of the manifest stay as they are; the front writes them as text and as nothing else. Left to others: what is in a
summary (``steward.signing.summary``), the same on a terminal (``steward.commands._show``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from steward.errors import StewardError
from steward.manifest.format import Item
from steward.messages import N_, _, ngettext
from steward.review.numbers import amount, decimal, number
from steward.signing.summary import Difference, Summary

Section = dict[str, Any]

ACTIONS = {
    "soft_delete": N_("delete (recycle bin)"),
    "hard_delete": N_("delete for good"),
    "merge_into": N_("merge into"),
    "anonymise": N_("anonymise"),
    "deactivate_user": N_("deactivate"),
    "reassign": N_("reassign to"),
}
SEATS = {"steward": N_("steward"), "privacy": N_("privacy"), "owner": N_("owner"), "analyst": N_("analyst")}
MOST_HELD = 1_000
"""Records that were held back and are listed one by one."""


def sections(found: Summary, plan_problem: StewardError | None) -> list[Section]:
    """Return everything a person is shown before signing, in the order of the page."""
    out = [_does(found), _since(found.since_last), _plan(found, plan_problem)]
    columns = (_("record"), _("action"), _("score"), _("reasons"), _("hangs on it"), _("reviewer"))
    right = (2,)
    risky = [row(i) for i in found.riskiest]
    out.append(_section(_("The {n} riskiest").format(n=number(len(risky))), columns, risky, right=right,
                        note=_("Ordered by action, then by what hangs on the record, then by how weak the evidence is.")))  # fmt: skip
    if found.sample:
        sample = [row(i) for i in found.sample]
        out.append(_section(_("{n} at random").format(n=number(len(sample))), columns, sample, right=right))
    out.append(_held(found))
    out.append(_seats(found))
    return out


def facts(found: Summary) -> list[list[str]]:
    """Return what names the manifest, as pairs of word and value."""
    return [
        [_("for"), f"{found.tenant} / {found.system} / {found.environment}"],
        [_("proposed"), _("{person}, {time}").format(person=found.proposer, time=when(found.created_at))],
        [_("runs"), _("from {start} until {end}").format(start=when(found.not_before), end=when(found.expires_at))],
        [
            _("reviewed on"),
            _("snapshot {digest} of {time}").format(digest=found.snapshot[:16], time=when(found.snapshot_taken)),
        ],
        [_("digest that is signed"), found.digest],
    ]


def when(time: datetime) -> str:
    """Return a time to the minute, in UTC."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def row(item: Item) -> list[str]:
    """One item as cells."""
    action = _(ACTIONS[item.action]) + ("" if item.target is None else f" {item.target}")
    hangs = ", ".join(f"{number(r.count)} {r.object} → {r.rule}" for r in item.related)
    return [
        str(item.key),
        action,
        decimal(item.score / 10_000, 2) if item.score else "–",
        ", ".join(item.reasons[:3]),
        hangs or "–",
        item.reviewer,
    ]


def _section(
    title: str,
    columns: Sequence[str] = (),
    rows: Sequence[Sequence[str]] = (),
    *,
    says: Sequence[str] = (),
    note: str = "",
    right: Sequence[int] = (),
    hot: bool = False,
    folded: str = "",
) -> Section:
    return {"title": title, "says": list(says), "columns": list(columns), "rows": [list(r) for r in rows], "note": note,
            "right": list(right), "hot": hot, "folded": folded}  # fmt: skip


def _does(found: Summary) -> Section:
    says = [
        _("Value at stake: {amount} in {hanging} records that hang on these.").format(
            amount=amount(Decimal(found.stake.amount)), hanging=number(found.stake.hanging)
        )
        if found.stake is not None
        else _("Value at stake is not known here: the snapshot is not in this workspace.")
    ]
    if found.side_effects:
        says.append(
            _("Side effects of the CRM stay on: {switches}. Workflows, mails and webhooks may run for every record.").format(
                switches=", ".join(found.side_effects)
            )
        )
    rows = [
        [
            line.object, _(ACTIONS[line.action]), number(line.records), "–" if line.share is None else decimal(line.share, 2) + " %",
            "↺ " + _("can be undone") if line.reversible else "⊗ " + _("for good"),
        ]
        for line in found.lines
    ]  # fmt: skip
    columns = (_("object"), _("action"), _("records"), _("of object"), _("restore"))
    return _section(_("What it does"), columns, rows, says=says, right=(2, 3))


def _since(found: Difference | None) -> Section:
    title = _("Difference to the last manifest")
    if found is None:
        return _section(title, says=[_("There is no earlier manifest beside this one to compare with.")])
    signed = (
        _("its signatures cannot be checked any more") if found.signed_by is None
        else _("signed by {people}").format(people=", ".join(found.signed_by)) if found.signed_by
        else _("never approved")
    )  # fmt: skip
    says = [
        _("Last: {id} of {day}, {signed}.").format(id=found.manifest_id, day=f"{found.created_at:%Y-%m-%d}", signed=signed),
        _(
            "{new} records are new, {gone} are not in it any more, {changed} have another action or target, {same} are the same."
        ).format(new=number(found.new), gone=number(found.gone), changed=number(found.changed), same=number(found.same)),
    ]
    rows = []
    for kind, (then, now) in found.kinds.items():
        object, action = kind.split("/", 1)
        change = now - then
        rows.append(
            [
                object,
                _(ACTIONS.get(action, action)),
                number(then),
                number(now),
                ("+" if change > 0 else "−" if change < 0 else "±") + number(abs(change)),
            ]
        )
    return _section(title, (_("object"), _("action"), _("then"), _("now"), _("difference")), rows, says=says, right=(2, 3, 4))


def _plan(found: Summary, problem: StewardError | None) -> Section:
    title = _("What the executor found")
    if problem is not None:
        return _section(
            title, says=[_("The plan beside the manifest does not hold: {problem}").format(problem=problem.render(_))], hot=True
        )
    if found.plan is None:
        return _section(title, says=[_("The executor has not planned it yet; what the records are now is not known here.")])
    plan = found.plan
    says = [
        _("The executor {executor} read the records at {at}: {applies} of {records} would be applied.").format(
            executor=plan.executor, at=when(plan.at), applies=number(plan.applies), records=number(plan.records)
        )
    ]
    rows = [[state, number(n)] for state, n in plan.stays.items()]
    return _section(title, (_("would stay, because"), _("records")) if rows else (), rows, says=says, right=(1,))


def _held(found: Summary) -> Section:
    n = sum(found.held_back.values())
    says = [
        ngettext("{n} record was decided on and is held back.", "{n} records were decided on and are held back.", n).format(
            n=number(n)
        )
        if n
        else _("Nothing was held back.")
    ]
    by_code = ", ".join(f"{code}: {number(count)}" for code, count in found.held_back.items())
    rows = [[f"{o}/{i}", code] for o, i, code in found.held_records[:MOST_HELD]]
    note = _("The list shows the first {n}.").format(n=number(MOST_HELD)) if len(found.held_records) > MOST_HELD else ""
    return _section(_("Held back"), (_("record"), _("reason")) if rows else (), rows, says=[*says, *([by_code] if by_code else [])],
                    note=note, folded=_("Show the list") if rows else "")  # fmt: skip


def _seats(found: Summary) -> Section:
    says = [_("Signed by: {people}.").format(people=", ".join(found.signed_by) or _("nobody"))]
    rows = []
    for object, seats in found.needed.items():
        lacking = found.missing[object]
        rows.append(
            [object, ", ".join(_(SEATS.get(s, s)) for s in seats),
             "✓ " + _("complete") if not lacking else "… " + ", ".join(_(SEATS.get(s, s)) for s in lacking)]
        )  # fmt: skip
    if not found.complete:
        says.append(_("They must have signed by {end}. Who has not signed has not agreed.").format(end=when(found.expires_at)))
    return _section(
        _("Who has signed, and who must still sign"), (_("object"), _("needed"), _("still missing")), rows, says=says
    )
