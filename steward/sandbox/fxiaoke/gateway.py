"""The gateway of the Fxiaoke sandbox: every vendor call passes here, is limited, may break, and is noted.

Errors are HTTP 200 with a code, and the wording of their messages is drawn anew each time, so that nobody branches on
it. An unknown path answers 302 and a page, as the vendor's web host does. Left to others: what a call does
(``reading``, ``actions``), tests' levers (``control``), the page for people (``page``).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from steward.sandbox.fxiaoke import actions, control, page, reading
from steward.sandbox.fxiaoke.objects import Json
from steward.sandbox.fxiaoke.reading import Call
from steward.sandbox.fxiaoke.seed import fill
from steward.sandbox.fxiaoke.tokens import TOKEN_PATHS, authorised, give_token
from steward.sandbox.fxiaoke.world import Refusal, World

Handler = Callable[[World, Call], Json]
_DATA: dict[str, Handler] = {
    "get": reading.one, "query": reading.query, "invalid": actions.void, "delete": actions.delete, "recover": actions.recover,
    "create": actions.create, "update": actions.update, "changeOwner": actions.change_owner,
}  # fmt: skip
HANDLERS: dict[str, Handler] = {
    **{f"/cgi/crm/v2/data/{name}": handler for name, handler in _DATA.items()},
    **{f"/cgi/crm/custom/v2/data/{name}": handler for name, handler in _DATA.items()},
    "/cgi/crm/custom/v2/data/findSimple": reading.query,
    "/cgi/crm/custom/data/invalid": actions.void_many,
    "/cgi/crm/v2/object/list": reading.objects,
    "/cgi/crm/v2/object/describe": reading.describe,
    "/cgi/crm/v2/object/lock": actions.lock,
    "/cgi/crm/v2/object/unlock": actions.lock,
    "/cgi/crm/v2/object/getNewLogInfoListForWeb": reading.log,
    "/cgi/user/list": reading.user_list,
    "/cgi/user/simpleList": reading.user_list,
    "/cgi/user/getByMobile": reading.user_by_mobile,
}
_WORDS = ("Bad Request", "操作失败", "please check", "no permission", "系统繁忙，请稍后再试", "error", "success?", "参数错误")


class Cut(Response):
    """Breaks the connection in the middle of an answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Promise more than is sent."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4096")]})
        await send({"type": "http.response.body", "body": b'{"traceId":', "more_body": True})


class Gateway:
    """Serves the vendor's paths of one world."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def __call__(self, request: Request) -> Response:
        """Answer one call and note it."""
        world, path = self.world, request.url.path
        if request.method != "POST" or (path not in HANDLERS and path not in TOKEN_PATHS):
            world.db.execute("INSERT INTO request_log (at, path, code) VALUES (?, ?, 302)", (world.now_ms(), path))
            return HTMLResponse("<html><body>302 Found</body></html>", status_code=302, headers={"location": "/login"})
        employee, named, code, fault = "", "", 0, None
        answer: Json = {}
        try:
            body = self.body(await request.body())
            if path not in TOKEN_PATHS and not world.within(
                path, world.switches.calls_per_window, world.switches.window_seconds
            ):
                raise Refusal(world.switches.limit_code)
            fault = world.fault(path)
            if fault is not None and fault.kind == "code":
                raise Refusal(fault.code)
            if fault is not None and fault.kind == "late":
                call = authorised(world, request, body)
                world.late.append(lambda: self.act(HANDLERS[path], call))
            elif fault is None or fault.kind.endswith("_after"):
                if path in TOKEN_PATHS:
                    answer = await give_token(world, path, body)
                else:
                    call = authorised(world, request, body)
                    world.count_day()
                    employee, named = call.employee, _object(call)
                    answer = self.act(HANDLERS[path], call)
            if fault is not None and fault.kind == "code_after":
                raise Refusal(fault.code)
        except Refusal as refusal:
            code, answer = refusal.code, {}
        world.db.execute(
            "INSERT INTO request_log (at, path, employee, object, code) VALUES (?, ?, ?, ?, ?)",
            (world.now_ms(), path, employee, named, code),
        )
        if fault is not None and (fault.kind.startswith("cut") or fault.kind == "late"):
            return Cut()
        if fault is not None and fault.kind.startswith("html"):
            return HTMLResponse("<html><body>busy</body></html>")
        words = "success" if code == 0 else f"{world.random.choice(_WORDS)} {world.random.randrange(1000)}"
        outer = {"traceId": f"E-O.{uuid.uuid4().hex[:12]}", "errorCode": code, "errorMessage": "OK" if code == 0 else words,
                 "errorDescription": words}  # fmt: skip
        return JSONResponse(outer | answer)

    def act(self, handler: Handler, call: Call) -> Json:
        """Run a handler in one transaction: a refusal leaves nothing half done."""
        self.world.db.execute("BEGIN")
        try:
            answer = handler(self.world, call)
        except BaseException:
            self.world.db.execute("ROLLBACK")
            raise
        self.world.db.execute("COMMIT")
        return answer

    @staticmethod
    def body(raw: bytes) -> Json:
        """Return the body as an object."""
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError):
            raise Refusal(32000) from None
        if not isinstance(body, dict):
            raise Refusal(32000)
        return body


def _object(call: Call) -> str:
    data = call.body.get("data")
    named = data.get("dataObjectApiName") or data.get("apiName") if isinstance(data, dict) else None
    return named if isinstance(named, str) else ""


def create_app(database: Path | None = None, *, customers: int = 1_000, seed: int = 0) -> Starlette:
    """Return the sandbox as an ASGI application, filled on first use of its database.

    Parameters
    ----------
    database : Path or None
        SQLite file to keep the state in; None keeps it in memory.
    customers : int
        Contacts of the generated CRM, at least 10.
    seed : int
        The same seed gives the same records.

    Returns
    -------
    Starlette
        Its ``state.world`` is the :class:`~steward.sandbox.fxiaoke.world.World`.
    """
    world = World(database)
    try:
        fill(world, customers=customers, seed=seed)
    except BaseException:
        world.close()
        raise
    gateway = Gateway(world)
    app = Starlette(
        routes=[
            *page.routes(world),
            *control.routes(world),
            Route("/{path:path}", gateway.__call__, methods=["GET", "POST", "PUT", "DELETE", "HEAD"]),
        ]
    )
    app.state.world = world
    return app
