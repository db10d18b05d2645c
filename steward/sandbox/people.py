"""Persons and firms of three languages, their duplicates as people type them, and look-alikes that are no duplicates.

Everything is drawn from one ``random.random`` stream, so that a seed fixes every character on every platform. Left to
others: ids, dates, business and rows (``steward.sandbox.build``), the words (``steward.sandbox.words``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from steward.sandbox import words as w

T = TypeVar("T")
Uniform = Callable[[], float]

_UMLAUT = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ı": "i", "Ş": "S", "ş": "s"}
)
_SLUG = re.compile(r"[^a-z0-9]+")
_LETTERS = "abcdefghijklmnoprstuwz"
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
    return _SLUG.sub("-", text.translate(_UMLAUT).lower().replace("'", "")).strip("-")


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


# ---------------------------------------------------------------------------------------------- duplicates


def typo(r: Uniform, text: str) -> str:
    """Swap, drop, double or replace one character."""
    if len(text) < 4:
        return text
    i = 1 + int(r() * (len(text) - 2))
    kind = r()
    if kind < 0.35:
        return text[:i] + text[i + 1] + text[i] + text[i + 2 :]
    if kind < 0.6:
        return text[:i] + text[i + 1 :]
    if kind < 0.75:
        return text[:i] + text[i] + text[i:]
    return text[:i] + pick(r, _LETTERS) + text[i + 1 :]


def rewrite_phone(r: Uniform, phone: str | None) -> str | None:
    """Write the same number as another person would; what is already rewritten stays."""
    if phone is None or not phone.startswith("+") or " " not in phone or "(0)" in phone:
        return phone
    number, _, extension = phone.partition(" ext. ")
    code, _, rest = number.partition(" ")
    style = r()
    if style < 0.3:
        out = "00" + code[1:] + rest.replace(" ", "").replace("-", "")
    elif style < 0.6:
        trunk = "" if code in ("+1", "+86") and rest.startswith("1") else "" if code == "+1" else "0"
        out = trunk + rest.replace(" ", "/" if code == "+49" else "-", 1).replace(" ", "")
    elif style < 0.8:
        out = code + rest.replace(" ", "").replace("-", "")
    else:
        trunk = "" if code == "+1" or (code == "+86" and rest.startswith("1")) else "(0)"
        out = f"{code} {trunk}{rest.replace(' ', '-') if code == '+1' else rest}"
    return f"{out} x{extension}" if extension else out


def rewrite_street(street: str | None) -> str | None:
    """Abbreviate or write out the kind of street."""
    if street is None:
        return None
    for long, short in (
        ("straße", "str."),
        ("Straße", "Str."),
        (" Street", " St"),
        (" Road", " Rd"),
        (" Avenue", " Ave"),
        (" Drive", " Dr"),
    ):
        if long in street:
            return street.replace(long, short)
    return street.replace("号", "號") if "号" in street else street.upper()


def person_again(r: Uniform, p: Person) -> Person:
    """Return the same person as a second colleague would have typed it: one to four changes, never all evidence gone."""
    q = replace(p)
    for _ in range(1 + int(r() * 4)):
        change = int(r() * 16)
        if change <= 1 and q.last:
            q.last = typo(r, q.last)
        elif change == 2 and q.first:
            q.first = typo(r, q.first)
        elif change == 3 and q.first:
            q.first = w.NICKNAMES.get(q.first, q.first if q.language == "zh" else q.first[:1] + ".")
        elif change == 4:
            q.first, q.last = q.last, q.first
        elif change <= 6 and q.language == "de" and q.last and q.first:
            q.first, q.last = q.first.translate(_UMLAUT), q.last.translate(_UMLAUT)
        elif change <= 6 and q.language == "zh":
            if r() < 0.7:
                q.first, q.last = p.first_latin, p.last_latin
            elif q.first and q.last:
                q.first, q.last = q.first.translate(w.TRADITIONAL), q.last.translate(w.TRADITIONAL)
        elif change <= 8:
            q.phone = rewrite_phone(r, q.phone)
            q.mobile = rewrite_phone(r, q.mobile)
        elif change == 9 and q.email:
            q.email = q.email.upper() if r() < 0.5 else typo(r, q.email.split("@")[0]) + "@" + q.email.split("@")[1]
        elif change == 10:
            if r() < 0.5 and (p.mobile or p.birth):
                q.email = private_mail(r, p)
            else:
                q.street = rewrite_street(q.street)
        elif change == 11 and p.birth and (p.email or p.mobile):
            moved = place(r, p.language)
            q.street, q.postcode, q.city, q.country = moved.street, moved.postcode, moved.city, moved.country
        elif change == 12 and p.birth and p.email and p.salutation in ("Frau", "Ms", "Mrs"):
            q.last = skewed(r, w.DE_LAST if p.language == "de" else w.EN_LAST)
            q.email = p.email
        elif change == 13:
            q.job, q.salutation = None, None
        elif change == 14 and q.last and q.first:
            q.last, q.first = q.last.upper(), q.first.upper()
        elif q.last:
            q.last = f" {q.last}" if r() < 0.5 else f"{q.last} "
    if r() < 0.3 and (q.phone or q.mobile):
        q.email = None
    if r() < 0.25 and q.email:
        q.phone = None
    if r() < 0.2 and (q.email or q.phone):
        q.mobile = None
    if r() < 0.15 and q.street == p.street:
        q.birth = None
    if not (q.email or q.phone or q.mobile) and not (q.birth and q.street == p.street):
        q.email, q.mobile = p.email, p.mobile
        if not (q.email or q.mobile):
            q.street, q.postcode, q.city, q.birth, q.phone = p.street, p.postcode, p.city, p.birth, p.phone
    return q


def firm_again(r: Uniform, f: Firm) -> Firm:
    """Return the same company entered a second time."""
    g = replace(f)
    for _ in range(1 + int(r() * 3)):
        change = int(r() * 9)
        name = g.name or ""
        if change <= 1:
            forms = w.FORMS_ZH if f.language == "zh" else w.FORMS_DE if f.language == "de" else w.FORMS_EN
            form = max((x for x in forms if name.endswith(x)), key=len, default="")
            g.name = name[: len(name) - len(form)].strip() or name
        elif change == 2:
            g.name = typo(r, name)
        elif change == 3:
            g.name = (
                name.translate(_UMLAUT)
                if f.language == "de"
                else name.translate(w.TRADITIONAL)
                if f.language == "zh"
                else name.upper()
            )
        elif change == 4:
            g.name = (
                name.replace("GmbH & Co. KG", "GmbH u. Co. KG")
                .replace("Limited", "Ltd.")
                .replace(" & ", " and " if f.language == "en" else " und ")
            )
            g.name = g.name.replace(f.city + "市", f.city, 1) if f.language == "zh" and f.city else g.name
        elif change == 5:
            g.phone = rewrite_phone(r, g.phone)
        elif change == 6:
            g.street = rewrite_street(g.street)
        elif change == 7:
            g.registration = None
        else:
            g.website = g.website and g.website.replace("https://www.", "http://")
    if r() < 0.3 and g.phone:
        g.website = None
    if r() < 0.3:
        g.email = None
    return g


# ---------------------------------------------------------------------------------------------- look-alikes


def look_alike(r: Uniform, p: Person, firms: Sequence[Firm]) -> tuple[str, Person] | None:
    """Return somebody else who resembles ``p``, and how; None where ``p`` gives no occasion."""
    other = a_person(r, p.language, ())
    while other.language != p.language or (other.first == p.first and other.last == p.last):
        other = a_person(r, p.language, ())
    kind = r()
    other.company = None
    if kind < 0.35 and p.company is None and p.birth:  # parent and child in one house; sometimes with one name
        child = replace(
            other, last=p.last, last_latin=p.last_latin, street=p.street, postcode=p.postcode, city=p.city, country=p.country
        )
        child.email = private_mail(r, child)
        child.phone, child.birth = p.phone, f"{min(int(p.birth[:4]) + 27, 2007)}{other.birth[4:] if other.birth else '-03-14'}"
        if kind < 0.12:
            child.first, child.first_latin, child.salutation = p.first, p.first_latin, p.salutation
            child.birth = f"{min(int(p.birth[:4]) + 27, 2007)}{p.birth[4:7]}-{int(r() * 28) + 1:02d}"
        return "parent_and_child", child
    if kind < 0.45 and p.company is None and p.birth:
        twin = replace(
            other, last=p.last, last_latin=p.last_latin, street=p.street, postcode=p.postcode, city=p.city, country=p.country
        )
        twin.birth, twin.phone, twin.email = p.birth, p.phone, private_mail(r, twin)
        return "twins", twin
    if kind < 0.75:
        namesake = replace(
            other, first=p.first, last=p.last, first_latin=p.first_latin, last_latin=p.last_latin, salutation=p.salutation
        )
        namesake.email = private_mail(r, namesake)
        for _ in range(12):  # in the same town, where the draw gives one
            spot = place(r, p.language)
            if spot.city == p.city and spot.street != p.street:
                break
        namesake.street, namesake.postcode, namesake.city, namesake.country = (
            spot.street,
            spot.postcode,
            spot.city,
            spot.country,
        )
        namesake.phone, namesake.mobile = spot.phone, mobile(r, spot.country)
        if namesake.birth == p.birth:
            namesake.birth = f"{1950 + int(r() * 50)}-07-{int(r() * 28) + 1:02d}"
        return "namesakes", namesake
    if p.company is not None and p.phone:
        host = firms[p.company].host
        mail = f"{slug(other.first_latin)}.{slug(other.last_latin)}@{host}"
        colleague = replace(
            other, company=p.company, phone=p.phone, street=p.street, postcode=p.postcode, city=p.city, country=p.country
        )
        colleague.email = mail
        return "shared_reception", colleague
    return None


def firm_look_alike(r: Uniform, f: Firm) -> tuple[str, Firm]:
    """Return another company that resembles ``f``: a branch in another town, or its holding at the same address."""
    if r() < 0.6:
        spot = place(r, f.language)
        while spot.city == f.city:
            spot = place(r, f.language)
        suffix = {
            "de": f" Niederlassung {spot.city}",
            "zh": f"{spot.city}分公司",
            "en": f" ({spot.city.split(',')[0]} branch)",
        }[f.language]
        return "branch", replace(
            f, name=f"{f.name}{suffix}", street=spot.street, postcode=spot.postcode, city=spot.city, country=spot.country,
            phone=spot.phone, email=None, registration=None,
        )  # fmt: skip
    stem = (f.name or "").split(" ")[0]
    name = {"de": f"{stem} Verwaltungs-GmbH", "zh": (f.name or "").replace(f.industry, "控股"), "en": f"{stem} Holdings PLC"}[
        f.language
    ]
    number = (
        uscc(r)
        if f.language == "zh"
        else digits(r, "HRB ##### ") + (f.city or "")
        if f.language == "de"
        else digits(r, "########")
    )
    return "holding", replace(f, name=name, registration=number, email=None, employees=None)


# ---------------------------------------------------------------------------------------------- invalid

INVALID_PERSON = (
    "email_syntax", "email_placeholder", "phone_placeholder", "birth_date_future", "birth_date_ancient", "placeholder_name",
    "postcode_format", "country_unknown", "unreachable", "mojibake_name", "name_missing",
)  # fmt: skip
INVALID_FIRM = ("name_missing", "registration_check_digit", "placeholder_name", "email_syntax", "website_syntax")


def spoil_person(r: Uniform, p: Person) -> str:
    """Make ``p`` invalid in one way and return which."""
    rule = pick(r, INVALID_PERSON)
    if rule == "email_syntax":
        p.email = pick(
            r, ("@@example.com", "anna.example.com", "kontakt@", "info @example.org", "max@exam ple.com", "a@b@example.net")
        )
    elif rule == "email_placeholder":
        p.email = pick(r, ("noemail@example.com", "test@test", "none@none.test", "unknown@example.org"))
    elif rule == "phone_placeholder":
        p.phone = pick(r, ("000000", "123456789", "n/a", "-", "0000000000", "unbekannt"))
    elif rule == "birth_date_future":
        p.birth = f"20{40 + int(r() * 50)}-05-{int(r() * 28) + 1:02d}"
    elif rule == "birth_date_ancient":
        p.birth = pick(r, ("1900-01-01", "1899-12-30", "1800-01-01"))
    elif rule == "placeholder_name":
        p.first, p.last = pick(
            r,
            (
                ("Test", "Test"),
                ("asdf", "asdf"),
                ("Max", "Mustermann TEST"),
                ("测试", "测试"),
                ("xxx", "xxx"),
                ("do not", "use"),
            ),
        )
    elif rule == "postcode_format":
        p.postcode = pick(r, ("0", "ABC", "99", "1234567890", "unbekannt"))
    elif rule == "country_unknown":
        p.country = pick(r, ("XX", "ZZ", "Deutchland", "??"))
    elif rule == "unreachable":
        p.email = p.phone = p.mobile = p.street = p.postcode = None
    elif rule == "mojibake_name":
        p.first, p.last = pick(r, (("JÃ¼rgen", "MÃ¼ller"), ("BjÃ¶rn", "SchrÃ¶der"), ("å¼ ", "ä¼Ÿ"), ("J�rg", "K�hler")))
    else:
        p.first = p.last = None
    return rule


def spoil_firm(r: Uniform, f: Firm) -> str:
    """Make ``f`` invalid in one way and return which."""
    rule = pick(r, INVALID_FIRM)
    if rule == "registration_check_digit" and f.language == "zh":
        good = uscc(r)
        f.registration = good[:-1] + ("0" if good[-1] != "0" else "1")
        return rule
    if rule in ("name_missing", "registration_check_digit"):
        f.name = None
        return "name_missing"
    if rule == "placeholder_name":
        f.name = pick(r, ("Test", "Dummy GmbH", "测试公司", "xxx", "DO NOT USE"))
    elif rule == "email_syntax":
        f.email = pick(r, ("info@", "www.example.com", "info@@example.org"))
    else:
        f.website = pick(r, ("http:/www", "www", "n/a"))
    return rule
