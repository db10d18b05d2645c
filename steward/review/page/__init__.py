"""The panel as a web page without code, for people who do not work in notebooks: Voilà on loopback.

Left to others: the panel (``steward.review.panel``), signing (its own page and command).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

TEMPLATES = Path(__file__).parent

_CELL = """import os
from steward.messages import choose_language
from steward.workbench import open_workspace
choose_language(os.environ.get("STEWARD_LANGUAGE"))
_log = os.environ.get("STEWARD_DECISION_LOG") or None
open_workspace(os.environ["STEWARD_WORKSPACE"], create=False, read_only=True).review(
    os.environ["STEWARD_REVIEWER"], log=_log, blind=os.environ.get("STEWARD_BLIND") == "1")
"""


def write_page(folder: Path) -> Path:
    """Write the page's notebook into a folder of its own and return its path. It holds no data and no address."""
    cell: dict[str, object] = {
        "cell_type": "code",
        "id": "panel",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": _CELL,
    }
    book = {
        "cells": [cell],
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path = folder / "review.ipynb"
    path.write_text(json.dumps(book), encoding="utf-8")
    return path


def page_environment(workspace: Path, reviewer: str, *, log: str | None, blind: bool, language: str) -> dict[str, str]:
    """Return the environment of the page's server: what to show travels here, never in the address or the notebook."""
    given: Mapping[str, str] = {
        "STEWARD_WORKSPACE": str(workspace.resolve()),
        "STEWARD_REVIEWER": reviewer,
        "STEWARD_DECISION_LOG": log or "",
        "STEWARD_BLIND": "1" if blind else "",
        "STEWARD_LANGUAGE": language,
        "JUPYTER_PATH": os.pathsep.join(x for x in (str(TEMPLATES), os.environ.get("JUPYTER_PATH", "")) if x),
    }
    return dict(os.environ) | dict(given)


def server_words(page: Path, port: int, token: str, *, open_browser: bool) -> list[str]:
    """Return the command of the page's server: loopback only, one token, no code shown."""
    words = [
        sys.executable, "-m", "voila", str(page), "--Voila.ip=127.0.0.1", f"--port={port}", "--template=steward",
        "--strip_sources=True", f"--token={token}", "--show_tracebacks=False",
    ]  # fmt: skip
    return words if open_browser else [*words, "--no-browser"]
