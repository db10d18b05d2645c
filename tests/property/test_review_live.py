"""The running fold equals the fold of the whole log, and undo/redo are a pure function of the log."""

from __future__ import annotations

from datetime import UTC, date, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from steward.decisions import Decision, DecisionAction, fold
from steward.records import RecordKey
from steward.review.live import History, LiveFold

AT = datetime(2026, 11, 25, tzinfo=UTC)
KEYS = [RecordKey("contact", f"{i}") for i in range(5)]
PEOPLE = ["anna", "boris", "rule:safe"]
ACTIONS = [a for a in DecisionAction if a not in (DecisionAction.UNDO, DecisionAction.REDO)]


@st.composite
def logs(draw: st.DrawFn) -> list[Decision]:
    """A log with groups, undo, redo, supersession and members told apart, in any order a team could make it."""
    out: list[Decision] = []
    groups: list[str] = []
    for n in range(draw(st.integers(0, 25))):
        who = draw(st.sampled_from(PEOPLE))
        if groups and draw(st.integers(0, 3)) == 0:
            action = draw(st.sampled_from([DecisionAction.UNDO, DecisionAction.REDO]))
            out.append(Decision(f"d{n}", f"m{n}", "c", KEYS[0], action, who, AT, undoes=draw(st.sampled_from(groups))))
            continue
        group = f"g{n}"
        groups.append(group)
        for k in draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=3, unique=True)):
            action = draw(st.sampled_from(ACTIONS))
            words: dict[str, object] = {}
            if action in (DecisionAction.MERGE, DecisionAction.REASSIGN):
                words["target"] = draw(st.sampled_from([x.id for x in KEYS if x != k]))
            if action is DecisionAction.DEFER:
                words["until"] = date(2027, 1, 1)
            if action is DecisionAction.NOT_DUPLICATE and draw(st.booleans()):
                words["choices"] = {draw(st.sampled_from([x.id for x in KEYS if x != k])): "apart"}
            if out and draw(st.integers(0, 2)) == 0:
                words["supersedes"] = " ".join(d.id for d in draw(st.lists(st.sampled_from(out), min_size=1, max_size=2)))
            out.append(Decision(f"d{n}-{k.id}", group, "c", k, action, who, AT, **words))  # type: ignore[arg-type]  # built from a dictionary
    return out


@settings(max_examples=200, deadline=None)
@given(logs(), st.data())
def test_the_running_fold_equals_the_fold_at_every_step(log: list[Decision], data: st.DataObject) -> None:
    live = LiveFold()
    done = 0
    while done < len(log):
        step = data.draw(st.integers(1, 4))
        before = live.standing()
        touched = live.add(log[done : done + step])
        done += step
        after = fold(log[:done])
        assert live.standing() == after
        changed = {k for k in KEYS if before.by_key.get(k) != after.by_key.get(k)}
        assert changed <= touched  # nothing changes without being reported: the queue relies on it
    merged = {(d.key, d.target) for d in live.by_key.values() if d.action is DecisionAction.MERGE}
    assert {(k, t.id) for t, keys in live.merged_into.items() for k in keys} == merged


@settings(max_examples=200, deadline=None)
@given(logs())
def test_history_says_what_a_list_of_done_and_undone_groups_says(log: list[Decision]) -> None:
    history = History("anna")
    history.add(log)
    again = History("anna")
    for entry in log:
        again.add([entry])
    assert (history.done, history.undone) == (again.done, again.undone)
    undone = fold(log).undone_groups
    mine = {d.group for d in log if d.reviewer == "anna" and d.undoes is None}
    assert set(history.done) == mine - undone
    assert set(history.undone) <= undone
