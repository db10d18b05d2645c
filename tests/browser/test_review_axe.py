"""Accessibility of the panel: names for everything that can have the focus (always), and axe-core where npm can fetch it.

axe-core finds only a part of what is wrong; no screen reader is run here.
"""

from __future__ import annotations

import shutil
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from steward.messages import choose_language
from steward.policy import Protection
from steward.review.conversation import Conversation
from steward.review.session import ReviewSession
from steward.store.decision_log import DecisionLog
from tests.support.review import BlankPanel, browser, make_workspace, ordinary

pytestmark = pytest.mark.browser
CACHE = Path(__file__).resolve().parents[2] / ".make" / "axe"
VERSION = "4"


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    """One browser for the module."""
    with browser() as started:
        yield started


def axe() -> str | None:
    """Source of axe-core from the cache or from npm; None where neither has it."""
    source = CACHE / "node_modules" / "axe-core" / "axe.min.js"
    npm = shutil.which("npm")
    if not source.exists() and npm:
        CACHE.mkdir(parents=True, exist_ok=True)
        words = [
            npm,
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--prefix",
            str(CACHE),
            f"axe-core@{VERSION}",
        ]
        subprocess.run(words, timeout=90, check=False, capture_output=True)
    return source.read_text(encoding="utf-8") if source.exists() else None


_NAMELESS = """() => [...document.querySelectorAll('.sr, .sr *')].filter((n) => n.tabIndex >= 0 && n.offsetParent !== null)
  .filter((n) => !(n.getAttribute('aria-label') || n.labels?.length || n.innerText?.trim())).map((n) => n.className)"""
_RUN = """async () => (await axe.run(document.querySelector('.sr'), { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] })).violations
  .filter((v) => ['serious', 'critical'].includes(v.impact)).map((v) => v.id + ': ' + v.nodes.slice(0, 3).map((n) => n.target + ' ' + n.failureSummary).join(' | '))"""


@pytest.mark.parametrize("language", ["en", "de", "zh_CN"])
def test_nothing_serious_in_any_language_in_any_part(chrome: Browser, tmp_path: Path, language: str) -> None:
    choose_language(language)
    source = axe()
    if source is None:
        warnings.warn("axe-core could not be fetched with npm; only names were checked", stacklevel=1)
    ws, snapshot = make_workspace(
        tmp_path, ordinary(12), clusters=[(0, 1), (2, 3, 4)], stale=[6], deals=[(1, "5", "open")],
        protections={6: Protection("legal_hold", "keep", "It is on the hold list.")},
    )  # fmt: skip
    try:
        with DecisionLog.open(tmp_path / "log.sqlite") as log:
            for dark in (False, True) if language == "en" else (False,):  # colours do not depend on the language
                page = chrome.new_page(color_scheme="dark" if dark else "light")
                panel = BlankPanel(page, lambda send: Conversation(ReviewSession(ws, snapshot, log, "anna"), send))
                if source:
                    page.evaluate(source)
                for step in ((), ("b",), ("Escape", "l"), ("Escape",)):
                    panel.press(*step)
                    page.wait_for_timeout(150)
                    assert page.evaluate(_NAMELESS) == []
                    if source:
                        assert page.evaluate(_RUN) == [], (dark, step)
                page.locator(".sr-tab").nth(1).click()
                page.wait_for_selector(".sr-hot")
                panel.press("d")
                if source:
                    assert page.evaluate(_RUN) == [], dark
                page.close()
    finally:
        choose_language("en")
        ws.close()
