"""The control side under ``/_control/``: what tests and trainers do to the company, and what only an operator can see.

Not part of the vendor's interface: switches, faults, the clock, keys, edits by a person, aliases, the recycle bin. Changes
made here are made by a person, so they send webhooks (kept, and signed as the vendor signs them), which calls of the
interface never do. A page of another site cannot post here: the body must say it is JSON and no ``Origin`` may be named.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from steward.sandbox.jiandaoyun.gate import Refused
from steward.sandbox.jiandaoyun.state import SETTINGS, Fault, Json, State, iso
from steward.sandbox.jiandaoyun.values import member, shown, taken

OPERATOR = "operator"
KINDS = ("code", "http_429", "http_502", "cut_before", "cut_after", "cut_half", "delay", "late")
"""Faults: ``cut_half`` applies the first half of a batch and then breaks; ``late`` breaks, and takes effect when ``late`` is called."""


class _WrongError(Exception):
    """A control call that makes no sense."""


async def answer(state: State, request: Request) -> Response:
    """Answer one control call."""
    name = str(request.path_params["name"])
    try:
        if request.method == "GET":
            shower = SHOWN.get(name)
            return (
                JSONResponse({"error": "unknown"}, 404)
                if shower is None
                else JSONResponse(shower(state, dict(request.query_params)))
            )
        if "origin" in request.headers or not request.headers.get("content-type", "").startswith("application/json"):
            return JSONResponse({"error": "application/json without Origin is needed"}, 403)
        doer = DONE.get(name)
        if doer is None:
            return JSONResponse({"error": "unknown"}, 404)
        body = json.loads(await request.body() or b"{}")
        return JSONResponse(doer(state, body))
    except (_WrongError, KeyError, TypeError, ValueError) as wrong:
        return JSONResponse({"error": f"{type(wrong).__name__}: {wrong}"}, 400)


def _settings(state: State, body: Json) -> Json:
    unknown = set(body) - set(SETTINGS)
    if unknown:
        raise _WrongError(f"unknown setting {sorted(unknown)[0]}")
    state.settings.update(body)
    return state.settings


def _fault(state: State, body: Json) -> Json:
    fault = Fault(**body)
    if fault.kind not in KINDS:
        raise _WrongError(f"unknown fault {fault.kind}")
    state.faults.append(fault)
    return {"armed": len(state.faults)}


def _calm(state: State, body: Json) -> Json:
    state.faults.clear()
    return {"armed": 0}


def _late(state: State, body: Json) -> Json:
    """Let calls that were held back take effect; one that is refused by now does nothing."""
    done = 0
    while state.held:
        call = state.held.pop(0)
        try:
            call()
            done += 1
        except Refused:
            continue
    return {"done": done}


def _clock(state: State, body: Json) -> Json:
    if body.get("freeze"):
        state.frozen = state.now()
    if "advance" in body:
        if state.frozen is None:
            state.offset += float(body["advance"])
        else:
            state.frozen += float(body["advance"])
    return {"now": iso(state.now())}


def _key(state: State, body: Json) -> Json:
    state.run(
        "INSERT OR REPLACE INTO keys VALUES (?,?,?,?,?)",
        body["key"], int(body.get("enabled", True)),
        *(None if body.get(n) is None else json.dumps(body[n]) for n in ("apps", "apis", "ips")),
    )  # fmt: skip
    return {"key": body["key"]}


def _alias(state: State, body: Json) -> Json:
    done = state.run(
        "UPDATE widgets SET alias = ? WHERE entry_id = ? AND widget_name = ?", body["alias"], body["entry_id"], body["widget"]
    )
    state.touch(body["entry_id"])
    return {"changed": done}


def _edit(state: State, body: Json) -> Json:
    """A person edits a record; ``data`` is not wrapped here and is keyed as the wire does."""
    entry = body["entry_id"]
    record = state.record(entry, body["data_id"])
    if record is None:
        raise _WrongError("no such record")
    wrapped = {k: {"value": v} for k, v in body["data"].items()}
    state.update(entry, body["data_id"], taken(state, state.fields(entry), wrapped, json.loads(record["body"])), OPERATOR)
    _push(state, "data_update", body["data_id"])
    return {"edited": body["data_id"]}


def _line(state: State, body: Json) -> Json:
    """A person adds a line to a subform; a call could not write every kind of its columns. ``column`` is a label."""
    entry = body["entry_id"]
    record = state.record(entry, body["data_id"])
    column = next((f for f in state.fields(entry) if f.parent and f.label == body["column"]), None)
    if record is None or column is None:
        raise _WrongError("no such record or column")
    held = json.loads(record["body"])
    held.setdefault(column.parent, []).append({"_id": state.new_id(), column.name: body["value"]})
    state.update(entry, body["data_id"], held, OPERATOR)
    _push(state, "data_update", body["data_id"])
    return {"lines": len(held[column.parent])}


def _create(state: State, body: Json) -> Json:
    entry = body["entry_id"]
    wrapped = {k: {"value": v} for k, v in body["data"].items()}
    key = state.insert(entry, taken(state, state.fields(entry), wrapped), OPERATOR)
    _push(state, "data_create", key)
    return {"data_id": key}


def _delete(state: State, body: Json) -> Json:
    done = state.delete(body["entry_id"], body["data_id"], OPERATOR, to_bin=True)
    if done:
        _push(state, "data_remove", body["data_id"])
    return {"deleted": done}


def _recover(state: State, body: Json) -> Json:
    done = state.run(
        "UPDATE records SET deleted = NULL, deleter = NULL, updated = max(?, updated + 0.001) WHERE data_id = ? "
        "AND deleted IS NOT NULL AND purged = 0",
        state.now(), body["data_id"],
    )  # fmt: skip
    if done:
        entry = state.rows("SELECT entry_id FROM records WHERE data_id = ?", body["data_id"])[0][0]
        state.event("data.record.recover", OPERATOR, entry, body["data_id"])
        state.touch(entry)
        _push(state, "data_recover", body["data_id"])
    return {"recovered": bool(done)}


def _purge(state: State, body: Json) -> Json:
    return {"purged": state.run("UPDATE records SET purged = 1 WHERE data_id = ? AND deleted IS NOT NULL", body["data_id"])}


def _mark(state: State, body: Json) -> Json:
    return {"marked": state.run("UPDATE records SET marked = ? WHERE data_id = ?", int(body.get("on", True)), body["data_id"])}


def _flow(state: State, body: Json) -> Json:
    return {"changed": state.run("UPDATE records SET flow_state = ? WHERE data_id = ?", int(body["state"]), body["data_id"])}


def _busy(state: State, body: Json) -> Json:
    state.run("UPDATE forms SET busy_until = ? WHERE entry_id = ?", state.now() + float(body["seconds"]), body["entry_id"])
    return {"busy_until": iso(state.now() + float(body["seconds"]))}


def _push(state: State, op: str, data_id: str) -> None:
    record = state.row("SELECT * FROM records WHERE data_id = ?", data_id)
    assert record is not None
    data = shown(state, record, "")
    data["deleter"] = member(state, record["deleter"]) if record["deleter"] else None
    data["deleteTime"] = iso(record["deleted"]) if record["deleted"] else None
    body = json.dumps({"op": op, "data": data}, ensure_ascii=False)
    nonce, stamp = secrets.token_hex(8), str(int(state.now()))
    signature = hashlib.sha1(f"{nonce}:{body}:{state.secret}:{stamp}".encode()).hexdigest()  # noqa: S324 - the vendor's scheme
    state.run("INSERT INTO pushes(body, query, signature) VALUES (?,?,?)", body, f"nonce={nonce}&timestamp={stamp}", signature)


# -- showing -----------------------------------------------------------------------------------------------------------------


def _forms(state: State, query: dict[str, str]) -> Any:
    return [
        {
            "app_id": f["app_id"], "entry_id": f["entry_id"], "name": f["name"], "table": f["tab"],
            "records": state.rows("SELECT count(*) FROM records WHERE entry_id = ? AND deleted IS NULL", f["entry_id"])[0][0],
            "fields": [
                {"widget": w.name, "key": w.key, "label": w.label, "type": w.kind, "target": w.target, "in": w.parent}
                for w in state.fields(f["entry_id"])
            ],
        }
        for f in state.rows("SELECT * FROM forms ORDER BY entry_id")
    ]  # fmt: skip


def _records(state: State, query: dict[str, str]) -> Any:
    found = state.rows("SELECT * FROM records WHERE entry_id = ? AND deleted IS NULL ORDER BY data_id", query["entry_id"])
    return [{"_id": r["data_id"], "body": json.loads(r["body"]), "updated": iso(r["updated"])} for r in found]


def _bin(state: State, query: dict[str, str]) -> Any:
    found = state.rows("SELECT * FROM records WHERE deleted IS NOT NULL AND purged = 0 ORDER BY deleted DESC")
    return [
        {"_id": r["data_id"], "entry_id": r["entry_id"], "deleter": r["deleter"], "deleted": iso(r["deleted"])} for r in found
    ]


def _table(name: str) -> Callable[[State, dict[str, str]], Any]:
    return lambda state, query: [dict(r) for r in state.rows(f"SELECT * FROM {name} ORDER BY n")]  # noqa: S608 - our own tables


SHOWN: dict[str, Callable[[State, dict[str, str]], Any]] = {
    "settings": lambda state, query: state.settings,
    "forms": _forms,
    "records": _records,
    "bin": _bin,
    "log": _table("log"),
    "events": _table("events"),
    "webhooks": _table("pushes"),
}
DONE: dict[str, Callable[[State, Json], Any]] = {
    "settings": _settings, "fault": _fault, "calm": _calm, "late": _late, "clock": _clock, "key": _key, "alias": _alias, "edit": _edit, "line": _line,
    "create": _create, "delete": _delete, "recover": _recover, "purge": _purge, "mark": _mark, "flow": _flow, "busy": _busy,
}  # fmt: skip
