"""The HTTP side of the sandbox: vendor API, faults, control API for tests, and a page that shows records and the log.

Meant for loopback only: the control API asks for no key. Left to others: what an answer says (``answering``).
"""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from steward.sandbox.copper.answering import Reply, answer, caller, envelope, limited, notify
from steward.sandbox.copper.page import page
from steward.sandbox.copper.shapes import RECORDS
from steward.sandbox.copper.state import State
from steward.sandbox.copper.switches import Fault

BASE = "/developer_api/v1"
_HTML_FAULT = "<html><body><h1>502 Bad Gateway</h1></body></html>"


class _Cut(Response):
    """Cuts the connection instead of answering."""

    def __init__(self, receive: Receive) -> None:
        super().__init__()
        self._transport: Any = getattr(getattr(receive, "__self__", None), "transport", None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Abort the socket; where the server shows none, break off in the middle of the answer."""
        if self._transport is not None:
            self._transport.abort()
            await asyncio.sleep(0.01)  # lets the server notice, so that it does not complain about a missing answer
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
        await send({"type": "http.response.body", "body": b"{"})


def serve_state(state: State) -> Starlette:
    """Return the server of one sandbox as an ASGI application."""

    async def vendor(request: Request) -> Response:
        raw = await request.body()
        path = request.url.path.removeprefix(BASE)
        reply, note = _vendor(state, request, path, raw)
        status = 0 if reply is None else reply.status
        state.write_down(request.method, path, raw.decode("utf-8", "replace"), status, note)
        if reply is None:
            return _Cut(request.receive)
        headers = {"x-request-id": uuid.uuid4().hex, "x-runtime": "0.01", "cache-control": "no-store", **reply.headers}
        if reply.body is None:
            return Response(status_code=reply.status, headers=headers)
        if isinstance(reply.body, str):
            return HTMLResponse(reply.body, reply.status, headers)
        return JSONResponse(reply.body, reply.status, headers)

    async def token(request: Request) -> Response:
        form = parse_qs((await request.body()).decode("utf-8", "replace"))
        user = state.codes.pop(form.get("code", [""])[0], None)
        good = user is not None and form.get("grant_type") == ["authorization_code"]
        if not good or user is None or not form.get("client_id") or not form.get("client_secret"):
            return JSONResponse({"error": "invalid_grant"}, 401)
        return JSONResponse({"access_token": state.token(user), "token_type": "Bearer", "scope": "developer/v1/all"})

    async def control(request: Request) -> Response:
        try:
            raw = await request.body()
            body = json.loads(raw) if raw.strip() else {}
            out = _control(state, request.method, request.path_params["verb"], body)
        except (ValueError, KeyError, TypeError) as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse(out) if out is not None else JSONResponse({"error": "not_found"}, 404)

    async def shown(request: Request) -> Response:
        kind = request.query_params.get("kind", "people")
        number = request.query_params.get("page", "1")
        text = page(state, kind if kind in (*RECORDS, "gone", "log") else "people", int(number) if number.isdecimal() else 1)
        policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        return HTMLResponse(text, headers={"content-security-policy": policy, "cache-control": "no-store"})

    async def nothing(request: Request) -> Response:
        return JSONResponse({"error": "not_found"}, 404, {"x-request-id": uuid.uuid4().hex})

    every = ["GET", "POST", "PUT", "DELETE", "PATCH"]
    return Starlette(
        routes=[
            Route("/", shown),
            Route("/oauth/token", token, methods=["POST"]),
            Route("/_control/{verb:path}", control, methods=every),
            Route(BASE + "/{path:path}", vendor, methods=every),
            Route("/{path:path}", nothing, methods=every),
        ]
    )


def _vendor(state: State, request: Request, path: str, raw: bytes) -> tuple[Reply | None, str]:
    """Answer with the planned fault taken into account; no reply means that the connection is cut."""
    who = caller(state, request.headers)
    if who is None:
        return envelope(401, "Invalid credentials"), ""
    fault = next((f for f in state.faults if f.strikes(request.method, path)), None)
    over = limited(state, who, bulk=path.endswith(("/bulk_create", "/bulk_update")))
    if over or (fault and fault.kind == "429"):
        return (Reply(429) if state.switches.rate_body == "empty" else envelope(429, "Too many requests")), "429"
    if fault and fault.kind == "500":
        return Reply(502, _HTML_FAULT), "fault: 500"
    if fault and fault.kind == "cut_before":
        return None, "fault: cut before"
    if fault and fault.kind == "late":
        query = dict(request.query_params)
        state.late.append(lambda: notify(state, answer(state, who, request.method, path, query, raw).deleted))
        return None, "fault: late"
    state.query("SAVEPOINT call")
    try:
        reply = answer(state, who, request.method, path, request.query_params, raw)
    except BaseException:
        state.query("ROLLBACK TO call")
        raise
    finally:
        state.query("RELEASE call")
    notify(state, reply.deleted)
    if fault:
        return None, "fault: cut after"
    return reply, ""


def _control(state: State, method: str, verb: str, body: dict[str, Any]) -> Any:
    """Do what a test or a trainer asks; None for an unknown verb."""
    if verb == "switches":
        if method in ("PUT", "POST"):
            state.switches.turn(body)
        return state.switches.shown()
    if verb == "faults":
        if method == "DELETE":
            state.faults.clear()
        elif method == "POST":
            state.faults.append(Fault(**body))
        return [{"kind": f.kind, "method": f.method, "path": f.path, "skip": f.skip, "times": f.times} for f in state.faults]
    if verb == "log" and method == "GET":
        names = ("n", "at", "method", "path", "asked", "status", "note")
        return [dict(zip(names, row, strict=True)) for row in state.query("SELECT * FROM log ORDER BY n")]
    if verb == "log" and method == "DELETE":
        state.query("DELETE FROM log")
        return []
    if verb == "counts" and method == "GET":
        rows = state.query("SELECT kind, count(*) FROM record WHERE body IS NOT NULL GROUP BY kind")
        return dict(rows)
    if verb == "notices" and method == "GET":
        taken = [{k: v for k, v in notice.items() if k != "taken"} for notice in state.notices]
        for notice in state.notices:
            notice["taken"] = True
        return taken
    if method != "POST":
        return None
    if verb == "late":
        held, state.late = state.late, []
        for call in held:
            call()
        return {"applied": len(held)}
    if verb == "settle":
        state.settle()
        return {"settled": True}
    if verb == "clock":
        state.ahead += float(body["advance"])
        return {"now": state.now()}
    if verb == "edit":
        return state.change(body["kind"], body["id"], body["changes"]) or {"error": "no such record"}
    if verb == "remove":
        state.drop(body["kind"], body["id"])
        return {"removed": True}
    if verb == "remove_user":
        return {"unassigned": remove_user(state, body["id"])}
    if verb == "oauth_code":
        code = uuid.uuid4().hex
        state.codes[code] = body["user"]
        return {"code": code}
    return None


def remove_user(state: State, user: int) -> int:
    """Remove a user as an admin does in the web app: what they owned belongs to nobody. Returns the number of records."""
    count = 0
    for kind in RECORDS:
        if kind == "activities":
            continue
        owned = state.query("SELECT id FROM record WHERE kind = ? AND json_extract(body, '$.assignee_id') = ?", kind, user)
        for (id_,) in owned:
            state.change(kind, id_, {"assignee_id": None})
            count += 1
    state.drop("users", user)
    return count
