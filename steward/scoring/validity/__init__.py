"""Validity: suites of expectations over a snapshot, with Great Expectations as loader and oracle."""

from __future__ import annotations

from steward.scoring.validity.score import ValiditySummary, find_suite, fitting, score_validity
from steward.scoring.validity.suite import Expectation, Suite, format_suite, load_suite, parse_suite

__all__ = [
    "Expectation",
    "Suite",
    "ValiditySummary",
    "find_suite",
    "fitting",
    "format_suite",
    "load_suite",
    "parse_suite",
    "score_validity",
]
