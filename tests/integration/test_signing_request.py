"""Requests for approval by e-mail, webhook and chat, to real servers on this machine: counts and digest, nothing else."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from steward.errors import UsageError, WeakKeyError
from steward.post import DeliveryError, Mailbox, Notice, Webhook, sign_body
from steward.post_settings import read_channels
from steward.signing import Secret
from tests.support import signing as world
from tests.support.post import Hook, MailServer, mail_server, web_server
from tests.support.signing_commands import Run, first_trust, keys, lay, made_now, run, trust

__all__ = ["first_trust", "keys", "run", "trust"]  # fixtures

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
NOTICE = Notice("approval-1", "Approval is asked for 3 records", "line one\n<b> & more\n", {"records": 3})


@pytest.fixture(scope="module")
def mail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    with mail_server(tmp_path_factory.mktemp("mail")) as server:
        yield server


@pytest.fixture
def hook() -> Iterator[Hook]:
    with web_server() as server:
        yield server


def secret_file(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o400)
    return path


@pytest.fixture
def post(tmp_path: Path, mail: MailServer, hook: Hook) -> Path:
    """Settings that name both servers."""
    mail.messages.clear()
    mail.refuse.clear()
    mail.down = False
    secret_file(tmp_path / "mail.password", "mail secret")
    secret_file(tmp_path / "hook.secret", "hook canary")
    secret_file(tmp_path / "hook.url", f"http://127.0.0.1:{hook.port}/in?token=url-canary")
    path = tmp_path / "post.toml"
    path.write_text(
        f"""
[mail]
host = "localhost"
port = {mail.port}
from = "steward@example.org"
to = ["cid@example.org", "eve@example.org"]
user = "steward"
password_file = "mail.password"
ca_file = "{mail.ca}"

[[webhook]]
url_file = "hook.url"
secret_file = "hook.secret"
"""
    )
    return path


def test_a_request_says_how_many_and_the_digest_and_nothing_else(
    post: Path, mail: MailServer, hook: Hook, trust: Path, tmp_path: Path, run: Run
) -> None:
    made = made_now(
        [world.item(n, id=f"customer-canary-{n}", reviewer="reviewer-canary", reasons=("reason.canary",)) for n in range(3)]
    )
    folder = lay(tmp_path / "manifests", made)
    code, said, err = run("request", folder, "--post", post, "--trust", trust)
    assert code == 0 and said["sent"] == 2, err
    ((people, message),) = mail.messages
    assert people == ["cid@example.org", "eve@example.org"] and message["from"] == "steward@example.org"
    text = message.get_content()
    digest = hashlib.sha256(made.payload).hexdigest()
    assert digest in text and "contact/soft_delete: 3" in text
    ((path, headers, document, raw),) = hook.calls
    assert document["counts"] == {"contact/soft_delete": 3} and document["digest"] == digest and document["records"] == 3
    assert set(document) == {"id", "subject", "text", "kind", "records", "counts", "digest"}
    seconds, mark = (part.split("=", 1)[1] for part in headers["x-steward-signature"].split(","))
    assert hmac.compare_digest(mark, sign_body(b"hook canary", int(seconds), raw))
    assert headers["x-steward-id"] == f"approval-{digest}" and path == "/in?token=url-canary"
    everything = message.as_string() + raw.decode()
    predicate = made.predicate
    for hidden in ("canary", "acme", "ada", "bob", "production", "sql", predicate.manifest_id, predicate.snapshot.digest):
        assert hidden not in everything.replace("steward", ""), hidden


def test_what_is_vetoed_or_would_not_run_is_not_asked_for(
    post: Path, mail: MailServer, trust: Path, keys: Path, tmp_path: Path, run: Run
) -> None:
    folder = lay(tmp_path / "manifests", made_now())
    key = ("--key", keys / "bob", "--passphrase-file", keys / "pw")
    assert run("veto", folder, "--reason", "talks", *key, "--trust", trust)[0] == 0
    assert run("request", folder, "--post", post, "--trust", trust)[0] == 8
    broken = lay(tmp_path / "more", made_now(nonce=2))
    (broken / "items.ndjson").write_bytes(b"{}\n")
    assert run("request", broken, "--post", post, "--trust", trust)[0] == 7
    assert mail.messages == []


def test_a_server_that_refuses_is_said_to_without_its_words(
    post: Path, mail: MailServer, hook: Hook, trust: Path, tmp_path: Path, run: Run
) -> None:
    folder = lay(tmp_path / "manifests", made_now())
    mail.down = True
    hook.answers = [(500, b"token=url-canary hook canary")]
    code, _, err = run("request", folder, "--post", post, "--trust", trust)
    assert code == 1 and "451" in err and "500" in err and "2 of 2" in err
    assert "canary" not in err and "mail secret" not in err and "come back" not in err
    mail.down = False
    mail.refuse = {"eve@example.org"}
    code, _, err = run("request", folder, "--post", post, "--trust", trust)
    assert code == 1 and "1 of 2 recipients" in err and "eve@example.org" not in err


def test_mail_is_never_sent_in_the_clear_nor_to_a_server_that_nobody_vouches_for(mail: MailServer) -> None:
    box = dict(sender="a@example.org", to=("b@example.org",), user="steward", password=Secret(b"mail secret"))  # noqa: C408
    with pytest.raises(UsageError, match="clear"):
        Mailbox("smtp.example.org", tls="none", **box).send(NOTICE, NOW)
    before = len(mail.messages)
    with pytest.raises(DeliveryError, match="SSLCertVerificationError"):
        Mailbox("localhost", port=mail.port, **box).send(NOTICE, NOW)
    with pytest.raises(DeliveryError, match="530"):  # this server takes nothing without TLS
        Mailbox("localhost", port=mail.port, tls="none", **(box | {"user": ""})).send(NOTICE, NOW)
    with pytest.raises(DeliveryError, match="535") as caught:
        wrong = box | {"password": Secret(b"wrong canary")}
        Mailbox("localhost", port=mail.port, ca_file=mail.ca, **wrong).send(NOTICE, NOW)
    assert "canary" not in str(caught.value) and len(mail.messages) == before
    Mailbox("localhost", port=mail.port, ca_file=mail.ca, **box).send(NOTICE, NOW)
    assert len(mail.messages) == before + 1


@pytest.mark.parametrize(
    "address", ["a@example.org\r\nBcc: c@example.org", "a", "a@b, c@d", "<a@example.org>", "a b@example.org", "a@.."]
)
def test_an_address_that_would_add_a_header_or_a_recipient_is_refused(mail: MailServer, address: str) -> None:
    with pytest.raises(UsageError):
        Mailbox("localhost", "s@example.org", (address,), mail.port, ca_file=mail.ca).send(NOTICE, NOW)


def test_a_subject_cannot_add_a_header(mail: MailServer) -> None:
    mail.messages.clear()
    box = Mailbox(
        "localhost", "s@example.org", ("b@example.org",), mail.port, "starttls", "steward", Secret(b"mail secret"), mail.ca
    )
    box.send(Notice("1\r\nBcc: c@example.org", "one\r\nBcc: c@example.org", "text"), NOW)
    ((people, message),) = mail.messages
    assert people == ["b@example.org"] and message["bcc"] is None and message["subject"] == "one  Bcc: c@example.org"


def test_chats_get_their_own_forms_and_signatures(hook: Hook) -> None:
    url = Secret(f"http://127.0.0.1:{hook.port}/robot?access_token=x".encode())
    hook.answers = [(200, b"ok"), (200, b'{"code":0}'), (200, b'{"errcode":0}'), (200, b'{"errcode":0}')]
    for kind in ("slack", "feishu", "dingtalk", "wecom"):
        Webhook(url, kind, Secret(b"key")).send(NOTICE, NOW)
    slack, feishu, dingtalk, wecom = hook.calls
    text = "Approval is asked for 3 records\nline one\n<b> & more\n"
    assert slack[2] == {"text": text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")}
    seconds = int(NOW.timestamp())
    mark = base64.b64encode(hmac.new(f"{seconds}\nkey".encode(), b"", hashlib.sha256).digest()).decode()
    assert feishu[2] == {"timestamp": str(seconds), "sign": mark, "msg_type": "text", "content": {"text": text}}
    query = parse_qs(urlsplit(dingtalk[0]).query)
    mark = base64.b64encode(hmac.new(b"key", f"{seconds}000\nkey".encode(), hashlib.sha256).digest()).decode()
    assert query == {"access_token": ["x"], "timestamp": [f"{seconds}000"], "sign": [mark]}
    assert dingtalk[2] == wecom[2] == {"msgtype": "text", "text": {"content": text}}


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("feishu", b'{"code":19021,"msg":"sign match fail"}'),
        ("dingtalk", b'{"errcode":310000,"errmsg":"sign not match"}'),
        ("wecom", b'{"errcode":93000}'),
        ("wecom", b"<html>"),
        ("feishu", b"[]"),
    ],
)
def test_a_chat_that_answers_200_and_refuses_has_not_taken_it(hook: Hook, kind: str, answer: bytes) -> None:
    hook.answers = [(200, answer)]
    with pytest.raises(DeliveryError) as caught:
        Webhook(Secret(f"http://127.0.0.1:{hook.port}/".encode()), kind).send(NOTICE, NOW)
    assert "sign" not in str(caught.value)


def test_a_webhook_follows_no_redirect_and_uses_no_clear_line(hook: Hook) -> None:
    hook.answers = [(307, b"")]
    with pytest.raises(DeliveryError, match="307"):
        Webhook(Secret(f"http://127.0.0.1:{hook.port}/".encode())).send(NOTICE, NOW)
    assert len(hook.calls) == 1
    for url in (
        "http://hooks.example.org/x-canary",
        "ftp://hooks.example.org/x-canary",
        "file:///etc/hostname",
        "nothing-canary",
    ):
        with pytest.raises(UsageError) as caught:
            Webhook(Secret(url.encode())).send(NOTICE, NOW)
        assert "canary" not in str(caught.value)


def test_settings_that_are_wrong_or_leave_a_secret_open_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "post.toml"

    def said(text: str) -> str:
        path.write_text(text)
        with pytest.raises((UsageError, WeakKeyError)) as caught:
            read_channels(path)
        return str(caught.value)

    assert "neither" in said("# nothing\n")
    assert "TOML" in said("[mail")
    assert "unknown field" in said('[[webhook]]\nurl = "https://h.example.org/"\nsecret = "canary"')
    assert "canary" not in said('[[webhook]]\nurl = "https://h.example.org/"\nsecret = "canary"')
    assert "one of" in said("[[webhook]]\nkind = 'slack'")
    assert "address" in said('[mail]\nhost = "h"\nfrom = "nobody"\nto = []')
    (tmp_path / "open").write_text("canary")
    (tmp_path / "open").chmod(0o644)
    assert "read by others" in said('[[webhook]]\nurl_file = "open"')
    monkeypatch.delenv("NO_SUCH", raising=False)
    assert "NO_SUCH" in said('[[webhook]]\nurl_env = "NO_SUCH"')
    monkeypatch.setenv("NO_SUCH", "https://h.example.org/canary")
    path.write_text('[[webhook]]\nurl_env = "NO_SUCH"')
    (channel,) = read_channels(path)
    assert "canary" not in repr(channel) and channel.host == "h.example.org"
