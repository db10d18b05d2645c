"""Words for states of items, and what a person does about records that were changed in part.

Left to others: showing them (``cli``, ``verbs``), finding them (``looking``).
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from steward.messages import N_, _
from steward.screen import Screen

STATE_WORDS = {
    "done": N_("done"), "done_inferred": N_("done (read back later)"), "drift": N_("changed since the review"),
    "missing": N_("not there"), "failed": N_("failed"), "veto": N_("vetoed"), "blocked": N_("blocked"),
    "held": N_("on the hold list"), "conflict": N_("conflict"), "pending": N_("open"), "intent": N_("sent, not settled"),
    "doubt": N_("in doubt"), "partly": N_("done in part"), "apply": N_("would be applied"), "vetoed": N_("vetoed"),
}  # fmt: skip
MANIFEST_WORDS = {
    "deletion": N_("deletion"), "restore": N_("restore"), "running": N_("not finished"), "finished": N_("finished"),
    "vetoed": N_("vetoed"), "expired": N_("expired"),
}  # fmt: skip
PARTLY = N_(
    "Done in part: {count} of the records of {manifest}. Some of their steps were made, the rest could not be made any more."
)
PARTLY_RUNNING = N_("When the run is finished a restore can bring them back as they were.")
PARTLY_RESTORE = N_("A restore brings them back as they were; then look at them, and propose anew what shall still go.")
PARTLY_OF_RESTORE = N_("Look at these records in the CRM, then run the restore once more: it goes on from what it finds.")


def said(state: str) -> str:
    """Return a state in words."""
    return _(STATE_WORDS.get(state, state))


def tell_partly(screen: Screen, home: Path, manifest: Mapping[str, Any]) -> None:
    """Show which records were changed in part, which of their steps were made, and what to do now.

    Parameters
    ----------
    manifest : mapping
        An entry of :func:`steward.executor.looking.status`.
    """
    partly: Sequence[Mapping[str, Any]] = manifest["partly"]
    if not partly:
        return
    screen.warn(PARTLY, count=manifest["partly_open"], manifest=manifest["id"])
    rows = [(p["seq"], p["record"], _steps(p["made"])) for p in partly]
    screen.table("", (N_("number"), N_("record"), N_("steps that were made")), rows)
    if manifest["state"] == "running":
        screen.say(PARTLY_RUNNING)
        return
    of = manifest["of"] or manifest["id"]
    numbers = " ".join(f"--seq {p['of_seq']}" for p in partly)
    screen.say(PARTLY_OF_RESTORE if manifest["kind"] == "restore" else PARTLY_RESTORE)
    screen.next(
        f"steward-executor restore {shlex.quote(str(home / 'receipts' / f'{of}.receipt.dsse.json'))} --home {shlex.quote(str(home))} "
        f"{numbers} --sign-with KEYFILE --identity FILE"
    )


def _steps(made: Sequence[str]) -> str:
    shown = "; ".join(made[:4])
    return shown if len(made) <= 4 else _("{steps}; {count} more").format(steps=shown, count=len(made) - 4)


__all__ = ["MANIFEST_WORDS", "STATE_WORDS", "said", "tell_partly"]
