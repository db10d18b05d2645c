"""The order "teaches most": what the stored model would learn most from comes first, decided kinds fall back; else even odds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from steward.cli import main
from steward.decisions import DecisionAction as A
from steward.decisions import fold
from steward.review.cases import CaseState, View
from steward.review.intent import Intent
from steward.review.session import ReviewSession
from steward.review.teaching import teaching_cases
from steward.scoring.duplicates.teaching import teach_most, teaching_pairs
from steward.store.decision_log import DecisionLog
from steward.store.workspace import Workspace
from tests.integration.test_duplicates_metamorphic import people
from tests.support.review import make_workspace, ordinary

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
LEARNING = View(kind="duplicate", order="learning")


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Two objects scored with a model each."""
    folder = tmp_path_factory.mktemp("teaching")
    people(400, 4).write_csv(folder / "contact.csv")
    people(250, 9).write_csv(folder / "lead.csv")
    files = [str(folder / "contact.csv"), str(folder / "lead.csv")]
    assert main(["snapshot", *files, "--id", "id", "--workspace", str(folder / "w"), "--quiet"]) == 0
    for name in ("contact", "lead"):
        assert main(["score", "--object", name, "--only", "duplicate", "--workspace", str(folder / "w"), "--quiet"]) == 0
    with Workspace.open(folder / "w", read_only=True) as ws:
        yield ws


def _patterns(ws: Workspace, object: str) -> dict[str, set[str]]:
    """Return the patterns of levels of each cluster's pairs, by cluster id."""
    out = {}
    for cluster in ws.clusters(ws.snapshot(), object):
        out[cluster.id] = {"|".join(w.level for w in v.weights) for v in ws.pairs_of(ws.snapshot(), object, cluster.id)}
    return out


def test_clusters_stand_where_their_pairs_teach_by_an_independent_count(scored: Workspace) -> None:
    ws, snapshot = scored, scored.snapshot()
    order = teaching_cases(ws, snapshot, fold([]))
    offered, case_of = [], {}
    for name in ("contact", "lead"):
        for cluster in ws.clusters(snapshot, name):
            for v in ws.pairs_of(snapshot, name, cluster.id):
                a, b = sorted(f"{name}/{key.id}" for key in (v.pair.left, v.pair.right))
                case_of[a, b] = (name, cluster.id)
                offered.append((a, b, v.probability, f"{name}|" + "|".join(w.level for w in v.weights)))
    assert order == list(dict.fromkeys(case_of[p] for p in teach_most(offered)))
    assert len(order) == len(set(order)) == len(set(case_of.values())) and {o for o, _ in order} == {"contact", "lead"}


def test_the_queue_follows_and_is_unlike_even_odds(scored: Workspace, tmp_path: Path) -> None:
    with DecisionLog.open(tmp_path) as log:
        work = ReviewSession(scored, scored.snapshot(), log, "anna", now=lambda: NOW)
        assert work.select(LEARNING) == len(work.index)
        rows = work.page(0, 999)
        shown = [(r.object, r.case_id) for r in rows]
        wanted = teaching_cases(scored, scored.snapshot(), fold([]))
        assert shown[: len(wanted)] == wanted and len(set(shown)) == len(shown)
        odds = [abs(r.score - 0.5) for r in rows]
        assert odds != sorted(odds)  # nearest to even odds would show one kind of pair over and over
        work.select(View(kind="duplicate", object="lead", order="learning"))
        assert [(r.object, r.case_id) for r in work.page(0, 999)] == [c for c in shown if c[0] == "lead"]
        work.close()


def test_what_is_decided_makes_its_kind_teach_less(scored: Workspace, tmp_path: Path) -> None:
    patterns = _patterns(scored, "contact") | _patterns(scored, "lead")
    common = Counter(p for found in patterns.values() for p in found)
    with DecisionLog.open(tmp_path) as log:
        work = ReviewSession(scored, scored.snapshot(), log, "anna", now=lambda: NOW)
        work.select(LEARNING)
        before = work.page(0, 999)
        first = next(r for r in before if r.size == 2 and common[next(iter(patterns[r.case_id]))] >= 3)
        (kind,) = patterns[first.case_id]
        like = next(
            r for r in before if r.case_id != first.case_id and r.object == first.object and patterns[r.case_id] == {kind}
        )
        work.decide(first.case_id, Intent(A.NOT_DUPLICATE, confirmed=True))
        work.select(LEARNING)
        after = work.page(0, 999)
        assert sorted(r.case_id for r in after) == sorted(r.case_id for r in before)
        place = {r.case_id: n for n, r in enumerate(after)}
        assert after[place[first.case_id]].state is CaseState.DECIDED
        taught = teaching_cases(scored, scored.snapshot(), log.standing())
        assert (first.object, first.case_id) not in taught and place[first.case_id] >= len(taught)
        undecided = [r.case_id for r in before if r.case_id != first.case_id]
        assert place[like.case_id] >= undecided.index(like.case_id)  # no earlier than it stood
        work.undo()
        work.select(LEARNING)
        assert [r.case_id for r in work.page(0, 999)] == [r.case_id for r in before]
        work.close()


def test_without_a_stored_model_the_nearest_to_even_odds_come_first(tmp_path: Path) -> None:
    clusters = [(2 * n, 2 * n + 1) for n in range(8)]
    ws, snapshot = make_workspace(tmp_path, ordinary(40), clusters=clusters, stale=[20, 21, 22])
    with DecisionLog.open(tmp_path) as log:
        assert teaching_cases(ws, snapshot, fold([])) == []
        work = ReviewSession(ws, snapshot, log, "anna", now=lambda: NOW)
        for kind in ("duplicate", None):
            work.select(View(kind=kind, order="learning"))
            odds = [abs(r.score - 0.5) for r in work.page(0, 99)]
            assert len(odds) >= 8 and odds == sorted(odds)
        work.close()
    ws.close()


def test_the_terminal_lists_the_same_kind_of_pairs(scored: Workspace) -> None:
    pairs = teaching_pairs(scored, scored.snapshot(), "contact", fold([]), 5)
    rows = (
        scored.connection.cursor()
        .execute("SELECT left_id, right_id, weights_json FROM pairs WHERE object = 'contact'")
        .fetchall()
    )
    levels = {(a, b): "|".join(w["level"] for w in json.loads(text)) for a, b, text in rows}
    assert len(pairs) == 5 and len({levels[p] for p in pairs}) >= 3  # unlike each other
