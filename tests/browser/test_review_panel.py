"""The panel's own front in headless Chromium on a blank page, against a real session and a real log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from steward.decisions import DecisionAction as A
from steward.messages import choose_language
from steward.policy import Protection
from steward.records import Snapshot
from steward.review.conversation import Conversation
from steward.review.session import ReviewSession
from steward.store.decision_log import DecisionLog
from steward.store.workspace import Workspace
from tests.support.hostile_values import HOSTILE
from tests.support.review import BlankPanel, browser, key, make_workspace, ordinary

pytestmark = pytest.mark.browser
ARTIFACTS = Path(__file__).resolve().parents[2] / "artifacts"


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    """One browser for the module."""
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, Snapshot]]:
    """Twelve clusters, the last of three; four stale; person 1 has an open deal; person 40 is held."""
    ws, snapshot = make_workspace(
        tmp_path_factory.mktemp("desk"),
        ordinary(50),
        clusters=[(2 * n, 2 * n + 1) for n in range(12)] + [(24, 25, 26)],
        stale=[40, 41, 1, 42],
        invalid=[44],
        deals=[(1, "1200.50", "open"), (1, "99.50", "won")],
        protections={40: Protection("legal_hold", "keep", "It is on the hold list.")},
    )
    yield ws, snapshot
    ws.close()


Open = Callable[..., tuple[BlankPanel, DecisionLog]]


@pytest.fixture
def open_panel(chrome: Browser, desk: tuple[Workspace, Snapshot], tmp_path: Path) -> Iterator[Open]:
    """Open a panel on a fresh log; the page must have asked for nothing and raised nothing."""
    opened: list[BlankPanel] = []
    log = DecisionLog.open(tmp_path)

    def make(reviewer: str = "Anna", **options: Any) -> tuple[BlankPanel, DecisionLog]:
        blind = options.pop("blind", False)
        at = options.pop("desk", desk)
        panel = BlankPanel(
            chrome.new_page(), lambda send: Conversation(ReviewSession(*at, log, reviewer), send, blind=blind), **options
        )
        opened.append(panel)
        return panel, log

    yield make
    for panel in opened:
        assert [u for u in panel.requests if not u.startswith("blob:")] == []
        assert panel.errors == []
        assert panel.page.evaluate("window.executed") == 0
        panel.page.close()
    log.close()


def test_ten_decisions_by_keyboard_undo_and_redo(open_panel: Open) -> None:
    panel, log = open_panel()
    for n, k in enumerate(["m", "p", "n", "m", "d", "p", "m", "m", "n", "p"], 1):
        before = panel.title
        panel.press(k)
        panel.page.wait_for_function("([t]) => document.querySelector('.sr-title h2').textContent !== t", arg=[before])
        panel.saved()
        assert len({d.group for d in log.read()}) == n  # on disk before the screen says so
    assert panel.text(".sr-done") == "10 of 13"
    panel.press("u", "u")
    panel.page.wait_for_function("document.querySelector('.sr-done').textContent === '8 of 13'")
    panel.press("r")
    panel.page.wait_for_function("document.querySelector('.sr-done').textContent === '9 of 13'")
    actions = [d.action for d in log.standing().by_key.values()]
    assert actions.count(A.MERGE) == 4 and actions.count(A.DELETE) == 1
    ARTIFACTS.mkdir(exist_ok=True)
    panel.page.screenshot(path=ARTIFACTS / "review-panel.png")


def test_why_a_survivor_is_proposed_stands_beside_the_star(open_panel: Open) -> None:
    panel, _ = open_panel()
    said = "Proposed: most records hang on it."
    assert panel.text("thead th.sr-focus .sr-why") == said and "★" in panel.text("thead th.sr-focus .sr-surv")
    assert panel.page.locator(".sr-why").count() == 1
    first = panel.title
    panel.press("ArrowRight", "s")  # another survivor: the reason stays with the one that was proposed
    panel.page.wait_for_function("document.querySelectorAll('thead th')[2].querySelector('.sr-why') !== null")
    assert panel.page.locator(".sr-why").all_inner_texts() == [said]
    assert panel.page.locator("thead th").nth(1).locator(".sr-surv").count() == 1
    panel.press("p")
    panel.page.wait_for_function("([t]) => document.querySelector('.sr-title h2').textContent !== t", arg=[first])
    steered = "Proposed: it was changed last. It is not the oldest, so whoever can add records could have steered this."
    assert panel.text(".sr-why") == steered
    blind, _ = open_panel(blind=True)
    assert blind.page.locator("thead .sr-surv").count() == 1 and blind.page.locator(".sr-why").count() == 0
    choose_language("de")
    try:
        assert "geändert" in open_panel()[0].text(".sr-why")
    finally:
        choose_language("en")


def test_the_screen_says_saved_only_after_the_log_has_it(open_panel: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    panel, _ = open_panel()
    first = panel.title
    seen: list[str] = []
    append = DecisionLog.append

    def watched(self: DecisionLog, entries: Any) -> Any:
        seen.append(panel.text(".sr-saved"))
        seen.append(panel.title)
        return append(self, entries)

    monkeypatch.setattr(DecisionLog, "append", watched)
    panel.press("m")
    panel.saved()
    assert seen[0] == "Saving…"
    assert seen[1] != first  # the next case was painted without waiting for the kernel


def test_a_log_that_cannot_be_written_brings_the_case_back_and_says_so(
    open_panel: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    from steward.errors import DecisionError

    panel, log = open_panel()
    first = panel.title

    def full(self: DecisionLog, entries: Any) -> Any:
        raise DecisionError("The disk is full.")

    monkeypatch.setattr(DecisionLog, "append", full)
    panel.press("m")
    panel.page.wait_for_selector(".sr-strip:not([hidden])")
    assert "disk is full" in panel.text(".sr-strip") and panel.text(".sr-saved") == "Not saved" and panel.title == first
    monkeypatch.setattr(DecisionLog, "append", lambda *_: 1 / 0)
    panel.press("m")
    panel.page.wait_for_function("document.querySelector('.sr-strip').textContent.includes('ZeroDivisionError')")
    assert log.head().seq == 0


def test_survivor_take_out_and_field_choice(open_panel: Open) -> None:
    panel, log = open_panel()
    page = panel.page
    page.locator(".sr-select").first.select_option("size")
    page.wait_for_function("document.querySelectorAll('.sr-member').length === 3")
    page.locator(".sr-list").focus()
    panel.press("2", "s")
    page.wait_for_function("([id]) => document.querySelector('.sr-id').textContent === id", arg=[key(25).id])
    panel.press("3", "x")
    page.wait_for_selector(".sr-out")
    page.locator(".sr-mini").first.click()
    page.wait_for_function("document.querySelector('.sr-table tbody .sr-surv') !== null")
    panel.press("m")
    panel.saved()
    said = {d.key.id: d for d in log.read()}
    gone = [d for d in said.values() if d.action is A.MERGE]
    assert [d.target for d in gone] == [key(25).id] and len(gone[0].choices) >= 1
    assert sorted(d.action for d in said.values()) == [A.KEEP, A.MERGE, A.NOT_DUPLICATE]


def test_what_blocks_asks_twice_and_what_is_held_is_refused(open_panel: Open) -> None:
    panel, log = open_panel()
    page = panel.page
    page.locator(".sr-tab", has_text="Stale").click()
    page.wait_for_function("document.querySelectorAll('.sr-member').length === 1")
    lines = page.locator(".sr-row").all_inner_texts()
    where = {key(i).id: n for n, i in enumerate([1, 40, 41, 42])}
    assert len(lines) == 4
    for _ in range(4):
        shown = panel.text(".sr-id")
        if shown == key(40).id:
            assert "hold list" in panel.text(".sr-note")
            panel.press("d")
            page.wait_for_selector(".sr-strip:not([hidden])")
            assert log.head().seq == 0
        if shown == key(1).id:
            assert "blocked" in panel.text(".sr-block")
            panel.press("d")
            assert "again to confirm" in panel.text(".sr-confirm") and log.head().seq == 0
            panel.press("Escape", "j")
        else:
            panel.press("j")
        page.wait_for_function("([t]) => document.querySelector('.sr-id')?.textContent !== t || true", arg=[shown])
    assert len(where) == 4
    for _ in range(4):
        if panel.text(".sr-id") == key(1).id:
            panel.press("d", "d")
            panel.saved()
            break
        panel.press("k")
    assert [d.action for d in log.read()] == [A.DELETE]


def test_bulk_needs_the_typed_number_and_one_undo_takes_it_back(open_panel: Open) -> None:
    panel, log = open_panel()
    page = panel.page
    panel.press("b")
    page.wait_for_selector(".sr-plan input")
    assert "14 records in 13 cases" in panel.text(".sr-big")
    assert page.locator(".sr-risky li").count() == 13
    page.keyboard.type("13")
    assert page.locator(".sr-go").is_disabled()
    panel.press("Enter")
    assert log.head().seq == 0
    page.keyboard.press("Backspace")
    page.keyboard.type("4")
    panel.press("Enter")
    panel.saved()
    assert panel.text(".sr-done") == "13 of 13"
    panel.press("u")
    page.wait_for_function("document.querySelector('.sr-done').textContent === '0 of 13'")


def test_dialog_keeps_the_focus_and_escape_changes_nothing(open_panel: Open) -> None:
    panel, log = open_panel()
    for k in ("l", "e", "c", "o", "b"):
        panel.press(k)
        panel.page.wait_for_selector(".sr-dialog")
        for _ in range(7):
            panel.press("Tab")
            assert panel.page.evaluate("document.querySelector('.sr-dialog').contains(document.activeElement)")
        panel.press("Escape")
        assert panel.page.locator(".sr-dialog").count() == 0
    assert log.head().seq == 0
    panel.press("l")
    panel.page.locator(".sr-dialog input[type=text]").fill("waiting for sales")
    panel.press("Enter")
    panel.saved()
    assert log.read()[0].action is A.DEFER and log.read()[0].reason == "waiting for sales"


def test_no_unmodified_key_leaves_the_panel_from_any_focusable_element(open_panel: Open) -> None:
    panel, _ = open_panel()
    page = panel.page
    page.evaluate("window.leaked = []; document.addEventListener('keydown', (e) => window.leaked.push(e.key))")
    count = page.evaluate("""() => { const all = [...document.querySelectorAll('.sr, .sr *')].filter((n) => n.tabIndex >= 0 || n.classList.contains('sr'));
      window.all = all; window.bare = all.filter((n) => !n.hasAttribute('data-lm-suppress-shortcuts')).map((n) => n.className); return all.length }""")
    assert count > 15 and page.evaluate("window.bare") == []
    for i in range(count):
        for k in ("a", "b", "q", "y", "0", "Enter", "F2"):
            page.evaluate("(i) => { const n = window.all[i]; if (n.isConnected && n.tagName !== 'BUTTON') n.focus() }", i)
            page.evaluate(
                "([i, k]) => window.all[i].isConnected && window.all[i].dispatchEvent(new KeyboardEvent('keydown', { key: k, bubbles: true }))",
                [i, k],
            )
        panel.press("Escape", "Escape")
    assert page.evaluate("window.leaked") == []


def test_focus_stays_in_the_panel_when_what_held_it_is_painted_anew(open_panel: Open) -> None:
    panel, _ = open_panel()
    for selector in (".sr-tab >> nth=1", ".sr-act >> nth=1", "th >> nth=1"):
        panel.page.locator(selector).click()
        panel.page.wait_for_timeout(60)
        assert panel.page.evaluate("document.querySelector('.sr').contains(document.activeElement)"), selector


def test_composing_chinese_text_decides_nothing(open_panel: Open) -> None:
    panel, log = open_panel()
    panel.page.evaluate("""() => { for (const key of ["m", "d", "Enter"]) document.querySelector('.sr-list')
      .dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, isComposing: true })) }""")
    panel.press("Control+m", "Alt+d")
    panel.page.wait_for_timeout(100)
    assert log.head().seq == 0
    panel.press("/")
    panel.page.keyboard.insert_text("王小明")
    panel.page.wait_for_function("document.querySelector('.sr-name')?.textContent.includes('王小明')")
    assert log.head().seq == 0


def test_differences_are_marked_by_sign_and_underline_and_missing_as_missing(open_panel: Open) -> None:
    panel, _ = open_panel()
    page = panel.page
    row = page.locator("tr", has=page.locator("th.sr-field", has_text="city"))
    assert row.locator("td.sr-differs u").all_inner_texts() == ["oe"]
    assert row.locator(".sr-ne").inner_text() == "≠"
    assert "underline" in row.locator("u").first.evaluate("(n) => getComputedStyle(n).textDecorationLine")
    phone = page.locator("tr", has=page.locator("th.sr-field", has_text="phone"))
    assert "∅ missing" in phone.locator("td.sr-missing").inner_text()
    assert page.locator(".sr-weight").count() == 6  # the prior, four fields, the sum
    assert "Köln" not in panel.text(".sr-lost") and "Koeln" in panel.text(".sr-lost")


def test_blind_mode_sends_no_score_to_the_page(open_panel: Open) -> None:
    panel, _ = open_panel(blind=True)
    assert panel.page.locator(".sr-num").count() == 0 and "hidden" in panel.text(".sr-under")
    assert "99" not in panel.text(".sr-facts")


def test_a_hundred_hostile_values_in_every_field_run_nothing(chrome: Browser, tmp_path: Path, open_panel: Open) -> None:
    corpus = HOSTILE[: len(HOSTILE) // 2 * 2]
    people = [dict.fromkeys(("name", "email", "phone", "city", "note"), v) for v in corpus]
    ws, snapshot = make_workspace(
        tmp_path / "h", people, clusters=[(n, n + 1) for n in range(0, len(corpus), 2)], stale=[0, 1, 2]
    )
    panel, log = open_panel("<img src=x onerror=window.executed++>", desk=(ws, snapshot))
    page = panel.page
    for n in range(len(corpus) // 2):
        page.wait_for_function(
            "([n]) => document.querySelector('.sr-row[aria-selected=true]')?.dataset.line == n && document.querySelector('.sr-title h2')",
            arg=[n],
        )
        made = page.evaluate("[...document.querySelectorAll('.sr *')].map((n) => n.tagName.toLowerCase())")
        assert not set(made) & {
            "img",
            "script",
            "svg",
            "iframe",
            "a",
            "object",
            "form",
            "video",
            "details",
            "link",
            "base",
            "meta",
            "style",
            "math",
            "textarea",
        }
        assert page.evaluate(
            "[...document.querySelectorAll('.sr *')].every((n) => n.getAttributeNames().every((a) => !a.startsWith('on')))"
        )
        panel.press("j")
    panel.press("m")
    panel.saved()
    assert log.read()[0].reviewer.startswith("<img")
    panel.press("/")
    page.keyboard.insert_text("\u202egnp")
    panel.press("Enter")
    page.wait_for_function("document.querySelector('.sr-name .sr-chip')?.textContent === 'U+202E'")
    page.wait_for_selector(".sr-title h2")
    panel.press("b")
    page.wait_for_selector(".sr-plan p")
    panel.press("Escape")
    ws.close()


def test_a_case_that_was_shown_is_shown_again_in_another_view(open_panel: Open) -> None:
    panel, _ = open_panel()
    first = panel.title
    for order in ("learning", "certainty", "size", "certainty"):
        panel.page.locator(".sr-select").first.select_option(order)
        panel.page.wait_for_function("document.querySelector('.sr-title h2') !== null")
    panel.page.wait_for_function("([t]) => document.querySelector('.sr-title h2')?.textContent === t", arg=[first])


def test_the_list_is_virtual_and_jumps_to_the_end(open_panel: Open) -> None:
    panel, _ = open_panel()
    panel.press("End")
    assert panel.page.locator(".sr-row").count() <= 25
    assert panel.page.locator(".sr-row[aria-selected=true]").get_attribute("data-line") == "12"


@pytest.mark.parametrize("language", ["de", "zh_CN"])
def test_numbers_follow_the_language(open_panel: Open, language: str) -> None:
    choose_language(language)
    try:
        panel, _ = open_panel()
        assert panel.page.locator(".sr").get_attribute("lang") == language.replace("_", "-")
        number = panel.text(".sr-num")
        assert ("," in number) == (language == "de")
    finally:
        choose_language("en")
