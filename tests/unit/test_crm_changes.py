"""From which moment on changes are asked for, and which times can be trusted."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from steward.crm.changes import OVERLAP, UNKNOWN_CLOCK, Before, Changes, changes_of, settled, some, time_of
from steward.crm.mapping import ObjectMapping
from steward.crm.sql_changes import moment_of

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def test_changes_are_asked_for_from_before_the_reading_by_the_vendors_clock() -> None:
    assert Before(NOON, 0.0, 1).since == NOON - OVERLAP
    assert Before(NOON, -3_600.0, 1).since == NOON - OVERLAP - timedelta(hours=1)
    assert Before(NOON, 90.0, 1).since == NOON - OVERLAP + timedelta(seconds=90)


def test_a_clock_that_nobody_compared_may_be_a_day_off() -> None:
    assert Before(NOON, None, 1).since == NOON - OVERLAP - UNKNOWN_CLOCK


def test_the_moment_is_in_utc_whatever_zone_the_reading_was_noted_in() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=9)))
    assert Before(there, 0.0, 1).since.utcoffset() == timedelta(0)
    assert Before(there, 0.0, 1).since == NOON - OVERLAP


@pytest.mark.parametrize(
    ("said", "good"),
    [
        (NOON - timedelta(minutes=16), True),
        (NOON - timedelta(minutes=15), False),  # the very border is not before it
        (NOON, False),
        (NOON + timedelta(days=1), False),
        (None, False),
    ],
)
def test_only_what_lies_well_before_the_reading_is_settled(said: datetime | None, good: bool) -> None:
    assert settled(said, Before(NOON, 0.0, 1)) is good


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2026-05-01T12:00:00Z", NOON),
        ("2026-05-01T14:00:00+02:00", NOON),
        ("2026-05-01T12:00:00.000Z", NOON),
        ("2026-05-01 12:00:00", NOON),
        ("2026-05-01", NOON.replace(hour=0)),
        ("", None),
        (None, None),
        ("01.05.2026", None),
        ("yesterday", None),
    ],
)
def test_times_are_known_or_not_and_never_guessed(text: str | None, found: datetime | None) -> None:
    assert time_of(text) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (1_777_636_800, NOON),
        (1_777_636_800.0, NOON),
        (1_777_636_800_000, NOON),
        (NOON, NOON),
        (NOON.replace(tzinfo=None), NOON),
        (date(2026, 5, 1), NOON.replace(hour=0)),
        ("2026-05-01 12:00:00", NOON),
        (0, None),
        (-5, None),
        (10**18, None),
        (True, None),
        (b"\x00", None),
        (None, None),
        ("3", None),
    ],
)
def test_a_stored_time_in_any_of_its_forms(value: Any, found: datetime | None) -> None:
    assert moment_of(value) == found


def test_a_reader_that_nobody_knows_is_read_whole() -> None:
    class Strange:
        connector_version = "strange/3"

    made = changes_of(Strange(), ObjectMapping(key="id", name="x"), Before(NOON, 0.0, 5))
    assert type(made) is Changes and made.way == "whole"
    assert not list(made.changed()) and not list(made.sweep()) and not list(made.gone()) and made.live() is None


def test_parts_hold_all_and_no_more() -> None:
    ids = [str(n) for n in range(7)]
    assert [list(p) for p in some(ids, 3)] == [["0", "1", "2"], ["3", "4", "5"], ["6"]]
    assert not list(some([], 3))
