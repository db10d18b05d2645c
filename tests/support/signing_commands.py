"""A store, keys and a manifest as the commands make them, and a way to run the commands; fixtures to import.

Left to others: worlds in memory (``tests.support.signing``).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from steward.cli import main
from steward.commands._signing import now
from steward.manifest.format import Limits, PolicyRef
from steward.signing import seal
from steward.signing.dsse import STATEMENT_PAYLOAD
from tests.support import signing as world

WORD = "correct horse battery"
POLICY = Path(__file__).parents[2] / "steward" / "default_policy.toml"
Run = Callable[..., tuple[int, Any, str]]


_MADE: dict[str, Path] = {}
"""What was made once in this process: bcrypt is slow on purpose, and several test files want the same."""


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key files of everybody, made by the command once."""
    if "keys" in _MADE:
        return _MADE["keys"]
    folder = _MADE["keys"] = tmp_path_factory.mktemp("keys")
    (folder / "pw").write_text(WORD)
    (folder / "pw").chmod(0o400)
    for name in ("ria", "rex", "ada", "bob", "cid", "eve"):
        assert (
            main(
                [
                    "keys",
                    "new",
                    "--person",
                    name,
                    "--to",
                    str(folder / name),
                    "--passphrase-file",
                    str(folder / "pw"),
                    "--quiet",
                ]
            )
            == 0
        )
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command; exit code, JSON result, everything that was printed."""
    monkeypatch.delenv("STEWARD_TRUST", raising=False)
    monkeypatch.delenv("STEWARD_PASSPHRASE", raising=False)

    def go(*words: object) -> tuple[int, Any, str]:
        code = main([*map(str, words), "--json"])
        out, err = capsys.readouterr()
        assert WORD not in out + err and "Traceback" not in err
        return code, json.loads(out) if out.strip() else None, err

    return go


@pytest.fixture(scope="module")
def first_trust(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Path:
    """A store in force, made by the commands once: ada proposes, bob and cid are stewards, eve owns."""
    if "trust" in _MADE:
        return _MADE["trust"]
    folder = _MADE["trust"] = tmp_path_factory.mktemp("store") / "trust"

    def go(*words: object) -> int:
        return main([*map(str, words), "--trust", str(folder), "--quiet"])

    assert go("trust", "init", "--root", f"ria={keys / 'ria.pub'}", "--root", f"rex={keys / 'rex.pub'}") == 0
    for name, role in (("ada", "analyst"), ("bob", "steward"), ("cid", "steward:acme"), ("eve", "owner")):
        assert go("trust", "add", "person", name, "--role", role, "--pub", keys / f"{name}.pub") == 0
    for name, age in (("ops", "age1" + "q" * 58), ("dpo", "age1" + "p" * 58)):
        assert go("trust", "add", "recipient", name, "--recipient", age) == 0
    assert go("trust", "add", "policy", POLICY) == 0
    assert go("trust", "show") == 8, "a draft is not in force"
    assert go("trust", "sign", "--key", keys / "ria", "--passphrase-file", keys / "pw") == 0
    assert go("trust", "show") == 8, "one root holder is not enough"
    assert go("trust", "sign", "--key", keys / "rex", "--passphrase-file", keys / "pw") == 0
    assert go("trust", "show") == 0
    return folder


@pytest.fixture
def trust(tmp_path: Path, first_trust: Path) -> Path:
    """A copy of the store for one test."""
    shutil.copytree(first_trust, tmp_path / "trust")
    shutil.copy(first_trust.with_name("trust.pin"), tmp_path / "trust.pin")
    return tmp_path / "trust"


def policy_digest() -> str:
    """The digest of the policy that ships."""
    return hashlib.sha256(POLICY.read_bytes()).hexdigest()


def made_now(items: Any = 3, nonce: int = 1, **changes: Any) -> world.Made:
    """A manifest whose time has come by the clock of this machine, under the policy that ships."""
    moment = now()
    plain = world.manifest(3).predicate
    given: dict[str, Any] = dict(  # noqa: C408  # as arguments
        policy=PolicyRef(digest=policy_digest(), version="1"),
        created_at=moment - timedelta(days=2),
        not_before=moment - timedelta(hours=1),
        expires_at=moment + timedelta(days=6),
        snapshot=msgspec.structs.replace(plain.snapshot, taken_at=moment - timedelta(days=3)),
        limits=Limits(
            max_records=5000,
            max_percent_of_object=1000,
            max_drift_percent=500,
            max_error_percent=200,
            canary=20,
            rate_per_minute=60,
            window="any",
        ),
    )
    return world.manifest(items, nonce=nonce, **(given | changes))


def lay(parent: Path, made: world.Made) -> Path:
    """Write an unsigned manifest as a folder of its own."""
    path = parent / made.predicate.manifest_id
    path.mkdir(parents=True)
    (path / "items.ndjson").write_bytes(made.items)
    (path / "held_back.ndjson").write_bytes(b"")
    (path / "manifest.dsse.json").write_bytes(seal(made.payload, STATEMENT_PAYLOAD))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An unsigned manifest of three contacts."""
    return lay(tmp_path / "manifests", made_now())
