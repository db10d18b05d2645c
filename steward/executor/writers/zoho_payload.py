"""Records as Zoho wants them written: which fields, and each value the way back from what the reader made of it.

Left to others: sending (``writers.zoho``), reading (``steward.crm.zoho_values``).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from steward.crm.mapping import Mapping as CrmMapping
from steward.crm.mapping import ObjectMapping
from steward.crm.vendor import MORE
from steward.crm.zoho import ZohoReader
from steward.crm.zoho_values import COMPUTED, DECIMAL, LOOKUPS, WHOLE
from steward.executor.writers.vendor import Refused
from steward.records import Fields

MOVING = frozenset({"Modified_Time", "Modified_By", "Last_Activity_Time", "Full_Name"})
"""Fields that the vendor moves when a record is written, beside computed ones and its own times."""
FIXED = MOVING | {"id", "Created_Time", "Created_By", "Tag", "Converted__s", "Record_Status__s", "Locked__s"}
"""Fields that no call sets. Tags have calls of their own, which are not used."""
_encode = msgspec.json.Encoder(decimal_format="number").encode


def body(data: Mapping[str, Any], *, workflows: bool) -> bytes:
    """Return the document of an insert or update; without ``workflows`` nothing that is automated starts.

    An absent ``trigger`` starts them all, so that the empty list is always said.
    """
    document: dict[str, Any] = {"data": [data]}
    if not workflows:
        document["trigger"] = []
    return _encode(document)


def moved(reader: ZohoReader, entry: ObjectMapping) -> frozenset[str]:
    """Return the columns that the vendor moves or computes by itself."""
    if entry.source == "users":
        return frozenset()
    kinds = reader.kinds(entry)
    return frozenset(n for n, k in kinds.items() if n in MOVING or k in COMPUTED or n.endswith("_Time__s"))


def writable(reader: ZohoReader, entry: ObjectMapping, *, create: bool) -> frozenset[str]:
    """Return the columns that a call may set."""
    if entry.source == "users":
        return frozenset() if create else frozenset({"status"})
    said = reader.described(entry)
    verb = "api_create" if create else "api_update"
    names = {
        name
        for name, kind in reader.kinds(entry).items()
        if name not in FIXED
        and kind not in COMPUTED
        and not name.endswith("_Time__s")
        and not said.get(name, {}).get("read_only")
        and not said.get(name, {}).get("field_read_only")
        and (said.get(name, {}).get("operation_type") or {}).get(verb) is not False
    }
    if create and reader.asides(entry):
        names.add(MORE)
    return frozenset(names)


def payload(reader: ZohoReader, mapping: CrmMapping, entry: ObjectMapping, values: Fields) -> dict[str, Any]:
    """Return values by field as the vendor wants them; what ``more`` holds goes under its own names.

    Raises
    ------
    Refused
        A value is none of its field's type, so that it cannot be written as it was.
    """
    kinds = reader.kinds(entry)
    sent: dict[str, Any] = {}
    for name, value in values.items():
        if name == MORE:
            held = value if isinstance(value, Mapping) else {}
            sent |= {n: v for n, v in held.items() if n in reader.asides(entry)}
            continue
        sent[name] = _value(kinds[name], None if value is None else str(value))
        if sent[name] is not None and kinds[name] in LOOKUPS and name in entry.parents:
            module = mapping.objects[entry.parents[name]].source
            if name == "What_Id":  # which module it leads to is said beside it
                sent["$se_module"] = module
            elif name == "Parent_Id":
                sent[name]["module"] = {"api_name": module}
    return sent


def _value(kind: str, text: str | None) -> Any:
    if text is None:
        return [] if kind == "multiselectpicklist" else None
    try:
        if kind in LOOKUPS:
            return {"id": text}
        if kind == "boolean":
            return {"true": True, "false": False}[text]
        if kind == "bigint":
            return text
        if kind in WHOLE:
            return int(text)
        if kind in DECIMAL:
            return Decimal(text)
    except (KeyError, ValueError, InvalidOperation):
        raise Refused("not_a_value") from None
    if kind == "multiselectpicklist":
        return text.split(";")
    if kind == "datetime":
        return text.removesuffix("Z") + "+00:00" if text.endswith("Z") else text
    return text


__all__ = ["FIXED", "MOVING", "body", "moved", "payload", "writable"]
