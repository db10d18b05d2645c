"""Serving a page on this machine, until it is closed: a free port, a token of its own, no address outside.

Left to others: what the page shows (``steward.review.page``), the verbs.
"""

from __future__ import annotations

import argparse
import secrets
import socket
import subprocess
import tempfile
from pathlib import Path

from steward.errors import MissingExtraError
from steward.messages import _
from steward.screen import Screen


def add_page_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--port`` and ``--no-browser``."""
    parser.add_argument("--port", type=int, default=0, help=_("port on this machine; by default a free one"))
    parser.add_argument("--no-browser", action="store_true", help=_("print the address and open no browser"))


def serve(args: argparse.Namespace, name: str, code: str, environment: dict[str, str], said: str, screen: Screen) -> int:
    """Serve one page and wait until it is closed.

    Parameters
    ----------
    said : str
        A sentence with a place for ``{address}``.

    Raises
    ------
    MissingExtraError
        Voilà is not installed.
    """
    from importlib.util import find_spec

    from steward.review.page import server_words, write_page

    if find_spec("voila") is None:
        raise MissingExtraError("lab", "voila")
    port, token = args.port or _free_port(), secrets.token_urlsafe(24)
    with tempfile.TemporaryDirectory(prefix="steward-page-") as folder:
        page = write_page(Path(folder), name, code)
        screen.say(said, address=f"http://127.0.0.1:{port}/?token={token}")
        words = server_words(page, port, token, open_browser=not args.no_browser)
        with subprocess.Popen(words, env=environment, cwd=folder) as server:
            try:
                return server.wait()
            except KeyboardInterrupt:
                server.terminate()
                server.wait(10)
    return 0


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
