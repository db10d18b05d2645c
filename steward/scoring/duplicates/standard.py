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
from collections.abc import Callable

import polars as pl

from steward.scoring.duplicates.letters import HAN, fold_text, romanise
from steward.scoring.duplicates.words import (
    COMPANY_CONNECTORS,
    GENERATION,
    HAN_TITLES,
    LEGAL_FORMS,
    MONTHS,
    STREET_WORDS,
    TITLES,
)

LONGEST = 512
"""Characters of a value that are compared; a cell of a megabyte is a document, not a name."""


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
    if HAN.search(folded):
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
    if HAN.search(folded):
        from steward.scoring.duplicates.han import parse_company

        return parse_company(folded).core
    return company_core(folded)


def person_words(folded: str) -> str:
    """Return a person's name without titles, marks of generation in one spelling."""
    if HAN.search(folded):
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
                latin = latin.str.replace_all(" ", "") if bool(key.str.contains(HAN.pattern).any()) else latin
            if kind == "person":
                key = _sort_words(key)
            return key, latin
        case "company":
            folded = fold(values)
            key = _nothing_as_null(_umlauts(_each(folded, company_core)))
            if not bool(folded.str.contains(HAN.pattern).any()):
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
