"""The page of a sandbox: records by entity, what was deleted, and the request log. No script; every value is escaped.

Left to others: routes and headers (``app``).
"""

from __future__ import annotations

import json
from html import escape

from steward.messages import _
from steward.sandbox.copper.shapes import RECORDS
from steward.sandbox.copper.state import ADMIN_KEY, APPLICATION, RESTRICTED_KEY, State

_ROWS = 50
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem;color:#1c1c1c;background:#fff}table{border-collapse:collapse}"
    "td,th{border-bottom:1px solid #ccc;padding:.3rem .6rem;text-align:left;vertical-align:top;max-width:60rem;overflow-wrap:anywhere}"
    "nav a{margin-right:1rem}@media(prefers-color-scheme:dark){body{color:#eee;background:#181818}a{color:#9cf}}"
)


def page(state: State, kind: str, number: int) -> str:
    """Return the page for one entity, ``gone`` or ``log`` as HTML."""
    number = max(1, min(number, 1_000_000))
    skip = (number - 1) * _ROWS
    if kind == "log":
        head = [_("call"), _("method"), _("path"), _("asked"), _("status"), _("note")]
        rows = state.query("SELECT n, method, path, asked, status, note FROM log ORDER BY n DESC LIMIT ? OFFSET ?", _ROWS, skip)
    elif kind == "gone":
        head = [_("entity"), _("id"), _("record")]
        rows = state.query("SELECT kind, id, body FROM gone ORDER BY rowid DESC LIMIT ? OFFSET ?", _ROWS, skip)
    else:
        head = [_("id"), _("name"), _("record")]
        found = state.query(
            "SELECT id, body FROM record WHERE kind = ? AND body IS NOT NULL ORDER BY id LIMIT ? OFFSET ?", kind, _ROWS, skip
        )
        rows = [(id_, json.loads(body).get("name") or json.loads(body).get("details") or "", body) for id_, body in found]
    names = {**{one: one for one in RECORDS}, "gone": _("deleted"), "log": _("request log")}
    nav = "".join(
        f'<a href="/?kind={escape(one)}"{" aria-current=page" if one == kind else ""}>{escape(text)}</a>'
        for one, text in names.items()
    )
    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    more = f'<p><a href="/?kind={escape(kind)}&amp;page={number + 1}">{escape(_("More"))}</a></p>' if len(rows) == _ROWS else ""
    title = escape(_("Copper sandbox"))
    keys = [
        f"X-PW-AccessToken: {key} · X-PW-UserEmail: {(state.get('users', user) or {}).get('email')} · X-PW-Application: {APPLICATION}"
        for key, user in state.query("SELECT secret, user FROM access WHERE secret IN (?, ?)", ADMIN_KEY, RESTRICTED_KEY)
    ]
    access = "".join(f"<p><code>{escape(line)}</code></p>" for line in keys)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style></head>'
        f"<body><main><h1>{title}</h1>{access}<nav>{nav}</nav><h2>{escape(names[kind])}</h2>"
        f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>{more}</main></body></html>"
    )
