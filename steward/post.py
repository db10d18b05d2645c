"""Sending a short notice: e-mail over TLS, a signed webhook, or a chat (Slack, 飞书, 钉钉, 企业微信).

A notice is a subject and a few lines of text, and for machines a small document; what may stand in it is its sender's
business, and it is never a value of a record. Nothing is sent in the clear but to this machine itself; no redirect is
followed; addresses and headers hold no line breaks. What a server answers is never repeated, since it may quote addresses or
secrets: a failure is a :class:`DeliveryError` with the host and the kind of failure.

A webhook carries ``X-Steward-Id`` (the same for every try, for dropping repeats) and, with a secret, ``X-Steward-Signature:
t=<seconds>,v1=<hex>``, HMAC-SHA256 over ``<seconds>.<body>``. Chats answer 200 to what they refuse; their codes are read.

Left to others: settings files (``steward.post_settings``), when to send and again (``steward.executor``).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import re
import smtplib
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import quote_plus, urlsplit

from steward.errors import StewardError, UsageError
from steward.messages import N_
from steward.signing import Secret

TIMEOUT = 20.0
MAX_ANSWER = 64 * 1024
Kind = Literal["json", "slack", "feishu", "dingtalk", "wecom"]

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")


class DeliveryError(StewardError):
    """A notice was not taken by the other side, or it is not known to have been."""

    exit_code: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class Notice:
    """What is sent.

    Attributes
    ----------
    id : str
        The same for every try.
    subject, text : str
        For people.
    document : mapping
        For machines; what a ``json`` webhook carries.
    """

    id: str
    subject: str
    text: str
    document: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A server that takes e-mail.

    Attributes
    ----------
    tls : {'starttls', 'tls', 'none'}
        ``none`` only where the server is on this machine.
    ca_file : Path or None
        Certificates to trust instead of the system's.
    """

    host: str
    sender: str
    to: tuple[str, ...]
    port: int = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password: Secret | None = None
    ca_file: Path | None = None

    def send(self, notice: Notice, now: datetime) -> None:
        """Hand a notice over; every recipient must be taken.

        Raises
        ------
        UsageError
            An address or setting is wrong.
        DeliveryError
        """
        message = EmailMessage()
        for address in (self.sender, *self.to):
            check_address(address)
        message["From"] = self.sender
        message["To"] = ", ".join(self.to)
        message["Subject"] = one_line(notice.subject)
        message["Date"] = format_datetime(now)
        message["Message-ID"] = f"<{_word(notice.id)}@{self.sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(notice.text)
        if self.tls == "none" and not is_here(self.host):
            raise UsageError(
                N_("{host} would get e-mail in the clear."), next_step=N_('Set tls = "starttls" or "tls".'), host=self.host
            )
        try:
            with self._connect() as server:
                if self.user:
                    server.login(self.user, self.password.reveal().decode() if self.password else "")
                refused = server.send_message(message)
        except (smtplib.SMTPException, OSError, UnicodeError, ValueError) as error:
            raise _failed(self.host, error) from None
        if refused:
            raise DeliveryError(
                N_("{host} refused {count} of {all} recipients."), host=self.host, count=len(refused), all=len(self.to)
            )

    def _connect(self) -> smtplib.SMTP:
        if self.tls == "none":
            return smtplib.SMTP(self.host, self.port, timeout=TIMEOUT)
        context = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
        if self.tls == "tls":
            return smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT, context=context)
        server = smtplib.SMTP(self.host, self.port, timeout=TIMEOUT)
        try:
            server.starttls(context=context)
        except BaseException:
            server.close()
            raise
        return server


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address that takes notices by HTTP. It may hold a secret in its path, so only its host is ever shown.

    Attributes
    ----------
    kind : {'json', 'slack', 'feishu', 'dingtalk', 'wecom'}
    secret : Secret or None
        For the signature; Slack and 企业微信 (wecom) have none beside the address.
    """

    url: Secret
    kind: Kind = "json"
    secret: Secret | None = None
    ca_file: Path | None = None

    @property
    def host(self) -> str:
        """Host of the address; all of it that may be shown."""
        return urlsplit(self.url.reveal().decode("ascii", "replace")).hostname or "?"

    def send(self, notice: Notice, now: datetime) -> None:
        """Hand a notice over.

        Raises
        ------
        UsageError
            The address is none, or would be used in the clear.
        DeliveryError
        """
        import httpx

        url = self.url.reveal().decode("ascii", "replace")
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or not parts.hostname or any(c.isspace() for c in url):
            raise UsageError(N_("A webhook's address is no https address."))
        if parts.scheme == "http" and not is_here(parts.hostname):
            raise UsageError(N_("{host} would get notices in the clear; use https."), host=parts.hostname)
        address, body, headers = self._request(url, notice, now)
        verify: Any = ssl.create_default_context(cafile=str(self.ca_file)) if self.ca_file else True
        try:
            with (
                httpx.Client(
                    timeout=TIMEOUT, follow_redirects=False, verify=verify, trust_env=not is_here(parts.hostname)
                ) as client,
                client.stream("POST", address, content=body, headers=headers) as answer,
            ):
                said = b""
                for piece in answer.iter_bytes():
                    said += piece
                    if len(said) > MAX_ANSWER:
                        break
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise _failed(parts.hostname, error) from None
        if not 200 <= answer.status_code < 300 or not self._taken(said):
            raise DeliveryError(
                N_("{host} did not take the notice (status {status})."), host=parts.hostname, status=answer.status_code
            )

    def _request(self, url: str, notice: Notice, now: datetime) -> tuple[str, bytes, dict[str, str]]:
        """Return address, body and headers in the form of this kind."""
        seconds = int(now.timestamp())
        headers = {"content-type": "application/json; charset=utf-8", "user-agent": "steward", "x-steward-id": _word(notice.id)}
        text = f"{one_line(notice.subject)}\n{notice.text}"
        key = self.secret.reveal() if self.secret is not None else None
        if self.kind == "slack":
            # Slack reads &, < and > as markup: a name could otherwise become a link or call everybody.
            plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            return url, _json({"text": plain}), headers
        if self.kind == "wecom":
            return url, _json({"msgtype": "text", "text": {"content": text}}), headers
        if self.kind == "dingtalk":
            if key is not None:
                stamp = seconds * 1000
                mark = base64.b64encode(hmac.digest(key, f"{stamp}\n".encode() + key, "sha256")).decode()
                url += f"{'&' if '?' in url else '?'}timestamp={stamp}&sign={quote_plus(mark)}"
            return url, _json({"msgtype": "text", "text": {"content": text}}), headers
        if self.kind == "feishu":
            said: dict[str, Any] = {"msg_type": "text", "content": {"text": text}}
            if key is not None:
                mark = base64.b64encode(hmac.digest(f"{seconds}\n".encode() + key, b"", "sha256")).decode()
                said = {"timestamp": str(seconds), "sign": mark, **said}
            return url, _json(said), headers
        body = _json({"id": notice.id, "subject": one_line(notice.subject), "text": notice.text, **notice.document})
        if key is not None:
            headers["x-steward-signature"] = f"t={seconds},v1={sign_body(key, seconds, body)}"
        return url, body, headers

    def _taken(self, said: bytes) -> bool:
        """True where a chat says that it has taken the notice: 飞书 by ``code``, 钉钉 and 企业微信 by ``errcode``."""
        if self.kind in ("json", "slack"):
            return True
        try:
            answer = json.loads(said)
        except ValueError:
            return False
        if not isinstance(answer, dict):
            return False
        return answer.get("code" if self.kind == "feishu" else "errcode", answer.get("StatusCode")) == 0


Channel = Mailbox | Webhook


def sign_body(key: bytes, seconds: int, body: bytes) -> str:
    """Return what stands in ``X-Steward-Signature`` as ``v1``; a receiver computes the same and compares."""
    return hmac.new(key, b"%d." % seconds + body, hashlib.sha256).hexdigest()


def deliver(channels: Sequence[Channel], notice: Notice, now: datetime) -> list[tuple[Channel, StewardError]]:
    """Send a notice to every channel; return those that failed, with their refusals."""
    failed: list[tuple[Channel, StewardError]] = []
    for channel in channels:
        try:
            channel.send(notice, now)
        except StewardError as error:
            failed.append((channel, error))
    return failed


def check_address(address: str) -> None:
    """Raise :class:`UsageError` unless ``address`` is one plain e-mail address."""
    if not _ADDRESS.fullmatch(address) or ".." in address:
        raise UsageError(N_("{address} is no e-mail address."), address=address)


def one_line(text: str) -> str:
    """Return ``text`` without line breaks and other controls, 200 characters at most."""
    return "".join(c if c.isprintable() else " " for c in text)[:200]


def is_here(host: str) -> bool:
    """True where a host is this machine by its name or address; nothing is looked up."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", text)[:100] or "notice"


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _failed(host: str, error: Exception) -> DeliveryError:
    kind = type(error).__name__
    if isinstance(error, smtplib.SMTPResponseException):
        kind += f" {error.smtp_code}"
    elif isinstance(error, socket.gaierror):
        kind = "unknown host"
    return DeliveryError(
        N_("{host} did not take the notice ({kind})."),
        next_step=N_("Check address, credentials and that it can be reached from here."),
        host=host,
        kind=kind,
    )
