"""A small page for people: forms with their first records, the recycle bin and the last calls. Everything is escaped.

It shows and changes nothing; what changes the company stands under ``/_control/``.
"""

from __future__ import annotations

import json
from html import escape

from steward.messages import N_, _
from steward.sandbox.jiandaoyun.state import State, iso

_SHOWN = 20
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem}table{border-collapse:collapse;"
    "width:100%;margin:0 0 2rem}td,th{border:1px solid #bbb;padding:.2rem .5rem;text-align:left;vertical-align:top;"
    "overflow-wrap:anywhere}caption{text-align:left;font-weight:600;padding:.3rem 0}"
)
WORDS = (N_("Records"), N_("Recycle bin"), N_("Last calls"))


def html(state: State) -> str:
    """Return the page."""
    parts = [
        f'<!doctype html><html lang="zh"><head><meta charset="utf-8"><title>简道云 · sandbox</title><style>{_STYLE}</style></head>',
        "<body><main><h1>简道云 · sandbox</h1>",
    ]
    for form in state.rows("SELECT * FROM forms WHERE preset = 0 ORDER BY entry_id"):
        entry = form["entry_id"]
        count = state.rows("SELECT count(*) FROM records WHERE entry_id = ? AND deleted IS NULL", entry)[0][0]
        fields = [f for f in state.fields(entry) if not f.parent and f.kind != "separator"]
        found = state.rows(
            "SELECT * FROM records WHERE entry_id = ? AND deleted IS NULL ORDER BY data_id DESC LIMIT ?", entry, _SHOWN
        )
        bodies = [(r["data_id"], json.loads(r["body"])) for r in found]
        rows = [[key, *(_cell(body.get(f.name)) for f in fields)] for key, body in bodies]
        parts.append(_table(f"{form['name']} · {count} · {entry}", ["_id", *(f.label for f in fields)], rows))
    binned = state.rows("SELECT * FROM records WHERE deleted IS NOT NULL AND purged = 0 ORDER BY deleted DESC LIMIT ?", _SHOWN)
    parts.append(
        _table(_(WORDS[1]), ["_id", "deleteTime", "deleter"], [[r["data_id"], iso(r["deleted"]), r["deleter"]] for r in binned])
    )
    calls = state.rows("SELECT * FROM log ORDER BY n DESC LIMIT 50")
    rows = [[iso(r["at"]), r["path"], str(r["status"]), str(r["code"] or ""), r["body"][:300]] for r in calls]
    parts.append(_table(_(WORDS[2]), ["time", "path", "status", "code", "body"], rows))
    return "".join([*parts, "</main></body></html>"])


def _cell(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _table(caption: str, head: list[str], rows: list[list[str]]) -> str:
    heads = "".join(f'<th scope="col">{escape(h)}</th>' for h in head)
    lines = "".join("<tr>" + "".join(f"<td>{escape(str(c))}</td>" for c in row) + "</tr>" for row in rows)
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>"
