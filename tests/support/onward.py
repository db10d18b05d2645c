"""Compares a snapshot that goes on from an earlier one with one that is read whole at the same moment, record by record."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from steward.records import Snapshot
from steward.store import Workspace


class Pair:
    """Two workspaces: one that goes on, one that reads whole each time.

    Parameters
    ----------
    opened : callable
        Opens a fresh reader, as every run of the program does.
    """

    def __init__(self, folder: Path, opened: Callable[[], Any]) -> None:
        self.folder, self.opened = folder, opened
        self.onward = Workspace.open(folder / "onward", create=True)
        self.other: Workspace | None = None

    def close(self) -> None:
        self.onward.close()
        if self.other is not None:
            self.other.close()

    def begin(self, taken_at: datetime | None = None) -> Snapshot:
        with self.opened() as reader:
            return self.onward.take_snapshot(reader, taken_at=taken_at or datetime.now(UTC))

    def go_on(self, **how: Any) -> Snapshot:
        with self.opened() as reader:
            return self.onward.next_snapshot(reader, taken_at=datetime.now(UTC), **how)

    def whole(self) -> tuple[Snapshot, dict[str, dict[str, Any]]]:
        if self.other is None:
            self.other = Workspace.open(self.folder / "whole", create=True)
        with self.opened() as reader:
            snapshot = self.other.take_snapshot(reader, taken_at=datetime.now(UTC))
        return snapshot, contents(self.other, snapshot)

    def same(self, **how: Any) -> Snapshot:
        """Go on, read whole, and compare all there is."""
        made = self.go_on(**how)
        whole, expected = self.whole()
        found = contents(self.onward, made)
        for name in expected:
            differing = {k for k in expected[name].keys() | found[name].keys() if expected[name].get(k) != found[name].get(k)}
            assert not differing, (name, [(k, expected[name].get(k), found[name].get(k)) for k in sorted(differing)[:2]])
        assert made.digest == whole.digest
        assert made.complete == whole.complete
        return made

    def ways(self, snapshot: Snapshot) -> dict[str, str]:
        """How each object of the latest reading was read."""
        return {name: way.way for name, way in self.onward.readings(snapshot)[-1].ways.items()}


def few(text: str, *names: str) -> str:
    """Return a mapping's text with some of its objects only: four are enough for a trap."""
    head, *parts = re.split(r"(?m)^(?=\[objects\.)", text)
    return head + "".join(part for part in parts if part.startswith(tuple(f"[objects.{name}]" for name in names)))


def contents(ws: Workspace, snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    """Everything but file and line, by object and id."""
    found: dict[str, dict[str, Any]] = {}
    for stats in snapshot.objects:
        cursor = ws.connection.cursor()
        rows = cursor.execute(f"SELECT * EXCLUDE (_line) FROM {ws.table(snapshot, stats.name)}").fetchall()
        found[stats.name] = {row[0]: row for row in rows}
        assert len(found[stats.name]) == len(rows)
        cursor.close()
    return found
