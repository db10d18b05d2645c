"""Fills the sandbox from the seeded generator: firms become Accounts, people Contacts, some without a firm Leads.

Ids of the generator are kept (eighteen digits), so that its truth file speaks of the same records. Left to others: what
is planted (``steward.sandbox.build``).
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from steward.sandbox import Truth, build_crm
from steward.sandbox.zoho.model import STATUS, TOPICS
from steward.sandbox.zoho.state import State, parse_moment

_LEAD_EVERY = 4


def fill(state: State, customers: int, seed: int) -> Truth:
    """Generate a CRM and write its rows into the sandbox.

    Returns
    -------
    Truth
        What was planted; ids are those of the sandbox.
    """
    with tempfile.TemporaryDirectory(prefix="steward-sandbox-") as folder:
        path = Path(folder) / "crm.sqlite"
        truth = build_crm(path, customers=customers, seed=seed)
        source = sqlite3.connect(path)
        source.row_factory = sqlite3.Row
        try:
            state.db.execute("BEGIN")
            _Filling(state, source).run()
            state.db.execute("COMMIT")
        finally:
            source.close()
    return truth


class _Filling:
    def __init__(self, state: State, source: sqlite3.Connection) -> None:
        self.state, self.source = state, source
        self.users: dict[str, dict[str, Any]] = {}
        self.names: dict[str, str] = {}
        self.leads: set[str] = set()

    def rows(self, table: str) -> list[sqlite3.Row]:
        return self.source.execute(f'SELECT * FROM "{table}" ORDER BY id').fetchall()  # noqa: S608 - our own tables

    def link(self, ident: str | None) -> dict[str, str] | None:
        return None if ident is None else {"id": ident, "name": self.names.get(ident, "")}

    def put(self, module: str, row: sqlite3.Row, owner: str | None, **values: Any) -> None:
        default = next(iter(self.users.values()))
        held = self.users.get(owner or "", default)
        doc = {k: v for k, v in values.items() if v is not None}
        doc |= {"Owner": held, "Created_By": held, "Modified_By": held}
        self.state.put(
            module, int(row["id"]), doc, created=parse_moment(row["created_at"]), modified=parse_moment(row["updated_at"])
        )

    def run(self) -> None:
        for n, row in enumerate(self.rows("user")):
            self.users[row["id"]] = {"id": row["id"], "name": row["name"], "email": row["email"]}
            doc = {"full_name": row["name"], "email": row["email"], "confirm": True, "zuid": row["id"], "type__s": "Regular User",
                   "status": "active" if n < 3 or row["is_active"] else "inactive", "primary": n == 0,
                   "role": {"name": "CEO", "id": "1"}, "profile": {"name": "Administrator", "id": "1"}}  # fmt: skip
            self.state.db.execute("INSERT INTO person VALUES (?, ?)", (int(row["id"]), json.dumps(doc, ensure_ascii=False)))
        self._firms()
        self._people()
        self._business()

    def _firms(self) -> None:
        for n, r in enumerate(self.rows("company")):
            self.names[r["id"]] = r["name"] or ""
            self.put(
                "Accounts", r, r["owner_id"], Account_Name=r["name"], Website=r["website"], Email=r["email"], Phone=r["phone"],
                Billing_Street=r["street"], Billing_Code=r["postcode"], Billing_City=r["city"], Billing_Country=r["country"],
                Registration_No=r["registration_no"], Industry=r["industry"], Employees=r["employees"],
                Legal_Hold=bool(r["legal_hold"]), Description=_prose(n, r["name"]) if n % 3 == 0 else None,
            )  # fmt: skip

    def _people(self) -> None:
        busy = {i for t in ("deal", "order", "invoice", "ticket") for (i,) in self.source.execute(
            f'SELECT DISTINCT contact_id FROM "{t}" WHERE contact_id IS NOT NULL')}  # noqa: S608  # fmt: skip
        firms = [r["id"] for r in self.source.execute("SELECT id FROM company ORDER BY id LIMIT 20")]
        for n, r in enumerate(self.rows("contact")):
            name = " ".join(x for x in (r["first_name"], r["last_name"]) if x)
            self.names[r["id"]] = name
            person: dict[str, Any] = {
                "Salutation": r["salutation"], "First_Name": r["first_name"], "Last_Name": r["last_name"], "Full_Name": name,
                "Email": r["email"], "Phone": r["phone"], "Mobile": r["mobile"], "Lead_Source": r["lead_source"],
                "Language": r["language"], "Email_Opt_Out": r["marketing_consent"] in {"no", "withdrawn", "refused"},
                "Legal_Hold": bool(r["legal_hold"]), "Score": n % 97, "Weight": (n % 8) / 4 + 0.5, "Standing": STATUS[n % 3],
                "Interests": list(TOPICS[: n % 4]) if n % 4 else None, "Last_Activity_Time": r["updated_at"],
                "Background": _prose(n, name) if n % 5 == 0 else None, "Description": f"<p>{name}</p>" if n % 7 == 0 else None,
            }  # fmt: skip
            if r["company_id"] is None and r["id"] not in busy and n % _LEAD_EVERY == 0:
                self.leads.add(r["id"])
                self.put("Leads", r, r["owner_id"], **person, Company=None, Designation=r["job_title"], Street=r["street"],
                         Zip_Code=r["postcode"], City=r["city"], Country=r["country"], Converted__s=False)  # fmt: skip
                continue
            visits = [{"id": str(8_000_000_000_000_000_000 + n * 10 + k), "Parent_Id": {"id": r["id"], "name": name},
                       "Visited_On": f"2025-0{k + 1}-15", "Remark": f"Visit {k + 1}"} for k in range(n % 3)]  # fmt: skip
            partners = [{"id": str(8_500_000_000_000_000_000 + n), "Partners": self.link(firms[n % len(firms)])}] if (
                firms and n % 6 == 0) else None  # fmt: skip
            self.put("Contacts", r, r["owner_id"], **person, Account_Name=self.link(r["company_id"]), Title=r["job_title"],
                     Date_of_Birth=r["birth_date"], Mailing_Street=r["street"], Mailing_Zip=r["postcode"], Mailing_City=r["city"],
                     Mailing_Country=r["country"], Visits=visits or None, Partners=partners)  # fmt: skip

    def _business(self) -> None:
        for r in self.rows("deal"):
            self.names[r["id"]] = r["name"] or ""
            self.put("Deals", r, r["owner_id"], Deal_Name=r["name"], Stage=r["stage"], Amount=_money(r["amount"]),
                     Currency=r["currency"], Closing_Date=r["close_date"], Account_Name=self.link(r["company_id"]),
                     Contact_Name=self.link(r["contact_id"]))  # fmt: skip
        for r in self.rows("order"):
            self.names[r["id"]] = r["number"] or ""
            self.put("Sales_Orders", r, r["owner_id"], Subject=r["number"], Status=r["status"], Grand_Total=_money(r["amount"]),
                     Order_Date=r["order_date"], Account_Name=self.link(r["company_id"]), Contact_Name=self.link(r["contact_id"]),
                     Deal_Name=self.link(r["deal_id"]))  # fmt: skip
        for r in self.rows("invoice"):
            self.put("Invoices", r, None, Subject=r["number"], Status=r["status"], Grand_Total=_money(r["amount"]),
                     Invoice_Date=r["issued_on"], Due_Date=r["due_on"], Account_Name=self.link(r["company_id"]),
                     Contact_Name=self.link(r["contact_id"]), Sales_Order=self.link(r["order_id"]))  # fmt: skip
        for r in self.rows("ticket"):
            self.put("Cases", r, r["owner_id"], Subject=r["subject"], Status=r["status"], Priority=r["priority"],
                     Account_Name=self.link(r["company_id"]), Related_To=self.link(r["contact_id"]))  # fmt: skip
        for r in self.rows("activity"):
            who, what = self.link(r["contact_id"]), self.link(r["company_id"])
            at = r["occurred_at"]
            if r["kind"] == "call":
                self.put("Calls", r, r["owner_id"], Subject=r["subject"], Call_Type=r["direction"], Call_Start_Time=at, Who_Id=who,
                         What_Id=what)  # fmt: skip
            elif r["kind"] == "meeting":
                self.put("Events", r, r["owner_id"], Event_Title=r["subject"], Start_DateTime=at, Who_Id=who, What_Id=what)
            else:
                self.put("Tasks", r, r["owner_id"], Subject=r["subject"], Status="Completed", Due_Date=str(at)[:10], Who_Id=who,
                         What_Id=what)  # fmt: skip
        for r in self.rows("note"):
            parent = r["contact_id"] or r["company_id"]
            self.put(
                "Notes",
                r,
                r["author_id"],
                Note_Title=(r["body"] or "")[:40],
                Note_Content=r["body"],
                Parent_Id=self.link(parent),
            )


def _money(text: object) -> float | None:
    return None if text is None else float(str(text))


def _prose(n: int, name: str) -> str:
    """Long formatted text, beyond what a list shows."""
    return f"<div><b>{name}</b> " + " ".join(f"line {k} of the history &amp; more" for k in range(30 + n % 10)) + "</div>"
