"""Which models refer to a Tryton record without being mapped, and whether any of their rows does.

Deleting a party empties the reference of a deal without a word, and takes along what hangs on it. So every field of every
model that could refer to a mapped one is looked up in ``ir.model.field``; what the mapping does not name is asked for each
record that is to go. What cannot be asked through the API are relation tables and rows that another field lists.

Left to others: references that the mapping names (``steward.crm.tryton``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from steward.crm.mapping import ObjectMapping
from steward.records import Link, RecordKey

if TYPE_CHECKING:
    from steward.crm.tryton import TrytonReader

_IN = 200
_MOST = 1_000
"""Rows of one model that are named; one suffices to keep a record."""

DERIVED = (
    "account.account.party", "account.aged_balance", "account.general_ledger.", "ir.action.keyword", "ir.error", "ir.model.log",
    "sale.reporting.", "stock.product_quantities_warehouse", "stock.reporting.",
)  # fmt: skip
"""Models that are computed from others, or that Tryton keeps for itself: they do not keep a record."""


class Referrers:
    """Fields of unmapped models, or unmapped fields of mapped ones, that can refer to a mapped model."""

    def __init__(self, reader: TrytonReader) -> None:
        self._reader = reader
        self._known: dict[str, list[tuple[str, str, bool]]] = {}

    def of(self, entry: ObjectMapping) -> list[tuple[str, str, bool]]:
        """Return model, field, and whether it is a text reference, of what the mapping does not name."""
        if entry.name not in self._known:
            self._known[entry.name] = list(self._look(entry))
        return self._known[entry.name]

    def _look(self, entry: ObjectMapping) -> Iterator[tuple[str, str, bool]]:
        reader = self._reader
        mapped = {(child.source, column) for child, column in reader.mapping.children_of(entry.name)}
        parts = reader.owned(entry)
        domain = ["OR", ["relation", "=", entry.source], ["ttype", "=", "reference"]]
        found = reader.api.call("model.ir.model.field.search_read", [domain, 0, None, None, ["model", "name", "ttype"]])
        for row in sorted(found, key=lambda r: (r["model"], r["name"])):
            model, name, kind = str(row["model"]), str(row["name"]), str(row["ttype"])
            if kind in ("one2many", "one2one") or (model, name) in mapped or model.startswith(DERIVED) or model in parts:
                continue
            said = reader.api.ask(f"model.{model}.fields_get", [[name, "id"]])
            if said is None:
                continue
            field, id = said.get(name) or {}, said.get("id") or {}
            stored = field.get("searchable") and (field.get("sortable") or kind == "many2many") and not (
                kind == "many2many" and field.get("readonly")
            )  # fmt: skip
            if stored and id.get("searchable"):
                yield model, name, kind == "reference"

    def links(self, entry: ObjectMapping, ids: Sequence[str]) -> Iterator[Link]:
        """Yield references to records from what the mapping does not name; the child's object is its model.

        Raises
        ------
        DeniedError
            A model cannot be asked, so nobody knows.
        """
        reader = self._reader
        wanted = set(ids)
        for model, name, text in self.of(entry):
            for start in range(0, len(ids), _IN):
                values: list[Any] = [f"{entry.source},{i}" if text else int(i) for i in ids[start : start + _IN]]
                asked = [[[name, "in", values]], 0, _MOST, [["id", "ASC"]], [name]]
                for row in reader.api.ask(f"model.{model}.search_read", asked) or ():
                    said = row.get(name)
                    for one in said if isinstance(said, list) else [said]:
                        parent = str(one).rpartition(",")[2]
                        if parent in wanted:
                            yield Link(RecordKey(model, str(row["id"])), name, RecordKey(entry.name, parent))


__all__ = ["DERIVED", "Referrers"]
