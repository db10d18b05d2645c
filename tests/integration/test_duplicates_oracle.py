"""Weights, probabilities and the estimator against plain arithmetic, pair by pair, on small tables."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from steward.scoring.duplicates.columns import Table
from steward.scoring.duplicates.levels import compare_codes
from steward.scoring.duplicates.link import LinkResult, link
from steward.scoring.duplicates.model import WeightedECM, patterns
from steward.scoring.duplicates.train import Model, compare_pairs
from tests.integration.test_duplicates_metamorphic import people


@pytest.fixture(scope="module")
def linked() -> LinkResult:
    return link(people(160, 21), ids="id")


def _plain_weight(table: Table, model: Model, levels: list[int], left: int) -> float:
    """Add up prior, log2(m/u) and rarity of one pair, and take off what the look-alike classes explain."""
    total = math.log2(model.prior / (1 - model.prior))
    bits = []
    for column, m, u, level in zip(table.columns, model.m, model.u, levels, strict=True):
        value = 0.0
        if level >= 0:
            value = math.log2(m[level] / u[level])
            if level == column.kind.exact and column.kind.rare_counts_more:
                usual = u[level]
                own = model.prior * len(table) * m[level]
                filled = int(column.counts.sum())
                others = max(float(column.counts[column.codes[left]]) - 1.0 - own, 1.0)
                share = others / (filled + min(1.0 / usual, 2.0 * filled))
                value += min(max(math.log2(usual / share), -12.0), 8.0)
        bits.append(value)
    total += sum(bits)
    explained = 0.0
    for shares, odds in zip(model.related, model.related_odds, strict=True):
        power = math.log2(model.prior / (1 - model.prior)) + math.log2(odds)
        for column_bits, how, m, level in zip(bits, shares, model.m, levels, strict=True):
            if isinstance(how, np.ndarray):
                power += column_bits + (math.log2(how[level] / m[level]) if level >= 0 else 0.0)
            elif how:
                power += column_bits
        explained += 2.0**power
    return total - math.log2(1.0 + explained)


def test_every_pair_has_the_weight_that_plain_arithmetic_gives(linked: LinkResult) -> None:
    table, model = linked.table, linked.model
    assert model is not None
    kept = {(int(a), int(b)): i for i, (a, b) in enumerate(zip(linked.pairs.left, linked.pairs.right, strict=True))}
    threshold = math.log2(linked.definition.review_from / (1 - linked.definition.review_from))
    checked = 0
    for a, b in combinations(range(len(table)), 2):
        levels = compare_pairs(table, np.array([a]), np.array([b]))[0].tolist()
        weight = _plain_weight(table, model, levels, a)
        if (a, b) in kept:
            i = kept[a, b]
            assert linked.pairs.weight[i] == pytest.approx(weight, abs=2e-4)
            assert linked.pairs.probability[i] == pytest.approx(1 / (1 + 2.0**-weight), abs=1e-4)
            assert linked.pairs.levels[i].tolist() == levels
            checked += 1
        else:
            assert weight < threshold + 2e-4
    assert checked == len(linked.pairs) > 20


def test_levels_of_pairs_do_not_depend_on_the_pairs_compared_beside_them(linked: LinkResult) -> None:
    table = linked.table
    dice = np.random.default_rng(2)
    left, right = dice.integers(0, len(table), 400), dice.integers(0, len(table), 400)
    for column in table.columns:
        together = compare_codes(column, column.codes[left], column.codes[right])
        alone = [int(compare_codes(column, column.codes[[a]], column.codes[[b]])[0]) for a, b in zip(left, right, strict=True)]
        swapped = compare_codes(column, column.codes[right], column.codes[left])
        assert together.tolist() == alone == swapped.tolist()


def test_the_estimator_on_patterns_equals_loops_over_pairs() -> None:
    dice = np.random.default_rng(4)
    m = [np.array([0.1, 0.2, 0.7]), np.array([0.15, 0.85])]
    u = [np.array([0.9, 0.08, 0.02]), np.array([0.95, 0.05])]
    truth = dice.random(400) < 0.25
    vectors = np.column_stack(
        [np.where(truth, dice.choice(len(a), 400, p=a), dice.choice(len(a), 400, p=b)) for a, b in zip(m, u, strict=True)]
    )
    vectors[dice.random((400, 2)) < 0.1] = -1
    start = [np.array([0.2, 0.2, 0.6]), np.array([0.3, 0.7])]
    share, parts = 0.1, [p.copy() for p in start]
    for _ in range(5):
        given = []
        for vector in vectors:
            match, other = share, 1 - share
            for f, level in enumerate(vector):
                if level >= 0:
                    match, other = match * parts[f][level], other * u[f][level]
            given.append(match / (match + other))
        share = float(np.mean(given))
        for f, levels in enumerate(vectors.T):
            mass = [sum(g for g, x in zip(given, levels, strict=True) if x == level) for level in range(len(m[f]))]
            parts[f] = np.array(mass) / sum(mass)
    distinct, _, counts = patterns(vectors.astype(np.int8))
    kernel = WeightedECM([3, 2], max_iter=5, atol=0.0).fit(distinct, counts, m=start, u=u, shares=[0.1, 0.9])
    assert kernel.shares_[0] == pytest.approx(share, abs=1e-12)
    for ours, plain in zip(kernel.m_, parts, strict=True):
        assert np.abs(ours - plain).max() < 1e-12
