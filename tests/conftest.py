"""Real parts for all tests: PostgreSQL, the data sets with truth, the generated CRM.

A missing server or browser is a failure, never a skip. The data sets lie beside the project (``../shared/data``, or
``STEWARD_REAL_DATA``); where they are absent the tests that need them are reported as not run, except in CI.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the data sets with truth."""
    folder = Path(os.environ.get("STEWARD_REAL_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"the data sets with truth are not at {folder}")
        pytest.skip("the data sets with truth are not beside this clone (set STEWARD_REAL_DATA)")
    return folder


def _postgres_bin() -> Path:
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    pytest.fail("PostgreSQL is not installed: install the system package 'postgresql' and run again")


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class PostgresServer:
    """A PostgreSQL server of the tests' own, on loopback, in a temporary folder."""

    def __init__(self) -> None:
        self.bin = _postgres_bin()
        self.folder = Path(tempfile.mkdtemp(prefix="steward-pg-"))
        self.port = _free_port()
        self._user: str | None = None
        if os.geteuid() == 0:  # the server refuses to run as root
            self._user = "postgres" if any(p.pw_name == "postgres" for p in pwd.getpwall()) else "nobody"
            shutil.chown(self.folder, self._user)
        self._run("initdb", "-D", "data", "-A", "trust", "-U", "steward", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        self.start()

    def _run(self, program: str, *words: str, check: bool = True) -> None:
        as_user = ["runuser", "-u", self._user, "--"] if self._user else []
        done = subprocess.run([*as_user, str(self.bin / program), *words], cwd=self.folder, capture_output=True, text=True)
        if check and done.returncode:
            pytest.fail(f"{program} failed: {done.stderr or done.stdout}")

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder} -c shared_buffers=64MB"
        )
        self._run("pg_ctl", "-D", "data", "-w", "-o", options, "-l", "log", "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop; ``immediate`` is the nearest to a power cut."""
        self._run("pg_ctl", "-D", "data", "-m", mode, "-w", "stop", check=False)

    def url(self, database: str) -> str:
        """SQLAlchemy URL of one database."""
        return f"postgresql+psycopg://steward@127.0.0.1:{self.port}/{database}"

    def create(self) -> str:
        """Make a fresh database and return its URL."""
        name = "t" + uuid.uuid4().hex[:16]
        import psycopg

        with psycopg.connect(f"host=127.0.0.1 port={self.port} user=steward dbname=postgres", autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server of this test session."""
    server = PostgresServer()
    yield server
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_url(postgres_server: PostgresServer) -> str:
    """URL of one database that the whole session shares."""
    return postgres_server.create()


@pytest.fixture
def postgres_database(postgres_server: PostgresServer) -> str:
    """URL of a database of this test's own."""
    return postgres_server.create()
