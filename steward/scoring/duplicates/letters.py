"""Letters: folding text of any writing, and bringing it into Latin letters.

Folding takes away case, width, accents, punctuation and the difference of traditional and simplified characters. Latin letters
come from tables of our own for Cyrillic, Greek, Arabic and Korean, from pinyin for Chinese, from anyascii for all others.

Left to others: what a company's or a person's name is made of (``standard``, ``han``).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from importlib import resources

from steward.scoring.duplicates.pinyin import readings
from steward.scoring.duplicates.words import HAN_SURNAMES_OF_TWO

HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_OTHER_SCRIPT = re.compile(r"[\u0370-\u052f\u0590-\u06ff\uac00-\ud7af]")

_LETTERS = str.maketrans(
    {
        "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ə": "a",
        "а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "е": "e", "ё": "e", "ж": "zh", "з": "z", "и": "i", "й": "i", "к": "k",
        "л": "l", "м": "m", "н": "n", "о": "o", "п": "p", "р": "r", "с": "s", "т": "t", "у": "u", "ф": "f", "х": "kh", "ц": "ts",
        "ч": "ch", "ш": "sh", "щ": "shch", "ъ": "", "ы": "y", "ь": "", "э": "e", "ю": "yu", "я": "ya", "є": "e", "і": "i",
        "ї": "i", "ґ": "g", "ў": "u", "ј": "j", "љ": "l", "њ": "n", "ћ": "c", "ђ": "d", "џ": "dz",
        "α": "a", "β": "v", "γ": "g", "δ": "d", "ε": "e", "ζ": "z", "η": "i", "θ": "th", "ι": "i", "κ": "k", "λ": "l", "μ": "m",
        "ν": "n", "ξ": "x", "ο": "o", "π": "p", "ρ": "r", "σ": "s", "ς": "s", "τ": "t", "υ": "y", "φ": "f", "χ": "ch",
        "ψ": "ps", "ω": "o",
        "ا": "a", "أ": "a", "إ": "i", "آ": "a", "ب": "b", "ت": "t", "ث": "th", "ج": "j", "ح": "h", "خ": "kh", "د": "d",
        "ذ": "dh", "ر": "r", "ز": "z", "س": "s", "ش": "sh", "ص": "s", "ض": "d", "ط": "t", "ظ": "z", "ع": "a", "غ": "gh",
        "ف": "f", "ق": "q", "ك": "k", "ل": "l", "م": "m", "ن": "n", "ه": "h", "ة": "a", "و": "u", "ي": "i", "ى": "a",
        "ئ": "i", "ؤ": "u", "ء": "", "پ": "p", "چ": "ch", "ژ": "zh", "گ": "g", "ک": "k", "ی": "i",
    }
)  # fmt: skip


@lru_cache(maxsize=1)
def _simplified() -> dict[int, str]:
    """Return the table from traditional to simplified characters."""
    text = (resources.files("opencc") / "dictionary" / "TSCharacters.txt").read_text(encoding="utf-8")
    table = {}
    for line in text.splitlines():
        traditional, _, simple = line.partition("\t")
        if len(traditional) == 1 and simple:
            table[ord(traditional)] = simple.split(" ")[0]
    return table


def _syllable(char: str) -> str:
    return readings(char)[0]


_SURNAME_READINGS = {
    "单": "shan", "曾": "zeng", "解": "xie", "仇": "qiu", "区": "ou", "查": "zha", "朴": "piao", "盖": "ge", "乐": "yue",
    "任": "ren", "华": "hua", "重": "chong",
}  # fmt: skip
"""Characters read otherwise as a surname."""


def surname_reading(family: str) -> str:
    """Return a Chinese surname in pinyin, read as a surname: 单 *shan*, 曾 *zeng*."""
    return "".join(_SURNAME_READINGS.get(c, _syllable(c)) for c in family)


_KOREAN_FIRST = ["g", "kk", "n", "d", "tt", "r", "m", "b", "pp", "s", "ss", "-", "j", "jj", "ch", "k", "t", "p", "h"]
_KOREAN_VOWEL = [
    "a", "ae", "ya", "yae", "eo", "e", "yeo", "ye", "o", "wa", "wae", "oe", "yo", "u", "wo", "we", "wi", "yu", "eu", "ui",
    "i",
]  # fmt: skip
_KOREAN_LAST = [
    "-", "k", "k", "k", "n", "n", "n", "t", "l", "k", "m", "l", "l", "l", "p", "l", "m", "p", "p", "t", "t", "ng", "t", "t",
    "k", "t", "p", "t",
]  # fmt: skip


def _hangul(char: str) -> str:
    code = ord(char) - 0xAC00
    first, rest = divmod(code, 588)
    vowel, last = divmod(rest, 28)
    return (_KOREAN_FIRST[first] + _KOREAN_VOWEL[vowel] + _KOREAN_LAST[last]).replace("-", "")


class _Spoken(dict[int, str]):
    """A Chinese character as a word of its own in pinyin, any other as it is."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        self[code] = f" {_syllable(char)} " if HAN.match(char) else char
        return self[code]


_SPOKEN = _Spoken()


def romanise(text: str, *, surname_first: bool = False) -> str:
    """Return folded text in Latin letters: pinyin a syllable a word, other scripts by letter.

    Parameters
    ----------
    surname_first : bool
        Read a surname's own way and join the given name: ``欧阳娜娜`` → ``ouyang nana``.
    """
    if HAN.search(text):
        if surname_first and re.fullmatch(HAN.pattern + "{2,4}", text):
            cut = 2 if text[:2] in HAN_SURNAMES_OF_TWO and len(text) > 2 else 1
            family = "".join(_SURNAME_READINGS.get(c, _syllable(c)) for c in text[:cut])
            return f"{family} {''.join(_syllable(c) for c in text[cut:])}"
        text = text.translate(_SPOKEN)
    if _OTHER_SCRIPT.search(text):
        text = re.sub(r"[\uac00-\ud7a3]", lambda found: _hangul(found[0]) + " ", text).translate(_LETTERS)
    if not text.isascii():
        from anyascii import anyascii

        text = re.sub("[^a-z0-9 ]+", "", anyascii(text).lower())
    return " ".join(text.split())


_SAME_LETTER = str.maketrans({"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ı": "i"})

_VOICED = "\u3099\u309a"
"""Marks that make another syllable of a Japanese one; they are no accents."""


def fold_text(text: str) -> str:
    """Return one value in lower case, without accents and punctuation, single-spaced, traditional characters simplified.

    Vowel signs of Indian and other writings stay: they are letters, though Unicode calls them marks.
    """
    if not _TOGETHER.search(text):
        return " ".join(text.translate(_FOLDED).split())
    return _fold_whole(text)


_TOGETHER = re.compile(
    "[^\\x00-\\u02ff\\u0370-\\u0482\\u048a-\\u052f\\u1e00-\\u1fff\\u2010-\\u2027\\u3000-\\u3029\\u3041-\\u3096\\u30a1-\\u30fe"
    "\\u3400-\\u4dbf\\u4e00-\\u9fff\\uac00-\\ud7a3\\uff01-\\uff9d]"
)
"""Characters that may join with their neighbours; a text without any is folded character by character."""


class _Folded(dict[int, str]):
    """What each character becomes when folded alone, worked out once; a space for what separates words."""

    def __missing__(self, code: int) -> str:
        parted = _fold_whole(f"x{chr(code)}x")
        self[code] = " " if parted == "x x" else parted[1:-1]
        return self[code]


_FOLDED = _Folded()


def _fold_whole(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).casefold()
    if HAN.search(text):
        text = text.translate(_simplified())
    text = unicodedata.normalize("NFKD", text.translate(_SAME_LETTER))
    text = "".join(c for c in text if not unicodedata.combining(c) or c in _VOICED)
    text = unicodedata.normalize("NFC", text)
    return " ".join("".join(c if _is_letter(c) else ("" if c in "'’`´ʻʼ\u200c\u200d\u0640" else " ") for c in text).split())


def _is_letter(c: str) -> bool:
    return c.isalnum() or c == "ー" or unicodedata.category(c)[0] == "M"
