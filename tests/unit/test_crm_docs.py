"""The pages on mapping and sandbox say what the code does: every word, every example."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import msgspec

from steward.crm.mapping import Mapping, ObjectMapping, OnDelete, Role, SoftDelete, parse_mapping
from steward.sandbox import Truth
from steward.sandbox.business import SHIELDS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_reference_describes_every_word_and_no_other() -> None:
    text = (DOCS / "reference" / "mapping.md").read_text(encoding="utf-8")
    described = {w for line in text.splitlines() if line.startswith("| `") for w in re.findall(r"`(\w+)`", line.split("|")[1])}
    words = {f.name for part in (Mapping, ObjectMapping, SoftDelete) for f in msgspec.structs.fields(part)} - {"name"}
    assert described == words | set(get_args(OnDelete))
    for role in get_args(Role):
        assert f"`{role}`" in text


def test_the_example_of_the_reference_is_a_mapping() -> None:
    text = (DOCS / "reference" / "mapping.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    assert set(parse_mapping(example).objects) == {"company", "contact"}


def test_the_sandbox_page_describes_the_truth() -> None:
    text = (DOCS / "how-to" / "sandbox.md").read_text(encoding="utf-8")
    for name in Truth.__slots__:
        assert f"`{name}`" in text
    for shield in SHIELDS:
        assert shield in text
