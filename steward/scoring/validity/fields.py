"""The field's own rules: is this text possible as an e-mail, phone, postcode, tax number, date, name?

Each rule is a function of one or two texts that returns True where the value is acceptable. It is called once per
*distinct* value, never per row. Every rule prefers to let a strange value pass: a valid foreign value called invalid is
worse than an invalid one that stays, for this evidence proposes deletions.

Left to others: SQL around them (``compile``), Great Expectations around them (``oracle``), country names (``countries``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache

from steward.scoring.validity.countries import POSTCODES, region_of
from steward.scoring.validity.tax_ids import FORMS, uscc, vat

_LOCAL = re.compile(r"^[^\s@\"(),:;<>\[\\\]]{1,64}$")
_LABEL = re.compile(r"^(?!-)[\w\-]{1,63}(?<!-)$")
DISPOSABLE = frozenset(
    """
    10minutemail.com 20minutemail.com 33mail.com anonbox.net discard.email discardmail.com dispostable.com
    emailondeck.com fakeinbox.com fakemail.net getairmail.com getnada.com grr.la guerrillamail.com guerrillamail.de
    guerrillamail.net guerrillamailblock.com incognitomail.org inboxkitten.com jetable.org mailcatch.com maildrop.cc
    mailexpire.com mailinator.com mailinator.net mailnesia.com mailnull.com mintemail.com moakt.com mohmal.com
    mytemp.email mytrashmail.com sharklasers.com spam4.me spamgourmet.com temp-mail.io temp-mail.org tempail.com
    tempinbox.com tempmail.de tempmailo.com tempr.email throwaway.email throwawaymail.com trash-mail.com trashmail.com
    trashmail.de trashmail.net wegwerfemail.de wegwerfmail.de wegwerfmail.net yopmail.com yopmail.fr yopmail.net
    zwoho.com
    """.split()  # noqa: SIM905 - a list of words reads better
)
"""Domains that hand out addresses for minutes, at every name below them too. Kept by hand, on purpose short and certain."""

DISPOSABLE_LIST = "disposable-email-domains"
"""The distribution with the long list, which others keep; its version stands beside what was found with it."""


@cache
def listed_domains() -> frozenset[str]:
    """Return the domains of the long list, in lower case."""
    from disposable_email_domains import blocklist  # ten thousand texts: read when a rule asks

    return frozenset(domain.casefold() for domain in blocklist)


_PLACEHOLDERS = frozenset(
    """
    test|tests|testing|tester|asdf|asdfg|asdfgh|asdfasdf|asdf asdf|qwer|qwert|qwerty|qwertz|yxcv|yxcvb|xyz|abc|abcd|foobar|foo bar
    n/a|nil|undefined|unknown|unbekannt|dummy|deleteme|delete me|do not use|donotuse|default|example|beispiel|muster
    mustermann|musterfrau|max mustermann|erika mustermann|john doe|jane doe|lorem ipsum|test test|test user|testuser
    test kunde|testkunde|test customer|test account|test company|testfirma|test gmbh|test ltd|muster gmbh|musterfirma gmbh
    beispiel gmbh|acme test|kein name|no name|noname|-|--|---|.|..|...|?|??|???|0|1234|12345|123456|1234567|123456789|1234567890|0123456789|tbd|tba
    测试|测试用户|测试客户|测试公司|试用|张三|李四|王五|未知|无名|暂无
    """.strip()
    .replace("\n", "|")
    .replace("|    ", "|")
    .split("|")
)
"""Whole values only. Surnames that exist (Null, Na, Foo, Max) are not among them."""

_MOJIBAKE = re.compile(r"\ufffd|锟斤拷|烫烫烫|屯屯屯|ï»¿")
_HIGH = re.compile(r"[^\x00-\x7f]{2,}[^\x00-\x7f]*")
_DATE = re.compile(r"^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,]\d{1,9})?)?\s?(?:Z|[+-]\d{2}:?\d{2})?)?$")


def valid_email(text: str, _other: str = "") -> bool:
    """Syntax of an address as mail systems accept it; the domain needs a dot. Non-ASCII letters are allowed (RFC 6531)."""
    local, at, domain = text.strip().rpartition("@")
    if not at or len(text) > 254 or not _LOCAL.match(local) or local.startswith(".") or local.endswith(".") or ".." in local:
        return False
    labels = domain.split(".")
    if len(labels) < 2 or not all(_LABEL.match(label) and "_" not in label for label in labels):
        return False
    return not labels[-1].isdigit() and len(labels[-1]) >= 2


def not_disposable(text: str, _other: str = "") -> bool:
    """The domain is not known to hand out addresses for minutes.

    A domain of the long list counts as it stands there: some of them let out names below them to anybody, and a customer
    with such a name is no throw-away. Below the short list's there are only more addresses of the same kind.
    """
    domain = text.strip().rpartition("@")[2].casefold().rstrip(".")
    parts = domain.split(".")
    if any(".".join(parts[n:]) in DISPOSABLE for n in range(len(parts) - 1)):
        return False
    return domain not in listed_domains()


def not_placeholder(text: str, other: str = "") -> bool:
    """The text, with the second one where there are two, is not what people type to get past a mandatory field."""
    plain = " ".join(unicodedata.normalize("NFKC", f"{other} {text}").casefold().split())
    if not plain:
        return True
    turned = " ".join(unicodedata.normalize("NFKC", f"{text} {other}").casefold().split())
    for order in (plain, turned):  # first name first, or last name first
        words = [word for word in order.split(" ") if word not in ("test", "测试")]
        if order in _PLACEHOLDERS or " ".join(words) in _PLACEHOLDERS or all(word in _PLACEHOLDERS for word in words):
            return False
    letters = plain.replace(" ", "")
    return not (len(letters) >= 3 and len(set(letters)) == 1)


def not_mojibake(text: str, _other: str = "") -> bool:
    """The text does not hold characters that only a wrong decoding makes.

    Beside the known marks, every run of non-ASCII characters is tried: where its bytes in cp1252 or latin-1 are valid
    UTF-8, it was UTF-8 once. Correct text of two or more such characters almost never is.
    """
    if _MOJIBAKE.search(text):
        return False
    return not any(_was_utf8(run.group()) for run in _HIGH.finditer(text))


def _was_utf8(run: str) -> bool:
    try:  # cp1252 leaves five bytes undefined, which decoders pass through as control characters
        raw = b"".join(c.encode("latin-1") if 0x80 <= ord(c) < 0xA0 else c.encode("cp1252") for c in run)
        raw.decode("utf-8")
    except UnicodeError:
        return False
    return True


def possible_date(text: str, _other: str = "") -> bool:
    """An ISO date is a day that exists, from 1900 to 2199. Text in another form is not judged."""
    found = _DATE.match(text.strip())
    if not found:
        return not re.match(r"^\d{4}-\d{1,2}-\d{1,2}", text.strip())
    year, month, day = (int(x) for x in found.groups()[:3])
    hour, minute, second = (int(x or 0) for x in found.groups()[3:6])
    try:
        datetime(year, month, day, hour, minute, min(second, 59))
    except ValueError:
        return False
    return 1900 <= year <= 2199 and second <= 60


def valid_phone(text: str, country: str = "") -> bool:
    """A number that could be dialled: with the country where it is known, else by its own country code.

    Numbers in the style of an older numbering plan pass when their length was ever possible there: *possible*, not
    *assigned*, is what a deletion may rest on.
    """
    import phonenumbers

    text = re.sub(r"(?<=\d{4})\s*[-/]\s*\d{1,4}$", "", text.strip()) if len(re.sub(r"\D", "", text)) > 10 else text
    bare = re.split(
        r"(?:ext\.?|x|durchwahl|转|分机)\s*\d{1,6}$", unicodedata.normalize("NFKC", text).strip(), flags=re.IGNORECASE
    )[0]
    digits = re.sub(r"[^0-9]", "", bare)
    if re.search(r"[^\d\s()+\-./\u2010-\u2015]", bare) or not 5 <= len(digits) <= 17 or len(set(digits)) == 1:
        return False
    region = region_of(country)
    international = bare.startswith("+") or digits.startswith("00")
    if region is None and not international:
        return len(digits) <= 15
    try:
        number = phonenumbers.parse("+" + digits[2:] if not bare.startswith("+") and international else bare, region)
    except phonenumbers.NumberParseException:
        return False
    if international:
        return bool(phonenumbers.is_possible_number(number))
    possible = phonenumbers.is_possible_number_with_reason(number)
    if possible in (phonenumbers.ValidationResult.IS_POSSIBLE, phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY):
        return True
    # Plans change: shorter than today was right when it was typed, and outside North America one digit more may be.
    if possible == phonenumbers.ValidationResult.TOO_LONG and number.country_code != 1:
        number = phonenumbers.parse(bare[:-1], region)
        return bool(phonenumbers.is_possible_number(number))
    return bool(possible == phonenumbers.ValidationResult.TOO_SHORT and len(digits) >= 6)


def valid_postcode(text: str, country: str = "") -> bool:
    """The form of the country's postcodes; a country that is not known passes."""
    region = region_of(country)
    pattern = POSTCODES.get(region or "")
    return pattern is None or bool(pattern.match(unicodedata.normalize("NFKC", text).strip().upper()))


def valid_tax_id(text: str, _other: str = "") -> bool:
    """A VAT number of the EU or UK, or a 统一社会信用代码, with its check digit; what looks like neither passes."""
    plain = re.sub(r"[\s.\-]", "", unicodedata.normalize("NFKC", text)).upper()
    if len(plain) == 18 and re.match(r"^[0-9A-Z]{2}\d{6}", plain):
        return uscc(plain)
    if plain[:2] not in FORMS or sum(c.isdigit() for c in plain) < 7 or not re.fullmatch(r"[A-Z0-9+*]{9,15}", plain):
        return True
    return vat(plain[:2], plain[2:])


FIELD_RULES: Mapping[str, Callable[[str, str], bool]] = {
    "expect_column_values_to_be_valid_email": valid_email,
    "expect_column_values_to_not_be_disposable_email": not_disposable,
    "expect_column_values_to_not_be_placeholder": not_placeholder,
    "expect_column_pair_values_to_not_be_placeholder": not_placeholder,
    "expect_column_values_to_not_be_mojibake": not_mojibake,
    "expect_column_values_to_be_possible_date": possible_date,
    "expect_column_values_to_be_valid_tax_id": valid_tax_id,
    "expect_column_pair_values_to_be_valid_phone": valid_phone,
    "expect_column_pair_values_to_be_valid_postcode": valid_postcode,
}
"""Expectation → function of (value, second value or the empty text)."""
