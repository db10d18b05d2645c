"""Levers of the Fxiaoke sandbox under ``/_control/``: switches, faults, clock, edits by "somebody else", a look inside.

They answer only a caller that names the server by its loopback address and sends JSON, so that no page in a browser
can pull them. Left to others: what the levers change (``world``).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from steward.sandbox.fxiaoke import actions
from steward.sandbox.fxiaoke.objects import OBJECTS, Json, is_custom
from steward.sandbox.fxiaoke.reading import Call
from steward.sandbox.fxiaoke.world import FAULTS, Fault, Refusal, World

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def is_local(request: Request) -> bool:
    """Tell whether the caller names the server by a loopback address, which a rebound name in a browser does not."""
    return request.url.hostname in LOOPBACK


class Levers:
    """The control calls of one world; each takes and gives JSON."""

    def __init__(self, world: World) -> None:
        self.world = world

    def switches(self, body: Json) -> Json:
        """Change switches and return all."""
        self.world.switches.change(body)
        return self.world.switches.shown()

    def faults(self, body: Json) -> Json:
        """Line up a fault; ``clear`` removes all."""
        if body.get("clear") is True:
            self.world.faults.clear()
            return {"faults": 0}
        kinds = {"kind": str, "path": str, "code": int, "skip": int, "times": int}
        if body.get("kind") not in FAULTS or any(type(v) is not kinds.get(n) for n, v in body.items()):
            raise ValueError(f"a fault is one of {', '.join(FAULTS)} with path, code, skip and times")
        self.world.faults.append(Fault(**body))  # type: ignore[arg-type]  # each was compared with its kind above
        return {"faults": len(self.world.faults)}

    def clock(self, body: Json) -> Json:
        """Stop the clock, or move it on by seconds."""
        seconds = body.get("advance", 0)
        if not isinstance(seconds, int | float) or isinstance(seconds, bool) or seconds < 0:
            raise ValueError("the clock moves on by seconds")
        if body.get("freeze") is True:
            self.world.clock.freeze()
        self.world.clock.advance(seconds)
        return {"now": self.world.now_ms()}

    def edit(self, body: Json) -> Json:
        """Change a record as another employee would on the screen."""
        api, fields = body.get("object"), body.get("fields")
        if not isinstance(api, str) or api not in OBJECTS or not isinstance(fields, dict):
            raise ValueError("object and fields are needed")
        doc = self.world.get(api, str(body.get("id")))
        if doc is None or not fields.keys() <= OBJECTS[api].keys() or "_id" in fields:
            raise ValueError("no such record or field")
        doc.update(fields)
        by = cast(str, self.world.employees()[-1]["number"])
        self.world.touch(doc, by)
        self.world.put(api, doc)
        self.world.note(api, str(doc["_id"]), "update", by)
        return {"record": doc}

    def act(self, body: Json) -> Json:
        """Void, recover or delete a record as another employee would on the screen."""
        verbs = {"void": actions.void, "recover": actions.recover, "delete": actions.delete}
        verb, api, key = str(body.get("verb")), str(body.get("object")), str(body.get("id"))
        if verb not in verbs:
            raise ValueError(f"a verb is one of {', '.join(verbs)}")
        by = cast(str, next(p["number"] for p in reversed(self.world.employees()) if not p["stopped"]))
        path = "/cgi/crm/custom/v2/data/" if is_custom(api) else "/cgi/crm/v2/data/"
        call = Call(path, {"data": {"dataObjectApiName": api, "object_data_id": key, "idList": [key]}}, by, False)
        try:
            return verbs[verb](self.world, call)
        except Refusal as refusal:
            raise ValueError(f"refused with {refusal.code}") from None

    def late(self, _body: Json) -> Json:
        """Let calls that were held back take effect; those that are refused now are counted as such."""
        calls, refused = list(self.world.late), 0
        self.world.late.clear()
        for call in calls:
            try:
                call()
            except Refusal:
                refused += 1
        return {"applied": len(calls) - refused, "refused": refused}

    def erase(self, body: Json) -> Json:
        """Remove a record without a trace, as somebody emptying the recycle bin does."""
        api, key = str(body.get("object")), str(body.get("id"))
        if self.world.get(api, key) is None:
            raise ValueError("no such record")
        self.world.drop(api, key)
        return {}

    def records(self, body: Json) -> Json:
        """Return all records of an object as stored, voided ones and nulls included."""
        return {"records": list(self.world.records(str(body.get("object"))))}

    def requests(self, _body: Json) -> Json:
        """Return the request log."""
        rows = self.world.db.execute("SELECT at, path, employee, object, code FROM request_log ORDER BY n").fetchall()
        return {"requests": [dict(zip(("at", "path", "employee", "object", "code"), row, strict=True)) for row in rows]}


def routes(world: World) -> list[Route]:
    """Return the routes of the levers."""
    levers = Levers(world)

    def route(act: Callable[[Json], Json]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            if not is_local(request) or request.headers.get("content-type", "").split(";")[0] != "application/json":
                return JSONResponse({"error": "only JSON from this machine"}, status_code=403)
            try:
                body = json.loads(await request.body() or b"{}")
                if not isinstance(body, dict):
                    raise ValueError("an object is needed")
                return JSONResponse(act(body))
            except ValueError as error:
                return JSONResponse({"error": str(error)}, status_code=400)

        return answer

    names = ("switches", "faults", "clock", "edit", "act", "late", "erase", "records", "requests")
    return [Route(f"/_control/{name}", route(getattr(levers, name)), methods=["POST"]) for name in names]
