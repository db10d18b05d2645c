"""The strict codec: bytes are accepted only if encoding what they say gives the same bytes again.

There is no canonicalisation in the path of trust. A document is decoded into its typed form, with unknown words refused,
and encoded again; any difference refuses it. This one comparison ends duplicate keys, white space, escapes, reordered
members, other spellings of a number or a time, a byte order mark and text after the end.

The string rules are here too: NFC, no control characters, no bidirectional or zero-width controls, no lone surrogates,
so that what a person is shown is what a program reads.

Left to others: what the documents mean (``format``, ``chunks``), who may have signed them (``steward.signing``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec

from steward.errors import MalformedManifestError, UnknownFieldError
from steward.manifest import refusals
from steward.messages import N_

T = TypeVar("T")

SAFE_INTEGER = 2**53 - 1
"""Largest integer of any document: what every JSON reader keeps exact."""

_ENCODER = msgspec.json.Encoder(order="deterministic")

# C0, DEL, C1, the soft hyphen, Arabic letter mark, Mongolian vowel separator, zero-width and bidirectional controls,
# line and paragraph separators, invisible operators, Hangul fillers, variation selectors, interlinear marks,
# the byte order mark, noncharacters and tags: everything that changes what is shown without being seen itself.
_FORBIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def encode(document: object) -> bytes:
    """Return the one encoding of a document: members in the order of its type, dictionaries sorted, no white space."""
    return _ENCODER.encode(document)


def decode(raw: bytes, decoder: msgspec.json.Decoder[T], *, limit: int, what: str) -> T:
    """Decode ``raw`` strictly.

    Parameters
    ----------
    decoder : msgspec.json.Decoder
        Of a type that forbids unknown fields.
    limit : int
        Most bytes; checked before anything is parsed.
    what : str
        Name of the document for messages, e.g. ``envelope``.

    Raises
    ------
    MalformedManifestError
        Too large, not JSON, wrongly typed, hostile text, or not the one encoding of what it says.
    UnknownFieldError
        A member this version does not know.
    """
    check_size(len(raw), limit=limit, what=what)
    try:
        document = decoder.decode(raw)
        again = _ENCODER.encode(document)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise refusal(error, what, raw) from None
    if again != raw:
        raise MalformedManifestError(
            N_("The {what} is not written the one way a steward tool writes it."),
            next_step=N_("It was changed or made by another program; ask for the original."),
            what=what,
            code=refusals.of_spelling(raw, again),
        )
    if not plain_bytes(raw):
        for text in texts(document):
            check_text(text, what=what)
    return document


def refusal(error: Exception, what: str, raw: bytes) -> MalformedManifestError | UnknownFieldError:
    """Return the refusal for an error of the decoder, with the place but never the value."""
    message = str(error)
    at = re.search(r"at `(\$[A-Za-z0-9_.\[\]]{0,80})`", message)
    place = at.group(1) if at else "$"
    if "unknown field" in message:
        return UnknownFieldError(
            N_("The {what} has a field at {place} that this version does not know."),
            next_step=N_("It might be a restriction, so nothing runs; install a newer steward."),
            what=what,
            place=place,
            code=refusals.of_decoder(error, raw),
        )
    return MalformedManifestError(
        N_("The {what} cannot be read: wrong form at {place}."), what=what, place=place, code=refusals.of_decoder(error, raw)
    )


def check_size(size: int, *, limit: int, what: str) -> None:
    """Raise :class:`MalformedManifestError` where ``size`` bytes are none or above ``limit``."""
    if not 0 < size <= limit:
        raise MalformedManifestError(
            N_("The {what} has {size} bytes; from 1 to {limit} are allowed."),
            what=what,
            size=size,
            limit=limit,
            code="too_large" if size else "empty",
        )


def plain_bytes(raw: bytes) -> bool:
    """True where JSON bytes cannot hold a forbidden character: ASCII, without escapes and DEL."""
    return raw.isascii() and b"\\" not in raw and b"\x7f" not in raw


def problem_of(text: str) -> str | None:
    """Return why a string may not stand in a document, or None where it may."""
    if _FORBIDDEN.search(text):
        return "hidden_character"
    if not unicodedata.is_normalized("NFC", text):
        return "not_nfc"
    return None


def check_text(text: str, *, what: str) -> None:
    """Raise :class:`MalformedManifestError` where a string breaks the string rules."""
    problem = problem_of(text)
    if problem == "hidden_character":
        raise MalformedManifestError(
            N_("The {what} holds a control, bidirectional or zero-width character."), what=what, code=problem
        )
    if problem:
        raise MalformedManifestError(N_("The {what} holds text that is not in Unicode normal form C."), what=what, code=problem)


def texts(document: Any) -> Iterator[str]:
    """Yield every string of a decoded document, the keys of dictionaries among them."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, msgspec.Struct):
        for name in document.__struct_fields__:
            yield from texts(getattr(document, name))
    elif isinstance(document, dict):
        for key, value in document.items():
            yield from texts(key)
            yield from texts(value)
    elif isinstance(document, (list, tuple)):
        for value in document:
            yield from texts(value)
