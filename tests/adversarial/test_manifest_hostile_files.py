"""At least 300 hostile files, each refused with the code of its class, in under a second and 200 MB."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from steward.manifest.refusals import CODES


def test_every_hostile_file_is_refused_quickly_and_in_little_memory(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.hostile_files", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    assert found["count"] >= 300
    assert found["slowest"][0] < 1.0, found["slowest"]
    assert found["peak_mb"] < 200
    assert set(found["codes"]) - CODES == {"WrongPayloadTypeError", "TrustError"}, "those two say by their class what is wrong"
    assert len(found["codes"]) >= 25, "a code for each class of hostile file"
