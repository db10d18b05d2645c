"""Where signed checkpoints of the audit log go: folders, webhooks, e-mail, a git remote. Somewhere this machine cannot rewrite.

A place is one word of ``checkpoints`` in ``config.toml``:

* a folder: the checkpoint is appended to ``checkpoints.ndjson`` there;
* ``https://…``: POST, one signed checkpoint a line;
* ``mailto:auditor@example.org?server=mail.example.org:587&from=steward@example.org`` (``user`` and ``password-file`` where
  the server asks; STARTTLS always, but to this machine itself);
* ``git:/srv/audit-clone``: a clone whose upstream this machine may only append to; committed and pushed.

Folders get every checkpoint at once. The others get what is new about once a minute and at the end of a run; what could
not be delivered waits in the journal. A place that does not answer never stops a run. Left to others: what a checkpoint is
(``audit``), comparing with what was kept outside (``looking``).
"""

from __future__ import annotations

import hashlib
import smtplib
import ssl
import subprocess
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import httpx

from steward.errors import UsageError
from steward.executor.journal import Journal
from steward.executor.ports import Clock
from steward.manifest_files import read_secret
from steward.messages import N_

FILE = "checkpoints.ndjson"
EVERY = 60.0
TIMEOUT = 10.0
PART = 1_000
_HERE = frozenset({"localhost", "127.0.0.1", "::1"})


class _Undelivered(Exception):
    """Not now; it waits."""


@dataclass(slots=True)
class Pusher:
    """Delivers checkpoints of one journal.

    Attributes
    ----------
    home : Path
        Relative folders are below it; its own ``audit`` folder always gets a copy.
    places : tuple of str
    origin : str
        Name of the log, for subjects and messages.
    """

    journal: Journal
    home: Path
    places: tuple[str, ...]
    origin: str
    clock: Clock
    _tried: float | None = None
    _failed: set[str] = field(default_factory=set)

    def push(self, envelope: bytes, *, last: bool = False) -> None:
        """Deliver a checkpoint that was committed; ``last`` tries every place whatever time has passed."""
        for folder in folders_of(self.home, self.places, own=True):
            try:
                _append(folder / FILE, envelope + b"\n")
            except OSError:
                continue  # `audit verify` says which folder lacks the newest
        now = self.clock.monotonic()
        if not last and self._tried is not None and now - self._tried < EVERY:
            return
        self._tried = now
        for place in self.places:
            if is_remote(place) and (last or place not in self._failed):
                self._deliver(place)

    def _deliver(self, place: str) -> None:
        name = _mark(place)
        while waiting := self.journal.checkpoints_after(int(self.journal.get(name) or -1), PART):
            lines = [envelope for _, envelope in waiting]
            try:
                self._send(place, lines, waiting[-1][0])
            except (_Undelivered, OSError, httpx.HTTPError, smtplib.SMTPException, subprocess.SubprocessError):
                self._failed.add(place)
                return
            self._failed.discard(place)
            with self.journal.commit():
                self.journal.put(name, str(waiting[-1][0]))

    def _send(self, place: str, lines: list[str], size: int) -> None:
        text = "".join(line + "\n" for line in lines)
        if place.startswith("git:"):
            _commit(Path(place.removeprefix("git:")), text, f"{self.origin}: {size} events")
        elif place.startswith("mailto:"):
            _mail(place, text, f"steward audit checkpoint: {self.origin}, {size} events", self.clock.now(), self.home)
        else:
            headers = {
                "Content-Type": "application/x-ndjson",
                "X-Steward-Origin": self.origin.encode("ascii", "replace").decode(),
            }
            answer = httpx.post(place, content=text.encode(), headers=headers, timeout=TIMEOUT, follow_redirects=False)
            if not answer.is_success:
                raise _Undelivered

    def behind(self) -> dict[str, int]:
        """Return, per place that is not a folder, how many checkpoints wait for it."""
        return {
            shown(place): self.journal.count_checkpoints_after(int(self.journal.get(_mark(place)) or -1))
            for place in self.places
            if is_remote(place)
        }


def is_remote(place: str) -> bool:
    """True for places that are not folders."""
    return place.startswith(("https://", "http://", "mailto:", "git:"))


def shown(place: str) -> str:
    """Return a place for screens: never its query, which may name users, nor a token in its path."""
    parts = urlsplit(place)
    if parts.scheme in ("http", "https"):
        return f"{parts.scheme}://{parts.hostname or ''}"
    return place.partition("?")[0]


def folders_of(home: Path, places: tuple[str, ...], *, own: bool = False) -> list[Path]:
    """Return the folders that checkpoints are kept in, a git clone among them only where it is read."""
    found = [home / "audit"] if own else []
    for place in places:
        if place.startswith("git:") and not own:
            found.append(Path(place.removeprefix("git:")))
        elif not is_remote(place):
            path = Path(place)
            found.append(path if path.is_absolute() else home / path)
    return found


def check_places(places: tuple[str, ...]) -> None:
    """Refuse a place that could never be reached, or that would send in the clear.

    Raises
    ------
    UsageError
    """
    for place in places:
        parts = urlsplit(place)
        good = True
        if parts.scheme == "http":
            good = parts.hostname in _HERE
        elif parts.scheme == "https":
            good = bool(parts.hostname)
        elif parts.scheme == "mailto":
            query = parse_qs(parts.query)
            good = "@" in parts.path and "server" in query and "from" in query
        elif parts.scheme == "git":
            good = Path(place.removeprefix("git:")).is_absolute()
        if not good:
            raise UsageError(
                N_("Checkpoints cannot be pushed to {place}."),
                next_step=N_("A folder, https://…, mailto:TO?server=HOST:PORT&from=ADDRESS, or git:/CLONE."),
                place=shown(place),
            )


def _mark(place: str) -> str:
    return "pushed." + hashlib.sha256(place.encode()).hexdigest()[:16]


def _append(path: Path, lines: bytes) -> None:
    """Append whole lines; what a full disk has cut off before stays a line of its own."""
    with path.open("ab+", buffering=0) as file:
        if file.seek(0, 2):
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                lines = b"\n" + lines
        left = memoryview(lines)
        while left:
            left = left[file.write(left) :]


def _commit(clone: Path, text: str, message: str) -> None:
    _append(clone / FILE, text.encode())
    for words in (["add", FILE], ["commit", "-q", "-m", message], ["push", "-q"]):
        done = subprocess.run(
            ["git", "-C", str(clone), "-c", "core.hooksPath=/dev/null", *words],  # noqa: S607  the system's git
            capture_output=True,
            timeout=60,
        )
        if done.returncode and words[0] != "commit":
            raise _Undelivered


def _mail(place: str, text: str, subject: str, now: datetime, home: Path) -> None:
    parts = urlsplit(place)
    query = {n: v[0] for n, v in parse_qs(parts.query).items()}
    host, _, port = query["server"].rpartition(":")
    host = host or query["server"]
    message = EmailMessage()
    message["To"], message["From"] = unquote(parts.path), query["from"]
    message["Subject"] = subject.replace("\r", " ").replace("\n", " ")
    message["Date"] = now
    message.set_content("Keep this message: it shows later that the audit log was not rewritten.\n")
    message.add_attachment(text.encode(), maintype="application", subtype="x-ndjson", filename=FILE)
    with smtplib.SMTP(host, int(port) if port.isdigit() else 587, timeout=TIMEOUT) as server:
        if host not in _HERE:
            server.starttls(context=ssl.create_default_context())
        if "user" in query:
            path = Path(query["password-file"])
            server.login(query["user"], read_secret(path if path.is_absolute() else home / path).reveal().decode())
        server.send_message(message)


__all__ = ["FILE", "Pusher", "check_places", "folders_of", "is_remote", "shown"]
