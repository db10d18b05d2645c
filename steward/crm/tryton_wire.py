"""Calls of Tryton's JSON-RPC within a session that is opened once, and anew when the server lost it.

Left to others: what to call (``steward.crm.tryton``, ``steward.executor.writers.tryton``).
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx

from steward.crm.profiles import Profile, address, credential
from steward.crm.vendor import switches
from steward.crm.wire import Limit, Reply, Throttle, Wire, WireClock, refused, unexpected
from steward.errors import DeniedError, UsageError
from steward.messages import N_

OPTIONS: Mapping[str, tuple[str, ...]] = {"company": (), "requests_per_minute": ()}
"""Switches of a profile: the company whose records are meant."""

KNOWN_ERRORS = frozenset({"UserError", "UserWarning", "ConcurrencyException", "LoginException", "RateLimitException"})
"""Classes of errors that may be named; any other text could carry a value."""


class TrytonApi:
    """Calls within a session that is opened once, and anew when the server lost it."""

    def __init__(
        self,
        profile: Profile,
        *,
        write: bool = False,
        transport: httpx.BaseTransport | None = None,
        clock: WireClock | None = None,
    ) -> None:
        self._secrets = credential(profile, write=write)
        if not {"user", "password"} <= self._secrets.keys():
            raise UsageError(N_("A Tryton credential is 'user' and 'password'."))
        chosen = switches(profile, OPTIONS)
        where = address(profile).rstrip("/")
        self.database = urlsplit(where).path.strip("/")
        if not self.database or "/" in self.database:
            raise UsageError(N_("The address of a Tryton profile is https://HOST/DATABASE."))
        self.context: dict[str, Any] = {"active_test": False, "language": "en"}
        if chosen["company"].isdigit():
            self.context["company"] = int(chosen["company"])
        self.user, self._session = 0, ""
        self.headers: Mapping[str, str] = {}
        self._lock = threading.Lock()
        said = chosen["requests_per_minute"]
        limits = [Limit(int(said), 60.0)] if said.isdigit() and said != "0" else []
        real: dict[str, Any] = {} if clock is None else {"clock": clock}
        self.wire = Wire(
            where, self._headers, Throttle(limits, clock=clock), expired=lambda reply: reply.status == 401, renew=self._drop,
            transport=transport, **real,
        )  # fmt: skip
        self._door = Wire(
            where, lambda: {"Content-Type": "application/json"}, Throttle((), clock=clock), transport=transport, **real
        )

    def call(self, method: str, params: Sequence[Any], *, context: Mapping[str, Any] | None = None, write: bool = False) -> Any:
        """Call a method and return its result.

        Raises
        ------
        TrytonRefusal
            The server refused; its class is in ``code``, its text is not kept.
        """
        send = self.wire.write if write else self.wire.read
        body = {"id": 1, "method": method, "params": [*params, {**self.context, **(context or {})}]}
        reply = send("POST", "rpc/", json=body)
        self.headers = reply.headers
        return self._result(reply)

    def ask(self, method: str, params: Sequence[Any]) -> Any:
        """Call a method that the server may not offer to anybody; return None where it does not."""
        body = {"id": 1, "method": method, "params": [*params, self.context]}
        reply = self.wire.read("POST", "rpc/", json=body)
        return None if reply.status == 403 else self._result(reply)

    def signed_in(self) -> int:
        """Return the user's id."""
        self._headers()
        return self.user

    def close(self) -> None:
        """Release connections."""
        self._door.close()
        self.wire.close()

    def _headers(self) -> dict[str, str]:
        with self._lock:
            if not self._session:
                self._login()
            token = base64.b64encode(f"{self._name()}:{self.user}:{self._session}".encode()).decode()
        return {"Content-Type": "application/json", "Authorization": f"Session {token}"}

    def _drop(self) -> None:
        with self._lock:
            self._session = ""

    def _name(self) -> str:
        return self._secrets["user"].reveal().decode()

    def _login(self) -> None:
        secret = {"password": self._secrets["password"].reveal().decode()}
        reply = self._door.read("POST", "rpc/", json={"id": 1, "method": "common.db.login", "params": [self._name(), secret]})
        if reply.status in (401, 403):
            raise refused(self.wire.host, reply.status, "login")
        said = self._result(reply)
        if not isinstance(said, list) or len(said) < 2:
            raise refused(self.wire.host, reply.status, "login")
        self.user, self._session = int(said[0]), str(said[1])

    def _result(self, reply: Reply) -> Any:
        if reply.status in (401, 403):
            raise refused(self.wire.host, reply.status, "")
        if reply.status != 200:
            raise unexpected(self.wire.host, reply.status, "")
        said = reply.json()
        if isinstance(said, dict) and "error" in said:
            error = said["error"]
            code = str(error[0]) if isinstance(error, list) and error and error[0] in KNOWN_ERRORS else "error"
            raise TrytonRefusal(self.wire.host, code)
        if not isinstance(said, dict) or "result" not in said:
            raise unexpected(self.wire.host, reply.status, "")
        return said["result"]


class TrytonRefusal(DeniedError):
    """The server refused a call; ``code`` is the class of its error, such as ``UserError`` or ``ConcurrencyException``."""

    def __init__(self, host: str, code: str) -> None:
        super().__init__(N_("Tryton at {host} refused the call ({code})."), host=host, code=code)
        self.code = code


__all__ = ["KNOWN_ERRORS", "OPTIONS", "TrytonApi", "TrytonRefusal"]
