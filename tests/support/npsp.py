"""A real small CRM in SQL: the NPSP sample data with its links as foreign keys, and known duplicates and stale people planted.

Not the generator: nobody here wrote these records, so the whole way is also walked on data it was not built for.
"""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

MAPPING = """
format = "steward-mapping/1"
system = "sql"
tenant = "npsp"
environment = "sandbox"
"""

# object: file, key, role, parents with their rule, further words of the mapping
OBJECTS: dict[str, tuple[str, str, str, dict[str, tuple[str, str]], str]] = {
    "record_type": ("account_record_types", "record_type_id", "other", {}, ""),
    "account": ("accounts", "id", "company", {"RecordTypeId": ("record_type", "block")}, 'label = ["Name"]'),
    "contact": (
        "contacts", "id", "person", {"account_id": ("account", "detach"), "primary_affiliation__c": ("account", "detach")},
        'label = ["FirstName", "LastName"]',
    ),
    "campaign": ("campaigns", "id", "other", {}, 'label = ["name"]'),
    "opportunity": (
        "opportunities", "id", "deal", {"account_id": ("account", "block"), "primary_contact__c": ("contact", "block")},
        'event = "close_date"\namount = "amount"\nopen_when = { column = "stage_name", not_in = ["Closed Won", "Closed Lost"] }\n'
        'dates = { close_date = "%Y-%m-%d" }',
    ),
    "contact_role": (
        "opportunity_contact_roles", "id", "membership", {"contact_id": ("contact", "cascade"), "opportunity_id": ("opportunity", "cascade")}, "",
    ),
    "payment": (
        "payments", "id", "payment", {"npe01__opportunity__c": ("opportunity", "block")},
        'event = "npe01__Payment_Date__c"\namount = "npe01__Payment_Amount__c"\ndates = { npe01__Payment_Date__c = "%Y-%m-%d" }\n'
        'open_when = { column = "npe01__Paid__c", values = ["never"] }',
    ),
    "campaign_member": (
        "campaign_members", "id", "activity", {"contact_id": ("contact", "cascade"), "campaign_id": ("campaign", "block")}, "",
    ),
    "relationship": (
        "relationships", "id", "membership",
        {"npe4__contact__c": ("contact", "cascade"), "npe4__related_contact__c": ("contact", "cascade")}, "",
    ),
    "address": ("addresses", "id", "other", {"household_account__c": ("account", "cascade")}, ""),
}  # fmt: skip

_EXTRA = ("created_at", "row_version", "is_deleted", "deleted_at", "deleted_by")


@dataclass(frozen=True)
class Planted:
    """What was planted: duplicate id → id of the original; ids of people nobody heard of for years."""

    duplicates: dict[str, str]
    stale: tuple[str, ...]


def mapping() -> str:
    """Return the mapping file's text."""
    parts = [MAPPING]
    for name, (_file, key, role, parents, more) in OBJECTS.items():
        parts.append(
            f'\n[objects.{name}]\nkey = "{key}"\nrole = "{role}"\nversion = "row_version"\ncreated = "created_at"\n{more}'
        )
        parts.append('soft_delete = { column = "is_deleted", deleted = "1", live = "0", at = "deleted_at", by = "deleted_by" }')
        if parents:
            parts.append("parents = { " + ", ".join(f'{c} = "{o}"' for c, (o, _) in parents.items()) + " }")
            parts.append("on_delete = { " + ", ".join(f'{c} = "{rule}"' for c, (_, rule) in parents.items()) + " }")
    return "\n".join(parts) + "\n"


def build(url: str, data: Path, *, seed: int = 1) -> Planted:
    """Create the tables, load every row unchanged, and plant 30 duplicates and 30 stale people."""
    engine = sa.create_engine(url)
    meta = sa.MetaData()
    rows: dict[str, list[dict[str, str | int | None]]] = {}
    tables: dict[str, sa.Table] = {}
    for name, (file, key, _role, parents, _more) in OBJECTS.items():
        with (data / f"{file}.csv").open(encoding="utf-8", newline="") as stream:
            read = list(csv.DictReader(stream))
        columns = [sa.Column(key, sa.Text, primary_key=True)]
        columns += [
            sa.Column(c, sa.Text, *([sa.ForeignKey(f"{parents[c][0]}.{OBJECTS[parents[c][0]][1]}")] if c in parents else []))
            for c in read[0]
            if c != key
        ]
        columns += [sa.Column(c, sa.Integer if c in ("row_version", "is_deleted") else sa.Text) for c in _EXTRA]
        tables[name] = sa.Table(name, meta, *columns)
        rows[name] = [
            {c: v or None for c, v in r.items()}
            | {"created_at": "2014-03-01", "row_version": 1, "is_deleted": 0, "deleted_at": None, "deleted_by": None}
            for r in read
        ]
    planted = _plant(rows, random.Random(seed))
    meta.create_all(engine)
    with engine.begin() as connection:
        for name, table in tables.items():
            connection.execute(table.insert(), rows[name])
    engine.dispose()
    return planted


def _plant(rows: dict[str, list[dict[str, str | int | None]]], r: random.Random) -> Planted:
    contacts = rows["contact"]
    whole = [c for c in contacts if c["Email"] and c["Phone"]]
    duplicates = {}
    for n, original in enumerate(r.sample(whole, 30)):
        copy = dict(original) | {"id": f"9{n:04}"}
        last = str(copy["LastName"])
        copy["LastName"] = last if n % 3 else last[:-1] + last[-2:]  # every third with a doubled letter
        if n % 4 == 0:
            copy["Title"] = None
        contacts.append(copy)
        # something hangs on the copy, so that a merge has a link to move
        rows["campaign_member"].append(dict(rows["campaign_member"][n]) | {"id": f"9{n:04}", "contact_id": copy["id"]})
        duplicates[str(copy["id"])] = str(original["id"])
    stale = []
    for n in range(30):
        id = f"8{n:04}"
        person = dict.fromkeys(contacts[0]) | {
            "id": id, "FirstName": f"Quiet{chr(65 + n % 26)}{n}", "LastName": f"Nobody{n * 37 % 101}x{n}", "created_at": "2010-01-05",
            "row_version": 1, "is_deleted": 0,
        }  # fmt: skip
        contacts.append(person)
        stale.append(id)
    return Planted(duplicates, tuple(stale))


def dump(url: str) -> dict[str, list[str]]:
    """Return every row of every table, sorted; the executor's ledger is not the CRM's."""
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            names = [t for t in sa.inspect(connection).get_table_names() if not t.startswith("steward_")]
            meta = sa.MetaData()
            meta.reflect(connection, only=names)
            return {t: sorted(repr(tuple(row)) for row in connection.execute(sa.select(meta.tables[t]))) for t in sorted(names)}
    finally:
        engine.dispose()
