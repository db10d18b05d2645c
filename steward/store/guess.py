"""What a file without a mapping is about, told from its headers alone.

Left to others: the columns' use in matching (``steward.scoring.duplicates`` proposes its own definition).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from steward.crm.mapping import Role

_PERSON = {
    "name", "fullname", "displayname", "firstname", "givenname", "forename", "lastname", "surname", "familyname", "contactname", "personname",
    "namefirst", "namelast", "namefull", "primarynamefull", "primarynamefirst", "primarynamelast", "customername",
    "vorname", "nachname", "zuname", "familienname", "ansprechpartner", "姓名", "名字", "姓", "名", "客户姓名", "联系人", "聯絡人",
}  # fmt: skip
_COMPANY = {
    "companyname", "company", "organisation", "organization", "organisationname", "organizationname", "accountname", "firma",
    "firmenname", "unternehmen", "公司", "公司名称", "公司名稱", "企业名称", "客户名称", "單位", "单位", "nameorg", "primarynameorg",
}  # fmt: skip


def _plain(column: str) -> str:
    return re.sub(r"[\W_]+", "", column).lower()


def guess_role(columns: Sequence[str]) -> Role:
    """Return ``person`` where a column names a person, else ``company`` where one names a company, else ``other``."""
    plain = {_plain(c) for c in columns}
    if plain & _PERSON:
        return "person"
    return "company" if plain & _COMPANY else "other"


def guess_label(columns: Sequence[str], role: Role) -> tuple[str, ...]:
    """Return the columns that name a record to people; at most two."""
    wanted = _COMPANY if role == "company" else _PERSON
    return tuple(c for c in columns if _plain(c) in wanted)[:2]


def object_name(text: str) -> str:
    """Return a file's name as an object's name: ``[a-z][a-z0-9_]*``, at most 63 characters."""
    plain = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:60]
    if not plain:
        return "records"
    return plain if plain[0].isalpha() else f"t_{plain}"
