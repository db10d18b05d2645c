"""A kernel that answers late: no key is lost in silence, and none decides on a case that was not on the screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from steward.decisions import DecisionAction as A
from steward.records import Snapshot
from steward.review.conversation import Conversation
from steward.review.session import ReviewSession
from steward.store.decision_log import DecisionLog
from steward.store.workspace import Workspace
from tests.support.review import BlankPanel, browser, key, make_workspace, ordinary

pytestmark = pytest.mark.browser
Desk = tuple[Workspace, Snapshot]


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    """One browser for the module."""
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Ten clusters, the first of three, and one stale record."""
    ws, snapshot = make_workspace(
        tmp_path_factory.mktemp("desk"),
        ordinary(30),
        clusters=[(0, 1, 2), *((2 * n, 2 * n + 1) for n in range(2, 11))],
        stale=[25],
    )
    yield ws, snapshot
    ws.close()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[DecisionLog]:
    """A fresh log."""
    with DecisionLog.open(tmp_path) as opened:
        yield opened


def late(chrome: Browser, desk: Desk, log: DecisionLog, hold: Any) -> BlankPanel:
    """A panel whose kernel's answers may be held back."""
    return BlankPanel(chrome.new_page(), lambda send: Conversation(ReviewSession(*desk, log, "Anna"), send), hold=hold)


def decided(log: DecisionLog) -> list[str]:
    """Cases decided on, in order, one per keystroke."""
    return list({d.group: d.case_id for d in log.read()}.values())


def done(panel: BlankPanel, n: int) -> None:
    """Wait until the panel counts ``n`` cases as done."""
    panel.page.wait_for_function("([n]) => document.querySelector('.sr-done').textContent.startsWith(n + ' of')", arg=[n])


def test_a_key_before_the_kernel_has_said_what_comes_next_does_not_strand_the_reviewer(
    chrome: Browser, desk: Desk, log: DecisionLog
) -> None:
    """The screen once stayed on the decided case, where the next key decided it a second time: that key seemed lost."""
    panel = late(chrome, desk, log, lambda m: m["type"] == "ahead")
    for n, k in enumerate("mpnmp", 1):
        panel.page.wait_for_selector(".sr-title h2")
        panel.press(k)
        done(panel, n)
    assert len(set(decided(log))) == len(decided(log)) == 5
    assert panel.errors == []


def test_a_decision_on_a_case_that_is_not_painted_is_refused_in_words(chrome: Browser, desk: Desk, log: DecisionLog) -> None:
    panel = late(chrome, desk, log, lambda m: m["type"] == "cases")
    panel.press("m")
    done(panel, 1)
    panel.page.wait_for_selector(".sr-sheet .sr-none")  # the next case is still loading
    for k in "mdx":
        panel.press("Escape", k)
        panel.page.wait_for_function(
            "([k]) => document.querySelector('.sr-strip').textContent.includes(k + ' was not taken')", arg=[k.upper()]
        )
    assert len(decided(log)) == 1
    panel.hold = lambda _m: False
    panel.release()
    panel.page.wait_for_selector(".sr-title h2")
    panel.press("p")
    done(panel, 2)
    assert len(set(decided(log))) == 2


def test_keys_wait_for_an_arrangement_under_way_and_then_act_on_it(chrome: Browser, desk: Desk, log: DecisionLog) -> None:
    """X, M pressed at once must not merge the member that was just taken out."""
    panel = late(chrome, desk, log, lambda m: m.get("token") is not None and m["type"] == "cases")
    panel.page.locator(".sr-select").first.select_option("size")
    panel.page.wait_for_function("document.querySelectorAll('.sr-member').length === 3")
    panel.page.locator(".sr-list").focus()
    panel.press("3", "x", "m")
    panel.page.wait_for_function("document.querySelector('.sr-saved').textContent.startsWith('Your keys wait')")
    assert decided(log) == []
    panel.release()
    done(panel, 1)
    standing = log.standing()
    assert {k: d.action for k, d in standing.by_key.items()} == {key(0): A.KEEP, key(1): A.MERGE, key(2): A.NOT_DUPLICATE}


def test_keys_typed_ahead_never_decide_on_the_case_after(chrome: Browser, desk: Desk, log: DecisionLog) -> None:
    panel = late(chrome, desk, log, lambda m: m.get("token") is not None and m["type"] == "cases")
    panel.press("2", "s", "m", "d")  # d was pressed while the first case was on the screen
    panel.page.wait_for_function("document.querySelector('.sr-saved').textContent.startsWith('Your keys wait')")
    panel.release()
    done(panel, 1)
    assert len(decided(log)) == 1 and {d.action for d in log.read()} == {A.MERGE, A.KEEP}
    assert "D was not taken" in panel.text(".sr-strip")


def test_a_second_key_while_the_first_is_being_saved_and_an_action_that_is_not_offered_are_refused_in_words(
    chrome: Browser, desk: Desk, log: DecisionLog
) -> None:
    panel = late(chrome, desk, log, lambda m: m["type"] in ("decided", "ahead"))
    panel.page.evaluate("document.querySelectorAll('.sr-tab')[1].click()")  # one stale record: no next case
    panel.page.wait_for_selector(".sr-title h2 >> text=12")
    panel.hold = lambda m: m["type"] in ("decided", "ahead")
    panel.press("m")
    assert "cannot be decided here" in panel.text(".sr-strip")
    panel.press("p")
    panel.press("d")
    panel.page.wait_for_function("document.querySelector('.sr-strip').textContent.includes('still being saved')")
    panel.release()
    panel.saved()
    assert [d.action for d in log.read()] == [A.KEEP]
