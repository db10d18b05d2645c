"""The executor's reference names every state, code, word of config.toml and nothing that is none."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from steward.executor.home import Config, LocalLimits
from steward.executor.ports import State
from steward.executor.restore import CODES as RESTORE_CODES
from steward.executor.verdict import CODES
from steward.executor.words import STATE_WORDS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "executor.md").read_text(encoding="utf-8")


def _rows(heading: str) -> dict[str, list[str]]:
    part = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found = re.findall(r"^\| `([a-z_]+)` \| (.*) \|$", part, re.MULTILINE)
    return {name: rest.split(" | ") for name, rest in found}


def test_states_have_the_words_of_the_screens() -> None:
    assert {name: rest[0] for name, rest in _rows("States").items()} == {s.value: STATE_WORDS[s.value] for s in State}


def test_every_code_stands_there_with_its_sentence() -> None:
    assert {name: rest[0] for name, rest in _rows("Codes of the plan and of outcomes").items()} == CODES
    assert {name: rest[0] for name, rest in _rows("Codes of a restore").items()} == RESTORE_CODES


def test_every_word_of_the_configuration_stands_there() -> None:
    words = {f.name for s in (Config, LocalLimits) for f in msgspec.structs.fields(s)} - {"limits"}
    assert set(_rows("`config.toml`")) == words
