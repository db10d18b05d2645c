"""Calls that write records: create, update and delete, one at a time and in batches.

Nothing here lists, restores or purges what is in the recycle bin: the interface has no such call. None of them sends a
webhook. Left to others: what is stored of a value (``values``); operators (``control``).
"""

from __future__ import annotations

import json
from typing import Any

from steward.sandbox.jiandaoyun.gate import Call, Refused
from steward.sandbox.jiandaoyun.reading import asked, text
from steward.sandbox.jiandaoyun.state import Json, State
from steward.sandbox.jiandaoyun.values import shown, taken

MOST = 100
ACTOR = "api"
"""Whom the trail names: the key acts for the company."""
_TRANSACTION_LIFE = 3_600


def create(state: State, body: Json, base: str) -> Json:
    """``data/create``: a new record with a new id; ``data_creator`` may name the submitter."""
    entry = _free(state, body)
    key = _new(state, entry, body.get("data"), _creator(state, body), flow=body.get("is_start_workflow") is True)
    _trigger(state, body, entry, key)
    record = state.record(entry, key)
    assert record is not None
    return {"data": shown(state, record, base)}


def batch_create(state: State, body: Json, base: str) -> Json:
    """``data/batch_create``: repeating a ``transaction_id`` overwrites the rows and names no id."""
    entry = _free(state, body)
    rows = body.get("data_list")
    if not isinstance(rows, list) or not rows:
        raise Refused(3005)
    if len(rows) > MOST:
        raise Refused(17024)
    word = body.get("transaction_id")
    if word is not None:
        held = state.row("SELECT * FROM transactions WHERE word = ?", str(word))
        if held is not None and (held["kind"] != "batch_create" or held["until"] < state.now()):
            raise Refused(17026)
        if held is not None:
            for key, row in zip(json.loads(held["ids"]), rows, strict=False):
                if state.record(entry, key) is not None:
                    state.update(entry, key, taken(state, state.fields(entry), row), ACTOR)
            return {"status": "success", "success_count": 0, "success_ids": []}
    creator = _creator(state, body)
    ids = [_new(state, entry, row, creator, flow=body.get("is_start_workflow") is True) for row in rows]
    if word is not None:
        state.run(
            "INSERT INTO transactions VALUES (?,?,?,?)",
            str(word),
            "batch_create",
            json.dumps(ids),
            state.now() + _TRANSACTION_LIFE,
        )
    _lock(state, entry)
    return {"status": "success", "success_count": len(ids), "success_ids": ids}


def update(state: State, body: Json, base: str) -> Json:
    """``data/update``: names some fields, keeps the others; a subform is replaced with all its rows."""
    entry = _free(state, body)
    record = state.record(entry, text(body, "data_id"))
    if record is None:
        raise Refused(4001)
    key = record["data_id"]
    if record["flow_state"] == 0 and state.settings["running_update"] == "refuse":
        raise Refused(50031)
    _trigger(state, body, entry, key)
    state.update(entry, key, taken(state, state.fields(entry), body.get("data"), json.loads(record["body"])), ACTOR)
    after = state.record(entry, key)
    assert after is not None
    return {"data": shown(state, after, base)}


def batch_update(state: State, body: Json, base: str) -> Json:
    """``data/batch_update``: the same values for up to 100 records; subforms are left out."""
    entry = _free(state, body)
    keys = _keys(body, 17023)
    fields = [f for f in state.fields(entry) if f.kind != "subform" and not f.parent]
    done = 0
    for key in keys:
        record = state.record(entry, key)
        if record is not None:
            state.update(entry, key, taken(state, fields, body.get("data"), json.loads(record["body"])), ACTOR)
            done += 1
    _lock(state, entry)
    return {"status": "success", "success_count": done}


def delete(state: State, body: Json, base: str) -> Json:
    """``data/delete``: one step, and what a missing record answers is a switch."""
    entry = _free(state, body)
    key = text(body, "data_id")
    record = state.record(entry, key)
    if record is None:
        if state.settings["missing_single"] == "success":
            return {"status": "success"}
        raise Refused(int(state.settings["missing_single"]))
    _deletable(state, record)
    _trigger(state, body, entry, key)
    state.delete(entry, key, ACTOR, to_bin=state.settings["bin"])
    return {"status": "success"}


def batch_delete(state: State, body: Json, base: str) -> Json:
    """``data/batch_delete``: answers with a count and names no id."""
    entry = _free(state, body)
    keys = _keys(body, 17033)
    records = [r for r in (state.record(entry, k) for k in dict.fromkeys(keys)) if r is not None]
    if len(records) < len(set(keys)) and state.settings["missing_batch"] == "error":
        raise Refused(4001)
    for record in records:
        _deletable(state, record)
    done = sum(state.delete(entry, r["data_id"], ACTOR, to_bin=state.settings["bin"]) for r in records)
    _lock(state, entry)
    return {"status": "success", "success_count": done}


def _trigger(state: State, body: Json, entry: str, key: str) -> None:
    """Start the form's automations where the call says so; batches never do."""
    if body.get("is_start_trigger") is True:
        state.event("automation.start", ACTOR, entry, key)


def _new(state: State, entry: str, data: Any, creator: str, *, flow: bool) -> str:
    fields = state.fields(entry)
    made = taken(state, fields, data)
    for f in fields:
        if f.kind == "sn":
            state.run("UPDATE forms SET sn = sn + 1 WHERE entry_id = ?", entry)
            number = state.rows("SELECT sn FROM forms WHERE entry_id = ?", entry)[0][0]
            made[f.name] = f"KH{number:06d}"
    return state.insert(entry, made, creator, flow=flow)


def _creator(state: State, body: Json) -> str:
    name = body.get("data_creator")
    known = isinstance(name, str) and state.row("SELECT 1 FROM members WHERE username = ?", name) is not None
    return str(name) if known else ACTOR


def _free(state: State, body: Json) -> str:
    """Return the form, refused while a bulk job holds it."""
    entry = asked(body)
    if state.row("SELECT 1 FROM forms WHERE entry_id = ? AND busy_until > ?", entry, state.now()) is not None:
        raise Refused(4012)
    return entry


def _lock(state: State, entry: str) -> None:
    seconds = state.settings["busy_seconds"]
    if seconds:
        state.run("UPDATE forms SET busy_until = ? WHERE entry_id = ?", state.now() + seconds, entry)


def _keys(body: Json, too_many: int) -> list[str]:
    keys = body.get("data_ids")
    if not isinstance(keys, list) or not keys or not all(isinstance(k, str) for k in keys):
        raise Refused(3005)
    if len(keys) > MOST:
        raise Refused(too_many)
    return keys


def _deletable(state: State, record: Any) -> None:
    if record["marked"]:
        raise Refused(4402)
    if record["flow_state"] == 0 and state.settings["running_delete"] == "refuse":
        raise Refused(4042)


CALLS: dict[str, Call] = {
    "/v5/app/entry/data/create": create,
    "/v5/app/entry/data/batch_create": batch_create,
    "/v5/app/entry/data/update": update,
    "/v5/app/entry/data/batch_update": batch_update,
    "/v5/app/entry/data/delete": delete,
    "/v5/app/entry/data/batch_delete": batch_delete,
}
