"""Pictures in a browser: the threshold by keyboard and by dragging, in the panel and by themselves; no value becomes markup."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from steward.records import Snapshot
from steward.review.pictures import scores
from steward.review.pictures.scene import Line, Rect, Scene, Table, Text
from steward.review.pictures.talk import NOTEBOOK, Desk, PictureTalk
from steward.review.pictures.words import words
from steward.review.session import ReviewSession
from steward.store.decision_log import DecisionLog
from steward.store.workspace import Workspace
from tests.support.fronts import BlankFront
from tests.support.hostile_values import HOSTILE
from tests.support.review import BlankPanel, browser, make_workspace, ordinary

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    """One browser for the module."""
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, Snapshot]]:
    """Nine clusters and three stale."""
    ws, snapshot = make_workspace(
        tmp_path_factory.mktemp("pictures"), ordinary(30), clusters=[(2 * n, 2 * n + 1) for n in range(8)] + [(20, 21, 22)],
        stale=[25, 26], deals=[(1, "1200.50", "open")],
    )  # fmt: skip
    yield ws, snapshot
    ws.close()


def test_a_threshold_moves_by_keyboard_and_by_dragging_and_says_what_it_means(
    chrome: Browser, desk: tuple[Workspace, Snapshot]
) -> None:
    page = chrome.new_page(viewport={"width": 1000, "height": 800})
    front = BlankFront(
        page, "pictures.js", {"words": words() | {"lang": "en", "loading": "…"}, "names": list(NOTEBOOK)},
        lambda send: PictureTalk(*desk, send, lambda: None).handle,
    )  # fmt: skip
    slider = page.locator(".sr-range")
    slider.wait_for()
    found = scores.cuts(scores.collect(*desk, None))
    reading = lambda n: page.locator(".sr-readings dd").nth(n).inner_text()  # noqa: E731
    slider.focus()
    for key, at in (("Home", 0), ("End", 60), ("ArrowLeft", 59), ("PageDown", None)):
        page.keyboard.press(key)
        at = int(slider.input_value()) if at is None else at
        assert int(slider.input_value()) == at
        assert [reading(1), reading(3), reading(4), reading(5)] == [
            found[at][k] for k in ("precision", "pairs", "above", "below")
        ]
    drawing = page.locator(".sr-svg").bounding_box()
    assert drawing is not None
    page.mouse.move(drawing["x"] + drawing["width"] * 0.3, drawing["y"] + 80)
    page.mouse.down()
    before = slider.input_value()
    page.mouse.move(drawing["x"] + drawing["width"] * 0.9, drawing["y"] + 80, steps=4)
    page.mouse.up()
    after = int(slider.input_value())
    assert after > int(before) and reading(5) == found[after]["below"]
    page.mouse.move(drawing["x"] + 10, drawing["y"] + 80)
    assert int(slider.input_value()) == after  # nothing moves without the button
    for name in NOTEBOOK[1:]:
        page.locator(f'[data-name="{name}"]').press("Enter")
        page.wait_for_selector(".sr-gallery .sr-picture, .sr-gallery p")
    front.check_quiet()
    page.close()


def test_the_panel_opens_and_closes_pictures_by_keyboard_and_decides_nothing_meanwhile(
    chrome: Browser, desk: tuple[Workspace, Snapshot], tmp_path: Path
) -> None:
    ws, snapshot = desk
    with DecisionLog.open(tmp_path / "log.sqlite") as log:
        page = chrome.new_page()
        panel = BlankPanel(page, lambda send: Desk(ws, ReviewSession(ws, snapshot, log, "anna"), send))
        title = panel.title
        panel.press("g")
        page.wait_for_selector(".sr-dialog .sr-svg")
        panel.press("m", "d", "p", "x", "j", "b")
        assert page.locator(".sr-dialog").count() == 1 and panel.title == title
        seen = set()
        for _ in range(14):  # Tab goes round inside the dialog
            panel.press("Tab")
            assert page.evaluate("document.querySelector('.sr-dialog').contains(document.activeElement)")
            seen.add(page.evaluate("document.activeElement.tagName"))
        assert {"BUTTON", "SUMMARY"} <= seen
        panel.press("Escape")
        assert page.locator(".sr-dialog").count() == 0 and len(log.read()) == 0
        panel.press("p")
        panel.saved()
        assert panel.errors == []
        page.close()


def test_a_hundred_hostile_values_in_a_picture_stay_text(chrome: Browser) -> None:
    assert len(HOSTILE) >= 100
    marks: list[Any] = [Rect(0, 0, 5, 5, "accent", "hatch", 1, 0, v) for v in HOSTILE]
    marks += [Text(1, 10, v) for v in HOSTILE] + [Line(((0, 0), (5, 5)), "soft")]
    hostile = "".join(HOSTILE)
    scene = Scene(100, 100, hostile, hostile, tuple(marks), Table(tuple(HOSTILE), (tuple(HOSTILE),)))

    def handler_of(send: Any) -> Any:
        def handle(message: Mapping[str, Any]) -> None:
            send(
                {
                    "type": "picture",
                    "which": message["which"],
                    "scene": scene.message(),
                    "choices": [[v, v] for v in HOSTILE],
                    "chosen": "",
                }
            )

        return handle

    page = chrome.new_page()
    front = BlankFront(page, "pictures.js", {"words": words() | {"lang": "en"}, "names": ["scores"]}, handler_of)
    page.wait_for_selector(".sr-svg")
    tags = set(page.evaluate("[...document.querySelectorAll('.sr *')].map((n) => n.tagName.toLowerCase())"))
    assert tags <= {"div", "button", "span", "select", "option", "figure", "svg", "defs", "pattern", "rect", "title", "text", "polyline",
                    "figcaption", "details", "summary", "table", "thead", "tbody", "tr", "th", "td", "kbd"}  # fmt: skip
    named = page.evaluate("[...document.querySelectorAll('.sr *')].flatMap((n) => [...n.attributes].map((a) => a.name))")
    assert not [a for a in named if a.startswith("on") or a in ("href", "src", "srcdoc", "xlink:href")]
    # The same through Python, as a report carries it.
    page.set_content(f"<!doctype html><div id=r>{scene.svg('x', standalone=True)}</div>")
    page.wait_for_timeout(100)
    inside = set(page.evaluate("[...document.querySelectorAll('#r *')].map((n) => n.tagName.toLowerCase())"))
    assert inside <= {"svg", "title", "desc", "style", "defs", "pattern", "rect", "text", "polyline"}
    assert page.evaluate("window.executed ?? 0") == 0
    assert [u for u in front.requests if not u.startswith("blob:")] == []
    page.close()


def test_taking_out_one_of_many_keeps_the_place_and_the_survivor_in_sight(chrome: Browser, tmp_path: Path) -> None:
    people = [{**ordinary(1)[0], "name": f"Jörg Müller {n}"} for n in range(50)]
    ws, snapshot = make_workspace(tmp_path / "w", people, clusters=[list(range(50))])
    with DecisionLog.open(tmp_path / "log.sqlite") as log:
        page = chrome.new_page()
        panel = BlankPanel(page, lambda send: Desk(ws, ReviewSession(ws, snapshot, log, "anna"), send))
        panel.press(*["ArrowRight"] * 12, "x")
        page.wait_for_selector("th.sr-focus .sr-out")
        wrap, survivor, chosen = (page.locator(s).first.bounding_box() for s in (".sr-scroll", ".sr-table thead th >> nth=1", "th.sr-focus"))  # fmt: skip
        assert wrap and survivor and chosen
        assert wrap["x"] <= survivor["x"] < survivor["x"] + survivor["width"] <= chosen["x"]
        assert chosen["x"] + chosen["width"] <= wrap["x"] + wrap["width"] + 1
        assert panel.errors == []
        page.close()
    ws.close()
