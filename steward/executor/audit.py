"""The audit log: chained events, a tree head over them, signed checkpoints.

Each event is canonical bytes ``e``; its hash is ``sha256(h_before ‖ e)``, and every ``e`` is a leaf of an RFC 6962
tree. A **checkpoint** is an in-toto statement of the executor over (size, last hash, tree head); it is kept in the
journal, in ``audit/checkpoints.ndjson`` and in every folder or address it is pushed to. The chain alone cannot show
that its end was cut off or that all of it was written anew; a checkpoint kept where the executor cannot write can.

Events hold ids, digests, states and counts, never a value. Left to others: when to log (``engine``, ``runner``),
delivery (``outbox``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from steward.errors import JournalCorruptError
from steward.executor.journal import Journal
from steward.manifest.codec import encode
from steward.manifest.format import CHECKPOINT_TYPE, Count, Doc, Hex, Name, Subject, Time
from steward.manifest.merkle import Accumulator, includes, inclusion_proof
from steward.messages import N_
from steward.signing.dsse import Signer
from steward.signing.statements import sign_statement

START = "0" * 64


class Checkpoint(Doc, frozen=True):
    """What the log was at one moment. ``root`` is the tree head over the first ``size`` events."""

    origin: Name
    size: Count
    head: Hex
    root: Hex
    trust_version: Count
    at: Time


def chain(before: str, body: str) -> str:
    """Return the hash of an event after ``before``."""
    return hashlib.sha256(bytes.fromhex(before) + body.encode()).hexdigest()


class AuditLog:
    """Appends events inside the caller's commit and signs checkpoints.

    Parameters
    ----------
    signer : Signer or None
        The executor's own key; None for reading alone.
    """

    def __init__(self, journal: Journal, signer: Signer | None, *, origin: str, trust_version: int = 0) -> None:
        self.journal = journal
        self._signer = signer
        self._origin = origin
        self._trust_version = trust_version
        self._tree = Accumulator()
        self._head = START
        self._load()

    def _load(self) -> None:
        """Take up the log where it ends; the peaks are kept with it so that a long log is not read whole."""
        start = 0
        saved = self.journal.get("audit.tree")
        if saved is not None:
            state = json.loads(saved)
            self._tree = Accumulator(state["size"], [bytes.fromhex(p) for p in state["peaks"]])
            self._head = state["head"]
            start = state["size"]
        for _, body, hash in self.journal.events(start):
            self._tree.append(body.encode())
            self._head = hash

    def reload(self) -> None:
        """Forget what a failed commit had appended."""
        self._tree, self._head = Accumulator(), START
        self._load()

    @property
    def size(self) -> int:
        """Number of events."""
        return self._tree.size

    def add(self, kind: str, at: datetime, **facts: object) -> None:
        """Append one event; the caller holds the commit."""
        body = encode({"at": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "event": kind, **facts}).decode()
        self._head = chain(self._head, body)
        self.journal.add_event(self._tree.size, body, self._head)
        self._tree.append(body.encode())

    def checkpoint(self, at: datetime) -> bytes:
        """Sign and keep a checkpoint over everything so far; the caller holds the commit."""
        if self._signer is None:
            raise ValueError("a log that is only read signs nothing")
        root = self._tree.root().hex()
        said = Checkpoint(
            origin=self._origin, size=self._tree.size, head=self._head, root=root,
            trust_version=self._trust_version, at=at.replace(microsecond=0),
        )  # fmt: skip
        subject = Subject(name="audit", digest={"sha256": root})
        envelope = sign_statement([self._signer], subject=[subject], predicate_type=CHECKPOINT_TYPE, predicate=said)
        self.journal.add_checkpoint(self._tree.size, envelope.decode())
        peaks = [p.hex() for p in self._tree.peaks]
        self.journal.put("audit.tree", json.dumps({"size": self._tree.size, "head": self._head, "peaks": peaks}))
        return envelope


@dataclass(frozen=True, slots=True)
class Checked:
    """What verifying a log found."""

    events: int
    head: str
    root: str
    checkpoints: int
    external: int


def verify_log(events: Iterable[tuple[int, str, str]], checkpoints: Sequence[Checkpoint], *, external: int = 0) -> Checked:
    """Check chain and tree against checkpoints whose signatures were verified.

    Parameters
    ----------
    checkpoints : sequence of Checkpoint
        From the journal and from outside; those from outside show a cut or rewritten log.

    Raises
    ------
    JournalCorruptError
        Names the first event that is wrong, or the checkpoint that the log does not reach.
    """
    wanted: dict[int, list[Checkpoint]] = {}
    for said in checkpoints:
        wanted.setdefault(said.size, []).append(said)
    tree, head = Accumulator(), START

    def compare() -> None:
        for said in wanted.pop(tree.size, ()):
            if said.head != head or said.root != tree.root().hex():
                raise _tampered(tree.size)

    compare()
    for n, body, hash in events:
        if n != tree.size or chain(head, body) != hash:
            raise _tampered(n)
        head = hash
        tree.append(body.encode())
        if tree.size in wanted:
            compare()
    if wanted:
        raise JournalCorruptError(
            N_("The audit log has {found} events; a signed checkpoint covers {said}."),
            next_step=N_("The end was cut off or an old copy was put back. Keep everything as it is and ask the auditor."),
            found=tree.size,
            said=max(wanted),
        )
    return Checked(tree.size, head, tree.root().hex(), len(checkpoints), external)


def _tampered(n: int) -> JournalCorruptError:
    return JournalCorruptError(
        N_("The audit log is not what was written: event {n} is wrong."),
        next_step=N_("Keep everything as it is and ask the auditor."),
        n=n,
    )


def event_lines(journal: Journal) -> Iterator[dict[str, Any]]:
    """Yield events as documents, with their number and hash."""
    for n, body, hash in journal.events():
        yield {"n": n, **json.loads(body), "hash": hash}


__all__ = ["AuditLog", "Checked", "Checkpoint", "chain", "event_lines", "includes", "inclusion_proof", "verify_log"]
