"""No network at all, for a test and every process it starts: each attempt to reach an address is refused and written down.

An audit hook of the interpreter sees what the C code of ``socket`` is asked for, whoever asks. It gets into every Python
process below this one by ``sitecustomize`` on the path, so that the executor and the commands need not know of it.

Binding and ``socketpair`` are let through, for they reach nobody (a library looks that way whether there is IPv6). What a
library written in another language would ask of the kernel without Python is not seen.
"""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

REFUSED = frozenset(
    (
        "socket.connect", "socket.getaddrinfo", "socket.gethostbyaddr", "socket.gethostbyname", "socket.getnameinfo",
        "socket.sendmsg", "socket.sendto", "urllib.Request", "http.client.connect", "smtplib.connect",
    )
)  # fmt: skip
_HOOK = """
import os, sys


def _write(line):
    at = os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(at, (line + "\\n").encode("utf-8", "backslashreplace"))
    finally:
        os.close(at)


def _hook(event, words):
    if event in {refused!r}:
        _write("asked " + event + " " + repr(words[1:]))
        raise OSError("there is no network")


_write("began " + " ".join(sys.orig_argv[1:]))
sys.addaudithook(_hook)
"""
_here: list[list[str]] = []
_installed: list[bool] = []


def _refuse(event: str, words: tuple[object, ...]) -> None:
    if _here and event in REFUSED:
        _here[-1].append(f"{event} {words[1:]!r}")
        raise OSError("there is no network")


@dataclass
class NoNetwork(AbstractContextManager["NoNetwork"]):
    """Within it this process and those it starts reach nobody.

    Attributes
    ----------
    folder : Path
        Made for the hook and for what the processes write down.
    """

    folder: Path
    _mine: list[str] = field(default_factory=list)
    _patch: pytest.MonkeyPatch = field(default_factory=pytest.MonkeyPatch)

    def __enter__(self) -> NoNetwork:
        self.folder.mkdir()
        text = _HOOK.format(log=str(self.folder / "log"), refused=sorted(REFUSED))
        (self.folder / "sitecustomize.py").write_text(text, encoding="utf-8")
        self._patch.setenv("PYTHONPATH", str(self.folder), prepend=os.pathsep)
        if not _installed:
            sys.addaudithook(_refuse)  # it stays for good, and does nothing outside
            _installed.append(True)
        _here.append(self._mine)
        return self

    def __exit__(self, *_: object) -> None:
        _here.remove(self._mine)
        self._patch.undo()

    def _lines(self, word: str) -> list[str]:
        log = self.folder / "log"
        found = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        return [line.removeprefix(word + " ") for line in found if line.startswith(word + " ")]

    @property
    def began(self) -> list[str]:
        """Command line of every process that was started within."""
        return self._lines("began")

    @property
    def asked(self) -> list[str]:
        """Every attempt to reach an address, of this process and of those."""
        return [*self._mine, *self._lines("asked")]
