"""What goes wrong with records: duplicates as people type them, look-alikes that are none, and invalid values.

All changes are drawn from the caller's stream. Left to others: drawing the originals (``steward.sandbox.people``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from steward.sandbox import words as w
from steward.sandbox.people import (
    UMLAUT,
    Firm,
    Person,
    Uniform,
    a_person,
    digits,
    mobile,
    pick,
    place,
    private_mail,
    skewed,
    slug,
    uscc,
)

_LETTERS = "abcdefghijklmnoprstuwz"

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
            q.first, q.last = q.first.translate(UMLAUT), q.last.translate(UMLAUT)
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
                name.translate(UMLAUT)
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
