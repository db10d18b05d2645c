"""Names in Chinese characters: what of them is surname, place, own name, line of business, legal form or branch.

Two names that sound alike are usually two customers (王伟 and 王薇, 华信 and 华鑫), two that differ in province, legal form or
traditional characters usually one. So characters are compared here, not their pinyin; pinyin serves where only one of two
names is written in characters.

Everything works on folded text (lower case, full width made half, traditional characters simplified). Left to others:
folding and pinyin (``standard``), words of other languages (``names``).
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from functools import lru_cache

from steward.scoring.duplicates import pinyin
from steward.scoring.duplicates.words import (
    HAN_BRANCH_WORDS,
    HAN_FAMILIAR,
    HAN_LEGAL_FORMS,
    HAN_LINES_IN_ENGLISH,
    HAN_LINES_OF_BUSINESS,
    HAN_PLACES,
    HAN_SURNAMES_OF_TWO,
    HAN_TITLES,
)

_LETTER = r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
_ALL_HAN = re.compile(rf"^{_LETTER}[{_LETTER[1:-1]}\d ]*$")
_PLACE = re.compile(
    rf"^({'|'.join(sorted(HAN_PLACES, key=len, reverse=True))})(?:省|市|自治区|维吾尔自治区|壮族自治区|回族自治区|特别行政区)?"
)
_DISTRICT = re.compile(rf"^{_LETTER}{{1,3}}(?:市|区|县)(?={_LETTER}{{3,}})")
_PLACE_AT_END = re.compile(rf"({'|'.join(HAN_PLACES)})市?$")
_BRANCH_WORDS = sorted(HAN_BRANCH_WORDS, key=lambda w: (-len(w), w))
_LINES = sorted(HAN_LINES_OF_BUSINESS, key=lambda w: (-len(w), w))
_COMPANY_ENDS = ("有限责任公司", "有限公司", "公司", "集团")


def is_han(text: str) -> bool:
    """Tell whether folded text is written in Chinese characters, digits and spaces aside."""
    return bool(_ALL_HAN.match(text))


@dataclass(frozen=True, slots=True)
class HanCompany:
    """The parts of a company's Chinese name.

    Attributes
    ----------
    place : str
        Most exact province or city named, empty where none.
    core : str
        Own name with its line of business, without place, legal form and branch.
    branch : str
        What names the branch, empty for the company itself.
    """

    place: str
    core: str
    branch: str


@lru_cache(maxsize=50_000)
def parse_company(folded: str) -> HanCompany:
    """Return the parts of a folded company name."""
    place = ""
    parts = []
    for word in folded.split():  # (北京) in the middle became a word of its own
        found = _PLACE.match(word)
        if found and found[0] == word:
            place = found[1]
        else:
            parts.append(word)
    text, branch = _without_branch(parts)
    text, more = _without_place(text)
    place = more or place
    for form in HAN_LEGAL_FORMS:
        if text.endswith(form) and len(text) > len(form) + 1:
            text = text[: -len(form)]
            break
    return HanCompany(place, text, branch)


def _without_branch(parts: list[str]) -> tuple[str, str]:
    """Return a name without what names one of a company's places, and that: ``华信科技有限公司上海分公司`` → 华信科技有限公司, 上海."""
    text = "".join(parts)
    word = next((w for w in _BRANCH_WORDS if text.endswith(w) and len(text) > len(w) + 1), "")
    if not word:
        return text, ""
    if len(parts) > 1 and parts[-1] != word:  # 肯德基(南京路店)
        return "".join(parts[:-1]), parts[-1].removesuffix(word) or word
    head = text.removesuffix(word)
    cut = max(head.rfind(form) + len(form) if form in head else 0 for form in _COMPANY_ENDS)
    if not cut:
        ends = _PLACE_AT_END.search(head)
        cut = ends.start() if ends and ends.start() > 1 else len(head)
    named = head[cut:].removesuffix("市")
    return head[:cut], named or ("" if word == "店" else word)  # a shop that calls itself one is no branch


def _without_place(text: str) -> tuple[str, str]:
    """Return a name without the province, city and district in front, and the last of province and city."""
    place = ""
    for _ in range(2):
        found = _PLACE.match(text)
        if not found or len(text) < len(found[0]) + 2:
            break
        if text[len(found[0]) :] in HAN_LINES_OF_BUSINESS or text[len(found[0]) :].startswith(tuple(HAN_LEGAL_FORMS)):
            break  # 北京银行, 上海集团: the place is the name
        place, text = found[1], text[len(found[0]) :]
    if place:
        found = _DISTRICT.match(text)
        if found and not text.startswith(tuple(HAN_LINES_OF_BUSINESS)):
            text = text[len(found[0]) :]
    return text, place


@lru_cache(maxsize=50_000)
def parse_person(folded: str) -> tuple[str, str]:
    """Return surname and given name of a folded Chinese name; titles go, *小王* and *老王* are surnames alone."""
    text = folded.replace(" ", "")
    title = next((t for t in HAN_TITLES if text.endswith(t) and len(text) > len(t)), "")
    text = text.removesuffix(title)
    if len(text) == 2 and text[0] in HAN_FAMILIAR:
        return text[1], ""
    cut = 2 if text[:2] in HAN_SURNAMES_OF_TWO and len(text) > 2 else 1
    return _ONE_SURNAME.get(text[:cut], text[:cut]), text[cut:]


_ONE_SURNAME = {"萧": "肖", "阎": "闫", "傅": "付", "戴": "代"}
"""Surnames that one office writes so and the next otherwise, the same family."""


@lru_cache(maxsize=50_000)
def readings_of(char: str) -> tuple[str, ...]:
    """Return the toneless readings of a character, commonest first."""
    return tuple(dict.fromkeys(r.replace("v", "u") for r in pinyin.readings(char)))


@lru_cache(maxsize=20_000)
def phrase_reading(text: str) -> str:
    """Return a word in toneless pinyin without spaces, read as a whole: 重庆 *chongqing*, 厦门 *xiamen*."""
    from pypinyin import lazy_pinyin

    return "".join(lazy_pinyin(text, v_to_u=False)).replace("v", "u").replace("ü", "u")


def sound_alike(a: str, b: str) -> bool:
    """Tell whether two characters share a reading."""
    return bool(set(readings_of(a)) & set(readings_of(b)))


def pinyin_readings(folded: str, company: bool) -> list[str]:
    """Return a name in pinyin as its owner might write it: other readings of a surname, a company with and without place and line."""
    from steward.scoring.duplicates.letters import surname_reading

    if company:
        parts = parse_company(folded)
        own, line = _own_name(parts.core)
        core = f"{phrase_reading(own)} {phrase_reading(line)}".strip()
        return list(dict.fromkeys((core, f"{phrase_reading(parts.place)} {core}".strip(), phrase_reading(own))))
    family, given = parse_person(folded)
    names = list(
        dict.fromkeys(
            [surname_reading(family), *("".join(p) for p in itertools.product(*(readings_of(c)[:2] for c in family)))]
        )
    )
    rest = [readings_of(c)[0] for c in given]
    spoken = [(name, "".join(rest)) for name in names[:4]]
    if len(family) == 1:
        spoken.append((wade_giles(names[0]), "".join(map(wade_giles, rest))))
    return [" ".join(parts).strip() for parts in spoken]


_WG_WHOLE = {
    "zhi": "chih", "chi": "chih", "shi": "shih", "ri": "jih", "zi": "tzu", "ci": "tzu", "si": "szu", "yi": "i", "you": "yu", "ye": "yeh",
    "yan": "yen", "er": "erh", "gui": "kuei", "kui": "kuei", "guo": "kuo", "kuo": "kuo", "huo": "huo", "shuo": "shuo", "ge": "ko", "ke": "ko",
    "he": "ho", "yong": "yung", "xiong": "hsiung", "qiong": "chiung", "jiong": "chiung", "xue": "hsueh", "jue": "chueh", "que": "chueh",
    "jie": "chieh", "qie": "chieh", "xie": "hsieh", "lie": "lieh", "die": "tieh", "tie": "tieh", "mie": "mieh", "nie": "nieh", "bie": "pieh",
}  # fmt: skip
_WG_INITIALS = (
    ("zh", "ch"), ("ch", "ch"), ("sh", "sh"), ("b", "p"), ("d", "t"), ("g", "k"), ("j", "ch"), ("q", "ch"), ("x", "hs"), ("z", "ts"),
    ("c", "ts"), ("r", "j"),
)  # fmt: skip


def wade_giles(syllable: str) -> str:
    """Return a pinyin syllable in the older spelling of Wade and Giles, without apostrophes: *xiao* → *hsiao*, *zhong* → *chung*."""
    if syllable in _WG_WHOLE:
        return _WG_WHOLE[syllable]
    initial, other = next(((p, w) for p, w in _WG_INITIALS if syllable.startswith(p)), ("", ""))
    final = syllable[len(initial) :]
    final = re.sub("ian$", "ien", re.sub("ong$", "ung", re.sub("uo$", "o", final)))
    return other + final


def han_names_alike(a: str, b: str, company: bool) -> float:
    """Return how well two folded names in Chinese characters fit, 0 to 1; with ``company``, or where either has a legal form."""
    x, y = a.replace(" ", ""), b.replace(" ", "")
    if x == y:
        return 1.0
    if company or any(t.endswith(HAN_LEGAL_FORMS) for t in (x, y)) or min(len(x), len(y)) > 4:
        return companies_alike(parse_company(a), parse_company(b))
    return people_alike(parse_person(a), parse_person(b))


def keys_alike(a: str, b: str, company: bool) -> float:
    """Return how well two key forms fit, as ``standard`` makes them: of companies *place and core, branch*."""
    if not company:
        return people_alike(parse_person(a), parse_person(b))
    parts = []
    for key in (a, b):
        name, _, branch = key.partition(" ")
        core, place = _without_place(name)
        parts.append(HanCompany(place, core, branch))
    return companies_alike(*parts)


def people_alike(a: tuple[str, str], b: tuple[str, str]) -> float:
    """Return how well two people's names fit, as (surname, given name)."""
    (family_a, given_a), (family_b, given_b) = a, b
    if a == b:
        return 1.0 if given_a else 0.6
    if (family_a, given_a) == (given_b, family_b):
        return 0.85  # written in the order of the West
    if family_a != family_b:
        if given_a == given_b and len(given_a) >= 2 and len(family_a) == len(family_b) == 1 and sound_alike(family_a, family_b):
            return 0.45
        return 0.1
    if not given_a or not given_b:
        return 0.5
    if len(given_a) != len(given_b):
        return 0.35 if set(given_a) & set(given_b) else 0.1
    if sorted(given_a) == sorted(given_b):
        return 0.6
    differ = [(p, q) for p, q in zip(given_a, given_b, strict=True) if p != q]
    if len(differ) == 1 and len(given_a) >= 2:
        return 0.48 if sound_alike(*differ[0]) else 0.25
    if all(sound_alike(p, q) for p, q in differ):
        return 0.4
    return 0.1


def companies_alike(a: HanCompany, b: HanCompany) -> float:
    """Return how well two companies' names fit; other places, branches and lines of business are other companies."""
    if a.branch != b.branch:
        return 0.3
    fit = _cores_alike(a.core, b.core)
    if a.place and b.place and a.place != b.place:
        from_one_province = a.place in _PROVINCE_OF.get(b.place, ()) or b.place in _PROVINCE_OF.get(a.place, ())
        return fit if from_one_province else min(fit, 0.35)
    return fit * 0.97 if bool(a.place) != bool(b.place) else fit


def _cores_alike(a: str, b: str) -> float:
    if a == b:
        return 1.0
    short, long = sorted((a, b), key=lambda t: (len(t), t))
    own_short, line_short = _own_name(short)
    own_long, line_long = _own_name(long)
    if own_short == own_long and len(own_short) >= 2:
        if not line_short or not line_long or set(line_short) <= set(line_long) or set(line_long) <= set(line_short):
            return 0.85  # 小米 and 小米科技, 信息 and 信息技术
        return 0.35  # 华信科技 and 华信贸易
    if len(short) >= 2 and short[0] == long[0] and _within(short, long) and len(long) - len(short) >= 2:
        return 0.6  # an abbreviation: 工行, 中石油
    if len(a) == len(b) and len(a) >= 3:
        differ = [(p, q) for p, q in zip(a, b, strict=True) if p != q]
        if sorted(a) == sorted(b) and len(differ) == 2 and own_short[:1] != own_long[:1]:
            return 0.5
        if len(differ) == 1:
            return 0.45 if sound_alike(*differ[0]) and len(a) >= 5 else 0.3
    return 0.1


def _own_name(core: str) -> tuple[str, str]:
    """Split a core into its own name and its line of business."""
    rest = core
    while True:
        line = next((w for w in _LINES if rest.endswith(w) and len(rest) - len(w) >= 2), "")
        if not line:
            return rest, core[len(rest) :]
        rest = rest[: -len(line)]


def company_in_latin_letters(folded: str, words: tuple[str, ...]) -> float:
    """Return how well a Chinese company name fits one in pinyin with its line of business translated.

    Parameters
    ----------
    words : tuple of str
        Words of the other name, folded, without its legal form.
    """
    parts = parse_company(folded)
    own, line = _own_name(parts.core)
    spoken = phrase_reading(own)
    rest = list(words)
    place = phrase_reading(parts.place)
    for word in (place, *_ENGLISH_PLACES.get(parts.place, ())):
        if word and word in rest:
            rest.remove(word)
    taken = next((k for k in range(1, len(rest) + 1) if "".join(rest[:k]) == spoken), 0)
    if not taken:
        return 0.0
    said = [w for w in rest[taken:] if w not in _SAY_NOTHING]
    if not said or not line:
        return 0.7 if not said else 0.62
    known: set[str] = set().union(*(words for name, words in HAN_LINES_IN_ENGLISH.items() if name in line))
    share = sum(w in known or any(w.startswith(k) and len(k) >= 3 for k in known) for w in said) / len(said)
    return 0.3 + 0.65 * share


_SAY_NOTHING = frozenset(("group", "and", "of", "holding", "holdings", "china"))

_ENGLISH_PLACES = {
    "哈尔滨": ("harbin",),
    "西安": ("xi", "an", "xian"),
    "香港": ("hong", "kong"),
    "澳门": ("macau", "macao"),
    "台北": ("taipei",),
}


def _within(short: str, long: str) -> bool:
    """Tell whether the characters of one name occur in the other in their order."""
    place = iter(long)
    return all(c in place for c in short)


def given_level(a: str, b: str) -> float:
    """Return how well two given names alone fit."""
    return people_alike(("", a), ("", b)) if a != b else 1.0


_PROVINCE_OF: dict[str, tuple[str, ...]] = {
    "深圳": ("广东",), "广州": ("广东",), "东莞": ("广东",), "佛山": ("广东",), "珠海": ("广东",), "杭州": ("浙江",), "宁波": ("浙江",),
    "温州": ("浙江",), "嘉兴": ("浙江",), "南京": ("江苏",), "苏州": ("江苏",), "无锡": ("江苏",), "常州": ("江苏",), "成都": ("四川",),
    "武汉": ("湖北",), "西安": ("陕西",), "长沙": ("湖南",), "郑州": ("河南",), "青岛": ("山东",), "济南": ("山东",), "厦门": ("福建",),
    "福州": ("福建",), "大连": ("辽宁",), "沈阳": ("辽宁",), "哈尔滨": ("黑龙江",), "长春": ("吉林",), "石家庄": ("河北",), "合肥": ("安徽",),
    "昆明": ("云南",), "南昌": ("江西",), "贵阳": ("贵州",), "南宁": ("广西",), "太原": ("山西",), "兰州": ("甘肃",), "海口": ("海南",),
    "台北": ("台湾",), "高雄": ("台湾",),
}  # fmt: skip
"""A company may name its province in one place and its city in another."""
