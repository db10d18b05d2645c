"""Zoho records by their ids, a hundred in few calls, and what lists leave out.

* COQL gives the plain fields of a hundred ids at once, exact and without lag. A text of 500 characters may be cut there:
  it is asked for again in full, as are subforms and multi-select look-ups, which no list has.
* A field that a row lacks is asked for again in the same way; where that gives it neither, the record is read by itself. So is every id that COQL does not give and the recycle bin does not list: an
  answer without a record is no evidence.
* The recycle bin is listed newest first, two hundred for one credit; what it holds is absent and can come back.

Left to others: single records and whole modules (``steward.crm.zoho``), values (``steward.crm.zoho_values``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from steward.crm.mapping import ObjectMapping
from steward.crm.zoho_wire import ZohoApi
from steward.errors import DeniedError, SchemaMismatchError
from steward.messages import N_
from steward.records import Absent, RecordKey

ID = re.compile(r"[0-9]{1,20}")
FEW = 2
"""So many ids are read one by one: it costs as many calls as together."""
CUT = 500
"""Characters after which a list cuts a text."""
IN = 100
"""Ids of one question in COQL, and of one delete."""
_FIELDS = 49
_FULL_IDS = 200
_FULL_FIELDS = 8
_BIN_PAGE = 200
_NO_COQL = frozenset({"INVALID_QUERY", "SYNTAX_ERROR", "LIMIT_EXCEEDED"})


class ManyReads:
    """Questions about many ids of one module.

    Parameters
    ----------
    api : ZohoApi
    """

    def __init__(self, api: ZohoApi) -> None:
        self._api = api
        self._no_coql: set[str] = set()

    def rows(self, module: str, names: Sequence[str], asides: Sequence[str], ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return whole rows by id, of those that are live and of which every field was given.

        Parameters
        ----------
        names : sequence of str
            Fields that a list gives, ``id`` among them.
        asides : sequence of str
            Fields that a list leaves out.
        """
        if module in self._no_coql:
            return {}
        found: dict[str, dict[str, Any]] = {}
        for part in chunks([i for i in ids if ID.fullmatch(i)], IN):
            try:
                found |= self._part(module, [n for n in names if n != "id"], part)
            except SchemaMismatchError as refusal:
                if refusal.facts.get("code") not in _NO_COQL:
                    raise
                self._no_coql.add(module)  # it does not take one of the fields: these are read one by one from now on
                return {}
        lacks = {i: {*asides, *(n for n in names if n not in row or _cut(row[n]))} for i, row in found.items()}
        whole = self.full(module, sorted(set().union(*lacks.values())), [i for i, names in lacks.items() if names])
        return {i: {**row, **whole.get(i, {})} for i, row in found.items() if lacks[i] <= whole.get(i, {}).keys()}

    def _part(self, module: str, names: Sequence[str], ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        listed = ", ".join(f"'{i}'" for i in ids)
        found: dict[str, dict[str, Any]] | None = None
        for group in list(chunks(names, _FIELDS)) or [[]]:
            query = f"select {', '.join(('id', *group))} from {module} where id in ({listed}) limit 0, {_BIN_PAGE}"  # noqa: S608  digits only, and the vendor's names
            said = self._api.read("POST", "crm/v8/coql", json={"select_query": query}).get("data") or []
            rows = {str(r.get("id")): r for r in said if isinstance(r, dict) and str(r.get("id")) in ids}
            found = rows if found is None else {i: {**r, **rows[i]} for i, r in found.items() if i in rows}
        return found or {}

    def full(self, module: str, names: Sequence[str], ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return fields in full by id; a field or record that the answer leaves out is left out here."""
        found: dict[str, dict[str, Any]] = {}
        for group in chunks(names, _FULL_FIELDS):
            for part in chunks(ids, _FULL_IDS):
                params = {"ids": ",".join(part), "fields": ",".join(group)}
                said = self._api.read("GET", f"crm/v8/{module}/actions/fetch_full_data", params=params).get("data") or []
                for row in said:
                    if isinstance(row, dict) and str(row.get("id")) in set(part):
                        found.setdefault(str(row["id"]), {}).update({n: row[n] for n in group if n in row})
        return found

    def binned(self, entry: ObjectMapping, ids: Iterable[str]) -> dict[str, Absent]:
        """Return which of the ids the recycle bin lists for the module, looking no further than where they should be."""
        wanted = {i for i in ids if ID.fullmatch(i)}
        found: dict[str, Absent] = {}
        only = {
            "group_operator": "AND",
            "group": [{"field": {"api_name": "module"}, "comparator": "equal", "value": entry.source}],
        }
        for page in range(1, len(wanted) // _BIN_PAGE + 3):
            params = {"page": page, "per_page": _BIN_PAGE, "sort_by": "deleted_time", "sort_order": "desc", "filters": json.dumps(only)}  # fmt: skip
            try:
                said = self._api.read("GET", "crm/v8/settings/recycle_bin", params=params)
            except DeniedError:
                return found
            for item in said.get("recycle_bin") or ():
                absent = bin_entry(entry, item)
                if absent is not None and absent.binned and absent.key.id in wanted:
                    found[absent.key.id] = absent
            if found.keys() >= wanted or not (said.get("info") or {}).get("more_records"):
                break
        return found


def _cut(value: object) -> bool:
    return isinstance(value, str) and len(value) >= CUT


def bin_entry(entry: ObjectMapping, item: object) -> Absent | None:
    """Return what an entry of the recycle bin says of a record of this module; None where it is no entry."""
    if not isinstance(item, dict) or not item.get("id"):
        return None
    key = RecordKey(entry.name, str(item["id"]))
    module = item.get("module")  # a plain string in one form of the answer, an object in the other
    module = module.get("api_name") if isinstance(module, Mapping) else module
    if module not in (entry.source, None):
        return Absent(key, how="not live; the recycle bin holds another record under this id")
    by = item.get("deleted_by") or {}
    by = by.get("id") if isinstance(by, Mapping) else None
    return Absent(key, how="in the recycle bin", deleted_by=str(by) if by else None, binned=True)


def chunks(values: Sequence[str], size: int) -> Iterator[list[str]]:
    """Yield parts of at most ``size``."""
    for start in range(0, len(values), size):
        yield list(values[start : start + size])


def lacking(object: str, names: Iterable[str]) -> SchemaMismatchError:
    """Return the refusal of a read that would leave values out."""
    return SchemaMismatchError(
        N_("{object}: the CRM does not give these fields in full: {missing}. A backup without them would not be whole."),
        next_step=N_("Set the option subforms of the profile to single, which reads record by record, or to leave_out."),
        object=object,
        missing=", ".join(sorted(names)),
    )


__all__ = ["FEW", "ID", "IN", "ManyReads", "bin_entry", "chunks", "lacking"]
