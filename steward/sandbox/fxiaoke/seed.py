"""Fills a Fxiaoke sandbox from the seeded generator: companies as accounts, contacts, deals, orders, invoices, tickets.

Ids are made from the generator's, half of them 32 hexadecimal digits and half 24, as an old tenant holds both. Left to
others: what people and firms look like (``steward.sandbox.build``).
"""

from __future__ import annotations

import hashlib
import sqlite3
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from steward.sandbox.build import build_crm
from steward.sandbox.fxiaoke.objects import OBJECTS, Json
from steward.sandbox.fxiaoke.world import World

_TABLE = {
    "AccountObj": "company", "ContactObj": "contact", "LeadsObj": "lead", "NewOpportunityObj": "deal",
    "SalesOrderObj": "order", "PaymentObj": "invoice", "x__c": "ticket",
}  # fmt: skip


def record_id(table: str, key: str) -> str:
    """Return the sandbox's id of a generated row: 24 or 32 lowercase hexadecimal digits, always the same."""
    digest = hashlib.sha256(f"{table}/{key}".encode()).hexdigest()
    return digest[:32] if int(digest[-1], 16) % 2 else digest[:24]


def fill(world: World, *, customers: int, seed: int) -> None:
    """Fill an empty world; one that is filled already stays as it is."""
    if world.db.execute("SELECT 1 FROM record LIMIT 1").fetchone():
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "crm.sqlite"
        build_crm(path, customers=customers, seed=seed)
        source = sqlite3.connect(path)
        source.row_factory = sqlite3.Row
        try:
            world.db.execute("BEGIN")
            _Seeding(world, source).run()
            world.db.execute("COMMIT")
        finally:
            source.close()


class _Seeding:
    def __init__(self, world: World, source: sqlite3.Connection) -> None:
        self.world, self.source = world, source
        self.number: dict[str, str] = {}

    def rows(self, table: str) -> Iterator[sqlite3.Row]:
        return iter(self.source.execute(f'SELECT * FROM "{table}" ORDER BY id'))  # noqa: S608 - the generator's own tables

    def run(self) -> None:
        staff = []
        for n, row in enumerate(self.rows("user")):
            number = self.number[row["id"]] = str(1000 + n)
            open_id = "FSUID_" + record_id("user", row["id"])[:20].upper()
            mobile = f"1380000{n:04d}"
            stopped = 0 if n < 3 else int(not row["is_active"])  # an administrator, a colleague, and who writes for a program
            self.world.db.execute(
                "INSERT INTO employee VALUES (?, ?, ?, ?, ?)", (number, open_id, mobile, row["name"], stopped)
            )
            doc = self.record("PersonnelObj", "user", row, name=row["name"], full_name=row["name"], user_id=number)
            doc.update(phone=mobile, email=row["email"], status=str(stopped), owner=["1000"])
            staff.append(doc)
        self.world.put_many("PersonnelObj", staff)
        for api, table in _TABLE.items():
            made = self.leads() if table == "lead" else (getattr(self, table)(row) for row in self.rows(table))
            self.world.put_many(api, made)

    def record(self, api: str, table: str, row: sqlite3.Row, **values: object) -> Json:
        doc: Json = dict.fromkeys(OBJECTS[api])
        owner = row["owner_id"] if "owner_id" in row.keys() else None  # noqa: SIM118 - a Row's `in` looks at values
        made, changed, by = _ms(row["created_at"]), _ms(row["updated_at"]), self.number.get(owner or "", "1000")
        voided = bool(row["is_deleted"])
        doc.update(
            _id=record_id(table, row["id"]), owner=[by], owner_department="Sales", data_own_department=["999998"],
            created_by=[by], create_time=made, last_modified_by=[by], last_modified_time=max(made or 0, changed or 0),
            life_status="invalid" if voided else "normal", life_status_before_invalid="normal" if voided else None,
            lock_status="0", is_deleted=voided, record_type="default__c", version=str(row["row_version"]), **values,
        )  # fmt: skip
        return doc

    def to(self, table: str, key: str | None) -> str | None:
        return record_id(table, key) if key else None

    def company(self, row: sqlite3.Row) -> Json:
        (orders,) = self.source.execute('SELECT count(*) FROM "order" WHERE company_id = ?', (row["id"],)).fetchone()
        return self.record(
            "AccountObj", "company", row, name=row["name"], url=row["website"], email=row["email"], tel=row["phone"],
            address=row["street"], postcode__c=row["postcode"], city__c=row["city"], country__c=row["country"],
            registration_no__c=row["registration_no"], industry__c=row["industry"], legal_hold__c=bool(row["legal_hold"]),
            employees__c=None if row["employees"] is None else str(row["employees"]), order_count__c=str(orders),
        )  # fmt: skip

    def contact(self, row: sqlite3.Row) -> Json:
        name = " ".join(part for part in (row["first_name"], row["last_name"]) if part) or "-"
        n = int(record_id("contact", row["id"])[:2], 16)
        files = [{"path": f"N_{n:03d}_a.pdf", "filename": "contract.pdf", "ext": "pdf", "size": 4096 + n}]
        return self.record(
            "ContactObj", "contact", row, name=name, account_id=self.to("company", row["company_id"]),
            salutation__c=row["salutation"], first_name__c=row["first_name"], last_name__c=row["last_name"],
            email=row["email"], tel1=row["phone"], mobile1=row["mobile"], job_title=row["job_title"], address=row["street"],
            postcode__c=row["postcode"], city__c=row["city"], country__c=row["country"], language__c=row["language"],
            lead_source__c=row["lead_source"], date_of_birth=_ms(row["birth_date"]), email_status__c=row["email_status"],
            consent__c=row["marketing_consent"], legal_hold__c=bool(row["legal_hold"]),
            interests__c=[["news"], ["fairs", "training"], None][n % 3], helpers__c=[["1000"], ["1000", "1001"], None][n % 3],
            files__c=files if n % 4 == 0 else None,
        )  # fmt: skip

    def leads(self) -> Iterator[Json]:
        for n, row in enumerate(self.rows("contact")):
            if n % 7 == 0 and not row["is_deleted"]:
                doc = self.record("LeadsObj", "lead", row, name=f"{row['first_name']} {row['last_name']}")
                doc.update(
                    account_id=self.to("company", row["company_id"]), contact_id=self.to("contact", row["id"]),
                    mobile=row["mobile"], email=row["email"], biz_status=("un_processed", "transformed", "closed")[n % 3],
                )  # fmt: skip
                yield doc

    def deal(self, row: sqlite3.Row) -> Json:
        return self.record(
            "NewOpportunityObj", "deal", row, name=row["name"], account_id=self.to("company", row["company_id"]),
            contact__c=self.to("contact", row["contact_id"]), sales_stage=row["stage"], amount=row["amount"],
            currency__c=row["currency"], close_date=_ms(row["close_date"]),
        )  # fmt: skip

    def order(self, row: sqlite3.Row) -> Json:
        return self.record(
            "SalesOrderObj", "order", row, name=row["number"], account_id=self.to("company", row["company_id"]),
            contact__c=self.to("contact", row["contact_id"]), new_opportunity_id=self.to("deal", row["deal_id"]),
            order_status=row["status"], order_amount=row["amount"], currency__c=row["currency"], order_time=_ms(row["order_date"]),
        )  # fmt: skip

    def invoice(self, row: sqlite3.Row) -> Json:
        return self.record(
            "PaymentObj", "invoice", row, name=row["number"], account_id=self.to("company", row["company_id"]),
            order_id=self.to("order", row["order_id"]), status__c=row["status"], payment_amount=row["amount"],
            payment_time=_ms(row["paid_on"]), due_date__c=_ms(row["due_on"]),
        )  # fmt: skip

    def ticket(self, row: sqlite3.Row) -> Json:
        return self.record(
            "x__c", "ticket", row, name=row["subject"], account__c=self.to("company", row["company_id"]),
            contact__c=self.to("contact", row["contact_id"]), status__c=row["status"], priority__c=row["priority"],
        )  # fmt: skip


def _ms(text: str | None) -> int | None:
    """Return epoch milliseconds of a day or a moment in ISO 8601; None for what is no date."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
