"""The decision log's fold: what holds now is a function of the log alone."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from steward.decisions import Decision, DecisionAction, fold
from steward.errors import DecisionError
from steward.records import RecordKey

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
A, B, C = (RecordKey("contact", i) for i in "abc")
_n = iter(range(10_000))


def decide(key: RecordKey, action: str, reviewer: str = "anna", **more: object) -> Decision:
    n = next(_n)
    base: dict[str, object] = {"id": f"d{n}", "group": f"g{n}", "case_id": "case", "key": key, "reviewer": reviewer, "at": NOW}
    return Decision(action=DecisionAction(action), **(base | more))  # type: ignore[arg-type]  # built from a mapping


def test_the_last_word_of_one_reviewer_holds() -> None:
    standing = fold([decide(A, "delete"), decide(A, "keep")])
    assert standing.by_key[A].action == "keep" and not standing.conflicts and not standing.destructive()


def test_two_people_who_differ_are_a_conflict_and_nothing_happens_to_the_record() -> None:
    standing = fold([decide(A, "delete", "anna"), decide(A, "keep", "ben"), decide(B, "delete", "anna")])
    assert [c.key for c in standing.conflicts] == [A]
    assert [d.key for d in standing.destructive()] == [B]


def test_a_named_person_resolves_a_conflict_and_the_clock_never_does() -> None:
    first = decide(A, "delete", "anna", at=datetime(2030, 1, 1, tzinfo=UTC))
    second = decide(A, "keep", "ben", supersedes=first.id)
    standing = fold([first, second])
    assert not standing.conflicts and standing.by_key[A] is second


def test_undo_and_redo_work_on_the_whole_keystroke() -> None:
    one, two = decide(A, "merge_into", target="b", group="k"), decide(C, "merge_into", target="b", group="k")
    undo = decide(A, "undo", undoes="k")
    assert fold([one, two, undo]).by_key == {}
    assert set(fold([one, two, undo, decide(A, "redo", undoes="k")]).by_key) == {A, C}


def test_a_rule_never_overrules_a_person() -> None:
    person, rule = decide(A, "keep", "anna"), decide(A, "delete", "rule:stale")
    for log in ([person, rule], [rule, person]):
        standing = fold(log)
        assert standing.by_key[A] is person and not standing.conflicts


@pytest.mark.parametrize(
    ("action", "more"),
    [
        ("merge_into", {}), ("merge_into", {"target": "a"}), ("delete", {"target": "b"}), ("defer", {}), ("keep", {"until": date(2027, 1, 1)}),
        ("undo", {}), ("delete", {"undoes": "g"}), ("keep", {"reviewer": ""}),
    ],
)  # fmt: skip
def test_a_decision_that_says_half_is_refused(action: str, more: dict[str, object]) -> None:
    with pytest.raises(DecisionError):
        decide(A, action, **more)
