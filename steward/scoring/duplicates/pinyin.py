"""The readings of single Chinese characters, from pypinyin's table of characters alone.

Importing the package reads two megabytes of phrases, which takes longer than scoring a small table; single characters need
none of them. Left to others: whole words and phrases (``han``), putting names into Latin letters (``standard``).
"""

from __future__ import annotations

import importlib.util
import json
import unicodedata
from functools import lru_cache
from pathlib import Path

TONES = "\u0300\u0301\u0304\u030c"


@lru_cache(maxsize=1)
def _table() -> dict[str, str]:
    """Return the readings with tones, by code point, separated by commas; nothing where pypinyin is not installed."""
    found = importlib.util.find_spec("pypinyin")
    places = list(found.submodule_search_locations or ()) if found else []
    if not places:
        return {}
    table: dict[str, str] = json.loads((Path(places[0]) / "pinyin_dict.json").read_text(encoding="utf-8"))
    return table


@lru_cache(maxsize=50_000)
def readings(char: str) -> tuple[str, ...]:
    """Return the toneless readings of a character, commonest first, ``v`` for *ü*; the character itself where it has none."""
    marked = _table().get(str(ord(char)))
    if marked is None:
        return (char,)
    plain = ("".join(c for c in unicodedata.normalize("NFD", m) if c not in TONES) for m in marked.split(","))
    return tuple(dict.fromkeys(unicodedata.normalize("NFC", p).replace("ü", "v") for p in plain))
