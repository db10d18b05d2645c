"""Any front of ours on a blank page, without Jupyter, driven by its real Python half in this process.

Left to others: the review panel with its keys (``tests.support.review.BlankPanel``), servers (``tests.support.lab``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from playwright.sync_api import Page

from steward.review.panel import FRONT, front

_PAGE = "<!doctype html><html lang=en><meta charset=utf-8><title>page</title><style>body{margin:12px}</style><div id=here></div></html>"
_BOOT = """async ([source, values]) => {
  const module = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const heard = [];
  window.executed = 0; window.leaked = []; window.sent = [];
  document.addEventListener("keydown", (e) => { if (!e.ctrlKey && !e.metaKey && !e.altKey) window.leaked.push(e.key); });
  window.hear = (text) => { const m = JSON.parse(text); for (const f of heard) f(m); };
  const model = { get: (n) => values[n], on: (n, f) => { if (n === "msg:custom") heard.push(f); }, off: () => {},
                  send: (m) => { window.sent.push(m.type); window.toPython(JSON.stringify(m)); } };
  window.cleanup = module.default.render({ model, el: document.getElementById("here") });
}"""

Handler = Callable[[Mapping[str, Any]], None]


class BlankFront:
    """A front on a page of its own; what it asks for, logs and sends is noted."""

    def __init__(
        self,
        page: Page,
        name: str,
        values: Mapping[str, Any],
        handler_of: Callable[[Callable[[dict[str, Any]], None]], Handler],
    ) -> None:
        self.page = page
        self.requests: list[str] = []
        self.errors: list[str] = []
        self._answers: list[dict[str, Any]] = []
        page.on("request", lambda r: self.requests.append(r.url))
        page.on("pageerror", lambda e: self.errors.append(str(e)))
        page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        page.set_content(_PAGE)
        page.add_style_tag(content=(FRONT / "panel.css").read_text("utf-8"))
        self._handle = handler_of(self._answers.append)
        page.expose_binding("toPython", lambda _source, text: self._hear(text))
        page.evaluate(_BOOT, [front(name), dict(values)])

    def _hear(self, text: str) -> None:
        self._handle(json.loads(text))
        said, self._answers[:] = list(self._answers), []
        for answer in said:
            self.page.evaluate("(t) => { window.hear(t) }", json.dumps(answer))

    def check_quiet(self) -> None:
        """Fail where the page asked for anything, logged an error, ran a value or let a key out."""
        assert [u for u in self.requests if not u.startswith("blob:")] == []
        assert self.errors == []
        assert self.page.evaluate("window.executed") == 0
        assert self.page.evaluate("window.leaked.filter((k) => k.length === 1)") == []
