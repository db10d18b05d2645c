"""The words of the pictures' front, in the language in force. Left to others: texts inside a picture (its own module)."""

from __future__ import annotations

from steward.messages import N_, _
from steward.review.pictures.scores import CUT_WORDS

_WORDS = {
    "pictures": N_("Pictures"),
    "picture_scores": N_("Scores"),
    "picture_heat": N_("Silence by worth"),
    "picture_related": N_("What hangs on it"),
    "picture_waterfall": N_("Why these belong together"),
    "picture_stand": N_("Trend"),
    "picture_execution": N_("Before and after"),
    "as_table": N_("As a table"),
}


def words() -> dict[str, str]:
    """Return the words, by the names the front knows."""
    return {name: _(english) for name, english in (_WORDS | CUT_WORDS).items()}
