"""Who voided a Fxiaoke record: the last editor where a void stamps one, else the record's own log of changes.

Neither is certain on its own: whether a void stamps the editor is not documented, and which words the log uses is not
either. So only people are compared, never words, and no answer is None. Left to others: what follows (``writers.fxiaoke``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from steward.crm.fxiaoke import FxiaokeReader
from steward.crm.mapping import ObjectMapping
from steward.errors import CrmError
from steward.records import Record, canonical_text

LOG = "cgi/crm/v2/object/getNewLogInfoListForWeb"
CLOCKS = timedelta(minutes=5)
"""How far the vendor's clock may run before or behind ours."""


class Trace:
    """Looks for our own hand.

    Parameters
    ----------
    reader : FxiaokeReader
        Of the writer: the employee it acts as is ours.
    """

    def __init__(self, reader: FxiaokeReader) -> None:
        self._reader = reader

    def stamped(self, before: Record, found: Record) -> bool:
        """True where our employee became the last editor between two reads."""
        was, now = (canonical_text(r.fields.get("last_modified_by")) for r in (before, found))
        return now == self._reader.api.acts_as and was != now

    def named(self, entry: ObjectMapping, id: str, since: datetime) -> bool | None:
        """Say whether the log has our hand since a moment; None where it has nobody's, or does not answer."""
        if self._reader.options["style"] == "body":
            return None  # the log names people by number, this style by another id
        now = datetime.now(UTC)
        asked = {
            "apiName": entry.source, "objectId": id, "pageNumber": 1, "pageSize": 50,
            "operationTimeFrom": _ms(since - CLOCKS), "operationTimeTo": _ms(now + timedelta(days=1)),
        }  # fmt: skip
        try:
            said, _ = self._reader.api.patiently(LOG, {"data": asked})
        except CrmError:
            return None
        people = (
            {who for entry_ in _entries(said.get("data")) if (who := _who(entry_))} if said.get("errorCode") == 0 else set()
        )
        return self._reader.api.acts_as in people if people else None


def _entries(data: Any) -> Iterator[Mapping[str, Any]]:
    """Yield entries, under whatever name their list has."""
    lists = data.values() if isinstance(data, dict) else [data]
    for found in lists:
        if isinstance(found, list):
            yield from (e for e in found if isinstance(e, dict) and "operationTime" in e)


def _who(entry: Mapping[str, Any]) -> str:
    owner = entry.get("owner")
    return str(owner.get("employeeID") or "") if isinstance(owner, dict) else ""


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


__all__ = ["CLOCKS", "Trace"]
