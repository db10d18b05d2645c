"""The examples of units and container say what this executor understands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from steward.executor.cli import _parser

FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "service"
UNITS = sorted(FOLDER.glob("*.service"))


def settings(path: Path) -> dict[str, list[str]]:
    """Settings of a unit: name → values."""
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        if line and line[0] not in "#[":
            name, _equals, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_there_are_units() -> None:
    assert len(UNITS) >= 3


@pytest.mark.parametrize("path", UNITS, ids=lambda p: p.name)
def test_every_command_of_a_unit_is_one_of_the_executors(path: Path) -> None:
    found = settings(path)
    assert found["ExecStart"]
    for command in found["ExecStart"]:
        program, *words = shlex.split(command.replace("%i", "0A"))
        assert program.endswith("/steward-executor")
        _parser().parse_args(words)  # ends the test with what is wrong
    assert found["User"] == ["steward-executor"] and found["NoNewPrivileges"] == ["yes"] and found["LimitCORE"] == ["0"]


def test_only_what_is_not_finished_is_started_again() -> None:
    found = settings(FOLDER / "steward-apply@.service")
    assert found["RestartForceExitStatus"] == ["11"]
    never = set(map(int, found["RestartPreventExitStatus"][0].split()))
    page = (FOLDER.parents[1] / "reference" / "errors.md").read_text()
    documented = {int(n) for n in re.findall(r"(?m)^\| (\d+) \|", page)}
    assert {c for c in documented if c in range(6, 17)} - {11} <= never and 11 not in never


def test_the_container_ends_in_the_executor_and_holds_no_secret() -> None:
    text = (FOLDER / "Containerfile").read_text()
    assert 'ENTRYPOINT ["/opt/steward/bin/steward-executor"]' in text and "USER 10001:10001" in text
    assert "--require-hashes -r requirements/base.txt" in text
    for source in re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", text):
        for word in source.split():
            assert (FOLDER.parents[2] / word).exists(), word
