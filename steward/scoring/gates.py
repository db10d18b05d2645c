"""Gates before drafting: why nothing may be deleted from a snapshot as it stands. An empty answer opens the gate.

Left to others: per-record protections (``staleness``), limits and approvals (``steward.policy``, ``steward.signing``).
"""

from __future__ import annotations

from datetime import datetime

from steward.messages import N_
from steward.policy import Policy, Reason, hundredths, too_old
from steward.records import Snapshot
from steward.scoring.relations import earlier_snapshots
from steward.store import Workspace


def gates(ws: Workspace, snapshot: Snapshot, policy: Policy, *, now: datetime | None = None) -> list[Reason]:
    """Return every reason why a manifest may not be drafted from a snapshot.

    Parameters
    ----------
    now : datetime, optional
        Aware; where given, the age of the snapshot is judged as well.

    Notes
    -----
    Refused: rejected lines, a read that may be partial, a scoring that raised or disagreed with its oracle, an object
    without its protections, an object that shrank by more than ``snapshot.max_shrink_percent`` since the snapshot before
    (the sign of a broken export, not of a tidy CRM), a snapshot that is too old.
    """
    reasons: list[Reason] = []
    for stats in snapshot.objects:
        if stats.rejects:
            reasons.append(
                Reason("unresolved_rejects", N_("{n} lines of {object} could not be read and are not resolved."), {"n": stats.rejects, "object": stats.name})
            )  # fmt: skip
    if not snapshot.complete and not reasons:
        reasons.append(Reason("incomplete_snapshot", N_("The snapshot may not hold everything."), {}))
    runs = ws.runs(snapshot)
    for run in runs:
        if not run["complete"]:
            reasons.append(
                Reason("incomplete_run", N_("The scoring {kind} of {object} did not run whole."), {"kind": run["kind"], "object": run["object"]})
            )  # fmt: skip
        if run["kind"] == "stale" and run["definition_digest"] != policy.digest:
            reasons.append(
                Reason("other_policy", N_("The protections of {object} were computed under another policy."), {"object": run["object"]})
            )  # fmt: skip
    protected = {run["object"] for run in runs if run["kind"] == "stale"}
    for name in sorted({run["object"] for run in runs if run["kind"] != "invalid"} - protected):
        reasons.append(Reason("no_protections", N_("The protections of {object} were not computed."), {"object": name}))
    before = _before(ws, snapshot)
    if before is not None:
        old = {o.name: o.rows for o in before.objects}
        for stats in snapshot.objects:
            was = old.get(stats.name, 0)
            if (was - stats.rows) * 10_000 > was * hundredths(policy.snapshot.max_shrink_percent):
                reasons.append(
                    Reason("shrunk", N_("{object} has {n} records, and the snapshot before had {was}."), {"object": stats.name, "n": stats.rows, "was": was})
                )  # fmt: skip
        for name in sorted(set(old) - {o.name for o in snapshot.objects}):
            reasons.append(Reason("object_gone", N_("The snapshot before had an object {object}, and this one has not."), {"object": name}))  # fmt: skip
    if now is not None:
        aged = too_old(snapshot.taken_at, now, policy.snapshot)
        if aged is not None:
            reasons.append(aged)
    return reasons


def _before(ws: Workspace, snapshot: Snapshot) -> Snapshot | None:
    """The newest earlier snapshot of the same source."""
    earlier = earlier_snapshots(ws, snapshot)
    return earlier[-1] if earlier else None
