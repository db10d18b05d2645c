"""A keyring backend that keeps entries in a JSON file named by ``STEWARD_TEST_KEYRING``; for tests alone."""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError


class FileKeyring(KeyringBackend):
    """Entries by ``service/name``."""

    priority = 1

    def _file(self) -> Path:
        return Path(os.environ["STEWARD_TEST_KEYRING"])

    def _read(self) -> dict[str, str]:
        path = self._file()
        return json.loads(path.read_text()) if path.exists() else {}

    def set_password(self, service: str, username: str, password: str) -> None:
        entries = self._read() | {f"{service}/{username}": password}
        self._file().write_text(json.dumps(entries))

    def get_password(self, service: str, username: str) -> str | None:
        return self._read().get(f"{service}/{username}")

    def delete_password(self, service: str, username: str) -> None:
        entries = self._read()
        if entries.pop(f"{service}/{username}", None) is None:
            raise PasswordDeleteError("no such entry")
        self._file().write_text(json.dumps(entries))
