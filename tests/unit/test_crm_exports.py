"""Whose export a header is, and the mapping that follows: written down here, not taken from the layouts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.crm.exports.dates import choose
from steward.crm.exports.layouts import LANGUAGES, VENDORS, layout, plain, spellings
from steward.crm.exports.propose import Part, propose_exports
from steward.crm.exports.recognise import fits, key_of, nearest, settle
from steward.crm.exports.written import to_toml
from steward.crm.mapping import parse_mapping
from steward.errors import SchemaMismatchError, UsageError
from tests.support.exports import accounts, contacts

EVERY = [(vendor, language) for vendor in VENDORS for language in ("en", "zh")]


@pytest.mark.parametrize(("vendor", "language"), EVERY)
def test_a_header_tells_vendor_object_and_language(vendor: str, language: str) -> None:
    company = {"copper": "company", "jiandaoyun": "customer"}.get(vendor, "account")
    for table, object in ((contacts(vendor, language), "contact"), (accounts(vendor, language), company)):
        found = settle(table.header, shown="x.csv")
        assert (found.layout.vendor, found.object) == (vendor, object)
        assert found.language == ("en" if vendor == "copper" else language)
        assert set(found.by) <= set(table.header) and len(found.by) >= 2
        assert key_of(found, shown="x.csv") == next(c for c in table.header if plain(c) in
            {"record id", "记录id", "copper id", "唯一性id", "unique id", "数据id", "data id"})  # fmt: skip


# Headers of what other programs export, and of the programming interfaces; whose they are was looked up, not computed.
KNOWN: list[tuple[list[str], tuple[str, str] | None]] = [
    (["Id", "Owner", "First_Name", "Last_Name", "Email", "Account_Name", "Created_Time", "Modified_Time"], ("zoho", "contact")),
    (["Id", "Owner", "Last_Name", "Company", "Lead_Status", "Created_Time"], ("zoho", "lead")),
    (["Id", "Owner", "Account_Name", "Phone", "Created_Time"], ("zoho", "account")),
    (["Id", "Owner", "Deal_Name", "Stage", "Account_Name", "Created_Time"], ("zoho", "deal")),
    (["Record Id", "Deal Owner.id", "Deal Name", "Stage", "Closing Date", "Account Name.id", "Created Time"], ("zoho", "deal")),
    (["Record Id", "Lead Owner", "First Name", "Last Name", "Company", "Lead Status", "Modified Time"], ("zoho", "lead")),
    (["Record Id", "Note Owner.id", "Note Content", "Parent ID.id", "Created Time"], ("zoho", "note")),
    (["Record Id", "Call Owner.id", "Subject", "Call Start Time", "Created Time"], ("zoho", "call")),
    (["Record Id", "Task Owner.id", "Subject", "Due Date", "Modified Time"], ("zoho", "task")),
    (["Id", "Subject", "Invoice_Date", "Due_Date", "Created_Time"], None),
    (["Copper ID", "Name", "Value", "Status", "Pipeline", "Close Date", "Owned By", "Created At"], ("copper", "deal")),
    (["Copper ID", "First Name", "Last Name", "Value", "Status", "Source", "Owned By", "Created At"], ("copper", "lead")),
    (["_id", "name", "owner", "life_status", "account_no", "create_time", "last_modified_time"], ("fxiaoke", "account")),
    (["唯一性ID", "商机名称", "客户名称", "负责人", "生命状态", "商机金额"], ("fxiaoke", "opportunity")),
    (["唯一性ID", "回款编号", "回款金额", "客户名称", "负责人", "锁定状态"], ("fxiaoke", "payment")),
    (["数据ID", "设备名称", "位置", "提交人", "提交时间"], ("jiandaoyun", "form")),
    (["data_id", "标题", "提交人", "提交时间", "更新时间"], ("jiandaoyun", "form")),
    (["唯一性ID", "客户名称", "负责人（必填）", "人员-普通成员-只读", "备注"], ("fxiaoke", "account")),
    (["记录 ID", "线索所有者", "称谓", "名", "姓*", "公司*", "创建者.id", "修改者.id"], ("zoho", "lead")),
    (["记录 ID", "账户所有者.id", "账户所有者", "账户名称", "创建时间"], ("zoho", "account")),
    (["数据ID", "跟进内容", "跟进时间", "提交人", "更新时间"], ("jiandaoyun", "activity")),
    # look-alikes: two other CRMs, another form builder, a phone book
    (["Record ID", "First Name", "Last Name", "Email", "Contact owner", "Create Date", "Last Modified Date"], None),
    (["Contact ID", "First Name", "Last Name", "Account Name", "Contact Owner", "Created Date", "Last Modified Date"], None),
    (["数据ID(不可修改)", "客户名称(必填)", "拥有者", "创建人", "创建时间", "修改时间", "数据状态"], None),
    (["姓名", "手机", "邮箱", "负责人", "创建时间"], None),
    (["序号", "问题一", "问题二", "提交人", "提交时间"], None),
    (["Record Id", "Contact Owner.id", "Last Name", "Email"], ("zoho", "contact")),
    (["id", "name"], None),
    ([], None),
]  # fmt: skip


@pytest.mark.parametrize(("header", "whose"), KNOWN)
def test_known_headers_and_look_alikes(header: list[str], whose: tuple[str, str] | None) -> None:
    assert [(f.layout.vendor, f.object) for f in fits(header)] == ([whose] if whose else [])


def test_what_fits_two_vendors_is_asked() -> None:
    header = ["唯一性ID", "客户名称", "负责人", "生命状态", "提交人", "提交时间"]
    with pytest.raises(UsageError) as refused:
        settle(header, shown="客户.csv")
    assert all(
        word in str(refused.value) for word in ("客户.csv", "Fxiaoke", "Jiandaoyun", "--vendor fxiaoke", "生命状态", "提交时间")
    )
    assert settle(header, shown="x", vendor="jiandaoyun").object == "customer"
    assert settle(header, shown="x", vendor="fxiaoke").object == "account"


def test_what_fits_none_says_what_is_nearest() -> None:
    with pytest.raises(UsageError, match=r"contact of Zoho CRM, but has no column Created Time.*--id COLUMN"):
        settle(["Record ID", "First Name", "Contact owner", "Create Date"], shown="x.csv")
    with pytest.raises(UsageError, match=r"not known as an export of Copper, Fxiaoke, Jiandaoyun, Zoho CRM.*--vendor"):
        settle(["a", "b"], shown="x.csv")
    assert nearest(["a", "b"]) is None
    with pytest.raises(UsageError, match="salesforce are not known"):
        fits(["a"], vendor="salesforce")
    with pytest.raises(UsageError, match="has an object account; known are: company"):
        settle(["a"], shown="x", vendor="copper", object="account")
    with pytest.raises(UsageError, match="has an object tree; known are: account"):
        settle(["a"], shown="x", object="tree")


def test_without_ids_the_way_to_get_them_is_said() -> None:
    for vendor, words in (("fxiaoke", "唯一性ID"), ("jiandaoyun", "数据ID"), ("zoho", "Record Id"), ("copper", "Copper ID")):
        table = contacts(vendor, "zh")
        header = [c for c in table.header if c not in ("唯一性ID", "数据ID", "记录 ID", "Copper ID")]
        found = settle(header, shown="x.csv", vendor=vendor, object="contact")
        with pytest.raises(SchemaMismatchError, match=rf"no ids.*{words}.*--id COLUMN"):
            key_of(found, shown="x.csv")


def test_two_columns_that_could_be_the_id_are_refused() -> None:
    found = settle(["唯一性ID", "唯一性ID（必填）", "客户名称", "负责人", "生命状态"], shown="x.csv")
    with pytest.raises(SchemaMismatchError, match="several columns that could be the id: 唯一性ID, 唯一性ID（必填）"):
        key_of(found, shown="x.csv")


@pytest.mark.parametrize(
    ("written", "compared"),
    [
        ("客户名称（必填）", "客户名称"), ("*客户名称", "客户名称"), ("客户名称 (Required)", "客户名称"), ("记录 ID", "记录id"),
        ("ＲＥＣＯＲＤ　Ｉｄ", "record id"), ("\ufeffRecord\u200b Id ", "record id"), ("Record\tId", "record id"), ("数据ID(不可修改)", "数据id(不可修改)"),
        ("负责人*", "负责人"), ("", ""),
    ],
)  # fmt: skip
def test_headers_are_compared_without_marks_and_width(written: str, compared: str) -> None:
    assert plain(written) == compared


@given(st.text(max_size=40))
def test_comparing_twice_changes_nothing(header: str) -> None:
    assert plain(plain(header)) == plain(header)


@given(st.lists(st.text(max_size=20), max_size=12))
def test_no_header_breaks_the_recognition(header: list[str]) -> None:
    for found in fits(header):
        assert set(found.by) <= set(header)
    nearest(header)


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_layout_is_whole(vendor: str) -> None:
    whole = layout(vendor)
    re.compile(whole.ids)
    for name, entry in whole.objects.items():
        assert spellings(entry.key), name
        assert {p.to for p in entry.parents} <= set(whole.objects), name
        for group in (*whole.needs, *entry.needs, entry.key, *entry.label):
            assert set(group) <= set(LANGUAGES) and spellings(group)


# ---------------------------------------------------------------------- the mapping


def _propose(vendor: str, language: str):  # type: ignore[no-untyped-def]  # a helper of this file
    parts = []
    for name, table in (("c.csv", contacts(vendor, language)), ("a.csv", accounts(vendor, language))):
        rows = [dict(zip(table.header, row, strict=True)) for row in table.rows]
        parts.append(Part(name, settle(table.header, shown=name), rows))
    return propose_exports(parts, tenant="acme")


def test_the_mapping_of_zoho_in_chinese() -> None:
    found = _propose("zoho", "zh")
    entry = found.mapping.objects["contact"]
    assert (entry.key, entry.role, entry.label) == ("记录 ID", "person", ("名字", "姓氏"))
    assert (entry.created, entry.modified, entry.owner) == ("创建时间", "修改时间", "联系人所有者.id")
    assert entry.parents == {"客户名称.id": "account"} and entry.on_delete == {"客户名称.id": "block"}
    assert entry.dates == {"创建时间": "iso", "修改时间": "iso", "上次活动时间": "iso"}
    assert entry.soft_delete is None and found.mapping.system == "files" and found.mapping.tenant == "acme"
    assert found.mapping.options == {"export": "zoho", "language": "zh"}


def test_the_mapping_of_fxiaoke_says_what_it_lacks() -> None:
    found = _propose("fxiaoke", "zh")
    entry = found.mapping.objects["contact"]
    assert entry.soft_delete is not None
    assert (entry.soft_delete.column, entry.soft_delete.deleted, entry.soft_delete.live) == ("生命状态", "作废", None)
    assert entry.owner == "负责人（必填）" and entry.parents == {}
    said = [t.format_map(f) for t, f in found.seen[0].remarks]
    assert "客户名称 names the account but holds no id; that link is not followed." in said
    assert not any("documented by Copper" in s for s in found.assumed) and any("作废" in s for s in found.assumed)


def test_the_mark_of_deletion_is_the_one_that_stands_there() -> None:
    header = ["Unique ID", "Account Name", "Owner", "Life Status"]
    for value in ("Void", "Voided", "Invalid"):
        part = Part("a.csv", settle(header, shown="a.csv"), [dict(zip(header, ["1", "A", "K", value], strict=True))])
        mark = propose_exports([part]).mapping.objects["account"].soft_delete
        assert mark is not None and mark.deleted == value


def test_the_mapping_of_copper_reads_its_dates_and_states() -> None:
    header = [
        "Copper ID",
        "Name",
        "Value",
        "Status",
        "Pipeline",
        "Close Date",
        "Owned By",
        "Created At",
        "Company Id",
        "Company",
    ]
    rows = [
        dict(zip(header, [str(n), "D", "5", "Open", "P", f"1/{n}/2025", "K", f"2/{n}/2025 3:0{n} PM", "7", "A"], strict=True))
        for n in range(1, 9)
    ]
    found = propose_exports([Part("o.csv", settle(header, shown="o.csv"), rows)])
    entry = found.mapping.objects["deal"]
    assert entry.dates == {"Created At": "%m/%d/%Y %I:%M %p", "Close Date": "%m/%d/%Y"}
    assert entry.open_when is not None and entry.open_when.not_in == ("Won", "Lost", "Abandoned")
    assert (entry.event, entry.amount) == ("Close Date", "Value")
    assert "Company Id refers to company, of which no file was given; that link is not followed." in [
        t.format_map(f) for t, f in found.seen[0].remarks
    ]


def test_two_vendors_do_not_make_one_mapping() -> None:
    parts = [Part(v, settle(contacts(v, "zh").header, shown=v)) for v in ("zoho", "fxiaoke")]
    with pytest.raises(UsageError, match="more than one CRM: Zoho CRM, Fxiaoke"):
        propose_exports(parts)


def test_forms_of_one_kind_are_objects_of_their_own() -> None:
    forms = [
        ["数据ID", "设备", "提交人", "提交时间"],
        ["数据ID", "位置", "提交人", "提交时间"],
        ["数据ID", "位置", "提交人", "提交时间"],
    ]
    parts = [
        Part(name, settle(h, shown=name))
        for name, h in zip(["Assets 2026.xlsx", "位置.csv", "位置 (2).csv"], forms, strict=True)
    ]
    objects = propose_exports(parts).mapping.objects
    assert {n: o.files for n, o in objects.items()} == {
        "assets_2026": ("Assets 2026.xlsx",),
        "form": ("位置.csv", "位置 (2).csv"),
    }


@pytest.mark.parametrize(("vendor", "language"), EVERY)
def test_a_written_mapping_is_the_mapping(vendor: str, language: str) -> None:
    found = _propose(vendor, language)
    assert parse_mapping(to_toml(found)) == found.mapping


def test_a_written_mapping_with_subforms_is_the_mapping() -> None:
    header = ["数据ID", "客户名称", "提交人", "提交时间", "明细.品名", "明细.数量", "附注.备注"]
    part = Part("k.csv", settle(header, shown="k.csv"), [], {"明细": ("明细.品名", "明细.数量"), "附注": ("附注.备注",)})
    found = propose_exports([part])
    assert parse_mapping(to_toml(found)) == found.mapping
    rows = found.mapping.objects["customer_rows"]
    assert (rows.table, rows.key, rows.parents) == ("明细", "数据ID+#", {"数据ID": "customer"})


def test_a_hostile_header_does_not_break_out_of_the_written_mapping() -> None:
    header = ["数据ID", "客户名称", "提交人", "提交时间", '负责人"\n[objects.evil]\nkey = "x"', "客户编号"]
    found = propose_exports([Part('a"\n[objects.evil2]\nkey="x".csv', settle(header, shown="x"))])
    assert list(parse_mapping(to_toml(found)).objects) == ["customer"]


# ---------------------------------------------------------------------- dates


@pytest.mark.parametrize(
    ("values", "formats"),
    [
        (["2024-01-02 03:04:05", "2024-12-31"], "iso"),
        (["2024-07-23T15:37:52+05:30"], "iso"),
        (["2024/1/2 3:04", "2024/12/31 23:59"], "%Y/%m/%d %H:%M"),
        (["2024年1月2日", "2024年12月31日 10:00"], "%Y年%m月%d日|%Y年%m月%d日 %H:%M"),
        (["31/12/2024", "1/2/2024"], "%d/%m/%Y"),
        (["12/31/2024 11:05 PM", "1/2/2024 1:00 AM"], "%m/%d/%Y %I:%M %p"),
        (["31.12.2024"], "%d.%m.%Y"),
        (["5/5/2024", "6/6/2024"], "%m/%d/%Y"),
    ],
)
def test_a_form_of_dates_is_told_from_a_sample(values: list[str], formats: str) -> None:
    assert choose([*values, None, ""]).formats == formats


def test_day_and_month_are_not_guessed() -> None:
    values = [f"{m}/{d}/2024" for m, d in ((1, 2), (3, 4), (11, 12))]
    assert choose(values).ambiguous and choose(values).formats is None
    assert choose(values, preferred=["%m/%d/%Y"]).formats == "%m/%d/%Y"
    assert choose(["25/12/2024"], preferred=["%m/%d/%Y"]).formats == "%d/%m/%Y"


def test_what_is_no_date_stays_text() -> None:
    assert choose(["soon", "later"]).unread
    assert choose([]) == choose([None, " "]) and not choose([]).unread
    assert choose(["2024-01-01"] * 99 + ["?"]).formats == "iso"
    assert choose(["2024-01-01"] * 9 + ["?"]).unread


def test_the_reference_page_names_every_object_and_no_other() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "export-files.md").read_text(encoding="utf-8")
    (line,) = [row for row in text.splitlines() if row.startswith("| objects |")]
    cells = [set(re.findall(r"`(\w+)`", cell)) for cell in line.split("|")[2:-1]]
    assert cells == [set(layout(vendor).objects) for vendor in ("copper", "zoho", "fxiaoke", "jiandaoyun")]
