"""Duplicates: which records are the same customer, and why.

Index, compare, classify: recordlinkage's steps and words, over sorted blocks, distinct values and pattern counts. The core
(:func:`steward.scoring.duplicates.link.link`) knows tables only; :func:`score_duplicates` reads a snapshot and writes pairs, clusters and evidence.

Left to others: staleness and validity (their own rooms), what becomes of a duplicate (a person's decision).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steward.scoring.duplicates.adapter import DuplicateSummary as DuplicateSummary
    from steward.scoring.duplicates.adapter import load_definition as load_definition
    from steward.scoring.duplicates.adapter import score_duplicates as score_duplicates
    from steward.scoring.duplicates.definition import Definition as Definition
    from steward.scoring.duplicates.definition import parse_definition as parse_definition
    from steward.scoring.duplicates.link import LinkResult as LinkResult
    from steward.scoring.duplicates.names import compare_names as compare_names
    from steward.scoring.duplicates.objects import link_objects as link_objects

_HOMES = {
    "DuplicateSummary": "adapter", "load_definition": "adapter", "score_duplicates": "adapter", "Definition": "definition",
    "compare_names": "names", "link_objects": "objects", "parse_definition": "definition", "LinkResult": "link",
}  # fmt: skip

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    """Import on first use: pandas and recordlinkage are heavy."""
    if name not in _HOMES:
        raise AttributeError(name)
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
