"""Decisions feed back: what would change is shown before anybody accepts it, and accepting writes a definition by name."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from steward.cli import main
from steward.decisions import DecisionAction as A
from steward.review.cases import View
from steward.review.conversation import Conversation
from steward.review.intent import Intent
from steward.review.session import ReviewSession
from steward.scoring.duplicates.definition import parse_definition
from steward.store.decision_log import DecisionLog
from steward.store.workspace import Workspace
from tests.integration.test_duplicates_metamorphic import people

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def test_the_panel_shows_what_learning_would_change_before_a_named_person_accepts_it(tmp_path: Path) -> None:
    people(200, 4).write_csv(tmp_path / "contact.csv")
    folder = tmp_path / "w"
    assert main(["snapshot", str(tmp_path / "contact.csv"), "--id", "id", "--workspace", str(folder), "--quiet"]) == 0
    assert main(["score", "--object", "contact", "--only", "duplicate", "--workspace", str(folder), "--quiet"]) == 0
    said: list[dict[str, Any]] = []
    with Workspace.open(folder, read_only=True) as ws, DecisionLog.open(folder) as log:
        work = ReviewSession(ws, ws.snapshot(), log, "Anna Schmidt", now=lambda: NOW)
        talk = Conversation(work, said.append)
        ask = {"type": "learn", "token": 7, "object": "contact"}
        talk.handle(ask)
        assert said[-1]["type"] == "refused" and said[-1]["token"] == 7 and "0 pairs" in said[-1]["sentence"]
        talk.handle({"type": "learn_accept"})
        assert said[-1]["type"] == "refused"
        work.select(View(kind="duplicate"))
        cases = [row.case_id for row in work.page(0, 99)]
        for n, case in enumerate(cases[:15]):
            work.decide(case, Intent(A.NOT_DUPLICATE if n % 7 == 6 else A.MERGE, confirmed=True))
        head = log.head()
        talk.handle(ask)
        lesson = said[-1]
        assert lesson["type"] == "lesson" and lesson["token"] == 7
        assert lesson["together"] >= 13 and lesson["apart"] == 2 and lesson["of"] == lesson["together"] + lesson["apart"]
        assert all(0 <= r <= lesson["of"] for r in lesson["right"]) and sum(n for _, n in lesson["fates"]) > 10
        assert all(abs(w["after"] - w["before"]) >= 0.05 for w in lesson["weights"])
        assert log.head() == head and not list(folder.glob("linkage-*.toml"))  # nothing changes by looking
        talk.handle({"type": "learn_accept", "token": 8})
        assert said[-1]["type"] == "learned"
        text = (folder / said[-1]["file"]).read_text(encoding="utf-8")
        assert "accepted by Anna Schmidt on 2026-11-25" in text and parse_definition(text).trained
        blind = Conversation(work, said.append, blind=True)
        blind.handle(ask)
        assert said[-1]["type"] == "refused"  # what is hidden is not told by the back door
        work.close()
