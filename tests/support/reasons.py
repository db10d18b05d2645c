"""A CRM small enough to read: a dormant contact, and around it everything that could keep it, closed and long ago.

Tests change one thing in it and look whether the contact is still free to go.
"""

from __future__ import annotations

import copy
import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from steward.crm.mapping import parse_mapping
from steward.policy import Policy, default_policy, parse_policy
from steward.records import RecordKey, Snapshot
from steward.store import FileSource, Workspace

AS_OF = datetime(2026, 1, 31, tzinfo=UTC)
C1 = RecordKey("contact", "C1")
K1 = RecordKey("company", "K1")
HEAD = 'format = "steward-mapping/1"\nsystem = "files"\ntenant = "t"\nenvironment = "sandbox"\n'

Row = dict[str, str | None]

OBJECTS: dict[str, dict[str, Any]] = {
    "user": {"role": "user", "active_when": {"column": "active", "values": ["1"]}},
    "company": {"role": "company", "created": "created", "owner": "owner_id", "parents": {"parent_id": "company"}},
    "contact": {"role": "person", "created": "created", "owner": "owner_id", "parents": {"company_id": "company"}},
    "deal": {"role": "deal", "event": "day", "parents": {"contact_id": "contact"}, "open_when": {"column": "state", "values": ["open"]}},
    "quote": {"role": "quote", "event": "day", "parents": {"contact_id": "contact"}, "open_when": {"column": "state", "values": ["open"]}},
    "order": {"role": "order", "event": "day", "parents": {"contact_id": "contact"}, "open_when": {"column": "state", "not_in": ["done"]}},
    "invoice": {"role": "invoice", "event": "day", "parents": {"order_id": "order"}, "open_when": {"column": "state", "not_in": ["paid"]}},
    "contract": {"role": "contract", "event": "day", "parents": {"contact_id": "contact"}, "open_when": {"column": "state", "values": ["active"]}},
    "ticket": {"role": "ticket", "created": "day", "parents": {"contact_id": "contact"}, "open_when": {"column": "state", "not_in": ["closed"]}},
    "activity": {"role": "activity", "event": "day", "parents": {"contact_id": "contact"}, "begun_by_person": {"column": "way", "values": ["in"]}},
}  # fmt: skip

RECORDS: dict[str, list[Row]] = {
    "user": [{"id": "U1", "active": "1"}, {"id": "U9", "active": "0"}],
    "company": [
        {"id": "K1", "created": "2008-01-01", "owner_id": "U1", "parent_id": None, "country": "DE"},
        {"id": "K2", "created": "2008-01-01", "owner_id": "U1", "parent_id": None, "country": "DE"},
    ],
    "contact": [
        {
            "id": "C1",
            "created": "2009-01-01",
            "owner_id": "U9",
            "company_id": "K1",
            "email": None,
            "country": "DE",
            "hold": "0",
        },
        {
            "id": "C2",
            "created": "2009-01-01",
            "owner_id": "U1",
            "company_id": "K1",
            "email": "b@x.de",
            "country": "DE",
            "hold": "0",
        },
    ],
    "deal": [{"id": "D1", "day": "2010-01-01", "contact_id": "C1", "state": "lost"}],
    "quote": [{"id": "Q1", "day": "2010-01-01", "contact_id": "C1", "state": "lost"}],
    "order": [{"id": "O1", "day": "2010-01-01", "contact_id": "C1", "state": "done"}],
    "invoice": [{"id": "I1", "day": "2010-01-01", "order_id": "O1", "state": "paid"}],
    "contract": [{"id": "V1", "day": "2010-01-01", "contact_id": "C1", "state": "ended"}],
    "ticket": [{"id": "T1", "day": "2010-01-01", "contact_id": "C1", "state": "closed"}],
    "activity": [{"id": "A1", "day": "2010-01-01", "contact_id": "C1", "way": "in"}],
}

POLICY = """
format = "steward-policy/1"
version = "t"
country_columns = { contact = "country", company = "country" }
[limits]
max_records = 10
max_percent_of_object = 100
max_drift_percent = 5
max_error_percent = 2
canary = 1
rate_per_minute = 60
window = "any"
[staleness]
months = { person = 36, company = 36 }
[staleness.unreachable.contact]
columns = ["email"]
[retention.invoice]
years = 8
citation = "law A"
roles = ["invoice"]
[retention.letter]
years = 6
citation = "law B"
outcome = "anonymise"
roles = ["order"]
"""


class World:
    """Objects and rows that a test changes before it takes a snapshot."""

    def __init__(self) -> None:
        self.objects = copy.deepcopy(OBJECTS)
        self.records = copy.deepcopy(RECORDS)
        self.broken: set[str] = set()
        self.policy_text = POLICY

    @property
    def policy(self) -> Policy:
        return parse_policy(self.policy_text)

    def add(self, object: str, **cells: str | None) -> None:
        """Add a row like the object's first one."""
        rows = self.records[object]
        rows.append({**rows[0], "id": f"{object}-{len(rows) + 1}", **cells})

    def change(self, object: str, id: str, **cells: str | None) -> None:
        """Change a row."""
        row = next(r for r in self.records[object] if r["id"] == id)
        row.update(cells)

    def without(self, object: str) -> None:
        """Take the object out of the mapping, and every reference to it."""
        del self.objects[object]
        for entry in self.objects.values():
            entry["parents"] = {c: p for c, p in entry.get("parents", {}).items() if p != object}

    def snapshot(self, ws: Workspace, folder: Path, as_of: datetime = AS_OF) -> Snapshot:
        """Write the rows as CSV and take them in."""
        folder.mkdir(parents=True, exist_ok=True)
        text = HEAD
        for name, entry in self.objects.items():
            with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as stream:
                columns = list(self.records[name][0])
                writer = csv.writer(stream)
                writer.writerow(columns)
                writer.writerows([row.get(c) for c in columns] for row in self.records[name] if row["id"] is not None)
                if name in self.broken:
                    stream.write("only one cell\r\n")
            text += f'\n[objects.{name}]\nkey = "id"\nfiles = ["{name}.csv"]\n'
            text += "".join(f"{word} = {_toml(value)}\n" for word, value in entry.items())
        return ws.take_snapshot(FileSource(folder, mapping=parse_mapping(text)), taken_at=as_of)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return '"' + str(value) + '"'


def codes(ws: Workspace, snapshot: Snapshot, key: RecordKey = C1) -> list[str]:
    """Codes of the protections of one record, sorted."""
    return sorted(p.code for p in ws.protections(snapshot, [key]).get(key, []))


__all__ = ["AS_OF", "C1", "K1", "World", "codes", "default_policy"]
