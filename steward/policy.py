"""Policy: what may go, how much of it, who approves and how long to wait. Pure predicates that return reasons.

A policy is one TOML file per team. It can only tighten what is built in here: a policy that asks for fewer approvers, a
shorter grace or more time than the minimum is refused, and so is one that leaves a limit out. A limit of zero means zero.
A protection that the file does not name is in force; one that does not apply to a CRM must say why.

The digest of a policy is the plain sha256 of its text, so that ``sha256sum policy.toml`` gives the same and the trust
store can name it.

Left to others: computing protections and scores over a snapshot (``steward.scoring.staleness``), the people who approve
(``steward.signing``), what each action does (``steward.executor``). Nothing here touches a disk, but for the two policies
that are part of the package.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from importlib.resources import files
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from steward.errors import PolicyInvalidError
from steward.messages import N_
from steward.records import RecordKey

FORMAT = "steward-policy/1"

Outcome = Literal["keep", "restrict", "anonymise"]
"""What a protection leaves open: nothing, restricted processing, or anonymising instead of deletion."""

HELD = ("legal_hold", "data_subject_request", "opt_out", "allow_list", "other_role")
"""Protections that lists and marked columns give."""

OPEN_BUSINESS: Mapping[str, tuple[str, ...]] = {
    "open_deal": ("deal",),
    "open_quote": ("quote",),
    "open_order": ("order",),
    "unpaid_invoice": ("invoice", "payment"),
    "active_contract": ("contract",),
    "open_ticket": ("ticket",),
}
"""Protection → roles of the objects whose open records give it; the first is asked for, the others count where mapped."""

PROTECTIONS = (*HELD[:1], *OPEN_BUSINESS, "retention", "created_recently", "only_contact", "parent_of_protected", *HELD[1:])
"""Every protection code, in the order in which reasons are shown. ``unknown_<code>``: its source could not be read."""

SOFT_ALONE = 10_000
OWNER_ABOVE = 100_000
OWNER_ABOVE_PERCENT = 5.0
GRACE_SOFT_HOURS = 24
GRACE_HARD_HOURS = 7 * 24
EXPIRES_DAYS = 30
SNAPSHOT_DAYS = 14

_MOVES_WITH_MERGE = frozenset(
    {*OPEN_BUSINESS, "retention", "created_recently", "only_contact", "parent_of_protected"}
    | {"unknown_created_recently", "unknown_only_contact"}
)
"""Protections that do not stop a merge: what hangs on the record, and its documents, go on with the survivor."""
_FROZEN = frozenset({"legal_hold", "data_subject_request", "unknown_legal_hold", "unknown_data_subject_request"})
"""Protections under which nothing about the record may change."""
_DELETES = frozenset({"delete", "soft_delete", "hard_delete"})
_IRREVERSIBLE = frozenset({"hard_delete", "anonymise"})

_Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
_Share = Annotated[float, Meta(ge=0, le=100)]
_Points = Annotated[float, Meta(ge=0, le=100)]
_Text = Annotated[str, Meta(min_length=1, max_length=500)]
_Window = Annotated[str, Meta(pattern=r"^(any|[0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9])\Z")]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of policy parts: immutable, keyword only, unknown words refused."""


@dataclass(frozen=True, slots=True)
class Protection:
    """Why a record may not be deleted.

    Attributes
    ----------
    code : str
        One of :data:`PROTECTIONS`, or ``unknown_`` and one of them.
    outcome : {'keep', 'restrict', 'anonymise'}
        What is left instead of deletion.
    sentence : str
        One English sentence for people, free of values of the record.
    """

    code: str
    outcome: Outcome
    sentence: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is refused: a stable code, an English template and its facts (no personal data)."""

    code: str
    template: str
    facts: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.template.format_map(dict(self.facts))


class Points(_Strict, frozen=True):
    """Points of each staleness signal. What they add to is 100 where every signal speaks."""

    recency: _Points = 50
    long_silence: _Points = 10
    no_activity: _Points = 15
    one_activity: _Points = 8
    no_business: _Points = 15
    old_business: _Points = 10
    owner_gone: _Points = 5
    unreachable: _Points = 10
    children_stale: _Points = 5


class Unreachable(_Strict, frozen=True):
    """When nobody can be reached: all ``columns`` are empty, or ``status`` holds one of ``values``."""

    columns: tuple[str, ...] = ()
    status: str | None = None
    values: tuple[str, ...] = ()


class Segment(_Strict, frozen=True):
    """Customers with a longer or shorter time: ``column`` holds one of ``values``. The longest of several holds."""

    name: _Text
    object: _Text
    column: _Text
    values: Annotated[tuple[str, ...], Meta(min_length=1)]
    months: Annotated[int, Meta(ge=1, le=600)]


class Staleness(_Strict, frozen=True):
    """When a record counts as stale.

    Attributes
    ----------
    threshold : int
        Points in [1, 100].
    signals : int
        Independent signals that must agree, at least 2.
    months : mapping of str to int
        Role → months without activity after which a record of that role can be stale. A role that is not named never is.
    bulk_rows : int
        So many records at one instant are a bulk change and no activity (at least; see ``steward.scoring.staleness``).
    """

    threshold: Annotated[int, Meta(ge=1, le=100)] = 70
    signals: Annotated[int, Meta(ge=2, le=6)] = 2
    months: dict[str, Annotated[int, Meta(ge=1, le=600)]] = {}
    bulk_rows: Annotated[int, Meta(ge=2)] = 500
    points: Points = Points()
    unreachable: dict[str, Unreachable] = {}
    segments: tuple[Segment, ...] = ()

    def months_of(self, role: str) -> int | None:
        """Months for one role; None where records of that role are never called stale."""
        return self.months.get(role)


class Rule(_Strict, frozen=True):
    """How one protection is computed.

    Attributes
    ----------
    applies : bool
        False where the CRM has no such thing; ``because`` must say why.
    minimum_rows : int or None
        A source with fewer live rows counts as not loaded, and protects. None: 1 for objects; for lists and marked
        columns, which may well be empty, 0.
    days : int
        For ``created_recently``.
    """

    applies: bool = True
    because: str = ""
    minimum_rows: _Count | None = None
    days: Annotated[int, Meta(ge=1, le=3650)] = 90

    def rows_expected(self, otherwise: int = 1) -> int:
        """Least rows of a source that counts as loaded."""
        return otherwise if self.minimum_rows is None else self.minimum_rows


class Marked(_Strict, frozen=True):
    """A column that protects: records of ``object`` whose ``column`` holds one of ``values``."""

    code: Literal["legal_hold", "data_subject_request", "opt_out", "allow_list", "other_role"]
    object: _Text
    column: _Text
    values: Annotated[tuple[str, ...], Meta(min_length=1)]
    outcome: Outcome = "keep"


class CountryPeriod(_Strict, frozen=True):
    """Another period where the customer's country is one of ``values``."""

    values: Annotated[tuple[str, ...], Meta(min_length=1)]
    years: Annotated[int, Meta(ge=1, le=100)]
    citation: _Text


class Retention(_Strict, frozen=True):
    """A statutory period for documents.

    Attributes
    ----------
    years : int
    starts : {'year_end', 'event'}
        The period begins at the end of the calendar year of the document, or at its date.
    citation : str
        The law. Shown wherever the period keeps a record.
    outcome : {'keep', 'restrict', 'anonymise'}
    roles : tuple of str
        Documents of these roles fall under it unless their mapping names another rule.
    countries : mapping of str to CountryPeriod
        Where the country is unknown the longest period holds.
    """

    years: Annotated[int, Meta(ge=1, le=100)]
    citation: _Text
    starts: Literal["year_end", "event"] = "year_end"
    outcome: Outcome = "restrict"
    roles: tuple[str, ...] = ()
    countries: dict[str, CountryPeriod] = {}


class Limits(_Strict, frozen=True):
    """Brakes; each must be given, and zero means zero. Shares are percent with at most two decimals."""

    max_records: _Count
    max_percent_of_object: _Share
    max_drift_percent: _Share
    max_error_percent: _Share
    canary: _Count
    rate_per_minute: _Count
    window: _Window
    objects: dict[str, _Count] = {}

    def as_signed(self) -> dict[str, int | str]:
        """The limits as a manifest states them: shares in hundredths of a percent."""
        return {
            "max_records": self.max_records,
            "max_percent_of_object": hundredths(self.max_percent_of_object),
            "max_drift_percent": hundredths(self.max_drift_percent),
            "max_error_percent": hundredths(self.max_error_percent),
            "canary": self.canary,
            "rate_per_minute": self.rate_per_minute,
            "window": self.window,
        }


class Approvals(_Strict, frozen=True):
    """What a team asks for beyond the built-in minimum; it can only be more.

    Attributes
    ----------
    soft_alone : int
        Most records one steward approves alone, at most 10,000.
    owner_above : int
        Records above which an owner signs too, at most 100,000.
    owner_above_percent : float
        The same as percent of an object, at most 5.
    seats : int
        Least number of people for any batch.
    roles : tuple of str
        Roles asked for in any batch.
    """

    soft_alone: Annotated[int, Meta(ge=0, le=SOFT_ALONE)] = SOFT_ALONE
    owner_above: Annotated[int, Meta(ge=0, le=OWNER_ABOVE)] = OWNER_ABOVE
    owner_above_percent: Annotated[float, Meta(ge=0, le=OWNER_ABOVE_PERCENT)] = OWNER_ABOVE_PERCENT
    seats: Annotated[int, Meta(ge=1, le=8)] = 1
    roles: tuple[Literal["steward", "privacy", "owner"], ...] = ()


class Grace(_Strict, frozen=True):
    """How long everybody has to object. Hours count from ``createdAt``; only a sandbox may have none."""

    soft_hours: Annotated[int, Meta(ge=GRACE_SOFT_HOURS, le=24 * 365)] = GRACE_SOFT_HOURS
    hard_hours: Annotated[int, Meta(ge=GRACE_HARD_HOURS, le=24 * 365)] = GRACE_HARD_HOURS
    sandbox_hours: Annotated[int, Meta(ge=0, le=24 * 365)] = 0
    expires_days: Annotated[int, Meta(ge=1, le=EXPIRES_DAYS)] = EXPIRES_DAYS


class SnapshotAge(_Strict, frozen=True):
    """How old a snapshot may be, and how much smaller than the one before."""

    max_age_days: Annotated[int, Meta(ge=0, le=SNAPSHOT_DAYS)] = SNAPSHOT_DAYS
    max_shrink_percent: _Share = 40


class Backup(_Strict, frozen=True):
    """How long a backup is kept after execution."""

    retain_days: Annotated[int, Meta(ge=1, le=3650)] = 90


class Figure(_Strict, frozen=True):
    """A figure that reports need after its customers are gone: how many rows of ``object`` a year, and their worth.

    Attributes
    ----------
    amount : tuple of str
        Columns that are multiplied to the worth of a row; by default the ``amount`` of the mapping, else nothing.
    less : str or None
        Column with a share in [0, 1] that is taken off, such as a discount.
    """

    object: _Text
    name: str = ""
    amount: tuple[str, ...] = ()
    less: str | None = None


class History(_Strict, frozen=True):
    """What the anonymous history table keeps of customers that go (``steward.scoring.history``).

    Attributes
    ----------
    smallest : int
        A line stands for at least so many customers; smaller ones are put together.
    largest_percent : float
        Nor does one customer make up more than this share of a line's amount.
    segments : mapping of str to str
        Object → column that reports group its customers by.
    figures : tuple of Figure
        By default every dated object of business that the mapping leads from to customers.
    """

    smallest: Annotated[int, Meta(ge=5, le=10_000)] = 10
    largest_percent: Annotated[float, Meta(ge=10, le=90)] = 80
    segments: dict[str, str] = {}
    figures: tuple[Figure, ...] = ()


class _File(_Strict, frozen=True):
    format: str
    version: _Text
    limits: Limits
    name: _Text = "policy"
    staleness: Staleness = Staleness()
    protections: dict[str, Rule] = {}
    marked: tuple[Marked, ...] = ()
    country_columns: dict[str, str] = {}
    retention: dict[str, Retention] = {}
    approvals: Approvals = Approvals()
    grace: Grace = Grace()
    snapshot: SnapshotAge = SnapshotAge()
    backup: Backup = Backup()
    history: History = History()


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy in force. Made by :func:`parse_policy` alone; ``digest`` is the sha256 of its text."""

    name: str
    version: str
    digest: str
    staleness: Staleness
    protections: Mapping[str, Rule]
    marked: tuple[Marked, ...]
    country_columns: Mapping[str, str]
    retention: Mapping[str, Retention]
    limits: Limits
    approvals: Approvals
    grace: Grace
    snapshot: SnapshotAge
    backup: Backup
    history: History = field(default_factory=History)

    def rule(self, code: str) -> Rule:
        """The rule of one protection; one that the file does not name is in force with its built-in values."""
        return self.protections.get(code, _IN_FORCE)

    def retention_for(self, role: str, named: str | None) -> tuple[str, Retention | None]:
        """Name and rule for documents of an object; the rule is None where a named one does not exist (it protects)."""
        if named is not None:
            return named, self.retention.get(named)
        for name, rule in sorted(self.retention.items()):
            if role in rule.roles:
                return name, rule
        return "", None


_IN_FORCE = Rule()


def parse_policy(text: str, *, where: str = "policy") -> Policy:
    """Read a policy file's text.

    Parameters
    ----------
    where : str
        Name of the file, for messages.

    Raises
    ------
    PolicyInvalidError
        Empty, not TOML, an unknown word, a missing limit, a value looser than the built-in minimum, a protection switched
        off without a reason.
    """

    def refuse(template: str, /, **facts: object) -> PolicyInvalidError:
        return PolicyInvalidError(
            template,
            next_step=N_("Mend the file; docs/reference/policy.md describes every word."),
            **{"where": where, **facts},
        )

    if not text.strip():
        raise refuse(N_("The policy {where} is empty; nothing may be deleted without a policy."))
    try:
        raw = msgspec.toml.decode(text, type=_File, strict=True)
    except (msgspec.MsgspecError, ValueError) as error:
        raise refuse(N_("The policy {where} cannot be used: {problem}"), problem=str(error)) from None
    if raw.format != FORMAT:
        raise refuse(
            N_("The policy {where} says format {format}; this version reads {known}."), format=raw.format, known=FORMAT
        )
    for code, rule in raw.protections.items():
        if code not in PROTECTIONS:
            raise refuse(
                N_("The policy {where} names a protection {code}; known are {known}."), code=code, known=", ".join(PROTECTIONS)
            )
        if not rule.applies and not rule.because.strip():
            raise refuse(
                N_("The policy {where} switches the protection {code} off without saying why in 'because'."), code=code
            )
        if not rule.applies and code == "legal_hold":
            raise refuse(N_("The policy {where} switches the legal hold off; it always applies."))
    shares = (
        raw.limits.max_percent_of_object,
        raw.limits.max_drift_percent,
        raw.limits.max_error_percent,
        raw.approvals.owner_above_percent,
    )
    for share in shares:
        if abs(share * 100 - round(share * 100)) > 1e-9:
            raise refuse(N_("The policy {where} gives {share} percent; shares have at most two decimals."), share=share)
    for name, table in (("staleness.months", raw.staleness.months), ("country_columns", raw.country_columns)):
        if any(not word for word in table):
            raise refuse(N_("The policy {where} has an empty name in {table}."), table=name)
    return Policy(
        name=raw.name,
        version=raw.version,
        digest=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
        staleness=raw.staleness,
        protections=raw.protections,
        marked=raw.marked,
        country_columns=raw.country_columns,
        retention=raw.retention,
        limits=raw.limits,
        approvals=raw.approvals,
        grace=raw.grace,
        snapshot=raw.snapshot,
        backup=raw.backup,
        history=raw.history,
    )


def default_policy(name: str = "default") -> Policy:
    """Return a policy that ships with steward: ``default``, or ``demo`` for the embedded CRM."""
    shipped = {"default": "default_policy.toml", "demo": "demo_policy.toml"}[name]
    return parse_policy((files("steward") / shipped).read_text(encoding="utf-8"), where=shipped)


def hundredths(percent: float) -> int:
    """Percent as a whole number of hundredths, which is how manifests state shares."""
    return round(percent * 100)


def blocking(action: str, protections: Iterable[Protection]) -> tuple[Protection, ...]:
    """Return the protections that stop an action on a record; empty means none does.

    A deletion is stopped by every protection. Anonymising is stopped by all but those whose outcome is ``anonymise``.
    A merge is stopped by holds, requests, lists and unknown sources; what hangs on a record goes on with the survivor.
    Reassigning and deactivating are stopped where nothing about the record may change. An action that is not known is
    stopped by everything.
    """
    found = tuple(protections)
    match action:
        case "reassign" | "deactivate_user":
            return tuple(p for p in found if p.code in _FROZEN)
        case "merge_into":
            return tuple(p for p in found if p.code not in _MOVES_WITH_MERGE)
        case "anonymise":
            return tuple(p for p in found if p.outcome != "anonymise")
        case _:
            return found


def retained_until(event: date, years: int, starts: str = "year_end") -> date:
    """Return the last day of a retention period.

    A period that starts at the year's end covers whole calendar years: a voucher of 2019-03-05 kept for 8 years is kept
    until 2027-12-31. A 29 February ends on 28 February.
    """
    if starts == "year_end":
        return date(min(event.year + years, 9999), 12, 31)
    try:
        return event.replace(year=min(event.year + years, 9999))
    except ValueError:
        return event.replace(year=event.year + years, day=28)


def years_for(rule: Retention, country: str | None) -> tuple[int, str]:
    """Return years and citation for a customer's country; the longest where the country is not known to be another."""
    wanted = (country or "").strip().casefold()
    if wanted:
        for period in rule.countries.values():
            if wanted in {v.casefold() for v in period.values}:
                return period.years, period.citation
        return rule.years, rule.citation
    return max([(rule.years, rule.citation), *((p.years, p.citation) for p in rule.countries.values())])


def over_limits(counts: Mapping[str, int], sizes: Mapping[str, int], limits: Limits) -> tuple[Reason, ...]:
    """Return why a batch is too large; empty means it is within every limit.

    Parameters
    ----------
    counts : mapping of str to int
        Object → records the batch would change.
    sizes : mapping of str to int
        Object → live records of the snapshot. An object without a size has none, so its share is over any limit.
    """
    reasons: list[Reason] = []
    total = sum(counts.values())
    if total > limits.max_records:
        reasons.append(
            Reason("max_records", N_("{n} records, and the policy allows {limit}."), {"n": total, "limit": limits.max_records})
        )
    for object, n in sorted(counts.items()):
        most = limits.objects.get(object)
        if most is not None and n > most:
            reasons.append(
                Reason(
                    "max_records_of_object",
                    N_("{n} records of {object}, and the policy allows {limit}."),
                    {"n": n, "object": object, "limit": most},
                )
            )
        if n * 10_000 > sizes.get(object, 0) * hundredths(limits.max_percent_of_object):
            reasons.append(
                Reason(
                    "max_percent_of_object",
                    N_("{n} of {size} records of {object} are more than the {limit} percent the policy allows."),
                    {"n": n, "size": sizes.get(object, 0), "object": object, "limit": limits.max_percent_of_object},
                )
            )
    return tuple(reasons)


def grace_of(actions: Iterable[str], grace: Grace, *, sandbox: bool) -> timedelta:
    """Return the least time between writing and running a manifest with these actions."""
    if sandbox:
        return timedelta(hours=grace.sandbox_hours)
    hard = any(action in _IRREVERSIBLE for action in actions)
    return timedelta(hours=max(grace.hard_hours, grace.soft_hours) if hard else grace.soft_hours)


def too_old(taken_at: datetime, now: datetime, age: SnapshotAge) -> Reason | None:
    """Return why a snapshot is too old (or from the future) to delete from; None where it is not."""
    if taken_at > now + timedelta(minutes=5):
        return Reason(
            "snapshot_from_future", N_("The snapshot says it was taken at {taken}, later than now."), {"taken": taken_at}
        )
    if now - taken_at > timedelta(days=age.max_age_days):
        return Reason(
            "snapshot_too_old",
            N_("The snapshot of {taken} is older than the {days} days the policy allows; take a new one."),
            {"taken": taken_at, "days": age.max_age_days},
        )
    return None


@dataclass(frozen=True, slots=True)
class Holds:
    """The legal hold list and its kin.

    Attributes
    ----------
    entries : mapping of RecordKey to str
        Key → code (one of :data:`HELD`).
    source : str
        Where the list came from.
    loaded : bool
        False where there is no list or it could not be read: then every record is protected.
    """

    entries: Mapping[RecordKey, str] = field(default_factory=dict)
    source: str = ""
    loaded: bool = True

    @classmethod
    def absent(cls, source: str = "") -> Holds:
        """No list: protects everything."""
        return cls({}, source, loaded=False)


_HOLD = re.compile(r"^(?P<object>[a-z][a-z0-9_]{0,62})/(?P<id>[^\t]+)(?:\t(?P<code>[a-z_]+)(?:\t.*)?)?$")


def parse_holds(text: str, *, where: str = "holds") -> Holds:
    """Read a hold list: one ``object/id`` per line, then optionally a tab, a code and a tab and a remark.

    An empty list is a list: somebody looked and nothing is held. Lines that start with ``#`` are remarks. The code is one
    of :data:`HELD` and ``legal_hold`` where left out.

    Raises
    ------
    PolicyInvalidError
        A line that cannot be read; half a list is no list.
    """
    entries: dict[RecordKey, str] = {}
    for number, line in enumerate(text.lstrip("\ufeff").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _HOLD.match(line.rstrip("\r"))
        code = (found["code"] or "legal_hold") if found else ""
        if found is None or code not in HELD:
            raise PolicyInvalidError(
                N_("Line {line} of the hold list {where} cannot be read, so nothing may be deleted."),
                next_step=N_("A line is object/id, or object/id, a tab and one of: {known}."),
                line=number,
                where=where,
                known=", ".join(HELD),
            )
        key = RecordKey(found["object"], found["id"].rstrip(" "))
        if entries.get(key) != "legal_hold":
            entries[key] = code
    return Holds(entries, where)
