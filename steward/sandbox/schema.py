"""Tables of the embedded CRM, the same on SQLite and PostgreSQL.

A CRM in practice answers a delete in three ways, and all three are here on purpose: ``RESTRICT`` (orders, invoices),
``SET NULL`` (a contact's company, a deal's contact) and ``CASCADE`` (tickets, activities and notes of a contact, which
vanish without a word). A table named ``order`` and one named ``user`` keep quoting honest.

Dates, times and amounts have proper types on PostgreSQL; SQLite keeps text in the same canonical form, so that one seed
gives one digest on both. Left to others: the rows (``steward.sandbox.build``).
"""

from __future__ import annotations

from sqlalchemy import Column, Date, DateTime, ForeignKey, Integer, MetaData, Numeric, Table, Text

MOMENT = DateTime(timezone=True).with_variant(Text(), "sqlite")
DAY = Date().with_variant(Text(), "sqlite")
MONEY = Numeric(14, 2).with_variant(Text(), "sqlite")

metadata = MetaData()


def _table(name: str, *columns: Column[object]) -> Table:
    return Table(
        name,
        metadata,
        Column("id", Text, primary_key=True),
        *columns,
        Column("created_at", MOMENT, nullable=False),
        Column("updated_at", MOMENT, nullable=False),
        Column("row_version", Integer, nullable=False),
        Column("is_deleted", Integer, nullable=False),
        Column("deleted_at", MOMENT),
        Column("deleted_by", Text),
    )


def _text(*names: str) -> list[Column[object]]:
    return [Column(name, Text) for name in names]


def _to(column: str, table: str, on_delete: str) -> Column[object]:
    return Column(column, Text, ForeignKey(f"{table}.id", ondelete=on_delete))


user = _table("user", *_text("name", "email", "language"), Column("is_active", Integer, nullable=False))
company = _table(
    "company",
    _to("owner_id", "user", "SET NULL"),
    *_text("name", "website", "email", "phone", "street", "postcode", "city", "country", "registration_no", "industry"),
    Column("employees", Integer),
    Column("legal_hold", Integer, nullable=False),
)
contact = _table(
    "contact",
    _to("company_id", "company", "SET NULL"),
    _to("owner_id", "user", "SET NULL"),
    *_text("salutation", "first_name", "last_name", "email", "email_status", "phone", "mobile"),
    Column("birth_date", DAY),
    *_text("job_title", "street", "postcode", "city", "country", "language", "lead_source", "marketing_consent"),
    Column("legal_hold", Integer, nullable=False),
)
deal = _table(
    "deal",
    _to("company_id", "company", "RESTRICT"),
    _to("contact_id", "contact", "SET NULL"),
    _to("owner_id", "user", "SET NULL"),
    *_text("name", "stage"),
    Column("amount", MONEY),
    Column("currency", Text),
    Column("close_date", DAY),
)
order = _table(
    "order",
    _to("deal_id", "deal", "SET NULL"),
    _to("company_id", "company", "RESTRICT"),
    _to("contact_id", "contact", "RESTRICT"),
    _to("owner_id", "user", "SET NULL"),
    *_text("number", "status"),
    Column("amount", MONEY),
    Column("currency", Text),
    Column("order_date", DAY),
)
invoice = _table(
    "invoice",
    _to("order_id", "order", "RESTRICT"),
    _to("company_id", "company", "RESTRICT"),
    _to("contact_id", "contact", "RESTRICT"),
    *_text("number", "status"),
    Column("amount", MONEY),
    Column("currency", Text),
    Column("issued_on", DAY),
    Column("due_on", DAY),
    Column("paid_on", DAY),
)
ticket = _table(
    "ticket",
    _to("contact_id", "contact", "CASCADE"),
    _to("company_id", "company", "SET NULL"),
    _to("owner_id", "user", "SET NULL"),
    *_text("subject", "status", "priority"),
)
activity = _table(
    "activity",
    _to("contact_id", "contact", "CASCADE"),
    _to("company_id", "company", "SET NULL"),
    _to("deal_id", "deal", "SET NULL"),
    _to("owner_id", "user", "SET NULL"),
    *_text("kind", "direction", "subject"),
    Column("occurred_at", MOMENT),
)
note = _table(
    "note",
    _to("contact_id", "contact", "CASCADE"),
    _to("company_id", "company", "CASCADE"),
    _to("author_id", "user", "SET NULL"),
    Column("body", Text),
)

TABLES = (user, company, contact, deal, order, invoice, ticket, activity, note)
"""Parents before children."""
