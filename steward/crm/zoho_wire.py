"""Zoho's wire: data centres, access tokens, credits, and what a status with a code means.

One access token serves a whole process and is got under a lock; the token service allows ten in ten minutes, and says
*Access Denied* with status 200 when they are used up.

Left to others: records (``steward.crm.zoho``), changes (``steward.executor.writers.zoho``).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec

from steward.crm.profiles import Profile, address, credential
from steward.crm.vendor import switches
from steward.crm.wire import Limit, Reply, Throttle, Wire, WireClock, is_loopback, refused, unexpected
from steward.errors import ThrottledError, UsageError
from steward.messages import N_

CENTRES: Mapping[str, tuple[str, str]] = {
    "us": ("accounts.zoho.com", "www.zohoapis.com"),
    "eu": ("accounts.zoho.eu", "www.zohoapis.eu"),
    "in": ("accounts.zoho.in", "www.zohoapis.in"),
    "au": ("accounts.zoho.com.au", "www.zohoapis.com.au"),
    "cn": ("accounts.zoho.com.cn", "www.zohoapis.com.cn"),
    "jp": ("accounts.zoho.jp", "www.zohoapis.jp"),
    "ca": ("accounts.zohocloud.ca", "www.zohoapis.ca"),
    "sa": ("accounts.zoho.sa", "www.zohoapis.sa"),
}
"""Data centre → host of accounts, host of the API."""

OPTIONS: Mapping[str, tuple[str, ...]] = {
    "data_centre": tuple(CENTRES),
    "accounts": (),
    "requests_per_minute": (),
    "api": ("v8", "v7"),
    "reads": ("many", "single"),
    "subforms": ("full", "single", "leave_out"),
    "update_guard": ("if_unmodified_since", "if_modified_since", "none"),
    "timeline": ("ask", "off"),
    "attachments": ("keep", "lose"),
    "credits_reserve": (),
}
"""Switches of a profile; docs/reference/zoho.md says what each decides. ``accounts``: address of the token service, for a
sandbox on this machine."""

_EXPIRED = frozenset({"INVALID_TOKEN", "INVALID_OAUTHTOKEN"})
DENIED = frozenset({"AUTHENTICATION_FAILURE", "OAUTH_SCOPE_MISMATCH", "NO_PERMISSION", "AUTHORIZATION_FAILED", *_EXPIRED})
_WAIT = frozenset({"TOO_MANY_REQUESTS", "RATE_LIMIT_EXCEEDED"})


class ZohoApi:
    """Calls with a token that is got once and renewed when it ran out.

    Attributes
    ----------
    headers : mapping
        Of the last answer.
    scopes : tuple of str
        What the token service said the token may; empty where it said nothing.
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
        lacking = {"client_id", "client_secret", "refresh_token"} - self._secrets.keys()
        if lacking:
            raise UsageError(N_("The Zoho credential lacks: {missing}."), missing=", ".join(sorted(lacking)))
        chosen = switches(profile, OPTIONS)
        accounts, api = CENTRES[chosen["data_centre"]]
        self._version = chosen["api"]
        reserve = chosen["credits_reserve"]
        self._reserve = int(reserve) if write and reserve.isdigit() else 0
        self._lock = threading.Lock()
        self._token = ""
        self.scopes: tuple[str, ...] = ()
        self.headers: Mapping[str, str] = {}
        real: dict[str, Any] = {} if clock is None else {"clock": clock}
        per_minute = chosen["requests_per_minute"]
        limits = [Limit(int(per_minute), 60.0)] if per_minute.isdigit() and per_minute != "0" else []
        limits.append(Limit(10, 60.0, "download"))
        self._door = Wire(
            chosen["accounts"] or f"https://{accounts}",
            dict,
            Throttle((Limit(10, 600.0),), clock=clock),
            transport=transport,
            **real,
        )
        self.wire = Wire(
            address(profile, f"https://{api}"),
            self._headers,
            Throttle(limits, clock=clock),
            throttled=lambda reply: reply.status == 429 or code_of(reply) in _WAIT,
            expired=lambda reply: reply.status == 401 and code_of(reply) in _EXPIRED,
            renew=self._drop,
            transport=transport,
            **real,
        )

    def read(self, method: str, path: str, *, absent: Sequence[str] = (), **parts: Any) -> dict[str, Any]:
        """Ask a question; an empty answer (204, 304) and a refusal named in ``absent`` are ``{}``.

        Raises
        ------
        DeniedError
            Token, scope, profile or role does not allow it.
        SchemaMismatchError
            Any other refusal.
        """
        self._spare()
        reply = self.wire.read(method, self._at(path), **parts)
        self.headers = reply.headers
        if reply.status in (204, 304):
            return {}
        code = code_of(reply)
        if reply.status in (400, 404) and code in absent:
            return {}
        if code in DENIED or reply.status in (401, 403):
            raise refused(self.wire.host, reply.status, code or "")
        if reply.status not in (200, 201, 202):
            raise unexpected(self.wire.host, reply.status, code or "")
        said = reply.json()
        if not isinstance(said, dict):
            raise unexpected(self.wire.host, reply.status, "")
        return said

    def write(self, method: str, path: str, **parts: Any) -> Reply:
        """Send a call that changes something, once; see :meth:`steward.crm.wire.Wire.write`."""
        self._spare()
        reply = self.wire.write(method, self._at(path), **parts)
        self.headers = reply.headers
        return reply

    def _spare(self) -> None:
        """Stop before the credits of the day that are kept for people; the vendor tells how many are left from half on."""
        left = self.headers.get("x-api-credits-remaining", "")
        if self._reserve and left.isdigit() and int(left) < self._reserve:
            raise ThrottledError(
                N_("Zoho says that {left} credits are left; {reserve} are kept for people."),
                next_step=N_("Run the same command again tomorrow, or lower credits_reserve in the profile."),
                left=int(left),
                reserve=self._reserve,
            )

    def _at(self, path: str) -> str:
        return path if self._version == "v8" else path.replace("/v8/", f"/{self._version}/", 1)

    def download(self, path: str) -> bytes:
        """Return a file; the vendor allows ten a minute."""
        reply = self.wire.read("GET", self._at(path), scopes=("download",))
        if reply.status != 200:
            raise unexpected(self.wire.host, reply.status, code_of(reply) or "")
        return reply.body

    def close(self) -> None:
        """Release connections."""
        self._door.close()
        self.wire.close()

    def _headers(self) -> dict[str, str]:
        with self._lock:
            if not self._token:
                self._fetch()
            return {"Authorization": f"Zoho-oauthtoken {self._token}"}

    def _drop(self) -> None:
        with self._lock:
            self._token = ""

    def _fetch(self) -> None:
        form = {"grant_type": "refresh_token", **{n: self._secrets[n].reveal().decode() for n in ("client_id", "client_secret", "refresh_token")}}  # fmt: skip
        reply = self._door.read("POST", "oauth/v2/token", data=form)
        try:
            said = msgspec.json.decode(reply.body)
        except msgspec.MsgspecError:
            said = {}
        token = said.get("access_token") if isinstance(said, dict) else None
        if not isinstance(token, str) or not token:
            if b"Access Denied" in reply.body:
                raise ThrottledError(
                    N_("Zoho's token service at {host} gives no more tokens for now."),
                    next_step=N_("Ten in ten minutes are allowed for one refresh token; wait, and let programs share one."),
                    host=self._door.host,
                    retry_after=600.0,
                )
            raise refused(self._door.host, reply.status, str(said.get("error", "")) if isinstance(said, dict) else "")
        domain = urlsplit(str(said.get("api_domain", ""))).hostname or ""
        here = self.wire.host
        if domain and domain != here and not is_loopback(here) and not here.startswith("sandbox."):
            raise UsageError(
                N_("The token belongs to {domain}, the profile to {here}; tokens are valid in their own data centre only."),
                next_step=N_("Set the option data_centre of the profile."),
                domain=domain,
                here=here,
            )
        self.scopes = tuple(str(said.get("scope", "")).replace(",", " ").split())
        self._token = token


def code_of(reply: Reply) -> str | None:
    """Return the vendor's code, at the top or of the only item; None where there is none."""
    try:
        said = msgspec.json.decode(reply.body)
    except msgspec.MsgspecError:
        return None
    if not isinstance(said, dict):
        return None
    code = said.get("code")
    for name in ("data", "users", "recycle_bin"):
        items = said.get(name)
        if code is None and isinstance(items, list) and len(items) == 1 and isinstance(items[0], dict):
            code = items[0].get("code")
    return code if isinstance(code, str) else None
