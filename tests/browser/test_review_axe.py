"""Accessibility of panel, pictures, sign page and report: names for what can have the focus, and axe-core, in three languages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from steward.messages import _, choose_language
from steward.messages import language as chosen
from steward.policy import Protection
from steward.records import Snapshot
from steward.review.pictures.talk import Desk
from steward.review.session import ReviewSession
from steward.review.sign.talk import WORDS, SignTalk, Wanted
from steward.review.sign.ways import Way
from steward.scorecard import collect, render
from steward.scorecard.pictures import of_customer, of_execution, of_snapshot
from steward.store.decision_log import DecisionLog
from steward.store.workspace import Workspace
from tests.support.accessibility import check_accessible
from tests.support.fronts import BlankFront
from tests.support.review import BlankPanel, browser, key, make_workspace, ordinary
from tests.support.signing_commands import first_trust, folder, keys, trust  # noqa: F401  # fixtures

pytestmark = pytest.mark.browser
ARTIFACTS = Path(__file__).resolve().parents[2] / "artifacts"
LANGUAGES = ["en", "de", "zh_CN"]
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    """One browser for the module."""
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, Snapshot]]:
    """Two clusters, one stale that is held, a deal."""
    ws, snapshot = make_workspace(
        tmp_path_factory.mktemp("axe"), ordinary(12), clusters=[(0, 1), (2, 3, 4)], stale=[6], deals=[(1, "5", "open")],
        protections={6: Protection("legal_hold", "keep", "It is on the hold list.")},
    )  # fmt: skip
    yield ws, snapshot
    ws.close()


@pytest.fixture(params=LANGUAGES)
def spoken(request: pytest.FixtureRequest) -> Iterator[str]:
    """One language after the other."""
    choose_language(request.param)
    ARTIFACTS.mkdir(exist_ok=True)
    yield str(request.param)
    choose_language("en")


def themes(language: str) -> tuple[str, ...]:
    """Colours do not depend on the language: dark is looked at once."""
    return ("light", "dark") if language == "en" else ("light",)


def test_panel_dialogs_and_pictures(chrome: Browser, desk: tuple[Workspace, Snapshot], tmp_path: Path, spoken: str) -> None:
    ws, snapshot = desk
    with DecisionLog.open(tmp_path / "log.sqlite") as log:
        for theme in themes(spoken):
            page = chrome.new_page(color_scheme=theme)  # type: ignore[arg-type]  # a literal
            panel = BlankPanel(page, lambda send: Desk(ws, ReviewSession(ws, snapshot, log, "anna"), send))
            for step in ((), ("b",), ("Escape", "l"), ("Escape",)):
                panel.press(*step)
                page.wait_for_timeout(150)
                check_accessible(page, ".sr", (theme, step))
            page.screenshot(path=ARTIFACTS / f"panel-{spoken}-{theme}.png")
            panel.press("g")
            for at in range(page.locator(".sr-picks button").count()):
                button = page.locator(".sr-picks button").nth(at)
                button.click()
                page.wait_for_selector(".sr-picture, .sr-gallery p:not(:empty)")
                page.wait_for_function(
                    "document.querySelector('.sr-gallery .sr-picture, .sr-gallery p').textContent.length > 12"
                )
                check_accessible(page, ".sr", (theme, button.inner_text()))
                page.screenshot(path=ARTIFACTS / f"picture-{button.get_attribute('data-name')}-{spoken}-{theme}.png")
            panel.press("Escape")
            page.locator(".sr-tab").nth(1).click()
            page.wait_for_selector(".sr-hot")
            panel.press("d")
            check_accessible(page, ".sr", theme)
            page.close()


def test_sign_page(chrome: Browser, spoken: str, folder: Path, trust: Path, keys: Path) -> None:  # noqa: F811  # fixtures by name
    words = {name: _(english) for name, english in WORDS.items()} | {"lang": chosen().replace("_", "-")}
    for theme in themes(spoken):
        page = chrome.new_page(color_scheme=theme, viewport={"width": 1200, "height": 900})  # type: ignore[arg-type]  # a literal
        front = BlankFront(
            page, "sign.js", {"words": words},
            lambda send: SignTalk(Wanted(folder=str(folder), trust=str(trust), way=Way(key=str(keys / "bob"))), send).handle,
        )  # fmt: skip
        page.wait_for_selector(".sr-signform")
        check_accessible(page, ".sr", theme)
        page.screenshot(path=ARTIFACTS / f"sign-{spoken}-{theme}.png", full_page=True)
        front.check_quiet()
        page.close()


def test_report_with_pictures(chrome: Browser, desk: tuple[Workspace, Snapshot], spoken: str) -> None:
    ws, snapshot = desk
    pictures = [
        of_execution(ws, snapshot, snapshot, [key(1)]),
        *of_snapshot(ws, snapshot, None),
        *of_customer(ws, snapshot, key(1)),
    ]
    text = render(collect(ws, snapshot, None, now=lambda: NOW), now=NOW, pictures=pictures)
    for theme in themes(spoken):
        page = chrome.new_page(color_scheme=theme, viewport={"width": 1140, "height": 900}, bypass_csp=True)  # type: ignore[arg-type]  # axe is a script; the page forbids them
        asked: list[str] = []
        page.on("request", lambda r, into=asked: into.append(r.url))
        page.set_content(text)
        page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        check_accessible(page, "body", theme)
        assert asked == []
        page.screenshot(path=ARTIFACTS / f"report-{spoken}-{theme}.png", full_page=True)
        page.close()
