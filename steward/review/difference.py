"""Differences between two values, to the character.

A value is compared with that of the survivor and cut into pieces, each ``same`` or ``differs``; the screen marks the
pieces with underline and sign, never with colour alone. Characters that only work together (base and accent, an emoji
with its joiners) are never torn apart.

Left to others: which value is compared with which (``steward.review.source``), painting (the front).
"""

from __future__ import annotations

import unicodedata
from typing import Literal

from rapidfuzz.distance import Levenshtein

Piece = tuple[Literal["same", "differs"], str]
CellState = Literal["reference", "same", "differs", "missing"]

_LONGEST = 2_000
_JOINERS = {0x200D, 0xFE0E, 0xFE0F}


def difference(value: str | None, reference: str | None) -> tuple[CellState, list[Piece]]:
    """Compare ``value`` with ``reference``.

    Returns
    -------
    state : {'same', 'differs', 'missing'}
        ``missing`` where ``value`` is None or blank: absence is its own state, not a difference.
    pieces : list of (mark, text)
        The whole of ``value`` in order; joined texts give ``value`` back. Empty where missing.
    """
    if value is None or not value.strip():
        return "missing", []
    if value == reference:
        return "same", [("same", value)]
    if reference is None or not reference.strip():
        return "differs", [("differs", value)]
    if max(len(value), len(reference)) > _LONGEST:
        return "differs", _by_ends(value, reference)
    ours, theirs = _together(value), _together(reference)
    pieces: list[Piece] = []
    for step in Levenshtein.opcodes(theirs, ours):
        text = "".join(ours[int(step.dest_start) : int(step.dest_end)])
        if text:
            _put(pieces, "same" if step.tag == "equal" else "differs", text)
    if all(mark == "same" for mark, _ in pieces):  # something is only absent here: mark the whole value
        return "differs", [("differs", value)]
    return "differs", pieces


def _put(pieces: list[Piece], mark: Literal["same", "differs"], text: str) -> None:
    if pieces and pieces[-1][0] == mark:
        pieces[-1] = (mark, pieces[-1][1] + text)
    else:
        pieces.append((mark, text))


def _by_ends(value: str, reference: str) -> list[Piece]:
    """Mark what lies between the common beginning and the common end; for long texts."""
    limit = min(len(value), len(reference))
    start = next((i for i in range(limit) if value[i] != reference[i]), limit)
    end = next((i for i in range(limit - start) if value[-1 - i] != reference[-1 - i]), limit - start)
    middle = value[start : len(value) - end]
    if not middle:
        return [("differs", value)]
    pieces: list[Piece] = [("same", value[:start]), ("differs", middle), ("same", value[len(value) - end :])]
    return [piece for piece in pieces if piece[1]]


def _together(text: str) -> list[str]:
    """Cut a text into characters as people see them (near enough for marking)."""
    if text.isascii():
        return list(text)
    out: list[str] = []
    joined = False
    for char in text:
        code = ord(char)
        belongs = unicodedata.combining(char) or code in _JOINERS or 0x1F3FB <= code <= 0x1F3FF
        if out and (belongs or joined):
            out[-1] += char
        else:
            out.append(char)
        joined = code == 0x200D
    return out
