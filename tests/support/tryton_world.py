"""A Tryton server with an executor's home, people and manifests: the world of the executor's tests over a real CRM."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from steward.crm.examples import example_mapping
from steward.crm.tryton import TrytonReader
from steward.executor.home import open_home, write_config
from steward.executor.ports import SystemClock
from steward.executor.runner import Applied, Executor, Restored
from steward.records import Record, RecordKey, canonical_text
from tests.support.executor import World
from tests.support.signing import signer
from tests.support.tryton import TrytonServer
from tests.support.writer_tryton import profile_of


class PatientClock(SystemClock):
    """The machine's clock, but waiting takes no time."""

    def __init__(self) -> None:
        self.slept = 0.0

    def sleep(self, seconds: float) -> None:
        """Count."""
        self.slept += seconds


@dataclass
class TrytonWorld(World):
    """One server, one home.

    Attributes
    ----------
    server : TrytonServer
    """

    server: TrytonServer = field(kw_only=True)
    looking: TrytonReader | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        profile = profile_of(self.server)
        lines = [
            'format = "steward-profiles/1"', "[profiles.t]", 'system = "tryton"', f'tenant = "{profile.tenant}"',
            f'environment = "{profile.environment}"', f'address = "{profile.address}"',
        ]  # fmt: skip
        for part in ("read", "write"):
            lines += [f"[profiles.t.{part}]", *(f'{n} = "{v}"' for n, v in profile.read.items())]
        path = self.folder / "profiles.toml"
        path.write_text("\n".join(lines) + "\n")
        config = open_home(self.home).config
        write_config(self.home, msgspec.structs.replace(config, url="", profiles=str(path), profile="t"))

    def records(self) -> dict[RecordKey, Record]:
        """Every record, archived ones too."""
        if self.looking is None:
            self.looking = TrytonReader(profile_of(self.server), self.mapping)
        reader = self.looking
        return {r.key: r for o in reader.objects() for part in reader.scan(o.name) for r in part}

    def apply(self, folder: Path, **words: Any) -> Applied:
        """Apply a manifest."""
        with self.executor(clock=PatientClock(), **words) as executor:
            return executor.apply(folder)

    def restore(self, receipt: Path, **words: Any) -> Restored:
        """Restore a receipt as bob."""
        with self.executor(clock=PatientClock()) as executor:
            return executor.restore(receipt, signer("bob"), identities=[self.identity], **words)

    def outcomes(self, applied: Applied) -> dict[str, str]:
        """Return ``state/code`` by record of an applied manifest."""
        with Executor(self.home) as executor:
            sql = "SELECT object, id, state, code FROM item WHERE manifest=?"
            rows = executor.journal.db.execute(sql, (applied.manifest,)).fetchall()
        return {f"{o}/{i}": f"{s}/{c}" if s != "done" else s for o, i, s, c in rows}


def open_world(folder: Path, server: TrytonServer, **words: Any) -> TrytonWorld:
    """Make the home around a server."""
    return TrytonWorld(folder, "unused", server=server, **{"mapping_text": example_mapping("tryton"), **words})


def differing(before: Record, after: Record) -> set[str]:
    """Return the names of fields that are not the same."""
    names = {*before.fields, *after.fields}
    return {n for n in names if canonical_text(before.fields.get(n)) != canonical_text(after.fields.get(n))}
