"""The page on which the owner of records objects, and its small web server.

``GET /o/LINK`` shows how many of the owner's records are to go, when, and their ids; only the button, a ``POST``, objects: what
opens links in mail by itself must not. There is no script, nothing from elsewhere, no log of links. It listens on this machine
alone unless it is told otherwise; TLS is the business of the proxy before it.

Left to others: what an objection does (``notices``).
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from steward.executor.notices import Mine, Notices
from steward.messages import N_, _, language

MAX_BODY = 4_096
_PATH = re.compile(r"/o/([a-z2-7]{32})")
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "content-type": "text/html; charset=utf-8",
}
_STYLE = "body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}button{font:inherit;padding:.6rem 1.2rem}li{overflow-wrap:anywhere}"

GONE = N_("This link is not known here.")
DONE = N_("You have objected. These records stay; nobody has to do anything more.")


def page(mine: Mine | None) -> str:
    """Return the page for a link; every value is escaped."""
    if mine is None:
        return _page(_("Objection"), f"<p>{html.escape(_(GONE))}</p>")
    when = mine.starts.strftime("%Y-%m-%d %H:%M UTC")
    counts = "".join(f"<li>{html.escape(kind)}: {n:,}</li>" for kind, n in mine.counts.items())
    rows = "".join(f"<li><code>{html.escape(f'{object}/{id}')}</code></li>" for object, id in mine.records)
    total = sum(mine.counts.values())
    parts = [
        f"<p>{html.escape(_('These records of yours are to be changed or deleted, on {when} at the earliest:').format(when=when))}</p>",
        f"<ul>{counts}</ul>",
    ]
    if mine.objected:
        parts.append(f"<p role='status'><strong>{html.escape(_(DONE))}</strong></p>")
    else:
        parts += [
            f"<p>{html.escape(_('If you object, all of them stay. It cannot be taken back.'))}</p>",
            f"<form method='post'><button>{html.escape(_('I object'))}</button></form>",
        ]
    parts.append(f"<details><summary>{html.escape(_('Which they are'))}</summary><ul>{rows}</ul>")
    if total > len(mine.records):
        parts.append(f"<p>{html.escape(_('and {count} more').format(count=f'{total - len(mine.records):,}'))}</p>")
    return _page(_("Objection"), "".join(parts) + "</details>")


def _page(title: str, body: str) -> str:
    title = html.escape(title)
    return (
        f"<!doctype html><html lang='{language().replace('_', '-')}'><head><meta charset='utf-8'>"
        f"<meta name='viewport' content='width=device-width'><title>{title}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{title}</h1>{body}</main></body></html>"
    )


def serve(notices: Notices, host: str, port: int, clock: Callable[[], datetime]) -> ThreadingHTTPServer:
    """Return a server that listens; the caller runs and closes it."""

    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = "steward", ""
        timeout = 20

        def _answer(self, status: int, text: str) -> None:
            raw = text.encode()
            self.send_response(status)
            for name, value in _HEADERS.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(raw)

        def _mine(self) -> tuple[str, Mine | None]:
            match = _PATH.fullmatch(self.path)
            return (match[1], notices.mine(match[1])) if match else ("", None)

        def do_GET(self) -> None:
            found = self._mine()[1]
            self._answer(404 if found is None else 200, page(found))

        do_HEAD = do_GET

        def do_POST(self) -> None:
            size = self.headers.get("content-length", "0")
            if not size.isdecimal() or int(size) > MAX_BODY:
                self.close_connection = True
                self._answer(413, _page("413", ""))
                return
            self.rfile.read(int(size))
            link, found = self._mine()
            if found is None:
                self._answer(404, page(None))
                return
            notices.object(link, clock())
            self._answer(200, page(notices.mine(link)))

        def log_message(self, format: str, *args: object) -> None:
            """A line of a log would hold the link."""

    return ThreadingHTTPServer((host, port), Handler)
