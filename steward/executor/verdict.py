"""What an item may become, and what must be known to say so: verdicts, their codes, rules.

Left to others: saying so (``judge``), what a change consists of (``effects``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from steward.crm.base import Capabilities
from steward.crm.mapping import Mapping as CrmMapping
from steward.executor.ports import State, Work
from steward.manifest.format import FieldChange
from steward.records import Record, RecordKey, Scalar

ValueFor = Callable[[str, str, str | None, datetime], Scalar]

CODES = {
    "changed": "the record is not as it was reviewed",
    "deleted_meanwhile": "somebody has deleted the record since",
    "absent": "the CRM says there is no such record",
    "no_answer": "the CRM did not say what the record is",
    "survivor_changed": "the survivor is not as it was reviewed",
    "children_changed": "what hangs on the record is not what was reviewed",
    "children_remain": "records hang on it that had to go first, or that nobody reviewed",
    "hidden_children": "deleted records still refer to it and no rule says what becomes of them",
    "self_link": "the survivor refers to the record that merges into it",
    "no_choice": "a chosen value comes from a record that is not part of the merge",
    "no_rule": "neither mapping nor manifest says how this is done",
    "no_recycle_bin": "the CRM has no recycle bin and the mapping no deletion mark, so nothing can be deleted softly",
    "needs_privacy": "the CRM cannot bring it back, and nobody with the role privacy has approved",
    "not_writable": "the mapping does not allow writing a field",
    "locked": "somebody has locked the record in the CRM",
    "in_approval": "an approval of the record is under way in the CRM",
    "not_in_force": "the record is not in force yet in the CRM",
    "veto": "vetoed",
    "held": "on the hold list",
    "kept_keep": "a reviewer has decided since that it stays",
    "kept_not_duplicate": "a reviewer has decided since that it is no duplicate",
    "kept_defer": "a reviewer has put it off since",
    "kept_escalate": "a reviewer has passed it on since",
    "kept_conflict": "two reviewers disagree since",
    "kept_withdrawn": "the decision was undone since",
    "kept_protected": "it is protected since",
    "open_business": "business that hangs on it was opened or changed since",
}
"""Code → what it means, for screens and docs."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one item. ``state`` PENDING means: apply."""

    work: Work
    state: State
    code: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the judge needs beside the items.

    Attributes
    ----------
    vetoed : set of int
    held : set of RecordKey
        The hold list as it is this moment.
    kept : mapping of RecordKey to str
        The keep list as it is this moment: what reviewers decided since, by code.
    reviewed_at : datetime or None
        When the snapshot was taken; business that was opened or changed after it protects. None asks nothing.
    pending : callable
        True for records that are open items of the same manifest: what waits for them waits, it is not blocked.
    capabilities : Capabilities
        What the system can do; what it cannot restricts the plan.
    privacy : bool
        Somebody with the role ``privacy`` has approved the manifest.
    untouchable : callable
        Code of why the system would let nobody write a record now; empty where it would.
    """

    mapping: CrmMapping
    value_for: ValueFor
    actor: str
    now: datetime
    anonymise: Mapping[str, Sequence[FieldChange]]
    vetoed: frozenset[int] = frozenset()
    held: frozenset[RecordKey] = frozenset()
    kept: Mapping[RecordKey, str] = field(default_factory=dict)
    reviewed_at: datetime | None = None
    pending: Callable[[RecordKey], bool] = lambda key: False
    capabilities: Capabilities = field(kw_only=True)
    privacy: bool = False
    untouchable: Callable[[Record], str] = lambda record: ""

    @property
    def final(self) -> bool:
        """True where a record that is deleted is gone for good and nothing guards it at the last moment."""
        return not self.capabilities.recycle_bin and not self.capabilities.conditional_delete


class Later(Exception):
    """Something that hangs on the item is an item of the same manifest whose turn has not come."""


class Stop(Exception):
    """An item stays as it is: in which state, and why."""

    def __init__(self, state: State, code: str) -> None:
        super().__init__(code)
        self.state, self.code = state, code
