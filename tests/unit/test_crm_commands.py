"""``steward connectors`` and ``steward sandbox`` as people and machines call them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from steward.crm.registry import as_document, capabilities


def steward(*words: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "steward.cli", *map(str, words)], capture_output=True, text=True,
        env={**os.environ, "STEWARD_LANGUAGE": "en", **(env or {})},
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    into = tmp_path_factory.mktemp("sandbox") / "made"
    done = steward("sandbox", "embedded", "--into", into, "--customers", "200", "--seed", "4", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["rows"]["contact"] == 200 and document["planted"]["stale"] > 10
    return into


def test_sandbox_leaves_crm_mapping_and_truth(folder: Path) -> None:
    assert sorted(p.name for p in folder.iterdir()) == ["crm.sqlite", "mapping.toml", "truth.json"]


def test_sandbox_overwrites_nothing(folder: Path) -> None:
    before = (folder / "crm.sqlite").stat().st_mtime_ns
    done = steward("sandbox", "embedded", "--into", folder, "--customers", "200")
    assert done.returncode == 2 and "already there" in done.stderr and "Traceback" not in done.stderr
    assert (folder / "crm.sqlite").stat().st_mtime_ns == before


def test_sandbox_refuses_nonsense_and_leaves_nothing(tmp_path: Path) -> None:
    done = steward("sandbox", "embedded", "--into", tmp_path / "x", "--customers", "3")
    assert done.returncode == 2 and "at least 10" in done.stderr
    assert not (tmp_path / "x" / "crm.sqlite").exists()
    assert steward("sandbox", "embedded", "--into", tmp_path / "x", "--customers", "50").returncode == 0


@pytest.mark.postgres
def test_sandbox_in_postgres(postgres_database: str, tmp_path: Path) -> None:
    done = steward("sandbox", "embedded", "--into", tmp_path / "x", "--customers", "100", "--url", postgres_database, "--json")
    assert done.returncode == 0, done.stderr
    check = steward("connectors", "check", "--mapping", tmp_path / "x" / "mapping.toml", "--from", postgres_database, "--json")
    document = json.loads(check.stdout)
    assert document["read_only"] is True and abs(document["clock_seconds"]) < 5
    assert all(o["writable_by_user"] for o in document["objects"])  # the owner of the tables may write: said as a warning
    assert "SELECT only" in check.stderr


def test_the_capability_table_for_machines_and_people() -> None:
    done = steward("connectors", "--json")
    assert json.loads(done.stdout)["connectors"] == json.loads(json.dumps(as_document()))
    shown = steward("connectors").stdout
    for entry in capabilities():
        assert entry.system in shown and entry.source
    assert "conditional_delete" in shown


def test_check_shows_counts_and_that_nothing_can_be_written(folder: Path) -> None:
    done = steward("connectors", "check", "--mapping", folder / "mapping.toml", "--from", folder / "crm.sqlite")
    assert done.returncode == 0, done.stderr
    assert "refuses writes" in done.stdout and "contact" in done.stdout


def test_check_names_what_is_missing(folder: Path, tmp_path: Path) -> None:
    text = (folder / "mapping.toml").read_text(encoding="utf-8").replace('version = "row_version"', 'version = "etag"', 1)
    (tmp_path / "m.toml").write_text(text, encoding="utf-8")
    done = steward("connectors", "check", "--mapping", tmp_path / "m.toml", "--from", folder / "crm.sqlite")
    assert done.returncode == 3 and "user.etag" in done.stderr and "Traceback" not in done.stderr


def test_check_without_a_mapping_file(folder: Path, tmp_path: Path) -> None:
    done = steward("connectors", "check", "--mapping", tmp_path / "none.toml", "--from", folder / "crm.sqlite")
    assert done.returncode == 3 and "connectors map" in done.stderr


def test_a_password_comes_from_the_environment_and_is_never_shown(folder: Path) -> None:
    url = "postgresql+psycopg://u:${CRM_PASSWORD}@127.0.0.1:1/d"
    words = ("connectors", "check", "--mapping", folder / "mapping.toml", "--from", url)
    done = steward(*words, env={"CRM_PASSWORD": "s3cr3t-pass"})
    assert done.returncode == 9 and "s3cr3t" not in done.stdout + done.stderr
    unset = steward(*words)
    assert unset.returncode == 2 and "CRM_PASSWORD" in unset.stderr


def test_map_proposes_a_file_that_check_accepts(folder: Path, tmp_path: Path) -> None:
    to = tmp_path / "proposed.toml"
    done = steward("connectors", "map", "--from", folder / "crm.sqlite", "--to", to, "--tenant", "acme")
    assert done.returncode == 0, done.stderr
    assert steward("connectors", "check", "--mapping", to, "--from", folder / "crm.sqlite").returncode == 0
    again = steward("connectors", "map", "--from", folder / "crm.sqlite", "--to", to)
    assert again.returncode == 2 and "nothing is overwritten" in again.stderr


def test_map_shows_the_proposal(folder: Path) -> None:
    done = steward("connectors", "map", "--from", folder / "crm.sqlite")
    assert 'format = "steward-mapping/1"' in done.stdout and "guessed by name" in done.stdout


@pytest.mark.parametrize(
    "words",
    [("connectors", "--help"), ("connectors", "check", "--help"), ("sandbox", "--help"), ("sandbox", "embedded", "--help")],
)
def test_help_works(words: tuple[str, ...]) -> None:
    assert steward(*words).returncode == 0


@pytest.mark.parametrize(
    "words",
    [("sandbox",), ("sandbox", "nosuch"), ("connectors", "check"), ("sandbox", "embedded", "--into", "x", "--as-of", "soon")],
)
def test_wrong_words_are_refused(words: tuple[str, ...]) -> None:
    done = steward(*words)
    assert done.returncode == 2 and "Traceback" not in done.stderr


def test_what_check_says_to_run_next_runs(folder: Path, tmp_path: Path) -> None:
    done = steward("connectors", "check", "--mapping", folder / "mapping.toml", "--from", folder / "crm.sqlite")
    line = next(line for line in done.stdout.splitlines() if line.startswith("Next: steward "))
    again = steward(*line.removeprefix("Next: steward ").split(), "--workspace", tmp_path / "w", "--json")
    assert again.returncode == 0, again.stderr
    assert "contact" in again.stdout


def test_commands_of_the_sandbox_page_run(tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "sandbox.md").read_text(encoding="utf-8")
    commands = [line.removeprefix("$ steward ").split() for line in page.splitlines() if line.startswith("$ steward ")]
    assert len(commands) == 3
    for words in commands:
        words = ["60" if w == "5000" else w for w in words]
        done = subprocess.run(
            [sys.executable, "-m", "steward.cli", *words], capture_output=True, text=True, cwd=tmp_path,
            env={**os.environ, "STEWARD_LANGUAGE": "en"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
