"""What changed in a Zoho module: by ``Modified_Time``, by the list of deleted records, and by what left the recycle bin.

What is peculiar, each with a test of its name:

* COQL is exact and without lag: it tells the ids that changed. A few are read one by one; many cost more credits than a
  bulk read of all, which misses nothing, so then the module is read whole unless it is too large for one file.
* The vendor lists a deletion for 60 days in the bin and 120 in all: an older reading is no ground to start from.
* A record that comes back from the bin may keep its old ``Modified_Time``. What lay in the bin at the earlier reading and
  does not now is asked for by its id; so is every id that the list calls deleted, since a list may be late.
* Formulas and roll-ups change without a moved time: such a module is read whole.

Left to others: reading whole (``steward.crm.zoho``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from steward.crm.changes import SHARE, Before, Rereading, some
from steward.crm.mapping import ObjectMapping
from steward.crm.zoho import ZohoReader
from steward.errors import SnapshotError, UnavailableError
from steward.messages import N_
from steward.records import Absent, Record

LISTED = timedelta(days=60)
"""How long the vendor lists what was deleted, by the shorter of its two figures."""

ONE_FILE = 200_000
"""Records of one bulk read file: up to here a whole read is one job."""

ONE_BY_ONE = 50
"""Credits of a bulk job; a single read costs one."""

_COQL_ROWS = 200
_COQL_IN = 50
_UNSTAMPED = frozenset({"formula", "rollup_summary"})


class ZohoChanges(Rereading):
    """Answers about one module."""

    reader: ZohoReader

    def __init__(self, reader: ZohoReader, entry: ObjectMapping, before: Before) -> None:
        super().__init__(reader, entry, before)
        if entry.source == "users":
            return
        if datetime.now(UTC) - before.since > LISTED:
            raise SnapshotError(
                N_("The earlier snapshot is older than {days} days, for which Zoho lists what was deleted."),
                next_step=N_("Take a full snapshot: leave --since out."),
                days=LISTED.days,
            )
        kinds = reader.kinds(entry)
        if before.mark is None or kinds.get("Modified_Time") != "datetime" or _UNSTAMPED & set(kinds.values()):
            return
        self._moved = [name for name in ("Modified_Time", "Last_Activity_Time") if kinds.get(name) == "datetime"]
        self._ids = self._changed_ids()
        large = before.rows > ONE_FILE
        most = before.rows // SHARE if large else ONE_BY_ONE
        if len(self._ids) <= most:
            self.way = "feed"
            self.read_most = ONE_BY_ONE

    def changed(self) -> Iterator[Sequence[Record]]:
        """Yield what changed: read one by one, or by a bulk job of its own where that costs less."""
        if len(self._ids) <= ONE_BY_ONE:
            yield from self.read(self._ids)
            return
        columns = self.reader.columns(self.entry.name)
        for page in self.reader.bulk(self.entry, None, _since(self._moved, self.before.since)):
            yield [self.reader.record(self.entry, columns, row) for row in page.rows]

    def left(self) -> Iterator[str]:
        """Yield what lay in the bin then and does not now."""
        now = set(self.reader.binned(self.entry, None))
        self._away(now)
        yield from sorted(set((self.before.mark or "").split()) - now)

    def gone(self) -> Iterator[str]:
        """Yield what the vendor lists as deleted since."""
        yield from self.reader.binned(self.entry, self.before.since, kind="all")

    def read(self, ids: Sequence[str]) -> Iterator[Sequence[Record]]:
        """Ask COQL which of the ids are there, and read those one by one."""
        columns = self.reader.columns(self.entry.name)
        for part in some(list(ids), _COQL_IN):
            listed = ", ".join(f"'{int(i)}'" for i in part)
            there = {str(row["id"]) for row in self._coql(f"id in ({listed})")}
            self._away(set(part) - there)
            for id in sorted(there):
                row = self.reader.one(self.entry, id)
                if row is None:
                    raise UnavailableError(N_("Zoho does not say what {object} {id} is now."), object=self.entry.name, id=id)
                if not isinstance(row, Absent):
                    yield [self.reader.record(self.entry, columns, row)]

    def _away(self, ids: set[str]) -> None:
        """Keep for the next reading what is not live now and may come back."""
        marks = self.reader.marks
        marks[self.entry.name] = " ".join(sorted(ids | set(marks.get(self.entry.name, "").split())))

    def _changed_ids(self) -> list[str]:
        since = self.before.since.isoformat(timespec="seconds")
        moved = " or ".join(f"{name} >= '{since}'" for name in self._moved)
        found: list[str] = []
        last = "0"
        while True:
            rows = self._coql(f"(({moved}) and id > {last})" if len(self._moved) > 1 else f"({moved} and id > {last})")
            found += [str(row["id"]) for row in rows]
            if not rows or len(found) > max(ONE_BY_ONE, self.before.rows // SHARE):
                return found
            last = found[-1]

    def _coql(self, condition: str) -> list[dict[str, Any]]:
        query = f"select id from {self.entry.source} where {condition} order by id asc limit 0, {_COQL_ROWS}"  # noqa: S608  digits, times and the mapping's names
        return self.reader.api.read("POST", "crm/v8/coql", json={"select_query": query}).get("data") or []


def _since(names: Sequence[str], moment: datetime) -> dict[str, Any]:
    said = moment.isoformat(timespec="seconds")
    group = [{"field": {"api_name": name}, "comparator": "greater_equal", "value": said} for name in names]
    return group[0] if len(group) == 1 else {"group": group, "group_operator": "or"}
