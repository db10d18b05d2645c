"""Decisions teach: weights move towards what people merged, labels hold, nothing is stored unless accepted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from steward.cli import main
from steward.decisions import Decision, DecisionAction, fold
from steward.errors import ScoringError
from steward.records import RecordKey
from steward.scoring.duplicates.definition import parse_definition
from steward.scoring.duplicates.learning import Labels, labels_from, learn, merged_by_people
from steward.scoring.duplicates.link import LinkResult, link
from steward.scoring.duplicates.stored import with_model
from steward.scoring.duplicates.teaching import teach_most
from steward.scoring.duplicates.together import hold_together
from tests.integration.test_duplicates_metamorphic import people
from tests.support.duplicates import fake1000

AT = datetime(2026, 11, 2, tzinfo=UTC)


def _decision(
    n: int, key: str, action: DecisionAction, target: str | None = None, group: str = "", who: str = "ann"
) -> Decision:
    return Decision(f"d{n}", group or f"g{n}", "c", RecordKey("contact", key), action, who, AT, target=target)


def _log() -> list[Decision]:
    merge, apart = DecisionAction.MERGE, DecisionAction.NOT_DUPLICATE
    return [
        _decision(1, "b", merge, "a"), _decision(2, "c", merge, "a"), _decision(3, "x", apart, group="g3"), _decision(4, "y", apart, group="g3"),
        _decision(5, "q", merge, "p", who="rule:clear"), _decision(6, "n", merge, "m"), _decision(7, "n", DecisionAction.KEEP, who="bob"),
    ]  # fmt: skip


def test_labels_are_what_people_decided_with_what_follows_from_it() -> None:
    standing = fold(_log())
    labels = labels_from(standing, "contact")
    assert labels.together == (("a", "b"), ("a", "c"), ("b", "c")) and labels.apart == (("x", "y"),)
    assert ("p", "q") in labels_from(standing, "contact", rules_too=True).together
    assert labels_from(standing, "company") == Labels((), ())
    assert {(a.id, b.id) for a, b in merged_by_people(standing)} == {("b", "a"), ("c", "a")}


@pytest.mark.parametrize(
    ("labels", "together", "apart", "groups"),
    [
        ([0, 1, 2, 3], [(0, 1)], [], [{0, 1}, {2}, {3}]),
        ([0, 0, 2, 2], [(1, 2)], [], [{0, 1, 2, 3}]),
        ([0, 0, 2, 2], [(1, 2)], [(0, 3)], [{0}, {1, 2}, {3}]),
        ([0, 1, 2, 3], [(0, 1), (1, 2)], [(0, 2)], [{0, 1}, {2}, {3}]),
        ([0, 0, 0, 3], [(2, 3)], [(0, 3)], [{0, 1}, {2, 3}]),
        ([0, 1], [(0, 1)], [(1, 0)], [{0}, {1}]),
    ],
)
def test_what_people_decided_holds(
    labels: list[int], together: list[tuple[int, int]], apart: list[tuple[int, int]], groups: list[set[int]]
) -> None:
    found = hold_together(np.array(labels, np.int64), together, apart)
    assert [{int(i) for i in np.flatnonzero(found == k)} for k in sorted(set(found.tolist()))] == groups
    assert all(min(np.flatnonzero(found == k)) == k for k in set(found.tolist()))


def test_a_merged_pair_shares_a_cluster_whatever_it_weighs_and_in_any_row_order() -> None:
    table = people(200, 4)
    strangers = ("r3", "r90")
    for rows in (table, table.reverse()):
        found = link(rows, ids="id", together=[strangers])
        assert any(set(strangers) <= set(g) for g in found.groups())
    apart = link(table, ids="id", together=[strangers], apart=[strangers])
    assert not any(set(strangers) <= set(g) for g in apart.groups())


@pytest.fixture(scope="module")
def scored(real_data: Path) -> tuple[pl.DataFrame, set[tuple[str, str]], LinkResult]:
    frame, true = fake1000(real_data)
    return frame, true, link(frame, ids="unique_id")


def _decided(found: LinkResult, true: set[tuple[str, str]], every: int, start: int = 0) -> Labels:
    """Return the truth about every n-th of the pairs offered for review."""
    pairs = list(found.pairs_frame().sort("probability", "left_id").select("left_id", "right_id").iter_rows())[start::every]
    return Labels(tuple(sorted(p for p in pairs if p in true)), tuple(sorted(p for p in pairs if p not in true)))


def test_decisions_make_decisions_they_have_not_seen_less_surprising(
    scored: tuple[pl.DataFrame, set[tuple[str, str]], LinkResult],
) -> None:
    frame, true, found = scored
    assert found.model is not None
    base = with_model(found.definition, found.model, cut=found.cut)
    labels = _decided(found, true, 4)
    lesson = learn(frame, base, labels, ids="unique_id")
    assert lesson.better and lesson.fit[1] < lesson.fit[0]
    assert learn(frame.sample(fraction=1.0, shuffle=True, seed=2), base, labels, ids="unique_id").digest == lesson.digest
    after = link(frame, lesson.definition, ids="unique_id", apart=labels.apart, together=labels.together)
    cluster_of = {m: i for i, g in enumerate(after.groups()) for m in g}
    assert all(cluster_of.get(a, a) == cluster_of.get(b, b) for a, b in labels.together)
    assert not any(cluster_of.get(a, a) == cluster_of.get(b, b) for a, b in labels.apart)
    held_out = _decided(found, true, 4, start=2)
    surprise = []
    for definition in (base, lesson.definition):
        frame_of = link(frame, definition, ids="unique_id").pairs_frame()
        p = {(a, b): x for a, b, x in frame_of.select("left_id", "right_id", "probability").iter_rows()}
        surprise.append(
            -sum(np.log2(max(p.get(k, 0.005), 1e-9)) for k in held_out.together)
            - sum(np.log2(max(1 - p.get(k, 0.005), 1e-9)) for k in held_out.apart)
        )
    assert surprise[1] < surprise[0]


def test_a_model_that_is_sure_of_too_much_is_brought_back(
    scored: tuple[pl.DataFrame, set[tuple[str, str]], LinkResult],
) -> None:
    frame, true, found = scored
    assert found.model is not None
    honest = with_model(found.definition, found.model)
    assert honest.prior is not None
    rash = replace(honest, prior=honest.prior * 64)
    lesson = learn(frame, rash, _decided(found, true, 6), ids="unique_id")
    assert lesson.better and lesson.right[1] > lesson.right[0] + 10
    assert lesson.prior_bits[0] - 7 < lesson.prior_bits[1] < lesson.prior_bits[0] - 2


def test_too_few_decisions_and_a_definition_without_a_model_are_refused(
    scored: tuple[pl.DataFrame, set[tuple[str, str]], LinkResult],
) -> None:
    frame, true, found = scored
    assert found.model is not None
    with pytest.raises(ScoringError, match="fewer than 5 tell nothing"):
        learn(frame, with_model(found.definition, found.model), Labels(tuple(sorted(true))[:3], ()), ids="unique_id")
    with pytest.raises(ScoringError, match="no model to learn on"):
        learn(frame, found.definition, Labels(tuple(sorted(true))[:9], ()), ids="unique_id")


def test_the_pairs_that_teach_most_are_uncertain_common_and_unlike_each_other() -> None:
    pairs = [
        ("1", "2", 0.99, "sure"),
        ("3", "4", 0.5, "open"),
        ("5", "6", 0.5, "open"),
        ("7", "8", 0.4, "other"),
        ("9", "10", 0.5, "open"),
    ]
    order = teach_most(pairs, limit=3)
    assert order == [("3", "4"), ("5", "6"), ("7", "8")] or order[:2] == [("10", "9"), ("3", "4")]
    assert teach_most(pairs, decided=[("3", "4"), ("5", "6")])[0] == ("7", "8")
    assert teach_most(list(reversed(pairs))) == teach_most(pairs)
    assert len(teach_most(pairs)) == 5 and teach_most([]) == []


def _run(*words: str, capsys: pytest.CaptureFixture[str]) -> dict:
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def _merges(truth: Sequence[Sequence[str]], clusters: dict[str, str]) -> list[Decision]:
    out = []
    for n, group in enumerate(truth):
        inside = [m for m in group if m in clusters]
        out += [_decision(100 * n + i, m, DecisionAction.MERGE, inside[0]) for i, m in enumerate(inside[1:])]
    return out


def test_the_whole_way_from_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from steward.store.decision_log import DecisionLog

    table = people(300, 4)
    table.write_csv(tmp_path / "contact.csv")
    w = str(tmp_path / "w")
    assert main(["snapshot", str(tmp_path / "contact.csv"), "--id", "id", "--workspace", w]) == 0
    assert main(["score", "--object", "contact", "--only", "duplicate", "--workspace", w]) == 0
    capsys.readouterr()
    assert main(["learn", "contact", "--workspace", w]) == 4  # nothing is decided yet
    assert "0 pairs are decided" in capsys.readouterr().err
    truth = [[f"r{i}", f"r{i + 1}"] for i in range(0, 350, 7)]
    log = DecisionLog.open(tmp_path / "w" / "decisions.sqlite")
    log.append(_merges(truth[:20], {m: m for g in truth for m in g}))
    log.append([_decision(9_000 + i, m, DecisionAction.NOT_DUPLICATE, group="apart") for i, m in enumerate(truth[30])])
    log.close()
    before = (tmp_path / "w" / "snapshots.duckdb").read_bytes()
    shown = _run("learn", "contact", "--workspace", w, capsys=capsys)
    assert shown["decided"]["together"] == 20 and shown["written"] is None
    assert (tmp_path / "w" / "snapshots.duckdb").read_bytes() == before
    accepted = _run("learn", "contact", "--accept", str(tmp_path / "learned.toml"), "--workspace", w, capsys=capsys)
    learned = parse_definition((tmp_path / "learned.toml").read_text(encoding="utf-8"))
    assert learned.trained and learned.digest == accepted["digest"] == shown["digest"]
    assert main(["learn", "contact", "--accept", str(tmp_path / "learned.toml"), "--workspace", w]) == 2
    capsys.readouterr()
    _run(
        "score",
        "--object",
        "contact",
        "--only",
        "duplicate",
        "--definition",
        str(tmp_path / "learned.toml"),
        "--workspace",
        w,
        capsys=capsys,
    )
    listed = _run("learn", "contact", "--pairs", "7", "--workspace", w, capsys=capsys)
    assert 0 < len(listed["pairs"]) <= 7
    assert not {tuple(sorted(p)) for p in listed["pairs"]} & {tuple(sorted(g)) for g in truth[:20]}
