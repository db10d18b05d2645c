"""A user's recordlinkage objects: the same pairs, vectors, parameters and probabilities as recordlinkage's own way."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import recordlinkage
from recordlinkage.base import BaseCompareFeature, BaseIndexAlgorithm

from steward.errors import ScoringError, TooManyPairsError
from steward.scoring.duplicates import link_objects
from steward.scoring.duplicates.link import link
from steward.scoring.duplicates.objects_scored import score_objects_of
from steward.scoring.duplicates.recordlinkage_parts import KeyIndex
from steward.scoring.duplicates.vectors import compute
from steward.store import FileSource, Workspace
from tests.integration.test_duplicates_metamorphic import people


def _table(n: int = 160, seed: int = 6) -> pd.DataFrame:
    frame = people(n, seed).to_pandas().set_index("id")
    frame = frame.replace("", None)
    frame["born"] = pd.to_datetime(frame["birthday"])
    frame["year"] = frame["born"].dt.year.astype(float)
    frame.loc[frame.index[::7], "year"] = np.nan
    frame["lat"], frame["lon"] = 48 + (frame["year"].fillna(1970) % 7), 11 + (frame["year"].fillna(1970) % 5)
    odd = ["e\u0301cole", "👩‍👩‍👧", "", "שלום", "ﷺ"]
    frame["nick"] = [odd[i % 5] if i % 3 == 0 else name for i, name in enumerate(frame["first_name"])]
    return frame


def _first_letter(a: pd.Series, b: pd.Series, weight: float = 1.0) -> pd.Series:
    return (a.str[:1] == b.str[:1]).astype(float) * weight


class _Rank(BaseCompareFeature):
    """Looks at all pairs at once; must be run whole."""

    def _compute_vectorized(self, a: pd.Series, b: pd.Series) -> pd.Series:
        return (a.str.len().fillna(0) + b.str.len().fillna(0)).rank(pct=True)


def _compare() -> recordlinkage.Compare:
    compare = recordlinkage.Compare()
    compare.exact("city", "city", label="city")
    compare.exact("first_name", "first_name", agree_value="value", disagree_value="", missing_value="?", label="value")
    for method in ("jaro", "jarowinkler", "levenshtein", "damerau_levenshtein", "qgram", "cosine", "lcs"):
        compare.string("last_name", "last_name", method=method, label=method)
        compare.string("nick", "nick", method=method, threshold=0.8, missing_value=0.5, label=method + " cut") if method not in (
            "qgram", "cosine") else None  # fmt: skip
    compare.string("first_name", "last_name", method="jw", threshold=0.85, label="crossed")
    compare.numeric("year", "year", method="gauss", offset=1, scale=3, label="year")
    compare.date("born", "born", label="born")
    compare.geo("lat", "lon", "lat", "lon", method="linear", scale=100, label="place")
    compare.compare_vectorized(_first_letter, "email", "email", 2.0, label="letter")
    compare.add(_Rank("email", "email", label="rank"))
    compare.add(recordlinkage.compare.FrequencyA("city", label="often"))
    compare.add(recordlinkage.compare.VariableB("city", missing_value="-", label="there"))
    return compare


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # recordlinkage divides by the length of two empty texts
def test_every_feature_gives_the_vectors_of_recordlinkage() -> None:
    table = _table()
    pairs = recordlinkage.Index([recordlinkage.index.Block("city"), recordlinkage.index.Block("last_name")]).index(table)
    assert len(pairs) > 1_500
    stock, ours = _compare().compute(pairs, table), compute(_compare(), pairs, table)
    assert list(stock.columns) == list(ours.columns) and stock.index.equals(ours.index)
    for column in stock.columns:
        if stock[column].dtype == object:
            assert stock[column].tolist() == ours[column].tolist(), column
        else:
            exact = str(column).endswith("cut") or column in ("city", "crossed", "born", "letter")
            assert np.allclose(stock[column], ours[column], rtol=0, atol=0 if exact else 1e-12, equal_nan=True), column
            assert stock[column].dtype == ours[column].dtype, column


def test_a_feature_runs_on_distinct_values_and_one_that_sees_all_runs_whole() -> None:
    table = _table()
    pairs = recordlinkage.Index([recordlinkage.index.Full()]).index(table)
    seen: list[int] = []

    def counted(a: pd.Series, b: pd.Series) -> pd.Series:
        seen.append(len(a))
        return (a == b).astype(float)

    compare = recordlinkage.Compare()
    compare.compare_vectorized(counted, "city", "city", label="city")
    compute(compare, pairs, table)
    assert max(seen) <= 400 and seen[-1] <= 8 * 8  # seven cities and none
    assert len(pairs) > 15_000


def _binary() -> tuple[recordlinkage.Index, recordlinkage.Compare]:
    index = recordlinkage.Index()
    index.block("last_name")
    index.block("city")
    compare = recordlinkage.Compare()
    compare.string("first_name", "first_name", method="jarowinkler", threshold=0.9, label="first_name")
    compare.string("last_name", "last_name", method="jarowinkler", threshold=0.9, label="last_name")
    compare.exact("email", "email", label="email")
    compare.exact("phone", "phone", label="phone")
    compare.exact("birthday", "birthday", label="birthday")
    return index, compare


def test_pairs_parameters_and_probabilities_are_those_of_the_stock_classifier() -> None:
    table = _table(500, 4)
    index, compare = _binary()
    pairs = index.index(table)
    vectors = compare.compute(pairs, table)
    stock = recordlinkage.ECMClassifier(atol=1e-9, max_iter=60)
    stock.fit(vectors)
    probability = stock.prob(vectors)

    mine = recordlinkage.ECMClassifier(atol=1e-9, max_iter=60)
    found = link_objects(table.reset_index(), *_binary(), mine, ids="id")
    assert found.compared == len(pairs)
    for name in ("log_m_probs", "log_u_probs"):
        a, b = getattr(stock, name), getattr(mine, name)
        assert max(abs(np.exp(a[f][v]) - np.exp(b[f][v])) for f in a for v in a[f]) <= 1e-12
    assert abs(np.exp(stock.log_p) - np.exp(mine.log_p)) <= 1e-12
    ours = found.vectors_frame()
    ours["p"] = found.pairs.probability
    joined = vectors.assign(stock=probability).join(ours, rsuffix="_o")
    assert joined["p"].notna().all()
    assert np.abs(joined["stock"] - joined["p"]).max() <= 1e-9
    for column in vectors.columns:
        assert (joined[column] == joined[f"{column}_o"]).all()


def test_the_weights_of_a_pair_add_up_to_its_odds() -> None:
    table = _table(500, 4)
    found = link(pl.from_pandas(table.reset_index()), ids="id", index=_binary()[0], compare=_binary()[1])
    prior = np.log2(np.exp(found.classifier.log_p) / (1 - np.exp(found.classifier.log_p)))
    for row in (0, len(found.pairs) // 2, len(found.pairs) - 1):
        weights = found.explain(row)
        assert [w.field for w in weights] == ["first_name", "last_name", "email", "phone", "birthday"]
        assert prior + sum(w.bits for w in weights) == pytest.approx(found.pairs.weight[row], abs=1e-6)
    assert 50 <= len(found.groups()) <= 95
    frame = found.pairs_frame()
    assert frame.columns == ["left_id", "right_id", "match_weight", "probability", "rule"]
    assert set(frame["rule"]) <= {"Block last_name", "Block city"}


def test_a_rejected_pair_stays_apart() -> None:
    table = _table(500, 4).reset_index()
    first = link_objects(table, *_binary(), ids="id").groups()[0]
    again = link_objects(table, *_binary(), ids="id", apart=[(first[0], first[1])])
    assert not any(set(first[:2]) <= set(g) for g in again.groups())


@pytest.mark.parametrize("which", ["kmeans", "logistic", "bayes", "fitted"])
def test_other_classifiers_are_asked_once_per_vector(which: str) -> None:
    table = _table(300, 4)
    index, compare = _binary()
    pairs = index.index(table)
    vectors = compare.compute(pairs, table)
    known = vectors.index[(vectors.sum(axis=1) >= 4).to_numpy()]
    make = {
        "kmeans": recordlinkage.KMeansClassifier, "logistic": recordlinkage.LogisticRegressionClassifier,
        "bayes": lambda: recordlinkage.NaiveBayesClassifier(binarize=0.5), "fitted": recordlinkage.LogisticRegressionClassifier,
    }[which]  # fmt: skip
    stock = make()
    stock.fit(vectors) if which == "kmeans" else stock.fit(vectors, known)
    expected = {tuple(sorted(p)) for p in stock.predict(vectors)}
    mine = stock if which == "fitted" else make()
    found = link_objects(
        table.reset_index(), *_binary(), mine, ids="id", matches=None if which in ("kmeans", "fitted") else known
    )
    frame = found.pairs_frame().filter(pl.col("probability") >= 0.5)
    assert {(a, b) for a, b in frame.select("left_id", "right_id").iter_rows()} == expected and expected


def test_two_sources_are_linked_across_only() -> None:
    table = _table(300, 4)
    one, two = table.iloc[::2], table.iloc[1::2]
    index, compare = _binary()
    pairs = index.index(one, two)
    found = link_objects(one.reset_index(), index, compare, other=two.reset_index(), ids="id")
    assert found.compared == len(pairs)
    frame = found.pairs_frame()
    assert {frozenset(p) for p in pairs} == {frozenset(r) for r in frame.select("left_id", "right_id").iter_rows()}
    stock = compare.compute(pairs, one, two)
    ours = found.vectors_frame()
    assert (ours.loc[stock.index].to_numpy() == stock.to_numpy()).all()


class _Neighbours(BaseIndexAlgorithm):
    """An algorithm nobody knows."""

    def _link_index(self, a: pd.DataFrame, b: pd.DataFrame) -> pd.MultiIndex:
        return pd.MultiIndex.from_arrays([a.index[1:], b.index[:-1]])


@pytest.mark.parametrize(
    "algorithm",
    [_Neighbours(), KeyIndex("city"), recordlinkage.index.SortedNeighbourhood("last_name", window=3), recordlinkage.index.Full(),
     recordlinkage.index.Random(500, random_state=1), recordlinkage.index.Block(["city", "last_name"])],
    ids=lambda a: type(a).__name__,
)  # fmt: skip
def test_every_index_algorithm_proposes_its_own_pairs(algorithm: BaseIndexAlgorithm) -> None:
    table = _table(150, 4)
    index = recordlinkage.Index([algorithm])
    expected = {frozenset(p) for p in index.index(table)}
    found = link_objects(table.reset_index(), index, _binary()[1], ids="id")
    assert {frozenset(r) for r in found.pairs_frame().select("left_id", "right_id").iter_rows()} == expected


def test_what_cannot_be_used_is_said_in_one_sentence() -> None:
    table = _table(60, 4).reset_index()
    index, compare = _binary()
    with pytest.raises(ScoringError, match="column nowhere"):
        link_objects(table, recordlinkage.Index([recordlinkage.index.Block("nowhere")]), compare, ids="id")
    with pytest.raises(ScoringError, match="no algorithm"):
        link_objects(table, recordlinkage.Index(), compare, ids="id")
    with pytest.raises(TooManyPairsError, match="would compare"):
        link_objects(table, recordlinkage.Index([recordlinkage.index.Full()]), compare, ids="id", pairs_at_most=10)
    with pytest.raises(ScoringError, match="cannot be fitted"):
        link_objects(table, index, compare, recordlinkage.LogisticRegressionClassifier(), ids="id")
    graded = recordlinkage.Compare()
    graded.string("last_name", "last_name", label="graded")
    with pytest.raises(ScoringError, match="cannot use these features"):
        link_objects(table, index, graded, ids="id")
    with pytest.raises(ScoringError, match="share record ids"):
        link_objects(table, index, compare, other=table, ids="id")
    with pytest.raises(ScoringError, match="belong together"):
        link(people(20, 1), ids="id", index=index)


@pytest.mark.parametrize("classifier", [None, "kmeans"])
def test_what_objects_found_is_stored_like_any_other_run(classifier: str | None, tmp_path: Path) -> None:
    people(300, 4).write_csv(tmp_path / "contact.csv")
    made = recordlinkage.KMeansClassifier() if classifier else None
    with Workspace.open(tmp_path / "w", create=True) as ws:
        ws.take_snapshot(FileSource(tmp_path / "contact.csv", None, key="id"), taken_at=datetime(2026, 11, 1, tzinfo=UTC))
        snapshot = ws.snapshot()
        summary = score_objects_of(ws, snapshot, "contact", *_binary(), made)
        clusters = ws.clusters(snapshot, "contact")
        assert len(clusters) == summary.clusters > 20
        survivors = {c.id: c.survivor for c in clusters}
        evidence = ws.evidence(snapshot, kind="duplicate", object="contact")
        assert {e.key for e in evidence} == {m for c in clusters for m in c.members if m != c.survivor}
        assert all(e.sentence.startswith("Probably the same customer as contact/") for e in evidence)
        assert set(ws.survivors(snapshot, "contact")) == set(survivors)
        vector = ws.pairs_of(snapshot, "contact", clusters[0].id)[0]
        left, right = (ws.records(snapshot, "contact", [k.id])[k.id] for k in (vector.pair.left, vector.pair.right))
        if classifier:
            assert [w.field for w in vector.weights] == ["classifier"]
        else:
            shown = {w.field: (w.left, w.right) for w in vector.weights}
            assert shown["phone"] == (left["phone"] or None, right["phone"] or None) and set(shown) == set(_binary_fields())
        pair = (clusters[0].members[0], clusters[0].members[1])
        again = score_objects_of(
            ws, snapshot, "contact", *_binary(), recordlinkage.KMeansClassifier() if classifier else None, apart=[pair]
        )
        assert again.definition == summary.definition
        assert not any(set(pair) <= set(c.members) for c in ws.clusters(snapshot, "contact"))


def _binary_fields() -> list[str]:
    return [f.label for f in _binary()[1].features]
