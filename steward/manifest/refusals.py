"""Why bytes were refused, as a code for machines: the ``code`` among the facts of an error.

The decision to refuse is made before anything here is asked (``codec``, ``chunks``, ``manifest_files``); this names the
reason, so that a hostile file of each kind ends in its own code and two implementations can be compared case by case.
"""

from __future__ import annotations

import json
import re
from typing import Any

_LOOKED_AT = 1 << 20
"""Bytes of a document that are looked at for the reason; in a larger one it is ``not_the_one_encoding``."""

_DEEP = re.compile(rb"(?:\[[ \t\r\n]{0,9}){65}|(?:\{\"[^\"]{0,64}\":[ \t\r\n]{0,9}){65}")
"""More open brackets in a row than any document of ours nests."""

_BY_MESSAGE = (
    ("truncated", "cut_off"),
    ("unknown field", "unknown_member"),
    ("missing required field", "member_missing"),
    ("trailing characters", "more_follows"),
    ("out of range", "number_out_of_range"),
    ("`float`", "number_form"),
    ("number", "number_form"),
    ("Expected `str` matching regex", "text_form"),
    ("Expected `str` of length", "length"),
    ("Expected `array` of length", "length"),
    ("Expected `object` of length", "length"),
    ("Expected `int` >=", "number_out_of_range"),
    ("Expected `int` <=", "number_out_of_range"),
    ("Invalid enum value", "unknown_word"),
    ("RFC3339", "time_form"),
    ("timezone", "time_form"),
    ("Expected", "wrong_type"),
    ("malformed", "not_json"),
)

CODES = frozenset(
    {
        *(code for _word, code in _BY_MESSAGE), "too_deep", "not_utf8", "byte_order_mark", "not_the_one_encoding", "member_twice", "white_space",
        "escape", "too_large", "empty", "hidden_character", "not_nfc", "not_base64", "link", "pipe", "folder", "device", "unreadable",
        "veto_name", "size_differs", "chunk_differs", "subject_differs", "counts_differ", "table", "tree_head", "numbering",
        "line_too_long", "record_twice", "survivor_goes", "wrong_preimage", "wrong_object", "wrong_target", "wrong_survivor",
        "wrong_related", "anonymise", "side_effects", "key_twice", "signatures_full",
    }
)  # fmt: skip
"""Every code that a refusal of bytes has."""


def of_decoder(error: Exception, raw: bytes) -> str:
    """Return the code for an error of the decoder."""
    if isinstance(error, RecursionError):
        return "too_deep"
    if raw.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return "byte_order_mark"
    if _DEEP.search(raw[:_LOOKED_AT]):
        return "too_deep"
    try:
        raw.decode()
    except UnicodeDecodeError:
        return "not_utf8"
    message = str(error)
    if re.search(r"byte \d+\b", message) and _nan(raw, message):
        return "number_form"
    return next((code for word, code in _BY_MESSAGE if word in message), "not_json")


def _nan(raw: bytes, message: str) -> bool:
    """True where the decoder stopped at a number that JSON does not have: NaN, Infinity, +1, 01."""
    at = int(re.findall(r"byte (\d+)", message)[-1])
    return bool(re.search(rb"[:\[,](?:-?NaN|-?Infinity|\+|-?0[0-9xX]|-[^0-9])", raw[max(0, at - 12) : at + 12]))


class _Twice(Exception):
    """A member stands twice."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Twice
    return found


def of_spelling(raw: bytes, again: bytes) -> str:
    """Return how ``raw`` differs from ``again``, the one encoding of what it says."""
    if len(raw) > _LOOKED_AT:
        return "not_the_one_encoding"
    blanks = b" \t\r\n"
    if raw.translate(None, blanks) == again.translate(None, blanks):
        return "white_space"
    try:
        json.loads(raw, object_pairs_hook=_pairs)
    except _Twice:
        return "member_twice"
    except (ValueError, RecursionError):
        return "not_the_one_encoding"
    return "escape" if re.search(rb"\\[^\"\\]", raw) else "not_the_one_encoding"


def of_lines(raw: bytes, again: bytes) -> str:
    """Return how the first line that differs does."""
    if len(raw) == len(again) + 1 or b"\n\n" in raw[:_LOOKED_AT] or raw.startswith(b"\n") or b"\r" in raw[:_LOOKED_AT]:
        return "white_space"
    start = 0
    while start < min(len(raw), len(again)):
        end, other = raw.find(b"\n", start), again.find(b"\n", start)
        line, well = raw[start : end if end >= 0 else None], again[start : other if other >= 0 else None]
        if line != well:
            return of_spelling(line, well)
        if end < 0:
            break
        start = end + 1
    return "white_space" if raw.startswith(again) else "not_the_one_encoding"
