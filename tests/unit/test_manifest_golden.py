"""Manifests of version 1 as they were first written: they must verify for ever, and be written the same way to the byte.

``tests/golden/manifest-v1`` is a case of the conformance suite on disk. ``python -m tests.unit.test_manifest_golden`` writes
it anew; a difference means that old manifests could not be read any more.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.conformance.manifest import check
from tests.conformance.manifest_cases import MERGE, Case
from tests.support.signing import item, manifest

GOLDEN = Path(__file__).parents[1] / "golden" / "manifest-v1"
CASES = {
    "merge": Case(made=MERGE, signers=("bob", "cid")),
    "hard": Case(
        made=manifest([item(0, action="hard_delete"), item(1, id="客户-1", reviewer="rule:stale")], chunk_records=1),
        signers=("bob", "dan"),
    ),
}


def _files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_golden_manifests_still_verify() -> None:
    for name in CASES:
        folder = GOLDEN / name
        code, said = check(folder / "manifest", folder / "trust", folder / "context.json")
        assert code == 0, said
        assert said["approvers"] == ["bob", "cid" if name == "merge" else "dan"]


def test_golden_manifests_are_written_the_same_way(tmp_path: Path) -> None:
    for name, case in CASES.items():
        (tmp_path / name).mkdir()
        case.write(tmp_path / name)
    assert _files(tmp_path) == _files(GOLDEN)


if __name__ == "__main__":
    shutil.rmtree(GOLDEN, ignore_errors=True)
    for name, case in CASES.items():
        (GOLDEN / name).mkdir(parents=True)
        case.write(GOLDEN / name)
