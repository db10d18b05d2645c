"""Calls of Fxiaoke's OpenAPI: tokens, limits, and what the codes inside its answers mean.

Left to others: what is asked (``steward.crm.fxiaoke``) and what is changed (``steward.executor.writers.fxiaoke``).
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from typing import Any

import httpx
import msgspec

from steward.crm.profiles import Profile, address, credential
from steward.crm.vendor import switches
from steward.crm.wire import Limit, Reply, Throttle, Wire, WireClock, refused, unexpected
from steward.errors import OutcomeUnknownError, SchemaMismatchError, ThrottledError, UnavailableError, UsageError
from steward.messages import N_

ADDRESS = "https://open.fxiaoke.com"

OPTIONS: Mapping[str, tuple[str, ...]] = {
    "sees_everything": ("no", "yes"),
    "style": ("headers", "body"),
    "voided": ("ask", "skip"),
    "counts": ("doubted", "exact"),
    "who_voided": ("doubted", "stamped"),
    "empties": ("null", "empty"),
    "stops_users": ("no", "edit"),
    "calls_per_20_seconds": (),
}
"""Switches of a profile and their values, the careful one first; the last is a number, where the vendor has agreed to more."""

_ENCODER = msgspec.json.Encoder(decimal_format="number")

WAIT = frozenset({14001, 30004})
BUSY = frozenset({-1, 50009})
TRIES = 4
EXPIRED = frozenset({20016})
DENIED = frozenset({10006, 11001, 11002, 11013, 15003, 20005, 20006, 20015, 20016, 20017, 20020, 20021, 20022, 30003})
DAY_USED_UP = frozenset({30002})
OF_THE_WIRE = WAIT | BUSY | DENIED | DAY_USED_UP | {-2, 10013, 15002, 30007, 30027, 32000}
"""Codes that say something of the call and nothing of the record."""


class FxiaokeApi:
    """Calls with a token that is got once, under a lock, and again when the vendor says it ran out.

    Parameters
    ----------
    profile : Profile
    write : bool
        Use the credential of ``[write]``.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        write: bool = False,
        transport: httpx.BaseTransport | None = None,
        clock: WireClock | None = None,
    ) -> None:
        self._secrets = credential(profile, write=write)
        missing = {"app_id", "app_secret", "permanent_code", "user_id"} - self._secrets.keys()
        if missing:
            raise UsageError(N_("The Fxiaoke credential lacks: {missing}."), missing=", ".join(sorted(missing)))
        said = switches(profile, OPTIONS)
        self._body_style = said["style"] == "body"
        calls = said["calls_per_20_seconds"] or "100"
        if not calls.isdecimal() or not 0 < int(calls) <= 1_000_000:
            raise UsageError(N_("{name} is a number of calls."), name="calls_per_20_seconds")
        self._lock = threading.Lock()
        self._token, self.enterprise = "", ""
        self.acts_as = self._secrets["user_id"].reveal().decode()
        limits = (Limit(int(calls), 20.0, "*"),)
        real: dict[str, Any] = {} if clock is None else {"clock": clock}
        where = address(profile, ADDRESS)
        self._door = Wire(
            where,
            dict,
            Throttle((Limit(10, 60.0),), clock=clock),
            throttled=lambda reply: reply.status == 429 or code_of(reply) in WAIT | BUSY,  # others use the same door
            transport=transport,
            **real,
        )
        self.wire = Wire(
            where,
            self._headers,
            Throttle(limits, clock=clock),
            throttled=lambda reply: reply.status == 429 or code_of(reply) in WAIT,
            transport=transport,
            **real,
        )

    def read(self, path: str, body: Mapping[str, Any]) -> tuple[dict[str, Any], Mapping[str, str]]:
        """Ask a question and return the good answer with its headers.

        Raises
        ------
        ThrottledError
            The day's calls are used up.
        DeniedError
            The app, its token or the employee may not.
        SchemaMismatchError
            Any other refusal.
        """
        said, headers = self.patiently(path, body)
        code = said.get("errorCode")
        self.check_day(code)
        if code in DENIED:
            raise refused(self.wire.host, 200, str(code))
        if code != 0:
            raise unexpected(self.wire.host, 200, str(code))
        return said, headers

    def check_day(self, code: object) -> None:
        """Raise :class:`ThrottledError` where a code says that the day's calls are used up."""
        if code in DAY_USED_UP:
            raise ThrottledError(
                N_("The day's calls of the CRM at {host} are used up."),
                next_step=N_("Try again after midnight in China, or buy a larger pack; what was read is kept."),
                host=self.wire.host,
            )

    def patiently(self, path: str, body: Mapping[str, Any]) -> tuple[dict[str, Any], Mapping[str, str]]:
        """Ask a question, again while the vendor is busy, and return its last answer, good or not."""
        for attempt in range(1, TRIES + 1):
            said, headers = self.ask(path, body)
            if said.get("errorCode") not in BUSY or attempt == TRIES:
                break
            self.wire.clock.sleep(2.0**attempt)
        return said, headers

    def change(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send a call that changes something, once, and return its answer, good or not.

        A token that ran out is renewed and the call, which was certainly not done, sent again.

        Raises
        ------
        ThrottledError, UnavailableError
            Certainly not done.
        OutcomeUnknownError
            No answer, or none of the vendor's.
        """
        return self.ask(path, body, write=True)[0]

    def ask(self, path: str, body: Mapping[str, Any], *, write: bool = False) -> tuple[dict[str, Any], Mapping[str, str]]:
        """Send a call and return its answer, good or not; a token that ran out is renewed once."""
        for attempt in (1, 2):
            token = self._ensure()
            send = self.wire.write if write else self.wire.read
            content = _ENCODER.encode(self._with_token(body, token))
            reply = send("POST", path, params={"thirdTraceId": str(uuid.uuid4())}, content=content)
            try:
                said = document(reply, self.wire)
            except (SchemaMismatchError, UnavailableError):
                if not write:
                    raise
                raise OutcomeUnknownError(
                    N_("The CRM at {host} answered a change with a page of something else."), host=self.wire.host
                ) from None
            if said.get("errorCode") in EXPIRED and attempt == 1:
                self._drop(token)
                continue
            return said, reply.headers
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Release connections."""
        self._door.close()
        self.wire.close()

    def _headers(self) -> dict[str, str]:
        if self._body_style:
            return {"Content-Type": "application/json"}
        return {
            "Content-Type": "application/json", "authorization": f"Bearer {self._token}", "x-fs-ea": self.enterprise,
            "x-fs-userid": self.acts_as,
        }  # fmt: skip

    def _with_token(self, body: Mapping[str, Any], token: str) -> dict[str, Any]:
        if not self._body_style:
            return dict(body)
        return {"corpAccessToken": token, "corpId": self.enterprise, "currentOpenUserId": self.acts_as, **body}

    def _ensure(self) -> str:
        with self._lock:
            if not self._token:
                self._fetch()
            return self._token

    def _drop(self, token: str) -> None:
        with self._lock:
            if self._token == token:
                self._token = ""

    def _fetch(self) -> None:
        names = {"app_id": "appId", "app_secret": "appSecret", "permanent_code": "permanentCode"}
        body = {names[n]: self._secrets[n].reveal().decode() for n in names}
        if self._body_style:
            path, token, enterprise = "cgi/corpAccessToken/get/V2", "corpAccessToken", "corpId"
        else:
            path, token, enterprise = "oauth2.0/token", "accessToken", "ea"
            body["grantType"] = "app_secret"
        reply = self._door.read("POST", path, params={"thirdTraceId": str(uuid.uuid4())}, json=body)
        said = document(reply, self._door)
        if said.get("errorCode") != 0 or not isinstance(said.get(token), str):
            raise refused(self._door.host, 200, str(said.get("errorCode")))
        self._token, self.enterprise = said[token], str(said.get(enterprise, ""))


def code_of(reply: Reply) -> int | None:
    """Return ``errorCode``; None where the answer has none."""
    try:
        said = msgspec.json.decode(reply.body)
    except msgspec.MsgspecError:
        return None
    code = said.get("errorCode") if isinstance(said, dict) else None
    return code if isinstance(code, int) else None


def document(reply: Reply, wire: Wire) -> dict[str, Any]:
    """Return the JSON object of an answer.

    Raises
    ------
    SchemaMismatchError
        Another status than 200 (a redirect to a web page comes from a wrong host), or no ``errorCode``.
    """
    if reply.status != 200:
        raise unexpected(wire.host, reply.status, "")
    said = reply.json()
    if not isinstance(said, dict) or not isinstance(said.get("errorCode"), int):
        raise unexpected(wire.host, reply.status, "")
    return said
