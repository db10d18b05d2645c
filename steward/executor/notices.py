"""Notices to the owners of records before anything is deleted, with a link by which each can object.

On where the home has a ``notices.toml``::

    link = "https://objections.example.org"   # where ``steward-executor objections --listen`` is reached from outside
    email_column = "email"                    # of the object with the role ``user``
    required = true                           # nothing is applied before every owner was told …
    hours = 24                                # … so long ago

``prepare`` reads who owns each record now and groups the items by owner; ``send`` mails each owner how many of their records are
to go, when, and their link. Whoever follows it and confirms has vetoed their items of that manifest, until the last batch; it
cannot be taken back. A link is a secret made of the home's own and is kept as a digest; addresses are read from the CRM when a
mail goes out and kept nowhere. Owners without an address, and records without an owner, are counted and said.

State is ``notices.sqlite`` in the home, open to the page beside a running executor. Left to others: the page (``objections``),
what a vetoed item means (``judge``), sending (``steward.post``).
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
import secrets
import sqlite3
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from steward.crm.mapping import Mapping as CrmMapping
from steward.errors import ExecutionError, StewardError, UsageError
from steward.executor.outbox import due
from steward.executor.ports import Reading
from steward.manifest.format import Item
from steward.manifest_files import read_file, read_secret, write_file
from steward.messages import N_, _
from steward.post import Mailbox, Notice, check_address
from steward.records import Record, RecordKey, canonical_text

SETTINGS, STATE, SECRET = "notices.toml", "notices.sqlite", "objections.secret"
BATCH = 500

_SCHEMA = """
CREATE TABLE IF NOT EXISTS told(manifest TEXT PRIMARY KEY, digest TEXT NOT NULL, starts TEXT NOT NULL, alone INTEGER NOT NULL,
  made TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notice(manifest TEXT NOT NULL, owner TEXT NOT NULL, object TEXT NOT NULL, link TEXT NOT NULL UNIQUE,
  counts TEXT NOT NULL, made TEXT NOT NULL, sent TEXT, unreachable INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0,
  objected TEXT, PRIMARY KEY(manifest, owner)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notice_item(manifest TEXT NOT NULL, seq INTEGER NOT NULL, owner TEXT NOT NULL, object TEXT NOT NULL,
  id TEXT NOT NULL, PRIMARY KEY(manifest, seq)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS notice_item_owner ON notice_item(manifest, owner);
"""


class NoticeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``notices.toml``."""

    link: Annotated[str, Meta(pattern=r"^https?://[^\s?#]+\Z", max_length=300)]
    email_column: Annotated[str, Meta(min_length=1, max_length=200)] = "email"
    required: bool = True
    hours: Annotated[int, Meta(ge=0, le=8_760)] = 24


class Reads(Protocol):
    """The reading half of a writer."""

    def read(self, keys: Sequence[RecordKey], *, links_of: Sequence[RecordKey] = ()) -> Reading:
        """See :class:`steward.executor.ports.Writer`."""
        ...


@dataclass(frozen=True, slots=True)
class Told:
    """Where the notices of a manifest stand: owners in all, told, without an address, who objected; records without owner."""

    owners: int
    sent: int
    unreachable: int
    objected: int
    alone: int

    @property
    def waiting(self) -> int:
        """Owners who are still to be told."""
        return self.owners - self.sent - self.unreachable


@dataclass(frozen=True, slots=True)
class Mine:
    """What a link is about."""

    manifest: str
    starts: datetime
    counts: dict[str, int]
    records: tuple[tuple[str, str], ...]
    objected: bool


def read_settings(home: Path) -> NoticeSettings | None:
    """Return the settings of a home; None where it tells no owners.

    Raises
    ------
    UsageError
        A file that is wrong; it is not taken for none.
    """
    path = home / SETTINGS
    if not path.exists() and not path.is_symlink():
        return None
    try:
        return msgspec.convert(tomllib.loads(read_file(path, limit=1 << 16).decode("utf-8")), NoticeSettings)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise UsageError(N_("{path} is wrong: {problem}."), path=SETTINGS, problem=str(error)) from None


class Notices:
    """The notices of one home.

    Parameters
    ----------
    home : Path
    """

    def __init__(self, home: Path) -> None:
        self._home = home

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._home / STATE, timeout=30)) as db:
            db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + _SCHEMA)
            with db:
                yield db

    def _secret(self) -> bytes:
        path = self._home / SECRET
        if not path.exists():
            with suppress(UsageError):  # another process was first
                write_file(path, secrets.token_hex(32).encode(), mode=0o400, exclusive=True)
        return read_secret(path).reveal()

    def _link(self, manifest: str, owner: str) -> str:
        """Return the secret part of an owner's link; the same each time."""
        mark = hmac.digest(self._secret(), f"{manifest}\n{owner}".encode(), "sha256")[:20]
        return base64.b32encode(mark).decode().lower()

    def prepare(
        self,
        manifest: str,
        digest: str,
        starts: datetime,
        items: Iterable[Item],
        look: Reads,
        mapping: CrmMapping,
        now: datetime,
    ) -> Told:
        """Read who owns each record now, and note whom to tell. Once for a manifest; again is nothing.

        Raises
        ------
        ExecutionError
            Another manifest with this id is known.
        """
        with self._open() as db:
            known = db.execute("SELECT digest FROM told WHERE manifest=?", (manifest,)).fetchone()
        if known is not None:
            if known[0] != digest:
                raise ExecutionError(N_("Owners were told of another manifest with the id {id}."), id=manifest)
            return self.told(manifest)
        owned: dict[tuple[str, str], list[Item]] = {}
        alone = 0
        batch: list[Item] = []

        def group() -> None:
            nonlocal alone
            reading = look.read([i.key for i in batch])
            for item in batch:
                record, entry = reading.records.get(item.key), mapping.objects.get(item.object)
                column = entry.owner if entry is not None else None
                owner = canonical_text(record.fields.get(column)) if isinstance(record, Record) and column else None
                if owner is None or entry is None or column not in entry.parents:
                    alone += 1
                else:
                    owned.setdefault((entry.parents[column], owner), []).append(item)
            batch.clear()

        for item in items:
            batch.append(item)
            if len(batch) >= BATCH:
                group()
        if batch:
            group()
        with self._open() as db:
            for (object, owner), own in sorted(owned.items()):
                counts = Counter(f"{i.object}/{i.action}" for i in own)
                link = hashlib.sha256(self._link(manifest, owner).encode()).hexdigest()
                db.execute(
                    "INSERT OR IGNORE INTO notice(manifest, owner, object, link, counts, made) VALUES (?,?,?,?,?,?)",
                    (manifest, owner, object, link, json.dumps(dict(sorted(counts.items()))), now.isoformat()),
                )
                db.executemany(
                    "INSERT OR IGNORE INTO notice_item(manifest, seq, owner, object, id) VALUES (?,?,?,?,?)",
                    [(manifest, i.seq, owner, i.object, i.id) for i in own],
                )
            db.execute(
                "INSERT OR IGNORE INTO told(manifest, digest, starts, alone, made) VALUES (?,?,?,?,?)",
                (manifest, digest, starts.isoformat(), alone, now.isoformat()),
            )
        return self.told(manifest)

    def send(self, manifest: str, settings: NoticeSettings, mailbox: Mailbox, look: Reads, now: datetime) -> Told:
        """Mail every owner who was not told yet and is due; a failed one is tried again by the next call."""
        with self._open() as db:
            rows = db.execute(
                "SELECT owner, object, counts, made, attempts, (SELECT starts FROM told WHERE manifest = notice.manifest)"
                " FROM notice WHERE manifest=? AND sent IS NULL AND unreachable=0 ORDER BY owner",
                (manifest,),
            ).fetchall()
        for start in range(0, len(rows), BATCH):
            part = rows[start : start + BATCH]
            people = look.read([RecordKey(object, owner) for owner, object, *_rest in part]).records
            for owner, object, counts, made, attempts, starts in part:
                if not due(datetime.fromisoformat(made), attempts, now):
                    continue
                record = people.get(RecordKey(object, owner))
                address = canonical_text(record.fields.get(settings.email_column)) if isinstance(record, Record) else None
                try:
                    check_address(address or "")
                except UsageError:
                    self._note("unreachable=1", manifest, owner)
                    continue
                link = f"{settings.link}/o/{self._link(manifest, owner)}"
                try:
                    notice = _notice(manifest, owner, json.loads(counts), starts, link)
                    dataclasses.replace(mailbox, to=(address or "",)).send(notice, now)
                except StewardError:
                    self._note("attempts=attempts+1", manifest, owner)
                    continue
                self._note("sent=?", manifest, owner, now.isoformat())
        return self.told(manifest)

    def _note(self, change: str, manifest: str, owner: str, *values: str) -> None:
        """Change the row of one owner; ``change`` is one of the words above, never what came from outside."""
        with self._open() as db:
            db.execute(f"UPDATE notice SET {change} WHERE manifest=? AND owner=?", (*values, manifest, owner))  # noqa: S608

    def told(self, manifest: str) -> Told:
        """Return where the notices of a manifest stand."""
        with self._open() as db:
            owners, sent, unreachable, objected = db.execute(
                "SELECT count(*), count(sent), total(unreachable), count(objected) FROM notice WHERE manifest=?", (manifest,)
            ).fetchone()
            alone = db.execute("SELECT alone FROM told WHERE manifest=?", (manifest,)).fetchone()
        return Told(owners, sent, int(unreachable), objected, alone[0] if alone else 0)

    def check(self, manifest: str, settings: NoticeSettings | None, now: datetime) -> None:
        """Refuse where owners must have been told and were not, or not long enough ago.

        Raises
        ------
        ExecutionError
        """
        if settings is None or not settings.required:
            return
        with self._open() as db:
            known = db.execute("SELECT 1 FROM told WHERE manifest=?", (manifest,)).fetchone()
            last = db.execute("SELECT max(sent) FROM notice WHERE manifest=?", (manifest,)).fetchone()[0]
        state = self.told(manifest)
        if known is None or state.waiting:
            raise ExecutionError(
                N_("{count} owners of records have not been told yet."),
                next_step=N_("Tell them with: steward-executor notify MANIFEST_DIR."),
                count=state.waiting if known else "-",
            )
        if last is not None and now < datetime.fromisoformat(last) + timedelta(hours=settings.hours):
            raise ExecutionError(
                N_("The owners were told less than {hours} hours ago."),
                next_step=N_("Run the same command after {when}."),
                hours=settings.hours,
                when=(datetime.fromisoformat(last) + timedelta(hours=settings.hours)).isoformat(timespec="minutes"),
            )

    def vetoed(self, manifest: str) -> frozenset[int]:
        """Return the items whose owners have objected."""
        if not (self._home / STATE).exists():
            return frozenset()
        with self._open() as db:
            rows = db.execute(
                "SELECT i.seq FROM notice_item i JOIN notice n ON n.manifest = i.manifest AND n.owner = i.owner"
                " WHERE i.manifest=? AND n.objected IS NOT NULL",
                (manifest,),
            ).fetchall()
        return frozenset(row[0] for row in rows)

    def mine(self, link: str, shown: int = 200) -> Mine | None:
        """Return what a link is about; None where there is no such link."""
        mark = hashlib.sha256(link.encode()).hexdigest()
        with self._open() as db:
            found = db.execute(
                "SELECT n.manifest, n.owner, t.starts, n.counts, n.objected FROM notice n JOIN told t ON t.manifest = n.manifest"
                " WHERE n.link=?",
                (mark,),
            ).fetchone()
            if found is None:
                return None
            manifest, owner, starts, counts, objected = found
            rows = db.execute(
                "SELECT object, id FROM notice_item WHERE manifest=? AND owner=? ORDER BY seq LIMIT ?", (manifest, owner, shown)
            ).fetchall()
        return Mine(manifest, datetime.fromisoformat(starts), json.loads(counts), tuple(rows), objected is not None)

    def object(self, link: str, now: datetime) -> bool:
        """Veto the items of a link's owner; True where there is such a link. Again is nothing."""
        mark = hashlib.sha256(link.encode()).hexdigest()
        with self._open() as db:
            db.execute("UPDATE notice SET objected=? WHERE link=? AND objected IS NULL", (now.isoformat(), mark))
            return db.execute("SELECT 1 FROM notice WHERE link=?", (mark,)).fetchone() is not None


def _notice(manifest: str, owner: str, counts: Mapping[str, int], starts: str, link: str) -> Notice:
    when = datetime.fromisoformat(starts).strftime("%Y-%m-%d %H:%M UTC")
    lines = [
        _("Records of the CRM that are yours are to be changed or deleted, on {when} at the earliest:").format(when=when),
        "",
        *(f"  {kind}: {n:,}" for kind, n in counts.items()),
        "",
        _("Which they are, and how to object, is here:"),
        link,
        "",
        _("If you agree, there is nothing to do. The link is for you alone; do not pass it on."),
        "",
    ]
    mark = hashlib.sha256(owner.encode()).hexdigest()[:16]
    subject = _("{count} of your records are to be changed or deleted").format(count=f"{sum(counts.values()):,}")
    return Notice(id=f"owner-{manifest}-{mark}", subject=subject, text="\n".join(lines))


def mailbox_of(channels: Iterable[object]) -> Mailbox:
    """Return the mail server among the channels of a home.

    Raises
    ------
    UsageError
    """
    found = next((c for c in channels if isinstance(c, Mailbox)), None)
    if found is None:
        raise UsageError(
            N_("The home names no mail server."), next_step=N_("Set post in config.toml, see docs/how-to/notify.md.")
        )
    return found


__all__ = ["Mine", "NoticeSettings", "Notices", "Told", "mailbox_of", "read_settings"]
