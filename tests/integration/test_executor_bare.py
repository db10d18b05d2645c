"""The executor in an environment with only the base package: installs, plans, applies, loads nothing heavy.

Also what a person sees: help with a real example, one sentence instead of a traceback, no value of a record anywhere but
in the encrypted backup.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from steward.executor.cli import VERBS, main
from steward.sandbox import build_crm
from steward.signing import Secret, generate_key
from tests.conftest import ROOT
from tests.support.executor import World

HEAVY = (
    "duckdb",
    "polars",
    "pandas",
    "pyarrow",
    "numpy",
    "great_expectations",
    "recordlinkage",
    "scipy",
    "IPython",
    "ipywidgets",
    "psycopg",
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    url = f"sqlite:///{tmp_path / 'crm.sqlite'}"
    build_crm(url, customers=60, seed=21, truth_file=tmp_path / "truth.json")
    return World(tmp_path, url)


def _manifest(world: World, count: int = 8) -> Path:
    records = world.records()
    return world.manifest(
        dict.fromkeys(sorted(k for k, r in records.items() if k.object == "activity" and not r.deleted)[:count], "delete")
    )


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with `pip install .` and nothing else; returns its bin folder."""
    folder = tmp_path_factory.mktemp("bare")
    source = folder / "source"
    source.mkdir()
    for name in ("steward", "expectations"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    if Path(uv).exists():
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(folder / "env")], check=True, timeout=120)
        install = [uv, "pip", "install", "-q", "--python", str(folder / "env" / "bin" / "python"), str(source)]
    else:
        venv.create(folder / "env", with_pip=True)
        install = [str(folder / "env" / "bin" / "python"), "-m", "pip", "install", "-q", str(source)]
    done = subprocess.run(install, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return folder / "env" / "bin"


def test_base_installation_plans_applies_and_restores(bare: Path, world: World) -> None:
    manifest = _manifest(world)
    before = world.rows()
    raw, _ = generate_key(Secret(b"not a secret: test"))
    environment = {"PATH": os.environ["PATH"], "HOME": str(world.folder), "LANG": "C.UTF-8"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(bare / "steward-executor"), *words],
            capture_output=True,
            text=True,
            env=environment,
            cwd=world.folder,
            timeout=120,
        )

    assert "plan" in run("--help").stdout
    plan = run("plan", str(manifest), "--home", str(world.home), "--json")
    assert plan.returncode == 0, plan.stderr
    assert json.loads(plan.stdout)["verdicts"] == {"apply": 8}
    applied = run("apply", str(manifest), "--home", str(world.home), "--json")
    assert applied.returncode == 0, applied.stderr
    assert json.loads(applied.stdout)["counts"] == {"done": 8}
    again = run("apply", str(manifest), "--home", str(world.home))
    assert again.returncode == 7 and "runs once" in again.stderr and "Traceback" not in again.stderr
    status = run("status", "--home", str(world.home), "--json")
    assert json.loads(status.stdout)["manifests"][0]["state"] == "finished"
    assert run("audit", "verify", "--home", str(world.home)).returncode == 0
    assert run("backup", "verify", "--home", str(world.home), "--identity", str(world.identity)).returncode == 0
    (world.folder / "stranger.key").write_bytes(raw)
    (world.folder / "stranger.key").chmod(0o400)
    (world.folder / "pass").write_text("not a secret: test\n")
    (world.folder / "pass").chmod(0o400)
    receipt = json.loads(applied.stdout)["receipt"]
    stranger = run(
        "restore",
        receipt,
        "--home",
        str(world.home),
        "--sign-with",
        "stranger.key",
        "--passphrase-file",
        "pass",
        "--identity",
        str(world.identity),
    )
    assert stranger.returncode == 8 and world.rows() != before
    code = f"import sys, steward.executor.cli, steward.executor.runner; print([m for m in {HEAVY!r} if m in sys.modules])"
    loaded = subprocess.run([str(bare / "python"), "-c", code], capture_output=True, text=True, cwd=world.folder)
    assert loaded.returncode == 0 and loaded.stdout.strip() == "[]", loaded.stdout + loaded.stderr
    here = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=world.folder)
    assert here.stdout.strip() == "[]", "even where they are installed they are not loaded"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_its_example_and_exit_codes(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    said = capsys.readouterr().out
    assert stop.value.code == 0 and VERBS[verb][1] in said and "Exit codes" in said


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["plan", "nowhere"], 2),
        (["plan", "nowhere", "--home", "nowhere"], 2),
        (["apply", "{tmp}/nothing", "--home", "{home}"], 7),
        (["restore", "{tmp}/nothing", "--home", "{home}"], 2),
        (["audit", "certificate", "--home", "{home}"], 2),
        (["audit", "check-certificate", "{tmp}/truth.json", "--home", "{home}"], 7),
        (["backup", "verify", "--home", "{home}"], 15),
        (["init", "--home", "{home}"], 2),
    ],
)
def test_bad_words_give_one_sentence_and_their_code(
    world: World, words: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [w.format(tmp=world.folder, home=world.home) for w in words]
    assert main(filled) == code
    said = capsys.readouterr()
    assert "Traceback" not in said.err and said.err.count("\n") == 1


def test_damaged_journal_and_damaged_backup_are_said(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = _manifest(world)
    assert main(["apply", str(manifest), "--home", str(world.home), "--quiet"]) == 0
    frames = next((world.home / "backup").glob("*.frames"))
    raw = bytearray(frames.read_bytes())
    raw[len(raw) // 2] ^= 1
    frames.write_bytes(raw)
    assert main(["backup", "verify", "--home", str(world.home), "--identity", str(world.identity)]) == 15
    with world.executor() as executor, executor.journal.commit():
        executor.journal.db.execute("UPDATE event SET body = replace(body, 'done', 'dome') WHERE n = 2")
    assert main(["audit", "verify", "--home", str(world.home)]) == 14
    for file in world.home.glob("journal.sqlite*"):
        file.write_bytes(b"not a database" * 100)
    assert main(["status", "--home", str(world.home)]) == 14
    assert "Traceback" not in capsys.readouterr().err


def test_a_cut_off_log_is_found_by_a_checkpoint_kept_elsewhere(world: World) -> None:
    assert main(["apply", str(_manifest(world)), "--home", str(world.home), "--quiet"]) == 0
    kept = world.folder / "mailbox.ndjson"
    shutil.copy(world.home / "audit" / "checkpoints.ndjson", kept)
    with world.executor() as executor, executor.journal.commit():
        executor.journal.db.execute("DELETE FROM event WHERE n >= 3")
        executor.journal.db.execute("DELETE FROM checkpoint WHERE n > 3")
    assert main(["audit", "verify", "--home", str(world.home), "--quiet"]) == 0, "the log alone cannot know"
    assert main(["audit", "verify", "--home", str(world.home), "--quiet", "--checkpoints", str(kept)]) == 14


def test_no_value_of_a_record_leaves_the_encrypted_backup(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    from steward.executor.expiry import expire
    from tests.integration.test_executor_sql import run_sql

    canary = "Zanzibar-Canary-7731"
    records = world.records()
    chosen = sorted(k for k, r in records.items() if k.object == "contact" and not r.deleted)[:6]
    for key in chosen:
        run_sql(world, "UPDATE contact SET last_name = :c, email = :c WHERE id = :id", c=canary, id=key.id)
    manifest = world.manifest({**dict.fromkeys(chosen[:4], "delete"), chosen[4]: ("merge_into", chosen[5].id)})
    main(["plan", str(manifest), "--home", str(world.home), "--json"])
    main(["apply", str(manifest), "--home", str(world.home)])
    main(["status", "--home", str(world.home)])
    main(["audit", "show", "--home", str(world.home)])
    said = capsys.readouterr()
    assert canary not in said.out + said.err
    places = [p for root in (world.home, manifest) for p in root.rglob("*") if p.is_file()]
    assert len(places) > 10
    assert not [p for p in places if canary.encode() in p.read_bytes()]
    with world.executor() as executor:
        with executor.journal.commit():
            executor.journal.db.execute("UPDATE manifest SET finished = '2020-01-01T00:00:00+00:00'")
        keys = list((world.home / "backup" / "keys").iterdir())
        found = expire(executor)
        assert len(found["expired"]) == 1 and found["keys"] == len(keys) > 0
        assert not list((world.home / "backup" / "keys").iterdir())
        assert executor.backup_verify([world.identity])["expired"] == 1
        executor.audit_verify()
    receipt = next((world.home / "receipts").glob("*.receipt.dsse.json"))
    from steward.errors import BackupUnreadableError
    from tests.support.signing import signer

    with world.executor() as executor, pytest.raises(BackupUnreadableError, match="expired"):
        executor.restore(receipt, signer("bob"), identities=[world.identity])


def test_two_executors_at_once_one_is_refused(world: World) -> None:
    from steward.errors import ExecutionError
    from steward.executor.gates import TenantLock

    lock = TenantLock(world.home / "lock")
    assert main(["apply", str(_manifest(world)), "--home", str(world.home), "--quiet"]) == ExecutionError.exit_code
    lock.release()
    assert re.fullmatch(r"\d+\n", (world.home / "lock").read_text())
