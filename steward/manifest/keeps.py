"""The keep list: what people decided, or learned, after a manifest was signed, for the executor to read again at work.

A manifest may wait for days between signature and execution. In that time reviewers change their minds, conflicts come
up, a record turns out to be protected. The list says for each such record that it must stay, and why by code. It is text::

    # steward-keeps/1
    # tenant acme
    # at 2026-11-25T14:00:00Z
    # decisions 812
    contact/4711<TAB>keep
    # end 1 <sha256 of everything above>

Sorted, one record a line, no value of a record. The last line makes a cut or edited list no list. Left to others: reading
the decision log (``steward export keeps``), where the list lies and when it is read (``steward.executor.gates``).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from steward.decisions import DESTRUCTIVE, Decision, DecisionAction, fold
from steward.errors import PolicyInvalidError
from steward.messages import N_
from steward.records import RecordKey

FORMAT = "steward-keeps/1"
KEPT = ("keep", "not_duplicate", "defer", "escalate", "conflict", "withdrawn", "protected")
"""Codes: what stands instead of a destructive decision, two reviewers who disagree, an undone decision, a protection."""

_HEAD = re.compile(
    r"# steward-keeps/1\n# tenant (?P<tenant>[^\n]{1,200})\n# at (?P<at>[0-9TZ:-]{20})\n# decisions (?P<decisions>[0-9]{1,15})\n"
)
_LINE = re.compile(r"(?P<object>[a-z][a-z0-9_]{0,62})/(?P<id>[^\t\n]{1,255})\t(?P<code>[a-z_]+)")
_END = re.compile(r"# end (?P<count>[0-9]{1,12}) (?P<sha256>[0-9a-f]{64})\n")


@dataclass(frozen=True, slots=True)
class Keeps:
    """A keep list.

    Attributes
    ----------
    tenant : str
    at : datetime
        UTC, when it was written.
    decisions : int
        Entries of the decision log it was made from.
    entries : mapping of RecordKey to str
        Key → code, one of :data:`KEPT`.
    """

    tenant: str
    at: datetime
    decisions: int
    entries: Mapping[RecordKey, str]


def keeps_of(log: Iterable[Decision]) -> tuple[dict[RecordKey, str], int, frozenset[RecordKey]]:
    """Return what a decision log keeps, its length, and the keys that stand to be changed.

    Whatever was ever decided on and does not stand as a destructive decision now must stay: kept, deferred, escalated,
    told apart, in conflict, or undone.
    """
    entries = list(log)
    standing = fold(entries)
    kept: dict[RecordKey, str] = {}
    contested = {c.key for c in standing.conflicts}
    for entry in entries:
        key = entry.key
        now = standing.by_key.get(key)
        if key in contested:
            kept[key] = "conflict"
        elif now is None:
            if entry.action in DESTRUCTIVE:
                kept[key] = "withdrawn"
        elif now.action not in DESTRUCTIVE and now.action is not DecisionAction.COMMENT:
            kept[key] = now.action.value
    going = frozenset(d.key for d in standing.destructive())
    return kept, len(entries), going


def write_keeps(keeps: Keeps) -> bytes:
    """Return the list's bytes.

    Raises
    ------
    ValueError
        A code or id that the format does not hold.
    """
    lines = [
        f"# {FORMAT}\n# tenant {keeps.tenant}\n# at {keeps.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}\n# decisions {keeps.decisions}\n"
    ]
    for key, code in sorted(keeps.entries.items()):
        line = f"{key}\t{code}"
        if code not in KEPT or not _LINE.fullmatch(line):
            raise ValueError("not an entry of a keep list")
        lines.append(line + "\n")
    body = "".join(lines).encode()
    return body + f"# end {len(keeps.entries)} {hashlib.sha256(body).hexdigest()}\n".encode()


def read_keeps(raw: bytes, *, tenant: str, where: str = "keeps") -> Keeps:
    """Read a keep list.

    Parameters
    ----------
    tenant : str
        Whose it must be.
    where : str
        Its name, for the refusal.

    Raises
    ------
    PolicyInvalidError
        Cut, edited, of another tenant, or not a keep list: then everything must stay.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise _refused(where, "UTF-8") from None
    head = _HEAD.match(text)
    at_end = text.rfind("\n# end ") + 1
    end = _END.fullmatch(text, at_end) if at_end else None
    if head is None or end is None:
        raise _refused(where, "head or end")
    body = text[:at_end]
    if hashlib.sha256(body.encode()).hexdigest() != end["sha256"]:
        raise _refused(where, "digest")
    if head["tenant"] != tenant:
        raise _refused(where, "tenant")
    entries: dict[RecordKey, str] = {}
    for line in body[head.end() :].split("\n")[:-1]:
        found = _LINE.fullmatch(line)
        if found is None or found["code"] not in KEPT:
            raise _refused(where, "line")
        entries[RecordKey(found["object"], found["id"])] = found["code"]
    if len(entries) != int(end["count"]):
        raise _refused(where, "count")
    try:
        at = datetime.strptime(head["at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise _refused(where, "time") from None
    return Keeps(tenant, at, int(head["decisions"]), entries)


def _refused(where: str, problem: str) -> PolicyInvalidError:
    return PolicyInvalidError(
        N_("The keep list {where} cannot be used ({problem}), so everything must stay."),
        next_step=N_("Write it anew: steward export keeps --to FILE --workspace W."),
        where=where,
        problem=problem,
    )


__all__ = ["FORMAT", "KEPT", "Keeps", "keeps_of", "read_keeps", "write_keeps"]
