"""Notices of the executor: put into the outbox with the event that they tell of, sent afterwards, again until they are taken.

A notice is a row of the journal's ``outbox`` for each channel, written in the same commit as the event; a crash between the two
is impossible, and one while sending repeats at worst a notice, under the same id. A channel that fails is tried again after one,
three, seven … minutes, six hours at most, and holds up neither the others nor the run.

What is said: the manifest's id, what happened, counts. Never a record, a person or a value. Left to others: sending
(``steward.post``), settings (``steward.post_settings``), notices to the owners of records (``notices``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from steward.errors import StewardError
from steward.executor.journal import Journal
from steward.executor.words import said
from steward.messages import N_, _
from steward.post import Channel, Mailbox, Notice

KIND = "notice"
MAX_WAIT = timedelta(hours=6)
MOST_AT_ONCE = 200

SENTENCES = {
    "received": N_("The executor has begun with manifest {manifest}."),
    "restore": N_("The executor has begun to bring back what restore {manifest} names."),
    "resumed": N_("The executor goes on with manifest {manifest}."),
    "finished": N_("Manifest {manifest} has run to its end."),
    "vetoed": N_("Manifest {manifest} was vetoed; what was not done is not done."),
    "expired": N_("Manifest {manifest} has expired; what was not done is not done."),
    "stopped": N_("Manifest {manifest} has stopped ({why}). Run the same command again, or look first where a person must."),
    "objection": N_("The owner of some records of manifest {manifest} has objected; they stay."),
}
"""Event → sentence."""


def notice_of(event: str, manifest: str, counts: Mapping[str, int], *, mark: str, why: str = "") -> Notice:
    """Return the notice of an event.

    Parameters
    ----------
    counts : mapping of str to int
        State → records.
    mark : str
        Tells this event of the manifest from another of the same kind, e.g. its number in the audit log.
    why : str
        For ``stopped``: the kind of refusal.
    """
    sentence = _(SENTENCES[event]).format(manifest=manifest, why=why)
    lines = [sentence, "", *(f"  {said(state)}: {n:,}" for state, n in sorted(counts.items())), ""]
    if counts.get("partly"):
        lines += [_("Some records were done in part. What to do: steward-executor status."), ""]
    return Notice(
        id=f"{event}-{manifest}-{mark}",
        subject=sentence,
        text="\n".join(lines),
        document={"kind": event, "manifest": manifest, "counts": dict(sorted(counts.items())), **({"why": why} if why else {})},
    )


def channel_names(channels: Sequence[Channel]) -> dict[str, Channel]:
    """Return channels by a name that stays the same while the settings do; it holds no address and no secret."""
    named: dict[str, Channel] = {}
    for channel in channels:
        kind = "mail" if isinstance(channel, Mailbox) else channel.kind
        name, number = f"{kind}:{channel.host}", 1
        while name in named:
            number += 1
            name = f"{kind}:{channel.host}#{number}"
        named[name] = channel
    return named


class Outbox:
    """The outbox of one journal.

    Parameters
    ----------
    channels : sequence of Channel
        None means that nothing is queued and nothing is sent.
    """

    def __init__(self, journal: Journal, channels: Sequence[Channel]) -> None:
        self._journal = journal
        self._channels = channel_names(channels)

    def queue(self, notice: Notice, at: datetime) -> None:
        """Put a notice in, once for each channel; the caller holds the commit. The same notice again is nothing."""
        for name in self._channels:
            body = json.dumps(
                {
                    "channel": name,
                    "id": notice.id,
                    "subject": notice.subject,
                    "text": notice.text,
                    "document": dict(notice.document),
                },
                ensure_ascii=False,
            )
            self._journal.db.execute(
                "INSERT OR IGNORE INTO outbox(id, kind, body, at) VALUES (?,?,?,?)",
                (f"{KIND}:{name}:{notice.id}", KIND, body, at.isoformat()),
            )

    def deliver(self, now: datetime) -> int:
        """Send what is due; return how many still wait. No failure is raised: the next call tries again."""
        rows = self._journal.db.execute(
            "SELECT id, body, at, attempts FROM outbox WHERE kind=? AND sent IS NULL ORDER BY at, id", (KIND,)
        ).fetchall()
        waiting, tried = len(rows), 0
        down: set[str] = set()
        for id, body, at, attempts in rows:
            said: dict[str, Any] = json.loads(body)
            channel = self._channels.get(said["channel"])
            if channel is None or said["channel"] in down or not due(datetime.fromisoformat(at), attempts, now):
                continue
            if tried >= MOST_AT_ONCE:
                break
            tried += 1
            try:
                channel.send(Notice(said["id"], said["subject"], said["text"], said["document"]), now)
            except StewardError:
                down.add(said["channel"])  # what else is meant for it waits as well
                with self._journal.commit():
                    self._journal.db.execute("UPDATE outbox SET attempts=attempts+1 WHERE id=?", (id,))
                continue
            with self._journal.commit():
                self._journal.db.execute("UPDATE outbox SET sent=?, attempts=attempts+1 WHERE id=?", (now.isoformat(), id))
            waiting -= 1
        return waiting


def due(at: datetime, attempts: int, now: datetime) -> bool:
    """True where a notice that was put in at ``at`` may be tried once more."""
    return now >= at + sum((min(timedelta(minutes=2**k), MAX_WAIT) for k in range(min(attempts, 500))), timedelta())


def waiting(journal: Journal) -> int:
    """Return how many notices wait."""
    return int(journal.db.execute("SELECT count(*) FROM outbox WHERE kind=? AND sent IS NULL", (KIND,)).fetchall()[0][0])
