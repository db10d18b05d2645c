"""``steward review``: the panel as a page without code, started as a person starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from steward.decisions import DecisionAction as A
from steward.store.decision_log import DecisionLog
from tests.support.review import browser, make_workspace, ordinary

pytestmark = pytest.mark.browser
ARTIFACTS = Path(__file__).resolve().parents[2] / "artifacts"


def test_the_page_shows_the_panel_without_code_and_asks_nobody_outside(tmp_path: Path) -> None:
    ws, _ = make_workspace(tmp_path, ordinary(12), clusters=[(0, 1), (2, 3)], stale=[6, 7])
    ws.close()
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(tmp_path / "c"),
        "IPYTHONDIR": str(tmp_path / "i"),
        "PYTHONUNBUFFERED": "1",
    }
    words = [sys.executable, "-m", "steward.cli", "review", "--reviewer", "Anna", "--no-browser", "--workspace", str(ws.path)]
    requests: list[str] = []
    with (
        subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True) as server,
        browser() as chrome,
    ):
        try:
            assert server.stdout is not None
            address = next(
                word
                for line in server.stdout
                for word in line.replace(";", " ").split()
                if word.startswith("http://127.0.0.1:")
            )
            end = time.monotonic() + 60
            while time.monotonic() < end:
                try:
                    urllib.request.urlopen(address.split("?")[0], timeout=5)
                except urllib.error.HTTPError as refused:
                    assert refused.code in (401, 403)  # nobody without the token
                    break
                except OSError:
                    time.sleep(0.3)
                else:
                    break
            page = chrome.new_page(viewport={"width": 1500, "height": 950})
            page.on("request", lambda r: requests.append(r.url))
            page.goto(address)
            page.wait_for_selector(".sr-title h2", timeout=60_000)
            assert "open_workspace" not in page.content()
            page.locator(".sr-list").focus()
            page.keyboard.press("m")
            page.wait_for_selector('.sr-saved[data-ok="yes"]')
            ARTIFACTS.mkdir(exist_ok=True)
            page.screenshot(path=ARTIFACTS / "review-page.png")
        finally:
            os.killpg(server.pid, signal.SIGINT)
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
    with DecisionLog.open(ws.path) as log:
        assert [d.action for d in log.read()] == [A.MERGE, A.KEEP]
    home = address.split("/?")[0]
    outside = [u for u in requests if not u.startswith((home, home.replace("http", "ws"), "blob:", "data:"))]
    assert outside == []
