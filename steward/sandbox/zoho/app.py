"""The server: routes, faults, credits, the request log, the control API under ``/_control/`` and the page at ``/``.

Faults are set before a call and taken by the next calls that fit: status 429 or 500, the connection cut before or after the
call was applied, a call that takes effect late, an answer without its last verdict. Left to others: what a call does.
"""

from __future__ import annotations

import asyncio
import html
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from steward.sandbox.zoho import bulk, changing, people, reading, removing
from steward.sandbox.zoho.answers import Call, Handler, Refusal, answer
from steward.sandbox.zoho.auth import identify, refresh
from steward.sandbox.zoho.state import SWITCHES, State

_M, _ID = r"([A-Za-z_]+)", r"([0-9]+)"
_BIN = "/settings/recycle_bin"
ROUTES: tuple[tuple[str, str, Handler, int], ...] = (
    ("POST", "/bulk/read", bulk.create, 50),
    ("GET", f"/bulk/read/{_ID}", bulk.status, 1),
    ("GET", f"/bulk/read/{_ID}/result", bulk.result, 1),
    ("GET", "/org", reading.org, 1),
    ("GET", "/settings/modules", reading.modules, 1),
    ("GET", "/settings/fields", reading.fields, 1),
    ("GET", "/settings/related_lists", reading.related_lists, 1),
    ("GET", _BIN, removing.bin_list, 1),
    ("DELETE", _BIN, removing.purge, 1),
    ("GET", f"{_BIN}/actions/count", removing.bin_count, 1),
    ("POST", f"{_BIN}/actions/restore", removing.restore, 1),
    ("POST", f"{_BIN}/actions/empty", removing.empty, 1),
    ("GET", f"{_BIN}/{_ID}", removing.bin_list, 1),
    ("DELETE", f"{_BIN}/{_ID}", removing.purge, 1),
    ("POST", f"{_BIN}/{_ID}/actions/restore", removing.restore, 1),
    ("POST", "/settings/audit_log_export", changing.export, 1),
    ("GET", f"/settings/audit_log_export/{_ID}", changing.export_status, 1),
    ("GET", f"/settings/audit_log_export/{_ID}/file", changing.export_file, 1),
    ("POST", "/coql", reading.query, 1),
    ("GET", "/users", people.users, 1),
    ("GET", f"/users/{_ID}", people.users, 1),
    ("PUT", f"/users/{_ID}", people.deactivate, 1),
    ("DELETE", f"/users/{_ID}", people.remove, 1),
    ("POST", f"/users/{_ID}/actions/transfer_and_delete", people.transfer, 1),
    ("GET", f"/users/{_ID}/actions/transfer_and_delete", lambda s, c, _: people.transfer_status(s, c), 1),
    ("PUT", f"/{_M}/{_ID}", changing.update, 1),
    ("POST", f"/{_M}/actions/change_owner", changing.change_owner, 1),
    ("GET", f"/{_M}/deleted", reading.deleted, 2),
    ("GET", f"/{_M}/deleted/{_ID}/{_M}", lambda s, c, m, i, n: reading.related(s, c, m, i, n, life="bin"), 1),
    ("GET", f"/{_M}/search", reading.search, 1),
    ("GET", f"/{_M}/actions/count", reading.count, 1),
    ("GET", f"/{_M}/actions/fetch_full_data", reading.full_data, 1),
    ("POST", f"/{_M}/actions/mass_delete", removing.mass_delete, 1),
    ("GET", f"/{_M}/actions/mass_delete", removing.mass_status, 1),
    ("GET", f"/{_M}/{_ID}/__timeline", reading.timeline, 1),
    ("POST", f"/{_M}/{_ID}/actions/merge", people.merge, 1),
    ("POST", f"/{_M}/{_ID}/actions/get_related_records_count", people.related_count, 1),
    ("GET", f"/{_M}/{_ID}/{_M}", reading.related, 1),
    ("GET", f"/{_M}", reading.listing, 1),
    ("GET", f"/{_M}/([^/]+)", reading.single, 1),
    ("POST", f"/{_M}", changing.insert, 1),
    ("DELETE", f"/{_M}", removing.delete, 1),
    ("DELETE", f"/{_M}/([^/]+)", removing.delete, 1),
)  # fmt: skip
_COMPILED = [(method, re.compile(pattern), handler, cost) for method, pattern, handler, cost in ROUTES]
_VERSION = re.compile(r"/crm/(bulk/)?(v[0-9.]+)(/.*)")
Message = MutableMapping[str, Any]


class ZohoSandbox:
    """An ASGI application around one :class:`State`."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.late: list[tuple[str, str, Request, bytes]] = []

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """Answer one request, or cut the connection as a fault says."""
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        request = Request(scope, receive)
        raw = await request.body()
        path, method = request.url.path, request.method
        if path == "/" or path.startswith("/_control/"):
            await self._control(method, path, raw)(scope, receive, send)
            return
        fault = self._fault(method, path)
        latency = float(self.state.switches["latency_ms"])
        self.state.flying += 1
        try:
            if latency:
                await asyncio.sleep(latency / 1000)
            if fault == "cut_before":
                self._log(method, request, raw, 0)
                _cut(send)
                return
            if fault == "late":  # the answer is lost now, and the call takes effect when the control API says so
                self.late.append((method, path, request, raw))
                self._log(method, request, raw, 0)
                _cut(send)
                return
            if fault == "429" or self.state.flying > int(self.state.switches["concurrency"]):
                response = answer(Refusal(429, "TOO_MANY_REQUESTS", "Too many requests fired in concurrent").body, 429)
            elif fault == "403":
                response = answer(
                    Refusal(403, "NO_PERMISSION", "Permission denied", {"permissions": ["Crm_Implied"]}).body, 403
                )
            elif fault in {"500", "502", "503"}:
                response = answer(
                    Refusal(500, str(self.state.switches["server_error"]), "Internal Server Error").body, int(fault)
                )
            else:
                response = self._serve(method, path, request, raw)
        finally:
            self.state.flying -= 1
        self._log(method, request, raw, response.status_code)
        if fault == "cut_after":
            _cut(send)
            return
        if fault == "partial":
            response = _partial(response)
        await response(scope, receive, send)

    def _fault(self, method: str, path: str) -> str:
        for fault in self.state.faults:
            if (fault["method"] == "*" or re.fullmatch(fault["method"], method)) and re.search(fault["path"], path):
                if fault.get("skip", 0) > 0:
                    fault["skip"] -= 1
                    continue
                fault["times"] -= 1
                if fault["times"] <= 0:
                    self.state.faults.remove(fault)
                return str(fault["kind"])
        return ""

    def _serve(self, method: str, path: str, request: Request, raw: bytes) -> Response:
        state = self.state
        host = f"{request.url.scheme}://{request.url.netloc}"
        if path == "/oauth/v2/token" and method == "POST":
            form = dict(request.query_params) | dict(parse_qsl(raw.decode("utf-8", "replace")))
            return refresh(state, form, host)
        try:
            match = _VERSION.fullmatch(path)
            if match is None or match.group(2) not in {"v7", "v8"}:
                raise _no_path()
            call = Call(method, path, dict(request.query_params), request.headers, None, host)
            identify(state, call)
            if raw:
                try:
                    call.body = json.loads(raw)
                except ValueError:
                    raise Refusal(400, "INVALID_DATA", "either the request body or parameters is in wrong format") from None
            handler, parts, cost = _route(method, ("/bulk" if match.group(1) else "") + match.group(3).rstrip("/"))
            most = int(state.switches["credits"])
            if state.used_credits + cost > most:
                raise Refusal(429, "TOO_MANY_REQUESTS", "You have exceeded the maximum number of API calls")
            state.used_credits += cost
            try:
                response = handler(state, call, *parts)
            except (KeyError, IndexError, TypeError, ValueError, AttributeError):
                if call.body is None:
                    raise
                raise Refusal(400, "INVALID_DATA", "either the request body or parameters is in wrong format") from None
            if state.used_credits * 2 >= most:
                response.headers["X-API-CREDITS-REMAINING"] = str(most - state.used_credits)
        except Refusal as refusal:
            response = answer(refusal.body, refusal.status)
        return response

    def _log(self, method: str, request: Request, raw: bytes, status: int) -> None:
        query = f"?{request.url.query}" if request.url.query and "token" not in request.url.path else ""
        body = "" if "token" in request.url.path else raw[:2000].decode("utf-8", "replace")  # secrets are not logged
        self.state.db.execute(
            "INSERT INTO log (moment, method, path, status, body) VALUES (?, ?, ?, ?, ?)",
            (self.state.now(), method, request.url.path + query, status, body),
        )

    # the control API

    def _control(self, method: str, path: str, raw: bytes) -> Response:
        state = self.state
        if path == "/":
            return HTMLResponse(
                page(state), headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
            )
        body = json.loads(raw) if raw else {}
        name = path.removeprefix("/_control/")
        if name == "switches" and method == "POST":
            unknown = set(body) - set(SWITCHES) - {"bulk_failures", "refuse_delete"}
            if unknown:
                return answer({"error": f"unknown switch {sorted(unknown)[0]}"}, 400)
            state.switches.update(body)
            return answer(state.switches)
        if name == "faults" and method == "POST":
            state.faults.append({"method": "*", "path": ".", "times": 1, **body})
            return answer({"faults": state.faults})
        if name == "faults" and method == "DELETE":
            state.faults.clear()
            return answer({"faults": []})
        if name == "clock" and method == "POST":
            state.advance(float(body.get("seconds", 0)) + 86_400 * float(body.get("days", 0)))
            return answer({"now": state.moment(state.now())})
        if name == "edit" and method == "POST":
            (first,) = state.db.execute("SELECT id FROM person ORDER BY id LIMIT 1").fetchone()
            changed = state.edit(int(body["id"]), body["values"], state.person(first))
            if changed:
                state.remember(int(body["id"]), "updated", "crm_ui", first)
            return answer({"changed": changed}, 200 if changed else 404)
        if name in ("remove", "return") and method == "POST":  # a person deletes, or brings back out of the bin
            (first,) = state.db.execute("SELECT id FROM person ORDER BY id LIMIT 1").fetchone()
            record = state.get(int(body["id"]), life="live" if name == "remove" else "bin")
            if record is None:
                return answer({"changed": False}, 404)
            if name == "remove":
                removing.drop(state, record[0], int(body["id"]), first, "crm_ui")
            else:
                removing.revive(state, int(body["id"]), first)
            return answer({"changed": True})
        if name == "late" and method == "POST":
            held, self.late = self.late, []
            return answer({"statuses": [self._serve(*one).status_code for one in held]})
        if name == "lock" and method == "POST":
            state.db.execute("UPDATE record SET lock = ? WHERE id = ?", (body.get("kind", ""), int(body["id"])))
            return answer({"locked": body["id"]})
        if name == "log" and method == "GET":
            return answer({"log": list(state.query("SELECT * FROM log ORDER BY n"))})
        if name.startswith("record/") and method == "GET":
            found = list(state.query("SELECT * FROM record WHERE id = ?", [int(name.removeprefix("record/"))]))
            return answer(found[0] if found else {}, 200 if found else 404)
        if name == "revoke" and method == "POST":
            state.db.execute("DELETE FROM token")
            return answer({"tokens": 0})
        return answer({"error": "no such control"}, 404)


def _partial(response: Response) -> Response:
    """The answer without the last of its verdicts."""
    said = json.loads(bytes(response.body))
    for name in ("data", "recycle_bin", "users"):
        if isinstance(said, dict) and isinstance(said.get(name), list):
            said[name] = said[name][:-1]
    return answer(said, response.status_code)


def _no_path() -> Refusal:
    return Refusal(404, "INVALID_URL_PATTERN", "Please check if the URL trying to access is a correct one")


def _route(method: str, path: str) -> tuple[Handler, tuple[str, ...], int]:
    other = False
    for verb, pattern, handler, cost in _COMPILED:
        match = pattern.fullmatch(path)
        if match is not None:
            if verb == method:
                return handler, match.groups(), cost
            other = True
    if other:
        raise Refusal(400, "INVALID_REQUEST_METHOD", "The http request method type is not a valid one")
    raise _no_path()


def _cut(send: Callable[[Message], Awaitable[None]]) -> None:
    """Close the connection without an answer; the server's own cycle object holds the transport."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise RuntimeError("the server gives no transport to cut")
    transport.abort()


def page(state: State) -> str:
    """The page of the sandbox: records per module, the bin, the last requests. Everything is escaped."""

    def table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
        top = "".join(f"<th>{html.escape(h)}</th>" for h in head)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(str(c))}</td>" for c in row) + "</tr>" for row in rows)
        return f"<table><tr>{top}</tr>{body}</table>"

    counts = state.db.execute(
        "SELECT module, sum(life = 'live'), sum(life = 'bin'), sum(life = 'gone') FROM record GROUP BY module ORDER BY module"
    ).fetchall()
    live = [(str(r["id"]), r["module"], state.display(r), state.moment(r["modified"]))
            for r in state.query("SELECT * FROM record WHERE life = 'live' ORDER BY modified DESC, id LIMIT 100")]  # fmt: skip
    binned = [(str(r["id"]), r["module"], state.display(r), state.person(r["deleted_by"])["name"], state.moment(r["deleted"]))
              for r in state.query("SELECT * FROM record WHERE life = 'bin' ORDER BY deleted DESC, id LIMIT 100")]  # fmt: skip
    log = state.db.execute("SELECT method, path, status, body FROM log ORDER BY n DESC LIMIT 100").fetchall()
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Zoho CRM sandbox</title>"
        "<style>body{font:14px sans-serif;margin:2em}td,th{padding:2px 8px;text-align:left;border-bottom:1px solid #ccc}</style>"
        f"<h1>Zoho CRM sandbox</h1><p>{html.escape(state.moment(state.now()))}</p>"
        "<h2>Records</h2>" + table(("module", "live", "in the bin", "gone"), counts) + table(("id", "module", "name", "changed"), live)
        + "<h2>Recycle bin</h2>" + table(("id", "module", "name", "deleted by", "deleted"), binned)
        + "<h2>Requests</h2>" + table(("method", "path", "status", "body"), log) + "</html>"
    )  # fmt: skip
