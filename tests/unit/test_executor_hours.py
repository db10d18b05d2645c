"""When the executor may work: days, nights, zones, summer time, closed days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from steward.errors import UsageError
from steward.executor.hours import parse_hours

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    hours = parse_hours(["Mon-Fri 20:00-06:00 Europe/Berlin"])
    for text, is_open in (
        ("2026-11-23T19:59", False), ("2026-11-23T20:00", True), ("2026-11-24T05:59", True), ("2026-11-24T06:00", False),
        ("2026-11-28T05:59", True),  # Saturday morning is Friday's night
        ("2026-11-28T20:00", False), ("2026-11-23T05:00", False),  # Monday morning would be Sunday's
    ):  # fmt: skip
        assert hours.is_open(at(text)) is is_open, text
        assert hours.is_open(at(text).astimezone(UTC)) is is_open, text


def test_no_hours_is_always_and_several_spans_add_up() -> None:
    assert parse_hours([]).is_open(at("2026-11-23T12:00"))
    hours = parse_hours(["Sat-Sun 00:00-24:00 Asia/Shanghai", "Wed 12:00-13:00 Asia/Shanghai", "Fri-Mon 22:00-23:00 UTC"])
    shanghai = ZoneInfo("Asia/Shanghai")
    assert hours.is_open(at("2026-11-28T00:00", shanghai)) and hours.is_open(at("2026-11-29T23:59", shanghai))
    assert not hours.is_open(at("2026-11-30T00:00", shanghai)) and hours.is_open(at("2026-11-25T12:59", shanghai))
    assert hours.is_open(at("2026-11-30T22:30", ZoneInfo("UTC"))) and not hours.is_open(at("2026-12-01T22:30", ZoneInfo("UTC")))


def test_closed_days_close_the_day_from_midnight_to_midnight() -> None:
    hours = parse_hours(["Mon-Sun 20:00-06:00 Europe/Berlin"], ["2026-12-24", "2026-12-31/2027-01-02"])
    assert hours.is_open(at("2026-12-23T23:59")) and not hours.is_open(at("2026-12-24T00:00"))
    assert not hours.is_open(at("2026-12-24T23:00")) and hours.is_open(at("2026-12-25T00:00"))
    assert not hours.is_open(at("2027-01-02T21:00")) and hours.is_open(at("2027-01-03T21:00"))


def test_the_next_opening_is_the_first_minute_that_is_open() -> None:
    hours = parse_hours(["Mon-Fri 20:07-06:00 Europe/Berlin"], ["2026-11-23"])
    found = hours.next_opening(at("2026-11-21T12:00:30"))
    assert found == at("2026-11-24T00:00"), "Monday is closed until midnight; what is left of its night is open"
    assert hours.next_opening(at("2026-11-24T06:00")) == at("2026-11-24T20:07")
    for minutes in range(0, 3 * 24 * 60, 97):
        moment = at("2026-11-24T00:00") + timedelta(minutes=minutes)
        found = hours.next_opening(moment)
        assert found is not None and hours.is_open(found) and found >= moment
        assert found == moment or not hours.is_open(found - timedelta(minutes=1))
    assert parse_hours(["Mon 00:00-01:00 UTC"], ["2026-01-01/2030-01-01"]).next_opening(at("2026-11-24T00:00")) is None


def test_summer_time_is_the_zones_business() -> None:
    hours = parse_hours(["Mon-Sun 02:30-03:30 Europe/Berlin"])
    spring = [m for m in range(24 * 60) if hours.is_open(datetime(2026, 3, 28, 23, tzinfo=UTC) + timedelta(minutes=m))]
    autumn = [m for m in range(24 * 60) if hours.is_open(datetime(2026, 10, 24, 22, tzinfo=UTC) + timedelta(minutes=m))]
    assert len(spring) == 30, "half of the span does not exist on that night"
    assert len(autumn) == 90, "half of it exists twice"


@pytest.mark.parametrize(
    "line",
    ["", "always", "Mon 20:00-20:00 UTC", "Mon 25:00-26:00 UTC", "Mon 20:00-06:00", "Mon 20:00-06:00 Mars/Base", "Mo 20:00-06:00 UTC",
     "Mon 20:00-06:00 ../../etc/passwd", "Mon 24:00-06:00 UTC", "Mon  20:00-06:00 UTC"],
)  # fmt: skip
def test_lines_that_are_no_hours_are_refused(line: str) -> None:
    with pytest.raises(UsageError):
        parse_hours([line])


@pytest.mark.parametrize("line", ["", "2026-02-30", "24.12.2026", "2026-12-31/2026-12-24", "2026-12-24 Mars/Base"])
def test_days_that_are_none_are_refused(line: str) -> None:
    with pytest.raises(UsageError):
        parse_hours([], [line])
