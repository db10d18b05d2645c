"""The notebook of duplicates runs whole on the real sample CRM: every cell, with its charts, without a network."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]


def test_the_whole_way_runs_on_crm_npsp(real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEWARD_REAL_DATA", str(real_data))
    monkeypatch.setenv("STEWARD_WORKSPACE", str(tmp_path / "w"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # whatever asks the network is refused
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path))
    book = nbformat.read(ROOT / "notebooks" / "duplicates.ipynb", as_version=4)
    NotebookClient(book, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [o for c in book.cells if c.cell_type == "code" for o in c.outputs]
    assert not [o for o in outputs if o.output_type == "error"]
    kinds = [k for o in outputs if "data" in o for k in o["data"]]
    assert kinds.count("image/png") >= 4 and kinds.count("image/svg+xml") == 2
    said = "".join(o.get("text", "") for o in outputs)
    assert "contact: 1,024 records" in said and "candidate pairs" not in said
    found = next(int(line.split()[0]) for line in said.splitlines() if line.endswith("of 30 found again"))
    assert found >= 27
    assert "Next: steward review" in said
