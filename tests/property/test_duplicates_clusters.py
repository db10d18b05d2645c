"""Clusters against an independent exact implementation, and what must hold for any pairs at all."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steward.scoring.duplicates.cluster import BEYOND, BOUND, STRANGERS, cluster, cluster_id

Edges = dict[tuple[int, int], float]


def oracle(n: int, edges: Edges, apart: set[tuple[int, int]]) -> set[frozenset[int]]:
    """Join the two groups with the highest mean over all their pairs while one is positive; every mean counted anew."""
    groups = [frozenset((i,)) for i in range(n)]

    def mean(one: frozenset[int], other: frozenset[int]) -> float:
        known = [edges.get((min(a, b), max(a, b))) for a in one for b in other]
        return float(np.mean([STRANGERS if w is None else min(max(w, -BOUND), BOUND) + BEYOND * w for w in known]))

    while True:
        options = [
            (round(-mean(a, b), 9), min(min(a), min(b)), max(min(a), min(b)), a, b)
            for a, b in combinations(groups, 2)
            if not any((min(x, y), max(x, y)) in apart for x in a for y in b) and mean(a, b) > 1e-12
        ]
        if not options:
            return {g for g in groups if len(g) > 1}
        *_, one, other = min(options, key=lambda o: o[:3])
        groups = [g for g in groups if g not in (one, other)] + [one | other]


def found(n: int, edges: Edges, apart: set[tuple[int, int]]) -> set[frozenset[int]]:
    if not edges:
        return set()
    left, right = (np.array(side, np.int64) for side in zip(*edges, strict=True))
    labels = cluster(n, left, right, np.array(list(edges.values())), apart=apart)
    groups = {k: frozenset(np.flatnonzero(labels == k).tolist()) for k in set(labels.tolist())}
    return {g for g in groups.values() if len(g) > 1}


def _edges(n: int) -> st.SearchStrategy[Edges]:
    pair = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda p: p[0] < p[1])
    return st.dictionaries(pair, st.integers(-150, 150).map(lambda w: w / 10 + 0.0137 * (w % 7)), max_size=30)


@given(_edges(9), st.sets(st.tuples(st.integers(0, 8), st.integers(0, 8)).filter(lambda p: p[0] < p[1]), max_size=4))
@settings(max_examples=200, deadline=None)
def test_rejected_pairs_never_share_a_cluster_whatever_the_weights(edges: Edges, apart: set[tuple[int, int]]) -> None:
    for group in found(9, edges, apart):
        assert not any({a, b} <= group for a, b in apart)


@given(_edges(8))
@settings(max_examples=150, deadline=None)
def test_clusters_are_those_of_the_exact_implementation(edges: Edges) -> None:
    weights = sorted(edges.values())
    if any(abs(a - b) < 1e-6 for a, b in pairwise(weights)):
        edges = {pair: w + 0.001 * place for place, (pair, w) in enumerate(sorted(edges.items()))}  # ties have no one answer
    assert found(8, edges, set()) == oracle(8, edges, set())


@pytest.mark.parametrize("seed", range(6))
def test_larger_graphs_too_with_rejected_pairs(seed: int) -> None:
    dice = np.random.default_rng(seed)
    pairs = {(int(min(a, b)), int(max(a, b))) for a, b in dice.integers(0, 26, (70, 2)) if a != b}
    edges = {pair: float(w) for pair, w in zip(sorted(pairs), dice.normal(1.0, 6.0, len(pairs)), strict=True)}
    apart = set(sorted(edges)[::9])
    assert found(26, edges, apart) == oracle(26, edges, apart)


@given(_edges(9), st.permutations(range(9)))
@settings(max_examples=100, deadline=None)
def test_other_numbers_for_the_records_give_the_same_clusters(edges: Edges, names: list[int]) -> None:
    edges = {pair: w + 0.001 * place for place, (pair, w) in enumerate(sorted(edges.items()))}
    renamed = {(min(names[a], names[b]), max(names[a], names[b])): w for (a, b), w in edges.items()}
    assert found(9, renamed, set()) == {frozenset(names[m] for m in group) for group in found(9, edges, set())}


@given(st.lists(st.text("0123456789abc", min_size=1, max_size=6), min_size=2, max_size=6, unique=True), st.randoms())
@settings(max_examples=80, deadline=None)
def test_a_cluster_keeps_its_id_in_any_order_and_when_later_records_join(members: list[str], dice: object) -> None:
    first = cluster_id("contact", members)
    shuffled = list(reversed(members))
    assert cluster_id("contact", shuffled) == first
    assert cluster_id("contact", [*members, "z" * 9]) == first
    assert cluster_id("company", members) != first
