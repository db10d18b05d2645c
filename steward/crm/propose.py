"""Proposes a mapping file from a database's schema: keys, parents, roles, dates, owner, version and deletion flag.

Keys and parents come from the database's own constraints; where it declares none, and for everything else, names decide
(English, German, Chinese). A proposal is for a person to read and mend: what was guessed by name says so in a comment,
and what decides about protection (which states count as open business) is left for the person to fill in.

Reads the schema and, for columns named like a status, their distinct values. Left to others: reading records
(``steward.crm.sql``), what the words mean (``steward.crm.mapping``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnClause, Engine, column, inspect, select, table
from sqlalchemy.engine.reflection import Inspector
from sqlalchemy.exc import SQLAlchemyError

from steward.crm.mapping import FORMAT
from steward.crm.sql_engine import crm_error, place_of
from steward.errors import SchemaMismatchError
from steward.messages import N_

# role → parts of table names, the more particular roles first
ROLE_WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("membership", ("member", "subscription", "mitglied", "会员")),
    ("payment", ("payment", "zahlung", "付款", "收款", "回款")),
    ("invoice", ("invoice", "bill", "rechnung", "发票", "账单")),
    ("quote", ("quote", "quotation", "angebot", "报价")),
    ("contract", ("contract", "vertrag", "vertraeg", "合同")),
    ("deal", ("deal", "opportunit", "verkaufschance", "chance", "商机", "机会")),
    ("order", ("order", "auftrag", "auftraeg", "bestellung", "订单")),
    ("ticket", ("ticket", "case", "vorgang", "anfrage", "reklamation", "工单")),
    ("activity", ("activit", "event", "task", "call", "meeting", "aktivit", "termin", "aufgabe", "活动", "跟进", "任务")),
    ("note", ("note", "comment", "notiz", "bemerkung", "备注", "笔记")),
    ("file", ("attachment", "document", "file", "anhang", "dokument", "附件", "文件")),
    ("lead", ("lead", "prospect", "interessent", "线索")),
    ("user", ("user", "employee", "staff", "benutzer", "mitarbeiter", "nutzer", "用户", "员工")),
    ("person", ("contact", "person", "people", "kontakt", "ansprechpartner", "联系人", "人员")),
    ("company", ("company", "compan", "account", "organi", "customer", "client", "firma", "firmen", "kunde", "客户", "公司", "企业")),
)  # fmt: skip

COLUMN_WORDS: dict[str, tuple[str, ...]] = {
    "created": ("created_at", "createdat", "created", "createddate", "created_time", "date_created", "creation_date", "insert_date",
                "angelegt_am", "erstellt_am", "erstellt", "anlagedatum", "创建时间", "创建日期"),
    "modified": ("updated_at", "updatedat", "modified_at", "modified", "lastmodifieddate", "modified_time", "last_modified", "systemmodstamp",
                 "geaendert_am", "geändert_am", "aenderungsdatum", "修改时间", "更新时间"),
    "version": ("row_version", "rowversion", "version", "lock_version", "systemmodstamp", "versionsnummer", "版本"),
    "owner": ("owner_id", "ownerid", "owner", "assigned_to", "assigned_user_id", "salesperson_id", "betreuer", "betreuer_id", "besitzer", "负责人"),
    "event": ("closedate", "close_date", "invoice_date", "order_date", "issued_on", "occurred_at", "activitydate", "activity_date", "due_date",
              "rechnungsdatum", "auftragsdatum", "abschlussdatum", "termin", "开票日期", "订单日期", "成交日期"),
    "amount": ("amount", "total", "total_amount", "grand_total", "betrag", "summe", "gesamtbetrag", "金额", "总金额"),
}  # fmt: skip
SOFT_DELETE_WORDS = (
    "is_deleted", "isdeleted", "deleted", "deleted_at", "deletedat", "geloescht", "gelöscht", "geloescht_am", "gelöscht_am",
    "已删除", "是否删除", "删除时间",
)  # fmt: skip
STATUS_WORDS = ("status", "stage", "stagename", "state", "stufe", "phase", "状态", "阶段")
LABEL_WORDS = (
    "first_name", "firstname", "vorname", "名", "last_name", "lastname", "nachname", "姓", "name", "title", "subject", "number",
    "bezeichnung", "betreff", "nummer", "姓名", "名称", "主题", "编号",
)  # fmt: skip
_UMLAUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
_AT_WORDS = ("deleted_at", "deletedat", "geloescht_am", "gelöscht_am", "删除时间")
_BY_WORDS = ("deleted_by", "deletedby", "geloescht_von", "gelöscht_von", "删除人")
_ON_DELETE = {"CASCADE": "cascade", "SET NULL": "detach", "SET DEFAULT": "detach"}


@dataclass(slots=True)
class Proposed:
    """One object of a proposal."""

    name: str
    table: str
    key: str
    role: str
    parents: dict[str, str] = field(default_factory=dict)
    on_delete: dict[str, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    label: list[str] = field(default_factory=list)
    soft_delete: dict[str, str] = field(default_factory=dict)
    writable: list[str] | None = None
    guesses: list[str] = field(default_factory=list)
    status: str | None = None
    status_values: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Proposal:
    """A proposed mapping.

    Attributes
    ----------
    objects : list of Proposed
    left_out : dict of str to str
        Table → why it is not in the mapping.
    system : str
        The connector it is for.
    """

    objects: list[Proposed]
    left_out: dict[str, str]
    system: str = "sql"

    def to_toml(self, *, tenant: str, environment: str) -> str:
        """Return the mapping file's text; ``parse_mapping`` accepts it as it is."""
        lines = [
            "# Proposed by steward from the schema. Read every line: a wrong parent or deletion flag loses records.",
            f"format = {_quote(FORMAT)}",
            f"system = {_quote(self.system)}",
            f"tenant = {_quote(tenant)}",
            f"environment = {_quote(environment)}",
        ]
        for name, why in self.left_out.items():
            lines.append(f"# left out: {_comment(name)} ({why})")
        for o in self.objects:
            lines += ["", *(f"# {_comment(r)}" for r in o.remarks), f"[objects.{o.name}]"]
            if o.table != o.name:
                lines.append(f"table = {_quote(o.table)}")
            lines += [f"key = {_quote(o.key)}", f'role = "{o.role}"']
            if o.label:
                lines.append(f"label = [{', '.join(map(_quote, o.label))}]")
            lines += [f"{word} = {_quote(col)}" for word, col in o.words.items()]
            if o.parents:
                lines.append(f"parents = {_inline(o.parents)}")
                lines.append(f"on_delete = {_inline(o.on_delete)}")
            if o.soft_delete:
                lines.append(f"soft_delete = {_inline(o.soft_delete)}")
            if o.writable is not None:
                lines.append(f"writable = [{', '.join(map(_quote, o.writable))}]")
            if o.status and o.role in ("deal", "quote", "order", "invoice", "payment", "contract", "ticket"):
                lines.append("# Which states are closed? Without this line every record counts as open and protects:")
                values = ", ".join(map(_quote, o.status_values)) or '"closed"'
                lines.append(f"# open_when = {{ column = {_quote(o.status)}, not_in = [{values}] }}")
            lines += [f"# guessed by name: {_comment(g)}" for g in o.guesses]
        return "\n".join(lines) + "\n"


def propose_mapping(engine: Engine) -> Proposal:
    """Propose a mapping for every table of the default schema that has a single-column key.

    Raises
    ------
    SchemaMismatchError
        No table can be mapped.
    UnavailableError, DeniedError
        The database cannot be read.
    """
    try:
        inspector = inspect(engine)
        tables = sorted(inspector.get_table_names())
        keys = {t: _key(inspector, t) for t in tables}
        names = object_names([t for t in tables if keys[t] is not None])
        objects = [_propose(engine, inspector, t, str(keys[t]), names) for t in tables if keys[t] is not None]
    except SQLAlchemyError as error:
        raise crm_error(error, engine) from None
    left_out = {t: "no key of one column" for t in tables if keys[t] is None}
    if not objects:
        raise SchemaMismatchError(
            N_("{where} has no table with a key of one column."),
            next_step=N_("Add a key, or make a view with one and write the mapping by hand."),
            where=place_of(engine),
        )
    return Proposal(objects, left_out)


def _key(inspector: Inspector, name: str) -> str | None:
    declared = inspector.get_pk_constraint(name).get("constrained_columns") or []
    if len(declared) == 1:
        return str(declared[0])
    if declared:
        return None
    unique: list[list[str | None]] = [[*u["column_names"]] for u in inspector.get_unique_constraints(name)]
    unique += [i["column_names"] for i in inspector.get_indexes(name) if i.get("unique")]
    single = [str(u[0]) for u in unique if len(u) == 1 and u[0]]
    columns = [str(c["name"]) for c in inspector.get_columns(name)]
    by_name = [
        c for c in columns if c.lower() in ("id", f"{name}_id".lower(), f"{name.rstrip('s')}_id".lower(), f"{name}id".lower())
    ]
    return next(iter(single + by_name), None)


def object_names(tables: Sequence[str]) -> dict[str, str]:
    """Return an object name for every table: lower-case ASCII, unique; the role where the table's name has no letters."""
    given: dict[str, str] = {}
    for source in tables:
        base = re.sub(r"[^a-z0-9]+", "_", source.lower().translate(_UMLAUT)).strip("_")
        if not base or not base[0].isalpha():
            base = role_of(source) if role_of(source) != "other" else f"table_{base}".rstrip("_")
        name, n = base[:60], 2
        while name in given.values():
            name, n = f"{base[:57]}_{n}", n + 1
        given[source] = name
    return given


def role_of(name: str) -> str:
    lowered = name.lower()
    return next((role for role, parts in ROLE_WORDS if any(part in lowered for part in parts)), "other")


def _propose(engine: Engine, inspector: Inspector, source: str, key: str, names: dict[str, str]) -> Proposed:
    columns = [str(c["name"]) for c in inspector.get_columns(source)]
    found = Proposed(names[source], source, key, role_of(source))
    if found.role != "other":
        found.guesses.append(f"role {found.role}")
    for local, target, action in _foreign_keys(engine, inspector, source):
        parent = next((n for n in names if n == target or n.lower() == target.lower()), None)
        if parent is not None and local != key:
            found.parents[local] = names[parent]
            found.on_delete[local] = _ON_DELETE.get(action, "block")
    if not found.parents:
        for name in columns:
            referred = _referred(name, names)
            if referred is not None and name != key and referred != source:
                found.parents[name], found.on_delete[name] = names[referred], "block"
                found.guesses.append(f"parent {name}")
    for word, known in COLUMN_WORDS.items():
        hit = _first(columns, known)
        if hit is not None and hit != key:
            found.words[word] = hit
            found.guesses.append(f"{word} {hit}")
    mark = _first(columns, SOFT_DELETE_WORDS)
    if mark is not None:
        found.soft_delete = _soft_delete(inspector, source, mark, columns)
        found.guesses.append(f"soft_delete {mark}")
    found.label = [c for c in columns if c.lower() in LABEL_WORDS][:2]
    found.status = _first(columns, STATUS_WORDS)
    if found.status is not None:
        found.status_values = _values(engine, source, found.status)
    return found


def _foreign_keys(engine: Engine, inspector: Inspector, source: str) -> list[tuple[str, str, str]]:
    """Return column, referred table and action on delete of every foreign key of one column.

    SQLite is asked itself: reflection reads the table's SQL and misses ``ON DELETE`` where the reference stands beside
    its column, and a cascade taken for a refusal loses records.
    """
    if engine.dialect.name == "sqlite":
        quoted = engine.dialect.identifier_preparer.quote_identifier(source)
        with engine.connect() as connection:
            rows = connection.exec_driver_sql(f"PRAGMA foreign_key_list({quoted})").all()
        several = {row[0] for row in rows if row[1] > 0}
        return [(str(row[3]), str(row[2]), str(row[6]).upper()) for row in reversed(rows) if row[0] not in several]
    found = []
    for constraint in inspector.get_foreign_keys(source):
        columns = constraint["constrained_columns"]
        if len(columns) == 1:
            action = str(constraint.get("options", {}).get("ondelete", "")).upper()
            found.append((str(columns[0]), str(constraint["referred_table"]), action))
    return found


def _referred(name: str, names: dict[str, str]) -> str | None:
    """Return the table a column like ``company_id`` or ``AccountId`` names."""
    match = re.fullmatch(r"(.+?)_?id", name, flags=re.IGNORECASE)
    if match is None:
        return None
    stem = match[1].lower()
    return next((t for t in names if t.lower() in (stem, f"{stem}s", f"{stem}es", stem[:-1] + "ies")), None)


def _soft_delete(inspector: Inspector, source: str, mark: str, columns: Iterable[str]) -> dict[str, str]:
    columns = list(columns)
    kind = next(c["type"] for c in inspector.get_columns(source) if c["name"] == mark)
    words = {"column": mark}
    if mark.lower() not in _AT_WORDS:
        is_bool = inspector.dialect.name == "postgresql" and "BOOL" in str(kind).upper()
        words |= {"deleted": "true" if is_bool else "1", "live": "false" if is_bool else "0"}
        at = _first(columns, _AT_WORDS)
        if at is not None:
            words["at"] = at
    by = _first(columns, _BY_WORDS)
    if by is not None:
        words["by"] = by
    return words


def _values(engine: Engine, source: str, name: str) -> list[str]:
    """Return up to twelve states; more than that is no state."""
    col: ColumnClause[object] = column(name)
    with engine.connect() as connection:
        rows = connection.execute(
            select(col).select_from(table(source, col)).where(col.is_not(None)).distinct().limit(13)
        ).all()
    return sorted(str(r[0]) for r in rows) if len(rows) <= 12 else []


def _first(columns: Iterable[str], known: Sequence[str]) -> str | None:
    lowered = {c.lower(): c for c in columns}
    return next((lowered[k] for k in known if k in lowered), None)


def _quote(text: str) -> str:
    """Return a TOML basic string."""
    out = []
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif ord(char) < 0x20 or ord(char) == 0x7F:
            out.append(f"\\u{ord(char):04x}")
        else:
            out.append(char)
    return '"' + "".join(out) + '"'


def _comment(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


def _inline(words: dict[str, str]) -> str:
    return "{ " + ", ".join(f"{_quote(k)} = {_quote(v)}" for k, v in words.items()) + " }"
