"""Mapping files that ship with steward, to copy and change: one per vendor, and CSV exports of two well-known sample CRMs.

Left to others: the words (``steward.crm.mapping``), reading the files (``steward.store``).
"""

from __future__ import annotations

from importlib import resources

NAMES = ("northwind", "npsp")
"""Sample CRMs."""

VENDORS = ("copper", "fxiaoke", "tryton", "zoho")
"""Vendors whose mapping a profile takes where it names none."""


def example_mapping(name: str) -> str:
    """Return the text of one example; ``ValueError`` where there is none of that name."""
    if name not in NAMES + VENDORS:
        raise ValueError(f"examples are {', '.join(NAMES + VENDORS)}")
    return resources.files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8")
