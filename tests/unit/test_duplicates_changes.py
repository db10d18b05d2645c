"""What became of clusters between two runs."""

from __future__ import annotations

import pytest

from steward.scoring.duplicates.changes import compare


@pytest.mark.parametrize(
    ("before", "after", "fates"),
    [
        ([["1", "2"]], [["2", "1"]], ["unchanged"]),
        ([["1", "2"]], [["1", "2", "3"]], ["grown"]),
        ([["1", "2", "3"]], [["1", "2"]], ["shrunk"]),
        ([["1", "2"], ["3", "4"]], [["1", "2", "3", "4"]], ["merged"]),
        ([["1", "2", "3", "4"]], [["1", "2"], ["3", "4"]], ["split"]),
        ([["1", "2"], ["3", "4"]], [["1", "3"], ["2", "4"]], ["overlapping"]),
        ([["1", "2"]], [["3", "4"]], ["new", "gone"]),
        ([], [], []),
    ],
)
def test_fates(before: list[list[str]], after: list[list[str]], fates: list[str]) -> None:
    assert [c.fate for c in compare(before, after)] == fates


def test_every_cluster_appears_once() -> None:
    before = [["1", "2"], ["3", "4"], ["5", "6"]]
    after = [["2", "3"], ["5", "6"], ["7", "8"]]
    changes = compare(before, after)
    assert sorted(c for x in changes for c in x.before) == [("1", "2"), ("3", "4"), ("5", "6")]
    assert sorted(c for x in changes for c in x.after) == [("2", "3"), ("5", "6"), ("7", "8")]


def test_a_record_in_two_clusters_is_refused() -> None:
    with pytest.raises(ValueError, match="two clusters"):
        compare([["1", "2"], ["2", "3"]], [])
