"""The field's own rules, as tables. A valid foreign value called invalid is worse than the reverse."""

from __future__ import annotations

import pytest

from steward.scoring.validity import fields


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (
            fields.valid_email,
            ["a@b.de", "first.last+tag@sub.example.co.uk", "o'brien@example.ie", "jürgen@müller.de", "用户@例子.中国", "x_y@a-b.museum"],
            ["", "a", "a@", "@b.de", "a@b", "a@@b.de", "a b@c.de", "a@b..de", ".a@b.de", "a.@b.de", "a@-b.de", "a@b.c", "a@1.2.3.4", "a,b@c.de"],
        ),
        (
            fields.not_disposable,
            ["a@mail.com", "a@notmailinator.example", "x", "a@shop.us.to", "a@example.de", "a@gmx.de", "a@qq.com", "a@proton.me", "a@t-online.de", "0-mail.com.de"],
            ["a@mailinator.com", "a@eu.MAILINATOR.com", "a@trashmail.de", "a@0-MAIL.com.", " a@0clickemail.com ", "a@us.to", "a@spamgourmet.com", "a@x.throwaway.email"],
        ),
        (
            fields.not_placeholder,
            ["Müller", "Null", "Na", "Foo Fighters Ltd", "Max", "Lee", "Xx", "王", "Testa", "Contest GmbH", "Bar Italia", "O", ""],
            ["test", "Test Test", "TEST TEST", "asdf", "Max Mustermann", "Mustermann TEST", "测试", "测试公司", "张三", "xxx", "AAAA", "n/a", "-", "000000", "John Doe", "１２３４５"],
        ),
        (
            fields.not_mojibake,
            ["Müller", "Crème brûlée", "Łódź", "北京", "Αθήνα", "Ærø", "naïve façade", "Ñandú", "ÄÖÜß", "Søren", "10 €"],
            ["MÃ¼ller", "SchrÃ¶der", "BjÃ¶rn", "Stra\u00c3\u0178e", "ä¼Ÿ", "å¼\u00a0", "J\ufffdrg", "donâ€™t", "锟斤拷"],
        ),
        (
            fields.possible_date,
            ["2024-02-29", "1999-12-31T23:59:59Z", "2020-01-01 00:00:00.000", "31.12.2020", "soon", ""],
            ["2023-02-29", "2024-13-01", "2024-00-10", "0001-01-01", "2999-01-01", "2024-01-01T25:00:00", "2024-1-1"],
        ),
        (
            fields.valid_tax_id,
            ["DE136695976", "ATU13585627", "BG123456789", "91350100M000100Y43", "FR 40 303 265 045", "HRB 75606 Rostock", "HRB 12345", "12345", "GB999 9999 73", ""],
            ["DE136695977", "DE12345678", "ATU1234567", "91350100M000100Y44", "91350100I000100Y43"],
        ),
    ],
    ids=["email", "disposable", "placeholder", "mojibake", "date", "tax"],
)  # fmt: skip
def test_one_value(rule: object, good: list[str], bad: list[str]) -> None:
    assert [v for v in good if not rule(v, "")] == []  # type: ignore[operator]  # a function of the table
    assert [v for v in bad if rule(v, "")] == []  # type: ignore[operator]  # a function of the table


def test_the_long_list_is_there_and_names_no_mail_house() -> None:
    listed = fields.listed_domains()
    assert len(listed) > 5_000 and len(fields.DISPOSABLE) >= 55
    assert all(domain == domain.strip().casefold() and "." in domain for domain in listed | fields.DISPOSABLE)
    houses = """gmail.com googlemail.com outlook.com hotmail.com live.com yahoo.com yahoo.co.jp aol.com icloud.com me.com proton.me
        protonmail.com tutanota.com fastmail.com zoho.com mail.com gmx.de gmx.net gmx.at web.de freenet.de t-online.de posteo.de
        mailbox.org arcor.de bluewin.ch orange.fr free.fr laposte.net libero.it wp.pl o2.pl seznam.cz yandex.ru mail.ru qq.com
        163.com 126.com sina.com sohu.com foxmail.com aliyun.com 139.com 189.cn naver.com daum.net uol.com.br bol.com.br
        rediffmail.com example.com privaterelay.appleid.com duck.com"""
    assert not (listed | fields.DISPOSABLE) & set(houses.split())


def test_names_in_two_fields() -> None:
    assert not fields.not_placeholder("Mustermann", "Max")
    assert not fields.not_placeholder("Max", "Mustermann TEST")
    assert not fields.not_placeholder("use", "do not")
    assert fields.not_placeholder("Musterfeld", "Max")
    assert fields.not_placeholder("Tester-Braun", "Anna")


@pytest.mark.parametrize(
    ("country", "good", "bad"),
    [
        ("DE", ["+49 30 1234567", "030-0074321", "0049301234567", "(089) 12 34 56 - 78", "0171/1234567"], ["12", "000000", "kein", "+49 1"]),
        ("USA", ["(206) 555-9857", "206-555-9857 ext. 52", "+1 206 555 9857", "+49 30 1234567"], ["3-(902)296-6183", "1234", "206-555-98571"]),
        ("UK", ["(171) 555-7788", "020 7946 0958"], ["0", "01" * 12]),
        ("中国", ["010-62345678", "13912345678", "+86 139 1234 5678", "0755-2345678转123"], ["139123456789012", "一二三"]),
        ("Belgium", ["(071) 23 67 22 20", "(02) 201 24 67"], ["x"]),
        ("", ["12345678", "+43 1 234567", "+44 20 7946 0958"], ["abc", "+999 123456", "1" * 20]),
        ("Atlantis", ["12345678"], ["none"]),
    ],
)  # fmt: skip
def test_phones_by_country(country: str, good: list[str], bad: list[str]) -> None:
    assert [v for v in good if not fields.valid_phone(v, country)] == []
    assert [v for v in bad if fields.valid_phone(v, country)] == []


@pytest.mark.parametrize(
    ("country", "good", "bad"),
    [
        ("Germany", ["12209", "D-12209"], ["1220", "ABC", "122091"]),
        ("UK", ["WA1 1DP", "EC2 5NT", "sw1a 1aa", "GIR 0AA"], ["M14 GSD", "12345"]),
        ("Canada", ["T2F 8M4", "H1J1C3"], ["T2F 8MM"]),
        ("US", ["98128", "98128-1234"], ["9812", "ABCDE"]),
        ("CN", ["528067"], ["52806"]),
        ("Portugal", ["1675", "1675-001"], ["16"]),
        ("Nowhere", ["anything"], []),
        ("", ["anything"], []),
    ],
)
def test_postcodes_by_country(country: str, good: list[str], bad: list[str]) -> None:
    assert [v for v in good if not fields.valid_postcode(v, country)] == []
    assert [v for v in bad if fields.valid_postcode(v, country)] == []


def test_check_digits_catch_every_single_wrong_digit() -> None:
    for good in ("DE136695976", "91350100M000100Y43"):
        for at in range(2, len(good)):
            for digit in "0123456789":
                if digit != good[at] and good[at].isdigit():
                    assert not fields.valid_tax_id(good[:at] + digit + good[at + 1 :]), (good, at, digit)


NUMBERS = [
    "ATU13585627",
    "BE0428759497",
    "DE136695976",
    "DK13585628",
    "EE100931558",
    "EL023456780",
    "FI20774740",
    "FR40303265045",
    "FR23334175221",
    "GB980780684",
    "HR33392005961",
    "HU12892312",
    "IE6433435F",
    "IE6433435OA",
    "IE8D79739I",
    "IT00743110157",
    "LU15027442",
    "NL004495445B01",
    "NL123456789B13",
    "PL8567346215",
    "PT501964843",
    "SE123456789701",
    "SI50223054",
    "SK2022749619",
    "91350100M000100Y43",
]  # as tax offices and the code's standard print them
UNTESTED = {"IE8D79739I": range(2, 10), "NL004495445B01": (12, 13), "SE123456789701": (12, 13)}
"""An old Irish form, the number of a Dutch unit, and Sweden's constant 01 have no check digit."""
TWICE = {("EL023456780", 5), ("NL123456789B13", 4)}
"""Greece folds the remainder 10 onto 0, and a Dutch number may fit either of two rules."""


@pytest.mark.parametrize("number", NUMBERS)
def test_check_digits_of_tax_ids(number: str) -> None:
    assert fields.valid_tax_id(number)
    assert fields.valid_tax_id(f"{number[:2]} {number[2:5]}.{number[5:]}".lower())
    wrong = []
    for at in range(2, len(number)):
        if number[at].isdigit() and at not in UNTESTED.get(number, ()):
            other = number[:at] + str((int(number[at]) + 1) % 10) + number[at + 1 :]
            if fields.valid_tax_id(other) and (number, at) not in TWICE:
                wrong.append(other)
    assert wrong == []
