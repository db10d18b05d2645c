"""A Copper sandbox per test: built once, copied, served by a real server on loopback."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from steward.sandbox.copper import ADMIN_KEY, APPLICATION, RESTRICTED_KEY, State, Switches, fill, serve_state
from tests.support.vendor_sandbox import serve


class Sandbox:
    """A running sandbox, its state, and a client that sends the four headers of a key."""

    def __init__(self, state: State, address: str) -> None:
        self.state, self.address = state, address
        self.base = address + "/developer_api/v1"
        self.client = httpx.Client(base_url=self.base, timeout=10)

    def mail(self, user: int) -> str:
        return str((self.state.get("users", user) or {})["email"])

    def headers(self, *, admin: bool = True) -> dict[str, str]:
        return {
            "X-PW-AccessToken": ADMIN_KEY if admin else RESTRICTED_KEY,
            "X-PW-UserEmail": self.mail(1 if admin else 2),
            "X-PW-Application": APPLICATION,
            "Content-Type": "application/json",
        }

    def call(self, method: str, path: str, body: Any = None, *, admin: bool = True) -> httpx.Response:
        return self.client.request(method, path, json=body, headers=self.headers(admin=admin))

    def control(self, verb: str, body: Any = None, method: str = "POST") -> Any:
        answer = httpx.request(method, f"{self.address}/_control/{verb}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def search(self, kind: str, **body: Any) -> list[dict[str, Any]]:
        answer = self.call("POST", f"/{kind}/search", body)
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = answer.json()
        return rows


class Copies:
    """Builds one state and hands out copies."""

    def __init__(self, folder: Path, customers: int) -> None:
        self.original = folder / "copper.sqlite"
        state = State(self.original)
        fill(state, customers=customers, number=3)
        state.close()

    def reset(self, state: State) -> None:
        """Put a served state back to the beginning."""
        source = sqlite3.connect(self.original)
        source.backup(state.db)
        source.close()
        state.switches, state.ahead, state._clock = Switches(per_minute=1_000_000), 0.0, time.time
        for held in (state.faults, state.calls, state.codes, state.notices, state.late):
            held.clear()

    @contextmanager
    def running(self) -> Iterator[Sandbox]:
        state = State()
        self.reset(state)
        with serve(serve_state(state)) as address:
            sandbox = Sandbox(state, address)
            try:
                yield sandbox
            finally:
                sandbox.client.close()
        state.close()
