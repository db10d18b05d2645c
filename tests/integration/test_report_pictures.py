"""The pictures of a scorecard: what they say of an execution, that they hold no value, and that they stand as files too."""

from __future__ import annotations

import json
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from steward.cli import main
from steward.commands._signing import now
from steward.crm.mapping import parse_mapping
from steward.crm.sql import SqlReader
from tests.support.review import MAPPING, TAKEN, key, make_workspace, ordinary
from tests.support.signing import item
from tests.support.signing_commands import first_trust, keys, lay, made_now, trust  # noqa: F401  # fixtures


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Write a report and return exit code, its JSON and the page."""

    def go(workspace: Path, *words: object) -> tuple[int, dict[str, Any], str]:
        page = tmp_path / "card.html"
        capsys.readouterr()
        code = main(["report", "--to", str(page), "--workspace", str(workspace), "--json", *map(str, words)])
        out, err = capsys.readouterr()
        return code, json.loads(out) if code == 0 else {"error": err}, page.read_text(encoding="utf-8") if page.exists() else ""

    return go


def executed(tmp_path: Path) -> tuple[Path, str, str]:
    """A workspace with a snapshot before and one after three contacts went; returns its path and both digests."""
    ws, first = make_workspace(tmp_path, ordinary(12), clusters=[(0, 1), (2, 3)], stale=[6], deals=[(1, "1200.50", "open")])
    file = tmp_path / "workspace.sqlite"
    with sqlite3.connect(file) as db:
        db.executemany("DELETE FROM contact WHERE id = ?", [(key(i).id,) for i in (1, 3, 6)])
    db.close()
    reader = SqlReader(f"sqlite:///{file}", parse_mapping(MAPPING))
    second = ws.take_snapshot(reader, taken_at=TAKEN + timedelta(days=20))
    reader.close()
    ws.close()
    return ws.path, first.digest, second.digest


def test_before_and_after_is_held_against_the_manifest_that_was_signed(
    tmp_path: Path, told: Any, trust: Path, keys: Path  # noqa: F811  # fixtures by name
) -> None:  # fmt: skip
    workspace, before, after = executed(tmp_path / "w")
    items = [item(n, id=key(i).id, object="contact", action="soft_delete", target=None) for n, i in enumerate((1, 3, 7))]
    folder = lay(
        tmp_path / "manifests",
        made_now(items, created_at=now(), not_before=now() + timedelta(days=2), expires_at=now() + timedelta(days=8)),
    )
    code, found, _page = told(workspace, "--before", before[:12], "--manifest", folder, "--trust", trust)
    assert code != 0 and "signature" in found["error"]  # nobody has signed it
    assert main(["sign", str(folder), "--key", str(keys / "bob"), "--passphrase-file", str(keys / "pw"), "--trust", str(trust), "--count", "3", "--quiet"]) == 0  # fmt: skip
    code, found, page = told(workspace, "--before", before[:12], "--manifest", folder, "--trust", trust)
    assert code == 0, found
    picture = found["pictures"]["before-and-after"]
    row = next(r for r in picture["rows"] if r[0] == "contact")
    assert row[1:] == ["12", "9", "3", "0", "3", "1", "1"]  # person 6 went unsigned, person 7 was signed for and is there
    assert "1 went without being signed for, and 1 that were signed for are still there" in page
    assert found["snapshot"] == after


def test_pictures_hold_no_value_and_a_customer_is_drawn_only_when_asked_for(tmp_path: Path, told: Any) -> None:
    workspace, before, _after = executed(tmp_path / "w")
    code, found, page = told(workspace, "--snapshot", before[:12])
    assert code == 0 and {"scores", "heat-0"} <= set(found["pictures"]) and "customer" not in found["pictures"]
    values = [v for p in ordinary(12) for v in (p["name"], p["email"], p["phone"]) if v] + [key(i).id for i in range(12)]
    assert not [v for v in values if v in page]
    (tmp_path / "svg").mkdir()
    code, found, page = told(workspace, "--snapshot", before[:12], "--customer", key(1), "--svg", tmp_path / "svg")
    assert code == 0 and {"customer", "pair-0"} <= set(found["pictures"]) and key(1).id in page
    assert not [p for p in ordinary(12) if str(p["name"]) in page or str(p["email"]) in page]
    for name in found["pictures"]:
        root = ElementTree.fromstring((tmp_path / "svg" / f"{name}.svg").read_text(encoding="utf-8"))
        assert root.tag.endswith("}svg") and root.find("{http://www.w3.org/2000/svg}style") is not None


@pytest.mark.parametrize(
    "words", [("--customer", "contact"), ("--customer", "contact/none"), ("--manifest", "x"), ("--svg", "/none")]
)
def test_what_cannot_be_drawn_is_refused_and_no_page_is_written(tmp_path: Path, told: Any, words: tuple[str, ...]) -> None:
    ws, _snapshot = make_workspace(tmp_path / "w", ordinary(2))
    ws.close()
    code, _found, page = told(ws.path, *words)
    assert code != 0 and page == ""
