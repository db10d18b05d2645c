"""Persons and firms of three languages with their addresses, phones and registrations.

Everything is drawn from one ``random.random`` stream, so that a seed fixes every character on every platform. Left to
others: ids, dates, business and rows (``steward.sandbox.build``), duplicates and errors (``steward.sandbox.copies``), the words (``steward.sandbox.words``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from steward.sandbox import words as w

T = TypeVar("T")
Uniform = Callable[[], float]

UMLAUT = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ı": "i", "Ş": "S", "ş": "s"}
)
_SLUG = re.compile(r"[^a-z0-9]+")
MAIL_HOSTS = ("mail.example.com", "post.example.net", "webmail.example.org", "inbox.example", "mailbox.example.net")


@dataclass(slots=True)
class Person:
    """A contact before it has an id. ``company`` is an index into the firms of its block."""

    language: str
    salutation: str | None
    first: str | None
    last: str | None
    first_latin: str
    last_latin: str
    email: str | None
    phone: str | None
    mobile: str | None
    birth: str | None
    job: str | None
    street: str | None
    postcode: str | None
    city: str | None
    country: str | None
    company: int | None = None
    cluster: int = -1
    invalid: str | None = None


@dataclass(slots=True)
class Firm:
    """A company before it has an id."""

    language: str
    name: str | None
    website: str | None
    email: str | None
    phone: str | None
    street: str | None
    postcode: str | None
    city: str | None
    country: str | None
    registration: str | None
    industry: str
    employees: int | None
    host: str
    cluster: int = -1
    invalid: str | None = None


def pick(r: Uniform, items: Sequence[T]) -> T:
    """Draw evenly."""
    return items[int(r() * len(items))]


def skewed(r: Uniform, items: Sequence[T]) -> T:
    """Draw with a preference for the first ones, as names in life."""
    x = r()
    return items[int(x * x * len(items))]


def slug(text: str) -> str:
    """Return ``text`` for a mail address: lower-case ASCII letters and digits with hyphens."""
    return _SLUG.sub("-", text.translate(UMLAUT).lower().replace("'", "")).strip("-")


def digits(r: Uniform, pattern: str) -> str:
    """Fill ``#`` with digits and ``@`` with letters."""
    out = []
    for char in pattern:
        if char == "#":
            out.append("0123456789"[int(r() * 10)])
        elif char == "@":
            out.append("ABDEFGHJLNPQRSTUWXYZ"[int(r() * 20)])
        else:
            out.append(char)
    return "".join(out)


@dataclass(slots=True, frozen=True)
class Place:
    """An address with its landline number."""

    street: str
    postcode: str
    city: str
    country: str
    phone: str


def place(r: Uniform, language: str) -> Place:
    """Draw an address; phone numbers are from ranges kept for fiction where a regulator keeps any."""
    if language == "de":
        city, _region, pattern, code = skewed(r, w.CITIES_DE)
        street = skewed(r, w.STREETS_DE)
        kind = pick(r, w.STREET_KINDS_DE)
        if street.endswith("-"):
            kind = kind.capitalize()
        number = f"{int(r() * r() * 180) + 1}{pick(r, ('', '', '', '', 'a', 'b'))}"
        block = {"30": "23125", "40": "66969", "221": "4710", "69": "90009", "89": "99998"}.get(code, "99999")
        phone = digits(r, f"+49 {code} {block}###{pick(r, ('', '-##', '-##'))}")
        return Place(f"{street}{kind} {number}", digits(r, pattern), city, "DE", phone)
    if language == "zh":
        city, _latin, pattern, code = skewed(r, w.CITIES_ZH)
        house = int(r() * r() * 900) + 1
        flat = (
            f"{int(r() * 30) + 1}栋{int(r() * 6) + 1}单元{int(r() * 30) + 1:02d}{int(r() * 4) + 1:02d}室" if r() < 0.6 else ""
        )
        return Place(
            f"{skewed(r, w.ROADS_ZH)}{house}号{flat}",
            digits(r, pattern),
            city,
            "CN",
            digits(r, f"+86 {code.lstrip('0')} 0000 ####"),
        )
    street = f"{int(r() * r() * 900) + 1} {skewed(r, w.STREETS_EN)} {skewed(r, w.STREET_KINDS_EN)}"
    if r() < 0.6:
        city, state, pattern, code = skewed(r, w.CITIES_US)
        return Place(street, digits(r, pattern), f"{city}, {state}", "US", digits(r, f"+1 {code} 555 ####"))
    city, _county, pattern, number = skewed(r, w.CITIES_UK)
    return Place(street, digits(r, pattern), city, "GB", "+44 " + digits(r, number)[1:])


def mobile(r: Uniform, country: str) -> str | None:
    """Draw a mobile number in international form, or none."""
    if country == "CN":
        return digits(r, f"+86 1{pick(r, ('30', '31', '35', '36', '38', '39', '50', '58', '77', '80', '86', '89'))} 0000 ####")
    if r() < 0.45:
        return None
    if country == "DE":
        return digits(r, f"+49 17{pick(r, '0123')} 0######")
    if country == "GB":
        return digits(r, "+44 7700 900###")
    return digits(r, f"+1 {pick(r, w.CITIES_US)[3]} 555 ####")


def a_person(r: Uniform, language: str, firms: Sequence[Firm]) -> Person:
    """Draw one person; two in three work for one of ``firms`` and then have its address and reception phone."""
    company = int(r() * r() * len(firms)) if firms and r() < 0.66 else None
    firm = firms[company] if company is not None else None
    if firm is not None and firm.language != language and r() < 0.9:
        language = firm.language
    female = r() < 0.5
    if language == "zh":
        last, last_latin = skewed(r, w.ZH_LAST)
        one, one_latin = skewed(r, w.ZH_GIVEN)
        two, two_latin = pick(r, w.ZH_GIVEN) if r() < 0.8 else ("", "")
        first, first_latin = one + two, (one_latin + two_latin).capitalize()
        last_latin = last_latin.capitalize()
        salutation = "女士" if female else "先生"
    elif language == "de":
        first = first_latin = skewed(r, w.DE_FEMALE if female else w.DE_MALE)
        if r() < 0.06:
            first = first_latin = f"{first}-{pick(r, w.DE_FEMALE if female else w.DE_MALE)}"
        last = last_latin = skewed(r, w.DE_LAST)
        salutation = "Frau" if female else "Herr"
        if r() < 0.05:
            salutation += " Dr."
    else:
        first = first_latin = skewed(r, w.EN_FEMALE if female else w.EN_MALE)
        last = last_latin = skewed(r, w.EN_LAST)
        salutation = pick(r, ("Ms", "Mrs", "Ms")) if female else "Mr"
    year, day = 1942 + int(r() * 64), int(r() * 28) + 1
    birth = f"{year}-{int(r() * 12) + 1:02d}-{day:02d}" if r() < 0.55 else None
    home = place(r, language)
    if firm is not None and firm.city is not None:
        street, postcode, city, country = firm.street, firm.postcode, firm.city, firm.country
        phone = (
            firm.phone
            if r() < 0.5 or firm.phone is None
            else f"{firm.phone.split('-')[0]}{'-' if language == 'de' else ' ext. '}{int(r() * 90) + 10}"
        )
        host = firm.host
    else:
        street, postcode, city, country, phone = home.street, home.postcode, home.city, home.country, home.phone
        host = pick(r, MAIL_HOSTS)
    given, family = slug(first_latin), slug(last_latin.replace("ü", "v") if language == "zh" else last_latin)
    style = r()
    if host in MAIL_HOSTS:
        tail = f"{year % 100:02d}" if style < 0.4 else f"{int(style * 10_000)}" if style < 0.8 else ""
        local = f"{given}.{family}{tail}" if style < 0.6 else f"{family}{given[:1]}{tail}{day}"
    else:
        local = f"{given}.{family}" if style < 0.7 else f"{given[:1]}{family}"
    return Person(
        language=language, salutation=salutation if r() < 0.8 else None, first=first, last=last, first_latin=first_latin,
        last_latin=last_latin, email=f"{local}@{host}" if r() < 0.9 else None, phone=phone if r() < 0.8 else None,
        mobile=mobile(r, country or ""), birth=birth, job=pick(r, w.JOBS[language]) if company is not None and r() < 0.7 else None,
        street=street, postcode=postcode, city=city, country=country, company=company,
    )  # fmt: skip


def private_mail(r: Uniform, p: Person) -> str:
    """Draw a private mail address that fits the name."""
    family = slug(p.last_latin.replace("ü", "v") if p.language == "zh" else p.last_latin)
    return f"{slug(p.first_latin)[:1]}.{family}{int(r() * 9_000) + 1_000}@{pick(r, MAIL_HOSTS)}"


def uscc(r: Uniform) -> str:
    """Draw a Chinese social credit code whose check digit is right (administrative division 000000 does not exist)."""
    alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    body = "91000000" + "".join(pick(r, alphabet) for _ in range(9))
    total = sum(alphabet.index(c) * pow(3, i, 31) for i, c in enumerate(body))
    return body + alphabet[(31 - total % 31) % 31]


def a_firm(r: Uniform, language: str) -> Firm:
    """Draw one company."""
    spot = place(r, language)
    if language == "zh":
        one, two = int(r() * 30) * 2, int(r() * 30) * 2
        brand = w.BRANDS_ZH[one : one + 2] if r() < 0.5 else w.BRANDS_ZH[one] + w.BRANDS_ZH[two + 1]
        trade = pick(r, w.TRADES_ZH)
        city = spot.city + "市" if r() < 0.5 else spot.city
        name = f"{city}{brand}{trade}{pick(r, w.FORMS_ZH)}"
        latin = next(c[1] for c in w.CITIES_ZH if c[0] == spot.city).replace("'", "").lower()
        host = f"{latin}{int(r() * 90_000) + 10_000}.example.com"
        registration: str = uscc(r)
    elif language == "de":
        trade = pick(r, w.TRADES_DE)
        family = skewed(r, w.DE_LAST)
        middle = f" & {pick(r, ('Söhne', 'Partner', 'Co.', skewed(r, w.DE_LAST)))}" if r() < 0.25 else ""
        name = f"{family}{middle} {trade} {pick(r, w.FORMS_DE)}"
        host = f"{slug(family)}-{slug(trade)}-{slug(spot.city)[:4]}.example"
        registration = digits(r, f"HRB ##### {spot.city}")
    else:
        trade = pick(r, w.TRADES_EN)
        family = skewed(r, w.EN_LAST)
        middle = f" & {skewed(r, w.EN_LAST)}" if r() < 0.3 else ""
        name = f"{family}{middle} {trade} {pick(r, w.FORMS_EN)}"
        host = f"{slug(family)}{slug(trade.split()[0])}{int(r() * 90) + 10}.example.com"
        registration = digits(r, "########") if spot.country == "GB" else digits(r, "00-#######")
    return Firm(
        language=language, name=name, website=f"https://www.{host}" if r() < 0.8 else None,
        email=f"{pick(r, ('info', 'office', 'kontakt', 'sales', 'service'))}@{host}" if r() < 0.8 else None,
        phone=spot.phone if r() < 0.9 else None, street=spot.street, postcode=spot.postcode, city=spot.city, country=spot.country,
        registration=registration if r() < 0.6 else None, industry=trade, employees=int(3 * 10 ** (r() * 3.3)) if r() < 0.7 else None,
        host=host,
    )  # fmt: skip
