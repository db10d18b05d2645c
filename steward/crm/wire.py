"""One HTTP wire to a vendor's cloud: limits kept, reads repeated, writes never, errors named without a secret in them.

* A **limit** is so many calls in so many seconds over a rolling window. Several hold at once; a call waits until all do.
* A **read** is repeated after throttling, server faults and broken connections, with growing pauses. A **write** is sent
  once: throttled means certainly not done, a connection that broke or a server fault means nobody knows.
* Redirects are never followed and plain HTTP is spoken to this machine only: both would carry the credential away.

Left to others: what a vendor's paths and answers mean (its own module), credentials (``steward.crm.profiles``).
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx
import msgspec

from steward.errors import DeniedError, OutcomeUnknownError, SchemaMismatchError, ThrottledError, UnavailableError, UsageError
from steward.messages import N_

MAX_ANSWER = 256 << 20
"""Bytes of one answer; more is refused before it fills the memory."""

_TRIES = 6
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_MARGIN = 1.02
"""Our window is two hundredths longer than the vendor's: clocks and networks jitter, and a 429 costs more than it."""


class WireClock(Protocol):
    """Monotonic seconds and waiting; a test gives a virtual one."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class _RealClock:
    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``calls`` in any ``seconds``.

    Attributes
    ----------
    scope : str
        Empty: all calls together. Else calls that name the same scope, e.g. ``bulk``; ``*`` counts each path by itself.
    """

    calls: int
    seconds: float
    scope: str = ""


class Throttle:
    """Keeps rolling-window limits.

    Parameters
    ----------
    limits : sequence of Limit
    share : float
        Part of each limit that is used, above 0 to 1; the rest is left to people and other programs.
    """

    def __init__(self, limits: Sequence[Limit], *, clock: WireClock | None = None, share: float = 1.0) -> None:
        if not 0 < share <= 1:
            raise ValueError("share must be above 0 and at most 1")
        self._limits = tuple(limits)
        self._clock = clock or _RealClock()
        self._share = share
        self._sent: dict[tuple[int, str], deque[float]] = {}

    def wait(self, path: str, scopes: Sequence[str] = ()) -> float:
        """Wait until a call to ``path`` keeps every limit, count it, and return the seconds waited."""
        windows = [
            (limit, self._sent.setdefault((n, path if limit.scope == "*" else ""), deque()))
            for n, limit in enumerate(self._limits)
            if limit.scope in ("", "*") or limit.scope in scopes
        ]
        waited = 0.0
        while True:
            now = self._clock.monotonic()
            pause = 0.0
            for limit, sent in windows:
                span = limit.seconds * _MARGIN
                while sent and sent[0] <= now - span:
                    sent.popleft()
                if len(sent) >= max(1, int(limit.calls * self._share)):
                    pause = max(pause, sent[0] + span - now)
            if pause <= 0:
                break
            self._clock.sleep(pause)
            waited += pause
        for _, sent in windows:
            sent.append(now)
        return waited


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, whole. Header names are lower case. ``wrote``: it is the answer to a call that changes something."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    wrote: bool = False

    def json(self) -> Any:
        """Return the body as JSON values; numbers with a decimal point stay exact.

        Raises
        ------
        UnavailableError
            Not JSON: a proxy's page, or a cut answer.
        OutcomeUnknownError
            The same after a call that changes something: it may have been made.
        """
        from decimal import Decimal

        try:
            return msgspec.json.Decoder(float_hook=Decimal).decode(self.body)
        except msgspec.MsgspecError:
            error = OutcomeUnknownError if self.wrote else UnavailableError
            raise error(N_("The CRM answered with something that is not JSON (status {status})."), status=self.status) from None


@dataclass(slots=True)
class Wire:
    """Calls one vendor's API at one address. Parts of a call are those of httpx; ``extra`` are headers beside the usual.

    Attributes
    ----------
    base : str
        Address that paths are appended to.
    headers : callable
        Returns the headers of the next call, credential among them.
    throttle : Throttle
    throttled : callable
        Says of an answer whether it means *wait*; by default status 429.
    unsure : callable
        Says of an answer to a write that it may have been done, although a reader would wait and ask again.
    expired, renew : callable
        Says of an answer whether the token had run out, and gets another; the call, which was certainly not done, is then
        sent once more.
    transport : httpx.BaseTransport or None
        For tests that count or break calls.
    requests : int
        Calls sent so far.
    clock_seconds : float or None
        The vendor's clock minus ours at the latest answer that was dated.

    Raises
    ------
    UsageError
        The address is not https, and not a sandbox on this machine.
    """

    base: str
    headers: Callable[[], Mapping[str, str]]
    throttle: Throttle
    clock: WireClock = field(default_factory=_RealClock)
    throttled: Callable[[Reply], bool] = lambda reply: reply.status == 429
    unsure: Callable[[Reply], bool] = lambda reply: False
    expired: Callable[[Reply], bool] = lambda reply: False
    renew: Callable[[], None] | None = None
    timeout: float = 60.0
    transport: httpx.BaseTransport | None = None
    requests: int = 0
    clock_seconds: float | None = None
    _client: httpx.Client | None = None

    def __post_init__(self) -> None:
        self.base = self.base.rstrip("/")
        parts = urlsplit(self.base)
        if not parts.hostname or parts.username or parts.password:
            raise UsageError(N_("{address} is no address of an API, or carries a password."), address=parts.hostname or "?")
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
            raise UsageError(
                N_("The address of {host} is not https, so the credential would travel readable."),
                next_step=N_("Write https://; plain http is for a sandbox on this machine."),
                host=parts.hostname,
            )

    def __repr__(self) -> str:
        return f"Wire({urlsplit(self.base).hostname})"

    def read(self, method: str, path: str, *, scopes: Sequence[str] = (), **parts: Any) -> Reply:
        """Send a call that changes nothing, again where the network or the server failed.

        Raises
        ------
        UnavailableError, ThrottledError
            After several tries.
        """
        pause = _FIRST_PAUSE
        for attempt in range(1, _TRIES + 1):
            last = attempt == _TRIES
            try:
                reply = self._ask(method, path, scopes, parts)
            except httpx.HTTPError as error:
                if last:
                    raise UnavailableError(
                        N_("The CRM at {host} does not answer ({problem})."),
                        next_step=N_("Try again later; what was read is kept."),
                        host=self.host,
                        problem=type(error).__name__,
                    ) from None
            else:
                if self.throttled(reply):
                    if last:
                        raise ThrottledError(
                            N_("The CRM at {host} asks to wait."), host=self.host, retry_after=retry_after(reply)
                        )
                    pause = max(pause, retry_after(reply) or 0.0)
                elif reply.status < 500:
                    return reply
                elif last:
                    raise UnavailableError(
                        N_("The CRM at {host} reports a fault of its own (status {status})."),
                        next_step=N_("Try again later; what was read is kept."),
                        host=self.host,
                        status=reply.status,
                    )
            self.clock.sleep(pause * (0.75 + random.random() / 2))  # noqa: S311  jitter is no secret
            pause = min(pause * 2, _LONGEST_PAUSE)
        raise AssertionError("unreachable")

    def write(self, method: str, path: str, *, scopes: Sequence[str] = (), **parts: Any) -> Reply:
        """Send a call that changes something, once.

        Raises
        ------
        ThrottledError
            Certainly not done.
        OutcomeUnknownError
            Sent, and the answer did not say.
        UnavailableError
            The connection was never made: certainly not done.
        """
        try:
            reply = self._ask(method, path, scopes, parts, wrote=True)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise UnavailableError(
                N_("The CRM at {host} does not answer ({problem})."), host=self.host, problem=type(error).__name__
            ) from None
        except httpx.HTTPError as error:
            raise OutcomeUnknownError(
                N_("The CRM at {host} did not say what became of a call ({problem})."),
                host=self.host,
                problem=type(error).__name__,
            ) from None
        if self.throttled(reply) and not self.unsure(reply):
            raise ThrottledError(N_("The CRM at {host} asks to wait."), host=self.host, retry_after=retry_after(reply))
        if reply.status >= 500 or self.unsure(reply):
            raise OutcomeUnknownError(
                N_("The CRM at {host} reports a fault of its own (status {status})."), host=self.host, status=reply.status
            )
        return reply

    @property
    def host(self) -> str:
        """Name of the host: all that errors say of the address."""
        return urlsplit(self.base).hostname or ""

    def close(self) -> None:
        """Release connections."""
        if self._client is not None:
            self._client.close()
        self._client = None

    def _ask(self, method: str, path: str, scopes: Sequence[str], parts: Mapping[str, Any], *, wrote: bool = False) -> Reply:
        reply = replace(self._send(method, path, scopes, parts), wrote=wrote)
        if self.renew is not None and self.expired(reply):
            self.renew()
            reply = replace(self._send(method, path, scopes, parts), wrote=wrote)
        return reply

    def _send(self, method: str, path: str, scopes: Sequence[str], parts: Mapping[str, Any]) -> Reply:
        if self._client is None:
            self._client = httpx.Client(
                timeout=self.timeout, follow_redirects=False, transport=self.transport,
                trust_env=not is_loopback(self.host),  # a proxy of the environment never stands before this machine's sandbox
                headers={"User-Agent": "steward", "Accept": "application/json"},
            )  # fmt: skip
        self.throttle.wait(path, scopes)
        self.requests += 1
        url = path if path.startswith(("https://", "http://")) else f"{self.base}/{path.lstrip('/')}"
        if urlsplit(url).netloc != urlsplit(self.base).netloc:
            raise UsageError(
                N_("The CRM names another host, {host}; the credential is not sent there."), host=urlsplit(url).hostname
            )
        sent = {name: value for name, value in parts.items() if name != "extra"}
        with self._client.stream(method, url, headers={**self.headers(), **(parts.get("extra") or {})}, **sent) as answer:
            body = bytearray()
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER:
                    raise httpx.DecodingError("the answer is larger than the limit")
            reply = Reply(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, bytes(body))
        difference = clock_of(reply.headers)
        self.clock_seconds = self.clock_seconds if difference is None else difference
        return reply


def clock_of(headers: Mapping[str, str]) -> float | None:
    """Return the seconds by which the clock of an answer's ``Date`` runs before ours; None where there is none."""
    try:
        return (parsedate_to_datetime(headers["date"]) - datetime.now(UTC)).total_seconds()
    except (KeyError, ValueError, TypeError):
        return None


def is_loopback(host: str) -> bool:
    """Say whether a host name is this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def retry_after(reply: Reply) -> float | None:
    """Return the seconds of a ``Retry-After`` header; None where there is none or it is a date."""
    try:
        return max(0.0, float(reply.headers.get("retry-after", "")))
    except ValueError:
        return None


def refused(host: str, status: int, code: str) -> DeniedError:
    """Return the error of a call that the CRM does not allow; ``code`` is the vendor's, never its text."""
    return DeniedError(
        N_("The CRM at {host} does not allow this (status {status}, {code})."),
        next_step=N_("Look at the credential's rights: steward connectors check --profile NAME"),
        host=host,
        status=status,
        code=code or "-",
    )


def unexpected(host: str, status: int, code: str) -> SchemaMismatchError:
    """Return the error of an answer that the contract does not know: refuse rather than guess."""
    return SchemaMismatchError(
        N_("The CRM at {host} answered in a way this version does not know (status {status}, {code})."),
        host=host,
        status=status,
        code=code or "-",
    )
