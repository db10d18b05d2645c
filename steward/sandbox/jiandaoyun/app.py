"""The sandbox as a web application: routes, attachments, the page and the control side.

The vendor's calls stand under ``/api``; unknown paths answer in the server's own words, not in the vendor's shape. Only a
``Host`` of this machine is answered, so that a page elsewhere cannot reach the company by a name that points here. Left to
others: starting a server (the command, the tests).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from steward.errors import UsageError
from steward.messages import N_
from steward.sandbox.build import AS_OF
from steward.sandbox.jiandaoyun import company as people
from steward.sandbox.jiandaoyun import control, gate, page, reading, writing
from steward.sandbox.jiandaoyun import seed as filling
from steward.sandbox.jiandaoyun.state import State
from steward.sandbox.jiandaoyun.values import good_address

Handler = Callable[[Request], Awaitable[Response]]

CALLS = {**reading.CALLS, **writing.CALLS, **people.CALLS}
"""Path below ``/api`` → what it does."""


def create_app(state: Path | str | None = None, *, customers: int = 1_000, seed: int = 0, as_of: date = AS_OF) -> Starlette:
    """Return a sandbox: filled, or as it was left where ``state`` names a file that holds one.

    Parameters
    ----------
    state : Path, str or None
        SQLite file that keeps the company; without one it lives in memory. Switches and faults are not kept.
    customers : int
        Number of contacts of a new company, 10 or more.
    seed : int
        The same number gives the same company.
    as_of : date
        The day the records of a new company are as of.

    Returns
    -------
    Starlette
        The application; ``app.state.company`` is its :class:`State`. For a new company ``app.state.truth`` is what was
        planted and ``app.state.ids`` the generator's ids → the records' ids here.

    Raises
    ------
    UsageError
        Fewer than 10 customers, or the file holds something else.
    """
    try:
        company = State(str(state) if state is not None else ":memory:")
    except sqlite3.DatabaseError:
        raise UsageError(
            N_("{where} does not hold a sandbox."), next_step=N_("Name another file."), where=state or ":memory:"
        ) from None
    truth, ids = filling.fill(company, customers=customers, seed=seed, as_of=as_of) if company.new else (None, None)
    app = Starlette(
        routes=[
            Route("/", _page(company), methods=["GET"]),
            Route("/files/{key}/{name}", _file(company), methods=["GET"]),
            Route("/_control/{name}", _control(company), methods=["GET", "POST"]),
            *(Route(f"/api{name}", _call(company, name), methods=["POST"]) for name in CALLS),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
    )
    app.state.company, app.state.truth, app.state.ids = company, truth, ids
    return app


def _call(state: State, name: str) -> Handler:
    async def answer(request: Request) -> Response:
        return await gate.answer(state, request, name, CALLS[name])

    return answer


def _control(state: State) -> Handler:
    async def answer(request: Request) -> Response:
        return await control.answer(state, request)

    return answer


def _page(state: State) -> Handler:
    async def answer(request: Request) -> Response:
        return HTMLResponse(page.html(state), headers={"content-security-policy": page.POLICY})

    return answer


def _file(state: State) -> Handler:
    async def answer(request: Request) -> Response:
        asked = request.query_params
        key = str(request.path_params["key"])
        if not good_address(state, key, asked.get("e", ""), asked.get("n", ""), asked.get("s", "")):
            return PlainTextResponse("Forbidden", status_code=403)
        return Response(f"sandbox file {key}\n".encode(), media_type="application/octet-stream")

    return answer
