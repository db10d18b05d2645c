"""From what single customers did to lines that stand for many: the rule by which nobody can be read off the history table.

Pure: contributions in, lines out. A line stands for at least ``smallest`` different customers, and no single one makes up more
than ``largest_percent`` of its amount (the dominance rule of official statistics). What is smaller is put together, never
left out: first the small segments of a year into ``*``, then ``*`` with the smallest segment, then whole years with their
neighbours. So the sum over all lines is the sum over all contributions, and no line is the difference of two others, for no
totals are written beside the parts (but those of anonymised customers, whose parts are all there: ``moved_lines``).

Left to others: whose contributions (``figures``), keeping the lines (``table``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

OTHERS = "*"
"""The segment of customers that are too few for one of their own."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one customer adds to a figure in one year. Personal data: it never leaves this module but in a line."""

    customers_of: str
    figure: str
    customer: str
    year: int
    segment: str
    records: int
    amount: Decimal | None


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One line of the history table.

    Attributes
    ----------
    customers_of : str
        Object whose customers are counted, e.g. ``company``.
    figure : str
        Name of the figure, e.g. ``order``.
    first_year, last_year : int
        Equal but where years had to be put together.
    segment : str
        ``*`` for all that are not named.
    customers, records : int
        Negative where the line takes from the empty segment what anonymised customers left in it (``moved_lines``).
    amount : Decimal or None
        None where the figure has no worth, or no row of it had.
    """

    customers_of: str
    figure: str
    first_year: int
    last_year: int
    segment: str
    customers: int
    records: int
    amount: Decimal | None


@dataclass
class _Cell:
    """Contributions that will share a line."""

    first: int
    last: int
    amounts: dict[str, Decimal] = field(default_factory=dict)
    records: int = 0
    valued: bool = False

    def add(self, one: Contribution) -> None:
        self.amounts[one.customer] = self.amounts.get(one.customer, Decimal(0)) + (one.amount or 0)
        self.records += one.records
        self.valued = self.valued or one.amount is not None

    def take(self, other: _Cell) -> None:
        for customer, amount in other.amounts.items():
            self.amounts[customer] = self.amounts.get(customer, Decimal(0)) + amount
        self.records += other.records
        self.valued = self.valued or other.valued
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)

    def may_stand(self, smallest: int, largest_percent: float) -> bool:
        """Whether nobody can be read off it."""
        if len(self.amounts) < smallest:
            return False
        sizes = [abs(a) for a in self.amounts.values()]
        total = sum(sizes)
        return not total or max(sizes) * 100 <= total * Decimal(str(largest_percent))


def lines_of(
    found: Iterable[Contribution], *, smallest: int, largest_percent: float
) -> tuple[list[Line], list[tuple[str, str, int]]]:
    """Return lines in which nobody can be read off, and what no line may be made of.

    Parameters
    ----------
    smallest : int
        Least number of different customers behind a line.
    largest_percent : float
        Most that one customer may make up of the amounts of a line, in percent.

    Returns
    -------
    lines : list of Line
        Sorted.
    withheld : list of (str, str, int)
        Object, figure and number of customers where even all years and segments together are too few.
    """
    grouped: dict[tuple[str, str], list[Contribution]] = defaultdict(list)
    for one in found:
        grouped[one.customers_of, one.figure].append(one)
    lines: list[Line] = []
    withheld: list[tuple[str, str, int]] = []
    for (customers_of, figure), parts in sorted(grouped.items()):
        cells = _years(parts, smallest, largest_percent)
        if cells is None:
            withheld.append((customers_of, figure, len({p.customer for p in parts})))
            continue
        lines += [
            Line(customers_of, figure, c.first, c.last, s, len(c.amounts), c.records, sum(c.amounts.values(), Decimal(0)) if c.valued else None)
            for s, c in cells
        ]  # fmt: skip
    return sorted(lines, key=lambda x: (x.customers_of, x.figure, x.first_year, x.last_year, x.segment)), withheld


def moved_lines(lines: Iterable[Line]) -> list[Line]:
    """Return lines of customers who stay, but without their segment, and for each span of years one that takes them out again.

    Anonymised customers keep their documents, which reports now find in the empty segment. Their figures are written to the
    segment they were in, and taken from the empty one, so that both read as before. What is taken is the sum of what is
    written and tells nothing more; therefore moved and deleted customers never share a line.
    """
    written = list(lines)
    taken: dict[tuple[str, str, int, int], list[Line]] = defaultdict(list)
    for line in written:
        taken[line.customers_of, line.figure, line.first_year, line.last_year].append(line)
    for place, parts in taken.items():
        amounts = [p.amount for p in parts if p.amount is not None]
        amount = -sum(amounts, Decimal(0)) if amounts else None
        written.append(Line(*place, "", -sum(p.customers for p in parts), -sum(p.records for p in parts), amount))
    return sorted(written, key=lambda x: (x.customers_of, x.figure, x.first_year, x.last_year, x.segment))


def _years(parts: list[Contribution], smallest: int, largest: float) -> list[tuple[str, _Cell]] | None:
    """Return (segment, cell) of one figure; None where nothing may stand."""
    per_year: dict[int, dict[str, _Cell]] = defaultdict(dict)
    for one in parts:
        per_year[one.year].setdefault(one.segment, _Cell(one.year, one.year)).add(one)
    done: list[list[tuple[str, _Cell]]] = []
    waiting: _Cell | None = None
    for year in sorted(per_year):
        cells = _segments(per_year[year], smallest, largest)
        if waiting is not None or not all(c.may_stand(smallest, largest) for _s, c in cells):
            whole = waiting or _Cell(year, year)
            for _segment, cell in cells:
                whole.take(cell)
            if not whole.may_stand(smallest, largest):
                waiting = whole
                continue
            cells, waiting = [(OTHERS, whole)], None
        done.append(cells)
    while waiting is not None:  # the newest years are too few: they go with those before
        if not done:
            return None
        for _segment, cell in done.pop():
            waiting.take(cell)
        if waiting.may_stand(smallest, largest):
            done.append([(OTHERS, waiting)])
            waiting = None
    return [pair for cells in done for pair in cells]


def _segments(cells: dict[str, _Cell], smallest: int, largest: float) -> list[tuple[str, _Cell]]:
    """Put the small segments of one year together; what comes out may still be too small for a line."""
    kept = {s: c for s, c in cells.items() if s != OTHERS and c.may_stand(smallest, largest)}
    rest: _Cell | None = None
    for segment, cell in cells.items():
        if segment not in kept:
            rest = rest or _Cell(cell.first, cell.last)
            rest.take(cell)
    while rest is not None and kept and not rest.may_stand(smallest, largest):
        least = min(kept, key=lambda s: (len(kept[s].amounts), s))
        rest.take(kept.pop(least))
    return [*kept.items(), *([(OTHERS, rest)] if rest is not None else [])]
