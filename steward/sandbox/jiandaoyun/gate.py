"""What stands between a call and what it does: keys and scopes, limits, armed faults, the shape of refusals, the log.

Refusals are HTTP 400 with ``{"code", "msg"}`` and the words of ``msg`` are Chinese or English by chance, so that nobody
builds on them. Left to others: the control side (``control``), which is never limited and never refused here.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from steward.sandbox.jiandaoyun.state import Fault, Json, State

LIMIT = {
    "/v5/app/list": 30, "/v5/app/entry/list": 30, "/v5/app/entry/widget/list": 30,
    "/v5/app/entry/data/get": 30, "/v5/app/entry/data/list": 30,
    "/v5/app/entry/data/create": 20, "/v5/app/entry/data/update": 20, "/v5/app/entry/data/delete": 20,
    "/v5/app/entry/data/batch_create": 10, "/v5/app/entry/data/batch_update": 10, "/v5/app/entry/data/batch_delete": 10,
    "/v5/corp/user/get": 30, "/v5/corp/department/user/list": 10, "/v5/corp/user/delete": 20, "/v5/corp/user/batch_delete": 10,
    "/v6/corp/department/list": 10, "/v6/workflow/instance/get": 30, "/v1/workflow/instance/close": 20,
    "/v1/workflow/instance/activate": 20, "/v1/audit_log/domains": 30, "/v1/audit_log/list": 30,
}  # fmt: skip
"""Calls per second of each path."""

WORDS = {
    1010: ("成员不存在", "member does not exist"),
    2004: ("应用不存在", "app does not exist"),
    3000: ("表单不存在", "form does not exist"),
    3005: ("请求参数有误", "invalid parameter"),
    4001: ("数据不存在", "record does not exist"),
    4012: ("表单正在执行批量任务", "form is locked by a bulk job"),
    4042: ("数据删除失败", "delete failed"),
    4402: ("聚合表校验不通过", "aggregate table check refused"),
    4815: ("筛选条件无效", "invalid filter"),
    8301: ("签名校验失败", "key check failed"),
    8302: ("没有权限", "no permission"),
    8303: ("公司请求超限", "company rate exceeded"),
    8304: ("接口请求超限", "interface rate exceeded"),
    9004: ("内部错误", "internal error"),
    9007: ("锁定失败", "lock failure"),
    17018: ("API Key 无效", "invalid API key"),
    17024: ("批量新增超限", "batch create too large"),
    17023: ("批量更新超限", "batch update too large"),
    17026: ("transaction_id 重复", "transaction_id reused"),
    17033: ("批量删除超限", "batch delete too large"),
    17052: ("IP 不在范围内", "IP outside the key's scope"),
    17053: ("应用不在范围内", "app outside the key's scope"),
    17054: ("接口不在范围内", "API outside the key's scope"),
    50031: ("流程中的数据不可修改", "a record in a flow cannot be changed"),
    30002: ("预置表单不可调用", "preset form cannot be called"),
}


class Refused(Exception):
    """A call that is answered with ``{"code", "msg"}``."""

    def __init__(self, code: int, status: int = 400) -> None:
        super().__init__(code)
        self.code, self.status = code, status


class Cut(Response):
    """A connection that breaks: the answer begins and is never finished."""

    async def __call__(self, scope: Any, receive: Any, send: Callable[[MutableMapping[str, Any]], Awaitable[None]]) -> None:
        """Send the beginning of an answer only; the server then drops the connection."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4096")]})


Call = Callable[[State, Json, str], Json]

_WRITES = frozenset({"create", "update", "delete", "batch_create", "batch_update", "batch_delete"})


def refusal(state: State, code: int, status: int = 400) -> JSONResponse:
    """Return a refusal in the vendor's shape."""
    chinese, english = WORDS.get(code, ("请求失败", "request failed"))
    language = state.settings["language"]
    msg = chinese if language == "zh" or (language == "random" and random.random() < 0.5) else english  # noqa: S311 - a wording
    return JSONResponse({"code": code, "msg": msg}, status_code=status)


def failure(state: State, code: int) -> JSONResponse:
    """Return a refusal of a workflow write, which has a shape of its own."""
    return JSONResponse(
        {"status": "failure", "code": code, "message": WORDS.get(code, ("", "request failed"))[1]}, status_code=400
    )


async def answer(state: State, request: Request, path: str, call: Call) -> Response:
    """Let one call of the interface through the gate and write it into the log."""
    raw = await request.body()
    state.running += 1
    try:
        response = await _answer(state, request, path, call, raw)
    finally:
        state.running -= 1
    code = None
    if response.status_code >= 400 and response.media_type == "application/json":
        code = json.loads(bytes(response.body)).get("code")
    state.run(
        "INSERT INTO log(at, path, body, status, code) VALUES (?,?,?,?,?)",
        state.now(), path, raw[:4_000].decode("utf-8", "replace"), 0 if isinstance(response, Cut) else response.status_code, code,
    )  # fmt: skip
    return response


async def _answer(state: State, request: Request, path: str, call: Call, raw: bytes) -> Response:
    fault = _armed(state, path)
    if fault and fault.kind == "delay":
        await asyncio.sleep(fault.seconds)
    if (fault and fault.kind == "http_429") or 0 < state.settings["concurrency"] < state.running:
        return HTMLResponse("Too Many Requests", status_code=429)
    if fault and fault.kind == "http_502":
        return HTMLResponse("<html><body><h1>502 Bad Gateway</h1></body></html>", status_code=502)
    if fault and fault.kind == "cut_before":
        return Cut()
    try:
        key = _key(state, request, path)
        _rates(state, path)
        if fault and fault.kind == "code":
            raise Refused(fault.code)
        if state.settings["usage_code"]:
            raise Refused(state.settings["usage_code"])
        body = _body(raw)
        if key["apps"] is not None and body.get("app_id") and body["app_id"] not in json.loads(key["apps"]):
            raise Refused(17053)
        _form(state, body)
        if fault and fault.kind == "cut_half" and isinstance(body.get("data_ids"), list):
            body["data_ids"] = body["data_ids"][: len(body["data_ids"]) // 2]
        base = str(request.base_url).rstrip("/")
        if fault and fault.kind == "late":
            state.held.append(lambda: call(state, body, base))
            return Cut()
        made = call(state, body, base)
    except Refused as refused:
        if path.startswith("/v1/workflow/"):
            return failure(state, refused.code)
        return refusal(state, refused.code, refused.status)
    if fault and fault.kind in ("cut_after", "cut_half"):
        return Cut()
    return JSONResponse(made)


def _armed(state: State, path: str) -> Fault | None:
    for fault in state.faults:
        if path.endswith(fault.path) or (fault.path == "writes" and path.rpartition("/")[2] in _WRITES):
            if fault.after > 0:
                fault.after -= 1
                continue
            fault.times -= 1
            if fault.times <= 0:
                state.faults.remove(fault)
            return fault
    return None


def _key(state: State, request: Request, path: str) -> Any:
    words = request.headers.get("authorization", "").split(" ")
    if len(words) != 2 or words[0] != "Bearer" or not words[1]:
        raise Refused(8301)
    key = state.row("SELECT * FROM keys WHERE word = ?", words[1])
    if key is None or not key["enabled"]:
        raise Refused(17018)
    client = request.client.host if request.client else ""
    if key["ips"] is not None and client not in json.loads(key["ips"]):
        raise Refused(17052)
    if key["apis"] is not None and path not in json.loads(key["apis"]):
        raise Refused(17054)
    return key


def _rates(state: State, path: str) -> None:
    if not state.settings["rates"]:
        return
    now = state.now()
    for name, bound, code in (("", state.settings["company_rate"], 8303), (path, LIMIT[path], 8304)):
        seen = state.calls[name] = [t for t in state.calls.get(name, ()) if now - 1 < t <= now]
        if len(seen) >= bound:
            raise Refused(code)
        seen.append(now)


def _body(raw: bytes) -> Json:
    try:
        body = json.loads(raw or b"{}")
    except ValueError:
        raise Refused(3005) from None
    if not isinstance(body, dict):
        raise Refused(3005)
    return body


def _form(state: State, body: Json) -> None:
    """Refuse an app or form that is not there, and the preset one."""
    app, entry = body.get("app_id"), body.get("entry_id")
    if app is not None and state.row("SELECT 1 FROM apps WHERE app_id = ?", str(app)) is None:
        raise Refused(2004)
    if entry is not None:
        form = state.row("SELECT * FROM forms WHERE entry_id = ? AND app_id = ?", str(entry), str(app))
        if form is None:
            raise Refused(3000)
        if form["preset"]:
            raise Refused(30002)
