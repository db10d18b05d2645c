"""Standard forms: the text of a value that two ways of writing the same thing share.

Each value gets two forms. The **key form** decides exact agreement: case, width, marks, umlauts and their digraphs,
traditional characters, legal forms, titles and punctuation no longer count. The **Latin form** is what similarity is
measured on: Chinese in pinyin, Cyrillic and Greek by letter; for Latin writing both are the same. Two Chinese names that
merely sound alike therefore share the Latin form and not the key form.

Work is done on distinct values, in Polars and in Python; nothing passes through DuckDB's string functions, which compare
bytes. Left to others: which standard form a column gets (``profile``), comparing (``levels``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from importlib import resources

import polars as pl

from steward.scoring.duplicates.pinyin import readings
from steward.scoring.duplicates.words import (
    COMPANY_CONNECTORS,
    GENERATION,
    HAN_SURNAMES_OF_TWO,
    HAN_TITLES,
    LEGAL_FORMS,
    MONTHS,
    STREET_WORDS,
    TITLES,
)

LONGEST = 512
"""Characters of a value that are compared; a cell of a megabyte is a document, not a name."""

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
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
    "a",
    "ae",
    "ya",
    "yae",
    "eo",
    "e",
    "yeo",
    "ye",
    "o",
    "wa",
    "wae",
    "oe",
    "yo",
    "u",
    "wo",
    "we",
    "wi",
    "yu",
    "eu",
    "ui",
    "i",
]
_KOREAN_LAST = [
    "-",
    "k",
    "k",
    "k",
    "n",
    "n",
    "n",
    "t",
    "l",
    "k",
    "m",
    "l",
    "l",
    "l",
    "p",
    "l",
    "m",
    "p",
    "p",
    "t",
    "t",
    "ng",
    "t",
    "t",
    "k",
    "t",
    "p",
    "t",
]


def _hangul(char: str) -> str:
    code = ord(char) - 0xAC00
    first, rest = divmod(code, 588)
    vowel, last = divmod(rest, 28)
    return (_KOREAN_FIRST[first] + _KOREAN_VOWEL[vowel] + _KOREAN_LAST[last]).replace("-", "")


class _Spoken(dict[int, str]):
    """A Chinese character as a word of its own in pinyin, any other as it is."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        self[code] = f" {_syllable(char)} " if _HAN.match(char) else char
        return self[code]


_SPOKEN = _Spoken()


def romanise(text: str, *, surname_first: bool = False) -> str:
    """Return folded text in Latin letters: pinyin a syllable a word, other scripts by letter.

    Parameters
    ----------
    surname_first : bool
        Read a surname's own way and join the given name: ``欧阳娜娜`` → ``ouyang nana``.
    """
    if _HAN.search(text):
        if surname_first and re.fullmatch(_HAN.pattern + "{2,4}", text):
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
    if _HAN.search(text):
        text = text.translate(_simplified())
    text = unicodedata.normalize("NFKD", text.translate(_SAME_LETTER))
    text = "".join(c for c in text if not unicodedata.combining(c) or c in _VOICED)
    text = unicodedata.normalize("NFC", text)
    return " ".join("".join(c if _is_letter(c) else ("" if c in "'’`´ʻʼ\u200c\u200d\u0640" else " ") for c in text).split())


def _is_letter(c: str) -> bool:
    return c.isalnum() or c == "ー" or unicodedata.category(c)[0] == "M"


def fold(values: pl.Series) -> pl.Series:
    """Return values in lower case, without marks and punctuation, single-spaced, traditional characters simplified."""
    cut = values.cast(pl.String).str.slice(0, LONGEST)
    ascii_only = cut.str.contains(r"^[\x00-\x7f]*$")
    plain = (
        cut.str.to_lowercase()
        .str.replace_all(r"['`]", "")
        .str.replace_all(r"[^a-z0-9]+", " ")
        .str.strip_chars()
    )  # fmt: skip
    if bool(ascii_only.all()):
        return plain
    slow = [fold_text(v) if v is not None and not a else None for v, a in zip(cut, ascii_only, strict=True)]
    return pl.select(pl.when(ascii_only).then(plain).otherwise(pl.Series(slow, dtype=pl.String))).to_series()


def _umlauts(values: pl.Series) -> pl.Series:
    """Return folded text with German digraphs as the base letter: ``mueller`` as ``muller``, but ``xue`` and ``bauer`` whole."""
    return (
        values.str.replace_all(r"ae", "a")
        .str.replace_all(r"oe", "o")
        .str.replace_all(r"(^|[^aeiouqxjyln])ue", "${1}u")
    )  # fmt: skip


def _each(values: pl.Series, change: Callable[[str], str]) -> pl.Series:
    return pl.Series([None if v is None else change(v) for v in values], dtype=pl.String)


def _latin(key: pl.Series, *, surname_first: bool = False) -> pl.Series:
    """Return the Latin form of folded keys; only values outside ASCII take the slow way."""
    foreign = key.str.contains(r"[^\x00-\x7f]").fill_null(False)
    if not foreign.any():
        return key
    slow = [romanise(v, surname_first=surname_first) if f and v is not None else v for v, f in zip(key, foreign, strict=True)]
    return pl.Series(slow, dtype=pl.String)


def _nothing_as_null(values: pl.Series) -> pl.Series:
    return values.replace("", None)


_COMPOUND = re.compile(r"^(.*?)(?: \b(?:gmbh|ag|kg)\b.*)$")


def company_core(folded: str) -> str:
    """Return a company's own name: without legal form, words in their order; Chinese ones with place and branch, which tell them apart."""
    if _HAN.search(folded):
        from steward.scoring.duplicates.han import parse_company

        parts = parse_company(folded)
        return f"{parts.place}{parts.core} {parts.branch}".strip()
    words = folded.split()
    joined: list[str] = []
    for word in words:  # single letters in a row are one abbreviation: g m b h, i b m
        if len(word) == 1 and joined and (len(joined[-1]) == 1 or joined[-1].startswith("\0")) and word.isalpha():
            joined[-1] = "\0" + joined[-1].lstrip("\0") + word
        else:
            joined.append(word)
    words = [w.lstrip("\0") for w in joined]
    core = [w for w in words if w not in LEGAL_FORMS and w not in COMPANY_CONNECTORS]
    return " ".join(core or words)


def _sounded_core(folded: str) -> str:
    """Return what of a company's name its likeness is measured on: of Chinese ones neither place nor branch."""
    if _HAN.search(folded):
        from steward.scoring.duplicates.han import parse_company

        return parse_company(folded).core
    return company_core(folded)


def person_words(folded: str) -> str:
    """Return a person's name without titles, marks of generation in one spelling."""
    if _HAN.search(folded):
        text = folded.replace(" ", "") if not re.search("[a-z]", folded) else folded
        title = next((t for t in HAN_TITLES if text.endswith(t) and len(text) > len(t)), "")
        return text.removesuffix(title) if len(text) - len(title) > 1 or len(title) > 1 else text
    words = [GENERATION.get(w, w) if i else w for i, w in enumerate(folded.split()) if w not in TITLES]
    return " ".join(words) or folded


class _StreetWords(dict[str, str]):
    """The form of each word of an address, worked out once."""

    def __missing__(self, word: str) -> str:
        self[word] = re.sub(r"(?<=\d)(st|nd|rd|th)$", "", STREET_WORDS.get(word, word)).lstrip("0") or "0"
        return self[word]


_STREET_FORMS = _StreetWords()


def _address(folded: str) -> str:
    text = re.sub(r"(?<=[a-z])(str|strasse)\b", " st", folded) if "str" in folded else folded
    if _ORDINAL.search(text):
        text = _ORDINAL.sub("", text)
    if len(_STREET_FORMS) > 200_000:
        _STREET_FORMS.clear()
    return " ".join(map(_STREET_FORMS.__getitem__, text.split()))


_ORDINAL = re.compile(r"(?<=\d)(st|nd|rd|th)\b")


def date_text(text: str, day_first: bool) -> str | None:
    """Return a date as ``YYYY-MM-DD``; None where the text is none. Two-digit years end with the present one (2026)."""
    text = text.strip().lower()
    found = re.match(r"^(\d{4})\D{1,2}(\d{1,2})\D{1,2}(\d{1,2})(?!\d)", text)
    if found:
        year, month, day = (int(g) for g in found.groups())
    elif re.match(r"^(19|20)\d{6}$", text):
        year, month, day = int(text[:4]), int(text[4:6]), int(text[6:])
    elif found := re.match(r"^(\d{1,2})\s*[./-]\s*(\d{1,2})\s*[./-]\s*(\d{2}|\d{4})(?!\d)", text):
        first, second, year = int(found[1]), int(found[2]), int(found[3])
        dotted = "." in found[0]
        day, month = (first, second) if (day_first or dotted) else (second, first)
        if month > 12 >= day:
            day, month = month, day
    else:
        named = re.match(r"^(?:(\d{1,2})[\s.\-]*)?([a-zäéûà]{3,9})[\s.,\-]*(?:(\d{1,2})[\s,.\-]+)?(\d{2}|\d{4})$", text)
        if not named or not (named[1] or named[3]):
            return None
        key = fold_text(named[2])
        if key not in MONTHS:
            return None
        day, month, year = int(named[1] or named[3]), MONTHS[key], int(named[4])
    if year < 100:
        year += 2000 if year <= 26 else 1900
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    return f"{year:04d}-{month:02d}-{day:02d}"


def day_comes_first(values: pl.Series) -> bool:
    """Tell whether ``a/b/year`` means day/month in a column, by what can only be a day."""
    parts = values.drop_nulls().str.extract_groups(r"^(\d{1,2})[/.-](\d{1,2})[/.-]\d{2,4}").struct.unnest()
    first, second = (parts[c].cast(pl.Int32, strict=False) for c in parts.columns)
    return int((first > 12).sum()) > int((second > 12).sum())


def phone_digits(values: pl.Series) -> pl.Series:
    """Return the national number: digits without +, 00, country code of the own zone or leading zeros.

    The same line written ``+49 89 123``, ``0049-89-123`` and ``089/123`` shares the form. Digits are never made a number.
    """
    text = values.cast(pl.String).str.slice(0, 64).str.normalize("NFKC").str.to_lowercase()
    text = text.str.replace_all(r"(ext|x|durchwahl|dw|转|分机)\.?\s*\d+$", "").str.replace_all(r"\(0\)", "")
    international = text.str.contains(r"^\s*(\+|00)")
    digits = text.str.replace_all(r"\D", "").str.strip_chars_start("0")
    bare = digits.str.replace(r"^(1|7|2[07]|3[0123469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|[2-9]\d\d)", "")
    bare = pl.select(
        pl.when(international & digits.str.contains(r"^(1|7|2[07]|3[0123469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58])"))
        .then(digits.str.replace(r"^(1|7|2[07]|3[0123469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58])", ""))
        .when(international)
        .then(bare)
        .when((digits.str.len_chars() == 11) & digits.str.starts_with("1") & ~digits.str.contains(r"^1[3-9]"))
        .then(digits.str.slice(1))  # North America with its 1; Chinese mobiles begin with 13 to 19
        .when((digits.str.len_chars() == 13) & digits.str.starts_with("861"))
        .then(digits.str.slice(2))
        .otherwise(digits)
    ).to_series()
    bare = bare.str.strip_chars_start("0")
    return pl.select(pl.when(bare.str.len_chars() >= 5).then(bare)).to_series()


def email_key(values: pl.Series) -> pl.Series:
    """Return an address in lower case, taken out of ``Name <address>``, without a ``+tag``."""
    text = values.cast(pl.String).str.slice(0, 320).str.normalize("NFKC").str.to_lowercase().str.strip_chars()
    inside = text.str.extract(r"<([^<>\s]+@[^<>\s]+)>", 1)
    text = inside.fill_null(text).str.replace(r"\+[^@]*@", "@").str.replace_all(r"\s", "")
    return pl.select(pl.when(text.str.contains("@", literal=True)).then(text)).to_series()


def standardise(values: pl.Series, kind: str) -> tuple[pl.Series, pl.Series]:
    """Return key form and Latin form of distinct values.

    Parameters
    ----------
    values : Series of str
        Distinct values of one field, nulls allowed.
    kind : str
        Name of a kind of :data:`steward.scoring.duplicates.kinds.KINDS`.
    """
    match kind:
        case "email":
            key = email_key(values)
            return key, key
        case "phone":
            key = phone_digits(values)
            return key, key
        case "birthdate":
            first = day_comes_first(values)
            key = _each(values, lambda v: date_text(v[:40], first) or "")
            key = _nothing_as_null(key)
            return key, key
        case "identifier" | "postcode":
            key = fold(values).str.replace_all(" ", "")
            if kind == "postcode":  # 05172 lost its zero in a spreadsheet somewhere
                key = key.str.replace(r"^0+(\d{3,})$", "$1").str.replace(r"^(\d{5})\d{4}$", "$1")
            key = _nothing_as_null(key)
            return key, key
        case "domain":
            text = values.cast(pl.String).str.slice(0, 320).str.to_lowercase().str.strip_chars()
            text = text.str.replace(r"^[a-z]+://", "").str.replace(r"^www\.", "").str.replace(r"[/?#].*$", "")
            key = _nothing_as_null(text.str.replace(r"^.*@", ""))
            return key, key
        case "given" | "family" | "person":
            folded = fold(values)
            odd = _titled(folded)
            key = _nothing_as_null(
                _umlauts(pl.select(pl.when(odd).then(_each(folded, person_words)).otherwise(folded)).to_series())
            )
            latin = _latin(key, surname_first=kind == "person")
            if kind == "given":
                latin = latin.str.replace_all(" ", "") if bool(key.str.contains(_HAN.pattern).any()) else latin
            if kind == "person":
                key = _sort_words(key)
            return key, latin
        case "company":
            folded = fold(values)
            key = _nothing_as_null(_umlauts(_each(folded, company_core)))
            if not bool(folded.str.contains(_HAN.pattern).any()):
                return key, _latin(key)
            return key, _latin(_umlauts(_each(folded, _sounded_core)))
        case "address":
            key = _nothing_as_null(_umlauts(_each(fold(values), _address)))
            return key, _latin(key)
        case "city":
            key = fold(values).str.replace(r"^(st|sankt) ", "saint ").str.replace(r"[市省]$", "")
            key = _nothing_as_null(_umlauts(key))
            return key, _latin(key).str.replace_all(" ", "")
        case "category":
            key = _nothing_as_null(fold(values).replace(GENDERS))
            return key, key
        case _:
            key = _nothing_as_null(fold(values))
            return key, _latin(key)


GENDERS = {
    "male": "m", "man": "m", "mannlich": "m", "maennlich": "m", "herr": "m", "男": "m", "female": "f", "woman": "f", "w": "f", "weiblich": "f",
    "frau": "f", "女": "f", "u": "", "unknown": "", "unbekannt": "", "未知": "", "n a": "", "none": "",
}  # fmt: skip
"""Spellings of one thing; *unknown* is missing."""


def _titled(folded: pl.Series) -> pl.Series:
    """Tell which names hold a title, a mark of generation or Chinese characters."""
    words = "|".join(sorted(TITLES | set(GENERATION)))
    return folded.str.contains(rf"\b({words})\b|[^\x00-\x7f]").fill_null(False)


def _sort_words(values: pl.Series) -> pl.Series:
    """Return names with their words in alphabetical order, so that either order of names agrees exactly."""
    return values.str.split(" ").list.sort().list.join(" ")
