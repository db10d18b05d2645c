"""Two names of people or organisations in any writing: how likely they are one name, as a number from 0 to 1.

For lists to be checked by hand, imports and tests of one's own; :func:`compare_names` needs no table and no training. Both
names are brought into Latin letters (pinyin for Chinese, by letter else), stripped of titles and legal forms, and their
words are paired: equal, spelled a little differently, transliterated by other rules, an initial, a short form. Words that
one name lacks cost little; words that contradict each other cost much. Two names in Chinese characters are compared by
character, because most people who share a pinyin spelling are different people.

Left to others: names among the other fields of a table (``levels``), how much a name weighs there (``train``).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from rapidfuzz.distance import OSA

from steward.scoring.duplicates.han import company_in_latin_letters, han_names_alike, is_han, phrase_reading, pinyin_readings
from steward.scoring.duplicates.letters import fold_text, romanise
from steward.scoring.duplicates.words import (
    COMPANY_COMMON_WORDS,
    COMPANY_CONNECTORS,
    GENERATION,
    LEGAL_FORMS,
    LEGAL_PHRASES,
    NAME_PARTICLES,
    OFFICES,
    TITLES,
    short_forms,
)

Sort = Literal["person", "company", ""]

LONGEST = 256
"""Characters of a name that are compared."""

ONE_SIDED = 0.13
"""Taken off for each word that only one of two names of people has: a middle name, a father's name."""

ONE_SIDED_COMPANY = 0.3
"""The same for organisations, whose further words name another branch or fund more often."""


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    weight: float


def compare_names(left: str, right: str, sort: Sort = "") -> float:
    """Return how well two names fit, from 0 (other names) to 1 (the same name but for writing).

    Parameters
    ----------
    left, right : str
        Names in any script, either order, with or without titles and legal forms. Text beyond 256 characters is not read.
    sort : {'person', 'company', ''}
        What they name; empty where unknown: a legal form on either side then says *company*.

    Returns
    -------
    float
        0.5 and above reads "may well be the same name". The order of the two makes no difference.

    Examples
    --------
    >>> compare_names("Dr. Hans Müller", "MUELLER, Hans") > 0.95
    True
    >>> compare_names("王伟", "Wang Wei") > 0.8 > compare_names("王伟", "王薇")
    True
    """
    quoted = _OWN.findall(left[:LONGEST]), _OWN.findall(right[:LONGEST])
    if quoted[0] and quoted[1]:  # the own names of two organisations whose other words say what they are
        own = compare_names(quoted[0][-1], quoted[1][-1], "company")
        if own < 0.8:
            return own * 0.5
    one, other = sorted((_clean(left), _clean(right)))
    if not one or not other:
        return 0.0
    company = sort == "company" or (not sort and (_has_legal_form(one) or _has_legal_form(other)))
    spelled = bool(_SPELLED.search(left[:LONGEST])), bool(_SPELLED.search(right[:LONGEST]))
    if spelled[0] != spelled[1] and not (is_han(one) and is_han(other)):
        return _spelled_by_sound(one, other)
    if is_han(one) and is_han(other):
        return han_names_alike(one, other, company)
    if company and is_han(one) != is_han(other):
        chinese, latin = (one, other) if is_han(one) else (other, one)
        fits = company_in_latin_letters(chinese, _versions(latin, company)[0])
        if fits:
            return fits
    foreign = (_script(one) in _VOWELLESS) != (_script(other) in _VOWELLESS)
    return max(_compare(a, b, company, foreign) for a in _versions(one, company) for b in _versions(other, company))


_OWN = re.compile(r'["«“„]\s*([^"«»“”„]{3,}?)\s*["»“”]?$')
"""A name in quotation marks at the end, as Slavic organisations write their own names."""


_SPELLED = re.compile("[\u4e00-\u9fff][·・‧•][\u4e00-\u9fff]")
"""A foreign name written in Chinese by sound, with a dot between its words: 贝拉克·奥巴马."""


def _spelled_by_sound(one: str, other: str) -> float:
    """Return the likeness of a foreign name and its Chinese spelling: consonants alone, *l* and *r* as one sound."""
    chinese, latin = (one, other) if is_han(one) else (other, one)
    spoken = tuple(_consonants(phrase_reading(part)) for part in chinese.split())
    heard = tuple(_consonants(w) for w in _versions(latin, False)[0])
    return 0.85 * _words_fit(spoken, heard, False)


def _consonants(word: str) -> str:
    text = bare(word).replace("r", "l")
    return ("a" + text[1:]) if text[:1] in "aiu" else text


def _clean(name: str) -> str:
    return fold_text(unicodedata.normalize("NFKC", name[:LONGEST]))


_VOWELLESS = frozenset(("ARABIC", "HEBREW", "KHMER", "THAI", "LAO", "MYANMAR", "SYRIAC"))
"""Writings whose vowels are not written, or not where they are spoken."""


def _script(folded: str) -> str:
    """Return the writing of the first letter, by its Unicode name."""
    letter = next((c for c in folded if c.isalpha()), "a")
    return unicodedata.name(letter, "").split(" ")[0]


def _versions(folded: str, company: bool) -> list[tuple[str, ...]]:
    """Return the readings of a name as words; Chinese names have one for each usual reading of their characters."""
    if is_han(folded):
        return [tuple(reading.split()) for reading in pinyin_readings(folded, company)]
    words = [_own_word(w) for w in romanise(folded).split()] if _script(folded) == "ARABIC" else romanise(folded).split()
    stripped = _stripped(words, company)
    return list(dict.fromkeys((tuple(stripped), tuple(words)))) if len(words) > len(stripped) else [tuple(stripped)]


def _own_word(word: str) -> str:
    """Return a romanised Arabic word without the article written as part of it."""
    return word[2:] if word.startswith("al") and len(word) >= 5 else word


_SERVANT = frozenset(["abdul", "abdel", "abdal", "abdol", "abdoul"])
"""Ways of writing *servant of the*: ``Abd al-Aziz`` and ``Abdul Aziz`` are one name."""


def _has_legal_form(folded: str) -> bool:
    words = folded.split()
    return any(w in LEGAL_FORMS for w in words[-3:]) or any(p in f" {folded} " for p in LEGAL_PHRASES)


def _stripped(words: list[str], company: bool) -> list[str]:
    """Return the words of a name without titles, legal forms and connectors; all of them where nothing would be left."""
    words = _initials_joined(words)
    if company:
        joined = f" {' '.join(words)} "
        for phrase in LEGAL_PHRASES:
            joined = joined.replace(phrase, " ")
        kept = [w for w in joined.split() if w not in LEGAL_FORMS and w not in COMPANY_CONNECTORS]
        return kept or words
    kept = [GENERATION.get(w, w) if i else w for i, w in enumerate(words) if w not in TITLES and w not in _LEFT_OFF]
    kept = ["abd" if w in _SERVANT else w for w in kept if w not in NAME_PARTICLES] or kept
    return kept or words


_LEFT_OFF = (LEGAL_FORMS | OFFICES) - {"as", "se", "co", "sa", "oo", "pt", "public", "private", "mit", "ao", "kk", "ab"}


def _initials_joined(words: list[str]) -> list[str]:
    """Return words with three or more single letters in a row as one: ``l x c`` is *lxc*, ``j c`` two initials."""
    out: list[str] = []
    run: list[str] = []
    for word in [*words, ""]:
        if len(word) == 1 and word.isalpha():
            run.append(word)
            continue
        out += ["".join(run)] if len(run) > 2 else run
        run = []
        if word:
            out.append(word)
    return out


def _compare(one: tuple[str, ...], other: tuple[str, ...], company: bool, foreign: bool) -> float:
    if not one or not other:
        return 0.0
    if sorted(one) == sorted(other) or "".join(one) == "".join(other):
        return 1.0
    one, other = _joined_as(one, other), _joined_as(other, one)
    fits = max(_words_fit(one, other, company), _run_together(one, other), _acronym(one, other) if company else 0.0)
    if foreign:  # writings without vowels, and letters that stand for several sounds
        bare_one, bare_other = tuple(map(bare, one)), tuple(map(bare, other))
        if min(len("".join(bare_one)), len("".join(bare_other))) >= 4:
            fits = max(fits, 0.9 * _words_fit(bare_one, bare_other, company))
    return fits


def _joined_as(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """Return words with neighbours joined where the other name writes them as one: *Patr ushev*."""
    out: list[str] = []
    whole = set(other)
    for word in one:
        if out and out[-1] not in whole and word not in whole and f"{out[-1]}{word}" in whole:
            out[-1] += word
        else:
            out.append(word)
    return tuple(out)


def _words_fit(one: tuple[str, ...], other: tuple[str, ...], company: bool) -> float:
    left, right = [_Word(w, _weight(w, company)) for w in one], [_Word(w, _weight(w, company)) for w in other]
    found = sorted(
        ((_word_alike(a.text, b.text, company), i, j) for i, a in enumerate(left) for j, b in enumerate(right)),
        key=lambda x: (-x[0], x[1], x[2]),
    )
    free_left, free_right = set(range(len(left))), set(range(len(right)))
    total = score = 0.0
    lowest, whole = 1.0, 0
    for alike, i, j in found:
        if i not in free_left or j not in free_right or alike < PAIRED:
            continue
        free_left.discard(i)
        free_right.discard(j)
        weight = max(left[i].weight, right[j].weight)
        total += weight
        score += weight * alike
        lowest = min(lowest, 1.0 - (1.0 - alike) * min(1.0, weight))
        whole += len(left[i].text) > 1 and len(right[j].text) > 1
    if not whole:
        return 0.0
    against = min(sum(left[i].weight for i in free_left), sum(right[j].weight for j in free_right))
    extra = abs(sum(left[i].weight for i in free_left) - sum(right[j].weight for j in free_right))
    total += against
    fits = (score / total + lowest) / 2
    if against:
        fits *= CONTRADICTED * score / total
    elif company and (any(_numbered(left[i].text) for i in free_left) or any(_numbered(right[j].text) for j in free_right)):
        fits *= CONTRADICTED  # Fund and Fund II
    fits -= (ONE_SIDED_COMPANY if company else ONE_SIDED) * min(extra, 3.0)
    shorter = min(len(one), len(other))
    if shorter == 1 and max(len(one), len(other)) > 1 and not company:
        fits -= 0.2  # one word alone: a surname without a given name
    return max(0.0, min(1.0, fits))


PAIRED = 0.5
"""Likeness from which two words are held to be the same word."""

CONTRADICTED = 0.62
"""What is left of a score where each name has a word that the other contradicts."""


def _numbered(word: str) -> bool:
    return word.isdigit() or bool(re.fullmatch("[ivx]{2,5}|[vx]", word))


def _weight(word: str, company: bool) -> float:
    if company and word in COMPANY_COMMON_WORDS:
        return 0.45
    if len(word) == 1:
        return 0.5
    return 1.0


def _without_digraphs(word: str) -> str:
    """Return *mueller* and *muller* as one; see ``standard``."""
    return re.sub("(^|[^aeiouqxjyln])ue", r"\1u", word.replace("ae", "a").replace("oe", "o"))


@lru_cache(maxsize=20_000)
def skeleton(word: str) -> str:
    """Return what ways of transliterating one word have in common: *Qaddafi* and *Gaddafi*, *Selenskyj* and *Zelenskyy*."""
    text = word
    for pattern, to in (
        ("^x", "s"), ("eo|eu", "u"), ("tsch|tch|ch|sch|sh|sz|cz|zh", "s"), ("ph|pf", "f"), ("[ckqg]h?", "k"), ("th|dh|d|t", "t"), ("x", "ks"), ("[wv]", "v"),
        ("ij|iy|yi|yj|yy|ii|ey|ei|ie|ay|ai|ee|y|j", "i"), ("ou|oo|ow|u|o", "u"), ("e", "i"), ("[z]", "s"), ("b", "p"), ("'|h", ""),
    ):  # fmt: skip
        text = re.sub(pattern, to, text)
    return re.sub(r"(.)\1+", r"\1", text)


@lru_cache(maxsize=1)
def _short() -> dict[str, frozenset[int]]:
    return short_forms()


@lru_cache(maxsize=50_000)
def _word_alike(a: str, b: str, company: bool) -> float:
    if a == b:
        return 1.0
    if min(len(a), len(b)) == 1:
        return 0.8 if a[0] == b[0] and not company else 0.0
    if a.isdigit() or b.isdigit():
        return 0.6 if a.isdigit() and b.isdigit() and min(len(a), len(b)) >= 3 and OSA.distance(a, b) == 1 else 0.0
    if _without_digraphs(a) == _without_digraphs(b):
        return 0.98
    groups = _short()
    if not company and groups.get(a, frozenset()) & groups.get(b, frozenset()):
        return 0.92
    longest, edits = max(len(a), len(b)), OSA.distance(a, b)
    raw = 1.0 - edits / longest
    if edits == 1:
        raw = max(raw, 0.62 if longest <= 3 else 0.82)
    elif edits == 2 and a[0] == b[0]:
        raw = max(raw, 0.72) if longest >= 7 else raw - 0.15
    else:
        raw *= 0.75 if a[0] == b[0] else 0.6
    x, y = skeleton(a), skeleton(b)
    if min(len(x), len(y)) >= 2:
        if x == y:
            raw = max(raw, 0.9 if len(x) >= 3 else 0.75)
        elif min(len(x), len(y)) >= 4 and OSA.distance(x, y) == 1:
            raw = max(raw, 0.74)
    if min(len(bare(a)), len(bare(b))) >= 4 and bare(a) == bare(b):
        raw = max(raw, 0.76)
    return max(raw, 0.0)


@lru_cache(maxsize=20_000)
def bare(word: str) -> str:
    """Return the consonants of a word's skeleton, its first letter included."""
    text = skeleton(word)
    return text[:1] + re.sub("[aiu]", "", text[1:])


def _run_together(one: tuple[str, ...], other: tuple[str, ...]) -> float:
    """Return the likeness of names whose words are cut otherwise: *van der bilt* and *vanderbilt*."""
    if len(one) == len(other) or any(_numbered(w) for w in {*one} ^ {*other}):
        return 0.0
    a, b = "".join(one), "".join(other)
    edits, longest = OSA.distance(a, b), max(len(a), len(b))
    if edits <= 1 and longest >= 6:
        return 0.9
    if min(len(skeleton(a)), len(skeleton(b))) >= 6 and skeleton(a) == skeleton(b):
        return 0.86
    return 0.7 if longest >= 10 and edits <= 2 else 0.0


def _acronym(one: tuple[str, ...], other: tuple[str, ...]) -> float:
    """Return the likeness of an acronym and the words it stands for."""
    short, long = sorted((one, other), key=len)
    if len(short) == 1 and len(long) >= 2 and short[0] == "".join(w[0] for w in long) and len(short[0]) >= 3:
        return 0.6
    return 0.0
