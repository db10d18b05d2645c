"""Two members on one list: the person chooses in the panel which link stays, and the log says so."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from steward.crm.mapping import parse_mapping
from steward.crm.sql import SqlReader
from steward.decisions import DecisionAction as A
from steward.evidence import Evidence
from steward.records import RecordKey
from steward.review.conversation import Conversation
from steward.review.session import ReviewSession
from steward.store.decision_log import DecisionLog
from steward.store.workspace import Workspace
from tests.support.review import BlankPanel, browser

pytestmark = pytest.mark.browser
MAPPING = """
format = "steward-mapping/1"
system = "sql"
tenant = "test"
environment = "sandbox"
[objects.contact]
key = "id"
role = "person"
label = ["name"]
[objects.campaign]
key = "id"
label = ["title"]
[objects.campaign_member]
key = "id"
role = "membership"
parents = { contact_id = "contact", campaign_id = "campaign" }
"""


@pytest.fixture
def panel(tmp_path: Path) -> Iterator[tuple[BlankPanel, DecisionLog]]:
    """One cluster of two people on one list whose name and role are markup."""
    with sqlite3.connect(tmp_path / "crm.sqlite") as db:
        db.executescript(
            """
            CREATE TABLE contact(id TEXT PRIMARY KEY, name TEXT);
            CREATE TABLE campaign(id TEXT PRIMARY KEY, title TEXT);
            CREATE TABLE campaign_member(id TEXT PRIMARY KEY, contact_id TEXT, campaign_id TEXT, status TEXT);
            INSERT INTO contact VALUES ('a1', 'Ann'), ('a2', 'Ann');
            INSERT INTO campaign VALUES ('s', '<img src=x onerror=window.executed++>');
            INSERT INTO campaign_member VALUES ('m1', 'a1', 's', '<b>sent</b>'), ('m2', 'a2', 's', 'responded');
            """
        )
    db.close()
    ws = Workspace.open(tmp_path / "w", create=True)
    reader = SqlReader(f"sqlite:///{tmp_path / 'crm.sqlite'}", parse_mapping(MAPPING))
    snapshot = ws.take_snapshot(reader, taken_at=datetime(2026, 11, 25, tzinfo=UTC))
    reader.close()
    ws.replace_evidence(
        snapshot, "duplicate", "contact",
        evidence=[Evidence("duplicate", RecordKey("contact", "a2"), "linkage", 0.999, "Same name.", (), "dup-a", "l")],
        clusters=pl.DataFrame([("dup-a", "a1", True), ("dup-a", "a2", False)], orient="row", schema=["cluster_id", "record_id", "survivor"]),
        definition_digest="l", summary={},
    )  # fmt: skip
    with DecisionLog.open(tmp_path) as log, browser() as chrome:
        shown = BlankPanel(chrome.new_page(), lambda send: Conversation(ReviewSession(ws, snapshot, log, "anna"), send))
        yield shown, log
        assert [u for u in shown.requests if not u.startswith("blob:")] == []
        assert shown.errors == [] and shown.page.evaluate("window.executed") == 0
    ws.close()


def test_the_person_chooses_which_of_two_links_stays(panel: tuple[BlankPanel, DecisionLog]) -> None:
    shown, log = panel
    links = shown.page.locator(".sr-lost li.sr-block")
    assert links.count() == 2 and all("held back until" in text for text in links.all_inner_texts())
    shown.press("m")
    shown.page.wait_for_function("document.querySelector('.sr-foot').textContent.includes('cannot move')")
    assert log.read() == []  # asked first
    go = links.filter(has_text="m1").or_(links.filter(has_text="a1")).get_by_role("button", name="Let this one go")
    go.focus()
    shown.page.keyboard.press("Enter")
    shown.page.wait_for_function("document.querySelectorAll('.sr-lost [aria-pressed=true]').length === 1")
    assert not any("held back until" in text for text in links.all_inner_texts())
    assert "so that the other one stays" in links.first.inner_text()
    shown.press("m")
    shown.saved()
    standing = log.standing().by_key
    assert standing[RecordKey("contact", "a2")].target == "a1"
    gone = standing[RecordKey("campaign_member", "m1")]
    assert gone.action is A.DELETE and gone.choices == {"stays": "m2"}


def test_what_was_let_go_can_be_kept_after_all(panel: tuple[BlankPanel, DecisionLog]) -> None:
    shown, log = panel
    shown.page.get_by_role("button", name="Let this one go").first.click()
    shown.page.wait_for_function("document.querySelectorAll('.sr-lost [aria-pressed=true]').length === 1")
    shown.page.get_by_role("button", name="Keep it after all").click()
    shown.page.wait_for_function("document.querySelectorAll('.sr-lost [aria-pressed=true]').length === 0")
    shown.press("m")
    shown.page.wait_for_function("document.querySelector('.sr-foot').textContent.includes('cannot move')")
    assert log.read() == []
