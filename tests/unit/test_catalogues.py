"""Every sentence has a German and a Chinese translation with the same places, and what is compiled is what is written."""

from __future__ import annotations

import string

import pytest
from babel.messages.catalog import Message

from steward.locale.build import collect, compiled, po_path, read
from steward.messages import LANGUAGES

OTHERS = [name for name in LANGUAGES if name != "en"]


def texts(message: Message) -> list[str]:
    return list(message.string) if isinstance(message.string, (list, tuple)) else [message.string]


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("language", OTHERS)
def test_no_sentence_lacks_a_translation(language: str) -> None:
    catalogue = read(language)
    missing = []
    for message in collect():
        key = message.id[0] if isinstance(message.id, (list, tuple)) else message.id
        known = catalogue.get(key) if key else None
        if key and (known is None or not all(texts(known))):
            missing.append(key)
    assert missing == [], f"run `make catalogues` and translate these in {po_path(language).name}"


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_has_the_places_of_its_sentence(language: str) -> None:
    for message in read(language):
        if not message.id:
            continue
        forms = list(message.id) if isinstance(message.id, (list, tuple)) else [message.id]
        wanted = places(forms[-1])
        for text in texts(message):
            assert places(text) <= wanted and (len(forms) > 1 or places(text) == wanted), (message.id, text)


@pytest.mark.parametrize("language", OTHERS)
def test_what_is_compiled_is_what_is_written(language: str) -> None:
    assert po_path(language).with_suffix(".mo").read_bytes() == compiled(read(language)), "run `make catalogues`"
