"""What the decisions so far would teach the linkage: shown on request, changed only by a named person who accepts it.

Accepting writes a linkage definition beside the snapshots; the next ``steward score --definition`` uses it. Nothing that is
on the screen changes by it.

Left to others: learning (``steward.scoring.duplicates.learning``), the messages (``steward.review.conversation``).
"""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steward.errors import DecisionError
from steward.messages import N_, _
from steward.review.words import records

if TYPE_CHECKING:
    from steward.review.session import ReviewSession
    from steward.scoring.duplicates.learning import Lesson

Message = dict[str, Any]
_EXAMPLES = 12
_LEAST_MOVE = 0.05  # bits


class Teaching:
    """The lesson of one session, from asking to accepting."""

    def __init__(self, session: ReviewSession) -> None:
        self._session = session
        self._lesson: Lesson | None = None

    def preview(self, object: str) -> Message:
        """Work out what the decisions would change; stores nothing.

        Raises
        ------
        ScoringError
            Too little is decided, or the object was not scored for duplicates.
        """
        from steward.scoring.duplicates.learning import lesson_for

        self._lesson = None
        session = self._session
        session.refresh()
        lesson = lesson_for(session.ws, session.snapshot, object, session.live.standing())
        self._lesson = lesson
        counts: Counter[str] = Counter(c.fate for c in lesson.changes)
        moved = [c for c in lesson.changes if c.fate != "unchanged"]
        fates: dict[str, str] = {
            "grown": _("grown"), "shrunk": _("shrunk"), "merged": _("merged"), "split": _("split"),
            "overlapping": _("overlapping"), "new": _("new"), "gone": _("gone"), "unchanged": _("unchanged"),
        }  # fmt: skip
        return {
            "type": "lesson", "object": object, "together": len(lesson.labels.together), "apart": len(lesson.labels.apart),
            "better": lesson.better, "right": list(lesson.right), "of": len(lesson.labels), "surprise": list(lesson.fit),
            "gained": lesson.gained, "lost": lesson.lost, "cut": list(lesson.cut),
            "fates": [[word, counts.get(fate, 0)] for fate, word in fates.items() if counts.get(fate, 0)],
            "examples": [
                {"fate": fates[c.fate], "before": [" · ".join(g) for g in c.before[:4]], "after": [" · ".join(g) for g in c.after[:4]],
                 "records": records(len({m for g in (*c.before, *c.after) for m in g}))}
                for c in moved[:_EXAMPLES]
            ],
            "weights": [
                {"field": f.field, "level": level, "before": old, "after": new, "seen": seen}
                for f in lesson.fields
                for level, old, new, seen in zip(f.levels, f.before, f.after, f.seen, strict=True)
                if abs(new - old) >= _LEAST_MOVE
            ],
        }  # fmt: skip

    def accept(self, today: date) -> Path:
        """Write the learned definition beside the snapshots and return its file.

        Raises
        ------
        DecisionError
            Nothing was shown that could be accepted, or the file cannot be written.
        """
        self._session.may_write()
        if self._lesson is None:
            raise DecisionError(N_("Look first at what would change."))
        lesson = self._lesson
        file = self._session.ws.path / f"linkage-{lesson.object}-{lesson.digest[:12]}.toml"
        who = " ".join(self._session.reviewer.split())
        head = (
            f"# Learned from {len(lesson.labels.together)} pairs merged and {len(lesson.labels.apart)} told apart on snapshot "
            f"{self._session.snapshot.digest[:16]};\n# shown to and accepted by {who} on {today.isoformat()}.\n"
        )
        try:
            file.write_text(head + lesson.definition.toml(), encoding="utf-8")
        except OSError as error:
            raise DecisionError(
                N_("{file} cannot be written: {problem}"), file=file.name, problem=error.strerror or ""
            ) from None
        return file
