"""Duplicates of the generated CRM through the workspace: stored pairs, clusters and evidence, and rejected pairs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from steward.crm.mapping import parse_mapping
from steward.crm.sql import SqlReader
from steward.records import RecordKey
from steward.sandbox import build_crm, demo_mapping
from steward.scoring.duplicates import score_duplicates
from steward.store import Workspace
from tests.support.duplicates import pairs_of_groups, precision_recall_f1


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple]:
    home = tmp_path_factory.mktemp("duplicates")
    url = f"sqlite:///{home / 'crm.db'}"
    truth = build_crm(url, customers=1_500, seed=23)
    with Workspace.open(home / "w", create=True) as ws:
        snapshot = ws.take_snapshot(SqlReader(url, parse_mapping(demo_mapping())), taken_at=datetime(2026, 11, 1, tzinfo=UTC))
        yield ws, snapshot, truth, score_duplicates(ws, snapshot, "contact")


def test_planted_duplicates_are_found_and_look_alikes_left_alone(taken: tuple) -> None:
    ws, snapshot, truth, summary = taken
    clusters = ws.clusters(snapshot, "contact")
    found = pairs_of_groups([[m.id for m in c.members] for c in clusters])
    precision, recall, _ = precision_recall_f1(found, pairs_of_groups(truth.duplicate_clusters["contact"]))
    assert precision >= 0.95 and recall >= 0.80
    assert summary.clusters == len(clusters) and summary.proposed == sum(len(c.members) - 1 for c in clusters)
    assert {c["column"] for c in summary.left_out if "column" in c} >= {"owner_id", "created_at"}


def test_each_record_that_would_go_has_evidence_against_its_survivor(taken: tuple) -> None:
    ws, snapshot, _, _ = taken
    survivors = {c.id: c.survivor for c in ws.clusters(snapshot, "contact")}
    goes = {m for c in ws.clusters(snapshot, "contact") for m in c.members if m != c.survivor}
    evidence = ws.evidence(snapshot, kind="duplicate", object="contact")
    assert {e.key for e in evidence} == goes
    for e in evidence:
        begin = (
            "Probably the same customer as" if e.score >= 0.5 else "In one cluster, through other records or a decision, with"
        )
        assert e.sentence.startswith(f"{begin} {survivors[e.case_id]} (") and "bits in all" in e.sentence
        assert "; found by: " in e.sentence or e.score < 0.99
        assert 0 <= e.score <= 1 and e.values


def test_the_weights_of_a_pair_add_up_and_show_the_values(taken: tuple) -> None:
    ws, snapshot, _, summary = taken
    cluster = ws.clusters(snapshot, "contact")[0]
    vectors = ws.pairs_of(snapshot, "contact", cluster.id)
    assert vectors
    for vector in vectors:
        assert vector.pair.rule
        assert {w.field for w in vector.weights} >= {f["field"] for f in summary.fields}
        total = summary.prior_bits + sum(w.bits for w in vector.weights)
        assert vector.match_weight == pytest.approx(total, abs=0.01)
        values = ws.records(snapshot, "contact", [vector.pair.left.id])[vector.pair.left.id]
        assert all(w.left in (None, (values[w.field] or "").strip()) for w in vector.weights if w.field in values)


def test_a_rejected_pair_is_apart_after_the_next_run(taken: tuple) -> None:
    ws, snapshot, _, _ = taken
    first = ws.clusters(snapshot, "contact")[0].members
    pair = (RecordKey("contact", first[0].id), RecordKey("contact", first[1].id))
    score_duplicates(ws, snapshot, "contact", apart=frozenset({pair}))
    assert not any(set(pair) <= set(c.members) for c in ws.clusters(snapshot, "contact"))
    score_duplicates(ws, snapshot, "contact")
    assert any(set(pair) <= set(c.members) for c in ws.clusters(snapshot, "contact"))
