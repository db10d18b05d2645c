"""A real Tryton 8.2 server of the tests' own: installed from pins into a folder of its own, on loopback, on SQLite.

The finished environment and the empty database are kept under ``STEWARD_TEST_CACHE`` (by default a folder in the
system's cache of this user) by the digest of the pins, so that only the first run pays for them. The server is spoken to
by a small client here that shares no code with the connector, and the database file is the oracle: it is read with plain
``sqlite3``.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PINS = ROOT / "requirements" / "tryton.txt"
MODULES = ("party", "company", "currency", "sale_opportunity", "sale", "party_relationship")
PASSWORD = "a-word-for-tests-only"


def _cache() -> Path:
    said = os.environ.get("STEWARD_TEST_CACHE") or os.environ.get("XDG_CACHE_HOME")
    base = Path(said) if said else Path(tempfile.gettempdir())
    return base / f"steward-tryton-{os.getuid()}-{hashlib.sha256(PINS.read_bytes()).hexdigest()[:16]}"


def _run(words: Sequence[str], where: Path, **environment: str) -> None:
    done = subprocess.run(words, cwd=where, capture_output=True, text=True, env={**os.environ, **environment})
    if done.returncode:
        pytest.fail(f"{Path(words[0]).name} failed: {(done.stderr or done.stdout)[-2_000:]}")


def _prepare() -> Path:
    """Install and make the empty database once; several test processes wait for the first."""
    home = _cache()
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (home / "ready").exists():
            return home
        shutil.rmtree(home / "v", ignore_errors=True)
        shutil.rmtree(home / "db", ignore_errors=True)
        uv = shutil.which("uv", path=str(Path(sys.executable).parent))
        _run([sys.executable, "-m", "venv", "v"], home)
        if uv is None:
            _run(["v/bin/python", "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(PINS)], home)
        else:
            _run([uv, "pip", "install", "--quiet", "--python", "v/bin/python", "--require-hashes", "-r", str(PINS)], home)
        (home / "db").mkdir()
        (home / "db" / "crm.sqlite").touch()
        (home / "trytond.conf").write_text(f"[database]\nuri = sqlite://\npath = {home / 'db'}\n")
        (home / "password").write_text(PASSWORD + "\n")
        words = ["v/bin/trytond-admin", "-c", "trytond.conf", "-d", "crm", "--all", "--email", "a@example.org"]
        _run([*words, "-u", *MODULES, "--activate-dependencies"], home, TRYTONPASSFILE=str(home / "password"))
        (home / "ready").touch()
    return home


class TrytonServer:
    """A server on a fresh copy of the empty database."""

    def __init__(self) -> None:
        home = _prepare()
        self.folder = Path(tempfile.mkdtemp(prefix="steward-tryton-"))
        (self.folder / "db").mkdir()
        self.database = self.folder / "db" / "crm.sqlite"
        shutil.copy(home / "db" / "crm.sqlite", self.database)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = int(s.getsockname()[1])
        (self.folder / "trytond.conf").write_text(
            f"[database]\nuri = sqlite://\npath = {self.folder / 'db'}\n[web]\nlisten = 127.0.0.1:{self.port}\n[session]\ntimeout = 36000\n"
        )
        self._log = (self.folder / "log").open("wb")
        self._process = subprocess.Popen(
            [str(home / "v" / "bin" / "trytond"), "-c", "trytond.conf", "-d", "crm"],
            cwd=self.folder, stdout=self._log, stderr=self._log,
        )  # fmt: skip
        self.address = f"http://127.0.0.1:{self.port}/crm"
        self._session = ""
        self._wait()
        self.login("admin", PASSWORD)

    def _wait(self) -> None:
        for _ in range(600):
            if self._process.poll() is not None:
                pytest.fail(f"trytond ended: {(self.folder / 'log').read_text()[-2_000:]}")
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5).close()
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.2)
        pytest.fail("trytond does not answer")

    def login(self, name: str, password: str) -> None:
        """Open a session for the calls that follow."""
        self._session = ""
        user, session, *_ = self.call("common.db.login", name, {"password": password}, context=False)
        self._session = base64.b64encode(f"{name}:{user}:{session}".encode()).decode()

    def call(self, method: str, *params: Any, context: bool = True) -> Any:
        """Call a method; a refusal fails the test with its text."""
        body = json.dumps({"id": 1, "method": method, "params": [*params, *([{}] if context else [])]}).encode()
        headers = {"Content-Type": "application/json"}
        if self._session:
            headers["Authorization"] = f"Session {self._session}"
        request = urllib.request.Request(f"{self.address}/rpc/", data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            said = json.loads(answer.read())
        if "error" in said:
            raise AssertionError(f"{method}: {said['error']}")
        return said["result"]

    def company(self) -> int:
        """Make the currency and the company that opportunities need; return the company's id."""
        currency = self.call("model.currency.currency.create", [{"name": "Euro", "symbol": "€", "code": "EUR"}])[0]
        party = self.call("model.party.party.create", [{"name": "Ourselves"}])[0]
        company = self.call("model.company.company.create", [{"party": party, "currency": currency}])[0]
        self.call("model.res.user.write", [1], {"companies": [["add", [company]]], "company": company})
        return int(company)

    def reader(self, name: str, password: str, models: Sequence[str]) -> None:
        """Make a user that may read the models and write none of them."""
        group = self.call("model.res.group.create", [{"name": "readers"}])[0]
        for model in models:
            for who, rights in ((None, False), (group, False)):
                self.call(
                    "model.ir.model.access.create",
                    [{"model": model, "group": who, "perm_read": True, "perm_write": rights, "perm_create": rights, "perm_delete": rights}],
                )  # fmt: skip
        self.call("model.res.user.create", [{"name": name, "login": name, "password": password, "groups": [["add", [group]]]}])

    def close(self) -> None:
        """End the server and remove its folder."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
