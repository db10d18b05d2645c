"""Builds the embedded CRM block by block: people and firms, their duplicates, their business, and the truth about them.

A block holds 20,000 contacts with everything that belongs to them; it is drawn from a stream of its own, shuffled,
numbered and written before the next begins, so that memory does not grow with the size of the CRM (except for the
truth: about 80 bytes per planted record). Ids are eighteen digits of text, as some vendors' are: more than a double
can hold, and given after the shuffle, so that they tell nothing about who is a duplicate of whom.

Left to others: what a person looks like (``people``), its business (``business``), the tables (``schema``).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from sqlalchemy import Engine

from steward.crm.sql_engine import open_engine
from steward.errors import UsageError
from steward.messages import N_
from steward.sandbox import copies
from steward.sandbox import people as p
from steward.sandbox.business import Business, Calendar, Row
from steward.sandbox.schema import TABLES
from steward.sandbox.writing import Writing

AS_OF = date(2026, 11, 1)
"""Default day the CRM is as of; nothing in it is later, apart from planted errors."""

BLOCK = 20_000
_KIND = {table.name: n for n, table in enumerate(TABLES, 1)}
Progress = Callable[[int], None]


@dataclass(slots=True)
class Truth:
    """What was planted, by object and record id. Never stored in the CRM itself.

    Attributes
    ----------
    duplicate_clusters : dict of str to list of tuple of str
        Object → clusters of two or more ids that are one person or company.
    look_alikes : dict of str to list of tuple of str
        Object → (left id, right id, kind) of pairs that are *not* duplicates though they resemble each other.
    stale : dict of str to list of str
        Ids that are stale and free to go.
    invalid : dict of str to dict of str to str
        Object → id → what is wrong.
    protected : dict of str to dict of str to str
        Object → id → what keeps a record that looks stale.
    rows : dict of str to int
        Rows per table.
    """

    customers: int
    seed: int
    as_of: str
    duplicate_clusters: dict[str, list[tuple[str, ...]]] = field(default_factory=lambda: {"contact": [], "company": []})
    look_alikes: dict[str, list[tuple[str, str, str]]] = field(default_factory=lambda: {"contact": [], "company": []})
    stale: dict[str, list[str]] = field(default_factory=lambda: {"contact": []})
    invalid: dict[str, dict[str, str]] = field(default_factory=lambda: {"contact": {}, "company": {}})
    protected: dict[str, dict[str, str]] = field(default_factory=lambda: {"contact": {}})
    rows: dict[str, int] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the truth as JSON."""
        document = {name: getattr(self, name) for name in self.__slots__}
        with path.open("w", encoding="utf-8", newline="\n") as stream:
            for chunk in json.JSONEncoder(ensure_ascii=False, sort_keys=True, indent=1).iterencode(document):
                stream.write(chunk)
            stream.write("\n")

    @classmethod
    def load(cls, path: Path) -> Truth:
        """Read what :meth:`save` wrote."""
        truth = cls(**json.loads(path.read_text(encoding="utf-8")))
        truth.duplicate_clusters = {k: [tuple(c) for c in v] for k, v in truth.duplicate_clusters.items()}
        truth.look_alikes = {k: [(a, b, kind) for a, b, kind in v] for k, v in truth.look_alikes.items()}
        return truth


def build_crm(
    url: str | Path | Engine,
    *,
    customers: int = 1_000,
    seed: int = 0,
    as_of: date = AS_OF,
    truth_file: Path | None = None,
    progress: Progress | None = None,
) -> Truth:
    """Create the tables of the embedded CRM in an empty database and fill them.

    Parameters
    ----------
    url : str, Path or Engine
        ``sqlite:///file``, a file name, or ``postgresql+psycopg://…``.
    customers : int
        Number of contacts, duplicates included; about 0.2 companies and 4 further rows come with each.
    seed : int
        The same seed gives the same rows on every platform and on both databases.
    as_of : date
        The day the CRM is as of. Never today's date unless the caller says so.
    truth_file : Path or None
        Where to save the truth; for a SQLite file the default is ``truth.json`` beside it.
    progress : callable or None
        Called with the number of rows written since the last call.

    Raises
    ------
    UsageError
        Fewer than 10 customers, or the database already holds a table of the CRM.
    UnavailableError, DeniedError
        The database cannot be reached or written.
    """
    if customers < 10:
        raise UsageError(N_("A CRM needs at least 10 customers; {customers} were asked for."), customers=customers)
    engine, ours = open_engine(url, write=True)
    try:
        truth = Truth(customers, seed, as_of.isoformat())
        with Writing(engine, progress) as writing:
            _Builder(truth, Calendar(as_of), writing).build()
            truth.rows = dict(writing.rows)
    finally:
        if ours:
            engine.dispose()
    if truth_file is None and engine.dialect.name == "sqlite" and engine.url.database not in (None, "", ":memory:"):
        truth_file = Path(str(engine.url.database)).with_name("truth.json")
    if truth_file is not None:
        truth.save(truth_file)
    return truth


class _Builder:
    """One run of the generator."""

    def __init__(self, truth: Truth, calendar: Calendar, writing: Writing) -> None:
        self.truth, self.calendar, self.writing = truth, calendar, writing
        self.block = 0
        self.next: dict[str, int] = {}
        self.active: list[str] = []
        self.left: list[str] = []

    def new_id(self, table: str) -> str:
        """Return the next id of a table in this block."""
        n = self.next.get(table, 0) + 1
        self.next[table] = n
        return (
            f"{554_000_000_000_000_000 + _KIND[table] * 100_000_000_000_000 + self.block * 10_000_000 + n * 17 % 10_000_000:d}"
        )

    def build(self) -> None:
        left = self.truth.customers
        self._users()
        while left:
            size = min(left, BLOCK)
            if 0 < left - size < 10:  # no tiny rest
                size = left - 10 if left - 10 >= 10 else left
            self.block += 1
            self.next = {}
            self._block(size)
            left -= size

    def _users(self) -> None:
        r = _stream(self.truth.seed, "users")
        count = max(8, min(400, self.truth.customers // 250))
        rows: list[Row] = []
        for n in range(count):
            language = ("en", "de", "zh")[n % 3]
            person = p.a_person(r, language, ())
            key = self.new_id("user")
            active = n < 6 or r() < 0.85
            (self.active if active else self.left).append(key)
            mail = f"{p.slug(person.first_latin)}.{p.slug(person.last_latin)}{n}@crm.example"
            at = self.calendar.moment(r, 3_000 + r() * 2_000)
            name = f"{person.last}{person.first}" if language == "zh" else f"{person.first} {person.last}"
            rows.append((key, name, mail, language, int(active), at, at, 1, 0, None, None))
        if not self.left:
            self.left.append(self.active.pop())
            rows = [(*row[:4], int(row[0] in self.active), *row[5:]) for row in rows]
        self.writing.insert("user", rows)

    def _block(self, size: int) -> None:
        r = _stream(self.truth.seed, str(self.block))
        firms = self._firms(r, size)
        firm_ids = [self.new_id("company") for _ in firms]
        business = Business(r, self.calendar, self.new_id, self.active, self.left)
        self._write_firms(r, firms, firm_ids, business)
        self._write_people(r, self._people(r, size, firms), firm_ids, business)
        for table in ("deal", "order", "invoice", "ticket", "activity", "note"):
            self.writing.insert(table, business.rows[table])

    def _firms(self, r: p.Uniform, size: int) -> list[p.Firm]:
        firms: list[p.Firm] = []
        self.firm_looks: list[tuple[p.Firm, p.Firm, str]] = []
        clusters = 0
        wanted = max(3, size // 5)
        while len(firms) < wanted:
            firm = p.a_firm(r, _language(r))
            firms.append(firm)
            x = r()
            if x < 0.05:
                firm.cluster = clusters
                clusters += 1
                for _ in range(1 if x < 0.04 else 2):
                    firms.append(copies.firm_again(r, firm))
            elif x < 0.08:
                kind, other = copies.firm_look_alike(r, firm)
                firms.append(other)
                self.firm_looks.append((firm, other, kind))
            elif x < 0.1:
                firm.invalid = copies.spoil_firm(r, firm)
        _shuffle(r, firms)
        return firms

    def _write_firms(self, r: p.Uniform, firms: list[p.Firm], ids: list[str], business: Business) -> None:
        rows: list[Row] = []
        clusters: dict[int, list[str]] = {}
        where = {id(f): key for f, key in zip(firms, ids, strict=True)}
        for f, key in zip(firms, ids, strict=True):
            if f.cluster >= 0:
                clusters.setdefault(f.cluster, []).append(key)
            if f.invalid:
                self.truth.invalid["company"][key] = f.invalid
            owner = p.pick(r, self.active) if r() < 0.85 else p.pick(r, self.left)
            created = 100 + r() * 4_000
            rows.append(
                (key, owner, f.name, f.website, f.email, f.phone, f.street, f.postcode, f.city, f.country, f.registration, f.industry,
                 f.employees, int(r() < 0.003), *business.stamp(created, created * r()))
            )  # fmt: skip
        self.writing.insert("company", rows)
        self.truth.duplicate_clusters["company"] += [tuple(sorted(c)) for c in clusters.values()]
        self.truth.look_alikes["company"] += [(where[id(a)], where[id(b)], kind) for a, b, kind in self.firm_looks]

    def _people(self, r: p.Uniform, size: int, firms: list[p.Firm]) -> list[p.Person]:
        drafts: list[p.Person] = []
        self.person_looks: list[tuple[p.Person, p.Person, str]] = []
        clusters = 0
        while len(drafts) < size:
            person = p.a_person(r, _language(r), firms)
            drafts.append(person)
            room = size - len(drafts)
            x = r()
            if x < 0.085 and room:
                person.cluster = clusters
                clusters += 1
                for _ in range(min(room, 1 if x < 0.06 else 2 if x < 0.077 else 3 if x < 0.083 else 4)):
                    drafts.append(copies.person_again(r, person))
            elif x < 0.12 and room:
                found = copies.look_alike(r, person, firms)
                if found is not None:
                    drafts.append(found[1])
                    self.person_looks.append((person, found[1], found[0]))
            elif x < 0.15:
                person.invalid = copies.spoil_person(r, person)
        _shuffle(r, drafts)
        return drafts

    def _write_people(self, r: p.Uniform, drafts: list[p.Person], firm_ids: list[str], business: Business) -> None:
        truth, rows = self.truth, []
        clusters: dict[int, list[str]] = {}
        where: dict[int, str] = {}
        for d in drafts:
            key = self.new_id("contact")
            where[id(d)] = key
            if d.cluster >= 0:
                clusters.setdefault(d.cluster, []).append(key)
            state = business.state()
            dormant = state in ("dormant", "shielded")
            gone = r() < (0.45 if dormant else 0.04)
            owner = p.pick(r, self.left if gone else self.active)
            company = firm_ids[d.company] if d.company is not None else None
            created, shield = business.for_contact(key, company, d.language, d.country, state, owner)
            bounced = dormant and (not gone or r() < 0.5)
            consent = "withdrawn" if shield == "suppression" or (not dormant and r() < 0.03) else p.pick(r, ("granted", "none"))
            deleted = state != "shielded" and r() < 0.004
            stamp = business.stamp(created, created * (0.2 + 0.8 * r()) if dormant else created * r())
            if deleted:
                stamp = (*stamp[:3], 1, stamp[1], p.pick(r, self.active))
            elif d.invalid:
                truth.invalid["contact"][key] = d.invalid
            if state == "dormant" and not deleted:
                truth.stale["contact"].append(key)
            elif shield:
                truth.protected["contact"][key] = shield
            rows.append(
                (key, company, owner, d.salutation, d.first, d.last, d.email, "bounced" if bounced else "ok", d.phone, d.mobile, d.birth,
                 d.job, d.street, d.postcode, d.city, d.country, d.language,
                 p.pick(r, ("web", "fair", "referral", "import", "phone")), consent,
                 int(shield == "legal_hold"), *stamp)
            )  # fmt: skip
        self.writing.insert("contact", rows)
        truth.duplicate_clusters["contact"] += [tuple(sorted(c)) for c in clusters.values() if len(c) > 1]
        truth.look_alikes["contact"] += [(where[id(a)], where[id(b)], kind) for a, b, kind in self.person_looks]


def _stream(seed: int, name: str) -> p.Uniform:
    """Return a stream of its own; seeding by text does not depend on the interpreter's hash seed."""
    return random.Random(f"{seed}/{name}").random  # noqa: S311 - repeatable on purpose


def _language(r: p.Uniform) -> str:
    x = r()
    return "en" if x < 0.5 else "de" if x < 0.78 else "zh"


def _shuffle(r: p.Uniform, items: list[p.T]) -> None:
    """Fisher-Yates over ``r``: independent of the interpreter's own shuffle."""
    for i in range(len(items) - 1, 0, -1):
        j = int(r() * (i + 1))
        items[i], items[j] = items[j], items[i]
