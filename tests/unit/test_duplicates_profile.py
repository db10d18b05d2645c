"""What the profile makes of a table never seen: headers of three languages, reasons, rules that would explode."""

from __future__ import annotations

import polars as pl
import pytest

from steward.scoring.duplicates.profile import header_kind, propose
from tests.integration.test_duplicates_metamorphic import people


@pytest.mark.parametrize(
    ("kind", "headers"),
    [
        ("given", "Vorname first_name FirstName forename 名字 名"),
        ("family", "Nachname Familienname last_name surname 姓 姓氏"),
        ("native", "姓名 联系人姓名 客户姓名"),
        ("person", "Ansprechpartner Kontaktperson full_name contact_name"),
        ("company", "Firma Firmenname Unternehmen company_name account_name 公司名称 客户名称 单位 企业名称"),
        ("email", "E-Mail E-Mail-Adresse Emailadresse email npe01__HomeEmail__c 邮箱 电子邮箱 公司邮箱"),
        ("phone", "Telefon Telefonnummer Handynummer Mobil Faxnummer TelefonPrivat mobile_phone 手机号码 联系人手机 座机"),
        ("birthdate", "Geburtsdatum Geb.-Datum geb_dat dob date_of_birth 生日 出生年月"),
        (
            "address",
            "Straße Straße_und_Hausnummer Hausnr Anschrift Rechnungsadresse street_address MailingStreet 公司地址 通讯地址",
        ),
        ("postcode", "PLZ Postleitzahl zip_code postal_code 邮编"),
        ("city", "Ort Wohnort Stadt city BillingCity 城市 市"),
        ("identifier", "Steuernummer USt-IdNr. Kundennummer KundenNr. vat_number ssn 身份证号码 统一社会信用代码 客户编号"),
        ("domain", "Webseite Internet website 官网 网址"),
        ("category", "Land Bundesland Geschlecht country state 省份 性别 区县"),
        ("skip", "Bemerkungen Erstellt_am Umsatz Anrede notes created_at owner_id 备注 创建时间 职务 负责人"),
    ],
)
def test_headers_are_read(kind: str, headers: str) -> None:
    wrong = {h: header_kind(h) for h in headers.split() if header_kind(h) != kind}
    assert not wrong


@pytest.mark.parametrize(
    "headers",
    [
        {
            "first_name": "Vorname",
            "last_name": "Nachname",
            "email": "E-Mail",
            "birthday": "Geburtsdatum",
            "city": "Ort",
            "phone": "Telefon",
        },
        {"first_name": "名", "last_name": "姓", "email": "邮箱", "birthday": "出生日期", "city": "城市", "phone": "手机号"},
        {
            "first_name": "FirstName",
            "last_name": "LastName",
            "email": "Email",
            "birthday": "DateOfBirth",
            "city": "City",
            "phone": "Phone",
        },
    ],
)
def test_one_table_gives_one_definition_whatever_the_language_of_its_headers(headers: dict[str, str]) -> None:
    table = people(300, 8)
    usual, other = propose(table, ids="id"), propose(table.rename(headers), ids="id")
    assert [f.kind for f in other.definition.fields] == [f.kind for f in usual.definition.fields]
    assert [r.pairs for r in other.rules] == [r.pairs for r in usual.rules]


def test_every_column_has_a_use_or_a_reason() -> None:
    table = people(200, 3).with_columns(
        pl.lit("note").alias("Bemerkung"),
        pl.lit(None, dtype=pl.String).alias("fax"),
        ("K" + pl.col("id")).alias("Kundennummer"),
    )
    proposal = propose(table, ids="id")
    assert {c.column for c in proposal.columns} == set(table.columns) - {"id"}
    assert all(c.reason for c in proposal.columns)
    reasons = {c.column: c.reason for c in proposal.columns if not c.used_as}
    assert set(reasons) == {"Bemerkung", "fax", "Kundennummer"}
    assert "every record has its own" in reasons["Kundennummer"]


def test_a_rule_that_would_explode_is_left_out_and_narrower_ones_take_its_place() -> None:
    table = people(6_000, 5).with_columns(pl.lit("Weber").alias("last_name"))
    proposal = propose(table, ids="id")
    refused = [r for r in proposal.rules if not r.used and "explode" in r.reason]
    assert refused and all(r.pairs > 50_000 for r in refused)
    assert all(r.reason for r in proposal.rules if not r.used)
    used = [r for r in proposal.rules if r.used]
    named = {r.rule for r in used}
    for r in refused:
        assert "do without" in r.reason or any(f"instead: {name}" in r.reason for name in named)
    assert any("instead" in r.reason for r in refused)
    assert used and sum(r.pairs for r in used) <= 20 * table.height
