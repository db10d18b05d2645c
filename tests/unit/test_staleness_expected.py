"""BG/NBD: the published numbers, parameters found again in a simulated world, and what the evidence says of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from steward.policy import Holds
from steward.scoring.staleness import score_staleness
from steward.scoring.staleness.expected import Model, alive, expected_purchases, fit, log_likelihood
from steward.store import Workspace
from tests.support.reasons import AS_OF, World

CDNOW = Model(0.243, 4.414, 0.793, 2.426)
"""Fader, Hardie and Lee 2005, table 2."""


def _one(model: Model, x: float, last: float, age: float, weeks: float) -> float:
    return float(expected_purchases(model, np.array([x]), np.array([last]), np.array([age]), weeks)[0])


def test_the_customer_of_the_paper() -> None:
    """Two repeat purchases, the last after 30.43 of 38.86 weeks: 1.226 expected in 39 more."""
    assert _one(CDNOW, 2, 30.43, 38.86, 39) == pytest.approx(1.226, abs=5e-4)
    assert float(alive(CDNOW, np.array([0.0]), np.array([0.0]), np.array([38.86]))[0]) == 1.0


def test_more_and_later_purchases_raise_what_is_expected() -> None:
    assert _one(CDNOW, 2, 30, 39, 39) > _one(CDNOW, 2, 10, 39, 39)
    assert _one(CDNOW, 2, 30, 39, 39) > _one(CDNOW, 1, 30, 39, 39)
    assert _one(CDNOW, 0, 0, 39, 39) > _one(CDNOW, 0, 0, 390, 39)


def test_parameters_are_found_again_in_a_simulated_world() -> None:
    dice = np.random.default_rng(11)
    truth, n = Model(0.8, 6.0, 0.9, 2.5), 6_000
    age = dice.uniform(30, 80, n)
    rate, leaves = dice.gamma(truth.r, 1 / truth.alpha, n), dice.beta(truth.a, truth.b, n)
    x, last, later = np.zeros(n), np.zeros(n), np.zeros(n)
    for i in range(n):
        at, gone = 0.0, False
        while not gone:
            at += dice.exponential(1 / rate[i])
            if at > age[i] + 40:
                break
            if at <= age[i]:
                x[i], last[i] = x[i] + 1, at
            else:
                later[i] += 1
            gone = dice.random() < leaves[i]
    found = fit(x, last, age)
    assert (found.r, found.alpha) == pytest.approx((truth.r, truth.alpha), rel=0.12)
    assert found.a / (found.a + found.b) == pytest.approx(truth.a / (truth.a + truth.b), rel=0.12)
    at_best, nearby = (log_likelihood(m, x, last, age).sum() for m in (found, truth))
    assert at_best >= nearby
    assert expected_purchases(found, x, last, age, 40.0).mean() == pytest.approx(later.mean(), rel=0.08)


def _buyers(count: int) -> World:
    world = World()
    first = {name: rows[0] for name, rows in world.records.items()}
    world.records["contact"], world.records["order"] = [], []
    for n in range(count):
        world.records["contact"].append({**first["contact"], "id": f"P{n}", "created": "2015-01-01"})
        for k in range(1 + n % 4):
            day = (AS_OF - timedelta(days=3_900 - 37 * (n % 50) - 90 * k)).date().isoformat()
            world.records["order"].append({**first["order"], "id": f"O{n}-{k}", "contact_id": f"P{n}", "day": day})
    for name in ("invoice", "deal", "quote", "contract", "ticket"):
        world.without(name)
    world.records["activity"] = [{**first["activity"], "contact_id": "P0"}]
    return world


def test_it_is_shown_for_transactions_and_adds_no_points(tmp_path: Path) -> None:
    world = _buyers(260)
    with Workspace.open(tmp_path / "w", create=True) as ws:
        snapshot = world.snapshot(ws, tmp_path / "f")
        score_staleness(ws, snapshot, "contact", world.policy, holds=Holds())
        found = ws.evidence(snapshot, kind="stale")
        assert len(found) > 200
        for evidence in found:
            (shown,) = [v for v in evidence.values if v.field == "expected_purchases"]
            assert shown.points is None and shown.source == "order" and "no points" in str(shown.compared_with)
            assert 0 <= float(str(shown.value)) < 1  # seven silent years
            assert evidence.score == pytest.approx(sum(v.points for v in evidence.values if v.points) / 100)
        once = [e.digest for e in found]
        score_staleness(ws, snapshot, "contact", world.policy, holds=Holds())
        assert [e.digest for e in ws.evidence(snapshot, kind="stale")] == once


def test_too_few_buyers_give_no_estimate(tmp_path: Path) -> None:
    world = _buyers(60)
    with Workspace.open(tmp_path / "w", create=True) as ws:
        snapshot = world.snapshot(ws, tmp_path / "f")
        score_staleness(ws, snapshot, "contact", world.policy, holds=Holds())
        found = ws.evidence(snapshot, kind="stale")
        assert found and not [v for e in found for v in e.values if v.field == "expected_purchases"]
