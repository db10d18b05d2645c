"""steward's own verifier against the conformance suite, in this process and once through the command-line contract."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from tests.conformance.manifest import run_case
from tests.conformance.manifest_cases import CASES, exit_code


@pytest.mark.parametrize("name", sorted(CASES))
def test_conformance(name: str, tmp_path: Path) -> None:
    assert run_case(CASES[name], tmp_path, None) is None


def test_plan_accepts_what_only_waits_for_people_or_time() -> None:
    assert sum(c.planned for c in CASES.values()) >= 10
    assert all(exit_code(c.reason) for c in CASES.values() if c.planned)


def test_there_are_at_least_sixty_refusals_and_some_acceptances() -> None:
    assert sum(bool(c.reason) for c in CASES.values()) >= 60
    assert sum(not c.reason for c in CASES.values()) >= 12


@pytest.mark.parametrize("name", ["ok/one-steward-soft-delete", "people/proposer-alone", "limits/none-given"])
def test_the_command_line_contract(name: str, tmp_path: Path) -> None:
    command = f"{shlex.quote(sys.executable)} -m tests.conformance.manifest"
    assert run_case(CASES[name], tmp_path, command) is None
