"""Made-up export files of four vendors, as each writes them: headers in English and Chinese, every encoding, known twins.

The people and firms come from lists of syllables and a seed; nothing in them is anybody's. Headers follow what is known of
each vendor's exports (docs/reference/export-files.md), written down here apart from the layouts under test.
"""

from __future__ import annotations

import csv
import io
import random
from dataclasses import dataclass
from pathlib import Path

import openpyxl

FAMILY = {
    "zh": "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗",
    "en": [
        "Adler",
        "Baxter",
        "Conway",
        "Dalton",
        "Ellery",
        "Fenwick",
        "Garner",
        "Holloway",
        "Ingram",
        "Jarvis",
        "Keller",
        "Lorimer",
        "Mercer",
    ],
}
GIVEN = {"zh": ["伟", "芳", "娜", "敏", "静", "丽", "强", "磊", "军", "洋", "勇", "艳", "杰", "娟", "涛", "明", "超", "秀英", "建国", "晓东", "雨桐", "子轩", "思远", "海燕", "志强", "丹丹"],
         "en": ["Alice", "Brian", "Clara", "Derek", "Edith", "Frank", "Grace", "Henry", "Irene", "James", "Karen", "Louis", "Maria", "Nigel", "Olive", "Peter"]}  # fmt: skip
FIRMS = {
    "zh": ["华新", "东方", "宏达", "天成", "金桥", "海川", "瑞丰", "中科", "远景", "同创"],
    "en": ["Northway", "Bluefield", "Harrow", "Castle", "Midland", "Oakridge", "Summit", "Delta", "Pioneer"],
}
KINDS = {"zh": ["科技有限公司", "贸易有限公司", "实业股份有限公司"], "en": ["Ltd", "Trading Inc", "Group LLC"]}


@dataclass(frozen=True)
class Person:
    """One generated person; ``twin`` of another where it is the same one entered twice."""

    number: int
    family: str
    given: str
    phone: str
    mail: str
    firm: int
    twin: int | None = None


def people(language: str, count: int, *, twins: int = 5, seed: int = 7) -> list[Person]:
    """Return ``count`` people, the last ``twins`` of them entered a second time with small differences."""
    draw = random.Random(f"{language}/{seed}")
    found: list[Person] = []
    for number in range(count - twins):
        family, given = draw.choice(list(FAMILY[language])), draw.choice(GIVEN[language])
        phone = (
            f"13{draw.randrange(10**8, 10**9)}"
            if language == "zh"
            else f"+1 555 {draw.randrange(100, 999)} {draw.randrange(1000, 9999)}"
        )
        found.append(Person(number, family, given, phone, f"u{draw.randrange(10**6)}.{number}@example.com", draw.randrange(8)))
    for place in range(twins):
        first = found[place * 3]
        phone = first.phone if place % 2 else first.phone.replace(" ", "-")
        found.append(Person(count - twins + place, first.family, first.given, phone, first.mail, first.firm, first.number))
    return found


def firm_name(language: str, number: int) -> str:
    """Name of a firm."""
    return f"{FIRMS[language][number % len(FIRMS[language])]}{'' if language == 'zh' else ' '}{KINDS[language][number % 3]}"


def identifier(vendor: str, kind: str, number: int) -> str:
    """Return an id as the vendor makes them; those of Zoho are beyond 2^53, those of the Chinese vendors hexadecimal."""
    base = {"contact": 4, "account": 5, "user": 6, "deal": 7}[kind]
    if vendor == "zoho":
        return f"zcrm_67398820000{base:02d}{123457 + 7919 * number:06d}"
    if vendor == "copper":
        return str(base * 10**7 + 137 * number)
    return f"6{base}a1b2c3d4e5f607{number * 2654435761 % 16**8:08x}"


@dataclass(frozen=True)
class Table:
    """Header and rows of one export file."""

    header: list[str]
    rows: list[list[str]]

    def column(self, name: str) -> list[str]:
        """Values of one column."""
        return [row[self.header.index(name)] for row in self.rows]


def contacts(vendor: str, language: str, count: int = 40) -> Table:
    """Return the contacts of a vendor with headers and values in a language."""
    header = {
        ("zoho", "en"): ["Record Id", "Contact Owner.id", "Contact Owner", "First Name", "Last Name", "Account Name.id", "Account Name", "Email", "Phone", "Created By.id", "Created By", "Modified By.id", "Modified By", "Created Time", "Modified Time", "Contact Name", "Last Activity Time", "Tag"],
        ("zoho", "zh"): ["记录 ID", "联系人所有者.id", "联系人所有者", "名字", "姓氏", "客户名称.id", "客户名称", "电子邮件", "电话", "创建者.id", "创建者", "修改者.id", "修改者", "创建时间", "修改时间", "联系人姓名", "上次活动时间", "标签"],
        ("copper", "en"): ["Copper ID", "First Name", "Last Name", "Title", "Company", "Company Id", "Owned By", "Owner Id", "Email", "Email Type", "Phone Number", "Phone Number Type", "Tags", "Last Contacted", "Inactive Days", "Interaction Count", "Created At", "Updated At", "Segment cf_100001"],
        ("copper", "zh"): ["Copper ID", "First Name", "Last Name", "Title", "Company", "Company Id", "Owned By", "Owner Id", "Email", "Email Type", "Phone Number", "Phone Number Type", "Tags", "Last Contacted", "Inactive Days", "Interaction Count", "Created At", "Updated At", "客户等级 cf_100001"],
        ("fxiaoke", "zh"): ["唯一性ID", "姓名（必填）", "客户名称", "手机", "邮件", "负责人（必填）", "负责人主属部门", "归属部门", "生命状态", "锁定状态", "创建人", "创建时间", "最后修改人", "最后修改时间"],
        ("fxiaoke", "en"): ["Unique ID", "Contact Name (Required)", "Account Name", "Mobile", "Email", "Owner", "Owner's Main Department", "Data Own Department", "Life Status", "Lock Status", "Created By", "Create Time", "Last Modified By", "Last Modified Time"],
        ("jiandaoyun", "zh"): ["联系人姓名", "客户名称", "客户数据ID", "手机", "邮箱", "负责人", "提交人", "提交时间", "更新时间", "数据ID"],
        ("jiandaoyun", "en"): ["Contact Name", "Customer Name", "Customer Data ID", "Mobile", "Email", "Owner", "Submitter", "Submitted Time", "Updated Time", "Data ID"],
    }[vendor, language]  # fmt: skip
    rows = []
    for p in people(language, count):
        key, firm = identifier(vendor, "contact", p.number), identifier(vendor, "account", p.firm)
        user, name = identifier(vendor, "user", p.number % 3), firm_name(language, p.firm)
        whole = p.family + p.given if language == "zh" else f"{p.given} {p.family}"
        made, changed = (
            f"2023-0{1 + p.number % 9}-1{p.number % 9} 09:30:00",
            f"2024-0{1 + p.number % 9}-2{p.number % 8} 18:05:10",
        )
        us = f"{1 + p.number % 9}/{11 + p.number % 9}/2023"
        rows.append({
            "zoho": [key, user, "Kim", p.given, p.family, firm, name, p.mail, p.phone, user, "Kim", user, "Kim", made, changed, whole, changed, ""],
            "copper": [key, p.given, p.family, "", name, firm, "Kim", user, p.mail, "work", p.phone, "work", "a, b", us, "12", "3", us, us, "A"],
            "fxiaoke": [key, whole, name, p.phone, p.mail, "李雷", "销售部", "销售部", _status(language, p.number), "未锁定", "李雷", made[:16], "李雷", changed[:16]],
            "jiandaoyun": [whole, name, firm, p.phone, p.mail, "李雷", "韩梅梅", made, changed, key],
        }[vendor])  # fmt: skip
    return Table(header, rows)


def _status(language: str, number: int) -> str:
    void = number % 10 == 9
    return {"zh": "作废" if void else "正常", "en": "Void" if void else "Normal"}[language]


def accounts(vendor: str, language: str) -> Table:
    """Return the companies that the contacts belong to."""
    header = {
        ("zoho", "en"): ["Record Id", "Account Owner.id", "Account Owner", "Account Name", "Phone", "Website", "Created Time", "Modified Time", "Billing City"],
        ("zoho", "zh"): ["记录 ID", "客户所有者.id", "客户所有者", "客户名称", "电话", "网站", "创建时间", "修改时间", "账单城市"],
        ("copper", "en"): ["Copper ID", "Company", "Email Domain", "Street", "City", "Owned By", "Owner Id", "Primary Contact", "Interaction Count", "Created At", "Updated At", "Phone Number"],
        ("copper", "zh"): ["Copper ID", "Company", "Email Domain", "Street", "City", "Owned By", "Owner Id", "Primary Contact", "Interaction Count", "Created At", "Updated At", "Phone Number"],
        ("fxiaoke", "zh"): ["唯一性ID", "客户名称（必填）", "客户编号", "电话", "负责人（必填）", "负责人主属部门", "生命状态", "锁定状态", "创建时间", "最后修改时间"],
        ("fxiaoke", "en"): ["Unique ID", "Account Name (Required)", "Account No.", "Phone", "Owner", "Owner's Main Department", "Life Status", "Lock Status", "Create Time", "Last Modified Time"],
        ("jiandaoyun", "zh"): ["客户名称", "客户编号", "电话", "负责人", "提交人", "提交时间", "更新时间", "数据ID"],
        ("jiandaoyun", "en"): ["Customer Name", "Customer No.", "Phone", "Owner", "Submitter", "Submitted Time", "Updated Time", "Data ID"],
    }[vendor, language]  # fmt: skip
    rows = []
    for number in range(8):
        key, user, name = identifier(vendor, "account", number), identifier(vendor, "user", 0), firm_name(language, number)
        phone, when = f"010-{6200000 + number}", f"2022-03-1{number} 08:00:00"
        city = "北京" if language == "zh" else "Leeds"
        rows.append({
            "zoho": [key, user, "Kim", name, phone, f"www{number}.example", when, when, city],
            "copper": [key, name, f"d{number}.example", "1 Main St", city, "Kim", user, "", "4", f"3/1{number}/2022", f"3/1{number}/2022", phone],
            "fxiaoke": [key, name, f"C{number:04d}", phone, "李雷", "销售部", _status(language, number), "未锁定", when[:16], when[:16]],
            "jiandaoyun": [name, f"C{number:04d}", phone, "李雷", "韩梅梅", when, when, key],
        }[vendor])  # fmt: skip
    return Table(header, rows)


def write_csv(path: Path, table: Table, *, encoding: str = "utf-8-sig", delimiter: str = ",") -> Path:
    """Write a delimited file."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\r\n")
    writer.writerows([table.header, *table.rows])
    path.write_bytes(text.getvalue().encode(encoding))
    return path


def write_xlsx(path: Path, table: Table) -> Path:
    """Write a workbook with text in every cell."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in [table.header, *table.rows]:
        sheet.append(row)
    book.save(path)
    return path
