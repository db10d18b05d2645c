"""The keep list of the home: read again before every batch, fail closed where it is missing, damaged or too old.

Left to others: its form (``steward.manifest.keeps``), who writes it (``steward export keeps``), what it stops (``judge``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from steward.errors import PolicyInvalidError
from steward.manifest.keeps import read_keeps
from steward.manifest_files import read_file
from steward.messages import N_
from steward.records import RecordKey

LIMIT = 256 << 20


@dataclass(slots=True)
class KeepFile:
    """One keep list on the disk.

    Attributes
    ----------
    path : Path
    tenant : str
    max_age : timedelta or None
        A list that is older says nothing about today; None takes any.
    """

    path: Path
    tenant: str
    max_age: timedelta | None = None
    _seen: tuple[int, int, int] = (-1, -1, -1)
    _at: datetime | None = None
    _entries: Mapping[RecordKey, str] = field(default_factory=dict)

    def read(self, now: datetime) -> Mapping[RecordKey, str]:
        """Return key → code as the file says now.

        Raises
        ------
        PolicyInvalidError
            Missing, damaged, of another tenant, or too old.
        """
        try:
            stat = self.path.stat()
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if seen != self._seen:
                found = read_keeps(read_file(self.path, limit=LIMIT), tenant=self.tenant, where=self.path.name)
                self._entries, self._at, self._seen = found.entries, found.at, seen
        except OSError:
            raise PolicyInvalidError(
                N_("The keep list {path} cannot be read, so everything must stay."),
                next_step=N_("Write it with: steward export keeps --to {path} --workspace W."),
                path=self.path.name,
            ) from None
        if self.max_age is not None and self._at is not None and now - self._at > self.max_age:
            raise PolicyInvalidError(
                N_("The keep list {path} is from {at}; older than {hours} hours is not taken."),
                next_step=N_("Write it anew: steward export keeps --to {path} --workspace W."),
                path=self.path.name,
                at=self._at,
                hours=int(self.max_age.total_seconds() // 3600),
            )
        return self._entries


__all__ = ["KeepFile"]
