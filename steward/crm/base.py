"""What every reader offers and every connector declares.

Left to others: the mapping file (``steward.crm.mapping``), each system's wire (its own module), writing
(``steward.executor.writers``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from steward.crm.mapping import ObjectMapping
from steward.records import Absent, Link, Record


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a system can do. Unknown is the careful answer: False, None or 0.

    Attributes
    ----------
    conditional_delete : bool
        A delete can be made to fail if the record changed.
    transactional : bool
        Change and ledger row commit together (SQL): exactly once.
    recycle_bin : bool
        A deleted record can be brought back by the system itself.
    recycle_days : int or None
        Days it stays there; None is unlimited where ``recycle_bin`` is True.
    restore_keeps_id, restore_moves_version, tells_who_deleted, per_id_result : bool
    batch_size : int
        Most records in one write call.
    requests_per_minute : int or None
        Documented limit; None where there is none.
    request_lifetime : float
        Seconds after which a request cannot be applied any more; an unknown outcome is settled after this time.
    empty_is_null : bool
        An empty text is stored as nothing, and reads as NULL.
    side_effects : tuple of str
        Signed switches the system offers, e.g. ``wf_trigger``.
    bin_call : bool
        A call of its own moves a record to the recycle bin; the mapping's deletion mark shows that and is never written.
    source : str
        Where this is documented.
    """

    system: str
    conditional_delete: bool = False
    transactional: bool = False
    recycle_bin: bool = False
    recycle_days: int | None = None
    restore_keeps_id: bool = False
    restore_moves_version: bool = False
    tells_who_deleted: bool = False
    per_id_result: bool = False
    batch_size: int = 1
    requests_per_minute: int | None = None
    request_lifetime: float = 90.0
    side_effects: tuple[str, ...] = ()
    empty_is_null: bool = False
    bin_call: bool = False
    source: str = ""


@runtime_checkable
class CrmReader(Protocol):
    """Reads one tenant of one system. Reads only."""

    system: str
    tenant: str
    environment: str
    connector_version: str
    capabilities: Capabilities

    def objects(self) -> Sequence[ObjectMapping]:
        """Return the mapped objects, parents before children."""
        ...

    def count(self, object: str) -> int:
        """Return how many live records the system says the object has."""
        ...

    def scan(self, object: str, *, batch: int = 5_000) -> Iterator[list[Record]]:
        """Yield every record of the object, live ones and those in the recycle bin, in batches.

        Raises
        ------
        UnavailableError, DeniedError, SchemaMismatchError
            Never ends early in silence.
        """
        ...

    def fetch(self, object: str, ids: Sequence[str]) -> Mapping[str, Record | Absent]:
        """Return what each id is now. An id without an answer is left out: that is *unknown*, not absent."""
        ...

    def children(self, object: str, ids: Sequence[str]) -> Sequence[Link]:
        """Return every live reference of mapped objects to these records."""
        ...

    def close(self) -> None:
        """Release connections."""
        ...
