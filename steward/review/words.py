"""The words of the panel, in the language in force, as one dictionary for the front.

Whole sentences with ``{name}`` places, for word order differs between languages; sentences with a count are made here
with :func:`steward.messages.ngettext` and never put together in the browser.

Left to others: the catalogues (``steward/locale``), numbers and dates (the front, by the language's own rules).
"""

from __future__ import annotations

from steward.decisions import DecisionAction
from steward.messages import N_, _, language, ngettext
from steward.review.pictures.words import words as picture_words

_WORDS = {
    "title": N_("Review"),
    "duplicate": N_("Duplicates"),
    "stale": N_("Stale"),
    "invalid": N_("Invalid"),
    "all": N_("All"),
    "search": N_("Search: words, field:word, -word"),
    "order": N_("Order"),
    "certainty": N_("Surest first"),
    "impact": N_("Most at stake first"),
    "learning": N_("Teaches most first"),
    "size": N_("Largest first"),
    "show": N_("Show"),
    "state_any": N_("Every state"),
    "state_0": N_("Open"),
    "state_1": N_("Decided"),
    "state_2": N_("Deferred"),
    "state_3": N_("Escalated"),
    "state_4": N_("In conflict"),
    "queue": N_("Queue"),
    "comparison": N_("Comparison"),
    "field": N_("Field"),
    "survivor": N_("Survivor"),
    "proposed": N_("proposed"),
    "taken_out": N_("taken out"),
    "missing": N_("missing"),
    "same": N_("same as survivor"),
    "differs": N_("differs from survivor"),
    "only_differences": N_("Only differences"),
    "weights": N_("Why these belong together"),
    "reasons": N_("Reasons"),
    "weakest": N_("Weakest link"),
    "bits": N_("{bits} bits"),
    "probability": N_("Match probability"),
    "score": N_("Score"),
    "hidden_score": N_("Scores are hidden (blind mode)."),
    "prior": N_("before comparing"),
    "sum": N_("sum"),
    "agree": N_("agrees"),
    "partly": N_("agrees partly"),
    "disagree": N_("disagrees"),
    "hangs": N_("What hangs on it"),
    "hangs_nothing": N_("nothing"),
    "latest": N_("latest {date}"),
    "open_business": N_("{count} open"),
    "on_merge_move": N_("merge: moves to the survivor"),
    "on_delete_block": N_("delete: blocked"),
    "on_delete_detach": N_("delete: stays, loses its link"),
    "on_delete_reassign": N_("delete: passes to another"),
    "on_delete_cascade": N_("delete: deleted with it"),
    "on_delete_keep": N_("delete: stays with it"),
    "protected": N_("Protected"),
    "lost": N_("What a merge would lose"),
    "lost_nothing": N_("Nothing: the survivor keeps every value."),
    "lost_line": N_("{field}: {value} (of {id})"),
    "result": N_("After the merge"),
    "from_member": N_("from {id}"),
    "saving": N_("Saving…"),
    "saved": N_("Saved"),
    "not_saved": N_("Not saved"),
    "waiting": N_("Your keys wait until this is worked out…"),
    "not_taken": N_("{key} was not taken: another case is on the screen, or it is still loading. Press it again."),
    "not_here": N_("{action} cannot be decided here."),
    "still_saving": N_("The decision on this case is still being saved."),
    "no_answer": N_("The kernel has not answered yet. Nothing is known to be saved; look whether it still runs."),
    "confirm_again": N_("Press {key} again to confirm, Esc to go back."),
    "empty": N_("No case matches."),
    "finished": N_("No open case is left in this view."),
    "loading": N_("Loading…"),
    "cancel": N_("Cancel"),
    "ok": N_("Decide"),
    "reason": N_("Reason"),
    "reason_hint": N_("optional; stays in the decision log, never in a manifest"),
    "owner": N_("Id of the new owner"),
    "until": N_("Until"),
    "days_7": N_("in a week"),
    "days_30": N_("in a month"),
    "days_90": N_("in three months"),
    "bulk": N_("All open cases shown…"),
    "bulk_title": N_("Decide on many at once"),
    "bulk_action": N_("Action"),
    "bulk_look": N_("Look at the riskiest first:"),
    "bulk_type": N_("Type the number of records to confirm"),
    "bulk_next": N_("Work it out"),
    "bulk_nothing": N_("Nothing can be decided at once here."),
    "undo": N_("Undo"),
    "redo": N_("Redo"),
    "undone": N_("Undone"),
    "redone": N_("Decided again"),
    "nothing_to_undo": N_("Nothing to undo."),
    "nothing_to_redo": N_("Nothing to redo."),
    "next": N_("next"),
    "previous": N_("previous"),
    "members": N_("members"),
    "help": N_("Keys"),
    "close": N_("Close"),
    "take_out": N_("Take out"),
    "choose_survivor": N_("Make survivor"),
    "choose_value": N_("Keep this value"),
    "decided_by": N_("{action} · {reviewer}"),
    "defect": N_("A defect in the panel ({kind}). Nothing was decided; the log is as it was."),
    "of": N_("{done} of {total}"),
    "conflict": N_("In conflict: {first} decided {first_action}, {second} decided {second_action}. Your decision resolves it."),
    "someone": N_("{reviewer} has this case open."),
    "link_conflict": N_("the merged record has the same already; the merge is held back until one of the two is gone"),
    "link_goes": N_("goes, so that the other one stays"),
    "let_link_go": N_("Let this one go"),
    "keep_link": N_("Keep it after all"),
    "kept_by_system": N_("cannot be chosen: the system keeps this field"),
    "memberships": N_("Lists and roles"),
    "survivor_rule": N_("Values of the survivor by"),
    "rule_survivor": N_("its own, blanks from the most recent"),
    "rule_most_recent": N_("the most recent record"),
    "rule_most_complete": N_("the most complete record"),
    "rule_longest": N_("the longest value"),
    "rule_most_common": N_("the most common value"),
    "rule_trusted": N_("the trusted source {source}"),
    "result_own": N_("It keeps its own values."),
    "told": N_("Said and decided before"),
    "mine": N_("Waits for me"),
    "more_filters": N_("More filters"),
    "score_low": N_("Score from, %"),
    "score_high": N_("Score to, %"),
    "protected_any": N_("Protected or not"),
    "protected_yes": N_("Protected"),
    "protected_no": N_("Not protected"),
    "mark": N_("Choose"),
    "marked": N_("chosen"),
    "marked_count": N_("Chosen: {count}"),
    "bulk_marked": N_("All chosen cases…"),
    "split": N_("Split from here on"),
    "until_day": N_("or until the day"),
    "to_whom": N_("To whom"),
    "learn": N_("What the decisions teach"),
    "working": N_("This is being worked out…"),
    "lesson_from": N_("Pairs merged: {together}, told apart: {apart}."),
    "lesson_better": N_("Judged on decisions not learned from: {before} of {all} right before, {after} after."),
    "lesson_worse": N_(
        "The learned weights do no better on decisions they have not seen ({before} of {all} right before, {after} after): keep the old ones."
    ),
    "lesson_pairs": N_("Pairs that rise above the cut: {gained}; that fall below it: {lost}."),
    "lesson_weights": N_("Weights in bits that would change"),
    "lesson_level": N_("level"),
    "lesson_before": N_("before"),
    "lesson_after": N_("after"),
    "lesson_accept": N_("Accept for the next scoring"),
    "lesson_written": N_("Accepted: score again with --definition {file}"),
    "press_again": N_("Press the button again to confirm."),
}

ACTION_WORDS = {
    DecisionAction.MERGE: N_("Merge"),
    DecisionAction.DELETE: N_("Delete"),
    DecisionAction.KEEP: N_("Keep"),
    DecisionAction.NOT_DUPLICATE: N_("Not a duplicate"),
    DecisionAction.ANONYMISE: N_("Anonymise"),
    DecisionAction.DEFER: N_("Later"),
    DecisionAction.ESCALATE: N_("Escalate"),
    DecisionAction.COMMENT: N_("Comment"),
    DecisionAction.REASSIGN: N_("Reassign"),
    DecisionAction.DEACTIVATE: N_("Deactivate"),
    DecisionAction.UNDO: N_("Undo"),
    DecisionAction.REDO: N_("Redo"),
}


def words() -> dict[str, str]:
    """Return every word of the panel in the language in force; ``lang`` is its BCP 47 tag."""
    out = {name: _(english) for name, english in _WORDS.items()}
    out |= {f"do_{action.value}": _(english) for action, english in ACTION_WORDS.items()}
    out |= picture_words()
    out["lang"] = language().replace("_", "-")
    return out


def records(n: int) -> str:
    """``n`` records, in words."""
    return ngettext("{n} record", "{n} records", n).format(n=n)


def cases(n: int) -> str:
    """``n`` cases, in words."""
    return ngettext("{n} case", "{n} cases", n).format(n=n)


def more_members(n: int) -> str:
    """How many members are left out of the comparison, in words."""
    return ngettext(
        "{n} more member is not shown; a decision concerns it as well.",
        "{n} more members are not shown; a decision concerns them as well.",
        n,
    ).format(n=n)


def more_lost(n: int) -> str:
    """How many lost values are not listed, in words."""
    return ngettext("{n} more value would be lost.", "{n} more values would be lost.", n).format(n=n)


def bulk_sentence(n_records: int, n_cases: int, left_out: int) -> str:
    """What a bulk action would do, in words."""
    out = _("This decides on {records} in {cases}.").format(records=records(n_records), cases=cases(n_cases))
    if left_out:
        out += " " + ngettext(
            "{n} case needs a look of its own and is left out.",
            "{n} cases need a look of their own and are left out.",
            left_out,
        ).format(n=left_out)
    return out


def group_sentence(n_records: int, n_cases: int) -> str:
    """What one keystroke decided on, in words."""
    return records(n_records) if n_cases == 1 else f"{records(n_records)} · {cases(n_cases)}"


def because(reason: str, *, steerable: bool) -> str:
    """Return why a survivor is proposed; ``reason`` is a clause in the reader's language."""
    if steerable:
        return _("Proposed: {reason}. It is not the oldest, so whoever can add records could have steered this.").format(
            reason=reason
        )
    return _("Proposed: {reason}.").format(reason=reason)
