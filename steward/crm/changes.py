"""What changed in a CRM since an earlier reading: the questions each vendor can answer, and where its answer may not be trusted.

An object is read again in one of these ways, the cheapest that misses nothing:

* ``unchanged``: the vendor says that nothing of it moved, by a mark that had settled before the earlier reading.
* ``stamps``: ids with versions and references of all records are swept; what differs, and what may have changed within one
  tick of the clock, is read.
* ``feed``: records that changed since a moment, those that the vendor lists as deleted, and those that left its recycle bin.
* ``changes``: records that changed since a moment. Where a total that is exact agrees, that is all there is. Else nothing
  tells of deletions, so nothing may be deleted from the snapshot; that is taken only where a person asks for it.
* ``whole``: every record, where a sweep would cost as many calls, or no way is trusted.

The moment is before the earlier reading began, by the vendor's clock: an index may lag, stamps may be equal at the border, and
what is read twice does no harm. Two clocks that nobody compared may differ by a day.

Left to others: what to do with the answers (``steward.store.onward``), each vendor's questions (``…_changes``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any, Literal, Protocol, cast

from steward.crm.mapping import ObjectMapping
from steward.records import Record

Way = Literal["whole", "unchanged", "stamps", "feed", "changes"]

OVERLAP = timedelta(minutes=15)
"""What was changed so shortly before the earlier reading is read again: the longest lag that a vendor admits is ten minutes."""

UNKNOWN_CLOCK = timedelta(days=1)
"""How far a clock may be off that nobody compared, or a time without its zone."""

SHARE = 4
"""Where more than one record in so many has to be read anew, the object is read whole."""

_MAKERS = {
    "copper": "steward.crm.copper_changes:CopperChanges",
    "fxiaoke": "steward.crm.fxiaoke_changes:FxiaokeChanges",
    "jiandaoyun": "steward.crm.jiandaoyun_changes:JiandaoyunChanges",
    "sql": "steward.crm.sql_changes:SqlChanges",
    "tryton": "steward.crm.tryton_changes:TrytonChanges",
    "zoho": "steward.crm.zoho_changes:ZohoChanges",
}
"""First part of a reader's ``connector_version`` → what asks for changes."""


@dataclass(frozen=True, slots=True)
class Before:
    """What is known of an object from the earlier reading.

    Attributes
    ----------
    began : datetime
        When that reading began, by our clock; aware.
    clock_seconds : float or None
        The vendor's clock minus ours; None where nobody knows.
    rows : int
        Records it holds.
    mark : str or None
        What the vendor said of the object then (:attr:`steward.crm.vendor.VendorReader.marks`).
    deletions_matter : bool
        False: the person does without knowing of deletions.
    marked : bool
        Records that are marked as deleted were shown to that reading.
    """

    began: datetime
    clock_seconds: float | None
    rows: int
    mark: str | None = None
    deletions_matter: bool = True
    marked: bool = False

    @property
    def since(self) -> datetime:
        """Return the moment, by the vendor's clock, from which on changes are asked for; in UTC."""
        if self.clock_seconds is None:
            return (self.began - OVERLAP - UNKNOWN_CLOCK).astimezone(UTC)
        return (self.began - OVERLAP + timedelta(seconds=self.clock_seconds)).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep says of one record.

    Attributes
    ----------
    texts : tuple of str or None
        Text forms of the columns in :attr:`Changes.compared`.
    again : bool
        It is to be read whatever they say.
    """

    id: str
    texts: tuple[str | None, ...]
    again: bool = False


class Changes:
    """Answers about one object. Asked in this order: ``way``, ``changed``, ``sweep``, ``left``, ``gone``, ``read``, ``live``;
    ``read`` is a :class:`Rereading`'s, and no other may name a way that needs it.

    Attributes
    ----------
    way : str
        See the module's docstring.
    compared : tuple of str
        Columns of which a sweep tells the text.
    read_most : int or None
        Records that are worth reading one by one; beyond it the object is read whole. None: no bound but :data:`SHARE`.
    copied : frozenset of str
        Columns of ``parents`` beside which a record shows something of the parent, so that the parent's edit changes it.
    shows_deleted : bool
        ``changed`` gives every record that is marked as deleted, whenever it was.
    """

    way: Way = "whole"
    compared: tuple[str, ...] = ()
    read_most: int | None = None
    copied: frozenset[str] = frozenset()
    shows_deleted: bool = False

    def __init__(self, reader: Any, entry: ObjectMapping, before: Before) -> None:
        self.reader, self.entry, self.before = reader, entry, before

    def changed(self) -> Iterator[Sequence[Record]]:
        """Yield records that changed since; more may come, and one twice, the later state last."""
        return iter(())

    def sweep(self) -> Iterator[Sequence[Swept]]:
        """Yield what there is now, every record once or more (``stamps`` only)."""
        return iter(())

    def left(self) -> Iterator[str]:
        """Yield ids to read although nothing says that they changed, such as those that left the recycle bin."""
        return iter(())

    def gone(self) -> Iterator[str]:
        """Yield ids that the vendor says are deleted (``feed`` only); each is confirmed."""
        return iter(())

    def live(self) -> int | None:
        """Return how many live records there are, where that is exact (``changes`` only); None where nobody can say."""
        return None


class Rereading(Changes, ABC):
    """Answers about an object of which single records are read again: what ``stamps``, ``feed`` and ``changes`` need."""

    @abstractmethod
    def read(self, ids: Sequence[str]) -> Iterator[Sequence[Record]]:
        """Yield the records of ids; one that does not come is gone.

        Raises
        ------
        UnavailableError
            The answer about one of them is not clear: then nothing is said of any.
        """


class Maker(Protocol):
    """Makes the answers of one object."""

    def __call__(self, reader: Any, entry: ObjectMapping, before: Before) -> Changes:
        """Return them; nothing is asked yet."""
        ...


def changes_of(reader: Any, entry: ObjectMapping, before: Before) -> Changes:
    """Return what answers for one object of a reader; a reader without a way of its own is read whole."""
    maker = _MAKERS.get(str(reader.connector_version).partition("/")[0])
    if maker is None:
        return Changes(reader, entry, before)
    module, _, name = maker.partition(":")
    return cast(Maker, getattr(import_module(module), name))(reader, entry, before)


def settled(said: datetime | None, before: Before) -> bool:
    """Say whether a time of the vendor's lies so far before the earlier reading that nothing after it was missed."""
    return said is not None and said < before.since


def time_of(text: str | None) -> datetime | None:
    """Return the time that a text is, one without a zone as UTC; None where it is none that we know."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def some(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Yield ``ids`` in parts of at most ``size``."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
