"""``steward export keeps``: the keep list for the executor, from the decision log and the latest protections.

Left to others: its form (:mod:`steward.manifest.keeps`), reading it before every batch (the executor).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from steward.errors import UsageError
from steward.manifest.keeps import Keeps, keeps_of, write_keeps
from steward.manifest_files import write_file
from steward.messages import N_
from steward.policy import blocking
from steward.records import RecordKey
from steward.screen import Screen


def export_keeps(workspace: Path, to: Path, screen: Screen, *, log: str | None = None) -> int:
    """Write the keep list of a workspace; the file is there whole or not at all.

    Parameters
    ----------
    log : str or None
        Address of the decision log; by default the workspace's own.

    Raises
    ------
    UsageError
        There is no decision log.
    """
    from steward.store import Workspace
    from steward.store.decision_log import DecisionLog

    if log is None and not (workspace / "decisions.sqlite").exists():
        raise UsageError(N_("The workspace {folder} holds no decisions yet."), folder=workspace.name)
    with DecisionLog.open(log or workspace) as opened:
        decisions = opened.read()
    kept, length, going = keeps_of(decisions)
    actions = {d.key: d.action.value for d in decisions}
    with Workspace.open(workspace, read_only=True) as store:
        snapshot = store.snapshot(None)
        protected = store.protections(snapshot, sorted(going))
        for key, found in protected.items():
            action = actions.get(key, "delete")
            if blocking("soft_delete" if action == "delete" else action, found):
                kept.setdefault(key, "protected")
    entries: dict[RecordKey, str] = kept
    write_file(to, write_keeps(Keeps(snapshot.tenant, datetime.now(UTC), length, entries)))
    by_code: dict[str, int] = {}
    for code in entries.values():
        by_code[code] = by_code.get(code, 0) + 1
    screen.say(N_("Keep list {file}: {count} records must stay."), file=str(to), count=len(entries))
    screen.result({"what": "keeps", "rows": len(entries), "file": str(to), "codes": dict(sorted(by_code.items()))})
    return 0
