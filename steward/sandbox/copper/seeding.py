"""Fills a sandbox from the generated CRM: people, companies, leads, deals, projects, tasks, activities, users.

The generator's rules stay; what the vendor forbids is left out: a second person with the same e-mail address keeps its name
but loses the address, and likewise a company its domain. Left to others: the generated rows (``steward.sandbox.build``).
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from steward.sandbox.build import build_crm
from steward.sandbox.copper.shapes import empty
from steward.sandbox.copper.state import ADMIN_KEY, RESTRICTED_KEY, State

Row = dict[str, Any]
DEFINITIONS: tuple[Row, ...] = (
    {"id": 1, "name": "Birthday", "data_type": "Date", "available_on": ["person"], "is_filterable": True},
    {"id": 2, "name": "Legal hold", "data_type": "Checkbox", "available_on": ["person", "company"], "is_filterable": True},
    {"id": 3, "name": "Marketing consent", "data_type": "Dropdown", "available_on": ["person", "lead"], "is_filterable": True,
     "options": [{"id": 31, "name": "granted", "rank": 0}, {"id": 32, "name": "withdrawn", "rank": 1},
                 {"id": 33, "name": "unknown", "rank": 2}]},
    {"id": 4, "name": "Registration number", "data_type": "String", "available_on": ["company"], "is_filterable": True},
    {"id": 5, "name": "Employees", "data_type": "Float", "available_on": ["company"], "is_filterable": True},
    {"id": 6, "name": "Languages", "data_type": "MultiSelect", "available_on": ["person"], "is_filterable": True,
     "options": [{"id": 61, "name": "de", "rank": 0}, {"id": 62, "name": "en", "rank": 1}, {"id": 63, "name": "zh", "rank": 2}]},
    {"id": 7, "name": "Referred by", "data_type": "Connect", "available_on": ["person"], "is_filterable": False},
)  # fmt: skip
_CONSENT, _LANGUAGE = {"granted": 31, "withdrawn": 32}, {"de": 61, "en": 62, "zh": 63}
_STATUS = {"won": "Won", "lost": "Lost"}
_KINDS = {"note": 0, "call": 1, "meeting": 2, "email": 6}


Planted = dict[tuple[str, int], str]
"""Entity and id here → the generated record's own id, as the generator's truth names it."""


def seed(state: State, *, customers: int = 1_000, number: int = 0, truth: tuple[Path, Planted] | None = None) -> dict[str, int]:
    """Fill an empty sandbox.

    Parameters
    ----------
    customers : int
        People and leads together, at least 10.
    number : int
        The same number gives the same records.
    truth : tuple or None
        File that gets the generator's truth, and what is filled with which record is which; for tests.

    Returns
    -------
    dict of str to int
        Rows by entity.
    """
    with tempfile.TemporaryDirectory(prefix="steward-copper-") as folder:
        path = Path(folder) / "crm.sqlite"
        file = Path(folder) / "truth.json" if truth is None else truth[0]
        build_crm(f"sqlite:///{path}", customers=customers, seed=number, truth_file=file)
        with closing(sqlite3.connect(path)) as crm:
            crm.row_factory = sqlite3.Row
            state.query("BEGIN")
            seeding = _Seeding(state, crm)
            seeding.run()
            state.query("COMMIT")
    if truth is not None:
        truth[1].update({(kind, seeding.ids[old]): old for old, kind in seeding.kind.items()})
    return dict(state.query("SELECT kind, count(*) FROM record GROUP BY kind ORDER BY kind"))


def _seconds(text: str | None) -> int | None:
    return None if text is None else int(datetime.fromisoformat(text).timestamp())


def _us(text: str | None) -> str | None:
    return None if text is None else date.fromisoformat(text).strftime("%m/%d/%Y")


def _day_seconds(text: str) -> int:
    return int(datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC).timestamp())


def _field(number: int, value: object) -> Row:
    return {"custom_field_definition_id": number, "value": value}


class _Seeding:
    def __init__(self, state: State, crm: sqlite3.Connection) -> None:
        self.state, self.crm = state, crm
        self.ids: dict[str | None, int] = {}
        self.kind: dict[str, str] = {}
        self.mails: set[str] = set()
        self.domains: set[str] = set()
        self.touched: dict[str, tuple[int, str]] = {}
        self.names: dict[str | None, str] = {}

    def rows(self, table: str) -> list[Row]:
        return [dict(row) for row in self.crm.execute(f'SELECT * FROM "{table}" ORDER BY id')]  # noqa: S608 - literals of this module

    def run(self) -> None:
        for definition in DEFINITIONS:
            self.state.query(
                "INSERT INTO definition VALUES (?, ?)", definition["id"], json.dumps({"options": [], **definition})
            )
        self.users()
        for row in self.crm.execute("SELECT contact_id, count(*), max(occurred_at) FROM activity GROUP BY 1"):
            self.touched[row[0]] = (row[1], row[2])
        for row in self.rows("company"):
            self.company(row)
        busy = {
            row[0]
            for table in ("deal", "order", "invoice", "ticket", "activity", "note")
            for row in self.crm.execute(f'SELECT DISTINCT contact_id FROM "{table}"')  # noqa: S608 - literals just above
        }
        for n, row in enumerate(self.rows("contact")):
            self.contact(row, lead=row["company_id"] is None and (row["id"] not in busy or n % 9 == 0))
        for row in self.rows("deal"):
            self.deal(row)
        for row in self.rows("order"):
            self.project(row)
        for row in self.rows("ticket"):
            self.task(row)
        for row in self.rows("activity"):
            self.activity(row, row["kind"], row["subject"], row["owner_id"], row["occurred_at"])
        for row in self.rows("note"):
            self.activity(row, "note", row["body"], row["author_id"], row["created_at"])
        self.links()
        self.state.settle()

    def made(self, kind: str, row: Row, **values: Any) -> Row:
        body = {**empty(kind), "id": self.state.new_id(kind), **values}
        body["date_created"], body["date_modified"] = _seconds(row["created_at"]), _seconds(row["updated_at"])
        if "assignee_id" in body:
            body["assignee_id"] = self.ids.get(row.get("owner_id"))
        self.ids[row["id"]], self.kind[row["id"]] = body["id"], kind
        self.names[row["id"]] = str(body.get("name") or "")
        self.state.put(kind, body)
        return body

    def users(self) -> None:
        for n, row in enumerate(r for r in self.rows("user") if r["is_active"]):
            id_ = self.ids[row["id"]] = self.state.new_id("users")
            group = {"id": 1 + n % 2, "name": ("North", "South")[n % 2]}
            self.state.put("users", {"id": id_, "name": row["name"], "email": row["email"], "groups": [group]})
        self.state.grant(ADMIN_KEY, "key", 1, admin=True)
        self.state.grant(RESTRICTED_KEY, "key", 2, admin=False)

    def common(self, row: Row) -> Row:
        address = None
        if row["street"] or row["city"]:
            address = {
                "street": row["street"], "city": row["city"], "state": None, "postal_code": row["postcode"],
                "country": row["country"],
            }  # fmt: skip
        phones = [(row.get("phone"), "work"), (row.get("mobile"), "mobile")]
        return {"address": address, "phone_numbers": [{"number": p, "category": c} for p, c in phones if p]}

    def company(self, row: Row) -> None:
        site = row["website"]
        domain = site.split("//")[-1].removeprefix("www.").split("/")[0].lower() if site else None
        if domain in self.domains:
            domain = None
        if domain:
            self.domains.add(domain)
        self.made(
            "companies", row, **self.common(row), name=row["name"], email_domain=domain, interaction_count=0,
            websites=[{"url": site, "category": "work"}] if site else [], tags=[row["industry"]] if row["industry"] else [],
            custom_fields=[_field(2, bool(row["legal_hold"])), _field(4, row["registration_no"]), _field(5, row["employees"])],
        )  # fmt: skip

    def contact(self, row: Row, *, lead: bool) -> None:
        name = " ".join(part for part in (row["first_name"], row["last_name"]) if part)
        mail = row["email"]
        count, last = self.touched.get(row["id"], (0, None))
        birth = row["birth_date"]
        values = {
            **self.common(row), "name": name, "prefix": row["salutation"], "first_name": row["first_name"],
            "last_name": row["last_name"], "title": row["job_title"], "interaction_count": count,
            "date_last_contacted": _seconds(last),
        }  # fmt: skip
        consent = _field(3, _CONSENT.get(row["marketing_consent"], 33))
        if lead:
            converted = _seconds(row["updated_at"]) if len(self.ids) % 11 == 0 else None
            self.made(
                "leads", row, **values, email={"email": mail, "category": "work"} if mail else None, custom_fields=[consent],
                status="Converted" if converted else "New", status_id=4 if converted else 1, converted_at=converted,
                converted_contact_id=1 if converted else None, customer_source_id=None,
            )  # fmt: skip
            return
        if mail and mail.lower() in self.mails:
            mail = None
        if mail:
            self.mails.add(mail.lower())
        # A birthday is written as mm/dd/yyyy in one record and as seconds in the next: both forms are in the contract.
        born = None if not birth else _day_seconds(birth) if len(self.ids) % 2 else _us(birth)
        self.made(
            "people", row, **values, company_id=self.ids.get(row["company_id"]), company_name=self.names.get(row["company_id"]),
            emails=[{"email": mail, "category": "work"}] if mail else [],
            custom_fields=[
                _field(1, born), _field(2, bool(row["legal_hold"])), consent,
                _field(6, [_LANGUAGE[row["language"]]] if row["language"] in _LANGUAGE else None),
            ],
        )  # fmt: skip

    def person_of(self, row: Row) -> int | None:
        return self.ids[row["contact_id"]] if self.kind.get(row["contact_id"]) == "people" else None

    def deal(self, row: Row) -> None:
        self.made(
            "opportunities", row, name=row["name"], status=_STATUS.get(row["stage"], "Open"), pipeline_id=1, pipeline_stage_id=1,
            company_id=self.ids.get(row["company_id"]), primary_contact_id=self.person_of(row), close_date=_us(row["close_date"]),
            monetary_value=float(row["amount"]) if row["amount"] else None, interaction_count=0,
            date_stage_changed=_seconds(row["updated_at"]),
        )  # fmt: skip

    def project(self, row: Row) -> None:
        body = self.made("projects", row, name=row["number"], status="Completed" if row["status"] == "completed" else "Open")
        person, company = self.person_of(row), self.ids.get(row["company_id"])
        for kind, id_ in (("people", person), ("companies", company)):
            if id_:
                self.state.query("INSERT OR IGNORE INTO relation VALUES (?, ?, 'projects', ?)", kind, id_, body["id"])

    def task(self, row: Row) -> None:
        kind = self.kind.get(row["contact_id"])
        due = row["created_at"][:10]
        body = {
            "name": row["subject"],
            "status": "Completed" if row["status"] == "closed" else "Open",
            "priority": "None",
            "due_date": _day_seconds(due) if len(self.ids) % 2 else _us(due),
            "related_resource": {"id": self.ids[row["contact_id"]], "type": {"people": "person", "leads": "lead"}[kind]}
            if kind
            else None,
        }
        self.made("tasks", row, **body)

    def activity(self, row: Row, kind: str, text: str, author: str | None, moment: str) -> None:
        owner = next((i for i in (row["contact_id"], row["company_id"]) if i in self.kind), None)
        if owner is None:
            return
        one = {"people": "person", "companies": "company", "leads": "lead"}[self.kind[owner]]
        type_ = {"id": _KINDS[kind], "category": "user"} if kind in _KINDS else {"id": 9, "category": "system"}
        self.made(
            "activities", row, type=type_, parent={"id": self.ids[owner], "type": one}, details=text,
            user_id=self.ids.get(author), activity_date=_seconds(moment),
        )  # fmt: skip

    def links(self) -> None:
        people = [row[0] for row in self.state.query("SELECT id FROM record WHERE kind = 'people' ORDER BY id")]
        for n in range(0, len(people) - 1, 25):
            self.state.query("INSERT INTO link VALUES (NULL, 7, 'people', ?, 'people', ?)", people[n], people[n + 1])
        for n in people[::40]:
            self.state.query("INSERT INTO file VALUES (NULL, 'people', ?, ?)", n, '{"name": "contract.pdf", "file_size": 1024}')
