"""The review panel and the same list of stock ipywidgets, both in one JupyterLab, key to painted frame; for ``bench.review``.

The stock list is what one writes without a front of one's own: a ``Select`` with every case, the case as escaped HTML, a
button that decides, and the next case drawn by the kernel. It decides through the same session and log.

Left to others: the state alone and the panel without Jupyter (``bench.review``).
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tests.support.lab import Lab
from tests.support.review import browser

WARM = "import pandas, pyarrow, duckdb, anywidget\nfrom steward.workbench import open_workspace\nimport steward.review.panel\nbench = open_workspace({path!r}, create=False, read_only=True)\nprint('warm')"
PANEL = "bench.review('anna')"
STOCK = """
from html import escape
import ipywidgets as w
from steward.decisions import DecisionAction
from steward.review.intent import Intent
from steward.review.session import ReviewSession
from steward.store.decision_log import DecisionLog
from steward.review.cases import View
log = DecisionLog.open({log!r})
session = ReviewSession(bench.store, bench.snapshot(), log, 'boris')
session.select(View(kind='stale'))
rows = session.page(0, {shown})
line = [0]
pick = w.Select(options=[(r.title + ' ' + str(i), i) for i, r in enumerate(rows)], rows=18)
view, done = w.HTML(), w.HTML()
def draw():
    sheet = session.sheet(rows[line[0]].case_id)
    cells = ''.join('<tr><th>' + escape(l.field) + '</th>' + ''.join('<td>' + escape(''.join(t for _, t in c.pieces)) + '</td>' for c in l.cells) + '</tr>' for l in sheet.lines)
    view.value = '<h2 class=stock data-line=' + str(line[0]) + '>' + escape(sheet.title) + '</h2><table>' + cells + '</table>'
def keep(_):
    session.decide(rows[line[0]].case_id, Intent(DecisionAction.KEEP))
    line[0] = min(line[0] + 1, len(rows) - 1)
    pick.value = line[0]
    draw()
button = w.Button(description='Keep'); button.on_click(keep)
pick.observe(lambda c: (line.__setitem__(0, c['new']), draw()), 'value')
draw()
w.HBox([pick, w.VBox([view, button])])
"""
_PRESS = """async () => { const out = []; const list = document.querySelector('.sr-list'); list.focus();
  for (let n = 0; n < 40; n++) { const before = document.querySelector('.sr-row[aria-selected=true]').dataset.line, t = performance.now();
    list.dispatchEvent(new KeyboardEvent('keydown', { key: 'p', bubbles: true }));
    await new Promise((done) => { const wait = () => requestAnimationFrame(() => document.querySelector('.sr-row[aria-selected=true]')?.dataset.line !== before && document.querySelector('.sr-title h2') ? setTimeout(done) : wait()); wait(); });
    out.push(performance.now() - t);
    await new Promise((done) => { const wait = () => document.querySelector('.sr-saved').dataset.ok === 'yes' ? setTimeout(done, 120) : setTimeout(wait, 20); wait(); }); }
  return out; }"""
_CLICK = """async () => { const out = []; const button = [...document.querySelectorAll('.widget-button')].find((b) => b.innerText.trim() === 'Keep');
  for (let n = 0; n < 24; n++) { const before = document.querySelector('.stock').dataset.line, t = performance.now(); button.click();
    await new Promise((done) => { const wait = () => requestAnimationFrame(() => document.querySelector('.stock')?.dataset.line !== before ? setTimeout(done) : wait()); wait(); });
    out.push(performance.now() - t); await new Promise((done) => setTimeout(done, 200)); }
  return out; }"""


def _book(path: Path, *cells: str) -> None:
    made: list[dict[str, Any]] = [
        {"cell_type": "code", "id": f"c{i}", "execution_count": None, "metadata": {}, "outputs": [], "source": code}
        for i, code in enumerate(cells)
    ]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    path.write_text(json.dumps({"cells": made, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}), encoding="utf-8")


def in_lab(workspace: Path, folder: Path) -> dict[str, dict[str, float]]:
    """Milliseconds in JupyterLab: the panel's cell to usable, key to next case painted, and the same with stock widgets."""
    from bench.review import spread

    place = folder / "lab"
    place.mkdir()
    mine = shutil.copytree(workspace, folder / "lab-workspace", ignore=shutil.ignore_patterns("decisions.sqlite*"))
    _book(
        place / "bench.ipynb", WARM.format(path=str(mine)), PANEL, STOCK.format(log=str(folder / "stock.sqlite"), shown=1_000)
    )
    lab = Lab(place, mine, "anna")
    run = "(at) => { const c = window.jupyterapp.shell.currentWidget.content; c.activeCellIndex = at; return window.jupyterapp.commands.execute('notebook:run-cell'); }"
    usable = """(at) => new Promise((done) => { const c = window.jupyterapp.shell.currentWidget.content; c.activeCellIndex = at; const t = performance.now();
      window.jupyterapp.commands.execute('notebook:run-cell');
      const wait = () => requestAnimationFrame(() => document.querySelector('.sr-title h2') ? setTimeout(() => done(performance.now() - t)) : wait()); wait(); })"""
    try:
        with browser() as chrome:
            page = chrome.new_page(viewport={"width": 1600, "height": 1000})
            page.set_default_timeout(180_000)
            page.goto(lab.url("bench.ipynb"))
            page.wait_for_function("window.jupyterapp?.shell?.currentWidget?.content?.widgets?.length === 3")
            page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.ready")
            page.evaluate(run, 0)
            page.wait_for_function("/warm/.test(document.querySelector('.jp-OutputArea')?.innerText ?? '')")
            out = {"Lab: panel usable after its cell": spread([page.evaluate(usable, 1)])}
            page.locator(".sr-tab").nth(1).click()  # the queue with all its cases, not the few clusters
            page.wait_for_function("Number(document.querySelector('.sr-row')?.getAttribute('aria-setsize')) > 1000")
            page.wait_for_function("document.querySelector('.sr-title h2') !== null")
            out["Lab: key to next case painted"] = spread(page.evaluate(_PRESS))
            page.evaluate(run, 2)
            page.wait_for_selector(".stock")
            out["Lab, stock ipywidgets: click to next case"] = spread(page.evaluate(_CLICK))
            page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    finally:
        lab.stop()
    return out
