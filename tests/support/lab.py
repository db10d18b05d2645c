"""JupyterLab on loopback, with a token, in a folder of the test's own."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest


class Lab:
    """A running JupyterLab server; :meth:`stop` ends it and its kernels."""

    def __init__(self, folder: Path, workspace: Path, reviewer: str, **more: str) -> None:
        self.folder, self.token = folder, secrets.token_hex(16)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = int(s.getsockname()[1])
        home = folder / "home"
        home.mkdir(parents=True)
        settings = home / "lab" / "settings" / "@jupyterlab" / "apputils-extension"
        settings.mkdir(parents=True)
        (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
        env = os.environ | {
            "JUPYTER_CONFIG_DIR": str(home / "config"), "JUPYTER_DATA_DIR": str(home / "data"), "JUPYTER_RUNTIME_DIR": str(home / "run"),
            "JUPYTERLAB_SETTINGS_DIR": str(home / "lab" / "settings"), "JUPYTERLAB_WORKSPACES_DIR": str(home / "lab" / "workspaces"),
            "IPYTHONDIR": str(home / "ipython"), "STEWARD_WORKSPACE": str(workspace), "STEWARD_REVIEWER": reviewer, **more,
        }  # fmt: skip
        self.log = folder / "lab.log"
        self._out = self.log.open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={self.port}", f"--IdentityProvider.token={self.token}",
             f"--ServerApp.root_dir={folder}", "--ServerApp.allow_root=True", "--expose-app-in-browser", "--ServerApp.port_retries=0",
             "--JupyterNotebookApp.expose_app_in_browser=True"],
            env=env, stdout=self._out, stderr=subprocess.STDOUT, cwd=folder,
        )  # fmt: skip
        self._wait()

    def _wait(self) -> None:
        end = time.monotonic() + 90
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            try:
                self.api("/api/status")
                return
            except OSError:
                time.sleep(0.3)
        pytest.fail("JupyterLab did not start:\n" + self.log.read_text(errors="replace")[-2000:])

    def api(self, path: str, method: str = "GET") -> object:
        """Ask the server."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", method=method, headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            body = answer.read()
        return json.loads(body) if body else None

    def url(self, notebook: str) -> str:
        """Address of a notebook in a page of its own."""
        return f"http://127.0.0.1:{self.port}/lab/tree/{notebook}?token={self.token}&reset"

    def stop(self) -> None:
        """End kernels and server."""
        try:
            for session in self.api("/api/sessions"):  # type: ignore[attr-defined]  # a list of dictionaries
                self.api(f"/api/sessions/{session['id']}", "DELETE")
        except OSError:
            pass
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._out.close()
        shutil.rmtree(self.folder / "home", ignore_errors=True)


def make_trust(folder: Path, proposer: str) -> Path:
    """Make a trust store in which ``proposer`` is an analyst; return its folder. The pin lies beside it."""
    from importlib import resources

    from steward.commands.demo import Demo
    from steward.screen import Screen

    class Small(Demo):
        """The demo's keys and trust store, with the policy that ships and no executor."""

        def _make_policy(self) -> None:
            self.path("policy.toml").write_bytes(resources.files("steward").joinpath("default_policy.toml").read_bytes())

        def _executor_key(self) -> Path:
            key = self.path("keys", "machine.key")
            self._run(
                "keys",
                "new",
                "--person",
                "machine",
                "--to",
                key,
                "--passphrase-file",
                self.path("keys", "ria.passphrase"),
                quiet=True,
            )
            return key.with_name("machine.key.pub")

    small = Small(folder, 1_000, 1, Screen(quiet=True), people={proposer: ("analyst",)})
    small._clean_folder()
    small._make_keys()
    small._make_policy()
    small._make_trust()
    return small.path("trust")
