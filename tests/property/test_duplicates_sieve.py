"""Every shortcut of scoring against the plain way: bounds are never too low, nothing above the threshold is lost or changed."""

from __future__ import annotations

import random
import re

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench import duplicate_data
from steward.scoring.duplicates import by_code, han, letters, levels, pinyin, signature, standard
from steward.scoring.duplicates.blocks import Blocks
from steward.scoring.duplicates.columns import Column, Table, build, encode
from steward.scoring.duplicates.components import components
from steward.scoring.duplicates.definition import Definition, Field, Rule
from steward.scoring.duplicates.kinds import KINDS
from steward.scoring.duplicates.score import Scorer, joined_pairs, score_blocks
from steward.scoring.duplicates.train import Model, fit

PEOPLE = {
    "first_name": "given", "last_name": "family", "email": "email", "phone": "phone", "birth_date": "birthdate",
    "street": "address", "postcode": "postcode", "city": "city",
}  # fmt: skip
RULES = (
    ("email",), ("phone",), ("last_name", "postcode"), ("first_name", "postcode"), ("last_name", "birth_date"), ("first_name", "last_name"),
    ("city",),
)  # fmt: skip
VALUES = {
    "given": ["anna", "anne", "a", "an", "annette", "robert", "bob", "rob", "wolfgang", "jean pierre", "jean", "芳伟", "伟", "薇", "李 娜", "zoë", "j r"],
    "family": ["müller", "mueller", "muller", "mull", "meier", "maier", "de la cruz", "cruz", "王", "汪", "欧阳", "o'neil", "davidson", "davies", "x"],
    "person": ["anna maria meier", "meier anna", "a meier", "王伟", "wang wei", "john smith jr", "john smith sr"],
    "company": ["müller maschinenbau gmbh", "mueller maschinenbau", "小米科技有限公司", "ibm", "i b m", "acme holdings", "acme"],
    "email": ["anna.meier@example.org", "a.meier@example.org", "anna.meier@example.com", "info@x.de", "a@b@c", "a@c@b", "ameier12@example.org", "@x.de"],
    "phone": ["089123456", "89123457", "12345", "1234567", "0049891234567", "+86 138 0013 8000", "13800138001", "555"],
    "birthdate": ["1970-03-01", "1970-01-03", "1971-03-01", "1970-03-02", "1982-11-12", "1982-12-11", "2001-02-28"],
    "address": ["hauptstr 5", "hauptstrasse 5", "5 main street", "15 main st", "人民路8号", "main street", "hauptstr 5a"],
    "postcode": ["80331", "80332", "8033", "08033", "sw1a 1aa", "sw1a1ab", "325091", "x"],
    "identifier": ["ab123456", "ab123457", "12345", "1234567", "1234568", "12a4568"],
    "city": ["münchen", "muenchen", "munchen", "york", "new york", "温州", "frankfurt am main", "frankfurt"],
    "text": ["green tea", "green teas", "black tea", "x", "茶"],
    "category": ["a", "b", "male"],
    "domain": ["example.org", "example.com"],
}  # fmt: skip


def _bent(value: str, dice: random.Random) -> str:
    """Return a value with one to three slips of typing."""
    for _ in range(dice.randint(1, 3)):
        i = dice.randrange(len(value) + 1)
        letter = dice.choice("aenz19 .-@é伟")
        value = dice.choice((
            value[:i] + value[i + 1 :], value[:i] + letter + value[i:], value[:i] + letter + value[i + 1 :],
            value[:i] + value[i + 1 : i + 2] + value[i : i + 1] + value[i + 2 :],
        ))  # fmt: skip
    return value


def _column(values: list[str], kind: str) -> Column:
    codes, key, latin = encode(pl.Series(values, dtype=pl.String), kind)
    counts = np.bincount(codes[codes >= 0], minlength=len(key)).astype(np.int64)
    return Column(Field("x", kind, ("x",)), KINDS[kind], codes, key, latin, counts, np.zeros(len(key), bool))


def _all_pairs(column: Column) -> tuple[np.ndarray, np.ndarray]:
    left, right = np.triu_indices(len(column.key), 1)
    return left, right


def _plain(column: Column, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    left, right = column.latin[a], column.latin[b]
    level = levels.COMPARE[column.kind.name](left, right, left == right)
    return np.minimum(level, column.kind.exact - 1)


def _holds(column: Column) -> None:
    a, b = _all_pairs(column)
    if not len(a):
        return
    plain = _plain(column, a, b)
    able, best = signature.may_agree(column, a, b), signature.at_best(column, a, b)
    for at in np.flatnonzero(plain > 0):
        told = (column.kind.name, column.latin[a[at]], column.latin[b[at]], int(plain[at]))
        assert able is None or able[at], told
        assert best is None or best[at] >= plain[at], told


@pytest.mark.parametrize("kind", sorted(VALUES))
def test_no_pair_reaches_more_than_its_signatures_allow(kind: str) -> None:
    dice = random.Random(3)
    values = VALUES[kind] + [_bent(dice.choice(VALUES[kind]), dice) for _ in range(400)]
    _holds(_column(values, kind))


@pytest.mark.parametrize("kind", sorted(VALUES))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_no_text_whatever_reaches_more_than_its_signatures_allow(kind: str, data: st.DataObject) -> None:
    some = st.text(st.characters(codec="utf-8"), max_size=12) | st.text("ab@. 1234567890-é", max_size=14)
    _holds(_column([*data.draw(st.lists(some | st.sampled_from(VALUES[kind]), min_size=2, max_size=12)), *VALUES[kind]], kind))


def test_names_that_cross_are_never_ruled_out() -> None:
    dice = random.Random(5)
    given_names = _column(VALUES["given"] + VALUES["family"] + [_bent(v, dice) for v in VALUES["family"] * 5], "given")
    family = _column(VALUES["family"] + VALUES["given"] + [_bent(v, dice) for v in VALUES["given"] * 5], "family")
    a, b = (x.ravel() for x in np.meshgrid(np.arange(len(given_names.key)), np.arange(len(family.key))))
    able = signature.may_cross(given_names, family, a, b)
    assert able is not None and 0 < able.sum() < len(able)
    assert not (levels.names_cross(given_names.latin[a], family.latin[b]) & ~able).any()


def test_addresses_split_once_reach_the_levels_of_the_plain_comparison() -> None:
    dice = random.Random(7)
    values = VALUES["email"] + [
        f"{a}.{b}{n}@{d}" for a in ["anna", "jo"] for b in ["li", "wu"] for n in (1, 12) for d in ("x.de", "y.de")
    ]
    column = _column(values + [_bent(v, dice) for v in values * 12] + ["ab", "ab@"], "email")
    a, b = _all_pairs(column)
    plain = _plain(column, a, b)
    assert set(plain.tolist()) == {0, 1, 2}
    assert np.array_equal(by_code.email_levels(column, a, b), plain)


def _table(size: int, seed: int) -> tuple[Table, Blocks, Model]:
    rows = [values for _, values in duplicate_data.generated(size, seed)]
    frame = pl.DataFrame(rows, schema=dict.fromkeys(duplicate_data.PEOPLE, pl.String), orient="row").with_row_index("id")
    definition = Definition(
        tuple(Field(c, k, (c,)) for c, k in PEOPLE.items()),
        tuple(Rule(tuple((c, "whole") for c in rule)) for rule in RULES),
    )
    table = build(frame, definition, ids="id")
    blocks = Blocks(table, definition)
    return table, blocks, fit(table, blocks, 0)


@pytest.fixture(scope="module")
def people() -> tuple[Table, Blocks, Model]:
    """Generated people under rules that propose many strangers, with the model they suggest."""
    return _table(4_000, 11)


@pytest.mark.parametrize("threshold", [-12.0, -6.63, 0.0, 4.25, 12.0])
@pytest.mark.parametrize("prior", [1.0, 0.01])
def test_scores_are_those_of_scoring_every_pair_in_full(
    people: tuple[Table, Blocks, Model], threshold: float, prior: float
) -> None:
    table, blocks, model = people
    m = [0.7 * p + 0.3 / len(p) for p in model.m] if prior < 1 else model.m  # a second, blunter model
    model = Model(m, model.u, model.related, model.related_names, model.prior * prior, model.related_odds, model.rules_heard)
    scorer = Scorer(table, model, threshold)
    found, seen = score_blocks(scorer, blocks)
    parts = [scorer.score(left, right, rule, keep_all=True) for rule, left, right in blocks.pairs()]
    whole = joined_pairs(parts, len(table.columns))
    assert seen == len(whole) > 20_000
    plain = whole.take(whole.weight >= threshold)
    assert 0 < len(plain) < len(whole)
    for name in ("left", "right", "rule", "weight", "correction", "levels", "bits"):
        assert np.array_equal(getattr(found, name), getattr(plain, name)), name


def test_the_sieve_keeps_few_pairs_above_those_that_reach_the_threshold(people: tuple[Table, Blocks, Model]) -> None:
    table, blocks, model = people
    scorer = Scorer(table, model, 4.25)
    kept = seen = 0
    for _, left, right in blocks.pairs():
        kept += len(scorer.sieve.keep(left, right)[0])
        seen += len(left)
    assert kept < seen / 5


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 30).flatmap(
        lambda n: st.tuples(st.just(n), st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))))
    )
)
def test_components_are_those_of_a_walk(case: tuple[int, list[tuple[int, int]]]) -> None:
    n, links = case
    near: dict[int, set[int]] = {i: {i} for i in range(n)}
    for a, b in links:
        near[a].add(b)
        near[b].add(a)
    expected = [-1] * n
    for start in range(n):
        if expected[start] < 0:
            todo = [start]
            while todo:
                at = todo.pop()
                if expected[at] < 0:
                    expected[at] = start
                    todo += near[at]
    left, right = (np.array([link[side] for link in links], np.int64) for side in (0, 1))
    assert components(n, left, right).tolist() == expected


@settings(max_examples=300, deadline=None)
@example("İı ﬁ ǅ Σς ΐ ㈱ が ｶﾞ")
@given(st.text(max_size=12))
def test_text_folded_by_character_is_text_folded_whole(text: str) -> None:
    assert letters.fold_text(text) == letters._fold_whole(text)


@settings(max_examples=200, deadline=None)
@given(st.text("0123456789 astrhnd", max_size=16))
def test_words_of_addresses_worked_out_once_are_as_before(text: str) -> None:
    words = re.sub(r"(?<=\d)(st|nd|rd|th)\b", "", re.sub(r"(?<=[a-z])(str|strasse)\b", " st", text)).split()
    words = [standard.STREET_WORDS.get(w, w) for w in words]
    assert standard._address(text) == " ".join(re.sub(r"(?<=\d)(st|nd|rd|th)$", "", w).lstrip("0") or "0" for w in words)


def test_readings_without_phrases_are_those_of_pypinyin() -> None:
    from pypinyin import Style
    from pypinyin import pinyin as whole

    for char in [chr(c) for c in range(0x4E00, 0x9FA6, 7)] + list("女绿略重乐单曾"):
        found = (whole(char, style=Style.NORMAL, heteronym=True, errors="ignore", v_to_u=False) or [[char]])[0]
        assert pinyin.readings(char) == tuple(dict.fromkeys(r.replace("ü", "v") for r in found)), char
        assert han.readings_of(char) == tuple(dict.fromkeys(r.replace("v", "u").replace("ü", "u") for r in found)), char


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([*VALUES["family"], *VALUES["company"], "", None, "MÜLLER", "Mueller "])),
    st.sampled_from(["family", "company", "text"]),
)
def test_codes_are_places_of_sorted_key_forms(values: list[str | None], kind: str) -> None:
    texts = [v.strip() or None if v is not None else None for v in values]
    codes, key, latin = encode(pl.Series(texts, dtype=pl.String), kind)
    assert key.tolist() == sorted(set(key.tolist()))
    held = pl.Series([t for t in dict.fromkeys(texts) if t is not None], dtype=pl.String)
    forms = (
        dict(zip(held.to_list(), zip(*(s.to_list() for s in standard.standardise(held, kind)), strict=True), strict=True))
        if len(held)
        else {}
    )
    for text, code in zip(texts, codes.tolist(), strict=True):
        form = forms.get(text, (None, None))[0] if text is not None else None
        assert (key[code] if code >= 0 else None) == form
    for code, written in enumerate(key.tolist()):
        assert latin[code] == min(sounded for form, sounded in forms.values() if form == written)
