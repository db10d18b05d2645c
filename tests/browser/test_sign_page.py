"""The sign page, on a blank page and as a steward meets it: ``steward sign --page`` in Voilà, started as a person starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser, Page

from steward.approval import Approval, open_policies, open_trust
from steward.commands._signing import now
from steward.manifest.codec import problem_of
from steward.messages import _
from steward.review.sign.talk import WORDS, SignTalk, Wanted
from steward.review.sign.ways import Way
from tests.support.fronts import BlankFront
from tests.support.hostile_values import HOSTILE
from tests.support.review import browser
from tests.support.signing import item
from tests.support.signing_commands import WORD, first_trust, folder, keys, lay, made_now, trust  # noqa: F401  # fixtures

pytestmark = pytest.mark.browser
ARTIFACTS = Path(__file__).resolve().parents[2] / "artifacts"


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    """One browser for the module."""
    with browser() as started:
        yield started


def blank(page: Page, wanted: Wanted) -> BlankFront:
    """The front over a real folder, without Jupyter."""
    words = {name: _(english) for name, english in WORDS.items()} | {"lang": "en"}
    return BlankFront(page, "sign.js", {"words": words}, lambda send: SignTalk(wanted, send).handle)


def test_the_number_and_the_passphrase_sign_by_keyboard_alone(
    chrome: Browser, folder: Path, trust: Path, keys: Path  # noqa: F811  # fixtures by name
) -> None:  # fmt: skip
    page = chrome.new_page(viewport={"width": 1100, "height": 900})
    front = blank(page, Wanted(folder=str(folder), trust=str(trust), way=Way(key=str(keys / "bob"))))
    page.wait_for_selector(".sr-signform input")
    button = page.locator("button.sr-go")
    assert button.is_disabled()
    while page.evaluate("document.activeElement.tagName") != "INPUT":
        page.keyboard.press("Tab")
    page.keyboard.type("2")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.type") == "password"
    page.keyboard.type("wrong horse")
    assert button.is_disabled()  # the number is wrong
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Control+a")
    page.keyboard.type("3")
    page.keyboard.press("Enter")
    page.wait_for_selector('.sr-strip[data-level="refused"]')
    assert (
        page.evaluate("document.activeElement.type") == "password" and page.locator("input[type=password]").input_value() == ""
    )
    page.keyboard.type(WORD)
    page.keyboard.press("Enter")
    page.wait_for_selector(".sr-signed")
    assert "Signed as bob" in page.locator(".sr-signed").first.inner_text()
    for word in (WORD, "wrong horse"):
        assert word not in page.content() and word not in page.evaluate("JSON.stringify(Object.values(window.sent))")
    front.check_quiet()
    page.close()
    with Approval.open(folder, trust=open_trust(trust, now=now()), policies=open_policies(), now=now()) as approval:
        assert approval.summary.signed_by == ("bob",)


def test_hostile_ids_and_reasons_stay_text(chrome: Browser, tmp_path: Path, trust: Path, keys: Path) -> None:  # noqa: F811
    allowed = [v for v in HOSTILE if v and len(v) < 100 and not problem_of(v)]
    assert len(allowed) >= 40  # what a signed document may carry at all
    items = sorted((item(0, id=f"{n}{v}") for n, v in enumerate(allowed)), key=lambda i: i.key)
    items = [msgspec.structs.replace(i, seq=n) for n, i in enumerate(items)]
    where = lay(tmp_path / "manifests", made_now(items))
    page = chrome.new_page()
    front = blank(page, Wanted(folder=str(where), trust=str(trust), way=Way(key=str(keys / "bob"))))
    page.wait_for_selector(".sr-signform")
    assert page.locator(".sr img, .sr script, .sr svg, .sr a, .sr iframe").count() == 0
    front.check_quiet()
    page.close()


def test_steward_sign_page_serves_it_without_code_and_asks_nobody_outside(
    chrome: Browser, tmp_path: Path, folder: Path, trust: Path, keys: Path  # noqa: F811  # fixtures by name
) -> None:  # fmt: skip
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(tmp_path / "c"),
        "IPYTHONDIR": str(tmp_path / "i"),
        "PYTHONUNBUFFERED": "1",
    }
    words = [sys.executable, "-m", "steward.cli", "sign", str(folder), "--page", "--no-browser", "--key", str(keys / "cid"), "--trust", str(trust)]  # fmt: skip
    requests: list[str] = []
    log = tmp_path / "server.log"
    with log.open("wb") as out, subprocess.Popen(words, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True) as server:  # fmt: skip
        try:
            address = _address(log)
            page = chrome.new_page(viewport={"width": 1280, "height": 950})
            page.on("request", lambda r: requests.append(r.url))
            page.goto(address)
            page.wait_for_selector(".sr-signform input", timeout=90_000)
            assert "sign_panel" not in page.content()
            page.locator(".sr-signform input").nth(0).fill("3")
            page.locator(".sr-signform input").nth(1).fill(WORD)
            page.locator("button.sr-go").click()
            page.wait_for_selector(".sr-signed", timeout=60_000)
            assert "Signed as cid" in page.locator(".sr-signed").first.inner_text() and WORD not in page.content()
            ARTIFACTS.mkdir(exist_ok=True)
            page.screenshot(path=ARTIFACTS / "sign-voila.png", full_page=True)
            page.close()
        finally:
            os.killpg(server.pid, signal.SIGINT)
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
    assert WORD not in log.read_text(errors="replace")
    home = address.split("/?")[0]
    assert [u for u in requests if not u.startswith((home, home.replace("http", "ws"), "blob:", "data:"))] == []
    with Approval.open(folder, trust=open_trust(trust, now=now()), policies=open_policies(), now=now()) as approval:
        assert approval.summary.signed_by == ("cid",)


def _address(log: Path) -> str:
    """Wait until the server answers (only to those with the token) and return the page's address."""
    end = time.monotonic() + 90
    while time.monotonic() < end:
        found = [
            w
            for w in log.read_text(errors="replace").replace(";", " ").split()
            if w.startswith("http://127.0.0.1:") and "token" in w
        ]
        if found:
            try:
                with urllib.request.urlopen(found[0].split("?")[0], timeout=5) as answer:
                    assert b"anywidget" not in answer.read()  # without the token there is a way to log in, and no page
                return found[0]
            except urllib.error.HTTPError as refused:
                assert refused.code in (401, 403)
                return found[0]
            except OSError:
                pass
        time.sleep(0.3)
    pytest.fail("the page did not start:\n" + log.read_text(errors="replace")[-2000:])
