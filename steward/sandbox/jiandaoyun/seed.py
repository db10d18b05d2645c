"""Fills a company of the sandbox with the generator's rows, as apps, forms, widgets, members and records.

The generated CRM is built in a SQLite file of its own and read by plain SQL. Ids follow the day a record was made, and
what the generator calls deleted goes into the recycle bin. Left to others: the rows themselves (``steward.sandbox``).
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

from steward.sandbox.build import AS_OF, Truth, build_crm
from steward.sandbox.jiandaoyun.forms import APPS, FORMS, Form, Widget
from steward.sandbox.jiandaoyun.state import Json, State

READ_KEY, FULL_KEY = "sandbox-read-only", "sandbox-all"
"""API keys that every company starts with; they open nothing but a sandbox."""

READING = ("/v5/app/list", "/v5/app/entry/list", "/v5/app/entry/widget/list", "/v5/app/entry/data/get", "/v5/app/entry/data/list",
           "/v5/corp/user/get", "/v5/corp/department/user/list", "/v6/corp/department/list", "/v6/workflow/instance/get",
           "/v1/audit_log/domains", "/v1/audit_log/list")  # fmt: skip
"""Calls that change nothing."""

_OPEN = frozenset({"open", "overdue", "confirmed", "draft", "new", "waiting", "shipped"})


def fill(state: State, *, customers: int = 1_000, seed: int = 0, as_of: date = AS_OF) -> tuple[Truth, dict[str, str]]:
    """Fill an empty company.

    Parameters
    ----------
    state : State
        The company.
    customers : int
        Number of contacts, 10 or more.
    seed : int
        The same seed gives the same records and ids.
    as_of : date
        The day the records are as of.

    Returns
    -------
    tuple of Truth and dict of str to str
        What was planted, by the generator's ids; and those ids → the record's id here.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "crm.sqlite"
        truth = build_crm(path, customers=customers, seed=seed, as_of=as_of)
        source = sqlite3.connect(path)
        source.row_factory = sqlite3.Row
        try:
            state.db.execute("BEGIN")
            _company(state, source)
            ids = _records(state, source)
            state.db.execute("COMMIT")
        finally:
            source.close()
    return truth, ids


def _company(state: State, source: sqlite3.Connection) -> None:
    for n, (name, short) in enumerate(APPS):
        state.run("INSERT INTO apps VALUES (?,?,?)", f"65a0{n:020x}", name, short)
    entries = {f.table: f"65b0{n:020x}" for n, f in enumerate(FORMS)}
    count = 0
    for form in FORMS:
        app = state.rows("SELECT app_id FROM apps WHERE short = ?", form.app)[0][0]
        state.run(
            "INSERT INTO forms(entry_id, app_id, name, tab, flow, preset, modified) VALUES (?,?,?,?,?,?,?)",
            entries[form.table], app, form.label, form.table, int(form.flow), int(not form.table), state.now(),
        )  # fmt: skip
        for widget in form.widgets:
            count += 1
            name = f"_widget_{1_700_000_000_000 + count}"
            _widget(state, entries, form, widget, name, "", count)
            for item in widget.items:
                count += 1
                _widget(state, entries, form, item, f"_widget_{1_700_000_000_000 + count}", name, count)
    state.run("INSERT INTO departments VALUES (1, '总公司', NULL), (2, '销售部', 1), (3, '客服部', 1)")
    for n, user in enumerate(source.execute("SELECT * FROM user ORDER BY id")):
        state.run("INSERT INTO members VALUES (?,?,?,0,?)", user["id"], user["name"], 1 if user["is_active"] else -1, 2 + n % 2)
    state.run("INSERT INTO members VALUES ('api', 'API', 1, 0, 1)")
    state.run("INSERT INTO keys VALUES (?,1,NULL,?,NULL), (?,1,NULL,NULL,NULL)", READ_KEY, json.dumps(READING), FULL_KEY)


def _widget(state: State, entries: dict[str, str], form: Form, w: Widget, name: str, parent: str, n: int) -> None:
    state.run(
        "INSERT INTO widgets VALUES (?,?,?,?,?,?,?,?)",
        entries[form.table], name, w.alias, w.label, w.kind, entries[w.target] if w.target else "", parent, n,
    )  # fmt: skip


def _records(state: State, source: sqlite3.Connection) -> dict[str, str]:
    ids: dict[str, str] = {}
    for form in FORMS:
        if not form.table:
            continue
        entry = state.rows("SELECT entry_id FROM forms WHERE tab = ?", form.table)[0][0]
        fields = state.fields(entry)
        top = [f for f in fields if not f.parent and f.kind != "separator"]
        widgets = [w for w in form.widgets if w.kind != "separator"]
        for n, row in enumerate(source.execute(f'SELECT * FROM "{form.table}" ORDER BY created_at, id'), 1):  # noqa: S608 - our own table
            made, changed = (datetime.fromisoformat(row[c]).timestamp() for c in ("created_at", "updated_at"))
            key = ids[row["id"]] = state.new_id(made)
            body: Json = {}
            for f, w in zip(top, widgets, strict=True):
                value = _made(w, row, n, key, ids)
                if f.kind == "subform" and value:
                    columns = [c.name for c in fields if c.parent == f.name]
                    value = [{"_id": state.new_id(made), **dict(zip(columns, line, strict=True))} for line in value]
                if value not in (None, "", []):
                    body[f.name] = value
            owner = row["owner_id"] if "owner_id" in row.keys() and row["owner_id"] else "api"  # noqa: SIM118 - sqlite3.Row
            gone = datetime.fromisoformat(row["deleted_at"]).timestamp() if row["is_deleted"] and row["deleted_at"] else None
            state.run(
                "INSERT INTO records(data_id, entry_id, body, creator, updater, created, updated, deleter, deleted, flow_state) "
                "VALUES (?,?,?,?,?,?,?,?,?,?)",
                key, entry, json.dumps(body, ensure_ascii=False), owner, owner, made, changed,
                row["deleted_by"] if gone else None, gone,
                None if not form.flow else 0 if str(row["status"]) in _OPEN else 1,
            )  # fmt: skip
        state.run("UPDATE forms SET sn = (SELECT count(*) FROM records WHERE entry_id = ?) WHERE entry_id = ?", entry, entry)
    return ids


def _made(w: Widget, row: sqlite3.Row, n: int, key: str, ids: dict[str, str]) -> Any:
    if not w.source.startswith("@"):
        value = row[w.source]
        if value in (None, ""):
            return None
        if w.target:
            return ids.get(value)
        if w.kind == "number":
            return float(value) if "." in str(value) else int(value)
        if w.kind == "datetime":
            moment = str(value)
            return f"{moment[:10]}T{moment[11:19] or '00:00:00'}.000Z"
        return str(value)
    match w.source:
        case "@sn":
            return f"KH{n:06d}"
        case "@address":
            parts = {"country": row["country"], "city": row["city"], "zip": row["postcode"], "detail": row["street"]}
            return {k: v for k, v in parts.items() if v} or None
        case "@state":
            return ("潜在", "合作中", "暂停")[n % 3]
        case "@hold":
            return "是" if row["legal_hold"] else "否"
        case "@tags":
            return ["重点", "展会"][: n % 3] or None
        case "@files":
            return (
                [{"key": f"{key}-1", "name": f"合同 {n}.pdf", "size": 400 + n, "mime": "application/pdf"}]
                if n % 5 == 0
                else None
            )
        case "@card":
            return [{"key": f"{key}-2", "name": "名片.png", "size": 90 + n, "mime": "image/png"}] if n % 11 == 0 else None
        case "@accounts":
            return [("工商银行", f"6222{n:012d}")] if n % 4 == 0 else None
        case "@helpers":
            return [row["owner_id"]] if n % 3 == 0 and row["owner_id"] else None
        case "@dept":
            return 1 + n % 3
        case "@depts":
            return [2, 3][: n % 3] or None
        case "@ways":
            return [("微信", f"wx{n:06d}"), ("备用", f"1380000{n % 10_000:04d}")][: n % 3] or None
        case "@lines":
            receiver = ids.get(row["contact_id"]) if row["contact_id"] else None
            slip = [{"key": f"{key}-3", "name": "签收单.jpg", "size": 70 + n, "mime": "image/jpeg"}]
            return [(1 + n % 9, receiver, slip)] if receiver else None
    raise AssertionError(w.source)
