"""The estimator against recordlinkage's own, the standard forms, and the parts of the linkage definition."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from recordlinkage.algorithms.nb_sklearn import ECM

from steward.errors import ScoringError
from steward.scoring.duplicates.definition import Definition, Field, Rule, parse_definition
from steward.scoring.duplicates.model import WeightedECM, patterns
from steward.scoring.duplicates.standard import standardise


def test_pattern_counts_give_the_parameters_of_the_stock_estimator() -> None:
    rng = np.random.default_rng(5)
    truth = rng.random(20_000) < 0.2
    vectors = np.column_stack(
        [np.where(truth, rng.random(20_000) < a, rng.random(20_000) < b) for a, b in ((0.9, 0.1), (0.8, 0.05), (0.95, 0.3))]
    )
    vectors = vectors.astype(np.int8)
    stock = ECM(init="jaro", max_iter=50, binarize=None, atol=None)
    stock.fit(vectors)
    distinct, inverse, counts = patterns(vectors)
    assert np.array_equal(distinct[inverse], vectors)
    ours = WeightedECM([2, 2, 2], max_iter=50, atol=0.0).fit(
        distinct, counts, m=[np.array([0.1, 0.9])] * 3, u=[np.array([0.9, 0.1])] * 3, fix_u=False, shares=[0.1, 0.9]
    )
    assert np.abs(np.exp(stock.feature_log_prob_) - np.exp(ours.feature_log_prob_)).max() <= 1e-12
    assert np.abs(np.exp(stock.class_log_prior_) - np.exp(ours.class_log_prior_)).max() <= 1e-12
    assert np.abs(stock.predict_proba(distinct) - ours.predict_proba(distinct)).max() <= 1e-12


def test_missing_fields_carry_no_weight() -> None:
    kernel = WeightedECM([2, 3])
    kernel.fit(
        np.array([[1, 2], [0, 0], [1, -1]]), np.array([50.0, 900.0, 10.0]), m=[np.array([0.1, 0.9]), np.array([0.1, 0.2, 0.7])],
        u=[np.array([0.9, 0.1]), np.array([0.8, 0.15, 0.05])],
    )  # fmt: skip
    likely = kernel.class_log_likelihoods(np.array([[-1, -1], [1, -1]]))
    assert np.array_equal(likely[0], [0.0, 0.0])
    assert likely[1, 0] == pytest.approx(np.log(kernel.m_[0][1]))


def test_a_known_model_is_recovered() -> None:
    rng = np.random.default_rng(11)
    m = [np.array([0.05, 0.15, 0.8]), np.array([0.1, 0.9]), np.array([0.2, 0.8]), np.array([0.08, 0.92])]
    u = [np.array([0.95, 0.04, 0.01]), np.array([0.97, 0.03]), np.array([0.9, 0.1]), np.array([0.99, 0.01])]
    match = rng.random(60_000) < 0.1
    vectors = np.column_stack(
        [np.where(match, rng.choice(len(a), 60_000, p=a), rng.choice(len(b), 60_000, p=b)) for a, b in zip(m, u, strict=True)]
    )
    distinct, _, counts = patterns(vectors.astype(np.int8))
    kernel = WeightedECM([3, 2, 2, 2]).fit(distinct, counts, m=[np.full(len(a), 1 / len(a)) for a in m], u=u)
    assert kernel.shares_[0] == pytest.approx(0.1, abs=0.01)
    for estimated, true in zip(kernel.m_, m, strict=True):
        assert np.abs(estimated - true).max() < 0.02


@pytest.mark.parametrize(
    ("kind", "same"),
    [
        ("company", ("Müller Maschinenbau GmbH & Co. KG", "Mueller Maschinenbau G.m.b.H.", "MULLER MASCHINENBAU AG")),
        ("company", ("北京小米科技有限公司", "北京市小米科技股份有限公司", "小米科技(北京)有限责任公司")),
        ("company", ("臺灣積體電路製造股份有限公司", "台湾积体电路制造股份有限公司")),
        ("person", ("Dr. Hans Müller", "Mueller, Hans", "HANS MÜLLER")),
        ("family", ("Groß", "GROSS", "gross")),
        ("phone", ("+49 89 1234567", "0049-89-1234567", "089/1234567", "(089) 123 45 67")),
        ("phone", ("+86 138 0013 8000", "13800138000", "86-138-0013-8000")),
        ("birthdate", ("1970-03-01", "01.03.1970", "1 March 1970", "1970年3月1日", "19700301")),
        ("address", ("Hauptstraße 5", "Hauptstr. 5", "HAUPTSTRASSE 5")),
        ("email", ("A.Meier@Example.org", "Anna Meier <a.meier@example.org>")),
    ],
)
def test_ways_of_writing_one_thing_share_the_key_form(kind: str, same: tuple[str, ...]) -> None:
    key, _ = standardise(pl.Series(same, dtype=pl.String), kind)
    assert key.n_unique() == 1 and key.null_count() == 0


def test_chinese_names_that_sound_alike_share_the_latin_form_only() -> None:
    key, latin = standardise(pl.Series(["王伟", "王薇", "Wang Wei"]), "person")
    assert latin.n_unique() == 1
    assert key.n_unique() == 3


@pytest.mark.parametrize(("one", "other"), [("Xue", "Xu"), ("Bauer", "Baur")])
def test_letters_that_only_look_like_an_umlaut_stay(one: str, other: str) -> None:
    key, _ = standardise(pl.Series([one, other]), "family")
    assert key.n_unique() == 2


def test_a_definition_survives_its_file() -> None:
    definition = Definition(
        (Field("name", "person", ('a "b"', "名"), True), Field("x:sound", "email", ("x",))),
        (Rule((("name", "sound"), ("x:sound", "whole"))), Rule(())),
        cut=0.75,
    )
    assert parse_definition(definition.toml()) == definition


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("format = 1 =", "line"),
        ('format = "steward-linkage/1"\ncompare = []\nindex = []', "field name"),
        ('format = "steward-linkage/1"\n[[compare]]\nfield = "a"\nkind = "nmae"\n[[index]]\nkeys = ["a"]', "nmae"),
        ('format = "steward-linkage/1"\n[[compare]]\nfield = "a"\nkind = "text"\n[[index]]\nkeys = ["b"]', "'b'"),
        ('format = "steward-linkage/1"\ncut = 2.0\n[[compare]]\nfield = "a"\nkind = "text"\n[[index]]\nkeys = ["a"]', "cut"),
        ('format = "steward-linkage/1"\nblock = 2\n[[compare]]\nfield = "a"\nkind = "text"\n[[index]]\nkeys = ["a"]', "block"),
    ],
)
def test_a_wrong_definition_is_refused_with_its_place(text: str, word: str) -> None:
    with pytest.raises(ScoringError, match="cannot be used") as error:
        parse_definition(text, where="my.toml")
    assert "my.toml" in str(error.value) and word in str(error.value)
