"""Clusters: no chains, no rejected pairs, stable ids; survivors."""

from __future__ import annotations

import numpy as np
import pytest

from steward.errors import ScoringError
from steward.scoring.duplicates.cluster import cluster, cluster_id
from steward.scoring.duplicates.survivor import Facts, choose, golden_values


def _groups(
    n: int, edges: list[tuple[int, int, float]], apart: tuple[tuple[int, int], ...] = (), even: float = 0.0
) -> list[set[int]]:
    left, right, margin = (np.array(x) for x in zip(*edges, strict=True))
    labels = cluster(n, left.astype(np.int64), right.astype(np.int64), margin.astype(float), apart=apart, above_even=even)
    return sorted(({int(i) for i in np.flatnonzero(labels == k)} for k in set(labels.tolist())), key=min)


def _clique(members: range, weight: float = 10.0) -> list[tuple[int, int, float]]:
    return [(a, b, weight) for a in members for b in members if a < b]


def test_one_weak_link_does_not_join_two_firm_groups() -> None:
    edges = [*_clique(range(4)), *_clique(range(4, 8)), (3, 4, 2.0)]
    assert _groups(8, edges) == [{0, 1, 2, 3}, {4, 5, 6, 7}]


def test_a_chain_of_links_does_not_become_one_cluster() -> None:
    edges = [(i, i + 1, 3.0) for i in range(99)]
    assert max(len(g) for g in _groups(100, edges)) <= 3


@pytest.mark.parametrize(
    ("between", "even", "groups"),
    [
        (-1.0, 4.25, [{0, 1, 2}]),  # p = .9 at a cut of .95: likely, so no witness against
        (-4.2, 4.25, [{0, 1, 2}]),  # about even: says nothing
        (-10.0, 4.25, [{0, 1}, {2}]),  # p = .02: speaks against, and outweighs the link
        (-4.2, 0.0, [{0, 1}, {2}]),  # the same bits below a cut at even odds speak against
    ],
)
def test_pairs_below_the_cut_speak_from_even_odds(between: float, even: float, groups: list[set[int]]) -> None:
    assert _groups(3, [(0, 1, 6.0), (1, 2, 0.5), (0, 2, between)], even=even) == groups


def test_likely_pairs_alone_join_nobody() -> None:
    edges = [(0, 1, 6.0), (2, 3, 6.0), (0, 2, -0.5), (1, 2, -0.5), (0, 3, -0.5), (1, 3, -0.5)]
    assert _groups(4, edges, even=4.25) == [{0, 1}, {2, 3}]  # no link between the two reaches the cut
    assert _groups(4, [*edges[:-1], (1, 3, 0.1)], even=4.25) == [{0, 1, 2, 3}]


def test_a_chain_does_not_become_one_cluster_at_a_high_cut_either() -> None:
    edges = [(i, i + 1, 3.0) for i in range(99)]
    assert max(len(g) for g in _groups(100, edges, even=4.25)) <= 4


def test_a_rejected_pair_never_shares_a_cluster() -> None:
    edges = _clique(range(5))
    for group in _groups(5, edges, apart=((1, 3),)):
        assert not {1, 3} <= group
    assert _groups(2, [(0, 1, 30.0)], apart=((1, 0),)) == [{0}, {1}]


def test_every_order_of_pairs_gives_the_same_clusters() -> None:
    rng = np.random.default_rng(3)
    edges = [
        (int(a), int(b), float(w))
        for a, b, w in zip(rng.integers(0, 40, 150), rng.integers(40, 80, 150), rng.normal(0.5, 4, 150), strict=True)
    ]
    edges = list({(a, b): (a, b, w) for a, b, w in edges}.values())
    for even in (0.0, 2.0):
        first = _groups(80, edges, even=even)
        for _ in range(5):
            rng.shuffle(edges)
            assert _groups(80, [tuple(e) for e in edges], even=even) == first


def test_a_cluster_id_stays_when_a_later_record_joins() -> None:
    assert cluster_id("contact", ["9", "10"]) == cluster_id("contact", ["10", "9", "11"])
    assert cluster_id("contact", ["9", "10"]) != cluster_id("company", ["9", "10"])


def _facts(linked: int = 0, filled: int = 0, created: str | None = None, **values: str) -> Facts:
    return Facts(linked, filled, created, None, values)


def test_what_hangs_on_a_record_decides_before_completeness() -> None:
    chosen = choose({"1": _facts(0, 9), "2": _facts(3, 1)})
    assert (chosen.id, chosen.rule, chosen.steerable) == ("2", "linked", False)
    chosen = choose({"1": _facts(0, 1), "2": _facts(0, 2)})
    assert (chosen.id, chosen.rule, chosen.steerable) == ("2", "complete", True)
    assert choose({"10": _facts(), "9": _facts()}).id == "9"
    assert choose({"1": _facts(source="list"), "2": _facts(source="crm")}, ["trusted:source=crm"]).id == "2"


def test_a_misspelt_survivor_rule_is_refused() -> None:
    with pytest.raises(ScoringError, match="no survivor rule conplete"):
        choose({"1": _facts(), "2": _facts()}, ["conplete"])


def test_missing_values_come_from_members_that_agree() -> None:
    values = {"1": {"a": None, "b": "", "c": "x"}, "2": {"a": "p", "b": "q", "c": "y"}, "3": {"a": "p", "b": "r", "c": None}}
    assert golden_values(["1", "2", "3"], "1", values) == {"a": ("p", "2")}
