"""How a stored record is written into an answer: whole, or as a list shows it. Left to others: which records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from steward.sandbox.zoho.model import MODULES, ONLY_SINGLE, Field
from steward.sandbox.zoho.state import State, parse_moment

CUT = 500


def value(state: State, row: dict[str, Any], doc: dict[str, Any], found: Field) -> Any:
    """One value as the API types it, moments in the caller's zone."""
    if found.name == "id":
        return str(row["id"])
    if found.name in {"Created_Time", "Modified_Time"}:
        return state.moment(row[found.name.split("_")[0].lower()])
    held = doc.get(found.name)
    if held is None:
        return [] if found.name == "Tag" or found.kind in {"subform", "multiselectlookup"} else None
    return state.moment(parse_moment(held)) if found.kind == "datetime" else held


def whole(state: State, row: dict[str, Any]) -> dict[str, Any]:
    """A record as ``GET /{module}/{id}`` gives it."""
    doc = json.loads(row["doc"])
    record = {f.name: value(state, row, doc, f) for f in MODULES[row["module"]]}
    locked = row["lock"] == "RECORD_LOCKED"
    return {**record, "$editable": not locked, "$approval_state": "approved", "$in_merge": False, "$field_states": None,
            "Record_Status__s": "Available"}  # fmt: skip


def listed(state: State, row: dict[str, Any], fields: Sequence[Field]) -> dict[str, Any]:
    """A record as a list shows it: long text cut, subforms and multi-select look-ups left out."""
    doc = json.loads(row["doc"])
    record: dict[str, Any] = {"id": str(row["id"])}
    for found in fields:
        if found.kind in ONLY_SINGLE:
            continue
        held = value(state, row, doc, found)
        record[found.name] = held[:CUT] if found.rich and isinstance(held, str) else held
    return record


def complete(state: State, row: dict[str, Any], fields: Sequence[Field]) -> dict[str, Any]:
    """Some fields of a record, complete."""
    doc = json.loads(row["doc"])
    return {"id": str(row["id"]), **{f.name: value(state, row, doc, f) for f in fields}}
