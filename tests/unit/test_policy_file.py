"""The policy file: what it may say, what it refuses, and the predicates that rest on it."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta

import pytest

from steward.errors import PolicyInvalidError
from steward.policy import (
    PROTECTIONS,
    Holds,
    Protection,
    blocking,
    default_policy,
    grace_of,
    over_limits,
    parse_holds,
    parse_policy,
    retained_until,
    too_old,
    years_for,
)
from steward.records import RecordKey

LIMITS = """
[limits]
max_records = 100
max_percent_of_object = 5.25
max_drift_percent = 5
max_error_percent = 2
canary = 10
rate_per_minute = 60
window = "any"
"""
TEXT = 'format = "steward-policy/1"\nversion = "1"\n' + LIMITS


def test_digest_is_the_plain_sha256_of_the_text() -> None:
    assert parse_policy(TEXT).digest == hashlib.sha256(TEXT.encode()).hexdigest()


@pytest.mark.parametrize("name", ["default", "demo"])
def test_shipped_policies_are_read(name: str) -> None:
    policy = default_policy(name)
    assert policy.name == name
    assert policy.staleness.months_of("person") == 36
    assert policy.staleness.months_of("note") is None


def test_shares_become_hundredths() -> None:
    signed = parse_policy(TEXT).limits.as_signed()
    assert signed["max_percent_of_object"] == 525
    assert signed["max_error_percent"] == 200


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("", "is empty"),
        ("not toml [", "cannot be used"),
        (TEXT.replace("steward-policy/1", "steward-policy/9"), "says format"),
        (TEXT + "\nsurprise = 1\n", "surprise"),
        (TEXT.replace("max_records = 100\n", ""), "max_records"),
        (TEXT.replace(LIMITS, ""), "limits"),
        (TEXT.replace("max_records = 100", "max_records = -1"), "max_records"),
        (TEXT.replace("max_records = 100", 'max_records = "100"'), "max_records"),
        (TEXT.replace("5.25", "5.255"), "two decimals"),
        (TEXT.replace("5.25", "nan"), "max_percent_of_object"),
        (TEXT.replace('window = "any"', 'window = "always"'), "window"),
        (TEXT + "\n[approvals]\nsoft_alone = 10001\n", "soft_alone"),
        (TEXT + "\n[approvals]\nowner_above = 100001\n", "owner_above"),
        (TEXT + "\n[approvals]\nowner_above_percent = 5.5\n", "owner_above_percent"),
        (TEXT + "\n[approvals]\nseats = 0\n", "seats"),
        (TEXT + "\n[grace]\nsoft_hours = 23\n", "soft_hours"),
        (TEXT + "\n[grace]\nhard_hours = 167\n", "hard_hours"),
        (TEXT + "\n[grace]\nexpires_days = 31\n", "expires_days"),
        (TEXT + "\n[snapshot]\nmax_age_days = 15\n", "max_age_days"),
        (TEXT + "\n[backup]\nretain_days = 0\n", "retain_days"),
        (TEXT + "\n[staleness]\nsignals = 1\n", "signals"),
        (TEXT + "\n[protections.open_deals]\ndays = 3\n", "names a protection open_deals"),
        (TEXT + "\n[protections.open_deal]\napplies = false\n", "without saying why"),
        (TEXT + '\n[protections.legal_hold]\napplies = false\nbecause = "we have none"\n', "legal hold off"),
        (TEXT + "\n[retention.invoice]\nyears = 8\n", "citation"),
        (TEXT + '\n[retention.invoice]\nyears = 8\ncitation = ""\n', "citation"),
    ],
)
def test_refuses(change: str, says: str) -> None:
    with pytest.raises(PolicyInvalidError, match=says):
        parse_policy(change)


def test_zero_means_zero() -> None:
    limits = parse_policy(TEXT.replace("max_records = 100", "max_records = 0")).limits
    assert [r.code for r in over_limits({"contact": 1}, {"contact": 1_000}, limits)] == ["max_records"]
    assert over_limits({}, {}, limits) == ()


def test_limits_count_records_objects_and_shares() -> None:
    limits = parse_policy(TEXT.replace('window = "any"', 'window = "any"\nobjects = { contact = 20 }')).limits
    assert over_limits({"contact": 20}, {"contact": 1_000}, limits) == ()
    assert [r.code for r in over_limits({"contact": 21}, {"contact": 1_000}, limits)] == ["max_records_of_object"]
    assert [r.code for r in over_limits({"company": 53}, {"company": 1_000}, limits)] == ["max_percent_of_object"]
    assert [r.code for r in over_limits({"company": 1}, {}, limits)] == ["max_percent_of_object"]
    assert "53 of 1000" in str(over_limits({"company": 53}, {"company": 1_000}, limits)[0])


def test_what_stops_what() -> None:
    def stopped(action: str, code: str, outcome: str = "keep") -> bool:
        return bool(blocking(action, [Protection(code, outcome, "x")]))  # type: ignore[arg-type]  # outcomes of the table

    for code in (*PROTECTIONS, *(f"unknown_{c}" for c in PROTECTIONS)):
        for action in ("delete", "soft_delete", "hard_delete", "something new"):
            assert stopped(action, code), (action, code)
        assert stopped("anonymise", code), code
    assert not stopped("anonymise", "retention", "anonymise")
    assert stopped("delete", "retention", "anonymise")
    assert not stopped("merge_into", "open_deal")
    assert stopped("merge_into", "unknown_open_deal")
    assert stopped("merge_into", "legal_hold")
    assert stopped("deactivate_user", "legal_hold")
    assert not stopped("deactivate_user", "open_deal")
    assert blocking("delete", []) == ()


def test_retention_ends_with_the_year() -> None:
    assert retained_until(date(2019, 3, 5), 8) == date(2027, 12, 31)
    assert retained_until(date(2020, 2, 29), 1, "event") == date(2021, 2, 28)


def test_country_rules_and_the_unknown_country() -> None:
    rule = default_policy().retention["invoice"]
    assert years_for(rule, "DE")[0] == 8
    assert years_for(rule, "中国") == (30, rule.countries["CN"].citation)
    assert years_for(rule, None)[0] == 30
    assert years_for(rule, "  ")[0] == 30


def test_every_period_of_the_default_has_a_citation() -> None:
    periods = {name: (r.years, r.outcome) for name, r in default_policy().retention.items()}
    assert periods == {"books": (10, "restrict"), "invoice": (8, "restrict"), "letter": (6, "anonymise")}
    assert all("HGB" in r.citation and "17(3)" in r.citation for r in default_policy().retention.values())


def test_grace() -> None:
    grace = default_policy().grace
    assert grace_of(["soft_delete", "merge_into"], grace, sandbox=False) == timedelta(hours=24)
    assert grace_of(["soft_delete", "hard_delete"], grace, sandbox=False) == timedelta(days=7)
    assert grace_of(["hard_delete"], grace, sandbox=True) == timedelta(0)


def test_age_of_a_snapshot() -> None:
    age, now = default_policy().snapshot, datetime(2026, 1, 20, tzinfo=UTC)
    assert too_old(now - timedelta(days=14), now, age) is None
    assert too_old(now - timedelta(days=14, seconds=1), now, age).code == "snapshot_too_old"  # type: ignore[union-attr]  # not None
    assert too_old(now + timedelta(hours=1), now, age).code == "snapshot_from_future"  # type: ignore[union-attr]  # not None


def test_hold_list() -> None:
    holds = parse_holds("\ufeff# seen by legal\n\ncontact/0012\r\ncontact/7\topt_out\tasked by mail\ncontact/7\tlegal_hold\n")
    assert holds.loaded
    assert holds.entries == {RecordKey("contact", "0012"): "legal_hold", RecordKey("contact", "7"): "legal_hold"}
    assert parse_holds("").loaded
    assert not Holds.absent().loaded


@pytest.mark.parametrize("line", ["contact", "contact/1\tlegal hold", "Contact/1", "contact/1\tnone_such\tx", "/1"])
def test_half_a_hold_list_is_no_list(line: str) -> None:
    with pytest.raises(PolicyInvalidError, match="Line 2"):
        parse_holds("contact/5\n" + line + "\n")
