"""The panel for a team and for hard choices: claims, what waits for me, choosing by hand, splitting, survivor rules, asking twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from steward.decisions import DecisionAction as A
from steward.records import Snapshot
from steward.review.conversation import Conversation
from steward.review.intent import Intent
from steward.review.session import ReviewSession
from steward.store.decision_log import DecisionLog
from steward.store.workspace import Workspace
from tests.support.review import BlankPanel, browser, key, make_workspace, ordinary

pytestmark = pytest.mark.browser
Desk = tuple[Workspace, Snapshot]
Open = Callable[..., BlankPanel]


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    """One browser for the module."""
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A cluster of four, six of two, eight stale records."""
    ws, snapshot = make_workspace(
        tmp_path_factory.mktemp("desk"),
        ordinary(40),
        clusters=[(0, 1, 2, 3), *((2 * n, 2 * n + 1) for n in range(2, 8))],
        stale=range(20, 28),
    )
    yield ws, snapshot
    ws.close()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[DecisionLog]:
    """A fresh log."""
    with DecisionLog.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def open_panel(chrome: Browser, desk: Desk, log: DecisionLog) -> Iterator[Open]:
    """Open a panel; the page must have asked for nothing and raised nothing."""
    opened: list[BlankPanel] = []

    def make(reviewer: str = "Anna", **more: Any) -> BlankPanel:
        panel = BlankPanel(chrome.new_page(), lambda send: Conversation(ReviewSession(*desk, log, reviewer, **more), send))
        opened.append(panel)
        return panel

    yield make
    for panel in opened:
        assert [u for u in panel.requests if not u.startswith("blob:")] == []
        assert panel.errors == []
        panel.conversation.session.close()
        panel.page.close()


def done(panel: BlankPanel, n: int) -> None:
    """Wait until the panel counts ``n`` cases as done."""
    panel.page.wait_for_function("([n]) => document.querySelector('.sr-done').textContent.startsWith(n + ' of')", arg=[n])


def says(panel: BlankPanel, selector: str, words: str) -> None:
    """Wait until an element says something."""
    panel.page.wait_for_function(
        "([s, t]) => [...document.querySelectorAll(s)].some((n) => n.textContent.includes(t))", arg=[selector, words]
    )


def tab(panel: BlankPanel, n: int) -> None:
    """Go to a queue by its tab."""
    panel.page.locator(".sr-tab").nth(n).click()
    panel.page.wait_for_function(
        "([n]) => document.querySelectorAll('.sr-tab')[n].getAttribute('aria-pressed') === 'true'", arg=[n]
    )
    panel.page.locator(".sr-list").focus()


def test_two_people_get_different_cases_and_a_case_on_anothers_screen_says_so(open_panel: Open, log: DecisionLog) -> None:
    anna = open_panel("Anna")
    tab(anna, 1)
    boris = open_panel("Boris")
    tab(boris, 1)
    assert anna.title != boris.title
    boris.press("Home")
    says(boris, ".sr-note", "Anna has this case open")
    boris.press("p")
    says(boris, ".sr-confirm", "Anna has this case on the screen")
    assert log.head().seq == 0
    boris.press("p")
    done(boris, 1)
    anna.page.evaluate("window.toPython(JSON.stringify({type: 'here', case: null}))")
    done(anna, 1)  # what he decided arrives at her screen without a key


def test_a_deferred_case_waits_for_me_and_an_escalated_one_for_the_person_named(open_panel: Open, log: DecisionLog) -> None:
    anna = open_panel("Anna")
    tab(anna, 1)
    day = (date.today() + timedelta(days=400)).isoformat()
    anna.press("l")
    anna.page.locator('.sr-dialog input[type="date"]').fill(day)
    anna.press("Enter")
    done(anna, 1)
    anna.press("e")
    anna.page.locator('.sr-dialog input[type="text"]').first.fill("Boris")
    anna.press("Enter")
    done(anna, 2)
    assert [(d.action, str(d.until), d.choices.get("to")) for d in log.read()] == [
        (A.DEFER, day, None),
        (A.ESCALATE, "None", "Boris"),
    ]
    for panel in (anna, open_panel("Boris")):
        mine = panel.page.locator(".sr-tab").last
        assert mine.inner_text().split()[-1] == "1"
        mine.click()
        panel.page.wait_for_function("document.querySelectorAll('.sr-row').length === 1")
        says(panel, ".sr-card", "Escalate · Anna" if panel is not anna else "Later · Anna")


def test_chosen_cases_are_decided_together_and_a_hard_action_asks_twice(open_panel: Open, log: DecisionLog) -> None:
    panel = open_panel()
    tab(panel, 1)
    panel.press(" ", "j", " ", "j", "j", " ")
    assert panel.page.locator(".sr-row.sr-marked").count() == 3
    panel.press("b")
    panel.page.locator(".sr-dialog select").select_option("anonymise")
    says(panel, ".sr-plan", "3 records")
    panel.page.locator(".sr-plan input").fill("3")
    panel.press("Enter")
    says(panel, ".sr-dialog .sr-strip", "cannot be taken back")
    assert log.head().seq == 0
    panel.press("Enter")
    done(panel, 3)
    assert [d.action for d in log.read()] == [A.ANONYMISE] * 3 and len({d.group for d in log.read()}) == 1
    panel.press("u")
    done(panel, 0)
    panel.press("a")  # one case: the same key again
    says(panel, ".sr-confirm", "cannot be taken back")
    assert len(log.read()) == 4
    panel.press("a")
    done(panel, 1)


def test_one_key_splits_a_cluster_in_two(open_panel: Open, log: DecisionLog) -> None:
    panel = open_panel()
    panel.page.locator(".sr-select").first.select_option("size")
    panel.page.wait_for_function("document.querySelectorAll('.sr-member').length === 4")
    panel.page.locator(".sr-list").focus()
    panel.press("3", "t", "m")
    done(panel, 1)
    standing = log.standing()
    assert standing.by_key[key(1)].action is A.MERGE and standing.by_key[key(0)].action is A.KEEP
    apart = {(a, b) for a, b in standing.not_duplicates}
    assert apart == {tuple(sorted((key(a), key(b)))) for a in (0, 1) for b in (2, 3)}  # 2 and 3 may be proposed together again


def test_a_survivor_rule_is_previewed_and_goes_into_the_decision(open_panel: Open, log: DecisionLog) -> None:
    panel = open_panel()
    case = next(
        m.key for m in panel.conversation.session.source.facts([panel.conversation.session.index.place("dup-00001")])[0].members
    )
    assert case
    title = panel.title
    rules = panel.page.locator(".sr-card select")
    assert rules.locator("option").all_inner_texts()[0].startswith("its own")
    rules.select_option(label="the longest value")
    panel.page.wait_for_function(
        "document.querySelector('.sr-card select').selectedOptions[0].textContent === 'the longest value'"
    )
    says(panel, ".sr-lost .sr-quiet", "from ")
    panel.page.locator(".sr-list").focus()
    panel.press("m")
    done(panel, 1)
    merged = next(d for d in log.read() if d.action is A.MERGE)
    assert set(merged.choices) >= {"name", "note"} and panel.title != title
    assert (
        panel.page.locator(".sr-card select").evaluate("(n) => n.selectedOptions[0].textContent") == "the longest value"
    )  # it stays in force


def test_more_filters_narrow_the_queue(open_panel: Open) -> None:
    panel = open_panel()
    total = panel.page.locator(".sr-row").count()
    panel.page.locator("button.sr-mini", has_text="More filters").click()
    panel.page.locator('.sr-filters input[type="number"]').first.fill("98")
    panel.page.locator('.sr-filters input[type="number"]').first.press("Tab")
    panel.page.wait_for_function(
        "([n]) => { const k = document.querySelectorAll('.sr-row').length; return k > 0 && k < n }", arg=[total]
    )


def test_learning_asks_for_enough_decisions_and_says_so(open_panel: Open) -> None:
    panel = open_panel()
    panel.press("w")
    says(panel, ".sr-dialog .sr-strip", "has not been scored")
    panel.press("Escape")
    assert panel.page.locator(".sr-dialog").count() == 0


def test_comments_are_shown_with_their_authors_and_stay_text(open_panel: Open, desk: Desk, log: DecisionLog) -> None:
    other = ReviewSession(*desk, log, "<img src=x onerror=alert(1)>")
    other.decide("dup-00001", Intent(A.COMMENT, reason="<script>window.executed = 1</script> ask sales"))
    other.close()
    panel = open_panel()
    panel.page.locator(".sr-search").first.fill("p2@example.org")
    panel.press("Enter")
    says(panel, ".sr-card", "ask sales")
    assert panel.page.evaluate("window.executed") == 0
