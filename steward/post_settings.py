"""The settings of notices: one TOML file that names mail server, people, webhooks and chats, and where their secrets lie.

::

    [mail]
    host = "smtp.example.org"
    from = "steward@example.org"
    to = ["ben@example.org", "chen@example.org"]
    user = "steward"
    password_file = "smtp.password"          # or password_env = "SMTP_PASSWORD"

    [[webhook]]
    kind = "feishu"                          # json, slack, feishu, dingtalk or wecom
    url_file = "feishu.url"                  # an address with a secret in it lies in a file of its own
    secret_file = "feishu.secret"

Secrets do not stand in it: they lie in files closed to others (mode 0400), beside the settings unless the path is absolute, or
in environment variables. A word that is not known refuses. Left to others: sending (``steward.post``).
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Literal

import msgspec

from steward.errors import UsageError
from steward.manifest_files import read_file, read_secret
from steward.messages import N_
from steward.post import Channel, Kind, Mailbox, Webhook, check_address
from steward.signing import Secret


class _Mail(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    host: str
    from_: str = msgspec.field(name="from")
    to: list[str]
    port: int = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password_file: str | None = None
    password_env: str | None = None
    ca_file: str | None = None


class _Hook(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    kind: Kind = "json"
    url: str | None = None
    url_file: str | None = None
    url_env: str | None = None
    secret_file: str | None = None
    secret_env: str | None = None
    ca_file: str | None = None


class _Settings(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    mail: _Mail | None = None
    webhook: list[_Hook] = []


def read_channels(path: Path, *, to: tuple[str, ...] = ()) -> list[Channel]:
    """Return the channels of a settings file.

    Parameters
    ----------
    to : tuple of str
        People who get the e-mail instead of those in the file.

    Raises
    ------
    UsageError
        Not such a file, no channel in it, or a secret that is not there.
    WeakKeyError
        A secret that others can read.
    """
    try:
        found = msgspec.convert(tomllib.loads(read_file(path, limit=1 << 16).decode("utf-8")), _Settings)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise UsageError(N_("{path} is no TOML file."), path=path) from None
    except msgspec.ValidationError as error:
        # msgspec names the place and the types, never the value.
        raise UsageError(N_("{path} is wrong: {problem}."), path=path, problem=str(error)) from None
    base = path.parent
    channels: list[Channel] = []
    if found.mail is not None:
        mail = found.mail
        people = to or tuple(mail.to)
        for address in (mail.from_, *people):
            check_address(address)
        if not people:
            raise UsageError(N_("{path} names nobody to send e-mail to."), path=path)
        channels.append(
            Mailbox(
                mail.host,
                mail.from_,
                people,
                mail.port,
                mail.tls,
                mail.user,
                _secret(base, mail.password_file, mail.password_env),
                _beside(base, mail.ca_file),
            )
        )
    for hook in found.webhook:
        if [hook.url, hook.url_file, hook.url_env].count(None) != 2:
            raise UsageError(N_("A webhook in {path} needs one of url, url_file and url_env."), path=path)
        url = Secret(hook.url.encode()) if hook.url is not None else _secret(base, hook.url_file, hook.url_env)
        assert url is not None
        channels.append(Webhook(url, hook.kind, _secret(base, hook.secret_file, hook.secret_env), _beside(base, hook.ca_file)))
    if not channels:
        raise UsageError(N_("{path} names neither mail nor webhook."), path=path)
    return channels


def _beside(base: Path, name: str | None) -> Path | None:
    return None if name is None else base / name


def _secret(base: Path, file: str | None, variable: str | None) -> Secret | None:
    if file is not None:
        return read_secret(base / file)
    if variable is None:
        return None
    value = os.environ.get(variable)
    if not value:
        raise UsageError(N_("The environment variable {name} is not set."), name=variable)
    return Secret(value.encode())
