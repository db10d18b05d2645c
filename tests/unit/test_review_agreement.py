"""Agreement of two reviewers, against figures worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime

from steward.decisions import Decision, DecisionAction
from steward.records import RecordKey
from steward.review.agreement import agreement

AT = datetime(2026, 11, 25, tzinfo=UTC)


def log(who: str, answers: str) -> list[Decision]:
    """One letter per record: d delete, k keep."""
    action = {"d": DecisionAction.DELETE, "k": DecisionAction.KEEP}
    return [
        Decision(f"{who}{n}", f"{who}{n}", "c", RecordKey("contact", f"{n:03}"), action[a], who, AT)
        for n, a in enumerate(answers)
    ]


def test_kappa_of_the_textbook() -> None:
    # 20 both yes, 15 both no, 5 and 10 apart: observed .70, chance .50, kappa .40
    found = agreement(
        log("a", "d" * 20 + "d" * 5 + "k" * 10 + "k" * 15) + log("b", "d" * 20 + "k" * 5 + "d" * 10 + "k" * 15), "a", "b"
    )
    assert (found.records, round(found.observed, 6), round(found.kappa or 0, 6)) == (50, 0.7, 0.4)
    assert len(found.differ) == 15


def test_full_agreement_on_one_answer_says_nothing_about_chance() -> None:
    assert agreement(log("a", "dd") + log("b", "dd"), "a", "b").kappa is None
    assert agreement(log("a", "dd"), "a", "b").records == 0


def test_an_undone_answer_does_not_count() -> None:
    undo = Decision("u", "m", "c", RecordKey("contact", "000"), DecisionAction.UNDO, "a", AT, undoes="a0")
    assert agreement([*log("a", "dk"), *log("b", "kk"), undo], "a", "b").records == 1
