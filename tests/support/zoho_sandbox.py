"""The Zoho sandbox for tests: one server, a fresh state for every test, and a client that has a token."""

from __future__ import annotations

from typing import Any

import httpx

from steward.sandbox.zoho import ZohoSandbox, make
from steward.sandbox.zoho.auth import CLIENT
from steward.sandbox.zoho.state import State
from tests.support.zoho_contract import check


class Fresh:
    """An ASGI application that hands every request to the state of the running test."""

    def __init__(self, customers: int) -> None:
        self.template = make(customers=customers, seed=7).state
        self.renew()

    def renew(self) -> State:
        state = State()
        self.template.db.backup(state.db)
        self.app = ZohoSandbox(state)
        return state

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class Caller:
    """Calls as a program would, with plain httpx; every answer is held against the vendor's contract."""

    def __init__(self, address: str, state: State, refresh: str = "1000.executor") -> None:
        self.http = httpx.Client(base_url=address, trust_env=False, timeout=20)
        self.state, self.refresh = state, refresh
        self.token = str(self.ask_token().json()["access_token"])

    def ask_token(self, **form: str) -> httpx.Response:
        sent = {"grant_type": "refresh_token", "refresh_token": self.refresh, **CLIENT, **form}
        return self.http.post("/oauth/v2/token", data=sent)

    def __call__(self, method: str, path: str, **parts: Any) -> httpx.Response:
        headers = {"Authorization": f"Zoho-oauthtoken {self.token}", **parts.pop("headers", {})}
        answer = self.http.request(method, path if path.startswith("/") else f"/crm/v8/{path}", headers=headers, **parts)
        check(method, answer.request.url.path, answer.status_code, answer.content)
        return answer

    def control(self, name: str, **body: Any) -> Any:
        answer = self.http.post(f"/_control/{name}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ids(self, module: str, most: int = 10_000) -> list[str]:
        rows = self.state.db.execute(
            "SELECT id FROM record WHERE module = ? AND life = 'live' ORDER BY id LIMIT ?", (module, most)
        )
        return [str(i) for (i,) in rows]

    def parent_with(self, child: str, look: str) -> tuple[str, list[str]]:
        """Id of some record that ``child`` rows look up by ``look``, and those rows."""
        rows = self.state.db.execute(
            f"SELECT json_extract(doc, '$.{look}.id'), id FROM record WHERE module = ? AND json_extract(doc, '$.{look}.id') IN "
            "(SELECT CAST(id AS TEXT) FROM record WHERE module = 'Contacts') ORDER BY 1, 2",
            (child,),
        ).fetchall()
        first = rows[0][0]
        return first, [str(i) for parent, i in rows if parent == first]
