"""How much of each vendor's documented limit a connector uses, on a virtual clock, and whether it is ever asked to wait.

Each connector's own wire calls a server that knows nothing but the vendor's documented rolling windows and answers each call
after a few milliseconds of virtual time. Run: ``python -m bench.connectors [--seconds 600] [--json]``. Goal: 95 % of each
limit, no refusal. Reading over real HTTP is measured by ``bench.zoho_bulk`` and ``bench.incremental``.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from steward.crm.copper import open_wire as copper_wire
from steward.crm.fxiaoke_wire import FxiaokeApi
from steward.crm.jiandaoyun_wire import open_wire as jiandaoyun_wire
from steward.crm.profiles import Profile
from steward.crm.wire import Wire
from steward.crm.zoho_wire import ZohoApi

ANSWER_SECONDS = 0.004


class Clock:
    """Seconds that pass only where somebody waits or is answered."""

    now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Server(httpx.BaseTransport):
    """Counts calls in one rolling window and refuses the one too many."""

    def __init__(self, clock: Clock, calls: int, seconds: float, answer: Any) -> None:
        self.clock, self.most, self.seconds, self.answer = clock, calls, seconds, answer
        self.taken, self.refused = 0, 0
        self._window: deque[float] = deque()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.clock.now += ANSWER_SECONDS / 2
        if request.url.path.startswith(("/oauth", "/oauth2")):
            return httpx.Response(200, json=self.answer)
        now = self.clock.now
        while self._window and self._window[0] <= now - self.seconds:
            self._window.popleft()
        self.clock.now += ANSWER_SECONDS / 2
        if len(self._window) >= self.most:
            self.refused += 1
            return httpx.Response(429, json={})
        self._window.append(now)
        self.taken += 1
        return httpx.Response(200, json=self.answer)


Opened = Callable[[Clock, Server], Wire]


@dataclass(frozen=True)
class Documented:
    """One limit as the vendor documents it, and a call that it is about."""

    name: str
    calls: int
    seconds: float
    open: Opened
    path: str
    scopes: tuple[str, ...] = ()
    answer: Any = None


def _profile(system: str, **options: str) -> Profile:
    words = {
        "copper": {"user": "reader@example.org", "token": "${BENCH_SECRET}"},
        "jiandaoyun": {"token": "${BENCH_SECRET}"},
        "zoho": {"client_id": "1", "client_secret": "${BENCH_SECRET}", "refresh_token": "${BENCH_SECRET}"},
        "fxiaoke": {"app_id": "1", "app_secret": "${BENCH_SECRET}", "permanent_code": "${BENCH_SECRET}", "user_id": "1"},
    }[system]
    return Profile(
        system=system, tenant="bench", environment="sandbox", address="http://127.0.0.1:1", read=words, options=options
    )


def _copper(clock: Clock, server: Server) -> Wire:
    return copper_wire(_profile("copper"), clock=clock, transport=server)


def _jiandaoyun(clock: Clock, server: Server) -> Wire:
    return jiandaoyun_wire(_profile("jiandaoyun"), clock=clock, transport=server)


def _zoho(clock: Clock, server: Server) -> Wire:
    return ZohoApi(_profile("zoho", accounts="http://127.0.0.1:1"), clock=clock, transport=server).wire


def _fxiaoke(clock: Clock, server: Server) -> Wire:
    return FxiaokeApi(_profile("fxiaoke"), clock=clock, transport=server).wire


_ZOHO_TOKEN = {"access_token": "x", "expires_in": 1_000_000_000, "api_domain": "http://127.0.0.1:1"}
_FXIAOKE_TOKEN = {
    "errorCode": 0,
    "corpAccessToken": "x",
    "corpId": "1",
    "expiresIn": 1_000_000_000,
    "accessToken": "x",
    "ea": "1",
}

LIMITS: tuple[Documented, ...] = (
    Documented("Copper, all calls", 180, 60.0, _copper, "people/1"),
    Documented("Copper, bulk calls", 3, 1.0, _copper, "people/bulk_update", ("bulk",)),
    Documented("Zoho, downloads of bulk results", 10, 60.0, _zoho, "crm/bulk/v8/read/1/result", ("download",), _ZOHO_TOKEN),
    Documented("Fxiaoke, one interface", 100, 20.0, _fxiaoke, "cgi/crm/v2/data/query", (), _FXIAOKE_TOKEN),
    Documented("Jiandaoyun, one path of reading", 30, 1.0, _jiandaoyun, "v5/app/entry/data/list"),
    Documented("Jiandaoyun, single writes", 20, 1.0, _jiandaoyun, "v5/app/entry/data/update", ("single",)),
    Documented("Jiandaoyun, batch writes", 10, 1.0, _jiandaoyun, "v5/app/entry/data/batch_delete", ("batch",)),
)
"""From the vendors' pages (``docs/reference``); Zoho's limit is calls in flight, of which there is one, and credits a day."""


def used(limit: Documented, seconds: float) -> tuple[float, int]:
    """Return the share of a limit that is used over so much virtual time, and how often the server refused.

    The first window's calls go out at once, and a rolling window lets as many through again: they are not counted.
    """
    clock = Clock()
    server = Server(clock, limit.calls, limit.seconds, limit.answer if limit.answer is not None else {})
    wire = limit.open(clock, server)
    try:
        while clock.now < 1_000.0 + limit.seconds:
            wire.read("GET", limit.path, scopes=limit.scopes)
        start, before = clock.now, server.taken
        while clock.now < start + seconds:
            wire.read("GET", limit.path, scopes=limit.scopes)
        return (server.taken - before) / limit.calls * limit.seconds / (clock.now - start), server.refused
    finally:
        wire.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Print a line per limit; exit 0 where each is used to 95 % without a refusal."""
    parser = argparse.ArgumentParser(prog="python -m bench.connectors", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    os.environ["BENCH_SECRET"] = "no secret"
    rows = []
    for limit in LIMITS:
        share, refused = used(limit, args.seconds)
        rows.append({"limit": limit.name, "share": round(share, 4), "refused": refused, "met": share >= 0.95 and not refused})
    if args.json:
        print(json.dumps(rows))
    else:
        for row in rows:
            print(f"{row['limit']:<34} {row['share']:>8.1%}  refused {row['refused']}  {'met' if row['met'] else 'MISSED'}")
    return 0 if all(row["met"] for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
