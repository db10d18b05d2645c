"""Nobody can be read off the lines of the history table, and nothing is lost between what went and the lines."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from steward.scoring.history import OTHERS, Contribution, lines_of

PART = st.tuples(
    st.integers(0, 25), st.integers(2015, 2020), st.sampled_from(["DE", "FR", "CN", ""]), st.integers(1, 4), st.integers(-50, 5_000)
)  # fmt: skip
PARTS = st.lists(PART, max_size=120)


def _contributions(parts: list[tuple[int, int, str, int, int]]) -> list[Contribution]:
    """One per customer, year and segment; a customer keeps one segment, as a record has one country."""
    segment: dict[int, str] = {}
    sums: dict[tuple[int, int], tuple[int, int]] = {}
    for customer, year, own, records, amount in parts:
        segment.setdefault(customer, own)
        before = sums.get((customer, year), (0, 0))
        sums[customer, year] = (before[0] + records, before[1] + amount)
    return [
        Contribution("company", "order", f"secret-{c}", y, segment[c], n, Decimal(a)) for (c, y), (n, a) in sorted(sums.items())
    ]


@settings(max_examples=300, deadline=None, database=None)
@given(PARTS, st.integers(5, 8), st.sampled_from([50.0, 80.0]))
def test_every_line_stands_for_many_and_the_sums_stay(
    parts: list[tuple[int, int, str, int, int]], smallest: int, largest: float
) -> None:
    given_in = _contributions(parts)
    lines, withheld = lines_of(given_in, smallest=smallest, largest_percent=largest)
    assert lines_of(reversed(given_in), smallest=smallest, largest_percent=largest) == (lines, withheld)
    if withheld:
        assert lines == [] and withheld == [("company", "order", len({c.customer for c in given_in}))]
        return
    assert sum(x.records for x in lines) == sum(c.records for c in given_in)
    assert sum((x.amount or Decimal(0) for x in lines), Decimal(0)) == sum(
        (c.amount or Decimal(0) for c in given_in), Decimal(0)
    )
    covered: dict[int, int] = defaultdict(int)
    for line in lines:
        named = {x.segment for x in lines if (x.first_year, x.last_year) == (line.first_year, line.last_year)} - {OTHERS}
        behind = [
            c
            for c in given_in
            if line.first_year <= c.year <= line.last_year
            and (c.segment == line.segment if line.segment != OTHERS else c.segment not in named)
        ]
        people: dict[str, Decimal] = defaultdict(Decimal)
        for c in behind:
            people[c.customer] += c.amount or 0
        assert line.customers == len(people) >= smallest
        assert line.records == sum(c.records for c in behind)
        total = sum(abs(a) for a in people.values())
        assert not total or max(abs(a) for a in people.values()) * 100 <= total * Decimal(str(largest))
        for year in range(line.first_year, line.last_year + 1):
            covered[year] += 1
    for year in {c.year for c in given_in}:  # a year lies in the lines of one span of years, and in no other
        spans = {(x.first_year, x.last_year) for x in lines if x.first_year <= year <= x.last_year}
        assert len(spans) == 1
    assert "secret" not in repr(lines)


def test_a_year_with_enough_keeps_its_own_line() -> None:
    parts = [Contribution("c", "o", f"{n}", 2019, "DE", 1, Decimal(10)) for n in range(12)]
    parts += [Contribution("c", "o", f"{n}", 2018, "FR", 1, Decimal(10)) for n in range(3)]
    lines, withheld = lines_of(parts, smallest=10, largest_percent=80)
    assert withheld == []
    assert [(x.first_year, x.last_year, x.segment, x.customers, x.records) for x in lines] == [(2018, 2019, "*", 12, 15)]
    parts += [Contribution("c", "o", f"{n}", 2018, "FR", 1, Decimal(10)) for n in range(3, 10)]
    lines, _ = lines_of(parts, smallest=10, largest_percent=80)
    assert [(x.first_year, x.last_year, x.segment, x.customers) for x in lines] == [
        (2018, 2018, "FR", 10),
        (2019, 2019, "DE", 12),
    ]


def test_one_large_customer_is_not_read_off() -> None:
    parts = [Contribution("c", "o", f"{n}", 2019, "DE", 1, Decimal(1)) for n in range(30)]
    parts.append(Contribution("c", "o", "large", 2019, "FR", 1, Decimal(1_000_000)))
    assert lines_of(parts, smallest=10, largest_percent=80) == ([], [("c", "o", 31)])
