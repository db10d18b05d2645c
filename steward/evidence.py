"""Evidence: why a record is proposed, in numbers, in a sentence and in the values compared.

Evidence is a machine's opinion. What a person makes of it is a decision (``steward.decisions``), and what will happen
is a manifest item (``steward.manifest``). The three are never mixed.

Left to others: computing it (``steward.scoring``), keeping it (``steward.store``), showing it (``steward.review``).
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Literal

from steward.records import RecordKey

EvidenceKind = Literal["duplicate", "stale", "invalid"]
Agreement = Literal["agree", "partly", "disagree", "missing"]


@dataclass(frozen=True, slots=True, order=True)
class CandidatePair:
    """Two records of one object worth comparing, each pair once: ``left.id < right.id``.

    Attributes
    ----------
    rule : str
        Name of the blocking rule that found the pair first.
    """

    left: RecordKey
    right: RecordKey
    rule: str = ""

    def __post_init__(self) -> None:
        if not self.left < self.right:
            raise ValueError("a pair is stored once, with left < right")


@dataclass(frozen=True, slots=True)
class MatchWeight:
    """What one field says about a pair.

    Attributes
    ----------
    field : str
    agreement : {'agree', 'partly', 'disagree', 'missing'}
        ``missing`` is its own state: absence of data is never evidence against or for a match.
    level : str
        Name of the comparison level reached, e.g. ``exact``, ``jaro-winkler >= 0.92``.
    bits : float
        log2 of the Bayes factor m/u of the level; 0 for missing.
    left, right : str or None
        The values compared, as the snapshot holds them.
    """

    field: str
    agreement: Agreement
    level: str
    bits: float
    left: str | None
    right: str | None


@dataclass(frozen=True, slots=True)
class ComparisonVector:
    """A scored pair.

    Attributes
    ----------
    prior_bits : float
        log2 of the prior odds that two random records are the same.
    weights : tuple of MatchWeight
        In the order of the linkage definition.
    """

    pair: CandidatePair
    prior_bits: float
    weights: tuple[MatchWeight, ...]

    @property
    def match_weight(self) -> float:
        """Sum in bits: prior and fields."""
        return self.prior_bits + sum(w.bits for w in self.weights)

    @property
    def probability(self) -> float:
        """Match probability in [0, 1]: the odds ``2**match_weight`` as a probability."""
        weight = max(-1000.0, min(1000.0, self.match_weight))
        return 1.0 / (1.0 + math.exp2(-weight))


@dataclass(frozen=True, slots=True)
class Cluster:
    """Records that are held to be one customer.

    Attributes
    ----------
    id : str
        Stable over reruns and row order.
    members : tuple of RecordKey
        Sorted, two or more.
    survivor : RecordKey
        Proposed by rule; a person may choose another.
    links : tuple of (CandidatePair, float)
        The pairs, with probability, that hold the cluster together.
    """

    id: str
    members: tuple[RecordKey, ...]
    survivor: RecordKey
    links: tuple[tuple[CandidatePair, float], ...] = ()

    @property
    def weakest_link(self) -> tuple[CandidatePair, float] | None:
        """The link with the lowest probability; None where links are not kept."""
        return min(self.links, key=lambda link: (link[1], link[0])) if self.links else None


@dataclass(frozen=True, slots=True)
class ShownValue:
    """A value a piece of evidence rests on: what was seen, against what, and where."""

    field: str
    value: str | None
    compared_with: str | None = None
    source: str = ""
    points: float | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """One reason to look at one record.

    Attributes
    ----------
    kind : {'duplicate', 'stale', 'invalid'}
    rule_id : str
        The linkage definition, staleness policy or expectation that spoke; stable.
    score : float
        In [0, 1]: match probability, staleness points / 100, or 1.0 for a failed expectation.
    sentence : str
        One sentence for people, in English; may hold values of the record.
    values : tuple of ShownValue
        The values compared.
    case_id : str
        What a reviewer decides at once: the cluster id for duplicates, else ``kind:object:id``.
    policy_digest : str
        Digest of the definition, policy or suite in force.
    severity : str
        For invalid: ``delete_candidate``, ``fix`` or ``warn``; for others empty.
    """

    kind: EvidenceKind
    key: RecordKey
    rule_id: str
    score: float
    sentence: str
    values: tuple[ShownValue, ...] = ()
    case_id: str = ""
    policy_digest: str = ""
    severity: str = ""

    @property
    def digest(self) -> str:
        """Hexadecimal sha256 of this evidence; what a decision and a manifest item point to.

        Scores and points enter as ten-thousandths, so that no float formatting can change it.
        """
        body = [
            "steward.evidence.v1", self.kind, self.key.object, self.key.id, self.rule_id, round(self.score * 10_000),
            self.sentence, self.case_id, self.policy_digest, self.severity,
            [[v.field, v.value, v.compared_with, v.source, None if v.points is None else round(v.points * 10_000)] for v in self.values],
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(body, ensure_ascii=True, separators=(",", ":")).encode()).hexdigest()


def evidence_digest(seen: list[Evidence] | tuple[Evidence, ...]) -> str:
    """Return the digest of all evidence a reviewer saw in one case, independent of order."""
    joined = "\n".join(sorted(e.digest for e in seen))
    return hashlib.sha256(f"steward.case.v1\n{joined}".encode()).hexdigest()
