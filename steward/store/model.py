"""What the store hands out beside the core's records: rejects, differences, impact.

Left to others: making them (``workspace``, ``compare``, ``impact``).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from steward.records import RecordKey


@dataclass(frozen=True, slots=True)
class Reject:
    """A piece of a source that could not be taken in, kept with its bytes.

    Attributes
    ----------
    object : str
    file : str
        Name of the file, without its folder.
    line : int
        Line (text files), row (XLSX, Parquet) or element (JSON), from 1.
    problem : str
        One English sentence without values of the record.
    text : str
        What stood there, readable; characters that could not be decoded are written ``\\xNN``.
    raw : bytes
        The original bytes; empty where the format has none of its own (Parquet).
    """

    object: str
    file: str
    line: int
    problem: str
    text: str
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class Difference:
    """What happened to one object between two snapshots: ids, sorted."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """True where nothing differs."""
        return not (self.added or self.changed or self.gone)


@dataclass(frozen=True, slots=True)
class ChildImpact:
    """Live records of one object that refer to a record through one column.

    Attributes
    ----------
    object, column, role : str
    count : int
        Live records; those in the recycle bin are not counted.
    open : int or None
        How many of them are open business; None where the mapping does not say which are.
    amount : Decimal or None
        Sum of the amounts that are numbers; None where the mapping names no amount.
    unreadable_amounts : int
        Amounts that are no plain number and therefore not in the sum.
    latest : str or None
        Latest event, ISO 8601; None where there is none, or none that can be read.
    on_delete : str
        ``block``, ``detach``, ``reassign`` or ``cascade``.
    """

    object: str
    column: str
    role: str
    count: int
    open: int | None
    amount: Decimal | None
    unreadable_amounts: int
    latest: str | None
    on_delete: str


@dataclass(frozen=True, slots=True)
class Impact:
    """What hangs on one record. ``children`` holds an entry per child object and column, also where the count is 0."""

    key: RecordKey
    children: tuple[ChildImpact, ...] = ()

    @property
    def count(self) -> int:
        """Number of live records that refer to it."""
        return sum(c.count for c in self.children)

    @property
    def amount(self) -> Decimal:
        """Sum over all children with an amount."""
        return sum((c.amount for c in self.children if c.amount is not None), Decimal(0))
