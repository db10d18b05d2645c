"""The scorecard: one page that says how a snapshot stands, for people who open neither the workspace nor the CRM.

It holds counts, names of objects and rules, digests and times, and no value of any record. The page is one file that asks
no other address for anything: style and drawings stand inside it, and its own policy forbids it to load more.

``facts`` counts, ``page`` and ``page.html.j2`` draw. Left to others: scoring (``steward.scoring``), deciding
(``steward.review``), the tables that hold the records themselves (``steward export``).
"""

from __future__ import annotations

from steward.scorecard.facts import Scorecard, collect
from steward.scorecard.page import render, write

__all__ = ["Scorecard", "collect", "render", "write"]
