"""Values on the wire: how a stored one is shown, and what becomes of one that is written.

Shown: members as objects, phones as objects, links as objects of two kinds, attachments as addresses that are new with
every answer and die after fifteen days. Written: every value wrapped in ``{"value": …}``; anything else, or a value of the
wrong kind, is stored as nothing and the call still answers success.

Left to others: projection and filters (``reading``), the calls (``writing``).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import sqlite3
from datetime import datetime
from typing import Any
from urllib.parse import quote

from steward.sandbox.jiandaoyun.forms import UNWRITABLE
from steward.sandbox.jiandaoyun.state import Field, Json, State, iso

FILE_LIFE = 15 * 86_400
"""Seconds an attachment's address works."""

_HEX24 = re.compile(r"[0-9a-f]{24}")
_TEXT = frozenset({"text", "textarea", "radiogroup", "combo", "sale_stage", "sn"})
_LISTS = frozenset({"checkboxgroup", "combocheck", "image", "upload", "subform", "usergroup", "deptgroup"})
_OBJECTS = frozenset({"phone", "address", "location", "linkobject", "linkdata"})


def member(state: State, username: str) -> Json | None:
    """Member as an object; nothing for an unknown one."""
    row = state.row("SELECT * FROM members WHERE username = ?", username)
    if row is None:
        return None
    return {
        "name": row["name"], "username": row["username"], "status": row["status"], "type": row["kind"],
        "departments": [row["dept"]], "integrate_id": row["username"],
    }  # fmt: skip


def department(state: State, number: int) -> Json | None:
    """Department as an object; nothing for an unknown one."""
    row = state.row("SELECT * FROM departments WHERE dept_no = ?", number)
    return None if row is None else {"name": row["name"], "dept_no": row["dept_no"], "type": 0, "parent_no": row["parent"]}


def shown(state: State, record: sqlite3.Row, base: str, only: frozenset[str] | None = None) -> Json:
    """Return a record as the wire gives it; ``only`` holds the keys that were asked for."""
    entry_id = record["entry_id"]
    form = state.row("SELECT * FROM forms WHERE entry_id = ?", entry_id)
    assert form is not None
    body = json.loads(record["body"])
    fields = state.fields(entry_id)
    made: Json = {"_id": record["data_id"], "appId": form["app_id"], "entryId": entry_id}
    if only is None:
        made |= {
            "creator": member(state, record["creator"]), "updater": member(state, record["updater"]), "deleter": None,
            "createTime": iso(record["created"]), "updateTime": iso(record["updated"]), "deleteTime": None, "ext": "",
        }  # fmt: skip
        if record["flow_state"] is not None:
            made["flowState"] = record["flow_state"]
    for f in fields:
        if f.parent or f.kind == "separator" or (only is not None and f.key not in only):
            continue
        value = _out(state, f, body.get(f.name), base, fields)
        if value is not None or state.settings["empties"] != "absent":
            made[f.key] = value
    return made


def _out(state: State, f: Field, value: Any, base: str, fields: list[Field]) -> Any:
    if value is None or value in ("", [], {}):
        if state.settings["empties"] == "typed":
            return "" if f.kind in _TEXT else [] if f.kind in _LISTS else {} if f.kind in _OBJECTS else None
        return None
    if f.kind == "phone":
        return {"verified": False, "phone": value}
    if f.kind == "user":
        return member(state, value)
    if f.kind == "usergroup":
        return [m for m in (member(state, v) for v in value) if m is not None]
    if f.kind == "dept":
        return department(state, value)
    if f.kind == "deptgroup":
        return [d for d in (department(state, v) for v in value) if d is not None]
    if f.kind == "linkobject":
        return {"link_form": f.target, "link_id": value, "name": _title(state, value)}
    if f.kind == "linkdata":
        return {"id": value}
    if f.kind in ("image", "upload"):
        return [{"name": a["name"], "size": a["size"], "mime": a["mime"], "url": address(state, a, base)} for a in value]
    if f.kind == "subform":
        columns = [c for c in fields if c.parent == f.name]
        return [{"_id": row["_id"], **{c.key: _out(state, c, row.get(c.name), base, fields) for c in columns}} for row in value]
    return value


def _title(state: State, data_id: str) -> str:
    row = state.row("SELECT entry_id, body FROM records WHERE data_id = ?", data_id)
    if row is None:
        return ""
    first = next((f for f in state.fields(row["entry_id"]) if f.kind == "text"), None)
    return str(json.loads(row["body"]).get(first.name) or "") if first else ""


# -- attachments ---------------------------------------------------------------------------------------------------------


def _sign(state: State, words: str) -> str:
    return hmac.new(state.file_secret, words.encode(), hashlib.sha256).hexdigest()[:32]


def address(state: State, attachment: Json, base: str) -> str:
    """Address of an attachment: another one with every answer, good for fifteen days."""
    until = int(state.now()) + FILE_LIFE
    once = state.new_id()
    sign = _sign(state, f"{attachment['key']}/{until}/{once}")
    return f"{base}/files/{attachment['key']}/{quote(attachment['name'], safe='')}?e={until}&n={once}&s={sign}"


def good_address(state: State, key: str, until: str, once: str, sign: str) -> bool:
    """Whether an address is one we gave and has not run out."""
    return until.isdecimal() and hmac.compare_digest(sign, _sign(state, f"{key}/{until}/{once}")) and state.now() <= int(until)


# -- writing -------------------------------------------------------------------------------------------------------------


def taken(state: State, fields: list[Field], data: Any, old: Json | None = None) -> Json:
    """Return the body after a write: keys not named keep what ``old`` holds, what is wrong becomes nothing."""
    body = dict(old or {})
    if not isinstance(data, dict):
        return body
    by_key = {f.key: f for f in fields if not f.parent}
    for key, wrapped in data.items():
        f = by_key.get(key)
        if f is None or f.kind in UNWRITABLE or f.kind == "separator":
            continue
        body[f.name] = _in(state, f, wrapped, fields)
    return body


def _in(state: State, f: Field, wrapped: Any, fields: list[Field]) -> Any:
    if not isinstance(wrapped, dict) or set(wrapped) != {"value"}:
        return None
    value = wrapped["value"]
    if f.kind in _TEXT:
        return value if isinstance(value, str) else None
    if f.kind in ("checkboxgroup", "combocheck"):
        return value if isinstance(value, list) and all(isinstance(v, str) for v in value) else None
    if f.kind == "number":
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if f.kind == "datetime":
        return _moment(value)
    if f.kind == "user":
        return value if isinstance(value, str) and member(state, value) else None
    if f.kind == "usergroup":
        return value if isinstance(value, list) and all(isinstance(v, str) and member(state, v) for v in value) else None
    if f.kind == "dept":
        return value if isinstance(value, int) and department(state, value) else None
    if f.kind == "deptgroup":
        return value if isinstance(value, list) and all(isinstance(v, int) and department(state, v) for v in value) else None
    if f.kind == "phone":
        return value.get("phone") if isinstance(value, dict) and isinstance(value.get("phone"), str) else None
    if f.kind in ("address", "location"):
        return value if isinstance(value, dict) and value else None
    if f.kind == "lookup":  # the target's existence is not checked
        return value if isinstance(value, str) and _HEX24.fullmatch(value) else None
    if f.kind == "linkobject":
        return value.get("link_id") if isinstance(value, dict) and isinstance(value.get("link_id"), str) else None
    if f.kind == "subform" and isinstance(value, list):
        columns = {c.key: c for c in fields if c.parent == f.name}
        rows = []
        for given in value:
            if isinstance(given, dict):
                made = {
                    columns[k].name: _in(state, columns[k], v, fields)
                    for k, v in given.items()
                    if k in columns and columns[k].kind not in UNWRITABLE
                }
                rows.append({"_id": state.new_id(), **made})
        return rows
    return None


def _moment(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return None
    if parsed.tzinfo is None:
        return parsed.date().isoformat() + "T00:00:00.000Z"
    return iso(parsed.timestamp())
