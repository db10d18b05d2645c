"""``restore --rehearse``: prove a backup by restoring it into a scratch CRM and comparing row by row.

Every frame of a receipt is opened. A scratch database gets the rows as the run left them; then the very decider and writer
of a real restore bring everything back, and each row is compared with the one in the backup. The real CRM is not asked.

The scratch database holds personal data in the clear: it lies in memory where the machine has such a folder, else below
the home, open to this user alone, and is overwritten and removed at the end. Left to others: a real restore (``restoring``).
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
from sqlalchemy import column, insert, table

from steward.crm.mapping import Mapping as CrmMapping
from steward.crm.sql_engine import open_engine
from steward.crm.sql_shape import named_columns
from steward.executor.backup import BackupReader
from steward.executor.choosing import Scope, choose
from steward.executor.disk import RealDisk
from steward.executor.parts import Parts
from steward.executor.ports import Effect, Progress, Work
from steward.executor.receipt import read_receipt
from steward.executor.restore import FrameEffects, Line, RestoreDecider, equal
from steward.executor.restoring import identities_of, restore_works
from steward.executor.writers.sql import SqlWriter
from steward.records import Record, RecordKey, Scalar, canonical_text

MEMORY = Path("/dev/shm")  # noqa: S108  a folder in memory, used under a name of 128 random bits and mode 0700


@dataclass(slots=True)
class Rehearsed:
    """What a rehearsal came to.

    Attributes
    ----------
    records : int
        Rows of the backup.
    equal : int
        Rows of the scratch CRM that are, after the restore, what they were before the deletion.
    different : list of Line
        The others, by id and names of fields.
    """

    records: int = 0
    equal: int = 0
    different: list[Line] = field(default_factory=list)


def rehearse(
    parts: Parts, receipt: Path, *, identities: Sequence[Path] = (), memory: Path = MEMORY, progress: Progress = None
) -> Rehearsed:
    """Restore a receipt's backup into a scratch CRM and compare.

    Parameters
    ----------
    identities : sequence of Path
        Files that open the backup.
    memory : Path
        Folder in memory; the home is used where there is none.

    Raises
    ------
    BackupUnreadableError
        A frame does not open, or is not what the journal says.
    """
    trust = parts.trust()
    checked, lines = read_receipt(receipt, trust, parts.home.config.tenant, parts.now())
    manifest = checked.predicate.manifest_id
    reader = BackupReader(parts.backup_disk, identities_of(parts, identities))
    effects = _TextEffects(FrameEffects(parts.journal, reader, manifest))
    works = restore_works(parts, manifest, choose(lines, Scope(), effects, parts.home.mapping))
    with _scratch(memory if os.access(memory, os.W_OK) else parts.home.path) as folder:
        return _rehearse(folder, works, effects, parts.home.mapping, progress)


class _TextEffects(FrameEffects):
    """A backup's effects with every value as its text: a scratch column has no type, and digests are over texts."""

    def __init__(self, frames: FrameEffects) -> None:
        self._frames = frames

    def of(self, seq: int) -> list[Effect]:
        return [_as_text(e) for e in self._frames.of(seq)]

    def untouched(self, seq: int, key: RecordKey) -> bool:
        """Never: in the scratch CRM every step is taken for made."""
        return False


def _as_text(e: Effect) -> Effect:
    before = replace(e.before, fields=_texts(e.before.fields))
    return replace(e, before=before, changes=_texts(e.changes), op="delete" if e.op == "bin" else e.op)


def _texts(fields: Mapping[str, Scalar]) -> dict[str, Scalar]:
    return {n: canonical_text(v) for n, v in fields.items()}


@contextmanager
def _scratch(parent: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f"steward-rehearsal-{secrets.token_hex(8)}-", dir=parent))
    try:
        yield folder
    finally:
        disk = RealDisk(folder)
        for path in folder.iterdir():
            disk.remove(path.name)
        shutil.rmtree(folder)


@dataclass(slots=True)
class _World:
    """What the scratch CRM must hold: each row as it was first, and as the run left it."""

    mapping: CrmMapping
    first: dict[RecordKey, Mapping[str, Scalar]] = field(default_factory=dict)
    left: dict[RecordKey, Mapping[str, Scalar] | None] = field(default_factory=dict)
    columns: dict[str, dict[str, None]] = field(default_factory=dict)

    def take(self, effects: Iterable[Effect]) -> None:
        """Take one item's effects; items come in the order in which they were applied."""
        for e in effects:
            key = e.before.key
            self.first.setdefault(key, e.before.fields)
            self.left[key] = None if e.op == "delete" else e.after()
            self.columns.setdefault(key.object, {}).update(dict.fromkeys(e.before.fields))
            self._name_mark(e)

    def _name_mark(self, e: Effect) -> None:
        """Name a deletion mark by its text: a database's ``true`` is ``1`` to some mappings."""
        entry = self.mapping.objects[e.before.key.object]
        mark = entry.soft_delete
        if e.op != "update" or mark is None or mark.deleted is None or mark.column not in e.changes:
            return
        said = canonical_text(e.changes[mark.column])
        if said != mark.deleted:
            live = canonical_text(e.before.fields.get(mark.column))
            entry = msgspec.structs.replace(entry, soft_delete=msgspec.structs.replace(mark, deleted=said, live=live))
            self.mapping = msgspec.structs.replace(self.mapping, objects={**self.mapping.objects, entry.name: entry})

    def stubs(self) -> set[RecordKey]:
        """Return what rows refer to, then or now, and no frame holds: it was not touched and is there."""
        found: set[RecordKey] = set()
        for key, was in self.first.items():
            for row in (was, self.left[key] or {}):
                for name, object in self.mapping.objects[key.object].parents.items():
                    if row.get(name) is not None:
                        found.add(RecordKey(object, str(row[name])))
        return found - set(self.first)


def _rehearse(folder: Path, works: Sequence[Work], effects: FrameEffects, mapping: CrmMapping, progress: Progress) -> Rehearsed:
    world = _World(mapping, columns={n: dict.fromkeys(named_columns(o)) for n, o in mapping.objects.items()})
    for work in reversed(works):
        assert work.of_seq is not None
        world.take(effects.of(work.of_seq))
    url = f"sqlite:///{folder / 'scratch.sqlite'}"
    _fill(url, world)
    writer = SqlWriter(url, world.mapping)
    try:
        decider = RestoreDecider(writer, world.mapping, effects)
        left = list(works)
        while left:
            part, left = left[:200], left[200:]
            units, verdicts, later = decider.decide(part)
            writer.apply(units, manifest="rehearsal", attempt=1)
            if not units and not verdicts:
                break
            left = later + left
            if progress is not None:
                progress(len(part) - len(later))
        return _compare(world.first, writer)
    finally:
        writer.close()


def _fill(url: str, world: _World) -> None:
    engine, _ = open_engine(url, write=True)
    quote = engine.dialect.identifier_preparer.quote
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            for name, entry in world.mapping.objects.items():
                made = ", ".join(f"{quote(c)}{' PRIMARY KEY' if c == entry.key else ''}" for c in world.columns[name])
                connection.exec_driver_sql(f"CREATE TABLE {quote(entry.source)} ({made})")
            rows = [(k, dict(row)) for k, row in world.left.items() if row is not None]
            rows += [(k, {world.mapping.objects[k.object].key: k.id}) for k in sorted(world.stubs())]
            for key, row in rows:
                place = table(world.mapping.objects[key.object].source, *(column(c) for c in world.columns[key.object]))
                connection.execute(insert(place).values(row))
            connection.exec_driver_sql("COMMIT")
    finally:
        engine.dispose()


def _compare(first: Mapping[RecordKey, Mapping[str, Scalar]], writer: SqlWriter) -> Rehearsed:
    found = Rehearsed(records=len(first))
    keys = list(first)
    for start in range(0, len(keys), 500):
        part = keys[start : start + 500]
        now = writer.read(part).records
        for key in part:
            row = now.get(key)
            if not isinstance(row, Record):
                found.different.append(Line(-1, "item", key, "", "impossible", why="row_gone"))
                continue
            names = tuple(sorted(n for n, v in first[key].items() if not equal(row.fields.get(n), v)))
            if names:
                found.different.append(Line(-1, "item", key, "", "changed", names))
            else:
                found.equal += 1
    return found


__all__ = ["Rehearsed", "rehearse"]
