"""Gates before drafting: each closes for its own reason, and an untouched snapshot passes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from steward.policy import Holds
from steward.scoring.gates import gates
from steward.scoring.staleness import score_staleness
from steward.store import Workspace
from tests.support.reasons import AS_OF, World


def _codes(ws: Workspace, world: World) -> list[str]:
    return [r.code for r in gates(ws, ws.snapshot(), world.policy)]


def test_open_for_a_whole_scored_snapshot_and_closed_when_old(tmp_path: Path) -> None:
    world = World()
    with Workspace.open(tmp_path / "w", create=True) as ws:
        snapshot = world.snapshot(ws, tmp_path / "f")
        score_staleness(ws, snapshot, "contact", world.policy, holds=Holds())
        assert gates(ws, snapshot, world.policy, now=AS_OF + timedelta(days=1)) == []
        assert [r.code for r in gates(ws, snapshot, world.policy, now=AS_OF + timedelta(days=15))] == ["snapshot_too_old"]
        world.policy_text += "\n# another text\n"
        assert _codes(ws, world) == ["other_policy"]


def test_closed_by_rejects(tmp_path: Path) -> None:
    world = World()
    world.broken.add("deal")
    with Workspace.open(tmp_path / "w", create=True) as ws:
        snapshot = world.snapshot(ws, tmp_path / "f")
        assert [r.code for r in gates(ws, snapshot, world.policy)] == ["unresolved_rejects"]
        assert str(gates(ws, snapshot, world.policy)[0]) == "1 lines of deal could not be read and are not resolved."


def test_closed_by_an_incomplete_run_and_by_missing_protections(tmp_path: Path) -> None:
    world = World()
    with Workspace.open(tmp_path / "w", create=True) as ws:
        snapshot = world.snapshot(ws, tmp_path / "f")
        ws.replace_evidence(snapshot, "invalid", "contact", evidence=[], definition_digest="d", summary={}, complete=False)
        ws.replace_evidence(snapshot, "duplicate", "contact", evidence=[], definition_digest="d", summary={})
        assert _codes(ws, world) == ["incomplete_run", "no_protections"]


def test_closed_when_an_object_shrank_by_more_than_forty_percent(tmp_path: Path) -> None:
    world = World()
    for _ in range(8):
        world.add("contact")
    with Workspace.open(tmp_path / "w", create=True) as ws:
        world.snapshot(ws, tmp_path / "f1")
        del world.records["contact"][6:]
        world.snapshot(ws, tmp_path / "f2", AS_OF + timedelta(days=1))
        assert _codes(ws, world) == []  # ten to six is forty percent
        del world.records["contact"][3:]
        world.snapshot(ws, tmp_path / "f3", AS_OF + timedelta(days=2))
        assert _codes(ws, world) == ["shrunk"]
