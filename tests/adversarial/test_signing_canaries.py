"""No secret in what a command prints, logs, raises, or hands to another program: a canary goes through every key command.

Programs that are started are seen through Python's audit hooks, so an argument that appears for a moment is seen as well.
Left to others: tokens and services (``tests/integration/test_signing_interop.py``, ``…_services.py``).
"""

from __future__ import annotations

import io
import logging
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from steward.cli import main
from steward.ssh_keygen import SshKeygenSigner
from tests.integration.test_signing_services import keyring_file
from tests.support.signing_commands import WORD, first_trust, folder, keys, trust

__all__ = ["first_trust", "folder", "keyring_file", "keys", "trust"]  # fixtures

CANARY = "canary passphrase 8b1f"
_started: list[str] = []
_watching = False


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if _watching and event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system"):
        _started.append(repr(args))


sys.addaudithook(_watch)


class Leaks:
    """Runs commands and keeps everything that came out of them."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        self.log = io.StringIO()

    def run(self, *words: object) -> int:
        global _watching
        handler = logging.StreamHandler(self.log)
        root = logging.getLogger()
        before = root.level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        _started.clear()
        _watching = True
        try:
            code = main([*map(str, words)])
        finally:
            _watching = False
            root.removeHandler(handler)
            root.setLevel(before)
        out, err = self.capsys.readouterr()
        said = out + err + self.log.getvalue() + " ".join(_started)
        for secret in (CANARY, WORD, "PRIVATE KEY"):
            assert secret not in said, (words[:2], secret)
        assert "Traceback" not in err
        return code


@pytest.fixture
def leaks(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Leaks:
    for name in ("STEWARD_TRUST", "STEWARD_PASSPHRASE", "STEWARD_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    return Leaks(capsys)


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """A file with the canary as a passphrase that opens nothing."""
    (tmp_path / "wrong").write_text(CANARY + "\n")
    (tmp_path / "wrong").chmod(0o400)
    return tmp_path / "wrong"


def test_every_key_command_with_a_right_and_with_a_wrong_passphrase(
    leaks: Leaks, keys: Path, trust: Path, folder: Path, wrong: Path, tmp_path: Path, keyring_file: Path
) -> None:
    def run(*words: object) -> int:
        return leaks.run(*words)

    at = ("--trust", trust)
    good = ("--passphrase-file", keys / "pw")
    bad = ("--passphrase-file", wrong)
    assert run("keys", "new", "--person", "zoe", "--to", tmp_path / "zoe", *bad, "--keyring") == 0
    assert run("keys", "new", "--person", "zoe", "--to", tmp_path / "zoe", *bad) == 2, "it exists"
    assert run("keys", "remember", keys / "bob", *good) == 0
    assert run("keys", "remember", keys / "bob", *bad) == 8
    assert run("sign", folder, "--key", keys / "bob", *bad, "--count", 3, *at) == 8
    assert run("sign", folder, "--key", keys / "bob", "--keyring", "--count", 3, *at) == 0
    assert run("veto", folder, "--reason", "talks", "--key", keys / "eve", *bad, *at) == 8
    assert run("veto", folder, "--reason", "talks", "--key", keys / "eve", *good, *at) == 0
    assert run("trust", "remove", "person", "cid", *at) == 0
    assert run("trust", "sign", "--key", keys / "ria", *bad, *at) == 8
    assert run("trust", "sign", "--key", keys / "ria", *good, *at) == 0
    assert run("keys", "forget", keys / "bob") == 0
    assert run("keys", "forget", keys / "bob") == 8


def test_the_environment_is_not_handed_on_in_words(
    leaks: Leaks, keys: Path, trust: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEWARD_PASSPHRASE", CANARY)
    assert leaks.run("sign", folder, "--key", keys / "bob", "--count", 3, "--trust", trust) == 8
    monkeypatch.setenv("STEWARD_PASSPHRASE", WORD)
    assert leaks.run("sign", folder, "--key", keys / "bob", "--count", 3, "--trust", trust) == 0


def test_ssh_keygen_is_started_with_file_names_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks for its passphrase itself; what it is started with is seen by the hook that watches the commands above."""
    global _watching
    monkeypatch.setenv("STEWARD_PASSPHRASE", CANARY)
    file = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)
    _started.clear()
    _watching = True
    try:
        SshKeygenSigner(file).sign(b"message")
    finally:
        _watching = False
    (words,) = _started
    assert str(file) in words and "steward-manifest@v1" in words and CANARY not in words


def test_a_defect_shown_whole_shows_no_secret(keys: Path, trust: Path, folder: Path, wrong: Path) -> None:
    """With STEWARD_DEBUG a defect is a traceback; the passphrase is in no line of it, nor in the process's words."""
    program = (
        "import sys, steward.signing.keys as k, steward.cli as c\n"
        "def broken(*a, **w): raise RuntimeError('defect')\n"
        "k.serialization.load_ssh_private_key = broken\n"
        "sys.exit(c.main(sys.argv[1:]))\n"
    )
    words = ["sign", folder, "--key", keys / "bob", "--passphrase-file", wrong, "--count", "3", "--trust", trust]
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", program, *map(str, words)],
        env={**os.environ, "STEWARD_DEBUG": "1"}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "RuntimeError: defect" in done.stderr and done.returncode == 1
    assert CANARY not in done.stdout + done.stderr and "PRIVATE KEY" not in done.stderr


# At a terminal -------------------------------------------------------------------------------------------------------


class Terminal:
    """A command at a real terminal: what it shows, and what is typed."""

    def __init__(self, *words: object) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.pop("STEWARD_PASSPHRASE", None)
            os.execv(sys.executable, [sys.executable, "-m", "steward.cli", *map(str, words)])
        self.shown = ""

    def wait_for(self, text: str) -> None:
        end = time.monotonic() + 60
        while text not in self.shown and time.monotonic() < end and self._read():
            pass
        assert text in self.shown, self.shown[-2000:]

    def _read(self) -> bool:
        ready, _, _ = select.select([self.fd], [], [], 1.0)
        if not ready:
            return True
        try:
            part = os.read(self.fd, 65_536)
        except OSError:  # the other side is gone
            return False
        self.shown += part.decode("utf-8", "replace")
        return bool(part)

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode() + b"\n")

    def words(self) -> str:
        return Path(f"/proc/{self.pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()

    def end(self) -> int:
        while self._read():
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_at_a_terminal_the_number_is_typed_and_the_passphrase_is_not_shown(keys: Path, trust: Path, folder: Path) -> None:
    at = Terminal("sign", folder, "--key", keys / "bob", "--trust", trust)
    at.wait_for("to sign: ")
    at.type("4")
    assert at.end() == 2 and "Nothing was signed" in re.sub(r"\s+", " ", at.shown)
    at = Terminal("sign", folder, "--key", keys / "bob", "--trust", trust)
    at.wait_for("to sign: ")
    at.type("3")
    at.wait_for("Passphrase of bob")
    assert WORD not in at.words()
    time.sleep(0.2)  # the terminal must have stopped to echo
    at.type(WORD)
    assert at.end() == 0, at.shown
    assert WORD not in at.shown and "Signed as bob" in re.sub(r"\s+", " ", at.shown)
