"""The anonymous history table: counts and worth per year and segment of customers that are gone, so that old reports hold.

``figures`` computes, ``anonymous`` sees to it that nobody can be read off, ``table`` keeps. It is part of the side that
analyses: it reads the receipt of an execution and the snapshot from before, and changes no CRM.
"""

from __future__ import annotations

from steward.scoring.history.anonymous import OTHERS, Contribution, Line, lines_of
from steward.scoring.history.figures import YearFigure, contributions, figures_of
from steward.scoring.history.table import Added, add_executions, read_history

__all__ = [
    "OTHERS",
    "Added",
    "Contribution",
    "Line",
    "YearFigure",
    "add_executions",
    "contributions",
    "figures_of",
    "lines_of",
    "read_history",
]
