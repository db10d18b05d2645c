"""Two names compared by themselves: writings, orders, titles, slips, and the judged Chinese pairs."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.quality import auc
from steward.scoring.duplicates.han import parse_company, parse_person, wade_giles
from steward.scoring.duplicates.names import Sort, compare_names

CHINESE = Path(__file__).parents[1] / "data" / "chinese_pairs" / "pairs.csv"


@pytest.mark.parametrize(
    ("one", "other", "sort"),
    [
        ("Dr. Hans Müller", "MUELLER, Hans", "person"),
        ("Bob Smith", "Robert Smith", "person"),
        ("J. Smith", "John Smith", "person"),
        ("'Abd al-Aziz al-Nuristani", "Abdul Aziz Nooristani", "person"),
        ("Wolodymyr Selenskyj", "Volodymyr Zelenskyy", "person"),
        ("Володимир Зеленський", "Volodymyr Zelenskyy", "person"),
        ("ბარაკ ობამა", "Barack Obama", "person"),
        ("バラク・オバマ", "Barack Obama", "person"),
        ("عبد الفتاح السيسي", "Abdel Fattah el-Sisi", "person"),
        ("王伟", "Wei Wang", "person"),
        ("歐陽青青", "欧阳青青", "person"),
        ("王曉明", "Wang Hsiao-ming", "person"),
        ("贝拉克·奥巴马", "Barack Obama", "person"),
        ("vanderbilt corp", "van der bilt corp", "company"),
        ("ООО Ромашка", "Romashka LLC", "company"),
        ("华信科技（北京）有限公司", "北京市华信科技有限责任公司", "company"),
        ("上海宏远贸易有限公司", "Shanghai Hongyuan Trading Co., Ltd.", "company"),
    ],
)
def test_writings_of_one_name_fit(one: str, other: str, sort: Sort) -> None:
    assert compare_names(one, other, sort) >= 0.75


@pytest.mark.parametrize(
    ("one", "other", "sort"),
    [
        ("John Smith", "James Smith", "person"),
        ("Sergey Viktorovich Lavrov", "Sergey Borisovich Ivanov", "person"),
        ("王伟", "王薇", "person"),
        ("王晓明", "王晓刚", "person"),
        ("王晓明", "李晓明", "person"),
        ("北京华信科技有限公司", "上海华信科技有限公司", "company"),
        ("华信科技有限公司", "华信贸易有限公司", "company"),
        ("华信科技有限公司天津分公司", "华信科技有限公司成都分公司", "company"),
        ("Bain Capital Fund II", "Bain Capital Fund", "company"),
        ("", "John Smith", "person"),
        ("John Smith", "???", "person"),
    ],
)
def test_other_names_do_not(one: str, other: str, sort: Sort) -> None:
    assert compare_names(one, other, sort) < 0.6


def test_the_same_signs_say_company_where_nothing_is_said() -> None:
    assert compare_names("Huaxin GmbH", "Huaxin G.m.b.H.") == 1.0
    assert compare_names("Meier GmbH", "Hans Meier") < 0.85


@given(st.text(max_size=40), st.text(max_size=40), st.sampled_from(["person", "company", ""]))
@settings(max_examples=150, deadline=None)
def test_any_two_texts_give_a_number_and_their_order_does_not_matter(one: str, other: str, sort: Sort) -> None:
    found = compare_names(one, other, sort)
    assert 0.0 <= found <= 1.0
    assert found == compare_names(other, one, sort)


@pytest.mark.parametrize("name", ["Anna Meier", "王晓明", "Ольга Иванова", "김민수", "สมชาย ใจดี"])
def test_a_name_fits_itself(name: str) -> None:
    assert compare_names(name, f"  {name.upper()} ") == 1.0


def test_a_megabyte_is_read_up_to_its_limit() -> None:
    assert compare_names("Anna Meier" + " x" * 500_000, "Anna Meier") < 1.0


def test_parts_of_chinese_names() -> None:
    parts = parse_company("广东省深圳市腾达科技有限公司")
    assert (parts.place, parts.core, parts.branch) == ("深圳", "腾达科技", "")
    assert parse_company("中国工商银行股份有限公司上海分行").branch == "上海"
    assert parse_company("上海银行").core == "上海银行"
    assert parse_person("欧阳青青") == ("欧阳", "青青")
    assert parse_person("李总经理") == ("李", "")
    assert parse_person("小王") == ("王", "")


@pytest.mark.parametrize(
    ("pinyin", "older"),
    [("xiao", "hsiao"), ("zhong", "chung"), ("qiang", "chiang"), ("guo", "kuo"), ("jian", "chien"), ("duo", "to")],
)
def test_older_spelling_of_a_syllable(pinyin: str, older: str) -> None:
    assert wade_giles(pinyin) == older


def test_judged_chinese_pairs() -> None:
    with CHINESE.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) >= 1_000
    assert len({tuple(sorted((r["left"], r["right"]))) for r in rows}) == len(rows)
    for sort, floor, right_at_least in (("person", 0.97, 0.98), ("company", 0.985, 0.975)):
        part = [r for r in rows if r["sort"] == sort]
        found = [compare_names(r["left"], r["right"], sort) for r in part]  # type: ignore[arg-type]  # one of the two sorts
        same = [r["same"] == "true" for r in part]
        assert auc(same, found) >= floor
        assert sum((f >= 0.5) == s for f, s in zip(found, same, strict=True)) / len(part) >= right_at_least
