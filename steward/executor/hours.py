"""When this executor may work, by the clock on the wall of the people whose CRM it is.

``hours = ["Mon-Fri 20:00-06:00 Europe/Berlin", "Sat-Sun 00:00-24:00 Europe/Berlin"]``: days, a span and a time zone; a span past
midnight belongs to the day on which it begins. ``closed = ["2026-12-24", "2026-12-31/2027-01-02 Europe/Berlin"]``: days on which
nothing starts (without a zone: in every zone of ``hours``). No hours means always. Summer time is the zone's business: on the
night the clock is changed a span is an hour longer or shorter, as it is for people.

Left to others: the signed window of a manifest (``gates``), which holds as well; asking before every batch (``gates``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from steward.errors import UsageError
from steward.messages import N_

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_SPAN = re.compile(
    rf"({'|'.join(DAYS)})(?:-({'|'.join(DAYS)}))? ([01][0-9]|2[0-3]):([0-5][0-9])-(?:([01][0-9]|2[0-3]):([0-5][0-9])|(24):(00)) (\S+)"
)
_CLOSED = re.compile(r"(\d{4}-\d{2}-\d{2})(?:/(\d{4}-\d{2}-\d{2}))?(?: (\S+))?")


@dataclass(frozen=True, slots=True)
class Span:
    """Some days of the week, from a minute of the day to another; ``end`` ≤ ``start`` is the day after."""

    days: frozenset[int]
    start: int
    end: int
    zone: ZoneInfo

    def holds(self, moment: datetime) -> bool:
        """True where ``moment`` (aware) is inside."""
        local = moment.astimezone(self.zone)
        minute = local.hour * 60 + local.minute
        today, before = local.weekday() in self.days, (local.weekday() - 1) % 7 in self.days
        if self.start < self.end:
            return today and self.start <= minute < self.end
        return (today and minute >= self.start) or (before and minute < self.end)


@dataclass(frozen=True, slots=True)
class Hours:
    """All spans, and the days on which nothing starts. Made by :func:`parse_hours`."""

    spans: tuple[Span, ...]
    closed: tuple[tuple[date, date, ZoneInfo], ...]

    def is_open(self, moment: datetime) -> bool:
        """True where work may start at ``moment`` (aware)."""
        if any(first <= moment.astimezone(zone).date() <= last for first, last, zone in self.closed):
            return False
        return not self.spans or any(span.holds(moment) for span in self.spans)

    def next_opening(self, moment: datetime) -> datetime | None:
        """Return the first minute from ``moment`` on at which work may start, in UTC; None where there is none in 400 days."""
        at = moment.astimezone(UTC).replace(second=0, microsecond=0)
        if at < moment:
            at += timedelta(minutes=1)
        end = at + timedelta(days=400)
        while at < end:
            if self.is_open(at):
                return at
            # Spans begin at a minute, closed days at midnight, zones stand at quarters of an hour: a quarter is never too far.
            step = 15 - at.minute % 15
            nearer = [m for m in range(1, step) if self.is_open(at + timedelta(minutes=m))]
            if nearer:
                return at + timedelta(minutes=nearer[0])
            at += timedelta(minutes=step)
        return None


def parse_hours(hours: Sequence[str], closed: Sequence[str] = ()) -> Hours:
    """Read both lists of the configuration.

    Raises
    ------
    UsageError
        A line that is none, or a zone that this system does not know.
    """
    spans = tuple(_span(line) for line in hours)
    zones = {span.zone.key: span.zone for span in spans} or {"UTC": ZoneInfo("UTC")}
    shut: list[tuple[date, date, ZoneInfo]] = []
    for line in closed:
        match = _CLOSED.fullmatch(line)
        try:
            if match is None:
                raise ValueError
            first = date.fromisoformat(match[1])
            last = date.fromisoformat(match[2]) if match[2] else first
        except ValueError:
            raise _wrong(line) from None
        if last < first:
            raise _wrong(line)
        shut += [(first, last, zone) for zone in ([_zone(match[3], line)] if match[3] else zones.values())]
    return Hours(spans, tuple(shut))


def _span(line: str) -> Span:
    match = _SPAN.fullmatch(line)
    if match is None:
        raise _wrong(line)
    first, last, h1, m1, h2, m2, h24, _m24, zone = match.groups()
    a, b = DAYS.index(first), DAYS.index(last or first)
    days = range(a, b + 1) if a <= b else [*range(a, 7), *range(b + 1)]
    start, end = int(h1) * 60 + int(m1), 24 * 60 if h24 else int(h2) * 60 + int(m2)
    if start == end:
        raise _wrong(line)
    return Span(frozenset(days), start, end, _zone(zone, line))


def _zone(name: str, line: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise _wrong(line) from None


def _wrong(line: str) -> UsageError:
    return UsageError(
        N_("{line} are no hours."), next_step=N_("Write them like: Mon-Fri 20:00-06:00 Europe/Berlin."), line=line
    )
