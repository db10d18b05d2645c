"""The panel and the sign page as web pages without code, for people who do not work in notebooks: Voilà on loopback.

Left to others: the panel (``steward.review.panel``), the sign page's content (``steward.review.sign``), starting the server
(``steward.commands._page``).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

TEMPLATES = Path(__file__).parent

REVIEW = """import os
from steward.messages import choose_language
from steward.workbench import open_workspace
choose_language(os.environ.get("STEWARD_LANGUAGE"))
_log = os.environ.get("STEWARD_DECISION_LOG") or None
open_workspace(os.environ["STEWARD_WORKSPACE"], create=False, read_only=True).review(
    os.environ["STEWARD_REVIEWER"], log=_log, blind=os.environ.get("STEWARD_BLIND") == "1",
    check=os.environ.get("STEWARD_CHECK") == "1")
"""
SIGN = """import os
from steward.messages import choose_language
from steward.review.sign.widget import sign_panel
choose_language(os.environ.get("STEWARD_LANGUAGE"))
sign_panel()
"""


def write_page(folder: Path, name: str = "review", code: str = REVIEW) -> Path:
    """Write a page's notebook into a folder of its own and return its path. It holds no data and no address."""
    cell: dict[str, object] = {
        "cell_type": "code",
        "id": "panel",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": code,
    }
    book = {
        "cells": [cell],
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path = folder / f"{name}.ipynb"
    path.write_text(json.dumps(book), encoding="utf-8")
    return path


def page_environment(language: str, **given: str) -> dict[str, str]:
    """Return the environment of a page's server: what to show travels here, never in the address or the notebook.

    A passphrase in our own environment is not handed on: a page asks for it.
    """
    out = {name: value for name, value in os.environ.items() if name != "STEWARD_PASSPHRASE"}
    paths = (str(TEMPLATES), os.environ.get("JUPYTER_PATH", ""))
    return out | given | {"STEWARD_LANGUAGE": language, "JUPYTER_PATH": os.pathsep.join(x for x in paths if x)}


def review_environment(
    workspace: Path, reviewer: str, *, log: str | None, blind: bool, language: str, check: bool = False
) -> dict[str, str]:
    """Return the environment of the review page's server."""
    return page_environment(
        language,
        STEWARD_WORKSPACE=str(workspace.resolve()),
        STEWARD_REVIEWER=reviewer,
        STEWARD_DECISION_LOG=log or "",
        STEWARD_BLIND="1" if blind else "",
        STEWARD_CHECK="1" if check else "",
    )


def server_words(page: Path, port: int, token: str, *, open_browser: bool) -> list[str]:
    """Return the command of the page's server: loopback only, one token, no code shown."""
    words = [
        sys.executable, "-m", "voila", str(page), "--Voila.ip=127.0.0.1", f"--port={port}", "--template=steward",
        "--strip_sources=True", f"--token={token}", "--show_tracebacks=False",
    ]  # fmt: skip
    return words if open_browser else [*words, "--no-browser"]
