"""Which models refer to a Tryton record without being mapped, and whether any of their rows does.

Deleting a party empties the reference of a deal without a word, and takes along what hangs on it. So every field of every
model that could refer to a mapped one is looked up in ``ir.model.field``; what the mapping does not name is asked for each
record that is to go. What cannot be asked through the API are relation tables and rows that another field lists.

Left to others: references that the mapping names (``steward.crm.tryton``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from steward.crm.mapping import ObjectMapping
from steward.errors import DeniedError
from steward.messages import N_
from steward.records import Link, RecordKey

if TYPE_CHECKING:
    from steward.crm.tryton import TrytonReader

USERS = "res.user"
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
        self._found: list[tuple[str, str, str, frozenset[str] | None]] | None = None

    def of(self, entry: ObjectMapping) -> list[tuple[str, str, bool]]:
        """Return model, field, and whether it is a text reference, of what the mapping does not name."""
        mapped = {(child.source, column) for child, column in self._reader.mapping.children_of(entry.name)}
        parts = self._reader.owned(entry)
        return [
            (model, name, kind == "reference")
            for model, name, kind, to in self._all()
            if (to is None or entry.source in to) and (model, name) not in mapped and model not in parts
        ]

    def _all(self) -> list[tuple[str, str, str, frozenset[str] | None]]:
        """Return model, field, kind and targets of every stored reference to any mapped model; looked up once.

        A text reference names the models it can lead to; where it does not, it can lead anywhere: None.
        """
        if self._found is None:
            api = self._reader.api
            targets = sorted({o.source for o in self._reader.mapping.objects.values()} - {USERS})
            domain = ["OR", ["relation", "in", targets], ["ttype", "=", "reference"]]
            asked = [domain, 0, None, None, ["model", "name", "ttype", "relation"]]
            fields: dict[str, list[tuple[str, str, str]]] = {}
            for row in api.call("model.ir.model.field.search_read", asked):
                model, kind = str(row["model"]), str(row["ttype"])
                if kind not in ("one2many", "one2one") and not model.startswith(DERIVED):
                    fields.setdefault(model, []).append((str(row["name"]), kind, str(row["relation"])))
            self._found = []
            for model, names in sorted(fields.items()):
                said = api.ask(f"model.{model}.fields_get", [[*(n for n, _, _ in names), "id"]])
                if said is not None and (said.get("id") or {}).get("searchable"):
                    for n, k, to in sorted(names):
                        if _stored(said.get(n) or {}, k):
                            self._found.append(
                                (model, n, k, self._leads_to(model, said[n]) if k == "reference" else frozenset({to}))
                            )
        return self._found

    def _leads_to(self, model: str, field: Mapping[str, Any]) -> frozenset[str] | None:
        said = field.get("selection")
        if isinstance(said, str):
            try:
                said = self._reader.api.ask(f"model.{model}.{said}", [])
            except DeniedError:
                return None
        return frozenset(str(one[0]) for one in said) if isinstance(said, list) else None

    def links(self, entry: ObjectMapping, ids: Sequence[str]) -> Iterator[Link]:
        """Yield references to records from what the mapping does not name; the child's object is its model.

        Raises
        ------
        DeniedError
            A model cannot be asked, so nobody knows; only where somebody must.
        """
        wanted = set(ids)
        for model, name, text in self.of(entry):
            for start in range(0, len(ids), _IN):
                values: list[Any] = [f"{entry.source},{i}" if text else int(i) for i in ids[start : start + _IN]]
                asked = [[[name, "in", values]], 0, _MOST, [["id", "ASC"]], [name]]
                for row in self._rows(model, asked):
                    said = row.get(name)
                    for one in said if isinstance(said, list) else [said]:
                        parent = str(one).rpartition(",")[2]
                        if parent in wanted:
                            yield Link(RecordKey(model, str(row["id"])), name, RecordKey(entry.name, parent))

    def _rows(self, model: str, asked: list[Any]) -> Sequence[Mapping[str, Any]]:
        try:
            return self._reader.api.ask(f"model.{model}.search_read", asked) or ()
        except DeniedError:
            if not self._reader.must_know:
                return ()
            raise DeniedError(
                N_("Whether {model} refers to a record cannot be asked with this credential."),
                next_step=N_("Give the executor's user the right to read {model}, or map it."),
                model=model,
            ) from None


def _stored(field: Mapping[str, Any], kind: str) -> bool:
    """Say whether a reference is stored; computed ones can be searched too, but neither sorted nor written."""
    listed = kind == "many2many" and not field.get("readonly")
    return bool(field.get("searchable") and (listed or (kind != "many2many" and field.get("sortable"))))


__all__ = ["DERIVED", "USERS", "Referrers"]
