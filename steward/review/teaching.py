"""Which cases teach most: duplicates that were scored with a model, in the order in which deciding them improves it most.

Where no model is stored with the snapshot (scored by somebody's own classifier, or by no weights at all) nothing is known of
what a decision would teach, and the queue falls back to the cases nearest to even odds.

Left to others: what makes a pair teach (``steward.scoring.duplicates.teaching``), the queue's other orders
(``steward.review.cases``), what decisions have taught (``steward.review.learning``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from steward.decisions import Standing
from steward.records import Snapshot

if TYPE_CHECKING:
    from steward.store import Workspace


def teaching_cases(ws: Workspace, snapshot: Snapshot, standing: Standing) -> list[tuple[str, str]]:
    """Return (object, case id) of the duplicates that teach, those that teach most first; empty where no model is stored."""
    objects = [r["object"] for r in ws.runs(snapshot) if r["kind"] == "duplicate" and r["summary"].get("trained")]
    if not objects:
        return []  # and nothing of the scoring is imported
    from steward.scoring.duplicates.teaching import teaching_clusters

    return teaching_clusters(ws, snapshot, objects, standing)
