"""Rows of subforms come back to their own record, or become rejects; never to another record."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from steward.store.delimited import Broken
from steward.store.subforms import Line, cut, dotted, two_rows

SUBFORMS = {"items": ("items.a", "items.b"), "notes": ("notes.c",)}
text = st.text(alphabet="xyz", min_size=1, max_size=2)
record = st.tuples(text, st.lists(st.tuples(text, st.none() | text), max_size=4), st.lists(text, max_size=3))
Rows = list[tuple[int, dict[str, str | None]]]


def _written(records: list[tuple[str, list[tuple[str, str | None]], list[str]]], repeat: bool) -> tuple[Rows, dict[int, int]]:
    """Write records as an export does; return rows, and row → record."""
    rows: Rows = []
    owner: dict[int, int] = {}
    for number, (name, items, notes) in enumerate(records):
        for place in range(max(1, len(items), len(notes))):
            own = place == 0 or repeat
            a, b = items[place] if place < len(items) else (None, None)
            note = notes[place] if place < len(notes) else None
            owner[len(rows)] = number
            rows.append(
                (
                    len(rows),
                    {
                        "id": f"r{number}" if own else None,
                        "name": name if own else None,
                        "items.a": a,
                        "items.b": b,
                        "notes.c": note,
                    },
                )
            )
    return rows, owner


@given(st.lists(record, min_size=1, max_size=6), st.booleans())
def test_every_row_comes_back_to_its_record(
    records: list[tuple[str, list[tuple[str, str | None]], list[str]]], repeat: bool
) -> None:
    rows, owner = _written(records, repeat)
    lines = [line for line in cut(rows, "id", SUBFORMS) if isinstance(line, Line)]
    assert len(lines) == len(rows)
    assert [line.key for line in lines] == [f"r{owner[line.number]}" for line in lines]
    assert [line.key for line in lines if line.begins] == [f"r{n}" for n in range(len(records))]
    for number, (_, items, notes) in enumerate(records):
        mine = [line for line in lines if line.key == f"r{number}"]
        assert [line.places["items"] for line in mine if "items" in line.places] == list(range(1, len(items) + 1))
        assert [line.values["notes.c"] for line in mine if "notes" in line.places] == notes


@given(st.lists(record, min_size=2, max_size=6), st.booleans(), st.data())
def test_after_a_line_that_cannot_be_read_no_row_goes_to_another_record(
    records: list[tuple[str, list[tuple[str, str | None]], list[str]]], repeat: bool, data: st.DataObject
) -> None:
    rows, owner = _written(records, repeat)
    lost = data.draw(st.integers(0, len(rows) - 1))
    damaged = [Broken(n, "cannot be read", "", b"") if n == lost else (n, values) for n, values in rows]
    seen = list(cut(damaged, "id", SUBFORMS))
    assert len(seen) == len(rows)
    for line in seen:
        if isinstance(line, Line):
            assert line.key == f"r{owner[line.number]}"


@given(st.lists(record, min_size=2, max_size=6), st.data())
def test_a_row_that_contradicts_its_record_is_a_reject(
    records: list[tuple[str, list[tuple[str, str | None]], list[str]]], data: st.DataObject
) -> None:
    rows, owner = _written(records, True)
    wrong = data.draw(st.integers(0, len(rows) - 1))
    begins = wrong == 0 or owner[wrong - 1] != owner[wrong]
    rows[wrong][1]["name"] = "other"
    problems = {line.line for line in cut(rows, "id", SUBFORMS) if isinstance(line, Broken)}
    assert problems == ({n for n in owner if owner[n] == owner[wrong] and n != wrong} if begins else {wrong})


def test_rows_without_a_record_above_are_rejects() -> None:
    rows: Rows = [
        (2, {"id": None, "name": None, "items.a": "x", "items.b": None, "notes.c": None}),
        (3, {"id": None, "name": "n", "items.a": "x", "items.b": None, "notes.c": None}),
    ]
    assert [line.problem for line in cut(rows, "id", SUBFORMS) if isinstance(line, Broken)] == ["has no id", "has no id"]


def test_a_header_of_one_row_is_left_alone() -> None:
    first = {0: "a", 1: "b", 2: "c"}
    assert two_rows(first, {0: "1", 1: "2"}, [], 1) is None
    assert two_rows(first, {0: "1"}, [(1, 2, 0, 0)], 1) is None  # a value under a merged cell is a row
    assert two_rows(first, {}, [(1, 2, 0, 2)], 1) is None
    assert two_rows({0: "a", 1: "t"}, {1: "x", 2: "y"}, [(1, 2, 0, 0), (1, 1, 1, 2)], 1) == (
        {0: "a", 1: "t.x", 2: "t.y"},
        {"t": ("t.x", "t.y")},
    )


def test_dots_in_headers_are_subforms_only_where_rows_go_on() -> None:
    header = ["id", "No. of items", "v1.2", "t.x", "t.y"]
    once = [{"id": "1"}, {"id": "2"}]
    assert dotted(header, once, "id") == {}
    assert dotted(header, [{"id": "1"}, {"id": None}], "id") == {"t": ("t.x", "t.y")}
    assert dotted(header, [{"id": "1"}, {"id": "1"}], "id") == {"t": ("t.x", "t.y")}
    assert dotted(header, [{"id": "1"}, {"id": None}], None) == {}
