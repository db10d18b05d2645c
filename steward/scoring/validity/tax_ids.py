"""Check digits of VAT numbers and of the 统一社会信用代码, each by its published rule.

A country is here where its rule holds for every number that was ever given; where several rules were in use (the Netherlands, the
United Kingdom), a number passes by any of them. Countries without a check digit, or whose rule is not certain, are tested
for their form alone: a valid number called invalid is worse than the reverse.

Sources: European Commission, VIES, "VAT identification number structure"; ISO 7064 (MOD 11,10 and MOD 97-10); GB 32100-2015; the
rules of the tax offices named at each function. Left to others: finding a number in a text (``fields``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

_USCC = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)

FORMS: Mapping[str, str] = {
    "AT": r"U\d{8}", "BE": r"[01]\d{9}", "BG": r"\d{9,10}", "CY": r"\d{8}[A-Z]", "CZ": r"\d{8,10}", "DE": r"\d{9}",
    "DK": r"\d{8}", "EE": r"\d{9}", "EL": r"\d{9}", "ES": r"[A-Z0-9]\d{7}[A-Z0-9]", "FI": r"\d{8}", "FR": r"[A-Z0-9]{2}\d{9}",
    "HR": r"\d{11}", "HU": r"\d{8}", "IE": r"(\d{7}[A-Z]{1,2}|\d[A-Z+*]\d{5}[A-Z])", "IT": r"\d{11}", "LT": r"(\d{9}|\d{12})",
    "LU": r"\d{8}", "LV": r"\d{11}", "MT": r"\d{8}", "NL": r"[0-9A-Z+*]{10}\d{2}", "PL": r"\d{10}", "PT": r"\d{9}",
    "RO": r"\d{2,10}", "SE": r"\d{12}", "SI": r"\d{8}", "SK": r"\d{10}", "XI": r"(\d{9}|\d{12}|(GD|HA)\d{3})",
    "GB": r"(\d{9}|\d{12}|(GD|HA)\d{3})",
}  # fmt: skip
"""Country → form of the number after the two letters."""


def uscc(code: str) -> bool:
    """Whether 18 characters are a 统一社会信用代码 with its check character (GB 32100-2015, modulus 31)."""
    if len(code) != 18 or any(c not in _USCC for c in code):
        return False
    total = sum(_USCC.index(c) * w for c, w in zip(code[:17], _USCC_WEIGHTS, strict=True))
    return _USCC[-total % 31] == code[17]


def vat(country: str, number: str) -> bool:
    """Whether a number has the form of its country and, where there is one, its check digit."""
    form = FORMS.get(country)
    if form is None or not re.fullmatch(form, number):
        return form is None
    check = _CHECKS.get(country)
    return check is None or check(number)


def _weighted(digits: str, weights: Sequence[int]) -> int:
    return sum(int(d) * w for d, w in zip(digits, weights, strict=False))


def _crossed(digits: str, weights: Sequence[int]) -> int:
    """Sum of the cross sums of the products, as Luhn adds them."""
    return sum(sum(divmod(int(d) * w, 10)) for d, w in zip(digits, weights, strict=False))


def _luhn(digits: str) -> bool:
    return _crossed(digits[::-1], (1, 2) * len(digits)) % 10 == 0


def mod_11_10(digits: str) -> bool:
    """ISO 7064 MOD 11,10: Germany (no leading zero there) and Croatia."""
    product = 10
    for char in digits[:-1]:
        total = (int(char) + product) % 10 or 10
        product = 2 * total % 11
    return (11 - product) % 10 == int(digits[-1])


def _at(n: str) -> bool:
    return (10 - (_crossed(n[1:8], (1, 2, 1, 2, 1, 2, 1)) + 4) % 10) % 10 == int(n[8])


def _be(n: str) -> bool:
    return 97 - int(n[:8]) % 97 == int(n[8:])


def _dk(n: str) -> bool:
    return _weighted(n, (2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def _ee(n: str) -> bool:
    return _weighted(n, (3, 7, 1, 3, 7, 1, 3, 7, 1)) % 10 == 0


def _el(n: str) -> bool:
    return sum(int(d) << (8 - i) for i, d in enumerate(n[:8])) % 11 % 10 == int(n[8])


def _fi(n: str) -> bool:
    return _weighted(n, (7, 9, 10, 5, 8, 4, 2, 1)) % 11 == 0


def _fr(n: str) -> bool:
    """Only keys of two digits are computed; others exist. Monaco's are not Luhn numbers, so the SIREN itself is not tested."""
    return not n[:2].isdigit() or (12 + 3 * (int(n[2:]) % 97)) % 97 == int(n[:2])


def _hu(n: str) -> bool:
    return _weighted(n, (9, 7, 3, 1, 9, 7, 3, 1)) % 10 == 0


def _ie(n: str) -> bool:
    """Numbers of today's form, with one letter or two; the old form with a letter in second place passes."""
    if not n[:7].isdigit():
        return True
    extra = (ord(n[8]) - 64) * 9 if len(n) == 9 and n[8] != "W" else 0
    return "WABCDEFGHIJKLMNOPQRSTUV"[(_weighted(n[:7], (8, 7, 6, 5, 4, 3, 2)) + extra) % 23] == n[7]


def _lu(n: str) -> bool:
    return int(n[:6]) % 89 == int(n[6:])


def _nl(n: str) -> bool:
    """The rule of eleven of old numbers, or MOD 97-10 over letters and digits of those given to people since 2020."""
    old = n[:9].isdigit() and n[9] == "B" and _weighted(n[:8], (9, 8, 7, 6, 5, 4, 3, 2)) % 11 == int(n[8])
    whole = "".join(str(int(c, 36)) if c.isalnum() else {"+": "36", "*": "37"}[c] for c in "NL" + n)
    return old or int(whole) % 97 == 1


def _pl(n: str) -> bool:
    return _weighted(n[:9], (6, 5, 7, 2, 3, 4, 5, 6, 7)) % 11 == int(n[9])


def _pt(n: str) -> bool:
    rest = 11 - _weighted(n[:8], (9, 8, 7, 6, 5, 4, 3, 2)) % 11
    return (0 if rest > 9 else rest) == int(n[8])


def _se(n: str) -> bool:
    return _luhn(n[:10])


def _si(n: str) -> bool:
    rest = 11 - _weighted(n[:7], (8, 7, 6, 5, 4, 3, 2)) % 11
    return rest != 11 and rest % 10 == int(n[7])


def _sk(n: str) -> bool:
    return int(n) % 11 == 0


def _gb(n: str) -> bool:
    """Modulus 97, and 97 with 55 for numbers given since 2009; government departments have no check digit."""
    if not n[:9].isdigit():
        return True
    total = _weighted(n[:7], (8, 7, 6, 5, 4, 3, 2)) + int(n[7:9])
    return total % 97 == 0 or (total + 55) % 97 == 0


_CHECKS: Mapping[str, Callable[[str], bool]] = {
    "AT": _at, "BE": _be, "DE": lambda n: n[0] != "0" and mod_11_10(n), "DK": _dk, "EE": _ee, "EL": _el, "FI": _fi, "FR": _fr,
    "GB": _gb, "HR": mod_11_10, "HU": _hu, "IE": _ie, "IT": _luhn, "LU": _lu, "NL": _nl, "PL": _pl, "PT": _pt, "SE": _se, "SI": _si,
    "SK": _sk, "XI": _gb,
}  # fmt: skip
