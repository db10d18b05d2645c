"""axe-core on a page of ours, fetched once by version and hash; and a name for everything that can have the focus.

axe finds a part of what is wrong; no screen reader is run here. Where neither the cache nor npm has axe the tests fail.
"""

from __future__ import annotations

import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

import pytest
from playwright.sync_api import Page

PINNED = Path(__file__).with_name("axe")
CACHE = Path(__file__).resolve().parents[2] / ".make" / "axe-pinned"

_NAMELESS = """(root) => [...document.querySelectorAll(root + ', ' + root + ' *')].filter((n) => n.tabIndex >= 0 && n.offsetParent !== null)
  .filter((n) => !(n.getAttribute('aria-label') || n.labels?.length || n.innerText?.trim())).map((n) => n.className)"""
_RUN = """async (root) => (await axe.run(document.querySelector(root), { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] })).violations
  .filter((v) => ['serious', 'critical'].includes(v.impact)).map((v) => v.id + ': ' + v.nodes.slice(0, 3).map((n) => n.target + ' ' + n.failureSummary).join(' | '))"""


@lru_cache(maxsize=1)
def axe_source() -> str:
    """Return axe-core, from the cache or through npm, whose lock file holds its hash."""
    source = CACHE / "node_modules" / "axe-core" / "axe.min.js"
    if not source.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.fail("axe-core is not in the cache and npm is not installed: install the system package 'npm' and run again")
        CACHE.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PINNED / name, CACHE / name)
        words = [npm, "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(CACHE)]
        done = subprocess.run(words, timeout=120, check=False, capture_output=True, text=True)
        if done.returncode or not source.exists():
            pytest.fail("axe-core could not be fetched: " + (done.stderr or done.stdout)[-500:])
    return source.read_text(encoding="utf-8")


def check_accessible(page: Page, root: str, where: object) -> None:
    """Fail on anything serious or critical below ``root``, and on what can have the focus and has no name."""
    nameless = page.evaluate(_NAMELESS, root)
    assert nameless == [], (where, nameless)
    if not page.evaluate("typeof axe !== 'undefined'"):
        page.evaluate(axe_source())
    found = page.evaluate(_RUN, root)
    assert found == [], (where, found)
