"""The page of the Fxiaoke sandbox for people: how many records there are, the records, the bin and the last requests.

Everything shown is escaped, and the page may load and run nothing. Left to others: changing anything (``control``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from steward.messages import _
from steward.sandbox.fxiaoke.control import is_local
from steward.sandbox.fxiaoke.objects import OBJECTS
from steward.sandbox.fxiaoke.world import World

SHOWN = 50
_STYLE = "body{font:15px system-ui;margin:2rem;max-width:75rem}table{border-collapse:collapse;margin:1rem 0}td,th{padding:.25rem .6rem;border-bottom:1px solid #ccc;text-align:left;vertical-align:top}"


def _table(title: str, heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = "".join(f'<th scope="col">{escape(h)}</th>' for h in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<h2>{escape(title)}</h2><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def render(world: World, api: str) -> str:
    """Return the page with the records of one object."""
    counts = {}
    for name in OBJECTS:
        states = [d["life_status"] for d in world.records(name)]
        counts[name] = (len(states) - states.count("invalid"), states.count("invalid"))
    links = " · ".join(f'<a href="/?object={escape(n)}">{escape(n)}</a> {a} ({b})' for n, (a, b) in counts.items())
    latest = sorted(world.records(api), key=lambda d: -int(str(d["last_modified_time"])))
    rows = [
        (
            d["_id"],
            d["name"],
            d["life_status"],
            d["owner"],
            _time(int(str(d["last_modified_time"]))),
            json.dumps(d, ensure_ascii=False),
        )
        for d in latest
    ]
    live, gone = [r for r in rows if r[2] != "invalid"], [r for r in rows if r[2] == "invalid"]
    heads = (_("id"), _("name"), _("status"), _("owner"), _("changed"), _("all values"))
    log = world.db.execute(
        "SELECT at, path, employee, object, code FROM request_log ORDER BY n DESC LIMIT ?", (SHOWN,)
    ).fetchall()
    parts = (
        _table(_("Records"), heads, live[:SHOWN]),
        _table(_("Recycle bin"), heads, gone[:SHOWN]),
        _table(
            _("Last requests"),
            (_("time"), _("path"), _("employee"), _("object"), _("code")),
            [(_time(r[0]), *r[1:]) for r in log],
        ),
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Fxiaoke sandbox</title><style>{_STYLE}</style>'
        f"<main><h1>Fxiaoke sandbox: {escape(api)}</h1><p>{links}</p>{''.join(parts)}</main></html>"
    )


def routes(world: World) -> list[Route]:
    """Return the route of the page."""

    async def home(request: Request) -> Response:
        if not is_local(request):
            return PlainTextResponse("only from this machine", status_code=403)
        api = request.query_params.get("object", "AccountObj")
        text = render(world, api if api in OBJECTS else "AccountObj")
        policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
        return HTMLResponse(text, headers={"content-security-policy": policy, "x-content-type-options": "nosniff"})

    return [Route("/", home, methods=["GET"])]
